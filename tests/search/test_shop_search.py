"""What a shop's search call offers: sort, groups, boosts, stock, levels, and cursors that survive changes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import clustered, raw_items, relabelled

from imgsearch.core.cursors import MAX_SHOWN, Cursor
from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Boost, Query, Sort, Term
from imgsearch.core.query_address import query_from_params, query_key, query_to_params
from imgsearch.core.records import SearchResult
from imgsearch.encoders import Encoder
from imgsearch.index.opening import open_live_index
from imgsearch.search.ranking.column_order import sorted_places
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore

COUNT, CLUSTERS = 3000, 30


def no_encoder() -> Encoder:
    raise AssertionError("this search needs no encoder")


def rows(count: int = COUNT) -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    return [
        {
            "price": None if n % 97 == 0 else float(rng.integers(5, 500)),
            "brand": f"brand {n % 7}",
            "product": f"P{n // 4}",
            "popularity": float(rng.pareto(1.0)),
            "availability": "in stock" if n % 100 == 0 else "out of stock",
            "title": f"thing {n}",
        }
        for n in range(count)
    ]


def vectors(count: int = COUNT) -> Any:
    return clustered(count, 32, clusters=CLUSTERS, spread=0.35)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CatalogStore, Searcher]]:
    with CatalogStore.open(tmp_path_factory.mktemp("shop") / "catalog", create=True) as catalog:
        catalog.bind_encoder("test:raw", "test:raw@32", 32)
        catalog.store(raw_items([f"{n:05d}" for n in range(COUNT)], rows()), vectors())
        yield catalog, Searcher(catalog, open_live_index(catalog), no_encoder)


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[tuple[CatalogStore, Searcher]]:
    """Return a small shop that a test may change; `add` new items through the searcher's index."""
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        catalog.bind_encoder("test:raw", "test:raw@32", 32)
        catalog.store(raw_items([f"{n:05d}" for n in range(400)], rows(400)), vectors(400))
        yield catalog, Searcher(catalog, open_live_index(catalog), no_encoder)


def small(folder: Path, metadata: list[dict[str, Any]]) -> CatalogStore:
    catalog = CatalogStore.open(folder / "catalog", create=True)
    catalog.bind_encoder("test:raw", "test:raw@8", 8)
    names = [str(n) for n in range(len(metadata))]
    catalog.store(raw_items(names, metadata), clustered(len(metadata), 8))
    return catalog


def ask(**options: Any) -> Query:
    return replace(Query.of(item="00001", n=20), **options)


def ids(result: SearchResult) -> list[str]:
    return [hit.item_id for hit in result.hits]


def pages(searcher: Searcher, query: Query, most: int = 200) -> list[SearchResult]:
    found = [searcher.search(query)]
    while found[-1].cursor and len(found) < most:
        found.append(searcher.search(replace(query, cursor=found[-1].cursor)))
    return found


# --- sort -------------------------------------------------------------------------------------------------------


def test_the_cheapest_first_are_look_alikes_and_no_unrelated_items(shop: Any) -> None:
    catalog, searcher = shop
    every = searcher.search(ask(n=COUNT))
    result = searcher.search(ask(sort=(Sort("price"),), n=500))
    assert result.total == len(result.hits)
    own = catalog.vectors(np.array([catalog.get("00001").key], np.uint64))[0]
    cluster = catalog.vectors(catalog.keys()) @ own > 0.55
    assert 0.5 * cluster.sum() < len(result.hits) < 1.5 * cluster.sum()
    assert set(ids(result)) == {hit.item_id for hit in every.hits[: len(result.hits)]}
    prices = [hit.metadata.get("price") for hit in result.hits]
    known = [price for price in prices if price is not None]
    assert known == sorted(known)
    assert prices[: len(known)] == known


def test_a_sort_may_be_descending_by_several_columns_with_likeness_as_the_tie_break(shop: Any) -> None:
    _, searcher = shop
    result = searcher.search(ask(sort=(Sort("brand", True), Sort("price")), n=500))
    order = [(hit.metadata["brand"], hit.metadata.get("price") or 1e9, -hit.score) for hit in result.hits]
    assert [brand for brand, *_ in order] == sorted((brand for brand, *_ in order), reverse=True)
    for brand in {brand for brand, *_ in order}:
        of_brand = [rest for name, *rest in order if name == brand]
        assert of_brand == sorted(of_brand)


