"""Prices, dates, codes and titles of shops' tables: the right kind, the right filter, and nothing lost in between."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shop_folder import SmallShop, fill

from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.records import Item
from imgsearch.store.catalog import CatalogStore


def table(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "shop.csv") -> Path:
    """Write a table with a photo for each row, whose id is its number."""
    fill(folder, len(rows))
    frame = pd.DataFrame(
        [{"id": f"p{number}", "image": f"{number:03d}.jpg", **row} for number, row in enumerate(rows)]
    )
    path = folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def prices(*texts: str, **more: Any) -> list[dict[str, Any]]:
    return [{"price": text, **more} for text in texts]


def found(shop: SmallShop, *filters: str) -> list[str]:
    """Return the ids that pass the filters, in Python and on the command line, which leaves out the item itself."""
    with CatalogStore.open(shop.folder) as catalog:
        keys = catalog.metadata.keys_matching(parse_filters(filters))
        ids = sorted(item.item_id for item in catalog.by_keys(keys))
    arguments = [part for filter in filters for part in ("--filter", filter)]
    answer, _ = shop.run("search", "--item", "p0", *arguments, "-n", "100", "--json")
    assert sorted({hit["item_id"] for hit in json.loads(answer)["hits"]} | ({"p0"} & set(ids))) == ids
    return ids


def columns(shop: SmallShop) -> dict[str, str]:
    answer, _ = shop.run("info", "--json")
    kinds: dict[str, str] = json.loads(answer)["columns"]
    return kinds


@pytest.mark.parametrize(
    ("texts", "cheap", "currency"),
    [
        (("19.99 USD", "100.00 USD", "9.50 USD", "249.00 USD"), ["p0", "p2"], "USD"),
        (("$1,299.00", "$9.50", "$49.99", "$50"), ["p1", "p2"], "USD"),
        (("1.299,00 €", "9,50 €", "49,99 €", "1.050 €"), ["p1", "p2"], "EUR"),
        (("1.299,00", "9,50", "49,99", "1.050"), ["p1", "p2"], None),
        (("CHF 1'299.-", "CHF 9.50", "CHF 49.-", "CHF 50.-"), ["p1", "p2"], "CHF"),
        (("₹1,29,900", "₹9.50", "₹49", "₹1,000"), ["p1", "p2"], "INR"),
        (("-5,00 zł", "1 299,00 zł", "1\u202f050,00 zł", "50,00 zł"), ["p0"], "PLN"),
    ],
)
def test_price_filters_compare_amounts(
    small_shop: SmallShop, tmp_path: Path, texts: tuple[str, ...], cheap: list[str], currency: str | None
) -> None:
    report = small_shop.index(table(tmp_path / "shop", prices(*texts)))
    assert (report.added, report.failed) == (len(texts), ())
    assert columns(small_shop)["price"] == "price"
    assert found(small_shop, "price<50") == cheap
    row = small_shop.items()["p0"].metadata
    assert isinstance(row["price"], float)
    assert row.get("price_currency") == currency
    assert small_shop.index(tmp_path / "shop" / "shop.csv").unchanged == len(texts)


def test_decimals_and_dates_of_a_typed_file_keep_their_kinds(small_shop: SmallShop, tmp_path: Path) -> None:
    rows = [
        {
            "price": Decimal(f"{number}.99"),
            "added": date(2025, 1, 1 + number),
            "tags": ["oak", f"t{number % 2}"],
        }
        for number in range(8)
    ]
    small_shop.index(table(tmp_path / "shop", rows, "shop.parquet"))
    assert {name: columns(small_shop)[name] for name in ("price", "added", "tags")} == {
        "price": "price",
        "added": "date",
        "tags": "list",
    }
    assert len(found(small_shop, "price<100")) == 8
    assert found(small_shop, "price>=6.99") == ["p6", "p7"]
    assert found(small_shop, "added=2025-01-03..2025-01-04") == ["p2", "p3"]
    assert found(small_shop, "tags=t1", "price<4") == ["p1", "p3"]


def test_one_price_on_request_is_left_out_and_counted(small_shop: SmallShop, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    report = small_shop.index(table(shop, prices("19.99 USD", "on request", "9.50 USD", "249 USD")))
    assert any("1 of 4" in note and "'on request'" in note for note in report.notes)
    assert found(small_shop, "price<50") == ["p0", "p2"]
    assert "price" not in small_shop.items()["p1"].metadata
    # Neither a later import whose prices are all words, nor one of few rows, changes the column.
    small_shop.index(table(shop, prices("19.99 USD", "on request", "9.50 USD", "249 USD"), "again.csv"))
    report = small_shop.index(table(shop, prices("sold", "5 USD"), "few.csv"), take_over=True)
    assert columns(small_shop)["price"] == "price"
    assert found(small_shop, "price<10") == ["p1", "p2"]
    assert any("'sold'" in note for note in report.notes)


def old_catalog(shop: SmallShop, source: Path) -> None:
    """Make the price column of a catalog text, as versions before these kinds did."""
    with CatalogStore.open(shop.folder) as catalog, catalog.writing() as cursor:
        texts = pd.read_csv(source)["price"].tolist()
        catalog.metadata.retype(cursor, "price", "text")
        for key, text in enumerate(texts):
            cursor.execute("UPDATE metadata SET c0 = ? WHERE key = ?", [text, key])
        cursor.execute("UPDATE items SET row_digest = 'old'")


def test_an_old_text_column_of_prices_is_read_at_the_next_import(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    source = table(tmp_path / "shop", prices("19.99 USD", "on request", "9.50 USD", "249.00 USD"))
    small_shop.index(source)
    old_catalog(small_shop, source)
    _, refused = small_shop.run("search", "--item", "p0", "--filter", "price<50", code=1)
    assert "'price' holds text" in refused
    assert "schema" in refused
    report = small_shop.index(source)
    assert any("held text and holds prices now" in note and "'on request'" in note for note in report.notes)
    assert found(small_shop, "price<50") == ["p0", "p2"]


def test_a_clean_import_narrows_a_text_column_to_its_real_kind(small_shop: SmallShop, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    words = [{"stock": text} for text in ("12", "many", "7", "a few", "3")]
    small_shop.index(table(shop, words))
    assert columns(small_shop)["stock"] == "text"
    report = small_shop.index(table(shop, [{"stock": text} for text in ("12", "40", "7", "2", "3")]))
    assert any("'stock' held text" in note for note in report.notes)
    assert found(small_shop, "stock<8") == ["p2", "p3", "p4"]


def test_texts_that_a_column_lost_come_back_when_it_is_text_again(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    source = table(shop, prices("19.99 USD", "by hand: ask Anna", "9.50 USD", "249.00 USD"))
    small_shop.index(source)
    old_catalog(small_shop, source)
    small_shop.index(table(shop, [{"colour": "red"}], "other.csv"))
    first = table(shop, prices("5 USD"), "one.csv")
    fill(tmp_path / "other", 1, first=20)
    first = first.rename(tmp_path / "other" / "one.csv")
    first.write_text("id,image,price\nnew,020.jpg,5 USD\n", encoding="utf-8")
    small_shop.index(first)
    assert columns(small_shop)["price"] == "price"
    with CatalogStore.open(small_shop.folder) as catalog, catalog.writing() as cursor:
        catalog.metadata.retype(cursor, "price", "text")
    assert "by hand: ask Anna" in {item.metadata.get("price") for item in small_shop.items().values()}


def test_codes_stay_as_they_are(small_shop: SmallShop, tmp_path: Path) -> None:
    codes = {
        "sku": ("90.750", "90.75", "007", "12e4"),
        "ean": ("4006381333931", "4006381333948", "0400638133393", "9999999999999999"),
        "serial": ("9999999999999999", "1", "2", "3"),
        "plain": ("12e4", "5", "6", "7"),
    }
    rows = [{name: values[number] for name, values in codes.items()} for number in range(4)]
    small_shop.index(table(tmp_path / "shop", rows))
    assert {columns(small_shop)[name] for name in codes} == {"text"}
    items = small_shop.items()
    assert {name: tuple(items[f"p{number}"].metadata[name] for number in range(4)) for name in codes} == codes
    assert found(small_shop, "sku=90.75") == ["p1"]


@pytest.mark.parametrize(
    "name", ["Title", "Name", "product_name", "product_title", "Produktname", "Product Title"]
)
def test_the_title_column_is_recognised(small_shop: SmallShop, tmp_path: Path, name: str) -> None:
    small_shop.index(
        table(
            tmp_path / "shop", [{"brand": "Acme", name: "Oak table"}, {"brand": "Acme", name: "Steel lamp"}]
        )
    )
    assert [item.title for _, item in sorted(small_shop.items().items())] == ["Oak table", "Steel lamp"]
    with CatalogStore.open(small_shop.folder) as catalog:
        assert catalog.metadata.title_counts(100) == {"Oak table": 1, "Steel lamp": 1}


def test_a_schema_file_states_kinds_currencies_and_the_title(small_shop: SmallShop, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    source = table(
        shop,
        [{"cost": "5", "Model": "Anna", "size": "38"}, {"cost": "1.299", "Model": "Berta", "size": "39"}],
    )
    schema = shop / "schema.toml"
    schema.write_text(
        '[cost]\nkind = "price"\ncurrency = "SEK"\ndecimal = ","\n\n'
        '[model]\nrole = "title"\n\n[size]\nkind = "text"\n'
    )
    fill(shop, 2)
    small_shop.run("index", source, "--schema", schema, "--encoder", "lite")
    items = small_shop.items()
    assert (items["p1"].metadata["cost"], items["p1"].metadata["cost_currency"]) == (1299.0, "SEK")
    assert (items["p1"].title, items["p1"].metadata["size"]) == ("Berta", "39")
    assert found(small_shop, "cost<50 SEK") == ["p0"]
    schema.write_text('[cost]\nkind = "money"\n')
    _, refused = small_shop.run("index", source, "--schema", schema, code=1)
    assert "'money'" in refused
    assert "price" in refused


BOUNDS = [2**63 - 1, -(2**63), 2**64, 10**300, 10**400, -1, 0, 5e-324, 1.7e308]


def test_numbers_at_the_bounds_end_no_run(small_shop: SmallShop, tmp_path: Path) -> None:
    rows = [
        {"n": str(value), "price": f"{value} €", "day": "9999-12-31", "at": "0001-01-01T00:00:00+14:00"}
        for value in BOUNDS
    ]
    report = small_shop.index(table(tmp_path / "shop", rows))
    assert report.added == len(BOUNDS)
    items: dict[str, Item] = small_shop.items()
    assert len(items) == len(BOUNDS)
    assert len(found(small_shop, "day>=2025-01-01")) == len(BOUNDS)
    assert np.isfinite(
        [item.metadata.get("n", 0) for item in items.values() if not isinstance(item.metadata.get("n"), str)]
    ).all()
