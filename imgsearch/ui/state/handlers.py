"""What the events of the gallery and the query bar do: stored in feedback, and requested for the next run.

Streamlit gives up a run at any of its calls when a newer click waits. So these functions call nothing of Streamlit
and hold the session's lock: an event is handled completely and once. They were drawn for a query that may be older
than the latest request; a click changes the latest query.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imgsearch.app.service import SearchService
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment
from imgsearch.ui.state.actions import EventOutcome, PageState, apply_bar_event, apply_event, merged
from imgsearch.ui.state.events import BarEvent, GalleryEvent
from imgsearch.ui.state.links import LinkedQuery, read_link
from imgsearch.ui.state.session import Details, Saving, Session


def below_search(linked: LinkedQuery) -> str:
    """Return what the Search page shows below an item's dialog (see `Details.below`)."""
    return f"search {linked.link}"


def handle_gallery_event(service: SearchService, session: Session, raw: Any) -> None:
    """Apply an action on a tile of the Search page."""

    def act(event: GalleryEvent) -> None:
        query = read_link(event.address, max_n=service.settings.max_results)
        key = query_key(service.words.searched(query))
        before = PageState(query, session.judged.get(key, {}), handled=session.handled)
        outcome = apply_event(before, event)
        _record(service, session, key, outcome, event.search_id)
        state = outcome.state
        session.handled = state.handled
        below = below_search(LinkedQuery.of(query))
        session.details = Details(state.details, below) if state.details is not None else None
        session.choosing = event.id if event.action == "part" else ""
        if state.saving is not None:
            session.saving = Saving("item", state.saving)
        if state.query != query:
            latest = session.latest(query)
            if event.action in {"more", "less"}:  # an item that a click just before has added stays
                changed = apply_event(PageState(latest), event).state.query
            else:
                changed = merged(latest, query, state.query)
            session.request(replace(changed, n=min(changed.n, service.settings.max_results)), event.id)

    session.handle(GalleryEvent.parse(raw), act)


def _record(
    service: SearchService, session: Session, key: str, outcome: EventOutcome, search_id: str
) -> None:
    if outcome.click is not None:
        click = outcome.click
        service.record_click(
            search_id=click.search_id,
            item_id=click.item_id,
            rank=click.rank,
            visitor=session.visitor,
            action=click.action,
        )
    if outcome.judged is not None:
        item_id, verdict = outcome.judged
        service.record_judgment(
            Judgment(key, item_id, verdict, labeler=session.visitor, search_id=search_id or None)
        )
        session.judged[key] = dict(outcome.state.judged)


def handle_bar_event(service: SearchService, session: Session, query: Query, raw: Any) -> None:
    """Apply an action in the query bar, which was drawn for `query`."""

    def act(event: BarEvent) -> None:
        before = PageState(query, handled=session.handled)
        state = apply_bar_event(before, event, keep_upload=service.engine.uploads.add)
        session.handled, session.choosing = state.handled, ""
        if event.kind == "undo":
            session.undo(event.id)
        elif event.kind in {"clear", "go"}:
            session.request(state.query, event.id)
        else:
            session.request(merged(session.latest(query), query, state.query), event.id)

    session.handle(BarEvent.parse(raw), act)
