"""Records of a period: searches, clicks, latency, failing queries. All times are UTC, without a zone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["PERIODS", "Moment", "Overview", "Period", "QueryFigures", "StageLatency"]

PERIODS: Mapping[str, tuple[timedelta, timedelta]] = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(hours=24), timedelta(minutes=30)),
    "7d": (timedelta(days=7), timedelta(hours=3)),
    "30d": (timedelta(days=30), timedelta(hours=12)),
    "90d": (timedelta(days=90), timedelta(days=1, hours=12)),
    "1y": (timedelta(days=364), timedelta(days=7)),
}
"""The named periods: their length, and the length of one of their moments."""


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, `start` to before `end`, in moments of `step`."""

    start: datetime
    end: datetime
    step: timedelta

    @staticmethod
    def last(name: str, *, now: datetime | None = None) -> Period:
        """Return the period of `PERIODS` that ends with the current moment."""
        length, step = PERIODS[name]
        now = now or datetime.now(UTC).replace(tzinfo=None)
        began = datetime(2001, 1, 1)
        end = began + math.ceil((now - began + timedelta(microseconds=1)) / step) * step
        return Period(end - length, end, step)

    @property
    def before(self) -> Period:
        """The period of the same length before this one."""
        return Period(self.start - (self.end - self.start), self.start, self.step)

    @property
    def moments(self) -> int:
        """The number of moments."""
        return math.ceil((self.end - self.start) / self.step)


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of a period; the latencies are of whole searches, None without any."""

    at: datetime
    searches: int = 0
    unclicked: int = 0
    empty: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class StageLatency:
    """How long a stage of the searches took, in milliseconds."""

    stage: str
    searches: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class QueryFigures:
    """The figures of a query; `reasons` are phrases that say why it counts as failing.

    `best_score` is the mean score of its first hit; `good` and `bad` are the labelers' latest verdicts on its hits.
    """

    query_key: str
    searches: int
    clicked: int
    empty: int
    good: int
    bad: int
    best_score: float | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """The figures of a period; `searches_before` is of the period of the same length before it."""

    period: Period
    searches: int
    searches_before: int
    unclicked: int
    empty: int
    visitors: int
    clicks: int
    judgments: int
    failures: Mapping[str, int]
    moments: tuple[Moment, ...]
    stages: tuple[StageLatency, ...]
    top: tuple[QueryFigures, ...]
    failing: tuple[QueryFigures, ...]

    @property
    def zero_click_rate(self) -> float | None:
        """The share of searches without a click; None without searches."""
        return self.unclicked / self.searches if self.searches else None

    @property
    def failed(self) -> int:
        """The number of failed searches."""
        return sum(self.failures.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the overview as the JSON of `imgsearch monitor --json`."""
        document = asdict(self)
        del document["period"]["step"]
        document["period"] = {name: at.isoformat() for name, at in document["period"].items()}
        for moment in document["moments"]:
            moment["at"] = moment["at"].isoformat()
        return {**document, "zero_click_rate": self.zero_click_rate}
