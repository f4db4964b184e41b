"""Paired comparison of two systems on the same queries: the difference, its interval and its p-value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import EvaluationError
from imgsearch.improve.quality.measures import bootstrap_interval

RESAMPLES = 9_999
MIN_P = 2 / (RESAMPLES + 1)
"""The smallest p-value that random resampling can report."""
BATCH_CELLS = 1_000_000
TIE = 1e-9
ALPHA = 0.05
FEW_QUERIES = 25
"""With fewer queries than this only a huge difference is significant."""

PerQuery = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of two systems on the same queries.

    `difference` is the second system's mean minus the first's, with its 95% interval (percentile bootstrap over the
    queries). Wins, losses and ties are the second system's. `deltas` has each query's difference, the greatest loss
    first, equal ones by query id.
    """

    measure: str
    queries: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    losses: int
    ties: int
    deltas: Mapping[str, float]

    @property
    def significant(self) -> bool:
        """Whether chance would cause so large a difference in fewer than 5 of 100 comparisons."""
        return self.p_value < ALPHA

    def sentence(self, first: str, second: str) -> str:
        """Return the result as a sentence; `first` and `second` are the systems' names."""
        by = f"{abs(self.difference):.4f} in {self.measure} over {self.queries:,} queries"
        p = f"p = {self.p_value:.2g}" if self.p_value > MIN_P else f"p = {MIN_P} or less"
        if self.wins == self.losses == 0:
            return f"{second} and {first} are equal in {self.measure} on all {self.queries:,} queries."
        if self.significant:
            word = "better" if self.difference > 0 else "worse"
            return f"{second} is {word} than {first} by {by} ({p})."
        more = " Judge more queries." if self.queries < FEW_QUERIES else ""
        return f"No significant difference: {second} differs from {first} by {by}, which may be chance ({p}).{more}"

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as the JSON of `imgsearch evaluate --compare SYSTEM --json`."""
        return {name: value for name, value in asdict(self).items() if name != "measure"}


def compare(
    first: PerQuery, second: PerQuery, measures: Sequence[str] = (), *, seed: int = 0
) -> tuple[Comparison, ...]:
    """Return the comparison of each measure over the queries that both systems have, in the order of `measures`.

    `first` and `second` map query ids to measures to values; without `measures`, those that both have are
    compared. Raises `EvaluationError` if they share no query or no measure, or lack a measure that is named.
    """
    shared = [query_id for query_id in first if query_id in second]
    if not shared:
        raise EvaluationError("The two systems were measured on different queries; measure them on the same.")
    both = [name for name in first[shared[0]] if name in second[shared[0]]]
    missing = [name for name in measures if name not in both]
    if missing or not both:
        named = missing[0] if missing else "any measure"
        raise EvaluationError(f"The two systems were not both measured by {named}; measure them again by it.")
    return tuple(
        _compare(
            name,
            np.array([first[query_id][name] for query_id in shared]),
            np.array([second[query_id][name] for query_id in shared]),
            shared,
            seed,
        )
        for name in measures or both
    )


def _compare(
    measure: str, first: NDArray[np.float64], second: NDArray[np.float64], query_ids: Sequence[str], seed: int
) -> Comparison:
    differences = second - first
    low, high = bootstrap_interval(differences.tolist(), seed)
    by_query = zip(query_ids, differences.tolist(), strict=True)
    return Comparison(
        measure=measure,
        queries=len(query_ids),
        first=float(first.mean()),
        second=float(second.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=randomisation_p_value(differences, seed=seed),
        wins=int((differences > TIE).sum()),
        losses=int((differences < -TIE).sum()),
        ties=int((np.abs(differences) <= TIE).sum()),
        deltas=dict(sorted(by_query, key=lambda pair: (pair[1], pair[0]))),
    )


def randomisation_p_value(differences: NDArray[np.float64], *, seed: int = 0) -> float:
    """Return the two-sided p-value of Fisher's paired randomisation test of a mean difference of zero.

    `differences` is (queries,) float64, one system minus the other. If the systems were equal, each difference could
    as well have the other sign: the p-value is the share of such sign flips whose mean is at least as extreme. Up to
    13 differing queries all are counted, else 9,999 random ones.

    Source: M. D. Smucker, J. Allan, B. Carterette, "A comparison of statistical significance tests for information
    retrieval evaluation", CIKM 2007.
    """
    from scipy.stats import permutation_test

    values = np.asarray(differences, np.float64)
    values = values[np.abs(values) > TIE]  # a flip of zero changes nothing
    if len(values) < 2:
        return 1.0
    result = permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=max(1, BATCH_CELLS // len(values)),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)
