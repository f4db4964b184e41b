"""The collections page: a visitor's sets, one set as a gallery, two sets compared, and recent searches.

It owns the drawing and the address: `?set=ID` opens a set, for everybody who has the link, and `with=ID` compares it
with another one. Only the visitor who made a set may change it, which `imgsearch.store.collections` sees to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html import escape
from typing import Any
from urllib.parse import parse_qs

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Term
from imgsearch.core.query_address import thumbnail_url
from imgsearch.core.records import Item
from imgsearch.store.collections import (
    MAX_NAME,
    Collection,
    collection_csv,
    compare,
    set_query,
)
from imgsearch.ui.components.gallery import draw_gallery, item_tiles
from imgsearch.ui.components.item_dialog import draw_item_dialog
from imgsearch.ui.components.messages import draw_message
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.components.recents import draw_recents
from imgsearch.ui.components.save_dialog import draw_saving
from imgsearch.ui.markup import plain
from imgsearch.ui.state.actions import NOTHING, REMEMBERED_EVENTS, GalleryEvent, to_params, to_query
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import Details, Saving, Session, current_session
from imgsearch.ui.views import search

__all__ = ["draw"]

COVER_PHOTOS = 4
COVER_PX = 192
SHOWN_PHOTOS = 240
"""How many photos of one set are drawn; all of them are in its exports."""


def draw() -> None:
    """Draw what the address names: all sets of this visitor, one set, or two compared."""
    service, session = get_service(), current_session()
    if session.wanted is not None:
        wanted, session.wanted = session.wanted, None
        st.switch_page(_search_page(), query_params=to_params(wanted))
    first, second = st.query_params.get("set", ""), st.query_params.get("with", "")
    try:
        if not first:
            _draw_all(service, session)
        elif second:
            _draw_comparison(
                service, session, service.collections.get(first), service.collections.get(second)
            )
        else:
            _draw_one(service, session, service.collections.get(first))
    except ImgSearchError as error:
        draw_message("That did not work", str(error), action="All collections", on_click=_go)
    on_event = partial(_handle_event, service, session, None)
    draw_item_dialog(service, session, below="collections", address="", on_event=on_event)
    draw_saving(service, session)


@in_full
def _go(**params: str) -> None:
    """Write an address of this page: the parameters given, and nothing else."""
    st.query_params.from_dict(params)


def _search_page() -> Any:
    return st.Page(search.draw, default=True)


# --- what the visitor does ----------------------------------------------------------------------------------------


def _handle_event(service: SearchService, session: Session, collection: Collection | None, raw: Any) -> None:
    """Apply an action on a tile; see the search page on why this calls nothing of Streamlit's."""
    event = GalleryEvent.parse(raw)
    with session.lock:
        if event is None or event.id in session.handled:
            return
        session.handled = (*session.handled, event.id)[-REMEMBERED_EVENTS:]
        session.details = None
        match event.action:
            case "details":
                session.details = Details(event.item_id, "collections")
            case "save":
                session.saving = Saving("item", event.item_id)
            case "take_out" if collection is not None:
                try:
                    service.collections.discard(collection.id, session.visitor, [event.item_id])
                except ImgSearchError as error:
                    session.problem = str(error)
            case "open":
                session.want(replace(NOTHING, terms=(Term("item", event.item_id),)))


def _draw_problem(session: Session) -> None:
    problem, session.problem = session.problem, ""
    if problem:
        st.html(f'<p class="problem" role="alert">{escape(problem)}</p>')


# --- all sets -----------------------------------------------------------------------------------------------------


def _draw_all(service: SearchService, session: Session) -> None:
    mine = service.collections.of(session.visitor)
    st.html(
        '<header class="page-head"><h1>Collections</h1><p class="quiet">Photos and searches that you saved: to come '
        "back to, to compare, to share.</p></header>"
    )
    draw_recents(service, session, on_open=session.want)
    if not mine:
        draw_message(
            "Nothing saved yet",
            "Search for something and press the bookmark on a photo, or “Save this search” above the photos.",
            action="Search",
            on_click=session.want,
            args=(NOTHING,),
        )
        return
    covers = {each.id: each.items[:COVER_PHOTOS] for each in mine}
    items = {
        item.item_id: item
        for item in service.catalog.get_many(
            list(dict.fromkeys(item_id for ids in covers.values() for item_id in ids))
        )
    }
    with st.container(horizontal=True, gap="medium", key="collection_cards"):
        for collection in mine:
            with st.container(border=True, width=280, key=f"card_{collection.id}"):
                photos = [items[item_id] for item_id in covers[collection.id] if item_id in items]
                st.html(
                    _cover(photos)
                    + f'<h2 class="panel-title">{escape(collection.name)}</h2>'
                    + _counts(collection)
                )
                st.button(
                    "Open",
                    key=f"open_{collection.id}",
                    width="stretch",
                    on_click=_go,
                    kwargs={"set": collection.id},
                )


