"""How metadata columns of each kind are stored: SQL types, cells written and read, and a column's change of kind.

Prices are DECIMAL(18, 4), with their currency in the text column `<name>_currency`. A text that does not fit the kind
that its column takes is kept in `metadata_misfits`, and is restored where the column becomes text again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import pandas as pd

from imgsearch.core.column_names import holds_prices
from imgsearch.core.column_types import currency_column
from imgsearch.core.column_values import PLAIN, ColumnKind, Style, kind_of, parse
from imgsearch.core.prices import Price
from imgsearch.store.database import Cursor, read_with

SQL_TYPES: dict[ColumnKind, str] = {
    "text": "VARCHAR",
    "number": "DOUBLE",
    "price": "DECIMAL(18, 4)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "time": "TIME",
    "list": "VARCHAR[]",
}
PANDAS_TYPES: dict[ColumnKind, str] = {
    **dict.fromkeys(SQL_TYPES, "object"),
    "number": "float64",
    "boolean": "boolean",
}
"""What a data frame holds of each kind; DuckDB casts the texts of the others."""
NUMERIC: frozenset[ColumnKind] = frozenset({"number", "price"})
MOMENTS: frozenset[ColumnKind] = frozenset({"date", "datetime", "time"})

_WIDER: dict[frozenset[ColumnKind], ColumnKind] = {
    frozenset(("number", "price")): "price",
    frozenset(("date", "datetime")): "datetime",
}


@dataclass(frozen=True, slots=True)
class ColumnState:
    """A column of the catalog as stored in `metadata_columns`."""

    name: str
    kind: ColumnKind
    position: int
    role: str = ""

    @property
    def sql(self) -> str:
        """The name of the column in the table `metadata`."""
        return f"c{self.position}"


def common_kind(first: ColumnKind, second: ColumnKind) -> ColumnKind:
    """Return the kind of a column that holds values of both kinds."""
    return first if first == second else _WIDER.get(frozenset((first, second)), "text")


def new_kind(name: str, value: Any) -> ColumnKind:
    """Return the kind of a new column from its first value: texts stay text."""
    return kind_of(value.item() if hasattr(value, "item") else value, name)


def plain_cell(sql: str, kind: ColumnKind) -> str:
    """Return the SQL expression of a cell as JSON holds it: numbers, ISO 8601 texts, lists of texts."""
    match kind:
        case "price":
            return f"CAST({sql} AS DOUBLE)"
        case "date" | "time":
            return f"CAST({sql} AS VARCHAR)"
        case "datetime":
            return f"replace(CAST({sql} AS VARCHAR), ' ', 'T')"
    return sql


def plain_cells(columns: Mapping[str, ColumnKind], table: str = "metadata") -> list[str]:
    """Return `plain_cell` of every column, in their order."""
    return [plain_cell(f"{table}.c{position}", kind) for position, kind in enumerate(columns.values())]


def stored_cell(value: Any, kind: ColumnKind) -> Any:
    """Return a value as its column is written: float, bool, or a text that DuckDB casts; None if it does not fit."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if hasattr(value, "item"):  # of numpy
        value = value.item()
    if isinstance(value, bool) and kind == "boolean":
        return value
    found = parse(value, kind)
    if isinstance(found, list):
        return _list_literal(found)
    if isinstance(found, Price):
        return format(found.amount, "f")
    if isinstance(found, datetime | date | time):
        return found.isoformat()
    return found


