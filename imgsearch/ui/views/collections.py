"""The Collections page: the visitor's collections and recent searches, one collection, or two compared.

`?set=ID` opens a collection for anyone with the link; `with=ID` compares it with another one. Only the owner can
change a collection, which `imgsearch.store.collections` enforces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Term
from imgsearch.core.records import Item
from imgsearch.store.collections import MAX_NAME, Collection, collection_csv, compare, set_query
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.gallery import draw_gallery, item_tiles
from imgsearch.ui.components.item_dialog import draw_item_dialog
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.components.recents import draw_recents
from imgsearch.ui.components.save_dialog import draw_save_dialog
from imgsearch.ui.markup import draw_html, plain
from imgsearch.ui.state.actions import REMEMBERED_EVENTS
from imgsearch.ui.state.callbacks import go
from imgsearch.ui.state.events import GalleryEvent
from imgsearch.ui.state.links import START, read_link, to_params
from imgsearch.ui.state.session import Details, Saving, Session, current_session
from imgsearch.ui.views import search
from imgsearch.ui.wording import counted

COVER_PHOTOS = 4
SHOWN_PHOTOS = 240
"""How many photos of one collection are drawn; the exports hold all of them."""
BELOW = "collections"
"""What the page shows below an item's dialog (see `Details.below`)."""


def draw() -> None:
    """Draw what the address names."""
    service, session = get_service(), current_session()
    if session.requested is not None:
        requested, session.requested = session.requested, None
        st.switch_page(st.Page(search.draw, default=True), query_params=to_params(requested))
    first, second = st.query_params.get("set", ""), st.query_params.get("with", "")
    problem, session.problem = session.problem, ""
    ui.problem(problem)
    try:
        if not first:
            _draw_all(service, session)
        elif second:
            _draw_comparison(
                service, session, service.collections.get(first), service.collections.get(second)
            )
        else:
            _draw_collection(service, session, service.collections.get(first))
    except ImgSearchError as error:
        ui.message("That did not work", str(error), "All collections", go)
    on_event = partial(_handle_tile, service, session, None)
    draw_item_dialog(service, session, below=BELOW, address="", on_event=on_event)
    draw_save_dialog(service, session)


def _draw_all(service: SearchService, session: Session) -> None:
    mine = service.collections.of(session.visitor)
    ui.heading("Collections", "Photos and searches that you saved, to come back to, compare or share.")
    draw_recents(service, session, on_open=session.request)
    if not mine:
        ui.message(
            "Nothing saved yet",
            "Search for something, then press the bookmark on a photo, or “Save this search” above the results.",
            "Search",
            session.request,
            START,
        )
        return
    ids = [item_id for each in mine for item_id in each.items[:COVER_PHOTOS]]
    items = {item.item_id: item for item in service.catalog.get_many(list(dict.fromkeys(ids)))}
    with st.container(horizontal=True, gap="medium", key="collection_cards"):
        for collection in mine:
            photos = [items[item_id] for item_id in collection.items[:COVER_PHOTOS] if item_id in items]
            with st.container(border=True, width=280, key=f"card_{collection.id}"):
                draw_html(
                    "collection_card",
                    photos=photos,
                    name=collection.name,
                    text=_describe(collection),
                )
                ui.button("Open", f"open_{collection.id}", go, width="stretch", kwargs={"set": collection.id})


def _draw_comparison(service: SearchService, session: Session, first: Collection, second: Collection) -> None:
    ui.button(plain(first.name), "back", go, kwargs={"set": first.id}, icon="arrow_back", type="tertiary")
    ui.heading(f"{first.name} and {second.name}")
    found = compare(first, second)
    parts = (
        ("in_both", "In both", found.both),
        ("only_first", f"Only in {first.name}", found.only_first),
        ("only_second", f"Only in {second.name}", found.only_second),
    )
    for key, title, item_ids in parts:
        ui.section(title, counted(len(item_ids), "photo", "photos"))
        items = service.catalog.get_many(item_ids)[:SHOWN_PHOTOS]
        if items:
            _draw_photos(
                session,
                items,
                key=key,
                label=title,
                actions=("save", "details"),
                on_event=partial(_handle_tile, service, session, None),
            )


def _describe(collection: Collection) -> str:
    photos = counted(len(collection.items), "photo", "photos")
    searches = f", {counted(len(collection.queries), 'search', 'searches')}" if collection.queries else ""
    return photos + searches


def _draw_collection(service: SearchService, session: Session, collection: Collection) -> None:
    """Draw the collection; only its owner gets the buttons that change it."""
    is_mine = collection.owner == session.visitor
    items = service.catalog.get_many(collection.items)
    ui.button("All collections", "all_collections", go, icon="arrow_back", type="tertiary")
    ui.heading(collection.name)
    ui.line(_describe(collection))
    ui.line("" if is_mine else "This collection was shared with you. Only its owner can change it.")
    ui.outcome()
    _draw_actions(service, session, collection, items, is_mine=is_mine)
    _draw_searches(service, session, collection, is_mine=is_mine)
    missing = len(collection.items) - len(items)
    if missing:
        ui.line(f"{counted(missing, 'photo is', 'photos are')} no longer in the catalog.", "note")
    if not items and not collection.queries:
        ui.message("This collection is empty", "Press the bookmark on a photo to save it here.")
        return
    if len(items) > SHOWN_PHOTOS:
        ui.line(f"Only the first {SHOWN_PHOTOS:,} photos are shown; the exports hold all of them.")
    _draw_photos(
        session,
        items[:SHOWN_PHOTOS],
        key="collection_gallery",
        label=f"Photos in {collection.name}",
        actions=("remove", "save", "details") if is_mine else ("save", "details"),
        on_event=partial(_handle_tile, service, session, collection if is_mine else None),
    )


