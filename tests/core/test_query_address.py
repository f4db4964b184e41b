"""Addresses: a query round-trips through a URL, and every id has a thumbnail address."""

from __future__ import annotations

import random
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.query import Emphasis, Filter, Query, Region, Term
from imgsearch.core.query_address import (
    LESS_WEIGHT,
    MORE_WEIGHT,
    item_url,
    query_from_params,
    query_key,
    query_string,
    query_to_params,
    thumbnail_url,
    upload_url,
)
from imgsearch.core.records import Hit, Item


def there_and_back(query: Query) -> Query:
    return query_from_params(parse_qs(query_string(query), keep_blank_values=True, strict_parsing=True))


def test_a_query_of_every_part_survives_the_address_bar() -> None:
    query = Query(
        (
            Term("text", "red mug & 50% off = ?"),
            Term("item", "shoes/ü 🙂#1+2.jpg"),
            Term("upload", "0123456789abcdef" * 2),
            Term("item", "a\nb.jpg", MORE_WEIGHT),
            Term("item", "..", LESS_WEIGHT),
        ),
        n=24,
        filters=(
            Filter("price (<€)", "<=", "5"),
            Filter("brand", "in", ("a|b", 'c"d')),
            Filter("size", "=", "38..42"),
        ),
    )
    assert there_and_back(query) == query


def test_weights_regions_colours_and_looks_survive_the_address_bar() -> None:
    query = Query(
        (
            Term("color", "#cc2233"),
            Term("text", "a:b@c, d", 0.5),
            Term("item", "x@1:2,3.jpg", -0.25, Region(0.1, 0, 1, 0.55)),
            Term("upload", "ab" * 16, 1.0, Region(0, 0.5, 0.5, 1)),
            Term("color", "#000000", -1.0),
        ),
        emphasis=Emphasis(color=0.5, pattern=1.0),
        same_color=True,
        duplicates="collapse",
        diversity=0.3,
        spelling="keep",
    )
    assert there_and_back(query) == query


@pytest.mark.parametrize(
    "params",
    [
        {"part": ["x:text:a"]}, {"part": ["0:text:a"]}, {"part": ["1:video:a"]}, {"part": ["1:text:"]},
        {"part": ["nan:text:a"]},
        {"part": ["1:text@0,0,1,1:a"]}, {"part": ["1:item@0,0,1:a"]}, {"part": ["1:item@0.5,0,0.5,1:a"]},
        {"part": ["1:item@-1,0,1,1:a"]}, {"part": ["1e9:item:a"]}, {"color": ["red"]}, {"emphasis": ["taste:1"]},
        {"emphasis": ["color:2"]}, {"same": ["shape"]}, {"duplicates": ["no"]}, {"diversity": ["-1"]},
        {"spelling": ["no"]},
    ],
)  # fmt: skip
def test_an_invalid_region_or_look_is_refused(params: dict[str, list[str]]) -> None:
    with pytest.raises(QueryError):
        query_from_params(params)


def test_the_feedback_key_depends_on_search_content_and_not_on_display_options() -> None:
    plain = Query.of(text="a")
    assert query_key(
        replace(plain, n=50, duplicates="collapse", diversity=0.5, spelling="keep")
    ) == query_key(plain)
    assert query_key(replace(plain, emphasis=Emphasis(color=1))) != query_key(plain)


def test_random_queries_survive_the_address_bar() -> None:
    chance = random.Random(1)
    alphabet = 'ab =&?#%+|"\\<>!~./\n\té🙂;,'

    def text() -> str:
        return "".join(chance.choice(alphabet) for _ in range(chance.randint(0, 6))) + "x"

    for _ in range(2000):
        query = Query(
            (Term("text", text()), Term("item", text()), Term("item", text(), MORE_WEIGHT)),
            n=chance.randint(1, 500),
            filters=(Filter(text(), "=", text()), Filter(text(), "contains", text())),
        )
        assert there_and_back(query) == query


def test_the_default_number_of_hits_is_omitted_from_the_address() -> None:
    assert query_to_params(Query.of(text="a", n=24), default_n=24) == {"text": ["a"]}


def test_equal_queries_have_one_canonical_address() -> None:
    text, item = Term("text", "a"), Term("item", "b")
    assert query_string(Query((text, item))) == query_string(Query((item, text)))


def test_an_image_given_as_bytes_has_no_address() -> None:
    with pytest.raises(QueryError, match="upload"):
        query_to_params(Query.of(image=b"abc"))


@pytest.mark.parametrize("n", ["0", "501", "-1", "1.5", "x", "", " 5", "٣", "9" * 5000])
def test_an_invalid_n_is_refused(n: str) -> None:
    with pytest.raises(QueryError, match="whole number"):
        query_from_params({"text": ["a"], "n": [n]}, max_n=500)


@pytest.mark.parametrize("upload", ["", "abc", "0" * 31 + "G", "0" * 33, "../" * 10 + "ab", "0" * 32 + "\n"])
def test_a_malformed_upload_id_is_refused(upload: str) -> None:
    with pytest.raises(QueryError, match="upload id"):
        query_from_params({"upload": [upload]})


def test_an_invalid_filter_is_refused_and_an_unknown_name_ignored() -> None:
    with pytest.raises(FilterError):
        query_from_params({"filter": ["nonsense"]})
    assert query_from_params({"utm_source": ["x"], "text": " "}) == Query(())
    assert query_from_params({"text": "one"}).terms == (Term("text", "one"),)


@pytest.mark.parametrize(
    "item_id",
    ["a.jpg", "shoes/1.jpg", "a b?.jpg", "#%41&+.jpg", "🙂\n.jpg", "../../x.jpg", "/abs.jpg", "a//b.jpg", "a/./b.jpg",
     "..", "a/..", "a\\..\\b.jpg", "C:\\x.jpg"],
)  # fmt: skip
def test_every_id_has_a_thumbnail_address_that_browsers_do_not_normalise(item_id: str) -> None:
    url = thumbnail_url(Item(item_id, 7, "/x"), 96)
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    assert (query["size"], query["v"]) == (["96"], ["7"])
    segments = parts.path.split("/")[1:]
    assert not {unquote(segment) for segment in segments} & {"", ".", ".."}
    found = query["id"][0] if "id" in query else unquote("/".join(segments[1:]))
    assert found == item_id
    assert url.isascii()


@pytest.mark.parametrize("item_id", ["a.jpg", "a b?.jpg", "../x", "a//b", "a/similar", "a/history", "é/%41#"])
def test_every_item_has_an_address(item_id: str) -> None:
    parts = urlsplit(item_url(item_id))
    assert parts.path.startswith("/api/v1/items")
    given = parse_qs(parts.query).get("id", [unquote(parts.path.removeprefix("/api/v1/items/"))])
    assert given == [item_id]
    assert not parts.path.endswith(("/similar", "/history"))


def test_a_thumbnail_address_changes_with_the_photo() -> None:
    assert thumbnail_url(Item("a", 7, "/x")) != thumbnail_url(Hit("a", 1, 0.5, 8, "/x"))
    assert upload_url("ab" * 16).startswith("/uploads/" + "ab" * 16)
