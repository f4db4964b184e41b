"""Offline evaluation: search the judged queries and measure the answers with `ir-measures`.

An item query never counts itself, found or judged. Unjudged items count as not relevant in the standard measures;
`Judged@10` reports how many of the top hits were judged, and a low value adds a warning to the report.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imgsearch.core.errors import EvaluationError, ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.improve.judging.qrels import Qrels, known_qrels
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.store.catalog import CatalogStore

__all__ = [
    "DEFAULT_MEASURES",
    "JUDGED",
    "EvaluationReport",
    "MeasureResult",
    "RatedHit",
    "bootstrap_interval",
    "evaluate",
    "measure_run",
    "parse_measures",
]

DEFAULT_MEASURES = "nDCG@10 P@10 R@10 AP"
JUDGED = "Judged@10"
ENOUGH_JUDGED = 0.8
DEPTH = 1000
"""How many hits a query is asked for, as in TREC; measures without a cut-off see this far."""
BOOTSTRAP_SAMPLES = 2000
KEPT_HITS = 10
"""How many hits of each query a report keeps, to be looked at."""

_MEASURE = re.compile(r"^(?P<name>[A-Za-z]+)(?:\(rel=(?P<rel>\d+)\))?(?:@(?P<cutoff>[1-9]\d*))?$")
_KNOWN_MEASURES = ("nDCG", "P", "R", "AP", "RR", "Success", "Rprec", "Bpref", "Judged")
_NEED_CUTOFF = ("P", "R", "Success", "Judged")
_ONLY_WHOLE = ("Rprec", "Bpref")
_NO_LEVEL = ("nDCG", "Judged")
_ASK_JUDGED = ("Judged", "Bpref")


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """A measure's mean over the queries, with the 95% interval of a percentile bootstrap over them."""

    measure: str
    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class RatedHit:
    """One hit of a judged query; `relevance` is None where nobody judged it."""

    item_id: str
    rank: int
    relevance: int | None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What an evaluation found.

    `per_query` maps each query id to its measures. `skipped` maps the query ids that could not be used to why, and
    `unknown_items` counts judged items that are not in the catalog, so could not be found. `topics` has every query
    of `per_query` and those skipped that had one; `hits` the first 10 hits of each measured query. `items` is how
    many there were in the catalog, `seconds` the time that searching and measuring took.
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
            "measures": {
                result.measure: {
                    "mean": result.mean,
                    "low": result.low,
                    "high": result.high,
                    "queries": result.queries,
                }
                for result in self.measures
            },
            "per_query": {query_id: dict(values) for query_id, values in self.per_query.items()},
            "skipped": dict(self.skipped),
            "unknown_items": self.unknown_items,
            "warnings": list(self.warnings),
            "encoder": self.encoder,
        }


# --- measuring --------------------------------------------------------------------------------------------------


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
    """Search every topic that has judgments, and return the measures over them.

    Each query is asked for its first 1,000 hits. Topics without judgments, judged queries without a topic, with no
    relevant item in the catalog, or that cannot be searched (their item is gone) are skipped, and the report says
    why. With `complete` the qrels list everything relevant: what they do not list counts as judged, not relevant.
    `progress` is called with (queries done, queries in all).

    Raises `EvaluationError` for an unknown measure, or where no query is left to measure.
    """
    started = time.perf_counter()
    parsed = parse_measures(measures)
    spelled, unknown_items = known_qrels(qrels, catalog)
    by_id = {topic.query_id: topic for topic in topics}
    skipped = {query_id: "It has judgments, but no topic." for query_id in qrels if query_id not in by_id}
    skipped |= {query_id: "It has no judgments." for query_id in by_id if query_id not in qrels}
    judged = [topic for topic in by_id.values() if topic.query_id in qrels]
    run: dict[str, list[str]] = {}
    used: dict[str, Mapping[str, int]] = {}
    encoder = catalog.encoder_id
    depth = max(1, min(DEPTH, len(catalog)))
    judged_to = _judged_to(parsed)
    for done, topic in enumerate(judged, start=1):
        query_id = topic.query_id
        try:
            query = replace(topic_query(topic), n=depth)
            itself = {str(term.value) for term in query.terms if term.kind == "item"}
            judgments = {
                item_id: level for item_id, level in spelled[query_id].items() if item_id not in itself
            }
            if not any(level > 0 for item_id, level in judgments.items() if item_id not in unknown_items):
                skipped[query_id] = "None of its relevant items is in the catalog."
                continue
            result = search(query)
        except ImgSearchError as error:
            skipped[query_id] = str(error)
            continue
        finally:
            if progress is not None:
                progress(done, len(judged))
        encoder = result.encoder
        run[query_id] = [hit.item_id for hit in result.hits]
        used[query_id] = dict.fromkeys(run[query_id][:judged_to], 0) | judgments if complete else judgments
    if not used:
        first = next(iter(skipped.items()), ("", "The qrels are empty."))
        raise EvaluationError(
            f"None of the {len(qrels)} judged queries can be measured; query {first[0]!r}: {first[1]}"
        )
    per_query = measure_run(used, run, parsed)
    results = tuple(_mean(name, [values[name] for values in per_query.values()], seed) for name in parsed)
    return EvaluationReport(
        measures=results,
        per_query=per_query,
        skipped=skipped,
        unknown_items=len(unknown_items),
        warnings=_warnings(results, skipped, unknown_items),
        encoder=encoder,
        items=len(catalog),
        seconds=time.perf_counter() - started,
        topics=by_id,
        hits={
            query_id: tuple(
                RatedHit(item_id, rank, used[query_id].get(item_id))
                for rank, item_id in enumerate(ranking[:KEPT_HITS], start=1)
            )
            for query_id, ranking in run.items()
        },
    )


