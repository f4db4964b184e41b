"""Declare shoes: sneakers and boots. It knows no camera and no light.

An upper is a stack of stations: closed outlines that climb from the sole's footprint to the collar. Everything sewn
on it (toe cap, heel counter, laces) is placed by (u, t): u runs once round from the heel (0) over the toe (0.5), t
counts stations from the sole up. Inside this module `a` is the distance from heel to toe, `b` across, z up.
"""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sample_store.spec import Finish, ProductType, Spec

# A right foot's outline, heel to toe along the outer and back along the inner: share of length and half width.
FOOTPRINT = (
    (0.0, 0.0), (0.02, 0.36), (0.09, 0.61), (0.22, 0.66), (0.40, 0.72), (0.60, 0.94), (0.74, 1.0), (0.87, 0.88),
    (0.955, 0.56), (1.0, 0.06), (0.975, -0.40), (0.90, -0.78), (0.76, -0.95), (0.60, -0.84), (0.42, -0.60),
    (0.22, -0.62), (0.09, -0.60), (0.02, -0.36),
)  # fmt: skip
POINTS = 96  # points round an outline
STEPS = 7  # rings a station

Station = tuple[float, float, float, float, float, float]
"""Where its back and front lie (a), its half width, the height of its back and front, and how oval it is."""


def footprint() -> Any:
    """Return a sole's (POINTS, 2) outline, a in 0..1, b in -1..1: first point the heel, middle one the toe."""
    from sample_store.mesh import catmull

    heel_to_toe = catmull(FOOTPRINT[:10], 12)
    back = catmull((*FOOTPRINT[9:], FOOTPRINT[0]), 12)
    half = POINTS // 2
    return np.concatenate([_spread(heel_to_toe, half + 1)[:-1], _spread(back, half + 1)[:-1]])


def _spread(line: Any, count: int) -> Any:
    """Return `count` points evenly spaced along a line."""
    metres = np.array(line) * (0.285, 0.048)
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(metres, axis=0), axis=1))]
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, line[:, 0]), np.interp(at, along, line[:, 1])], axis=1)


