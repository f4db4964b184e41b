"""Measure the server's time from a labeler's key press to the next pair: POST /api/v1/judging over real HTTP.

Several concurrent labelers judge a set of many pairs with two raters' history; each sends its next verdict when the
previous response arrives. The page itself prefetches ten pairs, so it shows the next pair without waiting.

    python scripts/bench_judging.py [--pairs 20000] [--labelers 4] [--keys 100]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from running_app import running_app

from imgsearch.core.records import Judgment
from imgsearch.improve.judging.judging import Judging
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog
from imgsearch.store.item_table import Photo

ITEMS = 2000
DIM = 32
LIMIT_MS = 150.0


def main() -> int:
    """Run the benchmark; return the exit code: 1 if the 95th percentile exceeds the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--labelers", type=int, default=4)
    parser.add_argument("--keys", type=int, default=100, help="verdicts per labeler")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "catalog"
        make_catalog(folder, given.pairs)
        with running_app(folder, log=Path(scratch) / "app.log") as address:
            times = judge_at_once(address, given.labelers, given.keys)
    p50, p95, most = np.percentile(times, [50, 95, 100])
    print(
        f"{given.pairs:,} pairs with a rater's history, {given.labelers} labelers, {len(times):,} verdicts: "
        f"key to next pair p50 {p50:.1f} ms, p95 {p95:.1f} ms, max {most:.1f} ms"
    )
    return int(p95 > LIMIT_MS)


def make_catalog(folder: Path, pairs: int) -> None:
    """Make a catalog of raw vectors with a judging set: one rater has judged it all, two more may judge."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with CatalogStore.open(folder, create=True) as catalog:
        catalog.bind_encoder("external:bench", f"external:bench@{DIM}", DIM)
        ids = [f"{number:05d}.jpg" for number in range(ITEMS)]
        catalog.store(
            [Photo(name, "/bench", f"/bench/{name}", 1, 1, name, "", 10, 10, {}) for name in ids], vectors
        )
        feedback = FeedbackLog(catalog.database)
        verdicts = [
            Judgment(
                f"item={ids[number // 20 % ITEMS]}",
                ids[(number * 7 + number // ITEMS) % ITEMS],
                "good" if number % 2 else "bad",
                "history",
            )
            for number in range(pairs)
        ]
        unique = {(each.query_key, each.item_id): each for each in verdicts}
        Judging(catalog, feedback).import_set(
            "bench", list(unique.values()), source="the benchmark", raters=3
        )
        feedback.close()


def judge_at_once(address: str, labelers: int, keys: int) -> list[float]:
    """Return the milliseconds of every verdict's request."""
    times: list[float] = []

    def post(name: str, acts: list[dict[str, Any]]) -> dict[str, Any]:
        body = {"set": "bench", "labeler": name, "client": f"client-{name}", "acts": acts}
        request = urllib.request.Request(
            f"{address}/api/v1/judging",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))

    def work(name: str) -> None:
        reply = post(name, [])
        for _ in range(keys):
            act = {"id": uuid.uuid4().hex, "pair": reply["pairs"][0]["pair"], "act": "good", "took_ms": 800}
            started = time.perf_counter()
            reply = post(name, [act])
            times.append(1000 * (time.perf_counter() - started))

    threads = [threading.Thread(target=work, args=(f"labeler-{number}",)) for number in range(labelers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


if __name__ == "__main__":
    sys.exit(main())
