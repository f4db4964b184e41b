"""Changes of single items: outcomes, durability, freshness, restore and undo; nothing is encoded without need."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from photos import draw_photo

from imgsearch.core.background import Progress
from imgsearch.core.config import Settings
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Filter, Query, Term
from imgsearch.core.records import IndexingReport
from imgsearch.index.local_index import LocalIndex
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.item_changes import ChangeOutcome, ItemChange
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.ingest.verification import verify_catalog
from imgsearch.search.engine import SearchEngine
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals, content_digest


def jpeg(shape: str, colour: str, variant: int = 0) -> bytes:
    """Return a drawn photo's bytes."""
    buffer = io.BytesIO()
    draw_photo(shape, colour, variant).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the file in which the encoder notes each photo that it encodes."""
    path = tmp_path / "encoded.log"
    path.touch()
    return path


@pytest.fixture
def engine(colour_catalog: Path, log: Path) -> Iterator[SearchEngine]:
    """Return an open engine of the 48 photos."""
    settings = Settings.load({}, catalog=colour_catalog)
    with SearchEngine(settings, encoder=ColourEncoder(log=log)) as opened:
        yield opened


@pytest.fixture
def editor(engine: SearchEngine) -> Iterator[ItemEditor]:
    """Return an editor of the engine's catalog."""
    made = ItemEditor(engine.catalog, engine.indexes, engine.encoder.get, Originals(private_hosts=True))
    yield made
    made.close()


def encoded(log: Path) -> int:
    return len(log.read_text().splitlines())


def found(engine: SearchEngine, item_id: str, *filters: Filter, n: int = 60) -> list[str]:
    hits = engine.searcher.search(Query((Term("item", item_id),), n=n, filters=filters)).hits
    return [hit.item_id for hit in hits]


def one(editor: ItemEditor, change: ItemChange, actor: str = "test") -> ChangeOutcome:
    (outcome,) = editor.apply([change], actor=actor)
    return outcome


MUG, LAMP = "mug/red-0.jpg", "lamp/blue-0.jpg"


# --- put --------------------------------------------------------------------------------------------------------


def test_a_put_item_is_found_by_the_next_search_and_its_picture_is_kept(
    editor: ItemEditor, engine: SearchEngine
) -> None:
    data = jpeg("mug", "red", 7)
    outcome = one(editor, ItemChange("put", "SKU-1", {"title": "Red mug", "price": 12}, picture=data))
    assert (outcome.status, outcome.code) == ("created", "")
    item = engine.catalog.get("SKU-1")
    assert item.metadata == {"title": "Red mug", "price": 12.0}
    assert outcome.etag == f"r{item.revision}"
    assert "SKU-1" in found(engine, MUG, n=5)
    assert "SKU-1" in found(engine, MUG, Filter("price", "=", 12))
    assert engine.catalog.looks.has(np.array([item.key], np.uint64)).all()
    assert item.location == f"stored:{content_digest(data)}.jpg"
    assert engine.read_photo(item) == data
    assert engine.thumbnails.get(item, 128).data


def test_a_new_item_without_a_picture_is_refused(editor: ItemEditor, engine: SearchEngine) -> None:
    assert one(editor, ItemChange("put", "SKU-1", {"title": "x"})).code == "no_picture"
    assert len(engine.catalog) == 48


def test_a_put_with_another_picture_replaces_the_photo(editor: ItemEditor, engine: SearchEngine) -> None:
    before = engine.catalog.get(MUG)
    outcome = one(editor, ItemChange("put", MUG, picture=jpeg("lamp", "blue", 9)))
    after = engine.catalog.get(MUG)
    assert outcome.status == "replaced"
    assert after.key != before.key
    assert after.metadata == before.metadata  # no row was given: the present one stays
    assert MUG in found(engine, LAMP, n=4)
    assert len(engine.index) == len(engine.catalog) == 48


