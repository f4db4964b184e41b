"""Offline evaluation: relevance judgments (TREC qrels) and queries (topics) in, standard measures out.

It owns the files' formats, the run over the queries, and the statistics; the measures themselves are computed by
`ir-measures`. It is handed a function that searches, and knows neither encoders nor indexes nor pages.

    qrels    query_id iteration item_id relevance     by white space; relevance is a whole number, > 0 is relevant
    topics   query_id <TAB> kind <TAB> query          kind: item (an item's id), text (words), or query (anything
                                                      in the address bar's grammar: text=red+mug&less=1.jpg)

In qrels an id that holds white space or a percent sign is percent-encoded. An item query never counts itself, found
or judged. Unjudged items count as not relevant in the standard measures; `Judged@10` says how much of the top was
judged, and where that is little a warning is part of the report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import parse_qs, quote, unquote

import numpy as np

from imgsearch.catalog import Catalog
from imgsearch.errors import EvaluationError, ImgSearchError
from imgsearch.links import query_from_params
from imgsearch.records import Query, SearchResult, Term

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DEFAULT_MEASURES",
    "EvaluationReport",
    "ExportReport",
    "MeasureResult",
    "Qrels",
    "Topic",
    "default_topics_path",
    "evaluate",
    "export_judgments",
    "measure_run",
    "parse_measures",
    "read_qrels",
    "read_topics",
    "topics_from_qrels",
]

Qrels = Mapping[str, Mapping[str, int]]
TopicKind = Literal["item", "text", "query"]

DEFAULT_MEASURES = "nDCG@10 P@10 R@10 AP"
JUDGED = "Judged@10"
ENOUGH_JUDGED = 0.8
DEPTH = 1000
"""How many hits a query is asked for, as in TREC; measures without a cut-off see this far."""
BOOTSTRAP_SAMPLES = 2000

_MEASURE = re.compile(r"^(?P<name>[A-Za-z]+)(?:\(rel=(?P<rel>\d+)\))?(?:@(?P<cutoff>[1-9]\d*))?$")
_KNOWN_MEASURES = ("nDCG", "P", "R", "AP", "RR", "Success", "Rprec", "Bpref", "Judged")
_NEED_CUTOFF = ("P", "R", "Success", "Judged")
_ONLY_WHOLE = ("Rprec", "Bpref")
_NO_LEVEL = ("nDCG", "Judged")
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
class MeasureResult:
    """A measure's mean over the queries, with the 95% interval of a percentile bootstrap over them."""

    measure: str
    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What an evaluation found.

    `per_query` maps each query id to its measures. `skipped` maps the query ids that could not be used to why, and
    `unknown_items` counts judged items that are not in the catalog, so could not be found.
    """

    measures: tuple[MeasureResult, ...]
    per_query: Mapping[str, Mapping[str, float]]
    skipped: Mapping[str, str]
    unknown_items: int
    warnings: tuple[str, ...]
    encoder: str

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


# --- measuring --------------------------------------------------------------------------------------------------


def evaluate(
    search: Callable[[Query], SearchResult],
    catalog: Catalog,
    qrels: Qrels,
    topics: Sequence[Topic],
    measures: str = DEFAULT_MEASURES,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Search every topic that has judgments, and return the measures over them.

    Each query is asked for its first 1,000 hits. Topics without judgments, judged queries without a topic, with no
    relevant item in the catalog, or that cannot be searched (their item is gone) are skipped, and the report says
    why. `progress` is called with (queries done, queries in all).

    Raises `EvaluationError` for an unknown measure, or where no query is left to measure.
    """
    parsed = parse_measures(measures)
    spelled, unknown_items = _known_qrels(qrels, catalog)
    by_id = {topic.query_id: topic for topic in topics}
    skipped = {query_id: "It has judgments, but no topic." for query_id in qrels if query_id not in by_id}
    skipped |= {query_id: "It has no judgments." for query_id in by_id if query_id not in qrels}
    judged = [topic for topic in by_id.values() if topic.query_id in qrels]
    run: dict[str, list[str]] = {}
    used: dict[str, Mapping[str, int]] = {}
    encoder = catalog.encoder_id
    depth = max(1, min(DEPTH, len(catalog)))
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
        used[query_id] = judgments
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


