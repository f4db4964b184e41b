"""What tells whether a photo at a URL has changed since it was read: its entity tag, time and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from imgsearch.store.database import Database, delete_rows, insert_frame, utc_now


@dataclass(frozen=True, slots=True)
class UrlState:
    """What a server said of a URL: `etag` and `last_modified` as in its headers, "" and 0 where it did not."""

    url: str
    etag: str = ""
    last_modified: str = ""
    size_bytes: int = 0


class UrlStates:
    """The states of the URLs of a catalog; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, urls: Sequence[str]) -> dict[str, UrlState]:
        """Return the known states by URL."""
        rows = self._database.cursor().execute(
            "SELECT url, etag, last_modified, size_bytes FROM url_states "
            "WHERE url IN (SELECT unnest(?::VARCHAR[]))",
            [list(urls)],
        )
        return {row[0]: UrlState(*row) for row in rows.fetchall()}

    def store(self, states: Sequence[UrlState]) -> None:
        """Replace the states of URLs."""
        latest = {state.url: state for state in states}
        if not latest:
            return
        frame = pd.DataFrame(
            {
                "url": list(latest),
                "etag": [state.etag for state in latest.values()],
                "last_modified": [state.last_modified for state in latest.values()],
                "size_bytes": [state.size_bytes for state in latest.values()],
            }
        )
        frame["checked_at"] = utc_now()
        with self._database.transaction() as cursor:
            delete_rows(cursor, "url_states", "url", list(latest))
            insert_frame(cursor, "url_states", frame)
