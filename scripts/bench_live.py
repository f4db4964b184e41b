"""Measure searches while a catalog changes, and how soon a change is found.

    python scripts/bench_live.py [--catalog DIR] [--items 100000] [--seconds 300] [--clients 32] [--searches 50]
        [--changes 20] [--prices 100000] [--json FILE]

Serves a copy of the catalog (without --catalog one of --items is made first, `make_million.py`) and sends, from other
processes, 50 searches a second by 32 clients: by item, by words, and by words within a filter. First without changes,
then while 20 changes a second come in: PUT of a new item or of another picture (real JPEGs, which the server decodes
and encodes), PATCH of a price, DELETE. After each acknowledged change one more search looks up its item by a filter
on a value that only this change wrote: "visible after" is the time from the acknowledgement to the answer that shows
it (or, of a deletion, that does not).

Then PATCH alone, one after the other, and --prices price changes in one batch. Times are the client's, in
milliseconds; clients and server share the machine's CPUs. The search for near-duplicates of the whole catalog, which
follows a first start, is off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from live_load import HEADERS, Change, Writer
from running_app import running_app

from imgsearch.store.catalog import CatalogStore
from imgsearch.store.sampling import sample_items

WORDS = ("red", "blue", "white", "wooden", "leather", "mug", "chair", "lamp", "table", "shoe", "bag", "vase")
WARM_UP_S = 10.0
VISIBLE_TIMEOUT_S = 10.0
QUIET_PATCHES = 300
CHANGERS = 8


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "catalog"
        shutil.copytree(_source(options, Path(scratch)), folder)
        with CatalogStore.open(folder) as catalog:
            items = len(catalog)
            ids = [item.item_id for item in sample_items(catalog, 400, seed=1)]
            every_id = [item.item_id for item in catalog.iter_items()][: options.prices]
        os.environ["IMGSEARCH_FIND_DUPLICATES"] = "false"
        with running_app(folder, log=Path(scratch) / "app.log") as address:
            _wait_for_words(address)
            result = _measured(address, folder, options, ids, every_id)
            result["items"] = items
        _say(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def _measured(
    address: str, folder: Path, options: argparse.Namespace, ids: list[str], every_id: list[str]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    load = address, ids, options.clients, options.searches
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        warm = pool.submit(_change, "warm", address, ids, options.changes, WARM_UP_S)
        pool.submit(_search, *load, WARM_UP_S).result()
        warm.result()
        result["without"] = pool.submit(_search, *load, options.seconds).result()
        memory = [_memory_mb(folder)]
        searching = pool.submit(_search, *load, options.seconds)
        changing = pool.submit(_change, "bench", address, ids, options.changes, options.seconds)
        memory += _watched(folder, searching)
        result["with"], result["changes"] = searching.result(), changing.result()
        memory.append(_memory_mb(folder))
        tenth = max(1, len(memory) // 10)
        result["memory_mb"] = {
            "start": round(float(np.mean(memory[:tenth]))),
            "end": round(float(np.mean(memory[-tenth:]))),
            "most": round(max(memory)),
        }
        result["quiet_patch_ms"] = pool.submit(_patch_alone, address, every_id[:QUIET_PATCHES]).result()
        result["batch"] = pool.submit(_batch, address, every_id).result()
    return result


def _watched(folder: Path, work: Future[Any]) -> list[float]:
    """Return the server's memory, once in five seconds, until some work is done."""
    memory = []
    while not work.done():
        memory.append(_memory_mb(folder))
        time.sleep(5)
    return memory


def _memory_mb(folder: Path) -> float:
    pid = int(json.loads((folder / "writer.json").read_text())["pid"])
    fields = Path(f"/proc/{pid}/status").read_text()
    anonymous = next(line for line in fields.splitlines() if line.startswith("RssAnon"))
    return int(anonymous.split()[1]) / 1024


def _wait_for_words(address: str) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if httpx2.get(f"{address}/api/v1/search?text=red&n=1", timeout=240).status_code == 200:
            return
        time.sleep(0.5)
    sys.exit("bench_live: the encoder did not load")


# --- searches ---------------------------------------------------------------------------------------------------


def _search(address: str, ids: list[str], clients: int, per_s: float, seconds: float) -> dict[str, Any]:
    return asyncio.run(_searches(address, ids, clients, per_s, seconds))


async def _searches(
    address: str, ids: list[str], clients: int, per_s: float, seconds: float
) -> dict[str, Any]:
    times_ms: list[float] = []
    statuses: Counter[str] = Counter()
    began = time.perf_counter()

    async def client(number: int) -> None:
        rng = random.Random(number)
        async with httpx2.AsyncClient(timeout=30) as http:
            due = began + number / per_s
            while due < began + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                started = time.perf_counter()
                try:
                    answer = await http.get(f"{address}/api/v1/search", params=_drawn_query(rng, ids))
                    statuses[str(answer.status_code)] += 1
                except httpx2.HTTPError as error:
                    statuses[type(error).__name__] += 1
                times_ms.append((time.perf_counter() - started) * 1000)
                due += clients / per_s

    await asyncio.gather(*(client(number) for number in range(clients)))
    return {**_percentiles(times_ms), "searches": len(times_ms), "statuses": dict(statuses)}


def _drawn_query(rng: random.Random, ids: list[str]) -> dict[str, Any]:
    kind = rng.random()
    if kind < 0.5:
        return {"item": rng.choice(ids), "n": 24}
    query: dict[str, Any] = {"text": f"{rng.choice(WORDS)} {rng.choice(WORDS)}", "n": 24}
    if kind > 0.8:
        query["filter"] = rng.choice(("price<30", "price>=50", "category=shoes", "price=10..40"))
    return query


