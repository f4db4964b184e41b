"""The history of imports in the database: what each was to do, what happened to it, and what it could not import."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

import pandas as pd

from imgsearch.core.errors import UnknownImport
from imgsearch.core.records import Failure
from imgsearch.store.database import Database, insert_frame, utc_now

ImportStatus = Literal["queued", "running", "paused", "done", "failed", "cancelled", "interrupted"]
UNFINISHED: tuple[ImportStatus, ...] = ("queued", "running", "paused")
MAX_FAILURES = 100_000
"""Failures of one import that are kept."""


@dataclass(frozen=True, slots=True)
class LoggedImport:
    """An import: `spec` is what it was to do, `details` what its last event says (`report`, `reason`)."""

    import_id: int
    created_at: datetime
    actor: str
    spec: Mapping[str, Any]
    status: ImportStatus
    changed_at: datetime
    started_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class ImportLog:
    """The imports of one catalog; safe to use from any thread. Rows are only appended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, spec: Mapping[str, Any], actor: str, status: ImportStatus = "queued") -> int:
        """Append an import and return its number."""
        with self._database.transaction() as cursor:
            number = int(self._database.value("SELECT coalesce(max(import_id), 0) + 1 FROM imports"))
            row = [number, utc_now(), actor, json.dumps(spec, ensure_ascii=False)]
            cursor.execute("INSERT INTO imports VALUES (?, ?, ?, ?)", row)
            self.note(number, status)
        return number

    def note(self, import_id: int, status: ImportStatus, details: Mapping[str, Any] | None = None) -> None:
        """Append what happened to an import."""
        with self._database.transaction() as cursor:
            number = int(self._database.value("SELECT coalesce(max(event_id), 0) + 1 FROM import_events"))
            row = [number, import_id, utc_now(), status, json.dumps(details or {}, ensure_ascii=False)]
            cursor.execute("INSERT INTO import_events VALUES (?, ?, ?, ?, ?)", row)

    def latest(self, limit: int = 100) -> list[LoggedImport]:
        """Return the latest imports, the newest first."""
        return self._read("true", [], limit)

    def get(self, import_id: int) -> LoggedImport:
        """Return an import; raises `UnknownImport`."""
        found = self._read("import_id = ?", [import_id], 1)
        if not found:
            raise UnknownImport(f"There is no import {import_id}.")
        return found[0]

    def interrupt_unfinished(self) -> list[int]:
        """Note that the imports which a process left unfinished are interrupted, and return their numbers."""
        left = [each.import_id for each in self._read("true", [], None) if each.status in UNFINISHED]
        for import_id in left:
            self.note(import_id, "interrupted")
        return sorted(left)

    def save_failures(self, import_id: int, failures: Sequence[Failure]) -> None:
        """Replace the failures of an import by the first `MAX_FAILURES` of these."""
        kept = failures[:MAX_FAILURES]
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM import_failures WHERE import_id = ?", [import_id])
            if kept:
                frame = pd.DataFrame(
                    {
                        "import_id": [import_id] * len(kept),
                        "position": range(len(kept)),
                        "place": [failure.path for failure in kept],
                        "reason": [failure.reason for failure in kept],
                    }
                )
                insert_frame(cursor, "import_failures", frame)

    def failures(self, import_id: int, *, offset: int = 0, limit: int = MAX_FAILURES) -> list[Failure]:
        """Return failures of an import in their order; raises `UnknownImport`."""
        self.get(import_id)
        rows = self._database.cursor().execute(
            "SELECT place, reason FROM import_failures WHERE import_id = ? ORDER BY position LIMIT ? OFFSET ?",
            [import_id, limit, offset],
        )
        return [Failure(*row) for row in rows.fetchall()]

    def feed_state(self, source: str) -> dict[str, Any]:
        """Return what `save_feed_state` stored last for a source; {} where nothing is."""
        found = self._database.value(
            "SELECT state FROM feed_states WHERE source = ? ORDER BY happened_at DESC LIMIT 1", [source]
        )
        return dict(json.loads(found)) if found else {}

    def save_feed_state(self, source: str, state: Mapping[str, Any]) -> None:
        """Store what a source was like when it was last imported."""
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM feed_states WHERE source = ?", [source])
            cursor.execute("INSERT INTO feed_states VALUES (?, ?, ?)", [utc_now(), source, json.dumps(state)])

    def _read(self, where: str, values: Sequence[Any], limit: int | None) -> list[LoggedImport]:
        rows = self._database.cursor().execute(
            f"SELECT import_id, created_at, actor, spec, last.status, last.happened_at, last.details, started_at "
            f"FROM (SELECT * FROM imports WHERE {where} ORDER BY import_id DESC LIMIT ?) JOIN "
            "(SELECT import_id, arg_max(struct_pack(status, happened_at, details), event_id) AS last, "
            "min(happened_at) FILTER (status = 'running') AS started_at FROM import_events GROUP BY import_id) "
            "USING (import_id) ORDER BY import_id DESC",
            [*values, limit],
        )
        found = []
        for number, created, actor, spec, status, changed, details, started in rows.fetchall():
            assert status in get_args(ImportStatus)
            found.append(
                LoggedImport(
                    number, created, actor, json.loads(spec), status, changed, started, json.loads(details)
                )
            )
        return found
