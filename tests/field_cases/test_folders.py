"""Folders of network storage and content management: photos are found, everything else is named in the report."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from photos import draw_photo
from shop_folder import SmallShop

from imgsearch.core.errors import SourceError
from imgsearch.core.records import IndexingReport
from imgsearch.ingest.exclusions import ExclusionRules

PHOTOS = ["lamp/a.jpg", "lamp/b.jpg", "mug/mug.jpg", "mug/ring-1200x800.jpg"]
SYSTEM = [
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "lamp/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
    "#recycle/old.jpg",
    "$RECYCLE.BIN/S-1-5-21/$R1.jpg",
    "System Volume Information/x.jpg",
    "lost+found/x.jpg",
    "__MACOSX/lamp/x.jpg",
    "Thumbs/a.jpg",
    ".Trash-1000/files/x.jpg",
    "Catalog Previews.lrdata/0/x.jpg",
    "media/catalog/product/cache/0f3a/a.jpg",
]
HIDDEN = ["lamp/._a.jpg", ".thumbnails/x.jpg", ".hidden.jpg"]
COPIES = [
    "mug/mug-150x150.jpg",
    "mug/MUG-1024x768.JPG",
    "mug/mug-scaled.jpg",
    "mug/mug.jpg.webp",
    "lamp/a-home_default.jpg",
]


def write(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_photo("mug", "red", number, size_px=48).save(path, "JPEG")


def left_out(report: IndexingReport) -> dict[str, int]:
    return {one.reason: one.count for one in report.left_out}


def test_thumbnails_bins_and_size_copies_are_left_out_and_counted(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    write(tmp_path / "nas", PHOTOS + SYSTEM + HIDDEN + COPIES)
    report = small_shop.index(tmp_path / "nas")
    assert sorted(small_shop.items()) == PHOTOS
    assert left_out(report) == {
        "folders of storage systems, bins and caches": 11,
        "hidden files and folders": 3,
        "copies in another size or format beside the full picture": 5,
    }


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_leave_out_the_same(small_shop: SmallShop, tmp_path: Path, kind: str) -> None:
    write(tmp_path / "nas", PHOTOS + SYSTEM + HIDDEN + COPIES)
    archive = shutil.make_archive(str(tmp_path / "all"), kind, tmp_path / "nas")
    report = small_shop.index(archive)
    assert sorted(small_shop.items()) == PHOTOS
    assert sum(left_out(report).values()) == len(SYSTEM + HIDDEN + COPIES)


def test_a_size_in_a_name_without_a_full_picture_is_kept(small_shop: SmallShop, tmp_path: Path) -> None:
    write(tmp_path / "wp", ["only-300x200.jpg", "poster-scaled.jpg", "poster-300x200.jpg"])
    small_shop.index(tmp_path / "wp")
    assert sorted(small_shop.items()) == ["only-300x200.jpg", "poster-scaled.jpg"]


def test_everything_can_be_included(small_shop: SmallShop, tmp_path: Path) -> None:
    write(tmp_path / "nas", PHOTOS + SYSTEM + HIDDEN + COPIES)
    report = small_shop.index(tmp_path / "nas", rules=ExclusionRules(include_all=True))
    assert len(small_shop.items()) == len(PHOTOS + SYSTEM + HIDDEN + COPIES)
    assert report.left_out == ()


def test_patterns_of_the_command_and_of_ignore_files_leave_out_more(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    write(
        shop,
        [
            "a.jpg",
            "a_back.jpg",
            "drafts/b.jpg",
            "drafts/keep/c.jpg",
            "old/d.jpg",
            "old/e_back.jpg",
            "old/f.jpg",
        ],
    )
    (shop / ".imgsearchignore").write_text("# not for the shop\ndrafts/*\n!drafts/keep/\n", encoding="utf-8")
    (shop / "old/.imgsearchignore").write_text("/f.jpg\n", encoding="utf-8")
    report = json.loads(
        small_shop.run("index", shop, "--encoder", "lite", "--exclude", "*_back.jpg", "--json")[0]
    )
    assert sorted(small_shop.items()) == ["a.jpg", "drafts/keep/c.jpg", "old/d.jpg"]
    assert [(one["reason"], one["count"]) for one in report["left_out"]] == [("excluded by a pattern", 4)]


def test_a_pattern_that_is_not_valid_is_refused_in_a_sentence(small_shop: SmallShop, tmp_path: Path) -> None:
    write(tmp_path / "shop", ["a.jpg"])
    _, problem = small_shop.run("index", tmp_path / "shop", "--exclude", "x" * 2000, code=1)
    assert "pattern of --exclude" in problem
    assert not small_shop.folder.exists()
    (tmp_path / "shop/.imgsearchignore").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="not UTF-8 text"):
        small_shop.index(tmp_path / "shop")


def test_other_kinds_of_files_and_linked_folders_are_named(small_shop: SmallShop, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    write(shop, ["a.jpg", "B.JPEG"])
    for name in ("raw.CR2", "raw2.cr2", "art.psd", "logo.svg", "new.jxl", "notes.txt", "prices.csv"):
        (shop / name).write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (shop / "linked").symlink_to(tmp_path / "elsewhere")
    report = small_shop.index(shop)
    assert sorted(small_shop.items()) == ["B.JPEG", "a.jpg"]
    found = {one.reason: (one.count, one.examples) for one in report.left_out}
    assert found["pictures of kinds that cannot be read"] == (5, (".psd", ".svg", ".jxl"))
    assert found["other files"] == (2, (".txt", ".csv"))
    assert found["links to folders, which are not followed"] == (1, ("linked",))
    output, _ = small_shop.run("info")
    assert "Items" in output


def test_the_command_prints_what_was_left_out(small_shop: SmallShop, tmp_path: Path) -> None:
    write(tmp_path / "shop", ["a.jpg", "@eaDir/a.jpg"])
    (tmp_path / "shop/x.psd").write_bytes(b"x")
    output, _ = small_shop.run("index", tmp_path / "shop", "--encoder", "lite")
    assert "1 folders of storage systems, bins and caches: @eaDir" in output
    assert "1 pictures of kinds that cannot be read: .psd" in output


def test_a_picture_without_an_ending_is_found_by_its_content(small_shop: SmallShop, tmp_path: Path) -> None:
    write(tmp_path / "shop", ["0a1b2c", "photo 7"])
    draw_photo("mug", "red", 9, size_px=48).save(tmp_path / "shop/webp", "WEBP")
    (tmp_path / "shop/README").write_text("no picture", encoding="utf-8")
    report = small_shop.index(tmp_path / "shop")
    assert sorted(small_shop.items()) == ["0a1b2c", "photo 7", "webp"]
    assert left_out(report) == {"other files": 1}


def test_a_zip_of_a_mac_has_only_its_photos(small_shop: SmallShop, tmp_path: Path) -> None:
    write(tmp_path / "x", ["a.jpg"])
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        archive.write(tmp_path / "x/a.jpg", "shop/a.jpg")
        archive.write(tmp_path / "x/a.jpg", "__MACOSX/shop/._a.jpg")
        archive.writestr("shop/.DS_Store", b"x")
    report = small_shop.index(tmp_path / "mac.zip")
    assert list(small_shop.items()) == ["shop/a.jpg"]
    assert sum(left_out(report).values()) == 2
