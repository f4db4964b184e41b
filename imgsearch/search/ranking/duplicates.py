"""Near-duplicates: which photos of a catalog are one photo, and which show one product.

It owns the tables `duplicate_*`: the pairs found, how far the photos were looked through, and people's verdicts that
two are not duplicates. Pairs are found in three steps, each dearer than the one before: neighbours by embedding
propose, the perceptual hashes of their looks leave few of them, and those photos, laid over each other, decide. It
knows neither queries nor pages.

Two kinds of groups come out: photos that are one photo (recompressed, resized, slightly cropped or turned, with a
border, brighter or darker, mirrored), and the photos of one product, where the metadata has a column `product_id`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import ImgSearchError, QueryError
from imgsearch.core.key_arrays import places_in
from imgsearch.core.records import Item
from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame
from imgsearch.vision.alignment import SIDE_PX, PictureMatch, compare_pictures
from imgsearch.vision.images import decode_image

__all__ = [
    "DuplicateGroup",
    "DuplicateState",
    "Duplicates",
    "Groups",
    "is_one_photo",
    "near_threshold",
]

Keys = NDArray[np.uint64]
Labels = NDArray[np.int64]

PRODUCT_COLUMN = "product_id"
NEIGHBOURS = 12
"""How many neighbours of a photo are looked at: a group may be larger, through its members' neighbours."""
PROBES = 500
LEAST_COSINE, MOST_COSINE = 0.6, 0.995
SAME_VECTOR = 0.9995
"""Photos that cannot be read are one only with a cosine like this: the same embedding, to float16."""
MOST_BITS = 20
"""Photos whose hashes differ in more of the 64 bits are two: of unrelated ones 32 do."""
MIRRORED_BITS = np.uint64(0xAAAAAAAAAAAAAAAA)
"""The bits of a perceptual hash that a mirrored photo has the other way round: the odd frequencies across."""
MOST_RESIDUAL = 0.015
"""Pictures that differ nowhere by more than this are one photo (`compare_pictures`); measured by
`scripts/bench_merchandising.py`."""
FADED_MORE, MOST_FADED = 4.0, 0.3
"""A brighter copy that has lost its whites may differ by so much more for each unit of `overexposure`, up to that."""
AT_ONCE, COMMIT_EVERY = 64, 512
PUBLISH_EVERY_S, PUBLISHING_SHARE = 10.0, 0.02
"""While a pass goes on, what it found changes the results of searches so often at most, and with so much of the time
spent on it: a million photos take a second to group."""
MANY_GROUPED = 100_000
"""With more photos in groups, no search waits until they are put together anew after a change of the catalog."""
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
        place, there = places_in(self._keys, keys)
        return np.where(there, self._labels[place], -1)

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
    """The near-duplicates of one open catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self._version = 0
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._kept: tuple[tuple[int, int], Groups] | None = None
        self._regrouping = BackgroundThread("group-duplicates", self._regroup)

    def close(self) -> None:
        """Stop the background thread; the former groups stay in use."""
        self._regrouping.stop()

    # --- reading ----------------------------------------------------------------------------------------------

    def groups(self) -> Groups:
        """Return the groups by which results are collapsed: one photo, or one product.

        While another thread puts them together anew, those that were before are returned: no search waits. Of large
        catalogs that is always so after a change of the catalog; what people decide holds at once.
        """
        kept, stamp = self._kept, self._stamp()
        if kept is not None and (kept[0] == stamp or self._lock.locked()):
            return kept[1]
        if kept is not None and kept[0][1] == stamp[1] and len(kept[1]) > MANY_GROUPED:
            self._regrouping.start()
            return kept[1]
        return self._regroup()

    def _regroup(self) -> Groups:
        with self._lock:
            stamp = self._stamp()
            if self._kept is None or self._kept[0] != stamp:
                self._kept = stamp, self._grouped()
            return self._kept[1]

    def _stamp(self) -> tuple[int, int]:
        return self._catalog.version, self._version

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
        most_s: float | None = None,
    ) -> int:
        """Look for duplicates of every photo not looked at yet (with `again`, of all), and return the pairs found.

        `index` proposes neighbours in its own space. What is found is written every few hundred photos, so that a
        pass that is stopped, or that takes longer than `most_s`, goes on from there the next time. `progress` is told
        after every comparison, (photos done, in all), and may raise to stop. Photos that cannot be read count as one
        only with the same embedding.
        """
        with self._looking:
            if again:
                with self._catalog.database.transaction() as cursor:
                    cursor.execute("DELETE FROM duplicate_pairs")
                    cursor.execute("DELETE FROM duplicate_passes")
            upto, threshold, _ = self._progress()
            keys = self._catalog.keys()
            new = keys[keys >= upto]
            if len(new) == 0:
                return 0
            if threshold is None or 2 * len(new) > len(keys):
                threshold = near_threshold(index, keys)
            comparison = _Comparison(self._catalog, index, read_photo, threshold)
            found, began, publish_at = 0, time.monotonic(), time.monotonic() + PUBLISH_EVERY_S
            for start in range(0, len(new), COMMIT_EVERY):
                block = new[start : start + COMMIT_EVERY]
                pairs: list[_Pair] = []
                for done in range(0, len(block), AT_ONCE):
                    for pair in comparison.pairs(block[done : done + AT_ONCE]):
                        pairs += [pair] if pair is not None else []
                        if progress is not None:
                            progress(start + done, len(new))
                    if progress is not None:
                        progress(start + min(done + AT_ONCE, len(block)), len(new))
                found += len(pairs)
                self._keep(pairs, upto=int(block[-1]) + 1, threshold=threshold)
                if found and time.monotonic() > publish_at:
                    took = self._publish()
                    publish_at = time.monotonic() + max(PUBLISH_EVERY_S, took / PUBLISHING_SHARE)
                if most_s is not None and time.monotonic() - began > most_s:
                    break
            if found or again:
                self._publish()
            return found

    def _keep(self, pairs: list[_Pair], *, upto: int, threshold: float) -> None:
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

    def _publish(self) -> float:
        """Have searches collapse what was found; put together here, so that no search has to. Return the seconds."""
        with self._lock:
            began, stamp = time.monotonic(), (self._catalog.version, self._version + 1)
            grouped = self._grouped()
            self._version += 1
            self._kept = stamp, grouped
            return time.monotonic() - began

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
        with self._lock:
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
        keys, codes = self._catalog.metadata.value_codes(PRODUCT_COLUMN)
        if len(keys) > 1:
            # Each photo of a product is tied to the next one of it.
            order = np.argsort(codes, kind="stable")
            same = codes[order][1:] == codes[order][:-1]
            first = np.concatenate([first, keys[order][:-1][same]])
            second = np.concatenate([second, keys[order][1:][same]])
        return Groups(*_components(first, second))


_Pair = tuple[int, int, float, float]
"""(earlier key, later key, cosine, residual or NaN where a photo could not be read)."""


class _Comparison:
    """Compares photos with those that came before them, in one pass."""

    def __init__(
        self, catalog: CatalogStore, index: LiveIndex, read_photo: Callable[[Item], bytes], threshold: float
    ) -> None:
        self._looks = catalog.looks
        self._index = index
        self._threshold = threshold
        self._pictures = _Pictures(catalog, read_photo)

    def pairs(self, keys: Keys) -> Iterator[_Pair | None]:
        """Yield the pairs of these photos with earlier ones that are one photo; None after each vain comparison."""
        first, second, cosines = self._neighbours(keys)
        bits, mirrored = self._bits_apart(first, second)
        likely = bits <= MOST_BITS
        first, second, cosines, mirrored = first[likely], second[likely], cosines[likely], mirrored[likely]
        self._pictures.prepare(np.union1d(first, second))
        for one, other, cosine, turned in zip(
            first.tolist(), second.tolist(), cosines.tolist(), mirrored.tolist(), strict=True
        ):
            residual = self._residual(one, other, cosine, mirrored=turned)
            yield None if residual is None else (one, other, min(cosine, 1.0), residual)

    def _neighbours(self, keys: Keys) -> tuple[Keys, Keys, NDArray[np.float32]]:
        """Return (earlier, later, cosine) of near photos, each pair once: from the photo that came later."""
        earlier, later, cosines = [], [], []
        for key, vector in zip(keys, self._index.space.vectors(keys), strict=True):
            near, likeness = self._index.search(vector, NEIGHBOURS + 1)
            told = (near < key) & (likeness >= self._threshold)
            earlier.append(near[told])
            later.append(np.full(int(told.sum()), key, np.uint64))
            cosines.append(likeness[told])
        return np.concatenate(earlier), np.concatenate(later), np.concatenate(cosines)

    def _bits_apart(self, first: Keys, second: Keys) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return in how many bits the hashes differ, as they are or mirrored, and which; 0 where one has none."""
        apart = self._looks.hashes(first) ^ self._looks.hashes(second)
        bits, mirrored = np.bitwise_count(apart), np.bitwise_count(apart ^ MIRRORED_BITS)
        known = self._looks.has(first) & self._looks.has(second)
        return np.where(known, np.minimum(bits, mirrored), 0).astype(np.uint8), known & (mirrored < bits)

    def _residual(self, first: int, second: int, cosine: float, *, mirrored: bool) -> float | None:
        """Return by how much two photos that are one differ, NaN where that cannot be seen; None for two photos."""
        one, other = self._pictures.get(first), self._pictures.get(second)
        if one is None or other is None:
            return np.nan if cosine >= SAME_VECTOR else None
        likeness = compare_pictures(one, other[:, ::-1] if mirrored else other)
        return likeness.residual if is_one_photo(likeness) else None


