"""Experiments on visitors: which systems answer whom, from start to stop.

It owns the tables `experiments`, `experiment_arms` and `experiment_events` (all append-only), the assignment of
visitors to arms, and the mixing of two systems' hits. What came of it is read from the rows by
`imgsearch.improve.experiments.outcomes`.

One experiment runs at a time: a second one would need the visitors of the first, or mix its effects with it. Only
visitors with an id take part; everybody else gets the live system and is not counted. An arm that fails is answered
for by the live system, and the failure is counted.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from imgsearch.core.errors import ExperimentError
from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Exposure, Hit, SearchResult
from imgsearch.search.systems import LIVE, Systems, check_name
from imgsearch.store.database import Database

__all__ = ["GOALS", "Answer", "Arm", "Experiment", "Experiments", "Mode", "arm_of", "coins_of", "team_draft"]

Mode = Literal["split", "interleave"]
Event = Literal["start", "stop"]

GOALS = ("ctr", "clicks", "abandoned", "first_rank", "good_rate")
"""The measures that may decide a split; interleaving is decided by which system's hits are clicked."""
MAX_ARMS = 6
LEAST_SHARE = 0.001
MAX_VISITORS = 10**9

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arm:
    """A system and the share of all visitors that it answers, from 0 to 1."""

    system: str
    share: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is tried out; the first arm is the control that the others are compared with.

    With `mode` "split" every visitor is answered by one arm; with "interleave" each list mixes the hits of both arms
    for the visitors of their shares together. Visitors beyond the shares get the live system uncounted. `goal` is
    the measure that decides and `min_effect` the smallest change worth knowing: relative to control in a split (0.05
    is 5 percent), in shares of the searches won when interleaving. `planned_visitors` is how many are expected by the
    decision, where the intervals are made narrowest. Moments are UTC; `started` and `stopped` are None before that.
    """

    name: str
    arms: tuple[Arm, ...]
    mode: Mode = "split"
    goal: str = "ctr"
    min_effect: float = 0.05
    planned_visitors: int = 2000
    created: datetime | None = None
    started: datetime | None = None
    stopped: datetime | None = None

    @property
    def state(self) -> Literal["draft", "running", "stopped"]:
        """Where it stands: a stopped experiment never starts again."""
        if self.stopped:
            return "stopped"
        return "running" if self.started else "draft"


@dataclass(frozen=True, slots=True)
class Answer:
    """A search's result with the arm that each hit is owed to, and its row where an experiment answered."""

    result: SearchResult
    arm: str | tuple[str, ...] = ""
    exposure: Exposure | None = None


