"""Indexing: photos from sources are read, encoded, stored in the catalog and added to the index.

Photos are read ahead of the rest by threads or worker processes. Every batch is
committed whole: a run that is killed loses the batch in work, and the next run continues from there. A photo that
cannot be read becomes a `Failure` of the report and never stops a run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path

from imgsearch.core.config import cpu_count
from imgsearch.core.errors import EncoderMismatch
from imgsearch.core.records import IndexingReport
from imgsearch.encoders.base import Encoder, RunsInWorkers
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.column_plan import ColumnPlan, plan_columns
from imgsearch.ingest.exclusions import ExclusionRules
from imgsearch.ingest.feeds import Feed, FeedOptions, MetadataFile
from imgsearch.ingest.feeds.metadata_file import SAMPLE_PHOTOS
from imgsearch.ingest.joined_source import named_sources
from imgsearch.ingest.look_backfill import LookMaker
from imgsearch.ingest.moved_photos import MovedPhotos
from imgsearch.ingest.named_source import NamedSource
from imgsearch.ingest.precomputed import ImportedEmbeddings, imported_photo, open_embeddings
from imgsearch.ingest.preparation import Outcome, Preparer, read_ahead
from imgsearch.ingest.pruning import PruneLimit
from imgsearch.ingest.run import ENCODE_BATCH, BatchWriter, ProgressCallback, RunReport, Scan
from imgsearch.ingest.shards import ShardedEmbeddings
from imgsearch.ingest.sources import KeepsIds, Source, open_sources
from imgsearch.ingest.workers import WorkerPool, WorkersUnavailable, fitting_workers
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import Originals
from imgsearch.store.removals import Removals
from imgsearch.store.source_table import SourceTable
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.store.url_states import UrlStates
from imgsearch.vision.images import ImageLimits

MIN_PHOTOS_FOR_WORKERS = 1_000
"""Fewer photos are done before worker processes have started."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """How a run goes.

    `prune` removes vanished items within `prune_limit`; where more have vanished, none is removed and the report says
    so. `source` names the sources, which are then one; by default their places name them, or the name that these
    places had before. `take_over` lets photos take the ids of other photos of other sources. Items that a person
    removed stay removed unless `restore`. Known photos at URLs are read again if their server says that they have
    changed, with `refresh` always, with False never. `rules` say what of folders, archives and stores is left out,
    `feed` how tables are read. `threads` decode (0: as many as processors) beside the encoder. With more than one of
    `workers`, that many processes prepare the photos instead, once there are `worth_workers` of them to read, and
    encode them too where that is faster.
    """

    metadata: Path | None = None
    embeddings: Path | str | None = None
    prune: bool = False
    prune_limit: PruneLimit = field(default_factory=PruneLimit)
    source: str = ""
    take_over: bool = False
    restore: bool = False
    refresh: bool | None = None
    rules: ExclusionRules = field(default_factory=ExclusionRules)
    root: Path | None = None
    feed: FeedOptions = field(default_factory=FeedOptions)
    threads: int = 0
    workers: int = 1
    worth_workers: int = MIN_PHOTOS_FOR_WORKERS
    limits: ImageLimits = field(default_factory=ImageLimits)


def index_sources(
    catalog: CatalogStore,
    index: LiveIndex,
    encoder: Encoder,
    sources: Sequence[str | Path | Source],
    *,
    options: IndexingOptions | None = None,
    originals: Originals | None = None,
    thumbnails: ThumbnailCache | None = None,
    progress: ProgressCallback | None = None,
) -> IndexingReport:
    """Update the catalog from the sources and return what was done.

    Photos are identified by item id. One whose size or time differs is read again, and encoded again only when its
    bytes differ. The photos that a source no longer lists are counted as vanished, and removed with `options.prune`.
    Raises `SourceError` for a source, metadata or embeddings file that cannot be used at all (nothing is changed
    then), and `EncoderMismatch` when the catalog holds another encoder's embeddings.
    """
    options = options or IndexingOptions()
    opened = open_sources(sources, root=options.root, feed=options.feed, rules=options.rules)
    metadata = _open_metadata(options, opened)
    vectors = _open_embeddings(options, opened, encoder)
    table = SourceTable(catalog)
    listed = named_sources(opened, options.source, table)
    for source in listed:
        if isinstance(source, KeepsIds):
            source.keep_ids(table.photos_of_products(source.name))
    catalog.bind_encoder(encoder.spec, encoder.id, encoder.dim)
    report = RunReport(progress)
    scan = _scan(catalog, index, report, metadata, options)
    scan.columns = _plan_columns(catalog, index, opened, metadata)
    writer = BatchWriter(catalog, index, encoder, scan, report, thumbnails)
    with ExitStack() as stack:
        files = originals or stack.enter_context(closing(_originals(catalog, options)))
        report.count(listed)
        pool = stack.enter_context(ThreadPoolExecutor(_threads(options), thread_name_prefix="decode"))
        prepare = (
            partial(imported_photo, vectors)
            if vectors is not None
            else _preparer(encoder, files, options, thumbnails)
        )

        def write(photos: Iterator[Photo]) -> None:
            with closing(_read_photos(photos, prepare, encoder, report, options, pool)) as read:
                writer.write(read)

        write(scan.photos(listed))
        write(iter(writer.settle_known(listed)))
        if scan.without_look:
            with report.stage("looks"):
                LookMaker(files, thumbnails, options.limits).fill_missing(catalog, scan.without_look, pool)
    scan.find_vanished(listed, options.prune_limit if options.prune else None)
    scan.note_runs(listed, table)
    with report.stage("index"):
        index.save()
    report.notes += [*_notes_on_tables(metadata, opened), *scan.columns.notes()]
    report.show()
    return report.finish(encoder.id)


def _scan(
    catalog: CatalogStore,
    index: LiveIndex,
    report: RunReport,
    metadata: MetadataFile | None,
    options: IndexingOptions,
) -> Scan:
    return Scan(
        catalog,
        index,
        report,
        metadata,
        trust_files=not options.embeddings,
        moves=MovedPhotos(catalog, index),
        url_states=UrlStates(catalog.database),
        refresh=options.refresh,
        take_over=options.take_over,
        had_items=len(catalog) > 0,
        removed=frozenset() if options.restore else frozenset(Removals(catalog.database).by_hand()),
    )


def _open_metadata(options: IndexingOptions, sources: Sequence[Source]) -> MetadataFile | None:
    if options.metadata is None:
        return None
    metadata = MetadataFile(options.metadata, options=options.feed)
    if metadata.needs_fit:
        listed = (
            photo.item_id for source in sources for photo in source.photos() if isinstance(photo, Photo)
        )
        metadata.fit(islice(listed, SAMPLE_PHOTOS))
    return metadata


def _plan_columns(
    catalog: CatalogStore, index: LiveIndex, sources: Sequence[Source], metadata: MetadataFile | None
) -> ColumnPlan:
    tables = [feed.layout.imported for feed in _feeds(sources)]
    plan = plan_columns(catalog, [*tables, *([metadata.imported] if metadata is not None else [])])
    if plan.retyped:
        index.refresh(catalog.keys())
    return plan


def _feeds(sources: Sequence[Source]) -> list[Feed]:
    feeds = [source.feed if isinstance(source, NamedSource) else source for source in sources]
    return [feed for feed in feeds if isinstance(feed, Feed)]


def _notes_on_tables(metadata: MetadataFile | None, sources: Sequence[Source]) -> list[str]:
    notes = [note for feed in _feeds(sources) for note in feed.notes()]
    return [*notes, *(metadata.notes() if metadata is not None else ())]


def _originals(catalog: CatalogStore, options: IndexingOptions) -> Originals:
    return Originals(max_bytes=options.limits.max_bytes, catalog_folder=catalog.folder)


def _threads(options: IndexingOptions) -> int:
    return options.threads or max(2, cpu_count())


def _read_photos(
    photos: Iterator[Photo],
    prepare: Preparer | Callable[[Photo], Outcome],
    encoder: Encoder,
    report: RunReport,
    options: IndexingOptions,
    pool: ThreadPoolExecutor,
) -> Generator[tuple[Photo, Outcome], None, None]:
    """Yield each photo with its outcome, in their order, some of them in work; close it to cancel these."""
    first = list(islice(photos, options.worth_workers)) if options.workers > 1 else []
    photos = chain(first, photos)
    enough = first and len(first) == options.worth_workers
    if (
        enough
        and isinstance(prepare, Preparer)
        and (workers := _worker_pool(prepare, encoder, report, options))
    ):
        with closing(workers):
            yield from workers.prepared(photos)
        return

    def timed(photo: Photo) -> Outcome:
        with report.stage("decode"):
            return prepare(photo)

    for photo, future in read_ahead(photos, timed, pool, ahead=_threads(options) * 2 + ENCODE_BATCH):
        with report.stage("wait"):
            outcome = future.result()
        yield photo, outcome


def _worker_pool(
    preparer: Preparer, encoder: Encoder, report: RunReport, options: IndexingOptions
) -> WorkerPool | None:
    """Return worker processes, or None where they are not available or not faster."""
    workers = fitting_workers(options.workers)
    if workers < 2 or not isinstance(encoder, RunsInWorkers):
        return None
    recipe = encoder.recipe()
    if recipe is None and not encoder.accelerated:
        return None
    try:
        with report.stage("start"):
            return WorkerPool(preparer, recipe, workers, on_seconds=report.add_seconds)
    except WorkersUnavailable as error:
        _log.warning("this process reads all photos itself: %s", error)
        return None


def _preparer(
    encoder: Encoder, originals: Originals, options: IndexingOptions, thumbnails: ThumbnailCache | None
) -> Preparer:
    preprocess = encoder.preprocessor() if isinstance(encoder, RunsInWorkers) else encoder.preprocess
    keep_urls = thumbnails is not None
    return Preparer(preprocess, encoder.input_px, originals, options.limits, keep_urls=keep_urls)


def _open_embeddings(
    options: IndexingOptions, sources: Sequence[Source], encoder: Encoder
) -> ImportedEmbeddings | ShardedEmbeddings | None:
    if not options.embeddings:
        return None
    vectors = open_embeddings(options.embeddings, sources)
    if vectors.dim != encoder.dim:
        raise EncoderMismatch(
            f"{options.embeddings} holds embeddings of {vectors.dim} dimensions, but {encoder.id} makes "
            f"{encoder.dim}; name the encoder that made them with --encoder."
        )
    return vectors
