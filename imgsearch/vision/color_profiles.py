"""Colours in sRGB: pictures with another profile (Display P3, Adobe RGB, ProPhoto, CMYK, LAB) are converted.

Without this one red has as many values as there are profiles, and looks and embeddings compare the values.
"""

from __future__ import annotations

import io
import itertools
import threading

import numpy as np
from cachetools import LRUCache
from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 8 * 1024**2
CACHED_TRANSFORMS = 32
SAME_LEVELS = 3
"""A profile that moves no colour of the grid by more levels of 255 counts as sRGB."""

_MODES = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L", "Lab": "LAB"}
"""The mode of the pictures that a profile of a colour space describes."""

_lock = threading.Lock()
_transforms: LRUCache[tuple[bytes, str], ImageCms.ImageCmsTransform | None] = LRUCache(CACHED_TRANSFORMS)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture of mode RGB, L, CMYK or LAB as RGB in sRGB; `profile` is the ICC profile of its file.

    A missing or damaged profile, or one of another colour space, counts as that of sRGB (of CMYK: as plain inks).
    """
    transform = _transform(profile or b"", image.mode)
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the conversion from a profile, kept for the next picture; None where it changes nothing."""
    if (not profile and mode != "LAB") or len(profile) > MAX_PROFILE_BYTES:
        return None
    key = (profile, mode)
    with _lock:
        if key in _transforms:
            return _transforms[key]
    made = _made(profile, mode)
    with _lock:
        _transforms[key] = made
    return made


def _made(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = _opened(profile, mode)
        if source is None:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # Without a cache, threads can share the transform.
            ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE,
        )
        return None if mode in ("RGB", "L") and _changes_nothing(transform, mode) else transform
    except Exception:  # a damaged profile raises nearly anything; the pixels are still good
        return _made(b"", mode) if profile and mode == "LAB" else None


def _opened(profile: bytes, mode: str) -> ImageCms.ImageCmsProfile | None:
    if profile:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODES.get(opened.profile.xcolor_space.strip()) == mode:
            return opened
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")) if mode == "LAB" else None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = range(0, 256, 51)
    colors = list(itertools.product(levels, repeat=3)) if mode == "RGB" else list(range(256))
    grid = np.array(colors, np.uint8)[None]
    image = Image.fromarray(grid)
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    moved = np.asarray(converted, np.int16) - np.asarray(image.convert("RGB"), np.int16)
    return bool(np.abs(moved).max() <= SAME_LEVELS)
