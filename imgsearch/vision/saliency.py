"""Where the things of a photo lie: which pixels belong to the one thing, and boxes around each of several.

It owns the estimate of the background and the score of a box. It is arithmetic on colours: it knows no encoder, no
catalog and no files. Both are guesses that suit photos of products; `scripts/measure_regions.py` says how good.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.query import Region
from imgsearch.vision.oklab import cells_of, planes_of, smoothed

__all__ = ["LIGHTNESS_FACTOR", "eroded", "foreground_weights", "reduced", "suggested_regions"]

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Boxes = NDArray[np.int64]
"""(n, 4): left, top, right, bottom in pixels; right and bottom lie outside."""

LIGHTNESS_FACTOR = 0.3
"""Light and shade change lightness far more than they change what one calls the colour."""

_SCALE = np.array([LIGHTNESS_FACTOR, 1, 1], np.float32)[:, None, None]
_BORDER = 0.04  # of the longer side: what lies so near to the edge is taken for background
_BINS = 64
_CENTER_WIDTH = 0.3  # standard deviation of the weight around the middle, in sides
_LEAST, _MOST = 0.02, 0.85  # shares of the photo that a thing can fill; else the middle is looked at

_SIDE_PX = 96  # of the longer side, where boxes are sought
_GROUNDS = 4  # colours of the border that are taken for background
_GROUND_SHARE = 0.08  # of the border that a colour must have for that
_LIGHTNESS = 0.6  # of a difference in colour beside hue: grey things on white have boxes too
_APART = (0.05, 0.09, 0.15)  # distances from the background, in OKLab, from which things are told
_OTSU = (0.6, 1.0, 1.6)  # the same in units of the threshold that the photo itself suggests
_COLORS = 24
_FADING = 0.04  # how far colours of one ground may differ from place to place, in OKLab
_SIDES = (0.14, 0.2, 0.28, 0.38, 0.5, 0.65, 0.82)  # of boxes that are tried everywhere, in longer sides
_SLIMMEST = 3.5
_LEAST_BOX, _MOST_BOX = 0.015, 0.8  # shares of the photo
_OF_BEST = 0.3  # a box whose score is a smaller share of the best one's is not offered
_OVERLAP = 0.25  # of the smaller box that two boxes may share
_FOUND = 1.8  # how much more a box around pixels that stand out is worth than one that was only tried
_MARGIN = 0.04


def reduced(image: Image.Image, side_px: int) -> Image.Image:
    """Return the photo with its longer side of `side_px`, the other one of 16 at least."""
    scale = side_px / max(image.size)
    size = max(16, round(image.width * scale)), max(16, round(image.height * scale))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=1.0)


def foreground_weights(lab: Floats, smooth: Floats) -> Floats:
    """Return how much each pixel belongs to the thing, (height, width) float32 from 0 to 1, never all 0."""
    far = _distance_from_background(lab, smooth)
    mask = _without_holes(_dilated(eroded(far > _threshold(far))))
    height, width = mask.shape
    middle = _middle(height, width)
    if not _LEAST <= mask.mean() <= _MOST:
        return middle
    return np.asarray(mask * (0.3 + 0.7 * middle), np.float32)


def suggested_regions(image: Image.Image, most: int = 5) -> list[Region]:
    """Return boxes around the things of an upright RGB photo, the clearest first; none where nothing stands out.

    Boxes are proposed around pixels that differ from the background, at several thresholds, and tried everywhere in
    many sizes. One is good when its colours differ from those around it (colour contrast: B. Alexe, T. Deselaers and
    V. Ferrari, "What is an object?", CVPR 2010, here the intersection of histograms), when these are of one piece,
    and when it is large and has its surroundings in the photo. Of boxes that overlap the best is kept.
    """
    planes = planes_of(cells_of(np.asarray(reduced(image, _SIDE_PX), np.uint8)))
    smooth = smoothed(planes)
    height, width = smooth.shape[1:]
    colors, count = _main_colors(smooth)
    found = _found_boxes(planes, smooth, colors)
    boxes = np.concatenate([found, _tried_boxes(height, width)])
    worth = _worth(boxes, _sums(colors[None] == np.arange(count)[:, None, None]))
    worth[: len(found)] *= _FOUND
    worth[_are_ground(boxes, smooth)] = 0
    chosen = _apart(boxes, worth, most)
    return [_region(box, height, width) for box in boxes[chosen].tolist()]


def eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels whose four neighbours are in the mask too; beyond the photo's edge all are."""
    result = mask.copy()
    result[1:] &= mask[:-1]
    result[:-1] &= mask[1:]
    result[:, 1:] &= mask[:, :-1]
    result[:, :-1] &= mask[:, 1:]
    return result


