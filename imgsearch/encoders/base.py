"""The `Encoder` protocol, what some encoders can do in addition, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import EncoderError

Embeddings = NDArray[np.float32]
Preprocessor = Callable[[Image.Image], NDArray[Any]]
"""Returns an encoder's input for one upright RGB image, as `Encoder.preprocess` does."""


@runtime_checkable
class Encoder(Protocol):
    """Maps images and texts into one space where cosine similarity is similarity of content.

    `id` identifies the exact embedding function (spec, hash of the weights, preprocessing): vectors of different ids
    are never compared. Encoders are safe to call from several threads.
    """

    @property
    def spec(self) -> str:
        """The string this encoder was loaded by, with `auto` resolved."""

    @property
    def id(self) -> str:
        """The identity stamped on every embedding and index."""

    @property
    def dim(self) -> int:
        """The length of an embedding."""

    @property
    def input_px(self) -> int:
        """The side of the network's input: a photo whose shorter side is at least this loses no detail."""

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return the network's input for one upright RGB image, (3, input_px, input_px)."""

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed images, in their order; n may be 0."""

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB images, in their order; n may be 0."""

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of texts, in their order; an empty text raises `EncoderError`."""


@runtime_checkable
class KnowsWords(Protocol):
    """An encoder that can say whether it understands a text."""

    def understood(self, row: Embeddings) -> bool:
        """Return whether the text of this (dim,) embedding consists mostly of known words."""


@runtime_checkable
class HasVocabulary(Protocol):
    """An encoder that can list words of its vocabulary; it may understand others too."""

    def vocabulary(self) -> Sequence[str]:
        """Return words in lower case, without accents, common ones first; may be empty."""


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """An encoder on the CPU: its spec, its id, and the library that computes it; see `loading.load_recipe`."""

    spec: str
    id: str
    backend: str = "torch"


@runtime_checkable
class RunsInWorkers(Protocol):
    """An encoder that worker processes can load, or whose preprocessing they can do."""

    @property
    def accelerated(self) -> bool:
        """Whether an accelerator computes, which leaves the processors free for preprocessing."""

    def recipe(self) -> EncoderRecipe | None:
        """Return how a worker loads it, or None where one process encodes faster."""

    def preprocessor(self) -> Preprocessor:
        """Return what `preprocess` does, as something that can be pickled and needs no weights."""


def unit_rows(rows: NDArray[np.floating[Any]]) -> Embeddings:
    """Return `rows`, (n, dim), scaled to float32 unit rows; raise `EncoderError` for zero or non-finite rows."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise EncoderError(
            "The encoder returned a zero or non-finite vector: its weights or its input are damaged."
        )
    result: Embeddings = (rows / lengths).astype(np.float32, copy=False)
    return result


def require_texts(texts: Sequence[str]) -> None:
    """Raise `EncoderError` if a text is empty or blank."""
    if not all(text.strip() for text in texts):
        raise EncoderError("The search text is empty: type at least one word.")
