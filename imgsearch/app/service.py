"""The `SearchService`: one open catalog with everything that searches it, shared by the pages and the HTTP API.

It owns the lifetimes (catalog, index, encoder in the background, feedback, picture caches) and the one instance of
a process. It draws nothing and speaks no HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image

from imgsearch.app.replicas import ForwardedFeedback, Inbox
from imgsearch.core.background import BackgroundThread, JobRunner, low_priority
from imgsearch.core.config import Settings, replica_token
from imgsearch.core.errors import EncoderUnavailable, ImgSearchError, SourceError
from imgsearch.core.query import Filter, Query, Region
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Facet, Item, Judgment, SearchResult
from imgsearch.encoders import load_encoder
from imgsearch.encoders.base import Encoder
from imgsearch.encoders.batching import BatchingEncoder
from imgsearch.explore.explorer import Explorer
from imgsearch.improve.adaptation.adapting import adapt
from imgsearch.improve.adaptation.publication import publish_head, roll_back_head
from imgsearch.improve.adaptation.report import AdaptationReport
from imgsearch.improve.experiments.experiments import Experiments
from imgsearch.improve.judging.judging import Judging
from imgsearch.improve.monitoring.drift import Drift, read_drifts
from imgsearch.improve.monitoring.health import Health
from imgsearch.improve.monitoring.overview import Overview, Period
from imgsearch.improve.monitoring.overview_queries import read_overview
from imgsearch.improve.monitoring.retention import Forgotten, Sweeper, forget_visitor, rows_of_visitor
from imgsearch.improve.monitoring.telemetry import Telemetry
from imgsearch.improve.quality.measuring import Quality
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import live_space
from imgsearch.ingest.look_backfill import LookFiller, LookMaker
from imgsearch.search.ranking.calibration import Calibration
from imgsearch.search.ranking.duplicates import Duplicates
from imgsearch.search.ranking.rules import Rules
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import Systems
from imgsearch.search.words.titles import Titles
from imgsearch.search.words.word_help import WordHelp
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.catalog_info import CatalogInfo, read_info
from imgsearch.store.collections import Collections
from imgsearch.store.feedback import FeedbackLog
from imgsearch.store.originals import Originals
from imgsearch.store.sampling import sample_items
from imgsearch.store.thumbnails import Thumbnail, ThumbnailCache
from imgsearch.store.uploads import UploadStore
from imgsearch.vision.images import THUMBNAIL_SIZES, ImageLimits, decode_image
from imgsearch.vision.saliency import suggested_regions

__all__ = [
    "EncoderState",
    "SearchService",
    "catalog_info",
    "close_service",
    "get_service",
    "query_key",
    "set_service",
]

ENCODER_LOAD_TIMEOUT_S = 120.0
LOADER_STOP_TIMEOUT_S = 10.0
LARGEST_THUMBNAIL_PX = max(THUMBNAIL_SIZES)
REGIONS_PX = 384
KEPT_REGIONS = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncoderState:
    """Whether texts and uploads can be searched yet; `reason` says why not, in a sentence."""

    status: Literal["loading", "ready", "failed"]
    reason: str
    spec: str


def catalog_info(catalog: CatalogStore, index: LiveIndex) -> CatalogInfo:
    """Return a catalog and its index in figures; reads the size of every file, so it is not for every request."""
    header = index.header
    return replace(
        read_info(catalog),
        generation=index.generation,
        built_at=header.built_at if header else None,
        index={**header.parameters, "ann_recall@10": header.ann_recall_at_10} if header else None,
    )


class SearchService:
    """One open catalog with everything that searches it; safe to use from any thread."""

    def __init__(self, settings: Settings, catalog: CatalogStore, index: LiveIndex) -> None:
        """Use `SearchService.open`."""
        self.settings = settings
        self.catalog = catalog
        self.index = index
        self.feedback = (
            ForwardedFeedback(catalog.database, settings.replica_of, replica_token())
            if settings.replica_of
            else FeedbackLog(catalog.database)
        )
        self.inbox = Inbox(self.feedback, "" if settings.replica_of else replica_token())
        self.judging = Judging(catalog, self.feedback)
        limits = ImageLimits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)
        self._originals = Originals()
        self.thumbnails = ThumbnailCache(
            catalog.folder / "thumbnails",
            self._originals,
            max_bytes=settings.thumbnail_cache_bytes,
            limits=ImageLimits(max_pixels=settings.max_pixels),
        )
        self.uploads = UploadStore(
            catalog.folder / "uploads", max_bytes=settings.upload_cache_bytes, limits=limits
        )
        self._calibration = Calibration(catalog, self.encoder)
        self.rules, self.duplicates = Rules(catalog), Duplicates(catalog)
        self.titles = Titles(catalog, self.encoder if settings.titles else None, in_background=True)
        self._searcher = Searcher(
            catalog,
            index,
            self.encoder,
            rules=self.rules,
            duplicates=self.duplicates,
            titles=self.titles,
            read_upload=self.uploads.read,
            read_photo=self._read_photo,
            limits=limits,
            levels=self._calibration.levels,
        )
        self.systems = Systems(self._searcher, threads=settings.worker_threads)
        self.experiments = Experiments(catalog.database, self.systems)
        self.collections = Collections(catalog, writer=settings.replica_of)
        self.quality = Quality(catalog, self.systems, self.feedback, self.judging, self._read_photo)
        self._encoder: Encoder | None = None
        self._encoder_error: ImgSearchError | None = None
        self._encoder_done = threading.Event()
        self._loader = BackgroundThread("load-encoder", self._load_encoder)
        self.metrics = Telemetry(catalog.database)
        self._sweeper = Sweeper(catalog.database, keep_days=settings.keep_events_days)
        self._look_filler = LookFiller(
            catalog,
            LookMaker(self._originals, self.thumbnails, ImageLimits(max_pixels=settings.max_pixels)),
        )
        self.words = WordHelp(catalog, lambda: self._encoder)
        self.explorer = Explorer(
            catalog,
            lambda: self.index,
            self.encoder,
            hidden=self.rules.hidden_keys,
            memory_bytes=settings.map_memory_bytes,
        )
        self.duplicate_search = JobRunner()
        self.learning = JobRunner()
        self.learned: AdaptationReport | None = None
        self._changing_head = threading.Lock()
        self._latencies_ms: deque[float] = deque(maxlen=1000)
        self._regions = lru_cache(KEPT_REGIONS)(self._find_regions)
        self._closed = False

    @classmethod
    def open(cls, settings: Settings) -> SearchService:
        """Open the catalog and its index, and start loading the encoder in the background.

        Searching by items works at once; texts and pictures wait for the encoder. Raises `CatalogNotFound`,
        `CatalogLocked`, `CatalogCorrupt`.
        """
        catalog = CatalogStore.open(settings.catalog)
        try:
            catalog.bind_index(settings.index, read_only=bool(settings.replica_of))
            index = open_live_index(catalog, threads=settings.worker_threads, space=live_space(catalog))
            service = cls(settings, catalog, index)
        except BaseException:
            catalog.close()
            raise
        catalog.preload()
        service._sweeper.start()
        service._look_filler.start()
        if settings.find_duplicates and not settings.replica_of and service.duplicates.state().waiting:
            service.look_for_duplicates()
        service._loader.start()
        return service

    def close(self) -> None:
        """Write pending feedback and close everything; closing twice is fine.

        Waits up to `LOADER_STOP_TIMEOUT_S` for a model that is still loading: an interpreter that ends while a
        thread is inside torch aborts.
        """
        if self._closed:
            return
        self._closed = True
        self.learning.close()
        self.duplicate_search.close()
        self.quality.close()
        self.explorer.close()
        self._sweeper.close()
        self._look_filler.close()
        self.titles.close()
        self.duplicates.close()
        self.feedback.close()
        self.metrics.close()
        self._loader.stop(LOADER_STOP_TIMEOUT_S)
        self._calibration.close()
        self._originals.close()
        self.systems.close()
        self.catalog.close()

    # --- the encoder ------------------------------------------------------------------------------------------

    @property
    def encoder_state(self) -> EncoderState:
        """Whether texts and uploads can be searched yet."""
        spec = self.catalog.encoder_spec
        if self._encoder_error is not None:
            return EncoderState("failed", str(self._encoder_error), spec)
        if self._encoder is not None:
            return EncoderState("ready", "", spec)
        return EncoderState("loading", f"The model {spec} is still loading.", spec)

    def encoder(self) -> Encoder:
        """Return the catalog's encoder, waiting while it loads; raises what loading raised."""
        if not self._encoder_done.wait(ENCODER_LOAD_TIMEOUT_S):
            raise EncoderUnavailable(
                f"The model {self.catalog.encoder_spec} is still loading; try again in a minute."
            )
        if self._encoder_error is not None:
            raise self._encoder_error
        assert self._encoder is not None
        return self._encoder

    def _load_encoder(self) -> None:
        try:
            if not self.catalog.encoder_spec:
                raise EncoderUnavailable("The catalog is empty, so it has no model yet; index photos first.")
            encoder = BatchingEncoder(
                load_encoder(
                    self.catalog.encoder_spec,
                    device=self.settings.device or None,
                    backend=self.settings.backend,
                )
            )
            if self._closed:
                raise EncoderUnavailable("The catalog was closed while its model was loading.")
            self.catalog.bind_encoder(encoder.spec, encoder.id, encoder.dim)
            # The first call of each kind allocates and compiles; better now than in a visitor's first search.
            encoder.encode_texts(["warm up"])
            encoder.encode_images([Image.new("RGB", (encoder.input_px, encoder.input_px), "white")])
            self._encoder = encoder
        except ImgSearchError as error:
            self._encoder_error = error
        except Exception as error:
            _log.exception("the encoder could not be loaded")
            self._encoder_error = EncoderUnavailable(
                f"The model {self.catalog.encoder_spec} could not be loaded ({type(error).__name__}: {error})."
            )
        finally:
            self._encoder_done.set()
            if not self._closed:
                self._warm()
                self.experiments.warm()

    def _warm(self) -> None:
        """Have made in the background, before a search asks for it, what takes a while of a large catalog."""
        self._calibration.levels(self.index, "photo")
        if self._encoder is not None:
            self._calibration.levels(self.index, "words")
            self.titles.ready()
        self.duplicates.groups()
        self.facets()

    # --- searching --------------------------------------------------------------------------------------------

    def search(self, query: Query, *, visitor: str = "", record: bool = True) -> SearchResult:
        """Answer the query and, with `record`, note what was shown. Raises what `Searcher.search` raises.

        A visitor takes part in the experiment that is running; without `record` the live system answers.
        """
        record = record and self.settings.feedback
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

    def item(self, item_id: str) -> Item:
        """Return an item; raises `UnknownItem`."""
        return self.catalog.get(item_id)

    def sample(self, n: int, *, seed: int, filters: Sequence[Filter] = ()) -> list[Item]:
        """Return up to n items that differ from each other, none that is hidden, the same ones for the same seed."""
        return sample_items(self.catalog, n, seed=seed, filters=filters, without=self.rules.hidden_keys())

    def looks_ready(self, timeout_s: float = 0.0) -> bool:
        """Wait until no photo lacks a look, at most so long, and return whether that is so."""
        return self._look_filler.wait(timeout_s)

    def facets(self, filters: Sequence[Filter] = ()) -> list[Facet]:
        """Return every metadata column as a filter offers it; what rules hide does not count."""
        return self.catalog.metadata.facets(filters, without=self.rules.hidden_keys())

    def count(self, filters: Sequence[Filter] = ()) -> int:
        """Return how many items pass every filter and can be found: those that no rule hides."""
        return self.catalog.metadata.count(filters, without=self.rules.hidden_keys())

    def info(self) -> CatalogInfo:
        """Return the catalog and its index in figures."""
        return catalog_info(self.catalog, self.index)

    def latency_ms(self) -> dict[str, float]:
        """Return the median and 95th percentile of the last searches of this process; empty before the first."""
        if not self._latencies_ms:
            return {}
        values = np.array(self._latencies_ms)
        return {
            "searches": float(len(values)),
            "p50": float(np.percentile(values, 50)),
            "p95": float(np.percentile(values, 95)),
        }

    # --- watching over it -------------------------------------------------------------------------------------

    def health(self) -> Health:
        """Return the state of this process and its catalog; cheap enough to be asked every few seconds."""
        header, state, encoder = self.index.header, self.feedback.state(), self.encoder_state
        searching, encoding = self.metrics.under_way()
        return Health(
            items=len(self.catalog),
            generation=self.index.generation,
            built_at=header.built_at if header else None,
            encoder_status=encoder.status,
            encoder_reason=encoder.reason,
            searches_under_way=searching,
            encode_queue=encoding,
            feedback=state,
            uploads=self.uploads.count(),
            keep_days=self.settings.keep_events_days,
            erasing=self.catalog.database.erasing,
        )

    def overview(self, period: Period) -> Overview:
        """Return what visitors and this catalog's processes did in a period, up to this moment."""
        self.feedback.flush()
        self.metrics.flush()
        return read_overview(self.catalog.database, period)

    def drifts(self) -> tuple[Drift, ...]:
        """Return whether visitors' queries still lie as near to the catalog as in the beginning."""
        return read_drifts(self.catalog.database)

    def rows_of_visitor(self, visitor: str) -> dict[str, int]:
        """Return how many rows there are of a visitor, by table; raises `FeedbackError`."""
        self.feedback.flush()
        return rows_of_visitor(self.catalog.database, visitor)

    def forget_visitor(self, visitor: str) -> Forgotten:
        """Delete all rows of a visitor and the pictures that only they sent; raises `FeedbackError`."""
        self.feedback.flush()
        forgotten = forget_visitor(self.catalog.database, visitor)
        for upload_id in forgotten.uploads:
            self.uploads.remove(upload_id)
        return forgotten

    # --- learned heads ----------------------------------------------------------------------------------------

    def start_learning(self, *, seed: int = 0) -> None:
        """Learn a head in the background; `learning.job` says how far it is, `learned` what came of it.

        A head that wins is kept, not published. Raises `JobRunning` while learning or publishing goes on.
        """

        def work(progress: Callable[[int, int], None]) -> str:
            searcher = self._searcher
            self.learned = adapt(
                self.catalog, self.feedback, searcher.embedding, self.encoder, seed=seed, progress=progress
            )
            return self.learned.head

        self.learning.start("Learning", work)

    def start_publishing(self, head_id: str) -> None:
        """Put a head in force in the background; raises `JobRunning` while learning or publishing goes on."""

        def work(progress: Callable[[int, int], None]) -> str:
            self.publish_head(head_id, progress=progress)
            return head_id

        self.learning.start(f"Publishing {head_id}", work)

    def publish_head(self, head_id: str, *, progress: Callable[[int, int], None] | None = None) -> None:
        """Put a learned head in force, for this process and the next ones; searches go on meanwhile.

        Raises `AdaptationError` for an unknown head, `CatalogCorrupt` for a damaged one; nothing changes then.
        """
        with self._changing_head:
            self._serve(
                publish_head(self.catalog, head_id, threads=self.settings.worker_threads, progress=progress)
            )

    def roll_back_head(self) -> None:
        """Put in force again what was before the present head.

        Raises `AdaptationError` where no head is in force.
        """
        with self._changing_head:
            self._serve(roll_back_head(self.catalog, threads=self.settings.worker_threads))

    def _serve(self, index: LiveIndex) -> None:
        """Search another index from the next search on."""
        self._searcher = self.systems.live = self._searcher.over(index)
        self.index = index

    # --- merchandising ----------------------------------------------------------------------------------------

    def look_for_duplicates(self, *, again: bool = False) -> None:
        """Look for near-duplicates in the background, of new photos only or of all `again`; searches go first.

        `duplicate_search.job` says how far it is. Raises `JobRunning` while one goes on.
        """

        def work(progress: Callable[[int, int], None]) -> str:
            while not self.looks_ready(0.1):  # the hashes of photos come with their looks
                progress(0, 0)
            found = self.duplicates.look(
                self.index, self._read_photo, again=again, progress=low_priority(progress)
            )
            return f"{found:,} new pairs"

        self.duplicate_search.start("Looking for duplicates", work)

    # --- pictures ---------------------------------------------------------------------------------------------

    def add_upload(self, data: bytes) -> str:
        """Keep an uploaded picture and return its id; raises `ImageError` or `ImageTooLarge`."""
        return self.uploads.add(data)

    def upload_webp(self, upload_id: str, size_px: int) -> bytes:
        """Return a kept upload as WebP; raises `QueryError` for an unknown id."""
        return self.uploads.webp(upload_id, size_px)

    def thumbnail(self, item_id: str, size_px: int) -> Thumbnail:
        """Return an item's thumbnail; raises `UnknownItem`, `ImageError` or `SourceError`."""
        return self.thumbnails.get(self.catalog.get(item_id), size_px)

    def regions(self, item_id: str) -> tuple[Region, ...]:
        """Return boxes around the things in an item's photo, the clearest first; kept for the next time.

        Raises `UnknownItem`, `ImageError` or `SourceError`.
        """
        return self._regions("item", item_id, self.catalog.get(item_id).key)

    def upload_regions(self, upload_id: str) -> tuple[Region, ...]:
        """Return the same of a kept upload; raises `QueryError` for an unknown id."""
        return self._regions("upload", upload_id, 0)

    def _find_regions(self, kind: str, name: str, _key: int) -> tuple[Region, ...]:
        """Return the boxes; the key tells a changed photo from the one before."""
        data = self.thumbnail(name, REGIONS_PX).data if kind == "item" else self.upload_webp(name, REGIONS_PX)
        return tuple(suggested_regions(decode_image(data)))

    def _read_photo(self, item: Item) -> bytes:
        """Return the bytes of a photo, or where it cannot be had any more those of its largest thumbnail."""
        try:
            return self._originals.read(item.location)
        except SourceError:
            return self.thumbnails.get(item, LARGEST_THUMBNAIL_PX).data

    # --- feedback ---------------------------------------------------------------------------------------------

    def record_click(
        self, *, search_id: str, item_id: str, rank: int, visitor: str = "", action: str = "open"
    ) -> None:
        """Note that a visitor clicked a hit; raises `UnknownItem` or `FeedbackError`."""
        self.catalog.get(item_id)
        if self.settings.feedback:
            self.feedback.record_click(
                search_id=search_id, item_id=item_id, rank=rank, visitor=visitor, action=action
            )

    def record_judgment(self, judgment: Judgment) -> None:
        """Note a verdict; raises `UnknownItem` or `FeedbackError`."""
        self.catalog.get(judgment.item_id)
        self.feedback.record_judgment(judgment)


_service: SearchService | None = None
_settings: Settings | None = None
_service_lock = threading.Lock()


def get_service(settings: Settings | None = None) -> SearchService:
    """Return this process's service, opening it where it is not open yet.

    It is opened by `settings`, by those of an earlier call, or by the environment's; raises what
    `SearchService.open` raises, and the next call tries again.
    """
    global _service, _settings
    with _service_lock:
        _settings = settings or _settings
        if _service is None:
            _service = SearchService.open(_settings or Settings.load())
        return _service


def close_service() -> None:
    """Close this process's service if it is open; the next `get_service` opens a new one."""
    global _service
    with _service_lock:
        if _service is not None:
            _service.close()
            _service = None


def set_service(service: SearchService | None) -> None:
    """Make `service` the one that `get_service` returns; None forgets it (without closing) and its settings."""
    global _service, _settings
    with _service_lock:
        _service = service
        _settings = service.settings if service else None
