"""Delimited text: commas, semicolons, tabs or bars, in any encoding, with whatever a spreadsheet leaves in it."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.ingest.tables.columns import TextColumns
from imgsearch.ingest.tables.encodings import Encoding, detect_encoding
from imgsearch.ingest.tables.headers import SEARCHED_ROWS, header_position
from imgsearch.ingest.tables.table import Table, TableLimits

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SAMPLE_CHARS = 64 * 1024
SAMPLE_ROWS = 60
MAX_RECORD_LINES = 10_000

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.I | re.S)

Record = tuple[int, list[str]]


def read_delimited(
    path: Path, file: BinaryIO, limits: TableLimits, *, encoding: str = "", separator: str = ""
) -> Table:
    """Return the table of a text file; raises `SourceError` where it has no rows of columns."""
    found = Encoding(encoding, encoding, lenient=True) if encoding else detect_encoding(file)
    file.seek(0)
    text = io.TextIOWrapper(file, found.codec, errors=found.errors, newline="")
    try:
        sample = text.read(SAMPLE_CHARS)
        text.seek(0)
        stated = _SEPARATOR_LINE.fullmatch(sample.partition("\n")[0])
        if _is_binary(sample):
            raise SourceError(
                f"{path} is not a table: it is binary data, or text in an encoding that is not known."
            )
        separator = separator or (stated[1] if stated else "") or _guess_separator(sample, path)
        lines = _Lines(text)
        if stated:
            lines.skip(1)
        table = _read_rows(path, lines, separator, limits)
    finally:
        text.detach()
    columns, places, failures = table
    failures.sort(key=lambda failure: int(failure.path.rpartition(" ")[2]))
    notes = (f"Some bytes of {path.name} are not {found.label}; they are shown as \ufffd.",)
    damaged = found.lenient and any(_has_replacement(name) for name in (sample,))
    return Table(
        str(path),
        SEPARATED_NAMES.get(separator, "delimited text"),
        columns.finish(),
        np.array(places, np.int64),
        encoding=found.label,
        separator=separator,
        failures=tuple(failures),
        notes=notes if damaged else (),
    )


SEPARATED_NAMES = {",": "CSV", ";": "CSV with semicolons", "\t": "TSV", "|": "text separated by bars"}


def _is_binary(sample: str) -> bool:
    """Return whether more than one character of 50 is a control character; single ones occur in tables."""
    controls = sum(each < " " and each not in "\t\r\n\f\v" for each in sample[:4096])
    return controls > 4 and controls * 50 > len(sample[:4096])


def _has_replacement(text: str) -> bool:
    return "\ufffd" in text


def _read_rows(
    path: Path, lines: _Lines, separator: str, limits: TableLimits
) -> tuple[TextColumns, list[int], list[Failure]]:
    failures: list[Failure] = []
    records = _records(lines, separator, failures, path.name, limits.max_cell_chars)
    try:
        first = list(islice(records, SEARCHED_ROWS))
        first = _without_comments(first)
        position = header_position([row for _, row in first])
        if position < 0:
            reason = f" ({failures[0].reason})" if failures else ""
            raise SourceError(f"{path} cannot be read as a table: it has no row of column names{reason}.")
        headings = [heading.strip("\ufeff").strip() for heading in first[position][1]]
        headings[0] = headings[0].removeprefix("#").lstrip()
        if len(headings) > limits.max_columns:
            raise SourceError(
                f"{path} has {len(headings):,} columns; remove those that no visitor needs "
                f"(at most {limits.max_columns:,})."
            )
        columns, places = TextColumns(headings), []
        width = len(headings)
        for line, row in chain(first[position + 1 :], records):
            if len(row) != width:
                fitted = _fit(row, width)
                if fitted is None:
                    continue
                if len(fitted) != width:
                    text = f"Line {line} has {len(row)} cells, but there are {width} columns; put cells that contain "
                    failures.append(Failure(f"{path.name} line {line}", f"{text}the separator in quotes."))
                    continue
                row = fitted
            columns.append(row)
            places.append(line)
            if len(places) > limits.max_rows:
                raise SourceError(f"{path} has more than {limits.max_rows:,} rows; split it.")
    except UnicodeError as error:
        raise SourceError(f"{path} cannot be decoded ({error}); save it as UTF-8.") from error
    if not places and failures:
        raise SourceError(f"{path} cannot be read as a table: {failures[0].reason}")
    return columns, places, failures


def _fit(row: list[str], width: int) -> list[str] | None:
    """Return a row of `width` cells: missing ones are empty, further empty ones go; None for a row to skip."""
    if len(row) < width:
        if not row or (len(row) == 1 and (not row[0].strip() or row[0].startswith("#"))):
            return None
        return row + [""] * (width - len(row))
    return row if any(cell.strip() for cell in row[width:]) else row[:width]


def _without_comments(records: list[Record]) -> list[Record]:
    """Return the first records without lines of "# ..."; a header may begin with # too."""
    widest = max((len(row) for _, row in records), default=0)
    return [
        (line, row)
        for line, row in records
        if not (row and row[0].startswith("#") and (len(row) == 1 or len(row) < widest))
    ]


