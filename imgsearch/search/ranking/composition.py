"""Composition: several terms of a query become one vector.

A text's cosines to the photos of a catalog vary far less than a photo's: in a plain weighted mean of both, the photo
decides alone. `composed` divides each weight by the spread of its term's cosines over a sample of the catalog. That
ranks by the weighted sum of standardised cosines, and is still one vector to search by.
`scripts/compare_composition.py` compares it with the plain mean and the best-score rule on the Sample Store.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["composed"]

Rows = NDArray[np.float32]
Weights = NDArray[np.float64]

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
