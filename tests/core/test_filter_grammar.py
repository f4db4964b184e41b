"""The filter grammar: accepted and refused texts, and round trips."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from samples import clustered

from imgsearch.core.errors import FilterError
from imgsearch.core.filter_grammar import parse_filter, parse_filters
from imgsearch.core.query import Filter
from imgsearch.store.catalog import CatalogStore

ROWS: list[dict[str, Any]] = [
    {"title": "Oak Table", "price": 120.0, "new": True, "brand": "ΟΔΟΣ", "size": "38..42"},
    {"title": "oak chair", "price": 50, "new": False, "brand": "H&M"},
    {"title": "Steel lamp", "price": 19.9, "new": True, "brand": "a|b", "size": "40"},
    {"title": "100% wool_rug", "brand": "İpek", "size": 'say "hi" \\o/'},
    {"title": "it's -- a trap'; DROP TABLE items", "price": -5, "brand": "  spaced  "},
]


@pytest.fixture
def shop(make_catalog: Callable[..., CatalogStore]) -> CatalogStore:
    return make_catalog(clustered(len(ROWS), 16), ROWS)


def passing(catalog: CatalogStore, *filters: str) -> list[int]:
    return [int(key) for key in catalog.metadata.keys_matching(parse_filters(filters))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("category=shoes", Filter("category", "=", "shoes")),
        (" category = running shoes ", Filter("category", "=", "running shoes")),
        ("category!=shoes", Filter("category", "!=", "shoes")),
        ("price<50", Filter("price", "<", "50")),
        ("price <= 50", Filter("price", "<=", "50")),
        ("price>=10", Filter("price", ">=", "10")),
        ("colour in red|blue", Filter("colour", "in", ("red", "blue"))),
        ("colour IN red | blue |", Filter("colour", "in", ("red", "blue"))),
        ("title~oak", Filter("title", "contains", "oak")),
        ("formula=a=b<c", Filter("formula", "=", "a=b<c")),
        ("made in=Italy", Filter("made in", "=", "Italy")),
        ('"size (<EU)"="38..42"', Filter("size (<EU)", "=", "38..42")),
        (r'name="a \"b\" \\ c"', Filter("name", "=", r'a "b" \ c')),
        ('brand in "a|b"|c', Filter("brand", "in", ("a|b", "c"))),
        ('note=5" pipe', Filter("note", "=", '5" pipe')),
        ('note=""', Filter("note", "=", "")),
    ],
)
def test_a_filter_accepts_common_spellings(text: str, expected: Filter) -> None:
    assert parse_filter(text) == (expected,)


def test_a_range_becomes_its_two_ends() -> None:
    assert parse_filter("price=-10..50.5") == (Filter("price", ">=", -10.0), Filter("price", "<=", 50.5))


@pytest.mark.parametrize(
    "text", ["", "   ", "shoes", "=shoes", "price<", "colour in ", "in red", "colour in |", "~x"]
)
def test_an_invalid_filter_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse_filter(text)
    assert "\n" not in str(refused.value)


def test_any_filter_round_trips_through_text() -> None:
    chance = random.Random(7)
    alphabet = "ab I iİß=<>!~|\"\\ .,5-\n\té🙂%_'"

    def text() -> str:
        return "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 8)))

    for _ in range(20_000):
        operator = chance.choice(["=", "!=", "<", "<=", ">", ">=", "contains", "in"])
        value: Any = tuple(text() for _ in range(chance.randint(1, 4))) if operator == "in" else text()
        if chance.random() < 0.1:
            value = ("1..2",) if operator == "in" else "1..2"
        filter = Filter(text(), operator, value)  # type: ignore[arg-type]
        assert parse_filter(str(filter)) == (filter,)


@pytest.mark.parametrize(("value", "text"), [(50.0, "50"), (19.9, "19.9"), (True, "true"), (-3, "-3")])
def test_numbers_and_booleans_are_written_as_people_write_them(value: object, text: str) -> None:
    assert str(Filter("column", "=", value)) == f"column={text}"


def test_random_text_raises_only_filter_errors() -> None:
    chance = random.Random(8)
    for _ in range(20_000):
        text = "".join(chance.choice('ab in|"\\=<>!~ .1-\n') for _ in range(chance.randint(0, 12)))
        try:
            parsed = parse_filter(text)
        except FilterError:
            continue
        assert parse_filters([str(filter) for filter in parsed]) == parsed


# --- what they mean in a catalog --------------------------------------------------------------------------------


def test_filters_select_the_matching_rows(shop: CatalogStore) -> None:
    assert passing(shop) == [0, 1, 2, 3, 4]
    assert passing(shop, "title=OAK chair") == [1]
    assert passing(shop, "title~OAK") == [0, 1]
    assert passing(shop, "title!=oak chair") == [0, 2, 3, 4]
    assert passing(shop, "price<50") == [2, 4]
    assert passing(shop, "price<=50") == [1, 2, 4]
    assert passing(shop, "price=0..50") == [1, 2]
    assert passing(shop, "price in 50|120") == [0, 1]
    assert passing(shop, "new=true") == [0, 2]
    assert passing(shop, "new!=yes") == [1]
    assert passing(shop, "title~oak", "price>100", "new=1") == [0]


def test_a_missing_value_passes_no_filter(shop: CatalogStore) -> None:
    assert 3 not in passing(shop, "price!=1000")
    assert 3 not in passing(shop, "new!=true") + passing(shop, "new=true")
    assert passing(shop, "size!=nothing") == [0, 2, 3]


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_value_is_found_by_a_filter_for_itself_whatever_it_holds(
    shop: CatalogStore, number: int
) -> None:
    for column, value in shop.by_keys([number])[0].metadata.items():
        for filter in (Filter(column, "=", value), Filter(column, "in", (value,))):
            assert number in shop.metadata.keys_matching([filter])
            assert number in shop.metadata.keys_matching(parse_filter(str(filter)))
        if isinstance(value, str):
            contains = Filter(column, "contains", value.swapcase() if value.isascii() else value)
            assert number in shop.metadata.keys_matching([contains])


def test_wildcards_and_sql_are_plain_text(shop: CatalogStore) -> None:
    assert passing(shop, "title~%") == [3]
    assert passing(shop, "title~_") == [3]
    assert passing(shop, "title~'; DROP TABLE items") == [4]
    assert len(shop) == len(ROWS)


def test_column_names_are_case_insensitive(shop: CatalogStore) -> None:
    assert passing(shop, "TITLE=oak chair") == [1]


def test_an_exact_column_name_takes_precedence(make_catalog: Callable[..., CatalogStore]) -> None:
    catalog = make_catalog(clustered(2, 8), [{"Price": 1, "price": 2}, {"Price": 2, "price": 1}])
    assert passing(catalog, "Price=1") == [0]
    assert passing(catalog, "price=1") == [1]


@pytest.mark.parametrize(
    "text",
    [
        "colour=red",
        "price=cheap",
        "price=nan",
        "price~5",
        "new=perhaps",
        "new~true",
        "price in 1|x",
        "c0=1",
        "title>p",
    ],
)
def test_a_filter_incompatible_with_the_catalog_is_refused_with_the_column_name(
    shop: CatalogStore, text: str
) -> None:
    with pytest.raises(FilterError) as refused:
        shop.metadata.keys_matching(parse_filter(text))
    assert re.split("[=~> ]", text)[0] in str(refused.value)


def test_an_empty_list_matches_nothing(shop: CatalogStore) -> None:
    assert list(shop.metadata.keys_matching([Filter("title", "in", ())])) == []


def test_text_that_is_no_valid_unicode_is_refused(shop: CatalogStore) -> None:
    with pytest.raises(FilterError):
        shop.metadata.keys_matching([Filter("title", "=", "\ud800")])
