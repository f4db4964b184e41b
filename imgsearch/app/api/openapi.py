"""The description of the HTTP API: an OpenAPI 3.1 document, and a page that shows it with nothing from elsewhere.

It owns the words and schemas; `imgsearch.app.api.routes` owns the behaviour, and the tests hold the two
together: every
route is described here, and real answers are checked against these schemas.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any, get_args

from imgsearch.core.config import Settings
from imgsearch.core.query_address import LESS_WEIGHT, MORE_WEIGHT
from imgsearch.core.records import Verdict
from imgsearch.core.version import __version__

__all__ = ["docs_page", "openapi_document"]

_Schema = dict[str, Any]

_TEXT: _Schema = {"type": "string"}
_FILTER_HELP = (
    "A condition on a metadata column; all must hold. `category=shoes`, `category!=shoes`, `price<50`, "
    "`price=10..50`, `colour in red|blue`, `title~oak` (contains)."
)


def openapi_document(settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document for a service of these settings."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{settings.title} API",
            "version": __version__,
            "description": (
                "Visual product search: by item, text, picture, or any weighted mix. Every error is JSON with a "
                "stable `code` and a `message` of one sentence. Item ids go into the path percent-encoded; an id "
                "that no path can carry (one with `..` or `//`, or that ends in `/similar`) is given as `?id=`."
            ),
        },
        "paths": _paths(settings),
        "components": {"schemas": _schemas(settings)},
    }


_PART_HELP = (
    "Any term with a weight of its own, as `weight:kind:value` (kinds text, item, upload, color), such as "
    "`-0.5:text:stripes`; a part of a photo as `1:item@left,top,right,bottom:ID`, edges as fractions of it."
)
_EMPHASIS_HELP = "What counts more than in the embedding, 0 to 1 each: `color:0.5,shape:0.2,pattern:1`."
_DUPLICATES_HELP = (
    "`collapse` near-duplicates and photos of one product into the best hit (`also`), or `show` them all."
)
_SPELLING_HELP = "`keep`: the text is meant as it is written; no correction is offered."

# --- paths ------------------------------------------------------------------------------------------------------


def _paths(settings: Settings) -> dict[str, Any]:
    search_parameters = [
        _query("text", "Words to search for.", many=True),
        _query("item", "The id of an item to find look-alikes of.", many=True),
        _query("more", f"The id of an item to lean towards (weight {MORE_WEIGHT}).", many=True),
        _query("less", f"The id of an item to lean away from (weight {LESS_WEIGHT}).", many=True),
        _query("upload", "The id of a picture sent before (`query.terms` of that answer has it).", many=True),
        _query("color", "A colour as six hexadecimal digits, such as cc2233.", many=True),
        _query("part", _PART_HELP, many=True),
        _query("emphasis", _EMPHASIS_HELP),
        _query("same", "`color`: only items of the colours asked for."),
        _query("duplicates", _DUPLICATES_HELP),
        _query("diversity", "From 0 (the nearest) to 1: how much variety counts."),
        _query("spelling", _SPELLING_HELP),
        *_result_parameters(settings),
    ]
    return {
        "/api/v1/search": {
            "get": {
                "summary": "Search by text, item, or a mix",
                "description": (
                    "Hits come best first; equal scores in the order in which the photos were indexed. For words "
                    "alone the order is by photos and titles together, and the scores are the photos'."
                ),
                "parameters": search_parameters,
                "responses": _responses("SearchResult", 400, 404, 503),
                "x-example": "curl 'HOST/api/v1/search?text=red+mug&n=5&filter=price<50'",
            },
            "post": {
                "summary": "Search by a picture, or by a JSON query",
                "description": (
                    f"A picture of at most {settings.max_upload_bytes:,} bytes and {settings.max_pixels:,} pixels "
                    "(JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC), as the form's file field `image` or as base64 in JSON."
                ),
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": {"schema": _ref("SearchForm")},
                        "application/json": {"schema": _ref("SearchBody")},
                    },
                },
                "responses": _responses("SearchResult", 400, 404, 413, 415, 503),
                "x-example": "curl -F image=@photo.jpg -F n=5 HOST/api/v1/search",
            },
        },
        "/api/v1/items": {
            "get": {
                "summary": "One item, its id as a parameter",
                "parameters": [_query("id", "The item's id.", required=True)],
                "responses": _responses("Item", 400, 404, 503),
            },
        },
        "/api/v1/items/{id}": {
            "get": {
                "summary": "One item",
                "parameters": [_path("id", "The item's id, percent-encoded; slashes may stay.")],
                "responses": _responses("Item", 400, 404, 503),
                "x-example": "curl HOST/api/v1/items/shoes/1.jpg",
            },
        },
        "/api/v1/items/{id}/similar": {
            "get": {
                "summary": "An item's look-alikes",
                "description": "The same as a search with `item=`; the item itself is left out.",
                "parameters": [_path("id", "The item's id, percent-encoded."), *_result_parameters(settings)],
                "responses": _responses("SearchResult", 400, 404, 503),
                "x-example": "curl 'HOST/api/v1/items/shoes/1.jpg/similar?n=5'",
            },
        },
        "/api/v1/regions": {
            "get": {
                "summary": "Boxes around the things in a photo",
                "description": (
                    "At most five, the clearest first, found by colour and contrast; none where nothing stands out. "
                    "Each comes with the `part` that searches by it. Give `item` or `upload`, one of them."
                ),
                "parameters": [
                    _query("item", "The id of an item."),
                    _query("upload", "The id of a picture sent before."),
                ],
                "responses": _responses("Regions", 400, 404, 503),
                "x-example": "curl 'HOST/api/v1/regions?item=rooms/1.jpg'",
            },
        },
        "/api/v1/collections": {
            "get": {
                "summary": "A visitor's collections",
                "description": (
                    "Those that the visitor with this secret saved, the latest changed first. Names that could be "
                    "guessed are refused."
                ),
                "parameters": [
                    _query(
                        "visitor",
                        "The 32 hexadecimal digits of the app's cookie `imgsearch_visitor`.",
                        required=True,
                    )
                ],
                "responses": _responses("CollectionList", 400, 503),
                "x-example": "curl 'HOST/api/v1/collections?visitor=0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e'",
            },
        },
        "/api/v1/collections/{id}": {
            "get": {
                "summary": "One collection with its items",
                "description": "Whoever has a collection's id, which cannot be guessed, may read it.",
                "parameters": [_path("id", "The collection's id, as in its link.")],
                "responses": _responses("Collection", 400, 404, 503),
                "x-example": "curl HOST/api/v1/collections/0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e",
            },
        },
        "/api/v1/collections/{id}.csv": {
            "get": {
                "summary": "One collection as a table",
                "description": (
                    "Columns: kind (`item` or `query`), id, title, then the metadata's. What a spreadsheet would "
                    "take for a formula begins with an apostrophe."
                ),
                "parameters": [_path("id", "The collection's id, as in its link.")],
                "responses": {
                    "200": {"description": "The table.", "content": {"text/csv": {"schema": _TEXT}}},
                    **{str(error): _answer("Error", _STATUS_TEXTS[error]) for error in (400, 404, 503)},
                },
                "x-example": "curl -O HOST/api/v1/collections/0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e.csv",
            },
        },
        "/api/v1/feedback": {
            "post": {
                "summary": "Record a click or a judgment",
                "description": "Rows are appended, never changed; the latest judgment of a labeler counts.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("Feedback")}},
                },
                "responses": _responses("FeedbackRecorded", 400, 403, 404, 413, 415, 503, status=201),
                "x-example": (
                    "curl -H 'Content-Type: application/json' -d '"
                    '{"kind": "click", "search_id": "...", "item_id": "shoes/1.jpg", "rank": 1}'
                    "' HOST/api/v1/feedback"
                ),
            },
        },
        "/api/v1/replica-feedback": {
            "post": {
                "summary": "Take the feedback that a replica gathered",
                "description": (
                    "What `imgsearch serve --replica-of` sends; the `Authorization` header holds the token that both "
                    "share, `Bearer TOKEN`. A batch that was sent before is not written again."
                ),
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("ReplicaBatch")}},
                },
                "responses": _responses("ReplicaBatchTaken", 400, 403, 413, 503, status=201),
            },
        },
        "/api/v1/judging": {
            "post": {
                "summary": "Note a labeler's judgments and get the next pairs",
                "description": (
                    "What the Judge page calls at every key. An act whose id was sent before is done once; the pairs "
                    "that come back are the client's alone for some minutes, and every call renews them."
                ),
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("JudgingCall")}},
                },
                "responses": _responses("JudgingReply", 400, 413, 415, 503),
                "x-example": (
                    "curl -H 'Content-Type: application/json' -d '"
                    '{"set": "chairs", "labeler": "anna", "client": "tab-00000001"}'
                    "' HOST/api/v1/judging"
                ),
            },
        },
        "/api/v1/map": {
            "get": {
                "summary": "The map of the catalog, as bytes",
                "description": (
                    "What the Explore page draws: 4 bytes (little-endian) that say how long the header is; the "
                    "header, JSON with `count`, `dimensions` and `legend`; then the arrays `keys` (count) uint32, "
                    "`places` (count, dimensions) uint16 over the longest side, and `colors` (count) uint16: "
                    "the number of a value in the legend, or how far from `low` to `high`; 65535 is no value. "
                    "It has an ETag."
                ),
                "parameters": [
                    _query("projection", "`pca` (there at once; the default) or `umap` (once laid out)."),
                    _query("dimensions", "2 (the default) or 3.", kind="integer"),
                    _query("by", "What to colour by: nothing, `cluster`, `outlier` or `column:NAME`."),
                ],
                "responses": {
                    "200": {
                        "description": "The map.",
                        "content": {"application/octet-stream": {"schema": {"type": "string"}}},
                    },
                    "304": {"description": "You have it already (`If-None-Match`)."},
                    **{str(error): _answer("Error", _STATUS_TEXTS[error]) for error in (400, 503)},
                },
                "x-example": "curl -o map.bin 'HOST/api/v1/map?dimensions=3&by=column:category'",
            },
        },
        "/api/v1/map/photos": {
            "get": {
                "summary": "The items at keys of the map",
                "parameters": [_query("key", "A key of the map; at most 100.", kind="integer", many=True)],
                "responses": _responses("MapPhotos", 400, 503),
                "x-example": "curl 'HOST/api/v1/map/photos?key=0&key=7'",
            },
        },
        "/thumbnails": {
            "get": {
                "summary": "A photo's thumbnail, the item's id as a parameter",
                "parameters": [_query("id", "The item's id.", required=True), *_thumbnail_parameters()],
                "responses": _picture_responses(400, 404, 503),
            },
        },
        "/thumbnails/{id}": {
            "get": {
                "summary": "A photo's thumbnail (WebP)",
                "description": (
                    "Search results hold ready addresses in `thumbnail` and `image`. With the item's present `v` the "
                    "answer may be cached for ever, without it for a minute; it has an ETag either way."
                ),
                "parameters": [_path("id", "The item's id, percent-encoded."), *_thumbnail_parameters()],
                "responses": _picture_responses(400, 404, 503),
                "x-example": "curl -O 'HOST/thumbnails/shoes/1.jpg?size=384'",
            },
        },
        "/uploads/{id}": {
            "get": {
                "summary": "A picture sent before (WebP)",
                "description": "Pictures are kept until newer ones need their room.",
                "parameters": [_path("id", "The upload's id."), _thumbnail_parameters()[0]],
                "responses": _picture_responses(400, 404, 503),
            },
        },
        "/healthz": {
            "get": {
                "summary": "Whether the service can answer",
                "description": (
                    "200 while any search is possible: `ready`, `loading` (items only, texts and pictures soon) or "
                    "`degraded` (items only, the reason is in `encoder`). 503 with `failed` where none is."
                ),
                "responses": {"200": _answer("Health", "Usable."), "503": _answer("Failed", "Not usable.")},
                "x-example": "curl HOST/healthz",
            },
        },
        "/metrics": {
            "get": {
                "summary": "Counters and latencies in the Prometheus text format",
                "responses": {
                    "200": {"description": "The metrics.", "content": {"text/plain": {"schema": _TEXT}}}
                },
                "x-example": "curl HOST/metrics",
            },
        },
        "/api/openapi.json": {
            "get": {
                "summary": "This description",
                "responses": {
                    "200": {
                        "description": "An OpenAPI 3.1 document.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            },
        },
        "/api/docs": {
            "get": {
                "summary": "This description as a page",
                "responses": {"200": {"description": "HTML.", "content": {"text/html": {"schema": _TEXT}}}},
            },
        },
    }


def _result_parameters(settings: Settings) -> list[dict[str, Any]]:
    return [
        _query("n", f"How many hits, 1 to {settings.max_results}; 10 if not given.", kind="integer"),
        _query("offset", "How many of the best hits to skip; ranks go on counting.", kind="integer"),
        _query("filter", _FILTER_HELP, many=True),
        _query("visitor", "Your own name for the visitor, kept with the feedback."),
    ]


def _thumbnail_parameters() -> list[dict[str, Any]]:
    return [
        _query(
            "size", "The longest side in pixels, rounded up to a made size; 384 if not given.", kind="integer"
        ),
        _query("v", "The content's version, as in the addresses that search results hold."),
    ]


def _query(
    name: str, description: str, *, kind: str = "string", many: bool = False, required: bool = False
) -> dict[str, Any]:
    schema: _Schema = {"type": "array", "items": {"type": kind}} if many else {"type": kind}
    note = " May be repeated." if many else ""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description + note,
        "schema": schema,
    }


def _path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": _TEXT}


_STATUS_TEXTS = {
    400: "The request makes no sense (`bad_query`, `bad_filter`, `bad_request`, `bad_feedback`, `bad_judging`).",
    403: "This service keeps no feedback (`feedback_off`).",
    404: (
        "No such item, collection, upload, photo or path (`unknown_item`, `unknown_collection`, `unknown_upload`, "
        "`photo_unavailable`, `not_found`)."
    ),
    413: "Too many bytes or pixels (`request_too_large`, `image_too_large`).",
    415: "Not a picture (`bad_image`), or not a content type that is read here (`bad_content_type`).",
    503: "Not now: the encoder or the catalog is loading or cannot be used (`encoder_unavailable`, ...).",
}


def _responses(schema: str, *errors: int, status: int = 200) -> dict[str, Any]:
    failures = {str(error): _answer("Error", _STATUS_TEXTS[error]) for error in errors}
    return {str(status): _answer(schema, "Done."), **failures}


def _picture_responses(*errors: int) -> dict[str, Any]:
    picture = {"description": "The picture.", "content": {"image/webp": {"schema": {"type": "string"}}}}
    unchanged = {"description": "You have it already (`If-None-Match`)."}
    return {
        "200": picture,
        "304": unchanged,
        **{str(error): _answer("Error", _STATUS_TEXTS[error]) for error in errors},
    }


def _answer(schema: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


# --- schemas ----------------------------------------------------------------------------------------------------


def _schemas(settings: Settings) -> dict[str, _Schema]:
    count = {"type": "integer", "minimum": 0}
    n = {"type": "integer", "minimum": 1, "maximum": settings.max_results}
    offset = {"type": "integer", "minimum": 0, "maximum": settings.max_results}
    texts = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
    texts_only = {"type": "array", "items": _TEXT}
    weighted = {
        "anyOf": [
            _TEXT,
            {"type": "array", "items": {"anyOf": [_TEXT, _ref("Weighted")]}},
        ]
    }
    return {
        "SearchResult": _object(
            {
                "search_id": (_TEXT, "Names this search; send it with feedback."),
                "query": (_ref("Query"), "The query as it was understood."),
                "encoder": (_TEXT, "Which model compared the photos."),
                "generation": (count, "Which generation of the index answered."),
                "matching": (count, "How many items pass the filters."),
                "hits": ({"type": "array", "items": _ref("Hit")}, "Best first."),
                "confidence": (
                    {"enum": ["strong", "fair", "weak", None]},
                    "How good the hits are for this catalog; null for a mix, a further page, or while not known.",
                ),
                "notes": (
                    texts_only,
                    "What to think of the hits, such as that a word is not known; usually empty.",
                ),
                "timing_ms": (
                    {"type": "object", "additionalProperties": {"type": "number"}},
                    "Milliseconds by stage, and `total`.",
                ),
                "suggestions": (
                    {"type": "array", "items": _ref("Suggestion")},
                    "Filters that the words of the text may mean. None is applied: offer them.",
                ),
                "spelling": (
                    {"oneOf": [_ref("Spelling"), {"type": "null"}]},
                    "How a misspelt text was probably meant. The hits are those of the text as it was sent.",
                ),
            }
        ),
        "Suggestion": _object(
            {
                "filters": (texts_only, "The conditions, on one column."),
                "words": (_TEXT, "The words of the text that say so."),
                "text": (_TEXT, "The text to search for with these filters; empty where nothing is left."),
            }
        ),
        "Spelling": _object(
            {
                "text": (_TEXT, "The text with words corrected that nobody knows."),
                "certain": (
                    {"type": "boolean"},
                    "Whether no word of the text that was sent is known: the app then searches for this one unasked.",
                ),
            }
        ),
        "Query": _object(
            {
                "terms": ({"type": "array", "items": _ref("Term")}, "What was searched for."),
                "n": (n, "How many hits were asked for."),
                "offset": (count, "How many of the best hits were skipped."),
                "filters": ({"type": "array", "items": _TEXT}, "The conditions that every hit meets."),
                "emphasis": (
                    {"type": "object", "additionalProperties": {"type": "number"}},
                    "How much more color, shape and pattern count than in the embedding.",
                ),
                "same_color": ({"type": "boolean"}, "Whether only items of the colours asked for are hits."),
                "duplicates": ({"enum": ["collapse", "show"]}, _DUPLICATES_HELP),
                "diversity": ({"type": "number"}, "How much variety counts, 0 to 1."),
                "spelling": ({"enum": ["correct", "keep"]}, _SPELLING_HELP),
            }
        ),
        "Term": _object(
            {
                "kind": ({"enum": ["text", "item", "upload", "color"]}, "What the value is."),
                "value": (_TEXT, "The words, the item's id, the id of a sent picture, or #rrggbb."),
                "weight": ({"type": "number"}, "Negative means: less like this."),
                "region": (
                    {"type": "array", "items": {"type": "number"}},
                    "Left, top, right, bottom of the part that counts; absent for the whole photo.",
                ),
            },
            required=["kind", "value", "weight"],
        ),
        "Hit": _object(
            {
                "item_id": (_TEXT, "The item."),
                "rank": ({"type": "integer", "minimum": 1}, "1 is the best."),
                "score": (
                    {"type": "number"},
                    "Cosine similarity: higher is more alike; compare within one answer only.",
                ),
                "title": (_TEXT, "Words to show: the title or name column, else the file's name."),
                "image": (_TEXT, "Path of a large WebP of the photo."),
                "thumbnail": (_TEXT, "Path of a small WebP of the photo."),
                "metadata": (_ref("Metadata"), "The item's row."),
                "also": (texts_only, "Ids of the items that are collapsed into this one, best first."),
            }
        ),
        "Item": _object(
            {
                "item_id": (_TEXT, "The item."),
                "title": (_TEXT, "Words to show: the title or name column, else the file's name."),
                "image": (_TEXT, "Path of a large WebP of the photo."),
                "thumbnail": (_TEXT, "Path of a small WebP of the photo."),
                "width_px": (count, "The original's width; 0 where unknown."),
                "height_px": (count, "The original's height; 0 where unknown."),
                "metadata": (_ref("Metadata"), "The item's row."),
            }
        ),
        "CollectionList": _object(
            {
                "collections": (
                    {"type": "array", "items": _ref("CollectionSummary")},
                    "The visitor's, the latest changed first.",
                )
            }
        ),
        "CollectionSummary": _object(
            {
                "id": (_TEXT, "Names the collection; whoever has it may read it."),
                "name": (_TEXT, "What the visitor called it."),
                "created": (_TEXT, "When it was made, UTC."),
                "changed": (_TEXT, "When it last changed, UTC."),
                "item_count": (count, "How many items are saved in it."),
                "query_count": (count, "How many searches are saved in it."),
            }
        ),
        "Collection": _object(
            {
                "id": (_TEXT, "Names the collection; whoever has it may read it."),
                "name": (_TEXT, "What the visitor called it."),
                "created": (_TEXT, "When it was made, UTC."),
                "changed": (_TEXT, "When it last changed, UTC."),
                "items": ({"type": "array", "items": _ref("Item")}, "In the order in which they were saved."),
                "queries": (texts_only, "The searches saved in it, in the grammar of GET search."),
                "gone": (texts_only, "Ids of the saved items that have left the catalog."),
            }
        ),
        "Regions": _object(
            {"regions": ({"type": "array", "items": _ref("SuggestedRegion")}, "The clearest first.")}
        ),
        "SuggestedRegion": _object(
            {
                **{
                    edge: ({"type": "number", "minimum": 0, "maximum": 1}, f"The {edge} edge, as a fraction.")
                    for edge in ("left", "top", "right", "bottom")
                },
                "part": (_TEXT, "The parameter `part` of a search by it."),
            }
        ),
        "MapPhotos": _object(
            {"photos": ({"type": "array", "items": _ref("MapPhoto")}, "Those that are there, as asked for.")}
        ),
        "MapPhoto": _object(
            {
                "key": (count, "The photo's key on the map."),
                "item_id": (_TEXT, "The item."),
                "title": (_TEXT, "Words to show."),
                "image": (_TEXT, "Path of a WebP of the photo."),
                "thumbnail": (_TEXT, "Path of a very small WebP of the photo."),
                "width_px": (count, "The original's width; 0 where unknown."),
                "height_px": (count, "The original's height; 0 where unknown."),
                "metadata": (_ref("Metadata"), "The item's row."),
            }
        ),
        "Metadata": {
            "type": "object",
            "description": "One field for each column that has a value.",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
        "SearchForm": _object(
            {
                "image": ({"type": "string", "format": "binary"}, "The picture, as a file."),
                "text": ({"type": "array", "items": _TEXT}, "Words; may be repeated."),
                "item": ({"type": "array", "items": _TEXT}, "Item ids; may be repeated."),
                "more": (
                    {"type": "array", "items": _TEXT},
                    f"Item ids of weight {MORE_WEIGHT}; may be repeated.",
                ),
                "less": (
                    {"type": "array", "items": _TEXT},
                    f"Item ids of weight {LESS_WEIGHT}; may be repeated.",
                ),
                "upload": (
                    {"type": "array", "items": _TEXT},
                    "Ids of pictures sent before; may be repeated.",
                ),
                "color": ({"type": "array", "items": _TEXT}, "Colours such as cc2233; may be repeated."),
                "part": ({"type": "array", "items": _TEXT}, _PART_HELP),
                "emphasis": (_TEXT, _EMPHASIS_HELP),
                "same": (_TEXT, "`color`: only items of the colours asked for."),
                "duplicates": (_TEXT, _DUPLICATES_HELP),
                "diversity": (_TEXT, "From 0 (the nearest) to 1: how much variety counts."),
                "spelling": (_TEXT, _SPELLING_HELP),
                "n": (n, "How many hits; 10 if not given."),
                "offset": (offset, "How many of the best hits to skip."),
                "filter": ({"type": "array", "items": _TEXT}, _FILTER_HELP),
                "visitor": (_TEXT, "Your own name for the visitor, kept with the feedback."),
            },
            required=False,
        ),
        "SearchBody": _object(
            {
                "text": (weighted, "Words."),
                "items": (weighted, "Item ids."),
                "more": (weighted, f"Item ids; the weight is {MORE_WEIGHT} where none is given."),
                "less": (weighted, f"Item ids; the weight is {LESS_WEIGHT} where none is given."),
                "uploads": (weighted, "Ids of pictures sent before."),
                "colors": (weighted, "Colours as #rrggbb."),
                "emphasis": (
                    {
                        "type": "object",
                        "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
                    },
                    "How much more color, shape and pattern count than in the embedding: 0 to 1 each.",
                ),
                "same_color": ({"type": "boolean"}, "Only items of the colours asked for."),
                "duplicates": ({"enum": ["collapse", "show"]}, _DUPLICATES_HELP),
                "diversity": (
                    {"type": "number", "minimum": 0, "maximum": 1},
                    "From 0 (the nearest) to 1: how much variety counts.",
                ),
                "spelling": ({"enum": ["correct", "keep"]}, _SPELLING_HELP),
                "image": (_TEXT, "A picture in base64, or as a data URL."),
                "n": (n, "How many hits; 10 if not given."),
                "offset": (offset, "How many of the best hits to skip."),
                "filter": (texts, _FILTER_HELP),
                "visitor": (_TEXT, "Your own name for the visitor, kept with the feedback."),
            },
            required=False,
        ),
        "Weighted": _object(
            {
                "value": (_TEXT, "The words or the id."),
                "weight": (
                    {"type": "number", "minimum": -100, "maximum": 100},
                    "Not 0; negative means: less like this.",
                ),
                "region": (
                    {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                    "For photos: left, top, right, bottom of the part that counts, as fractions of the photo.",
                ),
            },
            required=["value"],
        ),
        "Feedback": {
            "oneOf": [_ref("Click"), _ref("Judgment")],
            "discriminator": {"propertyName": "kind"},
        },
        "Click": _object(
            {
                "kind": ({"const": "click"}, "What this is."),
                "search_id": (_TEXT, "The search whose hit was clicked; empty where there was none."),
                "item_id": (_TEXT, "The item that was clicked."),
                "rank": (count, "Its rank in that search; 0 where there was none."),
                "action": (
                    _TEXT,
                    "What the visitor did: `open` if not given, `similar`, `more`, `less`, `buy`, ...",
                ),
                "visitor": (_TEXT, "Your own name for the visitor."),
            },
            required=["kind", "item_id"],
        ),
        "Judgment": _object(
            {
                "kind": ({"const": "judgment"}, "What this is."),
                "query": (
                    _TEXT,
                    "The query that was judged, in the grammar of GET search: `text=red+mug`, `item=1.jpg`.",
                ),
                "item_id": (_TEXT, "The item that was judged."),
                "verdict": (
                    {"enum": list(get_args(Verdict))},
                    "Whether the item is a good answer to the query.",
                ),
                "labeler": (_TEXT, "Who judged."),
                "search_id": (_TEXT, "The search in which it was judged, if any."),
            },
            required=["kind", "query", "item_id", "verdict", "labeler"],
        ),
        "FeedbackRecorded": _object({"recorded": ({"enum": ["click", "judgment"]}, "What was written.")}),
        "ReplicaBatch": _object(
            {
                "batch": (_TEXT, "A random name of the batch."),
                "rows": (
                    {"type": "array", "items": {"type": "array"}},
                    "Each a table's name and the values of its columns.",
                ),
            },
            required=["batch", "rows"],
        ),
        "ReplicaBatchTaken": _object({"taken": ({"type": "integer"}, "How many rows were written.")}),
        "JudgingCall": _object(
            {
                "set": (_TEXT, "The judging set's name."),
                "labeler": (_TEXT, "Who judges."),
                "client": (_TEXT, "A random name of the browser tab: 8 to 64 letters, digits, _ or -."),
                "role": (
                    {"enum": ["rater", "referee"]},
                    "`referee` decides where raters differ; `rater` if not given.",
                ),
                "layout": (
                    {"enum": ["pair", "grid"]},
                    "`grid` gives the pairs of one query together; `pair` if not given.",
                ),
                "acts": ({"type": "array", "items": _ref("JudgingAct")}, "What was done, the oldest first."),
                "history": (
                    {"type": "boolean"},
                    "Whether the labeler's latest acts are wanted, to undo them.",
                ),
            },
            required=["set", "labeler", "client"],
        ),
        "JudgingAct": _object(
            {
                "id": (_TEXT, "A random name of this act, the same when it is sent again."),
                "pair": (count, "The pair."),
                "act": ({"enum": ["good", "bad", "cant_tell", "skip", "undo"]}, "What was done to it."),
                "took_ms": ({"type": "number", "minimum": 0}, "How long the pair was looked at."),
            },
            required=["id", "pair", "act"],
        ),
        "JudgingReply": _object(
            {
                "handled": (texts_only, "The ids of the acts that were sent: none need be sent again."),
                "refused": (
                    {"type": "object", "additionalProperties": _TEXT},
                    "The acts that could not count, and why.",
                ),
                "pairs": ({"type": "array", "items": _ref("JudgingPair")}, "All pairs of this client now."),
                "queries": (
                    {"type": "object", "additionalProperties": _ref("JudgingQuery")},
                    "The queries of the pairs, by their keys.",
                ),
                "history": (
                    {"type": "array", "items": _ref("JudgingPair")},
                    "The labeler's latest acts, the oldest first; empty unless asked for.",
                ),
                "waiting": ({"type": "boolean"}, "No pair is free, but other labelers hold some."),
                "wanted": (count, "How many verdicts the set needs."),
                "judged": (count, "How many it has."),
                "mine": (count, "How many of them are this labeler's."),
                "per_hour": (
                    {"type": ["number", "null"]},
                    "This labeler's pace; null before it can be told.",
                ),
            }
        ),
        "JudgingPair": _object(
            {
                "pair": (count, "The pair's number."),
                "query": (_TEXT, "The query's key."),
                "title": (_TEXT, "The item's title."),
                "image": (_TEXT, "Path of the item's photo; empty where it is gone."),
                "act": (_TEXT, "In the history: what was done."),
                "took_ms": (count, "In the history: how long it took."),
            },
            required=["pair", "query", "title", "image"],
        ),
        "JudgingQuery": _object(
            {
                "parts": (
                    {
                        "type": "array",
                        "items": _object(
                            {
                                "kind": ({"enum": ["text", "item", "upload", "image"]}, "What it is."),
                                "label": (_TEXT, "Its words or title."),
                                "image": (_TEXT, "Path of its photo; empty for words."),
                                "weight": ({"type": "number"}, "Negative means: less like this."),
                            }
                        ),
                    },
                    "What was searched for.",
                ),
                "filters": (texts_only, "The query's conditions."),
            }
        ),
        "Health": _object(
            {
                "status": ({"enum": ["ready", "loading", "degraded"]}, "What is possible."),
                "version": (_TEXT, "The program's version."),
                "items": (count, "Items in the catalog."),
                "generation": (count, "The index generation in use."),
                "encoder": (
                    _object(
                        {
                            "status": ({"enum": ["ready", "loading", "failed"]}, "The model's state."),
                            "spec": (_TEXT, "Which model."),
                            "reason": (_TEXT, "Why it failed, else empty."),
                        }
                    ),
                    "The model that understands texts and pictures.",
                ),
            }
        ),
        "Failed": _object(
            {
                "status": ({"const": "failed"}, "No search is possible."),
                "version": (_TEXT, "The program's version."),
                "error": (_ref("ErrorBody"), "Why."),
            }
        ),
        "Error": _object({"error": (_ref("ErrorBody"), "What went wrong.")}),
        "ErrorBody": _object(
            {
                "code": (_TEXT, "Stable; made for programs."),
                "message": (_TEXT, "One sentence for people."),
            }
        ),
    }


def _object(fields: Mapping[str, tuple[_Schema, str]], required: bool | list[str] = True) -> _Schema:
    """Return the schema of an object with exactly these described fields."""
    schema: _Schema = {
        "type": "object",
        "properties": {name: {**kind, "description": text} for name, (kind, text) in fields.items()},
        "additionalProperties": False,
    }
    names = list(fields) if required is True else required
    return {**schema, "required": names} if names else schema


# --- the page ---------------------------------------------------------------------------------------------------


def docs_page(settings: Settings) -> str:
    """Return the document as one HTML page without a single address outside this service."""
    document = openapi_document(settings)
    operations = "".join(
        _operation_html(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        _schema_html(name, schema) for name, schema in document["components"]["schemas"].items()
    )
    info = document["info"]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(info["title"])} <small>{escape(info["version"])}</small></h1>
<p>{_prose(info["description"])} The machine-readable form is <a href="openapi.json">openapi.json</a>.</p>
<h2>Requests</h2>
{operations}
<h2>Objects</h2>
{schemas}
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _operation_html(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = operation.get("parameters", [])
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}"
        f"{', required' if parameter['required'] else ''}</td><td>{_prose(parameter['description'])}</td></tr>"
        for parameter in parameters
    )
    bodies = "".join(
        f"<li><code>{escape(kind)}</code>: {_schema_name(content['schema'])}</li>"
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(
        f"<li><b>{escape(status)}</b> {_prose(answer['description'])} {_answer_names(answer)}</li>"
        for status, answer in operation["responses"].items()
    )
    example = operation.get("x-example")
    return f"""<details>
