"""Originals that were sent with a change of an item: `<catalog>/originals/<digest>.<ext>`, location `stored:<name>`.

A file is written whole and flushed to the disk before the database names it, and is never changed.
"""

from __future__ import annotations

import re
from pathlib import Path

from imgsearch.core.files import write_durably

PREFIX = "stored:"
_NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{2,5}")
_SIGNATURES = (
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"\x89PNG", "png"),
    (8, b"WEBP", "webp"),
    (0, b"GIF8", "gif"),
    (0, b"BM", "bmp"),
    (0, b"II*\0", "tif"),
    (0, b"MM\0*", "tif"),
    (4, b"ftypavif", "avif"),
    (4, b"ftyp", "heic"),
)


def is_stored(location: str) -> bool:
    """Return whether a location is that of an original stored in the catalog's folder."""
    return location.startswith(PREFIX)


def stored_path(folder: Path, location: str) -> Path | None:
    """Return the file of a `stored:` location in a catalog's folder; None where it is not a valid one."""
    name = location.removeprefix(PREFIX)
    return folder / "originals" / name if _NAME.fullmatch(name) else None


def store_original(folder: Path, data: bytes, digest: str) -> str:
    """Store a picture's bytes under their digest in a catalog's folder, durably, and return the location."""
    path = folder / "originals" / f"{digest}.{_extension(data)}"
    if not path.is_file() or path.stat().st_size != len(data):
        path.parent.mkdir(exist_ok=True)
        write_durably(path, data)
    return f"{PREFIX}{path.name}"


def _extension(data: bytes) -> str:
    return next((name for at, sign, name in _SIGNATURES if data[at : at + len(sign)] == sign), "img")
