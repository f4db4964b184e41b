"""HNSW graphs by usearch: the base class of the graph engines, and the engine over float16 vectors.

The only file that imports usearch, with its traps: dtype and metric are always explicit, `expansion_search` is set
again after a load, and every call holds one lock, because usearch grows its buffers while adding without waiting for
searches (a search takes about 0.2 ms, and adds come in small batches).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from imgsearch.core.errors import IndexCorrupt
from imgsearch.core.key_arrays import Keys
from imgsearch.index.base import ReadRows, Vectors, VectorSource, check_rows

_SETTINGS = ("connectivity", "expansion_add", "expansion_search")
_ADD_BATCH = 64
_BUILD_BATCH = 2048
"""Before the first search, rows are added in larger batches: threads wait for each other at the end of each."""
_MIN_ROWS_FOR_THREADS = 1024  # one thread adds fewer rows as fast as several
_SELF_DISTANCE = 0.005
"""The largest cosine distance of a vector from itself in float16; a larger one means that it was not found."""
_SELF_SEARCH_EXPANSION = 32


class HnswGraph:
    """An HNSW graph (Malkov & Yashunin, PAMI 2018) over rows of any type that usearch compares.

    A subclass says how vectors become rows (`encode`) and how distances become scores (`search`).
    """

    made_for = 0

    def __init__(
        self,
        dim: int,
        width: int,
        *,
        metric: str,
        dtype: str,
        threads: int,
        self_distance: float = 0.0,
        **settings: Any,
    ) -> None:
        """Make an empty graph of rows of `width` numbers (or bits), compared by usearch's `metric`.

        `settings` are `connectivity` (HNSW's M), `expansion_add` (ef_construction) and `expansion_search` (ef). No
        row is farther than `self_distance` from itself.
        """
        self.dim = dim
        self._threads = threads
        self._self_distance = self_distance
        self._dtype = dtype
        self._searched = False
        self._lock = threading.Lock()
        self._graph: Any = Index(ndim=width, metric=metric, dtype=dtype, **settings)

    def encode(self, vectors: Vectors) -> NDArray[Any]:
        """Return the (n, ...) rows of the graph for (n, dim) unit vectors."""
        raise NotImplementedError

    @property
    def graph_parameters(self) -> dict[str, int]:
        """HNSW's settings, under the names that the constructor takes."""
        return {name: int(getattr(self._graph, name)) for name in _SETTINGS}

    @property
    def expansion_search(self) -> int:
        """HNSW's ef: a larger one finds more of the true neighbours, more slowly."""
        return int(self._graph.expansion_search)

    @expansion_search.setter
    def expansion_search(self, value: int) -> None:
        with self._lock:
            self._graph.expansion_search = value

    def __len__(self) -> int:
        return len(self._graph)

    def keys(self) -> Keys:
        """Return all live keys, ascending."""
        with self._lock:
            if len(self._graph) == 0:
                return np.zeros(0, np.uint64)
            return np.sort(np.asarray(self._graph.keys, dtype=np.uint64))

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; raises ValueError if a key is already present."""
        check_rows(keys, vectors, self.dim)
        rows = self.encode(vectors)
        threads = self._threads if len(keys) >= _MIN_ROWS_FOR_THREADS else 1
        batch = _ADD_BATCH if self._searched else _BUILD_BATCH
        for start in range(0, len(keys), batch):
            part = slice(start, start + batch)
            with self._lock:
                try:
                    self._graph.add(keys[part], rows[part], threads=threads, dtype=self._dtype)
                except RuntimeError as error:
                    raise ValueError(f"the index refused the keys: {error}") from error
                if threads > 1:
                    self._relink_lost(keys[part], rows[part])

    def remove(self, keys: Keys) -> None:
        """Remove keys; unknown ones are ignored."""
        if len(keys):
            with self._lock:
                self._graph.remove(keys)

    def nearest_rows(
        self, row: NDArray[Any], k: int, *, expansion: int | None = None
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, distances) near a row, nearest first.

        `expansion` is HNSW's ef for this one search, `expansion_search` where it is None; never less than k.
        """
        self._searched = True
        with self._lock:
            k = min(k, len(self._graph))
            if k <= 0:
                return np.zeros(0, np.uint64), np.zeros(0, np.float32)
            tuned = self._graph.expansion_search
            effort = max(k, tuned if expansion is None else expansion)
            if effort != tuned:
                self._graph.expansion_search = effort
            try:
                matches = self._graph.search(row, k, threads=1, dtype=self._dtype)
            finally:
                if effort != tuned:
                    self._graph.expansion_search = tuned
        return np.asarray(matches.keys, np.uint64), np.asarray(matches.distances, np.float32)

    def save(self, path: Path) -> None:
        """Write the graph to one file."""
        with self._lock:
            self._graph.save(str(path))

    def load_graph(self, path: Path) -> None:
        """Replace the graph by the one saved at `path`, whose checksum the caller has verified.

        usearch itself checks nothing: flipped bytes crash the process at the next search. Raises `IndexCorrupt`
        where the file is missing or holds other rows.
        """
        try:
            described = Index.metadata(str(path))
        except (ValueError, RuntimeError):
            described = None
        if described is None:
            raise IndexCorrupt(f"{path} is not a usearch index file.")
        expansion_add, expansion_search = self._graph.expansion_add, self._graph.expansion_search
        width, dtype = self._graph.ndim, self._graph.dtype
        self._graph.load(str(path))
        if (self._graph.ndim, self._graph.dtype) != (width, dtype):
            raise IndexCorrupt(
                f"{path} holds {self._graph.dtype} vectors of {self._graph.ndim} dimensions, not {dtype} of {width}."
            )
        self._graph.expansion_add, self._graph.expansion_search = expansion_add, expansion_search

    def _relink_lost(self, keys: Keys, rows: NDArray[Any]) -> None:
        """Add again, in one thread, the rows that no path of the graph leads to.

        Threads that add at the same time sometimes undo each other's links: about one row in 20,000 would never be
        found.
        """
        tuned = self._graph.expansion_search
        self._graph.expansion_search = min(tuned, _SELF_SEARCH_EXPANSION)
        lost = self._not_found(keys, rows)
        self._graph.expansion_search = tuned
        if lost.any():
            lost[lost] = self._not_found(keys[lost], rows[lost])
        if lost.any():
            self._graph.remove(keys[lost])
            self._graph.add(keys[lost], rows[lost], threads=1, dtype=self._dtype)

    def _not_found(self, keys: Keys, rows: NDArray[Any]) -> NDArray[np.bool_]:
        nearest = self._graph.search(rows, 1, threads=self._threads, dtype=self._dtype)
        return np.asarray(nearest.distances.reshape(len(keys), -1)[:, 0] > self._self_distance)


class UsearchIndex(HnswGraph):
    """A graph over the vectors themselves, in float16, compared by cosine."""

    engine = "usearch"

    def __init__(self, dim: int, *, threads: int = 1, **settings: int) -> None:
        """Make an empty index of `dim` dimensions; `settings` of `HnswGraph` default to M 16 and ef 128."""
        settings = {"connectivity": 16, "expansion_add": 128, "expansion_search": 128, **settings}
        super().__init__(
            dim, dim, metric="cos", dtype="f16", threads=threads, self_distance=_SELF_DISTANCE, **settings
        )

    @classmethod
    def create(cls, source: VectorSource, *, threads: int = 1, **parameters: Any) -> Self:
        """Return an empty index, which needs no training."""
        return cls(source.dim, threads=threads, **graph_settings(parameters))

    @classmethod
    def load(cls, path: Path, dim: int, read_rows: ReadRows, *, threads: int = 1, **parameters: Any) -> Self:
        """Return the index saved at `path`."""
        index = cls(dim, threads=threads, **graph_settings(parameters))
        index.load_graph(path)
        return index

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine and its settings, for the header."""
        return {"engine": self.engine, "metric": "cos", "dtype": "f16", **self.graph_parameters}

    def encode(self, vectors: Vectors) -> NDArray[np.float16]:
        """Return the vectors in float16."""
        return vectors.astype(np.float16)

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first; see `nearest_rows`."""
        keys, distances = self.nearest_rows(self.encode(vector), k, expansion=expansion)
        return keys, 1.0 - distances


def graph_settings(parameters: Mapping[str, Any]) -> dict[str, int]:
    """Return those of a header's parameters that are HNSW's settings."""
    return {name: int(parameters[name]) for name in _SETTINGS if name in parameters}
