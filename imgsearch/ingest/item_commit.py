"""Group commit: the changes that wait are committed together, and then searched; only then are they acknowledged."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from imgsearch.core.errors import ImgSearchError
from imgsearch.core.text import error_line
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.item_changes import ChangeOutcome, failed
from imgsearch.ingest.item_plan import ChangePlan, PreparedChange
from imgsearch.ingest.preparation import KEPT_URL_PX
from imgsearch.store.batches import append_vectors
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import Cursor, utc_now
from imgsearch.store.recent_changes import TouchedItems
from imgsearch.store.stored_items import StoredItem, delete_items, insert_items, read_stored, update_items
from imgsearch.store.thumbnails import ThumbnailCache

MAX_GROUP = 4000
"""Changes that are committed together at most; a longer list is committed in parts."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Ticket:
    """The changes of one caller; `wake` is set when they are committed, or when the caller is to commit."""

    changes: Sequence[PreparedChange]
    outcomes: list[ChangeOutcome] = field(default_factory=list)
    wake: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Committed:
    """Changes that are on disk: their outcomes, the items they touched, and WebP thumbnails by the keys of photos."""

    outcomes: list[ChangeOutcome]
    touched: TouchedItems
    thumbnails: Mapping[int, bytes]


class ItemCommitter:
    """Commits changes of items in groups; safe to use from any thread.

    There is no thread: a caller that finds no commit under way commits at once, for all that wait.
    """

    def __init__(
        self,
        catalog: CatalogStore,
        indexes: Callable[[], Sequence[LiveIndex]],
        thumbnails: ThumbnailCache | None,
    ) -> None:
        self._catalog = catalog
        self._indexes = indexes
        self._thumbnails = thumbnails
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: deque[_Ticket] = deque()

    def commit(self, changes: Sequence[PreparedChange]) -> list[ChangeOutcome]:
        """Return the outcomes of changes, in their order, once they are on disk and the next search finds them."""
        if not changes:
            return []
        ticket = _Ticket(changes)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._busy = not self._busy, True
        if not leads:
            ticket.wake.wait()
        if not ticket.outcomes:
            self._commit_group()
        return ticket.outcomes

    def _commit_group(self) -> None:
        """Commit what waits, the caller's among it, and wake the next leader."""
        group: list[_Ticket] = []
        with self._lock:
            size = 0
            while self._waiting and (not group or size + len(self._waiting[0].changes) <= MAX_GROUP):
                group.append(self._waiting.popleft())
                size += len(group[-1].changes)
        try:
            self._commit_tickets(group)
        finally:
            with self._lock:
                leader = self._waiting[0] if self._waiting else None
                self._busy = leader is not None
            for ticket in group:
                ticket.wake.set()
            if leader is not None:
                leader.wake.set()

    def _commit_tickets(self, group: Sequence[_Ticket]) -> None:
        """Set the outcomes of tickets; where a group fails as a whole, each ticket is tried alone."""
        try:
            committed = self._committed([change for ticket in group for change in ticket.changes])
        except Exception as error:
            if len(group) > 1:
                for ticket in group:
                    self._commit_tickets([ticket])
                return
            _log.exception("changes of items could not be stored")
            code = error.code if isinstance(error, ImgSearchError) else "not_stored"
            text = f"The change could not be stored ({error_line(error)}); nothing of it was changed."
            group[0].outcomes = [failed(one.change.item_id, code, text) for one in group[0].changes]
            return
        place = 0
        for ticket in group:
            ticket.outcomes = committed.outcomes[place : place + len(ticket.changes)]
            place += len(ticket.changes)
        # From here on the changes are stored: a failure is logged, and is not one of the changes.
        self._keep_thumbnails(committed)
        self._follow(committed.touched)

    def _committed(self, changes: Sequence[PreparedChange]) -> _Committed:
        """Commit changes, all of them or none."""
        catalog = self._catalog
        with catalog.changing() as (cursor, touched):
            first_key = self._append_vectors(cursor, changes)
            plan = self._plan(cursor, changes)
            numbers = catalog.changes.next_ids(len(changes))
            outcomes, key = [], first_key
            for prepared, number in zip(changes, numbers, strict=True):
                outcomes.append(plan.apply(prepared, number, key))
                key += _has_vector(prepared)
            added, removed, updated = _differences(plan)
            touched.removed = delete_items(cursor, (item.key for item in removed))
            insert_items(cursor, added)
            update_items(cursor, updated)
            self._store_looks(plan, added)
            catalog.changes.append(cursor, plan.log)
            touched.added = np.array(sorted(item.key for item in added), np.uint64)
            touched.updated = np.array(sorted(after.key for _, after in updated), np.uint64)
            touched.item_ids = list(plan.states)
        thumbnails = {
            item.key: picture.thumbnail
            for item in added
            if (picture := plan.new_photos.get(item.key)) and picture.thumbnail is not None
        }
        return _Committed(outcomes, touched, thumbnails)

    def _append_vectors(self, cursor: Cursor, changes: Sequence[PreparedChange]) -> int:
        """Append the embeddings of new photos, and return the first key."""
        rows = [one.picture.vector for one in changes if one.picture and one.picture.vector is not None]
        return append_vectors(cursor, self._catalog.vector_file, np.stack(rows)) if rows else 0

    def _plan(self, cursor: Cursor, changes: Sequence[PreparedChange]) -> ChangePlan:
        catalog = self._catalog
        ids = list(dict.fromkeys(one.change.item_id for one in changes))
        restored = [one.change.item_id for one in changes if one.change.kind == "restore" and not one.undoes]
        undone = [one.undoes for one in changes if one.undoes is not None]
        return ChangePlan(
            read_stored(cursor, ids),
            catalog.metadata.columns,
            catalog.changes.removals(restored) if restored else {},
            catalog.changes.later(undone),
            catalog.vector_file.rows_on_disk if catalog.vector_file else 0,
            utc_now(),
        )

    def _store_looks(self, plan: ChangePlan, added: Sequence[StoredItem]) -> None:
        new = [(item.key, plan.new_photos[item.key].look) for item in added if item.key in plan.new_photos]
        if new:
            self._catalog.looks.store(np.array([key for key, _ in new], np.uint64), [look for _, look in new])
        restored = [item for item in added if item.look is not None]
        self._catalog.looks.bring_back({item.key: item.look for item in restored if item.look is not None})

    def _keep_thumbnails(self, committed: _Committed) -> None:
        for key, thumbnail in committed.thumbnails.items():
            if self._thumbnails is not None:
                self._thumbnails.put(key, thumbnail, KEPT_URL_PX)

    def _follow(self, touched: TouchedItems) -> None:
        """Bring the indexes in step."""
        for index in self._indexes():
            try:
                if len(touched.added):
                    index.add(touched.added, self._catalog.vectors(touched.added))
                if len(touched.removed):
                    index.remove(touched.removed)
                if len(touched.updated):
                    index.refresh(touched.updated)
            except Exception:
                _log.exception("the index did not take a change; it is compared with the catalog")
                try:
                    index.sync()
                except Exception:  # it is compared again when it is opened
                    _log.exception("the index could not be compared with the catalog")


def _has_vector(prepared: PreparedChange) -> int:
    return int(prepared.picture is not None and prepared.picture.vector is not None)


def _differences(
    plan: ChangePlan,
) -> tuple[list[StoredItem], list[StoredItem], list[tuple[StoredItem, StoredItem]]]:
    """Return the items to insert, those to delete, and pairs (before, after) of those to update."""
    added, removed, updated = [], [], []
    for item_id, after in plan.states.items():
        before = plan.stored.get(item_id)
        if before is not None and after is not None and before.key == after.key:
            updated.append((before, after))
            continue
        if before is not None:
            removed.append(before)
        if after is not None:
            added.append(after)
    return added, removed, updated
