"""The outcome of an experiment: from sums over its rows to values, differences from control, and a recommendation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from imgsearch.improve.experiments.measures import CREDITED, MEASURES, WON, Measure
from imgsearch.improve.experiments.recommendation import MIN_VISITORS, find_warnings, recommend
from imgsearch.improve.experiments.records import ArmOutcome, Contrast, Experiment, Outcome, Point, Value
from imgsearch.improve.experiments.statistics import (
    ALPHA,
    Estimate,
    EstimateComparison,
    SequentialTest,
    estimate,
    sample_ratio_p,
    sign_p,
)
from imgsearch.improve.experiments.sums import ArmTraffic, ExperimentSums, read_sums
from imgsearch.store.database import Database, utc_now

Estimates = Mapping[str, Estimate | None]
"""The estimates of one arm, by measure; None where there are too few visitors."""
_LEAD = ("second_won - first_won", "any_click")


def outcome_of(database: Database, experiment: Experiment, *, now: datetime | None = None) -> Outcome:
    """Read an experiment's rows and return its outcome as of now (UTC)."""
    with read_sums(database, experiment, now or utc_now()) as sums:
        outcome = _interleaved(sums) if experiment.interleaved else _split(sums)
    outcome = replace(outcome, warnings=find_warnings(outcome))
    return replace(outcome, recommendation=recommend(outcome))


def _split(sums: ExperimentSums) -> Outcome:
    experiment = sums.experiment
    others = [arm.system for arm in experiment.arms[1:]]
    test = _test(experiment)
    moments = sums.moments([(measure.x, measure.y) for measure in MEASURES.values()])
    estimates: list[Estimates] = [
        dict(zip(MEASURES, map(estimate, moments.get(arm.system, [])), strict=False))
        for arm in experiment.arms
    ]
    compared = {
        (system, name): test.compare(base, found)
        for system, own in zip(others, estimates[1:], strict=True)
        for name, found in own.items()
        if found and (base := estimates[0].get(name))
    }
    goal = MEASURES[experiment.goal]
    traffic = sums.traffic()
    by_arm = [traffic.get(arm.system, ArmTraffic()) for arm in experiment.arms]
    counts = [arm.visitors for arm in by_arm]
    base = estimates[0].get(goal.name)
    return _outcome(
        experiment,
        goal,
        by_arm,
        estimates,
        compared,
        effect=experiment.min_effect * base.value if base else 0.0,
        visitors=sum(counts),
        series=_split_series(sums, goal, test),
        sample_ratio_p=sample_ratio_p(counts, [arm.share for arm in experiment.arms]),
    )


def _split_series(sums: ExperimentSums, goal: Measure, test: SequentialTest) -> dict[str, tuple[Point, ...]]:
    moments = sums.series(goal.x, goal.y)
    control, *others = (arm.system for arm in sums.experiment.arms)
    base = moments.get(control, {})
    series: dict[str, tuple[Point, ...]] = {}
    for system in others:
        own = moments.get(system, {})
        points = []
        first = second = None
        for moment in sorted({*base, *own}):
            first = estimate(base[moment]) if moment in base else first
            second = estimate(own[moment]) if moment in own else second
            if first and second:
                compared = test.compare(first, second)
                points.append(_point(moment, compared, min(first.visitors, second.visitors)))
        series[system] = tuple(points)
    return series


def _interleaved(sums: ExperimentSums) -> Outcome:
    experiment = sums.experiment
    second = experiment.arms[1].system
    test = _test(experiment)
    ratios = [
        ("first_won", "any_click"),
        ("first_clicks", "1"),
        ("second_won", "any_click"),
        ("second_clicks", "1"),
        _LEAD,
    ]
    found = [estimate(each) for each in sums.moments(ratios).get("", [])] or [None] * len(ratios)
    lead = found[4]
    points = [
        _point(moment, test.compare_with_zero(then), then.visitors)
        for moment, moments in sums.series(*_LEAD).get("", {}).items()
        if (then := estimate(moments)) is not None
    ]
    traffic = sums.traffic().get("", ArmTraffic())
    wins, losses = sums.preferences()
    return _outcome(
        experiment,
        WON,
        [traffic, traffic],
        [{WON.name: found[number], CREDITED.name: found[number + 1]} for number in (0, 2)],
        {(second, WON.name): test.compare_with_zero(lead)} if lead else {},
        effect=experiment.min_effect,
        visitors=traffic.visitors,
        series={second: tuple(points)},
        wins=wins,
        losses=losses,
        sign_p=sign_p(wins, losses),
    )


def _outcome(
    experiment: Experiment,
    goal: Measure,
    traffic: Sequence[ArmTraffic],
    estimates: Sequence[Estimates],
    compared: Mapping[tuple[str, str], EstimateComparison],
    *,
    effect: float,
    **figures: Any,
) -> Outcome:
    """Return an outcome; `traffic` and `estimates` are by arm, `compared` by (system, measure)."""
    test = _test(experiment)
    differences = [each.difference for (_, name), each in compared.items() if name == goal.name]
    detectable = [test.detectable_effect(each) for each in differences]
    needs = [test.needed_visitors(each, effect) for each in differences]
    return Outcome(
        experiment=experiment,
        goal=goal,
        arms=tuple(
            ArmOutcome(arm.system, arm.share, *counts, _values(found, experiment))
            for arm, counts, found in zip(experiment.arms, traffic, estimates, strict=True)
        ),
        contrasts=tuple(
            _contrast(system, name, each, None if experiment.interleaved else estimates[0][name])
            for (system, name), each in compared.items()
        ),
        effect=effect,
        detectable=max(detectable, default=None),
        needed=_needed(experiment, needs),
        **figures,
    )


def _test(experiment: Experiment) -> SequentialTest:
    """Return the test of the arms' differences: they share the probability of a false alarm."""
    return SequentialTest(experiment.planned_visitors, ALPHA / (len(experiment.arms) - 1))


def _values(estimates: Estimates, experiment: Experiment) -> dict[str, Value]:
    test, values = SequentialTest(experiment.planned_visitors), {}
    for name, found in estimates.items():
        if found is not None:
            radius = test.radius(found)
            values[name] = Value(found.value, found.value - radius, found.value + radius)
    return values


def _contrast(system: str, measure: str, compared: EstimateComparison, control: Estimate | None) -> Contrast:
    value = compared.difference.value
    relative = value / control.value if control and control.value else None
    return Contrast(system, measure, value, compared.low, compared.high, compared.p, relative)


def _point(moment: datetime, compared: EstimateComparison, fewest: int) -> Point:
    """Return a point of the series; `fewest` are the visitors of the smaller arm."""
    found = compared.difference
    return Point(moment, found.visitors, found.value, compared.low, compared.high, fewest >= MIN_VISITORS)


def _needed(experiment: Experiment, needs: Sequence[int | None]) -> int | None:
    """Return how many visitors all arms need, from what each comparison needs; None if one is unknown."""
    known = [need for need in needs if need is not None]
    if not known or len(known) < len(needs):
        return None
    # The spread of one comparison among several counts the visitors of two arms only.
    shares = [arm.share for arm in experiment.arms]
    scale = 1.0 if len(shares) == 2 else sum(shares) / (shares[0] + min(shares[1:]))
    least = MIN_VISITORS if experiment.interleaved else math.ceil(MIN_VISITORS * sum(shares) / min(shares))
    return max(*(round(need * scale) for need in known), least)
