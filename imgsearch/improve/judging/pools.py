"""What is to be judged: query sets from the catalog and the feedback, and the pool of candidates of each query.

It owns how queries are chosen and how the systems' hits are pooled and shuffled; it stores nothing. Which system
found a candidate, where and with which score goes no further than this module: labelers must not know.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imgsearch.core.errors import EncoderUnavailable, ImgSearchError, JudgingError, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import SearchResult
from imgsearch.improve.judging.topics import Topic, topic_of, topic_query
from imgsearch.store.catalog import CatalogStore

__all__ = [
    "MAX_DEPTH",
    "MAX_QUERIES",
    "Pool",
    "PooledQuery",
    "SystemSearch",
    "listed",
    "make_pool",
    "most_clicked",
    "most_searched",
    "pool_of",
    "random_items",
]

MAX_QUERIES = 10_000
MAX_DEPTH = 200

SystemSearch = Callable[[Query, str], SearchResult]
"""Answers a query as the system of that name does, leaving no trace in the feedback."""


@dataclass(frozen=True, slots=True)
class PooledQuery:
    """One query and the items to judge for it, both in an order that says nothing."""

    query_key: str
    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """The shuffled pool of a query set; `skipped` says of the queries that could not be searched why."""

    queries: tuple[PooledQuery, ...]
    skipped: dict[str, str]

    @property
    def pairs(self) -> int:
        """The number of (query, item) pairs to judge."""
        return sum(len(query.item_ids) for query in self.queries)


# --- query sets -------------------------------------------------------------------------------------------------


def random_items(catalog: CatalogStore, n: int, *, seed: int) -> list[Topic]:
    """Return up to n items drawn at random as queries, the same ones for the same seed."""
    keys = catalog.keys()
    drawn = np.random.default_rng(seed).permutation(len(keys))[: _checked_count(n)]
    return [Topic(item.item_id, "item", item.item_id) for item in catalog.by_keys(keys[drawn])]


def most_searched(catalog: CatalogStore, n: int) -> list[Topic]:
    """Return the n queries that visitors searched most often, the most frequent first."""
    return _from_feedback(
        catalog,
        "SELECT query_key FROM impressions GROUP BY query_key ORDER BY count(DISTINCT search_id) DESC, query_key",
        n,
        "searched",
    )


def most_clicked(catalog: CatalogStore, n: int) -> list[Topic]:
    """Return the n queries whose hits were clicked most often, the most frequent first."""
    return _from_feedback(
        catalog,
        "WITH searches AS (SELECT search_id, any_value(query_key) AS query_key FROM impressions "
        "SEMI JOIN clicks USING (search_id) GROUP BY search_id) "
        "SELECT query_key FROM clicks JOIN searches USING (search_id) "
        "GROUP BY query_key ORDER BY count(*) DESC, query_key",
        n,
        "clicked",
    )


def _from_feedback(catalog: CatalogStore, sql: str, n: int, what: str) -> list[Topic]:
    _checked_count(n)
    topics: list[Topic] = []
    cursor = catalog.database.cursor().execute(sql)
    # More than n are read, for some queries cannot be asked again: their item or uploaded photo is gone.
    while len(topics) < n and (rows := cursor.fetchmany(500)):
        found = [topic_of(str(row[0])) for row in rows]
        topics += [topic for topic in found if _can_be_asked(topic, catalog)]
    if not topics:
        raise JudgingError(f"No query that can be asked again has been {what} yet; choose another query set.")
    return topics[:n]


def _can_be_asked(topic: Topic, catalog: CatalogStore) -> bool:
    try:
        query = topic_query(topic)
        for term in query.terms:
            if term.kind == "item":
                catalog.get(str(term.value))
    except ImgSearchError:
        return False
    # Uploads are kept until newer ones need their room: a labeler could soon not see them any more.
    return all(term.kind in ("item", "text") for term in query.terms)


def listed(catalog: CatalogStore, text: str) -> list[Topic]:
    """Return the queries of a list, one a line: an item's id, a query such as `text=red+mug&less=1.jpg`, or words.

    Raises `JudgingError` where the list is empty or too long.
    """
    lines = list(dict.fromkeys(line.strip() for line in text.split("\n") if line.strip()))
    _checked_count(len(lines))
    known = {item.item_id for item in catalog.get_many(lines)}
    return [_listed_topic(line, line in known) for line in lines]


def _listed_topic(line: str, is_item: bool) -> Topic:
    if is_item:
        return Topic(line, "item", line)
    if "=" in line:
        topic = topic_of(line)
        try:
            topic_query(topic)
            return topic
        except ImgSearchError:
            pass  # words that hold an equals sign
    return Topic(line, "text", line)


def _checked_count(n: int) -> int:
    if not 1 <= n <= MAX_QUERIES:
        raise JudgingError(f"A query set has 1 to {MAX_QUERIES:,} queries, not {n:,}.")
    return n


# --- pooling ----------------------------------------------------------------------------------------------------


def make_pool(
    topics: Sequence[Topic],
    search: SystemSearch,
    *,
    systems: Sequence[str],
    depth: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Search every topic with every system and return what is among the first `depth` hits of any of them.

    Queries stay together (a labeler keeps one in mind), but come in an order drawn by the seed, as do the items of
    each. A query that cannot be answered is skipped, and the pool says why. Raises `JudgingError` for an impossible
    depth, no systems or topics, or where nothing at all is left to judge, `UnknownSystem`, and `EncoderUnavailable`.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise JudgingError(f"The pool depth is {depth}, but must be a whole number from 1 to {MAX_DEPTH}.")
    if not systems:
        raise JudgingError("Choose at least one system whose hits are to be judged.")
    _checked_count(len(topics))
    chance = random.Random(seed)
    found: dict[str, list[str]] = {}
    skipped: dict[str, str] = {}
    for done, topic in enumerate(topics, start=1):
        try:
            query = replace(topic_query(topic), n=depth)
            key = query_key(query)
            # By id before it is shuffled, so that the order depends on the seed alone and not on who found what.
            items = sorted({hit.item_id for name in systems for hit in search(query, name).hits})
        except (UnknownSystem, EncoderUnavailable):
            raise
        except ImgSearchError as error:
            skipped[topic.query_id] = str(error)
            items = []
        if items:
            chance.shuffle(items)
            found.setdefault(key, items)
        if progress is not None:
            progress(done, len(topics))
    if not found:
        reason = next(iter(skipped.values()), "no system found anything.")
        raise JudgingError(f"There is nothing to judge: {reason}")
    order = sorted(found)
    chance.shuffle(order)
    return Pool(tuple(PooledQuery(key, tuple(found[key])) for key in order), skipped)


def pool_of(pairs: Iterable[tuple[str, str]]) -> Pool:
    """Return a pool of given (query_key, item_id) pairs, in their order, each pair once."""
    found: dict[str, dict[str, None]] = {}
    for key, item_id in pairs:
        found.setdefault(key, {})[item_id] = None
    return Pool(tuple(PooledQuery(key, tuple(items)) for key, items in found.items()), {})