# --- the background -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _middle(height: int, width: int) -> Floats:
    """Return a weight that falls off around the middle, (height, width) float32, 1 at most."""
    down = (np.arange(height) + 0.5) / height - 0.5
    across = (np.arange(width) + 0.5) / width - 0.5
    square = down[:, None] ** 2 + across[None, :] ** 2
    return np.exp(-square / (2 * _CENTER_WIDTH**2)).astype(np.float32)


def _distance_from_background(lab: Floats, smooth: Floats) -> Floats:
    """Return how far each pixel's colour is from what the photo's border shows, (height, width) float32.

    Each of the four strips along the edges is described by its mean colour along the strip; a pixel is compared with
    what lies straight left, right, above and below of it at the edges, and with the corners: a wall, a floor and a
    gradient of light are then near, whatever their number. A thing that is cut off by one edge still differs from
    the others', so of the distances the second smallest counts.
    """
    height, width = lab.shape[1:]
    depth = max(2, round(max(height, width) * _BORDER))
    columns = np.stack([lab[:, :, :depth].mean(axis=2), lab[:, :, -depth:].mean(axis=2)])
    rows = np.stack([lab[:, :depth].mean(axis=1), lab[:, -depth:].mean(axis=1)])
    left, right = scipy.ndimage.uniform_filter1d(columns, 9, mode="nearest")[..., None]
    above, below = scipy.ndimage.uniform_filter1d(rows, 9, mode="nearest")[:, :, None]
    share = (np.arange(width, dtype=np.float32) + 0.5) / width
    first = second = np.full((height, width), np.inf, np.float32)
    for edge in (left, right, above, below, left * (1 - share) + right * share):
        difference = smooth - edge
        difference *= _SCALE
        square = np.einsum("chw,chw->hw", difference, difference)
        second = np.minimum(second, np.maximum(first, square))
        first = np.minimum(first, square)
    return np.asarray(np.sqrt(second), np.float32)


def _threshold(far: Floats) -> float:
    """Return the distance that parts thing from background: Otsu's (IEEE Trans. SMC 9, 1979), never within noise."""
    least = float(far.min())
    step = max(float(far.max()) - least, 1e-6) / _BINS
    counts = np.bincount(np.minimum((far.ravel() - least) / step, _BINS - 1).astype(np.intp), minlength=_BINS)
    centers = least + (np.arange(_BINS) + 0.5) * step
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centers)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    best = int(np.argmax(np.nan_to_num(between[:-1])))
    # The farther class is often only the most striking part of the thing.
    return max((least + (best + 1) * step) * 0.7, 0.02)


