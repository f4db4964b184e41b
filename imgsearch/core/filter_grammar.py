"""The grammar of metadata filters: text such as `price<50` to a `Filter`, and a `Filter` to parameterised SQL.

category=shoes            equal (text compares case-insensitively)
category!=shoes           different (and not missing)
price<50   price>=10      numbers, prices, dates and times; texts have no order
price<50 EUR   price<"19,99 €"   prices of that currency, or of an unknown one
price=10..50   added=2025-01-01..2025-01-31   a range with both ends
colour in red|blue        one of several
tags=oak                  a list: one of its values is equal
title~oak                 contains, case-insensitively
"size (>EU)"="38..42"     quoted: a column or value taken as it is; \\" and \\\\ stand for " and \\ inside
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from imgsearch.core.column_values import ColumnKind as ColumnKind
from imgsearch.core.errors import FilterError
from imgsearch.core.filter_values import day_bounds, fitted_values, is_whole_day, stated_currency
from imgsearch.core.query import MAX_FILTER_CHARS, RANGE, Filter, Operator

# None of these backtracks over what it has matched: a filter is read in linear time, whatever it holds.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.S)
_SPACES = re.compile(r"\s*+")
_SPECIAL = re.compile(r'[=<>!~"]')
_SIGN = re.compile(r"\s*+(!=|<=|>=|=|<|>|~)")
_IN = re.compile(r"\s++in\s", re.I)
_IN_WORD = re.compile(r"\sin\s", re.I)
_SEPARATOR = re.compile(r"\s*+(?:\||$)")


def parse_filters(texts: Sequence[str]) -> tuple[Filter, ...]:
    """Return the filters that the texts say, in order; a range becomes two. Raises `FilterError`."""
    return tuple(parsed for text in texts for parsed in parse_filter(text))


def parse_filter(text: str) -> tuple[Filter, ...]:
    """Return the one filter that `text` says, or the two of a range `a..b`. Raises `FilterError`."""
    if len(text) > MAX_FILTER_CHARS:
        raise FilterError(
            f"A filter has {len(text):,} characters; shorten it to at most {MAX_FILTER_CHARS:,}."
        )
    comparison = _comparison(text)
    if comparison is not None:
        column, sign, value = comparison
        if not value:
            raise FilterError(f"The filter {_shown(text)} has no value after {sign!r}.")
        found = RANGE.match(value) if sign == "=" else None
        if found is not None:
            low, high = value.split("..")
            ends = (low, high) if found["date"] else (float(low), float(high))
            return (Filter(column, ">=", ends[0]), Filter(column, "<=", ends[1]))
        operator = "contains" if sign == "~" else cast(Operator, sign)
        return (Filter(column, operator, _unquoted(value)),)
    membership = _membership(text)
    if membership is not None and (values := _listed(membership[1])):
        return (Filter(membership[0], "in", values),)
    raise FilterError(
        f"The filter {_shown(text)} is not understood; write it like category=shoes, price<50, price=10..50, "
        "'colour in red|blue' or title~oak."
    )


def _comparison(text: str) -> tuple[str, str, str] | None:
    """Return (column, sign, value) of `column sign value`; None where the text is not of that form."""
    start = _spaces_end(text, 0)
    quoted = _QUOTED.match(text, start)
    if quoted is not None:
        sign = _SIGN.match(text, quoted.end())
        column = _unquoted(quoted[0])
    else:
        special = _SPECIAL.search(text, start)
        end = special.start() if special else len(text)
        sign = _SIGN.match(text, end)
        # Only spaces before the sign: the last of them is the column's name.
        column = text[start:end].rstrip() or text[:end][-1:]
    if sign is None or not (quoted or column):
        return None
    return column, sign[1], text[sign.end() :].strip()


def _membership(text: str) -> tuple[str, str] | None:
    """Return (column, values) of `column in values`; None where the text is not of that form."""
    start = _spaces_end(text, 0)
    quoted = _QUOTED.match(text, start)
    if quoted is not None:
        word = _IN.match(text, quoted.end())
        return (_unquoted(quoted[0]), text[word.end() :]) if word else None
    special = _SPECIAL.search(text, start)
    word = _IN_WORD.search(text, start)
    if word is not None and (special is None or word.start() < special.start()):
        return text[start : word.start()].rstrip(), text[word.end() :]
    word = _IN_WORD.match(text, start - 1) if start >= 2 else None
    return (text[start - 2], text[word.end() :]) if word else None


def _listed(text: str) -> tuple[str, ...]:
    """Return the values of a list separated by `|`, without the empty ones."""
    values, start = [], 0
    while start < len(text):
        start = _spaces_end(text, start)
        quoted = _QUOTED.match(text, start)
        separator = _SEPARATOR.match(text, quoted.end()) if quoted else None
        if quoted is not None and separator is not None:
            values.append(_unquoted(quoted[0]))
            start = separator.end()
        else:
            end = text.find("|", start)
            value = text[start : end if end >= 0 else len(text)].rstrip()
            values += [value] if value else []
            start = end + 1 if end >= 0 else len(text)
    return tuple(values)


def _spaces_end(text: str, start: int) -> int:
    found = _SPACES.match(text, start)
    return found.end() if found else start


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:79]}…")


def condition(filter: Filter, kind: ColumnKind, column: str, *, currency: str = "") -> tuple[str, list[Any]]:
    """Return the SQL condition of a filter on the SQL name `column` of that kind, and its parameters.

    Every value is a parameter; `column` must be a name of our own making, and so must `currency`, the column with the
    currencies of prices ("" for none). A price whose currency is known and is not the filter's does not match. A list
    is equal to each of its elements. Raises `FilterError` for a value that does not fit the kind.
    """
    values = fitted_values(filter, kind)
    if kind == "list":
        return _list_condition(filter, column, values)
    if kind == "datetime" and filter.operator != "in" and is_whole_day(filter.value):
        joined, bounds = day_bounds(filter, values[0])
        return f" {joined} ".join(f"{column} {sign} ?" for sign, _ in bounds), [end for _, end in bounds]
    name, parameter = (f"lower({column})", "lower(?)") if kind == "text" else (column, "?")
    if filter.operator == "in":
        sql = f"{name} IN ({', '.join([parameter] * len(values))})" if values else "false"
    elif filter.operator == "contains":
        sql = f"contains({name}, {parameter})"
    else:
        sql = f"{name} {filter.operator} {parameter}"
    stated = stated_currency(filter, kind) if currency else ""
    if stated:
        return f"({sql}) AND ({currency} IS NULL OR upper({currency}) = ?)", [*values, stated]
    return sql, values


def _list_condition(filter: Filter, column: str, values: list[Any]) -> tuple[str, list[Any]]:
    """Return the condition on a list of texts: one of them is equal to, or contains, one of the values."""
    if filter.operator == "contains":
        # The elements, each in its own line: a text is looked for in all of them at once.
        return f"contains(lower(array_to_string({column}, chr(10))), lower(?))", values
    if not values:
        return "false", values
    wanted = ", ".join(["lower(?)"] * len(values))
    sql = f"len(list_filter({column}, lambda each: lower(each) IN ({wanted}))) > 0"
    return (f"NOT ({sql})" if filter.operator == "!=" else sql), values


def values_of(filter: Filter, kind: ColumnKind) -> list[Any]:
    """Return what a column of that kind is compared with, as values of the kind; raises what `condition` raises."""
    return fitted_values(filter, kind)


def _unquoted(text: str) -> str:
    """Return what a quoted text holds; any other text as it is."""
    if _QUOTED.fullmatch(text) is None:
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.S)
