"""Finds and deletes the rows of one visitor.

Rows of tables with a `visitor` or `labeler` column are deleted; their searches stay as counts in `telemetry`. Rows of
tables with an `author` column stay without the name, because rules remain valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgsearch.core.errors import FeedbackError
from imgsearch.core.text import check_text
from imgsearch.improve.monitoring.retention import keep_counts
from imgsearch.store.database import Database
from imgsearch.store.feedback import MAX_TEXT

if TYPE_CHECKING:
    import duckdb

__all__ = ["ForgottenVisitor", "author_name", "forget_visitor", "rows_of_visitor"]

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
        keep_counts(cursor, "visitor = $visitor", {"visitor": visitor})
        for table, column in _tables_with(cursor, _VISITOR_COLUMNS):
            cursor.execute(f"DELETE FROM {table} WHERE {column} = ?", [visitor])
        unsigned = _count_rows(cursor, ["author"], _authors(visitor))
        for table in unsigned:
            cursor.execute(f"UPDATE {table} SET author = '' WHERE author IN (?, ?)", _authors(visitor))
        if rows or unsigned:
            database.erase_deleted_rows()
    return ForgottenVisitor(rows, tuple(upload for (upload,) in found), unsigned)


def _tables_with(cursor: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> list[tuple[str, str]]:
    return cursor.execute(_TABLES_WITH_COLUMNS, [list(columns)]).fetchall()


def _count_rows(
    cursor: duckdb.DuckDBPyConnection, columns: Sequence[str], names: Sequence[str]
) -> dict[str, int]:
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
