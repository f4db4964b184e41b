"""Pictures that visitors sent, in `<catalog>/uploads/`, under the hash of what was sent.

    <id>.sent   the picture as it was sent, without metadata: what searches use
    <id>.webp   a copy of at most 768 px, which replaces the older half of the sent pictures to save space

A link to a search by an upload works after a reload and a restart, until its files are the oldest and deleted.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from cachetools import LRUCache
from PIL import Image

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import ImageError, QueryError
from imgsearch.core.files import write_atomically
from imgsearch.core.query import Region
from imgsearch.store.originals import content_digest
from imgsearch.store.thumbnails import drop_oldest, oldest_first
from imgsearch.vision.images import ImageLimits, decode_image, decode_region, encode_thumbnail
from imgsearch.vision.metadata import without_metadata

PREVIEW_PX = 768
SEARCH_PX = 224
DECODED_PICTURES = 8
_ID = re.compile(r"[0-9a-f]{32}")


class UploadStore:
    """Stores uploaded pictures; safe to use from any thread."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        limits: ImageLimits,
        search_px: Callable[[], int] = lambda: SEARCH_PX,
    ) -> None:
        """Store up to `max_bytes` in `folder`.

        `search_px` returns the size in which pictures are searched: a new upload is decoded in it, so that the search
        that follows need not decode it again.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self.limits = limits
        # A format that is stored as PNG may take more bytes than were sent.
        self._stored_limits = ImageLimits(max_bytes=sys.maxsize, max_pixels=limits.max_pixels)
        self._search_px = search_px
        self._lock = threading.Lock()
        self._decoded: LRUCache[tuple[str, int], Image.Image] = LRUCache(DECODED_PICTURES)
        self._written_bytes = max_bytes
        self._trimming = BackgroundThread("trim-uploads", self._trim)

    def add(self, data: bytes) -> str:
        """Store a picture without its metadata; return the id of its bytes, 32 hex digits. Raises `ImageError`."""
        upload_id = content_digest(data)
        path = self._sent(upload_id)
        if not path.exists():
            target_px = self._search_px()
            image = decode_image(data, target_px=target_px, limits=self.limits)
            write_atomically(path, without_metadata(data, self.limits))
            with self._lock:
                self._decoded[upload_id, target_px] = image
                self._written_bytes += len(data)
                if self._written_bytes >= self._max_bytes // 20:
                    self._written_bytes = 0
                    self._trimming.start()
        return upload_id

    def read(self, upload_id: str) -> bytes:
        """Return the file of a stored picture; raises `QueryError` for an id that is unknown or was deleted."""
        if not _ID.fullmatch(upload_id):
            raise QueryError(f"The upload id {upload_id[:40]!r} is not one of this service.")
        for path in (self._sent(upload_id), self._preview(upload_id)):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                continue
        raise QueryError("That uploaded picture is no longer stored; upload it again.")

    def require(self, upload_id: str) -> None:
        """Raise `QueryError` where no picture of this id is stored; reads nothing."""
        if not (
            _ID.fullmatch(upload_id) and (self._sent(upload_id).exists() or self._preview(upload_id).exists())
        ):
            self.read(upload_id)

    def decode(self, upload_id: str, region: Region | None, target_px: int) -> Image.Image:
        """Return a picture or a region of it as `decode_region` does; raises `QueryError` as `read` does."""
        with self._lock:
            image = self._decoded.get((upload_id, target_px)) if region is None else None
        if image is not None:
            return image
        return decode_region(self.read(upload_id), region, target_px=target_px, limits=self._stored_limits)

    def count(self) -> int:
        """Return how many pictures are stored."""
        return len({path.stem for path in self._files("sent") + self._files("webp")})

    def remove(self, upload_id: str) -> None:
        """Delete a stored picture; does nothing for one that is not stored."""
        if _ID.fullmatch(upload_id):
            with self._lock:
                self._sent(upload_id).unlink(missing_ok=True)
                self._preview(upload_id).unlink(missing_ok=True)
                for name in [name for name in self._decoded if name[0] == upload_id]:
                    del self._decoded[name]

    def webp(self, upload_id: str, size_px: int) -> bytes:
        """Return a stored picture as WebP without metadata, its longest side at most `size_px` and 768."""
        size_px = min(size_px, PREVIEW_PX)
        image = decode_image(self.read(upload_id), target_px=size_px, limits=self._stored_limits)
        return encode_thumbnail(image, size_px)

    def close(self) -> None:
        """Stop the background thread; closing twice is fine."""
        self._trimming.stop()

    def wait(self, timeout_s: float) -> bool:
        """Wait until no stored picture is to be shrunk or deleted; return False if that takes longer."""
        return self._trimming.wait(timeout_s)

    def _trim(self) -> None:
        """Replace the oldest sent pictures beyond half of the limit by previews; delete the oldest files over it."""
        sent = oldest_first(self._files("sent"))
        total = sum(status.st_size for status, _ in sent)
        for status, path in sent:
            if total <= self._max_bytes // 2:
                break
            self._trimming.check()
            self._shrink(path, status)
            total -= status.st_size
        drop_oldest(self._folder, self._max_bytes)

    def _shrink(self, path: Path, status: os.stat_result) -> None:
        try:
            image = decode_image(path.read_bytes(), target_px=PREVIEW_PX, limits=self._stored_limits)
        except (FileNotFoundError, ImageError):  # deleted meanwhile, or damaged on disk
            path.unlink(missing_ok=True)
            return
        preview = self._preview(path.stem)
        write_atomically(preview, encode_thumbnail(image, PREVIEW_PX, quality=92))
        os.utime(preview, ns=(status.st_atime_ns, status.st_mtime_ns))
        with self._lock:
            # `remove` may have deleted the picture meanwhile: the preview must not outlive it.
            (path if path.exists() else preview).unlink(missing_ok=True)

    def _files(self, kind: str) -> list[Path]:
        return list(self._folder.glob(f"*/*.{kind}"))

    def _sent(self, upload_id: str) -> Path:
        return self._folder / upload_id[:2] / f"{upload_id}.sent"

    def _preview(self, upload_id: str) -> Path:
        return self._folder / upload_id[:2] / f"{upload_id}.webp"
