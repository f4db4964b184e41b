"""Relevance judgments and the queries they are for: TREC qrels and topics as files, and from the app's own rows.

It owns the files' formats and how votes become one relevance; it measures nothing.

    qrels    query_id iteration item_id relevance     by white space; relevance is a whole number, > 0 is relevant
    topics   query_id <TAB> kind <TAB> query          kind: item (an item's id), text (words), or query (anything
                                                      in the address bar's grammar: text=red+mug&less=1.jpg)

In qrels an id that holds white space or a percent sign is percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import parse_qs, quote, unquote

from imgsearch.core.errors import EvaluationError, ImgSearchError
from imgsearch.core.query import Query, Term
from imgsearch.core.query_address import query_from_params
from imgsearch.store.catalog import Catalog

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ExportReport",
    "Qrels",
    "Topic",
    "TopicKind",
    "Votes",
    "decode_text",
    "default_topics_path",
    "export_judgments",
    "known_qrels",
    "parse_qrels",
    "parse_topics",
    "read_qrels",
    "read_text",
    "read_topics",
    "topic_of",
    "topic_query",
    "topics_from_qrels",
]

Qrels = Mapping[str, Mapping[str, int]]
TopicKind = Literal["item", "text", "query"]

_QRELS_LINE = re.compile(
    r"^\s*(?P<query>\S+)\s+(?P<iteration>\S+)\s+(?P<item>\S.*?)\s+(?P<relevance>\S+)\s*$"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One query of an evaluation."""

    query_id: str
    kind: TopicKind
    query: str


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What `export_judgments` wrote and left out."""

    qrels: str
    topics: str
    queries: int
    judgments: int
    skipped: int

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON of `imgsearch export-judgments --json`."""
        return {name: getattr(self, name) for name in ("qrels", "topics", "queries", "judgments", "skipped")}


# --- files ------------------------------------------------------------------------------------------------------


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return the judgments of a TREC qrels file; see `parse_qrels`."""
    return parse_qrels(read_text(path), str(path))


def parse_qrels(text: str, name: str) -> dict[str, dict[str, int]]:
    """Return the judgments in the text of a qrels file called `name`: {query_id: {item_id: relevance}}, in its order.

    The last of two judgments of one pair counts. Raises `EvaluationError` naming the line that is malformed.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, line in _lines(text):
        match = _QRELS_LINE.match(line)
        if match is None:
            raise EvaluationError(
                f"Line {number} of {name} is not 'query_id iteration item_id relevance': {line.strip()[:80]!r}."
            )
        try:
            level = int(match["relevance"])
        except ValueError:
            raise EvaluationError(
                f"Line {number} of {name} has the relevance {match['relevance'][:40]!r}, which is no whole number."
            ) from None
        qrels.setdefault(match["query"], {})[match["item"]] = level
    if not qrels:
        raise EvaluationError(f"The file {name} holds no judgments.")
    return qrels


def read_topics(path: Path) -> list[Topic]:
    """Return the queries of a topics file; see `parse_topics`."""
    return parse_topics(read_text(path), str(path))


def parse_topics(text: str, name: str) -> list[Topic]:
    """Return the queries in the text of a topics file called `name`, in its order.

    Raises `EvaluationError` naming the line that is malformed.
    """
    topics: dict[str, Topic] = {}
    for number, line in _lines(text):
        parts = [part.strip() for part in line.rstrip("\r\n").split("\t")]
        if len(parts) != 3 or not all(parts):
            raise EvaluationError(
                f"Line {number} of {name} is not 'query_id TAB kind TAB query': {line.strip()[:80]!r}."
            )
        query_id, kind, query = parts
        if kind not in get_args(TopicKind):
            raise EvaluationError(
                f"Line {number} of {name} has the kind {kind[:40]!r}, but must have item, text or query."
            )
        if query_id in topics:
            raise EvaluationError(f"Line {number} of {name} gives the query {query_id!r} a second time.")
        topics[query_id] = Topic(query_id, kind, query)  # type: ignore[arg-type]  # checked above
    if not topics:
        raise EvaluationError(f"The file {name} holds no topics.")
    return list(topics.values())


def default_topics_path(qrels: Path) -> Path:
    """Return where the topics of a qrels file are looked for: beside `x.trec`, `x.topics.tsv`."""
    return qrels.with_suffix(".topics.tsv")


def topics_from_qrels(qrels: Qrels, catalog: Catalog) -> list[Topic]:
    """Return the topics that the query ids themselves say: an item's id, or a query such as `text=red+mug`.

    Raises `EvaluationError` where an id is neither.
    """
    spelled = _spellings(qrels, catalog)
    topics = []
    for query_id in qrels:
        if query_id in spelled:
            topics.append(Topic(query_id, "item", spelled[query_id]))
        elif _query_of(query_id) is not None:
            topics.append(Topic(query_id, "query", query_id))
        else:
            raise EvaluationError(
                f"The query {query_id!r} is no item of the catalog; say what the queries are with --topics FILE."
            )
    return topics


def topic_query(topic: Topic) -> Query:
    """Return the query of a topic. Raises `EvaluationError` where kind `query` cannot be understood."""
    if topic.kind == "query":
        query = _query_of(topic.query)
        if query is None:
            raise EvaluationError(
                f"The query {topic.query[:80]!r} is not understood; write it like text=red+mug."
            )
        return query
    return Query((Term(topic.kind, topic.query),))


