"""The square of an image that `lite` encodes: centred on the thing where the background is plain.

Imports no torch, so processes that only preprocess photos start quickly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

INPUT_PX = 224
_BORDER_SEARCH_PX = 160  # the longer side of the image in which the border is examined
_COLOR_TOLERANCE = 24  # of a channel, within one plain colour
_MAX_DIFFERENT_SHARE = 0.06  # of the border
_MARGIN = 0.08  # around the thing, in its longer side
_MIN_SHARE = 0.1  # a smaller thing, in either direction, is a speck


def pixels_of(image: Image.Image) -> NDArray[Any]:
    """Return the network's input for an upright RGB image, (3, 224, 224) uint8."""
    return np.ascontiguousarray(np.asarray(framed(image)).transpose(2, 0, 1))


def framed(image: Image.Image) -> Image.Image:
    """Return the 224 px square of an upright RGB image that is encoded.

    Where the border has one colour, the square is centred on the thing with a small margin and filled with that
    colour; otherwise it is the middle of the image.
    """
    scale = min(1.0, _BORDER_SEARCH_PX / max(image.size))
    small = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))),
        Image.Resampling.BILINEAR,
        reducing_gap=2.0,
    )
    found = plain_border(np.asarray(small))
    if found is None:
        middle = float(min(image.size))
        left, top = (image.width - middle) / 2, (image.height - middle) / 2
        return _cut(image, (left, top, left + middle, top + middle), (INPUT_PX, INPUT_PX))
    box, color = found
    # Not the scale from above, because the sides of the small image are rounded.
    across, down = image.width / small.width, image.height / small.height
    thing = (box[0] * across, box[1] * down, box[2] * across, box[3] * down)
    side = max(thing[2] - thing[0], thing[3] - thing[1]) * (1 + 2 * _MARGIN)
    x, y = (thing[0] + thing[2] - side) / 2, (thing[1] + thing[3] - side) / 2
    inside = (max(0.0, x), max(0.0, y), min(float(image.width), x + side), min(float(image.height), y + side))
    zoom = INPUT_PX / side
    size = max(1, round((inside[2] - inside[0]) * zoom)), max(1, round((inside[3] - inside[1]) * zoom))
    square = Image.new("RGB", (INPUT_PX, INPUT_PX), color)
    square.paste(_cut(image, inside, size), (round((inside[0] - x) * zoom), round((inside[1] - y) * zoom)))
    return square


def plain_border(pixels: NDArray[np.uint8]) -> tuple[tuple[int, int, int, int], tuple[int, int, int]] | None:
    """Return the box (left, top, right, bottom) of what differs from a plain border, and the border's colour.

    `pixels` is (height, width, 3) uint8. None where the border has more than one colour, or nothing differs.
    """
    height, width = pixels.shape[:2]
    rim = max(1, round(0.02 * min(height, width)))
    edges = [pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:]]
    border = np.concatenate([edge.reshape(-1, 3) for edge in edges])
    color = np.median(border, axis=0)
    # A table of the levels of each channel that differ takes a tenth of the time of comparing every pixel.
    far = np.abs(np.arange(256)[:, None] - color) > _COLOR_TOLERANCE
    if _any_of(far, border).mean() > _MAX_DIFFERENT_SHARE:
        return None
    differs = _any_of(far, pixels)
    differs[:rim] = differs[-rim:] = False
    differs[:, :rim] = differs[:, -rim:] = False
    rows = np.flatnonzero(differs.sum(axis=1) >= max(1, 0.01 * width))
    columns = np.flatnonzero(differs.sum(axis=0) >= max(1, 0.01 * height))
    if len(rows) < _MIN_SHARE * height or len(columns) < _MIN_SHARE * width:
        return None
    red, green, blue = (int(value) for value in color)
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1), (red, green, blue)


def _any_of(levels: NDArray[np.bool_], pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which of (..., 3) uint8 pixels have a channel whose level is set in `levels`, (256, 3)."""
    found = levels[:, 0][pixels[..., 0]]
    found |= levels[:, 1][pixels[..., 1]]
    found |= levels[:, 2][pixels[..., 2]]
    return found


def _cut(image: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
