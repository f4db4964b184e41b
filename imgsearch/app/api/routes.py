"""The HTTP API: JSON search, items, feedback, thumbnails, health and metrics, as one Starlette application.

It owns what travels over HTTP: parsing and limits of requests, status codes, headers, and that no blocking work
runs on the event loop. It knows `SearchService` and nothing below it, and nothing of Streamlit: `imgsearch.app.asgi`
joins the two. Every path, parameter and field here is described in `imgsearch.app.api.openapi`.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args
from urllib.parse import parse_qs

import anyio.to_thread
from anyio import CapacityLimiter
from prometheus_client import CollectorRegistry, Counter, Gauge
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imgsearch.app import replicas
from imgsearch.app.api.documents import item_document, result_document, words_document
from imgsearch.app.api.openapi import docs_page, openapi_document
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings
from imgsearch.core.errors import (
    CollectionError,
    ConfigError,
    EncoderUnavailable,
    FeedbackError,
    ImageError,
    ImageTooLarge,
    ImgSearchError,
    NotAWriter,
    QueryError,
    SourceError,
    UnknownCollection,
    UnknownItem,
)
from imgsearch.core.query import MAX_ID_CHARS, Query, Region, Term
from imgsearch.core.query_address import (
    LESS_WEIGHT,
    MORE_WEIGHT,
    parse_region,
    part_of,
    query_from_params,
    query_key,
    thumbnail_url,
)
from imgsearch.core.records import Item, Judgment, Verdict
from imgsearch.core.text import check_text
from imgsearch.core.version import __version__
from imgsearch.improve.judging.calls import JudgingCall
from imgsearch.improve.monitoring.metrics import CONTENT_TYPE, render
from imgsearch.store.collections import Collection, collection_csv
from imgsearch.store.feedback import max_chars
from imgsearch.vision.images import nearest_thumbnail_size

__all__ = ["PREFIXES", "create_api"]

PREFIXES = ("/api", "/thumbnails", "/uploads", "/healthz", "/metrics")
"""Everything that this application answers, or lies below it."""

DEFAULT_N = 10
MAX_NAME_CHARS = 200
MAX_RANK = 1_000_000
MAX_FEEDBACK_BYTES = 64 * 1024
# What a multipart body holds beside the picture: boundaries, headers, and the other fields.
FORM_OVERHEAD_BYTES = 256 * 1024
IMAGE_PX = 768
THUMBNAIL_PX = 384
MAP_PHOTO_PX = 96
MAX_MAP_PHOTOS = 100
LOADING_RETRY_S = 2
_SECRET_VISITOR = re.compile(r"[0-9a-f]{32}")

_LOG = logging.getLogger(__name__)
_RESULT = TypeVar("_RESULT")
_SEARCH_PARAMETERS = frozenset(
    {
        *("text", "item", "more", "less", "upload", "color", "part", "n", "offset", "filter", "visitor"),
        *("emphasis", "same", "duplicates", "diversity", "spelling"),
    }
)
_JSON_FIELDS = frozenset(
    {
        *("text", "items", "more", "less", "uploads", "colors", "image", "n", "offset", "filter", "visitor"),
        *("emphasis", "same_color", "duplicates", "diversity", "spelling"),
    }
)


class _AnythingConvertor(Convertor[str]):
    """A path parameter that may hold every character, newlines too: Starlette's own `path` stops at them."""

    regex: ClassVar[str] = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _AnythingConvertor())


