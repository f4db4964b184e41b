"""The catalog: batches are atomic, reads are thread-safe, and the folder is self-contained."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import clustered, raw_items, relabelled

from imgsearch.core.errors import CatalogCorrupt, CatalogError, CatalogNotFound, EncoderMismatch, UnknownItem
from imgsearch.core.query import Filter
from imgsearch.index.info import catalog_info
from imgsearch.index.opening import open_live_index
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.health import ids_of_batch, row_problems, vector_problems
from imgsearch.store.item_table import Photo
from imgsearch.store.sampling import sample_items

MakeCatalog = Callable[..., CatalogStore]


# --- the folder -------------------------------------------------------------------------------------------------


def test_opening_a_folder_without_a_catalog_explains_how_to_create_one(tmp_path: Path) -> None:
    with pytest.raises(CatalogNotFound, match="imgsearch index"):
        CatalogStore.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_catalog_is_never_created_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CatalogError, match="other files"):
        CatalogStore.open(tmp_path, create=True)
    with pytest.raises(CatalogError, match="is a file"):
        CatalogStore.open(tmp_path / "thesis.txt", create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_copying_the_folder_copies_the_catalog(colour_catalog: Path, tmp_path: Path) -> None:
    copy = tmp_path / "deep" / "copy of catalog"
    shutil.copytree(colour_catalog, copy)
    with CatalogStore.open(colour_catalog) as original, CatalogStore.open(copy) as copied:
        items = list(original.iter_items())
        assert list(copied.iter_items()) == items
        keys = original.keys()
        assert np.array_equal(copied.vectors(keys), original.vectors(keys))
        assert (copied.encoder_id, copied.metadata.columns) == (
            original.encoder_id,
            original.metadata.columns,
        )
        assert vector_problems(copied) == []


def test_stored_items_persist_after_reopening(tmp_path: Path) -> None:
    vectors = clustered(10, 16)
    rows: list[dict[str, Any]] = [{"n": number, "even": number % 2 == 0} for number in range(10)]
    with CatalogStore.open(tmp_path / "c", create=True) as catalog:
        catalog.bind_encoder("test:raw", "test:raw@16", 16, reason="a test")
        catalog.store(raw_items([f"{n}.jpg" for n in range(10)], rows), vectors)
    with CatalogStore.open(tmp_path / "c") as catalog:
        assert len(catalog) == 10
        assert catalog.get("3.jpg").metadata == {"n": 3.0, "even": False}
        assert catalog.encoder_reason == "a test"
        assert np.allclose(catalog.vectors(catalog.keys()), vectors, atol=1e-3)


@pytest.mark.parametrize("damage", ["garbage", "cut in half", "empty header"])
def test_a_damaged_database_is_reported_as_corrupt(colour_catalog: Path, damage: str) -> None:
    path = colour_catalog / "catalog.duckdb"
    data = path.read_bytes()
    path.write_bytes(
        {
            "garbage": b"not a database" * 1000,
            "cut in half": data[: len(data) // 3],
            "empty header": bytes(8192),
        }[damage]
    )
    with pytest.raises(CatalogCorrupt) as raised, CatalogStore.open(colour_catalog) as catalog:
        list(catalog.iter_items())
    assert "\n" not in str(raised.value)


# --- storing ----------------------------------------------------------------------------------------------------


def test_a_changed_item_gets_a_new_key_and_its_old_one_is_never_used_again(make_catalog: MakeCatalog) -> None:
    vectors = clustered(4, 8)
    catalog = make_catalog(vectors, ids=list("abcd"))
    keys, replaced = catalog.store(raw_items(["b", "e"]), clustered(2, 8, seed=1))
    assert list(keys) == [4, 5]
    assert list(replaced) == [1]
    assert sorted(item.item_id for item in catalog.iter_items()) == list("abcde")
    catalog.remove(["e"])
    keys, _ = catalog.store(raw_items(["e"]), clustered(1, 8))
    assert list(keys) == [6]
    assert row_problems(catalog) == []


@pytest.mark.parametrize(
    "bad",
    [np.full((2, 8), np.nan), np.zeros((2, 8)), np.ones((2, 8)), np.full((2, 8), np.inf), np.ones((2, 7))],
)
def test_vectors_without_unit_length_are_refused_and_nothing_is_stored(
    make_catalog: MakeCatalog, bad: Any
) -> None:
    catalog = make_catalog(clustered(3, 8))
    with pytest.raises(ValueError, match="embeddings"):
        catalog.store(raw_items(["x", "y"]), bad.astype(np.float32))
    assert len(catalog) == 3
    assert row_problems(catalog) == []


def test_a_failed_batch_is_rolled_back_completely(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(3, 8), [{"a": 1}] * 3)
    version = catalog.version

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("cannot be printed")

    with pytest.raises(RuntimeError, match="printed"):
        catalog.store(
            raw_items(["00001.jpg", "new"], [{"b": 1}, {"a": "text", "c": Unprintable()}]), clustered(2, 8)
        )
    assert (len(catalog), catalog.version) == (3, version)
    assert catalog.metadata.columns == {"a": "number"}
    assert catalog.get("00001.jpg").metadata == {"a": 1.0}
    catalog.store(raw_items(["new"], [{"b": "fine"}]), clustered(1, 8))
    assert catalog.get("new").metadata == {"b": "fine"}
    assert row_problems(catalog) == []
    assert vector_problems(catalog) == []


def test_a_batch_with_duplicate_ids_is_refused(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(1, 8))
    with pytest.raises(ValueError, match="each id once"):
        catalog.store(raw_items(["x", "x"]), clustered(2, 8))


def test_another_encoders_embeddings_are_refused_by_name(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(3, 8))
    catalog.bind_encoder("test:raw", "test:raw@8", 8)
    with pytest.raises(EncoderMismatch, match="test:other"):
        catalog.bind_encoder("test:other", "test:other@1", 8)
    with pytest.raises(EncoderMismatch):
        catalog.bind_encoder("test:raw", "test:raw@8", 16)


# --- metadata ---------------------------------------------------------------------------------------------------


def test_columns_are_created_in_order_of_appearance_and_widen_to_text_if_needed(
    make_catalog: MakeCatalog,
) -> None:
    catalog = make_catalog(clustered(2, 8), [{"size": 42, "new": True}, {"size": 40.5}], ids=["a", "b"])
    assert catalog.metadata.columns == {"size": "number", "new": "boolean"}
    # One batch with a changed item, a widened column and a new column.
    catalog.store(raw_items(["a", "c"], [{"size": "XL", "new": 3}, {"brand": "x"}]), clustered(2, 8))
    assert catalog.metadata.columns == {"size": "text", "new": "text", "brand": "text"}
    assert catalog.get("a").metadata == {"size": "XL", "new": "3"}
    assert catalog.get("b").metadata == {"size": "40.5"}
    catalog.store(raw_items(["d"], [{"size": 7.0, "new": False, "brand": 1.5}]), clustered(1, 8))
    assert catalog.get("d").metadata == {"size": "7", "new": "false", "brand": "1.5"}


def test_rows_are_found_by_key_index_also_after_a_column_changes_its_type(
    make_catalog: MakeCatalog,
) -> None:
    catalog = make_catalog(clustered(3, 8), [{"size": 38}, {"size": 40}, {"size": 41}])
    catalog.update_metadata([relabelled("00001.jpg", {"size": "XL", "cut": "wide"})])
    assert [item.metadata["size"] for item in catalog.by_keys([2, 1, 0])] == ["41", "XL", "38"]
    found = catalog.database.cursor().execute(
        "SELECT index_name FROM duckdb_indexes() WHERE table_name = 'metadata'"
    )
    assert found.fetchall() == [("metadata_by_key",)]


def test_missing_values_are_omitted(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(
        clustered(2, 8), [{"a": 1.0, "b": None}, {"a": math.nan, "c": "x"}], ids=["a", "b"]
    )
    assert catalog.get("a").metadata == {"a": 1.0}
    assert catalog.get("b").metadata == {"c": "x"}


def test_any_column_name_is_accepted(make_catalog: MakeCatalog) -> None:
    names = ["key", 'a"b', "c0", "drop table items;--", "größe 🙂", "price (<€)", "", "select"]
    catalog = make_catalog(clustered(1, 8), [{name: name for name in names}])
    assert catalog.get("00000.jpg").metadata == {name: name for name in names}
    for name in names:
        assert catalog.metadata.count([Filter(name, "=", name)]) == 1


def test_metadata_changes_without_a_new_key(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(3, 8), [{"a": 1}] * 3, ids=["a", "b", "c"])
    catalog.update_metadata(
        [relabelled("b", {"a": 2, "z": True}, "digest"), relabelled("unknown", {"a": 3}, "digest")]
    )
    assert catalog.get("b").metadata == {"a": 2.0, "z": True}
    assert catalog.get("b").key == 1
    assert catalog.stored_photos(["b"])["b"].row_digest == "digest"
    assert len(catalog) == 3
    assert row_problems(catalog) == []


def test_an_item_whose_file_moved_is_read_from_its_new_location(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(2, 8), ids=["a", "b"])
    assert catalog.get("a").location == "/source/a"
    catalog.update_files([Photo("a", "/new", "/new/a", 5, 6)])
    assert catalog.get("a").location == "/new/a"
    assert catalog.ids_of_source("/new") == {"a"}


def test_the_files_and_metadata_of_thousands_of_photos_are_updated_in_seconds(
    make_catalog: MakeCatalog,
) -> None:
    count = 3000
    ids = [f"{number}.jpg" for number in range(count)]
    catalog = make_catalog(clustered(count, 8), [{"a": 1}] * count, ids=ids)
    started = time.perf_counter()
    catalog.update_files([Photo(item_id, "/new", f"/new/{item_id}", 5, 6) for item_id in ids])
    catalog.update_metadata([relabelled(item_id, {"a": 2}) for item_id in ids])
    took_s = time.perf_counter() - started
    assert catalog.get("2999.jpg").location == "/new/2999.jpg"
    assert catalog.get("2999.jpg").metadata == {"a": 2.0}
    assert took_s < 60  # half a second; with a scan for each row, minutes


# --- reading ----------------------------------------------------------------------------------------------------


def test_items_are_returned_in_the_given_order_without_unknown_ones(catalog: CatalogStore) -> None:
    ids = ["mug/red-0.jpg", "none", "chair/blue-1.jpg", "mug/red-0.jpg"]
    found = catalog.get_many(ids)
    assert [item.item_id for item in found] == [ids[0], ids[2], ids[0]]
    keys = [found[1].key, 10**9, found[0].key]
    assert [item.key for item in catalog.by_keys(keys)] == [keys[0], keys[2]]
    assert [item.key for item in catalog.iter_items(batch=7)] == list(catalog.keys())


@pytest.mark.parametrize(
    "item_id", ["", "none.jpg", "x" * 100_000, "'; DROP TABLE items; --", "\ud800", "\x00"]
)
def test_an_unknown_id_raises_unknown_item(catalog: CatalogStore, item_id: str) -> None:
    with pytest.raises(UnknownItem) as raised:
        catalog.get(item_id)
    assert len(str(raised.value)) < 500
    assert catalog.get_many([item_id]) == []


def test_preloaded_items_equal_stored_ones_and_are_never_stale(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(50, 8), [{"a": 1}] * 50)
    before = catalog.by_keys(range(50))
    catalog.preload(20)
    assert catalog.by_keys(range(50)) == before
    catalog.update_metadata([relabelled("00003.jpg", {"a": 2})])
    assert catalog.get("00003.jpg").metadata == {"a": 2.0}
    catalog.preload()
    catalog.remove(["00003.jpg"])
    assert catalog.get_many(["00003.jpg", "00004.jpg"]) == before[4:5]


def test_more_ids_than_one_sql_statement_allows_are_found(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(2500, 8))
    ids = [item.item_id for item in catalog.iter_items()]
    assert [item.item_id for item in catalog.get_many(ids)] == ids
    catalog.remove(ids[:2000])
    assert len(catalog) == 500


def test_a_title_is_the_metadata_or_the_file_name(catalog: CatalogStore, make_catalog: MakeCatalog) -> None:
    assert catalog.get("mug/red-0.jpg").title == "Red mug no. 0"
    assert (
        make_catalog(clustered(1, 8), ids=["a/old_oak-table.jpg"]).get("a/old_oak-table.jpg").title
        == "old oak table"
    )


def test_a_sample_is_varied_and_the_same_for_the_same_seed(catalog: CatalogStore) -> None:
    first = [item.item_id for item in sample_items(catalog, 8, seed=1)]
    assert len(set(first)) == 8
    assert [item.item_id for item in sample_items(catalog, 8, seed=1)] == first
    assert [item.item_id for item in sample_items(catalog, 8, seed=2)] != first
    assert len(sample_items(catalog, 100, seed=1)) == 48
    assert sample_items(catalog, 0, seed=1) == []
    mugs = sample_items(catalog, 5, seed=1, filters=[Filter("category", "=", "mug")])
    assert {item.metadata["category"] for item in mugs} == {"mug"}
    # Of 8 photos in 6 colours and 4 shapes, a varied sample shows most colours.
    assert len({item.metadata["colour"] for item in sample_items(catalog, 8, seed=1)}) >= 5


def test_an_empty_catalog_supports_every_read(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(np.zeros((0, 8), np.float32))
    assert (
        len(catalog),
        sample_items(catalog, 5, seed=0),
        catalog.metadata.facets(),
        list(catalog.iter_items()),
    ) == (
        0,
        [],
        [],
        [],
    )
    assert len(catalog.keys()) == 0
    assert catalog.vectors(catalog.keys()).shape == (0, 8)
    assert catalog_info(catalog, open_live_index(catalog)).items == 0


def test_facets_offer_choices_ranges_and_text_with_counts(catalog: CatalogStore) -> None:
    facets = {facet.column: facet for facet in catalog.metadata.facets()}
    assert [(value.value, value.count) for value in facets["category"].values] == [
        ("chair", 12), ("lamp", 12), ("mug", 12), ("ring", 12)
    ]  # fmt: skip
    assert (facets["price"].kind, facets["price"].low, facets["price"].high) == ("range", 5.0, 55.0)
    assert {value.value: value.count for value in facets["in_stock"].values} == {True: 24, False: 24}


def test_a_facet_counts_under_the_filters_of_the_other_columns(catalog: CatalogStore) -> None:
    filters = [Filter("category", "=", "mug"), Filter("COLOUR", "=", "red")]
    facets = {facet.column: facet for facet in catalog.metadata.facets(filters)}
    assert len(facets["category"].values) == 4
    assert {value.count for value in facets["category"].values} == {2}
    assert len(facets["colour"].values) == 6
    assert [value.value for value in facets["in_stock"].values] == [False]


def test_facets_count_present_rows_without_hidden_items(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(6, 8), [{"colour": "red"}] * 6)
    keys = catalog.keys()
    assert (
        catalog.metadata.facets(without=keys[:2])
        == catalog.metadata.facets(without=keys[2:4])
        != catalog.metadata.facets()
    )
    assert (
        catalog.metadata.facets(without=keys[:2])[0].values[0].count
        == catalog.metadata.count(without=keys[:2])
        == 4
    )
    assert catalog.metadata.count([Filter("colour", "=", "red")], without=keys[:5]) == 1
    catalog.update_metadata([relabelled("00000.jpg", {"colour": "blue"})])
    assert [(each.value, each.count) for each in catalog.metadata.facets()[0].values] == [
        ("red", 5),
        ("blue", 1),
    ]


def test_keys_follow_the_catalog_and_are_read_only(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(6, 8))
    before = catalog.keys()
    assert catalog.keys() is before
    with pytest.raises(ValueError, match="read-only"):
        before[0] = 7
    catalog.remove(["00002.jpg"])
    assert catalog.keys().tolist() == [0, 1, 3, 4, 5]
    assert before.tolist() == [0, 1, 2, 3, 4, 5]


def test_keys_can_be_registered_while_another_result_is_open(catalog: CatalogStore) -> None:
    keys = catalog.keys()
    catalog.database.cursor().execute("SELECT key FROM items").fetchone()
    assert len(catalog.metadata.column("price", keys[:5])[0]) == 5
    catalog.database.cursor().execute("SELECT key FROM items").fetchone()
    assert catalog.metadata.facets(without=keys[:5]) != catalog.metadata.facets()


def test_a_column_of_selected_items_is_a_subset_of_the_column(catalog: CatalogStore) -> None:
    some = np.append(catalog.keys()[3::7], np.uint64(99_999))
    for name in ("category", "price", "in_stock"):
        keys, values, kind = catalog.metadata.column(name)
        selected = np.isin(keys, some)
        few, own, same_kind = catalog.metadata.column(name, some)
        assert (few.tolist(), own.tolist(), same_kind) == (
            keys[selected].tolist(),
            values[selected].tolist(),
            kind,
        )
    by_key = {item.key: item.metadata for item in catalog.iter_items()}
    keys, values, _ = catalog.metadata.column("price")
    assert [by_key[key].get("price") for key in keys.tolist()] == [
        None if math.isnan(value) else value for value in values.tolist()
    ]


def test_titles_are_distinct_by_words_and_not_by_white_space(make_catalog: MakeCatalog) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "Blue mug"},
        {"title": " Blue  mug ", "name": "no"},
        {"title": "Blue\tmug"},
        {"title": "Red\nmug"},
        {"title": "  ", "name": "Red mug"},
        {"title": "\r\n", "name": ""},
        {"title": "blue mug"},
        {},
    ]
    catalog = make_catalog(clustered(8, 8), rows)
    keys, codes, titles = catalog.metadata.titles(200)
    assert [titles[code] for code in codes] == ["Blue mug"] * 3 + ["Red mug"] * 2 + ["blue mug"]
    assert (keys.tolist(), titles) == ([0, 1, 2, 3, 4, 6], ["Blue mug", "Red mug", "blue mug"])
    assert catalog.metadata.count_titles() == 3
    assert catalog.metadata.title_counts(200) == {"Blue mug": 3, "Red mug": 2, "blue mug": 1}
    assert catalog.metadata.titles(4)[2] == ["Blue", "Red ", "blue"]
    assert catalog.metadata.title_counts(1) == {"B": 3, "R": 2, "b": 1}


# --- damage -----------------------------------------------------------------------------------------------------


def test_a_flipped_byte_of_the_embeddings_is_reported_for_its_batch_alone(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(10, 8))
    catalog.store(raw_items(["x", "y"]), clustered(2, 8))
    assert vector_problems(catalog) == []
    path = catalog.folder / "embeddings" / "vectors.f16"
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x40
    path.write_bytes(data)
    (problem,) = vector_problems(catalog)
    assert (problem.first_key, problem.rows) == (10, 2)
    assert "differ" in problem.reason
    assert ids_of_batch(catalog, 10, 2) == ["x", "y"]
    path.write_bytes(data[:-20])
    assert "ends" in vector_problems(catalog)[0].reason
    path.unlink()
    assert [problem.first_key for problem in vector_problems(catalog)] == [0, 10]
    assert "missing" in vector_problems(catalog)[0].reason


# --- threads ----------------------------------------------------------------------------------------------------


def test_ten_threads_read_consistent_data_while_items_columns_and_types_change(
    make_catalog: MakeCatalog,
) -> None:
    catalog = make_catalog(clustered(200, 8), [{"n": number} for number in range(200)])
    stop = threading.Event()
    errors: list[BaseException] = []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                key = int(rng.integers(0, 200))
                (item,) = catalog.by_keys([key])
                assert (item.item_id, item.metadata["n"]) == (f"{key:05d}.jpg", key)
                assert catalog.get(item.item_id).key == key
                assert catalog.metadata.count([Filter("n", "<", key)]) >= key
                assert next(iter(catalog.iter_items(batch=1))).key == 0
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(10)]
    for reader in readers:
        reader.start()
    for round_number in range(10):
        ids = [f"extra-{round_number}-{number}" for number in range(5)]
        rows = [{"n": -1, f"column {round_number}": round_number} for _ in ids]
        catalog.store(raw_items(ids, rows), clustered(5, 8))
        if round_number % 2:
            catalog.remove(ids)
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert row_problems(catalog) == []


def test_info_works_while_files_are_created_and_deleted(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(5, 8))
    (catalog.folder / "thumbnails").mkdir()
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            path = catalog.folder / "thumbnails" / f"{number % 50}.webp"
            path.write_bytes(b"x")
            path.unlink()
            number += 1

    index = open_live_index(catalog)
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(60):
            assert catalog_info(catalog, index).bytes_on_disk > 0
    finally:
        stop.set()
        thread.join()
