"""The Side by side page: one query with two systems or settings in two columns, the differences marked.

The address holds everything: the query in the grammar of the Search page, and `left` and `right` in the grammar of
`imgsearch.search.side_by_side`. Nothing is recorded here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import thumbnail_url
from imgsearch.index.heads import list_heads
from imgsearch.search.side_by_side import (
    PERSISTENCE,
    Mark,
    Side,
    SideAnswer,
    SideBySide,
    describe,
    parse_side,
    search_both,
    side_of,
    title_of,
)
from imgsearch.search.systems import LIVE
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.adjust_panel import VARIETY, adjustments, draw_settings, without_settings
from imgsearch.ui.components.gallery import draw_gallery, item_tiles, pass_on, sent_by
from imgsearch.ui.components.query_bar import draw_query_bar
from imgsearch.ui.markup import asset, draw_html, draw_style, script
from imgsearch.ui.state.actions import PageState, apply_bar_event, apply_event, merged
from imgsearch.ui.state.callbacks import go, in_full
from imgsearch.ui.state.events import BarEvent, GalleryEvent
from imgsearch.ui.state.links import START, LinkedQuery, read_link, to_params
from imgsearch.ui.state.session import Session, address_query, current_session

SAMPLE = 12
DEPTHS = (12, 24, 48)
KEY = "side_by_side"
COMPARED = f"{KEY}:compared"

_component = st.components.v2.component(
    "imgsearch_side_by_side", css=asset("side_by_side.css"), js=script("events.js", "side_by_side.js")
)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the page shows: one query and two sides."""

    query: Query
    left: Side
    right: Side

    def with_change(self, drawn: _Compared, changed: _Compared) -> _Compared:
        """Return this with what `changed` changes in what a widget was drawn for (see `actions.merged`)."""
        return _Compared(
            merged(self.query, drawn.query, changed.query),
            _merged_side(self.left, drawn.left, changed.left),
            _merged_side(self.right, drawn.right, changed.right),
        )

    def write(self) -> None:
        """Write this to the address bar."""
        params = {**to_params(self.query), "left": str(self.left), "right": str(self.right)}
        st.query_params.from_dict(params)


def _merged_side(latest: Side, drawn: Side, changed: Side) -> Side:
    values = {each.name: getattr(changed, each.name) for each in fields(Side)}
    return replace(latest, **{name: value for name, value in values.items() if value != getattr(drawn, name)})


def page() -> Any:
    """Return this page, for the navigation and for switching to it."""
    return st.Page(draw, title="Side by side", icon=":material/compare:", url_path="side-by-side")


def compare_with_default(query: Query) -> None:
    """Open this page with the query's settings on the right and the default settings on the left."""
    default = without_settings(query)
    sides = {"left": str(Side()), "right": str(side_of(LIVE, query, default))}
    st.switch_page(page(), query_params={**to_params(default), **sides})


def draw() -> None:
    """Draw the page for what the address bar names."""
    service, session = get_service(), current_session()
    draw_style("agreement.css")
    ui.heading(
        "Side by side", "One search in two ways: what is the same, what moves, and what only one side finds."
    )
    if ui.no_items(service):
        return
    bar, body = st.container(), st.container()
    compared, problem = _Compared(START, Side(), Side()), None
    try:
        compared = st.session_state[COMPARED] = _read_address(service, session)
    except ImgSearchError as error:
        problem = error
    with bar:
        query = compared.query
        draw_query_bar(service, session, query, on_event=partial(_handle_bar, service, session, query))
    with body:
        try:
            if problem is not None:
                raise problem
            _draw_controls(service, compared)
            if compared.query.terms:
                with st.spinner("Searching on both sides …"):
                    found = _answers(service, compared)
                _draw_comparison(service, session, LinkedQuery.of(compared.query), found)
            else:
                _draw_sample(service, session)
        except ImgSearchError as error:
            ui.message("That did not work", str(error), "Start again", go)


def _read_address(service: SearchService, session: Session) -> _Compared:
    """Return what the address names, after writing a requested query there."""
    left, right = _sides(service)
    requested = session.requested
    if requested is not None:
        _Compared(requested, left, right).write()  # an interrupted run leaves the request for the next one
        session.written(requested)
    return _Compared(address_query(service), left, right)


def _sides(service: SearchService) -> tuple[Side, Side]:
    """Return the sides in the address; by default the live system and another one, or and more variety."""
    others = [system.name for system in service.systems.all() if system.name != LIVE]
    default = {"left": str(Side()), "right": others[0] if others else str(Side(diversity=VARIETY))}
    left, right = (parse_side(st.query_params.get(place, default[place])) for place in ("left", "right"))
    return left, right


