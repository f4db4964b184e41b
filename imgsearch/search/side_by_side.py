"""Side by side: one query answered by two sides, timed alike, and how far the two rankings agree.

A side as an address writes it: a saved system such as "live" or "varied", "head:base" for the encoder's own
embeddings, "head:head-0001" for a learned head; then settings of this side alone, such as
"live,shape:0.5,same:color,duplicates:show,diversity:0.4".
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from imgsearch.core.errors import QueryError
from imgsearch.core.query import Duplicates, Emphasis, Query
from imgsearch.core.records import SearchResult
from imgsearch.search.systems import BASE, LIVE, System, Systems

HEAD = "head:"
SETTINGS = ("emphasis", "same_color", "duplicates", "diversity")
MAX_SIDE_CHARS = 200
PERSISTENCE = 0.9
"""The p of rank-biased overlap: of an endless list, the first ten places have 86% of the weight."""
TIMING_ROUNDS = 5
MAX_TIMING_S = 1.5
"""No further round of timing begins after this time."""


@dataclass(frozen=True, slots=True)
class Side:
    """A system, and the settings of the query that it replaces (None: as the query says).

    `system` is the name of a saved system, or `head:` and a learned head's id or `base`.
    """

    system: str = LIVE
    emphasis: Emphasis | None = None
    same_color: bool | None = None
    duplicates: Duplicates | None = None
    diversity: float | None = None

    def __str__(self) -> str:
        """Return the side as `parse_side` reads it."""
        parts = [self.system]
        if self.emphasis is not None:
            changed = [(name, value) for name, value in asdict(self.emphasis).items() if value]
            parts += [f"{name}:{value:.3g}" for name, value in changed or [("color", 0.0)]]
        if self.same_color is not None:
            parts.append(f"same:{'color' if self.same_color else 'any'}")
        if self.duplicates is not None:
            parts.append(f"duplicates:{self.duplicates}")
        if self.diversity is not None:
            parts.append(f"diversity:{self.diversity:.3g}")
        return ",".join(parts)

    def applied(self, query: Query) -> Query:
        """Return the query with this side's settings."""
        given = {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}
        return replace(query, **given)

    def settings_in_words(self) -> str:
        """Return what this side sets, in a few words; "" for nothing."""
        parts = []
        if self.emphasis is not None:
            names = {"color": "colour", "shape": "shape", "pattern": "pattern"}
            parts += [f"{names[name]} +{value:.3g}" for name, value in asdict(self.emphasis).items() if value]
            parts += [] if any(self.emphasis) else ["no emphasis"]
        if self.same_color is not None:
            parts.append("same colour only" if self.same_color else "any colour")
        if self.duplicates is not None:
            parts.append("duplicates shown" if self.duplicates == "show" else "duplicates collapsed")
        if self.diversity is not None:
            parts.append(f"variety {self.diversity:.3g}" if self.diversity else "no variety")
        return ", ".join(parts)


def parse_side(text: str) -> Side:
    """Return the side that a text says; raises `QueryError` for an unknown setting, not for an unknown system."""
    system, *settings = text[:MAX_SIDE_CHARS].split(",")
    if not system or len(text) > MAX_SIDE_CHARS:
        raise QueryError(f"A side is {text[:40]!r}, but must name a system, such as live or live,shape:0.5.")
    side, emphasis = Side(system), {}
    for setting in settings:
        name, _, value = setting.partition(":")
        if name in Emphasis.NAMES:
            emphasis[name] = _fraction(setting, value)
        elif name == "same" and value in ("color", "any"):
            side = replace(side, same_color=value == "color")
        elif name == "duplicates" and value in ("show", "collapse"):
            side = replace(side, duplicates="show" if value == "show" else "collapse")
        elif name == "diversity":
            side = replace(side, diversity=_fraction(setting, value))
        else:
            raise QueryError(
                f"A side has {setting[:40]!r}, but can have color:, shape:, pattern: or diversity: with a number "
                "from 0 to 1, same:color or same:any, and duplicates:show or duplicates:collapse."
            )
    return replace(side, emphasis=Emphasis(**emphasis)) if emphasis else side


def side_of(system: str, query: Query, usual: Query) -> Side:
    """Return the side by which a system answers `query`, beside one that has the settings of `usual`."""
    changed = [name for name in SETTINGS if getattr(query, name) != getattr(usual, name)]
    return Side(system, **{name: getattr(query, name) for name in changed})


