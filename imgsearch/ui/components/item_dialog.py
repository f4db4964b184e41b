"""The item dialog: one photo large, its metadata, its look-alikes.

It owns the dialog's content; what an action in it means is decided elsewhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from html import escape
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import thumbnail_url
from imgsearch.core.records import Item
from imgsearch.ui.components.gallery import draw_gallery, hit_tiles
from imgsearch.ui.state.session import Session
from imgsearch.ui.wording import label_of, readable

__all__ = ["draw_item_dialog"]

LOOK_ALIKES = 6


def draw_item_dialog(
    service: SearchService, session: Session, *, below: str, address: str, on_event: Callable[[Any], None]
) -> None:
    """Draw the dialog of the item whose details are asked for, over the page that shows the query `address`.

    It stays until it is left, however often the page is drawn below it, and while that is what `below` says. Where
    the item is gone, that is said. `on_event` handles what is clicked in it, as if it were clicked on the page.
    """
    details = session.details
    if details is not None and details.below != below:  # the browser's back button leaves it, too
        details = session.details = None
    if details is None:
        return
    try:
        item = service.catalog.get(details.item_id)
    except ImgSearchError as error:
        session.details = None
        st.toast(str(error))
        return

    def leave(raw: Any) -> None:
        session.leave_dialog = True
        on_event(raw)

    def dismissed() -> None:
        session.details = None

    st.dialog(item.title, width="large", on_dismiss=dismissed)(_draw)(service, session, item, address, leave)


def _draw(
    service: SearchService, session: Session, item: Item, address: str, leave: Callable[[Any], None]
) -> None:
    # What is clicked in here reruns only the dialog; what it leads to is on the page behind it.
    if session.leave_dialog:
        session.leave_dialog = False
        st.rerun()
    picture, facts = st.columns([3, 2], gap="medium")
    with picture:
        source, words = escape(thumbnail_url(item, 768), quote=True), escape(item.title, quote=True)
        st.html(f'<img class="large-photo" src="{source}" alt="{words}">')
    with facts:
        event = {"id": uuid.uuid4().hex, "action": "open", "item_id": item.item_id, "address": address}
        st.button(
            "Find look-alikes",
            key="dialog_similar",
            icon=":material/image_search:",
            width="stretch",
            on_click=leave,
            args=(event,),
        )
        st.button(
            "Search a part of this photo",
            key="dialog_part",
            icon=":material/crop:",
            width="stretch",
            on_click=leave,
            args=(event | {"id": uuid.uuid4().hex, "action": "part"},),
        )
        st.button(
            "Save",
            key="dialog_save",
            icon=":material/bookmark:",
            width="stretch",
            on_click=leave,
            args=(event | {"id": uuid.uuid4().hex, "action": "save"},),
        )
        st.html(_facts(item))
    pages = session.results(service, Query.of(item=item.item_id, n=LOOK_ALIKES))
    tiles = hit_tiles(pages, {})[:LOOK_ALIKES]
    if tiles:
        st.html('<h3 class="panel-title">Looks like this</h3>')
        draw_gallery(
            tiles,
            key="dialog_gallery",
            list_id=f"dialog {item.item_id}",
            address=address,
            label=f"Look-alikes of {item.title}",
            actions=(),
            handled=session.handled,
            on_event=leave,
            compact=True,
            scroll=False,
        )


def _facts(item: Item) -> str:
    rows = [(label_of(column), readable(value)) for column, value in item.metadata.items()]
    rows.append(("Item", item.item_id))
    if item.width_px and item.height_px:
        rows.append(("Size", f"{item.width_px:,} × {item.height_px:,} px"))
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows
        if value
    )
    return f'<table class="facts">{cells}</table>'
