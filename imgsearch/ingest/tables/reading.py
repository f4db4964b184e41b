"""Opening a table: which format a file has, by its first bytes and its name, and reading it."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

from imgsearch.core.errors import ImgSearchError, SourceError
from imgsearch.core.text import error_line
from imgsearch.ingest.tables.encodings import detect_encoding
from imgsearch.ingest.tables.table import Table, TableLimits

TABLE_SUFFIXES = (
    ".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".json", ".jsonl", ".ndjson", ".xlsx", ".xlsm", ".xml", ".rss",
    ".atom",
)  # fmt: skip
"""Endings of tables; each may be followed by .gz."""
MEMORY_BYTES = 64 * 1024**2

Format = Literal["delimited", "json", "json lines", "excel", "xml", "parquet"]

_BY_SUFFIX: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".json": "json",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".xml": "xml",
    ".rss": "xml",
    ".atom": "xml",
    ".csv": "delimited",
    ".tsv": "delimited",
    ".tab": "delimited",
}


def is_table_name(name: str) -> bool:
    """Return whether a file's name has the ending of a table."""
    return name.lower().removesuffix(".gz").endswith(TABLE_SUFFIXES)


def read_table(
    path: Path,
    *,
    encoding: str = "",
    separator: str = "",
    limits: TableLimits | None = None,
    vectors: bool = False,
) -> Table:
    """Return the table in a file.

    `encoding` and `separator` are recognised where they are empty. Columns of embeddings in Parquet files are read
    only with `vectors`. Raises `SourceError` in one sentence; rows that cannot be read are the table's failures.
    """
    limits = limits or TableLimits()
    if not path.is_file():
        raise SourceError(f"There is no file {path}.")
    try:
        with _opened(path, limits) as file:
            head = file.read(4096)
            file.seek(0)
            kind = _format_of(path, head)
            if kind == "parquet":
                from imgsearch.ingest.tables.parquet import read_parquet

                return read_parquet(path, file, limits, vectors=vectors)
            if kind == "excel":
                from imgsearch.ingest.tables.excel import read_excel

                return read_excel(path, file, limits)
            if kind == "xml":
                from imgsearch.ingest.tables.xml_tables import read_xml

                return read_xml(path, file, limits)
            if kind in ("json", "json lines"):
                from imgsearch.ingest.tables.json_tables import read_json

                return read_json(path, file, limits, by_line=kind == "json lines")
            from imgsearch.ingest.tables.delimited import read_delimited

            return read_delimited(path, file, limits, encoding=encoding, separator=separator)
    except ImgSearchError:
        raise
    except LookupError as error:
        raise SourceError(f"{path} cannot be read: {error_line(error)}.") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error_line(error)
        raise SourceError(f"{path} cannot be read ({reason}).") from error


@contextmanager
def _opened(path: Path, limits: TableLimits) -> Iterator[BinaryIO]:
    """Yield the file, unpacked where it is gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            if path.stat().st_size > limits.max_bytes:
                raise SourceError(f"{path} has more than {limits.max_bytes // 1024**2:,} MiB; split it.")
            yield file
            return
        with gzip.open(file) as unpacked, tempfile.SpooledTemporaryFile(MEMORY_BYTES) as copy:
            size = 0
            while part := unpacked.read(1024**2):
                size += len(part)
                if size > limits.max_bytes:
                    raise SourceError(
                        f"{path} unpacks to more than {limits.max_bytes // 1024**2:,} MiB; split it."
                    )
                copy.write(part)
            copy.seek(0)
            yield cast(BinaryIO, copy)


def _format_of(path: Path, head: bytes) -> Format:
    """Return the format that the first bytes show, else that of the file's ending; raises `SourceError`."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    by_suffix = _BY_SUFFIX.get(suffix)
    if not head.strip():
        raise SourceError(f"{path} is empty.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "excel"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise SourceError(f"{path} is an old Excel file (.xls) or a protected one; save it as .xlsx or CSV.")
    if by_suffix in ("parquet", "excel"):
        return by_suffix
    text = _beginning(head)
    if text.startswith(("<!doctype html", "<html")):
        raise SourceError(f"{path} is a web page, not a table; the link may need a login.")
    if text.startswith("<") and by_suffix != "delimited":
        return "xml"
    if text.startswith(("<?xml", "<rss", "<feed")):
        return "xml"
    if by_suffix == "json" and text.startswith("{") and _is_lines(head):
        return "json lines"
    if by_suffix == "json lines" and text.startswith("["):
        return "json"
    if by_suffix:
        return by_suffix
    if suffix != ".txt":
        raise SourceError(
            f"{path} has the ending {suffix or '(none)'}; tables are {' '.join(TABLE_SUFFIXES)}."
        )
    if text.startswith("["):
        return "json"
    return "json lines" if text.startswith("{") else "delimited"


def _beginning(head: bytes) -> str:
    found = detect_encoding(io.BytesIO(head))
    return head.decode(found.codec, "replace").lstrip("\ufeff \t\r\n").lower()


def _is_lines(head: bytes) -> bool:
    """Return whether the first line is a whole JSON object and another follows."""
    first, _, rest = head.decode("utf-8-sig", "replace").lstrip().partition("\n")
    try:
        return isinstance(json.loads(first), dict) and rest.lstrip().startswith("{")
    except (ValueError, RecursionError):
        return False
