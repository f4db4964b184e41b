"""The `SearchService`: one open catalog with everything that searches it, shared by the pages and the HTTP API.

It owns the lifetimes (catalog, index, encoder in the background, feedback, picture caches) and the one instance of
a process. It draws nothing and speaks no HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from imgsearch.catalog import Catalog, CatalogInfo
from imgsearch.config import Settings
from imgsearch.encoders import load_encoder
from imgsearch.encoders.base import Encoder
from imgsearch.errors import EncoderUnavailable, ImgSearchError
from imgsearch.feedback import FeedbackLog
from imgsearch.generations import LiveIndex
from imgsearch.images import ImageLimits
from imgsearch.links import query_string
from imgsearch.metrics import Counter, Histogram
from imgsearch.originals import Originals
from imgsearch.records import Facet, Filter, Item, Judgment, Query, SearchResult
from imgsearch.search import Searcher
from imgsearch.thumbnails import Thumbnail, ThumbnailCache
from imgsearch.uploads import UploadStore

__all__ = [
    "EncoderState",
    "SearchService",
    "ServiceMetrics",
    "catalog_info",
    "close_service",
    "get_service",
    "query_key",
    "set_service",
]

ENCODER_PATIENCE_S = 120.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncoderState:
    """Whether texts and uploads can be searched yet; `reason` says why not, in a sentence."""

    status: Literal["loading", "ready", "failed"]
    reason: str
    spec: str


def query_key(query: Query) -> str:
    """Return the name by which feedback knows a query: the same terms and filters give the same name.

    It is the query as address-bar parameters without the number of hits; pictures given as bytes go by "image".
    """
    terms = tuple(
        replace(term, kind="text", value="(image)") if isinstance(term.value, bytes) else term
        for term in query.terms
    )
    return query_string(replace(query, terms=terms, n=0), default_n=0)


def catalog_info(catalog: Catalog, index: LiveIndex) -> CatalogInfo:
    """Return a catalog and its index in figures; reads the size of every file, so it is not for every request."""
    header = index.header
    return replace(
        catalog.info(),
        generation=index.generation,
        built_at=header.built_at if header else None,
        index={**header.parameters, "ann_recall@10": header.ann_recall_at_10} if header else None,
    )


class ServiceMetrics:
    """What `/metrics` counts of this process's searches."""

    def __init__(self) -> None:
        self.searches = Counter("imgsearch_searches_total", "Searches answered, by the kinds of their terms.")
        self.latency = Histogram("imgsearch_search_seconds", "Time of a search, by stage.")

    def observe(self, result: SearchResult) -> None:
        """Count one answered search."""
        kinds = sorted({term.kind for term in result.query.terms})
        self.searches.add(kind="+".join(kinds))
        for stage, milliseconds in result.timing_ms.items():
            self.latency.observe(milliseconds / 1000, stage=stage)

    def lines(self) -> list[str]:
        """Return the metrics in the Prometheus text format."""
        return [*self.searches.lines(), *self.latency.lines()]


class SearchService:
    """One open catalog with everything that searches it; safe to use from any thread."""

    def __init__(self, settings: Settings, catalog: Catalog, index: LiveIndex) -> None:
        """Use `SearchService.open`."""
        self.settings = settings
        self.catalog = catalog
        self.index = index
        self.feedback = FeedbackLog(catalog.database)
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
        self._searcher = Searcher(catalog, index, self.encoder, read_upload=self.uploads.read, limits=limits)
        self._encoder: Encoder | None = None
        self._encoder_error: ImgSearchError | None = None
        self._encoder_done = threading.Event()
        self.metrics = ServiceMetrics()
        self._latencies_ms: deque[float] = deque(maxlen=1000)
        self._closed = False

    @classmethod
    def open(cls, settings: Settings) -> SearchService:
        """Open the catalog and its index, and start loading the encoder in the background.

        Searching by items works at once; texts and pictures wait for the encoder. Raises `CatalogNotFound`,
        `CatalogLocked`, `CatalogCorrupt`.
        """
        catalog = Catalog.open(settings.catalog)
        try:
            service = cls(settings, catalog, LiveIndex.open(catalog, threads=settings.worker_threads))
        except BaseException:
            catalog.close()
            raise
        catalog.preload()
        threading.Thread(target=service._load_encoder, name="load-encoder", daemon=True).start()
        return service

    def close(self) -> None:
        """Write pending feedback and close everything; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.feedback.close()
        self._originals.close()
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
        if not self._encoder_done.wait(ENCODER_PATIENCE_S):
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
            encoder = load_encoder(self.catalog.encoder_spec, device=self.settings.device or None)
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

    # --- searching --------------------------------------------------------------------------------------------

    def search(self, query: Query, *, visitor: str = "", record: bool = True) -> SearchResult:
        """Answer the query and, with `record`, note what was shown. Raises what `Searcher.search` raises."""
        result = self._searcher.search(query)
        self.metrics.observe(result)
        self._latencies_ms.append(float(result.timing_ms["total"]))
        if record and self.settings.feedback:
            self.feedback.record_impressions(result, query_key(query), visitor=visitor)
        return result

    def item(self, item_id: str) -> Item:
        """Return an item; raises `UnknownItem`."""
        return self.catalog.get(item_id)

    def sample(self, n: int, *, seed: int, filters: Sequence[Filter] = ()) -> list[Item]:
        """Return up to n items that differ from each other, the same ones for the same seed."""
        return self.catalog.sample(n, seed=seed, filters=filters)

    def facets(self, filters: Sequence[Filter] = ()) -> list[Facet]:
        """Return every metadata column as a filter offers it."""
        return self.catalog.facets(filters)

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
