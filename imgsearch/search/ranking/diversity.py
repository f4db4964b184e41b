"""Variety in a list of hits: maximal marginal relevance over the candidates' vectors.

It owns the greedy choice and nothing else: it knows neither catalogs nor queries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mmr_order"]


def mmr_order(
    vectors: NDArray[np.float32],
    scores: NDArray[np.float32],
    diversity: float,
    wanted: int | None = None,
) -> list[int]:
    """Return the first `wanted` rows (all by default) by maximal marginal relevance, best first.

    The next one is always that with the highest (1 - diversity) * score - diversity * (its greatest cosine to one
    chosen before); ties go to the earlier row. The first is the best by score. `vectors` are (n, dim) float32 unit
    rows; with diversity 0 and falling scores the order stays. After Carbonell & Goldstein, "The Use of MMR,
    Diversity-Based Reranking for Reordering Documents and Producing Summaries" (SIGIR 1998), with
    lambda = 1 - diversity.
    """
    count = len(scores) if wanted is None else min(wanted, len(scores))
    if count == 0:
        return []
    gain = (1.0 - diversity) * scores.astype(np.float64)
    nearest = np.full(len(scores), -np.inf)
    left = np.ones(len(scores), bool)
    # There is nothing yet to differ from, whatever the diversity.
    order = [int(np.argmax(scores))]
    while True:
        left[order[-1]] = False
        if len(order) == count:
            return order
        nearest = np.maximum(nearest, vectors @ vectors[order[-1]])
        value = np.where(left, np.round(gain - diversity * nearest, 6), -np.inf)
        order.append(int(np.argmax(value)))
