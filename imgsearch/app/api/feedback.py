"""Feedback: clicks and judgments of a website's visitors, labelers' judging, and what replicas gathered."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app import replicas
from imgsearch.app.api.answers import json_answer
from imgsearch.app.api.bodies import MAX_FEEDBACK_BYTES, parse_model, parse_object, read_bytes, require_json
from imgsearch.app.api.context import context_of
from imgsearch.app.api.failures import RequestError, failures
from imgsearch.app.api.parameters import ApiRoute
from imgsearch.app.api.requests import ClickDocument, Feedback, JudgmentDocument
from imgsearch.app.api.responses import FeedbackRecorded, ReplicaBatchTaken
from imgsearch.app.service import SearchService
from imgsearch.core.errors import FeedbackError, NotAWriter
from imgsearch.core.query_address import query_from_params, query_key
from imgsearch.core.records import Judgment
from imgsearch.improve.judging.calls import JudgingCall, JudgingReply

__all__ = ["router"]

router = APIRouter(route_class=ApiRoute)

_FEEDBACK: TypeAdapter[ClickDocument | JudgmentDocument] = TypeAdapter(Feedback)


def _json_body(schema: str) -> dict[str, object]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"required": True, "content": content}


@router.post(
    "/api/v1/feedback",
    status_code=201,
    response_model=FeedbackRecorded,
    responses=failures(400, 403, 404, 413, 415, 503),
    summary="Record a click or a judgment",
    description="Rows are appended, never changed; the latest judgment of a labeler counts.",
    openapi_extra={
        "requestBody": _json_body("Feedback"),
        "x-example": (
            "curl -H 'Content-Type: application/json' -d '"
            '{"kind": "click", "search_id": "...", "item_id": "shoes/1.jpg", "rank": 1}'
            "' HOST/api/v1/feedback"
        ),
    },
)
async def feedback(request: Request) -> Response:
    """Record a click or a judgment."""
    require_json(request, "feedback")
    context = context_of(request)
    body = await read_bytes(request, MAX_FEEDBACK_BYTES)

    def work() -> str:
        given = parse_model(body, _FEEDBACK, FeedbackError)
        if isinstance(given, ClickDocument):
            _record_click(context.open_service(), given)
        else:
            judgment = _judgment(given)
            context.open_service().record_judgment(judgment)
        return given.kind

    return json_answer({"recorded": await context.search(work)}, status_code=201)


def _record_click(service: SearchService, click: ClickDocument) -> None:
    if not service.settings.feedback:
        raise RequestError("This service keeps no feedback.", status=403, code="feedback_off")
    service.record_click(
        search_id=click.search_id,
        item_id=click.item_id,
        rank=click.rank,
        visitor=click.visitor,
        action=click.action,
    )


def _judgment(given: JudgmentDocument) -> Judgment:
    query = query_from_params(parse_qs(given.query))
    if not query.terms:
        raise FeedbackError("query must say what was searched for, such as text=red+mug or item=1.jpg.")
    return Judgment(
        query_key=query_key(query),
        item_id=given.item_id,
        verdict=given.verdict,
        labeler=given.labeler,
        search_id=given.search_id or None,
    )


@router.post(
    replicas.ROUTE,
    status_code=201,
    response_model=ReplicaBatchTaken,
    responses=failures(400, 403, 413, 503),
    summary="Take the feedback that a replica gathered",
    description=(
        "What `imgsearch serve --replica-of` sends; the `Authorization` header holds the token that both share, "
        "`Bearer TOKEN`. A batch that was sent before is not written again."
    ),
    openapi_extra={"requestBody": _json_body("ReplicaBatch")},
)
async def replica_feedback(request: Request) -> Response:
    """Write a batch of rows that a replica gathered."""
    context = context_of(request)
    body = await read_bytes(request, replicas.MAX_BATCH_BYTES)
    authorization = request.headers.get("authorization", "")

    def work() -> int:
        batch = parse_object(body)
        return context.open_service().inbox.take(authorization, batch)

    return json_answer({"taken": await context.search(work)}, status_code=201, cache="no-store")


@router.post(
    "/api/v1/judging",
    response_model=JudgingReply,
    responses=failures(400, 403, 413, 415, 503),
    summary="Note a labeler's judgments and get the next pairs",
    description=(
        "What the Judge page calls at every key. An act whose id was sent before is done once; the pairs that come "
        "back are reserved for the client for some minutes, and every call renews them."
    ),
    openapi_extra={
        "requestBody": _json_body("JudgingCall"),
        "x-example": (
            "curl -H 'Content-Type: application/json' -d '"
            '{"set": "chairs", "labeler": "anna", "client": "tab-00000001"}'
            "' HOST/api/v1/judging"
        ),
    },
)
async def judging(request: Request) -> Response:
    """Store a labeler's acts and answer with the next pairs."""
    context = context_of(request)
    if context.settings.replica_of:
        raise NotAWriter(f"This is a replica; judge at {context.settings.replica_of}.")
    require_json(request, "judgments")
    body = await read_bytes(request, MAX_FEEDBACK_BYTES)

    def work() -> dict[str, object]:
        call = JudgingCall.parse(parse_object(body))
        return context.open_service().judging.sync(call).model_dump(mode="json")

    return json_answer(await context.search(work), cache="no-store")
