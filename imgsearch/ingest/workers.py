"""Processes beside a run that make photos ready and, on a CPU, encode them too.

Python's threads cannot describe one photo while another is encoded without waiting for each other, and threads of a
network that wait for each other at every layer lose more on a busy processor than they gain. A process that does all
of it for its own photos, with one thread, waits for nobody: docs/benchmarks.md says how much that is.

It owns the processes: how they begin and end (with the run, even one that is killed), how photos are shared out in
their order, and what becomes of a photo whose reader crashes. What is done to a photo is `preparing`'s.
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
from dataclasses import dataclass
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

from imgsearch.core.errors import ImgSearchError
from imgsearch.encoders.base import Encoder
from imgsearch.encoders.recipe import EncoderRecipe
from imgsearch.ingest.preparation import Outcome, PreparedPhoto, Preparer, Unreadable
from imgsearch.store.originals import is_url
from imgsearch.store.photo import Photo
from imgsearch.store.remote_files import is_remote

__all__ = ["WorkerPool", "WorkersUnavailable"]

AT_ONCE = 32
"""Photos that a process is given together."""
AHEAD = 6
"""Such tasks a process that are under way or waiting: with 2, processes wait while the run stores (12% slower)."""
FETCHED_AT_ONCE = 8
"""Photos that a process waits for together, where they lie on other machines."""
_CRASHED = (
    "Reading the photo ended the process that read it: the file is damaged or hostile, or memory ran out."
)

Task = tuple[Photo, str]
"""A photo, and the digest of the bytes that the catalog knows of it ("" for a new one)."""

_log = logging.getLogger(__name__)
_hiding_main = threading.Lock()


class WorkersUnavailable(ImgSearchError):
    """Processes of their own cannot be had here, or end as soon as they begin."""


class WorkerPool:
    """A fixed number of processes; used by one thread."""

    def __init__(
        self,
        preparer: Preparer,
        recipe: EncoderRecipe | None,
        workers: int,
        *,
        on_seconds: Callable[[str, float], None] = lambda stage, seconds: None,
    ) -> None:
        """Start `workers` processes; with a `recipe` they encode too, else the arrays come back.

        `on_seconds` is told what each stage took, summed over the processes. Raises `WorkersUnavailable`.
        """
        try:
            with _without_main():
                pickle.dumps((preparer, recipe))
        except Exception as error:  # whatever an encoder's own preparation raises when it is pickled
            raise WorkersUnavailable(f"The encoder's preparation cannot be sent: {error}.") from error
        self._order = preparer, recipe
        self._workers = workers
        self._on_seconds = on_seconds
        self._pool = self._started()

    def prepared(self, tasks: Iterable[Task]) -> Iterator[tuple[Photo, Outcome]]:
        """Yield each photo with what became of it, in their order; a few chunks are worked on ahead.

        A process that crashes is replaced; what was with it is tried again photo by photo, so that only the photo
        that does it is `Unreadable`. Raises `WorkersUnavailable` where a new process cannot be had.
        """
        flying: deque[tuple[list[Task], Future[_Done]]] = deque()
        tasks = iter(tasks)
        while chunk := list(islice(tasks, AT_ONCE)):
            flying.append((chunk, self._submitted(chunk)))
            if len(flying) > AHEAD * self._workers:
                yield from self._received(*flying.popleft())
        while flying:
            yield from self._received(*flying.popleft())

    def close(self) -> None:
        """End the processes after the photos they have in work; closing twice is fine."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submitted(self, chunk: list[Task]) -> Future[_Done]:
        wanted = [(photo.location, digest) for photo, digest in chunk]
        try:
            return self._pool.submit(_work, wanted)
        except BrokenProcessPool as error:
            failed: Future[_Done] = Future()
            failed.set_exception(error)
            return failed

    def _received(self, chunk: list[Task], future: Future[_Done]) -> Iterator[tuple[Photo, Outcome]]:
        try:
            done = future.result()
        except BrokenProcessPool:
            yield from self._one_by_one(chunk)
            return
        for stage, seconds in done.seconds.items():
            self._on_seconds(stage, seconds)
        yield from zip((photo for photo, _ in chunk), done.outcomes, strict=True)

    def _one_by_one(self, chunk: list[Task]) -> Iterator[tuple[Photo, Outcome]]:
        for photo, digest in chunk:
            for attempt in range(2):  # the first may find the processes broken by an earlier photo
                future = self._submitted([(photo, digest)])
                try:
                    yield photo, future.result().outcomes[0]
                    break
                except BrokenProcessPool:
                    self._pool.shutdown(wait=False)
                    self._pool = self._started()
                    if attempt:
                        _log.warning("the photo %s ended the process that read it", photo.location)
                        yield photo, Unreadable(_CRASHED)

    def _started(self) -> ProcessPoolExecutor:
        """Return processes of which at least one has begun; raise `WorkersUnavailable` where none does."""
        # Not forked: the run has threads, of the database and of torch, whose locks a fork would copy as they are.
        pool = ProcessPoolExecutor(
            self._workers, mp_context=_Context(), initializer=_begin, initargs=self._order
        )
        try:
            pool.submit(_greet).result()
        except (BrokenProcessPool, OSError, RuntimeError) as error:
            pool.shutdown(wait=False, cancel_futures=True)
            raise WorkersUnavailable(
                "The processes that read photos cannot be started or keep ending (is there memory for them?); "
                "what was indexed is kept. Go on without them: IMGSEARCH_WORKERS=1."
            ) from error
        return pool


class _Process(SpawnProcess):
    """A process that does not import the main module of the program that starts it."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 (multiprocessing's name)
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module while a process is started, which would run it again to find what it needs there.

    Nothing of ours lies there, and it may be a script that indexes, or a page that Streamlit has put in its place.
    Two runs wait for each other: one must not put back what the other hid.
    """
    with _hiding_main:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


# --- what runs in a process -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of the photos of one task, in their order, and the seconds by stage."""

    outcomes: list[Outcome]
    seconds: dict[str, float]


_preparer: Preparer | None = None
_encoder: Encoder | None = None


def _begin(preparer: Preparer, recipe: EncoderRecipe | None) -> None:
    """Make this process ready for work; raises where the encoder here is another one than the run's."""
    global _preparer, _encoder  # one process, one worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to answer
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    _preparer = preparer
    if recipe is not None:
        from imgsearch.encoders.loading import load_recipe

        _encoder = load_recipe(recipe)


def _end_with_parent() -> None:
    """End this process as soon as the run's has ended, be it killed: nobody would tell it to."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _greet() -> None:
    """Do nothing, so that the first answer says that the processes work."""


def _work(wanted: Sequence[tuple[str, str]]) -> _Done:
    """Make the photos at these locations ready, and encode them if this process has an encoder."""
    assert _preparer is not None
    started = time.perf_counter()
    if any(is_url(location) or is_remote(location) for location, _ in wanted):
        with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
            outcomes = list(pool.map(lambda one: _prepare(*one), wanted))
    else:
        outcomes = [_prepare(*one) for one in wanted]
    decoded = time.perf_counter()
    if _encoder is not None:
        fresh = [one for one in outcomes if isinstance(one, PreparedPhoto) and one.array is not None]
        vectors = _encoder.encode_arrays([one.array for one in fresh if one.array is not None])
        for one, vector in zip(fresh, vectors, strict=True):
            one.vector, one.array = vector, None
    return _Done(outcomes, {"decode": decoded - started, "encode": time.perf_counter() - decoded})


def _prepare(location: str, known_digest: str) -> Outcome:
    assert _preparer is not None
    return _preparer(location, known_digest)
