"""The query encoder: a query's terms become one vector to search by, and the look that hits should have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from cachetools import LRUCache, cached
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import QueryError
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Query, Term
from imgsearch.core.records import Item
from imgsearch.encoders.base import Encoder, HasVocabulary, KnowsWords
from imgsearch.index.vector_space import VectorSpace
from imgsearch.search.ranking.reranking import LookTarget, look_target
from imgsearch.search.words.filter_suggestions import singular
from imgsearch.search.words.name_match import NameMatch
from imgsearch.search.words.titles import TitleMatch, Titles
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import content_digest
from imgsearch.store.uploads import UploadStore
from imgsearch.vision.images import ImageLimits, decode_region
from imgsearch.vision.looks import LOOK_DIM, describe

Vector = NDArray[np.float32]

SPREAD_SAMPLE = 1024
"""How many of the catalog's vectors show how much the cosines of a term vary."""
MIN_SAMPLE_ROWS = 32
"""A spread over fewer rows is too uncertain; weights are then used as they are."""
MIN_SPREAD = 1e-3
MIN_TRUST = 0.9
"""Where titles describe their photos less well (`TitlesState.trust`), their ordinary words name no items."""
CACHED_TEXTS, CACHED_PICTURES = 2048, 512


@dataclass(frozen=True, eq=False)
class Target:
    """What to search for: a (dim,) unit vector (None: colours only), the items it names, the look, the titles, names.

    `cross_modal` says that words are part of the vector, which is then far from the vectors of photos.
    """

    vector: Vector | None
    named: Keys
    look: LookTarget | None
    titles: TitleMatch | None
    cross_modal: bool
    names: NameMatch | None = None


@dataclass(frozen=True, eq=False)
class _Picture:
    """An encoded picture: its unit vector, and its look (LOOK_DIM,) where that was needed."""

    vector: Vector
    look: Vector | None


@dataclass(frozen=True, slots=True)
class Pictures:
    """What reads a query's pictures: the store of visitors' uploads, and the bytes of an item's photo."""

    uploads: UploadStore | None = None
    read_photo: Callable[[Item], bytes] | None = None
    limits: ImageLimits = field(default_factory=ImageLimits)


