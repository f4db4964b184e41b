"""Opening a feed: a file, or a URL that is read first."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from imgsearch.core.errors import SourceError
from imgsearch.ingest.feeds.feed import Feed
from imgsearch.ingest.feeds.layout import read_layout
from imgsearch.ingest.feeds.local_photos import PhotoFinder
from imgsearch.ingest.feeds.options import FeedOptions
from imgsearch.ingest.tables import is_table_name, read_table
from imgsearch.ingest.tables.table import Table
from imgsearch.store.originals import Originals, is_url, path_location

MAX_FEED_BYTES = 512 * 1024**2
"""Bytes of a feed that is read from a URL."""


def open_feed(place: Path | str, *, options: FeedOptions | None = None) -> Feed:
    """Return the feed in a file or at a URL; raises `SourceError` in one sentence."""
    options = options or FeedOptions()
    if isinstance(place, str) and is_url(place):
        return _open_url(place, options)
    path = Path(place).expanduser().absolute()
    table = _read(path, options)
    layout = read_layout(table, options, options.stated())
    base = path.parent
    finder = PhotoFinder(base, options.folders, root=(options.root or base).absolute())
    return Feed(path_location(path), table, layout, finder)


def _read(path: Path, options: FeedOptions) -> Table:
    return read_table(path, encoding=options.encoding, separator=options.separator, limits=options.limits)


def _open_url(url: str, options: FeedOptions) -> Feed:
    limit = min(MAX_FEED_BYTES, options.limits.max_bytes)
    with closing(Originals(max_bytes=limit, private_hosts=options.private_hosts)) as originals:
        try:
            data = originals.read(url)
        except SourceError as error:
            reason = str(error).replace("photo's URL", "feed's URL").replace("the photo", "the feed")
            raise SourceError(f"The feed {url[:200]} cannot be read: {reason}") from error
    name = PurePosixPath(urlsplit(url).path).name
    # A URL such as /feed?format=csv has no ending; the first bytes tell the format.
    name = name if is_table_name(name) else "feed.txt"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            table = replace(_read(path, options), path=f"The feed {url[:200]}")
        except SourceError as error:
            raise SourceError(str(error).replace(str(path), f"The feed {url[:200]}")) from None
    layout = read_layout(table, options, options.stated())
    return Feed(url, table, layout, None, url=url)
