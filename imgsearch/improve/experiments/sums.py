"""Sums over the rows of one experiment, computed in SQL: a million rows never leave the database.

A search is a first page with the further pages that the visitor requested after it. Several clicks on one photo count
once, and "less like this" is no click. The searches of a failed arm stay with the arm, as its visitors saw them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import duckdb

from imgsearch.improve.experiments.measures import TOP
from imgsearch.improve.experiments.records import Experiment
from imgsearch.improve.experiments.statistics import Moments
from imgsearch.store.database import Database

__all__ = ["ArmTraffic", "ExperimentSums", "read_sums"]

TIME_BUCKETS = 40
MAX_TIME_S = 1800.0
"""A visitor who does nothing for this long has left: the time is not counted."""

_SPLIT_SEARCHES = f"""
    WITH shown AS MATERIALIZED (
        SELECT search_id, happened_at, arm, visitor, query_key,
            sum((first_rank = 1)::INT) OVER (
                PARTITION BY visitor, query_key ORDER BY happened_at, first_rank ROWS UNBOUNDED PRECEDING
            ) AS number
        FROM exposures WHERE experiment = $experiment
    ),
    clicked AS MATERIALIZED (
        SELECT search_id, item_id, min(nullif(rank, 0)) AS rank, min(happened_at) AS moment
        FROM clicks SEMI JOIN shown USING (search_id) WHERE action <> 'less' GROUP BY search_id, item_id
    ),
    clicks_of AS (
        SELECT search_id, count(*) AS clicks, count(*) FILTER (rank <= {TOP}) AS top,
            arg_min(rank, moment) AS first_rank, min(moment) AS first_moment, max(moment) AS last_moment
        FROM clicked GROUP BY search_id
    ),
    verdicts_of AS (
        SELECT search_id, count(*) FILTER (verdict = 'good') AS good, count(*) FILTER (verdict = 'bad') AS bad
        FROM (
            SELECT search_id, arg_max(verdict, happened_at) AS verdict
            FROM judgments SEMI JOIN shown USING (search_id) GROUP BY search_id, item_id, labeler
        ) GROUP BY search_id
    ),
    pages_joined AS (
        SELECT arm, visitor, min(happened_at) AS began,
            coalesce(sum(clicks), 0) AS clicks, coalesce(sum(top), 0) AS top,
            coalesce(sum(good), 0) AS good, coalesce(sum(bad), 0) AS bad,
            arg_min(first_rank, first_moment) AS first_rank,
            min(first_moment) AS first_moment, max(last_moment) AS last_moment
        FROM shown LEFT JOIN clicks_of USING (search_id) LEFT JOIN verdicts_of USING (search_id)
        GROUP BY arm, visitor, query_key, number
    )
    SELECT *,
        CASE WHEN epoch(first_moment - began) BETWEEN 0 AND {MAX_TIME_S}
            THEN epoch(first_moment - began) END AS first_click_s,
        CASE WHEN epoch(left_at - began) BETWEEN 0 AND {MAX_TIME_S} THEN epoch(left_at - began) END AS time_s
    FROM (
        SELECT *, greatest(
            last_moment, CASE WHEN next_began - began <= to_seconds({MAX_TIME_S}) THEN next_began END
        ) AS left_at
        FROM (SELECT *, lead(began) OVER (PARTITION BY visitor ORDER BY began) AS next_began FROM pages_joined)
    )
"""

_INTERLEAVED_SEARCHES = """
    WITH shown AS MATERIALIZED (
        SELECT search_id, happened_at, visitor FROM exposures WHERE experiment = $experiment
    ),
    clicked AS MATERIALIZED (
        SELECT DISTINCT search_id, item_id FROM clicks SEMI JOIN shown USING (search_id) WHERE action <> 'less'
    ),
    credits AS (
        SELECT search_id,
            count(*) FILTER (arm = $first) AS first_clicks, count(*) FILTER (arm = $second) AS second_clicks
        FROM clicked JOIN impressions USING (search_id, item_id) GROUP BY search_id
    ),
    counted AS (
        SELECT visitor, happened_at AS began, coalesce(first_clicks, 0) AS first_clicks,
            coalesce(second_clicks, 0) AS second_clicks
        FROM shown LEFT JOIN credits USING (search_id)
    )
    SELECT *, '' AS arm, (first_clicks + second_clicks > 0)::INT AS any_click,
        (first_clicks > second_clicks)::INT AS first_won, (second_clicks > first_clicks)::INT AS second_won
    FROM counted
"""


class ArmTraffic(NamedTuple):
    """An arm's counts, and the median and 95th percentile of its search times."""

    visitors: int = 0
    searches: int = 0
    failures: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


