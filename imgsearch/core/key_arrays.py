"""Keys in ascending order as sets: where keys stand among them, which are there, and what is left without some.

It owns these three for all who keep keys sorted; it does not know what the keys are of. They are fast where the
ascending keys are many and the others few: numpy's own set functions sort both together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["are_in", "places_in", "without"]

Keys = NDArray[np.uint64]


def places_in(ascending: Keys, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (the place of each key among one or more ascending ones, whether it is there), (n,) each."""
    places = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return places, np.asarray(ascending[places] == keys, bool)


def are_in(ascending: Keys, keys: Keys) -> NDArray[np.bool_]:
    """Return which of the keys are among the ascending ones, (n,)."""
    return places_in(ascending, keys)[1] if len(ascending) else np.zeros(len(keys), bool)


def without(ascending: Keys, few: Keys) -> Keys:
    """Return the ascending keys without the few."""
    few = few[are_in(ascending, few)]
    return np.delete(ascending, np.searchsorted(ascending, few)) if len(few) else ascending
