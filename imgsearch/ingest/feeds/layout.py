"""How a feed's table is read: its format, and what each column means."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imgsearch.core.column_schema import ColumnSchema, StatedColumn
from imgsearch.core.column_values import ColumnKind
from imgsearch.core.errors import NoPhotoColumn, SourceError
from imgsearch.ingest.column_plan import ImportedColumn
from imgsearch.ingest.feeds.formats import FORMATS, FeedFormat, recognised_format
from imgsearch.ingest.feeds.image_cells import image_columns, looks_like_picture
from imgsearch.ingest.feeds.options import FeedOptions
from imgsearch.ingest.feeds.typed_columns import Clean, MetadataColumn, metadata_column
from imgsearch.ingest.tables import Table, TableColumn
from imgsearch.ingest.tables.names import plain_name

PRICES = ("price", "sale_price")
ONE_VALUE = ("price", "sale_price", "sku", "gtin", "mpn")
"""Canonical columns of which a product has one: of a list, as of variants, the first."""
OTHER_IDS = (
    "sku", "product_id", "productid", "article_number", "article_no", "artikelnummer", "artikel_nr", "artikelnr",
    "item_number", "item_no", "product_code", "product_number", "part_number", "handle", "code", "gtin", "ean", "upc",
)  # fmt: skip
"""Columns that name the products of a table without a column id."""
READ_BEFORE = ("CSV", "TSV", "Parquet", "JSON Lines")
IMAGES_READ_BEFORE = frozenset(("image", "path", "file", "filename", "image_path", "url", "image_url"))
"""Tables of these formats with these columns were read by version 0.1.0, with the photos' paths as ids."""


@dataclass(frozen=True, slots=True)
class FeedLayout:
    """The columns of a feed by their meaning.

    The first filled one of `products` is the id of a row's product, `group` names the product that a row belongs to
    besides. The first filled one of `images` and all `further` have the row's photos.
    """

    format: FeedFormat
    products: tuple[TableColumn, ...]
    group: TableColumn | None
    images: tuple[TableColumn, ...]
    further: tuple[TableColumn, ...]
    position: TableColumn | None
    metadata: tuple[MetadataColumn, ...]
    mapped_to: Mapping[str, str]
    """What each column of the table became: a metadata name, or "item id", "photo", ...; "" where it is not used."""
    notes: tuple[str, ...] = ()

    @property
    def ids_are_photos(self) -> bool:
        """Whether the column of the ids is taken for the one of photos, because its cells look like them."""
        return bool(self.images and self.products) and self.images[0].name == self.products[0].name

    @property
    def imported(self) -> dict[str, ImportedColumn]:
        """The metadata columns, for the plan of an import."""
        return {
            each.name: ImportedColumn(each.recognised, each.stated.kind is not None, each.stated.role)
            for each in self.metadata
        }


def read_layout(
    table: Table, options: FeedOptions, schema: ColumnSchema, *, needs_images: bool = True
) -> FeedLayout:
    """Return the layout of a table; raises `SourceError` where it has no photos, or options do not fit it."""
    names = {plain_name(column.heading): column for column in reversed(table.columns)}
    chosen = _chosen_format(names, options)
    images, further = _photo_columns(table, chosen, names, options)
    if needs_images and images and _is_row_of_photos(table, images):
        raise SourceError(_no_image_column(table))
    if needs_images and not images:
        raise NoPhotoColumn(_no_image_column(table))
    products, notes = _product_columns(table, chosen, names, options)
    group = next((names[name] for name in chosen.groups if name in names), None)
    position = names.get(chosen.position) if chosen.position else None
    photos = [*images, *further] if chosen.is_shop else [*images[:1], *further]
    used = {column.name: "photo" for column in photos}
    used |= {column.name: "product" if chosen.is_shop else "item id" for column in products[:1]}
    kept = {column.name for column in products if not chosen.is_shop and is_other_id(column)}
    if chosen.is_shop:
        used |= {group.name: "product"} if group is not None else {}
        metadata, mapped = _shop_metadata(table, chosen, names, used, schema)
    else:
        mapped = dict(used)
        metadata = []
        for column in table.columns:
            if (column.name not in used or column.name in kept) and not column.holds_vectors:
                metadata.append(metadata_column(column.name, column, stated=_stated(schema, column)))
                mapped[column.name] = ", ".join(filter(None, (used.get(column.name), column.name)))
    return FeedLayout(
        chosen,
        tuple(products),
        group,
        tuple(images),
        tuple(further),
        position,
        tuple(metadata),
        mapped,
        notes,
    )


