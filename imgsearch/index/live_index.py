"""The catalog's index on disk and in memory: generations, checksums, and keeping in step with the catalog.

It owns `<catalog>/index/`, and `index/` beside each learned head: each generation is a folder with the engine's
file and a `header.json` (checksum, whose vectors, parameters, measured `ann_recall@10`), written beside the old one
and put in place by renaming; the file `current` names the one in force and the checksum of its header. An index is a
cache: what is missing or damaged is rebuilt from the catalog's vectors. It does not know how photos become vectors.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import IndexCorrupt
from imgsearch.core.files import flush_to_disk, sha256_of_file, sha256_of_text, write_durably
from imgsearch.core.query import Filter
from imgsearch.index.base import Keys, ScansCodes, Vectors
from imgsearch.index.engines import LISTS, LocalIndex, can_be_had, load_index, new_index
from imgsearch.index.usearch import UsearchIndex
from imgsearch.index.vector_space import VectorSpace
from imgsearch.store.catalog import CatalogStore

__all__ = ["IndexHeader", "LiveIndex", "best_first", "check_generation", "exact_top_k", "ranked"]

INDEX_FILE = "index.usearch"
TARGET_RECALL = 0.99
ROUGHNESS = 1e-5
"""By how much a score from a matrix product may differ from the same score summed row by row."""
MAX_EXPANSION = 1024
STALE_SHARE = 0.2
"""When more than this share of the graph's keys is dead, a rebuild is cheaper than searching around them."""
EFFORT_STEP = 1.25
"""By how much the effort of a search grows from one trial to the next, until it reaches the target."""
MANY = 50_000
"""From so many items on, codes are searched, unless `imgsearch tune` chose otherwise or they miss the target."""
FEW_ITEMS: Mapping[str, Any] = {"engine": "usearch"}
CODE_GRAPH: Mapping[str, Any] = {"engine": "codes", "coding": "bytes", "width": 128}
CODE_LISTS: Mapping[str, Any] = {"engine": LISTS}
OUTGROWN = 8
"""An index that learned from the vectors is built anew when there are so many times more of them."""

Progress = Callable[[int, int], None]

_numbering = threading.Lock()


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """What a generation says of itself; an index is opened only when this and the file's checksum hold.

    `encoder_id` is the id of the space that is indexed: the encoder's, or with a learned head `VectorSpace.id`.
    `chosen` says how the engine was: "by size", "by tuning", or "by recall" where codes missed the target.
    """

    generation: int
    encoder_id: str
    dim: int
    items: int
    dead: int
    sha256: str
    built_at: str
    ann_recall_at_10: float | None
    parameters: dict[str, Any] = field(default_factory=dict)
    chosen: str = "by size"
    target_recall: float = TARGET_RECALL


