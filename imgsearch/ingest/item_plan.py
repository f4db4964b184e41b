"""What a group of changes makes of items, computed in memory: the states to write, the rows to log, the outcomes.

Changes take effect in order, so that several of one item in a group act as if each had been committed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.column_values import ColumnKind, kind_of
from imgsearch.core.errors import IdError
from imgsearch.core.item_limits import check_new_id
from imgsearch.ingest.item_changes import ChangeOutcome, ChangeStatus, ItemChange, etag_of, failed
from imgsearch.ingest.item_values import BadMetadata, checked_row, fitted_row
from imgsearch.ingest.run import metadata_digest, source_row_digest
from imgsearch.store.change_log import LoggedChange
from imgsearch.store.item_table import Photo
from imgsearch.store.stored_items import StoredItem
from imgsearch.vision.looks import Look

HTTP_SOURCE = "items"
"""The source of photos that came with a change of an item, not from a folder or file."""
REQUEUE = "requeue"
"""The code of a put whose photo must be encoded after all: the item's photo changed since it was prepared."""


@dataclass(frozen=True, slots=True)
class ChangePicture:
    """The photo of a put. `vector` is None where the item had the same bytes when the put was prepared."""

    digest: str
    location: str
    size_bytes: int = 0
    width_px: int = 0
    height_px: int = 0
    vector: NDArray[np.float32] | None = None
    look: Look | None = None
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True)
class PreparedChange:
    """A change that is ready to be committed; `undoes` is the logged change that it reverts, if any."""

    change: ItemChange
    actor: str
    picture: ChangePicture | None = None
    undoes: LoggedChange | None = None


