"""The Milvus engine and the shared index, on a real Milvus Lite; skipped if its packages are not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import test_indexes
from samples import clustered, raw_items, relabelled

from imgsearch.core.errors import ConfigError, FilterError, IndexCorrupt, IndexUnavailable
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Filter, Query, Term
from imgsearch.index.base import Vectors
from imgsearch.index.opening import check_index, open_live_index
from imgsearch.search import candidates
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore

pytest.importorskip("pymilvus", reason="needs the extra milvus")
pytest.importorskip("milvus_lite", reason="needs milvus-lite, a Milvus in a file")

from imgsearch.index.local_index import LocalIndex
from imgsearch.index.milvus import MilvusAddress, MilvusIndex
from imgsearch.index.milvus_filters import Column, expression, lowered
from imgsearch.index.milvus_index import SharedIndex

DIM = 24


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a Milvus Lite shared by this module, as a start takes a second."""
    return f"milvus://{tmp_path_factory.mktemp('milvus') / 'shop.db'}"


# --- the conformance tests of every engine ----------------------------------------------------------------------


class Collection:
    """A collection of vectors without metadata, for the conformance tests."""

    def __init__(self, address: str, name: str, dim: int) -> None:
        self.name, self.dim = name, dim
        self.store = MilvusIndex(address, name, dim)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        self.store.put(keys, vectors, [{}] * len(keys), [""] * len(keys), new=True)

    def keys(self) -> Keys:
        return self.store.digests()[0]

    def save(self, path: Path) -> None:
        self.store.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def __len__(self) -> int:
        return len(self.store)


@pytest.fixture
def engine(address: str) -> Iterator[test_indexes.Engine]:
    made: list[Any] = []

    def make(dim: int) -> Any:
        made.append(Collection(address, f"conformance_{len(made)}", dim))
        return made[-1]

    def load(path: Path, dim: int) -> Any:
        return Collection(address, made[-1].name, dim)

    yield test_indexes.Engine(make, load)
    for index in made:
        index.store.drop()


OF_FILES = {  # a collection has no file, and its caller tracks which keys are new
    "test_a_file_that_is_missing_or_of_another_dimension_is_corrupt",
    "test_a_duplicate_key_is_refused_and_the_stored_vector_is_unchanged",
}
for _name, _test in list(vars(test_indexes).items()):
    if _name.startswith("test_") and "engine" in signature(_test).parameters and _name not in OF_FILES:
        globals()[_name] = _test


def test_a_collection_of_another_dimension_is_corrupt(engine: test_indexes.Engine, tmp_path: Path) -> None:
    engine.make(DIM)
    with pytest.raises(IndexCorrupt, match=str(DIM * 2)):
        engine.load(tmp_path, DIM * 2)


# --- addresses and expressions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "uri", "database"),
    [
        ("milvus://shop-milvus:19530", "http://shop-milvus:19530", ""),
        ("milvus://shop-milvus", "http://shop-milvus:19530", ""),
        ("milvus://10.0.0.7:1234/shop", "http://10.0.0.7:1234", "shop"),
        ("milvus+tls://cloud.example", "https://cloud.example:19530", ""),
        ("milvus:///data/a%20shop.db", "/data/a shop.db", ""),
        ("milvus://[::1]:19530", "http://[::1]:19530", ""),
    ],
)
def test_an_address_parses_to_uri_and_database(text: str, uri: str, database: str) -> None:
    address = MilvusAddress.parse(text)
    assert (address.uri, address.database) == (uri, database)


@pytest.mark.parametrize(
    "text", ["qdrant://host", "host:19530", "milvus://", "milvus:///data/shop", "milvus://h:x"]
)
def test_an_invalid_address_is_refused_with_the_expected_format(text: str) -> None:
    with pytest.raises(ConfigError, match=r"milvus://|\.db"):
        MilvusAddress.parse(text)


def test_a_password_in_an_address_is_refused_because_the_catalog_stores_addresses() -> None:
    with pytest.raises(ConfigError, match="IMGSEARCH_INDEX_TOKEN") as caught:
        MilvusAddress.parse("milvus://root:secret@host")
    assert "secret" not in str(caught.value)


