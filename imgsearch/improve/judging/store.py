"""Judging sets in the database: sets, pairs, guidelines, acts, and leases: which labeler holds which pairs.

Acts are appended and never changed. The number of verdicts is the sum of the acts' `change` (1 given, -1 withdrawn,
0 otherwise), which is far faster than reading the latest act of each labeler. A pair that a labeler holds is free for
no other. Methods that write join the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from imgsearch.core.records import Judgment
from imgsearch.improve.judging.calls import Act, ActKind, JudgingCall
from imgsearch.improve.judging.records import Guideline, JudgingSet, LabelerProgress, PairRow
from imgsearch.store.database import Database, insert_frame, utc_now

HISTORY_ACTS = 20
PACE_ACTS, MIN_PACE_ACTS = 50, 3
SKIP_PENALTY = 1_000_000_000
"""Added to a pair's place for each skip: skipped pairs come last."""

_LATEST_ACTS = """
    WITH latest AS (
        SELECT pair_id, labeler, role, arg_max(act, rowid) AS act, arg_max(took_ms, rowid) AS took_ms,
            max(rowid) AS act_order, arg_max(happened_at, rowid) AS happened_at
        FROM judging_acts WHERE set_id = $set AND counted GROUP BY pair_id, labeler, role
    ),
    verdicts AS (SELECT * FROM latest WHERE act IN ('good', 'bad', 'cant_tell')),
    divided AS (
        SELECT pair_id, count(*) FILTER (role = 'referee') > 0 AS decided FROM verdicts GROUP BY pair_id
        HAVING count(DISTINCT act) FILTER (role = 'rater' AND act IN ('good', 'bad')) > 1
    )
"""
"""Each labeler's latest counted act on each pair, those that are verdicts, and the pairs on which raters differ."""
_PRESENT = "pair_id NOT IN (SELECT unnest($gone::BIGINT[]))"