class Shoe:
    """Make one shoe's parts from its stations: upper, sole and what is sewn on."""

    def __init__(
        self, kit: Any, stations: Sequence[Station], ground: Callable[[Any], Any], top: Callable[[Any], Any],
        *, dip: float = 0.0, widest: float = 0.0042, turn: float = 0.0,
    ) -> None:  # fmt: skip
        """Lay the stations on a sole whose underside and top are ground(a) and top(a), a being the share of length.

        `widest` is how far the sole stands out from the footprint: with `turn` (degrees, toe out) it says how far
        from x = 0 the shoe must stand to just touch its mirrored twin there.
        """
        from sample_store.mesh import catmull

        self.kit, self.ground, self.top = kit, ground, top
        self.length, self.half = stations[0][1], stations[0][2]
        self.foot = footprint()
        angle = np.linspace(0, 2 * math.pi, POINTS, endpoint=False)
        oval = np.stack([0.5 - 0.5 * np.cos(angle), np.sin(angle)], axis=1)
        oval[:, 1] = np.sign(oval[:, 1]) * np.abs(oval[:, 1]) ** 0.9
        rings = []
        for back, front, half, back_z, front_z, roundness in stations:
            outline = (1 - roundness) * self.foot + roundness * oval
            a = back + (front - back) * outline[:, 0]
            share = outline[:, 0]
            z = back_z + (front_z - back_z) * share - dip * roundness**2 * 4 * share * (1 - share)
            rings.append(np.stack([a, half * outline[:, 1], z + top(np.clip(a / self.length, 0, 1))], axis=1))
        self.rings = catmull(np.array(rings).reshape(len(rings), -1), STEPS).reshape(-1, POINTS, 3)
        self.last = len(stations) - 1.0
        around = np.roll(self.rings, -1, 1) - np.roll(self.rings, 1, 1)
        normal = np.cross(np.gradient(self.rings, axis=0), around)
        normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-12)
        outward = self.rings - self.rings.mean(1, keepdims=True)
        self.normals = normal * np.where((normal * outward).sum((1, 2), keepdims=True) < 0, -1, 1)
        self.turn, self.shift = math.radians(turn), 0.0
        edge = np.column_stack([self.outline(widest), np.zeros(POINTS)])
        self.shift = -0.001 - float(min(self.place(edge)[:, 0].min(), self.place(self.rings)[..., 0].min()))

    def place(self, points: Any) -> Any:
        """Turn (a, b, z) into the kit's x, y, z: the toe towards -y, the shoe on the +x side of its twin."""
        p = np.asarray(points, float)
        x, y = p[..., 1], self.length / 2 - p[..., 0]
        c, s = math.cos(self.turn), math.sin(self.turn)
        return np.stack([c * x - s * y + self.shift, s * x + c * y, p[..., 2]], axis=-1)

    def on(self, u: float, t: float, lift: float = 0.0) -> Any:
        """Return the point (a, b, z) of the upper at (u, t), `lift` metres off its surface."""
        row = min(max(t * STEPS, 0.0), len(self.rings) - 1.001)
        column = (u % 1.0) * POINTS
        i, j = int(row), int(column)
        f, g = row - i, column - j
        out = []
        for grid in (self.rings, self.normals):
            near = grid[i, j % POINTS] * (1 - g) + grid[i, (j + 1) % POINTS] * g
            far = grid[i + 1, j % POINTS] * (1 - g) + grid[i + 1, (j + 1) % POINTS] * g
            out.append(near * (1 - f) + far * f)
        return out[0] + out[1] * lift

    # ---- parts -----------------------------------------------------------------------------------------------
    def upper(self, mat: Any, lining: Any, *, wall: float = 0.004, depth: float = 0.06) -> None:
        """Make the upper with its rim, and the lining that goes down into it."""
        rim = self.rings[-1]
        inward = rim.mean(0) - rim
        inward[:, 2] = 0
        inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)
        up = np.array([0, 0, 1.0])
        fold = [
            rim + inward * wall * x + up * wall * z
            for x, z in ((0.15, 0.35), (0.5, 0.5), (0.85, 0.35), (1.0, 0.0))
        ]
        inner = [rim + inward * (wall + 0.1 * d) - up * d for d in (0.006, depth * 0.5, depth)]
        self.kit.loft(self.place([*self.rings, *fold, *inner]), mat, sharp_deg=60, name="upper")
        lined = [ring + inward * 0.0012 for ring in (fold[-1] - up * 0.002, *inner[:2])]
        lined.append(inner[2] + inward * 0.0012 + up * 0.002)
        centre = lined[-1].mean(0)
        lined.append(centre + (lined[-1] - centre) * 0.02)
        self.kit.loft(self.place(lined), lining, caps=False, sharp_deg=60, name="lining")

    def collar(self, mat: Any, radius: float, name: str = "collar") -> None:
        """Bind the rim with a padded edge."""
        inward = self.rings[-1].mean(0) - self.rings[-1]
        inward[:, 2] = 0
        inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-9)
        ring = self.rings[-1] + inward * radius * 0.5
        self.kit.tube(self.place(ring), radius, mat, closed=True, sides=12, name=name)

    def patch(
        self, mat: Any, u: Callable[[float], tuple[float, float]], t: tuple[float, float], name: str, *,
        thickness: float = 0.002, lift: float = 0.0006, nu: int = 17, nv: int = 17,
    ) -> None:  # fmt: skip
        """Sew a piece on: u(v) gives its two edges round the shoe for v in 0..1 from station t[0] to t[1]."""

        def surface(across: float, v: float) -> tuple[float, ...]:
            left, right = u(v)
            point = self.on(left + (right - left) * across, t[0] + (t[1] - t[0]) * v, lift)
            return tuple(self.place(point))

        self.kit.sheet(surface, mat, thickness=thickness, nu=nu, nv=nv, name=name)

    def seam(
        self, mat: Any, points: Sequence[tuple[float, float]], radius: float, name: str, lift: float = 0.0004
    ) -> None:
        """Lay a cord along (u, t) points."""
        fine = []
        for (u0, t0), (u1, t1) in itertools.pairwise(points):
            fine += [
                self.on(u0 + (u1 - u0) * s, t0 + (t1 - t0) * s, lift)
                for s in np.linspace(0, 1, 12, endpoint=False)
            ]
        fine.append(self.on(*points[-1], lift))
        self.kit.tube(self.place(fine), radius, mat, sides=8, name=name)

    def outline(self, offset: float, wave: float = 0.0, waves: int = 0) -> Any:
        """Return the footprint in metres (POINTS, 2), moved outward by offset + wave * cos(waves turns)."""
        p = self.foot * (self.length, self.half)
        along = np.roll(p, -1, 0) - np.roll(p, 1, 0)
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        normal *= np.sign((normal * (p - p.mean(0))).sum())
        turn = np.linspace(0, 2 * math.pi, POINTS, endpoint=False)
        return p + normal * (offset + wave * np.cos(waves * turn))[:, None]

    def layer(
        self, mat: Any, profile: Sequence[tuple[float, float]], name: str, *,
        rise: float = 0.0, wave: float = 0.0, waves: int = 0,
    ) -> None:  # fmt: skip
        """Make a layer of the sole: (outward offset, share of the height from ground to top) from below to above.

        `rise` is added to the height at share 1 (foxing that climbs the upper); `wave` ribs the sides.
        """
        rings = []
        for i, (offset, share) in enumerate(profile):
            inner = 0 < i < len(profile) - 1
            p = self.outline(offset, wave if inner else 0.0, waves)
            a = np.clip(p[:, 0] / self.length, 0, 1)
            z = self.ground(a) + (self.top(a) - self.ground(a)) * share + rise * share
            rings.append(np.column_stack([p, z]))
        self.kit.loft(self.place(rings), mat, smooth=3, sharp_deg=55, name=name)

    def heel(self, mat: Any, end: float, height: float, taper: float, name: str = "heel") -> None:
        """Make a heel block under the back `end` (share of length) of the sole, down to the floor."""
        line = self.outline(-0.0005)
        keep = line[line[:, 0] < end * self.length]
        keep = keep[np.argsort(np.arctan2(keep[:, 1], keep[:, 0] - end * self.length * 0.98) % (2 * math.pi))]
        rings = []
        for share in (0.0, 0.06, 0.5, 1.0):
            shrink = 1 - taper * (1 - share) - (0.03 if share == 0 else 0)
            centre = np.array([end * self.length * 0.45, 0])
            p = centre + (keep - centre) * shrink
            rings.append(np.column_stack([p, np.full(len(p), share * height)]))
        rings[-1][:, 2] = self.ground(np.clip(rings[-1][:, 0] / self.length, 0, 1)) + 0.003
        self.kit.loft(self.place(rings), mat, sharp_deg=50, name=name)

    def tongue(self, mat: Any, start: float, beyond: float, half: float, thickness: float = 0.006) -> None:
        """Make a tongue under the laces from station `start` to `beyond` metres above the collar."""
        line = [self.on(0.5, t, 0.001) for t in np.linspace(start, self.last - 0.02, 14)]
        way = line[-1] - line[-3]
        way = way / np.linalg.norm(way) + np.array([0.10, 0, 0.25])
        way /= np.linalg.norm(way)
        foot = line[-1]
        line += [
            foot + way * beyond * s + np.array([0.25 * beyond * s * s, 0, 0]) for s in (0.25, 0.5, 0.75, 1.0)
        ]
        line = np.array(line)
        along = np.linspace(0, 1, len(line))

        def surface(across: float, v: float) -> tuple[float, ...]:
            p = np.array([np.interp(v, along, line[:, i]) for i in range(3)])
            s = 2 * across - 1
            width = half * (0.62 + 0.38 * v) * (1 - 0.35 * max(0.0, (v - 0.9) / 0.1) ** 2)
            return tuple(
                self.place(
                    p + np.array([-0.25 * half * s * s, s * width, -0.45 * half * s * s * (1 - 0.4 * v)])
                )
            )

        self.kit.sheet(surface, mat, thickness=thickness, nu=15, nv=33, name="tongue")

    def laces(
        self, mat: Any, rows: int, t: tuple[float, float], spread: tuple[float, float], *,
        eyelet: Any = None, bow: bool = True, lift: float = 0.004,
    ) -> None:  # fmt: skip
        """Lace the shoe: `rows` bars and crosses between stations t, `spread` half of each in u."""
        flat = [
            (0.0034 * math.cos(x), 0.0016 * math.sin(x))
            for x in np.linspace(0, 2 * math.pi, 12, endpoint=False)
        ]
        holes = []
        for i in range(rows):
            s = i / (rows - 1)
            at, wide = t[0] + (t[1] - t[0]) * s, spread[0] + (spread[1] - spread[0]) * s
            holes.append((at, wide))
        for i, (at, wide) in enumerate(holes):
            nodes = [
                (0.5 - wide, at),
                (0.5 - wide * 0.5, at),
                (0.5, at),
                (0.5 + wide * 0.5, at),
                (0.5 + wide, at),
            ]
            self._lace(mat, nodes, flat, lift, f"lace {i}")
            if i + 1 < rows:
                above, wide2 = holes[i + 1]
                for side in (-1, 1):
                    ends = [(0.5 + side * wide, at), (0.5, (at + above) / 2), (0.5 - side * wide2, above)]
                    self._lace(mat, ends, flat, lift * (1.0 if side < 0 else 1.35), f"cross lace {i}")
            if eyelet is not None:
                for side in (-1, 1):
                    ends = [tuple(self.place(self.on(0.5 + side * wide, at, lift))) for lift in (0.0, 0.0036)]
                    self.kit.cylinder(*ends, 0.0045, eyelet, segments=14, name="eyelet")
        if bow:
            self._bow(mat, holes[-1][0], lift)

    def _lace(
        self, mat: Any, nodes: Sequence[tuple[float, float]], flat: Any, lift: float, name: str
    ) -> None:
        high = len(nodes) // 2
        points = [self.on(u, t, lift * (0.45 if i in (0, len(nodes) - 1) else 1.0) + (0.001 if i == high else 0))
                  for i, (u, t) in enumerate(nodes)]  # fmt: skip
        self.kit.tube(self.place(points), 1.0, mat, smooth=True, section=flat, name=name)

    def _bow(self, mat: Any, t: float, lift: float) -> None:
        """Tie a bow: a knot, two hanging loops and two ends."""
        knot = self.on(0.5, t, lift + 0.003)
        self.kit.sphere((0.0065, 0.006, 0.0055), mat, at=tuple(self.place(knot)), name="knot")
        for side in (-1.0, 1.0):
            loop = [(0, 0, 0), (0.006, 0.014, 0.010), (0.008, 0.032, 0.004), (0.014, 0.040, -0.012),
                    (0.020, 0.030, -0.012), (0.012, 0.012, 0.002), (0, 0, 0)]  # fmt: skip
            end = [(0, 0, 0), (0.012, 0.010, 0.006), (0.024, 0.024, -0.008), (0.032, 0.030, -0.022)]
            for name, line in (("bow", loop), ("lace end", end)):
                points = [knot + np.array([a, side * b, z]) for a, b, z in line]
                self.kit.tube(self.place(points), 0.0019, mat, smooth=True, sides=10, name=name)

    def tab(self, mat: Any, u: float, height: float, width: float, name: str = "pull tab") -> None:
        """Sew a pull loop to the rim at u: a flat strap that rises `height` over it and goes down inside."""
        foot, lower = self.on(u, self.last - 0.001, 0.0015), self.on(u, self.last - 0.45, 0.0015)
        centre = self.rings[-1].mean(0)
        inward = centre - foot
        inward[2] = 0
        inward /= np.linalg.norm(inward)
        up = np.array([0, 0, 1.0])
        line = [lower, foot, foot + up * height * 0.8 + inward * 0.002, foot + up * height + inward * 0.006,
                foot + up * height * 0.8 + inward * 0.011, foot + inward * 0.009 - up * 0.012]  # fmt: skip
        section = [
            (x, y)
            for x, y in ((-width / 2, -0.001), (width / 2, -0.001), (width / 2, 0.001), (-width / 2, 0.001))
        ]
        self.kit.tube(self.place(line), 1.0, mat, smooth=True, section=section, name=name)


