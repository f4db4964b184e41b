"""Write the inputs of the field cases: a shop's tables and photos with the quirks of real ones.

    python tests/field_cases/generate.py FOLDER

Everything here is made up by us; the photos are tiny.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from openpyxl import Workbook
from PIL import Image

NAMES = ("mug", "lamp", "chair", "ring", "bowl", "vase", "clock", "stool")


def write_tiny_photos(folder: Path, names: Iterable[str]) -> list[Path]:
    """Write a tiny photo for each name, each visibly different."""
    paths = []
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (24, 24), (37 * number % 256, 91 * number % 256, 150))
        image.putpixel((number % 24, number // 24), (255, 255, 255))
        image.save(path, "PNG" if path.suffix.lower() == ".png" else "JPEG")
        paths.append(path)
    return paths


def photos(folder: Path) -> None:
    """Write the photos that the tables of this file name."""
    write_tiny_photos(folder / "photos", [f"{name}.jpg" for name in NAMES])
    write_tiny_photos(folder / "photos", ["mug-2.jpg", "mug-3.jpg", "lamp-2.jpg"])


# --- names and codes ---


def named_products(count: int = 400) -> list[dict[str, Any]]:
    """Return products whose titles share common words and end in an invented model name; SKUs that differ little."""
    kinds, colours = NAMES, ("red", "green", "blue", "white", "black")
    first, last = (
        ("zor", "quv", "nex", "vir", "kem", "dra", "fyn", "wub"),
        ("blat", "tol", "osk", "jel", "ram"),
    )
    middle = ("a", "e", "i", "o", "u", "ai", "ou", "y", "ei", "au")
    names = [f"{a}{m}{z}".capitalize() for a in first for m in middle for z in last]
    return [
        {
            "id": f"P{n:04d}",
            "title": f"{colours[n % 5].capitalize()} ceramic {kinds[n % len(kinds)]} {names[n]}",
            "sku": f"AB-{1000 + n}" if n % 2 else f"xz{7000 + n}K",
            "gtin": f"04006381{33000 + n:05d}",
            "brand": ("Acme", "Lumen & Söhne", "Noordwijk")[n % 3],
            "model": names[n],
        }
        for n in range(count)
    ]


# --- shops' formats -------------------------------------------------------------------------------


def shopify_csv(folder: Path) -> Path:
    """A row a picture or variant under repeated handles, positions out of order, HTML, a variant without a photo."""
    text = (
        "\ufeffHandle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,"
        "Variant Price,Variant Barcode,Image Src,Image Position,Image Alt Text,Status\r\n"
        'mug,Blue Mug,"<p>A <b>fine</b> mug &amp; saucer.</p>\n<ul><li>Dishwasher</li></ul>",Acme,Mugs,"blue, tea",'
        "true,Size,S,00123,19.90,0400638133393,photos/mug-2.jpg,2,From the side,active\r\n"
        "mug,,,,,,,,L,00124,24.90,0400638133394,photos/mug.jpg,1,From the front,\r\n"
        "mug,,,,,,,,,,,,photos/mug-3.jpg,3,,\r\n"
        "mug,,,,,,,,,,,,photos/mug.jpg,1,,\r\n"
        'lamp,Reading Lamp,"<p>Bright</p>",Lumen,Lamps,,true,,,12e4,"1,299.00",,photos/lamp.jpg,1,,active\r\n'
        "chair,Chair,,Acme,Chairs,,true,,,90.750,99.00,,,,,draft\r\n"
    )
    path = folder / "shopify.csv"
    path.write_bytes(text.encode())
    return path


def woocommerce_csv(folder: Path) -> Path:
    """Several photos in a cell, categories with >, a variation under its parent, decimal commas, Windows-1252."""
    text = (
        "ID,Type,SKU,Name,Published,Description,In stock?,Regular price,Sale price,Categories,Images,Parent,GTIN\n"
        '44,simple,"00044",Frühstücksbecher,1,"Für Tee",1,"19,90","17,50","Küche > Becher","photos/mug.jpg, '
        'photos/mug-2.jpg",,4006381333931\n'
        '45,variable,LAMP,"Leuchte „Anna“",1,,1,,,"Wohnen > Leuchten, Angebote",photos/lamp.jpg,,\n'
        '46,variation,LAMP-2,Leuchte - Rot,1,,0,"1.299,00",,,photos/lamp-2.jpg,id:45,\n'
        '47,simple,,Stuhl,1,,0,"249,00",,Möbel,photos/chair.jpg,,\n'
        '48,simple,NOPIC,Ohne Bild,1,,1,"5,00",,Möbel,,,\n'
    )
    path = folder / "woocommerce.csv"
    path.write_bytes(text.encode("cp1252"))
    return path


def google_tsv(folder: Path) -> Path:
    """Names with spaces, prices with a currency behind, several further photos in a cell, UTF-16."""
    rows = [
        "id\ttitle\tlink\timage link\tadditional image link\tprice\tsale price\tavailability\tproduct type\tgtin"
        "\tmpn",
        "007\tMug\thttps://shop.example/mug\tphotos/mug.jpg\tphotos/mug-2.jpg,photos/mug-3.jpg\t19.99 USD\t"
        "17.99 USD\tin_stock\tHome > Kitchen > Mugs\t0012345678905\t90.750",
        "008\tLamp\thttps://shop.example/lamp\tphotos/lamp.jpg\t\t1299.00 USD\t\tout of stock\tHome > Light\t"
        "0012345678906\t90.75",
    ]
    path = folder / "google.txt"
    path.write_bytes("\r\n".join(rows).encode("utf-16"))
    return path


GOOGLE_ITEMS = """
<item><g:id>007</g:id><title>Not this one</title><g:title>Mug &amp; saucer</g:title>
<g:description><![CDATA[<p>A <b>fine</b> mug.</p>]]></g:description><link>https://shop.example/mug</link>
<g:image_link>photos/mug.jpg</g:image_link><g:additional_image_link>photos/mug-2.jpg</g:additional_image_link>
<g:additional_image_link>photos/mug-3.jpg</g:additional_image_link><g:price>19.99 EUR</g:price>
<g:availability>in_stock</g:availability><g:gtin>0012345678905</g:gtin>
<g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping></item>
<item><g:id>008</g:id><g:title>Lamp</g:title><link>https://shop.example/lamp</link>
<g:image_link>photos/lamp.jpg</g:image_link><g:price>1299.00 EUR</g:price><g:gtin>0012345678906</g:gtin></item>
"""


def google_xml(folder: Path) -> Path:
    """RSS 2.0 with the prefix g, CDATA, nested and repeated elements."""
    path = folder / "google.xml"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>'
        f"<title>Shop</title><link>https://shop.example</link>{GOOGLE_ITEMS}</channel></rss>",
        encoding="utf-8",
    )
    return path


def google_atom(folder: Path) -> Path:
    """Atom in ISO-8859-1 with the page's address in an attribute, packed."""
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><feed xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>'
        '<entry><g:id>007</g:id><g:title>K\xe4nnchen</g:title><link href="https://shop.example/mug"/>'
        "<g:image_link>photos/mug.jpg</g:image_link><g:price>19.99 EUR</g:price></entry>"
        '<entry><g:id>008</g:id><g:title>Lampe</g:title><link href="https://shop.example/lamp"/>'
        "<g:image_link>photos/lamp.jpg</g:image_link><g:price>5 EUR</g:price></entry></feed>"
    )
    path = folder / "atom.xml.gz"
    path.write_bytes(gzip.compress(text.encode("latin-1")))
    return path


