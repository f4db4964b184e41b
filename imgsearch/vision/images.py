"""Decodes images of many formats to upright RGB, and encodes thumbnails; safe in many threads at once.

Whatever a damaged or hostile file raises in Pillow becomes an `ImageError`; bytes and pixels are limited.
"""

from __future__ import annotations

import io
import math
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif

# The plugins are imported here, once: Pillow's own lazy registration is a race between threads.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    ExifTags,
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
    features,
)

from imgsearch.core.errors import ImageError, ImageTooLarge
from imgsearch.core.query import Region
from imgsearch.vision import tiff_kinds
from imgsearch.vision.color_profiles import to_srgb

pillow_heif.register_heif_opener(thumbnails=False)
tiff_kinds.register_kinds()

# Pillow's other readers (PostScript, PSD, ...) are not for product photos, and an attack surface.
_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF"]
if features.check("avif"):
    from PIL import AvifImagePlugin  # noqa: F401

    _FORMATS.append("AVIF")

# `ImageLimits.max_pixels` replaces Pillow's own threshold, and damaged EXIF blocks do not matter.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

THUMBNAIL_SIZES = (96, 192, 384, 768)  # in px; few, so that caches are hit

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest file (`max_bytes`) and the largest image (`max_pixels`, width x height) accepted."""

    max_bytes: int = 30 * 1024 * 1024
    max_pixels: int = 100_000_000


DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded upright RGB `image`, and the size of the original, upright, before any reduction."""

    image: Image.Image
    width_px: int
    height_px: int


def decode_image(
    source: bytes | Path, *, target_px: int | None = None, limits: ImageLimits = DEFAULT_LIMITS
) -> Image.Image:
    """Return the upright RGB image in `source`; see `decode_picture`."""
    return decode_picture(source, target_px=target_px, limits=limits).image


