"""Declare training-only beauty and travel goods: perfume, lipstick, nail polish, umbrellas, suitcases, cushions."""

import math
import random
from typing import Any

import numpy as np

from sample_store.spec import Finish, ProductType, Spec
from sample_store.training_products._forms import COLOURS, puff, ribbon, rounded, seen

GLASS = (
    "pink",
    "blue",
    "purple",
    "yellow",
    "green",
    "orange",
    "red",
    "turquoise",
    "peach",
    "lavender",
    "mint",
    "white",
    "black",
    "magenta",
)
LIPS = (
    "red",
    "pink",
    "coral",
    "burgundy",
    "magenta",
    "brown",
    "peach",
    "maroon",
    "purple",
    "orange",
    "rust",
    "tan",
    "beige",
    "lavender",
)


def build_perfume(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a perfume bottle: a square flacon, a round one, a slim column, a faceted one with a ball stopper."""
    glass = kit.main()
    cap = kit.mat(rng.choice(("gold", "silver", "black plastic", "chrome")))
    label = kit.mat("paper", "white" if spec.colour != "white" else "black", lit=0.0)
    if spec.shape == "square":
        w, d, h = rng.uniform(0.05, 0.062), rng.uniform(0.026, 0.034), rng.uniform(0.06, 0.078)
        kit.box((w, d, h), glass, bevel=0.006, name="bottle")
        kit.box(
            (w * 0.6, 0.0008, h * 0.34), label, at=(0, -d / 2 - 0.0002, h * 0.3), bevel=0.0003, name="label"
        )
        kit.cylinder((0, 0, h - 0.002), (0, 0, h + 0.008), 0.009, kit.mat("gold"), name="neck")
        kit.box((0.026, 0.024, 0.026), cap, at=(0, 0, h + 0.006), bevel=0.003, name="cap")
    elif spec.shape == "round":
        r = rng.uniform(0.034, 0.04)
        with kit.place(0, 0, r):
            kit.sphere((r, r * 0.5, r), glass, name="bottle")
            kit.box(
                (r * 0.9, 0.001, r * 0.5),
                label,
                at=(0, -r * 0.5 - 0.0003, -r * 0.2),
                bevel=0.0003,
                name="label",
            )
        kit.cylinder((0, 0, -0.001), (0, 0, 0.004), r * 0.5, glass, name="foot")
        kit.cylinder((0, 0, 2 * r - 0.003), (0, 0, 2 * r + 0.006), 0.008, kit.mat("gold"), name="neck")
        kit.sphere((0.014, 0.014, 0.014), cap, at=(0, 0, 2 * r + 0.016), name="stopper")
    elif spec.shape == "column":
        r, h = rng.uniform(0.018, 0.022), rng.uniform(0.09, 0.11)
        kit.cylinder((0, 0, 0), (0, 0, h), r, glass, round_edge=0.004, name="bottle")
        kit.cylinder((0, 0, h * 0.3), (0, 0, h * 0.6), r + 0.0004, label, round_edge=0.0002, name="label")
        kit.cylinder((0, 0, h - 0.001), (0, 0, h + 0.007), 0.008, kit.mat("gold"), name="neck")
        kit.cylinder((0, 0, h + 0.004), (0, 0, h + 0.036), r * 0.86, cap, name="cap")
    else:
        r, h = rng.uniform(0.034, 0.04), rng.uniform(0.06, 0.072)
        t = np.linspace(0, 2 * math.pi, 8, endpoint=False) + math.pi / 8
        rings = [
            np.stack([r * a * np.cos(t), r * 0.66 * a * np.sin(t), np.full(8, h * z)], 1)
            for a, z in ((0.72, 0.0), (0.76, 0.03), (1.0, 0.5), (0.98, 0.56), (0.4, 0.95), (0.3, 1.0))
        ]
        kit.loft(rings, glass, sharp_deg=5, name="bottle")
        kit.cylinder((0, 0, h - 0.002), (0, 0, h + 0.009), 0.008, kit.mat("gold"), name="neck")
        gem_rings = [
            np.stack([0.016 * a * np.cos(t), 0.016 * a * np.sin(t), np.full(8, h + 0.007 + 0.03 * z)], 1)
            for a, z in ((0.5, 0.0), (1.0, 0.45), (0.8, 0.85), (0.3, 1.0))
        ]
        kit.loft(gem_rings, cap, sharp_deg=5, name="stopper")


def build_lipstick(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a lipstick turned out of its case, its cap beside it; or a lip gloss with its wand."""
    case = kit.accent()
    colour = kit.mat("plastic", spec.colour, roughness=0.3)
    if spec.shape == "gloss":
        r = 0.0085
        kit.cylinder(
            (0, 0, 0), (0, 0, 0.055), r, kit.mat("gloss", spec.colour), round_edge=0.002, name="tube"
        )
        kit.cylinder((0, 0, 0.052), (0, 0, 0.105), r * 1.04, case, round_edge=0.001, name="cap")
        with kit.place(0.034, -0.006, 0.0):
            kit.cylinder((0, 0, 0.05), (0, 0, 0.1), r * 1.04, case, round_edge=0.001, name="wand cap")
            kit.cylinder((0, 0, 0.0), (0, 0, 0.052), 0.0022, case, name="wand")
            kit.sphere((0.0036, 0.0036, 0.011), kit.mat("gloss", spec.colour), at=(0, 0, 0.008), name="tip")
        kit.box((0.04, 0.004, 0.002), case, at=(0.017, -0.003, 0.0), bevel=0.0006, name="tray")
        return
    square = spec.shape == "square"
    r = rng.uniform(0.0095, 0.011)

    def post(z0: float, z1: float, wide: float, mat: Any, name: str) -> None:
        if square:
            kit.box((2 * wide, 2 * wide, z1 - z0), mat, at=(0, 0, z0), bevel=0.0015, name=name)
        else:
            kit.cylinder((0, 0, z0), (0, 0, z1), wide, mat, round_edge=0.001, name=name)

    post(0, 0.032, r, case, "case")
    post(0.03, 0.044, r * 0.86, kit.mat(rng.choice(("gold", "silver"))), "sleeve")
    q = r * 0.68
    t = np.linspace(0, 2 * math.pi, 32, endpoint=False)
    rings = []
    for z, wide in ((0.04, 1.0), (0.06, 1.0), (0.066, 0.99), (0.070, 0.93), (0.073, 0.72), (0.0745, 0.3)):
        slope = max(0.0, (z - 0.058) / 0.0165)
        rings.append(
            np.stack([q * wide * np.cos(t), q * wide * np.sin(t), z + q * 0.75 * slope * np.sin(t)], 1)
        )
    kit.loft(rings, colour, sharp_deg=70, name="stick")
    away = rng.choice((-1, 1)) * (2 * r + 0.004)
    if rng.random() < 0.6:
        with kit.place(away, 0.004, 0):
            post(0, 0.05, r * 1.02, case, "cap")
            kit.box((abs(away) * 1.0, 0.002, 0.001), case, at=(-away / 2, 0, 0), bevel=0.0003, name="tray")
    else:
        with kit.place(away * 0.95, -0.004, r * 1.0, rot=(90, 0, 15)), kit.place(0, 0, -0.02):
            post(0, 0.05, r * 1.02, case, "cap")
        kit.box((abs(away) * 1.0, 0.004, 0.001), case, at=(away / 2, 0, 0), bevel=0.0003, name="tray")


def build_nail_polish(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a nail polish: a small bottle of colour under a tall cap; two or three shades of a set."""
    cap = kit.mat(rng.choice(("black plastic", "white plastic", "gold", "silver", "black plastic")))

    def bottle(mat: Any, x: float, y: float) -> None:
        with kit.place(x, y, 0):
            h = 0.036
            if spec.shape == "square":
                kit.box((0.028, 0.028, h), mat, bevel=0.004, name="bottle")
            elif spec.shape == "round":
                kit.lathe(
                    [
                        (0, 0),
                        (0.0135, 0),
                        (0.0165, 0.007),
                        (0.0165, 0.018),
                        (0.012, 0.031),
                        (0.006, h),
                        (0, h),
                    ],
                    mat,
                    smooth=True,
                    name="bottle",
                )
            else:
                kit.cylinder((0, 0, 0), (0, 0, h * 1.15), 0.0125, mat, round_edge=0.003, name="bottle")
                h *= 1.15
            kit.cylinder((0, 0, h - 0.003), (0, 0, h + 0.004), 0.007, mat, name="neck")
            kit.cylinder(
                (0, 0, h + 0.002),
                (0, 0, h + 0.04),
                0.0082,
                cap,
                end_radius=0.0066,
                round_edge=0.0015,
                name="cap",
            )

    main = kit.mat("gloss", spec.colour)
    bottle(main, 0, 0)
    if rng.random() < 0.3:
        bottle(main, 0.0335 if spec.shape != "slim" else 0.0255, 0.0)


def build_umbrella(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model an umbrella: open over its stick, rolled up with a crook, or a short one folded."""
    main, plain = kit.main(scale=rng.uniform(0.06, 0.1), weave=0.004), kit.main_plain(weave=0.004)
    metal, handle = kit.mat("steel"), kit.accent()
    if spec.shape == "open":
        n, r, high, top = 8, rng.uniform(0.46, 0.52), rng.uniform(0.19, 0.23), 0.86
        turn = np.linspace(0, 2 * math.pi, n * 8, endpoint=False)
        rings = []
        for s in (0.01, 0.15, 0.3, 0.45, 0.6, 0.75, 0.88, 1.0):
            sag = 1 - 0.055 * s * np.abs(np.sin(n * turn / 2)) ** 0.8
            drop = high * s**1.9 + 0.0 * turn
            rings.append(
                np.stack(
                    [
                        r * s * sag * np.cos(turn),
                        r * s * sag * np.sin(turn),
                        top - drop + 0.03 * s * (1 - sag) * 4,
                    ],
                    1,
                )
            )
        under = [ring - (0, 0, 0.004) for ring in rings]
        kit.loft([*under[::-1], *rings], main, sharp_deg=80, name="canopy")
        for k in range(n):
            a = 2 * math.pi * k / n
            rib = [
                (r * s * 0.99 * math.cos(a), r * s * 0.99 * math.sin(a), top - high * s**1.9 - 0.008)
                for s in (0.05, 0.3, 0.6, 0.85, 1.0)
            ]
            kit.tube(rib, 0.003, metal, smooth=True, sides=8, name="rib")
        kit.cylinder((0, 0, 0.08), (0, 0, top + 0.06), 0.006, metal, name="stick")
        crook = [
            (0, 0, 0.16),
            (0, 0, 0.06),
            (0.01, 0, 0.02),
            (0.04, 0, 0.0),
            (0.07, 0, 0.02),
            (0.078, 0, 0.05),
        ]
        kit.tube(crook, 0.013, handle, smooth=True, name="handle")
        return
    long = rng.uniform(0.62, 0.7) if spec.shape == "stick" else 0.22
    r = rng.uniform(0.028, 0.034) if spec.shape == "stick" else 0.03
    turn = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    rings = []
    for s in np.linspace(0, 1, 16):
        wide = (
            r
            * (0.28 + 0.72 * s**0.75 if spec.shape == "stick" else 0.9 + 0.1 * math.sin(math.pi * s))
            * (1 if s < 0.97 else 0.8)
        )
        twist = turn + 1.2 * s
        ripple = 1 + 0.09 * np.cos(8 * twist)
        rings.append(
            np.stack(
                [wide * ripple * np.cos(turn), wide * ripple * np.sin(turn), np.full(48, 0.05 + long * s)], 1
            )
        )
    kit.loft(rings, main, sharp_deg=60, name="canopy")
    kit.cylinder((0, 0, 0.0), (0, 0, 0.08), 0.0045, metal, end_radius=0.006, name="tip")
    tied = r * (0.85 if spec.shape == "stick" else 1.04)
    ribbon(
        kit,
        [(tied * math.cos(a), tied * math.sin(a), 0.05 + long * 0.62) for a in turn[::2]],
        (0, 0, 1),
        0.022,
        0.003,
        plain,
        smooth=0,
        closed=True,
        name="tie band",
    )
    z = 0.05 + long
    if spec.shape == "stick":
        kit.cylinder((0, 0, z - 0.02), (0, 0, z + 0.07), 0.008, metal, name="stick")
        crook = [
            (0, 0, z + 0.04),
            (0, 0, z + 0.12),
            (0.012, 0, z + 0.155),
            (0.045, 0, z + 0.172),
            (0.08, 0, z + 0.15),
            (0.088, 0, z + 0.11),
        ]
        kit.tube(crook, 0.0135, handle, smooth=True, name="handle")
    else:
        kit.cylinder(
            (0, 0, z - 0.01),
            (0, 0, z + 0.065),
            0.017,
            handle,
            end_radius=0.02,
            round_edge=0.006,
            name="handle",
        )
        loop = [
            (0.012, 0, z + 0.06),
            (0.05, -0.01, z + 0.04),
            (0.065, -0.012, z - 0.03),
            (0.05, -0.012, z - 0.07),
            (0.035, -0.01, z - 0.02),
            (0.012, 0, z + 0.055),
        ]
        kit.tube(loop, 0.003, kit.mat("nylon", "black"), smooth=True, name="loop")


def build_suitcase(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a trolley suitcase: a ribbed hard shell, a soft one with pockets, a vintage trunk with straps."""
    dark, metal = kit.mat("plastic", "black"), kit.mat("steel")
    if spec.shape == "trunk":
        w, d, h = rng.uniform(0.48, 0.55), 0.18, rng.uniform(0.34, 0.38)
        trim = kit.accent(weave=0.003)
        kit.box((w, d, h), kit.main(scale=0.06, weave=0.004), bevel=0.03, name="body")
        for x in (-w * 0.28, w * 0.28):
            for part in ((0.035, d + 0.008, h + 0.008),):
                kit.box(part, trim, at=(x, 0, -0.004), bevel=0.012, name="strap")
            kit.box(
                (0.05, 0.006, 0.05),
                kit.mat("brass"),
                at=(x, -d / 2 - 0.004, h * 0.6),
                bevel=0.003,
                name="buckle",
            )

        def corner() -> None:
            kit.box((0.06, d + 0.004, 0.06), trim, at=(w / 2 - 0.029, 0, -0.002), bevel=0.02, name="corner")
            kit.box(
                (0.06, d + 0.004, 0.06), trim, at=(w / 2 - 0.029, 0, h - 0.058), bevel=0.02, name="corner"
            )

        kit.both_sides(corner)
        kit.tube(
            [(-0.07, 0, h - 0.002), (-0.06, 0, h + 0.035), (0.06, 0, h + 0.035), (0.07, 0, h - 0.002)],
            0.011,
            trim,
            bend=0.02,
            name="handle",
        )
        return
    w, d, h = rng.uniform(0.38, 0.43), rng.uniform(0.23, 0.26), rng.uniform(0.54, 0.62)
    z0 = 0.05
    main = kit.main(scale=0.08, weave=0.004)
    if spec.shape == "hard shell":
        kit.box((w, d, h), main, at=(0, 0, z0), bevel=0.05, name="shell")
        count, upright = rng.choice((5, 7, 9)), rng.random() < 0.6
        for i in range(count):
            s = (i - (count - 1) / 2) / count
            if upright:
                kit.box(
                    (w / count * 0.5, d + 0.014, h * 0.9),
                    main,
                    at=(s * w * 0.86, 0, z0 + h * 0.05),
                    bevel=0.006,
                    name="rib",
                )
            else:
                kit.box(
                    (w * 0.9, d + 0.014, h / count * 0.5),
                    main,
                    at=(0, 0, z0 + h / 2 + s * h * 0.86 - h / count * 0.25),
                    bevel=0.006,
                    name="rib",
                )
        kit.box((w + 0.004, 0.012, h + 0.004), dark, at=(0, 0, z0 - 0.002), bevel=0.005, name="zip")
    else:
        kit.cushion((w, d, h), main, at=(0, 0, z0), radius=0.045, puff=0.012, wrinkle=0.002, name="body")
        plain = kit.main_plain(weave=0.004)
        for z, tall in ((0.06, 0.42), (0.56, 0.3)):
            kit.cushion(
                (w * 0.78, 0.06, h * tall),
                plain,
                at=(0, -d / 2 - 0.008, z0 + h * z),
                radius=0.024,
                puff=0.008,
                wrinkle=0.002,
                name="pocket",
            )
            line = [
                (-w * 0.33, -d / 2 - 0.036, z0 + h * (z + tall * 0.86)),
                (w * 0.33, -d / 2 - 0.036, z0 + h * (z + tall * 0.86)),
            ]
            kit.tube(line, 0.005, dark, name="zip")
            kit.box(
                (0.012, 0.008, 0.04),
                metal,
                at=(w * 0.3, -d / 2 - 0.042, z0 + h * (z + tall * 0.78)),
                bevel=0.002,
                name="puller",
            )

    def leg() -> None:
        kit.box(
            (0.05, 0.06, 0.05),
            dark,
            at=(w / 2 - 0.05, d / 2 - 0.05, z0 - 0.02),
            bevel=0.01,
            name="wheel housing",
        )
        kit.cylinder(
            (w / 2 - 0.066, d / 2 - 0.05, 0.024),
            (w / 2 - 0.034, d / 2 - 0.05, 0.024),
            0.024,
            dark,
            name="wheel",
        )

    kit.four(leg)
    up = z0 + h
    high = rng.uniform(0.24, 0.34)
    for x in (-0.085, 0.085):
        kit.cylinder((x, d / 2 - 0.04, up - 0.02), (x, d / 2 - 0.04, up + high), 0.009, metal, name="pole")
    kit.box((0.21, 0.034, 0.035), dark, at=(0, d / 2 - 0.04, up + high - 0.008), bevel=0.012, name="grip")
    kit.tube(
        [
            (-0.07, -d * 0.12, up - 0.006),
            (-0.06, -d * 0.12, up + 0.024),
            (0.06, -d * 0.12, up + 0.024),
            (0.07, -d * 0.12, up - 0.006),
        ],
        0.010,
        dark,
        bend=0.02,
        name="top handle",
    )


def build_duffel(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a duffel bag: a lying barrel, a box-shaped weekender, with two handles and a shoulder strap."""
    w, d, h = rng.uniform(0.48, 0.56), rng.uniform(0.24, 0.28), rng.uniform(0.26, 0.3)
    main, plain, trim = (
        kit.main(scale=0.07, weave=0.004),
        kit.main_plain(weave=0.004),
        kit.accent(weave=0.003),
    )
    metal = kit.mat(rng.choice(("brass", "steel")))
    if spec.shape == "barrel":
        t = np.linspace(0, 2 * math.pi, 56, endpoint=False)
        rings = []
        for s in np.linspace(-1, 1, 19):
            k = max(0.05, (1 - abs(s) ** 9)) ** 0.4
            k *= 1 if abs(s) < 1 else 0.5
            rings.append(
                np.stack([np.full(56, s * w / 2), d / 2 * k * np.cos(t), h / 2 + h / 2 * k * np.sin(t)], 1)
            )
        kit.loft(rings, main, sharp_deg=70, name="body")
    else:
        kit.cushion((w, d, h), main, radius=0.06, puff=0.02, wrinkle=0.004, name="body")
        kit.box((w * 0.97, d * 0.97, 0.05), trim, at=(0, 0, -0.003), bevel=0.02, name="base")
    kit.tube(
        [
            (-w * 0.44, 0, h - 0.004),
            (0, 0, h + (0.001 if spec.shape == "barrel" else 0.008)),
            (w * 0.44, 0, h - 0.004),
        ],
        0.006,
        kit.mat("plastic", seen(spec, "black", "grey")),
        smooth=True,
        name="zip",
    )
    bulge = 0.012 if spec.shape != "barrel" else 0.004

    def handle() -> None:
        y = -d / 2 - bulge
        barrel = spec.shape == "barrel"
        side = [
            (h * z, -d / 2 * (math.cos(math.asin(2 * z - 1)) if barrel else 1) - (0.004 if barrel else 0.014))
            for z in (0.12, 0.3, 0.5, 0.7)
        ]
        line = [(-w * 0.2, yy, z) for z, yy in side]
        line += [
            (-w * 0.17, y * 0.8, h * 0.96),
            (-w * 0.1, y * 0.55, h + 0.09),
            (0, y * 0.5, h + 0.115),
            (w * 0.1, y * 0.55, h + 0.09),
            (w * 0.17, y * 0.8, h * 0.96),
        ]
        line += [(w * 0.2, yy, z) for z, yy in side[::-1]]
        oval = [
            (0.016 * math.cos(a), 0.006 * math.sin(a))
            for a in np.linspace(0, 2 * math.pi, 16, endpoint=False)
        ]
        kit.tube(line, 1.0, trim, smooth=True, section=oval, name="handle")

    kit.both_sides(handle, "y")
    for side in (-1, 1):
        kit.torus(0.018, 0.004, metal, at=(side * (w / 2 + 0.006), 0, h * 0.62), axis="y", name="ring")
    kit.box(
        (0.09, 0.006, 0.05),
        plain if spec.pattern != "plain" else trim,
        at=(0, -d / 2 - bulge - 0.002, h * 0.42),
        bevel=0.003,
        name="label",
    )


def build_pillow(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a scatter cushion that stands upright: square, oblong, round."""
    main = kit.main(scale=rng.uniform(0.05, 0.09), weave=0.005)
    piping = kit.mat("fabric", spec.colour2) if rng.random() < 0.4 else None
    tilt = rng.uniform(6, 12)
    with kit.place(rot=(-tilt, 0, 0)):
        if spec.shape == "round":
            r = rng.uniform(0.2, 0.22)
            t = np.linspace(0, 2 * math.pi, 80, endpoint=False)
            puff(
                kit,
                np.stack([r * np.cos(t), r + r * np.sin(t)], 1),
                0.15,
                main,
                edge=r * 0.9,
                wrinkle=0.003,
                name="cushion",
            )
            kit.sphere((0.016, 0.008, 0.016), piping or kit.main_plain(), at=(0, -0.074, r), name="button")
            return
        w, h = (
            (rng.uniform(0.42, 0.46),) * 2
            if spec.shape == "square"
            else (rng.uniform(0.54, 0.6), rng.uniform(0.32, 0.36))
        )
        pinch = 0.018
        line = [
            (-w / 2, 0),
            (-w / 4, pinch * 0.8),
            (0, pinch),
            (w / 4, pinch * 0.8),
            (w / 2, 0),
            (w / 2 - pinch * 0.8, h / 4),
            (w / 2 - pinch, h / 2),
            (w / 2 - pinch * 0.8, h * 0.75),
            (w / 2, h),
            (w / 4, h - pinch * 0.8),
            (0, h - pinch),
            (-w / 4, h - pinch * 0.8),
            (-w / 2, h),
            (-w / 2 + pinch * 0.8, h * 0.75),
            (-w / 2 + pinch, h / 2),
            (-w / 2 + pinch * 0.8, h / 4),
        ]
        line = rounded(line, 0.02)
        puff(kit, line, 0.17, main, edge=min(w, h) * 0.46, wrinkle=0.004, name="cushion")
        if piping is not None:
            kit.tube([(x, 0, z) for x, z in line], 0.0055, piping, closed=True, sides=8, name="piping")


CASES = ("gold", "silver", "black plastic", "white plastic", "rose gold", "red gloss")
PERFUME = ProductType(
    name="perfume",
    category="Beauty",
    mount="table",
    price=(19, 149),
    shapes={"square": "classic", "round": "romantic", "column": "modern", "faceted": "glamorous"},
    finishes=(Finish("glass", (*GLASS, "clear"), weight=3), Finish("lacquer", GLASS)),
    build=build_perfume,
    title={
        "square": "Square {finish} perfume bottle",
        "round": "Round {finish} perfume bottle",
        "column": "{finish} perfume spray bottle",
        "faceted": "Faceted {finish} perfume bottle",
    },
    azimuths=((-6, 16), (28, 44), (-58, -44)),
    elevations=((6, 12), (12, 20), (16, 24)),
)
LIPSTICK = ProductType(
    name="lipstick",
    category="Beauty",
    mount="table",
    price=(5, 39),
    shapes={"round": "classic", "square": "modern", "gloss": "shiny"},
    finishes=(
        Finish("matte", LIPS, shapes=("round", "square"), weight=2),
        Finish("satin", LIPS, shapes=("round", "square")),
        Finish("glossy", LIPS, shapes=("gloss",)),
    ),
    accents=CASES,
    build=build_lipstick,
    title={
        "round": "{colour} {material} lipstick",
        "square": "{colour} {material} lipstick in square case",
        "gloss": "{colour} lip gloss",
    },
    azimuths=((-10, 16), (28, 44), (-58, -44)),
    elevations=((8, 16), (14, 22), (18, 26)),
)
NAIL_POLISH = ProductType(
    name="nail polish",
    category="Beauty",
    mount="table",
    price=(3, 19),
    shapes={"square": "classic", "round": "retro", "slim": "modern"},
    finishes=(Finish("glossy", COLOURS),),
    build=build_nail_polish,
    title={
        "square": "{colour} nail polish",
        "round": "{colour} nail polish in round bottle",
        "slim": "{colour} nail lacquer",
    },
    azimuths=((-12, 16), (28, 44), (-58, -44)),
    elevations=((8, 16), (14, 22), (18, 26)),
)
UMBRELLA = ProductType(
    name="umbrella",
    category="Accessories",
    mount="floor",
    price=(12, 59),
    shapes={"open": "classic", "stick": "elegant", "compact": "practical"},
    finishes=(Finish("nylon", COLOURS, ("plain", "dots", "checks", "stripes")),),
    accents=("black plastic", "walnut", "brown leather", "oak"),
    build=build_umbrella,
    title={
        "open": "Open {finish} umbrella",
        "stick": "{finish} stick umbrella",
        "compact": "{finish} folding umbrella",
    },
    azimuths=((15, 35), (-60, -40), (60, 80)),
    elevations=((6, 12), (16, 24), (10, 16)),
)
SUITCASE = ProductType(
    name="suitcase",
    category="Bags",
    mount="floor",
    price=(59, 299),
    shapes={"hard shell": "modern", "soft": "practical", "trunk": "vintage"},
    finishes=(
        Finish("plastic", COLOURS, weight=3, shapes=("hard shell",)),
        Finish("nylon", COLOURS, weight=2, shapes=("soft",)),
        Finish(
            "leather",
            ("brown", "tan", "black", "red", "green", "navy", "burgundy", "beige"),
            shapes=("trunk",),
        ),
        Finish("canvas", COLOURS, ("plain", "checks", "stripes"), shapes=("trunk", "soft")),
    ),
    accents={"trunk": ("brown leather", "black leather", "tan leather")},
    build=build_suitcase,
    title={
        "hard shell": "{finish} hard-shell trolley suitcase",
        "soft": "{finish} soft trolley suitcase",
        "trunk": "Vintage {finish} suitcase",
    },
    azimuths=((18, 34), (-48, -34), (50, 64)),
    elevations=((8, 14), (14, 20), (16, 22)),
)
DUFFEL = ProductType(
    name="duffel bag",
    category="Bags",
    mount="floor",
    price=(29, 189),
    shapes={"barrel": "sporty", "weekender": "elegant"},
    finishes=(
        Finish("nylon", COLOURS, ("plain", "bands"), weight=2, shapes=("barrel",)),
        Finish("canvas", COLOURS, ("plain", "stripes", "checks"), weight=2),
        Finish(
            "leather", ("brown", "tan", "black", "burgundy", "navy", "green", "grey"), shapes=("weekender",)
        ),
    ),
    accents=("brown leather", "black leather", "tan leather", "black fabric"),
    build=build_duffel,
    title={"barrel": "{finish} duffel bag", "weekender": "{finish} weekender travel duffel bag"},
    azimuths=((14, 30), (-46, -32), (44, 58)),
    elevations=((12, 18), (18, 26), (16, 22)),
)
CUSHION = ProductType(
    name="cushion",
    category="Home",
    mount="floor",
    price=(12, 69),
    shapes={"square": "modern", "oblong": "cosy", "round": "retro"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "stripes", "checks", "dots", "bands"), weight=3),
        Finish("velvet", COLOURS, weight=2),
        Finish("linen", COLOURS, ("plain", "stripes")),
    ),
    build=build_pillow,
    title={
        "square": "{finish} scatter cushion",
        "oblong": "Oblong {finish} cushion",
        "round": "Round {finish} cushion",
    },
    azimuths=((-8, 14), (26, 42), (-54, -40)),
    elevations=((6, 14), (12, 20), (16, 22)),
)

TYPES = (PERFUME, LIPSTICK, NAIL_POLISH, UMBRELLA, SUITCASE, DUFFEL, CUSHION)
