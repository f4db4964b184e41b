"""Reads a period's figures from impressions, empty_searches, clicks, judgments and telemetry.

A *search* is a first page of hits, or a page without any: later pages are no new search. A search is *clicked* when
any of its pages got a click. Searches whose events were deleted by retention still count, as numbers in telemetry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from imgsearch.improve.monitoring.event_sql import FIRST_PAGES, KIND_OF_QUERY
from imgsearch.improve.monitoring.findings import MIN_SEARCHES, failure_reasons
from imgsearch.improve.monitoring.latency_sketch import quantile_ms
from imgsearch.improve.monitoring.overview import Moment, Overview, Period, QueryFigures, StageLatency
from imgsearch.store.database import Database

if TYPE_CHECKING:
    import duckdb

__all__ = ["read_overview"]

MAX_QUERIES = 12
WEAK_SHARE = 0.05
MIN_COMPARABLE_QUERIES = 20
"""Only scores of one kind of query compare; among fewer queries of a kind, none counts as weak."""
STAGES = ("encode", "filter", "search", "fetch", "total")

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
            failing.append(replace(figures, reasons=failure_reasons(figures, weak=weak)))
    return tuple(top), tuple(failing)
