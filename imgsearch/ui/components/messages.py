"""The states without photos: nothing indexed, nothing found, loading, an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from imgsearch.ui.markup import draw_html

__all__ = ["draw_message", "draw_no_items", "draw_no_service"]


def draw_message(
    title: str,
    text: str,
    *,
    action: str = "",
    on_click: Callable[..., None] | None = None,
    args: tuple[Any, ...] = (),
    busy: bool = False,
) -> None:
    """Draw a notice with at most one button; `busy` adds a spinner."""
    with st.container(horizontal_alignment="center"):
        draw_html("message", title=title, text=text, busy=busy)
        if action:
            st.button(action, key="message_action", on_click=on_click, args=args)


def draw_no_items(catalog: Path) -> None:
    """Draw how to fill an empty catalog."""
    draw_message("No photos yet", "Index a folder of photos, then reload this page:")
    _draw_command(str(catalog))


def draw_no_service(reason: str) -> None:
    """Draw why the catalog cannot be opened, and how to make one."""
    draw_message("The catalog cannot be opened", reason)
    _draw_command("CATALOG")


def _draw_command(catalog: str) -> None:
    with st.container(horizontal_alignment="center"):
        st.code(f'imgsearch index PHOTOS --catalog "{catalog}"', language="bash", width=620)