def _pair(kit: Any, rng: random.Random, make: Callable[[], None]) -> None:
    """Make a right shoe and its mirrored twin beside it, both cut from one pattern (the same chances)."""
    state = rng.getstate()
    make()
    rng.setstate(state)
    with kit.place(mirror="x"):
        make()


def _flat_sole(heel: float, ball: float, spring: float) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return ground(a) and top(a) of a sole: thick heel, thinner ball, the toe springing off the floor."""

    def ground(a: Any) -> Any:
        return (
            spring * np.clip((a - 0.72) / 0.28, 0, 1) ** 2
            + 0.25 * spring * np.clip((0.08 - a) / 0.08, 0, 1) ** 2
        )

    def top(a: Any) -> Any:
        slope = np.clip((a - 0.15) / 0.55, 0, 1)
        slope = slope * slope * (3 - 2 * slope)
        return heel + (ball - heel) * slope + 0.9 * spring * np.clip((a - 0.72) / 0.28, 0, 1) ** 2

    return ground, top


def _heeled_sole(
    heel: float, plate: float, spring: float
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return ground(a) and top(a) of a thin sole that stands on a heel block of the given height."""

    def ground(a: Any) -> Any:
        fall = np.clip((a - 0.22) / 0.36, 0, 1)
        fall = fall * fall * (3 - 2 * fall)
        return heel * (1 - fall) + spring * np.clip((a - 0.75) / 0.25, 0, 1) ** 2

    return ground, lambda a: ground(a) + plate


