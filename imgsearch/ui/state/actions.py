"""What a visitor can do on the search page, as plain functions from one state to the next.

It owns the meaning of every click, key and form of the page. It knows no Streamlit and no service: what must be
stored (an upload, a click, a judgment) is handed back or asked of a callable. Everything that comes from the
browser is untrusted and parsed here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args
from urllib.parse import parse_qs

from imgsearch.core.errors import ImageError, QueryError
from imgsearch.core.query import Filter, Query, Term
from imgsearch.core.query_address import (
    LESS_WEIGHT,
    MORE_WEIGHT,
    parse_region,
    parse_weight,
    query_from_params,
    query_string,
    query_to_params,
)
from imgsearch.core.records import Verdict

__all__ = [
    "NOTHING",
    "PAGE_SIZE",
    "REMEMBERED_EVENTS",
    "BarEvent",
    "Click",
    "GalleryEvent",
    "Outcome",
    "PageState",
    "Step",
    "address",
    "apply_bar_event",
    "apply_event",
    "extend_past",
    "extend_trail",
    "merged",
    "to_address",
    "to_params",
    "to_query",
    "with_column_filters",
]

PAGE_SIZE = 24
"""Hits at first and by every "show more": full rows in two, three, four and six columns."""
NOTHING = Query((), n=PAGE_SIZE, duplicates="collapse")
"""The query of the first screen, a sample of the whole catalog, and with it what the page takes for usual."""
TRAIL_LENGTH = 12
PAST_LENGTH = 50
REMEMBERED_EVENTS = 100

GalleryAction = Literal["open", "good", "bad", "more", "less", "save", "take_out", "details", "next", "part"]
BarKind = Literal["text", "refine", "picture", "remove", "adjust", "clear", "go", "undo"]


@dataclass(frozen=True, slots=True)
class GalleryEvent:
    """One action on one tile, or `next`: more tiles.

    `address` is the query string of the list that the tile is in: the page may show another one by the time the
    event arrives. `rank` and `search_id` are 0 and empty where the tile is no search hit.
    """

    id: str
    action: GalleryAction
    item_id: str
    address: str = ""
    rank: int = 0
    search_id: str = ""

    @staticmethod
    def parse(raw: Any) -> GalleryEvent | None:
        """Return the event that the browser sent, or None for anything malformed."""
        if not isinstance(raw, Mapping) or raw.get("action") not in get_args(GalleryAction):
            return None
        event_id, item_id = raw.get("id"), raw.get("item_id")
        address, search_id, rank = raw.get("address") or "", raw.get("search_id") or "", raw.get("rank") or 0
        if not (isinstance(event_id, str) and isinstance(item_id, str)):
            return None
        if not (isinstance(search_id, str) and isinstance(address, str)):
            return None
        if not event_id or not (item_id or raw["action"] == "next") or not isinstance(rank, int) or rank < 0:
            return None
        return GalleryEvent(event_id, raw["action"], item_id, address, rank, search_id)


@dataclass(frozen=True, slots=True)
class BarEvent:
    """One action in the query bar.

    `value` is the words (`text`, `refine`), the picture in base64 (`picture`), the query string to go to (`go`), a
    term's new weight and region (`adjust`: `weight@left,top,right,bottom`, nothing behind the @ for the whole photo),
    or the text of a filter to remove; `index` is the place of the term that is changed or removed, or None.
    """

    id: str
    kind: BarKind
    value: str = ""
    index: int | None = None

    @staticmethod
    def parse(raw: Any) -> BarEvent | None:
        """Return the event that the browser sent, or None for anything malformed."""
        if not isinstance(raw, Mapping) or raw.get("kind") not in get_args(BarKind):
            return None
        value = raw.get("data") if raw["kind"] == "picture" else raw.get("value") or ""
        index = raw.get("index")
        if not isinstance(raw.get("id"), str) or not raw["id"] or not isinstance(value, str):
            return None
        if index is not None and not isinstance(index, int):
            return None
        return BarEvent(raw["id"], raw["kind"], value, index)


@dataclass(frozen=True, slots=True)
class PageState:
    """What the page shows: the query of the address bar, this visitor's verdicts on its hits, an open or saved item.

    `judged` maps item ids to verdicts for the present query only; `handled` holds the ids of the latest events.
    """

    query: Query
    judged: Mapping[str, Verdict] = field(default_factory=dict)
    details: str | None = None
    handled: tuple[str, ...] = ()
    saving: str | None = None


@dataclass(frozen=True, slots=True)
class Click:
    """A click on a hit, to be recorded."""

    search_id: str
    item_id: str
    rank: int
    action: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state, and what the feedback should note."""

    state: PageState
    click: Click | None = None
    judged: tuple[str, Verdict] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One search on the way here: its query string and a short name."""

    to: str
    label: str


def to_query(params: Mapping[str, Sequence[str]], *, max_n: int = 500) -> Query:
    """Return the query of the address bar; raises `QueryError` or `FilterError`."""
    return query_from_params(params, default_n=PAGE_SIZE, max_n=max_n, default_duplicates=NOTHING.duplicates)


def to_params(query: Query) -> dict[str, list[str]]:
    """Return the address bar's parameters for a query."""
    return query_to_params(query, default_n=PAGE_SIZE, default_duplicates=NOTHING.duplicates)


