"""Thumbnails of catalog photos: WebP, made on demand, cached on disk.

It owns `<catalog>/thumbnails/`, one file a photo's content and size; the oldest files go when the cache is over
its limit. It reads originals through `imgsearch.store.originals` and knows no HTTP.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from imgsearch.core.records import Item
from imgsearch.store.originals import Originals
from imgsearch.vision.images import ImageLimits, decode_image, encode_thumbnail, nearest_thumbnail_size

__all__ = ["Thumbnail", "ThumbnailCache", "write_atomically"]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """An encoded thumbnail: WebP bytes, and an entity tag that changes with the photo's content or size."""

    data: bytes
    etag: str


class ThumbnailCache:
    """Makes and keeps thumbnails; safe to use from any thread."""

    def __init__(
        self, folder: Path, originals: Originals, *, max_bytes: int, limits: ImageLimits | None = None
    ) -> None:
        self._folder = folder
        self._originals = originals
        self._max_bytes = max_bytes
        self._limits = limits or ImageLimits()
        self._lock = threading.Lock()
        self._written_bytes = 0
        # Decoding big originals for a whole screen of tiles at once would take memory without being faster.
        self._decoding = threading.Semaphore(4)

    def get(self, item: Item, size_px: int) -> Thumbnail:
        """Return the item's thumbnail with its longest side at most the nearest size offered.

        Raises `ImageError` or `SourceError` when the original is gone or damaged and no kept thumbnail can
        stand in for it.
        """
        size_px = nearest_thumbnail_size(size_px)
        etag = f'"{item.key:x}-{size_px}"'
        path = self._path(item.key, size_px)
        try:
            return Thumbnail(path.read_bytes(), etag)
        except FileNotFoundError:
            pass
        with self._decoding:
            kept = self._kept_larger(item.key, size_px)
            source = kept if kept is not None else self._originals.read(item.location)
            data = encode_thumbnail(decode_image(source, target_px=size_px, limits=self._limits), size_px)
        self._keep(path, data)
        return Thumbnail(data, etag)

    def put(self, key: int, webp: bytes, size_px: int) -> None:
        """Keep a thumbnail made elsewhere, of a photo whose original may not be had again (from a URL)."""
        self._keep(self._path(key, nearest_thumbnail_size(size_px)), webp)

    def kept(self, key: int, size_px: int) -> bytes | None:
        """Return a kept thumbnail of at least that size, as WebP; None where there is none."""
        size_px = nearest_thumbnail_size(size_px)
        try:
            return self._path(key, size_px).read_bytes()
        except FileNotFoundError:
            return self._kept_larger(key, size_px)

    def _path(self, key: int, size_px: int) -> Path:
        return self._folder / str(size_px) / f"{key // 1000:06d}" / f"{key:x}.webp"

    def _kept_larger(self, key: int, size_px: int) -> bytes | None:
        if not self._folder.is_dir():
            return None
        sizes = sorted(int(place.name) for place in self._folder.iterdir() if place.name.isdigit())
        for larger in sizes:
            if larger > size_px:
                try:
                    return self._path(key, larger).read_bytes()
                except FileNotFoundError:
                    continue
        return None

    def _keep(self, path: Path, data: bytes) -> None:
        write_atomically(path, data)
        with self._lock:
            self._written_bytes += len(data)
            if self._written_bytes < self._max_bytes // 20:
                return
            self._written_bytes = 0
        drop_oldest(self._folder, self._max_bytes)


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file whole or not at all: beside it first, then renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def drop_oldest(folder: Path, max_bytes: int) -> None:
    """Delete the files written longest ago until the folder holds at most `max_bytes`."""
    files = []
    for path in folder.rglob("*"):
        # Those that begin with a dot are being written; others may be dropped by another thread at this moment.
        if not path.name.startswith("."):
            with suppress(FileNotFoundError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    files.append((status, path))
    total = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda entry: entry[0].st_mtime_ns):
        if total <= max_bytes:
            return
        path.unlink(missing_ok=True)
        total -= status.st_size
