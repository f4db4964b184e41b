"""Own what a product is: its type's declaration and one product's specification. It knows no Blender."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finish:
    """Say which material the dominant part may have, in which colours and patterns.

    `material` is the word a shopper says ("fabric", "walnut", "ceramic"). No colours means the material's own colour
    (palette.NATURAL_COLOUR). `weight` is how often the finish is dealt in comparison with the type's others. `shapes`
    limits it to some silhouettes (none given: all of them). A type's finishes of one material share what is left of
    their colours and patterns, so that all of them appear before one comes again.
    """

    material: str
    colours: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ("plain",)
    weight: int = 1
    shapes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Hold everything that tells one product from another; the rest follows from `seed`."""

    product_id: str
    type: str
    seed: int
    shape: str
    style: str
    material: str
    colour: str
    pattern: str
    colour2: str
    accent: str


@dataclass(frozen=True)
class ProductType:
    """Declare a product type.

    `shapes` maps each silhouette to the style word that the shop gives it. `accents` are the materials of the second
    part (legs, handle, strap), as kit.mat reads them ("walnut", "black metal"), or such a list for each shape
    (missing: none). `title` is a format string over {colour} {material} {finish} {pattern} {accent} {style} {shape}
    {name}, or one such string for each shape; `finish` is colour and material as one would say them together
    ("walnut", "blue striped fabric"). `mount` is floor, table, wall or ceiling. `azimuths` are the camera's angles in
    degrees (0 = from the front, positive = towards the product's +x side), one range a view; `elevations` likewise.
    `flip` lets half of the products be seen from the other side (all azimuths negated): turn it off where one side
    hides a handle. `pastels` are the paper colours that suit it.
    """

    name: str
    category: str
    mount: str
    price: tuple[float, float]
    shapes: dict[str, str]
    finishes: tuple[Finish, ...]
    build: Callable[[Any, Spec, Any], None]
    title: str | dict[str, str] = "{finish} {name}"
    accents: tuple[str, ...] | dict[str, tuple[str, ...]] = ()
    azimuths: tuple[tuple[float, float], ...] = ((25, 40), (-65, -50), (140, 155))
    elevations: tuple[tuple[float, float], ...] = ((12, 18), (8, 14), (20, 28))
    flip: bool = True
    pastels: tuple[str, ...] = field(default=("sand", "sky", "mint", "blush", "lilac", "stone"))
