"""The Search page: the query bar, filters, and photos.

The address bar holds the query. Each action writes it there, so links, reloads and the back button work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from textwrap import shorten

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import SearchResult
from imgsearch.search.ranking.confidence import WEAK_SENTENCE
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.adjust_panel import draw_adjust_panel
from imgsearch.ui.components.filter_panel import draw_filter_panel
from imgsearch.ui.components.gallery import HIT_ACTIONS, SAMPLE_ACTIONS, draw_gallery, hit_tiles, item_tiles
from imgsearch.ui.components.item_dialog import draw_item_dialog
from imgsearch.ui.components.query_bar import draw_query_bar, query_label
from imgsearch.ui.components.recents import draw_recents
from imgsearch.ui.components.save_dialog import draw_save_dialog, open_save_dialog
from imgsearch.ui.components.sort_select import draw_sort_select
from imgsearch.ui.components.suggestions import draw_correction, draw_suggestions
from imgsearch.ui.markup import draw_html
from imgsearch.ui.state.exploring import current_exploring
from imgsearch.ui.state.handlers import below_search, handle_bar_event, handle_gallery_event
from imgsearch.ui.state.links import PAGE_SIZE, START, LinkedQuery, Step, extend_past, extend_trail, to_params
from imgsearch.ui.state.session import Saving, Session, address_query, current_session
from imgsearch.ui.views.side_by_side import compare_with_default


def draw() -> None:
    """Draw the page for the query in the address bar."""
    service, session = get_service(), current_session()
    if ui.no_items(service):
        return
    # Fixed places: the bar stays where it is whatever is drawn above it, so that typing and focus survive.
    top, bar, body = st.container(), st.container(), st.container()
    linked, has_filters, problem = LinkedQuery.of(START), False, None
    try:
        linked = _read_address(service, session)
        has_filters = _draw_filters(service, session, linked.query)
    except ImgSearchError as error:
        linked, problem = LinkedQuery.of(START), error
    query = linked.query
    if problem is None:
        session.trail = extend_trail(
            session.trail, Step(linked.link, query_label(query, service.catalog.get))
        )
        session.past = extend_past(session.past, linked.link)
    with top:
        if not query.terms and problem is None:
            draw_html("hero")
    with bar:
        _draw_bar(service, session, query, has_filters=has_filters)
        draw_suggestions(
            service.words.searched(query), service.words.suggestions, partial(session.revise, query)
        )
    with body:
        try:
            if problem is not None:
                raise problem
            _draw_photos(service, session, linked)
        except ImgSearchError as error:
            ui.message("That did not work", str(error), "Start again", session.request, START)
    # Only now: a late event of the Explore page may interrupt this run, and that page then switches here again.
    current_exploring().open_item = ""
    on_event = partial(handle_gallery_event, service, session)
    draw_item_dialog(service, session, below=below_search(linked), address=linked.link, on_event=on_event)
    draw_save_dialog(service, session)
    if service.engine.encoder.state.status == "loading":
        _watch_encoder(service)


def _read_address(service: SearchService, session: Session) -> LinkedQuery:
    """Return the query in the address bar, after writing a requested one there."""
    requested = session.requested
    if requested is not None:
        st.query_params.from_dict(to_params(requested))
        session.written(requested)
    session.shown = address_query(service)
    return LinkedQuery.of(session.shown)


def _draw_bar(service: SearchService, session: Session, query: Query, *, has_filters: bool) -> None:
    state = service.engine.encoder.state
    notes = {
        "ready": "",
        "loading": "The model is still loading. You can click photos now; text and your own photos work in a moment.",
        "failed": "Search by text and by your own photos is not available: "
        f"{shorten(state.reason, 180, placeholder=' …')}",
    }
    draw_query_bar(
        service,
        session,
        query,
        choosing=session.choosing,
        trail=session.trail,
        can_undo=len(session.past) > 1,
        note=notes[state.status],
        has_filters=has_filters,
        on_event=partial(handle_bar_event, service, session, query),
    )


def _draw_filters(service: SearchService, session: Session, query: Query) -> bool:
    """Draw the filters in the sidebar; return whether there are any."""
    bounds = service.facets()
    if not bounds:
        return False
    facets = service.facets(query.filters) if query.filters else bounds
    with st.sidebar:
        ui.section("Filters")
        draw_filter_panel(facets, bounds, query, on_query=partial(session.revise, query))
    return True


def _draw_photos(service: SearchService, session: Session, linked: LinkedQuery) -> None:
    query = linked.query
    if not query.terms:
        _draw_sample(service, session, linked)
        return
    if service.engine.encoder.state.status == "loading" and any(term.needs_encoder for term in query.terms):
        ui.message(
            "The model is still loading",
            "Search by text and by your own photos starts as soon as it is ready; this page updates by itself.",
            busy=True,
        )
        return
    draw_correction(query, service.words.correction(query), partial(session.revise, query))
    searched = service.words.searched(query)
    results = session.results(service, searched)
    shown = sum(len(result.hits) for result in results)
    if shown == 0:
        _draw_no_hits(session, query)
        return
    _draw_result_bar(service, session, linked, results, shown)
    for note in results[0].notes:
        ui.line(note, "note", role="status")
    if results[0].confidence == "weak" and not results[0].notes:
        ui.line(WEAK_SENTENCE, "hint", role="status")
    judged = session.judged.get(query_key(searched), {})
    draw_gallery(
        hit_tiles(results, judged, service.catalog.get_many),
        key="gallery",
        list_id=linked.link,
        address=linked.full_link,
        handled=session.handled,
        has_more=query.n <= shown < min(_hits_in_all(results[0]), service.settings.max_results),
        label=f"{shown} similar items, {'in the chosen order' if query.sort else 'best first'}",
        actions=HIT_ACTIONS,
        on_event=partial(handle_gallery_event, service, session),
    )


def _hits_in_all(result: SearchResult) -> int:
    """Return how many hits all pages have: the look-alikes of a sorted result, else what passes the filters."""
    return result.matching if result.total is None else result.total


def _draw_no_hits(session: Session, query: Query) -> None:
    if query.filters:
        ui.message(
            "No photo passes these filters",
            "Remove a filter to see more.",
            "Clear filters",
            session.request,
            replace(query, filters=(), n=PAGE_SIZE),
        )
    else:
        ui.message(
            "Nothing found",
            "The catalog has no other photo to compare with.",
            "Start again",
            session.request,
            START,
        )


def _draw_result_bar(
    service: SearchService, session: Session, linked: LinkedQuery, results: Sequence[SearchResult], shown: int
) -> None:
    first = results[0]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        draw_html(
            "result_count",
            shown=shown,
            matching=_hits_in_all(first),
            took_ms=results[-1].timing_ms["total"],
            stages=", ".join(f"{stage} {value:.1f} ms" for stage, value in first.timing_ms.items()),
        )
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            draw_sort_select(service.facets(), linked.query, partial(session.revise, linked.query))
            ui.button(
                "Save this search",
                "save_search",
                open_save_dialog,
                session,
                Saving("query", linked.link),
                icon="bookmark_add",
            )
            _draw_adjust(session, linked.query)


def _draw_adjust(session: Session, query: Query) -> None:
    draw_adjust_panel(query, partial(session.revise, query), on_compare=compare_with_default)


def _draw_sample(service: SearchService, session: Session, linked: LinkedQuery) -> None:
    query = linked.query
    draw_recents(service, session, on_open=session.request)
    items = service.sample(PAGE_SIZE, seed=session.seed, filters=query.filters)
    if not items:
        _draw_no_hits(session, query)
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        draw_html("sample_count", shown=len(items), total=service.count(query.filters))
        with st.container(horizontal=True, width="content"):
            _draw_adjust(session, query)
            ui.button("Shuffle", "shuffle", session.shuffle, icon="shuffle")
    draw_gallery(
        item_tiles(items),
        key="gallery",
        list_id=f"sample {session.seed} {linked.link}",
        address=linked.link,
        handled=session.handled,
        label=f"{len(items)} photos of the catalog",
        actions=SAMPLE_ACTIONS,
        on_event=partial(handle_gallery_event, service, session),
    )


@st.fragment(run_every=1.0)
def _watch_encoder(service: SearchService) -> None:
    if service.engine.encoder.state.status != "loading":
        st.rerun()
