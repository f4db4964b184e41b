"""The vectors that are searched: the encoder's own embeddings, or those that a learned head makes of them.

It owns `VectorSpace` and the projected embeddings, `<catalog>/heads/head-NNNN/vectors.f16`: append-only float16 rows,
row number = key, made from the stored embeddings without decoding a photo. They are a cache: what is missing (photos
indexed since, a file that is gone) is projected when it is first asked for. It knows neither indexes nor encoders.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgsearch.index.heads import Head, live_head, read_projection
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.vector_file import EmbeddingFile

__all__ = ["VectorSpace", "live_space"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]

BLOCK = 8192
TOLERANCE = 2e-3
"""By how much a number of a sound projected row may differ from its embedding's projection: float16, and rounding."""

_filling = threading.Lock()


class VectorSpace:
    """One space over a catalog's items; safe to use from any thread.

    Without a head, it is the encoder's own. `folder` is where its index generations lie: every space has its own,
    so that putting another one in force touches no file of the one before.
    """

    def __init__(self, catalog: CatalogStore, head: Head | None = None) -> None:
        """Take the catalog's embeddings, through `head` where one is given.

        Raises `CatalogCorrupt` when the head's weights are missing or damaged.
        """
        self.head = head
        self._catalog = catalog
        self.folder = catalog.folder / "index"
        if head is not None:
            self.folder = catalog.folder / "heads" / head.id / "index"
            self._projection = read_projection(catalog, head)
            self._file = EmbeddingFile(self._cache_path(head), head.dim)

    @property
    def id(self) -> str:
        """What is stamped on the index and on results: the encoder's id, with a head `encoder id+head-0003`."""
        return f"{self._catalog.encoder_id}+{self.head.id}" if self.head else self._catalog.encoder_id

    @property
    def dim(self) -> int:
        """The length of a vector, or 0 before the first indexing."""
        return self._catalog.dim

    def vectors(self, keys: Keys) -> Rows:
        """Return the vectors of the keys, (n, dim) float32 unit rows, in the order asked for.

        A row that is damaged on disk is zeros. Raises `CatalogCorrupt` where the embeddings are gone.
        """
        if self.head is None or len(keys) == 0:
            return self._catalog.vectors(keys)
        self._fill(int(keys.max()) + 1)
        return self._file.read(keys)

    def stored_vectors(self, keys: Keys) -> NDArray[np.float16]:
        """Return the vectors of the keys as they are stored, (n, dim) float16, in the order asked for."""
        if self.head is None or len(keys) == 0:
            return self._catalog.stored_vectors(keys)
        self._fill(int(keys.max()) + 1)
        return self._file.stored(keys)

    def project(self, rows: Rows) -> Rows:
        """Return (n, dim) unit rows of the encoder, such as a query's, as unit rows of this space."""
        return rows if self.head is None else self._projection(rows)

    def damaged(self) -> int:
        """Return how many projected rows of live items on disk are not the projections of their embeddings."""
        if self.head is None:
            return 0
        keys = self._catalog.keys()
        keys = keys[keys < self._file.rows_on_disk]
        wrong = 0
        for start in range(0, len(keys), BLOCK):
            part = keys[start : start + BLOCK]
            expected = self._projection(self._catalog.vectors(part))
            # Negated so that NaN counts as wrong.
            wrong += int(np.sum(~(np.abs(self._file.read(part) - expected) < TOLERANCE).all(axis=1)))
        return wrong

    def clear_projected(self) -> None:
        """Drop the projected embeddings; they are made again when they are next asked for."""
        if self.head is not None:
            with _filling:
                self._cache_path(self.head).unlink(missing_ok=True)
                self._file = EmbeddingFile(self._cache_path(self.head), self.head.dim)

    def _fill(self, rows: int) -> None:
        """Project what the file lacks up to `rows` rows; also rows of items that are gone, for it has no holes."""
        if self._file.rows_on_disk >= rows:
            return
        with _filling:
            for start in range(self._file.rows_on_disk, rows, BLOCK):
                keys = np.arange(start, min(start + BLOCK, rows), dtype=np.uint64)
                self._append(start, self._projection(self._catalog.vectors(keys)))

    def _append(self, first_row: int, projected: Rows) -> None:
        """Write rows; those without direction, of embeddings damaged on disk, are left zero."""
        sound = np.linalg.norm(projected, axis=1) > 0.5
        edges = np.flatnonzero(np.diff(sound)) + 1
        row = first_row
        for run in np.split(np.arange(len(projected)), edges):
            if sound[run[0]]:
                self._file.append(row, projected[run])
            else:
                self._file.pad(row + len(run))
            row += len(run)

    def _cache_path(self, head: Head) -> Path:
        return self._catalog.folder / "heads" / head.id / "vectors.f16"


def live_space(catalog: CatalogStore) -> VectorSpace:
    """Return the space in force: that of the published head, or the encoder's own."""
    return VectorSpace(catalog, live_head(catalog))