def test_missing_values_are_last_in_both_directions(tmp_path: Path) -> None:
    with closing(small(tmp_path, [{"price": price} for price in (1.0, None, 1.0, 2.0)])) as catalog:
        keys = catalog.keys()[[1, 0, 3, 2]]
        for descending, order in ((False, [1, 3, 2, 0]), (True, [2, 1, 3, 0])):
            places = sorted_places(catalog.metadata, keys, (Sort("price", descending),))
            assert places.tolist() == order


def test_near_duplicates_of_a_shown_hit_are_on_no_later_page(tmp_path: Path) -> None:
    with closing(small(tmp_path, [{"product_id": f"P{n // 3}"} for n in range(60)])) as catalog:
        searcher = Searcher(catalog, open_live_index(catalog), no_encoder)
        found = pages(searcher, replace(Query.of(item="0", n=4), duplicates="collapse"))
        products = [hit.metadata["product_id"] for page in found for hit in page.hits]
        assert len(products) == len(set(products)) == 20


def test_pages_by_offset_of_a_sorted_result_are_its_parts(shop: Any) -> None:
    _, searcher = shop
    whole = ids(searcher.search(ask(sort=(Sort("price"),), n=60)))
    parts = [ids(searcher.search(ask(sort=(Sort("price"),), n=20, offset=start))) for start in (0, 20, 40)]
    assert [item for part in parts for item in part] == whole


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sort": (Sort("prise"),)}, "sort names 'prise'"),
        ({"group_by": "brant"}, "group_by names 'brant'"),
        ({"facets": ("color",)}, "facets names 'color'"),
        ({"fields": ("color",)}, "fields names 'color'"),
        ({"boosts": (Boost("pop", 1.0),)}, "boost names 'pop'"),
        ({"boosts": (Boost("title", 1.0),)}, "holds text values"),
    ],
)
def test_an_option_that_names_no_fitting_column_is_refused_in_a_sentence(
    shop: Any, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(QueryError, match=named):
        shop[1].search(ask(**options))


# --- facets, groups, boosts, stock -------------------------------------------------------------------------------


def test_facets_count_what_passes_the_filters_but_not_against_their_own_column(shop: Any) -> None:
    catalog, searcher = shop
    filters = parse_filters(["brand=brand 3", "price<100"])
    found = searcher.search(ask(facets=("brand", "price"), filters=filters)).facets
    assert [facet.column for facet in found] == ["brand", "price"]
    counts = {each.value: each.count for each in found[0].values}
    assert counts == {
        f"brand {n}": catalog.metadata.count(parse_filters([f"brand=brand {n}", "price<100"]))
        for n in range(7)
    }
    assert {facet.column for facet in searcher.search(ask(facets=("*",))).facets} == set(
        catalog.metadata.columns
    )


def test_each_group_has_one_hit_its_best_with_the_number_of_others(shop: Any) -> None:
    _, searcher = shop
    every = searcher.search(ask(n=COUNT))
    best: dict[str, str] = {}
    for hit in every.hits:
        best.setdefault(hit.metadata["product"], hit.item_id)
    result = searcher.search(ask(group_by="product", n=100))
    assert ids(result) == list(best.values())[:100]
    assert all(hit.group == hit.metadata["product"] for hit in result.hits)
    # The item itself is no hit, and so none of the others of its product.
    assert {hit.others for hit in result.hits if hit.group != "P0"} == {3}


def test_the_others_of_a_group_are_those_that_pass_the_filters(shop: Any) -> None:
    _, searcher = shop
    result = searcher.search(ask(group_by="product", filters=parse_filters(["price<250"]), n=30))
    for hit in result.hits:
        passing = parse_filters([f"product={hit.group}", "price<250"])
        assert hit.others == searcher.catalog.metadata.count(passing) - 1 - (hit.group == "P0")


def test_a_boost_moves_hits_by_percentile_and_says_so_while_the_score_stays_the_cosine(shop: Any) -> None:
    _, searcher = shop
    plain = {hit.item_id: hit.score for hit in searcher.search(ask(n=COUNT)).hits}
    result = searcher.search(ask(boosts=(Boost("popularity", 1.0),), n=50))
    values = [hit.score + sum(hit.boosts.values()) for hit in result.hits]
    assert values == sorted(values, reverse=True)
    assert all(hit.score == pytest.approx(plain[hit.item_id], abs=1e-6) for hit in result.hits)
    up, down = (
        np.mean([hit.metadata["popularity"] > 1 for hit in searcher.search(ask(boosts=(boost,))).hits])
        for boost in (Boost("popularity", 2.0), Boost("popularity", -2.0))
    )
    assert up == 1
    assert down == 0


def test_a_missing_value_is_neutral(shop: Any) -> None:
    _, searcher = shop
    result = searcher.search(ask(boosts=(Boost("price", 0.1),), n=500))
    missing = [hit for hit in result.hits if "price" not in hit.metadata]
    assert missing
    assert all(hit.boosts == {"price": 0.0} for hit in missing)


def test_in_stock_fills_the_first_page_where_few_items_are_in_stock(shop: Any) -> None:
    catalog, searcher = shop
    result = searcher.search(ask(in_stock=True, n=24))
    assert len(result.hits) == 24
    assert all(hit.metadata["availability"] == "in stock" for hit in result.hits)
    assert result.matching == catalog.metadata.count(parse_filters(["availability=in stock"]))


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("In_Stock", [True, False, None], ["0"]),
        ("quantity", [3, 0, None], ["0"]),
        ("Availability", ["IN_STOCK", "preorder", None], ["0"]),
        ("stock_status", ["instock", "onbackorder", "outofstock"], ["0"]),
    ],
)
def test_stock_is_recognised_in_the_forms_that_shops_have(
    tmp_path: Path, column: str, values: list[Any], expected: list[str]
) -> None:
    stored = [{"n": float(n)} | ({} if value is None else {column: value}) for n, value in enumerate(values)]
    with small(tmp_path, [*stored, {"n": 9.0}]) as catalog:
        searcher = Searcher(catalog, open_live_index(catalog), no_encoder)
        assert len(ids(searcher.search(Query.of(item="3")))) == 3
        assert ids(searcher.search(replace(Query.of(item="3"), in_stock=True))) == expected


