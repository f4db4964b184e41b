"""The catalog and its index in figures."""

from __future__ import annotations

from dataclasses import replace

from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.catalog_info import CatalogInfo, read_info

__all__ = ["catalog_info"]


def catalog_info(catalog: CatalogStore, index: LiveIndex) -> CatalogInfo:
    """Return a catalog and its index in figures; reads the size of every file, so it is too slow for each request."""
    header = index.header
    return replace(
        read_info(catalog),
        generation=index.generation,
        built_at=header.built_at if header else None,
        index={**header.parameters, "ann_recall@10": header.ann_recall_at_10} if header else None,
    )
