"""Experiment outcomes match hand counts and the known preferences of simulated visitors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from colour_encoder import ColourEncoder
from samples import clustered
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from imgsearch.app.service import SearchService, set_service
from imgsearch.cli.main import app
from imgsearch.core.config import Settings
from imgsearch.improve.experiments.experiments import Experiments
from imgsearch.improve.experiments.outcomes import outcome_of
from imgsearch.improve.experiments.records import Arm, Experiment, Outcome
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame

HALVES = (Arm("live", 0.5), Arm("varied", 0.5))
Search = tuple[str, str, str, float, Sequence[int]]
"""Visitor, arm, query, seconds after the start, and the ranks clicked (10 s apart)."""


@pytest.fixture
def catalog(make_catalog: Callable[..., CatalogStore]) -> CatalogStore:
    return make_catalog(clustered(60, 8))


def experiments_of(catalog: CatalogStore) -> Experiments:
    systems = Systems(
        Searcher(catalog, open_live_index(catalog), lambda: pytest.fail("no encoder is needed"))
    )
    if len(systems.all()) == 1:
        systems.save(System("varied", diversity=0.5))
        systems.save(System("short", n=5))
    return Experiments(catalog.database, systems)


def started(catalog: CatalogStore, **given: Any) -> Experiment:
    experiments = experiments_of(catalog)
    experiments.create(Experiment("test", **{"arms": HALVES, **given}))
    return experiments.start("test")


def write(
    catalog: CatalogStore,
    experiment: Experiment,
    searches: Sequence[Search],
    *,
    ms: dict[str, float] | None = None,
) -> None:
    """Write searches and their clicks as a service does; a query that ends in `+` is a later page."""
    assert experiment.started is not None
    exposures, clicks = [], []
    for number, (visitor, arm, query, seconds, ranks) in enumerate(searches):
        moment = experiment.started + timedelta(seconds=seconds)
        key, first = query.removesuffix("+"), 25 if query.endswith("+") else 1
        exposures.append(
            (f"s{number}", moment, "test", arm, visitor, key, first, 24, (ms or {}).get(arm, 5.0), False)
        )
        clicks += [
            (f"s{number}", moment + timedelta(seconds=10 * place), visitor, f"i{rank}", rank, "open")
            for place, rank in enumerate(ranks, start=1)
        ]
    with catalog.database.transaction() as cursor:
        for table, rows in (("exposures", exposures), ("clicks", clicks)):
            if rows:
                insert_frame(cursor, table, pd.DataFrame(rows))


def crowd(rates: dict[str, float], each: int, *, seed: int = 0) -> list[Search]:
    """Return one search of `each` visitors per arm, clicked at rank 1 at the arm's rate."""
    rng = np.random.default_rng(seed)
    return [
        (f"{arm} {number}", arm, "q", float(rng.uniform(0, 80_000)), [1] if rng.random() < rate else [])
        for arm, rate in rates.items()
        for number in range(each)
    ]


def read(catalog: CatalogStore, experiment: Experiment) -> Outcome:
    assert experiment.started is not None
    return outcome_of(catalog.database, experiment, now=experiment.started + timedelta(days=1))


# --- the measures -------------------------------------------------------------------------------------------------


def test_the_measures_equal_a_hand_count(catalog: CatalogStore) -> None:
    experiment = started(catalog)
    write(
        catalog,
        experiment,
        [
            ("ann", "live", "a", 0, [3, 1]),  # clicked twice, first at rank 3
            ("ann", "live", "b", 100, []),  # read until the next search
            ("ann", "live", "b", 160, [12]),  # repeated query: a new search, clicked below the top
            ("bob", "live", "a", 50, []),  # opened a second page ...
            ("bob", "live", "a+", 70, [30]),  # ... and clicked there: one search
            ("cem", "varied", "a", 10, [1, 1]),  # the same photo twice counts once
            ("dan", "varied", "a", 20, []),
        ],
    )
    moment = experiment.started + timedelta(seconds=30)  # type: ignore[operator]
    with catalog.database.transaction() as cursor:
        cursor.execute("INSERT INTO clicks VALUES ('s6', ?, 'dan', 'i2', 2, 'less')", [moment])
        for verdict, later in (("bad", 0), ("good", 1)):  # a revised verdict
            cursor.execute(
                "INSERT INTO judgments VALUES (?, 'a', 'i1', ?, 'cem', 's5')",
                [moment + timedelta(seconds=later), verdict],
            )
    outcome = read(catalog, experiment)
    live, varied = outcome.arms
    assert (live.visitors, live.searches, varied.visitors, varied.searches) == (2, 4, 2, 2)
    values = {name: value.value for name, value in live.values.items()}
    assert values == {
        "ctr": pytest.approx(1 / 4),
        "clicks": pytest.approx(4 / 4),
        "abandoned": pytest.approx(1 / 4),
        "first_rank": pytest.approx((3 + 12 + 30) / 3),
        "first_click_s": pytest.approx((10 + 10 + 30) / 3),
        "time_s": pytest.approx((100 + 60 + 10 + 30) / 4),
    }
    values = {name: value.value for name, value in varied.values.items()}
    assert (values["ctr"], values["clicks"], values["abandoned"], values["good_rate"]) == (0.5, 0.5, 0.5, 1.0)


