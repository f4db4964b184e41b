"""Which items the latest changes of a catalog touched, so that caches need not be computed again as a whole."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from imgsearch.core.key_arrays import Keys, without

MAX_REMEMBERED_KEYS = 200_000
_NONE = np.zeros(0, np.uint64)


@dataclass(slots=True)
class TouchedItems:
    """The items that a transaction changes: the ascending keys that it adds, removes and updates, and all ids."""

    added: Keys = field(default_factory=_NONE.copy)
    removed: Keys = field(default_factory=_NONE.copy)
    updated: Keys = field(default_factory=_NONE.copy)
    item_ids: list[str] = field(default_factory=list)

    @property
    def keys(self) -> Keys:
        """All keys, ascending."""
        return np.unique(np.concatenate([self.added, self.removed, self.updated]))

    def apply(self, keys: Keys) -> Keys:
        """Return the ascending keys of a catalog after the change."""
        kept = without(keys, self.removed)
        if not len(self.added):
            return kept
        if not len(kept) or self.added[0] > kept[-1]:
            return np.concatenate([kept, self.added])
        return np.union1d(kept, self.added)


class RecentChanges:
    """The touched keys by version of the catalog, as far back as they are remembered; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: deque[tuple[int, Keys]] = deque()
        self._total = 0
        self._since = 0

    def note(self, version: int, keys: Keys | None) -> None:
        """Remember what led to a version; None: anything may have changed."""
        with self._lock:
            if keys is None:
                self._known.clear()
                self._total, self._since = 0, version
                return
            self._known.append((version, keys))
            self._total += len(keys) + 1
            while self._total > MAX_REMEMBERED_KEYS:
                self._since, dropped = self._known.popleft()
                self._total -= len(dropped) + 1

    def since(self, version: int) -> Keys | None:
        """Return the ascending keys that were touched after a version; None where that is not remembered."""
        with self._lock:
            if version < self._since:
                return None
            found = []
            for number, keys in reversed(self._known):
                if number <= version:
                    break
                found.append(keys)
        return np.unique(np.concatenate(found)) if found else _NONE
