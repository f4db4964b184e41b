"""The Judge page: the judging sets with their progress, one set, and the judging view.

The address decides: `?set=` names a set, `labeler=` opens the judging view for that person, and `role=referee` lets
them decide where raters disagree.
"""

from __future__ import annotations

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError
from imgsearch.improve.judging.records import JudgingProgress, JudgingSet, clean_name
from imgsearch.ui.components.blocks import draw_heading, draw_section
from imgsearch.ui.components.judging import draw_judging
from imgsearch.ui.components.judging_forms import draw_new_set_dialog
from imgsearch.ui.components.judging_set import (
    LABELER,
    describe_set,
    draw_judging_set,
    role_in_address,
    start_judging,
)
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.markup import draw_html
from imgsearch.ui.state.callbacks import go, in_full

__all__ = ["draw"]


def draw() -> None:
    """Draw what the address names: the judging view, a set, or all sets."""
    service = get_service()
    if len(service.catalog) == 0:
        draw_no_items(service.settings.catalog)
        return
    name = st.query_params.get("set", "")
    if not name:
        _draw_sets(service)
        return
    try:
        judging_set = service.judging.get(name)
        labeler = st.query_params.get("labeler", "")
        if labeler:
            labeler = clean_name(labeler, "The labeler's name")
    except ImgSearchError as error:
        draw_message("That did not work", str(error), action="All judging sets", on_click=go)
        return
    if not labeler:
        draw_judging_set(service, judging_set)
        return
    st.session_state[LABELER] = labeler
    guideline = service.judging.guideline(judging_set)
    draw_judging(judging_set, guideline, labeler=labeler, role=role_in_address(), on_leave=go)


def _draw_sets(service: SearchService) -> None:
    sets = service.judging.all()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        draw_heading(
            "Judge",
            "Mark search results as good or bad, hundreds an hour, by keyboard. Judgments are what quality is "
            "measured with.",
        )
        if sets:
            st.button("New judging set", key="new_set", type="primary", on_click=_open_new_set)
    if not sets:
        draw_message(
            "No judging set yet",
            "A judging set holds queries and the results to judge. Twenty queries take about fifteen minutes.",
            action="New judging set",
            on_click=_open_new_set,
        )
    for judging_set in sets:
        _draw_card(judging_set, service.judging.progress(judging_set))
    if st.session_state.pop("new_judging_set", False):
        draw_new_set_dialog(service)


@in_full
def _open_new_set() -> None:
    st.session_state["new_judging_set"] = True


def _draw_card(judging_set: JudgingSet, progress: JudgingProgress) -> None:
    with st.container(border=True, key=f"judging_set_{judging_set.set_id}"):
        draw_section(judging_set.name, describe_set(judging_set))
        draw_html("judging_progress", progress=progress)
        with st.container(horizontal=True):
            done = progress.pairs_done >= progress.pairs
            st.button(
                "Judge",
                key=f"judge_{judging_set.set_id}",
                type="secondary" if done else "primary",
                on_click=start_judging,
                args=(judging_set.name,),
                icon=":material/keyboard:",
            )
            st.button(
                "Details", key=f"details_{judging_set.set_id}", on_click=go, kwargs={"set": judging_set.name}
            )
