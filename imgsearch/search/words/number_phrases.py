"""Phrases about numbers in a query's text, such as "under 50", "20-40 cm" or "price at least €1,299.95"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imgsearch.core.query import Filter, Operator
from imgsearch.core.records import Facet
from imgsearch.search.words.tokens import tokenize

__all__ = ["NumberPhrase", "NumberReader", "words_of_name"]

Words = Sequence[str]

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
class NumberPhrase:
    """The filters that a phrase means, and the place behind its last word."""

    filters: tuple[Filter, ...]
    end: int


class NumberReader:
    """Reads phrases about the number columns of one catalog."""

    def __init__(self, facets: Sequence[Facet]) -> None:
        """Take the facets of the whole catalog."""
        self._facets = [facet for facet in facets if facet.kind == "range" and facet.low is not None]
        prices = (facet for facet in self._facets if _PRICES & set(words_of_name(facet.column)))
        self._price = next(prices, None)

    def read(self, words: Words, place: int) -> NumberPhrase | None:
        """Return the phrase at a place: [column] [operator] [column] number [to number]; None where there is none."""
        named, at = self._named(words, place)
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
        return NumberPhrase(filters, at + bool(unit)) if _can_match(facet, filters) else None

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
