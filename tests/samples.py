"""Helpers that create catalogs of photos or of raw vectors without a fixture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.records import IndexingReport
from imgsearch.encoders import Encoder
from imgsearch.index.opening import open_live_index
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo

Vectors = NDArray[np.float32]


def index_into(
    folder: Path, encoder: Encoder, sources: Sequence[str | Path], **options: Any
) -> IndexingReport:
    """Index the sources into the catalog in `folder`, created if missing, and close it."""
    with CatalogStore.open(folder, create=True) as catalog:
        index = open_live_index(catalog)
        return index_sources(catalog, index, encoder, sources, options=IndexingOptions(**options))


def clustered(count: int, dim: int, *, clusters: int = 40, seed: int = 0, spread: float = 0.6) -> Vectors:
    """Return (count, dim) float32 unit rows around `clusters` centres, similar to a shop's embeddings."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dim))
    rows = centres[rng.integers(0, clusters, count)] + spread * rng.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def relabelled(item_id: str, metadata: dict[str, Any], row_digest: str = "") -> Photo:
    """Return a stored item's photo with other metadata, for `update_metadata`."""
    return Photo(item_id, "/source", f"/source/{item_id}", row_digest=row_digest, metadata=metadata)


def raw_items(ids: Sequence[str], metadata: Sequence[dict[str, Any]] | None = None) -> list[Photo]:
    """Return items to store that have no photo file."""
    rows = metadata or [{} for _ in ids]
    return [
        Photo(item_id, "/source", f"/source/{item_id}", 1, 1, item_id, "", 10, 10, row)
        for item_id, row in zip(ids, rows, strict=True)
    ]
