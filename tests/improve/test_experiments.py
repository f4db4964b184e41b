"""Experiments: assignment, team draft, start and stop, and fallback to the live system if an arm fails."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from colour_encoder import ColourEncoder

from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import ExperimentError, ImgSearchError, UnknownItem, UnknownSystem
from imgsearch.core.query import Query
from imgsearch.improve.experiments.assignment import arm_of, team_draft
from imgsearch.improve.experiments.experiments import Experiments
from imgsearch.improve.experiments.records import Arm, Experiment
from imgsearch.improve.monitoring.telemetry import render
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore

MUG = "mug/red-0.jpg"
HALVES = (Arm("live", 0.5), Arm("varied", 0.5))


@pytest.fixture(autouse=True)
def fast_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make services load the encoder of the test catalogs."""
    monkeypatch.setattr("imgsearch.search.encoder_provider.load_encoder", lambda *_, **__: ColourEncoder())


@pytest.fixture(autouse=True)
def varied(fast_encoder: None, request: pytest.FixtureRequest) -> None:
    """Add a second system to `service`."""
    if "service" in request.fixturenames:
        request.getfixturevalue("service").systems.save(System("varied", diversity=0.9))


@pytest.fixture
def experiments(catalog: CatalogStore) -> Experiments:
    """Return the experiments of a catalog with the systems live and varied."""
    systems = Systems(
        Searcher(catalog, open_live_index(catalog), lambda: pytest.fail("no encoder is needed"))
    )
    systems.save(System("varied", diversity=0.9))
    return Experiments(catalog.database, systems)


def run(service: SearchService, **given: object) -> Experiment:
    experiment = Experiment("test", HALVES, **given)  # type: ignore[arg-type]
    service.experiments.create(experiment)
    return service.experiments.start("test")


def rows(service: SearchService, sql: str) -> list[tuple[object, ...]]:
    service.feedback.flush()
    return service.catalog.database.cursor().execute(sql).fetchall()


def visitor_of(experiment: Experiment, arm: str | None) -> str:
    return next(name for name in map(str, range(10_000)) if arm_of(experiment, name) == arm)


# --- assignment -------------------------------------------------------------------------------------------------


def test_assignment_is_sticky_and_matches_the_shares() -> None:
    experiment = Experiment("x", (Arm("live", 0.5), Arm("b", 0.2), Arm("c", 0.1)))
    names = [f"visitor {number}" for number in range(20_000)]
    arms = [arm_of(experiment, name) for name in names]
    assert arms == [arm_of(experiment, name) for name in names]
    shares = {arm: count / len(names) for arm, count in Counter(arms).items()}
    assert shares == {
        "live": pytest.approx(0.5, abs=0.02),
        "b": pytest.approx(0.2, abs=0.015),
        "c": pytest.approx(0.1, abs=0.01),
        None: pytest.approx(0.2, abs=0.015),
    }


def test_two_experiments_assign_independently() -> None:
    one, two = Experiment("one", HALVES), Experiment("two", HALVES)
    pairs = Counter((arm_of(one, str(name)), arm_of(two, str(name))) for name in range(8000))
    assert all(count == pytest.approx(2000, abs=150) for count in pairs.values())


def test_shares_that_sum_to_one_include_every_visitor() -> None:
    thirds = Experiment("x", tuple(Arm(name, 1 / 3) for name in "abc"))
    assert None not in {arm_of(thirds, str(number)) for number in range(5000)}


# --- team draft -------------------------------------------------------------------------------------------------


def test_a_team_draft_has_no_duplicates_and_follows_both_rankings() -> None:
    coins = random.Random(7)
    for _ in range(200):
        first, second = coins.sample("abcdefgh", 6), coins.sample("abcdefgh", 6)
        drafted = team_draft(first, second, 20, coins)
        ids = [item for item, _ in drafted]
        assert sorted(ids) == sorted(set(first) | set(second))
        for team, ranking in enumerate((first, second)):
            picks = [item for item, of in drafted if of == team]
            assert picks == sorted(picks, key=ranking.index)
        for length in range(len(drafted)):
            teams = [team for _, team in drafted[:length]]
            both_able = set(first) - set(ids[:length]) and set(second) - set(ids[:length])
            assert abs(teams.count(0) - teams.count(1)) <= 1 or not both_able


def test_both_teams_pick_first_equally_often_and_short_lists_are_exhausted() -> None:
    firsts = Counter(team_draft("abc", "xyz", 6, random.Random(seed))[0][1] for seed in range(2000))
    assert firsts[0] == pytest.approx(1000, abs=100)
    assert team_draft("", "", 5, random.Random(0)) == []
    assert sorted(team_draft("a", "bcd", 10, random.Random(0))) == [("a", 0), ("b", 1), ("c", 1), ("d", 1)]
    assert len(team_draft("abcdef", "ghijkl", 4, random.Random(0))) == 4


