"""Measure how fast the Quality page opens with a million impressions, in a real Chromium.

Copies a catalog (default: the Sample Store), adds the impressions and some stored reports, and opens every view of
the page. The time is from navigation to the rendered view.

    python scripts/bench_quality.py [--catalog DIR] [--rows 1000000] [--visits 5]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from million_impressions import fill
from running_app import chromium_flags, find_chromium, running_app

from imgsearch.improve.judging.topics import Topic
from imgsearch.improve.quality.evaluation import EvaluationReport, RatedHit
from imgsearch.improve.quality.measures import MeasureResult, bootstrap_interval
from imgsearch.improve.quality.reports import Reports, run_of
from imgsearch.store.catalog import CatalogStore

VIEWS = {
    "results": ".q-rows",
    "compare": ".q-table",
    "history": "canvas, .vega-embed",
    "robustness": ".message",
}
QUERIES = 1000
REPORTS = 20
MEASURES = ("nDCG@10", "P@10", "R@10", "AP", "Judged@10")
PAGE_TIMEOUT_MS = 120_000


def main() -> int:
    """Print the time to open each view; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalog", type=Path, help="the catalog to copy (default: the Sample Store)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--visits", type=int, default=5)
    given = parser.parse_args()
    browser_path = find_chromium()
    if browser_path is None:
        print("No Chromium or Chrome is installed; install one to measure.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "catalog"
        shutil.copytree(given.catalog or demo_catalog(), folder)
        with CatalogStore.open(folder) as catalog:
            filled = fill(catalog, given.rows)
            keep_reports(catalog)
        print(f"{filled.impressions:,} impressions, {filled.judgments:,} judgments")
        print(f"{REPORTS} reports of {QUERIES:,} queries")
        with running_app(folder, log=Path(scratch) / "app.log") as address:
            visit(browser_path, address, given.visits)
    return 0


def demo_catalog() -> Path:
    """Return the folder of the Sample Store's catalog; create it if missing."""
    from imgsearch.demo import ensure_demo_catalog

    return ensure_demo_catalog()


def keep_reports(catalog: CatalogStore) -> None:
    """Store as many reports as a team gathers in some months; contents are random, only their size matters."""
    rng = np.random.default_rng(0)
    items = [item.item_id for item in catalog.iter_items()]
    query_ids = [
        items[number % len(items)] + ("" if number < len(items) else f"#{number}")
        for number in range(QUERIES)
    ]
    topics = {query_id: Topic(query_id, "item", query_id.partition("#")[0]) for query_id in query_ids}
    kept = Reports(catalog.database)
    for number in range(REPORTS):
        values = np.clip(rng.normal(0.6 + number / 100, 0.25, (QUERIES, len(MEASURES))), 0, 1)
        report = EvaluationReport(
            measures=tuple(
                MeasureResult(name, float(row.mean()), *bootstrap_interval(row.tolist()), QUERIES)
                for name, row in zip(MEASURES, values.T, strict=True)
            ),
            per_query={
                query_id: dict(zip(MEASURES, row, strict=True))
                for query_id, row in zip(query_ids, values.tolist(), strict=True)
            },
            skipped={},
            unknown_items=0,
            warnings=(),
            encoder=catalog.encoder_id,
            items=len(catalog),
            seconds=10.0,
            topics=topics,
            hits={
                query_id: tuple(
                    RatedHit(items[place], rank, int(rng.integers(0, 2)))
                    for rank, place in enumerate(rng.choice(len(items), 10, replace=False), start=1)
                )
                for query_id in query_ids
            },
        )
        system = "live" if number % 2 else "other"
        kept.save(run_of(report, system=system, judgments="bench", digest="bench"), report)


def visit(browser_path: str, address: str, visits: int) -> None:
    """Open each view `visits` times and print the durations."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=chromium_flags())
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(PAGE_TIMEOUT_MS)
        page.goto(address)  # warm the browser's cache of the app's scripts
        page.get_by_role("searchbox").wait_for()
        print(f"{'view':<12} first   median  s")
        for view, drawn in VIEWS.items():
            took = []
            for _ in range(visits):
                page.goto("about:blank")
                started = time.perf_counter()
                page.goto(f"{address}/quality?view={view}", wait_until="commit")
                page.locator(drawn).first.wait_for()
                took.append(time.perf_counter() - started)
            print(f"{view:<12} {took[0]:5.2f}   {statistics.median(took):5.2f}")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
