"""Two lists of hits in two columns, with their differences marked and how much they agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.query_address import thumbnail_url
from imgsearch.search.side_by_side import PERSISTENCE, Mark, SideAnswer, SideBySide, describe, title_of
from imgsearch.ui.components.blocks import draw_line
from imgsearch.ui.components.gallery import pass_on, sent_by
from imgsearch.ui.markup import asset, draw_html, script
from imgsearch.ui.state.links import LinkedQuery
from imgsearch.ui.state.session import Session

__all__ = ["KEY", "draw_comparison"]

KEY = "side_by_side"

_component = st.components.v2.component(
    "imgsearch_side_by_side", css=asset("side_by_side.css"), js=script("events.js", "side_by_side.js")
)


def draw_comparison(
    service: SearchService,
    session: Session,
    linked: LinkedQuery,
    found: SideBySide,
    *,
    on_event: Callable[[Any], None],
) -> None:
    """Draw both lists; `on_event` is called with each click on a tile, before the page is drawn."""
    faster = _faster(found.left.median_ms, found.right.median_ms)
    draw_html("agreement", found=found, persistence=PERSISTENCE, faster=faster)
    for note in dict.fromkeys((*found.left.result.notes, *found.right.result.notes)):
        draw_line(note, "note", role="status")
    _component(
        key=KEY,
        data={
            "sides": [
                _column(service, "left", found.left, found.marks("left")),
                _column(service, "right", found.right, found.marks("right")),
            ],
            "address": linked.full_link,
            "handled": list(session.handled),
        },
        on_events_change=lambda: pass_on(sent_by(KEY), on_event),
    )


def _faster(left_ms: float, right_ms: float) -> str:
    """Return which side is faster; differences within the noise of a busy machine do not count."""
    if max(left_ms, right_ms) < 1.25 * min(left_ms, right_ms):
        return "Same speed"
    return f"{'Left' if left_ms < right_ms else 'Right'} is faster"


def _column(service: SearchService, place: str, answer: SideAnswer, marks: list[Mark]) -> dict[str, Any]:
    return {
        "place": place,
        "title": title_of(answer.side),
        "detail": describe(answer.side, service.systems),
        "tiles": [
            {
                "id": hit.item_id,
                "title": hit.title,
                "thumb": thumbnail_url(hit, 384),
                "rank": mark.rank,
                "mark": mark.kind,
                "other": mark.other,
                "twin": mark.twin,
            }
            for hit, mark in zip(answer.result.hits, marks, strict=True)
        ],
    }
