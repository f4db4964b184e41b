"""Metadata that comes with a change of an item: checked, and made to fit the columns of the catalog."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from imgsearch.core.column_names import holds_prices
from imgsearch.core.column_types import currency_column, kind_name, kind_plural
from imgsearch.core.column_values import MAX_LIST_VALUES, ColumnKind, plain_text
from imgsearch.core.item_limits import MAX_COLUMN_CHARS, MAX_COLUMNS, MAX_VALUE_CHARS
from imgsearch.core.prices import read_price
from imgsearch.core.text import is_unicode
from imgsearch.store.metadata_columns import fitted


class BadMetadata(ValueError):
    """A row cannot be stored; the message is one sentence."""


def checked_row(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as texts, numbers, booleans, lists of them and None; raises `BadMetadata`."""
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
    """Return a checked row with its values in the kinds of their columns, as JSON holds them.

    A price in words also sets the column of its currency, unless the row does. A new column takes the kind of its
    value; a text that names a currency makes a column of prices where the column's name says so. Raises `BadMetadata`
    for a value that does not fit.
    """
    fitted_cells: dict[str, Any] = {}
    for name, value in row.items():
        cells = _fitted(name, value, kinds.get(name))
        fitted_cells |= {key: cell for key, cell in cells.items() if key == name or key not in row}
    return fitted_cells


def _checked(name: str, value: Any) -> Any:
    if isinstance(value, list) and len(value) <= MAX_LIST_VALUES and all(map(_is_scalar, value)):
        return [_checked(name, each) for each in value]
    if isinstance(value, list | dict):
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


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float)


def _fitted(name: str, value: Any, kind: ColumnKind | None) -> dict[str, Any]:
    if value is None or (isinstance(value, str) and not value.strip() and kind not in (None, "text")):
        return {name: None}
    if kind is None:
        return _of_new_column(name, value)
    cells = fitted(name, value, kind)
    if not cells and isinstance(value, list):
        return {name: None}
    if not cells:
        raise BadMetadata(
            f"The column {name[:60]!r} holds {kind_plural(kind)}, and {plain_text(value)[:60]!r} is not "
            f"{kind_name(kind)}."
        )
    return cells


def _of_new_column(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, int) and not isinstance(value, bool):
        return {name: float(value)}
    written = read_price(value) if isinstance(value, str) and holds_prices(name) else None
    price = written.price() if written is not None and written.certain else None
    if price is None:
        return {name: value}
    return (
        {name: price.amount, currency_column(name): price.currency}
        if price.currency
        else {name: price.amount}
    )