def test_stock_without_a_column_for_it_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with small(tmp_path, [{}, {}]) as catalog:
        searcher = Searcher(catalog, open_live_index(catalog), no_encoder)
        with pytest.raises(QueryError, match="IMGSEARCH_AVAILABILITY_COLUMN"):
            searcher.search(replace(Query.of(item="0"), in_stock=True))


def test_fields_choose_the_columns_that_are_shown_and_keep_the_title(shop: Any) -> None:
    result = shop[1].search(ask(fields=("Price", "brand"), n=3))
    for hit in result.hits:
        assert set(result.shown_metadata(hit)) <= {"price", "brand"}
        assert hit.title.startswith("thing")
    nothing = shop[1].search(ask(fields=(), n=3))
    assert all(nothing.shown_metadata(hit) == {} for hit in nothing.hits)


# --- cursors ----------------------------------------------------------------------------------------------------

ORDERS: dict[str, dict[str, Any]] = {
    "by likeness": {},
    "sorted": {"sort": (Sort("price"),)},
    "grouped": {"group_by": "product"},
    "boosted": {"boosts": (Boost("popularity", 0.5),)},
    "diverse": {"diversity": 0.4},
    "filtered": {"filters": parse_filters(["price>50"])},
    "sorted groups": {"group_by": "product", "sort": (Sort("price", True),)},
}


@pytest.mark.parametrize("options", ORDERS.values(), ids=ORDERS.keys())
def test_pages_by_cursor_are_the_whole_result_where_nothing_changes(shop: Any, options: Any) -> None:
    _, searcher = shop
    found = pages(searcher, ask(**options), most=8)
    shown = [hit for result in found for hit in result.hits]
    whole = searcher.search(ask(**options, n=160)).hits
    if "diversity" in options:
        assert len({hit.item_id for hit in shown}) == len(shown)
    else:
        assert [hit.item_id for hit in shown] == [hit.item_id for hit in whole][: len(shown)]
    assert [hit.rank for hit in shown] == list(range(1, len(shown) + 1))
    assert len(shown) == min(160, len(whole))
    assert len({result.total for result in found}) == 1


