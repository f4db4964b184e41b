"""Declare accessories: watches, handbags, backpacks. It knows no camera and no light."""

import itertools
import math
import random
from typing import Any

from sample_store.spec import Finish, ProductType, Spec


def build_watch(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a wrist watch that stands on its closed strap, its dial towards -y and a little up."""
    radius = rng.uniform(0.0195, 0.0225)
    {
        "leather": _leather_watch,
        "bracelet": _bracelet_watch,
        "sports": _sports_watch,
        "square": _square_watch,
    }[spec.shape](kit, spec, rng, radius)


LEAN = 20  # degrees that a standing watch's dial is tilted up

# A digit's seven segments: (side, height, upright), and the segments of the figures in use.
SEGMENTS = {
    "a": (0, 1, False),
    "b": (1, 0.5, True),
    "c": (1, -0.5, True),
    "d": (0, -1, False),
    "e": (-1, -0.5, True),
    "f": (-1, 0.5, True),
    "g": (0, 0, False),
}
FIGURES = {
    "0": "abcdef",
    "1": "bc",
    "2": "abged",
    "3": "abgcd",
    "5": "afgcd",
    "6": "afgcde",
    "7": "abc",
    "8": "abcdefg",
    "9": "abcdfg",
}


def _strap_line(case: float, deep: float = 0.054) -> Any:
    """Return the strap's line (121, 3) in the yz plane from the case's upper lug round the back to its lower lug.

    The case is centred on the origin and faces -y; `case` is the lugs' distance from its centre.
    """
    from sample_store.mesh import catmull

    half = [
        (0.002, case),
        (0.0045, case + 0.006),
        (0.013, case + 0.0115),
        (deep / 2, case + 0.0125),
        (deep - 0.012, case + 0.004),
        (deep - 0.002, case * 0.5),
    ]
    line = [*half, (deep, 0.0), *[(y, -z) for y, z in reversed(half)]]
    return catmull([(0.0, y, z) for y, z in line], 10)


def _flat(width: float, thick: float) -> Any:
    """Return a strap's section: `width` across the wrist, `thick` through the strap."""
    from sample_store.mesh import superellipse

    return superellipse(width / 2, thick / 2, 5, 24)


def _strap(kit: Any, line: Any, wide: float, end: float, thick: float, mat: Any) -> None:
    """Skin a strap along a line in the yz plane, `wide` at the case and `end` at the back."""
    import numpy as np

    p = np.asarray(line)
    tangent = np.gradient(p, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([0 * tangent[:, 0], -tangent[:, 2], tangent[:, 1]], 1)
    rings = []
    for i, (point, out) in enumerate(zip(p, normal, strict=True)):
        share = 1 - abs(2 * i / (len(p) - 1) - 1)
        outline = _flat(wide + (end - wide) * min(1.0, share * 1.6), thick)
        rings.append(point + outline[:, :1] * np.array([1.0, 0, 0]) + outline[:, 1:] * out)
    kit.loft(rings, mat, name="strap")


def _dial(kit: Any, radius: float, y: float, face: Any, mark: Any, style: str, seconds: bool = True) -> None:
    """Lay a round dial at y with twelve markers or figures' blocks and hands at ten past ten."""
    kit.cylinder((0, y + 0.0012, 0), (0, y, 0), radius, face, round_edge=0.0001, name="dial")
    for hour in range(12):
        a = math.radians(30 * hour)
        long = 0.26 if hour % 3 == 0 else 0.16
        wide = radius * (0.11 if hour % 3 == 0 else 0.065)
        r0, r1 = radius * 0.9, radius * (0.9 - long)
        if style == "dots" and hour % 3:
            at = (radius * 0.8 * math.sin(a), radius * 0.8 * math.cos(a))
            kit.cylinder(
                (at[0], y + 0.0003, at[1]),
                (at[0], y - 0.0004, at[1]),
                radius * 0.07,
                mark,
                segments=16,
                name="marker",
            )
            continue
        start, end = ((r * math.sin(a), y - 0.0001, r * math.cos(a)) for r in (r0, r1))
        kit.beam(start, end, wide, 0.0008, mark, bevel=0, name="marker")
    for degrees, long, wide in ((-58, 0.5, 0.1), (60, 0.76, 0.075)):
        a = math.radians(degrees)
        tail, tip = ((r * math.sin(a), y - 0.0008, r * math.cos(a)) for r in (-radius * 0.14, radius * long))
        kit.beam(tail, tip, radius * wide, 0.0007, mark, bevel=0, name="hand")
    if seconds:
        a = math.radians(195)
        tail, tip = ((r * math.sin(a), y - 0.0013, r * math.cos(a)) for r in (-radius * 0.2, radius * 0.78))
        kit.beam(tail, tip, radius * 0.03, 0.0005, kit.mat("red metal"), bevel=0, name="second hand")
    kit.cylinder((0, y, 0), (0, y - 0.0019, 0), radius * 0.07, mark, segments=20, name="pin")


def _round_case(kit: Any, radius: float, metal: Any, thick: float = 0.009) -> float:
    """Model a round case with bezel and crown, centred on the origin; return the dial's y."""
    with kit.place(rot=(90, 0, 0)):
        outer = [
            (0, -thick / 2),
            (radius * 0.9, -thick / 2),
            (radius, -thick * 0.2),
            (radius, thick * 0.25),
            (radius * 0.93, thick * 0.5),
            (radius * 0.85, thick * 0.5),
            (radius * 0.83, thick * 0.3),
            (0, thick * 0.3),
        ]
        kit.lathe(outer, metal, round_edge=0.0009, name="case")
    kit.cylinder(
        (radius - 0.001, 0, 0), (radius + 0.0035, 0, 0), 0.0028, metal, round_edge=0.0005, name="crown"
    )
    return -thick * 0.3 - 0.0003


def _lugs(kit: Any, radius: float, wide: float, reach: float, metal: Any) -> None:
    """Model the four lugs and the two bars that hold a strap."""

    def lug() -> None:
        path = [
            (wide / 2 + 0.0008, -0.001, radius * 0.72),
            (wide / 2 + 0.0008, 0.0, radius * 0.98),
            (wide / 2 + 0.0008, 0.0035, reach),
        ]
        kit.tube(path, [0.0026, 0.0023, 0.0018], metal, smooth=True, name="lug")

    for mirror in ("", "z"):
        with kit.place(mirror=mirror):
            kit.both_sides(lug)
            kit.cylinder(
                (-wide / 2, 0.0025, reach - 0.001),
                (wide / 2, 0.0025, reach - 0.001),
                0.0012,
                metal,
                name="bar",
            )


def _buckle(kit: Any, wide: float, y: float, metal: Any, strap: Any) -> None:
    """Model a pin buckle and two keepers at the back of the strap."""
    from sample_store.mesh import rounded_rect

    frame = rounded_rect(wide + 0.006, 0.012, 0.002)
    hole = rounded_rect(wide + 0.001, 0.007, 0.001)
    kit.extrude(
        frame, 0.003, metal, plane="xz", at=(0, y + 0.001, -0.006), bevel=0.0008, holes=[hole], name="buckle"
    )
    kit.cylinder((0, y + 0.003, -0.012), (0, y + 0.0025, 0.0), 0.0009, metal, name="buckle pin")
    for z in (0.006, 0.014):
        kit.box(
            (wide + 0.003, 0.0065, 0.0045),
            strap,
            at=(0, y - 0.0008 - (0.0012 if z > 0.01 else 0), z),
            bevel=0.0012,
            name="keeper",
        )


def _face(kit: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a dial's material and its markers' material, dark on light or light on dark."""
    colour = rng.choice(("white", "white", "black", "navy", "green", "beige"))
    dark = colour in ("black", "navy", "green")
    return kit.mat("gloss", colour), kit.mat("metal", "white" if dark else "black")


def _leather_watch(kit: Any, spec: Spec, rng: random.Random, radius: float) -> None:
    """A slim round dress watch on a stitched leather strap."""
    strap, metal = kit.main_plain(weave=0.0016), kit.accent()
    wide = radius * 0.98
    with kit.place(rot=(-LEAN, 0, 0)):
        y = _round_case(kit, radius, metal, 0.0085)
        face, mark = _face(kit, rng)
        _dial(kit, radius * 0.84, y, face, mark, rng.choice(("bars", "dots")), rng.random() < 0.6)
        reach = radius * 1.17
        _lugs(kit, radius, wide, reach, metal)
        line = _strap_line(reach - 0.001)
        _strap(kit, line, wide, wide * 0.86, 0.0032, strap)
        _stitches(kit, line, wide * 0.5 - 0.0021, 0.0017, spec)
        _buckle(kit, wide * 0.86, 0.054, metal, strap)


def _stitches(kit: Any, line: Any, x: float, out: float, spec: Spec) -> None:
    """Sew a row of stitches along both edges of the strap's parts next to the case."""
    import numpy as np

    from sample_store.mesh import catmull

    thread = kit.mat("fabric", "beige" if spec.colour != "beige" else "brown", weave=0.001)
    p = catmull(line, 4)
    tangent = np.gradient(p, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([0 * tangent[:, 0], tangent[:, 2], -tangent[:, 1]], 1)
    centre = p.mean(0)
    for i in (*range(5, 44, 2), *range(len(p) - 45, len(p) - 6, 2)):
        sign = 1.0 if np.dot(normal[i], p[i] - centre) > 0 else -1.0
        lift = normal[i] * sign * out
        for side in (-1, 1):
            shift = lift + np.array([side * x, 0, 0])
            kit.beam(p[i] + shift, p[i + 1] + shift, 0.0009, 0.0009, thread, bevel=0, name="stitch")


def _bracelet_watch(kit: Any, spec: Spec, rng: random.Random, radius: float) -> None:
    """A diver's watch with a notched bezel on a metal link bracelet."""
    import numpy as np

    metal = kit.main_plain()
    wide, reach = radius * 1.02, radius * 1.12
    with kit.place(rot=(-LEAN, 0, 0)):
        y = _round_case(kit, radius, metal, 0.011)
        colour = rng.choice(("black", "navy", "green", "red"))
        ring = [(radius * 0.99, 0.0), (radius * 0.99, 0.0018), (radius * 0.84, 0.0024), (radius * 0.84, 0.0)]
        with kit.place(0, -0.005, 0, rot=(90, 0, 0)):
            kit.lathe([*ring, ring[0]], kit.mat("gloss", colour), name="bezel")
            for i in range(12):
                a = math.radians(30 * i)
                x, z = radius * 0.915 * math.sin(a), radius * 0.915 * math.cos(a)
                kit.cylinder(
                    (x, z, 0.0018),
                    (x, z, 0.0026),
                    0.0009 if i else 0.0016,
                    kit.mat("white metal"),
                    segments=12,
                    name="bezel dot",
                )
        face = kit.mat("gloss", colour if colour != "red" else "black")
        _dial(kit, radius * 0.84, y - 0.0004, face, kit.mat("white metal"), "dots")
        _lugs(kit, radius, wide, reach, metal)
        p = _strap_line(reach - 0.001)
        length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))]
        count = int(length[-1] / 0.0072)
        spots = np.linspace(0, length[-1], count + 1)
        knots = np.stack([np.interp(spots, length, p[:, k]) for k in range(3)], 1)
        dark = (
            kit.mat("steel", roughness=0.18, brushed=False) if spec.material != "steel" else kit.mat("chrome")
        )
        for i, (a, b) in enumerate(itertools.pairwise(knots)):
            share = min(1.0, 1.6 * (1 - abs(2 * (i + 0.5) / count - 1)))
            w = wide * (1 - 0.16 * share)
            gap = (b - a) * 0.04
            middle = w * 0.38
            kit.beam(a + gap, b - gap, middle, 0.0040, dark, bevel=0.0008, name="link")
            for side in (-1, 1):
                shift = np.array([side * (middle / 2 + w * 0.155), 0, 0])
                kit.beam(a + gap + shift, b - gap + shift, w * 0.3, 0.0036, metal, bevel=0.0008, name="link")
            kit.beam(a - gap, b + gap, w * 0.9, 0.0022, metal, bevel=0.0003, name="link pin")
        kit.box((wide * 0.84, 0.0055, 0.016), metal, at=(0, 0.0535, -0.008), bevel=0.001, name="clasp")


def _square_watch(kit: Any, spec: Spec, rng: random.Random, radius: float) -> None:
    """A smart watch: a soft square case with a lit display on a rubber strap."""
    strap, metal = kit.main_plain(), kit.accent()
    half = radius * 0.92
    with kit.place(rot=(-LEAN, 0, 0)):
        _block_case(kit, half, half * 1.16, 0.0105, 0.0075, metal)
        _tile(kit, half * 0.88, half * 1.04, -0.0052, 0.005, kit.mat("black gloss"), "glass")
        _tile(
            kit,
            half * 0.76,
            half * 0.92,
            -0.0056,
            0.004,
            kit.mat("screen", picture=rng.randrange(4)),
            "display",
        )
        _dial_marks(kit, half * 0.74, rng)
        kit.cylinder(
            (half - 0.001, 0, half * 0.45),
            (half + 0.003, 0, half * 0.45),
            0.0033,
            metal,
            round_edge=0.0006,
            name="crown",
        )
        kit.box((0.003, 0.003, half * 0.5), metal, at=(half, 0, -half * 0.6), bevel=0.001, name="button")
        wide = half * 1.62
        _strap(kit, _strap_line(half * 1.12), wide, wide * 0.88, 0.0036, strap)
        _buckle(kit, wide * 0.86, 0.054, metal, strap)


def _dial_marks(kit: Any, radius: float, rng: random.Random) -> None:
    """Draw a watch face in white on a display: twelve ticks, two hands and a small ring."""
    white, y = kit.mat("white plastic"), -0.0068
    kit.cylinder(
        (0, y + 0.0013, 0),
        (0, y + 0.0002, 0),
        radius * 1.07,
        kit.mat("black gloss"),
        round_edge=0.0001,
        name="dial",
    )
    for hour in range(12):
        a = math.radians(30 * hour)
        start, end = ((r * radius * math.sin(a), y, r * radius * math.cos(a)) for r in (0.98, 0.82))
        kit.beam(start, end, radius * (0.1 if hour % 3 == 0 else 0.06), 0.0006, white, bevel=0, name="tick")
    for degrees, long in ((-58, 0.5), (60, 0.74)):
        a = math.radians(degrees)
        kit.beam(
            (0, y, 0),
            (radius * long * math.sin(a), y, radius * long * math.cos(a)),
            radius * 0.09,
            0.0007,
            white,
            bevel=0,
            name="hand",
        )
    kit.torus(
        radius * 0.2,
        radius * 0.035,
        kit.mat("red gloss"),
        at=(0, y, -radius * 0.48),
        axis="y",
        name="small ring",
    )
    kit.cylinder((0, y + 0.001, 0), (0, y - 0.0008, 0), radius * 0.08, white, segments=20, name="pin")


def _block_case(kit: Any, half: float, tall: float, thick: float, round_: float, mat: Any) -> None:
    """Model a soft rectangular case, `half` and `tall` from its centre to its sides."""
    from sample_store.mesh import rounded_rect

    kit.extrude(rounded_rect(2 * half, 2 * tall, round_), thick, mat, plane="xz", bevel=0.002, name="case")


def _tile(kit: Any, half: float, tall: float, y: float, round_: float, mat: Any, name: str) -> None:
    """Lay a thin soft rectangle at y."""
    from sample_store.mesh import rounded_rect

    kit.extrude(
        rounded_rect(2 * half, 2 * tall, round_),
        0.0012,
        mat,
        plane="xz",
        at=(0, y, 0),
        bevel=0.0003,
        name=name,
    )


def _sports_watch(kit: Any, spec: Spec, rng: random.Random, radius: float) -> None:
    """A chunky digital sports watch: an eight-sided case with screws and side buttons."""
    strap, trim = kit.main_plain(), kit.accent()
    r = radius * 1.08

    def octagon(size: float, cut: float = 0.42) -> list[tuple[float, float]]:
        c = size * (1 - cut)
        return [
            (-c, -size),
            (c, -size),
            (size, -c),
            (size, c),
            (c, size),
            (-c, size),
            (-size, c),
            (-size, -c),
        ]

    with kit.place(rot=(-LEAN, 0, 0)):
        kit.extrude(octagon(r), 0.013, strap, plane="xz", bevel=0.002, name="case")
        kit.extrude(
            octagon(r * 0.84), 0.0022, trim, plane="xz", at=(0, -0.0068, 0), bevel=0.0007, name="bezel"
        )
        grey = kit.mat("black gloss")
        kit.extrude(
            octagon(r * 0.66, 0.3), 0.001, grey, plane="xz", at=(0, -0.0080, 0), bevel=0.0002, name="glass"
        )
        kit.box(
            (r * 0.98, 0.0008, r * 0.5),
            kit.mat("plastic", "olive", roughness=0.3),
            at=(0, -0.0085, -r * 0.33),
            bevel=0,
            name="display",
        )
        ink = kit.mat("black plastic")
        for x, figure in zip((-0.36, -0.15, 0.15, 0.36), rng.choice(("1058", "1236", "0927")), strict=True):
            for part in FIGURES[figure]:
                sx, sz, upright = SEGMENTS[part]
                size = (0.035, 0.19) if upright else (0.13, 0.035)
                at = ((x + 0.06 * sx) * r, -0.0091, (-0.08 + 0.225 * sz - size[1] / 2) * r)
                kit.box((r * size[0], 0.0006, r * size[1]), ink, at=at, bevel=0, name="digit")
        kit.box(
            (r * 0.6, 0.0007, r * 0.09),
            kit.mat("white plastic"),
            at=(0, -0.0085, r * 0.33),
            bevel=0,
            name="brand",
        )
        for x in (-1, 1):
            for z in (-1, 1):
                kit.cylinder(
                    (x * r * 0.62, -0.007, z * r * 0.62),
                    (x * r * 0.62, -0.0086, z * r * 0.62),
                    r * 0.07,
                    kit.mat("steel"),
                    segments=16,
                    name="screw",
                )
                kit.box(
                    (0.0045, 0.005, r * 0.24),
                    kit.mat("steel"),
                    at=(x * r, 0, z * r * 0.36 - r * 0.12),
                    bevel=0.001,
                    name="button",
                )
        wide = r * 1.3
        _strap(kit, _strap_line(r * 0.96, 0.058), wide, wide * 0.72, 0.0048, strap)
        _buckle(kit, wide * 0.7, 0.058, kit.mat("steel"), strap)


WATCH = ProductType(
    name="watch",
    category="Accessories",
    mount="table",
    price=(39, 690),
    shapes={"leather": "classic", "bracelet": "diver", "square": "modern", "sports": "sporty"},
    finishes=(
        Finish("leather", ("brown", "black", "navy", "green"), weight=3, shapes=("leather",)),
        Finish("steel", weight=2, shapes=("bracelet",)),
        Finish("gold", shapes=("bracelet",)),
        Finish("rubber", ("black", "blue", "orange", "red", "green"), weight=6, shapes=("square", "sports")),
    ),
    build=build_watch,
    accents={
        "leather": ("gold", "steel"),
        "square": ("aluminium", "black metal"),
        "sports": ("black metal", "yellow metal", "grey metal"),
    },
    title={
        "leather": "{finish} strap watch with {accent} case",
        "bracelet": "{finish} bracelet watch",
        "square": "Square smart watch with {finish} strap",
        "sports": "Digital sports watch in {finish}",
    },
    azimuths=((-30, -14), (18, 36), (48, 62)),
    elevations=((10, 16), (20, 28), (8, 12)),
)


def build_handbag(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a handbag 25 to 40 cm wide that faces -y, its handles standing up."""
    {"tote": _tote, "satchel": _satchel, "bucket": _bucket_bag, "shoulder": _shoulder_bag}[spec.shape](
        kit, spec, rng
    )


def _ring(width: float, depth: float, z: float, y: float = 0.0, power: float = 5.0, n: int = 72) -> Any:
    """Return a level soft rectangle at height z as (n, 3) points."""
    import numpy as np

    from sample_store.mesh import superellipse

    flat = superellipse(width / 2, depth / 2, power, n)
    return np.column_stack([flat[:, 0], flat[:, 1] + y, np.full(n, z)])


def _loop(kit: Any, at: tuple[float, float, float], size: float, metal: Any, axis: str = "y") -> None:
    """Add a metal ring that holds a handle or strap."""
    kit.torus(size, size * 0.19, metal, at=at, axis=axis, name="ring")


def _dashes(kit: Any, start: Any, end: Any, thread: Any, step: float = 0.009) -> None:
    """Sew a straight row of stitches from start to end."""
    import numpy as np

    a, b = np.asarray(start, float), np.asarray(end, float)
    count = max(2, int(np.linalg.norm(b - a) / step))
    for i in range(count):
        kit.beam(
            a + (b - a) * (i + 0.15) / count,
            a + (b - a) * (i + 0.8) / count,
            0.0018,
            0.0018,
            thread,
            bevel=0,
            name="stitch",
        )


def _tote(kit: Any, spec: Spec, rng: random.Random) -> None:
    """An open shopper with two arched handles on sewn tabs."""
    body, trim, metal = (
        kit.main(scale=rng.uniform(0.045, 0.06), weave=0.003),
        kit.accent(weave=0.003),
        kit.mat("brass"),
    )
    width, height, depth = rng.uniform(0.30, 0.36), rng.uniform(0.25, 0.29), rng.uniform(0.11, 0.13)
    flare = rng.uniform(1.08, 1.2)
    lining = kit.mat("fabric", "beige" if spec.colour != "beige" else "grey")
    outside = [
        _ring(width * 0.97, depth * 0.95, 0.0),
        _ring(width, depth, 0.006),
        _ring(width * (1 + flare) / 2, depth, height * 0.5),
        _ring(width * flare, depth * 0.95, height),
    ]
    lip = [
        _ring(width * flare - 0.008, depth * 0.95 - 0.008, height),
        _ring(width * flare - 0.02, depth * 0.9 - 0.012, height * 0.8),
    ]
    kit.loft([*outside, *lip], body, name="body")
    kit.loft(
        [
            _ring(width * flare - 0.017, depth * 0.9 - 0.009, height * 0.74),
            _ring(width * flare - 0.011, depth * 0.93 - 0.006, height * 0.9),
        ],
        lining,
        name="lining",
    )
    kit.loft(
        [
            _ring(width * 0.985, depth * 0.99, -0.001),
            _ring(width * 1.012, depth * 1.03, 0.006),
            _ring(width * (1.012 + 0.1 * (flare - 1)), depth * 1.03, 0.045),
        ],
        trim,
        name="base",
    )
    thread = kit.mat("fabric", "beige" if "beige" not in spec.accent else "brown")
    reach, rise = width * rng.uniform(0.22, 0.26), rng.uniform(0.13, 0.17)

    def handle() -> None:
        front = -depth * 0.485
        for x in (-reach, reach):
            kit.box(
                (0.03, 0.006, height * 0.3),
                trim,
                at=(x, front - 0.001, height * 0.66),
                bevel=0.002,
                name="tab",
            )
            for side in (-1, 1):
                _dashes(
                    kit,
                    (x + side * 0.011, front - 0.0042, height * 0.68),
                    (x + side * 0.011, front - 0.0042, height * 0.93),
                    thread,
                )
            kit.cylinder(
                (x, front - 0.002, height * 0.72),
                (x, front - 0.0065, height * 0.72),
                0.005,
                metal,
                name="rivet",
            )
        arch = [
            (-reach, front - 0.001, height * 0.92),
            (-reach, front, height + 0.03),
            (-reach * 0.62, front * 0.8, height + rise * 0.86),
            (0, front * 0.7, height + rise),
            (reach * 0.62, front * 0.8, height + rise * 0.86),
            (reach, front, height + 0.03),
            (reach, front - 0.001, height * 0.92),
        ]
        kit.tube(arch, 0.0075, trim, smooth=True, name="handle")

    kit.both_sides(handle, "y")


def _flap(
    kit: Any,
    line: list[tuple[float, float]],
    width: float,
    mat: Any,
    thick: float = 0.005,
    round_: float = 0.16,
) -> Any:
    """Lay a flap of some width along a line of (y, z) from the back over the top; return the line's points."""
    from sample_store.mesh import catmull

    p = catmull(line, 10)

    def surface(u: float, v: float) -> tuple[float, float, float]:
        k = v * (len(p) - 1)
        i = min(int(k), len(p) - 2)
        y, z = p[i] + (p[i + 1] - p[i]) * (k - i)
        end = max(0.0, (v - 1 + round_) / round_)
        half = width / 2 * (1 - 0.3 * (1 - math.sqrt(max(0.0, 1 - end**3))))
        return (2 * u - 1) * half, y, z

    kit.sheet(surface, mat, thickness=thick, nu=9, nv=61, name="flap")
    return p


def _clasp_strap(
    kit: Any, x: float, y: float, top: float, low: float, strap: Any, metal: Any, wide: float = 0.024
) -> None:
    """Hang a narrow strap with a buckle on a front at y, from `top` down to `low`."""
    from sample_store.mesh import rounded_rect

    kit.box((wide, 0.005, top - low), strap, at=(x, y - 0.001, low), bevel=0.0018, name="strap")
    frame, hole = rounded_rect(wide + 0.014, 0.026, 0.004), rounded_rect(wide + 0.003, 0.014, 0.002)
    z = low + (top - low) * 0.42
    kit.extrude(
        frame, 0.005, metal, plane="xz", at=(x, y - 0.004, z), bevel=0.0012, holes=[hole], name="buckle"
    )
    kit.cylinder((x, y - 0.006, z - 0.011), (x, y - 0.005, z + 0.011), 0.0016, metal, name="buckle pin")
    for i in range(3):
        at = low + 0.008 + i * 0.009
        if at < z - 0.014:
            kit.cylinder(
                (x, y - 0.002, at),
                (x, y - 0.0042, at),
                0.0016,
                kit.mat("black plastic"),
                segments=12,
                name="hole",
            )


def _satchel(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A structured bag with a flap, two buckled straps, a top handle and a long strap."""
    body, metal = kit.main_plain(weave=0.003), kit.accent()
    width, height, depth = rng.uniform(0.27, 0.31), rng.uniform(0.19, 0.22), rng.uniform(0.085, 0.1)
    kit.cushion((width, depth, height), body, radius=0.016, puff=0.006, wrinkle=0.001, name="body")
    front, drop = -depth / 2, rng.uniform(0.4, 0.52) * height
    line = [
        (depth / 2 + 0.003, height * 0.78),
        (depth / 2 + 0.002, height - 0.006),
        (depth * 0.3, height + 0.006),
        (0, height + 0.007),
        (front * 0.6, height + 0.006),
        (front - 0.005, height - 0.009),
        (front - 0.0075, height * 0.8),
        (front - 0.0085, height - drop),
    ]
    _flap(kit, line, width + 0.008, body)
    thread = kit.mat("fabric", "beige" if spec.colour != "beige" else "brown")
    for x in (-1, 1):
        at = x * width * 0.485
        _dashes(kit, (at, front - 0.0105, height * 0.83), (at, front - 0.0112, height - drop * 0.8), thread)
        _clasp_strap(kit, x * width * 0.27, front - 0.012, height * 0.86, height * 0.16, body, metal)
        kit.box(
            (0.03, 0.008, 0.02),
            body,
            at=(x * width * 0.27, front - 0.003, height * 0.14),
            bevel=0.002,
            name="strap end",
        )
    reach = width * 0.2
    for root in (-reach, reach):
        kit.box((0.02, 0.032, 0.006), body, at=(root, 0, height + 0.006), bevel=0.002, name="handle tab")
        _loop(kit, (root, 0, height + 0.016), 0.009, metal)
    arch = [
        (-reach, 0, height + 0.02),
        (-reach * 0.8, 0, height + 0.05),
        (0, 0, height + 0.066),
        (reach * 0.8, 0, height + 0.05),
        (reach, 0, height + 0.02),
    ]
    kit.tube(arch, 0.0075, body, smooth=True, name="handle")
    side, rise = width / 2 + 0.006, height + rng.uniform(0.13, 0.18)
    for x in (-1, 1):
        kit.box(
            (0.008, 0.028, 0.05),
            body,
            at=(x * (width / 2 + 0.003), 0, height * 0.68),
            bevel=0.002,
            name="side tab",
        )
        _loop(kit, (x * side, 0, height * 0.68 + 0.056), 0.012, metal, "x")
    start = height * 0.68 + 0.062
    path = [
        (-side, 0, start),
        (-side * 0.99, 0.012, height + 0.03),
        (-side * 0.6, 0.022, rise - 0.03),
        (0, 0.026, rise),
        (side * 0.6, 0.022, rise - 0.03),
        (side * 0.99, 0.012, height + 0.03),
        (side, 0, start),
    ]
    kit.tube(path, 1.0, body, smooth=True, section=_flat(0.018, 0.004), name="shoulder strap")


def _bucket_bag(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A round bag gathered by a drawstring, with a contrasting base and one strap."""
    import numpy as np

    body, trim, metal = kit.main(scale=0.05, weave=0.003), kit.accent(weave=0.003), kit.mat("brass")
    radius, height = rng.uniform(0.105, 0.12), rng.uniform(0.23, 0.26)
    a = np.linspace(0, 2 * math.pi, 144, endpoint=False)

    def ring(share: float, z: float, fold: float) -> Any:
        r = radius * share * (1 + fold * np.sin(14 * a))
        return np.column_stack([r * np.cos(a), r * 0.86 * np.sin(a), np.full(len(a), z)])

    outside = [
        ring(0.9, 0, 0),
        ring(0.97, 0.006, 0),
        ring(1.02, height * 0.3, 0),
        ring(1.04, height * 0.6, 0.004),
        ring(0.97, height * 0.82, 0.025),
        ring(0.94, height * 0.88, 0.04),
        ring(1.0, height, 0.055),
    ]
    inside = [ring(0.96, height, 0.055), ring(0.9, height * 0.88, 0.04), ring(0.9, height * 0.75, 0.02)]
    kit.loft([*outside, *inside], body, smooth=3, name="body")
    kit.loft([ring(0.92, -0.001, 0), ring(1.0, 0.006, 0), ring(1.045, height * 0.2, 0)], trim, name="base")
    cord = [(x * 0.952, y * 0.952, height * 0.87) for x, y, _ in ring(1.0, 0, 0.03)]
    kit.tube(cord, 0.0042, trim, closed=True, name="drawstring")
    front = -radius * 0.86 * 0.97
    kit.sphere((0.009, 0.009, 0.008), trim, at=(0, front - 0.007, height * 0.87), name="knot")
    for x in (-1, 1):
        low = height * rng.uniform(0.5, 0.56)
        tail = [
            (0, front - 0.007, height * 0.87),
            (x * 0.012, front - 0.016, height * 0.8),
            (x * 0.022, front - 0.016, low),
        ]
        kit.tube(tail, 0.0034, trim, smooth=True, name="cord end")
        kit.cylinder(
            (x * 0.022, front - 0.016, low + 0.004),
            (x * 0.0225, front - 0.016, low - 0.03),
            0.0045,
            trim,
            end_radius=0.009,
            name="tassel",
        )
    side, rise = radius * 0.985, height + rng.uniform(0.13, 0.2)
    for x in (-1, 1):
        kit.box((0.012, 0.034, 0.06), trim, at=(x * side, 0, height * 0.7), bevel=0.003, name="side tab")
        _loop(kit, (x * (side + 0.004), 0, height * 0.7 + 0.066), 0.012, metal, "x")
    s, z = side + 0.004, height * 0.7 + 0.074
    path = [
        (-s, 0, z),
        (-s * 1.04, 0, height + 0.03),
        (-s * 0.7, 0, rise - 0.03),
        (0, 0, rise),
        (s * 0.7, 0, rise - 0.03),
        (s * 1.04, 0, height + 0.03),
        (s, 0, z),
    ]
    kit.tube(path, 1.0, trim, smooth=True, section=_flat(0.026, 0.005), name="strap")


def _shoulder_bag(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A half-moon bag with a zip along its dipped top and a short strap."""
    import numpy as np

    from sample_store.mesh import superellipse

    body, metal = kit.main_plain(weave=0.003), kit.accent()
    half, height, depth = rng.uniform(0.135, 0.155), rng.uniform(0.14, 0.17), rng.uniform(0.075, 0.09)
    dip, rings, zipper, seam = rng.uniform(0.022, 0.04), [], [], []
    outline = superellipse(1.0, 1.0, 2.6, 48)
    for s in np.sin(np.linspace(-1, 1, 41) * math.pi / 2):
        top = height - dip * (1 - s * s)
        low = (height - 0.035) * (1 - (1 - s * s) ** 0.5)
        deep = depth * (0.16 + 0.84 * (1 - abs(s) ** 2.4))
        middle, tall = (top + low) / 2, (top - low) / 2
        x = half * s
        rings.append(
            np.column_stack([np.full(48, x), outline[:, 0] * deep / 2, middle + outline[:, 1] * tall])
        )
        zipper.append((x, 0.0, top + 0.0005))
        seam.append((x, 0.0, low - 0.0005))
    kit.loft(rings, body, name="body")
    kit.tube(seam, 0.0042, body, name="piping")
    tape = kit.mat("fabric", "black" if spec.colour != "black" else "grey")
    kit.tube(zipper[4:-4], 1.0, tape, section=_flat(0.018, 0.004), name="zip tape")
    kit.tube(zipper[4:-4], 1.0, metal, section=_flat(0.006, 0.0062), name="zip")
    x, _, z = zipper[33]
    kit.box((0.012, 0.009, 0.006), metal, at=(x, 0, z), bevel=0.001, name="slider")
    kit.beam(
        (x, -0.003, z + 0.003), (x + 0.008, -depth * 0.45, z - 0.02), 0.008, 0.0025, metal, name="puller"
    )
    kit.box((0.05, 0.004, 0.014), metal, at=(0, -depth * 0.478, height * 0.5), bevel=0.001, name="plate")
    rise = height + rng.uniform(0.13, 0.17)
    for side in (-1, 1):
        kit.box(
            (0.022, 0.022, 0.03),
            body,
            at=(side * half * 0.985, 0, height - 0.03),
            bevel=0.004,
            name="end tab",
        )
        _loop(kit, (side * half * 0.985, 0, height + 0.01), 0.013, metal)
    e, z = half * 0.985, height + 0.017
    path = [
        (-e, 0, z),
        (-e * 0.93, 0, height + 0.06),
        (-e * 0.52, 0, rise - 0.02),
        (0, 0, rise),
        (e * 0.52, 0, rise - 0.02),
        (e * 0.93, 0, height + 0.06),
        (e, 0, z),
    ]
    kit.tube(path, 1.0, body, smooth=True, section=_flat(0.026, 0.005), name="strap")


HANDBAG = ProductType(
    name="handbag",
    category="Bags",
    mount="table",
    price=(39, 420),
    shapes={"tote": "casual", "satchel": "classic", "bucket": "bohemian", "shoulder": "elegant"},
    finishes=(
        Finish("leather", ("brown", "black", "red", "green", "pink", "beige"), weight=4),
        Finish(
            "canvas",
            ("navy", "beige", "red", "green"),
            ("plain", "stripes", "dots", "checks"),
            weight=3,
            shapes=("tote", "bucket"),
        ),
        Finish("suede", ("brown", "navy"), weight=1, shapes=("bucket", "shoulder", "satchel")),
    ),
    build=build_handbag,
    accents={
        "tote": ("brown leather", "black leather", "beige leather"),
        "satchel": ("brass", "steel"),
        "bucket": ("brown leather", "black leather", "beige leather"),
        "shoulder": ("gold", "chrome"),
    },
    title={
        "tote": "{finish} tote handbag with {accent} handles",
        "satchel": "{finish} satchel handbag with {accent} buckles",
        "bucket": "{finish} bucket handbag with {accent} strap",
        "shoulder": "{finish} half-moon shoulder handbag",
    },
    azimuths=((16, 32), (-46, -30), (150, 164)),
    elevations=((10, 16), (16, 24), (12, 18)),
)


def build_backpack(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a backpack about 45 cm high: its pockets towards -y, its shoulder straps at the back."""
    width, depth = rng.uniform(0.28, 0.31), rng.uniform(0.13, 0.15)
    {
        "rolltop": _rolltop_backpack,
        "classic": _classic_backpack,
        "school": _school_backpack,
        "mini": _mini_backpack,
    }[spec.shape](kit, spec, rng, width, depth)


def _sack(
    kit: Any,
    sections: list[tuple[float, float, float]],
    width: float,
    depth: float,
    mat: Any,
    power: float = 4.0,
) -> None:
    """Skin a pack's body from (z, share of width, share of depth), its back kept flat at depth / 2."""
    rings = [_ring(width * w, depth * d, z, depth / 2 - depth * d / 2, power, 64) for z, w, d in sections]
    kit.loft(rings, mat, smooth=4, sharp_deg=80, name="body")


def _shoulder_straps(kit: Any, width: float, depth: float, top: float, mat: Any, metal: Any) -> None:
    """Model two padded straps behind the pack, their webbing ends and the loop to hang it by."""
    back = depth / 2

    def strap() -> None:
        x0, x1 = width * 0.14, width * 0.36
        pad = [
            (x0, back - 0.012, top * 0.93),
            (x0 + 0.002, back + 0.035, top * 0.95),
            (x0 + 0.016, back + 0.075, top * 0.78),
            (x0 + 0.03, back + 0.07, top * 0.52),
            (x0 + 0.045, back + 0.045, top * 0.32),
        ]
        kit.tube(pad, 1.0, mat, smooth=True, section=_flat(0.055, 0.013), name="shoulder strap")
        low = [
            (x0 + 0.044, back + 0.047, top * 0.33),
            (x1 - 0.01, back + 0.03, top * 0.2),
            (x1, back - 0.012, top * 0.09),
        ]
        kit.tube(
            low,
            1.0,
            kit.mat("fabric", "black", weave=0.003),
            smooth=True,
            section=_flat(0.024, 0.004),
            name="webbing",
        )
        kit.box(
            (0.04, 0.01, 0.018),
            metal,
            at=(x0 + 0.046, back + 0.043, top * 0.30),
            bevel=0.002,
            name="adjuster",
        )

    kit.both_sides(strap)
    reach = width * 0.09
    loop = [
        (-reach, back - 0.02, top * 0.955),
        (-reach * 0.9, back - 0.008, top + 0.025),
        (0, back - 0.004, top + 0.04),
        (reach * 0.9, back - 0.008, top + 0.025),
        (reach, back - 0.02, top * 0.955),
    ]
    kit.tube(loop, 0.0065, kit.mat("fabric", "black", weave=0.003), smooth=True, name="top loop")


def _zip(kit: Any, path: list[tuple[float, float, float]], mat: Any, pull: Any, at: int) -> None:
    """Lay a zip along a path with its puller hanging from point `at`."""
    kit.tube(path, 0.0042, mat, smooth=True, name="zip")
    x, y, z = path[at]
    kit.box((0.012, 0.01, 0.012), kit.mat("steel"), at=(x, y - 0.002, z - 0.006), bevel=0.002, name="slider")
    kit.box((0.009, 0.005, 0.035), pull, at=(x, y - 0.006, z - 0.038), bevel=0.002, name="puller")


def _pocket(
    kit: Any,
    width: float,
    height: float,
    thick: float,
    at: tuple[float, float, float],
    mat: Any,
    name: str = "pocket",
) -> float:
    """Add a soft pocket whose back middle foot is `at`; return its front's y."""
    kit.cushion(
        (width, thick, height),
        mat,
        at=(at[0], at[1] - thick / 2 + 0.012, at[2]),
        radius=0.024,
        puff=0.012,
        wrinkle=0.001,
        name=name,
    )
    return at[1] - thick + 0.012 - 0.012


def _rolltop_backpack(kit: Any, spec: Spec, rng: random.Random, width: float, depth: float) -> None:
    """A tall sack whose top is rolled down and held by a strap in front and clips at the sides."""
    from sample_store.mesh import superellipse

    body, trim, metal = kit.main(scale=0.06, weave=0.003), kit.accent(weave=0.003), kit.mat("steel")
    top = rng.uniform(0.41, 0.45)
    neck = top - 0.03
    _sack(
        kit,
        [
            (0, 0.9, 0.86),
            (0.012, 0.98, 0.96),
            (0.06, 1, 1),
            (top * 0.55, 1, 1),
            (top * 0.78, 1.0, 0.86),
            (neck, 1.03, 0.42),
            (top + 0.005, 1.04, 0.3),
        ],
        width,
        depth,
        body,
    )
    y = depth / 2 - depth * 0.2
    r = rng.uniform(0.024, 0.029)
    roll = [
        (-width * 0.525, y, top),
        (-width * 0.5, y, top),
        (0, y, top + 0.004),
        (width * 0.5, y, top),
        (width * 0.525, y, top),
    ]
    kit.tube(roll, 1.0, body, section=superellipse(r, r * 0.9, 2.6, 32), name="roll")
    for side in (-1, 1):
        kit.box(
            (0.008, 2 * r + 0.008, 2 * r + 0.002),
            trim,
            at=(side * width * 0.527, y, top - r),
            bevel=0.003,
            name="roll end",
        )
        clip = [
            (side * width * 0.53, y, top - 0.01),
            (side * width * 0.535, y * 0.6, top * 0.82),
            (side * width * 0.506, 0, top * 0.6),
        ]
        kit.tube(clip, 1.0, trim, smooth=True, section=_flat(0.024, 0.006), name="side strap")
        kit.box(
            (0.012, 0.034, 0.05),
            kit.mat("black plastic"),
            at=(side * width * 0.528, y * 0.6, top * 0.76),
            bevel=0.003,
            name="clip",
        )
    front = -depth / 2
    face = _pocket(kit, width * 0.8, top * 0.4, 0.045, (0, front, 0.03), body)
    zip_z = 0.03 + top * 0.33
    path = [
        (-width * 0.33, face + 0.006, zip_z),
        (0, face + 0.0005, zip_z),
        (width * 0.33, face + 0.006, zip_z),
    ]
    _zip(kit, path, kit.mat("fabric", "black" if spec.colour != "black" else "grey"), trim, 2)
    line = [
        (0, y - r * 0.9, top - 0.004),
        (0, depth * 0.08 - 0.006, neck),
        (0, -depth * 0.36 - 0.004, top * 0.78),
        (0, front - 0.004, top * 0.55),
        (0, front - 0.004, top * 0.45),
    ]
    kit.tube(line, 1.0, trim, smooth=True, section=_flat(0.032, 0.006), name="front strap")
    over = [
        (0, y - r * 1.0, top - 0.006),
        (0, y - r * 0.5, top + r * 0.93 + 0.002),
        (0, y + r * 0.6, top + r * 0.93 + 0.002),
    ]
    kit.tube(over, 1.0, trim, smooth=True, section=_flat(0.032, 0.006), name="top strap")
    _buckle_frame(kit, 0, front - 0.007, top * 0.56, metal)
    _shoulder_straps(kit, width, depth, top * 0.93, body, kit.mat("black plastic"))


def _buckle_frame(kit: Any, x: float, y: float, z: float, metal: Any, size: float = 1.0) -> None:
    """Hang a rectangular pin buckle on a front at y."""
    from sample_store.mesh import rounded_rect

    with kit.place(x, y, z, scale=size):
        frame, hole = rounded_rect(0.05, 0.036, 0.005), rounded_rect(0.034, 0.02, 0.003)
        kit.extrude(frame, 0.006, metal, plane="xz", bevel=0.0015, holes=[hole], name="buckle")
        kit.cylinder((0, -0.002, -0.016), (0, -0.001, 0.016), 0.002, metal, name="buckle pin")


def _classic_backpack(kit: Any, spec: Spec, rng: random.Random, width: float, depth: float) -> None:
    """A rucksack with a flap, two buckled leather straps and a front pocket."""
    body, trim, metal = kit.main(scale=0.06, weave=0.003), kit.accent(weave=0.003), kit.mat("brass")
    top = rng.uniform(0.37, 0.41)
    _sack(
        kit,
        [
            (0, 0.88, 0.86),
            (0.012, 0.97, 0.96),
            (0.06, 1, 1),
            (top * 0.7, 0.98, 1),
            (top * 0.95, 0.9, 0.92),
            (top, 0.82, 0.8),
        ],
        width,
        depth,
        body,
    )
    front, back = -depth / 2, depth / 2
    drop = rng.uniform(0.36, 0.42) * top
    line = [
        (back - 0.012, top * 0.9),
        (back - 0.03, top + 0.001),
        (0.02, top + 0.014),
        (front * 0.55, top + 0.008),
        (front - 0.006, top - 0.03),
        (front - 0.018, top - drop * 0.6),
        (front - 0.026, top - drop),
    ]
    _flap(kit, line, width * 0.98, body, 0.008, 0.22)
    pocket_top = top - drop - 0.012
    face = _pocket(kit, width * 0.74, pocket_top - 0.03, 0.055, (0, front, 0.025), body)
    end = top - drop
    for x in (-1, 1):
        at = x * width * 0.22
        hang = [
            (at, front - 0.0125, top - drop * 0.42),
            (at, front - 0.024, top - drop * 0.7),
            (at, front - 0.033, end + 0.004),
            (at, face - 0.004, pocket_top * 0.78),
            (at, face - 0.005, pocket_top * 0.42),
        ]
        kit.tube(hang, 1.0, trim, smooth=True, section=_flat(0.028, 0.005), name="strap")
        _buckle_frame(kit, at, face - 0.007, pocket_top * 0.62, metal, 0.8)
        kit.box(
            (0.036, 0.014, 0.03),
            trim,
            at=(at, face - 0.002, pocket_top * 0.36),
            bevel=0.003,
            name="strap end",
        )

    def side() -> None:
        kit.cushion(
            (0.035, depth * 0.62, pocket_top * 0.72),
            body,
            at=(width * 0.505, 0, 0.03),
            radius=0.015,
            puff=0.006,
            wrinkle=0.001,
            name="side pocket",
        )
        kit.box(
            (0.04, depth * 0.62, 0.014),
            trim,
            at=(width * 0.505, 0, 0.03 + pocket_top * 0.7),
            bevel=0.004,
            name="side trim",
        )

    kit.both_sides(side)
    _shoulder_straps(kit, width, depth, top * 0.97, trim, metal)


def _school_backpack(kit: Any, spec: Spec, rng: random.Random, width: float, depth: float) -> None:
    """A domed pack with two zipped pockets, side nets and contrasting zips."""
    body, trim = kit.main(scale=rng.uniform(0.05, 0.065), weave=0.003), kit.accent(weave=0.003)
    top = rng.uniform(0.42, 0.46)
    _sack(kit, _dome(top), width, depth, body, 3.6)
    front, dark = -depth / 2, kit.mat("fabric", "black" if spec.colour != "black" else "grey", weave=0.004)
    face = _pocket(kit, width * 0.82, top * 0.36, 0.055, (0, front, 0.02), kit.main_plain(weave=0.003))
    z = 0.02 + top * 0.29
    arc = [
        (-width * 0.36, face + 0.016, z - 0.06),
        (-width * 0.33, face + 0.006, z - 0.008),
        (-width * 0.2, face - 0.001, z),
        (0, face - 0.003, z),
        (width * 0.2, face - 0.001, z),
        (width * 0.33, face + 0.006, z - 0.008),
        (width * 0.36, face + 0.016, z - 0.06),
    ]
    _zip(kit, arc, trim, trim, 4)
    upper = _pocket(
        kit, width * 0.62, top * 0.2, 0.03, (0, front + 0.004, 0.02 + top * 0.42), body, "upper pocket"
    )
    z = 0.02 + top * 0.575
    _zip(
        kit,
        [(-width * 0.25, upper + 0.007, z), (0, upper + 0.001, z), (width * 0.25, upper + 0.007, z)],
        trim,
        trim,
        2,
    )
    _top_zip(kit, top, width, depth, trim)
    kit.box(
        (width * 0.22, 0.004, 0.04), trim, at=(0, face - 0.002, 0.02 + top * 0.1), bevel=0.0015, name="badge"
    )

    def side() -> None:
        kit.cushion(
            (0.04, depth * 0.7, top * 0.34),
            dark,
            at=(width * 0.5, 0.005, 0.02),
            radius=0.018,
            puff=0.006,
            wrinkle=0.001,
            name="side net",
        )
        kit.box(
            (0.043, depth * 0.71, 0.012),
            trim,
            at=(width * 0.5, 0.005, 0.02 + top * 0.33),
            bevel=0.004,
            name="net edge",
        )

    kit.both_sides(side)
    _shoulder_straps(kit, width, depth, top * 0.97, dark, kit.mat("grey plastic"))


def _dome(top: float) -> list[tuple[float, float, float]]:
    """Return the sections of a pack with a round top."""
    return [
        (0, 0.9, 0.88),
        (0.012, 0.98, 0.97),
        (0.05, 1, 1),
        (top * 0.6, 1, 1),
        (top * 0.78, 0.97, 0.96),
        (top * 0.9, 0.82, 0.84),
        (top * 0.97, 0.6, 0.66),
        (top * 0.995, 0.36, 0.45),
        (top, 0.12, 0.2),
    ]


def _top_zip(kit: Any, top: float, width: float, depth: float, mat: Any) -> None:
    """Lay the main zip over a domed pack, a third of the way from its front."""
    path = []
    for z, w, d in _dome(top)[3:]:
        y = depth / 2 - depth * d * 0.74
        path.append((width * w * 0.492, y, z + 0.001))
    left = [(-x, y, z) for x, y, z in path]
    kit.tube(
        [*left[:-1], (0.0, path[-1][1], top + 0.001), *reversed(path[:-1])],
        0.005,
        mat,
        smooth=True,
        name="main zip",
    )


def _mini_backpack(kit: Any, spec: Spec, rng: random.Random, width: float, depth: float) -> None:
    """A small domed city pack: one zipped pocket, a leather base and a carrying handle."""
    body, trim, metal = kit.main_plain(weave=0.003), kit.accent(weave=0.003), kit.mat("gold")
    top, width = rng.uniform(0.32, 0.35), width * 0.94
    _sack(kit, _dome(top), width, depth, body, 4.2)
    front = -depth / 2
    kit.loft(
        [
            _ring(width * 0.91, depth * 0.9, -0.001, 0, 4.2),
            _ring(width * 1.0, depth * 1.0, 0.012, 0, 4.2),
            _ring(width * 1.02, depth * 1.03, 0.05, 0, 4.2),
            _ring(width * 1.022, depth * 1.035, 0.075, 0, 4.2),
        ],
        trim,
        name="base",
    )
    face = _pocket(kit, width * 0.72, top * 0.46, 0.045, (0, front, 0.03), body)
    z = 0.03 + top * 0.36
    _zip(
        kit,
        [(-width * 0.29, face + 0.006, z), (0, face - 0.001, z), (width * 0.29, face + 0.006, z)],
        metal,
        trim,
        2,
    )
    kit.box((0.06, 0.004, 0.02), metal, at=(0, face - 0.001, 0.03 + top * 0.14), bevel=0.001, name="plate")
    _top_zip(kit, top, width, depth, metal)
    _shoulder_straps(kit, width, depth, top * 0.96, trim, metal)


BACKPACK = ProductType(
    name="backpack",
    category="Bags",
    mount="table",
    price=(35, 240),
    shapes={"rolltop": "urban", "classic": "vintage", "school": "sporty", "mini": "elegant"},
    finishes=(
        Finish("canvas", ("olive", "beige", "navy", "grey", "red"), weight=3, shapes=("rolltop", "classic")),
        Finish(
            "nylon",
            ("navy", "red", "teal", "black", "yellow"),
            ("plain", "stripes", "dots", "checks"),
            weight=3,
            shapes=("school",),
        ),
        Finish("leather", ("brown", "black", "red", "beige"), weight=2, shapes=("classic", "mini")),
    ),
    build=build_backpack,
    accents={
        "rolltop": ("brown leather", "black leather"),
        "classic": ("brown leather", "black leather"),
        "school": ("orange fabric", "grey fabric", "white fabric"),
        "mini": ("black leather", "brown leather", "beige leather"),
    },
    title={
        "rolltop": "{finish} roll-top backpack with {accent} straps",
        "classic": "{finish} backpack with {accent} straps",
        "school": "{finish} school backpack",
        "mini": "Small {finish} backpack",
    },
    azimuths=((16, 32), (-50, -34), (146, 160)),
    elevations=((10, 16), (14, 20), (12, 18)),
)

TYPES = (WATCH, HANDBAG, BACKPACK)
