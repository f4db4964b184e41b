"""Always-valid statistics of experiments: estimates by visitor, intervals and p-values.

A visitor is the unit: arms are assigned by visitor, and one visitor's searches are not independent. A measure is a
ratio of two sums over visitors (say clicks over searches), with the variance of the delta method. Always valid means
that intervals and p-values can be read after every visitor: the probability that one is ever wrong is at most alpha.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import scipy

ALPHA = 0.05
POWER = 0.8
MAX_VISITORS = 10**9
SIGN_PRIOR = 20.0
"""The mixture over preferences in `sign_p` is Beta(a, a) with this a: most weight is on 40 to 60 percent."""


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
    """A measure's value with its standard error and number of visitors."""

    value: float
    standard_error: float
    visitors: int


@dataclass(frozen=True, slots=True)
class EstimateComparison:
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


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """Always-valid inference: ever wrong with probability `alpha` at most, and most precise at `tuned_for` visitors.

    `tuned_for` must be chosen before the first visitor.
    """

    tuned_for: int
    alpha: float = ALPHA

    def compare(self, control: Estimate, other: Estimate) -> EstimateComparison:
        """Return `other` minus `control`, measured on different visitors."""
        error = math.hypot(control.standard_error, other.standard_error)
        visitors = control.visitors + other.visitors
        return self.compare_with_zero(Estimate(other.value - control.value, error, visitors))

    def compare_with_zero(self, difference: Estimate) -> EstimateComparison:
        """Return a difference with its interval and p-value."""
        value, radius = difference.value, self.radius(difference)
        return EstimateComparison(difference, value - radius, value + radius, self.p_value(difference))

    def radius(self, estimate: Estimate) -> float:
        """Return half the width of the confidence sequence around an estimate.

        The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central
        limit theory and asymptotic confidence sequences" (Annals of Statistics 52, 2024), theorem 2.2: with n
        visitors and the standard deviation s = standard_error * sqrt(n) of one,

            s * sqrt(2 (n rho^2 + 1) / (n^2 rho^2) * log(sqrt(n rho^2 + 1) / alpha)).

        A visitor's later searches make successive readings more alike, which can only lower the false alarms
        (Slepian's inequality).
        """
        n, rho2 = estimate.visitors, self._rho_squared
        spread = estimate.standard_error * math.sqrt(n)
        log = math.log(math.sqrt(n * rho2 + 1) / self.alpha)
        return spread * math.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * log)

    def p_value(self, estimate: Estimate) -> float:
        """Return the p-value of "the true value is zero", at most alpha exactly where the interval excludes zero.

        It is 1 / L with L the mixture likelihood ratio of the normal mSPRT: Johari, Koomen, Pekelis & Walsh, "Always
        Valid Inference: Continuous Monitoring of A/B Tests" (Operations Research 70, 2022), section 4.
        """
        if estimate.standard_error == 0:
            return 1.0 if estimate.value == 0 else 0.0
        grown = estimate.visitors * self._rho_squared
        z = estimate.value / estimate.standard_error
        log_ratio = z**2 * grown / (2 * (grown + 1)) - 0.5 * math.log(grown + 1)
        return math.exp(-max(log_ratio, 0.0))

    def detectable_effect(self, estimate: Estimate) -> float:
        """Return the smallest true difference that these visitors show with probability `POWER`."""
        return self.radius(estimate) + float(scipy.special.ndtri(POWER)) * estimate.standard_error

    def needed_visitors(self, estimate: Estimate, effect: float) -> int | None:
        """Return how many visitors in all show a true difference of `effect` with probability `POWER`.

        The spread of one visitor is taken from `estimate`. None where a billion are too few.
        """
        spread = estimate.standard_error * math.sqrt(estimate.visitors)

        def enough(visitors: int) -> bool:
            later = Estimate(0.0, spread / math.sqrt(visitors), visitors)
            return self.detectable_effect(later) <= abs(effect)

        if effect == 0 or not enough(MAX_VISITORS):
            return None
        return 1 + bisect_left(range(1, MAX_VISITORS), True, key=enough)

    @property
    def _rho_squared(self) -> float:
        """The mixture's variance that is best at `tuned_for` visitors (Waudby-Smith et al., appendix B.2)."""
        log = -2 * math.log(self.alpha)
        return (log + math.log(log + 1)) / max(self.tuned_for, 1)


def sample_ratio_p(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the chi-square p-value of these visitors by arm under these planned shares; 1 without visitors.

    Report a mismatch below 0.001, not 0.05: the value is read repeatedly, and a false alarm discards a sound
    experiment; a real fault of the assignment is soon far below it. After Fabijan et al., "Diagnosing Sample
    Ratio Mismatch in Online Controlled Experiments" (KDD 2019).
    """
    total = sum(counts)
    if total == 0 or len(counts) < 2:
        return 1.0
    expected = [total * share / sum(shares) for share in shares]
    squares = sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True))
    return float(scipy.special.chdtrc(len(counts) - 1, squares))


def sign_p(wins: int, losses: int) -> float:
    """Return the always-valid p-value of "as many win as lose", without ties; 1 without visitors.

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
