"""The sources of a catalog: their names, places, items and last runs, from `items` and the table `source_runs`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgsearch.core.errors import SourceError
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import utc_now

MAX_NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source by its name: where it is, how many items it has, and what its last run listed (times in UTC).

    The name of a source without one is its place. `places` is empty and the rest None for a source that was last
    indexed before runs were recorded.
    """

    name: str
    places: tuple[str, ...]
    items: int
    last_run_at: datetime | None = None
    listed: int | None = None
    failed: int | None = None
    complete: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {
            "name": self.name,
            "places": list(self.places),
            "items": self.items,
            "last_run_at": f"{self.last_run_at.isoformat(timespec='seconds')}Z" if self.last_run_at else None,
            "listed": self.listed,
            "failed": self.failed,
            "complete": self.complete,
        }


class SourceTable:
    """The sources of one open catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self._database = catalog.database

    def all(self) -> list[SourceState]:
        """Return every source that has items or runs, by name."""
        rows = self._database.cursor().execute(
            """
            WITH counts AS (SELECT source AS name, count(*) AS items FROM items GROUP BY source),
            runs AS (SELECT * FROM source_runs QUALIFY row_number()
                     OVER (PARTITION BY name ORDER BY happened_at DESC, rowid DESC) = 1)
            SELECT coalesce(counts.name, runs.name) AS name, places, coalesce(items, 0), happened_at, listed, failed,
                   complete
            FROM counts FULL JOIN runs ON counts.name = runs.name ORDER BY 1
            """
        )
        return [
            SourceState(name, _places(places), items, *last) for name, places, items, *last in rows.fetchall()
        ]

    def photos_of_products(self, source: str) -> dict[str, str]:
        """Return the location of each item of a source whose product has several: SKU, SKU/2, ..., by item id."""
        sql = (
            "WITH own AS (SELECT item_id, location, regexp_replace(item_id, '/[0-9]+$', '') AS product FROM items "
            "WHERE source = ?) SELECT item_id, location FROM own "
            "WHERE product IN (SELECT product FROM own WHERE product <> item_id)"
        )
        return dict(self._database.cursor().execute(sql, [source]).fetchall())

    def get(self, name: str) -> SourceState:
        """Return a source; raises `SourceError` where there is none of that name."""
        for source in self.all():
            if source.name == name:
                return source
        raise SourceError(f"There is no source {name[:200]!r}; `imgsearch sources list` shows them.")

    def name_of(self, places: Sequence[str]) -> str:
        """Return the name under which these places together were indexed last, or ""."""
        rows = self._database.cursor().execute(
            "SELECT name FROM source_runs WHERE places = ? ORDER BY happened_at DESC, rowid DESC LIMIT 1",
            [_text(places)],
        )
        found = rows.fetchone()
        return str(found[0]) if found else ""

    def note_run(self, name: str, places: Sequence[str], *, listed: int, failed: int, complete: bool) -> None:
        """Record an ended run."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO source_runs VALUES (?, ?, ?, ?, ?, ?)",
                [name, _text(places), utc_now(), listed, failed, complete],
            )

    def rename(self, name: str, new_name: str) -> int:
        """Give a source another name, and return how many items it has; raises `SourceError`."""
        self.get(name)
        check_source_name(new_name)
        if any(source.name == new_name for source in self.all()):
            raise SourceError(f"There is a source {new_name!r} already.")
        ids = sorted(self._catalog.ids_of_source(name))
        with self._catalog.writing() as cursor:
            cursor.execute("UPDATE items SET source = ? WHERE source = ?", [new_name, name])
            cursor.execute("UPDATE source_runs SET name = ? WHERE name = ?", [new_name, name])
        return len(ids)

    def forget_runs(self, name: str) -> None:
        """Delete the runs of a source; its items stay."""
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM source_runs WHERE name = ?", [name])


def check_source_name(name: str) -> str:
    """Return the name of a source if it is one and no place; raises `SourceError`."""
    plain = name.strip() == name and name.isprintable() and not set(name) & set("/\\")
    if not (0 < len(name) <= MAX_NAME_CHARS and plain and not name.startswith(("-", "."))):
        raise SourceError(
            f"{name[:40]!r} is not a name for a source: give 1 to {MAX_NAME_CHARS} characters without a slash, such "
            "as shop."
        )
    return name


def is_source_name(source: str) -> bool:
    """Return whether the source of an item is a name, and not the place of a source without one."""
    return "/" not in source and "\\" not in source


def _text(places: Sequence[str]) -> str:
    return json.dumps(sorted(places), ensure_ascii=False)


def _places(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()
