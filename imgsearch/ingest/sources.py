"""Where photos come from: folders, here or in an object store, .tar and .zip archives, and feeds.

A source lists photos with their id, location, size and time, and reads none. A photo that cannot be listed becomes a
`Failure`, and the listing continues.
"""

from __future__ import annotations

import os
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.core.text import error_line
from imgsearch.ingest.feeds import FeedOptions, open_feed
from imgsearch.ingest.photo_names import IMAGE_SUFFIXES
from imgsearch.ingest.tables import TABLE_SUFFIXES, is_table_name
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import archive_location, is_url, path_location, printable_name
from imgsearch.store.remote_files import is_remote, list_files, normalised_place

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class Source(Protocol):
    """Something that lists photos."""

    @property
    def name(self) -> str:
        """The absolute path or URL that the catalog stores for the source."""

    def count(self) -> int | None:
        """Return the approximate number of photos, or None where counting takes as long as listing."""

    @property
    def complete(self) -> bool:
        """Whether the last listing was complete; else unlisted photos do not count as vanished."""

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield every photo, in the same order each time."""


def open_source(
    text: str | Path, *, root: Path | None = None, feed_options: FeedOptions | None = None
) -> Source:
    """Return the source at a path or URL; `root` (its folder) limits a feed's photos. Raises `SourceError`."""
    options = feed_options or FeedOptions()
    options = replace(options, root=root) if root else options
    if isinstance(text, str) and is_url(text):
        return open_feed(text, options=options)
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
    if is_table_name(name):
        return open_feed(path, options=options)
    raise SourceError(
        f"{path} is neither a folder, nor an archive ({' '.join(ARCHIVE_SUFFIXES)}), "
        f"nor a table ({' '.join(TABLE_SUFFIXES)})."
    )


def open_sources(
    sources: Sequence[str | Path | Source], *, root: Path | None = None, feed: FeedOptions | None = None
) -> list[Source]:
    """Return the sources, each once; those that are open stay as they are.

    Feeds may name photos in the folders among them. Raises `SourceError`.
    """
    if not sources:
        raise SourceError("No source was given; name a folder, an archive or a table.")
    options = feed or FeedOptions()
    texts = [source for source in sources if isinstance(source, str | Path)]
    places = [Path(text).expanduser().absolute() for text in texts if not is_remote(str(text))]
    folders = tuple(place for place in places if place.is_dir())
    options = replace(options, folders=(*options.folders, *folders))
    opened = [
        open_source(source, root=root, feed_options=options) if isinstance(source, str | Path) else source
        for source in sources
    ]
    return list({source.name: source for source in opened}.values())


class FolderSource:
    """The image files in a folder and its subfolders, except hidden ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = path_location(folder)
        self.complete = True

    def count(self) -> int | None:
        """Return how many image files there are."""
        return sum(1 for entry in self._walk() if not isinstance(entry, Failure))

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos, folder by folder, by name."""
        self.complete = True
        for entry in self._walk():
            if isinstance(entry, Failure):
                yield entry
                continue
            item_id = printable_name(os.path.relpath(entry.path, self._folder).replace(os.sep, "/"))
            try:
                status = entry.stat()
            except FileNotFoundError:
                yield Failure(item_id, "The link points to a missing file.")
                continue
            except OSError as error:
                yield Failure(item_id, f"The file cannot be read ({error.strerror}).")
                continue
            if stat.S_ISREG(status.st_mode):
                location = path_location(Path(entry.path))
                yield Photo(item_id, self.name, location, status.st_size, status.st_mtime_ns)
            else:
                yield Failure(item_id, "It is not a regular file.")

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
                yield Failure(printable_name(folder), f"The folder cannot be read ({error.strerror}).")
                continue
            visible = [entry for entry in entries if not entry.name.startswith(".")]
            # Links to folders are not followed: they may be cyclic.
            pending += [entry.path for entry in reversed(visible) if _is_folder(entry, follow_links=False)]
            for entry in visible:
                if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and not _is_folder(entry):
                    yield entry


class RemoteSource:
    """The image files below a URL such as `s3://bucket/photos`, except hidden ones."""

    def __init__(self, url: str) -> None:
        self.name = normalised_place(url)
        self.complete = True

    def count(self) -> int | None:
        """Return how many image files there are."""
        return len(self._listed)

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos by name; raises `SourceError` when the URL cannot be listed."""
        yield from self._listed

    @cached_property
    def _listed(self) -> list[Photo]:
        return [
            Photo(file.path, self.name, file.url, file.size_bytes, file.modified_ns)
            for file in list_files(self.name)
            if _is_photo_name(file.path)
        ]


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
        """Yield the photos in order, then a `Failure` for damage; raises `SourceError` if none can be read."""
        self.complete = True
        listed = False
        try:
            for photo in self._zip() if self._path.name.lower().endswith(".zip") else self._tar():
                listed = True
                yield photo
        except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, ValueError) as error:
            reason = error_line(error)
            if not listed:
                raise SourceError(f"The archive {self._path} cannot be read ({reason}).") from error
            self.complete = False
            text = f"The archive is damaged; the photos after the damage were not read ({reason})."
            yield Failure(self.name, text)

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
        return Photo(printable_name(member.removeprefix("./")), self.name, location, size_bytes, modified_ns)


def _is_folder(entry: os.DirEntry[str], *, follow_links: bool = True) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_links)
    except OSError:  # such as cyclic links
        return False


def _is_photo_name(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = [part for part in path.parts if part.startswith(".") or part == "__MACOSX"]
    return path.suffix.lower() in IMAGE_SUFFIXES and not set(hidden) - {".", ".."}
