"""Vector spaces: the encoder's own embeddings, or their projections by a learned head.

Projections are cached in `<catalog>/heads/head-NNNN/vectors.f16`: append-only float16 rows, row number = key. Missing
rows are projected from the stored embeddings when they are first read.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.index.heads import Head, live_head, read_projection
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.vector_file import EmbeddingFile

Rows = NDArray[np.float32]

BLOCK_ROWS = 8192
TOLERANCE = 2e-3
"""How much a number of a stored projection may differ from a computed one: float16, and another order of sums."""

_filling = threading.Lock()


class VectorSpace:
    """One space over a catalog's items; safe to use from any thread.

    `folder` has its index generations. Each space has its own, so publishing another head changes no file.
    """

    def __init__(self, catalog: CatalogStore, head: Head | None = None) -> None:
        """Use the embeddings as projected by `head`, or as they are.

        Raises `CatalogCorrupt` where the head's weights are missing or damaged.
        """
        self.head = head
        self._catalog = catalog
        self.folder = catalog.folder / "index"
        if head is not None:
            self.folder = catalog.folder / "heads" / head.id / "index"
            self._projection = read_projection(catalog, head)
            self._file = EmbeddingFile(self.folder.parent / "vectors.f16", head.dim)

    @property
    def id(self) -> str:
        """The id on the index and on results: the encoder's id, with a head such as `encoder id+head-0003`."""
        return f"{self._catalog.encoder_id}+{self.head.id}" if self.head else self._catalog.encoder_id

    @property
    def dim(self) -> int:
        """The length of a vector, or 0 before the first indexing."""
        return self._catalog.dim

    def vectors(self, keys: Keys) -> Rows:
        """Return the (n, dim) float32 unit rows of the keys, in their order; rows damaged on disk are zeros.

        Raises `CatalogCorrupt` where the embeddings are missing.
        """
        if self.head is None or len(keys) == 0:
            return self._catalog.vectors(keys)
        self._fill(int(keys.max()) + 1)
        return self._file.read(keys)

    def stored_vectors(self, keys: Keys) -> NDArray[np.float16]:
        """Return the vectors of the keys as they are stored, (n, dim) float16, in their order."""
        if self.head is None or len(keys) == 0:
            return self._catalog.stored_vectors(keys)
        self._fill(int(keys.max()) + 1)
        return self._file.stored(keys)

    def project(self, rows: Rows) -> Rows:
        """Return (n, dim) unit rows of the encoder as unit rows of this space."""
        return rows if self.head is None else self._projection(rows)

    def count_damaged(self) -> int:
        """Return how many stored projections of live items differ from those of their embeddings."""
        if self.head is None:
            return 0
        keys = self._catalog.keys()
        keys = keys[keys < self._file.rows_on_disk]
        wrong = 0
        for start in range(0, len(keys), BLOCK_ROWS):
            part = keys[start : start + BLOCK_ROWS]
            expected = self._projection(self._catalog.vectors(part))
            # Negated so that NaN counts as wrong.
            wrong += int(np.sum(~(np.abs(self._file.read(part) - expected) < TOLERANCE).all(axis=1)))
        return wrong

    def clear_projected(self) -> None:
        """Delete the cached projections."""
        if self.head is not None:
            with _filling:
                path = self.folder.parent / "vectors.f16"
                path.unlink(missing_ok=True)
                self._file = EmbeddingFile(path, self.head.dim)

    def _fill(self, rows: int) -> None:
        """Project the missing rows up to `rows`, also those of removed items: the file has no gaps."""
        if self._file.rows_on_disk >= rows:
            return
        with _filling:
            for start in range(self._file.rows_on_disk, rows, BLOCK_ROWS):
                keys = np.arange(start, min(start + BLOCK_ROWS, rows), dtype=np.uint64)
                self._append(start, self._projection(self._catalog.vectors(keys)))

    def _append(self, first_row: int, projected: Rows) -> None:
        """Append rows; those of embeddings damaged on disk stay zero."""
        sound = np.linalg.norm(projected, axis=1) > 0.5
        edges = np.flatnonzero(np.diff(sound)) + 1
        row = first_row
        for run in np.split(np.arange(len(projected)), edges):
            if sound[run[0]]:
                self._file.append(row, projected[run])
            else:
                self._file.pad(row + len(run))
            row += len(run)


def live_space(catalog: CatalogStore) -> VectorSpace:
    """Return the space of the published head, or the encoder's own."""
    return VectorSpace(catalog, live_head(catalog))
