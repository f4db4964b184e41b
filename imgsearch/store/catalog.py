"""The catalog: items with their metadata and embeddings; the truth from which any index can be rebuilt.

It owns the folder's `catalog.duckdb` (through `Database`) and `embeddings/`, and hands out items, vectors, filters'
answers and facets. It knows neither encoders nor indexes nor where photos come from: it stores what it is given,
a batch at a time, each batch whole or not at all.

    <folder>/catalog.duckdb      items, metadata, bookkeeping of embeddings, feedback
    <folder>/embeddings/         one append-only float16 file, and looks (imgsearch.store.look_table)
    <folder>/index/              index generations          (imgsearch.index.live_index)
    <folder>/thumbnails/         cached WebP                (imgsearch.store.thumbnails)
    <folder>/uploads/            pictures visitors sent     (imgsearch.store.uploads)
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.core.errors import CatalogError, CatalogNotFound, EncoderMismatch, FilterError, UnknownItem
from imgsearch.core.filter_grammar import ColumnKind, condition
from imgsearch.core.query import Filter
from imgsearch.core.records import TITLE_COLUMNS, Facet, FacetValue, Item
from imgsearch.store.database import Database, insert_frame, lent_keys, update_from_frame
from imgsearch.store.look_table import LookStore
from imgsearch.store.vector_file import EmbeddingFile

if TYPE_CHECKING:
    import duckdb

__all__ = ["CatalogInfo", "CatalogStore", "NewItem", "StoredPhoto", "VectorProblem"]

Keys = NDArray[np.uint64]

FEW_CHOICES = 12
MAX_CHOICES = 60
"""A text column with more distinct values than this is offered for `contains` instead of as choices."""

LOCAL_INDEX = "local"

KEPT_ITEMS = 50_000
"""How many rows are kept in memory between changes: asking DuckDB for ten takes about 2 ms."""
KEPT_FACETS = 64
"""For how many combinations of filters facets are kept: of a million rows they take DuckDB 100 ms."""
UNSEEN = "key NOT IN (FROM unseen)"
"""The condition on rows whose keys were not lent to a cursor as `unseen`."""
WHITE = ("'  '", "chr(9)", "chr(10)", "chr(12)", "chr(13)")
"""What a text has one of where its white space is not single spaces, as SQL."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """A photo to store: its identity, where it lies, how to tell that it changed, and its row."""

    item_id: str
    source: str
    location: str
    size_bytes: int
    modified_ns: int
    digest: str
    row_digest: str
    width_px: int
    height_px: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """What the catalog knows of a photo for telling whether it changed."""

    key: int
    source: str
    location: str
    size_bytes: int
    modified_ns: int
    digest: str
    row_digest: str


@dataclass(frozen=True, slots=True)
class CatalogInfo:
    """The catalog in figures; sizes in bytes, times in UTC."""

    folder: str
    items: int
    encoder_spec: str
    encoder_id: str
    encoder_reason: str
    dim: int
    columns: Mapping[str, str]
    sources: Mapping[str, int]
    bytes_on_disk: int
    last_added_at: str | None
    generation: int = 0
    built_at: str | None = None
    index: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class VectorProblem:
    """A committed batch of embeddings that is not on disk as it was written."""

    first_key: int
    rows: int
    reason: str


class CatalogStore:
    """One folder of items and embeddings, opened for this process alone.

    Reading is safe from any thread; writes of several threads wait for each other. `version` grows with every
    committed change, so that callers may cache by it.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        """Use `CatalogStore.open`."""
        self.folder = folder
        self.database = database
        self.version = 0
        self._lock = threading.Lock()
        self._settings: dict[str, str] = dict(
            self.database.cursor().execute("SELECT name, value FROM settings").fetchall()
        )
        self.index_read_only = False
        self._index_address = self._settings.get("index_address", "")
        self.looks = LookStore(folder / "embeddings", database)
        self._columns = self._read_columns()
        self._by_key: dict[Any, Item] = {}
        self._by_id: dict[Any, Item] = {}
        self._keys: Keys | None = None
        self._facets: dict[tuple[tuple[Filter, ...], bytes], tuple[Facet, ...]] = {}
        self._vectors: EmbeddingFile | None = None
        if self.dim:
            self._vectors = EmbeddingFile(folder / "embeddings" / "vectors.f16", self.dim)

    @classmethod
    def open(cls, folder: Path | str, *, create: bool = False) -> CatalogStore:
        """Open the catalog in `folder`; with `create`, make it first where there is none.

        Raises `CatalogNotFound`, `CatalogLocked` naming the holder, `CatalogCorrupt`, or `CatalogError` where
        the folder cannot be written.
        """
        folder = Path(folder).expanduser().absolute()
        if not (folder / "catalog.duckdb").is_file():
            if not create:
                raise CatalogNotFound(
                    f"There is no catalog in {folder}; make one with `imgsearch index PHOTOS --catalog {folder}`."
                )
            if folder.is_file():
                raise CatalogError(f"{folder} is a file, not a folder for a catalog.")
            if folder.is_dir() and any(folder.iterdir()) and not (folder / "writer.lock").exists():
                raise CatalogError(f"{folder} holds other files; give --catalog an empty or a new folder.")
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CatalogError(f"The folder {folder} cannot be made: {error.strerror}.") from error
        database = Database(folder)
        try:
            with database.translated_errors():
                return cls(folder, database)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the database and give the lock back; closing twice is fine."""
        self.database.close()

    def __enter__(self) -> CatalogStore:
        """Return the catalog itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the catalog."""
        self.close()

    # --- the encoder ------------------------------------------------------------------------------------------

    @property
    def encoder_spec(self) -> str:
        """The spec that the embeddings were made by (`auto` resolved), or "" before the first indexing."""
        return self._settings.get("encoder_spec", "")

    @property
    def encoder_id(self) -> str:
        """The identity of the encoder that made every embedding here, or "" before the first indexing."""
        return self._settings.get("encoder_id", "")

    @property
    def encoder_reason(self) -> str:
        """Why this encoder was chosen, in a sentence, where `auto` chose it."""
        return self._settings.get("encoder_reason", "")

    @property
    def dim(self) -> int:
        """The length of an embedding, or 0 before the first indexing."""
        return int(self._settings.get("dim", "0"))

    def bind_encoder(self, spec: str, encoder_id: str, dim: int, *, reason: str = "") -> None:
        """Stamp the catalog with the encoder of its embeddings, or check that it is the same one.

        Raises `EncoderMismatch` when the catalog holds another encoder's embeddings.
        """
        if self.encoder_id:
            if (encoder_id, dim) != (self.encoder_id, self.dim):
                raise EncoderMismatch(
                    f"The catalog {self.folder} holds embeddings of {self.encoder_id}, which cannot be mixed with "
                    f"those of {encoder_id}; index into a new folder with --catalog."
                )
            return
        values = {"encoder_spec": spec, "encoder_id": encoder_id, "dim": str(dim), "encoder_reason": reason}
        with self.database.transaction() as cursor:
            cursor.executemany("INSERT INTO settings VALUES (?, ?)", list(values.items()))
        self._settings.update(values)
        self._vectors = EmbeddingFile(self.folder / "embeddings" / "vectors.f16", dim)

    # --- an index elsewhere -----------------------------------------------------------------------------------

    @property
    def index_address(self) -> str:
        """Where the index lies: "" in this folder, else an address such as `milvus://host:19530`."""
        return self._index_address

    def bind_index(self, address: str, *, read_only: bool = False) -> None:
        """Say where the index lies from now on; `local` is this folder, "" leaves it where it was.

        With `read_only`, an index elsewhere is another process's to keep in step: this catalog is a copy.
        """
        self.index_read_only = read_only
        if address:
            self._index_address = "" if address == LOCAL_INDEX else address

    def remember_index(self) -> None:
        """Remember for later processes where the index lies; called once it was opened there."""
        self.set_setting("index_address", self._index_address)

    def setting(self, name: str) -> str:
        """Return a text that was kept under a name, or ""."""
        return self._settings.get(name, "")

    def set_setting(self, name: str, value: str) -> None:
        """Keep a text under a name, in place of the one that was."""
        if self.setting(name) == value:
            return
        with self.database.transaction() as cursor:
            cursor.execute("DELETE FROM settings WHERE name = ?", [name])
            cursor.execute("INSERT INTO settings VALUES (?, ?)", [name, value])
        self._settings[name] = value

    def row_digests(self) -> tuple[Keys, NDArray[np.str_]]:
        """Return the keys of all items, ascending, and what tells for each whether its metadata changed."""
        found = self.database.cursor().execute("SELECT key, row_digest FROM items ORDER BY key").fetchnumpy()
        return np.asarray(found["key"], np.uint64), np.asarray(found["row_digest"], np.str_)

    def rows_fingerprint(self) -> str:
        """Return a text that differs when any item, its metadata or a column's kind does; cheap for millions."""
        row = (
            self.database.cursor()
            .execute("SELECT count(*), bit_xor(hash(key, row_digest)) FROM items")
            .fetchone()
        )
        return json.dumps([*(row or ()), self._columns])

    # --- reading ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of items."""
        return self.count()

    @property
    def columns(self) -> dict[str, ColumnKind]:
        """The metadata columns and their kinds, in the order they first came."""
        return dict(self._columns)

    def get(self, item_id: str) -> Item:
        """Return the item; raises `UnknownItem`."""
        found = self._cached(self._by_id, "items.item_id", [item_id])
        if not found:
            raise UnknownItem(f"There is no item {item_id[:200]!r} in the catalog.")
        return found[item_id]

    def get_many(self, item_ids: Sequence[str]) -> list[Item]:
        """Return the items of the ids that are there, in the order asked for; unknown ones are left out."""
        found = self._cached(self._by_id, "items.item_id", item_ids)
        return [found[item_id] for item_id in item_ids if item_id in found]

    def by_keys(self, keys: Keys | Sequence[int]) -> list[Item]:
        """Return the items of the keys that are alive, in the order asked for."""
        wanted = [int(key) for key in keys]
        found = self._cached(self._by_key, "items.key", wanted)
        return [found[key] for key in wanted if key in found]

    def preload(self, items: int = 10_000) -> None:
        """Read that many items into memory at once, so that first searches need not ask the database.

        Of more items than are ever kept, so few would be of no use: nothing is read then.
        """
        version = self.version
        if len(self) > KEPT_ITEMS:
            return
        self._keep(self._items_after(-1, items), version)

    def iter_items(self, batch: int = 5000) -> Iterator[Item]:
        """Yield every item by ascending key, reading `batch` at a time."""
        last = -1
        while True:
            items = self._items_after(last, batch)
            if not items:
                return
            yield from items
            last = items[-1].key

    def keys(self) -> Keys:
        """Return the keys of all items, ascending; read-only, for the array is shared."""
        kept = self._keys
        if kept is None:
            version = self.version
            found = self.database.cursor().execute("SELECT key FROM items").fetchnumpy()["key"]
            kept = np.sort(np.asarray(found, np.uint64))
            kept.setflags(write=False)
            with self._lock:
                if version == self.version:
                    self._keys = kept
        return kept

    def keys_matching(self, filters: Sequence[Filter]) -> Keys:
        """Return the keys of the items that pass every filter, ascending; raises `FilterError`."""
        if not filters:
            return self.keys()
        where, values = self._where(filters)
        found = (
            self.database.cursor()
            .execute(f"SELECT key FROM metadata WHERE {where} ORDER BY key", values)
            .fetchnumpy()["key"]
        )
        return np.asarray(found, np.uint64)

    def value_codes(self, column: str) -> tuple[Keys, NDArray[np.int64]]:
        """Return (ascending keys of the items with a value in the column, a number for each that stands for it).

        The same value has the same number; both are empty where there is no such column.
        """
        try:
            position, _ = self.find_column(column)
        except FilterError:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        found = (
            self.database.cursor()
            .execute(
                f"WITH named AS MATERIALIZED (SELECT c{position}, row_number() OVER () AS code FROM metadata "
                f"WHERE c{position} IS NOT NULL GROUP BY c{position}) "
                f"SELECT key, code FROM metadata JOIN named USING (c{position})"
            )
            .fetchnumpy()
        )
        keys, codes = np.asarray(found["key"], np.uint64), np.asarray(found["code"], np.int64)
        order = np.argsort(keys)
        return keys[order], codes[order]

    def find_column(self, name: str) -> tuple[int, ColumnKind]:
        """Return the position and kind of a metadata column, found whatever its upper and lower case.

        Raises `FilterError` for a column that there is not.
        """
        columns = list(self._columns.items())
        for same in (str, str.casefold):
            for position, (column, kind) in enumerate(columns):
                if same(column) == same(name):
                    return position, kind
        known = ", ".join(self._columns) or "none"
        raise FilterError(f"There is no column {name[:100]!r} to filter by; this catalog has: {known}.")

    def count_titles(self) -> int:
        """Return how many distinct titles there are; an item's is that of `Item.title`, unless its file names it."""
        row = self.database.cursor().execute(f"SELECT count(DISTINCT t) FROM {self._titled()}").fetchone()
        return int(row[0]) if row else 0

    def titles(self, longest: int) -> tuple[Keys, NDArray[np.int64], list[str]]:
        """Return (keys of the items with a title, ascending; which title each has; the titles in order of first use).

        Titles are cut to `longest` letters.
        """
        cursor = self.database.cursor()
        cut = f"(SELECT *, t[:{int(longest)}] AS cut FROM {self._titled()})"
        named = cursor.execute(f"SELECT cut FROM {cut} GROUP BY cut ORDER BY min(first)").fetchall()
        titles = [row[0] for row in named]
        same = " AND ".join(
            f"metadata.{name} IS NOT DISTINCT FROM raw.{name}" for name in self._title_columns()
        )
        found = cursor.execute(
            "SELECT metadata.key AS key, named.code AS code FROM metadata "
            f"JOIN {cut} AS raw ON {same or 'false'} "
            "JOIN (SELECT unnest(?::VARCHAR[]) AS cut, unnest(range(?)) AS code) AS named ON named.cut = raw.cut",
            [titles, len(titles)],
        ).fetchnumpy()
        keys, codes = np.asarray(found["key"], np.uint64), np.asarray(found["code"], np.int64)
        order = np.argsort(keys)
        return keys[order], codes[order], titles

    def title_counts(self, longest: int) -> dict[str, int]:
        """Return each distinct title, cut to `longest` letters, and how many items have it."""
        sql = f"SELECT t[:{int(longest)}] AS cut, sum(items)::BIGINT FROM {self._titled()} GROUP BY cut"
        return dict(self.database.cursor().execute(sql).fetchall())

    def _title_columns(self) -> list[str]:
        """Return the SQL names of the columns that hold titles, the first choice first."""
        return [
            f"c{position}"
            for name in TITLE_COLUMNS
            for position, (column, kind) in enumerate(self._columns.items())
            if column == name and kind == "text"
        ]

    def _titled(self) -> str:
        """Return the SQL of the distinct titles as they stand in the columns: of how many `items`, `first` of which.

        `t` is the title, its white space made single spaces: of what differs only, and only where that is needed, for
        a pattern takes 2 microseconds a row.
        """
        names = self._title_columns()
        tidy = [
            f"nullif(trim(CASE WHEN {' OR '.join(f'contains({name}, {white})' for white in WHITE)} "
            f"THEN regexp_replace({name}, '\\s+', ' ', 'g') ELSE {name} END), '')"
            for name in names
        ]
        title = f"coalesce({', '.join(tidy)})" if tidy else "CAST(NULL AS VARCHAR)"
        columns = "".join(f"{name}, " for name in names)
        raw = f"(SELECT {columns}count(*) AS items, min(key) AS first FROM metadata GROUP BY ALL)"
        return f"(SELECT *, {title} AS t FROM {raw}) WHERE t IS NOT NULL"

    def column(self, name: str, keys: Keys | None = None) -> tuple[Keys, NDArray[Any], ColumnKind]:
        """Return the keys of all items, or of those among `keys`, ascending, their values in a column, and its kind.

        Missing values are NaN among numbers, else None. Raises `FilterError` for a column that there is not.
        """
        position, kind = self.find_column(name)
        cursor, select = self.database.cursor(), f"SELECT key, c{position} AS value FROM metadata"
        if keys is None:
            rows = cursor.execute(select).fetchnumpy()
        else:
            with lent_keys(cursor, "wanted", keys) as lent:
                rows = lent.execute(f"{select} SEMI JOIN wanted USING (key)").fetchnumpy()
        found = np.asarray(rows["key"], np.uint64)
        stored: Any = rows["value"]
        missing, order = np.ma.getmaskarray(stored), np.argsort(found)
        values = np.ma.getdata(stored).astype(np.float64 if kind == "number" else object)
        values[missing] = np.nan if kind == "number" else None
        return found[order], values[order], kind

    def count(self, filters: Sequence[Filter] = (), *, without: Keys | None = None) -> int:
        """Return how many items pass every filter, those `without` left out."""
        if without is not None and len(without):
            keys = self.keys_matching(filters)
            return len(keys) - int(np.isin(keys, without, assume_unique=True).sum())
        where, values = self._where(filters)
        row = (
            self.database.cursor().execute(f"SELECT count(*) FROM metadata WHERE {where}", values).fetchone()
        )
        return int(row[0]) if row else 0

    def vectors(self, keys: Keys) -> NDArray[np.float32]:
        """Return the embeddings of the keys, (n, dim) float32 unit rows, in the order asked for."""
        if self._vectors is None:
            return np.zeros((0, 0), np.float32)
        return self._vectors.read(keys)

    def stored_vectors(self, keys: Keys) -> NDArray[np.float16]:
        """Return the embeddings of the keys as they are stored, (n, dim) float16, in the order asked for."""
        if self._vectors is None:
            return np.zeros((0, 0), np.float16)
        return self._vectors.stored(keys)

    def sample(
        self, n: int, *, seed: int, filters: Sequence[Filter] = (), without: Keys | None = None
    ) -> list[Item]:
        """Return up to n items that differ from each other, none `without`, the same ones for the same seed.

        Draws at random, then keeps the farthest-apart ones greedily (Gonzalez' k-centre): a first screen that
        shows what the shop has instead of twenty white chairs.
        """
        keys = self.keys_matching(filters)
        if without is not None and len(without):
            keys = np.setdiff1d(keys, without, assume_unique=True)
        rng = np.random.default_rng(seed)
        drawn = rng.permutation(len(keys))[: max(n * 6, 60)]
        pool = keys[drawn]
        if len(pool) <= n or n < 1:
            return self.by_keys(pool[:n])
        vectors = self.vectors(pool)
        chosen = [0]
        likeness = vectors @ vectors[0]
        for _ in range(n - 1):
            likeness[chosen[-1]] = np.inf
            nxt = int(np.argmin(likeness))
            chosen.append(nxt)
            likeness = np.maximum(likeness, vectors @ vectors[nxt])
        return self.by_keys(pool[rng.permutation(chosen)])

    def facets(self, filters: Sequence[Filter] = (), *, without: Keys | None = None) -> list[Facet]:
        """Return every metadata column as a filter offers it, with counts under the filters of the *other* columns.

        So that choosing "red" still shows how many blue ones could be added. Items `without` do not count. Values:
        most frequent first, ties in dictionary order.
        """
        unseen = without if without is not None and len(without) else None
        name = tuple(filters), hashlib.sha256(unseen.tobytes()).digest() if unseen is not None else b""
        version, kept = self.version, self._facets.get(name)
        if kept is None:
            cursor = self.database.cursor()
            if unseen is None:
                kept = tuple(self._each_facet(cursor, filters, "true"))
            else:
                with lent_keys(cursor, "unseen", unseen) as lent:
                    kept = tuple(self._each_facet(lent, filters, UNSEEN))
            with self._lock:
                if version == self.version:
                    if len(self._facets) >= KEPT_FACETS:
                        self._facets.clear()
                    self._facets[name] = kept
        return list(kept)

    def _each_facet(
        self, cursor: duckdb.DuckDBPyConnection, filters: Sequence[Filter], seen: str
    ) -> Iterator[Facet]:
        for position, (column, kind) in enumerate(self._columns.items()):
            others = [filter for filter in filters if self.find_column(filter.column)[0] != position]
            where, values = self._where(others)
            yield self._facet(cursor, position, column, kind, (f"{where} AND {seen}", values))

    def _facet(
        self,
        cursor: duckdb.DuckDBPyConnection,
        position: int,
        column: str,
        kind: ColumnKind,
        condition: tuple[str, list[Any]],
    ) -> Facet:
        where, values = condition
        name = f"c{position}"
        if kind == "number":
            row = cursor.execute(
                f"SELECT min({name}), max({name}) FROM metadata WHERE {where}",
                values,
            ).fetchone()
            low, high = row if row else (None, None)
            return Facet(column, "range", low=low, high=high)
        rows = cursor.execute(
            f"SELECT {name}, count(*) AS n FROM metadata WHERE {where} AND {name} IS NOT NULL "
            f"GROUP BY ALL ORDER BY n DESC, {name} LIMIT {MAX_CHOICES + 1}",
            values,
        ).fetchall()
        # A list of names that each come once is no choice either: words to look inside.
        if len(rows) > MAX_CHOICES or (len(rows) > FEW_CHOICES and rows[0][1] == 1):
            return Facet(column, "text")
        return Facet(column, "choice", values=tuple(FacetValue(value, int(count)) for value, count in rows))

    def info(self) -> CatalogInfo:
        """Return the catalog in figures."""
        cursor = self.database.cursor()
        row = cursor.execute("SELECT max(added_at) FROM items").fetchone()
        sources = cursor.execute(
            "SELECT source, count(*) FROM items GROUP BY source ORDER BY source"
        ).fetchall()
        return CatalogInfo(
            folder=str(self.folder),
            items=len(self),
            encoder_spec=self.encoder_spec,
            encoder_id=self.encoder_id,
            encoder_reason=self.encoder_reason,
            dim=self.dim,
            columns=self.columns,
            sources=dict(sources),
            bytes_on_disk=_bytes_below(self.folder),
            last_added_at=f"{row[0].isoformat(timespec='seconds')}Z" if row and row[0] else None,
        )

    # --- what indexing asks -----------------------------------------------------------------------------------

    def stored_photos(self, item_ids: Sequence[str]) -> dict[str, StoredPhoto]:
        """Return what is known of the given ids for telling whether they changed."""
        rows = self._rows_where_in(
            "SELECT item_id, key, source, location, size_bytes, modified_ns, digest, row_digest FROM items",
            "item_id",
            item_ids,
        )
        return {row[0]: StoredPhoto(*row[1:]) for row in rows}

    def ids_of_source(self, source: str) -> set[str]:
        """Return the ids of all items that came from a source."""
        rows = self.database.cursor().execute("SELECT item_id FROM items WHERE source = ?", [source])
        return {row[0] for row in rows.fetchall()}

    # --- writing ----------------------------------------------------------------------------------------------

    def store(self, items: Sequence[NewItem], vectors: NDArray[np.float32]) -> tuple[Keys, Keys]:
        """Commit a batch of new or changed items with their (n, dim) unit rows, whole or not at all.

        Returns (the keys given to the batch, in order; the keys that its changed items had before). Raises
        ValueError for vectors that are not finite unit rows or ids that come twice.
        """
        if self._vectors is None:
            raise EncoderMismatch("The catalog has no encoder yet; bind_encoder comes before store.")
        ids = [item.item_id for item in items]
        if len(set(ids)) != len(ids) or len(ids) != len(vectors):
            raise ValueError("a batch needs one vector for each item, and each id once")
        if not items:
            return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        with self._writing() as cursor:
            row = cursor.execute("SELECT coalesce(max(first_key + rows), 0) FROM vector_batches").fetchone()
            first = int(row[0]) if row else 0
            crc32 = self._vectors.append(first, vectors)
            old = self._forget_items(cursor, ids)
            keys = np.arange(first, first + len(items), dtype=np.uint64)
            cursor.execute("INSERT INTO vector_batches VALUES (?, ?, ?)", [first, len(items), crc32])
            added_at = datetime.now(UTC).replace(tzinfo=None)
            frame = pd.DataFrame(
                {
                    "key": keys,
                    "item_id": ids,
                    "source": [item.source for item in items],
                    "location": [item.location for item in items],
                    "size_bytes": [item.size_bytes for item in items],
                    "modified_ns": [item.modified_ns for item in items],
                    "digest": [item.digest for item in items],
                    "row_digest": [item.row_digest for item in items],
                    "width_px": [item.width_px for item in items],
                    "height_px": [item.height_px for item in items],
                    "added_at": added_at,
                }
            )
            insert_frame(cursor, "items", frame)
            self._insert_metadata(cursor, keys, [item.metadata for item in items])
        return keys, old

    def update_rows(self, rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Replace the metadata of items whose photo is unchanged: (item_id, row_digest, metadata) each."""
        if not rows:
            return
        with self._writing() as cursor:
            stored = self.stored_photos([row[0] for row in rows])
            known = [row for row in rows if row[0] in stored]
            keys = np.array([stored[row[0]].key for row in known], np.uint64)
            _delete_in(cursor, "metadata", "key", [int(key) for key in keys])
            self._insert_metadata(cursor, keys, [row[2] for row in known])
            frame = pd.DataFrame(
                {"item_id": [row[0] for row in known], "row_digest": [row[1] for row in known]}
            )
            update_from_frame(cursor, "items", "item_id", frame)

    def touch(self, photos: Sequence[tuple[str, str, str, int, int]]) -> None:
        """Note that photos lie elsewhere or are newer, though of the same content.

        Each is (item_id, source, location, size_bytes, modified_ns).
        """
        if not photos:
            return
        with self._writing() as cursor:
            columns = ["item_id", "source", "location", "size_bytes", "modified_ns"]
            update_from_frame(cursor, "items", "item_id", pd.DataFrame(photos, columns=columns))

    def remove(self, item_ids: Sequence[str]) -> Keys:
        """Forget the items and return the keys they had; unknown ids are ignored. Feedback rows stay."""
        with self._writing() as cursor:
            return self._forget_items(cursor, item_ids)

    # --- verification -----------------------------------------------------------------------------------------

    def vector_problems(self) -> list[VectorProblem]:
        """Return the committed batches with live items whose embeddings on disk are not what was written."""
        rows = (
            self.database.cursor()
            .execute(
                "SELECT first_key, rows, crc32 FROM vector_batches AS b WHERE EXISTS "
                "(SELECT 1 FROM items WHERE key >= b.first_key AND key < b.first_key + b.rows) ORDER BY first_key"
            )
            .fetchall()
        )
        problems = []
        for first, count, crc32 in rows:
            found = self._vectors.crc32(first, count) if self._vectors else None
            if found is None:
                problems.append(
                    VectorProblem(first, count, "the embeddings file is missing or ends before them")
                )
            elif found != crc32:
                problems.append(VectorProblem(first, count, "the bytes on disk differ from what was written"))
        return problems

    def row_problems(self) -> list[str]:
        """Return what is wrong with the rows, a phrase each: ids or keys that come twice, rows without a partner."""
        checks = {
            "item ids that come twice": "SELECT count(item_id) - count(DISTINCT item_id) FROM items",
            "keys that come twice": "SELECT count(key) - count(DISTINCT key) FROM items",
            "items without a metadata row": "SELECT count(*) FROM items ANTI JOIN metadata USING (key)",
            "metadata rows without an item": "SELECT count(*) FROM metadata ANTI JOIN items USING (key)",
            "items without an embedding": (
                "SELECT count(*) FROM items WHERE NOT EXISTS (SELECT 1 FROM vector_batches AS b "
                "WHERE items.key >= b.first_key AND items.key < b.first_key + b.rows)"
            ),
        }
        cursor = self.database.cursor()
        problems = []
        for what, sql in checks.items():
            row = cursor.execute(sql).fetchone()
            if row and row[0]:
                problems.append(f"{row[0]} {what}")
        return problems

    def drop_broken_rows(self) -> int:
        """Drop the rows that `row_problems` finds (of ids that come twice the older), and return how many."""
        with self._writing() as cursor:
            broken = cursor.execute(
                "SELECT key FROM items WHERE key NOT IN (SELECT max(key) FROM items GROUP BY item_id) "
                "UNION SELECT key FROM items ANTI JOIN metadata USING (key) "
                "UNION SELECT key FROM metadata ANTI JOIN items USING (key) "
                "UNION SELECT key FROM items WHERE NOT EXISTS (SELECT 1 FROM vector_batches AS b "
                "WHERE items.key >= b.first_key AND items.key < b.first_key + b.rows)"
            ).fetchall()
            for table in ("items", "metadata", "looks"):
                _delete_in(cursor, table, "key", [row[0] for row in broken])
        return len(broken)

    def pad_vectors(self) -> None:
        """Make the embeddings file as long as what was committed, zeros standing for what is lost."""
        row = self.database.cursor().execute("SELECT max(first_key + rows) FROM vector_batches").fetchone()
        if self._vectors is not None and row and row[0]:
            self._vectors.pad(int(row[0]))

    def ids_in_key_range(self, first_key: int, rows: int) -> list[str]:
        """Return the ids of the live items whose keys lie in a batch, by key."""
        found = self.database.cursor().execute(
            "SELECT item_id FROM items WHERE key >= ? AND key < ? ORDER BY key", [first_key, first_key + rows]
        )
        return [row[0] for row in found.fetchall()]

    # --- inside -----------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor in a transaction that changes items; memory follows once it is committed.

        Not before: a search in another thread would ask for columns that its snapshot does not have yet.
        """
        with self.database.transaction() as cursor:
            yield cursor
        with self._lock:
            self._columns = self._read_columns()
            self.version += 1
            self._keys = None
            self._facets.clear()
            self._by_key.clear()
            self._by_id.clear()

    def _forget_items(self, cursor: duckdb.DuckDBPyConnection, item_ids: Sequence[str]) -> Keys:
        rows = self._rows_where_in("SELECT key FROM items", "item_id", item_ids)
        keys = sorted(int(row[0]) for row in rows)
        for table in ("items", "metadata", "looks"):
            _delete_in(cursor, table, "key", keys)
        return np.array(keys, np.uint64)

    def _insert_metadata(
        self, cursor: duckdb.DuckDBPyConnection, keys: Keys, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        frame = pd.DataFrame({"key": keys})
        for column, kind in self._fit_columns(cursor, rows).items():
            values = [_as_kind(row.get(column), kind) for row in rows]
            frame[f"v{len(frame.columns)}"] = pd.Series(values, dtype=_PANDAS_TYPES[kind])
        insert_frame(cursor, "metadata", frame)

    def _fit_columns(
        self, cursor: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]
    ) -> dict[str, ColumnKind]:
        """Add columns for names not seen before, widen to text those whose new values do not fit; return all."""
        before = self._read_columns()
        columns = dict(before)
        for row in rows:
            for name, value in row.items():
                if value is None:
                    continue
                kind = _kind_of(value)
                known = columns.get(name)
                if known is None:
                    columns[name] = kind
                elif known != kind and known != "text":
                    columns[name] = "text"
        for position, (name, kind) in enumerate(columns.items()):
            known = before.get(name)
            if known is None:
                cursor.execute(f"ALTER TABLE metadata ADD COLUMN c{position} {_SQL_TYPES[kind]}")
                cursor.execute("INSERT INTO metadata_columns VALUES (?, ?, ?)", [name, kind, position])
            elif known != kind:
                # Through the writing that the values would have had as text: 50, not 50.0. DuckDB changes no type
                # of a table that has an index.
                cursor.execute("DROP INDEX metadata_by_key")
                cursor.execute(
                    f"ALTER TABLE metadata ALTER c{position} SET DATA TYPE VARCHAR "
                    f"USING regexp_replace(CAST(c{position} AS VARCHAR), '\\.0$', '')"
                )
                cursor.execute("CREATE INDEX metadata_by_key ON metadata (key)")
                cursor.execute("UPDATE metadata_columns SET kind = ? WHERE name = ?", [kind, name])
        return columns

    def _read_columns(self) -> dict[str, ColumnKind]:
        rows = self.database.cursor().execute("SELECT name, kind FROM metadata_columns ORDER BY position")
        return dict(rows.fetchall())

    def _where(self, filters: Sequence[Filter]) -> tuple[str, list[Any]]:
        parts: list[str] = ["true"]
        values: list[Any] = []
        for filter in filters:
            position, kind = self.find_column(filter.column)
            sql, parameters = condition(filter, kind, f"c{position}")
            parts.append(f"({sql})")
            values += parameters
        return " AND ".join(parts), values

    def _cached(self, cache: dict[Any, Item], column: str, wanted: Sequence[Any]) -> dict[Any, Item]:
        """Return the items of those ids or keys that are there, asking the database only for what is not kept."""
        found = {name: item for name in wanted if (item := cache.get(name)) is not None}
        missing = [name for name in wanted if name not in found and _is_storable(name)]
        if missing:
            version = self.version
            items = self._items_where_in(column, missing)
            found |= {item.item_id if cache is self._by_id else item.key: item for item in items}
            self._keep(items, version)
        return found

    def _keep(self, items: Sequence[Item], version: int) -> None:
        """Keep items that were read when the catalog had that version: after a change they may be stale."""
        with self._lock:
            if version == self.version:
                if len(self._by_key) > KEPT_ITEMS:
                    self._by_key.clear()
                    self._by_id.clear()
                self._by_key.update((item.key, item) for item in items)
                self._by_id.update((item.item_id, item) for item in items)

    def _items_where_in(self, column: str, values: Sequence[Any]) -> list[Item]:
        """Return the items whose `items.key` or `items.item_id` is among the values.

        A join with one list finds them by the indexes of the columns and reads few rows; `IN` with a parameter for
        each value reads all rows: 19 ms of a million, where this takes 4.
        """
        kind = "UBIGINT" if column == "items.key" else "VARCHAR"
        wanted = [int(value) if kind == "UBIGINT" else str(value) for value in dict.fromkeys(values)]
        source = f"(SELECT unnest(?::{kind}[]) AS wanted) JOIN items ON {column} = wanted"
        return self._items("true", [wanted], source=source) if wanted else []

    def _items_after(self, key: int, most: int) -> list[Item]:
        """Return up to `most` items beyond a key, by key.

        They are chosen before their metadata is joined: the join of all of a million, cut off, takes 2 s.
        """
        chosen = "(SELECT * FROM items WHERE key > ? ORDER BY key LIMIT ?) AS items"
        return self._items("true ORDER BY items.key", [key, most], source=chosen)

    def _rows_where_in(self, select: str, column: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self.database.cursor()
        return [
            row
            for part in _chunks(values, 900)
            for row in cursor.execute(
                f"{select} WHERE {column} IN ({', '.join('?' for _ in part)})", list(part)
            ).fetchall()
        ]

    def _items(self, where: str, values: list[Any], *, source: str = "items") -> list[Item]:
        columns = list(self._columns)
        names = "".join(f", metadata.c{position}" for position in range(len(columns)))
        rows = (
            self.database.cursor()
            .execute(
                "SELECT items.item_id, items.key, items.location, items.width_px, items.height_px"
                f"{names} FROM {source} JOIN metadata ON items.key = metadata.key WHERE {where}",
                values,
            )
            .fetchall()
        )
        return [
            Item(
                item_id=row[0],
                key=int(row[1]),
                location=row[2],
                metadata={
                    column: value for column, value in zip(columns, row[5:], strict=True) if value is not None
                },
                width_px=row[3],
                height_px=row[4],
            )
            for row in rows
        ]


_SQL_TYPES: dict[ColumnKind, str] = {"text": "VARCHAR", "number": "DOUBLE", "boolean": "BOOLEAN"}
_PANDAS_TYPES: dict[ColumnKind, str] = {"text": "object", "number": "float64", "boolean": "boolean"}


def _is_storable(name: Any) -> bool:
    """Tell whether a database can hold the name at all: a text with halves of characters cannot be an id."""
    if isinstance(name, str):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            return False
    return True


def _kind_of(value: Any) -> ColumnKind:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | float | np.integer | np.floating):
        return "number"
    return "text"


def _as_kind(value: Any, kind: ColumnKind) -> Any:
    """Return a metadata value as its column stores it; NaN counts as missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "number":
        return float(value)
    if kind == "boolean":
        return bool(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _delete_in(cursor: duckdb.DuckDBPyConnection, table: str, column: str, values: Sequence[Any]) -> None:
    for part in _chunks(values, 900):
        marks = ", ".join("?" for _ in part)
        cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({marks})", list(part))


def _chunks(values: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # thumbnails come and go
            total += path.stat().st_size if path.is_file() else 0
    return total