def test_a_put_with_the_same_bytes_encodes_nothing(
    editor: ItemEditor, engine: SearchEngine, log: Path
) -> None:
    item = engine.catalog.get(MUG)
    data = Path(item.location).read_bytes()
    outcome = one(editor, ItemChange("put", MUG, {"title": "same photo"}, picture=data))
    assert outcome.status == "replaced"
    assert engine.catalog.get(MUG).key == item.key
    assert engine.catalog.get(MUG).metadata == {"title": "same photo"}
    assert one(editor, ItemChange("put", MUG, {"title": "same photo"}, picture=data)).status == "unchanged"
    assert encoded(log) == 0


def test_a_picture_by_url_is_read_with_the_safeguards_of_manifests(
    editor: ItemEditor, engine: SearchEngine, web: str
) -> None:
    outcome = one(editor, ItemChange("put", "by-url", url=f"{web}/mug/red-1.jpg"))
    assert outcome.status == "created"
    assert engine.catalog.get("by-url").location == f"{web}/mug/red-1.jpg"
    safe = ItemEditor(engine.catalog, engine.indexes, engine.encoder.get, Originals())
    refused = one(safe, ItemChange("put", "other", url=f"{web}/mug/red-1.jpg"))
    safe.close()
    assert (refused.status, refused.code) == ("failed", "bad_source")
    assert "private network" in refused.message


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (ItemChange("put", "x", picture=b"no picture"), "bad_image"),
        (ItemChange("put", "x", picture=b""), "bad_image"),
        (ItemChange("put", "", picture=b""), "bad_item_id"),
        (ItemChange("put", "a\nb", {}), "bad_item_id"),
        (ItemChange("patch", "nothing", {"a": 1}), "unknown_item"),
        (ItemChange("delete", "nothing"), "unknown_item"),
        (ItemChange("restore", "nothing"), "unknown_item"),
        (ItemChange("patch", MUG, {"price": "on request"}), "bad_metadata"),
        (ItemChange("patch", MUG, {"in_stock": "perhaps"}), "bad_metadata"),
        (ItemChange("patch", MUG, {"price": float("nan")}), "bad_metadata"),
        (ItemChange("patch", MUG, {"": 1}), "bad_metadata"),
        (ItemChange("patch", MUG, {"title": "\ud800"}), "bad_metadata"),
        (ItemChange("patch", MUG, {"price": 1}, if_match='"r999999"'), "etag_mismatch"),
        (ItemChange("put", "new", {}, if_match="*"), "etag_mismatch"),
    ],
)
def test_a_change_that_cannot_be_made_fails_alone_with_one_sentence(
    editor: ItemEditor, engine: SearchEngine, change: ItemChange, code: str
) -> None:
    columns = engine.catalog.metadata.columns
    outcomes = editor.apply([change, ItemChange("patch", LAMP, {"price": 3})], actor="test")
    assert [outcome.status for outcome in outcomes] == ["failed", "updated"]
    assert outcomes[0].code == code
    assert outcomes[0].message.endswith(".")
    assert "\n" not in outcomes[0].message
    assert engine.catalog.metadata.columns == columns


# --- patch, delete ----------------------------------------------------------------------------------------------


def test_a_patch_sets_and_removes_values_and_encodes_nothing(
    editor: ItemEditor, engine: SearchEngine, log: Path
) -> None:
    before = engine.catalog.get(MUG)
    outcome = one(editor, ItemChange("patch", MUG, {"price": "7.5", "title": None, "fresh": True}))
    item = engine.catalog.get(MUG)
    expected = {**before.metadata, "price": 7.5, "fresh": True}
    del expected["title"]
    assert (outcome.status, item.key, item.metadata) == ("updated", before.key, expected)
    assert MUG in found(engine, LAMP, Filter("price", "=", 7.5))
    assert MUG in found(engine, LAMP, Filter("fresh", "=", True))
    assert one(editor, ItemChange("patch", MUG, {"price": 7.5})).status == "unchanged"
    assert encoded(log) == 0


