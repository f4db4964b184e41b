"""Declare decor: vases, potted plants and wall clocks. It knows no camera and no light."""

import math
import random
from collections.abc import Sequence
from typing import Any

from sample_store.spec import Finish, ProductType, Spec

Point = tuple[float, float, float]


def build_vase(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a vase 20 to 32 cm high, now and then with dried stems in it."""
    h = rng.uniform(0.2, 0.3)
    mat = _body(kit, scale=rng.uniform(0.034, 0.048), weave=0.006)
    wall = 0.004
    if spec.shape == "amphora":
        r, mouth = h * rng.uniform(0.3, 0.35), h * rng.uniform(0.15, 0.19)
        profile = [
            (0, 0),
            (r * 0.5, 0),
            (r * 0.56, h * 0.02),
            (r * 0.84, h * 0.24),
            (r, h * 0.52),
            (r * 0.88, h * 0.72),
            (mouth * 0.86, h * 0.89),
            (mouth, h),
        ]
        if rng.random() < 0.75:
            plain = _body_plain(kit)
            kit.both_sides(
                lambda: kit.tube(
                    [(mouth * 0.86, 0, h * 0.92), (mouth * 1.6, 0, h * 0.95), (mouth * 1.95, 0, h * 0.86),
                     (r * 0.9, 0, h * 0.68)],
                    h * 0.024, plain, smooth=True, name="handle",
                )
            )  # fmt: skip
    elif spec.shape == "bottle":
        r, mouth = h * rng.uniform(0.24, 0.29), h * rng.uniform(0.075, 0.1)
        profile = [
            (0, 0),
            (r * 0.72, 0),
            (r * 0.8, h * 0.02),
            (r, h * 0.2),
            (r * 0.84, h * 0.4),
            (mouth * 1.05, h * 0.62),
            (mouth * 0.86, h * 0.8),
            (mouth * 0.95, h * 0.94),
            (mouth * 1.3, h),
        ]
    elif spec.shape == "cylinder":
        r = mouth = h * rng.uniform(0.21, 0.27)
        profile = [(0, 0), (r * 0.97, 0), (r, h * 0.02), (r * rng.uniform(1.0, 1.1), h)]
    else:
        h *= 0.82
        r, mouth = h * rng.uniform(0.46, 0.52), h * rng.uniform(0.16, 0.21)
        profile = [
            (0, 0),
            (r * 0.5, 0),
            (r * 0.58, h * 0.02),
            (r * 0.93, h * 0.26),
            (r, h * 0.48),
            (r * 0.86, h * 0.74),
            (mouth * 1.4, h * 0.9),
            (mouth, h * 0.95),
            (mouth * 1.02, h),
        ]
    kit.shell(profile, wall, mat, smooth=spec.shape != "cylinder", round_edge=0.01, name="vase")
    if rng.random() < 0.5:
        _stems(kit, h, mouth, rng)


def _body(kit: Any, **options: Any) -> Any:
    """Return the dominant material; fired clay keeps its own red-brown rather than the shop's word for it."""
    return kit.mat("terracotta") if kit.spec.material == "terracotta" else kit.main(**options)


def _body_plain(kit: Any) -> Any:
    """Return the dominant material without its pattern."""
    return kit.mat("terracotta") if kit.spec.material == "terracotta" else kit.main_plain(weave=0.006)


def _stems(kit: Any, h: float, mouth: float, rng: random.Random) -> None:
    """Stand a few leafy branches in a vase of height h."""
    leaf = kit.mat("foliage", "green")
    bark = kit.mat("brown plastic", roughness=0.7)
    turn = rng.uniform(0, math.tau)
    for i in range(5):
        a = turn + math.tau * i / 5 + rng.uniform(-0.25, 0.25)
        spread, rise = rng.uniform(0.25, 0.42) * h, h * rng.uniform(1.45, 1.7)
        lip = mouth * 0.5
        c, s = math.cos(a), math.sin(a)
        path = [
            (-lip * 0.3 * c, -lip * 0.3 * s, 0.003),
            (lip * c, lip * s, h),
            ((lip + spread * 0.5) * c, (lip + spread * 0.5) * s, h + (rise - h) * 0.6),
            ((lip + spread) * c, (lip + spread) * s, rise),
        ]
        kit.tube(path, [0.0026, 0.0022, 0.0018, 0.0012], bark, smooth=True, sides=8, name="stem")
        from sample_store.mesh import catmull

        line = catmull(path[1:], 10)
        for j in range(3, len(line), 2):
            for side in (-1, 1):
                _leaf(kit, leaf, line[j], a + side * 1.15, rng.uniform(15, 45), h * 0.2, h * 0.085, bend=0.2)
        _leaf(kit, leaf, line[-1], a, 55, h * 0.2, h * 0.085, bend=0.2)


def _leaf(
    kit: Any, mat: Any, at: Sequence[float], heading: float, pitch: float, length: float, width: float, *,
    bend: float = 0.5, fold: float = 0.18, blunt: float = 1.0, stalk: float = 0.0,
) -> None:  # fmt: skip
    """Grow a leaf from a point towards `heading` (radians), rising by `pitch` (degrees), drooping by `bend`."""

    def surface(u: float, v: float) -> Point:
        s = 2 * u - 1
        half = width / 2 * math.sin(math.pi * min(1.0, v * 0.97 + 0.015) ** (0.85 * blunt)) ** 0.8
        along = length * v
        drop = -bend * length * v * v
        return stalk + along, s * half, drop + abs(s) * half * fold * 2

    with kit.place(*at, rot=(0, 0, math.degrees(heading))), kit.place(rot=(0, -pitch, 0)):
        kit.sheet(surface, mat, thickness=0.0012, nu=7, nv=13, name="leaf")


def build_plant_pot(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pot 14 to 24 cm wide with a plant in it."""
    mat = _body(kit, scale=rng.uniform(0.035, 0.05), weave=0.006)
    r = rng.uniform(0.075, 0.1)
    lift = 0.0
    if spec.shape == "cylinder":
        h = r * rng.uniform(1.6, 1.9)
        profile = [(0, 0), (r * 0.97, 0), (r, 0.006), (r, h)]
        kit.shell(profile, 0.006, mat, round_edge=0.008, name="pot")
    elif spec.shape == "tapered":
        h = r * rng.uniform(1.6, 1.85)
        profile = [(0, 0), (r * 0.68, 0), (r * 0.95, h * 0.78), (r, h)]
        kit.shell(profile, 0.006, mat, round_edge=0.004, name="pot")
        plain = _body_plain(kit)
        kit.lathe(
            [(r * 0.93, h * 0.78), (r * 1.07, h * 0.78), (r * 1.09, h), (r * 0.96, h), (r * 0.93, h * 0.78)],
            plain, round_edge=0.005, name="collar",
        )  # fmt: skip
        kit.lathe(
            [
                (0, -0.003),
                (r * 0.92, -0.003),
                (r * 1.02, 0.016),
                (r * 0.96, 0.016),
                (r * 0.88, 0.003),
                (0, 0.003),
            ],
            plain,
            round_edge=0.003,
            name="saucer",
        )
    elif spec.shape == "stand":
        lift = r * rng.uniform(0.8, 1.1)
        h = lift + r * rng.uniform(1.45, 1.7)
        with kit.place(0, 0, lift):
            kit.shell(
                [(0, 0), (r * 0.9, 0), (r * 0.985, 0.012), (r, h - lift)],
                0.006,
                mat,
                round_edge=0.012,
                name="pot",
            )
        wood = kit.accent()
        for i in range(4):
            a = math.tau * i / 4 + 0.5
            c, s = math.cos(a), math.sin(a)
            kit.cylinder(
                (1.08 * r * c, 1.08 * r * s, 0),
                (1.08 * r * c, 1.08 * r * s, lift + r * 0.8),
                0.0085,
                wood,
                name="leg",
            )
            kit.beam(
                (0, 0, lift - 0.008),
                (1.08 * r * c, 1.08 * r * s, lift - 0.008),
                0.014,
                0.016,
                wood,
                name="bar",
            )
    else:
        r *= 1.12
        h = r * rng.uniform(0.78, 0.92)
        profile = [
            (0, 0), (r * 0.6, 0), (r * 0.7, 0.006), (r * 0.97, h * 0.4), (r * 1.02, h * 0.66), (r * 0.94, h)
        ]  # fmt: skip
        kit.shell(profile, 0.006, mat, smooth=True, name="pot")
    inside = r * (0.92 if spec.shape != "bowl" else 0.9)
    kit.lathe(
        [(0, h * 0.82), (inside, h * 0.82), (inside * 0.6, h * 0.9), (0, h * 0.92)],
        kit.mat("soil"),
        name="soil",
    )
    plant = {
        "cylinder": _snake_plant,
        "tapered": _fan_palm,
        "stand": rng.choice((_monstera, _rubber_plant)),
        "bowl": rng.choice((_succulent, _cactus)),
    }[spec.shape]
    plant(kit, r, h * 0.86, rng)


def _snake_plant(kit: Any, r: float, z: float, rng: random.Random) -> None:
    """Stiff upright sword leaves."""
    leaf = kit.mat("foliage", "green")
    count = rng.randint(12, 15)
    for i in range(count):
        a = i * 2.4 + rng.uniform(-0.2, 0.2)
        out = r * 0.72 * math.sqrt((i + 0.3) / count)
        tall = r * rng.uniform(2.2, 3.5) * (1.1 - 0.35 * i / count)
        wide = r * rng.uniform(0.42, 0.56)
        lean, twist = rng.uniform(0.02, 0.14), rng.uniform(0, 1.2)

        def surface(
            u: float, v: float, a: float = a, out: float = out, tall: float = tall, wide: float = wide,
            lean: float = lean, twist: float = twist,
        ) -> Point:  # fmt: skip
            s = 2 * u - 1
            half = wide / 2 * (0.62 + 0.6 * v) * (1 - v**4) ** 0.8 + 0.0006
            turn = a + math.pi / 2 + twist * v
            reach = out + lean * tall * v**1.6
            cup = abs(s) ** 2 * half * 0.35
            return (
                (reach + cup) * math.cos(a) + s * half * math.cos(turn),
                (reach + cup) * math.sin(a) + s * half * math.sin(turn),
                z + tall * v,
            )

        kit.sheet(surface, leaf, thickness=0.003, nu=7, nv=19, name="leaf")


def _rubber_plant(kit: Any, r: float, z: float, rng: random.Random) -> None:
    """One or two stems with broad glossy leaves all the way up."""
    leaf, bark = kit.mat("foliage", "green"), kit.mat("brown plastic", roughness=0.7)
    from sample_store.mesh import catmull

    tall = r * rng.uniform(3.0, 3.8)
    line = catmull([(0, 0, z - 0.01), (r * 0.1, 0, z + tall * 0.4), (-r * 0.06, r * 0.05, z + tall)], 30)
    kit.tube(line, [r * (0.075 - 0.04 * i / (len(line) - 1)) for i in range(len(line))], bark, name="stem")
    count = rng.randint(14, 17)
    for i in range(count):
        t = 0.14 + 0.86 * i / (count - 1)
        size = r * rng.uniform(1.35, 1.65) * (1.12 - 0.5 * t)
        at = line[round(t * (len(line) - 1))]
        _leaf(kit, leaf, at, i * 2.4, 16 + 52 * t, size, size * 0.55, bend=0.42 * (1.2 - t))


def _fan_palm(kit: Any, r: float, z: float, rng: random.Random) -> None:
    """Arching fronds with narrow leaflets."""
    leaf, stalk = kit.mat("foliage", "green"), kit.mat("green plastic", roughness=0.6)
    count = rng.randint(9, 11)
    for i in range(count):
        a = i * 2.4
        c, s = math.cos(a), math.sin(a)
        tall, reach = r * rng.uniform(2.3, 3.1) * (1 - 0.3 * i / count), r * (0.7 + 1.1 * i / count)
        path = [
            (r * 0.08 * c, r * 0.08 * s, z - 0.01),
            (reach * 0.25 * c, reach * 0.25 * s, z + tall * 0.55),
            (reach * 0.65 * c, reach * 0.65 * s, z + tall * 0.95),
            (reach * 1.15 * c, reach * 1.15 * s, z + tall * 0.97),
        ]
        kit.tube(path, [0.0042, 0.0034, 0.0026, 0.0014], stalk, smooth=True, sides=8, name="frond")
        from sample_store.mesh import catmull

        line = catmull(path, 8)
        for j in range(9, len(line)):
            t = (j - 9) / (len(line) - 9)
            size = r * (0.42 + 0.75 * math.sin(math.pi * (0.15 + 0.7 * t)))
            for side in (-1, 1):
                _leaf(
                    kit,
                    leaf,
                    line[j],
                    a + side * (1.25 - 0.5 * t),
                    12,
                    size * 0.85,
                    r * 0.12,
                    bend=0.4,
                    blunt=0.8,
                )


def _monstera(kit: Any, r: float, z: float, rng: random.Random) -> None:
    """Long stalks that each carry one big heart-shaped, cut leaf."""
    leaf, stalk = kit.mat("foliage", "green"), kit.mat("green plastic", roughness=0.6)
    count = rng.randint(9, 11)
    for i in range(count):
        a = i * 2.4 + rng.uniform(-0.2, 0.2)
        c, s = math.cos(a), math.sin(a)
        tall, reach = r * rng.uniform(1.2, 2.5) * (1.15 - 0.5 * i / count), r * (0.25 + 0.95 * i / count)
        top = (reach * c, reach * s, z + tall)
        kit.tube(
            [(r * 0.1 * c, r * 0.1 * s, z - 0.01), (reach * 0.4 * c, reach * 0.4 * s, z + tall * 0.6), top],
            [0.0045, 0.0038, 0.003], stalk, smooth=True, sides=8, name="stalk",
        )  # fmt: skip
        size = r * rng.uniform(1.05, 1.35)

        def surface(u: float, v: float, size: float = size) -> Point:
            side = 2 * u - 1
            heart = math.sin(math.pi * v**0.62) ** 0.7 if 0 < v < 1 else 0.0
            notch = 1 - 0.34 * max(0.0, math.sin(v * 22)) ** 2 * (0.25 < v < 0.86)
            half = 0.46 * size * heart * (notch if abs(side) > 0.6 else 1.0)
            back = -0.2 * size * abs(side) ** 1.2 * (1 - v) ** 3
            return size * v - 0.1 * size + back, side * half, -0.28 * size * v * v + abs(side) * half * 0.16

        with kit.place(*top, rot=(0, 0, math.degrees(a))), kit.place(rot=(0, -rng.uniform(2, 24), 0)):
            kit.sheet(surface, leaf, thickness=0.0014, nu=11, nv=37, name="leaf")


def _succulent(kit: Any, r: float, z: float, rng: random.Random) -> None:
    """A rosette of fat pointed leaves."""
    leaf = kit.mat("foliage", "green")
    count = rng.randint(34, 42)
    for i in range(count):
        t = i / (count - 1)
        a = i * 2.39996
        length = r * (0.98 - 0.62 * t)
        with (
            kit.place(0, 0, z + r * 0.34 * t, rot=(0, 0, math.degrees(a))),
            kit.place(rot=(0, -(14 + 62 * t), 0)),
        ):
            rings = []
            for v, wide in ((0.0, 0.25), (0.3, 0.7), (0.6, 1.0), (0.85, 0.66), (1.0, 0.06)):
                rings.append(
                    [
                        (
                            length * v,
                            length * 0.24 * wide * math.cos(q),
                            length * (0.085 * wide * math.sin(q) + 0.1 * v * v),
                        )
                        for q in (math.tau * k / 12 for k in range(12))
                    ]
                )
            kit.loft(rings, leaf, smooth=3, name="leaf")


def _cactus(kit: Any, r: float, z: float, rng: random.Random) -> None:
    """Three ribbed cactus columns of different heights."""
    skin, spine = kit.mat("foliage", "green"), kit.mat("beige plastic")
    for i, (share, tall) in enumerate(((0.36, 2.3), (0.28, 1.5), (0.23, 1.05))):
        a = math.tau * i / 3 + rng.uniform(-0.3, 0.3)
        x, y = r * 0.42 * math.cos(a), r * 0.42 * math.sin(a)
        radius, height = r * share, r * tall * rng.uniform(0.9, 1.1)
        ribs, rings = 10, []
        for k in range(19):
            v = k / 18
            cap = math.sqrt(max(0.0, 1 - max(0.0, (v - 0.74) / 0.26) ** 2)) * (0.82 + 0.18 * min(1.0, v * 4))
            rings.append([
                (x + q * math.cos(b), y + q * math.sin(b), z - 0.01 + height * v)
                for b in (math.tau * m / 60 for m in range(60))
                for q in (max(0.0006, radius * cap * (0.88 + 0.12 * math.cos(ribs * b))),)
            ])  # fmt: skip
        kit.loft(rings, skin, name="cactus")
        for m in range(ribs):
            b = math.tau * m / ribs
            for k in range(1, 9):
                v = 0.08 + 0.085 * k
                cap = math.sqrt(max(0.0, 1 - max(0.0, (v - 0.74) / 0.26) ** 2)) * (
                    0.82 + 0.18 * min(1.0, v * 4)
                )
                q = radius * cap
                at = (x + q * math.cos(b), y + q * math.sin(b), z - 0.01 + height * v)
                kit.box(
                    (0.0042, 0.0042, 0.0042), spine, at=(at[0], at[1], at[2] - 0.002), bevel=0, name="spine"
                )
        if i == 0 or rng.random() < 0.4:
            bloom = kit.mat("pink plastic")
            for m in range(7):
                _leaf(
                    kit,
                    bloom,
                    (x, y, z - 0.014 + height),
                    math.tau * m / 7,
                    38,
                    radius * 0.75,
                    radius * 0.42,
                    bend=-0.2,
                )
            kit.sphere(
                radius * 0.16, kit.mat("yellow plastic"), at=(x, y, z - 0.006 + height), name="bloom heart"
            )


def build_wall_clock(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a wall clock 26 to 40 cm across; its back is the highest y."""
    r = rng.uniform(0.13, 0.17)
    hour = rng.uniform(9.4, 10.6)
    minute = (hour % 1) * 60
    rim = kit.main()
    if spec.shape == "sunburst":
        _sunburst(kit, r, rng)
        face_r, front = r * 0.62, -0.04
        kit.cylinder((0, 0.0, 0), (0, front + 0.004, 0), face_r + 0.012, rim, round_edge=0.006, name="case")
        dial, ink, style = kit.mat("paper", lit=0.3), kit.mat("black plastic"), "bars"
    elif spec.shape == "square":
        front = -0.036
        from sample_store.mesh import rounded_rect

        side = 1.86 * r
        kit.extrude(
            rounded_rect(side, side, r * 0.24),
            0.036,
            rim,
            plane="xz",
            at=(0, -0.018, 0),
            bevel=0.007,
            name="case",
        )
        face_r = r * 0.84
        dial, ink, style = _dial(kit, spec)
    elif spec.shape == "disc":
        front, face_r = -0.024, r
        plate = [(r * math.cos(a), r * math.sin(a)) for a in (math.tau * i / 96 for i in range(96))]
        kit.extrude(plate, -front, rim, plane="xz", at=(0, front / 2, 0), bevel=0.004, name="plate")
        dial, style = None, rng.choice(("bars", "dots"))
        ink = kit.accent(roughness=0.5)
    else:
        front, face_r = -0.03, r * 0.95
        kit.cylinder((0, 0, 0), (0, front, 0), r * 0.99, rim, round_edge=0.0, segments=96, name="case")
        dial, ink, style = _dial(kit, spec)
    if dial is not None:
        kit.cylinder(
            (0, front + 0.006, 0),
            (0, front - 0.0015, 0),
            face_r,
            dial,
            round_edge=0.0005,
            segments=96,
            name="dial",
        )
        face = front - 0.0015
    else:
        face = front
    if spec.shape == "round":
        width = rng.uniform(0.011, 0.02)
        with kit.place(rot=(90, 0, 0)):
            kit.lathe(
                [
                    (r - width, 0.02),
                    (r - width, 0.04),
                    (r - width * 0.6, 0.048),
                    (r - width * 0.2, 0.048),
                    (r, 0.04),
                    (r, 0),
                    (r - width, 0),
                ],
                rim,
                round_edge=0.004,
                segments=96,
                name="rim",
            )
    _marks(kit, face, face_r, ink, style)
    _hands(kit, face, face_r, hour, minute, ink, kit.mat("red plastic"))


def _dial(kit: Any, spec: Spec) -> tuple[Any, Any, str]:
    """Return a dial's paper, ink and kind of marks: half of the white cases carry a black dial."""
    dark = spec.colour == "white" and spec.seed % 2 == 0
    paper = kit.mat("black plastic") if dark else kit.mat("paper", lit=0.3)
    ink = kit.mat("white plastic" if dark else "black plastic")
    return paper, ink, ("numerals", "railway", "bars")[spec.seed % 3]


def _marks(kit: Any, y: float, r: float, ink: Any, style: str) -> None:
    """Lay twelve hour marks on the dial: bars, dots, a railway track or Roman numerals."""
    for i in range(60):
        hour = i % 5 == 0
        if not hour and style != "railway":
            continue
        with kit.place(rot=(0, 6 * i, 0)):
            if style == "dots":
                kit.cylinder((0, y + 0.001, r * 0.84), (0, y - 0.003, r * 0.84), r * 0.042, ink, name="mark")
                continue
            if style == "numerals" and hour:
                _roman(kit, y, r, (i // 5) or 12, ink)
                continue
            long = 0.16 if hour else 0.06
            wide = 0.042 if i % 15 == 0 else 0.03 if hour else 0.013
            kit.box(
                (r * wide, 0.003, r * long),
                ink,
                at=(0, y - 0.0008, r * (0.93 - long)),
                bevel=0.0004,
                name="mark",
            )


def _roman(kit: Any, y: float, r: float, hour: int, ink: Any) -> None:
    """Lay the hour as a Roman numeral whose foot points at the centre."""
    numeral = ("I", "II", "III", "IIII", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")[hour - 1]
    high, low = r * 0.93, r * 0.75
    thick, thin = r * 0.024, r * 0.013
    widths = {"I": r * 0.05, "V": r * 0.1, "X": r * 0.1}
    x = -sum(widths[c] for c in numeral) / 2
    for letter in numeral:
        w = widths[letter]
        m = x + w / 2
        a, b = x + thick / 2, x + w - thick / 2
        strokes = {
            "I": [((m, low), (m, high), thick)],
            "V": [((a, high), (m, low), thick), ((b, high), (m, low), thin)],
            "X": [((a, high), (b, low), thick), ((b, high), (a, low), thin)],
        }[letter]
        for (x0, z0), (x1, z1), width in strokes:
            kit.beam((x0, y - 0.0006, z0), (x1, y - 0.0006, z1), 0.0022, width, ink, bevel=0, name="numeral")
        x += w


def _hands(kit: Any, y: float, r: float, hour: float, minute: float, ink: Any, red: Any) -> None:
    """Set the hour, minute and second hands on their pin."""
    for angle, length, wide, lift, mat, name in (
        (30 * hour, 0.5, 0.062, 0.003, ink, "hour hand"),
        (6 * minute, 0.76, 0.044, 0.006, ink, "minute hand"),
        (6 * ((minute * 7) % 60), 0.8, 0.014, 0.0085, red, "second hand"),
    ):
        with kit.place(0, y - lift, 0, rot=(0, angle, 0)):
            kit.box(
                (r * wide, 0.0026, r * (length + 0.16)),
                mat,
                at=(0, 0, -r * 0.16),
                bevel=0.0006,
                top=(0.55, 1.0),
                name=name,
            )
    kit.cylinder((0, y + 0.001, 0), (0, y - 0.012, 0), r * 0.05, red, round_edge=0.001, name="pin")


def _sunburst(kit: Any, r: float, rng: random.Random) -> None:
    """Rays round a small dial, long and short by turns."""
    count = rng.choice((20, 24, 28))
    ray = kit.main()
    tip = kit.mat("brass") if kit.spec.material != "brass" else kit.main()
    for i in range(count):
        a = math.tau * i / count
        reach = r * (1.42 if i % 2 == 0 else 1.12)
        c, s = math.cos(a), math.sin(a)
        kit.cylinder(
            (r * 0.5 * c, -0.012, r * 0.5 * s),
            (reach * c, -0.012, reach * s),
            r * 0.03,
            ray,
            end_radius=r * 0.018,
            segments=16,
            name="ray",
        )
        ball = r * (0.055 if i % 2 == 0 else 0.04)
        half = [math.pi * (k / 10 - 0.5) for k in range(11)]
        outline = [(ball * math.cos(t), ball * math.sin(t)) for t in half]
        kit.lathe(outline, tip, at=(reach * c, -0.012, reach * s), segments=20, name="ray tip")


VASE = ProductType(
    name="vase",
    category="Decor",
    mount="table",
    price=(15, 119),
    shapes={"amphora": "mediterranean", "bottle": "modern", "cylinder": "minimalist", "globe": "rustic"},
    finishes=(
        Finish(
            "ceramic",
            ("white", "blue", "yellow", "green", "black", "pink"),
            ("plain", "bands", "stripes", "dots", "checks"),
            weight=3,
        ),
        Finish("stoneware", ("beige", "grey", "olive", "blue"), weight=2),
        Finish("glass", ("green", "blue", "pink"), weight=2),
        Finish("terracotta", shapes=("amphora", "globe")),
        Finish("brass", shapes=("bottle", "globe")),
    ),
    build=build_vase,
    title={
        "amphora": "{finish} amphora vase",
        "bottle": "Slim {finish} vase",
        "cylinder": "{finish} cylinder vase",
        "globe": "Round {finish} vase",
    },
    azimuths=((-25, -5), (30, 55), (100, 130)),
    elevations=((8, 12), (37, 43), (54, 61)),
)

PLANT_POT = ProductType(
    name="plant pot",
    category="Decor",
    mount="table",
    price=(12, 99),
    shapes={"cylinder": "modern", "tapered": "classic", "stand": "mid-century", "bowl": "bohemian"},
    finishes=(
        Finish("terracotta", shapes=("tapered", "bowl"), weight=2),
        Finish(
            "ceramic",
            ("white", "blue", "yellow", "black", "pink", "grey"),
            ("plain", "bands", "stripes", "dots", "checks"),
            weight=3,
        ),
        Finish("concrete", shapes=("cylinder", "tapered", "bowl")),
        Finish("stoneware", ("beige", "grey", "blue")),
        Finish("wicker", shapes=("cylinder",)),
    ),
    build=build_plant_pot,
    accents={"stand": ("oak", "walnut", "black metal")},
    title={
        "cylinder": "{finish} plant pot with snake plant",
        "tapered": "{finish} plant pot with palm",
        "stand": "{finish} plant pot on {accent} stand",
        "bowl": "Small {finish} plant pot with succulent",
    },
    azimuths=((-20, 5), (50, 75), (120, 150)),
    elevations=((12, 18), (6, 10), (28, 36)),
)

WALL_CLOCK = ProductType(
    name="wall clock",
    category="Decor",
    mount="wall",
    price=(15, 129),
    shapes={"round": "classic", "square": "modern", "sunburst": "mid-century", "disc": "minimalist"},
    finishes=(
        Finish("metal", ("black", "white", "red", "teal", "yellow"), shapes=("round", "square"), weight=3),
        Finish("wood", ("white", "green", "navy"), shapes=("square", "disc")),
        Finish("oak", shapes=("round", "square", "sunburst"), weight=2),
        Finish("walnut", shapes=("round", "square", "disc", "sunburst"), weight=2),
        Finish("brass", shapes=("round", "sunburst"), weight=2),
        Finish("marble", shapes=("disc",)),
        Finish("iron", shapes=("sunburst",)),
    ),
    build=build_wall_clock,
    accents={"disc": ("brass",)},
    title={
        "round": "Round wall clock with {finish} frame",
        "square": "Square wall clock with {finish} frame",
        "sunburst": "{finish} sunburst wall clock",
        "disc": "Minimal {finish} wall clock with {accent} marks",
    },
    azimuths=((-14, -2), (24, 40), (48, 58)),
    elevations=((0, 6), (8, 14), (-10, -4)),
)

TYPES = (VASE, PLANT_POT, WALL_CLOCK)
