"""The engines that keep their index in files of the catalog: which one a header's parameters name.

It owns the name of each and how an empty index is made or a saved one loaded from its parameters; it chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imgsearch.errors import IndexCorrupt
from imgsearch.indexes.base import Vectors
from imgsearch.indexes.codes import CodeIndex, ReadRows
from imgsearch.indexes.coding import Coding
from imgsearch.indexes.usearch import UsearchIndex, graph_settings

__all__ = ["LocalIndex", "load_index", "new_index"]

LocalIndex = UsearchIndex | CodeIndex


def new_index(
    parameters: Mapping[str, Any],
    dim: int,
    read_rows: ReadRows,
    sample: Callable[[], Vectors],
    *,
    threads: int = 1,
) -> LocalIndex:
    """Return an empty index as `parameters` say; what they leave out is the engine's default.

    `sample` gives some of the vectors, (n, dim), for an engine that learns from them.
    """
    settings = graph_settings(parameters)
    if parameters["engine"] == UsearchIndex.engine:
        return UsearchIndex(dim, threads=threads, **settings)
    coding = Coding.learned(parameters["coding"], int(parameters["width"]), sample())
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
    raise IndexCorrupt(f"{path} is of the engine {engine!r}, which is not known here.")
