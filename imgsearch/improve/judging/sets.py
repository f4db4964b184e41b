"""Judging sets: which pairs are to be judged, who is given which of them next, and what each labeler said.

It owns the `judging_*` tables. A pair of a query and an item is judged by at most `raters` labelers, and is in the
hands of one at a time: what a labeler may see next is leased to him for some minutes, and leasing, the cap and the
verdict are decided inside one transaction. Every act is one appended row, known by the id that the browser gave it,
so that an act that is sent again is done once. Verdicts also land in the feedback's `judgments`. It does not know
how pairs are drawn, nor which system found what.

    rater     one of the `raters` labelers of a pair
    referee   who decides where the raters differ; counts beside the cap, and wins
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import pandas as pd

from imgsearch.core.errors import ImgSearchError, JudgingError
from imgsearch.core.query import Term
from imgsearch.core.query_address import thumbnail_url, upload_url
from imgsearch.core.records import Judgment, Verdict
from imgsearch.improve.judging.agreement import Agreement, disagreements, measure_agreement
from imgsearch.improve.judging.pools import Pool, pool_of
from imgsearch.improve.judging.topics import topic_of, topic_query
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame
from imgsearch.store.feedback import FeedbackLog

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "DEFAULT_GUIDELINE",
    "Act",
    "Disagreement",
    "Guideline",
    "ImportedVerdict",
    "Judging",
    "JudgingCall",
    "JudgingReply",
    "JudgingSet",
    "LabelerProgress",
    "Progress",
    "clean_name",
]

Role = Literal["rater", "referee"]
Layout = Literal["pair", "grid"]
ActKind = Literal["good", "bad", "cant_tell", "skip", "undo"]

LEASE_S = 300.0
"""How long a pair stays with a labeler of whom nothing is heard; every call renews it."""
AHEAD = 10
"""How many pairs a labeler is given ahead, so that the next one is there at once."""
GRID_SIZE = 24
HISTORY = 20
MAX_NAME = 100
MAX_RATERS = 20
MAX_PAIRS = 500_000
MAX_GUIDELINE = 10_000
MAX_ACTS = 300
LONGEST_TOOK_MS = 60_000
"""A pair that took longer was a break; it counts as this long."""
PACE_OVER = 50
PHOTO_PX = 768
TERM_PX = 384

DEFAULT_GUIDELINE = (
    "Good: somebody who asked for this would be glad to see it.\n"
    "Bad: it misses what was asked for.\n"
    "Can't tell: the photo does not show enough to decide.\n"
    "Judge what you see, not how well known or how dear it is."
)

_EVENT_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")

# How many verdicts stand is the sum of the acts' `change` (+1 given, -1 taken back, 0 changed or none): far quicker
# than looking for the latest act of each labeler, which is for the rarer questions.

# The latest counted act of every labeler on every pair of a set; a withdrawn or skipped one is no verdict.
_STANDING = """
    WITH latest AS (
        SELECT pair_id, labeler, role, arg_max(act, rowid) AS act, arg_max(took_ms, rowid) AS took_ms,
            max(rowid) AS place, arg_max(happened_at, rowid) AS happened_at
        FROM judging_acts WHERE set_id = $set AND counted GROUP BY pair_id, labeler, role
    ), standing AS (SELECT * FROM latest WHERE act IN ('good', 'bad', 'cant_tell'))
"""


_DIVIDED = """
    , divided AS (
        SELECT pair_id FROM standing GROUP BY pair_id
        HAVING count(DISTINCT act) FILTER (role = 'rater' AND act IN ('good', 'bad')) > 1
    ),
