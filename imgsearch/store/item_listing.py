"""Lists the items of a catalog page by page: filtered, searched by words, sorted by any column.

A page is addressed by its offset, or by the cursor of the page before it: the values and the key of that page's last
item, so that it is right while items come and go.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from cachetools import LRUCache

from imgsearch.core.errors import QueryError
from imgsearch.core.filter_grammar import ColumnKind
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Filter
from imgsearch.core.records import Item
from imgsearch.core.text import check_text
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import Cursor, borrowed_keys

MAX_PAGE = 1000
MAX_SORTS = 8
MAX_SEARCH_CHARS = 400
MAX_SEARCH_WORDS = 12
MAX_CURSOR_CHARS = 16_000
SORTED_CHARS = 100
"""How much of a text counts in the order; a cursor holds that much of it."""

CACHED_LISTS = 4
"""How many searches' keys and how many orders are kept: 8 MB each for a million items."""

CACHED_TOTALS = 64
OWN_COLUMNS = {"id": "lower(item_id)", "added": "added_at", "updated": "updated_at"}
"""What an item is sorted by besides its metadata; a metadata column of that name comes first."""

COMPARED: frozenset[ColumnKind] = frozenset({"number", "price", "boolean", "date", "datetime", "time"})
"""The kinds that are sorted by their values; others by their text."""

_ITEMS, _METADATA = "items", "metadata"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ListedPage:
    """Items in the order of the listing; `cursor` leads to the next page and is "" at the end.

    `total` counts the items of all pages.
    """

    items: tuple[Item, ...]
    cursor: str
    total: int


@dataclass(frozen=True, slots=True)
class _Term:
    """One part of an order: an SQL expression, what it is called, its table and type, and the direction."""

    sql: str
    name: str
    table: str
    sql_type: str
    descending: bool

    def after(self, value: str | None) -> tuple[str, list[str]]:
        """Return the condition of the rows that come after those with the value; missing values come last."""
        if value is None:
            return "false", []
        sign = "<" if self.descending else ">"
        return f"({self.name} {sign} TRY_CAST(? AS {self.sql_type}) OR {self.name} IS NULL)", [value]

    def same(self, value: str | None) -> tuple[str, list[str]]:
        """Return the condition of the rows with the value."""
        if value is None:
            return f"{self.name} IS NULL", []
        return f"{self.name} = TRY_CAST(? AS {self.sql_type})", [value]


@dataclass(frozen=True, slots=True)
class _List:
    """What a page is a part of: the rows that match, and their order."""

    where: str
    values: tuple[Any, ...]
    words: tuple[str, ...]
    terms: tuple[_Term, ...]

    @property
    def matching(self) -> tuple[Any, ...]:
        """What identifies the rows, whatever their order."""
        return self.where, self.values, self.words

    @property
    def name(self) -> str:
        """What its cursors begin with."""
        return hashlib.sha256(repr((self.matching, self.terms)).encode()).hexdigest()[:16]

    @property
    def tables(self) -> str:
        """The tables to read; a join of both takes longer than reading one."""
        used = {term.table for term in self.terms} | ({_METADATA} if self.values else set())
        return "items JOIN metadata USING (key)" if len(used) > 1 else next(iter(used), _ITEMS)

    @property
    def order(self) -> str:
        """The order by the names of the terms."""
        parts = [f"{term.name} {'DESC' if term.descending else 'ASC'} NULLS LAST" for term in self.terms]
        return ", ".join([*parts, "key"])

    def rows(self, tables: str) -> str:
        """Return the query of the rows that match the filters: `key`, and each term by its name."""
        selected = ", ".join(["key", *(f"{term.sql} AS {term.name}" for term in self.terms)])
        return f"SELECT {selected} FROM {tables} WHERE {self.where}"

    @property
    def texts(self) -> str:
        """The columns of a row that a cursor can hold."""
        return ", ".join(["key", *(f"CAST({term.name} AS VARCHAR)" for term in self.terms)])


