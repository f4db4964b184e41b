"""The filter panel: each metadata column as a widget in the sidebar.

Widgets are set from the address bar in every run, and a change is written back to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import streamlit as st

from imgsearch.core.column_values import parse
from imgsearch.core.query import Filter, Query
from imgsearch.core.records import Facet
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import plain
from imgsearch.ui.state.actions import with_column_filters
from imgsearch.ui.state.links import PAGE_SIZE
from imgsearch.ui.wording import is_machine_column, label_of, text_of

PILLS_UP_TO = 8
SHOWN_AT_FIRST = 6
ORDER = ("choice", "range", "period", "text")
MIN_SPAN, MAX_SPAN = 1e-6, 1e15
"""A slider has no steps for narrower and wider ranges."""

Change = Callable[[Sequence[Filter]], None]


def draw_filter_panel(
    facets: Sequence[Facet], bounds: Sequence[Facet], query: Query, *, on_query: Callable[[Query], None]
) -> None:
    """Draw a widget for each column; `on_query` is called with the new query when one changes.

    `facets` are counted under the present filters; `bounds` over the whole catalog, so that options and the ends of
    a range stay while filters change.
    """
    present = {facet.column: facet for facet in facets}
    useful = sorted(
        (facet for facet in bounds if is_useful(facet)), key=lambda facet: ORDER.index(facet.kind)
    )
    for facet in useful[:SHOWN_AT_FIRST]:
        _draw(facet, present.get(facet.column, facet), query, on_query)
    if len(useful) > SHOWN_AT_FIRST:
        with st.expander("More filters"):
            for facet in useful[SHOWN_AT_FIRST:]:
                _draw(facet, present.get(facet.column, facet), query, on_query)
    if query.filters:
        cleared = replace(query, filters=(), n=PAGE_SIZE)
        ui.button("Clear filters", "clear_filters", on_query, cleared, icon="close", width="stretch")


def chosen_values(query: Query, column: str) -> list[str]:
    """Return the values that the query's `=` and `in` filters choose for a column, as texts."""
    values: list[str] = []
    for each in query.filters:
        if each.column.casefold() == column.casefold():
            if each.operator == "=":
                values.append(text_of(each.value))
            elif each.operator == "in":
                values += [text_of(value) for value in each.values]
    return values


def contains_text(query: Query, column: str) -> str:
    """Return the text that the query's `contains` filter looks for in a column."""
    return next(
        (
            str(each.value)
            for each in query.filters
            if each.operator == "contains" and each.column.casefold() == column.casefold()
        ),
        "",
    )


def filters_of_choice(column: str, values: Sequence[str]) -> tuple[Filter, ...]:
    """Return the filter of chosen values: none, one `=`, or one `in`."""
    if not values:
        return ()
    return (Filter(column, "=", values[0]) if len(values) == 1 else Filter(column, "in", tuple(values)),)


def filters_of_range(column: str, low: float, high: float, bounds: tuple[float, float]) -> tuple[Filter, ...]:
    """Return the filters of a range; an end at its bound filters nothing."""
    filters = []
    if low > bounds[0]:
        filters.append(Filter(column, ">=", low))
    if high < bounds[1]:
        filters.append(Filter(column, "<=", high))
    return tuple(filters)


def is_useful(facet: Facet) -> bool:
    """Return whether a column offers a shopper a choice; identifiers and addresses do not."""
    if facet.kind == "choice":
        return len(facet.values) > 1
    if facet.kind == "range":
        return (
            facet.low is not None
            and facet.high is not None
            and MIN_SPAN <= facet.high - facet.low <= MAX_SPAN
        )
    if facet.kind == "period":
        return facet.holds != "time" and facet.first < facet.last
    return not is_machine_column(facet.column)


def _draw(bounds: Facet, present: Facet, query: Query, on_query: Callable[[Query], None]) -> None:
    def change(filters: Sequence[Filter]) -> None:
        on_query(with_column_filters(query, bounds.column, filters))

    if bounds.kind == "choice":
        _draw_choice(bounds, present, query, change)
    elif bounds.kind == "range":
        _draw_range(bounds, query, change)
    elif bounds.kind == "period":
        _draw_period(bounds, query, change)
    else:
        _draw_text(bounds.column, query, change)


