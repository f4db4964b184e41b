"""Prices, dates and lists as pages show them and as the filter panel filters them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from samples import relabelled
from streamlit.testing.v1 import AppTest

import imgsearch.ui.main
from imgsearch.app.service import SearchService, set_service
from imgsearch.core.query import Filter, Query
from imgsearch.core.records import Facet, Hit
from imgsearch.search.words.filter_suggestions import QueryWords
from imgsearch.ui.components.filter_panel import filters_of_period, is_useful, period_of
from imgsearch.ui.components.gallery import caption_lines
from imgsearch.ui.wording import readable, readable_cell

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)


def test_a_price_is_shown_with_its_currency() -> None:
    shown = {
        ("EUR", 1299.0): "€1,299.00",
        ("CHF", 5.5): "CHF 5.50",
        ("JPY", 1200.0): "¥1,200",
        ("USD", -5.0): "-$5.00",
        ("", 19.99): "19.99",
    }
    for (currency, amount), text in shown.items():
        row = {"cost": amount, **({"cost_currency": currency} if currency else {})}
        assert readable_cell("cost", row) == text
        assert caption_lines(row) == ([text] if currency else [])
    assert caption_lines({"price": 5.0, "currency": "EUR", "brand": "Acme"}) == ["€5.00", "Acme"]
    assert caption_lines({"price": 5.0, "price_currency": "EUR", "brand": "Acme"}) == ["€5.00", "Acme"]


def test_dates_and_lists_are_shown_as_people_write_them() -> None:
    values = ("2025-01-31", "2025-01-31T10:30:00", "2025-01-31T00:00:00", ["oak", "round"], "2025-13-99")
    assert [readable(value) for value in values] == [
        "31 Jan 2025",
        "31 Jan 2025, 10:30",
        "31 Jan 2025",
        "oak, round",
        "2025-13-99",
    ]


def test_the_stated_title_is_shown_and_the_usual_ones_without_case() -> None:
    assert Hit("a.jpg", 1, 0.5, 1, "/a.jpg", {"Title": "Oak table"}).title == "Oak table"
    row = {"Model": "Anna", "title": "Chair"}
    assert Hit("a.jpg", 1, 0.5, 1, "/a.jpg", row, title_column="Model").title == "Anna"
    assert caption_lines({"Product Name": "Oak table", "brand": "Acme"}, "Oak table") == ["Acme"]


def test_a_period_filters_by_the_days_inside_that_of_the_catalog() -> None:
    assert filters_of_period("added", FIRST, LAST, FIRST, LAST) == ()
    chosen = filters_of_period("added", date(2025, 2, 1), date(2025, 3, 1), FIRST, LAST)
    assert chosen == (Filter("added", ">=", "2025-02-01"), Filter("added", "<=", "2025-03-01"))
    assert period_of(Query((), filters=chosen), "Added", FIRST, LAST) == (date(2025, 2, 1), date(2025, 3, 1))
    assert period_of(Query((), filters=(Filter("added", ">=", "soon"),)), "added", FIRST, LAST) == (
        FIRST,
        LAST,
    )


def test_the_filter_panel_has_a_slider_of_prices_and_boxes_for_dates(service: SearchService) -> None:
    items = list(service.catalog.iter_items())
    rows: list[dict[str, Any]] = [
        {"cost": Decimal(number + 1), "cost_currency": "EUR", "added": date(2025, 1, 1 + number % 28)}
        for number in range(len(items))
    ]
    rows[0]["cost"] = Decimal("0.01")
    service.catalog.update_metadata(
        [
            relabelled(item.item_id, row, str(number))
            for number, (item, row) in enumerate(zip(items, rows, strict=True))
        ]
    )
    set_service(service)
    try:
        app = AppTest.from_file(imgsearch.ui.main.__file__, default_timeout=60).run()
        assert not app.exception
        assert "Cost (EUR)" in [slider.label.replace("\\", "") for slider in app.slider]
        (start,) = [box for box in app.date_input if box.label == "Added from"]
        start.set_value(date(2025, 1, 20)).run()
        assert not app.exception
        assert app.query_params["filter"] == "added>=2025-01-20"
        (start,) = [box for box in app.date_input if box.label == "Added from"]
        assert start.value == date(2025, 1, 20)
    finally:
        set_service(None)


def test_ranges_without_steps_are_not_offered() -> None:
    assert not is_useful(Facet("n", "range", low=0.0, high=5e-324))
    assert not is_useful(Facet("n", "range", low=-1.7e308, high=1.7e308))
    assert is_useful(Facet("added", "period", holds="date", first="2025-01-01", last="2025-02-01"))
    assert not is_useful(Facet("opens", "period", holds="time", first="09:00:00", last="10:00:00"))


def test_words_about_money_mean_the_column_of_prices() -> None:
    facets = [
        Facet("rating", "range", low=1, high=5),
        Facet("unit_value", "range", low=1, high=900, holds="price"),
    ]
    (found,) = QueryWords(facets).suggest("mug under 50 €")
    assert found.filters == (Filter("unit_value", "<", 50.0),)
