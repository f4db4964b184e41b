"""Indexing: photos from sources are decoded, encoded, stored in the catalog and added to the index.

It owns the pipeline: what is new or changed is found first, photos are made ready and encoded ahead, by threads of
this process or by processes of their own, and every batch is committed whole, so that a run killed at any moment
loses the batch in flight and the next run goes on from there. A bad photo becomes a `Failure` in the report and never
stops a run. It knows no terminal: progress is a callback.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from imgsearch.core.config import cpu_count
from imgsearch.core.errors import EncoderMismatch, SourceError
from imgsearch.core.memory import available_bytes
from imgsearch.core.records import Failure, IndexingReport
from imgsearch.encoders.base import Encoder
from imgsearch.encoders.recipe import RunsInWorkers
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.look_backfill import LookMaker
from imgsearch.ingest.precomputed import EmbeddingsByItem, open_embeddings
from imgsearch.ingest.preparation import KEPT_URL_PX, Outcome, PreparedPhoto, Preparer, Unreadable
from imgsearch.ingest.sources import Source, open_source
from imgsearch.ingest.tables import MetadataTable
from imgsearch.ingest.workers import Task, WorkerPool, WorkersUnavailable
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals, content_digest, file_of, is_url
from imgsearch.store.photo import Photo
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.vision.images import ImageLimits

__all__ = ["IndexingOptions", "Progress", "ProgressCallback", "index_sources"]

ENCODE_AT_ONCE = 32
COMMIT_AT_ONCE = 128
LOOKUP_AT_ONCE = 512
SAVE_INDEX_EVERY = 50_000
WORTH_WORKERS = 1_000
"""Fewer photos are done before processes of their own have begun."""
WORKER_BYTES = 1_250 * 1024**2
"""What a process of its own takes at most."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: photos looked at (`done`) of `total` (None while unknown), and how many were encoded."""

    done: int
    total: int | None
    encoded: int
    failed: int


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """How a run goes.

    `prune` removes vanished items. `threads` decode (0: as many as processors) beside the encoder. With more than
    one of `workers`, so many processes make photos ready instead once there are `worth_workers` of them to do, and
    encode them too where that is faster.
    """

    metadata: Path | None = None
    embeddings: Path | str | None = None
    prune: bool = False
    root: Path | None = None
    threads: int = 0
    workers: int = 1
    worth_workers: int = WORTH_WORKERS
    limits: ImageLimits = field(default_factory=ImageLimits)


@dataclass(slots=True)
class _Received:
    """A photo as it is to be stored, and how its row is told from another one."""

    photo: Photo
    made: PreparedPhoto
    row_digest: str = ""


def index_sources(
    catalog: CatalogStore,
    index: LiveIndex,
    encoder: Encoder,
    sources: Sequence[str | Path],
    *,
    options: IndexingOptions | None = None,
    originals: Originals | None = None,
    thumbnails: ThumbnailCache | None = None,
    progress: ProgressCallback | None = None,
) -> IndexingReport:
    """Bring the catalog in step with the sources and return what was done.

    Photos are told apart by item id. One whose size or time differs is read again, and encoded again only when
    its bytes differ. The photos of a source that are no longer there are counted as vanished, and removed with
    `options.prune`. Raises `SourceError` for a source, metadata or embeddings file that cannot be used at all
    (nothing is changed then), and `EncoderMismatch` when the catalog holds another encoder's embeddings.
    """
    options = options or IndexingOptions()
    named = [open_source(source, root=options.root) for source in sources]
    opened = list({source.name: source for source in named}.values())
    if not opened:
        raise SourceError("No source was given; name a folder, an archive or a manifest.")
    metadata = MetadataTable(options.metadata) if options.metadata else None
    vectors = open_embeddings(options.embeddings, opened) if options.embeddings else None
    if vectors is not None and vectors.dim != encoder.dim:
        raise EncoderMismatch(
            f"{options.embeddings} holds embeddings of {vectors.dim} dimensions, but {encoder.id} gives "
            f"{encoder.dim}; name the encoder that made them with --encoder."
        )
    catalog.bind_encoder(encoder.spec, encoder.id, encoder.dim)
    own_originals = originals is None
    originals = originals or Originals(max_bytes=options.limits.max_bytes)
    run = _Run(catalog, index, encoder, options, originals, thumbnails, metadata, vectors, progress)
    try:
        return run.all(opened)
    finally:
        if own_originals:
            originals.close()