def to_address(query: Query) -> str:
    """Return the query string of a query as it is shown, with the number of its hits."""
    return query_string(query, default_n=PAGE_SIZE, default_duplicates=NOTHING.duplicates)


def apply_event(state: PageState, event: GalleryEvent) -> Outcome:
    """Return what an action on a tile leads to; an event that was handled before changes nothing.

    `open` asks for look-alikes of the photo alone (the filters stay), and so does `part`, of which the visitor is to
    choose a part; `more` and `less` add it to the query, or
    change its sign there; `next` asks for more hits of the same query. A
    second `good` or `bad` takes the first one back (`cant_tell`).
    """
    if event.id in state.handled:
        return Outcome(state)
    state = replace(state, details=None, saving=None, handled=(*state.handled, event.id)[-REMEMBERED_EVENTS:])
    is_click = event.search_id and event.item_id
    click = Click(event.search_id, event.item_id, event.rank, event.action) if is_click else None
    match event.action:
        case "open" | "part":
            return Outcome(_ask(state, (Term("item", event.item_id),)), click)
        case "more" | "less":
            weight = MORE_WEIGHT if event.action == "more" else LESS_WEIGHT
            others = tuple(
                term
                for term in state.query.terms
                if not (term.kind == "item" and term.value == event.item_id and term.weight != 1.0)
            )
            if not others and weight > 0:
                weight = 1.0
            return Outcome(_ask(state, (*others, Term("item", event.item_id, weight))), click)
        case "next":
            return Outcome(replace(state, query=replace(state.query, n=state.query.n + PAGE_SIZE)))
        case "details":
            return Outcome(replace(state, details=event.item_id), click)
        case "save":
            return Outcome(replace(state, saving=event.item_id), click)
        case "take_out":
            return Outcome(state)
        case "good" | "bad":
            verdict: Verdict = event.action
            if state.judged.get(event.item_id) == verdict:
                verdict = "cant_tell"
            judged = {**state.judged, event.item_id: verdict}
            return Outcome(replace(state, judged=judged), judged=(event.item_id, verdict))


def apply_bar_event(state: PageState, event: BarEvent, *, keep_upload: Callable[[bytes], str]) -> PageState:
    """Return what an action in the query bar leads to; `keep_upload` stores a picture and returns its id.

    Words and pictures start a new search; `refine` adds words to the present one. Filters stay, unless removed.
    Raises `ImgSearchError` where a picture or a link cannot be used: the state stays as it was.
    """
    if event.id in state.handled:
        return state
    seen = replace(state, details=None, handled=(*state.handled, event.id)[-REMEMBERED_EVENTS:])
    query = state.query
    match event.kind:
        case "text":
            return _ask(seen, (Term("text", event.value),)) if event.value.strip() else seen
        case "refine":
            return _ask(seen, (*query.terms, Term("text", event.value))) if event.value.strip() else seen
        case "picture":
            return _ask(seen, (Term("upload", keep_upload(_decode(event.value))),))
        case "remove" if event.index is None:
            kept = tuple(each for each in query.filters if str(each) != event.value)
            return replace(seen, query=replace(query, filters=kept, n=PAGE_SIZE))
        case "remove":
            terms = tuple(term for place, term in enumerate(query.terms) if place != event.index)
            return _ask(seen, _with_positive(terms))
        case "adjust":
            return _adjusted(seen, event)
        case "clear":
            return replace(seen, query=NOTHING, judged={})
        case "go":
            return replace(seen, query=to_query(parse_qs(event.value)), judged={})
    return seen


