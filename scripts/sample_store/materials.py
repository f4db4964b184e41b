"""Own the look of surfaces: physically based Cycles materials by the words a shopper uses. It knows no shapes."""

import random
from collections.abc import Callable
from typing import Any

import bpy

from sample_store.palette import COLOURS, Rgb, linear, shade

WOODS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    # light and dark grain, sRGB
    "oak": ((204, 164, 112), (164, 118, 70)),
    "walnut": ((122, 78, 48), (70, 41, 24)),
    "pine": ((228, 190, 134), (202, 154, 96)),
    "beech": ((222, 178, 132), (200, 150, 106)),
    "ash": ((226, 204, 170), (196, 168, 128)),
    "bamboo": ((222, 188, 120), (192, 150, 84)),
    "ebony": ((40, 36, 34), (22, 20, 19)),
}
METALS: dict[str, tuple[tuple[int, int, int], float]] = {
    # colour at normal incidence, sRGB, and roughness
    "steel": ((196, 197, 199), 0.28),
    "chrome": ((222, 223, 225), 0.06),
    "aluminium": ((205, 207, 210), 0.34),
    "brass": ((214, 166, 84), 0.22),
    "gold": ((226, 172, 92), 0.16),
    "copper": ((206, 118, 80), 0.20),
    "silver": ((220, 220, 218), 0.14),
    "rose gold": ((226, 160, 136), 0.16),
}
ALIASES = {
    "cotton": "fabric",
    "linen": "fabric",
    "wool": "boucle",
    "boucle": "boucle",
    "canvas": "fabric",
    "mesh": "fabric",
    "knit": "fabric",
    "nylon": "fabric",
    "polyester": "fabric",
    "felt": "boucle",
    "denim": "fabric",
    "jersey": "fabric",
    "fleece": "boucle",
    "silk": "satin",
    "patent leather": "gloss",
    "bead": "gloss",
    "gem": "gloss",
    "porcelain": "ceramic",
    "enamel": "gloss",
    "lacquer": "gloss",
    "glossy plastic": "gloss",
    "matte plastic": "plastic",
    "powder-coated metal": "metal",
    "wood": "painted wood",
    "wicker": "rattan",
}


