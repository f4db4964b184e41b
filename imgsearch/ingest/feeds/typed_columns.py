"""The columns of a feed as metadata: the kind of each is recognised over all its cells; codes keep their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgsearch.core.column_names import holds_codes, holds_prices
from imgsearch.core.column_schema import StatedColumn
from imgsearch.core.column_types import Recognised, currency_column, recognise
from imgsearch.core.prices import Price
from imgsearch.ingest.tables import TableColumn

Clean = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class MetadataColumn:
    """A column that becomes metadata under `name`; `clean` is applied to its texts first."""

    name: str
    column: TableColumn
    recognised: Recognised
    clean: Clean | None = None
    whole: bool = False
    """Whether all its cells are whole numbers, which stay integers."""

    def values(self, start: int, stop: int) -> list[Any]:
        """Return the cells of some rows as values of the column's kind; None for missing ones and exceptions."""
        kind = self.recognised.kind
        if kind == "text":
            texts = self.column.texts(start, stop)
            if self.clean is not None:
                clean = self.clean
                texts = [None if text is None else clean(text) for text in texts]
            return [None if text is None or not text.strip() else text for text in texts]
        cells = self.column.values(start, stop)
        parse = self.recognised.parse
        known: dict[Any, Any] = {}
        values: list[Any] = []
        for cell in cells:
            if cell is None:
                values.append(None)
            elif isinstance(cell, str):
                if cell not in known:
                    known[cell] = parse(cell)
                values.append(known[cell])
            else:
                values.append(parse(cell))
        if self.whole:
            return [int(value) for value in values]
        return values


def metadata_column(
    name: str, column: TableColumn, *, clean: Clean | None = None, stated: StatedColumn | None = None
) -> MetadataColumn:
    """Return a column as metadata with its kind recognised over all cells."""
    stated = stated or StatedColumn()
    if clean is not None:
        return MetadataColumn(name, column, recognise((), name, kind="text"), clean)
    if stated.kind is None and _is_code(name, column):
        return MetadataColumn(name, column, recognise((), name, kind="text"))
    values = column.values()
    if column.given == "number" and column.is_text:
        numbers = [None if value is None else float(value) for value in values]
        found = recognise(numbers, name, kind=stated.kind, style=stated.style)
    elif stated.kind is None and column.given == "text" and not holds_prices(name):
        found = recognise(values, name, style=stated.style)
        if found.kind in ("number", "boolean"):  # the file's author chose text
            found = recognise(values, name, kind="text")
    else:
        found = recognise(values, name, kind=stated.kind, style=stated.style)
    whole = found.kind == "number" and not found.exceptions and _all_whole(values)
    return MetadataColumn(name, column, found, whole=whole)


def _is_code(name: str, column: TableColumn) -> bool:
    if not holds_codes(name, typed=column.given == "number"):
        return False
    return not column.is_list


def _all_whole(values: Sequence[Any]) -> bool:
    """Return whether no cell is missing and every one is a plain whole number."""
    for value in values:
        if isinstance(value, str):
            if not value.removeprefix("-").isdecimal() or not value.isascii():
                return False
        elif isinstance(value, bool) or not isinstance(value, int):
            return False
    return bool(values)


def row_metadata(columns: Sequence[MetadataColumn], values: Sequence[Any]) -> dict[str, Any]:
    """Return the metadata of a row from its values, in the columns' order; missing ones are left out.

    A price has its currency in `<name>_currency`, unless the table has such a column.
    """
    row: dict[str, Any] = {}
    currencies: dict[str, str] = {}
    for column, value in zip(columns, values, strict=True):
        if isinstance(value, Price):
            row[column.name] = value.amount
            if value.currency:
                currencies[currency_column(column.name)] = value.currency
        elif value is not None:
            row[column.name] = value
    return {**currencies, **row} if currencies else row


def merged(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metadata of rows of one product: the first value of each column."""
    found: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, value)
    return found
