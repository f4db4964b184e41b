"""Background jobs: work that outlasts a page's run, one at a time, with progress that anybody may look at.

It owns the thread and the job's state; it does not know what the work is. A job that a page starts goes on when the
visitor leaves, and every page that looks sees the same one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from imgsearch.core.errors import ImgSearchError, JobRunning

__all__ = ["Job", "JobRunner", "Progress", "unhurried"]

Progress = Callable[[int, int], None]
"""Called with (done, in all); raises to stop the work where it was asked to stop."""

REST, LONGEST_REST_S = 2.0, 0.2

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """Unwinds the work of a job that was asked to stop."""


def unhurried(progress: Progress) -> Progress:
    """Return a `progress` that rests, whenever it is called, twice as long as was worked since: searches go first."""
    began = time.perf_counter()

    def step(done: int, total: int) -> None:
        nonlocal began
        progress(done, total)
        time.sleep(min(REST * (time.perf_counter() - began), LONGEST_REST_S))
        began = time.perf_counter()

    return step


@dataclass(frozen=True, slots=True)
class Job:
    """How a job stands. `result` is what its work returned, `reason` why it failed, in a sentence."""

    name: str
    status: Literal["running", "done", "failed", "stopped"]
    done: int = 0
    total: int = 0
    result: str = ""
    reason: str = ""


class JobRunner:
    """Runs one job at a time in a thread of its own; safe to use from any thread."""

    def __init__(self) -> None:
        """Begin with no job."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._job: Job | None = None

    @property
    def job(self) -> Job | None:
        """The job that runs, or the last one that did; None before the first."""
        return self._job

    @property
    def running(self) -> bool:
        """Whether a job runs now."""
        return self._job is not None and self._job.status == "running"

    def start(self, name: str, work: Callable[[Progress], str]) -> None:
        """Begin `work` in the background; it is given a function to say its progress by.

        Raises `JobRunning` while another one runs.
        """
        with self._lock:
            if self._job is not None and self._job.status == "running":
                raise JobRunning(f"{self._job.name} is still running; wait for it, or stop it first.")
            self._stop.clear()
            self._job = Job(name, "running")
            self._thread = threading.Thread(target=self._run, args=(work,), name="job", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask the running job to stop at its next step; nothing to do where none runs."""
        self._stop.set()

    def close(self) -> None:
        """Stop the running job and wait until it has."""
        self.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=30)

    def _run(self, work: Callable[[Progress], str]) -> None:
        try:
            self._set(result=work(self._progress), status="done")
        except _Stopped:
            self._set(status="stopped")
        except ImgSearchError as error:
            self._set(status="failed", reason=str(error))
        except Exception as error:
            _log.exception("a job failed")
            self._set(status="failed", reason=f"It failed unexpectedly ({type(error).__name__}: {error}).")

    def _progress(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _Stopped
        self._set(done=done, total=total)

    def _set(self, **changes: object) -> None:
        with self._lock:
            assert self._job is not None
            self._job = replace(self._job, **changes)  # type: ignore[arg-type]  # the fields of a Job