def magento_csv(folder: Path) -> Path:
    """Paths that begin with a slash below a media folder, further photos in a cell, a row for a store view."""
    write_tiny_photos(folder / "media", ["m/u/mug.jpg", "m/u/mug_2.jpg", "l/a/lamp.jpg"])
    path = folder / "magento.csv"
    path.write_text(
        "sku,store_view_code,name,description,price,special_price,categories,base_image,small_image,"
        "additional_images,url_key,is_in_stock\n"
        "00123,,Mug,<p>Fine</p>,19.9,,Default/Mugs,/m/u/mug.jpg,/m/u/mug.jpg,/m/u/mug_2.jpg,blue-mug,1\n"
        "00123,de,Becher,,,,,,,,,\n"
        "90.750,,Lamp,,249,199.5,Default/Lamps,/l/a/lamp.jpg,/l/a/lamp.jpg,,lamp,0\n"
        "90.75,,Lamp,,250,,Default/Lamps,/l/a/lamp.jpg,/l/a/lamp.jpg,,lamp-2,1\n",
        encoding="utf-8",
    )
    return path


def excel_workbook(folder: Path) -> Path:
    """A title above the header, a hidden first sheet, dates, ids as text and as formatted numbers, 12345.0."""
    book = Workbook()
    hidden = book.active
    hidden.title = "Settings"
    hidden.append(["id", "image"])
    hidden.sheet_state = "hidden"
    sheet = book.create_sheet("Products")
    sheet.append(["Product list of our shop", None, None])
    sheet.append([])
    sheet.append(["SKU", "id", "image", "title", "price", "since", "EAN", "stock", None])
    rows: list[list[Any]] = [
        ["007", "a1", "photos/mug.jpg", "Mug", 19.99, dt.datetime(2024, 5, 1), 4006381333931, 12345.0],
        ["008", "a2", "photos/lamp.jpg", "Lamp", 249, dt.datetime(2024, 6, 1), 400638133393, 3.0],
        [90.75, "a3", "photos/chair.jpg", "Chair", 99.5, None, None, None],
    ]
    for row in rows:
        sheet.append(row)
    sheet["G5"].number_format = "0000000000000"
    sheet["A6"].number_format = "0.000"
    path = folder / "excel.xlsx"
    book.save(path)
    return path


