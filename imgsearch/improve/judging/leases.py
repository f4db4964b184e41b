"""Leases in the database: which labeler holds which pairs, and which pairs are free.

A pair that a labeler holds is free to no one else: two labelers never see the same pair at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from imgsearch.improve.judging.calls import JudgingCall
from imgsearch.improve.judging.records import JudgingSet, PairRow
from imgsearch.improve.judging.store import LATEST_ACTS
from imgsearch.store.database import Database

__all__ = ["LeaseStore"]

SKIP_PENALTY = 1_000_000_000
"""Added to a pair's place for each skip: skipped pairs come last."""


class LeaseStore:
    """The table `judging_leases`; its methods join the caller's transaction."""

    def __init__(self, database: Database, lease_s: float) -> None:
        """Use an open catalog's database; a lease expires after `lease_s` seconds."""
        self._database = database
        self._lease_s = lease_s

    def holders(self, pair_id: int, role: str, now: datetime) -> set[str]:
        """Return the labelers who hold a pair."""
        rows = self._rows(
            "SELECT labeler FROM judging_leases WHERE pair_id = ? AND role = ? AND expires_at > ?",
            [pair_id, role, now],
        )
        return {row[0] for row in rows}

    def held(self, set_id: int, call: JudgingCall) -> list[PairRow]:
        """Return the pairs that a client holds, in order."""
        rows = self._rows(
            "SELECT pair_id, query_key, item_id, place FROM judging_leases "
            "WHERE set_id = ? AND labeler = ? AND client = ? AND role = ? ORDER BY place",
            [set_id, call.labeler, call.client, call.role],
        )
        return [PairRow(*row) for row in rows]

    def lease(self, set_id: int, call: JudgingCall, pairs: Sequence[PairRow], now: datetime) -> None:
        """Lease free pairs to a client."""
        lease = (set_id, call.labeler, call.client, call.role, now + timedelta(seconds=self._lease_s))
        if pairs:
            self._database.cursor().executemany(
                "INSERT INTO judging_leases (set_id, labeler, client, role, expires_at, pair_id, query_key, item_id, "
                "place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [[*lease, *pair] for pair in pairs],
            )

    def renew(self, call: JudgingCall, now: datetime) -> None:
        """Extend a client's leases once a third of their time has passed, not at every key."""
        end, soon = (now + timedelta(seconds=self._lease_s * part) for part in (1, 2 / 3))
        self._rows(
            "UPDATE judging_leases SET expires_at = ? WHERE client = ? AND labeler = ? AND expires_at < ?",
            [end, call.client, call.labeler, soon],
        )

    def release(self, call: JudgingCall, pair_id: int) -> None:
        """End a labeler's lease of a pair."""
        self._rows(
            "DELETE FROM judging_leases WHERE pair_id = ? AND labeler = ? AND role = ?",
            [pair_id, call.labeler, call.role],
        )

    def expire(self, now: datetime) -> None:
        """Delete leases whose time has passed."""
        self._rows("DELETE FROM judging_leases WHERE expires_at <= ?", [now])

    def free(
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
            {LATEST_ACTS + "," if call.role == "referee" else "WITH"}
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

    def _rows(self, sql: str, values: Sequence[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._database.cursor().execute(sql, values).fetchall()
