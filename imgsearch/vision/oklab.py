"""Colours as people see them: sRGB pixels in OKLab, by a table of all colours in steps of eight.

It owns the formula and the table; it knows nothing of what a photo shows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cell_colors", "cells_of", "oklab", "planes_of", "smoothed"]

Floats = NDArray[np.float32]

_LEVELS = 32  # steps of a channel in the tables by colour


def cells_of(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return for each pixel of (height, width, 3) its cell in the tables by colour, (height, width)."""
    steps = (pixels >> 3).astype(np.intp)
    return (steps[..., 0] << 10) | (steps[..., 1] << 5) | steps[..., 2]


def oklab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return the OKLab of (n, 3) sRGB values of 0 to 255 (B. Ottosson, "A perceptual color space", 2020)."""
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = linear @ _TO_CONES.T
    return np.asarray(np.cbrt(cones) @ _TO_LAB.T)


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def cell_colors() -> NDArray[np.float64]:
    """Return the sRGB in the middle of each cell of the tables by colour, (cells, 3)."""
    axis = np.arange(_LEVELS) * 8.0 + 3.5
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


@lru_cache(maxsize=1)
def _oklab_table() -> Floats:
    """Return the OKLab of each cell of the tables by colour, (3, cells)."""
    return np.ascontiguousarray(oklab(cell_colors()).T, np.float32)


def planes_of(cells: NDArray[np.intp]) -> Floats:
    """Return the pixels' lightness and the two axes of their hue, (3, height, width) float32."""
    return np.stack([plane[cells] for plane in _oklab_table()])


def smoothed(planes: Floats) -> Floats:
    """Return the means of 3 x 3 pixels, the same shape; edges are continued."""
    down = planes.copy()
    down[:, 1:] += planes[:, :-1]
    down[:, :-1] += planes[:, 1:]
    down[:, 0] += planes[:, 0]
    down[:, -1] += planes[:, -1]
    across = down.copy()
    across[..., 1:] += down[..., :-1]
    across[..., :-1] += down[..., 1:]
    across[..., 0] += down[..., 0]
    across[..., -1] += down[..., -1]
    across *= np.float32(1 / 9)
    return across
