"""The gallery component: a grid of photo tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from imgsearch.core.column_names import title_rank
from imgsearch.core.column_types import currency_column
from imgsearch.core.query_address import thumbnail_url
from imgsearch.core.records import Hit, Item, SearchResult, Verdict
from imgsearch.ui.markup import asset, script
from imgsearch.ui.wording import is_currency_of, is_machine_column, readable_cell

HIT_ACTIONS = ("good", "bad", "more", "less", "save", "details")
SAMPLE_ACTIONS = ("details",)
PRICE_COLUMNS = ("price", "sale_price", "amount")
LINES = 2
LONGEST_LINE = 60

_component = st.components.v2.component(
    "imgsearch_gallery", css=asset("gallery.css"), js=script("events.js", "gallery.js")
)

Tile = dict[str, Any]


def item_tiles(items: Sequence[Item]) -> list[Tile]:
    """Return tiles without scores, in the given order."""
    return [_tile(item) for item in items]


def hit_tiles(
    results: Sequence[SearchResult],
    judged: Mapping[str, Verdict],
    find_items: Callable[[Sequence[str]], Sequence[Item]] | None = None,
) -> list[Tile]:
    """Return the tiles of one search's pages of hits, best first, with scores relative to the best hit.

    `find_items` returns the items that are collapsed into a hit, so that its tile can unfold them.
    """
    best = max((hit.score for result in results for hit in result.hits), default=0.0)
    return [
        _tile(hit)
        | {
            "rank": hit.rank,
            "search_id": result.search_id,
            "judged": judged.get(hit.item_id, ""),
            "share": relative_score(hit.score, best),
            "score_text": _score_text(hit.score, best),
            "also": [_other(item) for item in find_items(hit.also)] if find_items and hit.also else [],
        }
        for result in results
        for hit in result.hits
    ]


def relative_score(score: float, best: float) -> float:
    """Return a score as a share of the best score of its list, from 0 to 1: the quotient of the two cosines.

    No threshold is used, because the right one differs from query to query.
    """
    if score >= best:
        return 1.0
    return max(0.0, score / best) if best > 0 else 0.0


def draw_gallery(
    tiles: Sequence[Tile],
    *,
    key: str,
    list_id: str,
    label: str,
    handled: Sequence[str],
    on_event: Callable[[Any], None],
    address: str = "",
    actions: Sequence[str] = (),
    has_more: bool = False,
    compact: bool = False,
    scroll: bool = True,
) -> None:
    """Draw the tiles; `on_event` is called with every event that the browser sends, before the page is drawn.

    The browser repeats an event until its id is among `handled`. `list_id` identifies the list: a new one scrolls to
    the top (with `scroll`), the same one keeps its tiles. `address` is the query of the tiles, and comes back with
    every event; `has_more` draws a "Show more" button. `label` is the list's name for screen readers.
    """
    _component(
        key=key,
        data={
            "tiles": list(tiles),
            "list_id": list_id,
            "address": address,
            "handled": list(handled),
            "label": label,
            "actions": list(actions),
            "has_more": has_more,
            "compact": compact,
            "scroll": scroll,
        },
        on_events_change=lambda: pass_on(sent_by(key), on_event),
    )


def sent_by(key: str) -> Any:
    """Return the events that a component sent; None for a component that is no longer on the page.

    Such a component only repeats events that were handled.
    """
    return getattr(st.session_state.get(key), "events", None)


def pass_on(events: Any, on_event: Callable[[Any], None]) -> None:
    """Call `on_event` with each of the events that a component sent, in their order."""
    for event in events if isinstance(events, list) else []:
        on_event(event)


def _other(item: Item) -> Tile:
    return {"id": item.item_id, "title": item.title, "thumb": thumbnail_url(item, 192)}


def _tile(photo: Item | Hit) -> Tile:
    return {
        "id": photo.item_id,
        "title": photo.title,
        "thumb": thumbnail_url(photo, 384),
        "lines": caption_lines(photo.metadata, photo.title),
        "share": None,
        "score_text": "",
        "rank": 0,
        "search_id": "",
        "judged": "",
        "also": [],
    }


def caption_lines(metadata: Mapping[str, Any], title: str = "") -> list[str]:
    """Return up to two short lines below the title: the price, then other text columns.

    Text that the title contains, identifiers and addresses are left out.
    """
    columns = {column.casefold(): column for column in metadata}
    chosen = [columns[name] for name in PRICE_COLUMNS if name in columns]
    chosen += [column for column in metadata if currency_column(column) in metadata and column not in chosen]
    chosen = chosen[:1]
    chosen += [
        column
        for column, value in metadata.items()
        if column not in chosen
        and title_rank(column) is None
        and not is_currency_of(column, metadata)
        and isinstance(value, str)
        and 0 < len(value.strip()) <= LONGEST_LINE
        and value.strip().casefold() not in title.casefold()
        and not is_machine_column(column)
        and not _is_machine_word(value)
    ]
    lines = [readable_cell(column, metadata) for column in chosen]
    return [line for line in lines if line][:LINES]


def _is_machine_word(value: str) -> bool:
    return "/" in value or (len(value) > 20 and " " not in value)


def _score_text(score: float, best: float) -> str:
    return f"{relative_score(score, best):.0%} of the best match here (cosine similarity {score:.3f})"
