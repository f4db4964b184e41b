"""Where a catalog's relevance judgments come from: judging sets, the Sample Store, uploaded files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from imgsearch.core.errors import EvaluationError, SourceError
from imgsearch.demo import sample_store
from imgsearch.improve.judging.judging import Judging
from imgsearch.improve.judging.qrels import Qrels, count_votes, parse_qrels, read_qrels, topics_from_qrels
from imgsearch.improve.judging.topics import Topic, decode_text, parse_topics, read_topics, topic_of
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog

MAX_FILE_BYTES = 64 * 1024 * 1024
PROBED_ITEMS = 20
JUDGED_HERE = "All judgments made here"
SAMPLE_STORE = {
    "lookalike": ("similar items", "Photos of similar products; the more alike, the higher the grade."),
    "text": ("words", "The products that a query in words describes."),
    "instance": ("same product", "The other photos of the same product."),
}


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Judgments and the queries they are for; `complete` means that what is not listed is not relevant."""

    label: str
    qrels: Qrels
    topics: tuple[Topic, ...]
    complete: bool = False


@dataclass(frozen=True, slots=True)
class JudgmentSource:
    """Judgments to measure on; `load` reads them, and raises `EvaluationError` if there are none."""

    name: str
    label: str
    detail: str
    load: Callable[[], GroundTruth]


def judgment_sources(catalog: CatalogStore, feedback: FeedbackLog, judging: Judging) -> list[JudgmentSource]:
    """Return the sources that this catalog has, none of them read yet.

    First the judging sets, the oldest first, then all judgments made here, then the Sample Store's ground truth
    if the catalog has its photos.
    """
    sources = [
        _of_judgments(
            f"set/{each.name}",
            f"Judging set: {each.name}",
            f"{each.pairs:,} pairs of {each.queries:,} queries, {each.raters:,} labelers each.",
            partial(judging.votes, each),
        )
        for each in reversed(judging.all())
    ]
    row = catalog.database.cursor().execute("SELECT count(*) FROM judgments").fetchone()
    if row and row[0]:
        detail = f"{row[0]:,} judgments from the search and judge pages."
        sources.append(_of_judgments("judged-here", JUDGED_HERE, detail, feedback.latest_judgments))
    if _has_sample_store(catalog):
        sources += [_of_sample_store(name) for name in SAMPLE_STORE]
    return sources


def uploaded(
    qrels: bytes, name: str, topics: bytes | None, topics_name: str, catalog: CatalogStore
) -> GroundTruth:
    """Return the judgments of uploaded files: TREC qrels and, if the query ids do not say them, topics.

    Raises `EvaluationError` for a file that is too large or malformed.
    """
    for data, what in ((qrels, name), (topics or b"", topics_name)):
        if len(data) > MAX_FILE_BYTES:
            raise EvaluationError(
                f"The file {what} has {len(data):,} bytes; at most {MAX_FILE_BYTES // 1024**2} MiB are read."
            )
    judged = parse_qrels(decode_text(qrels, name), name)
    if topics is None:
        asked = topics_from_qrels(judged, catalog)
    else:
        asked = parse_topics(decode_text(topics, topics_name), topics_name)
    return GroundTruth(name, judged, tuple(asked))


def _of_judgments(
    name: str, label: str, detail: str, judgments: Callable[[], pd.DataFrame]
) -> JudgmentSource:
    def load() -> GroundTruth:
        qrels, _ = count_votes(judgments())
        if not qrels:
            raise EvaluationError(f"{label}: nothing was judged good or bad yet; judge some results first.")
        return GroundTruth(label, qrels, tuple(map(topic_of, qrels)))

    return JudgmentSource(name, label, detail, load)


def _of_sample_store(name: str) -> JudgmentSource:
    title, detail = SAMPLE_STORE[name]
    label = f"Sample Store: {title}"

    def load() -> GroundTruth:
        store = sample_store()
        qrels = read_qrels(store.folder / f"{name}.trec")
        topics = tuple(topic for topic in read_topics(store.topics) if topic.query_id in qrels)
        return GroundTruth(label, qrels, topics, complete=True)

    return JudgmentSource(f"sample-store/{name}", label, detail, load)


def _has_sample_store(catalog: CatalogStore) -> bool:
    """Return whether the Sample Store's photos are in the catalog, judging by its first queries."""
    try:
        with sample_store().topics.open(encoding="utf-8") as file:
            ids = [line.split("\t")[0] for line, _ in zip(file, range(PROBED_ITEMS), strict=False)]
    except (OSError, SourceError):
        return False
    return len(catalog.get_many(ids)) == len(ids)
