"""Measure the HTTP API of a running app under many concurrent clients.

    python scripts/bench_service.py --catalog DIR [--clients 1,8,32,128] [--seconds 10] [--pace 1] [--json FILE]
        [--kinds item,text,upload,broad,narrow,regions,map,collections]

Starts the app on the catalog as `serve` does and sends requests from another process: search by item, by text and by
an uploaded photo; with --kinds also text under a filter that most items pass (broad) or few do (narrow), boxes in a
photo, the map's PCA layout, and a visitor's collections. Two load patterns:

paced       every client sends one request per --pace seconds, like visitors of a shop: the latency of a click
flat out    every client sends its next request when the previous one completes: the maximum throughput. Latency is
            then mostly queueing (Little's law: clients / requests per second).

`server` is the app's time from request headers to response headers (`Server-Timing`); `client` is the client's
latency; both in milliseconds. Clients and server share the machine's CPUs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import numpy as np
from running_app import running_app

from imgsearch.core.query import Filter
from imgsearch.demo import sample_store
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.sampling import sample_items

Ask = Callable[[httpx2.AsyncClient, random.Random], Any]

WORDS = ("red", "blue", "white", "wooden", "leather", "mug", "chair", "lamp", "table", "shoe", "bag", "vase")
ITEMS = 400
ENCODER_TIMEOUT_S = 180.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        drawn = _drawn(options.catalog)
        started = time.perf_counter()
        with running_app(options.catalog, log=Path(scratch) / "app.log") as address:
            opened_s = time.perf_counter() - started
            first_s = _first_result(address, drawn.ids[0], started)
            words_s = _wait_for_words(address, started)
            result: dict[str, Any] = {
                "items": _json(f"{address}/healthz")["items"],
                "load_average": round(os.getloadavg()[0], 1),
                "start": {
                    "listening_s": round(opened_s, 2),
                    "first_result_s": round(first_s, 2),
                    "words_s": round(words_s, 2),
                },
                "runs": [],
            }
            # Clients run in a separate process, so that their interpreter does not delay the server's.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                for kind in options.kinds.split(","):
                    for clients in map(int, options.clients.split(",")):
                        for pace in (options.pace, 0.0):
                            arguments = address, kind, drawn, clients, pace, options.seconds
                            result["runs"].append(pool.submit(_run, *arguments).result())
                            _say(result["runs"][-1])
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in result.items() if name != "runs"}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--catalog", type=Path, required=True, help="the catalog to serve")
    parser.add_argument(
        "--clients", default="1,8,32,128", help="numbers of concurrent clients, comma-separated"
    )
    parser.add_argument("--kinds", default="item,text,upload", help="request kinds, comma-separated")
    parser.add_argument("--seconds", type=float, default=10, help="measuring time of each run")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between a client's requests")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    return parser.parse_args()


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as response:
        return json.load(response)


@dataclass(frozen=True)
class Drawn:
    """The catalog's query material: item ids, and filters that most or few of its items pass."""

    ids: list[str]
    broad: list[str]
    narrow: list[str]


def _drawn(folder: Path) -> Drawn:
    """Draw the query material; call it before the app opens the catalog."""
    with CatalogStore.open(folder) as catalog:
        ids = [item.item_id for item in sample_items(catalog, ITEMS, seed=1)]
        choices = [
            (each.count, str(Filter(facet.column, "=", each.value)))
            for facet in catalog.metadata.facets()
            for each in facet.values
        ]
        many = len(catalog) / 10
        return Drawn(
            ids,
            [text for count, text in choices if count >= many] or [""],
            [text for count, text in choices if count < many] or [""],
        )


def _first_result(address: str, item_id: str, started: float) -> float:
    _json(f"{address}/api/v1/items/{quote(item_id)}/similar?n=24")
    return time.perf_counter() - started


