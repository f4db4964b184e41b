"""Declare seats for work and rest: office chairs, armchairs, sofas and stools. It knows no camera and no light."""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from sample_store.spec import Finish, ProductType, Spec


# ---- shared upholstery -------------------------------------------------------------------------------------
def _even(outline: Any, count: int) -> Any:
    """Return the closed outline at equal steps of length, so that cloth does not stretch over it."""
    ring = np.vstack([outline, outline[:1]])
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))]
    steps = np.linspace(0, along[-1], count, endpoint=False)
    return np.stack([np.interp(steps, along, ring[:, i]) for i in (0, 1)], axis=1)


def _pad(
    kit: Any,
    mat: Any,
    line: Sequence[Sequence[float]],
    *,
    wrap: float = 0.0,
    power: float = 4.0,
    name: str = "pad",
) -> None:
    """Loft a soft slab along (y, z, half width, half thickness) points; `wrap` bends its sides to the sitter."""
    from sample_store.mesh import catmull, superellipse

    rows = catmull(line, 8)
    tangent = np.gradient(rows[:, :2], axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    widest = rows[:, 2].max()
    soft = rows[:, 3].max() > 0.015

    def ring(row: Any, along: Any, inset: float, out: float) -> Any:
        """Return one cross-section, pulled in by `inset` and moved by `out` along the slab."""
        shape = superellipse(row[2] - inset, max(0.001, row[3] - inset), power, 400 if soft else 56)
        shape = _even(shape, 112) if soft else shape
        lift = shape[:, 1] + wrap * (shape[:, 0] / widest) ** 2
        y = row[0] + along[0] * out - along[1] * lift
        z = row[1] + along[1] * out + along[0] * lift
        return np.stack([shape[:, 0], y, z], axis=1)

    turn = np.linspace(0.1, 1.0, 6) * math.pi / 2
    rings = [ring(r, t, 0.0, 0.0) for r, t in zip(rows, tangent, strict=True)]
    for end, sign in ((0, -1.0), (-1, 1.0)):
        row, along, thick = rows[end], tangent[end], rows[end][3]
        caps = [
            ring(row, along, thick * (1 - math.cos(a)) * 0.98, sign * thick * math.sin(a) * 0.8) for a in turn
        ]
        rings = [*caps[::-1], *rings] if end == 0 else [*rings, *caps]
    kit.loft(rings, mat, name=name, sharp_deg=180)


def _legs(kit: Any, mat: Any, x: float, y: float, height: float, radius: float = 0.022) -> None:
    """Add four tapered legs that lean outward a little; they reach 2 cm into what they carry."""
    kit.four(
        lambda: kit.cylinder(
            (x + height * 0.12, y + height * 0.12, 0),
            (x, y, height + 0.02),
            radius * 0.6,
            mat,
            end_radius=radius,
            name="leg",
        )
    )


# ---- office chair ------------------------------------------------------------------------------------------
def build_office_chair(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model an office chair 85 to 125 cm high on a five-star base with castors."""
    seat_z = rng.uniform(0.46, 0.51)
    _star_base(kit, rng, seat_z, kit.accent())
    build = {
        "task": _task_chair,
        "executive": _executive_chair,
        "gaming": _gaming_chair,
        "shell": _swivel_shell,
    }
    build[spec.shape](kit, spec, rng, seat_z)


def _star_base(kit: Any, rng: random.Random, seat_z: float, metal: Any) -> None:
    """Five arms with twin castors, a gas lift and the mechanism's plate under the seat."""
    dark, wheel = kit.mat("grey plastic"), kit.mat("black plastic")
    reach, turn = rng.uniform(0.29, 0.33), rng.uniform(0, 360)
    kit.cylinder((0, 0, 0.075), (0, 0, 0.15), 0.04, metal, end_radius=0.032, name="hub")
    kit.cylinder((0, 0, 0.14), (0, 0, seat_z * 0.66), 0.026, wheel, name="lift sleeve")
    kit.cylinder((0, 0, seat_z * 0.64), (0, 0, seat_z - 0.06), 0.015, kit.mat("steel"), name="lift rod")
    kit.box((0.17, 0.2, 0.045), wheel, at=(0, 0, seat_z - 0.085), bevel=0.01, name="mechanism")
    kit.cylinder((0.05, 0, seat_z - 0.06), (0.24, -0.02, seat_z - 0.075), 0.007, wheel, name="lever")
    kit.box((0.05, 0.022, 0.012), wheel, at=(0.25, -0.02, seat_z - 0.082), bevel=0.005, name="lever paddle")
    for i in range(5):
        with kit.place(rot=(0, 0, turn + 72 * i)):
            kit.tube(
                [(0.02, 0, 0.115), (reach * 0.55, 0, 0.1), (reach, 0, 0.078)],
                [0.027, 0.022, 0.016],
                metal,
                smooth=True,
                name="base arm",
            )
            kit.cylinder(
                (reach - 0.012, 0, 0.035), (reach - 0.012, 0, 0.075), 0.009, dark, name="castor stem"
            )
            with kit.place(reach - 0.012, 0, 0.0, rot=(0, 0, rng.uniform(0, 180))):
                for side in (-1, 1):
                    kit.cylinder(
                        (side * 0.004, 0.008, 0.029),
                        (side * 0.026, 0.008, 0.029),
                        0.029,
                        wheel,
                        round_edge=0.006,
                        name="castor wheel",
                    )
                kit.cylinder((-0.006, 0.008, 0.029), (0.006, 0.008, 0.029), 0.024, dark, name="castor core")


def _arm_rests(kit: Any, mat: Any, x: float, seat_z: float, height: float = 0.21) -> None:
    """Add a T-shaped arm rest on both sides, its bar running under the seat."""

    def arm() -> None:
        kit.tube(
            [(0.05, 0.01, seat_z - 0.055), (x, 0.01, seat_z - 0.05), (x + 0.01, 0.0, seat_z + height)],
            0.016,
            mat,
            bend=0.05,
            name="arm post",
        )
        kit.cushion(
            (0.075, 0.25, 0.035),
            mat,
            at=(x + 0.005, -0.03, seat_z + height - 0.008),
            radius=0.016,
            puff=0.003,
            name="arm pad",
        )

    kit.both_sides(arm)


def _task_chair(kit: Any, spec: Spec, rng: random.Random, seat_z: float) -> None:
    """A desk chair: padded seat, curved back on a spine, T arms."""
    cloth, dark = kit.main(scale=0.06, weave=0.005), kit.mat("black plastic")
    half = rng.uniform(0.235, 0.255)
    tall = rng.uniform(0.44, 0.56)
    _pad(
        kit,
        cloth,
        [
            (-0.235, seat_z - 0.015, half * 0.92, 0.03),
            (-0.14, seat_z + 0.008, half, 0.04),
            (0.08, seat_z, half, 0.042),
            (0.21, seat_z + 0.004, half * 0.86, 0.035),
        ],
        wrap=0.012,
        name="seat",
    )
    low = seat_z + rng.uniform(0.13, 0.16)
    _pad(
        kit,
        cloth,
        [
            (0.255, low, half * 0.84, 0.024),
            (0.235, low + tall * 0.25, half * 0.95, 0.03),
            (0.26, low + tall * 0.65, half * 0.95, 0.028),
            (0.29, low + tall * 0.92, half * 0.86, 0.024),
            (0.3, low + tall, half * 0.74, 0.02),
        ],
        wrap=0.05,
        name="back",
    )
    strap = [
        (0.035 * math.cos(a), 0.011 * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 20, endpoint=False)
    ]
    kit.tube(
        [
            (0, 0.05, seat_z - 0.065),
            (0, 0.26, seat_z - 0.06),
            (0, 0.315, seat_z + 0.05),
            (0, 0.275, low + tall * 0.5),
        ],
        1.0,
        dark,
        smooth=True,
        section=strap,
        name="spine",
    )
    if rng.random() < 0.75:
        _arm_rests(kit, dark, half + 0.05, seat_z)


def _executive_chair(kit: Any, spec: Spec, rng: random.Random, seat_z: float) -> None:
    """A tall manager's chair: channelled back, thick seat, padded loop arms."""
    hide = kit.main(scale=0.06, weave=0.004)
    width = rng.uniform(0.5, 0.54)
    channels, tall = rng.choice((4, 5, 6)), rng.uniform(0.66, 0.74)
    kit.cushion(
        (width, 0.5, 0.07),
        kit.mat("black plastic"),
        at=(0, -0.01, seat_z - 0.055),
        radius=0.025,
        puff=0,
        name="seat pan",
    )
    kit.cushion((width, 0.52, 0.1), hide, at=(0, -0.02, seat_z - 0.01), radius=0.045, puff=0.02, name="seat")
    with kit.place(0, 0.225, seat_z + 0.045, rot=(-12, 0, 0)):
        kit.cushion(
            (width * 0.9, 0.05, tall), hide, at=(0, 0.035, 0), radius=0.024, puff=0.01, name="back shell"
        )
        step = tall / channels
        for i in range(channels):
            wide = width * (0.97 - 0.05 * abs(i - (channels - 1) * 0.4) / channels * 2)
            kit.cushion(
                (wide, 0.11, step * 1.04),
                hide,
                at=(0, 0, step * i),
                radius=0.046,
                puff=0.022,
                name="back channel",
            )
    frame, x = kit.accent(), width / 2 + 0.045

    def arm() -> None:
        kit.tube(
            [
                (0.08, -0.02, seat_z - 0.05),
                (x, -0.16, seat_z - 0.03),
                (x, -0.2, seat_z + 0.2),
                (x, 0.15, seat_z + 0.24),
                (width / 2 - 0.05, 0.29, seat_z + 0.2),
            ],
            0.016,
            frame,
            bend=0.07,
            name="arm loop",
        )
        with kit.place(x, -0.03, seat_z + 0.205, rot=(6, 0, 0)):
            kit.cushion((0.075, 0.28, 0.05), hide, radius=0.022, puff=0.008, name="arm pad")

    kit.both_sides(arm)


def _gaming_chair(kit: Any, spec: Spec, rng: random.Random, seat_z: float) -> None:
    """A racing-seat chair: winged bucket back with coloured panels, head and waist pillows."""
    hide = kit.main(scale=0.06, weave=0.004)
    panel = kit.mat("grey leather" if spec.colour == "black" else "black leather", weave=0.004)
    tall = rng.uniform(0.76, 0.82)
    _pad(
        kit,
        hide,
        [
            (-0.25, seat_z - 0.01, 0.24, 0.035),
            (-0.1, seat_z + 0.01, 0.265, 0.045),
            (0.22, seat_z + 0.015, 0.25, 0.045),
        ],
        wrap=0.045,
        name="seat",
    )
    _pad(
        kit,
        panel,
        [
            (-0.225, seat_z + 0.022, 0.13, 0.02),
            (-0.1, seat_z + 0.052, 0.145, 0.02),
            (0.2, seat_z + 0.058, 0.14, 0.02),
        ],
        wrap=0.01,
        name="seat panel",
    )
    with kit.place(0, 0.235, seat_z + 0.03, rot=(-10, 0, 0)):
        _pad(
            kit,
            hide,
            [
                (0, 0, 0.19, 0.045),
                (0, tall * 0.22, 0.225, 0.045),
                (0, tall * 0.42, 0.225, 0.042),
                (0, tall * 0.62, 0.275, 0.04),
                (0, tall * 0.74, 0.25, 0.038),
                (0, tall * 0.9, 0.17, 0.036),
                (0, tall, 0.13, 0.034),
            ],
            wrap=0.07,
            name="back",
        )
        _pad(
            kit,
            panel,
            [
                (-0.03, 0.05, 0.11, 0.025),
                (-0.034, tall * 0.35, 0.12, 0.024),
                (-0.03, tall * 0.7, 0.145, 0.024),
                (-0.026, tall * 0.93, 0.1, 0.022),
            ],
            wrap=0.02,
            name="back panel",
        )
        kit.cushion(
            (0.26, 0.075, 0.15),
            panel,
            at=(0, -0.075, tall * 0.78),
            radius=0.035,
            puff=0.014,
            name="head pillow",
        )
        kit.cushion(
            (0.32, 0.085, 0.19), panel, at=(0, -0.075, 0.1), radius=0.04, puff=0.016, name="waist pillow"
        )
    kit.beam(
        (0, 0.05, seat_z - 0.045), (0, 0.27, seat_z + 0.06), 0.26, 0.03, kit.mat("grey plastic"), name="hinge"
    )
    _arm_rests(kit, kit.mat("black plastic"), 0.315, seat_z, 0.22)


def _swivel_shell(kit: Any, spec: Spec, rng: random.Random, seat_z: float) -> None:
    """A moulded bucket on castors with a thin seat pad."""
    shell = kit.main()
    w, tall = rng.uniform(0.26, 0.28), rng.uniform(0.36, 0.42)
    _pad(
        kit,
        shell,
        [
            (-0.24, seat_z - 0.035, w * 0.86, 0.009),
            (-0.17, seat_z - 0.015, w * 0.95, 0.01),
            (0.02, seat_z - 0.03, w, 0.011),
            (0.16, seat_z - 0.01, w, 0.011),
            (0.225, seat_z + 0.08, w * 0.98, 0.01),
            (0.255, seat_z + tall * 0.6, w * 0.93, 0.01),
            (0.28, seat_z + tall * 0.88, w * 0.86, 0.01),
            (0.292, seat_z + tall * 0.97, w * 0.74, 0.009),
            (0.295, seat_z + tall, w * 0.56, 0.008),
        ],
        wrap=0.06,
        power=5,
        name="shell",
    )
    kit.cushion(
        (0.38, 0.36, 0.035),
        kit.mat("grey fabric"),
        at=(0, -0.025, seat_z - 0.022),
        radius=0.017,
        puff=0.012,
        name="seat pad",
    )


# ---- armchair and sofa -------------------------------------------------------------------------------------
def build_armchair(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model an armchair 70 to 110 cm high."""
    if spec.shape == "boxy":
        _boxy(kit, rng, rng.uniform(0.8, 0.9), 1, pillows=rng.choice((0, 1)))
    elif spec.shape == "wingback":
        _wingback(kit, rng)
    elif spec.shape == "framed":
        _framed(kit, rng, rng.uniform(0.68, 0.74), 1)
    else:
        _tub(kit, rng)


def build_sofa(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a sofa for two or three, 1.5 to 2.3 m wide."""
    seats = rng.choice((2, 3))
    if spec.shape == "boxy":
        _boxy(kit, rng, 0.45 + seats * rng.uniform(0.58, 0.64), seats, pillows=2)
    elif spec.shape == "chesterfield":
        _chesterfield(kit, rng, 0.5 + seats * rng.uniform(0.54, 0.6), seats)
    elif spec.shape == "framed":
        _framed(kit, rng, 0.12 + seats * rng.uniform(0.58, 0.64), seats)
    else:
        _boxy(kit, rng, rng.uniform(2.15, 2.35), 3, pillows=2, chaise=True)


def _boxy(kit: Any, rng: random.Random, width: float, seats: int, pillows: int, chaise: bool = False) -> None:
    """Straight arms, loose seat and back cushions with piping, short legs; a chaise makes the last seat long."""
    cloth = kit.main(scale=rng.uniform(0.1, 0.13), weave=0.007)
    trim = kit.main_plain(weave=0.007)
    depth, arm_w, leg = rng.uniform(0.84, 0.92), rng.uniform(0.13, 0.19), rng.uniform(0.09, 0.15)
    arm_z, back_z, seat_z = leg + rng.uniform(0.42, 0.5), rng.uniform(0.8, 0.86), 0.43
    inner = width - 2 * arm_w
    _legs(kit, kit.accent(), width / 2 - 0.09, depth / 2 - 0.09, leg)
    kit.cushion((width - 0.02, depth, 0.17), cloth, at=(0, 0, leg), radius=0.03, puff=0.004, name="base")
    for side in (-1, 1):
        kit.cushion(
            (arm_w, depth + 0.01, arm_z - leg),
            cloth,
            at=(side * (width - arm_w) / 2, -0.002, leg + 0.003),
            radius=0.04,
            puff=0.01,
            name="arm",
        )
    with kit.place(0, depth / 2 - 0.1, leg + 0.1, rot=(-5, 0, 0)):
        kit.cushion(
            (inner + 0.03, 0.17, back_z - leg - 0.12), cloth, radius=0.05, puff=0.006, name="back frame"
        )
    step = inner / seats
    for i in range(seats):
        x = -inner / 2 + step * (i + 0.5)
        long = chaise and i == seats - 1
        reach = 0.62 if long else 0.0
        kit.cushion(
            (step - 0.004, depth - 0.2 + reach, seat_z - leg - 0.12),
            cloth,
            at=(x, -0.1 - reach / 2, leg + 0.15),
            radius=0.045,
            puff=0.025,
            piping=trim,
            name="seat cushion",
        )
        with kit.place(x, depth / 2 - 0.235, seat_z + 0.02, rot=(-13, 0, 0)):
            kit.cushion(
                (step - 0.006, 0.17, back_z - seat_z + 0.02),
                cloth,
                radius=0.065,
                puff=0.035,
                piping=trim,
                name="back cushion",
            )
        if long:
            front = -depth / 2 - reach
            kit.cushion(
                (step + 0.02, reach + 0.2, 0.17),
                cloth,
                at=(x, front + (reach + 0.2) / 2, leg),
                radius=0.03,
                puff=0.004,
                name="chaise base",
            )
            for s in (-1, 1):
                kit.cylinder(
                    (x + s * (step / 2 - 0.07), front + 0.08, 0),
                    (x + s * (step / 2 - 0.07), front + 0.08, leg + 0.02),
                    0.014,
                    kit.accent(),
                    end_radius=0.022,
                    name="leg",
                )
    pillow = kit.mat(rng.choice(("white linen", "beige linen", "yellow linen")), weave=0.006)
    size = rng.uniform(0.36, 0.42)
    spots = [0.0] if seats == 1 else [-inner / 2 + size * 0.55, inner / 2 - size * 0.55]
    for x in spots[:pillows]:
        with kit.place(x, depth / 2 - 0.4, seat_z + 0.02, rot=(-24, 0, -8 if x < 0 else 8)):
            kit.cushion((size, 0.1, size), pillow, radius=0.048, puff=0.055, name="pillow")


def _chesterfield(kit: Any, rng: random.Random, width: float, seats: int) -> None:
    """Arms and back of one height with a rolled top, the back buttoned."""
    hide = kit.main(scale=0.1, weave=0.006)
    depth, leg, top, roll = (
        rng.uniform(0.84, 0.9),
        rng.uniform(0.08, 0.12),
        rng.uniform(0.66, 0.72),
        rng.uniform(0.085, 0.1),
    )
    x, y = width / 2 - roll, depth / 2 - roll
    inner = 2 * x - 0.1
    kit.four(
        lambda: kit.lathe(
            [(0, 0), (0.02, 0), (0.032, leg * 0.5), (0.022, leg), (0.022, leg + 0.02), (0, leg + 0.02)],
            kit.accent(),
            at=(x - 0.02, y - 0.02, 0),
            smooth=True,
            name="turned foot",
        )
    )
    kit.cushion((width - 0.1, depth - 0.08, 0.19), hide, at=(0, 0, leg), radius=0.03, puff=0.005, name="base")
    for side in (-1, 1):
        kit.cushion(
            (0.14, depth - 0.09, top - leg - 0.06),
            hide,
            at=(side * (x - 0.01), 0, leg + 0.02),
            radius=0.03,
            puff=0.004,
            name="arm",
        )
    count = 2 * seats + 1
    dimples = [(-0.86 + 1.72 * i / (count - 1), 0.35) for i in range(count)]
    dimples += [(-0.86 + 1.72 * (i + 0.5) / (count - 1), -0.05) for i in range(count - 1)]
    kit.cushion(
        (inner + 0.06, 0.19, top - leg - 0.06),
        hide,
        at=(0, y - 0.02, leg + 0.03),
        radius=0.05,
        puff=0.03,
        dimples=dimples,
        name="back",
    )
    low = leg + 0.03 + (top - leg - 0.06) / 2
    for u, v in dimples:
        kit.sphere(
            0.011,
            hide,
            at=(u * (inner + 0.06) / 2, y - 0.115, low + v * (top - leg - 0.06) / 2),
            name="button",
        )
    kit.tube(
        [(-x, -depth / 2 + 0.02, top), (-x, y, top), (x, y, top), (x, -depth / 2 + 0.02, top)],
        roll,
        hide,
        bend=0.13,
        sides=28,
        name="rolled top",
    )
    step = inner / seats
    for i in range(seats):
        kit.cushion(
            (step - 0.004, depth - 0.2, 0.15),
            hide,
            at=(-inner / 2 + step * (i + 0.5), -0.1, leg + 0.175),
            radius=0.05,
            puff=0.025,
            piping=hide,
            name="seat cushion",
        )


def _wingback(kit: Any, rng: random.Random) -> None:
    """A tall back with wings, rolled arms and a thick seat cushion."""
    from sample_store.mesh import catmull

    cloth, trim = kit.main(scale=rng.uniform(0.08, 0.11), weave=0.006), kit.main_plain(weave=0.006)
    width, leg, top = rng.uniform(0.72, 0.78), rng.uniform(0.16, 0.2), rng.uniform(1.02, 1.12)
    x, arm = width / 2 - 0.05, 0.6
    _legs(kit, kit.accent(), width / 2 - 0.1, 0.26, leg, 0.024)
    kit.cushion((width - 0.02, 0.7, 0.16), cloth, at=(0, -0.01, leg), radius=0.03, puff=0.006, name="base")
    side = [
        (-0.34, leg + 0.02),
        (-0.35, arm - 0.04),
        (-0.3, arm),
        (-0.1, arm - 0.01),
        (0.05, arm + 0.03),
        (0.08, arm + 0.16),
        (0.1, top - 0.13),
        (0.2, top - 0.02),
        (0.35, top - 0.02),
        (0.36, top - 0.1),
        (0.27, 0.55),
        (0.25, leg + 0.02),
    ]
    outline = catmull(side, 5, closed=True)

    def wing() -> None:
        kit.extrude(outline, 0.09, cloth, plane="yz", at=(x, 0, 0), bevel=0.035, name="wing")
        kit.tube(
            [(x + 0.015, -0.33, arm - 0.035), (x + 0.015, 0.1, arm - 0.01)],
            0.06,
            cloth,
            sides=24,
            name="arm roll",
        )

    kit.both_sides(wing)
    with kit.place(0, 0.2, leg + 0.12, rot=(-8, 0, 0)):
        kit.cushion(
            (width - 0.12, 0.14, top - leg - 0.1),
            cloth,
            radius=0.06,
            puff=0.045,
            dimples=[(-0.45, 0.5), (0.45, 0.5), (0, 0.25)],
            name="back",
        )
    kit.cushion(
        (width - 0.18, 0.56, 0.14),
        cloth,
        at=(0, -0.08, leg + 0.14),
        radius=0.05,
        puff=0.03,
        piping=trim,
        name="seat cushion",
    )


def _framed(kit: Any, rng: random.Random, width: float, seats: int) -> None:
    """An open wooden frame with loose cushions, as in the fifties."""
    cloth, wood = kit.main(scale=rng.uniform(0.09, 0.12), weave=0.006), kit.accent()
    trim = kit.main_plain(weave=0.006)
    x, arm_z, tilt = width / 2, rng.uniform(0.54, 0.58), 6.0
    inner = width - 0.07

    def side() -> None:
        kit.cylinder((x, -0.34, 0), (x, -0.3, arm_z - 0.005), 0.013, wood, end_radius=0.021, name="front leg")
        kit.cylinder((x, 0.4, 0), (x, 0.28, arm_z), 0.013, wood, end_radius=0.021, name="back leg")
        kit.beam((x, -0.31, 0.3), (x, 0.33, 0.24), 0.026, 0.06, wood, bevel=0.01, name="side rail")
        outline = [
            (0.05 * math.cos(a), 0.014 * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 24, endpoint=False)
        ]
        kit.tube(
            [(x, -0.4, arm_z - 0.012), (x, -0.2, arm_z + 0.006), (x, 0.34, arm_z - 0.004)],
            1.0,
            wood,
            smooth=True,
            section=outline,
            name="arm rest",
        )

    kit.both_sides(side)
    kit.beam((-x, -0.31, 0.3), (x, -0.31, 0.3), 0.026, 0.06, wood, bevel=0.01, name="front rail")
    kit.beam((-x, 0.31, 0.245), (x, 0.31, 0.245), 0.026, 0.06, wood, bevel=0.01, name="back rail")
    with kit.place(0, 0, 0.305, rot=(-tilt, 0, 0)):
        step = inner / seats
        for i in range(seats):
            at = -inner / 2 + step * (i + 0.5)
            kit.cushion(
                (step - 0.006, 0.64, 0.13),
                cloth,
                at=(at, -0.05, 0),
                radius=0.045,
                puff=0.022,
                piping=trim,
                name="seat cushion",
            )
            with kit.place(at, 0.25, 0.1, rot=(-14, 0, 0)):
                kit.cushion(
                    (step - 0.008, 0.12, 0.46),
                    cloth,
                    radius=0.045,
                    puff=0.025,
                    piping=trim,
                    name="back cushion",
                )
        with kit.place(0, 0.315, 0.0, rot=(-14, 0, 0)):
            for i in range(4 * seats + 2):
                at = -inner / 2 + 0.03 + (inner - 0.06) * i / (4 * seats + 1)
                kit.cylinder((at, 0, -0.06), (at, 0, 0.5), 0.008, wood, segments=16, name="back spindle")
            kit.beam((-x + 0.02, 0, 0.5), (x - 0.02, 0, 0.5), 0.026, 0.05, wood, bevel=0.01, name="top rail")
    kit.both_sides(
        lambda: kit.beam(
            (x - 0.022, 0.32, 0.25), (x - 0.022, 0.48, 0.78), 0.026, 0.04, wood, name="back post"
        )
    )


def _tub(kit: Any, rng: random.Random) -> None:
    """A barrel chair: one rounded wall that rises from the arms to the back."""
    from sample_store.mesh import superellipse

    cloth = kit.main(scale=rng.uniform(0.09, 0.12), weave=0.006)
    radius, leg = rng.uniform(0.33, 0.36), rng.uniform(0.12, 0.2)
    low, high, thick = rng.uniform(0.6, 0.66), rng.uniform(0.74, 0.8), 0.055
    _legs(kit, kit.accent(), 0.2, 0.2, leg)
    kit.lathe(
        [(0, 0), (radius, 0), (radius, 0.2), (0, 0.2)], cloth, at=(0, 0, leg), round_edge=0.04, name="base"
    )
    rings = []
    ends = math.radians(222)
    path = [(a, 1.0) for a in np.linspace(-ends / 2, ends / 2, 41)]
    first, last = path[0][0], path[-1][0]
    for t in np.linspace(0.15, 1.0, 6):
        a = t * math.pi / 2
        path.insert(0, (first - 0.13 * math.sin(a), max(0.05, math.cos(a))))
        path.append((last + 0.13 * math.sin(a), max(0.05, math.cos(a))))
    for a, share in path:
        rise = 0.5 + 0.5 * math.cos(min(math.pi, abs(a) * 1.6))
        top, bottom = low + (high - low) * rise, leg + 0.04
        shape = _even(superellipse(thick * share, (top - bottom) / 2 - thick * (1 - share), 4.0, 400), 72)
        r = radius - 0.02 + shape[:, 0] + 0.05 * rise * np.clip(shape[:, 1] / 0.3, 0, 1)
        rings.append(np.stack([r * math.sin(a), (top + bottom) / 2 + shape[:, 1], -r * math.cos(a)], axis=1))
    with kit.place(
        rot=(90, 0, 0)
    ):  # lofted lying, so that the wall's height is one of the section's two axes
        kit.loft(rings, cloth, name="wall", sharp_deg=180)
    inner = radius - 0.05
    kit.lathe(
        [(0, 0), (inner, 0), (inner + 0.012, 0.07), (inner, 0.14), (inner * 0.5, 0.155), (0, 0.158)],
        cloth,
        at=(0, -0.02, leg + 0.17),
        round_edge=0.045,
        name="seat cushion",
    )


# ---- stool -------------------------------------------------------------------------------------------------
def build_stool(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a stool: 43 to 50 cm high to sit on, 65 to 76 cm at a bar."""
    {"bar": _bar_stool, "tripod": _tripod_stool, "padded": _padded_stool, "swivel": _swivel_stool}[
        spec.shape
    ](kit, rng)


def _spread(
    kit: Any, mat: Any, count: int, head: float, foot: float, height: float, radius: float, turn: float
) -> None:
    """Add splayed legs in a circle; they reach 1.5 cm into the seat."""
    for i in range(count):
        a = math.radians(turn) + 2 * math.pi * i / count
        c, s = math.cos(a), math.sin(a)
        kit.cylinder(
            (foot * c, foot * s, 0),
            (head * c, head * s, height + 0.015),
            radius * 0.75,
            mat,
            end_radius=radius,
            name="leg",
        )


def _bar_stool(kit: Any, rng: random.Random) -> None:
    """A tall bar stool: dished round seat, four splayed legs and a foot ring."""
    seat = kit.main()
    legs = seat if kit.spec.material == "metal" else kit.accent()
    height, radius = rng.uniform(0.65, 0.76), rng.uniform(0.16, 0.185)
    foot, head = rng.uniform(0.2, 0.23), radius * 0.62
    kit.lathe(
        [(0, 0), (radius * 0.86, 0), (radius, 0.016), (radius, 0.034), (radius * 0.8, 0.036), (0, 0.026)],
        seat,
        at=(0, 0, height - 0.035),
        round_edge=0.01,
        name="seat",
    )
    _spread(kit, legs, 4, head, foot, height - 0.035, 0.015, 45)
    ring = rng.uniform(0.22, 0.28)
    kit.torus(foot + (head - foot) * ring / (height - 0.02), 0.009, legs, at=(0, 0, ring), name="foot ring")


def _tripod_stool(kit: Any, rng: random.Random) -> None:
    """A low three-legged stool with a thick round seat and turned legs."""
    wood = kit.main()
    height, radius = rng.uniform(0.42, 0.48), rng.uniform(0.165, 0.19)
    thick = rng.uniform(0.035, 0.05)
    kit.lathe(
        [(0, 0), (radius - 0.01, 0), (radius, 0.014), (radius, thick), (0, thick - 0.004)],
        wood,
        at=(0, 0, height - thick),
        round_edge=0.012,
        name="seat",
    )
    turn = rng.uniform(0, 120)
    _spread(kit, wood, 3, radius * 0.55, radius * 1.08, height - thick, 0.021, turn)
    low = height * 0.36
    reach = radius * (1.08 - 0.53 * low / (height - thick))
    ends = [
        (reach * math.cos(a), reach * math.sin(a), low)
        for a in (math.radians(turn + 120 * i) for i in range(3))
    ]
    for i in range(3):
        kit.cylinder(ends[i], ends[(i + 1) % 3], 0.0095, wood, name="stretcher")


def _padded_stool(kit: Any, rng: random.Random) -> None:
    """An upholstered footstool, square or round, with piping and short legs."""
    cloth, trim = kit.main(scale=rng.uniform(0.06, 0.08), weave=0.005), kit.main_plain(weave=0.005)
    leg, thick, half = rng.uniform(0.2, 0.28), rng.uniform(0.13, 0.18), rng.uniform(0.2, 0.24)
    if rng.random() < 0.5:
        wide = half * rng.uniform(1.0, 1.25)
        kit.cushion(
            (2 * wide, 2 * half, thick),
            cloth,
            at=(0, 0, leg),
            radius=0.04,
            puff=0.03,
            piping=trim,
            dimples=[(-0.4, -0.4), (0.4, -0.4), (-0.4, 0.4), (0.4, 0.4)],
            name="seat",
        )
        _legs(kit, kit.accent(), wide - 0.08, half - 0.08, leg + 0.005)
    else:
        kit.lathe(
            [
                (0, 0),
                (half, 0),
                (half + 0.006, thick * 0.5),
                (half, thick),
                (half * 0.6, thick + 0.012),
                (0, thick + 0.014),
            ],
            cloth,
            at=(0, 0, leg),
            round_edge=0.04,
            name="seat",
        )
        kit.torus(half - 0.006, 0.006, trim, at=(0, 0, leg + thick - 0.012), name="piping")
        _spread(kit, kit.accent(), 4, half * 0.68, half * 0.85, leg + 0.005, 0.021, 45)


def _swivel_stool(kit: Any, rng: random.Random) -> None:
    """A bar stool with a padded seat on a column, a foot loop and a disc base."""
    cloth, metal = kit.main(scale=0.05, weave=0.005), kit.accent()
    height, radius = rng.uniform(0.64, 0.74), rng.uniform(0.175, 0.195)
    kit.lathe(
        [(0, 0), (radius * 1.12, 0), (radius * 1.12, 0.008), (0.06, 0.03), (0.034, 0.06), (0, 0.06)],
        metal,
        round_edge=0.01,
        name="base",
    )
    kit.cylinder((0, 0, 0.04), (0, 0, height * 0.62), 0.028, metal, name="column")
    kit.cylinder((0, 0, height * 0.6), (0, 0, height - 0.08), 0.018, kit.mat("steel"), name="piston")
    kit.cylinder((0, 0, height - 0.11), (0, 0, height - 0.075), 0.07, metal, end_radius=0.11, name="plate")
    kit.lathe(
        [(0, 0), (radius - 0.012, 0), (radius, 0.02), (radius, 0.06), (radius * 0.8, 0.078), (0, 0.084)],
        cloth,
        at=(0, 0, height - 0.082),
        round_edge=0.02,
        name="seat",
    )
    kit.torus(radius - 0.001, 0.006, metal, at=(0, 0, height - 0.062), name="seat band")
    z = height * rng.uniform(0.34, 0.4)
    kit.torus(0.13, 0.009, metal, at=(0, -0.1, z), name="foot loop")
    kit.cylinder((0, 0, z - 0.02), (0, 0, z + 0.02), 0.034, metal, name="foot loop collar")


OFFICE_CHAIR = ProductType(
    name="office chair",
    category="Furniture",
    mount="floor",
    price=(79, 549),
    shapes={"task": "modern", "executive": "classic", "gaming": "sporty", "shell": "retro"},
    finishes=(
        Finish("fabric", ("blue", "grey", "red", "green"), ("plain", "checks"), weight=2, shapes=("task",)),
        Finish("leather", ("brown", "black", "white", "red"), weight=3, shapes=("executive", "gaming")),
        Finish("plastic", ("white", "red", "green", "blue"), weight=2, shapes=("shell",)),
    ),
    build=build_office_chair,
    accents={
        "task": ("aluminium", "black plastic"),
        "executive": ("aluminium", "grey metal"),
        "gaming": ("black metal", "grey metal"),
        "shell": ("aluminium", "black metal"),
    },
    title={
        "task": "{finish} office chair",
        "executive": "{finish} executive office chair with high back",
        "gaming": "{finish} gaming office chair with pillows",
        "shell": "{finish} shell office chair on castors",
    },
)

ARMCHAIR = ProductType(
    name="armchair",
    category="Furniture",
    mount="floor",
    price=(149, 899),
    shapes={"boxy": "contemporary", "wingback": "classic", "framed": "retro", "tub": "modern"},
    finishes=(
        Finish(
            "fabric",
            ("blue", "grey", "green", "red", "beige", "yellow"),
            ("plain", "stripes", "checks"),
            weight=4,
            shapes=("boxy", "wingback", "framed"),
        ),
        Finish("boucle", ("beige", "white", "green", "yellow"), weight=2, shapes=("tub",)),
        Finish("velvet", ("teal", "pink", "green"), weight=2, shapes=("boxy", "wingback", "tub")),
        Finish("leather", ("brown", "black"), weight=2),
    ),
    build=build_armchair,
    accents=("oak", "walnut", "black wood"),
    title={
        "boxy": "{finish} armchair with {accent} feet",
        "wingback": "{finish} wingback armchair",
        "framed": "{finish} armchair with {accent} frame",
        "tub": "{finish} tub armchair with {accent} legs",
    },
    azimuths=((20, 38), (-55, -40), (62, 78)),
)

SOFA = ProductType(
    name="sofa",
    category="Furniture",
    mount="floor",
    price=(349, 1990),
    shapes={"boxy": "contemporary", "chesterfield": "classic", "framed": "retro", "corner": "modern"},
    finishes=(
        Finish(
            "fabric",
            ("blue", "grey", "green", "red", "beige", "yellow"),
            ("plain", "stripes", "checks"),
            weight=4,
            shapes=("boxy", "framed", "corner"),
        ),
        Finish("velvet", ("teal", "pink", "green"), weight=2, shapes=("boxy", "chesterfield", "corner")),
        Finish("leather", ("brown", "black", "white"), weight=2),
    ),
    build=build_sofa,
    accents=("oak", "walnut", "black wood"),
    title={
        "boxy": "{finish} sofa with two pillows",
        "chesterfield": "{finish} chesterfield sofa",
        "framed": "{finish} sofa with {accent} frame",
        "corner": "{finish} corner sofa with chaise",
    },
    azimuths=((14, 28), (-45, -30), (52, 66)),
)

STOOL = ProductType(
    name="stool",
    category="Furniture",
    mount="floor",
    price=(29, 189),
    shapes={"bar": "industrial", "tripod": "rustic", "padded": "classic", "swivel": "modern"},
    finishes=(
        Finish("oak", shapes=("bar", "tripod"), weight=2),
        Finish("walnut", shapes=("bar", "tripod")),
        Finish("wood", ("white", "black", "green", "red"), shapes=("tripod",), weight=2),
        Finish("metal", ("red", "yellow", "white"), shapes=("bar",), weight=2),
        Finish(
            "fabric",
            ("blue", "grey", "green", "red"),
            ("plain", "checks", "dots"),
            shapes=("padded",),
            weight=3,
        ),
        Finish("velvet", ("pink", "green", "blue"), shapes=("padded",)),
        Finish("leather", ("brown", "black", "red", "white"), shapes=("swivel",), weight=3),
    ),
    build=build_stool,
    accents={
        "bar": ("black metal",),
        "padded": ("oak", "walnut", "black wood"),
        "swivel": ("steel", "black metal", "brass"),
    },
    title={
        "bar": "{finish} bar stool with foot ring",
        "tripod": "{finish} three-legged stool",
        "padded": "{finish} padded stool with {accent} legs",
        "swivel": "{finish} swivel bar stool",
    },
    elevations=((12, 17), (32, 40), (22, 27)),
)

TYPES = (OFFICE_CHAIR, ARMCHAIR, SOFA, STOOL)