def system_of(side: Side, systems: Systems) -> System:
    """Return the system of a side; raises `UnknownSystem` where none of that name is saved."""
    if side.system.startswith(HEAD):
        return System(side.system, head=side.system.removeprefix(HEAD))
    return systems.get(side.system)


def title_of(side: Side) -> str:
    """Return a side's system as a heading."""
    titles = {LIVE: "Live", HEAD + BASE: "Encoder alone"}
    return titles.get(side.system, side.system.removeprefix(HEAD))


def describe(side: Side, systems: Systems) -> str:
    """Return what is different on a side, in a few words; raises `UnknownSystem`."""
    system = system_of(side, systems)
    settings = side.settings_in_words()
    if system.name == LIVE and settings:
        return settings
    # Only the name of another catalog's folder: a visitor must not see the server's paths.
    words = replace(system, catalog=Path(system.catalog).name).describe()
    if side.system.startswith(HEAD) and side.system != HEAD + BASE:
        words = "a learned head"
    return f"{words}, {settings}" if settings else words


def _fraction(setting: str, text: str) -> float:
    try:
        value = float(text) if len(text) <= 24 and text.isascii() else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise QueryError(f"A side has {setting[:40]!r}, but the number must be from 0 to 1.")
    return value


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """What one side answered, and the median of `rounds` searches in milliseconds, all caches warm."""

    side: Side
    result: SearchResult
    median_ms: float
    rounds: int

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids of the hits, best first."""
        return tuple(hit.item_id for hit in self.result.hits)

    def as_dict(self, marks: Sequence[Mark]) -> dict[str, Any]:
        """Return the answer and where every hit is on the other side as JSON."""
        return {
            "side": str(self.side),
            "encoder": self.result.encoder,
            "median_ms": self.median_ms,
            "rounds": self.rounds,
            "notes": list(self.result.notes),
            "hits": [
                {
                    "item_id": hit.item_id,
                    "title": hit.title,
                    "rank": mark.rank,
                    "score": round(hit.score, 6),
                    "beside": mark.kind,
                    "other_rank": mark.other,
                }
                for hit, mark in zip(self.result.hits, marks, strict=True)
            ],
        }


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a hit is on the other side.

    It has the `same` rank, is `moved` to another one, `folded` into the hit of that rank, or `only` on its own side
    (`other` is None). `twin` is the id of the hit on the other side, "" for none.
    """

    kind: Literal["same", "moved", "folded", "only"]
    rank: int
    other: int | None = None
    twin: str = ""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two answers to one query, and how far they agree.

    `shared` is how many photos both have among their hits; `overlap` that number by the length of the longer list,
    and `rbo` the rank-biased overlap: 1 for the same order, 0 for nothing shared. Two empty lists are the same.
    """

    query: Query
    left: SideAnswer
    right: SideAnswer
    shared: int
    overlap: float
    rbo: float

    @property
    def depth(self) -> int:
        """The length of the longer list."""
        return max(len(self.left.item_ids), len(self.right.item_ids))

    def marks(self, side: Literal["left", "right"]) -> list[Mark]:
        """Return where each hit of a side is on the other side, best first."""
        own, other = (self.left, self.right) if side == "left" else (self.right, self.left)
        ranks = {item_id: rank for rank, item_id in enumerate(other.item_ids, start=1)}
        folded = {item_id: hit.item_id for hit in reversed(other.result.hits) for item_id in hit.also}
        marks = []
        for rank, item_id in enumerate(own.item_ids, start=1):
            if item_id in ranks:
                kind: Literal["same", "moved"] = "same" if ranks[item_id] == rank else "moved"
                marks.append(Mark(kind, rank, ranks[item_id], item_id))
            elif item_id in folded:
                marks.append(Mark("folded", rank, ranks[folded[item_id]], folded[item_id]))
            else:
                marks.append(Mark("only", rank))
        return marks

    def sentence(self) -> str:
        """Return how the two answers differ, in a sentence or two."""
        left, right = self.left.item_ids, self.right.item_ids
        if not left and not right:
            return "Neither side finds anything."
        if not left or not right:
            empty, full = ("left", "right") if right else ("right", "left")
            return f"The {empty} side finds nothing, the {full} one {_photos(self.depth)}."
        if left == right:
            return f"Both sides show the same {_photos(self.depth)} in the same order.{self._why_same()}"
        if self.shared == len(left) == len(right):
            moves = [mark for mark in self.marks("left") if mark.kind == "moved"]
            far = max(moves, key=lambda mark: abs(mark.rank - (mark.other or 0)))
            return (
                f"Both sides show the same {_photos(self.depth)}, {len(moves)} of them in another place: the "
                f"farthest goes from {far.rank} to {far.other}."
            )
        if self.shared == 0:
            return "No photo is on both sides."
        same = next(
            place for place in range(self.depth) if left[place : place + 1] != right[place : place + 1]
        )
        first = {0: "The first place differs.", 1: "The first place is the same."}.get(
            same, f"The first {same} places are the same."
        )
        return f"{self.shared} of {_photos(self.depth)} {'is' if self.shared == 1 else 'are'} on both sides. {first}"

    def _why_same(self) -> str:
        """Return why two answers could not differ, where that is known; "" otherwise."""
        sides = (self.left.side, self.right.side)
        if sides[0] == sides[1]:
            return " Both have the same settings."
        by_look = any(side.emphasis is not None or side.same_color is not None for side in sides)
        if by_look and all(term.kind == "text" for term in self.query.terms):
            return " Colour, shape and pattern count only where the search has a photo or a colour."
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as the JSON of `imgsearch compare --json`."""
        return {
            "shared": self.shared,
            "overlap": round(self.overlap, 6),
            "rank_biased_overlap": round(self.rbo, 6),
            "sentence": self.sentence(),
            "left": self.left.as_dict(self.marks("left")),
            "right": self.right.as_dict(self.marks("right")),
        }