<summary><b class="{method}">{method.upper()}</b> <code>{escape(path)}</code> {escape(operation["summary"])}</summary>
<p>{_prose(operation.get("description", ""))}</p>
{f"<table>{rows}</table>" if rows else ""}
{f"<h4>Body</h4><ul>{bodies}</ul>" if bodies else ""}
<h4>Answers</h4><ul>{answers}</ul>
{f"<h4>Example</h4><pre>{escape(example)}</pre>" if example else ""}
{_form_html(path, parameters) if method == "get" and path != "/api/docs" else ""}
</details>
"""


def _form_html(path: str, parameters: list[dict[str, Any]]) -> str:
    fields = "".join(
        f'<label>{escape(parameter["name"])} <input name="{escape(parameter["name"])}" '
        f'data-in="{escape(parameter["in"])}"></label> '
        for parameter in parameters
    )
    return (
        f'<form data-path="{escape(path)}"><h4>Try it</h4>{fields}<button>Send</button>'
        '<output aria-live="polite"></output></form>'
    )


def _schema_html(name: str, schema: _Schema) -> str:
    required = set(schema.get("required", []))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_type_name(kind)}"
        f"{'' if field in required else ', optional'}</td><td>{_prose(kind.get('description', ''))}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    body = (
        f"<table>{rows}</table>"
        if rows
        else f"<p>{_prose(schema.get('description', ''))} {_type_name(schema)}</p>"
    )
    return f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{body}</details>\n'


def _type_name(schema: _Schema) -> str:
    """Return a schema in a few words, objects as links."""
    if "$ref" in schema:
        return _schema_name(schema)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return " or ".join(_type_name(part) for part in schema[word])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type_name(schema['items'])}" if "items" in schema else "list"
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)


def _schema_name(schema: _Schema) -> str:
    name = escape(schema["$ref"].rpartition("/")[2])
    return f'<a href="#{name}">{name}</a>'


def _answer_names(answer: Mapping[str, Any]) -> str:
    return ", ".join(
        _schema_name(content["schema"]) if "$ref" in content["schema"] else f"<code>{escape(kind)}</code>"
        for kind, content in answer.get("content", {}).items()
    )


def _prose(text: str) -> str:
    """Return a description as HTML: what stands in backticks becomes code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))


