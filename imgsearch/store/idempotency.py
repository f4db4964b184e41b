"""Answers of requests that carried an `Idempotency-Key`: the same request again gets the same answer.

An answer is stored right after the change was committed. A process that is killed between the two leaves a change
without an answer: then the log of changes, whose actor names the request, tells that it was done.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from imgsearch.core.errors import IdempotencyConflict, IdempotencyMismatch
from imgsearch.store.database import Database, utc_now

KEPT = timedelta(hours=24)
MAX_KEY_CHARS = 255
ACTOR_MARK = ", request "
PRUNE_EVERY = 500
"""After how many stored answers the expired ones are deleted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EarlierChange:
    """What the log of changes says about a request with a key: which change it made of which item."""

    change_id: int
    item_id: str
    kind: str
    created: bool


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer of HTTP: its status, its own headers, and its body; `repeated` where it was given before."""

    status: int
    headers: Mapping[str, str]
    body: str
    repeated: bool = False


class IdempotentAnswers:
    """Does each request with a key once; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._stored = 0
        self._earlier: dict[str, EarlierChange] | None = None

    def once(
        self,
        key: str,
        fingerprint: str,
        work: Callable[[str], KeptAnswer],
        answer_of: Callable[[EarlierChange], KeptAnswer],
    ) -> KeptAnswer:
        """Return the kept answer of the key, or that of `work(name)`, which is then kept.

        The actor of the change that the work makes must end with `ACTOR_MARK` and the name: where an earlier process
        made it and was killed before it kept the answer, the answer is `answer_of` the change. An error of `work`
        means that nothing was changed: nothing is kept, and the request may be sent again with its key.

        Raises `IdempotencyMismatch` where the key belongs to a request with another fingerprint,
        `IdempotencyConflict` while a request with it runs.
        """
        with self._lock:
            if key in self._running:
                raise IdempotencyConflict(
                    "A request with this Idempotency-Key is still running; wait for its answer."
                )
            self._running.add(key)
        try:
            kept = self._find(key, fingerprint)
            if kept is not None:
                return kept
            name = _name(key, fingerprint)
            earlier = self._changes_before().get(name)
            answer = work(name) if earlier is None else replace(answer_of(earlier), repeated=True)
            self._keep(key, fingerprint, answer)
            return answer
        finally:
            with self._lock:
                self._running.discard(key)

    def _find(self, key: str, fingerprint: str) -> KeptAnswer | None:
        row = (
            self._database.cursor()
            .execute(
                "SELECT fingerprint, status, headers, body FROM idempotent_answers "
                "WHERE key_hash = ? AND key = ? AND answered_at > ?",
                [_hash(key), key, utc_now() - KEPT],
            )
            .fetchone()
        )
        if row is None:
            return None
        if row[0] != fingerprint:
            raise IdempotencyMismatch(
                "This Idempotency-Key was sent with another request; give every request a key of its own."
            )
        return KeptAnswer(row[1], json.loads(row[2]), row[3], repeated=True)

    def _changes_before(self) -> dict[str, EarlierChange]:
        """Return the changes of requests with keys that earlier processes made lately, by the requests' names."""
        with self._lock:
            if self._earlier is None:
                rows = self._database.cursor().execute(
                    "SELECT actor, change_id, item_id, kind, before IS NULL FROM item_changes "
                    "WHERE happened_at > ? AND contains(actor, ?)",
                    [utc_now() - KEPT, ACTOR_MARK],
                )
                self._earlier = {
                    actor.rpartition(ACTOR_MARK)[2]: EarlierChange(change_id, item_id, kind, created)
                    for actor, change_id, item_id, kind, created in rows.fetchall()
                }
            return self._earlier

    def _keep(self, key: str, fingerprint: str, answer: KeptAnswer) -> None:
        """Store an answer; the change is committed already, so a failure is only logged."""
        row: list[Any] = [_hash(key), key, fingerprint, utc_now(), answer.status]
        try:
            with self._database.transaction() as cursor:
                if self._stored % PRUNE_EVERY == 0:
                    cursor.execute(
                        "DELETE FROM idempotent_answers WHERE answered_at <= ?", [utc_now() - KEPT]
                    )
                cursor.execute(
                    "INSERT INTO idempotent_answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [*row, json.dumps(dict(answer.headers)), answer.body],
                )
            self._stored += 1
        except Exception:
            _log.exception("the answer of a request with an Idempotency-Key could not be stored")


def _name(key: str, fingerprint: str) -> str:
    """Return what identifies a request with a key in the log of changes: 33 characters."""
    return f"{_hash(key):016x}-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}"


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
