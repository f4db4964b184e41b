"""The dialog of a new judging set: pooled from the systems' results, or imported with its judgments."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import streamlit as st

from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError, JudgingError
from imgsearch.improve.judging.pools import make_pool
from imgsearch.improve.judging.query_sets import most_clicked, most_searched, parse_list, random_items
from imgsearch.improve.judging.records import MAX_NAME, JudgingSet, clean_name
from imgsearch.improve.judging.topics import Topic, decode_text, parse_topics
from imgsearch.improve.judging.verdict_files import verdicts_from_csv, verdicts_from_qrels
from imgsearch.search.systems import LIVE
from imgsearch.store.catalog import CatalogStore
from imgsearch.ui.components import blocks as ui
from imgsearch.ui.state.callbacks import go

SOURCES = {
    "random": "Random photos",
    "searched": "Most searched",
    "clicked": "Most clicked",
    "list": "My own list",
    "topics": "A topics file",
}
JUDGMENTS_PER_HOUR = 700
"""A usual pace, for the estimate of the time that a set takes."""

ReadTopics = Callable[[int], list[Topic]]


@st.dialog("New judging set", width="medium")
def draw_new_set_dialog(service: SearchService) -> None:
    """Draw the dialog; a set that is made closes it and is opened."""
    pooled, imported = st.tabs(["Judge results", "Import judgments"])
    with pooled:
        made = _draw_pool_form(service)
    with imported:
        made = _draw_import_form(service) or made
    if made is not None:
        go(set=made.name)
        st.rerun()


def _draw_pool_form(service: SearchService) -> JudgingSet | None:
    name = st.text_input("Name", max_chars=MAX_NAME, placeholder="Chairs, spring", key="new_name")
    source, count, read = _draw_queries(service.catalog)
    depth, raters = _draw_sizes()
    names = [system.name for system in service.systems.all()]
    systems = [LIVE]
    if len(names) > 1:
        systems = st.multiselect("Systems to compare", names, default=[LIVE])
    if count:
        judgments = count * depth * raters
        time = _duration(judgments)
        st.caption(f"About {judgments:,} judgments: {time} at {JUDGMENTS_PER_HOUR} an hour.")
    if not ui.button("Create", "make_set", type="primary"):
        return None
    return _try(lambda: _make(service, name, source, read, systems, depth=depth, raters=raters))


def _draw_queries(catalog: CatalogStore) -> tuple[str, int, ReadTopics]:
    """Return the source of the queries, how many they are (0 where unknown), and how they are read with a seed."""
    source = ui.select("Queries", SOURCES)
    if source == "list":
        text = st.text_area(
            "One query per line",
            placeholder="red mug\nchairs/17.jpg\ntext=red+mug&less=mugs/3.jpg",
            height=120,
        )
        lines = {line.strip() for line in text.split("\n")} - {""}
        return source, len(lines), lambda seed: parse_list(catalog, text)
    if source == "topics":
        file = st.file_uploader("Tab-separated: query_id, kind, query", type=["tsv", "txt"])
        return source, 0, lambda seed: _topics_in(file)
    count = int(st.number_input("How many queries", min_value=1, max_value=2000, value=20))
    if source == "random":
        return source, count, lambda seed: random_items(catalog, count, seed=seed)
    return (
        source,
        count,
        lambda seed: (most_searched if source == "searched" else most_clicked)(catalog, count),
    )


def _draw_sizes() -> tuple[int, int]:
    """Return the results a query and the raters a pair."""
    with st.container(horizontal=True):
        depth = st.number_input(
            "Results per query",
            min_value=1,
            max_value=100,
            value=10,
            help="The top results of every system are judged.",
        )
        raters = st.number_input(
            "Raters per pair",
            min_value=1,
            max_value=10,
            value=1,
            help="With two or more you see how well people agree.",
        )
    return int(depth), int(raters)


def _make(
    service: SearchService,
    name: str,
    source: str,
    read: ReadTopics,
    systems: list[str],
    *,
    depth: int,
    raters: int,
) -> JudgingSet:
    seed = random.randrange(2**31)
    clean = clean_name(name, "The judging set's name")
    bar = st.progress(0.0, "Searching …")

    def show(done: int, total: int) -> None:
        bar.progress(done / total, "Searching …")

    pool = make_pool(
        read(seed),
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
        st.toast(f"{len(pool.skipped):,} queries could not be searched and were left out.")
    return made


def _draw_import_form(service: SearchService) -> JudgingSet | None:
    name = st.text_input("Name", max_chars=MAX_NAME, placeholder="Judged in May", key="import_name")
    file = st.file_uploader(
        "Judgments: TREC qrels, or CSV with query, item_id, verdict and labeler",
        type=["trec", "txt", "qrels", "csv"],
    )
    topics_file = st.file_uploader(
        "Topics of the qrels, where their IDs are not the queries", type=["tsv", "txt"]
    )
    labeler = st.text_input("Labeler, where the file names none", value="imported", max_chars=MAX_NAME)
    if not ui.button("Import", "import_set", type="primary"):
        return None

    def make() -> JudgingSet:
        if file is None:
            raise JudgingError("Choose the file of judgments first.")
        text = decode_text(file.getvalue(), file.name)
        if file.name.lower().endswith(".csv"):
            verdicts = verdicts_from_csv(text, file.name, service.catalog, labeler=labeler)
        else:
            topics = _topics_in(topics_file) if topics_file else None
            verdicts = verdicts_from_qrels(text, file.name, service.catalog, labeler=labeler, topics=topics)
        return service.judging.import_set(name, verdicts, source=f"imported from {file.name[:80]}")

    return _try(make)


def _topics_in(file: Any) -> list[Topic]:
    if file is None:
        raise JudgingError("Choose the topics file first.")
    return parse_topics(decode_text(file.getvalue(), file.name), file.name)


def _try(make: Callable[[], JudgingSet]) -> JudgingSet | None:
    try:
        return make()
    except ImgSearchError as error:
        ui.problem(str(error))
        return None


def _duration(judgments: int) -> str:
    minutes = max(1, round(60 * judgments / JUDGMENTS_PER_HOUR))
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:,.0f} hours"
