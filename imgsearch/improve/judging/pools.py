"""Pooling: the pairs to judge are the queries with the first hits of several systems, shuffled.

Which system found an item, and its rank and score, are not stored: labelers must not know.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from imgsearch.core.errors import EncoderUnavailable, ImgSearchError, JudgingError, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import SearchResult
from imgsearch.improve.judging.query_sets import check_count
from imgsearch.improve.judging.topics import Topic, topic_query

MAX_DEPTH = 200

SystemSearch = Callable[[Query, str], SearchResult]
"""Answers a query as the system of that name does, without recording feedback."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Pairs (query_key, item_id) to judge; `skipped` maps the queries that could not be searched to the reason."""

    pairs: tuple[tuple[str, str], ...]
    skipped: dict[str, str] = field(default_factory=dict)


def make_pool(
    topics: Sequence[Topic],
    search: SystemSearch,
    *,
    systems: Sequence[str],
    depth: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Search every topic with every system and pool the first `depth` hits of each.

    The pairs of a query stay together (a labeler keeps it in mind); queries and their items are shuffled by the seed.
    A query that cannot be answered is skipped. Raises `JudgingError` for a depth out of range, no systems or topics,
    or if there is nothing to judge; `UnknownSystem`, and `EncoderUnavailable`.
    """
    if not 1 <= depth <= MAX_DEPTH:
        raise JudgingError(f"The pool depth is {depth}, but must be a whole number from 1 to {MAX_DEPTH}.")
    if not systems:
        raise JudgingError("Choose at least one system whose hits are to be judged.")
    check_count(len(topics))
    rng = random.Random(seed)
    found: dict[str, list[str]] = {}
    skipped: dict[str, str] = {}
    for done, topic in enumerate(topics, start=1):
        try:
            query = replace(topic_query(topic), n=depth)
            # Sorted before they are shuffled: the order depends on the seed alone, not on which system found what.
            items = sorted({hit.item_id for name in systems for hit in search(query, name).hits})
        except (UnknownSystem, EncoderUnavailable):
            raise
        except ImgSearchError as error:
            skipped[topic.query_id] = str(error)
        else:
            if items:
                rng.shuffle(items)
                found.setdefault(query_key(query), items)
        if progress is not None:
            progress(done, len(topics))
    if not found:
        reason = next(iter(skipped.values()), "no system found anything.")
        raise JudgingError(f"There is nothing to judge: {reason}")
    keys = sorted(found)
    rng.shuffle(keys)
    return Pool(tuple((key, item_id) for key in keys for item_id in found[key]), skipped)


def pool_of(pairs: Iterable[tuple[str, str]]) -> Pool:
    """Return a pool of given (query_key, item_id) pairs, each once, those of a query together."""
    by_query: dict[str, dict[str, None]] = {}
    for key, item_id in pairs:
        by_query.setdefault(key, {})[item_id] = None
    return Pool(tuple((key, item_id) for key, items in by_query.items() for item_id in items))