class _Lines:
    """The lines of a text; those of the record in work can be returned to be read again."""

    def __init__(self, text: Iterator[str] | io.TextIOBase) -> None:
        self._text = iter(text)
        self._returned: deque[str] = deque()
        self._consumed = 0
        self.record: list[str] = []
        """The lines of the record in work."""

    def __iter__(self) -> Iterator[str]:
        # A generator: a million calls of __next__ take a second.
        record, returned = self.record, self._returned
        while returned:
            record.append(returned.popleft())
            yield record[-1]
        for line in self._text:
            record.append(line)
            if len(record) > MAX_RECORD_LINES:
                raise csv.Error("too many lines")
            yield line

    def skip(self, count: int) -> None:
        """Pass over lines."""
        for _ in range(count):
            next(self._text)
        self._consumed += count

    def finish(self) -> int:
        """End the record in work and return the number of its first line."""
        first = self._consumed + 1
        self._consumed += len(self.record)
        self.record.clear()
        return first

    def give_up(self) -> tuple[int, str]:
        """End a record after its first line, of which the number and text are returned; the others come again."""
        first, *others = self.record
        self._returned.extendleft(reversed(others))
        self.record[:] = [first]
        return self.finish(), first


def _records(
    lines: _Lines, separator: str, failures: list[Failure], name: str, max_cell_chars: int
) -> Iterator[Record]:
    """Yield (number of the first line, cells) of each record; a record that cannot be read costs its first line."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    record = lines.record
    while True:
        try:
            for row in reader:
                long = len(record) > 1 or len(record[0]) > max_cell_chars
                line = lines.finish()
                if long and any(len(cell) > max_cell_chars for cell in row):
                    failures.append(
                        _failure(name, line, f"has a cell of more than {max_cell_chars:,} characters")
                    )
                    continue
                yield line, row
            return
        except csv.Error as error:
            if not record:
                return
            several = len(record) > 1
            line, text = lines.give_up()
            row = [] if several else _read_loosely(text, separator)
            if row and len(text) <= max_cell_chars:
                yield line, row
            elif "limit" in str(error):
                failures.append(
                    _failure(name, line, f"has a cell of more than {max_cell_chars:,} characters")
                )
            else:
                failures.append(_failure(name, line, "opens a quote that is not closed"))
            reader = csv.reader(lines, delimiter=separator, strict=True)


def _failure(name: str, line: int, reason: str) -> Failure:
    return Failure(f"{name} line {line}", f"Line {line} {reason}.")


def _read_loosely(line: str, separator: str) -> list[str]:
    """Return the cells of a line with quotes inside quotes; none where its last quote is not closed."""
    try:
        rows = list(csv.reader([line, "end"], delimiter=separator))
    except csv.Error:
        return []
    return rows[0] if len(rows) == 2 else []


def _guess_separator(sample: str, path: Path) -> str:
    """Return the separator that splits the first rows into the most columns, alike in most rows."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    candidates = dict.fromkeys(
        ["\t", *SEPARATORS] if ".tsv" in suffixes or ".tab" in suffixes else SEPARATORS
    )
    best, best_score = next(iter(candidates)), (False, 1)
    for separator in candidates:
        widths = _widths(sample, separator)
        if not widths:
            continue
        header = max(widths[:SEARCHED_ROWS])
        alike = sum(width == header for width in widths) >= 0.6 * len(widths)
        score = (alike, header)
        if header > 1 and score > best_score:
            best, best_score = separator, score
    return best


def _widths(sample: str, separator: str) -> Sequence[int]:
    """Return how many cells the first records have; the last one of the sample may be cut off."""
    failures: list[Failure] = []
    records = _records(_Lines(io.StringIO(sample, newline="")), separator, failures, "", SAMPLE_CHARS)
    rows = [row for _, row in islice(records, SAMPLE_ROWS + 1) if row and not row[0].startswith("#")]
    return [len(row) for row in (rows[:-1] if len(rows) > 2 else rows)]
