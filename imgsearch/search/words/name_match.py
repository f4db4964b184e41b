"""How well the words of a typed text match the names of items: titles, brands and codes, compared literally.

A word counts by its inverse document frequency, log(1 + items / items that have it) (Sparck Jones 1972, "A
statistical interpretation of term specificity"); a word that no item has counts half of the most. The coverage of an
item is the share of the text's weight that its words have. Items with a coverage of `MIN_COVERAGE` or more are named
by the text and ranked first, the best coverage first, equal ones by photo and title
(`imgsearch.search.words.titles`), if the words identify them: few items have such a coverage, or one of the words is
of a brand or another chosen column, or no word that the encoder knows. Words such as "red" that many titles have are
left to the photos and the encoded titles. A text that is a whole code of an item (SKU, GTIN, MPN, id) puts it first,
and the beginning of a code next.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys, is_in, positions_in
from imgsearch.search.words.tokens import CHOSEN, STOP_WORDS, code_word, spans
from imgsearch.search.words.word_postings import PatchedPostings

Floats = NDArray[np.float32]

MIN_COVERAGE = 0.5
UNKNOWN_WEIGHT = 0.5
RARE_WORD, COMMON_WORD = 2000, 50_000
"""Items with a word that at most `RARE_WORD` items have are compared; without such a word, items that have all words,
if at most `COMMON_WORD` items have one of these."""
FEW_ITEMS, FEW_SHARE, MAX_SHARE = 12, 0.01, 0.125
"""Words identify at most this number of items, or `FEW_SHARE` of all where it is more; at most `MAX_SHARE`."""
EXACT, BEGINNING = 2.0, 1.5
"""The lift of an item of which the text is a code, or the beginning of one; above any coverage."""
MIN_CODE_CHARS, MAX_OF_A_BEGINNING = 4, 50
MIN_PREFIX_CHARS, MAX_OF_A_PREFIX, PREFIX_SHARE = 3, 500, 0.9
MAX_EXACT = 200
"""A code of more items, such as a category's number, identifies none of them."""
STEPS = 20
"""Coverages are compared to a twentieth: smaller differences are those of chance in the frequencies of words."""


@dataclass(frozen=True, slots=True, eq=False)
class NameMatch:
    """The items that a text names: ascending `keys` and the `lifts` of each, higher is better."""

    keys: Keys
    lifts: Floats

    def best(self, n: int) -> Keys:
        """Return up to n keys, the highest lifts first, ties by key."""
        return np.asarray(self.keys[np.lexsort((self.keys, -self.lifts))[:n]], np.uint64)

    def exact(self) -> Keys:
        """Return the ascending keys of the items of which the text is a code."""
        return np.asarray(self.keys[self.lifts == EXACT], np.uint64)

    def of(self, keys: Keys) -> Floats:
        """Return the lift of each key, (n,); 0 for an item that is not named."""
        places, there = positions_in(self.keys, keys)
        return np.where(there, self.lifts[places], np.float32(0)).astype(np.float32)

    @property
    def top(self) -> float:
        """The highest lift."""
        return float(self.lifts.max())


def match_names(
    postings: PatchedPostings, text: str, ordinary: Container[str] | None = None, *, trusted: bool = True
) -> NameMatch | None:
    """Return the items that a text names; None where it names none.

    `ordinary` are the words that the encoder knows, None where that is not known: others are names. Where titles are
    not `trusted` to describe their photos, ordinary words name nothing.
    """
    lifts = _covered(postings, text, ordinary, trusted=trusted or ordinary is None)
    code = code_word(text)
    if code:
        exact = postings.having(code)
        if 0 < len(exact) <= MAX_EXACT:
            lifts |= dict.fromkeys(exact.tolist(), EXACT)
        elif len(code) > MIN_CODE_CHARS and any(letter.isdigit() for letter in code):
            begun = postings.beginning_with(code, MAX_OF_A_BEGINNING)
            lifts |= dict.fromkeys(begun.tolist(), BEGINNING)
    if not lifts:
        return None
    keys = np.array(sorted(lifts), np.uint64)
    return NameMatch(keys, np.array([lifts[key] for key in keys.tolist()], np.float32))


def _covered(
    postings: PatchedPostings, text: str, ordinary: Container[str] | None, *, trusted: bool
) -> dict[int, float]:
    """Return the coverage of each item that the words of a text identify, by key."""
    typed = [(word, span) for word, span in spans(text)]
    count = max((end for _, (_, end) in typed), default=0)
    if not count:
        return {}
    having: list[tuple[Keys, tuple[int, int], float]] = []
    identifying: list[Keys] = []
    frequency = np.zeros(count)
    for word, (start, end) in typed:
        items, share = postings.count(word), 1.0
        if items > COMMON_WORD and count > 1:
            found = None
        else:
            found = postings.having(word)
            if not len(found) and end == count and len(word) >= MIN_PREFIX_CHARS:
                found, share = postings.beginning_with(word, MAX_OF_A_PREFIX), PREFIX_SHARE
            items = len(found)
        if not items:
            continue
        known = frequency[start:end]
        frequency[start:end] = np.where(known > 0, known, items)
        if found is not None:
            having.append((found, (start, end), share))
            is_name = (
                ordinary is not None
                and word not in ordinary
                and not (word.isdigit() and len(word) < MIN_CODE_CHARS)
            )
            identifying.append(found if is_name else postings.having(f"{CHOSEN}{word}"))
    weights = _weights(postings.items, frequency, [word for word, (start, end) in typed if end == start + 1])
    keys = _candidates([found for found, *_ in having])
    if not len(keys):
        return {}
    covered = np.zeros((len(keys), count))
    for found, (start, end), share in having:
        has = is_in(found, keys)
        covered[has, start:end] = np.maximum(covered[has, start:end], share)
    coverage = np.round(covered @ weights / weights.sum() * STEPS) / STEPS
    few = min(max(FEW_ITEMS, FEW_SHARE * postings.items), MAX_SHARE * postings.items)
    strong = (coverage >= max(MIN_COVERAGE, _level_of_few(coverage, few))) & trusted
    if len(identifying) and strong.sum() < len(keys):
        named = np.zeros(len(keys), bool)
        for found in identifying:
            named |= is_in(found, keys)
        strong |= named & (coverage >= MIN_COVERAGE)
    return dict(zip(keys[strong].tolist(), coverage[strong].tolist(), strict=True))


def _level_of_few(coverage: NDArray[np.float64], few: float) -> float:
    """Return the lowest coverage that at most `few` items reach; infinity where more reach the highest."""
    levels, counts = np.unique(coverage, return_counts=True)
    reached = np.cumsum(counts[::-1])[::-1]
    return float(min(levels[reached <= few], default=np.inf))


def _weights(items: int, frequency: NDArray[np.float64], words: list[str]) -> NDArray[np.float64]:
    most = np.log1p(items)
    weights = np.where(frequency > 0, np.log1p(items / np.maximum(frequency, 1)), UNKNOWN_WEIGHT * most)
    empty = np.array([word in STOP_WORDS for word in words[: len(weights)]])
    return np.where(empty, 0.0, weights) if not empty.all() else weights


def _candidates(having: list[Keys]) -> Keys:
    """Return the keys to compare: of items with a rare word, else of those with all words."""
    rare = [keys for keys in having if len(keys) <= RARE_WORD]
    if rare:
        return np.unique(np.concatenate(rare))
    if not having:
        return np.zeros(0, np.uint64)
    ordered = sorted(having, key=len)
    keys = ordered[0]
    for others in ordered[1:]:
        keys = keys[is_in(others, keys)]
    return keys
