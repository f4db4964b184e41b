"""Shops' exports give the right items as they are, or one sentence for a row."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import generate
import pandas as pd
import pytest
from openpyxl import Workbook
from shop_folder import SmallShop

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.ingest.feeds import FeedOptions, open_feed
from imgsearch.ingest.pruning import NO_LIMIT
from imgsearch.store.item_table import Photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate.photos(tmp_path)
    return tmp_path


def listed(path: Path, **options: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return (the metadata of each item by id with the photo's name, the reason of each failure by its place)."""
    items, failures = {}, {}
    for entry in open_feed(path, options=FeedOptions(**options)).photos():
        if isinstance(entry, Failure):
            failures[entry.path] = entry.reason
        else:
            assert isinstance(entry, Photo)
            assert entry.item_id not in items
            items[entry.item_id] = {"file": Path(entry.location).name, **entry.metadata}
    return items, failures


def picked(items: dict[str, dict[str, Any]], *names: str) -> dict[str, tuple[Any, ...]]:
    return {item_id: tuple(row.get(name) for name in names) for item_id, row in items.items()}


def test_shopify_rows_of_a_handle_are_one_product_with_its_photos_in_order(folder: Path) -> None:
    items, failures = listed(generate.shopify_csv(folder))
    assert picked(items, "file", "title", "price", "sku", "gtin") == {
        "mug": ("mug.jpg", "Blue Mug", Decimal("19.90"), "00123", "0400638133393"),
        "mug/2": ("mug-2.jpg", "Blue Mug", Decimal("19.90"), "00123", "0400638133393"),
        "mug/3": ("mug-3.jpg", "Blue Mug", Decimal("19.90"), "00123", "0400638133393"),
        "lamp": ("lamp.jpg", "Reading Lamp", Decimal("1299.00"), "12e4", None),
    }
    assert picked(items, "product", "photo")["mug/3"] == ("mug", 3)
    mug = items["mug"]
    assert (mug["brand"], mug["category"], mug["skus"]) == ("Acme", "Mugs", "00123, 00124")
    assert mug["description"] == "A fine mug & saucer. Dishwasher"
    assert items["mug/2"]["Image Alt Text"] == "From the side"
    assert failures == {"chair": "The product names no photo."}


def test_woocommerce_variations_belong_to_their_product(folder: Path) -> None:
    items, failures = listed(generate.woocommerce_csv(folder))
    assert picked(items, "file", "title", "price", "sale_price", "category", "availability") == {
        "00044": (
            "mug.jpg", "Frühstücksbecher", Decimal("19.90"), Decimal("17.50"), "Küche > Becher", "in stock",
        ),
        "00044/2": (
            "mug-2.jpg", "Frühstücksbecher", Decimal("19.90"), Decimal("17.50"), "Küche > Becher", "in stock",
        ),
        "LAMP": (
            "lamp.jpg", "Leuchte „Anna“", Decimal("1299.00"), None, "Wohnen > Leuchten, Angebote", "in stock",
        ),
        "LAMP/2": (
            "lamp-2.jpg", "Leuchte „Anna“", Decimal("1299.00"), None, "Wohnen > Leuchten, Angebote", "in stock",
        ),
        "47": ("chair.jpg", "Stuhl", Decimal("249.00"), None, "Möbel", "out of stock"),
    }  # fmt: skip
    assert failures == {"NOPIC": "The product names no photo."}


