"""The Adjust panel: weights of colour, shape and pattern, a colour, duplicates and variety."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from imgsearch.core.query import Emphasis, Query, Term
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.links import PAGE_SIZE

__all__ = ["VARIETY", "adjustments", "draw_adjust_panel", "draw_settings", "with_color", "without_settings"]

SLIDERS = {
    "color": ("Colour", "Ranks photos with the same colours higher."),
    "shape": ("Shape", "Ranks photos with the same outline higher."),
    "pattern": ("Pattern", "Ranks photos with the same pattern higher: plain, striped, checked."),
}
FIRST_COLOR = "#1e6fc8"
VARIETY = 0.4


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
            st.button(
                "Reset",
                icon=":material/undo:",
                on_click=on_query,
                args=(without_settings(query),),
                width="stretch",
            )
            if st.button(
                "Side by side",
                key="adjust:compare",
                icon=":material/compare:",
                help="Compare with the default settings",
                width="stretch",
            ):
                on_compare(query)


def without_settings(query: Query) -> Query:
    """Return the query with the panel's defaults."""
    return replace(
        query, emphasis=Emphasis(), same_color=False, duplicates="collapse", diversity=0.0, n=PAGE_SIZE
    )


def draw_settings(query: Query, on_query: Callable[[Query], None], *, key: str) -> None:
    """Draw the settings of the ranking; `key` tells two panels on one page apart."""
    st.caption("What should count more?")
    for name, (title, help_text) in SLIDERS.items():
        _draw_slider(f"{key}:{name}", name, title, help_text, query, on_query)
    _draw_switch(
        f"{key}:same_color",
        "Same colour only",
        query.same_color,
        lambda on: on_query(replace(query, same_color=on, n=PAGE_SIZE)),
    )
    _draw_switch(
        f"{key}:duplicates",
        "Show duplicates and all views of a product",
        query.duplicates == "show",
        lambda on: on_query(replace(query, duplicates="show" if on else "collapse", n=PAGE_SIZE)),
    )
    _draw_switch(
        f"{key}:diversity",
        "More variety",
        query.diversity > 0,
        lambda on: on_query(replace(query, diversity=VARIETY if on else 0.0, n=PAGE_SIZE)),
    )


def _draw_slider(
    key: str, name: str, title: str, help_text: str, query: Query, on_query: Callable[[Query], None]
) -> None:
    st.session_state[key] = round(float(getattr(query.emphasis, name)), 1)

    @in_full
    def changed() -> None:
        emphasis = replace(query.emphasis, **{name: float(st.session_state[key])})
        on_query(replace(query, emphasis=emphasis, n=PAGE_SIZE))

    st.slider(title, 0.0, 1.0, step=0.1, key=key, on_change=changed, help=help_text, format="%.1f")


def _draw_switch(key: str, title: str, value: bool, on_value: Callable[[bool], None]) -> None:
    st.session_state[key] = value

    @in_full
    def changed() -> None:
        on_value(bool(st.session_state[key]))

    st.toggle(title, key=key, on_change=changed)


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
            st.button("Use colour", key="adjust:use", on_click=picked)
        else:
            st.button("Any colour", key="adjust:any", on_click=on_query, args=(with_color(query, None),))
