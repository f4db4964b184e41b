"""Small charts for the pages: a line, columns, two spreads over each other. They take the colours of the page.

It owns their geometry only; sizes and colours are in `assets/monitor.css`, and what is drawn comes from the caller.
`st.html` keeps no SVG elements, so a shape is the mask of a box, and its colour the box's.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

__all__ = ["columns", "sparkline", "spreads"]

WIDTH, HEIGHT = 600.0, 100.0
TOP = 6.0
"""Room above the highest value, so that its line is not cut."""

Place = tuple[float, float]


def sparkline(values: Sequence[float | None], label: str) -> str:
    """Return a line over its shaded area; a missing value breaks the line. Empty for fewer than two values."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return '<div class="chart spark" aria-hidden="true"></div>'
    most = max(*known, 1e-12)
    places = [
        None if value is None else (number / (len(values) - 1) * WIDTH, _y(value, most))
        for number, value in enumerate(values)
    ]
    stretches = _unbroken(places)
    area = "".join(f'<polygon points="{_points(_down_to_base(part))}"/>' for part in stretches)
    line = "".join(_line(part) for part in stretches)
    return _chart("spark", label, _layer("area", area) + _layer("line", line))


def columns(parts: Sequence[tuple[float, float]], titles: Sequence[str], label: str) -> str:
    """Return one column for each (lower, upper) pair, stacked; `titles` are shown under the pointer."""
    most = max((lower + upper for lower, upper in parts), default=0.0) or 1.0
    drawn = "".join(
        f'<span title="{escape(title, quote=True)}"><i class="upper" style="height:{100 * upper / most:.2f}%"></i>'
        f'<i class="lower" style="height:{100 * lower / most:.2f}%"></i></span>'
        for (lower, upper), title in zip(parts, titles, strict=True)
    )
    return _chart("columns", label, drawn)


def spreads(then: Sequence[float], now: Sequence[float], label: str) -> str:
    """Return two histograms over the same steps: `then` as a shaded area, `now` as a line over it."""
    most = max(*then, *now, 1e-12)
    area = f'<polygon points="{_points(_down_to_base(_stairs(then, most)))}"/>'
    line = _line(_down_to_base(_stairs(now, most)))
    return _chart("spreads", label, _layer("area", area) + _layer("line", line))


def _chart(kind: str, label: str, inside: str) -> str:
    return f'<div class="chart {kind}" role="img" aria-label="{escape(label, quote=True)}">{inside}</div>'


def _layer(name: str, shapes: str) -> str:
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none">'
        f"{shapes}</svg>"
    )
    return f'<i class="{name}" style="mask-image:url(&quot;data:image/svg+xml,{quote(picture)}&quot;)"></i>'


def _line(places: Sequence[Place]) -> str:
    return (
        f'<polyline points="{_points(places)}" fill="none" stroke="black" stroke-width="1.75" '
        f'stroke-linejoin="round" vector-effect="non-scaling-stroke"/>'
    )


def _points(places: Sequence[Place]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _y(value: float, most: float) -> float:
    return HEIGHT - value / most * (HEIGHT - TOP)


def _down_to_base(places: Sequence[Place]) -> list[Place]:
    return [(places[0][0], HEIGHT), *places, (places[-1][0], HEIGHT)]


def _stairs(values: Sequence[float], most: float) -> list[Place]:
    width = WIDTH / len(values)
    return [
        (edge * width, _y(value, most)) for place, value in enumerate(values) for edge in (place, place + 1)
    ]


def _unbroken(places: Sequence[Place | None]) -> list[list[Place]]:
    """Return the stretches without a missing place; a single place becomes a short dash."""
    parts: list[list[Place]] = [[]]
    for place in places:
        if place is not None:
            parts[-1].append(place)
        elif parts[-1]:
            parts.append([])
    return [_dash(*part[0]) if len(part) == 1 else part for part in parts if part]


def _dash(x: float, y: float) -> list[Place]:
    return [(max(0.0, x - 3), y), (min(WIDTH, x + 3), y)]
