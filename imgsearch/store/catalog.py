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

from imgsearch.core.errors import CatalogError, CatalogNotFound, EncoderMismatch, UnknownItem
from imgsearch.core.records import Item
from imgsearch.core.text import is_unicode
from imgsearch.store.database import Database, delete_rows, insert_frame, update_from_frame
from imgsearch.store.look_table import LookStore
from imgsearch.store.metadata_columns import insert_metadata
from imgsearch.store.metadata_table import MetadataTable
from imgsearch.store.vector_file import EmbeddingFile

if TYPE_CHECKING:
    import duckdb

__all__ = ["CatalogInfo", "CatalogStore", "NewItem", "StoredPhoto"]

Keys = NDArray[np.uint64]

LOCAL_INDEX = "local"

KEPT_ITEMS = 50_000
"""How many rows are kept in memory between changes: asking DuckDB for ten takes about 2 ms."""


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
        self.metadata = MetadataTable(database, self.keys)
        self._by_key: dict[Any, Item] = {}
        self._by_id: dict[Any, Item] = {}
        self._keys: Keys | None = None
        self.vector_file: EmbeddingFile | None = None
        if self.dim:
            self.vector_file = EmbeddingFile(folder / "embeddings" / "vectors.f16", self.dim)

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
        self.vector_file = EmbeddingFile(self.folder / "embeddings" / "vectors.f16", dim)

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

    # --- reading ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of items."""
        row = self.database.cursor().execute("SELECT count(*) FROM items").fetchone()
        return int(row[0]) if row else 0

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

    def vectors(self, keys: Keys) -> NDArray[np.float32]:
        """Return the embeddings of the keys, (n, dim) float32 unit rows, in the order asked for."""
        if self.vector_file is None:
            return np.zeros((0, 0), np.float32)
        return self.vector_file.read(keys)

    def stored_vectors(self, keys: Keys) -> NDArray[np.float16]:
        """Return the embeddings of the keys as they are stored, (n, dim) float16, in the order asked for."""
        if self.vector_file is None:
            return np.zeros((0, 0), np.float16)
        return self.vector_file.stored(keys)

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
            columns=self.metadata.columns,
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
        if self.vector_file is None:
            raise EncoderMismatch("The catalog has no encoder yet; bind_encoder comes before store.")
        ids = [item.item_id for item in items]
        if len(set(ids)) != len(ids) or len(ids) != len(vectors):
            raise ValueError("a batch needs one vector for each item, and each id once")
        if not items:
            return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        with self.writing() as cursor:
            row = cursor.execute("SELECT coalesce(max(first_key + rows), 0) FROM vector_batches").fetchone()
            first = int(row[0]) if row else 0
            crc32 = self.vector_file.append(first, vectors)
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
            insert_metadata(cursor, keys, [item.metadata for item in items])
        return keys, old

    def update_rows(self, rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Replace the metadata of items whose photo is unchanged: (item_id, row_digest, metadata) each."""
        if not rows:
            return
        with self.writing() as cursor:
            stored = self.stored_photos([row[0] for row in rows])
            known = [row for row in rows if row[0] in stored]
            keys = np.array([stored[row[0]].key for row in known], np.uint64)
            delete_rows(cursor, "metadata", "key", [int(key) for key in keys])
            insert_metadata(cursor, keys, [row[2] for row in known])
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
        with self.writing() as cursor:
            columns = ["item_id", "source", "location", "size_bytes", "modified_ns"]
            update_from_frame(cursor, "items", "item_id", pd.DataFrame(photos, columns=columns))

    def remove(self, item_ids: Sequence[str]) -> Keys:
        """Forget the items and return the keys they had; unknown ids are ignored. Feedback rows stay."""
        with self.writing() as cursor:
            return self._forget_items(cursor, item_ids)

    # --- inside -----------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a cursor in a transaction that changes items; once it is committed, cached rows are dropped.

        Not before: a search in another thread would read columns that its snapshot does not have yet.
        """
        with self.database.transaction() as cursor:
            yield cursor
        with self._lock:
            self.metadata.reload()
            self.version += 1
            self._keys = None
            self._by_key.clear()
            self._by_id.clear()

    def _forget_items(self, cursor: duckdb.DuckDBPyConnection, item_ids: Sequence[str]) -> Keys:
        rows = self._rows_where_in("SELECT key FROM items", "item_id", item_ids)
        keys = sorted(int(row[0]) for row in rows)
        for table in ("items", "metadata", "looks"):
            delete_rows(cursor, table, "key", keys)
        return np.array(keys, np.uint64)

    def _cached(self, cache: dict[Any, Item], column: str, wanted: Sequence[Any]) -> dict[Any, Item]:
        """Return the items of those ids or keys that are there, asking the database only for what is not kept."""
        found = {name: item for name in wanted if (item := cache.get(name)) is not None}
        missing = [
            name for name in wanted if name not in found and (not isinstance(name, str) or is_unicode(name))
        ]
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
        columns = list(self.metadata.columns)
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


def _chunks(values: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # thumbnails come and go
            total += path.stat().st_size if path.is_file() else 0
    return total
