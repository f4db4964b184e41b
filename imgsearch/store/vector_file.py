"""Append-only files of float16 rows, where row number = key.

Rows are written and fsynced before the database names them. Which rows are committed is the catalog's to know; a
changed photo gets a new row.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import CatalogCorrupt
from imgsearch.core.files import punch_hole
from imgsearch.core.key_arrays import Keys


class RowFile:
    """Rows of `dim` float16 numbers; read from any thread, written by one."""

    def __init__(self, path: Path, dim: int) -> None:
        self.path = path
        self.dim = dim
        self.row_bytes = dim * np.dtype(np.float16).itemsize
        self._map: NDArray[np.float16] | None = None
        self._lock = threading.Lock()

    @property
    def rows_on_disk(self) -> int:
        """How many whole rows the file has, committed or not."""
        try:
            return self.path.stat().st_size // self.row_bytes
        except FileNotFoundError:
            return 0

    def write(self, blocks: Mapping[int, bytes]) -> None:
        """Write bytes of whole rows at the given row numbers and fsync; gaps become zeros that need no disk space."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            for row, data in sorted(blocks.items()):
                file.seek(row * self.row_bytes)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def release(self, first_row: int, rows: int) -> bool:
        """Free the disk space of rows, which then read as zeros; False where the system cannot do it."""
        return punch_hole(self.path, first_row * self.row_bytes, rows * self.row_bytes)

    def mapped(self, rows: int) -> NDArray[np.float16]:
        """Return the file memory-mapped, (n, dim) float16, read-only; n < `rows` only where the file is shorter."""
        mapped = self._map
        if mapped is None or len(mapped) < rows:
            with self._lock:
                on_disk = self.rows_on_disk
                if not on_disk:
                    return np.zeros((0, self.dim), np.float16)
                # As a plain array: numpy indexes its own subclass more slowly.
                mapped = np.asarray(np.memmap(self.path, np.float16, "r", shape=(on_disk, self.dim)))
                self._map = mapped
        return mapped


class EmbeddingFile(RowFile):
    """Unit rows of one encoder.

    float16 keeps the cosine of a unit row of some hundred dimensions to its float32 self above 0.99999, at half the
    disk space and page cache.
    """

    def append(self, first_row: int, vectors: NDArray[np.float32]) -> int:
        """Write (n, dim) rows from `first_row` on, durably, and return their CRC-32.

        Rows there are left over from a killed run that did not commit, and are overwritten. Raises `CatalogCorrupt`
        when the file has fewer than `first_row` rows, ValueError for rows that are not finite or not of unit length.
        """
        check_unit_rows(vectors, self.dim)
        self._check_length(first_row)
        data = np.ascontiguousarray(vectors, dtype=np.float16).tobytes()
        self.write({first_row: data})
        return zlib.crc32(data)

    def pad(self, rows: int) -> None:
        """Lengthen the file to at least `rows` rows with zeros: the first step to repair a truncated one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if file.tell() < rows * self.row_bytes:
                file.truncate(rows * self.row_bytes)
                os.fsync(file.fileno())

    def read(self, rows: Keys) -> NDArray[np.float32]:
        """Return the given rows, (n, dim) float32, in the given order; raises `CatalogCorrupt`."""
        return self.stored(rows).astype(np.float32)

    def stored(self, rows: Keys) -> NDArray[np.float16]:
        """Return the given rows as they are stored, (n, dim) float16, in the given order; raises `CatalogCorrupt`."""
        if len(rows) == 0:
            return np.zeros((0, self.dim), np.float16)
        needed = int(rows.max()) + 1
        mapped = self.mapped(needed)
        if len(mapped) < needed:
            self._check_length(needed)
        return mapped.take(rows.astype(np.int64), axis=0)

    def crc32(self, first_row: int, rows: int) -> int | None:
        """Return the CRC-32 of a committed batch as it is on disk, or None where the file ends before it does."""
        if not self.path.is_file():
            return None
        with self.path.open("rb") as file:
            file.seek(first_row * self.row_bytes)
            data = file.read(rows * self.row_bytes)
        return zlib.crc32(data) if len(data) == rows * self.row_bytes else None

    def _check_length(self, rows: int) -> None:
        if self.rows_on_disk < rows:
            raise CatalogCorrupt(
                f"{self.path} has {self.rows_on_disk} rows, but {rows} were committed; "
                "run `imgsearch verify --repair`."
            )


class TitleStore:
    """The title embeddings of one catalog and encoder, each title's once; used by one thread at a time.

    `titles.f16` has the rows, `titles.jsonl` a line per batch, written after them: the encoder's id, the titles, the
    rows' CRC-32. A cache: after rows of another encoder, a torn line or damaged bytes, the rest is encoded again.
    """

    def __init__(self, folder: Path, encoder_id: str, dim: int) -> None:
        """Read the usable rows in `folder`; no file is made before `add`."""
        self._file = EmbeddingFile(folder / "titles.f16", dim)
        self._list = folder / "titles.jsonl"
        self._encoder_id = encoder_id
        self._rows: dict[str, int] = {}
        self._read()

    def __contains__(self, title: str) -> bool:
        """Return whether a title has a row."""
        return title in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, titles: Sequence[str]) -> NDArray[np.float32]:
        """Return the (n, dim) float32 unit rows of stored titles, in their order."""
        return self._file.read(np.array([self._rows[title] for title in titles], np.uint64))

    def add(self, titles: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Store the (n, dim) unit rows of new titles durably."""
        first = len(self._rows)
        crc32 = self._file.append(first, rows)
        line = {"encoder": self._encoder_id, "crc32": crc32, "titles": list(titles)}
        with self._list.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._rows.update((title, first + place) for place, title in enumerate(titles))

    def _read(self) -> None:
        """Read the batches up to the first unusable one, and truncate the list there."""
        if not self._list.is_file():
            return
        usable = 0
        with self._list.open("rb") as file:
            for line in file:
                titles = self._batch(line)
                if titles is None:
                    break
                first = len(self._rows)
                self._rows.update((title, first + place) for place, title in enumerate(titles))
                usable += len(line)
        if usable < self._list.stat().st_size:
            os.truncate(self._list, usable)

    def _batch(self, line: bytes) -> list[str] | None:
        """Return the titles of a line whose rows follow those read before, undamaged; None for any other line."""
        try:
            batch = json.loads(line) if line.endswith(b"\n") else {}
            titles, encoder_id, crc32 = batch["titles"], batch["encoder"], batch["crc32"]
        except (ValueError, KeyError, TypeError):
            return None
        if encoder_id != self._encoder_id or self._rows.keys() & set(titles):
            return None
        return titles if self._file.crc32(len(self._rows), len(titles)) == crc32 else None


def check_unit_rows(vectors: NDArray[np.float32], dim: int) -> None:
    """Raise ValueError unless `vectors` is (n, dim), finite, with rows of unit length."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(f"the embeddings have shape {vectors.shape}, but (n, {dim}) was expected")
    lengths = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
    if not np.all(np.abs(lengths - 1.0) < 1e-2):  # also false for NaN
        raise ValueError("the embeddings hold rows that are not finite or not of unit length")
