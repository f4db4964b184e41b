"""Filters that the words of a query suggest: "red under 50" may mean colour = red and price < 50.

It owns how words are told to mean one of the catalog's own columns and values, and what is left of the text when they
become a filter. It knows facets and texts only: no catalog, no page. Nothing is filtered here, only offered.

    red, dark green, t-shirts    a value of a column, in singular or plural, of one or more words
    size 42, size M              a number or a single letter counts behind its column's name only
    in stock                     the name of a yes-or-no column
    under 50, up to €50, < 50    a number column: that named beside it, that whose unit it is, or the price
    between 20 and 40, 20-40     likewise
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from imgsearch.core.query import Filter, Operator
from imgsearch.core.records import Facet

__all__ = ["QueryWords", "Suggestion", "folded", "singular", "suggest"]

MAX_WORDS = 48
"""So many words of a text are read."""
LONGEST_NUMBER = 15

_TOKEN = re.compile(r"[€$£¥]|[<>]=?|[-–](?=\s*[€$£¥]?\s*\d)|\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
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
_ALIKE = {"gray": "grey", "aluminum": "aluminium", "jewelry": "jewellery"}
_JOINERS = frozenset(("and", "to", "-", "–"))
_LITTLE = frozenset(
    (
        *("a", "an", "and", "at", "but", "by", "cost", "costing", "for", "in", "is"),
        *("of", "on", "or", "priced", "that", "the", "to", "which", "with"),
    )
)
"""Words that describe nothing when they are left at an end of a text."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Filters on one column, the words of the text that say so, and the text that is left when they are accepted.

    `text` is empty where nothing is left to describe.
    """

    filters: tuple[Filter, ...]
    words: str
    text: str

    @property
    def column(self) -> str:
        """The column that is filtered."""
        return self.filters[0].column


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Tokens `start` to `end` say the filters; `describes` where they also say how a thing looks."""

    start: int
    end: int
    filters: tuple[Filter, ...]
    describes: bool


