"""The usearch engine: an HNSW graph over float16 vectors, cosine; and the graph itself, which other engines use.

The only file that imports usearch. It owns the engine's parameters and its traps: dtype and metric are always
explicit, `expansion_search` is set again after a load, and every call holds one lock, because usearch grows its
buffers while adding without waiting for searches (a search takes about 0.2 ms, an add is fed in small pieces).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from imgsearch.core.errors import IndexCorrupt
from imgsearch.index.base import Keys, Vectors

__all__ = ["Graph", "UsearchIndex"]

_ADD_AT_ONCE = 64
_BUILD_AT_ONCE = 2048
"""What nobody searches yet is fed in larger pieces: threads wait for each other at the end of each."""
_WORTH_THREADS = 1024
"""Fewer vectors than this are added in one thread, which is as fast for them."""
_SELF_DISTANCE = 0.005
"""No vector is farther than this from itself in float16: one whose nearest is farther was not found at all."""
_EFFORT_TO_FIND_ITSELF = 32


class Graph:
    """HNSW after Malkov & Yashunin (2018), as implemented by usearch, over rows of any type that it compares."""

    def __init__(
        self,
        width: int,
        *,
        metric: str,
        dtype: str,
        connectivity: int,
        expansion_add: int,
        expansion_search: int,
        threads: int,
        self_distance: float = 0.0,
    ) -> None:
        """Make an empty graph of rows of `width` numbers (or bits) that are compared by usearch's `metric`.

        `connectivity` is HNSW's M, `expansion_add` its ef_construction and `expansion_search` its ef. No row is
        farther than `self_distance` from itself.
        """
        self._threads = threads
        self._self_distance = self_distance
        self._dtype = dtype
        self._searched = False
        self._lock = threading.Lock()
        self._index: Any = Index(
            ndim=width,
            metric=metric,
            dtype=dtype,
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
        )

    @property
    def parameters(self) -> dict[str, int]:
        """HNSW's settings, under the names that the constructor takes."""
        return {
            "connectivity": int(self._index.connectivity),
            "expansion_add": int(self._index.expansion_add),
            "expansion_search": int(self._index.expansion_search),
        }

    def load(self, path: Path) -> None:
        """Take over the graph saved at `path`, whose checksum the caller has verified.

        usearch itself checks nothing: flipped bytes crash the process at the next search. Raises `IndexCorrupt`
        when the file is missing or is a graph of other rows.
        """
        try:
            described = Index.metadata(str(path))
        except (ValueError, RuntimeError):
            described = None
        if described is None:
            raise IndexCorrupt(f"{path} is not a usearch index file.")
        expansion_add, expansion_search = self._index.expansion_add, self._index.expansion_search
        width, kind = self._index.ndim, self._index.dtype
        self._index.load(str(path))
        if (self._index.ndim, self._index.dtype) != (width, kind):
            raise IndexCorrupt(
                f"{path} holds {self._index.dtype} vectors of {self._index.ndim} dimensions, not {kind} of {width}."
            )
        self._index.expansion_add, self._index.expansion_search = expansion_add, expansion_search

    @property
    def expansion_search(self) -> int:
        """HNSW's ef: more finds more of the true neighbours, more slowly."""
        return int(self._index.expansion_search)

    @expansion_search.setter
    def expansion_search(self, value: int) -> None:
        with self._lock:
            self._index.expansion_search = value

    def __len__(self) -> int:
        return len(self._index)

    def keys(self) -> Keys:
        """Return all live keys, ascending."""
        with self._lock:
            if len(self._index) == 0:
                return np.zeros(0, np.uint64)
            return np.sort(np.asarray(self._index.keys, dtype=np.uint64))

    def add(self, keys: Keys, rows: NDArray[Any]) -> None:
        """Add (n,) new keys with their (n, ...) rows; a key that is already there raises ValueError."""
        threads = self._threads if len(keys) >= _WORTH_THREADS else 1
        at_once = _ADD_AT_ONCE if self._searched else _BUILD_AT_ONCE
        for start in range(0, len(keys), at_once):
            part = slice(start, start + at_once)
            with self._lock:
                try:
                    self._index.add(keys[part], rows[part], threads=threads, dtype=self._dtype)
                except RuntimeError as error:
                    raise ValueError(f"the index refused the keys: {error}") from error
                if threads > 1:
                    self._link_lost(keys[part], rows[part])

    def _link_lost(self, keys: Keys, rows: NDArray[Any]) -> None:
        """Add again, in one thread, what no path of the graph leads to.

        Threads that add at the same time undo each other's links now and then: about one vector in 20,000 would
        be there but never found.
        """
        usual = self._index.expansion_search
        self._index.expansion_search = min(usual, _EFFORT_TO_FIND_ITSELF)
        lost = self._not_found(keys, rows)
        self._index.expansion_search = usual
        if lost.any():
            lost[lost] = self._not_found(keys[lost], rows[lost])
        if lost.any():
            self._index.remove(keys[lost])
            self._index.add(keys[lost], rows[lost], threads=1, dtype=self._dtype)

    def _not_found(self, keys: Keys, rows: NDArray[Any]) -> NDArray[np.bool_]:
        found = self._index.search(rows, 1, threads=self._threads, dtype=self._dtype)
        return np.asarray(found.distances.reshape(len(keys), -1)[:, 0] > self._self_distance)

    def remove(self, keys: Keys) -> None:
        """Forget the keys; unknown ones are ignored."""
        if len(keys) == 0:
            return
        with self._lock:
            self._index.remove(keys)

    def search(self, row: NDArray[Any], k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, distances) near a row, nearest first.

        `expansion` is HNSW's ef for this one search, `expansion_search` where it is None; never less than k.
        """
        self._searched = True
        with self._lock:
            k = min(k, len(self._index))
            if k <= 0:
                return np.zeros(0, np.uint64), np.zeros(0, np.float32)
            usual = self._index.expansion_search
            effort = max(k, usual if expansion is None else expansion)
            if effort != usual:
                self._index.expansion_search = effort
            try:
                matches = self._index.search(row, k, threads=1, dtype=self._dtype)
            finally:
                if effort != usual:
                    self._index.expansion_search = usual
        return np.asarray(matches.keys, np.uint64), np.asarray(matches.distances, np.float32)

    def save(self, path: Path) -> None:
        """Write the graph to one file."""
        with self._lock:
            self._index.save(str(path))


class UsearchIndex:
    """A graph over the vectors themselves, in float16, compared by cosine."""

    engine = "usearch"
    made_for = 0
    """It suits any number of items."""

    def __init__(
        self,
        dim: int,
        *,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 128,
        threads: int = 1,
    ) -> None:
        """Make an empty index of `dim` dimensions; the rest is as in `Graph`."""
        self._dim = dim
        self._graph = Graph(
            dim,
            metric="cos",
            dtype="f16",
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
            threads=threads,
            self_distance=_SELF_DISTANCE,
        )

    @classmethod
    def load(cls, path: Path, dim: int, *, threads: int = 1, **parameters: Any) -> UsearchIndex:
        """Return the index saved at `path`, whose checksum the caller has verified.

        Raises `IndexCorrupt` when the file is missing or is an index of another dimension or dtype.
        """
        index = cls(dim, threads=threads, **graph_settings(parameters))
        index._graph.load(path)
        return index

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._dim

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine and its settings, for the header."""
        return {"engine": self.engine, "metric": "cos", "dtype": "f16", **self._graph.parameters}

    @property
    def expansion_search(self) -> int:
        """HNSW's ef: more finds more of the true neighbours, more slowly."""
        return self._graph.expansion_search

    @expansion_search.setter
    def expansion_search(self, value: int) -> None:
        self._graph.expansion_search = value

    def __len__(self) -> int:
        """Return the number of live keys."""
        return len(self._graph)

    def keys(self) -> Keys:
        """Return all live keys, ascending."""
        return self._graph.keys()

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; a key that is already there raises ValueError."""
        check_rows(keys, vectors, self._dim)
        self._graph.add(keys, vectors.astype(np.float16))

    def remove(self, keys: Keys) -> None:
        """Forget the keys; unknown ones are ignored."""
        self._graph.remove(keys)

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is HNSW's ef for this one search, `expansion_search` where it is None; never less than k.
        """
        keys, distances = self._graph.search(vector.astype(np.float16), k, expansion=expansion)
        return keys, 1.0 - distances

    def save(self, path: Path) -> None:
        """Write the index to one file."""
        self._graph.save(path)


def graph_settings(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Return those of a header's parameters that `Graph` takes: HNSW's settings."""
    names = ("connectivity", "expansion_add", "expansion_search")
    return {name: int(parameters[name]) for name in names if name in parameters}


def check_rows(keys: Keys, vectors: Vectors, dim: int) -> None:
    """Raise ValueError unless there are as many finite rows of `dim` numbers as keys."""
    if vectors.shape != (len(keys), dim) or not np.isfinite(vectors).all():
        raise ValueError(f"expected {len(keys)} finite rows of {dim} numbers, got {vectors.shape}")
