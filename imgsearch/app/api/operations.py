"""Health, metrics and the description of the API."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.responses import Failed, HealthDocument
from imgsearch.app.api.routing import ApiRouter
from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.version import __version__
from imgsearch.improve.monitoring.telemetry import CONTENT_TYPE, render

router = ApiRouter()

_DOCS_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@router.endpoint(
    "/healthz",
    "Whether the service can answer",
    response_model=HealthDocument,
    response_description="Usable.",
    responses={503: {"model": Failed, "description": "Not usable."}},
    example="curl HOST/healthz",
)
async def health(request: Request) -> Response:
    """200 while any search is possible: `ready`, `loading` (items only, texts and pictures soon) or `degraded`
    (items only, the reason is in `encoder`). 503 with `failed` where none is.
    """

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
        failure: Failed = {
            "status": "failed",
            "version": __version__,
            "error": {"code": error.code, "message": str(error)},
        }
        return json_answer(failure, status_code=503, cache="no-store")


@router.endpoint(
    "/metrics",
    "Counters and latencies in the Prometheus text format",
    content=("text/plain", "The metrics."),
    example="curl HOST/metrics",
)
async def metrics(request: Request) -> Response:
    """Answer with the counters of the service and of the API."""
    context = context_of(request)
    try:
        body = await context.read(lambda service: render(service.metrics.registry, service.monitor.health()))
        context.up.set(1)
    except ImgSearchError:
        body = b""
        context.up.set(0)
    body += render(context.registry)
    return Response(body, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


@router.endpoint(
    "/api/openapi.json",
    "This description",
    response_model=dict[str, Any],
    response_description="An OpenAPI 3.1 document.",
)
async def openapi(request: Request) -> Response:
    """Answer with the description of the API."""
    return json_answer(request.app.openapi())


@router.endpoint("/api/docs", "This description as a page", content=("text/html", "HTML."))
async def docs(request: Request) -> Response:
    """Answer with the description as a page that needs nothing from elsewhere."""
    return HTMLResponse(request.app.state.docs_page(), headers={"Content-Security-Policy": _DOCS_POLICY})
