"""The embeddings on disk: one append-only file of float16 rows, where row number = key.

It owns the bytes and their durability (written and fsynced before the database names them); which rows are
committed and alive is the catalog's to know. Rows are never overwritten once committed: a changed photo gets a
new row.
"""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import CatalogCorrupt

__all__ = ["EmbeddingFile"]

ITEM_BYTES = 2


class EmbeddingFile:
    """Float16 unit rows of one encoder; read from any thread, appended by one.

    float16 keeps a unit row of some hundred dimensions to a cosine of better than 0.99999 with its float32 self,
    at half the disk and page cache.
    """

    def __init__(self, path: Path, dim: int) -> None:
        self.path = path
        self.dim = dim
        self._map: NDArray[np.float16] | None = None
        self._lock = threading.Lock()

    @property
    def rows_on_disk(self) -> int:
        """How many whole rows the file holds, committed or not."""
        try:
            return self.path.stat().st_size // (self.dim * ITEM_BYTES)
        except FileNotFoundError:
            return 0

    def append(self, first_row: int, vectors: NDArray[np.float32]) -> int:
        """Write (n, dim) rows from `first_row` on, durably, and return their CRC-32.

        What lies there is left over from a run that was killed before it committed, and is overwritten.
        Raises `CatalogCorrupt` when the file is shorter than `first_row` rows, ValueError for rows that are
        not finite or not of unit length.
        """
        check_unit_rows(vectors, self.dim)
        if self.rows_on_disk < first_row:
            raise CatalogCorrupt(
                f"{self.path} holds {self.rows_on_disk} rows where {first_row} were committed; "
                "run `imgsearch verify --repair`."
            )
        data = np.ascontiguousarray(vectors, dtype=np.float16).tobytes()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mode = "r+b" if self.path.exists() else "w+b"
        with self.path.open(mode) as file:
            file.seek(first_row * self.dim * ITEM_BYTES)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return zlib.crc32(data)

    def pad(self, rows: int) -> None:
        """Lengthen the file to at least `rows` rows of zeros; the first step of mending one that was cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            wanted = rows * self.dim * ITEM_BYTES
            if file.tell() < wanted:
                file.truncate(wanted)
                os.fsync(file.fileno())

    def read(self, rows: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Return the given rows, (n, dim) float32, in the given order."""
        return self.stored(rows).astype(np.float32)

    def stored(self, rows: NDArray[np.uint64]) -> NDArray[np.float16]:
        """Return the given rows as they are stored, (n, dim) float16, in the given order."""
        if len(rows) == 0:
            return np.zeros((0, self.dim), np.float16)
        return self.mapped(int(rows.max()) + 1).take(rows.astype(np.int64), axis=0)

    def mapped(self, rows: int) -> NDArray[np.float16]:
        """Return the file memory-mapped, (>= `rows`, dim) float16, read-only."""
        mapped = self._map
        if mapped is None or len(mapped) < rows:
            with self._lock:
                mapped = self._map
                if mapped is None or len(mapped) < rows:
                    on_disk = self.rows_on_disk
                    if on_disk < rows:
                        raise CatalogCorrupt(
                            f"{self.path} holds {on_disk} rows where {rows} were committed; "
                            "run `imgsearch verify --repair`."
                        )
                    # As a plain array: numpy is slower in indexing its own subclass.
                    mapped = np.asarray(np.memmap(self.path, np.float16, "r", shape=(on_disk, self.dim)))
                    self._map = mapped
        return mapped

    def crc32(self, first_row: int, rows: int) -> int | None:
        """Return the CRC-32 of a committed batch as it lies on disk, or None where the file ends before it does."""
        if not self.path.is_file():
            return None
        with self.path.open("rb") as file:
            file.seek(first_row * self.dim * ITEM_BYTES)
            data = file.read(rows * self.dim * ITEM_BYTES)
        return zlib.crc32(data) if len(data) == rows * self.dim * ITEM_BYTES else None


def check_unit_rows(vectors: NDArray[np.float32], dim: int) -> None:
    """Raise ValueError unless `vectors` is (n, dim), finite, with rows of unit length."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(f"the embeddings have shape {vectors.shape}, but (n, {dim}) was expected")
    lengths = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
    if not np.all(np.abs(lengths - 1.0) < 1e-2):  # also false for NaN
        raise ValueError("the embeddings hold rows that are not finite or not of unit length")
