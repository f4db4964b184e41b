"""A renamed item keeps its old id nowhere in the database."""

from __future__ import annotations

from dataclasses import replace

from imgsearch.store.catalog import CatalogStore

OLD, NEW = "mug/red-0.jpg", "cups & mugs/1.jpg"
NAMING = {"item_id", "first_item", "query_key", "query", "value", "state"}
"""Columns of the tables that get a row that names the item."""


def test_no_column_of_any_table_names_the_old_id(catalog: CatalogStore) -> None:
    cursor = catalog.database.cursor()
    columns = cursor.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY 1, ordinal_position"
    ).fetchall()
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in columns:
        tables.setdefault(table, []).append((column, kind))
    own = {
        "items",
        "metadata",
        "metadata_columns",
        "looks",
        "vector_batches",
        "settings",
        "schema_version",
        "feed_states",
    }
    own |= {"metadata_misfits"}
    for table, fields in tables.items():
        if table in own or not NAMING & {column for column, _ in fields}:
            continue
        values = [_value(table, column, kind) for column, kind in fields]
        cursor.execute(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in values)})", values)
    (photo,) = catalog.stored_photos([OLD]).values()
    catalog.rename({OLD: replace(photo, item_id=NEW, location="/new.jpg")})
    for table, fields in tables.items():
        for column, kind in fields:
            if kind == "VARCHAR" and (table, column) != ("items", "location"):
                found = cursor.execute(
                    f"SELECT {column} FROM {table} WHERE regexp_matches({column}, 'mug.{{1,3}}red-0')"
                ).fetchall()
                assert found == [], (table, column)
    assert catalog.get(NEW).key == photo.key
    assert catalog.get(NEW).location == "/new.jpg"
    (first, second) = cursor.execute("SELECT first_item, second_item FROM duplicate_verdicts").fetchall()[0]
    assert (first, second) == (NEW, "lamp/red-0.png")


def _value(table: str, column: str, kind: str) -> object:
    if kind != "VARCHAR":
        return {"TIMESTAMP": "2026-01-01", "BOOLEAN": True}.get(kind, 1)
    if (table, column) == ("duplicate_verdicts", "first_item"):
        return "lamp/red-0.png"
    if column == "kind":
        return "item"
    if column == "query_key":
        return "text=red-0&item=mug%2Fred-0.jpg&part=0.5%3Aitem%400%2C0%2C1%2C0.5%3Amug%2Fred-0.jpg"
    if column == "state":
        return '{"action": "pin", "items": ["mug/red-0.jpg"], "filters": []}'
    return OLD if column in ("item_id", "value", "query", "second_item") else "x"
