"""Topics: the queries that judgments are for, as files and as queries that can be searched.

query_id <TAB> kind <TAB> query      kind: item (an item's id), text (words), or query (URL parameters, such as
                                     text=red+mug&less=1.jpg)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import parse_qs, quote

from imgsearch.core.errors import EvaluationError, ImgSearchError
from imgsearch.core.query import Query, Term
from imgsearch.core.query_address import query_from_params

TopicKind = Literal["item", "text", "query"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One query of an evaluation."""

    query_id: str
    kind: TopicKind
    query: str


def read_topics(path: Path) -> list[Topic]:
    """Return the topics of a file; see `parse_topics`."""
    return parse_topics(read_text(path), str(path))


def parse_topics(text: str, name: str) -> list[Topic]:
    """Return the queries in the text of a topics file called `name`, in its order.

    Raises `EvaluationError` with the number of a malformed line.
    """
    topics: dict[str, Topic] = {}
    for number, line in numbered_lines(text):
        parts = [part.strip() for part in line.rstrip("\r\n").split("\t")]
        if len(parts) != 3 or not all(parts):
            raise EvaluationError(
                f"Line {number} of {name} is not 'query_id TAB kind TAB query': {line.strip()[:80]!r}."
            )
        query_id, kind, query = parts
        if kind not in get_args(TopicKind):
            raise EvaluationError(
                f"Line {number} of {name} has the kind {kind[:40]!r}; use item, text or query."
            )
        if query_id in topics:
            raise EvaluationError(
                f"Line {number} of {name} repeats the query id {query_id!r}; use each id once."
            )
        topics[query_id] = Topic(query_id, cast(TopicKind, kind), query)
    if not topics:
        raise EvaluationError(f"The file {name} has no topics.")
    return list(topics.values())


def default_topics_path(qrels: Path) -> Path:
    """Return the topics file that belongs to a qrels file: `x.topics.tsv` beside `x.trec`."""
    return qrels.with_suffix(".topics.tsv")


def topic_query(topic: Topic) -> Query:
    """Return the query of a topic. Raises `EvaluationError` where kind `query` cannot be parsed."""
    if topic.kind == "query":
        query = query_from_text(topic.query)
        if query is None:
            raise EvaluationError(
                f"The query {topic.query[:80]!r} cannot be parsed; write it like text=red+mug."
            )
        return query
    return Query((Term(topic.kind, topic.query),))


def topic_of(query_key: str) -> Topic:
    """Return a stored query as a topic: of kind item or text where that says everything, else of kind query."""
    query = query_from_text(query_key)
    if query is not None and len(query.terms) == 1 and not query.filters:
        (term,) = query.terms
        value = str(term.value)
        if term.weight == 1.0 and term.kind in ("item", "text") and value == " ".join(value.split()):
            return Topic(query_key, "item" if term.kind == "item" else "text", value)
    return Topic(query_key, "query", percent_encoded(query_key))


def query_from_text(text: str) -> Query | None:
    """Return the query that URL parameters describe, or None where the text describes none."""
    try:
        query = query_from_params(parse_qs(text))
    except (ImgSearchError, ValueError):
        return None
    return query if query.terms else None


def percent_encoded(text: str, escape: str = "") -> str:
    """Return a text without white space: it, unprintable characters and `escape` are percent-encoded."""
    return "".join(
        quote(letter) if letter.isspace() or not letter.isprintable() or letter in escape else letter
        for letter in text
    )


def decode_text(data: bytes, name: str) -> str:
    """Return the text of a file called `name` with "\\n" line ends; raises `EvaluationError` if it is not UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvaluationError(f"The file {name} is not UTF-8 text (byte {error.start}).") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path) -> str:
    """Return the text of a file; raises `EvaluationError` if it cannot be read or is not UTF-8."""
    try:
        return decode_text(path.read_bytes(), str(path))
    except OSError as error:
        raise EvaluationError(f"The file {path} cannot be read: {error.strerror}.") from None


def write_text(path: Path, text: str, *, errors: str = "strict") -> None:
    """Write a text as UTF-8; raises `EvaluationError` if the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors=errors, newline="")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}.") from error


def numbered_lines(text: str) -> Iterable[tuple[int, str]]:
    """Return the lines that are not empty, with their numbers from 1."""
    # Not splitlines: item ids may contain the rarer line separators.
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
