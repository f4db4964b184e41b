"""One collection on its page: its photos and searches, and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Term
from imgsearch.core.records import Item
from imgsearch.store.collections import MAX_NAME, Collection, collection_csv, set_query
from imgsearch.ui.components.blocks import draw_download, draw_heading, draw_line, draw_outcome
from imgsearch.ui.components.gallery import draw_gallery, item_tiles
from imgsearch.ui.components.messages import draw_message
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.markup import plain
from imgsearch.ui.state.actions import REMEMBERED_EVENTS
from imgsearch.ui.state.callbacks import attempt, go
from imgsearch.ui.state.events import GalleryEvent
from imgsearch.ui.state.links import START, read_link
from imgsearch.ui.state.session import Details, Saving, Session
from imgsearch.ui.wording import counted

__all__ = ["BELOW", "SHOWN_PHOTOS", "describe_collection", "draw_collection", "draw_photos", "handle_tile"]

SHOWN_PHOTOS = 240
"""How many photos of one collection are drawn; the exports hold all of them."""
BELOW = "collections"
"""What the page shows below an item's dialog (see `Details.below`)."""


def describe_collection(collection: Collection) -> str:
    """Return how many photos and searches a collection holds."""
    photos = counted(len(collection.items), "photo", "photos")
    searches = f", {counted(len(collection.queries), 'search', 'searches')}" if collection.queries else ""
    return photos + searches


def draw_collection(service: SearchService, session: Session, collection: Collection) -> None:
    """Draw the collection; only its owner gets the buttons that change it."""
    is_mine = collection.owner == session.visitor
    items = service.catalog.get_many(collection.items)
    st.button(
        "All collections", key="all_collections", on_click=go, icon=":material/arrow_back:", type="tertiary"
    )
    draw_heading(collection.name)
    draw_line(describe_collection(collection))
    draw_line("" if is_mine else "This collection was shared with you. Only its owner can change it.")
    draw_outcome()
    _draw_actions(service, session, collection, items, is_mine=is_mine)
    _draw_searches(service, session, collection, is_mine=is_mine)
    missing = len(collection.items) - len(items)
    if missing:
        draw_line(f"{counted(missing, 'photo is', 'photos are')} no longer in the catalog.", "note")
    if not items and not collection.queries:
        draw_message("This collection is empty", "Press the bookmark on a photo to save it here.")
        return
    if len(items) > SHOWN_PHOTOS:
        draw_line(f"Only the first {SHOWN_PHOTOS:,} photos are shown; the exports hold all of them.")
    draw_photos(
        session,
        items[:SHOWN_PHOTOS],
        key="collection_gallery",
        label=f"Photos in {collection.name}",
        actions=("remove", "save", "details") if is_mine else ("save", "details"),
        on_event=partial(handle_tile, service, session, collection if is_mine else None),
    )


def draw_photos(
    session: Session,
    items: Sequence[Item],
    *,
    key: str,
    label: str,
    actions: Sequence[str],
    on_event: Callable[[Any], None],
) -> None:
    """Draw a gallery of saved photos."""
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


def handle_tile(service: SearchService, session: Session, collection: Collection | None, raw: Any) -> None:
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
            st.button(
                "Find more like these",
                key="search_by_set",
                type="primary",
                icon=":material/image_search:",
                on_click=session.request,
                args=(replace(START, terms=set_query([item.item_id for item in items]).terms),),
            )
        with st.popover("Share", icon=":material/link:"):
            draw_line("Anyone with this link can see the collection, but not change it.")
            address = (st.context.url or "").split("?")[0]
            st.code(f"{address}?set={collection.id}", language=None, wrap_lines=True)
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
                        on_click=go,
                        kwargs={"set": collection.id, "with": other.id},
                    )
        if is_mine:
            with st.popover("Change", icon=":material/edit:"):
                _draw_changes(service, session, collection)


def _draw_exports(service: SearchService, collection: Collection, items: Sequence[Item]) -> None:
    columns = list(service.catalog.metadata.columns)
    name = f"collection-{collection.id[:8]}"

    def table() -> str:
        return collection_csv(collection, items, columns)

    def document() -> str:
        return json.dumps(collection.as_dict(), ensure_ascii=False, indent=2)

    draw_download("CSV", table, f"{name}.csv", "text/csv", width="stretch")
    draw_download("JSON", document, f"{name}.json", "application/json", width="stretch")


def _draw_changes(service: SearchService, session: Session, collection: Collection) -> None:
    key = f"name_{collection.id}"

    def rename() -> None:
        service.collections.rename(collection.id, session.visitor, st.session_state[key])

    def remove() -> None:
        service.collections.remove(collection.id, session.visitor)
        go()

    with st.form("rename", border=False):
        st.text_input("Name", value=collection.name, max_chars=MAX_NAME, key=key)
        st.form_submit_button("Rename", width="stretch", on_click=attempt, args=(rename,))
    sure = st.checkbox("Remove this collection and its link", key=f"sure_{collection.id}")
    st.button(
        "Remove",
        key="remove_collection",
        icon=":material/delete:",
        disabled=not sure,
        width="stretch",
        on_click=attempt,
        args=(remove,),
    )


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
            st.button(
                plain(" · ".join([query_label(query, service.catalog.get), *filters])),
                key=f"search_{number}",
                icon=":material/search:",
                on_click=session.request,
                args=(query,),
            )
            if is_mine:
                st.button(
                    "Remove",
                    key=f"remove_search_{number}",
                    type="tertiary",
                    on_click=attempt,
                    args=(
                        partial(service.collections.discard, collection.id, session.visitor, queries=[link]),
                    ),
                )
