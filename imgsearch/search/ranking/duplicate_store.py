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

__all__ = ["ComparedUpTo", "DuplicateStore"]

MAX_AUTHOR = 100


@dataclass(frozen=True, slots=True)
class ComparedUpTo:
    """All photos below `key` were compared; `threshold` is the cosine that proposed pairs."""

    key: int = 0
    threshold: float | None = None
    happened_at: datetime | None = None


class DuplicateStore:
    """Reads and appends rows of one open catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._database = catalog.database

    def progress(self) -> ComparedUpTo:
        """Return how far photos were compared."""
        row = (
            self._database.cursor()
            .execute(
                "SELECT upto, threshold, happened_at FROM duplicate_passes "
                "ORDER BY upto DESC, happened_at DESC LIMIT 1"
            )
            .fetchone()
        )
        return ComparedUpTo(int(row[0]), float(row[1]), row[2]) if row else ComparedUpTo()

    def count_from(self, key: int) -> int:
        """Return how many items have this key or a later one."""
        row = self._database.cursor().execute("SELECT count(*) FROM items WHERE key >= ?", [key]).fetchone()
        return int(row[0]) if row else 0

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
