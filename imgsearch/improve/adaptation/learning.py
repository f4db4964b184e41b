"""Learning a head: graded lists and pairs of vectors in, the two low-rank matrices out.

It owns the loss and its optimisation, and is the only part besides the encoders that loads torch, when it is called.
It knows rows of numbers only: no catalog, no feedback, no files.

The loss over a query's list is the cross entropy between its relevances and the softmax of its cosines (ListNet:
Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML 2007), with random rows of the
catalog as further negatives; with one relevant row it is InfoNCE (van den Oord, Li and Vinyals, "Representation
Learning with Contrastive Predictive Coding", 2018), by which pairs are learned against the others of their batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["Basis", "Lesson", "learn", "principal_basis"]

Rows = NDArray[np.float32]
Places = NDArray[np.int64]

TEMPERATURE = 0.1
LISTS_AT_ONCE = 64
PAIRS_AT_ONCE = 64
NEGATIVES_AT_ONCE = 64
LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.01
PAIRS_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class Basis:
    """The directions in which a head may move rows: `mean` (dim,), `axes` (dim, m) with orthonormal columns."""

    mean: Rows
    axes: Rows


@dataclass(frozen=True, eq=False)
class Lesson:
    """What to learn from; every other array points into `rows`, (n, dim) float32 unit rows.

    Query `queries[i]` has the list `lists[i]`, -1 where it is shorter than the longest, and wants the shares
    `targets[i]` of it, which sum to 1. `pairs` (p, 2) belong together; `negatives` are rows of the catalog.
    """

    rows: Rows
    queries: Places
    lists: Places
    targets: Rows
    pairs: Places
    negatives: Places


def principal_basis(rows: Rows, size: int) -> Basis:
    """Return the mean and the `size` principal axes of the rows, fewer where they have no more dimensions."""
    mean = rows.mean(axis=0)
    centred = rows - mean
    values, axes = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-values)[:size]
    return Basis(mean.astype(np.float32), np.ascontiguousarray(axes[:, order], np.float32))


def learn(
    lesson: Lesson,
    basis: Basis,
    *,
    rank: int,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Rows, Rows]:
    """Return `u` and `v`, (dim, rank) float32 each: the same ones for the same seed on the same machine."""
    import torch

    threads = torch.get_num_threads()
    # The products are too small to share: two threads would mostly wait for each other.
    torch.set_num_threads(1)
    try:
        return _learn(lesson, basis, rank=rank, steps=steps, seed=seed, progress=progress)
    finally:
        torch.set_num_threads(threads)


def _learn(
    lesson: Lesson,
    basis: Basis,
    *,
    rank: int,
    steps: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[Rows, Rows]:
    import torch

    rng = np.random.default_rng(seed)
    rows, axes = torch.from_numpy(lesson.rows), torch.from_numpy(basis.axes)
    # A row x moves by z u v^T, all inside the basis; what is compared needs only these few numbers of each row,
    # and the cosines that the rows have before they are moved.
    inside = rows @ axes
    centred = inside - torch.from_numpy(basis.mean) @ axes
    places = np.where(lesson.lists < 0, 0, lesson.lists)
    cosines = torch.from_numpy(_list_cosines(lesson.rows, lesson.queries, places))
    absent = torch.from_numpy(lesson.lists < 0)
    targets = torch.from_numpy(lesson.targets)
    size = basis.axes.shape[1]
    generator = torch.Generator().manual_seed(seed)
    u = (torch.randn(size, rank, generator=generator) / size**0.5).requires_grad_()
    v = torch.zeros(size, rank).requires_grad_()
    optimiser = torch.optim.AdamW([u, v], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    def moved(rows: Places) -> _Moved:
        chosen = torch.from_numpy(rows)
        return _Moved.of(centred[chosen] @ u, inside[chosen] @ v, v.T @ v)

    for step in range(steps):
        loss = torch.zeros(())
        if len(lesson.queries):
            batch = rng.integers(0, len(lesson.queries), LISTS_AT_ONCE)
            asked = lesson.queries[batch]
            query, listed = moved(asked), moved(places[batch].ravel())
            in_list = query.scores_of_lists(listed, cosines[torch.from_numpy(batch)])
            in_list = in_list.masked_fill(absent[torch.from_numpy(batch)], -1e4)
            others = rng.choice(lesson.negatives, NEGATIVES_AT_ONCE)
            beyond = query.scores(moved(others), _cosines(rows, asked, others))
            likely = torch.log_softmax(torch.cat([in_list, beyond], 1) / TEMPERATURE, 1)
            loss = -(targets[torch.from_numpy(batch)] * likely[:, : in_list.shape[1]]).sum(1).mean()
        if len(lesson.pairs):
            left, right = lesson.pairs[rng.integers(0, len(lesson.pairs), PAIRS_AT_ONCE)].T
            scores = moved(left).scores(moved(right), _cosines(rows, left, right)) / TEMPERATURE
            wanted = torch.arange(len(left))
            loss = loss + PAIRS_WEIGHT * torch.nn.functional.cross_entropy(scores, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if progress:
            progress(step + 1, steps)
    return _outside(basis.axes, u), _outside(basis.axes, v)


@dataclass(frozen=True, eq=False)
class _Moved:
    """Rows moved by the head, as the few numbers that their cosines need: x + v a has the length `length`."""

    a: torch.Tensor
    b: torch.Tensor
    square: torch.Tensor
    length: torch.Tensor

    @staticmethod
    def of(a: torch.Tensor, b: torch.Tensor, square: torch.Tensor) -> _Moved:
        """Return rows of which a = (x - mean) u and b = x v; `square` is v^T v."""
        lengths = (1.0 + 2.0 * (a * b).sum(1) + ((a @ square) * a).sum(1)).clamp_min(1e-6).sqrt()
        return _Moved(a, b, square, lengths)

    def scores(self, other: _Moved, cosines: torch.Tensor) -> torch.Tensor:
        """Return the cosines of all with all, from those before the rows were moved."""
        dots = cosines + self.b @ other.a.T + self.a @ other.b.T + self.a @ self.square @ other.a.T
        return dots / (self.length[:, None] * other.length[None, :])

    def scores_of_lists(self, listed: _Moved, cosines: torch.Tensor) -> torch.Tensor:
        """Return the cosines of each row with its own list, (n, list); `listed` has the lists one after another."""
        n, rank = self.a.shape
        a, b = listed.a.view(n, -1, rank), listed.b.view(n, -1, rank)
        ours = self.b + self.a @ self.square
        dots = cosines + (a @ ours[:, :, None])[:, :, 0] + (b @ self.a[:, :, None])[:, :, 0]
        return dots / (self.length[:, None] * listed.length.view(n, -1))


def _list_cosines(rows: Rows, queries: Places, lists: Places) -> Rows:
    """Return the cosines of each query with its list, (queries, list); a query at a time, to keep memory small."""
    cosines = np.zeros(lists.shape, np.float32)
    for number, (query, listed) in enumerate(zip(queries, lists, strict=True)):
        cosines[number] = rows[listed] @ rows[query]
    return cosines


def _cosines(rows: torch.Tensor, left: Places, right: Places) -> torch.Tensor:
    """Return the cosines of all with all; by torch, for numpy's threads spin at products as small as these."""
    import torch

    return rows[torch.from_numpy(left)] @ rows[torch.from_numpy(right)].T


def _outside(axes: Rows, inside: torch.Tensor) -> Rows:
    """Return a matrix of the basis as one of the whole space."""
    return np.asarray(axes @ inside.detach().numpy(), np.float32)
