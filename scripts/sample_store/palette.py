"""Own the shop's colour and material words. It knows no Blender: numbers and names only."""

import random

Rgb = tuple[float, float, float]

# sRGB, 0-255: each is the colour that a shopper would name at a glance.
COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (228, 227, 223),
    "black": (25, 25, 27),
    "grey": (126, 128, 131),
    "beige": (212, 193, 160),
    "brown": (106, 66, 38),
    "red": (178, 14, 22),
    "orange": (228, 104, 20),
    "yellow": (240, 190, 28),
    "green": (34, 120, 62),
    "olive": (104, 108, 46),
    "teal": (0, 120, 124),
    "blue": (34, 92, 190),
    "navy": (22, 34, 78),
    "pink": (236, 142, 166),
    "purple": (108, 56, 146),
}

# What a shopper calls the colour of a material that is sold in its own colour.
NATURAL_COLOUR: dict[str, str] = {
    "oak": "brown",
    "walnut": "brown",
    "pine": "beige",
    "beech": "beige",
    "ash": "beige",
    "bamboo": "beige",
    "ebony": "black",
    "steel": "silver",
    "chrome": "silver",
    "aluminium": "silver",
    "brass": "gold",
    "gold": "gold",
    "copper": "copper",
    "iron": "black",
    "rattan": "beige",
    "wicker": "brown",
    "terracotta": "orange",
    "marble": "white",
    "concrete": "grey",
    "stone": "grey",
    "cork": "beige",
    "glass": "clear",
}

# The second colour of a pattern: strong enough against the first to be seen at 100 px.
PARTNERS: dict[str, tuple[str, ...]] = {
    "white": ("navy", "red", "black"),
    "black": ("white",),
    "grey": ("white",),
    "beige": ("brown", "navy"),
    "brown": ("beige",),
    "red": ("white",),
    "orange": ("white",),
    "yellow": ("white", "grey"),
    "green": ("white", "beige"),
    "olive": ("beige",),
    "teal": ("white",),
    "blue": ("white",),
    "navy": ("white", "beige"),
    "pink": ("white",),
    "purple": ("white",),
}


def linear(rgb: tuple[float, float, float]) -> Rgb:
    """Convert sRGB 0-255 to linear light 0-1 (IEC 61966-2-1)."""

    def channel(value: float) -> float:
        scaled = value / 255
        return scaled / 12.92 if scaled <= 0.04045 else float(((scaled + 0.055) / 1.055) ** 2.4)

    return channel(rgb[0]), channel(rgb[1]), channel(rgb[2])


def shade(colour: str, rng: random.Random, jitter: float = 8.0) -> Rgb:
    """Return the named colour in linear light, moved by at most `jitter` sRGB steps a channel.

    Raises KeyError for a colour that is not in COLOURS.
    """
    common = rng.uniform(-jitter, jitter)
    moved = [min(250.0, max(8.0, c + common + rng.uniform(-jitter, jitter) / 3)) for c in COLOURS[colour]]
    return linear((moved[0], moved[1], moved[2]))