class QueryWords:
    """The words of one catalog's columns and values, prepared to read queries by in well under a millisecond."""

    def __init__(self, facets: Sequence[Facet]) -> None:
        """Take the facets of the whole catalog."""
        self._values: dict[str, list[tuple[tuple[str, ...], str, Filter]]] = {}
        self._ranges = [facet for facet in facets if facet.kind == "range" and facet.low is not None]
        for facet in facets:
            if facet.kind == "choice":
                self._add_choice(facet)
        for entries in self._values.values():
            entries.sort(key=lambda entry: -len(entry[0]))
        prices = [facet for facet in self._ranges if _PRICES & set(_words(facet.column))]
        self._price = next(iter(prices), None)

    def suggest(self, text: str, filters: Sequence[Filter] = ()) -> tuple[Suggestion, ...]:
        """Return what the words of a text suggest, in their order; what `filters` say already is left out."""
        tokens = _tokens(text)
        phrases = self._phrases(tokens)
        present = {str(each).casefold() for each in filters}
        found = []
        for column in dict.fromkeys(phrase.filters[0].column for phrase in phrases):
            own = [phrase for phrase in phrases if phrase.filters[0].column == column]
            said = _merged(own)
            if {str(each).casefold() for each in said} <= present:
                continue
            words = " ".join(text[tokens[each.start].start : tokens[each.end - 1].end] for each in own)
            found.append(Suggestion(said, words, _left(text, tokens, phrases, own)))
        return tuple(found)

    # --- reading ------------------------------------------------------------------------------------------------

    def _phrases(self, tokens: Sequence[_Token]) -> list[_Phrase]:
        """Return the phrases of a text from left to right, the longest at each place; a word may mean two columns."""
        words = [token.word for token in tokens]
        phrases: list[_Phrase] = []
        place = 0
        while place < len(words):
            number = self._number_phrase(words, place)
            at_place = [number] if number else self._value_phrases(words, place)
            phrases += at_place
            place = at_place[0].end if at_place else place + 1
        return phrases

    def _value_phrases(self, words: Sequence[str], place: int) -> list[_Phrase]:
        found: list[_Phrase] = []
        for entry, _, said in self._values.get(words[place], ()):
            end = place + len(entry)
            if found and end < found[0].end:
                break
            if tuple(words[place:end]) == entry and all(
                said.column != each.filters[0].column for each in found
            ):
                found.append(_Phrase(place, end, (said,), not isinstance(said.value, bool)))
        return found

    def _number_phrase(self, words: Sequence[str], place: int) -> _Phrase | None:
        """Return the phrase that begins at a place and says: [column] [operator] [column] number [to number]."""
        named, at = self._named_range(words, place)
        cheap = at < len(words) and words[at] == "cheaper"
        between = at < len(words) and words[at] == "between"
        operator, at = (None, at + 1) if between else _operator(words, at)
        if named is None:
            named, at = self._named_range(words, at)
        low, money, at = _number(words, at)
        if low is None:
            return None
        high = None
        if at < len(words) and words[at] in _JOINERS:
            high, more_money, after = _number(words, at + 1)
            if high is not None:
                money, at = money or more_money, after
        unit = words[at] if at < len(words) and words[at] in _UNITS else ""
        at += bool(unit)
        alone = operator is None and high is None
        if between and high is None:
            return None
        facet = named or self._range_of(unit, money=money or cheap)
        if facet is None or (alone and named is None and not money):
            return None
        filters = _number_filters(facet, operator, low, high, at_most=facet is self._price)
        return _Phrase(place, at, filters, describes=False) if _passes_some(facet, filters) else None

    def _named_range(self, words: Sequence[str], place: int) -> tuple[Facet | None, int]:
        """Return the number column that is named at a place and the place behind its name."""
        best, end = None, place
        for facet in self._ranges:
            for name in _names(facet.column):
                if len(name) > end - place and tuple(words[place : place + len(name)]) == name:
                    best, end = facet, place + len(name)
        return best, end

    def _range_of(self, unit: str, *, money: bool) -> Facet | None:
        """Return the number column that an unnamed number is about: that of its unit, else the price."""
        if unit:
            return next((facet for facet in self._ranges if unit in _words(facet.column)), None)
        if self._price is not None or money:
            return self._price
        return self._ranges[0] if len(self._ranges) == 1 else None

    # --- preparing ----------------------------------------------------------------------------------------------

    def _add_choice(self, facet: Facet) -> None:
        column = _words(facet.column)
        for each in facet.values:
            if isinstance(each.value, bool):
                if each.value and column:
                    self._add(column, Filter(facet.column, "=", True))
                continue
            said = Filter(facet.column, "=", each.value)
            words = _words(str(each.value))
            if not words:
                continue
            self._add((*column, *words), said)
            if _is_plain(words):
                for form in [words, *_other_forms(words)]:
                    self._add(form, said)

    def _add(self, words: tuple[str, ...], said: Filter) -> None:
        self._values.setdefault(words[0], []).append((words, said.column, said))


def suggest(text: str, facets: Sequence[Facet], filters: Sequence[Filter] = ()) -> tuple[Suggestion, ...]:
    """Return the filters that the words of a text suggest for a catalog with these facets; see `QueryWords`."""
    return QueryWords(facets).suggest(text, filters)


def folded(text: str) -> str:
    """Return a text in small letters without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def singular(word: str) -> str:
    """Return an English word without the ending of a plural; any other as it is, so that both sides may be folded."""
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1]


def _tokens(text: str) -> list[_Token]:
    # Folding letter by letter, so that places in the text stay what they are.
    found = []
    for match in _TOKEN.finditer(text):
        word = singular(folded(match[0]))
        found.append(_Token(_ALIKE.get(word, word), match.start(), match.end()))
        if len(found) == MAX_WORDS:
            break
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(token.word for token in _tokens(text.replace("_", " ")))


def _names(column: str) -> list[tuple[str, ...]]:
    """Return the ways to name a number column: by its words, or by those without the unit behind them."""
    words = _words(column)
    short = words[:-1] if words and words[-1] in _UNITS | _CURRENCIES else ()
    return [name for name in (words, short) if name]


def _is_plain(words: tuple[str, ...]) -> bool:
    """Tell whether a value may stand without its column's name: a number or a single letter says too little."""
    return any(word.isalpha() and len(word) > 1 for word in words)


