"""The table of the engines whose index is a file of the catalog: a new engine is a new file and an entry here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgsearch.core.errors import IndexCorrupt
from imgsearch.index.base import ReadRows, VectorIndex, VectorSource
from imgsearch.index.hnsw_codes import HnswCodeIndex
from imgsearch.index.usearch import UsearchIndex

Parameters = Mapping[str, Any]
"""The name of an engine, as `engine`, and its settings."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An entry of the table; `name` is the engine's name in headers."""

    name: str
    index_class: Callable[[], type[VectorIndex]]
    """Imports the engine, so that the libraries of others are not loaded."""
    library: str = ""
    """The module that must be installed, and the extra of imgsearch that installs it; "" for none."""
    default_from: int | None = None
    """The number of items from which it is the default, with the settings `defaults`; None: it never is."""
    defaults: Parameters = field(default_factory=dict)
    tried: tuple[Parameters, ...] = ()
    """The settings that `imgsearch tune` measures."""

    @property
    def is_installed(self) -> bool:
        """Whether the library of the engine is installed."""
        return not self.library or importlib.util.find_spec(self.library) is not None


def _ivf_pq() -> type[VectorIndex]:
    from imgsearch.index.ivf_pq import IvfPqIndex

    return IvfPqIndex


MANY_ITEMS = 50_000
"""From this size on, codes are searched, unless `imgsearch tune` chose otherwise or they miss the target recall."""

ENGINES = {
    engine.name: engine
    for engine in (
        Engine("usearch", lambda: UsearchIndex, default_from=0, tried=({},)),
        Engine(
            "codes",
            lambda: HnswCodeIndex,
            default_from=MANY_ITEMS,
            defaults={"coding": "bytes", "width": 128},
            tried=(
                {"coding": "bytes", "width": 64},
                {"coding": "bytes", "width": 128},
                {"coding": "bytes", "width": 256},
                {"coding": "signs", "width": 512},
            ),
        ),
        Engine("lists", _ivf_pq, library="faiss", default_from=MANY_ITEMS, tried=({},)),
    )
}
"""By name. An installed engine takes precedence as the default over those before it."""


def is_installed(parameters: Parameters) -> bool:
    """Return whether the engine is known and its library is installed."""
    engine = ENGINES.get(parameters["engine"])
    return engine is not None and engine.is_installed


def default_parameters(items: int) -> Parameters:
    """Return the parameters of the default engine for this number of items."""
    engine = _default(items)
    return {"engine": engine.name, **engine.defaults}


def is_outgrown(parameters: Parameters, items: int) -> bool:
    """Return whether another engine, one for more items, is the default for this number of items."""
    return (ENGINES[parameters["engine"]].default_from or 0) < (_default(items).default_from or 0)


def parameters_to_try() -> list[Parameters]:
    """Return what `imgsearch tune` measures, of the installed engines."""
    engines = [engine for engine in ENGINES.values() if engine.is_installed]
    return [{"engine": engine.name, **settings} for engine in engines for settings in engine.tried]


def _default(items: int) -> Engine:
    suited = (
        engine
        for engine in reversed(ENGINES.values())
        if engine.default_from is not None and engine.default_from <= items and engine.is_installed
    )
    return next(suited)


def new_index(parameters: Parameters, source: VectorSource, *, threads: int = 1) -> VectorIndex:
    """Return an empty index; parameters that are missing have the engine's defaults."""
    return _index_class(parameters).create(source, threads=threads, **parameters)


def load_index(
    path: Path, dim: int, read_rows: ReadRows, parameters: Parameters, *, threads: int = 1
) -> VectorIndex:
    """Return the index saved at `path` with these parameters; raises `IndexCorrupt`."""
    return _index_class(parameters).load(path, dim, read_rows, threads=threads, **parameters)


def _index_class(parameters: Parameters) -> type[VectorIndex]:
    """Return the class of an engine; raises `IndexCorrupt` where it is unknown or not installed."""
    name = parameters.get("engine")
    engine = ENGINES.get(str(name))
    if engine is None:
        raise IndexCorrupt(f"There is no index engine {name!r}; use one of {', '.join(ENGINES)}.")
    if not engine.is_installed:
        raise IndexCorrupt(
            f"The index engine {name!r} needs {engine.library}; install `imgsearch[{engine.library}]`."
        )
    return engine.index_class()
