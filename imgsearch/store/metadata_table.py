"""The catalog's metadata: its columns, what filters match, the facets of the filter panel, and titles.

The table `metadata` has the columns c0, c1, ... beside `key`; `metadata_columns` names them, since a file may call
its columns anything. How values of each kind are stored: `imgsearch.store.metadata_columns`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from cachetools import LRUCache
from numpy.typing import NDArray

from imgsearch.core.column_names import title_columns
from imgsearch.core.column_types import currency_column, currency_columns
from imgsearch.core.column_values import PLAIN, ColumnKind, Style
from imgsearch.core.errors import FilterError
from imgsearch.core.filter_grammar import condition
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Filter
from imgsearch.core.records import Facet, FacetValue
from imgsearch.store.database import (
    FEW_ROWS,
    Cursor,
    Database,
    borrowed_keys,
    insert_frame,
    insert_rows,
    update_from_frame,
)
from imgsearch.store.metadata_columns import (
    MOMENTS,
    NUMERIC,
    PANDAS_TYPES,
    ColumnState,
    add_column,
    change_kind,
    common_kind,
    new_kind,
    plain_cell,
    stored_cell,
)

FEW_CHOICES = 12
MAX_CHOICES = 60
"""A text column with more distinct values than this is offered for `contains` instead of as choices."""

CACHED_FACETS = 64
"""For how many combinations of filters facets are cached: for a million rows DuckDB takes 100 ms."""

WHITE_SPACE = ("'  '", "chr(9)", "chr(10)", "chr(12)", "chr(13)")
"""SQL texts of which a title contains one where its white space is not single spaces."""


class MetadataTable:
    """Reads the metadata of a catalog's items, from any thread; `insert_metadata` writes it."""

    def __init__(self, database: Database, all_keys: Callable[[], Keys]) -> None:
        """Read the columns; `all_keys` returns the ascending keys of all items."""
        self._database = database
        self._all_keys = all_keys
        self._lock = threading.Lock()
        self._changes = 0
        self._facets: LRUCache[Any, tuple[Facet, ...]] = LRUCache(CACHED_FACETS)
        self._states = read_states(database.cursor())

    def reload(self) -> bool:
        """Read the columns again and drop cached facets; called after a change is committed.

        Returns whether a known column has another kind or role now.
        """
        states = read_states(self._database.cursor())
        with self._lock:
            changed = states[: len(self._states)] != self._states
            self._states = states
            self._changes += 1
            self._facets.clear()
        return changed

    @property
    def columns(self) -> dict[str, ColumnKind]:
        """The columns and their kinds, oldest first."""
        return {state.name: state.kind for state in self._states}

    @property
    def states(self) -> tuple[ColumnState, ...]:
        """The columns with their places and roles, oldest first."""
        return self._states

    @property
    def stated_title(self) -> str:
        """The column that a schema file states as the items' title; "" for none."""
        return next((state.name for state in self._states if state.role == "title"), "")

    @property
    def title_columns(self) -> tuple[str, ...]:
        """The text columns that may hold an item's title, the preferred one first."""
        texts = [state.name for state in self._states if state.kind == "text"]
        return tuple(title_columns(texts, stated if (stated := self.stated_title) in texts else ""))

    def currency_of(self, column: str) -> str:
        """Return the SQL name of the text column with the currencies of a column's prices; "" where there is none."""
        texts = {state.name: state.sql for state in self._states if state.kind == "text"}
        return next((texts[name] for name in currency_columns(column) if name in texts), "")

    def find_column(self, name: str) -> tuple[int, ColumnKind]:
        """Return the position and kind of a column; the exact name wins over another case. Raises `FilterError`."""
        columns = list(self.columns.items())
        for same in (str, str.casefold):
            for position, (column, kind) in enumerate(columns):
                if same(column) == same(name):
                    return position, kind
        known = ", ".join(self.columns) or "none"
        raise FilterError(f"There is no column {name[:100]!r} to filter by; this catalog has: {known}.")

    def row_digests(self) -> tuple[Keys, NDArray[np.str_]]:
        """Return the ascending keys of all items and a digest of the metadata of each."""
        found = self._database.cursor().execute("SELECT key, row_digest FROM items ORDER BY key").fetchnumpy()
        return np.asarray(found["key"], np.uint64), np.asarray(found["row_digest"], np.str_)

    def fingerprint(self) -> str:
        """Return a text that differs when any item, its metadata or a column's kind does; fast for millions."""
        sql = "SELECT count(*), bit_xor(hash(key, row_digest)) FROM items"
        row = self._database.cursor().execute(sql).fetchone()
        return json.dumps([*(row or ()), self.columns])

    # --- values ---------------------------------------------------------------------------------------------------

    def column(self, name: str, keys: Keys | None = None) -> tuple[Keys, NDArray[Any], ColumnKind]:
        """Return (ascending keys of all items or of those among `keys`, their values, the column's kind).

        Numbers and prices are floats, NaN where missing; dates and times ISO 8601 texts, lists of texts are lists,
        None where missing. Raises `FilterError` for an unknown column.
        """
        position, kind = self.find_column(name)
        cell = plain_cell(f"c{position}", kind)
        cursor, select = self._database.cursor(), f"SELECT key, {cell} AS value FROM metadata"
        if keys is None:
            rows = cursor.execute(select).fetchnumpy()
        else:
            with borrowed_keys(cursor, "selected", keys) as borrowed:
                rows = borrowed.execute(f"{select} SEMI JOIN selected USING (key)").fetchnumpy()
        found = np.asarray(rows["key"], np.uint64)
        stored: Any = rows["value"]
        missing, order = np.ma.getmaskarray(stored), np.argsort(found)
        values = np.ma.getdata(stored).astype(np.float64 if kind in NUMERIC else object)
        values[missing] = np.nan if kind in NUMERIC else None
        return found[order], values[order], kind

    def value_codes(self, column: str) -> tuple[Keys, NDArray[np.int64]]:
        """Return (ascending keys of items with a value, a code for each distinct value); empty without the column."""
        try:
            position, _ = self.find_column(column)
        except FilterError:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        sql = (
            f"WITH named AS MATERIALIZED (SELECT c{position}, row_number() OVER () AS code FROM metadata "
            f"WHERE c{position} IS NOT NULL GROUP BY c{position}) "
            f"SELECT key, code FROM metadata JOIN named USING (c{position})"
        )
        return _by_key(self._database.cursor().execute(sql))

    # --- filters --------------------------------------------------------------------------------------------------

    def keys_matching(self, filters: Sequence[Filter]) -> Keys:
        """Return the ascending keys of the items that match every filter; raises `FilterError`."""
        if not filters:
            return self._all_keys()
        where, values = self.where(filters)
        return self._database.keys(f"SELECT key FROM metadata WHERE {where} ORDER BY key", values)

    def count(self, filters: Sequence[Filter] = (), *, without: Keys | None = None) -> int:
        """Return how many items match every filter and are not among `without`; raises `FilterError`."""
        if without is not None and len(without):
            keys = self.keys_matching(filters)
            return len(keys) - int(np.isin(keys, without, assume_unique=True).sum())
        where, values = self.where(filters)
        return int(self._database.value(f"SELECT count(*) FROM metadata WHERE {where}", values))

    def where(self, filters: Sequence[Filter]) -> tuple[str, list[Any]]:
        """Return the SQL condition of the filters on `metadata`, and its parameters; raises `FilterError`."""
        parts: list[str] = ["true"]
        values: list[Any] = []
        for filter in filters:
            position, kind = self.find_column(filter.column)
            currency = self.currency_of(self._states[position].name) if kind in NUMERIC else ""
            sql, parameters = condition(filter, kind, f"c{position}", currency=currency)
            parts.append(f"({sql})")
            values += parameters
        return " AND ".join(parts), values

    def counts(
        self, column: str, values: Sequence[str], filters: Sequence[Filter], *, without: Keys
    ) -> dict[str, int]:
        """Return how many items that pass the filters have each of the values, as texts, in a column."""
        position, _ = self.find_column(column)
        where, parameters = self.where(filters)
        name = f"CAST(c{position} AS VARCHAR)"
        with borrowed_keys(self._database.cursor(), "excluded", without) as cursor:
            rows = cursor.execute(
                f"SELECT {name} AS value, count(*) FROM metadata WHERE {where} AND key NOT IN (FROM excluded) "
                f"AND list_contains(?::VARCHAR[], {name}) GROUP BY value",
                [*parameters, list(values)],
            ).fetchall()
        return {value: int(count) for value, count in rows}

    # --- facets ---------------------------------------------------------------------------------------------------

    def facets(
        self,
        filters: Sequence[Filter] = (),
        *,
        without: Keys | None = None,
        only: Sequence[str] | None = None,
    ) -> list[Facet]:
        """Return every column (or `only` some) as a filter offers it, counted under the filters of the *others*.

        So the choice of "red" still shows how many blue items could be added. Items `without` do not count. Values:
        most frequent first, ties by value.
        """
        excluded = without if without is not None and len(without) else None
        digest = b"" if excluded is None else hashlib.sha256(excluded.tobytes()).digest()
        name = tuple(filters), digest, None if only is None else tuple(only)
        with self._lock:
            changes, cached = self._changes, self._facets.get(name)
        if cached is None:
            cursor = self._database.cursor()
            if excluded is None:
                cached = tuple(self._each_facet(cursor, filters, "true", only))
            else:
                with borrowed_keys(cursor, "excluded", excluded) as borrowed:
                    cached = tuple(self._each_facet(borrowed, filters, "key NOT IN (FROM excluded)", only))
            with self._lock:
                if changes == self._changes:
                    self._facets[name] = cached
        return list(cached)

    def _each_facet(
        self, cursor: Cursor, filters: Sequence[Filter], also: str, only: Sequence[str] | None
    ) -> Iterator[Facet]:
        for state in self._states:
            if only is not None and state.name not in only:
                continue
            others = [filter for filter in filters if self.find_column(filter.column)[0] != state.position]
            where, values = self.where(others)
            source = f"FROM metadata WHERE {where} AND {also}"
            if state.kind in NUMERIC or state.kind in MOMENTS:
                yield self._range(cursor, state, source, values)
            else:
                yield _choices(cursor, state, source, values)

    def _range(self, cursor: Cursor, state: ColumnState, source: str, values: list[Any]) -> Facet:
        currency = self.currency_of(state.name) if state.kind in NUMERIC else ""
        ends = [plain_cell(f"{end}({state.sql})", state.kind) for end in ("min", "max")]
        ends += [f"{end}({currency})" if currency else "''" for end in ("min", "max")]
        low, high, first, last = cursor.execute(f"SELECT {', '.join(ends)} {source}", values).fetchall()[0]
        if state.kind in MOMENTS:
            return Facet(state.name, "period", holds=state.kind, first=low or "", last=high or "")
        one = first if first and first == last else ""
        return Facet(state.name, "range", holds=state.kind, low=low, high=high, currency=one)

    # --- kinds ----------------------------------------------------------------------------------------------------

    def retype(self, cursor: Cursor, name: str, kind: ColumnKind, style: Style = PLAIN) -> int:
        """Give a column another kind inside the caller's transaction; return how many values do not fit.

        Their texts are kept, and come back where the column becomes text again. `style` is how its texts are written.
        The currencies of prices in texts are stored in a column beside it.
        """
        states = {state.name: state for state in read_states(cursor)}
        currency = ""
        if kind == "price" and states[name].kind == "text":
            beside = states.get(currency_column(name)) or add_column(
                cursor, currency_column(name), "text", len(states)
            )
            currency = beside.sql if beside.kind == "text" else ""
        return change_kind(cursor, states[name], kind, style, currency)

    # --- titles ---------------------------------------------------------------------------------------------------

    def count_titles(self) -> int:
        """Return how many distinct titles there are: those of `Item.title`, apart from file names."""
        return int(self._database.value(f"SELECT count(DISTINCT t) FROM {self._distinct_titles()}"))

    def titles(self, max_length: int) -> tuple[Keys, NDArray[np.int64], list[str]]:
        """Return (ascending keys of the items with a title, the position of each one's title, the distinct titles).

        The titles are in the order of first use, cut to `max_length` characters.
        """
        cursor = self._database.cursor()
        cut = f"(SELECT *, t[:{int(max_length)}] AS cut FROM {self._distinct_titles()})"
        named = cursor.execute(f"SELECT cut FROM {cut} GROUP BY cut ORDER BY min(first)").fetchall()
        titles = [row[0] for row in named]
        names = self._title_columns()
        same = " AND ".join(f"metadata.{name} IS NOT DISTINCT FROM raw.{name}" for name in names)
        sql = (
            "SELECT metadata.key AS key, named.code AS code FROM metadata "
            f"JOIN {cut} AS raw ON {same or 'false'} "
            "JOIN (SELECT unnest(?::VARCHAR[]) AS cut, unnest(range(?)) AS code) AS named ON named.cut = raw.cut"
        )
        return *_by_key(cursor.execute(sql, [titles, len(titles)])), titles

    def title_counts(self, max_length: int) -> dict[str, int]:
        """Return each distinct title, cut to `max_length` characters, and how many items have it."""
        source = self._distinct_titles()
        sql = f"SELECT t[:{int(max_length)}] AS cut, sum(items)::BIGINT FROM {source} GROUP BY cut"
        return dict(self._database.cursor().execute(sql).fetchall())

    def _title_columns(self) -> list[str]:
        """Return the SQL names of the columns that hold titles, the preferred one first."""
        names = {state.name: state.sql for state in self._states}
        return [names[name] for name in self.title_columns]

    def _distinct_titles(self) -> str:
        """Return a subquery of the distinct titles: `t`, the raw columns, how many `items`, the `first` key.

        White space becomes single spaces in `t`. The regular expression runs on distinct values only, and only where
        it changes something, since it takes 2 microseconds a row.
        """
        names = self._title_columns()
        clean = [
            f"nullif(trim(CASE WHEN {' OR '.join(f'contains({name}, {white})' for white in WHITE_SPACE)} "
            f"THEN regexp_replace({name}, '\\s+', ' ', 'g') ELSE {name} END), '')"
            for name in names
        ]
        title = f"coalesce({', '.join(clean)})" if clean else "CAST(NULL AS VARCHAR)"
        columns = "".join(f"{name}, " for name in names)
        raw = f"(SELECT {columns}count(*) AS items, min(key) AS first FROM metadata GROUP BY ALL)"
        return f"(SELECT *, {title} AS t FROM {raw}) WHERE t IS NOT NULL"


