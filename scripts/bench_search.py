"""Measure how long a search takes inside `Searcher`: by item, by text, and under filters.

    python scripts/bench_search.py [FOLDER] [--catalog DIR] [--metadata FILE] [--encoder lite] [--json]

FOLDER is indexed first, into the catalog or a temporary one; with --catalog alone, nothing is indexed.
Each kind runs `--searches` different items or texts sequentially in one thread; times are milliseconds of the whole
`search` call.

item       items similar to an item of the catalog, 10 hits
item_24    the same, 24 hits: a page of the app
text       new texts, encoded by the model
text_again the same texts again, from the cache
filtered   items similar to an item, under a filter on one metadata value (cached by the previous search)
filtered_first   the same at the first search with that filter
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from imgsearch.core.query import Filter, Query
from imgsearch.encoders import load_encoder
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.sampling import sample_items

WORDS = (
    *("red", "blue", "green", "black", "white", "yellow", "shirt", "dress", "shoe"),
    *("mug", "chair", "lamp", "table", "bag", "bottle", "apple", "milk", "bread"),
)


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        folder = options.catalog or Path(scratch) / "catalog"
        catalog = stack.enter_context(CatalogStore.open(folder, create=options.folder is not None))
        index = open_live_index(catalog)
        encoder = load_encoder(catalog.encoder_spec or options.encoder, allow_download=False)
        if options.folder is not None:
            settings = IndexingOptions(metadata=options.metadata)
            index_sources(catalog, index, encoder, [options.folder], options=settings)
        if len(catalog) < 2:
            sys.exit("bench_search: the catalog holds no items to search.")
        catalog.preload()  # as the service does
        searcher = Searcher(catalog, index, lambda: encoder)
        result = {
            "items": len(catalog),
            "encoder": encoder.id,
            "dim": catalog.dim,
            "load_average": round(os.getloadavg()[0], 1),
            "milliseconds": _measure(catalog, searcher, options.searches),
        }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name in ("items", "encoder", "dim", "load_average"):
        print(f"{name:20} {result[name]}")
    print(f"{'milliseconds':20} {'p50':>8} {'p95':>8}")
    for kind, times in result["milliseconds"].items():
        print(f"  {kind:18} {times['p50']:8.2f} {times['p95']:8.2f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="photos to index first")
    parser.add_argument("--catalog", type=Path, help="the catalog to search (default: a temporary one)")
    parser.add_argument("--metadata", type=Path, help="a table of photo metadata, for the filters")
    parser.add_argument("--encoder", default="lite", help="the encoder of a new catalog (default: lite)")
    parser.add_argument("--searches", type=int, default=300, help="searches of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if options.folder is None and options.catalog is None:
        parser.error("give a FOLDER of photos, a --catalog, or both")
    return options


def _measure(catalog: CatalogStore, searcher: Searcher, searches: int) -> dict[str, dict[str, float]]:
    ids = [item.item_id for item in sample_items(catalog, searches, seed=0)]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 3)) + f" {number}" for number in range(min(searches, 100))]
    searcher.search(Query.of(item=ids[0]))  # warm up
    searcher.search(Query.of(text="warm up"))
    found = {
        "item": _times(lambda item_id: searcher.search(Query.of(item=item_id)), ids),
        "item_24": _times(lambda item_id: searcher.search(Query.of(item=item_id, n=24)), ids),
        "text": _times(lambda text: searcher.search(Query.of(text=text)), texts),
        "text_again": _times(lambda text: searcher.search(Query.of(text=text)), texts),
    }
    filters = _filters(catalog)
    if filters:
        first = [(ids[number % len(ids)], filter) for number, filter in enumerate(filters)]
        found["filtered_first"] = _times(lambda pair: _filtered(searcher, *pair), first)
        found["filtered"] = _times(lambda item_id: _filtered(searcher, item_id, filters[-1]), ids)
    return found


def _filtered(searcher: Searcher, item_id: str, filter: Filter) -> None:
    searcher.search(Query.of(item=item_id, filters=(filter,)))


def _filters(catalog: CatalogStore) -> list[Filter]:
    """Return a filter for each value of the first facet column, rarest first."""
    for facet in catalog.metadata.facets():
        if facet.kind == "choice" and 2 <= len(facet.values) <= 50:
            return [Filter(facet.column, "=", value.value) for value in reversed(facet.values)]
    return []


def _times(search: Callable[..., object], queries: Sequence[object]) -> dict[str, float]:
    taken_ms = []
    for query in queries:
        started = time.perf_counter()
        search(query)
        taken_ms.append((time.perf_counter() - started) * 1000)
    return {
        "p50": round(float(np.percentile(taken_ms, 50)), 3),
        "p95": round(float(np.percentile(taken_ms, 95)), 3),
    }


if __name__ == "__main__":
    main()
