"""Everything that the database holds of an item, read for a change and written by one.

An item has a row in `items` and in `metadata`, and one in `looks` once its look was tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from imgsearch.core.key_arrays import Keys
from imgsearch.store.database import (
    FEW_ROWS,
    Cursor,
    delete_rows,
    find_rows,
    insert_frame,
    insert_rows,
    update_from_frame,
)
from imgsearch.store.item_table import Photo
from imgsearch.store.metadata_columns import plain_cells
from imgsearch.store.metadata_table import insert_metadata, read_columns, update_cells

FILE_COLUMNS = ("source", "location", "size_bytes", "modified_ns")
PHOTO_COLUMNS = (
    "item_id",
    *FILE_COLUMNS,
    "digest",
    "row_digest",
    "width_px",
    "height_px",
)
_OWN_COLUMNS = ("key", "added_at", "revision", "updated_at")
ITEM_TABLES = ("items", "metadata", "looks")


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One item: its `photo` has the key and the metadata. `look` is (phash, crc32) of its row in `looks`, if any."""

    photo: Photo
    added_at: datetime
    revision: int = 0
    updated_at: datetime | None = None
    look: tuple[int | None, int | None] | None = None

    @property
    def key(self) -> int:
        """The key of the item's photo."""
        assert self.photo.key is not None
        return self.photo.key

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The item's metadata."""
        return self.photo.metadata

    def photo_row(self) -> dict[str, Any]:
        """Return what restores the photo, as JSON for the log of changes."""
        row = {name: getattr(self.photo, name) for name in PHOTO_COLUMNS if name != "item_id"}
        return {
            "key": self.key,
            **row,
            "added_at": self.added_at.isoformat(),
            "look": None if self.look is None else list(self.look),
        }

    @classmethod
    def from_photo_row(
        cls, item_id: str, row: Mapping[str, Any], metadata: Mapping[str, Any], **fields: Any
    ) -> StoredItem:
        """Return the item that `photo_row` describes."""
        columns = {name: row[name] for name in PHOTO_COLUMNS if name != "item_id"}
        photo = Photo(item_id=item_id, key=int(row["key"]), metadata=metadata, **columns)
        look = row.get("look")
        return cls(
            photo,
            datetime.fromisoformat(row["added_at"]),
            look=(look[0], look[1]) if look is not None else None,
            **fields,
        )

    def with_metadata(self, metadata: Mapping[str, Any]) -> StoredItem:
        """Return the item with another row of metadata."""
        return replace(self, photo=replace(self.photo, metadata=metadata))


def read_stored(cursor: Cursor, item_ids: Sequence[str]) -> dict[str, StoredItem]:
    """Return the known ids' items, by id; inside a transaction, so that the tables agree."""
    names = (*PHOTO_COLUMNS, *_OWN_COLUMNS)
    rows = find_rows(cursor, "items", names, "item_id", item_ids, "VARCHAR") if len(item_ids) else []
    if not rows:
        return {}
    kinds = read_columns(cursor)
    width = len(PHOTO_COLUMNS)
    keys = [int(row[width]) for row in rows]
    cells = ("key", *plain_cells(kinds))
    metadata = {row[0]: row[1:] for row in find_rows(cursor, "metadata", cells, "key", keys, "UBIGINT")}
    hashes = find_rows(cursor, "looks", ("key", "phash", "crc32"), "key", keys, "UBIGINT")
    looks = {row[0]: (row[1], row[2]) for row in hashes}
    found: dict[str, StoredItem] = {}
    for row in rows:
        fields = dict(zip(PHOTO_COLUMNS, row[:width], strict=True))
        key, added_at, revision, updated_at = row[width:]
        values = zip(kinds, metadata[key], strict=True)
        known = {name: value for name, value in values if value is not None}
        photo = Photo(**fields, key=int(key), metadata=known)
        found[row[0]] = StoredItem(photo, added_at, int(revision or 0), updated_at, looks.get(key))
    return found


def insert_items(cursor: Cursor, items: Sequence[StoredItem]) -> None:
    """Insert the rows of new or restored items, inside the caller's transaction."""
    if not items:
        return
    names = (*PHOTO_COLUMNS, *_OWN_COLUMNS)
    rows = [
        [
            *_values(item, PHOTO_COLUMNS),
            item.key,
            item.added_at,
            item.revision,
            item.updated_at,
        ]
        for item in items
    ]
    looks = [(item.key, *item.look) for item in items if item.look is not None]
    keys = np.array([item.key for item in items], np.uint64)
    if len(items) <= FEW_ROWS:
        insert_rows(cursor, "items", names, rows)
        if looks:
            insert_rows(cursor, "looks", ("key", "phash", "crc32"), looks)
    else:
        frame = pd.DataFrame(rows, columns=list(names))
        frame["key"] = keys
        insert_frame(cursor, "items", frame, by_name=True)
        if looks:
            frame = pd.DataFrame(looks, columns=["key", "phash", "crc32"], dtype=object)
            types = {"key": "uint64", "phash": "UInt64", "crc32": "UInt32"}
            insert_frame(cursor, "looks", frame.astype(types))
    insert_metadata(cursor, keys, [item.metadata for item in items])


def delete_items(cursor: Cursor, keys: Iterable[int]) -> Keys:
    """Delete the rows of items, inside the caller's transaction, and return their keys, ascending."""
    ascending = sorted(keys)
    for table in ITEM_TABLES:
        delete_rows(cursor, table, "key", ascending)
    return np.array(ascending, np.uint64)


def update_items(cursor: Cursor, changed: Sequence[tuple[StoredItem, StoredItem]]) -> None:
    """Write the differences of items from (what is stored, what is wanted); their keys are the same."""
    if not changed:
        return
    cells = {after.key: _differences(before.metadata, after.metadata) for before, after in changed}
    update_cells(cursor, {key: values for key, values in cells.items() if values})
    photo_names: tuple[str, ...] = (*FILE_COLUMNS, "row_digest")
    if all(_values(before, photo_names) == _values(after, photo_names) for before, after in changed):
        photo_names = ()
    names = ("revision", "updated_at", *photo_names)
    rows = [[after.revision, after.updated_at, *_values(after, photo_names)] for _, after in changed]
    keys = [after.key for _, after in changed]
    if len(changed) <= FEW_ROWS:
        settings = ", ".join(f"{name} = ?" for name in names)
        for key, row in zip(keys, rows, strict=True):
            cursor.execute(f"UPDATE items SET {settings} WHERE key = ?", [*row, key])
        return
    frame = pd.DataFrame(rows, columns=list(names))
    frame.insert(0, "key", np.array(keys, np.uint64))
    update_from_frame(cursor, "items", "key", frame)


def _values(item: StoredItem, names: Sequence[str]) -> list[Any]:
    return [getattr(item.photo, name) for name in names]


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells that make one row of metadata the other; None removes a value."""
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    return {**{name: None for name in before if name not in after}, **changed}
