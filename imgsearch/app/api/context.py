"""What every handler of the API shares: the service, the threads for blocking work, the counters, the answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import anyio.to_thread
from anyio import CapacityLimiter
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.access import WriteAccess
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

DEFAULT_N = 10

_T = TypeVar("_T")


class Context:
    """The state of one API application; `open_service` is called in a worker thread at each request."""

    def __init__(self, open_service: Callable[[], SearchService], settings: Settings) -> None:
        self.open_service = open_service
        self.settings = settings
        self.access = WriteAccess(settings)
        self.default_n = min(DEFAULT_N, settings.max_results)
        # Searches use the processor: more of them at once than processors would only make each one slower.
        self._search_slots = CapacityLimiter(max(4, settings.worker_threads))
        # Thumbnails mostly wait for the disk.
        self._picture_slots = CapacityLimiter(max(8, 2 * settings.worker_threads))
        # Changes wait for the disk, and are committed together: many may wait at once.
        self._write_slots = CapacityLimiter(max(16, 4 * settings.worker_threads))
        # Of a batch, which takes minutes, one chunk after the other.
        self._batch_slots = CapacityLimiter(2)
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "imgsearch_http_requests_total",
            "Requests to the API by endpoint and status.",
            ["endpoint", "status"],
            registry=registry,
        )
        self.errors = Counter(
            "imgsearch_errors_total",
            "Errors answered by the API, by their code.",
            ["code"],
            registry=registry,
        )
        self.up = Gauge("imgsearch_up", "1 when the catalog is open.", registry=registry)
        waiting = Gauge(
            "imgsearch_http_searches_waiting",
            "Searches of the API that wait for a processor.",
            registry=registry,
        )
        waiting.set_function(lambda: self._search_slots.statistics().tasks_waiting)

    async def search(self, work: Callable[[], _T]) -> _T:
        """Return `work()`, run in a thread when a search may run."""
        return await anyio.to_thread.run_sync(work, limiter=self._search_slots)

    async def read(self, work: Callable[[SearchService], _T]) -> _T:
        """Return `work(service)`, run in a thread when an item or a picture may be read."""
        return await anyio.to_thread.run_sync(lambda: work(self.open_service()), limiter=self._picture_slots)

    async def write(self, work: Callable[[], _T]) -> _T:
        """Return `work()`, run in a thread when an item may be changed."""
        return await anyio.to_thread.run_sync(work, limiter=self._write_slots)

    async def write_many(self, work: Callable[[], _T]) -> _T:
        """Return `work()`, run in a thread when a part of a batch may be written."""
        return await anyio.to_thread.run_sync(work, limiter=self._batch_slots)


def context_of(request: Request) -> Context:
    """Return the context of the application that answers a request."""
    return cast(Context, request.app.state.context)


def json_answer(
    document: Any, status_code: int = 200, headers: Mapping[str, str] | None = None, cache: str = "no-cache"
) -> Response:
    """Return a document as JSON."""
    # Starlette's JSONResponse refuses lone surrogates, which a hostile request can bring into a message.
    body = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="replace")
    return Response(body, status_code, {"Cache-Control": cache, **(headers or {})}, "application/json")


def bytes_answer(request: Request, data: bytes, etag: str, cache: str, media_type: str) -> Response:
    """Return bytes, or 304 where the client has them."""
    headers = {"ETag": etag, "Cache-Control": cache}
    if _is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)


def cached_json(request: Request, document: Any, etag: str) -> Response:
    """Return a document as JSON, or 304 where the client has it."""
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if _is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return json_answer(document, headers=headers)


def _is_known(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or etag in re.findall(r'"[^"]*"', known)