def _list_literal(values: Sequence[str]) -> str:
    """Return the text that DuckDB casts to a list of these texts."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "[" + ", ".join(f'"{value}"' for value in escaped) + "]"


# --- a column's change of kind -------------------------------------------------------------------------------------


def change_kind(
    cursor: Cursor, column: ColumnState, kind: ColumnKind, style: Style = PLAIN, currency: str = ""
) -> int:
    """Give a column another kind inside the caller's transaction; return how many values do not fit.

    These are null from now on, and their texts are kept. `currency` is the SQL name of the column that gets the
    currencies of prices in texts. Values of a typed column become text as a person would write them.
    """
    sql = column.sql
    if column.kind == "text" and kind != "text":
        misfits = _read_texts(cursor, column, kind, style, currency)
    elif kind == "text":
        misfits = 0
    else:
        cast = f"TRY_CAST({sql} AS {SQL_TYPES[kind]})"
        misfits = _keep(cursor, column, f"{sql} IS NOT NULL AND {cast} IS NULL")
    # DuckDB changes no type of a table that has an index. The cast writes 50 as '50', not as '50.0'.
    cursor.execute("DROP INDEX metadata_by_key")
    using = _text_of(sql, column.kind) if kind == "text" else f"TRY_CAST({sql} AS {SQL_TYPES[kind]})"
    cursor.execute(f"ALTER TABLE metadata ALTER {sql} SET DATA TYPE {SQL_TYPES[kind]} USING {using}")
    cursor.execute("CREATE INDEX metadata_by_key ON metadata (key)")
    cursor.execute("UPDATE metadata_columns SET kind = ? WHERE position = ?", [kind, column.position])
    if kind == "text":
        _restore(cursor, column)
    return misfits


def _text_of(sql: str, kind: ColumnKind) -> str:
    if kind == "list":
        return f"array_to_string({sql}, ', ')"
    if kind in NUMERIC:
        text = f"CAST({sql} AS VARCHAR)"
        return f"regexp_replace(regexp_replace({text}, '(\\.[0-9]*[1-9])0+$', '\\1'), '\\.0+$', '')"
    return plain_cell(sql, kind) if kind in MOMENTS else f"CAST({sql} AS VARCHAR)"


def _read_texts(cursor: Cursor, column: ColumnState, kind: ColumnKind, style: Style, currency: str) -> int:
    """Write the texts of a column so that they can be cast to the kind; return how many do not fit."""
    sql = column.sql
    texts = [
        row[0]
        for row in cursor.execute(f"SELECT DISTINCT {sql} FROM metadata WHERE {sql} IS NOT NULL").fetchall()
    ]
    found = [parse(text, kind, style) for text in texts]
    frame = pd.DataFrame(
        {
            "old": pd.Series(texts, dtype="object"),
            "new": pd.Series([_castable(value, kind) for value in found], dtype="object"),
            "currency": pd.Series(
                [value.currency or None if isinstance(value, Price) else None for value in found],
                dtype="object",
            ),
        }
    )
    with read_with(cursor, "read_texts", frame):
        source = f"FROM read_texts WHERE metadata.{sql} = read_texts.old"
        misfits = _keep(cursor, column, f"{sql} IN (SELECT old FROM read_texts WHERE new IS NULL)")
        if currency:
            cursor.execute(
                f"UPDATE metadata SET {currency} = read_texts.currency {source} AND read_texts.currency IS NOT NULL"
            )
        cursor.execute(f"UPDATE metadata SET {sql} = CAST(read_texts.new AS VARCHAR) {source}")
    return misfits


def _castable(value: Any, kind: ColumnKind) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if kind == "number" else stored_cell(value, kind)


def _keep(cursor: Cursor, column: ColumnState, where: str) -> int:
    """Keep the texts of the cells that match a condition; return how many there are."""
    cursor.execute(
        f"INSERT INTO metadata_misfits SELECT key, {column.position}, {_text_of(column.sql, column.kind)} "
        f"FROM metadata WHERE {where}"
    )
    counted = cursor.execute(f"SELECT count(*) FROM metadata WHERE {where}").fetchone()
    return int(counted[0]) if counted else 0


def _restore(cursor: Cursor, column: ColumnState) -> None:
    """Put the kept texts of a column back where it has no value."""
    cursor.execute(
        f"UPDATE metadata SET {column.sql} = kept.value FROM metadata_misfits AS kept "
        f"WHERE kept.position = ? AND kept.key = metadata.key AND metadata.{column.sql} IS NULL",
        [column.position],
    )
    cursor.execute("DELETE FROM metadata_misfits WHERE position = ?", [column.position])


def add_column(cursor: Cursor, name: str, kind: ColumnKind, position: int, role: str = "") -> ColumnState:
    """Add a column inside the caller's transaction and return it."""
    cursor.execute(f"ALTER TABLE metadata ADD COLUMN c{position} {SQL_TYPES[kind]}")
    cursor.execute(
        "INSERT INTO metadata_columns (name, kind, position, role) VALUES (?, ?, ?, ?)",
        [name, kind, position, role],
    )
    return ColumnState(name, kind, position, role)


def fitted(name: str, value: Any, kind: ColumnKind) -> dict[str, Any]:
    """Return the cells of a row, as JSON holds them, for a value of a column of that kind; {} where it does not fit.

    A price in words also sets the column of its currency; a column of numbers that is named as one of prices takes
    prices in words, too.
    """
    found = parse(value, kind)
    if found is None and kind == "number" and isinstance(value, str) and holds_prices(name):
        found = parse(value, "price")
    if found is None:
        return {}
    if isinstance(found, Price):
        currency = {currency_column(name): found.currency} if found.currency else {}
        return {name: float(found.amount), **currency}
    if isinstance(found, datetime | date | time):
        return {name: found.isoformat()}
    return {name: found}
