"""One judging set on the Judge page: progress, who judges, disagreements, the guideline and downloads."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
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
from imgsearch.ui.components.blocks import (
    draw_download,
    draw_facts,
    draw_heading,
    draw_line,
    draw_outcome,
    draw_section,
)
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.markup import draw_html
from imgsearch.ui.state.callbacks import attempt, go, in_full

__all__ = ["LABELER", "describe_set", "draw_judging_set", "role_in_address", "start_judging"]

SHOWN_DISAGREEMENTS = 30
VERDICTS = {"good": "good", "bad": "bad", "cant_tell": "can't tell"}
LABELER = "judging_labeler"
"""Where the session keeps the name of the person who judges, once for all sets."""
ASK_NAME = "ask_name"


def describe_set(judging_set: JudgingSet) -> str:
    """Return a set's size, systems and raters in words."""
    raters = "one rater" if judging_set.raters == 1 else f"{judging_set.raters} raters"
    systems = (
        f", the top {judging_set.depth} of {', '.join(judging_set.systems)}" if judging_set.systems else ""
    )
    queries = f"{judging_set.queries:,} queries ({judging_set.source})"
    return f"{queries}{systems}; {judging_set.pairs:,} pairs, {raters} each"


def role_in_address() -> Role:
    """Return the role that the address names."""
    return "referee" if st.query_params.get("role") == "referee" else "rater"


@in_full
def start_judging(name: str, role: Role = "rater") -> None:
    """Open the judging view of a set, or ask for the labeler's name first."""
    labeler = st.session_state.get(LABELER, "")
    st.session_state[ASK_NAME] = not labeler
    _open(name, labeler, role)


def _open(name: str, labeler: str, role: Role) -> None:
    params = {"set": name, "labeler": labeler, "role": "" if role == "rater" else role}
    go(**{key: value for key, value in params.items() if value})


def draw_judging_set(service: SearchService, judging_set: JudgingSet) -> None:
    """Draw the set."""
    progress = service.judging.progress(judging_set)
    st.button("All judging sets", key="all_sets", on_click=go, icon=":material/arrow_back:", type="tertiary")
    draw_heading(judging_set.name, describe_set(judging_set))
    draw_html("judging_progress", progress=progress)
    _draw_name_form(judging_set, asked=bool(st.session_state.pop(ASK_NAME, False)))
    _draw_labelers(service, judging_set, progress)
    _draw_disagreements(service, judging_set, progress)
    _draw_guideline(service, judging_set)
    if progress.judged:
        _draw_downloads(service, judging_set)


def _draw_name_form(judging_set: JudgingSet, *, asked: bool) -> None:
    with st.form("labeler_form", border=False):
        draw_section(
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
            st.form_submit_button(
                "Judge",
                type="primary",
                icon=":material/keyboard:",
                on_click=attempt,
                args=(_enter, judging_set, role_in_address()),
                kwargs={"place": "labeler"},
            )
    draw_outcome("labeler")


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
    draw_facts(rows, "Labelers")


def _draw_disagreements(service: SearchService, judging_set: JudgingSet, progress: JudgingProgress) -> None:
    found = service.judging.disagreements(judging_set)
    if not found:
        return
    draw_section(f"Disagreements ({len(found):,})")
    draw_html("disagreements", rows=[_row(service, each) for each in found[:SHOWN_DISAGREEMENTS]])
    more = len(found) - SHOWN_DISAGREEMENTS
    draw_line(f"and {more:,} more; the CSV below lists all of them." if more > 0 else "")
    if progress.divided:
        st.button(
            f"Decide {progress.divided:,}",
            key="decide",
            on_click=start_judging,
            args=(judging_set.name, "referee"),
            icon=":material/balance:",
        )


def _row(service: SearchService, found: Disagreement) -> dict[str, Any]:
    """Return a pair of a query and a photo with its verdicts, ready for the template."""
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
        draw_section("Guideline")
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
        draw_line(f"{saved}Labelers see it before they start, and whenever they press H.")
        st.form_submit_button(
            "Save guideline",
            on_click=attempt,
            args=(_save_guideline, service, judging_set),
            kwargs={"place": "guideline"},
        )
    draw_outcome("guideline")


def _save_guideline(service: SearchService, judging_set: JudgingSet) -> None:
    text = st.session_state[f"guideline_{judging_set.set_id}"]
    author = st.session_state.get(LABELER) or "unknown"
    service.judging.set_guideline(judging_set, text, author=author)


def _draw_downloads(service: SearchService, judging_set: JudgingSet) -> None:
    stem = "".join(letter if letter.isalnum() else "-" for letter in judging_set.name).strip("-") or "judged"
    draw_section("Download the judgments")
    with st.container(horizontal=True):
        draw_download(
            "CSV", lambda: verdicts_csv(service.judging.verdicts(judging_set)), f"{stem}.csv", "text/csv"
        )
        votes = service.judging.votes(judging_set)
        if votes["verdict"].isin(["good", "bad"]).any():
            archive = partial(qrels_zip, votes, stem)
            draw_download("TREC qrels and topics", archive, f"{stem}.zip", "application/zip")
