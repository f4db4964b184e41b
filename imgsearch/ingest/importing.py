"""One import of a feed, a folder or files that were sent: the run, and what becomes of items that vanished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from imgsearch.core.errors import NoPhotoColumn
from imgsearch.core.records import IndexingReport
from imgsearch.ingest.feeds import MetadataFile
from imgsearch.ingest.import_sources import (
    feed_options,
    only_table,
    open_import,
    open_photos,
    preview_photos,
    preview_sources,
    source_name,
)
from imgsearch.ingest.import_spec import ImportSpec
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.ingest.named_source import NamedSource
from imgsearch.ingest.pruning import NO_LIMIT, PruneLimit
from imgsearch.ingest.row_updates import count_matching, open_rows, table_file, update_rows
from imgsearch.ingest.run import ProgressCallback
from imgsearch.ingest.vanished_items import hide_vanished, show_listed
from imgsearch.search.engine import SearchEngine
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.change_log import acting_as
from imgsearch.store.originals import Originals
from imgsearch.vision.images import ImageLimits

IDS_AT_ONCE = 1000


def run_import(
    engine: SearchEngine,
    editor: ItemEditor,
    spec: ImportSpec,
    folder: Path | None,
    *,
    threads: int = 0,
    progress: ProgressCallback | None = None,
) -> IndexingReport:
    """Import into an open catalog and return what was done; `folder` holds the uploaded files.

    A table without a column of photos describes the photos that were sent with it, else items of the catalog, which
    `editor` changes. Raises `SourceError` for a source that cannot be used at all, `EncoderMismatch`, and what
    `progress` raises, which is called between batches: what was committed stays, and another run continues there.
    """
    settings, catalog = engine.settings, engine.catalog
    limits = ImageLimits(max_pixels=settings.max_pixels)
    originals = Originals(
        max_bytes=limits.max_bytes, private_hosts=spec.private_hosts, catalog_folder=catalog.folder
    )
    actor = f"import {spec.source or spec.place or 'of files'}"
    limit = prune_limit(spec, settings.max_removed)
    options = IndexingOptions(
        prune=spec.gone == "remove", prune_limit=limit, threads=threads or settings.threads, limits=limits
    )
    with closing(originals), acting_as(actor):
        try:
            sources = open_import(spec, folder, catalog.folder, originals, partial(_are_items, catalog))
        except NoPhotoColumn:
            photos = open_photos(spec, folder, catalog.folder, originals)
            if photos is None:
                with described_rows(catalog, spec, folder) as rows:
                    return update_rows(
                        catalog, editor, rows, index=engine.index, actor=actor, progress=progress
                    )
            sources = [photos]
            options = replace(options, metadata=only_table(folder), feed=feed_options(spec, folder))
        report = _index(engine, sources, options, originals, progress)
        return _with_hidden(engine, spec, sources, limit, report)


def _index(
    engine: SearchEngine,
    sources: Sequence[NamedSource],
    options: IndexingOptions,
    originals: Originals,
    progress: ProgressCallback | None,
) -> IndexingReport:
    is_new = not engine.catalog.encoder_id
    encoder = engine.encoder.for_indexing(None, engine.settings.encoder)
    if is_new:
        engine.reopen_index()  # in the space of the encoder that the catalog now has
    report = index_sources(
        engine.catalog,
        engine.index,
        encoder,
        sources,
        options=options,
        originals=originals,
        thumbnails=engine.thumbnails,
        progress=progress,
    )
    for other in engine.indexes()[1:]:  # those of saved systems follow the catalog too
        other.sync()
    return report


def preview_import(engine: SearchEngine, spec: ImportSpec, folder: Path | None) -> dict[str, Any]:
    """Return what an import would read, as JSON values; fetches no photo and changes nothing. Raises `SourceError`.

    `feeds` has what was understood of each feed, `photos` the number of photos that no feed names, `shown` some.
    `rows` is the number of rows that only describe photos, `items` the number of the catalog's items that they name.
    """
    try:
        return preview_sources(spec, folder, partial(_are_items, engine.catalog)) | {"rows": 0, "items": 0}
    except NoPhotoColumn:
        with described_rows(engine.catalog, spec, folder) as rows:
            counts = {"rows": len(rows), "items": count_matching(engine.catalog, rows)}
        photos = preview_photos(folder)
        if not photos["photos"] and not counts["items"]:
            raise
        return {"source": source_name(spec, folder), "feeds": [], **photos, **counts}


def _are_items(catalog: CatalogStore, ids: Sequence[str]) -> bool:
    parts = (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
    return all(len(catalog.get_many(part)) == len(part) for part in parts)


@contextmanager
def described_rows(catalog: CatalogStore, spec: ImportSpec, folder: Path | None) -> Iterator[MetadataFile]:
    """Yield the rows of the one table of an import, found by the ids of the catalog's items."""
    place = str(only_table(folder)) if folder is not None else spec.place
    with table_file(place, private_hosts=spec.private_hosts) as table:
        yield open_rows(catalog, table, feed_options(spec, folder))


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
