"""The table `settings`: texts by name that belong to a catalog, such as its encoder."""

from __future__ import annotations

from imgsearch.store.database import Database

__all__ = ["CatalogSettings"]


class CatalogSettings:
    """Reads from memory, writes through; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._values: dict[str, str] = dict(
            database.cursor().execute("SELECT name, value FROM settings").fetchall()
        )

    def get(self, name: str) -> str:
        """Return the value, or "" where there is none."""
        return self._values.get(name, "")

    def save(self, **values: str) -> None:
        """Store the values, all of them or none."""
        changed = {name: value for name, value in values.items() if self.get(name) != value}
        if changed:
            with self._database.transaction() as cursor:
                for name, value in changed.items():
                    cursor.execute("DELETE FROM settings WHERE name = ?", [name])
                    cursor.execute("INSERT INTO settings VALUES (?, ?)", [name, value])
            self._values.update(changed)
