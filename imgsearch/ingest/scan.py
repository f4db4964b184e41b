"""Comparing what sources list with the catalog: which photos must be read, which only moved, which vanished."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from imgsearch.core.records import Failure
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.manifests import MetadataFile
from imgsearch.ingest.report import RunReport
from imgsearch.ingest.sources import Source
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import content_digest, file_of, is_url
from imgsearch.store.photo import Photo

__all__ = ["Scan", "metadata_digest"]

BATCH_SIZE = 512
"""Photos that are looked up, or updated, in one query."""


class Scan:
    """One pass over the sources of a run.

    `stored`: the known photos that are being read again, by id. `without_look`: keys of known photos without a look.
    """

    def __init__(
        self,
        catalog: CatalogStore,
        index: LiveIndex,
        report: RunReport,
        metadata: MetadataFile | None,
        *,
        trust_files: bool,
    ) -> None:
        """Without `trust_files`, photos of the same size and time are read too (their embeddings are imported)."""
        self.stored: dict[str, Photo] = {}
        self.without_look: list[int] = []
        self._catalog = catalog
        self._index = index
        self._report = report
        self._metadata = metadata
        self._trust_files = trust_files
        self._locations: dict[str, str] = {}  # of the ids of this run
        self._moved: list[Photo] = []
        self._relabelled: list[Photo] = []

    def photos(self, sources: Sequence[Source]) -> Iterator[Photo]:
        """Yield the photos that must be read, with the `digest` of their stored content; settle the others."""
        for source in sources:
            entries = source.photos()
            while batch := self._next(entries):
                photos = [photo for entry in batch if (photo := self._accepted(entry)) is not None]
                with self._report.stage("scan"):
                    found = self._catalog.stored_photos([photo.item_id for photo in photos])
                    self._note_missing_looks(found.values())
                for photo in photos:
                    stored = found.get(photo.item_id)
                    if stored is None:
                        yield photo
                    elif _id_is_taken(photo, stored):
                        self._report.fail(
                            Failure(photo.item_id, f"The id is used by the photo {stored.location}.")
                        )
                    else:
                        self.stored[photo.item_id] = stored
                        if self._trust_files and _same_file(photo, stored):
                            self.settle(photo)
                        else:
                            yield replace(photo, digest=stored.digest)

    def settle(self, photo: Photo) -> None:
        """Count a photo whose content is unchanged, and queue the update of its file or metadata."""
        stored = self.stored.pop(photo.item_id)
        if _file_fields(photo) != _file_fields(stored):
            self._moved.append(photo)
        row_digest = metadata_digest(photo.metadata)
        # A run without a metadata file says nothing about rows that came from one.
        if row_digest != stored.row_digest and photo.metadata:
            self._relabelled.append(replace(photo, row_digest=row_digest))
            self._report.changed += 1
        else:
            self._report.unchanged += 1
        if len(self._moved) + len(self._relabelled) >= BATCH_SIZE:
            self.flush()
        self._report.show()

    def flush(self) -> None:
        """Write the queued updates."""
        with self._report.stage("store"):
            self._catalog.update_files(self._moved)
            self._catalog.update_metadata(self._relabelled)
            found = self._catalog.stored_photos([photo.item_id for photo in self._relabelled])
            keys = sorted(photo.key for photo in found.values() if photo.key is not None)
            self._index.refresh(np.array(keys, np.uint64))
        self._moved, self._relabelled = [], []

    def find_vanished(self, sources: Sequence[Source], *, prune: bool) -> None:
        """Count the stored photos that their source no longer lists; with `prune`, remove them."""
        for source in sources:
            if not source.complete:
                self._report.notes.append(
                    f"{source.name} could not be read to its end: none of its photos counts as vanished."
                )
                continue
            vanished = sorted(self._catalog.ids_of_source(source.name) - self._locations.keys())
            self._report.vanished += len(vanished)
            if vanished and prune:
                self._index.remove(self._catalog.remove(vanished))
                self._report.removed += len(vanished)

    def _next(self, entries: Iterator[Photo | Failure]) -> list[Photo | Failure]:
        with self._report.stage("scan"):
            return list(islice(entries, BATCH_SIZE))

    def _accepted(self, entry: Photo | Failure) -> Photo | None:
        """Return the photo with its metadata; report a failure or a duplicate id and return None."""
        if isinstance(entry, Failure):
            self._report.fail(entry)
            return None
        if first := self._locations.get(entry.item_id):
            reason = f"The id {entry.item_id} was already used by {first} in this run."
            self._report.fail(Failure(entry.location, reason))
            return None
        self._locations[entry.item_id] = entry.location
        if self._metadata is None:
            return entry
        return replace(entry, metadata={**entry.metadata, **self._metadata.row(entry.item_id)})

    def _note_missing_looks(self, stored: Iterable[Photo]) -> None:
        if self._trust_files:  # the photos of imported embeddings may not be readable
            keys = np.array([photo.key for photo in stored], np.uint64)
            self.without_look += keys[~self._catalog.looks.has(keys)].tolist()


def metadata_digest(metadata: Mapping[str, Any]) -> str:
    """Return the `row_digest` of metadata."""
    return content_digest(json.dumps(metadata, sort_keys=True, ensure_ascii=False, default=str).encode())


def _file_fields(photo: Photo) -> tuple[str, str, int, int]:
    return photo.source, photo.location, photo.size_bytes, photo.modified_ns


def _same_file(photo: Photo, stored: Photo) -> bool:
    """Return whether the file looks unchanged without reading it; the content of a URL is taken to stay the same."""
    if is_url(photo.location):
        return photo.location == stored.location
    return (photo.size_bytes, photo.modified_ns) == (stored.size_bytes, stored.modified_ns)


def _id_is_taken(photo: Photo, stored: Photo) -> bool:
    """Return whether the id belongs to another source's photo that still exists."""
    if stored.source == photo.source or stored.location == photo.location:
        return False
    return all((file := file_of(place)) and file.exists() for place in (stored.location, stored.source))
