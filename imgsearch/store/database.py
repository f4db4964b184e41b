"""The catalog's DuckDB file: one connection, one cursor for each thread, one writer at a time, numbered migrations.

One DuckDB process locks out every other, and a cursor shared by threads returns wrong results.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from imgsearch.core.errors import CatalogCorrupt, CatalogError, CatalogLocked
from imgsearch.core.files import flush_to_disk
from imgsearch.core.full_disk import naming_full_disk
from imgsearch.core.key_arrays import Keys
from imgsearch.core.text import error_line
from imgsearch.store.holder import FILE_NAME, Holder

Cursor = duckdb.DuckDBPyConnection

DATABASE_FILE = "catalog.duckdb"
PARAMETERS_PER_STATEMENT = 900
FEW_ROWS = 8
"""Up to this many rows are written by statements with parameters, more by a data frame, which takes milliseconds."""
_COPY_BUFFER_BYTES = 8 << 20

MIGRATIONS = tuple(
    path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "migrations").glob("*.sql"))
)
"""Migration n (the file that begins with n) makes schema n of schema n - 1. Never edit a released one: append."""

_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)

_log = logging.getLogger(__name__)


class Database:
    """A DuckDB file locked by this process; reads go through `cursor()`, writes through `transaction()`.

    In a folder that cannot be written, such as one on a read-only disk, it is `read_only`, and has no lock.
    """

    def __init__(self, folder: Path, *, must_write: bool = False) -> None:
        """Open `folder`/catalog.duckdb, creating or migrating it; with `must_write` never for reads only.

        Raises `CatalogLocked` naming the process (or another `Database` in this one) that has it open,
        `CatalogError` when its schema is newer than this program or older on a read-only disk, `CatalogCorrupt` when
        DuckDB cannot read it.
        """
        self.read_only = False
        self.path = folder / DATABASE_FILE
        self._folder = folder
        self._erase_file = folder / "erase-wanted"
        # Not a lock of one thread: one thread may close what another has opened.
        self._lock = FileLock(folder / "writer.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CatalogLocked(
                f"The catalog {folder} is in use by {self._named_holder()}; stop it, or use its web page or HTTP API."
            ) from None
        except OSError as error:
            if must_write or not self.path.is_file() or error.errno not in _NOT_WRITABLE:
                raise CatalogError(
                    f"The catalog {folder} cannot be written: {error.strerror or error}."
                ) from error
            self.read_only = True
        self._write = threading.RLock()
        self._local = threading.local()
        try:
            if not self.read_only:
                with suppress(OSError):  # a full disk: the file only says who holds the lock
                    Holder.this_process().write(folder)
                self._erase()  # in case a killed process did not
            self._connection = self._connect()
            # Kept open for `copy_to`: to close any file of the database releases DuckDB's lock on it.
            self._file = self.path.open("rb")
            with self.translated_errors():
                self._migrate()
        except BaseException:
            if hasattr(self, "_connection"):
                self._connection.close()
            if hasattr(self, "_file"):
                self._file.close()
            self._lock.release()
            raise

    def _connect(self) -> Cursor:
        with self.translated_errors():
            connection = duckdb.connect(str(self.path), read_only=self.read_only)
            # SQL must not open files or the network: only this database and our own data frames.
            connection.execute("SET enable_external_access = false")
            connection.execute("SET autoinstall_known_extensions = false")
            connection.execute("SET preserve_insertion_order = true")
        return connection

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Translate DuckDB's errors on opening the file into `CatalogLocked` or `CatalogCorrupt`."""
        try:
            yield
        except duckdb.Error as error:
            if "could not set lock" in str(error).lower():
                raise CatalogLocked(f"{self.path} is open in another process; close it first.") from error
            raise CatalogCorrupt(
                f"The database {self.path} cannot be read: {error_line(error, max_chars=300)}"
            ) from error

    def _migrate(self) -> None:
        if self.read_only:
            version = self.value("SELECT max(version) FROM schema_version")
            if version != len(MIGRATIONS):
                raise CatalogError(
                    f"The catalog {self.path.parent} is on a read-only disk and of another version of imgsearch "
                    f"(schema {version}, this program has {len(MIGRATIONS)}); copy it to a disk that can be written."
                )
            return
        with self.transaction() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
            row = cursor.execute("SELECT max(version) FROM schema_version").fetchone()
            version = row[0] if row and row[0] is not None else 0
            if version > len(MIGRATIONS):
                raise CatalogError(
                    f"The catalog {self.path.parent} was written by a newer imgsearch (schema {version}, this "
                    f"program knows {len(MIGRATIONS)}); update imgsearch."
                )
            if 0 < version < len(MIGRATIONS):
                self._back_up_schema(version)
            for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                cursor.execute(statements)
                cursor.execute("INSERT INTO schema_version VALUES (?)", [number])

    def _back_up_schema(self, version: int) -> None:
        """Keep a copy of the file before its schema changes, as `catalog.duckdb.schemaN.bak`."""
        kept = self.path.with_name(f"{self.path.name}.schema{version}.bak")
        if kept.exists():
            return
        try:
            with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=".upgrade-") as work:
                self.copy_to(Path(work))
                with duckdb.connect(str(Path(work) / DATABASE_FILE)) as copied:
                    copied.execute("CHECKPOINT")  # the log becomes part of the file
                flush_to_disk(Path(work) / DATABASE_FILE)
                (Path(work) / DATABASE_FILE).replace(kept)
        except (OSError, duckdb.Error) as error:
            raise CatalogError(
                f"The catalog {self.path.parent} must be upgraded, but its database cannot be copied first "
                f"({error_line(error)}); free some disk space."
            ) from error

    def copy_to(self, folder: Path) -> None:
        """Copy the committed state into an existing folder: the file, and the log of what it does not hold yet.

        Changes wait meanwhile, reads do not. Raises OSError.
        """
        with self._write:
            self._file.seek(0)
            with (folder / DATABASE_FILE).open("wb") as copied:
                shutil.copyfileobj(self._file, copied, _COPY_BUFFER_BYTES)
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{self.path}.wal", folder / f"{DATABASE_FILE}.wal")

    def cursor(self) -> Cursor:
        """Return this thread's cursor."""
        cursor: Cursor | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._connection.cursor()
            self._local.cursor = cursor
        return cursor

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """Return the first value of the first row of a query."""
        # All rows: a cursor reads no data frame while its last result is not read to the end.
        rows = self.cursor().execute(sql, list(values)).fetchall()
        return rows[0][0] if rows else None

    def keys(self, sql: str, values: Sequence[Any] = ()) -> Keys:
        """Return the column `key` of a query, in its order."""
        return np.asarray(self.cursor().execute(sql, list(values)).fetchnumpy()["key"], np.uint64)

    @contextmanager
    def transaction(self, *, then: Callable[[], None] | None = None) -> Iterator[Cursor]:
        """Yield a cursor in a transaction: committed at the end, rolled back by any exception.

        Transactions of different threads wait for each other; a nested one joins the outer one. `then` is called
        once the outermost one is committed, before another transaction begins, so that caches change in its order.
        """
        self.check_writable()
        with self._write:
            cursor = self.cursor()
            if getattr(self._local, "depth", 0):
                yield cursor
                self._local.then += [then] if then else []
                return
            cursor.execute("BEGIN TRANSACTION")
            self._local.depth, self._local.then = 1, []
            try:
                with naming_full_disk(self._folder):
                    yield cursor
                    cursor.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error, RuntimeError):  # a failed COMMIT has rolled back already
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self._local.depth = 0
            for call in [*self._local.then, *([then] if then else [])]:
                call()

    def check_writable(self) -> None:
        """Raise `CatalogError` where the file was opened for reads only."""
        if self.read_only:
            raise CatalogError(
                f"The catalog {self.path.parent} is on a disk that cannot be written: "
                "it can be searched, not changed."
            )

    @property
    def erasing(self) -> bool:
        """Whether the bytes of deleted rows are still in the file, to be erased."""
        return self._erase_file.exists()

    def erase_deleted_rows(self) -> None:
        """Request that the bytes of deleted rows are erased when the file is closed, or opened after a kill.

        DuckDB marks rows as deleted and leaves them in shared blocks, even after a checkpoint. So the file must be
        rewritten, which needs exclusive access and disk space for a second file.
        """
        self._erase_file.touch()

    def _erase(self) -> None:
        """Rewrite the file without deleted rows, if requested; a failure (disk full) leaves all for the next time."""
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
        """Close the file and release the lock; closing twice is fine."""
        with self._write:
            if self.read_only:
                self._connection.close()
                self._file.close()
            if not self._lock.is_locked:
                return
            self._connection.close()
            self._file.close()
            self._erase()
            (self._folder / FILE_NAME).unlink(missing_ok=True)
            self._lock.release()

    def announce(self, address: str, token: str) -> None:
        """Write into `writer.json` that this process answers at the URL `address`, for requests with the token."""
        replace(Holder.this_process(), address=address, token=token).write(self._folder)

    def _named_holder(self) -> str:
        with suppress(OSError):
            if holder := Holder.read(self._folder):
                return str(holder)
        return "another process"