class Experiments:
    """The experiments of one catalog; safe to use from any thread."""

    def __init__(self, database: Database, systems: Systems) -> None:
        """Route visitors among `systems`, going on with the experiment that was running, if any."""
        self._database = database
        self._systems = systems
        self._running = next((each for each in self.all() if each.state == "running"), None)

    # --- definitions ------------------------------------------------------------------------------------------

    def all(self) -> list[Experiment]:
        """Return every experiment, the newest first."""
        cursor = self._database.cursor()
        arms: dict[str, list[Arm]] = {}
        for name, system, share in cursor.execute(
            "SELECT experiment, system, share FROM experiment_arms ORDER BY experiment, position"
        ).fetchall():
            arms.setdefault(name, []).append(Arm(system, share))
        rows = cursor.execute(
            "SELECT name, mode, goal, min_effect, planned_visitors, created_at, "
            "(SELECT min(happened_at) FROM experiment_events WHERE experiment = name AND event = 'start'), "
            "(SELECT min(happened_at) FROM experiment_events WHERE experiment = name AND event = 'stop') "
            "FROM experiments ORDER BY created_at DESC, name"
        ).fetchall()
        return [Experiment(row[0], tuple(arms[row[0]]), *row[1:]) for row in rows]

    def get(self, name: str) -> Experiment:
        """Return an experiment; raises `ExperimentError` naming those that there are."""
        found = self.all()
        for experiment in found:
            if experiment.name == name:
                return experiment
        known = ", ".join(each.name for each in found[:20]) or "none yet"
        raise ExperimentError(f"There is no experiment {name[:60]!r}; there are: {known}.")

    def create(self, experiment: Experiment) -> Experiment:
        """Keep a new experiment, not yet started; raises `ExperimentError` or `UnknownSystem` and keeps nothing."""
        self._check(experiment)
        now = _now()
        with self._database.transaction() as cursor:
            if cursor.execute("SELECT 1 FROM experiments WHERE name = ?", [experiment.name]).fetchone():
                raise ExperimentError(
                    f"There is an experiment {experiment.name!r} already; choose another name."
                )
            cursor.execute(
                "INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)",
                [
                    experiment.name,
                    now,
                    experiment.mode,
                    experiment.goal,
                    experiment.min_effect,
                    experiment.planned_visitors,
                ],
            )
            cursor.executemany(
                "INSERT INTO experiment_arms VALUES (?, ?, ?, ?)",
                [
                    [experiment.name, place, arm.system, arm.share]
                    for place, arm in enumerate(experiment.arms)
                ],
            )
        return self.get(experiment.name)

    def start(self, name: str) -> Experiment:
        """Begin to send visitors to the arms, after opening them.

        Raises `ExperimentError` where it runs already, was stopped, or another one runs, and what opening an arm
        raises; then nothing starts.
        """
        experiment = self.get(name)
        for arm in experiment.arms:
            self._systems.warm(arm.system)
        with self._database.transaction():
            experiment = self.get(name)
            if experiment.state != "draft":
                again = " it cannot start again: make a new one" if experiment.state == "stopped" else ""
                raise ExperimentError(
                    f"The experiment {name!r} is {experiment.state};{again or ' it has begun already'}."
                )
            if self._running is not None:
                raise ExperimentError(
                    f"The experiment {self._running.name!r} is running, and one runs at a time; stop it first."
                )
            self._note(name, "start")
            self._running = self.get(name)
            return self._running

    def stop(self, name: str) -> Experiment:
        """Give every visitor the live system again, for good; raises `ExperimentError` where it does not run."""
        with self._database.transaction():
            experiment = self.get(name)
            if experiment.state != "running":
                raise ExperimentError(f"The experiment {name!r} is not running: it is {experiment.state}.")
            self._note(name, "stop")
            self._running = None
            return self.get(name)

    @property
    def running(self) -> Experiment | None:
        """The experiment that visitors take part in now."""
        return self._running

    def warm(self) -> None:
        """Open what the running experiment's arms need, so that no visitor waits for it; failures are logged."""
        for arm in self._running.arms if self._running else ():
            try:
                self._systems.warm(arm.system)
            except Exception as error:
                _log.warning("the arm %s cannot be opened (%s: %s)", arm.system, type(error).__name__, error)

    def _note(self, name: str, event: Event) -> None:
        with self._database.transaction() as cursor:
            cursor.execute("INSERT INTO experiment_events VALUES (?, ?, ?)", [name, _now(), event])

    def _check(self, experiment: Experiment) -> None:
        check_name("experiment", experiment.name)
        names = [arm.system for arm in experiment.arms]
        for name in names:
            self._systems.get(name)
        if experiment.mode not in get_args(Mode):
            raise ExperimentError(
                f"The mode is {str(experiment.mode)[:40]!r}, but must be split or interleave."
            )
        if len(set(names)) != len(names):
            raise ExperimentError("A system is named twice among the arms; name each one once.")
        if not 2 <= len(names) <= MAX_ARMS:
            raise ExperimentError(f"There are {len(names)} arms, but an experiment has 2 to {MAX_ARMS}.")
        if experiment.mode == "interleave" and len(names) != 2:
            raise ExperimentError(f"There are {len(names)} arms, but interleaving mixes exactly 2.")
        shares = [arm.share for arm in experiment.arms]
        if not all(LEAST_SHARE <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ExperimentError("The arms' shares must each be above 0 and together at most 1 (100%).")
        if experiment.goal not in GOALS:
            raise ExperimentError(
                f"The goal is {experiment.goal[:40]!r}, but must be one of {', '.join(GOALS)}."
            )
        if not 0 < experiment.min_effect <= 10:
            raise ExperimentError(
                f"The smallest effect worth knowing is {experiment.min_effect}, but must be above 0."
            )
        if not 1 <= experiment.planned_visitors <= MAX_VISITORS:
            raise ExperimentError(
                f"{experiment.planned_visitors} planned visitors make no sense; say how many you expect."
            )

    # --- visitors ---------------------------------------------------------------------------------------------

    def answer(self, query: Query, visitor: str) -> Answer:
        """Answer a visitor's query by the arm that it is assigned to, or by the live system.

        Raises what the live system raises: an arm that fails by itself is stepped in for.
        """
        experiment = self._running
        arm = arm_of(experiment, visitor) if experiment and visitor else None
        if experiment is None or arm is None:
            return Answer(self._systems.search(query))
        started = time.perf_counter()
        key = query_key(query)
        failed = False
        credit: str | tuple[str, ...] = ""
        try:
            if experiment.mode == "interleave":
                result, credit = self._interleaved(query, experiment, visitor, key)
            else:
                result, credit = self._systems.search(query, arm), arm
        except Exception as error:
            result = self._systems.search(query)  # raises where the query itself is at fault
            failed = True
            _log.warning(
                "an arm of the experiment %s failed (%s: %s)", experiment.name, type(error).__name__, error
            )
        exposure = Exposure(
            search_id=result.search_id,
            experiment=experiment.name,
            arm="" if experiment.mode == "interleave" else arm,
            visitor=visitor,
            query_key=key,
            first_rank=query.offset + 1,
            hits=len(result.hits),
            total_ms=(time.perf_counter() - started) * 1000,
            failed=failed,
        )
        return Answer(result, LIVE if failed else credit, exposure)

    def _interleaved(
        self, query: Query, experiment: Experiment, visitor: str, key: str
    ) -> tuple[SearchResult, tuple[str, ...]]:
        """Return one list of both arms' hits, and the arm that each hit is credited to.

        The same visitor and query toss the same coins, so that further pages go on where the first ended.
        """
        names = [arm.system for arm in experiment.arms]
        whole = replace(query, offset=0, n=query.offset + query.n)
        first, second = (self._systems.search(whole, name) for name in names)
        lists = [first.hits, second.hits if first.encoder == second.encoder else _rescaled(second, first)]
        by_team = [{hit.item_id: hit for hit in each} for each in lists]
        hits = by_team[0].keys() | by_team[1].keys()
        coins = coins_of(experiment, visitor, key)
        drafted = team_draft(list(by_team[0]), list(by_team[1]), len(hits), coins)
        page = drafted[query.offset : query.offset + query.n]
        shown = tuple(
            replace(by_team[team][item_id], rank=rank)
            for rank, (item_id, team) in enumerate(page, start=query.offset + 1)
        )
        stages = dict(first.timing_ms)
        for stage, value in second.timing_ms.items():
            stages[stage] = round(stages.get(stage, 0.0) + value, 3)
        result = replace(
            first,
            query=query,
            hits=shown,
            matching=max(first.matching, second.matching, len(hits)),
            timing_ms=stages,
        )
        return result, tuple(names[team] for _, team in page)


def arm_of(experiment: Experiment, visitor: str) -> str | None:
    """Return the system that answers a visitor, always the same one; None outside the arms' shares.

    A hash of both names is read as a number from 0 to 1, so that experiments assign independently of each other.
    """
    place = _digest(experiment.name, visitor) / 2**64
    for arm in experiment.arms:
        place -= arm.share
        if place < 0:
            return arm.system
    # Shares that make up 1 but for rounding leave nobody out.
    return experiment.arms[-1].system if sum(arm.share for arm in experiment.arms) > 1 - 1e-9 else None


def coins_of(experiment: Experiment, visitor: str, key: str) -> random.Random:
    """Return the coins of a visitor's query: the same ones each time, so that a list keeps its order."""
    return random.Random(_digest(experiment.name, visitor, key))


def team_draft(
    first: Sequence[str], second: Sequence[str], n: int, coins: random.Random
) -> list[tuple[str, int]]:
    """Return up to n (id, team) of two rankings without doubles; team 0 picked from `first`, 1 from `second`.

    Like captains who pick players: the team with fewer picks takes its best that is not yet taken, and a coin decides
    where both have as many. Radlinski, Kurup & Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?"
    (CIKM 2008), algorithm 2.
    """
    rankings = (first, second)
    places = [0, 0]
    picks = [0, 0]
    taken: set[str] = set()
    drafted: list[tuple[str, int]] = []
    while len(drafted) < n:
        for team in (0, 1):
            while places[team] < len(rankings[team]) and rankings[team][places[team]] in taken:
                places[team] += 1
        able = [team for team in (0, 1) if places[team] < len(rankings[team])]
        if len(able) == 2 and picks[0] == picks[1]:
            team = coins.getrandbits(1)
        elif len(able) == 2:
            team = 0 if picks[0] < picks[1] else 1
        elif able:
            team = able[0]
        else:
            break
        item = rankings[team][places[team]]
        taken.add(item)
        picks[team] += 1
        drafted.append((item, team))
    return drafted


def _rescaled(result: SearchResult, like: SearchResult) -> tuple[Hit, ...]:
    """Return hits whose best has the other result's best score: cosines of two encoders have no common scale.

    Else the page would show the hits of one arm as worse matches, and visitors click what looks better.
    """
    best = max((hit.score for hit in result.hits), default=0.0)
    wanted = max((hit.score for hit in like.hits), default=0.0)
    if best <= 0 or wanted <= 0:
        return result.hits
    return tuple(replace(hit, score=hit.score * wanted / best) for hit in result.hits)


def _digest(*parts: str) -> int:
    """Return a number below 2**64 by which texts are told apart evenly."""
    text = "\0".join(parts).encode("utf-8", errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
