"""Measured quality over time: the reports on the same judgments as a chart and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair
import pandas as pd
import streamlit as st

from imgsearch.improve.quality.reports import Run
from imgsearch.ui.components.messages import draw_message

__all__ = ["draw_history"]

SYSTEM_COLOURS = ["#1a9c8a", "#d28a1c", "#5b7fd1", "#c0568a", "#7d8b3a", "#8a6fd0"]


def draw_history(runs: Sequence[Run]) -> None:
    """Draw the reports on the judgments that the visitor chose."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.judgments_digest, []).append(run)
    repeated = [digest for digest, group in groups.items() if len(group) > 1]
    if not repeated:
        draw_message(
            "No history yet",
            "Measure again on the same judgments after a change: the chart starts with two reports.",
        )
        return
    digest = st.selectbox(
        "Judgments",
        repeated,
        format_func=lambda digest: f"{groups[digest][0].judgments} · {len(groups[digest]):,} reports",
        key="history_of",
    )
    group = groups[digest]
    measures = list(dict.fromkeys(result.measure for run in group for result in run.measures))
    measure = st.selectbox("Measure", measures, key="history_by", width=200)
    st.altair_chart(_chart(group, measure), width="stretch")
    st.dataframe(_table(group), hide_index=True, width="stretch")


def _chart(runs: Sequence[Run], measure: str) -> Any:
    """Return the means over time with their confidence intervals, a colour for each system."""
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


def _table(runs: Sequence[Run]) -> pd.DataFrame:
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
