"""One visitor's session: their id, the latest searches and verdicts, and the hits already fetched.

It holds small records only, never vectors or photos.
"""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, TypeGuard, TypeVar

import streamlit as st
from cachetools import LRUCache

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult, Verdict
from imgsearch.improve.monitoring.retention import author_name
from imgsearch.ui.state.actions import REMEMBERED_EVENTS, merged
from imgsearch.ui.state.events import BarEvent, GalleryEvent
from imgsearch.ui.state.links import PAGE_SIZE, Step, extend_past, link_of, read_link, to_query

E = TypeVar("E", GalleryEvent, BarEvent)

KEPT_SEARCHES = 20
VISITOR_COOKIE = "imgsearch_visitor"
_VISITOR = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Saving:
    """What the visitor wants to save: an item's id, or the link of a search; and why that failed."""

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
    """What is remembered between two runs of the page.

    A click *requests* a query: the next run writes it to the address bar and draws it.
    """

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
    requested: Query | None = None
    shown: Query | None = None
    last_request: tuple[str, Query] | None = None
    problem: str = ""
    judged: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    searches: MutableMapping[tuple[str, Query, int, int], list[SearchResult]] = field(
        default_factory=lambda: LRUCache(KEPT_SEARCHES)
    )

    def request(self, query: Query, event_id: str = "") -> None:
        """Request a query; with an event's id, again whenever the browser repeats that event (see `accepts`)."""
        self.requested = query
        if event_id:
            self.last_request = event_id, query

    def revise(self, drawn: Query, changed: Query) -> None:
        """Request what a widget changes in the query that it was drawn for; later changes by others stay."""
        with self.lock:
            self.request(merged(self.latest(drawn), drawn, changed))

    def latest(self, drawn: Query) -> Query:
        """Return the query that was requested or shown last, which may be newer than the one that was drawn."""
        return self.requested or self.shown or drawn

    def written(self, query: Query) -> None:
        """Note that a request is in the address bar, unless the next one has replaced it."""
        with self.lock:
            if self.requested is query:
                self.requested = None

    def accepts(self, event: E | None) -> TypeGuard[E]:
        """Return whether an event is new; one that was handled last requests its query again.

        The browser repeats an event, with the old address, until it sees the outcome: without the second request, a
        slow server would go back to that address.
        """
        if event is not None and event.id not in self.handled:
            return True
        if event is not None and self.last_request is not None and self.last_request[0] == event.id:
            self.request(self.last_request[1])
        return False

    def handle(self, event: E | None, act: Callable[[E], None]) -> None:
        """Let `act` handle an event once and completely; its `ImgSearchError` is kept for the query bar."""
        with self.lock:
            if not self.accepts(event):
                return
            try:
                act(event)
            except ImgSearchError as error:
                self.handled = (*self.handled, event.id)[-REMEMBERED_EVENTS:]
                self.problem = str(error)

    def undo(self, event_id: str) -> None:
        """Request the search before the last change, whether that change is drawn yet or not."""
        with self.lock:
            past = self.past
            if self.requested is not None:
                past = extend_past(past, link_of(self.requested))
            if len(past) > 1:
                self.past = past[:-1]
                self.request(read_link(past[-2]), event_id)

    def shuffle(self) -> None:
        """Choose another sample of the catalog."""
        self.seed = random.randrange(2**31)

    def results(self, service: SearchService, query: Query) -> list[SearchResult]:
        """Return the pages of hits that make up the first `query.n`; only missing ones are searched for.

        So a rerun records no second impression, and "Show more" records those of the further hits only.
        """
        with self.lock:
            versions = service.catalog.version, service.rules.version
            key = (service.engine.index.space.id, replace(query, n=PAGE_SIZE, offset=0), *versions)
            pages = self.searches.get(key, [])
            have = sum(len(page.hits) for page in pages)
            exhausted = bool(pages) and len(pages[-1].hits) < pages[-1].query.n
            if have < query.n and not exhausted:
                page = service.search(replace(query, offset=have, n=query.n - have), visitor=self.visitor)
                pages = [*pages, page]
            self.searches[key] = pages
            return pages


def address_query(service: SearchService) -> Query:
    """Return the query in the address bar; raises `ImgSearchError` for a malformed one."""
    params = {name: st.query_params.get_all(name) for name in st.query_params}
    return to_query(params, max_n=service.settings.max_results)


def author() -> str:
    """Return the name under which this visitor's rules and verdicts are stored."""
    return author_name(current_session().visitor)


def current_session() -> Session:
    """Return this visitor's session; the first call makes it."""
    session = st.session_state.get("imgsearch")
    if not isinstance(session, Session):
        cookie = st.context.cookies.get(VISITOR_COOKIE, "")
        known = isinstance(cookie, str) and _VISITOR.fullmatch(cookie)
        visitor = cookie if known else uuid.uuid4().hex
        # The same first screen all day: a returning visitor recognises it, and its thumbnails are cached.
        session = Session(visitor, seed=date.today().toordinal())
        st.session_state["imgsearch"] = session
    return session
