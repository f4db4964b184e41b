"""The quality page: measure the search on judgments, look at the worst queries, compare systems, check robustness.

It owns the drawing; what is measured and kept is `imgsearch.improve.quality.measuring`'s. Opening the page measures
nothing: a measurement is a job in the background, which goes on when the visitor leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from html import escape
from typing import Any

import altair
import pandas as pd
import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.background import Job
from imgsearch.core.errors import EvaluationError, ImgSearchError
from imgsearch.core.query_address import query_string, thumbnail_url
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.improve.quality.comparison import Comparison
from imgsearch.improve.quality.evaluation import DEFAULT_MEASURES, EvaluationReport
from imgsearch.improve.quality.ground_truth import GroundTruth, uploaded
from imgsearch.improve.quality.measuring import Quality
from imgsearch.improve.quality.report_files import report_csv, standalone_html
from imgsearch.improve.quality.report_html import (
    Pictures,
    Row,
    comparison_html,
    legend_html,
    measures_html,
    notes_html,
    report_css,
    robustness_html,
    rows_html,
    rows_of,
)
from imgsearch.improve.quality.reports import Run
from imgsearch.search.systems import LIVE
from imgsearch.ui.components.jobs import draw_job_end
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.state.callbacks import in_full

__all__ = ["draw"]

UPLOAD = "upload"
FOLLOWED = "quality_followed"
"""Whether the report of the job that runs is to be opened when it is done."""
VIEWS = {"results": "Results", "compare": "Compare", "history": "Over time", "robustness": "Robustness"}
ORDERS = {"worst": "Worst first", "best": "Best first"}
CHANGES = {"lost": "Greatest loss first", "gained": "Greatest gain first"}
ROWS_A_PAGE = 20
THUMB_PX = 192
EXPORT_THUMB_PX = 96
WATCH_EVERY_S = 0.7
SYSTEM_COLOURS = ["#1a9c8a", "#d28a1c", "#5b7fd1", "#c0568a", "#7d8b3a", "#8a6fd0"]
ROBUSTNESS_SAMPLES = (25, 50, 100, 200, 500)


def draw() -> None:
    """Draw the page: what may be measured, what is being measured, and what was."""
    service = get_service()
    st.html(f"<style>{report_css()}</style>")
    st.html(
        '<header class="page-head"><h1>Quality</h1>'
        '<p class="quiet">How good the search is, measured on what people judged.</p></header>'
    )
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    job = service.quality.jobs.job
    _open_finished(job)
    runs = service.quality.reports.all()
    # It folds up when the measurement starts, not when that ends under somebody's finger.
    _draw_measure(service, is_open=not runs and (job is None or job.status in {"failed", "stopped"}))
    problem = st.session_state.pop("quality_problem", "")
    if problem:
        st.html(f'<p class="problem" role="alert">{escape(problem)}</p>')
    _from_address("view", VIEWS)
    st.session_state.setdefault("view", "results")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        view = st.segmented_control(
            "View",
            list(VIEWS),
            format_func=lambda name: VIEWS[name],
            key="view",
            label_visibility="collapsed",
            required=True,
            on_change=_to_address,
            args=("view",),
        )
        _draw_job(service.quality, job)  # beside it, so that its coming and going moves no button
    match view:
        case "compare":
            _draw_compare(service, runs)
        case "history":
            _draw_history(runs)
        case "robustness":
            _draw_robustness(service)
        case _:
            _draw_results(service, runs)


# Streamlit binds a widget to the address by its label, which changes with every word and figure in it: these two keep
# their names there by themselves.


def _from_address(name: str, options: Container[str]) -> None:
    """Let a widget begin with what the address bar says, if it is there."""
    asked = st.query_params.get(name, "")
    if asked in options:
        st.session_state.setdefault(name, asked)


@in_full
def _to_address(name: str) -> None:
    """Write a widget's value to the address bar, so that it can be sent to somebody."""
    st.query_params[name] = st.session_state[name]


# --- measuring ----------------------------------------------------------------------------------------------------


