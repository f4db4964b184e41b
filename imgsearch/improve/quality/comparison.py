"""Two systems on the same queries: is the second one better, by how much, and could it be chance?

It owns the paired statistics of per-query measures. It does not search, store or draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import EvaluationError
from imgsearch.improve.quality.evaluation import bootstrap_interval

__all__ = ["Comparison", "compare", "randomisation_p_value"]

PERMUTATIONS = 9_999
EXACT_UP_TO = 13
"""With at most this many differing queries, every one of the 2**n permutations is looked at."""
BATCH_CELLS = 4_000_000
TIE = 1e-9
LEVEL = 0.05
FEW_QUERIES = 25
"""With fewer queries than this a difference must be huge to be told from chance."""

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
        """Whether a difference this large would come by chance in fewer than 5 of 100 comparisons."""
        return self.p_value < LEVEL

    def sentence(self, first: str, second: str) -> str:
        """Say what was found in one sentence; `first` and `second` are the systems' names."""
        by = f"{abs(self.difference):.4f} in {self.measure} over {self.queries:,} queries"
        if self.wins == self.losses == 0:
            return f"{second} and {first} are equal in {self.measure} on all {self.queries:,} queries."
        if self.significant:
            word = "better" if self.difference > 0 else "worse"
            return f"{second} is {word} than {first} by {by}, which chance hardly explains (p = {_p(self.p_value)})."
        more = " Judge more queries." if self.queries < FEW_QUERIES else ""
        return (
            f"No difference can be told: {second} differs from {first} by {by}, which may be chance "
            f"(p = {_p(self.p_value)}).{more}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as the JSON of `imgsearch evaluate --compare SYSTEM --json`."""
        names = (
            "queries",
            "first",
            "second",
            "difference",
            "low",
            "high",
            "p_value",
            "wins",
            "losses",
            "ties",
        )
        return {name: getattr(self, name) for name in names} | {"deltas": dict(self.deltas)}


def compare(
    first: PerQuery, second: PerQuery, measures: Sequence[str] = (), *, seed: int = 0
) -> tuple[Comparison, ...]:
    """Return the comparison of each measure over the queries that both systems have, in the order of `measures`.

    `first` and `second` map query ids to measures to values; without `measures`, those that both have are
    compared. Raises `EvaluationError` where they share no query or no measure, or a measure that is named is missing.
    """
    shared = [query_id for query_id in first if query_id in second]
    if not shared:
        raise EvaluationError("The two systems were measured on different queries; measure them on the same.")
    have = [name for name in first[shared[0]] if name in second[shared[0]]]
    missing = [name for name in measures if name not in have]
    if missing or not have:
        named = missing[0] if missing else "any measure"
        raise EvaluationError(f"The two systems were not both measured by {named}; measure them again by it.")
    return tuple(
        _compare(
            name,
            {query_id: first[query_id][name] for query_id in shared},
            {query_id: second[query_id][name] for query_id in shared},
            seed,
        )
        for name in measures or have
    )


def _compare(measure: str, first: Mapping[str, float], second: Mapping[str, float], seed: int) -> Comparison:
    deltas = {query_id: second[query_id] - value for query_id, value in first.items()}
    values = np.array(list(deltas.values()), np.float64)
    low, high = bootstrap_interval(list(deltas.values()), seed)
    return Comparison(
        measure=measure,
        queries=len(deltas),
        first=float(np.mean(list(first.values()))),
        second=float(np.mean(list(second.values()))),
        difference=float(values.mean()),
        low=low,
        high=high,
        p_value=randomisation_p_value(values, seed=seed),
        wins=int((values > TIE).sum()),
        losses=int((values < -TIE).sum()),
        ties=int((np.abs(values) <= TIE).sum()),
        deltas=dict(sorted(deltas.items(), key=lambda pair: (pair[1], pair[0]))),
    )


def randomisation_p_value(differences: NDArray[np.float64], *, seed: int = 0) -> float:
    """Return the two-sided p-value of Fisher's paired randomisation test of a mean difference of zero.

    `differences` is (queries,) float64, one system minus the other. If the systems were alike, each query's two
    values could as well be exchanged: the p-value is the share of such exchanges whose mean differs from zero at
    least as much. All are counted for up to 13 differing queries, else 9,999 random ones and the observed one.

    Source: M. D. Smucker, J. Allan, B. Carterette, "A comparison of statistical significance tests for information
    retrieval evaluation", CIKM 2007.
    """
    values = np.asarray(differences, np.float64)
    values = values[np.abs(values) > TIE]  # an exchange of equal values changes nothing
    if len(values) == 0:
        return 1.0
    observed = abs(float(values.sum()))
    reached = observed - 1e-9 * max(1.0, float(np.abs(values).sum()))
    if len(values) <= EXACT_UP_TO:
        numbers = np.arange(2 ** len(values))[:, None]
        flips = (numbers >> np.arange(len(values))) & 1
        sums = (1.0 - 2.0 * flips) @ values
        return float((np.abs(sums) >= reached).mean())
    rng = np.random.default_rng(seed)
    extreme, left = 1, PERMUTATIONS
    while left:
        rows = min(left, max(1, BATCH_CELLS // len(values)))
        signs = np.unpackbits(
            rng.integers(0, 256, (rows, -(-len(values) // 8)), np.uint8), axis=1, count=len(values)
        )
        sums = (1.0 - 2.0 * signs) @ values
        extreme += int((np.abs(sums) >= reached).sum())
        left -= rows
    return extreme / (PERMUTATIONS + 1)


def _p(value: float) -> str:
    return "0.0001 or less" if value <= 1 / (PERMUTATIONS + 1) else f"{value:.2g}"