def _dilated(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels that are in the mask or beside one that is."""
    return ~eroded(~mask)


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask with what it encloses."""
    outside, count = scipy.ndimage.label(~mask)
    at_edge = np.zeros(count + 1, np.bool_)
    for edge in (outside[0], outside[-1], outside[:, 0], outside[:, -1]):
        at_edge[edge] = True
    at_edge[0] = False
    return np.asarray(~at_edge[outside], np.bool_)


# --- boxes ----------------------------------------------------------------------------------------------------------


def _main_colors(smooth: Floats) -> tuple[NDArray[np.intp], int]:
    """Return for each pixel the number of its colour among the photo's main ones, and how many those are."""
    light = np.clip(smooth[0] * 6, 0, 5).astype(np.intp)
    hue = np.clip(np.rint(smooth[1:] / 0.06) + 4, 0, 8).astype(np.intp)
    _, codes, counts = np.unique((light * 9 + hue[0]) * 9 + hue[1], return_inverse=True, return_counts=True)
    codes = codes.reshape(light.shape)
    scaled = _scaled(smooth).reshape(3, -1)
    centers = np.stack([np.bincount(codes.ravel(), plane) for plane in scaled], axis=1) / counts[:, None]
    main = np.argsort(-counts, kind="stable")[:_COLORS]
    nearest = ((centers[:, None] - centers[main][None]) ** 2).sum(axis=2).argmin(axis=1)
    return nearest[codes], len(main)


def _scaled(planes: Floats) -> Floats:
    return planes * np.array([_LIGHTNESS, 1, 1], np.float32)[:, None, None]


def _found_boxes(planes: Floats, smooth: Floats, colors: NDArray[np.intp]) -> Boxes:
    """Return the boxes of pixels that hang together and differ from the background."""
    far = _distance_from_background(planes, smooth)
    threshold = _threshold(far)
    ground = _distance_from_grounds(smooth, colors)
    masks = [far > threshold * factor for factor in _OTSU] + [ground > distance for distance in _APART]
    found = {box for mask in masks for box in _boxes_of(mask)}
    return np.array(sorted(found), np.int64).reshape(-1, 4)


def _distance_from_grounds(smooth: Floats, colors: NDArray[np.intp]) -> Floats:
    """Return how far each pixel's colour is from the nearest of the border's main colours, (height, width)."""
    height, width = colors.shape
    depth = max(2, round(max(height, width) * _BORDER))
    edge = np.ones((height, width), np.bool_)
    edge[depth:-depth, depth:-depth] = False
    counts = np.bincount(colors[edge])
    scaled, nearest = _scaled(smooth), np.full((height, width), np.inf, np.float32)
    for color in np.argsort(-counts, kind="stable")[:_GROUNDS]:
        if counts[color] > _GROUND_SHARE * counts.sum():
            center = scaled[:, edge & (colors == color)].mean(axis=1)
            nearest = np.minimum(nearest, ((scaled - center[:, None, None]) ** 2).sum(axis=0))
    return np.asarray(np.sqrt(nearest), np.float32)


def _boxes_of(mask: Mask) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes of the mask's parts, as they are and with what lies near joined."""
    opened = scipy.ndimage.binary_opening(mask)
    joined = scipy.ndimage.binary_closing(np.pad(opened, 2), iterations=2)[2:-2, 2:-2]
    for each in (opened, joined):
        labels, _ = scipy.ndimage.label(each)
        for down, across in scipy.ndimage.find_objects(labels):
            yield across.start, down.start, across.stop, down.stop


@lru_cache(maxsize=16)
def _tried_boxes(height: int, width: int) -> Boxes:
    """Return boxes of many sizes everywhere in a photo."""
    boxes = []
    sides = [int(share * max(height, width)) for share in _SIDES]
    for wide in sides:
        for high in sides:
            if wide > width - 2 or high > height - 2 or max(wide, high) > _SLIMMEST * min(wide, high):
                continue
            left, top = np.meshgrid(
                np.arange(1, width - wide, max(2, wide // 6)), np.arange(1, height - high, max(2, high // 6))
            )
            boxes.append(np.stack([left, top, left + wide, top + high], axis=-1).reshape(-1, 4))
    return np.concatenate([np.zeros((0, 4), np.int64), *boxes])


def _sums(planes: NDArray[Any]) -> Floats:
    """Return the sums of planes left of and above each place, (planes, height + 1, width + 1)."""
    sums = np.zeros((len(planes), planes.shape[1] + 1, planes.shape[2] + 1), np.float32)
    np.cumsum(np.cumsum(planes, axis=1, dtype=np.float32), axis=2, out=sums[:, 1:, 1:])
    return sums


def _totals(sums: Floats, boxes: Boxes) -> Floats:
    """Return the sums of planes over each box, (planes, boxes)."""
    left, top, right, bottom = boxes.T
    return np.asarray(
        sums[:, bottom, right] - sums[:, top, right] - sums[:, bottom, left] + sums[:, top, left], np.float32
    )


def _rim(boxes: Boxes) -> NDArray[np.int64]:
    """Return how wide the surroundings are that each box is compared with, in pixels."""
    sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    return np.asarray(np.maximum(3, np.rint(0.2 * sides)), np.int64)


def _widened(boxes: Boxes, rim: NDArray[np.int64], height: int, width: int) -> Boxes:
    grown = boxes + rim[:, None] * np.array([-1, -1, 1, 1])
    return np.asarray(np.clip(grown, 0, [width, height, width, height]), np.int64)


def _are_ground(boxes: Boxes, smooth: Floats) -> Mask:
    """Return which boxes show but a piece of the ground: smooth, and hardly other than their surroundings.

    Where light fades over a wall, its colours fall into steps that look like a contrast.
    """
    scaled = _scaled(smooth)
    sums = _sums(np.concatenate([scaled, scaled**2]))
    wider = _widened(boxes, _rim(boxes), *smooth.shape[1:])
    pixels = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    beside = np.maximum((wider[:, 2:] - wider[:, :2]).prod(axis=1) - pixels, 1)
    inside = _totals(sums, boxes)
    outer = (_totals(sums, wider) - inside) / beside
    inner = inside / np.maximum(pixels, 1)
    apart = ((inner[:3] - outer[:3]) ** 2).sum(axis=0)
    uneven = (inner[3:] - inner[:3] ** 2).sum(axis=0)
    return np.asarray((apart < _FADING**2) & (uneven < _FADING**2), np.bool_)


def _worth(boxes: Boxes, sums: Floats) -> NDArray[np.float64]:
    """Return how good each box is; 0 for one that is too small or too large."""
    height, width = sums.shape[1] - 1, sums.shape[2] - 1
    sides = boxes[:, 2:] - boxes[:, :2]
    pixels = sides.prod(axis=1)
    around = _rim(boxes)
    inside = _totals(sums, boxes)
    outside = _totals(sums, _widened(boxes, around, height, width)) - inside
    beside = outside.sum(axis=0)
    inner, outer = inside / pixels, outside / np.maximum(beside, 1)
    contrast = 1 - np.minimum(inner, outer).sum(axis=0)
    of_one_piece = 0.4 + (outer**2).sum(axis=0)
    there = np.minimum(beside / (2 * around * (sides.sum(axis=1) + 2 * around)), 1)
    share = pixels / (height * width)
    worth = contrast**2 * there * of_one_piece**0.7 * np.sqrt(share)
    fits = (share >= _LEAST_BOX) & (share <= _MOST_BOX) & (sides.min(axis=1) >= 4)
    return np.where(fits, worth, 0).astype(np.float64)


def _apart(boxes: Boxes, worth: NDArray[np.float64], most: int) -> list[int]:
    """Return the places of the best boxes that hardly overlap, best first."""
    chosen: list[int] = []
    left = worth.copy()
    pixels = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    least = _OF_BEST * float(left.max(initial=0))
    while len(chosen) < most and len(left):
        best = int(left.argmax())
        if left[best] <= 0 or left[best] < least:
            break
        chosen.append(best)
        common = np.minimum(boxes[:, 2:], boxes[best, 2:]) - np.maximum(boxes[:, :2], boxes[best, :2])
        shared = np.maximum(common, 0).prod(axis=1)
        left[shared > _OVERLAP * np.minimum(pixels, pixels[best])] = 0
    return chosen


def _region(box: list[int], height: int, width: int) -> Region:
    """Return a box with a small margin as a part of the photo."""
    left, top, right, bottom = box
    across, down = _MARGIN * (right - left) + 0.5, _MARGIN * (bottom - top) + 0.5
    return Region(
        max(left - across, 0) / width,
        max(top - down, 0) / height,
        min(right + across, width) / width,
        min(bottom + down, height) / height,
    )
