"""Changes of one item: PUT, PATCH, DELETE, its history, bringing it back, and undoing changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api import item_requests
from imgsearch.app.api.bodies import (
    OVERHEAD_BYTES,
    content_type,
    read_bytes,
    read_form,
    require_json,
)
from imgsearch.app.api.conditions import Conditions, header_parameters, idempotency_key
from imgsearch.app.api.context import context_of
from imgsearch.app.api.failures import RequestError, status_of_code
from imgsearch.app.api.item_responses import ChangedItem
from imgsearch.app.api.routing import ID, ApiRouter, ItemIdPath, ItemIdQuery
from imgsearch.app.item_checks import ItemChecks
from imgsearch.app.service import SearchService
from imgsearch.core.query_address import item_url
from imgsearch.ingest.item_changes import ChangeOutcome, ChangeStatus, ItemChange, etag_of
from imgsearch.store.idempotency import ACTOR_MARK, EarlierChange, KeptAnswer

router = ApiRouter()

_Parse = Callable[[], ItemChange]
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"model": ChangedItem, "description": "The item is new; `Location` is its path."}
}
_PUT_BODY = {"multipart/form-data": "ItemForm", "application/json": "ItemBody"}
_CONDITIONS = header_parameters("If-Match", "Idempotency-Key")
_PUT_CONDITIONS = header_parameters("If-Match", "If-None-Match", "Idempotency-Key")
_FAILS = (400, 404, 409, 412, 422, 503)


def actor_of(request: Request) -> str:
    """Return what the log of changes says about who made a change."""
    return f"HTTP API ({request.state.permission})"


def quoted(etag: str) -> str:
    """Return an ETag as headers and documents hold it; "" for none."""
    return f'"{etag}"' if etag else ""


def outcome_document(outcome: ChangeOutcome) -> dict[str, Any]:
    """Return what became of a change, without its line."""
    if outcome.status == "failed":
        error = {"code": outcome.code, "message": outcome.message}
        return {"item_id": outcome.item_id, "status": "failed", "error": error}
    return {
        "item_id": outcome.item_id,
        "status": outcome.status,
        "etag": quoted(outcome.etag),
        "change_id": outcome.change_id,
    }


@router.endpoint(
    f"/api/v1/items/{ID}",
    "Create or replace an item",
    name="put_item",
    method="PUT",
    writes=True,
    headers=_PUT_CONDITIONS,
    response_model=ChangedItem,
    response_description="The item was replaced, or was like that already.",
    responses=_CREATED,
    fails=(*_FAILS, 413, 415),
    body=_PUT_BODY,
    example="curl -X PUT -F image=@mug.jpg -F 'metadata={\"price\": 12.5}' HOST/api/v1/items/mugs/17",
)
async def put_item(request: Request, id: ItemIdPath) -> Response:
    """The photo comes as the form's file `image`, as base64 or as a URL that the server reads; without one, the
    item keeps its photo. `metadata` replaces the whole row; without it, the row stays. The answer comes when the
    change is on disk and the next search finds it.
    """
    context = context_of(request)
    most, kind = context.settings.max_upload_bytes, content_type(request)
    conditions = Conditions.of(request, may_create=True)
    if kind == "multipart/form-data":
        fields, images = await read_form(request, most + OVERHEAD_BYTES)
        return await _change(request, conditions, lambda: item_requests.put_of_form(id, fields, images))
    if kind == "application/json":
        # Base64 grows the picture by a third.
        body = await read_bytes(request, most * 4 // 3 + OVERHEAD_BYTES)
        return await _change(request, conditions, lambda: item_requests.put_of_json(id, body))
    raise RequestError(
        "Send the item as multipart/form-data or as application/json.", status=415, code="bad_content_type"
    )


@router.endpoint(
    "/api/v1/items",
    "Create or replace an item, its id as a parameter",
    name="put_item_by_parameter",
    method="PUT",
    writes=True,
    headers=_PUT_CONDITIONS,
    response_model=ChangedItem,
    response_description="The item was replaced, or was like that already.",
    responses=_CREATED,
    fails=(*_FAILS, 413, 415),
    body=_PUT_BODY,
)
async def put_item_by_parameter(request: Request, id: ItemIdQuery) -> Response:
    """For an id that no path can carry, such as '../x'."""
    return await put_item(request, id)


@router.endpoint(
    f"/api/v1/items/{ID}",
    "Change values of an item",
    name="patch_item",
    method="PATCH",
    writes=True,
    headers=_CONDITIONS,
    response_model=ChangedItem,
    fails=(*_FAILS, 413, 415),
    body={"application/json": "MetadataBody"},
    example=(
        "curl -X PATCH -H 'Content-Type: application/json' -d '{\"metadata\": {\"price\": 9.5}}' "
        "HOST/api/v1/items/mugs/17"
    ),
)
async def patch_item(request: Request, id: ItemIdPath) -> Response:
    """Columns that are not named stay, and so does the photo: nothing is encoded."""
    require_json(request, "the values")
    conditions = Conditions.of(request)
    body = await read_bytes(request, OVERHEAD_BYTES)
    return await _change(request, conditions, lambda: item_requests.patch_of(id, body))


@router.endpoint(
    "/api/v1/items",
    "Change values of an item, its id as a parameter",
    name="patch_item_by_parameter",
    method="PATCH",
    writes=True,
    headers=_CONDITIONS,
    response_model=ChangedItem,
    fails=(*_FAILS, 413, 415),
    body={"application/json": "MetadataBody"},
)
async def patch_item_by_parameter(request: Request, id: ItemIdQuery) -> Response:
    """For an id that no path can carry, such as '../x'."""
    return await patch_item(request, id)


@router.endpoint(
    f"/api/v1/items/{ID}",
    "Remove an item",
    name="delete_item",
    method="DELETE",
    writes=True,
    headers=_CONDITIONS,
    response_model=ChangedItem,
    fails=_FAILS,
    example="curl -X DELETE HOST/api/v1/items/mugs/17",
)
async def delete_item(request: Request, id: ItemIdPath) -> Response:
    """The next search does not find it. `POST .../restore` brings it back, until the catalog is compacted."""
    return await _change(request, Conditions.of(request), lambda: ItemChange("delete", id))


@router.endpoint(
    "/api/v1/items",
    "Remove an item, its id as a parameter",
    name="delete_item_by_parameter",
    method="DELETE",
    writes=True,
    headers=_CONDITIONS,
    response_model=ChangedItem,
    fails=_FAILS,
)
async def delete_item_by_parameter(request: Request, id: ItemIdQuery) -> Response:
    """For an id that no path can carry, such as '../x'."""
    return await delete_item(request, id)


@router.endpoint(
    f"/api/v1/items/{ID}/restore",
    "Bring a removed item back",
    name="restore_item",
    method="POST",
    writes=True,
    headers=header_parameters("Idempotency-Key"),
    response_model=ChangedItem,
    fails=_FAILS,
    example="curl -X POST HOST/api/v1/items/mugs/17/restore",
)
async def restore_item(request: Request, id: ItemIdPath) -> Response:
    """With its photo and its row as they were when it was removed; nothing is encoded."""
    return await _change(request, Conditions(), lambda: ItemChange("restore", id))


@router.endpoint(
    "/api/v1/items/restore",
    "Bring a removed item back, its id as a parameter",
    name="restore_item_by_parameter",
    method="POST",
    writes=True,
    headers=header_parameters("Idempotency-Key"),
    response_model=ChangedItem,
    fails=_FAILS,
)
async def restore_item_by_parameter(request: Request, id: ItemIdQuery) -> Response:
    """For an id that no path can carry, such as '../x'."""
    return await restore_item(request, id)


async def _change(request: Request, conditions: Conditions, parse: _Parse) -> Response:
    """Make a change and answer when it is durable and found by the next search; `parse` runs in a thread."""
    context, key, actor = context_of(request), idempotency_key(request), actor_of(request)

    def work() -> KeptAnswer:
        change = parse()
        service = context.open_service()
        if not key:
            return _made(service, change, conditions, actor)
        return service.idempotency.once(
            key,
            _fingerprint(change, conditions),
            lambda name: _made(service, change, conditions, f"{actor}{ACTOR_MARK}{name}"),
            _answer_to,
        )

    return response_of(await context.write(work))


def _made(service: SearchService, change: ItemChange, conditions: Conditions, actor: str) -> KeptAnswer:
    """Make a change; raises `RequestError` with the reason why it was not made."""
    checks = ItemChecks(service)
    checks.check(change)
    change = checks.expecting(change, conditions.etags, create_only=conditions.create_only)
    (outcome,) = service.items.apply([change], actor=actor)
    return _answer(outcome)


def _answer(outcome: ChangeOutcome) -> KeptAnswer:
    if outcome.status == "failed":
        raise RequestError(outcome.message, status=status_of_code(outcome.code), code=outcome.code)
    headers = {"ETag": quoted(outcome.etag)} if outcome.etag else {}
    if outcome.status == "created":
        headers["Location"] = item_url(outcome.item_id)
    body = json.dumps(outcome_document(outcome), ensure_ascii=False)
    return KeptAnswer(201 if outcome.status == "created" else 200, headers, body)


def _answer_to(change: EarlierChange) -> KeptAnswer:
    """Return the answer to a request whose change was made, but whose answer was lost when the server was killed."""
    status: dict[str, ChangeStatus] = {"delete": "deleted", "restore": "restored", "patch": "updated"}
    done = status.get(change.kind, "created" if change.created else "replaced")
    etag = "" if done == "deleted" else etag_of(change.change_id)
    return _answer(ChangeOutcome(change.item_id, done, etag=etag, change_id=change.change_id))


def response_of(answer: KeptAnswer) -> Response:
    """Return an answer that may have been kept."""
    headers = {"Cache-Control": "no-store", **answer.headers}
    if answer.repeated:
        headers["Idempotency-Replayed"] = "true"
    body = answer.body.encode("utf-8", errors="replace")
    return Response(body, answer.status, headers, "application/json")


def _fingerprint(change: ItemChange, conditions: Conditions) -> str:
    """Return a digest of everything that the request says; that of a form does not depend on its boundary."""
    said = [
        change.kind,
        change.item_id,
        None if change.metadata is None else dict(change.metadata),
        change.url,
        None if change.picture is None else hashlib.sha256(change.picture).hexdigest(),
        conditions.etags,
        conditions.create_only,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
