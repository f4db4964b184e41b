"""Writing metadata rows: columns are added as names appear, and widened to text where values do not fit.

The table `metadata` has the columns c0, c1, ... beside `key`; `metadata_columns` names them, since a file may call
its columns anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.core.filter_grammar import ColumnKind
from imgsearch.store.database import insert_frame

if TYPE_CHECKING:
    import duckdb

__all__ = ["insert_metadata", "read_columns"]

_SQL_TYPES: dict[ColumnKind, str] = {"text": "VARCHAR", "number": "DOUBLE", "boolean": "BOOLEAN"}
_PANDAS_TYPES: dict[ColumnKind, str] = {"text": "object", "number": "float64", "boolean": "boolean"}


def read_columns(cursor: duckdb.DuckDBPyConnection) -> dict[str, ColumnKind]:
    """Return the columns by name, in the order of c0, c1, ..."""
    return dict(cursor.execute("SELECT name, kind FROM metadata_columns ORDER BY position").fetchall())


def insert_metadata(
    cursor: duckdb.DuckDBPyConnection, keys: NDArray[np.uint64], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert a row for each key, inside the caller's transaction."""
    frame = pd.DataFrame({"key": keys})
    for column, kind in _fit_columns(cursor, rows).items():
        values = [_as_kind(row.get(column), kind) for row in rows]
        frame[f"v{len(frame.columns)}"] = pd.Series(values, dtype=_PANDAS_TYPES[kind])
    insert_frame(cursor, "metadata", frame)


def _fit_columns(
    cursor: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]
) -> dict[str, ColumnKind]:
    """Add columns for new names, widen those whose new values do not fit to text, and return all columns."""
    before = read_columns(cursor)
    columns = dict(before)
    for row in rows:
        for name, value in row.items():
            if value is not None:
                kind = _kind_of(value)
                columns[name] = kind if columns.get(name, kind) == kind else "text"
    for position, (name, kind) in enumerate(columns.items()):
        known = before.get(name)
        if known is None:
            cursor.execute(f"ALTER TABLE metadata ADD COLUMN c{position} {_SQL_TYPES[kind]}")
            cursor.execute("INSERT INTO metadata_columns VALUES (?, ?, ?)", [name, kind, position])
        elif known != kind:
            # DuckDB changes no type of a table that has an index. The cast writes 50 as '50', not as '50.0'.
            cursor.execute("DROP INDEX metadata_by_key")
            cursor.execute(
                f"ALTER TABLE metadata ALTER c{position} SET DATA TYPE VARCHAR "
                f"USING regexp_replace(CAST(c{position} AS VARCHAR), '\\.0$', '')"
            )
            cursor.execute("CREATE INDEX metadata_by_key ON metadata (key)")
            cursor.execute("UPDATE metadata_columns SET kind = ? WHERE name = ?", [kind, name])
    return columns


def _kind_of(value: Any) -> ColumnKind:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | float | np.integer | np.floating):
        return "number"
    return "text"


def _as_kind(value: Any, kind: ColumnKind) -> Any:
    """Return a metadata value as its column stores it; NaN counts as missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "number":
        return float(value)
    if kind == "boolean":
        return bool(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
