"""Systems: the ways of answering a query that are judged, measured and tried out on visitors side by side.

It owns the table `systems`, how each system is opened (another head, another catalog, another search effort) when it
is first asked, and re-ranking for variety. It records nothing of what is searched, and knows nothing of visitors.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from imgsearch.core.errors import AdaptationError, CatalogError, ExperimentError, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, SearchResult
from imgsearch.encoders.base import Encoder
from imgsearch.index.heads import get_head
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace, live_space
from imgsearch.search.encoder_provider import EncoderProvider
from imgsearch.search.searcher import Searcher
from imgsearch.search.words.titles import Titles
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.sampling import sample_items

__all__ = ["LIVE", "System", "Systems", "check_name"]

LIVE = "live"
"""The name of the system that visitors get by default, and of the head that is published."""
BASE = "base"
MAX_EXPANSION = 10_000
MAX_SYSTEMS = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")


@dataclass(frozen=True, slots=True)
class System:
    """One way of answering a query.

    `head` is "live" (the published head), "base" (the encoder's own embeddings) or a head's id; `catalog` the folder
    of another catalog with the same item ids ("" is this one); `expansion` how many candidates the index looks at
    (None: as tuned); `diversity` from 0 (by score alone) to 1 how much variety counts against likeness; `n` the most
    hits that a query gets on all its pages together (None: as many as asked for).
    """

    name: str
    head: str = LIVE
    catalog: str = ""
    expansion: int | None = None
    diversity: float = 0.0
    n: int | None = None

    def describe(self) -> str:
        """Return what differs from the live system, in a few words."""
        parts = []
        if self.catalog:
            parts.append(f"catalog {self.catalog}")
        if self.head == BASE:
            parts.append("the encoder's own embeddings")
        elif self.head != LIVE:
            parts.append(f"head {self.head}")
        if self.expansion is not None:
            parts.append(f"search effort {self.expansion}")
        if self.diversity:
            parts.append(f"diversity {self.diversity:g}")
        if self.n is not None:
            parts.append(f"at most {self.n} hits")
        return ", ".join(parts) or "what visitors get by default"


@dataclass(frozen=True, slots=True)
class _Engine:
    """What answers for a system: a searcher, and the catalog that its hits come from."""

    catalog: CatalogStore
    searcher: Searcher


class Systems:
    """The systems of one catalog; safe to use from any thread.

    Further catalogs and heads are opened at the first search of a system that needs them, and closed by `close`.
    """

    def __init__(self, live: Searcher, *, threads: int = 1) -> None:
        """Answer over the catalog of the live searcher; `live` may be set to another one of it at any time.

        Indexes are built by `threads` threads.
        """
        self.live = live
        self._catalog = live.catalog
        self._threads = threads
        self._opening = threading.RLock()
        self._closed = False
        self._others: dict[str, _Other] = {}
        self._searchers: dict[tuple[str, str], Searcher] = {}
        self._saved = {LIVE: System(LIVE)} | {system.name: system for system in self._read()}

    # --- definitions ------------------------------------------------------------------------------------------

    def all(self) -> list[System]:
        """Return every system: the live one first, the others in the order in which they were saved."""
        return list(self._saved.values())

    def get(self, name: str) -> System:
        """Return a system; raises `UnknownSystem` naming those that there are."""
        try:
            return self._saved[name]
        except KeyError:
            known = ", ".join(list(self._saved)[:20])
            raise UnknownSystem(f"There is no system {name[:60]!r}; there are: {known}.") from None

    def save(self, system: System) -> None:
        """Keep a new system for ever under its name, after opening what it needs.

        Raises `ExperimentError` for a name or a setting that cannot be used or a name that is taken, and what
        opening its catalog or head raises; then nothing is kept.
        """
        if system.catalog:
            system = replace(system, catalog=str(Path(system.catalog).expanduser().resolve()))
        self._check(system)
        with self._opening:
            if system.name in self._saved:
                raise ExperimentError(f"There is a system {system.name!r} already; choose another name.")
            self._engine(system)
            with self._catalog.database.transaction() as cursor:
                cursor.execute(
                    "INSERT INTO systems VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        system.name,
                        datetime.now(UTC).replace(tzinfo=None),
                        system.head,
                        system.catalog,
                        system.expansion,
                        system.diversity,
                        system.n,
                    ],
                )
            self._saved = {**self._saved, system.name: system}

    def _read(self) -> list[System]:
        rows = (
            self._catalog.database.cursor()
            .execute(
                "SELECT name, head, catalog, expansion, diversity, n FROM systems ORDER BY created_at, name"
            )
            .fetchall()
        )
        return [System(*row) for row in rows]

    def _check(self, system: System) -> None:
        check_name("system", system.name)
        if len(self._saved) >= MAX_SYSTEMS:
            raise ExperimentError(f"There are {MAX_SYSTEMS} systems already, which is the most.")
        if not 0.0 <= system.diversity <= 1.0:
            raise ExperimentError(f"diversity is {system.diversity}, but must be from 0 to 1.")
        if system.expansion is not None and not 1 <= system.expansion <= MAX_EXPANSION:
            raise ExperimentError(f"expansion is {system.expansion}, but must be from 1 to {MAX_EXPANSION}.")
        if system.n is not None and system.n < 1:
            raise ExperimentError(f"n is {system.n}, but a system must show at least 1 hit.")
        if system.catalog and Path(system.catalog) == self._catalog.folder.resolve():
            raise ExperimentError("The other catalog is this one; leave it out.")
        if replace(system, name=LIVE) == System(LIVE):
            raise ExperimentError(f"{system.name!r} would be the live system again; change a setting of it.")

    # --- searching --------------------------------------------------------------------------------------------

    def search(self, query: Query, system: str | System = LIVE) -> SearchResult:
        """Answer the query by a system, a saved one by its name; nothing is recorded.

        Raises `UnknownSystem`, what `Searcher.search` raises, and what opening the system raises the first time.
        """
        wanted = self.get(system) if isinstance(system, str) else system
        return self.live.search(query) if wanted.name == LIVE else self._answer(query, wanted)

    def warm(self, name: str) -> None:
        """Open what a system needs, its encoder too, so that its first visitor need not wait."""
        engine = self._engine(self.get(name))
        if engine.catalog is not self._catalog:
            self._others[str(engine.catalog.folder)].encoder()

    def close(self) -> None:
        """Close the catalogs that were opened for systems; closing twice is fine."""
        with self._opening:
            self._closed = True
            for other in self._others.values():
                other.close()
            self._others.clear()
            self._searchers.clear()

    def _answer(self, query: Query, system: System) -> SearchResult:
        started = time.perf_counter()
        left = query.n if system.n is None else min(query.n, system.n - query.offset)
        engine = self._engine(system)
        wanted = replace(query, n=max(left, 1), diversity=max(query.diversity, system.diversity))
        result = engine.searcher.search(wanted)
        hits = result.hits
        if left < 1:
            hits = ()
        if engine.catalog is not self._catalog:
            hits = self._own_hits(hits)
        matching = result.matching if system.n is None else min(result.matching, system.n)
        total_ms = round((time.perf_counter() - started) * 1000, 3)
        return replace(
            result,
            query=query,
            hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=query.offset + 1)),
            matching=matching,
            timing_ms={**result.timing_ms, "total": total_ms},
        )

    def _own_hits(self, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        """Return another catalog's hits with the photos and rows of this one, without what is not here or hidden."""
        found = self._catalog.get_many([hit.item_id for hit in hits])
        hidden = np.isin([item.key for item in found], self.live.rules.hidden_keys())
        items = {item.item_id: item for item, gone in zip(found, hidden, strict=True) if not gone}
        return tuple(
            replace(hit, key=item.key, image=item.location, metadata=item.metadata)
            for hit in hits
            if (item := items.get(hit.item_id))
        )

    # --- opening ----------------------------------------------------------------------------------------------

    def _engine(self, system: System) -> _Engine:
        """Return what answers for a system, opening it at the first call."""
        searcher = self._searcher(system)
        if system.expansion is not None:
            searcher = searcher.with_expansion(system.expansion)
        return _Engine(searcher.catalog, searcher)

    def _searcher(self, system: System) -> Searcher:
        live = self.live
        if not system.catalog and system.head in (LIVE, _head_name(live)):
            return live
        other = self._other(system.catalog) if system.catalog else None
        key = (system.catalog, system.head)
        with self._opening:
            if key not in self._searchers:
                catalog = other.catalog if other else self._catalog
                index = open_live_index(catalog, threads=self._threads, space=_space(catalog, system.head))
                self._searchers[key] = (
                    live.for_catalog(catalog, index, other.encoder, other.titles)
                    if other
                    else live.over(index)
                )
            return self._searchers[key]

    def _other(self, folder: str) -> _Other:
        """Return another catalog and its encoder; raises what opening it raises, or `CatalogError`."""
        with self._opening:
            if folder not in self._others:
                if self._closed:
                    raise CatalogError("The systems are closed; open the catalog again.")
                catalog = CatalogStore.open(folder)
                try:
                    drawn = [item.item_id for item in sample_items(catalog, 50, seed=0)]
                    if not self._catalog.get_many(drawn):
                        raise CatalogError(
                            f"The catalog {folder} has other item ids than this one; index the same photos into it."
                        )
                except BaseException:
                    catalog.close()
                    raise
                live = self.live
                same = catalog.encoder_id == self._catalog.encoder_id
                encoder = live.encoder if same else EncoderProvider(catalog).get
                titles = live.titles.for_catalog(catalog, encoder)
                self._others[folder] = _Other(catalog, encoder, titles)
            return self._others[folder]


@dataclass(frozen=True, slots=True)
class _Other:
    """Another catalog that was opened for a system."""

    catalog: CatalogStore
    encoder: Callable[[], Encoder]
    titles: Titles

    def close(self) -> None:
        self.titles.close()
        self.catalog.close()


def _head_name(searcher: Searcher) -> str:
    """Return the head that a searcher uses, as a system names it."""
    head = searcher.space.head
    return head.id if head else BASE


def _space(catalog: CatalogStore, head: str) -> VectorSpace:
    """Return the vectors that a system's head asks for; raises `UnknownSystem` where there is no such head."""
    if head == LIVE:
        return live_space(catalog)
    if head == BASE:
        return VectorSpace(catalog)
    try:
        return VectorSpace(catalog, get_head(catalog, head))
    except AdaptationError as error:
        raise UnknownSystem(str(error)) from None


def check_name(what: str, name: str) -> None:
    """Raise `ExperimentError` where a name could not be typed, shown and linked without trouble."""
    if not _NAME.fullmatch(name):
        raise ExperimentError(
            f"The {what}'s name is {name[:60]!r}, but must be 1 to 40 letters, digits, '.', '_', '+' or '-'."
        )
