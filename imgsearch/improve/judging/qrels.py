"""Relevance judgments (qrels): TREC files, and the counts of labelers' verdicts.

    query_id iteration item_id relevance     separated by white space; relevance is a whole number, > 0 is relevant

An id that contains white space or a percent sign is percent-encoded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from imgsearch.core.errors import EvaluationError
from imgsearch.improve.judging.topics import (
    Topic,
    default_topics_path,
    numbered_lines,
    percent_encoded,
    query_from_text,
    read_text,
    topic_of,
    write_text,
)
from imgsearch.store.catalog import CatalogStore

if TYPE_CHECKING:
    import pandas as pd

Qrels = Mapping[str, Mapping[str, int]]
"""Relevance by item id, by query id."""

_QRELS_LINE = re.compile(
    r"^\s*(?P<query>\S+)\s+(?P<iteration>\S+)\s+(?P<item>\S.*?)\s+(?P<relevance>\S+)\s*$"
)
_VOTE = {"good": 1, "bad": -1}


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return the judgments of a TREC qrels file; see `parse_qrels`."""
    return parse_qrels(read_text(path), str(path))


def parse_qrels(text: str, name: str) -> dict[str, dict[str, int]]:
    """Return the judgments in the text of a qrels file called `name`, in its order.

    The last of two judgments of one pair counts. Raises `EvaluationError` with the number of a malformed line.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, line in numbered_lines(text):
        match = _QRELS_LINE.match(line)
        if match is None:
            raise EvaluationError(
                f"Line {number} of {name} is not 'query_id iteration item_id relevance': {line.strip()[:80]!r}."
            )
        try:
            level = int(match["relevance"])
        except ValueError:
            raise EvaluationError(
                f"Line {number} of {name} has the relevance {match['relevance'][:40]!r}; write a whole number."
            ) from None
        qrels.setdefault(match["query"], {})[match["item"]] = level
    if not qrels:
        raise EvaluationError(f"The file {name} has no judgments.")
    return qrels


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What `export_judgments` wrote; `skipped` counts the verdicts "can't tell"."""

    qrels: str
    topics: str
    queries: int
    judgments: int
    skipped: int


def export_judgments(judgments: pd.DataFrame, qrels_path: Path) -> ExportReport:
    """Write judgments as qrels (`count_votes`), and their queries as topics beside them.

    Raises `EvaluationError` where there is nothing to write or the file cannot be written.
    """
    qrels, skipped = count_votes(judgments)
    if not qrels:
        raise EvaluationError("There are no good or bad judgments to export; judge some results first.")
    topics_path = default_topics_path(qrels_path)
    lines = [
        f"{percent_encoded(query)} 0 {percent_encoded(item, escape='%')} {level}\n"
        for query, levels in qrels.items()
        for item, level in levels.items()
    ]
    topics = [
        f"{percent_encoded(topic.query_id)}\t{topic.kind}\t{topic.query}\n" for topic in map(topic_of, qrels)
    ]
    write_text(qrels_path, "".join(lines))
    write_text(topics_path, "".join(topics))
    return ExportReport(str(qrels_path), str(topics_path), len(topics), len(lines), skipped)


def count_votes(judgments: pd.DataFrame) -> tuple[dict[str, dict[str, int]], int]:
    """Return judgments as qrels by query key, and how many verdicts are "can't tell".

    `judgments` has the columns query_key, item_id and verdict, with one row for each labeler's latest verdict on a
    pair. Relevance is 1 where more labelers said good than bad, else 0; a pair with no good or bad verdict is left
    out. Queries and items are sorted.
    """
    votes: Counter[tuple[str, str]] = Counter()
    for row in judgments.itertuples(index=False):
        if (verdict := str(row.verdict)) in _VOTE:
            votes[str(row.query_key), str(row.item_id)] += _VOTE[verdict]
    qrels: dict[str, dict[str, int]] = {}
    for (query_key, item_id), vote in sorted(votes.items()):
        qrels.setdefault(query_key, {})[item_id] = int(vote > 0)
    return qrels, int((~judgments["verdict"].isin(_VOTE)).sum())


def topics_from_qrels(qrels: Qrels, catalog: CatalogStore) -> list[Topic]:
    """Return the topics that the query ids describe: an item's id, or a query such as `text=red+mug`.

    Raises `EvaluationError` where an id is neither.
    """
    item_ids = _resolve_item_ids(qrels, catalog)
    topics = []
    for query_id in qrels:
        if query_id in item_ids:
            topics.append(Topic(query_id, "item", item_ids[query_id]))
        elif query_from_text(query_id) is not None:
            topics.append(Topic(query_id, "query", query_id))
        else:
            raise EvaluationError(
                f"The query {query_id!r} is no item of the catalog; give the queries with --topics FILE."
            )
    return topics


def known_qrels(qrels: Qrels, catalog: CatalogStore) -> tuple[dict[str, dict[str, int]], set[str]]:
    """Return the qrels with item ids as the catalog spells them, and the ids that the catalog does not have."""
    written = {item_id for levels in qrels.values() for item_id in levels}
    item_ids = _resolve_item_ids(written, catalog)
    known = {
        query_id: {item_ids.get(item_id, item_id): level for item_id, level in levels.items()}
        for query_id, levels in qrels.items()
    }
    return known, written - set(item_ids)


def _resolve_item_ids(written: Iterable[str], catalog: CatalogStore) -> dict[str, str]:
    """Map each id to the item that it means: as written, else percent-decoded; unknown ids are left out."""
    written = list(written)
    found = {item.item_id for item in catalog.get_many(written)}
    encoded = [item_id for item_id in written if item_id not in found and "%" in item_id]
    decoded = {item.item_id for item in catalog.get_many([unquote(item_id) for item_id in encoded])}
    return {item_id: item_id for item_id in found} | {
        item_id: unquote(item_id) for item_id in encoded if unquote(item_id) in decoded
    }
