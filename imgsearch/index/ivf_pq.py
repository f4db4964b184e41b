"""The engine for very many items: lists of short codes, a few of which are scanned, their best compared exactly.

It owns `IvfPqIndex`: how many lists there are, which of them a search scans, and its one file. The vectors are turned
to their first principal components and sorted into lists around centroids; in a list they lie as product codes of 4
bits a pair of components, which the processor compares by table look-ups within its registers, 32 vectors at a time
(Jégou et al., "Product quantization for nearest neighbor search", PAMI 2011; André et al., "Quicker ADC", PAMI 2019).
No graph is built or walked: learning the centroids and sorting the vectors takes a fraction of the time of linking.

Most queries have their neighbours in few lists, some in many. So a search scans those whose centroids are hardly
farther than the nearest one, by a margin that was measured when the lists were learned: at a given effort a query in
the middle of a list scans few of them, one between many lists scans many. Where only some of the items may be
found, it scans the nearest lists that hold enough of those.

The only file that imports faiss (the extra `imgsearch[faiss]`), whose lists these are. A faiss index may be searched
by many threads, but not while one changes it, so every call holds one lock.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import IndexCorrupt
from imgsearch.core.key_arrays import are_in, without
from imgsearch.index.base import Keys, Vectors
from imgsearch.index.quantisation import principal_components
from imgsearch.index.rerank import ReadRows, rerank_candidates
from imgsearch.index.usearch import check_rows, graph_settings

__all__ = ["IvfPqIndex", "lists_for", "sample_for"]

WIDTH = 256
"""How many principal components are kept: of 512, those of photos have some nine tenths of the variance."""
LEAST_SAMPLE, SAMPLE_A_LIST = 1024, 24
SCANNED = 20
"""How many codes are scanned for each candidate that is compared exactly, in a usual search."""
SCANNED_AMONG = 5
"""How many of the chosen keys' codes are scanned for each candidate, where it is searched among some keys only."""
SELECTIONS = 16
FAR, EACH = 2048, 4
"""How many candidates are needed for a query far from all items, and for each item wanted, but no more than `FAR`."""
CODES_AS_DEAR, CANDIDATE_AS_DEAR = 12, 2
"""So many codes are scanned in the time of one exact comparison of many; a candidate takes that of so many."""
LEAST, MOST = 1 / 4, 16
"""How many times as many lists as on average a single search scans at least and at most."""
MARGINS_AT = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
MARGIN_SAMPLE = 1000
LEAST_MADE_FOR = 1000
_ROUNDS = 6
_Parameters: Any = faiss.SearchParametersIVF
_Selector: Any = faiss.IDSelectorBitmap
"""Any: what faiss' stubs do not know is that these are made with Python's values."""
_ADD_AT_ONCE = 64
_BUILD_AT_ONCE = 16_384
"""What nobody searches yet is fed in larger pieces, by several threads."""


def lists_for(items: int) -> int:
    """Return how many lists suit so many items: the power of two next to four times their root, at least 16."""
    return int(2 ** max(round(np.log2(4 * max(items, 1) ** 0.5)), 4))


def sample_for(items: int) -> int:
    """Return how many vectors the lists of so many items are learned from."""
    return max(LEAST_SAMPLE, SAMPLE_A_LIST * lists_for(items))


