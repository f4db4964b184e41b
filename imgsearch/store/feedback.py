"""Feedback: what was shown, clicked and judged, as append-only rows.

Tables: `impressions`, `empty_searches` (searches without a hit), `exposures` (searches that an experiment answered),
`clicks`, `judgments`. The first three are queued and written in the background, so that recording takes a search no
time; a killed process loses at most their last second. Clicks and judgments are written before the call returns.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import FeedbackError
from imgsearch.core.query import MAX_ADDRESS_CHARS, MAX_ID_CHARS
from imgsearch.core.records import Exposure, Judgment, SearchResult, Verdict
from imgsearch.core.text import check_text
from imgsearch.store.database import Database, insert_frame, utc_now

FLUSH_EVERY_S = 0.3
MAX_QUEUED = 500_000
"""Limit of the queue while the database cannot be written (disk full); the oldest rows are dropped first."""
MAX_TEXT = 1000
"""Characters of a visitor, a labeler, an action and the id of a search."""
MAX_RANK = 1_000_000_000

FeedbackRow = tuple[str, tuple[object, ...]]
"""The table, and the values in the order of its columns."""


@dataclass(frozen=True, slots=True)
class FeedbackState:
    """Counts of this process's rows; `lost` ones were dropped from a full queue."""

    written: int
    queued: int
    lost: int


class FeedbackLog:
    """Appends feedback rows; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
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
        """Queue a row for every hit of a result, or one row of `empty_searches` where the first page has none.

        `arm` is the system that answered, or one for each hit where an experiment interleaves two.
        """
        now = utc_now()
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
        """Queue the row of a search that an experiment answered."""
        visitor = exposure.visitor[:MAX_TEXT]
        search = (
            exposure.search_id,
            utc_now(),
            exposure.experiment,
            exposure.arm,
            visitor,
            exposure.query_key,
        )
        outcome = (exposure.first_rank, exposure.hits, exposure.total_ms, exposure.failed)
        self._queue([("exposures", (*search, *outcome))])

    def record_click(
        self, *, search_id: str, item_id: str, rank: int, visitor: str = "", action: str = "open"
    ) -> None:
        """Append one click; `action` is `open`, `similar`, `more` or `less`. Raises `FeedbackError`."""
        _check_text("item_id", item_id, empty_ok=False)
        _check_text("search_id", search_id)
        _check_text("visitor", visitor)
        _check_text("action", action, empty_ok=False)
        if not 0 <= rank <= MAX_RANK:
            raise FeedbackError(f"The rank of a click is {rank}, but ranks count from 1 (0: no rank).")
        self._append(("clicks", (search_id, utc_now(), visitor, item_id, rank, action)))

    def record_judgment(self, judgment: Judgment) -> None:
        """Append one judgment; of several by one labeler the latest counts. Raises `FeedbackError`."""
        if judgment.verdict not in get_args(Verdict):
            raise FeedbackError(
                f"The verdict is {str(judgment.verdict)[:50]!r}, but must be one of {', '.join(get_args(Verdict))}."
            )
        _check_text("query_key", judgment.query_key, empty_ok=False)
        _check_text("item_id", judgment.item_id, empty_ok=False)
        _check_text("labeler", judgment.labeler, empty_ok=False)
        _check_text("search_id", judgment.search_id or "")
        labeled = (judgment.query_key, judgment.item_id, judgment.verdict, judgment.labeler)
        self._append(("judgments", (utc_now(), *labeled, judgment.search_id)))

    def latest_judgments(self) -> pd.DataFrame:
        """Return the latest judgment of each (query_key, item_id, labeler), ordered by these.

        Columns: query_key, item_id, labeler, verdict, happened_at.
        """
        sql = (
            "SELECT query_key, item_id, labeler, arg_max(verdict, (happened_at, rowid)) AS verdict, "
            "max(happened_at) AS happened_at FROM judgments GROUP BY ALL ORDER BY ALL"
        )
        return self._database.cursor().execute(sql).df()

    def counts(self) -> dict[str, int]:
        """Write the queue and return the number of rows of each table."""
        self.flush()
        tables = ("impressions", "clicks", "judgments")
        return {table: int(self._database.value(f"SELECT count(*) FROM {table}")) for table in tables}

    def state(self) -> FeedbackState:
        """Return how many rows of this process are written, queued and lost."""
        with self._lock:
            return FeedbackState(self._written, len(self._pending) + self._writing, self._lost)

    def flush(self) -> None:
        """Write the queued rows now; if that fails, none is written and all stay queued."""
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
        """Write the queue and stop the background writer; closing twice is fine. Also runs at the process's exit."""
        if self._writer.stopping:
            return
        atexit.unregister(self.close)
        self._writer.stop()
        self.flush()

    def take(self, rows: Sequence[FeedbackRow]) -> None:
        """Write rows that a replica of the catalog collected, all of them or none."""
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
        """Drop the oldest rows of a full queue; the caller holds the lock."""
        excess = len(self._pending) - MAX_QUEUED
        if excess > 0:
            del self._pending[:excess]
            self._lost += excess


def max_chars(column: str) -> int:
    """Return the length limit of a text column: that of a valid query or item id, else `MAX_TEXT`."""
    return {"query_key": MAX_ADDRESS_CHARS, "item_id": MAX_ID_CHARS}.get(column, MAX_TEXT)


def _check_text(name: str, value: object, *, empty_ok: bool = True) -> None:
    check_text(value, name, max_chars=max_chars(name), may_be_empty=empty_ok, error=FeedbackError)
