"""The measures of an experiment: what is counted, in which unit, and which direction is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TOP = 10


@dataclass(frozen=True, slots=True)
class Measure:
    """A ratio of two sums over searches.

    `x` and `y` are the SQL expressions of both; `better` is the sign of an improvement, 0 if there is none.
    """

    name: str
    unit: Literal["share", "number", "seconds"]
    title: str
    description: str
    x: str = ""
    y: str = "1"
    better: Literal[-1, 0, 1] = 1

    def format(self, value: float, *, change: bool = False) -> str:
        """Return a value, or a change of it, as text for people."""
        match self.unit:
            case "share":
                return f"{value * 100:.1f} points" if change else f"{value:.1%}"
            case "seconds":
                return f"{value:.1f} s"
            case "number":
                return f"{value:.2f}"


def _if_any(column: str) -> tuple[str, str]:
    return f"coalesce({column}, 0)", f"({column} IS NOT NULL)::INT"


_SPLIT = (
    Measure("ctr", "share", f"CTR@{TOP}", f"searches with a click among the first {TOP}", "(top > 0)::INT"),
    Measure("clicks", "number", "Clicks a search", "different photos clicked in a search", "clicks"),
    Measure("abandoned", "share", "No click", "searches without any click", "(clicks = 0)::INT", better=-1),
    Measure(
        *("first_rank", "number", "First click at rank", "rank of the first click, in searches with one"),
        *_if_any("first_rank"),
        better=-1,
    ),
    Measure(
        *("first_click_s", "seconds", "Time to first click", "from a search to its first click, if any"),
        *_if_any("first_click_s"),
        better=-1,
    ),
    Measure(
        *("time_s", "seconds", "Time on results", "from a search to its last click or the next search"),
        *_if_any("time_s"),
        better=0,
    ),
    Measure(
        "good_rate", "share", "Judged good", "good verdicts of all good and bad ones", "good", "good + bad"
    ),
)
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _SPLIT}
"""The measures of a split, by name."""
WON = Measure("won", "share", "Searches won", "searches in which this arm's hits got more clicks")
CREDITED = Measure("clicks", "number", "Clicks a search", "clicks on this arm's hits in a search")
"""The measures of an arm when interleaving."""
