"""Changes of a picture that no shopper minds; a robust search finds the same photos for the changed picture."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

__all__ = ["TRANSFORMATIONS"]

CROPPED_MARGIN = 0.05
JPEG_QUALITY = 40
DEGREES = 5.0


def _encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **(options or {"compress_level": 1}))
    return buffer.getvalue()


def _mirrored(image: Image.Image) -> bytes:
    return _encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _cropped(image: Image.Image) -> bytes:
    width, height = image.size
    left, top = round(width * CROPPED_MARGIN), round(height * CROPPED_MARGIN)
    return _encoded(image.crop((left, top, max(left + 1, width - left), max(top + 1, height - top))))


def _half_size(image: Image.Image) -> bytes:
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return _encoded(image.resize(size, Image.Resampling.LANCZOS))


def _rotated(image: Image.Image, degrees: float) -> bytes:
    # The corners get the median colour of the border, like the background of a scanner or a studio.
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = tuple(int(level) for level in np.median(border, axis=0))
    return _encoded(image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=background))


TRANSFORMATIONS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "mirrored": _mirrored,
    "cropped by 10%": _cropped,
    "saved as JPEG, quality 40": lambda image: _encoded(image, "JPEG", quality=JPEG_QUALITY),
    "half the size": _half_size,
    "turned left by 5°": lambda image: _rotated(image, DEGREES),
    "turned right by 5°": lambda image: _rotated(image, -DEGREES),
}
"""The changes by name, in the order of a report: an upright RGB image in, an encoded picture out."""
