"""The catalog and its index in figures, for `imgsearch info`, the Catalog page and GET /v1/catalog."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore


@dataclass(frozen=True, slots=True)
class CatalogInfo:
    """The catalog in figures; sizes in bytes, times in UTC. The last three fields describe the index."""

    folder: str
    items: int
    encoder_spec: str
    encoder_id: str
    encoder_reason: str
    dim: int
    columns: Mapping[str, str]
    sources: Mapping[str, int]
    bytes_on_disk: int
    last_added_at: str | None
    generation: int
    built_at: str | None
    index: Mapping[str, Any] | None


def catalog_info(catalog: CatalogStore, index: LiveIndex) -> CatalogInfo:
    """Return a catalog and its index in figures; reads the size of every file, so it is too slow for each request."""
    cursor = catalog.database.cursor()
    sources = cursor.execute("SELECT source, count(*) FROM items GROUP BY source ORDER BY source").fetchall()
    last_added_at = catalog.database.value("SELECT max(added_at) FROM items")
    header = index.header
    return CatalogInfo(
        folder=str(catalog.folder),
        items=len(catalog),
        encoder_spec=catalog.encoder_spec,
        encoder_id=catalog.encoder_id,
        encoder_reason=catalog.encoder_reason,
        dim=catalog.dim,
        columns=catalog.metadata.columns,
        sources=dict(sources),
        bytes_on_disk=_bytes_below(catalog.folder),
        last_added_at=f"{last_added_at.isoformat(timespec='seconds')}Z" if last_added_at else None,
        generation=index.generation,
        built_at=header.built_at if header else None,
        index={**header.parameters, "ann_recall@10": header.ann_recall_at_10} if header else None,
    )


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # thumbnails come and go
            total += path.stat().st_size if path.is_file() else 0
    return total
