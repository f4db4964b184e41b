"""Experiments on visitors: define, start and stop them, and answer each visitor by their arm.

One experiment runs at a time: a second one would share its visitors or mix its effects with it. Only visitors with an
id take part; all others get the live system and are not counted. The live system replaces an arm that fails, and the
failure is counted.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import Literal

from imgsearch.core.errors import ExperimentError
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Exposure, SearchResult
from imgsearch.improve.experiments.assignment import arm_of, interleave, interleaving_rng
from imgsearch.improve.experiments.records import Arm, Experiment, check_experiment
from imgsearch.search.searcher import next_cursor
from imgsearch.search.systems import LIVE, Systems
from imgsearch.store.database import Database, utc_now

MAX_NAMED = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A search's result, the arm that answered (or one for each hit), and the row to record if it counts."""

    result: SearchResult
    arm: str | tuple[str, ...] = ""
    exposure: Exposure | None = None


class Experiments:
    """The experiments of one catalog; safe to use from any thread."""

    def __init__(self, database: Database, systems: Systems) -> None:
        """Route visitors among `systems`; an experiment that was running continues."""
        self._database = database
        self._systems = systems
        self.running = next((each for each in self.all() if each.state == "running"), None)
        """The experiment that visitors take part in now."""

    def all(self) -> list[Experiment]:
        """Return every experiment, the newest first."""
        rows = self._database.cursor().execute(
            "SELECT name, (SELECT list({system: system, share: share} ORDER BY position) "
            "FROM experiment_arms WHERE experiment = name), mode, goal, min_effect, planned_visitors, created_at, "
            "(SELECT min(happened_at) FROM experiment_events WHERE experiment = name AND event = 'start'), "
            "(SELECT min(happened_at) FROM experiment_events WHERE experiment = name AND event = 'stop') "
            "FROM experiments ORDER BY created_at DESC, name"
        )
        return [Experiment(row[0], tuple(Arm(**arm) for arm in row[1]), *row[2:]) for row in rows.fetchall()]

    def get(self, name: str) -> Experiment:
        """Return an experiment; raises `ExperimentError` with the names that exist."""
        found = {experiment.name: experiment for experiment in self.all()}
        if name not in found:
            known = ", ".join(list(found)[:MAX_NAMED]) or "none yet"
            raise ExperimentError(f"There is no experiment {name[:60]!r}; there are: {known}.")
        return found[name]

    def create(self, experiment: Experiment) -> Experiment:
        """Store a new experiment, not yet started; raises `ExperimentError` or `UnknownSystem` and stores nothing."""
        for arm in experiment.arms:
            self._systems.get(arm.system)
        check_experiment(experiment)
        name = experiment.name
        with self._database.transaction() as cursor:
            if cursor.execute("SELECT 1 FROM experiments WHERE name = ?", [name]).fetchone():
                raise ExperimentError(f"An experiment {name!r} exists already; choose another name.")
            options = (experiment.mode, experiment.goal, experiment.min_effect, experiment.planned_visitors)
            cursor.execute("INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)", [name, utc_now(), *options])
            cursor.executemany(
                "INSERT INTO experiment_arms VALUES (?, ?, ?, ?)",
                [[name, position, arm.system, arm.share] for position, arm in enumerate(experiment.arms)],
            )
        return self.get(name)

    def start(self, name: str) -> Experiment:
        """Open the arms, then send visitors to them.

        Raises `ExperimentError` if it is running or stopped or another one runs, and what opening an arm raises; then
        nothing starts.
        """
        for arm in self.get(name).arms:
            self._systems.warm(arm.system)
        with self._database.transaction():
            state = self.get(name).state
            if state == "stopped":
                raise ExperimentError(f"The experiment {name!r} is stopped for good; create a new one.")
            if state == "running":
                raise ExperimentError(f"The experiment {name!r} is running already.")
            if self.running is not None:
                raise ExperimentError(f"One experiment runs at a time; stop {self.running.name!r} first.")
            started = self._add_event(name, "start")
        self.running = started
        return started

    def stop(self, name: str) -> Experiment:
        """Return all visitors to the live system for good; raises `ExperimentError` if it does not run."""
        with self._database.transaction():
            state = self.get(name).state
            if state != "running":
                raise ExperimentError(f"The experiment {name!r} is not running: it is {state}.")
            stopped = self._add_event(name, "stop")
        self.running = None
        return stopped

    def warm(self) -> None:
        """Open what the running experiment's arms need, so that no visitor waits for it; failures are logged."""
        for arm in self.running.arms if self.running else ():
            try:
                self._systems.warm(arm.system)
            except Exception as error:
                _log.warning("the arm %s cannot be opened (%s: %s)", arm.system, type(error).__name__, error)

    def _add_event(self, name: str, event: Literal["start", "stop"]) -> Experiment:
        self._database.cursor().execute(
            "INSERT INTO experiment_events VALUES (?, ?, ?)", [name, utc_now(), event]
        )
        return self.get(name)

    def answer(self, query: Query, visitor: str) -> Answer:
        """Answer a visitor's query by their arm, or by the live system.

        Raises what the live system raises: the live system replaces an arm that fails alone.
        """
        experiment = self.running
        arm = arm_of(experiment, visitor) if experiment and visitor else None
        mixable = not (query.sort or query.group_by)  # a mix would break the order, or repeat a group
        if experiment is None or arm is None or (experiment.interleaved and not mixable):
            return Answer(self._systems.search(query))
        started = time.perf_counter()
        failed = False
        credit: str | tuple[str, ...] = arm
        try:
            if experiment.interleaved:
                result, credit = self._interleaved(query, experiment, visitor)
            else:
                result = self._systems.search(query, arm)
        except Exception as error:
            result = self._systems.search(query)  # raises if the query itself is at fault
            failed = True
            _log.warning(
                "an arm of the experiment %s failed (%s: %s)", experiment.name, type(error).__name__, error
            )
        exposure = Exposure(
            search_id=result.search_id,
            experiment=experiment.name,
            arm="" if experiment.interleaved else arm,
            visitor=visitor,
            query_key=query_key(query),
            first_rank=(result.position.shown or query.offset) + 1,
            hits=len(result.hits),
            total_ms=(time.perf_counter() - started) * 1000,
            failed=failed,
        )
        return Answer(result, LIVE if failed else credit, exposure)

    def _interleaved(
        self, query: Query, experiment: Experiment, visitor: str
    ) -> tuple[SearchResult, tuple[str, ...]]:
        """Return one list of both arms' hits, and the arm that each hit is credited to.

        The list is drafted from the first hit on, so that further pages continue where the first ended.
        """
        names = [arm.system for arm in experiment.arms]
        from_first_hit = replace(query, offset=0, n=query.offset + query.n)
        first, second = (self._systems.search(from_first_hit, name) for name in names)
        hits, teams = interleave(first, second, interleaving_rng(experiment, visitor, query_key(query)))
        page = slice(query.offset, query.offset + query.n)
        stages = dict(first.timing_ms)
        for stage, value in second.timing_ms.items():
            stages[stage] = round(stages.get(stage, 0.0) + value, 3)
        matching = max(first.matching, second.matching, len(hits))
        before = first.position.shown
        shown = tuple(replace(hit, rank=hit.rank + before) for hit in hits[page])
        cursor = next_cursor(first.position, query, shown)
        result = replace(first, query=query, hits=shown, matching=matching, timing_ms=stages, cursor=cursor)
        return result, tuple(names[team] for team in teams[page])
