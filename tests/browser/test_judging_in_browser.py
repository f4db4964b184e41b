"""Judging end to end: a real server, a real Chromium, keyboard only, with reloads and lost responses."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Error as PlaywrightError
from running_app import running_app

from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.improve.judging.judging import Judging
from imgsearch.improve.judging.pools import pool_of
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]
HOSTILE = 'Ann "O\'Hara" <b>x</b>'
KEYS = {"g": "good", "ArrowLeft": "bad", "t": "cant_tell"}


def make_set(folder: Path, name: str, *, queries: int, items: int) -> None:
    """Add a judging set of `queries` x `items` pairs to the catalog."""
    with CatalogStore.open(folder) as catalog, contextlib.closing(FeedbackLog(catalog.database)) as feedback:
        ids = [item.item_id for item in catalog.iter_items()]
        pairs = [
            (query_key(Query.of(item=ids[number])), ids[10 + 10 * number + place])
            for number in range(queries)
            for place in range(items)
        ]
        Judging(catalog, feedback).create(name, pool_of(pairs), source="the test")


def shown(page: Any, other_than: str | None = None) -> str:
    """Wait until a pair other than the given one can be judged, and return its number."""
    not_this = f':not([data-pair="{other_than}"])' if other_than else ""
    frame = page.locator(f'.frame[data-state="judging"][data-pair]{not_this}')
    frame.wait_for()
    return str(frame.get_attribute("data-pair"))


def press(page: Any, key: str) -> str:
    """Press a key and return the next pair."""
    before = shown(page)
    page.keyboard.press(key)
    return shown(page, other_than=before)


def lose_answer(route: Any) -> None:
    """Forward the request to the server and drop the response."""
    route.fetch()
    with contextlib.suppress(PlaywrightError):  # the route may have been removed
        route.abort()


def test_thirty_pairs_judged_by_keyboard_with_undo_reload_and_lost_responses_store_thirty_judgments(
    new_page: NewPage, shared_lite_catalog: Path, tmp_path: Path
) -> None:
    catalog = Path(shutil.copytree(shared_lite_catalog, tmp_path / "catalog"))
    make_set(catalog, "thirty", queries=3, items=10)
    expected: dict[int, str] = {}
    with running_app(catalog, log=tmp_path / "app.log") as address:
        page = new_page()
        page.goto(f"{address}/judge?set=thirty&labeler={quote(HOSTILE)}")
        page.locator("dialog[open]").wait_for()
        page.keyboard.press("Enter")  # close the guideline

        def judge(count: int) -> None:
            for number in range(count):
                key = list(KEYS)[number % 3]
                expected[int(shown(page))] = KEYS[key]
                if len(expected) == 30:
                    page.keyboard.press(key)
                else:
                    press(page, key)

        judge(8)
        # Lost responses: the server has the act, and the page resends it.
        page.route("**/api/v1/judging", lose_answer)
        judge(2)
        page.unroute("**/api/v1/judging")
        for _ in range(2):
            del expected[int(press(page, "u"))]
        judge(4)
        # No network, then a reload: pending verdicts persist and are sent when the server is back.
        page.route("**/api/v1/judging", lambda route: route.abort())
        judge(2)
        page.get_by_text("will be sent again").wait_for()
        page.unroute("**/api/v1/judging")
        page.reload()
        assert int(shown(page)) not in expected
        judge(30 - len(expected))
        page.get_by_role("heading", name="All done, thank you!").wait_for()
        page.locator('.frame[data-unsent="0"]').wait_for()
        assert page.evaluate("Object.keys(localStorage).filter(key => key.includes('judging [')).length") == 0
        page.context.close()
    with duckdb.connect(str(catalog / "catalog.duckdb"), read_only=True) as database:
        standing = dict(
            database.execute(
                "SELECT pair_id, arg_max(act, rowid) FROM judging_acts WHERE counted GROUP BY pair_id"
            ).fetchall()
        )
        acts = dict(
            database.execute("SELECT act = 'undo', count(*) FROM judging_acts GROUP BY ALL").fetchall()
        )
        latest = database.execute(
            "SELECT labeler, arg_max(verdict, rowid) FROM judgments GROUP BY query_key, item_id, labeler"
        ).fetchall()
    assert standing == expected
    assert acts == {True: 2, False: 32}, "thirty judgments, two of them given twice, none doubled"
    assert len(latest) == 30
    assert {labeler for labeler, _ in latest} == {HOSTILE}


def test_two_labelers_judge_a_new_set_concurrently(
    new_page: NewPage, shared_lite_catalog: Path, tmp_path: Path
) -> None:
    catalog = Path(shutil.copytree(shared_lite_catalog, tmp_path / "catalog"))
    with running_app(catalog, log=tmp_path / "app.log") as address:
        ann = new_page()
        ann.goto(f"{address}/judge")
        ann.get_by_role("button", name="New judging set").click()
        ann.get_by_label("Name").first.fill("Lamps <b>& co</b>")
        ann.get_by_label("How many queries").fill("3")
        ann.get_by_role("button", name="Create").click()
        ann.get_by_role("heading", name="Lamps <b>& co</b>").wait_for()
        ann.get_by_label("Your name").fill(HOSTILE)
        ann.keyboard.press("Enter")
        ann.locator("dialog[open]").wait_for()
        ann.keyboard.press("Enter")
        mine = shown(ann)

        ben = new_page(390, scheme="dark", touch=True)
        ben.goto(f"{ann.url.split('labeler=')[0]}labeler=Ben")
        ben.get_by_role("button", name="Start judging").tap()
        assert shown(ben) != mine
        seen = {mine, shown(ben)}
        for page, act in (
            (ann, lambda: ann.keyboard.press("g")),
            (ben, lambda: ben.locator(".act.bad").tap()),
        ):
            before = shown(page)
            act()
            after = shown(page, other_than=before)
            assert after not in seen
            seen.add(after)

        ben.get_by_title("All candidates of a query at once").tap()
        ben.locator("button.tile").first.tap()
        tiles = ben.locator("button.tile").count()
        ben.locator(".save").tap()
        ben.get_by_text(f"1 bad, {tiles - 1} good.").wait_for()
        ben.locator("dialog[open] .yes").tap()
        ben.locator('.frame[data-unsent="0"]').wait_for()

        ann.get_by_role("button", name="All judging sets").click()
        ann.get_by_role("button", name="Details").click()
        ann.get_by_role("rowheader", name=HOSTILE).wait_for()
        ann.get_by_role("rowheader", name="Ben").wait_for()
        for page in (ann, ben):
            page.context.close()
    with duckdb.connect(str(catalog / "catalog.duckdb"), read_only=True) as database:
        found = database.execute("SELECT labeler, count(*) FROM judgments GROUP BY labeler").fetchall()
    assert dict(found) == {HOSTILE: 1, "Ben": 1 + tiles}
