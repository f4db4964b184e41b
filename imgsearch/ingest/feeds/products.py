"""The rows of each product: rows of the same id, and variations beside the product that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from imgsearch.ingest.feeds.layout import FeedLayout
from imgsearch.ingest.tables import Table


def product_ids(table: Table, layout: FeedLayout) -> list[str]:
    """Return the id of each row's product, as text; "" where the row names none."""
    ids = [""] * len(table)
    if len(layout.products) == 1:
        ids = [text.strip() if text else "" for text in layout.products[0].texts()]
    for column in reversed(layout.products) if len(layout.products) > 1 else ():
        texts = column.texts()
        ids = [text.strip() if text and text.strip() else old for text, old in zip(texts, ids, strict=True)]
    if layout.group is not None:
        parents = layout.group.texts()
        if any(parents):
            ids = _with_parents(table, layout, ids, parents)
    return ids


def _with_parents(
    table: Table, layout: FeedLayout, ids: list[str], parents: Sequence[str | None]
) -> list[str]:
    """Return the ids with those of variations replaced by their product's; a parent is named by id or SKU."""
    known: dict[str, str] = {}
    for column in layout.products:
        prefix = "id:" if column.heading.strip().lower() == "id" else ""
        for text, product, parent in zip(column.texts(), ids, parents, strict=True):
            if text and not parent:
                known.setdefault(f"{prefix}{text.strip()}", product)
    number = {name.strip().lower(): name for name in table.names}.get("id")
    if number is not None:
        for text, product, parent in zip(table.column(number).texts(), ids, parents, strict=True):
            if text and not parent:
                known.setdefault(f"id:{text.strip()}", product)
    return [
        known.get(parent.strip(), parent.strip().removeprefix("id:")) if parent and parent.strip() else own
        for own, parent in zip(ids, parents, strict=True)
    ]


def by_product(ids: Sequence[str]) -> tuple[NDArray[np.int64] | None, bool]:
    """Return (the order that brings the rows of each product together, None where they are; whether ids repeat).

    Products are in the order of their first rows. Rows without an id are products of their own.
    """
    if len(set(ids)) == len(ids):
        return None, False
    first: dict[str, int] = {}
    codes = np.empty(len(ids), np.int64)
    for row, each in enumerate(ids):
        codes[row] = first.setdefault(each, row) if each else row
    repeated = len(first) + sum(not each for each in ids) < len(ids)
    if not repeated or bool((np.diff(codes) >= 0).all()):
        return None, repeated
    return np.argsort(codes, kind="stable"), True


def runs(ids: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the (start, stop) rows of each product where the rows of a product are together."""
    start = 0
    for row in range(1, len(ids) + 1):
        if row == len(ids) or ids[row] != ids[start] or not ids[row]:
            yield start, row
            start = row