def _cover(photos: Sequence[Item]) -> str:
    images = "".join(
        f'<img src="{escape(thumbnail_url(photo, COVER_PX), quote=True)}" alt="" loading="lazy">'
        for photo in photos
    )
    return f'<div class="cover" aria-hidden="true">{images}</div>'


def _counts(collection: Collection) -> str:
    parts = [_many(len(collection.items), "photo", "photos")]
    if collection.queries:
        parts.append(_many(len(collection.queries), "search", "searches"))
    return f'<p class="count quiet">{", ".join(parts)}</p>'


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


# --- one set ------------------------------------------------------------------------------------------------------


def _draw_one(service: SearchService, session: Session, collection: Collection) -> None:
    is_mine = collection.owner == session.visitor
    items = service.catalog.get_many(collection.items)
    st.button(
        "All collections", key="all_collections", on_click=_go, icon=":material/arrow_back:", type="tertiary"
    )
    st.html(
        f'<header class="page-head"><h1>{escape(collection.name)}</h1></header>{_counts(collection)}'
        + (
            ""
            if is_mine
            else '<p class="count quiet">Somebody shared this collection: you can look, not change it.</p>'
        )
    )
    _draw_problem(session)
    _draw_acts(service, session, collection, items, is_mine=is_mine)
    _draw_searches(service, session, collection, is_mine=is_mine)
    gone = len(collection.items) - len(items)
    if gone:
        st.html(f'<p class="note">{_many(gone, "photo is", "photos are")} no longer in the catalog.</p>')
    if not items and not collection.queries:
        draw_message("This collection is empty", "Press the bookmark on a photo to save it here.")
        return
    if len(items) > SHOWN_PHOTOS:
        st.html(f'<p class="count quiet">The first {SHOWN_PHOTOS:,} are shown; exports hold all.</p>')
    _draw_photos(
        service,
        session,
        items[:SHOWN_PHOTOS],
        key="collection_gallery",
        label=f"Photos in {collection.name}",
        collection=collection if is_mine else None,
    )


def _draw_photos(
    service: SearchService,
    session: Session,
    items: Sequence[Item],
    *,
    key: str,
    label: str,
    collection: Collection | None = None,
) -> None:
    draw_gallery(
        item_tiles(items),
        key=key,
        list_id=f"{key} {' '.join(item.item_id for item in items)}",
        address="",
        handled=session.handled,
        label=label,
        actions=("take_out", "save", "details") if collection is not None else ("save", "details"),
        on_event=partial(_handle_event, service, session, collection),
        scroll=False,
    )


def _draw_acts(
    service: SearchService,
    session: Session,
    collection: Collection,
    items: Sequence[Item],
    *,
    is_mine: bool,
) -> None:
    with st.container(horizontal=True, gap="small", key="collection_acts"):
        if items:
            st.button(
                "Find more like these",
                key="search_by_set",
                type="primary",
                icon=":material/image_search:",
                on_click=session.want,
                args=(replace(NOTHING, terms=set_query([item.item_id for item in items]).terms),),
            )
        with st.popover("Share", icon=":material/link:"):
            st.html(
                '<p class="count quiet">Whoever has this link can look at the collection, and not change it.</p>'
            )
            st.code(_link(collection), language=None, wrap_lines=True)
        with st.popover("Export", icon=":material/download:"):
            _draw_exports(service, collection, items)
        others = [each for each in service.collections.of(session.visitor) if each.id != collection.id]
        if others:
            with st.popover("Compare", icon=":material/compare_arrows:"):
                for other in others:
                    st.button(
                        plain(other.name),
                        key=f"compare_{other.id}",
                        width="stretch",
                        on_click=_go,
                        kwargs={"set": collection.id, "with": other.id},
                    )
        if is_mine:
            with st.popover("Change", icon=":material/edit:"):
                _draw_changes(service, session, collection)


