"""The Monitor page in a real Chromium: visible charts, links to searches, and the period in the address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_figures_charts_and_links_work_on_desktop_and_phone(
    app: str, new_page: NewPage, width: int, scheme: str
) -> None:
    page = new_page(width, scheme=scheme, touch=width < 800)
    page.goto(f"{app}/?item=mug/red-0.jpg")
    page.wait_for_selector("ul.grid .tile")
    page.goto(f"{app}/monitor?period=Hour")
    page.locator(".findings").wait_for()
    page.locator(".chart.columns .upper").first.wait_for(state="attached")
    heights = page.locator(".chart.columns i").evaluate_all(
        "all => all.map(one => one.offsetHeight * one.offsetWidth)"
    )
    assert max(heights) > 100, "a column can be seen"
    ink = page.locator(".chart.spark .line").first.evaluate("one => getComputedStyle(one).backgroundColor")
    assert ink == {"light": "rgb(12, 111, 98)", "dark": "rgb(63, 193, 173)"}[scheme]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_text("Week", exact=True).click()
    page.wait_for_url("**period=Week*")
    page.reload()
    page.locator(".monitor-table a[href*='item=mug%2Fred-0.jpg']").first.click()
    page.wait_for_selector("ul.grid .tile")
    assert "item=mug" in page.url