@pytest.mark.parametrize(
    ("generator", "currency"), [(generate.google_tsv, "USD"), (generate.google_xml, "EUR")]
)
def test_google_merchant_feeds_keep_ids_codes_and_pages(
    folder: Path, generator: Callable[[Path], Path], currency: str
) -> None:
    items, failures = listed(generator(folder))
    assert failures == {}
    assert picked(items, "file", "price", "price_currency", "url", "gtin") == {
        item_id: (file, Decimal(price), currency, f"https://shop.example/{page}", gtin)
        for item_id, file, price, page, gtin in (
            ("007", "mug.jpg", "19.99", "mug", "0012345678905"),
            ("007/2", "mug-2.jpg", "19.99", "mug", "0012345678905"),
            ("007/3", "mug-3.jpg", "19.99", "mug", "0012345678905"),
            ("008", "lamp.jpg", "1299.00", "lamp", "0012345678906"),
        )
    }
    assert items["007"]["availability"] == "in stock"
    assert items["007"]["title"] in ("Mug", "Mug & saucer")
    if generator is generate.google_xml:
        assert items["007"]["description"] == "A fine mug."
        assert items["007"]["shipping.price"] == Decimal("4.90")


def test_a_packed_atom_feed_in_latin_1_is_read(folder: Path) -> None:
    items, failures = listed(generate.google_atom(folder))
    assert picked(items, "title", "url") == {
        "007": ("Kännchen", "https://shop.example/mug"),
        "008": ("Lampe", "https://shop.example/lamp"),
    }
    assert failures == {}


def test_magento_paths_below_a_media_folder_are_found_and_store_views_are_one_product(folder: Path) -> None:
    items, failures = listed(generate.magento_csv(folder))
    assert picked(items, "file", "title", "price", "sale_price") == {
        "00123": ("mug.jpg", "Mug", Decimal("19.9"), None),
        "00123/2": ("mug_2.jpg", "Mug", Decimal("19.9"), None),
        "90.750": ("lamp.jpg", "Lamp", Decimal(249), Decimal("199.5")),
        "90.75": ("lamp.jpg", "Lamp", Decimal(250), None),
    }
    assert failures == {}


def test_a_workbook_gives_dates_and_exact_codes(folder: Path) -> None:
    items, failures = listed(generate.excel_workbook(folder))
    assert picked(items, "SKU", "EAN", "price", "since", "stock") == {
        "a1": ("007", "4006381333931", 19.99, dt.date(2024, 5, 1), 12345),
        "a2": ("008", "0400638133393", 249, dt.date(2024, 6, 1), 3),
        "a3": ("90.750", None, 99.5, None, None),
    }
    assert failures == {}


def test_semicolons_a_separator_line_and_windows_1252_are_recognised(folder: Path) -> None:
    path = generate.semicolons_csv(folder)
    items, failures = listed(path)
    assert picked(items, "title", "price", "price_currency") == {
        "01": ('Becher "Anna"', Decimal("19.99"), "EUR"),
        "02": ("Leuchte", Decimal("1299.00"), "EUR"),
        "03": ("Stuhl", None, None),
    }
    assert failures == {}
    feed = open_feed(path)
    preview = feed.preview()
    assert (preview.encoding, preview.separator) == ("Windows-1252", ";")
    assert any("auf Anfrage" in note for note in preview.notes)


def test_a_bad_line_costs_itself_only(folder: Path) -> None:
    path = generate.damaged_csv(folder)
    items, failures = listed(path)
    assert list(items) == ["1", "4", "6"]
    assert items["4"]["title"] == "Ring, silver"
    assert list(failures) == ["5", "damaged.csv line 3", "damaged.csv line 4"]
    assert "4 cells" in failures["damaged.csv line 3"]
    assert "quote" in failures["damaged.csv line 4"]
    assert not open_feed(path).complete, "the products of bad lines must not count as vanished"


def test_codes_keep_their_text(folder: Path) -> None:
    items, _ = listed(generate.codes_csv(folder))
    assert len(items) == 8
    assert {(item_id, row["sku"], row["EAN code"]) for item_id, row in items.items()} == {
        (code, code, code) for code in items
    }
    assert {"007", "12e4", "90.750", "90.75", "9999999999999999"} <= items.keys()