def test_the_last_point_of_the_chart_is_the_difference_of_the_table(catalog: CatalogStore) -> None:
    rng = np.random.default_rng(3)
    experiment = started(catalog, goal="clicks")
    searches = [
        (
            f"{number}",
            arm,
            f"q{rng.integers(5)}",
            float(rng.uniform(0, 86_000)),
            list(range(1, rng.integers(1, 6))),
        )
        for number in range(300)
        for arm in (("live", "varied")[number % 2],)
        for _ in range(rng.integers(1, 6))
    ]
    write(catalog, experiment, searches)
    outcome = read(catalog, experiment)
    (contrast,) = [each for each in outcome.contrasts if each.measure == "clicks"]
    last = outcome.series["varied"][-1]
    assert last.visitors == outcome.visitors == 300
    assert (last.difference, last.low, last.high) == pytest.approx(
        (contrast.difference, contrast.low, contrast.high), rel=1e-9
    )
    visitors = [point.visitors for point in outcome.series["varied"]]
    assert visitors == sorted(visitors)
    assert len(visitors) > 30


# --- the recommendation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "each", "kind", "words"),
    [
        ({"live": 0.3, "varied": 0.5}, 500, "ship", "Ship varied: it raises CTR@10 from 28.4% to"),
        ({"live": 0.5, "varied": 0.3}, 500, "stop", "Stop and keep live: varied lowers"),
        ({"live": 0.4, "varied": 0.4}, 60, "wait", "at least 100 visitors"),
        ({"live": 0.4, "varied": 0.4}, 200, "wait", "more visitors are needed"),
    ],
)
def test_the_recommendation_names_the_next_action(
    catalog: CatalogStore, rates: dict[str, float], each: int, kind: str, words: str
) -> None:
    experiment = started(catalog)
    write(catalog, experiment, crowd(rates, each))
    recommendation = read(catalog, experiment).recommendation
    assert recommendation.kind == kind
    assert words in recommendation.sentence
    assert recommendation.sentence.count(". ") == 0


def test_a_draft_and_an_empty_experiment_explain_the_next_step(catalog: CatalogStore) -> None:
    experiments = experiments_of(catalog)
    draft = experiments.create(Experiment("test", HALVES))
    assert outcome_of(catalog.database, draft).recommendation.sentence.startswith("Start it")
    running = experiments.start("test")
    assert "no visitor has searched yet" in outcome_of(catalog.database, running).recommendation.sentence
    ended = experiments.stop("test")
    assert "ended before" in outcome_of(catalog.database, ended).recommendation.sentence


def test_a_sample_ratio_mismatch_precedes_any_other_recommendation(
    catalog: CatalogStore,
) -> None:
    experiment = started(catalog)
    write(catalog, experiment, [*crowd({"live": 0.2}, 600), *crowd({"varied": 0.9}, 400)])
    outcome = read(catalog, experiment)
    assert outcome.sample_ratio_p is not None
    assert outcome.sample_ratio_p < 1e-6
    assert outcome.recommendation.sentence.startswith("Stop: traffic is not split as planned (60.0% / 40.0%")


def test_an_arm_that_is_better_but_slow_is_not_shipped(catalog: CatalogStore) -> None:
    experiment = started(catalog)
    write(catalog, experiment, crowd({"live": 0.3, "varied": 0.5}, 500), ms={"varied": 300.0})
    recommendation = read(catalog, experiment).recommendation
    assert (recommendation.kind, recommendation.system) == ("check", "varied")
    assert "varied is slow" in recommendation.sentence


