"""On a full disk what was stored is read, and what cannot be stored is refused in one sentence; nothing is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from disks import fill_up, small_disk
from shop_folder import SmallShop, fill

from imgsearch.core.errors import DiskFull
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache


@pytest.fixture
def full(small_shop: SmallShop, tmp_path: Path) -> Iterator[SmallShop]:
    """Return a shop of 6 photos whose catalog is on a small disk that is not full yet."""
    with small_disk(tmp_path / "disk", "24m") as folder:
        small_shop.folder = folder / "catalog"
        fill(tmp_path / "photos", 6)
        yield small_shop


def test_a_full_disk_is_read_and_named(full: SmallShop, tmp_path: Path) -> None:
    full.run("index", tmp_path / "photos", "--encoder", "lite")
    filler = fill_up(full.folder.parent)
    assert json.loads(full.run("info", "--json")[0])["items"] == 6
    assert len(json.loads(full.run("search", "--item", "000.jpg", "--json")[0])["hits"]) == 5
    fill(tmp_path / "photos", 6, first=30)
    for command in (["index", str(tmp_path / "photos")], ["remove", "000.jpg"]):
        _, problem = full.run(*command, code=1)
        assert problem.splitlines()[-1].startswith("imgsearch: The disk of ")
        assert "Free some space" in problem
    filler.unlink()
    report = json.loads(full.run("index", tmp_path / "photos", "--json")[0])
    assert (report["added"], report["failed"]) == (6, [])
    assert "sound" in full.run("verify")[0]


@pytest.mark.parametrize("left_kib", [8, 64, 200, 400, 800, 1600])
def test_a_disk_that_fills_up_during_a_run_loses_nothing(
    full: SmallShop, tmp_path: Path, left_kib: int
) -> None:
    full.index(tmp_path / "photos")
    before = full.items()
    filler = fill_up(full.folder.parent, leave_bytes=left_kib * 1024)
    fill(tmp_path / "photos", 40, first=30)
    problem = "Free some space"
    try:
        full.index(tmp_path / "photos")
    except DiskFull as error:
        problem = str(error)
    filler.unlink()
    assert "Free some space" in problem
    assert "serialize" not in problem
    assert before.items() <= full.items().items()
    full.index(tmp_path / "photos")
    assert len(full.items()) == 46
    assert "sound" in full.run("verify")[0]


def test_thumbnails_are_served_and_made_on_a_full_disk(full: SmallShop, tmp_path: Path) -> None:
    full.index(tmp_path / "photos")
    with CatalogStore.open(full.folder) as catalog, closing(Originals()) as originals:
        thumbnails = ThumbnailCache(full.folder / "thumbnails", originals, max_bytes=10**6)
        item, other = catalog.get("000.jpg"), catalog.get("001.jpg")
        made = thumbnails.get(item, 192)
        fill_up(full.folder.parent)
        assert thumbnails.get(item, 192) == made
        assert len(thumbnails.get(other, 192).data) > 100
        assert not list((full.folder / "thumbnails").rglob(f"{other.key:x}.webp"))
    shutil.rmtree(full.folder)
