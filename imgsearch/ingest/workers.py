"""Worker processes that prepare photos and, on a CPU, encode them too.

Threads of one process wait for each other (GIL), and the threads of a network wait for each other at every layer. A
process that does everything for its own photos in one thread avoids both: docs/benchmarks.md has the figures.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

from imgsearch.core.errors import ImgSearchError, SourceError
from imgsearch.core.memory import available_bytes
from imgsearch.encoders.base import Encoder, EncoderRecipe
from imgsearch.ingest.preparation import Outcome, PreparedPhoto, Preparer, encode_prepared, read_failure
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import is_url
from imgsearch.store.remote_files import is_remote

CHUNK_PHOTOS = 32
"""Photos of one task."""
CHUNKS_AHEAD = 6
"""Submitted tasks for each process: with 2, processes are idle while the run stores (12% slower)."""
FETCH_THREADS = 8
"""Remote photos that a process fetches at the same time."""
WORKER_BYTES = 1_250 * 1024**2
"""The memory of a worker process at most."""
_CRASHED = (
    "Reading the photo crashed the worker process: the file is damaged or malicious, or memory ran out."
)

_Done = tuple[list[Outcome], dict[str, float]]
"""The outcomes of one chunk, in its order, and the seconds by stage."""

_log = logging.getLogger(__name__)
_main_module_lock = threading.Lock()


class WorkersUnavailable(ImgSearchError):
    """Worker processes cannot be started here, or end at once."""


class WorkerPool:
    """A fixed number of worker processes; used by one thread."""

    def __init__(
        self,
        preparer: Preparer,
        recipe: EncoderRecipe | None,
        workers: int,
        *,
        on_seconds: Callable[[str, float], None] = lambda stage, seconds: None,
    ) -> None:
        """Start `workers` processes; with a `recipe` they encode too, else they return the arrays.

        `on_seconds` is called with the seconds of each stage, summed over the processes. Raises `WorkersUnavailable`.
        """
        try:
            with _without_main():
                pickle.dumps((preparer, recipe))
        except Exception as error:  # an encoder's own preprocessor may raise anything when it is pickled
            raise WorkersUnavailable(f"The encoder's preprocessor cannot be pickled: {error}.") from error
        self._initargs = preparer, recipe
        self._workers = workers
        self._on_seconds = on_seconds
        self._pool = self._started()

    def prepared(self, photos: Iterable[Photo]) -> Iterator[tuple[Photo, Outcome]]:
        """Yield each photo with its outcome, in their order; some chunks are in work ahead.

        A crashed process is replaced, and the photos of its chunk are retried one by one, so that only the photo that
        crashes it is a `Failure`. Raises `WorkersUnavailable` where a new process cannot be started.
        """
        pending: deque[tuple[list[Photo], Future[_Done]]] = deque()
        photos = iter(photos)
        while chunk := list(islice(photos, CHUNK_PHOTOS)):
            pending.append((chunk, self._submitted(chunk)))
            if len(pending) > CHUNKS_AHEAD * self._workers:
                yield from self._received(*pending.popleft())
        while pending:
            yield from self._received(*pending.popleft())

    def close(self) -> None:
        """End the processes after their present chunks; closing twice is fine."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submitted(self, chunk: list[Photo]) -> Future[_Done]:
        try:
            return self._pool.submit(_work, chunk)
        except BrokenProcessPool as error:
            failed: Future[_Done] = Future()
            failed.set_exception(error)
            return failed

    def _received(self, chunk: list[Photo], future: Future[_Done]) -> Iterator[tuple[Photo, Outcome]]:
        try:
            outcomes, by_stage = future.result()
        except BrokenProcessPool:
            yield from self._one_by_one(chunk)
            return
        for stage, seconds in by_stage.items():
            self._on_seconds(stage, seconds)
        yield from zip(chunk, outcomes, strict=True)

    def _one_by_one(self, chunk: list[Photo]) -> Iterator[tuple[Photo, Outcome]]:
        for photo in chunk:
            for attempt in range(2):  # the first may find the processes crashed by an earlier photo
                future = self._submitted([photo])
                try:
                    yield photo, future.result()[0][0]
                    break
                except BrokenProcessPool:
                    self._pool.shutdown(wait=False)
                    self._pool = self._started()
                    if attempt:
                        _log.warning("the photo %s crashed the process that read it", photo.location)
                        yield photo, read_failure(SourceError(_CRASHED), photo)

    def _started(self) -> ProcessPoolExecutor:
        """Start the processes and wait for the first; raises `WorkersUnavailable` where none starts."""
        # Not forked: a fork copies the locks of the database's and torch's threads in their present state.
        pool = ProcessPoolExecutor(
            self._workers, mp_context=_Context(), initializer=_begin, initargs=self._initargs
        )
        try:
            pool.submit(os.getpid).result()  # the answer shows that the processes work
        except (BrokenProcessPool, OSError, RuntimeError) as error:
            pool.shutdown(wait=False, cancel_futures=True)
            raise WorkersUnavailable(
                "The worker processes cannot be started or keep crashing (out of memory?); what was indexed is kept. "
                "Continue without them: IMGSEARCH_WORKERS=1."
            ) from error
        return pool


def fitting_workers(workers: int) -> int:
    """Return how many of the requested worker processes there is memory for."""
    free = available_bytes()
    return workers if free is None else min(workers, free // WORKER_BYTES)


class _Process(SpawnProcess):
    """A process that does not import the program's main module."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 (multiprocessing's name)
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module while a process starts, which would run it again in the new process.

    It may be a script that indexes, or a page of Streamlit, and no worker needs it. The lock keeps two runs from
    restoring each other's stand-in.
    """
    with _main_module_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


# --- what runs in a process -----------------------------------------------------------------------------------------


_preparer: Preparer | None = None
_encoder: Encoder | None = None


def _begin(preparer: Preparer, recipe: EncoderRecipe | None) -> None:
    """Set up this process; raises where its encoder is not the same as the run's."""
    global _preparer, _encoder  # one process, one worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run handles Ctrl-C
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    _preparer = preparer
    if recipe is not None:
        from imgsearch.encoders.loading import load_recipe

        _encoder = load_recipe(recipe)


def _end_with_parent() -> None:
    """End this process as soon as the run's has ended, even if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _work(photos: Sequence[Photo]) -> _Done:
    """Prepare the photos, and encode them if this process has an encoder."""
    assert _preparer is not None
    started = time.perf_counter()
    if any(is_url(photo.location) or is_remote(photo.location) for photo in photos):
        with ThreadPoolExecutor(FETCH_THREADS) as pool:
            outcomes = list(pool.map(_preparer, photos))
    else:
        outcomes = [_preparer(photo) for photo in photos]
    decoded = time.perf_counter()
    arrays = [one for one in outcomes if isinstance(one, PreparedPhoto) and one.array is not None]
    if _encoder is not None and arrays:
        encode_prepared(_encoder, arrays)
    return outcomes, {"decode": decoded - started, "encode": time.perf_counter() - decoded}
