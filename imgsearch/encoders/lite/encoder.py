"""The `lite` encoder: look-alikes and words with no download, on any machine.

It puts the image tower and the text tower together and owns how their parts make one embedding. What is learned lies
in `image_tower` and `text_tower`, the frozen network in `backbone`; docs/encoders/lite.md says how it was trained.

An embedding has three blocks, `[what | of which colours | doubt]`, of 384, 33 and 1 numbers. A picture's doubt is 0.
A text's doubt turns it away from all pictures by as much as its words are unknown, so that every score of "asdf qwer"
is low while its order stays; a text without a colour has an empty colour block.
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
from imgsearch.encoders.backends import AUTO, ONNX, TORCH, Trial, remembered, tried
from imgsearch.encoders.base import Embeddings, require_texts, unit_rows
from imgsearch.encoders.device import pick_device
from imgsearch.encoders.lite import weights as lite_weights
from imgsearch.encoders.lite.backbone import Backbone
from imgsearch.encoders.lite.framing import INPUT_PX, pixels_of
from imgsearch.encoders.lite.image_tower import (
    COLORS,
    MEANING,
    ImageTower,
    Look,
    TorchLook,
    color_block,
    colors_of,
)
from imgsearch.encoders.lite.onnx import OnnxLook, has_onnx
from imgsearch.encoders.lite.text_tower import TextTower, Vocabulary, words_of
from imgsearch.encoders.recipe import EncoderRecipe, Preprocessor
from imgsearch.vision.images import decode_image

__all__ = ["LiteEncoder"]

_VERSION = (
    2  # raise it with any change of the code that moves an embedding: catalogs of two ids are never mixed
)
_COLOR_WEIGHT = (
    0.4  # of a picture's colours beside what it is; chosen on held-out photos (docs/encoders/lite.md)
)
_TEXT_COLOR_WEIGHT = 0.65  # of a text's: it is less like a picture in what it says than in its colour
_LEAST_KNOWN = 0.02
_DOUBTFUL = 0.9  # with more doubt than this, fewer than half of the chances are that a text is language
# Larger batches fall out of the caches, and their layers' memory out of what glibc keeps. With one thread torch takes
# its fast way through a layer only from 16 pictures on (11 ms a picture instead of 16).
_BATCH, _BATCH_OF_ONE_THREAD = 8, 16
_TRIAL_PHOTOS = 8

_log = logging.getLogger(__name__)


class LiteEncoder:
    """EfficientNet-Lite0 and the towers on top of it; safe in several threads."""

    def __init__(self, device: str | None = None, backend: str = TORCH) -> None:
        """Load everything that pictures need; raises `EncoderError` where weights or `backend` cannot be had."""
        place = self._place = pick_device(device)
        backbone = Backbone(place)
        image = ImageTower()
        image.load_state_dict(lite_weights.load_parts("image.safetensors"))
        image.requires_grad_(requires_grad=False).eval()
        # The mask works on the network's maps, so it lies beside the network.
        image.mask.to(place)
        self._color_mean: NDArray[np.float32] = image.color_mean.numpy()
        self._text: tuple[Vocabulary, TextTower] | None = None
        self._text_lock = threading.Lock()
        self._look, self._backend = self._chosen_look(backbone, image, place, backend)

    @property
    def spec(self) -> str:
        """Always `lite`."""
        return "lite"

    @property
    def id(self) -> str:
        """The spec, the hash of the weights and the version of all the rest."""
        return lite_weights.lite_id()

    @property
    def backend(self) -> str:
        """Which library looks at pictures: `torch` or `onnx`."""
        return self._backend

    @property
    def dim(self) -> int:
        """The length of an embedding."""
        return MEANING + COLORS + 1

    @property
    def input_px(self) -> int:
        """The side of the network's input."""
        return INPUT_PX

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return the square that is looked at, (3, 224, 224) uint8."""
        return pixels_of(image)

    @property
    def accelerated(self) -> bool:
        """Whether pictures are looked at elsewhere than on the CPU."""
        return self._place.type != "cpu"

    def preprocessor(self) -> Preprocessor:
        """Return `pixels_of`, which any process can import."""
        return pixels_of

    def recipe(self) -> EncoderRecipe | None:
        """Return how another process makes this encoder; None on an accelerator."""
        return None if self.accelerated else EncoderRecipe(self.spec, self.id, self.backend)

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed pictures, in their order; n may be 0."""
        return self._rows(arrays, self._look)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB pictures, in their order; n may be 0."""
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
            # Twice the logit: a text either names a colour or does not.
            color_weight = torch.sigmoid(2 * meaning.has_color[:, None]).numpy() * _TEXT_COLOR_WEIGHT
            known = torch.sigmoid(meaning.known[:, None]).numpy()
            thing, color = meaning.thing.numpy(), meaning.color.numpy()
        # Never quite nothing: the order of the hits must not drown in rounding.
        known = np.maximum(known * np.array([[bool(words_of(text))] for text in texts]), _LEAST_KNOWN)
        rows[:, :MEANING] = thing * np.sqrt(1 - color_weight**2) * known
        rows[:, MEANING:-1] = color * color_weight * known
        rows[:, -1:] = np.sqrt(1 - known**2)
        return unit_rows(rows)

    def understood(self, row: Embeddings) -> bool:
        """Return whether the text that has this (dim,) embedding was of known words, more or less."""
        return bool(row[-1] < _DOUBTFUL)

    def vocabulary(self) -> Sequence[str]:
        """Return the words that the text tower has a vector for; it reads others by their groups of letters."""
        return self._text_parts()[0].words

    def _rows(self, arrays: Sequence[NDArray[Any]], look: Look) -> Embeddings:
        rows = np.zeros((len(arrays), self.dim), np.float32)
        alone = isinstance(look, TorchLook) and torch.get_num_threads() == 1
        batch = _BATCH_OF_ONE_THREAD if alone else _BATCH
        for start in range(0, len(arrays), batch):
            pixels = np.stack(arrays[start : start + batch])
            looked = look(pixels)
            part = rows[start : start + batch]
            part[:, :MEANING] = looked.what * np.sqrt(1 - _COLOR_WEIGHT**2)
            shares = colors_of(pixels, looked.cells)
            part[:, MEANING:-1] = color_block(shares, self._color_mean) * _COLOR_WEIGHT
        return unit_rows(rows)

    def _chosen_look(
        self, backbone: Backbone, image: ImageTower, place: torch.device, backend: str
    ) -> tuple[Look, str]:
        """Return how to look at pictures and its name; `auto` is the fastest way here (see `backends`)."""
        by_torch, threads = TorchLook(backbone, image), torch.get_num_threads()
        if backend == ONNX and place.type != "cpu":
            raise EncoderError(
                f"The backend 'onnx' is for the CPU, not for {place}: leave one of the two out."
            )
        if backend == TORCH or place.type != "cpu" or (backend == AUTO and not has_onnx()):
            return by_torch, TORCH
        if backend == ONNX:
            return OnnxLook(backbone.network, image, threads=threads), ONNX
        loaded: list[Look] = []

        def trial() -> Trial:
            arrays = [self.preprocess(decode_image(photo, target_px=INPUT_PX)) for photo in _trial_photos()]
            loaded.append(OnnxLook(backbone.network, image, threads=threads))
            looks: dict[str, Look] = {TORCH: by_torch, ONNX: loaded[0]}
            return tried({name: partial(self._rows, arrays, look) for name, look in looks.items()})

        try:
            chosen = remembered(self.id, threads, ("torch", "onnx", "onnxruntime"), trial).backend
            if chosen == ONNX:
                return loaded[0] if loaded else OnnxLook(backbone.network, image, threads=threads), ONNX
        except (EncoderError, PackageNotFoundError) as error:
            _log.warning("torch looks at pictures, for another backend failed: %s", error)
        return by_torch, TORCH

    def _text_parts(self) -> tuple[Vocabulary, TextTower]:
        """Return the text side, loaded at the first text: many programs only ever encode pictures."""
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
    """Return some of the Sample Store's photos, which every installation has."""
    photos = sorted((lite_weights.FOLDER.parent / "sample_store" / "images").glob("*.jpg"))
    return photos[:: max(1, len(photos) // _TRIAL_PHOTOS)][:_TRIAL_PHOTOS]
