"""The titles of one catalog, encoded once per distinct title, as a second way to find photos by words."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imgsearch.core.background import BackgroundThread, Stopped
from imgsearch.encoders.base import Encoder
from imgsearch.search.words.title_fusion import TitleIndex, title_weight
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.title_vectors import TitleStore

__all__ = ["MAX_TITLES", "MAX_TITLE_CHARS", "Titles", "TitlesState"]

MAX_TITLES = 50_000
"""With more distinct titles none are used: each search by words compares all of them, in 10 ms for this many."""
MAX_TITLE_CHARS = 200
PROBES, MIN_PROBES = 400, 20
BATCH = 32
MAX_TIME_SHARE = 0.5
"""The share of the time in which titles are encoded in the background; the thread sleeps for the rest."""
STOP_TIMEOUT_S = 30.0

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
        self, catalog: CatalogStore, encoder: Callable[[], Encoder] | None, *, in_background: bool = False
    ) -> None:
        """Encode the titles of `catalog` by `encoder`; without one, titles are not used.

        They are encoded at the first `ready`: in a background thread, or else while the caller waits.
        """
        self._catalog = catalog
        self._encoder = encoder
        self._in_background = in_background
        self._lock = threading.Lock()
        self._computing = threading.Lock()
        self._thread = BackgroundThread("titles", self._run)
        self._version = -1
        self._index: TitleIndex | None = None
        self.state = TitlesState()

    def for_catalog(self, catalog: CatalogStore, encoder: Callable[[], Encoder]) -> Titles:
        """Return the titles of another catalog, used where these are, and encoded in the same way."""
        return Titles(catalog, encoder if self._encoder else None, in_background=self._in_background)

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
                self._thread.start()
                return self._index
        self._compute()
        return self._index

    def wait(self, timeout_s: float) -> bool:
        """Wait until the titles of the catalog's present version are encoded; return whether they are."""
        self.ready()
        self._thread.wait(timeout_s)
        return self._version == self._catalog.version

    def close(self) -> None:
        """Stop the background thread and wait for it; closing twice is fine."""
        self._thread.stop(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while self._version != self._catalog.version:
            self._compute()

    def _compute(self) -> None:
        """Compute the index of the present version. Titles must not fail a search: an error is logged."""
        with self._computing:
            version, index = self._catalog.version, None
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
