"""The Side by side page: one query, two ways of answering it in two columns, the differences marked.

The address holds everything: the query in the search page's grammar, and `left` and `right` in the grammar of
`imgsearch.search.side_by_side`. Nothing is recorded here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from html import escape
from typing import Any, Literal
from urllib.parse import parse_qs

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import thumbnail_url
from imgsearch.index.heads import list_heads
from imgsearch.search.side_by_side import (
    PERSISTENCE,
    Answer,
    Mark,
    Side,
    SideBySide,
    describe,
    parse_side,
    search_both,
    side_of,
    title_of,
)
from imgsearch.search.systems import LIVE
from imgsearch.ui.components.adjust_panel import VARIETY, adjustments, as_usual, draw_settings
from imgsearch.ui.components.gallery import draw_gallery, item_tiles, pass_on, sent_by
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.components.query_bar import draw_query_bar
from imgsearch.ui.markup import asset, script
from imgsearch.ui.state.actions import (
    NOTHING,
    BarEvent,
    GalleryEvent,
    PageState,
    apply_bar_event,
    apply_event,
    merged,
    to_address,
    to_params,
    to_query,
)
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import Session, address_query, current_session

__all__ = ["compare_with_usual", "draw", "page"]

SAMPLE = 12
DEPTHS = (12, 24, 48)
KEY = "side_by_side"
COMPARED = f"{KEY}:compared"
SidePlace = Literal["left", "right"]

_component = st.components.v2.component(
    "imgsearch_side_by_side",
    css=asset("side_by_side.css"),
    js=script("events.js", "side_by_side.js"),
)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the page shows: one query, answered in two ways."""

    query: Query
    left: Side
    right: Side

    def with_change(self, drawn: _Compared, wanted: _Compared) -> _Compared:
        """Return this with what `wanted` changes of what a widget was drawn for (see `actions.merged`)."""
        return _Compared(
            merged(self.query, drawn.query, wanted.query),
            _merged_side(self.left, drawn.left, wanted.left),
            _merged_side(self.right, drawn.right, wanted.right),
        )


def _merged_side(latest: Side, drawn: Side, wanted: Side) -> Side:
    changed = {each.name: getattr(wanted, each.name) for each in fields(Side)}
    return replace(
        latest, **{name: value for name, value in changed.items() if value != getattr(drawn, name)}
    )


def page() -> Any:
    """Return this page, for the navigation and for switching to it."""
    return st.Page(draw, title="Side by side", icon=":material/compare:", url_path="side-by-side")


def compare_with_usual(query: Query) -> None:
    """Go to this page with the hits of a query on the right and those without its settings on the left."""
    usual = as_usual(query)
    sides = {"left": str(Side()), "right": str(side_of(LIVE, query, usual))}
    st.switch_page(page(), query_params={**to_params(usual), **sides})


def draw() -> None:
    """Draw the page for what the address bar says."""
    service, session = get_service(), current_session()
    st.html(
        '<header class="page-head"><h1>Side by side</h1><p class="quiet">One search, answered in two ways: what is '
        "alike, what moves, what only one side finds.</p></header>"
    )
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    bar, body = st.container(), st.container()
    problem = None
    try:
        left, right = _sides(service)
        _write_address(session, left, right)
        query = address_query(service)
        st.session_state[COMPARED] = _Compared(query, left, right)
    except ImgSearchError as error:
        query, left, right, problem = NOTHING, Side(), Side(), error
    with bar:
        _draw_bar(service, session, query)
    with body:
        try:
            if problem is not None:
                raise problem
            _draw_controls(service, _Compared(query, left, right))
            if query.terms:
                _draw_answers(service, session, query, left, right)
            else:
                _draw_sample(service, session)
        except ImgSearchError as error:
            draw_message("That did not work", str(error), action="Start again", on_click=_start_again)


# --- the address bar ----------------------------------------------------------------------------------------------


def _sides(service: SearchService) -> tuple[Side, Side]:
    """Return the sides that the address names; by default the live system beside another, or beside more variety."""
    others = [system.name for system in service.systems.all() if system.name != LIVE]
    usual = {"left": str(Side()), "right": others[0] if others else str(Side(diversity=VARIETY))}
    left, right = (parse_side(st.query_params.get(place, usual[place])) for place in ("left", "right"))
    return left, right


def _write_address(session: Session, left: Side, right: Side) -> None:
    """Write the query that was asked for since the last run to the address bar, beside the sides."""
    wanted = session.wanted
    if wanted is None:
        return
    _go(wanted, left, right)  # where Streamlit gives this run up, the wish stays for the next one
    session.granted(wanted)


def _go(query: Query, left: Side, right: Side) -> None:
    st.query_params.from_dict({**to_params(query), "left": str(left), "right": str(right)})


@in_full
def _start_again() -> None:
    st.query_params.clear()


# --- what is done on the page ---------------------------------------------------------------------------------------


