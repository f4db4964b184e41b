"""Feedback: clicks and judgments of a website's visitors, labelers' judging, and what replicas gathered."""

from __future__ import annotations

from urllib.parse import parse_qs

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app import replicas
from imgsearch.app.api.bodies import MAX_FEEDBACK_BYTES, parse_model, parse_object, read_bytes, require_json
from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.requests import ClickDocument, Feedback, JudgmentDocument
from imgsearch.app.api.responses import FeedbackRecorded, ReplicaBatchTaken
from imgsearch.app.api.routing import ApiRouter
from imgsearch.app.service import SearchService
from imgsearch.core.errors import FeedbackError, NotAWriter
from imgsearch.core.query_address import query_from_params, query_key
from imgsearch.core.records import Judgment
from imgsearch.improve.judging.calls import JudgingCall, JudgingReply

router = ApiRouter()

_FEEDBACK: TypeAdapter[ClickDocument | JudgmentDocument] = TypeAdapter(Feedback)


@router.endpoint(
    "/api/v1/feedback",
    "Record a click or a judgment",
    status_code=201,
    response_model=FeedbackRecorded,
    fails=(400, 403, 404, 413, 415, 503),
    body={"application/json": "Feedback"},
    example=(
        "curl -H 'Content-Type: application/json' -d '"
        '{"kind": "click", "search_id": "...", "item_id": "shoes/1.jpg", "rank": 1}'
        "' HOST/api/v1/feedback"
    ),
)
async def feedback(request: Request) -> Response:
    """Rows are appended, never changed; the latest judgment of a labeler counts."""
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
    service.record_click(**click.model_dump(exclude={"kind"}))


def _judgment(given: JudgmentDocument) -> Judgment:
    query = query_from_params(parse_qs(given.query))
    if not query.terms:
        raise FeedbackError("query must say what was searched for, such as text=red+mug or item=1.jpg.")
    search_id = given.search_id or None
    return Judgment(query_key(query), given.item_id, given.verdict, given.labeler, search_id)


@router.endpoint(
    replicas.ROUTE,
    "Take the feedback that a replica gathered",
    status_code=201,
    response_model=ReplicaBatchTaken,
    fails=(400, 403, 413, 503),
    body={"application/json": "ReplicaBatch"},
)
async def replica_feedback(request: Request) -> Response:
    """What `imgsearch serve --replica-of` sends; the `Authorization` header holds the token that both share,
    `Bearer TOKEN`. A batch that was sent before is not written again.
    """
    context = context_of(request)
    body = await read_bytes(request, replicas.MAX_BATCH_BYTES)
    authorization = request.headers.get("authorization", "")

    def work() -> int:
        batch = parse_object(body)
        return context.open_service().inbox.take(authorization, batch)

    return json_answer({"taken": await context.search(work)}, status_code=201, cache="no-store")


@router.endpoint(
    "/api/v1/judging",
    "Note a labeler's judgments and get the next pairs",
    response_model=JudgingReply,
    fails=(400, 403, 413, 415, 503),
    body={"application/json": "JudgingCall"},
    example=(
        "curl -H 'Content-Type: application/json' -d '"
        '{"set": "chairs", "labeler": "anna", "client": "tab-00000001"}'
        "' HOST/api/v1/judging"
    ),
)
async def judging(request: Request) -> Response:
    """What the Judge page calls at every key. An act whose id was sent before is done once; the pairs that come
    back are reserved for the client for some minutes, and every call renews them.
    """
    context = context_of(request)
    if context.settings.replica_of:
        raise NotAWriter(f"This is a replica; judge at {context.settings.replica_of}.")
    require_json(request, "judgments")
    body = await read_bytes(request, MAX_FEEDBACK_BYTES)

    def work() -> dict[str, object]:
        call = JudgingCall.parse(parse_object(body))
        return context.open_service().judging.sync(call).model_dump(mode="json")

    return json_answer(await context.search(work), cache="no-store")
