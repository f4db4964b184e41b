"""The titles of one catalog, encoded once per distinct title, as a second way to find photos by words.

Titles and photos are ranked together by reciprocal rank fusion, the sum of 1 / (k + rank) in both rankings (Cormack,
Clarke and Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods"). An
item without a title has its photo's rank in both. `scripts/measure_words.py` measures it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import BackgroundThread, Stopped
from imgsearch.core.key_arrays import Keys, positions_in
from imgsearch.core.refreshing import BACKGROUND_RATIO
from imgsearch.encoders.base import Encoder
from imgsearch.search.words.names import Names
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.vector_file import TitleStore

Rows = NDArray[np.float32]
Codes = NDArray[np.int64]
Scores = NDArray[np.float32]

MAX_TITLES = 50_000
"""With more distinct titles none are used: each search by words compares all of them, in 10 ms for this many."""
MAX_TITLE_CHARS = 200
PROBES, MIN_PROBES = 400, 20
BATCH = 32
MAX_TIME_SHARE = 0.5
"""The share of the time in which titles are encoded in the background; the thread sleeps for the rest."""
MAX_REST_S = 300.0
"""The longest time between two computations in the background, while the catalog changes all the time."""
STOP_TIMEOUT_S = 30.0
RRF_K = 60
"""The constant of the reciprocal ranks, as in the paper."""
MIN_AUC = 0.75
"""Titles whose AUC (`title_weight`) is not above this are not used: every second one may be wrong."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TitlesState:
    """How many distinct titles there are, how many are encoded, and how well they describe photos.

    `trust` is their AUC (`title_weight`), None where it is not known (yet); `reason` says in a sentence why titles
    are not used, "" where they are or soon will be.
    """

    titles: int = 0
    encoded: int = 0
    trust: float | None = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """The state of the titles, for people; "" where nothing is known yet."""
        if self.reason:
            return self.reason
        if self.encoded < self.titles:
            return f"{self.encoded:,} of {self.titles:,} titles are encoded; words find photos alone until all are."
        return (
            f"{self.titles:,} titles count beside the photos when words are searched." if self.titles else ""
        )


class Titles:
    """The titles of one open catalog; safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        encoder: Callable[[], Encoder] | None,
        *,
        columns: Sequence[str] = (),
        in_background: bool = False,
    ) -> None:
        """Encode the titles of `catalog` by `encoder`; without one, neither titles nor names are used.

        `names` compares words literally with titles, brands, codes and the further text `columns`.

        They are encoded at the first `ready`: in a background thread, or else while the caller waits.
        """
        self._catalog = catalog
        self._encoder = encoder
        self._in_background = in_background
        self._lock = threading.Lock()
        self._computing = threading.Lock()
        self._thread = BackgroundThread("titles", self._compute)
        self._columns = tuple(columns)
        self.names = Names(catalog, columns=columns, in_background=in_background) if encoder else None
        self._version = -1
        self._took_s = self._computed_at = 0.0
        self._index: TitleIndex | None = None
        self.state = TitlesState()

    def for_catalog(self, catalog: CatalogStore, encoder: Callable[[], Encoder]) -> Titles:
        """Return the titles of another catalog, used where these are, and encoded in the same way."""
        return Titles(
            catalog,
            encoder if self._encoder else None,
            columns=self._columns,
            in_background=self._in_background,
        )

    def ready(self) -> TitleIndex | None:
        """Return the titles to compare a text with; None where they are not used, not trusted, or not encoded yet.

        After a change of the catalog the former titles are returned until the new ones are encoded.
        """
        if self._encoder is None or self._thread.stopping:
            return None
        with self._lock:
            if self._version == self._catalog.version:
                return self._index
            if self._in_background:
                rest_s = BACKGROUND_RATIO * self._took_s - (time.monotonic() - self._computed_at)
                self._thread.start(after_s=max(rest_s, 0.0))
                return self._index
        self._compute()
        return self._index

    def wait(self, timeout_s: float) -> bool:
        """Wait until the titles of the catalog's present version are encoded; return whether they are."""
        self.ready()
        if self.names is not None:
            self.names.wait(timeout_s)
        self._thread.wait(timeout_s)
        return self._version == self._catalog.version

    def close(self) -> None:
        """Stop the background thread and wait for it; closing twice is fine."""
        if self.names is not None:
            self.names.close()
        self._thread.stop(STOP_TIMEOUT_S)

    def _compute(self) -> None:
        """Compute the index of the present version. Titles must not fail a search: an error is logged."""
        with self._computing:
            version, index, started = self._catalog.version, None, time.monotonic()
            if version == self._version:
                return
            try:
                index = self._computed()
            except Stopped:
                raise
            except Exception as error:
                _log.exception("the titles cannot be used")
                self.state = TitlesState(reason=f"The titles could not be read ({type(error).__name__}).")
            with self._lock:
                self._version, self._index = version, index
                self._computed_at = time.monotonic()
                self._took_s = min(self._computed_at - started, MAX_REST_S / BACKGROUND_RATIO)

    def _computed(self) -> TitleIndex | None:
        catalog = self._catalog
        if not catalog.encoder_id:
            return None
        count = catalog.metadata.count_titles()
        if count > MAX_TITLES:
            self.state = TitlesState(
                count, reason=f"{count:,} titles differ, and at most {MAX_TITLES:,} are compared with."
            )
            return None
        keys, codes, titles = catalog.metadata.titles(MAX_TITLE_CHARS)
        if len(keys) < MIN_PROBES or len(titles) < 2:
            self.state = TitlesState(len(titles), reason="Too few items have titles.")
            return None
        store = TitleStore(catalog.folder / "embeddings", catalog.encoder_id, catalog.dim)
        self._encode([title for title in titles if title not in store], store, len(titles))
        rows = store.rows(titles)
        probes = np.sort(np.random.default_rng(0).permutation(len(keys))[:PROBES])
        weight, trust = title_weight(rows[codes[probes]], catalog.vectors(keys[probes]), codes[probes])
        reason = "" if weight else "The titles do not tell the photos apart, so they are left out."
        self.state = TitlesState(len(titles), len(titles), trust, reason)
        return TitleIndex(rows, keys, codes, weight) if weight else None

    def _encode(self, titles: list[str], store: TitleStore, total: int) -> None:
        """Encode and store titles; in the background with pauses, so that searches stay fast."""
        assert self._encoder is not None
        if not titles:
            return
        encoder = self._encoder()
        for start in range(0, len(titles), BATCH):
            began = time.perf_counter()
            part = titles[start : start + BATCH]
            store.add(part, encoder.encode_texts(part))
            self.state = TitlesState(total, total - len(titles) + start + len(part))
            rest_s = (time.perf_counter() - began) * (1 / MAX_TIME_SHARE - 1) if self._in_background else 0.0
            self._thread.pause(rest_s)


