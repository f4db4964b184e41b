"""The names of one catalog's items (titles, brands, codes), kept in step with it so that typed words find them.

Why no library: bm25s builds an index of all texts that cannot be changed, rank-bm25 compares every text at
each search, and tantivy would be a second store with commits of its own beside the database. Here a catalog's words
are sorted arrays in `<catalog>/names.npz` (a cache: deleting it is harmless), and those of the items that changed
since are looked up in a dictionary until they are many.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from imgsearch.core.background import BackgroundThread, Stopped
from imgsearch.core.column_names import holds_codes, name_words, title_columns
from imgsearch.core.key_arrays import Keys, is_in
from imgsearch.core.query import plain_value
from imgsearch.search.words.name_match import NameMatch, match_names
from imgsearch.search.words.tokens import CHOSEN, CODE, code_words, joined, text_words
from imgsearch.search.words.word_postings import PatchedPostings, RecentWords, WordPostings
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import borrowed_keys

BATCH = 20_000
SYNC_ITEMS = 2_000
"""Up to this many changed items are read while a search waits, in about 40 ms; more in the background."""
MIN_RECENT, RECENT_SHARE = 2_000, 0.05
"""When the words of all items are arranged again: once this number, or this share of them, have changed."""
MIN_STEM_CHARS = 4
"""The name of an item's file is a code of it where it has this length and a digit: not the 2 of "mug/2.jpg"."""
STOP_TIMEOUT_S = 30.0
BRANDS = frozenset(
    (
        "brand",
        "brands",
        "manufacturer",
        "vendor",
        "maker",
        "designer",
        "marke",
        "hersteller",
        "marque",
        "marca",
        "merk",
    )
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NameColumns:
    """The columns whose words are found, by position: texts and codes; `signature` tells them apart.

    Those texts that are brands, or `chosen`, identify items whatever their photos show.
    """

    texts: tuple[int, ...]
    codes: tuple[int, ...]
    chosen: frozenset[int]
    signature: tuple[str, ...]

    @staticmethod
    def of(columns: dict[str, Any], chosen: Sequence[str]) -> NameColumns:
        """Return those of a catalog: titles, brands, codes, and the `chosen` ones."""
        wanted = {name.casefold() for name in chosen}
        titles = set(title_columns(columns))
        texts, codes, marked, signature = [], [], [], []
        for position, (name, kind) in enumerate(columns.items()):
            if holds_codes(name) and kind in ("text", "number"):
                codes.append(position)
            elif name.casefold() in wanted or (kind == "text" and BRANDS & set(name_words(name))):
                texts.append(position)
                marked.append(position)
            elif kind == "text" and name in titles:
                texts.append(position)
            else:
                continue
            signature.append(f"{position} {kind} {name}")
        return NameColumns(tuple(texts), tuple(codes), frozenset(marked), tuple(signature))


@dataclass(slots=True, eq=False)
class _State:
    """The postings of one version of the catalog, by which columns, and the highest revision among the items."""

    base: WordPostings
    recent: RecentWords
    stale: Keys
    columns: NameColumns
    version: int
    changed: int = field(default=0)


class Names:
    """The names of one open catalog; safe to use from any thread."""

    def __init__(
        self, catalog: CatalogStore, *, columns: Sequence[str] = (), in_background: bool = False
    ) -> None:
        """Use the titles, brands and codes of `catalog`, and the text `columns` that are named.

        All names are read at the first `match`: in a background thread, or else while the caller waits.
        """
        self._catalog = catalog
        self._chosen = tuple(columns)
        self._in_background = in_background
        self._path = catalog.folder / "names.npz"
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._state: _State | None = None
        self._thread = BackgroundThread("names", self._read_all)

    def for_catalog(self, catalog: CatalogStore) -> Names:
        """Return the names of another catalog."""
        return Names(catalog, columns=self._chosen, in_background=self._in_background)

    def match(
        self, text: str, ordinary: Container[str] | None = None, *, trusted: bool = True
    ) -> NameMatch | None:
        """Return the items that a text names, as `match_names` does; None also where names are not read yet.

        Names must not fail a search: an error is logged.
        """
        try:
            with self._lock:
                postings = self._postings()
                return None if postings is None else match_names(postings, text, ordinary, trusted=trusted)
        except Exception:
            _log.exception("the names of items cannot be searched")
            return None

    def known(self, words: Iterable[str]) -> set[str]:
        """Return those of the words that a title, a brand or a code has."""
        with self._lock:
            postings = self._postings()
            if postings is None:
                return set()
            return {word for word in words if any(postings.count(part) for part in text_words(word))}

    def prepare(self) -> None:
        """Read the names, so that no search waits for it."""
        with self._lock:
            self._postings()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the names are read; return whether they are."""
        self.prepare()
        self._thread.wait(timeout_s)
        return self._state is not None

    def close(self) -> None:
        """Stop the background thread and wait for it; closing twice is fine."""
        self._thread.stop(STOP_TIMEOUT_S)

    # --- upkeep -----------------------------------------------------------------------------------------------

    def _postings(self) -> PatchedPostings | None:
        """Return the postings of the present version; the former ones while very many items are read again."""
        state = self._state
        if state is None or state.version != self._catalog.version:
            self._refresh()
            state = self._state
        if state is None:
            return None
        return PatchedPostings(state.base, state.recent, state.stale)

    def _refresh(self) -> None:
        state, version = self._state, self._catalog.version
        if state is not None:
            touched = self._catalog.recent.since(state.version)
            same = self._columns() == state.columns
            if touched is not None and same and len(touched) <= SYNC_ITEMS:
                self._follow(state, touched, version)
                if state.changed > max(MIN_RECENT, RECENT_SHARE * len(state.base.keys)):
                    self._start()
                return
        if self._in_background:
            self._thread.start()
        elif not self._thread.stopping:
            self._read_all()

    def _start(self) -> None:
        if self._in_background:
            self._thread.start()
        else:
            self._read_all()

    def _follow(self, state: _State, touched: Keys, version: int) -> None:
        """Read the names of the touched items again."""
        live = touched[is_in(self._catalog.keys(), touched)]
        for key in touched.tolist():
            state.recent.remove(key)
        for key, words in self._words(state.columns, live):
            state.recent.add(key, words)
        state.stale = np.union1d(state.stale, touched[is_in(state.base.keys, touched)])
        state.changed += len(touched)
        state.version = version

    def _read_all(self) -> None:
        """Take the stored postings with what changed since, or read all names and store them."""
        with self._reading:
            try:
                state = (self._stored() if self._state is None else None) or self._arranged()
            except Stopped:
                raise
            except Exception:
                _log.exception("the names of items cannot be read")
                return
            with self._lock:
                self._state = state

    def _stored(self) -> _State | None:
        """Return the stored postings and what changed since; None where they do not fit, or very much has changed."""
        found = WordPostings.load(self._path)
        if found is None:
            return None
        base, stored = found
        columns, version, keys = self._columns(), self._catalog.version, self._catalog.keys()
        if stored.get("columns") != list(columns.signature):
            return None
        later = self._catalog.database.keys(
            "SELECT key FROM items WHERE revision > ? ORDER BY key", [int(stored.get("revision", 0))]
        )
        new = keys[~is_in(base.keys, keys)]
        gone = base.keys[~is_in(keys, base.keys)]
        changed = np.union1d(new, later)
        if len(changed) > max(SYNC_ITEMS, RECENT_SHARE * len(keys)):
            return None
        recent = RecentWords()
        for key, words in self._words(columns, changed):
            recent.add(key, words)
        stale = np.union1d(gone, changed[is_in(base.keys, changed)])
        return _State(base, recent, stale, columns, version, len(changed))

    def _arranged(self) -> _State:
        columns, version, keys = self._columns(), self._catalog.version, self._catalog.keys()
        revision = int(self._catalog.database.value("SELECT coalesce(max(revision), 0) FROM items") or 0)
        read: list[int] = []
        base = WordPostings.of(self._each(columns, keys, read), read)
        state = {"columns": list(columns.signature), "revision": revision}
        if len(keys):
            try:
                base.save(self._path, state)
            except OSError as error:
                _log.warning("the names cannot be stored in %s: %s", self._path, error)
        none = np.zeros(0, np.uint64)
        return _State(base, RecentWords(), none, columns, version)

    def _columns(self) -> NameColumns:
        return NameColumns.of(self._catalog.metadata.columns, self._chosen)

    def _each(self, columns: NameColumns, keys: Keys, read: list[int]) -> Iterator[list[str]]:
        """Yield the words of each item by ascending key, and append its key to `read`."""
        for start in range(0, len(keys), BATCH):
            for key, words in self._words(columns, keys[start : start + BATCH]):
                read.append(key)
                yield words
            self._thread.check()

    def _words(self, columns: NameColumns, keys: Keys) -> Iterator[tuple[int, list[str]]]:
        """Yield the ascending keys that exist, each with the words of its item."""
        if not len(keys):
            return
        positions = (*columns.texts, *columns.codes)
        cells = "".join(f", metadata.c{position}" for position in positions)
        with borrowed_keys(self._catalog.database.cursor(), "selected", keys) as cursor:
            rows = cursor.execute(
                f"SELECT items.key, items.item_id{cells} FROM selected JOIN items USING (key) "
                "JOIN metadata USING (key) ORDER BY items.key"
            ).fetchall()
        texts, marked = len(columns.texts), [position in columns.chosen for position in columns.texts]
        for key, item_id, *values in rows:
            words = item_words(item_id, values[:texts], values[texts:])
            for text, chosen in zip(values[:texts], marked, strict=True):
                if chosen and text is not None:
                    words += [f"{CHOSEN}{word}" for word in text_words(str(text))]
            yield int(key), words


def item_words(item_id: str, texts: Sequence[Any], codes: Sequence[Any]) -> list[str]:
    """Return the words of an item: those of its texts and codes, its id and the name of its file as codes."""
    words = [word for text in texts if text is not None for word in text_words(str(text))]
    for code in codes:
        if code is not None:
            words += code_words(plain_value(code))
    stem = PurePosixPath(item_id).stem
    for name in {item_id, stem}:
        long_enough = len(name) >= MIN_STEM_CHARS and any(each.isdigit() for each in name)
        if (whole := joined(name)) and (name == item_id or long_enough):
            words.append(f"{CODE}{whole}")
    return words
