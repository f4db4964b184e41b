"""JSON: an array of objects, an object with such a list under some key, or a line for each object."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.core.text import error_line
from imgsearch.ingest.tables.cells import NumberText
from imgsearch.ingest.tables.columns import RecordColumns
from imgsearch.ingest.tables.encodings import detect_encoding
from imgsearch.ingest.tables.flattening import flat_record
from imgsearch.ingest.tables.table import Table, TableLimits

LIST_KEYS = (
    "products",
    "items",
    "data",
    "results",
    "rows",
    "records",
    "entries",
    "feed",
    "catalog",
    "channel",
)
MAX_LINE_CHARS = 16 * 1024 * 1024
MAX_SEARCH_DEPTH = 3

_decoder = json.JSONDecoder(parse_float=NumberText, parse_int=NumberText, parse_constant=lambda _: None)


def read_json(path: Path, file: BinaryIO, limits: TableLimits, *, by_line: bool) -> Table:
    """Return the table of a JSON document, or of a file with an object a line; raises `SourceError`."""
    encoding = detect_encoding(file)
    if by_line:
        records: Iterator[tuple[int, Any]] = _line_records(file, encoding.codec)
    else:
        records = iter(enumerate(_document_records(path, file, encoding.codec, limits), start=1))
    columns, places, failures = RecordColumns(path, limits), [], []
    word = "line" if by_line else "record"
    try:
        for place, record in records:
            if isinstance(record, Exception):
                failures.append(Failure(f"{path.name} {word} {place}", _not_json(word, place, record)))
                continue
            flat = {"image": record} if isinstance(record, str) else None
            flat = flat_record(record) if isinstance(record, Mapping) else flat
            if flat is None:
                reason = f"{word.capitalize()} {place} is not an object with names and values."
                failures.append(Failure(f"{path.name} {word} {place}", reason))
                continue
            if any(len(str(value)) > limits.max_cell_chars for value in flat.values() if _may_be_long(value)):
                reason = f"{word.capitalize()} {place} has a value of more than {limits.max_cell_chars:,} characters."
                failures.append(Failure(f"{path.name} {word} {place}", reason))
                continue
            columns.append(flat)
            places.append(place)
            if len(places) > limits.max_rows:
                raise SourceError(f"{path} has more than {limits.max_rows:,} rows; split it.")
    except UnicodeError as error:
        raise SourceError(f"{path} cannot be decoded ({error_line(error)}); save it as UTF-8.") from error
    if not places:
        reason = failures[0].reason if failures else "it holds no objects."
        raise SourceError(f"{path} cannot be read as JSON: {reason}")
    return Table(
        str(path),
        "JSON Lines" if by_line else "JSON",
        columns.finish(),
        np.array(places, np.int64),
        place_word=word,
        encoding=encoding.label,
        failures=tuple(failures),
    )


def _may_be_long(value: Any) -> bool:
    return isinstance(value, list | str) and len(value) > 1_000


def _not_json(word: str, place: int, error: Exception) -> str:
    return f"{word.capitalize()} {place} is not JSON ({error_line(error, max_chars=100)})."


def _line_records(file: BinaryIO, codec: str) -> Iterator[tuple[int, Any]]:
    text = io.TextIOWrapper(file, codec, errors="replace", newline="\n")
    number = 0
    try:
        while line := text.readline(MAX_LINE_CHARS):
            number += 1
            if not line.endswith("\n") and len(line) >= MAX_LINE_CHARS:
                while (rest := text.readline(MAX_LINE_CHARS)) and not rest.endswith("\n"):
                    pass
                yield number, ValueError("the line is too long")
            elif line.strip():
                yield number, _decoded(line)
    finally:
        text.detach()


def _decoded(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except RecursionError:
        return ValueError("it is nested too deeply")
    except ValueError as error:
        return error


def _document_records(path: Path, file: BinaryIO, codec: str, limits: TableLimits) -> list[Any]:
    data = file.read(limits.max_document_bytes + 1)
    if len(data) > limits.max_document_bytes:
        raise SourceError(
            f"{path} is a JSON document of more than {limits.max_document_bytes // 1024**2} MiB; save it as "
            "JSON Lines."
        )
    document = _decoded(data.decode(codec, "replace"))
    if isinstance(document, Exception):
        raise SourceError(f"{path} cannot be read as JSON: {error_line(document)}.")
    found = _find_list(document)
    if found is None:
        raise SourceError(
            f"{path} cannot be read as JSON: it has no list of objects, at its top or under a key such as products."
        )
    return found


def _find_list(document: Any, depth: int = 0) -> list[Any] | None:
    """Return the list of records in a document: itself, else that under a usual key, else the longest of objects."""
    if isinstance(document, list):
        return document
    if not isinstance(document, Mapping) or depth >= MAX_SEARCH_DEPTH:
        return None
    for key in LIST_KEYS:
        value = document.get(key)
        if isinstance(value, list) and (not value or isinstance(value[0], Mapping)):
            return value
    lists = [value for value in document.values() if isinstance(value, list) and value]
    lists = [value for value in lists if isinstance(value[0], Mapping)]
    if lists:
        return max(lists, key=len)
    for key in (*LIST_KEYS, *document):
        found = _find_list(document.get(key), depth + 1) if isinstance(document.get(key), Mapping) else None
        if found is not None:
            return found
    # {"sku-1": {...}, "sku-2": {...}}: objects by their ids.
    if len(document) > 1 and all(isinstance(value, Mapping) for value in document.values()):
        return [{"id": key, **value} for key, value in document.items()]
    return None
