"""The Adjust panel: weights of colour, shape and pattern, a colour, duplicates and variety."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from imgsearch.core.query import Emphasis, Query, Term
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.links import PAGE_SIZE

SLIDERS = {
    "color": ("Colour", "Ranks photos with the same colours higher."),
    "shape": ("Shape", "Ranks photos with the same outline higher."),
    "pattern": ("Pattern", "Ranks photos with the same pattern higher: plain, striped, checked."),
}
VARIETY = 0.4
SWITCHES: dict[str, tuple[str, Any, Any]] = {
    "same_color": ("Same colour only", False, True),
    "duplicates": ("Show duplicates and all views of a product", "collapse", "show"),
    "diversity": ("More variety", 0.0, VARIETY),
}
"""The label of a setting that is on or off, and its two values."""
FIRST_COLOR = "#1e6fc8"


def adjustments(query: Query) -> int:
    """Return how many settings of the panel differ from the defaults."""
    changed = [*query.emphasis, query.same_color, query.duplicates != "collapse", query.diversity]
    return sum(bool(each) for each in changed)


def with_color(query: Query, color: str | None) -> Query:
    """Return the query with a colour as one of its parts, in place of any other; None removes the colour."""
    terms = tuple(term for term in query.terms if term.kind != "color")
    if color is not None:
        terms = (*terms, Term("color", color.lower()))
    return replace(query, terms=terms, n=PAGE_SIZE)


def draw_adjust_panel(
    query: Query, on_query: Callable[[Query], None], *, on_compare: Callable[[Query], None]
) -> None:
    """Draw the panel and the button that opens it; `on_query` gets the new query when something changes.

    `on_compare` is called within the run, to show the hits with these settings beside those with the defaults.
    """
    count = adjustments(query)
    label = f"Adjust ({count})" if count else "Adjust"
    with st.popover(label, icon=":material/tune:", key="adjust"):
        if query.terms:
            draw_settings(query, on_query, key="adjust")
        _draw_color(query, on_query)
        if not (query.terms and count):
            return
        with st.container(horizontal=True):
            ui.button(
                "Reset", "adjust:reset", on_query, without_settings(query), icon="undo", width="stretch"
            )
            help_text = "Compare with the default settings"
            if ui.button("Side by side", "adjust:compare", icon="compare", width="stretch", help=help_text):
                on_compare(query)


def without_settings(query: Query) -> Query:
    """Return the query with the panel's defaults."""
    return replace(
        query, emphasis=Emphasis(), same_color=False, duplicates="collapse", diversity=0.0, n=PAGE_SIZE
    )


def draw_settings(query: Query, on_query: Callable[[Query], None], *, key: str) -> None:
    """Draw the settings of the ranking; `key` tells two panels on one page apart."""
    st.caption("What should count more?")

    def change(name: str, value: Any) -> None:
        on_query(replace(query, **{name: value}, n=PAGE_SIZE))

    def emphasise(name: str, value: float) -> None:
        change("emphasis", replace(query.emphasis, **{name: float(value)}))

    slider = partial(st.slider, min_value=0.0, max_value=1.0, step=0.1, format="%.1f")
    for name, (title, help_text) in SLIDERS.items():
        value = round(float(getattr(query.emphasis, name)), 1)
        ui.widget(slider, title, value, partial(emphasise, name), key=f"{key}:{name}", help=help_text)
    for name, (title, *values) in SWITCHES.items():

        def switch(on: bool, name: str = name, values: Sequence[Any] = values) -> None:
            change(name, values[on])

        ui.widget(st.toggle, title, getattr(query, name) != values[0], switch, key=f"{key}:{name}")


def _draw_color(query: Query, on_query: Callable[[Query], None]) -> None:
    """Draw the colour picker: alone it finds all photos of a colour, with other terms it asks for that colour."""
    present = next((str(term.value) for term in query.terms if term.kind == "color"), None)
    key = "adjust:picked"
    st.session_state[key] = present or st.session_state.get(key, FIRST_COLOR)

    @in_full
    def picked() -> None:
        on_query(with_color(query, st.session_state[key]))

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.color_picker("Colour", key=key, on_change=picked)
        if present is None:
            ui.button("Use colour", "adjust:use", picked)
        else:
            ui.button("Any colour", "adjust:any", on_query, with_color(query, None))
