"""Replicas: processes that answer searches from a copy of the catalog, and send their feedback to one writer.

A replica's `ForwardedFeedback` sends rows in batches and keeps those that the writer has not accepted; the writer's
`Inbox` checks every value and accepts each batch once.
"""

from __future__ import annotations

import hmac
import logging
import math
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import httpx2
from cachetools import FIFOCache

from imgsearch.core.errors import FeedbackError, NotAWriter
from imgsearch.core.records import Verdict
from imgsearch.core.text import is_unicode
from imgsearch.store.database import Database
from imgsearch.store.feedback import MAX_QUEUED, FeedbackLog, FeedbackRow, FeedbackState, max_chars

ROUTE = "/api/v1/replica-feedback"
BATCH_ROWS = 2000
# A character has at most 6 bytes in JSON.
BATCH_CHARS = 2_000_000
MAX_BATCH_BYTES = 16 * 1024 * 1024
RETRY_S = 2.0
TIMEOUT_S = 10.0
REMEMBERED_BATCHES = 10_000
"""Ids of accepted batches, for a replica that missed the response and sends a batch again."""

_COLUMNS: Mapping[str, str] = {
    "impressions": (
        "search_id:t at:d visitor:t query_key:t encoder:t generation:i arm:t item_id:t rank:i score:f ms:f"
    ),
    "empty_searches": "search_id:t at:d visitor:t query_key:t ms:f",
    "exposures": "search_id:t at:d experiment:t arm:t visitor:t query_key:t first_rank:i hits:i ms:f failed:b",
    "clicks": "search_id:t at:d visitor:t item_id:t rank:i action:t",
    "judgments": "at:d query_key:t item_id:t verdict:v labeler:t search_id:o",
}
"""The columns of each table in order. Types: t text, d date, i int, f float, b bool, v verdict, o text or None."""

_log = logging.getLogger(__name__)


class ForwardedFeedback(FeedbackLog):
    """The feedback log of a replica: rows are checked here and sent to the writer.

    While the writer does not answer, up to `MAX_QUEUED` rows wait in memory; the oldest are dropped first.
    """

    def __init__(self, database: Database, writer: str, token: str) -> None:
        """Send to the service at the address `writer`, which must have the same token."""
        self._address = writer.rstrip("/")
        self._client = httpx2.Client(timeout=TIMEOUT_S, headers={"Authorization": f"Bearer {token}"})
        self._unsent: deque[tuple[str, Sequence[FeedbackRow]]] = deque()
        self._dropped = 0
        super().__init__(database)

    def state(self) -> FeedbackState:
        """Return how many rows of this process the writer has accepted, how many wait, and how many were dropped."""
        state, waiting = super().state(), self._waiting()
        return FeedbackState(
            state.written - waiting - self._dropped, state.queued + waiting, state.lost + self._dropped
        )

    def flush(self) -> None:
        """Send the queued rows now, and those that the writer has not accepted before."""
        with self._lock:
            idle = not self._pending
        super().flush()
        if idle and self._unsent:
            with self._flushing:
                self._write(())

    def close(self) -> None:
        """Send what is queued, as far as the writer accepts it."""
        super().close()
        if waiting := self._waiting():
            _log.error("the writer %s did not accept %d rows of feedback", self._address, waiting)
        self._client.close()

    def _append(self, row: FeedbackRow) -> None:
        self._queue([row])

    def _write(self, rows: Sequence[FeedbackRow]) -> None:
        self._unsent.extend((uuid.uuid4().hex, batch) for batch in _batches(rows))
        while self._waiting() > MAX_QUEUED:
            self._dropped += len(self._unsent.popleft()[1])
        while self._unsent:
            if not self._sent(*self._unsent[0]):
                self._writer.start(after_s=RETRY_S)
                return
            self._unsent.popleft()

    def _sent(self, batch: str, rows: Sequence[FeedbackRow]) -> bool:
        """Send a batch and return whether to forget it: the writer accepted it, or would refuse it every time."""
        values = [[table, [_plain(value) for value in row]] for table, row in rows]
        try:
            answer = self._client.post(f"{self._address}{ROUTE}", json={"batch": batch, "rows": values})
        except httpx2.HTTPError as error:
            _log.warning("the writer %s cannot be reached (%s); feedback waits", self._address, error)
            return False
        if answer.status_code == 201:
            return True
        _log.warning("the writer %s answered %d to feedback", self._address, answer.status_code)
        return answer.status_code == 400

    def _waiting(self) -> int:
        return sum(len(rows) for _, rows in list(self._unsent))


