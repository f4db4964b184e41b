"""Retention: events that are too old, and everything of one visitor, are deleted; figures without names stay.

It owns what is deleted and when. A deletion is one transaction: rows are counted into `telemetry` (searches, clicked
or not, scores of first hits, by hour), then deleted, all or nothing. Judgments have no age: people made them to last.
The rows are gone for every reader at once; their bytes leave the file as `Database.erase_deleted_rows` says.

    impressions, empty_searches, clicks, exposures   deleted by age, or by visitor
    every other table with a visitor or a labeler    deleted by that name only: a shopper's verdicts have one too
    tables with an author                            the rows stay, as rules hold on; the name is taken off them
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import FeedbackError
from imgsearch.core.text import check_text
from imgsearch.improve.monitoring.drift import BINS_TO_1, SCORE_SERIES
from imgsearch.improve.monitoring.event_sql import FIRST_PAGES, KIND_OF_QUERY
from imgsearch.store.database import Database
from imgsearch.store.feedback import MAX_TEXT

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "Forgotten",
    "Sweeper",
    "author_name",
    "compact_telemetry",
    "forget_visitor",
    "prune_events",
    "rows_of_visitor",
]

EVENT_TABLES = ("impressions", "empty_searches", "clicks", "exposures")
SWEEP_EVERY_S = 24 * 3600.0
MINUTES_KEPT = timedelta(days=7)
"""Counts older than this are kept by the hour."""
_EVER = {"start": datetime(1970, 1, 1), "end": datetime(9999, 1, 1)}

_log = logging.getLogger(__name__)

UPLOADS_IN_ADDRESS = "(?:^|&)(?:upload=|part=[^&]*?%3Aupload(?:%40[^&]*?)?%3A)([0-9a-f]{32})"
"""Finds the ids of uploads in a query's address, alone and as a part with a weight or a region."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted of a visitor: rows by table, and the ids of pictures that nobody else searched by.

    `unsigned` counts the rows that stay without the name of who wrote them, by table.
    """

    rows: Mapping[str, int]
    uploads: tuple[str, ...]
    unsigned: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows were deleted."""
        return sum(self.rows.values())


def author_name(visitor: str) -> str:
    """Return the name under which rules, verdicts and texts of a visitor of the pages are kept."""
    return f"visitor {visitor[:8]}"


def prune_events(database: Database, before: datetime) -> dict[str, int]:
    """Delete the events before a moment (UTC) and return the number of rows by table; their counts are kept."""
    with database.transaction() as cursor:
        _keep_counts(cursor, {**_EVER, "end": before}, "true")
        _keep_empty_counts(cursor, "happened_at < $end", {"end": before})
        deleted = {
            table: _delete(cursor, table, "happened_at < $before", {"before": before})
            for table in EVENT_TABLES
        }
        if any(deleted.values()):
            database.erase_deleted_rows()
    return deleted


def rows_of_visitor(database: Database, visitor: str) -> dict[str, int]:
    """Return how many rows there are of a visitor, by table, also those that only name them as their author.

    Tables without any are left out. Raises `FeedbackError` where `visitor` is no name of one visitor.
    """
    _check(visitor)
    cursor = database.cursor()
    return _rows_of_visitor(cursor, visitor) | _signed_by(cursor, visitor)


def forget_visitor(database: Database, visitor: str) -> Forgotten:
    """Delete every row of a visitor, and verdicts given under that name; the counts of their searches are kept.

    What they wrote for all (rules, guidelines, verdicts on duplicates) stays, without their name. Whoever holds the
    pictures deletes those named in the answer. A visitor without rows is no error. Raises `FeedbackError` where
    `visitor` is no name of one visitor (empty: that is everybody without a name).
    """
    _check(visitor)
    with database.transaction() as cursor:
        rows = _rows_of_visitor(cursor, visitor)
        uploads = _uploads_of_visitor(cursor, visitor)
        _keep_counts(cursor, {**_EVER, "visitor": visitor}, "visitor = $visitor")
        _keep_empty_counts(cursor, "visitor = $visitor", {"visitor": visitor})
        for table, column in _named_tables(cursor):
            _delete(cursor, table, f"{column} = $visitor", {"visitor": visitor})
        unsigned = _signed_by(cursor, visitor)
        for table in unsigned:
            cursor.execute(f"UPDATE {table} SET author = '' WHERE author IN (?, ?)", _authors(visitor))
        if rows or unsigned:
            database.erase_deleted_rows()
    return Forgotten(rows, uploads, unsigned)


def compact_telemetry(database: Database, *, now: datetime | None = None) -> None:
    """Join the counts of single minutes that are more than a week old to counts of hours."""
    before = (now or _now()) - MINUTES_KEPT
    of_the_hours = """
        minute < $before AND date_trunc('hour', minute) IN (
            SELECT date_trunc('hour', minute) FROM telemetry
            WHERE minute < $before AND minute <> date_trunc('hour', minute)
        )
    """
    values = {"before": before.replace(minute=0, second=0, microsecond=0)}
    with database.transaction() as cursor:
        cursor.execute(
            "CREATE OR REPLACE TEMP TABLE hours AS SELECT date_trunc('hour', minute), series, label, bucket, "
            f"CAST(sum(amount) AS BIGINT) FROM telemetry WHERE {of_the_hours} GROUP BY ALL",
            values,
        )
        cursor.execute(f"DELETE FROM telemetry WHERE {of_the_hours}", values)
        cursor.execute("INSERT INTO telemetry FROM hours")
        cursor.execute("DROP TABLE hours")


