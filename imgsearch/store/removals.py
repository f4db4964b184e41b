"""Removed items, from the log of changes: which can be restored, and which a person removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgsearch.store.catalog import INDEXING
from imgsearch.store.database import Database

FORGOTTEN = "imgsearch sources forget"
"""Who removes the items of a forgotten source."""
_BY_PROGRAMS = (INDEXING, FORGOTTEN, "imgsearch sync", "import")
"""Beginnings of the actors whose removals are not those of a person."""


@dataclass(frozen=True, slots=True)
class Removal:
    """An item that is gone: when and by whom it was removed last."""

    item_id: str
    happened_at: datetime
    actor: str

    @property
    def by_hand(self) -> bool:
        """Whether a person removed it, not a run over its source."""
        return not self.actor.startswith(_BY_PROGRAMS)


class Removals:
    """The latest removal of every item that is gone; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Removal]:
        """Return the removals, the latest first."""
        return self._read("true", [])

    def since(self, moment: datetime) -> list[Removal]:
        """Return the removals at or after a moment (UTC), the latest first."""
        return self._read("happened_at >= ?", [moment])

    def of_last_run(self) -> list[Removal]:
        """Return what the last run over a source removed that removed anything."""
        found = [removal for removal in self.all() if not removal.by_hand]
        return [removal for removal in found if removal.happened_at == found[0].happened_at]

    def by_hand(self) -> set[str]:
        """Return the ids of the items that a person removed."""
        return {removal.item_id for removal in self.all() if removal.by_hand}

    def _read(self, where: str, values: list[Any]) -> list[Removal]:
        rows = self._database.cursor().execute(
            "SELECT item_id, arg_max(happened_at, change_id) AS happened_at, arg_max(actor, change_id) AS actor "
            "FROM item_changes ANTI JOIN items USING (item_id) WHERE kind = 'delete' GROUP BY item_id "
            f"HAVING {where.replace('happened_at', 'arg_max(happened_at, change_id)')} "
            "ORDER BY happened_at DESC, item_id",
            values,
        )
        return [Removal(*row) for row in rows.fetchall()]
