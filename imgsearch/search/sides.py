"""Sides of a comparison: a system with settings of its own, as an address writes it and as people read it.

live                                      what visitors get by default
varied                                    a saved system
head:base    head:head-0001               the encoder's own embeddings, a learned head
live,shape:0.5,same:color,duplicates:show,diversity:0.4        with settings of this side alone
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from imgsearch.core.errors import QueryError
from imgsearch.core.query import Duplicates, Emphasis, Query
from imgsearch.search.systems import BASE, LIVE, System, Systems

__all__ = ["Side", "describe", "parse_side", "side_of", "system_of", "title_of"]

HEAD = "head:"
MAX_SIDE_CHARS = 200


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
        given = {name: getattr(self, name) for name in ("emphasis", "same_color", "duplicates", "diversity")}
        return replace(query, **{name: value for name, value in given.items() if value is not None})

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
    return Side(
        system,
        emphasis=None if query.emphasis == usual.emphasis else query.emphasis,
        same_color=None if query.same_color == usual.same_color else query.same_color,
        duplicates=None if query.duplicates == usual.duplicates else query.duplicates,
        diversity=None if query.diversity == usual.diversity else query.diversity,
    )


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