class LiveIndex:
    """The index of one space of a catalog: searched by many threads, changed by one at a time."""

    pushes_filters = False
    """Whether `search` itself leaves out what does not pass its filters."""

    def __init__(self, catalog: CatalogStore, *, threads: int = 1, space: VectorSpace | None = None) -> None:
        """Use `LiveIndex.open`."""
        self._catalog = catalog
        self.space = space or VectorSpace(catalog)
        self._folder = self.space.folder
        self._threads = threads
        self._chosen, self._target_recall = "by size", TARGET_RECALL
        self._parameters = FEW_ITEMS
        self._index = self._empty(FEW_ITEMS)
        self._header: IndexHeader | None = None
        self._changing = threading.RLock()
        self._unsaved = 0
        self._dead = 0
        self.reason_rebuilt = ""

    @classmethod
    def open(
        cls,
        catalog: CatalogStore,
        *,
        threads: int = 1,
        progress: Progress | None = None,
        rebuild: bool = False,
        space: VectorSpace | None = None,
    ) -> LiveIndex:
        """Open the generation in force of a space (by default the encoder's own), brought up to date.

        A generation that is missing, damaged or of another encoder is rebuilt, and `reason_rebuilt` says why.
        """
        if address := catalog.index_address:
            from imgsearch.index.milvus_index import SharedIndex

            shared = SharedIndex.connected(catalog, address, progress=progress, rebuild=rebuild, space=space)
            catalog.remember_index()
            return shared
        catalog.remember_index()
        live = cls(catalog, threads=threads, space=space)
        if not catalog.dim:
            return live
        try:
            live._load(rebuild=rebuild)
        except IndexCorrupt as error:
            live.reason_rebuilt = str(error)
            live.rebuild(progress=progress)
        else:
            live.sync(progress=progress)
        return live

    # --- searching --------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """The number of the generation in force; 0 before the first was written."""
        return self._header.generation if self._header else 0

    @property
    def header(self) -> IndexHeader | None:
        """The header of the generation in force, or None before the first was written."""
        return self._header

    def __len__(self) -> int:
        """Return the number of keys in the index."""
        return len(self._index)

    def keys(self) -> Keys:
        """Return the keys in the index, ascending."""
        return self._index.keys()

    @property
    def threads(self) -> int:
        """How many threads build the index."""
        return self._threads

    def search(
        self, vector: Vectors, k: int, *, expansion: int | None = None, filters: Sequence[Filter] = ()
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, approximate cosine similarities) near a (dim,) unit vector, best first.

        The filters only help an index that `pushes_filters`: whoever asks leaves out what does not pass them.
        """
        return self._index.search(vector, k, expansion=expansion)

    def candidates_for(self, wanted: int, *, far: bool) -> int:
        """Return how many candidates the engine needs so that the `wanted` nearest are among them; 0: no more.

        `far` says that the vector lies far from all items, as words do.
        """
        index = self._index
        return index.candidates_for(wanted, far=far) if isinstance(index, ScansCodes) else 0

    def search_among(
        self, vector: Vectors, k: int, among: Keys, *, expansion: int
    ) -> tuple[Keys, Vectors] | None:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first, all of them among the keys.

        None where comparing them all is sooner done. `among` is ascending, and known by its identity: it must not be
        changed.
        """
        index = self._index
        if not isinstance(index, ScansCodes) or not index.pays_among(len(among), expansion):
            return None
        return index.search_among(vector, k, among, expansion=expansion)

    # --- changing ---------------------------------------------------------------------------------------------

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add new keys with their embeddings; they are found at once, and on disk after the next `save`."""
        vectors = self.space.project(vectors)
        with self._changing:
            if self._index.dim != self._catalog.dim:
                # Opened before the catalog had an encoder.
                self._index = self._empty(FEW_ITEMS)
            self._index.add(keys, vectors)
            self._unsaved += len(keys)
            if self._outgrown():
                self.rebuild()

    def remove(self, keys: Keys) -> None:
        """Forget keys; when dead ones pile up, the index is rebuilt."""
        with self._changing:
            self._remove_from_graph(keys)
            self._unsaved += len(keys)
            if self._too_many_dead():
                self.rebuild()

    def refresh(self, keys: Keys) -> None:
        """Note that the metadata of items changed; an index that holds none has nothing to do."""

    def sync(self, *, progress: Progress | None = None) -> None:
        """Bring the index in step with the catalog's live keys, and save it when that changed anything."""
        with self._changing:
            alive, indexed = self._catalog.keys(), self._index.keys()
            dead = np.setdiff1d(indexed, alive, assume_unique=True)
            missing = np.setdiff1d(alive, indexed, assume_unique=True)
            if len(dead) > STALE_SHARE * max(len(indexed), 1):
                self.rebuild(progress=progress)
                return
            self._remove_from_graph(dead)
            before = len(self._index)
            self._add_from_catalog(self._index, missing, progress)
            self._unsaved += len(dead) + len(self._index) - before
            if self._too_many_dead() or self._outgrown():
                self.rebuild(progress=progress)
            elif self._unsaved:
                self.save()

    def rebuild(self, *, progress: Progress | None = None) -> None:
        """Build a new graph from the catalog's embeddings, put it in force, and save it as a generation.

        Its engine is the one it was tuned to, else what suits the number of items. Searches go on in the old graph
        until the new one is ready.
        """
        with self._changing:
            if self._chosen != "by size" and not can_be_had(self._parameters):
                self._chosen = "by size"
            if self._chosen == "by size":
                self._parameters = _suited(len(self._catalog))
            self._build(progress)
            recall = self._tune()
            short = recall is not None and recall < self._target_recall
            if short and self._chosen == "by size" and self._parameters is not FEW_ITEMS:
                self._chosen, self._parameters = "by recall", FEW_ITEMS
                self._build(progress)
                recall = self._tune()
            self._write(recall)

    def build_as(
        self, parameters: Mapping[str, Any], target_recall: float, *, progress: Progress | None = None
    ) -> None:
        """Rebuild with an engine's parameters, which stay in force; its effort is kept up to `target_recall`."""
        with self._changing:
            self._chosen, self._target_recall, self._parameters = "by tuning", target_recall, parameters
            self._build(progress)
            self.save()

    def save(self) -> None:
        """Write the present graph as a new generation and put it in force; does nothing when it is saved already."""
        with self._changing:
            if not self._unsaved and self._header:
                return
            self._write(self._tune())

    # --- inside -----------------------------------------------------------------------------------------------

    def _write(self, recall: float | None) -> None:
        """Write the present graph, whose measured recall is given, as a new generation and put it in force."""
        if len(self._index) == 0 and self._index.dim != self._catalog.dim:
            # Opened before the catalog had an encoder, and no photo came.
            self._index = self._empty(FEW_ITEMS)
        before = self.generation
        number, part = self._new_generation()
        file = part / INDEX_FILE
        self._index.save(file)
        flush_to_disk(file)
        header = IndexHeader(
            generation=number,
            encoder_id=self.space.id,
            dim=self._index.dim,
            items=len(self._index),
            dead=self._dead,
            sha256=sha256_of_file(file),
            built_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ann_recall_at_10=recall,
            parameters=self._index.parameters,
            chosen=self._chosen,
            target_recall=self._target_recall,
        )
        text = json.dumps(asdict(header), indent=2)
        write_durably(part / "header.json", text)
        place = self._folder / f"{number:06d}"
        shutil.rmtree(place, ignore_errors=True)  # a leftover of a run killed between the two renames
        part.rename(place)
        write_durably(self._folder / "current", f"{number:06d} {sha256_of_text(text)}\n")
        self._header = header
        self._unsaved = 0
        self._drop_old(keep={number, before})

    def _load(self, *, rebuild: bool) -> None:
        # Numbers go on from a damaged generation, so that a rebuild never writes into its folder.
        self._header = _read_header(self._folder)
        if self._header.encoder_id == self.space.id:
            # What was chosen once is kept when the index must be built anew.
            self._chosen, self._target_recall = self._header.chosen, self._header.target_recall
            self._parameters = self._header.parameters
        if rebuild:
            raise IndexCorrupt("a rebuild was asked for")
        file = _check_file(self.space, self._header)
        self._index = load_index(
            file, self._header.dim, self.space.stored, self._header.parameters, threads=self._threads
        )
        self._dead = self._header.dead

    def _empty(self, parameters: Mapping[str, Any]) -> LocalIndex:
        """Return an empty index of the engine that `parameters` name."""
        dim, items = max(self._catalog.dim, 1), len(self._catalog)
        return new_index(parameters, dim, items, self.space.stored, self._sample, threads=self._threads)

    def _sample(self, count: int) -> Vectors:
        """Return up to so many of the vectors, the same ones as long as the items are the same."""
        keys = self._catalog.keys()
        drawn = np.random.default_rng(0).permutation(len(keys))[:count]
        rows = self.space.vectors(np.sort(keys[drawn]))
        return rows[_sound(rows)]

    def _build(self, progress: Progress | None) -> None:
        """Put a new graph of all items in the place of the present one."""
        index = self._empty(self._parameters)
        self._add_from_catalog(index, self._catalog.keys(), progress)
        self._index = index
        self._dead = 0
        self._unsaved = max(len(index), 1)

    def _outgrown(self) -> bool:
        """Return whether there are more items by now than the engine was chosen for, or has learned from."""
        if self._chosen == "by size" and len(self._index) >= MANY and isinstance(self._index, UsearchIndex):
            return True
        return 0 < self._index.made_for * OUTGROWN < len(self._index)

    def _new_generation(self) -> tuple[int, Path]:
        """Return a number that no generation of any space has had, and the new folder to write it in."""
        with _numbering:
            number = max(self.generation, _highest_number(self._catalog.folder)) + 1
            part = self._folder / f".{number:06d}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        return number, part

    def _remove_from_graph(self, keys: Keys) -> None:
        before = len(self._index)
        self._index.remove(keys)
        self._dead += before - len(self._index)

    def _too_many_dead(self) -> bool:
        return self._dead > max(STALE_SHARE * (len(self._index) + self._dead), 50)

    def _add_from_catalog(self, index: LocalIndex, keys: Keys, progress: Progress | None) -> None:
        for start in range(0, len(keys), 2048):
            part = keys[start : start + 2048]
            vectors = self.space.vectors(part)
            sound = _sound(vectors)
            index.add(part[sound], vectors[sound])
            if progress:
                progress(start + len(part), len(keys))

    def _tune(self) -> float | None:
        """Raise the search effort until `ann_recall@10` on the catalog's own vectors reaches the target.

        Returns the recall measured, by exact search, on up to 100 of the vectors; None for an empty index.
        """
        keys = self._index.keys()
        if len(keys) == 0:
            return None
        rng = np.random.default_rng(0)
        probes = self.space.vectors(np.sort(rng.choice(keys, min(100, len(keys)), replace=False)))
        k = min(10, len(keys))
        truth = exact_top_k(self.space, keys, probes, k)
        while True:
            # Counted by score, not by key: among equally near items any choice is right.
            found = 0
            for probe, (_, scores) in zip(probes, truth, strict=True):
                got, _ = self._index.search(probe, k)
                found += int(np.sum(self.space.vectors(got) @ probe >= scores[-1] - 1e-4))
            recall = min(1.0, found / (len(probes) * k))
            if recall >= self._target_recall or self._index.expansion_search >= MAX_EXPANSION:
                return round(recall, 4)
            self._index.expansion_search = round(self._index.expansion_search * EFFORT_STEP)

    def _drop_old(self, keep: set[int]) -> None:
        for place in self._folder.iterdir():
            if place.is_dir() and place.name.lstrip(".").split(".")[0] not in {f"{n:06d}" for n in keep}:
                shutil.rmtree(place, ignore_errors=True)