def _draw_measure(service: SearchService, *, is_open: bool) -> None:
    """Draw the form that starts a measurement."""
    sources = {source.name: source for source in service.quality.sources()}
    with st.expander("Measure", expanded=is_open, icon=":material/straighten:"):
        left, right = st.columns(2, gap="medium")
        with left:
            chosen = st.selectbox(
                "Judgments",
                [*sources, UPLOAD],
                format_func=lambda name: sources[name].label if name in sources else "Files of your own",
                key="judgments",
            )
            if chosen in sources:
                st.caption(sources[chosen].detail)
            else:
                _draw_upload(nothing_else=not sources)
        with right:
            st.multiselect(
                "Systems",
                [system.name for system in service.systems.all()],
                default=[LIVE],
                key="systems",
                help="Choose two or more to compare them on the same queries. New ones are made with "
                "`imgsearch system add`.",
            )
            st.text_input("Measures", DEFAULT_MEASURES, key="measures")
        st.button(
            "Measure",
            key="measure",
            type="primary",
            icon=":material/play_arrow:",
            disabled=service.quality.jobs.running,
            on_click=_start,
            args=(service,),
        )


def _draw_upload(*, nothing_else: bool) -> None:
    """Draw the choice of files."""
    if nothing_else:
        st.caption(
            "Nothing is judged here yet. Mark hits good or bad on the Search page, judge whole sets of them on "
            "the Judge page, or bring files."
        )
    st.file_uploader(
        "Judgments (TREC qrels: query 0 item relevance)", type=["trec", "qrels", "txt"], key="qrels_file"
    )
    st.file_uploader(
        "Queries (query TAB kind TAB words), where query ids are not item ids",
        type=["tsv", "txt"],
        key="topics_file",
    )


@in_full
def _start(service: SearchService) -> None:
    """Measure what the form says now."""
    given = st.session_state
    try:
        if not given["systems"]:
            raise EvaluationError("Choose the systems to measure first.")
        service.quality.start_measuring(_ground_truth(service), given["systems"], given["measures"])
        given[FOLLOWED] = True
    except ImgSearchError as error:
        given["quality_problem"] = str(error)


def _ground_truth(service: SearchService) -> Callable[[], GroundTruth]:
    """Return how the chosen judgments are read; raises `EvaluationError` where no file of them is chosen yet."""
    for source in service.quality.sources():
        if source.name == st.session_state["judgments"]:
            return source.load
    qrels, topics = st.session_state.get("qrels_file"), st.session_state.get("topics_file")
    if qrels is None:
        raise EvaluationError("Choose the file of judgments first.")
    judged, asked = qrels.getvalue(), topics.getvalue() if topics else None
    return lambda: uploaded(judged, qrels.name, asked, topics.name if topics else "", service.catalog)


def _open_finished(job: Job | None) -> None:
    """Choose the report of a job that was started here, or seen running, once it is done."""
    if job is not None and job.status == "running":
        st.session_state[FOLLOWED] = True
    elif job is not None and st.session_state.get(FOLLOWED):
        if job.result:
            st.session_state["report"] = st.query_params["report"] = job.result
        del st.session_state[FOLLOWED]


def _draw_job(quality: Quality, job: Job | None) -> None:
    """Draw the job that runs, and follow it; or why the last one failed."""
    if job is None:
        return
    if job.status == "running":
        _watch(quality)
    else:
        draw_job_end(job, "nothing was kept")


@st.fragment(run_every=WATCH_EVERY_S)
def _watch(quality: Quality) -> None:
    job = quality.jobs.job
    if job is None or job.status != "running":
        st.rerun()
    else:
        _draw_progress(quality, job)


def _draw_progress(quality: Quality, job: Job) -> None:
    share = job.done / job.total if job.total else 0.0
    words = f"{job.name}: {job.done:,} of {job.total:,}" if job.total else f"{job.name}: getting ready"
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.progress(share, text=words)
        st.button("Stop", key="stop_job", icon=":material/stop:", on_click=quality.jobs.stop)


