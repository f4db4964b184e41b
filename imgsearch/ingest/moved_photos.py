"""Photos whose bytes the catalog knows already: moved ones keep their item, copies take its embedding.

A photo under a new id has moved where an item with the same bytes is gone: its source was listed to the end without
it, or its file is missing. The item then gets the new id, and all that names it follows. An item is never renamed
while a source of the run lists it, or while its file exists and its source is not part of the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from imgsearch.core.key_arrays import Keys
from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.item_table import Photo, digests_of_sizes
from imgsearch.store.originals import file_of

COPY_BATCH = 256
MAX_SAME_SIZE = 64
"""Of a size that more photos have, digests are looked up once a photo is read."""


@dataclass(slots=True)
class MovedPhotos:
    """Collects the photos of a run with known bytes, until it is known which items are gone."""

    catalog: CatalogStore
    index: LiveIndex
    _held: dict[str, tuple[Photo, str]] = field(default_factory=dict)  # (photo, digest) by id

    def with_known_digests(self, photos: Sequence[Photo]) -> list[Photo]:
        """Return the photos with the digests of the stored photos of the same size, of which they may be copies."""
        sizes = {photo.size_bytes for photo in photos} - {0}
        by_size = digests_of_sizes(self.catalog.database, sizes, at_most=MAX_SAME_SIZE) if sizes else {}
        return [
            replace(photo, known_digests=by_size[photo.size_bytes]) if photo.size_bytes in by_size else photo
            for photo in photos
        ]

    def hold(self, photo: Photo, digest: str) -> None:
        """Keep a photo with the digest of a stored one for `renamed` and `copied`."""
        self._held[photo.item_id] = replace(photo, known_digests=frozenset()), digest

    def hold_known(self, found: Iterable[tuple[Photo, str]]) -> set[str]:
        """Keep those of the photos (with their digests) whose bytes the catalog has; return their ids."""
        by_id = {photo.item_id: (photo, digest) for photo, digest in found}
        known = {stored.digest for stored in self._stored(digest for _, digest in by_id.values())}
        for photo, digest in by_id.values():
            if digest in known:
                self.hold(photo, digest)
        return {item_id for item_id, (_, digest) in by_id.items() if digest in known}

    def renamed(self, is_listed: Callable[[str], bool], complete: set[str]) -> list[tuple[Photo, Photo]]:
        """Rename the items that have moved; return (the item before, the photo after) for each, by old id.

        `is_listed` says whether a source of the run lists an id, `complete` names the sources listed to their end.
        """
        found = self._stored(digest for _, digest in self._held.values())
        known_ids = self.catalog.stored_photos(list(self._held)).keys()
        gone: dict[str, list[Photo]] = defaultdict(list)
        for item in found:
            if not is_listed(item.item_id) and (item.source in complete or _file_is_missing(item.location)):
                gone[item.digest].append(item)
        new: dict[str, list[Photo]] = defaultdict(list)
        for item_id in sorted(self._held.keys() - known_ids):
            photo, digest = self._held[item_id]
            new[digest].append(photo)
        pairs = [pair for digest, items in gone.items() for pair in _pairs(items, new[digest], complete)]
        pairs.sort(key=lambda pair: pair[0].item_id)
        if pairs:
            self.catalog.rename({old.item_id: photo for old, photo in pairs})
        for _, photo in pairs:
            del self._held[photo.item_id]
        return pairs

    def copied(
        self, with_metadata: Callable[[Sequence[Photo]], list[Photo]]
    ) -> tuple[list[Photo], list[Photo]]:
        """Store the photos that have not moved with the embeddings of their twins.

        Returns (the stored photos, those whose twins are gone by now: they must be encoded).
        """
        held = list(self._held.values())
        self._held = {}
        twins = {photo.digest: photo for photo in self._stored(digest for _, digest in held)}
        lost = [photo for photo, digest in held if digest not in twins]
        copies = [(photo, twins[digest]) for photo, digest in held if digest in twins]
        for start in range(0, len(copies), COPY_BATCH):
            self._store(copies[start : start + COPY_BATCH], with_metadata)
        return [photo for photo, _ in copies], lost

    def _store(
        self, copies: Sequence[tuple[Photo, Photo]], with_metadata: Callable[[Sequence[Photo]], list[Photo]]
    ) -> None:
        sources: Keys = np.array([twin.key for _, twin in copies], np.uint64)
        vectors = self.catalog.vectors(sources)
        rows = with_metadata([photo for photo, _ in copies])
        photos = [
            replace(photo, digest=twin.digest, width_px=twin.width_px, height_px=twin.height_px)
            for photo, (_, twin) in zip(rows, copies, strict=True)
        ]
        keys, replaced = self.catalog.store(photos, vectors)
        self.catalog.looks.copy(sources, keys)
        self.index.add(keys, vectors)
        self.index.remove(replaced)

    def _stored(self, digests: Iterable[str]) -> list[Photo]:
        wanted = set(digests)
        return self.catalog.photos_of_digests(wanted) if wanted else []


def _file_is_missing(location: str) -> bool:
    """Return whether a location is a local file or archive that does not exist now."""
    path = file_of(location)
    try:
        return path is not None and path.is_absolute() and not path.exists()
    except OSError:
        return False


def _pairs(gone: list[Photo], new: list[Photo], complete: set[str]) -> list[tuple[Photo, Photo]]:
    """Return which of the gone items with the same bytes is which new photo: by file name, then in the order of ids.

    An item whose whole source is missing may be on a disk that is not mounted: only a photo of its name takes it.
    """
    pairs = []
    for item in list(gone):
        same = next((photo for photo in new if _file_name(photo) == _file_name(item)), None)
        if same is not None:
            pairs.append((item, same))
            gone.remove(item)
            new.remove(same)
    certain = [item for item in gone if item.source in complete or not _file_is_missing(item.source)]
    return pairs + list(zip(certain, new, strict=False))


def _file_name(photo: Photo) -> str:
    return PurePosixPath(photo.location).name
