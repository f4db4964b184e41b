"""The index on disk is a cache: after any damage, opening returns a correct index and never crashes."""

from __future__ import annotations

import json
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import clustered, raw_items

from imgsearch.core.errors import IndexCorrupt
from imgsearch.core.files import sha256_of_text
from imgsearch.index import engines, local_index
from imgsearch.index.exact_search import exact_top_k, ranked
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.local_index import LocalIndex
from imgsearch.index.opening import check_index, open_live_index
from imgsearch.store.catalog import CatalogStore

MakeCatalog = Callable[..., CatalogStore]


@pytest.fixture
def shop(make_catalog: MakeCatalog) -> CatalogStore:
    """Return a catalog of 400 raw vectors whose index is saved as generation 1."""
    catalog = make_catalog(clustered(400, 16))
    open_live_index(catalog)
    return catalog


def active_generation(catalog: CatalogStore) -> Path:
    folder = catalog.folder / "index"
    return folder / (folder / "current").read_text().split()[0]


def assert_right(catalog: CatalogStore, index: LiveIndex) -> None:
    """Check that the index holds exactly the live items and finds each first by its own vector."""
    keys = catalog.keys()
    assert len(index) == len(keys)
    for key in keys[:: max(1, len(keys) // 20)]:
        found, scores = index.search(catalog.vectors(np.array([key]))[0], 3)
        assert scores[0] > 0.99
        assert key in found
    assert check_index(catalog).items == len(keys)


def test_opening_again_reads_the_saved_generation_and_writes_nothing(shop: CatalogStore) -> None:
    before = {path: path.stat().st_mtime_ns for path in (shop.folder / "index").rglob("*")}
    index = open_live_index(shop)
    assert (index.generation, index.rebuild_reason) == (1, "")
    assert {path: path.stat().st_mtime_ns for path in (shop.folder / "index").rglob("*")} == before
    assert_right(shop, index)


def test_the_header_describes_the_index(shop: CatalogStore) -> None:
    header = json.loads((active_generation(shop) / "header.json").read_text())
    assert (header["items"], header["dim"], header["encoder_id"]) == (400, 16, "test:raw@16")
    assert header["ann_recall_at_10"] >= 0.99
    assert header["parameters"]["metric"] == "cos"
    assert header["parameters"]["dtype"] == "f16"


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "empty", "appended", "other file"])
def test_a_damaged_index_file_is_rebuilt(shop: CatalogStore, damage: str) -> None:
    file = active_generation(shop) / "index.usearch"
    data = bytearray(file.read_bytes())
    if damage == "flipped":
        for position in range(1000, len(data), 997):
            data[position] ^= 0xFF
        file.write_bytes(data)
    elif damage == "missing":
        file.unlink()
    else:
        cut = {
            "truncated": data[: len(data) // 2],
            "empty": b"",
            "appended": data + b"x",
            "other file": b"hello" * 99,
        }
        file.write_bytes(cut[damage])
    with pytest.raises(IndexCorrupt):
        check_index(shop)
    index = open_live_index(shop)
    assert "checksum" in index.rebuild_reason
    assert index.generation == 2
    assert_right(shop, index)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"000009 abc\n", b"-1", b"1 2 3", b"\xff\xfe", b"9" * 6000]
)
def test_a_garbage_current_file_triggers_a_rebuild(shop: CatalogStore, content: bytes) -> None:
    (shop.folder / "index" / "current").write_bytes(content)
    index = open_live_index(shop)
    assert index.rebuild_reason
    assert_right(shop, index)
    assert open_live_index(shop).rebuild_reason == ""


def test_a_missing_index_folder_triggers_a_rebuild(shop: CatalogStore) -> None:
    shutil.rmtree(shop.folder / "index")
    assert_right(shop, open_live_index(shop))


def test_no_changed_byte_of_the_header_can_crash_the_opening(shop: CatalogStore) -> None:
    file = active_generation(shop) / "header.json"
    data = file.read_bytes()
    chance = random.Random(3)
    for _ in range(40):
        changed = bytearray(data)
        for _ in range(chance.choice([1, 1, 3])):
            changed[chance.randrange(len(data))] = chance.choice(b'0123456789"[]{},: -xe\xff')
        if bytes(changed) == data:
            continue
        file.write_bytes(changed)
        with pytest.raises(IndexCorrupt):
            check_index(shop)
    index = open_live_index(shop)
    assert index.rebuild_reason
    assert_right(shop, index)


