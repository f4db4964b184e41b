"""A catalog on a read-only disk is searched and described; what would change it is refused in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from disks import make_read_only, small_disk
from shop_folder import SmallShop, fill

from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import CatalogError
from imgsearch.store.catalog import CatalogStore


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "64m") as folder:
        yield folder


def test_search_and_info_work_and_changes_are_refused(
    small_shop: SmallShop, tmp_path: Path, disk: Path
) -> None:
    fill(tmp_path / "photos", 4)
    small_shop.run("index", tmp_path / "photos", "--encoder", "lite")
    small_shop.folder = shutil.copytree(small_shop.folder, disk / "catalog")
    make_read_only(disk)
    found = json.loads(small_shop.run("search", "--text", "mug", "-n", "3", "--json")[0])
    assert len(found["hits"]) == 3
    found = json.loads(small_shop.run("search", "--item", "000.jpg", "-n", "3", "--json")[0])
    assert len(found["hits"]) == 3
    assert json.loads(small_shop.run("info", "--json")[0])["items"] == 4
    assert "sound" in small_shop.run("verify")[0]
    for command in (["remove", "000.jpg"], ["index", str(tmp_path / "photos")]):
        _, problem = small_shop.run(*command, code=1)
        assert len(problem.splitlines()) == 1
        assert "cannot be written" in problem
    with pytest.raises(CatalogError, match="cannot be written"):
        SearchService.open(Settings.load({}, catalog=small_shop.folder))


def test_an_old_catalog_must_be_copied_first(small_shop: SmallShop, tmp_path: Path, disk: Path) -> None:
    fill(tmp_path / "photos", 2)
    small_shop.index(tmp_path / "photos")
    small_shop.folder = shutil.copytree(small_shop.folder, disk / "catalog")
    with duckdb.connect(str(disk / "catalog/catalog.duckdb")) as database:
        database.execute("DELETE FROM schema_version WHERE version > 12")
    make_read_only(disk)
    _, problem = small_shop.run("info", code=1)
    assert "copy it to a disk that can be written" in problem


def test_a_copy_of_an_open_catalog_is_read_with_its_last_changes(
    small_shop: SmallShop, tmp_path: Path, disk: Path
) -> None:
    fill(tmp_path / "photos", 3)
    small_shop.index(tmp_path / "photos")
    with CatalogStore.open(small_shop.folder) as catalog:
        catalog.settings.save(note="kept")
        copied = shutil.copytree(small_shop.folder, disk / "catalog")
    make_read_only(disk)
    with CatalogStore.open(copied) as catalog:
        assert (len(catalog), catalog.settings.get("note")) == (3, "kept")
