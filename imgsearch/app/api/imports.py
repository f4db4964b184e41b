"""Imports over HTTP: start, follow, pause, resume and cancel them, and see what a feed would bring."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import IO, Annotated, Any, Literal, TypeVar, get_args, get_origin

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, with_config
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from imgsearch.app.access import Permission
from imgsearch.app.api.bodies import content_type, limited, parse_model, read_bytes, require_json
from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.responses import described
from imgsearch.app.api.routing import ApiRouter, ClosedParams
from imgsearch.app.service import SearchService
from imgsearch.core.csv_cells import escape_formula
from imgsearch.core.errors import SourceError, WriteRefused
from imgsearch.ingest.import_spec import MAX_CHARS, Gone, ImportSpec

MAX_BODY_BYTES = 256 * 1024
MAX_FILES = 10_000
MAX_FIELDS = 50
MAX_NUMBER = 2**53
FAILURES_PAGE = 1000

router = ApiRouter()

_T = TypeVar("_T")
_Id = Annotated[int, Path(description="The import's number.", ge=1, le=MAX_NUMBER)]
_Text = Annotated[str, Field(max_length=MAX_CHARS)]


def _described(text: str) -> Any:
    return Field(description=text)


class ImportOptions(BaseModel):
    """What to import and how; one of `url`, `path`, `upload` and files."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[_Text, _described("A feed's address.")] = ""
    path: Annotated[
        _Text,
        _described("A feed, folder, archive or manifest on the server's disk; for programs of its machine."),
    ] = ""
    upload: Annotated[_Text, _described("Files that were sent for a preview.")] = ""
    source: Annotated[
        _Text, _described("The name under which the items are known; importing it again updates them.")
    ] = ""
    gone: Annotated[Gone, _described("What becomes of items that the source no longer lists.")] = "keep"
    max_removed: Annotated[
        _Text, _described("Remove or hide at most this share (`60%`) or number of the source's items.")
    ] = ""
    accept_removal: Annotated[bool, _described("Remove or hide any number of them.")] = False
    format: Annotated[_Text, _described("The feed's format, where it is not recognised.")] = ""
    id_column: Annotated[_Text, _described("The column of the ids.")] = ""
    image_columns: Annotated[list[_Text], Field(max_length=50), _described("The columns of the photos.")] = []
    encoding: Annotated[_Text, _described("The encoding of delimited text.")] = ""
    separator: Annotated[_Text, _described("The separator of delimited text.")] = ""
    private_hosts: Annotated[
        bool,
        _described("Whether URLs may point into the local network; for programs of the server's machine."),
    ] = False


class ImportForm(ImportOptions):
    """The same as form fields, with the files."""

    file: Annotated[
        list[bytes], _described("A feed, a table, photos or archives of them; the field may be repeated.")
    ]


class FailureParams(ClosedParams):
    """Which failures are listed."""

    offset: Annotated[int, Query(description="How many to leave out.", ge=0, le=MAX_NUMBER)] = 0


_CLOSED = with_config(ConfigDict(extra="forbid"))


@_CLOSED
class ImportCounts(TypedDict):
    """How far an import is."""

    done: Annotated[int, described("Rows and photos that were read.")]
    total: Annotated[int | None, described("How many there are; null while that is not known.")]
    encoded: Annotated[int, described("Photos that were encoded.")]
    failed: Annotated[int, described("Rows and photos that could not be imported.")]


@_CLOSED
class ImportDocument(TypedDict):
    """One import."""

    id: Annotated[int, described("Identifies the import.")]
    status: Annotated[
        Literal["queued", "running", "paused", "done", "failed", "cancelled", "interrupted"],
        described("What it does now, or how it ended."),
    ]
    source: Annotated[str, described("The feed, folder or archive.")]
    spec: Annotated[dict[str, Any], described("What was requested.")]
    actor: Annotated[str, described("Who or what started it.")]
    created_at: Annotated[str, described("When it was requested, UTC.")]
    started_at: Annotated[str | None, described("When it began, UTC; null before.")]
    ended_at: Annotated[str | None, described("When it ended, UTC; null before.")]
    progress: Annotated[ImportCounts, described("How far it is.")]
    report: Annotated[
        dict[str, Any] | None,
        described("What it did, as `imgsearch index --json` prints it; null before its end."),
    ]
    reason: Annotated[str, described("Why it failed or was refused, else empty.")]


@_CLOSED
class ImportList(TypedDict):
    """Imports, the newest first."""

    imports: Annotated[list[ImportDocument], described("The newest first.")]


