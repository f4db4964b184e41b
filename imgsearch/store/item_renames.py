"""Renaming items: everything that names an item by its id follows it, in the caller's transaction.

items, impressions, clicks, judgments, judging pairs and leases, measured hits and queries, verdicts on duplicates,
collections, rules and their history, the log of changes (the new id keeps the item's history), and the query
keys of searches by the item. Embeddings, looks, thumbnails, duplicate pairs and metadata belong to the
key, which stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from imgsearch.core.query_address import rename_items_in
from imgsearch.store.database import Cursor, update_from_frame

_ID_COLUMNS = (
    ("items", "item_id"),
    ("item_changes", "item_id"),
    ("item_changes", "item_id"),
    ("impressions", "item_id"),
    ("clicks", "item_id"),
    ("judgments", "item_id"),
    ("judging_pairs", "item_id"),
    ("judging_leases", "item_id"),
    ("evaluation_hits", "item_id"),
    ("duplicate_verdicts", "first_item"),
    ("duplicate_verdicts", "second_item"),
)
_QUERY_COLUMNS = (
    ("impressions", "query_key"),
    ("empty_searches", "query_key"),
    ("exposures", "query_key"),
    ("judgments", "query_key"),
    ("judging_pairs", "query_key"),
    ("judging_leases", "query_key"),
)
_NAMES_AN_ITEM = "regexp_matches({column}, '(^|&)(item|more|less|part)=')"


def rename_items(cursor: Cursor, names: Mapping[str, str]) -> None:
    """Give items new ids, by their old ones, at the same time: they may be exchanged.

    No new id may be that of an item that keeps it.
    """
    if not names:
        return
    frame = pd.DataFrame({"old_id": list(names), "new_id": list(names.values())})
    for table, column in _ID_COLUMNS:
        _replace(cursor, table, column, frame)
    _order_verdicts(cursor)
    for table, column in _QUERY_COLUMNS:
        _replace_queries(cursor, table, column, names)
    _rename_in_collections(cursor, names, frame)
    _rename_in_rules(cursor, names)


def _replace(cursor: Cursor, table: str, column: str, frame: pd.DataFrame, where: str = "true") -> None:
    """Replace a column's values by a frame of old_id and new_id."""
    cursor.register("item_names", frame)
    try:
        cursor.execute(
            f"UPDATE {table} SET {column} = item_names.new_id FROM item_names "
            f"WHERE {table}.{column} = item_names.old_id AND {where}"
        )
    finally:
        cursor.unregister("item_names")


def _order_verdicts(cursor: Cursor) -> None:
    """The first item of a verdict is the lesser id."""
    cursor.execute(
        "UPDATE duplicate_verdicts SET first_item = second_item, second_item = first_item "
        "WHERE first_item > second_item"
    )


def _replace_queries(
    cursor: Cursor, table: str, column: str, names: Mapping[str, str], where: str = "true"
) -> None:
    condition = _NAMES_AN_ITEM.format(column=column)
    rows = cursor.execute(f"SELECT DISTINCT {column} FROM {table} WHERE {condition} AND {where}").fetchall()
    renamed = {key: new for (key,) in rows if (new := rename_items_in(key, names)) != key}
    if renamed:
        frame = pd.DataFrame({"old_id": list(renamed), "new_id": list(renamed.values())})
        _replace(cursor, table, column, frame, where)


def _rename_in_collections(cursor: Cursor, names: Mapping[str, str], frame: pd.DataFrame) -> None:
    _replace(cursor, "collection_entries", "value", frame, "kind = 'item'")
    _replace_queries(cursor, "collection_entries", "value", names, "kind = 'query'")
    _replace(cursor, "evaluation_queries", "query", frame, "kind = 'item'")
    _replace_queries(cursor, "evaluation_queries", "query", names, "kind = 'query'")


def _rename_in_rules(cursor: Cursor, names: Mapping[str, str]) -> None:
    changed = {}
    for change_id, text in cursor.execute("SELECT change_id, state FROM rule_changes").fetchall():
        state = json.loads(text)
        items = [names.get(item_id, item_id) for item_id in state["items"]]
        if items != state["items"]:
            changed[int(change_id)] = json.dumps({**state, "items": items})
    if changed:
        frame = pd.DataFrame({"change_id": list(changed), "state": list(changed.values())})
        update_from_frame(cursor, "rule_changes", "change_id", frame)
