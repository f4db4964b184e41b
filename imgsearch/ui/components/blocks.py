"""Small parts of every page, imported as `ui`: text, notices, facts, figures, buttons, choices, downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.ui.markup import draw_html
from imgsearch.ui.state.callbacks import attempt, in_full, take_outcome

Action = Callable[..., Any]


def heading(title: str, text: str = "") -> None:
    """Draw the page's title and a sentence that says what the page is for."""
    draw_html("heading", title=title, text=text)


def section(title: str, text: str = "") -> None:
    """Draw the title of a part of the page."""
    draw_html("section", title=title, text=text)


def line(
    text: str, css: str = "count quiet", *, role: str = "", width: Literal["stretch", "content"] = "stretch"
) -> None:
    """Draw a paragraph; nothing for an empty text."""
    if text:
        draw_html("line", text=text, css=css, role=role, width=width)


def problem(text: str) -> None:
    """Draw what went wrong; nothing for an empty text."""
    line(text, "problem", role="alert")


def outcome(place: str = "page") -> None:
    """Draw, once, what the last `attempt` at this place reported."""
    outcome = take_outcome(place)
    problem(outcome.problem)
    line(outcome.done, "count", role="status")


def message(
    title: str, text: str, action: str = "", on_click: Action | None = None, *args: Any, busy: bool = False
) -> None:
    """Draw a notice with at most one button, `action`; `busy` adds a spinner."""
    with st.container(horizontal_alignment="center"):
        draw_html("message", title=title, text=text, busy=busy)
        if action:
            button(action, "message_action", on_click, *args)


def no_items(service: SearchService) -> bool:
    """Draw how to fill the catalog where it is empty; return whether it is."""
    if len(service.catalog):
        return False
    message("No photos yet", "Index a folder of photos, then reload this page:")
    _draw_command(str(service.settings.catalog))
    return True


def no_service(reason: str) -> None:
    """Draw why the catalog cannot be opened, and how to make one."""
    message("The catalog cannot be opened", reason)
    _draw_command("CATALOG")


def _draw_command(catalog: str) -> None:
    with st.container(horizontal_alignment="center"):
        st.code(f'imgsearch index PHOTOS --catalog "{catalog}"', language="bash", width=620)


def facts(rows: Mapping[str, str] | Iterable[tuple[str, str]], title: str = "") -> None:
    """Draw names with their values as a table; rows without a value are left out."""
    pairs = rows.items() if isinstance(rows, Mapping) else rows
    draw_html("facts", title=title, rows=[(name, value) for name, value in pairs if value])


def metrics(*metrics: tuple[str, str] | tuple[str, str, str | None], help: Sequence[str] = ()) -> None:
    """Draw key figures in a row: label, value, and the change where there is one; `help` explains the last ones."""
    texts = [None] * (len(metrics) - len(help)) + list(help)
    with st.container(horizontal=True, gap="medium"):
        for metric, text in zip(metrics, texts, strict=True):
            st.metric(*metric, border=True, help=text)


def button(
    label: str, key: str, on_click: Action | None = None, *args: Any, icon: str = "", **options: Any
) -> bool:
    """Draw a button that calls `on_click(*args)`; `icon` names a Material symbol."""
    symbol = f":material/{icon}:" if icon else None
    return st.button(label, key, icon=symbol, on_click=on_click, args=args, **options)


def act(
    label: str, key: str, action: Action, *args: Any, place: str = "page", done: str = "", **options: Any
) -> None:
    """Draw a button that attempts `action(*args)` (see `callbacks.attempt`)."""
    button(label, key, attempt, action, *args, kwargs={"place": place, "done": done}, **options)


def submit(
    label: str,
    action: Action,
    *args: Any,
    place: str = "page",
    done: str = "",
    icon: str = "",
    **options: Any,
) -> None:
    """Draw the button of a form, which attempts `action(*args)`."""
    symbol = f":material/{icon}:" if icon else None
    outcome = {"place": place, "done": done}
    st.form_submit_button(
        label, icon=symbol, on_click=attempt, args=(action, *args), kwargs=outcome, **options
    )


def widget(
    draw: Action, label: str, value: Any, on_value: Action, *args: Any, key: str, **options: Any
) -> None:
    """Draw a widget that shows `value` in every run; `on_value` is called with the value that a visitor sets."""
    st.session_state[key] = value

    @in_full
    def changed() -> None:
        on_value(st.session_state[key])

    draw(label, *args, key=key, on_change=changed, **options)


def choice(label: str, names: Mapping[str, str], key: str, **options: Any) -> str:
    """Draw options in a row, one of them always chosen, and return that one; `names` are their labels."""
    format_name = names.__getitem__
    return str(
        st.segmented_control(label, list(names), format_func=format_name, key=key, required=True, **options)
    )


def select(label: str, names: Mapping[str, str], key: str | None = None, **options: Any) -> str:
    """Draw options as a list that opens, and return the chosen one; `names` are their labels."""
    return str(
        st.selectbox(label, list(names), format_func=lambda name: names.get(name, name), key=key, **options)
    )


def download(label: str, data: Any, file_name: str, mime: str, **options: Any) -> None:
    """Draw a button that downloads a file; a function in `data` makes it at the click."""
    icon = ":material/download:"
    st.download_button(label, data, file_name, mime, icon=icon, on_click="ignore", **options)
