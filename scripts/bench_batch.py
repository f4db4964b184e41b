"""Measure a batch of price changes over HTTP while the app serves searches.

    python scripts/bench_batch.py CATALOG [--lines 100000] [--searches 10] [--gzip]

Starts the app on a copy of the catalog, sends the lines as one request, and reads the answers as they come. Prints
the time, the lines per second, and the latency of searches by item that run meanwhile (--searches a second) and
before. Also prints the latency of single PATCH requests.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import numpy as np
from running_app import running_app

from imgsearch.store.catalog import CatalogStore

SEARCHES_BEFORE = 100
PATCHES = 300


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--searches", type=float, default=10, help="searches a second; 0 for none")
    parser.add_argument("--gzip", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "catalog"
        shutil.copytree(given.catalog, folder)
        with CatalogStore.open(folder) as catalog:
            sql = "SELECT item_id FROM items ORDER BY key LIMIT ?"
            ids = [row[0] for row in catalog.database.cursor().execute(sql, [given.lines]).fetchall()]
        os.environ["IMGSEARCH_LOCAL_ONLY"] = "true"
        with running_app(folder, log=Path(scratch) / "app.log") as address:
            _measure(address, ids, given)


def _measure(address: str, ids: Sequence[str], given: argparse.Namespace) -> None:
    searches = _Searches(address, ids, given.searches)
    for _ in range(SEARCHES_BEFORE):
        searches.search()
    print(f"{len(ids):,} items; search by item before: {searches.summary()}")
    body = "".join(
        json.dumps({"item_id": ids[number % len(ids)], "metadata": {"price": number / 100}}) + "\n"
        for number in range(given.lines)
    ).encode()
    searches.start()
    started = time.perf_counter()
    statuses, first_s = _send(address, gzip.compress(body) if given.gzip else body, compressed=given.gzip)
    took = time.perf_counter() - started
    searches.stop()
    print(
        f"batch of {given.lines:,} lines ({len(body):,} bytes): {took:.1f} s, {given.lines / took:,.0f} lines/s"
    )
    print(f"first answer after {first_s:.2f} s; {statuses}; search meanwhile: {searches.summary()}")
    print(f"PATCH alone: {_patches(address, ids)}")


def _send(address: str, body: bytes, *, compressed: bool) -> tuple[dict[str, int], float]:
    headers = {"Content-Type": "application/x-ndjson"} | ({"Content-Encoding": "gzip"} if compressed else {})
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=600)
    started = time.perf_counter()
    connection.request("POST", "/api/v1/items/batch", body, headers)
    answer = connection.getresponse()
    statuses: dict[str, int] = {}
    first_s = 0.0
    for line in _lines(answer):
        first_s = first_s or time.perf_counter() - started
        status = json.loads(line)["status"]
        statuses[status] = statuses.get(status, 0) + 1
    return statuses, first_s


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    if answer.status != 200:
        raise SystemExit(answer.read().decode())
    yield from answer


def _patches(address: str, ids: Sequence[str]) -> str:
    times = []
    with httpx2.Client(base_url=address) as client:
        for number in range(PATCHES):
            path = f"/api/v1/items/{quote(ids[number % len(ids)])}"
            began = time.perf_counter()
            client.patch(path, json={"metadata": {"price": number + 0.5}}).raise_for_status()
            times.append(time.perf_counter() - began)
    return _summary(times)


class _Searches:
    """Searches by item, at a steady rate, in a thread."""

    def __init__(self, address: str, ids: Sequence[str], rate: float) -> None:
        self._client = httpx2.Client(base_url=address)
        self._ids, self._rate = ids, rate
        self._times: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def search(self) -> None:
        """Search once."""
        params = {"item": random.choice(self._ids), "n": 20}
        began = time.perf_counter()
        self._client.get("/api/v1/search", params=params).raise_for_status()
        self._times.append(time.perf_counter() - began)

    def _run(self) -> None:
        while not self._stop.wait(1 / self._rate):
            self.search()

    def start(self) -> None:
        """Begin to search."""
        self._times = []
        if self._rate:
            self._thread.start()

    def stop(self) -> None:
        """End the searches."""
        self._stop.set()
        if self._rate:
            self._thread.join()

    def summary(self) -> str:
        """Return the latencies so far."""
        return _summary(self._times)


def _summary(times: Sequence[float]) -> str:
    if not times:
        return "none"
    p50, p95, p99 = np.percentile(np.array(times) * 1000, [50, 95, 99])
    return f"p50 {p50:.1f} ms, p95 {p95:.1f}, p99 {p99:.1f} ({len(times)})"


if __name__ == "__main__":
    main()