def _suited(items: int) -> Mapping[str, Any]:
    """Return the parameters of the engine that suits so many items, of those that can be had here."""
    if items < MANY:
        return FEW_ITEMS
    return CODE_LISTS if can_be_had(CODE_LISTS) else CODE_GRAPH


def _sound(rows: Vectors) -> NDArray[np.bool_]:
    """Return which rows have a direction: those that were damaged on disk have none to compare by."""
    return np.asarray(np.abs(np.linalg.norm(rows, axis=1) - 1.0) < 0.05)


class HasVectors(Protocol):
    """Anything that gives the vectors of keys, such as a `VectorSpace`."""

    def vectors(self, keys: Keys) -> Vectors:
        """Return (n, dim) float32 unit rows, in the order asked for."""


def exact_top_k(space: HasVectors, keys: Keys, queries: Vectors, k: int) -> list[tuple[Keys, Vectors]]:
    """Return for each (dim,) row of `queries` the k nearest of `keys` by exact cosine, best first, ties by key.

    Reads the embeddings in blocks, so that memory stays small however many keys there are.
    """
    best = [(np.zeros(0, np.uint64), np.zeros(0, np.float32)) for _ in queries]
    for start in range(0, len(keys), 8192):
        part = keys[start : start + 8192]
        vectors = space.vectors(part)
        for number, rough in enumerate(queries @ vectors.T):
            # The product picks the candidates; `ranked` decides, by scores that do not depend on the block.
            near = part, vectors
            if len(part) > k:
                chosen = rough >= np.partition(rough, -k)[-k] - ROUGHNESS
                near = part[chosen], vectors[chosen]
            new_keys, new_scores = ranked(*near, queries[number], k)
            all_keys = np.concatenate([best[number][0], new_keys])
            all_scores = np.concatenate([best[number][1], new_scores])
            order = best_first(all_scores, all_keys)[:k]
            best[number] = all_keys[order], all_scores[order]
    return best


