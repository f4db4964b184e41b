"""Figures of a period: searches, clicks, latency, failing queries. All times are UTC, without a zone.

A *search* is a first page of hits, or a page without any: later pages are no new search. A search is *clicked* when
any of its pages got a click. Searches whose events were deleted by retention still count, as numbers in telemetry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from imgsearch.improve.monitoring.drift import KIND_OF_QUERY
from imgsearch.improve.monitoring.telemetry import quantile_ms
from imgsearch.store.database import Cursor, Database, utc_now

PERIODS: Mapping[str, tuple[timedelta, timedelta]] = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(hours=24), timedelta(minutes=30)),
    "7d": (timedelta(days=7), timedelta(hours=3)),
    "30d": (timedelta(days=30), timedelta(hours=12)),
    "90d": (timedelta(days=90), timedelta(days=1, hours=12)),
    "1y": (timedelta(days=364), timedelta(days=7)),
}
"""The named periods: their length, and the length of one of their moments."""
STAGES = ("encode", "filter", "search", "fetch", "total")
MIN_SEARCHES = 3
"""A query searched less often without a click may be chance."""

FIRST_PAGES, _MOMENTS, _QUERIES = (
    Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
    for name in ("searches", "moments", "queries")
)
"""`FIRST_PAGES` are the common table expressions of a period's searches; the others continue them."""
_COUNTS = """
    SELECT (SELECT count(DISTINCT visitor) FROM impressions
            WHERE rank = 1 AND visitor <> '' AND happened_at >= $start AND happened_at < $end),
           (SELECT count(*) FROM clicks WHERE happened_at >= $start AND happened_at < $end),
           (SELECT count(*) FROM judgments WHERE happened_at >= $start AND happened_at < $end)
"""
_SEARCHES = """
    SELECT (SELECT count(*) FROM impressions WHERE rank = 1 AND happened_at >= $start AND happened_at < $end)
         + (SELECT count(*) FROM empty_searches WHERE happened_at >= $start AND happened_at < $end)
         + (SELECT coalesce(sum(amount), 0) FROM telemetry
            WHERE series = 'searches' AND minute >= $start AND minute < $end)
"""
_FAILURES = """
    SELECT label, CAST(sum(amount) AS BIGINT) FROM telemetry
    WHERE series = 'failure' AND minute >= $start AND minute < $end GROUP BY label ORDER BY 2 DESC, 1
"""
_STAGES = """
    SELECT label, bucket, CAST(sum(amount) AS BIGINT) FROM telemetry
    WHERE series = 'stage' AND minute >= $start AND minute < $end GROUP BY label, bucket
"""
_WHOLE_SEARCHES = """
    SELECT count(*), quantile_cont(total_ms, [0.5, 0.95, 0.99]) FROM impressions
    WHERE rank = 1 AND happened_at >= $start AND happened_at < $end
"""


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
        now = now or utc_now()
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
        document = TypeAdapter(Overview).dump_python(self, mode="json", exclude={"period": {"step"}})
        return {**document, "zero_click_rate": self.zero_click_rate}


def read_overview(database: Database, period: Period) -> Overview:
    """Return a period's figures; without any rows everything is 0 or empty."""
    cursor = database.cursor()
    bounds = {"start": period.start, "end": period.end}
    visitors, clicks, judgments = cursor.execute(_COUNTS, bounds).fetchall()[0]
    moments = _read_moments(cursor, period)
    top, failing = _read_queries(cursor, bounds)
    before = {"start": period.before.start, "end": period.before.end}
    return Overview(
        period=period,
        searches=sum(moment.searches for moment in moments),
        searches_before=int(cursor.execute(_SEARCHES, before).fetchall()[0][0]),
        unclicked=sum(moment.unclicked for moment in moments),
        empty=sum(moment.empty for moment in moments),
        visitors=visitors,
        clicks=clicks,
        judgments=judgments,
        failures=dict(cursor.execute(_FAILURES, bounds).fetchall()),
        moments=moments,
        stages=_read_stages(cursor, bounds),
        top=top,
        failing=failing,
    )


def _read_moments(cursor: Cursor, period: Period) -> tuple[Moment, ...]:
    """Return every moment of the period, also those without searches."""
    values = {"start": period.start, "end": period.end, "step": period.step.total_seconds()}
    found = {row[0]: row[1:] for row in cursor.execute(f"WITH {FIRST_PAGES}, {_MOMENTS}", values).fetchall()}
    moments = []
    for number in range(period.moments):
        *counts, latency = found.get(number, (0, 0, 0, 0, None))
        moments.append(Moment(period.start + number * period.step, *map(int, counts), *(latency or ())))
    return tuple(moments)


def _read_stages(cursor: Cursor, bounds: Mapping[str, datetime]) -> tuple[StageLatency, ...]:
    """Return each stage's latency in the order of a search, `total` last.

    A catalog whose searches were recorded without stages has `total` alone, from its impressions.
    """
    sketches: dict[str, dict[int, int]] = {}
    for stage, bucket, amount in cursor.execute(_STAGES, bounds).fetchall():
        sketches.setdefault(stage, {})[bucket] = amount
    if not sketches:
        count, quantiles = cursor.execute(_WHOLE_SEARCHES, bounds).fetchall()[0]
        return (StageLatency("total", count, *quantiles),) if count else ()
    stages = []
    for stage in sorted(sketches, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES) - 2):
        quantiles = (quantile_ms(sketches[stage], q) or 0.0 for q in (0.5, 0.95, 0.99))
        stages.append(StageLatency(stage, sum(sketches[stage].values()), *quantiles))
    return tuple(stages)


def _read_queries(
    cursor: Cursor, bounds: Mapping[str, datetime]
) -> tuple[tuple[QueryFigures, ...], tuple[QueryFigures, ...]]:
    """Return the most frequent queries, and the failing ones, most empty, bad and unclicked searches first."""
    top, failing = [], []
    sql = f"WITH {FIRST_PAGES}, {_QUERIES.format(kind=KIND_OF_QUERY)}"
    for which, *values, weak in cursor.execute(sql, {**bounds, "min_searches": MIN_SEARCHES}).fetchall():
        figures = QueryFigures(*values)
        if which == "top":
            top.append(figures)
        else:
            failing.append(replace(figures, reasons=_failure_reasons(figures, weak=weak)))
    return tuple(top), tuple(failing)


def _failure_reasons(figures: QueryFigures, *, weak: bool) -> tuple[str, ...]:
    """Return why a query counts as failing; `weak` means that its first hits score far below those of its kind."""
    reasons = []
    if figures.empty:
        reasons.append("found nothing" if figures.empty == 1 else f"found nothing {figures.empty:,} times")
    if figures.bad > figures.good:
        reasons.append(f"judged bad {figures.bad:,}, good {figures.good:,}")
    if figures.clicked == 0 and figures.searches - figures.empty >= MIN_SEARCHES:
        reasons.append("never clicked")
    if weak:
        reasons.append("weak results")
    return tuple(reasons)
