"""Commands of the command line: for processes of the same user on the same machine, and so not documented as API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from imgsearch.app.access import is_loopback
from imgsearch.app.api.bodies import parse_model, read_bytes, require_json
from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.failures import RequestError
from imgsearch.app.commands import CommandCall, CommandRun
from imgsearch.app.service import SearchService
from imgsearch.core.errors import WriteRefused
from imgsearch.core.version import __version__

ROUTE = "/api/v1/commands"
ALIVE_EVERY_S = 2.0
"""How often a command that prints nothing says that it runs: a client waits no longer for a server that hangs."""
MAX_BYTES = 4 * 1024 * 1024

_Text = Annotated[str, Field(max_length=100_000)]


class CommandBody(BaseModel):
    """A command line, and where and how its client runs."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[str, Field(max_length=100)]
    catalog: Annotated[str, Field(max_length=10_000)]
    arguments: Annotated[list[_Text], Field(max_length=100_000)]
    folder: Annotated[str, Field(max_length=10_000)]
    columns: Annotated[int, Field(ge=0, le=10_000)] = 0
    encoding: Annotated[str, Field(max_length=100)] = "utf-8"


_BODY = TypeAdapter(CommandBody)


async def run_command(request: Request) -> Response:
    """Run a command in this process and answer with its events, one JSON object a line."""
    service = await context_of(request).read(lambda service: service)
    check_token(request)
    require_json(request, "a command")
    body = parse_model(await read_bytes(request, MAX_BYTES), _BODY)
    await context_of(request).read(partial(_check, body))
    call = CommandCall(tuple(body.arguments), body.folder, body.columns, body.encoding)
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()

    def send(event: Mapping[str, Any] | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(events.put_nowait, event)

    run = service.commands.start(call, send)
    stream = _lines(run, events)
    return StreamingResponse(stream, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


async def list_commands(request: Request) -> Response:
    """Answer with the number of commands that run."""
    service = await context_of(request).read(lambda service: service)
    check_token(request)
    return json_answer({"running": service.commands.count()})


async def cancel_command(request: Request) -> Response:
    """Let a command end at its next step."""
    service = await context_of(request).read(lambda service: service)
    check_token(request)
    return json_answer({"cancelled": service.commands.cancel(request.path_params["id"])})


ROUTES = [
    Route(ROUTE, list_commands, methods=["GET"], include_in_schema=False),
    Route(ROUTE, run_command, methods=["POST"], include_in_schema=False),
    Route(f"{ROUTE}/{{id}}/cancel", cancel_command, methods=["POST"], include_in_schema=False),
]


def check_token(request: Request) -> None:
    """Refuse a client of another machine, and one without the token of this process's `writer.json`."""
    client = request.client.host if request.client else ""
    own = (request.scope.get("server") or ("",))[0]
    allowed = context_of(request).access.check(request) == "local token"
    if not allowed or not (is_loopback(client) or client == own):
        raise WriteRefused("Only the catalog's owner may run commands, on the machine of the server.")


def _check(body: CommandBody, service: SearchService) -> None:
    try:
        same = Path(body.catalog).samefile(service.catalog.folder)
    except OSError:
        same = False
    if not same:
        raise RequestError("This server has another catalog open.", status=409, code="other_catalog")
    if service.commands.runner is None:
        raise RequestError("This server runs no commands.", status=409, code="no_commands")
    if body.version != __version__:
        message = f"The server runs imgsearch {__version__}, and this command is {body.version}; restart the server."
        raise RequestError(message, status=409, code="other_version")


async def _lines(run: CommandRun, events: asyncio.Queue[Mapping[str, Any] | None]) -> AsyncIterator[bytes]:
    """Yield the events of a command; cancel it where the client leaves."""
    try:
        while True:
            try:
                event = await asyncio.wait_for(events.get(), ALIVE_EVERY_S)
            except TimeoutError:
                event = {"event": "alive"}
            if event is None:
                return
            yield json.dumps(event, ensure_ascii=True).encode() + b"\n"
    finally:
        run.cancel()
