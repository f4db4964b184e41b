"""Set operations on sorted keys.

They are fast where the sorted keys are many and the others few: numpy's own set functions sort both together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


def positions_in(ascending: Keys, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (the position of each key in at least one ascending key, whether it is present), (n,) each."""
    positions = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return positions, np.asarray(ascending[positions] == keys, bool)


def is_in(ascending: Keys, keys: Keys) -> NDArray[np.bool_]:
    """Return which of the keys are among the ascending ones, (n,)."""
    return positions_in(ascending, keys)[1] if len(ascending) else np.zeros(len(keys), bool)


def without(ascending: Keys, few: Keys) -> Keys:
    """Return the ascending keys without the few."""
    few = few[is_in(ascending, few)]
    return np.delete(ascending, np.searchsorted(ascending, few)) if len(few) else ascending
