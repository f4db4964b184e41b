"""The image tower of `lite`: a projection of the backbone's features, and the colours of the thing.

A mask head decides which cells belong to the thing. `scripts/train_lite.py` trains both; `onnx` has the same layers
for ONNX Runtime, so a change here needs the same change there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imgsearch.encoders.lite.backbone import MASK_CELLS, Backbone, FeatureMaps
from imgsearch.encoders.lite.colors import SHADES, shade_shares

FEATURES = {
    "last": 1280,
    "last of the thing": 1280,
    "stage 6": 320,
    "spread of stage 6": 320,
    "stage 4": 112,
    "spread of stage 4": 112,
    "stage 2": 40,
    "spread of stage 2": 40,
}
"""The blocks of an image's features, in their order, and their lengths."""
MEANING = 384
COLORS = len(SHADES)
_COLOR_CELLS = 56  # colours are averaged over squares of 4 x 4 pixels
_CENTER_SIGMA = 0.35  # of the weight around the middle, in sides
_MASK_LOW, _MASK_HIGH = 0.35, 0.85  # mask probabilities with weights 0 and 1
_MIN_MASK_WEIGHT = 8.0  # with less, no thing was found, and the middle is used
MIN_CELL_WEIGHT = 0.02
"""The weight of cells outside the mask, so that an empty mask means the mean over all cells."""


class MaskHead(nn.Module):
    """Decides for each of 28 x 28 cells whether it belongs to the thing, from three stages of the backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.stage_2 = nn.Conv2d(40, 24, 1)
        self.stage_4 = nn.Conv2d(112, 24, 1)
        self.stage_6 = nn.Conv2d(320, 24, 1)
        self.out = nn.Conv2d(24, 1, 3, padding=1)

    def forward(self, maps: dict[int, torch.Tensor]) -> torch.Tensor:
        """Return logits, (n, 28, 28)."""
        hidden = self.stage_2(maps[2]) + _upscaled(self.stage_4(maps[4])) + _upscaled(self.stage_6(maps[6]))
        logits: torch.Tensor = self.out(torch.relu(hidden))[:, 0]
        return logits


class ImageTower(nn.Module):
    """The trained parts; `mean` and `scale` standardise the features before the projection."""

    mean: torch.Tensor
    scale: torch.Tensor
    color_mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        length = sum(FEATURES.values())
        self.mask = MaskHead()
        self.project = nn.Linear(length, MEANING, bias=False)
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("scale", torch.ones(length))
        self.register_buffer("color_mean", torch.zeros(COLORS))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the (n, 384) unit rows of (n, 3504) features."""
        return nn.functional.normalize(self.project((features - self.mean) * self.scale), dim=1)


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """The features of n images, (n, 3504) float32, and the shares of their things' shades, (n, 33) float32."""

    features: NDArray[np.float32]
    shares: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImageOutput:
    """The network's output for n images: `meaning` (n, 384) unit rows, and the `mask` (n, 28, 28) of the things."""

    meaning: NDArray[np.float32]
    mask: NDArray[np.float32]


ImageNetwork = Callable[[NDArray[np.uint8]], ImageOutput]
"""Computes the output for (n, 3, 224, 224) uint8 pixels; `TorchImageNetwork` is the reference."""


class TorchImageNetwork:
    """The backbone and the trained parts in torch."""

    def __init__(self, backbone: Backbone, tower: ImageTower) -> None:
        self.backbone = backbone
        self.tower = tower

    def __call__(self, pixels: NDArray[np.uint8]) -> ImageOutput:
        """Return the output for (n, 3, 224, 224) uint8 pixels."""
        features, mask = _features(self.tower.mask, self.backbone(pixels))
        with torch.inference_mode():
            return ImageOutput(self.tower(torch.from_numpy(features)).numpy(), mask)


def extract_features(head: MaskHead, maps: FeatureMaps, pixels: NDArray[np.uint8]) -> ImageFeatures:
    """Return the features and colours of (n, 3, 224, 224) uint8 pixels, whose `maps` the backbone has computed."""
    features, mask = _features(head, maps)
    return ImageFeatures(features, thing_colors(pixels, mask))


def thing_colors(pixels: NDArray[np.uint8], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shares of the shades, (n, 33) float32, of the cells in the mask."""
    return shade_shares(_squares(pixels), _color_weights(mask))


def color_block(shares: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit rows, (n, 33), whose cosine compares two distributions of colours.

    The cosine of square roots is the Bhattacharyya coefficient; their mean is subtracted, because most things have
    some grey.
    """
    roots = np.sqrt(shares)
    centred = roots / np.linalg.norm(roots, axis=1, keepdims=True) - mean
    lengths = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    result: NDArray[np.float32] = (centred / lengths).astype(np.float32)
    return result


def _features(head: MaskHead, maps: FeatureMaps) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the features, (n, 3504), and the mask, (n, 28, 28)."""
    with torch.inference_mode():
        mask = torch.sigmoid(head(maps.maps))
        weight = nn.functional.adaptive_avg_pool2d(mask[:, None], maps.last.shape[2]) + MIN_CELL_WEIGHT
        weight = weight / weight.sum(dim=(2, 3), keepdim=True)
        blocks = [maps.last.mean(dim=(2, 3)), (maps.last * weight).sum(dim=(2, 3))]
        for stage in (6, 4, 2):
            blocks += [maps.maps[stage].mean(dim=(2, 3)), maps.maps[stage].std(dim=(2, 3))]
        return torch.cat(blocks, dim=1).cpu().numpy(), mask.cpu().numpy()


def _squares(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean colour of each 4 x 4 pixels, (n, 56, 56, 3) uint8."""
    count, channels, height, width = pixels.shape
    step = height // _COLOR_CELLS
    blocks = pixels.reshape(count, channels, _COLOR_CELLS, step, width // step, step)
    means = blocks.mean(axis=(3, 5), dtype=np.float32).transpose(0, 2, 3, 1)
    return np.asarray(np.rint(means), np.uint8)


def _color_weights(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the weights of 56 x 56 squares for the colours, from the 28 x 28 cells of the mask."""
    factor = _COLOR_CELLS // MASK_CELLS
    fine = np.repeat(np.repeat(mask, factor, axis=1), factor, axis=2)
    place = (np.arange(_COLOR_CELLS) + 0.5) / _COLOR_CELLS - 0.5
    center = np.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * _CENTER_SIGMA**2)).astype(np.float32)
    weights = np.clip((fine - _MASK_LOW) / (_MASK_HIGH - _MASK_LOW), 0, 1) * center
    weights[weights.sum(axis=(1, 2)) < _MIN_MASK_WEIGHT] += 0.05 * center
    result: NDArray[np.float32] = weights.astype(np.float32)
    return result


def _upscaled(values: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(
        values, size=(MASK_CELLS, MASK_CELLS), mode="bilinear", align_corners=False
    )