def is_other_id(column: TableColumn) -> bool:
    """Return whether a column that may give a table's ids is not named id: then it is metadata too."""
    return plain_name(column.heading) in OTHER_IDS


def _product_columns(
    table: Table, chosen: FeedFormat, names: Mapping[str, TableColumn], options: FeedOptions
) -> tuple[list[TableColumn], tuple[str, ...]]:
    """Return (the columns of which the first filled one is a row's product, notes)."""
    if options.id_column:
        return [_named(table, options.id_column, "id")], ()
    products = [names[name] for name in chosen.product if name in names]
    other = next(
        (names[name] for name in OTHER_IDS if name in names and names[name].filled() == len(table)), None
    )
    if products or chosen.is_shop or other is None or not len(table):
        return products, ()
    headings = {column.heading.lower() for column in table.columns}
    if table.format in READ_BEFORE and not headings.isdisjoint(IMAGES_READ_BEFORE):
        note = f"has no column id: the photos' paths are the ids; for others pass --id-column {other.name!r}."
        return [], (f"{table.path} {note}",)
    return [other], ()


def _chosen_format(names: Mapping[str, TableColumn], options: FeedOptions) -> FeedFormat:
    if not options.format:
        return recognised_format(names.keys())
    if options.format not in FORMATS:
        raise SourceError(f"There is no format {options.format!r}; there are: {', '.join(FORMATS)}.")
    return FORMATS[options.format]


def _photo_columns(
    table: Table, chosen: FeedFormat, names: Mapping[str, TableColumn], options: FeedOptions
) -> tuple[list[TableColumn], list[TableColumn]]:
    """Return (the columns of which the first filled cell is a row's photo, those of further photos)."""
    if options.image_columns:
        stated = [_named(table, name, "image") for name in options.image_columns]
        return stated[:1], stated[1:]
    if not chosen.is_shop:
        return image_columns(table)
    present = [names[name] for name in chosen.images if name in names]
    repeated = [each for each in table.columns if plain_name(each.heading) in chosen.images]
    return present[:1], [*present[1:], *(each for each in repeated if each not in present)]


def _stated(schema: ColumnSchema, column: TableColumn, canonical: str = "") -> StatedColumn:
    """Return what the schema states of a column under its own name or its canonical one."""
    nothing = StatedColumn()
    found = [schema.of(name) for name in (canonical, column.name, column.heading) if name]
    return next((each for each in found if each != nothing), nothing)


def _shop_metadata(
    table: Table,
    chosen: FeedFormat,
    names: Mapping[str, TableColumn],
    used: Mapping[str, str],
    schema: ColumnSchema,
) -> tuple[list[MetadataColumn], dict[str, str]]:
    """Return the metadata columns of a shop's format under canonical names, and what each column became."""
    mapped = dict(used)
    metadata = []
    renamed: set[str] = set()
    for canonical, candidates in chosen.meanings.items():
        present = [names[name] for name in candidates if name in names]
        filled = [column for column in present if column.filled()]
        if filled:
            column = filled[0].first_values() if canonical in ONE_VALUE else filled[0]
            stated, clean = _stated(schema, column, canonical), CLEAN.get(canonical)
            kind: ColumnKind | None = "price" if canonical in PRICES else None
            metadata.append(metadata_column(canonical, column, clean=clean, stated=stated, kind=kind))
            renamed.add(column.name)
            mapped[column.name] = f"{used[column.name]}, {canonical}" if column.name in used else canonical
    taken = {column.name for column in metadata}
    for column in table.columns:
        name = column.name.removeprefix("g:")
        if column.name in used or column.name in renamed or column.holds_vectors:
            continue
        if plain_name(column.heading) in chosen.dropped or not column.filled():
            mapped[column.name] = ""
            continue
        name = f"{name} ({chosen.name})" if name in taken else name
        taken.add(name)
        clean = without_tags if "description" in plain_name(column.heading) else None
        metadata.append(metadata_column(name, column, clean=clean, stated=_stated(schema, column)))
        mapped[column.name] = name
    return metadata, mapped


