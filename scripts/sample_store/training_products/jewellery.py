"""Declare training-only jewellery: earrings, necklaces, bracelets, rings. What is laid flat hangs on the wall."""

import math
import random
from typing import Any

import numpy as np

from sample_store.spec import Finish, ProductType, Spec
from sample_store.training_products._forms import COLOURS, FRONT, FRONT_UP, beads, chain, gem, ribbon

STONES = (
    "red gem",
    "blue gem",
    "green gem",
    "white gem",
    "purple gem",
    "black gem",
    "turquoise gem",
    "pink gem",
    "orange gem",
    "teal gem",
    "yellow gem",
    "magenta gem",
)
METALS = (Finish("gold", weight=3), Finish("silver", weight=3), Finish("rose gold"), Finish("copper"))
BEADS = Finish("bead", COLOURS, weight=4)


def _bell(kit: Any, x: float, z: float, size: float, mat: Any, stone: Any) -> None:
    """A bell-shaped drop with a fringe of small balls."""
    profile = [
        (0.004, 0.0),
        (size * 0.5, -size * 0.12),
        (size * 0.85, -size * 0.5),
        (size, -size * 0.95),
        (size * 1.04, -size),
    ]
    with kit.place(x, 0, z):
        kit.lathe(
            [(0, 0.004), *profile, (size * 0.9, -size), (0, -size * 0.6)], mat, segments=32, name="bell"
        )
        t = np.linspace(0, 2 * math.pi, 18, endpoint=False)
        beads(
            kit,
            np.stack([size * np.cos(t), size * np.sin(t), np.full(18, -size * 1.1)], 1),
            size * 0.15,
            stone,
            name="fringe",
        )
        beads(
            kit,
            [
                (0, -size * 0.86, -size * 0.5),
                (size * 0.5, -size * 0.72, -size * 0.5),
                (-size * 0.5, -size * 0.72, -size * 0.5),
            ],
            size * 0.12,
            stone,
            name="stones",
        )


