"""The measures of an experiment: what is counted, in which unit, and which direction is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["CREDITED", "MEASURES", "TOP", "WON", "Measure"]

TOP = 10


@dataclass(frozen=True, slots=True)
class Measure:
    """A ratio of two sums over searches.

    `x` and `y` are the SQL expressions of both; `better` is the sign of an improvement, 0 if there is none.
    """

    name: str
    title: str
    description: str
    x: str
    y: str = "1"
    better: Literal[-1, 0, 1] = 1
    unit: Literal["share", "number", "seconds"] = "number"

    def format(self, value: float, *, change: bool = False) -> str:
        """Return a value, or a change of it, as text for people."""
        match self.unit:
            case "share":
                return f"{value * 100:.1f} points" if change else f"{value:.1%}"
            case "seconds":
                return f"{value:.1f} s"
            case "number":
                return f"{value:.2f}"


def _if_present(column: str) -> tuple[str, str]:
    return f"coalesce({column}, 0)", f"({column} IS NOT NULL)::INT"


_ALL = (
    Measure(
        "ctr",
        f"CTR@{TOP}",
        f"searches with a click among the first {TOP}",
        "(top > 0)::INT",
        unit="share",
    ),
    Measure("clicks", "Clicks a search", "different photos clicked in a search", "clicks"),
    Measure(
        "abandoned", "No click", "searches without any click", "(clicks = 0)::INT", better=-1, unit="share"
    ),
    Measure(
        "first_rank",
        "First click at rank",
        "the rank of the first click, in searches with one",
        *_if_present("first_rank"),
        better=-1,
    ),
    Measure(
        "first_click_s",
        "Time to first click",
        "from the search to its first click, in searches with one",
        *_if_present("first_click_s"),
        better=-1,
        unit="seconds",
    ),
    Measure(
        "time_s",
        "Time on results",
        "from a search to its last click or the visitor's next search",
        *_if_present("time_s"),
        better=0,
        unit="seconds",
    ),
    Measure(
        "good_rate",
        "Judged good",
        "good verdicts as a share of good and bad ones",
        "good",
        "good + bad",
        unit="share",
    ),
)
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _ALL}
"""The measures of a split, by name."""
WON = Measure(
    "won",
    "Searches won",
    "searches in which this arm's hits got more clicks than the other's",
    "",
    unit="share",
)
CREDITED = Measure("clicks", "Clicks a search", "clicks on this arm's hits in a search", "")
"""The measures of an arm when interleaving."""