class Sweeper:
    """Deletes what is too old once a day while a service runs."""

    def __init__(self, database: Database, *, keep_days: int) -> None:
        """Keep events for `keep_days` days, or for ever where that is 0."""
        self._database = database
        self._keep_days = keep_days
        self._thread = BackgroundThread("retention", self._run, every_s=SWEEP_EVERY_S)

    def start(self) -> None:
        """Sweep now and then once a day, in the background."""
        self._thread.start()

    def sweep(self, *, now: datetime | None = None) -> dict[str, int]:
        """Delete what is too old; return the number of rows by table."""
        compact_telemetry(self._database, now=now)
        if self._keep_days == 0:
            return {}
        return prune_events(self._database, (now or _now()) - timedelta(days=self._keep_days))

    def close(self) -> None:
        """Stop, after the sweep that is going on; closing twice is fine."""
        self._thread.stop(timeout_s=60)

    def _run(self) -> None:
        deleted = self.sweep()
        if any(deleted.values()):
            _log.info("deleted events older than %d days: %s", self._keep_days, _in_words(deleted))


def _keep_counts(cursor: duckdb.DuckDBPyConnection, values: Mapping[str, object], chosen: str) -> None:
    """Add the searches that are about to be deleted to the counts of their hours."""
    cursor.execute(
        f"""
        INSERT INTO telemetry WITH {FIRST_PAGES},
        chosen AS (
            SELECT *, date_trunc('hour', happened_at) AS hour, {KIND_OF_QUERY} AS kind FROM searches WHERE {chosen}
        )
        SELECT hour, 'searches', '', 0, count(*) FROM chosen GROUP BY hour
        UNION ALL SELECT hour, 'unclicked', '', 0, count(*) FROM chosen WHERE NOT was_clicked GROUP BY hour
        UNION ALL SELECT hour, '{SCORE_SERIES}', kind || ' ' || encoder,
                         CAST(floor(score * {BINS_TO_1}) AS INTEGER) AS bin, count(*)
                  FROM chosen GROUP BY hour, kind, encoder, bin
        """,
        values,
    )


def _keep_empty_counts(cursor: duckdb.DuckDBPyConnection, chosen: str, values: Mapping[str, object]) -> None:
    """Add the searches without hits that are about to be deleted to the counts of their hours."""
    cursor.execute(
        f"""
        INSERT INTO telemetry SELECT date_trunc('hour', happened_at) AS hour, series, '', 0, count(*)
        FROM empty_searches, (VALUES ('searches'), ('unclicked'), ('empty')) AS kept (series)
        WHERE {chosen} GROUP BY hour, series
        """,
        values,
    )


def _named_tables(
    cursor: duckdb.DuckDBPyConnection, columns: Sequence[str] = ("visitor", "labeler")
) -> list[tuple[str, str]]:
    """Return every table that names people, with the column that does."""
    sql = """
        SELECT table_name, column_name FROM duckdb_columns()
        WHERE list_contains(?, column_name) AND NOT internal AND schema_name = 'main'
        AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE NOT temporary) ORDER BY ALL
    """
    return [(str(table), str(column)) for table, column in cursor.execute(sql, [list(columns)]).fetchall()]


def _rows_of_visitor(cursor: duckdb.DuckDBPyConnection, visitor: str) -> dict[str, int]:
    return _counts(cursor, _named_tables(cursor), [visitor])


def _signed_by(cursor: duckdb.DuckDBPyConnection, visitor: str) -> dict[str, int]:
    """Return how many rows a visitor is the author of, by table."""
    return _counts(cursor, _named_tables(cursor, ["author"]), _authors(visitor))


def _authors(visitor: str) -> list[str]:
    return [visitor, author_name(visitor)]


def _counts(
    cursor: duckdb.DuckDBPyConnection, tables: Sequence[tuple[str, str]], names: Sequence[str]
) -> dict[str, int]:
    found = {}
    for table, column in tables:
        sql = f"SELECT count(*) FROM {table} WHERE list_contains(?, {column})"
        row = cursor.execute(sql, [list(names)]).fetchone()
        if row and row[0]:
            found[table] = int(row[0])
    return found


def _uploads_of_visitor(cursor: duckdb.DuckDBPyConnection, visitor: str) -> tuple[str, ...]:
    sql = """
        WITH used AS (
            SELECT visitor, unnest(regexp_extract_all(query_key, $pattern, 1)) AS upload
            FROM (SELECT DISTINCT visitor, query_key FROM impressions WHERE contains(query_key, 'upload')
                  UNION SELECT visitor, query_key FROM empty_searches WHERE contains(query_key, 'upload')
                  UNION SELECT visitor, value FROM collection_entries WHERE kind = 'query' AND is_in)
        )
        SELECT DISTINCT upload FROM used WHERE visitor = $visitor
        AND upload NOT IN (SELECT upload FROM used WHERE visitor <> $visitor) ORDER BY upload
    """
    given = {"visitor": visitor, "pattern": UPLOADS_IN_ADDRESS}
    return tuple(upload for (upload,) in cursor.execute(sql, given).fetchall())


def _delete(cursor: duckdb.DuckDBPyConnection, table: str, chosen: str, values: Mapping[str, object]) -> int:
    row = cursor.execute(f"DELETE FROM {table} WHERE {chosen}", values).fetchone()
    return int(row[0]) if row else 0


def _check(visitor: str) -> None:
    if not visitor.strip():
        raise FeedbackError("The visitor's id is empty; that is every visitor without one. Name one visitor.")
    check_text(visitor, "The visitor's id", max_chars=MAX_TEXT, error=FeedbackError)


def _in_words(deleted: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {table}" for table, count in deleted.items() if count)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
