"""Titles and photos ranked together: reciprocal rank fusion (RRF), weighted by how well titles describe photos.

Items are ranked by the sum of 1 / (k + rank) in both rankings (Cormack, Clarke and Buettcher 2009, "Reciprocal rank
fusion outperforms Condorcet and individual rank learning methods"). An item without a title has its photo's rank in
both. `scripts/measure_words.py` measures it; docs/how-search-works/words.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import positions_in

__all__ = ["RRF_K", "TitleIndex", "TitleMatch", "rrf_scores", "title_weight"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]
Codes = NDArray[np.int64]
Scores = NDArray[np.float32]

RRF_K = 60
"""The constant of the reciprocal ranks, as in the paper."""
MIN_AUC = 0.75
"""Titles whose AUC (`title_weight`) is not above this are not used: every second one may be wrong."""


@dataclass(frozen=True, eq=False)
class TitleIndex:
    """The titles of one version of a catalog: `rows` (u, dim) unit rows of distinct titles.

    `keys` (ascending) are the items that have a title, `codes` the row of each, `weight` how much titles count.
    """

    rows: Rows
    keys: Keys
    codes: Codes
    weight: float
    _by_code: Codes = field(init=False, repr=False)
    _starts: Codes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the items by title once."""
        object.__setattr__(self, "_by_code", np.argsort(self.codes, kind="stable"))
        counts = np.bincount(self.codes, minlength=len(self.rows))
        object.__setattr__(self, "_starts", np.concatenate([[0], np.cumsum(counts)]))

    def match(self, row: Rows) -> TitleMatch:
        """Return how a text, a (dim,) unit row of the encoder, compares with every title."""
        return TitleMatch(self, np.round(self.rows @ row, 6))

    def items_of(self, codes: Codes, n: int) -> Keys:
        """Return the keys of up to n items with these titles, title by title."""
        first, last = self._starts[codes], self._starts[codes + 1]
        enough = int(np.searchsorted(np.cumsum(last - first), n)) + 1
        bounds = zip(first[:enough].tolist(), last[:enough].tolist(), strict=True)
        parts = [self._by_code[start:end] for start, end in bounds]
        return self.keys[np.concatenate(parts)[:n]] if parts else self.keys[:0]


@dataclass(frozen=True, eq=False)
class TitleMatch:
    """One text compared with every title: `scores` (u,) cosines."""

    index: TitleIndex
    scores: Scores

    def best(self, n: int) -> Keys:
        """Return the keys of up to n items with the best titles, the best titles first."""
        count = min(n, len(self.scores))
        codes = np.arange(count)
        if count < len(self.scores):
            codes = np.argpartition(-self.scores, count - 1)[:count]
        codes = codes[np.lexsort((codes, -self.scores[codes]))]
        return self.index.items_of(codes, n)

    def of(self, keys: Keys) -> Scores:
        """Return the cosine of each key's title, (n,); NaN for an item without a title."""
        found = np.full(len(keys), np.nan, np.float32)
        places, there = positions_in(self.index.keys, keys)
        found[there] = self.scores[self.index.codes[places[there]]]
        return found

    def values(self, keys: Keys, scores: Scores) -> Scores:
        """Return the cosines of photos, (n,), permuted to the fused order: what items are ranked by."""
        order = np.argsort(-rrf_scores(scores, self.of(keys), self.index.weight), kind="stable")
        values = np.empty_like(scores)
        values[order] = np.sort(scores)[::-1]
        return values


def rrf_scores(photos: Scores, titles: Scores, weight: float) -> NDArray[np.float64]:
    """Return the weighted sums of reciprocal ranks, (n,), higher is better; `titles` is NaN where there is none.

    Equal scores have the best rank that any of them could have. The photos are in no order.
    """
    by_photo = _reciprocal_ranks(np.round(photos, 6))
    by_title = by_photo.copy()
    there = ~np.isnan(titles)
    # Ranks among the items with a title are stretched over all items, as if the others were between them.
    by_title[there] = _reciprocal_ranks(titles[there], stretch=len(titles) / max(int(there.sum()), 1))
    return by_photo + weight * by_title


def title_weight(titles: Rows, photos: Rows, codes: Codes) -> tuple[float, float]:
    """Return (how much titles should count from 0 to 1, their AUC).

    `titles` and `photos` are (n, dim) unit rows of the same items, `codes` (n,) tell titles apart. The AUC is the
    chance that a title is nearer to its own photo than to one with another title (Hanley and McNeil 1982): at 0.5,
    titles have nothing to do with the photos.
    """
    cosines = titles @ photos.T
    others = codes[:, None] != codes[None, :]
    own = np.diag(cosines)[:, None]
    wins = np.where(others, (cosines < own) + 0.5 * (cosines == own), 0.0).sum()
    pairs = int(others.sum())
    auc = float(wins / pairs) if pairs else 0.5
    return max(0.0, (auc - MIN_AUC) / (1 - MIN_AUC)), auc


def _reciprocal_ranks(scores: NDArray[np.floating], stretch: float = 1.0) -> NDArray[np.float64]:
    """Return 1 / (k + rank) of scores, (n,); the highest has rank 1, times `stretch`."""
    ranks = np.searchsorted(np.sort(-scores), -scores) + 1.0
    return np.asarray(1 / (RRF_K + ranks * stretch), np.float64)