# --- changes ----------------------------------------------------------------------------------------------------


def _change(name: str, address: str, ids: list[str], per_s: float, seconds: float) -> dict[str, Any]:
    return asyncio.run(_changes(name, address, ids, per_s, seconds))


async def _changes(name: str, address: str, ids: list[str], per_s: float, seconds: float) -> dict[str, Any]:
    took_ms: dict[str, list[float]] = {}
    visible_ms: list[float] = []
    errors: Counter[str] = Counter()
    began = time.perf_counter()

    async def changer(number: int) -> None:
        writer = Writer(f"{name}-{number}", random.Random(f"{name} {number}"))
        async with httpx2.AsyncClient(timeout=60) as http:
            due = began + number / per_s
            while due < began + seconds:
                change = writer.draw()
                before = writer.known.get(change.item_id)
                request = change.request(address)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                started = time.perf_counter()
                answer = await http.send(request)
                took_ms.setdefault(change.kind, []).append((time.perf_counter() - started) * 1000)
                if answer.status_code >= 300:
                    errors[f"{change.kind} {answer.status_code} {answer.text[:120]}"] += 1
                    writer.in_flight = None
                else:
                    writer.acknowledged()
                    visible_ms.append(await _visible(http, address, change, before or "", ids, errors))
                due += CHANGERS / per_s

    await asyncio.gather(*(changer(number) for number in range(CHANGERS)))
    return {
        "acknowledged": len(visible_ms),
        "took_ms": {kind: _percentiles(times) for kind, times in sorted(took_ms.items())},
        "visible_after_ms": {**_percentiles(visible_ms), "max": round(max(visible_ms, default=0.0), 1)},
        "errors": dict(errors),
    }


async def _visible(
    http: httpx2.AsyncClient, address: str, change: Change, before: str, ids: list[str], errors: Counter[str]
) -> float:
    """Return how long after now the first search that shows the change was answered."""
    acknowledged = time.perf_counter()
    query = {"item": ids[0], "n": 3, "filter": f"live_token={change.token or before}"}
    while time.perf_counter() - acknowledged < VISIBLE_TIMEOUT_S:
        answer = await http.get(f"{address}/api/v1/search", params=query)
        found = (
            [hit["item_id"] for hit in answer.json().get("hits", [])] if answer.status_code == 200 else None
        )
        if found == ([change.item_id] if change.token else []):
            return (time.perf_counter() - acknowledged) * 1000
        errors[f"{change.kind} was not seen by the next search"] += 1
        await asyncio.sleep(0.02)
    errors[f"{change.kind} was never seen"] += 1
    return VISIBLE_TIMEOUT_S * 1000


def _patch_alone(address: str, ids: list[str]) -> dict[str, float]:
    times_ms = []
    with httpx2.Client(timeout=60) as http:
        for number, item_id in enumerate(ids):
            change = Change("patch", item_id, f"alone-{number}")
            started = time.perf_counter()
            http.send(change.request(address)).raise_for_status()
            times_ms.append((time.perf_counter() - started) * 1000)
    return _percentiles(times_ms)


def _batch(address: str, ids: list[str]) -> dict[str, Any]:
    rng = random.Random(5)
    lines = (
        json.dumps({"item_id": item_id, "metadata": {"price": round(rng.uniform(1, 500), 2)}})
        for item_id in ids
    )
    body = "\n".join(lines).encode()
    started, statuses = time.perf_counter(), Counter[str]()
    headers = {**HEADERS, "Content-Type": "application/x-ndjson"}
    with httpx2.Client(timeout=600) as http:
        answer = http.post(f"{address}/api/v1/items/batch", content=body, headers=headers)
        for line in answer.text.splitlines():
            statuses[str(json.loads(line).get("status"))] += 1
    return {
        "prices": len(ids),
        "seconds": round(time.perf_counter() - started, 1),
        "status": answer.status_code,
        "outcomes": dict(statuses),
    }


# --- output -----------------------------------------------------------------------------------------------------


def _percentiles(times_ms: list[float]) -> dict[str, float]:
    if not times_ms:
        return {}
    return {f"p{share}": round(float(np.percentile(times_ms, share)), 1) for share in (50, 95, 99)}


def _say(result: dict[str, Any]) -> None:
    before, during, changes = result["without"], result["with"], result["changes"]
    print(f"{result['items']:,} items")
    for name, run in (("without changes", before), ("with changes", during)):
        print(f"search {name:16} p50 {run['p50']} p95 {run['p95']} p99 {run['p99']}   {run['statuses']}")
    print(
        f"ratio of p99           {during['p99'] / before['p99']:.2f}   of p50 {during['p50'] / before['p50']:.2f}"
    )
    print(f"acknowledged changes   {changes['acknowledged']}   errors {changes['errors'] or 'none'}")
    for kind, times in changes["took_ms"].items():
        print(f"  {kind:8} {times}")
    print(f"visible after          {changes['visible_after_ms']}")
    print(f"memory in MB           {result['memory_mb']}")
    print(f"PATCH alone            {result['quiet_patch_ms']}")
    print(f"batch                  {result['batch']}")


def _source(options: argparse.Namespace, scratch: Path) -> Path:
    """Return the catalog to copy; makes one where none was given."""
    if options.catalog:
        return Path(options.catalog)
    made = scratch / "made"
    maker = Path(__file__).with_name("make_million.py")
    subprocess.run([sys.executable, str(maker), str(made), "--items", str(options.items)], check=True)
    return made


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--searches", type=float, default=50)
    parser.add_argument("--changes", type=float, default=20)
    parser.add_argument("--prices", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
