"""Where photos come from: folders, here or in an object store, .tar and .zip archives, and manifests.

It owns the walk and the naming: every photo found gets an item id, a location and what tells whether it changed.
It opens no photo and knows no catalog. A photo that cannot even be listed becomes a `Failure`, and the walk goes on.
"""

from __future__ import annotations

import os
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence, Sized
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pandas as pd

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.core.text import error_line
from imgsearch.ingest.tables import ID_COLUMNS, IMAGE_COLUMNS, id_text, read_table, rows_of
from imgsearch.store.originals import archive_location, is_url, path_location
from imgsearch.store.photo import Photo
from imgsearch.store.remote_files import is_remote, list_files, normalised_place

__all__ = [
    "IMAGE_SUFFIXES",
    "ArchiveSource",
    "FolderSource",
    "ManifestSource",
    "RemoteSource",
    "Source",
    "open_source",
]

IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
        ".avif",
    )
)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", ".jsonl", ".ndjson")


class Source(Protocol):
    """Something that photos are listed from."""

    @property
    def name(self) -> str:
        """The absolute path by which the catalog remembers the source."""

    def count(self) -> int | None:
        """Return about how many photos there are, or None where counting takes as long as listing."""

    @property
    def complete(self) -> bool:
        """Whether the last listing reached everything: what it could not reach has not vanished."""

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield every photo, in the same order each time."""


def open_source(text: str | Path, *, root: Path | None = None) -> Source:
    """Return the source that a path or a URL names; `root` is where a manifest's photos may lie (or its folder).

    Raises `SourceError` when there is nothing there or it is of no known kind.
    """
    if isinstance(text, str) and is_remote(text):
        return RemoteSource(text)
    path = Path(text).expanduser().absolute()
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise SourceError(f"There is no folder or file {path}.")
    name = path.name.lower()
    if name.endswith(ARCHIVE_SUFFIXES):
        return ArchiveSource(path)
    if name.endswith(MANIFEST_SUFFIXES):
        return ManifestSource(path, root=root)
    raise SourceError(
        f"{path} is neither a folder, nor an archive ({' '.join(ARCHIVE_SUFFIXES)}), "
        f"nor a manifest ({' '.join(MANIFEST_SUFFIXES)})."
    )


class FolderSource:
    """The image files in a folder and its subfolders; names that begin with a dot are passed over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = path_location(folder)
        self.complete = True

    def count(self) -> int | None:
        """Return how many image files there are."""
        return sum(1 for entry in self._walk() if not isinstance(entry, Failure))

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos, folder by folder, names in order."""
        self.complete = True
        for entry in self._walk():
            if isinstance(entry, Failure):
                yield entry
                continue
            item_id = _printable(os.path.relpath(entry.path, self._folder).replace(os.sep, "/"))
            try:
                status = entry.stat()
            except FileNotFoundError:
                yield Failure(item_id, "The link points to a file that is not there.")
                continue
            except OSError as error:
                yield Failure(item_id, f"The file cannot be read ({error.strerror}).")
                continue
            if not stat.S_ISREG(status.st_mode):
                yield Failure(item_id, "It is not a regular file.")
                continue
            yield Photo(
                item_id, self.name, path_location(Path(entry.path)), status.st_size, status.st_mtime_ns
            )

    def _walk(self) -> Iterator[os.DirEntry[str] | Failure]:
        pending = [str(self._folder)]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                if folder == str(self._folder):
                    raise SourceError(f"The folder {folder} cannot be read ({error.strerror}).") from error
                self.complete = False
                yield Failure(_printable(folder), f"The folder cannot be read ({error.strerror}).")
                continue
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            # Links to folders are not followed: they may lead in circles.
            pending += [entry.path for entry in reversed(visible) if _is_folder(entry, follow_links=False)]
            for entry in visible:
                if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and not _is_folder(entry):
                    yield entry


class RemoteSource:
    """The image files below a URL such as `s3://bucket/photos`; names that begin with a dot are passed over."""

    def __init__(self, url: str) -> None:
        self.name = normalised_place(url)
        self.complete = True
        self._found: list[Photo] | None = None

    def count(self) -> int | None:
        """Return how many image files there are: the store is asked once, and what it listed is kept."""
        return len(self._listed())

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos, names in order; raises `SourceError` when the URL cannot be listed."""
        yield from self._listed()

    def _listed(self) -> list[Photo]:
        if self._found is None:
            self._found = [
                Photo(file.path, self.name, file.url, file.size_bytes, file.modified_ns)
                for file in list_files(self.name)
                if _is_photo_name(file.path)
            ]
        return self._found