# --- results ------------------------------------------------------------------------------------------------------


def _draw_results(service: SearchService, runs: Sequence[Run]) -> None:
    if not runs:
        draw_message(
            "Nothing is measured yet",
            "Choose judgments above and press Measure: the worst queries come first, with their photos.",
        )
        return
    by_id = {run.run_id: run for run in runs}
    _from_address("report", by_id)
    chosen = st.selectbox(
        "Report",
        list(by_id),
        format_func=lambda run_id: _run_label(by_id[run_id]),
        key="report",
        on_change=_to_address,
        args=("report",),
    )
    run = by_id[chosen]
    report = service.quality.reports.report(run)
    st.html(measures_html(run.measures) + notes_html(run.warnings))
    st.html(f'<p class="count quiet">{escape(_facts(run))}</p>')
    _draw_exports(service, run, report, None)
    measure, order = _draw_order([result.measure for result in run.measures], ORDERS)
    _draw_rows(service, rows_of(report, measure, order=order), measure)
    if report.skipped:
        with st.expander(f"{len(report.skipped):,} left out"):
            st.dataframe(
                pd.DataFrame(report.skipped.items(), columns=["query", "why"]),
                hide_index=True,
                width="stretch",
            )


def _draw_order(measures: Sequence[str], orders: dict[str, str]) -> tuple[str, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        measure = st.selectbox("By", measures, key="by", width=170)
        order = st.selectbox(
            "Order",
            list(orders),
            format_func=lambda name: orders[name],
            key=f"order_{len(orders)}_{next(iter(orders))}",
            width=210,
        )
    return measure or measures[0], order or next(iter(orders))


def _draw_rows(
    service: SearchService, rows: Sequence[Row], measure: str, *, names: tuple[str, str] | None = None
) -> None:
    """Draw the first queries, and a button for more."""
    shown = st.session_state.setdefault("quality_rows", ROWS_A_PAGE)
    st.html(legend_html(compared=names is not None))
    some = rows[:shown]
    st.html(rows_html(some, measure, _pictures(service, some), names=names))
    if len(rows) > shown:
        st.button(f"Show more of {len(rows):,} queries", key="more_rows", on_click=_show_more, args=(shown,))


@in_full
def _show_more(shown: int) -> None:
    st.session_state["quality_rows"] = shown + ROWS_A_PAGE


def _pictures(service: SearchService, rows: Sequence[Row]) -> Pictures:
    """Return how the items of these rows are shown, all asked for at once."""
    wanted: dict[str, None] = {}
    for row in rows:
        wanted.update(dict.fromkeys(hit.item_id for hit in (*row.hits, *(row.other or ()))))
        wanted.update(dict.fromkeys(_items_of(row.topic)))
    items = {item.item_id: item for item in service.catalog.get_many(list(wanted))}
    return Pictures(
        title=lambda item_id: items[item_id].title if item_id in items else item_id,
        source=lambda item_id: thumbnail_url(items[item_id], THUMB_PX) if item_id in items else "",
        link=_link,
    )


def _items_of(topic: Topic) -> list[str]:
    try:
        return [str(term.value) for term in topic_query(topic).terms if term.kind == "item"]
    except EvaluationError:
        return []


def _link(topic: Topic) -> str:
    try:
        query = topic_query(topic)
    except EvaluationError:
        return ""
    return f"./?{query_string(query, default_n=query.n)}"


def _draw_exports(
    service: SearchService,
    run: Run,
    report: EvaluationReport,
    other: tuple[Run, EvaluationReport, Sequence[Comparison]] | None,
) -> None:
    """Draw the downloads; the files are made when they are asked for."""

    def page() -> str:
        return standalone_html(
            run,
            report,
            service.catalog,
            lambda item: service.thumbnails.get(item, EXPORT_THUMB_PX).data,
            other=other,
        )

    name = f"imgsearch-{run.run_id}" + (f"-{other[0].run_id}" if other else "")
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Web page",
            page,
            f"{name}.html",
            "text/html",
            key="html",
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            "CSV",
            lambda: report_csv(run, report, other[1] if other else None),
            f"{name}.csv",
            "text/csv",
            key="csv",
            icon=":material/download:",
            on_click="ignore",
        )


