"""The map component: each photo of the catalog as a point in two or three dimensions, drawn by WebGL.

The browser fetches the points from `GET /api/v1/map`, and the photos near the pointer from `GET /api/v1/map/photos`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from imgsearch.ui.components.gallery import pass_on, sent_by
from imgsearch.ui.markup import asset, script
from imgsearch.ui.state.events import MAX_SELECTED

__all__ = ["draw_map"]

ENDPOINT = "/api/v1/map"

_component = st.components.v2.component(
    "imgsearch_map", css=asset("explore_map.css"), js=script("events.js", "explore_map.js")
)


def draw_map(
    *,
    projection: str,
    dimensions: int,
    by: str,
    version: str,
    title: str,
    columns: Sequence[str],
    isolate: int | None,
    has_selection: bool,
    handled: Sequence[str],
    on_event: Callable[[Any], None],
) -> None:
    """Draw the map; `on_event` is called with every event that the browser sends, before the page is drawn.

    The browser repeats an event until its id is among `handled`. A new `version` makes it fetch the points again.
    `isolate` is the number of the only group that stays coloured, `title` is the legend's title, and `columns` are
    shown below a photo's title.
    """
    key = "explore_map"
    _component(
        key=key,
        data={
            "endpoint": ENDPOINT,
            "projection": projection,
            "dimensions": dimensions,
            "by": by,
            "version": version,
            "title": title,
            "columns": list(columns),
            "isolate": isolate,
            "has_selection": has_selection,
            "max_selected": MAX_SELECTED,
            "handled": list(handled),
        },
        on_events_change=lambda: pass_on(sent_by(key), on_event),
    )
