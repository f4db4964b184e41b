"""Quality, Experiments and Adapt in a real Chromium: each page's complete workflow, on desktop and phone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_app import running_app

from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment
from imgsearch.index.heads import Projection, save_head
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]
REPORT = {
    "reason": "nDCG@10 on 40 held-out queries changes by +0.1000 (+0.0500 to +0.1500): worth publishing.",
    "before": 0.5,
    "after": 0.6,
    "change": 0.1,
    "low": 0.05,
    "high": 0.15,
    "guards": [],
    "samples": [],
    "queries": {"train": 120, "validation": 40, "test": 40},
    "skipped": {},
    "clicks": 900,
    "impressions": 9000,
    "judgments": 0,
    "eta": 1.0,
    "eta_source": "as given",
    "text_pairs": 0,
    "product_pairs": 0,
    "notes": [],
}


@pytest.fixture(scope="module")
def shop(chromium: Any, shared_lite_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a shop with judgments of five queries, a second system, and an unpublished head."""
    folder = Path(shutil.copytree(shared_lite_catalog, tmp_path_factory.mktemp("improving") / "catalog"))
    with CatalogStore.open(folder) as catalog, contextlib.closing(FeedbackLog(catalog.database)) as feedback:
        items = list(catalog.iter_items())
        for query in items[::10]:
            for item in items:
                if item.item_id != query.item_id:
                    good = item.metadata["colour"] == query.metadata["colour"]
                    key = query_key(Query.of(item=query.item_id))
                    feedback.record_judgment(Judgment(key, item.item_id, "good" if good else "bad", "ann"))
        index = open_live_index(catalog)
        with contextlib.closing(
            Systems(Searcher(catalog, index, lambda: pytest.fail("no text is encoded")))
        ) as systems:
            systems.save(System("varied", diversity=0.6))
        u = 0.3 * np.random.default_rng(0).normal(size=(catalog.dim, 4)).astype(np.float32)
        head = save_head(catalog, Projection(np.zeros(catalog.dim, np.float32), u, u), report=REPORT)
        assert head.id == "head-0001"
    with running_app(folder, log=tmp_path_factory.mktemp("log") / "app.log") as address:
        yield address


def choose(page: Any, label: str, option: str) -> None:
    """Choose an option of a select box by typing it."""
    page.get_by_role("combobox", name=label).click()
    page.keyboard.type(option)
    page.get_by_role("option", name=option).first.click()


def fits(page: Any) -> bool:
    """Return whether nothing overflows the window horizontally."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_two_systems_are_measured_and_compared(shop: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{shop}/quality")
    choose(page, "Systems", "varied")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.locator(".q-card").first.wait_for()
    page.wait_for_url("**report=*")
    assert " to " in page.locator(".q-card .q-note").first.inner_text()
    page.locator(".q-row").nth(4).wait_for()
    assert page.locator(".q-row").count() == 5
    values = [float(text) for text in page.locator(".q-row .q-value strong").all_inner_texts()]
    assert values == sorted(values), "the worst query comes first"
    photo = page.locator(".q-row .q-hit img").first
    assert photo.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    page.get_by_role("radio", name="Compare").click()
    verdict = page.locator(".q-verdict")
    verdict.wait_for()
    assert "varied" in verdict.inner_text()
    assert page.locator(".q-table tbody tr").count() >= 3
    page.wait_for_url("**view=compare*")
    phone = new_page(390, scheme="dark", touch=True)
    for view in ("results", "compare"):
        phone.goto(f"{shop}/quality?view={view}")
        phone.locator(".q-row").first.wait_for()
        assert fits(phone)


def test_an_experiment_is_created_started_visited_read_and_stopped(shop: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{shop}/experiments")
    page.get_by_role("textbox", name="Name").first.wait_for()
    form = page.locator("[data-testid=stForm]").filter(has_text="Arms, control first")
    form.get_by_role("textbox", name="Name").fill("spring-variety")
    choose(page, "Arms, control first", "varied")
    page.keyboard.press("Escape")
    form.get_by_role("button", name="Create").click()
    page.wait_for_url("**experiment=spring-variety*")
    page.get_by_role("button", name="Start").click()
    page.locator(".state.running").wait_for()
    for _ in range(4):
        visitor = new_page()
        visitor.goto(f"{shop}/?item=mug/red-0.jpg")
        visitor.locator("ul.grid .tile").first.click()
        visitor.wait_for_url(lambda url: "red-0" not in url)
    arms = page.locator("table.arms")
    for _ in range(200):
        page.reload()
        page.locator(".verdict").wait_for()
        if arms.count() and "Visitors" in arms.inner_text():
            break
        page.wait_for_timeout(300)
    assert {"live", "varied"} <= set(arms.locator("thead").inner_text().split())
    assert page.locator(".verdict p").inner_text().endswith(".")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Stop for good").click()
    page.locator(".state.stopped").wait_for()
    phone = new_page(390, scheme="dark", touch=True)
    phone.goto(f"{shop}/experiments?experiment=spring-variety")
    phone.locator(".verdict").wait_for()
    assert fits(phone)


def test_too_little_feedback_is_reported_and_a_head_is_published_and_rolled_back(
    shop: str, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(f"{shop}/adapt")
    page.get_by_role("button", name="Learn from feedback").click()
    page.get_by_text("about 150 are needed").wait_for()
    page.get_by_role("button", name="Publish").click()
    page.get_by_role("button", name="Roll back").wait_for()
    assert "head-0001" in page.locator("[data-testid=stMetric]").filter(has_text="Active").inner_text()
    answer = page.request.get(f"{shop}/api/v1/items/mug/red-0.jpg/similar").json()
    assert answer["encoder"].endswith("+head-0001")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("button", name="Publish").wait_for()
    answer = page.request.get(f"{shop}/api/v1/items/mug/red-0.jpg/similar").json()
    assert "head" not in answer["encoder"]
    phone = new_page(390, scheme="dark", touch=True)
    phone.goto(f"{shop}/adapt")
    phone.get_by_role("button", name="Publish").wait_for()
    assert fits(phone)
