"""Offline evaluation: search the judged queries and measure the answers with `ir-measures`.

An item query never counts itself, found or judged. Unjudged items count as not relevant in the standard measures;
`Judged@10` reports how many of the top hits were judged, and a low value adds a warning to the report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from imgsearch.core.errors import EvaluationError, ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.improve.judging.qrels import Qrels, known_qrels
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.improve.quality.measures import (
    DEFAULT_MEASURES,
    JUDGED,
    MAX_DEPTH,
    MeasureResult,
    judged_depth,
    mean_result,
    measure_run,
    parse_measures,
)
from imgsearch.store.catalog import CatalogStore

ENOUGH_JUDGED = 0.8
STORED_HITS = 10
"""How many hits of each query a report stores, to be shown."""


@dataclass(frozen=True, slots=True)
class RatedHit:
    """One hit of a judged query; `relevance` is None if it was not judged."""

    item_id: str
    rank: int
    relevance: int | None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What an evaluation found.

    `per_query` maps each query id to its measures, `skipped` the query ids that could not be used to the reason.
    `unknown_items` counts judged items that are not in the catalog. `topics` has every query of `per_query` and
    those skipped that had one; `hits` the first 10 hits of each measured query. `items` is the catalog's size,
    `seconds` the time of searching and measuring.
    """

    measures: tuple[MeasureResult, ...]
    per_query: Mapping[str, Mapping[str, float]]
    skipped: Mapping[str, str]
    unknown_items: int
    warnings: tuple[str, ...]
    encoder: str
    items: int
    seconds: float
    topics: Mapping[str, Topic]
    hits: Mapping[str, tuple[RatedHit, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON of `imgsearch evaluate --json`."""
        return {
            "measures": measures_as_dict(self.measures),
            "per_query": {query_id: dict(values) for query_id, values in self.per_query.items()},
            "skipped": dict(self.skipped),
            "unknown_items": self.unknown_items,
            "warnings": list(self.warnings),
            "encoder": self.encoder,
        }


def measures_as_dict(measures: Iterable[MeasureResult]) -> dict[str, dict[str, float]]:
    """Return means by measure as JSON."""
    return {
        each.measure: {"mean": each.mean, "low": each.low, "high": each.high, "queries": each.queries}
        for each in measures
    }


def evaluate(
    search: Callable[[Query], SearchResult],
    catalog: CatalogStore,
    qrels: Qrels,
    topics: Sequence[Topic],
    measures: str = DEFAULT_MEASURES,
    *,
    complete: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Search every topic that has judgments for its first 1,000 hits, and return the measures over them.

    Skipped, with the reason in the report: topics without judgments, judged queries without a topic or without a
    relevant item in the catalog, and queries that cannot be searched (their item is gone). With `complete` the qrels
    list everything relevant: what they do not list counts as judged, not relevant. `progress` is called with (queries
    done, queries in all).

    Raises `EvaluationError` for an unknown measure, or if no query is left to measure.
    """
    started = time.perf_counter()
    parsed = parse_measures(measures)
    known, unknown_items = known_qrels(qrels, catalog)
    by_id = {topic.query_id: topic for topic in topics}
    skipped = {query_id: "It has judgments, but no topic." for query_id in qrels if query_id not in by_id}
    skipped |= {query_id: "It has no judgments." for query_id in by_id if query_id not in qrels}
    n = max(1, min(MAX_DEPTH, len(catalog)))
    answers: dict[str, _Answer] = {}
    judged = [query_id for query_id in by_id if query_id in qrels]
    for done, query_id in enumerate(judged, start=1):
        try:
            answers[query_id] = _answer(search, by_id[query_id], n, known[query_id], unknown_items)
        except ImgSearchError as error:
            skipped[query_id] = str(error)
        if progress is not None:
            progress(done, len(judged))
    if not answers:
        first, reason = next(iter(skipped.items()), ("", "The qrels are empty."))
        raise EvaluationError(
            f"None of the {len(qrels)} judged queries can be measured; query {first!r}: {reason}"
        )
    depth = judged_depth(parsed, STORED_HITS) if complete else 0
    judgments = {
        query_id: dict.fromkeys(answer.ranking[:depth], 0) | answer.judgments
        for query_id, answer in answers.items()
    }
    per_query = measure_run(judgments, {name: answer.ranking for name, answer in answers.items()}, parsed)
    results = tuple(mean_result(name, [row[name] for row in per_query.values()], seed) for name in parsed)
    return EvaluationReport(
        measures=results,
        per_query=per_query,
        skipped=skipped,
        unknown_items=len(unknown_items),
        warnings=_warnings(results, skipped, unknown_items),
        encoder=next(reversed(answers.values())).encoder,
        items=len(catalog),
        seconds=time.perf_counter() - started,
        topics=by_id,
        hits={query_id: _rated(answer.ranking, judgments[query_id]) for query_id, answer in answers.items()},
    )


class _Answer(NamedTuple):
    ranking: list[str]
    judgments: dict[str, int]
    encoder: str


def _answer(
    search: Callable[[Query], SearchResult],
    topic: Topic,
    n: int,
    levels: Mapping[str, int],
    unknown_items: set[str],
) -> _Answer:
    """Search a topic; raises `EvaluationError` if it has no relevant item to find besides itself."""
    query = replace(topic_query(topic), n=n)
    itself = {str(term.value) for term in query.terms if term.kind == "item"}
    judgments = {item_id: level for item_id, level in levels.items() if item_id not in itself}
    if not any(level > 0 and item_id not in unknown_items for item_id, level in judgments.items()):
        raise EvaluationError("None of its relevant items is in the catalog.")
    result = search(query)
    return _Answer([hit.item_id for hit in result.hits], judgments, result.encoder)


def _rated(ranking: Sequence[str], judgments: Mapping[str, int]) -> tuple[RatedHit, ...]:
    return tuple(
        RatedHit(item_id, rank, judgments.get(item_id))
        for rank, item_id in enumerate(ranking[:STORED_HITS], start=1)
    )


def _warnings(
    results: Iterable[MeasureResult], skipped: Mapping[str, str], unknown_items: set[str]
) -> tuple[str, ...]:
    warnings = []
    judged = next(result for result in results if result.measure == JUDGED)
    if judged.mean < ENOUGH_JUDGED:
        warnings.append(
            f"Only {judged.mean:.0%} of the first 10 hits were judged. The others count as not relevant, so the true "
            "values may be higher; judge more before you rely on a difference."
        )
    if skipped:
        query_id, reason = next(iter(skipped.items()))
        queries = "1 query was" if len(skipped) == 1 else f"{len(skipped):,} queries were"
        warnings.append(f"{queries} left out; {query_id!r}: {reason}")
    if unknown_items:
        items = "1 judged item is" if len(unknown_items) == 1 else f"{len(unknown_items):,} judged items are"
        warnings.append(f"{items} not in the catalog and cannot be found, such as {min(unknown_items)!r}.")
    return tuple(warnings)
