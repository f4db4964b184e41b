"""Rows reach their photos: other spellings, folders, formats; ids that are product numbers; pages beside photos."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import generate
import pytest
from shop_folder import SmallShop

from imgsearch.ingest.feeds import FeedOptions, MetadataFile, open_feed
from imgsearch.ingest.sources import open_sources
from imgsearch.store.item_table import Photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate.photos(tmp_path)
    return tmp_path


def table(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def files(path: Path, **options: object) -> list[str]:
    """Return the photo's path below the table's folder, or the reason of the failure, of each row."""
    feed = open_feed(path, options=FeedOptions(**options))  # type: ignore[arg-type]
    return [
        Path(entry.location).relative_to(path.parent).as_posix() if isinstance(entry, Photo) else entry.reason
        for entry in feed.photos()
    ]


# --- a table as the source ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        "photos/mug.jpg",
        "mug.jpg",
        "PHOTOS/Mug.JPG",
        "images/mug.jpg",
        "/photos/mug.jpg",
        "photos\\mug.jpg",
        "C:\\shop\\photos\\mug.jpg",
        "mug.png",
        "mug",
        " photos/mug.jpg ",
        "photos/mug.jpg?v=3",
        "photos/%6Dug.jpg",
        "file:///srv/shop/photos/mug.jpg",
    ],
)
def test_a_cell_reaches_its_photo_in_another_spelling_folder_or_format(folder: Path, cell: str) -> None:
    assert files(table(folder / "t.csv", f"id,image\n1,{cell}\n2,photos/lamp.jpg\n")) == [
        "photos/mug.jpg",
        "photos/lamp.jpg",
    ]


@pytest.mark.parametrize(("stored", "given"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names_are_the_same(tmp_path: Path, stored: str, given: str) -> None:
    name = "Käse-Brücke.jpg"
    (photo,) = generate.write_tiny_photos(tmp_path / "p", [unicodedata.normalize(stored, name)])
    path = table(tmp_path / "t.csv", f"id,image\n1,p/{unicodedata.normalize(given, name)}\n")
    assert files(path) == [photo.relative_to(tmp_path).as_posix()]


def test_two_files_of_one_name_are_reported_and_the_nearer_path_wins(tmp_path: Path) -> None:
    generate.write_tiny_photos(tmp_path, ["a/1.jpg", "b/1.jpg", "c/2.jpg"])
    path = table(tmp_path / "t.csv", "id,image\n1,1.jpg\n2,old/b/1.jpg\n3,2.jpg\n")
    first, second, third = files(path)
    assert "may be" in first
    assert "a/1.jpg and" in first
    assert "give its path" in first
    assert (second, third) == ("b/1.jpg", "c/2.jpg")


def test_photos_may_be_in_the_root_or_in_a_folder_of_the_same_command(tmp_path: Path) -> None:
    generate.write_tiny_photos(tmp_path / "shop/photos", ["mug.jpg"])
    path = table(tmp_path / "lists/t.csv", "id,image\n1,mug.jpg\n")
    (failure,) = open_feed(path).photos()
    assert not isinstance(failure, Photo)
    for options in (
        FeedOptions(root=tmp_path / "shop"),
        FeedOptions(folders=(tmp_path / "shop/photos",)),
    ):
        (photo,) = open_feed(path, options=options).photos()
        assert isinstance(photo, Photo)
        assert photo.location == str(tmp_path / "shop/photos/mug.jpg")
    feed = open_sources([path, tmp_path / "shop"])[0]
    (photo,) = feed.photos()
    assert isinstance(photo, Photo)


def test_the_folder_where_most_rows_have_a_file_counts(tmp_path: Path) -> None:
    generate.write_tiny_photos(tmp_path / "lists", ["1.jpg"])
    generate.write_tiny_photos(tmp_path / "photos", ["1.jpg", "2.jpg", "3.jpg"])
    path = table(tmp_path / "lists/t.csv", "id,image\n1,1.jpg\n2,2.jpg\n3,3.jpg\n")
    feed = open_feed(path, options=FeedOptions(folders=(tmp_path / "photos",)))
    found = [entry.location for entry in feed.photos() if isinstance(entry, Photo)]
    assert found == [str(tmp_path / f"photos/{number}.jpg") for number in (1, 2, 3)]
    assert any(f"3 in {tmp_path / 'photos'}" in note for note in feed.notes())


def test_nothing_outside_the_allowed_folders_is_found_by_its_name(tmp_path: Path) -> None:
    generate.write_tiny_photos(tmp_path, ["secret.jpg"])
    (tmp_path / "shop/photos").mkdir(parents=True)
    (tmp_path / "shop/photos/secret.jpg").symlink_to(tmp_path / "secret.jpg")
    path = table(tmp_path / "shop/t.csv", "id,image\n1,../secret.jpg\n2,secret.jpg\n3,SECRET.JPG\n")
    reasons = [entry.reason for entry in open_feed(path).photos() if not isinstance(entry, Photo)]
    assert len(reasons) == 3
    assert "--root" in reasons[0]


@pytest.mark.parametrize(
    ("header", "row", "image"),
    [
        ("id,url,image_url", "1,https://x.example/p/mug,photos/mug.jpg", "image_url"),
        ("id,path,image_path", "1,/shop/mug,photos/mug.jpg", "image_path"),
        ("id,link,picture", "1,https://x.example/p/mug,photos/mug.jpg", "picture"),
        ("id,url,title", "1,photos/mug.jpg,Mug", "url"),
        ("id,url,Bild", "1,https://x.example/p/mug,photos/mug.jpg", "Bild"),
        ("id,Image URL,image", "1,photos/mug.jpg,", "Image URL"),
        ("id,file,url", "1,photos/mug.jpg,https://x.example/p/mug", "file"),
    ],
)
def test_a_column_of_photos_is_preferred_over_one_of_pages(
    folder: Path, header: str, row: str, image: str
) -> None:
    path = table(folder / "t.csv", f"{header}\n{row}\n")
    assert files(path) == ["photos/mug.jpg"]
    mapped = {column.name: column.mapped_to for column in open_feed(path).preview().columns}
    assert mapped[image] == "photo"


def test_several_photos_in_a_cell_are_photos_of_one_product(folder: Path) -> None:
    path = table(
        folder / "t.csv",
        'id,image,colour\n1,photos/mug.jpg|photos/mug-2.jpg,red\n4,"[""photos/bowl.jpg"",""photos/vase.jpg""]",\n'
        "2,photos/lamp.jpg,\n2,photos/lamp-2.jpg,blue\n"
        "3,photos/ring.jpg,\n3,photos/ring.jpg,\n",
    )
    items = {
        entry.item_id: dict(entry.metadata) for entry in open_feed(path).photos() if isinstance(entry, Photo)
    }
    assert items == {
        "1": {"product": "1", "photo": 1, "colour": "red"},
        "1/2": {"product": "1", "photo": 2, "colour": "red"},
        "2": {"product": "2", "photo": 1, "colour": "blue"},
        "2/2": {"product": "2", "photo": 2, "colour": "blue"},
        "3": {},
        "4": {"product": "4", "photo": 1},
        "4/2": {"product": "4", "photo": 2},
    }


# --- a table beside a folder ----------------------------------------------------------------------------


def test_the_command_of_the_readme_reaches_all_photos_by_the_image_column(
    folder: Path, small_shop: SmallShop
) -> None:
    rows = "".join(f"{100 + number},{name}.jpg,The {name}\n" for number, name in enumerate(generate.NAMES))
    path = table(folder / "products.csv", f"id,image,title\n{rows}")
    report = small_shop.index(folder / "photos", metadata=path)
    assert report.added == 11
    items = small_shop.items()
    assert {items[f"{name}.jpg"].title for name in generate.NAMES} == {
        f"The {name}" for name in generate.NAMES
    }
    assert items["mug.jpg"].metadata["id"] == "100"
    assert any("by the column image" in note for note in report.notes)
    output = json.loads(
        small_shop.run("index", folder / "photos", "--metadata", path, "--dry-run", "--json")[0]
    )
    assert output["metadata"] == {"path": str(path), "rows": 8, "matched": 8, "unused": 0}


@pytest.mark.parametrize(
    ("rows", "matched"),
    [
        ("id,image\n1,photos/mug.jpg\n2,photos/lamp.jpg\n", ["mug.jpg", "lamp.jpg"]),
        ("id,image\n1,MUG.JPG\n2,lamp.png\n", ["mug.jpg", "lamp.jpg"]),
        (
            "id,image\nmug,x.jpg\nlamp,y.jpg\n",
            ["mug.jpg", "mug-2.jpg", "mug-3.jpg", "lamp.jpg", "lamp-2.jpg"],
        ),
        ("sku,image_url\n1,https://shop.example/media/mug.jpg?v=3\n", ["mug.jpg"]),
        ("name,file\nA,mug\nB,lamp\n", ["mug.jpg", "lamp.jpg"]),
        ("Handle,Title,Image Src,Variant Price\nm,Mug,mug.jpg,5\nm,,mug-2.jpg,\n", ["mug.jpg", "mug-2.jpg"]),
    ],
)
def test_rows_are_matched_by_the_column_that_names_most_photos(
    folder: Path, small_shop: SmallShop, rows: str, matched: list[str]
) -> None:
    report = small_shop.index(folder / "photos", metadata=table(folder / "products.csv", rows))
    assert report.failed == ()
    items = small_shop.items()
    assert {item_id for item_id, item in items.items() if item.metadata} == set(matched)


def test_all_photos_of_a_shopify_product_get_its_metadata(folder: Path) -> None:
    metadata = MetadataFile(generate.shopify_csv(folder))
    assert {metadata.row(f"{name}.jpg")["title"] for name in ("mug", "mug-2", "mug-3")} == {"Blue Mug"}


def test_a_photo_that_two_rows_may_mean_gets_no_metadata_and_is_reported(
    tmp_path: Path, small_shop: SmallShop
) -> None:
    generate.write_tiny_photos(tmp_path / "photos", ["1.jpg", "2.jpg"])
    path = table(tmp_path / "m.csv", "image,title\nred/1.jpg,Red\nblue/1.jpg,Blue\nblue/2.jpg,Two\n")
    report = small_shop.index(tmp_path / "photos", metadata=path)
    assert small_shop.items()["2.jpg"].title == "Two"
    assert not small_shop.items()["1.jpg"].metadata
    assert any("named by several rows" in note and "1.jpg" in note for note in report.notes)


def test_rows_without_a_photo_and_bad_rows_are_counted(folder: Path, small_shop: SmallShop) -> None:
    path = table(folder / "m.csv", 'image,title\nmug.jpg,Mug\nnone.jpg,None\nlamp.jpg,"a",b\n')
    report = small_shop.index(folder / "photos", metadata=path)
    assert any("1 of 2 rows" in note and "match no photo" in note for note in report.notes)
    assert any("Line 4 has 3 cells" in note for note in report.notes)
