"""The map of the catalog that the Explore page draws."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.answers import bytes_answer, json_answer
from imgsearch.app.api.context import context_of
from imgsearch.app.api.failures import failures
from imgsearch.app.api.parameters import ApiRoute
from imgsearch.app.api.requests import MAX_NAME_CHARS, ClosedParams, digits
from imgsearch.app.api.responses import MapPhoto, MapPhotos, item_document
from imgsearch.app.api.search import THUMBNAIL_PX
from imgsearch.core.query_address import thumbnail_url
from imgsearch.core.records import Item

__all__ = ["router"]

MAP_PHOTO_PX = 96
MAX_MAP_PHOTOS = 100

router = APIRouter(route_class=ApiRoute)


class MapParams(ClosedParams):
    """Which map."""

    projection: Literal["pca", "umap"] = Field(
        "pca", description="`pca` (there at once; the default) or `umap` (once laid out)."
    )
    dimensions: Annotated[Literal[2, 3], BeforeValidator(digits)] = Field(
        2, description="2 (the default) or 3."
    )
    by: str = Field(
        "",
        description="What to colour by: nothing, `cluster`, `outlier` or `column:NAME`.",
        max_length=MAX_NAME_CHARS,
    )


@router.get(
    "/api/v1/map",
    response_class=Response,
    responses={
        200: {
            "description": "The map.",
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        },
        304: {"description": "You have it already (`If-None-Match`)."},
        **failures(400, 503),
    },
    summary="The map of the catalog, as bytes",
    description=(
        "What the Explore page draws: 4 bytes (little-endian) that say how long the header is; the header, JSON with "
        "`count`, `dimensions` and `legend`; then the arrays `keys` (count) uint32, `places` (count, dimensions) "
        "uint16 over the longest side, and `colors` (count) uint16: the number of a value in the legend, or how far "
        "from `low` to `high`; 65535 is no value. It has an ETag."
    ),
    openapi_extra={"x-example": "curl -o map.bin 'HOST/api/v1/map?dimensions=3&by=column:category'"},
)
async def map(request: Request, params: Annotated[MapParams, Query()]) -> Response:
    """Answer with the points as bytes, which a browser keeps until they change."""
    body, etag = await context_of(request).read(
        lambda service: service.explorer.document(params.projection, params.dimensions, params.by)
    )
    return bytes_answer(request, body, etag, "no-cache", "application/octet-stream")


class MapPhotosParams(ClosedParams):
    """Keys of the map."""

    key: list[Annotated[int, Field(ge=0), BeforeValidator(digits)]] = Field(
        description="A key of the map; at most 100. May be repeated.", min_length=1, max_length=MAX_MAP_PHOTOS
    )


@router.get(
    "/api/v1/map/photos",
    response_model=MapPhotos,
    responses=failures(400, 503),
    summary="The items at keys of the map",
    openapi_extra={"x-example": "curl 'HOST/api/v1/map/photos?key=0&key=7'"},
)
async def map_photos(request: Request, params: Annotated[MapPhotosParams, Query()]) -> Response:
    """Answer with the items at the keys of a map."""
    found = await context_of(request).read(lambda service: service.explorer.photos(params.key))
    return json_answer({"photos": [_map_photo(item) for item in found]})


def _map_photo(item: Item) -> MapPhoto:
    document = item_document(item, thumbnail_url(item, THUMBNAIL_PX), thumbnail_url(item, MAP_PHOTO_PX))
    return {**document, "key": item.key}
