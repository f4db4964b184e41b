"""Near-duplicates of one catalog: found once per photo, and grouped to collapse results.

Two kinds of groups exist: copies of one photo (`imgsearch.search.ranking.duplicate_pairs`), and the photos of one
product, where the metadata has a column `product_id`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from imgsearch.core.background import BackgroundThread, Progress
from imgsearch.core.errors import QueryError
from imgsearch.core.key_arrays import Keys, positions_in
from imgsearch.core.records import Item
from imgsearch.core.refreshing import BACKGROUND_RATIO, Allowance
from imgsearch.index.live_index import LiveIndex
from imgsearch.search.ranking.duplicate_pairs import Pair, PairFinder, near_threshold
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import insert_frame, utc_now

Labels = NDArray[np.int64]

PRODUCT_COLUMN = "product_id"
BATCH, COMMIT_EVERY = 64, 512
PUBLISH_EVERY_S, MAX_PUBLISH_SHARE = 10.0, 0.02
"""How often new pairs change the results of searches while more are found, and the largest share of the time that
this may take: to group a million photos takes a second."""
BACKGROUND_GROUPS = 100_000
"""With more photos in groups, a search uses the former groups while those of a changed catalog are computed."""
MAX_AUTHOR = 100


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Copies of one photo, by key, with the least cosine and the largest residual of their pairs."""

    items: tuple[Item, ...]
    cosine: float
    residual: float | None


