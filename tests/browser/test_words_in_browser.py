"""Text queries in a real Chromium: suggested filters update the address, misspelt words are corrected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]
LOADING_TIMEOUT_MS = 240_000


def typed(page: Any, address: str, words: str) -> Any:
    """Type a text on the start screen and search for it."""
    page.goto(address)
    page.locator("ul.grid .tile").first.wait_for(timeout=LOADING_TIMEOUT_MS)
    page.locator(".note:empty").wait_for(state="attached", timeout=LOADING_TIMEOUT_MS)
    page.get_by_role("searchbox").fill(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**text=*")
    return page


def parameters(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_suggested_filters_are_accepted_one_by_one_and_back_undoes_it(app: str, new_page: NewPage) -> None:
    page = typed(new_page(), app, "red under 30")
    offered = page.locator(".st-key-suggestions")
    offered.get_by_role("button", name="Price under 30").click()
    page.wait_for_url("**filter=*")
    assert parameters(page) == {"text": ["red"], "filter": ["price<30"]}
    offered.get_by_role("button", name="Price under 30").wait_for(state="detached")
    offered.get_by_role("button", name="Colour: red").click()
    page.wait_for_url("**colour*")
    assert parameters(page) == {"text": ["red"], "filter": ["price<30", "colour=red"]}
    offered.wait_for(state="detached")
    page.locator("ul.grid[data-list*=colour] .tile").first.wait_for()
    page.go_back()
    page.wait_for_url(lambda url: "colour" not in url)
    offered.get_by_role("button", name="Colour: red").wait_for()


def test_all_suggestions_are_accepted_by_keyboard_also_on_a_phone(app: str, new_page: NewPage) -> None:
    page = typed(new_page(390, scheme="dark", touch=True), app, "nice red mugs between 1 and 40")
    page.get_by_role("button", name="All of these").focus()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("Enter")
    page.wait_for_url("**price*")
    assert parameters(page)["text"] == ["nice"]
    assert parameters(page)["filter"] == ["colour=red", "category=mug", "price>=1", "price<=40"]


def test_misspelt_words_are_corrected_or_a_correction_is_offered(app: str, new_page: NewPage) -> None:
    page = typed(new_page(390, touch=True), app, "mugg")
    page.get_by_text("Showing results for mug").wait_for()
    assert parameters(page) == {"text": ["mugg"]}
    page.get_by_role("button", name="Search for mugg instead").click()
    page.wait_for_url("**spelling=keep*")
    page.get_by_text("Showing results for").wait_for(state="detached")
    page.locator("ul.grid[data-list*=keep] .tile").first.wait_for()
    page.get_by_role("searchbox").fill("red mugg")
    page.keyboard.press("Enter")
    page.get_by_text("Did you mean").wait_for()
    page.get_by_role("button", name="red mug?").click()
    page.wait_for_url("**text=red+mug")
    page.get_by_text("Did you mean").wait_for(state="detached")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
