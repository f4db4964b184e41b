"""Opens or checks the index that a catalog names: files of its own, or a collection of a Milvus."""

from __future__ import annotations

from imgsearch.core.background import Progress
from imgsearch.index.live_index import IndexHeader, LiveIndex
from imgsearch.index.local_index import LocalIndex, check_files
from imgsearch.index.milvus_index import SharedIndex
from imgsearch.index.vector_space import VectorSpace
from imgsearch.store.catalog import CatalogStore


def open_live_index(
    catalog: CatalogStore,
    *,
    threads: int = 1,
    progress: Progress | None = None,
    rebuild: bool = False,
    space: VectorSpace | None = None,
) -> LiveIndex:
    """Open the index of a space (by default the encoder's own), brought in step with the catalog.

    An index that is missing, damaged or of another encoder is rebuilt, and its `rebuild_reason` says why. Raises
    `IndexUnavailable` where the Milvus of the catalog's `index_address` does not answer.
    """
    index: LiveIndex
    if address := catalog.index_address:
        index = SharedIndex.open(catalog, address, progress=progress, rebuild=rebuild, space=space)
        catalog.remember_index()
        return index
    catalog.remember_index()
    return LocalIndex.open(catalog, threads=threads, progress=progress, rebuild=rebuild, space=space)


def check_index(catalog: CatalogStore, space: VectorSpace | None = None) -> IndexHeader:
    """Return the header of a space's index, after checking it against the catalog.

    Raises `IndexCorrupt` saying what is wrong; changes nothing.
    """
    if address := catalog.index_address:
        return SharedIndex(catalog, address, space=space).check()
    return check_files(catalog, space or VectorSpace(catalog))