def test_a_header_of_another_encoder_is_never_used(shop: CatalogStore, make_catalog: MakeCatalog) -> None:
    other = make_catalog(clustered(400, 32, seed=1))
    open_live_index(other)
    shutil.rmtree(shop.folder / "index")
    shutil.copytree(other.folder / "index", shop.folder / "index")
    index = open_live_index(shop)
    assert "test:raw@32" in index.rebuild_reason
    assert_right(shop, index)


def test_generation_numbers_are_never_used_twice(shop: CatalogStore) -> None:
    for expected in (2, 3, 4):
        (shop.folder / "index" / "current").write_text("garbage")
        assert open_live_index(shop).generation == expected


def test_old_generations_are_removed(shop: CatalogStore) -> None:
    index = open_live_index(shop)
    for round_number in range(5):
        keys, _ = shop.store(raw_items([f"new-{round_number}"]), clustered(1, 16, seed=round_number))
        index.add(keys, shop.vectors(keys))
        index.save()
    folders = [path.name for path in (shop.folder / "index").iterdir() if path.is_dir()]
    assert sorted(folders) == ["000005", "000006"]
    assert open_live_index(shop).generation == 6


@pytest.mark.parametrize(
    "step", ["half-written", "before its renaming", "before current", "current half-written"]
)
def test_a_crash_between_the_steps_of_saving_keeps_the_old_generation_active(
    shop: CatalogStore, step: str
) -> None:
    folder = shop.folder / "index"
    new = folder / (".000002.part" if "writ" in step or "renaming" in step else "000002")
    shutil.copytree(active_generation(shop), new)
    if step == "half-written":
        (new / "header.json").unlink()
        (new / "index.usearch").write_bytes(b"half")
    if step == "current half-written":
        (folder / "current.part").write_text("0000")
    index = open_live_index(shop)
    assert (index.generation, index.rebuild_reason) == (1, "")
    keys, _ = shop.store(raw_items(["new"]), clustered(1, 16, seed=7))
    index.add(keys, shop.vectors(keys))
    index.save()
    assert_right(shop, open_live_index(shop))
    assert not list(folder.glob(".*.part"))


def test_items_stored_but_not_indexed_before_a_crash_are_added_at_the_next_opening(
    shop: CatalogStore,
) -> None:
    shop.store(raw_items(["late-1", "late-2", "00007.jpg"]), clustered(3, 16, seed=4))
    shop.remove(["00000.jpg"])
    index = open_live_index(shop)
    assert (index.rebuild_reason, len(index)) == ("", 401)
    assert_right(shop, index)
    assert open_live_index(shop).generation == index.generation


def test_many_removals_trigger_an_automatic_rebuild(shop: CatalogStore) -> None:
    index = open_live_index(shop)
    ids = [item.item_id for item in shop.iter_items()]
    for start in range(0, 300, 30):
        index.remove(shop.remove(ids[start : start + 30]))
    header = index.header
    assert header is not None
    assert header.generation > 1
    assert header.dead * 4 <= header.items + 50 * 4
    index.save()
    assert_right(shop, open_live_index(shop))


def test_single_removals_persist_across_reopening(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(120, 16))
    for number in range(0, 100, 10):
        index = open_live_index(catalog)
        index.remove(catalog.remove([f"{n:05d}.jpg" for n in range(number, number + 10)]))
        index.save()
    assert_right(catalog, open_live_index(catalog))


def test_with_damaged_embeddings_the_index_opens_and_finds_all_other_items(shop: CatalogStore) -> None:
    path = shop.folder / "embeddings" / "vectors.f16"
    rows = np.fromfile(path, np.float16).reshape(-1, 16)
    rows[5] = np.nan
    rows[6] = np.inf
    rows[7] = 0
    rows.tofile(path)
    shutil.rmtree(shop.folder / "index")
    index = open_live_index(shop)
    assert len(index) == 397
    assert index.search(shop.vectors(np.array([8], np.uint64))[0], 1)[0].tolist() == [8]
    generation = index.generation
    assert open_live_index(shop).generation == generation


def test_a_catalog_without_encoder_or_items_has_an_empty_index(
    make_catalog: MakeCatalog, tmp_path: Path
) -> None:
    with CatalogStore.open(tmp_path / "new", create=True) as catalog:
        index = open_live_index(catalog)
        assert (len(index), index.generation) == (0, 0)
    empty = make_catalog(np.zeros((0, 16), np.float32))
    assert len(open_live_index(empty)) == 0
    assert len(open_live_index(empty)) == 0