@pytest.mark.parametrize("options", ORDERS.values(), ids=ORDERS.keys())
def test_no_hit_is_repeated_or_left_out_while_items_are_added_changed_and_removed(
    changing: tuple[CatalogStore, Searcher], options: Any
) -> None:
    catalog, searcher = changing
    rng = np.random.default_rng(8)
    query = ask(**options, n=25)
    expected = set(ids(searcher.search(replace(query, n=400))))
    groups = {item.item_id: str(item.metadata["product"]) for item in catalog.iter_items()}
    touched, shown, cursor = set(), [], ""
    for step in range(60):
        result = searcher.search(replace(query, cursor=cursor))
        shown += result.hits
        cursor = result.cursor
        if not cursor:
            break
        living = [item.item_id for item in catalog.iter_items()]
        some = [str(item_id) for item_id in rng.choice([one for one in living if one != "00001"], 6, False)]
        searcher.index.remove(catalog.remove(some[:2]))
        catalog.update_metadata(
            [
                relabelled(one, {**catalog.get(one).metadata, "price": float(rng.integers(60, 500))})
                for one in some[2:4]
            ]
        )
        again = some[4:]  # with the same photo under a new key
        photos = raw_items(again, [dict(catalog.get(one).metadata) for one in again])
        keep = catalog.vectors(np.array([catalog.get(one).key for one in again], np.uint64))
        new = raw_items([f"new {step}"], [{"price": 99.0, "product": f"new {step}", "popularity": 1.0}])
        keys, former = catalog.store(photos + new, np.concatenate([keep, vectors(1)]))
        searcher.index.remove(former)
        searcher.index.add(keys, catalog.vectors(keys))
        touched |= set(some[:2]) | (set(some) if options else set())
    found = [hit.item_id for hit in shown]
    assert len(set(found)) == len(found)
    if "group_by" in options:
        values = [hit.group for hit in shown]
        assert len(set(values)) == len(values)
        left_out = {groups[one] for one in expected - touched} - {str(value) for value in values}
    else:
        left_out = expected - touched - set(found)
    # The level of look-alikes stays that of the first page; what left it by changing is not left out by the cursor.
    assert not left_out


def test_a_cursor_of_another_search_or_a_forged_one_is_refused_in_a_sentence(shop: Any) -> None:
    _, searcher = shop
    cursor = searcher.search(ask()).cursor
    with pytest.raises(QueryError, match="another search"):
        searcher.search(ask(cursor=cursor, filters=parse_filters(["price<100"])))
    assert ids(searcher.search(ask(cursor=cursor, n=5, fields=("price",))))
    data = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    rng = np.random.default_rng(1)
    hostile = ["a", "=", "é", "A" * 4000, cursor[:-3], cursor + "AAAA", "%00", "../../etc"]
    for _ in range(60):
        changed = bytearray(data)
        changed[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
        hostile.append(base64.urlsafe_b64encode(bytes(changed)).decode())
    for text in hostile:
        with pytest.raises(QueryError, match=r"^This cursor is .*\.$"):
            searcher.search(ask(cursor=text))
    with pytest.raises(QueryError, match="offset"):
        ask(cursor=cursor, offset=5)


def test_a_cursor_ends_after_a_thousand_hits_and_is_short_enough_for_an_address(shop: Any) -> None:
    found = pages(shop[1], ask(n=200), most=50)
    assert sum(len(result.hits) for result in found) == MAX_SHOWN
    assert max(len(result.cursor) for result in found) < 8000


# --- addresses --------------------------------------------------------------------------------------------------


def test_shop_options_survive_an_address_and_do_not_change_the_key_of_a_query() -> None:
    query = ask(
        sort=(Sort("size, EU"), Sort('a "b"', True)),
        group_by="product",
        boosts=(Boost("pop:ular", -0.25),),
        facets=("*",),
        fields=(),
        min_confidence="fair",
        cursor="abc",
    )
    assert query_from_params(query_to_params(query)) == query
    assert query_key(query) == query_key(ask())
    assert query_key(ask(in_stock=True)) == "item=00001&in_stock=true"
    assert set(query_to_params(Query.of(text="x"))) == {"text", "n"}


@pytest.mark.parametrize(
    "params",
    [
        {"sort": ["-"]}, {"boost": ["popularity"]}, {"boost": ["popularity:much"]}, {"boost": ["popularity:0"]},
        {"boost": ["popularity:9"]}, {"in_stock": ["maybe"]}, {"min_confidence": ["high"]}, {"sort": ['"a']},
        {"sort": [",".join(f"c{n}" for n in range(9))]}, {"cursor": ["x" * 20_000]},
    ],
)  # fmt: skip
def test_options_that_are_not_understood_are_refused_in_a_sentence(params: dict[str, list[str]]) -> None:
    with pytest.raises(QueryError, match=r"^[^\n]{10,400}\.$"):
        query_from_params({"item": ["1"], **params})


def test_the_cursor_of_a_start_has_shown_nothing() -> None:
    assert Cursor.start(7).shown == 0
    assert Cursor.of(Query((Term("item", "1"),))) is None


def test_a_filter_on_an_unknown_column_is_still_a_filter_error(shop: Any) -> None:
    with pytest.raises(FilterError):
        shop[1].search(ask(filters=parse_filters(["nope=1"])))
