"""Fill a catalog with a month of a shop's impressions, clicks and judgments.

Benchmarks import `fill`. On the command line, use a separate catalog, never a production one: rows are append-only.

    python scripts/million_impressions.py --catalog DIR [--rows 1000000] [--seed 0]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from imgsearch.core.query import Query
from imgsearch.core.query_address import query_string
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import utc_now

HITS_A_SEARCH = 24
DAYS = 30
WORDS = ("red", "blue", "wooden", "black", "small", "white", "green", "leather")
THINGS = ("chair", "mug", "lamp", "shoes", "bag", "sofa", "watch", "bottle", "headphones", "table")
EXAMINED = 0.7
"""A visitor examines rank r with probability 1 / r**EXAMINED."""
CLICKED = 0.12
JUDGED = 1 / 200
BATCH = 250_000


@dataclass(frozen=True, slots=True)
class Filled:
    """The number of rows added to each table."""

    impressions: int
    clicks: int
    judgments: int
    searches: int


def fill(
    catalog: CatalogStore, rows: int = 1_000_000, seed: int = 0, *, until: datetime | None = None
) -> Filled:
    """Append `rows` impressions of the last 30 days (up to `until`, UTC), with clicks and judgments on them.

    Query popularity follows Zipf's law; two thirds of the queries are by item, one third by text. A query always
    has the same hits. Click probability falls with rank. The same seed and catalog produce the same rows.
    """
    rng = np.random.default_rng(seed)
    until = until or utc_now()
    item_ids = np.array([item.item_id for item in catalog.iter_items()], object)
    if len(item_ids) == 0:
        raise SystemExit("The catalog is empty; index some photos first.")
    queries = _queries(item_ids)
    hits = min(HITS_A_SEARCH, len(item_ids))
    searches = -(-rows // hits)
    asked = (rng.zipf(1.3, searches) - 1) % len(queries)
    visitor = rng.integers(0, max(1, searches // 6), searches)
    moment = np.sort(rng.uniform(0, DAYS * 86_400, searches))
    slow = rng.lognormal(np.log(6), 0.6, searches).astype(np.float32)
    clicks = judgments = 0
    for first in range(0, searches, max(1, BATCH // hits)):
        chosen = np.arange(first, min(searches, first + max(1, BATCH // hits)))
        number = np.repeat(chosen, hits)
        rank = np.tile(np.arange(1, hits + 1), len(chosen))
        place = (asked[number] * 7919 + (rank - 1) * 104_729) % len(item_ids)
        frame = pd.DataFrame(
            {
                "search_id": [f"{seed:04x}{value:028x}" for value in number],
                "happened_at": until - pd.to_timedelta(DAYS * 86_400 - moment[number], unit="s"),
                "visitor": [f"{value:032x}" for value in visitor[number]],
                "query_key": queries[asked[number]],
                "encoder": catalog.encoder_id,
                "generation": 1,
                "arm": "",
                "item_id": item_ids[place],
                "rank": rank,
                "score": (0.95 * 0.985**rank).astype(np.float32),
                "total_ms": slow[number],
            }
        )[: rows - first * hits]
        chance = CLICKED / frame["rank"].to_numpy() ** EXAMINED
        clicked = frame[rng.random(len(frame)) < chance][
            ["search_id", "happened_at", "visitor", "item_id", "rank"]
        ].assign(action="open")
        clicked["happened_at"] += pd.to_timedelta(rng.exponential(12, len(clicked)), unit="s")
        judged = frame[rng.random(len(frame)) < JUDGED][
            ["happened_at", "query_key", "item_id", "visitor", "search_id"]
        ].rename(columns={"visitor": "labeler"})
        judged["verdict"] = rng.choice(["good", "bad", "cant_tell"], len(judged), p=[0.6, 0.35, 0.05])
        _append(catalog, {"impressions": frame, "clicks": clicked, "judgments": judged})
        clicks, judgments = clicks + len(clicked), judgments + len(judged)
    return Filled(rows, clicks, judgments, searches)


def _queries(item_ids: np.ndarray) -> np.ndarray:
    """Return the query keys, the most popular ones first."""
    words = [query_string(Query.of(text=f"{word} {thing}", n=0)) for word in WORDS for thing in THINGS]
    items = [query_string(Query.of(item=str(item_id), n=0)) for item_id in item_ids[:5000]]
    mixed = [key for pair in zip(items, items[1:], words * 63, strict=False) for key in pair]
    return np.array(list(dict.fromkeys(mixed)), object)


def _append(catalog: CatalogStore, frames: dict[str, pd.DataFrame]) -> None:
    """Append the frames to their tables by column name, since tables may have additional columns."""
    with catalog.database.transaction() as cursor:
        for table, frame in frames.items():
            cursor.register("incoming_rows", frame)
            try:
                cursor.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming_rows")
            finally:
                cursor.unregister("incoming_rows")


def main() -> int:
    """Fill the catalog and print the row counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    with CatalogStore.open(given.catalog) as catalog:
        filled = fill(catalog, given.rows, given.seed)
    print(
        f"{filled.impressions:,} impressions of {filled.searches:,} searches, {filled.clicks:,} clicks, "
        f"{filled.judgments:,} judgments in {time.perf_counter() - started:.1f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
