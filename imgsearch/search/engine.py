"""The `SearchEngine`: everything that searches one catalog, opened once, in order, and closed in reverse.

The server, the commands, the notebook and the tests build on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from imgsearch.core.config import Settings
from imgsearch.core.errors import CatalogError, SourceError
from imgsearch.core.records import Item
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import live_space
from imgsearch.search.encoder_provider import EncoderProvider
from imgsearch.search.query_encoder import Pictures
from imgsearch.search.ranking.confidence import Calibration
from imgsearch.search.ranking.duplicates import Duplicates
from imgsearch.search.ranking.rules import Rules
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import Systems
from imgsearch.search.words.titles import Titles
from imgsearch.search.words.word_help import WordHelp
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.store.uploads import SEARCH_PX, UploadStore
from imgsearch.vision.images import THUMBNAIL_SIZES, ImageLimits


class SearchEngine:
    """One open catalog with its index, encoder, rules, duplicates, titles and searchers; a context manager.

    Safe to use from any thread. `searcher` answers by the live system, `systems` by any; both use the one `rules`,
    `duplicates` and `titles` of the catalog, so that a change of them holds at once.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        create: bool = False,
        serving: bool = False,
        confidence: bool = True,
        encoder: Encoder | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        """Open the catalog of the settings and all that searches it; with `create`, make the catalog if needed.

        By default the encoder is loaded by the first query that needs it, and titles and calibration are computed
        while the first caller waits. `serving` is for servers: titles and calibration are computed in background
        threads, and the encoder is loaded by `start`. Without `confidence`, results do not say how good they are.
        `encoder` is one that is loaded already; `progress` gets sentences while an encoder is loaded.
        Raises `CatalogNotFound`, `CatalogLocked`, `CatalogCorrupt`; nothing stays open then.
        """
        self.settings = settings
        self._choosing = threading.Lock()
        self.catalog = catalog = _opened(settings, create=create, serving=serving)
        with ExitStack() as opened:
            opened.callback(catalog.close)
            self.index = open_index(catalog, settings)
            opened.callback(lambda: self.index.close())
            if serving and not settings.replica_of:
                self.index.start_upkeep()
            limits = self._open_pictures(opened)
            self.encoder = EncoderProvider(
                catalog, device=settings.device, backend=settings.backend, progress=progress, encoder=encoder
            )
            self.rules, self.duplicates = Rules(catalog), Duplicates(catalog)
            opened.callback(self.duplicates.close)
            self.titles = self._new_titles(serving)
            opened.callback(self.titles.close)
            self.calibration = Calibration(catalog, self.encoder.get, in_background=serving)
            opened.callback(self.calibration.close)
            self.searcher = Searcher(
                catalog,
                self.index,
                self.encoder.get,
                rules=self.rules,
                duplicates=self.duplicates,
                titles=self.titles,
                pictures=Pictures(self.uploads, self.read_photo, self.uploads.limits if serving else limits),
                levels=self.calibration.levels if confidence else None,
                availability=settings.availability_column,
            )
            self.systems = Systems(self.searcher, threads=settings.worker_threads)
            opened.callback(self.systems.close)
            self.words = WordHelp(catalog, lambda: self.encoder.loaded, self.titles.names)
            opened.callback(self.words.close)
            # Before the threads of titles and calibration, which may wait for the encoder.
            opened.callback(self.encoder.close)
            self._opened = opened.pop_all()

    def _new_titles(self, serving: bool) -> Titles:
        chosen = [name.strip() for name in self.settings.search_columns.split(",") if name.strip()]
        encoder = self.encoder.get if self.settings.titles else None
        return Titles(self.catalog, encoder, columns=chosen, in_background=serving)

    def _open_pictures(self, opened: ExitStack) -> ImageLimits:
        """Open what reads photos and uploads, and return the limits of a picture of the catalog's owner."""
        settings, folder = self.settings, self.catalog.folder
        limits = ImageLimits(max_pixels=settings.max_pixels)
        self.originals = Originals(catalog_folder=folder)
        opened.callback(self.originals.close)
        self.thumbnails = ThumbnailCache(
            folder / "thumbnails", self.originals, max_bytes=settings.thumbnail_cache_bytes, limits=limits
        )
        self.uploads = UploadStore(
            folder / "uploads",
            max_bytes=settings.upload_cache_bytes,
            limits=ImageLimits(max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels),
            search_px=lambda: self.encoder.loaded.input_px if self.encoder.loaded else SEARCH_PX,
        )
        opened.callback(self.uploads.close)
        return limits

    def start(self, then: Callable[[], None] | None = None) -> None:
        """Load the encoder in the background, then prepare what first searches need, then call `then`."""

        def prepare() -> None:
            self.prepare()
            if then is not None:
                then()

        self.encoder.start(prepare)

    def prepare(self) -> None:
        """Compute what takes long for a large catalog before a search needs it: levels, titles, groups, facets."""
        if self.titles.names is not None:
            self.titles.names.prepare()
        self.calibration.levels(self.index, "photo")
        if self.encoder.loaded is not None:
            self.calibration.levels(self.index, "words")
            self.titles.ready()
        self.duplicates.groups()
        self.catalog.metadata.facets((), without=self.rules.hidden_keys())

    def use_index(self, index: LiveIndex) -> None:
        """Search another index of the same catalog from the next search on, such as that of a published head."""
        before = self.index
        self.searcher = self.systems.live = self.searcher.variant(index=index)
        self.index = index
        if before is not index and before.kept_up:
            before.close()
            index.start_upkeep()
            index.sync()  # with the items that changed while it was opened

    def indexes(self) -> list[LiveIndex]:
        """Return every open index of the catalog, the searched one first: all must follow its changes."""
        return [self.index, *self.systems.other_indexes()]

    def reopen_index(self) -> None:
        """Open the index of the catalog's live space again, after items or heads have changed on disk."""
        self.use_index(open_index(self.catalog, self.settings))

    def encoder_for_changes(self) -> Encoder:
        """Return the catalog's encoder; for a catalog that has none yet, the one that indexing would choose.

        Raises what loading it raises.
        """
        if not self.catalog.encoder_id:
            with self._choosing:
                if not self.catalog.encoder_id:
                    encoder = self.encoder.for_indexing(None, self.settings.encoder)
                    self.reopen_index()
                    return encoder
        return self.encoder.get()

    def read_photo(self, item: Item) -> bytes:
        """Return the bytes of an item's photo, or its largest thumbnail where the original cannot be read.

        Raises `SourceError` or `ImageError` where neither exists.
        """
        try:
            return self.originals.read(item.location)
        except SourceError:
            return self.thumbnails.get(item, max(THUMBNAIL_SIZES)).data

    def close(self) -> None:
        """Stop all background work and close the catalog; closing twice is fine."""
        self._opened.close()

    def __enter__(self) -> SearchEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _opened(settings: Settings, *, create: bool, serving: bool) -> CatalogStore:
    """Open the catalog; raises `CatalogError` where a server could not write to it."""
    catalog = CatalogStore.open(settings.catalog, create=create)
    try:
        if serving:
            catalog.database.check_writable()
        return catalog
    except CatalogError:
        catalog.close()
        raise


def open_index(catalog: CatalogStore, settings: Settings) -> LiveIndex:
    """Return the index of an open catalog's live space, at the address that the settings or the catalog name.

    Raises `CatalogCorrupt` for a damaged head.
    """
    catalog.bind_index(settings.index, read_only=bool(settings.replica_of))
    return open_live_index(catalog, threads=settings.worker_threads, space=live_space(catalog))


@contextmanager
def open_catalog_index(
    settings: Settings, *, create: bool = False
) -> Iterator[tuple[CatalogStore, LiveIndex]]:
    """Open a catalog and its index for a command that neither encodes nor searches."""
    with CatalogStore.open(Path(settings.catalog), create=create) as catalog:
        yield catalog, open_index(catalog, settings)