def test_an_etag_protects_against_lost_updates(editor: ItemEditor) -> None:
    first = one(editor, ItemChange("patch", MUG, {"price": 1}))
    second = one(editor, ItemChange("patch", MUG, {"price": 2}, if_match=f'"{first.etag}"'))
    assert second.status == "updated"
    assert one(editor, ItemChange("patch", MUG, {"price": 3}, if_match=first.etag)).code == "etag_mismatch"
    assert one(editor, ItemChange("patch", MUG, {"price": 3}, if_match="*")).status == "updated"


def test_a_deleted_item_is_never_shown_and_can_be_restored_without_encoding(
    editor: ItemEditor, engine: SearchEngine, log: Path
) -> None:
    before, row = engine.catalog.get(MUG), found(engine, LAMP)
    assert MUG in row
    assert one(editor, ItemChange("delete", MUG)).status == "deleted"
    assert MUG not in found(engine, LAMP)
    assert len(engine.index) == len(engine.catalog) == 47
    restored = one(editor, ItemChange("restore", MUG))
    after = engine.catalog.get(MUG)
    assert restored.status == "restored"
    assert (after.key, after.metadata, after.location) == (before.key, before.metadata, before.location)
    assert after.revision > before.revision
    assert found(engine, LAMP) == row
    assert engine.catalog.looks.has(np.array([after.key], np.uint64)).all()
    assert encoded(log) == 0
    engine.index.save()
    assert verify_catalog(engine.catalog).clean


def test_changes_of_one_item_take_effect_in_their_order(editor: ItemEditor, engine: SearchEngine) -> None:
    picture = jpeg("ring", "green", 5)
    outcomes = editor.apply(
        [
            ItemChange("put", "a", {"n": 1}, picture=picture),
            ItemChange("patch", "a", {"n": 2}),
            ItemChange("delete", "a"),
            ItemChange("patch", "a", {"n": 3}),
            ItemChange("restore", "a"),
            ItemChange("patch", "a", {"n": 4}),
        ],
        actor="test",
    )
    statuses = ["created", "updated", "deleted", "failed", "restored", "updated"]
    assert [outcome.status for outcome in outcomes] == statuses
    assert engine.catalog.get("a").metadata == {"n": 4.0}
    assert len(engine.index) == len(engine.catalog) == 49
    assert [change.kind for change in editor.history("a")] == ["patch", "restore", "delete", "patch", "put"]


def test_no_changes_have_no_outcomes(editor: ItemEditor, engine: SearchEngine) -> None:
    version = engine.catalog.version
    assert editor.apply([], actor="test") == []
    assert editor.undo([], "test") == []
    assert engine.catalog.version == version


# --- history and undo -------------------------------------------------------------------------------------------


def test_the_history_of_an_item_begins_with_its_indexing(editor: ItemEditor) -> None:
    one(editor, ItemChange("patch", MUG, {"price": 1234.5}), actor="Ada")
    one(editor, ItemChange("delete", MUG), actor="Bob")
    history = editor.history(MUG)
    assert [(change.kind, change.actor) for change in history] == [
        ("delete", "Bob"),
        ("patch", "Ada"),
        ("put", "imgsearch index"),
    ]
    assert history[1].after == {"price": 1234.5}
    assert history[2].before is None
    assert history[2].after is not None
    assert history[2].after["category"] == "mug"


