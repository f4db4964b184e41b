"""Random items for the start page: varied ones, so that it shows the whole shop instead of twenty white chairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Filter
from imgsearch.core.records import Item
from imgsearch.store.catalog import CatalogStore


def sample_items(
    catalog: CatalogStore,
    n: int,
    *,
    seed: int,
    filters: Sequence[Filter] = (),
    without: NDArray[np.uint64] | None = None,
) -> list[Item]:
    """Return up to n items, far apart (greedy k-centre of random ones, Gonzalez 1985); a seed repeats them."""
    keys = catalog.metadata.keys_matching(filters)
    if without is not None and len(without):
        keys = np.setdiff1d(keys, without, assume_unique=True)
    rng = np.random.default_rng(seed)
    candidates = keys[rng.permutation(len(keys))[: max(n * 6, 60)]]
    if len(candidates) <= n or n < 1:
        return catalog.by_keys(candidates[:n])
    vectors = catalog.vectors(candidates)
    chosen = [0]
    similarity = vectors @ vectors[0]  # of each candidate to the chosen one most similar to it
    for _ in range(n - 1):
        similarity[chosen[-1]] = np.inf
        farthest = int(np.argmin(similarity))
        chosen.append(farthest)
        similarity = np.maximum(similarity, vectors @ vectors[farthest])
    return catalog.by_keys(candidates[rng.permutation(chosen)])
