"""Sums over the rows of one experiment, computed in SQL: a million rows never leave the database.

A search is a first page with the further pages that the visitor requested after it. Several clicks on one photo count
once, and "less like this" is no click. The searches of a failed arm stay with the arm, as its visitors saw them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imgsearch.improve.experiments.measures import TOP
from imgsearch.improve.experiments.records import Experiment
from imgsearch.improve.experiments.statistics import Moments
from imgsearch.store.database import Database

if TYPE_CHECKING:
    import duckdb

TIME_BUCKETS = 40
MAX_TIME_S = 1800.0
"""A visitor who does nothing for this long has left: the time is not counted."""

_SPLIT_SEARCHES, _INTERLEAVED_SEARCHES, _SERIES = (
    Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
    for name in ("split_searches", "interleaved_searches", "series")
)


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
    values: dict[str, Any]
    searches, values = _SPLIT_SEARCHES, {"top": TOP, "max_time_s": MAX_TIME_S}
    if experiment.interleaved:
        first, second = (arm.system for arm in experiment.arms)
        searches, values = _INTERLEAVED_SEARCHES, {"first": first, "second": second}
    values["experiment"] = experiment.name
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
            _SERIES.format(x=x, y=y),
            {"start": self._start, "width": self._width_s, "last_bucket": TIME_BUCKETS - 1},
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
