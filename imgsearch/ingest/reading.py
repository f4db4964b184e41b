"""Reading many photos ahead of the rest of a run: in threads of this process, or in worker processes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain, islice
from typing import TypeVar

from imgsearch.core.memory import available_bytes
from imgsearch.encoders.base import Encoder
from imgsearch.encoders.recipe import RunsInWorkers
from imgsearch.ingest.preparation import Outcome, Preparer
from imgsearch.ingest.report import RunReport
from imgsearch.ingest.workers import WorkerPool, WorkersUnavailable
from imgsearch.store.photo import Photo

__all__ = ["WORKER_BYTES", "PhotoReader", "fitting_workers", "read_ahead"]

T = TypeVar("T")

WORKER_BYTES = 1_250 * 1024**2
"""The memory of a worker process at most."""

_log = logging.getLogger(__name__)


def read_ahead(
    photos: Iterable[Photo], read: Callable[[Photo], T], pool: ThreadPoolExecutor, *, ahead: int
) -> Iterator[tuple[Photo, Future[T]]]:
    """Yield each photo with its result, in their order, while up to `ahead` are read; close it to cancel these."""
    pending: deque[tuple[Photo, Future[T]]] = deque()
    try:
        for photo in photos:
            pending.append((photo, pool.submit(read, photo)))
            if len(pending) >= ahead:
                yield pending.popleft()
        while pending:
            yield pending.popleft()
    finally:
        for _, future in pending:
            future.cancel()


class PhotoReader:
    """Applies `prepare` to photos; a `Preparer` can also run in worker processes."""

    def __init__(
        self,
        prepare: Preparer | Callable[[Photo], Outcome],
        encoder: Encoder,
        report: RunReport,
        *,
        workers: int,
        min_photos_for_workers: int,
    ) -> None:
        self._prepare = prepare
        self._encoder = encoder
        self._report = report
        self._workers = workers
        self._min_photos = min_photos_for_workers

    def outcomes(
        self, photos: Iterator[Photo], pool: ThreadPoolExecutor, *, ahead: int
    ) -> Generator[tuple[Photo, Outcome], None, None]:
        """Yield each photo with its outcome, in their order, some of them in work; close it to cancel these."""
        first = list(islice(photos, self._min_photos)) if self._workers > 1 else []
        photos = chain(first, photos)
        if first and len(first) == self._min_photos and (workers := self._worker_pool()):
            with closing(workers):
                yield from workers.prepared(photos)
        else:
            for photo, future in read_ahead(photos, self._timed, pool, ahead=ahead):
                with self._report.stage("wait"):
                    outcome = future.result()
                yield photo, outcome

    def _timed(self, photo: Photo) -> Outcome:
        with self._report.stage("decode"):
            return self._prepare(photo)

    def _worker_pool(self) -> WorkerPool | None:
        """Return worker processes, or None where they are not available or not faster."""
        if not (isinstance(self._prepare, Preparer) and isinstance(self._encoder, RunsInWorkers)):
            return None
        recipe = self._encoder.recipe()
        workers = fitting_workers(self._workers)
        if workers < 2 or (recipe is None and not self._encoder.accelerated):
            return None
        try:
            with self._report.stage("start"):
                return WorkerPool(self._prepare, recipe, workers, on_seconds=self._report.add_seconds)
        except WorkersUnavailable as error:
            _log.warning("this process reads all photos itself: %s", error)
            return None


def fitting_workers(workers: int) -> int:
    """Return how many of the requested worker processes there is memory for."""
    free = available_bytes()
    return workers if free is None else min(workers, free // WORKER_BYTES)
