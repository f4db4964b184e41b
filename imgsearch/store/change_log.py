"""The log of changes: who changed which item, when, and what it was before. Rows are only appended.

A row of `item_changes` has the number of the change, which is also the item's revision after it. `before` and `after`
are metadata as JSON: the whole row, or of a patch the changed columns; None where there was no item. `photo` is the
photo that a change replaced or removed: its row, key and look, so that it can be restored while its embedding is
stored. `undoes` is the number of the change that this one reverts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from imgsearch.core.column_values import json_value
from imgsearch.store.database import Cursor, Database, insert_frame

INDEXING = "imgsearch index"
"""Who changes items where no one is named."""
MAX_ACTOR_CHARS = 200
_actor: ContextVar[str] = ContextVar("actor", default=INDEXING)
_COLUMNS = ("change_id", "happened_at", "actor", "kind", "item_id", "before", "after", "photo", "undoes")


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Name who changes items in this thread, inside the block, where a change names no one."""
    before = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(before)


def present_actor() -> str:
    """Return who changes items in this thread: the name that `acting_as` gave."""
    return _actor.get()


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One change; `before`, `after` and `photo` as in the table, parsed."""

    change_id: int
    happened_at: datetime
    actor: str
    kind: str
    item_id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    photo: Mapping[str, Any] | None = None
    undoes: int | None = None


class ChangeLog:
    """The changes of one catalog; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        logged = database.value("SELECT coalesce(max(change_id), 0) FROM item_changes")
        revised = database.value("SELECT coalesce(max(revision), 0) FROM items")
        self._last = max(int(logged), int(revised))

    @property
    def last(self) -> int:
        """The highest number that was given to a change."""
        return self._last

    def next_ids(self, count: int) -> range:
        """Return numbers for the next changes, ascending; those of a change that fails are not used again."""
        with self._lock:
            first = self._last + 1
            self._last += count
            return range(first, first + count)

    def append(self, cursor: Cursor, changes: Sequence[LoggedChange]) -> None:
        """Store changes inside the caller's transaction."""
        if not changes:
            return
        if len(changes) <= 4:
            rows = [
                [
                    change.change_id,
                    change.happened_at,
                    change.actor[:MAX_ACTOR_CHARS],
                    change.kind,
                    change.item_id,
                    _text(change.before),
                    _text(change.after),
                    _text(change.photo),
                    change.undoes,
                ]
                for change in changes
            ]
            marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(rows))
            cursor.execute(f"INSERT INTO item_changes VALUES {marks}", [cell for row in rows for cell in row])
            return
        frame = pd.DataFrame(
            {
                "change_id": [change.change_id for change in changes],
                "happened_at": [change.happened_at for change in changes],
                "actor": [change.actor[:MAX_ACTOR_CHARS] for change in changes],
                "kind": [change.kind for change in changes],
                "item_id": [change.item_id for change in changes],
                "before": _texts([change.before for change in changes]),
                "after": _texts([change.after for change in changes]),
                "photo": _texts([change.photo for change in changes]),
                "undoes": pd.array([change.undoes for change in changes], dtype="Int64"),
            }
        )
        insert_frame(cursor, "item_changes", frame)

    def of_item(self, item_id: str, *, limit: int = 100) -> list[LoggedChange]:
        """Return the changes of an item, the latest first."""
        return self._read("item_id = ? ORDER BY change_id DESC LIMIT ?", [item_id, limit])

    def latest(self, *, limit: int = 100, before: int | None = None) -> list[LoggedChange]:
        """Return changes of all items, the latest first; with `before` only those with a lower number."""
        return self._read("change_id < ? ORDER BY change_id DESC LIMIT ?", [before or self._last + 1, limit])

    def by_ids(self, change_ids: Sequence[int]) -> list[LoggedChange]:
        """Return the changes of these numbers, the latest first; unknown numbers are left out."""
        return self._read(
            "change_id IN (SELECT unnest(?::BIGINT[])) ORDER BY change_id DESC", [list(change_ids)]
        )

    def later(self, changes: Sequence[LoggedChange]) -> dict[str, list[int]]:
        """Return for each item of some changes the numbers of its changes after the first of these, ascending."""
        if not changes:
            return {}
        ids = sorted({change.item_id for change in changes})
        found = self._database.cursor().execute(
            "SELECT item_id, change_id FROM item_changes WHERE change_id > ? "
            "AND item_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY change_id",
            [min(change.change_id for change in changes), ids],
        )
        numbers: dict[str, list[int]] = {}
        for item_id, change_id in found.fetchall():
            numbers.setdefault(item_id, []).append(change_id)
        return numbers

    def removals(self, item_ids: Sequence[str]) -> dict[str, LoggedChange]:
        """Return for each of these ids the latest change that removed its item."""
        ids = list(dict.fromkeys(item_ids))
        found = self._read(
            "kind = 'delete' AND item_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY change_id", [ids]
        )
        return {change.item_id: change for change in found}

    def deleted_since(self, change_id: int) -> set[str]:
        """Return the ids of the items that changes with greater numbers than this removed."""
        rows = self._database.cursor().execute(
            "SELECT DISTINCT item_id FROM item_changes WHERE change_id > ? AND kind = 'delete'", [change_id]
        )
        return {row[0] for row in rows.fetchall()}

    def _read(self, where: str, values: list[Any]) -> list[LoggedChange]:
        sql = f"SELECT {', '.join(_COLUMNS)} FROM item_changes WHERE {where}"
        rows = self._database.cursor().execute(sql, values).fetchall()
        return [_logged(row) for row in rows]


def _logged(row: tuple[Any, ...]) -> LoggedChange:
    change_id, happened_at, actor, kind, item_id, before, after, photo, undoes = row
    parsed = (_parsed(before), _parsed(after), _parsed(photo))
    return LoggedChange(change_id, happened_at, actor, kind, item_id, *parsed, undoes)


def _text(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, default=_json_value)


def _texts(values: Sequence[Mapping[str, Any] | None]) -> pd.Series[Any]:
    return pd.Series([_text(value) for value in values], dtype="object")


def _parsed(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)


def _json_value(value: Any) -> Any:
    """Return a metadata value that JSON lacks as one that it has; anything unexpected as its text."""
    value = json_value(value)
    return value if isinstance(value, str | float | list) else str(value)
