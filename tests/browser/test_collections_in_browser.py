"""Collections in a real Chromium: saving by keyboard, comparing, read-only sharing, recent searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]

FOCUSED = (
    "() => { let e = document.activeElement; while (e?.shadowRoot) e = e.shadowRoot.activeElement;"
    " return e?.matches('%s') }"
)


def open_search(page: Any, address: str) -> None:
    page.goto(address)
    page.locator(".st-key-gallery ul.grid .tile").first.wait_for()


def shown(page: Any, key: str = "collection_gallery") -> list[str]:
    grid = page.locator(f".st-key-{key} ul.grid .tile")
    grid.first.wait_for()
    return grid.evaluate_all("tiles => tiles.map(tile => tile.dataset.id)")


def press_save(page: Any, place: int) -> str:
    """Press the Save key on a tile, wait for the dialog, and return the tile's item."""
    tile = page.locator(".st-key-gallery ul.grid .tile").nth(place)
    item_id = tile.get_attribute("data-id")
    tile.locator(".photo").focus()
    page.keyboard.press("s")
    page.get_by_role("dialog").get_by_label("New collection").wait_for()
    return str(item_id)


def saved(page: Any) -> None:
    """Wait until the dialog is closed and the page confirms it."""
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_test_id("stToast").first.wait_for()


def test_a_hit_is_saved_by_keyboard_compared_exported_and_shared_read_only(
    app: str, new_page: NewPage
) -> None:
    page = new_page()
    open_search(page, f"{app}/?item=mug/red-0.jpg")
    name = "<b>Mugs</b> & *co*"
    first = press_save(page, 1)
    for _ in range(12):
        if page.evaluate(FOCUSED % "input[type=text]"):
            break
        page.keyboard.press("Tab")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    saved(page)
    second = press_save(page, 2)
    page.get_by_role("dialog").get_by_role("button", name=f"{name} · 1").click()
    saved(page)
    press_save(page, 2)
    page.get_by_role("dialog").get_by_label("New collection").fill("Other")
    page.get_by_role("dialog").get_by_role("button", name="Create and save").click()
    saved(page)
    page.get_by_role("button", name="Save this search").click()
    page.get_by_role("dialog").get_by_role("button", name=f"{name} · 2").click()
    saved(page)

    page.get_by_role("link", name="Collections").click()
    card = page.locator(".st-key-collection_cards > div").filter(has_text=name)
    card.get_by_text("2 photos, 1 search").wait_for()
    card.get_by_role("button", name="Open").click()
    page.get_by_role("heading", name=name).wait_for()
    assert shown(page) == [first, second]
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert f"item,{first}," in download.value.path().read_text(encoding="utf-8")
    page.keyboard.press("Escape")

    stranger = new_page(390, scheme="dark", touch=True)
    stranger.goto(page.url)
    assert shown(stranger) == [first, second]
    stranger.get_by_text("This collection was shared with you").wait_for()
    assert stranger.get_by_role("button", name="Change").count() == 0
    assert stranger.locator(".action.take_out").count() == 0
    assert stranger.evaluate("document.documentElement.scrollWidth") <= 390

    page.get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Other").click()
    page.wait_for_url("**with=*")
    assert shown(page, "in_both") == [second]
    assert shown(page, "only_first") == [first]
    page.go_back()
    page.get_by_role("button", name="Find more like these").click()
    page.wait_for_url("**item=*item=*")
    page.locator(".st-key-gallery ul.grid .tile").first.wait_for()


def test_recent_searches_reopen_and_can_be_cleared(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_search(page, f"{app}/?item=ring/blue-1.jpg")
    open_search(page, f"{app}/?item=lamp/red-1.jpg&filter=colour%3Dred")
    page.goto(f"{app}/collections")
    page.get_by_text("Nothing saved yet").wait_for()
    page.locator(".st-key-recents").get_by_role("button").nth(1).click()
    page.wait_for_url("**item=ring*")
    open_search(page, app)
    page.get_by_role("button", name="Clear", exact=True).click()
    page.locator(".st-key-recents").wait_for(state="detached")


def test_removing_a_collection_invalidates_its_link(app: str, new_page: NewPage) -> None:
    page = new_page()
    open_search(page, f"{app}/?item=mug/red-0.jpg")
    press_save(page, 0)
    page.get_by_role("dialog").get_by_label("New collection").fill("Gone soon")
    page.keyboard.press("Enter")
    saved(page)
    page.goto(f"{app}/collections")
    page.get_by_role("button", name="Open").click()
    page.wait_for_url("**set=*")
    link = page.url
    page.get_by_role("button", name="Change").click()
    page.get_by_text("Remove this collection").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_text("Nothing saved yet").wait_for()
    page.goto(link)
    page.get_by_text("it may have been removed").wait_for()
