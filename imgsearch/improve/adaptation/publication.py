"""Publishes a head: its vectors and index first, then one row, so that a killed process leaves one of both active."""

from __future__ import annotations

from collections.abc import Callable

from imgsearch.index.heads import get_head, previous_head, publish, rollback
from imgsearch.index.live_index import LiveIndex
from imgsearch.index.opening import open_live_index
from imgsearch.index.vector_space import VectorSpace
from imgsearch.store.catalog import CatalogStore

__all__ = ["publish_head", "roll_back_head"]


def publish_head(
    catalog: CatalogStore,
    head_id: str,
    *,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> LiveIndex:
    """Publish a head and return its index; no photo is decoded.

    Raises `AdaptationError` for an unknown head and `CatalogCorrupt` for a damaged one; nothing changes then.
    """
    space = VectorSpace(catalog, get_head(catalog, head_id))
    index = open_live_index(catalog, threads=threads, progress=progress, space=space)
    publish(catalog, head_id)
    return index


def roll_back_head(catalog: CatalogStore, *, threads: int = 1) -> LiveIndex:
    """Publish what was active before the published head, and return its index.

    Raises `AdaptationError` where no head is published.
    """
    space = VectorSpace(catalog, previous_head(catalog))
    index = open_live_index(catalog, threads=threads, space=space)
    rollback(catalog)
    return index
