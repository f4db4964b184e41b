"""Colours: sRGB to OKLab (B. Ottosson, "A perceptual color space for image processing", 2020), by a look-up table.

The table has 32 levels of each channel: a *colour cell* is an sRGB colour without the lowest three bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_LEVELS = 32
_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear_rgb(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return the linear values, 0 to 1, of sRGB values of 0 to 255 (IEC 61966-2-1)."""
    value = rgb / 255.0
    return np.asarray(np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4))


def oklab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return the OKLab of (n, 3) sRGB values of 0 to 255."""
    return np.asarray(np.cbrt(linear_rgb(rgb) @ _RGB_TO_LMS.T) @ _LMS_TO_LAB.T)


def color_cells(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return the colour cell of each of (..., 3) pixels, (...)."""
    levels = (pixels >> 3).astype(np.intp)
    return (levels[..., 0] << 10) | (levels[..., 1] << 5) | levels[..., 2]


def cell_colors() -> NDArray[np.float64]:
    """Return the sRGB colour in the middle of each cell, (cells, 3)."""
    axis = np.arange(_LEVELS) * 8.0 + 3.5
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


@lru_cache(maxsize=1)
def _oklab_table() -> Floats:
    return np.ascontiguousarray(oklab(cell_colors()).T, np.float32)


def lab_planes(cells: NDArray[np.intp]) -> Floats:
    """Return OKLab's L, a and b of (height, width) colour cells, (3, height, width) float32."""
    return np.stack([plane[cells] for plane in _oklab_table()])


def blurred(planes: Floats) -> Floats:
    """Return the means of 3 x 3 pixels of (n, height, width) planes; edge pixels are repeated."""
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
