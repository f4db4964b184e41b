"""Metadata rows and filters in Milvus: the JSON of a row, and filters as Milvus expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from imgsearch.core.filter_grammar import ColumnKind, values_of
from imgsearch.core.filter_values import day_bounds, is_whole_day
from imgsearch.core.query import Filter

MAX_EXPRESSION_LENGTH = 20_000

_LETTERS: dict[ColumnKind, str] = {
    "text": "t",
    "number": "n",
    "boolean": "b",
    "price": "p",
    "date": "d",
    "datetime": "s",
    "time": "h",
    "list": "l",
}
_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_WILDCARDS = str.maketrans({"%": "_", "\\": "_"})


@dataclass(frozen=True, slots=True)
class Column:
    """A metadata column, identified in rows by its position, so that its name needs no quoting."""

    position: int
    kind: ColumnKind

    @property
    def field(self) -> str:
        """The name in a row; a column that changes its kind gets another."""
        return f"c{self.position}{_LETTERS[self.kind]}"


def row_document(metadata: Mapping[str, Any], columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return an item's metadata by field, with texts in lower case, as filters compare them."""
    return {
        column.field: _lowered_cell(value, column.kind)
        for name, column in columns.items()
        if (value := metadata.get(name)) is not None
    }


def _lowered_cell(value: Any, kind: ColumnKind) -> Any:
    if kind == "list" and isinstance(value, list):
        return [lowered(each) for each in value]
    return lowered(value) if isinstance(value, str) and kind == "text" else value


def expression(filters: Sequence[Filter], find: Callable[[str], Column]) -> str:
    """Return a Milvus expression that every item that passes the filters matches; "" for all items.

    Other items may match too (with `~`, in lists with `!=`, for prices of another currency, and
    where a list of values is too long), so the caller checks again. Fields
    have names of ours, and quotes and backslashes in texts are escaped: a value cannot end its literal. Raises
    `FilterError` as the catalog does.
    """
    parts = [part for filter in filters if (part := _condition(filter, find(filter.column)))]
    joined = " and ".join(f"({part})" for part in parts)
    while len(joined) > MAX_EXPRESSION_LENGTH and parts:
        parts.remove(max(parts, key=len))
        joined = " and ".join(f"({part})" for part in parts)
    return joined


def lowered(text: str) -> str:
    """Return a text in lower case as DuckDB's `lower` does it: each character by itself."""
    return text.lower() if text.isascii() else "".join(_lowered_character(character) for character in text)


def _lowered_character(character: str) -> str:
    lower = character.lower()
    return lower if len(lower) == 1 else lower[0]


def _condition(filter: Filter, column: Column) -> str:
    name = f'row["{column.field}"]'
    if column.kind == "datetime" and filter.operator != "in" and is_whole_day(filter.value):
        joined, bounds = day_bounds(filter, values_of(filter, column.kind)[0])
        return f" {joined} ".join(f"{name} {sign} {_literal(_compared(end))}" for sign, end in bounds)
    values = [_compared(value) for value in values_of(filter, column.kind)]
    if not values:
        return ""
    if column.kind == "list":
        holds = (f"json_contains({name}, {_literal(value)})" for value in values)
        return " or ".join(holds) if filter.operator in ("=", "in") else ""
    if filter.operator == "contains":
        # `_` matches any character: some versions cannot escape % and backslashes.
        pattern = values[0].translate(_WILDCARDS)
        return f"{name} like {_literal(f'%{pattern}%')}"
    if filter.operator in ("=", "in"):  # Milvus Lite has no `in` for a part of a JSON field
        return " or ".join(f"{name} == {_literal(value)}" for value in values)
    return f"{name} {filter.operator} {_literal(values[0])}"


def _compared(value: Any) -> Any:
    """Return a filter's value as rows hold it: dates and times as ISO 8601 texts, which are ordered as they are."""
    if isinstance(value, str):
        return lowered(value)
    return value.isoformat() if isinstance(value, date | time) else value


def _literal(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else repr(float(value))
