"""Experiment statistics match their formulas and keep their level under continuous monitoring."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from imgsearch.improve.experiments.statistics import (
    ALPHA,
    Estimate,
    Moments,
    SequentialTest,
    estimate,
    sample_ratio_p,
    sign_p,
)


def moments_of(x: np.ndarray, y: np.ndarray) -> Moments:
    return Moments(len(x), float(x.sum()), float(y.sum()), float(x @ x), float(x @ y), float(y @ y))


def test_a_mean_over_visitors_has_the_usual_standard_error() -> None:
    x = np.random.default_rng(0).normal(3, 2, 500)
    found = estimate(moments_of(x, np.ones(500)))
    assert found is not None
    assert found.value == pytest.approx(x.mean(), abs=1e-12)
    assert found.standard_error == pytest.approx(x.std(ddof=1) / math.sqrt(500), rel=1e-9)


def test_the_variance_of_a_ratio_of_sums_matches_simulation() -> None:
    rng = np.random.default_rng(1)
    values, errors = [], []
    for _ in range(400):
        searches = rng.integers(1, 9, 300)
        clicks = rng.binomial(searches, rng.beta(2, 3, 300))  # visitors have different click rates
        found = estimate(moments_of(clicks.astype(float), searches.astype(float)))
        assert found is not None
        values.append(found.value)
        errors.append(found.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.1)
    assert np.mean(values) == pytest.approx(0.4, abs=0.005)


def test_without_data_there_is_no_estimate() -> None:
    assert estimate(Moments(0, 0, 0, 0, 0, 0)) is None
    assert estimate(Moments(1, 1, 1, 1, 1, 1)) is None
    assert estimate(Moments(5, 0, 0, 0, 0, 0)) is None


def test_the_interval_equals_the_published_formula() -> None:
    # Hand computation for n = 1000, s = 1, tuned for 1000, alpha = 0.05:
    # rho^2 = (5.9915 + log 6.9915) / 1000 = 0.0079362; n rho^2 + 1 = 8.9362;
    # 2 * 8.9362 / (1000 * 7.9362) * log(sqrt(8.9362) / 0.05) = 0.0022520 * 4.09079 = 0.0092125
    radius = SequentialTest(1000).radius(Estimate(0.0, 1 / math.sqrt(1000), 1000))
    assert radius == pytest.approx(math.sqrt(0.0092125), rel=1e-3)


@pytest.mark.parametrize("z", [0.0, 1.0, 2.5, 2.9, 3.0, 3.1, 3.5, 8.0])
@pytest.mark.parametrize("n", [100, 1000, 50_000])
def test_the_p_value_is_below_alpha_exactly_where_the_interval_excludes_zero(z: float, n: int) -> None:
    found = Estimate(z * 0.01, 0.01, n)
    excludes = abs(found.value) > SequentialTest(2000).radius(found)
    assert (SequentialTest(2000).p_value(found) < ALPHA) == excludes


def test_with_zero_variance_only_a_difference_is_significant() -> None:
    assert SequentialTest(100).p_value(Estimate(0.0, 0.0, 50)) == 1.0
    assert SequentialTest(100).p_value(Estimate(0.1, 0.0, 50)) == 0.0


def test_reading_after_every_visitor_keeps_the_false_alarm_rate_within_the_level() -> None:
    rng = np.random.default_rng(2)
    runs, visitors = 1000, 4000
    n = np.arange(1, visitors + 1)
    alarms = fixed = 0
    for _ in range(runs):
        steps = rng.exponential(1.0, visitors) - 1.0  # skewed, as clicks are
        mean = steps.cumsum() / n
        error = np.sqrt((np.cumsum(steps**2) / n - mean**2).clip(1e-12) / n)
        looks = range(100, visitors, 20)
        alarms += any(abs(mean[k]) > SequentialTest(2000).radius(Estimate(0, error[k], k + 1)) for k in looks)
        fixed += any(abs(mean[k]) > 1.96 * error[k] for k in looks)
    assert alarms / runs <= ALPHA
    assert fixed / runs > 3 * ALPHA  # a fixed-sample test under continuous monitoring


def test_a_comparison_subtracts_control_and_adds_the_variances() -> None:
    found = SequentialTest(1000).compare(Estimate(0.4, 0.03, 500), Estimate(0.5, 0.04, 520))
    assert found.difference == Estimate(pytest.approx(0.1), pytest.approx(0.05), 1020)
    assert found.high - found.difference.value == pytest.approx(found.difference.value - found.low)


def test_the_sample_size_for_an_effect_is_the_smallest_that_detects_it() -> None:
    pilot = Estimate(0.0, 0.02, 400)
    needed = SequentialTest(2000).needed_visitors(pilot, 0.03)
    assert needed is not None
    for visitors, enough in ((needed, True), (needed - 1, False)):
        later = Estimate(0.0, 0.02 * math.sqrt(400 / visitors), visitors)
        assert (SequentialTest(2000).detectable_effect(later) <= 0.03) == enough
    assert SequentialTest(2000).needed_visitors(pilot, 0.0) is None
    assert SequentialTest(2000).needed_visitors(pilot, 1e-9) is None


def test_the_sample_size_reaches_the_stated_power() -> None:
    needed = SequentialTest(300).needed_visitors(Estimate(0.0, 0.1, 100), 0.2)
    assert needed is not None
    shown = np.random.default_rng(4).normal(0.2, 1.0, (2000, needed)).mean(axis=1)
    radius = SequentialTest(300).radius(Estimate(0.0, 1 / math.sqrt(needed), needed))
    assert np.mean(shown - radius > 0) == pytest.approx(0.8, abs=0.03)


def test_a_split_as_planned_raises_no_alarm_and_a_broken_one_does() -> None:
    assert sample_ratio_p([], []) == 1.0
    assert sample_ratio_p([0, 0], [0.5, 0.5]) == 1.0
    assert sample_ratio_p([5030, 4970], [0.5, 0.5]) > 0.1
    assert sample_ratio_p([1010, 8990], [0.1, 0.9]) > 0.1
    assert sample_ratio_p([5300, 4700], [0.5, 0.5]) < 0.001
    assert sample_ratio_p([6, 4], [0.25, 0.25]) == pytest.approx(stats.chisquare([6, 4]).pvalue)


def test_the_sign_test_stays_valid_when_watched_and_detects_a_clear_preference() -> None:
    assert sign_p(0, 0) == 1.0
    assert sign_p(50, 50) == 1.0
    assert sign_p(120, 60) < 0.01
    assert sign_p(60, 120) == sign_p(120, 60)
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(500):
        wins = (rng.random(1000) < 0.5).cumsum()
        alarms += any(sign_p(int(wins[k]), k + 1 - int(wins[k])) < ALPHA for k in range(0, 1000, 10))
    assert alarms / 500 <= ALPHA
