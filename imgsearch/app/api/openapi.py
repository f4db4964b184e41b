"""The OpenAPI document, generated from the routes and their models, and a page that shows it without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

from fastapi.openapi.utils import get_openapi
from jinja2 import Environment, PackageLoader
from pydantic import TypeAdapter
from starlette.routing import BaseRoute

from imgsearch.app.api.imports import BODIES as IMPORT_BODIES
from imgsearch.app.api.item_requests import BatchLine, ItemBody, ItemForm, MetadataBody, UndoBody
from imgsearch.app.api.item_responses import BatchAnswer
from imgsearch.app.api.requests import Feedback, ReplicaBatch, SearchBody, SearchForm
from imgsearch.core.config import Settings
from imgsearch.core.version import __version__
from imgsearch.improve.judging.calls import JudgingCall

_DESCRIPTION = (
    "Visual product search: by item, text, picture, or any weighted mix. Every error is JSON with a stable `code` "
    "and a `message` of one sentence. Item ids go into the path percent-encoded; an id that no path can carry (one "
    "with `..` or `//`, or that ends in `/similar`) is given as `?id=`."
)
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": (
        "The token of the setting `IMGSEARCH_WRITE_TOKEN`. Programs of the same machine need none where the server "
        "listens at loopback addresses only."
    ),
}
_REFERENCE = "#/components/schemas/{model}"
_BODIES: tuple[Any, ...] = (
    *(SearchForm, SearchBody, Feedback, ReplicaBatch, JudgingCall),
    *(ItemForm, ItemBody, MetadataBody, BatchLine, BatchAnswer, UndoBody),
    *IMPORT_BODIES,
)
"""Models of bodies that the handlers read themselves, so FastAPI does not know them."""


def openapi_document(settings: Settings, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Return the OpenAPI document of the routes for a service of these settings."""
    document = get_openapi(
        title=f"{settings.title} API", version=__version__, description=_DESCRIPTION, routes=routes
    )
    schemas = document["components"]["schemas"]
    document["components"]["securitySchemes"] = {"token": _TOKEN}
    _, bodies = TypeAdapter.json_schemas(
        [(model, "validation", TypeAdapter(model)) for model in _BODIES], ref_template=_REFERENCE
    )
    schemas |= bodies["$defs"]
    # FastAPI's own error for parameters: here it is a 400 of the common form.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operation in _operations(document):
        if "HTTPValidationError" in json.dumps(operation["responses"].get("422", {})):
            del operation["responses"]["422"]
        limits = {"max_upload_bytes": settings.max_upload_bytes, "max_pixels": settings.max_pixels}
        description = " ".join(operation["description"].split())
        operation["description"] = (
            description.format(**limits) if "{max_upload_bytes" in description else description
        )
    _limit_pages(document, settings.max_results)
    _tidy(document)
    return _short_names(document)


def docs_page(document: dict[str, Any]) -> str:
    """Return the document as one HTML page without a single address outside this service."""
    template = _environment().get_template("docs.html")
    return template.render(
        info=document["info"], paths=document["paths"], schemas=document["components"]["schemas"]
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("imgsearch.app.api"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _limit_pages(document: dict[str, Any], max_results: int) -> None:
    """Put the service's own limit of results into the schemas of `n` and `offset`."""
    pages = [
        parameter["schema"]
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["name"] in ("n", "offset") and path.endswith(("/search", "/similar"))
    ]
    for model in ("SearchForm", "SearchBody"):
        fields = document["components"]["schemas"][model]["properties"]
        pages += [fields["n"], fields["offset"]]
    for schema in pages:
        for branch in (schema, *schema.get("anyOf", ())):
            if branch.get("type") == "integer":
                branch["maximum"] = max_results


def _short_names(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the schema of the class `ItemDocument` as `Item`."""
    text = re.sub(r'"((?:#/components/schemas/)?\w+)Document"', r'"\1"', json.dumps(document))
    return cast(dict[str, Any], json.loads(text))


def _tidy(node: Any) -> None:
    """Remove titles, which pydantic makes of names, and defaults, which are texts where numbers are described."""
    if isinstance(node, dict):
        if "type" in node or "anyOf" in node or "$ref" in node or "enum" in node:
            if isinstance(node.get("title"), str):
                del node["title"]
            if not isinstance(node.get("default"), dict):
                node.pop("default", None)
        for part in node.values():
            _tidy(part)
    elif isinstance(node, list):
        for part in node:
            _tidy(part)
