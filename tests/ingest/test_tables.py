"""Tables: careful type inference, unchanged ids, one-sentence errors; and metadata files."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imgsearch.core.column_schema import ColumnSchema
from imgsearch.core.errors import SourceError
from imgsearch.ingest.feeds import FeedOptions, MetadataFile
from imgsearch.ingest.feeds.layout import read_layout
from imgsearch.ingest.feeds.typed_columns import row_metadata
from imgsearch.ingest.tables import read_table


def table(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(path: Path) -> list[dict[str, object]]:
    """Return the rows of a table with typed values, as metadata has them, and with its keys."""
    read = read_table(path)
    layout = read_layout(read, FeedOptions(), ColumnSchema())
    values = [column.values(0, len(read)) for column in layout.metadata]
    keys = [*layout.products, *layout.images]
    return [
        {key.name: text for key in keys if (text := key.texts()[row]) is not None}
        | row_metadata(layout.metadata, [column[row] for column in values])
        for row in range(len(read))
    ]


def test_columns_of_a_csv_become_numbers_booleans_or_text(tmp_path: Path) -> None:
    path = table(
        tmp_path / "t.csv",
        "image,price,new,code,note\na.jpg,5,true,007,NA\nb.jpg,2.5,FALSE,12,\nc.jpg,,,1,nan\n",
    )
    assert rows(path) == [
        {"image": "a.jpg", "price": 5.0, "new": True, "code": "007", "note": "NA"},
        {"image": "b.jpg", "price": 2.5, "new": False, "code": "12"},
        {"image": "c.jpg", "code": "1", "note": "nan"},
    ]


@pytest.mark.parametrize("name", ["id", "item_id", "ID"])
@pytest.mark.parametrize(
    "ids", [["10.50", "1e5"], ["1", "", "3"], ["12345678901234567890123", "12345678901234567890124"]]
)
def test_ids_are_never_read_as_numbers(tmp_path: Path, name: str, ids: list[str]) -> None:
    path = table(tmp_path / "t.csv", f"{name},image\n" + "".join(f"{item_id},x.jpg\n" for item_id in ids))
    assert [row.get(name) for row in rows(path)] == [item_id or None for item_id in ids]


def test_long_digit_strings_stay_text_because_a_float_would_change_them(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "image,serial\na.jpg,12345678901234567890\n")
    assert rows(path) == [{"image": "a.jpg", "serial": "12345678901234567890"}]


def test_excel_marks_quotes_and_line_breaks_are_read(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", '\ufeffimage , title\r\n"a,b.jpg","two\nlines ""quoted"""\r\n')
    assert rows(path) == [{"image": "a,b.jpg", "title": 'two\nlines "quoted"'}]


def test_short_rows_are_filled_and_a_comma_at_the_end_shifts_nothing(tmp_path: Path) -> None:
    assert rows(table(tmp_path / "short.csv", "image,a,b\nx.jpg\ny.jpg,1\n")) == [
        {"image": "x.jpg"},
        {"image": "y.jpg", "a": 1},
    ]
    assert rows(table(tmp_path / "long.csv", "image,a\nx.jpg,1,\ny.jpg,2,\n")) == [
        {"image": "x.jpg", "a": 1}, {"image": "y.jpg", "a": 2}
    ]  # fmt: skip


def test_parquet_and_json_lines_keep_their_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "image": ["a.jpg", "b.jpg"],
            "n": pd.array([1, None], "Int64"),
            "x": [1.5, np.nan],
            "flag": pd.array([True, None], "boolean"),
            "when": pd.to_datetime(["2024-05-01", None]),
            "tags": [["a", "b"], None],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    expected = [
        {"image": "a.jpg", "n": 1, "x": 1.5, "flag": True, "when": date(2024, 5, 1), "tags": ["a", "b"]},
        {"image": "b.jpg"},
    ]
    assert rows(tmp_path / "t.parquet") == expected
    lines = "\n".join(
        json.dumps(row)
        for row in ({"image": "a.jpg", "id": "0012", "n": 1, "deep": {"k": 1}}, {"image": "b.jpg"})
    )
    read = rows(table(tmp_path / "t.jsonl", lines))
    assert read[0]["id"] == "0012"
    assert read[1] == {"image": "b.jpg"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b""),
        ("t.csv", b'image,a\n"unclosed\n'),
        ("t.parquet", b"not parquet"),
        ("t.jsonl", b"{"),
        ("t.xlsx", b"PK"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence_with_its_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    with pytest.raises(SourceError, match=name) as refused:
        read_table(table(tmp_path / name, content))
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        read_table(tmp_path / "none.csv")


# --- metadata by item -------------------------------------------------------------------------------------------


def test_a_row_is_matched_by_id_path_name_or_stem(tmp_path: Path) -> None:
    path = table(tmp_path / "m.csv", "image,a\nshoes/1.jpg,1\nshoes/2,2\n3.jpg,3\n4,4\nunused,5\n")
    metadata = MetadataFile(path)
    assert [metadata.row(f"shoes/{n}.jpg").get("a") for n in (1, 2, 3, 4, 9)] == [1, 2, 3, 4, None]
    assert (len(metadata), metadata.unused) == (5, 1)


def test_numeric_looking_ids_match_their_photos(tmp_path: Path) -> None:
    metadata = MetadataFile(table(tmp_path / "m.csv", "id,a\n1.0,x\n,y\n5,z\n"))
    assert metadata.row("5.jpg") == {"a": "z"}
    assert metadata.row("1.0") == {"a": "x"}


def test_numeric_parquet_ids_match_their_photos_even_with_gaps(tmp_path: Path) -> None:
    pd.DataFrame({"id": [5.0, np.nan], "a": ["x", "y"]}).to_parquet(tmp_path / "m.parquet")
    assert MetadataFile(tmp_path / "m.parquet").row("5.jpg") == {"a": "x"}


@pytest.mark.parametrize("item_id", ["", ".", "..", "/", "a/", "\n", "a//b", "🙂.jpg"])
def test_any_id_may_be_looked_up(tmp_path: Path, item_id: str) -> None:
    assert MetadataFile(table(tmp_path / "m.csv", "id,a\nx,1\n")).row(item_id) == {}


def test_a_table_without_item_ids_is_refused_with_a_list_of_its_columns(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="colour, price"):
        MetadataFile(table(tmp_path / "m.csv", "colour,price\nred,1\n"))
