"""The `SearchService`: a `SearchEngine` with feedback, experiments and background work, for pages and the API."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial

import numpy as np

from imgsearch.app.bulk_edits import BulkEdits
from imgsearch.app.commands import Commands
from imgsearch.app.imports import ImportJobs
from imgsearch.app.regions import RegionSuggestions
from imgsearch.app.replicas import ForwardedFeedback, Inbox
from imgsearch.core.background import BackgroundThread, JobRunner, Progress, low_priority
from imgsearch.core.config import Settings, replica_token
from imgsearch.core.errors import JobRunning
from imgsearch.core.query import Filter, Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Facet, Item, Judgment, SearchResult
from imgsearch.explore.explorer import Explorer
from imgsearch.improve.adaptation.head_jobs import HeadJobs
from imgsearch.improve.experiments.experiments import Experiments
from imgsearch.improve.judging.judging import Judging
from imgsearch.improve.monitoring.monitor import Monitor
from imgsearch.improve.monitoring.retention import retain_events
from imgsearch.improve.monitoring.telemetry import Telemetry
from imgsearch.improve.quality.measuring import Quality
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.ingest.look_backfill import LookFiller, LookMaker
from imgsearch.search.engine import SearchEngine
from imgsearch.store.collections import Collections
from imgsearch.store.feedback import FeedbackLog
from imgsearch.store.idempotency import IdempotentAnswers
from imgsearch.store.item_listing import ItemListing
from imgsearch.store.sampling import sample_items
from imgsearch.vision.images import ImageLimits

LATENCIES = 1000
PRUNE_EVERY_S = 24 * 3600.0


class SearchService:
    """One open catalog with everything that a server offers; safe to use from any thread."""

    def __init__(self, engine: SearchEngine) -> None:
        """Use an open engine, which `close` closes; see `SearchService.open`."""
        self.engine = engine
        self.settings = settings = engine.settings
        self.catalog = catalog = engine.catalog
        self.rules, self.duplicates, self.words = engine.rules, engine.duplicates, engine.words
        self.systems = engine.systems
        self.listing = ItemListing(catalog)
        self.idempotency = IdempotentAnswers(catalog.database)
        with ExitStack() as opened:
            opened.callback(engine.close)
            self.metrics = Telemetry(catalog.database)
            opened.callback(self.metrics.close)
            self.feedback = (
                ForwardedFeedback(catalog.database, settings.replica_of, replica_token())
                if settings.replica_of
                else FeedbackLog(catalog.database)
            )
            opened.callback(self.feedback.close)
            self.inbox = Inbox(self.feedback, "" if settings.replica_of else replica_token())
            self.monitor = Monitor(engine, self.feedback, self.metrics)
            self.collections = Collections(catalog, writer=settings.replica_of)
            self.experiments = Experiments(catalog.database, engine.systems)
            self.judging = Judging(catalog, self.feedback)
            self.regions = RegionSuggestions(engine)
            looks = LookMaker(
                engine.originals, engine.thumbnails, ImageLimits(max_pixels=settings.max_pixels)
            )
            self.look_filler = LookFiller(catalog, looks)
            opened.callback(self.look_filler.close)
            prune = partial(retain_events, catalog.database, settings.keep_events_days)
            self._retention = BackgroundThread("retention", prune, every_s=PRUNE_EVERY_S)
            opened.callback(self._retention.stop, timeout_s=60)
            self.explorer = self._open_explorer()
            opened.callback(self.explorer.jobs.close)
            self.quality = Quality(catalog, engine.systems, self.feedback, self.judging, engine.read_photo)
            opened.callback(self.quality.close)
            self.duplicate_search = JobRunner()
            opened.callback(self.duplicate_search.close)
            self.items = self._open_items()
            opened.callback(self.items.close)
            self.bulk = BulkEdits(catalog, self.listing, self.items, engine.originals.read)
            opened.callback(self.bulk.close)
            self.heads = HeadJobs(engine, self.feedback)
            opened.callback(self.heads.jobs.close)
            self.imports = ImportJobs(
                engine, self.items, searched_at=lambda: self.searched_at, then=self.look_for_duplicates
            )
            opened.callback(self.imports.close)
            self.commands = Commands()
            opened.callback(self.commands.close)
            self._opened = opened.pop_all()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES)
        self.searched_at = 0.0
        """When the last search began (`time.monotonic`): work that can wait leaves the processor to searches."""

    def _open_explorer(self) -> Explorer:
        return Explorer(
            self.catalog,
            lambda: self.engine.index,
            self.engine.encoder.get,
            hidden=self.rules.hidden_keys,
            memory_bytes=self.settings.map_memory_bytes,
        )

    def _open_items(self) -> ItemEditor:
        engine = self.engine
        return ItemEditor(
            self.catalog,
            engine.indexes,
            engine.encoder_for_changes,
            engine.originals,
            thumbnails=engine.thumbnails,
            limits=engine.uploads.limits,
        )

    @classmethod
    def open(cls, settings: Settings) -> SearchService:
        """Open the catalog and its index, and start loading the encoder in the background.

        Searches by items work at once; texts and pictures wait for the encoder. Raises `CatalogNotFound`,
        `CatalogLocked`, `CatalogCorrupt`.
        """
        service = cls(SearchEngine(settings, serving=True))
        try:
            service.start()
        except BaseException:
            service.close()
            raise
        return service

    def start(self) -> None:
        """Start the background work: retention, missing looks, duplicates, and loading the encoder."""
        self.catalog.preload()
        self._retention.start()
        if not self.settings.replica_of:
            self.imports.open()
        self.look_filler.start()
        if self.settings.find_duplicates and not self.settings.replica_of and self.duplicates.state().waiting:
            self.start_duplicate_search()
        self.engine.start(self.experiments.warm)

    def close(self) -> None:
        """Stop all background work, write pending feedback and close everything; closing twice is fine."""
        self._opened.close()

    # --- searching --------------------------------------------------------------------------------------------

    def search(self, query: Query, *, visitor: str = "", record: bool = True) -> SearchResult:
        """Answer the query and, with `record`, record what was shown. Raises what `Searcher.search` raises.

        A visitor takes part in the running experiment; without `record` the live system answers.
        """
        record = record and self.settings.feedback
        self.searched_at = time.monotonic()
        with self.metrics.searching(query):
            answer = self.experiments.answer(query, visitor if record else "")
        result = answer.result
        self.metrics.observe(result)
        self._latencies_ms.append(float(result.timing_ms["total"]))
        if record:
            self.feedback.record_impressions(result, query_key(query), visitor=visitor, arm=answer.arm)
        if answer.exposure is not None:
            self.feedback.record_exposure(answer.exposure)
            if answer.exposure.failed:
                self.metrics.count_arm_failure(answer.exposure.experiment)
        return result

    def sample(self, n: int, *, seed: int, filters: Sequence[Filter] = ()) -> list[Item]:
        """Return up to n visible items that differ from each other; the same for the same seed."""
        return sample_items(self.catalog, n, seed=seed, filters=filters, without=self.rules.hidden_keys())

    def facets(self, filters: Sequence[Filter] = ()) -> list[Facet]:
        """Return every metadata column with its values or range among visible items that pass the filters."""
        return self.catalog.metadata.facets(filters, without=self.rules.hidden_keys())

    def count(self, filters: Sequence[Filter] = ()) -> int:
        """Return the number of visible items that pass every filter."""
        return self.catalog.metadata.count(filters, without=self.rules.hidden_keys())

    def latency_ms(self) -> dict[str, float]:
        """Return the median and 95th percentile of this process's last searches; empty before the first."""
        if not self._latencies_ms:
            return {}
        values = np.array(self._latencies_ms)
        p50, p95 = np.percentile(values, [50, 95])
        return {"searches": float(len(values)), "p50": float(p50), "p95": float(p95)}

    def start_duplicate_search(self, *, again: bool = False) -> None:
        """Search for near-duplicates in the background, of new photos or of all `again`; visitors' searches go first.

        `duplicate_search.job` reports the progress. Raises `JobRunning` while a search runs.
        """

        def work(progress: Progress) -> str:
            while not self.look_filler.wait(0.1):  # a photo's hash is computed with its look
                progress(0, 0)
            found = self.duplicates.find_new(
                self.engine.index, self.engine.read_photo, again=again, progress=low_priority(progress)
            )
            return f"{found:,} new pairs"

        self.duplicate_search.start("Looking for duplicates", work)

    def look_for_duplicates(self) -> None:
        """Start `start_duplicate_search` for new photos, unless one runs or this is a replica."""
        if (
            self.settings.find_duplicates
            and not self.settings.replica_of
            and not self.duplicate_search.running
        ):
            with suppress(JobRunning):
                self.start_duplicate_search()

    # --- feedback ---------------------------------------------------------------------------------------------

    def record_click(
        self, *, search_id: str, item_id: str, rank: int, visitor: str = "", action: str = "open"
    ) -> None:
        """Record a click on a hit, if the settings allow; raises `UnknownItem` or `FeedbackError`."""
        self.catalog.get(item_id)
        if self.settings.feedback:
            self.feedback.record_click(
                search_id=search_id, item_id=item_id, rank=rank, visitor=visitor, action=action
            )

    def record_judgment(self, judgment: Judgment) -> None:
        """Record a verdict; raises `UnknownItem` or `FeedbackError`."""
        self.catalog.get(judgment.item_id)
        self.feedback.record_judgment(judgment)


_service: SearchService | None = None
_settings: Settings | None = None
_lock = threading.Lock()


def get_service(settings: Settings | None = None) -> SearchService:
    """Return this process's service, opened at the first call.

    The settings are the given ones, those of an earlier call, or the environment's. Raises what `SearchService.open`
    raises; the next call tries again.
    """
    global _service, _settings
    with _lock:
        _settings = settings or _settings
        if _service is None:
            _service = SearchService.open(_settings or Settings.load())
        return _service


def close_service() -> None:
    """Close this process's service if it is open; the next `get_service` opens a new one."""
    global _service
    with _lock:
        if _service is not None:
            _service.close()
            _service = None


def set_service(service: SearchService | None) -> None:
    """Make `get_service` return `service`; None forgets the service (without closing it) and its settings."""
    global _service, _settings
    with _lock:
        _service = service
        _settings = service.settings if service else None