# --- our manifests in other spellings -------------------------------------------------------------


def semicolons_csv(folder: Path) -> Path:
    """A `sep=` line, semicolons, decimal commas with a euro sign, comments, empty lines, a trailing separator."""
    path = folder / "semicolons.csv"
    path.write_bytes(
        (
            'sep=;\r\nid;image;title;price;\r\n# checked by Anna\r\n01;photos/mug.jpg;"Becher ""Anna""";19,99 €;\r\n'
            "\r\n02;photos/lamp.jpg;Leuchte;1.299,00 €;\r\n03;photos/chair.jpg;Stuhl;auf Anfrage;\r\n"
        ).encode("cp1252")
    )
    return path


def damaged_csv(folder: Path) -> Path:
    """Bad lines: one with too many cells, one whose quote is not closed, one with a photo that is not there."""
    path = folder / "damaged.csv"
    path.write_text(
        'id,image,title\n1,photos/mug.jpg,Mug\n2,photos/lamp.jpg,Lamp, bright\n3,photos/chair.jpg,"Chair\n'
        '4,photos/ring.jpg,"Ring, silver"\n5,photos/none.jpg,Nothing\n6,photos/bowl.jpg\n',
        encoding="utf-8",
    )
    return path


def codes_csv(folder: Path) -> Path:
    """SKUs that a spreadsheet would change: leading zeros, 12e4, 90.750 beside 90.75, 16 digits."""
    path = folder / "codes.csv"
    codes = ("007", "12e4", "90.750", "90.75", "9999999999999999", "120000", "1.0", "TRUE")
    rows = [f"{code},photos/{name}.jpg,{code},{code}" for code, name in zip(codes, NAMES, strict=True)]
    path.write_text("\n".join(["id,image,sku,EAN code", *rows]), encoding="utf-8")
    return path


def nested_json(folder: Path) -> Path:
    """A list under a key, nested objects, lists of objects, numbers with zeros at their end."""
    path = folder / "nested.json"
    product = {
        "id": "007",
        "title": "Mug",
        "images": [{"src": "photos/mug.jpg", "alt": "front"}, {"src": "photos/mug-2.jpg"}],
        "price": {"amount": 19.9, "currency": "EUR"},
        "tags": ["blue", "tea"],
        "stock": {"berlin": 3, "paris": None},
    }
    other = {
        "id": "008",
        "title": "Lamp",
        "images": [{"src": "photos/lamp.jpg"}],
        "price": {"amount": 5},
        "sku": 0,
    }
    text = json.dumps({"shop": "x", "products": [product, other]}).replace('"sku": 0', '"sku": 90.750')
    path.write_text(text, encoding="utf-8")
    return path


def json_lines(folder: Path) -> Path:
    """An object a line; one line is no JSON."""
    path = folder / "lines.jsonl"
    path.write_text(
        '{"id": "1", "image": "photos/mug.jpg", "price": "19.99 USD"}\n{"id": "2", image: }\n'
        '{"id": "3", "image": "photos/lamp.jpg", "price": "1,299.00 USD"}\n',
        encoding="utf-8",
    )
    return path


def typed_parquet(folder: Path) -> Path:
    """Decimals, dates, whole floats as codes, lists."""
    path = folder / "typed.parquet"
    pd.DataFrame(
        {
            "id": [1.0, 2.0],
            "image": ["photos/mug.jpg", "photos/lamp.jpg"],
            "price": [Decimal("12.50"), Decimal("99.00")],
            "since": [dt.date(2024, 5, 1), None],
            "ean": [4006381333931.0, None],
            "tags": [["a", "b"], None],
        }
    ).to_parquet(path)
    return path


GENERATORS: tuple[Callable[[Path], Path], ...] = (
    shopify_csv, woocommerce_csv, google_tsv, google_xml, google_atom, magento_csv, excel_workbook, semicolons_csv,
    damaged_csv, codes_csv, nested_json, json_lines, typed_parquet,
)  # fmt: skip


def main() -> None:
    """Write all inputs into a folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    photos(folder)
    for generator in GENERATORS:
        sys.stdout.write(f"{generator(folder)}\n")


if __name__ == "__main__":
    main()
