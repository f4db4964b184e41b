"""The Explore page: a map of the whole catalog, groups of look-alikes, photos that stand alone, sets drawn by hand.

It owns the choices above the map and what a click or a set leads to. Where photos stand and which groups they form is
`imgsearch.explore.explorer`'s to know; drawing the points is the map component's.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from html import escape
from typing import Any, Literal

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.csv_cells import harmless
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_to_params
from imgsearch.core.records import Item
from imgsearch.explore.explorer import ClusterCard, MapState
from imgsearch.ui.components.explore_map import MAX_SELECTED, MapEvent, draw_map
from imgsearch.ui.components.gallery import Tile, draw_gallery, item_tiles
from imgsearch.ui.components.jobs import draw_job_end
from imgsearch.ui.components.messages import draw_no_items
from imgsearch.ui.state.actions import PAGE_SIZE, REMEMBERED_EVENTS, GalleryEvent
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import Session, current_session
from imgsearch.ui.views import search
from imgsearch.ui.wording import is_machine_column, label_of

__all__ = ["age", "cluster_tiles", "csv_of", "draw", "json_of"]

WATCH_EVERY_S = 1.0
OUTLIERS = 12
MIN_PHOTOS = 8
PROJECTIONS = {"umap": "UMAP", "pca": "PCA"}
HELP = (
    "UMAP puts look-alikes side by side; how far apart groups stand says little. PCA shows the directions in which "
    "photos differ most, true to scale."
)


@dataclass
class _Exploring:
    """What is remembered between two runs: the photos of a set, the group that stands out, where a click leads."""

    handled: tuple[str, ...] = ()
    keys: tuple[int, ...] = ()
    found: int = 0
    name: str = ""
    isolate: int | None = None
    shown: int = PAGE_SIZE
    open_item: str = ""
    notice: str = ""
    problem: str = ""

    def choose(
        self, keys: Sequence[int], *, found: int = 0, name: str = "", isolate: int | None = None
    ) -> None:
        """List a set of photos, or with no keys none any more."""
        self.keys, self.found, self.name, self.isolate = tuple(keys), found, name, isolate
        self.shown, self.notice, self.problem = PAGE_SIZE, "", ""


def draw() -> None:
    """Draw the page."""
    service, session = get_service(), current_session()
    st.html(
        '<header class="page-head"><h1>Explore</h1><p class="quiet">Every photo of the catalog, look-alikes side by '
        "side. Click one to find its look-alikes, or draw around some to make a set.</p></header>"
    )
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    exploring: _Exploring = st.session_state.setdefault("exploring", _Exploring())
    # Also by the address: a switch that a later event overtook has got as far as that.
    item_id = exploring.open_item or st.query_params.get("item", "")
    if item_id:
        exploring.open_item = ""
        params = query_to_params(Query.of(item=item_id, n=PAGE_SIZE), default_n=PAGE_SIZE)
        st.switch_page(st.Page(search.draw, title="Search", default=True), query_params=params)
    state = service.explorer.state()
    if not state.usable and service.explorer.jobs.job is None and len(service.catalog) >= MIN_PHOTOS:
        service.explorer.start()
    _draw_map(service, session, exploring, state)
    _draw_state(service, exploring, state)
    _draw_selection(service, session, exploring)
    cards = service.explorer.clusters()
    if cards:
        _draw_clusters(service, session, exploring, cards)
        _draw_outliers(service, session, exploring)


# --- the map --------------------------------------------------------------------------------------------------------


def _draw_map(service: SearchService, session: Session, exploring: _Exploring, state: MapState) -> None:
    colors = _colors(service, usable=state.usable)
    has_umap = state.usable and state.umap
    with st.container(horizontal=True, vertical_alignment="bottom"):
        projection = "pca"
        if has_umap:
            projection = st.segmented_control(
                "Layout",
                list(PROJECTIONS),
                default="umap",
                format_func=PROJECTIONS.__getitem__,
                key="layout",
                required=True,
                bind="query-params",
                help=HELP,
            )
        dimensions = st.segmented_control(
            "Dimensions",
            ["2", "3"],
            default="2",
            format_func=lambda name: f"{name}-D",
            key="dimensions",
            required=True,
            bind="query-params",
        )
        by = st.selectbox(
            "Colour by",
            list(colors),
            format_func=lambda name: colors.get(name, name),
            key="color",
            bind="query-params",
            width=230,
        )
    by = by if by in colors else next(iter(colors))
    draw_map(
        projection=projection,
        dimensions=3 if dimensions == "3" else 2,
        by="" if by == "none" else by,
        version=f"{state.made_at} {service.engine.index.space.id} {service.catalog.version} {service.rules.version}",
        title=colors[by],
        columns=_caption_columns(service),
        isolate=exploring.isolate if by == "cluster" else None,
        has_selection=bool(exploring.keys),
        handled=exploring.handled,
        on_event=partial(_handle_map_event, service, session, exploring),
    )


def _colors(service: SearchService, *, usable: bool) -> dict[str, str]:
    """Return what the map may be coloured by, and how that reads, the best choice first: groups, kinds, numbers."""
    columns = {
        f"column:{facet.column}": label_of(facet.column)
        for facet in sorted(service.facets(), key=lambda facet: facet.kind == "range")
        if not is_machine_column(facet.column)
        and (facet.kind == "range" or (facet.kind == "choice" and len(facet.values) > 1))
    }
    groups = {"cluster": "Groups of look-alikes", "outlier": "How alone it stands"} if usable else {}
    return {**groups, **columns, "none": "Nothing"}


def _caption_columns(service: SearchService) -> list[str]:
    """Return the columns to read under the pointer: few words each, and the price."""
    return [
        facet.column
        for facet in service.facets()
        if not is_machine_column(facet.column)
        and (facet.kind == "choice" or facet.column.casefold() in ("price", "sale_price", "amount"))
    ]


def _handle_map_event(service: SearchService, session: Session, exploring: _Exploring, raw: Any) -> None:
    """Apply a click on a point or a drawn set; calls nothing of Streamlit's (see the search page)."""
    event = MapEvent.parse(raw)
    with session.lock:
        if event is None or event.id in exploring.handled:
            return
        exploring.handled = (*exploring.handled, event.id)[-REMEMBERED_EVENTS:]
        if event.action == "open":
            found = service.explorer.photos(event.keys)
            exploring.open_item = found[0].item_id if found else ""
        else:
            exploring.choose(event.keys, found=event.found, name="Your set")


