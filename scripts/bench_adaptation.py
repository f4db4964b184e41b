"""Measure learning and publishing a head on a large catalog: time of each, and peak memory.

    python scripts/bench_adaptation.py [--items 100000] [--dim 512] [--queries 2000] [--threads 2]

The catalog holds clustered random vectors. The feedback comes from simulated visitors whose preferences the
vectors encode weakly. Text queries need a model and are omitted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from simulation import Taste, Visitors

from imgsearch.core.errors import EncoderUnavailable
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.encoders import Encoder
from imgsearch.improve.adaptation.adapting import adapt
from imgsearch.improve.adaptation.head_jobs import publish_head, roll_back_head
from imgsearch.index.heads import Projection, save_head
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame
from imgsearch.store.feedback import FeedbackLog
from imgsearch.store.item_table import Photo

BLOCK = 10_000
COLOURS, TYPES = 12, 40
TASTE = Taste({"colour": 2, "type": 1})


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    seconds: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        CatalogStore.open(Path(scratch) / "c", create=True) as catalog,
    ):

        @contextlib.contextmanager
        def timed(name: str) -> Iterator[None]:
            started = time.perf_counter()
            yield
            seconds[name] = round(time.perf_counter() - started, 2)

        with timed("making the catalog"):
            _fill(catalog, options.items, options.dim)
        with timed("indexing the embeddings"):
            index = open_live_index(catalog, threads=options.threads)
        searcher = Searcher(catalog, index, _no_encoder)
        with contextlib.closing(FeedbackLog(catalog.database)) as feedback:
            with timed("simulating visitors"):
                _visit(catalog, searcher, options.queries)
            before_mib = _peak_mib()
            with timed("adapt"):
                report = adapt(catalog, feedback, searcher.embedding, searcher.encoder)
        head = report.head or save_head(catalog, _some_projection(options.dim)).id
        with timed("publish"):
            publish_head(catalog, head, threads=options.threads)
        with timed("roll back"):
            roll_back_head(catalog, threads=options.threads)
    result = {
        "items": options.items,
        "dim": options.dim,
        "load_average": round(os.getloadavg()[0], 1),
        "seconds": seconds,
        "peak_mib": {"before adapt": before_mib, "in all": _peak_mib()},
        "reason": report.reason,
    }
    print(json.dumps(result, indent=2))


def _fill(catalog: CatalogStore, items: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    catalog.bind_encoder("test:bench", f"test:bench@{dim}", dim)
    colours, types = rng.normal(size=(COLOURS, dim)), rng.normal(size=(TYPES, dim))
    for start in range(0, items, BLOCK):
        size = min(BLOCK, items - start)
        # Each product has two consecutive photos.
        colour, kind = (np.repeat(rng.integers(0, most, size), 2)[:size] for most in (COLOURS, TYPES))
        rows = 0.4 * colours[colour] + types[kind] + 0.8 * rng.normal(size=(size, dim))
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        catalog.store([_item(start + n, int(colour[n]), int(kind[n])) for n in range(size)], rows)


def _item(number: int, colour: int, kind: int) -> Photo:
    metadata = {"colour": f"c{colour}", "type": f"t{kind}", "product_id": f"p{number // 2}"}
    name = f"{number:07d}.jpg"
    return Photo(name, "/bench", f"/bench/{name}", 1, 1, name, "", 10, 10, metadata)


def _visit(catalog: CatalogStore, searcher: Searcher, queries: int, visits: int = 10) -> None:
    rng = np.random.default_rng(1)
    visitors = Visitors(TASTE, seed=1)
    now = datetime(2026, 1, 1)
    keys = catalog.keys()
    shown, clicks = [], []
    for number, item in enumerate(catalog.by_keys(rng.choice(keys, min(queries, len(keys)), replace=False))):
        query = Query.of(item=item.item_id, n=24)
        hits = searcher.search(query).hits
        relevances = TASTE.relevances(item, hits)
        for visit in range(visits):
            name = f"{number}-{visit}"
            for hit, clicked in zip(hits, visitors.draw(relevances), strict=True):
                shown.append(
                    (name, now, name, query_key(query), "", 1, "", hit.item_id, hit.rank, hit.score, 1.0)
                )
                if clicked:
                    clicks.append((name, now, name, hit.item_id, hit.rank, "open"))
    with catalog.database.transaction() as cursor:
        insert_frame(cursor, "impressions", pd.DataFrame(shown))
        insert_frame(cursor, "clicks", pd.DataFrame(clicks))


def _some_projection(dim: int) -> Projection:
    rng = np.random.default_rng(0)
    u, v = (rng.normal(size=(dim, 32)).astype(np.float32) / dim**0.5 for _ in range(2))
    return Projection(np.zeros(dim, np.float32), u, v)


def _no_encoder() -> Encoder:
    raise EncoderUnavailable("this catalog has no model.")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
