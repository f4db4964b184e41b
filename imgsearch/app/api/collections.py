"""Collections: a visitor's own, and one of them with its items."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api import responses
from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.items import described_item
from imgsearch.app.api.requests import MAX_NAME_CHARS
from imgsearch.app.api.routing import ApiRouter, ClosedParams
from imgsearch.app.service import SearchService
from imgsearch.core.errors import QueryError
from imgsearch.store.collections import Collection, collection_csv

router = ApiRouter()

_Id = Annotated[str, Path(description="The collection's id, as in its link.", max_length=MAX_NAME_CHARS)]


class CollectionsParams(ClosedParams):
    """The visitor whose collections are listed."""

    visitor: Annotated[
        str,
        Query(
            description="The 32 hexadecimal digits of the app's cookie `imgsearch_visitor`.",
            pattern="^[0-9a-f]{32}$",
        ),
    ]


@router.endpoint(
    "/api/v1/collections",
    "A visitor's collections",
    response_model=responses.CollectionList,
    fails=(400, 503),
    example="curl 'HOST/api/v1/collections?visitor=0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e'",
)
async def collections(request: Request, params: Annotated[CollectionsParams, Query()]) -> Response:
    """Those that the visitor with this secret saved, the latest changed first. Names that could be guessed are
    refused.
    """
    found = await context_of(request).read(lambda service: service.collections.of(params.visitor))
    return json_answer({"collections": [_summary(each) for each in found]}, cache="no-store")


# Before the route of one collection, which would take the ending for a part of the id.
@router.endpoint(
    "/api/v1/collections/{id}.csv",
    "One collection as a table",
    name="collection_csv",
    content=("text/csv", "The table."),
    fails=(400, 404, 503),
    example="curl -O HOST/api/v1/collections/0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e.csv",
)
async def collection_table(request: Request, id: _Id) -> Response:
    """Columns: kind (`item` or `query`), id, title, then the metadata's. What a spreadsheet would take for a
    formula begins with an apostrophe.
    """
    _refuse_parameters(request)

    def work(service: SearchService) -> str:
        found = service.collections.get(id)
        return collection_csv(
            found, service.catalog.get_many(found.items), list(service.catalog.metadata.columns)
        )

    table = await context_of(request).read(work)
    # The id was found, so it is plain hexadecimal and may stand in a header.
    disposition = f'attachment; filename="collection-{id[:8]}.csv"'
    headers = {"Cache-Control": "no-store", "Content-Disposition": disposition}
    return Response(table.encode("utf-8", errors="replace"), media_type="text/csv", headers=headers)


@router.endpoint(
    "/api/v1/collections/{id}",
    "One collection with its items",
    response_model=responses.CollectionDocument,
    fails=(400, 404, 503),
    example="curl HOST/api/v1/collections/0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e",
)
async def collection(request: Request, id: _Id) -> Response:
    """Anyone who has a collection's id, which cannot be guessed, may read it."""
    _refuse_parameters(request)

    def work(service: SearchService) -> dict[str, Any]:
        found = service.collections.get(id)
        items = service.catalog.get_many(found.items)
        present = {item.item_id for item in items}
        gone = [item_id for item_id in found.items if item_id not in present]
        return {**found.as_dict(), "items": [described_item(item) for item in items], "gone": gone}

    return json_answer(await context_of(request).read(work), cache="no-store")


def _summary(collection: Collection) -> dict[str, Any]:
    document = collection.as_dict()
    counts = {"item_count": len(document.pop("items")), "query_count": len(document.pop("queries"))}
    return {**document, **counts}


def _refuse_parameters(request: Request) -> None:
    for name in request.query_params:
        raise QueryError(f"There is no parameter {name[:40]!r} here.")
