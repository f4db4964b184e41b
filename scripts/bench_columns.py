"""How long filters and facets take on metadata columns of every kind.

    python scripts/bench_columns.py --items 1000000

Prints the median time of each filter and of each column's facet, in milliseconds, over a catalog that is made for
the run in a temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from imgsearch.core.filter_grammar import parse_filters
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.metadata_columns import add_column

COLUMNS = {
    "brand": ("text", "'brand ' || (i * 7919 % 200)"),
    "title": ("text", "'Product number ' || i"),
    "stock": ("number", "(i * 31 % 1000)::DOUBLE"),
    "new": ("boolean", "i % 3 = 0"),
    "price": ("price", "((i * 101 % 100000) / 100)::DECIMAL(18, 4)"),
    "price_currency": ("text", "['EUR', 'USD'][1 + (i % 10 = 0)::INT]"),
    "added": ("date", "DATE '2020-01-01' + (i % 2000)::INT"),
    "sold": ("datetime", "TIMESTAMP '2020-01-01' + INTERVAL (i % 100000) MINUTE"),
    "opens": ("time", "TIME '00:00' + INTERVAL (i % 1440) MINUTE"),
    "tags": ("list", "['tag ' || (i % 40), 'tag ' || (40 + i % 13), 'all']"),
}
FILTERS = (
    *(
        "brand=brand 7",
        "title~number 12345",
        "stock<50",
        "new=true",
        "price<50",
        "price<50 EUR",
        "price=10..20",
    ),
    *("added>=2025-01-31", "added=2021-01-01..2021-03-31", "sold=2020-01-05", "opens<09:00", "tags=tag 7"),
    *("tags in tag 7|tag 41", "tags~tag 5"),
)


def fill(catalog: CatalogStore, items: int) -> None:
    """Write the rows by SQL."""
    with catalog.writing() as cursor:
        for position, (name, (kind, _)) in enumerate(COLUMNS.items()):
            add_column(cursor, name, kind, position)  # type: ignore[arg-type]
        cells = ", ".join(sql for _, sql in COLUMNS.values())
        cursor.execute(f"INSERT INTO metadata SELECT i::UBIGINT, {cells} FROM range({items}) AS rows (i)")


def median_ms(call: Callable[[], object], runs: int) -> float:
    """Return the median time of a call after one that is not counted."""
    call()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> None:
    """Fill a catalog and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        CatalogStore.open(Path(folder) / "catalog", create=True) as catalog,
    ):
        fill(catalog, given.items)
        metadata = catalog.metadata
        print(f"{given.items:,} items, median of {given.runs} runs")
        for text in FILTERS:
            filters = parse_filters([text])
            found = len(metadata.keys_matching(filters))
            took = median_ms(lambda filters=filters: metadata.keys_matching(filters), given.runs)  # type: ignore[misc]
            print(f"{took:8.1f} ms  filter {text}  ({found:,} items)")

        def fresh(column: str) -> None:
            metadata.reload()
            metadata.facets(only=[column])

        for column in COLUMNS:
            print(f"{median_ms(lambda column=column: fresh(column), given.runs):8.1f} ms  facet of {column}")  # type: ignore[misc]


if __name__ == "__main__":
    main()
