"""The galleries of the Explore page: groups of similar photos, outliers, and the selected photos."""

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
from imgsearch.explore.explorer import ClusterCard
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.gallery import Tile, draw_gallery, item_tiles
from imgsearch.ui.state.events import MAX_SELECTED
from imgsearch.ui.state.exploring import Exploring, handle_tile
from imgsearch.ui.state.session import Session

OUTLIERS = 12
NAME = "set_name"


def draw_clusters(
    service: SearchService, session: Session, exploring: Exploring, cards: Sequence[ClusterCard]
) -> None:
    """Draw a tile for each group."""
    ui.section(
        "Groups of similar photos",
        "Found by k-means clustering. Each tile shows the most central photo, and the words that describe the group "
        "best. Click a group to see its photos.",
    )
    draw_gallery(
        cluster_tiles(cards),
        key="cluster_gallery",
        list_id=f"groups {len(cards)}",
        handled=exploring.handled,
        label=f"{len(cards)} groups, the largest first",
        scroll=False,
        on_event=partial(handle_tile, service, session, exploring, "groups"),
    )


def cluster_tiles(cards: Sequence[ClusterCard]) -> list[Tile]:
    """Return a tile for each group: its medoid, name, size and further words."""
    tiles = item_tiles([card.medoid for card in cards])
    return [
        tile
        | {
            "id": str(card.number),
            "title": card.name,
            "open_label": f"Show the {card.size:,} photos of the group {card.name}",
            "lines": [f"{card.size:,} photos", " · ".join(card.words[2:])][: 2 if len(card.words) > 2 else 1],
        }
        for tile, card in zip(tiles, cards, strict=True)
    ]


def draw_outliers(service: SearchService, session: Session, exploring: Exploring) -> None:
    """Draw the photos that are least similar to all others."""
    items = service.explorer.outliers(OUTLIERS)
    ui.section(
        "Outliers", "The photos with the least similar nearest neighbours: rare products, and faulty photos."
    )
    draw_gallery(
        item_tiles(items),
        key="outlier_gallery",
        list_id="outliers",
        handled=exploring.handled,
        label=f"{len(items)} outliers",
        scroll=False,
        on_event=partial(handle_tile, service, session, exploring, "photos"),
    )


def draw_selection(service: SearchService, session: Session, exploring: Exploring) -> None:
    """Draw the selection; nothing for an empty one."""
    if not exploring.keys:
        return
    items = service.explorer.photos(exploring.keys)
    ui.section(f"{exploring.name}: {len(items):,} photos")
    if exploring.found > MAX_SELECTED:
        ui.line(f"Of {exploring.found:,} photos, the first {MAX_SELECTED:,} are selected.", "note")
    ui.outcome("selection")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with (
            st.form("set", border=False, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            st.text_input("Collection name", value=exploring.name, max_chars=80, key=NAME, width=230)
            ui.submit(
                "Save as collection",
                _save,
                service,
                session,
                exploring,
                type="primary",
                icon="bookmark_add",
                done="Saved to a new collection; see Collections.",
                place="selection",
            )
        # Made now, not at the click: Streamlit drops a file made at the click after two more runs of any visitor,
        # and this page runs every second while a map is computed.
        for kind, make, mime in (("csv", csv_of, "text/csv"), ("json", json_of, "application/json")):
            ui.download(kind.upper(), make(items), f"imgsearch-selection.{kind}", mime)
        ui.button("Clear", "clear_set", exploring.select, (), icon="close")
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
