"""What to do about an experiment, in one sentence."""

from __future__ import annotations

from functools import partial

from imgsearch.improve.experiments.measures import WON
from imgsearch.improve.experiments.records import Contrast, Outcome, Recommendation
from imgsearch.improve.experiments.statistics import ALPHA, POWER

MIN_VISITORS = 100
"""No conclusion with fewer visitors in an arm: the intervals rest on the central limit theorem."""
MISMATCH_P = 0.001
"""Below this p-value the visitors by arm do not fit the planned shares."""
SLOW_RATIO, SLOW_MS = 1.2, 20.0
"""An arm is slow if its 95th percentile exceeds control's by this factor and by this difference."""
FAILURE_RATE = 0.01

_stop = partial(Recommendation, "stop")
_wait = partial(Recommendation, "wait")


def find_warnings(outcome: Outcome) -> tuple[str, ...]:
    """Return what is wrong with an arm regardless of its clicks: failures, and slow searches."""
    arms, interleaved, found = outcome.arms, outcome.experiment.interleaved, []
    for arm in arms[:1] if interleaved else arms:
        if arm.searches and arm.failures > FAILURE_RATE * arm.searches:
            name = "an arm" if interleaved else arm.system
            found.append(
                f"{name} failed in {arm.failures / arm.searches:.1%} of its searches, which the live system "
                "answered; see the server's log."
            )
    control = arms[0].p95_ms
    for arm in () if interleaved else arms[1:]:
        if control and arm.p95_ms and arm.p95_ms > max(SLOW_RATIO * control, control + SLOW_MS):
            found.append(
                f"{arm.system} is slow: its slowest 5% of searches take over {arm.p95_ms:,.0f} ms, those of "
                f"{arms[0].system} over {control:,.0f} ms."
            )
    return tuple(found)


def recommend(outcome: Outcome) -> Recommendation:
    """Return what to do, from an outcome with its warnings."""
    return (
        _without_visitors(outcome)
        or _wrong_split(outcome)
        or _too_few_visitors(outcome)
        or _winner(outcome)
        or _loser(outcome)
        or _no_difference(outcome)
        or _undecided(outcome)
    )


def _without_visitors(outcome: Outcome) -> Recommendation | None:
    state = outcome.experiment.state
    if state == "draft":
        return _wait("Start it: until then every visitor gets the live system.")
    if outcome.visitors:
        return None
    if state == "stopped":
        return _wait("It ended before any visitor searched.")
    return _wait("Keep running: no visitor has searched yet.")


def _wrong_split(outcome: Outcome) -> Recommendation | None:
    if outcome.sample_ratio_p is None or outcome.sample_ratio_p >= MISMATCH_P:
        return None
    shares = [arm.share for arm in outcome.arms]
    counted = " / ".join(f"{arm.visitors / outcome.visitors:.1%}" for arm in outcome.arms)
    planned = " / ".join(f"{share / sum(shares):.1%}" for share in shares)
    return _stop(
        f"Stop: traffic is not split as planned ({counted} instead of {planned}), so none of these figures can be "
        "trusted."
    )


def _too_few_visitors(outcome: Outcome) -> Recommendation | None:
    fewest = min(arm.visitors for arm in outcome.arms)
    if fewest >= MIN_VISITORS:
        return None
    if outcome.experiment.state == "stopped":
        few = "1 visitor" if fewest == 1 else f"{fewest} visitors"
        return _wait(f"No result: it ended with only {few} in an arm.")
    return _wait(f"Keep running: each arm needs at least {MIN_VISITORS} visitors, and one has {fewest}.")


def _winner(outcome: Outcome) -> Recommendation | None:
    sign = outcome.goal.better
    better = [each for each in _deciding(outcome) if min(each.low * sign, each.high * sign) > 0]
    if not better:
        return None
    best = max(better, key=lambda each: each.difference * sign)
    change = _change(best, outcome)
    against = [text for text in outcome.warnings if text.startswith((f"{best.system} ", "an arm "))]
    if against:
        sentence = f"Do not ship {best.system} yet: it {change}, but {against[0]}"
        return Recommendation("check", sentence, best.system)
    return Recommendation("ship", f"Ship {best.system}: it {change}.", best.system)


def _loser(outcome: Outcome) -> Recommendation | None:
    sign, deciding = outcome.goal.better, _deciding(outcome)
    if not deciding or any(max(each.low * sign, each.high * sign) >= 0 for each in deciding):
        return None
    worst = min(deciding, key=lambda each: each.difference * sign)
    return _stop(f"Stop and keep {outcome.arms[0].system}: {worst.system} {_change(worst, outcome)}.")


def _no_difference(outcome: Outcome) -> Recommendation | None:
    deciding, effect = _deciding(outcome), outcome.effect
    if not deciding or any(each.low <= -effect or each.high >= effect for each in deciding):
        return None
    return _stop(
        f"Stop: no arm changes {outcome.goal.title} by as much as {_effect(outcome)}; keep the simplest system."
    )


def _undecided(outcome: Outcome) -> Recommendation:
    goal, effect, needed, visitors = outcome.goal, _effect(outcome), outcome.needed, outcome.visitors
    if outcome.experiment.state == "stopped":
        more = f"; about {needed:,} would show a change of {effect}" if needed else ""
        return _wait(f"No result: {visitors:,} visitors were too few to tell the arms apart{more}.")
    if needed is None:
        return _wait(
            f"Keep running: there is too little data on {goal.title} to estimate how many visitors are needed."
        )
    if needed > visitors:
        return _wait(
            f"Keep running: about {_two_digits(needed - visitors)} more visitors are needed to detect a change of "
            f"{effect} in {goal.title} with {POWER:.0%} power."
        )
    return _stop(
        f"Stop, unless smaller changes matter: a change of {effect} in {goal.title} would very likely show by now."
    )


def _deciding(outcome: Outcome) -> list[Contrast]:
    return [contrast for contrast in outcome.contrasts if contrast.measure == outcome.goal.name]


def _change(contrast: Contrast, outcome: Outcome) -> str:
    """Return how an arm changes the goal, such as "raises CTR@10 from 20.0% to 30.0%, ..."."""
    goal, control = outcome.goal, outcome.arms[0].system
    values = {arm.system: arm.values[goal.name].value for arm in outcome.arms}
    own, base = values[contrast.system], values[control]
    up = contrast.difference > 0
    if goal is WON:
        return (
            f"{'wins' if up else 'loses'} against {control}: more of its hits are clicked in {own:.0%} of the "
            f"searches, fewer in {base:.0%}"
        )
    nearest = abs(contrast.low if up else contrast.high)
    return (
        f"{'raises' if up else 'lowers'} {goal.title} from {goal.format(base)} to {goal.format(own)}, by at least "
        f"{goal.format(nearest, change=True)} with {1 - ALPHA:.0%} confidence"
    )


def _effect(outcome: Outcome) -> str:
    """Return the smallest change of interest."""
    unit = " points" if outcome.goal is WON else "%"
    return f"{outcome.experiment.min_effect * 100:g}{unit}"


def _two_digits(count: int) -> str:
    """Return a number rounded up to two digits: an estimate should not look exact."""
    step = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // step) * step:,}"