class Duplicates:
    """The near-duplicates of one open catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        self._store = DuplicateStore(catalog)
        self._version = 0
        self._grouping = threading.Lock()
        self._finding = threading.Lock()
        self._kept: tuple[tuple[int, int], Groups] | None = None
        self._grouped_at = self._took_s = 0.0
        self._allowance = Allowance()
        self._background = BackgroundThread("group-duplicates", self._regroup)

    def close(self) -> None:
        """Stop the background thread; the former groups stay in use."""
        self._background.stop()

    def groups(self) -> Groups:
        """Return the groups by which results are collapsed: copies of one photo, or photos of one product.

        No search waits while another thread computes them: the former groups are returned then. Large catalogs, and
        those that change all the time, are grouped by another thread after a change of the catalog; verdicts of
        people apply at once.
        """
        kept, stamp = self._kept, self._stamp()
        if kept is not None and (kept[0] == stamp or self._grouping.locked()):
            return kept[1]
        if kept is not None and kept[0][1] == stamp[1]:
            if len(kept[1]) > BACKGROUND_GROUPS or not self._allowance.permits():
                age_s = time.monotonic() - self._grouped_at
                self._background.start(after_s=max(0.0, BACKGROUND_RATIO * self._took_s - age_s))
                return kept[1]
            groups = self._regroup()
            self._allowance.spend(self._took_s)
            return groups
        return self._regroup()

    def list_groups(self, *, limit: int = 50, offset: int = 0) -> tuple[int, list[DuplicateGroup]]:
        """Return (how many groups of copies there are, some of them, the largest first)."""
        pairs = self._store.pairs()
        keys, labels = connected_components(pairs["first_key"].to_numpy(), pairs["second_key"].to_numpy())
        if len(keys) == 0:
            return 0, []
        counts = np.bincount(labels)
        first = keys[np.unique(labels, return_index=True)[1]]
        pair_label = labels[np.searchsorted(keys, pairs["first_key"].to_numpy())]
        found = []
        for label in np.lexsort((first, -counts))[offset : offset + limit]:
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
        """Return how far the photos of the catalog were compared."""
        return self._store.state()

    def reject(self, item_ids: Sequence[str], *, author: str) -> None:
        """Store that no two of these photos are duplicates; later passes do not change that.

        Raises `UnknownItem`, or `QueryError` for fewer than two items.
        """
        ids = {self._catalog.get(item_id).item_id for item_id in item_ids}
        if len(ids) < 2:
            raise QueryError("Name at least two photos that are not duplicates of each other.")
        self._store.reject(sorted(ids), author=author)
        with self._grouping:
            self._version += 1

    def find_new(
        self,
        index: LiveIndex,
        read_photo: Callable[[Item], bytes],
        *,
        again: bool = False,
        progress: Progress | None = None,
        max_s: float | None = None,
    ) -> int:
        """Compare every photo that was not compared yet (with `again`, all), and return how many pairs were found.

        `index` proposes neighbours in its own space. Pairs are stored every few hundred photos: a pass that is
        stopped, or ended after `max_s` seconds, is continued by the next one. `progress` gets (photos done, total)
        after every comparison, and may raise to stop. Photos that cannot be read are copies only where they have
        the same embedding.
        """
        with self._finding:
            if again:
                self._store.forget_pairs()
            done = self._store.state()
            keys = self._catalog.keys()
            new = keys[keys >= done.next_key]
            if len(new) == 0:
                return 0
            threshold = done.threshold
            if threshold is None or 2 * len(new) > len(keys):
                threshold = near_threshold(index, keys)
            finder = PairFinder(self._catalog, index, read_photo, threshold)
            found, started, publish_at = 0, time.monotonic(), time.monotonic() + PUBLISH_EVERY_S
            for start in range(0, len(new), COMMIT_EVERY):
                block = new[start : start + COMMIT_EVERY]
                pairs = _pairs_of(finder, block, partial(_report, progress, start, len(new)))
                found += len(pairs)
                self._store.add(pairs, upto=int(block[-1]) + 1, threshold=threshold)
                if found and time.monotonic() > publish_at:
                    took_s = self._publish()
                    publish_at = time.monotonic() + max(PUBLISH_EVERY_S, took_s / MAX_PUBLISH_SHARE)
                if max_s is not None and time.monotonic() - started > max_s:
                    break
            if found or again:
                self._publish()
            return found

    def _stamp(self) -> tuple[int, int]:
        return self._catalog.version, self._version

    def _regroup(self) -> Groups:
        with self._grouping:
            stamp = self._stamp()
            if self._kept is None or self._kept[0] != stamp:
                started = time.monotonic()
                self._kept = stamp, self._computed()
                self._grouped_at = time.monotonic()
                self._took_s = self._grouped_at - started
            return self._kept[1]

    def _publish(self) -> float:
        """Group the pairs found so far, for searches from now on; return how many seconds that took."""
        with self._grouping:
            started, stamp = time.monotonic(), (self._catalog.version, self._version + 1)
            groups = self._computed()
            self._version += 1
            self._kept = stamp, groups
            return time.monotonic() - started

    def _computed(self) -> Groups:
        pairs = self._store.pairs()
        first, second = pairs["first_key"].to_numpy(np.uint64), pairs["second_key"].to_numpy(np.uint64)
        keys, codes = self._catalog.metadata.value_codes(PRODUCT_COLUMN)
        if len(keys) > 1:
            # Each photo of a product is paired with the next one of it.
            order = np.argsort(codes, kind="stable")
            same = codes[order][1:] == codes[order][:-1]
            first = np.concatenate([first, keys[order][:-1][same]])
            second = np.concatenate([second, keys[order][1:][same]])
        return Groups(*connected_components(first, second))


def _pairs_of(finder: PairFinder, keys: Keys, report: Callable[[int], None]) -> list[Pair]:
    """Return the pairs of photos with earlier ones; `report` gets how many photos are done."""
    pairs: list[Pair] = []
    for done in range(0, len(keys), BATCH):
        for pair in finder.pairs(keys[done : done + BATCH]):
            pairs += [pair] if pair is not None else []
            report(done)
        report(min(done + BATCH, len(keys)))
    return pairs


def _report(progress: Progress | None, start: int, total: int, done: int) -> None:
    if progress is not None:
        progress(start + done, total)


@dataclass(frozen=True, slots=True)
class DuplicateState:
    """How many photos were compared and how many were not yet; `threshold` is the cosine that proposes pairs.

    All photos with a key below `next_key` were compared.
    """

    compared: int
    waiting: int
    threshold: float | None
    happened_at: datetime | None
    next_key: int


class DuplicateStore:
    """Reads and appends rows of one open catalog; safe to use from any thread."""

    def __init__(self, catalog: CatalogStore) -> None:
        self._database = catalog.database

    def state(self) -> DuplicateState:
        """Return how far the photos of the catalog were compared."""
        cursor = self._database.cursor()
        row = cursor.execute(
            "SELECT upto, threshold, happened_at FROM duplicate_passes ORDER BY upto DESC, happened_at DESC LIMIT 1"
        ).fetchone()
        next_key, threshold, happened_at = row or (0, None, None)
        counts = cursor.execute(
            "SELECT count(*) FILTER (key < $1), count(*) FILTER (key >= $1) FROM items", [next_key]
        ).fetchone()
        assert counts is not None
        return DuplicateState(counts[0], counts[1], threshold, happened_at, next_key)

    def pairs(self) -> pd.DataFrame:
        """Return the pairs of existing photos that were not rejected: first_key, second_key, cosine, residual."""
        pairs: pd.DataFrame = (
            self._database.cursor()
            .execute(
                "SELECT first_key, second_key, cosine, residual FROM duplicate_pairs AS p "
                "JOIN items AS a ON a.key = p.first_key JOIN items AS b ON b.key = p.second_key "
                "WHERE NOT EXISTS (SELECT 1 FROM duplicate_verdicts AS v WHERE v.first_item = "
                "least(a.item_id, b.item_id) AND v.second_item = greatest(a.item_id, b.item_id))"
            )
            .df()
        )
        return pairs

    def add(self, pairs: Sequence[Pair], *, upto: int, threshold: float) -> None:
        """Store pairs, and that all photos below the key `upto` were compared."""
        with self._database.transaction() as cursor:
            if pairs:
                frame = pd.DataFrame(pairs, columns=["first_key", "second_key", "cosine", "residual"])
                frame = frame.astype({"first_key": "uint64", "second_key": "uint64"})
                insert_frame(cursor, "duplicate_pairs", frame)
            cursor.execute("INSERT INTO duplicate_passes VALUES (?, ?, ?)", [utc_now(), upto, threshold])

    def forget_pairs(self) -> None:
        """Delete all pairs and progress; verdicts stay."""
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM duplicate_pairs")
            cursor.execute("DELETE FROM duplicate_passes")

    def reject(self, item_ids: Sequence[str], *, author: str) -> None:
        """Store that no two of these distinct items are copies of each other."""
        now, pairs = utc_now(), combinations(sorted(item_ids), 2)
        frame = pd.DataFrame([(now, author[:MAX_AUTHOR], *pair, "different") for pair in pairs])
        with self._database.transaction() as cursor:
            insert_frame(cursor, "duplicate_verdicts", frame)


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Which keys belong together: ascending `keys`, each with the label of its group; a key in none is left out."""

    keys: Keys
    labels: Labels

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, keys: Keys) -> Labels:
        """Return the group of each key, (n,) int64 in their order; -1 for a key in none."""
        if len(self.keys) == 0:
            return np.full(len(keys), -1, np.int64)
        place, there = positions_in(self.keys, keys)
        return np.where(there, self.labels[place], -1)

    def with_members(self, keys: Keys) -> Keys:
        """Return the keys and all members of their groups, ascending."""
        labels = self.of(keys)
        return np.union1d(keys, self.keys[np.isin(self.labels, labels[labels >= 0])])

    def collapse(self, keys: Keys) -> tuple[Labels, Labels]:
        """Return (positions of the keys that stay, ascending, for each key the position it collapses into).

        The first key of each group stays, in the given order; a key that stays has its own position.
        """
        labels = self.of(keys)
        alone = np.arange(len(keys)) + (labels.max(initial=0) + 1)
        _, first, inverse = np.unique(
            np.where(labels < 0, alone, labels), return_index=True, return_inverse=True
        )
        return np.sort(first), first[inverse]


def connected_components(first: Keys, second: Keys) -> tuple[Keys, Labels]:
    """Return (ascending keys of the pairs, the label of the connected component of each)."""
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
