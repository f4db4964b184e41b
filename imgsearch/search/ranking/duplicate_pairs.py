"""Which photos are copies of one photo: neighbours by embedding, filtered by perceptual hash, decided by alignment.

Each step is more expensive than the one before and gets fewer pairs. Copies are recompressed, resized, slightly
cropped or rotated, framed, brighter, darker or mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from imgsearch.core.errors import ImgSearchError
from imgsearch.core.key_arrays import Keys
from imgsearch.core.records import Item
from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.alignment import SIDE_PX, PictureMatch, compare_pictures
from imgsearch.vision.images import decode_image

Pair = tuple[int, int, float, float]
"""(earlier key, later key, cosine, residual or NaN where a photo cannot be read)."""

NEIGHBOURS = 12
"""Compared per photo; a group may be larger, through the neighbours of its members."""
THRESHOLD_SAMPLE = 500
MIN_COSINE, MAX_COSINE = 0.6, 0.995
SAME_VECTOR = 0.9995
"""From this cosine on, photos that cannot be read are copies: the same embedding, to float16."""
MAX_HASH_BITS = 20
"""Photos whose 64-bit hashes differ in more bits are no copies: those of unrelated photos differ in 32."""
MIRRORED_BITS = np.uint64(0xAAAAAAAAAAAAAAAA)
"""The bits of a perceptual hash that mirroring inverts: the odd horizontal frequencies."""
MAX_RESIDUAL = 0.015
"""Pictures that differ nowhere by more than this are one photo (`compare_pictures`); measured by
`scripts/bench_merchandising.py`."""
OVEREXPOSURE_TOLERANCE, MAX_OVEREXPOSURE = 4.0, 0.3
"""A brighter copy with clipped whites may differ by this much more per unit of `overexposure`, up to a limit."""
CACHED_PICTURES = 4096


class PairFinder:
    """Finds pairs of copies among photos and those that were indexed before them; used by one thread."""

    def __init__(
        self, catalog: CatalogStore, index: LiveIndex, read_photo: Callable[[Item], bytes], threshold: float
    ) -> None:
        self._looks = catalog.looks
        self._index = index
        self._threshold = threshold
        self._pictures = _Pictures(catalog, read_photo)

    def pairs(self, keys: Keys) -> Iterator[Pair | None]:
        """Yield the pairs of these photos with earlier ones that are one photo; None for each comparison without."""
        first, second, cosines = self._neighbours(keys)
        bits, mirrored = self._hash_distances(first, second)
        near = bits <= MAX_HASH_BITS
        first, second, cosines, mirrored = first[near], second[near], cosines[near], mirrored[near]
        self._pictures.prepare(np.union1d(first, second))
        for one, other, cosine, flip in zip(
            first.tolist(), second.tolist(), cosines.tolist(), mirrored.tolist(), strict=True
        ):
            residual = self._residual(one, other, cosine, mirrored=flip)
            yield None if residual is None else (one, other, min(cosine, 1.0), residual)

    def _neighbours(self, keys: Keys) -> tuple[Keys, Keys, NDArray[np.float32]]:
        """Return (earlier, later, cosine) of near photos, each pair once: from the photo that came later."""
        earlier, later, cosines = [], [], []
        for key, vector in zip(keys, self._index.space.vectors(keys), strict=True):
            near, likeness = self._index.search(vector, NEIGHBOURS + 1)
            chosen = (near < key) & (likeness >= self._threshold)
            earlier.append(near[chosen])
            later.append(np.full(int(chosen.sum()), key, np.uint64))
            cosines.append(likeness[chosen])
        return np.concatenate(earlier), np.concatenate(later), np.concatenate(cosines)

    def _hash_distances(self, first: Keys, second: Keys) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return (bits in which hashes differ, plain or mirrored; whether mirrored); 0 bits where one has no hash."""
        apart = self._looks.hashes(first) ^ self._looks.hashes(second)
        bits, mirrored = np.bitwise_count(apart), np.bitwise_count(apart ^ MIRRORED_BITS)
        known = self._looks.has(first) & self._looks.has(second)
        return np.where(known, np.minimum(bits, mirrored), 0).astype(np.uint8), known & (mirrored < bits)

    def _residual(self, first: int, second: int, cosine: float, *, mirrored: bool) -> float | None:
        """Return by how much two copies differ, NaN where a photo cannot be read; None for two different photos."""
        one, other = self._pictures.get(first), self._pictures.get(second)
        if one is None or other is None:
            return np.nan if cosine >= SAME_VECTOR else None
        likeness = compare_pictures(one, other[:, ::-1] if mirrored else other)
        return likeness.residual if is_one_photo(likeness) else None


class _Pictures:
    """Photos as small squares, cached; None for one that cannot be read."""

    def __init__(self, catalog: CatalogStore, read_photo: Callable[[Item], bytes]) -> None:
        self._catalog = catalog
        self._read_photo = read_photo
        self._items: dict[int, Item] = {}
        self._cached: LRUCache[int, NDArray[np.uint8] | None] = LRUCache(CACHED_PICTURES)

    def prepare(self, keys: Keys) -> None:
        """Read the items of these photos from the catalog at once."""
        missing = [key for key in keys.tolist() if key not in self._cached]
        self._items = {item.key: item for item in self._catalog.by_keys(missing)}

    def get(self, key: int) -> NDArray[np.float32] | None:
        if key not in self._cached:
            self._cached[key] = self._read(key)
        small = self._cached[key]
        return None if small is None else small.astype(np.float32) / np.float32(255)

    def _read(self, key: int) -> NDArray[np.uint8] | None:
        try:
            image = decode_image(self._read_photo(self._items[key]), target_px=SIDE_PX)
        except (ImgSearchError, KeyError):  # gone, unreadable or damaged: the embedding decides
            return None
        return np.asarray(image.resize((SIDE_PX, SIDE_PX), reducing_gap=2.0), np.uint8)


def is_one_photo(likeness: PictureMatch) -> bool:
    """Return whether two aligned pictures are one photo."""
    tolerance = OVEREXPOSURE_TOLERANCE * min(likeness.overexposure, MAX_OVEREXPOSURE)
    return likeness.residual <= MAX_RESIDUAL * (1 + tolerance)


def near_threshold(index: LiveIndex, keys: Keys) -> float:
    """Return the cosine from which two photos of this catalog are worth comparing.

    It is the median, over up to 500 photos, of the similarity to the third-nearest other one, kept within bounds: a
    duplicate must be nearer than what surrounds a typical photo here. A photo's one or two copies do not move it,
    and the median holds while fewer than half of the photos have more of them (Rousseeuw & Croux, "Alternatives to
    the Median Absolute Deviation", JASA 1993, on its breakdown point).
    """
    rng = np.random.default_rng(0)
    probes = np.sort(rng.choice(keys, min(THRESHOLD_SAMPLE, len(keys)), replace=False))
    third = []
    for key, vector in zip(probes, index.space.vectors(probes), strict=True):
        near, cosines = index.search(vector, 4)
        others = cosines[near != key][:3]
        if len(others):
            third.append(float(others[-1]))
    return float(np.clip(np.median(third), MIN_COSINE, MAX_COSINE)) if third else MAX_COSINE