class Nodes:
    """Build one material's node tree."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.tree.nodes.new("ShaderNodeOutputMaterial")

    def node(self, kind: str, settings: dict[str, Any] | None = None, /, **inputs: Any) -> Any:
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for key, value in (settings or {}).items():
            setattr(node, key, value)
        for key, value in inputs.items():
            self.set(node, key.replace("_", " "), value)
        return node

    def set(self, node: Any, key: str | int, value: Any) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, node.inputs[key])
        elif isinstance(value, tuple) and len(value) == 3 and node.inputs[key].type == "RGBA":
            node.inputs[key].default_value = (*value, 1)
        else:
            node.inputs[key].default_value = value

    def principled(self, **inputs: Any) -> Any:
        node = self.node("BsdfPrincipled", **inputs)
        self.tree.links.new(node.outputs[0], self.output.inputs[0])
        return node

    def math(self, operation: str, a: Any, b: Any = 0.0, c: Any = 0.0) -> Any:
        node = self.node("Math", {"operation": operation})
        for i, value in enumerate((a, b, c)):
            self.set(node, i, value)
        return node.outputs[0]

    def mix(self, factor: Any, a: Any, b: Any) -> Any:
        """Mix two colours."""
        node = self.node("Mix", {"data_type": "RGBA"})
        for socket, value in ((node.inputs[0], factor), (node.inputs[6], a), (node.inputs[7], b)):
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = (*value, 1) if isinstance(value, tuple) else value
        return node.outputs[2]

    def coordinates(self, name: str, scale: tuple[float, float, float] = (1, 1, 1)) -> Any:
        """Return a vector: "grain" (metres along the part) or "uv" (metres on the surface), scaled."""
        if name == "grain":
            source = self.node("Attribute", {"attribute_name": "grain"}).outputs["Vector"]
        else:
            source = self.node("UVMap", {"uv_map": "UVMap"}).outputs[0]
        return self.node("Mapping", Vector=source, Scale=scale).outputs[0]

    def noise(self, vector: Any, scale: float, detail: float = 2.0, distortion: float = 0.0) -> Any:
        return self.node(
            "TexNoise", Vector=vector, Scale=scale, Detail=detail, Distortion=distortion
        ).outputs[0]

    def ramp(self, factor: Any, low: float, high: float) -> Any:
        """Return the factor stretched from low..high to 0..1, smoothly and clamped."""
        node = self.node("MapRange", {"interpolation_type": "SMOOTHSTEP"})
        for i, value in enumerate((factor, low, high, 0.0, 1.0)):
            self.set(node, i, value)
        return node.outputs[0]

    def bump(self, height: Any, strength: float, distance: float) -> Any:
        return self.node("Bump", Strength=strength, Distance=distance, Height=height).outputs[0]

    def pattern(self, name: str, first: Any, second: Any, scale: float) -> Any:
        """Return the colour of a plain, striped, checked or dotted surface; `scale` is the repeat in metres."""
        if name == "plain":
            return first
        uv = self.coordinates("uv", (1 / scale, 1 / scale, 1 / scale))
        xyz = self.node("SeparateXYZ", Vector=uv).outputs
        if name in ("stripes", "striped"):
            return self.mix(self._band(xyz[0]), first, second)
        if name in ("bands",):
            return self.mix(self._band(xyz[1]), first, second)
        if name in ("checks", "checked"):
            half = self.mix(0.5, first, second)
            rows = self.mix(self._band(xyz[1]), half, second)
            across = self.mix(self._band(xyz[1]), first, half)
            return self.mix(self._band(xyz[0]), across, rows)
        if name in ("dots", "dotted"):
            return self.mix(self._dots(xyz[0], xyz[1]), first, second)
        raise KeyError(f"no pattern {name!r}; use plain, stripes, bands, checks or dots")

    def _band(self, coordinate: Any) -> Any:
        wave = self.math("PINGPONG", coordinate, 0.5)
        return self.ramp(wave, 0.24, 0.26)

    def _dots(self, u: Any, v: Any) -> Any:
        row = self.math("FLOOR", v)
        shifted = self.math("ADD", u, self.math("MULTIPLY", row, 0.5))
        du = self.math("SUBTRACT", self.math("FRACT", shifted), 0.5)
        dv = self.math("SUBTRACT", self.math("FRACT", v), 0.5)
        distance = self.math(
            "SQRT", self.math("ADD", self.math("MULTIPLY", du, du), self.math("MULTIPLY", dv, dv))
        )
        return self.ramp(distance, 0.29, 0.26)


def make(
    rng: random.Random,
    material: str,
    colour: str | None = None,
    *,
    pattern: str = "plain",
    colour2: str = "white",
    scale: float = 0.05,
    weave: float = 0.005,
    **options: Any,
) -> Any:
    """Return a new material by its words; "black metal" means colour black, material metal.

    Raises KeyError for a word that names no material.
    """
    if colour is None and " " in material and material.split(" ")[0] in COLOURS:
        colour, material = material.split(" ", 1)
    kind = ALIASES.get(material, material)
    base = shade(colour, rng) if colour in COLOURS else None
    nodes = Nodes(f"{colour or ''} {material}".strip())
    if kind in WOODS:
        _wood(nodes, kind, rng)
    elif kind in METALS:
        _metal(nodes, kind, **options)
    elif kind in MAKERS:
        if base is None:
            base = linear(DEFAULT_RGB.get(material, DEFAULT_RGB.get(kind, (128, 128, 128))))
        second = shade(colour2, rng) if colour2 in COLOURS else linear((238, 237, 233))
        surface = nodes.pattern(pattern, base, second, scale)
        MAKERS[kind](nodes, surface, base, weave, **options)
    else:
        raise KeyError(f"no material {material!r}; see sample_store/materials.py for the words")
    return nodes.material


DEFAULT_RGB: dict[str, tuple[int, int, int]] = {
    "rattan": (206, 164, 104),
    "wicker": (134, 90, 52),
    "terracotta": (190, 98, 62),
    "marble": (236, 234, 230),
    "concrete": (158, 156, 152),
    "stone": (140, 136, 130),
    "stoneware": (196, 184, 164),
    "cork": (196, 150, 100),
    "iron": (34, 34, 36),
    "rubber": (30, 30, 32),
    "paper": (246, 240, 228),
    "foliage": (52, 112, 44),
    "soil": (52, 36, 26),
    "glass": (250, 252, 252),
    "leather": (120, 70, 40),
    "pearl": (236, 230, 218),
    "ceramic": (238, 237, 233),
    "plastic": (25, 25, 27),
    "metal": (25, 25, 27),
}


def _wood(n: Nodes, kind: str, rng: random.Random) -> None:
    light, dark = (linear((c[0], c[1], c[2])) for c in WOODS[kind])
    along = n.coordinates("grain", (1.6, 16, 16))
    fibre = n.coordinates("grain", (8, 260, 260))
    broad = n.noise(along, 1.6, 2.5, rng.uniform(0.5, 1.1))
    rings = n.math("FRACT", n.math("MULTIPLY", broad, 5.0))
    grain = n.math("ADD", n.math("MULTIPLY", broad, 0.6), n.math("MULTIPLY", rings, 0.28))
    fine = n.noise(fibre, 1.0, 0.5)
    tone = n.ramp(n.math("ADD", grain, n.math("MULTIPLY", n.math("SUBTRACT", fine, 0.5), 0.5)), 0.18, 0.85)
    colour = n.mix(tone, light, dark)
    n.principled(
        Base_Color=colour,
        Roughness=n.math("ADD", 0.36, n.math("MULTIPLY", tone, 0.14)),
        Coat_Weight=0.12,
        Coat_Roughness=0.3,
        Normal=n.bump(tone, 0.25, 0.0006),
    )


def _metal(n: Nodes, kind: str, roughness: float | None = None, brushed: bool | None = None) -> None:
    rgb, rough = METALS[kind]
    rough = rough if roughness is None else roughness
    if brushed if brushed is not None else kind in ("steel", "aluminium"):
        streaks = n.noise(n.coordinates("grain", (4, 500, 500)), 1.0, 2)
        value: Any = n.math("ADD", rough - 0.08, n.math("MULTIPLY", streaks, 0.16))
        normal = n.bump(streaks, 0.08, 0.0004)
        n.principled(Base_Color=linear(rgb), Metallic=1.0, Roughness=value, Normal=normal)
    else:
        n.principled(Base_Color=linear(rgb), Metallic=1.0, Roughness=rough)


def _fabric(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    uv = n.coordinates("uv", (1 / weave, 1 / weave, 1 / weave))
    xyz = n.node("SeparateXYZ", Vector=uv).outputs
    threads = n.math(
        "MULTIPLY",
        n.math("SINE", n.math("MULTIPLY", xyz[0], 6.283)),
        n.math("SINE", n.math("MULTIPLY", xyz[1], 6.283)),
    )
    slub = n.noise(n.coordinates("uv", (0.25 / weave, 1 / weave, 1)), 1.0, 3)
    dark = n.node("HueSaturation", Color=surface, Value=0.72).outputs[0]
    colour = n.mix(n.ramp(slub, 0.35, 0.75), surface, dark)
    n.principled(
        Base_Color=colour,
        Roughness=0.85,
        Specular_IOR_Level=0.2,
        Sheen_Weight=0.25,
        Sheen_Roughness=0.5,
        Normal=n.bump(n.math("ADD", threads, n.math("MULTIPLY", slub, 2)), 0.45, weave * 0.25),
    )


def _boucle(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    curls = n.node("TexVoronoi", Vector=n.coordinates("grain"), Scale=0.7 / weave).outputs[0]
    dark = n.node("HueSaturation", Color=surface, Value=0.6).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(curls, 0.2, 0.9), surface, dark),
        Roughness=0.95,
        Specular_IOR_Level=0.1,
        Sheen_Weight=0.4,
        Normal=n.bump(n.math("SUBTRACT", 1.0, curls), 0.9, weave * 0.8),
    )


def _velvet(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    brushed = n.noise(n.coordinates("grain"), 9.0, 3, 0.6)
    deep = n.node("HueSaturation", Color=surface, Value=0.62, Saturation=1.1).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(brushed, 0.35, 0.7), surface, deep),
        Roughness=0.75,
        Specular_IOR_Level=0.15,
        Sheen_Weight=0.9,
        Sheen_Roughness=0.28,
        Sheen_Tint=tuple(min(1.0, c * 1.6 + 0.06) for c in base),
    )


def _satin(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    n.principled(Base_Color=surface, Roughness=0.38, Specular_IOR_Level=0.6, Sheen_Weight=0.3)


def _pearl(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    n.principled(Base_Color=surface, Roughness=0.22, Metallic=0.25, Coat_Weight=0.5, Coat_Roughness=0.1)


def _leather(n: Nodes, surface: Any, base: Rgb, weave: float, roughness: float = 0.4) -> None:
    pebble = n.node(
        "TexVoronoi", {"feature": "SMOOTH_F1"}, Vector=n.coordinates("grain"), Scale=1 / weave
    ).outputs[0]
    wear = n.noise(n.coordinates("grain"), 7.0, 4)
    dark = n.node("HueSaturation", Color=surface, Value=0.7).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(wear, 0.3, 0.8), surface, dark),
        Roughness=n.math("ADD", roughness - 0.08, n.math("MULTIPLY", wear, 0.16)),
        Normal=n.bump(pebble, 0.35, weave * 0.25),
    )


def _suede(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    nap = n.noise(n.coordinates("grain"), 30.0, 4)
    dark = n.node("HueSaturation", Color=surface, Value=0.75).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(nap, 0.3, 0.7), surface, dark),
        Roughness=0.95,
        Specular_IOR_Level=0.1,
        Sheen_Weight=0.4,
    )


def _speckle(n: Nodes, surface: Any, size: float, amount: float = 0.12) -> Any:
    cells = n.node("TexVoronoi", Vector=n.coordinates("grain"), Scale=1 / size).outputs
    seeds = n.node("SeparateColor", Color=cells["Color"]).outputs[0]
    dot = n.math("MULTIPLY", n.ramp(cells["Distance"], 0.34, 0.24), n.math("LESS_THAN", seeds, amount * 2))
    return n.mix(dot, surface, (0.035, 0.025, 0.02))


def _ceramic(n: Nodes, surface: Any, base: Rgb, weave: float, speckle: bool = False) -> None:
    colour = _speckle(n, surface, weave) if speckle else surface
    n.principled(Base_Color=colour, Roughness=0.16, Coat_Weight=0.5, Coat_Roughness=0.04)


def _stoneware(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    glaze = n.noise(n.coordinates("grain"), 25.0, 3)
    dark = n.node("HueSaturation", Color=surface, Value=0.82).outputs[0]
    colour = _speckle(n, n.mix(n.ramp(glaze, 0.3, 0.75), surface, dark), weave)
    n.principled(Base_Color=colour, Roughness=0.42, Normal=n.bump(glaze, 0.15, 0.001))


def _plastic(n: Nodes, surface: Any, base: Rgb, weave: float, roughness: float = 0.4) -> None:
    n.principled(Base_Color=surface, Roughness=roughness)


def _gloss(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    n.principled(Base_Color=surface, Roughness=0.14, Coat_Weight=0.4, Coat_Roughness=0.03)


def _painted_wood(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    grain = n.noise(n.coordinates("grain", (4, 120, 120)), 1.0, 2)
    n.principled(Base_Color=surface, Roughness=0.42, Normal=n.bump(grain, 0.12, 0.0006))


def _painted_metal(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    n.principled(Base_Color=surface, Roughness=0.36, Specular_IOR_Level=0.55)


def _rubber(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    n.principled(Base_Color=surface, Roughness=0.65, Specular_IOR_Level=0.35)


def _iron(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    cast = n.noise(n.coordinates("grain"), 350.0, 2)
    n.principled(Base_Color=surface, Metallic=0.6, Roughness=0.52, Normal=n.bump(cast, 0.2, 0.0006))


def _clay(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    cloud = n.noise(n.coordinates("grain"), 14.0, 6)
    dark = n.node("HueSaturation", Color=surface, Value=0.74).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(cloud, 0.3, 0.75), surface, dark),
        Roughness=0.85,
        Specular_IOR_Level=0.25,
        Normal=n.bump(cloud, 0.25, 0.002),
    )


def _marble(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    warp = n.noise(n.coordinates("grain"), 5.0, 7, 1.5)
    vein = n.ramp(n.math("ABSOLUTE", n.math("SUBTRACT", warp, 0.5)), 0.035, 0.0)
    cloud = n.ramp(n.noise(n.coordinates("grain"), 3.0, 4), 0.35, 0.8)
    dark = tuple(0.35 * c + 0.03 for c in base) if sum(base) > 0.6 else (0.6, 0.58, 0.55)
    soft = n.mix(n.math("MULTIPLY", cloud, 0.18), surface, dark)
    n.principled(
        Base_Color=n.mix(n.math("MULTIPLY", vein, 0.75), soft, dark), Roughness=0.14, Coat_Weight=0.3
    )


def _rattan(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    strand = max(weave, 0.008)
    xyz = n.node("SeparateXYZ", Vector=n.coordinates("uv", (1 / strand, 1 / strand, 1))).outputs
    sign = n.math("SINE", n.math("MULTIPLY", xyz[0], 3.1416))
    over = n.math("MULTIPLY", sign, n.math("SINE", n.math("MULTIPLY", xyz[1], 3.1416)))
    gaps = n.math("ABSOLUTE", n.math("SINE", n.math("MULTIPLY", xyz[1], 3.1416)))
    height = n.math("ADD", over, gaps)
    dark = n.node("HueSaturation", Color=surface, Value=0.35).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(height, 0.7, -0.1), surface, dark),
        Roughness=0.55,
        Normal=n.bump(height, 0.8, strand * 0.4),
    )


def _glass(n: Nodes, surface: Any, base: Rgb, weave: float, roughness: float = 0.0) -> None:
    """Clear or tinted glass; shadow rays pass through it tinted, so that it throws no black shadow."""
    clear = tuple(c**0.6 for c in base)
    bsdf = n.node("BsdfPrincipled", Base_Color=clear, Roughness=roughness, IOR=1.45, Transmission_Weight=1.0)
    through = n.node("BsdfTransparent", Color=tuple(min(1.0, 0.25 + 0.72 * c) for c in clear))
    path = n.node("LightPath").outputs
    shadow = n.math("MAXIMUM", path["Is Shadow Ray"], path["Is Diffuse Ray"])
    mixed = n.node("MixShader", Fac=shadow)
    n.tree.links.new(bsdf.outputs[0], mixed.inputs[1])
    n.tree.links.new(through.outputs[0], mixed.inputs[2])
    n.tree.links.new(mixed.outputs[0], n.output.inputs[0])


def _shade(n: Nodes, surface: Any, base: Rgb, weave: float, lit: float = 0.35) -> None:
    """A lamp shade's paper or linen: light passes through, and it glows a little by itself (`lit`, 0 = off)."""
    thread = n.noise(n.coordinates("uv", (300, 300, 300)), 1.0, 2)
    colour = n.mix(n.math("MULTIPLY", thread, 0.2), surface, (0.5, 0.45, 0.4))
    front = n.node("BsdfDiffuse", Color=colour)
    back = n.node("BsdfTranslucent", Color=colour)
    both = n.node("MixShader", Fac=0.45)
    n.tree.links.new(front.outputs[0], both.inputs[1])
    n.tree.links.new(back.outputs[0], both.inputs[2])
    warm = n.mix(0.35, surface, (1.0, 0.72, 0.42))
    glow = n.node("Emission", Color=warm, Strength=lit)
    total = n.node("AddShader")
    n.tree.links.new(both.outputs[0], total.inputs[0])
    n.tree.links.new(glow.outputs[0], total.inputs[1])
    n.tree.links.new(total.outputs[0], n.output.inputs[0])


