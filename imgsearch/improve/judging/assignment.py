"""Which act of a labeler counts, and how many pairs they receive next.

At most `raters` labelers judge a pair, one at a time: a pair is leased to a labeler for some minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from imgsearch.core.records import Verdict
from imgsearch.improve.judging.calls import ActKind, Layout
from imgsearch.improve.judging.records import PairRow

LEASE_S = 300.0
"""How long a silent labeler keeps a pair; every call renews it."""
PREFETCH_PAIRS = 10
"""How many pairs a labeler holds, so that the next one is there at once."""
GRID_PAIRS = 24

_VERDICTS = frozenset(get_args(Verdict))


def refusal(
    kind: ActKind, labeler: str, latest: Mapping[str, ActKind], holders: Iterable[str], max_verdicts: int
) -> str:
    """Return why an act does not count, or "" where it counts.

    `latest` has each labeler's latest counted act on the pair, `holders` the labelers who hold a lease on it.
    """
    holders = set(holders)
    mine = latest.get(labeler)
    others = {name for name, act in latest.items() if act in _VERDICTS} | holders
    open_to_labeler = mine in _VERDICTS or labeler in holders or len(others - {labeler}) < max_verdicts
    if kind == "undo" and mine in (None, "undo"):
        return "There is nothing to undo."
    if kind == "skip" and mine in _VERDICTS:
        return "You have judged this pair; undo the verdict first."
    if kind != "skip" and not open_to_labeler:
        return "It came too late: others have judged this pair in the meantime."
    return ""


def effect_of(kind: ActKind, latest: ActKind | None) -> tuple[int, Verdict | None]:
    """Return how a counted act changes the number of verdicts, and the judgment to append to the feedback, if any.

    The feedback has no withdrawal: as on the search page, "can't tell" withdraws a verdict.
    """
    change = (kind in _VERDICTS) - (latest in _VERDICTS)
    if kind == "undo":
        return change, "cant_tell" if latest in _VERDICTS else None
    return change, None if kind == "skip" else kind


def page_size(layout: Layout) -> int:
    """Return how many pairs a labeler holds at most."""
    return GRID_PAIRS if layout == "grid" else PREFETCH_PAIRS


def lease_count(held: int, layout: Layout) -> int:
    """Return how many more pairs to lease to a labeler who holds `held`.

    Single pairs are leased half a page at a time, so that most calls need no search for free pairs.
    """
    size = page_size(layout)
    return size - held if held < (size if layout == "grid" else size // 2 + 1) else 0


def first_query(pairs: list[PairRow], layout: Layout) -> list[PairRow]:
    """Return the pairs to show together: in a grid those of the first pair's query."""
    return [pair for pair in pairs if layout != "grid" or pair.query_key == pairs[0].query_key]