def measure_run(
    qrels: Qrels, run: Mapping[str, Sequence[str]], measures: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Return each query's measures; `run` has the item ids of each query in the order they were ranked.

    A query of `qrels` that the run does not answer counts as zero everywhere. The order is taken as it is: no
    ties are left for the measuring tool to break.
    """
    import ir_measures

    judgments = [
        ir_measures.Qrel(query_id, item_id, level)
        for query_id, levels in qrels.items()
        for item_id, level in levels.items()
    ]
    scored = [
        ir_measures.ScoredDoc(query_id, item_id, float(len(ranking) - place))
        for query_id, ranking in run.items()
        for place, item_id in enumerate(ranking)
    ]
    names = {measure: name for name, measure in measures.items()}
    values: dict[str, dict[str, float]] = {query_id: dict.fromkeys(measures, 0.0) for query_id in qrels}
    for metric in ir_measures.iter_calc(list(names), judgments, scored):
        values[metric.query_id][names[metric.measure]] = float(metric.value)
    return values


def parse_measures(text: str) -> dict[str, Any]:
    """Return the `ir-measures` objects of a text such as 'nDCG@10 P(rel=2)@5 AP', by their names, in order.

    `Judged@10` is always among them. Raises `EvaluationError` naming what is not understood.
    """
    import ir_measures

    parsed: dict[str, Any] = {}
    names = text.replace(",", " ").split()
    if not names:
        raise EvaluationError(f"No measure is named; give some, such as '{DEFAULT_MEASURES}'.")
    for name in [*names, JUDGED]:
        match = _MEASURE.match(name)
        if match is None or match["name"] not in _KNOWN_MEASURES:
            raise EvaluationError(
                f"The measure {name!r} is not known; there are {', '.join(_KNOWN_MEASURES)}, with a cut-off as in "
                "nDCG@10 and the least relevant level as in P(rel=2)@10."
            )
        kind, level, cutoff = match["name"], match["rel"], match["cutoff"]
        if kind in _NEED_CUTOFF and cutoff is None:
            raise EvaluationError(f"The measure {name!r} needs a cut-off, such as {kind}@10.")
        if kind in _ONLY_WHOLE and cutoff is not None:
            raise EvaluationError(f"The measure {name!r} cannot be cut off; write {kind}.")
        if kind in _NO_LEVEL and level is not None:
            raise EvaluationError(
                f"The measure {name!r} knows no least relevant level; write it without rel=."
            )
        measure = getattr(ir_measures, kind)
        if level is not None:
            measure = measure(rel=int(level))
        parsed[name] = measure @ int(cutoff) if cutoff is not None else measure
    return parsed


def _judged_to(measures: Mapping[str, Any]) -> int:
    """Return how far down a ranking the measures ask whether an item was judged."""
    depths = [KEPT_HITS]
    for name in measures:
        match = _MEASURE.match(name)
        if match and match["name"] in _ASK_JUDGED:
            depths.append(int(match["cutoff"] or DEPTH))
    return max(depths)


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95% percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13)."""
    sample = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    # A row at a time: 2,000 x 100,000 queries at once would be 1.6 GB.
    means = [sample[rng.integers(0, len(sample), len(sample))].mean() for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _mean(name: str, values: Sequence[float], seed: int) -> MeasureResult:
    low, high = bootstrap_interval(values, seed)
    return MeasureResult(name, float(np.mean(values, dtype=np.float64)), low, high, len(values))


def _warnings(
    results: Iterable[MeasureResult], skipped: Mapping[str, str], unknown_items: set[str]
) -> tuple[str, ...]:
    warnings = []
    judged = next(result for result in results if result.measure == JUDGED)
    if judged.mean < ENOUGH_JUDGED:
        warnings.append(
            f"Only {judged.mean:.0%} of the first 10 hits were judged; the others count as not relevant here, so the "
            "true values may be higher: judge more before trusting a difference."
        )
    if skipped:
        query_id, reason = next(iter(skipped.items()))
        warnings.append(
            f"{_many(len(skipped), 'query was', 'queries were')} left out; {query_id!r}: {reason}"
        )
    if unknown_items:
        warnings.append(
            f"{_many(len(unknown_items), 'judged item is', 'judged items are')} not in the catalog and cannot be "
            f"found, such as {min(unknown_items)!r}."
        )
    return tuple(warnings)


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
