"""Metadata columns, values and counts in words."""

from __future__ import annotations

import re
from typing import Any

_MACHINE_COLUMN = re.compile(r"(^|_)(id|sku|url|path|key)$", re.IGNORECASE)


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
    return str(value).strip()


def text_of(value: Any) -> str:
    """Return a value as the filter grammar writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
