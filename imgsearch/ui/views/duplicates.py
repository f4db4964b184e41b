"""The Duplicates page: groups of near-identical photos, and which of them are hidden.

Searching for duplicates is a background job, hiding is a rule, and "Not duplicates" is stored as a verdict.
"""

from __future__ import annotations

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.records import Item
from imgsearch.search.ranking.duplicates import DuplicateGroup
from imgsearch.search.ranking.rules import Rule
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.jobs import draw_job
from imgsearch.ui.markup import draw_html, draw_style
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import author

GROUPS_AT_ONCE = 10
PHOTOS_AT_ONCE = 12


def draw() -> None:
    """Draw the page."""
    service = get_service()
    draw_style("merchandising.css")
    ui.heading(
        "Duplicates",
        "Copies of the same photo: resized, recompressed, slightly cropped, with a border, brighter or mirrored. "
        "Search results show one of each group; here you choose which ones to hide for good.",
    )
    if ui.no_items(service):
        return
    ui.outcome()
    running = service.duplicate_search.running
    if not running:
        _draw_job(service)
    state = service.duplicates.state()
    shown = st.session_state.setdefault("duplicates_shown", GROUPS_AT_ONCE)
    total, groups = service.duplicates.list_groups(limit=shown)
    _draw_actions(service, total, state.compared, state.waiting, running=running)
    if not groups and not running:
        if state.waiting:
            ui.message(
                "No search for duplicates yet",
                "Press Find duplicates: every photo is compared with its nearest neighbours, in the background.",
            )
        else:
            ui.message("No duplicates", "Every photo was compared with its nearest neighbours; all differ.")
        return
    hidden = set(service.rules.hidden_keys().tolist())
    for group in groups:
        _draw_group(service, group, hidden)
    if total > len(groups):
        ui.button("Show more", "more_groups", _show_more)


def _draw_job(service: SearchService) -> None:
    draw_job(
        service.duplicate_search,
        unit="photos",
        after_stop="the groups found so far are kept, and the next search continues from there",
    )


def _draw_actions(service: SearchService, total: int, compared: int, waiting: int, *, running: bool) -> None:
    text = f"{total:,} {'group' if total == 1 else 'groups'} among {compared:,} photos"
    if waiting:
        text += f", {waiting:,} not compared yet"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        ui.line(text, "count", role="status")
        if running:
            _draw_job(service)  # in the button's place, so that its end moves no group under the pointer
            return
        ui.act(
            "Find duplicates" if waiting else "Search again",
            "find_duplicates" if waiting else "find_duplicates_again",
            lambda: service.start_duplicate_search(again=not waiting),
            type="primary" if waiting else "secondary",
            icon="difference" if waiting else "refresh",
        )


def _draw_group(service: SearchService, group: DuplicateGroup, hidden: set[int]) -> None:
    first = group.items[0]
    ids = [item.item_id for item in group.items]
    with st.container(border=True, key=f"group_{first.key}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            draw_html("duplicate_reason", group=group)
            ui.act(
                "Not duplicates",
                f"different_{first.key}",
                lambda: service.duplicates.reject(ids, author=author()),
                icon="call_split",
                help="Show these photos separately from now on.",
            )
        with st.container(horizontal=True, gap="small"):
            for item in group.items[:PHOTOS_AT_ONCE]:
                with st.container(width=150):
                    _draw_photo(service, item, is_hidden=item.key in hidden)
        if len(group.items) > PHOTOS_AT_ONCE:
            ui.line(f"and {len(group.items) - PHOTOS_AT_ONCE:,} more")


def _draw_photo(service: SearchService, item: Item, *, is_hidden: bool) -> None:
    draw_html("twin", item=item, is_hidden=is_hidden)
    if not is_hidden:
        rule = Rule("hide", (item.item_id,), note="a duplicate")
        ui.act(
            "Hide",
            f"hide_{item.key}",
            lambda: service.rules.save(rule, author=author()),
            icon="visibility_off",
            width="stretch",
        )
        return
    own = [
        rule
        for rule in service.rules.all()
        if rule.enabled and rule.action == "hide" and rule.item_ids == (item.item_id,)
    ]
    ui.act(
        "Show again" if own else "Hidden by a rule",
        f"show_{item.key}",
        lambda: [service.rules.switch(rule.rule_id, on=False, author=author()) for rule in own],
        icon="visibility",
        width="stretch",
        disabled=not own,
    )


@in_full
def _show_more() -> None:
    st.session_state["duplicates_shown"] += GROUPS_AT_ONCE
