"""Re-ranking: emphasised items rank first, collapsed items are listed, and N hits are returned if N exist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from samples import clustered, raw_items

from imgsearch.core.errors import QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Emphasis, Query, Term
from imgsearch.core.records import SearchResult
from imgsearch.index.opening import open_live_index
from imgsearch.search.ranking.duplicates import Duplicates
from imgsearch.search.ranking.reranking import by_value, diversify, look_target
from imgsearch.search.ranking.rules import Rule
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.looks import COLOR, LOOK_DIM, color_look, describe

COLORS = ("#c81e28", "#1e50c8", "#14a03c", "#e6c814")
COUNT = 4000


def picture(color: str, seed: int) -> Image.Image:
    image = Image.new("RGB", (96, 96), "white")
    offset = seed % 12
    ImageDraw.Draw(image).ellipse((16 + offset, 20, 70 + offset, 76), fill=color)
    return image


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CatalogStore, Searcher]]:
    """Return 4,000 clustered vectors without colour information, their looks, and 1,000 products of four photos."""
    rows = [{"product_id": f"p{n // 4}", "half": n % 2, "few": n % 97} for n in range(COUNT)]
    looks = [describe(picture(COLORS[n], 0)) for n in range(len(COLORS))]
    with CatalogStore.open(tmp_path_factory.mktemp("reranking") / "c", create=True) as catalog:
        catalog.bind_encoder("colours", "colours@1", 32)
        items = raw_items([f"{n:05d}" for n in range(COUNT)], rows)
        keys, _ = catalog.store(items, clustered(COUNT, 32, clusters=40))
        catalog.looks.store(keys, [looks[n % len(looks)] for n in range(COUNT)])
        index = open_live_index(catalog)
        yield catalog, Searcher(catalog, index, lambda: pytest.fail("no encoder is needed"))


def ids(result: SearchResult) -> list[str]:
    return [hit.item_id for hit in result.hits]


def colors_of(result: SearchResult) -> list[int]:
    return [int(hit.item_id) % len(COLORS) for hit in result.hits]


ITEM = Query.of(item="00008", n=24)


def test_stronger_emphasis_on_colour_ranks_the_same_colour_higher(shop: Any) -> None:
    _, searcher = shop
    same = [
        colors_of(searcher.search(replace(ITEM, emphasis=Emphasis(color=strength)))).count(0)
        for strength in (0.0, 0.3, 1.0)
    ]
    assert same[0] < 12 < same[2]
    assert same == sorted(same)


def test_same_colour_excludes_other_colours_and_still_fills_the_page(shop: Any) -> None:
    _, searcher = shop
    result = searcher.search(replace(ITEM, n=300, same_color=True))
    assert len(result.hits) == 300
    assert set(colors_of(result)) == {0}


def test_a_colour_query_finds_its_items_and_a_negative_colour_demotes_them(shop: Any) -> None:
    _, searcher = shop
    blue = searcher.search(Query((Term("color", COLORS[1]),), n=50))
    assert set(colors_of(blue)) == {1}
    avoided = searcher.search(replace(ITEM, terms=(*ITEM.terms, Term("color", COLORS[0], -1.0))))
    assert colors_of(avoided).count(0) < colors_of(searcher.search(ITEM)).count(0) or 0 not in colors_of(
        avoided
    )
    with pytest.raises(QueryError, match="avoid"):
        searcher.search(Query((Term("color", COLORS[1], -1.0),)))


def test_pages_of_a_reordered_query_neither_overlap_nor_leave_gaps(shop: Any) -> None:
    _, searcher = shop
    query = replace(ITEM, emphasis=Emphasis(0.5, 0.2, 0.1), duplicates="collapse", diversity=0.3)
    whole = ids(searcher.search(replace(query, n=72)))
    pages = [ids(searcher.search(replace(query, n=24, offset=offset))) for offset in (0, 24, 48)]
    assert [item_id for page in pages for item_id in page] == whole


def test_photos_of_one_product_collapse_into_one_hit_that_lists_the_others(shop: Any) -> None:
    catalog, searcher = shop
    result = searcher.search(replace(ITEM, n=100, duplicates="collapse"))
    products = [int(item_id) // 4 for item_id in ids(result)]
    assert len(result.hits) == len(set(products)) == 100
    assert any(hit.also for hit in result.hits)
    for hit in result.hits:
        assert {int(other) // 4 for other in hit.also} <= {int(hit.item_id) // 4}
    assert len(Duplicates(catalog).groups()) == COUNT


@pytest.mark.parametrize("filters", [(), ("half=1",), ("few=5",), ("half=0", "few<10")])
def test_all_options_combined_return_n_hits_if_n_exist(shop: Any, filters: tuple[str, ...]) -> None:
    catalog, searcher = shop
    given = parse_filters(list(filters))
    terms = (
        Term("item", "00008"),
        Term("item", "00100", 0.6),
        Term("item", "02222", -0.4),
        Term("color", COLORS[2], 0.5),
    )
    query = Query(
        terms, n=200, filters=given, emphasis=Emphasis(0.4, 0.2, 0.2), duplicates="collapse", diversity=0.2
    )
    left = {
        int(item.item_id) // 4
        for item in catalog.by_keys(catalog.metadata.keys_matching(given))
        if int(item.item_id) not in (8, 100, 2222)
    }
    result = searcher.search(query)
    assert len(result.hits) == min(200, len(left))
    assert len(set(ids(result))) == len(result.hits)


def test_rules_hide_pin_and_boost_hits(shop: Any) -> None:
    searcher = shop[1]
    rules = searcher.rules
    before = ids(searcher.search(ITEM))
    hidden = rules.save(Rule(action="hide", item_ids=(before[0],)), author="ann")
    pinned = rules.save(Rule(action="pin", item_ids=("03999",)), author="ann")
    try:
        result = ids(searcher.search(ITEM))
        assert before[0] not in result
        assert result[0] == "03999"
        assert result[1:] == before[1:24]
    finally:
        rules.switch(hidden.rule_id, on=False, author="ann")
        rules.switch(pinned.rule_id, on=False, author="ann")
    assert ids(searcher.search(ITEM)) == before


def test_diversity_keeps_the_best_hit_first_and_diversifies_the_rest() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 2, 3]]
    order = diversify(rows, np.linspace(1, 0, 6, dtype=np.float32), 0.8, 4).tolist()
    assert order[0] == 0
    assert set(order[1:4]) == {3, 4, 5}
    assert sorted(order) == list(range(6))


def test_ties_keep_their_order() -> None:
    assert by_value(np.array([0.5, 0.5000000001, 0.7], np.float32)).tolist() == [2, 0, 1]


def test_a_named_colour_overrides_the_colour_of_the_photo() -> None:
    photo = describe(picture(COLORS[0], 3)).vector
    wanted = look_target([(COLORS[1], 1.0)], photo[None, :], [1.0], Emphasis())
    assert np.allclose(wanted.look[COLOR], color_look(COLORS[1]), atol=1e-5)
    assert wanted.emphasis.color == 1.0
    assert not look_target([], np.zeros((0, LOOK_DIM), np.float32), [], Emphasis(color=1)).has_color
