"""The item listing: every order by offset and by cursor, while items come and go; words; hostile input."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from samples import clustered, raw_items, relabelled

from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.filter_grammar import parse_filter
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_listing import ItemListing

TITLES = ["Élan vase", "oak Table", "Oak chair", None, "100% linen_sheet", "Zebra", "apple", "x" * 300]
COUNT = 60

MakeCatalog = Callable[..., CatalogStore]


def rows() -> list[dict[str, Any]]:
    return [
        {
            "title": TITLES[place % len(TITLES)],
            "price": None if place % 7 == 0 else float(place * 37 % 11) + 0.1,
            "in_stock": place % 3 == 0,
            "size (>EU)": f"S{place % 5}",
        }
        for place in range(COUNT)
    ]


@pytest.fixture
def shop(make_catalog: MakeCatalog) -> CatalogStore:
    """Return a catalog of 60 items with gaps, ties and long texts."""
    return make_catalog(clustered(COUNT, 8), rows(), [f"Item/{place:03}.jpg" for place in range(COUNT)])


@pytest.fixture
def listing(shop: CatalogStore) -> ItemListing:
    """Return the listing of `shop`."""
    return ItemListing(shop)


def walked(listing: ItemListing, limit: int, **options: Any) -> list[str]:
    ids, cursor = [], ""
    while True:
        page = listing.page(**options, cursor=cursor, limit=limit)
        ids += [item.item_id for item in page.items]
        cursor = page.cursor
        if not cursor:
            return ids


ORDERS: list[list[tuple[str, bool]]] = [
    [],
    [("price", False)],
    [("price", True)],
    [("title", False)],
    [("title", True), ("price", False)],
    [("in_stock", True), ("id", True)],
    [("size (>EU)", False), ("updated", True)],
]


@pytest.mark.parametrize("sort", ORDERS, ids=str)
def test_pages_by_cursor_and_by_offset_hold_every_item_once_in_one_order(
    listing: ItemListing, sort: list[tuple[str, bool]]
) -> None:
    whole = [item.item_id for item in listing.page(sort=sort, limit=1000).items]
    assert len(set(whole)) == COUNT
    assert walked(listing, 7, sort=sort) == whole
    by_offset = [
        item.item_id
        for offset in range(0, COUNT, 7)
        for item in listing.page(sort=sort, offset=offset, limit=7).items
    ]
    assert by_offset == whole
    middle = listing.page(sort=sort, offset=30, limit=5)
    following = listing.page(sort=sort, cursor=middle.cursor, limit=5)
    assert [item.item_id for item in following.items] == whole[35:40]


def test_numbers_and_texts_are_ordered_as_people_do_and_missing_values_come_last(
    listing: ItemListing,
) -> None:
    for descending in (False, True):
        prices = [item.metadata.get("price") for item in listing.page(sort=[("price", descending)]).items]
        known = [price for price in prices if price is not None]
        assert known == sorted(known, reverse=descending)
        assert prices[len(known) :] == [None] * (COUNT - len(known))
    titles = [item.metadata.get("title") for item in listing.page(sort=[("Title", False)]).items]
    assert list(dict.fromkeys(titles)) == [
        "100% linen_sheet",
        "apple",
        "Oak chair",
        "oak Table",
        "x" * 300,
        "Zebra",
        "Élan vase",
        None,
    ]


@pytest.mark.parametrize("sort", ORDERS, ids=str)
def test_a_cursor_skips_and_repeats_nothing_while_items_come_and_go(
    shop: CatalogStore, listing: ItemListing, sort: list[tuple[str, bool]]
) -> None:
    whole = [item.item_id for item in listing.page(sort=sort, limit=1000).items]
    first = listing.page(sort=sort, limit=20)
    # The last item of the page, one before it and one after it go; two come.
    gone = {whole[19], whole[3], whole[30]}
    shop.remove(sorted(gone))
    shop.store(raw_items(["new/1.jpg", "new/2.jpg"], [{"price": 0.0}, {"title": "zz"}]), clustered(2, 8))
    rest, cursor = [], first.cursor
    while cursor:
        page = listing.page(sort=sort, cursor=cursor, limit=9)
        rest += [item.item_id for item in page.items]
        cursor = page.cursor
    kept = [item_id for item_id in rest if not item_id.startswith("new/")]
    assert kept == [item_id for item_id in whole[20:] if item_id not in gone]
    assert page.total == COUNT - 3 + 2


def test_words_are_found_in_ids_and_texts_whatever_their_case_and_signs(
    shop: CatalogStore, listing: ItemListing
) -> None:
    def found(search: str, **options: Any) -> set[str | None]:
        page = listing.page(search=search, limit=1000, **options)
        assert page.total == len(page.items) == len(listing.keys(search=search, **options))
        return {item.metadata.get("title") for item in page.items}

    assert found("OAK") == {"oak Table", "Oak chair"}
    assert found("chair oak") == {"Oak chair"}
    assert found("élan") == {"Élan vase"}
    assert found("100%") == found("n_s") == {"100% linen_sheet"}
    assert found("%") == {"100% linen_sheet"}
    assert found("'; DROP TABLE items; --") == set()
    assert found("item/007") == {"x" * 300}
    assert found("oak s3", filters=parse_filter("in_stock=true")) <= {"oak Table", "Oak chair"}
    assert len(listing.page(search="item/", sort=[("price", True)], offset=50).items) == 10
    shop.update_metadata([relabelled("Item/000.jpg", {"title": "New oak bench"})])
    assert "New oak bench" in found("oak"), "a change is listed at once"


def test_filters_count_and_list_the_same_items(listing: ItemListing) -> None:
    filters = parse_filter("price<5")
    page = listing.page(filters, sort=[("price", False)], limit=4)
    assert page.total == len(walked(listing, 4, filters=filters)) == len(listing.keys(filters))
    assert all(item.metadata["price"] < 5 for item in page.items)
    assert listing.page(filters, offset=10_000).items == ()


def test_an_empty_catalog_has_an_empty_list(make_catalog: MakeCatalog) -> None:
    page = ItemListing(make_catalog(np.zeros((0, 8), np.float32))).page(sort=[("id", False)])
    assert (page.items, page.cursor, page.total) == ((), "", 0)


def test_without_a_title_column_titles_are_sorted_by_id(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(3, 8), [{"price": 1.0}] * 3, ["b.jpg", "C.jpg", "a.jpg"])
    page = ItemListing(catalog).page(sort=[("title", False)])
    assert [item.item_id for item in page.items] == ["a.jpg", "b.jpg", "C.jpg"]


def changed_cursors(cursor: str) -> Sequence[str]:
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    numbers = [text.replace(",", ",-", 1), text[:-1] + ",1]", "[" * 20_000, "{}", "[]", "null", "é"]
    return [base64.urlsafe_b64encode(each.encode()).decode() for each in numbers] + ["x", "é", "A" * 20_000]


def test_bad_requests_are_refused_with_a_sentence(listing: ItemListing) -> None:
    cursor = listing.page(sort=[("price", False)], limit=5).cursor
    for changed in changed_cursors(cursor):
        with pytest.raises(QueryError, match=r"cursor"):
            listing.page(sort=[("price", False)], cursor=changed)
    forged = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().replace('"0.1"', '"x"')
    page = listing.page(sort=[("price", False)], cursor=base64.urlsafe_b64encode(forged.encode()).decode())
    assert all("price" not in item.metadata for item in page.items), "no number comes after one that is none"
    with pytest.raises(QueryError, match="another list"):
        listing.page(sort=[("price", True)], cursor=cursor)
    with pytest.raises(QueryError, match=r"no column 'c0; DROP'.* has: title, "):
        listing.page(sort=[("c0; DROP", False)])
    with pytest.raises(QueryError, match="at most 8 columns"):
        listing.page(sort=[("price", False)] * 9)
    with pytest.raises(QueryError, match="at most 12"):
        listing.page(search=" ".join(f"w{place}" for place in range(13)))
    with pytest.raises(QueryError, match="shorten"):
        listing.page(search="a" * 401)
    with pytest.raises(FilterError):
        listing.page(parse_filter("nothing=1"))
