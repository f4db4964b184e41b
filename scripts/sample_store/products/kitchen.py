"""Declare kitchenware: bowls, frying pans, kettles and bottles. It knows no camera and no light."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sample_store.spec import Finish, ProductType, Spec

Point = tuple[float, float, float]


def build_bowl(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a bowl 14 to 30 cm wide."""
    mat = kit.main(scale=rng.uniform(0.024, 0.034), weave=0.005)
    wooden = spec.material in ("oak", "walnut", "bamboo")
    wall = 0.0095 if wooden else 0.0045
    radius = rng.uniform(0.078, 0.092)
    if spec.shape == "round":
        height = radius * rng.uniform(0.88, 1.02)
        profile = [
            (0, 0.004), (radius * 0.4, 0.004), (radius * 0.46, 0.008), (radius * 0.76, height * 0.28),
            (radius * 0.95, height * 0.62), (radius, height),
        ]  # fmt: skip
        kit.shell(profile, wall, mat, smooth=True, name="bowl")
        kit.lathe(
            _ring(radius * 0.44, 0.006, 0.0075),
            kit.main_plain(weave=0.005),
            round_edge=0.002,
            name="foot ring",
        )
    elif spec.shape == "flared":
        height = radius * rng.uniform(0.7, 0.82)
        wide = radius * rng.uniform(1.12, 1.2)
        profile = [
            (0, 0.012), (radius * 0.38, 0.012), (radius * 0.62, height * 0.36), (radius * 0.9, height * 0.76),
            (wide, height),
        ]  # fmt: skip
        kit.shell(profile, wall, mat, smooth=True, name="bowl")
        kit.lathe(
            _ring(radius * 0.42, 0.007, 0.0155),
            kit.main_plain(weave=0.005),
            round_edge=0.002,
            name="foot ring",
        )
    elif spec.shape == "low":
        wide, height = radius * rng.uniform(1.35, 1.5), radius * rng.uniform(0.5, 0.6)
        profile = [(0, 0), (wide * 0.74, 0), (wide * 0.92, height * 0.3), (wide, height)]
        kit.shell(profile, wall, mat, round_edge=0.025, name="bowl")
    else:
        height, wide = radius * rng.uniform(0.62, 0.72), radius * rng.uniform(1.3, 1.5)
        stem = radius * rng.uniform(0.36, 0.55)
        profile = [
            (0, stem), (wide * 0.4, stem + 0.004), (wide * 0.74, stem + height * 0.34),
            (wide * 0.95, stem + height * 0.74), (wide, stem + height),
        ]  # fmt: skip
        kit.shell(profile, wall, mat, smooth=True, name="bowl")
        foot = wide * 0.46
        kit.lathe(
            [(0, 0), (foot, 0), (foot, 0.006), (foot * 0.62, stem * 0.35), (foot * 0.5, stem * 0.7),
             (foot * 0.62, stem + 0.006), (0, stem + 0.006)],
            kit.main_plain(weave=0.005), round_edge=0.006, name="foot",
        )  # fmt: skip
    if spec.pattern != "plain":
        smooth = spec.shape != "low"
        _lining(kit, profile, wall, kit.main_plain(weave=0.005), smooth=smooth, bend=0.025)


def _ring(radius: float, wall: float, height: float) -> list[tuple[float, float]]:
    """Return the closed profile of a low ring to stand on."""
    return [
        (radius - wall, 0), (radius, 0), (radius, height), (radius - wall, height), (radius - wall, 0)
    ]  # fmt: skip


