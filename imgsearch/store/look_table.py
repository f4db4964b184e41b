"""The looks of a catalog's photos, kept beside the embeddings: descriptors in a file, hashes in the database.

It owns `embeddings/looks.f16` (float16 rows of LOOK_DIM, row number = key) and the table `looks`. Rows are written
and fsynced before the database names them, so that a row counts only when it is there whole; keys that the table does
not name have zeros, whatever a killed run left in the file. Looks of another `LOOK_VERSION` are dropped at the start,
so that they are made again. It knows neither photos nor how a look is made.

    settings "look_version"      of all rows and of the file
    looks (key, phash, crc32)    phash and crc32 are NULL for a photo that was tried and has no look
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.store.database import Database, insert_frame
from imgsearch.vision.looks import COLOR, LOOK_DIM, LOOK_VERSION, Look

__all__ = ["LookStore"]

Keys = NDArray[np.uint64]
Floats = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)

ROW_BYTES = LOOK_DIM * 2
CHUNK_ROWS = 1 << 15


class LookStore:
    """The looks of one catalog; read from any thread, while others store."""

    def __init__(self, folder: Path, database: Database) -> None:
        """Keep looks in `folder`; those of another version are forgotten."""
        self.path = folder / "looks.f16"
        self._database = database
        self._lock = threading.RLock()
        self._map: NDArray[np.float16] | None = None
        self._known: tuple[NDArray[np.bool_], NDArray[np.uint64]] | None = None
        self._drop_other_versions()

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """Return which of the keys have a look, (n,)."""
        known, _ = self._tables()
        return _at(known, keys)

    def hashes(self, keys: Keys) -> NDArray[np.uint64]:
        """Return the perceptual hashes of the keys, (n,) uint64, in their order; 0 where there is none."""
        _, phashes = self._tables()
        return _at(phashes, keys)

    def rows(self, keys: Keys) -> Floats:
        """Return the descriptors of the keys, (n, LOOK_DIM) float32, in their order; zeros where there is none."""
        result = np.zeros((len(keys), LOOK_DIM), np.float32)
        there = np.flatnonzero(self.has(keys))
        if len(there):
            mapped = self._mapped(int(keys[there].max()) + 1)
            there = there[keys[there] < len(mapped)]  # a file that was cut off: `damaged` tells of it
            result[there] = mapped[keys[there].astype(np.int64)]
        return result

    def nearest_by_color(self, block: Floats, keys: Keys, k: int) -> tuple[Keys, Floats]:
        """Return the `k` of the keys whose colours are most like a colour block, and their similarities from 0 to 1.

        Exact; best first, ties by key; keys without a look are left out. `keys` ascend. Shades that the block has
        nothing of are not read, so that a single colour is answered fast.
        """
        keys = keys[self.has(keys)]
        if not len(keys):
            return keys, np.zeros(0, np.float32)
        mapped = self._mapped(int(keys[-1]) + 1)
        keys = keys[keys < len(mapped)]
        shades = np.flatnonzero(block > 0.02)
        scores = np.empty(len(keys), np.float32)
        for start in range(0, len(keys), CHUNK_ROWS):
            part = keys[start : start + CHUNK_ROWS].astype(np.int64)
            first, last = int(part[0]), int(part[-1]) + 1
            # Keys without gaps are a slice, which is read faster than one by one.
            rows = mapped[first:last] if last - first == len(part) else mapped[part]
            columns = rows[:, COLOR][:, shades].astype(np.float32)
            scores[start : start + len(part)] = columns @ block[shades]
        if k < len(keys):
            least = np.partition(scores, len(keys) - k)[len(keys) - k]
            chosen = np.flatnonzero(scores >= least)
        else:
            chosen = np.arange(len(keys))
        order = chosen[np.argsort(-scores[chosen], kind="stable")][:k]
        return keys[order], scores[order]

    def missing(self) -> Keys:
        """Return the keys of the items that have no look and were not tried in vain, ascending."""
        found = (
            self._database.cursor()
            .execute("SELECT key FROM items ANTI JOIN looks USING (key) ORDER BY key")
            .fetchnumpy()["key"]
        )
        return np.asarray(found, np.uint64)

    def store(self, keys: Keys, looks: Sequence[Look | None]) -> None:
        """Keep the looks of keys, whole or not at all; None says that the photo has none and is not tried again.

        A key that has a look keeps it.
        """
        with self._database.transaction() as cursor:
            fresh = {int(key): look for key, look in zip(keys, looks, strict=True)}
            marks = ", ".join("?" for _ in fresh) or "NULL"
            named = cursor.execute(f"SELECT key FROM looks WHERE key IN ({marks})", list(fresh)).fetchall()
            for (key,) in named:
                del fresh[int(key)]
            if not fresh:
                return
            data = {
                key: look.vector.astype(np.float16).tobytes()
                for key, look in fresh.items()
                if look is not None
            }
            self._write(data)
            none = np.array([look is None for look in fresh.values()])
            phashes = np.array([look.phash if look else 0 for look in fresh.values()], np.uint64)
            checksums = np.array([zlib.crc32(data[key]) if key in data else 0 for key in fresh], np.uint32)
            frame = pd.DataFrame(
                {
                    "key": np.array(list(fresh), np.uint64),
                    "phash": pd.arrays.IntegerArray(phashes, none),
                    "crc32": pd.arrays.IntegerArray(checksums, none),
                }
            )
            insert_frame(cursor, "looks", frame)
        self._remember({key: look.phash for key, look in fresh.items() if look is not None})

    # --- verification -------------------------------------------------------------------------------------------

    def damaged(self) -> Keys:
        """Return the keys of the live items whose descriptors on disk are not what was written, ascending."""
        found = (
            self._database.cursor()
            .execute(
                "SELECT key, crc32 FROM looks SEMI JOIN items USING (key) WHERE crc32 IS NOT NULL ORDER BY key"
            )
            .fetchall()
        )
        if not found:
            return np.zeros(0, np.uint64)
        mapped = self._mapped(int(found[-1][0]) + 1)
        wrong = [
            key for key, crc32 in found if key >= len(mapped) or zlib.crc32(mapped[key].tobytes()) != crc32
        ]
        return np.array(wrong, np.uint64)

    def forget(self, keys: Keys) -> None:
        """Forget the looks of keys, so that they are made again."""
        if not len(keys):
            return
        with self._database.transaction() as cursor:
            cursor.executemany("DELETE FROM looks WHERE key = ?", [[int(key)] for key in keys])
        with self._lock:
            self._known = None

    # --- inside -------------------------------------------------------------------------------------------------

    def _drop_other_versions(self) -> None:
        """Forget looks that another program made in another way: their numbers mean something else."""
        named = self._database.cursor().execute("SELECT value FROM settings WHERE name = 'look_version'")
        if named.fetchone() == (str(LOOK_VERSION),):
            return
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM looks")
            cursor.execute("DELETE FROM settings WHERE name = 'look_version'")
            cursor.execute("INSERT INTO settings VALUES ('look_version', ?)", [str(LOOK_VERSION)])
        self.path.unlink(missing_ok=True)

    def _write(self, data: dict[int, bytes]) -> None:
        """Write rows to their places, durably; what lies between is zeros that take no room."""
        if not data:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            for key, row in sorted(data.items()):
                file.seek(key * ROW_BYTES)
                file.write(row)
            file.flush()
            os.fsync(file.fileno())

    def _mapped(self, rows: int) -> NDArray[np.float16]:
        """Return the file memory-mapped, (n, LOOK_DIM) float16, read-only; n < `rows` where it was cut off."""
        mapped = self._map
        if mapped is None or len(mapped) < rows:
            with self._lock:
                try:
                    on_disk = self.path.stat().st_size // ROW_BYTES
                except FileNotFoundError:
                    on_disk = 0
                if on_disk == 0:
                    return np.zeros((0, LOOK_DIM), np.float16)
                mapped = np.memmap(self.path, np.float16, "r", shape=(on_disk, LOOK_DIM))
                self._map = mapped
        return mapped

    def _tables(self) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Return by key whether there is a look, and its hash; read from the database once."""
        tables = self._known
        if tables is None:
            with self._lock:
                if self._known is None:
                    self._known = self._read_tables()
                tables = self._known
        return tables

    def _read_tables(self) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        found = (
            self._database.cursor()
            .execute("SELECT key, phash FROM looks WHERE phash IS NOT NULL ORDER BY key")
            .fetchnumpy()
        )
        keys = np.asarray(found["key"], np.int64)
        room = _room(int(keys[-1]) + 1 if len(keys) else 0)
        known, phashes = np.zeros(room, np.bool_), np.zeros(room, np.uint64)
        known[keys] = True
        phashes[keys] = np.asarray(found["phash"], np.uint64)
        return known, phashes

    def _remember(self, phashes: dict[int, int]) -> None:
        """Note looks that were committed; arrays that are too short are replaced by longer ones."""
        with self._lock:
            if self._known is None or not phashes:
                return
            known, hashes = self._known
            needed = max(phashes) + 1
            if needed > len(known):
                more = _room(needed) - len(known)
                known, hashes = np.pad(known, (0, more)), np.pad(hashes, (0, more))
            for key, phash in phashes.items():
                hashes[key] = phash
                known[key] = True  # last: readers take no lock
            self._known = known, hashes


def _room(rows: int) -> int:
    """Return how long to make arrays by key, so that they are seldom replaced."""
    return max(1024, rows + rows // 4)


def _at(table: NDArray[T], keys: Keys) -> NDArray[T]:
    """Return the table's entries at the keys; 0 beyond its end."""
    result = np.zeros(len(keys), table.dtype)
    inside = keys < len(table)
    result[inside] = table[keys[inside].astype(np.int64)]
    return result
