"""Measure pages of the item listing in a catalog of many items.

    python scripts/bench_listing.py CATALOG [--repeats 5]

Prints the median time of the first page, a page in the middle and the next page by cursor: unsorted, sorted by a
number and by a text, with a filter, and with a search. The catalog is only read. Every call is one that the listing
has not answered before: the version of the catalog is raised between them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imgsearch.core.filter_grammar import parse_filter
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_listing import ItemListing, ListedPage


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--number", default="price", help="a column of numbers")
    parser.add_argument("--text", default="title", help="a column of texts")
    parser.add_argument("--filter", default="price<300")
    parser.add_argument("--search", default="walnut")
    given = parser.parse_args()
    with CatalogStore.open(given.catalog) as catalog:
        listing = ItemListing(catalog)
        orders: dict[str, dict[str, Any]] = {
            "unsorted": {},
            f"by {given.number}": {"sort": [(given.number, False)]},
            f"by {given.text}": {"sort": [(given.text, False)]},
            "by updated": {"sort": [("updated", True)]},
            f"{given.filter}, by {given.text}": {
                "sort": [(given.text, False)],
                "filters": parse_filter(given.filter),
            },
            f"{given.search!r}": {"search": given.search},
            f"{given.search!r} by {given.number}": {"search": given.search, "sort": [(given.number, True)]},
        }
        print(f"{len(catalog):,} items; median of {given.repeats}, ms")
        print(f"{'':34}{'first':>9}{'middle':>9}{'next':>9}{'again':>9}")
        for name, options in orders.items():
            page = listing.page(**options)
            middle = max(1, page.total // 2)
            calls: list[tuple[bool, Callable[[], ListedPage]]] = [
                (True, lambda options=options: listing.page(**options)),
                (True, lambda options=options, at=middle: listing.page(**options, offset=at)),
                (True, lambda options=options, at=page.cursor: listing.page(**options, cursor=at)),
                (False, lambda options=options, at=middle: listing.page(**options, offset=at + 100)),
            ]
            times = [_median_ms(catalog, call, given.repeats, fresh=fresh) for fresh, call in calls]
            print(f"{name:34}" + "".join(f"{each:9.1f}" for each in times))


def _median_ms(catalog: CatalogStore, call: Callable[[], ListedPage], repeats: int, *, fresh: bool) -> float:
    times = []
    for _ in range(repeats):
        catalog.version += int(fresh)
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


if __name__ == "__main__":
    main()
