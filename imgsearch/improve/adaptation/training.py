"""Trains a head, two low-rank matrices, by torch on the arrays of a `TrainingSet`.

The loss of a query's list is the cross entropy between its targets and the softmax of its cosines (ListNet: Cao et
al., ICML 2007), with random rows of the catalog as further negatives. Pairs have the InfoNCE loss against the other
pairs of their batch (van den Oord, Li and Vinyals, arXiv:1807.03748, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from imgsearch.core.background import Progress
from imgsearch.core.key_arrays import Keys
from imgsearch.encoders.device import torch_threads
from imgsearch.improve.adaptation.training_data import LabeledQuery, TrainingData
from imgsearch.index.vector_space import Rows, VectorSpace

Places = NDArray[np.int64]

TEMPERATURE = 0.1
LIST_BATCH = 64
PAIR_BATCH = 64
NEGATIVE_BATCH = 64
LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.01
PAIRS_WEIGHT = 0.5
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


@dataclass(frozen=True, eq=False)
class Basis:
    """The subspace in which a head moves rows: `mean` (dim,), `axes` (dim, m) with orthonormal columns."""

    mean: Rows
    axes: Rows


def principal_basis(rows: Rows, size: int) -> Basis:
    """Return the mean and the `size` principal axes of the rows, at most as many as they have dimensions."""
    mean = rows.mean(axis=0)
    centred = rows - mean
    values, axes = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-values)[:size]
    return Basis(mean.astype(np.float32), np.ascontiguousarray(axes[:, order], np.float32))


# The products are too small to share: two threads would mostly wait for each other.
@torch_threads(1)
def train_head(
    data: TrainingSet, basis: Basis, *, rank: int, steps: int, seed: int = 0, progress: Progress | None = None
) -> tuple[Rows, Rows]:
    """Return `u` and `v`, (dim, rank) float32 each, equal for the same seed on the same machine."""
    rng = np.random.default_rng(seed)
    size = basis.axes.shape[1]
    generator = torch.Generator().manual_seed(seed)
    u = (torch.randn(size, rank, generator=generator) / size**0.5).requires_grad_()
    v = torch.zeros(size, rank).requires_grad_()
    losses = _Losses(data, basis, u, v)
    optimiser = torch.optim.AdamW([u, v], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        loss = torch.zeros(())
        if len(data.queries):
            batch = rng.integers(0, len(data.queries), LIST_BATCH)
            loss = losses.of_lists(batch, rng.choice(data.negatives, NEGATIVE_BATCH))
        if len(data.pairs):
            pairs = data.pairs[rng.integers(0, len(data.pairs), PAIR_BATCH)]
            loss = loss + PAIRS_WEIGHT * losses.of_pairs(pairs)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
    inside = torch.stack([u, v]).detach().numpy()
    return np.asarray(basis.axes @ inside[0], np.float32), np.asarray(basis.axes @ inside[1], np.float32)


class _Losses:
    """The losses of batches under the current `u` and `v`.

    A row x moves by z u v^T, all inside the basis, so cosines need few numbers of each row and its cosine before.
    """

    def __init__(self, data: TrainingSet, basis: Basis, u: torch.Tensor, v: torch.Tensor) -> None:
        self._queries, self._u, self._v = data.queries, u, v
        self._rows, axes = torch.from_numpy(data.rows), torch.from_numpy(basis.axes)
        self._inside = self._rows @ axes
        self._centred = self._inside - torch.from_numpy(basis.mean) @ axes
        self._lists = np.where(data.lists < 0, 0, data.lists)
        # One query at a time, to save memory.
        lists = zip(data.queries, self._lists, strict=True)
        cosines = [data.rows[listed] @ data.rows[query] for query, listed in lists]
        self._list_cosines = torch.from_numpy(np.array(cosines, np.float32).reshape(self._lists.shape))
        self._padding = torch.from_numpy(data.lists < 0)
        self._targets = torch.from_numpy(data.targets)

    def of_lists(self, batch: Places, negatives: Places) -> torch.Tensor:
        """Return the ListNet loss of the queries numbered `batch`."""
        chosen = torch.from_numpy(batch)
        queries = self._moved(self._queries[batch])
        scores = queries.scores_of_lists(self._moved(self._lists[batch].ravel()), self._list_cosines[chosen])
        scores = scores.masked_fill(self._padding[chosen], -1e4)
        others = queries.scores(self._moved(negatives), self._cosines(self._queries[batch], negatives))
        likelihoods = torch.log_softmax(torch.cat([scores, others], 1) / TEMPERATURE, 1)
        return -(self._targets[chosen] * likelihoods[:, : scores.shape[1]]).sum(1).mean()

    def of_pairs(self, pairs: Places) -> torch.Tensor:
        """Return the InfoNCE loss of (n, 2) pairs."""
        left, right = pairs.T
        scores = self._moved(left).scores(self._moved(right), self._cosines(left, right)) / TEMPERATURE
        return torch.nn.functional.cross_entropy(scores, torch.arange(len(left)))

    def _moved(self, rows: Places) -> _MovedRows:
        chosen = torch.from_numpy(rows)
        a, b = self._centred[chosen] @ self._u, self._inside[chosen] @ self._v
        square = self._v.T @ self._v
        lengths = (1.0 + 2.0 * (a * b).sum(1) + ((a @ square) * a).sum(1)).clamp_min(1e-6).sqrt()
        return _MovedRows(a, b, square, lengths)

    def _cosines(self, left: Places, right: Places) -> torch.Tensor:
        """Return all cosines before the move; by torch, because numpy's threads spin at such small products."""
        return self._rows[torch.from_numpy(left)] @ self._rows[torch.from_numpy(right)].T


@dataclass(frozen=True, eq=False)
class _MovedRows:
    """Rows x moved by the head, as what their cosines need: a = (x - mean) u, b = x v, v^T v, and the lengths."""

    a: torch.Tensor
    b: torch.Tensor
    square: torch.Tensor
    length: torch.Tensor

    def scores(self, other: _MovedRows, cosines: torch.Tensor) -> torch.Tensor:
        """Return the cosines of all with all, from those before the move."""
        dots = cosines + self.b @ other.a.T + self.a @ other.b.T + self.a @ self.square @ other.a.T
        return dots / (self.length[:, None] * other.length[None, :])

    def scores_of_lists(self, listed: _MovedRows, cosines: torch.Tensor) -> torch.Tensor:
        """Return the cosines of each row with its own list, (n, list); `listed` holds the concatenated lists."""
        n, rank = self.a.shape
        a, b = listed.a.view(n, -1, rank), listed.b.view(n, -1, rank)
        own = self.b + self.a @ self.square
        dots = cosines + (a @ own[:, :, None])[:, :, 0] + (b @ self.a[:, :, None])[:, :, 0]
        return dots / (self.length[:, None] * listed.length.view(n, -1))
