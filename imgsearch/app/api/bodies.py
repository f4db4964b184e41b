"""Request bodies: their size is limited while they arrive; a worker thread parses them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from imgsearch.app.api.failures import RequestError
from imgsearch.core.errors import ImgSearchError, QueryError
from imgsearch.core.validation import sentence

MAX_FEEDBACK_BYTES = 64 * 1024
# What a multipart or JSON body holds beside the picture: boundaries, headers, and the other fields.
OVERHEAD_BYTES = 256 * 1024
MAX_FORM_FIELDS = 200

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)


def content_type(request: Request) -> str:
    """Return the media type of a request's body, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_json(request: Request, what: str) -> None:
    """Refuse a body of another type: those can be sent by any web page without asking the browser first."""
    if content_type(request) != "application/json":
        raise RequestError(f"Send {what} as application/json.", status=415, code="bad_content_type")


async def read_bytes(request: Request, limit: int) -> bytes:
    """Return the request's body; raises 413 over `limit` bytes."""
    return await limited(request, limit).body()


async def read_form(request: Request, limit: int) -> tuple[dict[str, list[str]], list[bytes]]:
    """Return a multipart form's text fields, and the bytes of its file field `image`; raises 413 over `limit`."""
    request = limited(request, limit)
    with naming_temporary_space():
        async with request.form(
            max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=OVERHEAD_BYTES
        ) as form:
            fields: dict[str, list[str]] = {}
            images: list[bytes] = []
            for name, value in form.multi_items():
                if not isinstance(value, UploadFile):
                    fields.setdefault(name, []).append(value)
                elif name == "image":
                    images.append(await value.read())
                else:
                    raise RequestError(f"The file field must be named 'image', not {name[:40]!r}.")
            if "image" in fields:
                raise RequestError("The field 'image' must be a file.", status=415, code="bad_image")
    return fields, images


@contextmanager
def naming_temporary_space() -> Iterator[None]:
    """Refuse a form in the block that is too large for memory where no temporary folder can take it."""
    try:
        yield
    except OSError as error:
        _LOG.warning("a form could not be kept in a temporary file", exc_info=error)
        raise RequestError(
            "The server has no temporary folder with space for a request of this size; name one in TMPDIR.",
            status=507,
            code="no_temporary_space",
        ) from error


def parse_object(body: bytes, name: str = "The body") -> dict[str, Any]:
    """Return the JSON object of a body or a field; raises `QueryError` for anything else."""
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise QueryError(f"{name} is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise QueryError(f"{name} must be a JSON object.")
    return document


def parse_model(body: bytes, model: TypeAdapter[_T], error: type[ImgSearchError] = QueryError) -> _T:
    """Return a body as its model; raises `error` for a value that the model does not allow.

    An unknown field, an over-long text or invalid JSON raises `QueryError` in any case.
    """
    try:
        return model.validate_json(body)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        of_request = {"json_invalid", "extra_forbidden", "string_too_long", "string_unicode"}
        kind = QueryError if errors[0]["type"] in of_request else error
        raise kind(sentence(errors)) from None


def limited(request: Request, limit: int) -> Request:
    """Return the request, whose body raises 413 as soon as more than `limit` bytes have come."""
    return Request(request.scope, _limited(request, limit))


def _limited(request: Request, limit: int) -> Receive:
    """Return the request's `receive`, which raises as soon as more than `limit` bytes have come.

    So a body is refused while it streams in, with or without a Content-Length.
    """
    refusal = RequestError(
        f"The request has more than {limit:,} bytes.", status=413, code="request_too_large"
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise refusal
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise refusal
        return message

    return receive
