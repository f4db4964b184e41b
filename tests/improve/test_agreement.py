"""Agreement between raters: published examples, hand computations, and undefined coefficients."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from imgsearch.improve.judging.agreement import (
    cohen_kappa,
    disagreements,
    krippendorff_alpha,
    measure_agreement,
)


def columns(*observers: str) -> list[list[str]]:
    """Return the units of a published table: one string of labels per observer, '.' for a missing label."""
    return [[label for label in unit if label != "."] for unit in zip(*observers, strict=True)]


def test_kappa_equals_a_hand_computed_example_of_fifty_proposals() -> None:
    # Both yes 20, yes/no 5, no/yes 10, both no 15: p_o = .7, p_e = .5 * .6 + .5 * .4 = .5.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4, abs=1e-12)


def test_kappa_equals_cohens_published_table() -> None:
    # Cohen (1960), two psychologists' diagnoses of 200 patients: p_o = .70, p_e = .41, kappa = .492.
    table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
    first = [row for row in range(3) for column in range(3) for _ in range(table[row][column])]
    second = [column for row in range(3) for column in range(3) for _ in range(table[row][column])]
    observed = (88 + 40 + 12) / 200
    expected = (120 * 100 + 60 * 60 + 20 * 40) / 200**2
    assert cohen_kappa(first, second) == pytest.approx((observed - expected) / (1 - expected), abs=1e-12)
    assert round((observed - expected) / (1 - expected), 3) == 0.492


@pytest.mark.parametrize(
    ("observers", "alpha"),
    [
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
    ids=[
        "A: two observers, two labels",
        "B: two observers, five labels",
        "C: four observers, missing labels",
    ],
)
def test_alpha_equals_krippendorffs_published_examples(observers: Sequence[str], alpha: float) -> None:
    assert krippendorff_alpha(columns(*observers)) == pytest.approx(alpha, abs=5e-4)


def test_full_agreement_is_one_and_chance_agreement_is_about_zero() -> None:
    chance = random.Random(0)
    labels = [chance.choice("ab") for _ in range(2000)]
    others = [chance.choice("ab") for _ in range(2000)]
    assert cohen_kappa(labels, labels) == 1.0
    assert krippendorff_alpha(list(zip(labels, labels, strict=True))) == pytest.approx(1.0)
    assert abs(cohen_kappa(labels, others) or 1.0) < 0.05
    assert abs(krippendorff_alpha(list(zip(labels, others, strict=True))) or 1.0) < 0.05


@pytest.mark.parametrize("units", [[], [["good"]], [["good", "good"], ["good", "good"]]])
def test_undefined_coefficients_are_none(units: list[list[str]]) -> None:
    assert krippendorff_alpha(units) is None
    assert cohen_kappa(["good"] * len(units), ["good"] * len(units)) is None


def test_only_units_with_two_labels_count() -> None:
    ratings = {
        1: {"ann": "good", "ben": "good"},
        2: {"ann": "good", "ben": "bad"},
        3: {"ann": "bad"},
        4: {"ann": "bad", "ben": "bad"},
    }
    found = measure_agreement(ratings)
    assert (found.raters, found.units) == (("ann", "ben"), 3)
    assert found.share == pytest.approx(2 / 3)
    assert found.kappa == cohen_kappa(["good", "good", "bad"], ["good", "bad", "bad"])
    with_a_third = measure_agreement({**ratings, 5: {"ann": "good", "cy": "good"}})
    assert with_a_third.kappa is None, "kappa is for two"
    assert with_a_third.alpha is not None


def test_the_most_evenly_divided_unit_comes_first() -> None:
    ratings = {
        "all alike": {"a": "good", "b": "good"},
        "two to one": {"a": "good", "b": "good", "c": "bad"},
        "one to one": {"a": "good", "b": "bad"},
    }
    assert disagreements(ratings) == ["one to one", "two to one"]
