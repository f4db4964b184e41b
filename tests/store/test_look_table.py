"""Stored looks: durable, repaired, computed if missing, and searched by colour."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from samples import clustered, index_into

from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.ingest.look_backfill import LookMaker
from imgsearch.ingest.verification import repair_catalog, verify_catalog
from imgsearch.store import look_table as look_store
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo
from imgsearch.store.look_table import LookTable
from imgsearch.store.originals import Originals
from imgsearch.vision.looks import COLOR, LOOK_DIM, LOOK_VERSION, Look, color_look


def some_looks(count: int, seed: int = 0) -> list[Look]:
    rng = np.random.default_rng(seed)
    return [
        Look(rng.random(LOOK_DIM, dtype=np.float32), int(rng.integers(2**63, 2**64, dtype=np.uint64)))
        for _ in range(count)
    ]


def keys(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


@pytest.fixture
def bare(make_catalog: Callable[..., CatalogStore]) -> CatalogStore:
    """Return an open catalog of 3,000 raw vectors without looks."""
    return make_catalog(clustered(3000, 8))


@pytest.fixture
def without_looks(colour_catalog: Path) -> Path:
    """Return a catalog of the 48 photos as an older version wrote it."""
    with CatalogStore.open(colour_catalog) as catalog:
        catalog.looks.delete(catalog.keys())
    (colour_catalog / "embeddings" / "looks.f16").unlink()
    return colour_catalog


@pytest.fixture
def reopened(bare: CatalogStore) -> Callable[[], LookTable]:
    """Return a factory of stores that read only the state on disk."""
    return lambda: LookTable(bare.folder / "embeddings", bare.database, bare.settings)


def test_looks_are_returned_in_the_given_order_and_zeros_for_those_without(
    bare: CatalogStore, reopened: Callable[[], LookTable]
) -> None:
    looks = some_looks(3)
    bare.looks.store(keys(7, 2, 2900), looks)
    requested = keys(2900, 5, 7, 2, 7, 10**9)
    for store in (bare.looks, reopened()):
        rows = store.rows(requested)
        assert rows.shape == (6, LOOK_DIM)
        assert rows.dtype == np.float32
        for place, number in ((0, 2), (2, 0), (3, 1), (4, 0)):
            assert np.allclose(rows[place], looks[number].vector, atol=1e-3)
            assert store.hashes(requested)[place] == looks[number].phash
        assert not rows[[1, 5]].any()
        assert store.hashes(requested)[1] == 0
        assert store.has(requested).tolist() == [True, False, True, True, True, False]
    assert bare.looks.rows(keys()).shape == (0, LOOK_DIM)


def test_a_stored_look_is_kept_and_a_photo_without_a_look_is_not_retried(bare: CatalogStore) -> None:
    first, second = some_looks(2)
    bare.looks.store(keys(1), [first])
    bare.looks.store(keys(1, 4), [second, None])
    assert int(bare.looks.hashes(keys(1))[0]) == first.phash
    assert not bare.looks.has(keys(4))[0]
    missing = bare.looks.missing()
    assert len(missing) == 2998
    assert not np.isin(keys(1, 4), missing).any()
    bare.looks.store(keys(), [])
    bare.looks.store(keys(9), [None])


def test_looks_stored_after_a_read_are_seen(bare: CatalogStore) -> None:
    for number in range(0, 3000, 300):
        look = some_looks(1, seed=number)[0]
        assert not bare.looks.has(keys(number))[0]
        bare.looks.store(keys(number), [look])
        assert np.allclose(bare.looks.rows(keys(number))[0], look.vector, atol=1e-3)


def test_rows_unknown_to_the_database_are_ignored(
    bare: CatalogStore, reopened: Callable[[], LookTable]
) -> None:
    bare.looks.store(keys(0), some_looks(1))
    with bare.looks.path.open("ab") as left_by_a_kill:
        left_by_a_kill.write(b"\x3c" * (LOOK_DIM * 2 * 5 + 3))
    assert not reopened().rows(keys(1, 2, 3)).any()
    look = some_looks(1, seed=9)[0]
    bare.looks.store(keys(2), [look])
    assert np.allclose(reopened().rows(keys(2))[0], look.vector, atol=1e-3)
    assert len(bare.looks.damaged()) == 0


def test_looks_of_another_version_are_recomputed(
    colour_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        assert catalog.looks.has(catalog.keys()).all()
    monkeypatch.setattr(look_store, "LOOK_VERSION", LOOK_VERSION + 1)
    with CatalogStore.open(colour_catalog) as catalog:
        assert not catalog.looks.has(catalog.keys()).any()
        assert len(catalog.looks.missing()) == len(catalog)
        assert LookMaker(Originals()).fill(catalog, catalog.by_keys(catalog.keys())) == len(catalog)
    with CatalogStore.open(colour_catalog) as catalog:
        assert catalog.looks.has(catalog.keys()).all(), "the same version keeps them"
        assert len(catalog.looks.damaged()) == 0


def test_looks_of_removed_items_are_deleted(catalog: CatalogStore) -> None:
    item = catalog.get("mug/red-0.jpg")
    assert catalog.looks.has(keys(item.key))[0]
    catalog.remove([item.item_id])
    count = catalog.database.cursor().execute("SELECT count(*) FROM looks").fetchone()
    assert count == (47,)


def test_a_damaged_look_is_detected_deleted_and_recomputed(
    colour_catalog: Path, colours: ColourEncoder
) -> None:
    path = colour_catalog / "embeddings" / "looks.f16"
    data = bytearray(path.read_bytes())
    data[LOOK_DIM * 2 * 3 + 5] ^= 0xFF
    path.write_bytes(data[: -LOOK_DIM * 2])
    with CatalogStore.open(colour_catalog) as catalog:
        assert catalog.looks.damaged().tolist() == [3, 47]
        assert not catalog.looks.rows(keys(47)).any()
        assert any("2 looks" in problem for problem in verify_catalog(catalog).problems)
        assert repair_catalog(catalog, lambda: colours).clean
        assert catalog.looks.missing().tolist() == [3, 47]
        assert LookMaker(Originals()).fill(catalog, catalog.by_keys([3, 47])) == 2
        assert len(catalog.looks.damaged()) == 0
        assert catalog.looks.rows(keys(47)).any()


def test_a_copied_catalog_has_its_looks(colour_catalog: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(colour_catalog, tmp_path / "copy"))
    with CatalogStore.open(colour_catalog) as first, CatalogStore.open(copy) as second:
        assert np.array_equal(first.looks.rows(first.keys()), second.looks.rows(second.keys()))


# --- indexing and filling ---------------------------------------------------------------------------------------


def test_indexing_computes_looks_of_new_and_changed_photos_only(
    photos: Path, tmp_path: Path, colours: ColourEncoder
) -> None:
    index_into(tmp_path / "shop", colours, [photos])
    with CatalogStore.open(tmp_path / "shop") as catalog:
        assert catalog.looks.has(catalog.keys()).all()
        old = catalog.get("mug/red-0.jpg").key
        before = catalog.looks.path.stat().st_mtime_ns
    index_into(tmp_path / "shop", colours, [photos])
    shutil.copy(photos / "ring/blue-0.jpg", photos / "mug/red-0.jpg")
    with CatalogStore.open(tmp_path / "shop") as catalog:
        assert catalog.looks.path.stat().st_mtime_ns == before
    index_into(tmp_path / "shop", colours, [photos])
    with CatalogStore.open(tmp_path / "shop") as catalog:
        item = catalog.get("mug/red-0.jpg")
        assert item.key != old
        assert catalog.looks.has(catalog.keys()).all()
        blue = catalog.looks.rows(keys(catalog.get("ring/blue-0.jpg").key, item.key))[:, COLOR]
        assert blue[0] @ blue[1] > 0.99


def test_indexing_again_computes_missing_looks_of_an_older_version(
    without_looks: Path, shared_photos: Path, colours: ColourEncoder
) -> None:
    report = index_into(without_looks, colours, [shared_photos])
    assert (report.added, report.changed, report.unchanged) == (0, 0, 48)
    with CatalogStore.open(without_looks) as catalog:
        assert catalog.looks.has(catalog.keys()).all()


def test_a_damaged_photo_is_not_retried_and_a_missing_file_is_retried(
    without_looks: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    with CatalogStore.open(without_looks) as catalog:
        gone = tmp_path / "gone.jpg"
        catalog.update_files(
            [Photo("mug/red-0.jpg", "", str(bad), 1, 1), Photo("mug/red-1.jpg", "", str(gone), 1, 1)]
        )
        items = catalog.get_many(["mug/red-0.jpg", "mug/red-1.jpg", "mug/blue-0.jpg"])
        assert LookMaker(Originals()).fill(catalog, items) == 2
        missing = catalog.looks.missing()
        found = [item.key in missing for item in items]
        assert found == [False, True, False]
        assert catalog.looks.has(np.array([item.key for item in items], np.uint64)).tolist() == [
            False,
            False,
            True,
        ]


def test_a_service_fills_looks_in_the_background_and_closes_at_once(without_looks: Path) -> None:
    settings = Settings(catalog=without_looks)
    service = SearchService.open(settings)
    service.close()  # while looks are being computed
    service = SearchService.open(settings)
    try:
        assert service.look_filler.wait(30)
        assert service.catalog.looks.has(service.catalog.keys()).all()
    finally:
        service.close()


# --- by colour --------------------------------------------------------------------------------------------------


def test_a_colour_alone_finds_the_items_of_that_colour(catalog: CatalogStore) -> None:
    everything = catalog.keys()
    found, scores = catalog.looks.nearest_by_color(color_look("#1e46be"), everything, 6)
    assert all("blue" in item.item_id for item in catalog.by_keys(found))
    assert np.all(np.diff(scores) <= 0)
    exact = catalog.looks.rows(everything)[:, COLOR] @ color_look("#1e46be")
    assert scores == pytest.approx(np.sort(exact)[::-1][:6], abs=0.02)


def test_colour_search_returns_only_the_given_keys_and_accepts_a_larger_k(
    catalog: CatalogStore,
) -> None:
    some = catalog.keys()[::5]
    found, _ = catalog.looks.nearest_by_color(color_look("#c81e28"), some, 100)
    assert sorted(found) == sorted(some)
    found, scores = catalog.looks.nearest_by_color(color_look("#c81e28"), keys(), 3)
    assert (len(found), len(scores)) == (0, 0)


def test_items_without_a_look_are_not_found_by_colour(bare: CatalogStore) -> None:
    bare.looks.store(keys(10, 20), some_looks(2))
    found, _ = bare.looks.nearest_by_color(color_look("#c81e28"), bare.keys(), 50)
    assert sorted(found) == [10, 20]
