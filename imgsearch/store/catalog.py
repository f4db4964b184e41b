"""The catalog: items with their metadata and embeddings, from which any index can be rebuilt.

<folder>/catalog.duckdb      items, metadata, bookkeeping of embeddings, feedback
<folder>/embeddings/         an append-only float16 file, and looks (imgsearch.store.look_table)
<folder>/index/              index generations (imgsearch.index.live_index)
<folder>/originals/          photos that were sent over HTTP (imgsearch.store.stored_originals)
<folder>/thumbnails/, uploads/   WebP caches (imgsearch.store.thumbnails, imgsearch.store.uploads)
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import CatalogError, CatalogNotFound, EncoderMismatch, UnknownItem
from imgsearch.core.key_arrays import Keys
from imgsearch.core.records import Item
from imgsearch.store.batches import (
    append_vectors,
    insert_photos,
    next_key,
    remove_items,
    replace_files,
    replace_metadata,
)
from imgsearch.store.change_log import INDEXING as INDEXING
from imgsearch.store.change_log import ChangeLog, present_actor
from imgsearch.store.database import CatalogSettings, Cursor, Database, find_rows
from imgsearch.store.filtered_keys import FilteredKeys
from imgsearch.store.item_renames import rename_items
from imgsearch.store.item_table import CACHED_ITEMS, ItemReader, Photo
from imgsearch.store.look_table import LookTable
from imgsearch.store.metadata_table import MetadataTable
from imgsearch.store.recent_changes import RecentChanges, TouchedItems
from imgsearch.store.stored_items import PHOTO_COLUMNS
from imgsearch.store.vector_file import EmbeddingFile


@dataclass(frozen=True, slots=True)
class CopiedState:
    """What `CatalogStore.copy_state` copied. `file_bytes`: how much of each growing file belongs to it, by path."""

    items: int
    file_bytes: Mapping[str, int]


class CatalogStore:
    """One folder of items and embeddings, opened for this process alone.

    Reads are safe from any thread; writes of several threads wait for each other. `version` grows with every
    committed change to items, so that callers may cache by it (`recent` says which items changed), `renames`
    with every change of ids.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        """Use `CatalogStore.open`."""
        self.folder = folder
        self.database = database
        self.version = 0
        self.renames = 0
        self.settings = CatalogSettings(database)
        self.index_read_only = False
        self.index_address = self.settings.get("index_address")
        self.looks = LookTable(folder / "embeddings", database, self.settings)
        self.metadata = MetadataTable(database, self.keys)
        self._items = ItemReader(database, self.metadata)
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self.recent = RecentChanges()
        self.filtered = FilteredKeys(database, self.metadata, self.recent, lambda: self.version)
        self.changes = ChangeLog(database)
        self.vector_file: EmbeddingFile | None = None
        if self.dim:
            self.vector_file = EmbeddingFile(folder / "embeddings" / "vectors.f16", self.dim)

    @classmethod
    def open(cls, folder: Path | str, *, create: bool = False) -> CatalogStore:
        """Open the catalog in `folder`; with `create`, make a new one where there is none.

        One on a disk that cannot be written is opened for reads only, unless `create`. Raises `CatalogNotFound`,
        `CatalogLocked` naming the holder, `CatalogCorrupt`, or `CatalogError` where the folder cannot be used.
        """
        folder = Path(folder).expanduser().absolute()
        if not (folder / "catalog.duckdb").is_file():
            if not create:
                raise CatalogNotFound(
                    f"There is no catalog in {folder}; create one with `imgsearch index PHOTOS --catalog {folder}`."
                )
            if folder.is_file():
                raise CatalogError(f"{folder} is a file, not a folder for a catalog.")
            if folder.is_dir() and any(folder.iterdir()) and not (folder / "writer.lock").exists():
                raise CatalogError(f"{folder} holds other files; pass an empty folder with --catalog.")
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CatalogError(f"The folder {folder} cannot be created: {error.strerror}.") from error
        database = Database(folder, must_write=create)
        try:
            with database.translated_errors():
                return cls(folder, database)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the database and release its lock; closing twice is fine."""
        self.database.close()

    def __enter__(self) -> CatalogStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- the encoder, and where the index is ------------------------------------------------------------------

    @property
    def encoder_spec(self) -> str:
        """The spec of the embeddings' encoder (`auto` resolved), or "" before the first indexing."""
        return self.settings.get("encoder_spec")

    @property
    def encoder_id(self) -> str:
        """The identity of the encoder that made every embedding here, or "" before the first indexing."""
        return self.settings.get("encoder_id")

    @property
    def encoder_reason(self) -> str:
        """Why `auto` chose this encoder, in a sentence; "" where it was named."""
        return self.settings.get("encoder_reason")

    @property
    def dim(self) -> int:
        """The length of an embedding, or 0 before the first indexing."""
        return int(self.settings.get("dim") or 0)

    def bind_encoder(self, spec: str, encoder_id: str, dim: int, *, reason: str = "") -> None:
        """Record the encoder of the embeddings; raises `EncoderMismatch` where they are another encoder's."""
        if not self.encoder_id:
            self.settings.save(encoder_spec=spec, encoder_id=encoder_id, dim=str(dim), encoder_reason=reason)
            self.vector_file = EmbeddingFile(self.folder / "embeddings" / "vectors.f16", dim)
        elif (encoder_id, dim) != (self.encoder_id, self.dim):
            raise EncoderMismatch(
                f"The catalog {self.folder} holds embeddings of {self.encoder_id}, which cannot be mixed with "
                f"those of {encoder_id}; index into a new folder with --catalog."
            )

    def bind_index(self, address: str, *, read_only: bool = False) -> None:
        """Set the address of the index (`milvus://host:19530`; `local`: this folder; "": no change) for this process.

        With `read_only` this catalog is a copy: another process keeps a shared index in step with the items.
        """
        self.index_read_only = read_only
        if address:
            self.index_address = "" if address == "local" else address

    def remember_index(self) -> None:
        """Store the address of the index for later processes, once it was opened there."""
        self.settings.save(index_address=self.index_address)

    # --- reading ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self.database.value("SELECT count(*) FROM items"))

    def get(self, item_id: str) -> Item:
        """Return the item; raises `UnknownItem`."""
        found = self._items.find("item_id", [item_id])
        if not found:
            raise UnknownItem(f"There is no item {item_id[:200]!r} in the catalog.")
        return found[item_id]

    def get_many(self, item_ids: Sequence[str]) -> list[Item]:
        """Return the items of the known ids, in the given order; unknown ids are left out."""
        found = self._items.find("item_id", item_ids)
        return [found[item_id] for item_id in item_ids if item_id in found]

    def by_keys(self, keys: Keys | Sequence[int]) -> list[Item]:
        """Return the items of the live keys, in the given order; other keys are left out."""
        numbers = [int(key) for key in keys]
        found = self._items.find("key", numbers)
        return [found[key] for key in numbers if key in found]

    def preload(self, items: int = 10_000) -> None:
        """Read the first items into the cache; in a catalog larger than the cache this would not help."""
        if len(self) <= CACHED_ITEMS:
            self._items.after(-1, items, cache=True)

    def iter_items(self, batch: int = 5000) -> Iterator[Item]:
        """Yield every item by ascending key, reading `batch` at a time."""
        last = -1
        while items := self._items.after(last, batch):
            yield from items
            last = items[-1].key

    def keys(self) -> Keys:
        """Return the keys of all items, ascending; the array is shared, and so read-only."""
        keys = self._keys
        if keys is None:
            version = self.version
            keys = np.sort(self.database.keys("SELECT key FROM items"))
            keys.setflags(write=False)
            with self._lock:
                if version == self.version:
                    self._keys = keys
        return keys

    def vectors(self, keys: Keys) -> NDArray[np.float32]:
        """Return the embeddings of the keys, (n, dim) float32 unit rows, in the given order."""
        return self.stored_vectors(keys).astype(np.float32)

    def stored_vectors(self, keys: Keys) -> NDArray[np.float16]:
        """Return the embeddings of the keys as they are stored, (n, dim) float16, in the given order."""
        if self.vector_file is None:
            return np.zeros((0, 0), np.float16)
        return self.vector_file.stored(keys)

    def stored_photos(self, item_ids: Sequence[str]) -> dict[str, Photo]:
        """Return the known ids' photos without their metadata, by id, to tell whether they changed."""
        return {photo.item_id: photo for photo in self._photos_by("item_id", "VARCHAR", item_ids)}

    def photos_of_digests(self, digests: Iterable[str]) -> list[Photo]:
        """Return the photos whose bytes have one of the digests, without their metadata, by id."""
        return self._photos_by("digest", "VARCHAR", list(digests))

    def _photos_by(self, column: str, sql_type: str, values: Sequence[str | int]) -> list[Photo]:
        names = (*PHOTO_COLUMNS, "key")
        rows = find_rows(self.database.cursor(), "items", names, column, values, sql_type) if values else []
        return [Photo(**dict(zip(names, row, strict=True))) for row in sorted(rows, key=itemgetter(0))]

    def ids_of_source(self, source: str) -> set[str]:
        """Return the ids of all items that came from a source."""
        rows = self.database.cursor().execute("SELECT item_id FROM items WHERE source = ?", [source])
        return {row[0] for row in rows.fetchall()}

    # --- writing ----------------------------------------------------------------------------------------------

    def store(
        self, photos: Sequence[Photo], vectors: NDArray[np.float32], *, actor: str = ""
    ) -> tuple[Keys, Keys]:
        """Commit a batch of new or changed photos with their (n, dim) unit rows, all of it or nothing.

        Returns (the keys of the batch, in order; the keys that its changed items had before). `actor` is noted in the
        log of changes. Raises ValueError for vectors that are not finite unit rows, and for duplicate ids.
        """
        ids = [photo.item_id for photo in photos]
        if len(set(ids)) != len(ids) or len(ids) != len(vectors):
            raise ValueError("a batch needs one vector for each item, and each id once")
        if not photos:
            return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
        with self.changing() as (cursor, touched):
            first = append_vectors(cursor, self.vector_file, vectors)
            keys = np.arange(first, first + len(photos), dtype=np.uint64)
            touched.removed = insert_photos(cursor, self.changes, photos, keys, actor or present_actor())
            touched.added, touched.item_ids = keys, ids
        return keys, touched.removed

    def update_metadata(self, photos: Sequence[Photo], *, actor: str = "") -> None:
        """Replace the metadata and `row_digest` of known items; unknown ids are ignored."""
        if not photos:
            return
        with self.changing() as (cursor, touched):
            touched.updated, touched.item_ids = replace_metadata(
                cursor, self.changes, photos, actor or present_actor()
            )

    def update_files(self, photos: Sequence[Photo]) -> None:
        """Record new sources, locations, sizes and times of photos whose content is the same."""
        if photos:
            with self.changing() as (cursor, touched):
                touched.updated = replace_files(cursor, self.changes, photos)
                touched.item_ids = [photo.item_id for photo in photos]

    def rename(self, photos: Mapping[str, Photo]) -> None:
        """Give items new ids, sources and files, by their old ids; content, embeddings and metadata stay.

        All that names an item by its id follows (`imgsearch.store.item_renames`), in one transaction. The new ids are
        not in the catalog, except as old ones.
        """
        with self.changing() as (cursor, touched):
            rename_items(cursor, {old: photo.item_id for old, photo in photos.items()})
            touched.updated = replace_files(cursor, self.changes, list(photos.values()))
            touched.item_ids = [*photos, *(photo.item_id for photo in photos.values())]
        self.renames += 1

    def remove(self, item_ids: Sequence[str], *, actor: str = "") -> Keys:
        """Delete the items and return the keys they had; unknown ids are ignored.

        Feedback rows stay, and so does what restores the items.
        """
        with self.changing() as (cursor, touched):
            touched.removed, touched.item_ids = remove_items(
                cursor, self.changes, item_ids, actor or present_actor()
            )
        return touched.removed

    def copy_state(self, folder: Path) -> CopiedState:
        """Copy the database as it is at one moment into an existing folder; changes wait meanwhile.

        The other files that this state needs are on disk before, and are not changed later. Raises OSError.
        """
        with self.database.transaction():
            self.database.copy_to(folder)
            lengths = {}
            if self.vector_file is not None:
                rows = next_key(self.database.cursor())
                name = self.vector_file.path.relative_to(self.folder).as_posix()
                lengths[name] = rows * self.vector_file.row_bytes
            return CopiedState(len(self), lengths)

    @contextmanager
    def changing(self) -> Iterator[tuple[Cursor, TouchedItems]]:
        """Yield a cursor in a transaction, and the list of items it changes, which the caller fills.

        Once it is committed, caches forget these items. Not before: a search in another thread would read columns
        that its snapshot does not have yet.
        """
        touched = TouchedItems()
        with self.database.transaction(then=lambda: self._publish(touched)) as cursor:
            yield cursor, touched

    @contextmanager
    def writing(self) -> Iterator[Cursor]:
        """Yield a cursor in a transaction that may change any items; once it is committed, caches are emptied."""
        with self.database.transaction(then=lambda: self._publish(None)) as cursor:
            yield cursor

    def _publish(self, touched: TouchedItems | None) -> None:
        with self._lock:
            # Cached items hold the values of a column as those of its kind.
            if self.metadata.reload() or touched is None:
                self._items.clear()
                self._keys, touched = None, None
            else:
                self._items.drop(touched.keys.tolist(), touched.item_ids)
                if self._keys is not None:
                    self._keys = touched.apply(self._keys)
                    self._keys.setflags(write=False)
            self.version += 1
            self.recent.note(self.version, None if touched is None else touched.keys)
