"""Serving below a path of a host, behind a proxy that keeps this path in its requests or removes it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from imgsearch.core.base_path import HEADER, forwarded_base_path, use_base_path


class BasePathMiddleware:
    """Finds the base path of a request, and removes it from the path.

    Streamlit itself is served at the root: its pages find their base path by the address that the browser shows.
    """

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        """`base_path` is that of requests whose proxy names none."""
        self._app = app
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] in ("http", "websocket"):
            header = next((value for name, value in scope["headers"] if name == HEADER.encode()), b"")
            base_path = forwarded_base_path(header.decode("latin-1"), self._base_path)
            use_base_path(base_path)
            path: str = scope["path"]
            if base_path and (path == base_path or path.startswith(f"{base_path}/")):
                raw = scope.get("raw_path") or b""
                rest = path[len(base_path) :] or "/"
                scope = {**scope, "path": rest, "raw_path": raw[len(base_path) :] or b"/"}
        await self._app(scope, receive, send)
