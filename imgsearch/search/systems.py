"""Systems: the ways of answering a query that are judged, measured and compared in experiments.

Table `systems` has those that were saved. A system's head, catalog and search effort are opened at its first search.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from imgsearch.core.cursors import Cursor
from imgsearch.core.errors import AdaptationError, CatalogError, ExperimentError, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, SearchResult
from imgsearch.index.heads import get_head
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace, live_space
from imgsearch.search.encoder_provider import EncoderProvider
from imgsearch.search.searcher import Searcher, next_cursor
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import utc_now
from imgsearch.store.sampling import sample_items

LIVE = "live"
"""The name of the system that visitors get by default, and of the published head."""
BASE = "base"
MAX_EXPANSION = 10_000
MAX_SYSTEMS = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")


@dataclass(frozen=True, slots=True)
class System:
    """One way of answering a query.

    `head` is "live" (the published head), "base" (the encoder's own embeddings) or a head's id; `catalog` the folder
    of another catalog with the same item ids ("" is this one); `expansion` how many candidates the index compares
    (None: as tuned); `diversity` that of its queries (`Query.diversity`), where they do not ask for more; `n` the
    most hits that a query gets on all its pages together (None: as many as requested).
    """

    name: str
    head: str = LIVE
    catalog: str = ""
    expansion: int | None = None
    diversity: float = 0.0
    n: int | None = None

    def describe(self) -> str:
        """Return what differs from the live system, in a few words."""
        head = {LIVE: "", BASE: "the encoder's own embeddings"}.get(self.head, f"head {self.head}")
        parts = [
            f"catalog {self.catalog}" if self.catalog else "",
            head,
            "" if self.expansion is None else f"search effort {self.expansion}",
            f"diversity {self.diversity:g}" if self.diversity else "",
            "" if self.n is None else f"at most {self.n} hits",
        ]
        return ", ".join(filter(None, parts)) or "what visitors get by default"

    def check(self) -> None:
        """Raise `ExperimentError` for a name or a setting that cannot be used."""
        check_name("system", self.name)
        if not 0.0 <= self.diversity <= 1.0:
            raise ExperimentError(f"diversity is {self.diversity}, but must be from 0 to 1.")
        if self.expansion is not None and not 1 <= self.expansion <= MAX_EXPANSION:
            raise ExperimentError(f"expansion is {self.expansion}, but must be from 1 to {MAX_EXPANSION}.")
        if self.n is not None and self.n < 1:
            raise ExperimentError(f"n is {self.n}, but a system must show at least 1 hit.")
        if replace(self, name=LIVE) == System(LIVE):
            raise ExperimentError(f"{self.name!r} would be the live system again; change a setting of it.")


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
        self._others: dict[str, Searcher] = {}
        self._searchers: dict[tuple[str, str], Searcher] = {}
        rows = self._catalog.database.cursor().execute(
            "SELECT name, head, catalog, expansion, diversity, n FROM systems ORDER BY created_at, name"
        )
        saved = [System(LIVE), *(System(*row) for row in rows.fetchall())]
        self._saved = {system.name: system for system in saved}

    def all(self) -> list[System]:
        """Return every system: the live one first, the others in the order in which they were saved."""
        return list(self._saved.values())

    def get(self, name: str) -> System:
        """Return a system; raises `UnknownSystem` naming the saved ones."""
        try:
            return self._saved[name]
        except KeyError:
            known = ", ".join(list(self._saved)[:20])
            raise UnknownSystem(f"There is no system {name[:60]!r}; there are: {known}.") from None

    def save(self, system: System) -> None:
        """Store a new system under its name, after opening what it needs; it is never changed later.

        Raises `ExperimentError` for a name or a setting that cannot be used or a name that is taken, and what
        opening its catalog or head raises; nothing is stored then.
        """
        if system.catalog:
            system = replace(system, catalog=str(Path(system.catalog).expanduser().resolve()))
            if Path(system.catalog) == self._catalog.folder.resolve():
                raise ExperimentError("The other catalog is this one; leave it out.")
        system.check()
        with self._opening:
            if len(self._saved) >= MAX_SYSTEMS:
                raise ExperimentError(f"There are {MAX_SYSTEMS} systems, the limit.")
            if system.name in self._saved:
                raise ExperimentError(f"There is a system {system.name!r} already; choose another name.")
            self._searcher(system)
            name, *settings = astuple(system)
            with self._catalog.database.transaction() as cursor:
                cursor.execute(
                    "INSERT INTO systems VALUES (?, ?, ?, ?, ?, ?, ?)", [name, utc_now(), *settings]
                )
            self._saved = {**self._saved, system.name: system}

    def search(self, query: Query, system: str | System = LIVE) -> SearchResult:
        """Answer the query by a system, a saved one by its name; nothing is recorded.

        Raises `UnknownSystem`, what `Searcher.search` raises, and what opening the system raises the first time.
        """
        chosen = self.get(system) if isinstance(system, str) else system
        return self.live.search(query) if chosen.name == LIVE else self._answer(query, chosen)

    def warm(self, name: str) -> None:
        """Open what a system needs, also its encoder, so that its first visitor need not wait."""
        searcher = self._searcher(self.get(name))
        if searcher.catalog is not self._catalog:
            searcher.encoder()

    def other_indexes(self) -> list[LiveIndex]:
        """Return the indexes of this catalog that were opened for systems, beside the live one."""
        found = {
            id(each.index): each.index for (catalog, _), each in list(self._searchers.items()) if not catalog
        }
        return [index for index in found.values() if index is not self.live.index]

    def close(self) -> None:
        """Close the catalogs that were opened for systems; closing twice is fine."""
        with self._opening:
            self._closed = True
            for other in self._others.values():
                other.titles.close()
                other.duplicates.close()
                other.catalog.close()
            self._others.clear()
            self._searchers.clear()

    def _answer(self, query: Query, system: System) -> SearchResult:
        started = time.perf_counter()
        cursor = Cursor.of(query)
        before = query.offset if cursor is None else cursor.shown
        n = query.n if system.n is None else min(query.n, system.n - before)
        diversity = max(query.diversity, system.diversity)
        searcher = self._searcher(system)
        asked = replace(query, n=max(n, 1), diversity=diversity, cursor="")
        if searcher.catalog is self._catalog:
            result = searcher.search(asked, cursor=cursor)
        else:  # whose keys are not those of the cursor
            result = searcher.search(replace(asked, offset=before))
        hits = result.hits if n > 0 else ()
        if searcher.catalog is not self._catalog:
            hits = self._own_hits(hits)
        matching = result.matching if system.n is None else min(result.matching, system.n)
        total_ms = round((time.perf_counter() - started) * 1000, 3)
        return replace(
            result,
            query=query,
            hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=before + 1)),
            matching=matching,
            cursor=next_cursor(self._position(cursor, result, searcher), query, hits),
            timing_ms={**result.timing_ms, "total": total_ms},
        )

    def _position(self, cursor: Cursor | None, result: SearchResult, searcher: Searcher) -> Cursor:
        """Return the place of a page by the keys of this catalog."""
        if searcher.catalog is self._catalog:
            return result.position
        return cursor or Cursor.start(int(max(self._catalog.keys()[-1:], default=0)))

    def _own_hits(self, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        """Return another catalog's hits with this one's photos and rows, without those that it lacks or hides."""
        found = self._catalog.get_many([hit.item_id for hit in hits])
        hidden = np.isin([item.key for item in found], self.live.rules.hidden_keys())
        items = {item.item_id: item for item, gone in zip(found, hidden, strict=True) if not gone}
        return tuple(
            replace(hit, key=item.key, image=item.location, metadata=item.metadata)
            for hit in hits
            if (item := items.get(hit.item_id))
        )

    def _searcher(self, system: System) -> Searcher:
        """Return what answers for a system, opened at the first call."""
        searcher = self._opened(system)
        return searcher if system.expansion is None else searcher.variant(expansion=system.expansion)

    def _opened(self, system: System) -> Searcher:
        live = self.live
        live_head = live.space.head.id if live.space.head else BASE
        if not system.catalog and system.head in (LIVE, live_head):
            return live
        with self._opening:
            base = self._other(system.catalog) if system.catalog else live
            if system.head == LIVE:
                return base
            key = (system.catalog, system.head)
            if key not in self._searchers:
                space = _space(base.catalog, system.head)
                self._searchers[key] = base.variant(
                    index=open_live_index(base.catalog, threads=self._threads, space=space),
                    calibrated=False,
                )
            return self._searchers[key]

    def _other(self, folder: str) -> Searcher:
        """Return the live searcher of another catalog; raises what opening it raises, or `CatalogError`."""
        if folder in self._others:
            return self._others[folder]
        if self._closed:
            raise CatalogError("The systems are closed; open the catalog again.")
        catalog = CatalogStore.open(folder)
        try:
            if not self._catalog.get_many([item.item_id for item in sample_items(catalog, 50, seed=0)]):
                raise CatalogError(
                    f"The catalog {folder} has other item ids than this one; index the same photos into it."
                )
            index = open_live_index(catalog, threads=self._threads, space=live_space(catalog))
        except BaseException:
            catalog.close()
            raise
        same = catalog.encoder_id == self._catalog.encoder_id
        encoder = self.live.encoder if same else EncoderProvider(catalog).get
        titles = self.live.titles.for_catalog(catalog, encoder)
        self._others[folder] = self.live.for_catalog(catalog, index, encoder, titles)
        return self._others[folder]


def _space(catalog: CatalogStore, head: str) -> VectorSpace:
    """Return the vectors that a system's head names; raises `UnknownSystem` for a head that does not exist."""
    try:
        return VectorSpace(catalog, None if head == BASE else get_head(catalog, head))
    except AdaptationError as error:
        raise UnknownSystem(str(error)) from None


def check_name(what: str, name: str) -> None:
    """Raise `ExperimentError` for a name that cannot be typed, shown and linked as it is."""
    if not _NAME.fullmatch(name):
        raise ExperimentError(
            f"The {what}'s name is {name[:60]!r}, but must be 1 to 40 letters, digits, '.', '_', '+' or '-'."
        )
