"""The database file: one holder at a time, reported by name; one cursor per thread; atomic transactions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from imgsearch.core.errors import CatalogCorrupt, CatalogError, CatalogLocked
from imgsearch.store import database
from imgsearch.store.database import MIGRATIONS, Database, insert_frame, update_from_frame

HOLD = """
import sys, time
from pathlib import Path
from imgsearch.store.database import Database
database = Database(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(60)
"""


def test_migrations_are_numbered_without_a_gap() -> None:
    folder = Path(database.__file__).parent / "migrations"
    assert sorted(int(path.name[:2]) for path in folder.glob("*.sql")) == list(range(1, len(MIGRATIONS) + 1))


def test_a_second_process_is_refused_naming_the_first(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(CatalogLocked, match=f"process {holder.pid} on ") as refused:
            Database(tmp_path)
        assert "\n" not in str(refused.value)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    # A killed holder leaves no stale lock.
    Database(tmp_path).close()


def test_a_second_opening_in_the_same_process_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with pytest.raises(CatalogLocked, match=f"process {os.getpid()}"):
        Database(tmp_path)
    database.close()
    database.close()
    Database(tmp_path).close()


def test_a_file_held_by_another_program_is_not_reported_as_corrupt(tmp_path: Path) -> None:
    Database(tmp_path).close()
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "catalog.duckdb")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(CatalogLocked, match="another process"):
        Database(tmp_path)
    holder.communicate("\n")
    Database(tmp_path).close()


def test_a_locked_database_with_an_unreadable_holder_note_is_reported_as_locked(tmp_path: Path) -> None:
    database = Database(tmp_path)
    (tmp_path / "writer.json").write_text("[1, 2")
    with pytest.raises(CatalogLocked, match="another process"):
        Database(tmp_path)
    database.close()


def test_the_lock_is_released_if_opening_fails(tmp_path: Path) -> None:
    (tmp_path / "catalog.duckdb").write_bytes(b"garbage" * 5000)
    for _ in range(2):
        with pytest.raises(CatalogCorrupt):
            Database(tmp_path)


def test_a_newer_schema_is_refused_with_the_advice_to_update(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with database.transaction() as cursor:
        cursor.execute("INSERT INTO schema_version VALUES (?)", [len(MIGRATIONS) + 1])
    database.close()
    with pytest.raises(CatalogError, match="update imgsearch"):
        Database(tmp_path)


def test_opening_again_runs_no_migration_twice(tmp_path: Path) -> None:
    Database(tmp_path).close()
    database = Database(tmp_path)
    rows = database.cursor().execute("SELECT version FROM schema_version ORDER BY version").fetchall()
    assert [row[0] for row in rows] == list(range(1, len(MIGRATIONS) + 1))
    database.close()


def test_an_exception_rolls_the_transaction_back_and_the_next_one_works(tmp_path: Path) -> None:
    database = Database(tmp_path)

    def fail() -> None:
        with database.transaction() as cursor:
            cursor.execute("INSERT INTO settings VALUES ('a', '1')")
            with database.transaction() as inner:
                inner.execute("INSERT INTO settings VALUES ('b', '2')")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    with pytest.raises(duckdb.Error), database.transaction() as cursor:
        cursor.execute("INSERT INTO nowhere VALUES (1)")
    with database.transaction() as cursor:
        cursor.execute("INSERT INTO settings VALUES ('c', '3')")
    assert database.cursor().execute("SELECT name FROM settings").fetchall() == [("c",)]
    database.close()


def test_transactions_of_many_threads_neither_conflict_nor_lose_a_row(tmp_path: Path) -> None:
    database = Database(tmp_path)
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                with database.transaction() as cursor:
                    row = cursor.execute("SELECT count(*) FROM settings").fetchone()
                    assert row is not None
                    cursor.execute("INSERT INTO settings VALUES (?, ?)", [str(number), str(row[0])])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    values = database.cursor().execute("SELECT value FROM settings").fetchall()
    assert sorted(int(row[0]) for row in values) == list(range(160))
    database.close()


def test_closing_while_threads_hold_cursors_frees_the_file_for_another_process(tmp_path: Path) -> None:
    database = Database(tmp_path)
    stop, ready = threading.Event(), threading.Barrier(5)

    def read() -> None:
        database.cursor().execute("SELECT count(*) FROM items").fetchall()
        ready.wait()
        stop.wait()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait()
    database.close()
    script = (
        "import sys; from pathlib import Path; from imgsearch.store.database import Database; "
        "Database(Path(sys.argv[1])).close()"
    )
    other = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    stop.set()
    for thread in threads:
        thread.join()
    assert other.returncode == 0, other.stderr


def test_a_database_may_be_closed_by_another_thread_than_its_opener(tmp_path: Path) -> None:
    opened: list[Database] = []
    thread = threading.Thread(target=lambda: opened.append(Database(tmp_path)))
    thread.start()
    thread.join()
    opened[0].close()
    Database(tmp_path).close()


def test_frames_are_inserted_and_updated_by_one_statement(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with database.transaction() as cursor:
        insert_frame(cursor, "settings", pd.DataFrame({"x": ["a", "b"], "y": ["1", "2"]}))
        update_from_frame(cursor, "settings", "name", pd.DataFrame({"name": ["b", "z"], "value": ["3", "4"]}))
    assert database.cursor().execute("FROM settings ORDER BY name").fetchall() == [("a", "1"), ("b", "3")]
    database.close()


def test_sql_can_reach_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    database = Database(tmp_path)
    for statement in (
        f"SELECT * FROM '{tmp_path / 'secret.csv'}'",
        f"COPY items TO '{tmp_path / 'out.csv'}'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            database.cursor().execute(statement)
    database.close()


def test_the_holder_note_is_plain_json_and_is_removed_on_close(tmp_path: Path) -> None:
    database = Database(tmp_path)
    note = json.loads((tmp_path / "writer.json").read_text())
    assert note["pid"] == os.getpid()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", note["since"])
    database.close()
    assert not (tmp_path / "writer.json").exists()
