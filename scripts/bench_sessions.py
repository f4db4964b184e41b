"""Measure a click in the app, in a real Chromium, with many sessions open.

    python scripts/bench_sessions.py --catalog DIR [--sessions 10] [--clicks 20] [--pace 3] [--json FILE]

Starts the app on the catalog, opens it in the given number of browser profiles, and clicks similar items. Measures
the milliseconds from the click to the new grid in the page, by the page's clock. Three load patterns:

alone     one open session clicks
turns     all sessions are open and click sequentially
paced     all sessions are open and each clicks once per --pace seconds, like visitors

Chromium renders in software on the same CPUs as the app; with ten sessions it uses more CPU than the app. `rerun` is
the app's part: from the page's message on the socket to the last response before the new grid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page, async_playwright
from running_app import chromium_flags, find_chromium, running_app

PAGE_TIMEOUT_MS = 60_000
WATCH_SOCKETS = """
(() => {
  const Original = window.WebSocket;
  window.WebSocket = class extends Original {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", () => { window.lastMessage = performance.now(); });
    }
    send(data) {
      window.lastSend = performance.now();
      return super.send(data);
    }
  };
})();
"""
CLICK = """
(grid, place) => new Promise((resolve, reject) => {
  const root = grid.getRootNode();
  const before = grid.dataset.list;
  const tiles = grid.querySelectorAll("li.tile button.photo");
  const started = performance.now();
  tiles[place % tiles.length].click();
  const look = () => {
    const now = root.querySelector("ul.grid");
    if (now && now.dataset.list !== before) {
      resolve({ click: performance.now() - started, rerun: window.lastMessage - window.lastSend });
    } else if (performance.now() - started > 30000) {
      reject(new Error("no new grid in 30 s"));
    } else {
      requestAnimationFrame(look);
    }
  };
  look();
})
"""


def main() -> None:
    options = _options()
    chromium = find_chromium()
    if chromium is None:
        sys.exit("No Chromium or Chrome is installed.")
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_app(options.catalog, log=Path(scratch) / "app.log") as address,
    ):
        found = asyncio.run(_measure(options, address, chromium))
    result = {"load_average": round(os.getloadavg()[0], 1), "sessions": options.sessions, "ways": found}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    print(f"{options.sessions} sessions, load average {result['load_average']}")
    print(f"{'':8}{'clicks':>8}{'p50':>8}{'p95':>8}{'rerun p50':>11}{'p95':>8}")
    for way, figures in found.items():
        print(
            f"{way:8}{figures['clicks']:8}{figures['p50']:8.0f}{figures['p95']:8.0f}"
            f"{figures['rerun_p50']:11.0f}{figures['rerun_p95']:8.0f}"
        )


async def _measure(options: argparse.Namespace, address: str, chromium: str) -> dict[str, dict[str, float]]:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=chromium_flags())
        pages = [await _open(browser, address)]
        found = {"alone": _figures([await _click(pages[0], n) for n in range(options.clicks)])}
        pages += [await _open(browser, address) for _ in range(options.sessions - 1)]
        turns = [await _click(page, n) for n in range(options.clicks) for page in pages]
        found["turns"] = _figures(turns)
        paced = await asyncio.gather(*(_visit(page, options, seed) for seed, page in enumerate(pages)))
        found["paced"] = _figures([click for clicks in paced for click in clicks])
        await browser.close()
    return found


async def _open(browser: Any, address: str) -> Page:
    """Return a new visitor's page with its first grid."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page: Page = await context.new_page()
    page.set_default_timeout(PAGE_TIMEOUT_MS)
    await page.add_init_script(WATCH_SOCKETS)
    await page.goto(address)
    await page.locator("ul.grid li.tile").first.wait_for()
    await page.wait_for_timeout(1000)
    return page


async def _visit(page: Page, options: argparse.Namespace, seed: int) -> list[dict[str, float]]:
    """Click once per pace interval, with a per-session offset."""
    rng = random.Random(seed)
    await asyncio.sleep(rng.random() * options.pace)
    clicks = []
    for number in range(options.clicks):
        click = await _click(page, number + seed)
        clicks.append(click)
        await asyncio.sleep(max(options.pace - click["click"] / 1000, 0) * (0.5 + rng.random()))
    return clicks


async def _click(page: Page, number: int) -> dict[str, float]:
    """Click one of the first tiles and return the time to the new grid."""
    found: dict[str, float] = await page.locator("ul.grid").first.evaluate(CLICK, 1 + number % 8)
    await page.wait_for_timeout(300)
    return found


def _figures(clicks: list[dict[str, float]]) -> dict[str, float]:
    taken, reruns = [one["click"] for one in clicks], [one["rerun"] for one in clicks]
    return {
        "clicks": len(clicks),
        "p50": round(float(np.percentile(taken, 50)), 1),
        "p95": round(float(np.percentile(taken, 95)), 1),
        "rerun_p50": round(float(np.percentile(reruns, 50)), 1),
        "rerun_p95": round(float(np.percentile(reruns, 95)), 1),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--clicks", type=int, default=20, help="clicks per session and load pattern")
    parser.add_argument("--pace", type=float, default=3.0, help="seconds between a visitor's clicks")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
