"""Compaction: space is freed, and items, searches, looks, pictures and duplicates stay as they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from samples import clustered, raw_items

from imgsearch.core.files import disk_bytes
from imgsearch.core.key_arrays import Keys
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.compaction import Compaction, compact
from imgsearch.ingest.item_changes import ItemChange
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.ingest.verification import verify_catalog
from imgsearch.store import compaction
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.health import vector_problems
from imgsearch.store.originals import Originals
from imgsearch.store.stored_originals import store_original
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.vision.looks import LOOK_DIM, Look

DIM, ITEMS, BATCH = 64, 4000, 500
NOW = timedelta(0)


@pytest.fixture
def catalog(make_catalog: Callable[..., CatalogStore]) -> CatalogStore:
    """Return a catalog of several batches, with a look for every photo."""
    made = make_catalog(clustered(0, DIM))
    vectors, rng = clustered(ITEMS, DIM), np.random.default_rng(0)
    for start in range(0, ITEMS, BATCH):
        names = [f"{number}.jpg" for number in range(start, start + BATCH)]
        rows = [{"price": float(number)} for number in range(start, start + BATCH)]
        keys, _ = made.store(raw_items(names, rows), vectors[start : start + BATCH])
        looks = [Look(rng.random(LOOK_DIM).astype(np.float32), int(key) + 1) for key in keys]
        made.looks.store(keys, looks)
    return made


@pytest.fixture
def index(catalog: CatalogStore) -> LiveIndex:
    """Return the index of the catalog."""
    return open_live_index(catalog)


@pytest.fixture
def thumbnails(catalog: CatalogStore) -> ThumbnailCache:
    """Return the thumbnails of the catalog."""
    return ThumbnailCache(catalog.folder / "thumbnails", Originals(), max_bytes=1 << 20)


@pytest.fixture
def run(catalog: CatalogStore, index: LiveIndex, thumbnails: ThumbnailCache) -> Callable[..., Compaction]:
    """Return a function that compacts the catalog."""

    def compacted(keep_removed: timedelta = NOW) -> Compaction:
        return compact(catalog, index, thumbnails, keep_removed=keep_removed)

    return compacted


def remove(catalog: CatalogStore, index: LiveIndex, numbers: range) -> None:
    """Remove items by number."""
    index.remove(catalog.remove([f"{number}.jpg" for number in numbers]))


def contents(catalog: CatalogStore) -> dict[str, tuple[object, int, bytes, bytes]]:
    """Return the price, revision, embedding and look of every item."""
    items = sorted(catalog.iter_items(), key=lambda item: item.item_id)
    keys: Keys = np.array([item.key for item in items], np.uint64)
    looks: NDArray[np.float32] = catalog.looks.rows(keys)
    revisions = dict(catalog.database.cursor().execute("SELECT item_id, revision FROM items").fetchall())
    return {
        item.item_id: (item.metadata["price"], revisions[item.item_id], vector.tobytes(), look.tobytes())
        for item, vector, look in zip(items, catalog.stored_vectors(keys), looks, strict=True)
    }


def nearest(catalog: CatalogStore, index: LiveIndex, item_id: str) -> str:
    """Return the item that a search by an item's embedding finds first."""
    vector = catalog.vectors(np.array([catalog.get(item_id).key], np.uint64))[0]
    return catalog.by_keys(index.search(vector, 5)[0])[0].item_id


def test_the_space_of_removed_photos_is_freed_and_the_others_stay_as_they_are(
    catalog: CatalogStore, index: LiveIndex, run: Callable[..., Compaction]
) -> None:
    remove(catalog, index, range(0, 3800))
    before, expected = disk_bytes(catalog.vector_file.path), contents(catalog)  # type: ignore[union-attr]
    done = run()
    assert done.released
    assert done.forgotten == 3800
    assert disk_bytes(catalog.vector_file.path) < before / 3  # type: ignore[union-attr]
    assert done.bytes_after < done.bytes_before / 3
    assert contents(catalog) == expected
    assert verify_catalog(catalog).problems == ()
    assert all(nearest(catalog, index, name) == name for name in list(expected)[:50])


def test_photos_of_mostly_dead_batches_move(
    catalog: CatalogStore, index: LiveIndex, run: Callable[..., Compaction]
) -> None:
    for start in range(0, ITEMS, BATCH):
        remove(catalog, index, range(start, start + 400))
    expected, revision = contents(catalog), catalog.changes.last
    done = run()
    assert done.moved == len(expected) == 800
    assert done.bytes_after < 0.4 * done.bytes_before
    assert contents(catalog) == expected
    assert catalog.changes.last == revision
    assert verify_catalog(catalog).problems == ()
    assert nearest(catalog, index, "450.jpg") == "450.jpg"


def test_a_second_run_does_nothing(
    catalog: CatalogStore, index: LiveIndex, run: Callable[..., Compaction]
) -> None:
    remove(catalog, index, range(0, 2000))
    run()
    again = run()
    assert (again.moved, again.forgotten, again.bytes_after) == (0, 0, again.bytes_before)


