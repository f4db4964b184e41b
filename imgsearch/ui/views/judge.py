"""The Judge page: the judging sets with their progress, one set, and the judging view.

The address decides: `?set=` names a set, `labeler=` opens the judging view for that person, and `role=referee` lets
them decide where raters disagree.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.base_path import served_path
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.records import Item
from imgsearch.improve.judging.judging import MAX_GUIDELINE
from imgsearch.improve.judging.records import (
    MAX_NAME,
    Disagreement,
    JudgingProgress,
    JudgingSet,
    Role,
    clean_name,
)
from imgsearch.improve.judging.topics import topic_of, topic_query
from imgsearch.improve.judging.verdict_files import qrels_zip, verdicts_csv
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.components.judging_forms import draw_new_set_dialog
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.markup import asset, draw_html, script
from imgsearch.ui.state.callbacks import go, in_full

SHOWN_DISAGREEMENTS = 30
VERDICTS = {"good": "good", "bad": "bad", "cant_tell": "can't tell"}
LABELER = "judging_labeler"
"""Where the session keeps the name of the person who judges, once for all sets."""
ASK_NAME = "ask_name"
ENDPOINT = "/api/v1/judging"

_component = st.components.v2.component("imgsearch_judge", css=asset("judge.css"), js=script("judge.js"))


def draw() -> None:
    """Draw what the address names: the judging view, a set, or all sets."""
    service = get_service()
    if ui.no_items(service):
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
        ui.message("That did not work", str(error), "All judging sets", go)
        return
    if not labeler:
        _draw_set(service, judging_set)
        return
    st.session_state[LABELER] = labeler
    _draw_judging(service, judging_set, labeler)


def _draw_sets(service: SearchService) -> None:
    sets = service.judging.all()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        ui.heading(
            "Judge",
            "Mark search results as good or bad, hundreds an hour, by keyboard. Judgments are what quality is "
            "measured with.",
        )
        if sets:
            ui.button("New judging set", "new_set", _open_new_set, type="primary")
    if not sets:
        ui.message(
            "No judging set yet",
            "A judging set holds queries and the results to judge. Twenty queries take about fifteen minutes.",
            "New judging set",
            _open_new_set,
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
        ui.section(judging_set.name, _describe(judging_set))
        draw_html("judging_progress", progress=progress)
        with st.container(horizontal=True):
            done = progress.pairs_done >= progress.pairs
            ui.button(
                "Judge",
                f"judge_{judging_set.set_id}",
                _start_judging,
                judging_set.name,
                type="secondary" if done else "primary",
                icon="keyboard",
            )
            ui.button("Details", f"details_{judging_set.set_id}", go, kwargs={"set": judging_set.name})


def _describe(judging_set: JudgingSet) -> str:
    raters = "one rater" if judging_set.raters == 1 else f"{judging_set.raters} raters"
    systems = (
        f", the top {judging_set.depth} of {', '.join(judging_set.systems)}" if judging_set.systems else ""
    )
    queries = f"{judging_set.queries:,} queries ({judging_set.source})"
    return f"{queries}{systems}; {judging_set.pairs:,} pairs, {raters} each"


def _role_in_address() -> Role:
    return "referee" if st.query_params.get("role") == "referee" else "rater"


@in_full
def _start_judging(name: str, role: Role = "rater") -> None:
    """Open the judging view of a set, or ask for the labeler's name first."""
    labeler = st.session_state.get(LABELER, "")
    st.session_state[ASK_NAME] = not labeler
    _open(name, labeler, role)


def _open(name: str, labeler: str, role: Role) -> None:
    params = {"set": name, "labeler": labeler, "role": "" if role == "rater" else role}
    go(**{key: value for key, value in params.items() if value})


def _draw_set(service: SearchService, judging_set: JudgingSet) -> None:
    progress = service.judging.progress(judging_set)
    ui.button("All judging sets", "all_sets", go, icon="arrow_back", type="tertiary")
    ui.heading(judging_set.name, _describe(judging_set))
    draw_html("judging_progress", progress=progress)
    _draw_name_form(judging_set, asked=bool(st.session_state.pop(ASK_NAME, False)))
    _draw_labelers(service, judging_set, progress)
    _draw_disagreements(service, judging_set, progress)
    _draw_guideline(service, judging_set)
    if progress.judged:
        _draw_downloads(service, judging_set)


