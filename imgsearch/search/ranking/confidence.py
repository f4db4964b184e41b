"""How good a result list is for its catalog: strong, fair or weak, by the scores that the catalog itself gives.

It owns the statistic and its levels. It knows no query, no page and no file: who searches hands it scores, and keeps
the `Levels`, which are valid for one space and one state of the catalog.

The statistic is the mean of the best `BEST` scores. One flat threshold cannot serve, for photos lie nearer to photos
than to words, and one encoder's cosines are not another's. So photos are compared with what the catalog's own photos
reach when each is searched, and words with what words reach that are known to describe something here (titles).
A text of which every word stands in one row of the catalog is not called weak, however vague: "red" describes much
and scores low. `scripts/measure_confidence.py` measures it; docs/how-search-works/confidence.md has the figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.records import Confidence

__all__ = ["BEST", "WEAK_SENTENCE", "Kind", "Levels", "Nearest", "photo_levels", "word_levels", "words_of"]

Kind = Literal["photo", "words"]
Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]
Nearest = Callable[[Rows, int], tuple[Keys, Rows]]
"""Gives the keys and the cosine scores of the k items nearest to a (dim,) unit row, best first."""

BEST = 5
"""How many of the best scores are averaged: one look-alike by chance says little."""
WEAK_SENTENCE = "Nothing quite like this here; these are the nearest."
FEWEST_PROBES = 20
"""With fewer probes their lowest values are not known, and nothing is said."""
WEAK_PHOTOS = 0.05
WEAK_WORDS = 0.2
"""Larger than for photos: titles say more than visitors type, so they score lower."""
STRONG_QUANTILE = 0.5
LITTLE_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)


@dataclass(frozen=True, slots=True)
class Levels:
    """Below `weak` lie the lowest of the catalog's own searches, from `strong` on the better half.

    `described` holds the words of each of the catalog's rows, as `words_of` gives them.
    """

    weak: float
    strong: float
    described: frozenset[frozenset[str]] = frozenset()

    def confidence(self, scores: Rows, text: str = "") -> Confidence | None:
        """Return how good a list is by its cosine scores, in any order, and by the text that was searched.

        None for fewer than `BEST` scores, which are too few to tell by: a filter may have left only those.
        """
        if len(scores) < BEST:
            return None
        value = float(np.sort(scores)[-BEST:].mean())
        if value < self.weak:
            asked = words_of(text)
            return "fair" if asked and any(asked <= row for row in self.described) else "weak"
        return "strong" if value >= self.strong else "fair"


def photo_levels(nearest: Nearest, keys: Keys, rows: Rows) -> Levels | None:
    """Return the levels of searches by photo; None where fewer than 20 probes found enough.

    The probes are items of the catalog: `keys` and their (n, dim) unit rows. None is compared with itself.
    """
    lists = []
    for key, row in zip(keys, rows, strict=True):
        found, scores = nearest(row, BEST + 1)
        lists.append(scores[found != key][:BEST])
    return _levels(lists, WEAK_PHOTOS)


def word_levels(nearest: Nearest, rows: Rows, described: Iterable[frozenset[str]] = ()) -> Levels | None:
    """Return the levels of searches by words; None where fewer than 20 probes found enough.

    The probes, (n, dim) unit rows, are encoded texts that describe items that are there; `described` holds the
    words of each of the items' rows.
    """
    levels = _levels((nearest(row, BEST)[1] for row in rows), WEAK_WORDS)
    return replace(levels, described=frozenset(described)) if levels else None


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, small, without a plural's s and without little words such as "of"."""
    found = re.findall(r"\w+", text.casefold())
    return frozenset(
        word.removesuffix("s") if len(word) > 3 else word for word in found if word not in LITTLE_WORDS
    )


def _levels(lists: Iterable[Rows], weak_quantile: float) -> Levels | None:
    values = [float(scores.mean()) for scores in lists if len(scores) == BEST]
    if len(values) < FEWEST_PROBES:
        return None
    weak, strong = np.quantile(values, [weak_quantile, STRONG_QUANTILE])
    return Levels(float(weak), float(strong))
