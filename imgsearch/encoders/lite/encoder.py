"""The `lite` encoder: image and text search without a download; docs/encoders/lite.md describes its training.

An embedding has three blocks, `[meaning | colours | doubt]`, of 384, 33 and 1 numbers. An image's doubt is 0. A
text's doubt rotates it away from all images, the more the fewer of its words are known: scores of "asdf qwer" are
low and their order is unchanged. The colour block of a text without a colour is zero.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import EncoderError
from imgsearch.encoders.backends import AUTO, ONNX, TORCH, BackendTrial, cached_trial, compare_backends
from imgsearch.encoders.base import Embeddings, EncoderRecipe, Preprocessor, require_texts, unit_rows
from imgsearch.encoders.device import pick_device
from imgsearch.encoders.lite import weights as lite_weights
from imgsearch.encoders.lite.backbone import Backbone
from imgsearch.encoders.lite.framing import INPUT_PX, pixels_of
from imgsearch.encoders.lite.image_tower import (
    COLORS,
    MEANING,
    ImageNetwork,
    ImageTower,
    TorchImageNetwork,
    color_block,
    thing_colors,
)
from imgsearch.encoders.lite.onnx import OnnxImageNetwork, has_onnx
from imgsearch.encoders.lite.text_tower import TextTower, Vocabulary, words_of
from imgsearch.vision.images import decode_image

# The weights of the colour block in images and texts, chosen on held-out photos (docs/encoders/lite.md)
_COLOR_WEIGHT, _TEXT_COLOR_WEIGHT = 0.4, 0.65
_MIN_KNOWN = 0.02  # the order of the hits must not be lost in rounding
_MAX_DOUBT = 0.9  # from here on, a text is more likely not language
# Larger batches exceed the CPU's caches and the memory that glibc keeps. With one thread, torch uses its fast
# convolutions only from 16 images on (11 ms an image instead of 16).
_BATCH, _BATCH_OF_ONE_THREAD = 8, 16
_TRIAL_PHOTOS = 8

_log = logging.getLogger(__name__)


class LiteEncoder:
    """EfficientNet-Lite0 with an image tower and a text tower."""

    spec = "lite"
    dim = MEANING + COLORS + 1
    input_px = INPUT_PX

    def __init__(self, device: str | None = None, backend: str = TORCH) -> None:
        """Load the image side; raises `EncoderError` where weights or `backend` are not available."""
        self.id = lite_weights.lite_id()
        self._device = pick_device(device)
        self.accelerated = self._device.type != "cpu"
        tower = ImageTower()
        tower.load_state_dict(lite_weights.load_parts("image.safetensors"))
        tower.requires_grad_(requires_grad=False).eval()
        tower.mask.to(self._device)  # its input is the backbone's output
        self._color_mean: NDArray[np.float32] = tower.color_mean.numpy()
        self._text: tuple[Vocabulary, TextTower] | None = None
        self._text_lock = threading.Lock()
        self.network, self.backend = self._choose_network(Backbone(self._device), tower, backend)

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return the square that is encoded, (3, 224, 224) uint8."""
        return pixels_of(image)

    def preprocessor(self) -> Preprocessor:
        """Return `pixels_of`, which any process can import."""
        return pixels_of

    def recipe(self) -> EncoderRecipe | None:
        """Return how another process loads this encoder; None on an accelerator."""
        return None if self.accelerated else EncoderRecipe(self.spec, self.id, self.backend)

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed images, in their order; n may be 0."""
        return self._encode(arrays, self.network)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB images, in their order; n may be 0."""
        return self.encode_arrays([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of texts, in their order; an empty text raises `EncoderError`."""
        require_texts(texts)
        rows = np.zeros((len(texts), self.dim), np.float32)
        if not texts:
            return rows
        vocabulary, tower = self._text_parts()
        with torch.inference_mode():
            meaning = tower(vocabulary.tokens(texts))
            # Twice the logit, because a text either names a colour or does not.
            color_weight = torch.sigmoid(2 * meaning.has_color[:, None]).numpy() * _TEXT_COLOR_WEIGHT
            known = torch.sigmoid(meaning.known[:, None]).numpy()
            thing, color = meaning.thing.numpy(), meaning.color.numpy()
        known = np.maximum(known * np.array([[bool(words_of(text))] for text in texts]), _MIN_KNOWN)
        rows[:, :MEANING] = thing * np.sqrt(1 - color_weight**2) * known
        rows[:, MEANING:-1] = color * color_weight * known
        rows[:, -1:] = np.sqrt(1 - known**2)
        return unit_rows(rows)

    def understood(self, row: Embeddings) -> bool:
        """Return whether the text of this (dim,) embedding consists mostly of known words."""
        return bool(row[-1] < _MAX_DOUBT)

    def vocabulary(self) -> Sequence[str]:
        """Return the words with a vector of their own; others are encoded by their character n-grams."""
        return self._text_parts()[0].words

    def _encode(self, arrays: Sequence[NDArray[Any]], network: ImageNetwork) -> Embeddings:
        rows = np.zeros((len(arrays), self.dim), np.float32)
        one_thread = isinstance(network, TorchImageNetwork) and torch.get_num_threads() == 1
        batch = _BATCH_OF_ONE_THREAD if one_thread else _BATCH
        for start in range(0, len(arrays), batch):
            pixels = np.stack(arrays[start : start + batch])
            output = network(pixels)
            part = rows[start : start + batch]
            part[:, :MEANING] = output.meaning * np.sqrt(1 - _COLOR_WEIGHT**2)
            shares = thing_colors(pixels, output.mask)
            part[:, MEANING:-1] = color_block(shares, self._color_mean) * _COLOR_WEIGHT
        return unit_rows(rows)

    def _choose_network(
        self, backbone: Backbone, tower: ImageTower, backend: str
    ) -> tuple[ImageNetwork, str]:
        """Return the image network and its backend's name; `auto` is the fastest one here (see `backends`)."""
        if backend == ONNX and self.accelerated:
            raise EncoderError(
                f"The backend 'onnx' is for the CPU, not for {self._device}: leave one of the two out."
            )
        in_torch, threads = TorchImageNetwork(backbone, tower), torch.get_num_threads()
        if backend == TORCH or self.accelerated or (backend == AUTO and not has_onnx()):
            return in_torch, TORCH
        if backend == ONNX:
            return OnnxImageNetwork(backbone.network, tower, threads=threads), ONNX
        in_onnx: list[ImageNetwork] = []

        def trial() -> BackendTrial:
            arrays = [self.preprocess(decode_image(photo, target_px=INPUT_PX)) for photo in _trial_photos()]
            in_onnx.append(OnnxImageNetwork(backbone.network, tower, threads=threads))
            networks: dict[str, ImageNetwork] = {TORCH: in_torch, ONNX: in_onnx[0]}
            return compare_backends(
                {name: partial(self._encode, arrays, network) for name, network in networks.items()}
            )

        try:
            chosen = cached_trial(self.id, threads, ("torch", "onnx", "onnxruntime"), trial).backend
            if chosen == ONNX:
                network = (
                    in_onnx[0] if in_onnx else OnnxImageNetwork(backbone.network, tower, threads=threads)
                )
                return network, ONNX
        except (EncoderError, PackageNotFoundError) as error:
            _log.warning("torch encodes images, because another backend failed: %s", error)
        return in_torch, TORCH

    def _text_parts(self) -> tuple[Vocabulary, TextTower]:
        """Return the text side, loaded at the first text, because many programs only encode images."""
        with self._text_lock:
            if self._text is None:
                words = (lite_weights.FOLDER / "vocabulary.txt").read_text(encoding="utf-8").split()
                parts = {
                    **lite_weights.load_parts("text.safetensors"),
                    **lite_weights.load_parts("words.safetensors"),
                }
                tower = TextTower(len(words), len(parts["key"]))
                tower.load_state_dict(parts)
                self._text = Vocabulary(words), tower.requires_grad_(requires_grad=False).eval()
            return self._text


def _trial_photos() -> list[Path]:
    """Return some photos of the Sample Store, which is part of every installation."""
    photos = sorted((lite_weights.FOLDER.parent / "sample_store" / "images").glob("*.jpg"))
    return photos[:: max(1, len(photos) // _TRIAL_PHOTOS)][:_TRIAL_PHOTOS]