def _link(collection: Collection) -> str:
    return f"{(st.context.url or '').split('?')[0]}?set={collection.id}"


def _draw_exports(service: SearchService, collection: Collection, items: Sequence[Item]) -> None:
    columns = list(service.catalog.metadata.columns)
    st.download_button(
        "CSV",
        lambda: collection_csv(collection, items, columns),
        f"collection-{collection.id[:8]}.csv",
        "text/csv",
        icon=":material/table:",
        width="stretch",
        on_click="ignore",
    )
    st.download_button(
        "JSON",
        lambda: json.dumps(collection.as_dict(), ensure_ascii=False, indent=2),
        f"collection-{collection.id[:8]}.json",
        "application/json",
        icon=":material/data_object:",
        width="stretch",
        on_click="ignore",
    )


def _draw_changes(service: SearchService, session: Session, collection: Collection) -> None:
    with st.form("rename", border=False):
        st.text_input("Name", value=collection.name, max_chars=MAX_NAME, key=f"name_{collection.id}")
        st.form_submit_button(
            "Rename", width="stretch", on_click=_rename, args=(service, session, collection)
        )
    sure = st.checkbox("I want to remove this collection; its link ends", key=f"sure_{collection.id}")
    st.button(
        "Remove",
        key="remove_collection",
        icon=":material/delete:",
        disabled=not sure,
        width="stretch",
        on_click=_remove,
        args=(service, session, collection),
    )


@in_full
def _rename(service: SearchService, session: Session, collection: Collection) -> None:
    try:
        service.collections.rename(collection.id, session.visitor, st.session_state[f"name_{collection.id}"])
    except ImgSearchError as error:
        session.problem = str(error)


@in_full
def _remove(service: SearchService, session: Session, collection: Collection) -> None:
    try:
        service.collections.remove(collection.id, session.visitor)
        _go()
    except ImgSearchError as error:
        session.problem = str(error)


def _draw_searches(
    service: SearchService, session: Session, collection: Collection, *, is_mine: bool
) -> None:
    for number, text in enumerate(collection.queries):
        try:
            query = to_query(parse_qs(text), max_n=service.settings.max_results)
        except ImgSearchError:
            continue  # saved by a version with another grammar; it stays in the exports
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            filters = [str(each) for each in query.filters]
            st.button(
                plain(" · ".join([query_label(query, service.catalog.get), *filters])),
                key=f"search_{number}",
                icon=":material/search:",
                on_click=session.want,
                args=(query,),
            )
            if is_mine:
                st.button(
                    "Take out",
                    key=f"take_out_{number}",
                    type="tertiary",
                    on_click=_take_out_search,
                    args=(service, session, collection, text),
                )


def _take_out_search(service: SearchService, session: Session, collection: Collection, address: str) -> None:
    try:
        service.collections.discard(collection.id, session.visitor, queries=[address])
    except ImgSearchError as error:
        session.problem = str(error)


# --- two sets -----------------------------------------------------------------------------------------------------


def _draw_comparison(service: SearchService, session: Session, first: Collection, second: Collection) -> None:
    st.button(
        first.name,
        key="back",
        on_click=_go,
        kwargs={"set": first.id},
        icon=":material/arrow_back:",
        type="tertiary",
    )
    st.html(f'<header class="page-head"><h1>{escape(first.name)} and {escape(second.name)}</h1></header>')
    found = compare(first, second)
    parts = (
        ("in_both", "In both", found.both),
        ("only_first", f"Only in {first.name}", found.only_first),
        ("only_second", f"Only in {second.name}", found.only_second),
    )
    for key, title, item_ids in parts:
        st.html(
            f'<h2 class="panel-title">{escape(title)}</h2><p class="count quiet">'
            f"{_many(len(item_ids), 'photo', 'photos')}</p>"
        )
        items = service.catalog.get_many(item_ids)[:SHOWN_PHOTOS]
        if items:
            _draw_photos(service, session, items, key=key, label=title)
