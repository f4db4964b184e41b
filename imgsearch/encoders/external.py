"""The `external` encoder: stands for the model that made imported embeddings and is not here.

It owns the name that they are stamped with. Photos of the catalog can be searched by; nothing new can be encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import EncoderUnavailable
from imgsearch.encoders.base import Embeddings

__all__ = ["ExternalEncoder", "refusal"]


class ExternalEncoder:
    """Has an identity and a dimension, and refuses to encode."""

    input_px = 224

    def __init__(self, spec: str, dim: int) -> None:
        self.spec = spec
        self.id = spec
        self.dim = dim

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Raise `EncoderUnavailable`."""
        self._refuse()

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Raise `EncoderUnavailable`."""
        self._refuse()

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Raise `EncoderUnavailable`."""
        self._refuse()

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Raise `EncoderUnavailable`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise refusal(self.spec)


def refusal(spec: str) -> EncoderUnavailable:
    """Return why nothing new can be encoded."""
    return EncoderUnavailable(
        f"The embeddings were imported under the name {spec}, and the model that made them is not here: "
        "search by the catalog's own photos."
    )
