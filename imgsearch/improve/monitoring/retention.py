"""Deletes events by age; hourly counts without names stay in `telemetry`.

Events are impressions, empty_searches, clicks and exposures. Judgments have no age limit. A deletion is one
transaction: the rows are counted, then deleted. Their bytes leave the file as `Database.erase_deleted_rows` says.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from imgsearch.core.background import BackgroundThread
from imgsearch.improve.monitoring.drift import BINS_TO_1, SCORE_SERIES
from imgsearch.improve.monitoring.event_sql import FIRST_PAGES, KIND_OF_QUERY
from imgsearch.store.database import Database

if TYPE_CHECKING:
    import duckdb

__all__ = ["EventRetention", "compact_telemetry", "keep_counts", "prune_events"]

EVENT_TABLES = ("impressions", "empty_searches", "clicks", "exposures")
PRUNE_EVERY_S = 24 * 3600.0
MINUTES_KEPT = timedelta(days=7)
"""Counts older than this are kept by the hour."""

_KEEP_SEARCHES = f"""
    INSERT INTO telemetry WITH {FIRST_PAGES},
    deleted AS (
        SELECT *, date_trunc('hour', happened_at) AS hour, {KIND_OF_QUERY} AS kind FROM searches WHERE {{where}}
    )
    SELECT hour, 'searches', '', 0, count(*) FROM deleted GROUP BY hour
    UNION ALL SELECT hour, 'unclicked', '', 0, count(*) FROM deleted WHERE NOT was_clicked GROUP BY hour
    UNION ALL SELECT hour, '{SCORE_SERIES}', kind || ' ' || encoder,
                     CAST(floor(score * {BINS_TO_1}) AS INTEGER) AS bin, count(*)
              FROM deleted GROUP BY hour, kind, encoder, bin
"""
_KEEP_EMPTY_SEARCHES = """
    INSERT INTO telemetry SELECT date_trunc('hour', happened_at) AS hour, series, '', 0, count(*)
    FROM empty_searches, (VALUES ('searches'), ('unclicked'), ('empty')) AS kept (series)
    WHERE {where} GROUP BY hour, series
"""
_MINUTES_TO_COMPACT = """
    minute < $before AND date_trunc('hour', minute) IN (
        SELECT date_trunc('hour', minute) FROM telemetry
        WHERE minute < $before AND minute <> date_trunc('hour', minute)
    )
"""

_log = logging.getLogger(__name__)


def prune_events(database: Database, before: datetime) -> dict[str, int]:
    """Delete the events before a moment (UTC) and return the number of rows by table."""
    with database.transaction() as cursor:
        keep_counts(cursor, "happened_at < $end", {"end": before})
        deleted = {}
        for table in EVENT_TABLES:
            sql = f"DELETE FROM {table} WHERE happened_at < $before"
            deleted[table] = int(cursor.execute(sql, {"before": before}).fetchall()[0][0])
        if any(deleted.values()):
            database.erase_deleted_rows()
    return deleted


def keep_counts(cursor: duckdb.DuckDBPyConnection, where: str, values: Mapping[str, object]) -> None:
    """Add the searches that match to the counts of their hours, before they are deleted."""
    ever = {"start": datetime(1970, 1, 1), "end": datetime(9999, 1, 1)}
    cursor.execute(_KEEP_SEARCHES.format(where=where), {**ever, **values})
    cursor.execute(_KEEP_EMPTY_SEARCHES.format(where=where), dict(values))


def compact_telemetry(database: Database, *, now: datetime | None = None) -> None:
    """Merge the counts of single minutes that are more than a week old into counts of hours."""
    before = (now or _now()) - MINUTES_KEPT
    values = {"before": before.replace(minute=0, second=0, microsecond=0)}
    with database.transaction() as cursor:
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE hours AS SELECT date_trunc('hour', minute), series, label, bucket, "
            f"CAST(sum(amount) AS BIGINT) FROM telemetry WHERE {_MINUTES_TO_COMPACT} GROUP BY ALL",
            values,
        )
        cursor.execute(f"DELETE FROM telemetry WHERE {_MINUTES_TO_COMPACT}", values)
        cursor.execute("INSERT INTO telemetry FROM hours")
        cursor.execute("DROP TABLE hours")


class EventRetention:
    """Deletes old events once a day while a service runs."""

    def __init__(self, database: Database, *, keep_days: int) -> None:
        """Keep events for `keep_days` days; 0 keeps all."""
        self._database = database
        self._keep_days = keep_days
        self._thread = BackgroundThread("retention", self.prune, every_s=PRUNE_EVERY_S)

    def start(self) -> None:
        """Prune now and then once a day, in the background."""
        self._thread.start()

    def prune(self, *, now: datetime | None = None) -> dict[str, int]:
        """Delete old events; return the number of rows by table."""
        compact_telemetry(self._database, now=now)
        if self._keep_days == 0:
            return {}
        deleted = prune_events(self._database, (now or _now()) - timedelta(days=self._keep_days))
        if any(deleted.values()):
            rows = ", ".join(f"{count:,} {table}" for table, count in deleted.items() if count)
            _log.info("deleted events older than %d days: %s", self._keep_days, rows)
        return deleted

    def close(self) -> None:
        """Stop after the current run; closing twice is fine."""
        self._thread.stop(timeout_s=60)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
