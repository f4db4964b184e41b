"""Queries to judge: from the catalog, the feedback or a list."""

from __future__ import annotations

import numpy as np

from imgsearch.core.errors import ImgSearchError, JudgingError
from imgsearch.improve.judging.topics import Topic, query_from_text, topic_of, topic_query
from imgsearch.store.catalog import CatalogStore

MAX_QUERIES = 10_000

_MOST_SEARCHED = (
    "SELECT query_key FROM impressions GROUP BY query_key ORDER BY count(DISTINCT search_id) DESC, query_key"
)
_MOST_CLICKED = """
    WITH searches AS (
        SELECT search_id, any_value(query_key) AS query_key
        FROM impressions SEMI JOIN clicks USING (search_id) GROUP BY search_id
    )
    SELECT query_key FROM clicks JOIN searches USING (search_id)
    GROUP BY query_key ORDER BY count(*) DESC, query_key
"""


def random_items(catalog: CatalogStore, n: int, *, seed: int) -> list[Topic]:
    """Return up to n random items as queries, the same ones for the same seed."""
    check_count(n)
    keys = catalog.keys()
    drawn = np.random.default_rng(seed).permutation(len(keys))[:n]
    return [Topic(item.item_id, "item", item.item_id) for item in catalog.by_keys(keys[drawn])]


def most_searched(catalog: CatalogStore, n: int) -> list[Topic]:
    """Return the n queries that visitors searched most often, the most frequent first."""
    return _from_feedback(catalog, _MOST_SEARCHED, n, "searched")


def most_clicked(catalog: CatalogStore, n: int) -> list[Topic]:
    """Return the n queries whose hits were clicked most often, the most frequent first."""
    return _from_feedback(catalog, _MOST_CLICKED, n, "clicked")


def parse_list(catalog: CatalogStore, text: str) -> list[Topic]:
    """Return the queries of a list with one on each line: an item's id, `text=red+mug&less=1.jpg`, or words.

    Raises `JudgingError` if the list is empty or too long.
    """
    lines = list(dict.fromkeys(line.strip() for line in text.split("\n") if line.strip()))
    check_count(len(lines))
    known = {item.item_id for item in catalog.get_many(lines)}
    topics = []
    for line in lines:
        if line in known:
            topics.append(Topic(line, "item", line))
        elif "=" in line and query_from_text(line) is not None:
            topics.append(topic_of(line))
        else:
            topics.append(Topic(line, "text", line))
    return topics


def check_count(n: int) -> None:
    """Raise `JudgingError` for an impossible number of queries."""
    if not 1 <= n <= MAX_QUERIES:
        raise JudgingError(f"A query set has 1 to {MAX_QUERIES:,} queries, not {n:,}.")


def _from_feedback(catalog: CatalogStore, sql: str, n: int, what: str) -> list[Topic]:
    check_count(n)
    topics: list[Topic] = []
    cursor = catalog.database.cursor().execute(sql)
    # More than n are read: some queries cannot be repeated because their item or uploaded photo is gone.
    while len(topics) < n and (rows := cursor.fetchmany(500)):
        topics += [topic for row in rows if _is_repeatable(topic := topic_of(str(row[0])), catalog)]
    if not topics:
        raise JudgingError(f"No query that can be repeated has been {what} yet; choose another query set.")
    return topics[:n]


def _is_repeatable(topic: Topic, catalog: CatalogStore) -> bool:
    try:
        query = topic_query(topic)
        for term in query.terms:
            if term.kind == "item":
                catalog.get(str(term.value))
    except ImgSearchError:
        return False
    # Uploads are deleted when newer ones need the space: labelers could not see them any more.
    return all(term.kind in ("item", "text") for term in query.terms)
