"""The judging view component: a query, one candidate at a time, a key for each verdict.

The browser calls `POST /api/v1/judging` itself, so that the next candidate does not wait for a page to be drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from imgsearch.improve.judging.records import Guideline, JudgingSet, Role
from imgsearch.ui.markup import asset, script

__all__ = ["draw_judging"]

ENDPOINT = "/api/v1/judging"

_component = st.components.v2.component("imgsearch_judge", css=asset("judge.css"), js=script("judge.js"))


def draw_judging(
    judging_set: JudgingSet, guideline: Guideline, *, labeler: str, role: Role, on_leave: Callable[[], None]
) -> None:
    """Draw the view, as high as the window allows; `on_leave` is called when the labeler leaves it."""
    _component(
        key="judge",
        data={
            "set": judging_set.name,
            "labeler": labeler,
            "role": role,
            "guideline": {"text": guideline.text, "version": guideline.version},
            "endpoint": ENDPOINT,
        },
        on_leave_change=on_leave,
    )
