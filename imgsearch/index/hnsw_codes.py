"""The engine for many items: a graph over short codes in memory, its candidates re-ranked by the vectors on disk.

It has which codes lie in the graph, how many candidates are compared exactly, and the two files that
are saved (the graph, and beside it the coding). A code takes an eighth of a float16 vector or so, and a graph over
codes is small, quick to build and quick to walk; what codes lose, the exact comparison brings back. The vectors
themselves it never keeps: it is handed a function that reads them, memory-mapped, from where they are stored anyway.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from imgsearch.core.files import write_durably
from imgsearch.index.base import Keys, Vectors
from imgsearch.index.quantisation import Quantiser
from imgsearch.index.rerank import ReadRows, rerank_candidates
from imgsearch.index.usearch import Graph, check_rows, graph_settings

__all__ = ["HnswCodeIndex"]


class HnswCodeIndex:
    """A graph over the codes of vectors; scores are cosines of the stored vectors all the same."""

    engine = "codes"
    made_for = 0
    """It suits any number of items."""

    def __init__(
        self,
        coding: Quantiser,
        read_rows: ReadRows,
        *,
        connectivity: int = 12,
        expansion_add: int = 64,
        expansion_search: int = 96,
        threads: int = 1,
    ) -> None:
        """Make an empty index of vectors that `coding` turns into codes and that `read_rows` gives when asked.

        `expansion_search` is HNSW's ef, and how many candidates are compared exactly; the rest is as in `Graph`.
        """
        self.coding = coding
        self._read_rows = read_rows
        self._coding_bytes = coding.to_bytes()
        self._graph = Graph(
            coding.width,
            metric="l2sq" if coding.kind == "bytes" else "hamming",
            dtype="i8" if coding.kind == "bytes" else "b1",
            connectivity=connectivity,
            expansion_add=expansion_add,
            expansion_search=expansion_search,
            threads=threads,
        )

    @classmethod
    def load(
        cls, path: Path, dim: int, read_rows: ReadRows, *, threads: int = 1, **parameters: Any
    ) -> HnswCodeIndex:
        """Return the index saved at `path`, whose checksum the caller has verified.

        That of the coding is checked here. Raises `IndexCorrupt` when a file is missing, damaged, or of another
        dimension.
        """
        coding = Quantiser.read(_coding_file(path), str(parameters.get("coding_sha256")), dim)
        index = cls(coding, read_rows, threads=threads, **graph_settings(parameters))
        index._graph.load(path)
        return index

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return len(self.coding.centre)

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine and its settings, for the header."""
        return {
            "engine": self.engine,
            "metric": "cos",
            "dtype": f"{self.coding.kind} of {self.coding.width}",
            "coding": self.coding.kind,
            "width": self.coding.width,
            "coding_sha256": hashlib.sha256(self._coding_bytes).hexdigest(),
            **self._graph.parameters,
        }

    @property
    def expansion_search(self) -> int:
        """HNSW's ef, and how many candidates are compared exactly."""
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
        check_rows(keys, vectors, self.dim)
        self._graph.add(keys, self.coding.codes(vectors))

    def remove(self, keys: Keys) -> None:
        """Forget the keys; unknown ones are ignored."""
        self._graph.remove(keys)

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is how many candidates are compared exactly, `expansion_search` where it is None; never less
        than k.
        """
        candidates = max(k, self.expansion_search if expansion is None else expansion)
        keys, _ = self._graph.search(self.coding.codes(vector[None, :])[0], candidates, expansion=candidates)
        return rerank_candidates(keys, self._read_rows, vector, k)

    def save(self, path: Path) -> None:
        """Write the graph to `path`, and the coding to a file beside it."""
        write_durably(_coding_file(path), self._coding_bytes)
        self._graph.save(path)


def _coding_file(path: Path) -> Path:
    return path.with_name(path.name + ".coding.npz")