class JudgingStore:
    """The tables whose names begin with `judging_`."""

    def __init__(self, database: Database, lease_s: float) -> None:
        """Use an open catalog's database; a lease expires after `lease_s` seconds."""
        self._database = database
        self._lease_s = lease_s

    def sets(self) -> list[JudgingSet]:
        """Return every set, the newest first."""
        rows = self._rows("SELECT * FROM judging_sets ORDER BY set_id DESC")
        return [JudgingSet(*[*row[:4], tuple(json.loads(row[4])), *row[5:]]) for row in rows]

    def add_set(self, made: JudgingSet, pairs: Sequence[tuple[str, str]]) -> None:
        """Append a set with its (query_key, item_id) pairs, to be judged in this order; it gets a `set_id`."""
        set_id = self._next_number("judging_sets", "set_id")
        columns = asdict(made) | {"set_id": set_id, "systems": json.dumps(made.systems)}
        cursor = self._database.cursor()
        cursor.execute("INSERT INTO judging_sets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [*columns.values()])
        frame = pd.DataFrame(pairs, columns=["query_key", "item_id"], dtype="object")
        frame.insert(0, "pair_id", self._next_number("judging_pairs", "pair_id") + frame.index)
        frame.insert(1, "set_id", set_id)
        frame.insert(2, "position", frame.index)
        insert_frame(cursor, "judging_pairs", frame)

    def pairs_without_item(self, set_id: int) -> list[int]:
        """Return the pairs whose item is no longer in the catalog."""
        rows = self._rows(
            "SELECT pair_id FROM judging_pairs ANTI JOIN items USING (item_id) WHERE set_id = ?", [set_id]
        )
        return [int(row[0]) for row in rows]

    def pair(self, set_id: int, pair_id: int) -> PairRow | None:
        """Return a pair of a set."""
        rows = self._rows(
            "SELECT pair_id, query_key, item_id, position FROM judging_pairs WHERE pair_id = ? AND set_id = ?",
            [pair_id, set_id],
        )
        return PairRow(*rows[0]) if rows else None

    def guideline(self, set_id: int) -> Guideline | None:
        """Return the newest guideline of a set."""
        rows = self._rows(
            "SELECT text, version, author, happened_at FROM judging_guidelines WHERE set_id = ? "
            "ORDER BY version DESC LIMIT 1",
            [set_id],
        )
        return Guideline(*rows[0]) if rows else None

    def add_guideline(self, set_id: int, version: int, author: str, text: str) -> None:
        """Append a version of a set's guideline."""
        values = [set_id, version, utc_now(), author, text]
        self._rows("INSERT INTO judging_guidelines VALUES (?, ?, ?, ?, ?)", values)

    def act_counted(self, event_id: str) -> bool | None:
        """Return whether a stored act counted; None if it is not stored."""
        rows = self._rows("SELECT counted FROM judging_acts WHERE event_id = ?", [event_id])
        return bool(rows[0][0]) if rows else None

    def latest_acts(self, pair_id: int, role: str) -> dict[str, ActKind]:
        """Return each labeler's latest counted act on a pair."""
        return dict(
            self._rows(
                "SELECT labeler, arg_max(act, rowid) FROM judging_acts "
                "WHERE pair_id = ? AND role = ? AND counted GROUP BY labeler",
                [pair_id, role],
            )
        )

    def add_act(
        self, set_id: int, call: JudgingCall, act: Act, now: datetime, *, counted: bool, change: int
    ) -> None:
        """Append an act."""
        values = [act.event_id, now, set_id, act.pair_id, call.labeler, call.role, act.kind, counted, change]
        self._rows("INSERT INTO judging_acts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [*values, act.took_ms])

    def recent_acts(self, set_id: int, call: JudgingCall) -> list[tuple[Any, ...]]:
        """Return (pair_id, query_key, item_id, act, took_ms) of acts that the labeler can undo, the oldest first."""
        rows = self._rows(
            f"{_LATEST_ACTS} SELECT pair_id, query_key, item_id, act, took_ms FROM latest "
            "JOIN judging_pairs USING (pair_id) "
            "WHERE labeler = $labeler AND role = $role AND act <> 'undo' ORDER BY act_order DESC LIMIT $limit",
            {"set": set_id, "labeler": call.labeler, "role": call.role, "limit": HISTORY_ACTS},
        )
        return rows[::-1]

    def verdict_counts(self, set_id: int, call: JudgingCall, gone: Sequence[int]) -> tuple[int, int]:
        """Return the number of verdicts on pairs still in the catalog, and how many of them are the labeler's."""
        ((judged, mine),) = self._rows(
            "SELECT coalesce(sum(change), 0), coalesce(sum(change) FILTER (labeler = $labeler), 0) "
            f"FROM judging_acts WHERE set_id = $set AND role = $role AND {_PRESENT}",
            {"set": set_id, "labeler": call.labeler, "role": call.role, "gone": list(gone)},
        )
        return int(judged), int(mine)

    def pace(self, set_id: int, labeler: str) -> float | None:
        """Return how many pairs an hour the labeler judges, from the time that their latest verdicts took."""
        ((count, mean_ms),) = self._rows(
            "SELECT count(*), avg(took_ms) FROM (SELECT took_ms FROM judging_acts WHERE set_id = ? AND labeler = ? "
            "AND counted AND act IN ('good', 'bad', 'cant_tell') AND took_ms > 0 ORDER BY rowid DESC LIMIT ?)",
            [set_id, labeler, PACE_ACTS],
        )
        return _per_hour(count, mean_ms)

    def undecided(self, set_id: int) -> int:
        """Return on how many pairs raters differ without a referee's verdict."""
        rows = self._rows(f"{_LATEST_ACTS} SELECT count(*) FROM divided WHERE NOT decided", {"set": set_id})
        return int(rows[0][0])

    def pairs_done(self, set_id: int, raters: int, gone: Sequence[int]) -> int:
        """Return how many pairs have the verdicts of `raters` raters."""
        rows = self._rows(
            f"{_LATEST_ACTS} SELECT count(*) FROM (SELECT pair_id FROM verdicts "
            f"WHERE role = 'rater' AND {_PRESENT} GROUP BY pair_id HAVING count(*) >= $raters)",
            {"set": set_id, "gone": list(gone), "raters": raters},
        )
        return int(rows[0][0])

    def labelers(self, set_id: int, gone: Sequence[int]) -> list[LabelerProgress]:
        """Return what each rater has done, those with the most verdicts first."""
        rows = self._rows(
            f"{_LATEST_ACTS} SELECT labeler, count(*), avg(took_ms) FILTER (took_ms > 0) FROM verdicts "
            f"WHERE role = 'rater' AND {_PRESENT} GROUP BY labeler ORDER BY count(*) DESC, labeler",
            {"set": set_id, "gone": list(gone)},
        )
        return [LabelerProgress(name, int(count), _per_hour(count, ms)) for name, count, ms in rows]

    def verdicts(self, set_id: int) -> pd.DataFrame:
        """Return every verdict that was not withdrawn, ordered by query, item and labeler.

        Columns: query_key, item_id, labeler, verdict, role, happened_at, took_ms.
        """
        return (
            self._database.cursor()
            .execute(
                f"{_LATEST_ACTS} SELECT query_key, item_id, labeler, act AS verdict, role, happened_at, took_ms "
                "FROM verdicts JOIN judging_pairs USING (pair_id) ORDER BY query_key, item_id, labeler, role",
                {"set": set_id},
            )
            .df()
        )

    def add_imported(self, set_id: int, verdicts: Sequence[Judgment]) -> None:
        """Append verdicts of raters as acts and as judgments of the feedback."""
        rows = self._rows("SELECT query_key, item_id, pair_id FROM judging_pairs WHERE set_id = ?", [set_id])
        pair_ids = {(query_key, item_id): int(pair_id) for query_key, item_id, pair_id in rows}
        cursor, frame = self._database.cursor(), pd.DataFrame(verdicts)
        frame["now"] = utc_now()
        acts = pd.DataFrame(
            {
                "event_id": [f"import-{set_id}-{number}" for number in range(len(frame))],
                "happened_at": frame["now"],
                "set_id": set_id,
                "pair_id": [pair_ids[each.query_key, each.item_id] for each in verdicts],
                "labeler": frame["labeler"],
                "role": "rater",
                "act": frame["verdict"],
                "counted": True,
                "change": 1,
                "took_ms": 0,
            }
        )
        insert_frame(cursor, "judging_acts", acts)
        judgments = frame[["now", "query_key", "item_id", "verdict", "labeler", "search_id"]]
        insert_frame(cursor, "judgments", judgments)

    def lease_holders(self, pair_id: int, role: str, now: datetime) -> set[str]:
        """Return the labelers who hold a pair."""
        rows = self._rows(
            "SELECT labeler FROM judging_leases WHERE pair_id = ? AND role = ? AND expires_at > ?",
            [pair_id, role, now],
        )
        return {row[0] for row in rows}

    def leased_pairs(self, set_id: int, call: JudgingCall) -> list[PairRow]:
        """Return the pairs that a client holds, in order."""
        rows = self._rows(
            "SELECT pair_id, query_key, item_id, place FROM judging_leases "
            "WHERE set_id = ? AND labeler = ? AND client = ? AND role = ? ORDER BY place",
            [set_id, call.labeler, call.client, call.role],
        )
        return [PairRow(*row) for row in rows]

    def lease_pairs(self, set_id: int, call: JudgingCall, pairs: Sequence[PairRow], now: datetime) -> None:
        """Lease free pairs to a client."""
        lease = (set_id, call.labeler, call.client, call.role, now + timedelta(seconds=self._lease_s))
        if pairs:
            self._database.cursor().executemany(
                "INSERT INTO judging_leases (set_id, labeler, client, role, expires_at, pair_id, query_key, item_id, "
                "place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [[*lease, *pair] for pair in pairs],
            )

    def renew_leases(self, call: JudgingCall, now: datetime) -> None:
        """Extend a client's leases once a third of their time has passed, not at every key."""
        end, soon = (now + timedelta(seconds=self._lease_s * part) for part in (1, 2 / 3))
        self._rows(
            "UPDATE judging_leases SET expires_at = ? WHERE client = ? AND labeler = ? AND expires_at < ?",
            [end, call.client, call.labeler, soon],
        )

    def release_pair(self, call: JudgingCall, pair_id: int) -> None:
        """End a labeler's lease of a pair."""
        self._rows(
            "DELETE FROM judging_leases WHERE pair_id = ? AND labeler = ? AND role = ?",
            [pair_id, call.labeler, call.role],
        )

    def expire_leases(self, now: datetime) -> None:
        """Delete leases whose time has passed."""
        self._rows("DELETE FROM judging_leases WHERE expires_at <= ?", [now])

    def free_pairs(
        self,
        judging_set: JudgingSet,
        call: JudgingCall,
        gone: Sequence[int],
        limit: int,
        *,
        query_key: str = "",
        with_leased: bool = False,
    ) -> list[PairRow]:
        """Return the next pairs that a labeler may judge, those that they skipped last.

        With `query_key`, only pairs of that query; with `with_leased`, also pairs that others hold.
        """
        values: dict[str, Any] = {"set": judging_set.set_id, "labeler": call.labeler, "role": call.role}
        values |= {"gone": list(gone), "limit": limit}
        if call.role == "referee":
            condition = "coalesce(a.verdicts, 0) = 0 AND p.pair_id IN (SELECT pair_id FROM divided)"
        else:
            condition = "coalesce(a.verdicts, 0) < $raters AND coalesce(a.mine, 0) = 0"
            values["raters"] = judging_set.raters
        if not with_leased:
            condition += " AND p.pair_id NOT IN (SELECT pair_id FROM judging_leases WHERE role = $role)"
        if query_key:
            condition += " AND p.query_key = $query"
            values["query"] = query_key
        rows = self._rows(
            f"""
            {_LATEST_ACTS + "," if call.role == "referee" else "WITH"}
            sums AS (
                SELECT pair_id, sum(change) AS verdicts, sum(change) FILTER (labeler = $labeler) AS mine,
                    count(*) FILTER (labeler = $labeler AND act = 'skip') AS skips
                FROM judging_acts WHERE set_id = $set AND role = $role GROUP BY pair_id
            )
            SELECT p.pair_id, p.query_key, p.item_id, p.position + {SKIP_PENALTY} * coalesce(a.skips, 0) AS place
            FROM judging_pairs AS p LEFT JOIN sums AS a USING (pair_id)
            WHERE p.set_id = $set AND p.pair_id NOT IN (SELECT unnest($gone::BIGINT[])) AND {condition}
            ORDER BY place LIMIT $limit
            """,
            values,
        )
        return [PairRow(*row) for row in rows]

    def _next_number(self, table: str, column: str) -> int:
        return int(self._rows(f"SELECT coalesce(max({column}), 0) + 1 FROM {table}")[0][0])

    def _rows(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        return self._database.cursor().execute(sql, values).fetchall()


def _per_hour(count: int, mean_ms: float | None) -> float | None:
    """Return the pace of `count` verdicts; None for fewer than three."""
    return round(3_600_000 / mean_ms, 1) if mean_ms and count >= MIN_PACE_ACTS else None
