"""The HTTP API as one ASGI application: its routes, and what every answer gets."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imgsearch.app.api import (
    collections,
    commands,
    feedback,
    imports,
    item_batch,
    item_changes,
    item_history,
    item_list,
    items,
    operations,
    pictures,
    search,
)
from imgsearch.app.api.context import Context
from imgsearch.app.api.failures import HANDLERS
from imgsearch.app.api.openapi import docs_page, openapi_document
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

PREFIXES = ("/api", "/thumbnails", "/uploads", "/healthz", "/metrics")
"""Everything that this application answers, or that lies below it."""

_ROUTES = [
    route
    # The most frequent first: paths are compared one after the other.
    for resource in (
        *(pictures, search, item_history, items, item_list, item_changes, item_batch),
        *(feedback, collections, imports, operations),
    )
    for route in resource.router.routes
] + commands.ROUTES


def create_api(open_service: Callable[[], SearchService], settings: Settings) -> FastAPI:
    """Return the API as an application of its own; `open_service` returns the service, or raises why there is none.

    `open_service` is called in a worker thread at each request, so a catalog that appears later is picked up.
    """
    context = Context(open_service, settings)
    middleware = [Middleware(_Envelope, context)]
    if settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins.split(),
                allow_methods=["GET", "POST"],
                allow_headers=["Content-Type"],
                max_age=3600,
            )
        )
    api = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        middleware=middleware,
        exception_handlers=dict(HANDLERS),
    )
    # The routes themselves: included routers would hide the methods of a path from the answer 405.
    api.router.routes.extend(_ROUTES)

    @cache
    def document() -> dict[str, Any]:
        return openapi_document(settings, _ROUTES)

    api.openapi = document  # type: ignore[method-assign]
    api.state.context = context
    api.state.docs_page = cache(lambda: docs_page(document()))
    return api


class _Envelope:
    """What every answer gets: a place in the metrics, how long it took (`Server-Timing`), and headers that keep
    browsers from guessing and leaking. HEAD is answered as GET without the body.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._requests = context.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        head = scope["type"] == "http" and scope["method"] == "HEAD"
        if head:
            scope = {**scope, "method": "GET"}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                took_ms = (time.perf_counter() - started) * 1000
                # The route's name, never the path: labels must be few.
                endpoint = getattr(scope.get("route"), "name", "none")
                self._requests.labels(endpoint=endpoint, status=str(message["status"])).inc()
                headers = MutableHeaders(scope=message)
                headers.setdefault("Server-Timing", f"total;dur={took_ms:.1f}")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            elif head:
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
