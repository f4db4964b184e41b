"""The `Searcher`: a `Query` becomes a `SearchResult`.

It owns how a query's terms become one vector, how candidates are found under filters, and their exact order. It
knows the catalog, the index and an encoder; no HTTP, no pages, no feedback.

Order of hits: cosine similarity of the stored vectors of the index's space (rounded to six decimals), highest first;
ties by the order in which the photos were indexed. The index only proposes candidates: scores are computed exactly.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from imgsearch.catalog import Catalog
from imgsearch.encoders.base import Encoder, KnowsWords
from imgsearch.errors import QueryError
from imgsearch.generations import LiveIndex, exact_top_k, ranked
from imgsearch.images import ImageLimits, decode_image
from imgsearch.originals import content_digest
from imgsearch.records import Filter, Hit, Item, Query, SearchResult, Term
from imgsearch.spaces import VectorSpace

__all__ = ["Searcher"]

Keys = NDArray[np.uint64]
Vector = NDArray[np.float32]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

EXACT_BELOW = 20_000
"""A filter that leaves at most this many items is answered by exact search of them."""
CANDIDATES = 256
"""How many candidates the index is asked for at least."""
SLACK = 16
"""How many more candidates than asked for: the index finds the last places best when it looks beyond them."""
ATTEMPTS = 3
MAX_TERMS = 32
MAX_TEXT = 2000


class Searcher:
    """Answers queries over one catalog; safe to use from any thread, also while items are added or removed."""

    def __init__(
        self,
        catalog: Catalog,
        index: LiveIndex,
        encoder: Callable[[], Encoder],
        *,
        read_upload: Callable[[str], bytes] | None = None,
        limits: ImageLimits | None = None,
    ) -> None:
        """Search `catalog` through `index`.

        `encoder` is called only for terms that need it (texts and pictures), so that searching by an item works
        before any model is loaded. `read_upload` gives the bytes of a kept upload.
        """
        self._catalog = catalog
        self._index = index
        self._space = index.space
        self._encoder = encoder
        self._read_upload = read_upload
        self._limits = limits or ImageLimits()
        self._expansion: int | None = None
        self._texts: _Cache[str, Vector] = _Cache(2048)
        self._pictures: _Cache[str, Vector] = _Cache(512)
        self._filtered: _Cache[tuple[int, tuple[Filter, ...]], Keys] = _Cache(16)

    def search(self, query: Query) -> SearchResult:
        """Return the `query.n` items that look most alike, from rank `query.offset` + 1 on.

        Gives fewer only where fewer items pass the filters. Items named in the query are left out of the hits.
        Raises `QueryError` for a query without terms, `UnknownItem`, `FilterError`, `ImageError` for a picture
        that cannot be read, and what the encoder raises.
        """
        clock = _Clock()
        self._check(query)
        embedding, excluded = self._vector(query.terms)
        vector = self._space.project(embedding[None, :])[0]
        clock.lap("encode")
        allowed = self._allowed(query.filters) if query.filters else None
        clock.lap("filter")
        keys, scores, items = self._living(vector, query, allowed, excluded)
        clock.lap("search")
        pairs = [
            (items[key], score)
            for key, score in zip(keys.tolist(), scores.tolist(), strict=True)
            if key in items
        ]
        hits = tuple(
            Hit(
                item_id=item.item_id,
                rank=query.offset + number,
                score=score,
                key=item.key,
                image=item.location,
                metadata=item.metadata,
            )
            for number, (item, score) in enumerate(pairs, start=1)
        )
        everything = len(self._index) if allowed is None else len(allowed)
        named = len(excluded) if allowed is None else int(np.isin(excluded, allowed).sum())
        return SearchResult(
            query=query,
            hits=hits,
            encoder=self._space.id,
            generation=self._index.generation,
            matching=max(everything - named, len(hits)),
            timing_ms=clock.finish(),
            search_id=uuid.uuid4().hex,
            notes=self._notes(query.terms),
        )

    def with_expansion(self, expansion: int) -> Searcher:
        """Return a searcher of the same things that lets the index look at so many candidates: its effort."""
        other = copy.copy(self)
        other._expansion = expansion
        return other

    def over(self, index: LiveIndex) -> Searcher:
        """Return a searcher over another index of the same catalog that keeps what was encoded."""
        other = copy.copy(self)
        other._index, other._space = index, index.space
        return other

    @property
    def space(self) -> VectorSpace:
        """The space whose vectors are compared."""
        return self._space

    def vectors(self, keys: Keys) -> Vector:
        """Return the rows that are compared, (n, dim) float32 unit rows, in the order of the keys."""
        return self._space.vectors(keys)

    def encoder(self) -> Encoder:
        """Return the encoder, loading it where it is not loaded yet; raises what loading raises."""
        return self._encoder()

    def embedding(self, query: Query) -> Vector:
        """Return the query as one (dim,) float32 unit vector of the encoder's own space.

        A learned head is not applied yet. Raises what `search` raises for the query's terms.
        """
        self._check(query)
        return self._vector(query.terms)[0]

    # --- the query's vector -----------------------------------------------------------------------------------

    def _check(self, query: Query) -> None:
        if not query.terms:
            raise QueryError("The query is empty; give a text, an item or an image.")
        if len(query.terms) > MAX_TERMS:
            raise QueryError(f"The query has {len(query.terms)} parts; at most {MAX_TERMS} can be mixed.")
        if query.n < 1 or query.offset < 0:
            raise QueryError(f"n is {query.n} and offset {query.offset}; they must be at least 1 and 0.")
        if not all(np.isfinite(term.weight) and term.weight != 0 for term in query.terms):
            raise QueryError("A weight in the query is zero or not a number; leave that part out instead.")

    def _vector(self, terms: Sequence[Term]) -> tuple[Vector, Keys]:
        """Return the unit vector of the weighted mean of the terms, and the keys of the items among them."""
        item_ids = [str(term.value) for term in terms if term.kind == "item"]
        keys = {item_id: self._catalog.get(item_id).key for item_id in dict.fromkeys(item_ids)}
        total = np.zeros(self._catalog.dim, np.float32)
        for term in terms:
            if term.kind == "item":
                vector = self._catalog.vectors(np.array([keys[str(term.value)]], np.uint64))[0]
            elif term.kind == "text":
                vector = self._text_vector(str(term.value))
            else:
                vector = self._picture_vector(term)
            total += np.float32(term.weight) * vector
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise QueryError("The parts of the query cancel each other out; remove one of them.")
        return np.asarray(total / np.float32(length), np.float32), np.array(sorted(keys.values()), np.uint64)

    def _notes(self, terms: Sequence[Term]) -> tuple[str, ...]:
        """Return a sentence for every text that the encoder does not understand, where it can say so."""
        texts = [" ".join(str(term.value).split()) for term in terms if term.kind == "text"]
        encoder = self._encoder() if texts else None
        if not isinstance(encoder, KnowsWords):
            return ()
        return tuple(
            f"The words \u201c{text[:60]}\u201d are not known, so these photos are a guess; try others, or a photo."
            for text in dict.fromkeys(texts)
            if not encoder.understood(self._text_vector(text))
        )

    def _text_vector(self, text: str) -> Vector:
        text = " ".join(text.split())
        if not text:
            raise QueryError("The query's text is empty; type what you look for.")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise QueryError("The query's text holds halves of characters; type it again.")
        if len(text) > MAX_TEXT:
            raise QueryError(f"The query's text has {len(text)} characters; at most {MAX_TEXT} are read.")
        return self._texts.get_or_make(text, lambda: _row(self._encoder().encode_texts([text])))

    def _picture_vector(self, term: Term) -> Vector:
        if term.kind == "upload":
            if self._read_upload is None:
                raise QueryError("Uploads are kept by the service only; give the picture's bytes instead.")
            data = self._read_upload(str(term.value))
        else:
            data = term.value if isinstance(term.value, bytes) else str(term.value).encode()

        def encode() -> Vector:
            encoder = self._encoder()
            image = decode_image(data, target_px=encoder.input_px, limits=self._limits)
            return _row(encoder.encode_images([image]))

        return self._pictures.get_or_make(content_digest(data), encode)

    # --- candidates -------------------------------------------------------------------------------------------

    def _allowed(self, filters: tuple[Filter, ...]) -> Keys:
        version = self._catalog.version
        return self._filtered.get_or_make((version, filters), lambda: self._catalog.keys_matching(filters))

    def _living(
        self, vector: Vector, query: Query, allowed: Keys | None, excluded: Keys
    ) -> tuple[Keys, Vector, dict[int, Item]]:
        """Return the keys and scores of the page that the query asks for, and the items that they are of.

        An item that is removed or changed at this very moment is still proposed by its old key; it is then left
        out, and the search made again, so that another hit takes its place.
        """
        wanted = query.offset + query.n
        for _ in range(ATTEMPTS):
            keys, scores = self._nearest(vector, wanted, allowed, excluded)
            keys, scores = keys[query.offset :], scores[query.offset :]
            items = {item.key: item for item in self._catalog.by_keys(keys)}
            if len(items) == len(keys):
                break
            excluded = np.union1d(excluded, [key for key in keys if int(key) not in items]).astype(np.uint64)
        return keys, scores, items

    def _nearest(
        self, vector: Vector, wanted: int, allowed: Keys | None, excluded: Keys
    ) -> tuple[Keys, Vector]:
        """Return the best `wanted` keys by exact score: of all, or of the `allowed` ones; never `excluded`."""
        total = len(self._index)
        if allowed is None:
            # The same candidates for every page of a query, so that its pages neither overlap nor leave gaps.
            k = max(self._expansion or CANDIDATES, 1 << (wanted + len(excluded) + SLACK).bit_length())
            if k < total // 4:
                keys, _ = self._index.search(vector, k, expansion=self._expansion)
                keys = np.setdiff1d(keys, excluded)
                if len(keys) >= wanted:
                    return self._ranked(vector, keys, wanted)
            return self._exact(vector, np.setdiff1d(self._allowed(()), excluded), wanted)
        allowed = np.setdiff1d(allowed, excluded, assume_unique=True)
        if len(allowed) <= max(EXACT_BELOW, wanted):
            return self._exact(vector, allowed, wanted)
        k = max(self._expansion or CANDIDATES, 1 << int(wanted * total / len(allowed) * 1.3).bit_length())
        while k < total // 8:
            keys, _ = self._index.search(vector, k, expansion=self._expansion)
            passing = np.intersect1d(keys, allowed, assume_unique=True)
            if len(passing) >= wanted + SLACK // 2:
                return self._ranked(vector, passing, wanted)
            k *= 4
        return self._exact(vector, allowed, wanted)

    def _exact(self, vector: Vector, keys: Keys, wanted: int) -> tuple[Keys, Vector]:
        if len(keys) == 0:
            return keys, np.zeros(0, np.float32)
        return exact_top_k(self._space, keys, vector[None, :], min(wanted, len(keys)))[0]

    def _ranked(self, vector: Vector, keys: Keys, wanted: int) -> tuple[Keys, Vector]:
        """Return the best `wanted` of the keys by exact score, ties by key."""
        return ranked(keys, self._space.vectors(keys), vector, wanted)


def _row(embeddings: NDArray[np.float32]) -> Vector:
    """Return the one row of a (1, dim) array."""
    return np.asarray(embeddings[0], np.float32)


class _Clock:
    """Times the stages of one search, in milliseconds."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._laps[stage] = round((now - self._last) * 1000, 3)
        self._last = now

    def finish(self) -> dict[str, float]:
        return {**self._laps, "total": round((time.perf_counter() - self._start) * 1000, 3)}


class _Cache(Generic[K, V]):
    """The most recently used values, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """Return the kept value, or make and keep it; two threads may make the same one at the same time."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value
