"""Side by side and Undo in a real Chromium: by mouse, by keyboard, on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from photos import draw_photo

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]
ITEM = "mug/red-0.jpg"
OTHER = "mug/blue-0.jpg"
LOADING_TIMEOUT_MS = 240_000


def parameter(page: Any, name: str) -> str:
    return parse_qs(urlsplit(page.url).query).get(name, [""])[0]


def waits_for(page: Any, name: str, value: str) -> None:
    page.wait_for_url(lambda url: parse_qs(urlsplit(url).query).get(name) == [value])


def compared(page: Any, address: str, query: str) -> Any:
    """Open two results side by side and wait for both."""
    page.goto(f"{address}/side-by-side?{query}")
    page.locator(".side .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    return page


def ids(page: Any, place: str) -> list[str]:
    return page.locator(f".side[data-place={place}] .tile").evaluate_all(
        "tiles => tiles.map(t => t.dataset.id)"
    )


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_two_results_are_side_by_side_and_a_click_searches_both_again(
    app: str, new_page: NewPage, width: int, scheme: str
) -> None:
    page = compared(
        new_page(width, scheme=scheme, touch=width < 800), app, f"item={ITEM}&n=12&right=live,diversity:0.9"
    )
    left, right = ids(page, "left"), ids(page, "right")
    assert len(left) == len(right) == 12
    assert left != right
    areas = page.locator(".side").evaluate_all(
        "sides => sides.map(one => one.getBoundingClientRect().toJSON())"
    )
    assert areas[0]["y"] == areas[1]["y"]
    assert areas[0]["x"] + areas[0]["width"] <= areas[1]["x"]
    assert areas[1]["x"] + areas[1]["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    marks = page.locator(".side[data-place=left] .mark").all_inner_texts()
    for item_id, mark in zip(left, marks, strict=True):
        place = right.index(item_id) + 1 if item_id in right else 0
        rank = left.index(item_id) + 1
        expected = "only here" if not place else "same rank" if place == rank else f"{rank}→{place}"
        assert mark.replace("\n", "").replace(" ", "") == expected.replace(" ", "")
    assert "of 12 photos" in page.locator(".agreement p").inner_text()
    page.locator(".side[data-place=right] .photo").nth(4).click()
    waits_for(page, "item", right[4])
    page.locator(f".chip.item img[src*='{right[4]}']").wait_for()
    assert (parameter(page, "n"), parameter(page, "right")) == ("12", "live,diversity:0.9")


def test_the_page_works_by_keyboard_and_focus_highlights_the_same_photo_on_both_sides(
    app: str, new_page: NewPage
) -> None:
    page = compared(new_page(), app, f"item={ITEM}&n=12&right=live,diversity:0.9")
    first = page.locator(".side[data-place=left] .photo").first
    first.focus()
    page.keyboard.press("End")
    focused = "document.activeElement.shadowRoot?.activeElement ?? document.activeElement"
    twin = page.evaluate(f"({focused}).closest('.tile').dataset.twin")
    assert page.locator(".tile.twin").count() == (2 if twin else 0)
    page.keyboard.press("Home")
    target = page.evaluate(f"({focused}).closest('.tile').dataset.id")
    assert page.locator(".tile.twin").count() == 2
    page.keyboard.press("Enter")
    waits_for(page, "item", target)
    page.locator(f".chip.item img[src*='{target}']").wait_for()
    page.locator(".sides:not([aria-busy])").wait_for()
    page.get_by_role("button", name="Swap sides").press("Enter")
    waits_for(page, "left", "live,diversity:0.9")
    assert parameter(page, "right") == "live"


def test_a_text_and_an_upload_search_both_sides(app: str, new_page: NewPage, tmp_path: Any) -> None:
    page = new_page()
    page.goto(f"{app}/side-by-side")
    page.get_by_text("to compare both sides").wait_for(timeout=LOADING_TIMEOUT_MS)
    page.get_by_role("searchbox").fill("blue mug")
    page.keyboard.press("Enter")
    page.locator(".side .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    assert parameter(page, "text") == "blue mug"
    draw_photo("mug", "red", variant=5).save(tmp_path / "mine.jpg")
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.jpg")
    page.wait_for_url("**upload=*")
    page.locator(".chip.upload").wait_for()
    page.locator(".side .tile").first.wait_for()


def test_an_adjusted_search_is_compared_with_the_default_one(app: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{app}/?item={ITEM}&diversity=0.4")
    page.locator("ul.grid .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    page.get_by_test_id("stPopoverButton").click()
    page.get_by_role("button", name="Side by side").click()
    page.wait_for_url("**/side-by-side?*")
    page.locator(".side .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    assert [parameter(page, name) for name in ("item", "left", "right", "diversity")] == [
        ITEM,
        "live",
        "live,diversity:0.4",
        "",
    ]


@pytest.mark.parametrize("width", [1440, 390])
def test_undo_reverts_the_last_changes_one_by_one(app: str, new_page: NewPage, width: int) -> None:
    page = new_page(width, touch=width < 800)
    page.goto(f"{app}/?item={ITEM}&more={OTHER}")
    page.locator(".chip.more").wait_for(timeout=LOADING_TIMEOUT_MS)
    page.locator("ul.grid .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    assert page.get_by_role("button", name="Undo").count() == 0, "nothing was changed yet"
    page.locator(".chip.more").get_by_role("button", name="Remove").click()
    page.locator(".chip.more").wait_for(state="detached")
    page.get_by_role("button", name="Undo").wait_for()
    page.locator(".chip").get_by_role("button", name="Remove").click()
    page.locator(".chip").wait_for(state="detached")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Undo").click()
    page.locator(".chip.item").wait_for()
    assert page.locator(".chip.more").count() == 0
    page.get_by_role("button", name="Undo").click()
    page.locator(".chip.more").wait_for()
    assert (parameter(page, "item"), parameter(page, "more")) == (ITEM, OTHER)
    page.get_by_role("button", name="Undo").wait_for(state="detached")


def test_ctrl_z_undoes_the_search_but_not_text_input(app: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{app}/?item={ITEM}&more={OTHER}")
    page.locator(".chip.more").wait_for(timeout=LOADING_TIMEOUT_MS)
    page.locator("ul.grid .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    page.get_by_role("button", name="Clear all").click()
    page.locator(".chip").first.wait_for(state="detached")
    page.get_by_role("button", name="Undo").wait_for()
    page.locator("ul.grid[data-list^=sample] .tile").first.wait_for()
    page.get_by_role("searchbox").fill("a lamp")
    page.keyboard.press("Control+z")
    page.wait_for_timeout(600)
    assert parameter(page, "item") == ""
    page.locator("ul.grid .photo").first.focus()
    page.keyboard.press("Control+z")
    page.locator(".chip.more").wait_for()
    assert (parameter(page, "item"), parameter(page, "more")) == (ITEM, OTHER)
