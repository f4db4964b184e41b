"""The kinds of metadata columns, and the values of each kind: from texts and typed values, and as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, get_args

from imgsearch.core.column_names import holds_prices
from imgsearch.core.moments import DayOrder, read_datetime, read_time, without_zone
from imgsearch.core.prices import Mark, Price, fits_decimal, read_number, read_price

ColumnKind = Literal["text", "number", "price", "boolean", "date", "datetime", "time", "list"]
KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)
Separator = Literal["|", ";", ",", "json", ""]

MAX_SAFE_DIGITS = 15
"""A float holds every whole number of this many digits."""
MAX_NUMBER_CHARS = 40
MAX_LIST_CHARS = 20_000
MAX_LIST_VALUES = 1000

_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_TRUE = frozenset(("true", "yes", "ja", "oui", "si", "sí", "y", "wahr", "vrai", "1"))
_FALSE = frozenset(("false", "no", "nein", "non", "n", "falsch", "faux", "0"))


@dataclass(frozen=True, slots=True)
class Style:
    """How a column writes its values: what one value alone does not say.

    `mark` decides about 1.299, `order` about 01/02/2025, and `separator` divides lists. `currency` is that of prices
    without one, and of signs that several currencies share.
    """

    mark: Mark = ""
    order: DayOrder = ""
    separator: Separator = ""
    currency: str = ""


PLAIN = Style()


def kind_of(value: Any, name: str = "") -> ColumnKind:
    """Return the kind of a typed value; a Decimal is a price in a column whose `name` says so, else a number."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Price):
        return "price"
    if isinstance(value, Decimal):
        return "price" if holds_prices(name) else "number"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, datetime):
        return "datetime"
    if isinstance(value, date):
        return "date"
    if isinstance(value, time):
        return "time"
    return "list" if isinstance(value, list | tuple | set | frozenset) else "text"


def parse(value: Any, kind: ColumnKind, style: Style = PLAIN) -> Any:
    """Return a value as one of the kind; None where it is missing or does not fit.

    A text becomes str (as it is), float, `Price`, bool, date, datetime (UTC, without a zone), time or a list of str.
    Values that are typed already are converted where nothing is lost.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    match kind:
        case "number":
            return _number(value, style)
        case "price":
            return _price(value, style)
        case "boolean":
            return _boolean(value)
        case "date" | "datetime" | "time":
            return _moment(value, kind, style)
        case "list":
            return _list(value, style)
    return plain_text(value)


def _number(value: Any, style: Style) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Price):
        value = value.amount
    if isinstance(value, int | float | Decimal):
        return _finite(value)
    if not isinstance(value, str) or len(value) > MAX_NUMBER_CHARS:
        return None
    text = value.strip()
    if style.mark != "," and _PLAIN_NUMBER.match(text):
        return _finite(text)
    written = read_number(text.removeprefix("-").removeprefix("\u2212"))
    if written is None:
        return _finite(text) if _PLAIN_NUMBER.match(text) else None
    amount = written.amount(style.mark or ".")
    return _finite(-amount if text.startswith(("-", "\u2212")) else amount)


def _finite(value: str | float | Decimal) -> float | None:
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _price(value: Any, style: Style) -> Price | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Price):
        return value if fits_decimal(value.amount) else None
    if isinstance(value, int | float | Decimal):
        try:
            # The shortest text of a float is what a person wrote: 19.99, not 19.989999.
            amount = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        except (ArithmeticError, ValueError):
            return None
        return Price(amount, style.currency) if fits_decimal(amount) else None
    if not isinstance(value, str):
        return None
    written = read_price(value)
    return written.price(style.mark, style.currency) if written is not None else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    text = plain_text(value).strip().lower() if isinstance(value, str | int | float) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def _moment(value: Any, kind: ColumnKind, style: Style) -> date | time | None:
    if isinstance(value, datetime):
        moment = without_zone(value)
        if kind == "date":
            return moment.date() if moment.time() == time() else None
        return moment if kind == "datetime" else None
    if isinstance(value, date):
        return value if kind == "date" else datetime.combine(value, time()) if kind == "datetime" else None
    if isinstance(value, time):
        return value.replace(tzinfo=None) if kind == "time" else None
    if not isinstance(value, str):
        return None
    if kind == "time":
        return read_time(value)
    found = read_datetime(value, style.order)
    return _moment(found, kind, style) if found is not None else None


def _list(value: Any, style: Style) -> list[str] | None:
    if isinstance(value, list | tuple | set | frozenset):
        values = [plain_text(each) for each in value if each is not None][:MAX_LIST_VALUES]
        return [each.strip() for each in values if each.strip()] or None
    text = plain_text(value).strip()
    if len(text) > MAX_LIST_CHARS:
        return None
    if text.startswith("[") and text.endswith("]"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and not any(isinstance(each, list | dict) for each in found):
            return _list(found, style)
    parts = text.split(style.separator) if style.separator in ("|", ";", ",") else [text]
    return [each for part in parts if (each := part.strip())][:MAX_LIST_VALUES] or None


def plain_text(value: Any) -> str:
    """Return a value as the text that a person would write: 50, not 50.0; true, not True; a list as "a, b"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Price):
        return f"{plain_text(value.amount)} {value.currency}".strip()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False, default=str)
    if isinstance(value, list | tuple | set | frozenset):
        if any(isinstance(each, Mapping | list | tuple) for each in value):
            return json.dumps(list(value), ensure_ascii=False, default=str)
        return ", ".join(plain_text(each) for each in value if each is not None)
    return str(value)


def json_value(value: Any) -> Any:
    """Return a value as JSON holds it: a price as a number, dates and times as ISO 8601 text, a list of texts."""
    if isinstance(value, Price):
        return float(value.amount)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value
