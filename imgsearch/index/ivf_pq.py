"""The engine for very many items: IVF-PQ. A search scans a few posting lists of codes and re-ranks the best by rows.

Vectors are rotated to their first principal components and assigned to posting lists by centroid; each is stored as a
4-bit product code, which the CPU compares 32 at a time by table look-ups within its registers (Jégou et al., "Product
quantization for nearest neighbor search", PAMI 2011; André et al., "Quicker ADC", PAMI 2019). Training and assigning
takes a fraction of the time that linking an HNSW graph takes. nprobe differs from query to query: the lists whose
centroids are at most a margin farther than the nearest one are scanned, and the margin is measured in training.

The only file that imports faiss (the extra `imgsearch[faiss]`). faiss allows concurrent searches, but no change
meanwhile, so every call holds one lock.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from imgsearch.core.errors import IndexCorrupt
from imgsearch.core.key_arrays import Keys, is_in, without
from imgsearch.index.base import ReadRows, Vectors, VectorSource, check_rows
from imgsearch.index.exact_search import rerank_candidates
from imgsearch.index.quantisation import pca
from imgsearch.index.usearch import graph_settings

PCA_WIDTH = 256  # of 512 dimensions of photos' embeddings, these have about nine tenths of the variance
MIN_TRAINING_SIZE, TRAINING_ROWS_PER_LIST = 1024, 24
TRAINING_ROUNDS = 6
SCANNED_PER_CANDIDATE = 20  # the average number of codes that a search scans for each re-ranked candidate
SUBSET_SCANNED_PER_CANDIDATE = 5  # the same for a search in a subset, counting only the subset's codes
MAX_KEPT_SELECTIONS = 16
CROSS_MODAL_CANDIDATES = 2048
CANDIDATES_PER_HIT = 4
CODES_PER_EXACT_COMPARISON = 12
"""How many codes are scanned in the time of one exact comparison (of many at once)."""
RERANK_COST_RATIO = 2  # how many exact comparisons (of many at once) the re-ranking of one candidate costs
MIN_NPROBE_RATIO, MAX_NPROBE_RATIO = 1 / 4, 16
"""The bounds of a search's nprobe, as multiples of the average nprobe at this number of candidates."""
MARGIN_NPROBES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # the values of nprobe that margins are measured for
MARGIN_SAMPLE = 1000
MIN_MADE_FOR = 1000
_ADD_BATCH = 64
_BUILD_BATCH = 16_384  # before the first search, rows are added in larger batches by several threads
_SearchParameters: Any = faiss.SearchParametersIVF
_IdSelector: Any = faiss.IDSelectorBitmap
"""Any: faiss' stubs lack the constructors that take Python values."""


def _nlist_for(items: int) -> int:
    """Return the number of posting lists for this number of items: the power of two nearest to 4 sqrt(n), >= 16."""
    return int(2 ** max(round(np.log2(4 * max(items, 1) ** 0.5)), 4))


