"""Show on simulated visitors of the Sample Store that experiments tell arms apart, and raise no false alarms.

    python scripts/simulate_experiments.py [--runs 200] [--power-runs 50] [--visitors 1000] [--json]

A/A: two systems with the same hits, many experiments, each looked at 40 times while its visitors come in: the share
with a false alarm at any look must stay at most 5%. A/B and interleaving: arms whose truth is known exactly from the
click model; a pilot says how many visitors are needed, and the share of experiments that find the truth with so many
must reach the 80% that it states. Visitors are assigned, their clicks stored and the outcome read by the same code as
in the app; only the hits of each query are looked up once instead of at each search. Works on a copy of the catalog.
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
    """Queries by items, and what each system shows for them, looked up once."""

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
        """Return the exact chance that a search has a click among its first 10 hits, over the queries."""
        chances = np.array([self.people.click_probabilities(row) for row in self.relevances[system]])
        return float(np.mean(1.0 - np.prod(1.0 - chances[:, :10], axis=1)))


def visit(
    shop: Shop, catalog: CatalogStore, experiment: Experiment, visitors: int, rng: np.random.Generator
) -> datetime:
    """Let so many people search, and return when the last of them has left: rows as the service writes them."""
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
    """Return the ids, arms and relevances that interleaving shows a visitor."""
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
    """Return the signs of the differences that any look at the experiment would have called."""
    return {
        float(np.sign(point.difference))
        for points in outcome.series.values()
        for point in points
        if point.enough and (point.low > 0 or point.high < 0)
    }


def false_alarms(
    shop: Shop, catalog: CatalogStore, experiments: Experiments, *, runs: int, visitors: int, seed: int
) -> dict[str, Any]:
    """Return how many of the A/A experiments, looked at 40 times each, called a difference that is not there."""
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
    """Return how often experiments with the visitors that a pilot asks for find the known truth."""
    name = f"{mode}-{seed}"
    template = Experiment(
        f"{name}-pilot", tuple(Arm(arm, 0.5) for arm in arms), mode=mode, planned_visitors=pilot_visitors
    )  # type: ignore[arg-type]
    truth = shop.true_ctr(arms[1]) - shop.true_ctr(arms[0])
    pilot = run(shop, catalog, experiments, template, pilot_visitors, seed)
    # What must be told apart is the true difference: known exactly in a split, measured by the pilot when mixed.
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
    """Return the shop and the experiments of a catalog, with the systems that are compared."""
    systems = Systems(Searcher(catalog, open_live_index(catalog), no_encoder))
    for system in SYSTEMS:
        systems.save(system)
    people = Visitors(TASTE, seed=seed, eta=1.0, noise=0.05)
    return Shop(systems, catalog, people, queries=queries, seed=seed), Experiments(catalog.database, systems)


def main() -> int:
    """Run all simulations, print their figures, and return 1 where one misses its mark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="A/A experiments")
    parser.add_argument("--power-runs", type=int, default=50, help="A/B and interleaving experiments each")
    parser.add_argument(
        "--visitors", type=int, default=1000, help="visitors of each A/A experiment and pilot"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--catalog", type=Path, help="the catalog to copy; the Sample Store if not given")
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
