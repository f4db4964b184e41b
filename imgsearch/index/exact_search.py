"""Exact search over stored rows: for rare filters, for the true neighbours, and for the measured `ann_recall@10`.

Also the scores and the order of hits, and the re-ranking of the candidates that an index found. Rows are read in
blocks. numkong, the kernel library under usearch, compares the float16 rows as they are stored: 0.15 microseconds for
one of 418 numbers, where numpy takes 2, mostly to convert them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numkong
import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.index.base import ReadRows, Vectors

BLOCK_ROWS = 8192
RESIDUAL_SCALE = 2048
"""The rounding error of a float16 is at least this much smaller than the number; scaled up, it is a float16 too."""
SCORE_TOLERANCE = 1e-5  # how much a score may differ from the same score summed in another order


class HasVectors(Protocol):
    """A source of vectors by key, such as a `VectorSpace` or a `Catalog`."""

    def vectors(self, keys: Keys) -> Vectors:
        """Return (n, dim) float32 unit rows, in the order of the keys."""


def rerank_candidates(keys: Keys, read_rows: ReadRows, vector: Vectors, k: int) -> tuple[Keys, Vectors]:
    """Return the k keys whose stored rows are nearest to a (dim,) vector, and their cosines, best first."""
    if k <= 0 or len(keys) == 0:
        return keys[:0], np.zeros(0, np.float32)
    products = numkong.cdist(vector.astype(np.float16)[None, :], read_rows(keys), metric="dot")
    scores = np.asarray(products, np.float32).reshape(-1)
    order = np.argsort(-scores, kind="stable")[:k]
    return keys[order], scores[order]


def ranked(keys: Keys, vectors: Vectors, query: Vectors, k: int) -> tuple[Keys, Vectors]:
    """Return the k best of `keys`, whose embeddings are the rows of `vectors`, and their scores, best first.

    A row's score does not depend on the other rows (that of a matrix product does), so every candidate set gives the
    same result. Scores equal to six decimals are ties, ordered by key.
    """
    scores = (vectors * query).sum(axis=1)
    order = best_first(scores, keys)[:k]
    return keys[order], scores[order]


def best_first(scores: Vectors, keys: Keys) -> NDArray[np.int64]:
    """Return the positions that sort hits: highest score first, ties (equal to six decimals) by key."""
    return np.lexsort((keys, -np.round(scores, 6)))


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
