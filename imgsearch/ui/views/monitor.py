"""The Monitor page: usage, latency, failures and drift. Times are UTC; the figures refresh every minute."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from urllib.parse import parse_qs

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_from_params, thumbnail_url, upload_url
from imgsearch.core.records import Item
from imgsearch.improve.monitoring.drift import Drift
from imgsearch.improve.monitoring.findings import Finding, findings
from imgsearch.improve.monitoring.health import Health
from imgsearch.improve.monitoring.overview import (
    PERIODS,
    Moment,
    Overview,
    Period,
    QueryFigures,
    StageLatency,
)
from imgsearch.ui.components.charts import columns, sparkline, spreads
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.markup import asset
from imgsearch.ui.state.callbacks import in_full

__all__ = ["draw"]

REFRESH_EVERY_S = 60
NAMES = {
    "1h": "Hour",
    "24h": "Day",
    "7d": "Week",
    "30d": "30 days",
    "90d": "90 days",
    "1y": "Year",
}
STAGE_WORDS = {
    "encode": "Words and photos to numbers",
    "filter": "Filters",
    "search": "Nearest photos",
    "fetch": "Their rows",
    "total": "Whole search",
}
KIND_WORDS = {"words": "Words", "photo": "Visitors' photos", "item": "Photos of the catalog"}
THUMB_PX = 96
_VISITOR = re.compile(r"[0-9a-f]{32}")

FindItem = Callable[[str], Item]


def draw() -> None:
    """Draw the page for the period that the address bar says."""
    service = get_service()
    st.html(f"<style>{asset('monitor.css')}</style>")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html('<header class="page-head"><h1>Monitor</h1></header>')
        chosen = st.segmented_control(
            "Period",
            list(PERIODS),
            default="24h",
            format_func=lambda name: NAMES[name],
            key="period",
            label_visibility="collapsed",
            required=True,
            bind="query-params",
        )
    st.fragment(_draw_figures, run_every=REFRESH_EVERY_S)(service, chosen or "24h")
    _draw_visitor_data(service)


def _draw_figures(service: SearchService, chosen: str) -> None:
    found, health, drifts = service.overview(Period.last(chosen)), service.health(), service.drifts()
    st.html(_findings(findings(found, health, drifts)))
    st.html(_vitals(found))
    if found.searches == 0 and found.failed == 0:
        st.html(
            '<p class="quiet-line">Nobody searched in this period. Every search of the app and of the API shows up '
            "here a second later.</p>"
        )
    else:
        st.html(_timeline(found))
        left, right = st.columns(2, gap="large")
        with left:
            st.html(_top(found.top, service.item))
        with right:
            st.html(_failing(found.failing, service.item))
        left, right = st.columns(2, gap="large")
        with left:
            st.html(_stages(found.stages))
        with right:
            st.html(_failures(found))
    st.html(_drifts(drifts))
    st.html(_machine(health))


# --- health at a glance ---------------------------------------------------------------------------------------------


def _findings(found: Sequence[Finding]) -> str:
    lines = "".join(f'<p class="{finding.level}">{escape(finding.text)}</p>' for finding in found)
    return f'<div class="findings" role="status">{lines}</div>'


def _vitals(found: Overview) -> str:
    moments = found.moments
    rate = found.zero_click_rate
    total = next((stage for stage in found.stages if stage.stage == "total"), None)
    shares = [moment.unclicked / moment.searches if moment.searches else None for moment in moments]
    tiles = (
        (
            "Searches",
            f"{found.searches:,}",
            _change(found.searches, found.searches_before),
            [float(moment.searches) for moment in moments],
        ),
        (
            "Without a click",
            "–" if rate is None else f"{rate:.0%}",
            f"{found.clicks:,} clicks of {found.visitors:,} visitors" if found.visitors else "",
            shares,
        ),
        (
            "95% of searches within",
            "–" if total is None else _ms(total.p95_ms),
            "" if total is None else f"half within {_ms(total.p50_ms)}, 99% within {_ms(total.p99_ms)}",
            [moment.p95_ms for moment in moments],
        ),
        (
            "Failed or empty",
            f"{found.failed + found.empty:,}",
            f"{found.failed:,} failed, {found.empty:,} found nothing",
            [float(moment.failed + moment.empty) for moment in moments],
        ),
    )
    drawn = "".join(
        f'<div class="vital"><h3>{escape(name)}</h3><strong>{escape(value)}</strong><p>{escape(note)}</p>'
        f"{sparkline(values, f'{name} over the period')}</div>"
        for name, value, note, values in tiles
    )
    return f'<div class="vitals">{drawn}</div>'


def _timeline(found: Overview) -> str:
    moments = found.moments
    parts = [(float(moment.searches - moment.unclicked), float(moment.unclicked)) for moment in moments]
    chart = columns(parts, [_moment_title(moment) for moment in moments], "Searches over time")
    middle = moments[len(moments) // 2].at
    axis = "".join(f"<span>{_time(at, found.period)}</span>" for at in (moments[0].at, middle))
    return (
        f'<h2 class="panel-title">Searches over time</h2><div class="legend"><span><i></i>with a click</span>'
        f'<span><i class="light"></i>without</span><span class="quiet">most at once: '
        f"{max(moment.searches for moment in moments):,} in {_step(found.period)}</span></div>{chart}"
        f'<p class="axis">{axis}<span>{_time(found.period.end, found.period)} UTC</span></p>'
    )


def _moment_title(moment: Moment) -> str:
    within = "" if moment.p95_ms is None else f", 95% within {_ms(moment.p95_ms)}"
    return f"{moment.at:%d %b %H:%M} UTC: {moment.searches:,} searches, {moment.unclicked:,} without a click{within}"


# --- queries --------------------------------------------------------------------------------------------------------


def _top(found: Sequence[QueryFigures], find_item: FindItem) -> str:
    head = '<h2 class="panel-title">Asked most often</h2>'
    rows = "".join(
        f'<tr><td>{_query_link(figures.query_key, find_item)}</td><td class="n">{figures.searches:,}</td>'
        f'<td class="n">{figures.clicked / max(figures.searches, 1):.0%}</td>'
        f'<td class="n extra">{_score(figures.best_score)}</td></tr>'
        for figures in found
    )
    titles = '<th>Query</th><th class="n">Searches</th><th class="n">Clicked</th><th class="n extra">First hit</th>'
    return f'{head}<table class="monitor-table"><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>'


def _failing(found: Sequence[QueryFigures], find_item: FindItem) -> str:
    head = '<h2 class="panel-title">Failing</h2>'
    if not found:
        none = "None: no query went unclicked again and again, found nothing, or was judged bad."
        return f'{head}<p class="quiet-line">{none}</p>'
    rows = "".join(
        f"<tr><td>{_query_link(figures.query_key, find_item)}<small>{escape(', '.join(figures.reasons))}</small></td>"
        f'<td class="n">{figures.searches:,}</td><td class="n extra">{_score(figures.best_score)}</td></tr>'
        for figures in found
    )
    titles = '<th>Query</th><th class="n">Searches</th><th class="n extra">First hit</th>'
    return f'{head}<table class="monitor-table"><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>'


def _query_link(query_key: str, find_item: FindItem) -> str:
    """Return a query as a link to its search, with the photo that it asks for; never more than the text it is."""
    try:
        query = query_from_params(parse_qs(query_key))
        label, thumb = query_label(query, find_item), _thumb(query, find_item)
    except ImgSearchError:  # a row of a client that writes its own query names
        return escape(query_key[:120])
    picture = f'<img src="{escape(thumb, quote=True)}" alt="" loading="lazy">' if thumb else ""
    return f'<a href="/?{escape(query_key, quote=True)}" target="_self">{picture}<span>{escape(label)}</span></a>'


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


# --- stages, failures, drift, machine -------------------------------------------------------------------------------


def _stages(found: Sequence[StageLatency]) -> str:
    longest = max((stage.p95_ms for stage in found), default=0.0) or 1.0
    rows = "".join(
        f'<tr><td>{escape(STAGE_WORDS.get(stage.stage, stage.stage))}</td><td class="n">{_ms(stage.p50_ms)}</td>'
        f'<td class="n">{_ms(stage.p95_ms)}</td><td class="n">{_ms(stage.p99_ms)}</td>'
        f'<td class="bar"><i style="width:{100 * stage.p95_ms / longest:.1f}%"></i></td></tr>'
        for stage in found
    )
    numbers = "".join(f'<th class="n">{title}</th>' for title in ("Half within", "95%", "99%"))
    return (
        '<h2 class="panel-title">Where the time goes</h2><table class="monitor-table"><thead><tr><th>Stage</th>'
        f'{numbers}<th class="bar"></th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _failures(found: Overview) -> str:
    head = '<h2 class="panel-title">Failed searches</h2>'
    if not found.failures:
        return f'{head}<p class="quiet-line">None in this period.</p>'
    rows = "".join(
        f'<tr><td>{escape(code.replace("_", " "))}</td><td class="n">{amount:,}</td></tr>'
        for code, amount in found.failures.items()
    )
    return (
        f'{head}<table class="monitor-table"><thead><tr><th>Reason</th><th class="n">Searches</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _drifts(found: Sequence[Drift]) -> str:
    head = '<h2 class="panel-title">Do queries still fit the catalog?</h2>'
    known = [drift for drift in found if drift.state != "waiting"]
    if not known:
        return (
            f'{head}<p class="quiet-line">It compares how near the first hits are (cosine) in the last week and in '
            "the first week of this model, and needs 100 queries of a kind in each.</p>"
        )
    return f'{head}<div class="drifts">{"".join(_drift(drift) for drift in known)}</div>'


def _drift(drift: Drift) -> str:
    states = {"stable": "as in the first week", "moved": "moved a little", "drifted": "drifted"}
    name = KIND_WORDS.get(drift.kind, drift.kind)
    return (
        f'<div class="drift"><h3>{escape(name)}: {states[drift.state]}</h3>'
        f"<p>mean cosine to the nearest photo {drift.mean_then:.3f} then (shaded), {drift.mean_now:.3f} now (line); "
        f"stability index {drift.index:.3f}, {drift.queries_then:,} and {drift.queries_now:,} queries</p>"
        f"{spreads(drift.spread_then, drift.spread_now, f'{name}: cosine of the first hit, then and now')}"
        f'<p class="axis"><span>{drift.low:.3f}</span><span>{drift.high:.3f}</span></p></div>'
    )


def _machine(health: Health) -> str:
    feedback = health.feedback
    age = health.index_age_s
    encoder = {"ready": "ready", "loading": "loading", "failed": health.encoder_reason}[health.encoder_status]
    rows = {
        "Photos": f"{health.items:,}",
        "Index": f"generation {health.generation}" + ("" if age is None else f", built {_ago(age)} ago"),
        "Model": encoder,
        "Under way": f"{health.searches_under_way:,} searches, {health.encode_queue:,} with words or photos",
        "Feedback rows": f"{feedback.written:,} written, {feedback.queued:,} waiting, {feedback.lost:,} lost",
        "Visitors' pictures": f"{health.uploads:,} kept",
        "Events are kept": "for ever" if health.keep_days == 0 else f"for {health.keep_days:,} days",
    }
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    return f'<h2 class="panel-title">This process</h2><table class="facts">{cells}</table>'


# --- a visitor's data -----------------------------------------------------------------------------------------------


def _draw_visitor_data(service: SearchService) -> None:
    """Draw how a visitor's rows are deleted: by their random id only, which nobody else can guess."""
    with st.expander("Delete a visitor's data", icon=":material/delete:"):
        st.html(
            '<p class="quiet-line">Searches, clicks and verdicts of one visitor, and the pictures that only they '
            "sent. The id is the value of their cookie imgsearch_visitor. For names that your website gives, use "
            "imgsearch events forget-visitor.</p>"
        )
        visitor = st.text_input(
            "Visitor id", key="forget_id", max_chars=200, placeholder="32 letters and digits"
        )
        visitor = visitor.strip().lower()
        if visitor and not _VISITOR.fullmatch(visitor):
            st.html(
                '<p class="quiet-line" role="alert">That is no visitor id: 32 characters, 0 to 9 and a to f.</p>'
            )
        elif visitor:
            rows = service.rows_of_visitor(visitor)
            listed = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in rows.items())
            st.html(f'<p class="quiet-line">{escape(listed or "There are no rows of this visitor.")}</p>')
            if rows:
                st.button(
                    f"Delete {sum(rows.values()):,} rows for good",
                    key="forget_button",
                    type="primary",
                    on_click=_forget,
                    args=(service, visitor),
                )
        if service.health().erasing:
            st.html(
                '<p class="quiet-line">Deleted rows are gone from every page. Their bytes leave the file when the '
                "app stops.</p>"
            )