def test_an_unreachable_address_raises_a_one_sentence_error(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailable, match=r"milvus://127.0.0.1:1 .*--index") as caught:
        MilvusIndex("milvus://127.0.0.1:1", "shop", DIM)
    assert "\n" not in str(caught.value)


COLUMNS = {"title": Column(0, "text"), "price": Column(1, "number"), "in stock": Column(2, "boolean")}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("title=Red Mug", 'row["c0t"] == "red mug"'),
        ("title!=x", 'row["c0t"] != "x"'),
        ("title~50%", 'row["c0t"] like "%50_%"'),
        ("title in a|B", 'row["c0t"] == "a" or row["c0t"] == "b"'),
        ("price<50", 'row["c1n"] < 50.0'),
        ("price in 1|2", 'row["c1n"] == 1.0 or row["c1n"] == 2.0'),
        ("in stock=yes", 'row["c2b"] == true'),
    ],
)
def test_a_filter_becomes_an_expression(filter: str, expected: str) -> None:
    assert expression(parse_filters([filter]), COLUMNS.__getitem__) == (f"({expected})" if expected else "")


def test_the_longest_conditions_are_left_to_the_caller_if_the_expression_is_too_long() -> None:
    many = "|".join(f"{number:03d}" for number in range(990))
    found = expression(parse_filters([f"title in {many}", "price<5"]), COLUMNS.__getitem__)
    assert found == '(row["c1n"] < 5.0)'


def test_a_value_that_does_not_fit_its_column_is_refused() -> None:
    with pytest.raises(FilterError, match="numbers"):
        expression(parse_filters(["price=cheap"]), COLUMNS.__getitem__)


def test_texts_are_lowercased_like_in_the_database(tmp_path: Path) -> None:
    letters = [chr(code) for code in range(1, 0x30000) if not 0xD800 <= code < 0xE000]
    words = [
        "ΣΑΣ",
        "İstanbul",
        "STRASSE ẞ",
        *("".join(letters[n : n + 50]) for n in range(0, len(letters), 50)),
    ]
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        frame = pd.DataFrame({"word": words})
        cursor = catalog.database.cursor()
        cursor.register("words", frame)
        assert [lowered(word) for word in words] == [
            row[0] for row in cursor.execute("SELECT lower(word) FROM words").fetchall()
        ]


# --- the shared index -------------------------------------------------------------------------------------------

HOSTILE = [
    'x" or key >= 0 or "" == "',
    "back\\slash",
    "100%",
    "new\nline",
    "under_score",
    "'single'",
    "\t",
    "ÄÖ",
]


def fill(catalog: CatalogStore, count: int = 400) -> None:
    """Store raw vectors with rows of every metadata type."""
    catalog.bind_encoder("test:raw", f"test:raw@{DIM}", DIM)
    rows: list[dict[str, Any]] = [
        {
            "title": HOSTILE[number % len(HOSTILE)],
            "price": float(number % 50),
            **({"sold": number % 2 == 0} if number % 3 else {}),
            "added": date(2025, 1, 1 + number % 9),
            "sold_at": datetime(2025, 1, 1 + number % 9, 10 * (number % 2)),
            "cost": Decimal(number % 9),
            "cost_currency": ("EUR", "USD")[number % 2],
            "tags": [("round", "oak")[number % 2], "new"],
        }
        for number in range(count)
    ]
    items = raw_items([f"{number:04d}.jpg" for number in range(count)], rows)
    catalog.store(items, clustered(count, DIM))


@pytest.fixture
def shop(address: str, tmp_path: Path) -> Iterator[CatalogStore]:
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        fill(catalog)
        catalog.bind_index(address)
        yield catalog


def no_encoder() -> Any:
    raise AssertionError("no encoder is needed")


def opened(catalog: CatalogStore, **options: Any) -> SharedIndex:
    index = open_live_index(catalog, **options)
    assert isinstance(index, SharedIndex)
    return index


