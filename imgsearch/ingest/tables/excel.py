"""Excel workbooks (.xlsx): the first sheet that has a row of column names."""

from __future__ import annotations

import datetime as dt
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from openpyxl import load_workbook

from imgsearch.core.errors import ImgSearchError, SourceError
from imgsearch.core.records import Failure
from imgsearch.core.text import error_line
from imgsearch.ingest.tables.cells import NumberText, cell_text, is_missing
from imgsearch.ingest.tables.columns import RecordColumns
from imgsearch.ingest.tables.headers import SEARCHED_ROWS, header_position
from imgsearch.ingest.tables.table import Table, TableLimits, unique_names

MAX_UNPACKED = 200
"""How many times larger than the file its contents may be."""
MIN_UNPACKED_BYTES = 256 * 1024**2

_FIXED_FORMAT = re.compile(r"(0+)(?:\.(0+))?")
_ENTITIES = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.I)


def read_excel(path: Path, file: BinaryIO, limits: TableLimits) -> Table:
    """Return the table of a workbook; raises `SourceError`."""
    try:
        _check_archive(path, file, limits)
        file.seek(0)
        with warnings.catch_warnings(action="ignore"):  # openpyxl warns about styles that it does not know
            book = load_workbook(file, read_only=True, data_only=True)
            for sheet in book.worksheets:
                if sheet.sheet_state != "visible":
                    continue
                sheet.reset_dimensions()
                records = _sheet_rows(sheet)
                first = list(islice(records, SEARCHED_ROWS))
                position = header_position([[cell_text(v) for v in row if v is not None] for _, row in first])
                if position >= 0 and sum(isinstance(value, str) for value in first[position][1]) > 0:
                    rows = chain(first[position + 1 :], records)
                    others = len([each for each in book.worksheets if each.sheet_state == "visible"]) - 1
                    note = f"Only the sheet {sheet.title} of {path.name} is read." if others else ""
                    return _table(path, first[position][1], rows, limits, note)
    except ImgSearchError:
        raise
    except Exception as error:  # openpyxl raises many types for damaged files
        raise SourceError(f"{path} cannot be read as an Excel workbook ({error_line(error)}).") from error
    raise SourceError(f"{path} has no sheet with a row of column names.")


def _check_archive(path: Path, file: BinaryIO, limits: TableLimits) -> None:
    """Refuse archives that unpack to far more than their size, and XML with entities."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
        packed = sum(member.compress_size for member in members)
        if unpacked > min(limits.max_bytes, max(MIN_UNPACKED_BYTES, MAX_UNPACKED * packed)):
            raise SourceError(
                f"{path} unpacks to {unpacked // 1024**2:,} MiB, which is too much; save it as CSV."
            )
        if "xl/workbook.xml" not in archive.namelist():
            raise SourceError(f"{path} is not an Excel workbook (.xlsx).")
        for member in members:
            if member.filename.lower().endswith((".xml", ".rels", ".vml")):
                with archive.open(member) as part:
                    if _ENTITIES.search(part.read(2048)):
                        raise SourceError(
                            f"{path} contains XML entities, which are not read; save it as CSV."
                        )


def _sheet_rows(sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        yield number, [_value(cell) for cell in cells]


def _value(cell: Any) -> Any:
    """Return a cell's value: numbers as digits (with the zeros of a format such as 00000), midnight as a date."""
    value = cell.value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return None if cell.data_type == "e" else value
    if isinstance(value, int | float):
        found = _FIXED_FORMAT.fullmatch(cell.number_format or "")
        if found is not None and len(found[0]) > 1 and abs(value) < 1e15:
            decimals = len(found[2] or "")
            rounded = round(float(value), decimals)
            if rounded == value:
                width = len(found[1]) + (decimals + 1 if decimals else 0)
                return NumberText(f"{value:0{width}.{decimals}f}")
        return NumberText(cell_text(float(value) if isinstance(value, float) else value))
    if isinstance(value, dt.datetime):
        return value.date() if value.time() == dt.time() else value
    if isinstance(value, dt.date | dt.time):
        return value
    return cell_text(value)


def _table(
    path: Path, header: Sequence[Any], rows: Iterator[tuple[int, list[Any]]], limits: TableLimits, note: str
) -> Table:
    headings = ["" if is_missing(value) else cell_text(value).strip() for value in header]
    while headings and not headings[-1]:
        headings.pop()
    if len(headings) > limits.max_columns:
        raise SourceError(
            f"{path} has {len(headings):,} columns (at most {limits.max_columns:,}); remove those that no visitor "
            "needs."
        )
    names = unique_names(headings)
    columns, places, failures = RecordColumns(path, limits), [], []
    columns.declare(zip(names, headings, strict=True))
    for number, row in rows:
        if all(is_missing(value) for value in row):
            continue
        extra = [value for value in row[len(names) :] if not is_missing(value)]
        if extra:
            reason = f"Row {number} has a cell beyond the last column name; name its column."
            failures.append(Failure(f"{path.name} row {number}", reason))
            continue
        if any(isinstance(value, str) and len(value) > limits.max_cell_chars for value in row):
            reason = f"Row {number} has a cell of more than {limits.max_cell_chars:,} characters."
            failures.append(Failure(f"{path.name} row {number}", reason))
            continue
        cells = zip(names, row, strict=False)
        columns.append({name: value for name, value in cells if not is_missing(value)})
        places.append(number)
        if len(places) > limits.max_rows:
            raise SourceError(f"{path} has more than {limits.max_rows:,} rows; split it.")
    return Table(
        str(path),
        "Excel",
        columns.finish(),
        np.array(places, np.int64),
        place_word="row",
        failures=tuple(failures),
        notes=(note,) if note else (),
    )