@dataclass(frozen=True, eq=False)
class TitleIndex:
    """The titles of one version of a catalog: `rows` (u, dim) unit rows of distinct titles.

    `keys` (ascending) are the items that have a title, `codes` the row of each, `weight` how much titles count.
    """

    rows: Rows
    keys: Keys
    codes: Codes
    weight: float
    _by_code: Codes = field(init=False, repr=False)
    _starts: Codes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the items by title once."""
        object.__setattr__(self, "_by_code", np.argsort(self.codes, kind="stable"))
        counts = np.bincount(self.codes, minlength=len(self.rows))
        object.__setattr__(self, "_starts", np.concatenate([[0], np.cumsum(counts)]))

    def match(self, row: Rows) -> TitleMatch:
        """Return how a text, a (dim,) unit row of the encoder, compares with every title."""
        return TitleMatch(self, np.round(self.rows @ row, 6))

    def items_of(self, codes: Codes, n: int) -> Keys:
        """Return the keys of up to n items with these titles, title by title."""
        first, last = self._starts[codes], self._starts[codes + 1]
        enough = int(np.searchsorted(np.cumsum(last - first), n)) + 1
        bounds = zip(first[:enough].tolist(), last[:enough].tolist(), strict=True)
        parts = [self._by_code[start:end] for start, end in bounds]
        return self.keys[np.concatenate(parts)[:n]] if parts else self.keys[:0]


@dataclass(frozen=True, eq=False)
class TitleMatch:
    """One text compared with every title: `scores` (u,) cosines."""

    index: TitleIndex
    scores: Scores

    def best(self, n: int) -> Keys:
        """Return the keys of up to n items with the best titles, the best titles first."""
        count = min(n, len(self.scores))
        codes = np.arange(count)
        if count < len(self.scores):
            codes = np.argpartition(-self.scores, count - 1)[:count]
        codes = codes[np.lexsort((codes, -self.scores[codes]))]
        return self.index.items_of(codes, n)

    def of(self, keys: Keys) -> Scores:
        """Return the cosine of each key's title, (n,); NaN for an item without a title."""
        found = np.full(len(keys), np.nan, np.float32)
        places, there = positions_in(self.index.keys, keys)
        found[there] = self.scores[self.index.codes[places[there]]]
        return found

    def values(self, keys: Keys, scores: Scores) -> Scores:
        """Return the cosines of photos, (n,), permuted to the fused order: what items are ranked by."""
        order = np.argsort(-rrf_scores(scores, self.of(keys), self.index.weight), kind="stable")
        values = np.empty_like(scores)
        values[order] = np.sort(scores)[::-1]
        return values


def rrf_scores(photos: Scores, titles: Scores, weight: float) -> NDArray[np.float64]:
    """Return the weighted sums of reciprocal ranks, (n,), higher is better; `titles` is NaN where there is none.

    Equal scores have the best rank that any of them could have. The photos are in no order.
    """
    by_photo = _reciprocal_ranks(np.round(photos, 6))
    by_title = by_photo.copy()
    there = ~np.isnan(titles)
    # Ranks among the items with a title are stretched over all items, as if the others were between them.
    by_title[there] = _reciprocal_ranks(titles[there], stretch=len(titles) / max(int(there.sum()), 1))
    return by_photo + weight * by_title


def title_weight(titles: Rows, photos: Rows, codes: Codes) -> tuple[float, float]:
    """Return (how much titles should count from 0 to 1, their AUC).

    `titles` and `photos` are (n, dim) unit rows of the same items, `codes` (n,) tell titles apart. The AUC is the
    chance that a title is nearer to its own photo than to one with another title (Hanley and McNeil 1982): at 0.5,
    titles have nothing to do with the photos.
    """
    cosines = titles @ photos.T
    others = codes[:, None] != codes[None, :]
    own = np.diag(cosines)[:, None]
    wins = np.where(others, (cosines < own) + 0.5 * (cosines == own), 0.0).sum()
    pairs = int(others.sum())
    auc = float(wins / pairs) if pairs else 0.5
    return max(0.0, (auc - MIN_AUC) / (1 - MIN_AUC)), auc


def _reciprocal_ranks(scores: NDArray[np.floating], stretch: float = 1.0) -> NDArray[np.float64]:
    """Return 1 / (k + rank) of scores, (n,); the highest has rank 1, times `stretch`."""
    ranks = np.searchsorted(np.sort(-scores), -scores) + 1.0
    return np.asarray(1 / (RRF_K + ranks * stretch), np.float64)