def build_earrings(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of earrings side by side: hoops, drops, studs, bells (two parts that do not touch)."""
    metal = kit.main() if spec.material != "bead" else kit.mat(rng.choice(("gold", "silver")))
    stone = kit.accent() if spec.material != "bead" else kit.main()
    apart = rng.uniform(0.018, 0.022)
    size = rng.uniform(0.9, 1.15)
    kind, arms = rng.choice(("drop", "long", "tassel")), rng.choice((6, 8))
    top = 0.0 if spec.shape == "stud" else 0.004

    def one() -> None:
        with kit.place(apart, 0, 0):
            if spec.shape == "hoop":
                r = 0.0145 * size
                if spec.material == "bead":
                    t = np.linspace(0, 2 * math.pi, 26, endpoint=False)
                    beads(kit, np.stack([r * np.cos(t), 0 * t, r * np.sin(t)], 1), 0.0019, stone, name="hoop")
                else:
                    kit.torus(r, (0.0011, 0.0022)[kind == "long"], metal, axis="y", name="hoop")
                    if kind == "tassel":
                        t = np.radians(np.linspace(215, 325, 9))
                        beads(
                            kit,
                            np.stack([r * np.cos(t), 0 * t - 0.0008, r * np.sin(t)], 1),
                            0.0018,
                            stone,
                            name="stones",
                        )
                kit.tube(
                    [(0, 0.0, r), (0.0, 0.004, r + 0.002), (0, 0.006, r - 0.004)],
                    0.0006,
                    metal,
                    smooth=True,
                    name="pin",
                )
                return
            if spec.shape == "stud":
                r = 0.006 * size
                kit.cylinder((0, 0.002, 0), (0, -0.001, 0), r * 1.2, metal, name="setting")
                if kind == "drop":
                    gem(kit, (0, -0.002, 0), r, stone)
                elif kind == "long":
                    kit.sphere((r, r * 0.8, r), stone, at=(0, -0.002, 0), name="pearl")
                else:
                    t = np.linspace(0, 2 * math.pi, arms, endpoint=False)
                    beads(
                        kit,
                        np.stack([r * np.cos(t), 0 * t - 0.001, r * np.sin(t)], 1),
                        r * 0.42,
                        stone,
                        name="petals",
                    )
                    kit.sphere(r * 0.5, metal, at=(0, -0.002, 0), name="middle")
                kit.cylinder((0, 0, 0), (0, 0.009, 0), 0.0005, metal, name="post")
                return
            hook = [
                (0, 0.004, top + 0.004),
                (0, 0.005, top + 0.010),
                (0, 0.001, top + 0.013),
                (0, -0.001, top + 0.008),
                (0, 0, top),
            ]
            kit.tube(hook, 0.0006, metal, smooth=True, name="hook")
            if spec.shape == "bell":
                kit.sphere((0.0042, 0.003, 0.0042), stone, at=(0, 0, top - 0.003), name="stud")
                _bell(kit, 0, top - 0.006, 0.0095 * size, metal, stone)
            elif kind == "drop":
                kit.sphere(0.0022, metal, at=(0, 0, top - 0.001), name="bead")
                drop = [
                    (0, -0.024 * size),
                    (0.0055 * size, -0.020 * size),
                    (0.0068 * size, -0.014 * size),
                    (0.002, -0.004),
                    (0, -0.002),
                ]
                kit.lathe(drop, stone, smooth=True, at=(0, 0, top), segments=32, name="drop")
            elif kind == "long":
                z = top - 0.002
                kit.tube([(0, 0, top), (0, 0, top - 0.036 * size)], 0.0006, metal, name="wire")
                for k in range(4):
                    r = (0.0022 + 0.0009 * k) * size
                    z -= r * 1.1
                    kit.sphere(r, stone if k % 2 else metal, at=(0, 0, z), name="ball")
                    z -= r * 1.1
            else:
                kit.sphere((0.005, 0.0035, 0.004), metal, at=(0, 0, top - 0.003), name="cap")
                for i in range(9):
                    x = (i - 4) * 0.0009
                    kit.tube(
                        [(x, 0, top - 0.004), (x * 1.6, -0.0006 * (i % 3), top - 0.034 * size)],
                        0.00085,
                        stone,
                        sides=6,
                        name="thread",
                    )

    kit.both_sides(one)


def _drape(wide: float, long: float, sharp: float, count: int = 60) -> Any:
    """Return the line of a necklace laid flat, (n, 3): closed at the top, hanging to a point or a curve."""
    t = np.linspace(0, 2 * math.pi, count, endpoint=False) + math.pi / 2
    x = wide * np.cos(t)
    z = long * np.sin(t)
    low = z < 0
    x = np.where(low, x * (1 - sharp * (np.abs(z) / long) ** 2), x)
    return np.stack([x, np.zeros(count), z], 1)


def build_necklace(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a necklace laid flat: a pendant on a chain, strung beads, layered chains, a collar of drops."""
    beaded = spec.material in ("bead", "pearl")
    metal = kit.mat(rng.choice(("gold", "silver"))) if beaded else kit.main()
    stone = kit.main() if beaded else kit.accent()
    wide, long = rng.uniform(0.062, 0.075), rng.uniform(0.08, 0.1)
    if spec.shape == "pendant":
        line = _drape(wide, long, 0.42)
        chain(kit, line, 0.0068, metal, closed=True)
        z = -long - 0.004
        r = rng.uniform(0.012, 0.016)
        kit.torus(0.004, 0.0012, metal, at=(0, 0, z + 0.002), axis="x", name="bail")
        form = rng.choice(("round", "drop", "heart", "disc"))
        z -= r
        if form == "round":
            kit.torus(r, 0.0022, metal, at=(0, 0, z), axis="y", name="setting")
            gem(kit, (0, -0.001, z), r * 0.95, stone)
        elif form == "disc":
            kit.cylinder((0, 0.001, z), (0, -0.0012, z), r, metal, name="disc")
            gem(kit, (0, -0.002, z), r * 0.35, stone)
        elif form == "drop":
            drop = [(0, -r * 1.2), (r * 0.7, -r * 0.8), (r * 0.85, -r * 0.2), (r * 0.25, r * 0.8), (0, r)]
            kit.lathe(drop, stone, smooth=True, at=(0, 0, z), segments=32, name="drop")
            kit.sphere(0.0035, metal, at=(0, 0, z + r), name="cap")
        else:
            t = np.linspace(0, 2 * math.pi, 48, endpoint=False)
            heart = np.stack(
                [16 * np.sin(t) ** 3, 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)],
                1,
            )
            kit.extrude(
                heart * r / 15,
                0.006,
                stone if rng.random() < 0.5 else metal,
                plane="xz",
                at=(0, 0, z - 0.001),
                bevel=0.0025,
                name="heart",
            )
    elif spec.shape == "beads":
        count = rng.choice((34, 42))
        line = _drape(wide, long, 0.08, 400)
        step = np.linalg.norm(np.diff(line, axis=0), axis=1).sum() / count
        along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
        at = np.linspace(0, along[-1], count, endpoint=False)
        p = np.stack([np.interp(at, along, line[:, k]) for k in range(3)], 1)
        grow = rng.choice((0.0, 0.0, 0.35))
        radii = step * 0.5 * (1 - grow + grow * 1.5 * np.clip(0.5 - p[:, 2] / long / 2, 0, 1))
        every = rng.choice((0, 0, 4))
        mask = np.arange(count) % every == 0 if every else np.zeros(count, bool)
        beads(kit, p[~mask], [float(r) for r in radii[~mask]], stone, name="beads")
        if mask.any():
            beads(kit, p[mask], [float(r) * 0.9 for r in radii[mask]], metal, name="spacers")
        kit.tube(line[::8], 0.001, metal, closed=True, sides=6, name="string")
    elif spec.shape == "layered":
        for k, (w, h) in enumerate(((0.8, 0.62), (0.92, 0.85), (1.0, 1.1))):
            line = _drape(wide * w, long * h, 0.2) + np.array((0, -0.001 * k, long * (1 - h) * 0.3))
            if k == 1 or beaded:
                p = line[::1]
                beads(kit, p, 0.0022 if not beaded else 0.0036, stone, name="beads")
                kit.tube(line, 0.0008, metal, closed=True, sides=6, name="string")
            else:
                chain(kit, line, 0.006, metal, closed=True)
            low = line[line[:, 2].argmin()]
            if k == 2:
                kit.cylinder(
                    tuple(low + np.array((0, 0.001, -0.009))),
                    tuple(low + np.array((0, -0.0012, -0.009))),
                    0.0095,
                    metal,
                    name="disc",
                )
                gem(kit, tuple(low + np.array((0, -0.002, -0.009))), 0.004, stone)
        kit.box((0.008, 0.004, 0.05), metal, at=(0, 0.002, long * 0.68), bevel=0.001, name="clasp")
    else:
        line = _drape(wide, long * 0.85, 0.05, 72)
        kit.tube(line, 0.0022, metal, closed=True, name="collar")
        low = line[line[:, 2] < -0.01]
        low = low[np.argsort(low[:, 0])]
        for i, q in enumerate(low[::2]):
            r = 0.0036 + 0.0045 * math.sin(math.pi * (i + 1) / (len(low[::2]) + 1))
            away = q / np.linalg.norm(q)
            gem(kit, tuple(q + away * r * 0.6 + (0, -0.002, 0)), r, stone if i % 2 == 0 else metal)
            kit.sphere(r * 0.6, metal if i % 2 == 0 else stone, at=tuple(q + away * r * 1.9), name="drop")
            kit.cylinder(tuple(q), tuple(q + away * r * 1.9), 0.0009, metal, name="wire")


