"""The search page: the query bar, the filters, the photos.

It reads the address bar, asks the service once, and draws; what actions mean is decided in `actions.py`. The address
bar is the truth: every action writes it, so that links, reloads and the browser's back button all work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from html import escape
from textwrap import shorten
from typing import Any
from urllib.parse import parse_qs

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment, SearchResult
from imgsearch.search.ranking.confidence import WEAK_SENTENCE
from imgsearch.ui.components.adjust_panel import draw_adjust_panel
from imgsearch.ui.components.filter_panel import draw_filter_panel
from imgsearch.ui.components.gallery import HIT_ACTIONS, SAMPLE_ACTIONS, draw_gallery, hit_tiles, item_tiles
from imgsearch.ui.components.item_dialog import draw_item_dialog
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.components.query_bar import draw_query_bar, query_label
from imgsearch.ui.components.recents import draw_recents
from imgsearch.ui.components.save_dialog import draw_saving, want_saved
from imgsearch.ui.components.suggestions import draw_correction, draw_suggestions
from imgsearch.ui.state.actions import (
    NOTHING,
    PAGE_SIZE,
    BarEvent,
    GalleryEvent,
    Outcome,
    PageState,
    Step,
    address,
    apply_bar_event,
    apply_event,
    extend_past,
    extend_trail,
    merged,
    to_address,
    to_params,
    to_query,
)
from imgsearch.ui.state.session import Details, Saving, Session, address_query, current_session
from imgsearch.ui.views.side_by_side import compare_with_usual

__all__ = ["draw"]

NEEDS_ENCODER = {"text", "upload", "image"}


def draw() -> None:
    """Draw the page for what the address bar says."""
    service, session = get_service(), current_session()
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    # Fixed places, whatever is in them: the bar is never taken down, so that typing and focus survive.
    top, bar, body = st.container(), st.container(), st.container()
    has_filters, problem = False, None
    try:
        _write_address(session)
        session.shown = query = address_query(service)
        has_filters = _draw_filters(service, session, query)
    except ImgSearchError as error:
        query, problem = NOTHING, error
    if problem is None:
        session.trail = extend_trail(
            session.trail, Step(address(query), query_label(query, service.catalog.get))
        )
        session.past = extend_past(session.past, address(query))
    with top:
        if not query.terms and problem is None:
            _draw_hero()
    with bar:
        _draw_bar(service, session, query, has_filters=has_filters)
        draw_suggestions(
            service.words.searched(query), service.words.suggestions, partial(session.revise, query)
        )
    with body:
        try:
            if problem is not None:
                raise problem
            _draw_photos(service, session, query)
        except ImgSearchError as error:
            draw_message(
                "That did not work", str(error), action="Start again", on_click=session.want, args=(NOTHING,)
            )
    on_event = partial(_handle_gallery_event, service, session)
    below = f"search {address(query)}"
    draw_item_dialog(service, session, below=below, address=address(query), on_event=on_event)
    draw_saving(service, session)
    if service.engine.encoder.state.status == "loading":
        _watch_encoder(service)


# --- the address bar -----------------------------------------------------------------------------------------------


def _write_address(session: Session) -> None:
    """Write the query that the visitor asked for since the last run to the address bar."""
    wanted = session.wanted
    if wanted is None:
        return
    st.query_params.from_dict(to_params(wanted))
    session.granted(wanted)


# --- what the visitor does -----------------------------------------------------------------------------------------

# Streamlit gives a run up at any call of Streamlit's where a newer click waits. So the handlers below call nothing of
# Streamlit's and hold the session's lock: an event is handled whole, and once. What they were drawn for may be older
# than what was asked for since: a click changes the latest query, not that one.


def _handle_gallery_event(service: SearchService, session: Session, raw: Any) -> None:
    """Apply an action on a tile: note it in the feedback and ask for what it leads to."""
    event = GalleryEvent.parse(raw)
    with session.lock:
        if not session.takes(event):
            return
        try:
            query = to_query(parse_qs(event.address), max_n=service.settings.max_results)
            key = query_key(service.words.searched(query))
            before = PageState(query, session.judged.get(key, {}), handled=session.handled)
            outcome = apply_event(before, event)
            _note(service, session, key, outcome, event.search_id)
        except ImgSearchError as error:
            session.fail(event.id, error)
            return
        session.handled = outcome.state.handled
        item_id = outcome.state.details
        session.details = Details(item_id, f"search {address(query)}") if item_id is not None else None
        session.choosing = event.id if event.action == "part" else ""
        if outcome.state.saving is not None:
            session.saving = Saving("item", outcome.state.saving)
        asked = outcome.state.query
        if asked != query:
            latest = session.latest(query)
            if event.action in {"more", "less"}:  # also to what a click just before this one has added
                asked = apply_event(PageState(latest), event).state.query
            else:
                asked = merged(latest, query, asked)
            session.ask(event.id, replace(asked, n=min(asked.n, service.settings.max_results)))


def _note(service: SearchService, session: Session, key: str, outcome: Outcome, search_id: str) -> None:
    """Record the click or the verdict."""
    if outcome.click is not None:
        click = outcome.click
        service.record_click(
            search_id=click.search_id,
            item_id=click.item_id,
            rank=click.rank,
            visitor=session.visitor,
            action=click.action,
        )
    if outcome.judged is not None:
        item_id, verdict = outcome.judged
        service.record_judgment(
            Judgment(key, item_id, verdict, labeler=session.visitor, search_id=search_id or None)
        )
        session.judged[key] = dict(outcome.state.judged)


def _handle_bar_event(service: SearchService, session: Session, query: Query, raw: Any) -> None:
    """Apply an action in the query bar, which was drawn for `query`."""
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
        session.handled, session.choosing = state.handled, ""
        if event.kind == "undo":
            session.undo(event.id)
        elif event.kind in {"clear", "go"}:
            session.ask(event.id, state.query)
        else:
            session.ask(event.id, merged(session.latest(query), query, state.query))


# --- the parts of the page ----------------------------------------------------------------------------------------


def _draw_hero() -> None:
    st.html(
        '<header class="hero"><h1>Find it by how it looks</h1>'
        "<p>Click any photo, drop in one of your own, or type what you are after.</p></header>"
    )


def _draw_bar(service: SearchService, session: Session, query: Query, *, has_filters: bool) -> None:
    problem, session.problem = session.problem, ""
    state = service.engine.encoder.state
    notes = {
        "ready": "",
        "loading": "The model is still loading: clicking a photo works now, words and your own photos in a moment.",
        "failed": f"Words and your own photos cannot be searched: {shorten(state.reason, 180, placeholder=' …')}",
    }
    draw_query_bar(
        query,
        handled=session.handled,
        choosing=session.choosing,
        find_item=service.catalog.get,
        trail=session.trail,
        can_undo=len(session.past) > 1,
        note=problem or notes[state.status],
        note_is_error=bool(problem),
        placeholder="Describe it, or add a photo",
        has_filters=has_filters,
        visitor=session.visitor,
        max_upload_bytes=service.settings.max_upload_bytes,
        on_event=partial(_handle_bar_event, service, session, query),
    )


def _draw_filters(service: SearchService, session: Session, query: Query) -> bool:
    """Draw the sidebar's filters; return whether there are any."""
    bounds = service.facets()
    if not bounds:
        return False
    facets = service.facets(query.filters) if query.filters else bounds
    with st.sidebar:
        st.html('<h2 class="panel-title">Filters</h2>')
        draw_filter_panel(facets, bounds, query, on_query=partial(session.revise, query))
    return True


