"""The Monitor page: usage, latency, failures and drift. Times are UTC; the figures refresh every minute."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_from_params, thumbnail_url, upload_url
from imgsearch.core.records import Item
from imgsearch.improve.monitoring.drift import Drift
from imgsearch.improve.monitoring.monitor import Health, findings
from imgsearch.improve.monitoring.overview import Moment, Overview, Period
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.charts import columns, sparkline, spreads
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.markup import draw_html, draw_style, render

REFRESH_EVERY_S = 60
PERIOD_NAMES = {"1h": "Hour", "24h": "Day", "7d": "Week", "30d": "30 days", "90d": "90 days", "1y": "Year"}
STAGE_NAMES = {
    "encode": "Encode text and photos",
    "filter": "Filters",
    "search": "Nearest photos",
    "fetch": "Item data",
    "total": "Whole search",
}
QUERY_KINDS = {"words": "Text", "photo": "Visitors' photos", "item": "Catalog photos"}
DRIFT_STATES = {"stable": "unchanged since the first week", "moved": "changed a little", "drifted": "drifted"}
THUMB_PX = 96
FORGET_ID = "forget_id"
_VISITOR = re.compile(r"[0-9a-f]{32}")

FindItem = Callable[[str], Item]


def draw() -> None:
    """Draw the page for the period that the address names."""
    service = get_service()
    draw_style("monitor.css")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        ui.heading("Monitor")
        options: dict[str, Any] = {"label_visibility": "collapsed", "bind": "query-params"}
        chosen = ui.choice("Period", PERIOD_NAMES, "period", default="24h", **options)
    st.fragment(_draw_figures, run_every=REFRESH_EVERY_S)(service, chosen)
    _draw_visitor_data(service)


def _draw_figures(service: SearchService, chosen: str) -> None:
    found, health, drifts = (
        service.monitor.overview(Period.last(chosen)),
        service.monitor.health(),
        service.monitor.drifts(),
    )
    draw_html(
        "monitor_status", findings=findings(found, health, drifts), found=found, ms=_ms, **_vitals(found)
    )
    if found.searches == 0 and found.failed == 0:
        ui.line(
            "No searches in this period. Each search of the app and of the API appears here a second later.",
            "quiet-line",
        )
    else:
        draw_html("monitor_searches", found=found, ms=_ms, **_searches(found, service.catalog.get))
    draw_html("monitor_drift", drifts=[_drift(drift) for drift in drifts if drift.state != "waiting"])
    ui.facts(_process(health), "This process")


def _vitals(found: Overview) -> dict[str, Any]:
    """Return what the figures at the top show: the change of searches, the latency, and small charts."""
    moments = found.moments
    series: dict[str, Sequence[float | None]] = {
        "searches": [moment.searches for moment in moments],
        "unclicked": [moment.unclicked / moment.searches if moment.searches else None for moment in moments],
        "latency": [moment.p95_ms for moment in moments],
        "failures": [moment.failed + moment.empty for moment in moments],
    }
    return {
        "change": _change(found.searches, found.searches_before),
        "total": next((stage for stage in found.stages if stage.stage == "total"), None),
        "charts": {name: sparkline(values, f"{name} over the period") for name, values in series.items()},
    }


def _searches(found: Overview, find_item: FindItem) -> dict[str, Any]:
    moments, period = found.moments, found.period
    parts = [(float(moment.searches - moment.unclicked), float(moment.unclicked)) for moment in moments]
    times = (moments[0].at, moments[len(moments) // 2].at, period.end)
    return {
        "chart": columns(parts, [_moment_title(moment) for moment in moments], "Searches over time"),
        "peak": max(moment.searches for moment in moments),
        "step": _step(period),
        "axis": [_time(at, period) for at in times],
        "link": lambda query_key: query_link(query_key, find_item),
        "stage_names": STAGE_NAMES,
        "longest_ms": max((stage.p95_ms for stage in found.stages), default=0.0) or 1.0,
    }


def _moment_title(moment: Moment) -> str:
    within = "" if moment.p95_ms is None else f", 95% within {_ms(moment.p95_ms)}"
    return f"{moment.at:%d %b %H:%M} UTC: {moment.searches:,} searches, {moment.unclicked:,} without a click{within}"


def query_link(query_key: str, find_item: FindItem) -> str:
    """Return a query as a link to its search with its photo; one that cannot be read is shown as text."""
    try:
        query = query_from_params(parse_qs(query_key))
        label, thumb = query_label(query, find_item), _thumb(query, find_item)
    except ImgSearchError:  # a client of the API wrote its own query key
        return render("query_link", text=query_key[:120], key="", thumb="")
    return render("query_link", text=label, key=query_key, thumb=thumb)


def _thumb(query: Query, find_item: FindItem) -> str:
    for term in query.terms:
        if term.kind == "upload":
            return upload_url(str(term.value), THUMB_PX)
        if term.kind == "item":
            try:
                return thumbnail_url(find_item(str(term.value)), THUMB_PX)
            except ImgSearchError:  # removed since
                return ""
    return ""


def _drift(drift: Drift) -> dict[str, Any]:
    name = QUERY_KINDS.get(drift.kind, drift.kind)
    chart = spreads(drift.spread_then, drift.spread_now, f"{name}: cosine of the first result, then and now")
    return {"title": f"{name}: {DRIFT_STATES[drift.state]}", "drift": drift, "chart": chart}


def _process(health: Health) -> dict[str, str]:
    feedback, age = health.feedback, health.index_age_s
    return {
        "Photos": f"{health.items:,}",
        "Index": f"generation {health.generation}" + ("" if age is None else f", built {_duration(age)} ago"),
        "Model": health.encoder_reason if health.encoder_status == "failed" else health.encoder_status,
        "In progress": f"{health.searches_under_way:,} searches, {health.encode_queue:,} with words or pictures",
        "Feedback rows": f"{feedback.written:,} written, {feedback.queued:,} waiting, {feedback.lost:,} lost",
        "Visitors' photos": f"{health.uploads:,} stored",
        "Events are kept": "without limit" if health.keep_days == 0 else f"for {health.keep_days:,} days",
    }


def _draw_visitor_data(service: SearchService) -> None:
    """Draw how a visitor's rows are deleted: by the random ID only, which others cannot guess."""
    with st.expander("Delete a visitor's data", icon=":material/delete:"):
        ui.line(
            "Deletes the searches, clicks and verdicts of one visitor, and the photos that only they uploaded. "
            "The ID is the value of their cookie imgsearch_visitor. For IDs that your website sends, use the command "
            "imgsearch events forget-visitor.",
            "quiet-line",
        )
        visitor = st.text_input(
            "Visitor ID", key=FORGET_ID, max_chars=200, placeholder="32 letters and digits"
        )
        visitor = visitor.strip().lower()
        ui.outcome("forget")
        if visitor and not _VISITOR.fullmatch(visitor):
            text = "This is not a visitor ID: an ID has 32 characters, 0 to 9 and a to f."
            ui.line(text, "quiet-line", role="alert")
        elif visitor:
            _draw_rows(service, visitor)
        if service.monitor.health().erasing:
            ui.line(
                "Deleted rows no longer appear on any page. The file shrinks when the app stops.",
                "quiet-line",
            )