def search_both(
    systems: Systems, query: Query, left: Side, right: Side, *, rounds: int = TIMING_ROUNDS
) -> SideBySide:
    """Answer a query by both sides and return how far they agree; nothing is recorded.

    The first search of each side opens and encodes what it needs and is not timed. Raises what `Systems.search`
    raises.
    """
    requests = [(side.applied(query), system_of(side, systems)) for side in (left, right)]
    results = [systems.search(*request) for request in requests]
    times_ms: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while len(times_ms[0]) < rounds and (not times_ms[0] or time.perf_counter() - began < MAX_TIMING_S):
        # The first search of a round finds colder processor caches: the sides alternate.
        for place in (0, 1) if len(times_ms[0]) % 2 == 0 else (1, 0):
            started = time.perf_counter()
            systems.search(*requests[place])
            times_ms[place].append((time.perf_counter() - started) * 1000)
    first, second = (
        SideAnswer(side, result, round(statistics.median(times), 3), len(times))
        for side, result, times in zip((left, right), results, times_ms, strict=True)
    )
    shared = len(set(first.item_ids) & set(second.item_ids))
    longer = max(len(first.item_ids), len(second.item_ids))
    overlap = shared / longer if longer else 1.0
    rbo = rank_biased_overlap(first.item_ids, second.item_ids)
    return SideBySide(query, first, second, shared, overlap, rbo)


def rank_biased_overlap(first: Sequence[str], second: Sequence[str], *, p: float = PERSISTENCE) -> float:
    """Return the extrapolated rank-biased overlap (RBO) of two rankings without repetitions, from 0 to 1.

    It is the overlap seen by a reader who reads one place further with probability `p`; the agreement at the end of
    the lists is assumed to continue. Two empty rankings have 1, an empty one and another 0.

    Source: W. Webber, A. Moffat, J. Zobel, "A Similarity Measure for Indefinite Rankings", ACM Transactions on
    Information Systems 28(4), 2010, equation 32 (lists of different lengths).
    """
    if not first or not second:
        return float(not first and not second)
    shorter, longer = sorted((first, second), key=len)
    short, long = len(shorter), len(longer)
    overlaps = [len(set(shorter[:depth]) & set(longer[:depth])) for depth in range(1, long + 1)]
    at_short, at_long = overlaps[short - 1], overlaps[-1]
    total = sum(overlap / depth * p**depth for depth, overlap in enumerate(overlaps, start=1))
    total += sum(
        at_short * (depth - short) / (short * depth) * p**depth for depth in range(short + 1, long + 1)
    )
    return (1 - p) / p * total + ((at_long - at_short) / long + at_short / short) * p**long


def _photos(count: int) -> str:
    return f"{count:,} {'photo' if count == 1 else 'photos'}"
