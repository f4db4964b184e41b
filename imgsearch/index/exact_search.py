"""Exact search over stored rows: for rare filters, for the true neighbours, and for the measured `ann_recall@10`.

Rows are read in blocks. Where they are compared in float16, as stored, numkong's kernels take 0.15 microseconds a row
of 418 numbers; numpy takes 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numkong
import numpy as np

from imgsearch.index.base import Keys, ReadRows, Vectors
from imgsearch.index.rerank import best_first, ranked

__all__ = ["RecallProbe", "exact_candidates", "exact_top_k"]

BLOCK_ROWS = 8192
RESIDUAL_SCALE = 2048
"""The rounding error of a float16 is at least this much smaller than the number; scaled up, it is a float16 too."""
SCORE_TOLERANCE = 1e-5  # how much a score may differ from the same score summed in another order


class HasVectors(Protocol):
    """A source of vectors by key, such as a `VectorSpace` or a `Catalog`."""

    def vectors(self, keys: Keys) -> Vectors:
        """Return (n, dim) float32 unit rows, in the order of the keys."""


def exact_candidates(keys: Keys, read_rows: ReadRows, vector: Vectors, k: int) -> Keys:
    """Return, in their order, those of the keys that may be among the k nearest to a (dim,) unit vector by cosine.

    The k nearest are always included, with a few more that have the same score to five decimals. All keys are
    returned, without reading a row, where there are at most k.
    """
    if len(keys) <= k:
        return keys
    # The sum of two float16 vectors represents the query as exactly as the rows are stored.
    coarse = vector.astype(np.float16)
    queries = np.stack([coarse, ((vector - coarse.astype(np.float32)) * RESIDUAL_SCALE).astype(np.float16)])
    scores = np.empty(len(keys), np.float64)
    for start in range(0, len(keys), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        products = np.asarray(numkong.cdist(queries, read_rows(keys[block]), metric="dot"))
        scores[block] = products[0] + products[1] / RESIDUAL_SCALE
    scores[~np.isfinite(scores)] = -2.0  # rows that are damaged on disk
    threshold = np.partition(scores, len(keys) - k)[len(keys) - k]
    return np.asarray(keys[scores >= threshold - SCORE_TOLERANCE], np.uint64)


def exact_top_k(space: HasVectors, keys: Keys, queries: Vectors, k: int) -> list[tuple[Keys, Vectors]]:
    """Return for each (dim,) row of `queries` the k nearest of `keys` by exact cosine, best first, ties by key.

    Vectors are read in blocks, so memory does not grow with the number of keys.
    """
    best = [(np.zeros(0, np.uint64), np.zeros(0, np.float32)) for _ in queries]
    for start in range(0, len(keys), BLOCK_ROWS):
        block = keys[start : start + BLOCK_ROWS]
        vectors = space.vectors(block)
        for number, products in enumerate(queries @ vectors.T):
            # The matrix product selects; `ranked` decides, by scores that do not depend on the block.
            candidates = block, vectors
            if len(block) > k:
                chosen = products >= np.partition(products, -k)[-k] - SCORE_TOLERANCE
                candidates = block[chosen], vectors[chosen]
            new_keys, new_scores = ranked(*candidates, queries[number], k)
            all_keys = np.concatenate([best[number][0], new_keys])
            all_scores = np.concatenate([best[number][1], new_scores])
            order = best_first(all_scores, all_keys)[:k]
            best[number] = all_keys[order], all_scores[order]
    return best


class RecallProbe:
    """Measures `ann_recall@10`: queries are `sample` of the vectors themselves, exact search is the truth."""

    def __init__(self, space: HasVectors, keys: Keys, sample: int) -> None:
        """Draw the queries (the same ones for the same keys, at least one key) and find their true neighbours."""
        drawn = np.random.default_rng(0).choice(keys, min(sample, len(keys)), replace=False)
        self._space = space
        self._k = min(10, len(keys))
        self._queries = space.vectors(np.sort(drawn))
        self._truth = exact_top_k(space, keys, self._queries, self._k)

    def recall(self, search: Callable[[Vectors, int], Keys]) -> float:
        """Return the share of the true neighbours that `search(vector, k)` finds.

        Hits are counted by score, not by key: of equally near items, any choice is right.
        """
        found = 0
        for query, (_, scores) in zip(self._queries, self._truth, strict=True):
            hits = self._space.vectors(search(query, self._k))
            found += int(np.sum(hits @ query >= scores[-1] - 1e-4))
        return min(1.0, found / (len(self._queries) * self._k))