# --- how old it is --------------------------------------------------------------------------------------------------


def _draw_state(service: SearchService, exploring: _Exploring, state: MapState) -> None:
    jobs = service.explorer.jobs
    if jobs.running:
        _follow(service, exploring, state.made_at)
        return
    for note in state.notes if state.usable else ():
        st.html(f'<p class="note" role="status">{escape(note)}</p>')
    if jobs.job is not None:
        draw_job_end(jobs.job, "the map is as it was")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<p class="count quiet">{escape(age(state))}</p>')
        if len(service.catalog) >= MIN_PHOTOS:
            st.button(
                "Lay out anew", key="lay_out", icon=":material/refresh:", on_click=_start, args=(service,)
            )
    if not state.can_umap:
        st.html(
            '<p class="count quiet">For the UMAP layout, install <code>pip install "imgsearch[explore]"</code> and '
            "lay the map out anew.</p>"
        )


@in_full
def _start(service: SearchService) -> None:
    if not service.explorer.jobs.running:
        service.explorer.start()


def age(state: MapState) -> str:
    """Return how old the map is, and how much has changed since."""
    if not state.made_at:
        return "Groups and layout were not made yet."
    if state.other_space:
        return "The map was laid out for another model or head; lay it out anew to see groups again."
    made = datetime.fromisoformat(state.made_at)
    minutes = max(0, int((datetime.now(UTC) - made).total_seconds() // 60))
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
    changes += [f"{state.gone:,} are gone"] if state.gone else []
    return (
        f"Laid out {ago} from index generation {state.generation}; {' and '.join(changes) or 'up to date'}."
    )


@st.fragment(run_every=WATCH_EVERY_S)
def _follow(service: SearchService, exploring: _Exploring, seen: str) -> None:
    """Draw how far the job is; the whole page again when it has ended or groups are there.

    Whoever has a set before them is asked first: what they are about to press or to download stays where it is.
    """
    job = service.explorer.jobs.job
    layout = service.explorer.layout()
    if job is None or job.status != "running" or (layout is not None and layout.made_at != seen):
        if not exploring.keys:
            st.rerun()
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.html('<p class="count" role="status">The map was laid out anew.</p>')
            st.button("Show it", key="show_map", icon=":material/refresh:", on_click=st.rerun)
        return
    share = job.done / job.total if job.total else 0.0
    st.html(
        f'<div class="meter"><i style="width:{share:.0%}"></i></div><p class="count quiet" role="status">'
        f"Finding groups and laying out the map: {share:.0%}. Searching goes on meanwhile.</p>"
    )
    st.button("Stop", key="stop_map", icon=":material/stop:", on_click=service.explorer.jobs.stop)


# --- a set ----------------------------------------------------------------------------------------------------------


def _draw_selection(service: SearchService, session: Session, exploring: _Exploring) -> None:
    if not exploring.keys:
        return
    items = service.explorer.photos(exploring.keys)
    st.html(f'<h2 class="panel-title">{escape(exploring.name)}: {len(items):,} photos</h2>')
    if exploring.found > MAX_SELECTED:
        st.html(
            f'<p class="note">You drew around {exploring.found:,} photos; a set holds the first {MAX_SELECTED:,}.</p>'
        )
    for text, kind in ((exploring.problem, "problem"), (exploring.notice, "note")):
        if text:
            st.html(f'<p class="{kind}" role="status">{escape(text)}</p>')
    exploring.problem = exploring.notice = ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with (
            st.form("set", border=False, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            st.text_input(
                "Name of the collection", value=exploring.name, max_chars=80, key="set_name", width=230
            )
            st.form_submit_button(
                "Save as a collection",
                type="primary",
                icon=":material/bookmark_add:",
                on_click=_save,
                args=(service, session, exploring),
            )
        # Made now: Streamlit drops a file that is made at the click as soon as two more runs have ended, of whichever
        # visitor, and one follows the map every second.
        for kind, data in (("csv", csv_of), ("json", json_of)):
            st.download_button(
                kind.upper(),
                data(items),
                file_name=f"imgsearch-set.{kind}",
                icon=":material/download:",
                on_click="ignore",
            )
        st.button("Clear", key="clear_set", icon=":material/close:", on_click=exploring.choose, args=((),))
    shown = items[: exploring.shown]
    draw_gallery(
        item_tiles(shown),
        key="set_gallery",
        list_id=f"{exploring.name} {hash(exploring.keys)}",
        address="",
        handled=exploring.handled,
        label=f"{len(shown)} photos of the set",
        actions=(),
        has_more=len(items) > len(shown),
        scroll=False,
        on_event=partial(_handle_tile, service, session, exploring, "photos"),
    )


@in_full
def _save(service: SearchService, session: Session, exploring: _Exploring) -> None:
    items = service.explorer.photos(exploring.keys)
    try:
        made = service.collections.create(
            st.session_state["set_name"], session.visitor, [item.item_id for item in items]
        )
    except ImgSearchError as error:
        exploring.problem = str(error)
    else:
        exploring.notice = f"Saved to the new collection {made.name}; see Collections."


def csv_of(items: Sequence[Item]) -> bytes:
    """Return a row for each item: its id and its metadata."""
    columns = list(dict.fromkeys(column for item in items for column in item.metadata))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["item_id", *columns])
    for item in items:
        writer.writerow(
            [harmless(cell) for cell in (item.item_id, *(item.metadata.get(column) for column in columns))]
        )
    return text.getvalue().encode("utf-8-sig")


def json_of(items: Sequence[Item]) -> bytes:
    """Return the items as a JSON list of rows."""
    rows = [{"item_id": item.item_id, **item.metadata} for item in items]
    return json.dumps(rows, ensure_ascii=False, indent=1).encode("utf-8", errors="replace")


# --- groups and photos that stand alone ---------------------------------------------------------------------------


def _draw_clusters(
    service: SearchService, session: Session, exploring: _Exploring, cards: Sequence[ClusterCard]
) -> None:
    st.html(
        '<h2 class="panel-title">Groups of look-alikes</h2><p class="count quiet">Found by k-means; each shows the '
        "photo in its middle, and words that lie nearer to the group than to the whole catalog. Click to see it.</p>"
    )
    draw_gallery(
        cluster_tiles(cards),
        key="cluster_gallery",
        list_id=f"groups {len(cards)}",
        address="",
        handled=exploring.handled,
        label=f"{len(cards)} groups, the largest first",
        actions=(),
        scroll=False,
        on_event=partial(_handle_tile, service, session, exploring, "groups"),
    )


def cluster_tiles(cards: Sequence[ClusterCard]) -> list[Tile]:
    """Return a tile for each group: the photo in its middle, its name, size and further words."""
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


def _draw_outliers(service: SearchService, session: Session, exploring: _Exploring) -> None:
    items = service.explorer.outliers(OUTLIERS)
    st.html(
        '<h2 class="panel-title">Unlike all others</h2><p class="count quiet">The photos farthest from their nearest '
        "ones: rare products, and photos that went wrong.</p>"
    )
    draw_gallery(
        item_tiles(items),
        key="outlier_gallery",
        list_id="outliers",
        address="",
        handled=exploring.handled,
        label=f"{len(items)} photos that stand alone",
        actions=(),
        scroll=False,
        on_event=partial(_handle_tile, service, session, exploring, "photos"),
    )


def _handle_tile(
    service: SearchService,
    session: Session,
    exploring: _Exploring,
    kind: Literal["photos", "groups"],
    raw: Any,
) -> None:
    """Apply a click on a tile: a photo is searched for, a group stands out on the map and is listed."""
    event = GalleryEvent.parse(raw)
    with session.lock:
        if event is None or event.id in exploring.handled:
            return
        exploring.handled = (*exploring.handled, event.id)[-REMEMBERED_EVENTS:]
        if event.action == "next":
            exploring.shown += PAGE_SIZE
        elif event.action == "open" and kind == "photos":
            exploring.open_item = event.item_id
        elif event.action == "open" and event.item_id.isdigit():
            number = int(event.item_id)
            cards = {card.number: card for card in service.explorer.clusters()}
            if number in cards:
                keys = service.explorer.members(number).tolist()
                exploring.choose(
                    keys[:MAX_SELECTED], found=len(keys), name=cards[number].name, isolate=number
                )
