"""Measure reading and recording experiments with a million impressions, all in one experiment.

    python scripts/bench_experiments.py [--rows 1000000] [--json]

Prints wall-clock and CPU seconds to compute the outcome of a split and of interleaving, and to render the whole page,
and the milliseconds that an experiment adds to a visitor's search. Works on a copy of the Sample Store.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from million_impressions import fill
from streamlit.testing.v1 import AppTest

from imgsearch.app.service import SearchService, set_service
from imgsearch.core.config import Settings
from imgsearch.core.query import Query
from imgsearch.demo import ensure_demo_catalog
from imgsearch.improve.experiments.assignment import arm_of
from imgsearch.improve.experiments.outcomes import outcome_of
from imgsearch.improve.experiments.records import Arm, Experiment
from imgsearch.search.systems import System
from imgsearch.store.database import utc_now
from imgsearch.store.sampling import sample_items

HALVES = (Arm("live", 0.5), Arm("varied", 0.5))
REPEATS = 5


def timed(act: Callable[[], object]) -> dict[str, float]:
    """Return the median wall-clock and CPU seconds of a few calls, without the first."""
    act()
    clock, processor = [], []
    for _ in range(REPEATS):
        started, worked = time.perf_counter(), time.process_time()
        act()
        clock.append(time.perf_counter() - started)
        processor.append(time.process_time() - worked)
    return {"s": round(statistics.median(clock), 3), "cpu_s": round(statistics.median(processor), 3)}


def fill_experiments(service: SearchService, rows: int) -> None:
    """Assign every search in the rows to a split experiment and to an interleaving experiment."""
    fill(service.catalog, rows)
    for mode in ("split", "interleave"):
        service.experiments.create(Experiment(f"bench-{mode}", HALVES, mode=mode))  # type: ignore[arg-type]
        service.experiments.start(f"bench-{mode}")
        service.experiments.stop(f"bench-{mode}")
    month_ago = utc_now() - timedelta(days=30)
    with service.catalog.database.transaction() as cursor:
        cursor.execute("UPDATE experiment_events SET happened_at = ? WHERE event = 'start'", [month_ago])
        cursor.execute("UPDATE impressions SET arm = if(rank % 2 = 0, 'live', 'varied')")
        for mode, arm in (("split", "if(hash(visitor) % 2 = 0, 'live', 'varied')"), ("interleave", "''")):
            cursor.execute(
                f"INSERT INTO exposures SELECT search_id, happened_at, 'bench-{mode}', {arm}, visitor, query_key, 1, "
                "24, total_ms, false FROM impressions WHERE rank = 1"
            )


def page(name: str) -> Callable[[], object]:
    """Return a function that renders an experiment's page, as a visit does."""

    def draw() -> None:
        from imgsearch.ui.views.experiments import draw

        draw()

    def visit() -> None:
        app = AppTest.from_function(draw, default_timeout=60)
        app.query_params["experiment"] = name
        app.run()
        assert not app.exception

    return visit


def added_ms(service: SearchService) -> float:
    """Return the milliseconds that an experiment, with recording, adds to a search in the live arm."""
    service.experiments.create(Experiment("bench-record", HALVES))
    experiment = service.experiments.start("bench-record")
    visitor = next(name for name in map(str, range(1000)) if arm_of(experiment, name) == "live")
    items = [item.item_id for item in sample_items(service.catalog, 200, seed=0)]
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(3):
        for item in items:
            for record in (False, True):
                started = time.perf_counter()
                service.search(Query.of(item=item, n=24), visitor=visitor, record=record)
                spent[record].append(time.perf_counter() - started)
    service.experiments.stop("bench-record")
    return (statistics.median(spent[True]) - statistics.median(spent[False])) * 1000


def main() -> int:
    """Measure, print, and return 1 if a page takes 2 s or a recording 2 ms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(ensure_demo_catalog(), Path(scratch) / "catalog"))
        service = SearchService.open(Settings.load({}, catalog=folder))
        set_service(service)
        service.systems.save(System("varied", diversity=0.5))
        fill_experiments(service, given.rows)
        database = service.catalog.database
        found = {"rows": float(given.rows)}
        for mode in ("split", "interleave"):
            experiment = service.experiments.get(f"bench-{mode}")
            for what, act in (
                ("outcome", partial(outcome_of, database, experiment)),
                ("page", page(experiment.name)),
            ):
                found |= {f"{what}_{mode}_{unit}": value for unit, value in timed(act).items()}
        found["added_to_a_search_ms"] = round(added_ms(service), 3)
        service.close()
        set_service(None)
    print(
        json.dumps(found, indent=2)
        if given.json
        else "\n".join(f"{name}: {value:,}" for name, value in found.items())
    )
    slow = max(found["page_split_s"], found["page_interleave_s"]) >= 2.0
    return int(slow or found["added_to_a_search_ms"] >= 2.0)


if __name__ == "__main__":
    sys.exit(main())