def decode_region(
    source: bytes | Path,
    region: Region | None,
    *,
    target_px: int | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> Image.Image:
    """Return a region (at least one pixel) of the upright RGB image in `source`, or all of it for None.

    With `target_px` the region may come smaller, but its shorter side not below it; raises as `decode_picture`.
    """
    if region is None:
        return decode_image(source, target_px=target_px, limits=limits)
    share = min(region.right - region.left, region.bottom - region.top)
    whole_px = None if target_px is None else round(target_px / max(share, 0.01))
    image = decode_image(source, target_px=whole_px, limits=limits)
    left, top = math.floor(region.left * image.width), math.floor(region.top * image.height)
    right, bottom = math.ceil(region.right * image.width), math.ceil(region.bottom * image.height)
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def decode_picture(
    source: bytes | Path, *, target_px: int | None = None, limits: ImageLimits = DEFAULT_LIMITS
) -> Picture:
    """Decode a JPEG, PNG, WebP, GIF (first frame), BMP, TIFF, HEIC or AVIF to upright RGB.

    Transparency becomes white, 16 bits are scaled to 8, colours of another profile become sRGB, and the EXIF
    orientation is applied. With `target_px` the image may come smaller than the original, but its shorter side not
    below `target_px`: a JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, which is several times faster.

    Raises `ImageTooLarge` over the limits (pixels are counted in the header, before decoding) and `ImageError` for
    anything else that is not a usable image, with one sentence without the file's name.
    """
    data = _read_file(source, limits) if isinstance(source, Path) else source
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > limits.max_bytes:
        raise _too_many_bytes(limits)
    try:
        return _decode(data, target_px, limits)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(limits) from error
    except UnidentifiedImageError as error:
        if kind := tiff_kinds.described(data):
            raise ImageError(
                f"TIFF files of this kind cannot be read: {kind}. Save it as 8-bit RGB."
            ) from error
        known = ", ".join(_FORMATS)
        raise ImageError(f"The file is not a readable picture in a known format ({known}).") from error
    except MemoryError as error:
        raise ImageTooLarge("The picture needs more memory than there is.") from error
    except Exception as error:  # on hostile bytes the decoders raise nearly anything
        raise ImageError(_damage(error)) from error


def encode_thumbnail(image: Image.Image, size_px: int, quality: int = 80) -> bytes:
    """Return a WebP of `image` whose longer side is at most `size_px`, without metadata; never enlarged."""
    thumbnail = image.convert("RGB") if image.mode != "RGB" else image.copy()
    thumbnail.thumbnail((size_px, size_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    thumbnail.info.clear()
    buffer = io.BytesIO()
    thumbnail.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def nearest_thumbnail_size(px: int) -> int:
    """Return the smallest of `THUMBNAIL_SIZES` that is at least `px`, or the largest."""
    return next((size for size in THUMBNAIL_SIZES if size >= px), THUMBNAIL_SIZES[-1])


def _read_file(path: Path, limits: ImageLimits) -> bytes:
    """Return the bytes of a regular file within the limits; every failure is an `ImageError`."""
    try:
        status = path.stat()
        # A pipe or a device would block or never end.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("The path is not a regular file.")
        if status.st_size > limits.max_bytes:
            raise _too_many_bytes(limits)
        return path.read_bytes()
    except FileNotFoundError as error:
        broken = path.is_symlink()
        raise ImageError("The link points to no file." if broken else "There is no such file.") from error
    except PermissionError as error:
        raise ImageError("The file cannot be read: permission denied.") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"The file cannot be read: {_one_line(error)}.") from error


def _decode(data: bytes, target_px: int | None, limits: ImageLimits) -> Picture:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
        width, height = opened.size
        if width * height > limits.max_pixels:
            raise _too_many_pixels(limits)
        if target_px is not None:
            opened.draft(None, (target_px, target_px))  # None keeps the mode
        opened.load()
        orientation = _orientation(opened)
        profile = opened.info.get("icc_profile")
        image = _without_alpha(opened)
    if target_px is not None and (factor := min(image.size) // target_px) > 1:
        image = image.reduce(factor)
    image = to_srgb(image, profile if isinstance(profile, bytes) else None)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if orientation in _SIDEWAYS:
        width, height = height, width
    image.info.clear()
    return Picture(image, width, height)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 where it is missing or unreadable, as the pixels may still be good."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _without_alpha(image: Image.Image) -> Image.Image:
    """Return a picture of mode RGB, or of mode L, CMYK or LAB, whose colours are still those of its profile."""
    if image.mode.startswith("I;16"):
        return _from_levels(np.asarray(image, dtype=np.float32), 65535.0)
    if image.mode in ("I", "F"):
        levels = np.nan_to_num(np.asarray(image, dtype=np.float32))
        return _from_levels(levels, _white_level(levels))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.copy() if image.mode in ("RGB", "L", "CMYK", "LAB") else image.convert("RGB")


def _white_level(levels: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Return the level of white, which 32-bit files do not define: the lowest usual one that none exceeds."""
    brightest = float(levels.max(initial=0.0))
    return next((white for white in (1.0, 255.0, 65535.0) if brightest <= white), brightest)


def _from_levels(levels: np.ndarray[Any, np.dtype[np.float32]], white: float) -> Image.Image:
    scaled = np.clip(levels * (255.0 / white) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(scaled).convert("RGB")


def _too_many_bytes(limits: ImageLimits) -> ImageTooLarge:
    return ImageTooLarge(f"The file has more than {limits.max_bytes:,} bytes.")


def _too_many_pixels(limits: ImageLimits) -> ImageTooLarge:
    return ImageTooLarge(f"The picture has more than {limits.max_pixels:,} pixels.")


def _damage(error: Exception) -> str:
    text = _one_line(error)
    if "truncated" in text.lower():
        return "The picture is cut off: its file is truncated."
    return f"The picture is damaged: {text}."


def _one_line(error: Exception) -> str:
    """Return an error's text as one short line without a full stop."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split())[:160].rstrip(".") or type(error).__name__
