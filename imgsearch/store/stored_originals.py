"""Originals that were sent with a change of an item: `<catalog>/originals/<digest>.<ext>`, location `stored:<name>`.

A file is written whole and flushed to the disk before the database names it, and is never changed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection
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
    try:
        os.utime(path)  # in use again: `delete_unused` keeps files that were used lately
        complete = path.stat().st_size == len(data)
    except FileNotFoundError:
        complete = False
    if not complete:
        path.parent.mkdir(exist_ok=True)
        write_durably(path, data)
    return f"{PREFIX}{path.name}"


def delete_unused(folder: Path, used: Collection[str], *, min_age_s: float) -> tuple[int, int]:
    """Delete originals whose location is not among the used ones; return how many, and their bytes.

    Files that were stored or used less than `min_age_s` ago stay: a change may be about to be committed.
    """
    count, freed, oldest = 0, 0, time.time() - min_age_s
    for path in sorted((folder / "originals").glob("*")):
        if f"{PREFIX}{path.name}" in used or path.stat().st_mtime > oldest:
            continue
        # Under another name first: `store_original` may use the file between the look at its time and its end.
        deleted = path.rename(path.with_name(f".{path.name}.deleted"))
        status = deleted.stat()
        if status.st_mtime > oldest:
            deleted.rename(path)
            continue
        deleted.unlink()
        count, freed = count + 1, freed + status.st_size
    return count, freed


def _extension(data: bytes) -> str:
    return next((name for at, sign, name in _SIGNATURES if data[at : at + len(sign)] == sign), "img")
