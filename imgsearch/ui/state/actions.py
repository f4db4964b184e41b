"""What each action on the Search page does to its state, as plain functions without Streamlit and without a service.

What must be stored (an upload, a click, a verdict) is returned, or passed to a given function.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from imgsearch.core.errors import ImageError, QueryError
from imgsearch.core.query import Filter, Query, Term
from imgsearch.core.query_address import LESS_WEIGHT, MORE_WEIGHT, parse_region, parse_weight
from imgsearch.core.records import Verdict
from imgsearch.ui.state.events import BarEvent, GalleryEvent
from imgsearch.ui.state.links import PAGE_SIZE, START, read_link

REMEMBERED_EVENTS = 100


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
class EventOutcome:
    """The next state, and what feedback records: the event that is a click on a hit, an item with its verdict."""

    state: PageState
    click: GalleryEvent | None = None
    judged: tuple[str, Verdict] | None = None


def apply_event(state: PageState, event: GalleryEvent) -> EventOutcome:
    """Return the outcome of an action on a tile; an event that was handled before changes nothing.

    `open` searches for items similar to this one alone (filters stay), and so does `part`, after which the visitor
    chooses a region. `more` and `less` add the item to the query, or change its sign there. `next` shows more hits. A
    second `good` or `bad` withdraws the first (`cant_tell`).
    """
    if event.id in state.handled:
        return EventOutcome(state)
    state = replace(state, details=None, saving=None, handled=(*state.handled, event.id)[-REMEMBERED_EVENTS:])
    click = event if event.search_id and event.item_id else None
    match event.action:
        case "open" | "part":
            return EventOutcome(_search(state, (Term("item", event.item_id),)), click)
        case "more":
            return EventOutcome(_search(state, _with_item(state.query, event.item_id, MORE_WEIGHT)), click)
        case "less":
            return EventOutcome(_search(state, _with_item(state.query, event.item_id, LESS_WEIGHT)), click)
        case "next":
            return EventOutcome(replace(state, query=replace(state.query, n=state.query.n + PAGE_SIZE)))
        case "details":
            return EventOutcome(replace(state, details=event.item_id), click)
        case "save":
            return EventOutcome(replace(state, saving=event.item_id), click)
        case "remove":
            return EventOutcome(state)
        case "good" | "bad":
            verdict: Verdict = (
                "cant_tell" if state.judged.get(event.item_id) == event.action else event.action
            )
            judged = {**state.judged, event.item_id: verdict}
            return EventOutcome(replace(state, judged=judged), judged=(event.item_id, verdict))


def apply_bar_event(state: PageState, event: BarEvent, *, keep_upload: Callable[[bytes], str]) -> PageState:
    """Return the outcome of an action in the query bar; `keep_upload` stores a photo and returns its id.

    Words and photos start a new search; `refine` adds words to the present one. Filters stay, unless removed.
    Raises `ImgSearchError` for a photo or a link that cannot be used.
    """
    if event.id in state.handled:
        return state
    seen = replace(state, details=None, handled=(*state.handled, event.id)[-REMEMBERED_EVENTS:])
    query = state.query
    match event.kind:
        case "text" | "refine":
            if not event.value.strip():
                return seen
            before = query.terms if event.kind == "refine" else ()
            return _search(seen, (*before, Term("text", event.value)))
        case "picture":
            return _search(seen, (Term("upload", keep_upload(_decode(event.value))),))
        case "remove" if event.index is None:
            kept = tuple(each for each in query.filters if str(each) != event.value)
            return replace(seen, query=replace(query, filters=kept, n=PAGE_SIZE))
        case "remove":
            terms = tuple(term for place, term in enumerate(query.terms) if place != event.index)
            return _search(seen, _with_positive(terms))
        case "adjust":
            return _adjusted(seen, event)
        case "clear":
            return replace(seen, query=START, judged={})
        case "go":
            return replace(seen, query=read_link(event.value), judged={})
    return seen


def with_column_filters(query: Query, column: str, filters: Sequence[Filter]) -> Query:
    """Return the query with its filters on `column` replaced, from its first page on."""
    others = tuple(each for each in query.filters if each.column.casefold() != column.casefold())
    return replace(query, filters=(*others, *filters), n=PAGE_SIZE)


def merged(latest: Query, drawn: Query, changed: Query) -> Query:
    """Return `latest` with what `changed` changes in `drawn`, the query that a widget was drawn for.

    So two quick clicks both count, though the second one's widget was drawn before the first. Filters are compared
    column by column, an emphasis part by part, everything else as a whole.
    """
    changes = {
        each.name: getattr(changed, each.name)
        for each in fields(Query)
        if getattr(changed, each.name) != getattr(drawn, each.name)
    }
    if "emphasis" in changes:
        parts = asdict(changed.emphasis).items() - asdict(drawn.emphasis).items()
        changes["emphasis"] = replace(latest.emphasis, **dict(parts))
    if "filters" in changes:
        touched = {each.column.casefold() for each in (*drawn.filters, *changed.filters)}
        touched = {column for column in touched if _on(drawn, column) != _on(changed, column)}
        others = [each for each in latest.filters if each.column.casefold() not in touched]
        changes["filters"] = (
            *others,
            *(each for each in changed.filters if each.column.casefold() in touched),
        )
    return replace(latest, **changes)


def _on(query: Query, column: str) -> list[Filter]:
    return [each for each in query.filters if each.column.casefold() == column]


def _with_item(query: Query, item_id: str, weight: float) -> tuple[Term, ...]:
    """Return the query's terms with an item of a weight, in place of the same item with another one."""
    others = tuple(
        term
        for term in query.terms
        if not (term.kind == "item" and term.value == item_id and term.weight != 1.0)
    )
    if not others and weight > 0:
        weight = 1.0
    return (*others, Term("item", item_id, weight))


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
        raise QueryError("The search has only parts to avoid: raise the weight of one part above 0.")
    return _search(state, tuple(terms))


def _search(state: PageState, terms: tuple[Term, ...]) -> PageState:
    query = replace(state.query, terms=terms, n=PAGE_SIZE, offset=0)
    if _texts(terms) != _texts(state.query.terms):
        # The visitor has not rejected a correction of the new text.
        query = replace(query, spelling="correct")
    return replace(state, query=query, judged={})


def _texts(terms: Sequence[Term]) -> list[str | bytes]:
    return [term.value for term in terms if term.kind == "text"]


def _with_positive(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Return the terms, or none where all weights are negative: such a query looks for nothing."""
    return terms if any(term.weight > 0 for term in terms) else ()


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("The photo did not arrive completely; try again.") from None
    if not data:
        raise ImageError("The photo is an empty file; choose another one.")
    return data
