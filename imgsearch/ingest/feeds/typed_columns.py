"""The columns of a feed as metadata: the kind of each is recognised over all its cells; codes keep their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from imgsearch.core.column_names import holds_codes, holds_prices
from imgsearch.core.column_schema import StatedColumn
from imgsearch.core.column_types import Recognised, currency_column, recognise
from imgsearch.core.column_values import MAX_SAFE_DIGITS, ColumnKind
from imgsearch.core.prices import Price
from imgsearch.ingest.tables import TableColumn

SAMPLE_VALUES = 2_000

# For Arrow's regular expressions, which never backtrack. Long numbers and those like 90.750 may be codes.
_PLAIN_NUMBER = r"^-?(?:0|[1-9][0-9]{0,13})(?:\.[0-9]{1,8})?$"
_LONG_NUMBER = r"^-?[0-9]{16,}$"
_CODE_LIKE = r"\.[0-9]{2,}0$"

_SHORTENED = r"^[0-9][.,][0-9]+E\+[0-9]+$"
SHORTENED = (
    "some codes are like 4.00638E+12: a spreadsheet shortened them, and their digits are lost; export the column "
    "as text."
)

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
    plain: bool = False
    """Whether its cells are texts of plain numbers, all of them."""
    stated: StatedColumn = field(default_factory=StatedColumn)

    def taken(self, rows: NDArray[np.int64] | None) -> MetadataColumn:
        """Return the column with these rows in this order; None: as it is."""
        if rows is None:
            return self
        return replace(self, column=replace(self.column, cells=self.column.cells.take(pa.array(rows))))

    def values(self, start: int, stop: int) -> list[Any]:
        """Return the cells of some rows as values of the column's kind; None for missing ones and exceptions."""
        if self.recognised.kind == "text":
            return self._texts(start, stop)
        if self.plain:
            numbers: list[Any] = self.column.cells.slice(start, stop - start).cast(pa.float64()).to_pylist()
            return [int(number) for number in numbers] if self.whole else numbers
        parse = self.recognised.parse
        known: dict[Any, Any] = {}
        values: list[Any] = []
        for cell in self.column.values(start, stop):
            if cell is None:
                values.append(None)
            elif isinstance(cell, str):
                if cell not in known:
                    known[cell] = parse(cell)
                values.append(known[cell])
            else:
                values.append(parse(cell))
        return [int(value) for value in values] if self.whole else values

    def _texts(self, start: int, stop: int) -> list[str | None]:
        texts = self.column.texts(start, stop)
        if self.clean is not None:
            clean = self.clean
            texts = [None if text is None else clean(text) for text in texts]
        return [None if text is None or text.isspace() or not text else text for text in texts]


def metadata_column(
    name: str,
    column: TableColumn,
    *,
    clean: Clean | None = None,
    stated: StatedColumn | None = None,
    kind: ColumnKind | None = None,
) -> MetadataColumn:
    """Return a column as metadata with its kind recognised over all cells, except for what is `stated`.

    `kind` is what the table's format says, where a person states nothing.
    """
    stated = stated or StatedColumn()
    known = replace(stated, kind=stated.kind or kind)
    return replace(_metadata_column(name, column, clean, known), stated=stated)


def _metadata_column(
    name: str, column: TableColumn, clean: Clean | None, stated: StatedColumn
) -> MetadataColumn:
    if clean is not None:
        return MetadataColumn(name, column, recognise((), name, kind="text"), clean)
    if stated.kind is None and _is_code(name, column):
        found = recognise((), name, kind="text")
        if column.is_text and pc.any(pc.match_substring_regex(column.cells, _SHORTENED)).as_py():
            found = replace(found, notes=(SHORTENED,))
        return MetadataColumn(name, column, found)
    quick = _recognise_quickly(name, column, stated)
    if quick is not None:
        plain = quick.kind == "number"
        return MetadataColumn(name, column, quick, whole=plain and _all_whole(column.values()), plain=plain)
    values = column.values()
    if column.given == "number" and column.is_text:
        numbers = [None if value is None else float(value) for value in values]
        found = recognise(numbers, name, kind=stated.kind, style=stated.style)
    else:
        found = recognise(values, name, kind=stated.kind, style=stated.style)
        if stated.kind is None and _author_chose_text(column, name) and found.kind in ("number", "boolean"):
            found = recognise(values, name, kind="text")
    whole = found.kind == "number" and not found.exceptions and _all_whole(values)
    return MetadataColumn(name, column, found, whole=whole)


def _author_chose_text(column: TableColumn, name: str) -> bool:
    """Return whether the file has types and says that the column is text; prices are often texts all the same."""
    return column.given == "text" and not holds_prices(name)


def _recognise_quickly(name: str, column: TableColumn, stated: StatedColumn) -> Recognised | None:
    """Return what a long column of texts is where a sample of it leaves no doubt; else None.

    Text of which no kind fits half of the values, and plain numbers, all of which Arrow compares with the pattern.
    """
    if len(column.cells) < 2 * SAMPLE_VALUES or not column.is_text or column.given not in ("", "text"):
        return None
    if stated != StatedColumn():
        return None
    positions = pa.array(range(0, len(column.cells), len(column.cells) // SAMPLE_VALUES))
    found = recognise(column.cells.take(positions).to_pylist(), name)
    values = len(column.cells) - column.cells.null_count
    if found.kind == "text" and not found.notes:
        return replace(found, values=values)
    if found.kind == "boolean" and column.given == "" and not found.exceptions:
        distinct = pc.unique(column.cells).to_pylist()
        fits = len(distinct) < SAMPLE_VALUES and all(
            each is None or found.parse(each) is not None for each in distinct
        )
        return replace(found, values=values) if fits else None
    if found.kind != "number" or column.given == "text" or found.exceptions:
        return None
    cells = column.cells
    plain = pc.all(pc.match_substring_regex(cells, _PLAIN_NUMBER)).as_py()
    codes = pc.any(pc.match_substring_regex(cells, _CODE_LIKE)).as_py()
    return replace(found, values=values) if plain and not codes else None


def _is_code(name: str, column: TableColumn) -> bool:
    """Return whether the texts of a column must stay as they are: by its name, or for its long whole numbers."""
    if column.is_list:
        return False
    if holds_codes(name, typed=column.given == "number"):
        return True
    if column.given != "number":
        return False
    if column.is_text:
        return bool(pc.any(pc.match_substring_regex(column.cells, _LONG_NUMBER)).as_py())
    if not pa.types.is_integer(column.cells.type):
        return False
    bounds = pc.min_max(column.cells).as_py()
    return any(value is not None and abs(value) >= 10**MAX_SAFE_DIGITS for value in bounds.values())


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
    for column, value in zip(columns, values, strict=True):
        if isinstance(value, Price):
            row[column.name] = value.amount
            if value.currency:
                row.setdefault(currency_column(column.name), value.currency)
        elif value is not None:
            row[column.name] = value
    return row


def rows_metadata(columns: Sequence[MetadataColumn], start: int, stop: int) -> list[dict[str, Any]]:
    """Return the metadata of some rows; missing values are left out."""
    if not columns:
        return [{} for _ in range(start, stop)]
    values = [column.values(start, stop) for column in columns]
    if any(column.recognised.kind == "price" for column in columns):
        return [row_metadata(columns, row) for row in zip(*values, strict=True)]
    names = [column.name for column in columns]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*values, strict=True)
    ]


def merged(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metadata of rows of one product: the first value of each column."""
    found: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, value)
    return found