def test_undo_of_each_kind_of_change_brings_back_the_state_before(
    editor: ItemEditor, engine: SearchEngine, log: Path
) -> None:
    states = {item.item_id: (item.key, item.metadata) for item in engine.catalog.iter_items()}
    outcomes = editor.apply(
        [
            ItemChange("patch", MUG, {"price": 1, "new": "x", "title": None}),
            ItemChange("delete", LAMP),
            ItemChange("put", "ring/red-0.jpg", {"title": "other"}, picture=jpeg("ring", "blue", 8)),
            ItemChange("put", "brand-new", {"title": "n"}, picture=jpeg("ring", "red", 8)),
            ItemChange("put", "chair/red-0.jpg", {"only": 1}),
        ],
        actor="test",
    )
    assert "failed" not in [outcome.status for outcome in outcomes]
    before = encoded(log)
    undone = editor.undo([outcome.change_id for outcome in outcomes], "test")
    assert [outcome.status for outcome in undone] == ["updated", "restored", "replaced", "deleted", "updated"]
    assert {item.item_id: (item.key, item.metadata) for item in engine.catalog.iter_items()} == states
    assert len(engine.index) == 48
    assert encoded(log) == before
    again = editor.undo([outcome.change_id for outcome in undone], "test")  # an undo can be undone
    assert "failed" not in [outcome.status for outcome in again]
    assert engine.catalog.get(MUG).metadata["new"] == "x"
    engine.index.save()
    assert verify_catalog(engine.catalog).clean


def test_undo_is_refused_where_the_item_was_changed_since(editor: ItemEditor, engine: SearchEngine) -> None:
    first = one(editor, ItemChange("patch", MUG, {"price": 1}))
    second = one(editor, ItemChange("patch", MUG, {"title": "t"}))
    (refused,) = editor.undo([first.change_id], "test")
    assert refused.code == "changed_since"
    assert engine.catalog.get(MUG).metadata["price"] == 1
    both = editor.undo([first.change_id, second.change_id], "test")
    assert [outcome.status for outcome in both] == ["updated", "updated"]
    (unknown,) = editor.undo([10**9], "test")
    assert unknown.code == "unknown_change"


# --- several at once --------------------------------------------------------------------------------------------


