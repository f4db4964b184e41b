"""The item dialog: one photo large, its metadata, and similar items."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.records import Item
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.gallery import draw_gallery, hit_tiles
from imgsearch.ui.markup import draw_html, plain
from imgsearch.ui.state.session import Session
from imgsearch.ui.wording import is_currency_of, label_of, readable_cell

SIMILAR_ITEMS = 6
ACTIONS = (
    ("open", "dialog_similar", "Find similar items", "image_search"),
    ("part", "dialog_part", "Search a part of this photo", "crop"),
    ("save", "dialog_save", "Save", "bookmark"),
)


def draw_item_dialog(
    service: SearchService, session: Session, *, below: str, address: str, on_event: Callable[[Any], None]
) -> None:
    """Draw the dialog of `session.details` over the page, which shows the query `address`.

    It stays open until the visitor leaves it or the page shows something else than `below`. `on_event` handles a
    click in it as if it were on the page.
    """
    details = session.details
    if details is not None and details.below != below:  # the browser's back button closes the dialog, too
        details = session.details = None
    if details is None:
        return
    try:
        item = service.catalog.get(details.item_id)
    except ImgSearchError as error:
        session.details = None
        st.toast(plain(str(error)))
        return

    def leave(raw: Any) -> None:
        session.leave_dialog = True
        on_event(raw)

    def dismissed() -> None:
        session.details = None

    draw = st.dialog(plain(item.title) or "Details", width="large", on_dismiss=dismissed)(_draw)
    draw(service, session, item, address, leave)


def _draw(
    service: SearchService, session: Session, item: Item, address: str, leave: Callable[[Any], None]
) -> None:
    # A click here reruns the dialog only, but its outcome is on the page behind it.
    if session.leave_dialog:
        session.leave_dialog = False
        st.rerun()
    picture, facts = st.columns([3, 2], gap="medium")
    with picture:
        draw_html("large_photo", item=item)
    with facts:
        for action, key, label, icon in ACTIONS:
            event = {"id": uuid.uuid4().hex, "action": action, "item_id": item.item_id, "address": address}
            ui.button(label, key, leave, event, icon=icon, width="stretch")
        ui.facts(_facts(item))
    tiles = hit_tiles(session.results(service, Query.of(item=item.item_id, n=SIMILAR_ITEMS)), {})
    if tiles:
        ui.section("Similar items")
        draw_gallery(
            tiles[:SIMILAR_ITEMS],
            key="dialog_gallery",
            list_id=f"dialog {item.item_id}",
            address=address,
            label=f"Items similar to {item.title}",
            handled=session.handled,
            on_event=leave,
            compact=True,
            scroll=False,
        )


def _facts(item: Item) -> list[tuple[str, str]]:
    rows = [
        (label_of(column), readable_cell(column, item.metadata))
        for column in item.metadata
        if not is_currency_of(column, item.metadata)
    ]
    rows.append(("Item", item.item_id))
    if item.width_px and item.height_px:
        rows.append(("Size", f"{item.width_px:,} × {item.height_px:,} px"))
    return rows