def _handle_tile(service: SearchService, session: Session, raw: Any) -> None:
    """Request the items similar to a photo; calls nothing of Streamlit (see `state.handlers`)."""

    def act(event: GalleryEvent) -> None:
        query = read_link(event.address, max_n=service.settings.max_results)
        state = apply_event(PageState(query, handled=session.handled), event).state
        session.handled = state.handled
        session.request(replace(state.query, n=query.n), event.id)

    session.handle(GalleryEvent.parse(raw), act)


def _handle_bar(service: SearchService, session: Session, query: Query, raw: Any) -> None:
    def act(event: BarEvent) -> None:
        before = PageState(query, handled=session.handled)
        state = apply_bar_event(before, event, keep_upload=service.engine.uploads.add)
        session.handled = state.handled
        session.request(replace(state.query, n=query.n), event.id)

    session.handle(BarEvent.parse(raw), act)


def _change(drawn: _Compared, changed: _Compared) -> None:
    """Write what a widget changes to the address bar; later changes by others stay."""
    latest: _Compared = st.session_state.get(COMPARED, drawn)
    latest = st.session_state[COMPARED] = latest.with_change(drawn, changed)
    latest.write()


def _draw_controls(service: SearchService, drawn: _Compared) -> None:
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
        ui.button(
            "Swap sides",
            "swap_sides",
            in_full(_change),
            drawn,
            _Compared(query, right, left),
            icon="swap_horiz",
            type="tertiary",
        )
        if query.terms:
            _draw_depth(drawn)


def _draw_system(
    label: str, key: str, options: list[str], side: Side, on_side: Callable[[Side], None]
) -> None:
    def change(system: str) -> None:
        on_side(replace(side, system=system))

    name_of = {name: title_of(Side(name)) for name in options}.__getitem__
    ui.widget(st.selectbox, label, side.system, change, options, key=key, format_func=name_of)


def _draw_settings(key: str, query: Query, side: Side, on_side: Callable[[Side], None]) -> None:
    applied = side.applied(query)

    def changed(new: Query) -> None:
        on_side(side_of(side.system, new, query))

    count = adjustments(applied)
    label = f"Settings ({count})" if count else "Settings"
    with st.popover(label, icon=":material/tune:", key=f"{key}:open"):
        draw_settings(applied, changed, key=key)
        if count:
            ui.button(
                "Reset",
                f"{key}:reset",
                in_full(changed),
                without_settings(applied),
                icon="undo",
                width="stretch",
            )


def _draw_depth(drawn: _Compared) -> None:
    ui.widget(
        st.segmented_control,
        "Photos on each side",
        drawn.query.n,
        lambda n: _change(drawn, replace(drawn, query=replace(drawn.query, n=n))),
        sorted({*DEPTHS, drawn.query.n}),
        key=f"{KEY}:depth",
        required=True,
        label_visibility="collapsed",
        format_func="Top {}".format,
    )


def _draw_sample(service: SearchService, session: Session) -> None:
    items = service.sample(SAMPLE, seed=session.seed)
    ui.line("Click a photo, or describe what you are looking for, to compare both sides.", "count")
    draw_gallery(
        item_tiles(items),
        key="side_by_side_sample",
        list_id=f"side by side {session.seed}",
        address=LinkedQuery.of(START).full_link,
        handled=session.handled,
        label=f"{len(items)} photos of the catalog",
        on_event=partial(_handle_tile, service, session),
    )


def _answers(service: SearchService, compared: _Compared) -> SideBySide:
    """Return both answers, those of the last run where nothing has changed since."""
    index = service.engine.index
    state = (service.catalog.version, service.rules.version, index.space.id, index.generation)
    key = f"{KEY}:answers"
    kept = st.session_state.get(key)
    if kept is None or kept[0] != (compared, state):
        found = search_both(service.systems, compared.query, compared.left, compared.right)
        kept = st.session_state[key] = (compared, state), found
    answers: SideBySide = kept[1]
    return answers


def _draw_comparison(
    service: SearchService, session: Session, linked: LinkedQuery, found: SideBySide
) -> None:
    faster = _faster(found.left.median_ms, found.right.median_ms)
    draw_html("agreement", found=found, persistence=PERSISTENCE, faster=faster)
    for note in dict.fromkeys((*found.left.result.notes, *found.right.result.notes)):
        ui.line(note, "note", role="status")
    _component(
        key=KEY,
        data={
            "sides": [
                _column(service, "left", found.left, found.marks("left")),
                _column(service, "right", found.right, found.marks("right")),
            ],
            "address": linked.full_link,
            "handled": list(session.handled),
        },
        on_events_change=lambda: pass_on(sent_by(KEY), partial(_handle_tile, service, session)),
    )


def _faster(left_ms: float, right_ms: float) -> str:
    """Return which side is faster; differences within the noise of a busy machine do not count."""
    if max(left_ms, right_ms) < 1.25 * min(left_ms, right_ms):
        return "Same speed"
    return f"{'Left' if left_ms < right_ms else 'Right'} is faster"


def _column(service: SearchService, place: str, answer: SideAnswer, marks: list[Mark]) -> dict[str, Any]:
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
