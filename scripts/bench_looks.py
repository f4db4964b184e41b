"""Measure the cost of looks: milliseconds per photo, per re-ranking of candidates, and per search by colour.

    python scripts/bench_looks.py [--rows 1000000] [--folder DIR] [--json]

Photos are the Sample Store's, decoded as in indexing. The rows are random, in a file of the catalog's layout under
DIR (default: a temporary folder; about 210 bytes per row).

describe     computing the look of one decoded photo, in one thread (CPU time)
rows         reading the descriptors of 2,048 random keys from the file
emphasised   re-ranking 2,048 candidates with all three sliders raised
by_color     finding the 24 rows nearest to one colour
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from imgsearch.core.query import Emphasis
from imgsearch.demo import sample_store
from imgsearch.store.database import CatalogSettings, Database, insert_frame
from imgsearch.store.look_table import LookTable
from imgsearch.vision.images import decode_image
from imgsearch.vision.looks import LOOK_DIM, color_look, describe, emphasised_scores

CANDIDATES = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file")
    parser.add_argument("--folder", type=Path, help="folder of the file (default: a temporary folder)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        measured = {"describe": _describe(), **_search(Path(scratch), options.rows)}
    result = {
        "rows": options.rows,
        "load_average": round(os.getloadavg()[0], 1),
        "milliseconds": measured,
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'rows':14} {options.rows:,}\n{'load_average':14} {result['load_average']}")
    for name, times in measured.items():
        print(f"{name:14} p50 {times['p50']:8.2f}   p95 {times['p95']:8.2f}")


def _describe() -> dict[str, float]:
    photos = sorted((sample_store().folder / "images").iterdir())[::4]
    images = [decode_image(path, target_px=224) for path in photos]
    describe(images[0])
    return _percentiles([_spent(partial(describe, image), time.thread_time) for image in images])


def _search(folder: Path, rows: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(0)
    database = Database(folder)
    try:
        store = LookTable(folder / "embeddings", database, CatalogSettings(database))
        _write(store.path, rows, rng)
        with database.transaction() as cursor:
            phashes = rng.integers(0, 2**63, rows).astype(np.uint64)
            keys = np.arange(rows, dtype=np.uint64)
            insert_frame(
                cursor, "looks", pd.DataFrame({"key": keys, "phash": phashes, "crc32": np.uint32(0)})
            )
        samples = [rng.integers(0, rows, CANDIDATES).astype(np.uint64) for _ in range(50)]
        look = store.rows(samples[0])[0]
        found = store.rows(samples[0])
        scores = rng.random(CANDIDATES, dtype=np.float32)
        colors = [color_look(f"#{number:06x}") for number in rng.integers(0, 2**24, 10)]
        store.nearest_by_color(colors[0], keys, 24)
        return {
            "rows": _percentiles([_spent(partial(store.rows, part)) for part in samples]),
            "emphasised": _percentiles(
                [_spent(lambda: emphasised_scores(scores, found, look, Emphasis(1, 1, 1))) for _ in range(50)]
            ),
            "by_color": _percentiles(
                [_spent(partial(store.nearest_by_color, color, keys, 24)) for color in colors]
            ),
        }
    finally:
        database.close()


def _write(path: Path, rows: int, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True)
    block = rng.random((10_000, LOOK_DIM), dtype=np.float32).astype(np.float16)
    with path.open("wb") as file:
        for start in range(0, rows, len(block)):
            file.write(block[: rows - start].tobytes())


def _spent(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    work()
    return (clock() - started) * 1000


def _percentiles(times: list[float]) -> dict[str, float]:
    return {
        "p50": round(float(np.percentile(times, 50)), 3),
        "p95": round(float(np.percentile(times, 95)), 3),
    }


if __name__ == "__main__":
    main()
