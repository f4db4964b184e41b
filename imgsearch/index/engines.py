"""The engines that keep their index in files of the catalog: which one a header's parameters name.

It owns the name of each, whether it can be had here, and how an empty index is made or a saved one loaded from its
parameters; it chooses nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from imgsearch.core.errors import IndexCorrupt
from imgsearch.index.base import Vectors
from imgsearch.index.hnsw_codes import HnswCodeIndex
from imgsearch.index.quantisation import Quantiser
from imgsearch.index.rerank import ReadRows
from imgsearch.index.usearch import UsearchIndex, graph_settings

if TYPE_CHECKING:
    from imgsearch.index.ivf_pq import IvfPqIndex

__all__ = ["IVF_PQ", "LocalEngine", "is_installed", "load_index", "new_index"]

IVF_PQ = "lists"
"""The engine's name, by which it is known without importing faiss."""
CODING_SAMPLE = 20_000
"""How many of the vectors a coding is learned from."""

LocalEngine: TypeAlias = "UsearchIndex | HnswCodeIndex | IvfPqIndex"


def is_installed(parameters: Mapping[str, Any]) -> bool:
    """Return whether what the engine needs is installed here."""
    return parameters.get("engine") != IVF_PQ or importlib.util.find_spec("faiss") is not None


def new_index(
    parameters: Mapping[str, Any],
    dim: int,
    items: int,
    read_rows: ReadRows,
    sample: Callable[[int], Vectors],
    *,
    threads: int = 1,
) -> LocalEngine:
    """Return an empty index for about so many items as `parameters` say; what they leave out is the engine's default.

    `sample` gives up to n of the vectors, (n, dim), for an engine that learns from them.
    """
    engine, settings = parameters["engine"], graph_settings(parameters)
    if engine == IVF_PQ:
        from imgsearch.index.ivf_pq import IvfPqIndex, sample_for

        some = sample(sample_for(items))
        return IvfPqIndex.train(some, items, read_rows, threads=threads, **settings)
    if engine == UsearchIndex.engine:
        return UsearchIndex(dim, threads=threads, **settings)
    coding = Quantiser.train(parameters["coding"], int(parameters["width"]), sample(CODING_SAMPLE))
    return HnswCodeIndex(coding, read_rows, threads=threads, **settings)


def load_index(
    path: Path, dim: int, read_rows: ReadRows, parameters: Mapping[str, Any], *, threads: int = 1
) -> LocalEngine:
    """Return the index saved at `path` with these parameters; raises `IndexCorrupt`."""
    engine = parameters.get("engine")
    if engine == UsearchIndex.engine:
        return UsearchIndex.load(path, dim, threads=threads, **parameters)
    if engine == HnswCodeIndex.engine:
        return HnswCodeIndex.load(path, dim, read_rows, threads=threads, **parameters)
    if engine == IVF_PQ:
        if not is_installed(parameters):
            raise IndexCorrupt(f"{path} needs faiss: install `imgsearch[faiss]`, or another index is built.")
        from imgsearch.index.ivf_pq import IvfPqIndex

        return IvfPqIndex.load(path, dim, read_rows, threads=threads, **parameters)
    raise IndexCorrupt(f"{path} is of the engine {engine!r}, which is not known here.")
