"""Measure each page's time to usable in a real Chromium, and its cost on the server.

    python scripts/bench_pages.py --catalog DIR [--rounds 3] [--text 'red mug'] [--json FILE]

Starts the app on the catalog as `serve` does (it writes feedback: use a copy), waits until text search is ready,
and opens each page `--rounds` times. For each page it prints the median seconds until the main content is present,
the median CPU seconds of all server threads in that time (background work such as duplicate detection included), and
the server's resident memory, total and without memory-mapped files. The first round fills caches and is reported
separately. At the end it prints the error lines of the server's log and the browser's console. CPU time and memory
come from /proc, so this runs on Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from running_app import chromium_flags, find_chromium, running_app

from imgsearch.core.query import Filter
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.sampling import sample_items

ENCODER_TIMEOUT_S = 180.0
PAGE_TIMEOUT_MS = 90_000
TILES = "ul.grid:not([aria-busy]) .tile"
DRAWN = ".map[data-drawn]"


@dataclass(frozen=True)
class Visit:
    """One visit of a page; `problem` describes a failure and is "" on success."""

    page: str
    usable_s: float
    processor_s: float
    memory_mb: int
    own_mb: int
    problem: str


def main() -> int:
    """Measure and print; return the exit code."""
    options = _options()
    path = find_chromium()
    if path is None:
        print("bench_pages: no Chromium or Chrome is installed.", file=sys.stderr)
        return 1
    pages = _pages(options.catalog, options.text)
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "app.log"
        with running_app(options.catalog, log=log) as address:
            _wait_for_words(address)
            visits, complaints = _visit_all(path, address, pages, options)
        complaints += _exceptions(log.read_text(errors="replace").splitlines())
    _report(visits, complaints)
    if options.json:
        result = {"load_average": round(os.getloadavg()[0], 1), "errors": complaints}
        result["visits"] = [asdict(visit) for visit in visits]
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 1 if complaints or any(visit.problem for visit in visits) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--catalog", type=Path, required=True, help="the catalog to serve: a copy")
    parser.add_argument("--rounds", type=int, default=3, help="visits per page")
    parser.add_argument("--text", default="red mug", help="text query")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    return parser.parse_args()


def _pages(folder: Path, text: str) -> dict[str, tuple[str, str]]:
    """Return {name: (address, CSS selector of the main content)}; call it before the app opens the catalog."""
    with CatalogStore.open(folder) as catalog:
        item = quote(sample_items(catalog, 1, seed=4)[0].item_id)
        choices = [
            (each.count, quote(str(Filter(facet.column, "=", each.value))))
            for facet in catalog.metadata.facets()
            if facet.kind == "choice"
            for each in facet.values
        ]
    words = quote(text)
    filtered = {}
    if choices:
        filtered = {
            "words, most frequent value": (f"/?text={words}&filter={max(choices)[1]}", f"{TILES}, .message"),
            "words, rarest value": (f"/?text={words}&filter={min(choices)[1]}", f"{TILES}, .message"),
            "no words, a filter": (f"/?filter={max(choices)[1]}", TILES),
        }
    return {
        "search": ("/", TILES),
        "an item": (f"/?item={item}", TILES),
        "words": (f"/?text={words}", TILES),
        **filtered,
        "catalog": ("/catalog", ".facts"),
        "explore, PCA": ("/explore?layout=PCA&color=Nothing", DRAWN),
        "explore": ("/explore", DRAWN),
        "duplicates": ("/duplicates", ".twin, .message, .meter"),
        "rules": ("/rules", "h1"),
        "collections": ("/collections", "h1"),
        "side by side": (f"/side-by-side?item={item}", ".side .tile"),
        "judge": ("/judge", "h1"),
        "quality": ("/quality", "h1"),
        "experiments": ("/experiments", "h1"),
        "adapt": ("/adapt", "h1"),
        "monitor": ("/monitor", ".findings"),
    }


def _wait_for_words(address: str) -> None:
    deadline = time.monotonic() + ENCODER_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/api/v1/search?text=mug&n=1", timeout=60).close()
        except urllib.error.HTTPError:
            time.sleep(0.5)
        else:
            return
    sys.exit("bench_pages: the encoder did not load in time.")


def _visit_all(
    browser_path: str, address: str, pages: dict[str, tuple[str, str]], options: argparse.Namespace
) -> tuple[list[Visit], list[str]]:
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    server = int(json.loads((options.catalog / "writer.json").read_text(encoding="utf-8"))["pid"])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=chromium_flags())
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PAGE_TIMEOUT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        visits = [
            _visit(page, server, name, f"{address}{place}", there)
            for _ in range(options.rounds)
            for name, (place, there) in pages.items()
        ]
        browser.close()
    return visits, complaints


def _visit(page: Any, server: int, name: str, address: str, there: str) -> Visit:
    from playwright.sync_api import Error

    processor, began, problem = _processor_s(server), time.perf_counter(), ""
    try:
        page.goto(address)
        page.locator(there).first.wait_for()
    except Error as error:
        problem = str(error).splitlines()[0][:200]
    took = time.perf_counter() - began
    if not problem and page.get_by_test_id("stException").count():
        problem = "the page shows an exception"
    page.wait_for_timeout(300)  # count this page's remaining work here
    memory, own = _memory_mb(server)
    return Visit(name, round(took, 2), round(_processor_s(server) - processor, 2), memory, own, problem)


def _processor_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> tuple[int, int]:
    """Return a process's resident memory and its anonymous part, in MB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return 0, 0
    sizes = {line.partition(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
    return int(sizes["VmRSS"]) // 1024, int(sizes["RssAnon"]) // 1024


def _exceptions(log: list[str]) -> list[str]:
    """Return the last line of every traceback in a log."""
    begun = [number for number, line in enumerate(log) if line.startswith("Traceback")]
    return [
        next((line for line in log[number + 1 :] if line and not line.startswith(" ")), "")
        for number in begun
    ]


def _report(visits: list[Visit], complaints: list[str]) -> None:
    print(f"{'page':30}{'first':>8}{'usable':>8}{'processor':>11}{'memory':>9}{'own':>7}")
    for name in dict.fromkeys(visit.page for visit in visits):
        own = [visit for visit in visits if visit.page == name]
        later = own[1:] or own
        print(
            f"{name:30}{own[0].usable_s:8.2f}{median(visit.usable_s for visit in later):8.2f}"
            f"{median(visit.processor_s for visit in later):11.2f}{max(visit.memory_mb for visit in own):9}"
            f"{max(visit.own_mb for visit in own):7}  {' '.join({visit.problem for visit in own})}"
        )
    for line in complaints:
        print(f"error: {line}")


if __name__ == "__main__":
    sys.exit(main())
