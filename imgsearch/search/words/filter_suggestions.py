"""Filters that the words of a query suggest: "red under 50" may mean colour = red and price < 50.

red, dark green, t-shirts    a value of a column, in singular or plural, of one or more words
size 42, size M              a number or a single letter only behind its column's name
in stock                     the name of a yes-or-no column
under 50, 20-40 cm           a number column (`imgsearch.search.words.number_phrases`)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from imgsearch.core.query import Filter
from imgsearch.core.records import Facet
from imgsearch.search.words.number_phrases import NumberReader, words_of_name
from imgsearch.search.words.tokens import Token, singular, tokenize

__all__ = ["QueryWords", "Suggestion"]

_STOP_WORDS = frozenset(
    (
        *("a", "an", "and", "at", "but", "by", "cost", "costing", "for", "in", "is"),
        *("of", "on", "or", "priced", "that", "the", "to", "which", "with"),
    )
)
"""Words that describe nothing when they are left at an end of a text."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Filters on one column, the words of the text that mean them, and the rest of the text.

    `text` is the query's text once the filters are accepted; empty where nothing is left to describe.
    """

    filters: tuple[Filter, ...]
    words: str
    text: str

    @property
    def column(self) -> str:
        """The column that is filtered."""
        return self.filters[0].column


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Tokens `start` to `end` mean the filters; `describes` where they also describe how a thing looks."""

    start: int
    end: int
    filters: tuple[Filter, ...]
    describes: bool

    @property
    def places(self) -> set[int]:
        return set(range(self.start, self.end))


class QueryWords:
    """The words of one catalog's columns and values, prepared to read a query in well under a millisecond."""

    def __init__(self, facets: Sequence[Facet]) -> None:
        """Take the facets of the whole catalog."""
        self._numbers = NumberReader(facets)
        self._values: dict[str, list[tuple[tuple[str, ...], Filter]]] = {}
        for facet in facets:
            if facet.kind == "choice":
                self._add_choice(facet)
        for entries in self._values.values():
            entries.sort(key=lambda entry: -len(entry[0]))

    def suggest(self, text: str, filters: Sequence[Filter] = ()) -> tuple[Suggestion, ...]:
        """Return what the words of a text suggest, in their order, without what `filters` already contain."""
        tokens = tokenize(text)
        phrases = self._phrases([token.word for token in tokens])
        present = {str(each).casefold() for each in filters}
        found = []
        for column in dict.fromkeys(phrase.filters[0].column for phrase in phrases):
            own = [phrase for phrase in phrases if phrase.filters[0].column == column]
            suggested = _merged(own)
            if {str(each).casefold() for each in suggested} <= present:
                continue
            words = " ".join(text[tokens[each.start].start : tokens[each.end - 1].end] for each in own)
            found.append(Suggestion(suggested, words, _rest(text, tokens, phrases, own)))
        return tuple(found)

    def _phrases(self, words: Sequence[str]) -> list[_Phrase]:
        """Return the phrases from left to right, the longest at each place; one word may mean two columns."""
        phrases: list[_Phrase] = []
        place = 0
        while place < len(words):
            number = self._numbers.read(words, place)
            if number is not None:
                at_place = [_Phrase(place, number.end, number.filters, describes=False)]
            else:
                at_place = self._value_phrases(words, place)
            phrases += at_place
            place = at_place[0].end if at_place else place + 1
        return phrases

    def _value_phrases(self, words: Sequence[str], place: int) -> list[_Phrase]:
        found: list[_Phrase] = []
        for entry, value in self._values.get(words[place], ()):
            end = place + len(entry)
            if found and end < found[0].end:
                break
            new = all(value.column != each.filters[0].column for each in found)
            if new and tuple(words[place:end]) == entry:
                found.append(_Phrase(place, end, (value,), describes=not isinstance(value.value, bool)))
        return found

    def _add_choice(self, facet: Facet) -> None:
        column = words_of_name(facet.column)
        for each in facet.values:
            value, words = Filter(facet.column, "=", each.value), words_of_name(str(each.value))
            forms: list[tuple[str, ...]] = []
            if isinstance(each.value, bool):
                forms = [column] if each.value and column else []
            elif words:
                forms = [(*column, *words)]
                # A number or a single letter means too little without its column's name.
                if any(word.isalpha() and len(word) > 1 for word in words):
                    forms += [words, *_other_forms(words)]
            for form in forms:
                self._values.setdefault(form[0], []).append((form, value))


def _other_forms(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return other spellings of a value: "tshirt" for "t-shirt"; "striped", "dotted", "wooden" for one noun."""
    if len(words) > 1:
        return [(singular("".join(words)),)]
    word = words[0]
    ending = "d" if word.endswith("e") else "ed"
    return [(word + ending,), (f"{word}{word[-1]}ed",), (f"{word}en",)]


def _merged(phrases: Sequence[_Phrase]) -> tuple[Filter, ...]:
    """Return the filters of phrases about one column: several values become one `in`, of ranges the last counts."""
    values = [each.value for phrase in phrases for each in phrase.filters if phrase.describes]
    if len(set(values)) > 1:
        texts = tuple(str(value) for value in dict.fromkeys(values))
        return (Filter(phrases[0].filters[0].column, "in", texts),)
    return phrases[-1].filters


def _rest(text: str, tokens: Sequence[Token], phrases: Sequence[_Phrase], accepted: Sequence[_Phrase]) -> str:
    """Return the text without the accepted phrases; those that describe are kept where nothing else does."""
    removed = set[int]().union(*(phrase.places for phrase in accepted))
    for first, second in pairwise(accepted):
        between = range(first.end, second.start)
        if all(tokens[place].word in ("and", "or") for place in between):
            removed.update(between)
    describing = {place for place, token in enumerate(tokens) if token.word not in _STOP_WORDS} - removed
    if not describing.difference(*(phrase.places for phrase in phrases if not phrase.describes)):
        removed = set[int]().union(*(phrase.places for phrase in accepted if not phrase.describes))
    return _without(text, tokens, removed)


def _without(text: str, tokens: Sequence[Token], removed: set[int]) -> str:
    """Return the text without some tokens, and without stop words at its ends where any are removed."""
    kept = [place for place in range(len(tokens)) if place not in removed]
    while removed and kept and tokens[kept[0]].word in _STOP_WORDS:
        kept.pop(0)
    while removed and kept and tokens[kept[-1]].word in _STOP_WORDS:
        kept.pop()
    parts = []
    for place, after in zip(kept, [*kept[1:], -1], strict=False):
        if after == place + 1:  # keeps what is between neighbours, such as the hyphen of "t-shirt"
            parts.append(text[tokens[place].start : tokens[after].start])
        else:
            parts.append(f"{text[tokens[place].start : tokens[place].end]} ")
    return " ".join("".join(parts).split())
