"""The pictures of puts: read, checked, kept, decoded and encoded, before anything of the catalog is locked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import ImgSearchError
from imgsearch.encoders.base import Encoder
from imgsearch.ingest.item_changes import ChangeOutcome, ItemChange, failed
from imgsearch.ingest.item_plan import ChangePicture
from imgsearch.ingest.preparation import KEPT_URL_PX
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.originals import Originals, content_digest
from imgsearch.store.stored_originals import store_original
from imgsearch.vision.images import ImageLimits, decode_picture, encode_thumbnail
from imgsearch.vision.looks import describe

DECODING_THREADS = 2
ENCODE_BATCH = 16


@dataclass(frozen=True, slots=True)
class _Decoded:
    picture: ChangePicture
    array: NDArray[Any] | None


class ChangePictures:
    """Prepares the pictures of changes; safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        encoder: Callable[[], Encoder],
        originals: Originals,
        limits: ImageLimits,
    ) -> None:
        self._catalog = catalog
        self._encoder = encoder
        self._originals = originals
        self._limits = limits
        self._pool = ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="change-picture")
        self._decoding = threading.Semaphore(DECODING_THREADS)

    def close(self) -> None:
        """End the threads; closing twice is fine."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def prepare(
        self, changes: Sequence[ItemChange], *, again: bool = False
    ) -> list[ChangePicture | ChangeOutcome | None]:
        """Return for each change its picture, None where it has none, or the outcome of one that cannot be used.

        A picture with the bytes that the item has already is not decoded, unless `again`.
        """
        with_picture = [
            place for place, change in enumerate(changes) if change.picture is not None or change.url
        ]
        results: list[ChangePicture | ChangeOutcome | None] = [None] * len(changes)
        if not with_picture:
            return results
        stored = self._catalog.stored_photos([changes[place].item_id for place in with_picture])
        digests = {} if again else {item_id: photo.digest for item_id, photo in stored.items()}
        decode: Callable[[int], _Decoded | ChangeOutcome]
        decode = lambda place: self._decoded(changes[place], digests)  # noqa: E731
        one = len(with_picture) == 1
        decoded = [decode(with_picture[0])] if one else list(self._pool.map(decode, with_picture))
        to_encode: list[tuple[int, _Decoded]] = []
        for place, found in zip(with_picture, decoded, strict=True):
            if isinstance(found, ChangeOutcome):
                results[place] = found
            elif found.array is None:
                results[place] = found.picture
            else:
                to_encode.append((place, found))
        for start in range(0, len(to_encode), ENCODE_BATCH):
            self._encode(to_encode[start : start + ENCODE_BATCH], changes, results)
        return results

    def _decoded(self, change: ItemChange, digests: dict[str, str]) -> _Decoded | ChangeOutcome:
        try:
            data = change.picture if change.picture is not None else self._originals.read(change.url)
            with self._decoding:  # a slow server does not hold up other pictures
                return self._described(change, data, digests)
        except ImgSearchError as error:
            return failed(change.item_id, error.code, str(error))

    def _described(self, change: ItemChange, data: bytes, digests: dict[str, str]) -> _Decoded:
        digest = content_digest(data)
        if digests.get(change.item_id) == digest:
            return _Decoded(ChangePicture(digest, change.url), None)
        encoder = self._encoder()
        decoded = decode_picture(data, target_px=encoder.input_px, limits=self._limits)
        thumbnail = None
        if change.picture is not None:
            location = store_original(self._catalog.folder, data, digest)
        else:
            location = change.url
            full = decode_picture(data, target_px=KEPT_URL_PX, limits=self._limits)
            thumbnail = encode_thumbnail(full.image, KEPT_URL_PX)
        picture = ChangePicture(
            digest,
            location,
            len(data),
            decoded.width_px,
            decoded.height_px,
            look=describe(decoded.image),
            thumbnail=thumbnail,
        )
        return _Decoded(picture, encoder.preprocess(decoded.image))

    def _encode(
        self,
        batch: Sequence[tuple[int, _Decoded]],
        changes: Sequence[ItemChange],
        results: list[ChangePicture | ChangeOutcome | None],
    ) -> None:
        """Set the results of decoded pictures."""
        try:
            rows = self._encoder().encode_arrays([one.array for _, one in batch if one.array is not None])
        except ImgSearchError as error:
            for place, _ in batch:
                results[place] = failed(changes[place].item_id, error.code, str(error))
            return
        for (place, one), row in zip(batch, rows, strict=True):
            results[place] = replace(one.picture, vector=np.asarray(row, np.float32))
