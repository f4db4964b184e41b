"""Files that were sent for an import, in `<catalog>/imports/<id>/`, with archives unpacked; deleted after the import.

Names come from strangers: a name never leaves the folder, and archives are unpacked within limits.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import tarfile
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from imgsearch.core.errors import SourceError
from imgsearch.core.text import error_line
from imgsearch.ingest.photo_names import IMAGE_SUFFIXES
from imgsearch.ingest.sources import ARCHIVE_SUFFIXES
from imgsearch.ingest.tables import TABLE_SUFFIXES

MAX_FILES = 100_000
MAX_UNPACKED_BYTES = 8 * 1024**3
MAX_DEPTH = 8
MAX_NAME_BYTES = 200
"""In UTF-8: file systems take 255, and a number may be added."""
KEEP_UNUSED_S = 24 * 3600.0
_ID = re.compile(r"[0-9a-f]{32}")
_BLOCK = 1024 * 1024


class StagedFiles:
    """The folder of files that were sent; safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which the first upload makes."""
        self._folder = folder

    def add(self, files: Iterator[tuple[str, IO[bytes]]]) -> str:
        """Store files by (name, content), unpack archives, and return the id; raises `SourceError`, storing none."""
        upload = uuid.uuid4().hex
        folder = self._folder / upload
        folder.mkdir(parents=True)
        try:
            count = unpacked = 0
            for name, content in files:
                path = _free(folder / safe_name(name))
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    shutil.copyfileobj(content, file, _BLOCK)
                if path.name.lower().endswith(ARCHIVE_SUFFIXES):
                    unpacked += _unpack(path, MAX_UNPACKED_BYTES - unpacked)
                    path.unlink()
                count += 1
                if count > MAX_FILES:
                    raise SourceError(f"An import takes at most {MAX_FILES:,} files; send an archive.")
            if not count:
                raise SourceError("No file was sent.")
        except OSError as error:
            self.remove(upload)
            raise SourceError(f"The files cannot be stored ({error.strerror or error}).") from None
        except BaseException:
            self.remove(upload)
            raise
        return upload

    def folder(self, upload: str) -> Path:
        """Return the folder of an upload; raises `SourceError` for one that is unknown or was deleted."""
        path = self._folder / upload
        if not _ID.fullmatch(upload) or not path.is_dir():
            raise SourceError("The files of this import are no longer there; send them again.")
        return path

    def remove(self, upload: str) -> None:
        """Delete the files of an upload; no effect for one that is unknown."""
        if _ID.fullmatch(upload):
            shutil.rmtree(self._folder / upload, ignore_errors=True)

    def remove_unused(self, used: set[str]) -> None:
        """Delete uploads that no import uses, a day after they came."""
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            old = time.time() - path.stat().st_mtime > KEEP_UNUSED_S
            if _ID.fullmatch(path.name) and path.name not in used and old:
                shutil.rmtree(path, ignore_errors=True)


def without_folder(value: Any, folder: Path | None) -> Any:
    """Return JSON values or a text in which files in a folder are named relative to it."""
    if folder is None:
        return value
    if isinstance(value, str):
        # The absolute path holds the relative one.
        for path in sorted(
            {str(folder), str(folder.absolute()), str(folder.resolve())}, key=len, reverse=True
        ):
            value = value.replace(f"{path}{os.sep}", "").replace(path, "the upload")
        return value
    if isinstance(value, Mapping):
        return {name: without_folder(each, folder) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_folder(each, folder) for each in value]
    return value


def safe_name(name: str) -> Path:
    """Return a relative path like the name that a client or an archive gives; raises `SourceError` where none is."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", ".", "..")]
    clean = [
        "".join(letter if letter.isprintable() and letter not in ':*?"<>|' else "_" for letter in part)
        for part in parts[-MAX_DEPTH:]
    ]
    clean = [_last_bytes(part).lstrip(".") or "_" for part in clean]
    if not clean:
        raise SourceError(f"{name[:80]!r} is no file name.")
    return Path(*clean)


def _last_bytes(name: str) -> str:
    """Return the end of a name, at most `MAX_NAME_BYTES` long."""
    return name.encode()[-MAX_NAME_BYTES:].decode(errors="ignore")


def _free(path: Path) -> Path:
    """Return the path, or one with a number that is not taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def _unpack(archive: Path, most_bytes: int) -> int:
    """Write the photos and tables of an archive beside it, and return their bytes.

    Raises `SourceError` for a damaged archive, and for one that unpacks to more than `most_bytes`.
    """
    total = count = 0
    try:
        for name, content in _members(archive):
            path = _free(archive.parent / safe_name(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            with content, path.open("wb") as file:
                while block := content.read(_BLOCK):
                    total += len(block)
                    if total > most_bytes:
                        raise SourceError(
                            f"The archives up to {archive.name} unpack to more than {MAX_UNPACKED_BYTES >> 30} GiB."
                        )
                    file.write(block)
            count += 1
            if count > MAX_FILES:
                raise SourceError(f"{archive.name} holds more than {MAX_FILES:,} files.")
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise SourceError(f"The archive {archive.name} cannot be read ({error_line(error)}).") from None
    return total


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    wanted = (*IMAGE_SUFFIXES, *TABLE_SUFFIXES)
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                name = member.filename
                if not member.is_dir() and name.lower().endswith(wanted) and not _is_hidden(name):
                    yield name, packed.open(member)
        return
    with tarfile.open(archive) as tape:
        for entry in tape:
            content = tape.extractfile(entry) if entry.isfile() else None
            if content is not None and entry.name.lower().endswith(wanted) and not _is_hidden(entry.name):
                yield entry.name, content


def _is_hidden(name: str) -> bool:
    return any(
        part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts if part not in (".", "..")
    )
