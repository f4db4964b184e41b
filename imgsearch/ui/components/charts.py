"""Small charts as HTML: a line, columns, two distributions. Sizes and colours are in `assets/monitor.css`.

`st.html` removes SVG elements, so a shape is drawn as the mask of a coloured box.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from imgsearch.ui.markup import render

WIDTH, HEIGHT = 600.0, 100.0
TOP = 6.0
"""Space above the highest value, so that its line is not cut."""

Point = tuple[float, float]


def sparkline(values: Sequence[float | None], label: str) -> str:
    """Return a line over its shaded area; a missing value breaks the line. Empty for fewer than two values."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return render("chart", kind="spark", label=label, layers={})
    top = max(*known, 1e-12)
    points = [
        None if value is None else (number / (len(values) - 1) * WIDTH, _y(value, top))
        for number, value in enumerate(values)
    ]
    parts = _unbroken(points)
    return _chart("spark", label, [_closed(part) for part in parts], parts)


def columns(parts: Sequence[tuple[float, float]], titles: Sequence[str], label: str) -> str:
    """Return one column for each (lower, upper) pair, stacked; `titles` are the tooltips."""
    top = max((lower + upper for lower, upper in parts), default=0.0) or 1.0
    bars = [
        (title, 100 * upper / top, 100 * lower / top)
        for (lower, upper), title in zip(parts, titles, strict=True)
    ]
    return render("columns", label=label, bars=bars)


def spreads(then: Sequence[float], now: Sequence[float], label: str) -> str:
    """Return two histograms with the same bins: `then` as a shaded area, `now` as a line over it."""
    top = max(*then, *now, 1e-12)
    return _chart("spreads", label, [_closed(_stairs(then, top))], [_closed(_stairs(now, top))])


def _chart(kind: str, label: str, areas: Sequence[Sequence[Point]], lines: Sequence[Sequence[Point]]) -> str:
    layers = {
        name: quote(render("shapes", width=WIDTH, height=HEIGHT, areas=filled, lines=drawn).strip())
        for name, filled, drawn in (("area", areas, ()), ("line", (), lines))
    }
    return render("chart", kind=kind, label=label, layers=layers)


def _y(value: float, top: float) -> float:
    return HEIGHT - value / top * (HEIGHT - TOP)


def _closed(points: Sequence[Point]) -> list[Point]:
    """Return the outline of the area between the points and the base line."""
    return [(points[0][0], HEIGHT), *points, (points[-1][0], HEIGHT)]


def _stairs(values: Sequence[float], top: float) -> list[Point]:
    width = WIDTH / len(values)
    return [(edge * width, _y(value, top)) for bin, value in enumerate(values) for edge in (bin, bin + 1)]


def _unbroken(points: Sequence[Point | None]) -> list[list[Point]]:
    """Return the stretches without a missing point; a single point becomes a short dash."""
    parts: list[list[Point]] = [[]]
    for point in points:
        if point is not None:
            parts[-1].append(point)
        elif parts[-1]:
            parts.append([])
    return [_dash(*part[0]) if len(part) == 1 else part for part in parts if part]


def _dash(x: float, y: float) -> list[Point]:
    return [(max(0.0, x - 3), y), (min(WIDTH, x + 3), y)]
