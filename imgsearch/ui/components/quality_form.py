"""The form that starts a measurement: judgments, systems, measures."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import EvaluationError
from imgsearch.improve.quality.ground_truth import GroundTruth, uploaded
from imgsearch.improve.quality.measures import DEFAULT_MEASURES
from imgsearch.search.systems import LIVE
from imgsearch.ui.markup import plain
from imgsearch.ui.state.callbacks import attempt

__all__ = ["FOLLOWED", "draw_quality_form"]

UPLOAD = "upload"
FOLLOWED = "quality_followed"
"""Session key: whether the report of the running job is to be opened when it is done."""


def draw_quality_form(service: SearchService, *, is_open: bool) -> None:
    """Draw the form."""
    sources = {source.name: source for source in service.quality.sources()}
    with st.expander("Measure", expanded=is_open, icon=":material/straighten:"):
        left, right = st.columns(2, gap="medium")
        with left:
            chosen = st.selectbox(
                "Judgments",
                [*sources, UPLOAD],
                format_func=lambda name: sources[name].label if name in sources else "Upload files",
                key="judgments",
            )
            if chosen in sources:
                st.caption(plain(sources[chosen].detail))
            else:
                _draw_upload(is_only_choice=not sources)
        with right:
            st.multiselect(
                "Systems",
                [system.name for system in service.systems.all()],
                default=[LIVE],
                key="systems",
                help="Choose two or more to compare them on the same queries. Add systems on the Experiments page or "
                "with `imgsearch system add`.",
            )
            st.text_input("Measures", DEFAULT_MEASURES, key="measures")
        st.button(
            "Measure",
            key="measure",
            type="primary",
            icon=":material/play_arrow:",
            disabled=service.quality.jobs.running,
            on_click=attempt,
            args=(_start, service),
        )


def _draw_upload(*, is_only_choice: bool) -> None:
    if is_only_choice:
        st.caption(
            "There are no judgments yet. Mark results good or bad on the Search page, judge a set on the Judge page, "
            "or upload files."
        )
    st.file_uploader(
        "Judgments (TREC qrels: query 0 item relevance)", type=["trec", "qrels", "txt"], key="qrels_file"
    )
    st.file_uploader(
        "Queries, where query IDs are not item IDs (tab-separated: query, kind, text)",
        type=["tsv", "txt"],
        key="topics_file",
    )


def _start(service: SearchService) -> None:
    """Measure what the form says now; raises `ImgSearchError` where it is incomplete."""
    given = st.session_state
    if not given["systems"]:
        raise EvaluationError("Choose the systems to measure first.")
    service.quality.start_measuring(_ground_truth(service), given["systems"], given["measures"])
    given[FOLLOWED] = True


def _ground_truth(service: SearchService) -> Callable[[], GroundTruth]:
    """Return how the chosen judgments are read; raises `EvaluationError` where no file is chosen."""
    for source in service.quality.sources():
        if source.name == st.session_state["judgments"]:
            return source.load
    qrels, topics = st.session_state.get("qrels_file"), st.session_state.get("topics_file")
    if qrels is None:
        raise EvaluationError("Choose the file of judgments first.")
    judged, queries = qrels.getvalue(), topics.getvalue() if topics else None
    return lambda: uploaded(judged, qrels.name, queries, topics.name if topics else "", service.catalog)
