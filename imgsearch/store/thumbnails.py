"""Thumbnails of catalog photos: WebP, made on demand, cached in `<catalog>/thumbnails/`.

One file for each photo's content and size; the oldest files are deleted when the cache is over its limit.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from imgsearch.core.files import write_atomically
from imgsearch.core.records import Item
from imgsearch.store.originals import Originals
from imgsearch.vision.images import ImageLimits, decode_image, encode_thumbnail, nearest_thumbnail_size

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """WebP bytes, and an entity tag that changes with the photo's content or size."""

    data: bytes
    etag: str


class ThumbnailCache:
    """Makes and caches thumbnails; safe to use from any thread."""

    def __init__(
        self, folder: Path, originals: Originals, *, max_bytes: int, limits: ImageLimits | None = None
    ) -> None:
        self._folder = folder
        self._originals = originals
        self._max_bytes = max_bytes
        self._limits = limits or ImageLimits()
        self._lock = threading.Lock()
        self._written_bytes = 0
        # To decode more originals at once takes memory without being faster.
        self._decoding = threading.Semaphore(4)

    def get(self, item: Item, size_px: int) -> Thumbnail:
        """Return the item's thumbnail; its longest side is at most the nearest of `THUMBNAIL_SIZES`.

        Raises `ImageError` or `SourceError` when the original is missing or damaged and no larger thumbnail is
        cached.
        """
        size_px = nearest_thumbnail_size(size_px)
        etag = f'"{item.key:x}-{size_px}"'
        path = self._path(item.key, size_px)
        with suppress(FileNotFoundError):
            return Thumbnail(path.read_bytes(), etag)
        with self._decoding:
            with suppress(FileNotFoundError):  # another thread has made it meanwhile
                return Thumbnail(path.read_bytes(), etag)
            source = self.kept(item.key, size_px) or self._originals.read(item.location)
            data = encode_thumbnail(decode_image(source, target_px=size_px, limits=self._limits), size_px)
        self._write(path, data)
        return Thumbnail(data, etag)

    def put(self, key: int, webp: bytes, size_px: int) -> None:
        """Cache a thumbnail made elsewhere, of a photo that may not be readable again (from a URL)."""
        self._write(self._path(key, nearest_thumbnail_size(size_px)), webp)

    def kept(self, key: int, size_px: int) -> bytes | None:
        """Return the smallest cached thumbnail of at least that size, as WebP; None where there is none."""
        size_px = nearest_thumbnail_size(size_px)
        sizes = [int(folder.name) for folder in self._folder.glob("[0-9]*") if folder.name.isdigit()]
        for size in sorted(size for size in sizes if size >= size_px):
            with suppress(FileNotFoundError):
                return self._path(key, size).read_bytes()
        return None

    def _path(self, key: int, size_px: int) -> Path:
        return self._folder / str(size_px) / f"{key // 1000:06d}" / f"{key:x}.webp"

    def _write(self, path: Path, data: bytes) -> None:
        """Cache a thumbnail; on a full or read-only disk it is made again the next time."""
        try:
            write_atomically(path, data)
        except OSError:
            _log.warning("the thumbnail %s could not be written", path, exc_info=True)
            return
        with self._lock:
            self._written_bytes += len(data)
            if self._written_bytes < self._max_bytes // 20:
                return
            self._written_bytes = 0
        drop_oldest(self._folder, self._max_bytes)


def oldest_first(paths: Iterable[Path]) -> list[tuple[os.stat_result, Path]]:
    """Return the files among paths with their status, by time of change; other threads may delete some meanwhile."""
    files = []
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                files.append((status, path))
    return sorted(files, key=lambda entry: entry[0].st_mtime_ns)


def drop_oldest(folder: Path, max_bytes: int) -> None:
    """Delete the oldest files until the folder holds at most `max_bytes`."""
    # Names that begin with a dot are being written.
    files = oldest_first(path for path in folder.rglob("*") if not path.name.startswith("."))
    total = sum(status.st_size for status, _ in files)
    for status, path in files:
        if total <= max_bytes:
            return
        path.unlink(missing_ok=True)
        total -= status.st_size
