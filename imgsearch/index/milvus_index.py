"""The catalog's index on a Milvus: kept in step with the catalog, and shared by every process that searches it.

It owns what of a catalog lies there (one collection a vector space, each item's vector and its row for filters), how
it is brought in step again after changes or a broken run, and the catalog's note of what was put there. An index is a
cache here too: all of it can be pushed again. How Milvus is spoken to is `imgsearch.index.milvus`'s.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from imgsearch.core.config import index_token
from imgsearch.core.errors import ConfigError, IndexCorrupt
from imgsearch.core.files import sha256_of_text
from imgsearch.core.key_arrays import are_in
from imgsearch.core.query import Filter
from imgsearch.core.records import Item
from imgsearch.index.base import Keys, Vectors
from imgsearch.index.live_index import IndexHeader, LiveIndex, Progress, exact_top_k
from imgsearch.index.milvus import Column, MilvusIndex, expression, row_document
from imgsearch.index.vector_space import VectorSpace
from imgsearch.store.catalog import CatalogStore

__all__ = ["SharedIndex"]

PUSH_AT_ONCE = 4000
MEASURED = 50
MEASURE_AGAIN = 0.1
"""When more than this share of the items was pushed since, `ann_recall@10` is measured again."""


@dataclass(slots=True)
class _Note:
    """What the catalog remembers of a collection: what it held when it was last in step."""

    generation: int = 0
    items: int = -1
    rows: str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    built_at: str = ""
    ann_recall_at_10: float | None = None


class SharedIndex(LiveIndex):
    """The index of one space of a catalog on a Milvus: searched by many threads, changed by one at a time."""

    pushes_filters = True

    def __init__(self, catalog: CatalogStore, address: str, *, space: VectorSpace | None = None) -> None:
        """Use `LiveIndex.open`: it gives a shared index where the catalog's `index_address` names one."""
        self._catalog = catalog
        self._address = address
        self.space = space or VectorSpace(catalog)
        self._changing = threading.RLock()
        self._store: MilvusIndex | None = None
        self._note = _Note()
        self._living: tuple[int, Keys] | None = None
        self._items = 0
        self._pushed = 0
        self.reason_rebuilt = ""

    @classmethod
    def connected(
        cls,
        catalog: CatalogStore,
        address: str,
        *,
        progress: Progress | None = None,
        rebuild: bool = False,
        space: VectorSpace | None = None,
    ) -> SharedIndex:
        """Open the collection of a space, made where there is none, and bring it in step with the catalog.

        Raises `IndexUnavailable` where the Milvus does not answer, `ConfigError` for an address that is none.
        """
        shared = cls(catalog, address, space=space)
        if not catalog.dim:
            return shared
        shared._open()
        if catalog.index_read_only:
            return shared
        if rebuild:
            shared.reason_rebuilt = "a rebuild was asked for"
            shared.rebuild(progress=progress)
        else:
            shared.sync(progress=progress)
        return shared

    # --- searching --------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """How often the collection was brought in step with a catalog that had changed."""
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
        """Return the number of keys that this process knows to be in the index."""
        return self._items

    def search(
        self, vector: Vectors, k: int, *, expansion: int | None = None, filters: Sequence[Filter] = ()
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) unit vector, best first.

        Milvus leaves out what does not pass the filters, some of it at least: whoever asks checks again.
        """
        if self._store is None:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        where = expression(filters, self._column)
        keys, scores = self._store.search(vector, k, expansion=expansion, where=where)
        if not self._catalog.index_read_only:
            return keys, scores
        # A copy of the catalog does not know the items that came after it was made.
        known = np.isin(keys, self._known())
        return keys[known], scores[known]

    def candidates_for(self, wanted: int, *, far: bool) -> int:
        """Return 0: the graph's neighbours are found as they are."""
        return 0

    def search_among(
        self, vector: Vectors, k: int, among: Keys, *, expansion: int
    ) -> tuple[Keys, Vectors] | None:
        """Return None: what Milvus is to look among it is told by filters."""
        return None

    # --- changing ---------------------------------------------------------------------------------------------

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add new keys with their embeddings and the rows of their items; this process finds them at once."""
        with self._changing:
            store = self._open()
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
                self._push_from_catalog(self._open(), keys, new=False)

    def sync(self, *, progress: Progress | None = None) -> None:
        """Bring the collection in step with the catalog's live keys and their metadata.

        Where the catalog's note says that it is already, nothing but its count is asked. Else keys and digests are
        compared, so that a run that was broken off goes on from there.
        """
        with self._changing:
            store = self._open()
            widened = self._widened()
            if not widened and self._note.rows == self._catalog.metadata.fingerprint() and self._count(store):
                return
            alive, digests = self._catalog.metadata.row_digests()
            indexed, known = store.digests()
            store.remove(np.setdiff1d(indexed, alive, assume_unique=True))
            both, here, there = np.intersect1d(alive, indexed, assume_unique=True, return_indices=True)
            changed = both if widened else both[digests[here] != known[there]]
            self._pushed += len(indexed) - len(both)
            self._push_from_catalog(store, np.setdiff1d(alive, indexed, assume_unique=True), True, progress)
            self._push_from_catalog(store, changed, False, progress)
            self._items = len(store)
            self.save()

    def rebuild(
        self, *, progress: Progress | None = None, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Fill a new collection from the catalog and put it in force for every process that searches this one.

        Raises `ConfigError` for `parameters`: those are of engines in this process.
        """
        if parameters is not None:
            raise ConfigError(
                f"The index lies at {self._address}, which tunes itself; take --index local to choose an engine here."
            )
        with self._changing:
            store = self._connect(fresh=True)
            self._store = store
            self._push_from_catalog(store, self._catalog.keys(), True, progress)
            self._items = len(store)
            store.put_in_force()
            self._note.rows = ""
            self.save()

    def save(self) -> None:
        """Have Milvus write what it was given to its storage, and note that the collection is in step."""
        with self._changing:
            rows = self._catalog.metadata.fingerprint()
            if self._store is None or (rows == self._note.rows and not self._pushed):
                return
            self._store.flush()
            recall = self._note.ann_recall_at_10
            if recall is None or self._pushed > MEASURE_AGAIN * self._items:
                recall = self._recall()
            self._note = _Note(
                generation=self._note.generation + 1,
                items=self._items,
                rows=rows,
                kinds=dict(self._catalog.metadata.columns),
                built_at=datetime.now(UTC).isoformat(timespec="seconds"),
                ann_recall_at_10=recall,
            )
            self._catalog.set_setting(self._note_name(), json.dumps(asdict(self._note)))
            self._pushed = 0

    def check(self) -> IndexHeader:
        """Return the header after comparing every key and row with the catalog; raises `IndexCorrupt`."""
        store = self._open()
        alive, digests = self._catalog.metadata.row_digests()
        indexed, known = store.digests()
        if not np.array_equal(alive, indexed):
            raise IndexCorrupt("the Milvus collection does not hold exactly the items of the catalog")
        if not np.array_equal(digests, known) or self._widened():
            raise IndexCorrupt("the Milvus collection holds other metadata than the catalog")
        if (header := self.header) is None:
            raise IndexCorrupt("the Milvus collection was never brought in step")
        return header

    # --- inside -----------------------------------------------------------------------------------------------

    def _open(self) -> MilvusIndex:
        if self._store is None:
            self._store = self._connect()
            kept = self._catalog.setting(self._note_name())
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

    def _known(self) -> Keys:
        """Return the keys of the catalog, read once for each of its versions."""
        if self._living is None or self._living[0] != self._catalog.version:
            self._living = self._catalog.version, self._catalog.keys()
        return self._living[1]

    def _name(self) -> str:
        """Return the collection's name: of this catalog, also of its copies, and of the space."""
        identity = self._catalog.setting("catalog_id")
        if not identity:
            identity = uuid.uuid4().hex[:12]
            self._catalog.set_setting("catalog_id", identity)
        return f"imgsearch_{identity}_{sha256_of_text(self.space.id)[:12]}"

    def _note_name(self) -> str:
        return f"index {self._address} {self._name()}"

    def _count(self, store: MilvusIndex) -> bool:
        """Count what is there, and return whether it is as much as noted: a Milvus may be emptied or restored."""
        self._items = len(store)
        return self._items == self._note.items

    def _widened(self) -> bool:
        """Return whether a column holds another kind of values than when the rows were pushed."""
        kinds = self._catalog.metadata.columns
        return any(kinds.get(name) != kind for name, kind in self._note.kinds.items())

    def _column(self, name: str) -> Column:
        return Column(*self._catalog.metadata.find_column(name))

    def _push_from_catalog(
        self, store: MilvusIndex, keys: Keys, new: bool, progress: Progress | None = None
    ) -> None:
        for start in range(0, len(keys), PUSH_AT_ONCE):
            part = keys[start : start + PUSH_AT_ONCE]
            vectors = self.space.vectors(part)
            # Rows that were damaged on disk have no direction, and cosine none to compare with.
            sound = np.abs(np.linalg.norm(vectors, axis=1) - 1.0) < 0.05
            part, vectors = part[sound], vectors[sound]
            self._push(
                store, part, vectors, {item.key: item for item in self._catalog.by_keys(part)}, new=new
            )
            if progress:
                progress(start + len(part), len(keys))

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
        """Return `ann_recall@10` by exact search on some of the catalog's own vectors; None for an empty index."""
        keys = self._catalog.keys()
        if self._store is None or len(keys) == 0:
            return None
        rng = np.random.default_rng(0)
        probes = self.space.vectors(np.sort(rng.choice(keys, min(MEASURED, len(keys)), replace=False)))
        k = min(10, len(keys))
        found = 0
        for probe, (_, scores) in zip(probes, exact_top_k(self.space, keys, probes, k), strict=True):
            got, _ = self._store.search(probe, k)
            got = got[are_in(keys, got)]
            # Counted by score, not by key: among equally near items any choice is right.
            found += int(np.sum(self.space.vectors(got) @ probe >= scores[-1] - 1e-4))
        return round(min(1.0, found / (len(probes) * k)), 4)
