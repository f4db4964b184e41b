"""A photo made ready for the catalog: its bytes are read, told apart, decoded, described, laid out for an encoder.

It owns what is done to one photo, wherever that happens (a thread of the run, or a process beside it), and the
sentence that says why one cannot be used. It encodes nothing and stores nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import ImgSearchError
from imgsearch.core.text import error_line
from imgsearch.encoders.recipe import Preprocessor
from imgsearch.store.originals import Originals, content_digest, is_url
from imgsearch.vision.images import ImageLimits, decode_picture, encode_thumbnail
from imgsearch.vision.looks import Look, describe

__all__ = ["KEPT_URL_PX", "Outcome", "PreparedPhoto", "Preparer", "Unreadable"]

KEPT_URL_PX = 768
"""The longest side of the picture that is kept of a photo at a URL, which may be gone tomorrow."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class PreparedPhoto:
    """What is to be stored of a photo that was read.

    `array` is the encoder's input, `vector` the (dim,) float32 embedding once there is one. Both are None for a photo
    whose bytes were known already. `thumbnail` is a WebP of at most `KEPT_URL_PX`, of a photo at a URL only.
    """

    digest: str
    width_px: int = 0
    height_px: int = 0
    array: NDArray[Any] | None = None
    vector: NDArray[np.float32] | None = None
    thumbnail: bytes | None = None
    look: Look | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A photo that cannot be used, and why, in a sentence."""

    reason: str

    @staticmethod
    def because_of(error: Exception, location: str) -> Unreadable:
        """Return the sentence for an error; one that is not ours is logged too."""
        if isinstance(error, ImgSearchError):
            return Unreadable(str(error))
        _log.error("the photo %s could not be read", location, exc_info=error)
        return Unreadable(f"The photo cannot be read ({type(error).__name__}: {error_line(error)}).")


Outcome = PreparedPhoto | Unreadable


@dataclass(frozen=True, slots=True)
class Preparer:
    """Makes photos ready; safe in several threads, and can be sent to another process."""

    preprocess: Preprocessor
    input_px: int
    originals: Originals
    limits: ImageLimits = field(default_factory=ImageLimits)
    keep_urls: bool = False

    def __call__(self, location: str, known_digest: str = "") -> Outcome:
        """Read the photo at `location` and make it ready; no more than read it where its digest is the known one.

        Raises nothing: one photo must not stop a run, whatever a decoder makes of it.
        """
        try:
            return self._prepared(self.originals.read(location), location, known_digest)
        except Exception as error:
            return Unreadable.because_of(error, location)

    def _prepared(self, data: bytes, location: str, known_digest: str) -> PreparedPhoto:
        digest = content_digest(data)
        if digest == known_digest:
            return PreparedPhoto(digest)
        picture = decode_picture(data, target_px=self.input_px, limits=self.limits)
        prepared = PreparedPhoto(
            digest,
            picture.width_px,
            picture.height_px,
            array=self.preprocess(picture.image),
            look=describe(picture.image),
        )
        if self.keep_urls and is_url(location):
            full = decode_picture(data, target_px=KEPT_URL_PX, limits=self.limits)
            prepared.thumbnail = encode_thumbnail(full.image, KEPT_URL_PX)
        return prepared
