"""What the Explore page remembers, and what its events do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.ui.state.actions import REMEMBERED_EVENTS
from imgsearch.ui.state.events import MAX_SELECTED, GalleryEvent, MapEvent
from imgsearch.ui.state.links import PAGE_SIZE
from imgsearch.ui.state.session import Session


@dataclass
class Exploring:
    """The selected photos, the highlighted group, and the item to open.

    `found` counts the photos of the selection before it was cut to `MAX_SELECTED`; `isolate` is a group's number.
    """

    handled: tuple[str, ...] = ()
    keys: tuple[int, ...] = ()
    found: int = 0
    name: str = ""
    isolate: int | None = None
    shown: int = PAGE_SIZE
    open_item: str = ""

    def select(
        self, keys: Sequence[int], *, found: int = 0, name: str = "", isolate: int | None = None
    ) -> None:
        """Select photos; no keys clear the selection."""
        self.keys, self.found, self.name, self.isolate = tuple(keys), found, name, isolate
        self.shown = PAGE_SIZE

    def accepts(self, event: GalleryEvent | MapEvent) -> bool:
        """Return whether an event is new, and remember it."""
        if event.id in self.handled:
            return False
        self.handled = (*self.handled, event.id)[-REMEMBERED_EVENTS:]
        return True


def current_exploring() -> Exploring:
    """Return the page's state in this session."""
    exploring: Exploring = st.session_state.setdefault("exploring", Exploring())
    return exploring


def handle_map_event(service: SearchService, session: Session, exploring: Exploring, raw: Any) -> None:
    """Apply a click on a point or a selection; calls nothing of Streamlit (see `state.handlers`)."""
    event = MapEvent.parse(raw)
    with session.lock:
        if event is None or not exploring.accepts(event):
            return
        if event.action == "open":
            found = service.explorer.photos(event.keys)
            exploring.open_item = found[0].item_id if found else ""
        else:
            exploring.select(event.keys, found=event.found, name="Your selection")


def handle_tile(
    service: SearchService,
    session: Session,
    exploring: Exploring,
    kind: Literal["photos", "groups"],
    raw: Any,
) -> None:
    """Apply a click on a tile: a photo is searched for, a group is highlighted on the map and listed."""
    event = GalleryEvent.parse(raw)
    with session.lock:
        if event is None or not exploring.accepts(event):
            return
        if event.action == "next":
            exploring.shown += PAGE_SIZE
        elif event.action == "open" and kind == "photos":
            exploring.open_item = event.item_id
        elif event.action == "open" and event.item_id.isdigit():
            number = int(event.item_id)
            names = {card.number: card.name for card in service.explorer.clusters()}
            if number in names:
                keys = service.explorer.members(number).tolist()
                exploring.select(keys[:MAX_SELECTED], found=len(keys), name=names[number], isolate=number)
