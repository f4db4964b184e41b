"""Collections: permissions, contents, hostile names, recent searches, and complete deletion of a visitor's data."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from imgsearch.cli.main import app
from imgsearch.core.errors import CollectionError, FilterError, QueryError, UnknownCollection, UnknownItem
from imgsearch.core.query import Query, Term
from imgsearch.core.records import Hit, Item, SearchResult
from imgsearch.improve.monitoring.retention import forget_visitor, rows_of_visitor
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.collections import (
    MAX_NAME,
    MAX_SET_TERMS,
    Collections,
    collection_csv,
    compare,
    set_query,
)
from imgsearch.store.feedback import FeedbackLog

ANNA, BEN = "a" * 32, "b" * 32
MUGS = ["mug/red-0.jpg", "mug/blue-0.jpg", "mug/green-0.jpg"]


@pytest.fixture
def collections(catalog: CatalogStore) -> Collections:
    return Collections(catalog)


def test_a_collection_keeps_items_and_searches_in_the_order_saved(collections: Collections) -> None:
    made = collections.create("Mugs", ANNA, MUGS[:2], ["text=red+mug"])
    again = collections.add(made.id, ANNA, [MUGS[2], MUGS[0]], ["text=red+mug", "item=mug%2Fred-0.jpg"])
    assert again.items == tuple(MUGS)
    assert again.queries == ("text=red+mug", "item=mug%2Fred-0.jpg")
    fewer = collections.discard(made.id, ANNA, [MUGS[0], "not in it"], ["text=red+mug"])
    assert fewer.items == (MUGS[1], MUGS[2])
    assert fewer.queries == ("item=mug%2Fred-0.jpg",)
    back = collections.add(made.id, ANNA, [MUGS[0]])
    assert back.items == (MUGS[1], MUGS[2], MUGS[0]), "what comes back comes last"
    assert collections.get(made.id) == back


def test_collection_ids_are_unguessable_and_only_the_owner_may_edit(collections: Collections) -> None:
    made = collections.create("Mugs", ANNA, MUGS)
    assert len(made.id) == 32
    assert collections.get(made.id).items == tuple(MUGS), "everyone with the link may read"
    for act in (
        lambda visitor: collections.add(made.id, visitor, ["ring/red-0.jpg"]),
        lambda visitor: collections.discard(made.id, visitor, MUGS),
        lambda visitor: collections.rename(made.id, visitor, "Mine"),
        lambda visitor: collections.remove(made.id, visitor),
    ):
        for stranger in (BEN, ""):
            with pytest.raises(CollectionError, match="another visitor"):
                act(stranger)
    assert collections.get(made.id) == made
    assert collections.of(BEN) == []
    assert collections.of("") == []
    assert ANNA not in str(made.as_dict())


def test_renaming_keeps_the_link_and_removal_invalidates_it(collections: Collections) -> None:
    made = collections.create("Mugs", ANNA, MUGS)
    assert collections.rename(made.id, ANNA, "  Cups   of mine ").name == "Cups of mine"
    collections.remove(made.id, ANNA)
    assert collections.of(ANNA) == []
    with pytest.raises(UnknownCollection):
        collections.get(made.id)
    assert collections.create("Cups of mine", ANNA).id != made.id, "its name is free again"


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * (MAX_NAME + 1), "a\u202eb", "a\x00b", "\ud800", None, 5, "mugs"]
)
def test_an_invalid_name_creates_no_collection(collections: Collections, name: str) -> None:
    collections.create("Mugs", ANNA)
    with pytest.raises(CollectionError):
        collections.create(name, ANNA, MUGS)
    assert [each.name for each in collections.of(ANNA)] == ["Mugs"]


@pytest.mark.parametrize("name", ["'; DROP TABLE items; --", "<script>alert(1)</script>", "Küche ☕"])
def test_a_hostile_name_is_stored_as_plain_text(
    collections: Collections, catalog: CatalogStore, name: str
) -> None:
    assert collections.get(collections.create(name, ANNA, MUGS).id).name == name
    assert len(catalog) == 48


def test_a_collection_with_an_invalid_part_is_not_created(collections: Collections) -> None:
    with pytest.raises(UnknownItem):
        collections.create("One", ANNA, [*MUGS, "no-such-photo.jpg"])
    with pytest.raises(FilterError):
        collections.create("Two", ANNA, MUGS, ["item=a.jpg&filter=%3C%3C"])
    with pytest.raises(QueryError):
        collections.create("Three", ANNA, MUGS, [""])
    with pytest.raises(CollectionError):
        collections.create("Four", "", MUGS)
    with pytest.raises(UnknownCollection):
        collections.get("\ud800")
    assert collections.all() == []


def test_two_visitors_may_use_the_same_name(collections: Collections) -> None:
    collections.create("Mugs", ANNA, MUGS[:1])
    collections.create("Mugs", BEN, MUGS[1:])
    assert [each.items for each in collections.of(ANNA)] == [(MUGS[0],)]
    assert len(collections.all()) == 2


def test_a_comparison_returns_the_shared_items(collections: Collections) -> None:
    first = collections.create("One", ANNA, MUGS[:2])
    second = collections.create("Two", ANNA, MUGS[1:])
    found = compare(first, second)
    assert (found.only_first, found.both, found.only_second) == ((MUGS[0],), (MUGS[1],), (MUGS[2],))


def test_a_search_by_a_set_uses_all_items_of_a_small_set_and_a_sample_of_a_large_one() -> None:
    assert [term.value for term in set_query(MUGS).terms] == MUGS
    many = [f"{number}.jpg" for number in range(1000)]
    chosen = [str(term.value) for term in set_query(many).terms]
    assert len(chosen) == MAX_SET_TERMS == len(set(chosen))
    assert max(int(each.removesuffix(".jpg")) for each in chosen) > 900


def test_the_table_of_a_collection_is_safe_to_open_in_a_spreadsheet(
    collections: Collections, catalog: CatalogStore
) -> None:
    made = collections.create("Mugs", ANNA, MUGS[:1], ["text=red+mug"])
    item = catalog.get(MUGS[0])
    hostile = Item(item.item_id, item.key, item.location, {"title": "=cmd()", "price": -3.5})
    rows = list(csv.DictReader(io.StringIO(collection_csv(made, [hostile], ["price"]))))
    assert [(row["kind"], row["id"], row["title"], row["price"]) for row in rows] == [
        ("item", MUGS[0], "'=cmd()", "-3.5"),
        ("query", "text=red+mug", "", ""),
    ]


def record(log: FeedbackLog, address: str, text: str, visitor: str, *, hits: int = 1) -> None:
    found = tuple(Hit(MUGS[place], place + 1, 0.5, place, "") for place in range(hits))
    result = SearchResult(
        Query((Term("text", text),)), found, "test", 1, hits, {"total": 1.0}, f"{address} {visitor}"
    )
    log.record_impressions(result, address, visitor=visitor)
    log.flush()


def test_recent_searches_are_private_to_each_visitor_and_can_be_cleared(
    collections: Collections, catalog: CatalogStore
) -> None:
    log = FeedbackLog(catalog.database)
    for text in ("red", "blue", "red"):
        record(log, f"text={text}", text, ANNA, hits=2)
    record(log, "text=nothing", "nothing", ANNA, hits=0)
    record(log, "text=secret", "secret", BEN)
    assert [each.address for each in collections.recents(ANNA)] == ["text=nothing", "text=red", "text=blue"]
    assert [each.address for each in collections.recents(ANNA, 1)] == ["text=nothing"]
    assert collections.recents("") == []
    collections.clear_recents(ANNA)
    assert collections.recents(ANNA) == []
    record(log, "text=green", "green", ANNA)
    assert [each.address for each in collections.recents(ANNA)] == ["text=green"]
    assert [each.address for each in collections.recents(BEN)] == ["text=secret"]
    log.close()


def test_forgetting_a_visitor_deletes_their_collections_and_pictures_only(
    collections: Collections, catalog: CatalogStore
) -> None:
    upload = "c" * 32
    gone = collections.create("Mine", ANNA, MUGS, [f"upload={upload}"])
    kept = collections.create("Hers", BEN, MUGS)
    collections.clear_recents(ANNA)
    forgotten = forget_visitor(catalog.database, ANNA)
    assert forgotten.uploads == (upload,)
    assert {"collection_acts", "collection_entries", "recents_cleared"} <= set(forgotten.rows)
    assert rows_of_visitor(catalog.database, ANNA) == {}
    with pytest.raises(UnknownCollection):
        collections.get(gone.id)
    assert collections.get(kept.id) == kept


def test_the_command_creates_lists_and_exports_collections(
    colour_catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> str:
        app(["collection", *words, "--catalog", str(colour_catalog)], standalone_mode=False)
        return capsys.readouterr().out

    made = json.loads(run("create", "Küche", *MUGS[:2], "--json"))
    assert made["items"] == MUGS[:2]
    assert [each["id"] for each in json.loads(run("list", "--json"))] == [made["id"]]
    assert "Küche" in run("list")
    rows = list(csv.DictReader(io.StringIO(run("export", made["id"]))))
    assert [(row["id"], row["colour"]) for row in rows] == [(MUGS[0], "red"), (MUGS[1], "blue")]
    with pytest.raises(UnknownItem):
        run("create", "Other", "no-such-photo.jpg")
    with pytest.raises(UnknownCollection):
        run("export", "0" * 32)
