"""The training part of the data as arrays: ranked lists with targets, pairs, and negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.improve.adaptation.training_data import LabeledQuery, TrainingData
from imgsearch.index.vector_space import VectorSpace

__all__ = ["TrainingSet", "training_set"]

Rows = NDArray[np.float32]
Places = NDArray[np.int64]

MAX_ITEMS_PER_TITLE = 3
MAX_PRODUCT_PAIRS = 5_000
HALF_TRUST = 40.0
"""A relevance known from this many examined impressions is learned at half its value.

With 30 visits a query, a single click at a low rank would otherwise outweigh the clicks of dozens of visitors
(`scripts/simulate_adaptation.py --kinds clicks --visits 30`).
"""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The other arrays hold row numbers of `rows`, (n, dim) float32 unit rows.

    Query `queries[i]` has the list `lists[i]`, padded with -1, with the targets `targets[i]`, which sum to 1. `pairs`
    (p, 2) are positives: first `text_pairs` of a title and a photo, then `product_pairs` of two photos. `negatives`
    are rows of the catalog.
    """

    rows: Rows
    queries: Places
    lists: Places
    targets: Rows
    pairs: Places
    negatives: Places
    text_pairs: int
    product_pairs: int


def training_set(base: VectorSpace, data: TrainingData) -> TrainingSet:
    """Return the arrays of the training part."""
    queries = data.queries_of("train")
    titles = [group for group in data.titles if group.part == "train"]
    products = [group for group in data.products if group.part == "train"]
    listed = [query.keys for query in queries] + [group.keys for group in (*titles, *products)]
    keys = np.unique(np.concatenate([data.sample, *listed]))
    rows = base.vectors(keys)
    # Rows that are damaged on disk have no direction; the first sound row takes their place.
    sound = np.linalg.norm(rows, axis=1) > 0.5
    rows[~sound] = rows[np.argmax(sound)]
    first_title = len(keys) + len(queries)
    text_pairs = [
        (first_title + number, int(row))
        for number, group in enumerate(titles)
        for row in np.searchsorted(keys, group.keys[:MAX_ITEMS_PER_TITLE])
    ]
    product_rows = [np.searchsorted(keys, group.keys).tolist() for group in products]
    product_pairs = [pair for photos in product_rows for pair in pairwise(photos)][:MAX_PRODUCT_PAIRS]
    lists, targets = _ranked_lists(queries, keys)
    texts = [group.text for group in titles if group.text is not None]
    return TrainingSet(
        rows=np.stack([*rows, *(query.vector for query in queries), *texts]),
        queries=np.arange(len(keys), first_title),
        lists=lists,
        targets=targets,
        pairs=np.array(text_pairs + product_pairs, np.int64).reshape(-1, 2),
        negatives=np.searchsorted(keys, data.sample),
        text_pairs=len(text_pairs),
        product_pairs=len(product_pairs),
    )


def _ranked_lists(queries: Sequence[LabeledQuery], keys: Keys) -> tuple[Places, Rows]:
    """Return each query's items, padded with -1, and their targets: relevance above the query's mean, normalised."""
    longest = max(len(query.keys) for query in queries)
    lists = np.full((len(queries), longest), -1, np.int64)
    targets = np.zeros((len(queries), longest), np.float32)
    for number, query in enumerate(queries):
        lists[number, : len(query.keys)] = np.searchsorted(keys, query.keys)
        mean = np.average(query.relevances, weights=query.weights)
        above = np.clip(query.relevances - mean, 0.0, None) * query.weights / (query.weights + HALF_TRUST)
        targets[number, : len(query.keys)] = above / max(float(above.sum()), 1e-6)
    return lists, targets