class _RequestError(ImgSearchError):
    """A request that the API itself refuses; `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def create_api(open_service: Callable[[], SearchService], settings: Settings) -> Starlette:
    """Return the API as an application of its own; `open_service` gives the service, or raises why there is none.

    `open_service` is called in a worker thread at each request, so a catalog that appears later is picked up.
    """
    handlers = _Handlers(open_service, settings)
    routes = [
        Route("/api/v1/search", handlers.search, methods=["GET"]),
        Route("/api/v1/search", handlers.search_posted, methods=["POST"]),
        Route("/api/v1/items", handlers.item, methods=["GET"]),
        Route("/api/v1/items/{id:anything}/similar", handlers.similar, methods=["GET"]),
        Route("/api/v1/items/{id:anything}", handlers.item, methods=["GET"]),
        Route("/api/v1/regions", handlers.regions, methods=["GET"]),
        Route("/api/v1/collections", handlers.collections, methods=["GET"]),
        Route("/api/v1/collections/{id}.csv", handlers.collection_csv, methods=["GET"]),
        Route("/api/v1/collections/{id}", handlers.collection, methods=["GET"]),
        Route("/api/v1/feedback", handlers.feedback, methods=["POST"]),
        Route(replicas.ROUTE, handlers.replica_feedback, methods=["POST"]),
        Route("/api/v1/judging", handlers.judging, methods=["POST"]),
        Route("/api/v1/map", handlers.map, methods=["GET"]),
        Route("/api/v1/map/photos", handlers.map_photos, methods=["GET"]),
        Route("/thumbnails", handlers.thumbnail, methods=["GET"]),
        Route("/thumbnails/{id:anything}", handlers.thumbnail, methods=["GET"]),
        Route("/uploads/{id}", handlers.upload, methods=["GET"]),
        Route("/healthz", handlers.health, methods=["GET"]),
        Route("/metrics", handlers.metrics, methods=["GET"]),
        Route("/api/openapi.json", handlers.openapi, methods=["GET"]),
        Route("/api/docs", handlers.docs, methods=["GET"]),
    ]
    middleware = [Middleware(_Envelope, handlers.requests)]
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
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={
            ImgSearchError: handlers.refuse,
            HTTPException: handlers.refuse_http,
            ClientDisconnect: handlers.client_left,
            Exception: handlers.fail,
        },
    )


class _Handlers:
    """The endpoints; each reads its request, makes one call of the service in a thread, and answers."""

    def __init__(self, open_service: Callable[[], SearchService], settings: Settings) -> None:
        self._open_service = open_service
        self._settings = settings
        # Searches use the processor: more of them at once than processors would only make each one slower.
        self._search_slots = CapacityLimiter(max(4, settings.worker_threads))
        # Thumbnails mostly wait for the disk.
        self._picture_slots = CapacityLimiter(max(8, 2 * settings.worker_threads))
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "imgsearch_http_requests_total",
            "Requests to the API by endpoint and status.",
            ["endpoint", "status"],
            registry=registry,
        )
        self._errors = Counter(
            "imgsearch_errors_total",
            "Errors answered by the API, by their code.",
            ["code"],
            registry=registry,
        )
        self._up = Gauge("imgsearch_up", "1 when the catalog is open.", registry=registry)
        self._waiting = Gauge(
            "imgsearch_http_searches_waiting",
            "Searches of the API that wait for a processor.",
            registry=registry,
        )

    async def _run(self, slots: CapacityLimiter, work: Callable[[SearchService], _RESULT]) -> _RESULT:
        """Return `work(service)`, run in a thread when one of the slots is free."""
        return await anyio.to_thread.run_sync(lambda: work(self._open_service()), limiter=slots)

    # --- search -----------------------------------------------------------------------------------------------

    async def search(self, request: Request) -> Response:
        """Answer GET /api/v1/search."""
        params = _multi(request)
        _check_names(params, _SEARCH_PARAMETERS, "parameter")
        return await self._answer(self._parse(params), _visitor(params))

    async def similar(self, request: Request) -> Response:
        """Answer GET /api/v1/items/{id}/similar."""
        params = _multi(request)
        _check_names(params, {"n", "offset", "filter", "visitor"}, "parameter")
        query = self._parse({**params, "item": [request.path_params["id"]]})
        return await self._answer(query, _visitor(params))

    async def search_posted(self, request: Request) -> Response:
        """Answer POST /api/v1/search: a multipart form, or a JSON body."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            params, images = await self._read_form(request)
            _check_names(params, _SEARCH_PARAMETERS, "field")
            query = self._parse(params, may_be_empty=bool(images))
            visitor = _visitor(params)
        elif kind == "application/json":
            # Base64 grows the picture by a third.
            body = await _read_json(request, self._settings.max_upload_bytes * 4 // 3 + FORM_OVERHEAD_BYTES)
            query, images, visitor = self._parse_json(body)
        else:
            raise _RequestError(
                "Send the search as multipart/form-data or as application/json.",
                status=415,
                code="bad_content_type",
            )
        return await self._answer(query, visitor, images)

    async def _answer(self, query: Query, visitor: str, images: Sequence[bytes] = ()) -> Response:
        """Return the response to a search; `images` are kept as uploads and become terms of the query."""

        def work(service: SearchService) -> dict[str, Any]:
            if images or any(term.kind != "item" for term in query.terms):
                _require_encoder(service)
            uploads = tuple(Term("upload", service.engine.uploads.add(image)) for image in images)
            result = service.search(replace(query, terms=query.terms + uploads), visitor=visitor)
            document = result_document(result, lambda hit: thumbnail_url(hit, IMAGE_PX))
            document |= words_document(service.words.suggestions(query), service.words.correction(query))
            for hit, entry in zip(result.hits, document["hits"], strict=True):
                entry["thumbnail"] = thumbnail_url(hit, THUMBNAIL_PX)
            return document

        return _json(await self._run(self._search_slots, work))

    def _parse(self, params: Mapping[str, Sequence[str]], *, may_be_empty: bool = False) -> Query:
        query = query_from_params(params, default_n=self._default_n, max_n=self._settings.max_results)
        return _checked(query, may_be_empty=may_be_empty)

    def _parse_json(self, body: Mapping[str, Any]) -> tuple[Query, list[bytes], str]:
        """Return the query, pictures and visitor of a JSON search body; raises `QueryError` for any wrong type."""
        _check_names(body, _JSON_FIELDS, "field")
        terms = _json_terms(body, "text", "text", 1.0)
        terms += _json_terms(body, "items", "item", 1.0)
        terms += _json_terms(body, "more", "item", MORE_WEIGHT)
        terms += _json_terms(body, "less", "item", LESS_WEIGHT)
        terms += _json_terms(body, "uploads", "upload", 1.0)
        terms += _json_terms(body, "colors", "color", 1.0)
        images = [_base64_image(body["image"])] if body.get("image") is not None else []
        # Through the same grammar as the address bar, which knows all limits.
        params = {
            "filter": _strings(body, "filter"),
            "upload": [str(term.value) for term in terms if term.kind == "upload"],
            "color": [str(term.value) for term in terms if term.kind == "color"],
            **_json_looks(body),
        }
        for name in ("n", "offset"):
            if body.get(name) is not None:
                params[name] = [_whole_number(name, body[name])]
        grammar = self._parse(params, may_be_empty=True)
        query = replace(
            grammar, terms=tuple(term for term in terms if term.kind != "text" or str(term.value).strip())
        )
        visitor = body.get("visitor") or ""
        if not isinstance(visitor, str):
            raise QueryError("visitor must be a text.")
        return _checked(query, may_be_empty=bool(images)), images, _visitor({"visitor": [visitor]})

    @property
    def _default_n(self) -> int:
        return min(DEFAULT_N, self._settings.max_results)

    async def _read_form(self, request: Request) -> tuple[dict[str, list[str]], list[bytes]]:
        """Return a multipart form's text fields, and the bytes of its file field `image`."""
        limit = self._settings.max_upload_bytes + FORM_OVERHEAD_BYTES
        limited = Request(request.scope, _limited(request, limit))
        async with limited.form(max_files=1, max_fields=200, max_part_size=FORM_OVERHEAD_BYTES) as form:
            params: dict[str, list[str]] = {}
            images: list[bytes] = []
            for name, value in form.multi_items():
                if not isinstance(value, UploadFile):
                    params.setdefault(name, []).append(value)
                elif name == "image":
                    images.append(await value.read())
                else:
                    raise _RequestError(f"The file field must be named 'image', not {name[:40]!r}.")
            if "image" in params:
                raise _RequestError("The field 'image' must be a file.", status=415, code="bad_image")
        return params, images

    # --- items and pictures -----------------------------------------------------------------------------------

    async def item(self, request: Request) -> Response:
        """Answer GET /api/v1/items/{id} and /api/v1/items?id=."""
        item_id = _item_id(request)
        found = await self._run(self._picture_slots, lambda service: service.catalog.get(item_id))
        return _json(_item_document(found))

    async def regions(self, request: Request) -> Response:
        """Answer GET /api/v1/regions: boxes around the things in the photo of an item or an upload."""
        params = _multi(request)
        _check_names(params, {"item", "upload"}, "parameter")
        if sum(len(values) for values in params.values()) != 1:
            raise QueryError("Say which photo: item=ID or upload=ID, one of them and once.")
        (term,) = query_from_params(params).terms
        term = replace(term, value=_clean(str(term.value), MAX_ID_CHARS, "The id"))

        def work(service: SearchService) -> Sequence[Region]:
            name = str(term.value)
            try:
                return (
                    service.regions.of_item(name) if term.kind == "item" else service.regions.of_upload(name)
                )
            except QueryError as error:
                raise _RequestError(str(error), status=404, code="unknown_upload") from error
            except (ImageError, SourceError) as error:
                raise _RequestError(
                    f"The photo cannot be read: {error}", status=404, code="photo_unavailable"
                ) from error

        found = await self._run(self._picture_slots, work)
        parts = [{**asdict(region), "part": part_of(term, region)} for region in found]
        return _json({"regions": parts})

    async def thumbnail(self, request: Request) -> Response:
        """Answer GET /thumbnails/{id} and /thumbnails?id=."""
        item_id = _item_id(request)
        size_px = _size_px(request)
        version = request.query_params.get("v", "")

        def work(service: SearchService) -> tuple[bytes, str, bool]:
            key = service.catalog.get(item_id).key
            try:
                made = service.engine.thumbnails.get(service.catalog.get(item_id), size_px)
            except (ImageError, SourceError) as error:
                raise _RequestError(
                    f"The photo of this item cannot be shown: {error}", status=404, code="photo_unavailable"
                ) from error
            return made.data, made.etag, version == str(key)

        data, etag, current = await self._run(self._picture_slots, work)
        # Only an address with the key of these very bytes may be kept for ever: a changed photo gets a new key.
        lifetime = "public, max-age=31536000, immutable" if current else "public, max-age=60"
        return _picture(request, data, etag, lifetime)

    async def upload(self, request: Request) -> Response:
        """Answer GET /uploads/{id}."""
        upload_id = request.path_params["id"]
        size_px = _size_px(request)
        try:
            data = await self._run(
                self._picture_slots, lambda service: service.engine.uploads.webp(upload_id, size_px)
            )
        except QueryError as error:
            raise _RequestError(str(error), status=404, code="unknown_upload") from error
        # The id is a hash of the content, so the address never means another picture; but it is a visitor's own.
        return _picture(request, data, f'"{upload_id}-{size_px}"', "private, max-age=31536000, immutable")

    # --- collections ------------------------------------------------------------------------------------------

    async def collections(self, request: Request) -> Response:
        """Answer GET /api/v1/collections: a visitor's own."""
        params = _multi(request)
        _check_names(params, {"visitor"}, "parameter")
        visitor = _visitor(params)
        if not _SECRET_VISITOR.fullmatch(visitor):
            raise QueryError(
                "visitor must be the 32 hexadecimal digits that the app's cookie imgsearch_visitor holds: a name "
                "that could be guessed is shown no collections."
            )
        found = await self._run(self._picture_slots, lambda service: service.collections.of(visitor))
        return _json({"collections": [_collection_summary(each) for each in found]}, cache="no-store")

    async def collection(self, request: Request) -> Response:
        """Answer GET /api/v1/collections/{id}."""
        collection_id = _clean(request.path_params["id"], MAX_NAME_CHARS, "The collection's id")
        _check_names(_multi(request), set(), "parameter")

        def work(service: SearchService) -> dict[str, Any]:
            found = service.collections.get(collection_id)
            items = service.catalog.get_many(found.items)
            there = {item.item_id for item in items}
            return {
                **found.as_dict(),
                "items": [_item_document(item) for item in items],
                "gone": [item_id for item_id in found.items if item_id not in there],
            }

        return _json(await self._run(self._picture_slots, work), cache="no-store")

    async def collection_csv(self, request: Request) -> Response:
        """Answer GET /api/v1/collections/{id}.csv."""
        collection_id = _clean(request.path_params["id"], MAX_NAME_CHARS, "The collection's id")
        _check_names(_multi(request), set(), "parameter")

        def work(service: SearchService) -> str:
            found = service.collections.get(collection_id)
            return collection_csv(
                found, service.catalog.get_many(found.items), list(service.catalog.metadata.columns)
            )

        table = await self._run(self._picture_slots, work)
        # The id was found, so it is plain hexadecimal and may stand in a header.
        name = f"collection-{collection_id[:8]}.csv"
        return Response(
            table.encode("utf-8", errors="replace"),
            media_type="text/csv",
            headers={"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'},
        )

    # --- feedback ---------------------------------------------------------------------------------------------

    async def feedback(self, request: Request) -> Response:
        """Answer POST /api/v1/feedback."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # Other types can be sent by any web page without asking the browser first.
            raise _RequestError("Send feedback as application/json.", status=415, code="bad_content_type")
        body = await _read_json(request, MAX_FEEDBACK_BYTES)
        record = _feedback_call(body)
        await self._run(self._search_slots, record)
        return _json({"recorded": body["kind"]}, status_code=201)

    async def replica_feedback(self, request: Request) -> Response:
        """Answer POST /api/v1/replica-feedback: a batch of rows that a replica gathered."""
        body = await _read_json(request, replicas.MAX_BATCH_BYTES)
        authorization = request.headers.get("authorization", "")
        taken = await self._run(self._search_slots, lambda service: service.inbox.take(authorization, body))
        return _json({"taken": taken}, status_code=201, cache="no-store")

    async def judging(self, request: Request) -> Response:
        """Answer POST /api/v1/judging."""
        if self._settings.replica_of:
            raise NotAWriter(f"This is a replica; judge at {self._settings.replica_of}.")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise _RequestError("Send judgments as application/json.", status=415, code="bad_content_type")
        call = JudgingCall.parse(await _read_json(request, MAX_FEEDBACK_BYTES))
        reply = await self._run(self._search_slots, lambda service: service.judging.sync(call))
        return _json(reply.as_dict(), cache="no-store")

    # --- the map ----------------------------------------------------------------------------------------------

    async def map(self, request: Request) -> Response:
        """Answer GET /api/v1/map: the points as bytes, which a browser keeps until they change."""
        params = _multi(request)
        _check_names(params, {"projection", "dimensions", "by"}, "parameter")
        projection = _one_of(params, "projection", ("pca", "umap"))
        dimensions = int(_one_of(params, "dimensions", ("2", "3")))
        by = _clean(params.get("by", [""])[-1], MAX_NAME_CHARS, "by")
        body, etag = await self._run(
            self._picture_slots,
            lambda service: service.explorer.document(
                cast(Literal["pca", "umap"], projection), cast(Literal[2, 3], dimensions), by
            ),
        )
        return _cacheable(request, body, etag, "no-cache", "application/octet-stream")

    async def map_photos(self, request: Request) -> Response:
        """Answer GET /api/v1/map/photos: what stands at the keys of a map."""
        params = _multi(request)
        _check_names(params, {"key"}, "parameter")
        keys = params.get("key", [])
        if not 1 <= len(keys) <= MAX_MAP_PHOTOS or not all(_is_key(key) for key in keys):
            raise QueryError(f"Give 1 to {MAX_MAP_PHOTOS} keys of photos, each a whole number.")
        found = await self._run(
            self._picture_slots, lambda service: service.explorer.photos([int(key) for key in keys])
        )
        return _json({"photos": [_map_photo(item) for item in found]})

    # --- health, metrics, documentation -----------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """Answer GET /healthz: 503 only where no search at all is possible."""

        def work(service: SearchService) -> dict[str, Any]:
            encoder = service.engine.encoder.state
            return {
                "status": {"ready": "ready", "loading": "loading"}.get(encoder.status, "degraded"),
                "version": __version__,
                "items": len(service.catalog),
                "generation": service.engine.index.generation,
                "encoder": {"status": encoder.status, "spec": encoder.spec, "reason": encoder.reason},
            }

        try:
            return _json(await self._run(self._picture_slots, work), cache="no-store")
        except ImgSearchError as error:
            document = {
                "status": "failed",
                "version": __version__,
                "error": _error(error.code, str(error))["error"],
            }
            return _json(document, status_code=503, cache="no-store")

    async def metrics(self, request: Request) -> Response:
        """Answer GET /metrics in the Prometheus text format."""

        def work(service: SearchService) -> bytes:
            return render(service.metrics.registry, service.monitor.health())

        try:
            body, up = await self._run(self._picture_slots, work), 1
        except ImgSearchError:
            body, up = b"", 0
        self._up.set(up)
        self._waiting.set(self._search_slots.statistics().tasks_waiting)
        return Response(
            body + render(self._registry), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"}
        )

    async def openapi(self, request: Request) -> Response:
        """Answer GET /api/openapi.json."""
        return _json(openapi_document(self._settings))

    async def docs(self, request: Request) -> Response:
        """Answer GET /api/docs: a page that needs nothing from elsewhere."""
        return HTMLResponse(docs_page(self._settings), headers={"Content-Security-Policy": _DOCS_POLICY})

    # --- errors -----------------------------------------------------------------------------------------------

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Return a deliberate failure as JSON with its status."""
        assert isinstance(error, ImgSearchError)
        status = _status(error)
        headers = {"Retry-After": str(LOADING_RETRY_S)} if status == 503 else None
        return self._failure(error.code, str(error), status, headers)

    async def refuse_http(self, request: Request, error: Exception) -> Response:
        """Return Starlette's own refusals (404, 405, a broken form) as JSON."""
        assert isinstance(error, HTTPException)
        code, message = {
            404: ("not_found", f"There is nothing at {request.url.path[:200]!r}; see /api/docs."),
            405: ("method_not_allowed", f"{request.method} is not possible at {request.url.path[:200]!r}."),
        }.get(error.status_code, ("bad_request", error.detail))
        return self._failure(code, message, error.status_code, dict(error.headers or {}))

    async def client_left(self, request: Request, error: Exception) -> Response:
        """Nobody reads this answer: the client closed the connection while sending."""
        return self._failure("client_left", "The client closed the connection.", 400)

    async def fail(self, request: Request, error: Exception) -> Response:
        """Return an unforeseen failure as JSON; its trace is in the log, not in the answer."""
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return self._failure("internal_error", "The server failed at this request; its log says why.", 500)

    def _failure(
        self, code: str, message: str, status: int, headers: Mapping[str, str] | None = None
    ) -> Response:
        self._errors.labels(code).inc()
        return _json(_error(code, message), status_code=status, headers=headers, cache="no-store")


class _Envelope:
    """What every answer gets: a place in the metrics, how long it took (`Server-Timing`), and headers that keep
    browsers from guessing and leaking.
    """

    def __init__(self, app: ASGIApp, requests: Counter) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                took_ms = (time.perf_counter() - started) * 1000
                # The handler's name, never the path: labels must be few.
                endpoint = getattr(scope.get("endpoint"), "__name__", "none")
                self._requests.labels(endpoint, str(message["status"])).inc()
                headers = MutableHeaders(scope=message)
                headers.setdefault("Server-Timing", f"total;dur={took_ms:.1f}")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


_DOCS_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

_STATUSES: tuple[tuple[type[ImgSearchError], int], ...] = (
    (ImageTooLarge, 413),
    (ImageError, 415),
    (UnknownItem, 404),
    (UnknownCollection, 404),
    (CollectionError, 400),
    (QueryError, 400),
    (FeedbackError, 400),
    (NotAWriter, 403),
    (ConfigError, 500),
    # Catalog, index and encoder: nothing is wrong with the request, and it may work later.
    (ImgSearchError, 503),
)


def _status(error: ImgSearchError) -> int:
    if isinstance(error, _RequestError):
        return error.status
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _json(
    document: Any,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    cache: str = "no-cache",
) -> Response:
    # Starlette's JSONResponse refuses lone surrogates, which a hostile query can bring into a message.
    body = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="replace")
    return Response(
        body,
        status_code=status_code,
        headers={"Cache-Control": cache, **(headers or {})},
        media_type="application/json",
    )


def _picture(request: Request, data: bytes, etag: str, cache: str) -> Response:
    """Return a WebP, or 304 where the client has it."""
    return _cacheable(request, data, etag, cache, "image/webp")


def _cacheable(request: Request, data: bytes, etag: str, cache: str, media_type: str) -> Response:
    """Return bytes, or 304 where the client has them."""
    headers = {"ETag": etag, "Cache-Control": cache}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or etag in re.findall(r'"[^"]*"', known):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)


