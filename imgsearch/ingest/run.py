"""An indexing run: `Scan` finds the photos to read, `BatchWriter` stores them, `RunReport` counts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.core.records import Failure, IndexingReport, LeftOut
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.column_plan import ColumnPlan
from imgsearch.ingest.exclusions import MAX_EXAMPLES
from imgsearch.ingest.feeds import MetadataFile
from imgsearch.ingest.joined_source import places_of
from imgsearch.ingest.moved_photos import MovedPhotos
from imgsearch.ingest.preparation import KEPT_URL_PX, Outcome, PreparedPhoto, encode_prepared
from imgsearch.ingest.pruning import PruneLimit, Vanished, refusal
from imgsearch.ingest.sources import Selective, Source
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import content_digest, file_of, is_url
from imgsearch.store.source_table import SourceTable, is_source_name
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.store.url_states import UrlState, UrlStates

SCAN_BATCH = 512
"""Photos that are looked up, or updated, in one query."""
ENCODE_BATCH = 32
COMMIT_BATCH = 128
SAVE_INDEX_EVERY = 50_000

REMOVED = "photos of items that were removed by hand; index --restore brings them back"

Batch = list[tuple[Photo, PreparedPhoto]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: photos processed (`done`) of `total` (None while unknown), of these encoded and failed."""

    done: int
    total: int | None
    encoded: int
    failed: int


ProgressCallback = Callable[[Progress], None]