class CatalogSettings:
    """The table `settings`: texts by name, read from memory and written through; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._values: dict[str, str] = dict(
            database.cursor().execute("SELECT name, value FROM settings").fetchall()
        )

    def get(self, name: str) -> str:
        """Return the value, or "" where there is none."""
        return self._values.get(name, "")

    def save(self, **values: str) -> None:
        """Store the values, all of them or none."""
        changed = {name: value for name, value in values.items() if self.get(name) != value}
        if changed:
            with self._database.transaction() as cursor:
                for name, value in changed.items():
                    cursor.execute("DELETE FROM settings WHERE name = ?", [name])
                    cursor.execute("INSERT INTO settings VALUES (?, ?)", [name, value])
            self._values.update(changed)


def insert_frame(cursor: Cursor, table: str, frame: pd.DataFrame, *, by_name: bool = False) -> None:
    """Append a data frame to a table, column by position or `by_name`; columns it lacks get their defaults."""
    order = " BY NAME" if by_name else ""
    _execute_with(cursor, frame, f"INSERT INTO {table}{order} SELECT * FROM incoming_rows")


def insert_rows(cursor: Cursor, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Append a few rows with these columns: for up to about ten, a data frame takes longer."""
    marks = ", ".join([f"({', '.join('?' for _ in columns)})"] * len(rows))
    names = ", ".join(columns)
    cursor.execute(f"INSERT INTO {table} ({names}) VALUES {marks}", [cell for row in rows for cell in row])