# --- reading requests -----------------------------------------------------------------------------------------


def _multi(request: Request) -> dict[str, list[str]]:
    return {name: request.query_params.getlist(name) for name in request.query_params}


def _check_names(given: Mapping[str, Any], known: frozenset[str] | set[str], what: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise QueryError(
            f"There is no {what} {unknown[0][:40]!r} here; known are {', '.join(sorted(known))}."
        )


def _checked(query: Query, *, may_be_empty: bool) -> Query:
    """Return the query if it is of sane size and encodable; raises `QueryError`."""
    if not query.terms and not may_be_empty:
        raise QueryError("The search is empty: give at least one text, item or image.")
    return query


def _clean(text: str, most: int, what: str) -> str:
    return check_text(text, what, max_chars=most)


def _one_of(params: Mapping[str, Sequence[str]], name: str, known: Sequence[str]) -> str:
    """Return a parameter's value, by default the first one known; raises `QueryError` for any other."""
    value = params.get(name, known)[-1 if name in params else 0]
    if value not in known:
        raise QueryError(f"{name} is {value[:20]!r}, but must be {' or '.join(known)}.")
    return value


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _item_document(item: Item) -> dict[str, Any]:
    document = item_document(item, thumbnail_url(item, IMAGE_PX))
    return {**document, "thumbnail": thumbnail_url(item, THUMBNAIL_PX)}


def _collection_summary(collection: Collection) -> dict[str, Any]:
    document = collection.as_dict()
    counts = {"item_count": len(document.pop("items")), "query_count": len(document.pop("queries"))}
    return {**document, **counts}


def _map_photo(item: Item) -> dict[str, Any]:
    document = item_document(item, thumbnail_url(item, THUMBNAIL_PX))
    return {**document, "key": item.key, "thumbnail": thumbnail_url(item, MAP_PHOTO_PX)}


def _visitor(params: Mapping[str, Sequence[str]]) -> str:
    values = params.get("visitor", ())
    return _clean(values[-1], MAX_NAME_CHARS, "The visitor") if values else ""


def _item_id(request: Request) -> str:
    """Return the item id from the path, or from `?id=` for ids that no path can carry (such as '../x')."""
    item_id = request.path_params.get("id") or request.query_params.get("id", "")
    if not item_id:
        raise QueryError("The item's id is missing: put it into the path, or give it as ?id=.")
    return _clean(item_id, MAX_ID_CHARS, "The item id")


def _size_px(request: Request) -> int:
    """Return the size asked for, rounded to one that is made: else every number would be encoded anew."""
    text = request.query_params.get("size", str(THUMBNAIL_PX))
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 5 and int(text) > 0):
        raise QueryError(f"size is {text[:20]!r}, but must be a whole number of pixels.")
    return nearest_thumbnail_size(int(text))


