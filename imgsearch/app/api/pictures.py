"""Pictures: thumbnails of photos, and pictures that were sent before."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Path, Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.context import bytes_answer, context_of
from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.routing import ID, ApiRouter, ItemIdPath, ItemIdQuery, digits
from imgsearch.app.api.search import THUMBNAIL_PX
from imgsearch.app.service import SearchService
from imgsearch.core.errors import ImageError, QueryError, SourceError
from imgsearch.vision.images import nearest_thumbnail_size

_Size = Annotated[
    int,
    Field(ge=1, le=99_999),
    BeforeValidator(digits),
    Query(description="The longest side in pixels, rounded up to a made size; 384 if not given."),
]
_Version = Annotated[
    str, Query(description="The content's version, as in the addresses that search results hold.")
]

router = ApiRouter()
_picture = partial(
    router.endpoint, content=("image/webp", "The picture."), cached=True, fails=(400, 404, 503)
)


@_picture("/thumbnails", "A photo's thumbnail, the item's id as a parameter", name="thumbnail")
async def thumbnail_by_parameter(
    request: Request, id: ItemIdQuery, size: _Size = THUMBNAIL_PX, v: _Version = ""
) -> Response:
    """Answer with the thumbnail of an item whose id no path can carry."""
    return await thumbnail(request, id, size, v)


@_picture(
    f"/thumbnails/{ID}",
    "A photo's thumbnail (WebP)",
    example="curl -O 'HOST/thumbnails/shoes/1.jpg?size=384'",
)
async def thumbnail(
    request: Request, id: ItemIdPath, size: _Size = THUMBNAIL_PX, v: _Version = ""
) -> Response:
    """Search results hold ready addresses in `thumbnail` and `image`. With the item's present `v` the answer may
    be cached for a year, without it for a minute; it has an ETag either way.
    """
    # Of any number one of the few sizes is made: else every number would be encoded and stored.
    size_px = nearest_thumbnail_size(size)

    def work(service: SearchService) -> tuple[bytes, str, bool]:
        item = service.catalog.get(id)
        try:
            made = service.engine.thumbnails.get(item, size_px)
        except (ImageError, SourceError) as error:
            raise RequestError(
                f"The photo of this item cannot be shown: {error}", status=404, code="photo_unavailable"
            ) from error
        return made.data, made.etag, v == str(item.key)

    data, etag, current = await context_of(request).read(work)
    # Only an address with the key of these very bytes may be kept: a changed photo gets a new key.
    lifetime = "public, max-age=31536000, immutable" if current else "public, max-age=60"
    return bytes_answer(request, data, etag, lifetime, "image/webp")


@_picture("/uploads/{id}", "A picture sent before (WebP)")
async def upload(
    request: Request, id: Annotated[str, Path(description="The upload's id.")], size: _Size = THUMBNAIL_PX
) -> Response:
    """Pictures are kept until newer ones need their space."""
    size_px = nearest_thumbnail_size(size)
    try:
        data = await context_of(request).read(lambda service: service.engine.uploads.webp(id, size_px))
    except QueryError as error:
        raise RequestError(str(error), status=404, code="unknown_upload") from error
    # The id is a hash of the content, so the address never means another picture; but it is a visitor's own.
    lifetime = "private, max-age=31536000, immutable"
    return bytes_answer(request, data, f'"{id}-{size_px}"', lifetime, "image/webp")
