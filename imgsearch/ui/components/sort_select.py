"""The select "Sort by" over the hits: by likeness, or by a column of numbers, prices or dates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from imgsearch.core.column_names import holds_prices
from imgsearch.core.query import Query
from imgsearch.core.query_address import columns_of, parse_sort
from imgsearch.core.records import Facet
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.state.links import PAGE_SIZE
from imgsearch.ui.wording import is_machine_column, label_of

BY_LIKENESS = ""
MAX_COLUMNS = 8


def draw_sort_select(facets: Sequence[Facet], query: Query, on_query: Callable[[Query], None]) -> None:
    """Draw the select; `on_query` is called with the new query when another order is chosen.

    `facets` are those of the whole catalog. It is not drawn where no column can be sorted by.
    """
    names = sort_choices(facets)
    chosen = ",".join(map(str, query.sort))
    if len(names) == 1 and not chosen:
        return
    names.setdefault(chosen, ", ".join(_name(each.column, each.descending, "range") for each in query.sort))

    def change(value: str) -> None:
        on_query(replace(query, sort=tuple(map(parse_sort, columns_of("sort", [value]))), n=PAGE_SIZE))

    ui.widget(
        st.selectbox,
        "Sort by",
        chosen,
        change,
        list(names),
        key="sort_by",
        format_func=lambda value: names.get(value, value),
        label_visibility="collapsed",
        width=210,
    )


def sort_choices(facets: Sequence[Facet]) -> dict[str, str]:
    """Return the orders to choose from with their labels: likeness, then each column up and down, prices first."""
    names = {BY_LIKENESS: "Most similar first"}
    columns = [
        facet
        for facet in facets
        if facet.kind in ("range", "period") and not is_machine_column(facet.column) and _differs(facet)
    ]
    columns.sort(key=lambda facet: not (facet.holds == "price" or holds_prices(facet.column)))
    for facet in columns[:MAX_COLUMNS]:
        for descending in (False, True):
            text = str(parse_sort(f"-{facet.column}" if descending else facet.column))
            names[_quoted(text)] = _name(facet.column, descending, facet.kind)
    return names


def _differs(facet: Facet) -> bool:
    if facet.kind == "period":
        return facet.first != facet.last
    return facet.low is not None and facet.high is not None and facet.low < facet.high


def _name(column: str, descending: bool, kind: str) -> str:
    up, down = ("oldest first", "newest first") if kind == "period" else ("low to high", "high to low")
    return f"{label_of(column)}: {down if descending else up}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"') else text
