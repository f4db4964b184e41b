"""Metadata columns, values and counts in words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime, time
from typing import Any

from imgsearch.core.column_types import currency_columns

_MACHINE_COLUMN = re.compile(r"(^|_)(id|sku|url|path|key)$", re.IGNORECASE)

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)?\Z")
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹"}
_WHOLE_CURRENCIES = frozenset({"JPY", "KRW", "CLP", "VND", "HUF"})


def counted(count: int, one: str, many: str) -> str:
    """Return a count with its noun, such as "1 photo" or "1,200 photos"."""
    return f"{count:,} {one if count == 1 else many}"


def label_of(column: str) -> str:
    """Return a column's name for people."""
    words = column.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def is_machine_column(column: str) -> bool:
    """Say whether a column holds identifiers or addresses, which no shopper wants to read."""
    return _MACHINE_COLUMN.search(column) is not None


def readable(value: Any) -> str:
    """Return a metadata value as a person writes it; nothing for a missing one."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(each).strip() for each in value)
    text = str(value).strip()
    return _readable_moment(text) if _MOMENT.match(text) else text


def _readable_moment(text: str) -> str:
    """Return a date in ISO 8601, perhaps with a time, as 31 Jan 2025, 10:30; any other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    day = f"{moment.day} {moment:%b} {moment.year}"
    return day if moment.time() == time() else f"{day}, {moment:%H:%M}"


def readable_price(amount: float, currency: str = "") -> str:
    """Return a price with its currency: €1,299.00, CHF 5.00; without one the amount as `readable` writes it."""
    if not currency:
        return readable(float(amount))
    number = f"{abs(amount):,.0f}" if currency in _WHOLE_CURRENCIES else f"{abs(amount):,.2f}"
    sign = "-" if amount < 0 else ""
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{currency} {number}"


def readable_cell(column: str, metadata: Mapping[str, Any]) -> str:
    """Return an item's value in a column as a person writes it, a price with its currency."""
    value = metadata.get(column)
    currency = next((metadata[name] for name in currency_columns(column) if metadata.get(name)), None)
    if isinstance(value, int | float) and not isinstance(value, bool) and isinstance(currency, str):
        return readable_price(value, currency.strip().upper()[:3])
    return readable(value)


def is_currency_of(column: str, columns: Collection[str]) -> bool:
    """Return whether a column holds the currencies of the prices in another one, which shows them."""
    return any(column in currency_columns(other) for other in columns if other != column)


def text_of(value: Any) -> str:
    """Return a value as the filter grammar writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