class RunReport:
    """Collects what a run does; counts are of its main thread, seconds of any."""

    def __init__(self, progress: ProgressCallback | None) -> None:
        self.total: int | None = None
        self.added = self.changed = self.unchanged = self.removed = self.vanished = 0
        self.pending = 0  # read, but not stored yet
        self.notes: list[str] = []
        self.moved: list[tuple[str, str]] = []
        self.unchecked: list[str] = []  # why photos at URLs could not be compared
        self.not_removed = ""
        self._failures: list[Failure] = []
        self._left_out: dict[str, LeftOut] = {}
        self._progress = progress
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of a block to a stage; `decode` is summed over threads."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add_seconds(name, time.perf_counter() - started)

    def count(self, sources: Sequence[Source]) -> None:
        """Set the total to the number of photos of the sources, where all of them know it."""
        with self.stage("scan"):
            counts = [source.count() for source in sources]
        self.total = None if None in counts else sum(count or 0 for count in counts)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage."""
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def leave_out(self, source: Source) -> None:
        """Add what a listed source left out."""
        for one in source.left_out if isinstance(source, Selective) else ():
            self.add_left_out(one)

    def add_left_out(self, one: LeftOut) -> None:
        """Add what was left out for a reason."""
        before = self._left_out.get(one.reason, LeftOut(one.reason, 0))
        examples = (before.examples + one.examples)[:MAX_EXAMPLES]
        self._left_out[one.reason] = LeftOut(one.reason, before.count + one.count, examples)

    def fail(self, failure: Failure) -> None:
        """Add a photo that cannot be used."""
        self._failures.append(failure)
        self.show()

    def show(self) -> None:
        """Call the progress callback."""
        if self._progress is not None:
            encoded = self.added + self.changed + self.pending
            done = encoded + self.unchanged + len(self.moved) + len(self._failures)
            self._progress(Progress(done, self.total, encoded, len(self._failures)))

    def finish(self, encoder_id: str) -> IndexingReport:
        """Return the report of the ended run."""
        if self.unchecked:
            count = f"{len(self.unchecked):,} photos at URLs could not be checked and stay as they are"
            self.notes.append(f"{count}; the first: {self.unchecked[0]}")
        return IndexingReport(
            added=self.added,
            changed=self.changed,
            unchanged=self.unchanged,
            removed=self.removed,
            vanished=self.vanished,
            failed=tuple(self._failures),
            seconds={**self._seconds, "total": time.perf_counter() - self._started},
            encoder=encoder_id,
            notes=tuple(self.notes),
            not_removed=self.not_removed,
            moved=tuple(self.moved),
            left_out=tuple(self._left_out.values()),
        )


@dataclass(slots=True)
class Scan:
    """One pass over the sources of a run.

    Without `trust_files`, photos of the same size and time are read too (their embeddings are imported). With
    `take_over`, ids of other sources may be taken. `removed` are ids that stay out of the catalog. Known photos at
    URLs are read if their server says that they have changed, with `refresh` always, with False never. `columns` fits
    rows to the catalog's columns. `stored`: the known photos that are being read again, by id. `without_look`: keys
    of known photos without a look.
    """

    catalog: CatalogStore
    index: LiveIndex
    report: RunReport
    metadata: MetadataFile | None
    trust_files: bool
    moves: MovedPhotos
    url_states: UrlStates
    take_over: bool = False
    had_items: bool = True
    removed: frozenset[str] = frozenset()
    refresh: bool | None = None
    columns: ColumnPlan = field(default_factory=ColumnPlan)
    stored: dict[str, Photo] = field(default_factory=dict)
    without_look: list[int] = field(default_factory=list)
    _before: int = 0  # the number of the last change before the run
    _locations: dict[str, str] = field(default_factory=dict)  # of the ids of this run
    _unreadable: set[str] = field(default_factory=set)  # ids whose photos are listed, but not there
    _new: set[str] = field(default_factory=set)  # ids that the catalog did not have
    _listed: dict[str, int] = field(default_factory=dict)  # entries by source
    _failed: dict[str, int] = field(default_factory=dict)  # entries by source that cannot be listed
    _contested: set[str] = field(default_factory=set)  # ids of other sources, to compare by content
    _moved: list[Photo] = field(default_factory=list)
    _relabelled: list[Photo] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._before = self.catalog.changes.last

    def photos(self, sources: Sequence[Source]) -> Iterator[Photo]:
        """Yield the photos that must be read, with the `digest` of their stored content; settle the others."""
        for source in sources:
            entries = source.photos()
            while batch := self._next(entries):
                self._listed[source.name] = self._listed.get(source.name, 0) + len(batch)
                failed = sum(isinstance(entry, Failure) for entry in batch)
                self._failed[source.name] = self._failed.get(source.name, 0) + failed
                photos = [photo for entry in batch if (photo := self._accepted(entry)) is not None]
                with self.report.stage("scan"):
                    found = self.catalog.stored_photos([photo.item_id for photo in photos])
                    self._note_missing_looks(found.values())
                    if len(found) < len(photos):
                        self.removed |= self.catalog.changes.deleted_since(self._before)
                reading = [self._to_read(photo, found.get(photo.item_id)) for photo in photos]
                unknown = self._with_url_states([photo for photo in reading if photo is not None])
                if self.trust_files and self.had_items:
                    with self.report.stage("scan"):
                        unknown = self.moves.with_known_digests(unknown)
                yield from unknown
            self.report.leave_out(source)

    def _to_read(self, photo: Photo, stored: Photo | None) -> Photo | None:
        """Return the photo with the `digest` of its stored content if it must be read; else settle it."""
        if stored is None and photo.item_id in self.removed:
            self.report.add_left_out(LeftOut(REMOVED, 1, (photo.item_id,)))
            return None
        if stored is None:
            self._new.add(photo.item_id)
            return photo
        taken = not self.take_over and _id_is_taken(photo, stored)
        if taken and photo.size_bytes != stored.size_bytes:
            self.report.fail(_taken_id(photo, stored))
            return None
        self.stored[photo.item_id] = stored
        if taken:
            self._contested.add(photo.item_id)
        elif self.trust_files and self._is_same(photo, stored):
            self.settle(photo)
            return None
        return replace(photo, digest=stored.digest)

    def _is_same(self, photo: Photo, stored: Photo) -> bool:
        """Return whether the file looks unchanged without reading it."""
        if is_url(photo.location):
            return self.refresh is False and photo.location == stored.location
        return (photo.size_bytes, photo.modified_ns) == (stored.size_bytes, stored.modified_ns)

    def _with_url_states(self, photos: list[Photo]) -> list[Photo]:
        """Return the photos; known ones at the URLs where they were are compared with what is known of these."""
        urls = [
            photo.location
            for photo in photos
            if is_url(photo.location)
            and (stored := self.stored.get(photo.item_id))
            and stored.location == photo.location
        ]
        if not urls or self.refresh or not self.trust_files:
            return photos
        known = {url: UrlState(url) for url in urls} | self.url_states.of(urls)
        return [
            replace(photo, url_state=known[photo.location])
            if photo.location in known and photo.digest
            else photo
            for photo in photos
        ]

    def is_refused(self, photo: Photo) -> bool:
        """Report a photo of other content than that of another source with its id, and return whether it is one."""
        if photo.item_id not in self._contested:
            return False
        self.report.fail(_taken_id(photo, self.stored.pop(photo.item_id)))
        return True

    def still_there(self, batch: Batch) -> Batch:
        """Return a batch without the known photos whose items were removed while they were read; report these.

        Call it inside a transaction, so that none is removed later.
        """
        known = [photo.item_id for photo, _ in batch if photo.item_id in self.stored]
        removed = set(known) - self.catalog.stored_photos(known).keys()
        for item_id in sorted(removed):
            del self.stored[item_id]
            self.report.add_left_out(LeftOut(REMOVED, 1, (item_id,)))
        return [entry for entry in batch if entry[0].item_id not in removed]

    def is_listed(self, item_id: str) -> bool:
        """Return whether a source of this run lists the id, be its photo readable or not."""
        return item_id in self._locations or item_id in self._unreadable

    def note_moves(self, pairs: Sequence[tuple[Photo, Photo]]) -> None:
        """Count renamed items, each as it was and as it is, and store their new metadata."""
        for before, photo in pairs:
            self.report.moved.append((before.item_id, photo.item_id))
            row_digest = metadata_digest(photo.metadata)
            if row_digest != source_row_digest(before) and photo.metadata:
                self._relabelled.append(replace(photo, row_digest=row_digest))
        self.flush()
        self.report.show()

    def settle(self, photo: Photo) -> None:
        """Count a photo whose content is unchanged, and queue the update of its file or metadata."""
        stored = self.stored.pop(photo.item_id)
        if _file_fields(photo) != _file_fields(stored):
            self._moved.append(replace(photo, digest=stored.digest))
        row_digest = metadata_digest(photo.metadata)
        # A run without a metadata file says nothing about rows that came from one.
        if row_digest != source_row_digest(stored) and photo.metadata:
            self._relabelled.append(replace(photo, row_digest=row_digest))
            self.report.changed += 1
        else:
            self.report.unchanged += 1
        if len(self._moved) + len(self._relabelled) >= SCAN_BATCH:
            self.flush()
        self.report.show()

    def flush(self) -> None:
        """Write the queued updates."""
        with self.report.stage("store"):
            self.catalog.update_files(self._moved)
            self.catalog.update_metadata(self._relabelled)
            found = self.catalog.stored_photos([photo.item_id for photo in self._relabelled])
            keys = sorted(photo.key for photo in found.values() if photo.key is not None)
            self.index.refresh(np.array(keys, np.uint64))
        self._moved, self._relabelled = [], []

    def find_vanished(self, sources: Sequence[Source], limit: PruneLimit | None) -> None:
        """Count the stored photos that their source no longer lists; with a `limit`, remove them within it.

        A photo that is listed but cannot be read has not vanished.
        """
        found = []
        for source in sources:
            if not source.complete:
                self.report.notes.append(
                    f"{source.name} could not be read to its end: none of its photos counts as vanished."
                )
                continue
            known = self.catalog.ids_of_source(source.name)
            known = known.union(*(self.catalog.ids_of_source(place) for place in places_of(source)))
            vanished = known - self._locations.keys() - self._unreadable
            listed = self._listed.get(source.name, 0)
            if not listed:
                self.report.notes.append(f"{source.name} holds no photo.")
            found.append(Vanished(source.name, tuple(sorted(vanished)), len(known - self._new), listed))
        vanished_ids = [item_id for one in found for item_id in one.item_ids]
        self.report.vanished += len(vanished_ids)
        if limit is None or not vanished_ids:
            return
        self.report.not_removed = refusal(found, limit)
        if not self.report.not_removed:
            self.index.remove(self.catalog.remove(vanished_ids))
            self.report.removed += len(vanished_ids)

    def note_runs(self, sources: Sequence[Source], table: SourceTable) -> None:
        """Record that the sources were listed, for `imgsearch sources`."""
        for source in sources:
            listed, failed = self._listed.get(source.name, 0), self._failed.get(source.name, 0)
            places = places_of(source)
            table.note_run(source.name, places, listed=listed, failed=failed, complete=source.complete)

    def _next(self, entries: Iterator[Photo | Failure]) -> list[Photo | Failure]:
        with self.report.stage("scan"):
            return list(islice(entries, SCAN_BATCH))

    def _accepted(self, entry: Photo | Failure) -> Photo | None:
        """Return the photo with its metadata; report a failure or a duplicate id and return None."""
        if isinstance(entry, Failure):
            self._unreadable.add(entry.path)
            self.report.fail(entry)
            return None
        if first := self._locations.get(entry.item_id):
            reason = f"The id {entry.item_id} was already used by {first} in this run."
            self.report.fail(Failure(entry.location, reason))
            return None
        self._locations[entry.item_id] = entry.location
        metadata = entry.metadata
        if self.metadata is not None:
            metadata = {**metadata, **self.metadata.row(entry.item_id)}
        return replace(entry, metadata=self.columns.row(metadata)) if metadata else entry

    def _note_missing_looks(self, stored: Iterable[Photo]) -> None:
        if self.trust_files:  # the photos of imported embeddings may not be readable
            keys = np.array([photo.key for photo in stored], np.uint64)
            self.without_look += keys[~self.catalog.looks.has(keys)].tolist()


def metadata_digest(metadata: Mapping[str, Any]) -> str:
    """Return the `row_digest` of metadata."""
    return content_digest(json.dumps(metadata, sort_keys=True, ensure_ascii=False, default=str).encode())


def source_row_digest(stored: Photo) -> str:
    """Return the digest of the row that the item's source gave last.

    A change by hand appends "+" and its number to the `row_digest`, so that an unchanged row of the source does not
    undo it.
    """
    return stored.row_digest.partition("+")[0]


def _file_fields(photo: Photo) -> tuple[str, str, int, int]:
    return photo.source, photo.location, photo.size_bytes, photo.modified_ns


def _id_is_taken(photo: Photo, stored: Photo) -> bool:
    """Return whether the id belongs to another source's photo that still exists."""
    if stored.source == photo.source or stored.location == photo.location:
        return False
    places = [stored.location] if is_source_name(stored.source) else [stored.location, stored.source]
    return all((file := file_of(place)) and file.exists() for place in places)


