"""A catalog's index in files of the catalog: chooses the engine, measures recall, follows the catalog."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from imgsearch.core.background import Progress, low_priority
from imgsearch.core.errors import IndexBehind, IndexCorrupt
from imgsearch.core.key_arrays import Keys, is_in
from imgsearch.core.query import Filter
from imgsearch.index.base import SubsetSearch, VectorIndex, Vectors, VectorSource, are_unit
from imgsearch.index.engines import (
    Parameters,
    default_parameters,
    is_installed,
    is_outgrown,
    load_index,
    new_index,
)
from imgsearch.index.exact_search import RecallProbe
from imgsearch.index.generation_files import GenerationFolder
from imgsearch.index.live_index import TARGET_RECALL, IndexHeader, LiveIndex
from imgsearch.index.vector_space import VectorSpace
from imgsearch.store.catalog import CatalogStore

MAX_EXPANSION = 1024
EXPANSION_STEP = 1.25  # the factor between two trials of the search effort
PROBES = 100
STALE_SHARE = 0.2  # from this share of dead keys on, a rebuild is cheaper than searching around them
RETRAIN_FACTOR = 8
"""A trained engine is rebuilt when the catalog is this many times larger than when it was trained."""
_BLOCK_ROWS = 2048


class LocalIndex(LiveIndex):
    """An index in memory, saved as generations in the catalog's folder."""

    def __init__(self, catalog: CatalogStore, *, threads: int = 1, space: VectorSpace | None = None) -> None:
        """Make an empty index; `threads` build it."""
        super().__init__(catalog, space)
        self._files = GenerationFolder(catalog.folder, self.space)
        self.threads = threads
        self._chosen, self._target_recall = "by size", TARGET_RECALL
        self._parameters = default_parameters(0)
        self.engine = self._empty(self._parameters)
        self._header: IndexHeader | None = None
        self._unsaved = 0
        self._dead = 0
        # One rebuild or save at a time; taken before `_changing` where both are.
        self._building = threading.RLock()
        self._meanwhile: dict[int, bool] | None = None
        """During a rebuild: the keys that were added (True) or removed since it began."""

    @classmethod
    def open(
        cls,
        catalog: CatalogStore,
        *,
        threads: int = 1,
        progress: Progress | None = None,
        rebuild: bool = False,
        space: VectorSpace | None = None,
    ) -> LocalIndex:
        """Load the active generation and bring it up to date.

        A generation that is missing, damaged or of another encoder is rebuilt, and `rebuild_reason` says why.
        """
        index = cls(catalog, threads=threads, space=space)
        if not catalog.dim:
            return index
        try:
            index._load(rebuild=rebuild)
        except IndexCorrupt as error:
            index.rebuild_reason = str(error)
            index.rebuild(progress=progress)
        else:
            index.sync(progress=progress)
        return index

    # --- searching --------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """The number of the active generation; 0 before the first was written."""
        return self._header.generation if self._header else 0

    @property
    def header(self) -> IndexHeader | None:
        """The header of the active generation, or None before the first was written."""
        return self._header

    def __len__(self) -> int:
        return len(self.engine)

    def keys(self) -> Keys:
        """Return the keys in the index, ascending."""
        return self.engine.keys()

    def search(
        self, vector: Vectors, k: int, *, expansion: int | None = None, filters: Sequence[Filter] = ()
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, approximate cosine similarities) near a (dim,) unit vector; ignores filters."""
        return self.engine.search(vector, k, expansion=expansion)

    def candidates_for(self, n: int, *, cross_modal: bool) -> int:
        """Return how many candidates an engine over codes needs for the n nearest; 0 for other engines."""
        engine = self.engine
        return engine.candidates_for(n, cross_modal=cross_modal) if isinstance(engine, SubsetSearch) else 0

    def search_subset(
        self, vector: Vectors, k: int, subset: Keys, *, expansion: int
    ) -> tuple[Keys, Vectors] | None:
        """Return what the engine finds in the subset; None where it cannot, or where exact search is faster."""
        engine = self.engine
        if not isinstance(engine, SubsetSearch) or not engine.subset_search_pays(len(subset), expansion):
            return None
        return engine.search_subset(vector, k, subset, expansion=expansion)

    # --- changing ---------------------------------------------------------------------------------------------

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add new keys with their embeddings; they are found at once, and on disk after the next `save`.

        Keys that are in the index already, such as after a `sync`, are left as they are.
        """
        vectors = self.space.project(vectors)
        with self._changing:
            self._fit_dim()
            try:
                self.engine.add(keys, vectors)
            except ValueError:
                new = ~is_in(self.engine.keys(), keys)
                self.engine.add(keys[new], vectors[new])
            self._note(keys, added=True)
        self._rebuild_where_due()

    def remove(self, keys: Keys) -> None:
        """Remove keys; where too many dead ones remain in the graph, rebuild it."""
        with self._changing:
            self._remove_from_engine(keys)
            self._note(keys, added=False)
        self._rebuild_where_due()

    def sync(self, *, progress: Progress | None = None) -> None:
        """Bring the index in step with the catalog's live keys, and save it if that changed anything."""
        with self._building, self._changing:
            alive, indexed = self._catalog.keys(), self.engine.keys()
            dead = np.setdiff1d(indexed, alive, assume_unique=True)
            missing = np.setdiff1d(alive, indexed, assume_unique=True)
            if len(dead) > STALE_SHARE * max(len(indexed), 1):
                self.rebuild(progress=progress)
                return
            self._remove_from_engine(dead)
            before = len(self.engine)
            fill(self.engine, self.space, missing, progress)
            self._unsaved += len(dead) + len(self.engine) - before
            if self._too_many_dead() or self._outgrown():
                self.rebuild(progress=progress)
            elif self._unsaved:
                self.save()

    def rebuild(self, *, progress: Progress | None = None) -> None:
        """Build a new engine from the catalog's embeddings, activate it, and save it as a generation.

        The tuned engine is kept; otherwise the one that suits the number of items. Searches and changes use the old
        engine until the new one is ready, which then gets the changes too.
        """
        with self._building:
            if self._chosen != "by size" and not is_installed(self._parameters):
                self._chosen = "by size"
            if self._chosen == "by size":
                self._parameters = default_parameters(len(self._catalog))
            engine = self._built(progress)
            recall = tune(engine, self.space, self._target_recall)
            missed = recall is not None and recall < self._target_recall
            small = default_parameters(0)
            if missed and self._chosen == "by size" and self._parameters != small:
                self._chosen, self._parameters = "by recall", small
                engine = self._built(progress)
                recall = tune(engine, self.space, self._target_recall)
            self._activate(engine)
            self._write(recall)

    def build_as(
        self, parameters: Parameters, target_recall: float, *, progress: Progress | None = None
    ) -> None:
        """Rebuild with these engine parameters and target recall, and keep both for later rebuilds."""
        with self._building:
            self._chosen, self._target_recall, self._parameters = "by tuning", target_recall, parameters
            self._activate(self._built(progress))
            self.save()

    def save(self) -> None:
        """Write the engine as a new generation and activate it; does nothing where nothing has changed."""
        with self._building:
            if self._unsaved or not self._header:
                self._write(tune(self.engine, self.space, self._target_recall))

    # --- internal ---------------------------------------------------------------------------------------------

    def _load(self, *, rebuild: bool) -> None:
        # Kept even if the rest fails: a rebuild never writes into the folder of a damaged generation.
        self._header = self._files.read_header()
        if self._header.encoder_id == self.space.id:
            # A rebuild keeps the chosen engine.
            self._chosen, self._target_recall = self._header.chosen, self._header.target_recall
            self._parameters = self._header.parameters
        if rebuild:
            raise IndexCorrupt("a rebuild was requested")
        file = self._files.checked_file(self._header)
        self.engine = load_index(
            file, self._header.dim, self.space.stored_vectors, self._header.parameters, threads=self.threads
        )
        self._dead = self._header.dead

    def _write(self, recall: float | None) -> None:
        """Write the engine, whose measured recall is given, as a new generation and activate it."""
        if self._catalog.database.read_only:
            return
        if len(self.engine) == 0:
            self._fit_dim()
        unsaved = self._unsaved
        self._header = self._files.write(
            self.engine,
            IndexHeader(
                generation=self.generation,
                encoder_id=self.space.id,
                dim=self.engine.dim,
                items=len(self.engine),
                dead=self._dead,
                sha256="",
                built_at="",
                ann_recall_at_10=recall,
                parameters=self.engine.parameters,
                chosen=self._chosen,
                target_recall=self._target_recall,
            ),
        )
        with self._changing:
            self._unsaved -= unsaved

    def _fit_dim(self) -> None:
        """Replace an index that was opened before the catalog had an encoder."""
        if self.engine.dim != self._catalog.dim:
            self.engine = self._empty(default_parameters(0))

    def _empty(self, parameters: Parameters) -> VectorIndex:
        """Return an empty index of the engine that `parameters` name."""
        dim, items = max(self._catalog.dim, 1), len(self._catalog)
        source = VectorSource(dim, items, self.space.stored_vectors, self._sample)
        return new_index(parameters, source, threads=self.threads)

    def _sample(self, count: int) -> Vectors:
        """Return up to `count` of the vectors, the same ones for the same items."""
        keys = self._catalog.keys()
        drawn = np.random.default_rng(0).permutation(len(keys))[:count]
        rows = self.space.vectors(np.sort(keys[drawn]))
        return rows[are_unit(rows)]

    def _built(self, progress: Progress | None) -> VectorIndex:
        """Return a new engine that holds all items, and note the changes from now on for `_activate`."""
        with self._changing:
            self._meanwhile = {}
        engine = self._empty(self._parameters)
        fill(engine, self.space, self._catalog.keys(), progress)
        return engine

    def _activate(self, engine: VectorIndex) -> None:
        """Replace the engine by a new one, once that has the changes since it was begun."""
        with self._changing:
            changes, self._meanwhile = self._meanwhile or {}, None
            gone = np.array(sorted(key for key, added in changes.items() if not added), np.uint64)
            new = np.array(sorted(key for key, added in changes.items() if added), np.uint64)
            before = len(engine)
            engine.remove(gone)
            self._dead = before - len(engine)
            if len(new):
                fill(engine, self.space, np.setdiff1d(new, engine.keys()), None)
            self.engine = engine
            self._unsaved = max(len(engine), 1)

    def _note(self, keys: Keys, *, added: bool) -> None:
        """Note changed keys, under the lock of changes."""
        self._unsaved += len(keys)
        if self._meanwhile is not None:
            self._meanwhile |= dict.fromkeys(keys.tolist(), added)

    def _rebuild_where_due(self) -> None:
        if not (self._too_many_dead() or self._outgrown()):
            return
        if self._upkeep is not None:
            self._upkeep.start()
        else:
            self.rebuild()

    def _keep_up(self) -> None:
        if self._too_many_dead() or self._outgrown():
            upkeep = self._upkeep
            self.rebuild(progress=low_priority(lambda *_: upkeep.check() if upkeep else None))
        else:
            self._save_changes()

    def _save_changes(self) -> None:
        """Save what has changed, without measuring the recall again."""
        with self._building:
            if self._unsaved and self._header is not None:
                self._write(self._header.ann_recall_at_10)
            elif self._unsaved:
                self.save()

    def _outgrown(self) -> bool:
        """Return whether there are more items than the engine was chosen for or trained on."""
        items = len(self.engine)
        if self._chosen == "by size" and is_outgrown(self._parameters, items):
            return True
        return 0 < self.engine.made_for * RETRAIN_FACTOR < items

    def _remove_from_engine(self, keys: Keys) -> None:
        before = len(self.engine)
        self.engine.remove(keys)
        self._dead += before - len(self.engine)

    def _too_many_dead(self) -> bool:
        return self._dead > max(STALE_SHARE * (len(self.engine) + self._dead), 50)


