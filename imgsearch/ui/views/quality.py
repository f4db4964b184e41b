"""The Quality page: measure the search on judgments, compare systems, follow them over time, check robustness.

A measurement is a background job: it starts by a button only, and continues when the visitor leaves the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.background import Job
from imgsearch.core.errors import EvaluationError
from imgsearch.improve.quality.ground_truth import GroundTruth, uploaded
from imgsearch.improve.quality.measures import DEFAULT_MEASURES
from imgsearch.improve.quality.rendering import report_css, robustness_html, warnings_html
from imgsearch.search.systems import LIVE
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.jobs import draw_job
from imgsearch.ui.components.quality_results import draw_comparison, draw_history, draw_results
from imgsearch.ui.markup import draw_html, plain
from imgsearch.ui.state.callbacks import from_address, to_address

VIEWS = {"results": "Results", "compare": "Compare", "history": "Over time", "robustness": "Robustness"}
UPLOAD = "upload"
FOLLOWED = "quality_followed"
"""Session key: whether the report of the running job is to be opened when it is done."""
SAMPLES = (25, 50, 100, 200, 500)


def draw() -> None:
    """Draw the page."""
    service = get_service()
    st.html(f"<style>{report_css()}</style>")
    ui.heading("Quality", "How good the search results are, measured with people's judgments.")
    if ui.no_items(service):
        return
    job = service.quality.jobs.job
    _open_finished(job)
    runs = service.quality.reports.all()
    # The form folds up when a measurement starts: when it ends, the visitor may be about to press something.
    _draw_form(service, is_open=not runs and (job is None or job.status in {"failed", "stopped"}))
    ui.outcome()
    match _draw_views(service):
        case "compare":
            draw_comparison(service, runs)
        case "history":
            draw_history(runs)
        case "robustness":
            _draw_robustness(service)
        case _:
            draw_results(service, runs)


def _draw_views(service: SearchService) -> str:
    from_address("view", VIEWS)
    st.session_state.setdefault("view", "results")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        options: dict[str, Any] = {"on_change": to_address, "args": ("view",)}
        view = ui.choice("View", VIEWS, "view", label_visibility="collapsed", **options)
        # Beside the views, so that its start and end move no button.
        draw_job(service.quality.jobs, after_stop="nothing was stored")
    return view


def _open_finished(job: Job | None) -> None:
    """Choose the report of a job that was started or watched here, once it is done."""
    if job is not None and job.status == "running":
        st.session_state[FOLLOWED] = True
    elif job is not None and st.session_state.pop(FOLLOWED, False) and job.result:
        st.session_state["report"] = st.query_params["report"] = job.result


def _draw_form(service: SearchService, *, is_open: bool) -> None:
    sources = {source.name: source for source in service.quality.sources()}
    with st.expander("Measure", expanded=is_open, icon=":material/straighten:"):
        left, right = st.columns(2, gap="medium")
        with left:
            names = {name: source.label for name, source in sources.items()} | {UPLOAD: "Upload files"}
            chosen = ui.select("Judgments", names, "judgments")
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
        ui.act(
            "Measure",
            "measure",
            _start,
            service,
            type="primary",
            icon="play_arrow",
            disabled=service.quality.jobs.running,
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


def _draw_robustness(service: SearchService) -> None:
    stored = service.quality.reports.latest_robustness()
    if stored is not None:
        draw_html("robustness", report=stored.report)
        st.html(warnings_html(stored.report.warnings) + robustness_html(stored.report))
        draw_html("robustness_source", stored=stored, photos=stored.report.scores[0].photos)
    else:
        ui.message(
            "No robustness check yet",
            "It needs no judgments. Photos are mirrored, cropped, recompressed and slightly rotated, and must still "
            "find the same neighbours.",
        )
    ready = service.engine.encoder.state.status == "ready"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox("Photos", SAMPLES, index=2, key="robustness_n", width=120)
        systems = [system.name for system in service.systems.all()]
        st.selectbox("System", systems, key="robustness_system", width=200)
        ui.act(
            "Check",
            "robustness",
            _start_robustness,
            service,
            icon="play_arrow",
            disabled=service.quality.jobs.running or not ready,
            help=None
            if ready
            else plain(service.engine.encoder.state.reason or "The model is still loading."),
        )


def _start_robustness(service: SearchService) -> None:
    given = st.session_state
    service.quality.start_robustness(given["robustness_system"], n=given["robustness_n"])
