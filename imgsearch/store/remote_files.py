"""Files in object stores and on other machines, by URLs such as `s3://bucket/photos/1.jpg`; paths work too.

Uses fsspec: each store needs its package (s3fs, gcsfs, adlfs, ...), which finds the credentials in its own way. Every
error becomes a `SourceError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from imgsearch.core.errors import SourceError
from imgsearch.core.files import write_durably
from imgsearch.core.row_numbers import nanoseconds
from imgsearch.core.text import error_line

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://.", re.I | re.S)
_OWN_SCHEMES = frozenset({"http", "https", "file", "milvus", "milvus+tls"})
"""Schemes with another meaning in this program."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file below a URL; `path` is relative to that URL. Size and time are 0 where unknown."""

    url: str
    path: str
    size_bytes: int
    modified_ns: int


def is_remote(text: str) -> bool:
    """Return whether a text is the URL of a file or folder in a remote store; http URLs are not."""
    found = _URL.match(text)
    return found is not None and found[1].lower() not in _OWN_SCHEMES


def normalised_place(text: str) -> str:
    """Return a URL without its last slash, or the absolute path of a local folder."""
    return text.rstrip("/") if is_remote(text) else str(Path(text).expanduser().absolute())


def list_files(url: str) -> Iterator[RemoteFile]:
    """Yield every file below a URL, by name; raises `SourceError` where there is none or it cannot be read."""
    with _translated(url):
        store, root = fsspec.url_to_fs(url)
        root = root.rstrip("/")
        scheme = url.partition("://")[0]
        found = store.find(root, detail=True)
    if not found:
        raise SourceError(f"There is no file below {url}.")
    for name in sorted(found):
        details = found[name]
        location = f"{scheme}://{name.lstrip('/') if scheme not in ('local',) else name}"
        path = name.removeprefix(root).lstrip("/") or name.rpartition("/")[2]
        yield RemoteFile(location, path, int(details.get("size") or 0), _modified_ns(details))


def list_names(place: str) -> list[str]:
    """Return the sorted names of the files directly in a folder or URL; none where it does not exist."""
    if not is_remote(place):
        folder = Path(place)
        return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    with _translated(place):
        store, root = fsspec.url_to_fs(place)
        # The cached listing may be out of date.
        store.invalidate_cache()
        try:
            entries = store.ls(root, detail=True)
        except FileNotFoundError:
            return []
    return sorted(str(entry["name"]).rpartition("/")[2] for entry in entries if entry["type"] == "file")


def file_exists(url: str) -> bool:
    """Return whether there is a file at a path or URL; raises `SourceError` where the store cannot be reached."""
    if not is_remote(url):
        return Path(url).is_file()
    with _translated(url):
        store, path = fsspec.url_to_fs(url)
        store.invalidate_cache()
        return bool(store.exists(path))


def read_file(url: str, *, at_most_bytes: int | None = None) -> bytes:
    """Return the bytes of a file at a path or URL, cut to a limit; raises `SourceError`."""
    with open_file(url) as file:
        return file.read(-1 if at_most_bytes is None else at_most_bytes)


@contextmanager
def open_file(url: str) -> Iterator[BinaryIO]:
    """Open a file at a path or URL for random reads; raises `SourceError`."""
    with _translated(url):
        if is_remote(url):
            store, path = fsspec.url_to_fs(url)
            file = store.open(path, "rb")
        else:
            file = Path(url).open("rb")  # noqa: SIM115 (closed below)
        with file:
            yield file


def write_file(url: str, data: bytes) -> None:
    """Write or replace a file at a path or URL, whole or not at all; raises `SourceError`."""
    with _translated(url):
        if is_remote(url) and not url.lower().startswith("local://"):
            # Object stores publish an object only when it is complete.
            store, path = fsspec.url_to_fs(url)
            store.pipe_file(path, data)
            return
        target = Path(url.partition("://")[2] if is_remote(url) else url)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_durably(target, data)


def _modified_ns(details: Mapping[str, Any]) -> int:
    """Return the modification time; each store names it differently."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = details.get(name)
        if isinstance(value, datetime):
            return nanoseconds(value.timestamp())
        if isinstance(value, int | float):
            return nanoseconds(value)
        if isinstance(value, str):
            try:
                return nanoseconds(datetime.fromisoformat(value).timestamp())
            except (ValueError, OverflowError):
                continue
    return 0


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except FileNotFoundError:
        raise SourceError(f"There is nothing at {url}.") from None
    except PermissionError:
        raise SourceError(f"{url} may not be accessed (permission denied).") from None
    except ImportError as error:
        raise SourceError(f"{url} cannot be accessed: {error_line(error, max_chars=200)}.") from None
    except Exception as error:  # every store raises errors of its own
        raise SourceError(f"{url} cannot be accessed ({error_line(error, max_chars=200)}).") from error
