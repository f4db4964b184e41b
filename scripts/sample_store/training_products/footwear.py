"""Declare training-only footwear: heels, ballet flats, sandals, flip flops, formal shoes, socks.

The lasts are those of products.shoes: `a` is the distance from heel to toe, `b` across, z up.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from sample_store.products.shoes import Shoe, Station, _heeled_sole, _pair, _stretch, _welt, footprint
from sample_store.spec import Finish, ProductType, Spec
from sample_store.training_products._forms import (
    COLOURS,
    FRONT,
    FRONT_UP,
    LEATHERS,
    puff,
    ribbon,
    rounded,
    seen,
)

SIDE = ((52, 66), (-42, -26), (112, 128))
SIDE_UP = ((12, 18), (16, 22), (18, 24))
DRESSY = (
    "black",
    "red",
    "beige",
    "pink",
    "navy",
    "white",
    "burgundy",
    "green",
    "purple",
    "magenta",
    "blue",
    "tan",
    "turquoise",
    "yellow",
    "coral",
    "grey",
    "peach",
    "mint",
)

FORMAL = (
    "black",
    "brown",
    "tan",
    "burgundy",
    "black",
    "brown",
    "navy",
    "maroon",
    "grey",
    "white",
    "beige",
    "blue",
    "green",
)

PUMP: tuple[Station, ...] = (
    (0.000, 0.245, 0.0385, 0.000, 0.000, 0.00),
    (-0.002, 0.245, 0.0395, 0.014, 0.009, 0.00),
    (-0.002, 0.238, 0.0385, 0.028, 0.019, 0.06),
    (0.001, 0.220, 0.0360, 0.042, 0.026, 0.25),
    (0.004, 0.190, 0.0345, 0.056, 0.028, 0.60),
)
FLAT: tuple[Station, ...] = (
    (0.000, 0.255, 0.0390, 0.000, 0.000, 0.00),
    (-0.002, 0.255, 0.0400, 0.014, 0.009, 0.00),
    (-0.002, 0.248, 0.0390, 0.027, 0.020, 0.06),
    (0.001, 0.230, 0.0370, 0.038, 0.027, 0.25),
    (0.004, 0.200, 0.0350, 0.047, 0.030, 0.60),
)
LOAFER: tuple[Station, ...] = (
    (0.000, 0.290, 0.0420, 0.000, 0.000, 0.00),
    (-0.003, 0.290, 0.0430, 0.020, 0.013, 0.00),
    (-0.003, 0.281, 0.0415, 0.038, 0.027, 0.04),
    (0.001, 0.256, 0.0390, 0.050, 0.040, 0.14),
    (0.005, 0.222, 0.0370, 0.058, 0.052, 0.40),
    (0.005, 0.186, 0.0355, 0.066, 0.064, 0.75),
)


def _ramp(heel: float, plate: float, start: float = 0.16, end: float = 0.66) -> tuple[Callable, Callable]:
    """Return ground(a) and top(a) of a thin sole that falls from a high heel to the ball of the foot."""

    def ground(a: Any) -> Any:
        fall = np.clip((a - start) / (end - start), 0, 1)
        fall = 0.45 * fall + 0.55 * fall * fall * (3 - 2 * fall)
        return heel * (1 - fall) + 0.006 * np.clip((a - 0.8) / 0.2, 0, 1) ** 2

    return ground, lambda a: ground(a) + plate


def _slim_heel(kit: Any, shoe: Shoe, heel: float, foot: float, mat: Any) -> None:
    """A stiletto: a curved taper from the heel's seat to a small tip."""
    rings = []
    turn = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    for share in np.linspace(0, 1, 9):
        wide = foot + (0.028 - foot) * share**2.6
        back = 0.010 * (1 - share) ** 0.7
        a = 0.004 + back + wide * (1 + np.cos(turn)) * 0.78
        z = share * heel + (0.004 + 0.006 if share == 1 else 0) * 1.0
        ring = np.column_stack([a, wide * np.sin(turn) * 0.9, np.full(24, z)])
        if share == 1:
            ring[:, 2] = shoe.ground(np.clip(ring[:, 0] / shoe.length, 0, 1)) + 0.003
        rings.append(ring)
    kit.loft(shoe.place(rings), mat, sharp_deg=60, name="heel")


