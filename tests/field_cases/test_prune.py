"""Pruning never empties a catalog by mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shop_folder import SmallShop, fill

from imgsearch.core.errors import ConfigError
from imgsearch.ingest.pruning import NO_LIMIT, PruneLimit


def test_an_empty_mount_point_removes_nothing_and_says_so(small_shop: SmallShop, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    fill(disk)
    small_shop.run("index", disk, "--encoder", "lite")
    shutil.rmtree(disk)
    disk.mkdir()
    _, problem = small_shop.run("index", disk, "--prune", code=1)
    assert f"Would remove 16 of 16 items (100%) of {disk}" in problem
    assert "not mounted" in problem
    assert problem.rstrip().endswith("not done; pass --yes to remove them.")
    assert len(small_shop.items()) == 16
    report = json.loads(small_shop.run("index", disk, "--prune", "--yes", "--json")[0])
    assert (report["removed"], report["not_removed"]) == (16, "")
    assert not small_shop.items()


def test_a_disk_with_other_photos_does_not_hide_the_loss(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "disk")
    small_shop.index(tmp_path / "disk")
    shutil.rmtree(tmp_path / "disk")
    fill(tmp_path / "disk", 100, first=100)
    report = small_shop.index(tmp_path / "disk", prune=True)
    assert (report.added, report.vanished, report.removed) == (100, 16, 0)
    assert "16 of 16 items (100%)" in report.not_removed


def test_a_few_photos_are_removed_without_a_question(small_shop: SmallShop, tmp_path: Path) -> None:
    for path in fill(tmp_path / "photos")[:5]:
        small_shop.index(tmp_path / "photos")
        path.unlink()
    report = small_shop.index(tmp_path / "photos", prune=True)
    assert (report.removed, report.not_removed) == (5, "")


def test_the_share_may_be_chosen(small_shop: SmallShop, tmp_path: Path) -> None:
    paths = fill(tmp_path / "photos")
    small_shop.index(tmp_path / "photos")
    for path in paths[:8]:
        path.unlink()
    limits = [PruneLimit(), PruneLimit.parse("40%"), PruneLimit.parse("7"), PruneLimit.parse("50%")]
    removed = [
        small_shop.index(tmp_path / "photos", prune=True, prune_limit=limit).removed for limit in limits
    ]
    assert removed == [0, 0, 0, 8]


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "101%", "nan", "nan%", "1.5", "%", "1" * 1000, "inf", "inf%"]
)
def test_a_limit_that_is_none_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="share such as 60%"):
        PruneLimit.parse(text)


def test_one_source_over_the_limit_keeps_the_items_of_all(small_shop: SmallShop, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    paths = fill(here)
    fill(there, first=50)
    small_shop.index(here, there)
    paths[0].unlink()
    shutil.rmtree(there)
    there.mkdir()
    report = small_shop.index(here, there, prune=True)
    assert (report.vanished, report.removed) == (17, 0)
    assert str(there) in report.not_removed
    assert f"of {here}" not in report.not_removed


def test_a_manifest_whose_photos_are_not_there_removes_nothing(small_shop: SmallShop, tmp_path: Path) -> None:
    paths = fill(tmp_path / "photos")
    table = tmp_path / "table.csv"
    rows = "".join(f"p{number},photos/{path.name}\n" for number, path in enumerate(paths))
    table.write_text("id,image\n" + rows)
    small_shop.index(table)
    shutil.rmtree(tmp_path / "photos")
    report = small_shop.index(table, prune=True, prune_limit=NO_LIMIT)
    assert (report.vanished, report.removed, len(report.failed)) == (0, 0, 16)
    assert "None of 16 photos could be indexed" in report.problem
    assert len(small_shop.items()) == 16


def test_an_unreadable_photo_keeps_its_item(small_shop: SmallShop, tmp_path: Path) -> None:
    paths = fill(tmp_path / "photos")
    small_shop.index(tmp_path / "photos")
    paths[0].write_bytes(b"no picture")
    paths[1].unlink()
    paths[1].symlink_to(tmp_path / "nowhere.jpg")
    report = small_shop.index(tmp_path / "photos", prune=True, prune_limit=NO_LIMIT)
    assert (report.vanished, report.removed, len(report.failed)) == (0, 0, 2)
    assert len(small_shop.items()) == 16


def test_a_damaged_archive_removes_nothing(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos")
    archive = Path(shutil.make_archive(str(tmp_path / "all"), "tar", tmp_path / "photos"))
    small_shop.index(archive)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    report = small_shop.index(archive, prune=True, prune_limit=NO_LIMIT)
    assert (report.removed, len(small_shop.items())) == (0, 16)


def test_where_everything_failed_the_command_exits_with_1(small_shop: SmallShop, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(b"no picture")
    output, problem = small_shop.run("index", folder, "--encoder", "lite", "--json", code=1)
    assert len(json.loads(output)["failed"]) == 3
    assert problem.splitlines()[-1].startswith(
        "imgsearch: None of 3 photos could be indexed; the first, 0.jpg:"
    )
    fill(folder, 1, first=7)
    small_shop.run("index", folder)
