"""The `VectorIndex` protocol: approximate nearest neighbours by cosine over uint64 keys.

It owns the interface; each engine is one file beside it. It knows nothing of items, photos or catalogs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Keys", "ScansCodes", "VectorIndex", "Vectors"]

Keys = NDArray[np.uint64]
Vectors = NDArray[np.float32]


class VectorIndex(Protocol):
    """An index that may be searched, grown and shrunk by several threads at once."""

    @property
    def dim(self) -> int:
        """The length of a vector."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What to put into the header so that a person can rebuild the same index."""

    def __len__(self) -> int:
        """Return the number of live keys."""

    def keys(self) -> Keys:
        """Return all live keys, ascending."""

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; a key that is already there raises ValueError."""

    def remove(self, keys: Keys) -> None:
        """Forget the keys; unknown ones are ignored."""

    def search(self, vector: Vectors, k: int, *, expansion: int | None = None) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first.

        `expansion` is the effort of this one search in the engine's own unit; None takes the tuned one.
        """

    def save(self, path: Path) -> None:
        """Write the index to one file."""


@runtime_checkable
class ScansCodes(Protocol):
    """An index that scans short codes: quick among any of its keys, if enough candidates are compared exactly."""

    def candidates_for(self, wanted: int, *, far: bool) -> int:
        """Return how many candidates to ask for so that the `wanted` nearest are among them.

        `far` says that the vector lies far from all items, as words do: their codes then differ by little.
        """

    def pays_among(self, items: int, expansion: int) -> bool:
        """Return whether searching among so many items is sooner done than comparing them all."""

    def search_among(self, vector: Vectors, k: int, among: Keys, *, expansion: int) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first, all of them among the keys.

        `expansion` is how many candidates are compared exactly. `among` is ascending; the same array again is known
        by its identity, so it must not be changed.
        """
