"""Suggested filters: words are matched to the catalog's columns and values, and the rest is a valid query."""

from __future__ import annotations

import pytest

from imgsearch.core.query import Filter
from imgsearch.core.records import Facet, FacetValue
from imgsearch.search.words.filter_suggestions import QueryWords, singular


def choice(column: str, *values: object) -> Facet:
    return Facet(column, "choice", values=tuple(FacetValue(value, 1) for value in values))


FACETS = [
    choice("colour", "red", "blue", "dark green", "green", "grey", "Café crème"),
    choice("type", "mug", "T-Shirt", "dress", "dining chair", "box"),
    choice("pattern", "plain", "stripes", "dots"),
    choice("material", "wood", "gold"),
    choice("finish", "gold", "M"),
    choice("size", "S", "M", "42", "44"),
    choice("in_stock", True, False),
    Facet("price", "range", low=5.0, high=1500.0),
    Facet("height_cm", "range", low=1.0, high=200.0),
    Facet("title", "text"),
]
WORDS = QueryWords(FACETS)


def suggested(text: str) -> list[str]:
    """Return the filters of every suggestion, as texts."""
    return [" & ".join(map(str, found.filters)) for found in WORDS.suggest(text)]


def left(text: str, column: str) -> str:
    """Return the remaining text after the suggestion on a column is accepted."""
    return next(found.text for found in WORDS.suggest(text) if found.column == column)


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("red under 50", ["colour=red", "price<50"]),
        ("RED, under €50!", ["colour=red", "price<50"]),
        ("below $50", ["price<50"]),
        ("less than 50 euros", ["price<50"]),
        ("cheaper than 50", ["price<50"]),
        ("< 50", ["price<50"]),
        ("<= 50", ["price<=50"]),
        ("up to 50€", ["price<=50"]),
        ("at most 50", ["price<=50"]),
        ("€50", ["price<=50"]),
        ("50 dollars", ["price<=50"]),
        ("over 20", ["price>20"]),
        ("more than £20", ["price>20"]),
        ("at least 20", ["price>=20"]),
        ("between 20 and 40", ["price>=20 & price<=40"]),
        ("between €40 and €20", ["price>=20 & price<=40"]),
        ("from 20 to 40", ["price>=20 & price<=40"]),
        ("20-40 euro", ["price>=20 & price<=40"]),
        ("20 – 40", ["price>=20 & price<=40"]),
        ("under 1,299.50", ["price<1299.5"]),
        ("under 1.299,50", ["price<1299.5"]),
        ("under 12,50", ["price<12.5"]),
        ("price 50", ["price<=50"]),
        ("price under 50", ["price<50"]),
        ("under 50 cm", ["height_cm<50"]),
        ("height over 50", ["height_cm>50"]),
        ("height 50", ["height_cm=50"]),
        ("red", ["colour=red"]),
        ("gray", ["colour=grey"]),
        ("dark green", ["colour=dark green"]),
        ("green", ["colour=green"]),
        ("cafe creme", ["colour=Café crème"]),
        ("red or blue mugs", ["colour in red|blue", "type=mug"]),
        ("tshirt", ["type=T-Shirt"]),
        ("t-shirts", ["type=T-Shirt"]),
        ("dresses", ["type=dress"]),
        ("boxes", ["type=box"]),
        ("dining chairs", ["type=dining chair"]),
        ("striped", ["pattern=stripes"]),
        ("dotted", ["pattern=dots"]),
        ("wooden", ["material=wood"]),
        ("gold", ["material=gold", "finish=gold"]),
        ("size 42", ["size=42"]),
        ("size M", ["size=M"]),
        ("mugs in stock", ["type=mug", "in_stock=true"]),
    ],
)
def test_words_suggest_the_filters_they_describe(text: str, filters: list[str]) -> None:
    assert suggested(text) == filters


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "chair", "42", "M", "20", "redder", "under", "between 20", "under fifty", "< < <", "€"),
        *(
            "under 50 kg",
            "under 2",
            "over 99999",
            "price 9999999999999999999999",
            "title oak",
            "\ud800",
            "\x00",
        ),
        "x" * 100_000,
    ],
)
def test_words_without_a_selective_filter_suggest_none(text: str) -> None:
    assert suggested(text) == []


def test_every_suggested_filter_is_parsed_by_the_grammar() -> None:
    from imgsearch.core.filter_grammar import parse_filter

    for text in ("café crème under 12,50", "red or blue", "in stock", "between 1 and 2", "t-shirt size 42"):
        for found in WORDS.suggest(text):
            for each in found.filters:
                assert tuple(map(str, parse_filter(str(each)))) == (str(each),)


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("red mug under 50", "price", "red mug"),
        ("red mug under 50", "colour", "mug under 50"),
        ("mug in red", "colour", "mug"),
        ("Big T-Shirts for under 50", "price", "Big T-Shirts"),
        ("nice red or blue vase", "colour", "nice vase"),
        ("my t-shirt, size 42", "size", "my t-shirt"),
        # A descriptive word stays if the text would be empty without it.
        ("red under 50", "colour", "red under 50"),
        ("red under 50", "price", "red"),
        ("the red", "colour", "the red"),
        # A number alone is no description.
        ("under 50", "price", ""),
        ("for under 50 euros", "price", ""),
    ],
)
def test_the_remaining_text_still_describes_the_query(text: str, column: str, expected: str) -> None:
    assert left(text, column) == expected


def test_active_filters_are_not_suggested() -> None:
    present = (Filter("Colour", "=", "Red"), Filter("price", "<", "50"))
    assert [str(*found.filters) for found in WORDS.suggest("red mug under 50", present)] == ["type=mug"]


def test_suggestions_include_their_source_words() -> None:
    assert [found.words for found in WORDS.suggest("A Red mug under €50")] == ["Red", "mug", "under €50"]


def test_without_a_price_column_an_ambiguous_number_suggests_no_filter() -> None:
    weights = [Facet("weight_kg", "range", low=1, high=9), Facet("length_cm", "range", low=1, high=90)]
    assert QueryWords(weights).suggest("under 5") == ()
    assert [str(*found.filters) for found in QueryWords(weights).suggest("under 5 kg")] == ["weight_kg<5"]
    assert [str(*found.filters) for found in QueryWords(weights[:1]).suggest("under 5")] == ["weight_kg<5"]
    assert QueryWords(weights).suggest("under €5") == ()


@pytest.mark.parametrize(
    ("word", "one"),
    [
        *(("mugs", "mug"), ("dresses", "dress"), ("dress", "dress"), ("boxes", "box"), ("berries", "berry")),
        *(("shoes", "shoe"), ("watches", "watch"), ("gas", "gas"), ("ties", "tie")),
    ],
)
def test_plurals_and_singulars_share_one_stem(word: str, one: str) -> None:
    assert singular(word) == singular(one)
