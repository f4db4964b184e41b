"""Declare tables, desks, bookshelves and beds. It knows no camera and no light."""

import math
import random
from typing import Any

from sample_store.spec import Finish, ProductType, Spec


# ---- table -------------------------------------------------------------------------------------------------
def build_table(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a dining table 74 to 76 cm high, or a coffee table 40 to 45 cm high."""
    {
        "farmhouse": _farmhouse_table,
        "pedestal": _pedestal_table,
        "trestle": _trestle_table,
        "coffee": _coffee_table,
    }[spec.shape](kit, rng)


def _planks(kit: Any, mat: Any, width: float, depth: float, z: float, thick: float, count: int) -> None:
    """Lay a top of boards side by side, 1.5 mm apart, on a thin common underside."""
    step = depth / count
    for i in range(count):
        kit.box(
            (width, step - 0.0015, thick),
            mat,
            at=(0, -depth / 2 + step * (i + 0.5), z),
            bevel=0.004,
            name="board",
        )
    kit.box((width - 0.06, depth - 0.06, 0.012), mat, at=(0, 0, z - 0.01), bevel=0.002, name="top frame")


def _farmhouse_table(kit: Any, rng: random.Random) -> None:
    """A rectangular table with apron and four square or turned legs."""
    wood = kit.main()
    width, depth, height = rng.uniform(1.35, 1.9), rng.uniform(0.8, 0.92), rng.uniform(0.74, 0.76)
    thick, inset = rng.uniform(0.028, 0.04), 0.07
    x, y, under = width / 2 - inset, depth / 2 - inset, height - thick
    _planks(kit, wood, width, depth, under, thick, rng.choice((4, 5, 6)))
    for side in (-1, 1):
        kit.beam((-x, side * y, under - 0.05), (x, side * y, under - 0.05), 0.024, 0.1, wood, name="apron")
        kit.beam((side * x, -y, under - 0.05), (side * x, y, under - 0.05), 0.024, 0.1, wood, name="apron")
    if rng.random() < 0.5:
        kit.four(
            lambda: kit.box((0.055, 0.055, under), wood, at=(x, y, 0), top=1.45, bevel=0.006, name="leg")
        )
    else:
        block = under - 0.14
        line = [
            (0.0, 0.0),
            (0.026, 0.0),
            (0.03, 0.05),
            (0.022, 0.09),
            (0.034, 0.16),
            (0.042, block * 0.62),
            (0.03, block * 0.86),
            (0.042, block * 0.92),
            (0.034, block),
            (0.034, block + 0.02),
            (0.0, block + 0.02),
        ]

        def turned() -> None:
            kit.lathe(line, wood, at=(x, y, 0), smooth=True, name="turned leg")
            kit.box((0.085, 0.085, under - block), wood, at=(x, y, block), bevel=0.005, name="leg block")

        kit.four(turned)


def _pedestal_table(kit: Any, rng: random.Random) -> None:
    """A round table on one flared foot."""
    top, foot = kit.main(scale=0.08), kit.accent()
    radius, height, thick = rng.uniform(0.45, 0.62), rng.uniform(0.72, 0.75), rng.uniform(0.022, 0.032)
    under = height - thick
    kit.lathe(
        [(0, 0), (radius - 0.015, 0), (radius, thick * 0.6), (radius, thick), (0, thick)],
        top,
        at=(0, 0, under),
        round_edge=0.006,
        segments=96,
        name="top",
    )
    spread = radius * rng.uniform(0.5, 0.58)
    kit.lathe(
        [
            (0, 0),
            (spread, 0),
            (spread * 0.98, 0.012),
            (spread * 0.6, 0.045),
            (0.065, 0.16),
            (0.042, height * 0.5),
            (0.05, height * 0.78),
            (0.12, under - 0.012),
            (0.16, under + 0.002),
            (0, under + 0.002),
        ],
        foot,
        smooth=True,
        name="pedestal",
    )


def _trestle_table(kit: Any, rng: random.Random) -> None:
    """A long table on two A-shaped trestles joined by a stretcher."""
    wood, legs = kit.main(), kit.accent()
    width, depth, height, thick = (
        rng.uniform(1.4, 1.8),
        rng.uniform(0.76, 0.86),
        0.75,
        rng.uniform(0.03, 0.042),
    )
    under, x = height - thick, width * rng.uniform(0.32, 0.36)
    _planks(kit, wood, width, depth, under, thick, rng.choice((3, 4)))
    splay = depth * 0.4

    def trestle() -> None:
        for y in (-1, 1):
            kit.beam(
                (x, y * splay, 0), (x, y * 0.09, under - 0.015), 0.05, 0.055, legs, bevel=0.005, name="leg"
            )
        kit.beam(
            (x, -depth / 2 + 0.06, under - 0.035),
            (x, depth / 2 - 0.06, under - 0.035),
            0.06,
            0.055,
            legs,
            name="cross head",
        )
        kit.beam((x, -splay * 0.68, 0.24), (x, splay * 0.68, 0.24), 0.035, 0.05, legs, name="tie")

    kit.both_sides(trestle)
    kit.beam((-x, 0, 0.24), (x, 0, 0.24), 0.045, 0.06, legs, name="stretcher")


def _coffee_table(kit: Any, rng: random.Random) -> None:
    """A low rounded table with splayed legs and, now and then, a shelf below."""
    from sample_store.mesh import rounded_rect, superellipse

    wood, legs = kit.main(), kit.accent()
    width, depth, height = rng.uniform(0.95, 1.2), rng.uniform(0.52, 0.62), rng.uniform(0.4, 0.45)
    oval = rng.random() < 0.5
    outline = superellipse(width / 2, depth / 2, 2.6, 72) if oval else rounded_rect(width, depth, 0.07)
    kit.extrude(outline, 0.028, wood, at=(0, 0, height - 0.014), bevel=0.006, name="top")
    x, y = width * (0.28 if oval else 0.36), depth * (0.26 if oval else 0.32)
    kit.four(
        lambda: kit.cylinder(
            (x * 1.2, y * 1.25, 0), (x, y, height - 0.022), 0.013, legs, end_radius=0.021, name="leg"
        )
    )
    if rng.random() < 0.6:
        low, share = 0.16, 1 + 0.22 * (1 - 0.16 / height)
        kit.extrude(
            rounded_rect(2 * x * share, 2 * y * share, 0.03),
            0.018,
            wood,
            at=(0, 0, low),
            bevel=0.004,
            name="shelf",
        )


# ---- desk --------------------------------------------------------------------------------------------------
def build_desk(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a desk 73 to 76 cm high (a raised standing desk: up to 0.98 m) whose drawers face -y."""
    {"writing": _writing_desk, "drawers": _drawer_desk, "standing": _standing_desk, "hutch": _hutch_desk}[
        spec.shape
    ](kit, rng)


def _front(
    kit: Any, front: Any, handle: Any, size: tuple[float, float], at: tuple[float, float, float], style: str
) -> None:
    """Add a drawer or door front of (width, height) with its handle; `at` is the middle of its BACK face."""
    width, height = size
    x, y, z = at
    kit.box((width, 0.02, height), front, at=(x, y - 0.009, z - height / 2), bevel=0.004, name="drawer front")
    if style == "bar":
        half = min(0.07, width * 0.22)
        kit.tube(
            [
                (x - half, y - 0.015, z),
                (x - half, y - 0.045, z),
                (x + half, y - 0.045, z),
                (x + half, y - 0.015, z),
            ],
            0.006,
            handle,
            bend=0.012,
            name="handle",
        )
    else:
        for knob in (-width * 0.27, width * 0.27) if width > 0.42 else (0.0,):
            kit.cylinder((x + knob, y - 0.014, z), (x + knob, y - 0.034, z), 0.007, handle, name="knob neck")
            kit.sphere(0.015, handle, at=(x + knob, y - 0.038, z), name="knob")


def _pulls(kit: Any, rng: random.Random) -> tuple[Any, str]:
    """Return the material and the style of the handles."""
    return kit.mat(rng.choice(("brass", "black metal", "steel"))), rng.choice(("bar", "knob"))


def _writing_desk(kit: Any, rng: random.Random) -> None:
    """A slim desk with a row of two or three drawers on four tapered legs."""
    wood, legs = kit.main(), kit.accent()
    handle, style = _pulls(kit, rng)
    width, depth, height, box = rng.uniform(1.05, 1.3), rng.uniform(0.54, 0.62), 0.75, rng.uniform(0.11, 0.14)
    low = height - box
    kit.box((width, depth, 0.022), wood, at=(0, 0, height - 0.022), bevel=0.005, name="top")
    kit.box((width - 0.004, depth - 0.004, 0.018), wood, at=(0, 0, low), bevel=0.004, name="bottom")
    kit.box((width - 0.01, 0.018, box - 0.01), wood, at=(0, depth / 2 - 0.012, low + 0.005), name="back")
    for side in (-1, 1):
        kit.box(
            (0.02, depth - 0.006, box - 0.01),
            wood,
            at=(side * (width / 2 - 0.012), 0, low + 0.005),
            name="side",
        )
    kit.box(
        (width - 0.05, 0.01, box - 0.03),
        kit.mat("grey plastic"),
        at=(0, -depth / 2 + 0.045, low + 0.015),
        name="shadow gap",
    )
    count = rng.choice((2, 3))
    step = (width - 0.046) / count
    for i in range(count):
        at = (-width / 2 + 0.023 + step * (i + 0.5), -depth / 2 + 0.036, low + box / 2 - 0.002)
        _front(kit, wood, handle, (step - 0.008, box - 0.048), at, style)
    x, y = width / 2 - 0.07, depth / 2 - 0.06
    kit.four(
        lambda: kit.cylinder(
            (x + 0.045, y + 0.03, 0), (x, y, low + 0.01), 0.014, legs, end_radius=0.025, name="leg"
        )
    )


def _drawer_desk(kit: Any, rng: random.Random) -> None:
    """A desk with a block of drawers on one side and a panel or legs on the other."""
    wood = kit.main()
    handle, style = _pulls(kit, rng)
    width, depth, height, side = rng.uniform(1.15, 1.4), rng.uniform(0.58, 0.66), 0.74, rng.choice((-1, 1))
    block = rng.uniform(0.36, 0.42)
    x = side * (width / 2 - block / 2 - 0.015)
    kit.box((width, depth, 0.03), wood, at=(0, 0, height - 0.03), bevel=0.005, name="top")
    kit.box((block, depth - 0.04, height - 0.08), wood, at=(x, 0.01, 0.055), bevel=0.004, name="drawer block")
    kit.box(
        (block - 0.04, depth - 0.1, 0.06), kit.mat("black wood"), at=(x, 0.02, 0), bevel=0.002, name="plinth"
    )
    count = rng.choice((3, 4))
    shares = [1.0] * (count - 1) + [1.0 if count == 4 else 1.5]
    z, free = height - 0.036, height - 0.036 - 0.06
    kit.box(
        (block - 0.02, 0.006, free),
        kit.mat("grey plastic"),
        at=(x, -depth / 2 + 0.029, 0.058),
        bevel=0,
        name="shadow gap",
    )
    for share in shares:
        tall = free * share / sum(shares)
        _front(kit, wood, handle, (block - 0.006, tall - 0.008), (x, -depth / 2 + 0.028, z - tall / 2), style)
        z -= tall
    if rng.random() < 0.5:
        kit.box(
            (0.03, depth - 0.04, height - 0.025),
            wood,
            at=(-side * (width / 2 - 0.03), 0.01, 0),
            name="end panel",
        )
    else:
        far = -side * (width / 2 - 0.05)
        for y in (-depth / 2 + 0.06, depth / 2 - 0.06):
            kit.box((0.045, 0.045, height - 0.02), kit.accent(), at=(far, y, 0), bevel=0.004, name="leg")
    kit.box((width - 0.06, 0.018, 0.32), wood, at=(0, depth / 2 - 0.06, height - 0.345), name="modesty panel")


def _standing_desk(kit: Any, rng: random.Random) -> None:
    """A height-adjustable desk: two telescopic columns on long feet, a keypad under the edge."""
    top, metal = kit.main(), kit.accent()
    width, depth, height = rng.uniform(1.25, 1.6), rng.uniform(0.66, 0.76), rng.uniform(0.78, 0.98)
    kit.box((width, depth, 0.026), top, at=(0, 0, height - 0.026), bevel=0.006, name="top")
    x = width * 0.36

    def column() -> None:
        kit.box((0.075, depth * 0.88, 0.03), metal, at=(x, 0, 0.008), bevel=0.008, name="foot")
        for y in (-1, 1):
            kit.cylinder(
                (x, y * depth * 0.38, 0),
                (x, y * depth * 0.38, 0.012),
                0.022,
                kit.mat("black plastic"),
                name="glide",
            )
        kit.box((0.085, 0.07, height * 0.55), metal, at=(x, 0.04, 0.03), bevel=0.006, name="outer column")
        kit.box(
            (0.07, 0.056, height * 0.45),
            kit.mat("aluminium"),
            at=(x, 0.04, height * 0.52),
            bevel=0.005,
            name="inner column",
        )
        kit.box((0.06, depth * 0.8, 0.035), metal, at=(x, 0.0, height - 0.06), bevel=0.004, name="bracket")

    kit.both_sides(column)
    for y in (-0.02, 0.1):
        kit.beam((-x, y, height - 0.042), (x, y, height - 0.042), 0.035, 0.035, metal, name="cross bar")
    kit.box(
        (0.12, 0.045, 0.024),
        kit.mat("black plastic"),
        at=(width * 0.3, -depth / 2 + 0.02, height - 0.048),
        bevel=0.006,
        name="keypad",
    )
    for i in range(4):
        kit.box(
            (0.014, 0.004, 0.01),
            kit.mat("white plastic"),
            at=(width * 0.3 - 0.036 + i * 0.024, -depth / 2 - 0.003, height - 0.042),
            bevel=0.001,
            name="key",
        )


def _hutch_desk(kit: Any, rng: random.Random) -> None:
    """A desk with a shelf unit standing on its back edge and two drawers under the top."""
    wood = kit.main()
    handle, style = _pulls(kit, rng)
    width, depth, height = rng.uniform(1.0, 1.2), rng.uniform(0.54, 0.6), 0.75
    kit.box((width, depth, 0.028), wood, at=(0, 0, height - 0.028), bevel=0.005, name="top")
    x, y = width / 2 - 0.04, depth / 2 - 0.04
    kit.four(lambda: kit.box((0.05, 0.05, height - 0.02), wood, at=(x, y, 0), bevel=0.004, name="leg"))
    kit.box(
        (width - 0.06, depth - 0.07, 0.11),
        wood,
        at=(0, 0.01, height - 0.135),
        bevel=0.003,
        name="drawer case",
    )
    for s in (-1, 1):
        _front(kit, wood, handle, (x - 0.035, 0.1), (s * x / 2, -depth / 2 + 0.044, height - 0.083), style)
    tall, deep = rng.uniform(0.36, 0.5), 0.2
    at = depth / 2 - deep / 2
    uprights = (-1, -0.3, 0.3, 1)
    for u in uprights:
        kit.box(
            (0.02, deep, tall),
            wood,
            at=(u * (width / 2 - 0.012), at, height - 0.004),
            bevel=0.003,
            name="upright",
        )
    kit.box(
        (width + 0.02, deep + 0.02, 0.022),
        wood,
        at=(0, at - 0.005, height + tall - 0.01),
        bevel=0.004,
        name="hutch top",
    )
    kit.box(
        (width - 0.01, 0.014, tall),
        wood,
        at=(0, depth / 2 - 0.01, height - 0.004),
        bevel=0.002,
        name="hutch back",
    )
    half = width / 2 - 0.012
    for left, right, share in ((-1, -0.3, 0.5), (-0.3, 0.3, 0.62), (0.3, 1, 0.5)):
        kit.box(
            ((right - left) * half, deep - 0.012, 0.018),
            wood,
            at=((left + right) / 2 * half, at, height + tall * share),
            bevel=0.003,
            name="shelf",
        )
    _books(kit, rng, -half + 0.02, -half * 0.3 - 0.05, at - 0.01, height, tall * 0.46, deep - 0.05)


# ---- bookshelf ---------------------------------------------------------------------------------------------
COVERS = ("red", "blue", "green", "navy", "white", "beige", "brown", "orange", "grey", "teal", "yellow")


def _books(
    kit: Any, rng: random.Random, left: float, right: float, y: float, z: float, room: float, depth: float
) -> None:
    """Stand books from `left` to at most `right`, spines to the front; `room` is the height above."""
    x = left
    while True:
        thick, tall = rng.uniform(0.018, 0.042), min(room - 0.025, rng.uniform(0.17, 0.26))
        if x + thick > right:
            return
        deep = min(depth, rng.uniform(0.13, 0.17))
        cover = kit.mat("plastic", rng.choice(COVERS), roughness=0.55)
        with kit.place(x + thick / 2, y - depth / 2 + deep / 2, z - 0.001):
            kit.box((thick - 0.001, deep, tall), cover, bevel=0.003, name="book")
            if rng.random() < 0.5:
                kit.box(
                    (thick - 0.006, 0.003, tall * 0.16),
                    kit.mat("white paper"),
                    at=(0, -deep / 2, tall * 0.66),
                    bevel=0,
                    name="book label",
                )
        x += thick


def _shelf_life(
    kit: Any, rng: random.Random, left: float, right: float, y: float, z: float, room: float, depth: float
) -> None:
    """Fill one compartment: books, a vase, a storage basket, or nothing."""
    kind = rng.choices(("books", "vase", "basket", "empty"), (6, 1, 1, 1))[0]
    middle = (left + right) / 2
    if kind == "books":
        _books(kit, rng, left + 0.004, left + (right - left) * rng.uniform(0.5, 0.98), y, z, room, depth)
    elif kind == "vase":
        tall = min(0.2, room - 0.05)
        kit.lathe(
            [
                (0, 0),
                (0.03, 0),
                (0.055, tall * 0.3),
                (0.05, tall * 0.6),
                (0.022, tall * 0.82),
                (0.028, tall),
                (0, tall),
            ],
            kit.mat("ceramic", rng.choice(("white", "teal", "yellow"))),
            at=(middle, y, z - 0.001),
            smooth=True,
            name="vase",
        )
    elif kind == "basket":
        size = (min(0.3, right - left - 0.03), depth * 0.9, min(0.2, room * 0.62))
        kit.box(size, kit.mat("rattan"), at=(middle, y, z - 0.001), bevel=0.015, name="basket")


def build_bookshelf(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a bookshelf 1.0 to 2.0 m high, filled with books, that faces -y."""
    {"tall": _tall_shelf, "ladder": _ladder_shelf, "cube": _cube_shelf, "industrial": _industrial_shelf}[
        spec.shape
    ](kit, rng)


def _tall_shelf(kit: Any, rng: random.Random) -> None:
    """A closed-back bookcase with plinth and cornice."""
    wood = kit.main()
    width, depth, height = rng.uniform(0.72, 0.95), rng.uniform(0.27, 0.31), rng.uniform(1.7, 1.95)
    rows = rng.choice((5, 6))
    for side in (-1, 1):
        kit.box((0.024, depth, height), wood, at=(side * (width / 2 - 0.012), 0, 0), bevel=0.003, name="side")
    kit.box(
        (width - 0.01, 0.012, height - 0.02), wood, at=(0, depth / 2 - 0.008, 0.01), bevel=0.002, name="back"
    )
    kit.box(
        (width + 0.03, depth + 0.02, 0.03), wood, at=(0, -0.005, height - 0.01), bevel=0.006, name="cornice"
    )
    kit.box((width - 0.03, depth - 0.02, 0.075), wood, at=(0, 0, 0), bevel=0.003, name="plinth")
    step = (height - 0.08) / rows
    for i in range(rows):
        z = 0.065 + step * i
        kit.box((width - 0.03, depth - 0.014, 0.024), wood, at=(0, 0, z), bevel=0.003, name="shelf")
        _shelf_life(
            kit, rng, -width / 2 + 0.026, width / 2 - 0.026, -0.01, z + 0.024, step - 0.024, depth - 0.06
        )


def _ladder_shelf(kit: Any, rng: random.Random) -> None:
    """A leaning ladder whose shelves get deeper downward."""
    wood, frame = kit.main(), kit.accent()
    width, height, lean = rng.uniform(0.6, 0.72), rng.uniform(1.65, 1.85), rng.uniform(0.34, 0.4)
    x = width / 2

    def rails() -> None:
        kit.beam((x, -lean, 0), (x, 0.0, height), 0.025, 0.04, frame, name="front rail")
        kit.beam((x, 0.04, 0), (x, 0.03, height), 0.025, 0.03, frame, name="back rail")

    kit.both_sides(rails)
    kit.beam((-x, 0.02, height - 0.06), (x, 0.02, height - 0.06), 0.025, 0.035, frame, name="top bar")
    rows = rng.choice((4, 5))
    for i in range(rows):
        z = 0.16 + (height - 0.34) * i / (rows - 1)
        front, back = -lean * (1 - z / height) - 0.01, 0.045
        deep = back - front + 0.02
        at = (front + back) / 2
        kit.box((width - 0.024, deep, 0.022), wood, at=(0, at, z), bevel=0.004, name="shelf")
        kit.beam((-x, back, z + 0.05), (x, back, z + 0.05), 0.012, 0.04, wood, name="shelf back")
        room = (height - 0.34) / (rows - 1) - 0.03
        _shelf_life(
            kit, rng, -x + 0.03, x - 0.03, at - 0.008, z + 0.022, room, max(0.13, min(0.2, deep - 0.06))
        )


def _cube_shelf(kit: Any, rng: random.Random) -> None:
    """A grid of square compartments."""
    wood = kit.main()
    columns, rows = rng.choice(((2, 4), (3, 3), (4, 3), (4, 4)))
    cell, board, outer, depth = rng.uniform(0.33, 0.36), 0.018, 0.036, rng.uniform(0.32, 0.37)
    width, height = columns * cell + 2 * outer, rows * cell + 2 * outer
    for side in (-1, 1):
        kit.box((outer, depth, height), wood, at=(side * (width - outer) / 2, 0, 0), bevel=0.003, name="side")
        kit.box(
            (width - 0.002, depth - 0.001, outer),
            wood,
            at=(0, 0, (height - outer) * (side + 1) / 2),
            bevel=0.003,
            name="top or bottom",
        )
    kit.box(
        (width - 0.01, 0.01, height - 0.01), wood, at=(0, depth / 2 - 0.008, 0.005), bevel=0.002, name="back"
    )
    for c in range(1, columns):
        kit.box(
            (board, depth - 0.006, height - outer),
            wood,
            at=(-width / 2 + outer + cell * c, 0, outer / 2),
            bevel=0.002,
            name="upright",
        )
    for r in range(1, rows):
        kit.box(
            (width - outer, depth - 0.008, board),
            wood,
            at=(0, 0, outer + cell * r - board / 2),
            bevel=0.002,
            name="shelf",
        )
    for c in range(columns):
        for r in range(rows):
            left = -width / 2 + outer + cell * c + board / 2
            floor = outer + cell * r + (board / 2 if r else 0)
            _shelf_life(kit, rng, left, left + cell - board, -0.02, floor, cell - board, depth - 0.09)


def _industrial_shelf(kit: Any, rng: random.Random) -> None:
    """Thick shelves in an open metal frame, crossed at the back."""
    wood, metal = kit.main(), kit.accent()
    width, depth, height = rng.uniform(0.85, 1.1), rng.uniform(0.3, 0.35), rng.uniform(1.4, 1.8)
    x, y, rows = width / 2, depth / 2, rng.choice((4, 5))
    kit.four(lambda: kit.box((0.028, 0.028, height), metal, at=(x, y, 0), bevel=0.003, name="post"))
    kit.both_sides(
        lambda: kit.beam((x, -y, height - 0.014), (x, y, height - 0.014), 0.024, 0.024, metal, name="end bar")
    )
    step = (height - 0.14) / (rows - 1)
    for i in range(rows):
        z = 0.1 + step * i
        kit.box((width + 0.02, depth + 0.01, 0.034), wood, at=(0, 0, z), bevel=0.005, name="shelf")
        kit.both_sides(
            lambda z=z: kit.beam((x, -y, z - 0.006), (x, y, z - 0.006), 0.022, 0.02, metal, name="shelf bar")
        )
        if i < rows - 1:
            _shelf_life(kit, rng, -x + 0.03, x - 0.03, -0.02, z + 0.034, step - 0.034, depth - 0.09)
    top = 0.1 + step * (rows - 1)
    for side in (-1, 1):
        kit.beam(
            (-side * x, y + 0.006, 0.11),
            (side * x, y + 0.006 + 0.004 * side, top),
            0.008,
            0.02,
            metal,
            name="brace",
        )


# ---- bed ---------------------------------------------------------------------------------------------------
def build_bed(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a made bed 2.0 m long, 0.95 to 1.7 m wide, its foot towards -y."""
    width = rng.choice((0.95, 1.25, 1.45, 1.65)) + rng.uniform(0, 0.05)
    {"platform": _platform_bed, "upholstered": _upholstered_bed, "slatted": _slatted_bed, "rails": _rail_bed}[
        spec.shape
    ](kit, rng, width)


def _bedding(kit: Any, rng: random.Random, width: float, length: float, z: float) -> None:
    """Put mattress, blanket with a turned-down sheet, and pillows on a frame at height z."""
    linen, blanket = kit.mat("white cotton", weave=0.004), kit.accent(weave=0.008)
    thick = rng.uniform(0.18, 0.23)
    kit.cushion(
        (width, length, thick), linen, at=(0, 0, z), radius=0.05, puff=0.006, piping=linen, name="mattress"
    )
    top = z + thick
    fold = length * rng.uniform(0.18, 0.26)
    reach = length / 2 + 0.02
    _drape(
        kit,
        blanket,
        width / 2 + 0.022,
        -reach,
        fold,
        top + 0.012,
        z + rng.uniform(0.079, 0.09),
        0.03,
        rng,
        "blanket",
    )
    _drape(
        kit,
        linen,
        width / 2 + 0.03,
        fold - 0.2,
        fold + 0.02,
        top + 0.026,
        z + 0.1,
        0.022,
        rng,
        "turned-down sheet",
    )
    count = 1 if width < 1.15 else 2
    wide = min(0.72, (width - 0.06) / count)
    for i in range(count):
        x = (i - (count - 1) / 2) * (wide + 0.02)
        with kit.place(x, length / 2 - 0.24, top + 0.02, rot=(rng.uniform(14, 22), 0, rng.uniform(-2, 2))):
            kit.cushion((wide, 0.44, 0.1), linen, radius=0.048, puff=0.06, wrinkle=0.006, name="pillow")
    if rng.random() < 0.5:
        small = kit.mat(rng.choice(("grey linen", "yellow linen", "teal velvet")), weave=0.005)
        with kit.place(
            rng.uniform(-0.08, 0.08), length / 2 - 0.47, top + 0.04, rot=(-30, 0, rng.uniform(-5, 5))
        ):
            kit.cushion((0.42, 0.1, 0.3), small, radius=0.048, puff=0.05, name="small pillow")


def _drape(
    kit: Any,
    mat: Any,
    half: float,
    front: float,
    back: float,
    top: float,
    hem: float,
    thick: float,
    rng: random.Random,
    name: str,
) -> None:
    """Lay cloth over the mattress: flat on top, hanging at the sides (and the foot) with soft folds."""
    phase, fall = rng.uniform(0, 6), top - hem
    over_foot = front < -0.9
    r = 0.05

    def bend(s: float, edge: float) -> tuple[float, float]:
        """Return (outward position, drop) after walking s metres from the middle over an edge of radius r."""
        flat = edge - r
        if s <= flat:
            return s, 0.0
        turn = (s - flat) / r
        if turn < math.pi / 2:
            return flat + r * math.sin(turn), r * (1 - math.cos(turn))
        return edge, r + s - flat - r * math.pi / 2

    side_reach = half - r + r * math.pi / 2 + fall - r
    foot_reach = fall + r * (math.pi / 2 - 2) if over_foot else 0.0

    def surface(u: float, v: float) -> tuple[float, float, float]:
        across = (2 * u - 1) * side_reach
        x, drop = bend(abs(across), half)
        along = back - v * (back - front + foot_reach)
        y, down = along, 0.0
        if over_foot and along < 0:
            out, down = bend(-along, -front)
            y = -out
        both = min(1.0, drop / 0.1) * min(1.0, down / 0.1)
        lower = max(drop, down)
        wave = 0.008 * math.sin(along * 17 + phase) * min(1.0, drop / 0.12) + 0.006 * math.sin(
            along * 31
        ) * min(1.0, drop / 0.12)
        ripple = 0.008 * math.sin(across * 15 + phase) * min(1.0, down / 0.12)
        soft = 0.004 * math.sin(along * 9 + across * 5 + phase) * math.sin(across * 7 - along * 4)
        x -= 0.012 * both
        return math.copysign(x + wave, across), y - ripple, top - lower + soft * (1 - min(1.0, lower / 0.05))

    kit.sheet(surface, mat, thickness=thick, nu=97, nv=81, name=name)


def _bed_frame(
    kit: Any, rng: random.Random, mat: Any, width: float, length: float, low: float, high: float
) -> None:
    """Add the side rails, the foot rail and the slatted floor between heights low and high."""
    x, y = width / 2 + 0.025, length / 2 + 0.03
    for side in (-1, 1):
        kit.box((0.035, 2 * y, high - low), mat, at=(side * x, 0, low), bevel=0.006, name="side rail")
    kit.box((2 * x + 0.035, 0.035, high - low), mat, at=(0, -y, low), bevel=0.006, name="foot rail")
    kit.box((2 * x, 2 * y, 0.03), kit.mat("pine"), at=(0, 0, high - 0.1), bevel=0.003, name="bed floor")


def _platform_bed(kit: Any, rng: random.Random, width: float) -> None:
    """A low wooden platform with a plain panel as headboard."""
    wood = kit.main()
    length, leg, high = 2.0, rng.uniform(0.1, 0.16), rng.uniform(0.3, 0.34)
    _bed_frame(kit, rng, wood, width, length, leg, high)
    x, y = width / 2 - 0.06, length / 2 - 0.12
    kit.four(
        lambda: kit.cylinder(
            (x + 0.03, y + 0.05, 0), (x, y, high - 0.08), 0.02, wood, end_radius=0.034, name="leg"
        )
    )
    tall, boards = rng.uniform(0.8, 1.0), rng.choice((2, 3))
    free = tall - leg - 0.02
    for i in range(boards):
        kit.box(
            (width + 0.14, 0.035, free / boards - 0.003),
            wood,
            at=(0, length / 2 + 0.05, leg + 0.02 + free / boards * i),
            bevel=0.007,
            name="headboard",
        )
    for side in (-1, 1):
        kit.box(
            (0.07, 0.03, tall - 0.06),
            wood,
            at=(side * (width / 2 - 0.1), length / 2 + 0.078, 0.0),
            bevel=0.004,
            name="head post",
        )
    _bedding(kit, rng, width, length, high - 0.075)


def _upholstered_bed(kit: Any, rng: random.Random, width: float) -> None:
    """A padded frame with a buttoned or channelled headboard."""
    cloth = kit.main(scale=0.1, weave=0.007)
    length, leg, high = 2.0, rng.uniform(0.07, 0.12), rng.uniform(0.34, 0.38)
    x, y = width / 2 + 0.035, length / 2 + 0.035
    for side in (-1, 1):
        kit.cushion(
            (0.08, 2 * y + 0.06, high - leg),
            cloth,
            at=(side * x, 0, leg),
            radius=0.025,
            puff=0.004,
            name="side rail",
        )
    kit.cushion(
        (2 * x + 0.08, 0.08, high - leg), cloth, at=(0, -y, leg), radius=0.025, puff=0.004, name="foot rail"
    )
    kit.box((2 * x, 2 * y, 0.03), kit.mat("pine"), at=(0, 0, high - 0.1), bevel=0.003, name="bed floor")
    kit.four(
        lambda: kit.cylinder(
            (x - 0.03, y - 0.03, 0),
            (x - 0.03, y - 0.03, leg + 0.02),
            0.022,
            kit.mat("black wood"),
            end_radius=0.03,
            name="leg",
        )
    )
    tall, wide = rng.uniform(1.0, 1.2), width + 0.17
    back = length / 2 + 0.09
    if rng.random() < 0.5:
        rows, columns = 2, max(4, round(wide / 0.26))
        dimples = [
            (-0.86 + 1.72 * i / (columns - 1), 0.25 + 0.4 * r) for r in range(rows) for i in range(columns)
        ]
        kit.cushion(
            (wide, 0.12, tall - leg),
            cloth,
            at=(0, back, leg),
            radius=0.045,
            puff=0.03,
            dimples=dimples,
            name="headboard",
        )
        for u, v in dimples:
            kit.sphere(
                0.013, cloth, at=(u * wide / 2, back - 0.052, leg + (tall - leg) * (v + 1) / 2), name="button"
            )
    else:
        count = max(4, round(wide / rng.uniform(0.17, 0.22)))
        step = wide / count
        kit.box(
            (wide - 0.02, 0.04, tall - leg - 0.03),
            cloth,
            at=(0, back + 0.04, leg),
            bevel=0.01,
            name="headboard back",
        )
        for i in range(count):
            kit.cushion(
                (step * 0.995, 0.11, tall - leg),
                cloth,
                at=(-wide / 2 + step * (i + 0.5), back, leg),
                radius=0.05,
                puff=0.03,
                name="headboard channel",
            )
    _bedding(kit, rng, width, length, high - 0.075)


def _slatted_bed(kit: Any, rng: random.Random, width: float) -> None:
    """A wooden bed with upright slats in its headboard and its lower footboard."""
    wood = kit.main()
    length, high = 2.0, rng.uniform(0.34, 0.38)
    _bed_frame(kit, rng, wood, width, length, high - 0.16, high)
    x = width / 2 + 0.03
    for y, tall in ((length / 2 + 0.05, rng.uniform(0.95, 1.1)), (-length / 2 - 0.05, rng.uniform(0.5, 0.6))):
        for side in (-1, 1):
            kit.box((0.06, 0.06, tall), wood, at=(side * x, y, 0), bevel=0.008, name="post")
        kit.box((2 * x + 0.1, 0.07, 0.045), wood, at=(0, y, tall - 0.02), bevel=0.01, name="cap rail")
        kit.beam((-x, y, high - 0.05), (x, y, high - 0.05), 0.035, 0.1, wood, name="low rail")
        count = max(5, round(width / 0.13))
        for i in range(count):
            at = -x + 2 * x * (i + 1) / (count + 1)
            kit.box(
                (0.045, 0.018, tall - high + 0.03), wood, at=(at, y, high - 0.03), bevel=0.003, name="slat"
            )
    _bedding(kit, rng, width, length, high - 0.075)


def _rail_bed(kit: Any, rng: random.Random, width: float) -> None:
    """A metal bed: bent tubes at head and foot with bars and ball finials."""
    metal = kit.main()
    length, high = 2.0, rng.uniform(0.36, 0.42)
    x, rounded = width / 2 + 0.02, rng.random() < 0.5
    for side in (-1, 1):
        kit.box(
            (0.03, length + 0.1, 0.05), metal, at=(side * x, 0, high - 0.08), bevel=0.004, name="side rail"
        )
    kit.box((2 * x, length + 0.08, 0.02), metal, at=(0, 0, high - 0.09), bevel=0.003, name="bed floor")
    for y, tall in (
        (length / 2 + 0.055, rng.uniform(1.0, 1.15)),
        (-length / 2 - 0.055, rng.uniform(0.66, 0.76)),
    ):
        if rounded:
            kit.tube([(-x, y, 0), (-x, y, tall), (x, y, tall), (x, y, 0)], 0.018, metal, bend=0.2, name="bow")
        else:
            for side in (-1, 1):
                kit.cylinder((side * x, y, 0), (side * x, y, tall), 0.019, metal, name="post")
                kit.sphere(0.033, kit.mat("brass"), at=(side * x, y, tall + 0.018), name="finial")
            kit.tube(
                [(-x, y, tall - 0.06), (0, y, tall + 0.02), (x, y, tall - 0.06)],
                0.014,
                metal,
                smooth=True,
                name="top bar",
            )
        low = high - 0.06
        kit.cylinder((-x, y, low), (x, y, low), 0.012, metal, name="low bar")
        count = max(5, round(width / 0.16))
        for i in range(count):
            at = -x + 2 * x * (i + 1) / (count + 1)
            share = 1 - (abs(at) / x) ** 2
            if rounded:
                edge = max(0.0, abs(at) - (x - 0.2)) / 0.2
                end = tall - 0.1 * edge**2
            else:
                end = tall - 0.06 + 0.078 * share
            kit.cylinder((at, y, low), (at, y, end), 0.0085, metal, segments=20, name="bar")
    _bedding(kit, rng, width, length, high - 0.075)


TABLE = ProductType(
    name="table",
    category="Furniture",
    mount="floor",
    price=(89, 990),
    shapes={"farmhouse": "rustic", "pedestal": "modern", "trestle": "industrial", "coffee": "scandinavian"},
    finishes=(
        Finish("oak", weight=2),
        Finish("walnut", weight=2),
        Finish("wood", ("white", "black", "green"), weight=2, shapes=("farmhouse", "pedestal", "coffee")),
        Finish("marble", weight=2, shapes=("pedestal",)),
    ),
    build=build_table,
    accents={
        "pedestal": ("black metal", "white metal", "grey metal"),
        "trestle": ("black metal", "white wood", "black wood"),
        "coffee": ("black metal", "beech", "white metal"),
    },
    title={
        "farmhouse": "{finish} farmhouse dining table",
        "pedestal": "Round {finish} pedestal table with {accent} foot",
        "trestle": "{finish} trestle table with {accent} legs",
        "coffee": "{finish} coffee table with {accent} legs",
    },
    elevations=((16, 24), (13, 18), (26, 34)),
)

DESK = ProductType(
    name="desk",
    category="Furniture",
    mount="floor",
    price=(119, 890),
    shapes={"writing": "scandinavian", "drawers": "contemporary", "standing": "modern", "hutch": "classic"},
    finishes=(
        Finish("oak", weight=2),
        Finish("walnut", weight=2),
        Finish("pine", shapes=("writing", "drawers", "hutch")),
        Finish("wood", ("white", "black", "green", "grey"), weight=3),
    ),
    build=build_desk,
    accents={
        "writing": ("black metal", "beech", "oak"),
        "drawers": ("black metal", "white metal"),
        "standing": ("black metal", "white metal", "grey metal"),
    },
    title={
        "writing": "{finish} writing desk with {accent} legs",
        "drawers": "{finish} desk with drawer block",
        "standing": "{finish} standing desk with {accent} frame",
        "hutch": "{finish} desk with shelf top",
    },
    azimuths=((20, 38), (-48, -32), (55, 70)),
    elevations=((15, 22), (14, 19), (25, 32)),
)

BOOKSHELF = ProductType(
    name="bookshelf",
    category="Furniture",
    mount="floor",
    price=(59, 690),
    shapes={"tall": "classic", "ladder": "scandinavian", "cube": "modern", "industrial": "industrial"},
    finishes=(
        Finish("oak", weight=2),
        Finish("walnut", weight=2),
        Finish("pine", shapes=("tall", "ladder", "industrial")),
        Finish("wood", ("white", "black", "green", "blue"), weight=3, shapes=("tall", "cube", "ladder")),
    ),
    build=build_bookshelf,
    accents={"ladder": ("black metal", "white metal", "oak"), "industrial": ("black metal", "grey metal")},
    title={
        "tall": "Tall {finish} bookshelf",
        "ladder": "{finish} ladder bookshelf with {accent} frame",
        "cube": "{finish} cube bookshelf",
        "industrial": "{finish} bookshelf with {accent} frame",
    },
    azimuths=((14, 28), (-42, -28), (48, 58)),
    elevations=((6, 12), (5, 10), (14, 20)),
)

BED = ProductType(
    name="bed",
    category="Furniture",
    mount="floor",
    price=(189, 1490),
    shapes={
        "platform": "scandinavian",
        "upholstered": "contemporary",
        "slatted": "rustic",
        "rails": "vintage",
    },
    finishes=(
        Finish("oak", weight=2, shapes=("platform", "slatted")),
        Finish("walnut", weight=2, shapes=("platform", "slatted")),
        Finish("wood", ("white", "black", "grey"), shapes=("platform", "slatted"), weight=2),
        Finish("fabric", ("blue", "grey", "beige", "green"), shapes=("upholstered",), weight=2),
        Finish("velvet", ("pink", "green", "navy", "blue"), shapes=("upholstered",), weight=2),
        Finish("metal", ("black", "white", "grey"), shapes=("rails",), weight=3),
    ),
    build=build_bed,
    accents={
        "platform": ("white cotton", "grey linen", "beige linen", "blue cotton", "green linen"),
        "upholstered": ("white cotton", "beige linen", "grey linen"),
        "slatted": ("grey linen", "blue cotton", "beige linen", "green linen", "white cotton"),
        "rails": ("blue cotton", "grey linen", "beige linen", "green linen"),
    },
    title={
        "platform": "{finish} platform bed with {accent} blanket",
        "upholstered": "{finish} upholstered bed with {accent} blanket",
        "slatted": "{finish} slatted bed with {accent} blanket",
        "rails": "{finish} bed with {accent} blanket",
    },
    azimuths=((24, 38), (-46, -32), (55, 68)),
    elevations=((18, 25), (14, 20), (28, 36)),
)

TYPES = (TABLE, DESK, BOOKSHELF, BED)
