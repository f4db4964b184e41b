"""The outcome of an experiment: key figures, the difference over time, and every measure by arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair
import pandas as pd
import streamlit as st

from imgsearch.improve.experiments.measures import MEASURES, Measure
from imgsearch.improve.experiments.recommendation import MISMATCH_P
from imgsearch.improve.experiments.records import Contrast, Outcome, Point
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import draw_html, plain

COLOURS = ("#0f9b88", "#c2711b", "#7a68d8", "#c04a70", "#5f8a2b")
"""One for each arm but the control, readable on light and dark backgrounds."""
UNITS = {"share": " (percentage points)", "seconds": " (seconds)"}


def draw_results(outcome: Outcome) -> None:
    """Draw what the visitors of an experiment did."""
    _draw_figures(outcome)
    _draw_chart(outcome)
    _draw_arms(outcome)


def _draw_figures(outcome: Outcome) -> None:
    goal = outcome.goal
    detectable = "–" if outcome.detectable is None else goal.format(outcome.detectable, change=True)
    effect = outcome.experiment.min_effect * 100
    searches = [arm.searches for arm in outcome.arms]
    total = searches[0] if outcome.experiment.mode == "interleave" else sum(searches)
    ui.metrics(
        ("Visitors", f"{outcome.visitors:,}"),
        ("Searches", f"{total:,}"),
        ("Detectable change", detectable),
        ("Visitors needed", f"{outcome.needed:,}" if outcome.needed else "–"),
        help=(
            f"The smallest true change of {plain(goal.title)} that these visitors show with 80% probability.",
            f"In total, to see a change of {effect:g}% with 80% probability.",
        ),
    )


def _draw_chart(outcome: Outcome) -> None:
    goal = outcome.goal
    scale = 100.0 if goal.unit == "share" else 1.0
    series = {arm: [point for point in points if point.enough] for arm, points in outcome.series.items()}
    rows = [
        {
            "when": point.moment,
            "visitors": point.visitors,
            "difference": point.difference * scale,
            "low": point.low * scale,
            "high": point.high * scale,
            "arm": arm,
        }
        for arm, points in series.items()
        for point in points
    ]
    if not rows:
        return
    ui.section(f"{goal.title} compared with {outcome.arms[0].system}{UNITS.get(goal.unit, '')}")
    st.altair_chart(_chart(rows, list(series.values()), scale), width="stretch")
    ui.line(
        "The band is the always-valid 95% confidence interval of the difference at that time. Once it leaves the "
        "dashed line, the arms differ, however often you looked.",
        "note-line",
    )


def _chart(rows: list[dict[str, Any]], series: Sequence[Sequence[Point]], scale: float) -> Any:
    colour = altair.Color(
        "arm:N",
        title=None,
        scale=altair.Scale(range=list(COLOURS)),
        legend=None if len(series) == 1 else altair.Legend(orient="top"),
    )
    # The first intervals are wide: with them, the others would be squeezed into a line.
    reach = 1.3 * max(
        abs(edge)
        for points in series
        for point in points[len(points) // 4 :]
        for edge in (point.low, point.high)
    )
    y = altair.Scale(domain=[-reach * scale, reach * scale], clamp=True)
    base = altair.Chart(pd.DataFrame(rows)).encode(x=altair.X("when:T", title=None))
    band = base.mark_area(opacity=0.22, clip=True).encode(
        y=altair.Y("low:Q", title=None, scale=y), y2="high:Q", color=colour
    )
    line = base.mark_line(strokeWidth=2.5, clip=True).encode(
        y=altair.Y("difference:Q", title=None, scale=y),
        color=colour,
        tooltip=[
            altair.Tooltip("when:T", title="until", format="%d %b %H:%M"),
            altair.Tooltip("visitors:Q", format=",.0f"),
            altair.Tooltip("difference:Q", format="+.2f"),
            altair.Tooltip("low:Q", title="at least", format="+.2f"),
            altair.Tooltip("high:Q", title="at most", format="+.2f"),
        ],
    )
    zero = altair.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(strokeDash=[4, 4], opacity=0.6).encode(y="y:Q")
    return (band + line + zero).properties(height=260)


def _draw_arms(outcome: Outcome) -> None:
    """Draw the measures as a table, a column for each arm, with the differences from the control."""
    others = [measure for measure in MEASURES.values() if measure.name != outcome.goal.name]
    measures = [
        measure
        for measure in (outcome.goal, *others)
        if any(measure.name in arm.values for arm in outcome.arms)
    ]
    contrasts = {(each.measure, each.system): each for each in outcome.contrasts}
    draw_html("arms", outcome=outcome, measures=measures, contrasts=contrasts, tone=_tone, p=_p)
    ui.line(_test_in_words(outcome), "note-line")


def _tone(measure: Measure, contrast: Contrast | None) -> str:
    """Return whether an arm is `better` or `worse` than the control, or "" where that is open."""
    sign = 0 if contrast is None else (contrast.low > 0) - (contrast.high < 0)
    return "" if not (sign and measure.better) else "better" if sign == measure.better else "worse"


def _test_in_words(outcome: Outcome) -> str:
    """Return the result of the sample-ratio test of a split, or of the sign test of an interleaving."""
    if outcome.sample_ratio_p is not None:
        test = f"(chi-square test, {_p(outcome.sample_ratio_p)})"
        if outcome.sample_ratio_p >= MISMATCH_P:
            return f"The visitors per arm match the planned shares {test}."
        return (
            f"The visitors per arm do not match the planned shares {test}: check whether an arm loses visitors or "
            "their events."
        )
    if outcome.sign_p is not None:
        return (
            f"{outcome.wins:,} visitors clicked more results of {outcome.arms[1].system}, {outcome.losses:,} fewer "
            f"(always-valid sign test, {_p(outcome.sign_p)})."
        )
    return ""


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
