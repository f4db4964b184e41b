"""What of a folder is not a photo of the shop: folders of systems, smaller copies, other kinds of files.

Folders of network storage, bins, caches and hidden names are left out by name, copies in other sizes where the full
picture is beside them. Patterns have the grammar of .gitignore; a file `.imgsearchignore` holds them for its folder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from pathspec import GitIgnoreSpec

from imgsearch.core.errors import SourceError
from imgsearch.core.records import LeftOut
from imgsearch.ingest.photo_names import IMAGE_SUFFIXES

IGNORE_FILE = ".imgsearchignore"
MAX_IGNORE_BYTES = 1_000_000
MAX_PATTERN_CHARS = 1000
MAX_EXAMPLES = 3

UNREADABLE_PICTURES = frozenset(
    [
        ".jxl",
        ".psd",
        ".psb",
        ".svg",
        ".svgz",
        ".cr2",
        ".cr3",
        ".crw",
        ".nef",
        ".nrw",
        ".arw",
        ".srf",
        ".dng",
        ".raf",
        ".orf",
        ".rw2",
        ".pef",
        ".srw",
        ".x3f",
        ".3fr",
        ".iiq",
        ".eps",
        ".ai",
        ".tga",
        ".jp2",
        ".j2k",
        ".jpx",
        ".jxr",
        ".wdp",
        ".ico",
        ".exr",
        ".hdr",
        ".pcx",
        ".xcf",
        ".ppm",
        ".pgm",
        ".pbm",
        ".heics",
        ".avifs",
        ".pdf",
    ]
)
"""Endings of pictures that no reader here decodes."""

HIDDEN = "hidden files and folders"
SYSTEM = "folders of storage systems, bins and caches"
SMALLER = "copies in another size or format beside the full picture"
PATTERN = "excluded by a pattern"
UNREADABLE = "pictures of kinds that cannot be read"
OTHER = "other files"
LINKED = "links to folders, which are not followed"

_SYSTEM_FOLDERS = frozenset(
    [
        "@eadir",
        "#recycle",
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "recycled",
        "lost+found",
        "__macosx",
        "thumbs",
        "_thumbs",
        "thumbnails",
        "_thumbnails",
    ]
) | {"system volume information"}
_SYSTEM_ENDINGS = (".lrdata", ".cocatalogdb")
_CACHE = re.compile(r"(?:^|/)product/cache$", re.I)
"""Magento keeps copies in every size there."""
_SIZE_COPY = re.compile(
    r"(?P<name>.+?)(?:-\d{1,5}x\d{1,5}|-scaled|-(?:cart|small|medium|large|home|category)_default)", re.I
)
"""A file name without its ending, of WordPress (`mug-300x200`, `mug-scaled`) or PrestaShop (`12-home_default`)."""
_ENDING = re.compile(r"\.[A-Za-z0-9_]{1,12}$")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")


class LeftOutCount:
    """Counts what a listing leaves out, by reason, with a few examples."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, path: str) -> None:
        """Count a file or folder; of other kinds of files, the examples are their endings."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        name = ending_of(path) or path if reason in (UNREADABLE, OTHER) else path
        examples = self._examples.setdefault(reason, [])
        if len(examples) < MAX_EXAMPLES and name not in examples:
            examples.append(name)

    def found(self) -> tuple[LeftOut, ...]:
        """Return the counts, in the order in which the reasons were met."""
        return tuple(
            LeftOut(reason, count, tuple(self._examples[reason])) for reason, count in self._counts.items()
        )


@dataclass(frozen=True)
class ExclusionRules:
    """Which names are left out; with `include_all` only those that match a pattern.

    Raises `SourceError` for a pattern that is not valid.
    """

    patterns: tuple[str, ...] = ()
    include_all: bool = False

    def __post_init__(self) -> None:
        pattern_spec(self.patterns, "--exclude")

    @cached_property
    def spec(self) -> GitIgnoreSpec:
        """The patterns, compiled."""
        return pattern_spec(self.patterns, "--exclude")

    def of_folder(self, path: str) -> str:
        """Return why a folder, by its path relative to the source, is left out; "" where it is listed."""
        if self.patterns and self.spec.match_file(f"{path}/"):
            return PATTERN
        if self.include_all:
            return ""
        name = path.rpartition("/")[2].lower()
        if name in _SYSTEM_FOLDERS or name.endswith(_SYSTEM_ENDINGS) or _CACHE.search(path):
            return SYSTEM
        if name.startswith(".trash"):
            return SYSTEM
        return HIDDEN if name.startswith(".") else ""

    def of_file(self, path: str, beside: Collection[str]) -> str:
        """Return why a file is left out, by its path and the lower-case names of the files beside it; else "".

        A name without an ending is not left out: its content decides (`begins_like_a_picture`).
        """
        if self.patterns and self.spec.match_file(path):
            return PATTERN
        name = path.rpartition("/")[2]
        if name.startswith(".") and not self.include_all:
            return HIDDEN
        suffix = ending_of(name)
        if suffix in UNREADABLE_PICTURES:
            return UNREADABLE
        if suffix and suffix not in IMAGE_SUFFIXES:
            return OTHER
        return SMALLER if not self.include_all and _is_smaller_copy(name.lower(), beside) else ""

    def of_member(self, path: str, names_by_folder: dict[str, set[str]]) -> str:
        """Return why a member of an archive or a file of a store is left out, by its whole path; else ""."""
        parts = [part for part in PurePosixPath(path).parts if part not in (".", "..", "/")]
        for depth in range(1, len(parts)):
            if reason := self.of_folder("/".join(parts[:depth])):
                return reason
        folder = path.rpartition("/")[0]
        reason = self.of_file("/".join(parts), names_by_folder.get(folder, set()))
        return OTHER if not reason and not ending_of(path) else reason


@dataclass
class FolderPatterns:
    """The ignore files of a folder and of those above it; the deepest that says something about a path decides."""

    specs: list[tuple[str, GitIgnoreSpec]] = field(default_factory=list)

    def below(self, folder: str, lines: Sequence[str]) -> FolderPatterns:
        """Return the patterns with those of one more ignore file, of a folder by its relative path ("": the root)."""
        return FolderPatterns([*self.specs, (folder, pattern_spec(lines, f"{folder or '.'}/{IGNORE_FILE}"))])

    def excludes(self, path: str) -> bool:
        """Return whether a path is left out; that of a folder ends with a slash."""
        for folder, spec in reversed(self.specs):
            relative = path[len(folder) + 1 :] if folder else path
            decision = spec.check_file(relative).include
            if decision is not None:
                return decision
        return False


def pattern_spec(lines: Sequence[str], name: str) -> GitIgnoreSpec:
    """Return the compiled patterns of an option or a file called `name`; raises `SourceError`."""
    for line in lines:
        if len(line) > MAX_PATTERN_CHARS:
            raise SourceError(f"A pattern of {name} has more than {MAX_PATTERN_CHARS:,} characters.")
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise SourceError(f"A pattern of {name} is not valid: {error}.") from None


def ending_of(name: str) -> str:
    """Return the lower-case ending of a file name, such as `.jpg`; "" where it has none."""
    found = _ENDING.search(name.rpartition("/")[2][1:])
    return found[0].lower() if found else ""


def begins_like_a_picture(data: bytes) -> bool:
    """Return whether the first bytes of a file are those of a picture that can be read."""
    if data.startswith(_MAGIC):
        return True
    boxed = data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"msf1")
    return (
        boxed
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[:2] == b"BM" and data[6:10] == bytes(4))
    )


def _is_smaller_copy(name: str, beside: Collection[str]) -> bool:
    """Return whether a lower-case file name is that of a copy whose full picture is among the names beside it."""
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    if ending_of(stem) in IMAGE_SUFFIXES and stem in beside:  # mug.jpg.webp beside mug.jpg
        return True
    found = _SIZE_COPY.fullmatch(stem)
    if found is None:
        return False
    full = found["name"]
    return f"{full}{suffix}" in beside or (
        not stem.endswith("-scaled") and f"{full}-scaled{suffix}" in beside
    )