def build_high_heel(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of heels: pumps, ankle-strapped or peep-toed ones, platforms."""
    _pair(kit, rng, lambda: _high_heel(kit, spec, rng))


def _high_heel(kit: Any, spec: Spec, rng: random.Random) -> None:
    heel = rng.uniform(0.075, 0.105)
    block = spec.shape in ("block", "platform")
    plate = 0.026 if spec.shape == "platform" else 0.006
    ground, top = _ramp(heel, plate)
    stations = _stretch(PUMP, rng, rng.uniform(0.225, 0.238))
    shoe = Shoe(kit, stations, ground, top, widest=0.002, turn=rng.uniform(0, 4))
    main, plain = kit.main(scale=0.02, weave=0.002), kit.main_plain(weave=0.002)
    inner = kit.mat("leather", "beige" if spec.colour != "beige" else "white", weave=0.002)
    sole = kit.mat("leather", rng.choice(("black", "red", "tan")) if not block else "black", weave=0.002)
    if spec.shape == "strappy":
        _insole(shoe, inner)
        length = shoe.length
        for a, high in ((0.83, 0.030), (0.70, 0.044)):
            _across(kit, shoe, a, high, 0.013 if a > 0.8 else 0.016, plain)
        _counter(kit, shoe, plain, 0.055)
        _ankle_strap(kit, shoe, plain, 0.075, length * 0.21, rng)
    else:
        shoe.upper(main, inner, wall=0.0025, depth=0.03)
        if spec.shape == "ankle strap":
            _ankle_strap(kit, shoe, plain, 0.075, shoe.length * 0.21, rng)
    shoe.layer(
        sole if spec.shape != "platform" else plain,
        [(-0.002, 0.0), (0.001, 0.1), (0.0018, 0.6), (0.001, 1.0), (-0.008, 1.02)],
        "sole",
    )
    if block:
        shoe.heel(plain, 0.24, heel, 0.12)
    else:
        _slim_heel(kit, shoe, heel, rng.uniform(0.0045, 0.007), plain)


def _insole(shoe: Shoe, mat: Any) -> None:
    """The footbed of an open shoe."""
    shoe.layer(mat, [(-0.002, 0.9), (-0.0005, 1.0), (-0.0008, 1.25), (-0.006, 1.4)], "insole")


def _across(
    kit: Any,
    shoe: Shoe,
    a: float,
    high: float,
    width: float,
    mat: Any,
    *,
    lean: float = 0.0,
    thick: float = 0.0025,
    name: str = "strap",
) -> None:
    """Lay a strap over the foot at share `a`, `high` above the sole; `lean` slants its outer end forward."""
    foot = shoe.foot * (shoe.length, shoe.half)
    near = np.abs(shoe.foot[:, 0] - a)
    out = foot[np.where(foot[:, 1] > 0, near, 9).argmin(), 1]
    inn = foot[np.where(foot[:, 1] < 0, near, 9).argmin(), 1]
    points = []
    middle, half = (out + inn) / 2, (out - inn) / 2
    for t in np.linspace(0, math.pi, 11):
        c, s = math.cos(t), math.sin(t)
        share = a + lean * c
        z = float(shoe.top(np.clip(share, 0, 1))) - 0.004 + (high + 0.004) * s**0.75
        points.append((share * shoe.length, middle + (half + 0.001) * c * (1 + 0.10 * s), z))
    slope = float(shoe.top(np.clip(a + 0.03, 0, 1)) - shoe.top(np.clip(a - 0.03, 0, 1))) / (
        0.06 * shoe.length
    )
    ends = shoe.place(np.array([[0, 0, 0], [1.0, 0, slope]]))
    ribbon(kit, shoe.place(np.array(points)), ends[1] - ends[0], width, thick, mat, smooth=3, name=name)


def _counter(kit: Any, shoe: Shoe, mat: Any, high: float) -> None:
    """The closed back of a sandal."""
    shoe_last = shoe.last
    shoe.patch(
        mat,
        lambda v: (-0.13 + 0.03 * v, 0.13 - 0.03 * v),
        (0.05, shoe_last * min(1.0, high / 0.056)),
        "counter",
        thickness=0.003,
    )


def _ankle_strap(kit: Any, shoe: Shoe, mat: Any, high: float, front: float, rng: random.Random) -> None:
    """A strap round the ankle, its riser at the heel and its buckle at the outer side."""
    base = float(shoe.top(0.08))
    t = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    loop = np.stack([0.046 - 0.050 * np.cos(t), 0.033 * np.sin(t), base + high + 0.008 * np.cos(t)], axis=1)
    ribbon(kit, shoe.place(loop), (0, 0, 1), 0.010, 0.0025, mat, smooth=3, closed=True, name="ankle strap")
    riser = [(0.004, 0.0, base + 0.03), (-0.003, 0.0, base + high * 0.7), (-0.004, 0.0, base + high + 0.012)]
    across = shoe.place(np.array([[0, 0, 0], [0, 1.0, 0]]))
    ribbon(kit, shoe.place(np.array(riser)), across[1] - across[0], 0.013, 0.003, mat, name="riser")
    spot = shoe.place(np.array([0.046, 0.034, base + high]))
    with kit.place(*spot):
        kit.torus(0.0075, 0.0016, kit.mat(rng.choice(("gold", "chrome"))), axis="x", name="buckle")


def build_ballet_flat(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of flat slippers with a low cut, bowed, pointed or strapped."""
    _pair(kit, rng, lambda: _ballet_flat(kit, spec, rng))


def _ballet_flat(kit: Any, spec: Spec, rng: random.Random) -> None:
    heel = rng.uniform(0.006, 0.012)
    ground, top = _heeled_sole(heel, 0.005, 0.006)
    shoe = Shoe(
        kit, _stretch(FLAT, rng, rng.uniform(0.238, 0.252)), ground, top, widest=0.002, turn=rng.uniform(0, 4)
    )
    plain = kit.main_plain(weave=0.002)
    shoe.upper(
        kit.main(scale=rng.uniform(0.016, 0.022), weave=0.002),
        kit.mat("leather", seen(spec, "beige", "white"), weave=0.002),
        wall=0.0025,
        depth=0.024,
    )
    trim = kit.mat("fabric", seen(spec, "black", "white")) if spec.shape == "bow" else plain
    shoe.collar(trim, 0.0018)
    if spec.shape == "bow":
        spot = shoe.on(0.5, shoe.last - 0.1, 0.004)
        for side in (-1.0, 1.0):
            loop = [
                (0, 0, 0),
                (0.003, 0.010, 0.006),
                (0.003, 0.021, 0.006),
                (0.0, 0.022, -0.003),
                (-0.001, 0.010, -0.002),
                (0, 0, 0),
            ]
            line = [spot + np.array([a, side * b, z]) for a, b, z in loop]
            kit.tube(shoe.place(line), 0.0024, trim, smooth=True, sides=10, name="bow")
        kit.sphere((0.0045, 0.004, 0.004), trim, at=tuple(shoe.place(spot)), name="knot")
    elif spec.shape == "mary jane":
        _across(kit, shoe, 0.43, 0.052, 0.012, plain)
        kit.sphere(
            0.005,
            kit.mat("gold"),
            at=tuple(shoe.place(shoe.on(0.285, shoe.last - 0.2, 0.004))),
            name="button",
        )
    else:
        gold = kit.mat(rng.choice(("gold", "chrome")))
        for side in (-1, 1):
            spot = shoe.place(shoe.on(0.5 + side * 0.025, shoe.last - 0.55, 0.001))
            with kit.place(*spot):
                kit.torus(0.007, 0.0016, gold, axis="z", name="ring")
    sole = kit.mat("rubber", seen(spec, "black", "brown"))
    shoe.layer(sole, [(-0.003, 0.0), (0.001, 0.1), (0.002, 0.6), (0.001, 1.0), (-0.008, 1.03)], "sole")
    shoe.heel(sole, 0.24, heel, 0.03)


class _Bed:
    """The footbed of sandals and flip flops: a slab of the footprint, and points above it."""

    def __init__(self, kit: Any, length: float, half: float, thick: float, rng: random.Random) -> None:
        self.kit, self.length, self.half, self.thick = kit, length, half, thick
        self.foot = footprint()
        self.angle = math.radians(rng.uniform(-2, 3))
        self.shift = 0.0
        edge = np.column_stack([self.outline(0.002), np.zeros(len(self.foot))])
        self.shift = 0.0015 - float(self.place(edge)[:, 0].min()) - 0.002  # it just touches its twin

    def place(self, points: Any) -> Any:
        """Turn (a, b, z) into x, y, z: the toe towards -y, on the +x side."""
        p = np.asarray(points, float)
        x, y = p[..., 1], self.length / 2 - p[..., 0]
        c, s = math.cos(self.angle), math.sin(self.angle)
        return np.stack([c * x - s * y + self.shift, s * x + c * y, p[..., 2]], axis=-1)

    def outline(self, offset: float) -> Any:
        """Return the footprint (n, 2) moved outward."""
        p = self.foot * (self.length, self.half)
        return p + (p - p.mean(0)) / np.linalg.norm(p - p.mean(0), axis=1, keepdims=True) * offset

    def slab(self, mat: Any, z0: float, z1: float, offset: float, name: str, *, arch: float = 0.0) -> None:
        """Make a layer between two heights; `arch` thickens it at the heel."""
        edge = min(0.003, (z1 - z0) * 0.3)
        rings = []
        for inset, z in (
            (-edge, z0),
            (0, z0 + edge),
            (0, z1 - edge),
            (-edge * 0.7, z1),
            (-0.012, z1 + 0.0004),
        ):
            p = self.outline(offset + inset)
            rise = arch * np.clip((0.55 - p[:, 0] / self.length) / 0.4, 0, 1) if z > (z0 + z1) / 2 else 0.0
            rings.append(np.column_stack([p, np.full(len(p), z) + rise]))
        self.kit.loft(self.place(rings), mat, sharp_deg=50, name=name)

    def level(self, a: float, arch: float) -> float:
        """Return the bed's height at share a of the length."""
        return self.thick + arch * min(1.0, max(0.0, (0.55 - a) / 0.4))

    def edges(self, a: float) -> tuple[float, float]:
        """Return the outer and inner b of the bed at share a."""
        near = np.abs(self.foot[:, 0] - a)
        b = self.foot[:, 1]
        return (
            float(b[np.where(b > 0, near, 9).argmin()] * self.half),
            float(b[np.where(b < 0, near, 9).argmin()] * self.half),
        )

    def strap(
        self, a: float, high: float, width: float, mat: Any, *, arch: float = 0.0, lean: float = 0.0
    ) -> None:
        """Lay a band over the foot from edge to edge."""
        out, inn = self.edges(a)
        middle, half = (out + inn) / 2, (out - inn) / 2
        points = []
        for t in np.linspace(0, math.pi, 11):
            c, s = math.cos(t), math.sin(t)
            share = a + lean * c
            points.append(
                (
                    share * self.length,
                    middle + half * c * (1.0 + 0.08 * s),
                    self.level(a, arch) - 0.006 + (high + 0.006) * s**0.8,
                )
            )
        ends = self.place(np.array([[0, 0, 0], [1.0, 0, -0.25]]))
        ribbon(self.kit, self.place(points), ends[1] - ends[0], width, 0.003, mat, smooth=3, name="strap")


def build_sandal(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of sandals: two-strap slides, ankle straps, wedges or sporty ones."""
    _pair(kit, rng, lambda: _sandal(kit, spec, rng))


def _sandal(kit: Any, spec: Spec, rng: random.Random) -> None:
    length = rng.uniform(0.255, 0.275)
    arch = {"wedge": rng.uniform(0.045, 0.06), "sport": 0.008}.get(spec.shape, 0.004)
    bed = _Bed(kit, length, length * 0.166, {"sport": 0.03, "wedge": 0.024}.get(spec.shape, 0.02), rng)
    main = kit.main(scale=0.025, weave=0.002)
    metal = kit.mat(rng.choice(("gold", "chrome")))
    top = bed.thick
    if spec.shape == "sport":
        bed.slab(kit.mat("rubber", "black"), 0, 0.008, 0.002, "outsole")
        bed.slab(
            kit.mat("plastic", seen(spec, "grey", "black"), roughness=0.8),
            0.006,
            top,
            0.001,
            "footbed",
            arch=arch,
        )
    elif spec.shape == "wedge":
        bed.slab(kit.mat("rubber", "brown"), 0, 0.006, 0.001, "outsole")
        bed.slab(kit.mat(rng.choice(("cork", "rattan"))), 0.004, top, 0.001, "footbed", arch=arch)
        bed.slab(kit.mat("leather", "beige"), top - 0.001, top + 0.003, -0.001, "insole", arch=arch)
    else:
        cork = spec.shape == "two-strap"
        bed.slab(kit.mat("rubber", "black" if cork else "brown"), 0, 0.006, 0.002, "outsole")
        bed.slab(
            kit.mat("cork") if cork else kit.mat("leather", "tan"), 0.005, top, 0.001, "footbed", arch=arch
        )
    if spec.shape == "two-strap":
        for a in (0.72, 0.50):
            bed.strap(a, 0.045 if a > 0.6 else 0.06, 0.036, main, arch=arch, lean=0.01)
            out, _ = bed.edges(a)
            spot = bed.place(np.array([a * length, out * 0.86, bed.level(a, arch) + 0.034]))
            with kit.place(*spot, rot=(0, 35, 0)):
                kit.box((0.004, 0.022, 0.024), metal, at=(0.002, 0, -0.012), bevel=0.002, name="buckle")
        return
    if spec.shape == "sport":
        bed.strap(0.74, 0.045, 0.03, main, arch=arch, lean=0.03)
        bed.strap(0.52, 0.062, 0.028, main, arch=arch, lean=-0.03)
    else:
        bed.strap(0.78, 0.036, 0.02, main, arch=arch, lean=0.03)
        bed.strap(0.72, 0.042, 0.02, main, arch=arch, lean=-0.03)
    high, base = 0.06, bed.level(0.0, arch)
    t = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    loop = np.stack(
        [length * 0.2 - length * 0.2 * np.cos(t), 0.036 * np.sin(t), base + high + 0.012 * np.cos(t)], 1
    )
    width = 0.02 if spec.shape == "sport" else 0.011
    ribbon(kit, bed.place(loop), (0, 0, 1), width, 0.003, main, smooth=3, closed=True, name="ankle strap")
    for b in (-1, 1):
        edge = bed.edges(0.2)[0 if b > 0 else 1]
        side = [
            (length * 0.2, edge * 0.97, bed.level(0.2, arch) - 0.008),
            (length * 0.2, edge * 1.04, base + 0.025),
            (length * 0.18, b * 0.037, base + high + 0.002),
        ]
        ends = bed.place(np.array([[0, 0, 0], [1.0, 0, 0]]))
        ribbon(kit, bed.place(side), ends[1] - ends[0], width * 1.1, 0.003, main, name="side strap")
    spot = bed.place(np.array([length * 0.26, 0.038, base + high - 0.004]))
    with kit.place(*spot):
        kit.box((0.005, 0.018, 0.02), metal, at=(0, 0, -0.01), bevel=0.002, name="buckle")


def build_flip_flop(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of flip flops: a slab and a Y-shaped strap."""
    _pair(kit, rng, lambda: _flip_flop(kit, spec, rng))


def _flip_flop(kit: Any, spec: Spec, rng: random.Random) -> None:
    length = rng.uniform(0.26, 0.28)
    arch = 0.03 if spec.shape == "wedge" else 0.004
    bed = _Bed(kit, length, length * 0.172, rng.uniform(0.016, 0.022), rng)
    main = kit.mat("rubber", spec.colour, pattern=spec.pattern, colour2=spec.colour2, scale=0.04)
    under = kit.mat("rubber", spec.colour2 if spec.shape == "classic" else spec.colour)
    bed.slab(under, 0, bed.thick * 0.45, 0.0, "outsole")
    bed.slab(main, bed.thick * 0.42, bed.thick, 0.0006, "footbed", arch=arch)
    strap = kit.accent(weave=0.002)
    post = np.array([0.80 * length, -0.012, bed.thick])
    top = post + np.array((-0.012, 0.002, 0.020))
    kit.tube(
        bed.place([post - (0, 0, 0.006), post + np.array((0, 0, 0.01)), top]),
        0.0042,
        strap,
        smooth=True,
        name="post",
    )
    wide = 0.022 if spec.shape == "wide" else 0.012
    for edge in bed.edges(0.46):
        end = np.array([0.46 * length, edge * 0.92, bed.level(0.46, arch) - 0.005])
        middle = (top + end) / 2 + (0, edge * 0.22, 0.022)
        line = [
            top + np.array((0.004, 0, 0)),
            top * 0.72 + middle * 0.28 + (0, 0, 0.006),
            middle,
            end + np.array((0.004, edge * 0.02, 0.014)),
            end,
        ]
        ends = bed.place(np.array([[0, 0, 0], [0.5, -0.9 * np.sign(edge), 0.0]]))
        ribbon(
            kit,
            bed.place(line),
            ends[1] - ends[0],
            [0.006, 0.009, wide, wide, wide * 0.9],
            0.0045,
            strap,
            name="strap",
        )
    if spec.shape == "wide":
        kit.sphere(
            0.009, kit.mat("gold"), at=tuple(bed.place(top + np.array((-0.006, 0, 0.004)))), name="charm"
        )


def build_formal_shoe(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of formal shoes: Oxfords, Derbies, brogue-toed ones, monk straps."""
    _pair(kit, rng, lambda: _formal(kit, spec, rng))


def build_loafer(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of loafers: penny strap, tassels, or a driving moccasin."""
    _pair(kit, rng, lambda: _formal(kit, spec, rng))


def _formal(kit: Any, spec: Spec, rng: random.Random) -> None:
    laced = spec.shape in ("oxford", "derby", "monk strap")
    heel = rng.uniform(0.018, 0.026) if spec.shape != "driving" else 0.006
    ground, top = _heeled_sole(heel, 0.009, 0.010)
    stations = _stretch(LOAFER, rng, rng.uniform(0.282, 0.298), 1.06 if laced else 1.0)
    if laced:
        b, _, w, zb, zf, _ = stations[-1]
        stations[-1] = (b, 0.165, w, zb, zf + 0.006, 0.95)
    shoe = Shoe(kit, stations, ground, top, dip=0.012, turn=rng.uniform(0, 4))
    main, plain = kit.main(weave=0.003), kit.main_plain(weave=0.003)
    shoe.upper(main, kit.mat("leather", seen(spec, "tan", "beige"), weave=0.002), wall=0.003, depth=0.045)
    shoe.collar(plain, 0.0022)
    thread = kit.mat("cotton", seen(spec, "black", "brown"))
    if spec.shape in ("oxford", "derby"):
        shoe.patch(
            plain,
            lambda v: (0.5 - 0.16 + 0.02 * v, 0.5 + 0.16 - 0.02 * v),
            (0.3, 2.35),
            "toe cap",
            thickness=0.003,
        )
        for side in (1, -1):
            shoe.patch(
                plain,
                lambda v, s=side: (0.5 + s * (0.022 + 0.02 * v), 0.5 + s * (0.11 + 0.07 * v)),
                (2.6, 4.97),
                "facing",
                nu=9,
                thickness=0.003,
            )
        shoe.laces(thread, 4, (3.2, 4.85), (0.045, 0.075), lift=0.005, bow=True)
        shoe.tongue(plain, 3.0, 0.012, 0.02, 0.004)
    elif spec.shape == "monk strap":
        for t, wide in ((4.35, 0.3), (3.55, 0.24)):
            shoe.patch(
                plain,
                lambda v, w=wide: (0.5 - w * 0.9, 0.5 + w),
                (t - 0.3, t + 0.3),
                "strap",
                nu=33,
                nv=7,
                thickness=0.004,
                lift=0.002,
            )
            spot = shoe.place(shoe.on(0.5 - wide * 0.55, t, 0.004))
            with kit.place(*spot):
                kit.torus(0.010, 0.002, kit.mat("chrome"), axis="x", name="buckle")
        shoe.patch(plain, lambda v: (0.34, 0.66), (0.3, 2.35), "toe cap", thickness=0.003)
    else:
        apron = [
            (0.5 + s * (0.02 + 0.15 * math.sin(q)), 2.1 + 2.4 * (1 - math.cos(q)) / 1.0)
            for s in (1,)
            for q in np.linspace(0, 1.35, 9)
        ]
        shoe.seam(plain, apron, 0.0016, "apron seam")
        shoe.seam(plain, [(1 - u, t) for u, t in apron], 0.0016, "apron seam")
        shoe.patch(
            plain,
            lambda v: (0.5 - 0.27 + 0.02 * v, 0.5 + 0.27 - 0.02 * v),
            (3.75, 4.7),
            "strap",
            nu=33,
            nv=9,
            thickness=0.003,
            lift=0.002,
        )
        if spec.shape == "penny":
            shoe.patch(
                thread, lambda v: (0.47, 0.53), (4.1, 4.35), "slot", nu=9, nv=5, thickness=0.002, lift=0.005
            )
        elif spec.shape == "tassel":
            for side in (-1, 1):
                spot = shoe.on(0.5 + side * 0.018, 4.2, 0.006)
                end = shoe.on(0.5 + side * 0.05, 3.2, 0.008)
                kit.tube(
                    shoe.place([spot, (spot + end) / 2 + (0, 0, 0.002), end]),
                    [0.003, 0.0045, 0.006],
                    plain,
                    name="tassel",
                )
        else:
            bit = kit.mat("gold")
            line = [shoe.on(u, 4.2, 0.006) for u in (0.42, 0.46, 0.5, 0.54, 0.58)]
            kit.tube(shoe.place(line), 0.0026, bit, smooth=True, name="bit")
            for u in (0.42, 0.58):
                with kit.place(*shoe.place(shoe.on(u, 4.2, 0.005))):
                    kit.torus(0.008, 0.002, bit, axis="x", name="ring")
    sole = kit.mat(
        "leather", seen(spec, "black", "brown") if spec.colour != "brown" else "black", weave=0.002
    )
    _welt(shoe, sole, None)
    shoe.heel(sole, 0.26, heel, 0.03)


def build_socks(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of socks laid flat: ankle, crew or knee-high, one half behind the other."""
    high = {"ankle": 0.10, "crew": rng.uniform(0.20, 0.24), "knee": rng.uniform(0.36, 0.42)}[spec.shape]
    wide = 0.085
    leg = [
        (-wide / 2, high),
        (wide / 2, high),
        (wide / 2 * 0.96, 0.02),
        (wide * 0.62, -0.035),
        (0.13, -0.085),
        (0.155, -0.13),
        (0.11, -0.155),
        (0.05, -0.135),
        (-0.02, -0.105),
        (-0.052, -0.06),
        (-wide / 2, 0.0),
    ]
    from sample_store.mesh import catmull

    line = np.vstack([np.array(leg[:2]), catmull(leg[2:], 5)])
    main = kit.main(scale=rng.uniform(0.022, 0.034), weave=0.003)
    trim = kit.mat(
        "knit", spec.colour2 if spec.pattern != "plain" else seen(spec, "white", "grey"), weave=0.003
    )
    second = rng.random() < 0.5
    for i, (x, y, tilt) in enumerate(
        ((0.0, 0.0, rng.uniform(-3, 3)), (rng.uniform(0.08, 0.11), 0.022, rng.uniform(4, 9)))
    ):
        with kit.place(x, y, 0, rot=(0, tilt, 0)):
            puff(kit, line, 0.026, main, edge=0.02, wrinkle=0.0015, phase=i * 2.0, name="sock")
            cuff = rounded(
                [
                    (-wide / 2 - 0.001, high + 0.002),
                    (wide / 2 + 0.001, high + 0.002),
                    (wide / 2 + 0.001, high - 0.035),
                    (-wide / 2 - 0.001, high - 0.035),
                ],
                0.004,
            )
            puff(
                kit,
                cuff,
                0.029,
                trim if second else kit.main_plain(weave=0.003),
                edge=0.012,
                wrinkle=0.0004,
                name="cuff",
            )
            if second:
                toe = catmull(
                    [(0.119, -0.084), (0.135, -0.088), (0.157, -0.13), (0.11, -0.1565), (0.082, -0.146)], 5
                )
                puff(kit, toe, 0.031, trim, edge=0.016, wrinkle=0.0005, name="toe")


HIGH_HEEL = ProductType(
    name="high heel",
    category="Shoes",
    mount="floor",
    price=(39, 219),
    shapes={
        "pump": "elegant",
        "strappy": "party",
        "block": "classic",
        "ankle strap": "chic",
        "platform": "bold",
    },
    finishes=(
        Finish("leather", DRESSY, weight=2),
        Finish("suede", DRESSY, weight=2),
        Finish("patent leather", DRESSY),
        Finish("satin", DRESSY, shapes=("pump", "strappy", "ankle strap")),
    ),
    build=build_high_heel,
    title={
        "pump": "{finish} stiletto high heels",
        "strappy": "Strappy {finish} high heel sandals",
        "block": "{finish} block heels",
        "ankle strap": "{finish} ankle-strap high heels",
        "platform": "{finish} platform heels",
    },
    azimuths=((58, 76), (-44, -28), (112, 128)),
    elevations=((8, 14), (14, 20), (14, 20)),
)
BALLET_FLAT = ProductType(
    name="ballet flat",
    category="Shoes",
    mount="floor",
    price=(25, 129),
    shapes={"bow": "feminine", "mary jane": "vintage", "ring": "classic"},
    finishes=(
        Finish("leather", DRESSY, weight=2),
        Finish("suede", DRESSY),
        Finish("satin", DRESSY),
        Finish("canvas", DRESSY, ("plain", "stripes", "dots", "checks")),
    ),
    build=build_ballet_flat,
    title={
        "bow": "{finish} ballet flats with bow",
        "mary jane": "{finish} Mary Jane flats",
        "ring": "{finish} ballerina flats",
    },
    azimuths=SIDE,
    elevations=((18, 26), (22, 28), (20, 26)),
)
SANDAL = ProductType(
    name="sandal",
    category="Shoes",
    mount="floor",
    price=(25, 129),
    shapes={"two-strap": "casual", "ankle strap": "feminine", "wedge": "summer", "sport": "outdoor"},
    finishes=(
        Finish("leather", COLOURS, weight=3),
        Finish("suede", LEATHERS, shapes=("two-strap", "wedge", "ankle strap")),
        Finish("nylon", COLOURS, weight=2, shapes=("sport",)),
    ),
    build=build_sandal,
    title={
        "two-strap": "{finish} two-strap sandals with cork footbed",
        "ankle strap": "{finish} flat sandals with ankle strap",
        "wedge": "{finish} wedge sandals",
        "sport": "{finish} trekking sandals",
    },
    azimuths=SIDE,
    elevations=((16, 24), (22, 28), (18, 24)),
)
FLIP_FLOP = ProductType(
    name="flip flop",
    category="Shoes",
    mount="floor",
    price=(9, 45),
    shapes={"classic": "beach", "wide": "summer", "wedge": "casual"},
    finishes=(Finish("rubber", COLOURS, ("plain", "stripes", "dots", "checks")),),
    accents=(
        "black rubber",
        "white rubber",
        "red rubber",
        "blue rubber",
        "yellow rubber",
        "brown leather",
        "pink rubber",
        "navy fabric",
    ),
    build=build_flip_flop,
    title={
        "classic": "{finish} flip flops",
        "wide": "{finish} thong slippers",
        "wedge": "{finish} platform flip flops",
    },
    azimuths=((40, 60), (-36, -20), (112, 128)),
    elevations=((28, 38), (34, 44), (24, 32)),
)
FORMAL_SHOE = ProductType(
    name="formal shoe",
    category="Shoes",
    mount="floor",
    price=(49, 259),
    shapes={"oxford": "business", "derby": "classic", "monk strap": "elegant"},
    finishes=(Finish("leather", FORMAL, weight=3), Finish("suede", FORMAL), Finish("patent leather", FORMAL)),
    build=build_formal_shoe,
    title={
        "oxford": "{finish} Oxford formal shoes",
        "derby": "{finish} Derby formal shoes",
        "monk strap": "{finish} monk-strap formal shoes",
    },
    azimuths=SIDE,
    elevations=SIDE_UP,
)
LOAFER_TYPE = ProductType(
    name="loafer",
    category="Shoes",
    mount="floor",
    price=(39, 199),
    shapes={"penny": "preppy", "tassel": "classic", "driving": "casual"},
    finishes=(Finish("leather", LEATHERS, weight=2), Finish("suede", LEATHERS, weight=2)),
    build=build_loafer,
    title={
        "penny": "{finish} penny loafers",
        "tassel": "{finish} tassel loafers",
        "driving": "{finish} driving loafers",
    },
    azimuths=SIDE,
    elevations=((16, 22), (20, 26), (18, 24)),
)
SOCKS = ProductType(
    name="socks",
    category="Clothing",
    mount="wall",
    price=(4, 25),
    shapes={"ankle": "sporty", "crew": "casual", "knee": "preppy"},
    finishes=(
        Finish("cotton", COLOURS, ("plain", "bands", "bands", "dots", "checks"), weight=3),
        Finish("wool", COLOURS, ("plain", "bands")),
    ),
    build=build_socks,
    title={
        "ankle": "{finish} ankle socks",
        "crew": "{finish} crew socks",
        "knee": "{finish} knee-high socks",
    },
    azimuths=FRONT,
    elevations=FRONT_UP,
)

TYPES = (HIGH_HEEL, BALLET_FLAT, SANDAL, FLIP_FLOP, FORMAL_SHOE, LOAFER_TYPE, SOCKS)
