"""Declare training-only garments: tops, dresses, trousers, underwear, as soft front views worn by nobody.

x is across, z up, the front towards -y; every garment hangs against the wall. Widths are a medium size's.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sample_store.spec import Finish, ProductType, Spec
from sample_store.training_products._forms import (
    COLOURS,
    FRONT,
    FRONT_UP,
    beads,
    mirrored,
    puff,
    ribbon,
    rounded,
    seen,
)

CLOTH = ("plain", "bands", "stripes", "checks", "dots")
DENIM = Finish("denim", ("blue", "navy", "black", "grey", "white", "charcoal"), weight=2)


@dataclass(frozen=True)
class Cut:
    """Say how a top is cut, in metres: lengths from the shoulder's height `z` down to the hem at 0."""

    z: float = 0.66  # the height of the neck's sides
    shoulder: float = 0.205
    chest: float = 0.215
    waist: float = 0.205
    hem: float = 0.215
    neck: float = 0.085  # half the neck's width
    dip: float = 0.075  # how deep the front's neck goes
    pointed: bool = False  # a V neck
    sleeve: float = 0.2  # 0 for none
    lean: float = 38.0  # degrees that the sleeves stand off
    cuff: float = 0.16  # a sleeve's width at its end
    deep: float = 0.10


def _top(
    kit: Any,
    cut: Cut,
    mat: Any,
    *,
    sleeves: Any = None,
    lining: Any = None,
    rib: Any = None,
    wrinkle: float = 0.004,
    phase: float = 0.0,
) -> None:
    """Make a top's body, sleeves, the inside of its neck and the band round it."""
    q = np.linspace(0, math.pi / 2, 9)
    if cut.pointed:
        front = [(cut.neck * s, cut.z - cut.dip * (1 - s)) for s in (0, 0.25, 0.5, 0.75, 1)]
    else:
        front = [(cut.neck * math.sin(a), cut.z - cut.dip * math.cos(a)) for a in q]
    arm = cut.z - 0.21
    edge = [(cut.shoulder, cut.z - 0.045), (cut.shoulder - 0.012, cut.z - 0.12), (cut.chest, arm)]
    if cut.sleeve == 0:
        edge = [(cut.shoulder, cut.z - 0.03), (cut.shoulder - 0.02, cut.z - 0.12), (cut.chest, arm)]
    right = [*front, *edge, (cut.waist, arm * 0.55), (cut.hem, 0.012), (cut.hem - 0.01, 0.0), (0.0, -0.004)]
    body = mirrored(right)
    puff(kit, body, cut.deep, mat, edge=0.075, wrinkle=wrinkle, phase=phase, grid=54, name="body")
    lining = lining or mat
    inner = mirrored(
        [
            (0, cut.z + 0.008),
            (cut.neck + 0.006, cut.z + 0.004),
            (cut.neck + 0.012, cut.z - 0.03),
            (cut.neck * 0.55, cut.z - cut.dip - 0.035),
            (0, cut.z - cut.dip - 0.04),
        ]
    )
    puff(kit, inner, 0.02, lining, y=cut.deep * 0.22, edge=0.02, wrinkle=0.0, grid=24, name="inside")
    if rib is not None:
        line = [(-x, -cut.deep * 0.2, z) for x, z in front[::-1]] + [
            (x, -cut.deep * 0.2, z) for x, z in front[1:]
        ]
        line = [(x, y * (0.25 + 0.75 * (1 - abs(x) / cut.neck)) - 0.004, z) for x, y, z in line]
        ribbon(kit, line, (0, 0.4, 1), 0.02, 0.012, rib, smooth=3, name="neck band")
        back = [
            (-cut.neck, 0.0, cut.z),
            (-cut.neck * 0.5, cut.deep * 0.2, cut.z - 0.002),
            (cut.neck * 0.5, cut.deep * 0.2, cut.z - 0.002),
            (cut.neck, 0.0, cut.z),
        ]
        ribbon(kit, back, (0, 0.2, 1), 0.02, 0.01, rib, name="back band")
    if cut.sleeve:
        for side in (1, -1):
            puff(
                kit,
                rounded([(side * x, z) for x, z in _sleeve(cut)], 0.014),
                cut.deep * 0.72,
                sleeves or mat,
                y=0.004,
                edge=0.05,
                wrinkle=wrinkle * 0.9,
                phase=phase + side,
                grid=40,
                name="sleeve",
            )


def _sleeve(cut: Cut) -> list[tuple[float, float]]:
    """Return the right sleeve's outline: shoulder, outer end, inner end, armpit, and back inside the body."""
    way = np.array([math.sin(math.radians(cut.lean)), -math.cos(math.radians(cut.lean))])
    off = np.array([-way[1], way[0]])
    start = np.array([cut.shoulder - 0.004, cut.z - 0.047])
    outer = start + way * cut.sleeve + off * 0.012
    inner = outer - off * cut.cuff
    arm = np.array([cut.chest - 0.006, cut.z - 0.225])
    return [
        tuple(p)
        for p in (
            (cut.shoulder - 0.07, cut.z - 0.026),
            start,
            outer,
            inner,
            arm,
            (cut.shoulder - 0.07, cut.z - 0.16),
        )
    ]


def _cuffs(kit: Any, cut: Cut, mat: Any, high: float) -> None:
    """Put cuffs on the ends of long sleeves."""
    _, _, outer, inner, _, _ = (np.array(p) for p in _sleeve(cut))
    way = np.array([math.sin(math.radians(cut.lean)), -math.cos(math.radians(cut.lean))])
    grow = (outer - inner) * 0.02
    for side in (1, -1):
        box = [
            outer + grow - way * high * 0.8,
            outer + grow + way * high * 0.25,
            inner - grow + way * high * 0.25,
            inner - grow - way * high * 0.8,
        ]
        puff(
            kit,
            rounded([(side * x, z) for x, z in box], 0.008),
            cut.deep * 0.74,
            mat,
            y=0.004,
            edge=0.03,
            wrinkle=0.0005,
            grid=24,
            name="cuff",
        )