def build_bracelet(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a bracelet that lies on the table: bangles, strung beads, a chain with charms, a leather cuff."""
    r = rng.uniform(0.030, 0.033)
    t = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    if spec.shape == "bangle":
        main = kit.main()
        second = kit.mat(rng.choice(("gold", "silver"))) if spec.material == "bead" else kit.accent()
        count, thick = rng.choice((1, 3, 4)), rng.uniform(0.0022, 0.003)
        if count == 1:
            high = rng.uniform(0.012, 0.024)
            profile = [
                (r - 0.002, 0),
                (r + 0.001, 0.001),
                (r + 0.0035, high / 2),
                (r + 0.001, high - 0.001),
                (r - 0.002, high),
            ]
            kit.loft(
                [
                    np.stack([q * np.cos(t), q * np.sin(t), np.full(64, z)], 1)
                    for q, z in [*profile, (r - 0.003, high / 2)]
                ],
                main,
                closed=True,
                sharp_deg=60,
                name="bangle",
            )
            k = rng.choice((0, 12, 18))
            if k:
                a = np.linspace(0, 2 * math.pi, k, endpoint=False)
                beads(
                    kit,
                    np.stack([(r + 0.003) * np.cos(a), (r + 0.003) * np.sin(a), np.full(k, high / 2)], 1),
                    0.0024,
                    second,
                    name="stones",
                )
        else:
            for i in range(count):
                mat = main if i % 2 == 0 else second
                kit.torus(
                    r + rng.uniform(-0.0004, 0.0004),
                    thick,
                    mat,
                    at=(rng.uniform(-0.001, 0.001), rng.uniform(-0.001, 0.001), thick + i * thick * 1.9),
                    name="bangle",
                )
    elif spec.shape == "beads":
        main = kit.main()
        rows = rng.choice((1, 1, 2))
        for row in range(rows):
            count = rng.choice((22, 26, 30))
            a = np.linspace(0, 2 * math.pi, count, endpoint=False)
            b = math.pi * r / count
            p = np.stack([r * np.cos(a), r * np.sin(a), np.full(count, b + row * b * 1.8)], 1)
            special = np.arange(count) % rng.choice((count, 6)) == 0
            beads(kit, p[~special], b * 0.99, main, name="beads")
            beads(kit, p[special], b * 1.1, kit.mat(rng.choice(("gold", "silver"))), name="spacers")
    elif spec.shape == "charm":
        metal, stone = kit.main(), kit.accent()
        line = np.stack([r * 1.05 * np.cos(t), r * np.sin(t), np.full(64, 0.006)], 1)
        chain(kit, line, 0.0085, metal, closed=True)
        for k, degrees in enumerate(range(200, 345, 24)):
            a = math.radians(degrees)
            x, y = (r + 0.006) * 1.05 * math.cos(a), (r + 0.006) * math.sin(a)
            if k % 2:
                kit.sphere(0.0044, stone, at=(x, y, 0.0042), name="charm")
            else:
                kit.cylinder((x, y, 0.006), (x * 1.03, y * 1.03, 0.004), 0.0062, metal, name="charm")
    else:
        wide = rng.uniform(0.018, 0.034)
        line = np.stack([r * np.cos(t), r * 0.88 * np.sin(t), np.full(64, wide / 2)], 1)
        ribbon(kit, line, (0, 0, 1), wide, 0.003, kit.main(weave=0.002), smooth=0, closed=True, name="cuff")
        metal = kit.mat(rng.choice(("gold", "silver")))
        if rng.random() < 0.5:
            for z in (0.25, 0.75):
                a = np.radians(np.linspace(195, 345, 13))
                beads(
                    kit,
                    np.stack(
                        [(r + 0.0014) * np.cos(a), (r * 0.88 + 0.0014) * np.sin(a), np.full(13, wide * z)], 1
                    ),
                    0.0018,
                    metal,
                    name="studs",
                )
        else:
            kit.cylinder(
                (0, -r * 0.88 - 0.001, wide / 2),
                (0, -r * 0.88 - 0.004, wide / 2),
                wide * 0.3,
                metal,
                name="snap",
            )


def build_ring(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a finger ring that stands upright: with one stone, a large stone, a plain or set band."""
    metal, stone = kit.main(), kit.accent()
    r, thick = rng.uniform(0.0088, 0.0096), rng.uniform(0.0011, 0.0015)
    t = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    half = {"solitaire": 0.0012, "cocktail": 0.0024, "band": rng.uniform(0.0026, 0.004), "eternity": 0.002}[
        spec.shape
    ]

    def hoop(radius: float, y: float, mat: Any, top: float = 1.0) -> None:
        section = [(-1, -0.5), (-0.7, -1), (0.7, -1), (1, -0.5), (1, 0.5), (0.7, 1), (-0.7, 1), (-1, 0.5)]
        rings = []
        for a in t:
            wide = half * (1 + (top - 1) * max(0.0, math.sin(a)) ** 3)
            rings.append(
                [
                    ((radius + q * thick) * math.cos(a), y + p * wide, (radius + q * thick) * math.sin(a))
                    for p, q in section
                ]
            )
        kit.loft(rings, mat, closed=True, sharp_deg=50, name="band")

    hoop(r, 0, metal, 1.6 if spec.shape == "cocktail" else 1.0)
    high = r + thick
    if spec.shape == "solitaire":
        g = rng.uniform(0.0032, 0.0042)
        for k in range(4):
            a = math.radians(45 + 90 * k)
            kit.tube(
                [(0, 0, high - 0.001), (g * math.cos(a), g * math.sin(a), high + g * 0.95)],
                0.0005,
                metal,
                sides=8,
                name="claw",
            )
        gem(kit, (0, 0, high + g * 0.75), g, stone, axis="z")
    elif spec.shape == "cocktail":
        g = rng.uniform(0.0062, 0.008)
        kit.cylinder(
            (0, 0, high - 0.001), (0, 0, high + 0.002), g * 0.95, metal, end_radius=g * 1.08, name="setting"
        )
        with kit.place(0, 0, high + 0.002, scale=(rng.choice((1, 1.25)), 1, 1)):
            gem(kit, (0, 0, 0.001), g, stone, axis="z")
        k = 20
        a = np.linspace(0, 2 * math.pi, k, endpoint=False)
        beads(
            kit,
            np.stack([g * 1.1 * np.cos(a), g * 1.1 * np.sin(a), np.full(k, high + 0.002)], 1),
            g * 0.16,
            metal,
            name="halo",
        )
    elif spec.shape == "eternity":
        k = 26
        a = np.linspace(0, 2 * math.pi, k, endpoint=False)
        beads(
            kit,
            np.stack([(r + thick) * np.cos(a), 0 * a, (r + thick) * np.sin(a)], 1),
            0.00115,
            stone,
            name="stones",
        )
    elif rng.random() < 0.6:
        k = rng.choice((1, 3, 5))
        for i in range(k):
            a = math.radians(90 + (i - (k - 1) / 2) * 16)
            kit.sphere(
                0.0012,
                stone,
                at=((r + thick) * math.cos(a), -half * 0.25, (r + thick) * math.sin(a)),
                name="stone",
            )


EARRINGS = ProductType(
    name="earrings",
    category="Jewellery",
    mount="wall",
    price=(12, 129),
    shapes={"hoop": "modern", "drop": "elegant", "stud": "classic", "bell": "ethnic"},
    finishes=(*METALS, BEADS),
    accents=STONES,
    build=build_earrings,
    title={
        "hoop": "{finish} hoop earrings",
        "drop": "{finish} drop earrings",
        "stud": "{finish} stud earrings",
        "bell": "{finish} jhumka earrings",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
NECKLACE = ProductType(
    name="necklace",
    category="Jewellery",
    mount="wall",
    price=(15, 249),
    shapes={"pendant": "classic", "beads": "boho", "layered": "modern", "collar": "glamorous"},
    finishes=(
        Finish("gold", weight=2, shapes=("pendant", "layered", "collar")),
        Finish("silver", weight=2, shapes=("pendant", "layered", "collar")),
        Finish("rose gold", shapes=("pendant", "layered")),
        Finish("bead", COLOURS, weight=4, shapes=("beads", "collar", "layered")),
        Finish("pearl", ("white", "cream", "pink", "grey"), shapes=("beads",)),
    ),
    accents=STONES,
    build=build_necklace,
    title={
        "pendant": "{finish} necklace with pendant",
        "beads": "{finish} necklace",
        "layered": "Layered {finish} necklace",
        "collar": "{finish} statement necklace",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
BRACELET = ProductType(
    name="bracelet",
    category="Jewellery",
    mount="table",
    price=(9, 149),
    shapes={"bangle": "ethnic", "beads": "boho", "charm": "playful", "cuff": "rock"},
    finishes=(
        Finish("gold", weight=2, shapes=("bangle", "charm")),
        Finish("silver", weight=2, shapes=("bangle", "charm")),
        Finish("rose gold", shapes=("bangle", "charm")),
        Finish("bead", COLOURS, weight=4, shapes=("beads", "bangle")),
        Finish("pearl", ("white", "cream", "pink", "grey"), shapes=("beads",)),
        Finish("leather", COLOURS, weight=3, shapes=("cuff",)),
    ),
    accents=STONES,
    build=build_bracelet,
    title={
        "bangle": "{finish} bangle bracelet",
        "beads": "{finish} bracelet",
        "charm": "{finish} charm bracelet",
        "cuff": "{finish} cuff bracelet",
    },
    azimuths=((0, 25), (-60, -40), (60, 90)),
    elevations=((26, 34), (38, 46), (20, 28)),
)
RING = ProductType(
    name="ring",
    category="Jewellery",
    mount="table",
    price=(15, 349),
    shapes={"solitaire": "classic", "cocktail": "glamorous", "band": "minimal", "eternity": "elegant"},
    finishes=METALS,
    accents=STONES,
    build=build_ring,
    title={
        "solitaire": "{finish} ring with {accent}",
        "cocktail": "{finish} cocktail ring with large {accent}",
        "band": "{finish} band ring",
        "eternity": "{finish} eternity ring",
    },
    azimuths=((18, 38), (-58, -42), (60, 76)),
    elevations=((16, 24), (22, 30), (14, 20)),
)

TYPES = (EARRINGS, NECKLACE, BRACELET, RING)