@_CLOSED
class ImportFailure(TypedDict):
    """A row or photo that could not be imported."""

    path: Annotated[str, described("The row or the photo.")]
    reason: Annotated[str, described("Why, in one sentence.")]


@_CLOSED
class ImportFailures(TypedDict):
    """What an import could not import, in its order."""

    failures: Annotated[list[ImportFailure], described("In the order of the import.")]


@_CLOSED
class ImportPreview(TypedDict):
    """What was understood of an import. `upload` names the files that were sent, for the import."""

    source: Annotated[str, described("The feed, folder or archive.")]
    upload: Annotated[str, described("Names the files that were sent; empty without any.")]
    feeds: Annotated[list[dict[str, Any]], described("What was understood of each table.")]
    photos: Annotated[int, described("How many photos were found beside those of feeds.")]
    shown: Annotated[list[str], described("Some of these photos.")]
    rows: Annotated[int, described("How many rows a table without photos has, else 0.")]
    items: Annotated[int, described("How many items of the catalog these rows name.")]


BODIES: tuple[Any, ...] = (ImportOptions, ImportForm)
_BODY = {"application/json": "ImportOptions", "multipart/form-data": "ImportForm"}
_OPTIONS = TypeAdapter(ImportOptions)


@router.endpoint(
    "/api/v1/imports",
    "Import a feed, a folder or files",
    writes=True,
    body=_BODY,
    status_code=202,
    response_model=ImportDocument,
    fails=(400, 413, 415, 503),
    example="curl HOST/api/v1/imports -F file=@products.csv -F gone=hide",
)
async def start_import(request: Request) -> Response:
    """Queue an import, which runs in the background. Items are identified by their ids: what is unchanged is skipped,
    so an import that was cancelled or interrupted continues when it is resumed. JSON names a feed by `url`; a form
    brings files: a feed, photos, archives of both.
    """
    async with _spec(request) as spec:
        actor = str(request.state.permission)
        document = await _work(
            request, lambda service: service.imports.get(service.imports.start(spec, actor))
        )
    return json_answer(document, 202, {"Location": f"/api/v1/imports/{document['id']}"}, cache="no-store")


@router.endpoint(
    "/api/v1/imports/preview",
    "What an import would bring",
    writes=True,
    body=_BODY,
    response_model=ImportPreview,
    fails=(400, 413, 415, 503),
    example="curl HOST/api/v1/imports/preview -F file=@products.csv",
)
async def preview_import(request: Request) -> Response:
    """Read the feed and say what was understood: its format, its columns with their kinds, products, photos, rows
    that fail. No photo is fetched and nothing is changed. Files that were sent stay for a day, for an import with
    this `upload`.
    """
    async with _spec(request) as spec:
        preview = await _work(request, lambda service: service.imports.preview(spec))
    return json_answer({**preview, "upload": spec.upload}, cache="no-store")


@router.endpoint(
    "/api/v1/imports",
    "The imports",
    writes=True,
    response_model=ImportList,
    fails=(503,),
    example="curl HOST/api/v1/imports",
)
async def list_imports(request: Request) -> Response:
    """The latest hundred, the newest first. Only for those who may import: a feed's address may hold a secret."""
    return json_answer(
        {"imports": await _work(request, lambda service: service.imports.latest())}, cache="no-store"
    )


# Before the route of one import, which would take the ending for a part of the number.
@router.endpoint(
    "/api/v1/imports/{id:int}/failures.csv",
    "What an import could not import, as a table",
    writes=True,
    content=("text/csv", "The table."),
    fails=(400, 404, 503),
    example="curl -O HOST/api/v1/imports/12/failures.csv",
)
async def failure_table(request: Request, id: _Id) -> Response:
    """Columns: path and reason. What a spreadsheet would take for a formula begins with an apostrophe."""
    found = await _work(request, lambda service: service.imports.failures(id, limit=MAX_NUMBER))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("path", "reason"))
    table.writerows([[escape_formula(each.path), escape_formula(each.reason)] for each in found])
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="import-{id}-failures.csv"',
    }
    return Response(text.getvalue().encode("utf-8", errors="replace"), media_type="text/csv", headers=headers)


@router.endpoint(
    "/api/v1/imports/{id:int}/failures",
    "What an import could not import",
    writes=True,
    response_model=ImportFailures,
    fails=(400, 404, 503),
    example="curl HOST/api/v1/imports/12/failures",
)
async def import_failures(request: Request, id: _Id, params: Annotated[FailureParams, Query()]) -> Response:
    """A thousand rows and photos from `offset` on, each with its reason."""

    def work(service: SearchService) -> list[Any]:
        return service.imports.failures(id, offset=params.offset, limit=FAILURES_PAGE)

    found = await _work(request, work)
    return json_answer({"failures": [asdict(each) for each in found]}, cache="no-store")


