"""The report of an indexing run while it is running: counts, failures, seconds by stage, progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imgsearch.core.records import Failure, IndexingReport

__all__ = ["Progress", "ProgressCallback", "RunReport"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: photos processed (`done`) of `total` (None while unknown), of these encoded and failed."""

    done: int
    total: int | None
    encoded: int
    failed: int


ProgressCallback = Callable[[Progress], None]


class RunReport:
    """Collects what a run does; counts are of its main thread, seconds of any."""

    def __init__(self, progress: ProgressCallback | None) -> None:
        self.total: int | None = None
        self.added = self.changed = self.unchanged = self.removed = self.vanished = 0
        self.pending = 0  # read, but not stored yet
        self.notes: list[str] = []
        self._failures: list[Failure] = []
        self._progress = progress
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of a block to a stage; `decode` is summed over threads."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add_seconds(name, time.perf_counter() - started)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage."""
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def fail(self, failure: Failure) -> None:
        """Add a photo that cannot be used."""
        self._failures.append(failure)
        self.show()

    def show(self) -> None:
        """Call the progress callback."""
        if self._progress is not None:
            encoded = self.added + self.changed + self.pending
            done = encoded + self.unchanged + len(self._failures)
            self._progress(Progress(done, self.total, encoded, len(self._failures)))

    def finish(self, encoder_id: str) -> IndexingReport:
        """Return the report of the ended run."""
        return IndexingReport(
            added=self.added,
            changed=self.changed,
            unchanged=self.unchanged,
            removed=self.removed,
            vanished=self.vanished,
            failed=tuple(self._failures),
            seconds={**self._seconds, "total": time.perf_counter() - self._started},
            encoder=encoder_id,
            notes=tuple(self.notes),
        )