class ItemListing:
    """Reads pages of a catalog's items, from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._totals: LRUCache[Any, int] = LRUCache(CACHED_TOTALS)
        self._found: LRUCache[Any, Keys] = LRUCache(CACHED_LISTS)
        self._orders: LRUCache[Any, Keys] = LRUCache(CACHED_LISTS)

    def page(
        self,
        filters: Sequence[Filter] = (),
        search: str = "",
        sort: Sequence[tuple[str, bool]] = (),
        *,
        cursor: str = "",
        offset: int = 0,
        limit: int = 100,
    ) -> ListedPage:
        """Return up to `limit` items (at most `MAX_PAGE`) after the cursor, or else from the offset on.

        Every word of `search` must be in the id or in a text column, in any case. `sort` has columns and whether
        they are descending: those of the metadata, `title`, or `OWN_COLUMNS`. Ties, and without `sort` all, are in
        the order of adding, in which a replaced photo counts as added again. Missing values come last in both
        directions. Of texts the first `SORTED_CHARS` characters are compared, in any case. Raises `FilterError` for
        a filter, `QueryError` for a column, search or cursor that does not fit.
        """
        listed = self._list(filters, search, sort)
        limit = max(1, min(limit, MAX_PAGE))
        total = self._total(listed)
        if cursor or not offset:
            rows = self._rows_after(listed, _read_cursor(cursor, listed) if cursor else None, limit + 1)
            more = len(rows) > limit
        else:
            start = max(0, offset)
            rows = self._rows_of(listed, self._order(listed)[start : start + limit])
            more = start + limit < total
        rows = rows[:limit]
        items = tuple(self._catalog.by_keys([row[0] for row in rows]))
        return ListedPage(items, _cursor(listed, rows[-1]) if more and rows else "", total)

    def keys(self, filters: Sequence[Filter] = (), search: str = "") -> Keys:
        """Return the ascending keys of all items of the list; raises what `page` raises."""
        listed = self._list(filters, search, ())
        return self._matching(listed) if listed.words else self._catalog.metadata.keys_matching(filters)

    # --- what is listed -------------------------------------------------------------------------------------------

    def _list(self, filters: Sequence[Filter], search: str, sort: Sequence[tuple[str, bool]]) -> _List:
        if len(sort) > MAX_SORTS:
            raise QueryError(f"A list is sorted by at most {MAX_SORTS} columns, not {len(sort)}.")
        where, values = self._catalog.metadata.where(filters)
        terms = tuple(self._term(*each, name=f"s{place}") for place, each in enumerate(sort))
        return _List(where, tuple(values), _words(search), terms)

    def _term(self, column: str, descending: bool, *, name: str) -> _Term:
        columns = self._catalog.metadata.columns
        sql, table = self._expression(column, columns)
        described = self._catalog.database.cursor().execute(f"SELECT {sql} FROM {table} LIMIT 0").description
        return _Term(sql, name, table, str(described[0][1]) if described else "VARCHAR", descending)

    def _expression(self, column: str, columns: dict[str, ColumnKind]) -> tuple[str, str]:
        """Return the SQL expression of a column and its table; raises `QueryError` for an unknown one."""
        by_name = {name.casefold(): name for name in reversed(columns)}
        found = column if column in columns else by_name.get(column.casefold())
        places = {name: place for place, name in enumerate(columns)}
        if found is not None:
            name = f"c{places[found]}"
            return (name if columns[found] in COMPARED else _sorted_text(name)), _METADATA
        if column == "title":
            titles = [f"c{places[name]}" for name in self._catalog.metadata.title_columns]
            if titles:
                return _sorted_text(f"coalesce({', '.join(titles)})"), _METADATA
            column = "id"
        if column in OWN_COLUMNS:
            return OWN_COLUMNS[column], _ITEMS
        known = ", ".join(dict.fromkeys([*columns, "title", *OWN_COLUMNS]))
        raise QueryError(f"There is no column {column[:100]!r} to sort by; this catalog has: {known}.")

    def _total(self, listed: _List) -> int:
        if listed.words:
            return len(self._matching(listed))
        if not listed.values:
            return len(self._catalog)
        sql = f"SELECT count(*) FROM metadata WHERE {listed.where}"
        return self._cached(
            self._totals, listed.matching, lambda: int(self._catalog.database.value(sql, listed.values))
        )

    def _matching(self, listed: _List) -> Keys:
        """Return the ascending keys of the rows that match the filters and the words."""
        kinds = self._catalog.metadata.columns.values()
        names = [f"c{place}" for place, kind in enumerate(kinds) if kind == "text"]
        each = " OR ".join(
            [
                "key IN (SELECT key FROM items WHERE contains(lower(item_id), lower(?)))",
                *(f"contains(lower({name}), lower(?))" for name in names),
            ]
        )
        where = " AND ".join([listed.where, *(f"({each})" for _ in listed.words)])
        values = [*listed.values, *(word for word in listed.words for _ in range(len(names) + 1))]
        sql = f"SELECT key FROM metadata WHERE {where} ORDER BY key"
        return self._cached(self._found, listed.matching, lambda: self._catalog.database.keys(sql, values))

    # --- rows: a key and the texts of what it is sorted by ----------------------------------------------------------

    def _rows_after(self, listed: _List, last: _Row | None, limit: int) -> list[_Row]:
        after, values = _after(listed.terms, last)
        with self._matched(listed) as (cursor, tables):
            chosen = f"FROM ({listed.rows(tables)}) WHERE {after} ORDER BY {listed.order} LIMIT {limit}"
            # Casting all rows, not only the chosen ones, would take longer than choosing them.
            sql = f"SELECT {listed.texts} FROM ({chosen}) ORDER BY {listed.order}"
            return cursor.execute(sql, [*listed.values, *values]).fetchall()

    def _rows_of(self, listed: _List, keys: Keys) -> list[_Row]:
        """Return the rows of the keys that still exist, in the given order."""
        with borrowed_keys(self._catalog.database.cursor(), "wanted", keys) as cursor:
            rows = listed.rows(f"{listed.tables} SEMI JOIN wanted USING (key)")
            found = cursor.execute(f"SELECT {listed.texts} FROM ({rows})", list(listed.values)).fetchall()
            by_key = {row[0]: row for row in found}
        return [by_key[key] for key in keys.tolist() if key in by_key]

    def _order(self, listed: _List) -> Keys:
        """Return the keys of all rows in their order."""

        def read() -> Keys:
            with self._matched(listed) as (cursor, tables):
                sql = f"SELECT key FROM ({listed.rows(tables)}) ORDER BY {listed.order}"
                return np.asarray(cursor.execute(sql, list(listed.values)).fetchnumpy()["key"], np.uint64)

        return self._cached(self._orders, (listed.matching, listed.terms), read)

    @contextmanager
    def _matched(self, listed: _List) -> Iterator[tuple[Cursor, str]]:
        """Yield a cursor and the tables to read from, which hold only the rows with the words."""
        cursor = self._catalog.database.cursor()
        if not listed.words:
            yield cursor, listed.tables
            return
        with borrowed_keys(cursor, "matched", self._matching(listed)) as borrowed:
            yield borrowed, f"{listed.tables} SEMI JOIN matched USING (key)"

    def _cached(self, cache: LRUCache[Any, _T], name: Any, read: Callable[[], _T]) -> _T:
        """Return what `read` returned for this version of the catalog."""
        name = (self._catalog.version, name)
        with self._lock:
            found = cache.get(name)
        if found is None:
            found = read()
            with self._lock:
                cache[name] = found
        return found


_Row = tuple[Any, ...]


def _sorted_text(sql: str) -> str:
    return f"lower(left(CAST({sql} AS VARCHAR), {SORTED_CHARS}))"


def _after(terms: Sequence[_Term], last: _Row | None) -> tuple[str, list[Any]]:
    """Return the condition of the rows after the last one of a page, and its parameters."""
    if last is None:
        return "true", []
    key, *values = last
    sql, parameters = "key > CAST(? AS UBIGINT)", [key]
    for term, value in reversed(list(zip(terms, values, strict=True))):
        after, after_values = term.after(value)
        same, same_values = term.same(value)
        sql = f"({after} OR ({same} AND {sql}))"
        parameters = [*after_values, *same_values, *parameters]
    return sql, parameters


def _words(search: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(check_text(search, "The search", max_chars=MAX_SEARCH_CHARS).split()))
    if len(words) > MAX_SEARCH_WORDS:
        raise QueryError(f"The search has {len(words)} words; use at most {MAX_SEARCH_WORDS}.")
    return words


def _cursor(listed: _List, row: _Row) -> str:
    text = json.dumps([listed.name, *row], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, listed: _List) -> _Row:
    """Return the row that a cursor stands behind; raises `QueryError` for another list's, and for any other text."""
    check_text(cursor, "The cursor", max_chars=MAX_CURSOR_CHARS)
    try:
        name, *row = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        name, row = "", []
    key, *values = row or [None]
    fits = len(values) == len(listed.terms) and all(
        value is None or isinstance(value, str) for value in values
    )
    if name != listed.name or not fits or type(key) is not int or not 0 <= key < 2**64:
        raise QueryError(
            "The cursor belongs to another list; pass that of the page before, with the same filters and sort."
        )
    return (key, *values)
