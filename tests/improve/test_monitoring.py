"""Monitor statistics against hand counts: searches, clicks, latency, failing queries, drift, and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imgsearch.improve.monitoring.drift import BINS_TO_1, population_stability, read_drifts
from imgsearch.improve.monitoring.monitor import Health, findings
from imgsearch.improve.monitoring.overview import Overview, Period, read_overview
from imgsearch.improve.monitoring.telemetry import bucket_of_ms
from imgsearch.store.database import Database, insert_frame
from imgsearch.store.feedback import FeedbackState

START = datetime(2026, 3, 1)
PERIOD = Period(START, START + timedelta(hours=10), timedelta(hours=1))
HEALTH = Health(48, 1, "2026-03-01T00:00:00+00:00", "ready", "", 0, 0, FeedbackState(0, 0, 0), 0, 0, False)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    yield opened
    opened.close()


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def shown(
    database: Database,
    search_id: str,
    hours: float = 1.0,
    *,
    query: str = "text=red",
    visitor: str = "v",
    ranks: Sequence[int] = (1, 2),
    score: float = 0.5,
    total_ms: float = 4.0,
) -> None:
    """Add the impressions of one page of hits."""
    rows = [
        (search_id, at(hours), visitor, query, "enc", 1, "", f"{rank}.jpg", rank, score, total_ms)
        for rank in ranks
    ]
    with database.transaction() as cursor:
        insert_frame(cursor, "impressions", pd.DataFrame(rows, columns=[f"c{n}" for n in range(11)]))


def add(database: Database, table: str, *rows: Sequence[object]) -> None:
    with database.transaction() as cursor:
        for row in rows:
            cursor.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", list(row))


def clicked(database: Database, search_id: str, hours: float = 1.1) -> None:
    add(database, "clicks", (search_id, at(hours), "v", "1.jpg", 1, "open"))


def test_searches_count_first_pages_and_empty_results(database: Database) -> None:
    shown(database, "a", 1.0)
    shown(database, "a2", 1.1, ranks=(3, 4))
    shown(database, "b", 2.5, visitor="w")
    shown(database, "too early", -0.1)
    shown(database, "too late", 10.0)
    add(database, "empty_searches", ("c", at(2.6), "v", "text=red&filter=price<0", 1.0))
    found = read_overview(database, PERIOD)
    assert (found.searches, found.searches_before, found.empty, found.visitors) == (3, 1, 1, 2)
    assert [moment.searches for moment in found.moments] == [0, 1, 2, 0, 0, 0, 0, 0, 0, 0]
    assert found.moments[2].at == at(2)


def test_a_click_on_a_later_page_counts_for_its_search(database: Database) -> None:
    shown(database, "old", 1.0)
    shown(database, "new", 2.0)
    shown(database, "page 2", 2.1, ranks=(3, 4))
    shown(database, "other visitor", 2.05, visitor="w")
    shown(database, "other query", 2.05, query="text=blue")
    clicked(database, "page 2", 2.2)
    found = read_overview(database, PERIOD)
    assert (found.searches, found.unclicked) == (4, 3)
    assert found.moments[1].unclicked == 1
    assert found.moments[2].unclicked == 2


def test_two_clicks_on_a_search_count_it_once_as_clicked(database: Database) -> None:
    shown(database, "a")
    clicked(database, "a")
    clicked(database, "a")
    found = read_overview(database, PERIOD)
    assert (found.clicks, found.unclicked, found.zero_click_rate) == (2, 0, 0.0)


def test_without_rows_everything_is_zero_or_empty(database: Database) -> None:
    found = read_overview(database, PERIOD)
    assert (found.searches, found.failed, found.stages, found.top, found.failing) == (0, 0, (), (), ())
    assert found.zero_click_rate is None
    assert len(found.moments) == 10
    assert read_drifts(database) == ()


def test_latency_is_reported_by_stage_or_else_from_the_impressions(
    database: Database,
) -> None:
    for number in range(1, 101):
        shown(database, f"s{number}", total_ms=float(number))
    (total,) = read_overview(database, PERIOD).stages
    assert (total.stage, total.searches) == ("total", 100)
    assert total.p95_ms == pytest.approx(np.quantile(np.arange(1, 101), 0.95))
    for stage in ("total", "search", "encode"):
        add(database, "telemetry", (at(1), "stage", stage, bucket_of_ms(7.0), 3))
    stages = read_overview(database, PERIOD).stages
    assert [stage.stage for stage in stages] == ["encode", "search", "total"]
    assert stages[0].p50_ms == pytest.approx(7.0, rel=0.02)


def test_top_queries_are_the_most_frequent(database: Database) -> None:
    for number in range(3):
        shown(database, f"r{number}", query="text=red")
    shown(database, "b", query="text=blue", score=0.25)
    clicked(database, "r1")
    top = read_overview(database, PERIOD).top
    assert [(each.query_key, each.searches, each.clicked) for each in top] == [
        ("text=red", 3, 1),
        ("text=blue", 1, 0),
    ]
    assert top[1].best_score == 0.25


def test_failing_queries_have_no_hits_bad_verdicts_or_no_clicks(
    database: Database,
) -> None:
    for number in range(4):
        shown(database, f"u{number}", query="text=unloved")
        shown(database, f"l{number}", query="text=loved")
    clicked(database, "l0")
    shown(database, "once", query="text=once")
    add(database, "empty_searches", ("e", at(1), "v", "text=nothing", 1.0))
    judged = [(at(1), "text=bad", "1.jpg", "good", "a", None), (at(2), "text=bad", "1.jpg", "bad", "a", None)]
    add(database, "judgments", *judged)
    failing = {each.query_key: each.reasons for each in read_overview(database, PERIOD).failing}
    assert failing == {
        "text=unloved": ("never clicked",),
        "text=nothing": ("found nothing",),
        "text=bad": ("judged bad 1, good 0",),
    }, "the latest verdict of a labeler counts, and one search without a click is no failure"


def test_a_query_far_below_others_of_its_kind_is_weak_and_equal_scores_are_not(database: Database) -> None:
    for number in range(30):
        shown(database, f"s{number}", query=f"text={number}", score=0.5)
        shown(database, f"i{number}", query=f"item={number}", score=0.9)
    assert read_overview(database, PERIOD).failing == ()
    shown(database, "weak", query="text=weak", score=0.1)
    (weak,) = read_overview(database, PERIOD).failing
    assert (weak.query_key, weak.reasons) == ("text=weak", ("weak results",))


def test_a_period_ends_with_the_current_bucket() -> None:
    now = datetime(2026, 3, 5, 12, 34, 56)
    day = Period.last("24h", now=now)
    assert (day.start, day.end) == (datetime(2026, 3, 4, 13, 0), datetime(2026, 3, 5, 13, 0))
    assert day.before.end == day.start
    for name in ("1h", "7d", "30d", "90d", "1y"):
        period = Period.last(name, now=now)
        assert period.end - period.step <= now < period.end
        assert period.start + period.moments * period.step == period.end


# --- status ----------------------------------------------------------------------------------------------------


def test_findings_are_sorted_by_severity_and_report_a_healthy_state(database: Database) -> None:
    calm = read_overview(database, PERIOD)
    assert [finding.level for finding in findings(calm, HEALTH)] == ["good"]
    broken = replace(HEALTH, encoder_status="loading", feedback=FeedbackState(5, 0, 7))
    levels = [finding.level for finding in findings(calm, broken)]
    assert levels == ["bad", "note"]
    add(
        database,
        "telemetry",
        (at(1), "failure", "internal_error", 0, 2),
        (at(1), "failure", "bad_query", 0, 1),
    )
    failing = read_overview(database, PERIOD)
    assert failing.failures == {"internal_error": 2, "bad_query": 1}
    assert [finding.level for finding in findings(failing, HEALTH)] == ["bad", "note"]
    assert findings(failing, HEALTH)[1].text.startswith("1 search was refused as invalid")


def as_json(found: Overview) -> dict[str, object]:
    import json

    return dict(json.loads(json.dumps(found.as_dict(), allow_nan=False)))


def test_the_overview_is_plain_json(database: Database) -> None:
    shown(database, "a")
    document = as_json(read_overview(database, PERIOD))
    assert document["searches"] == 1
    assert document["period"] == {"start": "2026-03-01T00:00:00", "end": "2026-03-01T10:00:00"}


# --- drift --------------------------------------------------------------------------------------------------------


def two_weeks(database: Database, then: float, now: float, *, query: str = "text=", n: int = 400) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for week, mean in ((0, then), (5, now)):
        for number, score in enumerate(rng.normal(mean, 0.05, n)):
            moment = START + timedelta(weeks=week, minutes=20 * number)
            rows.append(
                (f"{week}-{number}", moment, "v", f"{query}{number}", "enc", 1, "", "1.jpg", 1, score, 4.0)
            )
    with database.transaction() as cursor:
        insert_frame(cursor, "impressions", pd.DataFrame(rows, columns=[f"c{n}" for n in range(11)]))


NOW = START + timedelta(weeks=6) - timedelta(hours=1)


@pytest.mark.parametrize(("now", "state"), [(0.5, "stable"), (0.43, "drifted"), (0.58, "drifted")])
def test_drift_is_reported_for_shifted_scores_and_not_for_noise(
    database: Database, now: float, state: str
) -> None:
    two_weeks(database, 0.5, now)
    (drift,) = read_drifts(database, now=NOW)
    assert (drift.kind, drift.state, drift.queries_then, drift.queries_now) == ("words", state, 400, 400)
    assert drift.mean_then == pytest.approx(0.5, abs=0.01)
    assert drift.mean_now == pytest.approx(now, abs=0.01)
    assert sum(drift.spread_then) == pytest.approx(1.0, abs=1e-3)


def test_drift_waits_for_enough_queries_and_ignores_filtered_ones(database: Database) -> None:
    two_weeks(database, 0.5, 0.1, n=20)
    two_weeks(database, 0.5, 0.1, query="filter=price<5&text=")
    (drift,) = read_drifts(database, now=NOW)
    assert (drift.kind, drift.state, drift.queries_now) == ("words", "waiting", 20)


def test_the_drift_index_equals_its_definition_and_has_few_false_alarms() -> None:
    then, now = np.zeros(401, np.int64), np.zeros(401, np.int64)
    then[[210, 250]], now[[210, 250]] = (50, 50), (80, 20)
    index, _ = population_stability(then, now, bins=2)
    assert index == pytest.approx((0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5))
    rng = np.random.default_rng(1)

    def week(n: int) -> np.ndarray:
        return np.histogram(rng.normal(0.5, 0.1, n), bins=2 * BINS_TO_1 + 1, range=(-1, 1))[0]

    alarms = sum(
        index > by_chance
        for index, by_chance in (population_stability(week(500), week(300)) for _ in range(400))
    )
    assert alarms <= 12  # the level is 1%; 12 or more of 400 have a probability of 1 in 1,000


@pytest.mark.parametrize("place", [0, 200, 400])
def test_the_drift_index_of_scores_in_one_bucket_detects_a_fall_and_a_rise(place: int) -> None:
    then = np.zeros(401, np.int64)
    then[place] = 500
    assert population_stability(then, then)[0] == pytest.approx(0.0)
    for moved in (place - 50, place + 50):
        if 0 <= moved <= 400:
            now = np.zeros(401, np.int64)
            now[moved] = 500
            index, by_chance = population_stability(then, now)
            assert index > max(by_chance, 0.25)
