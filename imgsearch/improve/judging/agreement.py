"""How far raters agree: Cohen's kappa for two, Krippendorff's alpha for any number, and where they differ.

Labels may be of any kind and are nominal: two are equal or they are not. Tables of verdicts have the columns
query_key, item_id, labeler, verdict and role, as `JudgingStore.verdicts` returns them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import pandas as pd

from imgsearch.core.records import Verdict
from imgsearch.improve.judging.records import Disagreement

_UNIT = TypeVar("_UNIT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the raters agree on the units that at least two of them labelled.

    `share` is the share of pairs of labels that are equal. `kappa` is there for exactly two raters. A coefficient is
    None where it is not defined: nothing was labelled twice, or every label is the same.
    """

    raters: tuple[str, ...]
    units: int
    share: float | None
    kappa: float | None
    alpha: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        shares = {"share": self.share, "cohen_kappa": self.kappa, "krippendorff_alpha": self.alpha}
        return {"raters": list(self.raters), "units": self.units, **shares}


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Return Cohen's kappa of two raters who labelled the same units in the same order.

    1 is full agreement, 0 the agreement by chance. None without units, or if both used one and the same label
    throughout. Raises `ValueError` for sequences of different lengths.

    Source: J. Cohen (1960), A Coefficient of Agreement for Nominal Scales, Educational and Psychological
    Measurement 20(1): kappa = (p_o - p_e) / (1 - p_e).
    """
    pairs = list(zip(first, second, strict=True))
    # Whole numbers until the last step: full agreement is 1 and not 0.9999.
    observed = sum(one == other for one, other in pairs) * len(pairs)
    others = Counter(second)
    expected = sum(count * others[label] for label, count in Counter(first).items())
    total = len(pairs) ** 2
    return (observed - expected) / (total - expected) if total != expected else None


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Return Krippendorff's alpha for nominal labels; each unit is a list of the labels that it has.

    1 is full agreement, 0 the agreement by chance. Units with fewer than two labels do not count. None if no unit
    has two labels, or if every label is the same.

    Source: K. Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section C (nominal data, any number
    of observers, missing data): alpha = 1 - (n - 1) * sum(o_ck) / sum(n_c * n_k) over c != k.
    """
    totals: dict[Hashable, float] = {}
    observed = 0.0
    for labels in units:
        counts = Counter(labels)
        size = len(labels)
        if size < 2:
            continue
        for label, count in counts.items():
            totals[label] = totals.get(label, 0.0) + count
            observed += count * (size - count) / (size - 1)
    n = sum(totals.values())
    expected = n * n - sum(total * total for total in totals.values())
    if n < 2 or expected < 1e-9:
        return None
    return float(1.0 - (n - 1.0) * observed / expected)


def measure_agreement(ratings: Mapping[_UNIT, Mapping[str, Hashable]]) -> Agreement:
    """Return how far the raters of `ratings` (unit -> rater -> label) agree."""
    several = [labels for labels in ratings.values() if len(labels) > 1]
    raters = tuple(sorted({rater for labels in several for rater in labels}))
    pairs = sum(len(labels) * (len(labels) - 1) for labels in several)
    equal = sum(count * (count - 1) for labels in several for count in Counter(labels.values()).values())
    kappa = None
    if len(raters) == 2:
        kappa = cohen_kappa(*([labels[rater] for labels in several] for rater in raters))
    return Agreement(
        raters=raters,
        units=len(several),
        share=equal / pairs if pairs else None,
        kappa=kappa,
        alpha=krippendorff_alpha([list(labels.values()) for labels in several]),
    )


def disagreements(ratings: Mapping[_UNIT, Mapping[str, Hashable]]) -> list[_UNIT]:
    """Return the units whose raters differ, the most evenly divided first, ties in the order given."""

    def majority(unit: _UNIT) -> float:
        counts = Counter(ratings[unit].values())
        return max(counts.values()) / sum(counts.values())

    return sorted((unit for unit in ratings if len(set(ratings[unit].values())) > 1), key=majority)


def ratings_of(
    verdicts: pd.DataFrame, *, with_cant_tell: bool = False
) -> dict[tuple[str, str], dict[str, Verdict]]:
    """Return the raters' verdicts by (query_key, item_id) and labeler."""
    ratings: dict[tuple[str, str], dict[str, Verdict]] = {}
    for row in verdicts.itertuples(index=False):
        if row.role == "rater" and (with_cant_tell or row.verdict != "cant_tell"):
            pair = (str(row.query_key), str(row.item_id))
            ratings.setdefault(pair, {})[str(row.labeler)] = cast(Verdict, row.verdict)
    return ratings


def find_disagreements(verdicts: pd.DataFrame) -> list[Disagreement]:
    """Return the pairs that raters judge both good and bad, the most evenly divided first."""
    with_cant_tell = ratings_of(verdicts, with_cant_tell=True)
    referees = verdicts.loc[verdicts["role"] == "referee"]
    decided = dict(
        zip(zip(referees["query_key"], referees["item_id"], strict=True), referees["verdict"], strict=True)
    )
    return [
        Disagreement(*pair, with_cant_tell[pair], cast("Verdict | None", decided.get(pair)))
        for pair in disagreements(ratings_of(verdicts))
    ]


def deciding_verdicts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return query_key, item_id, labeler and verdict of each pair: the referee's alone where there is one."""
    pair = ["query_key", "item_id"]
    refereed = verdicts.loc[verdicts["role"] == "referee", pair].drop_duplicates()
    joined = verdicts.merge(refereed, how="left", indicator="refereed", on=pair)
    kept = (joined["refereed"] == "left_only") | (joined["role"] == "referee")
    return joined.loc[kept, [*pair, "labeler", "verdict"]].reset_index(drop=True)
