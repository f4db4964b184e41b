"""One import of a feed, a folder or files that were sent: the run, and what becomes of items that vanished."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from imgsearch.core.records import IndexingReport
from imgsearch.ingest.import_sources import open_import
from imgsearch.ingest.import_spec import ImportSpec
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.named_source import NamedSource
from imgsearch.ingest.pruning import NO_LIMIT, PruneLimit
from imgsearch.ingest.run import ProgressCallback
from imgsearch.ingest.vanished_items import hide_vanished, show_listed
from imgsearch.search.engine import SearchEngine
from imgsearch.store.change_log import acting_as
from imgsearch.store.originals import Originals
from imgsearch.vision.images import ImageLimits


def run_import(
    engine: SearchEngine,
    spec: ImportSpec,
    folder: Path | None,
    *,
    threads: int = 0,
    progress: ProgressCallback | None = None,
) -> IndexingReport:
    """Import into an open catalog and return what was done; `folder` holds the uploaded files.

    Raises `SourceError` for a source that cannot be used at all, `EncoderMismatch`, and what `progress` raises, which
    is called between batches: what was committed stays, and another run continues from there.
    """
    settings, catalog = engine.settings, engine.catalog
    limits = ImageLimits(max_pixels=settings.max_pixels)
    is_new = not catalog.encoder_id
    originals = Originals(
        max_bytes=limits.max_bytes, private_hosts=spec.private_hosts, catalog_folder=catalog.folder
    )
    name = spec.source or spec.place or "of files"
    with closing(originals), acting_as(f"import {name}"):
        sources = open_import(spec, folder, catalog.folder, originals)
        limit = prune_limit(spec, settings.max_removed)
        options = IndexingOptions(
            prune=spec.gone == "remove", prune_limit=limit, threads=threads or settings.threads, limits=limits
        )
        encoder = engine.encoder.for_indexing(None, settings.encoder)
        if is_new:
            engine.reopen_index()  # in the space of the encoder that the catalog now has
        report = index_sources(
            catalog,
            engine.index,
            encoder,
            sources,
            options=options,
            originals=originals,
            thumbnails=engine.thumbnails,
            progress=progress,
        )
        return _with_hidden(engine, spec, sources, limit, report)


def prune_limit(spec: ImportSpec, setting: str) -> PruneLimit:
    """Return how many items an import may remove or hide."""
    return NO_LIMIT if spec.accept_removal else PruneLimit.chosen(spec.max_removed or None, setting)


def _with_hidden(
    engine: SearchEngine,
    spec: ImportSpec,
    sources: Sequence[NamedSource],
    limit: PruneLimit,
    report: IndexingReport,
) -> IndexingReport:
    """Hide what vanished, show again what came back, and return the report with both."""
    notes = list(report.notes)
    if shown := show_listed(engine.catalog, engine.index, sources):
        notes.append(f"{shown:,} hidden items are listed again, and are shown.")
    if spec.gone != "hide":
        return replace(report, notes=tuple(notes))
    hidden, refused = hide_vanished(engine.catalog, engine.index, engine.rules, sources, limit)
    if hidden:
        notes.append(f"{hidden:,} items are no longer listed, and are hidden from visitors.")
    return replace(report, notes=tuple(notes), not_removed=refused or report.not_removed)
