"""The `Searcher`: a `Query` becomes a `SearchResult`.

It owns how a query's terms become one vector, how candidates are found under filters, and their exact order. It
knows the catalog, the index and an encoder; no HTTP, no pages, no feedback.

Order of hits: cosine similarity of the stored vectors of the index's space (rounded to six decimals), highest first;
ties by the order in which the photos were indexed. The index only proposes candidates: scores are computed exactly.
For words, the order by titles is fused with it where those are used (`imgsearch.search.words.titles`);
scores stay the
photos'.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import QueryError
from imgsearch.core.key_arrays import are_in, without
from imgsearch.core.query import Filter, Query, Region, Term
from imgsearch.core.records import Confidence, Hit, Item, SearchResult
from imgsearch.encoders.base import Encoder, KnowsWords
from imgsearch.index.exact_search import exact_candidates
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.rerank import best_first, ranked
from imgsearch.index.vector_space import VectorSpace
from imgsearch.search.ranking.composition import composed
from imgsearch.search.ranking.confidence import BEST, Kind, Levels
from imgsearch.search.ranking.duplicates import Duplicates, Groups
from imgsearch.search.ranking.reranking import DIVERSE_AMONG, Wanted, by_value, diverse, wanted_look
from imgsearch.search.ranking.rules import Rules
from imgsearch.search.words.titles import TitleMatch, Titles
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import content_digest
from imgsearch.vision.images import ImageLimits, decode_region
from imgsearch.vision.looks import COLOR, LOOK_DIM, describe, same_color

__all__ = ["Searcher"]

Keys = NDArray[np.uint64]
Vector = NDArray[np.float32]
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

EXACT_BELOW = 20_000
"""A filter that leaves at most this many items is answered by exact search of them."""
AS_DEAR = 32
"""A candidate of the index costs as much as so many exact comparisons: 5 microseconds against 0.15."""
CANDIDATES = 256
"""How many candidates the index is asked for at least."""
AMONG_CANDIDATES, AMONG_EACH = 2048, 8
"""How many candidates an index compares at least, and for each hit, where it looks among some of the items only."""
SLACK = 16
"""How many more candidates than asked for: the index finds the last places best when it looks beyond them."""
POOL = 1024
"""How many candidates at least are ranked anew where more than nearness counts: the same ones for every page."""
FEW_HIDDEN = 1000
"""So many hidden items are left out one by one; more of them are a filter."""
MOST_ALSO = 24
LOOK_PX = 192
ATTEMPTS = 3
SPREAD_SAMPLE = 1024
"""How many of the catalog's vectors show how much a term's cosines vary."""


class Searcher:
    """Answers queries over one catalog; safe to use from any thread, also while items are added or removed."""

    def __init__(
        self,
        catalog: CatalogStore,
        index: LiveIndex,
        encoder: Callable[[], Encoder],
        *,
        rules: Rules | None = None,
        duplicates: Duplicates | None = None,
        titles: Titles | None = None,
        read_upload: Callable[[str], bytes] | None = None,
        read_photo: Callable[[Item], bytes] | None = None,
        limits: ImageLimits | None = None,
        levels: Callable[[LiveIndex, Kind], Levels | None] | None = None,
    ) -> None:
        """Search `catalog` through `index`.

        `encoder` is called only for terms that need it (texts, pictures, regions), so that searching by an item works
        before any model is loaded. `rules` and `duplicates` are the catalog's, by default made here; titles are used
        where they are given. `read_upload` gives the bytes of a kept upload, `read_photo` those of an item.
        `levels` gives what the scores of an index are compared with, to say how good a result is.
        """
        self._catalog = catalog
        self._index = index
        self._space = index.space
        self._encoder = encoder
        self._read_upload = read_upload
        self._read_photo = read_photo
        self._limits = limits or ImageLimits()
        self._levels = levels
        self._expansion: int | None = None
        self._texts: _Cache[str, Vector] = _Cache(2048)
        self._pictures: _Cache[tuple[str, Region | None], Vector] = _Cache(512)
        self._looks: _Cache[tuple[str, Region | None], Vector] = _Cache(512)
        self.rules, self.duplicates = rules or Rules(catalog), duplicates or Duplicates(catalog)
        self.titles = titles or Titles(catalog, None)
        self._samples: _Cache[int, Vector] = _Cache(2)
        self._filtered: _Cache[tuple[int, tuple[Filter, ...]], Keys] = _Cache(16)
        self._shown: _Cache[tuple[int, tuple[Filter, ...], int], tuple[Keys, Keys]] = _Cache(8)

    def search(self, query: Query) -> SearchResult:
        """Return the `query.n` items that look most alike, from rank `query.offset` + 1 on.

        Gives fewer only where fewer items pass the filters. Items named in the query are left out of the hits.
        Raises `QueryError` for a query without terms, `UnknownItem`, `FilterError`, `ImageError` for a picture
        that cannot be read, and what the encoder raises.
        """
        clock = _Clock()
        self._check(query)
        target = self._target(query)
        clock.lap("encode")
        allowed, hidden = self._seen(query.filters)
        clock.lap("filter")
        page, items = self._living(target, query, allowed, np.union1d(target.named, hidden))
        clock.lap("search")
        hits, notes = _hits(page, items, query.offset), self._notes(query.terms)
        excluded = target.named
        everything = len(self._index) - len(hidden) if allowed is None else len(allowed)
        counted = ~are_in(hidden, excluded) if allowed is None else are_in(allowed, excluded)
        return SearchResult(
            query=query,
            hits=hits,
            encoder=self._space.id,
            generation=self._index.generation,
            matching=max(everything - int(counted.sum()), len(hits)),
            timing_ms=clock.finish(),
            search_id=uuid.uuid4().hex,
            notes=notes,
            confidence=self._confidence(query, page.nearest, understood=not notes),
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

    def for_catalog(
        self, catalog: CatalogStore, index: LiveIndex, encoder: Callable[[], Encoder], titles: Titles
    ) -> Searcher:
        """Return a searcher of another catalog that reads pictures as this one does."""
        return Searcher(
            catalog,
            index,
            encoder,
            titles=titles,
            read_upload=self._read_upload,
            read_photo=self._read_photo,
            limits=self._limits,
        )

    @property
    def catalog(self) -> CatalogStore:
        """The catalog that is searched."""
        return self._catalog

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

    def _confidence(self, query: Query, nearest: Vector, *, understood: bool) -> Confidence | None:
        """Return how good the first page of a query for one photo or one text is; None for any other.

        What a mix, a part of a photo or a colour should reach is not known.
        """
        if self._levels is None or query.offset or len(query.terms) != 1:
            return None
        term = query.terms[0]
        if term.kind == "color" or term.weight < 0 or term.region is not None:
            return None
        if not understood:
            return "weak"
        text = str(term.value) if term.kind == "text" else ""
        levels = self._levels(self._index, "words" if text else "photo")
        return levels.confidence(nearest, text) if levels else None

    # --- the query's vector -----------------------------------------------------------------------------------

    def _check(self, query: Query) -> None:
        if not query.terms:
            raise QueryError("The query is empty; give a text, an item or an image.")

    def _target(self, query: Query) -> _Target:
        """Return what to look for: the vector in the index's space, and the look where that counts too."""
        terms = [term for term in query.terms if term.kind != "color"]
        colors = [(str(term.value), term.weight) for term in query.terms if term.kind == "color"]
        vector, named = None, np.zeros(0, np.uint64)
        if terms:
            embedding, named = self._vector(terms)
            vector = self._space.project(embedding[None, :])[0]
        elif not any(weight > 0 for _, weight in colors):
            raise QueryError("The query only says which colours to avoid; say what to look for too.")
        matched = self._matched(terms, embedding) if terms and not colors else None
        of_words = any(term.kind == "text" for term in terms)
        if not (colors or any(query.emphasis) or query.same_color):
            return _Target(vector, named, None, matched, query.filters, of_words)
        photos = [term for term in terms if term.kind != "text"]
        looks = np.array([self._look(term) for term in photos], np.float32).reshape(-1, LOOK_DIM)
        weights = [term.weight for term in photos]
        wanted = wanted_look(colors, looks, weights, query.emphasis)
        return _Target(vector, named, wanted, matched, query.filters, of_words)

    def _matched(self, terms: Sequence[Term], embedding: Vector) -> TitleMatch | None:
        """Return how the words of a query that is nothing else compare with the titles, where those are used."""
        if len(terms) > 1 or terms[0].kind != "text" or terms[0].weight < 0:
            return None
        titles = self.titles.ready()
        return titles.match(embedding) if titles else None

    def _look(self, term: Term) -> Vector:
        """Return how the photo of a term looks, (LOOK_DIM,); zeros where that is not known yet."""
        if term.kind == "item" and term.region is None:
            key = self._catalog.get(str(term.value)).key
            return _row(self._catalog.looks.rows(np.array([key], np.uint64)))
        data = self._bytes_of(term)

        def make() -> Vector:
            return describe(decode_region(data, term.region, target_px=LOOK_PX, limits=self._limits)).vector

        return self._looks.get_or_make((content_digest(data), term.region), make)

    def _vector(self, terms: Sequence[Term]) -> tuple[Vector, Keys]:
        """Return the unit vector of the terms put together, and the keys of the items among them."""
        vectors, named = [], []
        for term in terms:
            if term.kind == "item":
                named.append(self._catalog.get(str(term.value)).key)
            if term.kind == "text":
                vectors.append(self._text_vector(str(term.value)))
            elif term.kind == "item" and term.region is None:
                vectors.append(_row(self._catalog.vectors(np.array(named[-1:], np.uint64))))
            else:
                vectors.append(self._picture_vector(self._bytes_of(term), term.region))
        weights = np.array([term.weight for term in terms])
        total = composed(
            np.stack(vectors), weights, self._sample() if len(terms) > 1 else vectors[0][None, :]
        )
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise QueryError("The parts of the query cancel each other out; remove one of them.")
        return np.asarray(total / np.float32(length), np.float32), np.unique(np.array(named, np.uint64))

    def _sample(self) -> Vector:
        """Return some of the catalog's embeddings, drawn anew whenever it has doubled."""

        def draw() -> Vector:
            keys = self._catalog.keys()
            chosen = np.random.default_rng(0).permutation(len(keys))[:SPREAD_SAMPLE]
            return self._catalog.vectors(np.sort(keys[chosen]))

        return self._samples.get_or_make(len(self._catalog).bit_length(), draw)

    def _notes(self, terms: Sequence[Term]) -> tuple[str, ...]:
        """Return a sentence for every text that the encoder does not understand, where it can say so."""
        texts = [" ".join(str(term.value).split()) for term in terms if term.kind == "text"]
        encoder = self._encoder() if texts else None
        if not isinstance(encoder, KnowsWords):
            return ()
        return tuple(
            f"The words \u201c{text[:60]}\u201d are not known, so these photos are a guess; try others, or a photo. "
            "(Other languages: docs/how-search-works/words.md.)"
            for text in dict.fromkeys(texts)
            if not encoder.understood(self._text_vector(text))
        )

    def _text_vector(self, text: str) -> Vector:
        text = " ".join(text.split())
        if not text:
            raise QueryError("The query's text is empty; type what you look for.")
        return self._texts.get_or_make(text, lambda: _row(self._encoder().encode_texts([text])))

    def _bytes_of(self, term: Term) -> bytes:
        """Return the picture of a term as it was encoded."""
        if term.kind == "item":
            if self._read_photo is None:
                raise QueryError(
                    "A part of a photo is searched by the service only; give the picture instead."
                )
            return self._read_photo(self._catalog.get(str(term.value)))
        if term.kind != "upload":
            return term.value if isinstance(term.value, bytes) else str(term.value).encode()
        if self._read_upload is None:
            raise QueryError("Uploads are kept by the service only; give the picture's bytes instead.")
        return self._read_upload(str(term.value))

    def _picture_vector(self, data: bytes, region: Region | None) -> Vector:
        def encode() -> Vector:
            encoder = self._encoder()
            image = decode_region(data, region, target_px=encoder.input_px, limits=self._limits)
            return _row(encoder.encode_images([image]))

        return self._pictures.get_or_make((content_digest(data), region), encode)

    # --- candidates -------------------------------------------------------------------------------------------

    def _allowed(self, filters: tuple[Filter, ...]) -> Keys:
        version = self._catalog.version
        return self._filtered.get_or_make(
            (version, filters), lambda: self._catalog.metadata.keys_matching(filters)
        )

    def _seen(self, filters: tuple[Filter, ...]) -> tuple[Keys | None, Keys]:
        """Return the keys that may be shown (None: all), and those that are hidden besides."""
        hidden = self.rules.hidden_keys()
        if not filters and len(hidden) <= FEW_HIDDEN:
            return None, hidden
        if not len(hidden):
            return self._allowed(filters), hidden

        def take_out() -> tuple[Keys, Keys]:
            # Kept with `hidden`, so that its id stays its own.
            return hidden, without(self._allowed(filters), hidden)

        return self._shown.get_or_make((self._catalog.version, filters, id(hidden)), take_out)[1], hidden[:0]

    def _living(
        self, target: _Target, query: Query, allowed: Keys | None, excluded: Keys
    ) -> tuple[_Page, dict[int, Item]]:
        """Return the page that the query asks for, and the items on it.

        An item that is removed or changed at this very moment is still proposed by its old key; it is then left
        out, and the search made again, so that another hit takes its place.
        """
        for _ in range(ATTEMPTS):
            page = self._page(target, query, allowed, excluded)
            wanted = np.concatenate([page.keys, *page.also]) if page.also else page.keys
            items = {item.key: item for item in self._catalog.by_keys(wanted)}
            gone = [key for key in wanted.tolist() if key not in items]
            if not gone:
                break
            excluded = np.union1d(excluded, np.array(gone, np.uint64))
        return page, items

    def _page(self, target: _Target, query: Query, allowed: Keys | None, excluded: Keys) -> _Page:
        """Return the hits from `offset` on: the nearest, in the order and without what the query asks for."""
        wanted = query.offset + query.n
        moved = target.matched is not None or target.wanted is not None
        moved = moved or query.diversity > 0 or self.rules.has_boosts(query)
        pinned = self._pinned(query, allowed, excluded)
        groups = self.duplicates.groups() if query.duplicates == "collapse" else None
        if not moved and not len(pinned) and (groups is None or len(groups) == 0):
            keys, scores = self._candidates(target, max(wanted, BEST), allowed, excluded)
            return _Page(keys[query.offset : wanted], scores[query.offset : wanted], (), scores[:BEST])
        most = (len(self._index) if allowed is None else len(allowed)) + 1
        if moved:
            pool = 2 * DIVERSE_AMONG if target.wanted is None and target.matched is None else POOL
            size = max(pool, 1 << (2 * wanted).bit_length())
        else:
            size = 1 << (2 * wanted + SLACK).bit_length()
        while True:
            keys, scores = self._candidates(target, size, allowed, excluded)
            found = len(keys)
            if target.matched is not None and found == size:
                keys, scores = self._with_titled(target, target.matched, keys, scores, allowed, excluded)
            page = self._reordered(target, query, keys, scores, pinned, groups)
            if len(page.keys) >= query.n or size >= most or found < size:
                return replace(page, nearest=scores[:BEST])
            size *= 8

    def _reordered(
        self, target: _Target, query: Query, keys: Keys, scores: Vector, pinned: Keys, groups: Groups | None
    ) -> _Page:
        """Return the page out of candidates that come nearest first."""
        values, wanted = scores, query.offset + query.n
        if target.matched is not None:
            values = target.matched.values(keys, scores)
        if target.wanted is not None:
            rows = self._catalog.looks.rows(keys)
            if query.same_color and target.wanted.has_color:
                same = same_color(rows, target.wanted.look)
                keys, scores, values, rows = keys[same], scores[same], values[same], rows[same]
            values = target.wanted.values(values, rows) if target.vector is not None else scores
        if len(keys) and self.rules.has_boosts(query):
            values = values + self.rules.boosts(keys, query) * np.float32(scores.std())
        order = by_value(values)
        if len(pinned):
            order = order[~np.isin(keys[order], pinned)]
            keys, scores = (
                np.concatenate([keys, pinned]),
                np.concatenate([scores, self._scores(target, pinned)]),
            )
            order = np.concatenate([np.arange(len(keys) - len(pinned), len(keys)), order])
        keys, scores = keys[order], scores[order]
        places, into = np.arange(len(keys)), np.arange(len(keys))
        if groups is not None:
            places, into = groups.collapse(keys)
        if query.diversity > 0 and len(places):
            head = places[: max(DIVERSE_AMONG, wanted)]
            falling = np.linspace(1, 0, len(head), dtype=np.float32)
            places = places[diverse(self._space.vectors(keys[head]), falling, query.diversity, wanted)]
        places = places[query.offset : wanted]
        also = tuple(keys[(into == place) & (np.arange(len(keys)) != place)][:MOST_ALSO] for place in places)
        return _Page(keys[places], scores[places], also, scores[:0])

    def _with_titled(
        self,
        target: _Target,
        matched: TitleMatch,
        keys: Keys,
        scores: Vector,
        allowed: Keys | None,
        excluded: Keys,
    ) -> tuple[Keys, Vector]:
        """Return the candidates with as many more whose titles are nearest to the text; by their photos' scores."""
        more = np.setdiff1d(matched.best(len(keys)), np.union1d(keys, excluded))
        if allowed is not None:
            more = more[are_in(allowed, more)]
        keys, scores = np.concatenate([keys, more]), np.concatenate([scores, self._scores(target, more)])
        order = best_first(scores, keys)
        return keys[order], scores[order]

    def _pinned(self, query: Query, allowed: Keys | None, excluded: Keys) -> Keys:
        """Return the keys that belong at the top for a query and may be shown."""
        pinned = self.rules.pinned(query)
        if len(pinned) and allowed is not None:
            pinned = pinned[np.isin(pinned, allowed)]
        return pinned[~np.isin(pinned, excluded)]

    def _scores(self, target: _Target, keys: Keys) -> Vector:
        if target.vector is None:
            return np.zeros(len(keys), np.float32)
        return np.asarray(self._space.vectors(keys) @ target.vector, np.float32)

    def _candidates(
        self, target: _Target, wanted: int, allowed: Keys | None, excluded: Keys
    ) -> tuple[Keys, Vector]:
        """Return the nearest keys by the embedding, or by colour where nothing else is asked for; best first."""
        if target.vector is not None:
            return self._nearest(
                target.vector, wanted, allowed, excluded, target.filters, far=target.of_words
            )
        assert target.wanted is not None
        among = without(self._allowed(()) if allowed is None else allowed, excluded)
        if len(among) and not self._catalog.looks.has(among).any():
            raise QueryError("The colours of these photos are still being read; try again in a minute.")
        return self._catalog.looks.nearest_by_color(target.wanted.look[COLOR], among, wanted)

    def _nearest(
        self,
        vector: Vector,
        wanted: int,
        allowed: Keys | None,
        excluded: Keys,
        filters: tuple[Filter, ...],
        *,
        far: bool,
    ) -> tuple[Keys, Vector]:
        """Return the best `wanted` keys by exact score: of all, or of the `allowed` ones; never `excluded`.

        `filters` are those that led to `allowed`, for an index that can leave out the others itself; `far` says that
        the vector is of another kind than those of the items.
        """
        total = len(self._index)
        if allowed is None:
            # The same candidates for every page of a query, so that its pages neither overlap nor leave gaps.
            least = self._expansion or max(CANDIDATES, self._index.candidates_for(wanted, cross_modal=far))
            k = max(least, 1 << (wanted + len(excluded) + SLACK).bit_length())
            if k < total // 4:
                keys, _ = self._index.search(vector, k, expansion=self._expansion)
                keys = np.setdiff1d(keys, excluded)
                if len(keys) >= wanted:
                    return self._exact(vector, keys, wanted)
            return self._exact(vector, without(self._allowed(()), excluded), wanted)
        if len(allowed) <= max(EXACT_BELOW, wanted):
            return self._exact(vector, without(allowed, excluded), wanted)
        effort = self._expansion or max(AMONG_CANDIDATES, 1 << (AMONG_EACH * wanted - 1).bit_length())
        among = self._index.search_subset(vector, wanted + len(excluded) + SLACK, allowed, expansion=effort)
        if among is not None:
            keys = np.setdiff1d(among[0], excluded)
            return self._exact(vector, keys if len(keys) >= wanted else without(allowed, excluded), wanted)
        share = 1.0 if self._index.applies_filters else len(allowed) / total
        k = max(self._expansion or CANDIDATES, 1 << int(wanted / share * 1.3).bit_length())
        while k * AS_DEAR < len(allowed):
            keys, _ = self._index.search(vector, k, expansion=self._expansion, filters=filters)
            passing = np.setdiff1d(keys[are_in(allowed, keys)], excluded)
            if len(passing) >= wanted + SLACK // 2:
                return self._exact(vector, passing, wanted)
            k *= 4
        return self._exact(vector, without(allowed, excluded), wanted)

    def _exact(self, vector: Vector, keys: Keys, wanted: int) -> tuple[Keys, Vector]:
        """Return the best `wanted` of the keys by exact score, ties by key."""
        if len(keys) == 0:
            return keys, np.zeros(0, np.float32)
        best = exact_candidates(keys, self._space.stored_vectors, vector, wanted)
        return ranked(best, self._space.vectors(best), vector, wanted)


