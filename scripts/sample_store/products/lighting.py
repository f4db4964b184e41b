"""Declare lighting: floor, desk and pendant lamps. It knows no camera and no studio light."""

import math
import random
from collections.abc import Sequence
from typing import Any

from sample_store.spec import Finish, ProductType, Spec

Profile = Sequence[tuple[float, float]]


def build_floor_lamp(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a floor lamp 1.4 to 1.8 m high."""
    {"tripod": _tripod, "arc": _arc, "column": _column, "reading": _reading}[spec.shape](kit, rng)


def _tripod(kit: Any, rng: random.Random) -> None:
    """Three splayed wooden legs under a drum shade."""
    wood, brass = kit.main(), kit.mat("brass")
    top, reach = rng.uniform(1.0, 1.14), rng.uniform(0.27, 0.32)
    turn = rng.uniform(0, 120)
    for i in range(3):
        a = math.radians(turn + 120 * i)
        c, s = math.cos(a), math.sin(a)
        kit.cylinder(
            (reach * c, reach * s, 0), (0.028 * c, 0.028 * s, top), 0.0145, wood, end_radius=0.021, name="leg"
        )
    kit.cylinder((0, 0, top - 0.05), (0, 0, top + 0.012), 0.05, brass, round_edge=0.006, name="hub")
    radius, height = rng.uniform(0.20, 0.25), rng.uniform(0.25, 0.32)
    _drum(kit, radius, radius * rng.uniform(0.8, 1.0), height, top + 0.05, top, kit.accent(lit=0.42), brass)


def _column(kit: Any, rng: random.Random) -> None:
    """A slim straight pole on a disc, an empire shade on top."""
    metal = kit.main()
    top = rng.uniform(1.08, 1.22)
    kit.cylinder((0, 0, 0), (0, 0, 0.028), rng.uniform(0.14, 0.17), metal, round_edge=0.008, name="base")
    kit.lathe([(0.045, 0.02), (0.03, 0.05), (0.0145, 0.07)], metal, name="collar")
    kit.cylinder((0, 0, 0.02), (0, 0, top), 0.0135, metal, name="pole")
    for z in (top * 0.36, top * 0.68):
        kit.sphere((0.022, 0.022, 0.014), metal, at=(0, 0, z), name="knuckle")
    radius, height = rng.uniform(0.19, 0.23), rng.uniform(0.26, 0.34)
    _drum(kit, radius, radius * rng.uniform(0.55, 0.75), height, top, top, kit.accent(lit=0.42), metal)


def _arc(kit: Any, rng: random.Random) -> None:
    """A heavy marble foot, a pole that bends over and a metal dome at its end."""
    metal = kit.main()
    half, top = rng.uniform(0.42, 0.5), rng.uniform(1.62, 1.8)
    kit.box((0.28, 0.28, 0.07), kit.accent(), at=(-half, 0, 0), bevel=0.01, name="foot")
    kit.cylinder((-half, 0, 0.06), (-half, 0, 0.11), 0.026, metal, name="socket")
    path: list[tuple[float, float, float]] = [(-half, 0, 0.07), (-half, 0, 0.5), (-half, 0, top * 0.56)]
    bend = top * 0.4
    for i in range(1, 13):
        t = math.pi * 0.9 * i / 12
        path.append((-half + half * (1 - math.cos(t)), 0, top - bend + bend * math.sin(t)))
    kit.tube(path, 0.0145, metal, smooth=True, name="pole")
    end_x, _, end_z = path[-1]
    radius = rng.uniform(0.2, 0.235)
    drop = end_z - 0.05
    kit.cylinder((end_x, 0, drop), (end_x, 0, end_z), 0.012, metal, name="drop")
    kit.sphere(0.021, metal, at=(end_x, 0, end_z), name="joint")
    _hood(kit, (end_x, 0, drop), _dome_profile(radius, radius * 0.78), metal, bulb=0.05)


def _reading(kit: Any, rng: random.Random) -> None:
    """A pole with a tilting arm and a cone that throws light on a book."""
    metal, joint = kit.main(), kit.mat("brass")
    height, tilt = rng.uniform(1.3, 1.45), rng.uniform(12, 24)
    arm = rng.uniform(0.36, 0.44)
    kit.cylinder((-0.12, 0, 0), (-0.12, 0, 0.026), 0.15, metal, round_edge=0.008, name="base")
    kit.cylinder((-0.12, 0, 0.02), (-0.12, 0, height), 0.0135, metal, name="pole")
    kit.sphere(0.028, joint, at=(-0.12, 0, height - 0.03), name="joint")
    rise = math.radians(tilt)
    c, s = math.cos(rise), math.sin(rise)
    start = (-0.12 - 0.14 * c, 0, height - 0.03 - 0.14 * s)
    end = (-0.12 + arm * c, 0, height - 0.03 + arm * s)
    kit.cylinder(start, end, 0.011, metal, name="arm")
    kit.cylinder(start, (start[0] + 0.07 * c, 0, start[2] + 0.07 * s), 0.021, joint, name="counterweight")
    kit.sphere(0.024, joint, at=end, name="head joint")
    with kit.place(*end, rot=(0, rng.uniform(-38, -24), 0)):
        radius = rng.uniform(0.105, 0.125)
        profile = [(radius, -0.27), (0.042, -0.06), (0.036, -0.03), (0.018, -0.012)]
        _hood(kit, (0, 0, 0), profile, metal, bulb=0.038)


def build_desk_lamp(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a desk lamp 35 to 55 cm high."""
    {"architect": _architect, "gooseneck": _gooseneck, "banker": _banker, "mushroom": _mushroom}[spec.shape](
        kit, rng
    )


def _architect(kit: Any, rng: random.Random) -> None:
    """Two sprung arms on a round foot, a tilting bell at the end."""
    paint, steel = kit.main(), kit.mat("steel")
    kit.cylinder(
        (-0.1, 0, 0), (-0.1, 0, 0.024), rng.uniform(0.08, 0.09), paint, round_edge=0.006, name="base"
    )
    kit.cylinder((-0.1, 0, 0.02), (-0.1, 0, 0.075), 0.012, steel, name="post")
    lean = math.radians(rng.uniform(14, 26))
    shoulder = (-0.1, 0.0, 0.075)
    elbow = (-0.1 - 0.27 * math.sin(lean), 0.0, 0.075 + 0.27 * math.cos(lean))
    rise = math.radians(rng.uniform(16, 30))
    reach = rng.uniform(0.26, 0.29)
    wrist = (elbow[0] + reach * math.cos(rise), 0.0, elbow[2] + reach * math.sin(rise))
    for a, b in ((shoulder, elbow), (elbow, wrist)):
        for y in (-0.012, 0.012):
            kit.cylinder((a[0], y, a[2]), (b[0], y, b[2]), 0.0052, paint, name="arm")
        spring = [tuple(p + (q - p) * t for p, q in zip(a, b, strict=True)) for t in (0.06, 0.4)]
        kit.cylinder(*spring, 0.008, steel, name="spring")
        for t in (0.4, 0.72):
            mid = [p + (q - p) * t for p, q in zip(a, b, strict=True)]
            kit.cylinder((mid[0], -0.016, mid[2]), (mid[0], 0.016, mid[2]), 0.0062, steel, name="pin")
    for p in (shoulder, elbow, wrist):
        kit.cylinder((p[0], -0.019, p[2]), (p[0], 0.019, p[2]), 0.0165, steel, name="joint")
    with kit.place(*wrist, rot=(0, rng.uniform(-28, -10), 0)):
        radius = rng.uniform(0.07, 0.08)
        profile = [(radius, -0.115), (radius * 0.93, -0.085), (0.037, -0.032), (0.03, -0.012), (0.014, 0.0)]
        _hood(kit, (0, 0, 0), profile, paint, bulb=0.028)


def _gooseneck(kit: Any, rng: random.Random) -> None:
    """One bent tube from a round foot to a hanging dome."""
    paint = kit.main()
    height, reach = rng.uniform(0.38, 0.46), rng.uniform(0.17, 0.21)
    left = -reach / 2
    kit.lathe(
        [(0, 0), (0.088, 0), (0.088, 0.012), (0.05, 0.028), (0.014, 0.034), (0, 0.034)],
        paint, at=(left, 0, 0), round_edge=0.006, name="base",
    )  # fmt: skip
    path: list[tuple[float, float, float]] = [
        (left, 0, 0.02),
        (left, 0, 0.15),
        (left, 0, height - reach * 0.5),
    ]
    for i in range(1, 9):
        t = math.pi * i / 8
        path.append((left + reach / 2 * (1 - math.cos(t)), 0, height - reach / 2 * (1 - math.sin(t))))
    kit.tube(path, 0.0085, kit.accent(), smooth=True, name="neck")
    end = path[-1]
    kit.cylinder((end[0], 0, end[2] - 0.012), (end[0], 0, end[2] + 0.012), 0.014, paint, name="collar")
    radius = rng.uniform(0.085, 0.1)
    _hood(kit, (end[0], 0, end[2] - 0.008), _dome_profile(radius, radius * 0.95), paint, bulb=0.034)


def _banker(kit: Any, rng: random.Random) -> None:
    """The library lamp: a half-round glass shade held by a brass yoke, with a pull chain."""
    brass = kit.accent()
    glass = kit.mat("gloss", kit.spec.colour)
    wide, height = rng.uniform(0.24, 0.28), rng.uniform(0.33, 0.38)
    kit.lathe(
        [(0, 0), (0.095, 0), (0.095, 0.012), (0.07, 0.022), (0.03, 0.034), (0.018, 0.05), (0, 0.05)],
        brass, round_edge=0.005, name="base",
    )  # fmt: skip
    kit.lathe(
        [(0.016, 0.04), (0.011, 0.08), (0.02, 0.11), (0.011, 0.14), (0.0095, height - 0.09), (0.016, height - 0.05)],
        brass, smooth=True, name="stem",
    )  # fmt: skip
    kit.sphere(0.02, brass, at=(0, 0, height - 0.055), name="socket")
    kit.both_sides(
        lambda: kit.tube(
            [(0.01, 0, height - 0.055), (0.06, 0, height - 0.08), (wide / 2 - 0.004, 0, height - 0.06),
             (wide / 2 + 0.006, 0, height - 0.02)],
            0.0055, brass, smooth=True, name="yoke",
        )
    )  # fmt: skip
    depth, rise = 0.074, 0.062

    def half_round(outer: float) -> Any:
        def surface(u: float, v: float) -> tuple[float, float, float]:
            s = 2 * v - 1
            end = (1 - abs(s) ** 5) ** 0.42 if abs(s) < 1 else 0.0
            a = math.pi * u
            k = 0.32 + 0.68 * end
            return (
                s * (wide / 2 + outer),
                -(depth * k + outer) * math.cos(a),
                height - 0.045 + (rise * k + outer) * math.sin(a),
            )

        return surface

    with kit.place(0, 0, height - 0.045, rot=(-14, 0, 0)), kit.place(0, 0, 0.045 - height):
        kit.sheet(half_round(0.0), glass, thickness=0.005, nu=33, nv=49, name="shade")
        kit.sheet(half_round(-0.004), kit.mat("white gloss"), thickness=0.002, nu=33, nv=41, name="lining")
        for x in (-1, 1):
            with kit.place(x * (wide / 2 - 0.001), 0, height - 0.045, rot=(0, 90, 0)):
                outline = [
                    (-rise * 0.36 * math.sin(math.pi * i / 20), -depth * 0.36 * math.cos(math.pi * i / 20))
                    for i in range(21)
                ]
                kit.extrude(outline, 0.005, glass, bevel=0.001, name="shade end")
        for x in (-1, 1):
            kit.sphere(0.0095, brass, at=(x * (wide / 2 + 0.005), 0, height - 0.03), name="thumb screw")
    kit.cylinder(
        (-0.05, 0, height - 0.035), (0.05, 0, height - 0.035), 0.014, kit.mat("bulb", strength=4), name="bulb"
    )
    kit.cylinder((0, 0, height - 0.06), (0, 0, height - 0.03), 0.01, brass, name="lamp holder")
    kit.glow((0, -0.03, height - 0.06), 0.35, 0.015)
    kit.cylinder(
        (0.045, -0.028, height - 0.15), (0.045, -0.028, height - 0.03), 0.0022, brass, name="pull chain"
    )
    kit.cylinder((0.045, -0.028, height - 0.035), (0.045, 0, height - 0.035), 0.004, brass, name="switch")
    kit.sphere((0.006, 0.006, 0.01), brass, at=(0.045, -0.028, height - 0.155), name="pull")


def _mushroom(kit: Any, rng: random.Random) -> None:
    """A turned stem under a wide glossy cap."""
    paint = kit.main(roughness=0.22)
    height, radius = rng.uniform(0.33, 0.41), rng.uniform(0.125, 0.15)
    waist = rng.uniform(0.02, 0.032)
    cap = height - radius * 0.78
    kit.lathe(
        [(0, 0), (0.078, 0), (0.078, 0.008), (0.066, 0.024), (waist * 1.15, height * 0.3), (waist, cap),
         (waist * 1.2, cap + 0.06), (0, cap + 0.06)],
        paint, round_edge=0.03, name="stem",
    )  # fmt: skip
    kit.cylinder((0, 0, cap + 0.03), (0, 0, height - 0.008), 0.009, kit.mat("steel"), name="spindle")
    _hood(kit, (0, 0, height), _dome_profile(radius, radius * 0.78, neck=0.0), paint, bulb=0.03)


def build_pendant_lamp(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pendant lamp 25 to 45 cm wide on a short cord under a ceiling rose."""
    metal = kit.mat("black metal") if spec.shape in ("basket", "drum") else kit.accent()
    cord = rng.uniform(0.2, 0.26)
    radius = rng.uniform(0.15, 0.2)
    top = 0.0
    if spec.shape == "dome":
        paint = kit.main()
        _hood(kit, (0, 0, 0), _dome_profile(radius, radius * rng.uniform(0.75, 1.05)), paint, bulb=0.045)
    elif spec.shape == "cone":
        paint = kit.main()
        deep = radius * rng.uniform(1.0, 1.45)
        profile = [
            (radius, -deep),
            (radius * 0.985, -deep + 0.02),
            (0.045, -0.045),
            (0.03, -0.012),
            (0.016, 0),
        ]
        _hood(kit, (0, 0, 0), profile, paint, bulb=0.045)
    elif spec.shape == "globe":
        ball = rng.uniform(0.12, 0.16)
        z = -ball - 0.025
        if spec.colour == "white":
            kit.sphere(
                ball, kit.mat("white gloss"), at=(0, 0, z), name="globe"
            )  # opal, unlit: lit, it is lost on white
        else:
            t = [math.pi * (i / 30 - 0.5) for i in range(28)]
            profile = [(ball * math.cos(a), ball * math.sin(a)) for a in t]
            kit.shell(profile, 0.003, kit.main(), at=(0, 0, z), round_edge=0.0, name="globe")
            kit.cylinder((0, 0, z + 0.03), (0, 0, 0), 0.018, metal, name="lamp holder")
            kit.sphere((0.034, 0.034, 0.042), kit.mat("bulb", strength=3.5), at=(0, 0, z + 0.0), name="bulb")
        kit.lathe(
            [(0.052, -0.055), (0.052, -0.02), (0.03, 0.0), (0.012, 0.012)],
            metal,
            round_edge=0.006,
            name="cap",
        )
    elif spec.shape == "basket":
        _basket(kit, radius * 1.1, rng)
    else:
        cloth = kit.main(scale=0.07, weave=0.005)
        height = rng.uniform(0.17, 0.24)
        _drum(kit, radius * 1.15, radius * 1.15, height, -height, -0.06, cloth, metal, lining=True)
        top = -0.01
    kit.lathe(
        [(0.022, top - 0.02), (0.022, top + 0.03), (0.006, top + 0.045)],
        metal,
        round_edge=0.006,
        name="cord grip",
    )
    kit.cylinder((0, 0, top - 0.01), (0, 0, cord), 0.0042, kit.mat("black rubber"), name="cord")
    kit.lathe(
        [(0, cord + 0.02), (0.052, cord + 0.02), (0.052, cord + 0.006), (0.012, cord - 0.012), (0, cord - 0.012)],
        metal, round_edge=0.006, name="ceiling rose",
    )  # fmt: skip


def _basket(kit: Any, radius: float, rng: random.Random) -> None:
    """A woven shade: rattan hoops over bent ribs, a bulb showing through."""
    cane = kit.mat("bamboo")  # a strand is too thin for the woven pattern: it has a cane's plain surface
    deep = radius * rng.uniform(1.1, 1.6)
    belly = rng.uniform(0.8, 1.0)
    line = [(0.04, 0.0), (radius * 0.55, -deep * 0.12), (radius * 0.93, -deep * 0.42), (radius, -deep * 0.72),
            (radius * belly, -deep)]  # fmt: skip
    from sample_store.mesh import catmull

    curve = catmull(line, 8)
    for i in range(30):
        a = 2 * math.pi * i / 30
        kit.tube([(r * math.cos(a), r * math.sin(a), z) for r, z in curve], 0.0034, cane, sides=8, name="rib")
    count = 22
    for i in range(count):
        r, z = curve[round((len(curve) - 1) * i / (count - 1))]
        kit.torus(r, 0.0062 if i in (0, count - 1) else 0.0045, cane, at=(0, 0, z), name="hoop")
    kit.cylinder((0, 0, -0.075), (0, 0, 0.0), 0.022, kit.mat("black metal"), name="lamp holder")
    kit.cylinder((0, 0, -0.006), (0, 0, 0.006), 0.046, cane, name="top plate")
    kit.sphere((0.045, 0.045, 0.055), kit.mat("bulb", strength=3), at=(0, 0, -0.115), name="bulb")
    kit.glow((0, 0, -0.13), 1.6, 0.04)


def _dome_profile(radius: float, height: float, neck: float = 0.02) -> list[tuple[float, float]]:
    """Return a dome's outside from its rim up to its top at z = 0."""
    steps = [math.pi / 2 * i / 14 for i in range(15)]
    dome = [(max(neck, radius * math.cos(t) ** 0.9), -height + height * math.sin(t)) for t in steps]
    return [(radius, -height - radius * 0.06), *dome]


def _hood(kit: Any, at: tuple[float, float, float], profile: Profile, mat: Any, *, bulb: float) -> None:
    """A metal shade open below: painted outside, white inside, with a lit bulb of the given radius."""
    with kit.place(*at):
        kit.lathe(profile, mat, segments=72, name="shade")
        inside = [(max(0.0, r - 0.0025), z - 0.0022) for r, z in profile]
        inside[0] = (profile[0][0] - 0.002, profile[0][1])
        kit.lathe(inside, kit.mat("white plastic"), segments=72, name="lining")
        kit.torus(
            profile[0][0] - 0.001, 0.0028 if bulb > 0.03 else 0.002, mat, at=(0, 0, profile[0][1]), name="rim"
        )
        low = profile[0][1]
        z = low * 0.6 if bulb < 0.06 else low * 0.5
        kit.cylinder((0, 0, z), (0, 0, -0.002), bulb * 0.5, kit.mat("steel"), name="lamp holder")
        kit.sphere((bulb, bulb, bulb * 1.1), kit.mat("bulb", strength=3.5), at=(0, 0, z), name="bulb")
        kit.glow((0, 0, low + bulb * 0.2), (bulb / 0.045) ** 2 * 0.9, bulb * 0.8)


def _drum(
    kit: Any, low: float, high: float, height: float, z: float, foot: float, mat: Any, metal: Any,
    lining: bool = False,
) -> None:  # fmt: skip
    """A cloth shade of bottom radius `low` from `z` upward, its frame and a bulb standing on `foot`."""
    top = z + height
    kit.lathe(
        [(low, z), (high, top), (high - 0.004, top), (low - 0.004, z), (low, z)],
        mat,
        segments=80,
        name="shade",
    )
    if lining:
        pale = kit.mat("white shade", lit=0.6)
        kit.lathe([(low - 0.006, z + 0.002), (high - 0.006, top - 0.002)], pale, segments=80, name="lining")
    for r, level in ((low, z), (high, top)):
        kit.torus(r - 0.002, 0.0036, mat, at=(0, 0, level), name="shade hoop")
    share = 0.86
    ring = low + (high - low) * share
    for i in range(3):
        a = 2 * math.pi * i / 3 + 0.5
        kit.cylinder(
            (0, 0, z + height * share), (ring * math.cos(a), ring * math.sin(a), z + height * share), 0.003, metal,
            name="spoke",
        )  # fmt: skip
    low_end, high_end = min(foot, z + height * share), max(foot, z + height * share)
    kit.cylinder((0, 0, low_end), (0, 0, high_end + 0.006), 0.0095, metal, name="stem")
    kit.sphere((0.036, 0.036, 0.046), kit.mat("bulb", strength=3), at=(0, 0, z + height * 0.5), name="bulb")
    kit.glow((0, 0, z + height * 0.5), 3.2, 0.05)


FLOOR_LAMP = ProductType(
    name="floor lamp",
    category="Lighting",
    mount="floor",
    price=(49, 289),
    shapes={"tripod": "scandinavian", "arc": "modern", "column": "classic", "reading": "industrial"},
    finishes=(
        Finish("oak", shapes=("tripod",), weight=2),
        Finish("walnut", shapes=("tripod",), weight=2),
        Finish("wood", ("black", "white"), shapes=("tripod",)),
        Finish("metal", ("black", "white", "green", "navy"), shapes=("arc", "column", "reading"), weight=4),
        Finish("brass", shapes=("arc", "column"), weight=2),
        Finish("steel", shapes=("arc", "column", "reading"), weight=1),
    ),
    build=build_floor_lamp,
    accents={
        "tripod": ("beige shade", "grey shade", "green shade"),
        "column": ("beige shade", "grey shade", "green shade", "blue shade"),
        "arc": ("white marble", "black marble"),
    },
    title={
        "tripod": "{finish} tripod floor lamp with {accent}",
        "arc": "{finish} arc floor lamp with {accent} base",
        "column": "{finish} floor lamp with {accent}",
        "reading": "{finish} reading floor lamp",
    },
    azimuths=((8, 28), (-52, -36), (140, 158)),
    elevations=((8, 13), (4, 8), (28, 36)),
)

DESK_LAMP = ProductType(
    name="desk lamp",
    category="Lighting",
    mount="table",
    price=(25, 169),
    shapes={"architect": "industrial", "gooseneck": "modern", "banker": "vintage", "mushroom": "retro"},
    finishes=(
        Finish(
            "metal", ("black", "white", "red", "yellow", "green"), shapes=("architect", "gooseneck"), weight=4
        ),
        Finish("brass", shapes=("gooseneck",)),
        Finish("glass", ("green", "blue", "white"), shapes=("banker",), weight=2),
        Finish("plastic", ("orange", "white", "red", "yellow", "green"), shapes=("mushroom",), weight=2),
    ),
    build=build_desk_lamp,
    accents={"gooseneck": ("brass", "steel"), "banker": ("brass",)},
    title={
        "architect": "{finish} desk lamp with adjustable arm",
        "gooseneck": "{finish} gooseneck desk lamp",
        "banker": "Banker's desk lamp with {finish} shade",
        "mushroom": "{finish} mushroom desk lamp",
    },
    azimuths=((-22, -6), (28, 48), (140, 160)),
    elevations=((12, 17), (3, 7), (22, 30)),
)

PENDANT_LAMP = ProductType(
    name="pendant lamp",
    category="Lighting",
    mount="ceiling",
    price=(29, 199),
    shapes={
        "dome": "industrial",
        "cone": "modern",
        "globe": "contemporary",
        "basket": "rustic",
        "drum": "classic",
    },
    finishes=(
        Finish(
            "metal", ("black", "white", "red", "yellow", "green", "navy"), shapes=("dome", "cone"), weight=3
        ),
        Finish("copper", shapes=("dome", "cone")),
        Finish("brass", shapes=("dome", "cone")),
        Finish("glass", ("white", "green", "blue", "yellow"), shapes=("globe",), weight=2),
        Finish("glass", shapes=("globe",)),
        Finish("rattan", shapes=("basket",), weight=2),
        Finish(
            "fabric",
            ("beige", "grey", "navy", "green"),
            ("plain", "stripes", "checks"),
            shapes=("drum",),
            weight=2,
        ),
    ),
    build=build_pendant_lamp,
    accents=("brass", "black metal"),
    title={
        "dome": "{finish} dome pendant lamp",
        "cone": "{finish} cone pendant lamp",
        "globe": "{finish} globe pendant lamp with {accent} fitting",
        "basket": "Woven {finish} pendant lamp",
        "drum": "{finish} drum pendant lamp",
    },
    azimuths=((0, 20), (-50, -30), (60, 80)),
    elevations=((8, 13), (-21, -14), (24, 31)),
)

TYPES = (FLOOR_LAMP, DESK_LAMP, PENDANT_LAMP)