def _bulb(n: Nodes, surface: Any, base: Rgb, weave: float, strength: float = 3.0) -> None:
    glow = n.node("Emission", Color=(1.0, 0.82, 0.58), Strength=strength)
    n.tree.links.new(glow.outputs[0], n.output.inputs[0])


def _screen(n: Nodes, surface: Any, base: Rgb, weave: float, picture: int = 0) -> None:
    """A display that is on: one of a few wallpapers over the part's own bounding box, under glossy glass."""
    spot = n.node("TexCoord").outputs["Generated"]
    xyz = n.node("SeparateXYZ", Vector=spot).outputs
    themes = [
        ((0.02, 0.06, 0.30), (0.75, 0.22, 0.42), (1.0, 0.62, 0.25)),
        ((0.01, 0.16, 0.22), (0.04, 0.42, 0.50), (0.75, 0.92, 0.80)),
        ((0.06, 0.02, 0.20), (0.30, 0.10, 0.60), (0.30, 0.65, 0.95)),
        ((0.02, 0.12, 0.06), (0.16, 0.40, 0.16), (0.92, 0.86, 0.50)),
    ]
    low, middle, high = themes[picture % len(themes)]
    wave = n.noise(n.node("Mapping", Vector=spot, Scale=(1.2, 0.01, 2.2)).outputs[0], 1.4, 1, 1.2)
    height = n.math("ADD", n.math("MULTIPLY", xyz[2], 0.55), n.math("MULTIPLY", wave, 0.55))
    colour = n.mix(n.ramp(height, 0.25, 0.55), low, middle)
    colour = n.mix(n.ramp(height, 0.52, 0.85), colour, high)
    n.principled(Base_Color=(0.01, 0.01, 0.012), Roughness=0.2, Emission_Color=colour, Emission_Strength=0.85)


