"""The Quality page: measure the search on judgments, compare systems, follow them over time, check robustness.

A measurement is a background job: it starts by a button only, and continues when the visitor leaves the page.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.background import Job
from imgsearch.improve.quality.rendering import report_css
from imgsearch.ui.components.blocks import draw_choice, draw_heading, draw_outcome
from imgsearch.ui.components.jobs import draw_job
from imgsearch.ui.components.messages import draw_no_items
from imgsearch.ui.components.quality_form import FOLLOWED, draw_quality_form
from imgsearch.ui.components.quality_history import draw_history
from imgsearch.ui.components.quality_results import draw_comparison, draw_results
from imgsearch.ui.components.robustness import draw_robustness
from imgsearch.ui.state.address import from_address, to_address

__all__ = ["draw"]

VIEWS = {"results": "Results", "compare": "Compare", "history": "Over time", "robustness": "Robustness"}


def draw() -> None:
    """Draw the page."""
    service = get_service()
    st.html(f"<style>{report_css()}</style>")
    draw_heading("Quality", "How good the search results are, measured with people's judgments.")
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    job = service.quality.jobs.job
    _open_finished(job)
    runs = service.quality.reports.all()
    # The form folds up when a measurement starts: when it ends, the visitor may be about to press something.
    draw_quality_form(service, is_open=not runs and (job is None or job.status in {"failed", "stopped"}))
    draw_outcome()
    match _draw_views(service):
        case "compare":
            draw_comparison(service, runs)
        case "history":
            draw_history(runs)
        case "robustness":
            draw_robustness(service)
        case _:
            draw_results(service, runs)


def _draw_views(service: SearchService) -> str:
    from_address("view", VIEWS)
    st.session_state.setdefault("view", "results")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        options: dict[str, Any] = {
            "label_visibility": "collapsed",
            "on_change": to_address,
            "args": ("view",),
        }
        view = draw_choice("View", VIEWS, "view", **options)
        # Beside the views, so that its start and end move no button.
        draw_job(service.quality.jobs, after_stop="nothing was stored")
    return view


def _open_finished(job: Job | None) -> None:
    """Choose the report of a job that was started or watched here, once it is done."""
    if job is not None and job.status == "running":
        st.session_state[FOLLOWED] = True
    elif job is not None and st.session_state.pop(FOLLOWED, False) and job.result:
        st.session_state["report"] = st.query_params["report"] = job.result
