"""The Adapt page: what feedback there is, learning from it, what that changed, and which head is in force.

It owns the drawing; learning and publishing are background jobs of the service, so that they go on when the visitor
leaves and searches go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.background import Job
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query_address import thumbnail_url
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.index.heads import Head, list_heads, live_head_id
from imgsearch.search.systems import System
from imgsearch.ui.components.jobs import draw_job_end
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.state.callbacks import in_full

__all__ = ["draw"]

WATCH_EVERY_S = 0.7
THUMB_PX = 192
STYLE = """
.heads-row { display: grid; grid-template-columns: 5.2rem 1fr; gap: 0.25rem 0.9rem; align-items: center; margin: 0; }
.heads-row .side { font-size: 0.82rem; opacity: 0.75; }
.heads-row .hits { display: flex; gap: 0.4rem; overflow-x: auto; padding: 0.1rem 0; }
.heads-row img { width: 68px; height: 68px; flex: none; object-fit: contain; border-radius: 8px;
    background: color-mix(in srgb, currentColor 5%, transparent); }
.heads-query { display: flex; gap: 0.7rem; align-items: center; margin: 1rem 0 0.35rem; font-size: 0.94rem;
    overflow-wrap: anywhere; }
.heads-query img { width: 44px; height: 44px; object-fit: contain; border-radius: 8px; }
.heads-query .change { margin-left: auto; font-variant-numeric: tabular-nums; white-space: nowrap; opacity: 0.8; }
"""


def draw() -> None:
    """Draw the page."""
    service = get_service()
    st.html(f"<style>{STYLE}</style>")
    st.html(
        '<header class="page-head"><h1>Adapt</h1>'
        '<p class="quiet">Let the search learn from clicks and judgments. Only what wins on queries it has not seen '
        "can be published, and every step can be taken back.</p></header>"
    )
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    _draw_feedback(service)
    job = service.learning.job
    _draw_actions(service, busy=job is not None and job.status == "running")
    _draw_job(service, job)
    report = service.learned
    if report is not None and not report.head:
        st.html('<h2 class="panel-title">What was learned last</h2>')
        st.html(f'<p class="count" role="status">{escape(report.reason)}</p>')
        if report.rank:
            _draw_measures(report.as_dict())
        _draw_sources(report.as_dict())
    heads = list_heads(service.catalog)[::-1]
    if not heads and report is None:
        draw_message(
            "Nothing was learned yet",
            "Some hundred queries with clicks or judgments are enough. Search and click, judge on the Judge page, "
            "then press Learn.",
        )
        return
    live = live_head_id(service.catalog)
    for head in heads:
        _draw_head(service, head, is_live=head.id == live, is_open=head is heads[0])


# --- feedback and actions ---------------------------------------------------------------------------------------


def _draw_feedback(service: SearchService) -> None:
    counts = service.feedback.counts()
    live = live_head_id(service.catalog)
    with st.container(horizontal=True, gap="medium"):
        st.metric("Hits shown", f"{counts['impressions']:,}", border=True)
        st.metric("Clicks", f"{counts['clicks']:,}", border=True)
        st.metric("Judgments", f"{counts['judgments']:,}", border=True)
        st.metric("In force", live or "the model itself", border=True)


def _draw_actions(service: SearchService, *, busy: bool) -> None:
    with st.container(horizontal=True):
        st.button(
            "Learn from feedback",
            key="learn",
            type="primary",
            icon=":material/model_training:",
            disabled=busy,
            on_click=_act,
            args=(service.start_learning,),
        )
        if live_head_id(service.catalog):
            st.button(
                "Roll back",
                key="roll_back",
                icon=":material/undo:",
                disabled=busy,
                on_click=_act,
                args=(service.roll_back_head,),
                help="Puts in force again what was before.",
            )
    problem = st.session_state.pop("adapt_problem", "")
    if problem:
        st.html(f'<p class="problem" role="alert">{escape(problem)}</p>')
    done = st.session_state.pop("adapt_done", "")
    if done:
        st.html(f'<p class="count" role="status">{escape(done)}</p>')


@in_full
def _act(action: Any, *args: Any, done: str = "") -> None:
    """Do what a button asks for; what goes wrong is told at the next drawing."""
    try:
        action(*args)
    except ImgSearchError as error:
        st.session_state["adapt_problem"] = str(error)
    else:
        st.session_state["adapt_done"] = done


def _draw_job(service: SearchService, job: Job | None) -> None:
    if job is None:
        return
    if job.status == "running":
        _follow(service)
    else:
        draw_job_end(job, "nothing has changed")


@st.fragment(run_every=WATCH_EVERY_S)
def _follow(service: SearchService) -> None:
    job = service.learning.job
    if job is None or job.status != "running":
        st.rerun()
    else:
        _draw_progress(service, job)


def _draw_progress(service: SearchService, job: Job) -> None:
    share = job.done / job.total if job.total else 0.0
    words = f"{job.name}: {share:.0%}" if job.total else f"{job.name}: reading the feedback"
    st.html(
        f'<div class="meter"><i style="width:{share:.1%}"></i></div>'
        f'<p class="count quiet" role="status">{escape(words)}</p>'
    )
    st.button("Stop", key="stop_learning", icon=":material/stop:", on_click=service.learning.stop)


# --- heads ------------------------------------------------------------------------------------------------------


def _draw_head(service: SearchService, head: Head, *, is_live: bool, is_open: bool) -> None:
    state = ":material/check_circle: in force" if is_live else head.created_at[:16].replace("T", " ") + " UTC"
    with st.expander(f"**{head.id}** · {state}", expanded=is_open):
        st.html(f'<p class="count">{escape(str(head.report.get("reason", "")))}</p>')
        _draw_measures(head.report)
        with st.container(horizontal=True):
            if not is_live:
                st.button(
                    "Publish",
                    key=f"publish_{head.id}",
                    type="primary",
                    icon=":material/publish:",
                    disabled=service.learning.running,
                    on_click=_act,
                    args=(service.start_publishing, head.id),
                    help="Visitors get it from the next search on; no photo is read again.",
                )
            if head.id not in {system.name for system in service.systems.all()}:
                st.button(
                    "Try in an experiment",
                    key=f"arm_{head.id}",
                    icon=":material/science:",
                    disabled=service.learning.running,
                    on_click=_act,
                    args=(service.systems.save, System(head.id, head=head.id)),
                    kwargs={
                        "done": f"{head.id} can be chosen as an arm of an experiment, and in judging pools."
                    },
                    help="Makes it a system that experiments, judging pools and comparisons can choose.",
                )
        _draw_samples(service, head.report.get("samples", ()))
        _draw_sources(head.report)


def _draw_measures(report: Mapping[str, Any]) -> None:
    relative = report["change"] / report["before"] if report["before"] else 0.0
    with st.container(horizontal=True, gap="medium"):
        st.metric("nDCG@10 before", f"{report['before']:.3f}", border=True)
        st.metric("nDCG@10 after", f"{report['after']:.3f}", f"{relative:+.1%}", border=True)
        st.metric("Change, 99% interval", f"{report['low']:+.3f} to {report['high']:+.3f}", border=True)
        for guard in report["guards"]:
            change = f"{guard['after'] - guard['before']:+.1%}"
            st.metric(f"Guard: {guard['name']}", f"{guard['after']:.0%}", change, border=True)


def _draw_samples(service: SearchService, samples: Any) -> None:
    """Draw held-out queries with their first hits before and after."""
    if not samples:
        return
    st.html('<h2 class="panel-title">Held-out queries that change most</h2>')
    st.html("".join(_sample_html(service, sample) for sample in samples))


def _sample_html(service: SearchService, sample: Mapping[str, Any]) -> str:
    photo, words = "", str(sample["query_key"])
    try:
        term = topic_query(Topic(words, "query", words)).terms[0]
        words = str(term.value)
        if term.kind == "item":
            item = service.item(words)
            photo = f'<img src="{escape(thumbnail_url(item, THUMB_PX))}" alt="">'
            words = item.title
    except ImgSearchError:
        pass  # shown as it was written
    rows = "".join(
        f'<span class="side">{name}</span><span class="hits">{_hits_html(service, sample[name.lower()])}</span>'
        for name in ("Before", "After")
    )
    return (
        f'<div class="heads-query">{photo}<span>{escape(words)}</span>'
        f'<span class="change">nDCG@10 {sample["change"]:+.2f}</span></div><div class="heads-row">{rows}</div>'
    )


def _hits_html(service: SearchService, item_ids: Any) -> str:
    return "".join(
        f'<img src="{escape(thumbnail_url(item, THUMB_PX))}" alt="{escape(item.title)}" title="{escape(item.title)}" '
        'loading="lazy">'
        for item in service.catalog.get_many(list(item_ids))
    )


def _draw_sources(report: Mapping[str, Any]) -> None:
    """Draw what was learned from, and what was not."""
    queries = report["queries"]
    split = ", ".join(f"{count:,} for {part}" for part, count in queries.items())
    left_out = ", ".join(f"{count:,} {why}" for why, count in report["skipped"].items())
    rows = {
        "Learned from": f"{report['clicks']:,} clicks on {report['impressions']:,} hits shown, and "
        f"{report['judgments']:,} judgments",
        "Queries": f"{sum(queries.values()):,}: {split}",
        "Left out": left_out,
        "Attention": f"falls as 1 / rank^{report['eta']:.2f} ({report['eta_source']})",
        "Also learned from": f"{report['text_pairs']:,} pairs of a title and its photo, {report['product_pairs']:,} "
        "pairs of photos of one product",
        "Notes": " ".join(report["notes"]),
    }
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows.items()
        if value
    )
    st.html(f'<table class="facts">{cells}</table>')
