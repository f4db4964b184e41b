"""Reading one photo: its bytes are hashed, decoded, described, and preprocessed for the encoder."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import ImgSearchError, SourceError
from imgsearch.core.records import Failure
from imgsearch.core.text import error_line
from imgsearch.encoders.base import Encoder, Preprocessor
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import Originals, content_digest, is_url
from imgsearch.store.url_states import UrlState
from imgsearch.vision.images import ImageLimits, decode_picture, encode_thumbnail
from imgsearch.vision.looks import Look, describe

KEPT_URL_PX = 768
"""The longest side of the picture that is kept of a photo at a URL, which may disappear."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PreparedPhoto:
    """A photo that was read. `array` is the encoder's input, `vector` the (dim,) float32 embedding once there is one.

    Both are None for a photo whose digest was known. `thumbnail` is a WebP of at most `KEPT_URL_PX`, `url_state` what
    tells the next change, for URLs only. `unchecked` says why a known photo could not be compared: it stays as it is.
    """

    digest: str
    width_px: int = 0
    height_px: int = 0
    array: NDArray[Any] | None = None
    vector: NDArray[np.float32] | None = None
    thumbnail: bytes | None = None
    look: Look | None = None
    url_state: UrlState | None = None
    unchecked: str = ""


Outcome = PreparedPhoto | Failure


@dataclass(frozen=True, slots=True)
class Preparer:
    """Reads photos; safe in several threads, and can be pickled for another process."""

    preprocess: Preprocessor
    input_px: int
    originals: Originals
    limits: ImageLimits = field(default_factory=ImageLimits)
    keep_urls: bool = False

    def __call__(self, photo: Photo) -> Outcome:
        """Read and prepare a photo, or only read it where the digest of its bytes is known; raises nothing."""
        try:
            state: UrlState | None = None
            if is_url(photo.location):
                answer = self.originals.fetch(photo.location, photo.url_state)
                data, state = answer.data, answer.state
                if data is None:
                    return PreparedPhoto(photo.digest, url_state=state)
            else:
                data = self.originals.read(photo.location)
            digest = content_digest(data)
            if digest == photo.digest or digest in photo.known_digests:
                return PreparedPhoto(digest, url_state=state)
            prepared = self._prepared(data, digest, photo)
            prepared.url_state = state
            return prepared
        except SourceError as error:
            if photo.url_state is None:
                return read_failure(error, photo)
            return PreparedPhoto(photo.digest, unchecked=str(error))
        except Exception as error:  # one photo must not stop a run, whatever a decoder raises
            return read_failure(error, photo)

    def _prepared(self, data: bytes, digest: str, photo: Photo) -> PreparedPhoto:
        picture = decode_picture(data, target_px=self.input_px, limits=self.limits)
        prepared = PreparedPhoto(
            digest,
            picture.width_px,
            picture.height_px,
            array=self.preprocess(picture.image),
            look=describe(picture.image),
        )
        if self.keep_urls and is_url(photo.location):
            full = decode_picture(data, target_px=KEPT_URL_PX, limits=self.limits)
            prepared.thumbnail = encode_thumbnail(full.image, KEPT_URL_PX)
        return prepared


def read_failure(error: Exception, photo: Photo) -> Failure:
    """Return the failure of a photo that cannot be read, and log an unexpected error."""
    path = photo.location if is_url(photo.location) else photo.item_id
    if isinstance(error, ImgSearchError):
        return Failure(path, str(error))
    _log.error("the photo %s could not be read", photo.location, exc_info=error)
    return Failure(path, f"The photo cannot be read ({type(error).__name__}: {error_line(error)}).")


def read_ahead(
    photos: Iterable[Photo], read: Callable[[Photo], T], pool: ThreadPoolExecutor, *, ahead: int
) -> Iterator[tuple[Photo, Future[T]]]:
    """Yield each photo with its result, in their order, while up to `ahead` are read; close it to cancel these."""
    pending: deque[tuple[Photo, Future[T]]] = deque()
    try:
        for photo in photos:
            pending.append((photo, pool.submit(read, photo)))
            if len(pending) >= ahead:
                yield pending.popleft()
        while pending:
            yield pending.popleft()
    finally:
        for _, future in pending:
            future.cancel()


def encode_prepared(encoder: Encoder, photos: Sequence[PreparedPhoto]) -> None:
    """Replace the arrays of photos by vectors."""
    vectors = encoder.encode_arrays([photo.array for photo in photos if photo.array is not None])
    for photo, vector in zip(photos, vectors, strict=True):
        photo.vector, photo.array = vector, None
