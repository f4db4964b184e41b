"""Help with the words of a query, from what one catalog has: suggested filters, and corrected spelling."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from imgsearch.core.query import Query
from imgsearch.core.records import Facet
from imgsearch.encoders.base import Encoder, HasVocabulary, KnowsWords
from imgsearch.search.words.filter_suggestions import QueryWords, Suggestion
from imgsearch.search.words.spelling import Correction, Speller
from imgsearch.search.words.titles import MAX_TITLE_CHARS, MAX_TITLES
from imgsearch.search.words.tokens import folded
from imgsearch.store.catalog import CatalogStore

__all__ = ["WordHelp", "text_of", "with_text"]

_WORD = re.compile(r"[^\W\d_]+")


class WordHelp:
    """Suggestions and corrections for one catalog, prepared once per version of it; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore, encoder: Callable[[], Encoder | None]) -> None:
        """Help with `catalog`; `encoder` returns its encoder, None while it is not loaded."""
        self._catalog = catalog
        self._encoder = encoder
        self._lock = threading.Lock()
        self._words: tuple[int, QueryWords] | None = None
        self._speller: tuple[int, Encoder, Speller] | None = None

    def suggestions(self, query: Query) -> tuple[Suggestion, ...]:
        """Return the filters that the one text of a query suggests; none where it has no text, or several."""
        text = text_of(query)
        return self._query_words().suggest(text, query.filters) if text else ()

    def correction(self, query: Query) -> Correction | None:
        """Return how the one text of a query was probably meant; None where nothing is to be corrected.

        Nothing is corrected while the encoder is loading, and for one that cannot list its words.
        """
        text = text_of(query)
        if not text or query.spelling == "keep":
            return None
        speller = self._spelling()
        return speller.correct(text) if speller else None

    def searched(self, query: Query) -> Query:
        """Return the query to search for: with the text corrected where none of its words is known."""
        correction = self.correction(query)
        return with_text(query, correction.text) if correction and correction.automatic else query

    def _query_words(self) -> QueryWords:
        version = self._catalog.version
        with self._lock:
            if self._words is None or self._words[0] != version:
                self._words = version, QueryWords(self._catalog.metadata.facets())
            return self._words[1]

    def _spelling(self) -> Speller | None:
        encoder = self._encoder()
        if not isinstance(encoder, HasVocabulary):
            return None
        version = self._catalog.version
        with self._lock:
            kept = self._speller
            if kept is None or kept[:2] != (version, encoder):
                titles = {}
                if self._catalog.metadata.count_titles() <= MAX_TITLES:
                    titles = self._catalog.metadata.title_counts(MAX_TITLE_CHARS)
                written = _written(self._catalog.metadata.facets(), titles)
                speller = Speller(written, encoder.vocabulary(), complete=isinstance(encoder, KnowsWords))
                kept = self._speller = version, encoder, speller
            return kept[2]


def text_of(query: Query) -> str:
    """Return the words of the one text that a query looks for; "" where it has none, or more than one."""
    texts = [str(term.value) for term in query.terms if term.kind == "text" and term.weight > 0]
    return texts[0] if len(texts) == 1 else ""


def with_text(query: Query, text: str) -> Query:
    """Return the query with other words for its one text; without that term where `text` is empty."""
    terms = [
        replace(term, value=text) if term.kind == "text" and term.weight > 0 else term for term in query.terms
    ]
    return replace(
        query, terms=tuple(term for term in terms if term.kind != "text" or str(term.value).strip())
    )


def _written(facets: Sequence[Facet], titles: dict[str, int]) -> Counter[str]:
    """Return the words of a catalog's values and titles, and on how many items each is."""
    words: Counter[str] = Counter()
    values = [(str(each.value), each.count) for facet in facets for each in facet.values]
    for text, count in [*values, *titles.items()]:
        for word in set(_WORD.findall(folded(text))):
            words[word] += count
    return words