class _Run:
    """One indexing run."""

    def __init__(
        self,
        catalog: CatalogStore,
        index: LiveIndex,
        encoder: Encoder,
        options: IndexingOptions,
        originals: Originals,
        thumbnails: ThumbnailCache | None,
        metadata: MetadataTable | None,
        vectors: EmbeddingsByItem | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._catalog = catalog
        self._index = index
        self._encoder = encoder
        self._options = options
        self._originals = originals
        self._thumbnails = thumbnails
        self._metadata = metadata
        self._vectors = vectors
        self._progress = progress
        self._clock = _StageClock()
        self._failures: list[Failure] = []
        self._notes: list[str] = []
        self._seen: dict[str, str] = {}
        self._known: dict[str, Photo] = {}
        self._ready: list[_Received] = []
        self._encoded: list[_Received] = []
        self._touched: list[Photo] = []
        self._rows: list[Photo] = []
        self._added = self._changed = self._unchanged = self._removed = self._vanished = 0
        self._without_look: list[int] = []
        self._unsaved = 0
        self._total: int | None = None

    def all(self, sources: Sequence[Source]) -> IndexingReport:
        started = time.perf_counter()
        with self._clock.stage("scan"):
            counts = [source.count() for source in sources]
            self._total = None if None in counts else sum(count for count in counts if count is not None)
        threads = self._options.threads or max(2, cpu_count())
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
            self._prepare(pool, self._to_load(sources), window=threads * 2 + ENCODE_AT_ONCE)
            self._encode()
            self._commit()
            self._fill_looks(pool)
        self._find_vanished(sources)
        with self._clock.stage("index"):
            self._index.save()
        if self._metadata is not None and self._metadata.unused:
            self._notes.append(
                f"{self._metadata.unused} of {len(self._metadata)} rows of {self._options.metadata} "
                "name no photo here."
            )
        self._report_progress()
        return IndexingReport(
            added=self._added,
            changed=self._changed,
            unchanged=self._unchanged,
            removed=self._removed,
            vanished=self._vanished,
            failed=tuple(self._failures),
            seconds={**self._clock.seconds(), "total": time.perf_counter() - started},
            encoder=self._encoder.id,
            notes=tuple(self._notes),
        )

    # --- finding what is to be done ---------------------------------------------------------------------------

    def _to_load(self, sources: Sequence[Source]) -> Iterator[Photo]:
        """Yield the photos that must be read; settle the others on the way."""
        for source in sources:
            for chunk in _chunks(self._timed(source.photos()), LOOKUP_AT_ONCE):
                photos = [photo for entry in chunk if (photo := self._accept(entry)) is not None]
                with self._clock.stage("scan"):
                    stored = self._catalog.stored_photos([photo.item_id for photo in photos])
                self._note_looks(stored)
                for photo in photos:
                    before = stored.get(photo.item_id)
                    if before is None:
                        yield photo
                    elif self._collides(photo, before):
                        self._fail(photo.item_id, f"The id is taken by the photo {before.location}.")
                    elif self._vectors is None and _looks_unchanged(photo, before):
                        self._settle(photo, before)
                    else:
                        self._known[photo.item_id] = before
                        yield photo

    def _timed(self, entries: Iterator[Photo | Failure]) -> Iterator[Photo | Failure]:
        while True:
            with self._clock.stage("scan"):
                entry = next(entries, None)
            if entry is None:
                return
            yield entry

    def _accept(self, entry: Photo | Failure) -> Photo | None:
        """Return the photo with its metadata, or None for one that is settled by being a failure."""
        if isinstance(entry, Failure):
            self._fail(entry.path, entry.reason)
            return None
        if entry.item_id in self._seen:
            first = self._seen[entry.item_id]
            self._fail(entry.location, f"The id {entry.item_id} was already used by {first} in this run.")
            return None
        self._seen[entry.item_id] = entry.location
        if self._metadata is not None:
            return replace(entry, metadata={**entry.metadata, **self._metadata.row(entry.item_id)})
        return entry

    def _collides(self, photo: Photo, before: Photo) -> bool:
        """Tell whether the id belongs to another source's photo that is still there."""
        if before.source == photo.source or before.location == photo.location:
            return False
        return all((file := file_of(place)) and file.exists() for place in (before.location, before.source))

    def _settle(self, photo: Photo, before: Photo) -> None:
        """Count a photo whose picture is as it was, and note what else is new of it."""
        row_digest = _row_digest(photo.metadata)
        if (photo.source, photo.location, photo.size_bytes, photo.modified_ns) != (
            before.source,
            before.location,
            before.size_bytes,
            before.modified_ns,
        ):
            self._touched.append(photo)
        # A run without a metadata file says nothing about rows that came from one.
        if row_digest != before.row_digest and photo.metadata:
            self._rows.append(replace(photo, row_digest=row_digest))
            self._changed += 1
        else:
            self._unchanged += 1
        if len(self._touched) + len(self._rows) >= LOOKUP_AT_ONCE:
            self._write_settled()
        self._report_progress()

    def _write_settled(self) -> None:
        with self._clock.stage("store"):
            self._catalog.update_files(self._touched)
            self._catalog.update_metadata(self._rows)
            stored = self._catalog.stored_photos([photo.item_id for photo in self._rows])
            self._index.refresh(np.array(sorted(photo.key or 0 for photo in stored.values()), np.uint64))
        self._touched, self._rows = [], []

    # --- reading, encoding, committing ------------------------------------------------------------------------

    def _prepare(self, pool: ThreadPoolExecutor, photos: Iterator[Photo], window: int) -> None:
        """Have the photos made ready, by the way that suits their number, and encode them in their order."""
        tasks = self._tasks(photos)
        first = list(islice(tasks, self._options.worth_workers)) if self._options.workers > 1 else []
        tasks = chain(first, tasks)
        if first and len(first) == self._options.worth_workers and (workers := self._worker_pool()):
            with closing(workers):
                for photo, outcome in workers.prepared(tasks):
                    self._receive(photo, outcome)
        else:
            self._by_threads(pool, tasks, window)

    def _tasks(self, photos: Iterator[Photo]) -> Iterator[Task]:
        for photo in photos:
            before = self._known.get(photo.item_id)
            yield photo, before.digest if before is not None else ""

    def _by_threads(self, pool: ThreadPoolExecutor, tasks: Iterator[Task], window: int) -> None:
        """Keep `window` photos being read ahead by threads of this process."""
        preparer = self._preparer() if self._vectors is None else None
        flying: deque[tuple[Photo, Future[Outcome]]] = deque()

        def land() -> None:
            photo, future = flying.popleft()
            with self._clock.stage("wait"):
                outcome = future.result()
            self._receive(photo, outcome)

        def timed(photo: Photo, digest: str) -> Outcome:
            with self._clock.stage("decode"):
                if preparer is not None:
                    return preparer(photo.location, digest)
                assert self._vectors is not None
                return _imported(self._vectors, photo.item_id)

        try:
            for photo, digest in tasks:
                flying.append((photo, pool.submit(timed, photo, digest)))
                if len(flying) >= window:
                    land()
            while flying:
                land()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise

    def _preparer(self) -> Preparer:
        encoder = self._encoder
        return Preparer(
            encoder.preprocessor() if isinstance(encoder, RunsInWorkers) else encoder.preprocess,
            encoder.input_px,
            self._originals,
            self._options.limits,
            keep_urls=self._thumbnails is not None,
        )

    def _worker_pool(self) -> WorkerPool | None:
        """Return processes to make photos ready, or None where they cannot be had or would not be faster."""
        if self._vectors is not None or not isinstance(self._encoder, RunsInWorkers):
            return None
        recipe = self._encoder.recipe()
        workers = _fitting(self._options.workers)
        if workers < 2 or (recipe is None and not self._encoder.accelerated):
            return None
        try:
            with self._clock.stage("start"):
                return WorkerPool(self._preparer(), recipe, workers, on_seconds=self._clock.add)
        except WorkersUnavailable as error:
            _log.warning("this process reads all photos itself: %s", error)
            return None

    def _receive(self, photo: Photo, made: Outcome) -> None:
        if isinstance(made, Unreadable):
            self._fail(_where(photo), made.reason)
            return
        before = self._known.get(photo.item_id)
        if before is not None and before.digest == made.digest:
            del self._known[photo.item_id]
            self._settle(photo, before)
            return
        self._ready.append(_Received(photo, made))
        if len(self._ready) >= ENCODE_AT_ONCE:
            self._encode()

    def _encode(self) -> None:
        """Encode the photos that are ready, but for those that were encoded where they were made ready."""
        batch, self._ready = self._ready, []
        bare = [received.made for received in batch if received.made.vector is None]
        if bare:
            with self._clock.stage("encode"):
                vectors = self._encoder.encode_arrays([made.array for made in bare if made.array is not None])
            for made, vector in zip(bare, vectors, strict=True):
                made.vector, made.array = vector, None
        self._encoded += batch
        if len(self._encoded) >= COMMIT_AT_ONCE:
            self._commit()
        self._report_progress()

    def _commit(self) -> None:
        self._write_settled()
        batch, self._encoded = self._encoded, []
        if not batch:
            return
        with self._clock.stage("store"):
            self._keep_rows(batch)
            items = [
                Photo(
                    item_id=received.photo.item_id,
                    source=received.photo.source,
                    location=received.photo.location,
                    size_bytes=received.photo.size_bytes,
                    modified_ns=received.photo.modified_ns,
                    digest=received.made.digest,
                    row_digest=received.row_digest or _row_digest(received.photo.metadata),
                    width_px=received.made.width_px,
                    height_px=received.made.height_px,
                    metadata=received.photo.metadata,
                )
                for received in batch
            ]
            vectors = np.stack(
                [received.made.vector for received in batch if received.made.vector is not None]
            )
            keys, replaced = self._catalog.store(items, vectors)
            looks = [
                (key, received.made.look)
                for key, received in zip(keys, batch, strict=True)
                if received.made.look
            ]
            self._catalog.looks.store(
                np.array([key for key, _ in looks], np.uint64), [look for _, look in looks]
            )
        with self._clock.stage("index"):
            self._index.add(keys, vectors)
            self._index.remove(replaced)
        if self._thumbnails is not None:
            for key, received in zip(keys, batch, strict=True):
                if received.made.thumbnail is not None:
                    self._thumbnails.put(int(key), received.made.thumbnail, KEPT_URL_PX)
        changed = sum(1 for received in batch if self._known.pop(received.photo.item_id, None))
        self._changed += changed
        self._added += len(batch) - changed
        self._unsaved += len(batch)
        if self._unsaved >= SAVE_INDEX_EVERY:
            with self._clock.stage("index"):
                self._index.save()
            self._unsaved = 0

    def _keep_rows(self, batch: Sequence[_Received]) -> None:
        """Give changed photos the metadata they have: a run without a metadata file says nothing about rows."""
        bare = {received.photo.item_id for received in batch if not received.photo.metadata}
        kept = {
            item.item_id: item.metadata for item in self._catalog.get_many(sorted(bare & self._known.keys()))
        }
        for received in batch:
            if metadata := kept.get(received.photo.item_id):
                received.row_digest = self._known[received.photo.item_id].row_digest
                received.photo = replace(received.photo, metadata=metadata)

    def _note_looks(self, stored: Mapping[str, Photo]) -> None:
        """Note the photos that were indexed without a look; the photos of imported embeddings may not be here."""
        if self._vectors is None and stored:
            keys = np.array([photo.key for photo in stored.values()], np.uint64)
            self._without_look += keys[~self._catalog.looks.has(keys)].tolist()

    def _fill_looks(self, pool: ThreadPoolExecutor) -> None:
        """Make the looks that photos of these sources lack, in the threads that decode."""
        if not self._without_look:
            return
        maker = LookMaker(self._originals, self._thumbnails, self._options.limits)
        with self._clock.stage("looks"):
            wanted = np.intersect1d(np.array(self._without_look, np.uint64), self._catalog.looks.missing())
            parts = [
                wanted[start : start + COMMIT_AT_ONCE] for start in range(0, len(wanted), COMMIT_AT_ONCE)
            ]
            for _ in pool.map(lambda part: maker.fill(self._catalog, self._catalog.by_keys(part)), parts):
                pass

    def _find_vanished(self, sources: Sequence[Source]) -> None:
        for source in sources:
            if not source.complete:
                self._notes.append(
                    f"{source.name} could not be read to its end: nothing of it counts as vanished."
                )
                continue
            vanished = sorted(self._catalog.ids_of_source(source.name) - self._seen.keys())
            self._vanished += len(vanished)
            if vanished and self._options.prune:
                self._index.remove(self._catalog.remove(vanished))
                self._removed += len(vanished)

    def _fail(self, path: str, reason: str) -> None:
        self._failures.append(Failure(path, reason))
        self._report_progress()

    def _report_progress(self) -> None:
        if self._progress is not None:
            pending = len(self._ready) + len(self._encoded)
            encoded = self._added + self._changed + pending
            done = encoded + self._unchanged + len(self._failures)
            self._progress(Progress(done, self._total, encoded, len(self._failures)))


class _StageClock:
    """Seconds by stage; `decode` is summed over its threads, the others are of the one main thread."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def stage(self, name: str) -> _Stage:
        return _Stage(self, name)

    def seconds(self) -> dict[str, float]:
        with self._lock:
            return dict(self._seconds)


class _Stage:
    def __init__(self, clock: _StageClock, name: str) -> None:
        self._clock = clock
        self._name = name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._clock.add(self._name, time.perf_counter() - self._started)


def _looks_unchanged(photo: Photo, before: Photo) -> bool:
    """Tell without reading it whether the picture is as it was; a URL's content is taken to stay the same."""
    if is_url(photo.location):
        return photo.location == before.location
    return (photo.size_bytes, photo.modified_ns) == (before.size_bytes, before.modified_ns)


def _fitting(workers: int) -> int:
    """Return how many of so many processes there is memory for."""
    free = available_bytes()
    return workers if free is None else min(workers, free // WORKER_BYTES)


def _imported(vectors: EmbeddingsByItem, item_id: str) -> Outcome:
    """Return the photo with the embedding that was imported for it; raises nothing."""
    try:
        vector = vectors.find(item_id)
    except Exception as error:  # one photo must not stop a run
        return Unreadable.because_of(error, item_id)
    return PreparedPhoto(content_digest(vector.tobytes()), vector=vector)


def _where(photo: Photo) -> str:
    return photo.location if is_url(photo.location) else photo.item_id


def _row_digest(metadata: Mapping[str, Any]) -> str:
    return content_digest(json.dumps(metadata, sort_keys=True, ensure_ascii=False, default=str).encode())


def _chunks(entries: Iterable[Any], size: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
