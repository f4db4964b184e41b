"""Reading the bytes of a photo from its location.

/photos/a.jpg, file:///photos/%ff.jpg   a path; as a URI where it is not valid UTF-8
https://shop.example/a.jpg              a URL
zip:/data/photos.zip!/shoes/1.jpg       a member of an archive (also tar:), both parts percent-encoded
s3://bucket/shoes/1.jpg                 a file in a remote store (imgsearch.store.remote_files)
stored:0123456789abcdef....jpg          a photo in the catalog's folder (imgsearch.store.stored_originals)
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, unquote_to_bytes

from cachetools import LRUCache

from imgsearch.core.errors import ImageTooLarge, SourceError
from imgsearch.core.text import error_line, is_unicode
from imgsearch.store.remote_files import is_remote, read_file
from imgsearch.store.stored_originals import is_stored, stored_path
from imgsearch.store.url_states import UrlState
from imgsearch.store.web_files import WebAnswer, WebFiles

OPEN_ARCHIVES = 4
_DAMAGED = (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error)


def is_url(text: str) -> bool:
    """Return whether a location is an http URL."""
    return text.lower().startswith(("http://", "https://"))


def path_location(path: Path | str) -> str:
    """Return the location of a file."""
    text = str(path)
    return text if is_unicode(text) else Path(path).as_uri()


def printable_name(name: str) -> str:
    """Return a file name as valid text: bytes that are not UTF-8 become backslash escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def archive_location(kind: str, archive: Path, member: str) -> str:
    """Return the location of a member of a `tar` or `zip` archive."""
    name = quote(member.encode("utf-8", "surrogateescape"))
    return f"{kind}:{quote(bytes(archive))}!/{name}"


def content_digest(data: bytes) -> str:
    """Return the checksum that identifies a photo's bytes, 32 hex characters (BLAKE2b)."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def file_of(location: str) -> Path | None:
    """Return the local file of a location (the photo or its archive), or None where it is remote."""
    if is_url(location) or is_remote(location) or is_stored(location):
        return None
    if location.startswith(("tar:", "zip:")):
        archive = location.partition(":")[2].partition("!/")[0]
        return Path(unquote(archive, errors="surrogateescape"))
    if location.startswith("file://"):
        return Path(unquote_to_bytes(location.removeprefix("file://")).decode("utf-8", "surrogateescape"))
    return Path(location)


class Originals:
    """Reads originals; safe to use from any thread."""

    def __init__(
        self,
        *,
        max_bytes: int = 30 * 1024 * 1024,
        private_hosts: bool = False,
        catalog_folder: Path | None = None,
    ) -> None:
        """Limit photos to `max_bytes`; with `private_hosts`, URLs may point into the local network.

        Photos that were sent to a catalog are in its folder, `catalog_folder`.
        """
        self._catalog_folder = catalog_folder
        self._max_bytes = max_bytes
        self._private_hosts = private_hosts
        self._web = WebFiles(max_bytes=max_bytes, private_hosts=private_hosts)
        self._archives = _OpenArchives(OPEN_ARCHIVES)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[[], Originals], tuple[()]]:
        """Pickle the settings only: another process opens its own archives and connections."""
        limits = partial(Originals, max_bytes=self._max_bytes, private_hosts=self._private_hosts)
        return partial(limits, catalog_folder=self._catalog_folder), ()

    def read(self, location: str) -> bytes:
        """Return the photo's bytes; raises `SourceError`, or `ImageTooLarge` when there are more than `max_bytes`."""
        if is_url(location):
            return self.fetch(location).data or b""
        if location.startswith(("tar:", "zip:")):
            return self._read_member(location)
        if is_remote(location):
            return self._within_limit(read_file(location, at_most_bytes=self._max_bytes + 1))
        if is_stored(location):
            path = stored_path(self._catalog_folder, location) if self._catalog_folder else None
            if path is None:
                raise SourceError("The photo was sent to a catalog that is not open here.")
            return self._read_file(path)
        return self._read_file(file_of(location) or Path(location))

    def fetch(self, url: str, known: UrlState | None = None) -> WebAnswer:
        """Return the photo at a URL with what tells its next change; without bytes if it is as `known`.

        Raises as `read` does.
        """
        return self._web.read(url) if known is None else self._web.read_if_changed(url, known)

    def close(self) -> None:
        """Close open archives and connections."""
        with self._lock:
            while self._archives:
                self._archives.popitem()
        self._web.close()

    def _read_file(self, path: Path) -> bytes:
        try:
            if not path.is_dir() and path.exists() and not path.is_file():
                raise SourceError("It is not a regular file.")  # reading a pipe would block
            with path.open("rb") as file:
                data = file.read(self._max_bytes + 1)
        except FileNotFoundError:
            if path.is_symlink():
                raise SourceError("The link points to a missing file.") from None
            raise SourceError("The file is no longer there.") from None
        except PermissionError:
            raise SourceError("The file may not be read (permission denied).") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"The file cannot be read ({reason}).") from None
        return self._within_limit(data)

    def _within_limit(self, data: bytes) -> bytes:
        self._check_size(len(data))
        return data

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise ImageTooLarge(f"The file has more than {self._max_bytes // 1024**2} MiB.")

    def _read_member(self, location: str) -> bytes:
        kind, _, rest = location.partition(":")
        archive_path, _, member = rest.partition("!/")
        member = unquote(member, errors="surrogateescape")
        with self._lock:
            archive = self._archives.get(archive_path)
            if archive is None:
                archive = _Archive(kind, Path(unquote(archive_path, errors="surrogateescape")))
                self._archives[archive_path] = archive
            return self._within_limit(archive.read(member, self._max_bytes + 1))

    def validators(self, url: str, known: Mapping[str, str] | None = None) -> dict[str, str] | None:
        """Return what tells the versions of a URL's content apart (`etag`, `last-modified`), without reading it.

        None where the server says that it is still that of `known`. Raises `SourceError`.
        """
        given = known or {}
        state = UrlState(url, given.get("etag", ""), given.get("last-modified", ""))
        seen = self._web.look(url, state)
        if seen is None:
            return None
        found = {"etag": seen.etag, "last-modified": seen.last_modified}
        return {name: text for name, text in found.items() if text}


