"""Random tables are read or refused in one sentence, and what is read is what was written."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from imgsearch.core.errors import SourceError
from imgsearch.ingest.feeds import open_feed
from imgsearch.ingest.tables import Table, TableLimits, read_table
from imgsearch.ingest.tables.table import unique_names
from imgsearch.store.item_table import Photo

SETTINGS = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

Cell = str | None
T = TypeVar("T")
Rows = list[list[Cell]]

WORDS = st.sampled_from(
    (
        "mug", "Käse", "Größe", "5.1-inch", "19,99", "1.299,00", "12e4", "90.750", "007", "true", "NA", "2024-05-01",
        "#1", "=1+1", "a;b", "c|d", "e,f", "g\th", "'x'", "€5", "ñandú",
    )
)  # fmt: skip
QUIRKS = st.sampled_from(
    ['"quoted"', "two\nlines", 'say "hi", then', " spaces ", "-", "0", "<b>x</b>", "{}", "[1]"]
)
CELLS: st.SearchStrategy[Cell] = st.one_of(
    st.none(), WORDS, QUIRKS, st.lists(WORDS, min_size=2, max_size=6).map(" ".join), st.integers().map(str)
)
ANY_TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="\ufeff\u2028\u2029"), max_size=20
)  # fmt: skip
NAMES = st.one_of(
    st.sampled_from(
        ["price", "Größe (cm)", "Farbe", "a b", "x.1", "x", "x", "", "select", "c0", "product", "photo"]
    ),
    ANY_TEXT.map(lambda text: text.strip().lstrip("#").strip()).filter(
        lambda text: not set(text) & set(',;|"\t')
    ),
)
ENCODINGS = {
    "utf-8": True,
    "utf-8-sig": True,
    "utf-16": True,
    "utf-16-be": True,
    "cp1252": False,
    "latin-1": False,
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], Rows]:
    """Return names of columns, among them id and image, and rows."""
    names = ["id", *draw(st.lists(NAMES, max_size=6)), "image"]
    rows = draw(st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), min_size=1, max_size=12))
    for number, row in enumerate(rows):
        row[0], row[-1] = f"sku-{number}", f"https://shop.example/{number}.jpg"
    return names, rows


def plain(cells: Sequence[Any]) -> list[Cell]:
    return [cell if isinstance(cell, str) and cell.strip() else None for cell in cells]


def check(table: Table, names: Sequence[str], rows: Rows) -> None:
    """Compare a table that was read with what was written; columns without a name and without a cell are left out."""
    columns = dict(zip(unique_names([name.strip() for name in names]), zip(*rows, strict=True), strict=True))
    assert len(table) == len(rows)
    read = {column.name: plain(column.texts()) for column in table.columns}
    for name, cells in columns.items():
        if any(plain(cells)) or name in read:
            assert read.pop(name) == plain(cells), name
    assert read == {}


def tried(function: Callable[[], T]) -> tuple[T | None, str]:
    """Return (the result, "") of a function, or (None, the sentence) where it refuses."""
    try:
        return function(), ""
    except SourceError as error:
        return None, str(error)


def encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@SETTINGS
@given(
    tables(),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)
def test_delimited_text_is_read_as_it_was_written(
    written: tuple[list[str], Rows], separator: str, encoding: str, newline: str, quoting: Any, stated: bool
) -> None:
    names, rows = written
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=newline, quoting=quoting)
    writer.writerows([names, *([cell or "" for cell in row] for row in rows)])
    content = text.getvalue()
    if not encodable(content, encoding) or (not ENCODINGS[encoding] and not encodable(content, "latin-1")):
        encoding = "utf-8"
    if stated and encoding != "utf-16-be":
        content = f"sep={separator}{newline}{content}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content.encode(encoding))
        check(read_table(path), names, rows)
        feed = open_feed(path)
        photos = [entry for entry in feed.photos() if isinstance(entry, Photo)]
        assert [photo.item_id for photo in photos] == [row[0] for row in rows]
        json.dumps(feed.preview().as_dict(), allow_nan=False)


@SETTINGS
@given(tables(), st.sampled_from(["json", "products", "jsonl", "parquet", "xlsx"]))
def test_other_formats_are_read_as_they_were_written(written: tuple[list[str], Rows], kind: str) -> None:
    names, rows = written
    names = unique_names([name.strip() for name in names])
    records = [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / {"products": "t.json"}.get(kind, f"t.{kind}")
        if kind == "json":
            path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
        elif kind == "products":
            path.write_text(json.dumps({"count": 1, "products": records}), encoding="utf-8")
        elif kind == "jsonl":
            path.write_text("\n".join(json.dumps(each) for each in records), encoding="utf-8")
        elif kind == "parquet":
            arrays = [pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)]
            pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), path)
        else:
            book = Workbook()
            for place, row in enumerate([names, *rows], start=1):
                for column, cell in enumerate(row, start=1):
                    if cell:
                        book.active.cell(place, column, cell).data_type = "s"
            book.save(path)
        check(read_table(path), names, rows)


@SETTINGS
@given(
    st.binary(max_size=300),
    st.sampled_from(["csv", "tsv", "txt", "json", "jsonl", "xml", "xlsx", "parquet", "csv.gz"]),
    st.sampled_from(
        [b"", b"id,image\n", b"{", b"[{", b"<a><item><id>1</id></item><item>", b"PK\x03\x04", b"\x1f\x8b\x08"]
    ),
)
def test_any_bytes_are_read_or_refused_in_one_sentence(content: bytes, suffix: str, start: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{suffix}"
        path.write_bytes(start + content)
        feed, refusal = tried(lambda: open_feed(path))
        assert "\n" not in refusal
        assert "t." in refusal or feed is not None
        for entry in feed.photos() if feed is not None else ():
            assert isinstance(entry, Photo) or "\n" not in entry.reason


@SETTINGS
@given(tables(), st.integers(0, 10_000), st.sampled_from([b'"', b"\n", b",", b"\x00", b"\xff", b"\r", b""]))
def test_damage_at_one_place_costs_few_rows(
    written: tuple[list[str], Rows], place: int, damage: bytes
) -> None:
    names, rows = written
    text = io.StringIO()
    csv.writer(text).writerows([names, *([cell or "" for cell in row] for row in rows)])
    content = text.getvalue().encode()
    header = content.index(b"\n", content.index(b"image")) + 1
    place = header + place % (len(content) - header)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content[:place] + damage + content[place:])
        table, refusal = tried(lambda: read_table(path))
        assert "\n" not in refusal
        if table is None:
            assert len(rows) < 4
            return
        lines = max((str(cell).count("\n") for row in rows for cell in row), default=0)
        assert len(table) >= len(rows) - 3
        assert len(table) + len(table.failures) <= len(rows) + 4 + lines


def test_a_table_over_a_cap_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    limits = TableLimits(max_bytes=5_000, max_rows=5, max_columns=4, max_cell_chars=100)
    for text, sentence in (
        ("a,b,c,d,e\n1,2,3,4,5\n", "5 columns"),
        ("a,b\n" + "1,2\n" * 6, "more than 5 rows"),
        ("a,b\n" + "1,2\n" * 3_000, "split it"),
    ):
        path.write_text(text)
        with pytest.raises(SourceError, match=sentence):
            read_table(path, limits=limits)
    path.write_text(f"a,b\n1,{'x' * 101}\n2,y\n")
    table = read_table(path, limits=limits)
    assert len(table) == 1
    assert "more than 100 characters" in table.failures[0].reason
