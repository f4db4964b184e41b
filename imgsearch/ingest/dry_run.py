"""What an import would find: sources are listed and tables read, nothing is opened, encoded or changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from imgsearch.core.records import Failure
from imgsearch.ingest.exclusions import ExclusionRules
from imgsearch.ingest.feeds import Feed, FeedOptions, FeedPreview, MetadataFile
from imgsearch.ingest.feeds.metadata_file import SAMPLE_PHOTOS
from imgsearch.ingest.sources import Source, open_sources
from imgsearch.store.item_table import Photo

SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class ListedSource:
    """A source: how many photos it lists, how many it cannot, and the preview of a feed."""

    name: str
    photos: int
    failed: int
    failures: tuple[Failure, ...]
    preview: FeedPreview | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the source as JSON; of a feed its preview."""
        if self.preview is not None:
            return self.preview.as_dict()
        return {**asdict(self), "failures": [asdict(failure) for failure in self.failures]}


@dataclass(frozen=True, slots=True)
class MatchedMetadata:
    """A metadata file: how many photos have a row, how many rows have no photo."""

    path: str
    rows: int
    matched: int
    unused: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an import would find; `notes` are sentences on what a person should check."""

    sources: tuple[ListedSource, ...]
    metadata: MatchedMetadata | None
    notes: tuple[str, ...]

    @property
    def photos(self) -> int:
        """How many photos all sources list."""
        return sum(source.photos for source in self.sources)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "sources": [source.as_dict() for source in self.sources],
            "metadata": asdict(self.metadata) if self.metadata is not None else None,
            "notes": list(self.notes),
        }


def dry_run(
    sources: Sequence[str | Path],
    metadata: Path | None = None,
    *,
    root: Path | None = None,
    feed: FeedOptions | None = None,
    rules: ExclusionRules | None = None,
) -> DryRun:
    """List the sources and match the metadata file with their photos; raises `SourceError`."""
    options = feed or FeedOptions()
    opened = open_sources(sources, root=root, feed=options, rules=rules)
    listed = tuple(_listed(source) for source in opened)
    notes = [note for source in opened if isinstance(source, Feed) for note in source.notes()]
    matched = None
    if metadata is not None:
        table = MetadataFile(metadata, options=options)
        table.fit(islice(_ids(opened), SAMPLE_PHOTOS))
        found = sum(bool(table.row(item_id)) for item_id in _ids(opened))
        matched = MatchedMetadata(str(metadata), len(table), found, table.unused)
        notes += table.notes()
    return DryRun(listed, matched, tuple(notes))


def _ids(sources: Sequence[Source]) -> Iterator[str]:
    for source in sources:
        yield from (entry.item_id for entry in source.photos() if isinstance(entry, Photo))


def _listed(source: Source) -> ListedSource:
    if isinstance(source, Feed):
        preview = source.preview()
        return ListedSource(source.name, preview.photos, preview.failed, preview.failures, preview)
    photos, failures = 0, []
    for entry in source.photos():
        if isinstance(entry, Failure):
            failures.append(entry)
        else:
            photos += 1
    return ListedSource(source.name, photos, len(failures), tuple(failures[:SHOWN_FAILURES]))
