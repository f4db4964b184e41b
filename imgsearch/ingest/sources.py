"""Where photos come from: folders, here or in an object store, .tar and .zip archives, and feeds.

A source lists photos with their id, location, size and time, and reads none. A photo that cannot be listed becomes a
`Failure`, and the listing continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure, LeftOut
from imgsearch.core.text import error_line
from imgsearch.ingest.archive_source import ArchiveSource, RemoteSource
from imgsearch.ingest.exclusions import ExclusionRules
from imgsearch.ingest.feeds import FeedOptions, open_feed
from imgsearch.ingest.folder_source import FolderSource
from imgsearch.ingest.tables import TABLE_SUFFIXES, is_table_name
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import is_url
from imgsearch.store.remote_files import is_remote

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class Source(Protocol):
    """Something that lists photos."""

    @property
    def name(self) -> str:
        """The absolute path or URL that the catalog stores for the source."""

    def count(self) -> int | None:
        """Return the approximate number of photos, or None where counting takes as long as listing."""

    @property
    def complete(self) -> bool:
        """Whether the last listing was complete; else unlisted photos do not count as vanished."""

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield every photo, in the same order each time."""


@runtime_checkable
class Selective(Protocol):
    """A source that leaves out some of what it finds."""

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the last listing left out, by reason."""


@runtime_checkable
class KeepsIds(Protocol):
    """A source that gives the photos of a product numbers, such as SKU/2, and keeps those of the last import."""

    def keep_ids(self, locations: Mapping[str, str]) -> None:
        """Use the ids of photos that a catalog has: their locations, by item id."""


def open_source(
    text: str | Path,
    *,
    root: Path | None = None,
    feed_options: FeedOptions | None = None,
    rules: ExclusionRules | None = None,
) -> Source:
    """Return the source at a path or URL; `root` (its folder) limits a feed's photos.

    `rules` say what of folders, archives and stores is left out. Raises `SourceError`.
    """
    options = feed_options or FeedOptions()
    options = replace(options, root=root) if root else options
    if isinstance(text, str) and is_url(text):
        return open_feed(text, options=options)
    if isinstance(text, str) and is_remote(text):
        return RemoteSource(text, rules)
    path = _local_path(text)
    if path.is_dir():
        return FolderSource(path, rules)
    if not path.exists():
        raise SourceError(f"There is no folder or file {path}.")
    name = path.name.lower()
    if name.endswith(ARCHIVE_SUFFIXES):
        return ArchiveSource(path, rules)
    if is_table_name(name):
        return open_feed(path, options=options)
    raise SourceError(
        f"{path} is neither a folder, nor an archive ({' '.join(ARCHIVE_SUFFIXES)}), "
        f"nor a table ({' '.join(TABLE_SUFFIXES)})."
    )


def _local_path(text: str | Path) -> Path:
    """Return a path of this machine in full; raises `SourceError` for a text that no path can have."""
    try:
        path = Path(text).expanduser().absolute()
        path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(f"{str(text)[:200]!r} is not a folder or file: {error_line(error)}.") from None
    return path


def open_sources(
    sources: Sequence[str | Path | Source],
    *,
    root: Path | None = None,
    feed: FeedOptions | None = None,
    rules: ExclusionRules | None = None,
) -> list[Source]:
    """Return the sources, each once; those that are open stay as they are.

    Feeds may name photos in the folders among them. Raises `SourceError`.
    """
    if not sources:
        raise SourceError("No source was given; name a folder, an archive or a table.")
    options = feed or FeedOptions()
    texts = [source for source in sources if isinstance(source, str | Path)]
    places = [_local_path(text) for text in texts if not is_remote(str(text))]
    folders = tuple(place for place in places if place.is_dir())
    options = replace(options, folders=(*options.folders, *folders))
    opened = [
        open_source(source, root=root, feed_options=options, rules=rules)
        if isinstance(source, str | Path)
        else source
        for source in sources
    ]
    return list({source.name: source for source in opened}.values())
