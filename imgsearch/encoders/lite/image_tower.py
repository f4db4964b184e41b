"""The image tower of `lite`: what a thing is, from a frozen network, and of which colours, from its own pixels.

It owns the two learned parts (which pixels belong to the thing, and the projection of the network's layers) and how
they become a picture's part of the embedding. It knows no words; `scripts/train_lite.py` trains it. `lite_onnx` has
the same layers for another runtime: what changes here changes there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imgsearch.encoders.lite.backbone import MASK_CELLS, Backbone, Readout
from imgsearch.encoders.lite.colors import SHADES, shade_shares

__all__ = [
    "COLORS",
    "FEATURES",
    "KEPT_BACKGROUND",
    "MEANING",
    "ImageTower",
    "Look",
    "Looked",
    "MaskHead",
    "Seen",
    "TorchLook",
    "color_block",
    "colors_of",
    "see",
]

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
"""The blocks of a picture's features, in their order, and how long each is."""
MEANING = 384
COLORS = len(SHADES)
_COLOR_CELLS = 56  # colours are looked at in squares of 4 x 4 pixels
_CENTER_WIDTH = 0.35  # standard deviation of the weight around the middle, in sides
_UNSURE, _SURE = 0.35, 0.85  # below and above these a cell counts nothing and in full
_LEAST_SEEN = 8.0  # weight of fewer cells than this is no thing: then the middle is looked at
KEPT_BACKGROUND = 0.02
"""Weight of every cell, so that the mean over a thing that was not found is the mean over all."""


class MaskHead(nn.Module):
    """Says for each of 28 x 28 cells whether it belongs to the thing: three layers, one by one, then 3 x 3 cells."""

    def __init__(self) -> None:
        super().__init__()
        self.stage_2 = nn.Conv2d(40, 24, 1)
        self.stage_4 = nn.Conv2d(112, 24, 1)
        self.stage_6 = nn.Conv2d(320, 24, 1)
        self.out = nn.Conv2d(24, 1, 3, padding=1)

    def forward(self, maps: dict[int, torch.Tensor]) -> torch.Tensor:
        """Return logits, (n, 28, 28)."""
        hidden = self.stage_2(maps[2]) + _enlarged(self.stage_4(maps[4])) + _enlarged(self.stage_6(maps[6]))
        logits: torch.Tensor = self.out(torch.relu(hidden))[:, 0]
        return logits


class ImageTower(nn.Module):
    """The learned parts together; `mean` and `scale` bring the features to one size before the projection."""

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
        """Return what things are, (n, 384) unit rows, of (n, 3504) features."""
        return nn.functional.normalize(self.project((features - self.mean) * self.scale), dim=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in n pictures: `features` (n, 3504) float32 and the shares of the shades, (n, 33) float32."""

    features: NDArray[np.float32]
    shares: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Looked:
    """What the layers say of n pictures: `what` (n, 384) unit rows, and `cells` (n, 28, 28): what belongs to it."""

    what: NDArray[np.float32]
    cells: NDArray[np.float32]


Look = Callable[[NDArray[np.uint8]], Looked]
"""Looks at (n, 3, 224, 224) uint8 pixels; `TorchLook` is the one that others are measured by."""


class TorchLook:
    """Looks at pictures through the frozen network and the learned parts in torch; safe in several threads."""

    def __init__(self, backbone: Backbone, tower: ImageTower) -> None:
        self._backbone = backbone
        self._tower = tower

    def __call__(self, pixels: NDArray[np.uint8]) -> Looked:
        """Return what is on (n, 3, 224, 224) uint8 pixels, and which cells belong to it."""
        features, cells = _features(self._tower.mask, self._backbone(pixels))
        with torch.inference_mode():
            return Looked(self._tower(torch.from_numpy(features)).numpy(), cells)


def see(mask: MaskHead, readout: Readout, pixels: NDArray[np.uint8]) -> Seen:
    """Return the features and colours of the (n, 3, 224, 224) uint8 pictures that the network has read out."""
    features, cells = _features(mask, readout)
    return Seen(features, colors_of(pixels, cells))


def colors_of(pixels: NDArray[np.uint8], cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shares of the shades, (n, 33) float32, of the cells that belong to the thing."""
    return shade_shares(_squares(pixels), _color_weights(cells))


def color_block(shares: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the unit rows, (n, 33), by whose cosine two distributions of colours are compared.

    The square roots have the Bhattacharyya coefficient as cosine; their mean is taken away, for most things share
    some grey, and what is usual says nothing.
    """
    roots = np.sqrt(shares)
    centred = roots / np.linalg.norm(roots, axis=1, keepdims=True) - mean
    lengths = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    result: NDArray[np.float32] = (centred / lengths).astype(np.float32)
    return result


def _features(mask: MaskHead, readout: Readout) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the features, (n, 3504), and which cells belong to the thing, (n, 28, 28)."""
    with torch.inference_mode():
        belongs = torch.sigmoid(mask(readout.maps))
        weight = nn.functional.adaptive_avg_pool2d(belongs[:, None], readout.last.shape[2]) + KEPT_BACKGROUND
        weight = weight / weight.sum(dim=(2, 3), keepdim=True)
        blocks = [readout.last.mean(dim=(2, 3)), (readout.last * weight).sum(dim=(2, 3))]
        for stage in (6, 4, 2):
            blocks += [readout.maps[stage].mean(dim=(2, 3)), readout.maps[stage].std(dim=(2, 3))]
        return torch.cat(blocks, dim=1).cpu().numpy(), belongs.cpu().numpy()


def _squares(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean colour of each 4 x 4 pixels, (n, 56, 56, 3) uint8."""
    count, channels, height, width = pixels.shape
    step = height // _COLOR_CELLS
    blocks = pixels.reshape(count, channels, _COLOR_CELLS, step, width // step, step)
    means = blocks.mean(axis=(3, 5), dtype=np.float32).transpose(0, 2, 3, 1)
    return np.asarray(np.rint(means), np.uint8)


def _color_weights(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each of 56 x 56 squares counts for the colours, from the 28 x 28 cells of the mask."""
    twice = _COLOR_CELLS // MASK_CELLS
    fine = np.repeat(np.repeat(cells, twice, axis=1), twice, axis=2)
    place = (np.arange(_COLOR_CELLS) + 0.5) / _COLOR_CELLS - 0.5
    center = np.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * _CENTER_WIDTH**2)).astype(np.float32)
    weights = np.clip((fine - _UNSURE) / (_SURE - _UNSURE), 0, 1) * center
    weights[weights.sum(axis=(1, 2)) < _LEAST_SEEN] += 0.05 * center
    result: NDArray[np.float32] = weights.astype(np.float32)
    return result


def _enlarged(values: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(
        values, size=(MASK_CELLS, MASK_CELLS), mode="bilinear", align_corners=False
    )
