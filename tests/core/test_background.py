"""`BackgroundThread`: merged requests, repeated runs, failures, and stopping."""

from __future__ import annotations

import itertools
import logging
import threading
import time

import pytest

from imgsearch.core.background import BackgroundThread


def test_requests_before_a_run_are_merged_and_one_during_a_run_leads_to_another() -> None:
    runs: list[str] = []
    entered, release = threading.Event(), threading.Event()

    def work() -> None:
        runs.append(threading.current_thread().name)
        entered.set()
        release.wait(10)

    thread = BackgroundThread("worker", work)
    assert not thread.stopping
    for _ in range(5):
        thread.start(after_s=0.05)
    assert entered.wait(10)
    thread.start()
    thread.start()
    assert not thread.wait(0.01)
    release.set()
    assert thread.wait(10)
    assert runs == ["worker"] * 2
    assert thread.stop()


def test_a_failed_run_is_logged_and_the_next_request_runs_again(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = iter([ValueError("broken"), None])
    done: list[None] = []

    def work() -> None:
        if (error := next(outcomes)) is not None:
            raise error
        done.append(None)

    thread = BackgroundThread("fragile", work)
    with caplog.at_level(logging.ERROR):
        thread.start()
        assert thread.wait(10)
    assert "fragile" in caplog.text
    assert "broken" in caplog.text
    thread.start()
    assert thread.wait(10)
    assert done == [None]
    thread.stop()


def test_work_is_repeated_at_its_interval_until_it_is_stopped() -> None:
    times: list[float] = []
    enough = threading.Event()

    def work() -> None:
        times.append(time.monotonic())
        if len(times) >= 3:
            enough.set()

    thread = BackgroundThread("clock", work, every_s=0.02)
    thread.start()
    assert enough.wait(10)
    assert thread.stop()
    count = len(times)
    time.sleep(0.1)
    assert len(times) == count
    assert min(late - early for early, late in itertools.pairwise(times)) >= 0.02


def test_stopping_ends_a_pause_at_once_cancels_requests_and_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entered = threading.Event()
    finished: list[None] = []

    def work() -> None:
        entered.set()
        thread.pause(60)
        finished.append(None)

    thread = BackgroundThread("sleeper", work)
    thread.start()
    assert entered.wait(10)
    began = time.monotonic()
    assert thread.stop()
    thread.start()
    assert thread.wait(1)
    assert time.monotonic() - began < 10
    assert not finished
    assert not caplog.records


def test_stopping_reports_a_run_that_does_not_end_in_time() -> None:
    release, entered = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        release.wait(10)

    thread = BackgroundThread("stubborn", work)
    thread.start()
    assert entered.wait(10)
    assert not thread.stop(timeout_s=0.01)
    release.set()
    assert thread.stop()


def test_a_thread_that_never_started_stops() -> None:
    thread = BackgroundThread("idle", lambda: None)
    assert thread.stop()
    assert thread.wait(0)
