"""Own what the training-only types share: puffed cloth, ribbons, footprints' colours. It declares no type."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# A type that takes them all shows most of them: the text encoder learns colour words from these.
COLOURS = (
    "white",
    "black",
    "grey",
    "beige",
    "brown",
    "red",
    "orange",
    "yellow",
    "green",
    "olive",
    "teal",
    "blue",
    "navy",
    "pink",
    "purple",
    "burgundy",
    "charcoal",
    "coral",
    "cream",
    "khaki",
    "lavender",
    "lime",
    "magenta",
    "maroon",
    "mint",
    "mustard",
    "peach",
    "rust",
    "tan",
    "turquoise",
)
LEATHERS = (
    "black",
    "brown",
    "tan",
    "red",
    "navy",
    "burgundy",
    "white",
    "beige",
    "green",
    "pink",
    "grey",
    "mustard",
    "blue",
    "maroon",
    "cream",
    "purple",
)
FRONT = ((-8, 10), (22, 34), (-40, -28))  # a flat thing shows its face in every view
FRONT_UP = ((2, 8), (4, 12), (8, 16))


def seen(spec: Any, *words: str) -> str:
    """Return the first of the colour words that is not the product's own."""
    return next(word for word in words if word != spec.colour)


def ribbon(
    kit: Any,
    path: Any,
    side: Sequence[float],
    width: float | Sequence[float],
    thick: float,
    mat: Any,
    *,
    smooth: int = 8,
    closed: bool = False,
    name: str = "ribbon",
) -> None:
    """Skin a flat strap along a path: its width lies along `side` wherever the path goes."""
    from sample_store.mesh import catmull

    p = np.asarray(path, float)
    w = np.full(len(p), width, float) if isinstance(width, int | float) else np.asarray(width, float)
    if smooth:
        joined = catmull(np.column_stack([p, w]), smooth, closed)
        p, w = joined[:, :3], joined[:, 3]
    tangent = np.roll(p, -1, 0) - np.roll(p, 1, 0) if closed else np.gradient(p, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    s = np.asarray(side, float)
    s = s - tangent * (tangent @ s)[:, None]
    s /= np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-12)
    normal = np.cross(tangent, s)
    outline = [(-1, -0.6), (-0.92, -1), (0.92, -1), (1, -0.6), (1, 0.6), (0.92, 1), (-0.92, 1), (-1, 0.6)]
    rings = [
        [p[i] + s[i] * a * w[i] / 2 + normal[i] * b * thick / 2 for a, b in outline] for i in range(len(p))
    ]
    kit.loft(rings, mat, closed=closed, sharp_deg=40, name=name)