class IvfPqIndex:
    """Inverted lists of product codes; scores are cosines of the stored vectors all the same."""

    engine = "lists"
    made_for: int
    """How many items it has learned from; many more of them ask for lists of their own."""

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
        """Take a trained faiss index, a turn before lists; use `learned` or `load`.

        `margins` says how much farther than the nearest centroid (squared, turned) those of n lists are on average;
        `made_for` is how many items the lists were learned for.
        """
        self._index: Any = index
        lists: Any = faiss.downcast_index(index.index)
        self._lists = lists
        turn: Any = faiss.downcast_VectorTransform(index.chain.at(0))
        self._turn = np.ascontiguousarray(faiss.vector_to_array(turn.A).reshape(turn.d_out, turn.d_in).T)
        self._moved = faiss.vector_to_array(turn.b)
        centroids = lists.quantizer.reconstruct_n(0, lists.nlist)
        self._centroids, self._lengths = -2 * centroids, (centroids**2).sum(axis=1)
        self.made_for = made_for
        self._margins = dict(margins)
        self._reaches: dict[int, tuple[float, int, int]] = {}
        self._read_rows = read_rows
        self._threads = threads
        self._keys = _Keys(_ids(self._lists))
        self._searched = False
        self._lock = threading.Lock()
        self._selections: OrderedDict[int, _Selection] = OrderedDict()
        self._selecting = threading.Lock()
        self._list_of = np.zeros(0, np.uint32)
        self._placed = 0
        self.expansion_search = expansion_search

    @classmethod
    def train(
        cls, sample: Vectors, items: int, read_rows: ReadRows, *, threads: int = 1, **settings: int
    ) -> IvfPqIndex:
        """Return an empty index for so many items, its lists and codes learned from a (n, dim) sample of them."""
        sample = _enough(sample)
        width = min(WIDTH, sample.shape[1]) // 2 * 2
        lists = min(lists_for(items), len(sample) // SAMPLE_A_LIST)
        turn = _turn(sample, width)
        # Not by faiss.index_factory: its regular expressions crash where usearch was imported before, which brings a
        # C++ library of its own.
        quantizer = faiss.IndexFlatL2(width)
        trained: Any = faiss.IndexIVFPQFastScan(quantizer, width, lists, width // 2, 4, faiss.METRIC_L2)
        clustering = trained.cp
        clustering.niter, clustering.min_points_per_centroid = _ROUNDS, 1
        clustering.max_points_per_centroid = 2 * SAMPLE_A_LIST
        turned = turn.apply(sample)
        with _threads(threads):
            trained.train(turned)
        margins = _margins(turned[-MARGIN_SAMPLE:], quantizer.reconstruct_n(0, lists))
        index = faiss.IndexPreTransform(turn, trained)
        made_for = max(items, LEAST_MADE_FOR)
        return cls(index, read_rows, margins=margins, made_for=made_for, threads=threads, **settings)

    @classmethod
    def load(
        cls, path: Path, dim: int, read_rows: ReadRows, *, threads: int = 1, **parameters: Any
    ) -> IvfPqIndex:
        """Return the index saved at `path`, whose checksum the caller has verified.

        Raises `IndexCorrupt` when the file is missing or is an index of another kind or dimension.
        """
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise IndexCorrupt(f"{path} is not a file of faiss lists.") from error
        if not isinstance(index, faiss.IndexPreTransform) or index.d != dim:
            raise IndexCorrupt(f"{path} holds vectors of {index.d} dimensions, not {dim}.")
        return cls(
            index,
            read_rows,
            margins={int(lists): margin for lists, margin in parameters["margins"].items()},
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
            "margins": {str(lists): margin for lists, margin in self._margins.items()},
            "made_for": self.made_for,
            "expansion_search": self.expansion_search,
        }

    def __len__(self) -> int:
        """Return the number of live keys."""
        return len(self._keys)

    def keys(self) -> Keys:
        """Return all live keys, ascending."""
        with self._lock:
            return self._keys.all()

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; a key that is already there raises ValueError."""
        check_rows(keys, vectors, self.dim)
        at_once = _ADD_AT_ONCE if self._searched else _BUILD_AT_ONCE
        for start in range(0, len(keys), at_once):
            part = slice(start, start + at_once)
            turned = vectors[part] @ self._turn + self._moved
            with self._lock, _threads(self._threads):
                self._keys.add(keys[part])
                self._lists.add_with_ids(turned, _as_ids(keys[part]))

    def remove(self, keys: Keys) -> None:
        """Forget the keys; unknown ones are ignored."""
        with self._lock:
            known = self._keys.remove(keys)
            if len(known):
                self._lists.remove_ids(_as_ids(known))

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is how many candidates are compared exactly, `expansion_search` where it is None, never less than
        k; the more of them, the more lists are scanned.
        """
        self._searched = True
        held = len(self._keys)
        if k <= 0 or held == 0:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        candidates = min(max(k, self.expansion_search if expansion is None else expansion), held)
        turned = self._turned(vector)
        numbers, distances = self._near(turned, candidates, held)
        found = self._scanned(turned, candidates, numbers, distances)
        return rerank_candidates(found, self._read_rows, vector, k)

    def candidates_for(self, n: int, *, cross_modal: bool) -> int:
        """Return how many candidates to ask for so that the `wanted` nearest are among them.

        `far` says that the vector lies far from all items, as words do: their codes then differ by little. Powers of
        two: mostly the same ones for every page of a query.
        """
        return FAR if cross_modal else min(1 << (EACH * n - 1).bit_length(), FAR)

    def subset_search_pays(self, items: int, expansion: int) -> bool:
        """Return whether searching among so many items is sooner done than comparing them all."""
        scanned = min(1.0, SCANNED_AMONG * expansion / max(items, 1)) * len(self)
        return CANDIDATE_AS_DEAR * expansion + scanned / CODES_AS_DEAR < items

    def search_subset(self, vector: Vectors, k: int, among: Keys, *, expansion: int) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first, all of them among the keys.

        `among` is ascending; the same array again is known by its identity, so it must not be changed. The nearest
        lists are scanned until they hold `SCANNED_AMONG` of the keys for each of the `expansion` candidates.
        """
        self._searched = True
        if k <= 0 or len(among) == 0:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        candidates = min(max(k, expansion), len(among))
        turned = self._turned(vector)
        selection = self._selection(among)
        distances = self._distances(turned)
        numbers = np.argsort(distances)
        enough = np.searchsorted(np.cumsum(selection.in_list[numbers]), SCANNED_AMONG * candidates) + 1
        numbers = numbers[:enough]
        near = distances[numbers] + np.float32(turned @ turned)
        found = self._scanned(turned, candidates, numbers, near, sel=selection.selector)
        return rerank_candidates(found, self._read_rows, vector, k)

    def _turned(self, vector: Vectors) -> Vectors:
        """Return a vector as the lists compare it."""
        return np.ascontiguousarray(vector @ self._turn + self._moved, np.float32)

    def _scanned(
        self,
        turned: Vectors,
        candidates: int,
        numbers: NDArray[np.int64],
        distances: Vectors,
        **parameters: Any,
    ) -> Keys:
        """Return the keys, so many at most, whose codes come nearest to a turned vector in some of the lists.

        `distances` say how far (squared) the lists are, `parameters` what else faiss is to heed.
        """
        scores = np.empty(candidates, np.float32)
        found = np.empty(candidates, np.int64)
        with self._lock:
            # faiss' own wrapper takes no parameters here.
            self._lists.search_preassigned_c(
                1,
                faiss.swig_ptr(turned),
                candidates,
                faiss.swig_ptr(numbers),
                faiss.swig_ptr(distances),
                faiss.swig_ptr(scores),
                faiss.swig_ptr(found),
                False,
                _Parameters(nprobe=len(numbers), **parameters),
            )
        keys: Keys = found[found != -1].view(np.uint64)
        return keys

    def _selection(self, among: Keys) -> _Selection:
        """Return what a search among these keys needs; kept for the latest ones."""
        with self._selecting:
            kept = self._selections.get(id(among))
            if kept is None or kept.keys() is not among:
                kept = self._selections[id(among)] = _Selection.of(among, self._places(), self._lists.nlist)
                if len(self._selections) > SELECTIONS:
                    self._selections.popitem(last=False)
            self._selections.move_to_end(id(among))
            return kept

    def _places(self) -> NDArray[np.uint32]:
        """Return in which list each key lay when last looked up, by key; `nlist` for one that lay in none."""
        held = len(self._keys)
        if abs(held - self._placed) * 20 > held:
            with self._lock:
                self._list_of, self._placed = _list_of_keys(self._lists), held
        return self._list_of

    def _distances(self, turned: Vectors) -> Vectors:
        """Return how far each list's centroid is, squared, but for the length of the turned vector itself."""
        distances = self._centroids @ turned
        distances += self._lengths
        return np.asarray(distances, np.float32)

    def _near(self, turned: Vectors, candidates: int, held: int) -> tuple[NDArray[np.int64], Vectors]:
        """Return the numbers of the lists to scan for so many candidates of all, and how far (squared) they are."""
        margin, least, most = self._reaches.get(candidates) or self._reach(candidates)
        full = min(2 * candidates * len(self._lengths) // held + 1, len(self._lengths))
        least, most = max(least, full), max(most, full)  # lists that hold so many, and as many again
        distances = self._distances(turned)
        near = np.flatnonzero(distances <= distances.min() + margin)
        if not least <= len(near) <= most:
            count = least if len(near) < least else most
            near = np.argpartition(distances, count - 1)[:count]
        return near, distances[near] + np.float32(turned @ turned)

    def _reach(self, candidates: int) -> tuple[float, int, int]:
        """Return the margin for so many candidates, and how many lists are scanned at least and at most."""
        usual = max(candidates * SCANNED * len(self._lengths) / self.made_for, 1.0)
        margin = np.interp(np.log(usual), np.log(list(self._margins)), list(self._margins.values()))
        least, most = (min(round(usual * times), len(self._lengths)) for times in (LEAST, MOST))
        self._reaches[candidates] = float(margin), max(least, 1), max(most, 1)
        return self._reaches[candidates]

    def save(self, path: Path) -> None:
        """Write the index to one file."""
        with self._lock:
            faiss.write_index(self._index, str(path))


@dataclass(frozen=True, slots=True)
class _Selection:
    """Keys among which is searched: faiss' selector of them, and how many each list held when it was made."""

    keys: weakref.ref[Keys]
    """Not kept: whoever searches among them keeps them as long as they are of use."""
    bits: NDArray[np.uint8]
    """Kept, for the selector points there."""
    selector: Any
    in_list: NDArray[np.int64]

    @staticmethod
    def of(keys: Keys, list_of: NDArray[np.uint32], lists: int) -> _Selection:
        """Return the selection of one or more ascending keys, of which `list_of` says where they lie."""
        chosen = np.zeros(int(keys[-1]) + 1, np.uint8)
        chosen[keys] = 1
        bits = np.packbits(chosen, bitorder="little")
        placed = keys[: np.searchsorted(keys, np.uint64(len(list_of)))]
        in_list = np.bincount(list_of[placed], minlength=lists + 1)[:lists]
        return _Selection(weakref.ref(keys), bits, _Selector(bits), in_list)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let faiss take so many threads in this one meanwhile."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class _Keys:
    """A set of uint64 keys in little more than their 8 bytes each: sorted, what came last beside it."""

    def __init__(self, keys: Keys) -> None:
        self._sorted = np.sort(keys)
        self._last: list[Keys] = []

    def __len__(self) -> int:
        return len(self._sorted) + sum(map(len, self._last))

    def all(self) -> Keys:
        """Return all keys, ascending."""
        if self._last:
            self._sorted = np.sort(np.concatenate([self._sorted, *self._last]), kind="stable")
            self._last = []
        return self._sorted

    def add(self, keys: Keys) -> None:
        """Add keys; raises ValueError, and adds none, where one is there already or twice among them."""
        new = np.unique(keys)
        held = [block for block in (*self._last, self._sorted) if len(block)]
        known = len(new) and any(new[0] <= block[-1] and are_in(block, new).any() for block in held)
        if known or len(new) < len(keys):
            raise ValueError("the index holds one of these keys already")
        if len(new):
            self._last.append(new)
        if len(self._last) > 64:
            self.all()

    def remove(self, keys: Keys) -> Keys:
        """Remove those of the keys that are there, and return them."""
        every = self.all()
        known = np.unique(keys[are_in(every, keys)])
        self._sorted = without(every, known)
        return known


def _turn(sample: Vectors, width: int) -> Any:
    """Return faiss' turn to the first principal components of a (n, dim) sample.

    They are paired so that the variances of all pairs, multiplied, are about alike, for each pair gets the same
    number of bits (Ge et al., "Optimized product quantization", CVPR 2013, section 3.3: eigenvalue allocation).
    """
    centre, directions = principal_components(sample, width)
    first = np.arange(width // 2)
    turn = directions[:, np.stack([first, width - 1 - first], axis=1).ravel()].T
    linear = faiss.LinearTransform(sample.shape[1], width, True)
    faiss.copy_array_to_vector(np.ascontiguousarray(turn).ravel(), linear.A)
    faiss.copy_array_to_vector(-(turn @ centre), linear.b)
    linear.is_trained = True
    return linear


def _margins(turned: Vectors, centroids: Vectors) -> dict[int, float]:
    """Return for some numbers of lists how much farther than the nearest centroid so many are on average."""
    distances = (centroids**2).sum(axis=1) - 2 * (turned @ centroids.T)
    gaps = np.sort((distances - distances.min(axis=1, keepdims=True)).ravel())
    return {
        count: round(float(gaps[count * len(turned) - 1]), 5)
        for count in MARGINS_AT
        if count <= len(centroids)
    }


def _as_ids(keys: Keys) -> NDArray[np.int64]:
    """Return keys as faiss takes them: the same 64 bits, signed."""
    return np.ascontiguousarray(keys, np.uint64).view(np.int64)


def _ids(lists: Any) -> Keys:
    """Return the keys that the lists hold, in their order there."""
    held = lists.invlists
    parts = [
        faiss.rev_swig_ptr(held.get_ids(number), held.list_size(number)).copy()
        for number in range(held.nlist)
        if held.list_size(number)
    ]
    return np.concatenate(parts).view(np.uint64) if parts else np.zeros(0, np.uint64)


def _list_of_keys(lists: Any) -> NDArray[np.uint32]:
    """Return the list in which each key lies, by key: (the highest key + 1,); the number of lists for any other."""
    sizes = [lists.invlists.list_size(number) for number in range(lists.nlist)]
    keys = _ids(lists)
    found = np.full(int(keys.max(initial=0)) + 1, lists.nlist, np.uint32)
    found[keys] = np.repeat(np.arange(lists.nlist, dtype=np.uint32), sizes)
    return found


def _enough(sample: Vectors) -> Vectors:
    """Return the sample, with random unit rows beside it where it is too small to learn 16 centroids a part from."""
    lacking = LEAST_SAMPLE - len(sample)
    if lacking <= 0:
        return sample
    noise = np.random.default_rng(0).standard_normal((lacking, sample.shape[1]), np.float32)
    return np.concatenate([sample, noise / np.linalg.norm(noise, axis=1, keepdims=True)])