LOW: tuple[Station, ...] = (
    (0.000, 0.290, 0.0430, 0.000, 0.000, 0.00),
    (-0.003, 0.291, 0.0445, 0.020, 0.014, 0.00),
    (-0.003, 0.282, 0.0430, 0.040, 0.030, 0.04),
    (0.001, 0.254, 0.0405, 0.055, 0.046, 0.12),
    (0.005, 0.212, 0.0385, 0.066, 0.062, 0.36),
    (0.006, 0.172, 0.0370, 0.075, 0.083, 0.68),
    (0.003, 0.146, 0.0350, 0.088, 0.101, 1.00),
)
HIGH: tuple[Station, ...] = (
    *LOW[:5],
    (0.006, 0.168, 0.039, 0.080, 0.090, 0.70),
    (0.006, 0.140, 0.0375, 0.100, 0.116, 0.95),
    (0.003, 0.131, 0.0385, 0.125, 0.146, 1.00),
)


def _stretch(
    stations: Sequence[Station], rng: random.Random, length: float, height: float = 1.0
) -> list[Station]:
    """Return the stations for another length and height, the width varied a little."""
    wide = rng.uniform(0.97, 1.04)
    k = length / stations[0][1]
    return [(b * k, f * k, w * wide, zb * height, zf * height, m) for b, f, w, zb, zf, m in stations]


