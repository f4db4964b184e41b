"""Protocols of the engines: approximate nearest neighbours by cosine over uint64 keys.

Every engine is safe to search, grow and shrink from several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys

Vectors = NDArray[np.float32]
ReadRows = Callable[[Keys], NDArray[np.float16]]
"""Returns the stored (n, dim) float16 unit rows of keys, in their order."""


@dataclass(frozen=True, slots=True)
class VectorSource:
    """The vectors that a new index is made for: about `items` of `dim` numbers.

    `sample(n)` returns up to n of them, (n, dim), to train on.
    """

    dim: int
    items: int
    read_rows: ReadRows
    sample: Callable[[int], Vectors]


class VectorIndex(Protocol):
    """An approximate nearest-neighbour index; `imgsearch.index.engines` has the table of its engines."""

    made_for: int
    """How many items the index was trained for; 0 where it suits any number."""
    expansion_search: int
    """The search effort, in the engine's own unit: HNSW's ef, or the number of re-ranked candidates."""

    @classmethod
    def create(cls, source: VectorSource, *, threads: int = 1, **parameters: Any) -> Self:
        """Return an empty index; missing parameters have the engine's defaults."""

    @classmethod
    def load(cls, path: Path, dim: int, read_rows: ReadRows, *, threads: int = 1, **parameters: Any) -> Self:
        """Return the index saved at `path` with these parameters; the caller has verified its checksum.

        Raises `IndexCorrupt` where a file is missing, damaged or of another kind or dimension.
        """

    @property
    def dim(self) -> int:
        """The length of a vector."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine's name and settings, for the generation's header."""

    def __len__(self) -> int:
        """Return the number of live keys."""

    def keys(self) -> Keys:
        """Return all live keys, ascending."""

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; raises ValueError if a key is already present."""

    def remove(self, keys: Keys) -> None:
        """Remove keys; unknown ones are ignored."""

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is the search effort of this one search, `expansion_search` where it is None; never less than k.
        """

    def save(self, path: Path) -> None:
        """Write the index to `path`."""


@runtime_checkable
class SubsetSearch(Protocol):
    """An engine that can search a subset of its keys, and that re-ranks candidates found by their codes."""

    def candidates_for(self, n: int, *, cross_modal: bool) -> int:
        """Return how many candidates to re-rank so that the n nearest are among them.

        A `cross_modal` query (text against photos) is far from all items, so their codes differ by little.
        """

    def subset_search_pays(self, items: int, expansion: int) -> bool:
        """Return whether searching a subset of `items` keys is faster than comparing all of them exactly."""

    def search_subset(self, vector: Vectors, k: int, subset: Keys, *, expansion: int) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) of the subset near a (dim,) vector, best first.

        `expansion` is the number of candidates to re-rank. `subset` is ascending; it is cached by identity, so the
        caller must not change the array.
        """


def are_unit(rows: Vectors) -> NDArray[np.bool_]:
    """Return which of the (n, dim) rows have length 1; rows damaged on disk do not, and cannot be compared."""
    return np.asarray(np.abs(np.linalg.norm(rows, axis=1) - 1.0) < 0.05)


def check_rows(keys: Keys, vectors: Vectors, dim: int) -> None:
    """Raise ValueError unless there are as many finite rows of `dim` numbers as keys."""
    if vectors.shape != (len(keys), dim) or not np.isfinite(vectors).all():
        raise ValueError(f"expected {len(keys)} finite rows of {dim} numbers, got {vectors.shape}")
