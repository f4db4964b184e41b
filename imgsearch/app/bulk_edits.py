"""Changes to many items at once: a few immediately, many as one background job that visitors' searches go before.

The log of changes holds what each change was before; here the numbers of the latest changes are kept, in memory.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from imgsearch.core.background import JobRunner, Progress
from imgsearch.core.errors import ImageError, QueryError, SourceError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.key_arrays import Keys
from imgsearch.core.records import Item
from imgsearch.ingest.item_changes import ChangeOutcome, ItemChange, failed
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_listing import ItemListing

AT_ONCE = 200
"""Up to this many items are changed before the page answers."""

READ_AT_ONCE = 8
"""Photos are read again by this many: each takes about as long as encoding it."""

BATCH = 500
KEPT_BULKS = 100

BulkAction = Literal["edit", "delete", "reread"]


@dataclass(frozen=True, slots=True)
class Targets:
    """Which items: the ids, or (`all_matching`) all that match the filters and words, but the ids."""

    ids: Sequence[str] = ()
    all_matching: bool = False
    filters: Sequence[str] = ()
    search: str = ""


@dataclass(slots=True)
class BulkResult:
    """What became of a bulk: counts of items, why the first one failed, and the token to undo it with.

    `status` is "running" until all are done; "stopped" where a person stopped it: what was done stays.
    """

    token: str
    action: BulkAction | Literal["undo"]
    items: int
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    reason: str = ""
    status: Literal["running", "done", "stopped"] = "running"
    change_ids: list[int] = field(default_factory=list, repr=False)

    def add(self, outcomes: Sequence[ChangeOutcome]) -> None:
        """Count outcomes."""
        for outcome in outcomes:
            if outcome.status == "failed":
                self.failed += 1
                self.reason = self.reason or outcome.message
            elif outcome.change_id:
                self.changed += 1
                self.change_ids.append(outcome.change_id)
            else:
                self.unchanged += 1


class BulkEdits:
    """Edits, deletes and reads again many items; one background job at a time. Safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        listing: ItemListing,
        items: ItemEditor,
        read_original: Callable[[str], bytes],
    ) -> None:
        """Use the parts of a service; `read_original` returns the bytes at an item's location."""
        self._catalog = catalog
        self._listing = listing
        self._items = items
        self._read_original = read_original
        self.jobs = JobRunner()
        self._results: OrderedDict[str, BulkResult] = OrderedDict()

    def result(self, token: str) -> BulkResult | None:
        """Return a bulk by its token; None for one that is too old."""
        return self._results.get(token)

    def remember(self, change_ids: Sequence[int]) -> str:
        """Return a token to undo changes that were made elsewhere."""
        result = self._new_result("edit", len(change_ids))
        result.change_ids, result.status = list(change_ids), "done"
        return result.token

    def start(
        self,
        action: BulkAction,
        targets: Targets,
        *,
        actor: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> BulkResult:
        """Change the items, at once or in the background (`jobs`); `metadata` is what an edit sets.

        Raises `QueryError` for filters or words that do not fit, `JobRunning` while another bulk runs.
        """
        keys = self._keys(targets)
        names = {"edit": "Editing", "delete": "Deleting", "reread": "Reading photos again"}
        batch = READ_AT_ONCE if action == "reread" else BATCH

        def changes() -> Iterator[tuple[list[ItemChange], list[ChangeOutcome]]]:
            for start in range(0, len(keys), batch):
                items = self._catalog.by_keys(keys[start : start + batch])
                yield self._changes(action, items, metadata)

        at_once = len(keys) <= (READ_AT_ONCE if action == "reread" else AT_ONCE)
        return self._run(action, names[action], len(keys), changes(), actor, at_once=at_once)

    def undo(self, token: str, *, actor: str) -> BulkResult:
        """Undo what a bulk changed, and forget its token; raises `QueryError` for an unknown one."""
        before = self._results.pop(token, None)
        if before is None or not before.change_ids:
            raise QueryError("There is nothing left to undo here; an item's history lists its changes.")
        return self.undo_changes(before.change_ids, actor=actor)

    def undo_changes(self, change_ids: Sequence[int], *, actor: str) -> BulkResult:
        """Undo changes by their numbers, the latest first."""
        ids = sorted(change_ids, reverse=True)
        parts = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        result = self._new_result("undo", len(ids))

        def work(progress: Progress) -> str:
            for place, part in enumerate(parts):
                progress(place * BATCH, len(ids))
                result.add(self._items.undo(part, actor=actor))
            return ""

        return self._start(result, "Undoing", work, at_once=len(ids) <= AT_ONCE)

    def close(self) -> None:
        """Stop the running job."""
        self.jobs.close()

    def _keys(self, targets: Targets) -> Keys:
        found = self._catalog.get_many(list(targets.ids))
        named = np.sort(np.array([item.key for item in found], np.uint64))
        if not targets.all_matching:
            return named
        return np.setdiff1d(self._listing.keys(parse_filters(targets.filters), targets.search), named)

    def _changes(
        self, action: BulkAction, items: Sequence[Item], metadata: Mapping[str, Any] | None
    ) -> tuple[list[ItemChange], list[ChangeOutcome]]:
        if action == "edit":
            return [ItemChange("patch", item.item_id, metadata=metadata) for item in items], []
        if action == "delete":
            return [ItemChange("delete", item.item_id) for item in items], []
        changes, failures = [], []
        for item in items:
            try:
                picture = self._read_original(item.location)
            except (SourceError, ImageError) as error:
                failures.append(failed(item.item_id, error.code, str(error)))
            else:
                changes.append(ItemChange("put", item.item_id, picture=picture))
        return changes, failures

    def _run(
        self,
        action: BulkAction,
        name: str,
        count: int,
        batches: Iterator[tuple[list[ItemChange], list[ChangeOutcome]]],
        actor: str,
        *,
        at_once: bool,
    ) -> BulkResult:
        result = self._new_result(action, count)

        def work(progress: Progress) -> str:
            done = 0
            progress(0, count)
            for changes, failures in batches:
                result.add(failures)
                result.add(self._items.apply(changes, actor=actor, low_priority=not at_once))
                done += len(changes) + len(failures)
                progress(done, count)
            return ""

        return self._start(result, name, work, at_once=at_once)

    def _new_result(self, action: BulkAction | Literal["undo"], count: int) -> BulkResult:
        result = BulkResult(uuid.uuid4().hex, action, count)
        self._results[result.token] = result
        while len(self._results) > KEPT_BULKS:
            self._results.popitem(last=False)
        return result

    def _start(
        self, result: BulkResult, name: str, work: Callable[[Progress], str], *, at_once: bool
    ) -> BulkResult:
        if at_once:
            work(lambda done, total: None)
            result.status = "done"
            return result

        def observed(progress: Progress) -> str:
            try:
                text = work(progress)
                result.status = "done"
                return text
            finally:
                if result.status == "running":
                    result.status = "stopped"

        try:
            self.jobs.start(name, observed)
        except BaseException:
            self._results.pop(result.token, None)
            raise
        return result