def _limited(request: Request, limit: int) -> Receive:
    """Return the request's `receive`, which raises as soon as more than `limit` bytes have come.

    So a body is refused while it streams in, with or without a Content-Length.
    """
    refusal = _RequestError(
        f"The request has more than {limit:,} bytes.", status=413, code="request_too_large"
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise refusal
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise refusal
        return message

    return receive


async def _read_json(request: Request, limit: int) -> dict[str, Any]:
    """Return the request's JSON object; raises `QueryError` for anything else, 413 over `limit` bytes."""
    body = await Request(request.scope, _limited(request, limit)).body()

    def no_constant(name: str) -> float:
        raise QueryError(f"The body holds {name}, which is no JSON number.")

    try:
        document = json.loads(body, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        reason = f" ({error.msg} at line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise QueryError(f"The body is no valid JSON{reason}.") from None
    if not isinstance(document, dict):
        raise QueryError("The body must be a JSON object.")
    return document


def _json_terms(body: Mapping[str, Any], field: str, kind: Any, weight: float) -> list[Term]:
    """Return the terms of one field: a string, or a list of strings and of {"value", "weight"} objects."""
    given = body.get(field)
    if given is None:
        return []
    terms = []
    for entry in given if isinstance(given, list) else [given]:
        value, factor, region = entry, weight, None
        if isinstance(entry, dict):
            names = {"value", "weight", "region"} if kind in ("item", "upload") else {"value", "weight"}
            _check_names(entry, names, f"field in {field}:")
            value, factor = entry.get("value"), _weight(field, entry.get("weight", weight))
            region = _json_region(entry.get("region"))
        if not isinstance(value, str):
            raise QueryError(
                f"{field} must be a text or a list of texts (or of objects with value and weight)."
            )
        if kind == "color":
            value = f"#{value.removeprefix('#').lower()}"
        terms.append(Term(kind, value, factor, region))
    return terms


def _json_region(given: Any) -> Region | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(_is_number(edge) for edge in given):
        raise QueryError("A region must be a list of four numbers: left, top, right, bottom.")
    return parse_region(",".join(f"{edge:.6f}" for edge in given))


def _json_looks(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return how hits shall look and be shown, as the parameters of the address bar."""
    params: dict[str, list[str]] = {}
    emphasis = body.get("emphasis")
    if emphasis is not None:
        if not isinstance(emphasis, dict) or not all(_is_number(value) for value in emphasis.values()):
            raise QueryError("emphasis must be an object of numbers from 0 to 1: color, shape, pattern.")
        if emphasis:
            params["emphasis"] = [",".join(f"{name}:{value:.6f}" for name, value in emphasis.items())]
    same_color = body.get("same_color")
    if not (same_color is None or isinstance(same_color, bool)):
        raise QueryError("same_color must be true or false.")
    if same_color:
        params["same"] = ["color"]
    if body.get("duplicates") is not None:
        params["duplicates"] = [str(body["duplicates"])]
    if body.get("diversity") is not None:
        if not _is_number(body["diversity"]):
            raise QueryError("diversity must be a number from 0 to 1.")
        params["diversity"] = [f"{body['diversity']:.6f}"]
    if body.get("spelling") is not None:
        params["spelling"] = [str(body["spelling"])]
    return params


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _weight(field: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise QueryError(f"A weight in {field} must be a number.")
    if not math.isfinite(given) or not 0 < abs(given) <= 100:
        raise QueryError(f"A weight in {field} must lie between -100 and 100 and not be 0.")
    return float(given)


def _strings(body: Mapping[str, Any], field: str) -> list[str]:
    given = body.get(field)
    values = [given] if isinstance(given, str) else ([] if given is None else given)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise QueryError(f"{field} must be a text or a list of texts.")
    return values


def _whole_number(field: str, given: Any) -> str:
    if isinstance(given, bool) or not isinstance(given, int):
        raise QueryError(f"{field} must be a whole number.")
    return str(given) if abs(given) < 10**12 else "a huge number"


def _base64_image(given: Any) -> bytes:
    if not isinstance(given, str):
        raise QueryError("image must be a text: the picture in base64.")
    # A data URL, as browsers make them, is fine too.
    text = given.partition(",")[2] if given.startswith("data:") else given
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise QueryError("image is no valid base64.") from None


def _require_encoder(service: SearchService) -> None:
    """Raise `EncoderUnavailable` rather than let a request wait for a model that is loading or has failed."""
    state = service.engine.encoder.state
    if state.status == "loading":
        raise EncoderUnavailable("The encoder is still loading; searching by item works already.")
    if state.status == "failed":
        raise EncoderUnavailable(f"Texts and pictures cannot be searched: {state.reason}")


_FEEDBACK_FIELDS = {
    "click": frozenset({"kind", "search_id", "item_id", "rank", "action", "visitor"}),
    "judgment": frozenset({"kind", "query", "item_id", "verdict", "labeler", "search_id"}),
}


def _feedback_call(body: Mapping[str, Any]) -> Callable[[SearchService], None]:
    """Return what records the feedback of a body; raises `QueryError` or `FeedbackError` for a wrong one."""
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in _FEEDBACK_FIELDS:
        raise FeedbackError(f"kind must be one of {', '.join(sorted(_FEEDBACK_FIELDS))}.")
    _check_names(body, _FEEDBACK_FIELDS[kind], "field")

    def text(field: str, default: str | None = None) -> str:
        value = body.get(field, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise FeedbackError(f"{field} must be a text{'' if default is not None else ' and is required'}.")
        return check_text(value, field, max_chars=max_chars("query_key" if field == "query" else field))

    item_id = text("item_id")
    search_id = text("search_id", "")
    if kind == "click":
        rank = body.get("rank", 0)
        if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank <= MAX_RANK:
            raise FeedbackError(f"rank must be a whole number from 0 to {MAX_RANK}.")
        action, visitor = text("action", "open"), text("visitor", "")

        def record_click(service: SearchService) -> None:
            if not service.settings.feedback:
                raise _RequestError("This service keeps no feedback.", status=403, code="feedback_off")
            service.record_click(
                search_id=search_id, item_id=item_id, rank=rank, visitor=visitor, action=action
            )

        return record_click
    query = query_from_params(parse_qs(text("query")))
    if not query.terms:
        raise FeedbackError("query must say what was searched for, such as text=red+mug or item=1.jpg.")
    verdict = text("verdict")
    if verdict not in get_args(Verdict):
        raise FeedbackError(f"verdict must be one of {', '.join(get_args(Verdict))}.")
    judgment = Judgment(
        query_key=query_key(query),
        item_id=item_id,
        verdict=cast(Verdict, verdict),
        labeler=text("labeler"),
        search_id=search_id or None,
    )
    return lambda service: service.record_judgment(judgment)