def build_sneaker(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of sneakers 28 cm long, the toes towards -y."""
    make = {"runner": _runner, "high-top": _high_top, "slip-on": _slip_on, "chunky": _chunky}[spec.shape]
    _pair(kit, rng, lambda: make(kit, spec, rng))


def _runner(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A low running shoe: mesh, overlays, thick white midsole, coloured outsole."""
    ground, top = _flat_sole(rng.uniform(0.032, 0.040), rng.uniform(0.020, 0.025), 0.016)
    shoe = Shoe(
        kit,
        _stretch(LOW, rng, rng.uniform(0.278, 0.295), rng.uniform(0.97, 1.06)),
        ground,
        top,
        dip=0.016,
        widest=0.006,
        turn=rng.uniform(0, 4),
    )
    second = kit.mat("suede", spec.colour2)
    _low_upper(kit, spec, shoe, second, kit.mat("suede", spec.colour))
    lean, bars = rng.uniform(0.05, 0.09), rng.choice((1, 2))
    for side in (1, -1):
        for k in range(bars):
            shoe.patch(
                second,
                lambda v, s=side, k=k: (
                    s * (0.315 + 0.035 * k + lean * (1 - v)), s * (0.337 + 0.035 * k + lean * (1 - v))
                ),
                (0.7, 5.0), "side stripe", nu=5, lift=0.0012,
            )  # fmt: skip
    white = kit.mat("plastic", "white", roughness=0.6)
    tread = kit.mat(
        "rubber", "brown" if spec.colour == "white" else spec.colour if spec.colour != "grey" else "black"
    )
    shoe.layer(
        white,
        [(-0.001, 0.14), (0.004, 0.22), (0.006, 0.5), (0.004, 0.85), (0.001, 1.0), (-0.008, 1.02)],
        "midsole",
        rise=0.007,
    )
    shoe.layer(tread, [(-0.006, 0.0), (-0.001, 0.03), (0.0035, 0.2), (-0.004, 0.22)], "outsole")


def _low_upper(kit: Any, spec: Spec, shoe: Shoe, second: Any, counter: Any) -> None:
    """The parts that runner and chunky sneaker share: upper, toe and heel overlays, eyestay, tongue, laces."""
    tonal = kit.mat("suede", spec.colour)
    main = kit.main(scale=0.02, weave=0.0025)
    lining = kit.mat("fabric", "grey" if spec.colour == "black" else "black", weave=0.002)
    shoe.upper(main, lining, wall=0.006)
    shoe.collar(kit.main_plain(weave=0.0025), 0.0052)
    shoe.patch(
        tonal,
        lambda v: (0.5 - 0.155 * (1 - 0.35 * v), 0.5 + 0.155 * (1 - 0.35 * v)),
        (0.5, 2.5),
        "toe overlay",
    )
    shoe.patch(counter, lambda v: (-0.16 + 0.1 * v**2, 0.16 - 0.1 * v**2), (0.5, 5.2), "heel counter")
    for side in (1, -1):
        shoe.patch(
            second,
            lambda v, s=side: (0.5 + s * (0.034 + 0.03 * v), 0.5 + s * (0.085 + 0.05 * v)),
            (2.9, 5.96),
            "eyestay",
            nu=9,
        )
    shoe.tongue(kit.main_plain(weave=0.0025), 3.0, 0.034, 0.024)
    shoe.laces(
        kit.mat("cotton", "white" if spec.colour != "white" else spec.colour2, weave=0.0015),
        5,
        (3.2, 5.8),
        (0.052, 0.085),
        lift=0.0062,
    )
    shoe.tab(second, 0.0, 0.014, 0.014)


def _chunky(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A heavy-soled sneaker: a ribbed sole of two layers under a layered upper."""
    ground, top = _flat_sole(rng.uniform(0.054, 0.062), rng.uniform(0.038, 0.046), 0.018)
    shoe = Shoe(
        kit,
        _stretch(LOW, rng, rng.uniform(0.28, 0.29), 1.06),
        ground,
        top,
        dip=0.014,
        widest=0.013,
        turn=rng.uniform(0, 4),
    )
    second = kit.mat("leather", spec.colour2 if spec.colour2 != spec.colour else "grey", weave=0.002)
    _low_upper(kit, spec, shoe, second, second)
    third = kit.mat("suede", "grey" if spec.colour != "grey" else "black")
    for side in (1, -1):
        shoe.patch(
            third,
            lambda v, s=side: (s * (0.21 + 0.05 * v), s * (0.40 - 0.06 * v)),
            (0.6, 2.2),
            "side overlay",
            nu=17,
        )
        shoe.patch(
            second,
            lambda v, s=side: (s * (0.27 + 0.05 * v), s * (0.315 + 0.05 * v)),
            (2.0, 5.2),
            "side stripe",
            nu=5,
        )
    white = kit.mat("plastic", "white" if rng.random() < 0.7 else "beige", roughness=0.6)
    tread = kit.mat("rubber", spec.colour if spec.colour not in ("white", "grey") else "black")
    shoe.layer(
        white,
        [(0.004, 0.42), (0.009, 0.5), (0.008, 0.72), (0.005, 0.92), (0.001, 1.0), (-0.008, 1.02)],
        "midsole",
        rise=0.008,
    )
    shoe.layer(
        white,
        [(0.000, 0.1), (0.010, 0.16), (0.012, 0.3), (0.009, 0.42), (0.0, 0.5)],
        "rib layer",
        wave=0.003,
        waves=rng.choice((12, 16)),
    )
    shoe.layer(
        tread, [(-0.004, 0.0), (0.004, 0.03), (0.008, 0.12), (0.004, 0.16)], "outsole", wave=0.003, waves=24
    )


def _high_top(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A basketball high-top: canvas to the ankle, rubber toe cap, white foxing with a stripe, laces to the top."""
    ground, top = _flat_sole(0.018, 0.016, 0.008)
    shoe = Shoe(
        kit,
        _stretch(HIGH, rng, rng.uniform(0.275, 0.29), rng.uniform(1.0, 1.1)),
        ground,
        top,
        dip=0.008,
        turn=rng.uniform(0, 4),
    )
    white = kit.mat("gloss", "white")
    shoe.upper(
        kit.main(scale=0.03, weave=0.0025), kit.mat("fabric", "beige", weave=0.002), wall=0.004, depth=0.09
    )
    shoe.collar(kit.main_plain(weave=0.0025), 0.003)
    cap = rng.uniform(0.15, 0.17)
    if spec.material == "canvas":
        shoe.patch(
            white,
            lambda v: (0.5 - cap * (1 - 0.5 * v**2), 0.5 + cap * (1 - 0.5 * v**2)),
            (0.3, 2.55),
            "toe cap",
            thickness=0.003,
        )
    else:
        shoe.patch(kit.main_plain(weave=0.002), lambda v: (0.5 - cap, 0.5 + cap), (0.3, 2.4), "toe cap")
    strip = white if spec.colour != "white" else kit.mat("canvas", spec.colour2)
    shoe.patch(strip, lambda v: (-0.022, 0.022), (0.4, 6.9), "heel strip", nu=7)
    for side in (1, -1):
        shoe.patch(
            kit.main_plain(weave=0.0025),
            lambda v, s=side: (0.5 + s * (0.03 + 0.02 * v), 0.5 + s * (0.075 + 0.06 * v)),
            (2.8, 6.95),
            "eyestay",
            nu=9,
        )
    shoe.tongue(kit.main_plain(weave=0.0025), 2.9, 0.028, 0.022, 0.004)
    shoe.laces(
        kit.mat("cotton", "white" if spec.colour != "white" else spec.colour2, weave=0.0015),
        7,
        (3.0, 6.75),
        (0.05, 0.088),
        eyelet=kit.mat("chrome"),
        lift=0.0055,
    )
    _foxing(kit, spec, shoe, white)


def _foxing(kit: Any, spec: Spec, shoe: Shoe, white: Any) -> None:
    """A vulcanised rubber sole: white side, a coloured line, a brown tread."""
    shoe.layer(
        white,
        [(-0.001, 0.1), (0.003, 0.16), (0.0042, 0.5), (0.0042, 0.9), (0.003, 1.0), (-0.006, 1.02)],
        "foxing",
        rise=0.012,
    )
    line = kit.mat("rubber", spec.colour if spec.colour not in ("white", "beige") else spec.colour2)
    p = shoe.outline(0.0046)
    a = np.clip(p[:, 0] / shoe.length, 0, 1)
    z = _between(shoe, a, 0.78) + 0.012 * 0.78
    shoe.kit.tube(shoe.place(np.column_stack([p, z])), 0.0016, line, closed=True, sides=8, name="foxing line")
    shoe.layer(
        kit.mat("rubber", "brown"), [(-0.005, 0.0), (0.002, 0.03), (0.003, 0.14), (-0.004, 0.18)], "tread"
    )


def _between(shoe: Shoe, a: Any, share: float) -> Any:
    """Return the height at a share of the way from the sole's underside to its top."""
    return shoe.ground(a) + (shoe.top(a) - shoe.ground(a)) * share


def _slip_on(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A low canvas slip-on with elastic side pieces and a flat rubber sole."""
    ground, top = _flat_sole(0.020, 0.018, 0.006)
    stations = _stretch(LOW, rng, rng.uniform(0.272, 0.285), rng.uniform(0.86, 0.94))
    stations[-1] = (stations[-1][0], stations[-1][1] * 1.07, *stations[-1][2:])
    stations[-2] = (stations[-2][0], stations[-2][1] * 1.05, *stations[-2][2:])
    shoe = Shoe(kit, stations, ground, top, dip=0.012, turn=rng.uniform(0, 4))
    shoe.upper(
        kit.main(scale=rng.uniform(0.022, 0.03), weave=0.0025),
        kit.mat("fabric", "beige", weave=0.002),
        wall=0.004,
        depth=0.05,
    )
    dark = "black" if spec.colour != "black" or spec.pattern != "plain" else "grey"
    shoe.collar(kit.mat("fabric", dark, weave=0.002), 0.0036)
    gore = kit.mat("knit", dark, weave=0.003)
    for side in (1, -1):
        shoe.patch(
            gore,
            lambda v, s=side: (0.5 + s * (0.115 + 0.03 * v), 0.5 + s * (0.16 + 0.14 * v)),
            (3.6, 5.97),
            "elastic",
            nu=9,
        )
    white = kit.mat("gloss", "white")
    shoe.patch(
        kit.main_plain(weave=0.0025),
        lambda v: (-0.05 + 0.02 * v, 0.05 - 0.02 * v),
        (0.4, 5.9),
        "heel patch",
        nu=9,
    )
    _foxing(kit, spec, shoe, white)


ANKLE: tuple[Station, ...] = (
    (0.000, 0.292, 0.0425, 0.000, 0.000, 0.00),
    (-0.003, 0.293, 0.0435, 0.020, 0.014, 0.00),
    (-0.003, 0.283, 0.0420, 0.042, 0.032, 0.04),
    (0.000, 0.252, 0.0400, 0.056, 0.049, 0.13),
    (0.005, 0.206, 0.0380, 0.070, 0.070, 0.36),
    (0.010, 0.158, 0.0370, 0.088, 0.094, 0.66),
    (0.014, 0.126, 0.0355, 0.116, 0.122, 0.92),
    (0.006, 0.120, 0.0375, 0.164, 0.168, 1.00),
)
LACED: tuple[Station, ...] = (
    *ANKLE[:7],
    (0.009, 0.119, 0.0375, 0.150, 0.158, 1.00),
    (0.002, 0.121, 0.0410, 0.192, 0.200, 1.00),
)
WELLY: tuple[Station, ...] = (
    *ANKLE[:5],
    (0.008, 0.165, 0.0405, 0.092, 0.104, 0.66),
    (0.008, 0.142, 0.0415, 0.124, 0.140, 0.90),
    (0.002, 0.136, 0.046, 0.190, 0.200, 1.00),
    (-0.006, 0.138, 0.052, 0.260, 0.266, 1.00),
    (-0.009, 0.139, 0.0545, 0.320, 0.322, 1.00),
)
TALL: tuple[Station, ...] = (
    *ANKLE[:5],
    (0.011, 0.156, 0.0365, 0.092, 0.102, 0.66),
    (0.013, 0.126, 0.0355, 0.124, 0.138, 0.90),
    (0.008, 0.120, 0.041, 0.190, 0.200, 1.00),
    (-0.006, 0.126, 0.050, 0.270, 0.276, 1.00),
    (-0.010, 0.130, 0.054, 0.330, 0.338, 1.00),
    (-0.004, 0.130, 0.053, 0.385, 0.400, 1.00),
)


def build_boot(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a pair of boots 29 cm long and 17 to 43 cm high, the toes towards -y."""
    make = {"chelsea": _chelsea, "lace-up": _lace_up, "rain": _rain, "tall": _tall}[spec.shape]
    _pair(kit, rng, lambda: make(kit, spec, rng))


def _welt(shoe: Shoe, plate: Any, stitch: Any | None) -> None:
    """The thin sole plate with its welt, and the seam on it."""
    shoe.layer(
        plate,
        [(-0.003, 0.0), (0.0022, 0.08), (0.0042, 0.5), (0.0042, 0.85), (0.003, 1.0), (-0.008, 1.05)],
        "welt",
    )
    if stitch is not None:
        p = shoe.outline(0.0026)
        a = np.clip(p[:, 0] / shoe.length, 0, 1)
        shoe.kit.tube(
            shoe.place(np.column_stack([p, shoe.top(a) + 0.0005])),
            0.0012,
            stitch,
            closed=True,
            sides=8,
            name="welt seam",
        )


def _chelsea(kit: Any, spec: Spec, rng: random.Random) -> None:
    """An ankle boot with elastic sides, pull tabs and a low stacked heel."""
    heel = rng.uniform(0.022, 0.034)
    ground, top = _heeled_sole(heel, 0.011, 0.009)
    shoe = Shoe(
        kit,
        _stretch(ANKLE, rng, rng.uniform(0.283, 0.297), rng.uniform(0.96, 1.08)),
        ground,
        top,
        dip=0.012,
        turn=rng.uniform(0, 4),
    )
    shoe.upper(kit.main(weave=0.0025), kit.mat("fabric", "beige", weave=0.002), depth=0.09)
    dark = kit.mat("knit", "grey" if spec.colour == "black" else "black", weave=0.004)
    for side in (1, -1):
        shoe.patch(
            dark,
            lambda v, s=side: (s * (0.285 - 0.075 * v), s * (0.325 - 0.022 * v)),
            (4.5, 6.98),
            "elastic side",
            nu=13,
        )
    shoe.collar(kit.main_plain(weave=0.0025), 0.0025)
    shoe.tab(dark, 0.0, 0.02, 0.017)
    shoe.tab(dark, 0.5, 0.016, 0.017, "front tab")
    sole = (
        kit.mat("rubber", "black")
        if spec.colour != "black" or rng.random() < 0.5
        else kit.mat("leather", "brown")
    )
    _welt(shoe, sole, None)
    shoe.heel(sole, 0.27, heel, 0.04)


def _lace_up(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A work boot: toe cap, laces to the top, padded collar, seamed welt and a lugged sole."""
    heel = rng.uniform(0.020, 0.026)
    ground, top = _heeled_sole(heel, 0.016, 0.010)
    shoe = Shoe(
        kit,
        _stretch(LACED, rng, rng.uniform(0.285, 0.30), rng.uniform(0.96, 1.08)),
        ground,
        top,
        dip=0.008,
        turn=rng.uniform(0, 4),
    )
    main = kit.main_plain(weave=0.0025)
    shoe.upper(main, kit.mat("fabric", "beige", weave=0.002), wall=0.006, depth=0.1)
    shoe.collar(kit.mat("leather", "black" if spec.colour != "black" else "brown", weave=0.002), 0.0075)
    shoe.patch(
        main,
        lambda v: (0.5 - 0.165 + 0.03 * v, 0.5 + 0.165 - 0.03 * v),
        (0.3, 2.5),
        "toe cap",
        thickness=0.003,
    )
    shoe.patch(
        main, lambda v: (-0.15 + 0.07 * v, 0.15 - 0.07 * v), (0.4, 6.0), "heel counter", thickness=0.0026
    )
    for side in (1, -1):
        shoe.patch(
            main,
            lambda v, s=side: (0.5 + s * (0.036 + 0.02 * v), 0.5 + s * (0.095 + 0.05 * v)),
            (3.0, 7.9),
            "eyestay",
            nu=9,
            thickness=0.0026,
        )
    shoe.tongue(main, 3.1, 0.03, 0.024, 0.005)
    cord = kit.mat(
        "cotton", rng.choice(("yellow", "red", "beige")) if spec.colour != "beige" else "brown", weave=0.0015
    )
    shoe.laces(
        cord, 7, (3.3, 7.6), (0.055, 0.09), eyelet=kit.mat(rng.choice(("brass", "chrome"))), lift=0.006
    )
    tread = kit.mat("rubber", rng.choice(("black", "brown")) if spec.colour != "black" else "black")
    _welt(shoe, tread, kit.mat("cotton", "yellow" if spec.colour != "beige" else "white", weave=0.0015))
    shoe.layer(
        tread, [(-0.004, -0.36), (0.002, -0.3), (0.002, -0.1), (0.001, 0.12)], "lugs", wave=0.0025, waves=22
    )
    shoe.heel(tread, 0.28, heel, 0.02)
    shoe.tab(kit.mat("nylon", "black", weave=0.002), 0.0, 0.02, 0.018)


def _rain(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A wellington: a smooth rubber shaft, ribbed foxing, a band round the top and a strap at the side."""
    heel = rng.uniform(0.016, 0.024)
    ground, top = _heeled_sole(heel, 0.014, 0.008)
    shoe = Shoe(
        kit,
        _stretch(WELLY, rng, rng.uniform(0.28, 0.295), rng.uniform(0.88, 1.1)),
        ground,
        top,
        widest=0.005,
        turn=rng.uniform(0, 4),
    )
    repeat = 0.036 if spec.pattern == "dots" else 0.045
    rubber = kit.mat(
        "plastic", spec.colour, pattern=spec.pattern, colour2=spec.colour2, scale=repeat, roughness=0.22
    )
    plain = kit.mat("plastic", spec.colour, roughness=0.22)
    second = kit.mat("plastic", spec.colour2 if spec.colour2 != "grey" else "white", roughness=0.3)
    shoe.upper(rubber, kit.mat("fabric", "beige", weave=0.002), wall=0.004, depth=0.14)
    shoe.collar(second, 0.003, "rim")
    shoe.patch(second, lambda v: (0.0, 0.9999), (8.45, 8.97), "top band", nu=97, nv=9, lift=0.001)
    shoe.patch(plain, lambda v: (0.5 - 0.2, 0.5 + 0.2), (0.5, 1.7), "toe guard", nu=41, thickness=0.003)
    shoe.patch(plain, lambda v: (-0.1, 0.1), (0.5, 2.2), "heel guard", nu=21, thickness=0.003)
    if rng.random() < 0.6:
        shoe.patch(
            plain,
            lambda v: (0.14 + 0.01 * v, 0.3),
            (7.75, 8.12),
            "strap",
            nu=17,
            nv=7,
            thickness=0.004,
            lift=0.002,
        )
        buckle = shoe.place(shoe.on(0.255, 7.93, 0.003))
        kit.box(
            (0.008, 0.02, 0.024),
            kit.mat("chrome"),
            at=(buckle[0], buckle[1], buckle[2] - 0.012),
            bevel=0.002,
            name="buckle",
        )
    sole = second
    shoe.layer(
        sole,
        [(-0.003, 0.0), (0.003, 0.08), (0.005, 0.5), (0.005, 0.9), (0.004, 1.0), (-0.006, 1.03)],
        "sole",
        rise=0.006,
        wave=0.0012,
        waves=48,
    )
    shoe.heel(sole, 0.28, heel, 0.02)


def _tall(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A knee-high boot: slim ankle, shaped calf, block heel, ankle strap or zip."""
    heel = rng.uniform(0.035, 0.062)
    ground, top = _heeled_sole(heel, 0.009, 0.008)
    stations = _stretch(TALL, rng, rng.uniform(0.272, 0.285), rng.uniform(0.92, 1.08))
    shoe = Shoe(kit, stations, ground, top, turn=rng.uniform(0, 4))
    main = kit.main(weave=0.003)
    shoe.upper(
        main,
        kit.mat("fabric", "beige" if spec.colour != "beige" else "brown", weave=0.002),
        wall=0.003,
        depth=0.16,
    )
    shoe.collar(kit.main_plain(weave=0.003), 0.0028, "rim")
    metal = kit.mat(rng.choice(("brass", "chrome")))
    dark = kit.mat("leather", "black" if spec.colour != "black" else "brown", weave=0.002)
    shoe.seam(dark, [(0.0, 0.6), (0.0, 9.9)], 0.0011, "back seam")
    if rng.random() < 0.6:
        strap = dark if spec.material == "suede" else kit.main_plain(weave=0.003)
        shoe.patch(
            strap,
            lambda v: (0.0, 0.9999),
            (5.75, 6.25),
            "ankle strap",
            nu=97,
            nv=9,
            thickness=0.003,
            lift=0.0022,
        )
        spot = shoe.place(shoe.on(0.27, 6.0, 0.004))
        with kit.place(*spot):
            kit.torus(0.011, 0.0024, metal, axis="x", name="buckle")
    else:
        shoe.seam(metal, [(0.25, 3.2), (0.25, 9.4)], 0.0016, "zip", 0.0008)
        shoe.seam(metal, [(0.75, 3.2), (0.75, 9.4)], 0.0016, "zip", 0.0008)
    sole = kit.mat("leather", "black" if spec.colour != "black" else "brown", weave=0.002)
    _welt(shoe, sole, None)
    shoe.heel(sole, 0.24, heel, 0.16)


SNEAKER = ProductType(
    name="sneaker",
    category="Shoes",
    mount="floor",
    price=(35, 159),
    shapes={"runner": "sporty", "high-top": "retro", "slip-on": "casual", "chunky": "streetwear"},
    finishes=(
        Finish("mesh", ("grey", "blue", "red", "black", "white"), weight=2, shapes=("runner", "chunky")),
        Finish("canvas", ("black", "white", "red", "blue", "green"), weight=2, shapes=("high-top",)),
        Finish(
            "canvas",
            ("black", "blue", "red", "green"),
            ("plain", "checks", "stripes"),
            weight=2,
            shapes=("slip-on",),
        ),
        Finish("leather", ("white", "black", "red"), shapes=("runner", "high-top", "chunky")),
        Finish("suede", ("blue", "grey", "green"), shapes=("runner", "slip-on")),
    ),
    build=build_sneaker,
    title={
        "runner": "{finish} running sneaker",
        "high-top": "{finish} high-top sneaker",
        "slip-on": "{finish} slip-on sneaker",
        "chunky": "{finish} chunky-sole sneaker",
    },
    azimuths=((52, 66), (-40, -26), (112, 128)),
    elevations=((14, 20), (16, 22), (20, 26)),
)

BOOT = ProductType(
    name="boot",
    category="Shoes",
    mount="floor",
    price=(49, 259),
    shapes={"chelsea": "classic", "lace-up": "rugged", "rain": "outdoor", "tall": "elegant"},
    finishes=(
        Finish("leather", ("black", "brown", "red"), weight=3, shapes=("chelsea", "lace-up", "tall")),
        Finish("suede", ("beige", "brown", "grey"), weight=2, shapes=("chelsea", "lace-up", "tall")),
        Finish(
            "rubber",
            ("yellow", "green", "red", "navy"),
            ("plain", "dots", "stripes"),
            weight=3,
            shapes=("rain",),
        ),
    ),
    build=build_boot,
    title={
        "chelsea": "{finish} Chelsea boot",
        "lace-up": "{finish} lace-up work boot",
        "rain": "{finish} rain boot",
        "tall": "Knee-high {finish} boot",
    },
    azimuths=((52, 66), (-40, -26), (112, 128)),
    elevations=((12, 18), (14, 20), (18, 24)),
)

TYPES = (SNEAKER, BOOT)
