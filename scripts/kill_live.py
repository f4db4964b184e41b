"""Kill the serving process again and again while it is changed, and check what is left.

    python scripts/kill_live.py [--rounds 100] [--writers 4] [--catalog DIR] [--seed 0]

Each round starts the app, changes items over HTTP with pictures, prices and deletions while others are searched,
kills it with SIGKILL at a random moment, and opens the catalog again. Then `imgsearch verify` must be clean, every
acknowledged change must be there, and the one that was in flight must be there as a whole or not at all.
Without --catalog, a copy of the Sample Store is used.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
from live_load import TIMEOUT_S, Writer
from running_app import running_app

from imgsearch.demo import ensure_demo_catalog
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import live_space
from imgsearch.ingest.verification import verify_catalog
from imgsearch.store.catalog import CatalogStore


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "catalog"
        if options.catalog:
            shutil.copytree(options.catalog, folder)
        else:
            ensure_demo_catalog(folder=folder)
        failures = run(folder, Path(scratch) / "app.log", options.rounds, options.writers, options.seed)
    sys.exit(f"kill_live: {failures} rounds failed" if failures else 0)


def run(folder: Path, log: Path, rounds: int, writers: int, seed: int) -> int:
    """Return how many rounds failed."""
    chance = random.Random(seed)
    loads = [Writer(f"w{number}", random.Random(f"{seed} {number}")) for number in range(writers)]
    failures = 0
    for turn in range(1, rounds + 1):
        done = sum(load.done for load in loads)
        errors = _round(folder, log, loads, chance.uniform(1.0, 6.0))
        problems = [*errors, *_check(folder, loads)]
        failures += bool(problems)
        changes = sum(load.done for load in loads) - done
        found = "; ".join(problems[:5]) or "all there, verify clean"
        print(f"round {turn:3}: {changes:4} acknowledged changes, {found}", flush=True)
    return failures


def _round(folder: Path, log: Path, loads: list[Writer], seconds: float) -> list[str]:
    """Serve the catalog under load for some seconds, then kill the process; return the errors before that."""
    errors: list[str] = []
    stop = threading.Event()

    def write(load: Writer, address: str) -> None:
        with httpx2.Client(timeout=TIMEOUT_S) as client:
            while not stop.is_set():
                try:
                    answer = client.send(load.draw().request(address))
                except httpx2.HTTPError as error:
                    if not stop.is_set():
                        errors.append(f"{type(error).__name__} before the kill")
                    return
                if answer.status_code >= 300:
                    kind = load.in_flight.kind if load.in_flight else ""
                    errors.append(f"{kind}: {answer.status_code} {answer.text[:200]}")
                    load.in_flight = None
                    return
                load.acknowledged()

    def search(address: str) -> None:
        with httpx2.Client(timeout=TIMEOUT_S) as client:
            while not stop.is_set():
                try:
                    client.get(f"{address}/api/v1/search", params={"text": "red mug", "n": 12})
                except httpx2.HTTPError:
                    return

    try:
        with running_app(folder, log=log) as address:
            _wait_for_words(address)
            threads = [threading.Thread(target=write, args=(load, address)) for load in loads]
            threads.append(threading.Thread(target=search, args=(address,)))
            for thread in threads:
                thread.start()
            time.sleep(seconds)
            pid = int(json.loads((folder / "writer.json").read_text())["pid"])
            stop.set()
            os.kill(pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
    except RuntimeError as error:
        if "code -9" not in str(error):
            raise
    return errors


def _wait_for_words(address: str) -> None:
    """Wait until the encoder is loaded."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if httpx2.get(f"{address}/api/v1/search?text=red&n=1", timeout=60).status_code == 200:
            return
        time.sleep(0.2)


def _check(folder: Path, loads: list[Writer]) -> list[str]:
    with CatalogStore.open(folder) as catalog:
        open_live_index(catalog, space=live_space(catalog))
        problems = list(verify_catalog(catalog).problems)
        stored: dict[str, dict[str, Any]] = {
            item.item_id: {**item.metadata, "price": float(item.metadata.get("price", 0))}
            for item in catalog.iter_items()
            if item.item_id.startswith("live/")
        }
        for load in loads:
            problems += load.problems(stored)
            load.settle(stored)
    return problems


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
