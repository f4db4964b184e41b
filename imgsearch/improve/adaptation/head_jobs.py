"""Training and publishing of heads while a service runs."""

from __future__ import annotations

import threading

from imgsearch.core.background import JobRunner, Progress
from imgsearch.improve.adaptation.adapting import adapt
from imgsearch.improve.adaptation.publication import publish_head, roll_back_head
from imgsearch.improve.adaptation.report import AdaptationReport
from imgsearch.search.engine import SearchEngine
from imgsearch.store.feedback import FeedbackLog

__all__ = ["HeadJobs"]


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

    def close(self) -> None:
        """Stop the running job."""
        self.jobs.close()
