"""The numbers of a product's photos: SKU, SKU/2, SKU/3; a photo keeps its number where the order changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from imgsearch.core.records import Failure
from imgsearch.store.item_table import Photo


def kept_numbers(locations: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Return, by product and location, the numbers in the ids of a catalog's photos; `locations` are by item id."""
    found: dict[str, dict[str, int]] = {}
    for item_id, location in locations.items():
        product, slash, number = item_id.rpartition("/")
        if slash and number.isdecimal() and len(number) < 6:
            found.setdefault(product, {})[location] = int(number)
    for product, numbers in found.items():
        if product in locations:
            numbers[locations[product]] = 1
    return found


def with_kept_numbers(
    product: str, entries: Sequence[Photo | Failure], kept: Mapping[str, int]
) -> list[Photo | Failure]:
    """Return a product's photos with the numbers that they had; the others take the lowest that are free.

    One of them always has the product's own id: where the photo that had it is gone, the first one in the order.
    """
    numbers = [kept.get(entry.location, 0) if isinstance(entry, Photo) else 0 for entry in entries]
    if 1 not in numbers:
        # A photo that cannot be read today may be the one that has the id.
        free = [place for place, entry in enumerate(entries) if isinstance(entry, Failure)]
        numbers[free[0] if free else 0] = 1
    left = iter(sorted(set(range(2, 2 * len(entries) + 2)) - set(numbers)))
    numbers = [number or next(left) for number in numbers]
    ids = [product if number == 1 else f"{product}/{number}" for number in numbers]
    return [
        replace(entry, item_id=item_id) if isinstance(entry, Photo) else replace(entry, path=item_id)
        for item_id, entry in zip(ids, entries, strict=True)
    ]