@dataclass(frozen=True, slots=True)
class Votes:
    """The app's own judgments as qrels by query key; `skipped` counts the votes of can't tell."""

    qrels: Qrels
    skipped: int

    @staticmethod
    def count(judgments: pd.DataFrame) -> Votes:
        """Count the latest judgments: relevance is 1 where more labelers said good than bad, else 0.

        `judgments` has the columns query_key, item_id, labeler and verdict, one row for each labeler's latest word
        on a pair. A pair that nobody could tell is left out. Queries and items come in dictionary order.
        """
        votes: dict[tuple[str, str], int] = {}
        skipped = 0
        told = {"good": 1, "bad": -1}
        for row in judgments.itertuples(index=False):
            vote = told.get(str(row.verdict))
            if vote is None:
                skipped += 1
                continue
            pair = (str(row.query_key), str(row.item_id))
            votes[pair] = votes.get(pair, 0) + vote
        qrels: dict[str, dict[str, int]] = {}
        for (query_key, item_id), vote in sorted(votes.items()):
            qrels.setdefault(query_key, {})[item_id] = int(vote > 0)
        return Votes(qrels, skipped)

    @property
    def topics(self) -> list[Topic]:
        """The queries that were judged."""
        return [topic_of(query_key) for query_key in self.qrels]


def export_judgments(judgments: pd.DataFrame, qrels_path: Path) -> ExportReport:
    """Write the latest judgments as qrels (`Votes.count`), and their queries as topics beside them.

    Raises `EvaluationError` where there is nothing to write or the file cannot be written.
    """
    votes = Votes.count(judgments)
    if not votes.qrels:
        raise EvaluationError(
            "There are no good or bad judgments to export yet; judge some results in the app first."
        )
    topics_path = default_topics_path(qrels_path)
    lines = [
        f"{_unspaced(query)} 0 {_unspaced(item, escape='%')} {level}\n"
        for query, levels in votes.qrels.items()
        for item, level in levels.items()
    ]
    topics = [f"{_unspaced(topic.query_id)}\t{topic.kind}\t{topic.query}\n" for topic in votes.topics]
    try:
        qrels_path.parent.mkdir(parents=True, exist_ok=True)
        qrels_path.write_text("".join(lines), encoding="utf-8")
        topics_path.write_text("".join(topics), encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"{qrels_path} cannot be written: {error.strerror}.") from error
    return ExportReport(str(qrels_path), str(topics_path), len(topics), len(lines), votes.skipped)


def topic_of(query_key: str) -> Topic:
    """Return a stored query as a topic: plainly as words or an item where it is just that, else in the grammar."""
    query = _query_of(query_key)
    if query is not None and len(query.terms) == 1 and not query.filters:
        (term,) = query.terms
        value = str(term.value)
        if term.weight == 1.0 and term.kind in ("item", "text") and value == " ".join(value.split()):
            return Topic(query_key, "item" if term.kind == "item" else "text", value)
    return Topic(query_key, "query", _unspaced(query_key))


def _query_of(text: str) -> Query | None:
    """Return the query that a text says in the address bar's grammar, or None where it says none."""
    try:
        query = query_from_params(parse_qs(text))
    except (ImgSearchError, ValueError):
        return None
    return query if query.terms else None


def _unspaced(text: str, escape: str = "") -> str:
    """Return a text as one word: white space, what cannot be printed, and `escape` percent-encoded."""
    return "".join(
        quote(letter) if letter.isspace() or not letter.isprintable() or letter in escape else letter
        for letter in text
    )


def decode_text(data: bytes, name: str) -> str:
    """Return the text of a file called `name`, its lines ended by newlines; raises `EvaluationError` for no UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvaluationError(f"The file {name} is no UTF-8 text (byte {error.start}).") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path) -> str:
    """Return the text of a file; raises `EvaluationError` where it cannot be read or is no UTF-8."""
    try:
        return decode_text(path.read_bytes(), str(path))
    except OSError as error:
        raise EvaluationError(f"The file {path} cannot be read: {error.strerror}.") from None


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """Return the lines that are not empty, with their numbers."""
    # Not splitlines: item ids may hold the rarer line separators.
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


# --- ids --------------------------------------------------------------------------------------------------------


def known_qrels(qrels: Qrels, catalog: Catalog) -> tuple[dict[str, dict[str, int]], set[str]]:
    """Return the qrels with their ids as the catalog writes them, and the ids that it does not have."""
    item_ids = {item_id for levels in qrels.values() for item_id in levels}
    spelled = _spellings(item_ids, catalog)
    known = {
        query_id: {spelled.get(item_id, item_id): level for item_id, level in levels.items()}
        for query_id, levels in qrels.items()
    }
    return known, item_ids - set(spelled)


def _spellings(item_ids: Iterable[str], catalog: Catalog) -> dict[str, str]:
    """Map each id to the item it means: as written, else percent-decoded; unknown ones are left out."""
    written = list(item_ids)
    found = {item.item_id for item in catalog.get_many(written)}
    encoded = [item_id for item_id in written if item_id not in found and "%" in item_id]
    decoded = {item.item_id for item in catalog.get_many([unquote(item_id) for item_id in encoded])}
    return {item_id: item_id for item_id in found} | {
        item_id: unquote(item_id) for item_id in encoded if unquote(item_id) in decoded
    }
