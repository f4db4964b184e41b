"""Composed queries, regions of photos and the Adjust panel in a real Chromium: by mouse, by keyboard, on a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from PIL import Image, ImageDraw

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]


def two_things(path: Path) -> Path:
    """Draw a large red and a small yellow object on white."""
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((150, 90, 270, 230), fill=(200, 30, 40))
    draw.ellipse((28, 130, 98, 184), fill=(240, 200, 40))
    image.save(path)
    return path


ITEM = "mug/red-0.jpg"
LOADING_TIMEOUT_MS = 240_000


def opened(page: Any, address: str, query: str) -> Any:
    """Open a search and wait for its hits and for the model."""
    page.goto(f"{address}/?{query}")
    page.locator("ul.grid .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    page.locator(".note:empty").wait_for(state="attached", timeout=LOADING_TIMEOUT_MS)
    return page


def parameter(page: Any, name: str) -> str:
    return parse_qs(urlsplit(page.url).query).get(name, [""])[0]


def test_a_weight_is_changed_by_keyboard_and_stays_in_the_address(app: str, new_page: NewPage) -> None:
    page = opened(new_page(), app, f"item={ITEM}&text=blue")
    chip = page.get_by_role("button", name="Adjust Text: blue")
    chip.focus()
    page.keyboard.press("Enter")
    page.get_by_role("slider", name="Weight").wait_for()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url("**part=0.5*")
    assert parameter(page, "part") == "0.5:text:blue"
    page.locator(".chip.text b", has_text="+0.5").wait_for()
    page.reload()
    page.locator(".chip.text b", has_text="+0.5").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_a_region_of_a_photo_is_selected_by_dragging_and_reset(
    app: str, new_page: NewPage, width: int, scheme: str
) -> None:
    page = opened(new_page(width, scheme=scheme, touch=width < 800), app, f"item={ITEM}")
    page.locator(".chip.item .tune").click()
    stage = page.locator(".stage")
    stage.locator("img").evaluate("image => image.decode()")
    area = stage.bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.25, area["y"] + area["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.75, area["y"] + area["height"] * 0.75, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**part=*")
    weight, kind, item_id = parameter(page, "part").split(":", 2)
    assert (weight, item_id) == ("1", ITEM)
    edges = [float(edge) for edge in kind.removeprefix("item@").split(",")]
    assert edges == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=0.02)
    page.locator("ul.grid[data-list*=part] .tile").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".chip.item .tune").click()
    page.get_by_role("button", name="Whole photo").click()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "part=" not in url)
    assert parameter(page, "item") == ITEM


def test_the_region_box_is_moved_and_resized_by_the_arrow_keys(app: str, new_page: NewPage) -> None:
    page = opened(new_page(), app, f"item={ITEM}")
    page.locator(".chip.item .tune").focus()
    page.keyboard.press("Enter")
    page.locator(".box").wait_for()
    for key in ["Shift+ArrowLeft"] * 10 + ["ArrowRight"] * 3:
        page.keyboard.press(key)
    page.get_by_role("button", name="Apply").press("Enter")
    page.wait_for_url("**part=*")
    assert "@0.06,0,0.86,1:" in unquote(parameter(page, "part"))


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_a_suggested_region_of_an_uploaded_photo_is_selected_by_one_click(
    app: str, new_page: NewPage, tmp_path: Path, width: int, scheme: str
) -> None:
    page = opened(new_page(width, scheme=scheme, touch=width < 800), app, "")
    page.locator("input[type=file]").first.set_input_files(two_things(tmp_path / "room.png"))
    page.get_by_role("button", name="Search a part").click()
    parts = page.get_by_role("button", name="Search for part")
    parts.nth(1).wait_for()
    assert parts.count() == 2
    page.get_by_text("Click a numbered part").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    parts.nth(1).click()
    page.wait_for_url("**part=*")
    region = unquote(parameter(page, "part")).split(":")[1].partition("@")[2]
    assert [float(edge) for edge in region.split(",")] == pytest.approx([0.08, 0.42, 0.34, 0.63], abs=0.06)
    page.locator("ul.grid[data-list*=part] .tile").first.wait_for()


def test_a_region_of_an_item_is_selected_from_its_details_by_keyboard(app: str, new_page: NewPage) -> None:
    page = opened(new_page(), app, f"item={ITEM}")
    page.get_by_role("button", name="Details").first.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.locator(".tile").first.wait_for()  # the dialog is fully rendered
    dialog.get_by_role("button", name="Search a part of this photo").focus()
    page.keyboard.press("Enter")
    part = page.get_by_role("button", name="Search for part 1")
    part.wait_for()
    part.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**part=*")
    assert parameter(page, "part").startswith("1:item@")
    assert page.locator("dialog[open]").count() == 0


def test_the_adjust_panel_updates_the_address_and_resets_to_defaults(app: str, new_page: NewPage) -> None:
    page = opened(new_page(), app, f"item={ITEM}")
    page.get_by_test_id("stPopoverButton").click()
    page.get_by_role("slider", name="Colour").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**emphasis=color*")
    page.get_by_text("More variety").click()
    page.wait_for_url("**diversity=*")
    page.get_by_text("Reset").click()
    page.wait_for_url(lambda url: "emphasis" not in url and "diversity" not in url)
    assert parameter(page, "item") == ITEM


def test_a_colour_alone_is_a_search(app: str, new_page: NewPage) -> None:
    page = opened(new_page(), app, "")
    page.get_by_test_id("stPopoverButton").click()
    page.get_by_role("button", name="Use colour").click()
    page.wait_for_url("**color=*")
    page.locator(".chip.color .swatch").wait_for()
