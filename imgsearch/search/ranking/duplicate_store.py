"""The tables `duplicate_*` of one catalog: pairs of copies, how far photos were compared, and people's verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

import pandas as pd

from imgsearch.search.ranking.duplicate_pairs import Pair
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame, utc_now

__all__ = ["DuplicateState", "DuplicateStore"]

MAX_AUTHOR = 100


@dataclass(frozen=True, slots=True)
class DuplicateState:
    """How many photos were compared and how many were not yet; `threshold` is the cosine that proposes pairs.

    All photos with a key below `next_key` were compared.
    """

    compared: int
    waiting: int
    threshold: float | None
    happened_at: datetime | None
    next_key: int


class DuplicateStore:
    """Reads and appends rows of one open catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._database = catalog.database

    def state(self) -> DuplicateState:
        """Return how far the photos of the catalog were compared."""
        cursor = self._database.cursor()
        row = cursor.execute(
            "SELECT upto, threshold, happened_at FROM duplicate_passes ORDER BY upto DESC, happened_at DESC LIMIT 1"
        ).fetchone()
        next_key, threshold, happened_at = row or (0, None, None)
        counts = cursor.execute(
            "SELECT count(*) FILTER (key < $1), count(*) FILTER (key >= $1) FROM items", [next_key]
        ).fetchone()
        assert counts is not None
        return DuplicateState(counts[0], counts[1], threshold, happened_at, next_key)

    def pairs(self) -> pd.DataFrame:
        """Return the pairs of existing photos that nobody rejected: first_key, second_key, cosine, residual."""
        pairs: pd.DataFrame = (
            self._database.cursor()
            .execute(
                "SELECT first_key, second_key, cosine, residual FROM duplicate_pairs AS p "
                "JOIN items AS a ON a.key = p.first_key JOIN items AS b ON b.key = p.second_key "
                "WHERE NOT EXISTS (SELECT 1 FROM duplicate_verdicts AS v WHERE v.first_item = "
                "least(a.item_id, b.item_id) AND v.second_item = greatest(a.item_id, b.item_id))"
            )
            .df()
        )
        return pairs

    def add(self, pairs: Sequence[Pair], *, upto: int, threshold: float) -> None:
        """Store pairs, and that all photos below the key `upto` were compared."""
        with self._database.transaction() as cursor:
            if pairs:
                columns = ["first_key", "second_key", "cosine", "residual"]
                frame = pd.DataFrame(pairs, columns=columns)
                frame = frame.astype({"first_key": "uint64", "second_key": "uint64"})
                insert_frame(cursor, "duplicate_pairs", frame)
            cursor.execute(
                "INSERT INTO duplicate_passes VALUES (?, ?, ?)",
                [utc_now(), upto, threshold],
            )

    def forget_pairs(self) -> None:
        """Delete all pairs and progress; verdicts stay."""
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM duplicate_pairs")
            cursor.execute("DELETE FROM duplicate_passes")

    def reject(self, item_ids: Sequence[str], *, author: str) -> None:
        """Store that no two of these distinct items are copies of each other."""
        pairs = list(combinations(sorted(item_ids), 2))
        frame = pd.DataFrame(
            {
                "happened_at": utc_now(),
                "author": author[:MAX_AUTHOR],
                "first_item": [first for first, _ in pairs],
                "second_item": [second for _, second in pairs],
                "verdict": "different",
            }
        )
        with self._database.transaction() as cursor:
            insert_frame(cursor, "duplicate_verdicts", frame)
