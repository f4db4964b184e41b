"""Figures of a period: searches, clicks, latency, failing queries. All times are UTC, without a zone.

A *search* is a first page of hits, or a page without any: later pages are no new search. A search is *clicked* when
any of its pages got a click. Searches whose events were deleted by retention still count, as numbers in telemetry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from imgsearch.improve.monitoring.drift import KIND_OF_QUERY
from imgsearch.improve.monitoring.telemetry import quantile_ms
from imgsearch.store.database import Database

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "FIRST_PAGES",
    "PERIODS",
    "Moment",
    "Overview",
    "Period",
    "QueryFigures",
    "StageLatency",
    "read_overview",
]

PERIODS: Mapping[str, tuple[timedelta, timedelta]] = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(hours=24), timedelta(minutes=30)),
    "7d": (timedelta(days=7), timedelta(hours=3)),
    "30d": (timedelta(days=30), timedelta(hours=12)),
    "90d": (timedelta(days=90), timedelta(days=1, hours=12)),
    "1y": (timedelta(days=364), timedelta(days=7)),
}
"""The named periods: their length, and the length of one of their moments."""
MAX_QUERIES = 12
WEAK_SHARE = 0.05
MIN_COMPARABLE_QUERIES = 20
"""Only scores of one kind of query compare; among fewer queries of a kind, none counts as weak."""
STAGES = ("encode", "filter", "search", "fetch", "total")
MIN_SEARCHES = 3
"""A query searched less often without a click may be chance."""

FIRST_PAGES = """
    firsts AS (
        SELECT search_id, happened_at, visitor, query_key, encoder, score, total_ms
        FROM impressions WHERE rank = 1 AND happened_at >= $start AND happened_at < $end
    ),
    clicked AS (SELECT DISTINCT search_id FROM clicks WHERE happened_at >= $start),
    later_pages AS (
        SELECT DISTINCT search_id, happened_at, visitor, query_key
        FROM impressions SEMI JOIN (FROM clicked ANTI JOIN firsts USING (search_id)) USING (search_id)
        WHERE rank > 1 AND happened_at >= $start AND happened_at < $end
    ),
    begun_by AS (
        SELECT firsts.search_id FROM later_pages ASOF JOIN firsts
        ON later_pages.visitor = firsts.visitor AND later_pages.query_key = firsts.query_key
        AND later_pages.happened_at >= firsts.happened_at
    ),
    searches AS (
        SELECT *, search_id IN (SELECT search_id FROM clicked UNION ALL SELECT search_id FROM begun_by) AS was_clicked
        FROM firsts
    )
"""
"""SQL of the searches from $start to before $end; a click on a later page counts for the first page of that query."""
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
_PLACE = "CAST(floor((epoch({}) - epoch($start)) / $step) AS INTEGER) AS place"
_MOMENTS = f"""
    WITH {FIRST_PAGES},
    events AS (
        SELECT {_PLACE.format("happened_at")}, count(*) AS searches,
               count(*) FILTER (NOT was_clicked) AS unclicked,
               quantile_cont(total_ms, [0.5, 0.95]) AS latency
        FROM searches GROUP BY place
    ),
    empties AS (
        SELECT {_PLACE.format("happened_at")}, count(*) AS empty FROM empty_searches
        WHERE happened_at >= $start AND happened_at < $end GROUP BY place
    ),
    counts AS (
        SELECT {_PLACE.format("minute")},
               coalesce(sum(amount) FILTER (series = 'searches'), 0) AS searches,
               coalesce(sum(amount) FILTER (series = 'unclicked'), 0) AS unclicked,
               coalesce(sum(amount) FILTER (series = 'empty'), 0) AS empty,
               coalesce(sum(amount) FILTER (series = 'failure'), 0) AS failed
        FROM telemetry WHERE minute >= $start AND minute < $end GROUP BY place
    )
    SELECT place,
           coalesce(events.searches, 0) + coalesce(empties.empty, 0) + coalesce(counts.searches, 0),
           coalesce(events.unclicked, 0) + coalesce(empties.empty, 0) + coalesce(counts.unclicked, 0),
           coalesce(empties.empty, 0) + coalesce(counts.empty, 0), coalesce(counts.failed, 0), latency
    FROM events FULL JOIN empties USING (place) FULL JOIN counts USING (place)
