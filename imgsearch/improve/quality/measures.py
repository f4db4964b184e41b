"""Measures of rankings: names such as nDCG@10, their values by `ir-measures`, and the interval of their mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgsearch.core.errors import EvaluationError
from imgsearch.improve.judging.qrels import Qrels

DEFAULT_MEASURES = "nDCG@10 P@10 R@10 AP"
JUDGED = "Judged@10"
MAX_DEPTH = 1000
"""How many hits of a query are measured, as in TREC; measures without a cut-off use them all."""
BOOTSTRAP_SAMPLES = 2000

_MEASURE = re.compile(r"^(?P<name>[A-Za-z]+)(?:\(rel=(?P<rel>\d+)\))?(?:@(?P<cutoff>[1-9]\d*))?$")
_KNOWN = ("nDCG", "P", "R", "AP", "RR", "Success", "Rprec", "Bpref", "Judged")
_NEED_CUTOFF = ("P", "R", "Success", "Judged")
_WITHOUT_CUTOFF = ("Rprec", "Bpref")
_WITHOUT_LEVEL = ("nDCG", "Judged")
_USE_JUDGED = ("Judged", "Bpref")


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """A measure's mean over the queries, with the 95% interval of a percentile bootstrap over them."""

    measure: str
    mean: float
    low: float
    high: float
    queries: int


def parse_measures(text: str) -> dict[str, Any]:
    """Return the `ir-measures` objects of a text such as 'nDCG@10 P(rel=2)@5 AP', by name, in order.

    `Judged@10` is always among them. Raises `EvaluationError` for an unknown or incomplete name.
    """
    import ir_measures

    parsed: dict[str, Any] = {}
    names = text.replace(",", " ").split()
    if not names:
        raise EvaluationError(f"No measure is given; give some, such as '{DEFAULT_MEASURES}'.")
    for name in [*names, JUDGED]:
        match = _MEASURE.match(name)
        if match is None or match["name"] not in _KNOWN:
            raise EvaluationError(
                f"The measure {name!r} is unknown; there are {', '.join(_KNOWN)}, with a cut-off as in nDCG@10 and "
                "the lowest relevant grade as in P(rel=2)@10."
            )
        kind, level, cutoff = match["name"], match["rel"], match["cutoff"]
        if kind in _NEED_CUTOFF and cutoff is None:
            raise EvaluationError(f"The measure {name!r} needs a cut-off, such as {kind}@10.")
        if kind in _WITHOUT_CUTOFF and cutoff is not None:
            raise EvaluationError(f"The measure {name!r} has no cut-off; write {kind}.")
        if kind in _WITHOUT_LEVEL and level is not None:
            raise EvaluationError(
                f"The measure {name!r} has no lowest relevant grade; write it without rel=."
            )
        measure = getattr(ir_measures, kind)
        if level is not None:
            measure = measure(rel=int(level))
        parsed[name] = measure @ int(cutoff) if cutoff is not None else measure
    return parsed


def judged_depth(measures: Mapping[str, Any], least: int) -> int:
    """Return to which rank the measures need to know what was judged, `least` or more."""
    matches = [match for name in measures if (match := _MEASURE.match(name)) and match["name"] in _USE_JUDGED]
    return max([least, *(int(match["cutoff"] or MAX_DEPTH) for match in matches)])


def measure_run(
    qrels: Qrels, run: Mapping[str, Sequence[str]], measures: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Return each query's measures; `run` has the item ids of each query in ranked order, without ties.

    A query of `qrels` that is not in the run gets zero everywhere.
    """
    import ir_measures

    judgments = [
        ir_measures.Qrel(query_id, item_id, level)
        for query_id, levels in qrels.items()
        for item_id, level in levels.items()
    ]
    scored = [
        ir_measures.ScoredDoc(query_id, item_id, float(len(ranking) - position))
        for query_id, ranking in run.items()
        for position, item_id in enumerate(ranking)
    ]
    names = {measure: name for name, measure in measures.items()}
    values: dict[str, dict[str, float]] = {query_id: dict.fromkeys(measures, 0.0) for query_id in qrels}
    for metric in ir_measures.iter_calc(list(names), judgments, scored):
        values[metric.query_id][names[metric.measure]] = float(metric.value)
    return values


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95% percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13)."""
    sample = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    # A row at a time: 2,000 x 100,000 queries at once would be 1.6 GB.
    means = [sample[rng.integers(0, len(sample), len(sample))].mean() for _ in range(BOOTSTRAP_SAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def mean_result(measure: str, values: Sequence[float], seed: int) -> MeasureResult:
    """Return the mean of one measure's values."""
    low, high = bootstrap_interval(values, seed)
    return MeasureResult(measure, float(np.mean(values, dtype=np.float64)), low, high, len(values))