def build_frying_pan(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a frying pan 24 to 30 cm wide, its handle to the right (+x)."""
    radius = rng.uniform(0.118, 0.142)
    height = {"skillet": 0.05, "sloped": 0.05, "saute": 0.07, "wok": 0.095}[spec.shape] * rng.uniform(
        0.92, 1.08
    )
    mat = kit.main()
    if spec.shape == "skillet":
        profile = [(0, 0), (radius * 0.84, 0), (radius * 0.96, height * 0.6), (radius, height)]
        inside, wall = kit.mat("iron"), 0.006
    elif spec.shape == "sloped":
        profile = [(0, 0), (radius * 0.72, 0), (radius * 0.88, height * 0.4), (radius, height)]
        inside, wall = _coating(kit, spec), 0.004
    elif spec.shape == "saute":
        profile = [(0, 0), (radius * 0.97, 0), (radius, height)]
        inside, wall = kit.mat("steel", brushed=False, roughness=0.55), 0.0035
    else:
        profile = [
            (0, 0), (radius * 0.34, 0), (radius * 0.68, height * 0.26), (radius * 0.92, height * 0.66),
            (radius * 1.06, height),
        ]  # fmt: skip
        inside, wall = _coating(kit, spec), 0.003
    kit.shell(profile, wall, mat, round_edge=0.02, segments=96, name="pan")
    _lining(kit, profile, wall, inside)
    edge = profile[-1][0]
    if spec.shape == "skillet":
        _iron_handle(kit, edge, height, rng)
        return
    if spec.shape == "saute":
        _loop_handle(kit, -edge, height * 0.72)
        _rod_handle(kit, edge, height * 0.72, rng)
        return
    grip = kit.accent()
    _grip_handle(kit, edge, height * (0.72 if spec.shape == "sloped" else 0.84), grip, rng)
    if spec.shape == "wok":
        _loop_handle(kit, -edge * 0.945, height * 0.86)


def _coating(kit: Any, spec: Spec) -> Any:
    """Return the pan's non-stick inside: dark, or cream in a green pan."""
    return kit.mat("beige gloss") if spec.colour == "green" else kit.mat("black plastic", roughness=0.3)


def _lining(
    kit: Any,
    profile: Sequence[tuple[float, float]],
    wall: float,
    mat: Any,
    *,
    smooth: bool = False,
    bend: float = 0.02,
) -> None:
    """Lay a vessel's inside, a hair above the shell's own, in its own material."""
    from sample_store.mesh import catmull, fillet

    out = catmull(profile, 8) if smooth else fillet(profile, bend)
    points = [(0.0, float(out[0][1]) + wall + 0.0006)]
    for (r, z), (r2, z2) in pairwise(out):
        length = math.hypot(r2 - r, z2 - z)
        if length < 1e-7:
            continue
        x = (r + r2) / 2 - (z2 - z) / length * (wall + 0.0006)
        if x > points[-1][0]:
            points.append((x, (z + z2) / 2 + (r2 - r) / length * (wall + 0.0006)))
    points.append((float(out[-1][0]) - wall - 0.0008, float(out[-1][1]) - 0.001))
    kit.lathe(points, mat, segments=96, name="lining")


def _iron_handle(kit: Any, edge: float, height: float, rng: random.Random) -> None:
    """One casting: a short tapering handle with a hanging hole, a helper lug and two pouring lips."""
    iron = kit.main()
    length = rng.uniform(0.13, 0.16)
    with kit.place(edge - 0.008, 0, height - 0.012, rot=(0, -7, 0)):
        outline = [
            (0, -0.024), (0.03, -0.013), (length * 0.55, -0.0125), (length - 0.022, -0.0185),
            (length - 0.006, -0.0145), (length, 0), (length - 0.006, 0.0145), (length - 0.022, 0.0185),
            (length * 0.55, 0.0125), (0.03, 0.013), (0, 0.024),
        ]  # fmt: skip
        centre = length - 0.024
        hole = [
            (centre + 0.0095 * math.cos(a), 0.0062 * math.sin(a))
            for a in (math.tau * i / 20 for i in range(20))
        ]
        kit.extrude(outline, 0.015, iron, bevel=0.004, holes=[hole], name="handle")
    kit.extrude(
        [(0.012, -0.036), (-0.014, -0.03), (-0.022, -0.012), (-0.022, 0.012), (-0.014, 0.03), (0.012, 0.036)],
        0.011, iron, at=(-edge, 0, height - 0.009), bevel=0.004, name="helper lug",
    )  # fmt: skip
    for side in (-1, 1):
        with kit.place(0, side * (edge - 0.003), height - 0.007, rot=(-side * 25, 0, 0)):
            kit.extrude(
                [
                    (-0.019, -side * 0.004),
                    (-0.007, side * 0.0085),
                    (0.007, side * 0.0085),
                    (0.019, -side * 0.004),
                ],
                0.008,
                iron,
                bevel=0.002,
                name="pouring lip",
            )


def _grip_handle(kit: Any, edge: float, z: float, grip: Any, rng: random.Random) -> None:
    """A riveted metal neck and a rounded grip with a hanging loop."""
    steel = kit.mat("steel")
    length, rise = rng.uniform(0.17, 0.2), rng.uniform(0.03, 0.045)
    path: list[Point] = [
        (edge - 0.014, 0, z),
        (edge + 0.02, 0, z + 0.006),
        (edge + 0.075, 0, z + rise * 0.55),
    ]
    kit.tube(path, 1.0, steel, smooth=True, section=_oval(0.013, 0.0052), name="neck")
    kit.box((0.007, 0.046, 0.022), steel, at=(edge - 0.003, 0, z - 0.013), bevel=0.003, name="bracket")
    start = edge + 0.05
    line: list[Point] = [
        (start, 0, z + rise * 0.4),
        (start + length * 0.4, 0, z + rise * 0.95),
        (start + length * 0.8, 0, z + rise * 1.1),
        (start + length, 0, z + rise * 1.05),
    ]
    widths = [(0.0115, 0.0075), (0.0145, 0.0105), (0.0155, 0.0105), (0.0115, 0.0075)]
    rings = []
    for (x, y, zc), (a, b) in zip(line, widths, strict=True):
        rings.append([(x, y + a * math.cos(t), zc + b * math.sin(t)) for t in _angles(24)])
    kit.loft(rings, grip, smooth=6, name="grip")
    end = line[-1]
    kit.tube(
        [(end[0] - 0.006, -0.007, end[2]), (end[0] + 0.014, -0.0075, end[2]), (end[0] + 0.024, 0, end[2]),
         (end[0] + 0.014, 0.0075, end[2]), (end[0] - 0.006, 0.007, end[2])],
        0.0024, steel, smooth=True, name="hanging loop",
    )  # fmt: skip


def _rod_handle(kit: Any, edge: float, z: float, rng: random.Random) -> None:
    """A long hollow steel handle, riveted to the wall."""
    steel = kit.mat("steel")
    length = rng.uniform(0.18, 0.21)
    line: list[Point] = [
        (edge - 0.004, 0, z), (edge + 0.03, 0, z + 0.008), (edge + length * 0.5, 0, z + 0.034),
        (edge + length, 0, z + 0.046),
    ]  # fmt: skip
    sizes = [(0.018, 0.006), (0.008, 0.0065), (0.0105, 0.008), (0.0125, 0.0075)]
    rings = [
        [(x, y + a * math.cos(t), zc + b * math.sin(t)) for t in _angles(24)]
        for (x, y, zc), (a, b) in zip(line, sizes, strict=True)
    ]
    kit.loft(rings, steel, smooth=8, name="handle")
    kit.box((0.005, 0.05, 0.026), steel, at=(edge - 0.001, 0, z - 0.014), bevel=0.002, name="plate")
    for y in (-0.017, 0.017):
        kit.sphere((0.0035, 0.0045, 0.0045), steel, at=(edge + 0.002, y, z), name="rivet")


def _loop_handle(kit: Any, edge: float, z: float) -> None:
    """A small steel loop on the far side."""
    steel = kit.mat("steel")
    kit.tube(
        [(edge + 0.004, -0.036, z), (edge - 0.02, -0.034, z + 0.006), (edge - 0.03, 0, z + 0.009),
         (edge - 0.02, 0.034, z + 0.006), (edge + 0.004, 0.036, z)],
        0.0048, steel, smooth=True, name="helper handle",
    )  # fmt: skip


def build_kettle(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a kettle 20 to 28 cm high, its spout to the right (+x)."""
    {"stovetop": _stovetop, "electric": _electric, "gooseneck": _pour_over, "cone": _cone_kettle}[spec.shape](
        kit, rng
    )


def _stovetop(kit: Any, rng: random.Random) -> None:
    """A squat round kettle with a bail handle over its lid."""
    skin, grip = kit.main(), kit.accent()
    r, h = rng.uniform(0.095, 0.106), rng.uniform(0.115, 0.135)
    profile = [
        (0, 0), (r * 0.86, 0), (r * 0.98, 0.012), (r, h * 0.3), (r * 0.93, h * 0.62), (r * 0.7, h * 0.88),
        (r * 0.46, h * 0.98), (0, h * 0.98),
    ]  # fmt: skip
    kit.lathe(profile, skin, round_edge=0.024, name="body")
    kit.lathe(
        [(r * 0.5, h * 0.955), (r * 0.5, h * 0.985), (r * 0.4, h * 1.04), (0, h * 1.08)],
        skin, round_edge=0.006, name="lid",
    )  # fmt: skip
    _knob(kit, h * 1.07, grip)
    _short_spout(kit, skin, r * 0.8, h * 0.5, 0.062, h * 0.4)
    top = h * rng.uniform(1.62, 1.78)
    for side in (-1, 1):
        kit.cylinder(
            (side * r * 0.77, 0, h * 0.8), (side * r * 0.8, 0, h * 0.92), 0.01, kit.mat("steel"), name="ear"
        )
    kit.tube(
        [(-r * 0.78, 0, h * 0.86), (-r * 0.82, 0, h * 1.25), (-r * 0.56, 0, top * 0.96)],
        0.0052, kit.mat("steel"), smooth=True, name="bail",
    )  # fmt: skip
    kit.tube(
        [(r * 0.78, 0, h * 0.86), (r * 0.82, 0, h * 1.25), (r * 0.56, 0, top * 0.96)],
        0.0052, kit.mat("steel"), smooth=True, name="bail",
    )  # fmt: skip
    kit.tube(
        [
            (-r * 0.6, 0, top * 0.945),
            (-r * 0.3, 0, top),
            (0, 0, top * 1.012),
            (r * 0.3, 0, top),
            (r * 0.6, 0, top * 0.945),
        ],
        [0.0085, 0.011, 0.012, 0.011, 0.0085],
        grip,
        smooth=True,
        name="grip",
    )


def _cone_kettle(kit: Any, rng: random.Random) -> None:
    """A conical kettle with a fixed arched handle at its back and a bird-beak spout."""
    skin, grip = kit.main(), kit.accent()
    r, h = rng.uniform(0.1, 0.112), rng.uniform(0.165, 0.19)
    top = r * rng.uniform(0.4, 0.48)
    kit.lathe([(0, 0), (r * 0.97, 0), (r, 0.012), (top, h), (0, h)], skin, round_edge=0.012, name="body")
    kit.lathe(
        [(top * 0.94, h - 0.003), (top * 0.94, h + 0.005), (0, h + 0.014)], skin, round_edge=0.004, name="lid"
    )
    _knob(kit, h + 0.011, grip)
    kit.torus(r * 0.995, 0.004, kit.mat("steel"), at=(0, 0, 0.01), name="base ring")
    side = r - (r - top) * 0.56
    _short_spout(kit, skin, side * 0.86, h * 0.5, 0.06, h * 0.38)
    back = -(r - (r - top) * 0.86)
    path: list[Point] = [
        (back + 0.006, 0, h * 0.86),
        (back - 0.02, 0, h * 1.08),
        (back + 0.03, 0, h * 1.3),
        (0.01, 0, h * 1.34),
        (0.045, 0, h * 1.25),
    ]
    kit.tube(path, 1.0, grip, smooth=True, section=_oval(0.0105, 0.0075), name="handle")
    kit.sphere((0.018, 0.014, 0.018), kit.mat("steel"), at=(back + 0.006, 0, h * 0.84), name="mount")


def _electric(kit: Any, rng: random.Random) -> None:
    """A tall jug on its round base, with a wide lip and a side handle."""
    skin, black = kit.main(), kit.mat("black plastic")
    r, h = rng.uniform(0.076, 0.084), rng.uniform(0.2, 0.225)
    top = r * rng.uniform(0.74, 0.84)
    kit.lathe(
        [(0, 0), (r * 1.06, 0), (r * 1.06, 0.014), (r * 0.96, 0.02), (0, 0.02)],
        black,
        round_edge=0.004,
        name="base",
    )
    kit.lathe(
        [(0, 0.016), (r * 0.98, 0.016), (r * 0.98, 0.034), (0, 0.034)], black, round_edge=0.003, name="foot"
    )
    kit.lathe(
        [(0, 0.03), (r, 0.03), (r * 0.985, 0.06), (top * 1.02, h - 0.01), (top, h), (0, h)],
        skin, round_edge=0.008, name="body",
    )  # fmt: skip
    kit.lathe(
        [(top * 0.97, h - 0.004), (top * 0.95, h + 0.008), (0, h + 0.014)],
        black,
        round_edge=0.004,
        name="lid",
    )
    kit.box((0.03, 0.02, 0.011), black, at=(-top * 0.5, 0, h + 0.006), bevel=0.004, name="lid tab")
    lip = []
    for share, out, half in ((0.0, 0.002, 0.012), (0.5, 0.014, 0.026), (1.0, 0.034, 0.03)):
        z = h - 0.07 + 0.07 * share
        face = r + (top - r) * (z / h)
        lip.append([
            (face - 0.02, -half, z), (face - 0.008 + out * 0.4, -half * 0.75, z), (face + out, 0, z),
            (face - 0.008 + out * 0.4, half * 0.75, z), (face - 0.02, half, z),
        ])  # fmt: skip
    kit.loft(lip, skin, smooth=4, name="lip")
    face = -(r + (top - r) * 0.9)
    kit.tube(
        [(face + 0.008, 0, h - 0.006), (face - 0.036, 0, h + 0.004), (face - 0.056, 0, h - 0.03),
         (face - 0.054, 0, h * 0.5), (face - 0.03, 0, h * 0.25), (-r + 0.004, 0, h * 0.22)],
        1.0, black, bend=0.03, section=_oval(0.0125, 0.009), name="handle",
    )  # fmt: skip
    gauge = kit.mat("black plastic", roughness=0.15)
    ends = []
    for z in (h * 0.34, h * 0.7):
        share = (z - 0.06) / (h - 0.07)
        ends.append((0.0, -(r * 0.985 + (top * 1.02 - r * 0.985) * share), z))
    kit.beam(*ends, 0.015, 0.005, gauge, bevel=0.002, name="water gauge")


def _pour_over(kit: Any, rng: random.Random) -> None:
    """A barista's kettle: low tapered body, a thin swan-neck spout and an open side handle."""
    skin, grip = kit.main(), kit.accent()
    r, h = rng.uniform(0.078, 0.088), rng.uniform(0.115, 0.132)
    top = r * rng.uniform(0.58, 0.68)
    kit.lathe(
        [(0, 0), (r, 0), (r, 0.01), (top * 1.04, h * 0.94), (top, h), (0, h)],
        skin,
        round_edge=0.01,
        name="body",
    )
    kit.lathe(
        [(top * 0.92, h - 0.002), (top * 0.92, h + 0.006), (0, h + 0.012)], skin, round_edge=0.003, name="lid"
    )
    _knob(kit, h + 0.01, grip)
    rise = h * rng.uniform(1.08, 1.2)
    foot = r - (r - top) * 0.2
    path: list[Point] = [
        (foot - 0.008, 0, h * 0.2), (foot + 0.036, 0, h * 0.22), (foot + 0.05, 0, h * 0.5),
        (foot + 0.044, 0, h * 0.85), (foot + 0.066, 0, rise), (foot + 0.094, 0, rise + 0.002),
    ]  # fmt: skip
    kit.tube(path, [0.0135, 0.011, 0.009, 0.0075, 0.0068, 0.0062], skin, smooth=True, name="spout")
    back = -(r + (top - r) * 0.86)
    kit.tube(
        [
            (back + 0.008, 0, h * 0.9),
            (back - 0.03, 0, h * 1.04),
            (back - 0.082, 0, h * 1.02),
            (back - 0.088, 0, h * 0.9),
            (back - 0.08, 0, h * 0.3),
        ],
        1.0,
        grip,
        bend=0.026,
        section=_oval(0.011, 0.0078),
        name="handle",
    )


def _knob(kit: Any, z: float, mat: Any) -> None:
    """A round lid knob on a short neck."""
    kit.lathe(
        [
            (0.0065, z - 0.006),
            (0.0065, z + 0.006),
            (0.0135, z + 0.012),
            (0.0145, z + 0.02),
            (0.008, z + 0.026),
            (0, z + 0.027),
        ],
        mat,
        smooth=False,
        round_edge=0.004,
        name="knob",
    )


def _short_spout(kit: Any, mat: Any, x: float, z: float, reach: float, rise: float) -> None:
    """A tapering spout that leaves the body at x and ends `reach` further out and `rise` higher."""
    line = ((0.0, 0.0, 0.027), (0.45, 0.32, 0.0205), (0.8, 0.72, 0.0155), (1.12, 1.06, 0.0135))
    rings = []
    for out, up, radius in line:
        lean = 0.55 if out else 0.8
        rings.append(
            [
                (
                    x + reach * out - radius * math.sin(t) * lean,
                    radius * 0.92 * math.cos(t),
                    z + rise * up + radius * math.sin(t) * (1 - lean * 0.35),
                )
                for t in _angles(28)
            ]
        )
    kit.loft(rings, mat, smooth=6, name="spout")
    end = line[-1]
    hole = kit.mat("black plastic")
    mouth = [
        (
            x + reach * end[0] - 0.011 * math.sin(t) * 0.55 + 0.0003,
            0.0102 * math.cos(t),
            z + rise * end[1] + 0.011 * math.sin(t) * 0.81 + 0.0006,
        )
        for t in _angles(28)
    ]
    back = [(px - 0.004, py, pz - 0.004) for px, py, pz in mouth]
    kit.loft([back, mouth], hole, name="mouth")


def build_bottle(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a bottle 20 to 32 cm high."""
    {"flask": _flask, "sport": _sport, "swing": _swing_top, "carafe": _carafe}[spec.shape](kit, rng)


def _flask(kit: Any, rng: random.Random) -> None:
    """An insulated drinking bottle: straight sides, soft shoulder, a screw cap with a loop."""
    skin = kit.main()
    r, h = rng.uniform(0.034, 0.039), rng.uniform(0.2, 0.24)
    neck = r * rng.uniform(0.58, 0.66)
    kit.lathe(
        [(0, 0), (r * 0.96, 0), (r, 0.004), (r, h * 0.76), (neck, h * 0.9), (neck, h * 0.96), (0, h * 0.96)],
        skin, round_edge=0.02, name="body",
    )  # fmt: skip
    kit.lathe(_ring(r * 1.001, 0.004, 0.012), kit.mat("steel"), round_edge=0.001, name="base ring")
    kit.cylinder((0, 0, h * 0.9), (0, 0, h * 0.925), neck * 1.05, kit.mat("steel"), name="neck ring")
    cap = kit.accent()
    kit.cylinder((0, 0, h * 0.925), (0, 0, h * 1.05), neck * 1.14, cap, round_edge=0.003, name="cap")
    z = h * 1.05
    kit.tube(
        [
            (-neck * 0.85, 0, z - 0.004),
            (-neck * 0.8, 0, z + 0.014),
            (0, 0, z + 0.024),
            (neck * 0.8, 0, z + 0.014),
            (neck * 0.85, 0, z - 0.004),
        ],
        1.0,
        cap,
        smooth=True,
        section=_oval(0.006, 0.0028),
        name="loop",
    )


def _sport(kit: Any, rng: random.Random) -> None:
    """A squeezable sports bottle with a waist, ribs and a pull spout."""
    skin, cap = kit.main(), kit.accent()
    r, h = rng.uniform(0.035, 0.039), rng.uniform(0.175, 0.2)
    kit.lathe(
        [
            (0, 0),
            (r * 0.94, 0),
            (r, 0.008),
            (r, h * 0.3),
            (r * 0.99, h * 0.46),
            (r * 0.84, h * 0.6),
            (r * 0.84, h * 0.68),
            (r, h * 0.8),
            (r * 0.98, h * 0.94),
            (r * 0.84, h),
            (0, h),
        ],
        skin,
        round_edge=0.012,
        name="body",
    )
    for i in range(3):
        kit.torus(r * 0.998, 0.0018, skin, at=(0, 0, h * (0.12 + 0.07 * i)), name="rib")
    kit.lathe(
        [
            (r * 0.9, h - 0.004),
            (r * 0.92, h + 0.016),
            (r * 0.8, h + 0.022),
            (r * 0.36, h + 0.034),
            (0, h + 0.034),
        ],
        cap,
        round_edge=0.004,
        name="cap",
    )
    for i in range(24):
        a = math.tau * i / 24
        x, y = r * 0.915 * math.cos(a), r * 0.915 * math.sin(a)
        kit.cylinder((x, y, h), (x, y, h + 0.015), 0.0018, cap, segments=8, name="grip rib")
    pale = kit.mat("white plastic")
    kit.cylinder((0, 0, h + 0.03), (0, 0, h + 0.045), r * 0.27, pale, name="spout neck")
    kit.cylinder((0, 0, h + 0.044), (0, 0, h + 0.058), r * 0.34, pale, round_edge=0.003, name="spout")


def _swing_top(kit: Any, rng: random.Random) -> None:
    """A glass bottle with a wire-held porcelain stopper."""
    glass, wire = kit.main(), kit.mat("steel")
    r, h = rng.uniform(0.038, 0.043), rng.uniform(0.25, 0.285)
    neck = 0.0135
    kit.shell(
        [
            (0, 0),
            (r * 0.95, 0),
            (r, 0.006),
            (r, h * 0.52),
            (r * 0.92, h * 0.62),
            (neck * 1.35, h * 0.8),
            (neck, h * 0.86),
            (neck, h),
        ],
        0.0022,
        glass,
        round_edge=0.016,
        name="body",
    )
    kit.torus(neck, 0.0036, glass, at=(0, 0, h - 0.004), name="lip")
    kit.lathe(
        [
            (0, h - 0.012),
            (neck * 0.82, h - 0.012),
            (neck * 0.82, h + 0.002),
            (neck * 1.05, h + 0.004),
            (neck * 1.08, h + 0.013),
            (neck * 0.6, h + 0.02),
            (0, h + 0.021),
        ],
        kit.mat("white ceramic"),
        round_edge=0.003,
        name="stopper",
    )
    kit.cylinder((0, 0, h + 0.0005), (0, 0, h + 0.0045), neck * 1.02, kit.mat("red rubber"), name="seal")
    kit.torus(neck + 0.0016, 0.0019, wire, at=(0, 0, h - 0.026), name="collar wire")

    def side() -> None:
        kit.tube(
            [
                (neck + 0.002, 0, h - 0.026),
                (neck + 0.0075, 0.0, h - 0.012),
                (neck + 0.006, 0, h + 0.009),
                (neck * 0.9, 0, h + 0.0115),
            ],
            0.0015,
            wire,
            smooth=True,
            name="lever wire",
        )
        kit.tube(
            [
                (neck + 0.007, 0, h - 0.012),
                (neck + 0.008, -0.012, h - 0.03),
                (neck * 0.7, -0.021, h - 0.052),
                (0, -0.022, h - 0.056),
            ],
            0.0015,
            wire,
            smooth=True,
            name="lever",
        )

    kit.both_sides(side)
    _contents(kit, r, h, rng)


def _carafe(kit: Any, rng: random.Random) -> None:
    """A round-bellied glass bottle with a cork."""
    glass = kit.main()
    r, h = rng.uniform(0.05, 0.058), rng.uniform(0.215, 0.25)
    kit.shell(
        [
            (0, 0),
            (r * 0.84, 0),
            (r * 0.97, 0.012),
            (r, h * 0.2),
            (r * 0.86, h * 0.42),
            (r * 0.42, h * 0.66),
            (r * 0.36, h * 0.85),
            (r * 0.44, h),
        ],
        0.0024,
        glass,
        smooth=True,
        name="body",
    )
    cork = r * 0.375
    kit.cylinder(
        (0, 0, h - 0.024),
        (0, 0, h + 0.016),
        cork * 0.86,
        kit.mat("cork"),
        end_radius=cork * 1.12,
        name="cork",
    )


def _contents(kit: Any, r: float, h: float, rng: random.Random) -> None:
    """Fill a bottle with oil or water now and then; the drink stays a hair off the glass."""
    if kit.spec.colour != "clear" or rng.random() < 0.4:
        return
    inner, level = r - 0.0029, h * rng.uniform(0.4, 0.5)
    kit.lathe(
        [(0, 0.003), (inner - 0.001, 0.003), (inner, 0.008), (inner, level), (0, level)],
        kit.mat("glass", "yellow"), round_edge=0.002, name="oil",
    )  # fmt: skip


def _oval(a: float, b: float) -> list[tuple[float, float]]:
    """Return an oval section with half-axes a (level) and b (up)."""
    return [(a * math.cos(t), b * math.sin(t)) for t in _angles(20)]


def _angles(n: int) -> list[float]:
    return [math.tau * i / n for i in range(n)]


BOWL = ProductType(
    name="bowl",
    category="Kitchen",
    mount="table",
    price=(9, 59),
    shapes={"round": "rustic", "flared": "japanese", "low": "modern", "footed": "classic"},
    finishes=(
        Finish(
            "ceramic",
            ("white", "blue", "red", "yellow", "green", "teal"),
            ("plain", "stripes", "bands", "dots", "checks"),
            weight=3,
        ),
        Finish("stoneware", ("grey", "beige", "blue", "olive"), weight=2),
        Finish("walnut", shapes=("round", "low", "footed")),
        Finish("oak", shapes=("round", "low", "footed")),
        Finish("glass", shapes=("round", "flared", "low")),
        Finish("copper", shapes=("round", "low")),
    ),
    build=build_bowl,
    title={
        "round": "Round {finish} bowl",
        "flared": "{finish} noodle bowl",
        "low": "Low {finish} serving bowl",
        "footed": "{finish} fruit bowl on foot",
    },
    azimuths=((-20, 0), (30, 60), (100, 130)),
    elevations=((21, 28), (9, 14), (42, 52)),
)

FRYING_PAN = ProductType(
    name="frying pan",
    category="Kitchen",
    mount="table",
    price=(19, 139),
    shapes={"skillet": "rustic", "sloped": "modern", "saute": "professional", "wok": "asian"},
    finishes=(
        Finish("enamel", ("red", "teal", "navy", "green", "orange"), weight=6),
        Finish("iron", shapes=("skillet",)),
        Finish("steel", shapes=("saute", "wok", "sloped"), weight=2),
        Finish("copper", shapes=("saute", "sloped")),
        Finish("aluminium", shapes=("sloped", "wok")),
    ),
    build=build_frying_pan,
    accents={"sloped": ("black plastic", "oak", "beech"), "wok": ("oak", "black plastic", "walnut")},
    title={
        "skillet": "{finish} skillet frying pan",
        "sloped": "{finish} frying pan with {accent} handle",
        "saute": "{finish} saute pan with helper handle",
        "wok": "{finish} wok pan with {accent} handle",
    },
    azimuths=((-48, -30), (18, 38), (-88, -75)),
    elevations=((30, 38), (16, 22), (43, 52)),
)

KETTLE = ProductType(
    name="kettle",
    category="Kitchen",
    mount="table",
    price=(24, 149),
    shapes={"stovetop": "vintage", "electric": "modern", "gooseneck": "barista", "cone": "design"},
    finishes=(
        Finish("enamel", ("red", "white", "teal", "yellow", "navy"), shapes=("stovetop", "cone"), weight=3),
        Finish("steel", weight=2),
        Finish("copper", shapes=("stovetop", "gooseneck", "cone")),
        Finish("metal", ("black", "white", "green", "red"), shapes=("electric", "gooseneck"), weight=3),
    ),
    build=build_kettle,
    accents={
        "stovetop": ("oak", "black plastic", "walnut"),
        "gooseneck": ("walnut", "black plastic", "oak"),
        "cone": ("black plastic", "beech", "walnut"),
    },
    title={
        "stovetop": "{finish} stovetop kettle with {accent} handle",
        "electric": "{finish} electric kettle",
        "gooseneck": "{finish} gooseneck kettle with {accent} handle",
        "cone": "{finish} cone kettle with {accent} handle",
    },
    azimuths=((-28, -10), (22, 42), (158, 176)),
    elevations=((12, 17), (5, 10), (24, 32)),
)

BOTTLE = ProductType(
    name="bottle",
    category="Kitchen",
    mount="table",
    price=(8, 45),
    shapes={"flask": "outdoor", "sport": "sporty", "swing": "vintage", "carafe": "modern"},
    finishes=(
        Finish("metal", ("white", "black", "navy", "green", "pink", "yellow"), shapes=("flask",), weight=2),
        Finish("steel", shapes=("flask",)),
        Finish("plastic", ("red", "blue", "green", "yellow", "black"), shapes=("sport",), weight=2),
        Finish("glass", ("green", "blue", "brown"), shapes=("swing", "carafe"), weight=3),
        Finish("glass", shapes=("swing", "carafe")),
    ),
    build=build_bottle,
    accents={
        "flask": ("steel", "bamboo", "black plastic"),
        "sport": ("black plastic", "grey plastic", "white plastic"),
    },
    title={
        "flask": "{finish} water bottle with {accent} cap",
        "sport": "{finish} sports bottle",
        "swing": "{finish} swing-top bottle",
        "carafe": "{finish} carafe bottle with cork",
    },
    azimuths=((-20, 0), (35, 60), (110, 140)),
    elevations=((5, 9), (33, 39), (52, 60)),
)

TYPES = (BOWL, FRYING_PAN, KETTLE, BOTTLE)