def _taken_id(photo: Photo, stored: Photo) -> Failure:
    reason = (
        f"The id is used by another photo, {stored.location} of the source {stored.source}. Pass --take-over if this "
        "source replaces that one, or index a folder that holds both, where their ids differ. A source whose place "
        "changes needs a name: --source NAME."
    )
    return Failure(photo.item_id, reason)


@dataclass(slots=True)
class BatchWriter:
    """Collects the photos of a run into batches; a batch is stored whole or not at all."""

    catalog: CatalogStore
    index: LiveIndex
    encoder: Encoder
    scan: Scan
    report: RunReport
    thumbnails: ThumbnailCache | None
    _prepared: Batch = field(default_factory=list)
    _encoded: Batch = field(default_factory=list)
    _url_states: list[UrlState] = field(default_factory=list)
    _unsaved: int = 0

    def write(self, outcomes: Iterable[tuple[Photo, Outcome]]) -> None:
        """Store the photos that were read; settle those whose content is the stored one, report those that failed."""
        for photo, outcome in outcomes:
            if isinstance(outcome, Failure):
                self.report.fail(outcome)
                continue
            if outcome.unchecked:
                self.report.unchecked.append(outcome.unchecked)
            if outcome.url_state and (outcome.array is None and outcome.vector is None):
                self._url_states.append(outcome.url_state)
            if outcome.digest == photo.digest:
                self.scan.settle(photo)
            elif self.scan.is_refused(photo):
                continue
            elif outcome.array is None and outcome.vector is None:
                self.scan.moves.hold(photo, outcome.digest)
            else:
                self._prepared.append((photo, outcome))
                self.report.pending += 1
                if len(self._prepared) >= ENCODE_BATCH:
                    self._encode()
        self._encode()
        self._commit()

    def settle_known(self, sources: Sequence[Source]) -> list[Photo]:
        """Store the photos whose bytes the catalog has: renamed items, then copies; return those to read again."""
        complete = {
            name for source in sources if source.complete for name in (source.name, *places_of(source))
        }
        with self.report.stage("store"):
            moves = self.scan.moves
            self.scan.note_moves(moves.renamed(self.scan.is_listed, complete))
            copies, lost = moves.copied(self._with_metadata)
            self._count(copies)
        return lost

    def _encode(self) -> None:
        self._hold_known()
        arrays = [prepared for _, prepared in self._prepared if prepared.array is not None]
        if arrays:
            with self.report.stage("encode"):
                encode_prepared(self.encoder, arrays)
        self._encoded += self._prepared
        self._prepared = []
        if len(self._encoded) >= COMMIT_BATCH:
            self._commit()
        self.report.show()

    def _commit(self) -> None:
        self.scan.flush()
        self._commit_batch()
        # Only once the photos are stored: a killed run must not forget that they have changed.
        states, self._url_states = self._url_states, []
        self.scan.url_states.store(states)

    def _commit_batch(self) -> None:
        batch, self._encoded = self._encoded, []
        if not batch:
            return
        self.report.pending -= len(batch)
        self._url_states += [prepared.url_state for _, prepared in batch if prepared.url_state]
        # One transaction, so that no change of these items by a person comes between and is lost.
        with self.report.stage("store"), self.catalog.database.transaction():
            if not (batch := self.scan.still_there(batch)):
                return
            photos = self._with_metadata([photo for photo, _ in batch])
            prepared_photos = [prepared for _, prepared in batch]
            keys, replaced, vectors = store_photos(
                self.catalog, list(zip(photos, prepared_photos, strict=True))
            )
        with self.report.stage("index"):
            self.index.add(keys, vectors)
            self.index.remove(replaced)
        if self.thumbnails is not None:
            for key, (_, prepared) in zip(keys, batch, strict=True):
                if prepared.thumbnail is not None:
                    self.thumbnails.put(int(key), prepared.thumbnail, KEPT_URL_PX)
        self._count([photo for photo, _ in batch])
        self._unsaved += len(batch)
        if self._unsaved >= SAVE_INDEX_EVERY:
            with self.report.stage("index"):
                self.index.save()
            self._unsaved = 0

    def _count(self, photos: Sequence[Photo]) -> None:
        changed = sum(self.scan.stored.pop(photo.item_id, None) is not None for photo in photos)
        self.report.changed += changed
        self.report.added += len(photos) - changed

    def _hold_known(self) -> None:
        """Take out the photos that have the bytes of stored ones; their sizes were not known, or too frequent."""
        found = [
            (photo, prepared.digest)
            for photo, prepared in self._prepared
            if is_url(photo.location) or "" in photo.known_digests
        ]
        if not found or not self.scan.trust_files or not self.scan.had_items:
            return
        held = self.scan.moves.hold_known(found)
        self._prepared = [entry for entry in self._prepared if entry[0].item_id not in held]
        self.report.pending -= len(held)

    def _with_metadata(self, photos: Sequence[Photo]) -> list[Photo]:
        """Return the photos with row digests; changed ones that the run has no metadata for keep their rows."""
        bare = [photo.item_id for photo in photos if not photo.metadata and photo.item_id in self.scan.stored]
        kept = {item.item_id: item.metadata for item in self.catalog.get_many(bare)}
        rows = []
        for photo in photos:
            metadata, row_digest = photo.metadata, ""
            if kept.get(photo.item_id):
                metadata, row_digest = kept[photo.item_id], self.scan.stored[photo.item_id].row_digest
            rows.append(replace(photo, metadata=metadata, row_digest=row_digest or metadata_digest(metadata)))
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
