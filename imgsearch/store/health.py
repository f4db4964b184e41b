"""Checks of a catalog's rows and embeddings, and the repairs that need no photo (see ingest.verification)."""

from __future__ import annotations

from dataclasses import dataclass

from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import delete_rows
from imgsearch.store.stored_originals import PREFIX, stored_path

_WITHOUT_EMBEDDING = (
    "NOT EXISTS (SELECT 1 FROM vector_batches AS b "
    "WHERE items.key >= b.first_key AND items.key < b.first_key + b.rows)"
)


@dataclass(frozen=True, slots=True)
class VectorProblem:
    """A committed batch of embeddings that is not on disk as it was written."""

    first_key: int
    rows: int
    reason: str


def vector_problems(catalog: CatalogStore) -> list[VectorProblem]:
    """Return the committed batches with items whose embeddings on disk are not the bytes that were written."""
    batches = catalog.database.cursor().execute(
        "SELECT first_key, rows, crc32 FROM vector_batches AS b WHERE EXISTS "
        "(SELECT 1 FROM items WHERE key >= b.first_key AND key < b.first_key + b.rows) ORDER BY first_key"
    )
    problems = []
    for first, count, crc32 in batches.fetchall():
        found = catalog.vector_file.crc32(first, count) if catalog.vector_file else None
        if found is None:
            problems.append(VectorProblem(first, count, "the embeddings file is missing or ends before them"))
        elif found != crc32:
            problems.append(VectorProblem(first, count, "the bytes on disk differ from what was written"))
    return problems


def missing_originals(catalog: CatalogStore) -> list[str]:
    """Return the ids of the items whose photos were sent to the catalog and are not in its folder any more."""
    found = catalog.database.cursor().execute(
        f"SELECT item_id, location FROM items WHERE starts_with(location, '{PREFIX}') ORDER BY item_id"
    )
    missing = []
    for item_id, location in found.fetchall():
        path = stored_path(catalog.folder, location)
        if path is None or not path.is_file():
            missing.append(item_id)
    return missing


def row_problems(catalog: CatalogStore) -> list[str]:
    """Return what is wrong with the rows, a phrase each: duplicate ids or keys, rows without their counterpart."""
    checks = {
        "duplicate item ids": "SELECT count(item_id) - count(DISTINCT item_id) FROM items",
        "duplicate keys": "SELECT count(key) - count(DISTINCT key) FROM items",
        "items without a metadata row": "SELECT count(*) FROM items ANTI JOIN metadata USING (key)",
        "metadata rows without an item": "SELECT count(*) FROM metadata ANTI JOIN items USING (key)",
        "items without an embedding": f"SELECT count(*) FROM items WHERE {_WITHOUT_EMBEDDING}",
    }
    counts = {what: catalog.database.value(sql) for what, sql in checks.items()}
    return [f"{count} {what}" for what, count in counts.items() if count]


def drop_broken_rows(catalog: CatalogStore) -> int:
    """Delete the rows that `row_problems` finds (of duplicate ids the older ones), and return how many."""
    with catalog.writing() as cursor:
        broken = cursor.execute(
            "SELECT key FROM items WHERE key NOT IN (SELECT max(key) FROM items GROUP BY item_id) "
            "UNION SELECT key FROM items ANTI JOIN metadata USING (key) "
            "UNION SELECT key FROM metadata ANTI JOIN items USING (key) "
            f"UNION SELECT key FROM items WHERE {_WITHOUT_EMBEDDING}"
        ).fetchall()
        for table in ("items", "metadata", "looks"):
            delete_rows(cursor, table, "key", [row[0] for row in broken])
    return len(broken)


def pad_vectors(catalog: CatalogStore) -> None:
    """Lengthen a truncated embeddings file to what was committed, with zeros for the lost rows."""
    rows = catalog.database.value("SELECT max(first_key + rows) FROM vector_batches")
    if catalog.vector_file is not None and rows:
        catalog.vector_file.pad(int(rows))


def ids_of_batch(catalog: CatalogStore, first_key: int, rows: int) -> list[str]:
    """Return the ids of the items whose keys are in a batch, by key."""
    found = catalog.database.cursor().execute(
        "SELECT item_id FROM items WHERE key >= ? AND key < ? ORDER BY key", [first_key, first_key + rows]
    )
    return [row[0] for row in found.fetchall()]
