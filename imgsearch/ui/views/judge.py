"""The judge page: judging sets and how far they are, making a new one, and the way into the judging view.

It owns the drawing and the address: `?set=` names a set, `labeler=` who judges (then the view is drawn), and
`role=referee` is who decides where raters differ. What is judged, and who gets which pair, is decided in
`imgsearch.improve.judging.judging`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from imgsearch.app.service import SearchService, get_service
from imgsearch.core.errors import ImgSearchError, JudgingError
from imgsearch.core.query_address import thumbnail_url
from imgsearch.improve.judging.judging import MAX_GUIDELINE
from imgsearch.improve.judging.pools import listed, make_pool, most_clicked, most_searched, random_items
from imgsearch.improve.judging.records import (
    MAX_NAME,
    Disagreement,
    JudgingProgress,
    JudgingSet,
    Role,
    clean_name,
)
from imgsearch.improve.judging.topics import Topic, decode_text, parse_topics, topic_of, topic_query
from imgsearch.improve.judging.verdict_files import (
    qrels_zip,
    verdicts_csv,
    verdicts_from_csv,
    verdicts_from_qrels,
)
from imgsearch.search.systems import LIVE
from imgsearch.ui.components.judging import draw_judging
from imgsearch.ui.components.messages import draw_message, draw_no_items
from imgsearch.ui.components.query_bar import query_label
from imgsearch.ui.state.callbacks import in_full

__all__ = ["draw"]

SOURCES = {
    "random": "Random photos",
    "searched": "Most searched",
    "clicked": "Most clicked",
    "list": "My own list",
    "topics": "A topics file",
}
SHOWN_DISAGREEMENTS = 30
USUAL_PACE = 700
THUMB_PX = 96
VERDICT_WORDS = {"good": "good", "bad": "bad", "cant_tell": "can't tell"}


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
        draw_message("That did not work", str(error), action="All judging sets", on_click=_go)
        return
    if not labeler:
        _draw_set(service, judging_set)
        return
    st.session_state["judging_labeler"] = labeler
    role: Role = "referee" if st.query_params.get("role") == "referee" else "rater"
    draw_judging(
        judging_set, service.judging.guideline(judging_set), labeler=labeler, role=role, on_leave=_go
    )


@in_full
def _go(**params: str) -> None:
    """Write an address of this page: the parameters given, and nothing else."""
    st.query_params.from_dict(params)


# --- all sets -----------------------------------------------------------------------------------------------------


def _draw_sets(service: SearchService) -> None:
    sets = service.judging.all()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(
            '<header class="page-head"><h1>Judge</h1><p class="quiet">Say which answers are good, hundreds an hour, '
            "by keyboard. Judgments are what quality is measured by.</p></header>"
        )
        if sets:
            st.button("New judging set", key="new_set", type="primary", on_click=_want_new)
    if not sets:
        draw_message(
            "No judging set yet",
            "A judging set is some queries with the answers to judge. Twenty queries take a quarter of an hour.",
            action="New judging set",
            on_click=_want_new,
        )
    for judging_set in sets:
        _draw_card(judging_set, service.judging.progress(judging_set))
    if st.session_state.pop("new_judging_set", False):
        _new_set_dialog(service)


@in_full
def _want_new() -> None:
    st.session_state["new_judging_set"] = True


def _draw_card(judging_set: JudgingSet, progress: JudgingProgress) -> None:
    with st.container(border=True, key=f"judging_set_{judging_set.set_id}"):
        st.html(
            f'<h2 class="panel-title">{escape(judging_set.name)}</h2><p class="count quiet">'
            f"{escape(_facts(judging_set))}</p>{_bar(progress)}"
        )
        with st.container(horizontal=True):
            done = progress.pairs_done >= progress.pairs
            st.button(
                "Judge",
                key=f"judge_{judging_set.set_id}",
                type="secondary" if done else "primary",
                on_click=_start,
                args=(judging_set.name,),
                icon=":material/keyboard:",
            )
            st.button(
                "Details",
                key=f"details_{judging_set.set_id}",
                on_click=_go,
                kwargs={"set": judging_set.name},
            )


@in_full
def _start(name: str, role: Role = "rater") -> None:
    """Go judging, or ask for the labeler's name first."""
    labeler = st.session_state.get("judging_labeler", "")
    params = {"set": name} | ({"labeler": labeler} if labeler else {})
    _go(**params, **({"role": role} if role != "rater" else {}))
    st.session_state["ask_name"] = not labeler


