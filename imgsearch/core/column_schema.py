"""The schema file: what a person states about the columns of their tables, instead of having it recognised.

    [price]
    kind = "price"
    currency = "EUR"

    ["Model name"]
    role = "title"

A file is TOML, or JSON of the same form. A column's value may also be its kind alone: `sku = "text"`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from imgsearch.core.column_values import KINDS, ColumnKind, Separator, Style
from imgsearch.core.errors import SourceError
from imgsearch.core.moments import DayOrder
from imgsearch.core.prices import Mark, currency_code

ColumnRole = Literal["title", "price", "brand", "code", "product", ""]

MAX_SCHEMA_BYTES = 1_000_000
_FIELDS = ("kind", "currency", "role", "decimal", "order", "separator")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "kind": KINDS,
    "role": get_args(ColumnRole),
    "decimal": (".", ","),
    "order": ("dmy", "mdy"),
    "separator": ("|", ";", ",", "json"),
}


@dataclass(frozen=True, slots=True)
class StatedColumn:
    """What is stated about one column; "" and None where it is left to recognition."""

    kind: ColumnKind | None = None
    currency: str = ""
    role: ColumnRole = ""
    decimal: Mark = ""
    order: DayOrder = ""
    separator: Separator = ""

    @property
    def style(self) -> Style:
        """How the column writes its values, as far as it is stated."""
        return Style(self.decimal, self.order, self.separator, self.currency)


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """What is stated about columns, by name; case does not count where no column has the exact name."""

    columns: Mapping[str, StatedColumn] = field(default_factory=dict)

    def of(self, name: str) -> StatedColumn:
        """Return what is stated about a column."""
        found = self.columns.get(name)
        if found is None:
            folded = name.casefold()
            found = next((each for key, each in self.columns.items() if key.casefold() == folded), None)
        return found or StatedColumn()


def read_schema(path: Path) -> ColumnSchema:
    """Return the schema of a .toml or .json file; raises `SourceError`."""
    try:
        if path.stat().st_size > MAX_SCHEMA_BYTES:
            raise SourceError(f"The schema file {path} has more than {MAX_SCHEMA_BYTES:,} bytes.")
        text = path.read_text(encoding="utf-8-sig")
        given = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SourceError(f"The schema file {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise SourceError(f"The schema file {path} is neither TOML nor JSON: {reason}.") from error
    return schema_of(given, str(path))


def schema_of(given: Any, place: str = "The schema") -> ColumnSchema:
    """Return the schema that a mapping of columns states; raises `SourceError` naming the column."""
    if not isinstance(given, Mapping):
        raise SourceError(f"{place} must map columns to their kinds.")
    return ColumnSchema({str(name): _stated(str(name), value, place) for name, value in given.items()})


def _stated(name: str, value: Any, place: str) -> StatedColumn:
    fields = {"kind": value} if isinstance(value, str) else value
    if not isinstance(fields, Mapping):
        raise SourceError(
            f"{place} states {value!r:.60} about the column {name!r:.80}, not a kind or a table."
        )
    for key, each in fields.items():
        if key not in _FIELDS:
            known = ", ".join(_FIELDS)
            raise SourceError(
                f"{place} states {key!r:.40} about the column {name!r:.80}; it may state {known}."
            )
        choices = _CHOICES.get(key)
        if choices is not None and each not in choices:
            allowed = ", ".join(choice for choice in choices if choice)
            raise SourceError(
                f"{place}: the {key} of the column {name!r:.80} is {each!r:.40}, not one of {allowed}."
            )
    currency = str(fields.get("currency", ""))
    code = currency_code(currency)
    if currency and not code:
        raise SourceError(
            f"{place}: the currency of the column {name!r:.80} is {currency!r:.20}, not an ISO 4217 code such as EUR."
        )
    kind = fields.get("kind")
    if kind is None and (code or fields.get("role") == "price"):
        kind = "price"
    return StatedColumn(
        kind=cast("ColumnKind | None", kind),
        currency=code,
        role=cast(ColumnRole, fields.get("role", "")),
        decimal=cast(Mark, fields.get("decimal", "")),
        order=cast(DayOrder, fields.get("order", "")),
        separator=cast(Separator, fields.get("separator", "")),
    )
