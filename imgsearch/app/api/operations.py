"""Health, metrics and the description of the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from imgsearch.app.api.answers import json_answer
from imgsearch.app.api.context import context_of
from imgsearch.app.api.parameters import ApiRoute
from imgsearch.app.api.responses import Failed, HealthDocument
from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.version import __version__
from imgsearch.improve.monitoring.telemetry import CONTENT_TYPE, render

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute)


@router.get(
    "/healthz",
    response_model=HealthDocument,
    response_description="Usable.",
    responses={503: {"model": Failed, "description": "Not usable."}},
    summary="Whether the service can answer",
    description=(
        "200 while any search is possible: `ready`, `loading` (items only, texts and pictures soon) or `degraded` "
        "(items only, the reason is in `encoder`). 503 with `failed` where none is."
    ),
    openapi_extra={"x-example": "curl HOST/healthz"},
)
async def health(request: Request) -> Response:
    """Answer with what is possible: 503 only where no search at all is."""

    def work(service: SearchService) -> HealthDocument:
        encoder = service.engine.encoder.state
        return {
            "status": encoder.status if encoder.status != "failed" else "degraded",
            "version": __version__,
            "items": len(service.catalog),
            "generation": service.engine.index.generation,
            "encoder": {"status": encoder.status, "spec": encoder.spec, "reason": encoder.reason},
        }

    try:
        return json_answer(await context_of(request).read(work), cache="no-store")
    except ImgSearchError as error:
        document: Failed = {
            "status": "failed",
            "version": __version__,
            "error": {"code": error.code, "message": str(error)},
        }
        return json_answer(document, status_code=503, cache="no-store")


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
    summary="Counters and latencies in the Prometheus text format",
    openapi_extra={"x-example": "curl HOST/metrics"},
)
async def metrics(request: Request) -> Response:
    """Answer with the counters of the service and of the API."""
    context = context_of(request)

    def work(service: SearchService) -> bytes:
        return render(service.metrics.registry, service.monitor.health())

    try:
        body, up = await context.read(work), 1
    except ImgSearchError:
        body, up = b"", 0
    context.up.set(up)
    return Response(
        body + render(context.registry), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"}
    )


@router.get(
    "/api/openapi.json",
    response_model=dict[str, Any],
    response_description="An OpenAPI 3.1 document.",
    summary="This description",
)
async def openapi(request: Request) -> Response:
    """Answer with the description of the API."""
    return json_answer(request.app.openapi())


@router.get(
    "/api/docs",
    response_class=HTMLResponse,
    responses={200: {"description": "HTML.", "content": {"text/html": {"schema": {"type": "string"}}}}},
    summary="This description as a page",
)
async def docs(request: Request) -> Response:
    """Answer with the description as a page that needs nothing from elsewhere."""
    return HTMLResponse(request.app.state.docs_page(), headers={"Content-Security-Policy": _DOCS_POLICY})


_DOCS_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
