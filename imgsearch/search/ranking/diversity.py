"""Diversity: maximal marginal relevance (MMR) over ranked candidates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIVERSITY_CANDIDATES", "diversify", "mmr_order"]

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

DIVERSITY_CANDIDATES = 256
"""Only this many of the best candidates, or those of the page where it is larger, are re-ranked for diversity."""


def diversify(vectors: Floats, values: Floats, diversity: float, n: int) -> Places:
    """Return all places of ranked candidates, the first n of them in the order of MMR.

    `vectors` are the (m, dim) unit rows of the candidates, `values` (m,) what they are ranked by, highest first.
    """
    pool = values[: max(DIVERSITY_CANDIDATES, n)]
    # MMR weighs values against cosines: from 0 to 1, values count alike whatever the spread of an encoder's cosines.
    low, high = float(pool.min()), float(pool.max())
    scaled = ((pool - low) / max(high - low, 1e-6)).astype(np.float32)
    chosen = np.array(mmr_order(vectors[: len(pool)], scaled, diversity, n), np.int64)
    rest = np.ones(len(values), bool)
    rest[chosen] = False
    return np.concatenate([chosen, np.flatnonzero(rest)])


def mmr_order(vectors: Floats, scores: Floats, diversity: float, n: int | None = None) -> list[int]:
    """Return the first n rows (all by default) by maximal marginal relevance, best first.

    The next row is always that with the highest (1 - diversity) * score - diversity * (its greatest cosine to one
    chosen before); ties go to the earlier row. The first is the best by score. `vectors` are (m, dim) float32 unit
    rows; with diversity 0 and falling scores the order stays. After Carbonell & Goldstein, "The Use of MMR,
    Diversity-Based Reranking for Reordering Documents and Producing Summaries" (SIGIR 1998), with
    lambda = 1 - diversity.
    """
    count = len(scores) if n is None else min(n, len(scores))
    if count == 0:
        return []
    gain = (1.0 - diversity) * scores.astype(np.float64)
    nearest = np.full(len(scores), -np.inf)
    left = np.ones(len(scores), bool)
    order = [int(np.argmax(scores))]
    while True:
        left[order[-1]] = False
        if len(order) == count:
            return order
        nearest = np.maximum(nearest, vectors @ vectors[order[-1]])
        value = np.where(left, np.round(gain - diversity * nearest, 6), -np.inf)
        order.append(int(np.argmax(value)))