@dataclass(frozen=True, eq=False)
class _Target:
    """What to look for: a (dim,) unit vector (None: a colour only), the items it names, the look, and titles.

    `of_words` says that the vector is, at least in part, that of words: such lie apart from the photos'.
    """

    vector: Vector | None
    named: Keys
    wanted: Wanted | None
    matched: TitleMatch | None
    filters: tuple[Filter, ...]
    of_words: bool


@dataclass(frozen=True, eq=False)
class _Page:
    """The keys and scores of a page of hits, and for each hit the keys that are collapsed into it, if any are.

    `nearest` holds the scores of the nearest candidates, before they are put in order and collapsed.
    """

    keys: Keys
    scores: Vector
    also: tuple[Keys, ...]
    nearest: Vector


def _hits(page: _Page, items: Mapping[int, Item], offset: int) -> tuple[Hit, ...]:
    also = page.also or (page.keys[:0],) * len(page.keys)
    rows = zip(page.keys.tolist(), page.scores.tolist(), also, strict=True)
    living = [(items[key], score, others) for key, score, others in rows if key in items]
    return tuple(
        Hit(
            item_id=item.item_id,
            rank=offset + number,
            score=score,
            key=item.key,
            image=item.location,
            metadata=item.metadata,
            also=tuple(items[int(key)].item_id for key in others if int(key) in items),
        )
        for number, (item, score, others) in enumerate(living, start=1)
    )


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
