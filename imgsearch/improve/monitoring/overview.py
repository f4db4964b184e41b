"""What the rows say about a period: how much was searched, how fast, what went unclicked, what failed.

It owns the questions and their answers as records; it reads `impressions`, `empty_searches`, `clicks`, `judgments`
and `telemetry`, writes nothing, and draws nothing. All times are UTC, without a zone.

A *search* is a first page of hits (or a page without any): scrolling on is no new search. A search is *clicked* when
any of its pages got a click. Searches whose events were deleted by `imgsearch.improve.monitoring.retention`
still count, as
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from imgsearch.improve.monitoring.metrics import gauge, total
from imgsearch.improve.monitoring.telemetry import quantile_ms
from imgsearch.store.database import Database
from imgsearch.store.feedback import FeedbackState

if TYPE_CHECKING:
    import duckdb

    from imgsearch.improve.monitoring.drift import Drift

__all__ = [
    "FIRST_PAGES",
    "KIND_OF_QUERY",
    "PERIODS",
    "Finding",
    "Health",
    "Moment",
    "Overview",
    "Period",
    "QueryFigures",
    "StageLatency",
    "findings",
    "overview",
]

PERIODS: Mapping[str, tuple[timedelta, timedelta]] = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(hours=24), timedelta(minutes=30)),
    "7d": (timedelta(days=7), timedelta(hours=3)),
    "30d": (timedelta(days=30), timedelta(hours=12)),
    "90d": (timedelta(days=90), timedelta(days=1, hours=12)),
    "1y": (timedelta(days=364), timedelta(days=7)),
}
"""The periods that can be asked for by name: how long, and how long each of their moments is."""

SHOWN_QUERIES = 12
FEWEST_SEARCHES = 3
"""A query asked less often without a click may be chance."""
MANY_QUEUED = 20_000
SLOW_MS = 1000.0
SLOW_SHARE = 0.05
"""Above this share of all searches, refused or empty ones are told."""
REFUSALS = frozenset({"bad_query", "bad_filter", "unknown_item", "bad_image", "image_too_large"})
"""Codes of searches that were answered rightly with a refusal."""
QUERY_WORDS = {"words": "Words", "photo": "Visitors' photos", "item": "The photos that visitors click"}
WEAK_SHARE = 0.05
FEWEST_TO_COMPARE = 20
"""Scores of different kinds of queries do not compare; among fewer queries of a kind, none is called weak."""

KIND_OF_QUERY = """
    CASE WHEN regexp_matches(query_key, '(^|&)filter=') THEN 'filtered'
         WHEN contains(query_key, '&') THEN 'mixed'
         WHEN starts_with(query_key, 'text=') THEN 'words'
         WHEN starts_with(query_key, 'upload=') THEN 'photo'
         WHEN starts_with(query_key, 'item=') THEN 'item'
         ELSE 'mixed' END
