"""The Explore page in a real Chromium: points by click, lasso, keyboard and touch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from running_app import chromium_flags, find_chromium

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]
SOFTWARE_WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture(params=["webgl", "canvas"])
def painted_page(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Any]:
    """Return a page of a Chromium with or without WebGL."""
    from playwright.sync_api import sync_playwright  # noqa: F401  # skipped by `chromium` where it is missing

    flags = [flag for flag in chromium_flags() if flag != "--disable-gpu"]
    flags += SOFTWARE_WEBGL if request.param == "webgl" else ["--disable-gpu", "--disable-3d-apis"]
    browser = chromium.browser_type.launch(executable_path=find_chromium(), args=flags)
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(90_000)
    page.expected_painter = request.param
    yield page
    browser.close()


def open_map(page: Any, app: str) -> Any:
    """Open the page, coloured by category, and return the map once its points are rendered."""
    page.goto(f"{app}/explore?color=Category")
    shown = page.locator('.map[data-shown$="column:category"]')
    shown.wait_for(timeout=240_000)
    page.locator(".map[data-drawn]").wait_for()
    return shown


def points(page: Any) -> list[list[float]]:
    """Return the points' positions in the window."""
    found: list[list[float]] = page.locator(".map").evaluate(
        """map => {
            const view = map.getRootNode().view || map.parentNode.view;
            const box = map.querySelector('canvas').getBoundingClientRect();
            return Array.from(view.points.keys, (_, place) => {
                const [x, y] = view.camera.project(view.points.places, place);
                return [box.left + x, box.top + y];
            });
        }"""
    )
    return found


def colors_drawn(page: Any) -> int:
    """Return the number of distinct colours on the points' canvas."""
    return int(
        page.locator("canvas.points").evaluate(
            """canvas => {
                const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
                const view = canvas.getRootNode().view || canvas.closest('.map').parentNode.view;
                view.draw();
                copy.drawImage(canvas, 0, 0);
                const seen = new Set();
                const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
                for (let at = 0; at < data.length; at += 4) {
                    if (data[at + 3] === 255) seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
                }
                return seen.size;
            }"""
        )
    )


def test_points_are_rendered_with_and_without_webgl(painted_page: Any, app: str) -> None:
    shown = open_map(painted_page, app)
    assert shown.get_attribute("data-painter") == painted_page.expected_painter
    painted_page.locator(".photos img.there").first.wait_for()
    assert colors_drawn(painted_page) >= 4, "one colour for each category"
    painted_page.get_by_text("3-D", exact=True).click()
    painted_page.locator('.map[data-shown^="pca 3"], .map[data-shown^="umap 3"]').wait_for()
    assert colors_drawn(painted_page) >= 4


def test_hovering_shows_a_photo_and_a_click_finds_similar_items(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_map(page, app)
    x, y = points(page)[0]
    page.mouse.move(x, y)
    card = page.locator(".card:not([hidden])")
    card.locator("strong").wait_for()
    assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.mouse.click(x, y)
    page.wait_for_url("**/?item=*")
    page.wait_for_selector("ul.grid .tile")


def test_a_legend_entry_isolates_its_points(app: str, new_page: NewPage) -> None:
    page = new_page(scheme="dark")
    open_map(page, app)
    entry = page.locator(".legend button[data-code='0']")
    before = entry.locator(".count").inner_text()
    entry.click()
    assert page.locator(".legend button[aria-pressed='true']").count() == 1
    faint = "map => (map.getRootNode().view || map.parentNode.view).parts[0]"
    assert page.locator(".map").evaluate(faint) == 48 - int(before)
    page.get_by_role("button", name="Show all").click()
    assert page.locator(".map").evaluate(faint) == 0


def test_a_lasso_makes_a_set_that_can_be_saved_and_exported(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_map(page, app)
    page.get_by_role("button", name="Draw around photos").click()
    box = page.locator("canvas.points").bounding_box()
    right, bottom = box["width"] - 8, box["height"] - 8
    page.mouse.move(box["x"] + 8, box["y"] + 8)
    page.mouse.down()
    for dx, dy in ((right, 8), (right, bottom), (8, bottom)):
        page.mouse.move(box["x"] + dx, box["y"] + dy, steps=6)
    page.mouse.up()
    page.get_by_role("heading", name="Your selection: 48 photos").wait_for()
    page.locator("ul.grid[aria-label='24 selected photos'] .tile").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 49
    page.get_by_label("Collection name").fill("All of it")
    page.get_by_role("button", name="Save as collection").click()
    page.get_by_text("Saved to a new collection").wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("heading", name="Your selection: 48 photos").wait_for(state="detached")


def test_the_map_works_by_keys_alone(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_map(page, app)
    page.locator("canvas.points").focus()
    page.keyboard.press("ArrowRight")
    page.locator(".card:not([hidden]) strong").wait_for()
    first = page.locator(".sr").inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => { const map = [...document.querySelectorAll('*')].map(one => (one.shadowRoot || one)"
        ".querySelector('.map .sr')).find(Boolean); return map && map.textContent && map.textContent !== before; }",
        arg=first,
    )
    page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?item=*")


def test_a_group_is_shown_by_a_click_on_its_tile(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_map(page, app)
    page.get_by_role("heading", name="Groups of similar photos").wait_for(timeout=240_000)
    tiles = page.locator("ul.grid[aria-label$='the largest first'] .photo")
    tiles.first.wait_for()
    assert "photos of the group" in tiles.first.get_attribute("aria-label")
    tiles.first.click()
    page.locator("ul.grid[aria-label$='selected photos'] .tile").first.wait_for()
    page.get_by_role("heading", name="Outliers").wait_for()


def test_a_tap_first_shows_a_photo_and_nothing_overflows_on_a_phone(app: str, new_page: NewPage) -> None:
    page = new_page(390, scheme="dark", touch=True)
    open_map(page, app)
    page.locator("canvas.points").scroll_into_view_if_needed()
    inside = [place for place in points(page) if 0 < place[1] < 880]
    page.touchscreen.tap(*inside[0])
    button = page.get_by_role("button", name="Find similar items", exact=True)
    button.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "item=" not in page.url
    button.tap()
    page.wait_for_url("**/?item=*")