@router.endpoint(
    "/api/v1/imports/{id:int}",
    "One import",
    writes=True,
    response_model=ImportDocument,
    fails=(400, 404, 503),
    example="curl HOST/api/v1/imports/12",
)
async def get_import(request: Request, id: _Id) -> Response:
    """Its status, its progress, and at the end its report."""
    return json_answer(await _work(request, lambda service: service.imports.get(id)), cache="no-store")


@router.endpoint(
    "/api/v1/imports/{id:int}/pause",
    "Pause an import",
    method="POST",
    writes=True,
    response_model=ImportDocument,
    fails=(400, 404, 409, 503),
    example="curl -X POST HOST/api/v1/imports/12/pause",
)
async def pause_import(request: Request, id: _Id) -> Response:
    """Let an import that runs wait after this batch."""
    return json_answer(await _work(request, lambda service: service.imports.pause(id)), cache="no-store")


@router.endpoint(
    "/api/v1/imports/{id:int}/resume",
    "Resume an import",
    method="POST",
    writes=True,
    response_model=ImportDocument,
    fails=(400, 404, 409, 503),
    example="curl -X POST HOST/api/v1/imports/12/resume",
)
async def resume_import(request: Request, id: _Id) -> Response:
    """Continue a paused import, or run one again that was interrupted, failed or cancelled."""
    return json_answer(await _work(request, lambda service: service.imports.resume(id)), cache="no-store")


@router.endpoint(
    "/api/v1/imports/{id:int}/cancel",
    "Cancel an import",
    method="POST",
    writes=True,
    response_model=ImportDocument,
    fails=(400, 404, 409, 503),
    example="curl -X POST HOST/api/v1/imports/12/cancel",
)
async def cancel_import(request: Request, id: _Id) -> Response:
    """End an import after this batch; what it has imported stays."""
    return json_answer(await _work(request, lambda service: service.imports.cancel(id)), cache="no-store")


async def _work(request: Request, work: Callable[[SearchService], _T]) -> _T:
    """Return `work(service)`, run in a thread; what is wrong with a source is the request's fault here."""
    try:
        return await context_of(request).read(work)
    except SourceError as error:
        raise RequestError(str(error), code=error.code) from None


@asynccontextmanager
async def _spec(request: Request) -> AsyncIterator[ImportSpec]:
    """Yield what a request wants to import; files that it sent are stored."""
    if content_type(request) == "multipart/form-data":
        options, upload = await _read_files(request)
    else:
        require_json(request, "an import")
        options, upload = parse_model(await read_bytes(request, MAX_BODY_BYTES), _OPTIONS), ""
    permission: Permission = request.state.permission
    local = permission != "write token" or context_of(request).access.is_of_this_machine(request)
    if (options.path or options.private_hosts) and not local:
        raise WriteRefused("Only programs on the server's machine may name its paths and its network.")
    values = options.model_dump() | ({"upload": upload} if upload else {})
    try:
        yield ImportSpec.from_dict(values)
    except SourceError as error:
        raise RequestError(str(error), code=error.code) from None


async def _read_files(request: Request) -> tuple[ImportOptions, str]:
    """Store the files of a form, and return its options and the upload."""
    limit = context_of(request).settings.max_import_bytes
    try:
        async with limited(request, limit).form(
            max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_BODY_BYTES
        ) as form:
            fields: dict[str, list[str]] = {}
            files: list[tuple[str, IO[bytes]]] = []
            for name, value in form.multi_items():
                if not isinstance(value, UploadFile):
                    fields.setdefault(name, []).append(value)
                elif name == "file":
                    files.append((value.filename or "file", value.file))
                else:
                    raise RequestError(f"The file fields must be named 'file', not {name[:40]!r}.")
            options = _form_options(fields)
            upload = await _work(request, lambda service: service.imports.stage(iter(files))) if files else ""
    except OSError as error:
        message = f"The files cannot be stored ({error.strerror or error})."
        raise RequestError(message, status=507, code="no_space") from None
    return options, upload


def _form_options(fields: dict[str, list[str]]) -> ImportOptions:
    lists = {name for name, field in ImportOptions.model_fields.items() if _is_list(field.annotation)}
    values: dict[str, str | Sequence[str]] = {
        name: texts if name in lists else texts[-1] for name, texts in fields.items()
    }
    return parse_model(json.dumps(values).encode(), _OPTIONS)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(each) for each in get_args(annotation))
