"""Encoders: images and texts in, unit vectors of one space out. Importing this loads neither torch nor a model."""

from imgsearch.encoders.base import Embeddings, Encoder
from imgsearch.encoders.loading import load_encoder, resolve_auto
from imgsearch.encoders.spec import AUTO, LITE, OPEN_CLIP_DEFAULT, EncoderSpec

__all__ = [
    "AUTO",
    "LITE",
    "OPEN_CLIP_DEFAULT",
    "Embeddings",
    "Encoder",
    "EncoderSpec",
    "load_encoder",
    "resolve_auto",
]
