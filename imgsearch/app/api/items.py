"""Items: their rows, and the boxes around the things in their photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.answers import json_answer
from imgsearch.app.api.context import context_of
from imgsearch.app.api.failures import RequestError, failures
from imgsearch.app.api.item_paths import ID
from imgsearch.app.api.parameters import ApiRoute
from imgsearch.app.api.requests import ClosedParams
from imgsearch.app.api.responses import ItemDocument, Regions, item_document
from imgsearch.app.api.search import IMAGE_PX, THUMBNAIL_PX
from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImageError, QueryError, SourceError
from imgsearch.core.query import MAX_ID_CHARS, Region, Term
from imgsearch.core.query_address import part_of, thumbnail_url
from imgsearch.core.records import Item

__all__ = ["ItemIdPath", "ItemIdQuery", "described_item", "router"]

ItemIdQuery = Annotated[str, Query(description="The item's id.", min_length=1, max_length=MAX_ID_CHARS)]
ItemIdPath = Annotated[
    str, Path(description="The item's id, percent-encoded; slashes may stay.", max_length=MAX_ID_CHARS)
]

router = APIRouter(route_class=ApiRoute)


@router.get(
    "/api/v1/items",
    name="item",
    response_model=ItemDocument,
    responses=failures(400, 404, 503),
    summary="One item, its id as a parameter",
)
async def item_by_parameter(request: Request, id: ItemIdQuery) -> Response:
    """Answer with an item whose id no path can carry, such as '../x'."""
    return await item(request, id)


@router.get(
    f"/api/v1/items/{ID}",
    response_model=ItemDocument,
    responses=failures(400, 404, 503),
    summary="One item",
    openapi_extra={"x-example": "curl HOST/api/v1/items/shoes/1.jpg"},
)
async def item(request: Request, id: ItemIdPath) -> Response:
    """Answer with an item."""
    found = await context_of(request).read(lambda service: service.catalog.get(id))
    return json_answer(described_item(found))


def described_item(item: Item) -> ItemDocument:
    """Return an item with the paths of its pictures."""
    return item_document(item, thumbnail_url(item, IMAGE_PX), thumbnail_url(item, THUMBNAIL_PX))


class RegionParams(ClosedParams):
    """The photo whose things are sought: one item or one upload."""

    item: Annotated[list[str], WithJsonSchema({"type": "string", "maxLength": MAX_ID_CHARS})] = Field(
        [], description="The id of an item."
    )
    upload: Annotated[list[str], WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{32}$"})] = Field(
        [], description="The id of a picture sent before."
    )


@router.get(
    "/api/v1/regions",
    response_model=Regions,
    responses=failures(400, 404, 503),
    summary="Boxes around the things in a photo",
    description=(
        "At most five, the clearest first, found by colour and contrast; none where nothing stands out. Each comes "
        "with the `part` that searches by it. Give `item` or `upload`, one of them."
    ),
    openapi_extra={"x-example": "curl 'HOST/api/v1/regions?item=rooms/1.jpg'"},
)
async def regions(request: Request, params: Annotated[RegionParams, Query()]) -> Response:
    """Answer with the boxes around the things in the photo of an item or an upload."""
    if len(params.item) + len(params.upload) != 1:
        raise QueryError("Name one photo: item=ID or upload=ID, once.")
    term = Term("item", params.item[0]) if params.item else Term("upload", params.upload[0])

    def work(service: SearchService) -> Sequence[Region]:
        name = str(term.value)
        try:
            return service.regions.of_item(name) if term.kind == "item" else service.regions.of_upload(name)
        except QueryError as error:
            raise RequestError(str(error), status=404, code="unknown_upload") from error
        except (ImageError, SourceError) as error:
            raise RequestError(
                f"The photo cannot be read: {error}", status=404, code="photo_unavailable"
            ) from error

    found = await context_of(request).read(work)
    return json_answer({"regions": [{**asdict(region), "part": part_of(term, region)} for region in found]})
