"""Spelling: words that neither the catalog nor the encoder knows are corrected to known words.

Distances are Damerau and Levenshtein's in the restricted form (optimal string alignment, by rapidfuzz): to insert,
delete or replace a letter, or to exchange two neighbours, is one edit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from imgsearch.search.words.tokens import folded, singular

__all__ = ["Correction", "Speller"]

MIN_WORD_CHARS = 3
MIN_EDITED_CHARS = 4
"""In a shorter word only its last two letters are exchanged: nearly any three letters are a word or a name."""
MAX_WORD_CHARS = 32
TWO_EDITS_CHARS = 6
"""From this length on, two edits are corrected; in shorter words one."""
MAX_TEXT_CHARS = 640
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Correction:
    """The text as it was probably meant; `automatic` where none of its words was known and every one is corrected."""

    text: str
    automatic: bool


class Speller:
    """The known words; safe to use from any thread."""

    def __init__(self, written: Mapping[str, int], model: Sequence[str] = (), *, complete: bool) -> None:
        """Know the words written in a catalog, with their counts, and those of its encoder, common ones first.

        `complete` says that the encoder knows no other words. Only then are corrections automatic.
        """
        catalog = sorted(written, key=lambda word: (-written[word], word))
        self._of_catalog = frozenset(word for word in catalog if len(word) >= MIN_WORD_CHARS)
        self._words = list(dict.fromkeys(word for word in [*catalog, *model] if len(word) >= MIN_WORD_CHARS))
        self._known = frozenset(map(singular, written)) | frozenset(map(singular, model))
        self._complete = complete and bool(model)
        self._usable = bool(model)

    def correct(self, text: str) -> Correction | None:
        """Return the text with its unknown words corrected; None where all are known or none can be corrected.

        Numbers and most short words stay as they are; a corrected word is in lower case.
        """
        if not self._usable or len(text) > MAX_TEXT_CHARS:
            return None
        known, corrected, left = 0, 0, 0

        def corrected_word(match: re.Match[str]) -> str:
            nonlocal known, corrected, left
            word = folded(match[0])
            if singular(word) in self._known:
                known += 1
                return match[0]
            if not MIN_WORD_CHARS <= len(word) <= MAX_WORD_CHARS:
                return match[0]
            short = len(word) < MIN_EDITED_CHARS
            better = self._exchanged(word) if short else self._nearest(word)
            corrected, left = corrected + bool(better), left + (not better and not short)
            return better or match[0]

        result = _WORD.sub(corrected_word, text)
        if not corrected:
            return None
        return Correction(" ".join(result.split()), self._complete and not known and not left)

    def _nearest(self, word: str) -> str:
        """Return the nearest word, or "" where none is near: of equally near ones the catalog's, then common ones.

        Another first letter counts as one more edit: first letters are seldom wrong.
        """
        edits = 2 if len(word) >= TWO_EDITS_CHARS else 1
        found = process.extract(
            word, self._words, scorer=OSA.distance, score_cutoff=edits, limit=None, processor=None
        )
        near = [
            (distance + (candidate[0] != word[0]), place >= len(self._of_catalog), place, candidate)
            for candidate, distance, place in found
        ]
        best = min(near, default=None)
        return best[3] if best is not None and best[0] <= edits else ""

    def _exchanged(self, word: str) -> str:
        """Return a word of three letters with its last two exchanged where the catalog has that word, else ""."""
        other = word[0] + word[2] + word[1]
        return other if other in self._of_catalog else ""
