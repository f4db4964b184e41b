"""Measure the Monitor page on a million impressions: its queries, and the page in Chromium.

    python scripts/bench_monitor.py --catalog DIR [--rows 1000000] [--no-browser]

The catalog is copied and filled by `million_impressions.fill` first. `overview_ms` is one call for each period,
`page_s` the time from opening the address in a warm browser to the last table; both are medians of three.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from million_impressions import fill
from running_app import chromium_flags, find_chromium, running_app

from imgsearch.improve.monitoring.drift import read_drifts
from imgsearch.improve.monitoring.overview import PERIODS, Period, read_overview
from imgsearch.store.catalog import CatalogStore

TIMES = 3


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--no-browser", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(given.catalog, Path(scratch) / "catalog"))
        with CatalogStore.open(folder) as catalog:
            filled = fill(catalog, given.rows)
            database = catalog.database
            figures: dict[str, Any] = {
                "impressions": filled.impressions,
                "overview_ms": {
                    name: median_ms(lambda name=name: read_overview(database, Period.last(name)))
                    for name in PERIODS
                },
                "drifts_ms": median_ms(lambda: read_drifts(database)),
            }
        if not given.no_browser:
            figures["page_s"] = page_s(folder, Path(scratch) / "app.log")
    print(json.dumps(figures, indent=2))
    return 0


def median_ms(call: Callable[[], object]) -> float:
    """Return the median milliseconds of a call."""
    took = []
    for _ in range(TIMES):
        started = time.perf_counter()
        call()
        took.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(took), 1)


def page_s(folder: Path, log: Path) -> float | None:
    """Return the median seconds from opening the last 30 days to their last table; None without Chromium."""
    from playwright.sync_api import sync_playwright

    browser_path = find_chromium()
    if browser_path is None:
        return None
    took = []
    with running_app(folder, log=log) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=chromium_flags())
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)  # warm the browser's cache and the model
        page.locator(".note:empty").wait_for(state="attached", timeout=180_000)
        for _ in range(TIMES):
            started = time.perf_counter()
            page.goto(f"{address}/monitor?period=30+days")
            page.locator("table.facts").wait_for(timeout=60_000)
            took.append(time.perf_counter() - started)
        browser.close()
    return round(statistics.median(took), 2)


if __name__ == "__main__":
    sys.exit(main())
