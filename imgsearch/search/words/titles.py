"""Titles as a second way to find photos by words: text is compared with titles, and both orders are fused.

It owns which titles count, that they are encoded once (in the background of a service), how much they are trusted in
this catalog, and the fusion. It knows the catalog and an encoder; no query, no index, no page.

Orders are fused by reciprocal rank: 1 / (K + rank) of either order is summed (Cormack, Clarke and Buettcher 2009,
"Reciprocal rank fusion outperforms Condorcet and individual rank learning methods"). An item without a title counts
by its photo's rank in both, so that it is neither lifted nor sunk. The titles' part is weighted by how well titles
tell which photo they belong to, measured on the catalog's own items: titles that say nothing of photos do nothing.
`scripts/measure_words.py` measures it; docs/how-search-works/words.md has the figures.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import BackgroundThread, Stopped
from imgsearch.core.key_arrays import places_in
from imgsearch.encoders.base import Encoder
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.title_vectors import TitleStore

__all__ = [
    "MOST_TITLES",
    "TitleIndex",
    "TitleMatch",
    "Titles",
    "TitlesState",
    "fused",
    "title_weight",
]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]
Codes = NDArray[np.int64]
Scores = NDArray[np.float32]

MOST_TITLES = 50_000
"""With more distinct titles none are used: all are compared with at each search by words, 10 ms for so many."""
K = 60
"""The constant of the reciprocal ranks, as in the paper."""
LONGEST_TITLE = 200
PROBES = 400
FEWEST_PROBES = 20
LEAST_TRUST = 0.75
"""Titles that tell their photo from another no more often than this, as when every second is wrong, are not used."""
BATCH = 32
SHARE_OF_TIME = 0.5
"""Of the time titles are encoded in the background; for the rest it waits."""
STOP_TIMEOUT_S = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TitlesState:
    """How titles stand: how many distinct ones there are, how many are encoded, and what they are worth here.

    `trust` is the chance that a title tells its photo from another one's, None where that is not known (yet);
    `reason` says in a sentence why titles are not used, "" where they are or soon will be.
    """

    titles: int = 0
    encoded: int = 0
    trust: float | None = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """How titles stand, for people; "" where nothing is known yet."""
        if self.reason:
            return self.reason
        if self.encoded < self.titles:
            return f"{self.encoded:,} of {self.titles:,} titles are encoded; words find photos alone until all are."
        return (
            f"{self.titles:,} titles count beside the photos when words are searched." if self.titles else ""
        )


@dataclass(frozen=True, eq=False)
class TitleIndex:
    """The titles of a catalog in one state: `rows` (u, dim) unit rows, and which item has which.

    `keys` ascend, `codes` say which row each has. `weight` is how much titles count beside photos.
    """

    rows: Rows
    keys: Keys
    codes: Codes
    weight: float
    _by_code: Codes = field(init=False, repr=False)
    _starts: Codes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the items by their title once."""
        object.__setattr__(self, "_by_code", np.argsort(self.codes, kind="stable"))
        counts = np.bincount(self.codes, minlength=len(self.rows))
        object.__setattr__(self, "_starts", np.concatenate([[0], np.cumsum(counts)]))

    def match(self, row: Rows) -> TitleMatch:
        """Return how a text, a (dim,) unit row of the encoder, compares with every title."""
        return TitleMatch(self, np.round(self.rows @ row, 6))

    def items_of(self, codes: Codes, most: int) -> Keys:
        """Return the keys of items with these titles, title by title, up to `most` of them."""
        first, last = self._starts[codes], self._starts[codes + 1]
        enough = int(np.searchsorted(np.cumsum(last - first), most)) + 1
        bounds = zip(first[:enough].tolist(), last[:enough].tolist(), strict=True)
        parts = [self._by_code[start:end] for start, end in bounds]
        return self.keys[np.concatenate(parts)[:most]] if parts else self.keys[:0]


@dataclass(frozen=True, eq=False)
class TitleMatch:
    """One text compared with every title: `scores` (u,) cosines."""

    index: TitleIndex
    scores: Scores

    def best(self, most: int) -> Keys:
        """Return the keys of items with the best titles, up to `most` of them, the best titles first."""
        few = min(most, len(self.scores))
        codes = np.argpartition(-self.scores, few - 1)[:few] if few < len(self.scores) else np.arange(few)
        codes = codes[np.lexsort((codes, -self.scores[codes]))]
        return self.index.items_of(codes, most)

    def of(self, keys: Keys) -> Scores:
        """Return the title's cosine of each key, (n,); NaN for an item without a title."""
        found = np.full(len(keys), np.nan, np.float32)
        places, there = places_in(self.index.keys, keys)
        found[there] = self.scores[self.index.codes[places[there]]]
        return found

    def values(self, keys: Keys, scores: Scores) -> Scores:
        """Return what to rank items by, (n,), from their photos' cosines: the same numbers in the fused order."""
        order = np.argsort(-fused(scores, self.of(keys), self.index.weight), kind="stable")
        values = np.empty_like(scores)
        values[order] = np.sort(scores)[::-1]
        return values


def fused(photos: Scores, titles: Scores, weight: float) -> NDArray[np.float64]:
    """Return the sums of reciprocal ranks, (n,), higher is better; `titles` is NaN where there is none.

    Equal scores have equal ranks: the best that any of them could have. Photos' scores are in no order.
    """
    by_photo = _reciprocal(np.round(photos, 6))
    by_title = by_photo.copy()
    there = ~np.isnan(titles)
    # Among those that have one; the ranks are stretched over all, as if the others' titles lay between.
    by_title[there] = _reciprocal(titles[there], stretch=len(titles) / max(int(there.sum()), 1))
    return by_photo + weight * by_title