@in_full
def _forget(service: SearchService, visitor: str) -> None:
    if st.session_state["forget_id"].strip().lower() != visitor:
        return  # another id was typed meanwhile: its rows are to be seen before they are deleted
    try:
        forgotten = service.forget_visitor(visitor)
    except ImgSearchError as error:
        st.toast(str(error))
        return
    st.session_state["forget_id"] = ""
    st.toast(f"Deleted {forgotten.total:,} rows and {len(forgotten.uploads):,} pictures.")


# --- words ----------------------------------------------------------------------------------------------------------


def _change(now: int, before: int) -> str:
    if before == 0:
        return "none in the period before" if now else ""
    if now > 3 * before:
        return f"{before:,} in the period before"
    change = now / before - 1
    return f"{abs(change):.0%} {'more' if change >= 0 else 'fewer'} than the period before"


def _ms(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _time(at: datetime, period: Period) -> str:
    hours = (period.end - period.start).total_seconds() / 3600
    return f"{at:%H:%M}" if hours <= 1 else f"{at:%d %b %H:%M}" if hours <= 7 * 24 else f"{at:%d %b}"


def _step(period: Period) -> str:
    minutes = round(period.step.total_seconds() / 60)
    if minutes < 60:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 24 else "a week" if hours == 168 else f"{hours} hours"


def _ago(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"
