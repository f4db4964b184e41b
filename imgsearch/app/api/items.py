"""Items: their rows, the boxes around the things in their photos, and their map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.context import bytes_answer, cached_json, context_of, json_answer
from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.requests import MAX_NAME_CHARS
from imgsearch.app.api.responses import ItemDocument, MapPhoto, MapPhotos, Regions, item_document
from imgsearch.app.api.routing import ID, ApiRouter, ClosedParams, ItemIdPath, digits
from imgsearch.app.api.search import IMAGE_PX, THUMBNAIL_PX
from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImageError, QueryError, SourceError
from imgsearch.core.query import MAX_ID_CHARS, Region, Term
from imgsearch.core.query_address import part_of, thumbnail_url
from imgsearch.core.records import Item

MAP_PHOTO_PX = 96
MAX_MAP_PHOTOS = 100

router = ApiRouter()


@router.endpoint(
    f"/api/v1/items/{ID}",
    "One item",
    response_model=ItemDocument,
    cached=True,
    fails=(400, 404, 503),
    example="curl HOST/api/v1/items/shoes/1.jpg",
)
async def item(request: Request, id: ItemIdPath) -> Response:
    """Its `ETag` changes with every change of the item: send it as `If-Match` of a change that must not undo another
    one's.
    """
    document = await context_of(request).read(lambda service: described_item(service.catalog.get(id)))
    return cached_json(request, document, document["etag"])


def described_item(item: Item) -> ItemDocument:
    """Return an item with the paths of its pictures."""
    return item_document(item, thumbnail_url(item, IMAGE_PX), thumbnail_url(item, THUMBNAIL_PX))


class RegionParams(ClosedParams):
    """The photo to find objects in: one item or one upload."""

    item: Annotated[list[str], WithJsonSchema({"type": "string", "maxLength": MAX_ID_CHARS})] = Field(
        [], description="The id of an item."
    )
    upload: Annotated[list[str], WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{32}$"})] = Field(
        [], description="The id of a picture sent before."
    )


@router.endpoint(
    "/api/v1/regions",
    "Boxes around the things in a photo",
    response_model=Regions,
    fails=(400, 404, 503),
    example="curl 'HOST/api/v1/regions?item=rooms/1.jpg'",
)
async def regions(request: Request, params: Annotated[RegionParams, Query()]) -> Response:
    """At most five, the clearest first, found by colour and contrast; none where nothing stands out. Each comes
    with the `part` that searches by it. Give `item` or `upload`, one of them.
    """
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


@router.endpoint(
    "/api/v1/map",
    "The map of the catalog, as bytes",
    content=("application/octet-stream", "The map."),
    cached=True,
    fails=(400, 503),
    example="curl -o map.bin 'HOST/api/v1/map?dimensions=3&by=column:category'",
)
async def map(request: Request, params: Annotated[MapParams, Query()]) -> Response:
    """What the Explore page draws: 4 bytes (little-endian) that say how long the header is; the header, JSON with
    `count`, `dimensions` and `legend`; then the arrays `keys` (count) uint32, `places` (count, dimensions)
    uint16 over the longest side, and `colors` (count) uint16: the number of a value in the legend, or how far
    from `low` to `high`; 65535 is no value. It has an ETag.
    """
    body, etag = await context_of(request).read(
        lambda service: service.explorer.document(params.projection, params.dimensions, params.by)
    )
    return bytes_answer(request, body, etag, "no-cache", "application/octet-stream")


class MapPhotosParams(ClosedParams):
    """Keys of the map."""

    key: list[Annotated[int, Field(ge=0), BeforeValidator(digits)]] = Field(
        description="A key of the map; at most 100. May be repeated.", min_length=1, max_length=MAX_MAP_PHOTOS
    )


@router.endpoint(
    "/api/v1/map/photos",
    "The items at keys of the map",
    response_model=MapPhotos,
    fails=(400, 503),
    example="curl 'HOST/api/v1/map/photos?key=0&key=7'",
)
async def map_photos(request: Request, params: Annotated[MapPhotosParams, Query()]) -> Response:
    """Answer with the items at the keys of a map."""
    found = await context_of(request).read(lambda service: service.explorer.photos(params.key))
    return json_answer({"photos": [_map_photo(item) for item in found]})


def _map_photo(item: Item) -> MapPhoto:
    document = item_document(item, thumbnail_url(item, THUMBNAIL_PX), thumbnail_url(item, MAP_PHOTO_PX))
    return {**document, "key": item.key}
