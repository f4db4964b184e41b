"""What compaction needs of a catalog's tables and files: batches of embeddings, rows that moved, space to free.

A key is the row of an embedding for ever. So a photo that moves gets a new key, as a changed photo does, and the disk
space of rows that belong to no photo is freed inside the file (`RowFile.release`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.store.batches import append_vectors, next_key
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import Cursor, delete_rows
from imgsearch.store.stored_items import delete_items, insert_items, read_stored
from imgsearch.store.vector_file import RowFile

_RESTORABLE = (
    "SELECT DISTINCT CAST(json_extract_string(photo, '$.key') AS UBIGINT) AS key "
    "FROM item_changes WHERE photo IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class EmbeddingBatch:
    """A committed batch of embeddings: of its `rows`, `live` belong to items, `restorable` to removed ones."""

    first_key: int
    rows: int
    live: int
    restorable: int


def forget_removed(catalog: CatalogStore, before: datetime) -> int:
    """Drop what restores photos that were removed or replaced before a time (UTC); return how many changes had it."""
    with catalog.database.transaction() as cursor:
        found = cursor.execute(
            "UPDATE item_changes SET photo = NULL WHERE photo IS NOT NULL AND happened_at < ?", [before]
        ).fetchone()
    return int(found[0]) if found else 0


def embedding_batches(catalog: CatalogStore) -> list[EmbeddingBatch]:
    """Return the committed batches, by their first key."""
    cursor = catalog.database.cursor()
    rows = cursor.execute("SELECT first_key, rows FROM vector_batches ORDER BY first_key").fetchall()
    if not rows:
        return []
    edges = np.array([(first, first + count) for first, count in rows], np.uint64)
    # Read once: a photo that is restored meanwhile must count as live or as restorable, or its row would be freed.
    keys = catalog.keys()
    live = _count_in(edges, keys)
    restorable = _count_in(edges, np.setdiff1d(catalog.database.keys(_RESTORABLE), keys))
    numbers = zip(edges[:, 0].tolist(), (edges[:, 1] - edges[:, 0]).tolist(), live, restorable, strict=True)
    return [EmbeddingBatch(*map(int, batch)) for batch in numbers]


def _count_in(edges: NDArray[np.uint64], keys: Keys) -> list[int]:
    """Return how many of the ascending keys are in each range [first, end)."""
    places = np.searchsorted(keys, edges)
    return [int(count) for count in places[:, 1] - places[:, 0]]


def used_originals(catalog: CatalogStore) -> set[str]:
    """Return the locations of all items, and of all photos that can be restored."""
    rows = catalog.database.cursor().execute(
        "SELECT location FROM items UNION SELECT json_extract_string(photo, '$.location') "
        "FROM item_changes WHERE photo IS NOT NULL"
    )
    return {row[0] for row in rows.fetchall()}


def move_photos(
    catalog: CatalogStore, item_ids: Sequence[str], *, before_commit: Callable[[Keys, Keys], None]
) -> tuple[Keys, Keys]:
    """Give the photos of known items new keys at the end of the file; return (old keys, new keys), in one order.

    Embedding, look, metadata, revision and duplicate pairs stay as they are. `before_commit` gets the same keys, to
    copy what is stored by key elsewhere.
    """
    with catalog.changing() as (cursor, touched):
        stored = list(read_stored(cursor, item_ids).values())
        old = np.array([item.key for item in stored], np.uint64)
        if not stored:
            return old, old
        first = append_vectors(cursor, catalog.vector_file, catalog.vectors(old))
        new = np.arange(first, first + len(old), dtype=np.uint64)
        catalog.looks.copy_rows(old, new)
        touched.removed = delete_items(cursor, old.tolist())
        moved = [
            replace(item, photo=replace(item.photo, key=key))
            for item, key in zip(stored, new.tolist(), strict=True)
        ]
        insert_items(cursor, moved)
        _move_duplicate_pairs(cursor, old, new)
        before_commit(old, new)
        touched.added, touched.item_ids = new, [item.photo.item_id for item in stored]
    catalog.looks.bring_back({item.key: item.look for item in moved if item.look is not None})
    return old, new


def _move_duplicate_pairs(cursor: Cursor, old: Keys, new: Keys) -> None:
    """Let pairs follow their photos; photos that were compared before count as compared under their new keys."""
    cursor.register("moved_keys", pd.DataFrame({"old_key": old, "new_key": new}))
    try:
        for column in ("first_key", "second_key"):
            cursor.execute(
                f"UPDATE duplicate_pairs SET {column} = moved_keys.new_key FROM moved_keys "
                f"WHERE {column} = moved_keys.old_key"
            )
    finally:
        cursor.unregister("moved_keys")
    # Only where no photo waits: a search for duplicates continues at one key.
    cursor.execute(
        "INSERT INTO duplicate_passes SELECT happened_at, ?, threshold FROM duplicate_passes "
        "WHERE upto >= ? ORDER BY upto DESC, happened_at DESC LIMIT 1",
        [int(new[-1]) + 1, int(new[0])],
    )


def forget_batches(catalog: CatalogStore, batches: Sequence[EmbeddingBatch]) -> None:
    """Delete batches that no photo needs; the last batch of the file stays, since it says which key is next."""
    with catalog.database.transaction() as cursor:
        last = next_key(cursor)
        first_keys = [batch.first_key for batch in batches if batch.first_key + batch.rows < last]
        delete_rows(cursor, "vector_batches", "first_key", first_keys)


def free_ranges(catalog: CatalogStore) -> list[tuple[int, int]]:
    """Return (first row, rows) of the ranges of keys that belong to no batch, ascending."""
    ranges, end = [], 0
    for batch in embedding_batches(catalog):
        if batch.first_key > end:
            ranges.append((end, batch.first_key - end))
        end = batch.first_key + batch.rows
    return ranges


def release_rows(file: RowFile, ranges: Sequence[tuple[int, int]]) -> bool:
    """Free the disk space of ranges of rows; False where the system cannot do it."""
    on_disk = file.rows_on_disk
    inside = [(first, min(rows, on_disk - first)) for first, rows in ranges if first < on_disk]
    return all(file.release(first, rows) for first, rows in inside)
