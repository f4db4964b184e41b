"""The query: every limit, and that a valid query survives the address bar, JSON and the text of a filter."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from imgsearch.app.api.requests import SearchBody
from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.filter_grammar import parse_filter
from imgsearch.core.query import (
    MAX_FILTER_CHARS,
    MAX_FILTERS,
    MAX_ID_CHARS,
    MAX_TERMS,
    MAX_TEXT_CHARS,
    Emphasis,
    Filter,
    Query,
    Region,
    Term,
)
from imgsearch.core.query_address import query_from_params, query_key, query_string

# --- strategies -------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip)
hex_digits = st.text("0123456789abcdef", min_size=32, max_size=32)
weights = st.integers(-100_000, 100_000).filter(bool).map(lambda thousandths: thousandths / 1000)
shares = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    left, top = draw(st.integers(0, 98)), draw(st.integers(0, 98))
    right, bottom = draw(st.integers(left + 2, 100)), draw(st.integers(top + 2, 100))
    return Region(left / 100, top / 100, right / 100, bottom / 100)


terms = st.one_of(
    st.builds(Term, st.just("text"), texts, weights),
    st.builds(Term, st.just("item"), texts, weights, st.none() | regions()),
    st.builds(Term, st.just("upload"), hex_digits, weights, st.none() | regions()),
    st.builds(Term, st.just("color"), hex_digits.map(lambda digits: f"#{digits[:6]}"), weights),
)
filters = st.one_of(
    st.builds(Filter, texts, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "contains"]), texts),
    st.builds(Filter, texts, st.just("in"), st.lists(texts, min_size=1, max_size=4).map(tuple)),
)
queries = st.builds(
    Query,
    st.lists(terms, min_size=1, max_size=6).map(tuple),
    n=st.integers(1, 10_000),
    filters=st.lists(filters, max_size=4).map(tuple),
    offset=st.just(0),
    emphasis=st.builds(Emphasis, shares, shares, shares),
    same_color=st.booleans(),
    duplicates=st.sampled_from(["collapse", "show"]),
    diversity=shares,
    spelling=st.sampled_from(["correct", "keep"]),
)


def in_order(query: Query) -> Query:
    """Return the query with its terms in an order that does not depend on how they were put together."""
    return replace(query, terms=tuple(sorted(query.terms, key=repr)))


# --- round trips ------------------------------------------------------------------------------------------------


@given(filters)
def test_a_filter_survives_as_text(filter: Filter) -> None:
    assert parse_filter(str(filter)) == (filter,)


@given(queries)
def test_a_query_survives_the_address_bar(query: Query) -> None:
    address = query_string(query, default_n=0)
    read = query_from_params(parse_qs(address, keep_blank_values=True, strict_parsing=True))
    assert in_order(read) == in_order(query)
    assert query_string(read, default_n=0) == address


@given(queries)
def test_the_query_key_depends_on_the_search_content(query: Query) -> None:
    read = query_from_params(parse_qs(query_key(query), keep_blank_values=True))
    assert query_key(read) == query_key(query)
    assert (read.filters, read.emphasis) == (query.filters, query.emphasis)


@given(queries)
def test_a_query_survives_json(query: Query) -> None:
    def of(kind: str) -> list[dict[str, Any]]:
        entries = []
        for term in query.terms:
            if term.kind == kind:
                entry: dict[str, Any] = {"value": term.value, "weight": term.weight}
                entries.append(entry if term.region is None else {**entry, "region": list(term.region)})
        return entries

    body = {
        "text": of("text"),
        "items": of("item"),
        "uploads": of("upload"),
        "colors": of("color"),
        "filter": [str(each) for each in query.filters],
        "emphasis": dict(zip(Emphasis.NAMES, query.emphasis, strict=True)),
        **{
            name: getattr(query, name)
            for name in ("n", "offset", "same_color", "duplicates", "diversity", "spelling")
        },
    }
    read = TypeAdapter(SearchBody).validate_json(json.dumps(body)).query(default_n=10)
    assert in_order(read) == in_order(query)


# --- limits -----------------------------------------------------------------------------------------------------

HUGE = 10**400


@pytest.mark.parametrize(
    "arguments",
    [
        ("text", "x" * (MAX_TEXT_CHARS + 1)),
        ("item", "x" * (MAX_ID_CHARS + 1)),
        ("text", "\ud800"),
        ("item", "a\udfff"),
        ("text", 5),
        ("text", b"bytes"),
        ("image", "text"),
        ("video", "x"),
        ("text", "x", 0),
        ("text", "x", 100.5),
        ("text", "x", HUGE),
        ("text", "x", float("nan")),
        ("text", "x", float("inf")),
        ("text", "x", True),
        ("text", "x", 1.0, Region(0, 0, 1, 1)),
        ("color", "cc2233"),
        ("upload", "0" * 31),
    ],
)
def test_a_term_over_a_limit_is_refused_in_one_sentence(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(QueryError) as refused:
        Term(*arguments)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 250
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "edges", [(0, 0, 1), (0, 0, 0.005, 1), (0.5, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, HUGE, 1)]
)
def test_a_region_that_is_no_part_of_a_photo_is_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(QueryError):
        Region(*edges)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 0}, {"n": HUGE}, {"n": 1.5}, {"n": True}, {"offset": -1}, {"diversity": 1.1}, {"diversity": -0.1},
        {"duplicates": "no"}, {"spelling": "no"}, {"same_color": "yes"}, {"emphasis": 1},
        {"terms": (Term("text", "x"),) * (MAX_TERMS + 1)}, {"filters": (Filter("a", "=", "b"),) * (MAX_FILTERS + 1)},
        {"terms": tuple(Term("item", f"{number}" * 2048) for number in range(32))},
    ],
)  # fmt: skip
def test_a_query_over_a_limit_is_refused_also_by_replace(change: dict[str, Any]) -> None:
    for make in (lambda: Query(**{"terms": (), **change}), lambda: replace(Query.of(text="a"), **change)):
        with pytest.raises(QueryError) as refused:
            make()
        named = str(refused.value).casefold()
        assert next(iter(change)) in named or "characters" in named


def test_hits_and_offset_are_limited_by_the_service_too() -> None:
    query = Query.of(text="a", n=100)
    assert query.within(100) is query
    for wrong in (query, replace(query, n=1, offset=100)):
        with pytest.raises(QueryError, match="to 99"):
            wrong.within(99)


@pytest.mark.parametrize(
    "arguments",
    [
        ("a", "?", "b"), ("a", "=", "x" * MAX_FILTER_CHARS), ("a" * (MAX_FILTER_CHARS + 1), "=", "x"),
        ("a", "=", '"' * 2500), ("a", "in", "x"), ("a", "=", ("x",)), ("a", "in", ("x",) * 1001),
        ("a", "=", float("inf")), ("a", "=", float("nan")), ("a", "=", "\ud800"), ("\ud800", "=", "x"),
        ("a", "in", ("\ud800",)), ("a", "=", None),
    ],
)  # fmt: skip
def test_a_filter_over_a_limit_is_refused_in_one_sentence(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(FilterError) as refused:
        Filter(*arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        " " * 4000, " " * 3995 + "=a", "a" + " " * 3990 + "b", "a" + " in" * 1300, '"' * 4000, '"\\' * 2000,
        "a in " + '"|' * 1990, "a in " + '"\\|' * 1300, "a in " + " |" * 1990, "a=" + "1" * 3990,
        "a=" + "1" * 1990 + ".." + "1" * 1990, "\t\n" * 2000, "a in" + " " * 3990, "x" * 100_000,
    ],
)  # fmt: skip
def test_a_hostile_filter_is_answered_in_milliseconds(text: str) -> None:
    started = time.perf_counter()
    for _ in range(5):
        with suppress(FilterError):
            parse_filter(text)
    assert (time.perf_counter() - started) / 5 < 0.1


def test_a_query_is_hashable_and_equal_by_value() -> None:
    made = [Query((Term("item", "a", 1),), filters=(Filter("x", "in", ("a", 1.0)),)) for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made)) == 1
    assert {field.name for field in fields(Query)} >= {"terms", "n", "filters"}
