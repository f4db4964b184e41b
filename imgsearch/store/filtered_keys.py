"""The keys that pass filters, kept while items change: only the items that changed are compared again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from cachetools import LRUCache

from imgsearch.core.key_arrays import Keys, is_in, without
from imgsearch.core.query import Filter
from imgsearch.store.database import Database
from imgsearch.store.metadata_table import MetadataTable
from imgsearch.store.recent_changes import RecentChanges

CACHED_FILTERS = 48
MAX_COMPARED = 5_000
"""With more changed items, all items are compared again."""


class FilteredKeys:
    """The items of one catalog by the filters that they pass; safe to use from any thread.

    The same filters return the same array until an item begins or ends to pass them: an index may know a selection
    of keys by its array.
    """

    def __init__(
        self,
        database: Database,
        metadata: MetadataTable,
        recent: RecentChanges,
        version: Callable[[], int],
    ) -> None:
        """`version` returns the version of the catalog, which `recent` refers to."""
        self._database = database
        self._metadata = metadata
        self._recent = recent
        self._version = version
        self._lock = threading.Lock()
        self._kept: LRUCache[tuple[Filter, ...], tuple[int, Keys]] = LRUCache(CACHED_FILTERS)

    def passing(self, filters: tuple[Filter, ...]) -> Keys:
        """Return the ascending keys of the items that pass every filter, a shared array; raises `FilterError`."""
        if not filters:
            return self._metadata.keys_matching(())
        version = self._version()
        with self._lock:
            kept = self._kept.get(filters)
        if kept is not None and kept[0] == version:
            return kept[1]
        keys = self._brought_up(kept, filters)
        with self._lock:
            now = self._kept.get(filters)
            if now is not None and now[0] >= version:  # the first of two threads wins
                return now[1]
            self._kept[filters] = version, keys
        return keys

    def _brought_up(self, kept: tuple[int, Keys] | None, filters: tuple[Filter, ...]) -> Keys:
        touched = None if kept is None else self._recent.since(kept[0])
        if kept is None or touched is None or len(touched) > MAX_COMPARED:
            return self._metadata.keys_matching(filters)
        where, values = self._metadata.where(filters)
        matching = self._database.keys(
            "SELECT metadata.key AS key FROM (SELECT unnest(?::UBIGINT[]) AS wanted) "
            f"JOIN metadata ON metadata.key = wanted WHERE {where} ORDER BY metadata.key",
            [touched.tolist(), *values],
        )
        before = kept[1]
        if np.array_equal(touched[is_in(before, touched)], matching):
            return before
        return np.union1d(without(before, touched), matching)
