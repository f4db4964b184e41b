"""Composition: several terms of a query become one vector.

A text's cosines to the photos of a catalog vary far less than a photo's: in a plain weighted mean of both, the photo
decides alone. `composed` divides each weight by the spread of its term's cosines over a sample of the catalog. That
ranks by the weighted sum of standardised cosines, and is still one vector to search by.
`scripts/compare_composition.py` compares it with the plain mean and the best-score rule on the Sample Store.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["STRATEGIES", "composed"]

Rows = NDArray[np.float32]
Weights = NDArray[np.float64]
Scores = NDArray[np.float64]

MIN_SAMPLE_ROWS = 32
"""A spread over fewer rows is too uncertain; weights are then used as they are."""
MIN_SPREAD = 1e-3


def composed(terms: Rows, weights: Weights, sample: Rows) -> Rows:
    """Return the (dim,) float32 sum of the terms, (m, dim) unit rows, each by its weight over its spread.

    `sample` are (s, dim) unit rows of the catalog. Not normalised: terms that cancel out result in near zeros.
    """
    if len(terms) > 1 and len(sample) >= MIN_SAMPLE_ROWS:
        spreads = np.maximum((sample @ terms.T).std(0), MIN_SPREAD)
        weights = weights * (spreads.min() / spreads)
    return np.asarray((weights[:, None] * terms).sum(0), np.float32)


def _by_composed(rows: Rows, terms: Rows, weights: Weights) -> Scores:
    return np.asarray(rows @ composed(terms, weights, rows), np.float64)


def _by_mean(rows: Rows, terms: Rows, weights: Weights) -> Scores:
    return np.asarray(rows @ (weights[:, None] * terms).sum(0), np.float64)


def _by_best_score(rows: Rows, terms: Rows, weights: Weights) -> Scores:
    """Return the best positive term's weighted cosine less the worst negative one's."""
    weighted = (rows @ terms.T) * weights
    nothing = np.zeros((len(rows), 1))
    liked = weighted[:, weights > 0].max(1) if (weights > 0).any() else nothing[:, 0]
    return np.asarray(liked + np.hstack([weighted[:, weights < 0], nothing]).min(1), np.float64)


STRATEGIES: dict[str, Callable[[Rows, Rows, Weights], Scores]] = {
    "standardised": _by_composed,
    "weighted mean": _by_mean,
    "best score": _by_best_score,
}
"""The (n,) scores of (n, dim) rows by each strategy; the first is the one in use."""
