"""A table in memory: columns of texts as given, or of typed values where the format has types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from imgsearch.core.records import Failure
from imgsearch.ingest.tables.cells import cell_text


@dataclass(frozen=True, slots=True)
class TableLimits:
    """What a table may have at most; a larger one is refused, a longer cell fails its row."""

    max_bytes: int = 2 * 1024**3
    """Bytes of the file, unpacked."""
    max_document_bytes: int = 512 * 1024**2
    """Bytes of a JSON document, which is read as a whole; JSON Lines are not."""
    max_rows: int = 20_000_000
    max_columns: int = 5_000
    max_cell_chars: int = 131_072


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column: its unique `name`, its `heading` in the file, and its cells as an Arrow array.

    `given` is the kind that the file says: "text", "number", "boolean", "date", "datetime", "time", "list", or ""
    where it says none (delimited text, XML, mixed cells). The array holds strings exactly as given, numbers of JSON
    and Excel included; integers, floats, decimals, booleans, dates, timestamps and times of typed formats; or lists
    of strings. Missing cells are null.
    """

    name: str
    heading: str
    cells: pa.ChunkedArray
    given: str = ""

    @property
    def is_text(self) -> bool:
        """Whether the cells are strings."""
        return bool(pa.types.is_string(self.cells.type))

    @property
    def is_list(self) -> bool:
        """Whether the cells are lists of strings."""
        return bool(pa.types.is_list(self.cells.type))

    @property
    def holds_vectors(self) -> bool:
        """Whether the cells are embeddings: lists of numbers."""
        kind = self.cells.type
        nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        return nested and not pa.types.is_string(kind.value_type)

    def values(self, start: int = 0, stop: int | None = None) -> list[Any]:
        """Return cells as Python values: str, int, float, Decimal, bool, date, datetime, time or list of str."""
        length = None if stop is None else stop - start
        found: list[Any] = self.cells.slice(start, length).to_pylist()
        return found

    def texts(self, start: int = 0, stop: int | None = None) -> list[str | None]:
        """Return cells as texts: those of the file, or typed values in their shortest exact form."""
        values = self.values(start, stop)
        return values if self.is_text else [None if value is None else cell_text(value) for value in values]

    def as_texts(self) -> TableColumn:
        """Return the column with its cells as texts."""
        if self.is_text:
            return self
        return replace(self, cells=pa.chunked_array([pa.array(self.texts(), pa.string())]))

    def first_values(self) -> TableColumn:
        """Return a column of lists as one of texts, the first of each list; any other as it is."""
        if not self.is_list:
            return self
        texts = [value[0] if value else None for value in self.values()]
        return replace(self, cells=pa.chunked_array([pa.array(texts, pa.string())]), given="")

    def filled(self) -> int:
        """Return how many cells hold something other than white space."""
        if self.is_text:
            blank = pc.sum(pc.equal(pc.utf8_trim_whitespace(self.cells), "")).as_py() or 0
            return int(len(self.cells) - self.cells.null_count - blank)
        return int(len(self.cells) - self.cells.null_count)


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds.

    `places` are the numbers of the lines or records that the rows come from, `place_word` is what they count. Rows
    that cannot be read are `failures`. `complete` is False where damage ends the file early.
    """

    path: str
    format: str
    columns: tuple[TableColumn, ...]
    places: NDArray[np.int64]
    place_word: str = "line"
    encoding: str = ""
    separator: str = ""
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    complete: bool = field(default=True)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def names(self) -> list[str]:
        """The columns' names, in their order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> TableColumn:
        """Return the column of that name; raises `KeyError`."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def place(self, row: int) -> str:
        """Return where a row stands in the file, such as "line 7"."""
        return f"{self.place_word} {self.places[row]}"

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Return the table with these rows, in this order."""
        positions = pa.array(rows)
        columns = tuple(replace(column, cells=column.cells.take(positions)) for column in self.columns)
        return replace(self, columns=columns, places=self.places[rows])


def unique_names(headings: Sequence[str]) -> list[str]:
    """Return a name for each heading, as pandas: repeated ones get .1, .2, ..., missing ones "Unnamed: POSITION"."""
    taken: set[str] = set()
    names = []
    given = set(headings)
    for position, heading in enumerate(headings):
        name = heading = heading or f"Unnamed: {position}"
        number = 0
        while name in taken or (number and name in given):
            number += 1
            name = f"{heading}.{number}"
        taken.add(name)
        names.append(name)
    return names
