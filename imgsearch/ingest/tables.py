"""Tables that merchants bring: manifests and metadata files (CSV, Parquet, JSON Lines) as typed rows.

It owns the reading and the typing of columns (numbers, true/false, text; "007" and ids stay text) and how a row finds
its item. It does not open photos and knows no catalog.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from imgsearch.core.errors import SourceError

__all__ = ["ID_COLUMNS", "IMAGE_COLUMNS", "MetadataTable", "Row", "id_text", "read_table", "rows_of"]

Row = dict[str, Any]

ID_COLUMNS = ("id", "item_id")
IMAGE_COLUMNS = ("image", "path", "file", "filename", "image_path", "url", "image_url")
MAX_DIGITS = 16
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


def read_table(path: Path) -> pd.DataFrame:
    """Return the table in a .csv, .parquet or .jsonl file with typed columns.

    Raises `SourceError` saying what is wrong with the file.
    """
    if not path.is_file():
        raise SourceError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            separator = "\t" if suffix == ".tsv" else ","
            # Without index_col=False, a comma at the end of every line would shift the columns by one.
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
            return pd.DataFrame(
                {name: values if _names_items(name) else _typed(values) for name, values in columns.items()}
            )
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            lines = path.read_text(encoding="utf-8-sig").split("\n")
            return pd.DataFrame([dict(json.loads(line)) for line in lines if line.strip()], dtype=object)
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except Exception as error:  # pandas and pyarrow raise many kinds for files that are not what they say
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


class MetadataTable:
    """A metadata file by item: rows are found by id, else by path, file name or file name without its ending."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises `SourceError` when it has no column that names items."""
        frame = read_table(path)
        lowered = {str(name).lower(): name for name in frame.columns}
        column = next((lowered[name] for name in (*ID_COLUMNS, *IMAGE_COLUMNS) if name in lowered), None)
        if column is None:
            names = ", ".join(map(str, frame.columns))
            raise SourceError(
                f"{path} has no column id or image that says which photo a row is of; it has: {names}."
            )
        self._rows: dict[str, Row] = {}
        self._used: set[str] = set()
        for row in rows_of(frame):
            name = row.pop(str(column), None)
            if name is not None:
                self._rows[id_text(name)] = row

    def __len__(self) -> int:
        """Return the number of rows that name an item."""
        return len(self._rows)

    @property
    def unused(self) -> int:
        """How many rows no item has asked for yet."""
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
    """Return the id that a cell says; a table with gaps gives whole numbers as 5.0, and they mean 5."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _names_items(column: str) -> bool:
    return column.lower() in (*ID_COLUMNS, *IMAGE_COLUMNS)


def _typed(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of texts as numbers or booleans where every value is one, else as it is."""
    values = [value for value in column if value is not None]
    if not values:
        return column
    # More digits than a float holds are a serial number, not an amount.
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
