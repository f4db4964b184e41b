"""Near-duplicates: which photos of a catalog are one photo, and which show one product.

It owns the tables `duplicate_*`: the pairs found, how far the photos were looked through, and people's verdicts that
two are not duplicates. Pairs are found in two steps: neighbours by embedding propose, the pictures themselves,
laid over each other, decide. It knows neither queries nor pages.

Two kinds of groups come out: photos that are one photo (recompressed, resized, slightly cropped, with a border,
brighter), and the photos of one product, where the metadata has a column `product_id`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from imgsearch.alignment import SIDE_PX, compare_pictures
from imgsearch.catalog import Catalog
from imgsearch.database import insert_frame
from imgsearch.errors import ImgSearchError, QueryError
from imgsearch.generations import LiveIndex
from imgsearch.images import decode_image
from imgsearch.records import Item

__all__ = [
    "DuplicateGroup",
    "DuplicateState",
    "Duplicates",
    "Groups",
    "duplicates_of",
    "near_threshold",
]

Keys = NDArray[np.uint64]
Labels = NDArray[np.int64]

PRODUCT_COLUMN = "product_id"
NEIGHBOURS = 12
"""How many neighbours of a photo are looked at: a group may be larger, through its members' neighbours."""
PROBES = 2000
LEAST_COSINE, MOST_COSINE = 0.6, 0.995
SAME_VECTOR = 0.9995
"""Photos that cannot be read are one only with a cosine like this: the same embedding, to float16."""
MOST_RESIDUAL = 0.035
"""Pictures that differ nowhere by more than this are one photo (`compare_pictures`); measured by
`scripts/bench_merchandising.py`."""
COMMIT_EVERY = 512
KEPT_PICTURES = 4096
MAX_AUTHOR = 100


@dataclass(frozen=True, slots=True)
class DuplicateState:
    """How far the catalog was looked through: photos looked at, those still to be, and the cosine that proposes."""

    looked_at: int
    waiting: int
    threshold: float | None
    happened_at: datetime | None


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Photos that are one photo, by key, with the least cosine and the largest residual of the pairs that say so."""

    items: tuple[Item, ...]
    cosine: float
    residual: float | None


class Groups:
    """Which keys belong together, in memory; immutable, safe to use from any thread."""

    def __init__(self, keys: Keys, labels: Labels) -> None:
        """Take ascending `keys`, each with the label of its group; keys in no group are left out."""
        self._keys = keys
        self._labels = labels
        self._by_label = np.argsort(labels, kind="stable")
        self._sorted_labels = labels[self._by_label]

    def __len__(self) -> int:
        """Return how many keys are in a group."""
        return len(self._keys)

    def of(self, keys: Keys) -> Labels:
        """Return the group of each key, (n,) int64 in their order; -1 for a key in none."""
        if len(self._keys) == 0:
            return np.full(len(keys), -1, np.int64)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[place] == keys, self._labels[place], -1)

    def members(self, label: int) -> Keys:
        """Return the keys of a group, ascending; none for -1."""
        low, high = np.searchsorted(self._sorted_labels, [label, label + 1])
        return self._keys[self._by_label[low:high]] if label >= 0 else self._keys[:0]

    def collapse(self, keys: Keys, wanted: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (positions of the first `wanted` keys that stay, for each key the position it collapses into).

        The first key of each group stays, in the given order; a key that stays has its own position.
        """
        labels = self.of(keys)
        alone = np.arange(len(keys)) + (labels.max(initial=0) + 1)
        _, first, inverse = np.unique(
            np.where(labels < 0, alone, labels), return_index=True, return_inverse=True
        )
        return np.sort(first)[:wanted], first[inverse]