@dataclass(slots=True)
class ChangePlan:
    """Applies changes to the states of their items.

    `stored` are the items as they are in the database, `removals` the latest removal of each id to restore, `later`
    the numbers of the changes of the items of an undo, `kinds` the columns, `keys` the keys of new photos by position
    of the change, `numbers` those of the changes.
    """

    stored: Mapping[str, StoredItem]
    kinds: dict[str, ColumnKind]
    removals: Mapping[str, LoggedChange]
    later: Mapping[str, Sequence[int]]
    embedded: int
    now: datetime
    states: dict[str, StoredItem | None] = field(default_factory=dict)
    log: list[LoggedChange] = field(default_factory=list)
    new_photos: dict[int, ChangePicture] = field(default_factory=dict)
    _undone: set[int] = field(default_factory=set)
    _own: set[int] = field(default_factory=set)

    def apply(self, prepared: PreparedChange, number: int, new_key: int) -> ChangeOutcome:
        """Return the outcome of one change; `new_key` is for its photo, if that is new."""
        change = prepared.change
        item = self.current(change.item_id)
        if change.if_match and not _matches(change.if_match, item):
            state = f"its ETag is {etag_of(item.revision)}" if item else "it does not exist"
            return failed(change.item_id, "etag_mismatch", f"The item was not changed: {state}.")
        if change.create_only and item is not None:
            return failed(
                change.item_id, "item_exists", "There is an item of this id already; it was not changed."
            )
        try:
            if prepared.undoes is not None:
                return self._undo(prepared, prepared.undoes, item, number)
            match change.kind:
                case "put":
                    return self._put(prepared, item, number, new_key)
                case "patch":
                    return self._patch(prepared, item, number)
                case "delete":
                    return self._delete(prepared, item, number)
                case "restore":
                    return self._restore(prepared, item, number)
        except BadMetadata as error:
            return failed(change.item_id, "bad_metadata", str(error))
        except IdError as error:
            return failed(change.item_id, error.code, str(error))

    def current(self, item_id: str) -> StoredItem | None:
        """Return the item as the changes so far leave it."""
        return self.states[item_id] if item_id in self.states else self.stored.get(item_id)

    def _put(
        self, prepared: PreparedChange, item: StoredItem | None, number: int, new_key: int
    ) -> ChangeOutcome:
        change, picture = prepared.change, prepared.picture
        row = None if change.metadata is None else self._row(change.metadata, whole=True)
        if item is None:
            check_new_id(change.item_id)
        if item is None and picture is None:
            text = "There is no such item, and a new one needs a picture: send one, or the URL of one."
            return failed(change.item_id, "no_picture", text)
        kept = item.metadata if item is not None else {}
        metadata = dict(kept) if row is None else row
        new_photo = picture is not None and (item is None or picture.digest != item.photo.digest)
        if not new_photo:
            assert item is not None
            if metadata == item.metadata:
                return self._unchanged(item)
            after = item.with_metadata(metadata)
            return self._become(prepared, item, after, number, "replaced")
        assert picture is not None
        if picture.vector is None:
            return failed(change.item_id, REQUEUE, "The item's photo changed meanwhile.")
        photo = Photo(
            item_id=change.item_id,
            source=HTTP_SOURCE,
            location=picture.location,
            size_bytes=picture.size_bytes,
            digest=picture.digest,
            row_digest=metadata_digest(metadata),
            width_px=picture.width_px,
            height_px=picture.height_px,
            metadata=metadata,
            key=new_key,
        )
        self.new_photos[new_key] = picture
        added_at = item.added_at if item is not None else self.now
        return self._become(
            prepared, item, StoredItem(photo, added_at), number, "replaced" if item is not None else "created"
        )

    def _patch(self, prepared: PreparedChange, item: StoredItem | None, number: int) -> ChangeOutcome:
        change = prepared.change
        if item is None:
            return _unknown(change.item_id)
        row = self._row(change.metadata or {}, whole=False)
        metadata = {**item.metadata, **row}
        metadata = {name: value for name, value in metadata.items() if value is not None}
        if metadata == item.metadata:
            return self._unchanged(item)
        return self._become(prepared, item, item.with_metadata(metadata), number, "updated")

    def _delete(self, prepared: PreparedChange, item: StoredItem | None, number: int) -> ChangeOutcome:
        if item is None:
            return _unknown(prepared.change.item_id)
        return self._become(prepared, item, None, number, "deleted")

    def _restore(self, prepared: PreparedChange, item: StoredItem | None, number: int) -> ChangeOutcome:
        change = prepared.change
        if item is not None:
            return self._unchanged(item)
        removal = self._own_removal(change.item_id) or self.removals.get(change.item_id)
        if removal is None or removal.photo is None:
            text = f"There is no removed item {change.item_id[:200]!r} to restore."
            return failed(change.item_id, "unknown_item", text)
        return self._return(prepared, removal, None, number)

    def _return(
        self, prepared: PreparedChange, logged: LoggedChange, item: StoredItem | None, number: int
    ) -> ChangeOutcome:
        """Bring back the photo and the row from before a logged change."""
        assert logged.photo is not None
        if int(logged.photo["key"]) >= self.embedded:
            text = "The item's embedding is no longer stored; put it with its picture instead."
            return failed(logged.item_id, "not_restorable", text)
        metadata = self._row(logged.before or {}, whole=True, strict=False)
        after = StoredItem.from_photo_row(logged.item_id, logged.photo, metadata)
        return self._become(prepared, item, after, number, "replaced" if item is not None else "restored")

    def _undo(
        self, prepared: PreparedChange, logged: LoggedChange, item: StoredItem | None, number: int
    ) -> ChangeOutcome:
        since = [
            other
            for other in self.later.get(logged.item_id, ())
            if other > logged.change_id and other not in self._undone
        ]
        if since:
            text = f"The item was changed again since (change {since[-1]}), so this change was not undone."
            return failed(logged.item_id, "changed_since", text)
        outcome = self._reverted(prepared, logged, item, number)
        if outcome.status != "failed":
            self._undone.add(logged.change_id)
        return outcome

    def _reverted(
        self, prepared: PreparedChange, logged: LoggedChange, item: StoredItem | None, number: int
    ) -> ChangeOutcome:
        if logged.before is None:  # the change created or restored the item
            return self._delete(prepared, item, number)
        if logged.photo is not None:
            return self._return(prepared, logged, item, number)
        if item is None:
            return _unknown(logged.item_id)
        before = self._row(logged.before, whole=False, strict=False)
        if logged.kind == "patch":
            cells = {name: before.get(name) for name in {*logged.before, *(logged.after or {})}}
            metadata = {**item.metadata, **cells}
        else:
            metadata = before
        metadata = {name: value for name, value in metadata.items() if value is not None}
        if metadata == item.metadata:
            return self._unchanged(item)
        return self._become(prepared, item, item.with_metadata(metadata), number, "updated")

    def _become(
        self,
        prepared: PreparedChange,
        before: StoredItem | None,
        after: StoredItem | None,
        number: int,
        status: ChangeStatus,
    ) -> ChangeOutcome:
        """Note the new state of an item and its row of the log."""
        item_id = prepared.change.item_id
        if after is not None:
            after = replace(after, revision=number, updated_at=self.now)
            if before is not None and before.key == after.key:
                digest = f"{source_row_digest(before.photo)}+{number}"
                after = replace(after, photo=replace(after.photo, row_digest=digest))
            for name, value in after.metadata.items():
                self.kinds.setdefault(name, kind_of(value, name))
        self.states[item_id] = after
        kind = {"created": "put", "replaced": "put", "updated": "patch", "deleted": "delete"}.get(
            status, "restore"
        )
        old = None if before is None else dict(before.metadata)
        new = None if after is None else dict(after.metadata)
        if kind == "patch" and old is not None and new is not None:
            changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            old, new = ({name: row.get(name) for name in changed} for row in (old, new))
        gone = before is not None and (after is None or after.key != before.key)
        self.log.append(
            LoggedChange(
                number,
                self.now,
                prepared.actor,
                kind,
                item_id,
                old,
                new,
                before.photo_row() if before is not None and gone else None,
                prepared.undoes.change_id if prepared.undoes else None,
            )
        )
        return ChangeOutcome(item_id, status, etag_of(number) if after is not None else "", change_id=number)

    def _own_removal(self, item_id: str) -> LoggedChange | None:
        """Return the removal of an item by a change of this group."""
        own = [change for change in self.log if change.item_id == item_id and change.kind == "delete"]
        return own[-1] if own else None

    def _row(self, metadata: Mapping[str, Any], *, whole: bool, strict: bool = True) -> dict[str, Any]:
        """Return a row that fits the columns; of a `whole` one without missing values."""
        row = checked_row(metadata) if strict else dict(metadata)
        fitted = fitted_row(row, self.kinds)
        return {name: value for name, value in fitted.items() if value is not None} if whole else fitted

    def _unchanged(self, item: StoredItem) -> ChangeOutcome:
        return ChangeOutcome(item.photo.item_id, "unchanged", etag_of(item.revision))


def _matches(etag: str, item: StoredItem | None) -> bool:
    if item is None:
        return False
    return etag.strip() == "*" or etag.strip().removeprefix("W/").strip('"') == etag_of(item.revision)


def _unknown(item_id: str) -> ChangeOutcome:
    return failed(item_id, "unknown_item", f"There is no item {item_id[:200]!r} in the catalog.")