class QueryEncoder:
    """Encodes the terms of queries over one catalog; safe to use from any thread.

    The encoder is called for texts, pictures and regions only: items are searched before it is loaded.
    """

    def __init__(
        self, catalog: CatalogStore, encoder: Callable[[], Encoder], titles: Titles, pictures: Pictures
    ) -> None:
        self._catalog = catalog
        self.encoder = encoder
        self._titles = titles
        self.pictures = pictures
        self._lock = threading.Lock()
        self._encoded: LRUCache[Hashable, _Picture] = LRUCache(CACHED_PICTURES)
        self._text_vector = cached(LRUCache(CACHED_TEXTS), lock=threading.Lock())(self._encode_text)
        self._ordinary_words = cached(LRUCache(1), lock=threading.Lock())(self._read_vocabulary)
        self._sample = cached(LRUCache(2), lock=threading.Lock())(self._sample_of_size)

    def target(self, query: Query, space: VectorSpace) -> Target:
        """Return what a query searches for in a space.

        Raises `QueryError`, `UnknownItem`, `ImageError` for an unreadable picture, and what the encoder raises.
        """
        _check(query)
        terms = [term for term in query.terms if term.kind != "color"]
        colors = [(str(term.value), term.weight) for term in query.terms if term.kind == "color"]
        by_look = bool(colors or any(query.emphasis) or query.same_color)
        if not terms and not any(weight > 0 for _, weight in colors):
            raise QueryError("The query only says which colours to avoid; say what to search for too.")
        vector, named, match, by_name = None, np.zeros(0, np.uint64), None, None
        if terms:
            embedding, named = self._composed(terms, with_looks=by_look)
            vector = space.project(embedding[None, :])[0]
            match = None if colors else self._title_match(terms, embedding)
            by_name = None if colors else self._name_match(terms)
        look = None
        if by_look:
            photos = [term for term in terms if term.kind != "text"]
            looks = np.array([self._look(term) for term in photos], np.float32).reshape(-1, LOOK_DIM)
            look = look_target(colors, looks, [term.weight for term in photos], query.emphasis)
        return Target(vector, named, look, match, any(term.kind == "text" for term in terms), by_name)

    def embedding(self, query: Query) -> Vector:
        """Return the query as one (dim,) float32 unit vector of the encoder's own space; raises as `target` does."""
        _check(query)
        return self._composed(query.terms, with_looks=False)[0]

    def unknown_texts(self, query: Query) -> list[str]:
        """Return the texts of a query that the encoder does not understand; none where it cannot say so."""
        texts = [" ".join(str(term.value).split()) for term in query.terms if term.kind == "text"]
        encoder = self.encoder() if texts else None
        if not isinstance(encoder, KnowsWords):
            return []
        return [text for text in dict.fromkeys(texts) if not encoder.understood(self._text_vector(text))]

    def _title_match(self, terms: Sequence[Term], embedding: Vector) -> TitleMatch | None:
        """Return how a query that is one text compares with the titles; None for any other query."""
        if len(terms) > 1 or terms[0].kind != "text" or terms[0].weight < 0:
            return None
        titles = self._titles.ready()
        return titles.match(embedding) if titles else None

    def _name_match(self, terms: Sequence[Term]) -> NameMatch | None:
        """Return the items that a query that is one text names; None for any other query."""
        names = self._titles.names
        if names is None or len(terms) > 1 or terms[0].kind != "text" or terms[0].weight < 0:
            return None
        trust = self._titles.state.trust
        trusted = trust is None or trust >= MIN_TRUST
        return names.match(str(terms[0].value), self._ordinary_words(self.encoder().id), trusted=trusted)

    def _read_vocabulary(self, _encoder_id: str) -> frozenset[str] | None:
        """Return the words that the encoder knows; None where it cannot say so."""
        encoder = self.encoder()
        words = encoder.vocabulary() if isinstance(encoder, HasVocabulary) else ()
        return frozenset(map(singular, words)) or None

    def _composed(self, terms: Sequence[Term], *, with_looks: bool) -> tuple[Vector, Keys]:
        """Return the unit vector of all terms together, and the ascending keys of the items among them."""
        named = [self._key(term) for term in terms if term.kind == "item"]
        vectors = np.stack([self._vector(term, with_look=with_looks) for term in terms])
        weights = np.array([term.weight for term in terms])
        sample = self._sample(len(self._catalog).bit_length()) if len(terms) > 1 else vectors[:1]
        total = composed(vectors, weights, sample)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise QueryError("The parts of the query cancel each other out; remove one of them.")
        return np.asarray(total / np.float32(length), np.float32), np.unique(np.array(named, np.uint64))

    def _vector(self, term: Term, *, with_look: bool) -> Vector:
        if term.kind == "text":
            return self._text_vector(" ".join(str(term.value).split()))
        if term.kind == "item" and term.region is None:
            return np.asarray(self._catalog.vectors(np.array([self._key(term)], np.uint64))[0], np.float32)
        return self._picture(term, with_look=with_look).vector

    def _look(self, term: Term) -> Vector:
        """Return the look of a term's photo, (LOOK_DIM,); zeros where it is not known yet."""
        if term.kind == "item" and term.region is None:
            return np.asarray(self._catalog.looks.rows(np.array([self._key(term)], np.uint64))[0])
        look = self._picture(term, with_look=True).look
        assert look is not None
        return look

    def _key(self, term: Term) -> int:
        return self._catalog.get(str(term.value)).key

    def _sample_of_size(self, _bits: int) -> Vector:
        """Return some of the catalog's embeddings, drawn again whenever it has doubled."""
        keys = self._catalog.keys()
        chosen = np.random.default_rng(0).permutation(len(keys))[:SPREAD_SAMPLE]
        return self._catalog.vectors(np.sort(keys[chosen]))

    def _encode_text(self, text: str) -> Vector:
        if not text:
            raise QueryError("The query's text is empty; type what you look for.")
        return np.asarray(self.encoder().encode_texts([text])[0], np.float32)

    def _picture(self, term: Term, *, with_look: bool) -> _Picture:
        """Return a term's picture, encoded and described from one decoding, as photos are when they are indexed."""
        name, decode = self._source(term)
        with self._lock:
            picture = self._encoded.get((name, term.region))
        if picture is None or (with_look and picture.look is None):
            encoder = self.encoder()
            image = decode(encoder.input_px)
            vector = picture.vector if picture else np.asarray(encoder.encode_images([image])[0], np.float32)
            picture = _Picture(vector, describe(image).vector if with_look else None)
            with self._lock:
                self._encoded[name, term.region] = picture
        return picture

    def _source(self, term: Term) -> tuple[Hashable, Callable[[int], Image.Image]]:
        """Return what identifies a term's picture, and a function that decodes it, or its region, at a size in px."""
        region, limits = term.region, self.pictures.limits
        uploads, read_photo = self.pictures.uploads, self.pictures.read_photo
        if term.kind == "upload":
            if uploads is None:
                raise QueryError("Uploads are stored by the service only; give the picture's bytes instead.")
            upload_id = str(term.value)
            uploads.require(upload_id)  # a picture that was deleted must not be searched by its cached vector
            return ("upload", upload_id), lambda px: uploads.decode(upload_id, region, px)
        if term.kind == "item":
            if read_photo is None:
                raise QueryError(
                    "A part of a photo is searched by the service only; give the picture instead."
                )
            item = self._catalog.get(str(term.value))
            return ("item", item.key), lambda px: decode_region(
                read_photo(item), region, target_px=px, limits=limits
            )
        data = term.value if isinstance(term.value, bytes) else str(term.value).encode()
        return ("image", content_digest(data)), lambda px: decode_region(
            data, region, target_px=px, limits=limits
        )


def _check(query: Query) -> None:
    if not query.terms:
        raise QueryError("The query is empty; give a text, an item or an image.")


def composed(terms: Vector, weights: NDArray[np.float64], sample: Vector) -> Vector:
    """Return the (dim,) float32 sum of the terms, (m, dim) unit rows, each by its weight over its spread.

    A text's cosines to the photos of a catalog vary far less than a photo's: in a plain weighted mean of both, the
    photo decides alone. So each weight is divided by the spread of its term's cosines over `sample`, (s, dim) unit
    rows of the catalog: the result ranks by the weighted sum of standardised cosines (measured by
    `scripts/compare_composition.py`). Not normalised: terms that cancel out result in near zeros.
    """
    if len(terms) > 1 and len(sample) >= MIN_SAMPLE_ROWS:
        spreads = np.maximum((sample @ terms.T).std(0), MIN_SPREAD)
        weights = weights * (spreads.min() / spreads)
    return np.asarray((weights[:, None] * terms).sum(0), np.float32)