def passing(index: SharedIndex, catalog: CatalogStore, filters: Sequence[Filter]) -> list[int]:
    """Return the keys that pass the filter in Milvus: those found by a search with their own vectors."""
    keys = catalog.keys()
    return [
        int(key)
        for key, vector in zip(keys, catalog.vectors(keys), strict=True)
        if key in index.search(vector, 5, filters=filters)[0]
    ]


def test_a_catalog_with_a_milvus_address_is_indexed_there_and_stores_the_address(
    shop: CatalogStore, address: str
) -> None:
    index = opened(shop)
    assert (len(index), index.generation) == (400, 1)
    assert index.header is not None
    assert index.header.ann_recall_at_10 is not None
    assert index.header.ann_recall_at_10 >= 0.99
    assert not (shop.folder / "index").exists()
    shop.close()
    with CatalogStore.open(shop.folder) as again:
        assert again.index_address == address
        index = opened(again)
        assert (index.generation, check_index(again).items) == (1, 400)
        again.bind_index("local")
        assert type(open_live_index(again)) is LocalIndex
        assert again.settings.get("index_address") == ""


@pytest.mark.parametrize(
    "filters",
    [
        *(
            [f'title="{value}"']
            for value in (text.replace("\\", "\\\\").replace('"', '\\"') for text in HOSTILE)
        ),
        ["title!=100%"],
        ["title~slash"],
        ['title~"\\\\"'],
        ["title~_"],
        ["added>=2025-01-05"],
        ["sold_at=2025-01-03"],
        ["sold_at>2025-01-03T09:00"],
        ["cost<3 EUR"],
        ["tags=round"],
        ["price=10..20"],
        ["price in 1|2|3"],
        ["sold=true"],
        ["sold!=true", "price<25"],
        ["TITLE=äö"],
    ],
)
def test_milvus_returns_every_item_that_passes_the_filters(shop: CatalogStore, filters: list[str]) -> None:
    parsed = parse_filters(filters)
    wanted, found = shop.metadata.keys_matching(parsed).tolist(), passing(opened(shop), shop, parsed)
    assert len(wanted) > 0
    assert set(wanted) <= set(found)
    if not any("~" in text for text in filters):
        assert len(found) < 400