def mirrored(right: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return a closed outline from its right half, given from the top middle round to the bottom middle."""
    points = [(float(x), float(z)) for x, z in right]
    return points + [(-x, z) for x, z in reversed(points) if x > 1e-6]


def rounded(outline: Sequence[Sequence[float]], radius: float) -> Any:
    """Return the outline with its corners rounded."""
    from sample_store.mesh import fillet

    return fillet(outline, radius, 5, closed=True)


def puff(
    kit: Any,
    outline: Any,
    thick: float,
    mat: Any,
    *,
    y: float = 0.0,
    edge: float = 0.03,
    wrinkle: float = 0.004,
    folds: Callable[[Any, Any], Any] | None = None,
    grid: int = 46,
    phase: float = 0.0,
    turn: float = 0.0,
    name: str = "cloth",
) -> None:
    """Swell a flat (x, z) outline into a soft body `thick` deep at y: cloth laid out or worn by nobody.

    `edge` is how far from its border it reaches full depth; `folds(x, z)` adds to the front's depth in metres;
    `turn` slants the pattern (degrees).
    """
    from mathutils.geometry import delaunay_2d_cdt

    line = _even(np.asarray(outline, float), grid)
    low, high = line.min(0), line.max(0)
    step = float((high - low).max()) / grid
    xs, zs = np.arange(low[0], high[0], step), np.arange(low[1], high[1], step * 0.87)
    cloud = np.array([(x + (step / 2 if k % 2 else 0), z) for k, z in enumerate(zs) for x in xs])
    distance = _to_border(cloud, line)
    cloud = cloud[_inside(cloud, line) & (distance > step * 0.45)]
    n = len(line)
    flat = [tuple(map(float, p)) for p in np.concatenate([line, cloud])]
    points, _, faces, *_ = delaunay_2d_cdt(flat, [], [list(range(n))], 1, 1e-7)
    p = np.array([(q[0], q[1]) for q in points])
    d = _to_border(p, line)
    share = np.clip(d / edge, 0, 1)
    swell = np.sqrt(np.clip(1 - (1 - share) ** 2, 0, 1))
    x, z = p.T
    ripple = (
        np.sin(x * 19 + z * 7 + phase) * np.sin(z * 13 - x * 5 + 2 * phase)
        + 0.6 * np.sin(x * 31 - z * 23 + 3 * phase)
    ) * wrinkle
    front = y - thick / 2 * swell - ripple * share - (folds(x, z) * share if folds else 0)
    back = y + thick / 2 * swell
    m = len(p)
    vertices = np.concatenate([np.stack([x, front, z], 1), np.stack([x, back, z], 1)])
    solid = [tuple(f) for f in faces] + [tuple(i + m for i in reversed(f)) for f in faces]
    border = np.flatnonzero(d < 1e-6)
    same = {int(i) + m: int(i) for i in border}  # front and back share the border
    vertices[border, 1] = y
    solid = [tuple(same.get(i, i) for i in f) for f in solid]
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    uv = np.tile(np.stack([c * x - s * z, s * x + c * z], 1), (2, 1))
    from sample_store.mesh import _outward

    part = kit.mesh(vertices, solid, mat, name=name, uv=uv, sharp_deg=180)
    _outward(part.data)


def _even(line: Any, grid: int) -> Any:
    """Return a closed outline with extra points so that no side is longer than a cell of the grid."""
    step = float(np.ptp(line, axis=0).max()) / grid
    out = []
    for a, b in zip(line, np.roll(line, -1, 0), strict=True):
        count = max(1, round(float(np.linalg.norm(b - a)) / step))
        out += [a + (b - a) * k / count for k in range(count)]
    keep = [q for i, q in enumerate(out) if np.linalg.norm(q - out[i - 1]) > step * 0.15]
    return np.array(keep)


def _inside(p: Any, line: Any) -> Any:
    """Return which points lie inside a closed outline."""
    inside = np.zeros(len(p), bool)
    for a, b in zip(line, np.roll(line, -1, 0), strict=True):
        crosses = (a[1] > p[:, 1]) != (b[1] > p[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = (b[0] - a[0]) * (p[:, 1] - a[1]) / (b[1] - a[1]) + a[0]
        inside ^= crosses & (p[:, 0] < at)
    return inside


def _to_border(p: Any, line: Any) -> Any:
    """Return each point's distance from a closed outline."""
    best = np.full(len(p), np.inf)
    for a, b in zip(line, np.roll(line, -1, 0), strict=True):
        side = b - a
        t = np.clip(((p - a) @ side) / max(float(side @ side), 1e-12), 0, 1)
        best = np.minimum(best, np.linalg.norm(p - a - t[:, None] * side, axis=1))
    return best


def arc(
    radius: float, start: float, end: float, count: int = 16, at: tuple[float, float] = (0.0, 0.0)
) -> Any:
    """Return (count, 2) points of a circle's arc between two angles in degrees."""
    t = np.radians(np.linspace(start, end, count))
    return np.stack([at[0] + radius * np.cos(t), at[1] + radius * np.sin(t)], 1)


def ring_at(centre: Sequence[float], along: Sequence[float], rx: float, ry: float, count: int = 32) -> Any:
    """Return an ellipse (count, 3) square to `along` in the xz plane: rx across it there, ry along y."""
    a = np.asarray(along, float)
    a = a / np.linalg.norm(a)
    across = np.array([a[2], 0.0, -a[0]])
    t = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return np.asarray(centre, float) + np.outer(np.cos(t) * rx, across) + np.outer(np.sin(t) * ry, (0, 1, 0))


def beads(kit: Any, points: Any, radius: float | Sequence[float], mat: Any, *, name: str = "beads") -> None:
    """Thread small balls at the points, all in one part; `radius` may hold one value a point."""
    p = np.asarray(points, float)
    radii = np.full(len(p), radius, float) if isinstance(radius, int | float) else np.asarray(radius, float)
    turn, rise = np.linspace(0, 2 * math.pi, 16, endpoint=False), np.linspace(-math.pi / 2, math.pi / 2, 11)
    ball = np.array(
        [(math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)) for b in rise for a in turn]
    )
    quads = [
        (r * 16 + i, r * 16 + (i + 1) % 16, (r + 1) * 16 + (i + 1) % 16, (r + 1) * 16 + i)
        for r in range(10)
        for i in range(16)
    ]
    vertices = np.concatenate([q + ball * r for q, r in zip(p, radii, strict=True)])
    faces = [tuple(i + k * len(ball) for i in f) for k in range(len(p)) for f in quads]
    kit.mesh(vertices, faces, mat, name=name, sharp_deg=180)


