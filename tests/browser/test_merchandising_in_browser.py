"""Merchandising in a real Chromium: the expandable badge, rules that apply at once, duplicates."""

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
NewPage = Callable[..., Any]


@pytest.fixture(scope="module")
def shop(lite: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the app over the first mugs of the Sample Store, with one duplicate."""
    folder = tmp_path_factory.mktemp("shop")
    photos = folder / "photos"
    photos.mkdir()
    for photo in sorted((STORE / "images").glob("mug-00[1-6]-*.jpg")):
        shutil.copy(photo, photos)
    shutil.copy(photos / "mug-001-1.jpg", photos / "mug-001-copy.jpg")
    names = sorted(path.name for path in photos.iterdir())
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "product_id"])
        writer.writerows([name, name[:7]] for name in names)
    index_into(folder / "catalog", lite, [photos], metadata=folder / "rows.csv")
    with running_app(folder / "catalog", log=folder / "app.log") as address:
        yield address


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_a_badge_expands_the_other_photos_by_keyboard(
    shop: str, new_page: NewPage, width: int, scheme: str
) -> None:
    page = new_page(width, scheme=scheme, touch=width < 800)
    page.goto(f"{shop}/?item=mug-001-1.jpg")
    badge = page.locator(".badge").first
    badge.wait_for()
    badge.focus()
    page.keyboard.press("Enter")
    assert badge.get_attribute("aria-expanded") == "true"
    other = page.locator(".other:visible").first
    target = other.get_attribute("data-other")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    other.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**item={target}*")


def test_duplicates_are_detected_automatically_and_hidden_by_a_click(shop: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{shop}/duplicates")
    page.get_by_text("mug-001-copy.jpg", exact=True).wait_for()
    page.get_by_role("button", name="Hide").nth(1).click()
    page.get_by_role("button", name="Show again").wait_for()
    page.goto(f"{shop}/rules")
    page.get_by_text("Hide mug-001-").first.wait_for()
    page.goto(f"{shop}/?item=mug-002-1.jpg&duplicates=show")
    page.wait_for_selector("ul.grid .tile")
    shown = page.locator("ul.grid .tile").evaluate_all("all => all.map(one => one.dataset.id)")
    assert ("mug-001-1.jpg" in shown) != ("mug-001-copy.jpg" in shown)


def empty_form(page: Any) -> Any:
    """Expand the form of a new rule, and return its filter field."""
    new = page.locator("details").filter(has_text="New rule")
    new.wait_for()
    if new.get_attribute("open") is None:
        new.locator("summary").click()
    return page.get_by_role("textbox", name="Filters, one per line")


def test_a_rule_is_edited_on_a_phone_and_previews_its_matches(
    shop: str, new_page: NewPage, settled: Callable[[Any], None]
) -> None:
    page = new_page(390, scheme="dark", touch=True)
    page.goto(f"{shop}/rules")
    field = empty_form(page)
    settled(page)
    field.fill("product_id=mug-003")
    field.press("Control+Enter")
    page.get_by_text("Matches 3 items.").or_(page.get_by_text("Matches 2 items.")).first.wait_for()
    page.get_by_role("button", name="Add rule").click()
    page.get_by_text("Hide product_id=mug-003").first.wait_for()
    settled(page)
    page.get_by_role("button", name="Change").first.click()
    page.get_by_text("Change rule").wait_for()
    settled(page)
    page.get_by_text("Pin to the top").click()
    words = page.get_by_role("textbox", name="Only for searches with these words")
    words.wait_for()
    settled(page)
    words.fill("blue mug")
    page.get_by_role("button", name="Save changes").click()  # which also blurs the field
    page.get_by_text("Pin product_id=mug-003 for \u201cblue mug\u201d").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_two_buttons_pressed_in_quick_succession_both_take_effect(
    shop: str, new_page: NewPage, settled: Callable[[Any], None]
) -> None:
    page = new_page()
    page.goto(f"{shop}/rules")
    for product in ("mug-004", "mug-005"):
        field = empty_form(page)
        settled(page)
        field.fill(f"product_id={product}")
        page.get_by_role("button", name="Add rule").click()
        page.get_by_text(f"Hide product_id={product}").first.wait_for()
    settled(page)
    off = page.get_by_role("button", name="Turn off")
    off.nth(1).wait_for()
    off.evaluate_all("all => all.slice(0, 2).forEach(one => one.click())")
    for product in ("mug-004", "mug-005"):
        page.get_by_text(f"Hide product_id={product} (off)").first.wait_for()
