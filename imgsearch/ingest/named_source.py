"""A source under another name: what was sent or fetched for an import keeps the name of earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from imgsearch.core.records import Failure, LeftOut
from imgsearch.ingest.feeds import Feed
from imgsearch.ingest.sources import KeepsIds, Selective, Source
from imgsearch.store.item_table import Photo


class NamedSource:
    """A source under another name, which notes what it lists."""

    def __init__(
        self, source: Source, name: str, *, kept: Callable[[Photo], Photo | Failure] | None = None
    ) -> None:
        """List the photos of `source` under `name`; `kept` returns a photo that stays when the source is deleted."""
        self._source = source
        self.name = name
        self._kept = kept
        self.ids: set[str] = set()
        """The ids of the photos that were listed."""
        self.unreadable: set[str] = set()
        """What could not be listed, as its failures name it."""

    @property
    def complete(self) -> bool:
        """Whether the last listing was complete."""
        return self._source.complete

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the last listing left out."""
        return self._source.left_out if isinstance(self._source, Selective) else ()

    def count(self) -> int | None:
        """Return the approximate number of photos."""
        return self._source.count()

    def keep_ids(self, locations: Mapping[str, str]) -> None:
        """Let a feed keep the ids of its photos."""
        if isinstance(self._source, KeepsIds):
            self._source.keep_ids(locations)

    @property
    def feed(self) -> Feed | None:
        """The feed that it lists, if it is one."""
        return self._source if isinstance(self._source, Feed) else None

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield every photo under the name."""
        for entry in self._source.photos():
            if isinstance(entry, Photo):
                self.ids.add(entry.item_id)
                entry = self._kept(entry) if self._kept is not None else entry
            if isinstance(entry, Failure):
                self.unreadable.add(entry.path)
                yield entry
            else:
                yield replace(entry, source=self.name)
