"""Declare seating: dining chairs. It knows no camera and no light."""

import math
import random
from typing import Any

from sample_store.spec import Finish, ProductType, Spec


def build_dining_chair(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a dining chair 80 to 92 cm high that faces -y, its seat at about 45 cm."""
    width, depth, seat_z = rng.uniform(0.43, 0.48), rng.uniform(0.42, 0.46), rng.uniform(0.44, 0.46)
    back_z = rng.uniform(0.80, 0.90)
    {"slat": _slat_chair, "spindle": _spindle_chair, "shell": _shell_chair, "padded": _padded_chair}[
        spec.shape
    ](kit, spec, rng, width, depth, seat_z, back_z)


def _slat_chair(
    kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, seat_z: float, back_z: float
) -> None:
    """Wooden frame with horizontal slats and, now and then, a cushion of the accent's fabric."""
    wood = kit.main()
    x, y = width / 2 - 0.02, depth / 2 - 0.02
    lean = 0.06

    def legs() -> None:
        kit.cylinder((x, -y, 0), (x, -y, seat_z - 0.012), 0.0135, wood, end_radius=0.02, name="front leg")
        kit.tube(
            [
                (x, y + 0.035, 0),
                (x, y, seat_z - 0.02),
                (x, y + lean * 0.4, (seat_z + back_z) / 2),
                (x, y + lean, back_z),
            ],
            [0.0135, 0.02, 0.018, 0.014],
            wood,
            smooth=True,
            name="back post",
        )
        kit.beam((x, -y, seat_z - 0.05), (x, y, seat_z - 0.05), 0.02, 0.05, wood, name="side rail")
        kit.beam((x, -y, 0.2), (x, y + 0.02, 0.2), 0.016, 0.02, wood, name="stretcher")

    kit.both_sides(legs)
    kit.beam((-x, -y, seat_z - 0.05), (x, -y, seat_z - 0.05), 0.02, 0.05, wood, name="front rail")
    kit.beam((-x, y, seat_z - 0.05), (x, y, seat_z - 0.05), 0.02, 0.05, wood, name="back rail")
    kit.box((width, depth, 0.022), wood, at=(0, 0, seat_z - 0.022), bevel=0.007, name="seat")
    slats = rng.choice((2, 3, 4))
    top = back_z - 0.025
    for i in range(slats):
        z = top - i * (top - seat_z - 0.13) / max(1, slats - 1)
        share = (z - seat_z) / (back_z - seat_z)
        line = [(-x, y + lean * share, z), (0, y + lean * share + 0.022, z), (x, y + lean * share, z)]
        kit.tube(line, 1.0, wood, smooth=True, section=_slab(0.014, 0.06), name="slat")
    if spec.accent:
        cloth = kit.accent(weave=0.006)
        kit.cushion(
            (width - 0.03, depth - 0.05, 0.04), cloth, at=(0, -0.005, seat_z - 0.002), radius=0.02, puff=0.012,
            piping=cloth, name="seat cushion",
        )  # fmt: skip


def _spindle_chair(
    kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, seat_z: float, back_z: float
) -> None:
    """A Windsor chair: carved round seat, splayed legs, a bent hoop with spindles."""
    wood = kit.main()
    outline = [(width / 2 * math.cos(a) * 1.02, depth / 2 * math.sin(a)) for a in _turn(48)]
    kit.extrude(outline, 0.034, wood, at=(0, 0, seat_z - 0.017), bevel=0.014, name="seat")

    def leg(side: float, front: float) -> None:
        foot = (side * (width / 2 + 0.005), front * (depth / 2 + 0.02), 0.0)
        head = (side * width * 0.31, front * depth * 0.3, seat_z - 0.02)
        middle = [(f + h) / 2 for f, h in zip(foot, head, strict=True)]
        kit.tube([foot, middle, head], [0.011, 0.019, 0.014], wood, smooth=True, name="leg")

    for side in (-1.0, 1.0):
        for front in (-1.0, 1.0):
            leg(side, front)
        at = 0.42
        kit.cylinder(
            (side * width * 0.42, -depth * 0.42, seat_z * at),
            (side * width * 0.42, depth * 0.42, seat_z * at),
            0.009,
            wood,
            name="stretcher",
        )
    kit.cylinder(
        (-width * 0.42, 0, seat_z * 0.42),
        (width * 0.42, 0, seat_z * 0.42),
        0.009,
        wood,
        name="cross stretcher",
    )
    reach = width * 0.43

    def hoop(t: float) -> tuple[float, float, float]:
        a = math.pi * t
        rise = math.sin(a) ** 0.62
        z = seat_z - 0.01 + (back_z - seat_z) * rise
        base_y = depth * 0.5 * math.sqrt(max(0.0, 1 - (reach / (width * 0.51)) ** 2))
        return -reach * math.cos(a), base_y + 0.02 + 0.1 * rise, z

    kit.tube([hoop(i / 40) for i in range(41)], 0.0115, wood, name="hoop")
    count = rng.choice((5, 6, 7))
    for i in range(count):
        t = 0.2 + 0.6 * i / (count - 1)
        top = hoop(t)
        foot_x = top[0] * 0.72
        foot_y = depth * 0.5 * math.sqrt(max(0.0, 1 - (foot_x / (width * 0.51)) ** 2)) - 0.02
        kit.tube(
            [(foot_x, foot_y, seat_z - 0.01), (foot_x * 1.1, foot_y + 0.02, seat_z + 0.14), top],
            [0.0065, 0.0085, 0.0055], wood, smooth=True, name="spindle",
        )  # fmt: skip


def _shell_chair(
    kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, seat_z: float, back_z: float
) -> None:
    """A moulded plastic shell on four splayed legs."""
    shell = kit.main()
    w = width + 0.02

    def surface(u: float, v: float) -> tuple[float, float, float]:
        """Return the shell's point: u across, v from the front edge over the seat up the back."""
        s = 2 * u - 1
        line = [
            (-0.23, -0.018),
            (-0.19, 0.0),
            (0.0, -0.022),
            (0.13, -0.012),
            (0.195, 0.06),
            (0.235, 0.2),
            (0.275, 0.37),
        ]
        k = v * (len(line) - 1)
        i = min(int(k), len(line) - 2)
        f = k - i
        p = [line[max(0, i - 1)], line[i], line[i + 1], line[min(len(line) - 1, i + 2)]]
        y, z = (_cubic([q[j] for q in p], f) for j in (0, 1))
        half = (
            w
            / 2
            * (0.93 - 0.06 * abs(2 * v - 0.9))
            * (1 - max(0.0, v - 0.8) ** 2 * 7)
            * (1 - max(0.0, 0.12 - v) ** 2 * 9)
        )
        back = min(1.0, max(0.0, (v - 0.45) / 0.3))
        lift = 0.05 * (1 - back) * abs(s) ** 3 + 0.0
        wrap = 0.07 * back * abs(s) ** 2
        return s * half, y - wrap, seat_z + z + lift

    kit.sheet(surface, shell, thickness=0.009, nu=33, nv=49, name="shell")
    legs = kit.accent()

    def leg() -> None:
        kit.cylinder(
            (width * 0.5, -depth * 0.5, 0),
            (width * 0.24, -depth * 0.26, seat_z - 0.03),
            0.010,
            legs,
            end_radius=0.017,
        )
        kit.cylinder(
            (width * 0.5, depth * 0.5, 0),
            (width * 0.24, depth * 0.26, seat_z - 0.03),
            0.010,
            legs,
            end_radius=0.017,
        )
        kit.beam(
            (width * 0.24, -depth * 0.28, seat_z - 0.035),
            (width * 0.24, depth * 0.28, seat_z - 0.035),
            0.03,
            0.022,
            legs,
        )

    kit.both_sides(leg)
    for y in (-depth * 0.26, depth * 0.26):
        kit.beam(
            (-width * 0.25, y, seat_z - 0.035),
            (width * 0.25, y, seat_z - 0.035),
            0.03,
            0.022,
            legs,
            name="cross bar",
        )


def _padded_chair(
    kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, seat_z: float, back_z: float
) -> None:
    """An upholstered seat and back on tapered legs."""
    cloth = kit.main(scale=rng.uniform(0.06, 0.08), weave=0.006)
    legs = kit.accent()
    kit.cushion((width, depth, 0.095), cloth, at=(0, 0, seat_z - 0.06), radius=0.032, puff=0.022, name="seat")
    height = back_z - seat_z + 0.01
    with kit.place(0, depth / 2 - 0.022, seat_z - 0.02, rot=(-9, 0, 0)):
        kit.cushion((width * 0.98, 0.06, height), cloth, radius=0.028, puff=0.016, name="back")

    def leg() -> None:
        kit.cylinder(
            (width * 0.46, -depth * 0.46, 0),
            (width * 0.4, -depth * 0.4, seat_z - 0.03),
            0.0115,
            legs,
            end_radius=0.02,
        )
        kit.cylinder(
            (width * 0.46, depth * 0.5, 0),
            (width * 0.4, depth * 0.4, seat_z - 0.03),
            0.0115,
            legs,
            end_radius=0.02,
        )

    kit.both_sides(leg)


def _slab(thickness: float, height: float) -> list[tuple[float, float]]:
    """Return a soft rectangular section: thin along the path's level side, high along its other side."""
    h, w = height / 2, thickness / 2
    return [
        (
            math.copysign(abs(math.cos(a)) ** 0.4, math.cos(a)) * w,
            math.copysign(abs(math.sin(a)) ** 0.4, math.sin(a)) * h,
        )
        for a in _turn(24)
    ]


def _turn(n: int) -> list[float]:
    return [2 * math.pi * i / n for i in range(n)]


def _cubic(p: list[float], t: float) -> float:
    """Return the Catmull-Rom value between p[1] and p[2]."""
    a, b, c, d = p
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


DINING_CHAIR = ProductType(
    name="dining chair",
    category="Furniture",
    mount="floor",
    price=(59, 349),
    shapes={"slat": "classic", "spindle": "rustic", "shell": "modern", "padded": "contemporary"},
    finishes=(
        Finish("oak", shapes=("slat", "spindle"), weight=2),
        Finish("walnut", shapes=("slat", "spindle"), weight=2),
        Finish("wood", ("white", "black", "green"), shapes=("slat", "spindle"), weight=2),
        Finish("plastic", ("white", "red", "yellow", "teal", "black"), shapes=("shell",), weight=3),
        Finish(
            "fabric",
            ("blue", "grey", "green", "beige"),
            ("plain", "stripes", "checks"),
            shapes=("padded",),
            weight=2,
        ),
        Finish("velvet", ("pink", "teal", "navy"), shapes=("padded",)),
        Finish("leather", ("brown", "black"), shapes=("padded",)),
    ),
    build=build_dining_chair,
    accents={
        "slat": ("blue fabric", "grey fabric", "black leather", "beige fabric", "green fabric"),
        "shell": ("oak", "black metal", "walnut"),
        "padded": ("oak", "walnut", "black metal"),
    },
    title={
        "slat": "{finish} dining chair with {accent} seat",
        "spindle": "{finish} spindle-back dining chair",
        "shell": "{finish} shell chair with {accent} legs",
        "padded": "{finish} dining chair with {accent} legs",
    },
)

TYPES = (DINING_CHAIR,)
