"""Answers of the API: JSON, and bytes that a client may keep."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["bytes_answer", "json_answer"]


def json_answer(
    document: Any,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    cache: str = "no-cache",
) -> Response:
    """Return a document as JSON."""
    # Starlette's JSONResponse refuses lone surrogates, which a hostile request can bring into a message.
    body = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="replace")
    return Response(
        body,
        status_code=status_code,
        headers={"Cache-Control": cache, **(headers or {})},
        media_type="application/json",
    )


def bytes_answer(request: Request, data: bytes, etag: str, cache: str, media_type: str) -> Response:
    """Return bytes, or 304 where the client has them."""
    headers = {"ETag": etag, "Cache-Control": cache}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or etag in re.findall(r'"[^"]*"', known):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)