def test_nested_json_becomes_columns_and_photos(folder: Path) -> None:
    items, failures = listed(generate.nested_json(folder))
    assert picked(items, "file", "price.amount", "stock.berlin", "tags", "sku") == {
        "007": ("mug.jpg", 19.9, 3, ["blue", "tea"], None),
        "007/2": ("mug-2.jpg", 19.9, 3, ["blue", "tea"], None),
        "008": ("lamp.jpg", 5, None, None, "90.750"),
    }
    assert failures == {}
    items, failures = listed(generate.json_lines(folder))
    assert picked(items, "price", "price_currency") == {
        "1": (Decimal("19.99"), "USD"),
        "3": (Decimal("1299.00"), "USD"),
    }
    assert list(failures) == ["lines.jsonl line 2"]


def test_parquet_keeps_decimals_dates_and_whole_codes(folder: Path) -> None:
    items, _ = listed(generate.typed_parquet(folder))
    assert picked(items, "price", "since", "ean", "tags") == {
        "1": (Decimal("12.50"), dt.date(2024, 5, 1), "4006381333931", ["a", "b"]),
        "2": (Decimal("99.00"), None, None, None),
    }


@pytest.mark.parametrize("generator", generate.GENERATORS, ids=lambda each: each.__name__)
def test_every_export_is_previewed_and_imported_without_a_trace(
    folder: Path, small_shop: SmallShop, generator: Callable[[Path], Path]
) -> None:
    path = generator(folder)
    preview = open_feed(path).preview()
    json.dumps(preview.as_dict(), allow_nan=False)
    report = small_shop.index(path)
    assert report.added == preview.photos
    assert len(report.failed) == preview.failed
    assert all(failure.reason.endswith(".") and "\n" not in failure.reason for failure in report.failed)
    again = small_shop.index(path)
    assert (again.added, again.changed, again.unchanged) == (0, 0, preview.photos)


def test_a_dry_run_prints_what_was_understood_and_changes_nothing(
    folder: Path, small_shop: SmallShop
) -> None:
    path = generate.woocommerce_csv(folder)
    output, _ = small_shop.run("index", path, "--dry-run")
    for text in (
        "WooCommerce",
        "Windows-1252",
        "5 rows, 4 products, 5 photos",
        "NOPIC",
        "Regular price",
        "1 row ",
    ):
        assert text in output
    found = json.loads(small_shop.run("index", path, folder / "photos", "--dry-run", "--json")[0])
    feed, photos = found["sources"]
    assert (feed["format"], feed["products"], feed["photos"], feed["failed"]) == ("woocommerce", 4, 5, 1)
    mapped = {column["name"]: (column["kind"], column["mapped_to"]) for column in feed["columns"]}
    assert mapped["Regular price"] == ("price", "price")
    assert (photos["photos"], photos["failed"]) == (11, 0)
    assert not small_shop.folder.exists()


def test_options_override_what_is_recognised(folder: Path, small_shop: SmallShop) -> None:
    path = folder / "odd.csv"
    path.write_text("no;code;pic a;pic b;price\n1;x1;photos/mug.jpg;photos/lamp.jpg;5\n", encoding="utf-8")
    schema = folder / "schema.toml"
    schema.write_text('[price]\nkind = "price"\ncurrency = "EUR"\n', encoding="utf-8")
    items, _ = listed(path, id_column="code", image_columns=("pic b", "pic a"), schema=schema)
    assert picked(items, "file", "price", "price_currency", "no") == {
        "x1": ("lamp.jpg", Decimal(5), "EUR", "1"),
        "x1/2": ("mug.jpg", Decimal(5), "EUR", "1"),
    }
    arguments = ("--dry-run", "--id-column", "none")
    _, problem = small_shop.run("index", path, *arguments, code=1)
    assert "no id column 'none'; it has: no, code, pic a, pic b, price" in problem
    small_shop.run("index", path, "--dry-run", "--format", "nonsense", code=2)