def _mean(name: str, values: Sequence[float], seed: int) -> MeasureResult:
    """Return the mean with its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13)."""
    sample = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    # A row at a time: 2,000 x 100,000 queries at once would be 1.6 GB.
    means = [sample[rng.integers(0, len(sample), len(sample))].mean() for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return MeasureResult(name, float(sample.mean()), float(low), float(high), len(sample))


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


def _known_qrels(qrels: Qrels, catalog: Catalog) -> tuple[dict[str, dict[str, int]], set[str]]:
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


# --- files ------------------------------------------------------------------------------------------------------


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return the judgments of a TREC qrels file: {query_id: {item_id: relevance}}, in the file's order.

    The last of two judgments of one pair counts. Raises `EvaluationError` naming the line that is malformed.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        match = _QRELS_LINE.match(line)
        if match is None:
            raise EvaluationError(
                f"Line {number} of {path} is not 'query_id iteration item_id relevance': {line.strip()[:80]!r}."
            )
        try:
            level = int(match["relevance"])
        except ValueError:
            raise EvaluationError(
                f"Line {number} of {path} has the relevance {match['relevance'][:40]!r}, which is no whole number."
            ) from None
        qrels.setdefault(match["query"], {})[match["item"]] = level
    if not qrels:
        raise EvaluationError(f"The file {path} holds no judgments.")
    return qrels


def read_topics(path: Path) -> list[Topic]:
    """Return the queries of a topics file, in its order. Raises `EvaluationError` naming the malformed line."""
    topics: dict[str, Topic] = {}
    for number, line in _lines(path):
        parts = [part.strip() for part in line.rstrip("\r\n").split("\t")]
        if len(parts) != 3 or not all(parts):
            raise EvaluationError(
                f"Line {number} of {path} is not 'query_id TAB kind TAB query': {line.strip()[:80]!r}."
            )
        query_id, kind, query = parts
        if kind not in get_args(TopicKind):
            raise EvaluationError(
                f"Line {number} of {path} has the kind {kind[:40]!r}, but must have item, text or query."
            )
        if query_id in topics:
            raise EvaluationError(f"Line {number} of {path} gives the query {query_id!r} a second time.")
        topics[query_id] = Topic(query_id, kind, query)  # type: ignore[arg-type]  # checked above
    if not topics:
        raise EvaluationError(f"The file {path} holds no topics.")
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


def export_judgments(judgments: pd.DataFrame, qrels_path: Path) -> ExportReport:
    """Write the latest judgments as qrels, and their queries as topics beside them (`default_topics_path`).

    `judgments` has the columns query_key, item_id, labeler and verdict, one row for each labeler's latest word on
    a pair. Relevance is 1 where more labelers said good than bad, else 0; a pair that nobody could tell is left
    out. Raises `EvaluationError` where there is nothing to write or the file cannot be written.
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
    if not votes:
        raise EvaluationError(
            "There are no good or bad judgments to export yet; judge some results in the app first."
        )
    queries = list(dict.fromkeys(query_key for query_key, _ in sorted(votes)))
    topics_path = default_topics_path(qrels_path)
    lines = [
        f"{_unspaced(query)} 0 {_unspaced(item, escape='%')} {int(vote > 0)}\n"
        for (query, item), vote in sorted(votes.items())
    ]
    topics = [
        f"{_unspaced(query)}\t{kind}\t{text}\n" for query in queries for kind, text in [_topic_of(query)]
    ]
    try:
        qrels_path.parent.mkdir(parents=True, exist_ok=True)
        qrels_path.write_text("".join(lines), encoding="utf-8")
        topics_path.write_text("".join(topics), encoding="utf-8")
    except OSError as error:
        raise EvaluationError(f"{qrels_path} cannot be written: {error.strerror}.") from error
    return ExportReport(str(qrels_path), str(topics_path), len(queries), len(votes), skipped)


def _topic_of(query_key: str) -> tuple[TopicKind, str]:
    """Return a stored query as a topic: plainly as words or an item where it is just that, else in the grammar."""
    query = _query_of(query_key)
    if query is not None and len(query.terms) == 1 and not query.filters:
        (term,) = query.terms
        value = str(term.value)
        if term.weight == 1.0 and term.kind in ("item", "text") and value == " ".join(value.split()):
            return ("item" if term.kind == "item" else "text"), value
    return "query", _unspaced(query_key)


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


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    """Return the file's lines that are not empty, with their numbers; translates what reading can raise."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvaluationError(f"The file {path} is no UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise EvaluationError(f"The file {path} cannot be read: {error.strerror}.") from None
    # Not splitlines: item ids may hold the rarer line separators.
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
