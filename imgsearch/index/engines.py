"""The engines whose index is a file of the catalog: makes an empty one, or loads the one that a header names."""

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

IVF_PQ = "lists"  # the name of the IVF-PQ engine in headers; here so that comparing it does not import faiss
QUANTISER_SAMPLE = 20_000

LocalEngine: TypeAlias = "UsearchIndex | HnswCodeIndex | IvfPqIndex"


def is_installed(parameters: Mapping[str, Any]) -> bool:
    """Return whether the libraries of the engine are installed."""
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
    """Return an empty index for about `items` items; parameters that are missing have the engine's defaults.

    `sample(n)` returns up to n of the vectors, (n, dim), to train on.
    """
    engine, settings = parameters["engine"], graph_settings(parameters)
    if engine == IVF_PQ:
        from imgsearch.index.ivf_pq import IvfPqIndex, training_size

        return IvfPqIndex.train(sample(training_size(items)), items, read_rows, threads=threads, **settings)
    if engine == UsearchIndex.engine:
        return UsearchIndex(dim, threads=threads, **settings)
    quantiser = Quantiser.train(parameters["coding"], int(parameters["width"]), sample(QUANTISER_SAMPLE))
    return HnswCodeIndex(quantiser, read_rows, threads=threads, **settings)


def load_index(
    path: Path, dim: int, read_rows: ReadRows, parameters: Mapping[str, Any], *, threads: int = 1
) -> LocalEngine:
    """Return the index saved at `path` with these parameters; raises `IndexCorrupt`."""
    engine = parameters.get("engine")
    if engine == UsearchIndex.engine:
        return UsearchIndex.load(path, dim, threads=threads, **parameters)
    if engine == HnswCodeIndex.engine:
        return HnswCodeIndex.load(path, dim, read_rows, threads=threads, **parameters)
    if engine != IVF_PQ:
        raise IndexCorrupt(f"{path} has the unknown engine {engine!r}.")
    if not is_installed(parameters):
        raise IndexCorrupt(f"{path} needs faiss: install `imgsearch[faiss]`, or another engine is used.")
    from imgsearch.index.ivf_pq import IvfPqIndex

    return IvfPqIndex.load(path, dim, read_rows, threads=threads, **parameters)
