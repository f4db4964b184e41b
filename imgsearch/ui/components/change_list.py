"""What was changed lately: who, when, how many items, with a button that undoes it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.store.change_groups import ChangeGroup, change_ids, latest_groups
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.markup import draw_html
from imgsearch.ui.state.callbacks import AttemptOutcome
from imgsearch.ui.state.desk import bulk_words, moment
from imgsearch.ui.wording import counted

GROUPS_AT_ONCE = 30
UNDONE_AT_ONCE = 20
"""More changes are undone after a question only."""

MAX_UNDONE = 100_000
"""The page undoes no more changes than this at once: a first import is no mistake of a click."""

DONE = {
    "add": "added",
    "put": "replaced",
    "patch": "edited",
    "delete": "deleted",
    "restore": "brought back",
    "undo": "changed back",
}

UNDOES = "what they were before comes back"
UNDOING = {
    "add": "they leave the catalog",
    "restore": "they leave the catalog again",
    "delete": "they come back",
}


def draw_changes(service: SearchService, *, actor: str) -> None:
    """Draw the latest changes, the newest first."""
    groups = latest_groups(service.catalog.database, GROUPS_AT_ONCE)
    if not groups:
        ui.message("Nothing was changed yet", "Edits, deletions and imports appear here, and can be undone.")
        return
    ui.line("The latest changes. An item's own history is in its panel in the table.")
    for group in groups:
        with st.container(
            border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            draw_html(
                "change_group",
                what=f"{counted(group.changes, 'item', 'items')} {DONE.get(group.kind, group.kind)}",
                when=moment(group.ended_at),
                who=group.actor or "someone",
                examples=_examples(group),
            )
            if group.changes <= UNDONE_AT_ONCE:
                _draw_undo(service, group, actor, "Undo")
            elif group.changes <= MAX_UNDONE:
                with st.popover("Undo", icon=":material/undo:"):
                    ui.line(f"{counted(group.changes, 'item', 'items')}: {UNDOING.get(group.kind, UNDOES)}.")
                    _draw_undo(service, group, actor, f"Undo {counted(group.changes, 'change', 'changes')}")


def _draw_undo(service: SearchService, group: ChangeGroup, actor: str, label: str) -> None:
    undo = partial(_undo, service, group, actor)
    ui.act(label, f"undo_{group.last}", undo, icon="undo")


def _undo(service: SearchService, group: ChangeGroup, actor: str) -> AttemptOutcome:
    """Undo a group and say what was done: a change stays where its item has changed again since."""
    result = service.bulk.undo_changes(change_ids(service.catalog.database, group), actor=actor)
    return AttemptOutcome(*bulk_words(result)) if result.status != "running" else AttemptOutcome()


def _examples(group: ChangeGroup) -> str:
    shown = ", ".join(group.item_ids)
    return f"{shown}, …" if group.changes > len(group.item_ids) else shown
