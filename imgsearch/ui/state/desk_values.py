"""What a person types into a cell of the item table, as values of the column's kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgsearch.core.column_types import currency_column
from imgsearch.core.column_values import PLAIN, ColumnKind, Style, parse
from imgsearch.core.errors import QueryError
from imgsearch.core.prices import Price

_WRITTEN: dict[ColumnKind, str] = {
    "number": "a number; write it like 12.5",
    "price": "a price; write it like 19.99 EUR",
    "boolean": "yes or no",
    "date": "a date; write it like 2026-11-29",
    "datetime": "a date with a time; write it like 2026-11-29 14:30",
    "time": "a time; write it like 14:30",
    "list": "a list; separate its values by commas",
}


def shown_kind(columns: Mapping[str, ColumnKind], name: str) -> ColumnKind:
    """Return the kind as which people see and edit a column: a number beside a currency is a price."""
    kind = columns.get(name, "text")
    return "price" if kind == "number" and currency_column(name) in columns else kind


def typed_cells(column: str, kind: ColumnKind, text: str) -> dict[str, Any]:
    """Return the cells that a text means: None removes a value, a price also sets its currency where it names one.

    Raises `QueryError` with a sentence for a text that is no value of the kind.
    """
    given = text if kind == "text" else text.strip()
    if not given.strip():
        return {column: None} | ({currency_column(column): None} if kind == "price" else {})
    style = Style(separator=",") if kind == "list" else PLAIN
    value = parse(given, kind, style)
    if value is None:
        raise QueryError(f"“{given[:60]}” is not {_WRITTEN[kind]}.")
    if isinstance(value, Price):
        return {column: value.amount} | ({currency_column(column): value.currency} if value.currency else {})
    return {column: value}