def test_concurrent_changes_and_searches_keep_catalog_index_and_caches_in_step(
    editor: ItemEditor, engine: SearchEngine
) -> None:
    ids = [item.item_id for item in engine.catalog.iter_items()]
    errors: list[str] = []

    def change(worker: int) -> None:
        mine = ids[worker::4]
        for turn in range(6):
            for item_id in mine[:6]:
                done = one(editor, ItemChange("patch", item_id, {"turn": turn}))
                if done.status != "updated" or engine.catalog.get(item_id).metadata["turn"] != turn:
                    errors.append(f"patch of {item_id} was lost")
            gone = mine[6 + turn % 3]
            if one(editor, ItemChange("delete", gone)).status != "deleted" or gone in found(engine, mine[0]):
                errors.append(f"{gone} is still there")
            if one(editor, ItemChange("restore", gone)).status != "restored":
                errors.append(f"{gone} was not restored")
            if gone not in found(engine, mine[0]):
                errors.append(f"{gone} is not found")

    threads = [threading.Thread(target=change, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert np.array_equal(engine.catalog.keys(), engine.index.keys())  # type: ignore[attr-defined]
    fresh = np.sort(engine.catalog.database.keys("SELECT key FROM items"))
    assert np.array_equal(engine.catalog.keys(), fresh)
    engine.index.save()
    assert verify_catalog(engine.catalog).clean


def test_changes_survive_closing_and_opening(colour_catalog: Path) -> None:
    with SearchEngine(Settings.load({}, catalog=colour_catalog), encoder=ColourEncoder()) as engine:
        editor = ItemEditor(engine.catalog, engine.indexes, engine.encoder.get, engine.originals)
        put = one(editor, ItemChange("put", "a", {"n": 1}, picture=jpeg("ring", "green", 5)))
        one(editor, ItemChange("delete", MUG))
        editor.close()
    with CatalogStore.open(colour_catalog) as catalog:
        assert catalog.get("a").metadata == {"n": 1.0}
        assert f"r{catalog.get('a').revision}" == put.etag
        assert catalog.get_many([MUG]) == []
        assert catalog.changes.last > put.change_id


def test_a_patch_stays_until_the_row_of_the_source_changes(
    editor: ItemEditor, engine: SearchEngine, photos: Path, metadata_csv: Path
) -> None:
    def index() -> IndexingReport:
        options = IndexingOptions(metadata=metadata_csv)
        return index_sources(engine.catalog, engine.index, engine.encoder.get(), [photos], options=options)

    index()
    one(editor, ItemChange("patch", MUG, {"price": 4321}))
    assert index().changed == 0
    assert engine.catalog.get(MUG).metadata["price"] == 4321
    text = metadata_csv.read_text()
    row = next(line for line in text.splitlines() if line.startswith(MUG))
    start, _, stock = row.rsplit(",", 2)
    metadata_csv.write_text(text.replace(row, f"{start},77.5,{stock}"))
    assert index().changed == 1
    assert engine.catalog.get(MUG).metadata["price"] == 77.5


def test_the_first_item_of_an_empty_catalog_chooses_its_encoder(tmp_path: Path) -> None:
    settings = Settings.load({}, catalog=tmp_path / "new", encoder="lite")
    with SearchEngine(settings, create=True) as engine:
        editor = ItemEditor(engine.catalog, engine.indexes, engine.encoder_for_changes, engine.originals)
        puts = [ItemChange("put", f"{n}", {"n": n}, picture=jpeg("mug", "red", n)) for n in range(3)]
        assert [outcome.status for outcome in editor.apply(puts, actor="test")] == ["created"] * 3
        assert engine.catalog.encoder_spec == "lite"
        assert sorted(found(engine, "0")) == ["1", "2"]
        editor.close()


def test_a_lost_original_is_a_problem_that_verify_names(editor: ItemEditor, engine: SearchEngine) -> None:
    one(editor, ItemChange("put", "SKU-1", picture=jpeg("mug", "red", 7)))
    engine.index.save()
    assert verify_catalog(engine.catalog).clean
    (original,) = (engine.catalog.folder / "originals").iterdir()
    original.unlink()
    (problem,) = verify_catalog(engine.catalog).problems
    assert "SKU-1" in problem


def test_a_stored_change_is_acknowledged_although_the_index_fails(
    engine: SearchEngine, caplog: pytest.LogCaptureFixture
) -> None:
    class FailingIndex(LocalIndex):
        def refresh(self, keys: Keys) -> None:
            raise OSError("the index is not reachable")

        def sync(self, *, progress: Progress | None = None) -> None:
            raise OSError("the index is not reachable")

    index = FailingIndex(engine.catalog)
    editor = ItemEditor(engine.catalog, lambda: [index], engine.encoder.get, Originals())
    outcome = one(editor, ItemChange("patch", MUG, {"price": 3}))
    assert (outcome.status, engine.catalog.get(MUG).metadata["price"]) == ("updated", 3)
    assert "could not be compared" in caplog.text
    editor.close()


@pytest.mark.parametrize("read_again", [False, True])
def test_an_indexing_run_does_not_undo_what_a_person_changes_meanwhile(
    editor: ItemEditor, engine: SearchEngine, photos: Path, read_again: bool
) -> None:
    patched, removed, replaced = MUG, LAMP, "mug/blue-0.jpg"
    index_sources(engine.catalog, engine.index, engine.encoder.get(), [photos])  # its files are here now
    for number, path in enumerate(sorted(photos.rglob("*.jpg"))):
        status = path.stat()
        if read_again and path.name != "blue-1.jpg":
            draw_photo("ring", "black", number).save(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    one(editor, ItemChange("patch", patched, {"price": 1}))
    data = jpeg("ring", "green", 5)
    changed: list[ChangeOutcome] = []

    def change(_: object) -> None:
        if not changed:  # all photos are looked up, none is stored
            changes = [ItemChange("patch", patched, {"price": 2}), ItemChange("delete", removed)]
            changed.extend(editor.apply([*changes, ItemChange("put", replaced, picture=data)], actor="test"))

    index_sources(engine.catalog, engine.index, engine.encoder.get(), [photos], progress=change)
    assert [outcome.status for outcome in changed] == ["updated", "deleted", "replaced"]
    assert engine.catalog.get(patched).metadata["price"] == 2
    assert engine.catalog.get_many([removed]) == []
    if not read_again:
        assert engine.read_photo(engine.catalog.get(replaced)) == data
