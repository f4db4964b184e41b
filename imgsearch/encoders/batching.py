"""Batching: single texts and pictures that arrive while the encoder is busy are encoded together.

It owns how requests of many threads become batches, and whose error is whose. It knows neither searching nor HTTP.

There is no thread of its own and no waiting for company: who finds the encoder idle encodes at once, alone; who
comes meanwhile waits, and when the encoder is free one of those waiting encodes for all of them. So an idle machine
answers as before, and a busy one runs one batch at a time instead of as many networks side by side as there are
visitors, each with all the processors' threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

from imgsearch.encoders.base import Embeddings, Encoder, HasVocabulary, KnowsWords, require_texts

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["BatchingEncoder", "Combiner"]

LARGEST_BATCH = 16
"""How many requests are encoded at once: larger batches are hardly faster, and all of a batch wait for its end."""

T = TypeVar("T")


class Combiner(Generic[T]):
    """Encodes single inputs of many threads, one batch at a time."""

    def __init__(self, encode: Callable[[Sequence[T]], Embeddings], *, largest: int = LARGEST_BATCH) -> None:
        """Encode by `encode`, which gives one row an input, at most `largest` inputs at once."""
        self._encode = encode
        self._largest = largest
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: deque[_Request[T]] = deque()

    def __call__(self, value: T) -> Embeddings:
        """Return the (1, dim) row of one input; raises what encoding this input alone raises."""
        own = _Request(value)
        with self._lock:
            self._waiting.append(own)
            leads, self._busy = not self._busy, True
        if not leads:
            own.turn.wait()
        if own.row is None and own.error is None:
            self._lead()
        if own.error is not None:
            raise own.error
        assert own.row is not None
        return own.row

    def _lead(self) -> None:
        """Encode for those who wait, the caller among them, and hand the encoder on."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._largest, len(self._waiting)))]
        try:
            self._fill(batch)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._busy = following is not None
            for request in batch:
                request.turn.set()
            if following is not None:
                following.turn.set()

    def _fill(self, batch: Sequence[_Request[T]]) -> None:
        """Give every request of a batch its row or its error."""
        try:
            rows = self._encode([request.value for request in batch])
        except Exception as error:  # whose fault it is shows only when each is tried alone
            if len(batch) == 1:
                batch[0].error = error
                return
            for request in batch:
                self._fill([request])
            return
        except BaseException as error:  # an interrupt of the thread that encodes: nobody may wait for ever
            for request in batch:
                request.error = error
            raise
        for place, request in enumerate(batch):
            request.row = rows[place : place + 1]


class _Request(Generic[T]):
    """An input and what came of it; `turn` is set when that is there, or when its thread is to encode."""

    __slots__ = ("error", "row", "turn", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self.row: Embeddings | None = None
        self.error: BaseException | None = None
        self.turn = threading.Event()


class BatchingEncoder:
    """The encoder it is given, for many threads at once: single texts and pictures are batched, others go through."""

    def __init__(self, encoder: Encoder) -> None:
        """Encode by `encoder`."""
        self._encoder = encoder
        self._texts = Combiner(encoder.encode_texts)
        self._arrays = Combiner(encoder.encode_arrays)
        # What only some encoders can do, this one can only where they can: `isinstance` asks for the names.
        if isinstance(encoder, KnowsWords):
            self.understood = encoder.understood
        if isinstance(encoder, HasVocabulary):
            self.vocabulary = encoder.vocabulary

    @property
    def spec(self) -> str:
        """The encoder's."""
        return self._encoder.spec

    @property
    def id(self) -> str:
        """The encoder's."""
        return self._encoder.id

    @property
    def dim(self) -> int:
        """The encoder's."""
        return self._encoder.dim

    @property
    def input_px(self) -> int:
        """The encoder's."""
        return self._encoder.input_px

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return the network's input for a picture, in the caller's thread."""
        return self._encoder.preprocess(image)

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed pictures, in their order; n may be 0."""
        return self._arrays(arrays[0]) if len(arrays) == 1 else self._encoder.encode_arrays(arrays)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB pictures, in their order; n may be 0."""
        return self.encode_arrays([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of texts, in their order; an empty text raises `EncoderError`."""
        require_texts(texts)
        return self._texts(texts[0]) if len(texts) == 1 else self._encoder.encode_texts(texts)