class _Pictures:
    """Photos as small squares, the latest ones kept; None for one that cannot be read."""

    def __init__(self, catalog: CatalogStore, read_photo: Callable[[Item], bytes]) -> None:
        self._catalog = catalog
        self._read_photo = read_photo
        self._items: dict[int, Item] = {}
        self._kept: OrderedDict[int, NDArray[np.uint8] | None] = OrderedDict()

    def prepare(self, keys: Keys) -> None:
        """Ask the catalog where these photos lie, of all that are not here at once."""
        missing = [key for key in keys.tolist() if key not in self._kept]
        self._items = {item.key: item for item in self._catalog.by_keys(missing)}

    def get(self, key: int) -> NDArray[np.float32] | None:
        if key not in self._kept:
            self._kept[key] = self._read(key)
            while len(self._kept) > KEPT_PICTURES:
                self._kept.popitem(last=False)
        small = self._kept[key]
        return None if small is None else small.astype(np.float32) / np.float32(255)

    def _read(self, key: int) -> NDArray[np.uint8] | None:
        try:
            image = decode_image(self._read_photo(self._items[key]), target_px=SIDE_PX)
        except (ImgSearchError, KeyError):  # gone, unreadable or damaged: the embedding alone must tell
            return None
        return np.asarray(image.resize((SIDE_PX, SIDE_PX), reducing_gap=2.0), np.uint8)


