"""Feedback: what was shown, clicked and judged, as append-only rows.

It owns the tables `impressions`, `empty_searches` (searches that found nothing, and so show no hit), `exposures`
(searches that an experiment answered), `clicks` and `judgments`. What searches showed is queued and written in the
background, so that recording adds next to nothing to a search: a killed process loses at most the last second of
it. A process that ends by itself, or that its server stops, loses nothing. Clicks and judgments are written before
the call returns. It does not interpret the rows.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

import pandas as pd

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import FeedbackError
from imgsearch.core.query import MAX_ADDRESS_CHARS, MAX_ID_CHARS
from imgsearch.core.records import Exposure, Judgment, SearchResult, Verdict
from imgsearch.core.text import check_text
from imgsearch.store.database import Database, insert_frame

__all__ = ["FeedbackLog", "FeedbackRow", "FeedbackState"]

FLUSH_EVERY_S = 0.3
MAX_QUEUED = 500_000
"""How many rows wait at most while the database cannot be written (a full disk); the oldest are given up first."""
MAX_TEXT = 1000
"""Characters of a visitor, a labeler, an action and the id of a search."""
MAX_RANK = 1_000_000_000

FeedbackRow = tuple[str, tuple[object, ...]]
"""A row: its table, and its values in the order of the columns."""


@dataclass(frozen=True, slots=True)
class FeedbackState:
    """Rows of this process by what became of them; `lost` ones could not be written and made room for later ones."""

    written: int
    queued: int
    lost: int


class FeedbackLog:
    """Appends feedback rows; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        """Start the background writer over an open database."""
        self._database = database
        self._pending: list[FeedbackRow] = []
        self._writing = 0
        self._written = 0
        self._lost = 0
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._writer = BackgroundThread("feedback", self.flush)
        atexit.register(self.close)

    def record_impressions(
        self, result: SearchResult, query_key: str, *, visitor: str = "", arm: str | Sequence[str] = ""
    ) -> None:
        """Queue one row for every hit of a result, or one that says that there were none.

        `arm` is the system that answered, or one for each hit where an experiment mixes two. The rows are in the
        database within a second. A further page of hits that comes out empty leaves no row: the search did find
        something.
        """
        now = _now()
        visitor = visitor[:MAX_TEXT]
        total_ms = float(result.timing_ms.get("total", 0.0))
        same = (result.search_id, now, visitor, query_key)
        made_by = (result.encoder, result.generation)
        arms = [arm] * len(result.hits) if isinstance(arm, str) else arm
        rows: list[FeedbackRow] = [
            ("impressions", (*same, *made_by, arm, hit.item_id, hit.rank, hit.score, total_ms))
            for hit, arm in zip(result.hits, arms, strict=True)
        ]
        if not rows and result.query.offset == 0:
            rows = [("empty_searches", (*same, total_ms))]
        self._queue(rows)

    def record_exposure(self, exposure: Exposure) -> None:
        """Queue the row of a search that an experiment answered; it is in the database within a second."""
        row = (
            exposure.search_id,
            _now(),
            exposure.experiment,
            exposure.arm,
            exposure.visitor[:MAX_TEXT],
            exposure.query_key,
            exposure.first_rank,
            exposure.hits,
            exposure.total_ms,
            exposure.failed,
        )
        self._queue([("exposures", row)])

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
        self._append(("clicks", (search_id, _now(), visitor, item_id, rank, action)))

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
        labeled = (judgment.query_key, judgment.item_id, judgment.verdict, judgment.labeler)
        self._append(("judgments", (_now(), *labeled, judgment.search_id)))

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

    def state(self) -> FeedbackState:
        """Return how many rows of this process are written, queued and lost."""
        with self._lock:
            return FeedbackState(self._written, len(self._pending) + self._writing, self._lost)

    def flush(self) -> None:
        """Write the queued rows now: all of them, or none when it fails, and then they stay queued."""
        with self._flushing:
            with self._lock:
                rows, self._pending = self._pending, []
                self._writing = len(rows)
            if not rows:
                return
            try:
                self._write(rows)
            except BaseException:
                with self._lock:
                    self._pending, self._writing = rows + self._pending, 0
                    self._drop_excess()
                raise
            with self._lock:
                self._written, self._writing = self._written + len(rows), 0

    def close(self) -> None:
        """Write what is queued and stop the background writer; closing twice is fine.

        A process that ends without closing does it at its exit.
        """
        if self._writer.stopping:
            return
        atexit.unregister(self.close)
        self._writer.stop()
        self.flush()

    def take(self, rows: Sequence[FeedbackRow]) -> None:
        """Write rows that another process of the same catalog gathered, all of them or none."""
        self._write(rows)
        self._count_written(len(rows))

    def _append(self, row: FeedbackRow) -> None:
        """Write one row before returning."""
        table, values = row
        with self._database.transaction() as cursor:
            cursor.execute(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in values)})", list(values))
        self._count_written(1)

    def _write(self, rows: Sequence[FeedbackRow]) -> None:
        """Write rows of any tables in one transaction."""
        with self._database.transaction() as cursor:
            for table in dict.fromkeys(name for name, _ in rows):
                values = [row for name, row in rows if name == table]
                columns = [f"c{number}" for number in range(len(values[0]))]
                insert_frame(cursor, table, pd.DataFrame(values, columns=columns))

    def _queue(self, rows: Sequence[FeedbackRow]) -> None:
        with self._lock:
            self._pending += rows
            self._drop_excess()
        self._writer.start(after_s=FLUSH_EVERY_S)

    def _count_written(self, rows: int) -> None:
        with self._lock:
            self._written += rows

    def _drop_excess(self) -> None:
        """Make room in the queue, under its lock."""
        excess = len(self._pending) - MAX_QUEUED
        if excess > 0:
            del self._pending[:excess]
            self._lost += excess


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def max_chars(column: str) -> int:
    """Return how many characters a text column of feedback takes: what a valid query and an item's id can have."""
    return {"query_key": MAX_ADDRESS_CHARS, "item_id": MAX_ID_CHARS}.get(column, MAX_TEXT)


def _check_text(name: str, value: object, *, empty_ok: bool = True) -> None:
    check_text(value, name, max_chars=max_chars(name), may_be_empty=empty_ok, error=FeedbackError)
