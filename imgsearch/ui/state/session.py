"""One visitor's session: who it is, the way here, the verdicts given and the results already fetched.

It owns what lives in Streamlit's session state (small records only, never vectors or pictures), and that one
distinct search is asked of the service once, however often the page is drawn.
"""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, TypeGuard, TypeVar
from urllib.parse import parse_qs

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult, Verdict
from imgsearch.improve.monitoring.visitor_data import author_name
from imgsearch.ui.state.actions import (
    REMEMBERED_EVENTS,
    BarEvent,
    GalleryEvent,
    Step,
    address,
    extend_past,
    merged,
    to_query,
)

__all__ = ["Details", "Saving", "Session", "address_query", "author", "current_session"]

E = TypeVar("E", GalleryEvent, BarEvent)

KEPT_SEARCHES = 20
VISITOR_COOKIE = "imgsearch_visitor"
_VISITOR = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Saving:
    """What the visitor wants to save: an item's id, or the query string of a search; and why that did not work."""

    kind: Literal["item", "query"]
    value: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """The item whose dialog is open, and what the page below showed when it was opened."""

    item_id: str
    below: str


@dataclass
class Session:
    """What is remembered between two runs of the page."""

    visitor: str
    seed: int
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)
    trail: tuple[Step, ...] = ()
    past: tuple[str, ...] = ()
    handled: tuple[str, ...] = ()
    details: Details | None = None
    saving: Saving | None = None
    notice: str = ""
    leave_dialog: bool = False
    choosing: str = ""
    wanted: Query | None = None
    shown: Query | None = None
    asked: tuple[str, Query] | None = None
    problem: str = ""
    judged: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    searches: OrderedDict[tuple[str, int, int], list[SearchResult]] = field(default_factory=OrderedDict)

    def want(self, query: Query) -> None:
        """Ask for a query: the next run writes it to the address bar and draws it."""
        self.wanted = query

    def revise(self, drawn: Query, wanted: Query) -> None:
        """Ask for what a widget changes in the query that it was drawn for; what has changed since then stays."""
        with self.lock:
            self.want(merged(self.latest(drawn), drawn, wanted))

    def latest(self, drawn: Query) -> Query:
        """Return what was asked for or shown last, which may be newer than the query that was drawn."""
        return self.wanted or self.shown or drawn

    def granted(self, wanted: Query) -> None:
        """Take a wish as written to the address bar, unless the next one has overtaken it."""
        with self.lock:
            if self.wanted is wanted:
                self.wanted = None

    def ask(self, event_id: str, query: Query) -> None:
        """Ask for what an event leads to, again where the browser sends that event again (`ask_again`)."""
        self.asked = event_id, query
        self.want(query)

    def ask_again(self, event_id: str) -> None:
        """Ask for the same again if it was this event that asked last.

        Until the browser sees what came of an event it sends it once more, with the address from before, which a
        slow server would else go back to.
        """
        if self.asked is not None and self.asked[0] == event_id:
            self.want(self.asked[1])

    def takes(self, event: E | None) -> TypeGuard[E]:
        """Tell whether an event is to be handled; where it was, ask again for what it led to."""
        if event is not None and event.id not in self.handled:
            return True
        self.ask_again(event.id if event is not None else "")
        return False

    def undo(self, event_id: str) -> None:
        """Ask for the search before the last change, one that is asked for but not yet drawn included."""
        with self.lock:
            past = extend_past(self.past, address(self.wanted)) if self.wanted is not None else self.past
            if len(past) > 1:
                self.past = past[:-1]
                self.ask(event_id, to_query(parse_qs(past[-2])))

    def shuffle(self) -> None:
        """Ask for another sample of the catalog."""
        self.seed = random.randrange(2**31)

    def fail(self, event_id: str, error: ImgSearchError) -> None:
        """Take an event as handled, and keep what went wrong to be told in the query bar."""
        self.handled = (*self.handled, event_id)[-REMEMBERED_EVENTS:]
        self.problem = str(error)

    def results(self, service: SearchService, query: Query) -> list[SearchResult]:
        """Return the pages of hits that make up the first `query.n`, asking the service only for what is new.

        So a rerun records no second impression, and "show more" records those of the further hits only.
        """
        with self.lock:
            versions = service.catalog.version, service.rules.version
            key = (f"{service.engine.index.space.id} {address(query)}", *versions)
            pages = self.searches.get(key, [])
            have = sum(len(page.hits) for page in pages)
            exhausted = bool(pages) and len(pages[-1].hits) < pages[-1].query.n
            if have < query.n and not exhausted:
                page = service.search(replace(query, offset=have, n=query.n - have), visitor=self.visitor)
                pages = [*pages, page]
            self.searches[key] = pages
            self.searches.move_to_end(key)
            while len(self.searches) > KEPT_SEARCHES:
                self.searches.popitem(last=False)
            return pages


def address_query(service: SearchService) -> Query:
    """Return the query that the address bar says; raises `ImgSearchError` for one that cannot be."""
    params = {name: st.query_params.get_all(name) for name in st.query_params}
    return to_query(params, max_n=service.settings.max_results)


def author() -> str:
    """Return the name under which this visitor's rules and verdicts are stored."""
    return author_name(current_session().visitor)


def current_session() -> Session:
    """Return this visitor's session, beginning one at the first call."""
    session = st.session_state.get("imgsearch")
    if not isinstance(session, Session):
        cookie = st.context.cookies.get(VISITOR_COOKIE, "")
        known = isinstance(cookie, str) and _VISITOR.fullmatch(cookie)
        visitor = cookie if known else uuid.uuid4().hex
        # The same first screen all day: a visitor who comes back sees what was there, and thumbnails are cached.
        session = Session(visitor, seed=date.today().toordinal())
        st.session_state["imgsearch"] = session
    return session