# --- lifecycle -----------------------------------------------------------------------------------------------


def test_an_experiment_moves_from_draft_to_running_to_stopped_and_survives_reopening(
    colour_catalog: Path,
) -> None:
    with CatalogStore.open(colour_catalog) as catalog:
        systems = Systems(
            Searcher(catalog, open_live_index(catalog), lambda: pytest.fail("no encoder is needed"))
        )
        systems.save(System("varied", diversity=0.5))
        experiments = Experiments(catalog.database, systems)
        draft = experiments.create(Experiment("test", HALVES, goal="clicks", min_effect=0.1))
        assert (draft.state, draft.arms, draft.goal) == ("draft", HALVES, "clicks")
        with pytest.raises(ExperimentError, match="not running"):
            experiments.stop("test")
        assert experiments.start("test").state == "running"
        with pytest.raises(ExperimentError, match="running already"):
            experiments.start("test")
        experiments.create(Experiment("second", HALVES))
        with pytest.raises(ExperimentError, match="experiment runs at a time"):
            experiments.start("second")
    with CatalogStore.open(colour_catalog) as catalog:
        systems = Systems(
            Searcher(catalog, open_live_index(catalog), lambda: pytest.fail("no encoder is needed"))
        )
        experiments = Experiments(catalog.database, systems)
        assert experiments.running is not None
        assert experiments.running.name == "test"
        assert experiments.stop("test").state == "stopped"
        assert experiments.running is None
        with pytest.raises(ExperimentError, match="stopped for good"):
            experiments.start("test")
        assert experiments.start("second").state == "running"
        assert [each.name for each in experiments.all()] == ["second", "test"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "no spaces please"}, "name"),
        ({"arms": (Arm("live", 0.5), Arm("nope", 0.5))}, "no system 'nope'"),
        ({"arms": (Arm("live", 1.0),)}, "2 to 6"),
        ({"arms": (Arm("live", 0.5), Arm("live", 0.5))}, "twice"),
        ({"arms": (Arm("live", 0.7), Arm("varied", 0.7))}, "at most 1"),
        ({"arms": (Arm("live", 1.0), Arm("varied", 0.0))}, "above 0"),
        ({"arms": (Arm("live", float("nan")), Arm("varied", 0.5))}, "above 0"),
        ({"mode": "coin"}, "split or interleave"),
        ({"goal": "money"}, "goal"),
        ({"min_effect": 0.0}, "above 0"),
        ({"planned_visitors": 0}, "planned"),
    ],
)
def test_an_invalid_experiment_is_refused_in_one_sentence_and_not_stored(
    experiments: Experiments, catalog: CatalogStore, change: dict[str, object], words: str
) -> None:
    with pytest.raises(ExperimentError, match=words):
        experiments.create(replace(Experiment("test", HALVES), **change))  # type: ignore[arg-type]
    assert experiments.all() == []
    assert catalog.database.cursor().execute("SELECT count(*) FROM experiment_arms").fetchall() == [(0,)]


def test_names_are_unique_and_unknown_names_are_reported(experiments: Experiments) -> None:
    experiments.create(Experiment("test", HALVES))
    with pytest.raises(ExperimentError, match="already"):
        experiments.create(Experiment("test", HALVES))
    with pytest.raises(ExperimentError, match="no experiment 'nope'; there are: test"):
        experiments.start("nope")
    with pytest.raises(UnknownSystem):
        experiments.create(Experiment("other", (Arm("live", 0.5), Arm("gone", 0.5))))


# --- serving visitors ------------------------------------------------------------------------------------------


def test_each_visitor_gets_results_of_their_arm_and_the_rows_record_it(service: SearchService) -> None:
    experiment = run(service)
    query = Query.of(item=MUG, n=20)
    for arm in ("live", "varied"):
        visitor = visitor_of(experiment, arm)
        shown = service.search(query, visitor=visitor)
        assert shown.hits == service.systems.search(query, arm).hits
        assert rows(
            service, f"SELECT DISTINCT arm FROM impressions WHERE search_id = '{shown.search_id}'"
        ) == [(arm,)]
        exposed = rows(
            service,
            "SELECT experiment, arm, visitor, first_rank, hits, failed FROM exposures "
            f"WHERE search_id = '{shown.search_id}'",
        )
        assert exposed == [("test", arm, visitor, 1, 20, False)]


def test_anonymous_visitors_and_unrecorded_searches_are_excluded(service: SearchService) -> None:
    experiment = run(service)
    query = Query.of(item=MUG, n=20)
    live = service.systems.search(query)
    assert service.search(query).hits == live.hits
    assert service.search(query, visitor=visitor_of(experiment, "varied"), record=False).hits == live.hits
    assert rows(service, "SELECT count(*) FROM exposures") == [(0,)]


