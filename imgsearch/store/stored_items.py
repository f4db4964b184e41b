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
from imgsearch.store.database import Cursor, delete_rows, insert_frame, update_from_frame
from imgsearch.store.item_table import Photo
from imgsearch.store.metadata_columns import plain_cells
from imgsearch.store.metadata_table import FEW_ROWS, insert_metadata, read_columns, update_cells

FILE_COLUMNS = ("source", "location", "size_bytes", "modified_ns")
PHOTO_COLUMNS = (
    "item_id",
    *FILE_COLUMNS,
    "digest",
    "row_digest",
    "width_px",
    "height_px",
)
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
    """Return the known ids' items, by id."""
    kinds = read_columns(cursor)
    columns = list(kinds)
    names = [f"items.{name}" for name in (*PHOTO_COLUMNS, "key", "added_at", "revision", "updated_at")]
    cells = plain_cells(kinds)
    rows = cursor.execute(
        f"SELECT {', '.join([*names, 'looks.key', 'looks.phash', 'looks.crc32', *cells])} "
        "FROM (SELECT DISTINCT unnest(?::VARCHAR[]) AS wanted) JOIN items ON items.item_id = wanted "
        "JOIN metadata ON metadata.key = items.key LEFT JOIN looks ON looks.key = items.key",
        [list(item_ids)],
    ).fetchall()
    width = len(PHOTO_COLUMNS)
    found: dict[str, StoredItem] = {}
    for row in rows:
        fields = dict(zip(PHOTO_COLUMNS, row[:width], strict=True))
        key, added_at, revision, updated_at, look_key, phash, crc32, *values = row[width:]
        metadata = {name: value for name, value in zip(columns, values, strict=True) if value is not None}
        found[row[0]] = StoredItem(
            Photo(**fields, key=int(key), metadata=metadata),
            added_at,
            int(revision or 0),
            updated_at,
            None if look_key is None else (phash, crc32),
        )
    return found


def insert_items(cursor: Cursor, items: Sequence[StoredItem]) -> None:
    """Insert the rows of new or restored items, inside the caller's transaction."""
    if not items:
        return
    frame = pd.DataFrame({name: [getattr(item.photo, name) for item in items] for name in PHOTO_COLUMNS})
    keys = np.array([item.key for item in items], np.uint64)
    frame["key"] = keys
    for name in ("added_at", "revision", "updated_at"):
        frame[name] = [getattr(item, name) for item in items]
    insert_frame(cursor, "items", frame, by_name=True)
    insert_metadata(cursor, keys, [item.metadata for item in items])
    looks = [(item.key, *item.look) for item in items if item.look is not None]
    if len(looks) > FEW_ROWS:
        frame = pd.DataFrame(looks, columns=["key", "phash", "crc32"], dtype=object)
        types = {"key": "uint64", "phash": "UInt64", "crc32": "UInt32"}
        insert_frame(cursor, "looks", frame.astype(types))
        return
    for row in looks:
        cursor.execute("INSERT INTO looks VALUES (?, ?, ?)", list(row))


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
