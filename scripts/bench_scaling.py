"""Measure the inputs of `docs/operate/scaling.md`: encoding by one process and by Ray workers, and Milvus.

    python scripts/bench_scaling.py PHOTOS [--items 10000] [--milvus milvus://host:19530] [--json FILE]

`PHOTOS` is a folder with some hundred photos. Without `--milvus` the script starts a local Milvus Lite server, which
measures the cost of a gRPC call, not the search speed of a cluster.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from running_app import free_port

from imgsearch.core.errors import IndexUnavailable
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Query, Term
from imgsearch.encoders import load_encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.distributed import encode_to_shards
from imgsearch.ingest.sources import open_source
from imgsearch.search.searcher import Searcher
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo

DIM = 512
SEARCHES = 50


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--milvus", default="")
    parser.add_argument("--encoder", default="lite")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        parts = (
            lambda: fleet(options.photos, options.encoder, Path(folder)),
            lambda: index(options.items, options.milvus, Path(folder)),
        )
        for part in parts:
            measured = part()
            for name, value in measured.items():
                print(f"| {name} | {value:,.2f} |", flush=True)
            figures |= measured
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


def fleet(photos: Path, spec: str, folder: Path) -> dict[str, float]:
    """Encode the photos in this process and with Ray; report the start of Ray and model loading separately."""
    encoder, source = load_encoder(spec), open_source(photos)
    found: dict[str, float] = {}
    for name, engine, workers in (
        ("one process", "local", 1),
        ("Ray, 1 worker", "ray", 1),
        ("Ray, 2 workers", "ray", 2),
    ):
        first: list[float] = []

        def note(done: int, total: int, first: list[float] = first) -> None:
            first.append(time.perf_counter())

        place = folder / f"shards-{engine}-{workers}"
        started = time.perf_counter()
        report = encode_to_shards(
            str(place), [source], encoder, engine=engine, workers=workers, shard_photos=64, progress=note
        )
        # Steady state starts at the first finished shard, after process start and model loading.
        steady = first[-1] - first[0]
        found[f"{name}: photos/s once running"] = (report.encoded - 64) / steady
        found[f"{name}: seconds to the first shard of 64"] = first[0] - started
        size = sum(path.stat().st_size for path in place.glob("shard-*"))
        found["bytes of shards a photo"] = size / report.encoded
    return found


def index(items: int, address: str, folder: Path) -> dict[str, float]:
    """Push a catalog of clustered vectors to Milvus, and compare its searches with the catalog's local index."""
    port = free_port()
    server = None
    if not address:
        address = f"milvus://127.0.0.1:{port}"
        command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen([*command, "--data-dir", str(folder / "milvus")], stdout=subprocess.DEVNULL)
    try:
        with CatalogStore.open(folder / "catalog", create=True) as catalog:
            fill(catalog, items)
            local = open_live_index(catalog, threads=2)
            started = time.perf_counter()
            catalog.bind_index(address)
            shared = opened(catalog)
            loading = time.perf_counter() - started
            found = {"items pushed to Milvus/s, count and recall included": items / loading}
            filters = parse_filters(["kind in k1|k2|k3"])
            for name, live in (("local", local), ("Milvus", shared)):
                searcher = Searcher(catalog, live, no_encoder)
                plain = lambda n, s=searcher: s.search(Query((Term("item", f"{n}"),), n=10))  # noqa: E731
                found |= timed(f"{name}: one search, ms", plain)
                vectors = catalog.vectors(np.arange(SEARCHES, dtype=np.uint64))
                bare = lambda n, i=live, v=vectors: i.search(v[n], 256, filters=filters)  # noqa: E731
                found |= timed(f"{name}: 256 candidates under a filter, ms", bare)
            again = time.perf_counter()
            opened(catalog)
            found["Milvus: opening what is in step, s"] = time.perf_counter() - again
            return found
    finally:
        if server is not None:
            server.terminate()
            server.wait()


def fill(catalog: CatalogStore, items: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(500, DIM))
    catalog.bind_encoder("external:bench", "external:bench", DIM)
    for start in range(0, items, 5000):
        count = min(5000, items - start)
        rows = centres[rng.integers(0, 500, count)] + 0.6 * rng.normal(size=(count, DIM))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        numbers = range(start, start + count)
        catalog.store(
            [
                Photo(
                    f"{n}",
                    "/s",
                    f"/s/{n}",
                    1,
                    1,
                    f"{n}",
                    f"{n}",
                    1,
                    1,
                    {"kind": f"k{n % 10}", "price": float(n % 99)},
                )
                for n in numbers
            ],
            rows.astype(np.float32),
        )


def opened(catalog: CatalogStore) -> LiveIndex:
    """Open the index; retry while the server starts."""
    give_up = time.monotonic() + 60
    while True:
        try:
            return open_live_index(catalog, threads=2)
        except IndexUnavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


def timed(name: str, search: Callable[[int], Any]) -> dict[str, float]:
    search(0)
    took = []
    for number in range(SEARCHES):
        started = time.perf_counter()
        search(number)
        took.append((time.perf_counter() - started) * 1000)
    return {f"{name}, p50": float(np.percentile(took, 50)), f"{name}, p95": float(np.percentile(took, 95))}


def no_encoder() -> Any:
    raise RuntimeError("no encoder is needed")


if __name__ == "__main__":
    main()
