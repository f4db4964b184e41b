"""Kinds of TIFF files that Pillow does not open: those that can be read anyway, and what the others are."""

from __future__ import annotations

import io

from PIL import TiffImagePlugin

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _FORMAT = 258, 259, 262, 277, 339
_COLORS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "LAB"}
_BASE_SAMPLES = {2: 3, 5: 4, 6: 3, 8: 3}
_FLOAT = 3


def register_kinds() -> None:
    """Let Pillow open CMYK pictures with an alpha channel, which is left out: their ground is printed as it is."""
    for order in (b"II", b"MM"):
        for alpha in (1, 2):
            kind = (order, 5, (1,), 1, (8,) * 5, (alpha,))
            TiffImagePlugin.OPEN_INFO.setdefault(kind, ("CMYK", "CMYKX"))


def described(data: bytes) -> str:
    """Return what kind of TIFF the bytes are, such as "32-bit float RGB with alpha"; "" for anything else."""
    if data[:4] not in (b"II*\x00", b"MM\x00*"):
        return ""
    try:
        file = io.BytesIO(data)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        bits, samples = tags.get(_BITS, (1,)), int(tags.get(_SAMPLES, 1))
        photometric, formats = int(tags.get(_PHOTOMETRIC, 1)), tags.get(_FORMAT, (1,))
    except Exception:  # a damaged header raises nearly anything
        return ""
    number = "float " if _FLOAT in formats else ""
    more = samples - _BASE_SAMPLES.get(photometric, 1)
    alpha = "" if more <= 0 else " with alpha" if more == 1 else f" with {more} more channels"
    return f"{max(bits)}-bit {number}{_COLORS.get(photometric, 'colour-coded')}{alpha}"
