"""Looks of photos that were indexed without one: made from the cached thumbnail, else from the original."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import ImageError, SourceError
from imgsearch.core.records import Item
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.vision.images import ImageLimits, decode_image
from imgsearch.vision.looks import SIDE_PX, Look, describe

INDEXING_BATCH = 128
BACKGROUND_BATCH = 16
BACKGROUND_SHARE = 0.5
"""The share of time that the background thread works; it pauses for the rest."""
STOP_TIMEOUT_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LookMaker:
    """Makes looks from photos; safe to use from any thread."""

    originals: Originals
    thumbnails: ThumbnailCache | None = None
    limits: ImageLimits = field(default_factory=ImageLimits)

    def make(self, item: Item) -> Look | None:
        """Return the look of an item's photo, or None for a damaged one; raises `SourceError` if it is unreadable."""
        cached = self.thumbnails.kept(item.key, SIDE_PX) if self.thumbnails else None
        try:
            data = cached if cached is not None else self.originals.read(item.location)
            return describe(decode_image(data, target_px=SIDE_PX, limits=self.limits))
        except ImageError:
            return None

    def fill(self, catalog: CatalogStore, items: Iterable[Item]) -> int:
        """Make and store the looks of items, except of unreadable photos; return how many."""
        looks: dict[int, Look | None] = {}
        for item in items:
            try:
                looks[item.key] = self.make(item)
            except SourceError:
                continue
            except Exception:  # one photo must not stop the others, whatever a decoder raises
                _log.exception("the look of %s could not be made", item.location)
                looks[item.key] = None
        if looks:
            catalog.looks.store(np.array(list(looks), np.uint64), list(looks.values()))
        return len(looks)

    def fill_missing(self, catalog: CatalogStore, keys: Sequence[int], pool: ThreadPoolExecutor) -> None:
        """Make and store the looks that are missing among `keys`, in the threads of a pool."""
        missing = np.intersect1d(np.array(keys, np.uint64), catalog.looks.missing())
        parts = [missing[at : at + INDEXING_BATCH] for at in range(0, len(missing), INDEXING_BATCH)]
        list(pool.map(lambda part: self.fill(catalog, catalog.by_keys(part)), parts))


class LookFiller(BackgroundThread):
    """Makes the missing looks of a served catalog in the background, in small batches with pauses."""

    def __init__(self, catalog: CatalogStore, maker: LookMaker) -> None:
        super().__init__("fill-looks", self._fill)
        self._catalog = catalog
        self._maker = maker

    def close(self) -> None:
        """Stop after the present photo; closing twice, or before the start, is fine."""
        self.stop(STOP_TIMEOUT_S)

    def _fill(self) -> None:
        keys = self._catalog.looks.missing()
        for start in range(0, len(keys), BACKGROUND_BATCH):
            began = time.perf_counter()
            batch = self._catalog.by_keys(keys[start : start + BACKGROUND_BATCH])
            self._maker.fill(self._catalog, itertools.takewhile(lambda _: not self.stopping, batch))
            self.pause((time.perf_counter() - began) * (1 / BACKGROUND_SHARE - 1))
