"""Deletes events by age, and the rows of one visitor; hourly counts without names stay in `telemetry`.

Events are impressions, empty_searches, clicks and exposures. Judgments have no age limit. A deletion is one
transaction; the bytes leave the file as `Database.erase_deleted_rows` says. Rows with a `visitor` or `labeler` are
deleted with the visitor; rows with an `author` stay without the name, because rules remain valid.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from imgsearch.core.errors import FeedbackError
from imgsearch.core.text import check_text
from imgsearch.improve.monitoring.drift import BINS_TO_1, KIND_OF_QUERY, SCORE_SERIES
from imgsearch.improve.monitoring.overview import FIRST_PAGES
from imgsearch.store.database import Cursor, Database, utc_now
from imgsearch.store.feedback import MAX_TEXT

EVENT_TABLES = ("impressions", "empty_searches", "clicks", "exposures")
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
_UPLOADS_IN_QUERY_KEY = "(?:^|&)(?:upload=|part=[^&]*?%3Aupload(?:%40[^&]*?)?%3A)([0-9a-f]{32})"
"""Matches the ids of uploads in a `query_key`, alone and as a part with a weight or a region."""
_UPLOADS = """
    WITH used AS (
        SELECT visitor, unnest(regexp_extract_all(query_key, $pattern, 1)) AS upload
        FROM (SELECT DISTINCT visitor, query_key FROM impressions WHERE contains(query_key, 'upload')
              UNION SELECT visitor, query_key FROM empty_searches WHERE contains(query_key, 'upload')
              UNION SELECT visitor, value FROM collection_entries WHERE kind = 'query' AND is_in)
    )
    SELECT DISTINCT upload FROM used WHERE visitor = $visitor
    AND upload NOT IN (SELECT upload FROM used WHERE visitor <> $visitor) ORDER BY upload
"""
_TABLES_WITH_COLUMNS = """
    SELECT table_name, column_name FROM duckdb_columns()
    WHERE list_contains(?, column_name) AND NOT internal AND schema_name = 'main'
    AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE NOT temporary) ORDER BY ALL
"""
_VISITOR_COLUMNS = ("visitor", "labeler")

_log = logging.getLogger(__name__)


def prune_events(database: Database, before: datetime) -> dict[str, int]:
    """Delete the events before a moment (UTC) and return the number of rows by table."""
    with database.transaction() as cursor:
        _keep_counts(cursor, "happened_at < $end", {"end": before})
        deleted = {}
        for table in EVENT_TABLES:
            sql = f"DELETE FROM {table} WHERE happened_at < $before"
            deleted[table] = int(cursor.execute(sql, {"before": before}).fetchall()[0][0])
        if any(deleted.values()):
            database.erase_deleted_rows()
    return deleted


def _keep_counts(cursor: Cursor, where: str, values: Mapping[str, object]) -> None:
    """Add the searches that match to the counts of their hours, before they are deleted."""
    ever = {"start": datetime(1970, 1, 1), "end": datetime(9999, 1, 1)}
    cursor.execute(_KEEP_SEARCHES.format(where=where), {**ever, **values})
    cursor.execute(_KEEP_EMPTY_SEARCHES.format(where=where), dict(values))


def compact_telemetry(database: Database, *, now: datetime) -> None:
    """Merge the counts of single minutes that are more than a week old into counts of hours."""
    before = now - MINUTES_KEPT
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


def retain_events(database: Database, keep_days: int, *, now: datetime | None = None) -> dict[str, int]:
    """Compact the telemetry, delete events older than `keep_days` (0 keeps all); return the deleted rows by table."""
    now = now or utc_now()
    compact_telemetry(database, now=now)
    if keep_days == 0:
        return {}
    deleted = prune_events(database, now - timedelta(days=keep_days))
    if any(deleted.values()):
        rows = ", ".join(f"{count:,} {table}" for table, count in deleted.items() if count)
        _log.info("deleted events older than %d days: %s", keep_days, rows)
    return deleted


@dataclass(frozen=True, slots=True)
class ForgottenVisitor:
    """The deleted rows by table, and the ids of uploads that no other visitor used.

    `unsigned` counts the rows that stay without their author's name, by table.
    """

    rows: Mapping[str, int]
    uploads: tuple[str, ...]
    unsigned: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """The number of deleted rows."""
        return sum(self.rows.values())


def author_name(visitor: str) -> str:
    """Return the name under which the rules, verdicts and texts of a visitor of the pages are stored."""
    return f"visitor {visitor[:8]}"


def rows_of_visitor(database: Database, visitor: str) -> dict[str, int]:
    """Return the number of a visitor's rows by table, including rows that only name them as author.

    Tables without any are left out. Raises `FeedbackError` for an empty or invalid id.
    """
    _check_id(visitor)
    cursor = database.cursor()
    return _count_rows(cursor, _VISITOR_COLUMNS, [visitor]) | _count_rows(
        cursor, ["author"], _authors(visitor)
    )


def forget_visitor(database: Database, visitor: str) -> ForgottenVisitor:
    """Delete every row of a visitor, including verdicts under that name, and remove their name as author.

    The caller deletes the pictures of the returned uploads. A visitor without rows is no error. Raises
    `FeedbackError` for an empty or invalid id: the empty one is that of all visitors without an id.
    """
    _check_id(visitor)
    with database.transaction() as cursor:
        rows = _count_rows(cursor, _VISITOR_COLUMNS, [visitor])
        found = cursor.execute(_UPLOADS, {"visitor": visitor, "pattern": _UPLOADS_IN_QUERY_KEY}).fetchall()
        _keep_counts(cursor, "visitor = $visitor", {"visitor": visitor})
        for table, column in _tables_with(cursor, _VISITOR_COLUMNS):
            cursor.execute(f"DELETE FROM {table} WHERE {column} = ?", [visitor])
        unsigned = _count_rows(cursor, ["author"], _authors(visitor))
        for table in unsigned:
            cursor.execute(f"UPDATE {table} SET author = '' WHERE author IN (?, ?)", _authors(visitor))
        if rows or unsigned:
            database.erase_deleted_rows()
    return ForgottenVisitor(rows, tuple(upload for (upload,) in found), unsigned)


def _tables_with(cursor: Cursor, columns: Sequence[str]) -> list[tuple[str, str]]:
    return cursor.execute(_TABLES_WITH_COLUMNS, [list(columns)]).fetchall()


def _count_rows(cursor: Cursor, columns: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Return by table the number of rows with one of the names in one of the columns, where there are any."""
    found = {}
    for table, column in _tables_with(cursor, columns):
        sql = f"SELECT count(*) FROM {table} WHERE list_contains(?, {column})"
        if count := int(cursor.execute(sql, [list(names)]).fetchall()[0][0]):
            found[table] = count
    return found


def _authors(visitor: str) -> list[str]:
    return [visitor, author_name(visitor)]


def _check_id(visitor: str) -> None:
    if not visitor.strip():
        raise FeedbackError(
            "The visitor's id is empty, which stands for every visitor without one; give an id."
        )
    check_text(visitor, "The visitor's id", max_chars=MAX_TEXT, error=FeedbackError)
