"""What the events of the item table do, and what the table is told about them.

As in `handlers`, nothing of Streamlit is called here: an event is handled completely and once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from time import monotonic
from typing import Any

from imgsearch.app.bulk_edits import BulkResult
from imgsearch.app.service import SearchService
from imgsearch.core.column_values import plain_text
from imgsearch.core.errors import ImgSearchError
from imgsearch.ingest.item_changes import ItemChange
from imgsearch.store.change_log import LoggedChange
from imgsearch.ui.state.actions import REMEMBERED_EVENTS
from imgsearch.ui.state.desk_events import DeskEvent
from imgsearch.ui.state.desk_values import shown_kind, typed_cells
from imgsearch.ui.wording import counted, label_of, readable

KEPT_OUTCOMES = 30
KEPT_ETAGS = 200
LONGEST_LINE = 160
SHOWN_LINES = 8

_DONE = {"edit": "changed", "delete": "deleted", "reread": "read again"}


@dataclass
class DeskSession:
    """What one visitor's table has sent and been told; `watched` are the tokens of their jobs under way.

    `replaced` has the ETags that the visitor's own edits have replaced, with the new ones: the next edit of an item
    may leave the browser before it has loaded the item again.
    """

    handled: tuple[str, ...] = ()
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    history: dict[str, Any] | None = None
    watched: list[str] = field(default_factory=list)
    replaced: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def tell(
        self, event: str, *, done: str = "", problem: str = "", undo: str = "", cleared: bool = False
    ) -> None:
        """Add an outcome for the table; `undo` is the token that reverts it, `cleared` ends the selection."""
        outcome = {
            "event": event,
            "done": done,
            "problem": problem,
            "undo": undo,
            "cleared": cleared,
            "at_s": monotonic(),
        }
        self.outcomes = [*self.outcomes, outcome][-KEPT_OUTCOMES:]

    def present_etag(self, etag: str) -> str:
        """Return the ETag that an item has after the visitor's own edits; the given one where there were none."""
        while etag in self.replaced:
            etag = self.replaced[etag]
        return etag

    def replace_etag(self, old: str, new: str) -> None:
        """Note that an own edit has replaced an item's ETag."""
        if old and old != new:
            self.replaced[old] = new
        while len(self.replaced) > KEPT_ETAGS:
            self.replaced.pop(next(iter(self.replaced)))

    def told(self) -> list[dict[str, Any]]:
        """Return the outcomes with their age: a table that is drawn again leaves out those of before."""
        now_s = monotonic()
        return [{**outcome, "age_s": now_s - outcome["at_s"]} for outcome in self.outcomes]


def handle_desk_event(
    service: SearchService, desk: DeskSession, raw: Any, *, actor: str, may_edit: bool
) -> None:
    """Do what an event of the table says, once; its `ImgSearchError` becomes its outcome."""
    event = DeskEvent.parse(raw)
    if event is None:
        return
    with desk.lock:
        if event.id in desk.handled:
            return
        desk.handled = (*desk.handled, event.id)[-REMEMBERED_EVENTS:]
        try:
            if event.kind == "history":
                desk.history = _history(service, event.item_id)
            elif not may_edit:
                desk.tell(event.id, problem="The catalog cannot be changed on this page.")
            elif event.kind == "edit":
                _edit(service, desk, event, actor)
            else:
                _change_many(service, desk, event, actor)
        except ImgSearchError as error:
            desk.tell(event.id, problem=str(error))


def collect_finished(service: SearchService, desk: DeskSession) -> None:
    """Tell the table about jobs that this visitor has started and that are over."""
    with desk.lock:
        for token in list(desk.watched):
            result = service.bulk.result(token)
            if result is None or result.status != "running":
                desk.watched.remove(token)
                if result is not None:
                    desk.tell(f"job-{token}", **_told(result))