def _other_forms(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return other ways to write a value: "tshirt" for "t-shirt", "striped", "dotted", "wooden" for one noun."""
    if len(words) > 1:
        return [(singular("".join(words)),)]
    word = words[0]
    ending = "d" if word.endswith("e") else "ed"
    return [(word + ending,), (f"{word}{word[-1]}ed",), (f"{word}en",)]


def _operator(words: Sequence[str], place: int) -> tuple[Operator | None, int]:
    for length in (2, 1):
        operator = _OPERATORS.get(tuple(words[place : place + length]))
        if operator is not None and place + length <= len(words):
            return operator, place + length
    return None, place


def _number(words: Sequence[str], place: int) -> tuple[float | None, bool, int]:
    """Return (the number at a place or None, whether a currency stands at it, the place behind both)."""
    at, money = place, False
    if at < len(words) and words[at] in _CURRENCIES:
        at, money = at + 1, True
    if at >= len(words) or not words[at][0].isdigit() or len(words[at]) > LONGEST_NUMBER:
        return None, False, place
    number = _value(words[at])
    at += 1
    if at < len(words) and words[at] in _CURRENCIES:
        at, money = at + 1, True
    return number, money, at


def _value(text: str) -> float:
    """Return the number that digits with points and commas say: 1,299.95 and 1.299,95 are both 1299.95."""
    if _THOUSANDS.fullmatch(text):
        whole, _, cents = text.rpartition(text[-3]) if text[-3:-2] in (".", ",") else (text, "", "")
        digits = re.sub(r"[.,]", "", whole)
        return float(f"{digits}.{cents}") if cents else float(digits)
    first, *others = re.split(r"[.,]", text)
    return float(f"{first}.{''.join(others) or '0'}")


def _number_filters(
    facet: Facet, operator: Operator | None, low: float, high: float | None, *, at_most: bool
) -> tuple[Filter, ...]:
    if high is not None:
        low, high = min(low, high), max(low, high)
        return (Filter(facet.column, ">=", low), Filter(facet.column, "<=", high))
    return (Filter(facet.column, operator or ("<=" if at_most else "="), low),)


def _passes_some(facet: Facet, filters: Sequence[Filter]) -> bool:
    """Tell whether any number between the column's ends may pass all the filters."""
    lowest, highest = float(facet.low or 0), float(facet.high or 0)
    passes = {
        "<": lambda value: lowest < value,
        "<=": lambda value: lowest <= value,
        ">": lambda value: highest > value,
        ">=": lambda value: highest >= value,
        "=": lambda value: lowest <= value <= highest,
    }
    return all(passes[each.operator](float(each.values[0])) for each in filters)


def _merged(phrases: Sequence[_Phrase]) -> tuple[Filter, ...]:
    """Return the filters of phrases about one column: several values are one choice, of ranges the last counts."""
    values = list(
        dict.fromkeys(each.value for phrase in phrases for each in phrase.filters if phrase.describes)
    )
    if len(values) > 1:
        return (Filter(phrases[0].filters[0].column, "in", tuple(str(value) for value in values)),)
    return phrases[-1].filters


def _left(
    text: str, tokens: Sequence[_Token], phrases: Sequence[_Phrase], accepted: Sequence[_Phrase]
) -> str:
    """Return the text without the accepted phrases; where nothing else describes, those that do are left in it."""
    taken = _places(accepted)
    for first, second in pairwise(accepted):
        between = range(first.end, second.start)
        if all(tokens[place].word in ("and", "or") for place in between):
            taken.update(between)
    described_by = {place for place, token in enumerate(tokens) if token.word not in _LITTLE}
    if not described_by - taken - _places([phrase for phrase in phrases if not phrase.describes]):
        taken = _places([phrase for phrase in accepted if not phrase.describes])
    return _without(text, tokens, taken)


def _places(phrases: Sequence[_Phrase]) -> set[int]:
    """Return the places of the tokens that the phrases are made of."""
    return {place for phrase in phrases for place in range(phrase.start, phrase.end)}


def _without(text: str, tokens: Sequence[_Token], taken: set[int]) -> str:
    """Return the text without some of its tokens, and without little words at its ends where any are taken."""
    kept = [place for place in range(len(tokens)) if place not in taken]
    while taken and kept and tokens[kept[0]].word in _LITTLE:
        kept.pop(0)
    while taken and kept and tokens[kept[-1]].word in _LITTLE:
        kept.pop()
    parts = []
    for number, place in enumerate(kept):
        goes_on = number + 1 < len(kept) and kept[number + 1] == place + 1
        # What stands between two neighbours, such as the hyphen of "t-shirt", stays.
        parts.append(
            text[tokens[place].start : tokens[place + 1].start]
            if goes_on
            else f"{text[tokens[place].start : tokens[place].end]} "
        )
    return " ".join("".join(parts).split())