def ranked(keys: Keys, vectors: Vectors, query: Vectors, k: int) -> tuple[Keys, Vectors]:
    """Return the k best of `keys`, whose embeddings are the rows of `vectors`, and their scores, best first.

    A row's score is the same bit for bit wherever the row stands (that of a matrix product is not), so that a
    result does not depend on which other candidates were looked at. Equal to six decimals is a tie: by key then.
    """
    scores = (vectors * query).sum(axis=1)
    order = best_first(scores, keys)[:k]
    return keys[order], scores[order]


def best_first(scores: Vectors, keys: Keys) -> NDArray[np.int64]:
    """Return the places of scores in the order of hits: highest first, ties (equal to six decimals) by key."""
    return np.lexsort((keys, -np.round(scores, 6)))


def check_generation(catalog: CatalogStore, space: VectorSpace | None = None) -> IndexHeader:
    """Return the header of a space's generation in force, after checking its file and that it holds the live keys.

    Raises `IndexCorrupt` saying what is wrong; changes nothing.
    """
    if address := catalog.index_address:
        from imgsearch.index.milvus_index import SharedIndex

        return SharedIndex(catalog, address, space=space).check()
    space = space or VectorSpace(catalog)
    header = _read_header(space.folder)
    file = _check_file(space, header)
    index = load_index(file, header.dim, space.stored, header.parameters)
    if not np.array_equal(index.keys(), catalog.keys()):
        raise IndexCorrupt("it does not hold exactly the items of the catalog")
    return header


