"""A photo under a new path or id keeps its embedding and all that is known of its item; nothing is encoded."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shop_folder import SmallShop, fill

from imgsearch.core.query import Query, Term
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment
from imgsearch.search.ranking.rules import Rule, Rules
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.collections import Collections
from imgsearch.store.feedback import FeedbackLog


def table(path: Path, ids: dict[str, str]) -> Path:
    path.write_text(
        "id,image,title\n" + "".join(f"{one},{image},Title of {one}\n" for one, image in ids.items())
    )
    return path


def test_photos_sorted_into_new_folders_keep_their_keys(small_shop: SmallShop, tmp_path: Path) -> None:
    paths = fill(tmp_path / "photos")
    small_shop.index(tmp_path / "photos")
    before = small_shop.items()
    for path in paths[:8]:
        (tmp_path / "photos/2025").mkdir(exist_ok=True)
        path.rename(tmp_path / "photos/2025" / path.name)
    report = small_shop.index(tmp_path / "photos", prune=True)
    assert (report.added, report.changed, report.unchanged, report.vanished) == (0, 0, 8, 0)
    assert report.moved == tuple((f"{n:03d}.jpg", f"2025/{n:03d}.jpg") for n in range(8))
    assert small_shop.encoded == 16
    after = small_shop.items()
    assert {after[new].key for _, new in report.moved} == {before[old].key for old, _ in report.moved}
    assert report.as_dict()["moved"][0] == {"from": "000.jpg", "to": "2025/000.jpg"}
    again = small_shop.index(tmp_path / "photos")
    assert (again.unchanged, again.moved) == (16, ())
    with CatalogStore.open(small_shop.folder) as catalog:
        assert [change.kind for change in catalog.changes.of_item("2025/000.jpg")] == ["put"]


def test_new_ids_of_a_table_keep_their_items_and_take_the_new_rows(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    paths = fill(tmp_path / "photos", 4)
    old = table(tmp_path / "a.csv", {f"A{n}": f"photos/{path.name}" for n, path in enumerate(paths)})
    small_shop.index(old)
    keys = {item.location: item.key for item in small_shop.items().values()}
    table(tmp_path / "a.csv", {f"B{n}": f"photos/{path.name}" for n, path in enumerate(paths)})
    report = small_shop.index(old)
    assert report.moved == tuple((f"A{n}", f"B{n}") for n in range(4))
    assert {item.location: item.key for item in small_shop.items().values()} == keys
    assert small_shop.items()["B1"].metadata["title"] == "Title of B1"
    assert small_shop.encoded == 4


def test_judgments_clicks_rules_and_collections_follow_the_item(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    paths = fill(tmp_path / "photos", 4)
    small_shop.index(tmp_path / "photos")
    by_item = query_key(Query((Term("item", "000.jpg"), Term("item", "001.jpg", 0.6))))
    with CatalogStore.open(small_shop.folder) as catalog:
        with closing(FeedbackLog(catalog.database)) as feedback:
            feedback.record_judgment(Judgment(by_item, "000.jpg", "good", "ada"))
        Rules(catalog).save(Rule("pin", item_ids=("000.jpg",)), author="ada")
        saved = Collections(catalog).create("Mugs", "ada", ["000.jpg"], [by_item])
    paths[0].rename(tmp_path / "photos/mug & co.jpg")
    small_shop.index(tmp_path / "photos")
    renamed = query_key(Query((Term("item", "mug & co.jpg"), Term("item", "001.jpg", 0.6))))
    with CatalogStore.open(small_shop.folder) as catalog:
        judged = FeedbackLog(catalog.database).latest_judgments()
        assert judged[["query_key", "item_id"]].values.tolist() == [[renamed, "mug & co.jpg"]]
        assert Rules(catalog).all()[0].item_ids == ("mug & co.jpg",)
        found = Collections(catalog).get(saved.id)
        assert (found.items, found.queries) == (("mug & co.jpg",), (renamed,))


def test_rules_of_an_open_catalog_follow_too(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos", 2)
    small_shop.index(tmp_path / "photos")
    with CatalogStore.open(small_shop.folder) as catalog:
        rules = Rules(catalog)
        rules.save(Rule("hide", item_ids=("000.jpg",)), author="ada")
        (photo,) = catalog.stored_photos(["000.jpg"]).values()
        hidden = rules.hidden_keys().tolist()
        catalog.rename({"000.jpg": replace(photo, item_id="new.jpg")})
        assert rules.all()[0].item_ids == ("new.jpg",)
        assert rules.hidden_keys().tolist() == hidden == [photo.key]


def test_a_copy_takes_the_embedding_and_leaves_the_first_item_alone(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    paths = fill(tmp_path / "photos", 4)
    small_shop.index(tmp_path / "photos")
    shutil.copy(paths[0], tmp_path / "photos/copy.jpg")
    report = small_shop.index(tmp_path / "photos")
    assert (report.added, report.unchanged, report.moved) == (1, 4, ())
    assert small_shop.encoded == 4
    with CatalogStore.open(small_shop.folder) as catalog:
        keys = [catalog.get(name).key for name in ("000.jpg", "copy.jpg")]
        assert keys[0] != keys[1]
        first, second = catalog.vectors(np.array(keys, np.uint64))
        assert (first == second).all()
        assert catalog.looks.has(np.array(keys, np.uint64)).all()


def test_a_photo_of_another_source_is_not_taken_from_it(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "shop", 3)
    small_shop.index(tmp_path / "shop")
    for number, path in enumerate(fill(tmp_path / "supplier", 3)):
        path.rename(tmp_path / f"supplier/s{number}.jpg")
    report = small_shop.index(tmp_path / "supplier")
    assert (report.added, report.moved, small_shop.encoded) == (3, (), 3)
    assert len(small_shop.items()) == 6


def test_a_disk_that_is_not_mounted_loses_only_photos_of_the_same_name(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    fill(tmp_path / "disk/a", 3)
    small_shop.index(tmp_path / "disk")
    shutil.move(tmp_path / "disk", tmp_path / "unplugged")
    fill(tmp_path / "here/b", 2)
    (tmp_path / "here/b/001.jpg").rename(tmp_path / "here/b/other.jpg")
    report = small_shop.index(tmp_path / "here")
    assert report.moved == (("a/000.jpg", "b/000.jpg"),)
    assert (report.added, small_shop.encoded) == (1, 3)


def test_of_several_equal_photos_each_takes_one_place(small_shop: SmallShop, tmp_path: Path) -> None:
    (first,) = fill(tmp_path / "photos", 1)
    for name in ("b.jpg", "c.jpg"):
        shutil.copy(first, tmp_path / "photos" / name)
    small_shop.index(tmp_path / "photos")
    keys = {name: item.key for name, item in small_shop.items().items()}
    (tmp_path / "photos/new").mkdir()
    for old, new in (("c.jpg", "new/c.jpg"), ("000.jpg", "new/x.jpg")):
        (tmp_path / "photos" / old).rename(tmp_path / "photos" / new)
    shutil.copy(tmp_path / "photos/b.jpg", tmp_path / "photos/new/y.jpg")
    report = small_shop.index(tmp_path / "photos")
    assert report.moved == (("000.jpg", "new/x.jpg"), ("c.jpg", "new/c.jpg"))
    after = {name: item.key for name, item in small_shop.items().items()}
    assert (after["new/c.jpg"], after["new/x.jpg"], after["b.jpg"]) == (
        keys["c.jpg"],
        keys["000.jpg"],
        keys["b.jpg"],
    )
    assert report.added == 1


def test_photos_that_exchange_their_names_are_not_encoded(small_shop: SmallShop, tmp_path: Path) -> None:
    paths = fill(tmp_path / "photos", 6)
    small_shop.index(tmp_path / "photos")
    content = [path.read_bytes() for path in paths]
    for number, path in enumerate(paths):  # a photo was put in front of a numbered series
        path.write_bytes(content[number - 1])
    report = small_shop.index(tmp_path / "photos")
    assert (report.changed, report.moved, small_shop.encoded) == (6, (), 6)
    assert small_shop.index(tmp_path / "photos").unchanged == 6


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_folder_that_became_an_archive_is_the_same_source(
    small_shop: SmallShop, tmp_path: Path, kind: str
) -> None:
    fill(tmp_path / "photos/shoes", 4)
    small_shop.index(tmp_path / "photos/shoes")
    archive = shutil.make_archive(str(tmp_path / "all"), kind, tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos")
    report = small_shop.index(archive)
    assert report.moved == tuple((f"{n:03d}.jpg", f"shoes/{n:03d}.jpg") for n in range(4))
    assert small_shop.encoded == 4


def test_the_command_prints_what_moved(small_shop: SmallShop, tmp_path: Path) -> None:
    paths = fill(tmp_path / "photos", 3)
    small_shop.run("index", tmp_path / "photos", "--encoder", "lite")
    paths[0].rename(tmp_path / "photos/new.jpg")
    output, _ = small_shop.run("index", tmp_path / "photos")
    assert "1  moved" in output
    assert "  000.jpg -> new.jpg" in output


def test_a_folder_copied_to_another_disk_is_the_same_source(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos")
    small_shop.index(tmp_path / "photos")
    shutil.copytree(tmp_path / "photos", tmp_path / "other-disk")
    report = small_shop.index(tmp_path / "other-disk")
    assert (report.unchanged, report.failed, small_shop.encoded) == (16, (), 16)
    assert str(tmp_path / "other-disk") in small_shop.items()["000.jpg"].location


def test_uncompressed_photos_which_all_have_one_size_are_recognised(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(80):
        Image.new("RGB", (8, 8), (number, 3 * number, 200 - number)).save(folder / f"{number:02d}.bmp")
    small_shop.index(folder)
    (folder / "new").mkdir()
    for number in range(0, 80, 10):
        (folder / f"{number:02d}.bmp").rename(folder / f"new/{number:02d}.bmp")
    report = small_shop.index(folder)
    assert (len(report.moved), report.added, small_shop.encoded) == (8, 0, 80)
