"""Records of experiments: what is compared, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from imgsearch.core.errors import ExperimentError
from imgsearch.improve.experiments.measures import Measure
from imgsearch.search.systems import check_name

Mode = Literal["split", "interleave"]

GOALS = ("ctr", "clicks", "abandoned", "first_rank", "good_rate")
"""The measures that may decide a split; interleaving is decided by which system's hits are clicked."""
MAX_ARMS = 6
MIN_SHARE = 0.001
MAX_EFFECT = 10
MAX_VISITORS = 10**9


@dataclass(frozen=True, slots=True)
class Arm:
    """A system and the share of all visitors that it answers, from 0 to 1."""

    system: str
    share: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison of systems on visitors; the first arm is the control.

    With `mode` "split" one arm answers each visitor; with "interleave" each list mixes the hits of both arms, for the
    visitors of their shares together. Visitors beyond the shares get the live system and are not counted. `goal` is
    the measure that decides and `min_effect` the smallest change of interest: relative to control in a split (0.05
    is 5 percent), in shares of the searches won when interleaving. `planned_visitors` is the number expected by the
    decision, where the intervals are narrowest. Times are UTC; `started` and `stopped` are None before that.
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
        """A stopped experiment never starts again."""
        if self.stopped:
            return "stopped"
        return "running" if self.started else "draft"

    @property
    def interleaved(self) -> bool:
        """Whether each list mixes the hits of both arms."""
        return self.mode == "interleave"


def check_experiment(experiment: Experiment) -> None:
    """Raise `ExperimentError` for an experiment that cannot be run."""
    check_name("experiment", experiment.name)
    problem = next(_problems(experiment), None)
    if problem:
        raise ExperimentError(problem)


def _problems(experiment: Experiment) -> Iterator[str]:
    names = [arm.system for arm in experiment.arms]
    shares = [arm.share for arm in experiment.arms]
    if experiment.mode not in get_args(Mode):
        yield f"The mode is {str(experiment.mode)[:40]!r}; use split or interleave."
    if len(set(names)) != len(names):
        yield "A system appears twice among the arms; name each one once."
    if not 2 <= len(names) <= MAX_ARMS:
        yield f"There are {len(names)} arms; an experiment needs 2 to {MAX_ARMS}."
    if experiment.interleaved and len(names) != 2:
        yield f"There are {len(names)} arms; interleaving needs exactly 2."
    if not all(MIN_SHARE <= share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
        yield "The arms' shares must each be above 0 and together at most 1 (100%)."
    if experiment.goal not in GOALS:
        yield f"The goal is {experiment.goal[:40]!r}; use one of {', '.join(GOALS)}."
    if not 0 < experiment.min_effect <= MAX_EFFECT:
        yield f"The smallest effect is {experiment.min_effect}; it must be above 0 and at most {MAX_EFFECT}."
    if not 1 <= experiment.planned_visitors <= MAX_VISITORS:
        yield f"The number of planned visitors is {experiment.planned_visitors}; it must be 1 to {MAX_VISITORS:,}."


@dataclass(frozen=True, slots=True)
class Value:
    """A measure of one arm with its always-valid interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """What the visitors of one arm did; when interleaving, all visitors belong to both arms."""

    system: str
    share: float
    visitors: int
    searches: int
    failures: int
    p50_ms: float | None
    p95_ms: float | None
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Contrast:
    """How an arm differs from control in one measure: the difference, its interval, and its p-value.

    `relative` is the difference over control's value; None where that is zero, and when interleaving.
    """

    system: str
    measure: str
    difference: float
    low: float
    high: float
    p: float
    relative: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """An arm's difference in the goal at a moment, from the visitors until then; `enough` of them to be shown."""

    moment: datetime
    visitors: int
    difference: float
    low: float
    high: float
    enough: bool


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do: `ship` an arm, `stop`, `wait` for more visitors, or `check` something first."""

    kind: Literal["ship", "stop", "wait", "check"]
    sentence: str
    system: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the page and the report show of an experiment.

    `effect` is `min_effect` in the goal's own unit. `detectable` is the smallest change of the goal that would
    show by now with 80% power, and `needed` the visitors in all for `effect`, both for the arm that needs most.
    `sample_ratio_p` is None when interleaving, where visitors are not split. `wins` and `losses` count visitors who
    clicked more of the second arm's hits, or fewer.
    """

    experiment: Experiment
    goal: Measure
    visitors: int
    arms: tuple[ArmOutcome, ...]
    contrasts: tuple[Contrast, ...]
    series: Mapping[str, tuple[Point, ...]]
    effect: float
    detectable: float | None
    needed: int | None
    sample_ratio_p: float | None = None
    wins: int = 0
    losses: int = 0
    sign_p: float | None = None
    warnings: tuple[str, ...] = ()
    recommendation: Recommendation = Recommendation("wait", "")

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as the JSON of `imgsearch experiment report --json`."""
        experiment = self.experiment
        plain = ("visitors", "sample_ratio_p", "detectable", "wins", "losses", "sign_p")
        return {
            "experiment": {
                **{name: value for name, value in asdict(experiment).items() if name != "arms"},
                **{name: _iso(getattr(experiment, name)) for name in ("created", "started", "stopped")},
                "state": experiment.state,
            },
            "verdict": asdict(self.recommendation),
            "arms": [asdict(arm) for arm in self.arms],
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
            "series": {
                system: [{**asdict(point), "moment": _iso(point.moment)} for point in points]
                for system, points in self.series.items()
            },
            "needed_visitors": self.needed,
            "warnings": list(self.warnings),
            **{name: getattr(self, name) for name in plain},
        }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") + "Z" if moment else None
