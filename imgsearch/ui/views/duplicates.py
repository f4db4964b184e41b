"""The Duplicates page: groups of photos that are one photo, and what is to become of each.

It owns the drawing; looking for duplicates is a background job of the service, hiding is a rule, and "not duplicates"
a verdict that is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query_address import thumbnail_url
from imgsearch.core.records import Item
from imgsearch.improve.monitoring.retention import author_name
from imgsearch.search.ranking.duplicates import DuplicateGroup
from imgsearch.search.ranking.rules import Rule
from imgsearch.ui.components.messages import draw_job_end, draw_message, draw_no_items
from imgsearch.ui.state.callbacks import in_full
from imgsearch.ui.state.session import current_session

__all__ = ["draw"]

GROUPS_AT_ONCE = 10
PHOTOS_AT_ONCE = 12
WATCH_EVERY_S = 0.7
PROBLEM = "duplicates_problem"
STYLE = """
.twin img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 12px;
    background: color-mix(in srgb, currentColor 5%, transparent); }
.twin.hidden img { opacity: 0.35; }
.twin { margin: 0; }
.twin figcaption { margin-top: 0.35rem; font-size: 0.86rem; line-height: 1.3; overflow-wrap: anywhere; }
.twin .quiet { display: block; opacity: 0.75; font-size: 0.78rem; }
"""


def draw() -> None:
    """Draw the page."""
    service = get_service()
    st.html(f"<style>{STYLE}</style>")
    st.html(
        '<header class="page-head"><h1>Duplicates</h1>'
        '<p class="quiet">Photos that are one photo: resized, recompressed, slightly cropped, with a border, '
        "brighter, mirrored. Results show one of each group; here you decide which are never shown.</p></header>"
    )
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    problem = st.session_state.pop(PROBLEM, "")
    if problem:
        st.html(f'<p class="problem" role="alert">{escape(problem)}</p>')
    job = service.duplicate_search.job
    running = job is not None and job.status == "running"
    if job is not None and not running:
        draw_job_end(job, "what was found so far is kept, and it goes on from there")
    state = service.duplicates.state()
    shown = st.session_state.setdefault("duplicates_shown", GROUPS_AT_ONCE)
    total, groups = service.duplicates.list_groups(limit=shown)
    _draw_actions(service, total, state.looked_at, state.waiting, running=running)
    if not groups and not running:
        _draw_nothing(looked=state.waiting == 0)
        return
    hidden = set(service.rules.hidden_keys().tolist())
    for group in groups:
        _draw_group(service, group, hidden)
    if total > len(groups):
        st.button("Show more", key="more_groups", on_click=_show_more)


def _draw_actions(service: SearchService, total: int, looked_at: int, waiting: int, *, running: bool) -> None:
    words = f"<strong>{total:,}</strong> {'group' if total == 1 else 'groups'} among {looked_at:,} photos"
    if waiting:
        words += f", {waiting:,} not looked at yet"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(f'<p class="count" role="status">{words}</p>')
        if running:
            _follow(service)  # in the button's place, so that its end moves no group under the pointer
        elif waiting:
            st.button(
                "Look for duplicates",
                key="look",
                type="primary",
                icon=":material/difference:",
                on_click=_act,
                args=(service.look_for_duplicates,),
            )
        else:
            st.button(
                "Look again",
                key="look_again",
                icon=":material/refresh:",
                on_click=_act,
                args=(lambda: service.look_for_duplicates(again=True),),
            )


def _draw_nothing(*, looked: bool) -> None:
    if looked:
        draw_message(
            "No duplicates", "Every photo was compared with its nearest ones, and no two are the same."
        )
    else:
        draw_message(
            "Not looked for yet",
            "Press Look for duplicates: every photo is compared with its nearest ones, in the background.",
        )


def _draw_group(service: SearchService, group: DuplicateGroup, hidden: set[int]) -> None:
    first = group.items[0]
    with st.container(border=True, key=f"group_{first.key}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.html(f'<p class="count">{_reason(group)}</p>')
            st.button(
                "Not duplicates",
                key=f"different_{first.key}",
                icon=":material/call_split:",
                help="Shows them apart again, and remembers it.",
                on_click=_act,
                args=(
                    lambda: service.duplicates.reject([one.item_id for one in group.items], author=_author()),
                ),
            )
        with st.container(horizontal=True, gap="small"):
            for item in group.items[:PHOTOS_AT_ONCE]:
                with st.container(width=150):
                    _draw_photo(service, item, is_hidden=item.key in hidden)
        if len(group.items) > PHOTOS_AT_ONCE:
            st.html(f'<p class="count quiet">and {len(group.items) - PHOTOS_AT_ONCE:,} more</p>')


def _draw_photo(service: SearchService, item: Item, *, is_hidden: bool) -> None:
    source, title = escape(thumbnail_url(item, 384)), escape(item.title)
    css = "twin hidden" if is_hidden else "twin"
    st.html(
        f'<figure class="{css}"><img src="{source}" alt="{title}" loading="lazy"><figcaption>{title}'
        f'<span class="quiet">{escape(item.item_id)}</span></figcaption></figure>'
    )
    if not is_hidden:
        st.button(
            "Hide",
            key=f"hide_{item.key}",
            icon=":material/visibility_off:",
            width="stretch",
            on_click=_act,
            args=(
                lambda: service.rules.save(
                    Rule("hide", (item.item_id,), note="a duplicate"), author=_author()
                ),
            ),
        )
        return
    own = [rule for rule in service.rules.all() if rule.enabled and _hides_only(rule, item)]
    st.button(
        "Show again" if own else "Hidden by a rule",
        key=f"show_{item.key}",
        icon=":material/visibility:",
        width="stretch",
        disabled=not own,
        on_click=_act,
        args=(lambda: [service.rules.switch(rule.rule_id, on=False, author=_author()) for rule in own],),
    )


def _hides_only(rule: Rule, item: Item) -> bool:
    return rule.action == "hide" and rule.item_ids == (item.item_id,)


def _reason(group: DuplicateGroup) -> str:
    likeness = f"embeddings {group.cosine:.1%} alike"
    if group.residual is None:
        return f"<strong>{len(group.items)}</strong> photos: {likeness}"
    return (
        f"<strong>{len(group.items)}</strong> photos: laid over each other, they differ by at most "
        f"{group.residual:.1%}; {likeness}"
    )


def _author() -> str:
    return author_name(current_session().visitor)


@in_full
def _act(action: Callable[[], object]) -> None:
    """Do what a button asks for; what goes wrong is told at the next drawing."""
    try:
        action()
    except ImgSearchError as error:
        st.session_state[PROBLEM] = str(error)


@in_full
def _show_more() -> None:
    st.session_state["duplicates_shown"] += GROUPS_AT_ONCE


@st.fragment(run_every=WATCH_EVERY_S)
def _follow(service: SearchService) -> None:
    job = service.duplicate_search.job
    if job is None or job.status != "running":
        st.rerun()
        return
    share = job.done / job.total if job.total else 0.0
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.html(
            f'<p class="count" role="status">{escape(job.name)}: {job.done:,} of {job.total:,} photos</p>'
            f'<div class="meter" aria-hidden="true"><i style="width:{share:.1%}"></i></div>',
            width="content",
        )
        st.button("Stop", key="stop_looking", on_click=service.duplicate_search.stop)