@contextmanager
def read_sums(database: Database, experiment: Experiment, now: datetime) -> Iterator[ExperimentSums]:
    """Give the sums of an experiment's rows until `now` (UTC), from one table with a row for each search."""
    # A temporary table: only this thread's cursor sees it.
    cursor = database.cursor()
    values = {"experiment": experiment.name}
    if experiment.interleaved:
        values |= {"first": experiment.arms[0].system, "second": experiment.arms[1].system}
    searches = _INTERLEAVED_SEARCHES if experiment.interleaved else _SPLIT_SEARCHES
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE experiment_searches AS {searches}", values)
    try:
        yield ExperimentSums(cursor, experiment, now)
    finally:
        cursor.execute("DROP TABLE IF EXISTS temp.experiment_searches")


class ExperimentSums:
    """The sums over one experiment's rows; when interleaving, both arms' rows are those of the arm ""."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, experiment: Experiment, now: datetime) -> None:
        """Read through a cursor that has the table `experiment_searches`."""
        self._cursor = cursor
        self.experiment = experiment
        self._start = experiment.started or now
        end = max(experiment.stopped or now, self._start + timedelta(seconds=1))
        self._width_s = (end - self._start).total_seconds() / TIME_BUCKETS

    def traffic(self) -> dict[str, ArmTraffic]:
        """Return the counts and search times by arm."""
        rows = self._cursor.execute(
            "SELECT arm, count(DISTINCT visitor), count(*) FILTER (first_rank = 1), count(*) FILTER (failed), "
            "quantile_cont(total_ms, 0.5), quantile_cont(total_ms, 0.95) "
            "FROM exposures WHERE experiment = $experiment GROUP BY arm",
            {"experiment": self.experiment.name},
        ).fetchall()
        return {row[0]: ArmTraffic(*row[1:]) for row in rows}

    def moments(self, ratios: Sequence[tuple[str, str]]) -> dict[str, list[Moments]]:
        """Return the moments over visitors of each (x, y) pair of SQL expressions, by arm."""
        sums = ", ".join(
            f"sum({x})::DOUBLE AS x{number}, sum({y})::DOUBLE AS y{number}"
            for number, (x, y) in enumerate(ratios)
        )
        squares = ", ".join(
            f"sum(x{n}), sum(y{n}), sum(x{n} * x{n}), sum(x{n} * y{n}), sum(y{n} * y{n})"
            for n in range(len(ratios))
        )
        rows = self._cursor.execute(
            f"WITH people AS (SELECT arm, visitor, {sums} FROM temp.experiment_searches GROUP BY ALL) "
            f"SELECT arm, count(*), {squares} FROM people GROUP BY arm"
        ).fetchall()
        return {
            arm: [Moments(visitors, *sums[5 * n : 5 * n + 5]) for n in range(len(ratios))]
            for arm, visitors, *sums in rows
        }

    def series(self, x: str, y: str) -> dict[str, dict[datetime, Moments]]:
        """Return the moments over visitors until the end of each bucket of time, by arm and that end.

        The squares grow by what each visitor's square grew by in a bucket, so one pass over the rows gives them all.
        """
        rows = self._cursor.execute(
            f"""WITH steps AS (
                SELECT arm, visitor,
                    greatest(0, least({TIME_BUCKETS - 1}, floor(epoch(began - $start) / $width)))::INT AS bucket,
                    sum({x})::DOUBLE AS x, sum({y})::DOUBLE AS y
                FROM temp.experiment_searches GROUP BY ALL
            ),
            paths AS (
                SELECT arm, bucket, x, y, sum(x) OVER so_far AS xs, sum(y) OVER so_far AS ys,
                    (row_number() OVER so_far = 1)::INT AS is_new
                FROM steps
                WINDOW so_far AS (PARTITION BY arm, visitor ORDER BY bucket ROWS UNBOUNDED PRECEDING)
            )
            SELECT arm, bucket, sum(is_new), sum(x), sum(y), sum(xs * xs - (xs - x) * (xs - x)),
                sum(xs * ys - (xs - x) * (ys - y)), sum(ys * ys - (ys - y) * (ys - y))
            FROM paths GROUP BY arm, bucket ORDER BY arm, bucket""",
            {"start": self._start, "width": self._width_s},
        ).fetchall()
        found: dict[str, dict[datetime, Moments]] = {}
        totals: dict[str, list[float]] = {}
        for arm, bucket, *steps in rows:
            totals[arm] = [sum(pair) for pair in zip(totals.get(arm, [0.0] * 6), steps, strict=True)]
            end = self._start + timedelta(seconds=self._width_s * (bucket + 1))
            found.setdefault(arm, {})[end] = Moments(int(totals[arm][0]), *totals[arm][1:])
        return found

    def preferences(self) -> tuple[int, int]:
        """Return how many visitors clicked more of the second arm's hits, and how many more of the first's."""
        row = self._cursor.execute(
            "WITH people AS (SELECT sum(second_clicks) - sum(first_clicks) AS lead "
            "FROM temp.experiment_searches GROUP BY visitor) "
            "SELECT count(*) FILTER (lead > 0), count(*) FILTER (lead < 0) FROM people"
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)