# --- two systems --------------------------------------------------------------------------------------------------


def _draw_compare(service: SearchService, runs: Sequence[Run]) -> None:
    pairs = _comparable(runs)
    if not pairs:
        draw_message(
            "Nothing to compare yet",
            "Choose two systems above and measure them: they are compared on the same queries.",
        )
        return
    by_id = {run.run_id: run for run in runs}
    left, right = st.columns(2, gap="medium")
    with left:
        first_id = st.selectbox(
            "Baseline",
            [run_id for run_id, others in pairs.items() if others],
            format_func=lambda run_id: _run_label(by_id[run_id]),
            key="baseline",
        )
    first = by_id[first_id]
    with right:
        second_id = st.selectbox(
            "Compared with it",
            pairs[first_id],
            format_func=lambda run_id: _run_label(by_id[run_id]),
            key=f"compared_{first_id}",
        )
    second = by_id[second_id]
    try:
        comparisons = service.quality.compare(first, second)
    except EvaluationError as error:
        st.html(f'<p class="problem" role="alert">{escape(str(error))}</p>')
        return
    before, after = service.quality.reports.report(first), service.quality.reports.report(second)
    names = _short_names(second, first)
    st.html(
        f'<p class="q-verdict">{escape(comparisons[0].sentence(names[1], names[0]))}</p>'
        + comparison_html(comparisons, names[1], names[0])
        + notes_html(list(dict.fromkeys([*first.warnings, *second.warnings])))
    )
    _draw_exports(service, second, after, (first, before, comparisons))
    measure, order = _draw_order([each.measure for each in comparisons], CHANGES)
    _draw_rows(service, rows_of(after, measure, other=before, order=order), measure, names=names)


