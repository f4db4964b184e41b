"""Encoding prepared photos and committing them to the catalog and the index, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.records import Failure
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.preparation import KEPT_URL_PX, Outcome, PreparedPhoto, encode_prepared
from imgsearch.ingest.report import RunReport
from imgsearch.ingest.scan import Scan, metadata_digest
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.photo import Photo
from imgsearch.store.thumbnails import ThumbnailCache

__all__ = ["BatchWriter", "store_photos"]

ENCODE_BATCH = 32
COMMIT_BATCH = 128
SAVE_INDEX_EVERY = 50_000

Keys = NDArray[np.uint64]
Batch = list[tuple[Photo, PreparedPhoto]]


class BatchWriter:
    """Collects the photos of a run into batches; a batch is stored whole or not at all."""

    def __init__(
        self,
        catalog: CatalogStore,
        index: LiveIndex,
        encoder: Encoder,
        scan: Scan,
        report: RunReport,
        thumbnails: ThumbnailCache | None,
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._encoder = encoder
        self._scan = scan
        self._report = report
        self._thumbnails = thumbnails
        self._prepared: Batch = []
        self._encoded: Batch = []
        self._unsaved = 0

    def write(self, outcomes: Iterable[tuple[Photo, Outcome]]) -> None:
        """Store the photos that were read; settle those whose content is the stored one, report those that failed."""
        for photo, outcome in outcomes:
            if isinstance(outcome, Failure):
                self._report.fail(outcome)
            elif outcome.digest == photo.digest:
                self._scan.settle(photo)
            else:
                self._prepared.append((photo, outcome))
                self._report.pending += 1
                if len(self._prepared) >= ENCODE_BATCH:
                    self._encode()
        self._encode()
        self._commit()

    def _encode(self) -> None:
        arrays = [prepared for _, prepared in self._prepared if prepared.array is not None]
        if arrays:
            with self._report.stage("encode"):
                encode_prepared(self._encoder, arrays)
        self._encoded += self._prepared
        self._prepared = []
        if len(self._encoded) >= COMMIT_BATCH:
            self._commit()
        self._report.show()

    def _commit(self) -> None:
        self._scan.flush()
        batch, self._encoded = self._encoded, []
        if not batch:
            return
        with self._report.stage("store"):
            keys, replaced, vectors = store_photos(self._catalog, self._with_metadata(batch))
        with self._report.stage("index"):
            self._index.add(keys, vectors)
            self._index.remove(replaced)
        if self._thumbnails is not None:
            for key, (_, prepared) in zip(keys, batch, strict=True):
                if prepared.thumbnail is not None:
                    self._thumbnails.put(int(key), prepared.thumbnail, KEPT_URL_PX)
        changed = sum(self._scan.stored.pop(photo.item_id, None) is not None for photo, _ in batch)
        self._report.changed += changed
        self._report.added += len(batch) - changed
        self._report.pending -= len(batch)
        self._unsaved += len(batch)
        if self._unsaved >= SAVE_INDEX_EVERY:
            with self._report.stage("index"):
                self._index.save()
            self._unsaved = 0

    def _with_metadata(self, batch: Batch) -> Batch:
        """Return the batch with row digests; changed photos that the run has no metadata for keep their rows."""
        bare = [
            photo.item_id for photo, _ in batch if not photo.metadata and photo.item_id in self._scan.stored
        ]
        kept = {item.item_id: item.metadata for item in self._catalog.get_many(bare)}
        rows: Batch = []
        for photo, prepared in batch:
            metadata, row_digest = photo.metadata, ""
            if kept.get(photo.item_id):
                metadata, row_digest = kept[photo.item_id], self._scan.stored[photo.item_id].row_digest
            row_digest = row_digest or metadata_digest(metadata)
            rows.append((replace(photo, metadata=metadata, row_digest=row_digest), prepared))
        return rows


def store_photos(
    catalog: CatalogStore, batch: Sequence[tuple[Photo, PreparedPhoto]]
) -> tuple[Keys, Keys, NDArray[np.float32]]:
    """Store encoded photos and their looks in the catalog; return (their keys, the replaced keys, their vectors)."""
    vectors = np.stack([prepared.vector for _, prepared in batch if prepared.vector is not None])
    photos = [
        replace(photo, digest=prepared.digest, width_px=prepared.width_px, height_px=prepared.height_px)
        for photo, prepared in batch
    ]
    keys, replaced = catalog.store(photos, vectors)
    looks = [(key, prepared.look) for key, (_, prepared) in zip(keys, batch, strict=True) if prepared.look]
    catalog.looks.store(np.array([key for key, _ in looks], np.uint64), [look for _, look in looks])
    return keys, replaced, vectors
