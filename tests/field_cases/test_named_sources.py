"""Sources with names: exports under new names, forgotten sources, removals that are remembered and taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shop_folder import SmallShop, fill

from imgsearch.core.errors import SourceError
from imgsearch.ingest.pruning import NO_LIMIT
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.source_table import SourceTable


def export(folder: Path, name: str, numbers: range) -> Path:
    """Write a table of the photos of these numbers."""
    fill(folder / "photos", numbers.stop)
    path = folder / name
    path.write_text("id,image\n" + "".join(f"p{n},photos/{n:03d}.jpg\n" for n in numbers))
    return path


def test_a_daily_export_under_a_new_name_is_compared_with_yesterdays(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    monday = export(tmp_path, "export-2026-01-05.csv", range(10))
    small_shop.index(monday, source="shop")
    monday.unlink()
    tuesday = export(tmp_path, "export-2026-01-06.csv", range(2, 11))
    report = small_shop.index(tuesday, source="shop", prune=True)
    assert (report.added, report.unchanged, report.vanished, report.removed) == (1, 8, 2, 2)
    assert sorted(small_shop.items()) == sorted(f"p{n}" for n in range(2, 11))
    (listed,) = json.loads(small_shop.run("sources", "list", "--json")[0])
    assert (listed["name"], listed["places"], listed["items"]) == ("shop", [str(tuesday)], 9)


def test_a_table_and_its_folder_are_one_source_of_a_name(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "more", 3, first=50)
    small_shop.index(export(tmp_path, "a.csv", range(4)), tmp_path / "more", source="shop")
    (tmp_path / "more/050.jpg").unlink()
    report = small_shop.index(tmp_path / "a.csv", tmp_path / "more", source="shop", prune=True)
    assert (report.removed, len(small_shop.items())) == (1, 6)


def test_the_same_places_keep_their_name(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos", 6)
    small_shop.index(tmp_path / "photos", source="shop")
    (tmp_path / "photos/000.jpg").unlink()
    report = small_shop.index(tmp_path / "photos", prune=True)
    assert (report.unchanged, report.removed) == (5, 1)
    (listed,) = json.loads(small_shop.run("sources", "list", "--json")[0])
    assert (listed["name"], listed["items"], listed["listed"]) == ("shop", 5, 5)


def test_a_source_gets_a_name_later(small_shop: SmallShop, tmp_path: Path) -> None:
    monday = export(tmp_path, "monday.csv", range(6))
    small_shop.index(monday)
    output, _ = small_shop.run("sources", "rename", str(monday), "shop")
    assert "The source shop has 6 items" in output
    tuesday = export(tmp_path, "tuesday.csv", range(1, 6))
    assert small_shop.index(tuesday, source="shop", prune=True).removed == 1


def test_naming_a_source_takes_its_vanished_items_along(small_shop: SmallShop, tmp_path: Path) -> None:
    paths = fill(tmp_path / "photos", 6)
    small_shop.index(tmp_path / "photos")
    paths[0].unlink()
    assert small_shop.index(tmp_path / "photos", source="shop", prune=True).removed == 1


def test_a_forgotten_source_leaves_with_its_items_and_can_return(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    fill(tmp_path / "photos", 6)
    small_shop.index(tmp_path / "photos", source="shop")
    _, problem = small_shop.run("sources", "forget", "shop", code=1)
    assert "shop has 6 items; pass --yes" in problem
    small_shop.run("sources", "forget", "shop", "--yes")
    assert not small_shop.items()
    assert json.loads(small_shop.run("sources", "list", "--json")[0]) == []
    encoded = small_shop.encoded
    assert "Restored 6 items" in small_shop.run("restore-items", "--last-run")[0]
    assert (len(small_shop.items()), small_shop.encoded) == (6, encoded)
    small_shop.run("sources", "forget", "shop", "--yes")
    assert small_shop.index(tmp_path / "photos").added == 6


def test_a_removal_by_hand_is_remembered(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos", 6)
    small_shop.index(tmp_path / "photos")
    small_shop.run("remove", "000.jpg", "001.jpg")
    report = small_shop.index(tmp_path / "photos")
    assert (report.added, report.unchanged, report.failed) == (0, 4, ())
    assert [(one.count, one.examples) for one in report.left_out] == [(2, ("000.jpg", "001.jpg"))]
    assert small_shop.index(tmp_path / "photos", restore=True).added == 2
    assert small_shop.index(tmp_path / "photos").unchanged == 6


def test_pruned_items_are_brought_back_with_what_they_were(small_shop: SmallShop, tmp_path: Path) -> None:
    table = export(tmp_path, "a.csv", range(8))
    table.write_text(
        table.read_text().replace("id,image\n", "id,image,title\n").replace(".jpg\n", ".jpg,Mug\n")
    )
    small_shop.index(table)
    before = small_shop.items()
    table.write_text("id,image,title\np0,photos/000.jpg,Mug\n")
    assert small_shop.index(table, prune=True, prune_limit=NO_LIMIT).removed == 7
    done = json.loads(small_shop.run("restore-items", "--since", "1h", "--json")[0])
    assert (len(done["restored"]), done["failed"]) == (7, [])
    after = small_shop.items()
    assert {one: item.metadata for one, item in after.items()} == {
        one: item.metadata for one, item in before.items()
    }
    assert small_shop.encoded == 8
    table.write_text("id,image,title\n" + "".join(f"p{n},photos/{n:03d}.jpg,Mug\n" for n in range(8)))
    assert small_shop.index(table).unchanged == 8


def test_only_what_was_named_is_restored(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos", 4)
    small_shop.index(tmp_path / "photos")
    small_shop.run("remove", "000.jpg", "001.jpg", "002.jpg")
    small_shop.run("restore-items", "001.jpg")
    assert sorted(small_shop.items()) == ["001.jpg", "003.jpg"]
    _, problem = small_shop.run("restore-items", "none.jpg", code=1)
    assert "no removed item 'none.jpg'" in problem
    _, problem = small_shop.run("restore-items", "--since", "soon", code=2)


@pytest.mark.parametrize("name", ["a/b", "/shop", "", " x", "x" * 101, "new\nline", "-x", "..", "a\\b"])
def test_a_name_that_could_be_a_place_is_refused(small_shop: SmallShop, tmp_path: Path, name: str) -> None:
    fill(tmp_path / "photos", 1)
    small_shop.index(tmp_path / "photos")
    with (
        CatalogStore.open(small_shop.folder) as catalog,
        pytest.raises(SourceError, match="not a name for a"),
    ):
        SourceTable(catalog).rename(str(tmp_path / "photos"), name)
    if name:
        with pytest.raises(SourceError, match="not a name for a source"):
            small_shop.index(tmp_path / "photos", source=name)


def test_ids_of_a_named_source_are_not_taken(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos", 2)
    small_shop.index(tmp_path / "photos", source="shop")
    fill(tmp_path / "other", 2, first=60)
    for number in range(2):
        (tmp_path / f"other/{60 + number:03d}.jpg").rename(tmp_path / f"other/{number:03d}.jpg")
    report = small_shop.index(tmp_path / "other")
    assert len(report.failed) == 2
    assert "of the source shop. Pass --take-over" in report.failed[0].reason
    assert small_shop.index(tmp_path / "other", take_over=True).changed == 2
