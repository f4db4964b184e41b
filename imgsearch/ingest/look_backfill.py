"""Looks of photos that were indexed without: made later, from the kept thumbnail or the original.

It owns which photos are tried again and the thread that fills a served catalog, in small batches with pauses, so that
searches stay fast. How a look is made and kept it is told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

import numpy as np

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import ImageError, SourceError
from imgsearch.core.records import Item
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.vision.images import ImageLimits, decode_image
from imgsearch.vision.looks import SIDE_PX, Look, describe

__all__ = ["LookFiller", "LookMaker"]

AT_ONCE = 16
STOP_TIMEOUT_S = 60.0
SHARE_OF_TIME = 0.5
"""Of the time the filler works; for the rest it waits."""

_log = logging.getLogger(__name__)


class LookMaker:
    """Makes looks from photos; safe to use from any thread."""

    def __init__(
        self,
        originals: Originals,
        thumbnails: ThumbnailCache | None = None,
        limits: ImageLimits | None = None,
    ) -> None:
        """Read a photo's kept thumbnail where there is one, else its original."""
        self._originals = originals
        self._thumbnails = thumbnails
        self._limits = limits or ImageLimits()

    def make(self, item: Item) -> Look | None:
        """Return the look of an item's photo, or None for one that is no usable picture.

        Raises `SourceError` where the photo cannot be had now.
        """
        kept = self._thumbnails.kept(item.key, SIDE_PX) if self._thumbnails else None
        try:
            data = kept if kept is not None else self._originals.read(item.location)
            return describe(decode_image(data, target_px=SIDE_PX, limits=self._limits))
        except ImageError:
            return None

    def fill(self, catalog: CatalogStore, items: Iterable[Item]) -> int:
        """Make and keep the looks of items and return how many were settled; those that cannot be had now are not."""
        settled: dict[int, Look | None] = {}
        for item in items:
            try:
                settled[item.key] = self.make(item)
            except SourceError:
                continue
            except Exception:  # one photo must not stop the others, whatever a decoder makes of it
                _log.exception("the look of %s could not be made", item.location)
                settled[item.key] = None
        if settled:
            catalog.looks.store(np.array(list(settled), np.uint64), list(settled.values()))
        return len(settled)


class LookFiller:
    """Fills a catalog's missing looks in a thread of its own; ends when there are none left."""

    def __init__(self, catalog: CatalogStore, maker: LookMaker) -> None:
        """Do nothing before `start`."""
        self._catalog = catalog
        self._maker = maker
        self._thread = BackgroundThread("fill-looks", self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the photo in work and wait for it; closing twice, or before the start, is fine."""
        self._thread.stop(STOP_TIMEOUT_S)

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is left to do, at most `timeout_s`; return whether that is so."""
        return self._thread.wait(timeout_s)

    def _run(self) -> None:
        keys = self._catalog.looks.missing()
        for start in range(0, len(keys), AT_ONCE):
            began = time.perf_counter()
            batch = self._catalog.by_keys(keys[start : start + AT_ONCE])
            self._maker.fill(self._catalog, self._until_stopped(batch))
            self._thread.pause((time.perf_counter() - began) * (1 / SHARE_OF_TIME - 1))

    def _until_stopped(self, items: Sequence[Item]) -> Iterable[Item]:
        for item in items:
            if self._thread.stopping:
                return
            yield item