def title_weight(titles: Rows, photos: Rows, codes: Codes) -> tuple[float, float]:
    """Return (how much titles should count from 0 to 1, the chance that a title tells its photo from another's).

    `titles` and `photos` are (n, dim) unit rows of the same items, `codes` (n,) tell the titles apart. The chance is
    the area under the ROC curve (Hanley and McNeil 1982): 0.5 says that titles have nothing to do with the photos.
    """
    likeness = titles @ photos.T
    others = codes[:, None] != codes[None, :]
    own = np.diag(likeness)[:, None]
    wins = np.where(others, (likeness < own) + 0.5 * (likeness == own), 0.0).sum()
    pairs = int(others.sum())
    trust = float(wins / pairs) if pairs else 0.5
    return max(0.0, (trust - LEAST_TRUST) / (1 - LEAST_TRUST)), trust


class Titles:
    """The titles of one open catalog; safe to use from any thread."""

    def __init__(
        self, catalog: CatalogStore, encoder: Callable[[], Encoder] | None, *, in_background: bool = False
    ) -> None:
        """Encode the titles of `catalog` by `encoder`; without one, titles are not used.

        They are encoded at the first `ready`: in a background thread, or else while the caller waits.
        """
        self._catalog = catalog
        self._encoder = encoder
        self._in_background = in_background
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._thread = BackgroundThread("titles", self._run)
        self._version = -1
        self._index: TitleIndex | None = None
        self._state = TitlesState()

    def for_catalog(self, catalog: CatalogStore, encoder: Callable[[], Encoder]) -> Titles:
        """Return the titles of another catalog, used where these are, and encoded in the same way."""
        return Titles(catalog, encoder if self._encoder else None, in_background=self._in_background)

    @property
    def state(self) -> TitlesState:
        """How titles stand now."""
        return self._state

    def ready(self) -> TitleIndex | None:
        """Return the titles to compare a text with; None where they are not used, worthless here, or not encoded yet.

        After a change of the catalog the former ones are given until the new ones are there.
        """
        if self._encoder is None or self._thread.stopping:
            return None
        with self._lock:
            if self._version == self._catalog.version:
                return self._index
            if self._in_background:
                self._thread.start()
                return self._index
        self._make()
        return self._index

    def wait(self, timeout_s: float) -> bool:
        """Wait until the titles of the catalog's present state are encoded; return whether they are."""
        self.ready()
        self._thread.wait(timeout_s)
        return self._version == self._catalog.version

    def close(self) -> None:
        """Stop what goes on in the background and wait until it has; closing twice is fine."""
        self._thread.stop(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while self._version != self._catalog.version:
            self._make()

    def _make(self) -> None:
        """Make the index of the present state. Titles must not fail a search: what goes wrong is logged."""
        with self._making:
            version, index = self._catalog.version, None
            if version == self._version:
                return
            try:
                index = self._made(self._catalog)
            except Stopped:
                raise
            except Exception as error:
                _log.exception("the titles cannot be used")
                self._state = TitlesState(reason=f"The titles could not be read ({type(error).__name__}).")
            with self._lock:
                self._version, self._index = version, index

    def _made(self, catalog: CatalogStore) -> TitleIndex | None:
        assert self._encoder is not None
        if not catalog.encoder_id:
            return None
        count = catalog.metadata.count_titles()
        if count > MOST_TITLES:
            self._state = TitlesState(
                count, reason=f"{count:,} titles differ, and at most {MOST_TITLES:,} are compared with."
            )
            return None
        keys, codes, titles = catalog.metadata.titles(LONGEST_TITLE)
        if len(keys) < FEWEST_PROBES or len(titles) < 2:
            self._state = TitlesState(len(titles), reason="Too few items have titles.")
            return None
        store = TitleStore(catalog.folder / "embeddings", catalog.encoder_id, catalog.dim)
        self._encode([title for title in titles if title not in store], store, len(titles))
        rows = store.rows(titles)
        probes = np.sort(np.random.default_rng(0).permutation(len(keys))[:PROBES])
        weight, trust = title_weight(rows[codes[probes]], catalog.vectors(keys[probes]), codes[probes])
        reason = "" if weight else "The titles do not tell the photos apart, so they are left out."
        self._state = TitlesState(len(titles), len(titles), trust, reason)
        return TitleIndex(rows, keys, codes, weight) if weight else None

    def _encode(self, titles: list[str], store: TitleStore, total: int) -> None:
        """Encode and keep titles; in the background with pauses, so that searches stay fast."""
        assert self._encoder is not None
        encoder = self._encoder() if titles else None
        for start in range(0, len(titles), BATCH):
            assert encoder is not None
            began = time.perf_counter()
            part = titles[start : start + BATCH]
            store.add(part, encoder.encode_texts(part))
            self._state = TitlesState(total, total - len(titles) + start + len(part))
            pause = (time.perf_counter() - began) * (1 / SHARE_OF_TIME - 1) if self._in_background else 0.0
            self._thread.pause(pause)


def _reciprocal(scores: NDArray[np.floating], stretch: float = 1.0) -> NDArray[np.float64]:
    """Return 1 / (K + rank) of scores, (n,); the highest has rank 1, times `stretch`."""
    ranks = np.searchsorted(np.sort(-scores), -scores) + 1.0
    return np.asarray(1 / (K + ranks * stretch), np.float64)