def _handle_tile(service: SearchService, session: Session, raw: Any) -> None:
    """Ask both sides for the look-alikes of a photo; see the search page on why this calls nothing of Streamlit's."""
    event = GalleryEvent.parse(raw)
    with session.lock:
        if not session.takes(event):
            return
        try:
            query = to_query(parse_qs(event.address), max_n=service.settings.max_results)
            state = apply_event(PageState(query, handled=session.handled), event).state
        except ImgSearchError as error:
            session.fail(event.id, error)
            return
        session.handled = state.handled
        session.ask(event.id, replace(state.query, n=query.n))


def _handle_bar(service: SearchService, session: Session, query: Query, raw: Any) -> None:
    event = BarEvent.parse(raw)
    with session.lock:
        if not session.takes(event):
            return
        try:
            before = PageState(query, handled=session.handled)
            state = apply_bar_event(before, event, keep_upload=service.engine.uploads.add)
        except ImgSearchError as error:
            session.fail(event.id, error)
            return
        session.handled = state.handled
        session.ask(event.id, replace(state.query, n=query.n))


# --- the parts of the page ------------------------------------------------------------------------------------------


def _draw_bar(service: SearchService, session: Session, query: Query) -> None:
    problem, session.problem = session.problem, ""
    draw_query_bar(
        query,
        handled=session.handled,
        find_item=service.catalog.get,
        trail=(),
        can_undo=False,
        note=problem,
        note_is_error=bool(problem),
        placeholder="Describe it, or add a photo",
        has_filters=False,
        visitor=session.visitor,
        max_upload_bytes=service.settings.max_upload_bytes,
        on_event=partial(_handle_bar, service, session, query),
    )


def _change(drawn: _Compared, wanted: _Compared) -> None:
    """Write what a widget changes to the address bar; what has changed since it was drawn stays."""
    latest: _Compared = st.session_state.get(COMPARED, drawn)
    latest = st.session_state[COMPARED] = latest.with_change(drawn, wanted)
    _go(latest.query, latest.left, latest.right)


def _draw_controls(service: SearchService, drawn: _Compared) -> None:
    """Draw what answers on either side, with the settings that it has of its own."""
    query, left, right = drawn.query, drawn.left, drawn.right
    systems = [system.name for system in service.systems.all()]
    heads = ["head:base", *(f"head:{head.id}" for head in list_heads(service.catalog)[::-1])]
    columns = st.columns(2, gap="medium")
    for column, place, side in zip(columns, ("left", "right"), (left, right), strict=True):

        def change(changed: Side, place: str = place) -> None:
            _change(drawn, replace(drawn, left=changed) if place == "left" else replace(drawn, right=changed))

        options = list(dict.fromkeys([*systems, *heads, side.system]))
        with column, st.container(horizontal=True, vertical_alignment="bottom"):
            _draw_system(place.capitalize(), f"{KEY}:{place}", options, side, change)
            _draw_settings(f"{KEY}:{place}", query, side, change)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.button(
            "Swap sides",
            icon=":material/swap_horiz:",
            type="tertiary",
            on_click=in_full(_change),
            args=(drawn, _Compared(query, right, left)),
        )
        if query.terms:
            _draw_depth(drawn)


def _draw_system(
    label: str, key: str, options: list[str], side: Side, on_side: Callable[[Side], None]
) -> None:
    st.session_state[key] = side.system

    @in_full
    def changed() -> None:
        on_side(replace(side, system=st.session_state[key]))

    st.selectbox(
        label,
        options,
        key=key,
        format_func=lambda name: title_of(Side(name)),
        on_change=changed,
    )


def _draw_settings(key: str, query: Query, side: Side, on_side: Callable[[Side], None]) -> None:
    applied = side.applied(query)

    def changed(wanted: Query) -> None:
        on_side(side_of(side.system, wanted, query))

    count = adjustments(applied)
    with st.popover(
        f"Settings ({count})" if count else "Settings", icon=":material/tune:", key=f"{key}:open"
    ):
        draw_settings(applied, changed, key=key)
        if count:
            st.button(
                "As usual",
                key=f"{key}:usual",
                icon=":material/undo:",
                width="stretch",
                on_click=in_full(changed),
                args=(as_usual(applied),),
            )


def _draw_depth(drawn: _Compared) -> None:
    key, query = f"{KEY}:depth", drawn.query
    st.session_state[key] = query.n

    @in_full
    def changed() -> None:
        _change(drawn, replace(drawn, query=replace(query, n=st.session_state[key])))

    st.segmented_control(
        "Photos on each side",
        sorted({*DEPTHS, query.n}),
        key=key,
        required=True,
        label_visibility="collapsed",
        format_func=lambda n: f"Top {n}",
        on_change=changed,
    )


