"""The sources of an import: a feed at a URL, a place on this disk, or files that were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgsearch.core.errors import ImgSearchError, NoPhotoColumn, SourceError
from imgsearch.core.records import Failure
from imgsearch.ingest.feeds import Feed, FeedOptions, open_feed
from imgsearch.ingest.folder_source import FolderSource
from imgsearch.ingest.import_spec import ImportSpec
from imgsearch.ingest.named_source import NamedSource
from imgsearch.ingest.sources import Source, open_source
from imgsearch.ingest.tables import is_table_name
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import Originals, content_digest, file_of, is_url, path_location
from imgsearch.store.remote_files import is_remote, normalised_place
from imgsearch.store.stored_originals import store_original

SHOWN_PHOTOS = 12

AreItems = Callable[[Sequence[str]], bool]
"""Returns whether all of these ids are those of items."""


class OtherPhotos:
    """The photos in a folder that no feed names."""

    complete = True

    def __init__(self, folder: Path, feeds: Sequence[Feed]) -> None:
        """List the feeds once, to know what they name."""
        self._source = FolderSource(folder)
        self._named = {
            entry.location for feed in feeds for entry in feed.photos() if isinstance(entry, Photo)
        }
        self.name = self._source.name

    def count(self) -> int | None:
        """Return how many photos there are."""
        return sum(isinstance(entry, Photo) for entry in self.photos())

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos by name."""
        for entry in self._source.photos():
            if isinstance(entry, Failure) or entry.location not in self._named:
                yield entry


def source_name(spec: ImportSpec, folder: Path | None) -> str:
    """Return the name under which an import's items are known; `folder` holds the uploaded files."""
    if spec.source:
        return spec.source
    if folder is None and (is_url(spec.place) or is_remote(spec.place)):
        return spec.url or normalised_place(spec.path)
    if folder is None:
        return path_location(Path(spec.path).expanduser().absolute())
    tables = _tables(folder)
    return f"upload:{tables[0].name}" if tables else f"upload:{spec.upload}"


def open_import(
    spec: ImportSpec, folder: Path | None, catalog: Path, originals: Originals, are_items: AreItems
) -> list[NamedSource]:
    """Return the sources of an import, whose uploaded files are in `folder`; raises `SourceError`.

    Photos that were sent are kept in the catalog's folder, since the files are deleted after the import.
    """
    name = source_name(spec, folder)
    if folder is None:
        source = open_place(spec)
        check_photos([source], are_items)
        return [NamedSource(source, name)]

    kept = _keeper(catalog, originals)
    tables = _tables(folder)
    feeds = [open_feed(table, options=feed_options(spec, folder)) for table in tables]
    check_photos(feeds, are_items)
    names = [name, *(f"upload:{table.name}" for table in tables[1:])]
    sources = [NamedSource(feed, each, kept=kept) for feed, each in zip(feeds, names, strict=False)]
    others = OtherPhotos(folder, feeds)
    if others.count() or not sources:
        # Photos that no table names are never replaced by another upload.
        sources.append(NamedSource(others, f"upload:{spec.upload}" if tables else name, kept=kept))
    return sources


def open_photos(
    spec: ImportSpec, folder: Path | None, catalog: Path, originals: Originals
) -> NamedSource | None:
    """Return the photos that were sent with a table that only describes them; None where no photo was."""
    others = OtherPhotos(folder, ()) if folder is not None else None
    if others is None or not others.count():
        return None
    return NamedSource(others, f"upload:{spec.upload}", kept=_keeper(catalog, originals))


def only_table(folder: Path | None) -> Path | None:
    """Return the one table among uploaded files; raises `SourceError` where there are several."""
    tables = _tables(folder) if folder is not None else []
    if len(tables) > 1:
        raise SourceError("Send one table for one import, or tables with a column of photos.")
    return tables[0] if tables else None


def _keeper(catalog: Path, originals: Originals) -> Callable[[Photo], Photo | Failure]:
    """Return what stores a photo that was sent in the catalog's folder."""

    def kept(photo: Photo) -> Photo | Failure:
        if file_of(photo.location) is None:
            return photo
        try:
            data = originals.read(photo.location)
        except ImgSearchError as error:
            return Failure(photo.item_id, str(error))
        location = store_original(catalog, data, content_digest(data))
        return replace(photo, location=location, size_bytes=len(data), modified_ns=0)

    return kept


def open_place(spec: ImportSpec) -> Source:
    """Return the source at the URL or path of an import; raises `SourceError`."""
    return open_source(spec.place, feed_options=feed_options(spec, None))


def feed_options(spec: ImportSpec, folder: Path | None) -> FeedOptions:
    """Return how the feeds of an import are read."""
    return FeedOptions(
        format=spec.format,
        id_column=spec.id_column,
        image_columns=spec.image_columns,
        encoding=spec.encoding,
        separator=spec.separator,
        root=folder or (Path(spec.root) if spec.root else None),
        private_hosts=spec.private_hosts,
    )


def check_photos(sources: Sequence[Source], are_items: AreItems) -> None:
    """Raise `NoPhotoColumn` for a table whose ids only look like names of photos, such as prices by file name.

    That is one without another column of photos, of which no photo exists and every id is that of an item.
    """
    for feed in sources:
        if not isinstance(feed, Feed) or not feed.layout.ids_are_photos:
            continue
        ids = [item_id for item_id in feed.ids if item_id]
        if ids and are_items(ids) and not any(isinstance(entry, Photo) for entry in feed.photos()):
            raise NoPhotoColumn(f"The table {feed.name} names no photo that exists.")


def preview_sources(spec: ImportSpec, folder: Path | None, are_items: AreItems) -> dict[str, Any]:
    """Return what is known of the sources of an import without fetching a photo; raises `SourceError`."""
    if folder is not None:
        feeds = [open_feed(table, options=feed_options(spec, folder)) for table in _tables(folder)]
        check_photos(feeds, are_items)
        loose = preview_photos(folder, feeds)
    else:
        opened = open_place(spec)
        check_photos([opened], are_items)
        feeds = [opened] if isinstance(opened, Feed) else []
        loose = _preview_of([] if feeds else _photos_of(opened))
    return {
        "source": source_name(spec, folder),
        "feeds": [feed.preview().as_dict() for feed in feeds],
        **loose,
    }


def preview_photos(folder: Path | None, feeds: Sequence[Feed] = ()) -> dict[str, Any]:
    """Return how many photos were sent that no feed names, and some of their names."""
    return _preview_of([] if folder is None else _photos_of(OtherPhotos(folder, feeds)))


def _preview_of(photos: Sequence[Photo]) -> dict[str, Any]:
    return {"photos": len(photos), "shown": [photo.item_id for photo in photos[:SHOWN_PHOTOS]]}


def _photos_of(source: Source) -> list[Photo]:
    return [entry for entry in source.photos() if isinstance(entry, Photo)]


def _tables(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and is_table_name(path.name))
