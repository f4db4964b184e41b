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
    # Fashion's words, for training_products alone: the shop has only those above.
    "burgundy": (98, 16, 36),
    "charcoal": (62, 64, 68),
    "coral": (240, 112, 92),
    "cream": (240, 229, 203),
    "khaki": (168, 150, 104),
    "lavender": (184, 164, 216),
    "lime": (160, 204, 34),
    "magenta": (200, 20, 124),
    "maroon": (118, 22, 30),
    "mint": (166, 220, 192),
    "mustard": (204, 152, 34),
    "peach": (246, 190, 156),
    "rust": (166, 70, 28),
    "tan": (184, 132, 82),
    "turquoise": (38, 182, 184),
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
    "silver": "silver",
    "rose gold": "pink",
    "pearl": "white",
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
    "charcoal": ("white", "yellow"),
    "cream": ("navy", "rust", "green"),
    "khaki": ("white", "brown"),
    "lavender": ("white", "purple"),
    "lime": ("white", "black"),
    "mint": ("white", "teal"),
    "mustard": ("white", "navy"),
    "peach": ("white", "maroon"),
    "tan": ("cream", "navy"),
    "turquoise": ("white", "navy"),
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