def _named(table: Table, wanted: str, what: str) -> TableColumn:
    """Return the column that an option names, in any spelling; raises `SourceError`."""
    for column in table.columns:
        if wanted in (column.name, column.heading):
            return column
    for column in table.columns:
        if plain_name(column.heading) == plain_name(wanted):
            return column
    raise SourceError(f"{table.path} has no {what} column {wanted!r}; it has: {shown_columns(table)}.")


def _is_row_of_photos(table: Table, images: Sequence[TableColumn]) -> bool:
    """Return whether the first row has no names of columns: the column of photos is named by a photo."""
    return len(images) == 1 and looks_like_picture(images[0].heading)


def shown_columns(table: Table) -> str:
    """Return the table's columns for a message: the first ones, in printable characters."""
    shown = ["".join(each if each.isprintable() else "?" for each in name[:60]) for name in table.names[:40]]
    names = ", ".join(shown)
    return names if len(table.names) <= 40 else f"{names}, and {len(table.names) - 40} more"


def _no_image_column(table: Table) -> str:
    if any(looks_like_picture(name) for name in table.names):
        return (
            f"The first line of {table.path} names no columns: put a line with their names, such as id,image,title, "
            "above it."
        )
    return f"{table.path} has no column of photos, such as image; it has: {shown_columns(table)}."


# --- texts ---------------------------------------------------------------------------------------------------------

_BLOCKS = frozenset(
    (
        "p", "br", "div", "li", "ul", "ol", "tr", "td", "th", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
        "section", "article",
    )
)  # fmt: skip
_TAG_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]*)")


def without_tags(text: str) -> str:
    """Return HTML as plain text in one line; text without tags stays as it is, apart from white space."""
    if "<" not in text and "&" not in text:
        return text
    first, *parts = text.split("<")
    out = [first]
    hidden = ""
    for part in parts:
        tag, closed, rest = part.partition(">")
        found = _TAG_NAME.match(tag)
        name = found[1].lower() if found else ""
        if hidden:
            if tag.startswith("/") and name == hidden:
                hidden = ""
                out.append(rest)
        elif not closed or not (found or tag.startswith(("!", "?"))):
            out.append(f"<{part}")
        elif name in ("script", "style"):
            hidden = name
        else:
            out.append(f" {rest}" if name in _BLOCKS else rest)
    return " ".join(html.unescape("".join(out)).split())


def availability(text: str) -> str:
    """Return the availability of an offer in Google's words, from these or from a yes or no."""
    words = text.strip().lower().replace("_", " ")
    known = {"1": "in stock", "yes": "in stock", "true": "in stock", "instock": "in stock"}
    known |= {
        "0": "out of stock",
        "no": "out of stock",
        "false": "out of stock",
        "outofstock": "out of stock",
    }
    known |= {"backorder": "backorder", "onbackorder": "backorder"}
    return known.get(words, words)


def category(text: str) -> str:
    """Return a category's path with single spaces around ">"."""
    return " > ".join(part.strip() for part in html.unescape(text).split(">") if part.strip())


CLEAN: Mapping[str, Clean] = {
    "description": without_tags,
    "availability": availability,
    "category": category,
    "title": lambda text: " ".join(html.unescape(text).split()) if "&" in text else text,
}
