"""The selected photos of the Explore page: shown, saved as a collection, exported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from functools import partial

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.csv_cells import escape_formula
from imgsearch.core.records import Item
from imgsearch.ui.components.blocks import draw_download, draw_line, draw_outcome, draw_section
from imgsearch.ui.components.gallery import draw_gallery, item_tiles
from imgsearch.ui.state.callbacks import attempt
from imgsearch.ui.state.events import MAX_SELECTED
from imgsearch.ui.state.exploring import Exploring, handle_tile
from imgsearch.ui.state.session import Session

__all__ = ["csv_of", "draw_selection", "json_of"]

NAME = "set_name"


def draw_selection(service: SearchService, session: Session, exploring: Exploring) -> None:
    """Draw the selection; nothing for an empty one."""
    if not exploring.keys:
        return
    items = service.explorer.photos(exploring.keys)
    draw_section(f"{exploring.name}: {len(items):,} photos")
    if exploring.found > MAX_SELECTED:
        draw_line(f"Of {exploring.found:,} photos, the first {MAX_SELECTED:,} are selected.", "note")
    draw_outcome("selection")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with (
            st.form("set", border=False, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            st.text_input("Collection name", value=exploring.name, max_chars=80, key=NAME, width=230)
            st.form_submit_button(
                "Save as collection",
                type="primary",
                icon=":material/bookmark_add:",
                on_click=attempt,
                args=(_save, service, session, exploring),
                kwargs={"done": "Saved to a new collection; see Collections.", "place": "selection"},
            )
        # Made now, not at the click: Streamlit drops a file made at the click after two more runs of any visitor,
        # and this page runs every second while a map is computed.
        for kind, make, mime in (("csv", csv_of, "text/csv"), ("json", json_of, "application/json")):
            draw_download(kind.upper(), make(items), f"imgsearch-selection.{kind}", mime)
        st.button("Clear", key="clear_set", icon=":material/close:", on_click=exploring.select, args=((),))
    shown = items[: exploring.shown]
    draw_gallery(
        item_tiles(shown),
        key="set_gallery",
        list_id=f"{exploring.name} {hash(exploring.keys)}",
        handled=exploring.handled,
        label=f"{len(shown)} selected photos",
        has_more=len(items) > len(shown),
        scroll=False,
        on_event=partial(handle_tile, service, session, exploring, "photos"),
    )


def _save(service: SearchService, session: Session, exploring: Exploring) -> None:
    items = service.explorer.photos(exploring.keys)
    service.collections.create(st.session_state[NAME], session.visitor, [item.item_id for item in items])


def csv_of(items: Sequence[Item]) -> bytes:
    """Return a row for each item: its id and its metadata."""
    columns = list(dict.fromkeys(column for item in items for column in item.metadata))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["item_id", *columns])
    for item in items:
        writer.writerow(
            [
                escape_formula(cell)
                for cell in (item.item_id, *(item.metadata.get(column) for column in columns))
            ]
        )
    return text.getvalue().encode("utf-8-sig")


def json_of(items: Sequence[Item]) -> bytes:
    """Return the items as a JSON list of objects."""
    rows = [{"item_id": item.item_id, **item.metadata} for item in items]
    return json.dumps(rows, ensure_ascii=False, indent=1).encode("utf-8", errors="replace")
