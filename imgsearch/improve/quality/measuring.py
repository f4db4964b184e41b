"""The quality of one catalog's search: measure systems, compare them, check their robustness, store the reports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from cachetools import LRUCache, cached

from imgsearch.core.background import JobRunner, Progress
from imgsearch.core.records import Item
from imgsearch.improve.judging.judging import Judging
from imgsearch.improve.quality import reports, robustness
from imgsearch.improve.quality.comparison import Comparison, compare
from imgsearch.improve.quality.evaluation import EvaluationReport, evaluate
from imgsearch.improve.quality.ground_truth import GroundTruth, JudgmentSource, judgment_sources
from imgsearch.improve.quality.measures import DEFAULT_MEASURES, parse_measures
from imgsearch.improve.quality.reports import Reports, Run, StoredRobustness
from imgsearch.search.systems import Systems
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

CACHED_COMPARISONS = 8
"""Stored runs never change, so their comparison is computed once."""


class Quality:
    """Measures the systems of one catalog and stores the reports; safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        systems: Systems,
        feedback: FeedbackLog,
        judging: Judging,
        read_photo: Callable[[Item], bytes],
    ) -> None:
        """Measure `systems`; `read_photo` returns the bytes of an item's photo for the robustness check."""
        self._catalog = catalog
        self._systems = systems
        self._feedback = feedback
        self._judging = judging
        self._read_photo = read_photo
        self.reports = Reports(catalog.database)
        self.jobs = JobRunner()
        self._compared = cached(LRUCache(CACHED_COMPARISONS), lock=threading.Lock())(self._compare)

    def sources(self) -> list[JudgmentSource]:
        """Return the judgments that can be measured on; see `judgment_sources`."""
        return judgment_sources(self._catalog, self._feedback, self._judging)

    def measure(
        self,
        truth: GroundTruth,
        systems: Sequence[str],
        measures: str = DEFAULT_MEASURES,
        *,
        name: str = "",
        progress: Progress | None = None,
    ) -> list[Run]:
        """Measure each system on the same judgments and store the reports, all of them or none.

        `progress` is called with (queries done, queries in all) over all the systems. Raises what `evaluate` raises,
        and `UnknownSystem`.
        """

        def show(number: int, done: int, total: int) -> None:
            if progress is not None:
                progress(number * total + done, len(systems) * total)

        found = [
            self._evaluate(truth, system, measures, partial(show, number))
            for number, system in enumerate(systems)
        ]
        digest = reports.judgments_digest(truth.qrels, truth.topics)
        runs = [
            reports.run_of(report, name=name, system=system, judgments=truth.label, digest=digest)
            for system, report in zip(systems, found, strict=True)
        ]
        with self._catalog.database.transaction():
            for run, report in zip(runs, found, strict=True):
                self.reports.save(run, report)
        return runs

    def _evaluate(
        self, truth: GroundTruth, system: str, measures: str, progress: Progress
    ) -> EvaluationReport:
        self._systems.get(system)
        progress(0, len(truth.topics))  # the first search may wait for the model
        return evaluate(
            partial(self._systems.search, system=system),
            self._catalog,
            truth.qrels,
            truth.topics,
            measures,
            complete=truth.complete,
            progress=progress,
        )

    def compare(self, first: Run, second: Run) -> tuple[Comparison, ...]:
        """Return the comparison of two runs over the measures that both have; raises `EvaluationError`."""
        reports.check_comparable(first, second)
        return self._compared(first, second)

    def _compare(self, first: Run, second: Run) -> tuple[Comparison, ...]:
        return compare(self.reports.report(first).per_query, self.reports.report(second).per_query)

    def check_robustness(
        self, system: str, *, n: int = 100, seed: int = 0, progress: Progress | None = None
    ) -> StoredRobustness:
        """Check a system's robustness on a sample of the catalog, and store the result; see `check_robustness`."""
        self._systems.get(system)
        search = partial(self._systems.search, system=system)
        report = robustness.check_robustness(
            search, self._catalog, self._read_photo, n=n, seed=seed, progress=progress
        )
        return self.reports.save_robustness(report, system=system)

    def start_measuring(
        self,
        load: Callable[[], GroundTruth],
        systems: Sequence[str],
        measures: str = DEFAULT_MEASURES,
        *,
        name: str = "",
    ) -> None:
        """Start to measure in the background; the job's result is the id of the last system's run.

        Raises `EvaluationError` for unknown measures, `UnknownSystem`, and `JobRunning` while another job runs.
        """
        parse_measures(measures)
        for system in systems:
            self._systems.get(system)
        self.jobs.start(
            "Measuring",
            lambda progress: self.measure(load(), systems, measures, name=name, progress=progress)[-1].run_id,
        )

    def start_robustness(self, system: str, *, n: int, seed: int = 0) -> None:
        """Start a robustness check in the background; raises `UnknownSystem`, and `JobRunning` as above."""
        self._systems.get(system)

        def check(progress: Progress) -> str:
            self.check_robustness(system, n=n, seed=seed, progress=progress)
            return ""

        self.jobs.start("The robustness check", check)

    def close(self) -> None:
        """Stop the job in the background, if one runs."""
        self.jobs.close()
