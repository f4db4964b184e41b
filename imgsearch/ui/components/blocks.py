"""Small parts of every page: its heading, lines of text, problems, tables of facts, choices, downloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from imgsearch.ui.markup import draw_html
from imgsearch.ui.state.callbacks import take_outcome

__all__ = [
    "draw_choice",
    "draw_download",
    "draw_facts",
    "draw_heading",
    "draw_line",
    "draw_outcome",
    "draw_problem",
    "draw_section",
]


def draw_heading(title: str, text: str = "") -> None:
    """Draw the page's title and a sentence that says what the page is for."""
    draw_html("heading", title=title, text=text)


def draw_section(title: str, text: str = "") -> None:
    """Draw the title of a part of the page."""
    draw_html("section", title=title, text=text)


def draw_line(
    text: str, css: str = "count quiet", *, role: str = "", width: Literal["stretch", "content"] = "stretch"
) -> None:
    """Draw a paragraph; nothing for an empty text."""
    if text:
        draw_html("line", text=text, css=css, role=role, width=width)


def draw_problem(text: str) -> None:
    """Draw what went wrong; nothing for an empty text."""
    draw_line(text, "problem", role="alert")


def draw_outcome(place: str = "page") -> None:
    """Draw, once, what the last `attempt` at this place reported."""
    outcome = take_outcome(place)
    draw_problem(outcome.problem)
    draw_line(outcome.done, "count", role="status")


def draw_facts(rows: Mapping[str, str] | Sequence[tuple[str, str]], title: str = "") -> None:
    """Draw names with their values as a table; rows without a value are left out."""
    pairs = rows.items() if isinstance(rows, Mapping) else rows
    draw_html("facts", title=title, rows=[(name, value) for name, value in pairs if value])


def draw_choice(label: str, names: Mapping[str, str], key: str, **options: Any) -> str:
    """Draw options in a row, one of them always chosen, and return that one; `names` are their labels."""
    format_name = names.__getitem__
    return str(
        st.segmented_control(label, list(names), format_func=format_name, key=key, required=True, **options)
    )


def draw_download(label: str, data: Any, file_name: str, mime: str, **options: Any) -> None:
    """Draw a button that downloads a file; a function in `data` makes it at the click."""
    icon = ":material/download:"
    st.download_button(label, data, file_name, mime, icon=icon, on_click="ignore", **options)
