"""Retention: old events and a visitor's rows are deleted atomically, counts stay, bytes are erased from the file."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from commands import run_in_process

from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import FeedbackError
from imgsearch.core.query import Query, Term
from imgsearch.core.records import Judgment
from imgsearch.improve.monitoring.drift import read_drifts
from imgsearch.improve.monitoring.overview import Period, read_overview
from imgsearch.improve.monitoring.retention import (
    author_name,
    compact_telemetry,
    forget_visitor,
    prune_events,
    retain_events,
    rows_of_visitor,
)
from imgsearch.search.ranking.duplicates import Duplicates
from imgsearch.search.ranking.rules import Rule, Rules
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import Database, insert_frame

START = datetime(2026, 3, 1)
PERIOD = Period(START, START + timedelta(days=20), timedelta(days=1))
ALICE, BOB = "a11ce" + "0" * 27, "b0b" + "0" * 29


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    fill(opened)
    yield opened
    opened.close()


def fill(database: Database, *, others: int = 0) -> None:
    """Add ten days of searches of two visitors, every second one clicked, and all other kinds of their data."""
    rows, clicks = [], []
    for number in range(40):
        visitor, moment = (ALICE, BOB)[number % 2], START + timedelta(hours=6 * number)
        query = f"upload={'ab'[number % 2] * 32}" if number < 2 else f"text=secret+of+{visitor[:4]}"
        for rank in (1, 2):
            rows.append((f"s{number}", moment, visitor, query, "enc", 1, "", f"{rank}.jpg", rank, 0.5, 4.0))
        if number % 4 < 2:
            clicks.append((f"s{number}", moment, visitor, "1.jpg", 1, "open"))
    rows += [
        (uuid.uuid4().hex, START, uuid.uuid4().hex, "text=red", "enc", 1, "", "1.jpg", 1, 0.5, 4.0)
        for _ in range(others)
    ]
    with database.transaction() as cursor:
        for table, values in (("impressions", rows), ("clicks", clicks)):
            insert_frame(
                cursor, table, pd.DataFrame(values, columns=[f"c{n}" for n in range(len(values[0]))])
            )
        cursor.execute("INSERT INTO empty_searches VALUES ('e', ?, ?, 'text=nothing', 1.0)", [START, ALICE])
        cursor.execute(
            "INSERT INTO judgments VALUES (?, 'text=red', '1.jpg', 'good', ?, NULL)", [START, ALICE]
        )


def count(database: Database, table: str, where: str = "true") -> int:
    row = database.cursor().execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()
    assert row is not None
    return int(row[0])


def figures(database: Database) -> tuple[object, ...]:
    found = read_overview(database, PERIOD)
    return found.searches, found.unclicked, found.empty, [moment.searches for moment in found.moments]


def test_pruning_deletes_events_and_keeps_their_counts(database: Database) -> None:
    before = figures(database)
    deleted = prune_events(database, START + timedelta(days=5))
    assert deleted == {"impressions": 40, "empty_searches": 1, "clicks": 10, "exposures": 0}
    assert count(database, "impressions") == 40
    assert count(database, "judgments") == 1, "people made them to last"
    assert figures(database) == before
    assert prune_events(database, START + timedelta(days=5)) == dict.fromkeys(deleted, 0)
    assert figures(database) == before


def test_without_old_events_nothing_is_pruned_or_marked_for_erasure(database: Database) -> None:
    assert not any(prune_events(database, START).values())
    assert not database.erasing
    assert count(database, "telemetry") == 0


def test_drift_includes_the_counts_of_deleted_events(database: Database) -> None:
    rows = [
        (
            f"d{n}",
            START + timedelta(days=7 * week, minutes=n),
            "v",
            f"text={n}",
            "enc",
            1,
            "",
            "1.jpg",
            1,
            score,
            1.0,
        )
        for week, score in ((0, 0.5), (5, 0.3))
        for n in range(300)
    ]
    with database.transaction() as cursor:
        insert_frame(cursor, "impressions", pd.DataFrame(rows, columns=[f"c{n}" for n in range(11)]))
    now = START + timedelta(days=40)
    before = read_drifts(database, now=now)
    assert "drifted" in {drift.state for drift in before}
    prune_events(database, START + timedelta(days=20))
    after = read_drifts(database, now=now)
    assert [(drift.kind, drift.state, drift.queries_then) for drift in after] == [
        (drift.kind, drift.state, drift.queries_then) for drift in before
    ]


def test_forgetting_deletes_exactly_one_visitors_data(database: Database) -> None:
    before = figures(database)
    rows = rows_of_visitor(database, ALICE)
    assert rows == {"clicks": 10, "empty_searches": 1, "impressions": 40, "judgments": 1}
    forgotten = forget_visitor(database, ALICE)
    assert (forgotten.rows, forgotten.total) == (rows, 52)
    assert forgotten.uploads == ("a" * 32,)
    assert rows_of_visitor(database, ALICE) == {}
    assert count(database, "impressions", f"visitor = '{BOB}'") == 40
    assert count(database, "clicks") == 10
    assert figures(database) == before
    assert forget_visitor(database, ALICE).total == 0


def test_an_upload_shared_with_another_visitor_is_kept(database: Database) -> None:
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO empty_searches VALUES ('x', ?, ?, ?, 1.0)", [START, BOB, f"upload={'a' * 32}&n=1"]
        )
    assert forget_visitor(database, ALICE).uploads == ()


@pytest.mark.parametrize("visitor", ["", "  ", "x" * 1001, "\ud800"])
def test_an_empty_or_invalid_id_deletes_nothing(database: Database, visitor: str) -> None:
    with pytest.raises(FeedbackError):
        forget_visitor(database, visitor)
    assert count(database, "impressions") == 80


def test_a_hostile_name_is_stored_as_plain_text(database: Database) -> None:
    assert forget_visitor(database, "x' OR '1'='1").total == 0
    assert forget_visitor(database, "%").total == 0
    assert count(database, "impressions") == 80


def test_a_deletion_that_fails_halfway_deletes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(database, "erase_deleted_rows", fail)
        for delete in (lambda: prune_events(database, PERIOD.end), lambda: forget_visitor(database, ALICE)):
            with pytest.raises(OSError, match="full"):
                delete()
    assert (count(database, "impressions"), count(database, "telemetry")) == (80, 0)


def test_the_bytes_of_a_forgotten_visitor_leave_the_file_when_it_is_closed(tmp_path: Path) -> None:
    database = Database(tmp_path)
    # Prevents compression from splitting the ids, which would hide them from this test.
    database.cursor().execute("PRAGMA force_compression = 'uncompressed'")
    fill(database, others=5000)
    database.close()
    # The write-ahead log counts too: it exists until the last reader closes.
    assert ALICE.encode() in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    database = Database(tmp_path)
    forget_visitor(database, ALICE)
    assert database.erasing
    database.close()
    assert not database.erasing
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert ALICE.encode() not in everything
    assert b"secret+of+a11c" not in everything
    database = Database(tmp_path)
    assert count(database, "impressions") == 5040
    assert count(database, "schema_version") > 0
    database.close()


def test_erasing_keeps_every_table_index_and_row_in_order(tmp_path: Path) -> None:
    def everything() -> dict[str, object]:
        database = Database(tmp_path)
        cursor = database.cursor()
        names = cursor.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
        found: dict[str, object] = {
            name: cursor.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names
        }
        found["sql"] = cursor.execute(
            "SELECT sql FROM duckdb_tables() UNION ALL SELECT sql FROM duckdb_indexes() ORDER BY 1"
        ).fetchall()
        database.close()
        return found

    database = Database(tmp_path)
    fill(database)
    database.close()
    before = everything()
    database = Database(tmp_path)
    database.erase_deleted_rows()
    database.close()
    assert everything() == before


def test_a_failed_rewrite_keeps_the_file_and_the_pending_erasure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(tmp_path)
    fill(database)
    forget_visitor(database, ALICE)
    in_the_way = tmp_path / "catalog.duckdb.part"
    in_the_way.mkdir()
    database.close()
    assert database.erasing
    assert "could not be erased" in caplog.text
    in_the_way.rmdir()
    database = Database(tmp_path)  # opening retries
    assert not database.erasing
    assert count(database, "impressions") == 40
    database.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from imgsearch.store.database import Database
from imgsearch.improve.monitoring.retention import forget_visitor
database = Database(Path(sys.argv[1]))
forget_visitor(database, sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_forgetting_survives_a_kill_and_the_next_process_erases(tmp_path: Path) -> None:
    database = Database(tmp_path)
    fill(database)
    database.close()
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), ALICE], check=False)
    assert done.returncode == -9
    database = Database(tmp_path)
    assert rows_of_visitor(database, ALICE) == {}
    database.close()
    assert ALICE.encode() not in database.path.read_bytes()


def test_minutes_become_hours_after_a_week_and_nothing_is_lost(database: Database) -> None:
    with database.transaction() as cursor:
        for minute in range(0, 180, 7):
            cursor.execute(
                "INSERT INTO telemetry VALUES (?, 'stage', 'total', 5, 2)",
                [START + timedelta(minutes=minute)],
            )
    total = "SELECT CAST(sum(amount) AS BIGINT) FROM telemetry"
    before = database.cursor().execute(total).fetchone()
    compact_telemetry(database, now=START + timedelta(days=1))
    assert count(database, "telemetry") == 26
    for _ in range(2):
        compact_telemetry(database, now=START + timedelta(days=9))
        assert count(database, "telemetry") == 3
        assert database.cursor().execute(total).fetchone() == before


def test_the_sweep_deletes_rows_over_the_age_limit_and_none_if_the_limit_is_0(
    database: Database,
) -> None:
    now = START + timedelta(days=15)
    assert retain_events(database, 0, now=now) == {}
    assert retain_events(database, 10, now=now)["impressions"] == 40
    assert count(database, "impressions") == 40


# --- the service and the command ----------------------------------------------------------------------------------


def test_the_service_forgets_a_visitor_with_queued_rows_and_uploads(
    lite_catalog: Path, shared_photos: Path
) -> None:
    service = SearchService.open(Settings.load({}, catalog=lite_catalog))
    try:
        upload_id = service.engine.uploads.add((shared_photos / "mug/red-0.jpg").read_bytes())
        service.search(Query((Term("upload", upload_id),), n=2), visitor=ALICE)
        service.search(Query.of(item="mug/red-0.jpg", n=3), visitor=BOB)
        service.record_judgment(Judgment("text=red", "mug/red-0.jpg", "good", ALICE))
        forgotten = service.monitor.forget_visitor(ALICE)
        assert dict(forgotten.rows) == {"impressions": 2, "judgments": 1}
        assert service.monitor.health().uploads == 0
        assert service.monitor.rows_of_visitor(BOB) == {"impressions": 3}
        assert service.monitor.health().erasing
    finally:
        service.close()
    assert ALICE.encode() not in (lite_catalog / "catalog.duckdb").read_bytes()


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_in_process(list(map(str, arguments)))
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.slow
def test_the_commands_prune_forget_and_summarise(colour_catalog: Path) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        fill(catalog.database)
    catalog_option = ("--catalog", colour_catalog, "--json")
    dry = json.loads(run("events", "forget-visitor", ALICE, "--dry-run", *catalog_option).stdout)
    assert (dry["rows"]["impressions"], dry["dry_run"]) == (40, True)
    forgotten = json.loads(run("events", "forget-visitor", ALICE, *catalog_option).stdout)
    assert forgotten["rows"] == dry["rows"]
    assert ALICE.encode() not in (colour_catalog / "catalog.duckdb").read_bytes()
    assert json.loads(run("events", "forget-visitor", ALICE, *catalog_option).stdout)["rows"] == {}
    assert "no rows" in run("events", "forget-visitor", "nobody", "--catalog", colour_catalog).stdout
    assert (
        json.loads(run("events", "prune", "--older-than", "1h", *catalog_option).stdout)["deleted"][
            "impressions"
        ]
        == 40
    )
    assert json.loads(run("monitor", "--period", "1y", *catalog_option).stdout)["clicks"] == 0
    for wrong in ("180", "-1d", "0d", "1y", ""):
        run("events", "prune", "--older-than", wrong, "--catalog", colour_catalog, code=2)
    run("monitor", "--period", "2h", "--catalog", colour_catalog, code=2)
    assert "is empty" in run("events", "forget-visitor", " ", "--catalog", colour_catalog, code=1).stderr


def test_a_forgotten_visitors_public_texts_are_anonymised(colour_catalog: Path) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        rules = Rules(catalog)
        mine = rules.save(Rule("hide", ("mug/red-0.jpg",)), author=author_name(ALICE))
        rules.save(Rule("hide", ("mug/red-1.jpg",)), author=author_name(BOB))
        Duplicates(catalog).reject(["mug/red-0.jpg", "mug/red-1.jpg"], author=author_name(ALICE))
        assert rows_of_visitor(catalog.database, ALICE) == {"duplicate_verdicts": 1, "rule_changes": 1}
        forgotten = forget_visitor(catalog.database, ALICE)
        assert forgotten.unsigned == {"duplicate_verdicts": 1, "rule_changes": 1}
        assert rows_of_visitor(catalog.database, ALICE) == {}
        assert [change.author for change in rules.history()] == [author_name(BOB), ""]
        assert rules.get(mine.rule_id) == mine
    assert author_name(ALICE).encode() not in (colour_catalog / "catalog.duckdb").read_bytes()