"""
"""SQL for the kind of a query by its `query_key`; pure kinds have one term and no filter."""

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
"""SQL of the searches from $start to before $end: a click on a later page counts for the first page of that query."""


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, `start` to before `end`, in moments of `step`."""

    start: datetime
    end: datetime
    step: timedelta

    @staticmethod
    def last(name: str, *, now: datetime | None = None) -> Period:
        """Return the period of `PERIODS` that ends with the moment that is still going on."""
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
        """How many moments it has."""
        return math.ceil((self.end - self.start) / self.step)


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a running service; `erasing` says that deleted rows leave the file when it stops."""

    items: int
    generation: int
    built_at: str | None
    encoder_status: Literal["loading", "ready", "failed"]
    encoder_reason: str
    searches_under_way: int
    encode_queue: int
    feedback: FeedbackState
    uploads: int
    keep_days: int
    erasing: bool

    @property
    def index_age_s(self) -> float | None:
        """How long ago the index in use was built."""
        if self.built_at is None:
            return None
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(self.built_at)).total_seconds())

    def lines(self) -> list[str]:
        """Return the state as metrics in the Prometheus text format."""
        age_s, feedback = self.index_age_s, self.feedback
        built = (
            [] if age_s is None else gauge("imgsearch_index_age_seconds", "Age of the index in use.", age_s)
        )
        ready = int(self.encoder_status == "ready")
        return [
            *gauge("imgsearch_items", "Items in the catalog.", self.items),
            *gauge("imgsearch_index_generation", "Generation of the index in use.", self.generation),
            *built,
            *gauge("imgsearch_encoder_ready", "1 when texts and pictures can be searched.", ready),
            *gauge(
                "imgsearch_encoder_failed",
                "1 when the encoder could not be loaded.",
                int(self.encoder_status == "failed"),
            ),
            *gauge("imgsearch_uploads", "Pictures of visitors that are kept.", self.uploads),
            *gauge("imgsearch_feedback_queued_rows", "Feedback rows not yet written.", feedback.queued),
            *total("imgsearch_feedback_written_rows_total", "Feedback rows written.", feedback.written),
            *total(
                "imgsearch_feedback_lost_rows_total",
                "Feedback rows given up for want of room.",
                feedback.lost,
            ),
        ]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence on the state of things."""

    level: Literal["good", "note", "bad"]
    text: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment of a period; the latencies are of whole searches, and None where none is known."""

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
    """A query in figures. `reasons` says why it counts as failing, in words.

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
    """A period in figures; `searches_before` is of the period of the same length before it."""

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
        """How many searches failed."""
        return sum(self.failures.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the overview as the JSON of `imgsearch monitor --json`."""
        document = asdict(self)
        del document["period"]["step"]
        document["period"] = {name: at.isoformat() for name, at in document["period"].items()}
        for moment in document["moments"]:
            moment["at"] = moment["at"].isoformat()
        return {**document, "zero_click_rate": self.zero_click_rate}


def overview(database: Database, period: Period) -> Overview:
    """Return a period in figures; without any rows everything is 0 or empty."""
    cursor = database.cursor()
    stretch = {"start": period.start, "end": period.end}
    counted = _counted(cursor, stretch)
    moments = _moments(cursor, period)
    top, failing = _queries(cursor, stretch)
    return Overview(
        period=period,
        searches=sum(moment.searches for moment in moments),
        searches_before=_searches(cursor, {"start": period.before.start, "end": period.before.end}),
        unclicked=sum(moment.unclicked for moment in moments),
        empty=sum(moment.empty for moment in moments),
        visitors=counted["visitors"],
        clicks=counted["clicks"],
        judgments=counted["judgments"],
        failures=_failures(cursor, stretch),
        moments=moments,
        stages=_stages(cursor, stretch),
        top=top,
        failing=failing,
    )


def findings(found: Overview, health: Health, drifts: Sequence[Drift] = ()) -> tuple[Finding, ...]:
    """Return what a person should know first, the worst first; where nothing is wrong, that."""
    bad, notes = [], []
    if health.encoder_status == "failed":
        bad.append(f"Words and photos cannot be searched: {health.encoder_reason}")
    elif health.encoder_status == "loading":
        notes.append("The model is still loading; items can be searched already.")
    if health.feedback.lost:
        bad.append(f"{health.feedback.lost:,} feedback rows are lost: the database could not be written.")
    elif health.feedback.queued > MANY_QUEUED:
        bad.append(f"{health.feedback.queued:,} feedback rows wait: the database does not take them.")
    broken = sum(amount for code, amount in found.failures.items() if code not in REFUSALS)
    if broken:
        bad.append(f"{broken:,} searches failed through no fault of the visitor; the server's log says why.")
    refused = found.failed - broken
    if refused > SLOW_SHARE * (found.searches + found.failed):
        notes.append(f"{refused:,} searches were refused as they were asked: see the reasons below.")
    total = next((stage for stage in found.stages if stage.stage == "total"), None)
    if total and total.p95_ms > SLOW_MS:
        notes.append(f"One search in twenty takes longer than {total.p95_ms / 1000:.1f} s.")
    if found.empty > SLOW_SHARE * found.searches:
        notes.append(f"{found.empty:,} of {found.searches:,} searches found nothing.")
    for drift in drifts:
        if drift.state == "drifted" and drift.mean_now is not None and drift.mean_then is not None:
            where = "further from" if drift.mean_now < drift.mean_then else "nearer to"
            notes.append(
                f"{QUERY_WORDS[drift.kind]} lie {where} the catalog than in its first week "
                f"(mean cosine {drift.mean_now:.2f}, was {drift.mean_then:.2f})."
            )
    listed = [Finding("bad", text) for text in bad] + [Finding("note", text) for text in notes]
    if not listed:
        listed = [Finding("good", f"All is well: {health.items:,} photos can be searched.")]
    return tuple(listed)


def _counted(cursor: duckdb.DuckDBPyConnection, stretch: Mapping[str, datetime]) -> dict[str, int]:
    within = "happened_at >= $start AND happened_at < $end"
    sql = f"""
        SELECT (SELECT count(DISTINCT visitor) FROM impressions WHERE rank = 1 AND visitor <> '' AND {within}),
               (SELECT count(*) FROM clicks WHERE {within}), (SELECT count(*) FROM judgments WHERE {within})
    """
    row = cursor.execute(sql, stretch).fetchone()
    assert row is not None
    return dict(zip(("visitors", "clicks", "judgments"), row, strict=True))


def _searches(cursor: duckdb.DuckDBPyConnection, stretch: Mapping[str, datetime]) -> int:
    within = "happened_at >= $start AND happened_at < $end"
    sql = f"""
        SELECT (SELECT count(*) FROM impressions WHERE rank = 1 AND {within})
             + (SELECT count(*) FROM empty_searches WHERE {within})
             + (SELECT coalesce(sum(amount), 0) FROM telemetry
                WHERE series = 'searches' AND minute >= $start AND minute < $end)
    """
    row = cursor.execute(sql, stretch).fetchone()
    return int(row[0]) if row else 0


def _moments(cursor: duckdb.DuckDBPyConnection, period: Period) -> tuple[Moment, ...]:
    """Return every moment of the period, those without searches too."""
    values = {"start": period.start, "end": period.end, "step": period.step.total_seconds()}
    place = "CAST(floor((epoch({}) - epoch($start)) / $step) AS INTEGER)"
    sql = f"""
        WITH {FIRST_PAGES},
        events AS (
            SELECT {place.format("happened_at")} AS place, count(*) AS searches,
                   count(*) FILTER (NOT was_clicked) AS unclicked,
                   quantile_cont(total_ms, [0.5, 0.95]) AS latency
            FROM searches GROUP BY place
        ),
        empties AS (
            SELECT {place.format("happened_at")} AS place, count(*) AS empty FROM empty_searches
            WHERE happened_at >= $start AND happened_at < $end GROUP BY place
        ),
        counts AS (
            SELECT {place.format("minute")} AS place,
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
    found = {row[0]: row[1:] for row in cursor.execute(sql, values).fetchall()}
    moments = []
    for number in range(period.moments):
        searches, unclicked, empty, failed, latency = found.get(number, (0, 0, 0, 0, None))
        p50, p95 = latency or (None, None)
        at = period.start + number * period.step
        moments.append(Moment(at, int(searches), int(unclicked), int(empty), int(failed), p50, p95))
    return tuple(moments)


def _failures(cursor: duckdb.DuckDBPyConnection, stretch: Mapping[str, datetime]) -> dict[str, int]:
    sql = """
        SELECT label, sum(amount) FROM telemetry
        WHERE series = 'failure' AND minute >= $start AND minute < $end GROUP BY label ORDER BY 2 DESC, 1
    """
    return {label: int(amount) for label, amount in cursor.execute(sql, stretch).fetchall()}


STAGES = ("encode", "filter", "search", "fetch", "total")


def _stages(cursor: duckdb.DuckDBPyConnection, stretch: Mapping[str, datetime]) -> tuple[StageLatency, ...]:
    """Return each stage's latency in the order of a search, `total` last.

    A catalog whose searches were recorded without their stages has `total` alone, from its impressions.
    """
    sql = """
        SELECT label, bucket, sum(amount) FROM telemetry
        WHERE series = 'stage' AND minute >= $start AND minute < $end GROUP BY label, bucket
    """
    sketches: dict[str, dict[int, int]] = {}
    for stage, bucket, amount in cursor.execute(sql, stretch).fetchall():
        sketches.setdefault(stage, {})[bucket] = int(amount)
    if not sketches:
        sql = """
            SELECT count(*), quantile_cont(total_ms, [0.5, 0.95, 0.99]) FROM impressions
            WHERE rank = 1 AND happened_at >= $start AND happened_at < $end
        """
        row = cursor.execute(sql, stretch).fetchone()
        return (StageLatency("total", row[0], *row[1]),) if row and row[0] else ()
    order = sorted(sketches, key=lambda stage: STAGES.index(stage) if stage in STAGES else len(STAGES) - 2)
    return tuple(
        StageLatency(
            stage,
            sum(sketches[stage].values()),
            *(quantile_ms(sketches[stage], q) or 0.0 for q in (0.5, 0.95, 0.99)),
        )
        for stage in order
    )


def _queries(
    cursor: duckdb.DuckDBPyConnection, stretch: Mapping[str, datetime]
) -> tuple[tuple[QueryFigures, ...], tuple[QueryFigures, ...]]:
    """Return the queries asked most often, and those that fail: first where most was in vain or judged bad."""
    sql = f"""
        WITH {FIRST_PAGES},
        asked AS (
            SELECT query_key, count(*) AS searches, count(*) FILTER (was_clicked) AS clicked,
                   avg(score) AS best_score FROM searches GROUP BY query_key
        ),
        ranked AS (
            SELECT *, {KIND_OF_QUERY} AS kind,
                   cume_dist() OVER (PARTITION BY kind ORDER BY best_score) AS place,
                   count(*) OVER (PARTITION BY kind) AS alike
            FROM asked
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
                   coalesce(place <= {WEAK_SHARE} AND alike >= {FEWEST_TO_COMPARE} AND kind <> 'filtered', false)
                   AND coalesce(clicked, 0) = 0 AS weak
            FROM ranked FULL JOIN empties USING (query_key) FULL JOIN judged USING (query_key)
        ),
        top AS (
            SELECT 'top', * FROM figures WHERE searches > 0 ORDER BY searches DESC, query_key LIMIT {SHOWN_QUERIES}
        ),
        failing AS (
            SELECT 'failing', * FROM figures
            WHERE empty > 0 OR bad > good OR (clicked = 0 AND searches >= {FEWEST_SEARCHES}) OR weak
            ORDER BY empty + bad + if(clicked = 0, searches, 0) DESC, query_key LIMIT {SHOWN_QUERIES}
        )
        FROM top UNION ALL FROM failing
    """
    rows = cursor.execute(sql, stretch).fetchall()
    top = tuple(QueryFigures(*row[1:8]) for row in rows if row[0] == "top")
    failing = tuple(
        replace(figures, reasons=_reasons(figures, weak=weak))
        for figures, weak in ((QueryFigures(*row[1:8]), row[8]) for row in rows if row[0] == "failing")
    )
    return top, failing


def _reasons(figures: QueryFigures, *, weak: bool) -> tuple[str, ...]:
    """Return in words why a query is failing, the plainest reason first."""
    reasons = []
    if figures.empty:
        reasons.append("found nothing" if figures.empty == 1 else f"found nothing {figures.empty:,} times")
    if figures.bad > figures.good:
        reasons.append(f"judged bad {figures.bad:,}, good {figures.good:,}")
    if figures.clicked == 0 and figures.searches - figures.empty >= FEWEST_SEARCHES:
        reasons.append("never clicked")
    if weak:
        reasons.append("weak look-alikes")
    return tuple(reasons)
