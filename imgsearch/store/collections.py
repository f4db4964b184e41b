"""Collections: named sets of items and searches that visitors save, and each visitor's recent searches.

The tables `collection_acts`, `collection_entries` and `recents_cleared` are append-only: the latest row counts. The
id of a collection is secret: everyone who has it may read the collection, only its owner may change it.
"""

from __future__ import annotations

import csv
import io
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qs

import pandas as pd

from imgsearch.core.csv_cells import escape_formula
from imgsearch.core.errors import CollectionError, QueryError, UnknownCollection
from imgsearch.core.query import MAX_ADDRESS_CHARS, Query, Term
from imgsearch.core.query_address import query_from_params
from imgsearch.core.records import Item
from imgsearch.core.text import is_unicode
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import Cursor, insert_frame, utc_now

Kind = Literal["item", "query"]

MAX_NAME = 80
MAX_ITEMS = 5000
MAX_QUERIES = 200
MAX_COLLECTIONS = 200
"""For each visitor."""
MAX_VISITOR = 200
MAX_SET_TERMS = 24
"""How many terms a search by a whole collection has at most."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A named set: item ids and query strings of searches, each in the order in which they were saved.

    `owner` is the visitor who made it; never show it to another one. Items may be gone from the catalog. Times: UTC.
    """

    id: str
    name: str
    owner: str
    created: datetime
    changed: datetime
    items: tuple[str, ...]
    queries: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the collection as JSON, without its owner."""
        return {
            "id": self.id,
            "name": self.name,
            "created": f"{self.created.isoformat(timespec='seconds')}Z",
            "changed": f"{self.changed.isoformat(timespec='seconds')}Z",
            "items": list(self.items),
            "queries": list(self.queries),
        }


@dataclass(frozen=True, slots=True)
class CollectionComparison:
    """The items in the first collection only, in both, and in the second only; each in the order saved."""

    only_first: tuple[str, ...]
    both: tuple[str, ...]
    only_second: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recent:
    """One search of a visitor: its query string, and when it was last made (UTC)."""

    address: str
    happened_at: datetime


class Collections:
    """The collections of one catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore, *, writer: str = "") -> None:
        """Use the catalog's database; a replica, whose `writer` has that address, may only read."""
        self._catalog = catalog
        self._writer = writer
        self._database = catalog.database

    def of(self, visitor: str) -> list[Collection]:
        """Return a visitor's collections, the latest changed first."""
        return self._read("visitor = ?", [visitor]) if visitor else []

    def all(self) -> list[Collection]:
        """Return all collections, the latest changed first; for operators only, never for visitors."""
        return self._read("true", [])

    def get(self, collection_id: str) -> Collection:
        """Return a collection; raises `UnknownCollection` where there is none or it was removed."""
        found = self._read("collection_id = ?", [collection_id]) if is_unicode(collection_id) else []
        if not found:
            raise UnknownCollection(
                f"There is no collection {collection_id[:40]!r}; it may have been removed."
            )
        return found[0]

    def recents(self, visitor: str, n: int = 12) -> list[Recent]:
        """Return the visitor's latest n distinct searches in the feedback since the last clearing, latest first."""
        if not visitor:
            return []
        rows = self._database.cursor().execute(
            """
            WITH searches AS (
                SELECT query_key, happened_at FROM impressions WHERE visitor = $visitor
                UNION ALL SELECT query_key, happened_at FROM empty_searches WHERE visitor = $visitor
            )
            SELECT query_key, max(happened_at) AS latest FROM searches
            WHERE happened_at > coalesce(
                (SELECT max(happened_at) FROM recents_cleared WHERE visitor = $visitor), TIMESTAMP '1970-01-01')
            GROUP BY query_key ORDER BY latest DESC, query_key LIMIT $n
            """,
            {"visitor": visitor, "n": n},
        )
        return [Recent(str(address), latest) for address, latest in rows.fetchall()]

    def create(
        self, name: str, visitor: str, item_ids: Sequence[str] = (), queries: Sequence[str] = ()
    ) -> Collection:
        """Create a collection of items and searches (query strings) and return it.

        Raises `CollectionError` for a name that is invalid or taken and for too many entries, `UnknownItem`,
        `QueryError` or `FilterError` for an invalid entry; then nothing is stored.
        """
        name, visitor = clean_name(name), _checked_visitor(visitor)
        with self._writing():
            mine = self.of(visitor)
            if len(mine) >= MAX_COLLECTIONS:
                raise CollectionError(f"You have {MAX_COLLECTIONS} collections, the limit; remove one.")
            _check_name_free(name, mine)
            collection_id = secrets.token_hex(16)
            self._log(visitor, collection_id, "create", name)
            self._save(self.get(collection_id), item_ids, queries)
            return self.get(collection_id)

    def rename(self, collection_id: str, visitor: str, name: str) -> Collection:
        """Rename a collection; raises `UnknownCollection`, and `CollectionError` as `create` does."""
        name = clean_name(name)
        with self._writing():
            collection = self._own(collection_id, visitor)
            _check_name_free(name, [each for each in self.of(visitor) if each.id != collection_id])
            if name != collection.name:
                self._log(visitor, collection_id, "rename", name)
            return self.get(collection_id)

    def remove(self, collection_id: str, visitor: str) -> None:
        """Remove a collection, which ends its link; raises as `rename` does."""
        with self._writing():
            self._log(visitor, collection_id, "remove", self._own(collection_id, visitor).name)

    def add(
        self, collection_id: str, visitor: str, item_ids: Sequence[str] = (), queries: Sequence[str] = ()
    ) -> Collection:
        """Add items and searches to a collection; present ones stay. Raises as `create` does."""
        with self._writing():
            self._save(self._own(collection_id, visitor), item_ids, queries)
            return self.get(collection_id)

    def discard(
        self, collection_id: str, visitor: str, item_ids: Sequence[str] = (), queries: Sequence[str] = ()
    ) -> Collection:
        """Remove items and searches from a collection; absent ones are ignored. Raises as `rename` does."""
        with self._writing():
            collection = self._own(collection_id, visitor)
            items, searches = set(item_ids), set(queries)
            self._append(collection, False, "item", [each for each in collection.items if each in items])
            present = [each for each in collection.queries if each in searches]
            self._append(collection, False, "query", present)
            return self.get(collection_id)

    def clear_recents(self, visitor: str) -> None:
        """Hide the visitor's recent searches so far; the feedback rows stay."""
        with self._writing() as cursor:
            values = [utc_now(), _checked_visitor(visitor)]
            cursor.execute("INSERT INTO recents_cleared VALUES (?, ?)", values)

    def _writing(self) -> AbstractContextManager[Cursor]:
        if self._writer:
            raise CollectionError(f"This is a read-only replica; save collections at {self._writer} instead.")
        return self._database.transaction()

    def _own(self, collection_id: str, visitor: str) -> Collection:
        collection = self.get(collection_id)
        if not visitor or collection.owner != visitor:
            raise CollectionError("This collection belongs to another visitor: you can only view it.")
        return collection

    def _log(self, visitor: str, collection_id: str, act: str, name: str) -> None:
        with self._writing() as cursor:
            values = [utc_now(), visitor, collection_id, act, name]
            cursor.execute("INSERT INTO collection_acts VALUES (?, ?, ?, ?, ?)", values)

    def _save(self, collection: Collection, item_ids: Sequence[str], queries: Sequence[str]) -> None:
        items = [each for each in dict.fromkeys(item_ids) if each not in set(collection.items)]
        searches = [each for each in dict.fromkeys(queries) if each not in set(collection.queries)]
        for limit, total, what in (
            (MAX_ITEMS, len(collection.items) + len(items), "items"),
            (MAX_QUERIES, len(collection.queries) + len(searches), "searches"),
        ):
            if total > limit:
                raise CollectionError(f"The collection would have {total:,} {what}; the limit is {limit:,}.")
        if len(self._catalog.get_many(items)) < len(items):
            for item_id in items:
                self._catalog.get(item_id)  # raises for the unknown one
        for address in searches:
            if len(address) > MAX_ADDRESS_CHARS or not is_unicode(address):
                raise CollectionError(
                    f"The search is too long to be saved: at most {MAX_ADDRESS_CHARS:,} characters."
                )
            if not query_from_params(parse_qs(address)).terms:
                raise QueryError("There is nothing to save yet: search for something first.")
        self._append(collection, True, "item", items)
        self._append(collection, True, "query", searches)

    def _append(self, collection: Collection, is_in: bool, kind: Kind, values: Sequence[str]) -> None:
        if not values:
            return
        now = utc_now()
        rows = [(now, collection.owner, collection.id, kind, value, is_in) for value in values]
        with self._writing() as cursor:
            insert_frame(cursor, "collection_entries", pd.DataFrame(rows))

    def _read(self, where: str, values: list[Any]) -> list[Collection]:
        """Return the present collections with their present entries, the latest changed first."""
        heads_sql = (
            "SELECT collection_id, arg_max(name, rowid), any_value(visitor), min(happened_at), max(happened_at) "
            f"FROM collection_acts WHERE {where} GROUP BY collection_id HAVING arg_max(act, rowid) <> 'remove'"
        )
        entries_sql = (
            "SELECT collection_id, kind, value, arg_max(is_in, rowid), max(happened_at) "
            f"FROM collection_entries WHERE {where} GROUP BY collection_id, kind, value ORDER BY max(rowid)"
        )
        cursor = self._database.cursor()
        heads = cursor.execute(heads_sql, values).fetchall()
        entries = cursor.execute(entries_sql, values).fetchall()
        inside: dict[tuple[str, str], list[str]] = {}
        changed: dict[str, datetime] = {}
        for collection_id, kind, value, is_in, happened_at in entries:
            changed[collection_id] = max(happened_at, changed.get(collection_id, happened_at))
            if is_in:
                inside.setdefault((collection_id, kind), []).append(value)
        found = []
        for collection_id, name, owner, created, latest in heads:
            items, queries = (tuple(inside.get((collection_id, kind), ())) for kind in ("item", "query"))
            when = max(latest, changed.get(collection_id, latest))
            found.append(Collection(collection_id, name, owner, created, when, items, queries))
        return sorted(found, key=lambda each: (each.changed, each.name), reverse=True)


