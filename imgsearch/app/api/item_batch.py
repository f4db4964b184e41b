"""Batches: many changes as JSON lines, answered line by line while they come."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from imgsearch.app.api.bodies import OVERHEAD_BYTES, content_type
from imgsearch.app.api.context import Context, context_of
from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.item_changes import actor_of, outcome_document
from imgsearch.app.api.item_requests import line_of
from imgsearch.app.api.ndjson import AnswerSpool, Line, LineSplitter
from imgsearch.app.api.routing import ApiRouter
from imgsearch.app.item_checks import ItemChecks
from imgsearch.core.errors import ImgSearchError
from imgsearch.ingest.item_changes import ChangeOutcome, ItemChange, failed

MEDIA_TYPE = "application/x-ndjson"
MAX_LINES = 1_000_000
MAX_BYTES = 8 * 1024**3
CHUNK_LINES = 1000
CHUNK_BYTES = 16 * 1024**2
WAITING_PIECES = 4
REST_RATIO = 0.2
"""Between chunks a batch rests for this share of the time of a chunk, so that searches go first."""

router = ApiRouter()

_LOG = logging.getLogger(__name__)


@router.endpoint(
    "/api/v1/items/batch",
    "Change many items",
    name="change_items",
    writes=True,
    content=(MEDIA_TYPE, "A line for each line.", "BatchAnswer"),
    fails=(400, 413, 415, 503),
    body={MEDIA_TYPE: "BatchLine"},
    example="curl -T prices.jsonl -X POST -H 'Content-Type: application/x-ndjson' HOST/api/v1/items/batch",
)
async def change_items(request: Request) -> Response:
    """One JSON object a line, at most 1,000,000 lines, also compressed (`Content-Encoding: gzip`). The answer has a
    line for each line that is not blank, in their order, as soon as the change is on disk and the next search finds
    it. A line that cannot be read or done fails alone. Searches and single changes go first. A client that leaves
    stops the batch; what was answered is done. Where the whole batch fails, the last line says why.
    """
    if content_type(request) not in {MEDIA_TYPE, "application/ndjson", "application/jsonl"}:
        raise RequestError(f"Send the changes as {MEDIA_TYPE}.", status=415, code="bad_content_type")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise RequestError(
            "Send the changes plain or with Content-Encoding: gzip.", status=415, code="bad_content_type"
        )
    if "idempotency-key" in request.headers:
        raise RequestError(
            "A batch takes no Idempotency-Key: its lines may be sent again, and change nothing a second time."
        )
    context = context_of(request)
    await context.read(lambda _: None)
    most = context.settings.max_upload_bytes * 4 // 3 + OVERHEAD_BYTES
    splitter = LineSplitter(
        compressed=encoding != "identity", max_line_bytes=most, max_lines=MAX_LINES, max_bytes=MAX_BYTES
    )
    return _BatchResponse(context, splitter, actor_of(request))


class _BatchResponse(Response):
    """Reads the request and answers at the same time.

    Starlette's streaming response would take the pieces of the request while it waits for the client to leave.
    """

    def __init__(self, context: Context, splitter: LineSplitter, actor: str) -> None:
        super().__init__(
            media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._batch = _Batch(context, splitter, actor)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a line for each line."""
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        try:
            async with anyio.create_task_group() as tasks:
                source, pieces = anyio.create_memory_object_stream[bytes](WAITING_PIECES)
                tasks.start_soon(self._batch.read, receive, source)
                tasks.start_soon(self._batch.send, send)
                await self._batch.apply(pieces)
                await self._batch.sent.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._batch.spool.close()


class _Batch:
    """The three tasks of a batch: what arrives, what is done, and what is answered."""

    def __init__(self, context: Context, splitter: LineSplitter, actor: str) -> None:
        self.spool = AnswerSpool()
        self.sent = anyio.Event()
        self._context, self._splitter, self._actor = context, splitter, actor
        self._left = False
        self._finished = False
        self._answered = anyio.Event()

    async def read(self, receive: Receive, source: MemoryObjectSendStream[bytes]) -> None:
        """Hand on the pieces of the request, as fast as they are taken, and notice when the client leaves."""
        more = True
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._left = True
                self._answered.set()
                await source.aclose()
                return
            if more:
                more = message.get("more_body", False)
                await source.send(message.get("body", b""))
                if not more:
                    await source.aclose()

    async def apply(self, pieces: MemoryObjectReceiveStream[bytes]) -> None:
        """Apply the lines chunk by chunk as they arrive; the next chunk begins when the last one is done."""
        held = 0
        try:
            async for piece in pieces:
                self._splitter.push(piece)
                held += len(piece)
                waiting = pieces.statistics().current_buffer_used
                # A client may send without a pause: what is held in memory has a limit.
                if not self._left and (not waiting or held >= CHUNK_BYTES):
                    held = 0
                    await self._apply_lines(at_end=False)
            await self._apply_lines(at_end=True)
        except ImgSearchError as error:
            self._write([{"line": 0, **outcome_document(failed("", error.code, str(error)))}])
        except Exception:
            # The answer has begun, so its last line is the only place for this.
            _LOG.exception("a batch of changes failed")
            message = "The server failed at this batch; its log says why."
            self._write([{"line": 0, **outcome_document(failed("", "internal_error", message))}])
        finally:
            self._finished = True
            self._answered.set()

    async def _apply_lines(self, *, at_end: bool) -> None:
        more = True
        while more and not self._left:
            started = time.perf_counter()
            more = await self._context.write_many(lambda: self._apply_chunk(at_end))
            self._answered.set()
            await anyio.sleep((time.perf_counter() - started) * REST_RATIO)

    def _apply_chunk(self, at_end: bool) -> bool:
        """Apply the next lines, in a thread; return whether there were any."""
        lines = self._splitter.take(most=CHUNK_LINES, most_bytes=CHUNK_BYTES, at_end=at_end)
        if not lines:
            return False
        outcomes = applied(self._context, lines, self._actor)
        self._write(
            [
                {"line": line.number, **outcome_document(each)}
                for line, each in zip(lines, outcomes, strict=True)
            ]
        )
        return True

    def _write(self, answers: Sequence[dict[str, Any]]) -> None:
        text = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in answers)
        self.spool.write(text.encode("utf-8", errors="replace"))

    async def send(self, send: Send) -> None:
        """Send the answers as fast as the client takes them."""
        while not self._left:
            # In this order: what is written after the reading sets the new event.
            answered = self._answered = anyio.Event()
            finished = self._finished
            data = await anyio.to_thread.run_sync(self.spool.read)
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
            elif finished:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                break
            elif not self._left:
                await answered.wait()
        self.sent.set()


def applied(context: Context, lines: Sequence[Line], actor: str) -> list[ChangeOutcome]:
    """Apply lines at low priority and return an outcome for each."""
    service = context.open_service()
    checks = ItemChecks(service)
    outcomes: list[ChangeOutcome | None] = []
    changes: list[ItemChange] = []
    for line in lines:
        item_id = ""
        try:
            if line.data is None:
                raise RequestError("The line is too long.", code="request_too_large")
            given = line_of(line.data)
            item_id = given.item_id
            change = given.change()
            checks.check(change)
        except ImgSearchError as error:
            outcomes.append(failed(item_id, error.code, str(error)))
        else:
            changes.append(change)
            outcomes.append(None)
    done = iter(service.items.apply(changes, actor=actor, low_priority=True) if changes else ())
    return [next(done) if each is None else each for each in outcomes]
