"""The text of a typed cell."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any


class NumberText(str):
    """The digits of a number in a JSON document, exactly as written."""

    __slots__ = ()


def cell_text(value: Any) -> str:
    """Return a typed value as text: whole floats without ".0", decimals with all digits, dates as ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=cell_text)
    return str(value)


def is_missing(value: Any) -> bool:
    """Return whether a cell says nothing: None, an empty or blank text, NaN, an empty list or object."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, dict | list | tuple) and not value
