"""The file of embeddings: committed rows are durable and never overwritten."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from samples import clustered

from imgsearch.core.errors import CatalogCorrupt
from imgsearch.store.vector_file import EmbeddingFile


@pytest.fixture
def file(tmp_path: Path) -> EmbeddingFile:
    return EmbeddingFile(tmp_path / "embeddings" / "vectors.f16", 32)


def keys(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def test_rows_are_returned_in_the_given_order_to_float16_precision(file: EmbeddingFile) -> None:
    rows = clustered(100, 32)
    assert file.append(0, rows[:60]) == zlib.crc32(rows[:60].astype(np.float16).tobytes())
    file.append(60, rows[60:])
    assert file.rows_on_disk == 100
    found = file.read(keys(99, 0, 50, 50))
    assert found.dtype == np.float32
    assert np.sum(found * rows[[99, 0, 50, 50]], axis=1) == pytest.approx(1, abs=5e-4)
    assert file.read(keys()).shape == (0, 32)


def test_uncommitted_rows_are_overwritten_and_committed_rows_are_not(file: EmbeddingFile) -> None:
    rows = clustered(30, 32)
    file.append(0, rows[:10])
    before = file.read(keys(*range(10)))
    file.append(10, rows[10:20])  # never committed
    crc = file.append(10, rows[20:25])
    assert np.array_equal(file.read(keys(*range(10))), before)
    assert file.read(keys(10))[0] @ rows[20] > 0.999
    assert file.crc32(10, 5) == crc
    with file.path.open("ab") as torn:
        torn.write(b"half a row")
    file.append(15, rows[25:])
    assert file.read(keys(19))[0] @ rows[29] > 0.999


def test_rows_appended_after_a_read_are_seen(file: EmbeddingFile) -> None:
    rows = clustered(20, 32)
    file.append(0, rows[:10])
    file.read(keys(9))
    file.append(10, rows[10:])
    assert file.read(keys(19))[0] @ rows[19] > 0.999


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_rows_without_unit_length_are_refused_and_not_written(file: EmbeddingFile, value: float) -> None:
    rows = clustered(3, 32)
    rows[1, 0] = value
    with pytest.raises(ValueError, match="unit length"):
        file.append(0, rows)
    with pytest.raises(ValueError, match="shape"):
        file.append(0, clustered(3, 31))
    assert file.rows_on_disk == 0


def test_the_error_of_a_truncated_file_explains_the_repair(file: EmbeddingFile) -> None:
    file.append(0, clustered(10, 32))
    with pytest.raises(CatalogCorrupt, match="verify --repair"):
        file.append(20, clustered(1, 32))
    with pytest.raises(CatalogCorrupt, match="verify --repair"):
        file.read(keys(10))


def test_the_checksum_detects_a_changed_byte_and_a_missing_end(file: EmbeddingFile) -> None:
    crc = file.append(0, clustered(10, 32))
    data = bytearray(file.path.read_bytes())
    data[100] ^= 1
    file.path.write_bytes(data)
    assert file.crc32(0, 10) != crc
    file.path.write_bytes(data[:-2])
    assert file.crc32(0, 10) is None