def test_after_the_stop_every_visitor_gets_the_live_system(service: SearchService) -> None:
    visitor = visitor_of(run(service), "varied")
    query = Query.of(item=MUG, n=20)
    service.experiments.stop("test")
    assert service.search(query, visitor=visitor).hits == service.systems.search(query).hits
    assert rows(service, "SELECT count(*) FROM exposures") == [(0,)]


def test_without_feedback_recording_no_visitor_is_assigned(colour_catalog: Path) -> None:
    service = SearchService.open(Settings.load({}, catalog=colour_catalog, feedback=False))
    service.systems.save(System("varied", diversity=0.9))
    visitor = visitor_of(run(service), "varied")
    query = Query.of(item=MUG, n=20)
    assert service.search(query, visitor=visitor).hits == service.systems.search(query).hits
    service.close()


def test_interleaving_merges_both_arms_credits_each_hit_and_continues_over_pages(
    service: SearchService,
) -> None:
    run(service, mode="interleave")
    query = Query.of(item=MUG, n=20)
    shown = service.search(query, visitor="ann")
    again = service.search(query, visitor="ann")
    assert shown.hits == again.hits
    assert len({hit.item_id for hit in shown.hits}) == 20
    assert [hit.rank for hit in shown.hits] == list(range(1, 21))
    ids = [hit.item_id for hit in shown.hits]
    arms = dict(rows(service, f"SELECT rank, arm FROM impressions WHERE search_id = '{shown.search_id}'"))
    assert Counter(arms.values()) == {"live": 10, "varied": 10}
    for name in ("live", "varied"):
        own = [hit.item_id for hit in service.systems.search(replace(query, n=47), name).hits]
        picks = [ids[rank - 1] for rank in sorted(arms) if arms[rank] == name]  # type: ignore[index]
        assert picks == sorted(picks, key=own.index)
    pages = [service.search(replace(query, n=5, offset=start), visitor="ann") for start in (0, 5, 10, 15)]
    assert [hit.item_id for page in pages for hit in page.hits] == ids
    other = [service.search(query, visitor=f"visitor {number}").hits for number in range(5)]
    assert any(hits != shown.hits for hits in other)


def test_the_live_system_replaces_a_failing_arm_and_the_failure_is_counted(
    service: SearchService, colour_catalog: Path, tmp_path: Path
) -> None:
    service.close()
    shutil.copytree(colour_catalog, tmp_path / "other")
    service = SearchService.open(Settings.load({}, catalog=colour_catalog))
    service.systems.save(System("other", catalog=str(tmp_path / "other")))
    for mode in ("split", "interleave"):
        arms = (Arm("live", 0.001), Arm("other", 0.999))
        service.experiments.create(Experiment(mode, arms, mode=mode))  # type: ignore[arg-type]
    service.experiments.start("split")
    service.close()
    shutil.rmtree(tmp_path / "other")

    service = SearchService.open(Settings.load({}, catalog=colour_catalog))
    query = Query.of(item=MUG, n=12)
    assert service.search(query, visitor="ann").hits == service.systems.search(query).hits
    assert rows(service, "SELECT arm, failed FROM exposures") == [("other", True)]
    assert rows(service, "SELECT DISTINCT arm FROM impressions") == [("live",)]
    assert b'imgsearch_experiment_failures_total{experiment="split"} 1.0\n' in render(
        service.metrics.registry
    )
    with pytest.raises(UnknownItem):  # an invalid query is no failure of the arm
        service.search(Query.of(item="gone.jpg"), visitor="ann")
    assert rows(service, "SELECT count(*) FROM exposures") == [(1,)]
    service.experiments.stop("split")
    with pytest.raises(ImgSearchError):
        service.experiments.start("interleave")
    assert service.experiments.running is None
    service.close()


def test_recording_an_exposure_does_not_delay_the_search(service: SearchService) -> None:
    """Checks only that nothing is written during the search; `scripts/bench_experiments.py` measures the time."""
    visitor = visitor_of(run(service), "live")
    query = Query.of(item=MUG, n=24)
    service.search(query, visitor=visitor)
    cursor, count = service.catalog.database.cursor(), "SELECT count(*) FROM exposures"
    before, searches = rows(service, count), 1
    for _ in range(60):  # retry: on a slow machine the flush interval of one second may elapse
        service.search(query, visitor=visitor)
        searches += 1
        if cursor.execute(count).fetchall() == before:
            break
        before = rows(service, count)
    else:
        pytest.fail("every search was written before it was answered")
    give_up = time.monotonic() + 60
    while cursor.execute(count).fetchall() == before and time.monotonic() < give_up:
        time.sleep(0.05)
    assert cursor.execute(count).fetchall() == [(searches,)]
