"""Exact scores and the order of hits: re-ranking the candidates that an index found.

numkong, the kernel library under usearch, compares a vector with 128 float16 rows in 4 microseconds; numpy takes 90,
mostly to convert the rows.
"""

from __future__ import annotations

import numkong
import numpy as np
from numpy.typing import NDArray

from imgsearch.index.base import Keys, ReadRows, Vectors

__all__ = ["best_first", "ranked", "rerank_candidates"]


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
