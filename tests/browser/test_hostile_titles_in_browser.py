"""Titles, columns, values and names with markup are plain text on every page, and no resource is fetched."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")

from running_app import running_app
from samples import index_into

from imgsearch.encoders import Encoder

pytestmark = pytest.mark.browser

STORE = Path(__file__).resolve().parents[2] / "imgsearch" / "data" / "sample_store"
FOREIGN = "http://127.0.0.1:9/"
HOSTILE = f"![x]({FOREIGN}x.png) [a](b) <b> :red[c] $d$ www.example.com"
COLUMN = f"![y]({FOREIGN}y.png) *kind*"
NewPage = Callable[..., Any]


@pytest.fixture(scope="module")
def shop(lite: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the app over eight mugs, whose titles, columns and values are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    photos = folder / "photos"
    photos.mkdir()
    for photo in sorted((STORE / "images").glob("mug-00*-*.jpg"))[:8]:
        shutil.copy(photo, photos)
    names = sorted(path.name for path in photos.iterdir())
    shutil.copy(photos / names[0], photos / "copy.jpg")
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "title", COLUMN])
        writer.writerows(
            [name, HOSTILE, f"{HOSTILE} {place % 2}"] for place, name in enumerate([*names, "copy.jpg"])
        )
    index_into(folder / "catalog", lite, [photos], metadata=folder / "rows.csv")
    with running_app(folder / "catalog", log=folder / "app.log") as address:
        yield address


@pytest.fixture
def page(new_page: NewPage) -> Iterator[Any]:
    """Return a page that must not request external resources."""
    opened = new_page()
    fetched: list[str] = []
    opened.on("request", lambda request: fetched.append(request.url))
    yield opened
    assert [url for url in fetched if url.startswith(FOREIGN) or "example.com" in url] == []


TEXT = r"""root => {
  const texts = [];
  const walk = (node) => {
    if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
    if (node.shadowRoot) walk(node.shadowRoot);
    for (const child of node.childNodes) if (!["SCRIPT", "STYLE"].includes(child.nodeName)) walk(child);
  };
  walk(root);
  return texts.join("").replaceAll("\u2060", "");
}"""


def shows_plain_text(page: Any, root: Any = None, text: str = HOSTILE) -> None:
    """Assert that the page shows the exact text, and that no part of it is an element."""
    seen = (root or page.locator("body")).evaluate(TEXT)
    assert text in seen
    assert page.locator(f'img[src^="{FOREIGN}"], a[href="b"], a[href*="example.com"], .katex').count() == 0
    assert page.locator("b", has_text="[a]").count() == 0


def test_the_search_page_its_dialog_and_its_filters_show_plain_text(shop: str, page: Any) -> None:
    page.goto(f"{shop}/?item=copy.jpg")
    page.locator("ul.grid .tile").first.wait_for()
    filters = page.locator("[data-testid=stSidebar]")
    filters.get_by_text("*kind*").first.wait_for()
    for text in (HOSTILE, COLUMN[1:]):
        shows_plain_text(page, filters, text)
    shows_plain_text(page, page.locator("ul.grid"))
    page.locator("ul.grid .tile .photo").first.focus()
    page.keyboard.press("i")
    dialog = page.get_by_role("dialog")
    dialog.locator("img.large-photo").wait_for()
    shows_plain_text(page, dialog.get_by_role("heading").first)
    shows_plain_text(page, dialog.locator(".facts").first, "*kind*")


def test_collections_and_recent_searches_show_plain_text(shop: str, page: Any) -> None:
    page.goto(f"{shop}/?item=copy.jpg")
    page.locator("ul.grid .tile .photo").first.focus()
    page.keyboard.press("s")
    page.get_by_role("dialog").get_by_label("New collection").fill(HOSTILE)
    page.get_by_role("dialog").get_by_role("button", name="Create and save").click()
    page.get_by_test_id("stToast").first.wait_for()
    shows_plain_text(page)
    page.goto(f"{shop}/collections")
    page.get_by_role("button", name="Open").wait_for()
    shows_plain_text(page)
    page.get_by_role("button", name="Open").click()
    page.locator("ul.grid .tile").first.wait_for()
    shows_plain_text(page)


@pytest.mark.parametrize(
    ("path", "sign"),
    [
        ("duplicates", ".twin"),
        ("side-by-side?item=copy.jpg", ".agreement"),
    ],
)
def test_other_pages_show_plain_text(shop: str, page: Any, path: str, sign: str) -> None:
    page.goto(f"{shop}/{path}")
    page.locator(sign).first.wait_for()
    shows_plain_text(page)


def test_rules_show_plain_text(shop: str, page: Any) -> None:
    page.goto(f"{shop}/rules")
    page.get_by_text("By item ID").click()
    page.get_by_role("textbox", name="Item IDs").fill("copy.jpg")
    page.get_by_role("textbox", name="Note").fill(HOSTILE)
    page.get_by_role("button", name="Add rule").click()
    page.get_by_text("Hide copy.jpg").first.wait_for()
    shows_plain_text(page)
    assert page.locator(".thumbnails img").first.get_attribute("title") == HOSTILE


def test_judging_shows_plain_text(shop: str, page: Any) -> None:
    page.goto(f"{shop}/judge")
    page.get_by_role("button", name="New judging set").click()
    page.get_by_label("Name").first.fill(HOSTILE)
    page.get_by_label("How many queries").fill("1")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", level=1).filter(has_text="[a](b)").wait_for()
    shows_plain_text(page)
    page.get_by_label("Your name").fill("Ann")
    page.get_by_role("button", name="Judge", exact=True).click()
    page.locator(".frame[data-pair]").wait_for(state="attached")
    page.get_by_role("button", name="Start judging").click()
    shows_plain_text(page)