def test_photos_removed_lately_stay_restorable(
    catalog: CatalogStore, index: LiveIndex, run: Callable[..., Compaction]
) -> None:
    remove(catalog, index, range(0, 2000))
    done = run(keep_removed=timedelta(days=1))
    assert (done.moved, done.forgotten) == (0, 0)
    assert catalog.changes.removals(["5.jpg"])["5.jpg"].photo is not None
    assert not vector_problems(catalog)


def test_a_compacted_catalog_takes_new_photos_and_opens_again(
    catalog: CatalogStore, index: LiveIndex, run: Callable[..., Compaction]
) -> None:
    remove(catalog, index, range(0, ITEMS))
    run()
    assert len(catalog) == 0
    keys, _ = catalog.store(raw_items(["new.jpg"], [{"price": 1.0}]), clustered(1, DIM, seed=9))
    index.add(keys, catalog.vectors(keys))
    run()
    folder, expected = catalog.folder, contents(catalog)
    index.save()
    catalog.close()
    with CatalogStore.open(folder) as opened:
        assert contents(opened) == expected
        assert verify_catalog(opened).problems == ()
        assert nearest(opened, open_live_index(opened), "new.jpg") == "new.jpg"


def test_duplicate_pairs_and_kept_pictures_follow_photos_that_move(
    catalog: CatalogStore, index: LiveIndex, thumbnails: ThumbnailCache, run: Callable[..., Compaction]
) -> None:
    first, second = catalog.get("498.jpg").key, catalog.get("499.jpg").key
    with catalog.writing() as cursor:
        cursor.execute("INSERT INTO duplicate_pairs VALUES (?, ?, 0.99, 0.01)", [first, second])
        cursor.execute("UPDATE items SET location = 'https://shop.example/498.jpg' WHERE item_id = '498.jpg'")
    thumbnails.put(first, b"picture", 768)
    remove(catalog, index, range(0, 490))
    assert run().moved >= 10
    moved = catalog.get("498.jpg").key, catalog.get("499.jpg").key
    assert moved > (first, second)
    pairs = catalog.database.cursor().execute("SELECT first_key, second_key FROM duplicate_pairs").fetchall()
    assert pairs == [moved]
    assert thumbnails.kept(moved[0], 768) == b"picture"


def test_a_compaction_that_is_killed_between_its_steps_leaves_a_sound_catalog(
    catalog: CatalogStore, index: LiveIndex, run: Callable[..., Compaction], monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(catalog, index, range(0, 3800))
    expected = contents(catalog)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("forget_batches", "free_ranges", "release_rows"):
        with monkeypatch.context() as patch:
            patch.setattr(f"imgsearch.ingest.compaction.{step}", killed)
            with pytest.raises(KeyboardInterrupt):
                run()
        assert contents(catalog) == expected
        assert not vector_problems(catalog)
    assert run().bytes_after < 1_000_000
    assert compaction.embedding_batches(catalog)[-1].live > 0


def test_a_photo_that_is_restored_during_compaction_keeps_its_embedding(
    catalog: CatalogStore, index: LiveIndex, run: Callable[..., Compaction], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = catalog.vectors(np.array([catalog.get("7.jpg").key], np.uint64))
    remove(catalog, index, range(0, BATCH))
    editor = ItemEditor(catalog, lambda: [index], lambda: pytest.fail("nothing is encoded"), Originals())
    with catalog.database.transaction() as cursor:  # of its batch, only this photo can be restored
        cursor.execute("UPDATE item_changes SET photo = NULL WHERE item_id <> '7.jpg'")
    read, calls, restored = catalog.database.keys, [], []

    def restoring(sql: str, values: Sequence[Any] = ()) -> Keys:
        found = read(sql, values)
        calls.extend(["read"] * ("item_changes" in sql))
        if len(calls) == 2 and not restored:  # the batches without any photo are chosen
            restored.extend(editor.apply([ItemChange("restore", "7.jpg")], actor="test"))
        return found

    monkeypatch.setattr(catalog.database, "keys", restoring)
    run(timedelta(days=1))
    assert [outcome.status for outcome in restored] == ["restored"]
    np.testing.assert_array_equal(catalog.vectors(np.array([catalog.get("7.jpg").key], np.uint64)), expected)
    editor.close()


def test_originals_that_no_item_needs_are_deleted_unless_they_are_new(
    catalog: CatalogStore, run: Callable[..., Compaction], tmp_path: Path
) -> None:
    location = store_original(catalog.folder, b"\xff\xd8\xff used", "a" * 32)
    store_original(catalog.folder, b"\xff\xd8\xff unused", "b" * 32)
    new = store_original(catalog.folder, b"\xff\xd8\xff new", "c" * 32)
    with catalog.database.transaction() as cursor:
        cursor.execute("UPDATE items SET location = ? WHERE item_id = '1.jpg'", [location])
    folder = catalog.folder / "originals"
    for digest in "ab":
        os.utime(folder / f"{digest * 32}.jpg", (1, 1))
    assert run().originals_deleted == 1
    assert {path.name for path in folder.iterdir()} == {f"{'a' * 32}.jpg", f"{'c' * 32}.jpg"}
    assert new
