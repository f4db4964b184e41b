"""Declare electronics: laptops, monitors, headphones, speakers. It knows no camera and no light."""

import math
import random
from typing import Any

from sample_store.spec import Finish, ProductType, Spec


def build_laptop(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model an open laptop 30 to 37 cm wide whose screen faces -y."""
    width = rng.uniform(0.30, 0.33)
    depth = width * rng.uniform(0.67, 0.71)
    picture = rng.randrange(4)
    {"slim": _slim_laptop, "gaming": _gaming_laptop, "tent": _tent_laptop, "tablet": _tablet_laptop}[
        spec.shape
    ](kit, spec, rng, width, depth, picture)


def _key_colour(colour: str) -> str:
    """Return a key colour that stands off a deck of the given colour."""
    return {"black": "grey", "white": "grey"}.get(colour, "black")


def _keys(
    kit: Any, width: float, depth: float, at: tuple[float, float, float], mat: Any, rows: int = 5
) -> None:
    """Lay a keyboard of staggered rows, its centre at `at`, as one part."""
    pitch, gap = depth / rows, 0.0028
    vertices: list[tuple[float, float, float]] = []
    faces: list[tuple[int, ...]] = []
    layouts = [[1.0] * 14, [1.0] * 13 + [1.5], [1.5] + [1.0] * 12 + [1.3], [1.8] + [1.0] * 11 + [1.9]]
    layouts.append([1.2, 1.2, 1.2, 6.2, 1.2, 1.2, 1.0, 1.0])
    for row in range(rows):
        keys = layouts[-1] if row == rows - 1 else layouts[row % 4]
        x, unit = -width / 2, width / sum(keys)
        y = depth / 2 - (row + 0.5) * pitch
        for key in keys:
            centre = x + unit * key / 2
            x += unit * key
            hx, hy = unit * key / 2 - gap / 2, pitch / 2 - gap / 2
            first = len(vertices)
            for z, inset in ((-0.001, 0.0), (0.0012, 0.0), (0.0018, 0.0009)):
                for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                    vertices.append(
                        (at[0] + centre + sx * (hx - inset), at[1] + y + sy * (hy - inset), at[2] + z)
                    )
            for level in (0, 4):
                for i in range(4):
                    j = (i + 1) % 4
                    faces.append(
                        (first + level + i, first + level + j, first + level + 4 + j, first + level + 4 + i)
                    )
            faces.append(tuple(first + 8 + i for i in range(4)))
            faces.append(tuple(first + 3 - i for i in range(4)))
    kit.mesh(vertices, faces, mat, name="keys", flat=True)


def _panel(
    kit: Any, width: float, height: float, thick: float, body: Any, picture: int, frame: float = 0.0035
) -> None:
    """Stand a display on the origin: a body with a visible `frame`, black glass, the picture towards -y."""
    from sample_store.mesh import rounded_rect

    outline = rounded_rect(width, height, 0.011)
    kit.extrude(outline, thick, body, plane="xz", at=(0, 0, height / 2), bevel=0.0016, name="lid")
    rim = 0.0075
    glass = rounded_rect(width - 2 * frame, height - 2 * frame, 0.008)
    front = -thick / 2
    kit.extrude(
        glass,
        0.0012,
        kit.mat("black gloss"),
        plane="xz",
        at=(0, front, height / 2),
        bevel=0.0003,
        name="bezel",
    )
    screen = kit.mat("screen", picture=picture)
    size = (width - 2 * frame - 2 * rim, 0.001, height - 2 * frame - 2.3 * rim)
    kit.box(size, screen, at=(0, front - 0.0008, frame + 1.3 * rim), bevel=0, name="screen")
    kit.sphere(
        (0.0016, 0.0006, 0.0016), kit.mat("navy gloss"), at=(0, front - 0.0007, height - frame - rim / 2)
    )


def _deck(
    kit: Any, spec: Spec, width: float, depth: float, thick: float, body: Any, keys: Any, reach: float = 0.0
) -> None:
    """Lay the keyboard half: its hinge edge at y = 0, its top at z = 0, towards -y."""
    from sample_store.mesh import rounded_rect

    outline = [(x, y - depth / 2) for x, y in rounded_rect(width, depth, 0.011)]
    kit.extrude(outline, thick, body, at=(0, 0, -thick / 2), bevel=min(0.004, thick * 0.3), name="base")
    board = depth * 0.5
    tray = rounded_rect(width * 0.885, board + 0.006, 0.004)
    well = kit.mat("grey metal" if spec.colour == "black" else "black metal")
    middle = -reach - depth * 0.075 - board / 2
    kit.extrude(tray, 0.0012, well, at=(0, middle, -0.0002), bevel=0.0003, name="key tray")
    _keys(kit, width * 0.87, board, (0, middle, 0.0004), keys)
    pad_depth = depth - (-middle + board / 2) - 0.024
    pad = rounded_rect(width * 0.36, pad_depth, 0.004)
    face = kit.mat("aluminium" if spec.colour == "grey" else "grey metal")
    pad_y = -depth + 0.011 + pad_depth / 2
    kit.extrude(pad, 0.001, face, at=(0, pad_y, 0), bevel=0.0003, name="touchpad")


def _slim_laptop(kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, picture: int) -> None:
    """A thin ultrabook with a full-length hinge."""
    body, dark = kit.main_plain(), kit.mat("black plastic")
    thick, opening = rng.uniform(0.011, 0.014), rng.uniform(14, 26)
    keys = kit.mat("plastic", _key_colour(spec.colour), roughness=0.5)
    _deck(kit, spec, width, depth, thick, body, keys)
    kit.cylinder((-width * 0.4, 0.0, 0.001), (width * 0.4, 0.0, 0.001), 0.0058, dark, name="hinge")
    with kit.place(0, 0.001, 0.003, rot=(-opening, 0, 0)):
        _panel(kit, width, depth * 0.99, 0.0065, body, picture)
        kit.cylinder(
            (0, 0.0030, depth * 0.52), (0, 0.0037, depth * 0.52), 0.014, kit.mat("chrome"), name="logo"
        )


def _gaming_laptop(
    kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, picture: int
) -> None:
    """A thick laptop with a vented block behind the screen and coloured keys and trim."""
    body = kit.main_plain()
    trim = kit.mat("black gloss") if spec.accent.startswith(spec.colour) else kit.accent()
    width, depth = width * 1.1, depth * 1.1
    thick, opening, behind = rng.uniform(0.024, 0.028), rng.uniform(12, 22), 0.034
    _deck(kit, spec, width, depth, thick, body, trim)
    kit.box(
        (width * 0.8, behind, thick - 0.002),
        kit.mat("black plastic"),
        at=(0, behind / 2 - 0.001, -thick),
        bevel=0.007,
        name="exhaust block",
    )
    for i in range(13):
        x = (i - 6) * width * 0.055
        kit.box(
            (0.006, 0.002, thick * 0.5), trim, at=(x, behind - 0.001, -thick * 0.8), bevel=0.0006, name="vent"
        )
    kit.box((width * 0.7, 0.003, 0.005), trim, at=(0, -depth, -thick * 0.62), bevel=0.001, name="light bar")
    for side in (-1, 1):
        kit.cylinder(
            (side * width * 0.36, 0.002, 0.002),
            (side * width * 0.22, 0.002, 0.002),
            0.0085,
            body,
            name="hinge",
        )
    with kit.place(0, 0.002, 0.006, rot=(-opening, 0, 0)):
        _panel(kit, width, depth * 0.93, 0.0085, body, picture)
        kit.extrude(
            [(-0.03, 0), (0, -0.03), (0.03, 0), (0, 0.012)],
            0.002,
            trim,
            plane="xz",
            at=(0, 0.0045, depth * 0.5),
            bevel=0.0005,
            name="logo",
        )


def _tent_laptop(kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, picture: int) -> None:
    """A convertible folded over into a tent, its screen in front and its keyboard behind."""
    body, thick, lean = kit.main_plain(), 0.009, rng.uniform(24, 31)
    height = depth * 0.98
    rise = height * math.cos(math.radians(lean))
    keys = kit.mat("plastic", _key_colour(spec.colour), roughness=0.5)
    with kit.place(0, -0.005, rise, rot=(-lean, 0, 0)), kit.place(0, 0, -height):
        _panel(kit, width, height, 0.0075, body, picture, 0.012)
    with kit.place(0, 0.005, rise, rot=(90 + lean, 0, 0)):
        _deck(kit, spec, width, height, thick, body, keys)
        under, rubber = -thick, kit.mat("grey rubber" if spec.colour == "black" else "black rubber")
        for y in (-0.03, 0.03 - height):
            kit.beam(
                (-width * 0.38, y, under), (width * 0.38, y, under), 0.01, 0.004, rubber, name="rubber foot"
            )
        for i in range(11):
            kit.box(
                (0.007, 0.05, 0.002),
                rubber,
                at=((i - 5) * 0.014, -height * 0.36, under - 0.001),
                bevel=0,
                name="vent",
            )
    for side in (-1, 1):
        start, end = side * width * 0.32 - 0.024, side * width * 0.32 + 0.024
        kit.cylinder(
            (start, 0, rise - 0.003), (end, 0, rise - 0.003), 0.009, kit.mat("grey metal"), name="hinge"
        )


def _tablet_laptop(
    kit: Any, spec: Spec, rng: random.Random, width: float, depth: float, picture: int
) -> None:
    """A tablet on its kickstand with a clip-on keyboard cover of the accent's cloth."""
    from sample_store.mesh import rounded_rect

    body, cloth = kit.main_plain(), kit.accent(weave=0.002)
    width, height, lean = width * 0.95, depth * 0.96, rng.uniform(18, 25)
    outline = [(x, y - depth * 0.42) for x, y in rounded_rect(width, depth * 0.84, 0.01)]
    kit.extrude(outline, 0.006, cloth, at=(0, 0.004, 0.003), bevel=0.002, name="keyboard cover")
    keys = kit.mat("plastic", "black" if "black" not in spec.accent else "grey", roughness=0.5)
    _keys(kit, width * 0.88, depth * 0.44, (0, -depth * 0.3, 0.0066), keys)
    pad = rounded_rect(width * 0.34, depth * 0.2, 0.004)
    kit.extrude(
        pad, 0.001, kit.mat("grey metal"), at=(0, -depth * 0.69, 0.0062), bevel=0.0003, name="touchpad"
    )
    with kit.place(0, 0.004, 0.004, rot=(-lean, 0, 0)):
        _panel(kit, width, height, 0.0085, body, picture, 0.012)
        hinge_z = height * 0.52
        leg = hinge_z * 0.98
        with kit.place(0, 0.004, hinge_z, rot=(2 * lean + 6, 0, 0)):
            plate = [(x, y - leg / 2) for x, y in rounded_rect(width * 0.92, leg, 0.01)]
            stand = kit.mat("grey metal") if spec.material == "aluminium" else body
            kit.extrude(plate, 0.003, stand, plane="xz", at=(0, 0.002, 0), bevel=0.001, name="kickstand")
        mark = kit.mat("grey metal" if spec.colour != "grey" else "black metal")
        kit.cylinder((0, 0.0040, height * 0.76), (0, 0.0048, height * 0.76), 0.011, mark, name="logo")


LAPTOP = ProductType(
    name="laptop",
    category="Electronics",
    mount="table",
    price=(349, 1990),
    shapes={"slim": "minimal", "gaming": "gaming", "tent": "modern", "tablet": "compact"},
    finishes=(
        Finish("aluminium", weight=2, shapes=("slim", "tent", "tablet")),
        Finish("metal", ("black", "grey", "blue", "pink"), weight=3, shapes=("slim", "tent", "tablet")),
        Finish("plastic", ("white", "red", "black"), weight=4),
    ),
    build=build_laptop,
    accents={
        "gaming": ("red gloss", "green gloss", "orange gloss", "blue gloss"),
        "tablet": ("red fabric", "blue fabric", "grey fabric", "black fabric"),
    },
    title={
        "slim": "Slim {finish} laptop",
        "gaming": "{finish} gaming laptop",
        "tent": "{finish} convertible laptop",
        "tablet": "{finish} tablet laptop with {accent} keyboard cover",
    },
    azimuths=((12, 28), (-42, -22), (142, 156)),
    elevations=((18, 25), (24, 30), (16, 22)),
)


def build_monitor(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a desktop monitor 55 to 85 cm wide whose screen faces -y."""
    picture = rng.randrange(4)
    {"flat": _flat_monitor, "ultrawide": _ultrawide_monitor, "studio": _studio_monitor, "crt": _crt_monitor}[
        spec.shape
    ](kit, spec, rng, picture)


def _flat_monitor(kit: Any, spec: Spec, rng: random.Random, picture: int) -> None:
    """A flat display with a round or square foot under a slim neck."""
    from sample_store.mesh import rounded_rect

    body, stand = kit.main_plain(), kit.accent()
    width = rng.uniform(0.54, 0.62)
    height, lift = width * rng.uniform(0.57, 0.61), rng.uniform(0.11, 0.15)
    with kit.place(0, 0, lift, rot=(-3, 0, 0)):
        _display(kit, width, height, 0.024, body, picture, chin=0.02)
    kit.beam(
        (0, 0.052, 0.004), (0, 0.046, lift + height * 0.5), 0.055, 0.018, stand, bevel=0.005, name="neck"
    )
    kit.box((0.1, 0.05, 0.1), stand, at=(0, 0.036, lift + height * 0.4), bevel=0.008, name="mount")
    if rng.random() < 0.5:
        kit.cylinder((0, 0.02, 0), (0, 0.02, 0.014), 0.125, stand, round_edge=0.004, name="foot")
    else:
        foot = rounded_rect(0.27, 0.19, 0.02)
        kit.extrude(foot, 0.014, stand, at=(0, 0.02, 0.007), bevel=0.004, name="foot")


def _display(
    kit: Any,
    width: float,
    height: float,
    thick: float,
    body: Any,
    picture: int,
    chin: float,
    rim: float = 0.014,
) -> None:
    """Stand a flat display on the origin with a frame of the body's material and a chin below the picture."""
    from sample_store.mesh import rounded_rect

    outline = rounded_rect(width, height, 0.012)
    kit.extrude(outline, thick, body, plane="xz", at=(0, 0, height / 2), bevel=0.003, name="frame")
    size = (width - 2 * rim, 0.002, height - rim - chin)
    black = (size[0] + 0.006, 0.002, size[2] + 0.006)
    kit.box(black, kit.mat("black gloss"), at=(0, -thick / 2, chin - 0.003), bevel=0, name="glass")
    kit.box(
        size, kit.mat("screen", picture=picture), at=(0, -thick / 2 - 0.001, chin), bevel=0, name="screen"
    )
    kit.box(
        (0.012, 0.003, 0.004),
        kit.mat("green gloss"),
        at=(width * 0.44, -thick / 2, chin * 0.4),
        bevel=0.001,
        name="power light",
    )


def _ultrawide_monitor(kit: Any, spec: Spec, rng: random.Random, picture: int) -> None:
    """A wide display bent around the viewer, on splayed feet."""
    body, stand = kit.main_plain(), kit.accent()
    width, bend = rng.uniform(0.78, 0.86), rng.uniform(0.9, 1.2)
    height, lift = width * rng.uniform(0.41, 0.44), rng.uniform(0.10, 0.13)
    angle = width / bend

    def bent(inset: float, low: float, high: float, front: float) -> Any:
        """Return the point function of a bent sheet `front` metres before the display's middle."""

        def surface(u: float, v: float) -> tuple[float, float, float]:
            a = (u - 0.5) * (angle - 2 * inset / bend)
            r = bend - front
            return r * math.sin(a), r * math.cos(a) - bend, lift + low + (height - low - high) * v

        return surface

    kit.sheet(bent(0, 0, 0, 0), body, thickness=0.026, nu=41, nv=3, name="frame")
    kit.sheet(
        bent(0.012, 0.019, 0.012, 0.0135), kit.mat("black gloss"), thickness=0.002, nu=41, nv=3, name="glass"
    )
    screen = kit.mat("screen", picture=picture)
    kit.sheet(bent(0.015, 0.022, 0.015, 0.0145), screen, thickness=0.002, nu=41, nv=3, name="screen")
    kit.box((0.14, 0.05, 0.12), stand, at=(0, 0.034, lift + height * 0.36), bevel=0.01, name="mount")
    kit.beam((0, 0.06, 0.006), (0, 0.05, lift + height * 0.5), 0.06, 0.03, stand, bevel=0.006, name="neck")
    for side in (-1, 1):
        kit.beam(
            (0, 0.066, 0.009), (side * 0.22, -0.12, 0.009), 0.028, 0.014, stand, bevel=0.004, name="foot"
        )
    kit.beam((0, 0.05, 0.009), (0, 0.13, 0.009), 0.028, 0.014, stand, bevel=0.004, name="rear foot")


def _studio_monitor(kit: Any, spec: Spec, rng: random.Random, picture: int) -> None:
    """A display with a deep chin on a bent plate stand."""
    body, stand = kit.main_plain(), kit.accent()
    width = rng.uniform(0.54, 0.6)
    chin, lift = rng.uniform(0.07, 0.09), rng.uniform(0.08, 0.11)
    height = width * 0.58 + chin
    with kit.place(0, 0, lift, rot=(-5, 0, 0)):
        _display(kit, width, height, 0.022, body, picture, chin=chin, rim=0.012)
        kit.cylinder((0, -0.010, chin * 0.48), (0, -0.0125, chin * 0.48), 0.012, stand, name="logo")
    wide = 0.19
    plate = [(-wide / 2, -0.005), (wide / 2, -0.005), (wide / 2, 0.005), (-wide / 2, 0.005)]
    path = [(0, -0.13, 0.006), (0, 0.10, 0.006), (0, 0.052, lift + height * 0.42)]
    kit.tube(path, 1.0, stand, bend=0.03, section=plate, name="stand")
    kit.box((0.1, 0.05, 0.09), stand, at=(0, 0.036, lift + height * 0.3), bevel=0.008, name="mount")


def _crt_monitor(kit: Any, spec: Spec, rng: random.Random, picture: int) -> None:
    """A retro tube monitor: a deep tapering case on a swivel foot."""
    from sample_store.mesh import rounded_rect

    body, stand = kit.main_plain(), kit.accent()
    width, lift = rng.uniform(0.38, 0.42), 0.055
    height, deep = width * rng.uniform(0.86, 0.92), rng.uniform(0.34, 0.4)
    middle = lift + height / 2
    rings = []
    for y, share, drop in ((0.0, 1.0, 0.0), (0.11, 1.0, 0.0), (0.14, 0.94, 0.0), (deep, 0.62, 0.03)):
        line = rounded_rect(width * share, height * share, 0.022)
        rings.append([(x, y, middle + z - drop) for x, z in line])
    kit.loft(rings, body, sharp_deg=25, name="case")
    inner = (width * 0.84, height * 0.72)
    hole = rounded_rect(*inner, 0.03)
    face = [(x, z + height * 0.06) for x, z in hole]
    kit.extrude(
        rounded_rect(width, height, 0.022),
        0.03,
        body,
        plane="xz",
        at=(0, -0.014, middle),
        bevel=0.008,
        holes=[face],
        name="front frame",
    )
    black = kit.mat("black gloss")
    centre = middle + height * 0.06
    kit.box(
        (inner[0] + 0.01, 0.008, inner[1] + 0.01),
        black,
        at=(0, -0.003, centre - inner[1] / 2 - 0.005),
        bevel=0.001,
        name="tube surround",
    )

    def glass(u: float, v: float) -> tuple[float, float, float]:
        s, t = 2 * u - 1, 2 * v - 1
        bulge = 0.016 * (1 - 0.5 * s * s - 0.5 * t * t)
        return s * inner[0] * 0.47, -0.008 - bulge, centre + t * inner[1] * 0.46

    kit.sheet(glass, kit.mat("screen", picture=picture), thickness=0.006, name="screen")
    low = lift + height * 0.09
    for i in range(3):
        x = width * (0.2 + 0.08 * i)
        kit.cylinder((x, -0.027, low), (x, -0.036, low), 0.009, kit.mat("grey plastic"), name="knob")
    kit.box(
        (width * 0.2, 0.004, 0.014),
        kit.mat("black plastic"),
        at=(-width * 0.32, -0.029, low - 0.007),
        bevel=0.001,
        name="badge",
    )
    kit.cylinder((0, 0.1, 0), (0, 0.1, 0.018), width * 0.4, stand, round_edge=0.005, name="foot")
    kit.cylinder(
        (0, 0.12, 0.012), (0, 0.12, lift + 0.02), width * 0.3, stand, end_radius=width * 0.2, name="swivel"
    )


MONITOR = ProductType(
    name="monitor",
    category="Electronics",
    mount="table",
    price=(119, 899),
    shapes={"flat": "modern", "ultrawide": "gaming", "studio": "minimal", "crt": "retro"},
    finishes=(
        Finish(
            "plastic",
            ("black", "white", "grey", "red", "beige"),
            weight=5,
            shapes=("flat", "ultrawide", "crt"),
        ),
        Finish("aluminium", weight=2, shapes=("flat", "ultrawide", "studio")),
        Finish("metal", ("red", "blue", "grey", "yellow"), weight=2, shapes=("studio",)),
    ),
    build=build_monitor,
    accents={
        "flat": ("black metal", "aluminium", "oak", "white metal"),
        "ultrawide": ("black metal", "aluminium", "red metal"),
        "studio": ("aluminium", "white metal"),
        "crt": ("grey plastic", "black plastic"),
    },
    title={
        "flat": "{finish} monitor with {accent} stand",
        "ultrawide": "Curved ultrawide {finish} monitor",
        "studio": "{finish} desktop monitor",
        "crt": "Retro {finish} tube monitor",
    },
    azimuths=((14, 28), (-44, -24), (48, 62)),
    elevations=((8, 13), (12, 18), (6, 10)),
)


def build_headphones(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model headphones about 20 cm high that stand upright on their ear cups."""
    {"over": _over_ear, "wire": _wire_band, "studio": _studio_headphones, "gaming": _gaming_headset}[
        spec.shape
    ](kit, spec, rng)


def _arch(
    half: float, low: float, high: float, start_deg: float = 6.0, n: int = 33
) -> list[tuple[float, ...]]:
    """Return a headband's line: an upright half ellipse from x = half over the top to x = -half."""
    a0 = math.radians(start_deg)
    turns = [a0 + (math.pi - 2 * a0) * i / (n - 1) for i in range(n)]
    return [(half * math.cos(a), 0.0, low + (high - low) * math.sin(a) ** 0.9) for a in turns]


def _soft(width: float, height: float, power: float = 4.0) -> Any:
    """Return a soft rectangular section, `width` level and `height` up."""
    from sample_store.mesh import superellipse

    return superellipse(width / 2, height / 2, power, 24)


def _ear(
    kit: Any, size: float, oval: float, profile: list[tuple[float, float]], shell: Any, pad: Any
) -> None:
    """Model an ear cup around the z axis, its pad below z = 0; the profile is in shares of `size`."""
    with kit.place(scale=(oval, 1 / oval, 1)):
        kit.lathe([(r * size, z * size) for r, z in profile], shell, round_edge=0.005, name="ear cup")
        ring = [
            (0.42, 0.02),
            (0.42, -0.3),
            (0.6, -0.44),
            (0.86, -0.4),
            (1.0, -0.22),
            (0.99, 0.0),
            (0.9, 0.06),
        ]
        ring = [(0.0, 0.02), *[(0.0, -0.06), (0.40, -0.06)], *ring[1:-1], (0.9, 0.05), (0.0, 0.05)]
        kit.lathe([(r * size, z * size) for r, z in ring], pad, round_edge=0.006, name="ear pad")


def _fork(kit: Any, x: float, z: float, radius: float, mat: Any, thick: float = 0.0042) -> None:
    """Model the yoke that holds a cup in front, above and behind."""
    turns = [math.pi * i / 24 for i in range(25)]
    path = [(x, -radius * math.cos(a), z + radius * 1.1 * math.sin(a)) for a in turns]
    kit.tube(path, thick, mat, name="yoke")
    for side in (-1, 1):
        kit.cylinder(
            (x, side * (radius + 0.003), z), (x, side * (radius - 0.012), z), 0.007, mat, name="pivot"
        )


def _over_ear(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Closed oval cups and a wide padded band."""
    body, pad, dark = kit.main_plain(), kit.accent(weave=0.002), kit.mat("grey metal")
    size, oval, half = rng.uniform(0.039, 0.043), rng.uniform(1.1, 1.2), rng.uniform(0.072, 0.080)
    middle, high = size * oval, rng.uniform(0.185, 0.2)
    shape = [(0, 0), (1.0, 0), (1.0, 0.22), (0.88, 0.6), (0.6, 0.74), (0, 0.78)]

    def side() -> None:
        with kit.place(half - 0.004, 0, middle, rot=(0, 86, 0)):
            _ear(kit, size, oval, shape, body, pad)
            with kit.place(scale=(oval, 1 / oval, 1)):
                kit.torus(size * 0.52, 0.0022, kit.mat("chrome"), at=(0, 0, size * 0.735), name="trim ring")
        _fork(kit, half + size * 0.2, middle, size / oval + 0.003, dark)
        top = middle + (size / oval + 0.003) * 1.1
        kit.tube(
            [
                (half + size * 0.2, 0, top - 0.002),
                (half + size * 0.17, 0, top + 0.016),
                (half + 0.003, 0, top + 0.034),
            ],
            1.0,
            dark,
            smooth=True,
            section=_soft(0.013, 0.006),
            name="slider",
        )

    kit.both_sides(side)
    low = middle + (size / oval) * 1.1 + 0.018
    kit.tube(_arch(half + 0.005, low, high), 1.0, body, section=_soft(0.034, 0.009), name="headband")
    inner = [(x * 0.95, y, z - 0.0075) for x, y, z in _arch(half + 0.005, low, high)[5:-5]]
    kit.tube(inner, 1.0, pad, section=_soft(0.036, 0.015, 2.6), name="band padding")


def _wire_band(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Small round cups with foam pads on a thin steel band."""
    body, foam, wire = kit.main_plain(), kit.accent(weave=0.002), kit.mat("steel")
    size, half = rng.uniform(0.029, 0.034), rng.uniform(0.070, 0.077)
    high = rng.uniform(0.168, 0.185)

    def side() -> None:
        with kit.place(half, 0, size, rot=(0, 84, 0)):
            kit.lathe(
                [
                    (0, -0.016),
                    (size * 0.75, -0.016),
                    (size, -0.009),
                    (size, -0.002),
                    (size * 0.9, 0.002),
                    (0, 0.002),
                ],
                foam,
                round_edge=0.006,
                name="foam pad",
            )
            profile = [(0, 0), (size * 0.84, 0), (size * 0.82, 0.008), (size * 0.5, 0.012), (0, 0.0125)]
            kit.lathe(profile, body, round_edge=0.003, name="ear cup")
            kit.cylinder((0, 0, 0.010), (0, 0, 0.0145), size * 0.3, kit.mat("chrome"), name="badge")
        slide = [
            (half + 0.014, 0, size * 1.42),
            (half + 0.014, 0, size + 0.03),
            (half + 0.006, 0, size + 0.06),
        ]
        kit.tube(slide, 1.0, body, smooth=True, section=_soft(0.014, 0.009), name="slider")

    kit.both_sides(side)
    kit.tube(_arch(half + 0.009, size + 0.03, high, 4), 1.0, wire, section=_soft(0.011, 0.003), name="band")
    if rng.random() < 0.6:
        grip = [(x, y, z) for x, y, z in _arch(half + 0.009, size + 0.03, high, 4)[10:-10]]
        kit.tube(grip, 1.0, body, section=_soft(0.02, 0.008), name="band sleeve")


def _studio_headphones(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Large round cups with a metal grille, a leather strap under two rods, and a cable."""
    body, pad, rod = kit.main_plain(), kit.accent(weave=0.002), kit.mat("grey metal")
    size, half = rng.uniform(0.046, 0.051), rng.uniform(0.076, 0.082)
    high = rng.uniform(0.212, 0.228)
    shape = [(0, 0), (1.0, 0), (1.0, 0.16), (0.94, 0.42), (0.76, 0.42), (0.74, 0.34), (0, 0.34)]

    def side() -> None:
        with kit.place(half, 0, size, rot=(0, 85, 0)):
            _ear(kit, size, 1.0, shape, body, pad)
            mesh = kit.mat("black metal")
            for radius in (0.2, 0.38, 0.56):
                kit.torus(size * radius, 0.0017, mesh, at=(0, 0, size * 0.35), name="grille ring")
            for i in range(4):
                a = math.pi * i / 4
                x, y = size * 0.75 * math.cos(a), size * 0.75 * math.sin(a)
                kit.beam(
                    (-x, -y, size * 0.36),
                    (x, y, size * 0.36),
                    0.004,
                    0.004,
                    mesh,
                    bevel=0.001,
                    name="grille bar",
                )
            kit.cylinder(
                (0, 0, size * 0.33), (0, 0, size * 0.41), size * 0.15, kit.mat("chrome"), name="badge"
            )
        _fork(kit, half + size * 0.16, size, size + 0.004, rod, 0.0048)
        top = size + (size + 0.004) * 1.1
        kit.box(
            (0.014, 0.036, 0.024),
            rod,
            at=(half + size * 0.13, 0, top - 0.006),
            bevel=0.004,
            name="slider block",
        )

    kit.both_sides(side)
    low = size * 2.1 + 0.006
    for y in (-0.012, 0.012):
        line = [(x, y, z) for x, _, z in _arch(half + size * 0.13, low, high)]
        kit.tube(line, 0.0028, rod, name="rod")
    strap = [
        (x, y, z - 0.014 * max(0.0, 1 - (x / half) ** 2))
        for x, y, z in _arch(half + size * 0.1, low, high - 0.004)
    ]
    kit.tube(strap, 1.0, pad, section=_soft(0.036, 0.005), name="head strap")
    cable, z = kit.mat("black rubber"), 0.003
    path = [
        (half, -0.012, 0.014),
        (half * 0.98, -0.032, 0.005),
        (half * 0.8, -0.075, z),
        (half * 0.2, -0.085, z),
        (-half * 0.3, -0.065, z),
        (-half * 0.75, -0.075, z),
        (-half, -0.1, z),
    ]
    kit.tube(path, 0.0024, cable, smooth=True, name="cable")
    kit.tube([(-half * 0.97, -0.098, z), (-half * 1.16, -0.114, z)], 0.0042, rod, name="plug")
    kit.tube([(-half * 1.12, -0.1107, z), (-half * 1.27, -0.123, z)], 0.0022, kit.mat("gold"), name="jack")


def _gaming_headset(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Deep cups with a coloured ring, a broad band and a microphone on a boom."""
    body, trim, pad = kit.main_plain(), kit.mat("black gloss"), kit.mat("fabric", "grey", weave=0.002)
    if not spec.accent.startswith(spec.colour):
        trim = kit.accent()
    size, half = rng.uniform(0.042, 0.046), rng.uniform(0.076, 0.082)
    oval, high = 1.12, rng.uniform(0.2, 0.212)
    middle = size * oval
    shape = [(0, 0), (1.0, 0), (1.0, 0.3), (0.8, 0.72), (0.62, 0.72), (0.6, 0.66), (0, 0.66)]

    def side() -> None:
        with kit.place(half, 0, middle, rot=(0, 87, 0)):
            _ear(kit, size, oval, shape, body, pad)
            with kit.place(scale=(oval, 1 / oval, 1)):
                kit.torus(size * 0.7, 0.0026, trim, at=(0, 0, size * 0.72), name="light ring")
                kit.cylinder((0, 0, size * 0.6), (0, 0, size * 0.7), size * 0.26, trim, name="logo")
        arm = [
            (half + 0.016, 0, middle + size * 0.6),
            (half + 0.02, 0, middle + size * 1.25),
            (half + 0.012, 0, middle + size * 1.75),
        ]
        kit.tube(arm, 1.0, body, smooth=True, section=_soft(0.03, 0.013), name="arm")

    kit.both_sides(side)
    low = middle + size * 1.3
    kit.tube(_arch(half + 0.014, low, high), 1.0, body, section=_soft(0.04, 0.01), name="headband")
    inner = [(x * 0.93, y, z - 0.009) for x, y, z in _arch(half + 0.014, low, high)[6:-6]]
    kit.tube(inner, 1.0, pad, section=_soft(0.04, 0.018, 2.6), name="band padding")
    x = half + size * 0.3
    boom = [
        (x, -size * 0.7, middle - 0.012),
        (x, -0.065, middle - 0.02),
        (x - 0.012, -0.095, middle - 0.024),
        (x - 0.04, -0.112, middle - 0.025),
    ]
    kit.tube(boom, 0.0032, kit.mat("black rubber"), smooth=True, name="microphone boom")
    kit.sphere(
        (0.013, 0.0085, 0.0085),
        kit.mat("fabric", "black", weave=0.002),
        at=(x - 0.046, -0.113, middle - 0.025),
        name="microphone",
    )


HEADPHONES = ProductType(
    name="headphones",
    category="Electronics",
    mount="table",
    price=(25, 399),
    shapes={"over": "modern", "wire": "retro", "studio": "professional", "gaming": "gaming"},
    finishes=(
        Finish(
            "plastic",
            ("black", "white", "red", "blue", "yellow", "pink"),
            weight=4,
            shapes=("over", "wire", "gaming"),
        ),
        Finish("metal", ("black", "white", "blue"), weight=1, shapes=("over", "studio")),
        Finish("walnut", shapes=("studio",)),
        Finish("aluminium", shapes=("studio", "over")),
    ),
    build=build_headphones,
    accents={
        "over": ("black leather", "grey leather", "brown leather", "beige leather"),
        "wire": ("orange fabric", "black fabric", "grey fabric"),
        "studio": ("black leather", "brown leather"),
        "gaming": ("red gloss", "green gloss", "blue gloss", "orange gloss"),
    },
    title={
        "over": "{finish} over-ear headphones with {accent} pads",
        "wire": "Retro {finish} on-ear headphones",
        "studio": "{finish} studio headphones with {accent} strap",
        "gaming": "{finish} gaming headset with microphone",
    },
    azimuths=((22, 38), (-58, -44), (-20, -6)),
    elevations=((10, 16), (14, 20), (8, 12)),
    flip=True,
)


def build_speaker(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a loudspeaker that faces -y, from a 10 cm ball to a 1 m tower."""
    {
        "bookshelf": _bookshelf_speaker,
        "tower": _tower_speaker,
        "smart": _smart_speaker,
        "portable": _portable_speaker,
    }[spec.shape](kit, spec, rng)


def _driver(kit: Any, radius: float, x: float, y: float, z: float, cone: Any) -> None:
    """Set a driver into a front at y: metal ring with screws, rubber surround, cone and dust cap."""
    ring = kit.mat("grey metal")
    with kit.place(x, y, z, rot=(90, 0, 0)):
        outer = [
            (0, -0.004),
            (radius, -0.004),
            (radius, 0.004),
            (radius * 0.9, 0.0055),
            (radius * 0.88, 0.001),
            (0, 0.001),
        ]
        kit.lathe(outer, ring, name="driver frame")
        kit.torus(radius * 0.76, radius * 0.1, kit.mat("black rubber"), at=(0, 0, 0.002), name="surround")
        dish = [
            (0, -0.001),
            (radius * 0.72, -0.001),
            (radius * 0.70, 0.006),
            (radius * 0.3, 0.0022),
            (0, 0.0022),
        ]
        kit.lathe(dish, cone, name="cone")
        kit.sphere(
            (radius * 0.26, radius * 0.26, radius * 0.17),
            kit.mat("black plastic"),
            at=(0, 0, 0.003),
            name="dust cap",
        )
        for i in range(6):
            a = math.pi * (i + 0.5) / 3
            at = (radius * 0.94 * math.cos(a), radius * 0.94 * math.sin(a))
            kit.cylinder(
                (*at, 0.003), (*at, 0.0068), radius * 0.04, kit.mat("black metal"), segments=12, name="screw"
            )


def _tweeter(kit: Any, radius: float, y: float, z: float) -> None:
    """Set a dome tweeter with its round plate into a front at y."""
    with kit.place(0, y, z, rot=(90, 0, 0)):
        plate = [
            (0, -0.004),
            (radius, -0.004),
            (radius, 0.003),
            (radius * 0.9, 0.0045),
            (radius * 0.5, 0.0005),
            (0, 0.0005),
        ]
        kit.lathe(plate, kit.mat("black plastic"), name="tweeter plate")
        dome = (radius * 0.36, radius * 0.36, radius * 0.26)
        kit.sphere(dome, kit.mat("brass", brushed=False), at=(0, 0, 0.001), name="tweeter dome")


def _bookshelf_speaker(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A box with a woofer, a tweeter and a bass port, standing on small feet."""
    body, cone = kit.main(), kit.accent(weave=0.003)
    width = rng.uniform(0.17, 0.2)
    height, depth = width * rng.uniform(1.5, 1.75), width * rng.uniform(1.15, 1.35)
    kit.box((width, depth, height), body, at=(0, 0, 0.008), bevel=rng.uniform(0.003, 0.012), name="cabinet")
    front, woofer = -depth / 2, width * rng.uniform(0.37, 0.41)
    dark = kit.mat("grey plastic" if spec.colour == "black" else "black plastic")
    kit.box(
        (width - 0.026, 0.004, height - 0.026),
        dark,
        at=(0, front - 0.001, 0.021),
        bevel=0.0012,
        name="baffle",
    )
    _driver(kit, woofer, 0, front - 0.004, 0.008 + height * 0.36, cone)
    _tweeter(kit, width * 0.2, front - 0.004, 0.008 + height * 0.79)
    kit.box(
        (width * 0.22, 0.002, 0.007),
        kit.mat("aluminium"),
        at=(width * 0.3, front - 0.003, 0.03),
        bevel=0.0005,
        name="badge",
    )
    kit.four(
        lambda: kit.cylinder(
            (width * 0.38, depth * 0.38, 0),
            (width * 0.38, depth * 0.38, 0.01),
            0.012,
            kit.mat("black rubber"),
            name="foot",
        )
    )


def _tower_speaker(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A slim floor-standing box with a row of drivers on a plinth."""
    body, cone = kit.main(), kit.accent(weave=0.004)
    width, height, lift = rng.uniform(0.2, 0.23), rng.uniform(0.82, 0.95), 0.045
    depth = width * rng.uniform(1.2, 1.4)
    kit.box((width, depth, height), body, at=(0, 0, lift), bevel=0.008, name="cabinet")
    kit.box(
        (width + 0.07, depth + 0.05, 0.026),
        kit.mat("black gloss"),
        at=(0, 0, 0.022),
        bevel=0.006,
        name="plinth",
    )
    for x in (-1, 1):
        for y in (-1, 1):
            at = (x * (width / 2 + 0.015), y * (depth / 2 + 0.005))
            kit.cylinder((*at, 0), (*at, 0.03), 0.006, kit.mat("chrome"), end_radius=0.013, name="spike")
    front, radius = -depth / 2, width * 0.4
    dark = kit.mat("grey plastic" if spec.colour == "black" else "black plastic")
    kit.box(
        (width - 0.022, 0.005, height - 0.022),
        dark,
        at=(0, front - 0.001, lift + 0.011),
        bevel=0.0015,
        name="baffle",
    )
    top = lift + height - 0.02 - radius
    count = rng.choice((2, 3))
    _driver(kit, radius * 0.92, 0, front - 0.0045, top, cone)
    _tweeter(kit, width * 0.21, front - 0.0045, top - radius * 1.62)
    for i in range(count):
        _driver(kit, radius, 0, front - 0.0045, top - radius * (3.25 + 2.12 * i), cone)
    kit.box(
        (width * 0.26, 0.002, 0.012),
        kit.mat("aluminium"),
        at=(0, front - 0.004, lift + 0.035),
        bevel=0.0005,
        name="badge",
    )


def _smart_speaker(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A cloth ball or pot with a glossy control top, a ring of light, front lights and a cable."""
    cloth, dark = kit.main(scale=0.011, weave=0.0028), kit.mat("black gloss")
    radius = rng.uniform(0.055, 0.066)
    if rng.random() < 0.5:
        low, high, neck = math.radians(-54), math.radians(57), 0.004
        turns = [low + (high - low) * i / 24 for i in range(25)]
        base = 0.004 - radius * math.sin(low)
        line = [(radius * math.cos(t), base + radius * math.sin(t)) for t in turns]
        tall, plate, foot = line[-1][1], line[-1][0] * 1.02, line[0][0]
        kit.lathe([(0, 0.004), *line, (0, tall)], cloth, name="cloth")
    else:
        tall, plate, foot, neck = radius * rng.uniform(1.9, 2.6), radius * 0.93, radius * 0.99, 0.01
        line = [(0, 0.004), (radius, 0.004), (radius * 0.95, tall), (0, tall)]
        kit.lathe(line, cloth, round_edge=0.006, name="cloth")
    kit.cylinder((0, 0, 0), (0, 0, 0.012), foot, kit.mat("black rubber"), name="base")
    collar, lip = tall - 0.004, tall + neck
    top = [
        (0, collar),
        (plate, collar),
        (plate, lip),
        (plate * 0.86, lip),
        (plate * 0.8, lip - 0.003),
        (0, lip - 0.003),
    ]
    kit.lathe(top, dark, round_edge=0.0015, name="control top")
    light = (
        kit.mat("bulb", strength=0.9)
        if rng.random() < 0.3
        else kit.mat(rng.choice(("teal gloss", "blue gloss")))
    )
    kit.torus(plate * 0.93, 0.003, light, at=(0, 0, lip), name="light ring")
    white = kit.mat("white plastic")
    for turn in range(4):
        x, y = plate * 0.48 * math.cos(turn * math.pi / 2), plate * 0.48 * math.sin(turn * math.pi / 2)
        kit.cylinder(
            (x, y, lip - 0.004), (x, y, lip - 0.0015), plate * 0.11, white, segments=20, name="button"
        )
    wide = radius * 0.99
    for i in range(4):
        a = (i - 1.5) * 0.13
        at = (wide * math.sin(a), -wide * math.cos(a), tall * 0.5)
        kit.sphere((0.0027, 0.0027, 0.0027), white, at=at, name="front light")
    z, r = 0.003, radius
    path = [
        (0, foot * 0.9, 0.008),
        (r * 0.3, r * 1.25, z),
        (r * 1.1, r * 1.15, z),
        (r * 1.45, r * 0.4, z),
        (r * 1.3, -r * 0.2, z),
    ]
    kit.tube(path, 0.0026, kit.mat("black rubber"), smooth=True, name="cable")
    kit.beam(
        (r * 1.31, -r * 0.16, z),
        (r * 1.27, -r * 0.42, z),
        0.011,
        0.006,
        kit.mat("white plastic"),
        name="plug",
    )
    kit.beam(
        (r * 1.275, -r * 0.4, z),
        (r * 1.255, -r * 0.56, z),
        0.008,
        0.0035,
        kit.mat("steel"),
        bevel=0.0005,
        name="plug tip",
    )


def _portable_speaker(kit: Any, spec: Spec, rng: random.Random) -> None:
    """A cloth cylinder lying down, with rubber ends, front buttons and a carrying loop."""
    cloth, rubber, loop = (
        kit.main(scale=0.016, weave=0.0028),
        kit.mat("black rubber"),
        kit.accent(weave=0.002),
    )
    if spec.colour == "black":
        rubber = kit.mat("grey rubber")
    radius, half = rng.uniform(0.034, 0.040), rng.uniform(0.085, 0.105)
    kit.cylinder((-half, 0, radius), (half, 0, radius), radius, cloth, round_edge=0.004, name="cloth")

    def end() -> None:
        with kit.place(half - 0.004, 0, radius, rot=(0, 90, 0)):
            cap = [
                (0, 0),
                (radius + 0.0012, 0),
                (radius + 0.0012, 0.012),
                (radius * 0.86, 0.016),
                (radius * 0.84, 0.011),
                (0, 0.011),
            ]
            kit.lathe(cap, rubber, name="end cap")
            kit.lathe(
                [
                    (0, 0.009),
                    (radius * 0.78, 0.009),
                    (radius * 0.74, 0.0145),
                    (radius * 0.3, 0.0125),
                    (0, 0.0125),
                ],
                kit.mat("grey metal"),
                name="bass radiator",
            )

    kit.both_sides(end)
    with kit.place(0, 0, radius, rot=(-35, 0, 0)):
        kit.box(
            (half * 1.0, 0.005, radius * 0.5),
            rubber,
            at=(0, -radius, -radius * 0.25),
            bevel=0.002,
            name="control strip",
        )
        for i in range(4):
            x = (i - 1.5) * half * 0.22
            kit.cylinder(
                (x, -radius - 0.001, 0),
                (x, -radius - 0.0042, 0),
                radius * 0.13,
                kit.mat("white plastic"),
                segments=24,
                name="button",
            )
    kit.box(
        (half * 0.5, 0.003, 0.012),
        kit.mat("chrome"),
        at=(0, -radius + 0.0006, radius * 0.66),
        bevel=0.001,
        name="badge",
    )
    kit.box((half * 1.5, radius, 0.004), rubber, at=(0, 0, -0.0006), bevel=0.001, name="foot")
    x, high = half - 0.014, radius * 1.98
    strap = [
        (x, 0, high - 0.003),
        (x + 0.004, -0.004, high + 0.012),
        (x + 0.034, -0.014, high + 0.012),
        (x + 0.046, -0.018, radius),
        (x + 0.03, -0.014, radius * 0.7),
        (x + 0.014, -0.008, radius * 0.92),
    ]
    kit.tube(strap, 1.0, loop, smooth=True, section=_soft(0.011, 0.004), name="carrying loop")


SPEAKER = ProductType(
    name="speaker",
    category="Electronics",
    mount="table",
    price=(29, 890),
    shapes={"bookshelf": "classic", "tower": "hi-fi", "smart": "modern", "portable": "outdoor"},
    finishes=(
        Finish("walnut", shapes=("bookshelf", "tower")),
        Finish("oak", shapes=("bookshelf", "tower")),
        Finish("gloss", ("black", "white", "red"), weight=2, shapes=("bookshelf", "tower")),
        Finish(
            "fabric",
            ("grey", "blue", "red", "black", "teal"),
            ("plain", "stripes"),
            weight=4,
            shapes=("smart", "portable"),
        ),
    ),
    build=build_speaker,
    accents={
        "bookshelf": ("grey plastic", "yellow fabric", "white plastic", "copper"),
        "tower": ("grey plastic", "yellow fabric", "white plastic"),
        "portable": ("orange fabric", "black fabric", "grey fabric"),
    },
    title={
        "bookshelf": "{finish} bookshelf speaker",
        "tower": "{finish} floor-standing speaker",
        "smart": "Round {finish} smart speaker",
        "portable": "Portable {finish} speaker with {accent} loop",
    },
    azimuths=((16, 32), (-48, -32), (50, 64)),
    elevations=((18, 24), (22, 30), (10, 14)),
)

TYPES = (LAPTOP, MONITOR, HEADPHONES, SPEAKER)
