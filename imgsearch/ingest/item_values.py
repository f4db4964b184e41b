"""Metadata that comes with a change of an item: checked, and made to fit the columns of the catalog."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from imgsearch.core.column_types import currency_column
from imgsearch.core.column_values import ColumnKind, kind_of, parse, plain_text
from imgsearch.core.prices import Price
from imgsearch.core.text import is_unicode

MAX_ID_CHARS = 1000
MAX_COLUMNS = 500
MAX_COLUMN_CHARS = 200
MAX_VALUE_CHARS = 20_000
_CONTENTS: dict[ColumnKind, str] = {
    "text": "text",
    "number": "numbers",
    "price": "prices",
    "boolean": "true or false",
    "date": "dates",
    "datetime": "dates with a time",
    "time": "times of day",
    "list": "lists",
}


class BadMetadata(ValueError):
    """A row cannot be stored; the message is one sentence."""


def check_item_id(item_id: str) -> str:
    """Return a sentence on what is wrong with an item's id, "" where nothing is."""
    if not item_id or not item_id.strip():
        return "The id of the item is empty."
    if len(item_id) > MAX_ID_CHARS:
        return f"The id of the item has more than {MAX_ID_CHARS} characters."
    if not is_unicode(item_id) or any(ord(sign) < 32 for sign in item_id):
        return "The id of the item holds characters that are no text."
    return ""


def checked_row(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as text, numbers, booleans and None; raises `BadMetadata`."""
    if len(metadata) > MAX_COLUMNS:
        raise BadMetadata(f"The metadata has {len(metadata)} columns; at most {MAX_COLUMNS} are stored.")
    row: dict[str, Any] = {}
    for name, value in metadata.items():
        if (
            not isinstance(name, str)
            or not name.strip()
            or len(name) > MAX_COLUMN_CHARS
            or not is_unicode(name)
        ):
            raise BadMetadata(
                f"The column name {str(name)[:60]!r} must be text of 1 to {MAX_COLUMN_CHARS} characters."
            )
        row[name] = _checked(name, value)
    return row


def fitted_row(row: Mapping[str, Any], kinds: Mapping[str, ColumnKind]) -> dict[str, Any]:
    """Return a checked row with its values in the kinds of their columns; a new column takes the kind of its value.

    Raises `BadMetadata` for a value that does not fit.
    """
    fitted: dict[str, Any] = {}
    for name, value in row.items():
        fitted |= _fitted(name, value, kinds.get(name))
    return fitted


def _checked(name: str, value: Any) -> Any:
    if isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(each, list | dict) for each in value)
    ):
        try:
            value = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError):
            raise BadMetadata(f"The value of {name[:60]!r} cannot be stored as JSON.") from None
    if isinstance(value, str):
        if len(value) > MAX_VALUE_CHARS:
            raise BadMetadata(f"The value of {name[:60]!r} has more than {MAX_VALUE_CHARS:,} characters.")
        if not is_unicode(value) or "\0" in value:
            raise BadMetadata(f"The value of {name[:60]!r} holds characters that are no text.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadMetadata(f"The value of {name[:60]!r} is not a finite number.")
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**63:
        raise BadMetadata(f"The number of {name[:60]!r} is too large; send it as text.")
    return value


def _fitted(name: str, value: Any, kind: ColumnKind | None) -> dict[str, Any]:
    """Return the cells of a value: none, one, or of a price with a currency two."""
    if value is None:
        return {name: None}
    if kind is None:
        kind = kind_of(value, name)
    found = parse(value, kind)
    if found is None:
        raise BadMetadata(
            f"The column {name[:60]!r} holds {_CONTENTS[kind]}; {plain_text(value)[:60]!r} is something else."
        )
    if isinstance(found, Price):
        currency = {currency_column(name): found.currency} if found.currency else {}
        return {name: found.amount, **currency}
    return {name: found}
