"""Parquet: columns with the types of the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgsearch.core.errors import SourceError
from imgsearch.ingest.tables.cells import cell_text
from imgsearch.ingest.tables.columns import MIN_VECTOR, text_array
from imgsearch.ingest.tables.table import Table, TableColumn, TableLimits, unique_names

_INDEX_COLUMN = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, file: BinaryIO, limits: TableLimits, *, vectors: bool) -> Table:
    """Return the table of a Parquet file, without its columns of embeddings unless `vectors`."""
    try:
        opened = pq.ParquetFile(file)
        rows, schema = opened.metadata.num_rows, opened.schema_arrow
        if rows > limits.max_rows:
            raise SourceError(f"{path} has {rows:,} rows (at most {limits.max_rows:,}); split it.")
        embeddings = set() if vectors else _embeddings(opened)
        wanted = [field.name for field in schema if field.name not in embeddings]
        table = opened.read(columns=wanted).combine_chunks()
        for _ in range(6):
            if not any(pa.types.is_struct(field.type) for field in table.schema):
                break
            table = table.flatten()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise SourceError(f"{path} cannot be read as parquet: {reason}") from error
    kept = [position for position, name in enumerate(table.column_names) if not _INDEX_COLUMN.fullmatch(name)]
    if len(kept) > limits.max_columns:
        raise SourceError(
            f"{path} has {len(kept):,} columns (at most {limits.max_columns:,}); remove those that no visitor needs."
        )
    headings = [table.column_names[position].strip() for position in kept]
    columns, notes = [], []
    for position, heading, name in zip(kept, headings, unique_names(headings), strict=True):
        cells, given = _as_given(table.column(position), vectors=vectors)
        if cells is None:
            notes.append(f"The column {name} holds binary data, which was not read.")
        else:
            columns.append(TableColumn(name, heading or name, cells, given))
    return Table(
        str(path), "Parquet", tuple(columns), np.arange(1, rows + 1), place_word="row", notes=tuple(notes)
    )


def _embeddings(file: pq.ParquetFile) -> set[str]:
    """Return the columns of long lists of numbers."""
    names = [field.name for field in file.schema_arrow if _is_vector(field.type)]
    first = next(file.iter_batches(64, columns=names), None) if names else None
    if first is None:
        return set()
    values = {name: next((each for each in first[name].to_pylist() if each), None) for name in names}
    return {name for name, value in values.items() if value is not None and len(value) >= MIN_VECTOR}


def _is_vector(kind: pa.DataType) -> bool:
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(nested and (pa.types.is_floating(kind.value_type) or pa.types.is_fixed_size_list(kind)))


def _as_given(cells: pa.ChunkedArray, *, vectors: bool) -> tuple[pa.ChunkedArray | None, str]:
    """Return the cells in one of the types of `TableColumn`, and their kind; None for bytes."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        cells = cells.cast(kind.value_type)
        kind = cells.type
    if pa.types.is_null(kind):
        return cells.cast(pa.string()), ""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts = cells.cast(pa.string())
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts), "text"
    if pa.types.is_boolean(kind):
        return cells, "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return (cells.cast(pa.float32()) if pa.types.is_float16(kind) else cells), "number"
    if pa.types.is_date(kind):
        return cells.cast(pa.date32()), "date"
    if pa.types.is_timestamp(kind):
        return cells.cast(pa.timestamp("us", kind.tz), safe=False), "datetime"
    if pa.types.is_time(kind):
        return cells.cast(pa.time64("us"), safe=False), "time"
    if vectors and _is_vector(kind):
        return cells, "vector"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return None, ""
    return _listed(cells)


def _listed(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    """Return lists as lists of texts, anything else as JSON text."""
    values = cells.to_pylist()
    if all(value is None or isinstance(value, list) for value in values):
        lists = [
            None if not value else [cell_text(part) for part in value if part is not None] for value in values
        ]
        return pa.chunked_array([pa.array(lists, pa.list_(pa.string()))]), "list"
    return pa.chunked_array([text_array([None if v is None else cell_text(v) for v in values])]), "text"
