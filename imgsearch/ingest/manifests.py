"""Tables (CSV, Parquet, JSON Lines): manifests, which list photos, and metadata files, which describe them.

Columns are typed: numbers, true/false, text; ids and texts like "007" stay text.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import is_url, path_location, printable_name

Row = dict[str, Any]

ID_COLUMNS = ("id", "item_id")
IMAGE_COLUMNS = ("image", "path", "file", "filename", "image_path", "url", "image_url")
MAX_DIGITS = 16
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


def read_table(path: Path) -> pd.DataFrame:
    """Return the table in a .csv, .parquet or .jsonl file with typed columns; raises `SourceError`."""
    if not path.is_file():
        raise SourceError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            separator = "\t" if suffix == ".tsv" else ","
            # Without index_col=False a comma at the end of every line shifts the columns by one.
            with warnings.catch_warnings(category=pd.errors.ParserWarning, action="ignore"):
                frame = pd.read_csv(
                    path,
                    sep=separator,
                    dtype=str,
                    keep_default_na=False,
                    index_col=False,
                    encoding="utf-8-sig",
                )
            frame = frame.astype(object).where(frame.notna() & (frame != ""), None)
            columns = {str(name).strip(): frame[name] for name in frame.columns}
            untyped = {name for name in columns if name.lower() in (*ID_COLUMNS, *IMAGE_COLUMNS)}
            return pd.DataFrame(
                {name: columns[name] if name in untyped else _typed(columns[name]) for name in columns}
            )
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            lines = path.read_text(encoding="utf-8-sig").split("\n")
            return pd.DataFrame([dict(json.loads(line)) for line in lines if line.strip()], dtype=object)
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except Exception as error:  # pandas and pyarrow raise many types for damaged files
        raise SourceError(
            f"{path} cannot be read as {suffix[1:]}: {str(error).splitlines()[0][:200]}"
        ) from error
    raise SourceError(f"{path} has the ending {suffix or '(none)'}; tables are .csv, .parquet or .jsonl.")


def rows_of(frame: pd.DataFrame) -> Iterator[Row]:
    """Yield each row as plain Python values; missing ones are left out."""
    names = [str(name) for name in frame.columns]
    for values in frame.itertuples(index=False, name=None):
        yield {
            name: plain
            for name, value in zip(names, values, strict=True)
            if (plain := _plain(value)) is not None
        }


class ManifestSource:
    """A table with an `image` column (paths or URLs) and perhaps an `id`; its other columns become metadata."""

    def __init__(self, path: Path, *, root: Path | None = None) -> None:
        """Read the manifest; raises `SourceError` when it has no image column."""
        self.complete = True
        self._root = (root or path.parent).absolute()
        self._base = path.parent
        self.name = path_location(path)
        self._frame = read_table(path)
        lowered = {str(name).lower(): str(name) for name in self._frame.columns}
        image = next((lowered[name] for name in IMAGE_COLUMNS if name in lowered), None)
        if image is None:
            names = ", ".join(map(str, self._frame.columns))
            raise SourceError(f"The manifest {path} has no column named image; it has: {names}.")
        self._image = image
        self._id = next((lowered[name] for name in ID_COLUMNS if name in lowered), None)
        self._vectors = [str(name) for name in self._frame.columns if _holds_vectors(self._frame[name])]

    def count(self) -> int | None:
        """Return the number of rows."""
        return len(self._frame)

    @property
    def ids(self) -> Sequence[str]:
        """The item id of every row, in order; "" for a row that names no photo."""
        return [self._item_id(row) for row in rows_of(self._frame.drop(columns=self._vectors))]

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photo of every row, in order."""
        for number, row in enumerate(rows_of(self._frame.drop(columns=self._vectors)), start=1):
            image, item_id = str(row.get(self._image, "")).strip(), self._item_id(row)
            if not image:
                yield Failure(item_id or f"row {number}", "The manifest's row names no image.")
                continue
            metadata = {name: value for name, value in row.items() if name not in (self._image, self._id)}
            if is_url(image):
                yield Photo(item_id, self.name, image, metadata=metadata)
            else:
                yield self._local_photo(item_id, image, metadata)

    def _local_photo(self, item_id: str, image: str, metadata: Row) -> Photo | Failure:
        path = self._base / image
        try:
            if not path.resolve().is_relative_to(self._root.resolve()):
                return Failure(
                    item_id, f"The image is outside {self._root}; pass --root to allow its folder."
                )
            status = path.stat()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return Failure(item_id, f"The image {image[:200]} cannot be read ({reason}).")
        location, size_bytes, modified_ns = path_location(path), status.st_size, status.st_mtime_ns
        return Photo(item_id, self.name, location, size_bytes, modified_ns, metadata=metadata)

    def _item_id(self, row: Mapping[str, Any]) -> str:
        if self._id is not None and row.get(self._id) is not None:
            return id_text(row[self._id])
        return printable_name(str(row.get(self._image, "")).strip().removeprefix("./"))


class MetadataFile:
    """A metadata file by item: rows are found by id, else by path, file name or file name without its suffix."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises `SourceError` when no column names items."""
        frame = read_table(path)
        lowered = {str(name).lower(): name for name in frame.columns}
        column = next((lowered[name] for name in (*ID_COLUMNS, *IMAGE_COLUMNS) if name in lowered), None)
        if column is None:
            names = ", ".join(map(str, frame.columns))
            raise SourceError(
                f"{path} has no column id or image that says which photo a row belongs to; it has: {names}."
            )
        self._rows: dict[str, Row] = {}
        self._used: set[str] = set()
        for row in rows_of(frame):
            name = row.pop(str(column), None)
            if name is not None:
                self._rows[id_text(name)] = row

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def unused(self) -> int:
        """How many rows `row` has not returned yet."""
        return len(self._rows) - len(self._used)

    def row(self, item_id: str) -> Mapping[str, Any]:
        """Return the item's row, or an empty one."""
        path = PurePosixPath(item_id)
        for name in (item_id, item_id.removesuffix(path.suffix), path.name, path.stem):
            if name in self._rows:
                self._used.add(name)
                return self._rows[name]
        return {}


def id_text(value: Any) -> str:
    """Return a cell as an id; pandas reads whole numbers in a column with gaps as 5.0, which means 5."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _typed(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of texts as numbers or booleans where all values are, else unchanged."""
    values = [value for value in column if value is not None]
    if not values:
        return column
    # Numbers with more digits than a float holds are serial numbers, which stay text.
    if all(_NUMBER.fullmatch(value) and len(value) <= MAX_DIGITS for value in values):
        return pd.to_numeric(column)
    if all(value.lower() in ("true", "false") for value in values):
        return column.map(lambda value: None if value is None else value.lower() == "true").astype(object)
    return column


def _plain(value: Any) -> Any:
    """Return a table's value as str, float, int or bool; None for a missing one."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.ndarray | list | tuple):
        return ", ".join(str(part) for part in value)
    return str(value)


def _holds_vectors(column: pd.Series[Any]) -> bool:
    first: Any = next((value for value in column if value is not None), None)
    return isinstance(first, Sized) and not isinstance(first, str | bytes) and len(first) >= 16