_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 small { font-weight: normal; opacity: .6; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: .6rem .9rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
b.get { color: #0a7d33; } b.post { color: #b35900; }
@media (prefers-color-scheme: dark) { b.get { color: #5fd38a; } b.post { color: #ffb060; } a { color: #8ab8ff; } }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto; }
td { border-top: 1px solid var(--line); padding: .35rem .8rem .35rem 0; vertical-align: top; }
code, pre { font: .9em ui-monospace, monospace; }
pre { background: var(--line); border-radius: .4rem; overflow: auto; padding: .7rem; max-height: 30rem; }
h4 { margin: 1rem 0 .3rem; }
label { display: inline-block; margin: 0 .8rem .5rem 0; }
input, button { font: inherit; padding: .25rem .5rem; }
img { display: block; max-width: 100%; margin-top: .5rem; }
"""

_SCRIPT = """
const host = location.href.replace(/\\/api\\/docs.*$/, "");
for (const example of document.querySelectorAll("pre")) {
  example.textContent = example.textContent.replaceAll("HOST", host);
}
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let path = form.dataset.path;
    const query = new URLSearchParams();
    for (const input of form.querySelectorAll("input")) {
      if (input.dataset.in === "path") {
        path = path.replace(`{${input.name}}`, input.value.split("/").map(encodeURIComponent).join("/"));
      } else if (input.value) {
        query.append(input.name, input.value);
      }
    }
    const address = host + path + (query.size ? "?" + query : "");
    const output = form.querySelector("output");
    try {
      const answer = await fetch(address);
      const kind = answer.headers.get("content-type") || "";
      if (kind.startsWith("image/") && answer.ok) {
        const picture = new Image();
        picture.alt = address;
        picture.src = address;
        output.replaceChildren(picture);
        return;
      }
      const text = await answer.text();
      const shown = document.createElement("pre");
      shown.textContent = `${answer.status} ${address}\\n` +
        (kind.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text);
      output.replaceChildren(shown);
    } catch (error) {
      output.textContent = String(error);
    }
  });
}
if (location.hash) document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
addEventListener("hashchange", () =>
  document.getElementById(location.hash.slice(1))?.setAttribute("open", ""));
"""
