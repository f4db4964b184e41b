"""Measured quality: one report with its queries, two systems compared, and the reports over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair
import pandas as pd
import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import EvaluationError
from imgsearch.core.query_address import query_string, thumbnail_url
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.improve.quality.comparison import Comparison
from imgsearch.improve.quality.evaluation import EvaluationReport
from imgsearch.improve.quality.rendering import (
    ItemDisplay,
    Row,
    comparison_html,
    legend_html,
    measures_html,
    report_csv,
    rows_html,
    rows_of,
    standalone_html,
    warnings_html,
)
from imgsearch.improve.quality.reports import Run
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.state.callbacks import from_address, in_full, to_address

ORDERS = {"worst": "Worst first", "best": "Best first"}
CHANGES = {"lost": "Largest loss first", "gained": "Largest gain first"}
ROWS_AT_ONCE = 20
THUMB_PX = 192
EXPORT_THUMB_PX = 96
SYSTEM_COLOURS = ["#1a9c8a", "#d28a1c", "#5b7fd1", "#c0568a", "#7d8b3a", "#8a6fd0"]


def draw_results(service: SearchService, runs: Sequence[Run]) -> None:
    """Draw the report that the visitor chose, the newest first."""
    if not runs:
        ui.message(
            "No measurement yet",
            "Choose judgments above and press Measure. The worst queries come first, with their photos.",
        )
        return
    by_id = {run.run_id: run for run in runs}
    from_address("report", by_id)
    run = by_id[ui.select("Report", _labels(by_id, by_id), "report", on_change=to_address, args=("report",))]
    report = service.quality.reports.report(run)
    st.html(measures_html(run.measures) + warnings_html(run.warnings))
    ui.line(
        f"System {run.system} · {run.judgments} · {run.encoder} · {run.items:,} photos · "
        f"{run.happened_at:%Y-%m-%d %H:%M} UTC · {run.seconds:,.0f} s"
    )
    _draw_exports(service, run, report, None)
    measure, order = _draw_order([result.measure for result in run.measures], ORDERS)
    _draw_rows(service, rows_of(report, measure, order=order), measure)
    if report.skipped:
        with st.expander(f"{len(report.skipped):,} queries left out"):
            skipped = pd.DataFrame(report.skipped.items(), columns=["query", "reason"])
            st.dataframe(skipped, hide_index=True, width="stretch")


def draw_comparison(service: SearchService, runs: Sequence[Run]) -> None:
    """Draw two reports that the visitor chose, measured on the same judgments."""
    pairs = _comparable(runs)
    if not pairs:
        ui.message(
            "Nothing to compare yet",
            "Choose two systems above and press Measure: they are compared on the same queries.",
        )
        return
    by_id = {run.run_id: run for run in runs}
    left, right = st.columns(2, gap="medium")
    with left:
        first = by_id[ui.select("Baseline", _labels(by_id, pairs), "baseline")]
    with right:
        options = _labels(by_id, pairs[first.run_id])
        second = by_id[ui.select("Compared system", options, f"compared_{first.run_id}")]
    try:
        comparisons = service.quality.compare(first, second)
    except EvaluationError as error:
        ui.problem(str(error))
        return
    before, after = service.quality.reports.report(first), service.quality.reports.report(second)
    names = _short_names(second, first)
    ui.line(comparisons[0].sentence(names[1], names[0]), "q-verdict")
    st.html(
        comparison_html(comparisons, names[1], names[0])
        + warnings_html(list(dict.fromkeys([*first.warnings, *second.warnings])))
    )
    _draw_exports(service, second, after, (first, before, comparisons))
    measure, order = _draw_order([each.measure for each in comparisons], CHANGES)
    _draw_rows(service, rows_of(after, measure, other=before, order=order), measure, names=names)


def _labels(by_id: Mapping[str, Run], run_ids: Iterable[str]) -> dict[str, str]:
    return {run_id: _label(by_id[run_id]) for run_id in run_ids}


def _draw_order(measures: Sequence[str], orders: dict[str, str]) -> tuple[str, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        measure = st.selectbox("Sort by", measures, key="by", width=170)
        order = ui.select("Order", orders, f"order_{next(iter(orders))}", width=210)
    return measure or measures[0], order


def _draw_rows(
    service: SearchService, rows: Sequence[Row], measure: str, *, names: tuple[str, str] | None = None
) -> None:
    shown = st.session_state.setdefault("quality_rows", ROWS_AT_ONCE)
    st.html(legend_html(compared=names is not None))
    some = rows[:shown]
    st.html(rows_html(some, measure, _pictures(service, some), names=names))
    if len(rows) > shown:
        ui.button(f"Show more of {len(rows):,} queries", "more_rows", _show_more, shown)


@in_full
def _show_more(shown: int) -> None:
    st.session_state["quality_rows"] = shown + ROWS_AT_ONCE


def _pictures(service: SearchService, rows: Sequence[Row]) -> ItemDisplay:
    """Return how the items of these rows are shown; all of them are fetched at once."""
    needed: dict[str, None] = {}
    for row in rows:
        needed.update(dict.fromkeys(hit.item_id for hit in (*row.hits, *(row.other or ()))))
        needed.update(dict.fromkeys(_items_of(row.topic)))
    items = {item.item_id: item for item in service.catalog.get_many(list(needed))}
    return ItemDisplay(
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

    def page() -> str:
        return standalone_html(
            run,
            report,
            service.catalog,
            lambda item: service.engine.thumbnails.get(item, EXPORT_THUMB_PX).data,
            other=other,
        )

    def table() -> str:
        return report_csv(run, report, other[1] if other else None)

    name = f"imgsearch-{run.run_id}" + (f"-{other[0].run_id}" if other else "")
    with st.container(horizontal=True, gap="small"):
        ui.download("Web page", page, f"{name}.html", "text/html", key="html")
        ui.download("CSV", table, f"{name}.csv", "text/csv", key="csv")


def _comparable(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Map each run to the runs on the same judgments: other systems first, the newest first.

    A run without another one is left out. The baseline of the newest run comes first.
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
    for names in ((second.title, first.title), (second.system, first.system)):
        if names[0] != names[1]:
            return names
    return (
        f"{second.title} {second.happened_at:%m-%d %H:%M:%S}",
        f"{first.title} {first.happened_at:%m-%d %H:%M:%S}",
    )


def _label(run: Run) -> str:
    first = run.measures[0]
    name = f"{run.name} · " if run.name else ""
    when = f"{run.happened_at:%Y-%m-%d %H:%M}"
    return f"{name}{run.system} · {run.judgments} · {when} · {first.measure} {first.mean:.3f}"


def draw_history(runs: Sequence[Run]) -> None:
    """Draw the reports on the judgments that the visitor chose."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.judgments_digest, []).append(run)
    repeated = [digest for digest, group in groups.items() if len(group) > 1]
    if not repeated:
        ui.message(
            "No history yet",
            "Measure again on the same judgments after a change: the chart starts with two reports.",
        )
        return
    names = {
        digest: f"{groups[digest][0].judgments} · {len(groups[digest]):,} reports" for digest in repeated
    }
    group = groups[ui.select("Judgments", names, "history_of")]
    measures = list(dict.fromkeys(result.measure for run in group for result in run.measures))
    measure = st.selectbox("Measure", measures, key="history_by", width=200)
    st.altair_chart(_history_chart(group, measure), width="stretch")
    st.dataframe(_history_table(group), hide_index=True, width="stretch")


def _history_chart(runs: Sequence[Run], measure: str) -> Any:
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
