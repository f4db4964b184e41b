"""The table `items`: its rows as a `Photo`, and as an `Item` with metadata, read through a cache."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cachetools import LRUCache

from imgsearch.core.records import Item
from imgsearch.core.row_numbers import int64, pixels
from imgsearch.core.text import is_unicode
from imgsearch.store.database import Database, find_rows
from imgsearch.store.metadata_columns import plain_cells
from imgsearch.store.metadata_table import MetadataTable
from imgsearch.store.url_states import UrlState

CACHED_ITEMS = 50_000
"""How many items are cached: a query to DuckDB for ten items takes about 2 ms."""

MAX_READS = 5
_ITEM_COLUMNS = ("item_id", "key", "location", "width_px", "height_px", "revision", "updated_at")
_BOUNDED = (("size_bytes", int64), ("modified_ns", int64), ("width_px", pixels), ("height_px", pixels))


@dataclass(frozen=True, slots=True)
class Photo:
    """A row of the table `items` with its metadata; a source fills the first fields, reading the photo the others.

    `size_bytes` and `modified_ns` change when the file does (0: unknown). `digest` is that of the bytes, `row_digest`
    that of the metadata; "" means unknown. Numbers are kept within the bounds of their columns. `key` is None before
    the photo is stored. `known_digests` are those of stored photos of the same size: this one may be a copy. With a
    `url_state`, the photo is read only if it has changed since.
    """

    item_id: str
    source: str
    location: str
    size_bytes: int = 0
    modified_ns: int = 0
    digest: str = ""
    row_digest: str = ""
    width_px: int = 0
    height_px: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    key: int | None = None
    known_digests: frozenset[str] = frozenset()
    url_state: UrlState | None = None

    def __post_init__(self) -> None:
        for name, within in _BOUNDED:
            given = getattr(self, name)
            if given != (bounded := within(given)):
                object.__setattr__(self, name, bounded)


class ItemReader:
    """Finds items by key or by id, from any thread; keeps the most recently used ones in memory."""

    def __init__(self, database: Database, metadata: MetadataTable) -> None:
        self._database = database
        self._metadata = metadata
        self._lock = threading.Lock()
        self._changes = 0
        self._cached: dict[str, LRUCache[Any, Item]]
        self._cached = {name: LRUCache(CACHED_ITEMS) for name in ("key", "item_id")}

    def clear(self) -> None:
        """Drop all cached items; called after a change is committed."""
        with self._lock:
            self._changes += 1
            for cache in self._cached.values():
                cache.clear()

    def drop(self, keys: Iterable[int], item_ids: Iterable[str]) -> None:
        """Drop the items of these keys and ids; called after a change of them is committed."""
        with self._lock:
            self._changes += 1
            for key in keys:
                self._cached["key"].pop(key, None)
            for item_id in item_ids:
                self._cached["item_id"].pop(item_id, None)

    def find(self, column: Literal["key", "item_id"], values: Iterable[Any]) -> dict[Any, Item]:
        """Return the items whose `column` is among the values, by that value."""
        cache = self._cached[column]
        found, missing = {}, []
        with self._lock:
            changes = self._changes
            for value in dict.fromkeys(values):
                item = cache.get(value)
                if item is not None:
                    found[value] = item
                elif not isinstance(value, str) or is_unicode(value):
                    missing.append(value)
        if missing:
            items = self._found(column, missing)
            self._cache(items, changes)
            found |= {getattr(item, column): item for item in items}
        return found

    def after(self, key: int, limit: int, *, cache: bool = False) -> list[Item]:
        """Return up to `limit` items with greater keys, by key."""
        changes = self._changes
        # Chosen before their metadata is joined: to join all of a million rows and cut the result takes 2 s.
        source = "(SELECT * FROM items WHERE key > ? ORDER BY key LIMIT ?) AS items"
        items = self._read(source, [key, limit], "ORDER BY items.key")
        if cache:
            self._cache(items, changes)
        return items

    def _cache(self, items: Sequence[Item], changes: int) -> None:
        """Cache items read at change number `changes`, unless the catalog has changed since: they may be stale."""
        with self._lock:
            if changes == self._changes:
                for item in items:
                    self._cached["key"][item.key] = item
                    self._cached["item_id"][item.item_id] = item

    def _found(self, column: Literal["key", "item_id"], values: Sequence[Any]) -> list[Item]:
        """Return the items whose `column` is among the values; read again where one is changed meanwhile."""
        cursor = self._database.cursor()
        sql_type = "UBIGINT" if column == "key" else "VARCHAR"
        items: list[Item] = []
        for _ in range(MAX_READS):
            states = self._metadata.columns
            rows = find_rows(cursor, "items", _ITEM_COLUMNS, column, values, sql_type)
            keys = [row[1] for row in rows]
            names = ("key", *plain_cells(states))
            found = find_rows(cursor, "metadata", names, "key", keys, "UBIGINT") if keys else []
            cells = {row[0]: row[1:] for row in found}
            items = [self._item(row, list(states), cells[row[1]]) for row in rows if row[1] in cells]
            if len(items) == len(rows):
                break
        return items

    def _item(self, row: tuple[Any, ...], columns: Sequence[str], cells: Sequence[Any]) -> Item:
        item_id, key, *fields = row
        known = {name: value for name, value in zip(columns, cells, strict=True) if value is not None}
        location, width_px, height_px, revision, updated_at = fields
        title = self._metadata.stated_title
        return Item(item_id, int(key), location, known, width_px, height_px, revision, updated_at, title)

    def _read(self, source: str, values: list[Any], order: str = "") -> list[Item]:
        columns = list(self._metadata.columns)
        names = "".join(f", {cell}" for cell in plain_cells(self._metadata.columns))
        own = ", ".join(f"items.{name}" for name in _ITEM_COLUMNS)
        rows = self._database.cursor().execute(
            f"SELECT {own}{names} FROM {source} JOIN metadata ON items.key = metadata.key {order}", values
        )
        width = len(_ITEM_COLUMNS)
        return [self._item(row[:width], columns, row[width:]) for row in rows.fetchall()]


def digests_of_sizes(
    database: Database, sizes_bytes: Iterable[int], *, at_most: int
) -> dict[int, frozenset[str]]:
    """Return the digests of the photos whose files had one of the sizes, by size.

    A size that more than `at_most` photos have, as uncompressed pictures do, has the digest "" instead.
    """
    rows = database.cursor().execute(
        "SELECT size_bytes, count(*), list(digest) FILTER (number <= $at_most) FROM ("
        "SELECT size_bytes, digest, row_number() OVER (PARTITION BY size_bytes) AS number FROM items "
        "JOIN (SELECT DISTINCT unnest($sizes::BIGINT[]) AS wanted) ON size_bytes = wanted) GROUP BY size_bytes",
        {"sizes": list(sizes_bytes), "at_most": at_most},
    )
    return {
        size: frozenset(digests if count <= at_most else ("",)) for size, count, digests in rows.fetchall()
    }
