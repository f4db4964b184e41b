"""What was changed in an item, and undoing changes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.bodies import OVERHEAD_BYTES, read_bytes, require_json
from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.item_changes import actor_of, outcome_document
from imgsearch.app.api.item_requests import undone
from imgsearch.app.api.item_responses import ChangeEntry, ItemHistory, UndoneChanges
from imgsearch.app.api.items import item
from imgsearch.app.api.responses import plain
from imgsearch.app.api.routing import ID, ApiRouter, ClosedParams, ItemIdPath, digits
from imgsearch.app.item_checks import find_etag
from imgsearch.app.service import SearchService
from imgsearch.core.query import MAX_ID_CHARS
from imgsearch.store.change_log import LoggedChange

MAX_HISTORY = 500
DEFAULT_HISTORY = 50

router = ApiRouter()

_Limit = Annotated[int, Field(ge=1, le=MAX_HISTORY), BeforeValidator(digits)]


class HistoryParams(ClosedParams):
    """How much of the history."""

    limit: _Limit = Field(DEFAULT_HISTORY, description=f"How many changes; {DEFAULT_HISTORY} if not given.")


class ChangesParams(HistoryParams):
    """Whose changes."""

    item: Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)] = Field(
        description="The id of the item."
    )


@router.endpoint(
    f"/api/v1/items/{ID}/history",
    "The changes of an item",
    name="item_history",
    response_model=ItemHistory,
    fails=(400, 401, 403, 404, 503),
    example="curl HOST/api/v1/items/mugs/17/history",
)
async def item_history(
    request: Request, id: ItemIdPath, params: Annotated[HistoryParams, Query()]
) -> Response:
    """Also of an item that was removed; so it needs the permission to change items. Indexing runs are listed as far
    as they changed the item. Where an item's own id ends in `/history`, the answer is that item.
    """
    if await context_of(request).read(lambda service: find_etag(service, f"{id}/history")):
        return await item(request, f"{id}/history")
    return await _history(request, id, params.limit)


@router.endpoint(
    "/api/v1/changes",
    "The changes of an item, its id as a parameter",
    name="changes",
    response_model=ItemHistory,
    fails=(400, 401, 403, 404, 503),
    example="curl 'HOST/api/v1/changes?item=mugs/17&limit=5'",
)
async def changes(request: Request, params: Annotated[ChangesParams, Query()]) -> Response:
    """The same as the history in the item's path, for every id."""
    return await _history(request, params.item, params.limit)


async def _history(request: Request, item_id: str, limit: int) -> Response:
    # It shows values and items that were removed, which are not for everyone.
    context_of(request).access.check(request)

    def work(service: SearchService) -> dict[str, Any]:
        logged = service.items.history(item_id, limit)
        if not logged:
            service.catalog.get(item_id)
        return {"item_id": item_id, "changes": [_entry(each) for each in logged]}

    return json_answer(await context_of(request).read(work), cache="no-store")


@router.endpoint(
    "/api/v1/changes/undo",
    "Undo changes of items",
    name="undo_changes",
    writes=True,
    response_model=UndoneChanges,
    fails=(400, 413, 415, 503),
    body={"application/json": "UndoBody"},
    example=(
        "curl -X POST -H 'Content-Type: application/json' -d '{\"changes\": [1041, 1042]}' HOST/api/v1/changes/undo"
    ),
)
async def undo_changes(request: Request) -> Response:
    """Each item becomes what it was before the change; undoing is a change itself, which can be undone. A change
    is not undone where the item has changed again since, and the outcome says why. Sent twice, it undoes once.
    """
    require_json(request, "the changes to undo")
    context, actor = context_of(request), actor_of(request)
    body = await read_bytes(request, OVERHEAD_BYTES)

    def work() -> dict[str, Any]:
        given = undone(body)
        outcomes = context.open_service().items.undo(given, actor=actor)
        return {"outcomes": [outcome_document(each) for each in outcomes]}

    return json_answer(await context.write(work), cache="no-store")


def _entry(logged: LoggedChange) -> ChangeEntry:
    return {
        "change_id": logged.change_id,
        "at": logged.happened_at.isoformat(timespec="milliseconds"),
        "actor": logged.actor,
        "kind": logged.kind,
        "before": plain(logged.before),
        "after": plain(logged.after),
    }