def test_a_lower_value_wins_where_lower_is_better(catalog: CatalogStore) -> None:
    experiment = started(catalog, goal="abandoned")
    write(catalog, experiment, crowd({"live": 0.3, "varied": 0.5}, 500))
    recommendation = read(catalog, experiment).recommendation
    assert recommendation.kind == "ship"
    assert "lowers No click" in recommendation.sentence


def test_of_three_arms_the_best_is_shipped(catalog: CatalogStore) -> None:
    third = 1 / 3
    experiment = started(catalog, arms=(Arm("live", third), Arm("varied", third), Arm("short", third)))
    write(catalog, experiment, crowd({"live": 0.2, "varied": 0.4, "short": 0.6}, 400))
    outcome = read(catalog, experiment)
    assert outcome.recommendation.system == "short"
    assert set(outcome.series) == {"varied", "short"}


def test_a_negligible_difference_recommends_stopping(catalog: CatalogStore) -> None:
    experiment = started(catalog, min_effect=0.5)
    write(catalog, experiment, crowd({"live": 0.6, "varied": 0.6}, 400))
    assert "no arm changes CTR@10 by as much as 50%" in read(catalog, experiment).recommendation.sentence


# --- interleaving -------------------------------------------------------------------------------------------------


def test_interleaving_credits_clicks_to_the_arm_of_each_hit(catalog: CatalogStore) -> None:
    experiment = started(catalog, mode="interleave")
    rng = np.random.default_rng(1)
    searches: list[Search] = []
    impressions = []
    for number in range(300):
        # varied's hits have even ranks and twice the clicks
        rank = int(rng.choice([1, 2], p=[1 / 3, 2 / 3]))
        searches.append((f"v{number}", "", "q", float(rng.uniform(0, 80_000)), [rank]))
        impressions += [
            (f"s{number}", experiment.started, f"v{number}", "q", "", 0, arm, f"i{place}", place, 0.0, 0.0)
            for place, arm in ((1, "live"), (2, "varied"))
        ]
    write(catalog, experiment, searches)
    with catalog.database.transaction() as cursor:
        insert_frame(cursor, "impressions", pd.DataFrame(impressions))
    outcome = read(catalog, experiment)
    won = sum(ranks == [2] for *_, ranks in searches)
    assert outcome.arms[1].values["won"].value == pytest.approx(won / 300)
    assert outcome.arms[0].values["won"].value == pytest.approx(1 - won / 300)
    assert outcome.contrasts[0].difference == pytest.approx((2 * won - 300) / 300)
    assert (outcome.wins, outcome.losses) == (won, 300 - won)
    assert outcome.visitors == 300
    assert outcome.recommendation.kind == "ship"
    assert outcome.recommendation.sentence.startswith("Ship varied: it wins against live")
    assert outcome.sample_ratio_p is None
    assert outcome.series["varied"][-1].difference == pytest.approx(outcome.contrasts[0].difference)


def test_an_outcome_is_plain_json(catalog: CatalogStore) -> None:
    experiment = started(catalog)
    write(catalog, experiment, crowd({"live": 0.3, "varied": 0.5}, 120))
    document = json.loads(json.dumps(read(catalog, experiment).as_dict(), allow_nan=False))
    assert document["experiment"]["state"] == "running"
    assert document["arms"][0]["system"] == "live"


# --- simulated visitors -------------------------------------------------------------------------------------------


