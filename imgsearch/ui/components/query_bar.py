"""The query bar component: text, photos, and the query as chips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import MAX_TEXT_CHARS, Query, Term
from imgsearch.core.query_address import regions_url, thumbnail_url, upload_url
from imgsearch.core.records import Item
from imgsearch.ui.components.gallery import pass_on, sent_by
from imgsearch.ui.markup import asset, script
from imgsearch.ui.state.links import Step
from imgsearch.ui.state.session import Session

CHIP_PX = 96
REGION_PX = 768

_component = st.components.v2.component(
    "imgsearch_query_bar", css=asset("query_bar.css"), js=script("events.js", "query_bar.js")
)

FindItem = Callable[[str], Item]


def chips(query: Query, find_item: FindItem) -> list[dict[str, Any]]:
    """Return the chips: every term, then every filter; a removed item is named by its id."""
    pinned = [_term_chip(term, place, find_item) for place, term in enumerate(query.terms)]
    filters = [
        {"kind": "filter", "label": _filter_label(text), "value": text, "index": None, "thumb": ""}
        for text in dict.fromkeys(str(each) for each in query.filters)
    ]
    return pinned + filters


def query_label(query: Query, find_item: FindItem) -> str:
    """Return a short name of the query; "Start" for one without terms."""
    if not query.terms:
        return "Start"
    first = query.terms[0]
    if first.kind == "text":
        name = f"“{first.value!s}”"
    else:
        named = {"upload": "Your photo", "color": f"Colour {first.value!s}"}
        name = named.get(first.kind) or _title(str(first.value), find_item)
    others = len(query.terms) - 1
    return f"{name} +{others}" if others else name


def words_of(query: Query) -> str:
    """Return the text to show in the bar: that of a query which is one text only."""
    texts = [str(term.value) for term in query.terms if term.kind == "text"]
    return texts[0] if len(texts) == len(query.terms) == 1 else ""


def draw_query_bar(
    service: SearchService,
    session: Session,
    query: Query,
    *,
    on_event: Callable[[Any], None],
    trail: Sequence[Step] = (),
    can_undo: bool = False,
    note: str = "",
    has_filters: bool = False,
    choosing: str = "",
) -> None:
    """Draw the bar with `note`, or the session's problem, once; `on_event` is called with each event of the browser.

    The browser repeats an event until its id is among those handled. For every new `choosing` it opens the choice of
    a part of the query's photo, once.
    """
    key = "query_bar"
    problem, session.problem = session.problem, ""
    _component(
        key=key,
        data={
            "handled": list(session.handled),
            "choosing": choosing,
            "text": words_of(query),
            "chips": chips(query, service.catalog.get),
            "trail": [{"to": step.to, "label": step.label} for step in trail],
            "can_undo": can_undo,
            "note": problem or note,
            "note_is_error": bool(problem),
            "placeholder": "Describe it, or add a photo",
            "max_chars": MAX_TEXT_CHARS,
            "filters": has_filters,
            "visitor": session.visitor,
            "max_upload_bytes": service.settings.max_upload_bytes,
        },
        on_events_change=lambda: pass_on(sent_by(key), on_event),
    )


def _term_chip(term: Term, place: int, find_item: FindItem) -> dict[str, Any]:
    region = [] if term.region is None else [round(edge, 4) for edge in term.region]
    chip = {
        "kind": term.kind,
        "label": str(term.value),
        "value": "",
        "index": place,
        "thumb": "",
        "photo": "",
        "regions": "",
    }
    chip |= {"weight": term.weight, "region": region}
    if term.kind == "upload":
        upload_id = str(term.value)
        pictures = {"thumb": upload_url(upload_id, CHIP_PX), "photo": upload_url(upload_id, REGION_PX)}
        return chip | {"label": "Your photo", "regions": regions_url(term)} | pictures
    if term.kind != "item":
        return chip
    try:
        item = find_item(str(term.value))
    except ImgSearchError:
        return chip
    pictures = {"thumb": thumbnail_url(item, CHIP_PX), "photo": thumbnail_url(item, REGION_PX)}
    return chip | {"label": item.title, "regions": regions_url(term)} | pictures


def _title(item_id: str, find_item: FindItem) -> str:
    try:
        return find_item(item_id).title
    except ImgSearchError:
        return item_id


def _filter_label(text: str) -> str:
    for sign in ("!=", ">=", "<=", "=", "~", ">", "<"):
        if sign in text:
            column, value = text.split(sign, 1)
            words = {"=": ":", "~": " contains", ">=": " from", "<=": " to", "!=": " not"}.get(
                sign, f" {sign}"
            )
            return f"{column.strip()}{words} {value.strip()}"
    return text.replace(" in ", ": ", 1).replace("|", ", ")
