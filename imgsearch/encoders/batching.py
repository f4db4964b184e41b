"""Dynamic batching: single texts and images that arrive while the encoder is busy are encoded in one batch.

There is no thread and no waiting for a full batch: a request that finds the encoder idle is encoded at once. Others
wait, and when the encoder is free, one of the waiting threads encodes for all of them. So an idle machine is as fast
as without batching, and a busy one runs one network at a time instead of one for each visitor.
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

MAX_BATCH = 16  # larger batches are barely faster per input, and every request waits for the end of its batch

T = TypeVar("T")


class Batcher(Generic[T]):
    """Encodes single inputs of many threads, one batch at a time."""

    def __init__(self, encode: Callable[[Sequence[T]], Embeddings], *, max_batch: int = MAX_BATCH) -> None:
        """`encode` returns one row for each input, of which it gets at most `max_batch` at once."""
        self._encode = encode
        self._max_batch = max_batch
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: deque[_Request[T]] = deque()

    @property
    def waiting(self) -> int:
        """The number of requests that wait for the encoder."""
        return len(self._waiting)

    def __call__(self, value: T) -> Embeddings:
        """Return the (1, dim) row of one input; raises what encoding this input alone raises."""
        request = _Request(value)
        with self._lock:
            self._waiting.append(request)
            leads, self._busy = not self._busy, True
        if not leads:
            request.wake.wait()
        if request.row is None and request.error is None:
            self._run_batch()
        if request.error is not None:
            raise request.error
        assert request.row is not None
        return request.row

    def _run_batch(self) -> None:
        """Encode for the waiting requests, the caller's among them, and wake the leader of the next batch."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
        try:
            self._encode_batch(batch)
        finally:
            with self._lock:
                next_leader = self._waiting[0] if self._waiting else None
                self._busy = next_leader is not None
            for request in batch:
                request.wake.set()
            if next_leader is not None:
                next_leader.wake.set()

    def _encode_batch(self, batch: Sequence[_Request[T]]) -> None:
        """Set the row or the error of every request of a batch."""
        try:
            rows = self._encode([request.value for request in batch])
        except Exception as error:  # only encoding each input alone shows which one is at fault
            if len(batch) == 1:
                batch[0].error = error
                return
            for request in batch:
                self._encode_batch([request])
            return
        except BaseException as error:  # an interrupt of this thread must not leave the others waiting
            for request in batch:
                request.error = error
            raise
        for place, request in enumerate(batch):
            request.row = rows[place : place + 1]


class _Request(Generic[T]):
    """An input and its result; `wake` is set when the result is there, or when its thread leads the next batch."""

    __slots__ = ("error", "row", "value", "wake")

    def __init__(self, value: T) -> None:
        self.value = value
        self.row: Embeddings | None = None
        self.error: BaseException | None = None
        self.wake = threading.Event()


class BatchingEncoder:
    """Wraps an encoder: single texts and images are batched, several at once are passed through."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.spec, self.id = encoder.spec, encoder.id
        self.dim, self.input_px = encoder.dim, encoder.input_px
        self.preprocess = encoder.preprocess
        self._texts = Batcher(encoder.encode_texts)
        self._arrays = Batcher(encoder.encode_arrays)
        # Only where the encoder has them: `isinstance` with a protocol checks the names.
        if isinstance(encoder, KnowsWords):
            self.understood = encoder.understood
        if isinstance(encoder, HasVocabulary):
            self.vocabulary = encoder.vocabulary

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed images, in their order; n may be 0."""
        return self._arrays(arrays[0]) if len(arrays) == 1 else self._encoder.encode_arrays(arrays)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB images, in their order; n may be 0."""
        return self.encode_arrays([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of texts, in their order; an empty text raises `EncoderError`."""
        require_texts(texts)
        return self._texts(texts[0]) if len(texts) == 1 else self._encoder.encode_texts(texts)
