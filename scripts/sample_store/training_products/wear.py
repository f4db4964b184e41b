"""Declare training-only things to wear and carry: sunglasses, wallets, belts, ties, clutches, caps, hats, scarves."""

import math
import random
from typing import Any

import numpy as np

from sample_store.spec import Finish, ProductType, Spec
from sample_store.training_products._forms import (
    COLOURS,
    FRONT,
    FRONT_UP,
    LEATHERS,
    arc,
    chain,
    mirrored,
    puff,
    ribbon,
    rounded,
    seen,
)

LENSES = ("black", "black", "brown", "blue", "green", "charcoal", "purple")
TEXTILE = ("plain", "stripes", "checks", "dots", "bands")


def build_sunglasses(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model sunglasses that stand on their open temples, the lenses towards -y."""
    from sample_store.mesh import catmull

    wire = spec.shape == "aviator" or (spec.shape == "round" and spec.material != "plastic")
    thick, rim = (0.0026, 0.0018) if wire else (0.0055, 0.0045)
    if spec.shape == "round":
        lens = arc(rng.uniform(0.023, 0.026), 0, 360, 49)[:-1]
    elif spec.shape == "aviator":
        lens = catmull(
            [
                (-0.024, 0.016),
                (0.0, 0.021),
                (0.024, 0.019),
                (0.029, 0.004),
                (0.018, -0.022),
                (-0.002, -0.027),
                (-0.020, -0.012),
            ],
            7,
            closed=True,
        )
    elif spec.shape == "cat-eye":
        lens = catmull(
            [
                (-0.024, 0.010),
                (0.0, 0.017),
                (0.035, 0.028),
                (0.029, -0.002),
                (0.012, -0.019),
                (-0.012, -0.018),
                (-0.024, -0.006),
            ],
            7,
            closed=True,
        )
    else:
        lens = rounded(
            [
                (-0.027, 0.019),
                (0.030, 0.022),
                (0.027, -0.004),
                (0.016, -0.022),
                (-0.014, -0.021),
                (-0.025, -0.006),
            ],
            0.011,
        )
    frame = kit.main()
    glass = kit.mat(
        "gloss", rng.choice(LENSES) if spec.colour != "black" else rng.choice(("black", "brown", "blue"))
    )
    centre = 0.0335 if spec.shape != "round" else 0.032
    middle = lens.mean(0)
    outer = middle + (lens - middle) * (1 + rim / np.linalg.norm(lens - middle, axis=1, keepdims=True))
    bow = 0.10  # the front bends round the face

    def lens_and_temple() -> None:
        with kit.place(centre, 0.002, 0, rot=(0, 0, math.degrees(bow))):
            kit.extrude(outer, thick, frame, plane="xz", bevel=0.001, holes=[lens], name="rim")
            kit.extrude(middle + (lens - middle) * 1.02, 0.0018, glass, plane="xz", bevel=0.0005, name="lens")
        high = float(lens[:, 1].max()) * (0.75 if spec.shape != "round" else 0.35)
        x = centre + float(lens[:, 0].max()) + rim * 0.6
        line = [
            (x - 0.006, 0.002, high),
            (x + 0.0015, 0.006, high),
            (x + 0.003, 0.03, high),
            (x + 0.002, 0.10, high - 0.002),
            (x - 0.001, 0.125, high - 0.012),
            (x - 0.004, 0.142, high - 0.032),
        ]
        if wire:
            kit.tube(line, [0.0014] * 3 + [0.0016, 0.0026, 0.003], frame, smooth=True, name="temple")
        else:
            ribbon(
                kit,
                line,
                (0, 0.15, 1),
                [0.012, 0.012, 0.011, 0.008, 0.008, 0.010],
                0.0036,
                frame,
                name="temple",
            )

    kit.both_sides(lens_and_temple)
    inner = centre + float(lens[:, 0].min())
    high = 0.008 if spec.shape != "round" else 0.006
    bridge = [
        (-inner - 0.001, 0.0, high),
        (-inner * 0.4, -0.001, high + 0.004),
        (inner * 0.4, -0.001, high + 0.004),
        (inner + 0.001, 0.0, high),
    ]
    kit.tube(bridge, rim * 0.62, frame, smooth=True, name="bridge")
    if spec.shape == "aviator":
        kit.tube(
            [(-inner - 0.004, 0.0, 0.0165), (inner + 0.004, 0.0, 0.0165)], 0.0014, frame, name="brow bar"
        )


def _stitches(kit: Any, width: float, height: float, y: float, mat: Any, z: float = 0.0) -> None:
    """Sew a seam round a panel that faces -y."""
    from sample_store.mesh import rounded_rect

    line = rounded_rect(width, height, 0.004)
    kit.tube([(a, y, b + z) for a, b in line], 0.0006, mat, closed=True, sides=6, name="seam")


def build_wallet(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a wallet that stands upright: a bifold a little open, a long purse, a zipped one, a card holder."""
    main, plain = kit.main(scale=0.018, weave=0.0025), kit.main_plain(weave=0.0025)
    thread, metal = kit.mat("cotton", seen(spec, "beige", "grey")), kit.mat(rng.choice(("gold", "chrome")))
    if spec.shape == "bifold":
        w, h = rng.uniform(0.108, 0.118), rng.uniform(0.086, 0.094)
        for angle in (-rng.uniform(9, 15), rng.uniform(14, 20)):
            with kit.place(-w / 2, 0, 0, rot=(0, 0, angle)):
                kit.cushion(
                    (w, 0.009, h),
                    main,
                    at=(w / 2, 0, 0),
                    radius=0.004,
                    puff=0.002,
                    wrinkle=0.0003,
                    name="panel",
                )
                with kit.place(w / 2, 0, 0):
                    _stitches(kit, w - 0.008, h - 0.008, -0.0052, thread, h / 2)
        kit.tube([(-w / 2, 0, 0.003), (-w / 2, 0, h - 0.003)], 0.0075, main, name="spine")
        with kit.place(-w / 2, 0, 0, rot=(0, 0, 2)):
            kit.box(
                (w - 0.008, 0.003, h - 0.012),
                kit.mat("paper", "green", lit=0.0),
                at=(w / 2, 0, 0.008),
                bevel=0.0005,
                name="notes",
            )
    elif spec.shape == "card holder":
        w, h = 0.102, 0.074
        kit.cushion((w, 0.007, h), main, radius=0.003, puff=0.001, wrinkle=0.0002, name="back")
        for k, z in enumerate((h - 0.016, h - 0.028, h - 0.040)):
            y = -0.0035 - 0.0014 * (k + 1)
            kit.box((w, 0.0024, z), plain, at=(0, y, 0), bevel=0.001, name="slot")
            card = kit.mat("plastic", rng.choice(("blue", "white", "red", "grey", "mustard")))
            kit.box((0.086, 0.001, 0.012), card, at=(0, y - 0.0, z - 0.004), bevel=0.0003, name="card")
        _stitches(kit, w - 0.006, h - 0.046, -0.0095, thread, (h - 0.040) / 2)
    else:
        w, h = rng.uniform(0.185, 0.2), rng.uniform(0.095, 0.105)
        kit.cushion((w, 0.022, h), main, radius=0.008, puff=0.003, wrinkle=0.0006, name="body")
        if spec.shape == "zip":
            loop = [
                (-w / 2 + 0.004, 0, 0.012),
                (-w / 2 - 0.001, 0, h / 2),
                (-w / 2 + 0.003, 0, h - 0.004),
                (0, 0, h + 0.001),
                (w / 2 - 0.003, 0, h - 0.004),
                (w / 2 + 0.001, 0, h / 2),
                (w / 2 - 0.004, 0, 0.012),
            ]
            kit.tube(loop, 0.0035, metal, smooth=True, name="zip")
            kit.box(
                (0.008, 0.006, 0.03), plain, at=(w / 2 + 0.004, -0.005, h * 0.42), bevel=0.002, name="pull"
            )
            kit.box((0.036, 0.002, 0.011), metal, at=(0, -0.0135, h * 0.28), bevel=0.0008, name="plate")
            _stitches(kit, w - 0.022, h - 0.022, -0.0128, thread, h / 2)
        else:
            flap = rounded(
                [
                    (-w / 2 - 0.001, h + 0.001),
                    (w / 2 + 0.001, h + 0.001),
                    (w / 2 + 0.001, h * 0.45),
                    (w * 0.2, h * 0.34),
                    (-w * 0.2, h * 0.34),
                    (-w / 2 - 0.001, h * 0.45),
                ],
                0.012,
            )
            kit.extrude(flap, 0.004, plain, plane="xz", at=(0, -0.0145, 0), bevel=0.0012, name="flap")
            kit.cylinder((0, -0.016, h * 0.42), (0, -0.019, h * 0.42), 0.008, metal, name="snap")
            kit.box((w, 0.03, 0.006), plain, at=(0, 0, h - 0.004), bevel=0.0025, name="fold")


def _buckle(kit: Any, at: Any, w: float, h: float, mat: Any, *, ring: bool = False) -> None:
    """A frame with its pin, facing -y."""
    from sample_store.mesh import rounded_rect

    with kit.place(*at):
        if ring:
            kit.torus(h / 2, 0.0042, mat, axis="y", name="buckle")
        else:
            kit.extrude(
                rounded_rect(w, h, 0.008),
                0.005,
                mat,
                plane="xz",
                bevel=0.0015,
                holes=[rounded_rect(w - 0.013, h - 0.013, 0.004)],
                name="buckle",
            )
        kit.cylinder((-w / 2 + 0.003, -0.003, 0), (w / 2 - 0.001, -0.003, 0), 0.0021, mat, name="pin")


def build_belt(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a belt: coiled up, closed as if worn, or a wide one for the waist; its buckle towards -y."""
    wide = {
        "coil": rng.uniform(0.03, 0.036),
        "loop": rng.uniform(0.034, 0.04),
        "waist": rng.uniform(0.055, 0.065),
    }[spec.shape]
    main, metal = kit.main(scale=0.02, weave=0.0025), kit.mat(rng.choice(("gold", "chrome", "steel")))
    hole = kit.mat("plastic", "black" if spec.colour != "black" else "grey")
    if spec.shape == "coil":
        turns = rng.uniform(2.6, 3.2)
        t = np.linspace(-math.pi / 2 - 2 * math.pi * turns, -math.pi / 2, 150)
        r = np.linspace(0.022, 0.048, 150)
        spiral = np.stack([r * np.cos(t), r * np.sin(t), np.zeros(150)], 1)
        tail = [(0.02, -0.0485, 0), (0.045, -0.0485, 0), (0.062, -0.0485, 0)]
        ribbon(kit, np.vstack([spiral, tail]), (0, 0, 1), wide, 0.0038, main, smooth=0, name="strap")
        _buckle(kit, (0.078, -0.0495, 0), 0.046, wide + 0.016, metal)
        ribbon(
            kit,
            [(0.046, -0.052, 0), (0.054, -0.052, 0)],
            (0, 0, 1),
            wide + 0.004,
            0.004,
            main,
            smooth=0,
            name="keeper",
        )
        for x in (-0.012, 0.004, 0.02):
            kit.cylinder((x, -0.0490, 0), (x, -0.0525, 0), 0.0022, hole, segments=12, name="hole")
        return
    a, b = rng.uniform(0.135, 0.15), rng.uniform(0.10, 0.12)
    t = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    loop = np.stack([a * np.cos(t), b * np.sin(t), np.zeros(96)], 1)
    ribbon(kit, loop, (0, 0, 1), wide, 0.004, main, smooth=0, closed=True, name="strap")
    end = np.radians(np.linspace(-92, -52, 20))
    tail = np.stack([(a + 0.005) * np.cos(end), (b + 0.005) * np.sin(end), np.zeros(20)], 1)
    ribbon(kit, tail, (0, 0, 1), wide * 0.97, 0.0036, main, smooth=0, name="tail")
    _buckle(kit, (0, -b - 0.008, 0), wide * 1.25, wide + 0.016, metal, ring=spec.shape == "waist")
    for degrees in (-72, -67, -62):
        x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        kit.cylinder(
            ((a + 0.004) * x, (b + 0.004) * y, 0),
            ((a + 0.008) * x, (b + 0.008) * y, 0),
            0.0026,
            hole,
            segments=12,
            name="hole",
        )
    keeper = np.radians(np.linspace(-80, -76, 4))
    ribbon(
        kit,
        np.stack([(a + 0.008) * np.cos(keeper), (b + 0.008) * np.sin(keeper), np.zeros(4)], 1),
        (0, 0, 1),
        wide + 0.004,
        0.005,
        main,
        smooth=0,
        name="keeper",
    )


def build_tie(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a tie laid flat with its knot, a slim one, a bow tie."""
    scale = rng.choice((0.014, 0.022, 0.03))
    turn = rng.choice((45, -45)) if spec.pattern == "stripes" else 0
    main = kit.main(scale=scale, weave=0.002)
    if spec.shape == "bow tie":
        wing = [
            (0.004, 0.010),
            (0.03, 0.024),
            (0.058, 0.030),
            (0.064, 0.0),
            (0.058, -0.030),
            (0.03, -0.024),
            (0.004, -0.010),
        ]
        for side in (1, -1):
            puff(
                kit,
                rounded([(side * x, z) for x, z in wing], 0.006),
                0.018,
                main,
                edge=0.02,
                wrinkle=0.001,
                turn=turn,
                folds=lambda x, z: 0.004 * np.sin(z * 260) * np.clip(1 - np.abs(x) / 0.05, 0, 1),
                name="wing",
            )
        puff(
            kit,
            rounded([(-0.012, -0.014), (0.012, -0.014), (0.011, 0.014), (-0.011, 0.014)], 0.005),
            0.026,
            main,
            edge=0.008,
            wrinkle=0.0,
            turn=turn,
            name="knot",
        )
        t = np.radians(np.linspace(8, 172, 30))
        band = np.stack([0.058 * np.cos(t), np.full(30, 0.009), 0.004 + 0.07 * np.sin(t)], 1)
        ribbon(kit, band, (0, 0.2, 1), 0.014, 0.003, kit.main_plain(weave=0.002), smooth=0, name="neck band")
        return
    wide = rng.uniform(0.086, 0.095) if spec.shape == "tie" else rng.uniform(0.052, 0.06)
    long = rng.uniform(0.46, 0.54)
    blade = rounded(
        mirrored([(0.0, 0.01), (0.016, 0.01), (wide / 2, -long + wide * 0.62), (0.0, -long)]), 0.004
    )
    puff(kit, blade, 0.014, main, edge=0.012, wrinkle=0.0008, turn=turn, grid=60, name="blade")
    back = [(x * 0.7 + 0.012, min(z * 0.88, 0.008)) for x, z in blade]
    puff(kit, back, 0.008, main, y=0.008, edge=0.01, wrinkle=0.0004, turn=-turn, name="tail")
    knot = rounded(
        mirrored([(0.0, 0.048), (0.027, 0.046), (0.029, 0.034), (0.017, -0.004), (0.0, -0.006)]), 0.006
    )
    puff(kit, knot, 0.030, main, edge=0.014, wrinkle=0.0008, turn=-turn, name="knot")
    for side in (1, -1):
        band = [
            (side * 0.012, 0.002, 0.036),
            (side * 0.045, 0.003, 0.075),
            (side * 0.052, 0.012, 0.115),
            (side * 0.02, 0.016, 0.142),
            (-side * 0.002, 0.016, 0.146),
        ]
        ribbon(kit, band, (side * 0.7, 0.2, 0.7), 0.03, 0.004, main, name="neck band")


def build_clutch(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a clutch that stands upright: envelope, hard box, wristlet, gathered pouch with a frame."""
    w, h = rng.uniform(0.24, 0.28), rng.uniform(0.14, 0.165)
    main, plain = kit.main(scale=0.03, weave=0.003), kit.main_plain(weave=0.003)
    metal = kit.mat(rng.choice(("gold", "chrome", "brass")))
    if spec.shape == "envelope":
        kit.cushion((w, 0.03, h), main, radius=0.012, puff=0.006, wrinkle=0.001, name="body")
        drop = rng.uniform(0.3, 0.42) * h
        flap = rounded(
            [
                (-w / 2 - 0.001, h - 0.004),
                (w / 2 + 0.001, h - 0.004),
                (w / 2 + 0.001, h * 0.84),
                (0, drop),
                (-w / 2 - 0.001, h * 0.84),
            ],
            0.008,
        )
        kit.extrude(flap, 0.0045, plain, plane="xz", at=(0, -0.0205, 0), bevel=0.0015, name="flap")
        kit.box((w + 0.002, 0.042, 0.009), plain, at=(0, -0.001, h - 0.008), bevel=0.0035, name="fold")
        kit.cylinder((0, -0.021, drop + 0.018), (0, -0.0255, drop + 0.018), 0.009, metal, name="snap")
    elif spec.shape == "box":
        w, h = w * 0.72, h * 0.72
        kit.box((w, 0.05, h), main, bevel=0.008, name="body")
        kit.box((w + 0.004, 0.006, h + 0.004), metal, at=(0, 0, -0.002), bevel=0.002, name="frame")
        for x in (-0.008, 0.008):
            kit.sphere(0.009, metal, at=(x, 0, h + 0.009), name="clasp")
        chain(
            kit,
            [
                (-w / 2, 0, h - 0.01),
                (-w / 2 - 0.025, -0.01, h * 0.6),
                (-w / 2 - 0.02, -0.03, h * 0.2),
                (-w * 0.4, -0.05, 0.004),
                (0, -0.06, 0.004),
                (w * 0.4, -0.05, 0.004),
                (w / 2 + 0.02, -0.03, h * 0.2),
                (w / 2 + 0.025, -0.01, h * 0.6),
                (w / 2, 0, h - 0.01),
            ],
            0.011,
            metal,
            name="chain",
        )
    elif spec.shape == "wristlet":
        w, h = w * 0.85, h * 0.9
        kit.cushion((w, 0.035, h), main, radius=0.014, puff=0.008, wrinkle=0.0015, name="body")
        kit.tube(
            [(-w * 0.46, 0, h - 0.004), (0, 0, h + 0.0005), (w * 0.46, 0, h - 0.004)],
            0.0035,
            metal,
            smooth=True,
            name="zip",
        )
        loop = [
            (w / 2 - 0.006, 0, h - 0.018),
            (w / 2 + 0.03, -0.004, h - 0.03),
            (w / 2 + 0.055, -0.006, h * 0.5),
            (w / 2 + 0.042, -0.006, h * 0.16),
            (w / 2 + 0.022, -0.006, h * 0.2),
            (w / 2 + 0.018, -0.004, h * 0.6),
            (w / 2 - 0.004, 0, h - 0.02),
        ]
        ribbon(kit, loop, (0, 1, 0), 0.013, 0.004, plain, name="wrist strap")
        kit.torus(0.009, 0.002, metal, at=(w / 2 + 0.004, 0, h - 0.018), axis="y", name="ring")
    else:
        w = w * 0.85
        body = mirrored(
            [
                (0, h * 0.9),
                (w * 0.36, h * 0.9),
                (w * 0.46, h * 0.55),
                (w * 0.5, h * 0.2),
                (w * 0.4, 0.004),
                (0, 0),
            ]
        )
        folds = rng.uniform(150, 210)
        puff(
            kit,
            rounded(body, 0.02),
            0.06,
            main,
            edge=0.05,
            wrinkle=0.001,
            grid=60,
            folds=lambda x, z: 0.003 * np.sin(x * folds) * np.clip(z / h, 0, 1),
            name="body",
        )
        ring = [
            (w * 0.37 * math.cos(t), 0.014 * math.sin(t), h * 0.9)
            for t in np.linspace(0, 2 * math.pi, 40, endpoint=False)
        ]
        kit.tube(ring, 0.007, metal, closed=True, name="frame")
        for x in (-0.009, 0.009):
            kit.sphere(0.010, metal, at=(x, 0, h * 0.9 + 0.011), name="clasp")


def _crown(kit: Any, mat: Any, rx: float, ry: float, high: float, power: float = 2.4) -> None:
    """A cap's crown of six panels."""
    rings = []
    t = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    for s in np.linspace(0, 1, 18):
        wide = max(0.004, (1 - s**power) ** (1 / power))
        bulge = 1 - 0.012 * np.abs(np.sin(3 * t)) * math.sin(math.pi * s)
        rings.append(
            np.stack([rx * wide * np.cos(t) * bulge, ry * wide * np.sin(t) * bulge, np.full(72, high * s)], 1)
        )
    kit.loft(rings, mat, sharp_deg=80, name="crown")
    for k in range(3):
        a = math.radians(30 + 60 * k)
        line = []
        for q in np.linspace(-1, 1, 25):
            s = 1 - abs(q)
            wide = (1 - s**power) ** (1 / power) * 1.003
            line.append(
                (
                    math.copysign(1, q) * rx * wide * math.cos(a),
                    math.copysign(1, q) * ry * wide * math.sin(a),
                    high * s + 0.0008,
                )
            )
        kit.tube(line, 0.0012, mat, sides=6, name="seam")


def build_cap(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a peaked cap, its peak towards -y: baseball, flat-peaked, trucker with a mesh back."""
    rx, ry, high = 0.083, 0.098, rng.uniform(0.108, 0.12) * (1.08 if spec.shape != "baseball" else 1.0)
    main, plain = kit.main(scale=0.03, weave=0.0025), kit.main_plain(weave=0.0025)
    second = kit.mat("fabric", spec.colour2, weave=0.0025)
    _crown(kit, main, rx, ry, high, 2.4 if spec.shape == "baseball" else 3.0)
    kit.sphere((0.008, 0.008, 0.005), plain, at=(0, 0, high), name="button")
    flat = spec.shape == "snapback"
    long, bend = rng.uniform(0.066, 0.074), 0.004 if flat else rng.uniform(0.024, 0.03)

    def peak(u: float, v: float) -> tuple[float, float, float]:
        a = math.radians(-90 + (u - 0.5) * 150)
        x0, y0 = rx * 1.01 * math.cos(a), ry * 1.01 * math.sin(a)
        out = v * long * math.cos((u - 0.5) * math.pi * 0.98) ** 0.55
        x, y = x0 * (1 + 0.06 * v), y0 - out
        return x, y, 0.005 - bend * (x / rx) ** 2 * v - (0.012 if not flat else 0.004) * v

    kit.sheet(
        peak,
        second if spec.shape == "trucker" or (flat and rng.random() < 0.6) else plain,
        thickness=0.004,
        nu=41,
        nv=13,
        name="peak",
    )
    ring = [
        (rx * 1.004 * math.cos(t), ry * 1.004 * math.sin(t), 0.004)
        for t in np.linspace(0, 2 * math.pi, 60, endpoint=False)
    ]
    kit.tube(ring, 0.004, plain, closed=True, sides=8, name="band")
    spot = (0, -ry * 0.985, high * 0.42)
    if spec.shape == "trucker":
        with kit.place(*spot, rot=(12, 0, 0)):
            puff(
                kit,
                mirrored([(0, 0.034), (0.04, 0.028), (0.052, 0.0), (0.045, -0.026), (0, -0.028)]),
                0.02,
                second,
                edge=0.02,
                wrinkle=0,
                name="front panel",
            )
    else:
        with kit.place(*spot, rot=(14, 0, 0)):
            mark = rng.choice(("disc", "bar", "none", "none"))
            if mark == "disc":
                kit.cylinder((0, 0.006, 0), (0, -0.004, 0), 0.021, second, name="badge")
            elif mark == "bar":
                kit.box((0.05, 0.012, 0.022), second, at=(0, 0, -0.01), bevel=0.002, name="badge")


def build_hat(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a hat: bucket hat, knitted beanie with or without bobble, wide sun hat, felt fedora."""
    main, plain = kit.main(scale=0.035, weave=0.004), kit.main_plain(weave=0.004)
    second = kit.mat("fabric", seen(spec, "black", "brown"), weave=0.003)
    r = 0.09
    if spec.shape == "beanie":
        high = rng.uniform(0.17, 0.2)
        rings = []
        t = np.linspace(0, 2 * math.pi, 120, endpoint=False)
        for s in np.linspace(0, 1, 22):
            wide = max(0.02, (1 - s**2.6) ** (1 / 2.6)) * (1 + 0.012 * np.cos(30 * t))
            rings.append(
                np.stack([r * wide * np.cos(t), r * wide * np.sin(t), np.full(120, 0.02 + high * s)], 1)
            )
        kit.loft(rings, main, sharp_deg=120, name="crown")
        cuff = [
            np.stack(
                [
                    (r + o) * (1 + 0.016 * np.cos(40 * t)) * np.cos(t),
                    (r + o) * (1 + 0.016 * np.cos(40 * t)) * np.sin(t),
                    np.full(120, z),
                ],
                1,
            )
            for o, z in ((-0.004, 0.0), (0.006, 0.006), (0.008, 0.03), (0.006, 0.058), (-0.004, 0.064))
        ]
        kit.loft(cuff, plain, sharp_deg=120, name="cuff")
        if rng.random() < 0.6:
            kit.sphere(
                0.034, kit.mat("boucle", spec.colour2, weave=0.006), at=(0, 0, high + 0.042), name="bobble"
            )
        return
    high = {"bucket": 0.085, "sun hat": 0.095, "fedora": 0.115}[spec.shape]
    out, drop = {
        "bucket": (0.055, 0.05),
        "sun hat": (rng.uniform(0.10, 0.13), 0.018),
        "fedora": (0.062, -0.004),
    }[spec.shape]
    wave = 0.006 if spec.shape == "sun hat" else 0.0
    t = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    rings = []
    for s in (1.0, 0.97, 0.75, 0.5, 0.25, 0.0):
        rings.append(
            np.stack(
                [
                    (r + out * s) * np.cos(t),
                    (r * 1.1 + out * s * 0.96) * np.sin(t),
                    -drop * s + wave * s * np.sin(5 * t),
                ],
                1,
            )
        )
    top = 0.84 if spec.shape != "sun hat" else 0.92
    for s, w in (
        (0.3, 0.99),
        (0.7, 0.94),
        (0.92, top),
        (0.99, top * 0.9),
        (1.0, top * 0.6),
        (0.985 if spec.shape != "fedora" else 0.88, 0.02),
    ):
        dent = 0.016 * np.abs(np.cos(t)) * (spec.shape == "fedora") * (s > 0.9)
        rings.append(np.stack([r * w * np.cos(t), r * 1.1 * w * np.sin(t), high * s - dent], 1))
    under = [ring - (0, 0, 0.003) for ring in rings[:6]]
    kit.loft([*under[::-1], *rings], main, sharp_deg=70, name="hat")
    if spec.shape != "bucket":
        band = [
            np.stack([(r + o) * np.cos(t), (r * 1.1 + o) * np.sin(t), np.full(96, z)], 1)
            for o, z in ((-0.004, 0.001), (0.0025, 0.002), (0.001, 0.03), (-0.006, 0.031))
        ]
        kit.loft(band, second, sharp_deg=60, name="hat band")


def build_scarf(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a scarf laid flat: folded with its fringe, hung in a loop, a bordered square."""
    main = kit.main(scale=rng.choice((0.03, 0.05, 0.07)), weave=0.004)
    yarn = kit.main_plain(weave=0.004)
    if spec.shape == "folded":
        w, h = rng.uniform(0.20, 0.24), rng.uniform(0.28, 0.33)
        for k in range(3):
            rect = rounded(
                [
                    (-w / 2 + k * 0.006, -h / 2 + k * 0.02),
                    (w / 2 - k * 0.004, -h / 2 + k * 0.02),
                    (w / 2 - k * 0.004, h / 2),
                    (-w / 2 + k * 0.006, h / 2),
                ],
                0.012,
            )
            puff(
                kit,
                rect,
                0.026,
                main,
                y=0.045 - 0.02 * k,
                edge=0.018,
                wrinkle=0.0025,
                phase=k * 1.7,
                name="fold",
            )
        for k, z0 in enumerate((-h / 2, -h / 2 + 0.02)):
            for i in range(17):
                x = -w / 2 + 0.014 + i * (w - 0.028) / 16
                line = [
                    (x, 0.04 - 0.02 * k, z0 + 0.012),
                    (x + rng.uniform(-0.003, 0.003), 0.036 - 0.02 * k, z0 - 0.02),
                    (x + rng.uniform(-0.005, 0.005), 0.036 - 0.02 * k, z0 - 0.045),
                ]
                kit.tube(line, 0.0028, yarn, sides=6, name="fringe")
    elif spec.shape == "loop":
        wide, long = rng.uniform(0.085, 0.1), rng.uniform(0.42, 0.5)
        for side, y, x1, z1 in ((1, 0.0, 0.05, -long), (-1, -0.02, -0.045, -long + 0.05)):
            c = side * 0.075
            left = [(c - wide / 2, 0.02), (side * 0.02 - wide / 2, -0.1), (x1 - wide / 2, z1)]
            right = [(x1 + wide / 2, z1), (side * 0.02 + wide / 2, -0.1), (c + wide / 2, 0.02)]
            puff(
                kit,
                rounded([*left, *right], 0.01),
                0.024,
                main,
                y=y,
                edge=0.02,
                wrinkle=0.003,
                phase=side * 1.0,
                grid=60,
                folds=lambda x, z: 0.004 * np.sin(x * 160),
                name="tail",
            )
            for i in range(11):
                x = x1 - wide / 2 + 0.006 + i * (wide - 0.012) / 10
                kit.tube(
                    [(x, y, z1 + 0.008), (x + rng.uniform(-0.003, 0.003), y, z1 - 0.035)],
                    0.003,
                    yarn,
                    sides=6,
                    name="fringe",
                )
        t = np.radians(np.linspace(-20, 200, 24))
        path = np.stack([0.082 * np.cos(t), 0.012 + 0.0 * t, 0.02 + 0.10 * np.sin(t)], 1)
        section = [
            (0.045 * math.cos(q), 0.022 * math.sin(q))
            for q in np.linspace(0, 2 * math.pi, 16, endpoint=False)
        ]
        kit.tube(path, 1.0, main, section=section, name="neck loop")
    else:
        s = rng.uniform(0.2, 0.24)
        border = kit.mat(spec.material, spec.colour2, weave=0.004)
        turn = rng.choice((0, 45)) + rng.uniform(-6, 6)
        with kit.place(rot=(0, turn, 0)):
            for k, (share, mat) in enumerate(((1.0, border), (0.93, main), (0.82, border), (0.78, main))):
                q = s * share
                square = rounded([(-q, -q), (q, -q), (q, q), (-q, q)], 0.006)
                puff(kit, square, 0.012, mat, y=-0.0022 * k, edge=0.01, wrinkle=0.003, name="square")


def build_gloves(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of gloves or mittens laid flat side by side."""
    from sample_store.mesh import catmull

    cuff_long = {"leather": 0.05, "knit": 0.06, "mitten": 0.055}[spec.shape]
    if spec.shape == "mitten":
        hand = catmull(
            [
                (0.042, -0.06),
                (0.05, 0.0),
                (0.048, 0.06),
                (0.024, 0.10),
                (-0.012, 0.102),
                (-0.036, 0.07),
                (-0.038, 0.02),
                (-0.058, 0.045),
                (-0.082, 0.04),
                (-0.078, 0.008),
                (-0.052, -0.03),
                (-0.04, -0.06),
            ],
            5,
        )
    else:
        hand = rounded(
            [
                (-0.04, -0.07),
                (0.041, -0.07),
                (0.045, -0.01),
                (0.056, 0.03),
                (0.068, 0.066),
                (0.052, 0.072),
                (0.034, 0.028),
                (0.040, 0.096),
                (0.021, 0.101),
                (0.0125, 0.034),
                (0.011, 0.113),
                (-0.010, 0.113),
                (-0.0105, 0.034),
                (-0.020, 0.101),
                (-0.039, 0.095),
                (-0.036, 0.018),
                (-0.044, -0.004),
                (-0.068, 0.034),
                (-0.086, 0.022),
                (-0.066, -0.028),
                (-0.043, -0.05),
            ],
            0.0075,
        )
    main, plain = kit.main(scale=rng.uniform(0.02, 0.03), weave=0.003), kit.main_plain(weave=0.003)
    trim = (
        kit.mat("knit", spec.colour2, weave=0.004) if spec.pattern != "plain" or rng.random() < 0.4 else plain
    )
    cuff = rounded(
        [(-0.043, -0.05), (0.044, -0.05), (0.046, -0.06 - cuff_long), (-0.045, -0.06 - cuff_long)], 0.006
    )

    def glove(tilt: float, dx: float, y: float) -> None:
        with kit.place(dx, y, 0, rot=(0, tilt, 0)):
            puff(kit, hand, 0.026, main, edge=0.011, wrinkle=0.001, grid=64, name="glove")
            puff(
                kit,
                cuff,
                0.03,
                trim if spec.shape != "leather" else plain,
                edge=0.012,
                wrinkle=0.0008,
                y=0.0,
                name="cuff",
            )
            if spec.shape == "leather":
                for x in (-0.014, 0.0, 0.014):
                    kit.tube(
                        [(x * 0.8, -0.0135, -0.03), (x, -0.0135, 0.015)],
                        0.0014,
                        plain,
                        sides=6,
                        name="points",
                    )
                kit.tube(
                    [(-0.04, -0.0145, -0.075), (0.04, -0.0145, -0.075)],
                    0.003,
                    kit.mat("leather", seen(spec, "black", "brown")),
                    name="strap",
                )

    tilt = rng.uniform(6, 12)
    glove(tilt, 0.052, 0.0)
    with kit.place(mirror="x"):
        glove(tilt - 3, 0.045, 0.022)


SUNGLASSES = ProductType(
    name="sunglasses",
    category="Accessories",
    mount="table",
    price=(19, 189),
    shapes={"wayfarer": "classic", "aviator": "pilot", "round": "retro", "cat-eye": "vintage"},
    finishes=(
        Finish(
            "plastic",
            (
                "black",
                "brown",
                "red",
                "blue",
                "white",
                "pink",
                "green",
                "purple",
                "turquoise",
                "yellow",
                "tan",
                "grey",
                "navy",
                "orange",
            ),
            weight=3,
            shapes=("wayfarer", "round", "cat-eye"),
        ),
        Finish("gold", shapes=("aviator", "round")),
        Finish("silver", shapes=("aviator", "round")),
        Finish("metal", ("black", "brown", "blue"), shapes=("aviator", "round")),
    ),
    build=build_sunglasses,
    title={
        "wayfarer": "{finish} wayfarer sunglasses",
        "aviator": "{finish} aviator sunglasses",
        "round": "Round {finish} sunglasses",
        "cat-eye": "{finish} cat-eye sunglasses",
    },
    azimuths=((-4, 16), (26, 42), (-62, -48)),
    elevations=((6, 14), (12, 20), (14, 22)),
)
WALLET = ProductType(
    name="wallet",
    category="Bags",
    mount="table",
    price=(15, 119),
    shapes={"bifold": "classic", "long": "elegant", "zip": "practical", "card holder": "minimal"},
    finishes=(
        Finish("leather", (*LEATHERS, "turquoise", "orange", "yellow"), weight=4),
        Finish("canvas", COLOURS, ("plain", "stripes", "checks", "dots"), shapes=("long", "zip")),
        Finish("patent leather", LEATHERS, shapes=("long", "zip", "card holder")),
    ),
    build=build_wallet,
    title={
        "bifold": "{finish} bifold wallet",
        "long": "Long {finish} wallet",
        "zip": "{finish} zip-around wallet",
        "card holder": "{finish} card holder wallet",
    },
    azimuths=((8, 26), (-42, -30), (36, 50)),
    elevations=((12, 20), (18, 26), (16, 24)),
    flip=False,
)
BELT = ProductType(
    name="belt",
    category="Accessories",
    mount="table",
    price=(15, 99),
    shapes={"coil": "business", "loop": "casual", "waist": "feminine"},
    finishes=(
        Finish("leather", LEATHERS, weight=4),
        Finish("suede", LEATHERS),
        Finish("canvas", COLOURS, ("plain", "bands", "stripes"), shapes=("loop", "coil")),
    ),
    build=build_belt,
    title={"coil": "{finish} belt", "loop": "{finish} belt with buckle", "waist": "Wide {finish} waist belt"},
    azimuths=((6, 22), (-40, -26), (34, 50)),
    elevations=((18, 26), (28, 36), (22, 30)),
    flip=False,
)
TIE = ProductType(
    name="tie",
    category="Accessories",
    mount="wall",
    price=(12, 79),
    shapes={"tie": "business", "slim": "modern", "bow tie": "festive"},
    finishes=(
        Finish("silk", COLOURS, ("plain", "stripes", "stripes", "dots", "checks"), weight=3),
        Finish("wool", COLOURS, ("plain", "checks")),
    ),
    build=build_tie,
    title={"tie": "{finish} tie", "slim": "Slim {finish} tie", "bow tie": "{finish} bow tie"},
    azimuths=FRONT,
    elevations=FRONT_UP,
)
CLUTCH = ProductType(
    name="clutch",
    category="Bags",
    mount="table",
    price=(19, 149),
    shapes={"envelope": "classic", "box": "glamorous", "wristlet": "casual", "frame": "vintage"},
    finishes=(
        Finish("leather", COLOURS, weight=2),
        Finish("satin", COLOURS, weight=2),
        Finish("velvet", COLOURS, shapes=("box", "frame", "envelope")),
        Finish("gold", shapes=("box",)),
        Finish("silver", shapes=("box",)),
        Finish("canvas", COLOURS, ("stripes", "checks", "dots"), shapes=("wristlet", "envelope")),
    ),
    build=build_clutch,
    title={
        "envelope": "{finish} envelope clutch",
        "box": "{finish} box clutch",
        "wristlet": "{finish} wristlet clutch",
        "frame": "{finish} clutch with clasp",
    },
    azimuths=((8, 24), (-42, -28), (36, 50)),
    elevations=((8, 16), (14, 22), (16, 24)),
)
CAP = ProductType(
    name="cap",
    category="Accessories",
    mount="table",
    price=(12, 49),
    shapes={"baseball": "sporty", "snapback": "streetwear", "trucker": "casual"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "plain", "checks"), weight=3),
        Finish("wool", COLOURS),
        Finish("denim", ("blue", "navy", "black", "grey")),
    ),
    build=build_cap,
    title={
        "baseball": "{finish} baseball cap",
        "snapback": "{finish} snapback cap",
        "trucker": "{finish} trucker cap",
    },
    azimuths=((28, 46), (-72, -56), (-8, 8)),
    elevations=((12, 20), (12, 20), (16, 24)),
)
HAT = ProductType(
    name="hat",
    category="Accessories",
    mount="table",
    price=(15, 69),
    shapes={"bucket": "streetwear", "beanie": "winter", "sun hat": "summer", "fedora": "classic"},
    finishes=(
        Finish(
            "cotton", COLOURS, ("plain", "checks", "stripes", "dots"), weight=2, shapes=("bucket", "sun hat")
        ),
        Finish("wool", COLOURS, ("plain", "bands"), weight=2, shapes=("beanie",)),
        Finish("felt", COLOURS, shapes=("fedora",), weight=2),
        Finish("wicker", shapes=("sun hat", "fedora")),
    ),
    build=build_hat,
    title={
        "bucket": "{finish} bucket hat",
        "beanie": "{finish} beanie hat",
        "sun hat": "{finish} sun hat",
        "fedora": "{finish} fedora hat",
    },
    azimuths=((10, 30), (-50, -34), (60, 80)),
    elevations=((10, 18), (14, 22), (20, 28)),
)
SCARF = ProductType(
    name="scarf",
    category="Accessories",
    mount="wall",
    price=(15, 89),
    shapes={"folded": "winter", "loop": "casual", "square": "elegant"},
    finishes=(
        Finish("wool", COLOURS, ("plain", "checks", "stripes", "bands"), weight=2, shapes=("folded", "loop")),
        Finish("cotton", COLOURS, ("plain", "stripes", "checks", "dots"), shapes=("folded", "loop")),
        Finish("silk", COLOURS, TEXTILE, weight=2, shapes=("square",)),
    ),
    build=build_scarf,
    title={
        "folded": "{finish} scarf with fringe",
        "loop": "Long {finish} scarf",
        "square": "{finish} square scarf",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
GLOVES = ProductType(
    name="gloves",
    category="Accessories",
    mount="wall",
    price=(12, 89),
    shapes={"leather": "elegant", "knit": "winter", "mitten": "cosy"},
    finishes=(
        Finish("leather", LEATHERS, weight=2, shapes=("leather",)),
        Finish("wool", COLOURS, ("plain", "bands", "dots"), weight=2, shapes=("knit", "mitten")),
        Finish("fleece", COLOURS, shapes=("mitten",)),
    ),
    build=build_gloves,
    title={"leather": "{finish} gloves", "knit": "Knitted {finish} gloves", "mitten": "{finish} mittens"},
    azimuths=FRONT,
    elevations=FRONT_UP,
)

TYPES = (SUNGLASSES, WALLET, BELT, TIE, CLUTCH, CAP, HAT, SCARF, GLOVES)
