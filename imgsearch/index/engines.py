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
from imgsearch.index.hnsw_codes import CodeIndex
from imgsearch.index.quantisation import Coding
from imgsearch.index.rerank import ReadRows
from imgsearch.index.usearch import UsearchIndex, graph_settings

if TYPE_CHECKING:
    from imgsearch.index.ivf_pq import ListIndex

__all__ = ["LISTS", "LocalIndex", "can_be_had", "load_index", "new_index"]

LISTS = "lists"
"""The engine's name, by which it is known without importing faiss."""
CODING_SAMPLE = 20_000
"""How many of the vectors a coding is learned from."""

LocalIndex: TypeAlias = "UsearchIndex | CodeIndex | ListIndex"


def can_be_had(parameters: Mapping[str, Any]) -> bool:
    """Return whether what the engine needs is installed here."""
    return parameters.get("engine") != LISTS or importlib.util.find_spec("faiss") is not None


def new_index(
    parameters: Mapping[str, Any],
    dim: int,
    items: int,
    read_rows: ReadRows,
    sample: Callable[[int], Vectors],
    *,
    threads: int = 1,
) -> LocalIndex:
    """Return an empty index for about so many items as `parameters` say; what they leave out is the engine's default.

    `sample` gives up to n of the vectors, (n, dim), for an engine that learns from them.
    """
    engine, settings = parameters["engine"], graph_settings(parameters)
    if engine == LISTS:
        from imgsearch.index.ivf_pq import ListIndex, sample_for

        some = sample(sample_for(items))
        return ListIndex.learned(some, items, read_rows, threads=threads, **settings)
    if engine == UsearchIndex.engine:
        return UsearchIndex(dim, threads=threads, **settings)
    coding = Coding.learned(parameters["coding"], int(parameters["width"]), sample(CODING_SAMPLE))
    return CodeIndex(coding, read_rows, threads=threads, **settings)


def load_index(
    path: Path, dim: int, read_rows: ReadRows, parameters: Mapping[str, Any], *, threads: int = 1
) -> LocalIndex:
    """Return the index saved at `path` with these parameters; raises `IndexCorrupt`."""
    engine = parameters.get("engine")
    if engine == UsearchIndex.engine:
        return UsearchIndex.load(path, dim, threads=threads, **parameters)
    if engine == CodeIndex.engine:
        return CodeIndex.load(path, dim, read_rows, threads=threads, **parameters)
    if engine == LISTS:
        if not can_be_had(parameters):
            raise IndexCorrupt(f"{path} needs faiss: install `imgsearch[faiss]`, or another index is built.")
        from imgsearch.index.ivf_pq import ListIndex

        return ListIndex.load(path, dim, read_rows, threads=threads, **parameters)
    raise IndexCorrupt(f"{path} is of the engine {engine!r}, which is not known here.")
