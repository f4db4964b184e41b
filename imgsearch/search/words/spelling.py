"""Spelling: words that neither the catalog nor the encoder knows are corrected to ones that they do.

It owns which correction is taken. It knows words only: where they come from, and what is done about a correction, is
decided elsewhere. Distances are Damerau and Levenshtein's in the restricted form (optimal string alignment): a letter
added, left out, replaced, or two neighbours exchanged are one step each (rapidfuzz).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from imgsearch.search.words.filter_suggestions import folded, singular

__all__ = ["Correction", "Speller"]

SHORTEST = 3
SHORTEST_CHANGED = 4
"""In a shorter word only its last two letters are exchanged back: nearly any three letters are a word or a name."""
LONGEST = 32
LONG = 6
"""From so many letters on, two steps are forgiven; below it one."""
MAX_WORDS = 16
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Correction:
    """The text as it was probably meant; `automatic` where none of its words was known and every one is corrected."""

    text: str
    automatic: bool


class Speller:
    """The words that are known; safe to use from any thread."""

    def __init__(self, written: Mapping[str, int], model: Sequence[str] = (), *, complete: bool) -> None:
        """Know the words written in a catalog, with how often each is, and those of its encoder, common ones first.

        `complete` says that the encoder knows no other words than these. Only then a text is corrected unasked.
        """
        catalog = sorted(written, key=lambda word: (-written[word], word))
        self._of_catalog = frozenset(word for word in catalog if len(word) >= SHORTEST)
        self._words = list(dict.fromkeys(word for word in [*catalog, *model] if len(word) >= SHORTEST))
        self._known = frozenset(map(singular, written)) | frozenset(map(singular, model))
        self._complete = complete and bool(model)
        self._can_tell = bool(model)

    def correct(self, text: str) -> Correction | None:
        """Return the text with its unknown words corrected; None where all are known or none can be corrected.

        Numbers stay as they are, and short words mostly; a corrected word is in small letters.
        """
        if not self._can_tell or len(text) > 40 * MAX_WORDS:
            return None
        known, corrected, left = 0, 0, 0

        def corrected_word(match: re.Match[str]) -> str:
            nonlocal known, corrected, left
            word = folded(match[0])
            if singular(word) in self._known:
                known += 1
                return match[0]
            if not SHORTEST <= len(word) <= LONGEST:
                return match[0]
            if len(word) < SHORTEST_CHANGED:
                better = self._exchanged(word)
                corrected += bool(better)
                return better or match[0]
            better = self._nearest(word)
            corrected, left = corrected + bool(better), left + (not better)
            return better or match[0]

        result = _WORD.sub(corrected_word, text)
        if not corrected:
            return None
        return Correction(" ".join(result.split()), self._complete and not known and not left)

    def _nearest(self, word: str) -> str:
        """Return the nearest word, or "" where none is near: of equally near ones the catalog's, then common ones.

        One that begins with another letter is a step further: first letters are seldom wrong.
        """
        steps = 2 if len(word) >= LONG else 1
        found = process.extract(
            word, self._words, scorer=OSA.distance, score_cutoff=steps, limit=None, processor=None
        )
        near = [
            (distance + (candidate[0] != word[0]), place >= len(self._of_catalog), place, candidate)
            for candidate, distance, place in found
        ]
        best = min(near, default=None)
        return best[3] if best is not None and best[0] <= steps else ""

    def _exchanged(self, word: str) -> str:
        """Return a word of three letters with its last two exchanged where the catalog writes it so, else ""."""
        other = word[0] + word[2] + word[1]
        return other if other in self._of_catalog else ""
