"""Feedback: append-only rows that survive a kill, and the latest judgment as a query."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgsearch.core.errors import FeedbackError
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, Judgment, SearchResult
from imgsearch.store.database import Database
from imgsearch.store.feedback import FeedbackLog


@pytest.fixture
def log(database: Database) -> Iterator[FeedbackLog]:
    opened = FeedbackLog(database)
    yield opened
    opened.close()


def result(search_id: str = "s1", hits: int = 3) -> SearchResult:
    found = tuple(Hit(f"{rank}.jpg", rank, 1 / rank, rank, "/x") for rank in range(1, hits + 1))
    return SearchResult(Query.of(text="red"), found, "test:encoder", 7, hits, {"total": 1.5}, search_id)


def rows(database: Database, sql: str) -> list[Any]:
    return database.cursor().execute(sql).fetchall()


def test_every_hit_shown_becomes_one_row(log: FeedbackLog, database: Database) -> None:
    log.record_impressions(result(), "text=red", visitor="v", arm="b")
    log.flush()
    columns = "search_id, visitor, query_key, encoder, generation, arm, item_id, rank, score"
    found = rows(database, f"SELECT {columns} FROM impressions ORDER BY rank")
    assert found[0] == ("s1", "v", "text=red", "test:encoder", 7, "b", "1.jpg", 1, 1.0)
    assert [row[7] for row in found] == [1, 2, 3]


def test_impressions_are_written_in_the_background(log: FeedbackLog, database: Database) -> None:
    log.record_impressions(result(), "text=red")
    give_up = time.monotonic() + 60
    while not rows(database, "FROM impressions") and time.monotonic() < give_up:
        time.sleep(0.02)
    assert len(rows(database, "FROM impressions")) == 3


def test_a_search_without_hits_writes_no_row(log: FeedbackLog) -> None:
    log.record_impressions(result(hits=0), "text=red")
    assert log.counts() == {"impressions": 0, "clicks": 0, "judgments": 0}


def test_close_flushes_the_queue_and_is_idempotent(database: Database) -> None:
    log = FeedbackLog(database)
    log.record_impressions(result(), "text=red")
    log.close()
    log.close()
    assert len(rows(database, "FROM impressions")) == 3


def test_many_threads_lose_no_row(log: FeedbackLog) -> None:
    def record(number: int) -> None:
        for step in range(10):
            log.record_impressions(result(f"{number}-{step}"), "text=red")
            log.record_click(search_id="s", item_id="a", rank=1)
            log.record_judgment(Judgment("text=red", "a", "good", str(number)))

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.counts() == {"impressions": 180, "clicks": 60, "judgments": 60}


def test_nothing_is_overwritten_and_the_latest_judgment_of_each_labeler_counts(
    log: FeedbackLog, database: Database
) -> None:
    for labeler, verdict in (("a", "good"), ("b", "bad"), ("a", "bad"), ("a", "cant_tell")):
        log.record_judgment(Judgment("text=red", "1.jpg", verdict, labeler))  # type: ignore[arg-type]
    log.record_judgment(Judgment("text=blue", "1.jpg", "good", "a"))
    latest = log.latest_judgments()
    assert latest[["query_key", "labeler", "verdict"]].to_numpy().tolist() == [
        ["text=blue", "a", "good"],
        ["text=red", "a", "cant_tell"],
        ["text=red", "b", "bad"],
    ]
    assert len(rows(database, "FROM judgments")) == 5


def test_the_latest_of_judgments_in_the_same_microsecond_is_the_one_recorded_last(
    log: FeedbackLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import datetime

    monkeypatch.setattr("imgsearch.store.feedback.utc_now", lambda: datetime(2024, 1, 1))
    for verdict in ("good", "bad", "good", "bad"):
        log.record_judgment(Judgment("q", "i", verdict, "l"))  # type: ignore[arg-type]
    assert log.latest_judgments()["verdict"].tolist() == ["bad"]


KILLED = """
import os, signal, sys
from pathlib import Path
from imgsearch.store.database import Database
from imgsearch.store.feedback import FeedbackLog
from imgsearch.core.records import Judgment
log = FeedbackLog(Database(Path(sys.argv[1])))
for number in range(5):
    log.record_judgment(Judgment("q", f"{number}.jpg", "good", "labeler"))
