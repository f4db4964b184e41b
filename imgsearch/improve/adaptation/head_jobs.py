"""Training and publishing of heads, also while a service runs.

Publishing makes the vectors and the index first, then one row, so that a killed process leaves one of both active.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from imgsearch.core.background import JobRunner, Progress
from imgsearch.index.heads import get_head, previous_head, publish, rollback
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace
from imgsearch.search.engine import SearchEngine
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

if TYPE_CHECKING:
    from imgsearch.improve.adaptation.adapting import AdaptationReport


class HeadJobs:
    """Trains, publishes and rolls back the heads of one engine; safe to use from any thread.

    `jobs` reports the state of training and publishing, `report` is the result of the last training.
    """

    def __init__(self, engine: SearchEngine, feedback: FeedbackLog) -> None:
        self.jobs = JobRunner()
        self.report: AdaptationReport | None = None
        self._engine = engine
        self._feedback = feedback
        self._changing = threading.Lock()

    def start_training(self, *, seed: int = 0) -> None:
        """Train a head in the background; a head that wins is saved, not published.

        Raises `JobRunning` while another job runs.
        """

        def work(progress: Progress) -> str:
            from imgsearch.improve.adaptation.adapting import adapt

            engine = self._engine
            self.report = adapt(
                engine.catalog,
                self._feedback,
                engine.searcher.embedding,
                engine.encoder.get,
                seed=seed,
                progress=progress,
            )
            return self.report.head

        self.jobs.start("Training", work)

    def start_publishing(self, head_id: str) -> None:
        """Publish a head in the background; raises `JobRunning` while another job runs."""

        def work(progress: Progress) -> str:
            self.publish(head_id, progress=progress)
            return head_id

        self.jobs.start(f"Publishing {head_id}", work)

    def publish(self, head_id: str, *, progress: Progress | None = None) -> None:
        """Publish a head for this process and later ones; searches use the former index meanwhile.

        Raises `AdaptationError` for an unknown head and `CatalogCorrupt` for a damaged one; nothing changes then.
        """
        engine, threads = self._engine, self._engine.settings.worker_threads
        with self._changing:
            engine.use_index(publish_head(engine.catalog, head_id, threads=threads, progress=progress))

    def roll_back(self) -> None:
        """Publish what was active before the published head; raises `AdaptationError` where no head is published."""
        engine, threads = self._engine, self._engine.settings.worker_threads
        with self._changing:
            engine.use_index(roll_back_head(engine.catalog, threads=threads))


def publish_head(
    catalog: CatalogStore,
    head_id: str,
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> LiveIndex:
    """Publish a head and return its index; no photo is decoded.

    Raises `AdaptationError` for an unknown head and `CatalogCorrupt` for a damaged one; nothing changes then.
    """
    space = VectorSpace(catalog, get_head(catalog, head_id))
    index = open_live_index(catalog, threads=threads, progress=progress, space=space)
    publish(catalog, head_id)
    return index


def roll_back_head(catalog: CatalogStore, *, threads: int = 1) -> LiveIndex:
    """Publish what was active before the published head, and return its index.

    Raises `AdaptationError` where no head is published.
    """
    space = VectorSpace(catalog, previous_head(catalog))
    index = open_live_index(catalog, threads=threads, space=space)
    rollback(catalog)
    return index
