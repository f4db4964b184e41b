"""The colours of a thing: the shares of 33 named shades among its pixels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.vision.oklab import color_cells, linear_rgb

# Typical sRGB values.
SHADES: dict[str, tuple[int, int, int]] = {
    "black": (18, 18, 20),
    "charcoal": (58, 60, 64),
    "grey": (110, 112, 115),
    "silver": (165, 167, 170),
    "light grey": (205, 205, 207),
    "white": (246, 246, 246),
    "cream": (238, 226, 200),
    "beige": (212, 190, 155),
    "tan": (185, 145, 100),
    "brown": (125, 78, 45),
    "dark brown": (70, 45, 32),
    "maroon": (105, 20, 35),
    "red": (195, 28, 38),
    "coral": (235, 105, 90),
    "orange": (238, 125, 30),
    "mustard": (205, 160, 45),
    "yellow": (245, 220, 70),
    "lime": (160, 200, 70),
    "green": (50, 140, 65),
    "dark green": (25, 75, 45),
    "olive": (100, 100, 50),
    "mint": (160, 215, 190),
    "teal": (25, 125, 125),
    "turquoise": (60, 190, 195),
    "sky blue": (130, 180, 225),
    "blue": (40, 90, 190),
    "denim": (75, 100, 140),
    "navy": (25, 32, 75),
    "purple": (105, 45, 140),
    "lavender": (170, 150, 210),
    "magenta": (210, 40, 130),
    "pink": (240, 165, 190),
    "dusty pink": (200, 140, 145),
}
_SOFTNESS = 7.0  # in CIELAB distance: of two shades this much apart, the nearer has e times the weight
_LIGHTNESS_WEIGHT = 0.6  # shading changes lightness more than the perceived colour


def shade_shares(pixels: NDArray[np.uint8], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shares of `SHADES` in images, (n, 33) float32, rows sum to 1.

    `pixels` is (n, height, width, 3) uint8 sRGB, `weights` (n, height, width) the weight of each pixel.
    """
    cells = color_cells(pixels).reshape(len(pixels), -1)
    flat = weights.reshape(len(pixels), -1)
    shares = np.stack(
        [
            weight @ _shade_table()[cell]
            for cell, weight in zip(cells, flat / flat.sum(axis=1, keepdims=True), strict=True)
        ]
    )
    result: NDArray[np.float32] = shares / shares.sum(axis=1, keepdims=True)
    return result


def shades_of_rgb(rgb: NDArray[Any], softness: float = _SOFTNESS) -> NDArray[np.float32]:
    """Return the soft assignment of (n, 3) sRGB values of 0 to 255 to `SHADES`: (n, 33) float32, rows sum to 1."""
    scale = np.array([_LIGHTNESS_WEIGHT, 1.0, 1.0])
    shades = lab(np.array(list(SHADES.values())))
    distances = np.linalg.norm((lab(rgb)[:, None, :] - shades[None]) * scale, axis=2)
    names = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / softness)
    result: NDArray[np.float32] = (names / names.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


@lru_cache(maxsize=1)
def _shade_table() -> NDArray[np.float32]:
    """Return the shades of each colour cell, (32768, 33)."""
    axis = np.arange(32) * 8 + 4
    return shades_of_rgb(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3))


def lab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return the CIE L*a*b* (D65) of (n, 3) sRGB values of 0 to 255, by the formulas of IEC 61966-2-1 and CIE 15."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear_rgb(rgb) @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