def with_column_filters(query: Query, column: str, filters: Sequence[Filter]) -> Query:
    """Return the query with its filters on `column` replaced, from its first page on."""
    others = tuple(each for each in query.filters if each.column.casefold() != column.casefold())
    return replace(query, filters=(*others, *filters), n=PAGE_SIZE)


def merged(latest: Query, drawn: Query, wanted: Query) -> Query:
    """Return `latest` with what `wanted` changes of `drawn`, the query that a widget was drawn for.

    So two quick clicks both count, though the second one's widget was drawn before the first. Filters are compared
    column by column, an emphasis part by part, everything else as a whole.
    """
    changed = {
        each.name: getattr(wanted, each.name)
        for each in fields(Query)
        if getattr(wanted, each.name) != getattr(drawn, each.name)
    }
    if "emphasis" in changed:
        parts = asdict(wanted.emphasis).items() - asdict(drawn.emphasis).items()
        changed["emphasis"] = replace(latest.emphasis, **dict(parts))
    if "filters" in changed:
        touched = {each.column.casefold() for each in (*drawn.filters, *wanted.filters)}
        touched = {column for column in touched if _of(drawn, column) != _of(wanted, column)}
        others = [each for each in latest.filters if each.column.casefold() not in touched]
        changed["filters"] = (
            *others,
            *(each for each in wanted.filters if each.column.casefold() in touched),
        )
    return replace(latest, **changed)


def _of(query: Query, column: str) -> list[Filter]:
    return [each for each in query.filters if each.column.casefold() == column]


def extend_trail(trail: Sequence[Step], step: Step) -> tuple[Step, ...]:
    """Return the way to the present search; one that was there before is gone back to, not repeated."""
    for place, earlier in enumerate(trail):
        if earlier.to == step.to:
            return (*trail[:place], step)
    return (*trail, step)[-TRAIL_LENGTH:]


def extend_past(past: Sequence[str], to: str) -> tuple[str, ...]:
    """Return the addresses that were shown one after the other, the present one last; staying is no step."""
    return tuple(past) if past and past[-1] == to else (*past, to)[-PAST_LENGTH:]


def address(query: Query) -> str:
    """Return the query string that reopens the query, however many hits of it were shown."""
    return to_address(replace(query, n=PAGE_SIZE))


def _adjusted(state: PageState, event: BarEvent) -> PageState:
    """Return the state with one term's weight and region changed; unchanged where there is no such term."""
    terms = list(state.query.terms)
    if event.index is None or not 0 <= event.index < len(terms):
        return state
    weight, _, region = event.value.partition("@")
    terms[event.index] = replace(
        terms[event.index], weight=parse_weight(weight), region=parse_region(region) if region else None
    )
    if not _with_positive(tuple(terms)):
        raise QueryError(
            "At least one part of the search must say what to look for: raise its weight above 0."
        )
    return _ask(state, tuple(terms))


def _ask(state: PageState, terms: tuple[Term, ...]) -> PageState:
    query = replace(state.query, terms=terms, n=PAGE_SIZE, offset=0)
    if _texts(terms) != _texts(state.query.terms):  # other words were not insisted on yet
        query = replace(query, spelling="correct")
    return replace(state, query=query, judged={})


def _texts(terms: Sequence[Term]) -> list[str | bytes]:
    return [term.value for term in terms if term.kind == "text"]


def _with_positive(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Return the terms; where only photos to avoid are left, there is nothing to look for: none."""
    return terms if any(term.weight > 0 for term in terms) else ()


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("The picture did not arrive whole; try it again.") from None
    if not data:
        raise ImageError("The picture is empty; choose another one.")
    return data