def fill(engine: VectorIndex, space: VectorSpace, keys: Keys, progress: Progress | None) -> None:
    """Add keys with their stored vectors to an engine, except rows that are damaged on disk."""
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = keys[start : start + _BLOCK_ROWS]
        vectors = space.vectors(block)
        sound = are_unit(vectors)
        engine.add(block[sound], vectors[sound])
        if progress:
            progress(start + len(block), len(keys))


def tune(engine: VectorIndex, space: VectorSpace, target_recall: float) -> float | None:
    """Raise the search effort until `ann_recall@10` reaches the target, and return the recall measured.

    None for an empty index.
    """
    keys = engine.keys()
    if len(keys) == 0:
        return None
    probe = RecallProbe(space, keys, PROBES)
    while True:
        recall = probe.recall(lambda vector, k: engine.search(vector, k)[0])
        if recall >= target_recall or engine.expansion_search >= MAX_EXPANSION:
            return round(recall, 4)
        engine.expansion_search = round(engine.expansion_search * EXPANSION_STEP)


def check_files(catalog: CatalogStore, space: VectorSpace) -> IndexHeader:
    """Return the header of a space's active generation after checking its file and that it holds the live keys.

    Raises `IndexCorrupt` saying what is wrong; changes nothing.
    """
    files = GenerationFolder(catalog.folder, space)
    header = files.read_header()
    file = files.checked_file(header)
    engine = load_index(file, header.dim, space.stored_vectors, header.parameters)
    if not np.array_equal(engine.keys(), catalog.keys()):
        raise IndexBehind("it does not hold exactly the items of the catalog")
    return header
