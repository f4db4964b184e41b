"""The `Encoder` protocol: what turns pictures and words into unit vectors of one shared space.

It owns the interface; the implementations live one file each beside it, and `imgsearch.encoders.load_encoder`
picks one by its spec. Beside it stand the two checks that every implementation makes. It knows neither catalogs
nor indexes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import EncoderError

__all__ = ["Embeddings", "Encoder", "HasVocabulary", "KnowsWords", "require_texts", "unit_rows"]

Embeddings = NDArray[np.float32]


@runtime_checkable
class Encoder(Protocol):
    """Maps pictures and words into one space where cosine similarity means likeness.

    `id` names the exact embedding function (spec, a hash of the weights, and the preprocessing): vectors of two
    different ids are never compared. Encoders are safe to call from several threads.
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
        """The side of the square the encoder looks at: a photo whose shorter side is at least this loses nothing."""

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return the network's input for one upright RGB picture, (3, input_px, input_px); safe in any thread."""

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed pictures, in their order; n may be 0."""

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB pictures, in their order; n may be 0."""

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of texts, in their order; an empty text raises `EncoderError`."""


@runtime_checkable
class KnowsWords(Protocol):
    """An encoder that can say whether it understands a text; most cannot."""

    def understood(self, row: Embeddings) -> bool:
        """Return whether the text that has this (dim,) embedding was of known words, more or less."""


@runtime_checkable
class HasVocabulary(Protocol):
    """An encoder that can list words it learned as such; not all can, and some know others too."""

    def vocabulary(self) -> Sequence[str]:
        """Return words in lower case, without accents, common ones first; may be empty."""


def unit_rows(rows: NDArray[np.floating[Any]]) -> Embeddings:
    """Return `rows`, (n, dim), scaled to float32 unit rows; raise `EncoderError` where one has no direction."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise EncoderError(
            "The encoder gave a vector without direction: its weights or its input are damaged."
        )
    result: Embeddings = (rows / lengths).astype(np.float32, copy=False)
    return result


def require_texts(texts: Sequence[str]) -> None:
    """Raise `EncoderError` if a text is empty or blank."""
    if not all(text.strip() for text in texts):
        raise EncoderError("An empty text cannot be searched by: type at least one word.")