def _draw_photos(service: SearchService, session: Session, query: Query) -> None:
    if not query.terms:
        _draw_sample(service, session, query)
        return
    if _must_wait(service, query):
        draw_message(
            "The model is still loading",
            "Words and uploaded photos can be searched as soon as it is there; this page goes on by itself.",
            busy=True,
        )
        return
    draw_correction(query, service.words.correction(query), partial(session.revise, query))
    searched = service.words.searched(query)
    results = session.results(service, searched)
    shown = sum(len(result.hits) for result in results)
    if shown == 0:
        draw_message(
            "Nothing passes these filters" if query.filters else "Nothing found",
            "Take a filter away to see more."
            if query.filters
            else "The catalog has no other photo to compare with.",
            action="Clear filters" if query.filters else "Start again",
            on_click=session.want,
            args=(replace(query, filters=(), n=PAGE_SIZE) if query.filters else NOTHING,),
        )
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        _draw_count(results, shown)
        with st.container(horizontal=True, width="content"):
            st.button(
                "Save this search",
                key="save_search",
                icon=":material/bookmark_add:",
                on_click=want_saved,
                args=(session, Saving("query", address(query))),
            )
            draw_adjust_panel(query, partial(session.revise, query), on_compare=compare_with_usual)
    for note in results[0].notes:
        st.html(f'<p class="note" role="status">{escape(note)}</p>')
    if results[0].confidence == "weak" and not results[0].notes:
        st.html(f'<p class="hint" role="status">{WEAK_SENTENCE}</p>')
    judged = session.judged.get(query_key(searched), {})
    draw_gallery(
        hit_tiles(results, judged, service.catalog.get_many),
        key="gallery",
        list_id=address(query),
        address=to_address(query),
        handled=session.handled,
        has_more=query.n <= shown < min(results[0].matching, service.settings.max_results),
        label=f"{shown} look-alikes, best first",
        actions=HIT_ACTIONS,
        on_event=partial(_handle_gallery_event, service, session),
    )


