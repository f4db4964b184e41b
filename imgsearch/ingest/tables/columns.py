"""Building columns from rows or records, in chunks, so that a large file is never a list of Python objects."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from imgsearch.core.errors import SourceError
from imgsearch.ingest.tables.cells import NumberText, cell_text
from imgsearch.ingest.tables.table import TableColumn, TableLimits, unique_names

CHUNK_ROWS = 20_000
MIN_VECTOR = 16
"""A list of at least this many numbers is an embedding."""


def text_array(values: Sequence[str | None]) -> pa.Array:
    """Return texts as an Arrow array; a lone surrogate, which is no character, becomes "?"."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        clean = [None if value is None else value.encode("utf-8", "replace").decode() for value in values]
        return pa.array(clean, pa.string())


class TextColumns:
    """Collects rows of texts of one width."""

    def __init__(self, headings: Sequence[str]) -> None:
        self._headings = list(headings)
        self._chunks: list[list[pa.Array]] = [[] for _ in headings]
        self._rows: list[Sequence[str | None]] = []

    def append(self, row: Sequence[str | None]) -> None:
        """Add a row with a cell for each heading."""
        self._rows.append(row)
        if len(self._rows) >= CHUNK_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            for chunks, values in zip(self._chunks, zip(*self._rows, strict=True), strict=True):
                chunks.append(text_array([value or None for value in values] if "" in values else values))
            self._rows = []

    def finish(self) -> tuple[TableColumn, ...]:
        """Return the columns; those without a heading and without a cell are left out."""
        self._flush()
        names = unique_names(self._headings)
        columns = []
        for heading, name, chunks in zip(self._headings, names, self._chunks, strict=True):
            cells = pa.chunked_array(chunks, pa.string())
            if heading or cells.null_count < len(cells):
                columns.append(TableColumn(name, heading or name, cells))
        return tuple(columns)


class RecordColumns:
    """Collects records (mappings of names to values of any type); columns appear with their first value."""

    def __init__(self, path: object, limits: TableLimits) -> None:
        self._path = path
        self._limits = limits
        self._cells: dict[str, list[Any]] = {}
        self._chunks: dict[str, list[tuple[int, str, list[Any] | pa.Array]]] = {}
        self._headings: dict[str, str] = {}
        self._rows = self._flushed = 0

    def declare(self, columns: Iterable[tuple[str, str]]) -> None:
        """Add columns, each with its heading in the file, before any record."""
        for name, heading in columns:
            self._headings[name] = heading

    def __len__(self) -> int:
        return self._rows

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record; raises `SourceError` where that makes too many columns."""
        position = self._rows - self._flushed
        for name, value in record.items():
            if value is None:
                continue
            cells = self._cells.setdefault(name, [])
            cells.extend([None] * (position - len(cells)))
            cells.append(value)
        if len(self._cells) + len(self._chunks) > self._limits.max_columns:
            count = len(self._cells.keys() | self._chunks.keys())
            if count > self._limits.max_columns:
                raise SourceError(
                    f"{self._path} has more than {self._limits.max_columns:,} columns; remove those that no "
                    "visitor needs."
                )
        self._rows += 1
        if self._rows - self._flushed >= CHUNK_ROWS:
            self._flush()

    def _flush(self) -> None:
        count = self._rows - self._flushed
        for name, cells in self._cells.items():
            cells.extend([None] * (count - len(cells)))
            kind = _common_kind({_value_kind(cell) for cell in cells if cell is not None})
            # Texts, which most cells are, are kept as Arrow's at once; types of other chunks may still differ.
            kept = text_array(cells) if kind == "text" else cells
            self._chunks.setdefault(name, []).append((self._flushed, kind, kept))
        self._cells = {}
        self._flushed = self._rows

    def finish(self, *, given: str | None = None) -> tuple[TableColumn, ...]:
        """Return the columns, in the order of first use; with `given`, that is the kind of all that are no lists."""
        self._flush()
        columns = []
        for name in dict.fromkeys([*self._headings, *self._chunks]):
            heading = self._headings.get(name, name)
            if name in self._chunks or heading:  # columns without a name and without a cell are left out
                column = self._column(name, heading or name, self._chunks.get(name, []))
                columns.append(column if given is None or column.is_list else replace(column, given=given))
        return tuple(columns)

    def _column(
        self, name: str, heading: str, chunks: list[tuple[int, str, list[Any] | pa.Array]]
    ) -> TableColumn:
        kind = _common_kind({kind for _, kind, _ in chunks}) if chunks else "text"
        arrays: list[pa.Array] = []
        row = 0
        for start, _, cells in chunks:
            if start > row:
                arrays.append(_typed_array([None] * (start - row), kind))
            if not isinstance(cells, pa.Array):
                arrays.append(_typed_array(cells, kind))
            else:
                arrays.append(cells if kind in _AS_TEXT else _typed_array(cells.to_pylist(), kind))
            row = start + len(cells)
        if row < self._rows:
            arrays.append(_typed_array([None] * (self._rows - row), kind))
        if len({array.type for array in arrays}) > 1:  # a value out of its type's range in some chunks
            kind = "mixed"
            arrays = [_typed_array(array.to_pylist(), kind) for array in arrays]
        given = kind if kind != "mixed" else ""
        return TableColumn(
            name, heading, pa.chunked_array(arrays, arrays[0].type if arrays else pa.string()), given
        )


def _common_kind(kinds: set[str]) -> str:
    """Return the kind of a column whose cells are of these kinds."""
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds & {"list", "vector"}:
        return "list"
    return "datetime" if kinds == {"date", "datetime"} else "mixed"


def _value_kind(value: Any) -> str:
    if isinstance(value, NumberText):
        return "number"
    if isinstance(value, list) and len(value) >= MIN_VECTOR and all(isinstance(v, NumberText) for v in value):
        return "vector"
    return next((kind for kind, types in _KINDS.items() if isinstance(value, types)), "text")


_KINDS: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "boolean": bool,
    "number": (int, float),
    "datetime": dt.datetime,
    "date": dt.date,
    "time": dt.time,
    "list": list,
}
# Numbers keep their digits as text: only who reads the table can tell which columns are codes.
_AS_TEXT = ("text", "number", "mixed")
_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us"),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "list": pa.list_(pa.string()),
    "vector": pa.list_(pa.float32()),
}


def _typed_array(cells: Sequence[Any], kind: str) -> pa.Array:
    try:
        if kind == "list":
            return pa.array([None if cell is None else _as_list(cell) for cell in cells], _ARROW[kind])
        if kind == "vector":
            return pa.array(
                [None if cell is None else [float(v) for v in cell] for cell in cells], _ARROW[kind]
            )
        if kind in _ARROW:
            return pa.array(cells, _ARROW[kind])
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError, OverflowError):
        pass
    return text_array([None if cell is None else cell_text(cell) for cell in cells])


def _as_list(cell: Any) -> list[str]:
    values = cell if isinstance(cell, list) else [cell]
    return [cell_text(value).encode("utf-8", "replace").decode() for value in values if value is not None]
