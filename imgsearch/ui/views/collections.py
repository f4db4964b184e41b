"""The Collections page: the visitor's collections and recent searches, one collection, or two compared.

`?set=ID` opens a collection for anyone with the link; `with=ID` compares it with another one. Only the owner can
change a collection, which `imgsearch.store.collections` enforces.
"""

from __future__ import annotations

from functools import partial

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.store.collections import Collection, compare
from imgsearch.ui.components.blocks import draw_heading, draw_problem, draw_section
from imgsearch.ui.components.collection import (
    BELOW,
    SHOWN_PHOTOS,
    describe_collection,
    draw_collection,
    draw_photos,
    handle_tile,
)
from imgsearch.ui.components.item_dialog import draw_item_dialog
from imgsearch.ui.components.messages import draw_message
from imgsearch.ui.components.recents import draw_recents
from imgsearch.ui.components.save_dialog import draw_save_dialog
from imgsearch.ui.markup import draw_html, plain
from imgsearch.ui.state.callbacks import go
from imgsearch.ui.state.links import START, to_params
from imgsearch.ui.state.session import Session, current_session
from imgsearch.ui.views import search
from imgsearch.ui.wording import counted

__all__ = ["draw"]

COVER_PHOTOS = 4


def draw() -> None:
    """Draw what the address names."""
    service, session = get_service(), current_session()
    if session.requested is not None:
        requested, session.requested = session.requested, None
        st.switch_page(st.Page(search.draw, default=True), query_params=to_params(requested))
    first, second = st.query_params.get("set", ""), st.query_params.get("with", "")
    problem, session.problem = session.problem, ""
    draw_problem(problem)
    try:
        if not first:
            _draw_all(service, session)
        elif second:
            _draw_comparison(
                service, session, service.collections.get(first), service.collections.get(second)
            )
        else:
            draw_collection(service, session, service.collections.get(first))
    except ImgSearchError as error:
        draw_message("That did not work", str(error), action="All collections", on_click=go)
    on_event = partial(handle_tile, service, session, None)
    draw_item_dialog(service, session, below=BELOW, address="", on_event=on_event)
    draw_save_dialog(service, session)


def _draw_all(service: SearchService, session: Session) -> None:
    mine = service.collections.of(session.visitor)
    draw_heading("Collections", "Photos and searches that you saved, to come back to, compare or share.")
    draw_recents(service, session, on_open=session.request)
    if not mine:
        draw_message(
            "Nothing saved yet",
            "Search for something, then press the bookmark on a photo, or “Save this search” above the results.",
            action="Search",
            on_click=session.request,
            args=(START,),
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
                    text=describe_collection(collection),
                )
                st.button(
                    "Open",
                    key=f"open_{collection.id}",
                    width="stretch",
                    on_click=go,
                    kwargs={"set": collection.id},
                )


def _draw_comparison(service: SearchService, session: Session, first: Collection, second: Collection) -> None:
    st.button(
        plain(first.name),
        key="back",
        on_click=go,
        kwargs={"set": first.id},
        icon=":material/arrow_back:",
        type="tertiary",
    )
    draw_heading(f"{first.name} and {second.name}")
    found = compare(first, second)
    parts = (
        ("in_both", "In both", found.both),
        ("only_first", f"Only in {first.name}", found.only_first),
        ("only_second", f"Only in {second.name}", found.only_second),
    )
    for key, title, item_ids in parts:
        draw_section(title, counted(len(item_ids), "photo", "photos"))
        items = service.catalog.get_many(item_ids)[:SHOWN_PHOTOS]
        if items:
            draw_photos(
                session,
                items,
                key=key,
                label=title,
                actions=("save", "details"),
                on_event=partial(handle_tile, service, session, None),
            )
