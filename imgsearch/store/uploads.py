"""Pictures that visitors sent: kept shrunk, under an id that is the hash of what was sent.

It owns `<catalog>/uploads/`, so that a link to a search by upload still works after a reload or a restart; the
oldest go when it is over its limit. It knows no HTTP.
"""

from __future__ import annotations

import re
from pathlib import Path

from imgsearch.core.errors import QueryError
from imgsearch.store.originals import content_digest
from imgsearch.store.thumbnails import drop_oldest, write_atomically
from imgsearch.vision.images import ImageLimits, decode_image, encode_thumbnail

__all__ = ["UploadStore"]

KEPT_PX = 768
_ID = re.compile(r"[0-9a-f]{32}")


class UploadStore:
    """Keeps uploaded pictures; safe to use from any thread."""

    def __init__(self, folder: Path, *, max_bytes: int, limits: ImageLimits) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._limits = limits

    def add(self, data: bytes) -> str:
        """Keep a picture and return its id, 32 hex characters; the same bytes give the same id.

        What is kept is an upright copy of at most 768 px without metadata (no GPS position, no camera names).
        Raises `ImageError` or `ImageTooLarge`.
        """
        upload_id = content_digest(data)
        path = self._path(upload_id)
        if not path.exists():
            image = decode_image(data, target_px=KEPT_PX, limits=self._limits)
            write_atomically(path, encode_thumbnail(image, KEPT_PX, quality=92))
            drop_oldest(self._folder, self._max_bytes)
        return upload_id

    def read(self, upload_id: str) -> bytes:
        """Return the kept picture as WebP; raises `QueryError` for an id that is unknown or no longer kept."""
        if not _ID.fullmatch(upload_id):
            raise QueryError(f"The upload id {upload_id[:40]!r} is not one that this service gave out.")
        try:
            return self._path(upload_id).read_bytes()
        except FileNotFoundError:
            raise QueryError("That uploaded picture is no longer kept; upload it again.") from None

    def count(self) -> int:
        """Return how many pictures are kept."""
        return sum(1 for _ in self._folder.glob("*/*.webp"))

    def remove(self, upload_id: str) -> None:
        """Delete a kept picture; one that is not kept is no error."""
        if _ID.fullmatch(upload_id):
            self._path(upload_id).unlink(missing_ok=True)

    def webp(self, upload_id: str, size_px: int) -> bytes:
        """Return the kept picture as WebP with its longest side at most `size_px`."""
        data = self.read(upload_id)
        return data if size_px >= KEPT_PX else encode_thumbnail(decode_image(data), size_px)

    def _path(self, upload_id: str) -> Path:
        return self._folder / upload_id[:2] / f"{upload_id}.webp"