"""
_QUERIES = f"""
    WITH {FIRST_PAGES},
    seen AS (
        SELECT query_key, count(*) AS searches, count(*) FILTER (was_clicked) AS clicked,
               avg(score) AS best_score FROM searches GROUP BY query_key
    ),
    ranked AS (
        SELECT *, {KIND_OF_QUERY} AS kind,
               cume_dist() OVER (PARTITION BY kind ORDER BY best_score) AS place,
               count(*) OVER (PARTITION BY kind) AS comparable
        FROM seen
    ),
    empties AS (
        SELECT query_key, count(*) AS empty FROM empty_searches
        WHERE happened_at >= $start AND happened_at < $end GROUP BY query_key
    ),
    verdicts AS (
        SELECT query_key, arg_max(verdict, (happened_at, rowid)) AS verdict FROM judgments
        WHERE happened_at < $end GROUP BY query_key, item_id, labeler HAVING max(happened_at) >= $start
    ),
    judged AS (
        SELECT query_key, count(*) FILTER (verdict = 'good') AS good, count(*) FILTER (verdict = 'bad') AS bad
        FROM verdicts GROUP BY query_key
    ),
    figures AS (
        SELECT query_key, coalesce(searches, 0) + coalesce(empty, 0) AS searches, coalesce(clicked, 0) AS clicked,
               coalesce(empty, 0) AS empty, coalesce(good, 0) AS good, coalesce(bad, 0) AS bad, best_score,
               coalesce(clicked, 0) = 0 AND kind <> 'filtered'
               AND coalesce(place <= {WEAK_SHARE} AND comparable >= {MIN_COMPARABLE_QUERIES}, false) AS weak
        FROM ranked FULL JOIN empties USING (query_key) FULL JOIN judged USING (query_key)
    ),
    top AS (
        SELECT 'top', * FROM figures WHERE searches > 0 ORDER BY searches DESC, query_key LIMIT {MAX_QUERIES}
    ),
    failing AS (
        SELECT 'failing', * FROM figures
        WHERE empty > 0 OR bad > good OR (clicked = 0 AND searches >= {MIN_SEARCHES}) OR weak
        ORDER BY empty + bad + if(clicked = 0, searches, 0) DESC, query_key LIMIT {MAX_QUERIES}
    )
    FROM top UNION ALL FROM failing
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


def _read_moments(cursor: duckdb.DuckDBPyConnection, period: Period) -> tuple[Moment, ...]:
    """Return every moment of the period, also those without searches."""
    values = {"start": period.start, "end": period.end, "step": period.step.total_seconds()}
    found = {row[0]: row[1:] for row in cursor.execute(_MOMENTS, values).fetchall()}
    moments = []
    for number in range(period.moments):
        searches, unclicked, empty, failed, latency = found.get(number, (0, 0, 0, 0, None))
        p50_ms, p95_ms = latency or (None, None)
        at = period.start + number * period.step
        moments.append(Moment(at, int(searches), int(unclicked), int(empty), int(failed), p50_ms, p95_ms))
    return tuple(moments)


def _read_stages(
    cursor: duckdb.DuckDBPyConnection, bounds: Mapping[str, datetime]
) -> tuple[StageLatency, ...]:
    """Return each stage's latency in the order of a search, `total` last.

    A catalog whose searches were recorded without stages has `total` alone, from its impressions.
    """
    sketches: dict[str, dict[int, int]] = {}
    for stage, bucket, amount in cursor.execute(_STAGES, bounds).fetchall():
        sketches.setdefault(stage, {})[bucket] = amount
    if not sketches:
        count, quantiles = cursor.execute(_WHOLE_SEARCHES, bounds).fetchall()[0]
        return (StageLatency("total", count, *quantiles),) if count else ()
    order = sorted(sketches, key=lambda stage: STAGES.index(stage) if stage in STAGES else len(STAGES) - 2)
    return tuple(
        StageLatency(
            stage,
            sum(sketches[stage].values()),
            *(quantile_ms(sketches[stage], q) or 0.0 for q in (0.5, 0.95, 0.99)),
        )
        for stage in order
    )


def _read_queries(
    cursor: duckdb.DuckDBPyConnection, bounds: Mapping[str, datetime]
) -> tuple[tuple[QueryFigures, ...], tuple[QueryFigures, ...]]:
    """Return the most frequent queries, and the failing ones, most empty, bad and unclicked searches first."""
    top, failing = [], []
    for which, *values, weak in cursor.execute(_QUERIES, bounds).fetchall():
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
        reasons.append("weak look-alikes")
    return tuple(reasons)
