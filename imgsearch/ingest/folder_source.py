"""A folder of photos with its subfolders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure, LeftOut
from imgsearch.ingest.exclusions import (
    IGNORE_FILE,
    LINKED,
    MAX_IGNORE_BYTES,
    OTHER,
    PATTERN,
    ExclusionRules,
    FolderPatterns,
    LeftOutCount,
    begins_like_a_picture,
    ending_of,
)
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import path_location, printable_name

Entry = os.DirEntry[str]


class FolderSource:
    """The image files in a folder and its subfolders, except those that the rules leave out."""

    def __init__(self, folder: Path, rules: ExclusionRules | None = None) -> None:
        self._folder = folder
        self._rules = rules or ExclusionRules()
        self._left_out = LeftOutCount()
        self.name = path_location(folder)
        self.complete = True

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the last listing left out."""
        return self._left_out.found()

    def count(self) -> int | None:
        """Return how many image files there are."""
        return sum(1 for entry in self._walk(LeftOutCount()) if not isinstance(entry, Failure))

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos, folder by folder, by name."""
        self.complete = True
        self._left_out = LeftOutCount()
        for entry in self._walk(self._left_out):
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

    def _walk(self, left_out: LeftOutCount) -> Iterator[Entry | Failure]:
        pending = [_Folder(str(self._folder), "", FolderPatterns())]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(folder.path) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                if not folder.relative:
                    raise SourceError(
                        f"The folder {folder.path} cannot be read ({error.strerror})."
                    ) from error
                self.complete = False
                yield Failure(printable_name(folder.path), f"The folder cannot be read ({error.strerror}).")
                continue
            if any(entry.name == IGNORE_FILE for entry in entries):
                folder = folder.with_ignore_file()
            yield from self._of_folder(folder, entries, pending, left_out)

    def _of_folder(
        self, folder: _Folder, entries: list[Entry], pending: list[_Folder], left_out: LeftOutCount
    ) -> Iterator[Entry | Failure]:
        """Yield the image files of a folder; add its subfolders to those that are pending, the first one last."""
        files, subfolders = [], []
        for entry in entries:
            path = folder.relative_path(entry.name)
            if not _is_folder(entry):
                files.append((entry, path))
            elif reason := self._reason_of_folder(folder, entry, path):
                left_out.add(reason, printable_name(path))
            else:
                subfolders.append(_Folder(entry.path, path, folder.patterns))
        pending += reversed(subfolders)
        beside = {entry.name.lower() for entry, _ in files}
        for entry, path in files:
            reason = self._rules.of_file(path, beside)
            if not reason and folder.patterns.excludes(path):
                reason = PATTERN
            if not reason and not ending_of(entry.name) and not _is_picture(entry):
                reason = OTHER
            if reason:
                if entry.name != IGNORE_FILE:
                    left_out.add(reason, printable_name(path))
            else:
                yield entry

    def _reason_of_folder(self, folder: _Folder, entry: Entry, path: str) -> str:
        if reason := self._rules.of_folder(path):
            return reason
        if folder.patterns.excludes(f"{path}/"):
            return PATTERN
        # Not followed: they may be cyclic.
        return "" if _is_folder(entry, follow_links=False) else LINKED


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    relative: str
    patterns: FolderPatterns

    def relative_path(self, name: str) -> str:
        return f"{self.relative}/{name}" if self.relative else name

    def with_ignore_file(self) -> _Folder:
        """Return the folder with the patterns of its ignore file; raises `SourceError` for an unreadable one."""
        path = Path(self.path) / IGNORE_FILE
        try:
            with path.open("rb") as file:
                data = file.read(MAX_IGNORE_BYTES + 1)
            if len(data) > MAX_IGNORE_BYTES:
                raise SourceError(f"{path} has more than {MAX_IGNORE_BYTES:,} bytes.")
            lines = data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise SourceError(f"{path} is not UTF-8 text.") from None
        except OSError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror}).") from error
        return _Folder(self.path, self.relative, self.patterns.below(self.relative, lines))


def _is_folder(entry: Entry, *, follow_links: bool = True) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_links)
    except OSError:  # such as cyclic links
        return False


def _is_picture(entry: Entry) -> bool:
    """Return whether a file without an ending holds a picture."""
    try:
        if not entry.is_file():
            return False
        with Path(entry.path).open("rb") as file:
            return begins_like_a_picture(file.read(16))
    except OSError:
        return False
