"""Compaction: the disk space of removed and replaced photos is freed while the catalog is searched.

Live photos of batches that are mostly dead move to the end of the embeddings file; then the space of batches without
any photo is freed. Every step is committed by itself: a killed compaction leaves a sound catalog, and the next one
continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice

from imgsearch.core.background import Progress
from imgsearch.core.files import disk_bytes
from imgsearch.core.key_arrays import Keys
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.preparation import KEPT_URL_PX
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.compaction import (
    embedding_batches,
    forget_batches,
    forget_removed,
    free_ranges,
    move_photos,
    release_rows,
    used_originals,
)
from imgsearch.store.database import utc_now
from imgsearch.store.originals import is_url
from imgsearch.store.stored_originals import delete_unused
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.store.vector_file import RowFile

KEEP_REMOVED = timedelta(days=30)
"""How long removed and replaced photos can be restored."""
MAX_DEAD_SHARE = 0.3
"""The photos of a batch with a larger share of dead rows are moved."""
MOVE_BATCH = 1000
MIN_ORIGINAL_AGE_S = 3600.0
"""Younger originals may belong to a change that is not committed yet."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """What was done: photos that moved, removed photos that can no longer be restored, bytes that were freed."""

    moved: int
    forgotten: int
    originals_deleted: int
    bytes_before: int
    bytes_after: int
    released: bool

    def as_dict(self) -> dict[str, object]:
        """Return the outcome as the JSON of `imgsearch compact --json`."""
        return asdict(self)


def compact(
    catalog: CatalogStore,
    index: LiveIndex,
    thumbnails: ThumbnailCache,
    *,
    keep_removed: timedelta = KEEP_REMOVED,
    progress: Progress | None = None,
) -> Compaction:
    """Free the disk space of photos that were removed or replaced longer ago than `keep_removed`.

    Searches and changes continue meanwhile. `progress` receives the moved photos. `released` is False where the file
    system cannot free space inside a file.
    """
    files = _row_files(catalog)
    before = sum(disk_bytes(file.path) for file in files)
    forgotten = forget_removed(catalog, utc_now() - keep_removed)
    sparse = [
        batch
        for batch in embedding_batches(catalog)
        if batch.live and not batch.restorable and batch.live < (1 - MAX_DEAD_SHARE) * batch.rows
    ]
    total, moved = sum(batch.live for batch in sparse), 0
    ids = _ids_in(catalog, [(batch.first_key, batch.rows) for batch in sparse])
    while part := list(islice(ids, MOVE_BATCH)):
        _move(catalog, index, thumbnails, part)
        moved += len(part)
        if progress is not None:
            progress(moved, total)
    batches = embedding_batches(catalog)
    forget_batches(catalog, [batch for batch in batches if not batch.live and not batch.restorable])
    ranges = free_ranges(catalog)
    released = sum(release_rows(file, ranges) for file in files) == len(files)
    deleted, deleted_bytes = delete_unused(
        catalog.folder, used_originals(catalog), min_age_s=MIN_ORIGINAL_AGE_S
    )
    if forgotten:
        catalog.database.erase_deleted_rows()
    index.save()
    after = sum(disk_bytes(file.path) for file in files)
    return Compaction(moved, forgotten, deleted, before + deleted_bytes, after, released)


def _row_files(catalog: CatalogStore) -> list[RowFile]:
    """Return the files with a row for each key: embeddings, looks, and the projections of learned heads."""
    heads = [RowFile(path, catalog.dim) for path in sorted(catalog.folder.glob("heads/*/vectors.f16"))]
    own = [catalog.vector_file] if catalog.vector_file is not None else []
    return [*own, catalog.looks.file, *heads]


def _ids_in(catalog: CatalogStore, ranges: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Yield the ids of the items whose keys are in ranges (first key, rows)."""
    for first, rows in ranges:
        found = catalog.database.cursor().execute(
            "SELECT item_id FROM items WHERE key >= ? AND key < ? ORDER BY key", [first, first + rows]
        )
        yield from [row[0] for row in found.fetchall()]


def _move(
    catalog: CatalogStore, index: LiveIndex, thumbnails: ThumbnailCache, item_ids: Sequence[str]
) -> None:
    urls = {item.key for item in catalog.get_many(item_ids) if is_url(item.location)}

    def keep_pictures(old: Keys, new: Keys) -> None:
        for key, new_key in zip(old.tolist(), new.tolist(), strict=True):
            if key in urls and (picture := thumbnails.kept(key, KEPT_URL_PX)) is not None:
                thumbnails.put(new_key, picture, KEPT_URL_PX)

    old, new = move_photos(catalog, item_ids, before_commit=keep_pictures)
    if len(new):
        index.add(new, catalog.vectors(new))
        index.remove(old)
