"""The grammar of metadata filters: text such as `price<50` to a `Filter` and back, and a `Filter` to safe SQL.

It owns the grammar and the parameterised condition it becomes; it knows column names and kinds only as they are
handed in, and no database.

    category=shoes            equal (text compares case-insensitively)
    category!=shoes           different (and not missing)
    price<50   price>=10      numbers; also texts, in dictionary order
    price=10..50              a range with both ends
    colour in red|blue        one of several
    title~oak                 contains, case-insensitively
    "size (>EU)"="38..42"     quoted: a column or value taken as it is; \\" and \\\\ stand for " and \\ inside
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

from imgsearch.core.errors import FilterError
from imgsearch.core.query import Filter, Operator

__all__ = ["ColumnKind", "condition", "format_filter", "parse_filter", "parse_filters", "values_of"]

ColumnKind = Literal["text", "number", "boolean"]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_COLUMN = rf'^\s*(?P<column>{_QUOTED}|[^=<>!~"]+?)'
_COMPARISON = re.compile(_COLUMN + r"\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*(?P<value>.*?)\s*$", re.S)
_MEMBERSHIP = re.compile(_COLUMN + r"\s+in\s+(?P<value>.+?)\s*$", re.S | re.I)
_LISTED = re.compile(rf"\s*({_QUOTED}|[^|]*?)\s*(?:\||$)", re.S)
_NEEDS_QUOTES = re.compile(r'^\s|\s$|^$|[="<>!~|\\]|\sin(?:\s|$)', re.I)
_RANGE = re.compile(r"^(?P<low>-?\d+(?:\.\d+)?)\.\.(?P<high>-?\d+(?:\.\d+)?)$")
_OPERATORS: dict[str, Operator] = {
    "=": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
    "~": "contains",
}


def parse_filters(texts: Sequence[str]) -> tuple[Filter, ...]:
    """Return the filters that the texts say, in order; a range gives two. Raises `FilterError`."""
    return tuple(parsed for text in texts for parsed in parse_filter(text))


def parse_filter(text: str) -> tuple[Filter, ...]:
    """Return the one filter that `text` says, or the two of a range `a..b`. Raises `FilterError`."""
    comparison = _COMPARISON.match(text)
    if comparison is None:
        membership = _MEMBERSHIP.match(text)
        if membership is not None:
            values = tuple(_unquoted(value) for value in _LISTED.findall(membership["value"]) if value)
            if values:
                return (Filter(_unquoted(membership["column"]), "in", values),)
        raise FilterError(
            f"The filter {text!r} is not understood; write it like category=shoes, price<50, price=10..50, "
            "'colour in red|blue' or title~oak."
        )
    column, value = _unquoted(comparison["column"]), comparison["value"]
    if not value:
        raise FilterError(f"The filter {text!r} has no value after {comparison['operator']!r}.")
    operator = _OPERATORS[comparison["operator"]]
    range_match = _RANGE.match(value) if operator == "=" else None
    if range_match is not None:
        low, high = float(range_match["low"]), float(range_match["high"])
        return (Filter(column, ">=", low), Filter(column, "<=", high))
    return (Filter(column, operator, _unquoted(value)),)


def format_filter(filter: Filter) -> str:
    """Return the filter in the grammar above."""
    column = _quoted(filter.column)
    if filter.operator == "in":
        return f"{column} in {'|'.join(_quoted(_plain(value)) for value in filter.value)}"
    sign = "~" if filter.operator == "contains" else filter.operator
    return f"{column}{sign}{_quoted(_plain(filter.value))}"


def condition(filter: Filter, kind: ColumnKind, column: str) -> tuple[str, list[Any]]:
    """Return the SQL condition of a filter on the SQL name `column` of that kind, and its parameters.

    Every value is a parameter; `column` must be a name of our own making. Raises `FilterError` for a value that
    does not fit the kind.
    """
    if filter.operator == "in":
        values = [_fit(filter, kind, value) for value in filter.value]
        if not values:
            return "false", []
        if kind == "text":
            return f"lower({column}) IN ({', '.join('lower(?)' for _ in values)})", values
        return f"{column} IN ({', '.join('?' for _ in values)})", values
    if filter.operator == "contains":
        if kind != "text":
            raise FilterError(f"'~' looks inside text, but the column {filter.column!r} holds {kind} values.")
        return f"contains(lower({column}), lower(?))", [_storable(filter, _plain(filter.value))]
    value = _fit(filter, kind, filter.value)
    if kind == "text":
        return f"lower({column}) {filter.operator} lower(?)", [value]
    return f"{column} {filter.operator} ?", [value]


def values_of(filter: Filter, kind: ColumnKind) -> list[Any]:
    """Return what a column of that kind is compared with, as values of the kind; raises what `condition` raises."""
    condition(filter, kind, "")
    if filter.operator == "contains":
        return [_plain(filter.value)]
    values = filter.value if filter.operator == "in" else [filter.value]
    return [_fit(filter, kind, value) for value in values]


def _fit(filter: Filter, kind: ColumnKind, value: Any) -> Any:
    """Return the value as the column's kind."""
    if kind == "number":
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if math.isnan(number):
            raise FilterError(
                f"The column {filter.column!r} holds numbers, so {value!r} cannot be compared with it."
            )
        return number
    if kind == "boolean":
        lowered = str(value).strip().lower()
        if lowered in {"true", "1", "yes"}:
            return True
        if lowered in {"false", "0", "no"}:
            return False
        raise FilterError(f"The column {filter.column!r} holds true or false, not {value!r}.")
    return _storable(filter, _plain(value))


def _storable(filter: Filter, text: str) -> str:
    """Return the text, refusing one with halves of characters, which no database takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise FilterError(
            f"The filter on {filter.column!r} holds characters that are not valid text."
        ) from None
    return text


def _quoted(text: str) -> str:
    """Return the text in quotes where the grammar would read it as something else."""
    if not _NEEDS_QUOTES.search(text) and not _RANGE.match(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    """Return what a quoted text holds; any other text as it is."""
    if re.fullmatch(_QUOTED, text, re.S) is None:
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.S)


def _plain(value: Any) -> str:
    """Return a value as a person writes it: 50, not 50.0; true, not True."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