def _draw_sample(service: SearchService, session: Session, query: Query) -> None:
    draw_recents(service, session, on_open=session.want)
    items = service.sample(PAGE_SIZE, seed=session.seed, filters=query.filters)
    if not items:
        draw_message(
            "Nothing passes these filters",
            "Take a filter away to see more.",
            action="Clear filters",
            on_click=session.want,
            args=(NOTHING,),
        )
        return
    total = service.count(query.filters)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(f'<p class="count"><strong>{len(items):,}</strong> of {total:,} photos, picked to differ</p>')
        with st.container(horizontal=True, width="content"):
            draw_adjust_panel(query, partial(session.revise, query), on_compare=compare_with_usual)
            st.button("Shuffle", key="shuffle", on_click=session.shuffle, icon=":material/shuffle:")
    draw_gallery(
        item_tiles(items),
        key="gallery",
        list_id=f"sample {session.seed} {address(query)}",
        address=address(query),
        handled=session.handled,
        label=f"{len(items)} photos of the catalog",
        actions=SAMPLE_ACTIONS,
        on_event=partial(_handle_gallery_event, service, session),
    )


def _draw_count(results: Sequence[SearchResult], shown: int) -> None:
    first = results[0]
    took = f"{results[-1].timing_ms['total']:.0f} ms"
    st.html(
        f'<p class="count" role="status"><strong>{shown:,}</strong> of {first.matching:,} photos'
        f'<span class="quiet" title="{_stages(first.timing_ms)}"> in {took}</span></p>'
    )


def _stages(timing_ms: Mapping[str, float]) -> str:
    return ", ".join(f"{stage} {value:.1f} ms" for stage, value in timing_ms.items())


def _must_wait(service: SearchService, query: Query) -> bool:
    return service.engine.encoder.state.status == "loading" and any(
        term.kind in NEEDS_ENCODER for term in query.terms
    )


@st.fragment(run_every=1.0)
def _watch_encoder(service: SearchService) -> None:
    """Draw the page again as soon as the encoder is there, or known not to come."""
    if service.engine.encoder.state.status != "loading":
        st.rerun()
