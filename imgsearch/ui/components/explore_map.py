"""The map component: every photo of the catalog as a point, in the plane or in space, drawn by WebGL.

It owns the component, what it is told, and what its events say; the browser fetches the points themselves from
`GET /api/v1/map`, and the photos under the pointer from `GET /api/v1/map/photos`. Events are untrusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import streamlit as st

from imgsearch.ui.components.gallery import pass_on, sent_by
from imgsearch.ui.markup import asset, script

__all__ = ["MAX_SELECTED", "MapEvent", "draw_map"]

ENDPOINT = "/api/v1/map"
MAX_SELECTED = 5000
"""How many photos a lasso may hold; further ones are left out, and the page says so."""

_component = st.components.v2.component(
    "imgsearch_map",
    css=asset("explore_map.css"),
    js=script("events.js", "explore_map.js"),
)

MapAction = Literal["open", "lasso"]


@dataclass(frozen=True, slots=True)
class MapEvent:
    """A click on one point (`open`), or a set drawn around many (`lasso`): their keys, at most `MAX_SELECTED`."""

    id: str
    action: MapAction
    keys: tuple[int, ...]
    found: int

    @staticmethod
    def parse(raw: Any) -> MapEvent | None:
        """Return the event that the browser sent, or None for anything malformed; `found` counts all that it held."""
        if not isinstance(raw, Mapping) or raw.get("action") not in get_args(MapAction):
            return None
        event_id, keys, found = raw.get("id"), raw.get("keys"), raw.get("found")
        if not isinstance(event_id, str) or not event_id or not isinstance(keys, list):
            return None
        if not all(isinstance(key, int) and not isinstance(key, bool) and 0 <= key < 2**63 for key in keys):
            return None
        if raw["action"] == "open" and len(keys) != 1:
            return None
        kept = tuple(keys[:MAX_SELECTED])
        return MapEvent(event_id, raw["action"], kept, found if isinstance(found, int) else len(kept))


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

    The browser sends an event again until its id is among `handled`. A new `version` makes it fetch the points again;
    `isolate` is the number of the group that alone stays coloured, `title` the legend's, and `columns` what is
    read under a photo's name.
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
