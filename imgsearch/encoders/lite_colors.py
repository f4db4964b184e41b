"""How much of each named colour the thing in the middle of a picture has.

It owns the colour names, what they look like, and the measurement; the `lite` encoder appends it to its embedding
so that look-alikes agree in colour and "red mug" finds red mugs. It knows nothing of networks or words.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOR_NAMES", "named_colors"]

# A few typical sRGB shades for each name: a colour belongs to the name of the nearest shade, softly.
_SHADES: dict[str, list[tuple[int, int, int]]] = {
    "black": [(20, 20, 22), (40, 40, 42)],
    "white": [(250, 250, 250), (225, 225, 225)],
    "grey": [(90, 92, 95), (128, 128, 128), (175, 175, 175)],
    "red": [(200, 25, 35), (150, 20, 30)],
    "orange": [(240, 130, 30), (220, 95, 25)],
    "yellow": [(245, 215, 50), (225, 190, 60)],
    "green": [(60, 150, 60), (30, 85, 45), (140, 180, 80)],
    "turquoise": [(60, 180, 180), (30, 130, 130)],
    "blue": [(40, 90, 190), (90, 150, 220)],
    "navy": [(25, 35, 75)],
    "purple": [(120, 50, 150), (90, 40, 100)],
    "pink": [(240, 150, 180), (220, 70, 140)],
    "brown": [(110, 65, 35), (75, 45, 30)],
    "beige": [(215, 195, 160), (190, 165, 130)],
}
COLOR_NAMES = tuple(_SHADES)

_LEVELS = 32  # steps of a channel in the table from colours to names
_SOFTNESS = (
    6.0  # in units of Lab distance: where two names are this much apart, the nearer has e times the weight
)
_LIGHTNESS_FACTOR = 0.75  # shading changes lightness more than it changes what one calls the colour
_CENTER_WIDTH = 0.45  # standard deviation of the weight around the middle, in half sides
_BORDER = 0.9  # farther out than this, in half sides, is taken for background
_KEPT_BACKGROUND = 0.15  # so that a white thing on white still is white


def named_colors(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the shares of `COLOR_NAMES` in the middle of (height, width, 3) uint8 sRGB pixels; they sum to 1.

    The middle counts more than the rim, and the colours of the outermost rim are taken away as background.
    """
    center, border = _weights(*pixels.shape[:2])
    steps = (pixels >> 3).astype(np.int32)
    cells = ((steps[..., 0] * _LEVELS + steps[..., 1]) * _LEVELS + steps[..., 2]).ravel()
    used, where = np.unique(cells, return_inverse=True)
    table = _names_of_cells()[used]
    inside = np.bincount(where, center) @ table
    background = np.bincount(where, border) @ table
    shares = np.maximum(inside - background, 0.0) + _KEPT_BACKGROUND * inside
    result: NDArray[np.float32] = (shares / shares.sum()).astype(np.float32)
    return result


@lru_cache(maxsize=4)
def _weights(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the flat weights of the middle and of the rim; each sums to 1."""
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    center = np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * _CENTER_WIDTH**2)).ravel()
    border = (np.maximum(np.abs(y)[:, None], np.abs(x)[None, :]) >= _BORDER).ravel().astype(np.float64)
    return center / center.sum(), border / border.sum()


@lru_cache(maxsize=1)
def _names_of_cells() -> NDArray[np.float64]:
    """Return what each cell of the colour cube is called: (levels³, names), rows sum to 1."""
    step = 256 // _LEVELS
    axis = np.arange(_LEVELS) * step + step // 2
    cells = _lab(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3))
    scale = np.array([_LIGHTNESS_FACTOR, 1.0, 1.0])
    distances = np.stack(
        [
            np.min(
                [np.linalg.norm((cells - shade) * scale, axis=1) for shade in _lab(np.array(shades))], axis=0
            )
            for shades in _SHADES.values()
        ],
        axis=1,
    )
    names = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / _SOFTNESS)
    result: NDArray[np.float64] = names / names.sum(axis=1, keepdims=True)
    return result


def _lab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return the CIE L*a*b* (D65) of (n, 3) sRGB values of 0 to 255, by the formulas of IEC 61966-2-1 and CIE 15."""
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])],
        axis=1,
    )
