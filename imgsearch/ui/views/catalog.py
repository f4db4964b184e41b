"""The Catalog page, the merchandiser's desk: all items in a table, import, what was changed, and facts.

The address names the view: `?view=import`. Where the pages may not change the catalog, the table is read-only.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from imgsearch.app.access import pages_may_edit
from imgsearch.app.service import SearchService, get_service
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.catalog_facts import draw_catalog_facts
from imgsearch.ui.components.change_list import draw_changes
from imgsearch.ui.components.import_desk import draw_import
from imgsearch.ui.components.item_table import draw_item_table
from imgsearch.ui.components.jobs import draw_job
from imgsearch.ui.markup import draw_style
from imgsearch.ui.state.callbacks import from_address, to_address
from imgsearch.ui.state.desk import DeskSession, collect_finished, handle_desk_event
from imgsearch.ui.state.session import author

VIEWS = {"items": "Items", "import": "Import", "changes": "Changes", "about": "About"}
READ_ONLY_VIEWS = ("items", "about")


def draw() -> None:
    """Draw the view that the address names."""
    service = get_service()
    draw_style("catalog.css")
    may_edit = pages_may_edit(service.settings, st.context.headers)
    view = _draw_head(service, may_edit=may_edit)
    ui.outcome()
    if view == "about":
        draw_catalog_facts(service, with_paths=may_edit and service.settings.local_only)
    elif view == "import":
        draw_import(service, actor=author())
    elif view == "changes":
        _draw_job(service)
        draw_changes(service, actor=author())
    else:
        _draw_items(service, may_edit=may_edit)


def _draw_head(service: SearchService, *, may_edit: bool) -> str:
    views = {name: words for name, words in VIEWS.items() if may_edit or name in READ_ONLY_VIEWS}
    from_address("view", views)
    st.session_state.setdefault("view", "items")
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="desk_head"
    ):
        ui.heading("Catalog")
        options: dict[str, Any] = {"on_change": to_address, "args": ("view",)}
        view = ui.choice("View", views, "view", label_visibility="collapsed", **options)
    if not may_edit and view == "items":
        ui.line(_why_read_only(service), "hint")
    return view


def _why_read_only(service: SearchService) -> str:
    if service.settings.replica_of:
        return "This is a replica: items are changed at its writer."
    return (
        "This page is read-only, since other machines reach it: start the server with IMGSEARCH_EDIT_PAGES=true "
        "to change items here."
    )


def _draw_items(service: SearchService, *, may_edit: bool) -> None:
    desk = desk_session()
    collect_finished(service, desk)
    _draw_job(service)
    actor = author()
    metadata = service.catalog.metadata
    draw_item_table(
        metadata.columns,
        next(iter(metadata.title_columns), ""),
        desk,
        version=service.catalog.version,
        may_edit=may_edit,
        on_event=lambda raw: handle_desk_event(service, desk, raw, actor=actor, may_edit=may_edit),
    )


def _draw_job(service: SearchService) -> None:
    draw_job(service.bulk.jobs, after_stop="what was done stays, and can be undone", unit="items")


def desk_session() -> DeskSession:
    """Return what this visitor's table has sent; the first call makes it."""
    desk = st.session_state.get("desk")
    if not isinstance(desk, DeskSession):
        desk = st.session_state["desk"] = DeskSession()
    return desk
