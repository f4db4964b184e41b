"""Headers that say when a change may happen: `If-Match`, `If-None-Match: *`, and `Idempotency-Key`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from imgsearch.app.api.failures import RequestError
from imgsearch.store.idempotency import MAX_KEY_CHARS

MAX_HEADER_CHARS = 2000
_KEY = re.compile(r"[\x21-\x7e]+")
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')
_ETAGS = re.compile(r'\s*(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")*\s*')


def header_parameters(*names: str) -> list[dict[str, Any]]:
    """Return the descriptions of headers for a route."""
    return [_PARAMETERS[name] for name in names]


_PARAMETERS: dict[str, dict[str, Any]] = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": (
            "The `ETag` that the item must have: where another request has changed it, the answer is 412. `*` is any "
            "item that exists."
        ),
        "schema": {"type": "string", "maxLength": MAX_HEADER_CHARS, "pattern": r'^(\*|(W/)?"[!-~]*")$'},
        "example": '"r17"',
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "`*`: only create the item; where it exists, the answer is 412.",
        "schema": {"type": "string", "enum": ["*"]},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": (
            "A random name of this request, such as a UUID. The same request with the same key within 24 hours is "
            "not done again: it gets the same answer, and `Idempotency-Replayed: true`."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": "^[!-~]+$"},
        "example": "5f0c2c52-7b9b-4c0e-9a55-0a4dd1bb3f8e",
    },
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be so for a change to happen: one of the ETags ("*": the item exists), or that it is new."""

    etags: tuple[str, ...] = ()
    create_only: bool = False

    @classmethod
    def of(cls, request: Request, *, may_create: bool = False) -> Conditions:
        """Return the conditions in a request's headers; raises `RequestError` for one that cannot be read."""
        match = _header(request, "if-match")
        none_match = _header(request, "if-none-match").strip()
        if none_match and (none_match != "*" or not may_create):
            raise RequestError("If-None-Match can only be '*', and only where an item is created.")
        if match.strip() == "*":
            etags: tuple[str, ...] = ("*",)
        elif match and not _ETAGS.fullmatch(match):
            raise RequestError(
                """If-Match must be '*' or the ETag of an answer with its quotes, such as "r17"."""
            )
        else:
            # Proxies that compress mark the ETags of answers as weak (W/); the item is the same.
            etags = tuple(_ETAG.findall(match))
        if etags and none_match:
            raise RequestError("Send If-Match or If-None-Match, not both.")
        return cls(etags, bool(none_match))


def idempotency_key(request: Request) -> str:
    """Return the request's `Idempotency-Key`, "" without; raises `RequestError` for one that cannot be used."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return ""
    if not 0 < len(key) <= MAX_KEY_CHARS or not _KEY.fullmatch(key):
        raise RequestError(f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} visible ASCII characters.")
    return key


def _header(request: Request, name: str) -> str:
    text = request.headers.get(name, "")
    if len(text) > MAX_HEADER_CHARS:
        raise RequestError(f"The header {name} has more than {MAX_HEADER_CHARS:,} characters.")
    return text
