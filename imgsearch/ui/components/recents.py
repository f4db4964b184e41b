"""The visitor's recent searches as a row of buttons."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.store.collections import Recent
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.markup import plain
from imgsearch.ui.state.links import read_link
from imgsearch.ui.state.session import Session

SHOWN = 6
LONGEST_LABEL = 34


def draw_recents(service: SearchService, session: Session, *, on_open: Callable[[Query], None]) -> None:
    """Draw the visitor's latest searches; `on_open` is called with the one clicked."""
    service.feedback.flush()
    queries = _queries(service, service.collections.recents(session.visitor, SHOWN))
    if not queries:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="recents"):
        ui.line("Recent", width="content")
        for number, query in enumerate(queries):
            label = query_label(query, service.catalog.get)
            short = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
            ui.button(plain(short), f"recent_{number}", on_open, query, icon="history", help=plain(label))
        ui.button(
            "Clear", "clear_recents", service.collections.clear_recents, session.visitor, type="tertiary"
        )


def _queries(service: SearchService, recents: list[Recent]) -> list[Query]:
    """Return the searches that still work; a filter's column may be gone by now."""
    found = []
    for recent in recents:
        with suppress(ImgSearchError):
            query = read_link(recent.address, max_n=service.settings.max_results)
            if query.terms:
                found.append(query)
    return found