def chain(kit: Any, path: Any, size: float, mat: Any, *, closed: bool = False, name: str = "chain") -> None:
    """Lay links `size` long along a path, every second one turned on its edge, all in one part."""
    line = np.asarray(path, float)
    if closed:
        line = np.vstack([line, line[:1]])
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    count = max(4, round(along[-1] / (size * 0.66)))
    at = np.linspace(0, along[-1], count, endpoint=not closed)
    p = np.stack([np.interp(at, along, line[:, k]) for k in range(3)], 1)
    way = np.roll(p, -1, 0) - np.roll(p, 1, 0) if closed else np.gradient(p, axis=0)
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-12)
    turn, wire = (
        np.linspace(0, 2 * math.pi, 12, endpoint=False),
        np.linspace(0, 2 * math.pi, 6, endpoint=False),
    )
    vertices, faces = [], []
    for k, (centre, t) in enumerate(zip(p, way, strict=True)):
        side = np.cross(t, (0.0, 1.0, 0.001))
        side /= max(float(np.linalg.norm(side)), 1e-9)
        up = np.cross(side, t)
        across = side * 0.8 + up * 0.6 if k % 2 else up * 0.8 - side * 0.6
        normal = np.cross(t, across)
        first = len(vertices)
        for a in turn:
            out = t * math.cos(a) + across * math.sin(a)
            middle = centre + t * math.cos(a) * size * 0.46 + across * math.sin(a) * size * 0.3
            vertices += [middle + (out * math.cos(b) + normal * math.sin(b)) * size * 0.11 for b in wire]
        faces += [
            (
                first + i * 6 + j,
                first + (i + 1) % 12 * 6 + j,
                first + (i + 1) % 12 * 6 + (j + 1) % 6,
                first + i * 6 + (j + 1) % 6,
            )
            for i in range(12)
            for j in range(6)
        ]
    kit.mesh(np.array(vertices), faces, mat, name=name, sharp_deg=180)


def gem(
    kit: Any, at: Sequence[float], radius: float, mat: Any, *, axis: str = "y", name: str = "gem"
) -> None:
    """Set a cut stone: its table towards -y ("y") or up ("z"), its girdle at `at`."""
    profile = [
        (0, -radius * 0.75),
        (radius, -radius * 0.05),
        (radius, radius * 0.05),
        (radius * 0.6, radius * 0.38),
        (0, radius * 0.38),
    ]
    with kit.place(*at, rot=(90, 0, 0) if axis == "y" else (0, 0, 0)):
        kit.lathe(profile, mat, segments=10, name=name)
