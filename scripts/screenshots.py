"""Save screenshots of every page at 390, 768 and 1440 px, light and dark, to a folder.

The app runs in a real Chromium, on a copy of the catalog, so that no feedback is stored in the original.

    python scripts/screenshots.py --out screenshots [--catalog DIR] [--words 'red chair'] [--width 390]
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from running_app import chromium_flags, find_chromium, running_app

WIDTHS = {390: 844, 768: 1024, 1440: 900}
SCHEMES = ("light", "dark")
TOUCH_UP_TO_PX = 800
PAGES = {
    "catalog": ".frame[data-ready=yes]",
    "catalog?view=import": ".st-key-import_files",
    "catalog?view=about": ".facts",
    "explore": ".map[data-shown]",
    "collections": ".message",
    "duplicates": ".count",
    "rules": "details",
    "side-by-side?text=red+chair": ".agreement",
    "judge": ".message",
    "quality": "details",
    "experiments": "details",
    "adapt": "[data-testid=stMetric]",
    "monitor": ".vitals",
}
"""The other pages' addresses, and a selector that each rendered page contains."""


def main() -> int:
    """Take the screenshots; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--catalog", type=Path, help="the catalog to show; the Sample Store by default")
    parser.add_argument("--words", default="red chair", help="the text query")
    parser.add_argument("--width", type=int, choices=WIDTHS, help="only this width")
    given = parser.parse_args()
    browser_path = find_chromium()
    if browser_path is None:
        print("No Chromium or Chrome is installed; install one to take screenshots.", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        catalog = Path(scratch) / "catalog"
        shutil.copytree(given.catalog or demo_catalog(), catalog)
        with running_app(catalog, log=Path(scratch) / "app.log") as address:
            for path in take_all(browser_path, address, given):
                print(path)
    return 0


def demo_catalog() -> Path:
    """Return the folder of the Sample Store's catalog; create it if missing."""
    from imgsearch.demo import ensure_demo_catalog

    return ensure_demo_catalog()


def take_all(browser_path: str, address: str, given: argparse.Namespace) -> Iterator[Path]:
    """Capture every state at every width in both colour schemes; yield the files."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=chromium_flags())
        for width, height in WIDTHS.items():
            if given.width not in (None, width):
                continue
            for scheme in SCHEMES:
                touch = width <= TOUCH_UP_TO_PX
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    reduced_motion="reduce",
                    has_touch=touch,
                    is_mobile=touch,
                )
                page = context.new_page()
                for name, reach in states(address, given.words).items():
                    reach(page)
                    rest(page)
                    path = given.out / f"{name}-{width}-{scheme}.png"
                    page.screenshot(path=path)
                    yield path
                context.close()
        browser.close()


def states(address: str, words: str) -> dict[str, Callable[[Any], None]]:
    """Return the states in order, each name with a function that navigates to it."""

    def start(page: Any) -> None:
        page.goto(address)
        page.locator(".note:empty").wait_for(state="attached", timeout=120_000)

    def similar(page: Any) -> None:
        page.locator("ul.grid .photo").nth(1).click()
        page.locator(".chip").first.wait_for()

    def text(page: Any) -> None:
        page.get_by_role("searchbox").fill(words)
        page.keyboard.press("Enter")
        page.locator(".chip.text").wait_for()

    def mixed(page: Any) -> None:
        for place, action, kind in ((1, "more", ".chip.more"), (5, "less", ".chip.less")):
            page.locator("ul.grid .tile").nth(place).hover()
            page.locator(f"ul.grid .action.{action}").nth(place).click()
            page.locator(kind).wait_for()
            rest(page)
        page.locator("ul.grid .tile").nth(0).hover()
        page.locator("ul.grid .action.good").nth(0).click()

    def details(page: Any) -> None:
        page.locator("ul.grid .tile").nth(0).hover()
        page.locator("ul.grid .action.details").nth(0).click()
        page.get_by_role("dialog").locator("img.large-photo").wait_for()

    def nothing(page: Any) -> None:
        page.goto(f"{address}/?item=no-such-photo")
        page.locator(".message").wait_for()

    def other(path: str, sign: str) -> Callable[[Any], None]:
        def reach(page: Any) -> None:
            page.goto(f"{address}/{path}")
            page.locator(sign).first.wait_for(timeout=120_000)

        return reach

    return {
        "start": start,
        "similar": similar,
        "text": text,
        "mixed": mixed,
        "details": details,
        "unknown": nothing,
        **{
            re.sub(r"\?view=", "-", path).partition("?")[0]: other(path, sign) for path, sign in PAGES.items()
        },
    }


def rest(page: Any) -> None:
    """Wait until the tiles are rendered and the visible photos are loaded."""
    page.locator("ul.grid[aria-busy]").wait_for(state="detached")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(700)


if __name__ == "__main__":
    sys.exit(main())
