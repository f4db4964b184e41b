"""Searches: by parameters, by an item, by a form with a picture, by JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Path, Query
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.bodies import OVERHEAD_BYTES, content_type, parse_model, read_bytes, read_form
from imgsearch.app.api.context import Context, context_of, json_answer
from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.requests import MAX_NAME_CHARS, PageParams, SearchBody, SearchForm, SearchParams
from imgsearch.app.api.responses import SearchResultDocument, result_document, words_document
from imgsearch.app.api.routing import ID, ApiRouter
from imgsearch.app.item_checks import require_encoder
from imgsearch.core import query as core
from imgsearch.core.errors import QueryError
from imgsearch.core.query import MAX_ID_CHARS
from imgsearch.core.query_address import query_from_params, thumbnail_url
from imgsearch.core.text import check_text

IMAGE_PX = 768
THUMBNAIL_PX = 384

router = ApiRouter()

_Search = tuple[core.Query, Sequence[bytes], str]
"""The query, pictures to keep as uploads, and the visitor."""
_BODY = TypeAdapter(SearchBody)


@router.endpoint(
    "/api/v1/search",
    "Search by text, item, or a mix",
    response_model=SearchResultDocument,
    fails=(400, 404, 503),
    example="curl 'HOST/api/v1/search?text=red+mug&n=5&filter=price<50'",
)
async def search(request: Request, params: Annotated[SearchParams, Query()]) -> Response:
    """Hits come best first; equal scores in the order in which the photos were indexed. For words alone the order
    is by photos and titles together, and the scores are the photos'.
    """
    context = context_of(request)
    given = params.lists()
    return await _answer(context, lambda: (_query(context, given), (), params.visitor))


@router.endpoint(
    f"/api/v1/items/{ID}/similar",
    "Items similar to an item",
    response_model=SearchResultDocument,
    fails=(400, 404, 503),
    example="curl 'HOST/api/v1/items/shoes/1.jpg/similar?n=5'",
)
async def similar(
    request: Request,
    id: Annotated[str, Path(description="The item's id, percent-encoded.", max_length=MAX_ID_CHARS)],
    params: Annotated[PageParams, Query()],
) -> Response:
    """The same as a search with `item=`; the item itself is left out."""
    context = context_of(request)
    given = {**params.lists(), "item": [id]}
    return await _answer(context, lambda: (_query(context, given), (), params.visitor))


@router.endpoint(
    "/api/v1/search",
    "Search by a picture, or by a JSON query",
    response_model=SearchResultDocument,
    fails=(400, 404, 413, 415, 503),
    body={"multipart/form-data": "SearchForm", "application/json": "SearchBody"},
    example="curl -F image=@photo.jpg -F n=5 HOST/api/v1/search",
)
async def search_posted(request: Request) -> Response:
    """A picture of at most {max_upload_bytes:,} bytes and {max_pixels:,} pixels (JPEG, PNG, WebP, GIF, BMP, TIFF,
    HEIC), as the form's file field `image` or as base64 in JSON.
    """
    context = context_of(request)
    kind = content_type(request)
    most = context.settings.max_upload_bytes
    if kind == "multipart/form-data":
        fields, images = await read_form(request, most + OVERHEAD_BYTES)
        return await _answer(context, lambda: _of_form(context, fields, images))
    if kind == "application/json":
        # Base64 grows the picture by a third.
        body = await read_bytes(request, most * 4 // 3 + OVERHEAD_BYTES)
        return await _answer(context, lambda: _of_json(context, body))
    raise RequestError(
        "Send the search as multipart/form-data or as application/json.", status=415, code="bad_content_type"
    )


async def _answer(context: Context, parse: Callable[[], _Search]) -> Response:
    """Return the response to a search; its pictures are kept as uploads and become terms of the query."""

    def work() -> Response:
        query, images, visitor = parse()
        if not query.terms and not images:
            raise QueryError("The search is empty: give at least one text, item or image.")
        service = context.open_service()
        if images or any(term.needs_encoder for term in query.terms):
            require_encoder(service)
        if images:
            uploads = tuple(core.Term("upload", service.engine.uploads.add(image)) for image in images)
            query = replace(query, terms=query.terms + uploads)
        result = service.search(query, visitor=visitor)
        words = words_document(service.words.suggestions(query), service.words.correction(query))
        document = result_document(
            result,
            words,
            image=lambda hit: thumbnail_url(hit, IMAGE_PX),
            thumbnail=lambda hit: thumbnail_url(hit, THUMBNAIL_PX),
        )
        return json_answer(document)

    return await context.search(work)


def _query(context: Context, params: Mapping[str, Sequence[str]]) -> core.Query:
    return query_from_params(params, default_n=context.default_n, max_n=context.settings.max_results)


def _of_form(context: Context, fields: Mapping[str, Sequence[str]], images: Sequence[bytes]) -> _Search:
    unknown = sorted(set(fields) - set(SearchForm.model_fields))
    if unknown:
        raise QueryError(f"There is no field {unknown[0][:40]!r} here.")
    visitor = fields.get("visitor", [""])[-1]
    return _query(context, fields), images, check_text(visitor, "visitor", max_chars=MAX_NAME_CHARS)


def _of_json(context: Context, body: bytes) -> _Search:
    given = parse_model(body, _BODY)
    query = given.query(context.default_n).within(context.settings.max_results)
    picture = given.picture()
    return query, [] if picture is None else [picture], given.visitor or ""
