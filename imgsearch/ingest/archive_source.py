"""Archives and object stores of photos: what they list is known as a whole before it is chosen from."""

from __future__ import annotations

import tarfile
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure, LeftOut
from imgsearch.core.row_numbers import nanoseconds
from imgsearch.core.text import error_line
from imgsearch.ingest.exclusions import ExclusionRules, LeftOutCount
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import archive_location, path_location, printable_name
from imgsearch.store.remote_files import list_files, normalised_place


class RemoteSource:
    """The image files below a URL such as `s3://bucket/photos`, except those that the rules leave out."""

    def __init__(self, url: str, rules: ExclusionRules | None = None) -> None:
        self._rules = rules or ExclusionRules()
        self._left_out = LeftOutCount()
        self.name = normalised_place(url)
        self.complete = True

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the listing left out."""
        return self._left_out.found()

    def count(self) -> int | None:
        """Return how many image files there are."""
        return len(self._listed)

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos by name; raises `SourceError` when the URL cannot be listed."""
        yield from self._listed

    @cached_property
    def _listed(self) -> list[Photo]:
        photos = [
            Photo(file.path, self.name, file.url, file.size_bytes, file.modified_ns)
            for file in list_files(self.name)
        ]
        return chosen(((photo.item_id, photo) for photo in photos), self._rules, self._left_out)


class ArchiveSource:
    """The image files in a .zip or .tar, except those that the rules leave out; nothing is unpacked to disk."""

    def __init__(self, path: Path, rules: ExclusionRules | None = None) -> None:
        self._path = path
        self._rules = rules or ExclusionRules()
        self._left_out = LeftOutCount()
        self._is_zip = path.name.lower().endswith(".zip")
        self.name = path_location(path)
        self.complete = True

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the last listing left out."""
        return self._left_out.found()

    def count(self) -> int | None:
        """Return how many image files a .zip lists; None for a .tar, which has no list."""
        return sum(1 for _ in self.photos()) if self._is_zip else None

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos in order, then a `Failure` for damage; raises `SourceError` if none can be read."""
        self.complete = True
        self._left_out = LeftOutCount()
        members: list[tuple[str, Photo]] = []
        reason = ""
        try:
            members.extend(self._zip() if self._is_zip else self._tar())
        except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, ValueError) as error:
            reason = error_line(error)
            if not members:
                raise SourceError(f"The archive {self._path} cannot be read ({reason}).") from error
        yield from chosen(members, self._rules, self._left_out)
        if reason:
            self.complete = False
            text = f"The archive is damaged; the photos after the damage were not read ({reason})."
            yield Failure(self.name, text)

    def _zip(self) -> Iterator[tuple[str, Photo]]:
        with zipfile.ZipFile(self._path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    yield self._photo("zip", member.filename, member.file_size, _time_in_zip(member))

    def _tar(self) -> Iterator[tuple[str, Photo]]:
        with tarfile.open(self._path) as archive:
            for member in archive:
                if member.isfile():
                    yield self._photo("tar", member.name, member.size, nanoseconds(member.mtime))

    def _photo(self, kind: str, member: str, size_bytes: int, modified_ns: int) -> tuple[str, Photo]:
        location = archive_location(kind, self._path, member)
        item_id = printable_name(member.removeprefix("./"))
        return member, Photo(item_id, self.name, location, size_bytes, modified_ns)


def _time_in_zip(member: zipfile.ZipInfo) -> int:
    """Return the local time that a .zip has for a member, in nanoseconds; 0 where it is none."""
    try:
        return nanoseconds(time.mktime((*member.date_time, 0, 0, -1)))
    except (OverflowError, ValueError):
        return 0


def chosen(
    members: Iterable[tuple[str, Photo]], rules: ExclusionRules, left_out: LeftOutCount
) -> list[Photo]:
    """Return the photos, of pairs of path and photo, that the rules do not leave out; count the others."""
    found = list(members)
    names: dict[str, set[str]] = defaultdict(set)
    for path, _ in found:
        folder, _, name = path.rpartition("/")
        names[folder].add(name.lower())
    photos = []
    for path, photo in found:
        if reason := rules.of_member(path, names):
            left_out.add(reason, photo.item_id)
        else:
            photos.append(photo)
    return photos
