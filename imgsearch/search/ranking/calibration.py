"""The calibration of a catalog's confidence: which scores its own photos and titles reach, in every space searched.

It owns which items are the probes, that their levels are found in the background, and `<catalog>/confidence.json`,
where they wait for the next start. What a level means is `imgsearch.search.ranking.confidence`'s; it knows
no query and no
page.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import BackgroundThread, Stopped
from imgsearch.core.files import write_durably
from imgsearch.core.records import TITLE_COLUMNS
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.rerank import ranked
from imgsearch.search.ranking.confidence import Kind, Levels, photo_levels, word_levels, words_of
from imgsearch.store.catalog import CatalogStore

__all__ = ["Calibration"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]

PHOTO_PROBES = 500
WORD_PROBES = 200
"""Fewer than photos: words are encoded first, and their level is no extreme of their values."""
READ_FOR_WORDS = 4000
"""From how many items titles and words are taken."""
MAX_TITLE = 200
LONGEST_VALUE = 60
"""A longer value is a description, which speaks of more than the item."""
SLACK = 16
"""How many more candidates the index is asked for than are wanted."""
BATCH = 32
STOP_TIMEOUT_S = 30.0
STORED_VERSION = 1

_log = logging.getLogger(__name__)


class Calibration:
    """The levels of one catalog; safe to use from any thread.

    They are found anew in every process that serves a catalog, and when it has doubled or halved. Until then those of
    an earlier process are used, so that only the first search of a new space may lack them.
    """

    def __init__(
        self, catalog: CatalogStore, encoder: Callable[[], Encoder], *, in_background: bool = True
    ) -> None:
        """Calibrate `catalog`, whose titles are encoded by `encoder`.

        Without `in_background`, levels are found when they are first asked for, while the caller waits, unless an
        earlier process has found them for the very same items.
        """
        self._catalog = catalog
        self._encoder = encoder
        self._in_background = in_background
        self._lock = threading.Lock()
        self._known: dict[tuple[str, Kind], tuple[int, Levels | None]] = {}
        self._wanted: dict[tuple[str, Kind], LiveIndex] = {}
        self._thread = BackgroundThread("calibration", self._run)
        self._path = catalog.folder / "confidence.json"
        self._stored: dict[tuple[str, str], dict[str, Any]] | None = None

    def levels(self, index: LiveIndex, kind: Kind) -> Levels | None:
        """Return the levels for scores of `index`; None where they cannot be told, or not yet.

        Asks for them in the background, so that a later call has them.
        """
        name = index.space.id, kind
        with self._lock:
            size, levels = self._known.get(name, (-1, None))
            if size == _size(index) or self._thread.stopping:
                return levels
            if size < 0:
                levels, exact = self._stored_levels(name)
                if levels is not None and exact and not self._in_background:
                    self._known[name] = _size(index), levels
                    return levels
            if self._in_background:
                self._wanted[name] = index
                self._thread.start()
                return levels
        self._calibrate(index, kind)
        return self._known[name][1]

    def wait(self, timeout_s: float) -> bool:
        """Wait until no levels are being found; return False if that takes longer than `timeout_s`."""
        return self._thread.wait(timeout_s)

    def close(self) -> None:
        """Stop what goes on in the background and wait until it has; closing twice is fine."""
        self._thread.stop(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    return
                name = next(iter(self._wanted))
                index = self._wanted.pop(name)
            self._calibrate(index, name[1])

    def _calibrate(self, index: LiveIndex, kind: Kind) -> None:
        """Find the levels and keep them. A hint must not fail a search: what goes wrong is logged, and None kept."""
        size, levels = _size(index), None
        try:
            levels = self._of_photos(index) if kind == "photo" else self._of_words(index)
        except Stopped:
            raise
        except Exception:
            _log.exception("the confidence of searches by %s cannot be told", kind)
        with self._lock:
            self._known[index.space.id, kind] = size, levels
            if levels is not None:
                self._store((index.space.id, kind), levels)

    # --- for the next start -------------------------------------------------------------------------------------

    def _stored_levels(self, name: tuple[str, Kind]) -> tuple[Levels | None, bool]:
        """Return what an earlier process found for a space, and whether the items are still the same."""
        entry = self._read_stored().get(name)
        if entry is None:
            return None, False
        try:
            described = frozenset(frozenset(map(str, words)) for words in entry["described"])
            levels = Levels(float(entry["weak"]), float(entry["strong"]), described)
            return levels, entry["items"] == self._items()
        except (KeyError, TypeError, ValueError):
            return None, False

    def _store(self, name: tuple[str, Kind], levels: Levels) -> None:
        """Keep levels for the next start; a folder that cannot be written is no reason to fail."""
        stored = self._read_stored()
        words = sorted(sorted(row) for row in levels.described)
        entry = {"weak": levels.weak, "strong": levels.strong, "described": words, "items": self._items()}
        stored[name] = {"space": name[0], "kind": name[1], **entry}
        document = {"version": STORED_VERSION, "levels": list(stored.values())}
        try:
            write_durably(self._path, json.dumps(document, ensure_ascii=False))
        except OSError as error:
            _log.warning("the levels of confidence cannot be kept in %s: %s", self._path, error)

    def _read_stored(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what is kept, by space and kind; nothing of a missing, damaged or other version of the file."""
        if self._stored is None:
            self._stored = {}
            try:
                document = json.loads(self._path.read_text(encoding="utf-8"))
                if document["version"] == STORED_VERSION:
                    self._stored = {(entry["space"], entry["kind"]): entry for entry in document["levels"]}
            except FileNotFoundError:
                pass
            except (OSError, ValueError, KeyError, TypeError):
                _log.warning("%s is damaged; the levels of confidence are found anew", self._path)
        return self._stored

    def _items(self) -> list[int]:
        """Return what tells whether the items are the same: how many, and the last key, as keys are never reused."""
        keys = self._catalog.keys()
        return [len(keys), int(keys[-1]) if len(keys) else -1]

    # --- finding them -------------------------------------------------------------------------------------------

    def _of_photos(self, index: LiveIndex) -> Levels | None:
        keys = _drawn(self._catalog.keys(), PHOTO_PROBES)
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
            keys, _ = index.search(row, k + SLACK)
            return ranked(keys, index.space.vectors(keys), row, k)

        return nearest

    def _texts(self) -> tuple[list[str], set[frozenset[str]]]:
        """Return distinct titles and the words of each row, of a sample of items: the same for the same catalog."""
        titles: dict[str, None] = {}
        described: set[frozenset[str]] = set()
        for item in self._catalog.by_keys(_drawn(self._catalog.keys(), READ_FOR_WORDS)):
            texts = {name: value for name, value in item.metadata.items() if isinstance(value, str)}
            named = [texts[column] for column in TITLE_COLUMNS if texts.get(column, "").strip()]
            if named and len(titles) < WORD_PROBES:
                titles[" ".join(named[0].split())[:MAX_TITLE]] = None
            described.add(words_of(" ".join(text for text in texts.values() if len(text) <= LONGEST_VALUE)))
        return list(titles), described


def _drawn(keys: Keys, n: int) -> Keys:
    """Return up to n of the keys in an order of chance, the same for the same keys."""
    return np.random.default_rng(0).permutation(keys)[:n]


def _size(index: LiveIndex) -> int:
    return len(index).bit_length()