def _facts(judging_set: JudgingSet) -> str:
    raters = "one rater" if judging_set.raters == 1 else f"{judging_set.raters} raters"
    pooled = (
        f", the first {judging_set.depth} of {', '.join(judging_set.systems)}" if judging_set.systems else ""
    )
    asked = f"{judging_set.queries:,} queries ({judging_set.source})"
    return f"{asked}{pooled}; {judging_set.pairs:,} pairs, {raters} each"


def _bar(progress: JudgingProgress) -> str:
    share = progress.judged / progress.wanted if progress.wanted else 1.0
    people = len(progress.labelers)
    by = f" by {people} {'person' if people == 1 else 'people'}" if people else ""
    return (
        f'<div class="meter" role="progressbar" aria-valuenow="{progress.judged}" aria-valuemin="0" '
        f'aria-valuemax="{progress.wanted}" aria-label="Judged"><i style="width: {share:.1%}"></i></div>'
        f'<p class="count"><strong>{progress.judged:,}</strong> of {progress.wanted:,} judgments{by}</p>'
    )


# --- one set ------------------------------------------------------------------------------------------------------


def _draw_set(service: SearchService, judging_set: JudgingSet) -> None:
    progress = service.judging.progress(judging_set)
    st.button("All judging sets", key="all_sets", on_click=_go, icon=":material/arrow_back:", type="tertiary")
    st.html(
        f'<header class="page-head"><h1>{escape(judging_set.name)}</h1><p class="quiet">'
        f"{escape(_facts(judging_set))}</p></header>{_bar(progress)}"
    )
    _draw_entrance(judging_set, asked=bool(st.session_state.pop("ask_name", False)))
    _draw_labelers(service, judging_set, progress)
    _draw_disagreements(service, judging_set, progress)
    _draw_guideline(service, judging_set)
    _draw_downloads(service, judging_set)