log.record_click(search_id="s", item_id="a", rank=1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_judgments_and_clicks_survive_a_kill_right_after_the_call(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True)
    assert process.returncode == -9, process.stderr
    database = Database(tmp_path)
    log = FeedbackLog(database)
    assert log.counts() == {"impressions": 0, "clicks": 1, "judgments": 5}
    log.close()
    database.close()


SHOWING = """
import sys, time
from pathlib import Path
from imgsearch.store.database import Database
from imgsearch.store.feedback import FeedbackLog
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, SearchResult
log = FeedbackLog(Database(Path(sys.argv[1])))
hits = tuple(Hit(f"{rank}.jpg", rank, 0.5, rank, "/x") for rank in range(1, 25))
for number in range(100_000):
    shown = SearchResult(Query.of(text="red"), hits, "e", 1, 24, {"total": 1.0}, str(number))
    log.record_impressions(shown, "text=red")
    print(number, time.time(), flush=True)
    time.sleep(0.01)
"""


@pytest.mark.slow
def test_a_kill_loses_at_most_one_second_of_impressions_and_never_part_of_a_search(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SHOWING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    recorded = []
    for line in process.stdout:
        number, moment = line.split()
        recorded.append((int(number), float(moment)))
        if recorded[-1][1] - recorded[0][1] > 4:
            process.kill()
    killed_at = recorded[-1][1]
    process.wait()
    database = Database(tmp_path)
    kept = dict(rows(database, "SELECT search_id, count(*) FROM impressions GROUP BY search_id"))
    database.close()
    assert set(kept.values()) == {24}, "a search is there with all its hits or not at all"
    # One second, plus one for a loaded machine.
    assert {number for number, moment in recorded if moment < killed_at - 2} <= set(map(int, kept))


@pytest.mark.slow
def test_a_server_flushes_its_impressions_on_sigterm(colour_catalog: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "imgsearch",
        "serve",
        "--catalog",
        str(colour_catalog),
        "--port",
        str(port),
    ]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/api/v1/search?item=mug/red-0.jpg&n=7"
        give_up = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < give_up:
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=30):
                break
            time.sleep(0.2)
        server.terminate()
        server.wait(240)
    finally:
        server.kill()
    database = Database(colour_catalog)
    assert rows(database, "SELECT count(*) FROM impressions") == [(7,)]
    database.close()


def test_an_empty_first_page_writes_a_row_and_an_empty_later_page_does_not(
    log: FeedbackLog, database: Database
) -> None:
    from dataclasses import replace

    log.record_impressions(result("nothing", hits=0), "text=red&filter=price<0", visitor="v")
    page = result("further", hits=0)
    log.record_impressions(replace(page, query=replace(page.query, offset=24)), "text=red")
    log.flush()
    found = rows(database, "SELECT search_id, visitor, query_key, total_ms FROM empty_searches")
    assert found == [("nothing", "v", "text=red&filter=price<0", 1.5)]


def test_an_unwritable_queue_stays_bounded_and_reports_dropped_rows(
    log: FeedbackLog, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.store.feedback.MAX_QUEUED", 10)
    log.close()  # stops the background writer
    for number in range(5):
        log.record_impressions(result(str(number)), "text=red")
    state = log.state()
    assert (state.queued, state.lost) == (10, 5)
    log.flush()
    assert [
        row[0] for row in rows(database, "SELECT DISTINCT search_id FROM impressions ORDER BY 1")
    ] == list("1234")
    assert log.state().queued == 0
    assert log.state().written == 10


@pytest.mark.parametrize(
    "judgment",
    [
        Judgment("", "i", "good", "l"),
        Judgment("q", " ", "good", "l"),
        Judgment("q", "i", "good", ""),
        Judgment("q", "i", "excellent", "l"),  # type: ignore[arg-type]
        Judgment("q" * 1_000_000, "i", "good", "l"),
        Judgment("q", "i", "good", "l" * 1001),
        Judgment("q", "i", "good", "\ud800"),
        Judgment("q", 5, "good", "l"),  # type: ignore[arg-type]
        Judgment("q", "i", ["good"], "l"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_judgment_is_refused_and_not_recorded(log: FeedbackLog, judgment: Judgment) -> None:
    with pytest.raises(FeedbackError):
        log.record_judgment(judgment)
    assert log.counts()["judgments"] == 0


@pytest.mark.parametrize(
    "click",
    [
        {"item_id": ""},
        {"rank": -1},
        {"rank": 2**40},
        {"action": ""},
        {"visitor": "x" * 5000},
        {"search_id": "\udfff"},
    ],
)
def test_an_invalid_click_is_refused_and_not_recorded(log: FeedbackLog, click: dict[str, Any]) -> None:
    given: dict[str, Any] = {"search_id": "s", "item_id": "a", "rank": 1}
    with pytest.raises(FeedbackError):
        log.record_click(**{**given, **click})
    assert log.counts()["clicks"] == 0


def test_a_failed_write_keeps_the_impressions_for_the_next(
    log: FeedbackLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("imgsearch.store.feedback.insert_frame", fail)
        log.record_impressions(result(), "text=red")
        with pytest.raises(OSError, match="full"):
            log.flush()
    assert log.counts()["impressions"] == 3
