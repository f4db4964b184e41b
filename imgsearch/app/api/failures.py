"""Failures as JSON: every error's HTTP status, its code and its sentence."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.responses import Error
from imgsearch.core.errors import (
    CollectionError,
    ConfigError,
    DiskFull,
    EtagMismatch,
    FeedbackError,
    IdempotencyConflict,
    IdempotencyMismatch,
    IdError,
    ImageError,
    ImageTooLarge,
    ImgSearchError,
    ImportRefused,
    MetadataError,
    NotAWriter,
    QueryError,
    TokenRequired,
    UnknownCollection,
    UnknownImport,
    UnknownItem,
    WriteRefused,
)

LOADING_RETRY_S = 2

_LOG = logging.getLogger(__name__)


class RequestError(ImgSearchError):
    """A request that the API itself refuses; `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int = 400, code: str = "bad_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


_STATUSES: tuple[tuple[type[ImgSearchError], int], ...] = (
    (ImageTooLarge, 413),
    (ImageError, 415),
    (UnknownItem, 404),
    (UnknownImport, 404),
    (ImportRefused, 409),
    (UnknownCollection, 404),
    (CollectionError, 400),
    (QueryError, 400),
    (FeedbackError, 400),
    (IdError, 400),
    (MetadataError, 400),
    (EtagMismatch, 412),
    (IdempotencyConflict, 409),
    (IdempotencyMismatch, 422),
    (NotAWriter, 403),
    (TokenRequired, 401),
    (WriteRefused, 403),
    (ConfigError, 500),
    (DiskFull, 507),
    # Catalog, index and encoder: nothing is wrong with the request, and it may work later.
    (ImgSearchError, 503),
)

_CHANGE_STATUSES = {
    "bad_source": 422,
    "item_exists": 412,
    "not_restorable": 409,
    "changed_since": 409,
    "not_stored": 503,
}

_MEANINGS = {
    400: (
        "The request is not valid (`bad_query`, `bad_filter`, `bad_request`, `bad_feedback`, `bad_judging`, "
        "`bad_item_id`, `bad_metadata`, `no_picture`)."
    ),
    401: "A token is missing or not valid (`token_required`).",
    403: "Not allowed here (`feedback_off`, `not_a_writer`, `write_refused`).",
    404: (
        "No such item, collection, upload, import, photo or path (`unknown_item`, `unknown_collection`, "
        "`unknown_upload`, `unknown_import`, `photo_unavailable`, `not_found`)."
    ),
    409: (
        "A request with this `Idempotency-Key` is still running (`idempotency_conflict`), the item's embedding is "
        "no longer stored (`not_restorable`), or the import is not in a state for this (`bad_import`)."
    ),
    412: "The item is not in the state that the request expects (`etag_mismatch`, `item_exists`).",
    413: "Too many bytes or pixels (`request_too_large`, `image_too_large`).",
    415: "Not a picture (`bad_image`), or not a content type that is read here (`bad_content_type`).",
    422: (
        "The photo at the URL cannot be read (`bad_source`), or the `Idempotency-Key` belongs to another request "
        "(`idempotency_mismatch`)."
    ),
    503: "Not now: the encoder or the catalog is loading or cannot be used (`encoder_unavailable`, ...).",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of these failures for a route."""
    return {status: {"model": Error, "description": _MEANINGS[status]} for status in statuses}


def status_of_code(code: str) -> int:
    """Return the HTTP status of a failed change of an item by its code; 400 for an unknown one."""
    if code in _CHANGE_STATUSES:
        return _CHANGE_STATUSES[code]
    kinds = [ImgSearchError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    found = next((kind for kind in kinds if kind.code == code), None)
    return 400 if found is None else _status_of(found)


def _status_of(error: type[ImgSearchError]) -> int:
    return next(status for kind, status in _STATUSES if issubclass(error, kind))


async def refuse(request: Request, error: Exception) -> Response:
    """Return a deliberate failure as JSON with its status."""
    assert isinstance(error, ImgSearchError)
    status = error.status if isinstance(error, RequestError) else _status_of(type(error))
    headers = {503: {"Retry-After": str(LOADING_RETRY_S)}, 401: {"WWW-Authenticate": "Bearer"}}.get(status)
    return _failure(request, error.code, str(error), status, headers)


async def refuse_http(request: Request, error: Exception) -> Response:
    """Return Starlette's own refusals (404, 405, a broken form) as JSON."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_allowed(request)))
    code, message = {
        404: ("not_found", f"There is nothing at {path!r}; see /api/docs."),
        405: ("method_not_allowed", f"{request.method} is not possible at {path!r}."),
    }.get(error.status_code, ("bad_request", error.detail))
    return _failure(request, code, message, error.status_code, headers)


async def client_left(request: Request, error: Exception) -> Response:
    """Return an answer for the log: the client closed the connection while sending."""
    return _failure(request, "client_left", "The client closed the connection.", 400)


async def fail(request: Request, error: Exception) -> Response:
    """Return an unforeseen failure as JSON; its trace is in the log, not in the answer."""
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _failure(request, "internal_error", "The server failed at this request; its log says why.", 500)


HANDLERS: Mapping[Any, Any] = {
    ImgSearchError: refuse,
    HTTPException: refuse_http,
    ClientDisconnect: client_left,
    Exception: fail,
}


def _allowed(request: Request) -> set[str]:
    """Return the methods of every route at the request's path."""
    app: Starlette = request.app
    methods = {
        method
        for route in app.routes
        if route.matches(request.scope)[0] != Match.NONE
        for method in getattr(route, "methods", None) or ()
    }
    return methods | {"HEAD"} if "GET" in methods else methods


def _failure(
    request: Request, code: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    context_of(request).errors.labels(code=code).inc()
    document: Error = {"error": {"code": code, "message": message}}
    return json_answer(document, status_code=status, headers=headers, cache="no-store")
