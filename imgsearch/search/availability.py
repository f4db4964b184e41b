"""Which items are in stock: the column that says so, as a filter like any other."""

from __future__ import annotations

from imgsearch.core.errors import QueryError
from imgsearch.core.query import Filter
from imgsearch.store.metadata_table import MetadataTable

AVAILABILITY_COLUMNS = (
    "availability", "in_stock", "instock", "available", "stock_status", "is_in_stock", "stock", "stock_quantity",
    "quantity", "inventory", "variant inventory qty", "qty",
)  # fmt: skip
"""Columns that say whether an item is in stock, in any case; the first of them counts."""
IN_STOCK = (
    "in stock", "in_stock", "in-stock", "instock", "available", "yes", "true", "y", "1", "limited availability",
    "limited_availability", "low stock", "low_stock", "limitedavailability", "onlineonly", "instoreonly",
    "http://schema.org/instock", "https://schema.org/instock", "http://schema.org/limitedavailability",
    "https://schema.org/limitedavailability", "auf lager", "lieferbar", "en stock", "disponible", "disponibile",
    "op voorraad",
)  # fmt: skip
"""Texts that say so, in any case: of Google, Shopify, WooCommerce, schema.org, and a few languages."""


def stock_filter(metadata: MetadataTable, column: str = "") -> Filter:
    """Return the filter that items in stock pass: true, a number above 0, or a text of `IN_STOCK`.

    `column` is the shop's own; by default the first of `AVAILABILITY_COLUMNS` that exists. A missing value does not
    pass. Raises `QueryError` where there is no such column.
    """
    columns = metadata.columns
    name = column or _found(list(columns))
    if not name:
        raise QueryError(
            "No column says what is in stock (availability, in_stock, stock, quantity, ...); name yours in the "
            "setting IMGSEARCH_AVAILABILITY_COLUMN, or use a filter."
        )
    position, kind = metadata.find_column(name)
    name = list(columns)[position]
    if kind == "boolean":
        return Filter(name, "=", True)
    if kind in ("number", "price"):
        return Filter(name, ">", 0.0)
    return Filter(name, "in", IN_STOCK)


def _found(columns: list[str]) -> str:
    by_name = {name.strip().casefold(): name for name in reversed(columns)}
    return next((by_name[name] for name in AVAILABILITY_COLUMNS if name in by_name), "")