def _hem_band(kit: Any, cut: Cut, mat: Any, high: float) -> None:
    """A ribbed band round the hem."""
    line = rounded(
        mirrored([(0, high), (cut.hem + 0.002, high), (cut.hem - 0.006, -0.012), (0, -0.014)]), 0.01
    )
    puff(kit, line, cut.deep * 1.02, mat, edge=0.06, wrinkle=0.0005, grid=40, name="hem band")


def _buttons(kit: Any, mat: Any, x: float, zs: Sequence[float], y: float, size: float = 0.006) -> None:
    """A row of buttons."""
    for z in zs:
        kit.cylinder((x, y + 0.02, z), (x, y, z), size, mat, segments=16, name="button")


def _strip(kit: Any, mat: Any, x: float, z0: float, z1: float, wide: float, deep: float, name: str) -> None:
    """A strip down the front: placket, zip."""
    line = [
        (x, -deep * f, z0 + (z1 - z0) * s)
        for s, f in ((0, 0.30), (0.03, 0.45), (0.1, 0.5), (0.9, 0.5), (0.97, 0.46), (1, 0.40))
    ]
    ribbon(kit, line, (1, 0, 0), wide, 0.010, mat, smooth=4, name=name)


def build_t_shirt(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a T-shirt: round neck, V neck, polo, long-sleeved."""
    main, plain = kit.main(scale=rng.choice((0.04, 0.06, 0.09)), weave=0.004), kit.main_plain(weave=0.004)
    other = kit.mat(spec.material, spec.colour2, weave=0.004)
    long = spec.shape == "long sleeve"
    cut = Cut(
        z=rng.uniform(0.62, 0.7),
        shoulder=rng.uniform(0.195, 0.215),
        hem=rng.uniform(0.205, 0.225),
        waist=rng.uniform(0.188, 0.21),
        dip=rng.uniform(0.11, 0.15) if spec.shape == "V neck" else rng.uniform(0.06, 0.085),
        pointed=spec.shape in ("V neck", "polo"),
        sleeve=0.54 if long else rng.uniform(0.16, 0.2),
        lean=rng.uniform(14, 20) if long else rng.uniform(34, 44),
        cuff=0.095 if long else 0.155,
    )
    trim = other if rng.random() < 0.3 else plain
    raglan = other if rng.random() < 0.2 else main
    _top(
        kit,
        cut,
        main,
        sleeves=raglan,
        rib=trim if spec.shape != "polo" else None,
        lining=kit.mat("fabric", seen(spec, "charcoal", "grey")),
        phase=rng.uniform(0, 6),
    )
    if long:
        _cuffs(kit, cut, trim, 0.03)
    if spec.shape == "polo":
        _collar(kit, cut, trim)
        _strip(kit, plain, 0, cut.z - 0.2, cut.z - cut.dip + 0.01, 0.03, cut.deep, "placket")
        _buttons(
            kit,
            kit.mat("plastic", seen(spec, "white", "black")),
            0,
            (cut.z - 0.12, cut.z - 0.165),
            -cut.deep * 0.5 - 0.008,
        )
    elif spec.pattern == "plain" and rng.random() < 0.55:
        print_ = kit.mat("plastic", spec.colour2, roughness=0.8)
        z, y = cut.z * 0.62, -cut.deep * 0.5 - 0.003
        form = rng.choice(("disc", "box", "star", "bars"))
        if form == "disc":
            kit.cylinder(
                (0, y + 0.02, z), (0, y, z), rng.uniform(0.05, 0.075), print_, round_edge=0.001, name="print"
            )
        elif form == "box":
            kit.box((0.16, 0.02, 0.09), print_, at=(0, y + 0.01, z - 0.045), bevel=0.002, name="print")
        elif form == "star":
            r = rng.uniform(0.055, 0.08)
            star = [
                (
                    r * (1, 0.42)[k % 2] * math.sin(math.pi * k / 5),
                    r * (1, 0.42)[k % 2] * math.cos(math.pi * k / 5),
                )
                for k in range(10)
            ]
            kit.extrude(star, 0.02, print_, plane="xz", at=(0, y + 0.01, z), bevel=0.001, name="print")
        else:
            for k in range(3):
                kit.box(
                    (0.17 - 0.03 * k, 0.02, 0.016),
                    print_,
                    at=(0, y + 0.01, z - 0.04 + 0.03 * k),
                    bevel=0.001,
                    name="print",
                )


def _collar(kit: Any, cut: Cut, mat: Any, *, wide: float = 0.06) -> None:
    """A turned-down collar: two leaves over the front and the stand behind the neck."""
    for side in (1, -1):
        leaf = [
            (0.004, cut.z - cut.dip + 0.012),
            (cut.neck * 0.55, cut.z - 0.025),
            (cut.neck - 0.004, cut.z + 0.018),
            (cut.neck + 0.016, cut.z - 0.004),
            (cut.neck + 0.008, cut.z - wide - 0.012),
            (cut.neck * 0.45, cut.z - cut.dip - wide * 0.62),
        ]
        puff(
            kit,
            rounded([(side * x, z) for x, z in leaf], 0.005),
            0.016,
            mat,
            y=-cut.deep * 0.38,
            edge=0.008,
            wrinkle=0.0,
            grid=30,
            name="collar",
        )
    back = [
        (-cut.neck, -cut.deep * 0.3, cut.z + 0.004),
        (-cut.neck * 0.7, cut.deep * 0.16, cut.z + 0.018),
        (cut.neck * 0.7, cut.deep * 0.16, cut.z + 0.018),
        (cut.neck, -cut.deep * 0.3, cut.z + 0.004),
    ]
    ribbon(kit, back, (0, 0.15, 1), 0.04, 0.006, mat, name="stand")


def build_shirt(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a buttoned shirt: long-sleeved, short-sleeved, a blouse, a long kurta."""
    scale = rng.choice((0.02, 0.03, 0.05)) if spec.pattern in ("stripes", "dots") else rng.uniform(0.04, 0.08)
    main, plain = kit.main(scale=scale, weave=0.003), kit.main_plain(weave=0.003)
    long = spec.shape in ("long sleeve", "kurta")
    cut = Cut(
        z={"kurta": rng.uniform(0.94, 1.04), "blouse": 0.6}.get(spec.shape, rng.uniform(0.7, 0.76)),
        shoulder=rng.uniform(0.2, 0.215),
        waist=0.18 if spec.shape == "blouse" else 0.205,
        hem={"kurta": 0.25}.get(spec.shape, 0.215),
        neck=0.07,
        dip=rng.uniform(0.05, 0.07),
        pointed=True,
        sleeve=0.56 if long else 0.22,
        lean=rng.uniform(12, 18) if long else rng.uniform(30, 38),
        cuff=0.10 if long else 0.155,
    )
    _top(kit, cut, main, lining=plain, phase=rng.uniform(0, 6), rib=plain if spec.shape == "kurta" else None)
    button = kit.mat("plastic", seen(spec, "white", "brown"))
    low = cut.z * 0.55 if spec.shape == "kurta" else 0.01
    _strip(
        kit,
        plain if rng.random() < 0.4 else main,
        0,
        low,
        cut.z - cut.dip - 0.004,
        0.034,
        cut.deep,
        "placket",
    )
    count = 5 if spec.shape == "kurta" else 7
    _buttons(
        kit,
        button,
        0,
        [cut.z - cut.dip - 0.03 - (cut.z - cut.dip - 0.06 - low) * k / (count - 1) for k in range(count)],
        -cut.deep * 0.5 - 0.009,
    )
    if spec.shape != "kurta":
        _collar(kit, cut, plain if rng.random() < 0.3 else main)
        if rng.random() < 0.6:
            pocket = rounded(
                [
                    (0.06, cut.z - 0.22),
                    (0.15, cut.z - 0.22),
                    (0.15, cut.z - 0.31),
                    (0.105, cut.z - 0.33),
                    (0.06, cut.z - 0.31),
                ],
                0.006,
            )
            puff(kit, pocket, 0.02, main, y=-cut.deep * 0.45, edge=0.006, wrinkle=0.0, grid=24, name="pocket")
    if long:
        _cuffs(kit, cut, main, 0.05)


def build_sweater(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a knitted sweater: round neck, V neck, roll neck."""
    main, plain = kit.main(scale=rng.uniform(0.06, 0.1), weave=0.006), kit.main_plain(weave=0.006)
    rib = plain if rng.random() < 0.7 else kit.mat(spec.material, spec.colour2, weave=0.006)
    roll = spec.shape == "roll neck"
    cut = Cut(
        z=rng.uniform(0.6, 0.66),
        chest=0.225,
        waist=0.22,
        hem=0.215,
        neck=0.075 if roll else 0.085,
        dip=0.03 if roll else (0.16 if spec.shape == "V neck" else 0.07),
        pointed=spec.shape == "V neck",
        sleeve=0.52,
        lean=rng.uniform(12, 20),
        cuff=0.10,
        deep=0.12,
    )
    _top(
        kit,
        cut,
        main,
        lining=kit.mat("fabric", seen(spec, "charcoal", "grey")),
        rib=rib,
        phase=rng.uniform(0, 6),
        wrinkle=0.005,
    )
    _cuffs(kit, cut, rib, 0.06)
    _hem_band(kit, cut, rib, 0.06)
    if roll:
        puff(
            kit,
            rounded(
                mirrored(
                    [(0, cut.z + 0.075), (0.072, cut.z + 0.075), (0.08, cut.z - 0.014), (0, cut.z - 0.04)]
                ),
                0.02,
            ),
            0.09,
            rib,
            edge=0.04,
            wrinkle=0.001,
            grid=30,
            name="roll neck",
        )


def build_jacket(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a jacket: hoodie, zipped bomber, quilted puffer, blazer with lapels."""
    main, plain = kit.main(scale=0.07, weave=0.005), kit.main_plain(weave=0.005)
    metal, dark = (
        kit.mat(rng.choice(("steel", "brass"))),
        kit.mat("fabric", seen(spec, "black", "grey"), weave=0.004),
    )
    blazer = spec.shape == "blazer"
    cut = Cut(
        z=rng.uniform(0.66, 0.72),
        shoulder=0.215,
        chest=0.235,
        waist=0.212 if blazer else 0.23,
        hem=0.235 if blazer else 0.222,
        neck=0.085,
        dip=0.28 if blazer else 0.07,
        pointed=blazer,
        sleeve=0.55,
        lean=rng.uniform(11, 17),
        cuff=0.115,
        deep=0.17 if spec.shape == "puffer" else 0.13,
    )
    second = (
        kit.mat(spec.material, spec.colour2, weave=0.005)
        if spec.shape == "bomber" and rng.random() < 0.4
        else main
    )
    lining = kit.mat("fabric", "white", weave=0.003) if blazer else dark
    _top(kit, cut, main, sleeves=second, lining=lining, phase=rng.uniform(0, 6), wrinkle=0.006)
    y = -cut.deep * 0.5
    if blazer:
        for side in (1, -1):
            lapel = [
                (0.004, cut.z - cut.dip + 0.004),
                (cut.neck * 0.5, cut.z - cut.dip * 0.5),
                (cut.neck - 0.002, cut.z + 0.012),
                (cut.neck + 0.03, cut.z - 0.004),
                (cut.neck + 0.04, cut.z - 0.075),
                (cut.neck + 0.062, cut.z - 0.10),
                (0.03, cut.z - cut.dip - 0.03),
            ]
            puff(
                kit,
                rounded([(side * x, z) for x, z in lapel], 0.005),
                0.018,
                plain,
                y=y * 0.78,
                edge=0.01,
                wrinkle=0.0,
                grid=34,
                name="lapel",
            )
            pocket = [(side * 0.075, 0.2), (side * 0.185, 0.215), (side * 0.185, 0.175), (side * 0.075, 0.16)]
            puff(
                kit,
                rounded(pocket, 0.006),
                0.016,
                plain,
                y=y * 0.9,
                edge=0.008,
                wrinkle=0,
                grid=24,
                name="pocket flap",
            )
        _strip(
            kit,
            dark if spec.colour != "black" else kit.mat("fabric", "charcoal"),
            0.012,
            0.0,
            cut.z - cut.dip - 0.02,
            0.004,
            cut.deep,
            "front edge",
        )
        _buttons(
            kit,
            kit.mat("plastic", seen(spec, "black", "brown")),
            0.0,
            (cut.z - cut.dip - 0.05, cut.z - cut.dip - 0.14),
            y - 0.008,
            0.010,
        )
        return
    rib = plain if spec.shape == "hoodie" or rng.random() < 0.5 else dark
    _cuffs(kit, cut, rib, 0.055)
    if spec.shape != "puffer":
        _hem_band(kit, cut, rib, 0.06)
    zipped = spec.shape != "hoodie" or rng.random() < 0.5
    if zipped:
        _strip(kit, dark, 0, -0.01, cut.z - cut.dip + 0.008, 0.022, cut.deep * 1.04, "zip tape")
        line = [
            (0, y * f - 0.008, -0.008 + (cut.z - cut.dip) * s)
            for s, f in ((0, 0.6), (0.06, 1.0), (0.95, 1.0), (1, 0.9))
        ]
        kit.tube(line, 0.004, metal, smooth=True, name="zip")
    if spec.shape == "hoodie":
        hood = mirrored(
            [
                (0, cut.z + 0.16),
                (0.075, cut.z + 0.145),
                (0.115, cut.z + 0.07),
                (0.118, cut.z - 0.01),
                (0.06, cut.z - 0.075),
                (0, cut.z - 0.085),
            ]
        )
        puff(kit, rounded(hood, 0.03), 0.12, plain, y=0.02, edge=0.06, wrinkle=0.004, grid=36, name="hood")
        hole = mirrored(
            [
                (0, cut.z + 0.115),
                (0.05, cut.z + 0.10),
                (0.072, cut.z + 0.04),
                (0.058, cut.z - 0.03),
                (0, cut.z - 0.06),
            ]
        )
        puff(
            kit,
            rounded(hole, 0.025),
            0.026,
            dark,
            y=-0.038,
            edge=0.03,
            wrinkle=0.001,
            grid=30,
            name="hood inside",
        )
        for side in (1, -1):
            kit.tube(
                [
                    (side * 0.035, -0.034, cut.z - 0.055),
                    (side * 0.045, y - 0.012, cut.z - 0.11),
                    (side * 0.042, y - 0.012, cut.z - 0.22),
                ],
                0.0035,
                kit.mat("cotton", seen(spec, "white", "grey")),
                smooth=True,
                name="cord",
            )
        pocket = mirrored([(0, 0.22), (0.085, 0.22), (0.14, 0.13), (0.14, 0.07), (0, 0.07)])
        puff(
            kit,
            rounded(pocket, 0.008),
            0.03,
            plain,
            y=y * 0.86,
            edge=0.012,
            wrinkle=0.001,
            grid=34,
            name="pocket",
        )
        return
    collar = mirrored(
        [
            (0, cut.z + (0.06 if spec.shape == "puffer" else 0.035)),
            (0.085, cut.z + (0.06 if spec.shape == "puffer" else 0.035)),
            (0.098, cut.z - 0.02),
            (0.05, cut.z - cut.dip - 0.012),
            (0, cut.z - cut.dip - 0.02),
        ]
    )
    puff(
        kit,
        rounded(collar, 0.014),
        0.1,
        rib if spec.shape == "bomber" else main,
        y=0.0,
        edge=0.05,
        wrinkle=0.001,
        grid=34,
        name="collar",
    )
    if spec.shape == "puffer":
        for k in range(7):
            z = 0.02 + k * (cut.z - 0.14) / 7
            roll = rounded(
                mirrored([(0, z + 0.088), (cut.hem + 0.004, z + 0.088), (cut.hem + 0.004, z), (0, z)]), 0.035
            )
            puff(
                kit,
                roll,
                cut.deep * 1.12,
                main,
                edge=0.05,
                wrinkle=0.002,
                phase=k * 1.1,
                grid=40,
                name="quilting",
            )
        _strip(kit, dark, 0, 0.0, cut.z - 0.03, 0.022, cut.deep * 1.18, "zip tape")
    else:
        for side in (1, -1):
            kit.tube(
                [(side * 0.105, y + 0.004, 0.24), (side * 0.15, y + 0.008, 0.13)],
                0.005,
                metal,
                name="pocket zip",
            )


def build_dress(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a dress: A-line with sleeves, sleeveless sheath, strapped summer dress, long gown."""
    main, plain = kit.main(scale=rng.choice((0.04, 0.06, 0.09)), weave=0.004), kit.main_plain(weave=0.004)
    long = {
        "maxi": rng.uniform(0.95, 1.05),
        "A-line": rng.uniform(0.5, 0.6),
        "sheath": rng.uniform(0.52, 0.62),
        "strap": rng.uniform(0.45, 0.6),
    }[spec.shape]
    waist = rng.uniform(0.13, 0.145)
    bottom = {
        "maxi": rng.uniform(0.3, 0.36),
        "A-line": rng.uniform(0.29, 0.34),
        "sheath": rng.uniform(0.17, 0.185),
        "strap": rng.uniform(0.26, 0.32),
    }[spec.shape]
    hips = {"sheath": 0.185}.get(spec.shape, waist + (bottom - waist) * 0.42)
    count, deep = rng.choice((5, 6, 8)), 0.012 if spec.shape != "sheath" else 0.0
    skirt = mirrored(
        [
            (0, 0.02),
            (waist, 0.02),
            (waist + 0.004, -0.02),
            (hips, -0.2),
            (bottom, -long),
            (bottom * 0.5, -long - 0.018),
            (0, -long - 0.024),
        ]
    )
    puff(
        kit,
        skirt,
        0.13,
        main,
        edge=0.08,
        wrinkle=0.003,
        phase=rng.uniform(0, 6),
        grid=60,
        folds=lambda x, z: (
            deep
            * np.clip(-z / long, 0, 1)
            * np.cos(
                x / np.maximum(waist + (bottom - waist) * np.clip(-z / long, 0, 1), 0.05) * math.pi * count
            )
        ),
        name="skirt",
    )
    strapped = spec.shape == "strap" or (spec.shape == "maxi" and rng.random() < 0.6)
    cut = Cut(
        z=0.38,
        shoulder=0.165 if spec.shape != "sheath" else 0.15,
        chest=0.178,
        waist=waist + 0.012,
        hem=waist,
        neck=rng.uniform(0.085, 0.10),
        dip=rng.uniform(0.08, 0.14),
        pointed=rng.random() < 0.4,
        sleeve=0.0 if spec.shape == "sheath" else rng.choice((0.13, 0.3)),
        lean=rng.uniform(22, 34),
        cuff=0.12,
        deep=0.12,
    )
    if strapped:
        top = 0.2
        bust = mirrored(
            [
                (0, top - 0.03),
                (0.05, top + 0.012),
                (0.095, top + 0.03),
                (0.135, top - 0.01),
                (0.165, top - 0.05),
                (0.16, 0.09),
                (waist, 0.0),
                (0, -0.004),
            ]
        )
        puff(kit, rounded(bust, 0.012), 0.125, main, edge=0.07, wrinkle=0.003, grid=44, name="bodice")
        for side in (1, -1):
            for y in (-0.03, 0.02):
                ribbon(
                    kit,
                    [
                        (side * 0.10, y, top + 0.015),
                        (side * 0.092, y * 0.8, top + 0.10),
                        (side * 0.085, 0, top + 0.17),
                    ],
                    (1, 0, 0),
                    0.016,
                    0.004,
                    plain,
                    name="strap",
                )
    else:
        _top(kit, cut, main, lining=plain, rib=plain, wrinkle=0.003, phase=rng.uniform(0, 6))
    belt = kit.mat("leather", seen(spec, "black", "brown")) if rng.random() < 0.4 else plain
    ring = [
        (waist * 1.02 * math.cos(t), 0.064 * math.sin(t), 0.008)
        for t in np.linspace(0, 2 * math.pi, 48, endpoint=False)
    ]
    ribbon(kit, ring, (0, 0, 1), 0.03, 0.005, belt, smooth=0, closed=True, name="belt")


def build_skirt(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a skirt: flared, pencil, pleated, a buttoned mini."""
    main, plain = kit.main(scale=rng.uniform(0.04, 0.08), weave=0.004), kit.main_plain(weave=0.004)
    waist = rng.uniform(0.16, 0.175)
    long, bottom, count, deep = {
        "flared": (rng.uniform(0.42, 0.6), rng.uniform(0.3, 0.36), rng.choice((4, 5, 6)), 0.018),
        "pencil": (rng.uniform(0.5, 0.62), rng.uniform(0.165, 0.18), 1, 0.0),
        "pleated": (rng.uniform(0.4, 0.55), rng.uniform(0.26, 0.31), rng.choice((11, 14)), 0.012),
        "mini": (rng.uniform(0.34, 0.4), rng.uniform(0.215, 0.24), 1, 0.0),
    }[spec.shape]
    hips = max(waist + (bottom - waist) * 0.45, 0.2 if spec.shape in ("pencil", "mini") else 0.0)
    skirt = mirrored(
        [
            (0, 0.0),
            (waist, 0.0),
            (waist + 0.006, -0.03),
            (hips, -0.18),
            (bottom, -long),
            (bottom * 0.5, -long - 0.016),
            (0, -long - 0.02),
        ]
    )
    puff(
        kit,
        skirt,
        0.14,
        main,
        edge=0.08,
        wrinkle=0.003,
        phase=rng.uniform(0, 6),
        grid=70 if spec.shape == "pleated" else 56,
        folds=lambda x, z: (
            deep
            * np.clip(0.15 - z / long, 0, 1)
            * np.cos(x / (waist + (bottom - waist) * np.clip(-z / long, 0, 1)) * math.pi * count)
        ),
        name="skirt",
    )
    band = rounded(
        mirrored([(0, 0.034), (waist - 0.004, 0.036), (waist + 0.002, -0.004), (0, -0.006)]), 0.006
    )
    puff(kit, band, 0.135, plain, edge=0.07, wrinkle=0.0, grid=40, name="waistband")
    if spec.shape == "mini":
        _strip(kit, plain, 0, -long + 0.0, 0.0, 0.03, 0.14, "placket")
        _buttons(
            kit,
            kit.mat(rng.choice(("brass", "steel"))),
            0,
            [-0.04 - k * (long - 0.08) / 4 for k in range(5)],
            -0.08,
            0.009,
        )
        for side in (1, -1):
            kit.tube(
                [(side * 0.07, -0.066, -0.03), (side * 0.10, -0.068, -0.07), (side * 0.165, -0.052, -0.085)],
                0.0025,
                plain,
                smooth=True,
                name="pocket",
            )


def _legs(
    kit: Any,
    mat: Any,
    *,
    rise: float,
    long: float,
    waist: float,
    hip: float,
    thigh: float,
    ankle: float,
    spread: float,
    deep: float,
    phase: float,
) -> None:
    """Make two trouser legs that meet in the middle; the waist is at z = 0."""
    hem = spread
    for side in (1, -1):
        outline = [
            (-0.012, 0.0),
            (waist, 0.0),
            (hip, -rise * 0.6),
            (hip + 0.002, -rise - 0.02),
            (hem + ankle, -long),
            (hem - ankle, -long - 0.006),
            (max(0.008, hip - 2 * thigh), -rise - 0.03),
            (-0.010, -rise),
        ]
        puff(
            kit,
            rounded([(side * x, z) for x, z in outline], 0.012),
            deep,
            mat,
            y=-0.0015 * side,
            edge=0.07,
            wrinkle=0.005,
            phase=phase + side,
            grid=64,
            name="leg",
        )


def build_trousers(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model trousers: jeans, chinos, wide ones, track pants."""
    _trousers(kit, spec, rng, rng.uniform(0.96, 1.02))


def build_shorts(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model shorts: denim, chino, sports."""
    _trousers(kit, spec, rng, rng.uniform(0.4, 0.5))


def _trousers(kit: Any, spec: Spec, rng: random.Random, long: float) -> None:
    main, plain = kit.main(scale=0.06, weave=0.003), kit.main_plain(weave=0.003)
    soft = spec.shape in ("track", "sports")
    waist, rise = rng.uniform(0.185, 0.2), rng.uniform(0.25, 0.28)
    short = long < 0.6
    ankle = {"skinny": 0.062, "wide": 0.13, "track": 0.075}.get(spec.shape, rng.uniform(0.085, 0.1))
    if short:
        ankle = rng.uniform(0.108, 0.124)
    _legs(
        kit,
        main,
        rise=rise,
        long=long,
        waist=waist,
        hip=0.225,
        thigh=0.098,
        ankle=ankle,
        spread=0.135 if not short else 0.146,
        deep=0.12,
        phase=rng.uniform(0, 6),
    )
    band = rounded(mirrored([(0, 0.03), (waist - 0.002, 0.034), (waist + 0.004, -0.012), (0, -0.014)]), 0.006)
    trim = kit.mat("fabric", spec.colour2) if soft and rng.random() < 0.5 else plain
    puff(kit, band, 0.115, trim, edge=0.06, wrinkle=0.0, grid=44, name="waistband")
    if soft:
        striped = rng.random() < 0.8
        for side in (1, -1):
            kit.tube(
                [(side * 0.008, -0.042, 0.004), (side * 0.022, -0.072, -0.06), (side * 0.018, -0.07, -0.13)],
                0.0035,
                kit.mat("cotton", seen(spec, "white", "grey")),
                smooth=True,
                name="cord",
            )
            if striped:
                end = 0.135 + ankle if not short else 0.146 + ankle
                stripe = [
                    (side * (waist - 0.012), -0.044, -0.02),
                    (side * 0.208, -0.036, -rise * 0.8),
                    (side * (0.208 + end) / 2, -0.044, -(rise + long) / 2),
                    (side * (end - 0.016), -0.036, -long + 0.01),
                ]
                ribbon(
                    kit,
                    stripe,
                    (1, 0.4 * side, 0),
                    0.022,
                    0.012,
                    kit.mat("fabric", spec.colour2),
                    name="side stripe",
                )
        return
    seam = kit.mat(
        "cotton", "mustard" if spec.material == "denim" and spec.colour != "white" else spec.colour
    )
    kit.tube(
        [(0.002, -0.056, 0.0), (0.002, -0.058, -rise * 0.6), (0.002, -0.035, -rise + 0.01)],
        0.0028,
        seam,
        smooth=True,
        name="fly",
    )
    kit.cylinder(
        (0, -0.04, 0.01),
        (0, -0.066, 0.01),
        0.009,
        kit.mat("brass" if spec.material == "denim" else "steel"),
        segments=20,
        name="button",
    )
    for side in (1, -1):
        kit.tube(
            [(side * 0.085, -0.058, -0.014), (side * 0.115, -0.06, -0.06), (side * 0.205, -0.036, -0.105)],
            0.0028,
            seam,
            smooth=True,
            name="pocket",
        )
        for x in (0.06, 0.14):
            kit.box((0.012, 0.012, 0.05), plain, at=(side * x, -0.046, -0.018), bevel=0.003, name="loop")
    if spec.material == "denim" and not short and rng.random() < 0.5:
        for side in (1, -1):
            puff(
                kit,
                [
                    (
                        side * 0.135 + ankle * 1.02 * math.cos(t),
                        -long + 0.022 + 0.028 * (1 if math.sin(t) > 0 else -1),
                    )
                    for t in (0.1, math.pi - 0.1, math.pi + 0.1, -0.1)
                ],
                0.125,
                kit.mat("denim", "grey" if spec.colour != "grey" else "white"),
                edge=0.05,
                wrinkle=0.001,
                grid=24,
                name="turn-up",
            )


def build_briefs(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model underpants: briefs, trunks with a broad waistband, high-cut panties."""
    main = kit.main(scale=rng.uniform(0.025, 0.045), weave=0.003)
    band = kit.mat("knit", spec.colour2 if rng.random() < 0.6 else spec.colour, weave=0.003)
    waist = rng.uniform(0.16, 0.175)
    if spec.shape == "trunks":
        for side in (1, -1):
            leg = [
                (-0.01, 0.0),
                (waist, 0.0),
                (waist + 0.018, -0.12),
                (waist + 0.022, -0.255),
                (0.035, -0.275),
                (0.012, -0.22),
                (-0.01, -0.215),
            ]
            puff(
                kit,
                rounded([(side * x, z) for x, z in leg], 0.012),
                0.09,
                main,
                y=-0.001 * side,
                edge=0.06,
                wrinkle=0.002,
                phase=side,
                grid=44,
                name="leg",
            )
        pouch = mirrored([(0, 0.0), (0.06, 0.0), (0.058, -0.12), (0.02, -0.22), (0, -0.228)])
        puff(
            kit, rounded(pouch, 0.012), 0.11, main, y=-0.006, edge=0.05, wrinkle=0.001, grid=34, name="pouch"
        )
    else:
        side_high = 0.09 if spec.shape == "briefs" else rng.uniform(0.03, 0.05)
        low = -0.22
        cut = [
            (0, 0.0),
            (waist, 0.0),
            (waist + 0.004, -side_high),
            (waist * 0.62, -side_high - 0.05),
            (0.065, low + 0.045),
            (0.044, low),
            (0, low - 0.004),
        ]
        puff(kit, mirrored(cut), 0.09, main, edge=0.05, wrinkle=0.002, grid=54, name="front")
        for side in (1, -1):
            line = [(side * x, -0.012, z) for x, z in cut[2:6]]
            kit.tube(line, 0.005, band, smooth=True, sides=8, name="leg edge")
        if spec.shape == "panties" and rng.random() < 0.6:
            kit.sphere((0.010, 0.006, 0.008), band, at=(0, -0.037, 0.002), name="bow")
    wide = 0.018 if spec.shape == "panties" else rng.uniform(0.03, 0.04)
    line = rounded(
        mirrored([(0, wide), (waist - 0.004, wide + 0.002), (waist + 0.001, -0.008), (0, -0.01)]), 0.004
    )
    puff(kit, line, 0.092, band, edge=0.05, wrinkle=0.0, grid=40, name="waistband")


def build_bra(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a bra: two cups with straps, a full sports bra, a bandeau-like balconette."""
    main, plain = kit.main(scale=rng.uniform(0.025, 0.04), weave=0.003), kit.main_plain(weave=0.003)
    trim = kit.mat("fabric", spec.colour2) if rng.random() < 0.4 else plain
    if spec.shape == "sports":
        body = [
            (0, 0.04),
            (0.03, 0.05),
            (0.06, 0.10),
            (0.07, 0.19),
            (0.11, 0.19),
            (0.112, 0.10),
            (0.135, 0.04),
            (0.165, 0.015),
            (0.15, -0.11),
            (0, -0.115),
        ]
        puff(
            kit,
            mirrored(body),
            0.12,
            main,
            edge=0.07,
            wrinkle=0.002,
            grid=54,
            folds=lambda x, z: (
                0.03 * np.exp(-(((np.abs(x) - 0.065) / 0.05) ** 2) - ((z + 0.015) / 0.06) ** 2)
            ),
            name="body",
        )
        line = rounded(mirrored([(0, -0.085), (0.155, -0.08), (0.15, -0.125), (0, -0.128)]), 0.006)
        puff(kit, line, 0.125, trim, edge=0.06, wrinkle=0, grid=40, name="band")
        for side in (1, -1):
            ribbon(
                kit,
                [(side * 0.09, 0.0, 0.18), (side * 0.088, 0.03, 0.2), (side * 0.05, 0.045, 0.12)],
                (1, 0, 0),
                0.038,
                0.006,
                plain,
                name="strap",
            )
        return
    low = 0.02 if spec.shape == "balconette" else 0.05
    for side in (1, -1):
        cup = [
            (0.008, 0.0),
            (0.02, low * 0.6),
            (0.06, low + 0.025),
            (0.10, low + 0.045),
            (0.128, low),
            (0.136, -0.03),
            (0.115, -0.075),
            (0.07, -0.092),
            (0.028, -0.075),
            (0.008, -0.035),
        ]
        puff(
            kit,
            rounded([(side * x, z) for x, z in cup], 0.014),
            0.11,
            main,
            edge=0.062,
            wrinkle=0.0,
            grid=40,
            name="cup",
        )
        edge = [(side * x, -0.01, z + 0.002) for x, z in cup[0:4]]
        kit.tube(edge, 0.0035, trim, smooth=True, sides=8, name="cup edge")
        ribbon(
            kit,
            [
                (side * 0.10, -0.004, low + 0.035),
                (side * 0.098, 0.0, low + 0.12),
                (side * 0.088, 0.02, low + 0.2),
                (side * 0.075, 0.045, low + 0.16),
                (side * 0.07, 0.05, -0.02),
            ],
            (1, 0, 0),
            0.013,
            0.003,
            trim,
            name="strap",
        )
        wing = [
            (side * 0.12, 0.0, -0.035),
            (side * 0.155, 0.012, -0.045),
            (side * 0.165, 0.03, -0.05),
            (side * 0.12, 0.05, -0.05),
            (0, 0.056, -0.05),
        ]
        ribbon(kit, wing, (0, 0, 1), [0.075, 0.06, 0.05, 0.04, 0.035], 0.004, plain, name="wing")
    under = rounded(mirrored([(0, -0.05), (0.125, -0.07), (0.13, -0.1), (0, -0.105)]), 0.008)
    puff(kit, under, 0.05, plain, edge=0.02, wrinkle=0.0, grid=40, name="band")
    puff(
        kit,
        rounded([(-0.014, 0.008), (0.014, 0.008), (0.02, -0.06), (-0.02, -0.06)], 0.006),
        0.03,
        plain,
        edge=0.015,
        wrinkle=0,
        grid=20,
        name="bridge",
    )
    beads(kit, [(-0.007, -0.018, 0.004), (0.007, -0.018, 0.004), (0, -0.02, 0.003)], 0.0055, trim, name="bow")


SOFT = (
    Finish("cotton", COLOURS, ("plain", "plain", "bands", "stripes", "dots"), weight=4),
    Finish("jersey", COLOURS),
)
T_SHIRT = ProductType(
    name="t-shirt",
    category="Clothing",
    mount="wall",
    price=(9, 49),
    shapes={"round neck": "casual", "V neck": "basic", "polo": "sporty", "long sleeve": "classic"},
    finishes=SOFT,
    build=build_t_shirt,
    title={
        "round neck": "{finish} round-neck t-shirt",
        "V neck": "{finish} V-neck t-shirt",
        "polo": "{finish} polo t-shirt",
        "long sleeve": "Long-sleeved {finish} t-shirt",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
SHIRT = ProductType(
    name="shirt",
    category="Clothing",
    mount="wall",
    price=(19, 89),
    shapes={"long sleeve": "business", "short sleeve": "casual", "blouse": "feminine", "kurta": "ethnic"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "stripes", "checks", "checks", "dots"), weight=3),
        Finish("linen", COLOURS, ("plain", "stripes")),
        Finish("silk", COLOURS, ("plain", "dots"), shapes=("blouse", "kurta")),
    ),
    build=build_shirt,
    title={
        "long sleeve": "{finish} shirt",
        "short sleeve": "Short-sleeved {finish} shirt",
        "blouse": "{finish} blouse shirt",
        "kurta": "Long {finish} kurta shirt",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
SWEATER = ProductType(
    name="sweater",
    category="Clothing",
    mount="wall",
    price=(25, 119),
    shapes={"round neck": "casual", "V neck": "preppy", "roll neck": "winter"},
    finishes=(
        Finish("knit", COLOURS, ("plain", "bands", "checks")),
        Finish("wool", COLOURS, ("plain", "bands"), weight=2),
    ),
    build=build_sweater,
    title={
        "round neck": "{finish} sweater",
        "V neck": "{finish} V-neck sweater",
        "roll neck": "{finish} roll-neck sweater",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
JACKET = ProductType(
    name="jacket",
    category="Clothing",
    mount="wall",
    price=(39, 259),
    shapes={"hoodie": "streetwear", "bomber": "casual", "puffer": "winter", "blazer": "business"},
    finishes=(
        Finish("cotton", COLOURS, weight=2, shapes=("hoodie", "blazer")),
        Finish("fleece", COLOURS, shapes=("hoodie",)),
        Finish("nylon", COLOURS, weight=2, shapes=("bomber", "puffer")),
        Finish("leather", ("black", "brown", "tan", "burgundy", "navy", "red"), shapes=("bomber",)),
        Finish("wool", COLOURS, ("plain", "checks"), shapes=("blazer",)),
    ),
    build=build_jacket,
    title={
        "hoodie": "{finish} hooded jacket",
        "bomber": "{finish} bomber jacket",
        "puffer": "Quilted {finish} puffer jacket",
        "blazer": "{finish} blazer jacket",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
DRESS = ProductType(
    name="dress",
    category="Clothing",
    mount="wall",
    price=(25, 189),
    shapes={"A-line": "classic", "sheath": "business", "strap": "summer", "maxi": "elegant"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "dots", "stripes", "checks", "bands"), weight=3),
        Finish("silk", COLOURS, ("plain", "plain", "dots"), weight=2),
        Finish("velvet", COLOURS),
    ),
    build=build_dress,
    title={
        "A-line": "{finish} A-line dress",
        "sheath": "{finish} sheath dress",
        "strap": "{finish} summer dress",
        "maxi": "Long {finish} maxi dress",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
SKIRT = ProductType(
    name="skirt",
    category="Clothing",
    mount="wall",
    price=(19, 99),
    shapes={"flared": "feminine", "pencil": "business", "pleated": "preppy", "mini": "casual"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "checks", "dots", "stripes", "bands"), weight=3),
        Finish("satin", COLOURS, shapes=("flared", "pleated", "pencil")),
        Finish("denim", ("blue", "navy", "black", "grey", "white"), shapes=("mini", "pencil")),
        Finish("leather", ("black", "brown", "red", "burgundy", "tan"), shapes=("mini", "pencil")),
    ),
    build=build_skirt,
    title={
        "flared": "Flared {finish} skirt",
        "pencil": "{finish} pencil skirt",
        "pleated": "Pleated {finish} skirt",
        "mini": "{finish} mini skirt",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
TROUSERS = ProductType(
    name="trousers",
    category="Clothing",
    mount="wall",
    price=(25, 129),
    shapes={"jeans": "casual", "skinny": "modern", "wide": "elegant", "track": "sporty"},
    finishes=(
        Finish(
            "denim",
            ("blue", "navy", "black", "grey", "white", "charcoal"),
            weight=3,
            shapes=("jeans", "skinny", "wide"),
        ),
        Finish("cotton", COLOURS, weight=2),
        Finish("wool", COLOURS, ("plain", "checks", "stripes"), shapes=("wide",)),
        Finish("jersey", COLOURS, weight=2, shapes=("track",)),
    ),
    build=build_trousers,
    title={
        "jeans": "{finish} trousers, straight cut",
        "skinny": "Skinny {finish} trousers",
        "wide": "Wide {finish} trousers",
        "track": "{finish} track pants",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
JEANS = ProductType(
    name="jeans",
    category="Clothing",
    mount="wall",
    price=(25, 129),
    shapes={"straight": "casual", "skinny": "modern", "wide": "retro"},
    finishes=(
        Finish(
            "denim", ("blue", "navy", "black", "grey", "white", "charcoal", "blue", "navy", "brown", "khaki")
        ),
    ),
    build=build_trousers,
    title={
        "straight": "Straight {colour} jeans",
        "skinny": "Skinny {colour} jeans",
        "wide": "Wide {colour} jeans",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
SHORTS = ProductType(
    name="shorts",
    category="Clothing",
    mount="wall",
    price=(15, 69),
    shapes={"chino": "casual", "denim": "summer", "sports": "sporty"},
    finishes=(
        Finish("denim", ("blue", "navy", "black", "grey", "white"), weight=2, shapes=("denim",)),
        Finish("cotton", COLOURS, ("plain", "plain", "checks", "stripes"), weight=2, shapes=("chino",)),
        Finish("nylon", COLOURS, weight=2, shapes=("sports",)),
    ),
    build=build_shorts,
    title={"chino": "{finish} chino shorts", "denim": "{finish} shorts", "sports": "{finish} sports shorts"},
    azimuths=FRONT,
    elevations=FRONT_UP,
)
BRIEFS = ProductType(
    name="briefs",
    category="Clothing",
    mount="wall",
    price=(5, 29),
    shapes={"briefs": "basic", "trunks": "sporty", "panties": "feminine"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "plain", "bands", "dots", "checks"), weight=3),
        Finish("satin", COLOURS, shapes=("panties",)),
    ),
    build=build_briefs,
    title={
        "briefs": "{finish} briefs",
        "trunks": "{finish} trunk briefs",
        "panties": "{finish} panty briefs",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)
BRA = ProductType(
    name="bra",
    category="Clothing",
    mount="wall",
    price=(12, 59),
    shapes={"classic": "basic", "balconette": "elegant", "sports": "sporty"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "plain", "dots", "bands"), weight=2),
        Finish("satin", COLOURS, shapes=("classic", "balconette")),
    ),
    build=build_bra,
    title={
        "classic": "{finish} bra",
        "balconette": "{finish} balconette bra",
        "sports": "{finish} sports bra",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)

TYPES = (T_SHIRT, SHIRT, SWEATER, JACKET, DRESS, SKIRT, TROUSERS, JEANS, SHORTS, BRIEFS, BRA)
