"""Replicas: every row of feedback reaches the writer once, and only with the token."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import streamlit
from samples import clustered, raw_items
from streamlit.testing.v1 import AppTest

from imgsearch.app.replicas import ForwardedFeedback, Inbox
from imgsearch.core.config import Settings
from imgsearch.core.errors import CollectionError, ConfigError, FeedbackError, IndexUnavailable, NotAWriter
from imgsearch.core.records import Judgment
from imgsearch.index.opening import open_live_index
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.collections import Collections
from imgsearch.store.database import Database
from imgsearch.store.feedback import FeedbackLog

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from running_app import free_port

TOKEN = "Bearer s3cret"
AT = "2026-01-02T03:04:05"
CLICK = ["clicks", ["search", AT, "anna", "1.jpg", 1, "open"]]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    database = Database(tmp_path)
    feedback = FeedbackLog(database)
    yield feedback
    feedback.close()
    database.close()


def test_a_repeated_batch_is_written_once(log: FeedbackLog) -> None:
    inbox = Inbox(log, "s3cret")
    judged = ["judgments", [AT, "item=1.jpg", "2.jpg", "good", "anna", None]]
    shown = ["impressions", ["search", AT, "anna", "item=1.jpg", "e", 3, "", "2.jpg", 1, 0.5, 2.5]]
    batch = {"batch": "b1", "rows": [CLICK, shown, judged, CLICK]}
    assert [inbox.take(TOKEN, batch) for _ in range(3)] == [4, 0, 0]
    assert log.counts() == {"impressions": 1, "clicks": 2, "judgments": 1}
    assert log.state().written == 4


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "Bearer s3cre"])
def test_without_the_token_a_batch_is_refused(log: FeedbackLog, given: str) -> None:
    with pytest.raises(NotAWriter):
        Inbox(log, "s3cret").take(given, {"batch": "b", "rows": [CLICK]})
    with pytest.raises(NotAWriter):
        Inbox(log, "").take(given, {"batch": "b", "rows": [CLICK]})
    assert log.counts()["clicks"] == 0


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"batch": "b", "rows": {}},
        {"batch": "", "rows": []},
        {"batch": "b" * 65, "rows": []},
        {"batch": "b", "rows": [CLICK] * 2001},
        *(
            {"batch": "b", "rows": [CLICK, row]}
            for row in (
                None,
                ["settings", ["a", "b"]],
                ["clicks; DROP TABLE clicks", ["search", AT, "anna", "1.jpg", 1, "open"]],
                ["clicks", ["search", AT, "anna", "1.jpg", 1]],
                ["clicks", ["search", "yesterday", "anna", "1.jpg", 1, "open"]],
                ["clicks", ["search", AT, "anna", "1.jpg", "1", "open"]],
                ["clicks", ["search", AT, "anna", "1.jpg", -1, "open"]],
                ["clicks", ["search", AT, "anna", "1.jpg", True, "open"]],
                ["clicks", ["search", AT, "a" * 1001, "1.jpg", 1, "open"]],
                ["clicks", ["search", AT, "\ud800", "1.jpg", 1, "open"]],
                ["empty_searches", ["search", AT, "anna", "text=x", float("nan")]],
                ["judgments", [AT, "item=1.jpg", "2.jpg", "perfect", "anna", None]],
            )
        ),
    ],
)
def test_a_malformed_batch_is_refused_completely(log: FeedbackLog, document: dict[str, Any]) -> None:
    with pytest.raises(FeedbackError):
        Inbox(log, "s3cret").take(TOKEN, document)
    assert log.counts()["clicks"] == 0


def test_invalid_feedback_is_refused_by_the_replica(tmp_path: Path) -> None:
    database = Database(tmp_path)
    feedback = ForwardedFeedback(database, "http://127.0.0.1:1", "s3cret")
    with pytest.raises(FeedbackError):
        feedback.record_click(search_id="s", item_id="", rank=1)
    with pytest.raises(FeedbackError):
        feedback.record_judgment(Judgment("q", "1.jpg", "perfect", "anna", None))  # type: ignore[arg-type]
    feedback.record_click(search_id="s", item_id="1.jpg", rank=1)
    feedback.flush()
    assert (feedback.state().written, feedback.state().queued) == (0, 1)
    feedback.close()
    database.close()


def test_a_replica_refuses_collections_and_refers_to_the_writer(tmp_path: Path) -> None:
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        collections = Collections(catalog, writer="http://writer")
        with pytest.raises(CollectionError, match="http://writer"):
            collections.create("anna", "mugs")


def test_the_address_of_a_writer_starts_with_http() -> None:
    with pytest.raises(ConfigError, match="IMGSEARCH_REPLICA_OF"):
        Settings.load({"IMGSEARCH_REPLICA_OF": "writer:8501"})


# --- three replicas ---------------------------------------------------------------------------------------------


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < give_up, "it did not come to pass within minutes"
        time.sleep(0.05)


def is_up(url: str) -> bool:
    try:
        return bool(ask(f"{url}/healthz")["items"])
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def process(log: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *command], env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def served(catalog: Path, port: int, *options: str) -> Iterator[str]:
    command = ("imgsearch", "serve", "--catalog", str(catalog), "--port", str(port), *options)
    with process(catalog.parent / f"{catalog.name}.log", *command, IMGSEARCH_REPLICA_TOKEN="s3cret"):
        yield f"http://127.0.0.1:{port}"


def rows(catalog: Path, table: str, column: str) -> list[str]:
    with CatalogStore.open(catalog) as opened:
        found = opened.database.cursor().execute(f"SELECT {column} FROM {table} ORDER BY 1").fetchall()
        return [row[0] for row in found]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("milvus_lite") is None, reason="needs the extra milvus")
def test_three_replicas_on_one_milvus_return_equal_results_and_lose_no_feedback(tmp_path: Path) -> None:
    milvus_port, ports = free_port(), [free_port() for _ in range(4)]
    data = ("milvus_lite", "server", "--data-dir", str(tmp_path / "milvus"), "--host", "127.0.0.1")
    writer, writer_url = tmp_path / "writer", f"http://127.0.0.1:{ports[0]}"
    copies = [tmp_path / f"replica-{number}" for number in range(3)]
    with process(tmp_path / "milvus.log", *data, "--port", str(milvus_port)):
        with CatalogStore.open(writer, create=True) as catalog:
            catalog.bind_encoder("external:raw", "external:raw", 16)
            catalog.store(raw_items([f"{n}.jpg" for n in range(2000)]), clustered(2000, 16))
            catalog.bind_index(f"milvus://127.0.0.1:{milvus_port}")
            wait_for(lambda: opens(catalog))
        for copy in copies:
            shutil.copytree(writer, copy)
        with (
            served(copies[0], ports[1], "--replica-of", writer_url) as first,
            served(copies[1], ports[2], "--replica-of", writer_url) as second,
            served(copies[2], ports[3], "--replica-of", writer_url) as third,
        ):
            replicas = [first, second, third]
            wait_for(lambda: all(map(is_up, replicas)))
            for number, url in enumerate(replicas):  # no writer runs yet: these clicks stay queued
                click(url, f"{number}.jpg")
            with served(writer, ports[0]):
                wait_for(lambda: is_up(writer_url))
                answers = [ask(f"{url}/api/v1/items/7.jpg/similar?n=12") for url in [writer_url, *replicas]]
                hits = [[(hit["item_id"], hit["score"]) for hit in answer["hits"]] for answer in answers]
                assert hits[0] == hits[1] == hits[2] == hits[3]
                with pytest.raises(urllib.error.HTTPError, match="403"):
                    ask(f"{first}/api/v1/judging", {"set": "a", "labeler": "b", "client": "tab-00000001"})
                wait_for(lambda: all(written(url) == (12 + 1, 0) for url in replicas))
    assert rows(writer, "clicks", "item_id") == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(rows(writer, "impressions", "item_id")) == 4 * 12
    assert all(rows(copy, "clicks", "item_id") == [] for copy in copies)


def opens(catalog: CatalogStore) -> bool:
    try:
        return len(open_live_index(catalog)) == len(catalog)
    except IndexUnavailable:
        return False


def click(url: str, item_id: str) -> None:
    ask(f"{url}/api/v1/feedback", {"kind": "click", "item_id": item_id, "rank": 1, "search_id": "s"})


def written(url: str) -> tuple[float, float]:
    """Return a replica's sent and queued rows."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    values = dict(line.split() for line in lines if line.startswith("imgsearch_feedback_"))
    return (
        float(values["imgsearch_feedback_written_rows_total"]),
        float(values["imgsearch_feedback_queued_rows"]),
    )


def test_a_replica_has_only_the_pages_that_do_not_change_the_catalog(
    colour_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import imgsearch.ui.main
    from imgsearch.app.service import SearchService, set_service

    titles: list[str] = []
    navigation = streamlit.navigation

    def record(pages: Mapping[str, Sequence[Any]], **options: Any) -> Any:
        titles.extend(page.title for members in pages.values() for page in members)
        return navigation(pages, **options)

    monkeypatch.setattr(streamlit, "navigation", record)
    settings = Settings.load({}, catalog=colour_catalog, replica_of="http://127.0.0.1:1")
    with contextlib.closing(SearchService.open(settings)) as service:
        set_service(service)
        try:
            app = AppTest.from_file(imgsearch.ui.main.__file__, default_timeout=60).run()
        finally:
            set_service(None)
    assert not app.exception
    assert titles == ["Search", "Explore", "Catalog", "Side by side"]