def _draw_photos(
    session: Session,
    items: Sequence[Item],
    *,
    key: str,
    label: str,
    actions: Sequence[str],
    on_event: Callable[[Any], None],
) -> None:
    draw_gallery(
        item_tiles(items),
        key=key,
        list_id=f"{key} {' '.join(item.item_id for item in items)}",
        handled=session.handled,
        label=label,
        actions=actions,
        on_event=on_event,
        scroll=False,
    )


def _handle_tile(service: SearchService, session: Session, collection: Collection | None, raw: Any) -> None:
    """Apply an action on a tile; calls nothing of Streamlit (see `state.handlers`)."""
    event = GalleryEvent.parse(raw)
    with session.lock:
        if event is None or event.id in session.handled:
            return
        session.handled = (*session.handled, event.id)[-REMEMBERED_EVENTS:]
        session.details = None
        match event.action:
            case "details":
                session.details = Details(event.item_id, BELOW)
            case "save":
                session.saving = Saving("item", event.item_id)
            case "remove" if collection is not None:
                try:
                    service.collections.discard(collection.id, session.visitor, [event.item_id])
                except ImgSearchError as error:
                    session.problem = str(error)
            case "open":
                session.request(replace(START, terms=(Term("item", event.item_id),)))


def _draw_actions(
    service: SearchService, session: Session, collection: Collection, items: Sequence[Item], *, is_mine: bool
) -> None:
    with st.container(horizontal=True, gap="small", key="collection_acts"):
        if items:
            ui.button(
                "Find more like these",
                "search_by_set",
                session.request,
                replace(START, terms=set_query([item.item_id for item in items]).terms),
                type="primary",
                icon="image_search",
            )
        with st.popover("Share", icon=":material/link:"):
            ui.line("Anyone with this link can see the collection, but not change it.")
            address = (st.context.url or "").split("?")[0]
            st.code(f"{address}?set={collection.id}", language=None, wrap_lines=True)
        with st.popover("Export", icon=":material/download:"):
            _draw_exports(service, collection, items)
        others = [each for each in service.collections.of(session.visitor) if each.id != collection.id]
        if others:
            with st.popover("Compare", icon=":material/compare_arrows:"):
                for other in others:
                    ui.button(
                        plain(other.name),
                        f"compare_{other.id}",
                        go,
                        width="stretch",
                        kwargs={"set": collection.id, "with": other.id},
                    )
        if is_mine:
            with st.popover("Change", icon=":material/edit:"):
                _draw_changes(service, session, collection)


def _draw_exports(service: SearchService, collection: Collection, items: Sequence[Item]) -> None:
    columns = list(service.catalog.metadata.columns)
    name = f"collection-{collection.id[:8]}"
    table = partial(collection_csv, collection, items, columns)
    document = partial(json.dumps, collection.as_dict(), ensure_ascii=False, indent=2)
    ui.download("CSV", table, f"{name}.csv", "text/csv", width="stretch")
    ui.download("JSON", document, f"{name}.json", "application/json", width="stretch")


def _draw_changes(service: SearchService, session: Session, collection: Collection) -> None:
    key = f"name_{collection.id}"

    def rename() -> None:
        service.collections.rename(collection.id, session.visitor, st.session_state[key])

    def remove() -> None:
        service.collections.remove(collection.id, session.visitor)
        go()

    with st.form("rename", border=False):
        st.text_input("Name", value=collection.name, max_chars=MAX_NAME, key=key)
        ui.submit("Rename", rename, width="stretch")
    sure = st.checkbox("Remove this collection and its link", key=f"sure_{collection.id}")
    ui.act("Remove", "remove_collection", remove, icon="delete", disabled=not sure, width="stretch")


def _draw_searches(
    service: SearchService, session: Session, collection: Collection, *, is_mine: bool
) -> None:
    for number, link in enumerate(collection.queries):
        try:
            query = read_link(link, max_n=service.settings.max_results)
        except ImgSearchError:
            continue  # saved by a version with another grammar; the exports still hold it
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            filters = [str(each) for each in query.filters]
            ui.button(
                plain(" · ".join([query_label(query, service.catalog.get), *filters])),
                f"search_{number}",
                session.request,
                query,
                icon="search",
            )
            if is_mine:
                ui.act(
                    "Remove",
                    f"remove_search_{number}",
                    partial(service.collections.discard, collection.id, session.visitor, queries=[link]),
                    type="tertiary",
                )