def _draw_sample(service: SearchService, session: Session) -> None:
    items = service.sample(SAMPLE, seed=session.seed)
    st.html('<p class="count">Click a photo, or describe what you look for: both sides answer.</p>')
    draw_gallery(
        item_tiles(items),
        key="side_by_side_sample",
        list_id=f"side by side {session.seed}",
        address=to_address(NOTHING),
        handled=session.handled,
        label=f"{len(items)} photos of the catalog",
        actions=(),
        on_event=partial(_handle_tile, service, session),
    )


def _draw_answers(service: SearchService, session: Session, query: Query, left: Side, right: Side) -> None:
    with st.spinner("Asking both sides …"):
        found = _answers(service, query, left, right)
    st.html(_agreement(found))
    for note in dict.fromkeys((*found.left.result.notes, *found.right.result.notes)):
        st.html(f'<p class="note" role="status">{escape(note)}</p>')
    _component(
        key=KEY,
        data={
            "sides": [
                _column(service, "left", found.left, found.marks("left")),
                _column(service, "right", found.right, found.marks("right")),
            ],
            "address": to_address(query),
            "handled": list(session.handled),
        },
        on_events_change=lambda: pass_on(sent_by(KEY), partial(_handle_tile, service, session)),
    )


def _answers(service: SearchService, query: Query, left: Side, right: Side) -> SideBySide:
    """Return both answers, those of the last run where nothing has changed since."""
    state = (
        service.catalog.version,
        service.rules.version,
        service.engine.index.space.id,
        service.engine.index.generation,
    )
    wanted = (query, left, right, state)
    kept = st.session_state.get(f"{KEY}:answers")
    if kept is None or kept[0] != wanted:
        kept = wanted, search_both(service.systems, query, left, right)
        st.session_state[f"{KEY}:answers"] = kept
    found: SideBySide = kept[1]
    return found


def _agreement(found: SideBySide) -> str:
    """Return in words and figures how far the sides agree."""
    faster = _faster(found.left.median_ms, found.right.median_ms)
    figures = (
        (
            "On both sides",
            f"{found.overlap:.0%}",
            found.overlap,
            f"overlap@{found.depth}: {found.shared:,} photos on both sides, by the length of the longer list",
        ),
        (
            "Same order",
            f"{found.rbo:.2f}",
            found.rbo,
            f"Rank-biased overlap (p = {PERSISTENCE:g}): 1 for the same photos in the same order; the first places "
            "count most (Webber, Moffat and Zobel, 2010)",
        ),
        (
            faster,
            f"{_number(found.left.median_ms)} · {_number(found.right.median_ms)} ms",
            None,
            f"Left · right, each the median of {found.left.rounds} searches in turn, the query encoded before",
        ),
    )
    cells = "".join(
        f'<div title="{escape(text, quote=True)}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd>'
        + (
            ""
            if share is None
            else f'<div class="meter" aria-hidden="true"><i style="width:{share:.0%}"></i></div>'
        )
        + "</div>"
        for name, value, share, text in figures
    )
    return (
        f"<style>{STYLE}</style>"
        f'<section class="agreement" aria-label="How far the sides agree"><p role="status">'
        f"{escape(found.sentence())}</p><dl>{cells}</dl></section>"
    )


def _faster(left_ms: float, right_ms: float) -> str:
    """Say which side is faster, where the difference is more than the noise of a busy machine."""
    if max(left_ms, right_ms) < 1.25 * min(left_ms, right_ms):
        return "About as fast"
    return f"{'Left' if left_ms < right_ms else 'Right'} is faster"


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _column(service: SearchService, place: SidePlace, answer: Answer, marks: list[Mark]) -> dict[str, Any]:
    return {
        "place": place,
        "title": title_of(answer.side),
        "detail": describe(answer.side, service.systems),
        "tiles": [
            {
                "id": hit.item_id,
                "title": hit.title,
                "thumb": thumbnail_url(hit, 384),
                "rank": mark.rank,
                "mark": mark.kind,
                "other": mark.other,
                "twin": mark.twin,
            }
            for hit, mark in zip(answer.result.hits, marks, strict=True)
        ],
    }


STYLE = """
.agreement { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 0.6rem 2rem;
    align-items: center; padding: 0.9rem 1.2rem; border-radius: 14px;
    background: color-mix(in srgb, currentColor 5%, transparent); }
.agreement p { margin: 0; font-size: clamp(1.02rem, 1.7vw, 1.18rem); line-height: 1.4; font-weight: 550;
    text-wrap: balance; }
.agreement dl { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.4rem 1.2rem;
    margin: 0; padding: 0; }
.agreement dl > div { cursor: help; }
.agreement dt { font-size: 0.82rem; opacity: 0.78; font-weight: 400; }
.agreement dd { margin: 0; font-size: 1.05rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.agreement .meter { margin: 0.3rem 0 0; }
@media (max-width: 768px) { .agreement { grid-template-columns: minmax(0, 1fr); padding: 0.8rem 0.9rem; }
    .agreement dl { gap: 0.4rem 0.8rem; } .agreement dd { font-size: 0.95rem; } }
"""
