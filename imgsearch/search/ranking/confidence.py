"""How good a result is for its catalog: strong, fair or weak, by the scores that the catalog's own items reach.

The statistic is the mean of the best scores. One threshold cannot serve all: photos are nearer to photos than to
words, and each encoder has other cosines. So a search by photo is compared with searches by the catalog's photos,
a search by words with searches by its titles. A text whose words are all in one row of the catalog is never weak:
"red" describes much and scores low. Measured by `scripts/measure_confidence.py`, docs/how-search-works/confidence.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.records import Confidence

__all__ = [
    "BEST_SCORES",
    "WEAK_SENTENCE",
    "Kind",
    "Levels",
    "Nearest",
    "photo_levels",
    "word_levels",
    "words_of",
]

Kind = Literal["photo", "words"]
Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]
Nearest = Callable[[Rows, int], tuple[Keys, Rows]]
"""Returns the keys and the cosine scores of the k items nearest to a (dim,) unit row, best first."""

BEST_SCORES = 5
"""How many of the best scores are averaged: a single look-alike may be chance."""
WEAK_SENTENCE = "Nothing quite like this here; these are the nearest."
MIN_PROBES = 20
"""With fewer probes their lowest quantile is not known, and there are no levels."""
WEAK_PHOTO_QUANTILE = 0.05
WEAK_WORDS_QUANTILE = 0.2
"""Larger than for photos: titles have more words than visitors type, and score lower."""
STRONG_QUANTILE = 0.5
STOP_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)


@dataclass(frozen=True, slots=True)
class Levels:
    """The lowest of the catalog's own searches are below `weak`, the better half is from `strong` on.

    `described` has the words of each of the catalog's rows, as `words_of` returns them.
    """

    weak: float
    strong: float
    described: frozenset[frozenset[str]] = frozenset()

    def confidence(self, scores: Rows, text: str = "") -> Confidence | None:
        """Return how good a result is by its cosine scores, in any order, and by the text that was searched.

        None for fewer than `BEST_SCORES` scores, which are too few: a filter may have left only those.
        """
        if len(scores) < BEST_SCORES:
            return None
        value = float(np.sort(scores)[-BEST_SCORES:].mean())
        if value < self.weak:
            words = words_of(text)
            return "fair" if words and any(words <= row for row in self.described) else "weak"
        return "strong" if value >= self.strong else "fair"


def photo_levels(nearest: Nearest, keys: Keys, rows: Rows) -> Levels | None:
    """Return the levels of searches by photo; None where fewer than 20 probes found enough.

    The probes are items of the catalog: `keys` and their (n, dim) unit rows. None is compared with itself.
    """
    lists = []
    for key, row in zip(keys, rows, strict=True):
        found, scores = nearest(row, BEST_SCORES + 1)
        lists.append(scores[found != key][:BEST_SCORES])
    return _levels(lists, WEAK_PHOTO_QUANTILE)


def word_levels(nearest: Nearest, rows: Rows, described: Iterable[frozenset[str]] = ()) -> Levels | None:
    """Return the levels of searches by words; None where fewer than 20 probes found enough.

    The probes, (n, dim) unit rows, are encoded texts that describe items of the catalog; `described` has the words
    of each row.
    """
    levels = _levels((nearest(row, BEST_SCORES)[1] for row in rows), WEAK_WORDS_QUANTILE)
    return replace(levels, described=frozenset(described)) if levels else None


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text in small letters, without a plural's s and without stop words."""
    found = re.findall(r"\w+", text.casefold())
    return frozenset(
        word.removesuffix("s") if len(word) > 3 else word for word in found if word not in STOP_WORDS
    )


def _levels(lists: Iterable[Rows], weak_quantile: float) -> Levels | None:
    values = [float(scores.mean()) for scores in lists if len(scores) == BEST_SCORES]
    if len(values) < MIN_PROBES:
        return None
    weak, strong = np.quantile(values, [weak_quantile, STRONG_QUANTILE])
    return Levels(float(weak), float(strong))