def test_filtered_milvus_searches_return_the_hits_of_exact_search(
    shop: CatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = parse_filters(["title in 100%|under_score", "price<30"])
    query = Query((Term("item", "0007.jpg"),), n=12, filters=filters)
    exact = Searcher(shop, opened(shop), no_encoder).search(query)
    monkeypatch.setattr(candidates, "MAX_EXACT_ITEMS", 0)
    monkeypatch.setattr(candidates, "MIN_CANDIDATES", 16)
    monkeypatch.setattr(candidates, "EXACT_SEARCH_COST_RATIO", 1)
    through = Searcher(shop, opened(shop), no_encoder).search(query)
    assert [(hit.item_id, hit.score) for hit in through.hits] == [
        (hit.item_id, hit.score) for hit in exact.hits
    ]


def test_additions_removals_and_changes_are_visible_at_once_and_after_reopening(
    shop: CatalogStore,
) -> None:
    index = opened(shop)
    more = clustered(5, DIM, seed=8)
    keys, _ = shop.store(raw_items([f"new-{n}.jpg" for n in range(5)], [{"title": "fresh"}] * 5), more)
    index.add(keys, more)
    fresh = parse_filters(["title=fresh"])
    assert index.search(more[2], 5, filters=fresh)[0][0] == keys[2]
    index.remove(shop.remove(["new-2.jpg"]))
    assert keys[2] not in index.search(more[2], 10, filters=fresh)[0]
    shop.update_metadata([relabelled("new-3.jpg", {"title": "stale"}, "other")])
    index.refresh(keys[3:4])
    assert sorted(index.search(more[3], 10, filters=fresh)[0].tolist()) == [keys[0], keys[1], keys[4]]
    index.save()
    again = opened(shop)
    assert (len(again), again.generation) == (404, 2)
    assert check_index(shop).items == 404


def test_an_interrupted_run_is_completed_at_the_next_opening_of_the_index(shop: CatalogStore) -> None:
    opened(shop)
    more = clustered(30, DIM, seed=8)
    shop.store(raw_items([f"new-{n}.jpg" for n in range(30)]), more)
    shop.remove([f"{n:04d}.jpg" for n in range(10)])
    shop.update_metadata([relabelled("0011.jpg", {"title": "stale"}, "other")])
    with pytest.raises(IndexCorrupt):
        check_index(shop)
    index = opened(shop)
    assert len(index) == 420
    assert check_index(shop).items == 420
    assert index.search(more[0], 400, filters=parse_filters(["title=stale"]))[0].tolist() == [11]


def test_a_column_that_changes_from_numbers_to_text_is_pushed_again(shop: CatalogStore) -> None:
    opened(shop)
    shop.update_metadata([relabelled("0011.jpg", {"price": "ask us"}, "other")])
    assert shop.metadata.columns["price"] == "text"
    index = opened(shop)
    fifteen = parse_filters(["price=15"])
    assert passing(index, shop, fifteen) == shop.metadata.keys_matching(fifteen).tolist()


def test_a_collection_with_missing_items_is_detected_by_its_count_and_refilled(shop: CatalogStore) -> None:
    index = opened(shop)
    index.connected().remove(np.arange(50, dtype=np.uint64))
    assert len(opened(shop)) == 400
    assert check_index(shop).items == 400


def test_a_rebuild_is_active_for_every_process_that_has_the_index_open(shop: CatalogStore) -> None:
    first = opened(shop)
    second = opened(shop, rebuild=True)
    assert second.generation == 2
    vector = shop.vectors(np.array([7], np.uint64))[0]
    assert first.search(vector, 5)[0].tolist() == second.search(vector, 5)[0].tolist()


def test_two_catalogs_on_one_milvus_are_isolated(shop: CatalogStore, address: str, tmp_path: Path) -> None:
    opened(shop)
    with CatalogStore.open(tmp_path / "other", create=True) as other:
        fill(other, count=30)
        other.bind_index(address)
        assert len(opened(other)) == 30
    assert len(opened(shop)) == 400


def test_a_copy_of_a_catalog_searches_the_same_collection(shop: CatalogStore, tmp_path: Path) -> None:
    opened(shop)
    shop.close()
    shutil.copytree(shop.folder, tmp_path / "copy")
    with CatalogStore.open(tmp_path / "copy") as copy:
        assert (len(opened(copy)), opened(copy).generation) == (400, 1)


def test_an_outdated_replica_neither_changes_the_collection_nor_returns_items_unknown_to_it(
    shop: CatalogStore, address: str, tmp_path: Path
) -> None:
    opened(shop)
    folder = shop.folder
    shop.close()
    shutil.copytree(folder, tmp_path / "copy")
    more = clustered(5, DIM, seed=8)
    with CatalogStore.open(folder) as writer:
        keys, _ = writer.store(raw_items([f"new-{n}.jpg" for n in range(5)]), more)
        writer.remove(["0001.jpg"])
        opened(writer)
        with CatalogStore.open(tmp_path / "copy") as copy:
            copy.bind_index("", read_only=True)
            replica = opened(copy)
            assert replica.generation == 1
            found = Searcher(copy, replica, no_encoder).search(Query((Term("item", "0007.jpg"),), n=399))
            assert len(found.hits) == 399
            assert not set(replica.search(more[0], 10)[0].tolist()) & set(keys.tolist())
        assert check_index(writer).items == 404


def test_a_replica_does_not_fill_a_milvus_that_its_writer_has_not_filled(
    tmp_path: Path, address: str
) -> None:
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        fill(catalog, count=20)
        catalog.bind_index(address, read_only=True)
        with pytest.raises(IndexUnavailable, match="writes"):
            open_live_index(catalog)


def test_the_address_of_an_unreachable_milvus_is_not_stored(tmp_path: Path) -> None:
    folder = tmp_path / "catalog"
    with CatalogStore.open(folder, create=True) as catalog:
        fill(catalog, count=20)
        catalog.bind_index("milvus://127.0.0.1:1")
        with pytest.raises(IndexUnavailable):
            open_live_index(catalog)
    with CatalogStore.open(folder) as catalog:
        assert catalog.index_address == ""
        assert len(open_live_index(catalog)) == 20
