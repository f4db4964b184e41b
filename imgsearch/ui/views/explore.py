"""The Explore page: a map of the whole catalog, groups of similar photos, outliers, and selections."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.base_path import served_path
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_to_params
from imgsearch.explore.explorer import MapState
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.explore_galleries import draw_clusters, draw_outliers, draw_selection
from imgsearch.ui.components.gallery import PRICE_COLUMNS, pass_on, sent_by
from imgsearch.ui.components.jobs import draw_job_end, draw_progress
from imgsearch.ui.markup import asset, draw_html, script
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.events import MAX_SELECTED
from imgsearch.ui.state.exploring import Exploring, current_exploring, handle_map_event
from imgsearch.ui.state.links import PAGE_SIZE
from imgsearch.ui.state.session import Session, current_session
from imgsearch.ui.views import search
from imgsearch.ui.wording import is_machine_column, label_of

WATCH_EVERY_S = 1.0
MIN_PHOTOS = 8
PROJECTIONS = {"umap": "UMAP", "pca": "PCA"}
DIMENSIONS = {"2": "2-D", "3": "3-D"}
HELP = (
    "UMAP places similar photos close together; distances between groups mean little. PCA shows the directions in "
    "which photos differ most, true to scale."
)
ENDPOINT = "/api/v1/map"

_component = st.components.v2.component(
    "imgsearch_map", css=asset("explore_map.css"), js=script("events.js", "explore_map.js")
)


def draw() -> None:
    """Draw the page."""
    service, session = get_service(), current_session()
    ui.heading(
        "Explore",
        "Every photo of the catalog on one map, similar photos close together. Click a photo to find similar items, "
        "or draw around photos to select them.",
    )
    if ui.no_items(service):
        return
    exploring = current_exploring()
    # A later event may interrupt the switch: the search page forgets the item, and the address may have it already.
    item_id = exploring.open_item or st.query_params.get("item", "")
    if item_id:
        params = query_to_params(Query.of(item=item_id, n=PAGE_SIZE), default_n=PAGE_SIZE)
        st.switch_page(st.Page(search.draw, title="Search", default=True), query_params=params)
    state = service.explorer.state()
    if not state.usable and service.explorer.jobs.job is None and len(service.catalog) >= MIN_PHOTOS:
        service.explorer.start()
    _draw_map(service, session, exploring, state)
    _draw_state(service, exploring, state)
    draw_selection(service, session, exploring)
    cards = service.explorer.clusters()
    if cards:
        draw_clusters(service, session, exploring, cards)
        draw_outliers(service, session, exploring)


def _draw_map(service: SearchService, session: Session, exploring: Exploring, state: MapState) -> None:
    """Draw the map; the browser repeats an event until its id is in `handled`; a new `version` loads the points."""
    colors = _colors(service, usable=state.usable)
    projection, dimensions, by = _draw_controls(colors, has_umap=state.usable and state.umap)
    space, key = service.engine.index.space.id, "explore_map"
    _component(
        key=key,
        data={
            "endpoint": served_path(ENDPOINT),
            "projection": projection,
            "dimensions": dimensions,
            "by": "" if by == "none" else by,
            "version": f"{state.made_at} {space} {service.catalog.version} {service.rules.version}",
            "title": colors[by],
            "columns": _caption_columns(service),
            "isolate": exploring.isolate if by == "cluster" else None,
            "has_selection": bool(exploring.keys),
            "max_selected": MAX_SELECTED,
            "handled": list(exploring.handled),
        },
        on_events_change=lambda: pass_on(
            sent_by(key), partial(handle_map_event, service, session, exploring)
        ),
    )


def _draw_controls(colors: dict[str, str], *, has_umap: bool) -> tuple[str, int, str]:
    """Draw the choices above the map; return the projection, the dimensions and what the colours show."""
    projection = "pca"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if has_umap:
            projection = ui.choice(
                "Layout", PROJECTIONS, "layout", default="umap", bind="query-params", help=HELP
            )
        dimensions = ui.choice("Dimensions", DIMENSIONS, "dimensions", default="2", bind="query-params")
        by = ui.select("Colour by", colors, "color", bind="query-params", width=230)
    return projection, 3 if dimensions == "3" else 2, by if by in colors else next(iter(colors))


def _colors(service: SearchService, *, usable: bool) -> dict[str, str]:
    """Return what the colours can show, with labels, the best choice first: groups, categories, numbers."""
    columns = {
        f"column:{facet.column}": label_of(facet.column)
        for facet in sorted(service.facets(), key=lambda facet: facet.kind == "range")
        if not is_machine_column(facet.column)
        and (facet.kind == "range" or (facet.kind == "choice" and len(facet.values) > 1))
    }
    groups = {"cluster": "Groups of similar photos", "outlier": "Outliers"} if usable else {}
    return {**groups, **columns, "none": "Nothing"}


def _caption_columns(service: SearchService) -> list[str]:
    return [
        facet.column
        for facet in service.facets()
        if not is_machine_column(facet.column)
        and (facet.kind == "choice" or facet.column.casefold() in PRICE_COLUMNS)
    ]


def _draw_state(service: SearchService, exploring: Exploring, state: MapState) -> None:
    jobs = service.explorer.jobs
    if jobs.running:
        _follow(service, exploring, state.made_at)
        return
    for note in state.notes if state.usable else ():
        ui.line(note, "note", role="status")
    if jobs.job is not None:
        draw_job_end(jobs.job, "the map has not changed")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        ui.line(age(state))
        if len(service.catalog) >= MIN_PHOTOS:
            ui.button("Update the map", "lay_out", _start, service, icon="refresh")
    if not state.can_umap:
        draw_html("install_umap")


@in_full
def _start(service: SearchService) -> None:
    if not service.explorer.jobs.running:
        service.explorer.start()


def age(state: MapState) -> str:
    """Return how old the map is, and how many photos have changed since."""
    if not state.made_at:
        return "There is no map with groups yet."
    if state.other_space:
        return "This map belongs to another model; update it to see groups again."
    minutes = max(0, int((datetime.now(UTC) - datetime.fromisoformat(state.made_at)).total_seconds() // 60))
    ago = (
        "just now"
        if minutes < 1
        else f"{minutes} min ago"
        if minutes < 120
        else f"{minutes // 60} hours ago"
        if minutes < 2880
        else f"{minutes // 1440} days ago"
    )
    changes = [f"{state.new:,} new photos are not on it yet"] if state.new else []
    changes += [f"{state.gone:,} were removed"] if state.gone else []
    return f"Updated {ago} from index generation {state.generation}; {' and '.join(changes) or 'up to date'}."


@st.fragment(run_every=WATCH_EVERY_S)
def _follow(service: SearchService, exploring: Exploring, seen: str) -> None:
    """Draw the job's progress, and the whole page again when it has ended or groups are ready.

    With a selection on the page the visitor is asked first: what they are about to press must not move.
    """
    job = service.explorer.jobs.job
    layout = service.explorer.layout()
    if job is None or job.status != "running" or (layout is not None and layout.made_at != seen):
        if not exploring.keys:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            ui.line("The map was updated.", "count", role="status")
            ui.button("Show it", "show_map", st.rerun, icon="refresh")
        return
    share = job.done / job.total if job.total else 0.0
    draw_progress(
        f"Finding groups and computing the map: {share:.0%}. You can continue to search.",
        share,
        service.explorer.jobs,
    )