def _by_key(result: Cursor) -> tuple[Keys, NDArray[np.int64]]:
    """Return the columns `key` and `code` of a result, by ascending key."""
    found = result.fetchnumpy()
    keys, codes = np.asarray(found["key"], np.uint64), np.asarray(found["code"], np.int64)
    order = np.argsort(keys)
    return keys[order], codes[order]


def _choices(cursor: Cursor, state: ColumnState, source: str, values: list[Any]) -> Facet:
    """Return the values of a column, those of each list by themselves, or that they are too many to choose from."""
    value = f"unnest({state.sql})" if state.kind == "list" else state.sql
    inner = f"SELECT {value} AS value {source} AND {state.sql} IS NOT NULL"
    rows = cursor.execute(
        f"SELECT value, count(*) AS n FROM ({inner}) GROUP BY ALL ORDER BY n DESC, value LIMIT {MAX_CHOICES + 1}",
        values,
    ).fetchall()
    # Many values that occur once each, such as names, are not a choice either.
    if len(rows) > MAX_CHOICES or (len(rows) > FEW_CHOICES and rows[0][1] == 1):
        return Facet(state.name, "text", holds=state.kind)
    choices = tuple(FacetValue(value, int(count)) for value, count in rows)
    return Facet(state.name, "choice", values=choices, holds=state.kind)


