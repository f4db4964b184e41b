"""Telemetry: counts that survive a restart, and quantiles within their stated error."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imgsearch.core.errors import QueryError
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, SearchResult
from imgsearch.improve.monitoring.telemetry import (
    RELATIVE_ERROR,
    Telemetry,
    bucket_of_ms,
    ms_of_bucket,
    quantile_ms,
)
from imgsearch.store.database import Database


@pytest.fixture
def telemetry(database: Database) -> Iterator[Telemetry]:
    opened = Telemetry(database)
    yield opened
    opened.close()


def answered(hits: int = 1, **timing_ms: float) -> SearchResult:
    found = tuple(Hit(f"{rank}.jpg", rank, 0.5, rank, "/x") for rank in range(1, hits + 1))
    return SearchResult(Query.of(text="red"), found, "test:encoder", 1, hits, timing_ms, "s")


def amounts(database: Database, series: str) -> dict[str, int]:
    sql = "SELECT label, CAST(sum(amount) AS BIGINT) FROM telemetry WHERE series = ? GROUP BY label"
    return dict(database.cursor().execute(sql, [series]).fetchall())


@pytest.mark.parametrize("q", [0.0, 0.5, 0.95, 0.99, 1.0])
def test_a_quantile_is_within_the_stated_relative_error(q: float) -> None:
    times = np.random.default_rng(0).lognormal(2.0, 1.0, 5000)
    estimate = quantile_ms(Counter(bucket_of_ms(value) for value in times.tolist()), q)
    true = float(np.quantile(times, q, method="lower"))
    assert estimate is not None
    assert abs(estimate - true) <= RELATIVE_ERROR * true * (1 + 1e-9)


def test_every_duration_is_within_the_error_of_its_bucket_and_none_has_no_quantile() -> None:
    for milliseconds in (0.011, 0.5, 1.0, 33.3, 60_000.0):
        assert ms_of_bucket(bucket_of_ms(milliseconds)) == pytest.approx(
            milliseconds, rel=RELATIVE_ERROR * 1.001
        )
    assert quantile_ms({}, 0.5) is None
    assert bucket_of_ms(0.0) == bucket_of_ms(0.001)


def test_stages_and_failures_are_in_the_database_after_a_flush_and_add_up(
    telemetry: Telemetry, database: Database
) -> None:
    telemetry.observe(answered(total=3.0, encode=1.0))
    telemetry.flush()
    telemetry.observe(answered(total=3.0))
    with pytest.raises(QueryError), telemetry.searching(Query.of(item="a")):
        raise QueryError("no")
    with pytest.raises(ZeroDivisionError), telemetry.searching(Query.of(item="a")):
        raise ZeroDivisionError
    telemetry.flush()
    assert amounts(database, "stage") == {"total": 2, "encode": 1}
    assert amounts(database, "failure") == {"bad_query": 1, "internal_error": 1}


def test_in_flight_searches_are_counted_until_success_or_failure(telemetry: Telemetry) -> None:
    with telemetry.searching(Query.of(text="red")), telemetry.searching(Query.of(item="a")):
        assert telemetry.under_way() == (2, 1)
    with pytest.raises(QueryError), telemetry.searching(Query.of(text="red")):
        raise QueryError("no")
    assert telemetry.under_way() == (0, 0)


def test_a_failed_write_keeps_the_counts_for_the_next(
    telemetry: Telemetry, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    telemetry.observe(answered(total=1.0))
    with monkeypatch.context() as patch:
        patch.setattr("imgsearch.improve.monitoring.telemetry.insert_frame", fail)
        with pytest.raises(OSError, match="full"):
            telemetry.flush()
    telemetry.flush()
    assert amounts(database, "stage") == {"total": 1}


ENDED = """
import sys
from pathlib import Path
from imgsearch.store.database import Database
from imgsearch.store.feedback import FeedbackLog
from imgsearch.core.query import Query
from imgsearch.core.records import Hit, SearchResult
from imgsearch.improve.monitoring.telemetry import Telemetry
database = Database(Path(sys.argv[1]))
result = SearchResult(Query.of(text="red"), (Hit("a", 1, 0.5, 1, "/a"),), "e", 1, 1, {"total": 1.0}, "s")
Telemetry(database).observe(result)
FeedbackLog(database).record_impressions(result, "text=red")
"""


def test_counts_are_flushed_at_process_exit(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ENDED, str(tmp_path)], check=True)
    database = Database(tmp_path)
    assert amounts(database, "stage") == {"total": 1}
    assert database.cursor().execute("SELECT count(*) FROM impressions").fetchone() == (1,)
    database.close()
