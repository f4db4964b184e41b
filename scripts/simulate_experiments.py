"""Verify on simulated Sample Store visitors the power and the false alarm rate of experiments.

    python scripts/simulate_experiments.py [--runs 200] [--power-runs 50] [--visitors 1000] [--json]

A/A: two systems with the same hits and many experiments with 40 interim looks each; at most 5% may have a false alarm
at any look. A/B and interleaving: the click model gives the exact true effect; a pilot estimates the sample size, and
with it at least 80% of the experiments, the stated power, must detect the effect. Assignment, click storage and
analysis use the app's code; only the hits of each query are computed once instead of per search. Works on a copy of
the catalog.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from simulation import Taste, Visitors

from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.encoders.base import Encoder
from imgsearch.improve.experiments.assignment import arm_of, interleaving_rng, team_draft
from imgsearch.improve.experiments.experiments import Experiments
from imgsearch.improve.experiments.outcomes import outcome_of
from imgsearch.improve.experiments.records import Arm, Experiment, Outcome
from imgsearch.index.opening import open_live_index
from imgsearch.search.searcher import Searcher
from imgsearch.search.systems import System, Systems
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame

HITS = 24
DAYS = 14
TASTE = Taste({"type": 1.0, "colour": 1.0, "pattern": 1.0, "material": 1.0})
SYSTEMS = (System("twin", expansion=512), System("varied", diversity=0.9))


class Shop:
    """Queries by item, and each system's precomputed hits."""

    def __init__(
        self, systems: Systems, catalog: CatalogStore, people: Visitors, *, queries: int, seed: int
    ) -> None:
        items = list(catalog.iter_items())
        drawn = np.random.default_rng(seed).choice(len(items), min(queries, len(items)), replace=False)
        self.people = people
        self.queries = [items[place] for place in drawn]
        self.keys = [query_key(Query.of(item=item.item_id)) for item in self.queries]
        self.ids: dict[str, list[list[str]]] = {}
        self.relevances: dict[str, NDArray[np.float64]] = {}
        for system in systems.all():
            results = [
                systems.search(Query.of(item=item.item_id, n=HITS), system.name) for item in self.queries
            ]
            self.ids[system.name] = [[hit.item_id for hit in result.hits] for result in results]
            self.relevances[system.name] = np.array(
                [
                    people.taste.relevances(item, result.hits)
                    for item, result in zip(self.queries, results, strict=True)
                ]
            )

    def true_ctr(self, system: str) -> float:
        """Return the exact probability of a click among a search's first 10 hits, averaged over the queries."""
        chances = np.array([self.people.click_probabilities(row) for row in self.relevances[system]])
        return float(np.mean(1.0 - np.prod(1.0 - chances[:, :10], axis=1)))


def visit(
    shop: Shop, catalog: CatalogStore, experiment: Experiment, visitors: int, rng: np.random.Generator
) -> datetime:
    """Simulate the visitors' searches with the service's row format, and return the time of the last one."""
    assert experiment.started is not None
    names = [uuid.UUID(bytes=rng.bytes(16)).hex for _ in range(visitors)]
    searches = 1 + rng.poisson(2.0, visitors)
    who = np.repeat(np.arange(visitors), searches)
    first = rng.uniform(60.0, DAYS * 86_400.0, visitors)
    moments = first[who] + rng.exponential(120.0, len(who)).cumsum() % 7200.0
    asked = rng.integers(0, len(shop.queries), len(who))
    exposures, clicks, impressions = [], [], []
    for place, moment, question in zip(who.tolist(), moments.tolist(), asked.tolist(), strict=True):
        visitor, key = names[place], shop.keys[question]
        shown_at = experiment.started + timedelta(seconds=moment)
        search_id = uuid.UUID(bytes=rng.bytes(16)).hex
        if experiment.mode == "interleave":
            arm, (ids, teams, relevances) = "", _mixed(shop, experiment, visitor, question)
            impressions += [
                (search_id, shown_at, visitor, key, "", 0, team, item_id, rank, 0.0, 0.0)
                for rank, (item_id, team) in enumerate(zip(ids, teams, strict=True), start=1)
            ]
        else:
            arm = arm_of(experiment, visitor) or "live"
            ids, relevances = shop.ids[arm][question], shop.relevances[arm][question]
        exposures.append(
            (
                search_id,
                shown_at,
                experiment.name,
                arm,
                visitor,
                key,
                1,
                len(ids),
                rng.lognormal(1.5, 0.3),
                False,
            )
        )
        after = 0.0
        for index in np.flatnonzero(shop.people.draw(relevances)).tolist():
            after += rng.exponential(12.0)
            clicks.append(
                (search_id, shown_at + timedelta(seconds=after), visitor, ids[index], index + 1, "open")
            )
    with catalog.database.transaction() as cursor:
        for table, rows in (("exposures", exposures), ("clicks", clicks), ("impressions", impressions)):
            if rows:
                insert_frame(cursor, table, pd.DataFrame(rows))
    return experiment.started + timedelta(days=DAYS, hours=3)


