"""The looks of a catalog's photos: descriptors in `embeddings/looks.f16`, hashes in the table `looks`.

Row number = key. A row is written and fsynced before the database names it, so that a killed run leaves no torn row.

    settings "look_version"      of all rows; those of another version are deleted at the start, to be made again
    looks (key, phash, crc32)    phash and crc32 are NULL for a photo that was tried and has no look
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.store.database import (
    FEW_ROWS,
    CatalogSettings,
    Database,
    delete_rows,
    insert_frame,
    insert_rows,
)
from imgsearch.store.vector_file import RowFile
from imgsearch.vision.looks import COLOR, LOOK_DIM, LOOK_VERSION, Look

Floats = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)

CHUNK_ROWS = 1 << 15
MIN_BLOCK_VALUE = 0.02
"""Smaller entries of a colour block are not compared."""


class LookTable:
    """The looks of one catalog; read from any thread, while others store."""

    def __init__(self, folder: Path, database: Database, settings: CatalogSettings) -> None:
        self.path = folder / "looks.f16"
        self.file = RowFile(self.path, LOOK_DIM)
        self._database = database
        self._lock = threading.RLock()
        self._known: tuple[NDArray[np.bool_], NDArray[np.uint64]] | None = None
        if settings.get("look_version") != str(LOOK_VERSION):
            with database.transaction() as cursor:
                cursor.execute("DELETE FROM looks")
                settings.save(look_version=str(LOOK_VERSION))
            self.path.unlink(missing_ok=True)

    def has(self, keys: Keys) -> NDArray[np.bool_]:
        """Return which of the keys have a look, (n,)."""
        return _at(self._arrays()[0], keys)

    def hashes(self, keys: Keys) -> NDArray[np.uint64]:
        """Return the perceptual hashes of the keys, (n,) uint64, in the given order; 0 where there is none."""
        return _at(self._arrays()[1], keys)

    def rows(self, keys: Keys) -> Floats:
        """Return the descriptors of the keys, (n, LOOK_DIM) float32, in the given order; zeros for those without."""
        result = np.zeros((len(keys), LOOK_DIM), np.float32)
        known = np.flatnonzero(self.has(keys))
        if len(known):
            mapped = self.file.mapped(int(keys[known].max()) + 1)
            known = known[keys[known] < len(mapped)]  # of a truncated file, which `damaged` reports
            result[known] = mapped[keys[known].astype(np.int64)]
        return result

    def nearest_by_color(self, block: Floats, keys: Keys, k: int) -> tuple[Keys, Floats]:
        """Return the `k` keys whose colours are most similar to a colour block, and their similarities, 0 to 1.

        Exact; best first, ties by key; keys without a look are left out. `keys` ascend. Only the columns where the
        block has a value are read, so that a single colour is answered fast.
        """
        keys = keys[self.has(keys)]
        if not len(keys):
            return keys, np.zeros(0, np.float32)
        mapped = self.file.mapped(int(keys[-1]) + 1)
        keys = keys[keys < len(mapped)]
        shades = np.flatnonzero(block > MIN_BLOCK_VALUE)
        scores = np.empty(len(keys), np.float32)
        for start in range(0, len(keys), CHUNK_ROWS):
            part = keys[start : start + CHUNK_ROWS].astype(np.int64)
            first, last = int(part[0]), int(part[-1]) + 1
            # Keys without gaps are a slice, which is faster to read than single rows.
            rows = mapped[first:last] if last - first == len(part) else mapped[part]
            columns = rows[:, COLOR][:, shades].astype(np.float32)
            scores[start : start + len(part)] = columns @ block[shades]
        chosen = np.arange(len(keys))
        if k < len(keys):
            chosen = np.flatnonzero(scores >= np.partition(scores, len(keys) - k)[len(keys) - k])
        order = chosen[np.argsort(-scores[chosen], kind="stable")][:k]
        return keys[order], scores[order]

    def missing(self) -> Keys:
        """Return the ascending keys of the items whose look was never tried."""
        return self._database.keys("SELECT key FROM items ANTI JOIN looks USING (key) ORDER BY key")

    def store(self, keys: Keys, looks: Sequence[Look | None]) -> None:
        """Store the looks of keys that have none, all or nothing; None says that the photo has none (no retry)."""
        with self._database.transaction() as cursor:
            new = {int(key): look for key, look in zip(keys, looks, strict=True)}
            stored = cursor.execute(
                "SELECT key FROM looks WHERE key IN (SELECT unnest(?::UBIGINT[]))", [list(new)]
            )
            for (key,) in stored.fetchall():
                del new[int(key)]
            if not new:
                return
            data = {key: look.vector.astype(np.float16).tobytes() for key, look in new.items() if look}
            if data:
                self.file.write(data)
            rows = [
                (key, look.phash if look else None, zlib.crc32(data[key]) if key in data else None)
                for key, look in new.items()
            ]
            if len(rows) <= FEW_ROWS:
                insert_rows(cursor, "looks", ("key", "phash", "crc32"), rows)
            else:
                frame = pd.DataFrame(rows, columns=["key", "phash", "crc32"], dtype=object)
                types = {"key": "uint64", "phash": "UInt64", "crc32": "UInt32"}
                insert_frame(cursor, "looks", frame.astype(types))
        self._add({key: look.phash for key, look in new.items() if look})

    def copy(self, sources: Keys, keys: Keys) -> None:
        """Store for keys that have no look that of another key each; where that has none, it stays missing."""
        known = self.has(sources)
        sources, keys = sources[known], keys[known]
        looks = [
            Look(row, int(phash)) for row, phash in zip(self.rows(sources), self.hashes(sources), strict=True)
        ]
        self.store(keys, looks)

    def bring_back(self, looks: Mapping[int, tuple[int | None, int | None]]) -> None:
        """Note looks whose rows (phash, crc32) were inserted again: their descriptors are still in the file."""
        self._add({key: phash for key, (phash, _) in looks.items() if phash is not None})

    def copy_rows(self, keys: Keys, new_keys: Keys) -> None:
        """Write the descriptors of keys under new keys too, durably; the rows in the table are the caller's."""
        known = self.has(keys)
        if known.any():
            rows = self.file.mapped(int(keys[known].max()) + 1)
            pairs = zip(keys[known].tolist(), new_keys[known].tolist(), strict=True)
            self.file.write({new: rows[key].tobytes() for key, new in pairs if key < len(rows)})

    def delete(self, keys: Keys) -> None:
        """Delete the looks of keys, so that they are made again."""
        with self._database.transaction() as cursor:
            delete_rows(cursor, "looks", "key", keys.tolist())
        with self._lock:
            self._known = None

    def damaged(self) -> Keys:
        """Return the ascending keys of the items whose descriptors on disk are not the bytes that were written."""
        sql = "SELECT key, crc32 FROM looks SEMI JOIN items USING (key) WHERE crc32 IS NOT NULL ORDER BY key"
        found = self._database.cursor().execute(sql).fetchall()
        mapped = self.file.mapped(int(found[-1][0]) + 1 if found else 0)
        rows = len(mapped)
        wrong = [key for key, crc32 in found if key >= rows or zlib.crc32(mapped[key].tobytes()) != crc32]
        return np.array(wrong, np.uint64)

    def _arrays(self) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Return by key whether there is a look, and its hash; read from the database once."""
        if (arrays := self._known) is not None:
            return arrays
        with self._lock:
            if self._known is None:
                self._known = self._read_arrays()
            return self._known

    def _read_arrays(self) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        sql = "SELECT key, phash FROM looks WHERE phash IS NOT NULL ORDER BY key"
        found = self._database.cursor().execute(sql).fetchnumpy()
        keys = np.asarray(found["key"], np.int64)
        size = _capacity(int(keys[-1]) + 1 if len(keys) else 0)
        known, phashes = np.zeros(size, np.bool_), np.zeros(size, np.uint64)
        known[keys] = True
        phashes[keys] = np.asarray(found["phash"], np.uint64)
        return known, phashes

    def _add(self, phashes: Mapping[int, int]) -> None:
        """Add committed looks to the arrays, replacing arrays that are too short."""
        with self._lock:
            if self._known is None or not phashes:
                return
            known, hashes = self._known
            needed = max(phashes) + 1
            if needed > len(known):
                more = _capacity(needed) - len(known)
                known, hashes = np.pad(known, (0, more)), np.pad(hashes, (0, more))
            for key, phash in phashes.items():
                hashes[key] = phash
                known[key] = True  # last: readers take no lock
            self._known = known, hashes


def _capacity(rows: int) -> int:
    """Return a length for arrays by key that leaves space, so that they are rarely replaced."""
    return max(1024, rows + rows // 4)


def _at(array: NDArray[T], keys: Keys) -> NDArray[T]:
    """Return the array's entries at the keys; 0 beyond its end."""
    result = np.zeros(len(keys), array.dtype)
    inside = keys < len(array)
    result[inside] = array[keys[inside].astype(np.int64)]
    return result
