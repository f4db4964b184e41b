"""A catalog's index in a Milvus, shared by every process that searches the catalog.

Each vector space has one collection with the vector of each item and its metadata row for filters. The catalog keeps
a note of what it pushed; where the note and the catalog differ, keys and row digests are compared.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import numpy as np

from imgsearch.core.background import Progress
from imgsearch.core.config import index_token
from imgsearch.core.errors import IndexCorrupt
from imgsearch.core.files import sha256_of_text
from imgsearch.core.key_arrays import Keys, is_in
from imgsearch.core.query import Filter
from imgsearch.core.records import Item
from imgsearch.index.base import Vectors, are_unit
from imgsearch.index.exact_search import RecallProbe
from imgsearch.index.live_index import IndexHeader, LiveIndex
from imgsearch.index.milvus import MilvusIndex
from imgsearch.index.milvus_filters import Column, expression, row_document
from imgsearch.index.vector_space import VectorSpace
from imgsearch.store.catalog import CatalogStore

_BLOCK_ROWS = 4000
PROBES = 50
REMEASURE_SHARE = 0.1
"""`ann_recall@10` is measured again when more than this share of the items was pushed since."""


@dataclass(slots=True)
class _Note:
    """What a collection held when it was last in step; kept as JSON in the catalog's settings."""

    generation: int = 0
    items: int = -1
    rows: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    built_at: str = ""
    ann_recall_at_10: float | None = None