def is_one_photo(likeness: PictureMatch) -> bool:
    """Say whether two pictures that were laid over each other are one photo."""
    return likeness.residual <= MOST_RESIDUAL * (1 + FADED_MORE * min(likeness.overexposure, MOST_FADED))


def near_threshold(index: LiveIndex, keys: Keys) -> float:
    """Return the cosine from which two photos of this catalog are worth comparing.

    It is the median, over up to 500 photos, of the similarity to the third-nearest other one, kept within bounds: a
    duplicate must lie nearer than what lies around a typical photo here. A photo's one or two copies do not move it,
    and the median holds while fewer than half of the photos have more of them (Rousseeuw & Croux, "Alternatives to
    the Median Absolute Deviation", JASA 1993, on its breakdown point).
    """
    rng = np.random.default_rng(0)
    probes = np.sort(rng.choice(keys, min(PROBES, len(keys)), replace=False))
    third = []
    for key, vector in zip(probes, index.space.vectors(probes), strict=True):
        near, cosines = index.search(vector, 4)
        others = cosines[near != key][:3]
        if len(others):
            third.append(float(others[-1]))
    return float(np.clip(np.median(third), LEAST_COSINE, MOST_COSINE)) if third else MOST_COSINE


def _components(first: Keys, second: Keys) -> tuple[Keys, Labels]:
    """Return (ascending keys that occur, the label of the connected component of each)."""
    keys, places = np.unique(
        np.concatenate([first, second]).astype(np.uint64, copy=False), return_inverse=True
    )
    if len(keys) == 0:
        return keys, np.zeros(0, np.int64)
    half = len(first)
    edges = scipy.sparse.coo_array(
        (np.ones(half, bool), (places[:half], places[half:])), shape=(len(keys), len(keys))
    )
    return keys, scipy.sparse.csgraph.connected_components(edges, directed=False)[1].astype(np.int64)
