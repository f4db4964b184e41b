"""The catalog's DuckDB file: one connection, a cursor a thread, one writer at a time, numbered migrations.

It owns the file and its lock, and brings its schema up to date; it does not know what the rows mean. The traps it
exists for: one DuckDB process locks out every other, and one connection shared by threads gives wrong answers.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from imgsearch.core.errors import CatalogCorrupt, CatalogError, CatalogLocked
from imgsearch.store.schema import MIGRATIONS

__all__ = ["Database", "borrowed_keys", "delete_rows", "insert_frame", "update_from_frame"]

PARAMETERS_PER_STATEMENT = 900

_log = logging.getLogger(__name__)


class Database:
    """A DuckDB file held by this process alone.

    Reads go through `cursor()` (one for each thread, autocommit), writes through `transaction()`, one at a time.
    """

    def __init__(self, folder: Path) -> None:
        """Open `folder`/catalog.duckdb, creating or migrating it.

        Raises `CatalogLocked` naming the holder when another process (or another `Database` in this one) has it,
        `CatalogError` when its schema is newer than this program, `CatalogCorrupt` when DuckDB cannot read it.
        """
        self.path = folder / "catalog.duckdb"
        self._holder_file = folder / "writer.json"
        self._erase_file = folder / "erase-wanted"
        # Not the usual lock a thread: one thread may close what another has opened.
        self._lock = FileLock(folder / "writer.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CatalogLocked(
                f"The catalog {folder} is in use by {self._holder()}; stop it, or use its web page or HTTP API."
            ) from None
        except OSError as error:
            raise CatalogError(
                f"The catalog {folder} cannot be written: {error.strerror or error}."
            ) from error
        self._write = threading.RLock()
        self._local = threading.local()
        try:
            self._holder_file.write_text(json.dumps(_this_process()), encoding="utf-8")
            self._erase()  # what a killed process did not get to
            self._connection = self._connect()
            with self.translated_errors():
                self._migrate()
        except BaseException:
            self._lock.release()
            raise

    def _connect(self) -> duckdb.DuckDBPyConnection:
        with self.translated_errors():
            connection = duckdb.connect(str(self.path))
            # Nothing that reaches SQL may open files or the network: only this database and our own data frames.
            connection.execute("SET enable_external_access = false")
            connection.execute("SET autoinstall_known_extensions = false")
            connection.execute("SET preserve_insertion_order = true")
        return connection

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn what DuckDB raises when the file is opened and first read into `CatalogLocked` or `CatalogCorrupt`."""
        try:
            yield
        except duckdb.Error as error:
            if "could not set lock" in str(error).lower():
                raise CatalogLocked(
                    f"The database {self.path} is open in another process; close that program first."
                ) from error
            raise CatalogCorrupt(f"The database {self.path} cannot be read: {_first_line(error)}") from error

    def _migrate(self) -> None:
        with self.transaction() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
            row = cursor.execute("SELECT max(version) FROM schema_version").fetchone()
            version = row[0] if row and row[0] is not None else 0
            if version > len(MIGRATIONS):
                raise CatalogError(
                    f"The catalog {self.path.parent} was written by a newer imgsearch (schema {version}, this "
                    f"program knows {len(MIGRATIONS)}); update imgsearch."
                )
            for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                cursor.execute(statements)
                cursor.execute("INSERT INTO schema_version VALUES (?)", [number])

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return this thread's cursor."""
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._connection.cursor()
            self._local.cursor = cursor
        return cursor

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor inside a transaction: committed at the end, rolled back by any exception.

        Transactions of different threads wait for each other; one inside another joins it.
        """
        with self._write:
            cursor = self.cursor()
            if getattr(self._local, "depth", 0):
                yield cursor
                return
            cursor.execute("BEGIN TRANSACTION")
            self._local.depth = 1
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error, RuntimeError):  # a COMMIT that failed has rolled back already
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self._local.depth = 0

    @property
    def erasing(self) -> bool:
        """Whether deleted rows are still to be erased from the file."""
        return self._erase_file.exists()

    def erase_deleted_rows(self) -> None:
        """Ask that the bytes of deleted rows leave the file: when it is closed, or opened after a kill.

        DuckDB marks rows as deleted and leaves them in blocks that others share, whatever is checkpointed. So the
        file is written anew, which needs it for itself alone, and room for a second one.
        """
        self._erase_file.touch()

    def _erase(self) -> None:
        """Write the file anew, without the bytes of deleted rows, where that was asked for.

        Where it fails (no room), the old file stays as it is and the wish too, for the next time.
        """
        if not self.erasing or not self.path.exists():
            return
        part, log = self.path.with_name(self.path.name + ".part"), Path(f"{self.path}.wal")
        try:
            part.unlink(missing_ok=True)
            with duckdb.connect(":memory:") as connection:
                connection.execute(f"ATTACH {_quoted(self.path)} AS old")
                connection.execute("CHECKPOINT old")
                connection.execute(f"ATTACH {_quoted(part)} AS new")
                connection.execute("COPY FROM DATABASE old TO new")
                connection.execute("DETACH new")
                connection.execute("DETACH old")
            if log.exists():
                raise OSError(f"{log} is still there")
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(self.path)
            self._erase_file.unlink()
        except (OSError, duckdb.Error):
            _log.exception("the bytes of deleted rows could not be erased from %s", self.path)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def close(self) -> None:
        """Write what is pending, close the file and give the lock back; closing twice is fine."""
        with self._write:
            if not self._lock.is_locked:
                return
            self._connection.close()
            self._erase()
            self._holder_file.unlink(missing_ok=True)
            self._lock.release()

    def _holder(self) -> str:
        try:
            holder = json.loads(self._holder_file.read_text(encoding="utf-8"))
            return (
                f"process {holder['pid']} on {holder['host']} ({holder['command']}, since {holder['since']})"
            )
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def insert_frame(cursor: duckdb.DuckDBPyConnection, table: str, frame: pd.DataFrame) -> None:
    """Append a data frame to a table of ours, column by position; far faster than row by row."""
    cursor.register("incoming_rows", frame)
    try:
        cursor.execute(f"INSERT INTO {table} SELECT * FROM incoming_rows")
    finally:
        cursor.unregister("incoming_rows")


def delete_rows(
    cursor: duckdb.DuckDBPyConnection, table: str, column: str, values: Sequence[str | int]
) -> None:
    """Delete the rows of a table whose `column` has one of the values."""
    for start in range(0, len(values), PARAMETERS_PER_STATEMENT):
        part = list(values[start : start + PARAMETERS_PER_STATEMENT])
        cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({', '.join('?' for _ in part)})", part)


@contextmanager
def borrowed_keys(
    cursor: duckdb.DuckDBPyConnection, name: str, keys: NDArray[np.uint64]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a cursor, for reading what is committed, that also has a table `name` of one column, `key`.

    As a parameter, DuckDB takes 2 microseconds a key. It is a cursor of its own: one that has not given all of its
    last result takes no table.
    """
    with cursor.cursor() as own:
        own.register(name, pd.DataFrame({"key": keys}))
        yield own


def update_from_frame(cursor: duckdb.DuckDBPyConnection, table: str, by: str, frame: pd.DataFrame) -> None:
    """Set the frame's columns in the rows of our table that agree in the column `by`: one statement for them all."""
    settings = ", ".join(f"{name} = incoming_rows.{name}" for name in frame.columns if name != by)
    cursor.register("incoming_rows", frame)
    try:
        cursor.execute(
            f"UPDATE {table} SET {settings} FROM incoming_rows WHERE {table}.{by} = incoming_rows.{by}"
        )
    finally:
        cursor.unregister("incoming_rows")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _this_process() -> dict[str, object]:
    command = " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:3]])
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": command[:120],
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
