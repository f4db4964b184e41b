"""The `ItemEditor`: items of an open catalog are added, changed, removed and restored while it is searched."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from imgsearch.core.errors import IdError
from imgsearch.core.query import MAX_ID_CHARS
from imgsearch.core.text import check_text
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.item_changes import ChangeOutcome, ItemChange, failed
from imgsearch.ingest.item_commit import MAX_GROUP, ItemCommitter
from imgsearch.ingest.item_pictures import ChangePictures
from imgsearch.ingest.item_plan import REQUEUE, PreparedChange
from imgsearch.ingest.item_values import BadMetadata, checked_row
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.change_log import LoggedChange
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.vision.images import ImageLimits

CHANGES_PER_PART = 2000
"""A longer list is committed in parts, so that other changes need not wait for all of it."""
PICTURES_PER_PART = 32
MAX_REST_S = 0.5

_KINDS = ("put", "patch", "delete", "restore")


class ItemEditor:
    """Changes the items of one open catalog; safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        indexes: Callable[[], Sequence[LiveIndex]],
        encoder: Callable[[], Encoder],
        originals: Originals,
        *,
        thumbnails: ThumbnailCache | None = None,
        limits: ImageLimits | None = None,
    ) -> None:
        """Change `catalog`; `indexes` returns the indexes that are searched, `encoder` the encoder of the catalog.

        `limits` are those of a picture that is sent. Pictures at URLs are read by `originals`.
        """
        self._catalog = catalog
        self._pictures = ChangePictures(catalog, encoder, originals, limits or ImageLimits())
        self._committer = ItemCommitter(catalog, indexes, thumbnails)

    def close(self) -> None:
        """End the threads that decode pictures; closing twice is fine."""
        self._pictures.close()

    def apply(
        self, changes: Sequence[ItemChange], *, actor: str, low_priority: bool = False
    ) -> list[ChangeOutcome]:
        """Make the changes and return an outcome for each, in their order.

        Returns once all that succeeded are on disk and are found by the next search. A change that cannot be made is
        a `failed` outcome and does not stop the others; nothing is raised for it. Changes of one item take effect in
        their order. With `low_priority`, it pauses between parts, so that searches go first.
        """
        outcomes: list[ChangeOutcome] = []
        for part in _parts(changes):
            started = time.perf_counter()
            outcomes += self._apply_part(part, actor)
            if low_priority and len(outcomes) < len(changes):
                time.sleep(min(time.perf_counter() - started, MAX_REST_S))
        return outcomes

    def history(self, item_id: str, limit: int = 100) -> list[LoggedChange]:
        """Return the changes of an item, the latest first; also of one that was removed."""
        return self._catalog.changes.of_item(item_id, limit=limit)

    def undo(self, change_ids: Sequence[int], actor: str) -> list[ChangeOutcome]:
        """Revert logged changes, the latest first, and return an outcome for each, in the order of `change_ids`.

        A change is not reverted where its item was changed again since, other than by the changes that are reverted
        with it. Nothing is encoded.
        """
        logged = {change.change_id: change for change in self._catalog.changes.by_ids(change_ids)}
        wanted = sorted({number for number in change_ids if number in logged}, reverse=True)
        made: dict[int, ChangeOutcome] = {}
        for start in range(0, len(wanted), MAX_GROUP):
            part = [logged[number] for number in wanted[start : start + MAX_GROUP]]
            prepared = [
                PreparedChange(ItemChange("restore", change.item_id), actor, undoes=change) for change in part
            ]
            found = zip(part, self._committer.commit(prepared), strict=True)
            made |= {change.change_id: outcome for change, outcome in found}
        return [
            made.get(number) or failed("", "unknown_change", f"There is no change {number}.")
            for number in change_ids
        ]

    def _apply_part(self, changes: Sequence[ItemChange], actor: str) -> list[ChangeOutcome]:
        outcomes = [_refusal(change) for change in changes]
        waiting = [place for place, outcome in enumerate(outcomes) if outcome is None]
        for again in (False, True):
            pictures = self._pictures.prepare([changes[place] for place in waiting], again=again)
            ready: list[tuple[int, PreparedChange]] = []
            for place, picture in zip(waiting, pictures, strict=True):
                if isinstance(picture, ChangeOutcome):
                    outcomes[place] = picture
                else:
                    ready.append((place, PreparedChange(changes[place], actor, picture)))
            if ready:
                committed = self._committer.commit([prepared for _, prepared in ready])
                for (place, _), outcome in zip(ready, committed, strict=True):
                    outcomes[place] = outcome
            waiting = [place for place in waiting if (one := outcomes[place]) and one.code == REQUEUE]
            if not waiting:
                break
        return [outcome for outcome in outcomes if outcome is not None]


def _parts(changes: Sequence[ItemChange]) -> list[Sequence[ItemChange]]:
    """Return the changes in parts that are each committed at once; pictures take longer than rows."""
    parts, start, pictures = [], 0, 0
    for place, change in enumerate(changes):
        pictures += change.picture is not None or bool(change.url)
        if place + 1 - start >= CHANGES_PER_PART or pictures >= PICTURES_PER_PART:
            parts.append(changes[start : place + 1])
            start, pictures = place + 1, 0
    return [*parts, changes[start:]] if start < len(changes) else parts


def _refusal(change: ItemChange) -> ChangeOutcome | None:
    """Return the failure of a change that is wrong in itself, None for any other."""
    try:
        check_text(change.item_id, "The item's id", max_chars=MAX_ID_CHARS, may_be_empty=False, error=IdError)
    except IdError as error:
        return failed(change.item_id[:200], error.code, str(error))
    if change.kind not in _KINDS:
        return failed(change.item_id, "bad_change", f"A change is one of {', '.join(_KINDS)}.")
    if change.picture is not None and change.url:
        text = "Give the picture or its URL, not both."
        return failed(change.item_id, "bad_change", text)
    try:
        checked_row(change.metadata or {})
    except BadMetadata as error:
        return failed(change.item_id, "bad_metadata", str(error))
    return None
