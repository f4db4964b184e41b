"""Finding the files that a table's cells mean: as given, in another folder, spelling or format, or by name alone."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from imgsearch.ingest.photo_names import IMAGE_SUFFIXES

MAX_LISTED_FILES = 2_000_000
AS_GIVEN = "as given"
BY_END = "by the end of the path"
OTHER_SPELLING = "in another spelling"
BY_NAME = "by file name"
OTHER_ENDING = "with another ending"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """The path of a photo's file, its size and time, and how the cell was read."""

    path: str
    size_bytes: int
    modified_ns: int
    reading: str


def folded(text: str) -> str:
    """Return a text without differences of case and of Unicode composition."""
    return unicodedata.normalize("NFC", text).casefold()


def split_ending(name: str) -> tuple[str, str]:
    """Return a file name as (stem, ending): "a.b.jpg" as "a.b" and ".jpg"."""
    stem, dot, ending = name.rpartition(".")
    return (stem, f".{ending}") if dot and stem else (name, "")


class PhotoFinder:
    """Finds files below the folders that may hold a table's photos."""

    def __init__(self, base: Path, folders: Sequence[Path], *, root: Path) -> None:
        """Look in `base`, `root` and `folders`; `root` is named where a file is outside all of them."""
        self._root = root
        places = dict.fromkeys(folder.absolute() for folder in (base, root, *folders))
        # What --root allows instead of the table's folder; folders on the command line are allowed too.
        self._allowed = tuple(os.path.realpath(folder) for folder in dict.fromkeys((root, *folders)))
        self._places = [str(folder) for folder in places]
        self._listing: FileListing | None = None
        self._base = self._places[0]

    def prepare(self, images: Iterable[str]) -> None:
        """Choose the folder in which most of the paths exist to be tried first; ties: the table's own."""
        if len(self._places) < 2:
            return
        paths = list(images)
        counts = Counter(
            {place: sum(map(os.path.exists, _joined(place, paths))) for place in self._places[:1]}
        )
        if counts[self._base] < len(paths):
            for place in self._places[1:]:
                counts[place] = sum(map(os.path.exists, _joined(place, paths)))
        self._places.sort(key=lambda place: -counts[place])

    def find(self, image: str) -> FoundFile | str:
        """Return the file that a cell means, or a sentence on why there is none or more than one."""
        reason = ""
        for place in self._places:
            found = self._check(f"{place}/{image}" if not image.startswith("/") else image)
            if isinstance(found, os.stat_result):
                reading = AS_GIVEN if place == self._base or image.startswith("/") else f"in {place}"
                return FoundFile(_joined_path(place, image), found.st_size, found.st_mtime_ns, reading)
            if found.startswith("The image is outside"):
                return found
            reason = reason or found
        return self._search(image, reason.replace("The image", f"The image {image[:200]}", 1))

    def _search(self, image: str, reason: str) -> FoundFile | str:
        if self._listing is None:
            folders = [place for place in self._places if os.path.realpath(place).startswith(self._allowed)]
            self._listing = FileListing(folders)
        for found, reading in self._listing.candidates(image):
            if len(found) > 1:
                names = " and ".join(sorted(found)[:2])
                return f"The image {image[:200]} may be {names}; give its path."
            status = self._check(found[0])
            if isinstance(status, os.stat_result):
                return FoundFile(found[0], status.st_size, status.st_mtime_ns, reading)
        return reason

    def _check(self, path: str) -> os.stat_result | str:
        """Return the state of a file that exists and is allowed, else why it cannot be used."""
        try:
            folder, _, name = path.rpartition("/")
            # Resolving every whole path takes most of the time of reading a table.
            real = f"{_real_folder(folder)}/{name}"
            status = os.lstat(path)
            if name in ("..", "") or stat.S_ISLNK(status.st_mode):
                real = os.path.realpath(path)
                status = Path(path).stat()
            if not self._is_allowed(real):
                return f"The image is outside {self._root}; pass --root to allow its folder."
            return status
        except (OSError, ValueError) as error:
            text = getattr(error, "strerror", None) or str(error)
            try:
                outside = not self._is_allowed(os.path.realpath(path))
            except (OSError, ValueError):
                outside = False
            if outside and Path(path).is_absolute() and ".." in path:
                return f"The image is outside {self._root}; pass --root to allow its folder."
            return f"The image cannot be read ({text})."

    def _is_allowed(self, real: str) -> bool:
        return any(real == folder or real.startswith(f"{folder.rstrip('/')}/") for folder in self._allowed)


def _joined_path(place: str, image: str) -> str:
    """Return the path of an image below a folder as pathlib writes it."""
    path = image if image.startswith("/") else f"{place}/{image}"
    # Path takes several microseconds.
    return str(Path(path)) if "//" in path or "/." in path or path.endswith("/") else path


@lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _joined(place: str, paths: Sequence[str]) -> Iterator[str]:
    return (path if path.startswith("/") else f"{place}/{path}" for path in paths if "\0" not in path)


class FileListing:
    """The photos below some folders, by file name and by name without ending, in any spelling."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        listed: set[str] = set()
        for folder in sorted(folders, key=len):
            if not any(folder == done or folder.startswith(f"{done}/") for done in listed):
                listed.add(folder)
                self._list(folder)

    def _list(self, folder: str) -> None:
        left = MAX_LISTED_FILES
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name[0] not in ".@#$")
            for name in names:
                stem, suffix = split_ending(name)
                if suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                    path = f"{place}/{name}"
                    self._by_name.setdefault(folded(name), []).append(path)
                    self._by_stem.setdefault(folded(stem), []).append(path)
            left -= len(names)
            if left < 0:
                return

    def candidates(self, image: str) -> Iterator[tuple[list[str], str]]:
        """Yield (the files that a cell may mean, how it was read), the most literal readings first."""
        text = image.replace("\\", "/")
        if "%" in text or "?" in text:
            known = folded(text.rpartition("/")[2]) in self._by_name
            text = text if known else unquote(text.partition("?")[0])
        parts = [folded(part) for part in text.split("/") if part not in ("", ".", "..")]
        if not parts:
            return
        alike = _with_longest_end(self._by_name.get(parts[-1], []), parts)
        if alike:
            if all(path.endswith(f"/{text.lstrip('./')}") for path in alike):
                yield alike, BY_END
            else:
                same = all(_common_end(path, parts) == len(parts) for path in alike)
                yield alike, OTHER_SPELLING if same else BY_NAME
            return
        stem, suffix = split_ending(parts[-1])
        stem = stem if suffix in IMAGE_SUFFIXES else parts[-1]
        alike = _with_longest_end(self._by_stem.get(stem, []), parts)
        if alike:
            yield alike, OTHER_ENDING


def _with_longest_end(paths: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Return the paths that share the most folders before the file name with the cell's."""
    ends = [_common_end(path, parts) for path in paths]
    return [path for path, end in zip(paths, ends, strict=True) if end == max(ends)]


def _common_end(path: str, parts: Sequence[str]) -> int:
    """Return how many of the last parts of two paths are the same; the file name counts as one in any case."""
    others = [folded(part) for part in path.split("/")]
    count = 1
    while count < min(len(parts), len(others)) and others[-1 - count] == parts[-1 - count]:
        count += 1
    return count
