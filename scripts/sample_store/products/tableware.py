"""Declare tableware: mugs. It knows no camera and no light."""

import math
import random
from typing import Any

from sample_store.spec import Finish, ProductType, Spec


def build_mug(kit: Any, spec: Spec, rng: random.Random) -> None:
    """Model a mug 8 to 11 cm high with its handle on the right."""
    height = rng.uniform(0.088, 0.104)
    radius = rng.uniform(0.039, 0.044)
    wall = 0.0035
    mat = kit.main(scale=rng.uniform(0.019, 0.024), weave=0.004)
    if spec.shape == "straight":
        profile = [(0, 0), (radius - 0.003, 0), (radius, 0.003), (radius, height)]
        kit.shell(profile, wall, mat, round_edge=0.004, name="body")
    elif spec.shape == "tapered":
        foot = radius * rng.uniform(0.68, 0.78)
        kit.shell([(0, 0), (foot, 0), (radius * 1.06, height)], wall, mat, round_edge=0.012, name="body")
    elif spec.shape == "rounded":
        height *= 0.86
        profile = [
            (0, 0), (radius * 0.6, 0), (radius * 0.66, 0.003), (radius * 1.02, height * 0.28),
            (radius * 1.13, height * 0.58), (radius * 1.06, height * 0.85), (radius * 1.03, height),
        ]  # fmt: skip
        kit.shell(profile, wall, mat, smooth=True, name="body")
    else:  # enamel: wide and low, with a rolled rim
        height, radius = height * 0.86, radius * 1.08
        kit.shell([(0, 0), (radius, 0), (radius, height)], 0.0022, mat, round_edge=0.007, name="body")
        kit.torus(radius - 0.0005, 0.0022, kit.mat("black gloss"), at=(0, 0, height), name="rim")
    handle = kit.main_plain(weave=0.004)
    side = {"tapered": 0.93, "rounded": 1.08}.get(spec.shape, 1.0) * radius
    out = rng.uniform(0.026, 0.032)
    top, low = height * 0.8, height * 0.24
    inset = 0.0012 if spec.shape == "enamel" else 0.0026
    lean = 0.1 * radius if spec.shape == "tapered" else 0.0
    path = [
        (side - inset + lean, 0, top),
        (side + out * 0.75, 0, top + 0.002),
        (side + out, 0, (top + low) / 2 + 0.006),
        (side + out * 0.62, 0, low + 0.006),
        (side - inset - lean, 0, low),
    ]
    t = [2 * math.pi * i / 20 for i in range(20)]
    section = [(0.0062 * math.cos(a), 0.0042 * math.sin(a)) for a in t]
    kit.tube(path, 1.0, handle, smooth=True, section=section, name="handle")
    if rng.random() < 0.35:
        inside = side * (0.9 if spec.shape != "rounded" else 0.88)
        kit.cylinder(
            (0, 0, height * 0.74), (0, 0, height * 0.8), inside, kit.mat("brown liquid"), name="coffee"
        )


MUG = ProductType(
    name="mug",
    category="Kitchen",
    mount="table",
    price=(7, 29),
    shapes={"straight": "modern", "tapered": "scandinavian", "rounded": "rustic", "enamel": "vintage"},
    finishes=(
        Finish(
            "ceramic",
            ("white", "red", "blue", "yellow", "green", "black", "pink", "teal"),
            ("plain", "stripes", "bands", "dots", "checks"),
            weight=3,
            shapes=("straight", "tapered", "rounded"),
        ),
        Finish(
            "stoneware",
            ("grey", "beige", "blue", "olive"),
            weight=2,
            shapes=("straight", "tapered", "rounded"),
        ),
        Finish("enamel", ("white", "navy", "red", "green"), shapes=("enamel",)),
        Finish("glass", weight=1, shapes=("straight", "rounded")),
    ),
    build=build_mug,
    title={
        "straight": "{finish} mug",
        "tapered": "Tapered {finish} mug",
        "rounded": "Round {finish} mug",
        "enamel": "{finish} camping mug",
    },
    azimuths=((-25, -8), (22, 45), (-40, 5)),
    elevations=((16, 22), (8, 14), (30, 38)),
    flip=False,
)

TYPES = (MUG,)