class IvfPqIndex:
    """Posting lists of product codes; scores are cosines of the stored vectors."""

    engine = "lists"

    def __init__(
        self,
        index: Any,
        read_rows: ReadRows,
        *,
        margins: Mapping[int, float],
        made_for: int,
        expansion_search: int = 128,
        threads: int = 1,
    ) -> None:
        """Wrap a trained faiss index, a rotation before posting lists; use `create` or `load`.

        `margins` maps an nprobe to the squared distance beyond that of the nearest centroid within which this many
        centroids are on average.
        """
        self._index: Any = index
        lists: Any = faiss.downcast_index(index.index)
        self._lists = lists
        rotation: Any = faiss.downcast_VectorTransform(index.chain.at(0))
        matrix = faiss.vector_to_array(rotation.A).reshape(rotation.d_out, rotation.d_in)
        self._rotation = np.ascontiguousarray(matrix.T)
        self._offset = faiss.vector_to_array(rotation.b)
        centroids = lists.quantizer.reconstruct_n(0, lists.nlist)
        self._scaled_centroids, self._centroid_norms = -2 * centroids, (centroids**2).sum(axis=1)
        self.made_for = made_for
        self._margins = dict(margins)
        self._probe_limits: dict[int, tuple[float, int, int]] = {}
        self._read_rows = read_rows
        self._threads = threads
        self._keys = _KeySet(_ids(lists))
        self._searched = False
        self._lock = threading.Lock()
        self.selection_cache: LRUCache[tuple[int, ...], _Selection] = LRUCache(MAX_KEPT_SELECTIONS)
        self._cache_lock = threading.Lock()
        self._list_of_key = np.zeros(0, np.uint32)
        self._items_at_lookup = 0
        self.expansion_search = expansion_search

    @classmethod
    def create(cls, source: VectorSource, *, threads: int = 1, **parameters: Any) -> Self:
        """Return an empty index for this number of items, trained on a sample."""
        nlist = _nlist_for(source.items)
        rows = _padded(source.sample(max(MIN_TRAINING_SIZE, TRAINING_ROWS_PER_LIST * nlist)))
        nlist = min(nlist, len(rows) // TRAINING_ROWS_PER_LIST)
        width = min(PCA_WIDTH, source.dim) // 2 * 2
        rotation = _balanced_pca(rows, width)
        # Not by faiss.index_factory: its regular expressions crash where usearch was imported before, which brings a
        # C++ library of its own.
        coarse = faiss.IndexFlatL2(width)
        trained: Any = faiss.IndexIVFPQFastScan(coarse, width, nlist, width // 2, 4, faiss.METRIC_L2)
        clustering = trained.cp
        clustering.niter, clustering.min_points_per_centroid = TRAINING_ROUNDS, 1
        clustering.max_points_per_centroid = 2 * TRAINING_ROWS_PER_LIST
        rotated = rotation.apply(rows)
        with _faiss_threads(threads):
            trained.train(rotated)
        margins = _measure_margins(rotated[-MARGIN_SAMPLE:], coarse.reconstruct_n(0, nlist))
        index = faiss.IndexPreTransform(rotation, trained)
        made_for = max(source.items, MIN_MADE_FOR)
        settings = graph_settings(parameters)
        return cls(index, source.read_rows, margins=margins, made_for=made_for, threads=threads, **settings)

    @classmethod
    def load(cls, path: Path, dim: int, read_rows: ReadRows, *, threads: int = 1, **parameters: Any) -> Self:
        """Return the index saved at `path`."""
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise IndexCorrupt(f"{path} is not a file of a faiss index.") from error
        if not isinstance(index, faiss.IndexPreTransform) or index.d != dim:
            raise IndexCorrupt(f"{path} holds vectors of {index.d} dimensions, not {dim}.")
        return cls(
            index,
            read_rows,
            margins={int(nprobe): margin for nprobe, margin in parameters["margins"].items()},
            made_for=parameters["made_for"],
            threads=threads,
            **graph_settings(parameters),
        )

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return int(self._index.d)

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine and its settings, for the header."""
        return {
            "engine": self.engine,
            "metric": "cos",
            "dtype": f"4 bits of {self._lists.pq.M}",
            "lists": int(self._lists.nlist),
            "margins": {str(nprobe): margin for nprobe, margin in self._margins.items()},
            "made_for": self.made_for,
            "expansion_search": self.expansion_search,
        }

    def __len__(self) -> int:
        return len(self._keys)

    def keys(self) -> Keys:
        """Return all live keys, ascending."""
        with self._lock:
            return self._keys.all()

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; raises ValueError if a key is already present."""
        check_rows(keys, vectors, self.dim)
        batch = _ADD_BATCH if self._searched else _BUILD_BATCH
        for start in range(0, len(keys), batch):
            part = slice(start, start + batch)
            rotated = vectors[part] @ self._rotation + self._offset
            with self._lock, _faiss_threads(self._threads):
                self._keys.add(keys[part])
                self._lists.add_with_ids(rotated, _as_ids(keys[part]))

    def remove(self, keys: Keys) -> None:
        """Remove keys; unknown ones are ignored."""
        with self._lock:
            known = self._keys.remove(keys)
            if len(known):
                self._lists.remove_ids(_as_ids(known))

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is the number of re-ranked candidates, `expansion_search` where it is None, never less than k;
        nprobe grows with it.
        """
        self._searched = True
        items = len(self._keys)
        if k <= 0 or items == 0:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        candidates = min(max(k, self.expansion_search if expansion is None else expansion), items)
        rotated = self._rotated(vector)
        lists, distances = self._lists_to_probe(rotated, candidates, items)
        found = self._scan(rotated, candidates, lists, distances)
        return rerank_candidates(found, self._read_rows, vector, k)

    def candidates_for(self, n: int, *, cross_modal: bool) -> int:
        """Return how many candidates to re-rank so that the n nearest are among them.

        A `cross_modal` query (text against photos) is far from all items, so their codes differ by little. The result
        is a power of two, so that most pages of a query have the same candidates.
        """
        if cross_modal:
            return CROSS_MODAL_CANDIDATES
        return min(1 << (CANDIDATES_PER_HIT * n - 1).bit_length(), CROSS_MODAL_CANDIDATES)

    def subset_search_pays(self, items: int, expansion: int) -> bool:
        """Return whether searching a subset of `items` keys is faster than comparing all of them exactly."""
        scanned = min(1.0, SUBSET_SCANNED_PER_CANDIDATE * expansion / max(items, 1)) * len(self)
        return RERANK_COST_RATIO * expansion + scanned / CODES_PER_EXACT_COMPARISON < items

    def search_subset(self, vector: Vectors, k: int, subset: Keys, *, expansion: int) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) of the subset near a (dim,) vector, best first.

        `subset` is ascending; it is cached by identity, so the caller must not change the array. The nearest lists
        are scanned until they hold `SUBSET_SCANNED_PER_CANDIDATE` keys of the subset for each of the `expansion`
        candidates.
        """
        self._searched = True
        if k <= 0 or len(subset) == 0:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        candidates = min(max(k, expansion), len(subset))
        rotated = self._rotated(vector)
        selection = self._selection(subset)
        distances = self._centroid_distances(rotated)
        lists = np.argsort(distances)
        target = SUBSET_SCANNED_PER_CANDIDATE * candidates
        lists = lists[: np.searchsorted(np.cumsum(selection.count_by_list[lists]), target) + 1]
        near = distances[lists] + np.float32(rotated @ rotated)
        found = self._scan(rotated, candidates, lists, near, sel=selection.selector)
        return rerank_candidates(found, self._read_rows, vector, k)

    def save(self, path: Path) -> None:
        """Write the index to one file."""
        with self._lock:
            faiss.write_index(self._index, str(path))

    # --- internal ---------------------------------------------------------------------------------------------

    def _rotated(self, vector: Vectors) -> Vectors:
        return np.ascontiguousarray(vector @ self._rotation + self._offset, np.float32)

    def _scan(
        self,
        rotated: Vectors,
        candidates: int,
        lists: NDArray[np.int64],
        distances: Vectors,
        **parameters: Any,
    ) -> Keys:
        """Return up to `candidates` keys of some lists, those whose codes are nearest to a rotated vector.

        `distances` are the squared distances of the lists' centroids, `parameters` further ones of faiss' search.
        """
        scores = np.empty(candidates, np.float32)
        found = np.empty(candidates, np.int64)
        with self._lock:
            # faiss' own wrapper takes no parameters here.
            self._lists.search_preassigned_c(
                1,
                faiss.swig_ptr(rotated),
                candidates,
                faiss.swig_ptr(lists),
                faiss.swig_ptr(distances),
                faiss.swig_ptr(scores),
                faiss.swig_ptr(found),
                False,
                _SearchParameters(nprobe=len(lists), **parameters),
            )
        keys: Keys = found[found != -1].view(np.uint64)
        return keys

    def _selection(self, subset: Keys) -> _Selection:
        """Return what a search in the subset needs; cached for the latest subsets."""
        # Cheap to compute; which of the subsets with this fingerprint is cached is decided by identity.
        fingerprint = (len(subset), int(subset[0]), int(subset[len(subset) // 2]), int(subset[-1]))
        with self._cache_lock:
            selection = self.selection_cache.get(fingerprint)
            if selection is None or selection.subset() is not subset:
                selection = _Selection.of(subset, self._lists_of_keys(), self._lists.nlist)
                self.selection_cache[fingerprint] = selection
            return selection

    def _lists_of_keys(self) -> NDArray[np.uint32]:
        """Return the list of each key, by key, `nlist` for unknown ones; at most a twentieth of them is outdated."""
        items = len(self._keys)
        if abs(items - self._items_at_lookup) * 20 > items:
            with self._lock:
                self._list_of_key, self._items_at_lookup = _list_of_each_key(self._lists), items
        return self._list_of_key

    def _centroid_distances(self, rotated: Vectors) -> Vectors:
        """Return the squared distance of each list's centroid, less the squared length of the vector itself."""
        distances = self._scaled_centroids @ rotated
        distances += self._centroid_norms
        return np.asarray(distances, np.float32)

    def _lists_to_probe(
        self, rotated: Vectors, candidates: int, items: int
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Return the numbers of the lists to scan for this many of all items, and their squared distances."""
        margin, least, most = self._probe_limits.get(candidates) or self._limits_for(candidates)
        nlist = len(self._centroid_norms)
        # On average, half of these lists hold as many codes as there are candidates.
        needed = min(2 * candidates * nlist // items + 1, nlist)
        least, most = max(least, needed), max(most, needed)
        distances = self._centroid_distances(rotated)
        lists = np.flatnonzero(distances <= distances.min() + margin)
        if not least <= len(lists) <= most:
            nprobe = least if len(lists) < least else most
            lists = np.argpartition(distances, nprobe - 1)[:nprobe]
        return lists, distances[lists] + np.float32(rotated @ rotated)

    def _limits_for(self, candidates: int) -> tuple[float, int, int]:
        """Return the margin for this number of candidates, and the least and the largest nprobe; caches them."""
        nlist = len(self._centroid_norms)
        average = max(candidates * SCANNED_PER_CANDIDATE * nlist / self.made_for, 1.0)
        margin = np.interp(np.log(average), np.log(list(self._margins)), list(self._margins.values()))
        least, most = (min(round(average * ratio), nlist) for ratio in (MIN_NPROBE_RATIO, MAX_NPROBE_RATIO))
        self._probe_limits[candidates] = float(margin), max(least, 1), max(most, 1)
        return self._probe_limits[candidates]


@dataclass(frozen=True, slots=True)
class _Selection:
    """A subset of the keys: faiss' selector of them, and how many were in each list when it was made."""

    subset: weakref.ref[Keys]
    """Weak: the caller keeps the array for as long as it is useful."""
    bits: NDArray[np.uint8]
    """Kept because the selector points to it."""
    selector: Any
    count_by_list: NDArray[np.int64]

    @staticmethod
    def of(subset: Keys, list_of_key: NDArray[np.uint32], nlist: int) -> _Selection:
        """Return the selection of one or more ascending keys."""
        chosen = np.zeros(int(subset[-1]) + 1, np.uint8)
        chosen[subset] = 1
        bits = np.packbits(chosen, bitorder="little")
        known = subset[: np.searchsorted(subset, np.uint64(len(list_of_key)))]
        count_by_list = np.bincount(list_of_key[known], minlength=nlist + 1)[:nlist]
        return _Selection(weakref.ref(subset), bits, _IdSelector(bits), count_by_list)


@contextmanager
def _faiss_threads(count: int) -> Iterator[None]:
    """Let faiss use this many threads; its setting belongs to the calling thread."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class _KeySet:
    """A set of uint64 keys in little more than their 8 bytes each: one sorted array, and the latest batches."""

    def __init__(self, keys: Keys) -> None:
        self._sorted = np.sort(keys)
        self._batches: list[Keys] = []

    def __len__(self) -> int:
        return len(self._sorted) + sum(map(len, self._batches))

    def all(self) -> Keys:
        """Return all keys, ascending."""
        if self._batches:
            self._sorted = np.sort(np.concatenate([self._sorted, *self._batches]), kind="stable")
            self._batches = []
        return self._sorted

    def add(self, keys: Keys) -> None:
        """Add keys; raises ValueError, and adds none, where one is present already or twice among them."""
        new = np.unique(keys)
        blocks = [block for block in (*self._batches, self._sorted) if len(block)]
        present = len(new) and any(new[0] <= block[-1] and is_in(block, new).any() for block in blocks)
        if present or len(new) < len(keys):
            raise ValueError("the index holds one of these keys already")
        if len(new):
            self._batches.append(new)
        if len(self._batches) > 64:
            self.all()

    def remove(self, keys: Keys) -> Keys:
        """Remove those of the keys that are present, and return them."""
        present = np.unique(keys[is_in(self.all(), keys)])
        self._sorted = without(self._sorted, present)
        return present


def _balanced_pca(sample: Vectors, width: int) -> Any:
    """Return faiss' rotation to the first principal components of a (n, dim) sample.

    Components are paired so that the products of the two variances are about equal, because each pair gets the same
    number of bits (Ge et al., "Optimized product quantization", CVPR 2013, section 3.3: eigenvalue allocation).
    """
    centre, directions = pca(sample, width)
    first = np.arange(width // 2)
    rotation = directions[:, np.stack([first, width - 1 - first], axis=1).ravel()].T
    linear = faiss.LinearTransform(sample.shape[1], width, True)
    faiss.copy_array_to_vector(np.ascontiguousarray(rotation).ravel(), linear.A)
    faiss.copy_array_to_vector(-(rotation @ centre), linear.b)
    linear.is_trained = True
    return linear


def _measure_margins(rotated: Vectors, centroids: Vectors) -> dict[int, float]:
    """Return for some values of nprobe the margin within which this many centroids are on average."""
    distances = (centroids**2).sum(axis=1) - 2 * (rotated @ centroids.T)
    gaps = np.sort((distances - distances.min(axis=1, keepdims=True)).ravel())
    return {
        nprobe: round(float(gaps[nprobe * len(rotated) - 1]), 5)
        for nprobe in MARGIN_NPROBES
        if nprobe <= len(centroids)
    }


def _as_ids(keys: Keys) -> NDArray[np.int64]:
    """Return keys as faiss stores them: the same 64 bits, signed."""
    return np.ascontiguousarray(keys, np.uint64).view(np.int64)


def _ids(lists: Any) -> Keys:
    """Return the keys in the posting lists, list by list."""
    stored = lists.invlists
    parts = [
        faiss.rev_swig_ptr(stored.get_ids(number), stored.list_size(number)).copy()
        for number in range(stored.nlist)
        if stored.list_size(number)
    ]
    return np.concatenate(parts).view(np.uint64) if parts else np.zeros(0, np.uint64)


def _list_of_each_key(lists: Any) -> NDArray[np.uint32]:
    """Return the list of each key, (highest key + 1,) by key; the number of lists for any other."""
    sizes = [lists.invlists.list_size(number) for number in range(lists.nlist)]
    keys = _ids(lists)
    list_of_key = np.full(int(keys.max(initial=0)) + 1, lists.nlist, np.uint32)
    list_of_key[keys] = np.repeat(np.arange(lists.nlist, dtype=np.uint32), sizes)
    return list_of_key


def _padded(sample: Vectors) -> Vectors:
    """Return the sample, with random unit rows where it is too small to train 16 centroids for each pair."""
    missing = MIN_TRAINING_SIZE - len(sample)
    if missing <= 0:
        return sample
    noise = np.random.default_rng(0).standard_normal((missing, sample.shape[1]), np.float32)
    return np.concatenate([sample, noise / np.linalg.norm(noise, axis=1, keepdims=True)])
