"""What a filter compares a column with: its values as the column's kind, or one sentence on why they do not fit."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from typing import Any

from imgsearch.core.column_types import kind_plural
from imgsearch.core.column_values import MAX_NUMBER_CHARS, ColumnKind, parse
from imgsearch.core.errors import FilterError
from imgsearch.core.moments import read_date
from imgsearch.core.prices import Price
from imgsearch.core.query import Filter, plain_value

ORDERING = ("<", "<=", ">", ">=")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_EXAMPLES: dict[ColumnKind, str] = {
    "number": "50",
    "price": "50 or '50 EUR'",
    "date": "2025-01-31",
    "datetime": "2025-01-31 or 2025-01-31T12:30",
    "time": "12:30",
}


def check_operator(filter: Filter, kind: ColumnKind) -> None:
    """Raise `FilterError` where a column of the kind has no such comparison."""
    operator = filter.operator
    if operator == "contains" and kind not in ("text", "list"):
        raise FilterError(
            f"'~' looks inside text, but the column {filter.column!r} holds {kind_plural(kind)}."
        )
    if operator in ORDERING and kind in ("text", "list"):
        advice = (
            "import it again, or state its kind in a schema file, so that its values become numbers, prices or dates"
            if kind == "text"
            else "filter with = for a value in the list"
        )
        raise FilterError(
            f"The column {filter.column!r} holds {kind_plural(kind)}, which {operator!r} cannot order; {advice}."
        )


def fitted_values(filter: Filter, kind: ColumnKind) -> list[Any]:
    """Return the filter's values as the kind of its column: str, float, bool, date, datetime or time.

    Raises `FilterError` for a comparison or a value that does not fit.
    """
    check_operator(filter, kind)
    if filter.operator == "contains":
        return [plain_value(filter.values[0])]
    return [_fitted(filter, kind, value) for value in filter.values]


def stated_currency(filter: Filter, kind: ColumnKind) -> str:
    """Return the currency that a filter on prices names, such as EUR in "price<50 EUR"; "" where it names none."""
    if kind not in ("price", "number"):
        return ""
    found = {price.currency for value in filter.values if (price := _price(value)) is not None}
    if len(found) > 1:
        raise FilterError(
            f"The filter on {filter.column[:40]!r} names several currencies; use one for each filter."
        )
    return found.pop() if found else ""


def is_whole_day(value: Any) -> bool:
    """Return whether a filter's value is a date without a time: all of that day."""
    return isinstance(value, str) and read_date(value) is not None


def day_bounds(filter: Filter, start: datetime) -> tuple[str, list[tuple[str, datetime]]]:
    """Return what a filter for a whole day compares a date with a time with: `and` or `or`, signs and moments.

    `<=` includes all of the day, and `>` none of it.
    """
    try:
        end = start + timedelta(days=1)
    except OverflowError:
        end = datetime.max
    match filter.operator:
        case "=":
            return "and", [(">=", start), ("<", end)]
        case "!=":
            return "or", [("<", start), (">=", end)]
        case "<=" | ">":
            return "and", [("<" if filter.operator == "<=" else ">=", end)]
    return "and", [(filter.operator, start)]


def _fitted(filter: Filter, kind: ColumnKind, value: Any) -> Any:
    match kind:
        case "number" | "price":
            return _number(filter, kind, value)
        case "boolean":
            lowered = str(value).strip().lower()
            if lowered not in _BOOLEANS:
                raise FilterError(f"The column {filter.column!r} holds true or false, not {value!r:.80}.")
            return _BOOLEANS[lowered]
        case "date" | "datetime" | "time":
            return _moment(filter, kind, value)
    return plain_value(value)


def _number(filter: Filter, kind: ColumnKind, value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, str) or len(value) <= MAX_NUMBER_CHARS else math.nan
    except (TypeError, ValueError, OverflowError):
        price = _price(value)
        number = float(price.amount) if price is not None else math.nan
    if not math.isfinite(number):
        raise _unfit(filter, kind, value)
    return number


def _price(value: Any) -> Price | None:
    """Return the price that a text is where it names a currency or is no plain number."""
    if not isinstance(value, str) or "_" in value:
        return None
    try:
        float(value)
    except ValueError:
        found: Price | None = parse(value, "price")
        return found
    return None


def _moment(filter: Filter, kind: ColumnKind, value: Any) -> date | datetime | time:
    found: Any = None
    if isinstance(value, str):
        found = parse(value, "time" if kind == "time" else "datetime")
        if kind == "date" and isinstance(found, datetime) and found.time() == time():
            found = found.date()
    if found is None:
        raise _unfit(filter, kind, value)
    return found  # type: ignore[no-any-return]


def _unfit(filter: Filter, kind: ColumnKind, value: Any) -> FilterError:
    shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:79]}…"
    return FilterError(
        f"The column {filter.column!r} holds {kind_plural(kind)}, so {shown} cannot be compared with it; write one "
        f"such as {_EXAMPLES[kind]}."
    )
