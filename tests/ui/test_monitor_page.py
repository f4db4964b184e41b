"""The Monitor page, rendered from real rows: figures, links, hostile texts, and the deletion of a visitor's rows."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from streamlit.testing.v1 import AppTest

from imgsearch.app.service import SearchService
from imgsearch.core.errors import UnknownItem
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, Item, SearchResult
from imgsearch.ui.components.charts import columns, sparkline, spreads
from imgsearch.ui.views.monitor import query_link

VISITOR = "f" * 32


def draw_monitor() -> None:
    from imgsearch.ui.views import monitor

    monitor.draw()


def page() -> AppTest:
    app = AppTest.from_function(draw_monitor, default_timeout=60).run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    return " ".join(str(block.proto.body) for block in app.get("html"))


def search_some(service: SearchService) -> None:
    for item_id in ("mug/red-0.jpg", "mug/red-0.jpg", "mug/blue-0.jpg"):
        result = service.search(Query.of(item=item_id, n=5), visitor=VISITOR)
    service.record_click(search_id=result.search_id, item_id=result.hits[0].item_id, rank=1, visitor=VISITOR)


def test_an_unused_catalog_reports_no_searches(service: SearchService) -> None:
    shown = texts(page())
    assert "No searches in this period" in shown
    assert "needs 100 queries of a kind" in shown


def test_searches_show_up_with_links_to_their_queries(service: SearchService) -> None:
    search_some(service)
    shown = texts(page())
    assert "<h3>Searches</h3><strong>3</strong>" in shown
    assert "<strong>67%</strong>" in shown, "two of three went without a click"
    assert 'href="/?item=mug%2Fred-0.jpg"' in shown
    assert "Whole search" in shown


def test_the_rows_of_a_visitor_are_counted_and_then_deleted(service: SearchService) -> None:
    search_some(service)
    app = page()
    app.text_input(key="forget_id").set_value("anna").run()
    assert "This is not a visitor ID" in texts(app), "names that can be guessed are for the command line"
    app.text_input(key="forget_id").set_value("0" * 32).run()
    assert "This visitor has no rows" in texts(app)
    app.text_input(key="forget_id").set_value(VISITOR).run()
    assert "1 clicks, 15 impressions" in texts(app)
    app.button(key="forget_button").click().run()
    assert not app.exception
    assert service.monitor.rows_of_visitor(VISITOR) == {}
    assert "The file shrinks when the app stops" in texts(app)


@pytest.mark.parametrize(
    "key",
    [
        "text=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        'text="><img src=x onerror=alert(1)>',
        "item=<b>nosuch</b>",
        "<b>no query at all</b>",
        "upload=<i>",
        "n=many&text=x",
        "javascript:alert(1)",
    ],
)
def test_hostile_queries_are_text_and_never_markup(key: str) -> None:
    def nothing(item_id: str) -> Item:
        raise UnknownItem(f"There is no item {item_id!r} in the catalog.")

    drawn = ElementTree.fromstring(f"<div>{query_link(key, nothing)}</div>")
    assert {node.tag for node in drawn.iter()} <= {"div", "a", "span"}
    for link in drawn.iter("a"):
        assert link.attrib["href"].startswith("/?")
        assert set(link.attrib) == {"href", "target"}


def test_hostile_rows_do_not_break_the_page(service: SearchService) -> None:
    hit = Hit("<script>", 1, 0.5, 1, "/x")
    for key in ("<script>alert(1)</script>", "text=%FF%FE", "filter=nosuch~", "&&&", "text=" + "x" * 990):
        result = SearchResult(Query.of(text="x"), (hit,), "e", 1, 1, {"total": 1.0}, key[:20])
        service.feedback.record_impressions(result, key)
    assert "<script>" not in texts(page())


# --- charts -------------------------------------------------------------------------------------------------------


def shapes(drawn: str) -> list[Any]:
    """Return the shapes of every mask, which must be well-formed SVG."""
    pictures = [unquote(found) for found in re.findall(r"data:image/svg\+xml,([^&]*)&quot;", drawn)]
    return [shape for picture in pictures for shape in ElementTree.fromstring(picture)]


def test_a_line_breaks_where_values_are_missing_and_single_values_are_dashes() -> None:
    lines = [
        shape for shape in shapes(sparkline([1, 2, None, 3, None], "x")) if shape.tag.endswith("polyline")
    ]
    assert [len(line.attrib["points"].split()) for line in lines] == [2, 2]
    assert shapes(sparkline([], "x")) == shapes(sparkline([None, 4.0, None], "x")) == []


@pytest.mark.parametrize("values", [[0.0, 0.0, 0.0], [1e9, 0.0], [5.0] * 60])
def test_a_line_stays_inside_its_box(values: list[float]) -> None:
    for shape in shapes(sparkline(values, "x")):
        for point in shape.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 600
            assert 0 <= y <= 100


def test_columns_are_in_proportion_and_their_titles_escaped() -> None:
    drawn = columns([(1, 1), (0, 4), (0, 0)], ['"<b>', "b", "c"], "label")
    assert re.findall(r"height:([\d.]+)%", drawn) == ["25.00", "25.00", "100.00", "0.00", "0.00", "0.00"]
    assert "<b>" not in drawn
    assert columns([], [], "none").count("<span") == 0


def test_two_distributions_share_one_scale() -> None:
    area, line = shapes(spreads([0.5, 0.5], [1.0, 0.0], "x"))
    assert "600.0,53.0" in area.attrib["points"]
    assert "300.0,6.0" in line.attrib["points"]
