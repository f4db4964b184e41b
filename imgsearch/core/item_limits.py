"""What an item from outside may hold: its id, and the names and values of its metadata."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Set
from typing import Any

from imgsearch.core.column_values import MAX_LIST_VALUES
from imgsearch.core.errors import IdError, MetadataError
from imgsearch.core.text import check_text

MAX_NEW_ID_CHARS = 1000
MAX_COLUMNS = 500
MAX_CATALOG_COLUMNS = 2000
"""Each column of one item is a column of the whole catalog."""

MAX_COLUMN_CHARS = 200
MAX_VALUE_CHARS = 20_000
MAX_EXACT = 2**53
"""Numbers are stored with 53 bits: larger whole numbers would lose digits."""

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of the text around them, and so what a reader takes an id for."""


def check_new_id(item_id: str) -> str:
    """Return the id if a new item may have it; raises `IdError`.

    Ids of files may hold more, so the ids of items that exist are not checked.
    """
    check_text(item_id, "The item's id", max_chars=MAX_NEW_ID_CHARS, may_be_empty=False, error=IdError)
    if item_id != item_id.strip():
        raise IdError("The item's id begins or ends with white space; send it without.")
    _refuse_invisible(item_id, "The item's id", IdError)
    return item_id


def check_metadata(given: Mapping[str, Any], *, columns: Set[str] = frozenset()) -> dict[str, Any]:
    """Return the metadata of an item if it can be stored; `columns` are those that the catalog has already.

    A value is a text, a number, true or false, null, or a list of such. Raises `MetadataError`.
    """
    if len(given) > MAX_COLUMNS:
        raise MetadataError(f"The metadata has {len(given):,} columns; at most {MAX_COLUMNS:,} are possible.")
    for name, value in given.items():
        if name not in columns:
            _check_name(name)
        _check_value(name, value)
    _check_growth(given, columns)
    return dict(given)


def _check_name(name: str) -> None:
    check_text(name, "A column's name", max_chars=MAX_COLUMN_CHARS, may_be_empty=False, error=MetadataError)
    if name != name.strip():
        raise MetadataError(
            f"The column's name {name[:40]!r} begins or ends with white space; send it without."
        )
    _refuse_invisible(name, "A column's name", MetadataError)


def _check_growth(names: Iterable[str], columns: Set[str]) -> None:
    added = sum(1 for name in names if name not in columns)
    if added and len(columns) + added > MAX_CATALOG_COLUMNS:
        raise MetadataError(
            f"The catalog has {len(columns):,} columns, and at most {MAX_CATALOG_COLUMNS:,} are possible; use its "
            "present ones."
        )


def _check_value(name: str, value: Any, *, in_list: bool = False) -> None:
    if value is None or isinstance(value, bool):
        return
    shown = f"The value of {name[:40]!r}"
    if isinstance(value, str):
        check_text(value, shown, max_chars=MAX_VALUE_CHARS, error=MetadataError)
        if "\x00" in value:
            raise MetadataError(f"{shown} holds a NUL character; send it without.")
    elif isinstance(value, int):
        if abs(value) > MAX_EXACT:
            raise MetadataError(
                f"{shown} has more digits than a number can keep; send it as a text, in quotes."
            )
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise MetadataError(f"{shown} is too large for a number.")
    elif isinstance(value, list) and not in_list:
        if len(value) > MAX_LIST_VALUES:
            raise MetadataError(
                f"{shown} is a list of {len(value):,}; at most {MAX_LIST_VALUES:,} are possible."
            )
        for part in value:
            _check_value(name, part, in_list=True)
        if sum(len(part) for part in value if isinstance(part, str)) > MAX_VALUE_CHARS:
            raise MetadataError(f"{shown} is a list of more than {MAX_VALUE_CHARS:,} characters.")
    else:
        raise MetadataError(
            f"{shown} is {'an object' if isinstance(value, Mapping) else 'nested'}; a value is a text, a number, "
            "true, false, null, or a list of them."
        )


def _refuse_invisible(text: str, name: str, error: type[IdError] | type[MetadataError]) -> None:
    found = next((each for each in text if each in _BIDI or unicodedata.category(each) == "Cc"), None)
    if found is not None:
        raise error(f"{name} holds the invisible character U+{ord(found):04X}; send it without.")
