"""How good a result is for its catalog: strong, fair or weak, by the scores that the catalog's own items reach.

The statistic is the mean of the best scores. One threshold cannot serve all: photos are nearer to photos than to
words, and each encoder has other cosines. So a search by photo is compared with searches by the catalog's photos,
a search by words with searches by its titles. A text whose words are all in one row of the catalog is never weak:
"red" describes much and scores low. Measured by `scripts/measure_confidence.py`, docs/how-search-works/confidence.md.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import BackgroundThread, Stopped
from imgsearch.core.files import write_durably
from imgsearch.core.key_arrays import Keys
from imgsearch.core.records import Confidence
from imgsearch.encoders.base import Encoder
from imgsearch.index.exact_search import ranked
from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore

Kind = Literal["photo", "words"]
Rows = NDArray[np.float32]
Nearest = Callable[[Rows, int], tuple[Keys, Rows]]
"""Returns the keys and the cosine scores of the k items nearest to a (dim,) unit row, best first."""

BEST_SCORES = 5
"""How many of the best scores are averaged: a single similar photo may be chance."""
WEAK_SENTENCE = "Nothing quite like this here; these are the nearest."
MIN_PROBES = 20
"""With fewer probes their lowest quantile is not known, and there are no levels."""
WEAK_PHOTO_QUANTILE = 0.05
WEAK_WORDS_QUANTILE = 0.2
"""Larger than for photos: titles have more words than visitors type, and score lower."""
STRONG_QUANTILE = 0.5
STOP_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)
FILE_VERSION = 1
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


@dataclass(frozen=True, slots=True)
class Levels:
    """The lowest of the catalog's own searches are below `weak`, the better half is from `strong` on.

    `described` has the words of each of the catalog's rows, as `words_of` returns them.
    """

    weak: float
    strong: float
    described: frozenset[frozenset[str]] = frozenset()

    def confidence(self, scores: Rows, text: str = "") -> Confidence | None:
        """Return how good a result is by its cosine scores, in any order, and by the text that was searched.

        None for fewer than `BEST_SCORES` scores, which are too few: a filter may have left only those.
        """
        if len(scores) < BEST_SCORES:
            return None
        value = float(np.sort(scores)[-BEST_SCORES:].mean())
        if value < self.weak:
            words = words_of(text)
            return "fair" if words and any(words <= row for row in self.described) else "weak"
        return "strong" if value >= self.strong else "fair"


def photo_levels(nearest: Nearest, keys: Keys, rows: Rows) -> Levels | None:
    """Return the levels of searches by photo; None where fewer than 20 probes found enough.

    The probes are items of the catalog: `keys` and their (n, dim) unit rows. None is compared with itself.
    """
    lists = []
    for key, row in zip(keys, rows, strict=True):
        found, scores = nearest(row, BEST_SCORES + 1)
        lists.append(scores[found != key][:BEST_SCORES])
    return _levels(lists, WEAK_PHOTO_QUANTILE)


def word_levels(nearest: Nearest, rows: Rows, described: Iterable[frozenset[str]] = ()) -> Levels | None:
    """Return the levels of searches by words; None where fewer than 20 probes found enough.

    The probes, (n, dim) unit rows, are encoded texts that describe items of the catalog; `described` has the words
    of each row.
    """
    levels = _levels((nearest(row, BEST_SCORES)[1] for row in rows), WEAK_WORDS_QUANTILE)
    return replace(levels, described=frozenset(described)) if levels else None


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text in small letters, without a plural's s and without stop words."""
    found = re.findall(r"\w+", text.casefold())
    return frozenset(
        word.removesuffix("s") if len(word) > 3 else word for word in found if word not in STOP_WORDS
    )


def _levels(lists: Iterable[Rows], weak_quantile: float) -> Levels | None:
    values = [float(scores.mean()) for scores in lists if len(scores) == BEST_SCORES]
    if len(values) < MIN_PROBES:
        return None
    weak, strong = np.quantile(values, [weak_quantile, STRONG_QUANTILE])
    return Levels(float(weak), float(strong))


class LevelsFile:
    """Reads and writes the file; used under the caller's lock. It is a cache: a damaged file is ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[tuple[str, str], dict[str, Any]] | None = None

    def get(self, space: str, kind: Kind) -> tuple[Levels | None, list[int]]:
        """Return the levels of a space, and what identifies the items they were computed for; (None, []) for none."""
        try:
            entry = self._read()[space, kind]
            described = frozenset(frozenset(map(str, words)) for words in entry["described"])
            return Levels(float(entry["weak"]), float(entry["strong"]), described), entry["items"]
        except (KeyError, TypeError, ValueError):
            return None, []

    def store(self, space: str, kind: Kind, levels: Levels, items: list[int]) -> None:
        """Store the levels of a space; logs a warning where the folder cannot be written."""
        words = sorted(sorted(row) for row in levels.described)
        entry = {"weak": levels.weak, "strong": levels.strong, "described": words, "items": items}
        entries = self._read()
        entries[space, kind] = {"space": space, "kind": kind, **entry}
        document = {"version": FILE_VERSION, "levels": list(entries.values())}
        try:
            write_durably(self._path, json.dumps(document, ensure_ascii=False))
        except OSError as error:
            _log.warning("the levels of confidence cannot be stored in %s: %s", self._path, error)

    def _read(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the entries by space and kind; none of a missing, damaged or other version of the file."""
        if self._entries is None:
            self._entries = {}
            try:
                document = json.loads(self._path.read_text(encoding="utf-8"))
                if document["version"] == FILE_VERSION:
                    self._entries = {(entry["space"], entry["kind"]): entry for entry in document["levels"]}
            except FileNotFoundError:
                pass
            except (OSError, ValueError, KeyError, TypeError):
                _log.warning("%s is damaged; the levels of confidence are computed again", self._path)
        return self._entries


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
        title_columns = self._catalog.metadata.title_columns
        for item in self._catalog.by_keys(_sample(self._catalog.keys(), MAX_ROWS_READ)):
            texts = {name: value for name, value in item.metadata.items() if isinstance(value, str)}
            named = [texts[column] for column in title_columns if texts.get(column, "").strip()]
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