def compare(first: Collection, second: Collection) -> CollectionComparison:
    """Return which items two collections share and which they do not."""
    ours, theirs = set(first.items), set(second.items)
    return CollectionComparison(
        only_first=tuple(each for each in first.items if each not in theirs),
        both=tuple(each for each in first.items if each in theirs),
        only_second=tuple(each for each in second.items if each not in ours),
    )


def set_query(item_ids: Sequence[str], n: int = 10) -> Query:
    """Return the search by a whole set of items; of a large one, evenly spaced items represent all."""
    chosen = item_ids
    if len(item_ids) > MAX_SET_TERMS:
        step = len(item_ids) / MAX_SET_TERMS
        chosen = [item_ids[int(place * step)] for place in range(MAX_SET_TERMS)]
    return Query(tuple(Term("item", item_id) for item_id in chosen), n=n)


def collection_csv(collection: Collection, items: Sequence[Item], columns: Sequence[str]) -> str:
    """Return the collection as a table: kind, id, title, then the metadata columns; searches come last.

    `items` are those still in the catalog; of the others only the id is known. A text that a spreadsheet would read
    as a formula begins with an apostrophe.
    """
    known: Mapping[str, Item] = {item.item_id: item for item in items}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["kind", "id", "title", *map(escape_formula, columns)])
    for item_id in collection.items:
        item = known.get(item_id)
        cells = [item.metadata.get(column) for column in columns] if item else [None] * len(columns)
        writer.writerow(["item", *map(escape_formula, (item_id, item.title if item else "", *cells))])
    for address in collection.queries:
        writer.writerow(["query", escape_formula(address), "", *([""] * len(columns))])
    return buffer.getvalue()


def clean_name(name: object) -> str:
    """Return a name without double or outer white space; raises `CollectionError` for an invalid one."""
    if not isinstance(name, str):
        raise CollectionError("The collection's name must be a text.")
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean:
        raise CollectionError("The collection has no name yet; type one.")
    if len(clean) > MAX_NAME:
        raise CollectionError(f"The name has {len(clean)} characters; shorten it to at most {MAX_NAME}.")
    if not clean.isprintable():
        raise CollectionError("The name contains characters that cannot be displayed; remove them.")
    return clean


def _check_name_free(name: str, mine: Sequence[Collection]) -> None:
    if any(each.name.casefold() == name.casefold() for each in mine):
        raise CollectionError(f"You have a collection named {name!r} already; choose another name.")


def _checked_visitor(visitor: str) -> str:
    if not visitor.strip() or len(visitor) > MAX_VISITOR or not is_unicode(visitor):
        raise CollectionError(f"A collection needs a visitor's name of 1 to {MAX_VISITOR} characters.")
    return visitor