# --- writing -----------------------------------------------------------------------------------------------------


def read_states(cursor: Cursor) -> tuple[ColumnState, ...]:
    """Return the columns in the order of c0, c1, ..."""
    rows = cursor.execute(
        "SELECT name, kind, position, role FROM metadata_columns ORDER BY position"
    ).fetchall()
    return tuple(ColumnState(name, kind, position, role or "") for name, kind, position, role in rows)


def read_columns(cursor: Cursor) -> dict[str, ColumnKind]:
    """Return the kinds of the columns by name, in the order of c0, c1, ..."""
    return {state.name: state.kind for state in read_states(cursor)}


def insert_metadata(cursor: Cursor, keys: NDArray[np.uint64], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert a row for each key, inside the caller's transaction."""
    columns = _fit_columns(cursor, rows)
    if len(rows) <= FEW_ROWS:
        cells = [
            [int(key), *(stored_cell(row.get(column), kind) for column, kind in columns.items())]
            for key, row in zip(keys, rows, strict=True)
        ]
        insert_rows(cursor, "metadata", ["key", *(f"c{place}" for place in range(len(columns)))], cells)
        return
    series: dict[str, Any] = {"key": keys}
    for column, kind in columns.items():
        values = [stored_cell(row.get(column), kind) for row in rows]
        series[f"v{len(series)}"] = pd.Series(values, dtype=PANDAS_TYPES[kind])
    # Made at once: pandas warns about columns that are added one by one.
    insert_frame(cursor, "metadata", pd.DataFrame(series))


def update_cells(cursor: Cursor, rows: Mapping[int, Mapping[str, Any]]) -> None:
    """Set the given columns of known keys, inside the caller's transaction; None removes a value."""
    if not rows:
        return
    columns = _fit_columns(cursor, list(rows.values()))
    places = {name: f"c{position}" for position, name in enumerate(columns)}
    by_names: dict[tuple[str, ...], list[int]] = {}
    for key, row in rows.items():
        by_names.setdefault(tuple(name for name in row if name in columns), []).append(key)
    for names, keys in by_names.items():
        if not names:  # only values of unknown columns are removed
            continue
        if len(keys) <= FEW_ROWS:
            sql = f"UPDATE metadata SET {', '.join(f'{places[name]} = ?' for name in names)} WHERE key = ?"
            for key in keys:
                cursor.execute(sql, [*(stored_cell(rows[key][name], columns[name]) for name in names), key])
            continue
        frame = pd.DataFrame({"key": np.array(keys, np.uint64)})
        for name in names:
            values = [stored_cell(rows[key][name], columns[name]) for key in keys]
            frame[places[name]] = pd.Series(values, dtype=PANDAS_TYPES[columns[name]])
        update_from_frame(cursor, "metadata", "key", frame)


def _fit_columns(cursor: Cursor, rows: Sequence[Mapping[str, Any]]) -> dict[str, ColumnKind]:
    """Add columns for new names, widen those whose new values do not fit, and return the kinds of all columns.

    An import has fitted its rows to the columns before (`imgsearch.ingest.column_plan`), so that a value which does
    not fit changes no column.
    """
    before = {state.name: state for state in read_states(cursor)}
    columns = {state.name: state.kind for state in before.values()}
    for row in rows:
        for name, value in row.items():
            if value is not None and (name not in columns or not _fits(value, columns[name])):
                kind = new_kind(name, value)
                columns[name] = common_kind(columns.get(name, kind), kind)
    for position, (name, kind) in enumerate(columns.items()):
        known = before.get(name)
        if known is None:
            add_column(cursor, name, kind, position)
        elif known.kind != kind:
            change_kind(cursor, known, kind)
    return columns


def _fits(value: Any, kind: ColumnKind) -> bool:
    """Return whether a column of the kind holds the value as it is: typed values do, and texts that were dates."""
    if kind == "text":
        return True
    if kind in ("number", "boolean"):
        return new_kind("", value) == kind
    if isinstance(value, bool | np.bool_):
        return False
    return (isinstance(value, float) and value != value) or stored_cell(value, kind) is not None
