"""The calibration of a catalog's confidence: which scores its own photos and titles reach in each searched space."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import BackgroundThread, Stopped
from imgsearch.core.records import TITLE_COLUMNS
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.rerank import ranked
from imgsearch.search.ranking.confidence import Kind, Levels, photo_levels, word_levels, words_of
from imgsearch.search.ranking.levels_file import LevelsFile
from imgsearch.store.catalog import CatalogStore

__all__ = ["Calibration"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]

PHOTO_PROBES = 500
WORD_PROBES = 200
"""Fewer than photos: words must be encoded, and their level is not an extreme quantile."""
MAX_ROWS_READ = 4000
"""From how many items titles and words are taken."""
MAX_TITLE_CHARS = 200
MAX_VALUE_CHARS = 60
"""A longer value is a description, which mentions more than the item."""
EXTRA_CANDIDATES = 16
BATCH = 32
STOP_TIMEOUT_S = 30.0

_log = logging.getLogger(__name__)


class Calibration:
    """The levels of one catalog; safe to use from any thread.

    Every process that serves a catalog computes them again, also when it has doubled or halved. Until then those of
    an earlier process are used, so that only the first search of a new space may lack them.
    """

    def __init__(
        self, catalog: CatalogStore, encoder: Callable[[], Encoder], *, in_background: bool = True
    ) -> None:
        """Calibrate `catalog`, whose titles are encoded by `encoder`.

        Without `in_background`, the first caller waits while levels are computed, unless an earlier process has
        computed them for the very same items.
        """
        self._catalog = catalog
        self._encoder = encoder
        self._in_background = in_background
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Kind], tuple[int, Levels | None]] = {}
        self._pending: dict[tuple[str, Kind], LiveIndex] = {}
        self._thread = BackgroundThread("calibration", self._run)
        self._file = LevelsFile(catalog.folder / "confidence.json")

    def levels(self, index: LiveIndex, kind: Kind) -> Levels | None:
        """Return the levels for scores of `index`; None where they cannot be computed, or are not yet.

        Missing levels are computed in the background for a later call.
        """
        name = index.space.id, kind
        with self._lock:
            size, levels = self._known.get(name, (-1, None))
            if size == _size(index) or self._thread.stopping:
                return levels
            if size < 0:
                levels, items = self._file.get(*name)
                if levels is not None and items == self._items() and not self._in_background:
                    self._known[name] = _size(index), levels
                    return levels
            if self._in_background:
                self._pending[name] = index
                self._thread.start()
                return levels
        self._calibrate(index, kind)
        return self._known[name][1]

    def wait(self, timeout_s: float) -> bool:
        """Wait until no levels are being computed; return False if that takes longer than `timeout_s`."""
        return self._thread.wait(timeout_s)

    def close(self) -> None:
        """Stop the background thread and wait for it; closing twice is fine."""
        self._thread.stop(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._pending:
                    return
                name = next(iter(self._pending))
                index = self._pending.pop(name)
            self._calibrate(index, name[1])

    def _calibrate(self, index: LiveIndex, kind: Kind) -> None:
        """Compute and store the levels. They must not fail a search: an error is logged, and there are none."""
        size, levels = _size(index), None
        try:
            levels = self._of_photos(index) if kind == "photo" else self._of_words(index)
        except Stopped:
            raise
        except Exception:
            _log.exception("the confidence of searches by %s cannot be computed", kind)
        with self._lock:
            self._known[index.space.id, kind] = size, levels
            if levels is not None:
                self._file.store(index.space.id, kind, levels, self._items())

    def _items(self) -> list[int]:
        """Return what identifies the items: how many, and the last key, as keys are never reused."""
        keys = self._catalog.keys()
        return [len(keys), int(keys[-1]) if len(keys) else -1]

    def _of_photos(self, index: LiveIndex) -> Levels | None:
        keys = _sample(self._catalog.keys(), PHOTO_PROBES)
        return photo_levels(self._nearest(index), keys, index.space.vectors(keys)) if len(keys) else None

    def _of_words(self, index: LiveIndex) -> Levels | None:
        titles, described = self._texts()
        if not titles:
            return None
        encoder, rows = self._encoder(), []
        for start in range(0, len(titles), BATCH):
            self._thread.check()
            rows.append(encoder.encode_texts(titles[start : start + BATCH]))
        return word_levels(self._nearest(index), index.space.project(np.concatenate(rows)), described)

    def _nearest(self, index: LiveIndex) -> Callable[[Rows, int], tuple[Keys, Rows]]:
        def nearest(row: Rows, k: int) -> tuple[Keys, Rows]:
            self._thread.check()
            keys, _ = index.search(row, k + EXTRA_CANDIDATES)
            return ranked(keys, index.space.vectors(keys), row, k)

        return nearest

    def _texts(self) -> tuple[list[str], set[frozenset[str]]]:
        """Return distinct titles and the words of each row, of a sample of items: the same for the same catalog."""
        titles: dict[str, None] = {}
        described: set[frozenset[str]] = set()
        for item in self._catalog.by_keys(_sample(self._catalog.keys(), MAX_ROWS_READ)):
            texts = {name: value for name, value in item.metadata.items() if isinstance(value, str)}
            named = [texts[column] for column in TITLE_COLUMNS if texts.get(column, "").strip()]
            if named and len(titles) < WORD_PROBES:
                titles[" ".join(named[0].split())[:MAX_TITLE_CHARS]] = None
            short = (text for text in texts.values() if len(text) <= MAX_VALUE_CHARS)
            described.add(words_of(" ".join(short)))
        return list(titles), described


def _sample(keys: Keys, n: int) -> Keys:
    """Return up to n of the keys in random order, the same for the same keys."""
    return np.random.default_rng(0).permutation(keys)[:n]


def _size(index: LiveIndex) -> int:
    return len(index).bit_length()
