"""The usearch engine: an HNSW graph over float16 vectors, cosine.

The only file that imports usearch. It owns the engine's parameters and its traps: dtype and metric are always
explicit, `expansion_search` is set again after a load, and every call holds one lock, because usearch grows its
buffers while adding without waiting for searches (a search takes about 0.2 ms, an add is fed in small pieces).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from imgsearch.errors import IndexCorrupt
from imgsearch.indexes.base import Keys, Vectors

__all__ = ["UsearchIndex"]

_ADD_AT_ONCE = 64
_WORTH_THREADS = 1024
"""Fewer vectors than this are added in one thread, which is as fast for them."""
_SELF_DISTANCE = 0.005
"""No vector is farther than this from itself in float16: one whose nearest is farther was not found at all."""


class UsearchIndex:
    """HNSW after Malkov & Yashunin (2018), as implemented by usearch."""

    def __init__(
        self,
        dim: int,
        *,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 128,
        threads: int = 1,
    ) -> None:
        """Make an empty index of `dim` dimensions.

        `connectivity` is HNSW's M, `expansion_add` its ef_construction and `expansion_search` its ef.
        """
        self._dim = dim
        self._threads = threads
        self._lock = threading.Lock()
        self._index: Any = Index(
            ndim=dim,
            metric="cos",
            dtype="f16",
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
        )

    @classmethod
    def load(cls, path: Path, dim: int, *, threads: int = 1, **parameters: Any) -> UsearchIndex:
        """Return the index saved at `path`, whose checksum the caller has verified.

        usearch itself checks nothing: flipped bytes crash the process at the next search. Raises `IndexCorrupt`
        when the file is missing or is an index of another dimension or dtype.
        """
        try:
            described = Index.metadata(str(path))
        except (ValueError, RuntimeError):
            described = None
        if described is None:
            raise IndexCorrupt(f"{path} is not a usearch index file.")
        known = {"connectivity", "expansion_add", "expansion_search"}
        index = cls(dim, threads=threads, **{name: parameters[name] for name in known & parameters.keys()})
        expansion_add, expansion_search = index._index.expansion_add, index._index.expansion_search
        index._index.load(str(path))
        if index._index.ndim != dim or "f16" not in str(index._index.dtype).lower():
            raise IndexCorrupt(
                f"{path} holds {index._index.dtype} vectors of {index._index.ndim} dimensions, not f16 of {dim}."
            )
        index._index.expansion_add, index._index.expansion_search = expansion_add, expansion_search
        return index

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._dim

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine and its settings, for the header."""
        return {
            "engine": "usearch",
            "metric": "cos",
            "dtype": "f16",
            "connectivity": int(self._index.connectivity),
            "expansion_add": int(self._index.expansion_add),
            "expansion_search": int(self._index.expansion_search),
        }

    @property
    def expansion_search(self) -> int:
        """HNSW's ef: more finds more of the true neighbours, more slowly."""
        return int(self._index.expansion_search)

    @expansion_search.setter
    def expansion_search(self, value: int) -> None:
        with self._lock:
            self._index.expansion_search = value

    def __len__(self) -> int:
        """Return the number of live keys."""
        return len(self._index)

    def keys(self) -> Keys:
        """Return all live keys, ascending."""
        with self._lock:
            if len(self._index) == 0:
                return np.zeros(0, np.uint64)
            return np.sort(np.asarray(self._index.keys, dtype=np.uint64))

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; a key that is already there raises ValueError."""
        if vectors.shape != (len(keys), self._dim) or not np.isfinite(vectors).all():
            raise ValueError(f"expected {len(keys)} finite rows of {self._dim} numbers, got {vectors.shape}")
        threads = self._threads if len(keys) >= _WORTH_THREADS else 1
        for start in range(0, len(keys), _ADD_AT_ONCE):
            part = slice(start, start + _ADD_AT_ONCE)
            with self._lock:
                rows = vectors[part].astype(np.float16)
                try:
                    self._index.add(keys[part], rows, threads=threads)
                except RuntimeError as error:
                    raise ValueError(f"the index refused the keys: {error}") from error
                if threads > 1:
                    self._link_lost(keys[part], rows)

    def _link_lost(self, keys: Keys, rows: NDArray[np.float16]) -> None:
        """Add again, in one thread, what no path of the graph leads to.

        Threads that add at the same time undo each other's links now and then: about one vector in 20,000 would
        be there but never found.
        """
        nearest = self._index.search(rows, 1, threads=self._threads).distances.reshape(len(keys), -1)[:, 0]
        lost = nearest > _SELF_DISTANCE
        if lost.any():
            self._index.remove(keys[lost])
            self._index.add(keys[lost], rows[lost], threads=1)

    def remove(self, keys: Keys) -> None:
        """Forget the keys; unknown ones are ignored."""
        if len(keys) == 0:
            return
        with self._lock:
            self._index.remove(keys)

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is HNSW's ef for this one search, `expansion_search` where it is None; never less than k.
        """
        with self._lock:
            k = min(k, len(self._index))
            if k <= 0:
                return np.zeros(0, np.uint64), np.zeros(0, np.float32)
            usual = self._index.expansion_search
            effort = max(k, usual if expansion is None else expansion)
            if effort != usual:
                self._index.expansion_search = effort
            try:
                matches = self._index.search(vector.astype(np.float16), k, threads=1)
            finally:
                if effort != usual:
                    self._index.expansion_search = usual
        return np.asarray(matches.keys, np.uint64), 1.0 - np.asarray(matches.distances, np.float32)

    def save(self, path: Path) -> None:
        """Write the index to one file."""
        with self._lock:
            self._index.save(str(path))