def test_a_bad_record_of_an_xml_feed_costs_itself_only(folder: Path) -> None:
    items = "".join(
        f"<item><g:id>0{number}</g:id><title>{title}</title><g:image_link>photos/{name}.jpg</g:image_link></item>"
        for number, (name, title) in enumerate(
            zip(
                generate.NAMES,
                ("Mug", "A & B", "x&nbsp;y", "<b>open", "Bowl", "", "C<lock", "Stool"),
                strict=True,
            )
        )
    )
    path = folder / "feed.xml"
    path.write_text(f"<rss><channel><title>Shop</title>{items}</channel></rss>", encoding="utf-8")
    found, failures = listed(path)
    assert {item_id: row.get("title") for item_id, row in found.items()} == {
        "00": "Mug", "01": "A & B", "02": "x y", "04": "Bowl", "05": None, "07": "Stool",
    }  # fmt: skip
    assert list(failures) == ["feed.xml record 4", "feed.xml record 7"]
    assert all("not valid XML" in reason for reason in failures.values())


@pytest.mark.parametrize(
    "declaration", ['<!DOCTYPE a [<!ENTITY x "y">]>', '<!DOCTYPE a SYSTEM "file:///etc/passwd">']
)
def test_entities_and_external_references_are_refused(folder: Path, declaration: str) -> None:
    path = folder / "feed.xml"
    path.write_text(f"{declaration}<a><item><id>&x;</id></item><item><id>2</id></item></a>", encoding="utf-8")
    with pytest.raises(SourceError, match=r"entities|no column of photos") as refused:
        open_feed(path)
    assert "root:" not in str(refused.value)


@pytest.mark.parametrize(
    ("suffix", "ids"), [("xlsx", ["007", "008"]), ("csv", ["photos/mug.jpg", "photos/lamp.jpg"])]
)
def test_skus_are_ids_where_there_is_no_id_and_no_older_version_read_the_table(
    folder: Path, suffix: str, ids: list[str]
) -> None:
    rows = [["SKU", "Name", "Image"], ["007", "Mug", "photos/mug.jpg"], ["008", "Lamp", "photos/lamp.jpg"]]
    path = folder / f"t.{suffix}"
    if suffix == "csv":
        path.write_text("\n".join(map(",".join, rows)), encoding="utf-8")
    else:
        book = Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
    items, _ = listed(path)
    assert list(items) == ids
    assert [row["SKU"] for row in items.values()] == ["007", "008"]
    assert any("--id-column 'SKU'" in note for note in open_feed(path).notes()) == (suffix == "csv")


def test_long_whole_numbers_of_typed_files_keep_their_digits(folder: Path) -> None:
    path = folder / "t.jsonl"
    path.write_text(
        '{"id": 1, "image": "photos/mug.jpg", "batch": 9999999999999999, "n": 5}', encoding="utf-8"
    )
    items, _ = listed(path)
    assert (items["1"]["batch"], items["1"]["n"]) == ("9999999999999999", 5)
    pd.DataFrame({"image": ["photos/mug.jpg"], "batch": [9999999999999999]}).to_parquet(folder / "t.parquet")
    items, _ = listed(folder / "t.parquet")
    assert items["photos/mug.jpg"]["batch"] == "9999999999999999"


def test_a_variants_photo_does_not_change_the_order_of_a_product(folder: Path) -> None:
    path = folder / "t.csv"
    path.write_text(
        "Handle,Title,Image Src,Image Position,Variant Image\nm,Mug,photos/mug.jpg,1,photos/mug-3.jpg\n"
        "m,,photos/mug-2.jpg,2,\nm,,photos/mug-3.jpg,3,photos/lamp.jpg\n",
        encoding="utf-8",
    )
    items, _ = listed(path)
    assert [row["file"] for row in items.values()] == ["mug.jpg", "mug-2.jpg", "mug-3.jpg", "lamp.jpg"]