def _mixed(
    shop: Shop, experiment: Experiment, visitor: str, question: int
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return the ids, arms and relevances of a visitor's interleaved list."""
    names = [arm.system for arm in experiment.arms]
    coins = interleaving_rng(experiment, visitor, shop.keys[question])
    drafted = team_draft(*(shop.ids[name][question] for name in names), HITS, coins)
    known: dict[str, float] = {}
    for name in names:
        known |= dict(zip(shop.ids[name][question], shop.relevances[name][question], strict=True))
    return (
        [item for item, _ in drafted],
        [names[team] for _, team in drafted],
        np.array([known[item] for item, _ in drafted]),
    )


def run(
    shop: Shop,
    catalog: CatalogStore,
    experiments: Experiments,
    experiment: Experiment,
    visitors: int,
    seed: int,
) -> Outcome:
    """Run one experiment from creation to its stop and return its outcome."""
    experiments.create(experiment)
    started = experiments.start(experiment.name)
    end = visit(shop, catalog, started, visitors, np.random.default_rng(seed))
    outcome = outcome_of(catalog.database, started, now=end)
    experiments.stop(experiment.name)
    return outcome


def called(outcome: Outcome) -> set[float]:
    """Return the signs of the differences found significant at any look."""
    return {
        float(np.sign(point.difference))
        for points in outcome.series.values()
        for point in points
        if point.enough and (point.low > 0 or point.high < 0)
    }


def false_alarms(
    shop: Shop, catalog: CatalogStore, experiments: Experiments, *, runs: int, visitors: int, seed: int
) -> dict[str, Any]:
    """Return the number of A/A experiments with a false alarm at any of 40 looks."""
    mode_arms = (Arm("live", 0.5), Arm("twin", 0.5))
    differences = mismatches = looks = 0
    for number in range(runs):
        experiment = Experiment(f"aa-{seed}-{number}", mode_arms, planned_visitors=visitors)
        outcome = run(shop, catalog, experiments, experiment, visitors, seed + number)
        looks += sum(point.enough for points in outcome.series.values() for point in points)
        differences += bool(called(outcome))
        mismatches += "not split as planned" in outcome.recommendation.sentence
    return {
        "experiments": runs,
        "visitors": visitors,
        "looks": looks,
        "false_alarms": differences,
        "share": differences / runs,
        "sample_ratio_alarms": mismatches,
    }


def power(
    shop: Shop,
    catalog: CatalogStore,
    experiments: Experiments,
    arms: Sequence[str],
    *,
    mode: str,
    runs: int,
    pilot_visitors: int,
    seed: int,
) -> dict[str, Any]:
    """Return the share of experiments with the pilot's sample size that detect the true effect."""
    name = f"{mode}-{seed}"
    template = Experiment(
        f"{name}-pilot", tuple(Arm(arm, 0.5) for arm in arms), mode=mode, planned_visitors=pilot_visitors
    )  # type: ignore[arg-type]
    truth = shop.true_ctr(arms[1]) - shop.true_ctr(arms[0])
    pilot = run(shop, catalog, experiments, template, pilot_visitors, seed)
    # The effect to detect is the true difference: exact in a split, estimated by the pilot when interleaved.
    effect = abs(truth) / shop.true_ctr(arms[0]) if mode == "split" else abs(pilot.contrasts[0].difference)
    template = replace(template, min_effect=effect)
    again = run(
        shop, catalog, experiments, replace(template, name=f"{name}-pilot-2"), pilot_visitors, seed + 1
    )
    needed = again.needed
    assert needed is not None
    right = wrong = 0
    for number in range(runs):
        experiment = replace(template, name=f"{name}-{number}", planned_visitors=needed)
        signs = called(run(shop, catalog, experiments, experiment, needed, seed + 2 + number))
        right += np.sign(truth) in signs
        wrong += -np.sign(truth) in signs
    return {
        "arms": list(arms),
        "true_ctr": [round(shop.true_ctr(arm), 4) for arm in arms],
        "experiments": runs,
        "visitors_needed": needed,
        "right_sign": right,
        "wrong_sign": wrong,
        "power": right / runs,
    }


def no_encoder() -> Encoder:
    raise SystemExit("The simulation searches by items only.")


def prepare(catalog: CatalogStore, *, queries: int = 300, seed: int = 0) -> tuple[Shop, Experiments]:
    """Return the shop and the experiments of a catalog, with the compared systems."""
    systems = Systems(Searcher(catalog, open_live_index(catalog), no_encoder))
    for system in SYSTEMS:
        systems.save(system)
    people = Visitors(TASTE, seed=seed, eta=1.0, noise=0.05)
    return Shop(systems, catalog, people, queries=queries, seed=seed), Experiments(catalog.database, systems)


def main() -> int:
    """Run all simulations, print the results, and return 1 if one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="A/A experiments")
    parser.add_argument(
        "--power-runs", type=int, default=50, help="number of A/B and of interleaving experiments"
    )
    parser.add_argument("--visitors", type=int, default=1000, help="visitors per A/A experiment and pilot")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--catalog", type=Path, help="the catalog to copy (default: the Sample Store)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    from imgsearch.demo import ensure_demo_catalog

    source = given.catalog or ensure_demo_catalog()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(source, Path(scratch) / "catalog"))
        with CatalogStore.open(folder) as catalog:
            started = time.perf_counter()
            shop, experiments = prepare(catalog, seed=given.seed)
            found = {
                "aa": false_alarms(
                    shop,
                    catalog,
                    experiments,
                    runs=given.runs,
                    visitors=given.visitors,
                    seed=given.seed + 10_000,
                ),
                **{
                    mode: power(
                        shop,
                        catalog,
                        experiments,
                        ("varied", "live"),
                        mode=mode,
                        runs=given.power_runs,
                        pilot_visitors=given.visitors,
                        seed=given.seed + 20_000,
                    )
                    for mode in ("split", "interleave")
                },
                "seconds": round(time.perf_counter() - started, 1),
            }
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        for name, figures in found.items():
            print(f"{name}: {figures}")
    missed = found["aa"]["share"] > 0.05 or any(
        found[mode]["power"] < 0.7 or found[mode]["wrong_sign"] for mode in ("split", "interleave")
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
