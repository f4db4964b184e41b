"""Feedback: what was shown, clicked and judged, as append-only rows.

It owns the tables `impressions`, `clicks` and `judgments`. Impressions are queued and written in the background,
so that recording adds next to nothing to a search: a killed process loses at most those of the last second.
Clicks and judgments are written before the call returns. It does not interpret the rows.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import get_args

import pandas as pd

from imgsearch.database import Database, insert_frame
from imgsearch.errors import FeedbackError
from imgsearch.records import Judgment, SearchResult, Verdict

__all__ = ["FeedbackLog"]

FLUSH_EVERY_S = 0.5
MAX_TEXT = 1000
MAX_RANK = 1_000_000_000

_log = logging.getLogger(__name__)


class FeedbackLog:
    """Appends feedback rows; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        """Start the background writer over an open database."""
        self._database = database
        self._pending: list[tuple[object, ...]] = []
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)
        self._thread.start()

    def record_impressions(
        self, result: SearchResult, query_key: str, *, visitor: str = "", arm: str = ""
    ) -> None:
        """Queue one row for every hit of a result; they are in the database within a second."""
        now = _now()
        total_ms = float(result.timing_ms.get("total", 0.0))
        rows = [
            (
                result.search_id,
                now,
                visitor[:MAX_TEXT],
                query_key[:MAX_TEXT],
                result.encoder,
                result.generation,
                arm,
                hit.item_id,
                hit.rank,
                hit.score,
                total_ms,
            )
            for hit in result.hits
        ]
        with self._lock:
            self._pending += rows
        self._wake.set()

    def record_click(
        self, *, search_id: str, item_id: str, rank: int, visitor: str = "", action: str = "open"
    ) -> None:
        """Append one click; `action` says what the visitor did: `open`, `similar`, `more`, `less`.

        Raises `FeedbackError` for an empty item id, a negative rank or an over-long text.
        """
        _check_text("item_id", item_id, empty_ok=False)
        _check_text("search_id", search_id)
        _check_text("visitor", visitor)
        _check_text("action", action, empty_ok=False)
        if not 0 <= rank <= MAX_RANK:
            raise FeedbackError(
                f"The rank of a click is {rank}, but ranks count from 1 (0 where there is none)."
            )
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO clicks VALUES (?, ?, ?, ?, ?, ?)",
                [search_id, _now(), visitor, item_id, rank, action],
            )

    def record_judgment(self, judgment: Judgment) -> None:
        """Append one judgment; an earlier one of the same labeler stays, and the latest counts.

        Raises `FeedbackError` for an unknown verdict, an empty query, item or labeler, or an over-long text.
        """
        if judgment.verdict not in get_args(Verdict):
            raise FeedbackError(
                f"The verdict is {str(judgment.verdict)[:50]!r}, but must be one of {', '.join(get_args(Verdict))}."
            )
        _check_text("query_key", judgment.query_key, empty_ok=False)
        _check_text("item_id", judgment.item_id, empty_ok=False)
        _check_text("labeler", judgment.labeler, empty_ok=False)
        _check_text("search_id", judgment.search_id or "")
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO judgments VALUES (?, ?, ?, ?, ?, ?)",
                [
                    _now(),
                    judgment.query_key,
                    judgment.item_id,
                    judgment.verdict,
                    judgment.labeler,
                    judgment.search_id,
                ],
            )

    def latest_judgments(self) -> pd.DataFrame:
        """Return the latest judgment of each (query_key, item_id, labeler), ordered by these.

        Columns: query_key, item_id, labeler, verdict, happened_at.
        """
        return (
            self._database.cursor()
            .execute(
                "SELECT query_key, item_id, labeler, arg_max(verdict, (happened_at, rowid)) AS verdict, "
                "max(happened_at) AS happened_at FROM judgments GROUP BY ALL ORDER BY ALL"
            )
            .df()
        )

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each table, what is still queued included."""
        self.flush()
        cursor = self._database.cursor()
        found = {}
        for table in ("impressions", "clicks", "judgments"):
            row = cursor.execute(f"SELECT count(*) FROM {table}").fetchone()
            found[table] = int(row[0]) if row else 0
        return found

    def flush(self) -> None:
        """Write the queued impressions now."""
        with self._flushing:
            with self._lock:
                rows, self._pending = self._pending, []
            if not rows:
                return
            try:
                frame = pd.DataFrame(rows, columns=[f"c{number}" for number in range(len(rows[0]))])
                with self._database.transaction() as cursor:
                    insert_frame(cursor, "impressions", frame)
            except BaseException:
                with self._lock:
                    self._pending = rows + self._pending
                raise

    def close(self) -> None:
        """Write what is queued and stop the background writer; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=10)
        self.flush()

    def _run(self) -> None:
        stop = threading.Event()
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            if self._closed:
                return
            stop.wait(FLUSH_EVERY_S)
            try:
                self.flush()
            except Exception:
                _log.exception("impressions could not be written")


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _check_text(name: str, value: object, *, empty_ok: bool = True) -> None:
    if not isinstance(value, str):
        raise FeedbackError(f"{name} must be a text.")
    if not value.strip() and not empty_ok:
        raise FeedbackError(f"{name} is empty.")
    if len(value) > MAX_TEXT:
        raise FeedbackError(f"{name} has {len(value)} characters; at most {MAX_TEXT} are kept.")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise FeedbackError(f"{name} holds halves of characters.")
