"""Chips below the query bar: filters that the words of a query suggest, and the correction of a misspelt text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from imgsearch.core.query import Query
from imgsearch.search.words.filter_suggestions import Suggestion
from imgsearch.search.words.word_help import Correction, text_of, with_text
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import draw_html, plain
from imgsearch.ui.state.actions import with_column_filters
from imgsearch.ui.state.links import PAGE_SIZE
from imgsearch.ui.wording import label_of, readable

SHOWN = 5
OnQuery = Callable[[Query], None]
Suggest = Callable[[Query], Sequence[Suggestion]]


def suggestion_label(suggestion: Suggestion) -> str:
    """Return a suggestion in words: "Colour: red or blue", "Price under 50", "Price 20 to 40", "In stock"."""
    name = label_of(suggestion.column)
    low = suggestion.filters[0]
    if len(suggestion.filters) == 2:
        return f"{name} {readable(low.value)} to {readable(suggestion.filters[1].value)}"
    if isinstance(low.value, bool):
        return name
    if low.operator == "in":
        return f"{name}: {' or '.join(readable(value) for value in low.values)}"
    words = {"<": " under", "<=": " up to", ">": " over", ">=": " from"}.get(low.operator, ":")
    return f"{name}{words} {readable(low.value)}"


def accepted(query: Query, suggestion: Suggestion) -> Query:
    """Return the query with a suggestion's filters instead of its words, from its first page on."""
    return with_text(with_column_filters(query, suggestion.column, suggestion.filters), suggestion.text)


def draw_suggestions(query: Query, suggest: Suggest, on_query: OnQuery) -> None:
    """Draw a chip for each suggestion, and one that accepts them all; nothing where there are none."""
    found = suggest(query)[:SHOWN]
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="suggestions"):
        ui.line("Filter by", width="content")
        for number, suggestion in enumerate(found):
            ui.button(
                plain(suggestion_label(suggestion)),
                f"suggestion_{number}",
                on_query,
                accepted(query, suggestion),
                icon="filter_alt",
            )
        if len(found) > 1:
            ui.button(
                "All of these" if len(found) > 2 else "Both",
                "suggestion_all",
                on_query,
                all_accepted(query, suggest),
                type="tertiary",
            )


def draw_correction(query: Query, correction: Correction | None, on_query: OnQuery) -> None:
    """Draw the correction of the query's text: a question, or a note where it was applied."""
    if correction is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="correction"):
        if correction.automatic:
            draw_html("corrected", text=correction.text, width="content")
            ui.button(
                plain(f"Search for {text_of(query)} instead"),
                "correction_keep",
                on_query,
                replace(query, spelling="keep", n=PAGE_SIZE),
                type="tertiary",
            )
            return
        ui.line("Did you mean", "count", role="status", width="content")
        ui.button(
            plain(f"{correction.text}?"),
            "correction_take",
            on_query,
            replace(with_text(query, correction.text), n=PAGE_SIZE),
            type="tertiary",
        )


def all_accepted(query: Query, suggest: Suggest) -> Query:
    """Return the query with all its suggestions accepted, one for each column."""
    taken: set[str] = set()
    while left := [each for each in suggest(query) if each.column not in taken]:
        taken.add(left[0].column)
        query = accepted(query, left[0])
    return query
