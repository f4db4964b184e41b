"""Removes metadata (EXIF, GPS position, XMP, comments) from a picture's file without changing a pixel."""

from __future__ import annotations

import io
import re
import struct

from PIL import ExifTags, Image

from imgsearch.vision.images import DEFAULT_LIMITS, ImageLimits, decode_image

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker in JPEG data: not an escaped 0xff, not a restart marker."""
_JPEG_KEPT = {0xE0, 0xEE}  # JFIF and Adobe: how colours are stored
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"}
_WEBP_DROPPED = {b"EXIF", b"XMP "}
_WEBP_METADATA_FLAGS = 0x0C


def without_metadata(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> bytes:
    """Return a file of the same pixels without metadata; the orientation and colour profile are kept.

    JPEG, PNG and WebP keep their compressed data. Other formats become an upright PNG. Raises `ImageError` for a
    file that is no picture.
    """
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        if data[:8] == _PNG_SIGNATURE and _orientation(data) == 1:
            return _png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and _orientation(data) == 1:
            return _webp(data)
    except (struct.error, IndexError, ValueError):  # parts that only a decoder with repairs reads
        pass
    buffer = io.BytesIO()
    decode_image(data, limits=limits).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _orientation(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _jpeg(data: bytes) -> bytes:
    """Return the JPEG up to its end marker without application segments and comments, but with its orientation."""
    parts, place = [data[:2]], 2
    orientation = _orientation(data)
    if orientation != 1:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        content = exif.tobytes()
        parts.append(b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content)
    while (found := _JPEG_MARKER.search(data, place)) is not None:
        parts.append(data[place : found.start()])  # the compressed data between segments
        marker = data[found.start() + 1]
        if marker == 0xD9:
            return b"".join([*parts, b"\xff\xd9"])
        (length,) = struct.unpack_from(">H", data, found.start() + 2)
        place = found.start() + 2 + length
        segment = data[found.start() : place]
        is_metadata = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not is_metadata or marker in _JPEG_KEPT or segment[4:15] == b"ICC_PROFILE":
            parts.append(segment)
    raise ValueError("the JPEG has no end marker")


def _png(data: bytes) -> bytes:
    parts, place = [_PNG_SIGNATURE], 8
    while True:
        (length,) = struct.unpack_from(">I", data, place)
        kind, end = data[place + 4 : place + 8], place + 12 + length
        if kind in _PNG_KEPT:
            parts.append(data[place:end])
        if kind == b"IEND":
            return b"".join(parts)
        place = end


def _webp(data: bytes) -> bytes:
    (size,) = struct.unpack_from("<I", data, 4)
    parts, place = [], 12
    while place < min(8 + size, len(data)):
        (length,) = struct.unpack_from("<I", data, place + 4)
        kind, end = data[place : place + 4], place + 8 + length + length % 2
        chunk = data[place:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_METADATA_FLAGS]) + chunk[9:]
        if kind not in _WEBP_DROPPED:
            parts.append(chunk)
        place = end
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body
