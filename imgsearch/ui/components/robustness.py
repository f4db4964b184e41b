"""Robustness: whether changed copies of a photo still find the same neighbours."""

from __future__ import annotations

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.improve.quality.rendering import robustness_html, warnings_html
from imgsearch.ui.components.messages import draw_message
from imgsearch.ui.markup import draw_html, plain
from imgsearch.ui.state.callbacks import attempt

__all__ = ["draw_robustness"]

SAMPLES = (25, 50, 100, 200, 500)


def draw_robustness(service: SearchService) -> None:
    """Draw the latest robustness report, and the button that makes one."""
    stored = service.quality.reports.latest_robustness()
    if stored is not None:
        draw_html("robustness", report=stored.report)
        st.html(warnings_html(stored.report.warnings) + robustness_html(stored.report))
        draw_html("robustness_source", stored=stored, photos=stored.report.scores[0].photos)
    else:
        draw_message(
            "No robustness check yet",
            "It needs no judgments. Photos are mirrored, cropped, recompressed and slightly rotated, and must still "
            "find the same neighbours.",
        )
    ready = service.engine.encoder.state.status == "ready"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox("Photos", SAMPLES, index=2, key="robustness_n", width=120)
        systems = [system.name for system in service.systems.all()]
        st.selectbox("System", systems, key="robustness_system", width=200)
        st.button(
            "Check",
            key="robustness",
            icon=":material/play_arrow:",
            disabled=service.quality.jobs.running or not ready,
            help=None
            if ready
            else plain(service.engine.encoder.state.reason or "The model is still loading."),
            on_click=attempt,
            args=(_start, service),
        )


def _start(service: SearchService) -> None:
    given = st.session_state
    service.quality.start_robustness(given["robustness_system"], n=given["robustness_n"])