def _read_header(folder: Path) -> IndexHeader:
    """Return the header that `current` names; it is trusted only as the very text that `current` was written for."""
    try:
        number, digest = (folder / "current").read_text(encoding="ascii").split()
        text = (folder / f"{int(number):06d}" / "header.json").read_text(encoding="utf-8")
        if sha256_of_text(text) != digest:
            raise ValueError("the header was changed")
        return IndexHeader(**json.loads(text))
    except (OSError, ValueError, TypeError) as error:
        raise IndexCorrupt(f"there is no readable generation in {folder}") from error


def _highest_number(catalog_folder: Path) -> int:
    """Return the highest number that a generation of any space has, also one being written."""
    places = [*catalog_folder.glob("index/*"), *catalog_folder.glob("heads/*/index/*")]
    names = [place.name.removeprefix(".").removesuffix(".part") for place in places]
    return max((int(name) for name in names if name.isdigit()), default=0)


def _check_file(space: VectorSpace, header: IndexHeader) -> Path:
    if header.encoder_id != space.id or header.dim != space.dim:
        raise IndexCorrupt(f"generation {header.generation} belongs to the encoder {header.encoder_id}")
    file = space.folder / f"{header.generation:06d}" / INDEX_FILE
    if not file.is_file() or sha256_of_file(file) != header.sha256:
        raise IndexCorrupt(f"the file of generation {header.generation} does not match its checksum")
    return file
