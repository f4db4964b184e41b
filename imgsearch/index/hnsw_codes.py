"""The engine for many items: an HNSW graph over quantised vectors, whose candidates are re-ranked by the stored rows.

A code takes about an eighth of a float16 vector, so the graph is small and quick to build and to search; re-ranking
recovers what quantisation loses. The stored vectors are not kept here: a function reads them, memory-mapped.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from imgsearch.core.files import write_durably
from imgsearch.core.key_arrays import Keys
from imgsearch.index.base import ReadRows, Vectors, VectorSource
from imgsearch.index.exact_search import rerank_candidates
from imgsearch.index.quantisation import Quantiser
from imgsearch.index.usearch import HnswGraph, graph_settings

_TRAINING_SIZE = 20_000


class HnswCodeIndex(HnswGraph):
    """A graph over codes; scores are cosines of the stored vectors."""

    engine = "codes"

    def __init__(
        self, quantiser: Quantiser, read_rows: ReadRows, *, threads: int = 1, **settings: int
    ) -> None:
        """Make an empty index; the setting `expansion_search` is also the number of re-ranked candidates."""
        settings = {"connectivity": 12, "expansion_add": 64, "expansion_search": 96, **settings}
        self._quantiser = quantiser
        self._quantiser_bytes = quantiser.to_bytes()
        self._read_rows = read_rows
        super().__init__(
            quantiser.dim,
            quantiser.width,
            metric="l2sq" if quantiser.kind == "bytes" else "hamming",
            dtype="i8" if quantiser.kind == "bytes" else "b1",
            threads=threads,
            **settings,
        )

    @classmethod
    def create(cls, source: VectorSource, *, threads: int = 1, **parameters: Any) -> Self:
        """Return an empty index; `coding` and `width` are parameters of `Quantiser.train`."""
        quantiser = Quantiser.train(
            parameters["coding"], int(parameters["width"]), source.sample(_TRAINING_SIZE)
        )
        return cls(quantiser, source.read_rows, threads=threads, **graph_settings(parameters))

    @classmethod
    def load(cls, path: Path, dim: int, read_rows: ReadRows, *, threads: int = 1, **parameters: Any) -> Self:
        """Return the index saved at `path`; the quantiser's checksum is verified here."""
        quantiser = Quantiser.read(_quantiser_file(path), str(parameters.get("coding_sha256")), dim)
        index = cls(quantiser, read_rows, threads=threads, **graph_settings(parameters))
        index.load_graph(path)
        return index

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine and its settings, for the header."""
        return {
            "engine": self.engine,
            "metric": "cos",
            "dtype": f"{self._quantiser.kind} of {self._quantiser.width}",
            "coding": self._quantiser.kind,
            "width": self._quantiser.width,
            "coding_sha256": hashlib.sha256(self._quantiser_bytes).hexdigest(),
            **self.graph_parameters,
        }

    def encode(self, vectors: Vectors) -> NDArray[Any]:
        """Return the codes of the vectors."""
        return self._quantiser.encode(vectors)

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is the number of re-ranked candidates, `expansion_search` where it is None; never less than k.
        """
        candidates = max(k, self.expansion_search if expansion is None else expansion)
        keys, _ = self.nearest_rows(self.encode(vector[None, :])[0], candidates, expansion=candidates)
        return rerank_candidates(keys, self._read_rows, vector, k)

    def save(self, path: Path) -> None:
        """Write the graph to `path`, and the quantiser to a file beside it."""
        write_durably(_quantiser_file(path), self._quantiser_bytes)
        super().save(path)


def _quantiser_file(path: Path) -> Path:
    return path.with_name(path.name + ".coding.npz")