def _edit(service: SearchService, desk: DeskSession, event: DeskEvent, actor: str) -> None:
    item = service.catalog.get(event.item_id)
    cells = _cells(service, event)
    seen = desk.present_etag(event.etag.strip('"'))
    change = ItemChange("patch", item.item_id, metadata=cells, if_match=seen)
    (outcome,) = service.items.apply([change], actor=actor)
    if outcome.code == "etag_mismatch":
        desk.tell(
            event.id, problem="Someone else has changed this item meanwhile; look at it, then try again."
        )
    elif outcome.status == "failed":
        desk.tell(event.id, problem=outcome.message)
    elif not outcome.change_id:
        desk.tell(event.id)
    else:
        desk.replace_etag(seen, outcome.etag.strip('"'))
        token = service.bulk.remember([outcome.change_id])
        desk.tell(event.id, done=f"{label_of(event.column)} of {item.title} changed.", undo=token)


def _cells(service: SearchService, event: DeskEvent) -> dict[str, Any]:
    columns = service.catalog.metadata.columns
    return typed_cells(event.column, shown_kind(columns, event.column), event.value)


def _change_many(service: SearchService, desk: DeskSession, event: DeskEvent, actor: str) -> None:
    bulk = service.bulk
    match event.kind:
        case "bulk_edit":
            result = bulk.start("edit", event.targets, actor=actor, metadata=_cells(service, event))
        case "delete":
            result = bulk.start("delete", event.targets, actor=actor)
        case "reread":
            result = bulk.start("reread", event.targets, actor=actor)
        case _ if event.changes:
            result = bulk.undo_changes(event.changes, actor=actor)
        case _:
            result = bulk.undo(event.token, actor=actor)
    if result.status == "running":
        desk.watched.append(result.token)
        desk.tell(event.id, cleared=event.kind == "delete")
    else:
        desk.tell(event.id, **_told(result), cleared=event.kind == "delete")


def _told(result: BulkResult) -> dict[str, Any]:
    """Return the words and the undo token of a bulk that is over."""
    problem, done = bulk_words(result)
    undo = result.token if result.change_ids and result.action != "undo" else ""
    return {"problem": problem} if problem else {"done": done, "undo": undo}


def bulk_words(result: BulkResult) -> tuple[str, str]:
    """Return what is wrong and what was done with a bulk that is over, one of them empty."""
    parts = []
    if result.changed:
        items = counted(result.changed, "item", "items")
        parts.append(f"Undone: {items}" if result.action == "undo" else f"{items} {_DONE[result.action]}")
    if result.unchanged:
        same = "had no new photo" if result.action == "reread" else "were like that already"
        parts.append(f"{result.unchanged:,} {same}")
    if result.failed:
        parts.append(f"{result.failed:,} not: {result.reason}")
    if result.status == "stopped":
        parts.append("the rest was stopped")
    text = "; ".join(parts).rstrip(".") + "." if parts else "No item was changed."
    return (text, "") if result.failed and not result.changed else ("", text)


# --- history ------------------------------------------------------------------------------------------------------


def _history(service: SearchService, item_id: str) -> dict[str, Any]:
    changes = service.items.history(item_id, limit=50)
    return {"item_id": item_id, "changes": [described_change(change) for change in changes]}


def described_change(change: LoggedChange) -> dict[str, Any]:
    """Return a change for people: when, who, its kind, and each value before and after."""
    return {
        "id": change.change_id,
        "kind": "add" if change.kind == "put" and change.before is None else change.kind,
        "who": change.actor,
        "when": moment(change.happened_at),
        "lines": _lines(change.before, change.after) if change.kind in ("put", "patch", "replace") else [],
        "photo": change.photo is not None,
    }


def _lines(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[dict[str, str]]:
    old, new = before or {}, after or {}
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    return [
        {"label": label_of(name), "before": _short(old.get(name)), "after": _short(new.get(name))}
        for name in names[:SHOWN_LINES]
    ]


def _short(value: Any) -> str:
    is_plain = value is None or isinstance(value, bool | int | float | str)
    text = readable(value) if is_plain else plain_text(value)
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"


def moment(when: datetime | date | time) -> str:
    """Return a time in UTC as the pages write it, "today 14:05" on the same day."""
    if not isinstance(when, datetime):
        return when.isoformat()
    today = datetime.now(UTC).date() == when.date()
    return f"today {when:%H:%M} UTC" if today else f"{when:%Y-%m-%d %H:%M} UTC"
