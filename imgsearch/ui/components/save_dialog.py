"""Saving: the dialog that asks which collection an item or a search goes into.

It owns the dialog and the word that it was done; what a collection is, `imgsearch.store.collections` decides.
"""

from __future__ import annotations

from dataclasses import replace
from html import escape

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.store.collections import MAX_NAME, Collection
from imgsearch.ui.markup import plain
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import Saving, Session

__all__ = ["draw_saving", "want_saved"]

SHOWN_WITHOUT_SCROLLING = 6
SCROLLED_PX = 320
NAME = "new_collection_name"


def want_saved(session: Session, saving: Saving) -> None:
    """Ask at the next run which collection something goes into."""
    session.saving = saving


def draw_saving(service: SearchService, session: Session) -> None:
    """Open the dialog where something is to be saved, and say what was; every page with a Save ends with it."""
    notice, session.notice = session.notice, ""
    if notice:
        st.toast(notice, icon=":material/bookmark_added:")
    saving = session.saving
    if saving is None:
        return
    # It stays wanted until it is answered: an event that the browser sends again draws the page, and would close it.
    title = "Save this search" if saving.kind == "query" else "Save to a collection"
    st.dialog(title, on_dismiss=lambda: _forget(session))(_draw)(service, session, saving)


def _forget(session: Session) -> None:
    session.saving = None


def _draw(service: SearchService, session: Session, saving: Saving) -> None:
    mine = service.collections.of(session.visitor)
    if mine:
        many = len(mine) > SHOWN_WITHOUT_SCROLLING
        with st.container(height=SCROLLED_PX if many else "content", border=False):
            for collection in mine:
                _draw_choice(service, session, saving, collection)
    else:
        st.html(
            '<p class="count quiet">A collection keeps photos and searches to come back to or to share.</p>'
        )
    with st.form("new_collection", border=False):
        st.text_input("New collection", max_chars=MAX_NAME, placeholder="Its name", key=NAME)
        st.form_submit_button(
            "Create and save",
            type="primary",
            width="stretch",
            on_click=_create,
            args=(service, session, saving),
        )
    if session.saving is not None and session.saving.problem:
        st.html(f'<p class="problem" role="alert">{escape(session.saving.problem)}</p>')


@in_full
def _create(service: SearchService, session: Session, saving: Saving) -> None:
    try:
        made = service.collections.create(st.session_state[NAME], session.visitor, *_parts(saving))
    except ImgSearchError as error:
        session.saving = replace(saving, problem=str(error))
    else:
        _done(session, f"Saved to the new collection {made.name}.")


def _draw_choice(service: SearchService, session: Session, saving: Saving, collection: Collection) -> None:
    """Draw a button that saves into one collection, or takes out again what is in it."""
    is_in = saving.value in (collection.items if saving.kind == "item" else collection.queries)
    st.button(
        f"{plain(collection.name)} · {len(collection.items) + len(collection.queries):,}",
        key=f"save_into_{collection.id}",
        icon=":material/check:" if is_in else ":material/bookmark_add:",
        help="It is in this collection: take it out again" if is_in else None,
        width="stretch",
        on_click=_choose,
        args=(service, session, saving, collection),
        kwargs={"is_in": is_in},
    )


@in_full
def _choose(
    service: SearchService, session: Session, saving: Saving, collection: Collection, *, is_in: bool
) -> None:
    act = service.collections.discard if is_in else service.collections.add
    try:
        act(collection.id, session.visitor, *_parts(saving))
    except ImgSearchError as error:
        session.saving = replace(saving, problem=str(error))
    else:
        _done(session, f"{'Taken out of' if is_in else 'Saved to'} {collection.name}.")


def _parts(saving: Saving) -> tuple[list[str], list[str]]:
    return ([saving.value], []) if saving.kind == "item" else ([], [saving.value])


def _done(session: Session, notice: str) -> None:
    session.saving, session.notice = None, plain(notice)
    st.rerun()