def _wait_for_words(address: str, started: float) -> float:
    """Return the time from the start until text search is ready."""
    while time.perf_counter() - started < ENCODER_TIMEOUT_S:
        try:
            _json(f"{address}/api/v1/search?text=mug&n=5")
        except urllib.error.HTTPError:
            time.sleep(0.2)
        else:
            return time.perf_counter() - started
    sys.exit("bench_service: the encoder did not load in time.")


def _run(address: str, kind: str, drawn: Drawn, clients: int, pace: float, seconds: float) -> dict[str, Any]:
    return asyncio.run(_measure(address, kind, drawn, clients, pace, seconds))


async def _measure(
    address: str, kind: str, drawn: Drawn, clients: int, pace: float, seconds: float
) -> dict[str, Any]:
    ask = _asking(kind, drawn)
    server: list[float] = []
    client: list[float] = []
    statuses: Counter[str] = Counter()
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(base_url=address, limits=limits, timeout=60) as http:
        begun = time.perf_counter()
        warm, end = begun + min(2.0, seconds / 4), begun + seconds

        async def visitor(number: int) -> None:
            rng = random.Random(number)
            await asyncio.sleep(rng.random() * pace)
            while (asked := time.perf_counter()) < end:
                try:
                    response = await ask(http, rng)
                except httpx2.HTTPError as error:
                    statuses[type(error).__name__] += 1
                    continue
                took = time.perf_counter() - asked
                if asked >= warm:
                    statuses[str(response.status_code)] += 1
                    client.append(took * 1000)
                    server.append(float(response.headers["server-timing"].rpartition("=")[2]))
                await asyncio.sleep(max(0.0, pace - took))

        await asyncio.gather(*(visitor(number) for number in range(clients)))
        lasted = time.perf_counter() - warm
    return {
        "kind": kind,
        "clients": clients,
        "way": "paced" if pace else "flat out",
        "answers_per_s": round(len(client) / lasted, 1),
        "statuses": dict(statuses),
        "server_ms": _percentiles(server),
        "client_ms": _percentiles(client),
    }


def _asking(kind: str, drawn: Drawn) -> Ask:
    """Return the function that sends one request."""
    ids, filters = drawn.ids, {"text": [""], "broad": drawn.broad, "narrow": drawn.narrow}
    if kind == "item":
        return lambda http, rng: http.get(f"/api/v1/items/{quote(rng.choice(ids))}/similar?n=24")
    if kind in filters:
        return lambda http, rng: http.get(
            "/api/v1/search",
            params={
                "text": f"{' '.join(rng.sample(WORDS, 3))} {rng.randrange(10**6)}",
                "n": 24,
                **({"filter": chosen} if (chosen := rng.choice(filters[kind])) else {}),
            },
        )
    if kind == "regions":
        return lambda http, rng: http.get("/api/v1/regions", params={"item": rng.choice(ids)})
    if kind == "map":
        return lambda http, rng: http.get("/api/v1/map", params={"projection": "pca", "dimensions": 2})
    if kind == "collections":
        visitor = "0123456789abcdef" * 2
        return lambda http, rng: http.get("/api/v1/collections", params={"visitor": visitor})
    photos = [path.read_bytes() for path in sorted((sample_store().folder / "images").glob("*.jpg"))[:64]]
    return lambda http, rng: http.post(
        "/api/v1/search?n=24", files={"image": ("photo.jpg", rng.choice(photos), "image/jpeg")}
    )


def _percentiles(times_ms: list[float]) -> dict[str, float]:
    if not times_ms:
        return {}
    return {f"p{share}": round(float(np.percentile(times_ms, share)), 1) for share in (50, 95, 99)}


def _say(run: dict[str, Any]) -> None:
    server, client = run["server_ms"], run["client_ms"]
    print(
        f"{run['kind']:7}{run['clients']:5} clients {run['way']:9}{run['answers_per_s']:8.1f}/s   server p50"
        f" {server.get('p50')} p95 {server.get('p95')} p99 {server.get('p99')}   client p50 {client.get('p50')}"
        f" p99 {client.get('p99')}   {run['statuses']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