"""


@dataclass(frozen=True, slots=True)
class JudgingSet:
    """A set of pairs to judge; `source` says in words where its queries came from."""

    set_id: int
    name: str
    created_at: datetime
    source: str
    systems: tuple[str, ...]
    depth: int
    raters: int
    seed: int
    queries: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Guideline:
    """What labelers should go by; `version` counts from 1, 0 is the text that a new set starts with."""

    text: str
    version: int = 0
    author: str = ""
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LabelerProgress:
    """What one labeler has done in a set; `per_hour` is None before there is enough to tell."""

    labeler: str
    judged: int
    per_hour: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a set is: `judged` of `wanted` verdicts, `pairs_done` of `pairs` have all they need."""

    pairs: int
    pairs_done: int
    wanted: int
    judged: int
    divided: int
    gone: int
    labelers: tuple[LabelerProgress, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        counts = ("pairs", "pairs_done", "wanted", "judged", "divided", "gone")
        return {name: getattr(self, name) for name in counts} | {
            "labelers": [
                {"labeler": each.labeler, "judged": each.judged, "per_hour": each.per_hour}
                for each in self.labelers
            ]
        }


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A pair on which the raters differ, with each one's verdict, and the referee's where there is one."""

    query_key: str
    item_id: str
    verdicts: Mapping[str, Verdict]
    referee: Verdict | None


@dataclass(frozen=True, slots=True)
class ImportedVerdict:
    """A verdict that was made elsewhere."""

    query_key: str
    item_id: str
    labeler: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a labeler did to a pair; `took_ms` is how long the pair was looked at."""

    event_id: str
    pair_id: int
    kind: ActKind
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class JudgingCall:
    """What a labeler's browser says and asks: what was done, and who wants the next pairs.

    `client` is the browser tab. `history` asks for the labeler's latest acts too, so that they can be undone.
    """

    judging_set: str
    labeler: str
    client: str
    role: Role = "rater"
    layout: Layout = "pair"
    acts: tuple[Act, ...] = ()
    history: bool = False

    @staticmethod
    def parse(body: Mapping[str, Any]) -> JudgingCall:
        """Return the call that a JSON body says; raises `JudgingError` for anything wrong in it."""
        known = {"set", "labeler", "client", "role", "layout", "acts", "history"}
        unknown = sorted(set(body) - known)
        if unknown:
            raise JudgingError(
                f"There is no field {unknown[0][:40]!r} here; known are {', '.join(sorted(known))}."
            )
        acts = body.get("acts", [])
        if not isinstance(acts, list) or len(acts) > MAX_ACTS:
            raise JudgingError(f"acts must be a list of at most {MAX_ACTS} acts.")
        client = body.get("client")
        if not isinstance(client, str) or not _EVENT_ID.fullmatch(client):
            raise JudgingError("client must be 8 to 64 letters, digits, _ or -.")
        history = body.get("history", False)
        if not isinstance(history, bool):
            raise JudgingError("history must be true or false.")
        return JudgingCall(
            judging_set=clean_name(body.get("set"), "The judging set's name"),
            labeler=clean_name(body.get("labeler"), "The labeler's name"),
            client=client,
            role=cast(Role, _one_of("role", body.get("role", "rater"), get_args(Role))),
            layout=cast(Layout, _one_of("layout", body.get("layout", "pair"), get_args(Layout))),
            acts=tuple(_parse_act(act) for act in acts),
            history=history,
        )


@dataclass(frozen=True, slots=True)
class JudgingReply:
    """The answer to a call: which acts are done, what comes next, and how far the set is.

    `refused` maps the events that could not count to why. `pairs` are all pairs that this client has now, in their
    order; where there are none, `waiting` says that the last ones are in other hands, else the labeler is done.
    """

    handled: tuple[str, ...]
    refused: Mapping[str, str]
    pairs: tuple[Mapping[str, Any], ...]
    queries: Mapping[str, Mapping[str, Any]]
    history: tuple[Mapping[str, Any], ...]
    waiting: bool
    wanted: int
    judged: int
    mine: int
    per_hour: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as JSON."""
        return {
            "handled": list(self.handled),
            "refused": dict(self.refused),
            "pairs": [dict(pair) for pair in self.pairs],
            "queries": {key: dict(query) for key, query in self.queries.items()},
            "history": [dict(act) for act in self.history],
            "waiting": self.waiting,
            "wanted": self.wanted,
            "judged": self.judged,
            "mine": self.mine,
            "per_hour": self.per_hour,
        }


class Judging:
    """The judging sets of one catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore, feedback: FeedbackLog) -> None:
        """Work on an open catalog; verdicts also go to `feedback`."""
        self._catalog = catalog
        self._database = catalog.database
        self._feedback = feedback
        self._lock = threading.Lock()
        self._gone_at = -1
        self._gone_pairs: dict[int, list[int]] = {}

    # --- sets -------------------------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        pool: Pool,
        *,
        source: str,
        systems: Sequence[str] = (),
        depth: int = 0,
        raters: int = 1,
        seed: int = 0,
    ) -> JudgingSet:
        """Store a new judging set. Raises `JudgingError` for a name that is taken or empty, or impossible numbers."""
        name = clean_name(name, "The judging set's name")
        if not 1 <= raters <= MAX_RATERS:
            raise JudgingError(f"A pair is judged by 1 to {MAX_RATERS} raters, not {raters}.")
        if not 1 <= pool.pairs <= MAX_PAIRS:
            raise JudgingError(
                f"A judging set holds 1 to {MAX_PAIRS:,} pairs, not {pool.pairs:,}; take fewer queries."
            )
        pairs = [(query.query_key, item_id) for query in pool.queries for item_id in query.item_ids]
        with self._database.transaction() as cursor:
            if cursor.execute("SELECT 1 FROM judging_sets WHERE name = $name", {"name": name}).fetchone():
                raise JudgingError(
                    f"There is a judging set {name!r} already; choose another name or judge that."
                )
            set_id = _next_number(cursor, "judging_sets", "set_id")
            first = _next_number(cursor, "judging_pairs", "pair_id")
            cursor.execute(
                "INSERT INTO judging_sets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    set_id,
                    name,
                    _now(),
                    source,
                    json.dumps(list(systems)),
                    depth,
                    raters,
                    seed,
                    len(pool.queries),
                    len(pairs),
                ],
            )
            frame = pd.DataFrame(
                {
                    "pair_id": range(first, first + len(pairs)),
                    "set_id": set_id,
                    "position": range(len(pairs)),
                    "query_key": pd.Series([key for key, _ in pairs], dtype="object"),
                    "item_id": pd.Series([item_id for _, item_id in pairs], dtype="object"),
                }
            )
            insert_frame(cursor, "judging_pairs", frame)
        return self.get(name)

    def get(self, name: str) -> JudgingSet:
        """Return the set of that name; raises `JudgingError` where there is none."""
        found = self._sets("WHERE name = ?", [name])
        if not found:
            raise JudgingError(
                f"There is no judging set {name[:MAX_NAME]!r}; make one on the Judge page or with "
                "`imgsearch judge-set create`."
            )
        return found[0]

    def all(self) -> list[JudgingSet]:
        """Return every set, the newest first."""
        return self._sets("", [])

    def _sets(self, where: str, values: Sequence[Any]) -> list[JudgingSet]:
        rows = (
            self._database.cursor()
            .execute(f"SELECT * FROM judging_sets {where} ORDER BY set_id DESC", list(values))
            .fetchall()
        )
        return [
            JudgingSet(
                set_id=row[0],
                name=row[1],
                created_at=row[2],
                source=row[3],
                systems=tuple(json.loads(row[4])),
                depth=row[5],
                raters=row[6],
                seed=row[7],
                queries=row[8],
                pairs=row[9],
            )
            for row in rows
        ]

    # --- the guideline ----------------------------------------------------------------------------------------

    def guideline(self, judging_set: JudgingSet) -> Guideline:
        """Return the present guideline of a set."""
        row = (
            self._database.cursor()
            .execute(
                "SELECT text, version, author, happened_at FROM judging_guidelines WHERE set_id = ? "
                "ORDER BY version DESC LIMIT 1",
                [judging_set.set_id],
            )
            .fetchone()
        )
        return Guideline(*row) if row else Guideline(DEFAULT_GUIDELINE)

    def set_guideline(self, judging_set: JudgingSet, text: str, *, author: str) -> Guideline:
        """Store a new version of a set's guideline and return it; earlier ones are kept.

        The same text again makes no new version. Raises `JudgingError` for an over-long text or a wrong name.
        """
        author = clean_name(author, "The labeler's name")
        text = text.replace("\r\n", "\n").strip()
        if len(text) > MAX_GUIDELINE or not _is_storable(text):
            raise JudgingError(
                f"The guideline must be plain text of at most {MAX_GUIDELINE:,} characters, not {len(text):,}."
            )
        with self._database.transaction() as cursor:
            before = self.guideline(judging_set)
            if before.text != text:
                cursor.execute(
                    "INSERT INTO judging_guidelines VALUES (?, ?, ?, ?, ?)",
                    [judging_set.set_id, before.version + 1, _now(), author, text],
                )
            return self.guideline(judging_set)

    # --- judging ----------------------------------------------------------------------------------------------

    def sync(self, call: JudgingCall) -> JudgingReply:
        """Note what a labeler did, and return what comes next.

        An act that was noted before is done already: sending it again changes nothing. A verdict counts where the
        labeler has the pair, or where it has room for another rater; else the reply says that it came too late.
        Raises `JudgingError` for an unknown set.
        """
        judging_set = self.get(call.judging_set)
        gone = self._gone(judging_set)
        refused: dict[str, str] = {}
        with self._database.transaction() as cursor:
            now = _now()
            for act in call.acts:
                reason = self._note(cursor, judging_set, call, act, now)
                if reason:
                    refused[act.event_id] = reason
            rows, waiting = self._hand_out(cursor, judging_set, call, gone, now)
            history = self._history(cursor, judging_set, call) if call.history else []
            judged, mine = self._counts(cursor, judging_set, call, gone)
            per_hour = self._pace(cursor, judging_set, call.labeler)
        wanted = (judging_set.pairs - len(gone)) * judging_set.raters
        if call.role == "referee":
            wanted = judged + self._divided(judging_set)
        keys = dict.fromkeys([row[1] for row in rows] + [row[1] for row in history])
        return JudgingReply(
            handled=tuple(act.event_id for act in call.acts),
            refused=refused,
            pairs=tuple(self._pair_document(row) for row in rows),
            queries={key: self._query_document(key) for key in keys},
            history=tuple(
                self._pair_document(row) | {"act": row[3], "took_ms": row[4]} for row in reversed(history)
            ),
            waiting=waiting,
            wanted=wanted,
            judged=judged,
            mine=mine,
            per_hour=per_hour,
        )

    def _note(
        self,
        cursor: duckdb.DuckDBPyConnection,
        judging_set: JudgingSet,
        call: JudgingCall,
        act: Act,
        now: datetime,
    ) -> str:
        """Append an act that is new, and return why it does not count, or "" where it does."""
        known = cursor.execute(
            "SELECT counted FROM judging_acts WHERE event_id = ?", [act.event_id]
        ).fetchone()
        if known is not None:
            return "" if known[0] else "It did not count."
        pair = cursor.execute(
            "SELECT query_key, item_id, position FROM judging_pairs WHERE pair_id = ? AND set_id = ?",
            [act.pair_id, judging_set.set_id],
        ).fetchone()
        if pair is None:
            return "There is no such pair in this judging set."
        latest = dict(
            cursor.execute(
                "SELECT labeler, arg_max(act, rowid) FROM judging_acts "
                "WHERE pair_id = ? AND role = ? AND counted GROUP BY labeler",
                [act.pair_id, call.role],
            ).fetchall()
        )
        holders = {
            row[0]
            for row in cursor.execute(
                "SELECT labeler FROM judging_leases WHERE pair_id = ? AND role = ? AND expires_at > ?",
                [act.pair_id, call.role, now],
            ).fetchall()
        }
        mine = latest.get(call.labeler)
        has_verdict = mine in get_args(Verdict)
        others = {name for name, kind in latest.items() if kind in get_args(Verdict)} | holders
        cap = judging_set.raters if call.role == "rater" else 1
        has_room = has_verdict or call.labeler in holders or len(others - {call.labeler}) < cap
        reason = ""
        if act.kind == "undo" and mine in (None, "undo"):
            reason = "There is nothing to undo."
        elif act.kind == "skip" and has_verdict:
            reason = "The pair is judged already; undo that first."
        elif act.kind != "skip" and not has_room:
            reason = "It came too late: others have judged this pair meanwhile."
        cursor.execute(
            "INSERT INTO judging_acts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                act.event_id,
                now,
                judging_set.set_id,
                act.pair_id,
                call.labeler,
                call.role,
                act.kind,
                not reason,
                0 if reason else (act.kind in get_args(Verdict)) - has_verdict,
                act.took_ms,
            ],
        )
        self._release(cursor, call, act.pair_id)
        if reason:
            return reason
        if act.kind == "undo":
            self._lease(cursor, judging_set, call, [(act.pair_id, pair[0], pair[1], pair[2])], now)
        if act.kind in get_args(Verdict) or (act.kind == "undo" and has_verdict):
            # The feedback knows no withdrawal: as on the search page, "can't tell" takes a verdict back.
            verdict = cast(Verdict, act.kind) if act.kind != "undo" else "cant_tell"
            self._feedback.record_judgment(Judgment(pair[0], pair[1], verdict, call.labeler))
        return ""

    def _hand_out(
        self,
        cursor: duckdb.DuckDBPyConnection,
        judging_set: JudgingSet,
        call: JudgingCall,
        gone: Sequence[int],
        now: datetime,
    ) -> tuple[list[tuple[Any, ...]], bool]:
        """Return the client's pairs as (pair_id, query_key, item_id), leased, and whether others hold the last ones.

        A pair that anybody holds is given to nobody else: no two labelers look at the same pair.
        """
        cursor.execute("DELETE FROM judging_leases WHERE expires_at <= ?", [now])
        held = self._held(cursor, judging_set, call)
        size = GRID_SIZE if call.layout == "grid" else AHEAD
        only_query = ""
        if call.layout == "grid" and held:
            only_query = held[0][1]
            held = [row for row in held if row[1] == only_query]
        # Single pairs are topped up by halves: most calls then only take from what is there.
        if len(held) <= size // 2 or (call.layout == "grid" and len(held) < size):
            free = self._free(cursor, judging_set, call, gone, only_query, size - len(held))
            if call.layout == "grid" and free:
                free = [row for row in free if row[1] == free[0][1]]
            self._lease(cursor, judging_set, call, free, now)
            if free:
                held = self._held(cursor, judging_set, call)
                if call.layout == "grid":
                    held = [row for row in held if row[1] == held[0][1]]
        # Renewed when a third of the time is over, not at each key.
        soon = now + timedelta(seconds=LEASE_S * 2 / 3)
        cursor.execute(
            "UPDATE judging_leases SET expires_at = ? WHERE client = ? AND labeler = ? AND expires_at < ?",
            [now + timedelta(seconds=LEASE_S), call.client, call.labeler, soon],
        )
        waiting = not held and bool(
            self._free(cursor, judging_set, call, gone, only_query, 1, also_leased=True)
        )
        return held[:size], waiting

    def _held(
        self, cursor: duckdb.DuckDBPyConnection, judging_set: JudgingSet, call: JudgingCall
    ) -> list[tuple[Any, ...]]:
        return cursor.execute(
            "SELECT pair_id, query_key, item_id FROM judging_leases "
            "WHERE set_id = ? AND labeler = ? AND client = ? AND role = ? ORDER BY place",
            [judging_set.set_id, call.labeler, call.client, call.role],
        ).fetchall()

    def _free(
        self,
        cursor: duckdb.DuckDBPyConnection,
        judging_set: JudgingSet,
        call: JudgingCall,
        gone: Sequence[int],
        only_query: str,
        limit: int,
        *,
        also_leased: bool = False,
    ) -> list[tuple[Any, ...]]:
        """Return the next pairs that this labeler may judge, those he skipped last.

        Rows are (pair_id, query_key, item_id, place), by ascending place.
        """
        values: dict[str, Any] = {
            "set": judging_set.set_id,
            "labeler": call.labeler,
            "role": call.role,
            "gone": list(gone),
            "limit": limit,
        }
        wanted = "coalesce(a.verdicts, 0) < $raters AND coalesce(a.mine, 0) = 0"
        if call.role == "referee":
            wanted = "coalesce(a.verdicts, 0) = 0 AND p.pair_id IN (SELECT pair_id FROM divided)"
        else:
            values["raters"] = judging_set.raters
        if not also_leased:
            wanted += " AND p.pair_id NOT IN (SELECT pair_id FROM judging_leases WHERE role = $role)"
        if only_query:
            wanted += " AND p.query_key = $query"
            values["query"] = only_query
        return cursor.execute(
            f"""
            {_STANDING if call.role == "referee" else "WITH"} {_DIVIDED if call.role == "referee" else ""}
            sums AS (
                SELECT pair_id, sum(change) AS verdicts, sum(change) FILTER (labeler = $labeler) AS mine,
                    count(*) FILTER (labeler = $labeler AND act = 'skip') AS skips
                FROM judging_acts WHERE set_id = $set AND role = $role GROUP BY pair_id
            )
            SELECT p.pair_id, p.query_key, p.item_id, p.position + 1000000000 * coalesce(a.skips, 0) AS place
            FROM judging_pairs AS p LEFT JOIN sums AS a USING (pair_id)
            WHERE p.set_id = $set AND p.pair_id NOT IN (SELECT unnest($gone::BIGINT[])) AND {wanted}
            ORDER BY place LIMIT $limit
            """,
            values,
        ).fetchall()

    def _lease(
        self,
        cursor: duckdb.DuckDBPyConnection,
        judging_set: JudgingSet,
        call: JudgingCall,
        pairs: Sequence[Sequence[Any]],
        now: datetime,
    ) -> None:
        """Lease pairs to the client; rows as `_free` gives them."""
        expires_at = now + timedelta(seconds=LEASE_S)
        same = (judging_set.set_id, call.labeler, call.client, call.role, expires_at)
        if pairs:
            cursor.executemany(
                "INSERT INTO judging_leases (set_id, labeler, client, role, expires_at, pair_id, query_key, item_id, "
                "place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [[*same, *pair] for pair in pairs],
            )

    def _release(self, cursor: duckdb.DuckDBPyConnection, call: JudgingCall, pair_id: int) -> None:
        cursor.execute(
            "DELETE FROM judging_leases WHERE pair_id = ? AND labeler = ? AND role = ?",
            [pair_id, call.labeler, call.role],
        )

    def _history(
        self, cursor: duckdb.DuckDBPyConnection, judging_set: JudgingSet, call: JudgingCall
    ) -> list[tuple[Any, ...]]:
        """Return the labeler's latest acts that can be undone, the latest first."""
        return cursor.execute(
            f"{_STANDING} SELECT pair_id, query_key, item_id, act, took_ms FROM latest "
            "JOIN judging_pairs USING (pair_id) "
            "WHERE labeler = $labeler AND role = $role AND act <> 'undo' ORDER BY place DESC LIMIT $limit",
            {"set": judging_set.set_id, "labeler": call.labeler, "role": call.role, "limit": HISTORY},
        ).fetchall()

    def _counts(
        self,
        cursor: duckdb.DuckDBPyConnection,
        judging_set: JudgingSet,
        call: JudgingCall,
        gone: Sequence[int],
    ) -> tuple[int, int]:
        """Return the number of standing verdicts on pairs that are still there, and this labeler's share of them."""
        row = cursor.execute(
            "SELECT coalesce(sum(change), 0), coalesce(sum(change) FILTER (labeler = $labeler), 0) FROM judging_acts "
            "WHERE set_id = $set AND role = $role AND pair_id NOT IN (SELECT unnest($gone::BIGINT[]))",
            {
                "set": judging_set.set_id,
                "labeler": call.labeler,
                "role": call.role,
                "gone": list(gone),
            },
        ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def _pace(self, cursor: duckdb.DuckDBPyConnection, judging_set: JudgingSet, labeler: str) -> float | None:
        """Return how many pairs an hour the labeler does, by the time that the latest ones were looked at."""
        row = cursor.execute(
            "SELECT count(*), avg(took_ms) FROM (SELECT took_ms FROM judging_acts WHERE set_id = ? AND labeler = ? "
            "AND counted AND act IN ('good', 'bad', 'cant_tell') AND took_ms > 0 ORDER BY rowid DESC LIMIT ?)",
            [judging_set.set_id, labeler, PACE_OVER],
        ).fetchone()
        return _per_hour(*row) if row else None

    # --- progress, agreement, verdicts ------------------------------------------------------------------------

    def progress(self, judging_set: JudgingSet) -> Progress:
        """Return how far the set is, and what each labeler has done, the busiest first."""
        gone = self._gone(judging_set)
        cursor = self._database.cursor()
        values = {"set": judging_set.set_id, "gone": list(gone)}
        alive = "pair_id NOT IN (SELECT unnest($gone::BIGINT[]))"
        row = cursor.execute(
            f"{_STANDING} SELECT count(*), sum(verdicts) FROM (SELECT pair_id, count(*) AS verdicts FROM standing "
            f"WHERE role = 'rater' AND {alive} GROUP BY pair_id HAVING count(*) >= $raters)",
            {**values, "raters": judging_set.raters},
        ).fetchone()
        done = int(row[0]) if row else 0
        labelers = cursor.execute(
            f"{_STANDING} SELECT labeler, count(*), avg(took_ms) FILTER (took_ms > 0) FROM standing "
            f"WHERE role = 'rater' AND {alive} GROUP BY labeler ORDER BY count(*) DESC, labeler",
            values,
        ).fetchall()
        pairs = judging_set.pairs - len(gone)
        return Progress(
            pairs=pairs,
            pairs_done=done,
            wanted=pairs * judging_set.raters,
            judged=sum(int(count) for _, count, _ in labelers),
            divided=self._divided(judging_set),
            gone=len(gone),
            labelers=tuple(
                LabelerProgress(name, int(count), _per_hour(count, took_ms))
                for name, count, took_ms in labelers
            ),
        )

    def agreement(self, judging_set: JudgingSet) -> Agreement:
        """Return how far the set's raters agree; "can't tell" counts as no answer, as the coefficients provide."""
        return measure_agreement(_ratings(self.verdicts(judging_set), also_cant_tell=False))

    def disagreements(self, judging_set: JudgingSet) -> list[Disagreement]:
        """Return the pairs on which raters differ (good against bad), the most evenly divided first."""
        verdicts = self.verdicts(judging_set)
        told = _ratings(verdicts, also_cant_tell=False)
        everything = _ratings(verdicts, also_cant_tell=True)
        decided = {
            (row.query_key, row.item_id): row.verdict
            for row in verdicts.itertuples(index=False)
            if row.role == "referee"
        }
        return [
            Disagreement(
                pair[0],
                pair[1],
                cast("Mapping[str, Verdict]", everything[pair]),
                cast("Verdict | None", decided.get(pair)),
            )
            for pair in disagreements(told)
        ]

    def verdicts(self, judging_set: JudgingSet) -> pd.DataFrame:
        """Return every verdict that stands, ordered by query, item and labeler.

        Columns: query_key, item_id, labeler, verdict, role, happened_at, took_ms.
        """
        return (
            self._database.cursor()
            .execute(
                f"{_STANDING} SELECT query_key, item_id, labeler, act AS verdict, role, happened_at, took_ms "
                "FROM standing JOIN judging_pairs USING (pair_id) "
                "ORDER BY query_key, item_id, labeler, role",
                {"set": judging_set.set_id},
            )
            .df()
        )

    def votes(self, judging_set: JudgingSet) -> pd.DataFrame:
        """Return the verdicts that decide, for an export: the referee's alone where there is one.

        Columns: query_key, item_id, labeler, verdict.
        """
        verdicts = self.verdicts(judging_set)
        refereed = verdicts.loc[verdicts["role"] == "referee", ["query_key", "item_id"]].drop_duplicates()
        decided = verdicts.merge(refereed, how="left", indicator="_decided", on=["query_key", "item_id"])
        kept = (decided["_decided"] == "left_only") | (decided["role"] == "referee")
        return decided.loc[kept, ["query_key", "item_id", "labeler", "verdict"]].reset_index(drop=True)

    def _divided(self, judging_set: JudgingSet) -> int:
        """Return on how many pairs the raters differ and no referee has decided."""
        row = (
            self._database.cursor()
            .execute(
                f"{_STANDING} SELECT count(*) FROM (SELECT pair_id FROM standing GROUP BY pair_id "
                "HAVING count(DISTINCT act) FILTER (role = 'rater' AND act IN ('good', 'bad')) > 1 "
                "AND count(*) FILTER (role = 'referee') = 0)",
                {"set": judging_set.set_id},
            )
            .fetchone()
        )
        return int(row[0]) if row else 0

    # --- import -----------------------------------------------------------------------------------------------

    def import_set(
        self, name: str, verdicts: Sequence[ImportedVerdict], *, source: str, raters: int = 0
    ) -> JudgingSet:
        """Store a new set made of verdicts from elsewhere, and return it; all of them or nothing.

        With `raters` above what the verdicts hold, the set can be judged further. Raises `JudgingError` for items
        that are not in the catalog, a labeler who judged a pair twice, or what `create` refuses.
        """
        item_ids = list(dict.fromkeys(each.item_id for each in verdicts))
        unknown = set(item_ids) - {item.item_id for item in self._catalog.get_many(item_ids)}
        if unknown:
            raise JudgingError(
                f"{len(unknown):,} of the {len(item_ids):,} judged items are not in the catalog, such as "
                f"{min(unknown)[:80]!r}; nothing was imported."
            )
        names: dict[tuple[str, str], set[str]] = {}
        for each in verdicts:
            judged_by = names.setdefault((each.query_key, each.item_id), set())
            if each.labeler in judged_by:
                raise JudgingError(
                    f"The labeler {each.labeler[:80]!r} judged {each.item_id[:80]!r} twice for the query "
                    f"{each.query_key[:80]!r}; nothing was imported."
                )
            judged_by.add(each.labeler)
        most = max((len(labelers) for labelers in names.values()), default=1)
        with self._database.transaction() as cursor:
            made = self.create(name, pool_of(names), source=source, raters=max(raters, most))
            self._append_verdicts(cursor, made, verdicts)
        return made

    def _append_verdicts(
        self, cursor: duckdb.DuckDBPyConnection, judging_set: JudgingSet, verdicts: Sequence[ImportedVerdict]
    ) -> None:
        rows = cursor.execute(
            "SELECT query_key, item_id, pair_id FROM judging_pairs WHERE set_id = ?", [judging_set.set_id]
        ).fetchall()
        pair_ids = {(row[0], row[1]): int(row[2]) for row in rows}
        now = _now()
        acts = pd.DataFrame(
            {
                "event_id": [f"import-{judging_set.set_id}-{number}" for number in range(len(verdicts))],
                "happened_at": now,
                "set_id": judging_set.set_id,
                "pair_id": [pair_ids[each.query_key, each.item_id] for each in verdicts],
                "labeler": [each.labeler for each in verdicts],
                "role": "rater",
                "act": [each.verdict for each in verdicts],
                "counted": True,
                "change": 1,
                "took_ms": 0,
            }
        )
        judgments = pd.DataFrame(
            {
                "happened_at": now,
                "query_key": [each.query_key for each in verdicts],
                "item_id": [each.item_id for each in verdicts],
                "verdict": [each.verdict for each in verdicts],
                "labeler": [each.labeler for each in verdicts],
                "search_id": pd.Series([None] * len(verdicts), dtype="object"),
            }
        )
        insert_frame(cursor, "judging_acts", acts)
        insert_frame(cursor, "judgments", judgments)

    # --- inside -----------------------------------------------------------------------------------------------

    def _gone(self, judging_set: JudgingSet) -> list[int]:
        """Return the pairs whose item is no longer in the catalog; asked of the database once a change of it."""
        version = self._catalog.version
        with self._lock:
            if version != self._gone_at:
                self._gone_pairs.clear()
                self._gone_at = version
            found = self._gone_pairs.get(judging_set.set_id)
        if found is None:
            rows = (
                self._database.cursor()
                .execute(
                    "SELECT pair_id FROM judging_pairs ANTI JOIN items USING (item_id) WHERE set_id = ?",
                    [judging_set.set_id],
                )
                .fetchall()
            )
            found = [int(row[0]) for row in rows]
            with self._lock:
                if version == self._gone_at:
                    self._gone_pairs[judging_set.set_id] = found
        return found

    def _pair_document(self, row: Sequence[Any]) -> dict[str, Any]:
        pair_id, query_key, item_id = row[:3]
        items = self._catalog.get_many([item_id])
        return {
            "pair": int(pair_id),
            "query": query_key,
            "title": items[0].title if items else item_id,
            "image": thumbnail_url(items[0], PHOTO_PX) if items else "",
        }

    def _query_document(self, query_key: str) -> dict[str, Any]:
        """Return a query as a labeler sees it: its parts with their photos, and its filters."""
        try:
            query = topic_query(topic_of(query_key))
        except ImgSearchError:
            return {
                "parts": [{"kind": "text", "label": query_key, "image": "", "weight": 1.0}],
                "filters": [],
            }
        return {
            "parts": [self._part_document(term) for term in query.terms],
            "filters": [str(filter) for filter in query.filters],
        }

    def _part_document(self, term: Term) -> dict[str, Any]:
        part = {"kind": term.kind, "label": str(term.value), "image": "", "weight": term.weight}
        if term.kind == "upload":
            return part | {"label": "An uploaded photo", "image": upload_url(str(term.value), TERM_PX)}
        if term.kind == "item" and (items := self._catalog.get_many([str(term.value)])):
            return part | {"label": items[0].title, "image": thumbnail_url(items[0], PHOTO_PX)}
        return part


def clean_name(name: Any, what: str) -> str:
    """Return a name with its outer and double white space gone; raises `JudgingError` for one that cannot be kept."""
    if not isinstance(name, str):
        raise JudgingError(f"{what} must be a text.")
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean:
        raise JudgingError(f"{what} is empty; give one.")
    if len(clean) > MAX_NAME:
        raise JudgingError(f"{what} has {len(clean)} characters; at most {MAX_NAME} are kept.")
    if not _is_storable(clean) or not clean.isprintable():
        raise JudgingError(f"{what} holds characters that cannot be shown; leave them out.")
    return clean


def _parse_act(act: Any) -> Act:
    if not isinstance(act, dict) or set(act) - {"id", "pair", "act", "took_ms"}:
        raise JudgingError("An act must be an object of id, pair, act and took_ms.")
    event_id, pair_id, took_ms = act.get("id"), act.get("pair"), act.get("took_ms", 0)
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
        raise JudgingError("The id of an act must be 8 to 64 letters, digits, _ or -.")
    if isinstance(pair_id, bool) or not isinstance(pair_id, int) or not 0 <= pair_id < 2**53:
        raise JudgingError("The pair of an act must be its number.")
    if isinstance(took_ms, bool) or not isinstance(took_ms, int | float) or not took_ms >= 0:
        raise JudgingError("took_ms must be a number of milliseconds.")
    kind = _one_of("act", act.get("act"), get_args(ActKind))
    return Act(event_id, pair_id, cast(ActKind, kind), int(min(took_ms, LONGEST_TOOK_MS)))


def _one_of(field: str, value: Any, known: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise JudgingError(f"{field} must be one of {', '.join(known)}.")
    return value


def _is_storable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" or letter == "\x00" for letter in text)


def _per_hour(count: int, mean_ms: float | None) -> float | None:
    """Return a pace in pairs an hour; None where it would rest on fewer than three."""
    return round(3_600_000 / mean_ms, 1) if mean_ms and count >= 3 else None


def _ratings(verdicts: pd.DataFrame, *, also_cant_tell: bool) -> dict[tuple[str, str], dict[str, str]]:
    """Return the raters' verdicts by pair and labeler."""
    ratings: dict[tuple[str, str], dict[str, str]] = {}
    for row in verdicts.itertuples(index=False):
        if row.role == "rater" and (also_cant_tell or row.verdict != "cant_tell"):
            pair = (str(row.query_key), str(row.item_id))
            ratings.setdefault(pair, {})[str(row.labeler)] = str(row.verdict)
    return ratings


def _next_number(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> int:
    row = cursor.execute(f"SELECT coalesce(max({column}), 0) + 1 FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