def _draw_entrance(judging_set: JudgingSet, *, asked: bool) -> None:
    """Ask who judges; once for all sets."""
    role: Role = "referee" if st.query_params.get("role") == "referee" else "rater"
    with st.form("labeler_form", border=False):
        st.html(
            f'<h2 class="panel-title">{"First, who are you?" if asked else "Start judging"}</h2>'
            '<p class="count quiet">Your name stands beside your judgments.</p>'
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(
                "Your name",
                value=st.session_state.get("judging_labeler", ""),
                max_chars=MAX_NAME,
                width=440,
                key="labeler_name",
            )
            st.form_submit_button(
                "Judge",
                type="primary",
                icon=":material/keyboard:",
                on_click=_enter,
                args=(judging_set, role),
            )
    _draw_problem_of("labeler_problem")


@in_full
def _enter(judging_set: JudgingSet, role: Role) -> None:
    """Go judging under the name in the form."""
    try:
        labeler = clean_name(st.session_state["labeler_name"], "Your name")
    except JudgingError as error:
        st.session_state["labeler_problem"] = str(error)
        return
    st.session_state["judging_labeler"] = labeler
    _go(set=judging_set.name, labeler=labeler, **({"role": role} if role != "rater" else {}))


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
        said = [f"the same verdict in {agreement.share:.0%} of comparisons"]
        if agreement.kappa is not None:
            said.append(f"Cohen's kappa {agreement.kappa:.2f}")
        if agreement.alpha is not None:
            said.append(f"Krippendorff's alpha {agreement.alpha:.2f}")
        rows.append(("Agreement", f"{', '.join(said)} ({agreement.units:,} pairs judged by several)"))
    if progress.gone:
        rows.append(("Gone", f"{progress.gone:,} pairs whose photo is no longer in the catalog are left out"))
    _draw_table("Labelers", rows)


def _draw_disagreements(service: SearchService, judging_set: JudgingSet, progress: JudgingProgress) -> None:
    found = service.judging.disagreements(judging_set)
    if not found:
        return
    rows = "".join(_disagreement_row(service, each) for each in found[:SHOWN_DISAGREEMENTS])
    more = len(found) - SHOWN_DISAGREEMENTS
    st.html(
        f'<h2 class="panel-title">Where they differ ({len(found):,})</h2><table class="facts pairs">{rows}</table>'
        + (f'<p class="count quiet">and {more:,} more; the CSV below has them all.</p>' if more > 0 else "")
    )
    if progress.divided:
        st.button(
            f"Decide {progress.divided:,}",
            key="decide",
            on_click=_start,
            args=(judging_set.name, "referee"),
            icon=":material/balance:",
        )


def _disagreement_row(service: SearchService, found: Disagreement) -> str:
    words = ", ".join(f"{name}: {VERDICT_WORDS[verdict]}" for name, verdict in found.verdicts.items())
    decided = f"decided: {VERDICT_WORDS[found.referee]}" if found.referee else "not decided"
    query, thumb = found.query_key, ""
    try:
        asked = topic_query(topic_of(found.query_key))
        query = query_label(asked, service.item)
        thumb = next((_thumb(service, str(term.value)) for term in asked.terms if term.kind == "item"), "")
    except ImgSearchError:
        pass  # shown as it is written
    return (
        f"<tr><td>{thumb}{escape(query)}</td><td>{_thumb(service, found.item_id)}"
        f"{escape(_title(service, found.item_id))}</td><td>{escape(words)}<br>"
        f'<span class="quiet">{escape(decided)}</span></td></tr>'
    )


def _thumb(service: SearchService, item_id: str) -> str:
    items = service.catalog.get_many([item_id])
    return f'<img src="{escape(thumbnail_url(items[0], THUMB_PX))}" alt="" loading="lazy">' if items else ""


def _title(service: SearchService, item_id: str) -> str:
    items = service.catalog.get_many([item_id])
    return items[0].title if items else item_id


def _draw_guideline(service: SearchService, judging_set: JudgingSet) -> None:
    guideline = service.judging.guideline(judging_set)
    with st.form("guideline_form", border=False):
        st.html('<h2 class="panel-title">Guideline</h2>')
        st.text_area(
            "Guideline",
            value=guideline.text,
            max_chars=MAX_GUIDELINE,
            height=150,
            label_visibility="collapsed",
            key=f"guideline_{judging_set.set_id}",
        )
        saved = (
            f"Version {guideline.version}, by {guideline.author}, {guideline.happened_at:%Y-%m-%d %H:%M} UTC. "
            if guideline.happened_at
            else ""
        )
        st.html(
            f'<p class="count quiet">{escape(saved)}Labelers see it before they start, and at the key H.</p>'
        )
        st.form_submit_button("Save guideline", on_click=_save_guideline, args=(service, judging_set))
    _draw_problem_of("guideline_problem")


@in_full
def _save_guideline(service: SearchService, judging_set: JudgingSet) -> None:
    text = st.session_state[f"guideline_{judging_set.set_id}"]
    author = st.session_state.get("judging_labeler") or "somebody"
    try:
        service.judging.set_guideline(judging_set, text, author=author)
    except ImgSearchError as error:
        st.session_state["guideline_problem"] = str(error)


def _draw_downloads(service: SearchService, judging_set: JudgingSet) -> None:
    if service.judging.progress(judging_set).judged == 0:
        return
    stem = "".join(letter if letter.isalnum() else "-" for letter in judging_set.name).strip("-") or "judged"
    st.html('<h2 class="panel-title">Take the judgments along</h2>')
    with st.container(horizontal=True):
        st.download_button(
            "CSV",
            data=lambda: verdicts_csv(service.judging.verdicts(judging_set)),
            file_name=f"{stem}.csv",
            mime="text/csv",
            on_click="ignore",
        )
        votes = service.judging.votes(judging_set)
        if votes["verdict"].isin(["good", "bad"]).any():
            st.download_button(
                "TREC qrels and topics",
                data=lambda: qrels_zip(votes, stem),
                file_name=f"{stem}.zip",
                mime="application/zip",
                on_click="ignore",
            )


# --- a new set ----------------------------------------------------------------------------------------------------


@st.dialog("New judging set", width="medium")
def _new_set_dialog(service: SearchService) -> None:
    pooled, imported = st.tabs(["To be judged", "Judged already"])
    with pooled:
        made = _draw_pool_form(service)
    with imported:
        made = _draw_import_form(service) or made
    if made is not None:
        _go(set=made.name)
        st.rerun()


def _draw_pool_form(service: SearchService) -> JudgingSet | None:
    name = st.text_input("Name", max_chars=MAX_NAME, placeholder="Chairs, spring", key="new_name")
    source = st.selectbox("Queries", list(SOURCES), format_func=lambda each: SOURCES[each])
    count = 0
    text, file = "", None
    if source == "list":
        text = st.text_area(
            "One query a line", placeholder="red mug\nchairs/17.jpg\ntext=red+mug&less=mugs/3.jpg", height=120
        )
        count = len({line.strip() for line in text.split("\n")} - {""})
    elif source == "topics":
        file = st.file_uploader("query_id, kind and query, by tabs", type=["tsv", "txt"])
    else:
        count = int(st.number_input("How many queries", min_value=1, max_value=2000, value=20))
    with st.container(horizontal=True):
        depth = int(
            st.number_input(
                "Answers a query",
                min_value=1,
                max_value=100,
                value=10,
                help="The first so many of every system are judged.",
            )
        )
        raters = int(
            st.number_input(
                "Raters a pair",
                min_value=1,
                max_value=10,
                value=1,
                help="Two or more show how far people agree.",
            )
        )
    names = [system.name for system in service.systems.all()]
    systems = [LIVE]
    if len(names) > 1:
        systems = st.multiselect("Systems under comparison", names, default=[LIVE])
    if count:
        pairs = count * depth * raters
        st.caption(f"{pairs:,} judgments or a little more: {_duration(pairs)} at {USUAL_PACE} an hour.")
    if not st.button("Make it", key="make_set", type="primary"):
        return None

    def topics(seed: int) -> list[Topic]:
        if source == "list":
            return listed(service.catalog, text)
        if source == "topics":
            if file is None:
                raise JudgingError("Choose the topics file first.")
            return parse_topics(decode_text(file.getvalue(), file.name), file.name)
        if source == "searched":
            return most_searched(service.catalog, count)
        if source == "clicked":
            return most_clicked(service.catalog, count)
        return random_items(service.catalog, count, seed=seed)

    def make() -> JudgingSet:
        seed = random.randrange(2**31)
        clean = clean_name(name, "The judging set's name")
        bar = st.progress(0.0, "Asking the systems …")

        def show(done: int, total: int) -> None:
            bar.progress(done / total, "Asking the systems …")

        pool = make_pool(
            topics(seed),
            service.systems.search,
            systems=systems,
            depth=depth,
            seed=seed,
            progress=show,
        )
        made = service.judging.create(
            clean,
            pool,
            source=SOURCES[source].lower(),
            systems=systems,
            depth=depth,
            raters=raters,
            seed=seed,
        )
        if pool.skipped:
            st.toast(f"{len(pool.skipped):,} queries could not be asked and were left out.")
        return made

    return _try(make)


def _draw_import_form(service: SearchService) -> JudgingSet | None:
    name = st.text_input("Name", max_chars=MAX_NAME, placeholder="Judged in May", key="import_name")
    file = st.file_uploader(
        "Judgments: TREC qrels, or CSV with query, item_id, verdict and labeler",
        type=["trec", "txt", "qrels", "csv"],
    )
    topics_file = st.file_uploader("The topics of the qrels, if their ids do not say it", type=["tsv", "txt"])
    labeler = st.text_input("Who judged, where the file does not say", value="imported", max_chars=MAX_NAME)
    if not st.button("Import", key="import_set", type="primary"):
        return None

    def make() -> JudgingSet:
        if file is None:
            raise JudgingError("Choose the file of judgments first.")
        text = decode_text(file.getvalue(), file.name)
        if file.name.lower().endswith(".csv"):
            verdicts = verdicts_from_csv(text, file.name, service.catalog, labeler=labeler)
        else:
            topics = (
                parse_topics(decode_text(topics_file.getvalue(), topics_file.name), topics_file.name)
                if topics_file
                else None
            )
            verdicts = verdicts_from_qrels(text, file.name, service.catalog, labeler=labeler, topics=topics)
        return service.judging.import_set(name, verdicts, source=f"imported from {file.name[:80]}")

    return _try(make)


def _try(make: Callable[[], JudgingSet]) -> JudgingSet | None:
    try:
        return make()
    except ImgSearchError as error:
        _draw_problem(str(error))
        return None


def _duration(judgments: int) -> str:
    minutes = max(1, round(60 * judgments / USUAL_PACE))
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:,.0f} hours"


def _draw_problem_of(key: str) -> None:
    """Draw what a callback could not do, once."""
    problem = st.session_state.pop(key, "")
    if problem:
        _draw_problem(problem)


def _draw_problem(text: str) -> None:
    st.html(f'<p class="problem" role="alert">{escape(text)}</p>')


def _draw_table(title: str, rows: Sequence[tuple[str, str]]) -> None:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows
    )
    st.html(f'<h2 class="panel-title">{escape(title)}</h2><table class="facts">{cells}</table>')