def find_rows(
    cursor: Cursor, table: str, columns: Sequence[str], by: str, values: Sequence[str | int], sql_type: str
) -> list[tuple[Any, ...]]:
    """Return these columns of the rows whose column `by` has one of the values, in no order.

    One value is found by the column's index; a list is joined: IN with a parameter for each value scans all rows,
    19 ms for a million, where a join with the list takes 4. Joining several tables in one query takes longer.
    """
    names = ", ".join(columns)
    if len(values) == 1:
        return cursor.execute(f"SELECT {names} FROM {table} WHERE {by} = ?", list(values)).fetchall()
    wanted = f"(SELECT DISTINCT unnest(?::{sql_type}[]) AS wanted)"
    return cursor.execute(
        f"SELECT {names} FROM {wanted} JOIN {table} ON {table}.{by} = wanted", [list(values)]
    ).fetchall()


def _execute_with(cursor: Cursor, frame: pd.DataFrame, sql: str) -> None:
    """Execute a statement that reads the frame as the table `incoming_rows`."""
    cursor.register("incoming_rows", frame)
    try:
        cursor.execute(sql)
    finally:
        cursor.unregister("incoming_rows")


@contextmanager
def read_with(cursor: Cursor, name: str, frame: pd.DataFrame) -> Iterator[None]:
    """Let the cursor read a data frame as the table `name` within a block, in its transaction."""
    cursor.register(name, frame)
    try:
        yield
    finally:
        cursor.unregister(name)


def delete_rows(cursor: Cursor, table: str, column: str, values: Sequence[str | int]) -> None:
    """Delete the rows of a table whose `column` has one of the values."""
    for start in range(0, len(values), PARAMETERS_PER_STATEMENT):
        part = list(values[start : start + PARAMETERS_PER_STATEMENT])
        cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({', '.join('?' for _ in part)})", part)


@contextmanager
def borrowed_keys(cursor: Cursor, name: str, keys: Keys) -> Iterator[Cursor]:
    """Yield a new cursor, for reading committed rows, with a table `name` of one column, `key`.

    Much faster than a parameter (2 microseconds a key). A new one, since a cursor takes no table while its last
    result is not read to the end.
    """
    with cursor.cursor() as borrowed:
        borrowed.register(name, pd.DataFrame({"key": keys}))
        yield borrowed


def update_from_frame(cursor: Cursor, table: str, by: str, frame: pd.DataFrame) -> None:
    """Set the frame's columns in the rows of a table that are equal in the column `by`, in one statement."""
    settings = ", ".join(f"{name} = incoming_rows.{name}" for name in frame.columns if name != by)
    where = f"{table}.{by} = incoming_rows.{by}"
    _execute_with(cursor, frame, f"UPDATE {table} SET {settings} FROM incoming_rows WHERE {where}")


def utc_now() -> datetime:
    """Return the time in UTC without a time zone, as the database stores it."""
    return datetime.now(UTC).replace(tzinfo=None)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
