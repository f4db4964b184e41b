"""The path below which visitors reach this server: "" at the root of a host, "/search" behind a proxy.

Every address that pages and answers contain is made by `served_path`. The base path belongs to a request, since a
proxy may name it in the header `X-Forwarded-Prefix`; a context variable carries it to the threads of the request.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

HEADER = "x-forwarded-prefix"
MAX_CHARS = 200
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")

_base_path: ContextVar[str] = ContextVar("base_path", default="")


def clean_base_path(text: str) -> str:
    """Return a base path with a leading and without a trailing slash; "" for the root.

    Raises ValueError for what is not a path of letters, digits and `._~-`.
    """
    path = text.strip().strip("/") if len(text) <= MAX_CHARS else "?"
    path = f"/{path}" if path else ""
    if path and (not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/"))):
        raise ValueError("a path such as /search, of letters, digits and the characters . _ ~ -")
    return path


def forwarded_base_path(header: str | None, default: str) -> str:
    """Return the base path that a proxy's header names; `default` without one, or where it is not a path."""
    if not header:
        return default
    try:
        return clean_base_path(header.split(",")[0])
    except ValueError:
        return default


def use_base_path(path: str) -> None:
    """Set the base path for the rest of this context: a request, or a run of a page."""
    _base_path.set(path)


def served_path(path: str) -> str:
    """Return a path of this server, such as `/thumbnails/1.jpg`, as visitors reach it."""
    return _base_path.get() + path