def _comparable(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Map each run to those that were measured on the same judgments: other systems first, the newest first.

    Runs of which there is none are left out. The older of the newest two comes first: what is new is compared with
    what was there.
    """
    pairs = {
        run.run_id: [
            other.run_id
            for other in sorted(runs, key=lambda each: each.system == run.system)
            if other.run_id != run.run_id and other.judgments_digest == run.judgments_digest
        ]
        for run in runs
    }
    found = {run_id: others for run_id, others in pairs.items() if others}
    newest = next(iter(found), None)
    if newest is None:
        return {}
    baseline = found[newest][0]
    return {baseline: [newest, *(each for each in found[baseline] if each != newest)]} | {
        run_id: others for run_id, others in found.items() if run_id != baseline
    }


def _short_names(second: Run, first: Run) -> tuple[str, str]:
    """Return names of two runs that tell them apart."""
    for names in ((second.title, first.title), (second.system, first.system)):
        if names[0] != names[1]:
            return names
    return (
        f"{second.title} {second.happened_at:%m-%d %H:%M:%S}",
        f"{first.title} {first.happened_at:%m-%d %H:%M:%S}",
    )


# --- over time ----------------------------------------------------------------------------------------------------


def _draw_history(runs: Sequence[Run]) -> None:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.judgments_digest, []).append(run)
    if not any(len(group) > 1 for group in groups.values()):
        draw_message(
            "No history yet",
            "Measure again on the same judgments after a change: the curve begins with two reports.",
        )
        return
    digest = st.selectbox(
        "Judgments",
        [digest for digest, group in groups.items() if len(group) > 1],
        format_func=lambda digest: f"{groups[digest][0].judgments} · {len(groups[digest]):,} reports",
        key="history_of",
    )
    group = groups[digest]
    measures = list(dict.fromkeys(result.measure for run in group for result in run.measures))
    measure = st.selectbox("Measure", measures, key="history_by", width=200)
    st.altair_chart(_chart(group, measure), width="stretch")
    st.dataframe(_history_table(group), hide_index=True, width="stretch")


def _chart(runs: Sequence[Run], measure: str) -> Any:
    """Return the means over time with their intervals, a colour for each system."""
    rows = [
        {
            "when": run.happened_at,
            "report": run.title,
            "system": run.system,
            "mean": result.mean,
            "low": result.low,
            "high": result.high,
        }
        for run in runs
        for result in run.measures
        if result.measure == measure
    ]
    base = altair.Chart(pd.DataFrame(rows)).encode(
        x=altair.X(
            "when:T",
            title="Measured (UTC)",
            axis=altair.Axis(format="%b %d, %H:%M", tickCount=6, labelOverlap=True),
        ),
        color=altair.Color(
            "system:N",
            title="System",
            legend=altair.Legend(orient="top"),
            scale=altair.Scale(range=SYSTEM_COLOURS),
        ),
        tooltip=[
            "report",
            "system",
            altair.Tooltip("when:T", format="%Y-%m-%d %H:%M"),
            altair.Tooltip("mean", format=".4f"),
        ],
    )
    ranges = base.mark_rule(strokeWidth=2, opacity=0.5).encode(
        y=altair.Y("low:Q", title=measure, scale=altair.Scale(zero=False)), y2="high:Q"
    )
    means = base.mark_line(point=altair.OverlayMarkDef(size=70, filled=True)).encode(y="mean:Q")
    return (ranges + means).properties(height=320)


def _history_table(runs: Sequence[Run]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "when (UTC)": run.happened_at.replace(microsecond=0),
                "report": run.title,
                "system": run.system,
                "encoder": run.encoder,
                "photos": run.items,
                "queries": run.measures[0].queries,
            }
            | {result.measure: round(result.mean, 4) for result in run.measures}
            for run in runs
        ]
    )


# --- robustness ---------------------------------------------------------------------------------------------------


def _draw_robustness(service: SearchService) -> None:
    stored = service.quality.reports.latest_robustness()
    if stored is not None:
        report = stored.report
        photos = report.scores[0].photos
        st.html(
            f'<div class="q-score"><strong class="q-mean">{report.score:.0%}</strong>'
            f"<span>of the {report.neighbours} nearest photos stay when a picture is changed in ways that no "
            "shopper minds</span></div>"
            + notes_html(report.warnings)
            + robustness_html(report)
            + f'<p class="q-note">{photos:,} photos drawn at random · system {escape(stored.system)} · '
            f"{escape(report.encoder)} · {stored.happened_at:%Y-%m-%d %H:%M} UTC</p>"
        )
    else:
        draw_message(
            "Not checked yet",
            "This needs no judgments: photos are mirrored, cropped, saved again and turned a little, and must still "
            "find the same neighbours.",
        )
    ready = service.encoder_state.status == "ready"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox("Photos", ROBUSTNESS_SAMPLES, index=2, key="robustness_n", width=120)
        st.selectbox(
            "System", [each.name for each in service.systems.all()], key="robustness_system", width=200
        )
        st.button(
            "Check",
            key="robustness",
            icon=":material/play_arrow:",
            disabled=service.quality.jobs.running or not ready,
            help=None if ready else service.encoder_state.reason,
            on_click=_start_robustness,
            args=(service.quality,),
        )


@in_full
def _start_robustness(quality: Quality) -> None:
    try:
        quality.start_robustness(st.session_state["robustness_system"], n=st.session_state["robustness_n"])
    except ImgSearchError as error:
        st.session_state["quality_problem"] = str(error)


# --- words --------------------------------------------------------------------------------------------------------


def _run_label(run: Run) -> str:
    first = run.measures[0]
    name = f"{run.name} · " if run.name else ""
    when = f"{run.happened_at:%Y-%m-%d %H:%M}"
    return f"{name}{run.system} · {run.judgments} · {when} · {first.measure} {first.mean:.3f}"


def _facts(run: Run) -> str:
    return (
        f"System {run.system} · {run.judgments} · {run.encoder} · {run.items:,} photos · "
        f"{run.happened_at:%Y-%m-%d %H:%M} UTC · {run.seconds:,.0f} s"
    )
