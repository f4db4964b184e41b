"""The Save dialog: the collection that an item or a search goes into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.store.collections import MAX_NAME, Collection
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import plain
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import Saving, Session

SHOWN_WITHOUT_SCROLLING = 6
SCROLLED_PX = 320
NAME = "new_collection_name"


def open_save_dialog(session: Session, saving: Saving) -> None:
    """Open the dialog in the next run."""
    session.saving = saving


def draw_save_dialog(service: SearchService, session: Session) -> None:
    """Draw the dialog where it is open, and what was saved; every page with a Save button ends with it."""
    notice, session.notice = session.notice, ""
    if notice:
        st.toast(plain(notice), icon=":material/bookmark_added:")
    saving = session.saving
    if saving is None:
        return
    # It stays open until it is answered: an event that the browser repeats draws the page again.
    title = "Save this search" if saving.kind == "query" else "Save to a collection"
    st.dialog(title, on_dismiss=lambda: _close(session))(_draw)(service, session, saving)


def _close(session: Session, notice: str = "") -> None:
    session.saving, session.notice = None, notice


def _draw(service: SearchService, session: Session, saving: Saving) -> None:
    mine = service.collections.of(session.visitor)
    if mine:
        many = len(mine) > SHOWN_WITHOUT_SCROLLING
        with st.container(height=SCROLLED_PX if many else "content", border=False):
            for collection in mine:
                _draw_choice(service, session, saving, collection)
    else:
        ui.line("A collection keeps photos and searches, to come back to or to share.")
    with st.form("new_collection", border=False):
        st.text_input("New collection", max_chars=MAX_NAME, placeholder="Name", key=NAME)
        st.form_submit_button(
            "Create and save",
            type="primary",
            width="stretch",
            on_click=_save,
            args=(session, saving, lambda: _create(service, session, saving)),
        )
    if session.saving is not None:
        ui.problem(session.saving.problem)


def _draw_choice(service: SearchService, session: Session, saving: Saving, collection: Collection) -> None:
    """Draw a button that saves to one collection, or removes what is in it."""
    is_in = saving.value in (collection.items if saving.kind == "item" else collection.queries)

    def change() -> str:
        act = service.collections.discard if is_in else service.collections.add
        act(collection.id, session.visitor, *_parts(saving))
        return f"{'Removed from' if is_in else 'Saved to'} {collection.name}."

    ui.button(
        f"{plain(collection.name)} · {len(collection.items) + len(collection.queries):,}",
        f"save_into_{collection.id}",
        _save,
        session,
        saving,
        change,
        icon="check" if is_in else "bookmark_add",
        help="Already in this collection; press to remove it" if is_in else None,
        width="stretch",
    )


def _create(service: SearchService, session: Session, saving: Saving) -> str:
    made = service.collections.create(st.session_state[NAME], session.visitor, *_parts(saving))
    return f"Saved to the new collection {made.name}."


@in_full
def _save(session: Session, saving: Saving, change: Callable[[], str]) -> None:
    """Make a change, and close the dialog with its notice; or keep it open and say what went wrong."""
    try:
        notice = change()
    except ImgSearchError as error:
        session.saving = replace(saving, problem=str(error))
    else:
        _close(session, notice)
        st.rerun()


def _parts(saving: Saving) -> tuple[list[str], list[str]]:
    return ([saving.value], []) if saving.kind == "item" else ([], [saving.value])