class _Archive:
    """One open archive; used by one thread at a time."""

    def __init__(self, kind: str, path: Path) -> None:
        self._open: Callable[[str], IO[bytes] | None]
        self.close: Callable[[], None]
        try:
            if kind == "zip":
                packed = zipfile.ZipFile(path)
                self._open, self.close = packed.open, packed.close
            else:
                tar = tarfile.open(path)  # noqa: SIM115 (kept open)
                members = _regular_members(tar)
                self._open, self.close = lambda name: tar.extractfile(members[name]), tar.close
        except FileNotFoundError:
            raise SourceError(f"The archive {path} is no longer there.") from None
        except _DAMAGED as error:
            raise SourceError(f"The archive {path} cannot be read ({error_line(error)}).") from None

    def read(self, member: str, limit: int) -> bytes:
        try:
            stream = self._open(member)
            assert stream is not None  # None only for members that are not regular files
            with stream:
                return stream.read(limit)
        except KeyError:
            raise SourceError("The photo is no longer in its archive.") from None
        except RuntimeError as error:  # zipfile raises it for encrypted members
            raise SourceError(f"The photo in the archive cannot be read ({error}).") from None
        except (*_DAMAGED, NotImplementedError) as error:
            raise SourceError(f"The photo in the archive is damaged ({error_line(error)}).") from None


def _regular_members(archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Return the files of an archive by name; of a damaged one those before the damage."""
    members: dict[str, tarfile.TarInfo] = {}
    try:
        members.update((member.name, member) for member in archive if member.isfile())
    except _DAMAGED:
        if not members:
            raise
    return members


class _OpenArchives(LRUCache[str, _Archive]):
    """Open archives by path; the least recently used one is closed first."""

    def popitem(self) -> tuple[str, _Archive]:
        path, archive = super().popitem()
        archive.close()
        return path, archive
