"""The report of an adaptation: its figures, its JSON, and its sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "MEASURE",
    "AdaptationReport",
    "Guard",
    "Sample",
    "no_candidate_reason",
    "result_reason",
    "too_little_feedback",
]

MEASURE = "nDCG@10"
MAX_GUARD_LOSS = 0.05
"""A guard may lose this share of its value."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A measure that must not get worse: the share of `queries` with a correct item in the first 10 hits."""

    name: str
    before: float
    after: float
    queries: int

    @property
    def holds(self) -> bool:
        """Whether it loses at most `MAX_GUARD_LOSS`."""
        return self.after >= self.before * (1.0 - MAX_GUARD_LOSS)

    @property
    def holds_easily(self) -> bool:
        """Whether it loses at most half of `MAX_GUARD_LOSS`."""
        return self.after >= self.before * (1 - MAX_GUARD_LOSS / 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """A test query, the change of its nDCG, and the ids of its first hits before and after, best first."""

    query_key: str
    change: float
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdaptationReport:
    """The data of an adaptation and its result on the test queries.

    `before` is the published search, `after` the best candidate; `low` and `high` bound the mean change (99%).
    `reason` is a sentence that explains `worth_publishing`; `head` is the id of the saved head. `skipped` counts the
    unusable queries by reason.
    """

    seed: int
    space: str
    impressions: int
    clicks: int
    judgments: int
    eta: float
    eta_source: str
    text_pairs: int
    product_pairs: int
    queries: Mapping[str, int]
    skipped: Mapping[str, int]
    notes: tuple[str, ...]
    worth_publishing: bool = False
    reason: str = ""
    rank: int = 0
    strength: float = 0.0
    before: float = 0.0
    after: float = 0.0
    low: float = 0.0
    high: float = 0.0
    guards: tuple[Guard, ...] = ()
    samples: tuple[Sample, ...] = ()
    head: str = ""
    seconds: float = 0.0

    @property
    def change(self) -> float:
        """The mean change of nDCG@10."""
        return self.after - self.before

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON of `imgsearch adapt --json`."""
        guards = [{**asdict(guard), "holds": guard.holds} for guard in self.guards]
        return {**asdict(self), "measure": MEASURE, "change": self.change, "guards": guards}


def no_candidate_reason(guards_failed: bool) -> str:
    """Return why no candidate reached the test queries."""
    if guards_failed:
        return (
            f"The candidates improve {MEASURE} only by making texts or photos of one product harder to find; "
            "nothing to publish."
        )
    return f"No candidate improves {MEASURE} on the validation queries; nothing to publish."


def result_reason(queries: int, change: float, low: float, high: float, guards: Sequence[Guard]) -> str:
    """Return whether the candidate wins on the test queries, and why or why not."""
    result = f"{MEASURE} on {queries:,} held-out queries changes by {change:+.4f} ({low:+.4f} to {high:+.4f})"
    if low <= 0:
        return f"{result}, which may be chance; nothing to publish."
    for guard in guards:
        if not guard.holds:
            loss = f"{guard.name} falls from {guard.before:.0%} to {guard.after:.0%}"
            return f"{result}, but {loss}; nothing to publish."
    return f"{result}: worth publishing."


def too_little_feedback(queries: int, required: int, skipped: Mapping[str, int]) -> str:
    """Return how many queries are missing and why others cannot be used."""
    left_out = ", ".join(f"{count:,} {why}" for why, count in skipped.items())
    return (
        f"{queries:,} queries have usable feedback{f' (left out: {left_out})' if left_out else ''}, but about "
        f"{required} are needed to measure an improvement; collect more clicks or judgments."
    )
