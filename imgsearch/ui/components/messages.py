"""The states without photos: nothing indexed, nothing found, waiting, something went wrong.

It owns their look; the words come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from imgsearch.core.background import Job

__all__ = ["draw_job_end", "draw_message", "draw_no_items", "draw_no_service"]


def draw_message(
    title: str,
    text: str,
    *,
    action: str = "",
    on_click: Callable[..., None] | None = None,
    args: tuple[Any, ...] = (),
    busy: bool = False,
) -> None:
    """Draw a calm notice with at most one way on."""
    spinner = '<div class="spinner" aria-hidden="true"></div>' if busy else ""
    with st.container(horizontal_alignment="center"):
        st.html(
            f'<div class="message" role="status">{spinner}<h2>{escape(title)}</h2><p>{escape(text)}</p></div>'
        )
        if action:
            st.button(action, key="message_action", on_click=on_click, args=args)


def draw_job_end(job: Job, after_stop: str) -> None:
    """Draw why a background job ended early; one that is done needs no words. `after_stop` is what stopping means."""
    if job.status == "failed":
        st.html(f'<p class="problem" role="alert">{escape(job.name)} failed: {escape(job.reason)}</p>')
    elif job.status == "stopped":
        st.html(
            f'<p class="count quiet" role="status">{escape(job.name)} was stopped; {escape(after_stop)}.</p>'
        )


def draw_no_items(catalog: Path) -> None:
    """Draw what to do with an empty catalog."""
    draw_message("No photos yet", "Index a folder of photos, then load this page again:")
    _draw_command(str(catalog))


def draw_no_service(reason: str) -> None:
    """Draw why there is no catalog to open, and how to make one."""
    draw_message("The catalog cannot be opened", reason)
    _draw_command("CATALOG")


def _draw_command(catalog: str) -> None:
    with st.container(horizontal_alignment="center"):
        st.code(f'imgsearch index PHOTOS --catalog "{catalog}"', language="bash", width=620)
