"""The statistics of experiments: estimates by visitor, intervals and p-values that stay honest when they are watched.

It owns formulas only: sums in, numbers out. It knows nothing of searches, clicks or tables.

A visitor is the unit: arms are assigned by visitor, and one visitor's searches are not independent. A measure is a
ratio of two sums over visitors (say clicks over searches), whose variance is that of the delta method. Intervals and
p-values are always valid: they may be looked at after every visitor, and the chance that they are ever wrong stays
at most alpha, so that nobody need decide beforehand when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

__all__ = [
    "ALPHA",
    "POWER",
    "Comparison",
    "Estimate",
    "Moments",
    "always_valid_p",
    "compare",
    "detectable_effect",
    "estimate",
    "interval_radius",
    "needed_visitors",
    "sample_ratio_p",
    "sign_p",
]

ALPHA = 0.05
POWER = 0.8
MOST_VISITORS = 10**9
SIGN_PRIOR = 20.0
"""The weight of the mixture over preferences that `sign_p` bets on: most around 40 to 60 percent."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over `visitors` of a measure's numerator x and denominator y, their squares and their product."""

    visitors: int
    x: float
    y: float
    xx: float
    xy: float
    yy: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure's value with its standard error, from so many visitors."""

    value: float
    standard_error: float
    visitors: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of two estimates (second minus first) with its always-valid interval and p-value."""

    difference: Estimate
    low: float
    high: float
    p: float


def estimate(moments: Moments) -> Estimate | None:
    """Return sum(x) / sum(y) and its standard error by the delta method; None where there is nothing to divide.

    With r the ratio and n visitors, se^2 = n / (n - 1) * sum((x - r y)^2) / sum(y)^2: Deng, Knoblich & Lu, "Applying
    the Delta Method in Metric Analytics" (KDD 2018), section 3. One visitor alone has no standard error: None.
    """
    if moments.visitors < 2 or moments.y <= 0:
        return None
    ratio = moments.x / moments.y
    squares = max(moments.xx - 2 * ratio * moments.xy + ratio**2 * moments.yy, 0.0)
    error = math.sqrt(squares * moments.visitors / (moments.visitors - 1)) / moments.y
    return Estimate(ratio, error, moments.visitors)


def compare(control: Estimate, other: Estimate, *, tuned_for: int, alpha: float = ALPHA) -> Comparison:
    """Return `other` minus `control`, visitors of both being different people."""
    error = math.hypot(control.standard_error, other.standard_error)
    difference = Estimate(other.value - control.value, error, control.visitors + other.visitors)
    radius = interval_radius(difference, tuned_for=tuned_for, alpha=alpha)
    return Comparison(
        difference,
        difference.value - radius,
        difference.value + radius,
        always_valid_p(difference, tuned_for=tuned_for, alpha=alpha),
    )


def interval_radius(estimate: Estimate, *, tuned_for: int, alpha: float = ALPHA) -> float:
    """Return half the width of the confidence sequence around an estimate.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit
    theory and asymptotic confidence sequences" (Annals of Statistics 52, 2024), theorem 2.2: with n visitors and
    the standard deviation s = standard_error * sqrt(n) of one,

        s * sqrt(2 (n rho^2 + 1) / (n^2 rho^2) * log(sqrt(n rho^2 + 1) / alpha)).

    It is narrowest, against a fixed-size interval, at `tuned_for` visitors, which must be chosen beforehand. What a
    visitor adds later than at once makes looks more alike, not less, so it can only lower the false alarms (Slepian's
    inequality).
    """
    n, rho2 = estimate.visitors, _rho_squared(tuned_for, alpha)
    spread = estimate.standard_error * math.sqrt(n)
    return spread * math.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))


def always_valid_p(estimate: Estimate, *, tuned_for: int, alpha: float = ALPHA) -> float:
    """Return the p-value of "the true value is zero" that may be looked at as often as one likes.

    It is 1 / L with L the mixture likelihood ratio of the normal mSPRT: Johari, Koomen, Pekelis & Walsh, "Always
    Valid Inference: Continuous Monitoring of A/B Tests" (Operations Research 70, 2022), section 4. It is at most
    alpha exactly where the interval of `interval_radius` leaves zero out.
    """
    if estimate.standard_error == 0:
        return 1.0 if estimate.value == 0 else 0.0
    grown = estimate.visitors * _rho_squared(tuned_for, alpha)
    z = estimate.value / estimate.standard_error
    log_ratio = z**2 * grown / (2 * (grown + 1)) - 0.5 * math.log(grown + 1)
    return math.exp(-max(log_ratio, 0.0))


def detectable_effect(
    estimate: Estimate, *, tuned_for: int, alpha: float = ALPHA, power: float = POWER
) -> float:
    """Return the smallest true difference that these visitors show with chance `power`, in the measure's own unit."""
    return interval_radius(estimate, tuned_for=tuned_for, alpha=alpha) + _z(power) * estimate.standard_error


def needed_visitors(
    estimate: Estimate, effect: float, *, tuned_for: int, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """Return how many visitors in all show a true difference of `effect` with chance `power`.

    The spread of one visitor is taken from `estimate`. None where even a billion would not do.
    """
    spread = estimate.standard_error * math.sqrt(estimate.visitors)
    low, high = 1, MOST_VISITORS

    def enough(visitors: int) -> bool:
        later = Estimate(0.0, spread / math.sqrt(visitors), visitors)
        return detectable_effect(later, tuned_for=tuned_for, alpha=alpha, power=power) <= abs(effect)

    if effect == 0 or not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def sample_ratio_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the chi-square p-value of these visitors by arm under these planned shares; 1 for nobody.

    A mismatch is called below 0.001, not 0.05: this is looked at again and again, and a wrong alarm throws a sound
    experiment away; a real fault of the assignment is soon far beyond it. After Fabijan et al., "Diagnosing Sample
    Ratio Mismatch in Online Controlled Experiments" (KDD 2019).
    """
    total = sum(counts)
    if total == 0 or len(counts) < 2:
        return 1.0
    expected = [total * share / sum(shares) for share in shares]
    squares = sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True))
    return float(scipy.special.chdtrc(len(counts) - 1, squares))


def sign_p(wins: int, losses: int) -> float:
    """Return the always-valid p-value of "as many win as lose", ties left out; 1 for nobody.

    1 / L with L the likelihood ratio of a Beta(a, a) mixture of preferences against one half, a = `SIGN_PRIOR`: a
    test martingale, as in Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm" (Annals of
    Mathematical Statistics 41, 1970).
    """
    a = SIGN_PRIOR
    log_ratio = (
        scipy.special.betaln(a + wins, a + losses)
        - scipy.special.betaln(a, a)
        + (wins + losses) * math.log(2)
    )
    return math.exp(-max(float(log_ratio), 0.0))


def _rho_squared(tuned_for: int, alpha: float) -> float:
    """Return the mixture's variance that is best at `tuned_for` visitors (Waudby-Smith et al., appendix B.2)."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / max(tuned_for, 1)


def _z(power: float) -> float:
    return float(scipy.special.ndtri(power))