def _foliage(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    tone = n.noise(n.coordinates("grain"), 8.0, 3)
    light = n.node("HueSaturation", Color=surface, Value=1.5, Hue=0.48).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(tone, 0.3, 0.75), surface, light), Roughness=0.45, Subsurface_Weight=0.0
    )


def _rough(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    grit = n.noise(n.coordinates("grain"), 90.0, 4)
    dark = n.node("HueSaturation", Color=surface, Value=0.45).outputs[0]
    n.principled(
        Base_Color=n.mix(n.ramp(grit, 0.35, 0.7), surface, dark),
        Roughness=0.95,
        Normal=n.bump(grit, 0.8, 0.004),
    )


def _liquid(n: Nodes, surface: Any, base: Rgb, weave: float) -> None:
    n.principled(Base_Color=surface, Roughness=0.05)


MAKERS: dict[str, Callable[..., None]] = {
    "fabric": _fabric,
    "boucle": _boucle,
    "velvet": _velvet,
    "satin": _satin,
    "pearl": _pearl,
    "leather": _leather,
    "suede": _suede,
    "ceramic": _ceramic,
    "stoneware": _stoneware,
    "plastic": _plastic,
    "gloss": _gloss,
    "painted wood": _painted_wood,
    "metal": _painted_metal,
    "rubber": _rubber,
    "iron": _iron,
    "terracotta": _clay,
    "concrete": _clay,
    "stone": _clay,
    "marble": _marble,
    "rattan": _rattan,
    "glass": _glass,
    "paper": _shade,
    "shade": _shade,
    "bulb": _bulb,
    "screen": _screen,
    "foliage": _foliage,
    "soil": _rough,
    "cork": _rough,
    "liquid": _liquid,
}
