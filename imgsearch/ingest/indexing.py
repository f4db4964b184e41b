"""Indexing: photos from sources are read, encoded, stored in the catalog and added to the index.

scan -> preparation (threads or workers, ahead of the rest) -> storing; report collects what happens. Every batch is
committed whole: a run that is killed loses the batch in work, and the next run continues from there. A photo that
cannot be read becomes a `Failure` of the report and never stops a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from imgsearch.core.config import cpu_count
from imgsearch.core.errors import EncoderMismatch, SourceError
from imgsearch.core.records import IndexingReport
from imgsearch.encoders.base import Encoder
from imgsearch.encoders.recipe import RunsInWorkers
from imgsearch.index.live_index import LiveIndex
from imgsearch.ingest.look_backfill import LookMaker
from imgsearch.ingest.manifests import MetadataFile
from imgsearch.ingest.precomputed import ImportedEmbeddings, imported_photo, open_embeddings
from imgsearch.ingest.preparation import Preparer
from imgsearch.ingest.reading import PhotoReader
from imgsearch.ingest.report import Progress, ProgressCallback, RunReport
from imgsearch.ingest.scan import Scan
from imgsearch.ingest.shards import ShardedEmbeddings
from imgsearch.ingest.sources import Source, open_source
from imgsearch.ingest.storing import ENCODE_BATCH, BatchWriter
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals
from imgsearch.store.thumbnails import ThumbnailCache
from imgsearch.vision.images import ImageLimits

__all__ = ["IndexingOptions", "Progress", "ProgressCallback", "index_sources"]

MIN_PHOTOS_FOR_WORKERS = 1_000
"""Fewer photos are done before worker processes have started."""


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """How a run goes.

    `prune` removes vanished items. `threads` decode (0: as many as processors) beside the encoder. With more than one
    of `workers`, that many processes prepare the photos instead, once there are `worth_workers` of them to read, and
    encode them too where that is faster.
    """

    metadata: Path | None = None
    embeddings: Path | str | None = None
    prune: bool = False
    root: Path | None = None
    threads: int = 0
    workers: int = 1
    worth_workers: int = MIN_PHOTOS_FOR_WORKERS
    limits: ImageLimits = field(default_factory=ImageLimits)


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
    """Update the catalog from the sources and return what was done.

    Photos are identified by item id. One whose size or time differs is read again, and encoded again only when its
    bytes differ. The photos that a source no longer lists are counted as vanished, and removed with `options.prune`.
    Raises `SourceError` for a source, metadata or embeddings file that cannot be used at all (nothing is changed
    then), and `EncoderMismatch` when the catalog holds another encoder's embeddings.
    """
    options = options or IndexingOptions()
    opened = _open_sources(sources, options)
    metadata = MetadataFile(options.metadata) if options.metadata else None
    vectors = _open_embeddings(options, opened, encoder)
    catalog.bind_encoder(encoder.spec, encoder.id, encoder.dim)
    report = RunReport(progress)
    scan = Scan(catalog, index, report, metadata, trust_files=vectors is None)
    writer = BatchWriter(catalog, index, encoder, scan, report, thumbnails)
    with ExitStack() as stack:
        files = originals or stack.enter_context(closing(Originals(max_bytes=options.limits.max_bytes)))
        with report.stage("scan"):
            counts = [source.count() for source in opened]
            report.total = None if None in counts else sum(count or 0 for count in counts)
        threads = options.threads or max(2, cpu_count())
        pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="decode"))
        reader = PhotoReader(
            partial(imported_photo, vectors)
            if vectors is not None
            else _preparer(encoder, files, options, thumbnails),
            encoder,
            report,
            workers=options.workers,
            min_photos_for_workers=options.worth_workers,
        )
        with closing(reader.outcomes(scan.photos(opened), pool, ahead=threads * 2 + ENCODE_BATCH)) as read:
            writer.write(read)
        if scan.without_look:
            with report.stage("looks"):
                LookMaker(files, thumbnails, options.limits).fill_missing(catalog, scan.without_look, pool)
    scan.find_vanished(opened, prune=options.prune)
    with report.stage("index"):
        index.save()
    if metadata is not None and metadata.unused:
        rows = f"{metadata.unused} of {len(metadata)} rows of {options.metadata}"
        report.notes.append(f"{rows} match no photo here.")
    report.show()
    return report.finish(encoder.id)


def _open_sources(sources: Sequence[str | Path], options: IndexingOptions) -> list[Source]:
    named = [open_source(source, root=options.root) for source in sources]
    if not named:
        raise SourceError("No source was given; name a folder, an archive or a manifest.")
    return list({source.name: source for source in named}.values())


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