def test_photos_keep_their_ids_where_their_order_changes(folder: Path, small_shop: SmallShop) -> None:
    path = folder / "t.csv"

    def imported(*names: str) -> dict[str, tuple[str, float]]:
        cell = "|".join(f"photos/{name}.jpg" for name in names)
        path.write_text(f"id,image\nA,{cell}\nB,photos/vase.jpg\n", encoding="utf-8")
        small_shop.index(path, prune=True, prune_limit=NO_LIMIT)
        items = small_shop.items()
        assert items.pop("B").location.endswith("vase.jpg")
        return {
            item_id: (Path(item.location).stem, item.metadata.get("photo", 1))
            for item_id, item in items.items()
        }

    assert imported("mug", "lamp", "ring") == {"A": ("mug", 1), "A/2": ("lamp", 2), "A/3": ("ring", 3)}
    assert imported("ring", "mug", "lamp") == {"A": ("mug", 2), "A/2": ("lamp", 3), "A/3": ("ring", 1)}
    assert imported("bowl", "ring", "mug") == {"A": ("mug", 3), "A/2": ("bowl", 1), "A/3": ("ring", 2)}
    assert imported("ring", "bowl") == {"A": ("ring", 1), "A/2": ("bowl", 2)}
    assert small_shop.encoded == 5


def test_empty_rows_of_a_spreadsheet_are_no_failures(folder: Path) -> None:
    path = folder / "t.csv"
    path.write_text(
        "id,image,title\n1,photos/mug.jpg,Mug\n,,\n ,,\n2,photos/lamp.jpg,\n,,\n", encoding="utf-8"
    )
    items, failures = listed(path)
    assert (list(items), failures) == (["1", "2"], {})


def test_variants_of_a_shop_in_json_give_the_product_its_first_price(folder: Path) -> None:
    product = {
        "id": 632910392,
        "handle": "mug",
        "title": "Mug",
        "body_html": "<p>Fine</p>",
        "vendor": "Acme",
        "tags": "blue, tea",
        "variants": [{"sku": "001", "price": "19.90", "barcode": None}, {"sku": "002", "price": "24.90"}],
        "images": [{"src": "photos/mug.jpg", "position": 1}, {"src": "photos/mug-2.jpg", "position": 2}],
    }
    path = folder / "products.json"
    path.write_text(json.dumps({"products": [product]}), encoding="utf-8")
    items, failures = listed(path)
    assert failures == {}
    assert picked(items, "file", "title", "price", "sku", "description", "brand", "photo") == {
        "mug": ("mug.jpg", "Mug", Decimal("19.90"), "001", "Fine", "Acme", 1),
        "mug/2": ("mug-2.jpg", "Mug", Decimal("19.90"), "001", "Fine", "Acme", 2),
    }


def test_an_export_in_the_shops_language_is_recognised(folder: Path) -> None:
    path = folder / "wc.csv"
    path.write_text(
        "ID,Typ,Artikelnummer,Name,Vorrätig?,Regulärer Preis,Angebotspreis,Kategorien,Bilder\n"
        '7,simple,0815,Becher,1,"19,90",,Küche > Becher,"photos/mug.jpg, photos/mug-2.jpg"\n',
        encoding="utf-8",
    )
    items, _ = listed(path)
    assert picked(items, "title", "price", "sku", "category", "availability") == dict.fromkeys(
        ("0815", "0815/2"), ("Becher", Decimal("19.90"), "0815", "Küche > Becher", "in stock")
    )


