"""Measure the latency that recording impressions adds to a search, and how much a kill loses.

    python scripts/bench_feedback.py --catalog DIR [--searches 400] [-n 24] [--json]

The catalog is copied first. The service runs the same searches by item alternately with and without recording.
`added_ms` is the difference of the means (it includes the background writer's load), printed with the difference of
the medians, which other load affects less, and the time of `record_impressions` alone. For the kill, a process
records a search every 5 ms, prints the time of each and is killed; `lost_ms` is the age of the oldest missing search
at the kill.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.query import Query
from imgsearch.store.database import Database

KILLED_AFTER_S = 5.0
RECORDING = """
import sys, time
from pathlib import Path
from imgsearch.store.database import Database
from imgsearch.store.feedback import FeedbackLog
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, SearchResult
log = FeedbackLog(Database(Path(sys.argv[1])))
hits = tuple(Hit(f"{rank}.jpg", rank, 0.5, rank, "/x") for rank in range(1, 25))
for number in range(1_000_000):
    log.record_impressions(SearchResult(Query.of(text="x"), hits, "e", 1, 24, {"total": 1.0}, str(number)), "text=x")
    print(number, time.time(), flush=True)
    time.sleep(0.005)
"""


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--searches", type=int, default=400)
    parser.add_argument("-n", type=int, default=24)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(given.catalog, Path(scratch) / "catalog"))
        figures = {"hits": given.n, "searches": given.searches, **added(folder, given.searches, given.n)}
        figures["lost_ms"] = lost_ms(Path(scratch) / "killed")
    if given.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:>16}  {value:,.3f}" if isinstance(value, float) else f"{name:>16}  {value:,}")
    return 0


def added(folder: Path, searches: int, n: int) -> dict[str, float]:
    """Return the mean milliseconds of a search with and without recording, and of the recording call."""
    service = SearchService.open(Settings.load({}, catalog=folder))
    try:
        item_ids = [item.item_id for item in service.sample(200, seed=0)]
        took: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * searches):
            query = Query.of(item=item_ids[number // 2 % len(item_ids)], n=n)
            record = number % 2 == 0
            started = time.perf_counter()
            result = service.search(query, visitor="bench", record=record)
            took[record].append((time.perf_counter() - started) * 1000)
            time.sleep(0.002)
        calls = []
        for _ in range(searches):
            started = time.perf_counter()
            service.feedback.record_impressions(result, "item=bench", visitor="bench")
            calls.append((time.perf_counter() - started) * 1000)
            time.sleep(0.002)
    finally:
        service.close()
    return {
        "recorded_ms": float(np.mean(took[True])),
        "unrecorded_ms": float(np.mean(took[False])),
        "added_ms": float(np.mean(took[True]) - np.mean(took[False])),
        "added_median_ms": float(np.median(took[True]) - np.median(took[False])),
        "call_mean_ms": float(np.mean(calls)),
        "call_p99_ms": float(np.percentile(calls, 99)),
    }


def lost_ms(folder: Path) -> float:
    """Return the age in ms of the oldest lost search at a kill; 0 if none is lost."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    recorded: dict[str, float] = {}
    killed_at = None
    for line in process.stdout:
        number, moment = line.split()
        recorded[number] = float(moment)
        if killed_at is None and recorded[number] - recorded["0"] > KILLED_AFTER_S:
            killed_at = time.time()
            process.kill()
    process.wait()
    database = Database(folder)
    kept = {
        row[0] for row in database.cursor().execute("SELECT DISTINCT search_id FROM impressions").fetchall()
    }
    database.close()
    missing = [moment for number, moment in recorded.items() if number not in kept]
    assert killed_at is not None
    return max(0.0, (killed_at - min(missing)) * 1000) if missing else 0.0


if __name__ == "__main__":
    sys.exit(main())