class ArchiveSource:
    """The image files in a .zip or .tar; nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path_location(path)
        self.complete = True

    def count(self) -> int | None:
        """Return how many image files a .zip lists; None for a .tar, which has no list."""
        if not self._path.name.lower().endswith(".zip"):
            return None
        return sum(1 for _ in self.photos())

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos in the archive's order; raises `SourceError` when it cannot be read at all.

        Where it is damaged further on, the photos before that place come, and the damage is one more `Failure`.
        """
        self.complete = True
        listed = False
        try:
            for photo in self._zip() if self._path.name.lower().endswith(".zip") else self._tar():
                listed = True
                yield photo
        except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, ValueError) as error:
            if not listed:
                raise SourceError(
                    f"The archive {self._path} cannot be read ({error_line(error)})."
                ) from error
            self.complete = False
            yield Failure(
                self.name, f"The archive is damaged, and what lies behind was not read ({error_line(error)})."
            )

    def _zip(self) -> Iterator[Photo]:
        with zipfile.ZipFile(self._path) as archive:
            for member in archive.infolist():
                if not member.is_dir() and _is_photo_name(member.filename):
                    modified_ns = int(time.mktime((*member.date_time, 0, 0, -1)) * 1e9)
                    yield self._photo("zip", member.filename, member.file_size, modified_ns)

    def _tar(self) -> Iterator[Photo]:
        with tarfile.open(self._path) as archive:
            for member in archive:
                if member.isfile() and _is_photo_name(member.name):
                    yield self._photo("tar", member.name, member.size, int(member.mtime * 1e9))

    def _photo(self, kind: str, member: str, size_bytes: int, modified_ns: int) -> Photo:
        location = archive_location(kind, self._path, member)
        return Photo(_printable(member.removeprefix("./")), self.name, location, size_bytes, modified_ns)


class ManifestSource:
    """A table with an `image` column (paths or URLs), perhaps an `id`; its other columns become metadata."""

    def __init__(self, path: Path, *, root: Path | None = None) -> None:
        """Read the manifest; raises `SourceError` when it has no image column."""
        self.complete = True
        self._root = (root or path.parent).absolute()
        self._base = path.parent
        self.name = path_location(path)
        self._frame = read_table(path)
        lowered = {str(name).lower(): str(name) for name in self._frame.columns}
        image = next((lowered[name] for name in IMAGE_COLUMNS if name in lowered), None)
        if image is None:
            names = ", ".join(map(str, self._frame.columns))
            raise SourceError(f"The manifest {path} has no column named image; it has: {names}.")
        self._image = image
        self._id = next((lowered[name] for name in ID_COLUMNS if name in lowered), None)
        self._vectors = [str(name) for name in self._frame.columns if _holds_vectors(self._frame[name])]

    def count(self) -> int | None:
        """Return the number of rows."""
        return len(self._frame)

    @property
    def ids(self) -> Sequence[str]:
        """The item id of every row, in order; "" for a row that names no photo."""
        return [self._item_id(row) for row in rows_of(self._frame.drop(columns=self._vectors))]

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photo of every row, in order."""
        frame = self._frame.drop(columns=self._vectors)
        for number, row in enumerate(rows_of(frame), start=1):
            image, item_id = str(row.get(self._image, "")).strip(), self._item_id(row)
            if not image:
                yield Failure(item_id or f"row {number}", "The manifest's row names no image.")
                continue
            metadata = {name: value for name, value in row.items() if name not in (self._image, self._id)}
            if is_url(image):
                yield Photo(item_id, self.name, image, metadata=metadata)
                continue
            path = self._base / image
            try:
                if not path.resolve().is_relative_to(self._root.resolve()):
                    yield Failure(
                        item_id, f"The image lies outside {self._root}; pass --root to allow its folder."
                    )
                    continue
                status = path.stat()
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                yield Failure(item_id, f"The image {image[:200]} cannot be read ({reason}).")
                continue
            yield Photo(
                item_id,
                self.name,
                path_location(path),
                status.st_size,
                status.st_mtime_ns,
                metadata=metadata,
            )

    def _item_id(self, row: Mapping[str, Any]) -> str:
        if self._id is not None and row.get(self._id) is not None:
            return id_text(row[self._id])
        return _printable(str(row.get(self._image, "")).strip().removeprefix("./"))


def _is_folder(entry: os.DirEntry[str], *, follow_links: bool = True) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_links)
    except OSError:  # such as links that lead in a circle
        return False


def _is_photo_name(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(
        (part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in path.parts
    )
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden


def _printable(name: str) -> str:
    """Return a file name as valid text: bytes that are no UTF-8 are written as backslash escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _holds_vectors(column: pd.Series[Any]) -> bool:
    first: Any = next((value for value in column if value is not None), None)
    return isinstance(first, Sized) and not isinstance(first, str | bytes) and len(first) >= 16
