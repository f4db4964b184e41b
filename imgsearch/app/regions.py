"""Suggested regions of pictures: boxes around the things in a photo or an upload, which visitors can search by."""

from __future__ import annotations

import threading

from cachetools import LRUCache, cached

from imgsearch.core.query import Region
from imgsearch.search.engine import SearchEngine
from imgsearch.vision.images import decode_image
from imgsearch.vision.saliency import suggested_regions

PICTURE_PX = 384
CACHED_PICTURES = 10_000

Regions = tuple[Region, ...]


class RegionSuggestions:
    """Finds boxes, the most salient first, and caches them; safe to use from any thread."""

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        cache: LRUCache[tuple[str, int | None], Regions] = LRUCache(CACHED_PICTURES)
        self._cached = cached(cache, lambda name, key: (name, key), lock=threading.Lock())(self._find)

    def of_item(self, item_id: str) -> Regions:
        """Return the boxes of an item's photo; raises `UnknownItem`, `ImageError` or `SourceError`."""
        return self._cached(item_id, self._engine.catalog.get(item_id).key)  # a changed photo has another key

    def of_upload(self, upload_id: str) -> Regions:
        """Return the boxes of an upload; raises `QueryError` for an unknown id."""
        return self._cached(upload_id, None)

    def _find(self, name: str, key: int | None) -> Regions:
        engine = self._engine
        if key is None:
            data = engine.uploads.webp(name, PICTURE_PX)
        else:
            data = engine.thumbnails.get(engine.catalog.get(name), PICTURE_PX).data
        return tuple(suggested_regions(decode_image(data)))