@pytest.fixture
def shop(colour_catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the simulation's module with a shop of the test photos, its catalog and experiments."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "scripts"))
    import simulate_experiments as simulation
    from simulation import Taste, Visitors

    with CatalogStore.open(colour_catalog) as catalog:
        systems = Systems(
            Searcher(catalog, open_live_index(catalog), lambda: pytest.fail("no encoder is needed"))
        )
        for system in simulation.SYSTEMS:
            systems.save(system)
        people = Visitors(Taste({"category": 1.0, "colour": 1.0}), seed=0)
        shop = simulation.Shop(systems, catalog, people, queries=48, seed=0)
        yield simulation, shop, catalog, Experiments(catalog.database, systems)


@pytest.mark.slow
def test_watched_experiments_between_equal_arms_rarely_raise_an_alarm(shop: Any) -> None:
    simulation, made, catalog, experiments = shop
    found = simulation.false_alarms(made, catalog, experiments, runs=20, visitors=300, seed=1)
    assert found["looks"] > 200
    assert (
        found["false_alarms"] <= 2
    )  # at a level of 5%, more than 2 of 20 have probability 8%; the actual level is far lower
    assert found["sample_ratio_alarms"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["split", "interleave"])
def test_arms_with_a_known_difference_are_distinguished_with_the_right_sign(shop: Any, mode: str) -> None:
    simulation, made, catalog, experiments = shop
    assert made.true_ctr("live") > made.true_ctr("varied")
    arms = (Arm("varied", 0.5), Arm("live", 0.5))
    experiment = Experiment("known", arms, mode=mode, goal="clicks", planned_visitors=1000)  # type: ignore[arg-type]
    outcome = simulation.run(made, catalog, experiments, experiment, 1000, seed=2)
    assert simulation.called(outcome) == {1.0}
    assert outcome.recommendation.kind == "ship"
    assert outcome.recommendation.system == "live"


# --- the command and the page -------------------------------------------------------------------------------------


def test_the_commands_define_start_report_and_stop(colour_catalog: Path) -> None:
    def run(*given: str) -> Any:
        result = CliRunner().invoke(
            app, [*given, "--catalog", str(colour_catalog), "--json"], catch_exceptions=False
        )
        assert result.exit_code == 0
        return json.loads(result.stdout)

    assert run("system", "add", "varied", "--diversity", "0.4")["diversity"] == 0.4
    assert [each["name"] for each in run("system", "list")] == ["live", "varied"]
    made = run("experiment", "create", "spring", "--arm", "live=50", "--arm", "varied=50%")
    assert (made["state"], made["arms"][1]) == ("draft", {"system": "varied", "share": 0.5})
    assert run("experiment", "start", "spring")["state"] == "running"
    assert run("experiment", "report", "spring")["verdict"]["kind"] == "wait"
    assert run("experiment", "stop", "spring")["state"] == "stopped"
    assert [each["name"] for each in run("experiment", "list")] == ["spring"]


def test_the_page_guides_from_a_new_experiment_to_its_recommendation(
    colour_catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgsearch.search.encoder_provider.load_encoder", lambda *_, **__: ColourEncoder())
    service = SearchService.open(Settings.load({}, catalog=colour_catalog))
    service.systems.save(System("varied", diversity=0.5))
    set_service(service)
    try:
        page = AppTest.from_function(_page, default_timeout=30).run()
        page.text_input("experiment_name").set_value("<b>bad</b>")
        page.multiselect("experiment_arms").set_value(["live", "varied"])
        page = _press(page, "Create").run()
        assert "must be 1 to 40 letters" in _html(page)
        assert "<b>bad" not in _html(page)
        page.text_input("experiment_name").set_value("spring")
        page = _press(page, "Create").run()
        assert "Start it: until then" in _html(page)
        page.button("start").click().run()
        assert "no visitor has searched yet" in _html(page)
        running = service.experiments.running
        assert running is not None
        searches = crowd({"live": 0.3, "varied": 0.5}, 300)
        _write_as(service.catalog, running, searches)
        page.run()
        assert not page.exception
        assert "Ship varied" in _html(page)
        page.button("stop").click().run()
        assert service.experiments.running is None
        page.button("back").click().run()
        assert "stopped" in _html(page)
    finally:
        set_service(None)
        service.close()


def _page() -> None:
    from imgsearch.ui.views.experiments import draw

    draw()


def _press(page: AppTest, label: str) -> Any:
    return next(button for button in page.button if button.label == label).click()


def _html(page: AppTest) -> str:
    return " ".join(str(getattr(each, "proto", each)) for each in page.get("html"))


def _write_as(catalog: CatalogStore, experiment: Experiment, searches: Sequence[Search]) -> None:
    """Write searches to an experiment of another name, within one second of its start."""
    write(
        catalog,
        experiment,
        [(visitor, arm, query, at / 1e5, ranks) for visitor, arm, query, at, ranks in searches],
    )
    with catalog.database.transaction() as cursor:
        cursor.execute("UPDATE exposures SET experiment = ?", [experiment.name])