def _draw_name_form(judging_set: JudgingSet, *, asked: bool) -> None:
    with st.form("labeler_form", border=False):
        ui.section(
            "First, what is your name?" if asked else "Start judging",
            "Your judgments are stored with your name.",
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(
                "Your name",
                value=st.session_state.get(LABELER, ""),
                max_chars=MAX_NAME,
                width=440,
                key="labeler_name",
            )
            ui.submit(
                "Judge",
                _enter,
                judging_set,
                _role_in_address(),
                type="primary",
                icon="keyboard",
                place="labeler",
            )
    ui.outcome("labeler")


def _enter(judging_set: JudgingSet, role: Role) -> None:
    """Open the judging view under the name in the form; raises `JudgingError` for a name that cannot be used."""
    labeler = clean_name(st.session_state["labeler_name"], "Your name")
    st.session_state[LABELER] = labeler
    _open(judging_set.name, labeler, role)


def _draw_labelers(service: SearchService, judging_set: JudgingSet, progress: JudgingProgress) -> None:
    if not progress.labelers:
        return
    rows = [
        (
            each.labeler,
            f"{each.judged:,} judged" + (f", {each.per_hour:,.0f} an hour" if each.per_hour else ""),
        )
        for each in progress.labelers
    ]
    agreement = service.judging.agreement(judging_set)
    if agreement.units:
        parts = [f"{agreement.share:.0%} of verdicts agree"]
        if agreement.kappa is not None:
            parts.append(f"Cohen's kappa {agreement.kappa:.2f}")
        if agreement.alpha is not None:
            parts.append(f"Krippendorff's alpha {agreement.alpha:.2f}")
        text = f"{', '.join(parts)} ({agreement.units:,} pairs with several raters)"
        rows.append(("Agreement", text))
    if progress.gone:
        rows.append(("Removed", f"{progress.gone:,} pairs are left out: their photo left the catalog"))
    ui.facts(rows, "Labelers")


def _draw_disagreements(service: SearchService, judging_set: JudgingSet, progress: JudgingProgress) -> None:
    found = service.judging.disagreements(judging_set)
    if not found:
        return
    ui.section(f"Disagreements ({len(found):,})")
    draw_html("disagreements", rows=[_row(service, each) for each in found[:SHOWN_DISAGREEMENTS]])
    more = len(found) - SHOWN_DISAGREEMENTS
    ui.line(f"and {more:,} more; the CSV below lists all of them." if more > 0 else "")
    if progress.divided:
        ui.button(
            f"Decide {progress.divided:,}",
            "decide",
            _start_judging,
            judging_set.name,
            "referee",
            icon="balance",
        )


def _row(service: SearchService, found: Disagreement) -> dict[str, Any]:
    query, query_item = found.query_key, None
    try:
        asked = topic_query(topic_of(found.query_key))
        query = query_label(asked, service.catalog.get)
        items = [str(term.value) for term in asked.terms if term.kind == "item"]
        query_item = _find(service, items[0]) if items else None
    except ImgSearchError:
        pass  # an unreadable query is shown as stored
    item = _find(service, found.item_id)
    return {
        "query": query,
        "query_item": query_item,
        "item": item,
        "title": item.title if item else found.item_id,
        "verdicts": ", ".join(f"{name}: {VERDICTS[verdict]}" for name, verdict in found.verdicts.items()),
        "decided": f"decided: {VERDICTS[found.referee]}" if found.referee else "not decided",
    }


def _find(service: SearchService, item_id: str) -> Item | None:
    return next(iter(service.catalog.get_many([item_id])), None)


def _draw_guideline(service: SearchService, judging_set: JudgingSet) -> None:
    guideline = service.judging.guideline(judging_set)
    with st.form("guideline_form", border=False):
        ui.section("Guideline")
        st.text_area(
            "Guideline",
            value=guideline.text,
            max_chars=MAX_GUIDELINE,
            height=150,
            label_visibility="collapsed",
            key=f"guideline_{judging_set.set_id}",
        )
        saved = ""
        if guideline.happened_at:
            when = f"{guideline.happened_at:%Y-%m-%d %H:%M} UTC"
            saved = f"Version {guideline.version}, by {guideline.author}, {when}. "
        ui.line(f"{saved}Labelers see it before they start, and whenever they press H.")
        ui.submit("Save guideline", _save_guideline, service, judging_set, place="guideline")
    ui.outcome("guideline")


def _save_guideline(service: SearchService, judging_set: JudgingSet) -> None:
    text = st.session_state[f"guideline_{judging_set.set_id}"]
    author = st.session_state.get(LABELER) or "unknown"
    service.judging.set_guideline(judging_set, text, author=author)


def _draw_downloads(service: SearchService, judging_set: JudgingSet) -> None:
    stem = "".join(letter if letter.isalnum() else "-" for letter in judging_set.name).strip("-") or "judged"
    ui.section("Download the judgments")
    with st.container(horizontal=True):
        ui.download(
            "CSV", lambda: verdicts_csv(service.judging.verdicts(judging_set)), f"{stem}.csv", "text/csv"
        )
        votes = service.judging.votes(judging_set)
        if votes["verdict"].isin(["good", "bad"]).any():
            archive = partial(qrels_zip, votes, stem)
            ui.download("TREC qrels and topics", archive, f"{stem}.zip", "application/zip")


def _draw_judging(service: SearchService, judging_set: JudgingSet, labeler: str) -> None:
    guideline = service.judging.guideline(judging_set)
    _component(
        key="judge",
        data={
            "set": judging_set.name,
            "labeler": labeler,
            "role": _role_in_address(),
            "guideline": {"text": guideline.text, "version": guideline.version},
            "endpoint": served_path(ENDPOINT),
        },
        on_leave_change=go,
    )