def _draw_rows(service: SearchService, visitor: str) -> None:
    rows = service.monitor.rows_of_visitor(visitor)
    listed = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in rows.items())
    ui.line(listed or "This visitor has no rows.", "quiet-line")
    if rows:
        ui.act(
            f"Delete {sum(rows.values()):,} rows",
            "forget_button",
            _forget,
            service,
            visitor,
            type="primary",
            place="forget",
        )


def _forget(service: SearchService, visitor: str) -> None:
    if st.session_state[FORGET_ID].strip().lower() != visitor:
        return  # another ID was typed meanwhile: its rows must be seen before they are deleted
    forgotten = service.monitor.forget_visitor(visitor)
    st.session_state[FORGET_ID] = ""
    st.toast(f"Deleted {forgotten.total:,} rows and {len(forgotten.uploads):,} photos.")


def _change(now: int, before: int) -> str:
    if before == 0:
        return "none in the previous period" if now else ""
    if now > 3 * before:
        return f"{before:,} in the previous period"
    change = now / before - 1
    return f"{abs(change):.0%} {'more' if change >= 0 else 'fewer'} than in the previous period"


def _ms(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def _time(at: datetime, period: Period) -> str:
    hours = (period.end - period.start).total_seconds() / 3600
    return f"{at:%H:%M}" if hours <= 1 else f"{at:%d %b %H:%M}" if hours <= 7 * 24 else f"{at:%d %b}"


def _step(period: Period) -> str:
    minutes = round(period.step.total_seconds() / 60)
    if minutes < 60:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    hours = minutes // 60
    return "a week" if hours == 168 else f"{hours} hours"


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"