def _draw_choice(bounds: Facet, present: Facet, query: Query, change: Change) -> None:
    column = bounds.column
    options = [text_of(each.value) for each in bounds.values]
    counts = {text_of(each.value): each.count for each in present.values}
    boolean = all(isinstance(each.value, bool) for each in bounds.values)
    known = {option.casefold(): option for option in options}
    chosen = [known[value.casefold()] for value in chosen_values(query, column) if value.casefold() in known]

    def option_label(option: str) -> str:
        name = {"true": "Yes", "false": "No"}[option] if boolean else option
        return f"{name} ({counts.get(option, 0):,})"

    few = len(options) <= PILLS_UP_TO
    # Pills read Markdown, a multiselect does not.
    how = {"selection_mode": "multi"} if few else {"placeholder": "Any"}
    ui.widget(
        st.pills if few else st.multiselect,
        plain(label_of(column)),
        chosen,
        lambda values: change(filters_of_choice(column, values)),
        options,
        key=f"filter:{column}",
        format_func=(lambda option: plain(option_label(option))) if few else option_label,
        **how,
    )


def _draw_range(bounds: Facet, query: Query, change: Change) -> None:
    column = bounds.column
    low, high = float(bounds.low or 0), float(bounds.high or 0)
    whole = low.is_integer() and high.is_integer()
    step = _step(low, high, whole)
    low, high = round(math.floor(low / step) * step, 9), round(math.ceil(high / step) * step, 9)
    chosen = [low, high]
    for each in query.filters:
        if each.column.casefold() == column.casefold() and each.operator in {">=", "<="}:
            chosen[each.operator == "<="] = min(max(_number(each.value, low), low), high)
    ui.widget(
        st.slider,
        plain(f"{label_of(column)} ({bounds.currency})" if bounds.currency else label_of(column)),
        (min(chosen), max(chosen)),
        lambda ends: change(filters_of_range(column, ends[0], ends[1], (low, high))),
        *(low, high),
        step=step,
        format="%d" if step >= 1 else "%.2f",
        key=f"filter:{column}",
    )


def _draw_period(bounds: Facet, query: Query, change: Change) -> None:
    """Draw the first and the last day that are wanted; the ends of the catalog's filter nothing."""
    column = bounds.column
    ends = [date.fromisoformat(bounds.first[:10]), date.fromisoformat(bounds.last[:10])]
    chosen = period_of(query, column, ends[0], ends[1])
    for place, (box, word) in enumerate(zip(st.columns(2), ("from", "to"), strict=True)):

        def changed(day: date | None, place: int = place) -> None:
            wanted = [*chosen]
            wanted[place] = day or ends[place]
            change(filters_of_period(column, wanted[0], wanted[1], ends[0], ends[1]))

        with box:
            ui.widget(
                st.date_input,
                plain(f"{label_of(column)} {word}"),
                chosen[place],
                changed,
                key=f"filter:{column}:{word}",
                min_value=ends[0],
                max_value=ends[1],
                format="YYYY-MM-DD",
            )


def period_of(query: Query, column: str, first: date, last: date) -> tuple[date, date]:
    """Return the days that the query's `>=` and `<=` filters on a column choose, within the catalog's."""
    chosen = [first, last]
    for each in query.filters:
        if each.column.casefold() == column.casefold() and each.operator in {">=", "<="}:
            day = parse(each.value, "datetime")
            if isinstance(day, datetime):
                chosen[each.operator == "<="] = min(max(day.date(), first), last)
    return min(chosen), max(chosen)


def filters_of_period(column: str, low: date, high: date, first: date, last: date) -> tuple[Filter, ...]:
    """Return the filters of a period; an end at that of the catalog filters nothing."""
    filters = []
    if low > first:
        filters.append(Filter(column, ">=", low.isoformat()))
    if high < last:
        filters.append(Filter(column, "<=", high.isoformat()))
    return tuple(filters)


def _draw_text(column: str, query: Query, change: Change) -> None:
    def changed(text: str) -> None:
        change((Filter(column, "contains", text.strip()),) if text.strip() else ())

    label, key = f"{plain(label_of(column))} contains", f"filter:{column}"
    ui.widget(st.text_input, label, contains_text(query, column), changed, key=key, placeholder="Any")


def _step(low: float, high: float, whole: bool) -> float:
    """Return a round step (1, 2 or 5 times a power of ten), about a hundredth of the range."""
    raw = (high - low) / 100
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    return max(1.0, step) if whole else step


def _number(value: Any, otherwise: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return otherwise