class Duplicates:
    """The near-duplicates of one open catalog; safe to use from any thread. Use `duplicates_of`."""

    def __init__(self, catalog: Catalog) -> None:
        """Use `duplicates_of`."""
        self._catalog = weakref.proxy(catalog)
        self._version = 0
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._kept: tuple[tuple[int, int], Groups] | None = None

    # --- reading ----------------------------------------------------------------------------------------------

    def groups(self) -> Groups:
        """Return the groups by which results are collapsed: one photo, or one product."""
        stamp = (self._catalog.version, self._version)
        kept = self._kept
        if kept is None or kept[0] != stamp:
            with self._lock:
                kept = self._kept
                if kept is None or kept[0] != stamp:
                    kept = stamp, self._grouped()
                    self._kept = kept
        return kept[1]

    def list_groups(self, *, limit: int = 50, offset: int = 0) -> tuple[int, list[DuplicateGroup]]:
        """Return (how many groups of near-duplicates there are, some of them, the largest first)."""
        pairs = self._pairs()
        keys, labels = _components(pairs["first_key"].to_numpy(), pairs["second_key"].to_numpy())
        if len(keys) == 0:
            return 0, []
        counts = np.bincount(labels)
        first = keys[np.unique(labels, return_index=True)[1]]
        order = np.lexsort((first, -counts))[offset : offset + limit]
        pair_label = labels[np.searchsorted(keys, pairs["first_key"].to_numpy())]
        found = []
        for label in order:
            own = pairs[pair_label == label]
            residual = own["residual"].max()
            found.append(
                DuplicateGroup(
                    tuple(self._catalog.by_keys(keys[labels == label])),
                    float(own["cosine"].min()),
                    None if np.isnan(residual) else float(residual),
                )
            )
        return len(counts), found

    def state(self) -> DuplicateState:
        """Return how far the catalog was looked through."""
        upto, threshold, happened_at = self._progress()
        cursor = self._catalog.database.cursor()
        row = cursor.execute("SELECT count(*) FROM items WHERE key >= ?", [upto]).fetchone()
        waiting = int(row[0]) if row else 0
        return DuplicateState(len(self._catalog) - waiting, waiting, threshold, happened_at)

    # --- acts of people ---------------------------------------------------------------------------------------

    def reject(self, item_ids: Sequence[str], *, author: str) -> None:
        """Note that none of these photos is a duplicate of another of them; it is remembered for ever.

        Raises `UnknownItem`, or `QueryError` for fewer than two items.
        """
        ids = sorted({self._catalog.get(item_id).item_id for item_id in item_ids})
        if len(ids) < 2:
            raise QueryError("Name at least two photos that are not duplicates of each other.")
        pairs = [(one, other) for place, one in enumerate(ids) for other in ids[place + 1 :]]
        frame = pd.DataFrame(
            {
                "happened_at": datetime.now(UTC).replace(tzinfo=None),
                "author": author[:MAX_AUTHOR],
                "first_item": [pair[0] for pair in pairs],
                "second_item": [pair[1] for pair in pairs],
                "verdict": "different",
            }
        )
        self._write("duplicate_verdicts", frame)

    # --- looking ----------------------------------------------------------------------------------------------

    def look(
        self,
        index: LiveIndex,
        read_photo: Callable[[Item], bytes],
        *,
        again: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Look for duplicates of every photo not looked at yet (with `again`, of all), and return the pairs found.

        `index` proposes neighbours in its own space. What is found is written every few hundred photos, so that a
        pass that is stopped goes on from there. Photos that cannot be read count as one only with the same embedding.
        """
        with self._looking:
            if again:
                with self._catalog.database.transaction() as cursor:
                    cursor.execute("DELETE FROM duplicate_pairs")
                    cursor.execute("DELETE FROM duplicate_passes")
            upto = self._progress()[0]
            keys = self._catalog.keys()
            new = keys[keys >= upto]
            if len(new) == 0:
                return 0
            threshold = near_threshold(index, keys)
            pictures = _Pictures(self._catalog, read_photo)
            found = 0
            for start in range(0, len(new), COMMIT_EVERY):
                block = new[start : start + COMMIT_EVERY]
                pairs: list[tuple[int, int, float, float]] = []
                began = time.monotonic()
                for place, (key, vector) in enumerate(zip(block, index.space.vectors(block), strict=True)):
                    pairs += _pairs_of(index, key, vector, threshold, pictures)
                    if progress is not None and (time.monotonic() - began > 0.2 or place == len(block) - 1):
                        began = time.monotonic()
                        progress(start + place + 1, len(new))
                found += len(pairs)
                self._keep(pairs, upto=int(block[-1]) + 1, threshold=threshold)
            return found

    def _keep(self, pairs: list[tuple[int, int, float, float]], *, upto: int, threshold: float) -> None:
        columns = ["first_key", "second_key", "cosine", "residual"]
        with self._catalog.database.transaction() as cursor:
            if pairs:
                frame = pd.DataFrame(pairs, columns=columns).astype(
                    {"first_key": "uint64", "second_key": "uint64"}
                )
                insert_frame(cursor, "duplicate_pairs", frame)
            cursor.execute(
                "INSERT INTO duplicate_passes VALUES (?, ?, ?)",
                [datetime.now(UTC).replace(tzinfo=None), upto, threshold],
            )
        self._version += 1

    # --- inside -----------------------------------------------------------------------------------------------

    def _progress(self) -> tuple[int, float | None, datetime | None]:
        row = (
            self._catalog.database.cursor()
            .execute(
                "SELECT upto, threshold, happened_at FROM duplicate_passes "
                "ORDER BY upto DESC, happened_at DESC LIMIT 1"
            )
            .fetchone()
        )
        return (int(row[0]), float(row[1]), row[2]) if row else (0, None, None)

    def _write(self, table: str, frame: pd.DataFrame) -> None:
        with self._catalog.database.transaction() as cursor:
            insert_frame(cursor, table, frame)
        self._version += 1

    def _pairs(self) -> pd.DataFrame:
        """Return the pairs of living photos that nobody said to be different."""
        pairs: pd.DataFrame = (
            self._catalog.database.cursor()
            .execute(
                "SELECT first_key, second_key, cosine, residual FROM duplicate_pairs AS p "
                "JOIN items AS a ON a.key = p.first_key JOIN items AS b ON b.key = p.second_key "
                "WHERE NOT EXISTS (SELECT 1 FROM duplicate_verdicts AS v WHERE v.first_item = "
                "least(a.item_id, b.item_id) AND v.second_item = greatest(a.item_id, b.item_id))"
            )
            .df()
        )
        return pairs

    def _grouped(self) -> Groups:
        pairs = self._pairs()
        first, second = pairs["first_key"].to_numpy(np.uint64), pairs["second_key"].to_numpy(np.uint64)
        keys, codes = self._catalog.value_codes(PRODUCT_COLUMN)
        if len(keys) > 1:
            # Each photo of a product is tied to the next one of it.
            order = np.argsort(codes, kind="stable")
            same = codes[order][1:] == codes[order][:-1]
            first = np.concatenate([first, keys[order][:-1][same]])
            second = np.concatenate([second, keys[order][1:][same]])
        return Groups(*_components(first, second))


class _Pictures:
    """Photos as small squares, the latest ones kept; None for one that cannot be read."""

    def __init__(self, catalog: Catalog, read_photo: Callable[[Item], bytes]) -> None:
        self._catalog = catalog
        self._read_photo = read_photo
        self._kept: OrderedDict[int, NDArray[np.uint8] | None] = OrderedDict()

    def get(self, key: int) -> NDArray[np.float32] | None:
        if key not in self._kept:
            self._kept[key] = self._read(key)
            while len(self._kept) > KEPT_PICTURES:
                self._kept.popitem(last=False)
        small = self._kept[key]
        return None if small is None else small.astype(np.float32) / np.float32(255)

    def _read(self, key: int) -> NDArray[np.uint8] | None:
        try:
            item = self._catalog.by_keys([key])[0]
            image = decode_image(self._read_photo(item), target_px=SIDE_PX)
        except (ImgSearchError, IndexError):  # gone, unreadable or damaged: the embedding alone must tell
            return None
        return np.asarray(image.resize((SIDE_PX, SIDE_PX), reducing_gap=2.0), np.uint8)


def _pairs_of(
    index: LiveIndex, key: np.uint64, vector: NDArray[np.float32], threshold: float, pictures: _Pictures
) -> list[tuple[int, int, float, float]]:
    """Return the pairs (earlier key, this key, cosine, residual or NaN) that this photo is a duplicate in."""
    near, cosines = index.search(vector, NEIGHBOURS + 1)
    pairs = []
    for other, cosine in zip(near.tolist(), cosines.tolist(), strict=True):
        # Each pair once: from the photo that came later.
        if other >= key or cosine < threshold:
            continue
        mine, theirs = pictures.get(int(key)), pictures.get(other)
        residual = np.nan
        if mine is None or theirs is None:
            same = cosine >= SAME_VECTOR
        else:
            residual = compare_pictures(theirs, mine, enough=MOST_RESIDUAL).residual
            same = residual <= MOST_RESIDUAL
        if same:
            pairs.append((other, int(key), min(cosine, 1.0), residual))
    return pairs


def near_threshold(index: LiveIndex, keys: Keys) -> float:
    """Return the cosine from which two photos of this catalog are worth laying over each other.

    It is the median of the similarities of photos to their nearest neighbours, on up to 2,000 of them, kept within
    bounds: a duplicate must lie nearer than what lies nearest to a typical photo here. The median stays where it is
    while fewer than half of the photos have duplicates (Rousseeuw & Croux, "Alternatives to the Median Absolute
    Deviation", JASA 1993, on its breakdown point).
    """
    rng = np.random.default_rng(0)
    probes = np.sort(rng.choice(keys, min(PROBES, len(keys)), replace=False))
    nearest = []
    for key, vector in zip(probes, index.space.vectors(probes), strict=True):
        near, cosines = index.search(vector, 2)
        others = cosines[near != key]
        if len(others):
            nearest.append(float(others[0]))
    return float(np.clip(np.median(nearest), LEAST_COSINE, MOST_COSINE)) if nearest else MOST_COSINE


def _components(first: Keys, second: Keys) -> tuple[Keys, Labels]:
    """Return (ascending keys that occur, the label of the connected component of each)."""
    keys, places = np.unique(
        np.concatenate([first, second]).astype(np.uint64, copy=False), return_inverse=True
    )
    if len(keys) == 0:
        return keys, np.zeros(0, np.int64)
    half = len(first)
    edges = coo_array((np.ones(half, bool), (places[:half], places[half:])), shape=(len(keys), len(keys)))
    return keys, connected_components(edges, directed=False)[1].astype(np.int64)


_of_catalogs: weakref.WeakKeyDictionary[Catalog, Duplicates] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def duplicates_of(catalog: Catalog) -> Duplicates:
    """Return the one `Duplicates` of an open catalog, so that all who search it see a change at once."""
    with _making:
        return _of_catalogs.setdefault(catalog, Duplicates(catalog))
