"""Help with the words of a query, from what one catalog has: suggested filters, and corrected spelling.

Words that neither the catalog nor the encoder knows are corrected to known words. Distances are Damerau and
Levenshtein's in the restricted form (optimal string alignment, by rapidfuzz): to insert, delete or replace a letter,
or to exchange two neighbours, is one edit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rapidfuzz import process
from rapidfuzz.distance import OSA

from imgsearch.core.query import Query
from imgsearch.core.records import Facet
from imgsearch.core.refreshing import Refreshed
from imgsearch.encoders.base import Encoder, HasVocabulary, KnowsWords
from imgsearch.search.words.filter_suggestions import QueryWords, Suggestion, folded, singular
from imgsearch.search.words.names import Names
from imgsearch.search.words.titles import MAX_TITLE_CHARS, MAX_TITLES
from imgsearch.store.catalog import CatalogStore

MIN_WORD_CHARS = 3
MIN_EDITED_CHARS = 4
"""In a shorter word only its last two letters are exchanged: nearly any three letters are a word or a name."""
MAX_WORD_CHARS = 32
TWO_EDITS_CHARS = 6
"""From this length on, two edits are corrected; in shorter words one."""
MAX_TEXT_CHARS = 640
_WORD = re.compile(r"[^\W\d_]+")
_CHUNK = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Correction:
    """The text as it was probably meant; `automatic` where none of its words was known and every one is corrected."""

    text: str
    automatic: bool


class Speller:
    """The known words; safe to use from any thread."""

    def __init__(self, written: Mapping[str, int], model: Sequence[str] = (), *, complete: bool) -> None:
        """Know the words written in a catalog, with their counts, and those of its encoder, common ones first.

        `complete` says that the encoder knows no other words. Only then are corrections automatic.
        """
        catalog = sorted(written, key=lambda word: (-written[word], word))
        self._of_catalog = frozenset(word for word in catalog if len(word) >= MIN_WORD_CHARS)
        self._words = list(dict.fromkeys(word for word in [*catalog, *model] if len(word) >= MIN_WORD_CHARS))
        self._known = frozenset(map(singular, written)) | frozenset(map(singular, model))
        self._complete = complete and bool(model)
        self._usable = bool(model)

    def correct(
        self, text: str, named: Callable[[Sequence[str]], set[str]] | None = None
    ) -> Correction | None:
        """Return the text with its unknown words corrected; None where all are known or none can be corrected.

        Numbers, chunks with digits (codes) and most short words stay as they are; a corrected word is in lower case.
        `named` returns those of some words that are in the name of an item: they are known.
        """
        if not self._usable or len(text) > MAX_TEXT_CHARS:
            return None
        known, corrected, left = 0, 0, 0
        in_names = named([match[0] for match in _WORD.finditer(text)]) if named else set()

        def corrected_chunk(match: re.Match[str]) -> str:
            nonlocal known
            if any(letter.isdigit() for letter in match[0]) and any(letter.isalpha() for letter in match[0]):
                known += 1
                return match[0]
            return _WORD.sub(corrected_word, match[0])

        def corrected_word(match: re.Match[str]) -> str:
            nonlocal known, corrected, left
            word = folded(match[0])
            if singular(word) in self._known or match[0] in in_names:
                known += 1
                return match[0]
            if not MIN_WORD_CHARS <= len(word) <= MAX_WORD_CHARS:
                return match[0]
            short = len(word) < MIN_EDITED_CHARS
            better = self._exchanged(word) if short else self._nearest(word)
            corrected, left = corrected + bool(better), left + (not better and not short)
            return better or match[0]

        result = _CHUNK.sub(corrected_chunk, text)
        if not corrected:
            return None
        return Correction(" ".join(result.split()), self._complete and not known and not left)

    def _nearest(self, word: str) -> str:
        """Return the nearest word, or "" where none is near: of equally near ones the catalog's, then common ones.

        Another first letter counts as one more edit: first letters are seldom wrong.
        """
        edits = 2 if len(word) >= TWO_EDITS_CHARS else 1
        found = process.extract(
            word, self._words, scorer=OSA.distance, score_cutoff=edits, limit=None, processor=None
        )
        near = [
            (distance + (candidate[0] != word[0]), place >= len(self._of_catalog), place, candidate)
            for candidate, distance, place in found
        ]
        best = min(near, default=None)
        return best[3] if best is not None and best[0] <= edits else ""

    def _exchanged(self, word: str) -> str:
        """Return a word of three letters with its last two exchanged where the catalog has that word, else ""."""
        other = word[0] + word[2] + word[1]
        return other if other in self._of_catalog else ""


class WordHelp:
    """Suggestions and corrections for one catalog, prepared again after its changes; safe to use from any thread."""

    def __init__(
        self, catalog: CatalogStore, encoder: Callable[[], Encoder | None], names: Names | None = None
    ) -> None:
        """Help with `catalog`; `encoder` returns its encoder, None while it is not loaded.

        No word of `names` is corrected.
        """
        self._names = names
        self._catalog = catalog
        self._encoder = encoder
        self._words = Refreshed(
            "query-words", lambda: QueryWords(catalog.metadata.facets()), lambda: catalog.version
        )
        self._speller = Refreshed("speller", self._new_speller, lambda: (catalog.version, id(encoder())))

    def close(self) -> None:
        """Stop the background threads."""
        self._words.close()
        self._speller.close()

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
        if speller is None:
            return None
        return speller.correct(text, self._names.known if self._names else None)

    def searched(self, query: Query) -> Query:
        """Return the query to search for: with the text corrected where none of its words is known."""
        correction = self.correction(query)
        return with_text(query, correction.text) if correction and correction.automatic else query

    def _query_words(self) -> QueryWords:
        return self._words.get()

    def _spelling(self) -> Speller | None:
        if not isinstance(self._encoder(), HasVocabulary):
            return None
        # Computed without an encoder only where that was loaded a moment ago.
        return self._speller.get() or self._speller.now()

    def _new_speller(self) -> Speller | None:
        encoder = self._encoder()
        if not isinstance(encoder, HasVocabulary):
            return None
        titles = {}
        if self._catalog.metadata.count_titles() <= MAX_TITLES:
            titles = self._catalog.metadata.title_counts(MAX_TITLE_CHARS)
        written = _written(self._catalog.metadata.facets(), titles)
        return Speller(written, encoder.vocabulary(), complete=isinstance(encoder, KnowsWords))


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
