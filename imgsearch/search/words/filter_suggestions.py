"""Filters that the words of a query suggest: "red under 50" may mean colour = red and price < 50.

red, dark green, t-shirts    a value of a column, in singular or plural, of one or more words
size 42, size M              a number or a single letter only behind its column's name
in stock                     the name of a yes-or-no column
under 50, 20-40 cm           a number column; also "price at least €1,299.95"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from imgsearch.core.query import Filter, Operator
from imgsearch.core.records import Facet

Words = Sequence[str]

MAX_TOKENS = 48
"""How many words of a text are read."""
_TOKEN = re.compile(r"[€$£¥]|[<>]=?|[-–](?=\s*[€$£¥]?\s*\d)|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_SPELLINGS = {"gray": "grey", "aluminum": "aluminium", "jewelry": "jewellery"}
_STOP_WORDS = frozenset(
    (
        *("a", "an", "and", "at", "but", "by", "cost", "costing", "for", "in", "is"),
        *("of", "on", "or", "priced", "that", "the", "to", "which", "with"),
    )
)
"""Words that describe nothing when they are left at an end of a text."""
MAX_NUMBER_CHARS = 15
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:[.,]\d{3})+(?:[.,]\d{1,2})?")
_CURRENCIES = frozenset(
    ("€", "$", "£", "¥", "eur", "euro", "usd", "dollar", "gbp", "pound", "buck", "chf", "yen", "jpy")
)
_PRICES = frozenset(("price", "cost", "rrp", "msrp", "preis", "prix", "precio", "prezzo")) | _CURRENCIES
_UNITS = frozenset(
    ("mm", "cm", "m", "km", "inch", "ft", "g", "kg", "lb", "oz", "ml", "l", "w", "kw", "gb", "tb")
)
_OPERATORS: dict[tuple[str, ...], Operator] = {
    **dict.fromkeys((("under",), ("below",), ("less", "than"), ("cheaper", "than"), ("<",)), "<"),
    **dict.fromkeys((("up", "to"), ("at", "most"), ("max",), ("maximum",), ("<=",)), "<="),
    **dict.fromkeys((("over",), ("above",), ("more", "than"), (">",)), ">"),
    **dict.fromkeys((("at", "least"), ("from",), ("min",), ("minimum",), (">=",)), ">="),
}
_RANGE_WORDS = frozenset(("and", "to", "-", "–"))


@dataclass(frozen=True, slots=True)
class Token:
    """A normalised word, number or sign, and its place in the text."""

    word: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Return the first `MAX_TOKENS` tokens of a text."""
    found = []
    for match in _TOKEN.finditer(text):
        word = singular(folded(match[0]))
        found.append(Token(_SPELLINGS.get(word, word), match.start(), match.end()))
        if len(found) == MAX_TOKENS:
            break
    return found


def folded(text: str) -> str:
    """Return a text in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def singular(word: str) -> str:
    """Return an English word without a plural's ending; any other word as it is."""
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1]


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
            at_place = [number] if number is not None else self._value_phrases(words, place)
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


class NumberReader:
    """Reads phrases about the number columns of one catalog."""

    def __init__(self, facets: Sequence[Facet]) -> None:
        """Take the facets of the whole catalog."""
        self._facets = [facet for facet in facets if facet.kind == "range" and facet.low is not None]
        prices = [facet for facet in self._facets if _PRICES & set(words_of_name(facet.column))]
        prices += [facet for facet in self._facets if facet.holds == "price" and facet not in prices]
        self._price = next(iter(prices), None)

    def read(self, words: Words, start: int) -> _Phrase | None:
        """Return the phrase at a place: [column] [operator] [column] number [to number]; None where there is none."""
        named, at = self._named(words, start)
        cheaper, between = words[at : at + 1] == ["cheaper"], words[at : at + 1] == ["between"]
        operator, at = (None, at + 1) if between else _operator(words, at)
        if named is None:
            named, at = self._named(words, at)
        low, money, at = _number(words, at)
        if low is None:
            return None
        high = None
        if at < len(words) and words[at] in _RANGE_WORDS:
            high, more_money, after = _number(words, at + 1)
            if high is not None:
                money, at = money or more_money, after
        unit = words[at] if at < len(words) and words[at] in _UNITS else ""
        if between and high is None:
            return None
        facet = named or self._of_unit(unit, money=money or cheaper)
        only_a_number = operator is None and high is None and named is None and not money
        if facet is None or only_a_number:
            return None
        if high is None:
            usual: Operator = "<=" if facet is self._price else "="
            filters: tuple[Filter, ...] = (Filter(facet.column, operator or usual, low),)
        else:
            ends = sorted((low, high))
            filters = (Filter(facet.column, ">=", ends[0]), Filter(facet.column, "<=", ends[1]))
        if not _can_match(facet, filters):
            return None
        return _Phrase(start, at + bool(unit), filters, describes=False)

    def _named(self, words: Words, place: int) -> tuple[Facet | None, int]:
        """Return the number column that is named at a place, and the place behind its name."""
        best, end = None, place
        for facet in self._facets:
            name = words_of_name(facet.column)
            names = [name, name[:-1]] if name and name[-1] in _UNITS | _CURRENCIES else [name]
            for one in names:
                if len(one) > end - place and tuple(words[place : place + len(one)]) == one:
                    best, end = facet, place + len(one)
        return best, end

    def _of_unit(self, unit: str, *, money: bool) -> Facet | None:
        """Return the column that a number without a name is about: that of its unit, else the price."""
        if unit:
            return next((facet for facet in self._facets if unit in words_of_name(facet.column)), None)
        if self._price is not None or money:
            return self._price
        return self._facets[0] if len(self._facets) == 1 else None


def words_of_name(name: str) -> tuple[str, ...]:
    """Return the words of a column's name or of a value."""
    return tuple(token.word for token in tokenize(name.replace("_", " ")))


def _operator(words: Words, place: int) -> tuple[Operator | None, int]:
    for length in (2, 1):
        operator = _OPERATORS.get(tuple(words[place : place + length]))
        if operator is not None and place + length <= len(words):
            return operator, place + length
    return None, place


def _number(words: Words, place: int) -> tuple[float | None, bool, int]:
    """Return (the number at a place or None, whether it has a currency, the place behind both)."""
    at = place + (place < len(words) and words[place] in _CURRENCIES)
    if at >= len(words) or not words[at][0].isdigit() or len(words[at]) > MAX_NUMBER_CHARS:
        return None, False, place
    end = at + 1 + (at + 1 < len(words) and words[at + 1] in _CURRENCIES)
    return _value(words[at]), end - place > 1, end


def _value(text: str) -> float:
    """Return the number of digits with points and commas: 1,299.95 and 1.299,95 are both 1299.95."""
    if _THOUSANDS.fullmatch(text):
        whole, _, cents = text.rpartition(text[-3]) if text[-3:-2] in (".", ",") else (text, "", "")
        digits = re.sub(r"[.,]", "", whole)
        return float(f"{digits}.{cents}") if cents else float(digits)
    first, *others = re.split(r"[.,]", text)
    return float(f"{first}.{''.join(others) or '0'}")


def _can_match(facet: Facet, filters: Sequence[Filter]) -> bool:
    """Return whether any number between the column's least and greatest may pass all the filters."""
    low, high = float(facet.low or 0), float(facet.high or 0)
    passes = {
        "<": lambda value: low < value,
        "<=": lambda value: low <= value,
        ">": lambda value: high > value,
        ">=": lambda value: high >= value,
        "=": lambda value: low <= value <= high,
    }
    return all(passes[each.operator](float(each.values[0])) for each in filters)