class SharedIndex(LiveIndex):
    """One collection of a Milvus that follows one vector space of a catalog."""

    applies_filters = True

    def __init__(self, catalog: CatalogStore, address: str, *, space: VectorSpace | None = None) -> None:
        """Prepare the index without connecting; `open` connects."""
        super().__init__(catalog, space)
        self._address = address
        self._store: MilvusIndex | None = None
        self._note = _Note()
        self._catalog_keys: tuple[int, Keys] | None = None
        self._items = 0
        self._pushed = 0

    @classmethod
    def open(
        cls,
        catalog: CatalogStore,
        address: str,
        *,
        progress: Progress | None = None,
        rebuild: bool = False,
        space: VectorSpace | None = None,
    ) -> SharedIndex:
        """Open the collection of a space, created where there is none, and bring it in step with the catalog.

        Raises `IndexUnavailable` where the Milvus does not answer, `ConfigError` for an invalid address.
        """
        shared = cls(catalog, address, space=space)
        if not catalog.dim:
            return shared
        shared.connected()
        if catalog.index_read_only:
            return shared
        if rebuild:
            shared.rebuild_reason = "a rebuild was requested"
            shared.rebuild(progress=progress)
        else:
            shared.sync(progress=progress)
        return shared

    # --- searching --------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """How many times the collection was brought in step with a changed catalog."""
        return self._note.generation

    @property
    def header(self) -> IndexHeader | None:
        """What the collection held when it was last in step, or None before."""
        if self._store is None or not self._note.generation:
            return None
        return IndexHeader(
            generation=self._note.generation,
            encoder_id=self.space.id,
            dim=self.space.dim,
            items=self._note.items,
            dead=0,
            sha256="",
            built_at=self._note.built_at,
            ann_recall_at_10=self._note.ann_recall_at_10,
            parameters=self._store.parameters,
        )

    def __len__(self) -> int:
        return self._items

    def search(
        self, vector: Vectors, k: int, *, expansion: int | None = None, filters: Sequence[Filter] = ()
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) unit vector, best first.

        Milvus excludes items that do not pass the filters, as far as it can express them; the caller checks again.
        """
        if self._store is None:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        where = expression(filters, self._column)
        keys, scores = self._store.search(vector, k, expansion=expansion, where=where)
        if not self._catalog.index_read_only:
            return keys, scores
        # A read-only copy of the catalog lacks the items that were added after it was made.
        known = np.isin(keys, self._current_keys())
        return keys[known], scores[known]

    # --- changing ---------------------------------------------------------------------------------------------

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add new keys with their embeddings and the rows of their items; this process finds them at once."""
        with self._changing:
            store = self.connected()
            items = {item.key: item for item in self._catalog.by_keys(keys)}
            self._push(store, keys, self.space.project(vectors), items, new=True)
            self._items += len(keys)

    def remove(self, keys: Keys) -> None:
        """Forget keys."""
        with self._changing:
            if self._store is not None and len(keys):
                self._store.remove(keys)
                self._items -= len(keys)
                self._pushed += len(keys)

    def refresh(self, keys: Keys) -> None:
        """Push the rows of items whose metadata changed."""
        with self._changing:
            if len(keys):
                self._push_from_catalog(self.connected(), keys, new=False)

    def sync(self, *, progress: Progress | None = None) -> None:
        """Bring the collection in step with the catalog's live keys and their metadata.

        Where the note matches the catalog, only the number of rows is checked. Otherwise keys and row digests are
        compared, so an interrupted run resumes where it stopped.
        """
        with self._changing:
            store = self.connected()
            widened = self._widened()
            if not widened and self._note.rows == self._catalog.metadata.fingerprint() and self._count(store):
                return
            alive, digests = self._catalog.metadata.row_digests()
            indexed, pushed_digests = store.digests()
            store.remove(np.setdiff1d(indexed, alive, assume_unique=True))
            both, here, there = np.intersect1d(alive, indexed, assume_unique=True, return_indices=True)
            changed = both if widened else both[digests[here] != pushed_digests[there]]
            self._pushed += len(indexed) - len(both)
            self._push_from_catalog(store, np.setdiff1d(alive, indexed, assume_unique=True), True, progress)
            self._push_from_catalog(store, changed, False, progress)
            self._items = len(store)
            self.save()

    def rebuild(self, *, progress: Progress | None = None) -> None:
        """Fill a new collection from the catalog and make it the one that every process searches."""
        with self._changing:
            store = self._connect(fresh=True)
            self._store = store
            self._push_from_catalog(store, self._catalog.keys(), True, progress)
            self._items = len(store)
            store.activate()
            self._note.rows = ""
            self.save()

    def save(self) -> None:
        """Flush Milvus to its storage, and note that the collection is in step."""
        with self._changing:
            rows = self._catalog.metadata.fingerprint()
            if self._store is None or (rows == self._note.rows and not self._pushed):
                return
            self._store.flush()
            recall = self._note.ann_recall_at_10
            if recall is None or self._pushed > REMEASURE_SHARE * self._items:
                recall = self._recall()
            self._note = _Note(
                generation=self._note.generation + 1,
                items=self._items,
                rows=rows,
                kinds=dict(self._catalog.metadata.columns),
                built_at=datetime.now(UTC).isoformat(timespec="seconds"),
                ann_recall_at_10=recall,
            )
            self._catalog.settings.save(**{self._note_name(): json.dumps(asdict(self._note))})
            self._pushed = 0

    def check(self) -> IndexHeader:
        """Return the header after comparing every key and row with the catalog; raises `IndexCorrupt`."""
        store = self.connected()
        alive, digests = self._catalog.metadata.row_digests()
        indexed, pushed_digests = store.digests()
        if not np.array_equal(alive, indexed):
            raise IndexCorrupt("the Milvus collection does not hold exactly the items of the catalog")
        if not np.array_equal(digests, pushed_digests) or self._widened():
            raise IndexCorrupt("the Milvus collection holds other metadata than the catalog")
        if (header := self.header) is None:
            raise IndexCorrupt("the Milvus collection was never brought in step")
        return header

    # --- internal ---------------------------------------------------------------------------------------------

    def connected(self) -> MilvusIndex:
        """Return the collection in Milvus; the first call connects to it."""
        if self._store is None:
            self._store = self._connect()
            kept = self._catalog.settings.get(self._note_name())
            self._note = _Note(**json.loads(kept)) if kept else _Note()
            self._items = len(self._store)
        return self._store

    def _connect(self, *, fresh: bool = False) -> MilvusIndex:
        return MilvusIndex(
            self._address,
            self._name(),
            self.space.dim,
            token=index_token(),
            fresh=fresh,
            create=not self._catalog.index_read_only,
        )

    def _current_keys(self) -> Keys:
        """Return the keys of the catalog, read once for each of its versions."""
        if self._catalog_keys is None or self._catalog_keys[0] != self._catalog.version:
            self._catalog_keys = self._catalog.version, self._catalog.keys()
        return self._catalog_keys[1]

    def _name(self) -> str:
        """Return the collection's name, the same one for all copies of the catalog."""
        identity = self._catalog.settings.get("catalog_id")
        if not identity:
            identity = uuid.uuid4().hex[:12]
            self._catalog.settings.save(catalog_id=identity)
        return f"imgsearch_{identity}_{sha256_of_text(self.space.id)[:12]}"

    def _note_name(self) -> str:
        return f"index {self._address} {self._name()}"

    def _count(self, store: MilvusIndex) -> bool:
        """Count the rows, and return whether the note has the same number: a Milvus may be emptied or restored."""
        self._items = len(store)
        return self._items == self._note.items

    def _widened(self) -> bool:
        """Return whether a column has changed its kind since the rows were pushed."""
        kinds = self._catalog.metadata.columns
        return any(kinds.get(name) != kind for name, kind in self._note.kinds.items())

    def _column(self, name: str) -> Column:
        return Column(*self._catalog.metadata.find_column(name))

    def _push_from_catalog(
        self, store: MilvusIndex, keys: Keys, new: bool, progress: Progress | None = None
    ) -> None:
        for start in range(0, len(keys), _BLOCK_ROWS):
            block = keys[start : start + _BLOCK_ROWS]
            vectors = self.space.vectors(block)
            sound = are_unit(vectors)
            block, vectors = block[sound], vectors[sound]
            items = {item.key: item for item in self._catalog.by_keys(block)}
            self._push(store, block, vectors, items, new=new)
            if progress:
                progress(start + len(block), len(keys))

    def _push(
        self, store: MilvusIndex, keys: Keys, vectors: Vectors, items: Mapping[int, Item], *, new: bool
    ) -> None:
        columns = {name: self._column(name) for name in self._catalog.metadata.columns}
        found = [items.get(int(key)) for key in keys]
        rows = [row_document(item.metadata, columns) if item else {} for item in found]
        stored = self._catalog.stored_photos([item.item_id for item in found if item])
        digests = [
            stored[item.item_id].row_digest if item and item.item_id in stored else "" for item in found
        ]
        store.put(keys, vectors, rows, digests, new=new)
        self._pushed += len(keys)

    def _recall(self) -> float | None:
        """Return the measured `ann_recall@10`; None for an empty index."""
        keys, store = self._catalog.keys(), self._store
        if store is None or len(keys) == 0:
            return None

        def search(vector: Vectors, k: int) -> Keys:
            found, _ = store.search(vector, k)
            return found[is_in(keys, found)]

        return round(RecallProbe(self.space, keys, PROBES).recall(search), 4)
