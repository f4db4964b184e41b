"""The `external` encoder: stands for the model of imported embeddings, which is not available.

The catalog's own photos can be searched by; nothing new can be encoded.
"""

from __future__ import annotations

from typing import NoReturn

from imgsearch.core.errors import EncoderUnavailable

__all__ = ["ExternalEncoder", "refusal"]


class ExternalEncoder:
    """Has an identity and a dimension, and refuses to encode."""

    input_px = 224

    def __init__(self, spec: str, dim: int) -> None:
        self.spec = self.id = spec
        self.dim = dim

    def preprocess(self, *_arguments: object) -> NoReturn:
        """Raise `EncoderUnavailable`."""
        raise refusal(self.spec)

    encode_arrays = encode_images = encode_texts = preprocess


def refusal(spec: str) -> EncoderUnavailable:
    """Return the error for encoding with `external:NAME`."""
    return EncoderUnavailable(
        f"The embeddings were imported as {spec}, and the model that made them is not available: "
        "search by the catalog's own photos."
    )