def _batches(rows: Sequence[FeedbackRow]) -> Iterator[list[FeedbackRow]]:
    """Yield the rows in batches of at most `BATCH_ROWS` rows and `BATCH_CHARS` characters."""
    batch: list[FeedbackRow] = []
    chars = 0
    for row in rows:
        length = sum(len(value) for value in row[1] if isinstance(value, str))
        if batch and (len(batch) == BATCH_ROWS or chars + length > BATCH_CHARS):
            yield batch
            batch, chars = [], 0
        batch.append(row)
        chars += length
    if batch:
        yield batch


class Inbox:
    """The writer's side: accepts the batches of replicas; safe to use from any thread."""

    def __init__(self, feedback: FeedbackLog, token: str) -> None:
        """Write batches that come with the token into `feedback`; without a token, refuse all."""
        self._feedback = feedback
        self._token = token
        self._accepted: FIFOCache[str, None] = FIFOCache(REMEMBERED_BATCHES)
        self._lock = threading.Lock()

    def take(self, authorization: str, document: Mapping[str, Any]) -> int:
        """Write all rows of a batch, or none, and return their number; 0 for a batch that was accepted before.

        Raises `NotAWriter` for a wrong token, `FeedbackError` for invalid rows.
        """
        given = authorization.removeprefix("Bearer ")
        if not self._token or not hmac.compare_digest(given.encode(), self._token.encode()):
            raise NotAWriter("This service accepts no feedback of replicas, or not with this token.")
        batch, rows = document.get("batch"), document.get("rows")
        if not isinstance(batch, str) or not 0 < len(batch) <= 64:
            raise FeedbackError("A batch needs a name of at most 64 characters.")
        if not isinstance(rows, list) or len(rows) > BATCH_ROWS:
            raise FeedbackError(f"A batch holds a list of at most {BATCH_ROWS} rows.")
        checked = [_checked(row) for row in rows]
        with self._lock:
            if batch in self._accepted:
                return 0
            self._feedback.take(checked)
            self._accepted[batch] = None
        return len(checked)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _checked(row: object) -> FeedbackRow:
    """Return a row as it is written; raises `FeedbackError` for a row that no replica sends."""
    if not (isinstance(row, list) and len(row) == 2 and row[0] in _COLUMNS and isinstance(row[1], list)):
        raise FeedbackError(f"A row must be one of {', '.join(_COLUMNS)} with its values.")
    table, values = row
    columns = [column.split(":") for column in _COLUMNS[table].split()]
    if len(values) != len(columns):
        raise FeedbackError(f"A row of {table} has {len(columns)} values.")
    return table, tuple(
        _value(f"{table}.{name}", kind, value) for (name, kind), value in zip(columns, values, strict=True)
    )


def _value(name: str, kind: str, value: object) -> object:
    valid = False
    if kind == "d" and isinstance(value, str):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=None)
        except ValueError:
            pass
    elif kind == "i":
        valid = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    elif kind == "f":
        valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    elif kind == "b":
        valid = isinstance(value, bool)
    elif kind == "v":
        valid = value in get_args(Verdict)
    elif kind == "o" and value is None:
        valid = True
    elif isinstance(value, str):
        valid = len(value) <= max_chars(name.rpartition(".")[2]) and is_unicode(value)
    if not valid:
        raise FeedbackError(f"{name} holds {str(value)[:50]!r}, which is not valid there.")
    return value
