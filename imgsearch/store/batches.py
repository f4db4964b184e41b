"""Batches of an indexing run: many items are stored, changed or removed at once, and every change is logged.

Each function works inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.core.errors import EncoderMismatch
from imgsearch.core.key_arrays import Keys
from imgsearch.store.change_log import ChangeLog, LoggedChange
from imgsearch.store.database import Cursor, delete_rows, find_rows, insert_frame, update_from_frame, utc_now
from imgsearch.store.item_table import Photo
from imgsearch.store.metadata_table import insert_metadata
from imgsearch.store.stored_items import (
    FILE_COLUMNS,
    PHOTO_COLUMNS,
    delete_items,
    read_stored,
)
from imgsearch.store.vector_file import EmbeddingFile


def append_vectors(cursor: Cursor, file: EmbeddingFile | None, vectors: NDArray[np.float32]) -> int:
    """Append (n, dim) unit rows durably, and return the key of the first.

    Raises `EncoderMismatch` where the catalog has no encoder yet, ValueError for rows that are not finite unit rows.
    """
    if file is None:
        raise EncoderMismatch("The catalog has no encoder yet; bind_encoder comes before store.")
    first = next_key(cursor)
    crc32 = file.append(first, vectors)
    cursor.execute("INSERT INTO vector_batches VALUES (?, ?, ?)", [first, len(vectors), crc32])
    return first


def next_key(cursor: Cursor) -> int:
    """Return the key that the next photo gets: the number of rows that were committed."""
    return int(
        cursor.execute("SELECT coalesce(max(first_key + rows), 0) FROM vector_batches").fetchall()[0][0]
    )


def insert_photos(cursor: Cursor, log: ChangeLog, photos: Sequence[Photo], keys: Keys, actor: str) -> Keys:
    """Insert new or changed photos under new keys, and return the ascending keys that changed ones had."""
    ids = [photo.item_id for photo in photos]
    before = read_stored(cursor, ids) if _any_stored(cursor, ids) else {}
    replaced = delete_items(cursor, (item.key for item in before.values()))
    now, numbers = utc_now(), log.next_ids(len(photos))
    frame = _frame(photos, PHOTO_COLUMNS)
    frame["key"] = keys
    frame["added_at"] = [before[item_id].added_at if item_id in before else now for item_id in ids]
    frame["revision"], frame["updated_at"] = list(numbers), now
    insert_frame(cursor, "items", frame, by_name=True)
    insert_metadata(cursor, keys, [photo.metadata for photo in photos])
    changes = []
    for number, photo in zip(numbers, photos, strict=True):
        old = before.get(photo.item_id)
        gone = (None, None) if old is None else (old.metadata, old.photo_row())
        changes.append(
            LoggedChange(number, now, actor, "put", photo.item_id, gone[0], photo.metadata, gone[1])
        )
    log.append(cursor, changes)
    return replaced


def replace_metadata(
    cursor: Cursor, log: ChangeLog, photos: Sequence[Photo], actor: str
) -> tuple[Keys, list[str]]:
    """Replace the metadata and `row_digest` of known items, and return their ascending keys and their ids."""
    stored = read_stored(cursor, [photo.item_id for photo in photos])
    known = [photo for photo in photos if photo.item_id in stored]
    now, numbers = utc_now(), log.next_ids(len(known))
    keys = np.array([stored[photo.item_id].key for photo in known], np.uint64)
    delete_rows(cursor, "metadata", "key", keys.tolist())
    insert_metadata(cursor, keys, [photo.metadata for photo in known])
    frame = _frame(known, ("item_id", "row_digest"))
    frame["revision"], frame["updated_at"] = list(numbers), now
    update_from_frame(cursor, "items", "item_id", frame)
    changes = [
        LoggedChange(number, now, actor, "put", photo.item_id, stored[photo.item_id].metadata, photo.metadata)
        for number, photo in zip(numbers, known, strict=True)
    ]
    log.append(cursor, changes)
    return np.sort(keys), [photo.item_id for photo in known]


def replace_files(cursor: Cursor, log: ChangeLog, photos: Sequence[Photo]) -> Keys:
    """Replace the sources, locations, sizes and times of known items, and return their ascending keys.

    A photo with a digest is left out where the item has another by now: its file is not that of the new photo.
    """
    digests = {photo.item_id: photo.digest for photo in photos}
    names = ("item_id", "key", "digest")
    rows = find_rows(cursor, "items", names, "item_id", list(digests), "VARCHAR") if digests else []
    keys = {item_id: int(key) for item_id, key, digest in rows if digests[item_id] in ("", digest)}
    same = [photo for photo in photos if photo.item_id in keys]
    if same:
        frame = _frame(same, ("item_id", *FILE_COLUMNS))
        frame["revision"], frame["updated_at"] = list(log.next_ids(len(same))), utc_now()
        update_from_frame(cursor, "items", "item_id", frame)
    return np.array(sorted(keys.values()), np.uint64)


def remove_items(
    cursor: Cursor, log: ChangeLog, item_ids: Sequence[str], actor: str
) -> tuple[Keys, list[str]]:
    """Delete known items, and return the ascending keys that they had and their ids."""
    stored = read_stored(cursor, item_ids)
    now, numbers = utc_now(), log.next_ids(len(stored))
    changes = [
        LoggedChange(number, now, actor, "delete", item_id, before=item.metadata, photo=item.photo_row())
        for number, (item_id, item) in zip(numbers, stored.items(), strict=True)
    ]
    log.append(cursor, changes)
    return delete_items(cursor, (item.key for item in stored.values())), list(stored)


def _any_stored(cursor: Cursor, item_ids: Sequence[str]) -> bool:
    """Return whether any of the ids is known; cheaper than to read the items."""
    wanted = "(SELECT unnest(?::VARCHAR[]) AS wanted) ON item_id = wanted"
    rows = cursor.execute(f"SELECT count(*) FROM items JOIN {wanted}", [list(item_ids)]).fetchall()
    return bool(rows[0][0])


def _frame(photos: Sequence[Photo], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({column: [getattr(photo, column) for photo in photos] for column in columns})
