"""Several sources that are one under a name, such as a table and the folder of its photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from imgsearch.core.records import Failure, LeftOut
from imgsearch.ingest.sources import KeepsIds, Selective, Source
from imgsearch.store.item_table import Photo
from imgsearch.store.source_table import SourceTable, check_source_name


class JoinedSource:
    """Lists the photos of its parts under one name."""

    def __init__(self, name: str, parts: Sequence[Source]) -> None:
        """Join the parts; raises `SourceError` for a name that is not valid."""
        self.name = check_source_name(name)
        self.places = tuple(part.name for part in parts)
        self._parts = parts

    @property
    def complete(self) -> bool:
        """Whether the last listing was complete."""
        return all(part.complete for part in self._parts)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What the last listing left out."""
        return tuple(one for part in self._parts if isinstance(part, Selective) for one in part.left_out)

    def keep_ids(self, locations: Mapping[str, str]) -> None:
        """Let the feeds among them keep the ids of their photos."""
        for source in self._parts:
            if isinstance(source, KeepsIds):
                source.keep_ids(locations)

    def count(self) -> int | None:
        """Return the approximate number of photos, or None where a part does not know it."""
        counts = [part.count() for part in self._parts]
        return None if None in counts else sum(count or 0 for count in counts)

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield every photo, part by part."""
        for part in self._parts:
            for entry in part.photos():
                yield entry if isinstance(entry, Failure) else replace(entry, source=self.name)


def named_sources(sources: Sequence[Source], name: str, table: SourceTable) -> list[Source]:
    """Return the sources as one of that name, if there is one: given, or that of the last run over these places."""
    name = name or table.name_of([source.name for source in sources])
    is_named = name and [source.name for source in sources] != [name]
    return [JoinedSource(name, sources)] if is_named else list(sources)


def places_of(source: Source) -> tuple[str, ...]:
    """Return the places of a source: those of its parts, else its name."""
    return source.places if isinstance(source, JoinedSource) else (source.name,)
