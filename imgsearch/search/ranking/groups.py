"""Groups of items that belong together, such as copies of one photo: membership, and collapsing a ranking by it."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from imgsearch.core.key_arrays import positions_in

__all__ = ["Groups", "connected_components"]

Keys = NDArray[np.uint64]
Labels = NDArray[np.int64]


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
        place, there = positions_in(self._keys, keys)
        return np.where(there, self._labels[place], -1)

    def members(self, label: int) -> Keys:
        """Return the keys of a group, ascending; none for -1."""
        low, high = np.searchsorted(self._sorted_labels, [label, label + 1])
        return self._keys[self._by_label[low:high]] if label >= 0 else self._keys[:0]

    def collapse(self, keys: Keys, n: int | None = None) -> tuple[Labels, Labels]:
        """Return (positions of the first n keys that stay, for each key the position it collapses into).

        The first key of each group stays, in the given order; a key that stays has its own position.
        """
        labels = self.of(keys)
        alone = np.arange(len(keys)) + (labels.max(initial=0) + 1)
        _, first, inverse = np.unique(
            np.where(labels < 0, alone, labels), return_index=True, return_inverse=True
        )
        return np.sort(first)[:n], first[inverse]


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
