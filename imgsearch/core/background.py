"""Background work: `BackgroundThread`, the base of every thread of the program, and `JobRunner` for users' jobs.

A job that a page starts continues when the visitor leaves; every page sees the same one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from imgsearch.core.errors import ImgSearchError, JobRunning

Progress = Callable[[int, int], None]
"""Called with (done, total); raises `Stopped` once the work is to end."""

REST_RATIO, MAX_REST_S = 2.0, 0.2
MIN_WORK_S = 0.02
BUSY_S = 1.0
"""Visitors count as searching for so long after a search."""
STOP_TIMEOUT_S = 10.0
JOB_STOP_TIMEOUT_S = 30.0

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """Ends background work that was stopped; never logged as a failure."""


class BackgroundThread:
    """A named daemon thread that calls `work` whenever `start` requests it; safe to use from any thread.

    Requests while a run is pending are merged into one; a request during a run leads to one more run. An exception
    of `work` is logged, and the next request runs it again. With `every_s` a run also follows that long after the
    end of the last one. The thread is created by the first request and lives until `stop`.
    """

    def __init__(self, name: str, work: Callable[[], object], *, every_s: float | None = None) -> None:
        self._name = name
        self._work = work
        self._every_s = every_s
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._due: float | None = None  # time.monotonic() of the next run
        self._running = False
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def start(self, *, after_s: float = 0.0) -> None:
        """Request a run, `after_s` seconds from now at the latest; ignored after `stop`."""
        with self._changed:
            if self._stop.is_set():
                return
            self._schedule(after_s)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Cancel pending runs, wait for the run under way, and return whether it ended in time."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def wait(self, timeout_s: float) -> bool:
        """Wait until no run is pending or under way; return False if that takes longer than `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._running and (self._due is None or self.stopping), timeout_s
            )

    def pause(self, seconds: float) -> None:
        """Sleep inside `work`; raises `Stopped` as soon as `stop` is called."""
        if self._stop.wait(seconds):
            raise Stopped

    def check(self) -> None:
        """Raise `Stopped` if `stop` was called; for `work` that takes long."""
        self.pause(0)

    def _schedule(self, after_s: float) -> None:
        due = time.monotonic() + after_s
        self._due = due if self._due is None else min(self._due, due)

    def _run(self) -> None:
        while self._next():
            try:
                self._work()
            except Stopped:
                pass
            except Exception:
                _log.exception("the background thread %r failed", self._name)
            with self._changed:
                self._running = False
                if self._every_s is not None:
                    self._schedule(self._every_s)
                self._changed.notify_all()

    def _next(self) -> bool:
        """Wait until a run is due; return False once the thread is to end."""
        with self._changed:
            while not self._stop.is_set():
                left_s = None if self._due is None else self._due - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._due, self._running = None, True
                    return True
                self._changed.wait(left_s)
            return False


def low_priority(progress: Progress) -> Progress:
    """Return a `progress` that sleeps twice as long as the work before it took, so that searches go first."""
    began = time.perf_counter()

    def step(done: int, total: int) -> None:
        nonlocal began
        progress(done, total)
        time.sleep(min(REST_RATIO * (time.perf_counter() - began), MAX_REST_S))
        began = time.perf_counter()

    return step


class GiveWay:
    """Lets work that can wait rest while visitors search; used by one thread at a time."""

    def __init__(self, searched_at: Callable[[], float]) -> None:
        """`searched_at` returns the `time.monotonic` of the last search."""
        self._searched_at = searched_at
        self._began = time.perf_counter()

    def rest(self) -> None:
        """If a search was just made, sleep twice as long as the work since the last call, at most `MAX_REST_S`."""
        worked_s = time.perf_counter() - self._began
        if worked_s < MIN_WORK_S:
            return
        if time.monotonic() - self._searched_at() < BUSY_S:
            time.sleep(min(REST_RATIO * worked_s, MAX_REST_S))
        self._began = time.perf_counter()


@dataclass(frozen=True, slots=True)
class Job:
    """The state of a job: `result` is what its work returned, `reason` why it failed, in a sentence."""

    name: str
    status: Literal["running", "done", "failed", "stopped"]
    done: int = 0
    total: int = 0
    result: str = ""
    reason: str = ""


class JobRunner:
    """Runs one job at a time in the background; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = BackgroundThread("job", self._run)
        self._work: Callable[[Progress], str] | None = None
        self._job: Job | None = None

    @property
    def job(self) -> Job | None:
        """The running job, or the last one; None before the first."""
        return self._job

    @property
    def running(self) -> bool:
        """Whether a job runs now."""
        return self._job is not None and self._job.status == "running"

    def start(self, name: str, work: Callable[[Progress], str]) -> None:
        """Run `work` in the background, with a function that reports its progress.

        Raises `JobRunning` while another job runs.
        """
        with self._lock:
            if self._job is not None and self._job.status == "running":
                raise JobRunning(f"{self._job.name} is still running; wait for it, or stop it first.")
            self._stop.clear()
            self._job, self._work = Job(name, "running"), work
        self._thread.start()

    def stop(self) -> None:
        """Stop the running job at its next step; no effect while none runs."""
        self._stop.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until no job runs; return False if that takes longer than `timeout_s`."""
        return self._thread.wait(timeout_s)

    def close(self) -> None:
        """Stop the running job, wait until it has ended, and start no other."""
        self.stop()
        self._thread.stop(JOB_STOP_TIMEOUT_S)

    def _run(self) -> None:
        work, self._work = self._work, None  # it may hold much data
        assert work is not None
        try:
            self._set(result=work(self._progress), status="done")
        except Stopped:
            self._set(status="stopped")
        except ImgSearchError as error:
            self._set(status="failed", reason=str(error))
        except Exception as error:
            _log.exception("a job failed")
            self._set(status="failed", reason=f"It failed unexpectedly ({type(error).__name__}: {error}).")

    def _progress(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Stopped
        self._set(done=done, total=total)

    def _set(self, **changes: object) -> None:
        with self._lock:
            assert self._job is not None
            self._job = replace(self._job, **changes)  # type: ignore[arg-type]  # the fields of a Job