@pytest.mark.parametrize(
    "text",
    [
        '<shop><offers><offer id="7" available="true"><name>Mug</name><picture>photos/mug.jpg</picture>'
        '<picture>photos/mug-2.jpg</picture></offer><offer id="8"><name>Lamp</name>'
        "<picture>photos/lamp.jpg</picture></offer></offers></shop>",
        '<list><product id="7" name="Mug" url="https://x.example/7" image="photos/mug.jpg|photos/mug-2.jpg"/>'
        '<product id="8" name="Lamp" url="https://x.example/8" image="photos/lamp.jpg"/></list>',
        "<c><categories><category>1</category><category>2</category></categories><products><product><id>7</id>"
        "<name>Mug</name><images><image>photos/mug.jpg</image><image>photos/mug-2.jpg</image></images></product>"
        "<product><id>8</id><name>Lamp</name><images><image>photos/lamp.jpg</image></images></product></products></c>",
        '<x:feed xmlns:x="urn:x"><x:item><x:id>7</x:id><x:name>Mug</x:name><x:image>photos/mug.jpg</x:image>'
        "<x:image>photos/mug-2.jpg</x:image></x:item><x:item><x:id>8</x:id><x:name>Lamp</x:name>"
        "<x:image>photos/lamp.jpg</x:image></x:item></x:feed>",
    ],
)
def test_records_of_any_xml_are_found(folder: Path, text: str) -> None:
    path = folder / "t.xml"
    path.write_text(text, encoding="utf-8")
    items, failures = listed(path)
    assert failures == {}
    assert picked(items, "file", "name") == {
        "7": ("mug.jpg", "Mug"), "7/2": ("mug-2.jpg", "Mug"), "8": ("lamp.jpg", "Lamp"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "encoding",
    ["cp1251", "cp1253", "shift_jis", "gb18030", "euc_kr", "cp1252", "cp1250", "cp1254", "latin-1"],
)
def test_other_alphabets_are_recognised(folder: Path, encoding: str) -> None:
    words = {
        "cp1251": "Синяя кружка с блюдцем для чая и кофе",
        "cp1253": "Μπλε κούπα με πιατάκι για τσάι και καφέ",
        "shift_jis": "紅茶とコーヒーのための受け皿付きの青いマグカップ",
        "gb18030": "带茶碟的蓝色马克杯适合喝茶和咖啡",
        "euc_kr": "차와 커피를 위한 받침 접시가 있는 파란색 머그잔",
        "cp1252": "Blaue Tasse für Tee, café crème",
        "cp1250": "Żółta filiżanka do herbaty, krzesło dębowe",
        "cp1254": "Çay fincanı, meşe sandalye, ağaç ışık",
        "latin-1": "Blå mugg för te, ekstol, snö",
    }[encoding]
    path = folder / "t.csv"
    rows = "".join(f'{number},photos/{name}.jpg,"{words}"\n' for number, name in enumerate(generate.NAMES))
    path.write_bytes(f"id,image,title\n{rows}".encode(encoding))
    items, _ = listed(path)
    assert {row["title"] for row in items.values()} == {words}


def test_a_table_without_a_row_of_names_is_refused_rather_than_losing_its_first_row(folder: Path) -> None:
    for name, text in (
        ("t.csv", "photos/mug.jpg,Mug\nphotos/lamp.jpg,Lamp\n"),
        ("t.txt", "https://x.example/a.jpg\n"),
    ):
        (folder / name).write_text(text, encoding="utf-8")
        with pytest.raises(SourceError, match="names no columns"):
            open_feed(folder / name)


def test_a_document_type_that_names_a_file_is_not_read(folder: Path) -> None:
    path = folder / "yml.xml"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE yml_catalog SYSTEM "photos/mug.jpg"><yml_catalog><shop>'
        '<categories><category id="1" parentId="2">x</category><category id="3" parentId="2"/></categories>'
        '<offers><offer id="7" available="true"><price>5</price><picture>photos/mug.jpg</picture></offer></offers>'
        "</shop></yml_catalog>",
        encoding="utf-8",
    )
    items, failures = listed(path)
    assert (list(items), failures) == (["7"], {})


def test_codes_that_a_spreadsheet_shortened_are_pointed_out(folder: Path) -> None:
    path = folder / "t.csv"
    path.write_text("id,image,EAN\n1,photos/mug.jpg,4.00638E+12\n", encoding="utf-8")
    items, _ = listed(path)
    assert items["1"]["EAN"] == "4.00638E+12"
    assert any("digits are lost" in note for note in open_feed(path).notes())