def test_the_tuned_search_effort_is_stored(make_catalog: MakeCatalog) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4000, 96)).astype(np.float32)  # without clusters, the hardest case
    catalog = make_catalog(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    first = open_live_index(catalog)
    assert first.header is not None
    assert first.header.ann_recall_at_10 is not None
    assert first.header.ann_recall_at_10 >= 0.99
    again = open_live_index(catalog)
    assert again.header == first.header


# --- engines ----------------------------------------------------------------------------------------------------


def default_from(monkeypatch: pytest.MonkeyPatch, items: int) -> None:
    """Lower the size limit from which large-catalog engines are the default."""
    for name in ("codes", "lists"):
        monkeypatch.setitem(engines.ENGINES, name, replace(engines.ENGINES[name], default_from=items))


@pytest.fixture(params=["codes", "lists"])
def many_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the engine of large catalogs, with and without faiss."""
    if request.param == "lists":
        pytest.importorskip("faiss")
    else:
        monkeypatch.setitem(sys.modules, "faiss", None)  # simulates a missing package
    return str(request.param)


@pytest.fixture
def coded(shop: CatalogStore, many_engine: str, monkeypatch: pytest.MonkeyPatch) -> CatalogStore:
    """Return the catalog of 400 items with an index over codes, as in large catalogs."""
    default_from(monkeypatch, 400)
    index = open_live_index(shop)
    assert index.header is not None
    assert index.header.parameters["engine"] == many_engine
    return shop


def test_catalogs_above_the_size_limit_search_codes(coded: CatalogStore) -> None:
    before = {path: path.stat().st_mtime_ns for path in (coded.folder / "index").rglob("*")}
    index = open_live_index(coded)
    assert (index.generation, index.rebuild_reason) == (2, "")
    assert {path: path.stat().st_mtime_ns for path in (coded.folder / "index").rglob("*")} == before
    assert index.header is not None
    assert (index.header.ann_recall_at_10 or 0) >= 0.99
    assert_right(coded, index)


def test_a_growing_catalog_switches_to_codes_at_the_size_limit(
    make_catalog: MakeCatalog, many_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_from(monkeypatch, 300)
    catalog = make_catalog(clustered(290, 16))
    index = open_live_index(catalog)
    for number, engine in enumerate(["usearch", many_engine]):
        keys, _ = catalog.store(
            raw_items([f"new-{number}-{n}" for n in range(9)]), clustered(9, 16, seed=number)
        )
        index.add(keys, catalog.vectors(keys))
        index.save()
        assert index.header is not None
        assert index.header.parameters["engine"] == engine
    assert_right(catalog, index)


@pytest.mark.parametrize("damage", ["flipped", "missing", "empty"])
def test_damaged_codes_trigger_a_rebuild(coded: CatalogStore, damage: str) -> None:
    file = active_generation(coded) / "index.usearch.coding.npz"
    if not file.exists():
        file = active_generation(coded) / "index.usearch"
    if damage == "missing":
        file.unlink()
    else:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data if damage == "flipped" else b"")
    with pytest.raises(IndexCorrupt):
        check_index(coded)
    index = open_live_index(coded)
    assert index.rebuild_reason
    assert_right(coded, index)


def test_later_additions_and_removals_update_the_codes(coded: CatalogStore) -> None:
    index = open_live_index(coded)
    keys, _ = coded.store(raw_items([f"late-{n}" for n in range(30)]), clustered(30, 16, seed=4))
    index.add(keys, coded.vectors(keys))
    index.remove(coded.remove([f"{n:05d}.jpg" for n in range(20)]))
    index.save()
    assert_right(coded, open_live_index(coded))


def test_an_uninstalled_engine_is_replaced_by_an_installed_one(
    shop: CatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    open_live_index(shop).build_as({"engine": "lists"}, 0.99)
    assert check_index(shop).parameters["engine"] == "lists"
    monkeypatch.setitem(sys.modules, "faiss", None)  # simulates a missing package
    index = open_live_index(shop)
    assert "imgsearch[faiss]" in index.rebuild_reason
    assert check_index(shop).parameters["engine"] == "usearch"
    assert_right(shop, index)


def test_an_index_of_an_unknown_engine_is_rebuilt_with_the_default_one(shop: CatalogStore) -> None:
    folder = active_generation(shop)
    header = json.loads((folder / "header.json").read_text())
    header |= {"chosen": "by tuning", "parameters": {"engine": "annoy"}}
    text = json.dumps(header)
    (folder / "header.json").write_text(text)
    (folder.parent / "current").write_text(f"{folder.name} {sha256_of_text(text)}\n")
    with pytest.raises(IndexCorrupt, match="annoy"):
        check_index(shop)
    index = open_live_index(shop)
    assert "annoy" in index.rebuild_reason
    assert check_index(shop).parameters["engine"] == "usearch"
    assert_right(shop, index)


def test_ivf_lists_are_retrained_after_the_catalog_grows_many_times(make_catalog: MakeCatalog) -> None:
    pytest.importorskip("faiss")
    catalog = make_catalog(clustered(200, 16))
    index = open_live_index(catalog)
    index.build_as({"engine": "lists"}, 0.99)
    more, _ = catalog.store(raw_items([f"new-{n}" for n in range(9000)]), clustered(9000, 16, seed=1))
    index.add(more, catalog.vectors(more))
    assert index.header is not None
    assert index.header.parameters["made_for"] == 9200
    assert_right(catalog, index)


def test_codes_below_the_recall_target_are_replaced_by_full_vectors(
    make_catalog: MakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    default_from(monkeypatch, 3000)
    signs = replace(engines.ENGINES["codes"], defaults={"coding": "signs", "width": 8})
    monkeypatch.setitem(engines.ENGINES, "codes", signs)
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(local_index, "MAX_EXPANSION", 64)
    catalog = make_catalog(clustered(3000, 16))
    index = open_live_index(catalog)
    assert index.header is not None
    assert (index.header.parameters["engine"], index.header.chosen) == ("usearch", "by recall")
    again = open_live_index(catalog)
    assert (again.generation, again.rebuild_reason) == (index.generation, "")


# --- exact search -----------------------------------------------------------------------------------------------


def test_exact_search_is_a_sort_by_rounded_score_then_key(make_catalog: MakeCatalog) -> None:
    vectors = clustered(9000, 12)
    vectors[4000:4100] = vectors[17]
    catalog = make_catalog(vectors)
    queries = catalog.vectors(np.array([17, 3, 8999], np.uint64))
    keys = catalog.keys()
    stored = catalog.vectors(keys)
    for k in (1, 10, 60, 9000):
        for query, (found, scores) in zip(queries, exact_top_k(catalog, keys, queries, k), strict=True):
            expected, expected_scores = ranked(keys, stored, query, k)
            assert found.tolist() == expected.tolist()
            assert scores.tolist() == expected_scores.tolist()


def test_exact_search_of_fewer_than_k_items_returns_all(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(5, 8))
    ((keys, scores),) = exact_top_k(catalog, catalog.keys(), clustered(1, 8), 10)
    assert len(keys) == len(scores) == 5
    ((keys, _),) = exact_top_k(catalog, np.zeros(0, np.uint64), clustered(1, 8), 10)
    assert len(keys) == 0


# --- changes while an index is rebuilt or saved -------------------------------------------------------------------


def test_changes_during_a_rebuild_are_in_the_new_engine(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(clustered(3000, 16))
    index = LocalIndex.open(catalog)
    old = index.engine
    made = threading.Event()
    done = threading.Event()

    def progress(*_: int) -> None:
        made.set()
        assert done.wait(30)

    builder = threading.Thread(target=index.rebuild, kwargs={"progress": progress})
    builder.start()
    assert made.wait(30)
    keys, _ = catalog.store(raw_items(["late-1", "late-2"]), clustered(2, 16, seed=5))
    index.add(keys, catalog.vectors(keys))
    index.remove(catalog.remove(["00007.jpg", "late-2"]))
    assert index.engine is old  # neither change waited for the rebuild
    assert index.search(catalog.vectors(keys[:1])[0], 1)[0].tolist() == [int(keys[0])]
    done.set()
    builder.join(60)
    assert index.engine is not old
    assert np.array_equal(index.keys(), catalog.keys())
    index.save()
    assert check_index(catalog).items == len(catalog)


def test_a_served_index_is_rebuilt_in_the_background_and_saved_when_it_is_closed(
    make_catalog: MakeCatalog,
) -> None:
    catalog = make_catalog(clustered(600, 16))
    index = LocalIndex.open(catalog)
    before = index.generation
    index.start_upkeep()
    for start in range(0, 300, 20):
        ids = [f"{number:05d}.jpg" for number in range(start, start + 20)]
        index.remove(catalog.remove(ids))
    deadline = time.monotonic() + 30
    while index.generation == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert index.generation > before
    keys, _ = catalog.store(raw_items(["late"]), clustered(1, 16, seed=5))
    index.add(keys, catalog.vectors(keys))
    index.close()
    assert check_index(catalog).items == len(catalog) == 301
