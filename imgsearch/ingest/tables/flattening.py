"""Nested records as flat ones: `price.amount` for an object in an object, a list for a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgsearch.ingest.tables.cells import cell_text, is_missing

MAX_DEPTH = 6


def flat_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose values are scalars or lists of scalars; missing ones are left out.

    The names of nested objects are joined with dots. Of a list of objects, each name gets the list of its values.
    What is nested deeper than `MAX_DEPTH` becomes JSON text.
    """
    flat: dict[str, Any] = {}
    _flatten("", record, flat, 0)
    return flat


def _flatten(prefix: str, record: Mapping[str, Any], flat: dict[str, Any], depth: int) -> None:
    for key, value in record.items():
        name = f"{prefix}{str(key).strip()}"
        if is_missing(value):
            continue
        if isinstance(value, Mapping):
            if depth < MAX_DEPTH:
                _flatten(f"{name}.", value, flat, depth + 1)
            else:
                _add(flat, name, cell_text(value))
        elif isinstance(value, list):
            _flatten_list(name, value, flat, depth)
        else:
            _add(flat, name, value)


def _flatten_list(name: str, values: list[Any], flat: dict[str, Any], depth: int) -> None:
    values = [value for value in values if not is_missing(value)]
    objects = [value for value in values if isinstance(value, Mapping)]
    if objects and len(objects) == len(values) and depth < MAX_DEPTH:
        parts: dict[str, list[Any]] = {}
        for value in objects:
            inner: dict[str, Any] = {}
            _flatten(f"{name}.", value, inner, depth + 1)
            for key, part in inner.items():
                parts.setdefault(key, []).extend(part if isinstance(part, list) else [part])
        for key, found in parts.items():
            _add(flat, key, found)
    elif values:
        _add(flat, name, [value if isinstance(value, str) else cell_text(value) for value in values])


def _add(flat: dict[str, Any], name: str, value: Any) -> None:
    """Set a value; one of the same name ("a.b" beside "a": {"b"}) gets a number."""
    unique, number = name, 0
    while unique in flat:
        number += 1
        unique = f"{name}.{number}"
    flat[unique] = value
