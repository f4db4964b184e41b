"""The log of changes for people: changes of one kind that one person or program made in a row are one entry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from imgsearch.store.database import Database

READ_CHANGES = 200_000
"""How many of the latest changes are grouped: older ones are in the histories of their items."""

MAX_PAUSE_S = 60
EXAMPLES = 3
_KIND = "CASE WHEN kind = 'put' AND before IS NULL THEN 'add' ELSE kind END"


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Changes in a row, from number `first` to `last`, the latest of them at `ended_at`; some of their items.

    `kind` is that of the log, but `add` where there was no item before.
    """

    first: int
    last: int
    changes: int
    kind: str
    actor: str
    ended_at: datetime
    item_ids: tuple[str, ...]


def latest_groups(database: Database, limit: int = 30) -> list[ChangeGroup]:
    """Return the latest groups, the newest first.

    A pause of `MAX_PAUSE_S` seconds, another actor or another kind begins a new one.
    """
    rows = database.cursor().execute(
        f"WITH read AS (SELECT change_id, happened_at, actor, {_KIND} AS kind, item_id FROM item_changes "
        "ORDER BY change_id DESC LIMIT ?), "
        "marked AS (SELECT *, coalesce(lag(actor) OVER numbered = actor AND lag(kind) OVER numbered = kind "
        "AND happened_at - lag(happened_at) OVER numbered <= to_seconds(?), false) AS goes_on "
        "FROM read WINDOW numbered AS (ORDER BY change_id)), "
        "grouped AS (SELECT *, sum(CAST(NOT goes_on AS INTEGER)) OVER (ORDER BY change_id) AS place FROM marked) "
        "SELECT min(change_id), max(change_id), count(*), any_value(kind), any_value(actor), max(happened_at), "
        "min(item_id, ?) FROM grouped GROUP BY place ORDER BY max(change_id) DESC LIMIT ?",
        [READ_CHANGES, MAX_PAUSE_S, EXAMPLES, limit],
    )
    return [
        ChangeGroup(first, last, changes, kind, actor, ended_at, tuple(ids))
        for first, last, changes, kind, actor, ended_at, ids in rows.fetchall()
    ]


def change_ids(database: Database, group: ChangeGroup) -> list[int]:
    """Return the numbers of a group's changes, ascending."""
    rows = database.cursor().execute(
        f"SELECT change_id FROM item_changes WHERE change_id BETWEEN ? AND ? AND actor = ? AND {_KIND} = ? "
        "ORDER BY change_id",
        [group.first, group.last, group.actor, group.kind],
    )
    return [row[0] for row in rows.fetchall()]
