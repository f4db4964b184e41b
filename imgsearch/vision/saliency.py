"""Foreground estimation and object proposals for product photos; `scripts/measure_regions.py` measures them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.query import Region
from imgsearch.vision.oklab import Floats, blurred, color_cells, lab_planes

Mask = NDArray[np.bool_]
Boxes = NDArray[np.int64]
"""(n, 4): left, top, right, bottom in pixels; right and bottom are exclusive."""

LIGHTNESS_WEIGHT = 0.3
"""Of lightness in colour differences: light and shadow change it more than they change the perceived colour."""

_LAB_WEIGHTS = np.array([LIGHTNESS_WEIGHT, 1, 1], np.float32)[:, None, None]
_BORDER_SHARE = 0.04  # of the longer side: the width of the border that is taken for background
_HISTOGRAM_BINS = 64
_CENTER_SIGMA = 0.3  # of the weight around the middle, in sides
_MIN_FOREGROUND, _MAX_FOREGROUND = 0.02, 0.85  # shares of the photo; otherwise the middle is the foreground

# Object proposals
_SIDE_PX = 96  # the longer side of the photo that is searched
_MAX_BACKGROUNDS = 4  # colours of the border that are taken for background
_MIN_BACKGROUND_SHARE = 0.08  # of the border
_PROPOSAL_LIGHTNESS_WEIGHT = 0.6  # a larger one, for grey things on white
_BACKGROUND_DISTANCES = (0.05, 0.09, 0.15)  # thresholds in OKLab
_OTSU_FACTORS = (0.6, 1.0, 1.6)  # thresholds as multiples of Otsu's
_MAX_COLORS = 24
_GRADIENT = 0.04  # how far the colours of one background may differ from place to place, in OKLab
_GRID_SIDES = (0.14, 0.2, 0.28, 0.38, 0.5, 0.65, 0.82)  # of boxes tried at every position, in longer sides
_MAX_ASPECT = 3.5
_MIN_BOX, _MAX_BOX = 0.015, 0.8  # shares of the photo
_MIN_RELATIVE_SCORE = 0.3  # of a suggested box, relative to the best one
_MAX_OVERLAP = 0.25  # of two suggested boxes, as a share of the smaller
_SEGMENT_BONUS = 1.8  # the factor for boxes around segments over boxes of the grid
_MARGIN = 0.04  # around a suggested box, in its sides


def downscaled(image: Image.Image, side_px: int) -> Image.Image:
    """Return the photo with a longer side of `side_px` and a shorter one of at least 16."""
    scale = side_px / max(image.size)
    size = max(16, round(image.width * scale)), max(16, round(image.height * scale))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=1.0)


def foreground_weights(lab: Floats, smooth: Floats) -> Floats:
    """Return how much each pixel belongs to the foreground, (height, width) float32 from 0 to 1, never all 0."""
    distance = _distance_from_border(lab, smooth)
    mask = _filled(_dilated(eroded(distance > _otsu_threshold(distance))))
    center = _center_weights(*mask.shape)
    if not _MIN_FOREGROUND <= mask.mean() <= _MAX_FOREGROUND:
        return center
    return np.asarray(mask * (0.3 + 0.7 * center), np.float32)


def suggested_regions(image: Image.Image, limit: int = 5) -> list[Region]:
    """Return boxes around the objects of an upright RGB photo, best first; none where nothing stands out.

    Candidates are boxes around segments that differ from the background, at several thresholds, and a grid of boxes
    of many sizes. The score combines colour contrast with the surroundings (B. Alexe, T. Deselaers and V. Ferrari,
    "What is an object?", CVPR 2010; here a histogram intersection), uniform surroundings, and size. Overlapping boxes
    are suppressed.
    """
    planes = lab_planes(color_cells(np.asarray(downscaled(image, _SIDE_PX), np.uint8)))
    smooth = blurred(planes)
    height, width = smooth.shape[1:]
    colors, count = _main_colors(smooth)
    segments = _segment_boxes(planes, smooth, colors)
    boxes = np.concatenate([segments, _grid_boxes(height, width)])
    scores = _box_scores(boxes, _integral(colors[None] == np.arange(count)[:, None, None]))
    scores[: len(segments)] *= _SEGMENT_BONUS
    scores[_are_background(boxes, smooth)] = 0
    chosen = _non_overlapping(boxes, scores, limit)
    return [_region(box, height, width) for box in boxes[chosen].tolist()]


def eroded(mask: Mask) -> Mask:
    """Return the pixels whose four neighbours are in the mask too; outside the photo, all count as such."""
    result = mask.copy()
    result[1:] &= mask[:-1]
    result[:-1] &= mask[1:]
    result[:, 1:] &= mask[:, :-1]
    result[:, :-1] &= mask[:, 1:]
    return result


# --- background -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _center_weights(height: int, width: int) -> Floats:
    """Return a Gaussian weight around the middle, (height, width) float32, at most 1."""
    down = (np.arange(height) + 0.5) / height - 0.5
    across = (np.arange(width) + 0.5) / width - 0.5
    square = down[:, None] ** 2 + across[None, :] ** 2
    return np.exp(-square / (2 * _CENTER_SIGMA**2)).astype(np.float32)


def _distance_from_border(lab: Floats, smooth: Floats) -> Floats:
    """Return the colour distance of each pixel from the photo's border, (height, width) float32.

    A pixel is compared with the mean colours of the border straight left, right, above and below of it, and with a
    blend of left and right, so that walls, floors and gradients of light all count as background. The second smallest
    distance counts: a thing that is cut off by one edge differs from the other edges.
    """
    height, width = lab.shape[1:]
    depth = max(2, round(max(height, width) * _BORDER_SHARE))
    columns = np.stack([lab[:, :, :depth].mean(axis=2), lab[:, :, -depth:].mean(axis=2)])
    rows = np.stack([lab[:, :depth].mean(axis=1), lab[:, -depth:].mean(axis=1)])
    left, right = scipy.ndimage.uniform_filter1d(columns, 9, mode="nearest")[..., None]
    above, below = scipy.ndimage.uniform_filter1d(rows, 9, mode="nearest")[:, :, None]
    share = (np.arange(width, dtype=np.float32) + 0.5) / width
    first = second = np.full((height, width), np.inf, np.float32)
    for edge in (left, right, above, below, left * (1 - share) + right * share):
        difference = smooth - edge
        difference *= _LAB_WEIGHTS
        square = np.einsum("chw,chw->hw", difference, difference)
        second = np.minimum(second, np.maximum(first, square))
        first = np.minimum(first, square)
    return np.asarray(np.sqrt(second), np.float32)


def _otsu_threshold(distance: Floats) -> float:
    """Return 0.7 of Otsu's threshold (IEEE Trans. SMC 9, 1979) between background and foreground, at least 0.02."""
    least = float(distance.min())
    step = max(float(distance.max()) - least, 1e-6) / _HISTOGRAM_BINS
    bins = np.minimum((distance.ravel() - least) / step, _HISTOGRAM_BINS - 1).astype(np.intp)
    counts = np.bincount(bins, minlength=_HISTOGRAM_BINS)
    centers = least + (np.arange(_HISTOGRAM_BINS) + 0.5) * step
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centers)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    best = int(np.argmax(np.nan_to_num(between[:-1])))
    # Lowered because the farther class is often only the most striking part of the thing.
    return max((least + (best + 1) * step) * 0.7, 0.02)


def _dilated(mask: Mask) -> Mask:
    return ~eroded(~mask)


def _filled(mask: Mask) -> Mask:
    """Return the mask with its holes filled."""
    outside, count = scipy.ndimage.label(~mask)
    at_edge = np.zeros(count + 1, np.bool_)
    for edge in (outside[0], outside[-1], outside[:, 0], outside[:, -1]):
        at_edge[edge] = True
    at_edge[0] = False
    return np.asarray(~at_edge[outside], np.bool_)


# --- candidate boxes ------------------------------------------------------------------------------------------------


def _main_colors(smooth: Floats) -> tuple[NDArray[np.intp], int]:
    """Return the number of each pixel's colour among the photo's main colours, and how many those are."""
    light = np.clip(smooth[0] * 6, 0, 5).astype(np.intp)
    hue = np.clip(np.rint(smooth[1:] / 0.06) + 4, 0, 8).astype(np.intp)
    _, codes, counts = np.unique((light * 9 + hue[0]) * 9 + hue[1], return_inverse=True, return_counts=True)
    codes = codes.reshape(light.shape)
    weighted = _weighted(smooth).reshape(3, -1)
    centers = np.stack([np.bincount(codes.ravel(), plane) for plane in weighted], axis=1) / counts[:, None]
    main = np.argsort(-counts, kind="stable")[:_MAX_COLORS]
    nearest = ((centers[:, None] - centers[main][None]) ** 2).sum(axis=2).argmin(axis=1)
    return nearest[codes], len(main)


def _weighted(planes: Floats) -> Floats:
    return planes * np.array([_PROPOSAL_LIGHTNESS_WEIGHT, 1, 1], np.float32)[:, None, None]


def _segment_boxes(planes: Floats, smooth: Floats, colors: NDArray[np.intp]) -> Boxes:
    """Return the boxes of connected pixels that differ from the background."""
    distance = _distance_from_border(planes, smooth)
    threshold = _otsu_threshold(distance)
    nearest = _distance_from_backgrounds(smooth, colors)
    masks = [distance > threshold * factor for factor in _OTSU_FACTORS]
    masks += [nearest > limit for limit in _BACKGROUND_DISTANCES]
    boxes = {box for mask in masks for box in _component_boxes(mask)}
    return np.array(sorted(boxes), np.int64).reshape(-1, 4)


def _distance_from_backgrounds(smooth: Floats, colors: NDArray[np.intp]) -> Floats:
    """Return the distance of each pixel's colour from the nearest main colour of the border, (height, width)."""
    height, width = colors.shape
    depth = max(2, round(max(height, width) * _BORDER_SHARE))
    border = np.ones((height, width), np.bool_)
    border[depth:-depth, depth:-depth] = False
    counts = np.bincount(colors[border])
    weighted, nearest = _weighted(smooth), np.full((height, width), np.inf, np.float32)
    for color in np.argsort(-counts, kind="stable")[:_MAX_BACKGROUNDS]:
        if counts[color] > _MIN_BACKGROUND_SHARE * counts.sum():
            center = weighted[:, border & (colors == color)].mean(axis=1)
            nearest = np.minimum(nearest, ((weighted - center[:, None, None]) ** 2).sum(axis=0))
    return np.asarray(np.sqrt(nearest), np.float32)


def _component_boxes(mask: Mask) -> Iterator[tuple[int, int, int, int]]:
    """Yield the boxes of the mask's connected components, also with near ones joined."""
    opened = scipy.ndimage.binary_opening(mask)
    closed = scipy.ndimage.binary_closing(np.pad(opened, 2), iterations=2)[2:-2, 2:-2]
    for each in (opened, closed):
        labels, _ = scipy.ndimage.label(each)
        for down, across in scipy.ndimage.find_objects(labels):
            yield across.start, down.start, across.stop, down.stop


@lru_cache(maxsize=16)
def _grid_boxes(height: int, width: int) -> Boxes:
    """Return boxes of many sizes at many positions of a photo."""
    boxes = []
    sides = [int(share * max(height, width)) for share in _GRID_SIDES]
    for wide in sides:
        for high in sides:
            if wide > width - 2 or high > height - 2 or max(wide, high) > _MAX_ASPECT * min(wide, high):
                continue
            left, top = np.meshgrid(
                np.arange(1, width - wide, max(2, wide // 6)), np.arange(1, height - high, max(2, high // 6))
            )
            boxes.append(np.stack([left, top, left + wide, top + high], axis=-1).reshape(-1, 4))
    return np.concatenate([np.zeros((0, 4), np.int64), *boxes])


# --- scores ---------------------------------------------------------------------------------------------------------


def _integral(planes: NDArray[Any]) -> Floats:
    """Return the integral images of planes, (planes, height + 1, width + 1)."""
    sums = np.zeros((len(planes), planes.shape[1] + 1, planes.shape[2] + 1), np.float32)
    np.cumsum(np.cumsum(planes, axis=1, dtype=np.float32), axis=2, out=sums[:, 1:, 1:])
    return sums


def _box_sums(integral: Floats, boxes: Boxes) -> Floats:
    """Return the sums over each box, (planes, boxes)."""
    left, top, right, bottom = boxes.T
    sums = integral[:, bottom, right] - integral[:, top, right] - integral[:, bottom, left]
    return np.asarray(sums + integral[:, top, left], np.float32)


def _areas(boxes: Boxes) -> NDArray[np.int64]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), np.int64)


def _rim_widths(boxes: Boxes) -> NDArray[np.int64]:
    """Return the widths of the surroundings that boxes are compared with, in pixels."""
    return np.asarray(np.maximum(3, np.rint(0.2 * np.sqrt(_areas(boxes)))), np.int64)


def _widened(boxes: Boxes, rims: NDArray[np.int64], height: int, width: int) -> Boxes:
    widened = boxes + rims[:, None] * np.array([-1, -1, 1, 1])
    return np.asarray(np.clip(widened, 0, [width, height, width, height]), np.int64)


def _are_background(boxes: Boxes, smooth: Floats) -> Mask:
    """Return which boxes are smooth and differ little from their surroundings.

    On a wall with a gradient of light, the steps between main colours would count as contrast.
    """
    weighted = _weighted(smooth)
    integral = _integral(np.concatenate([weighted, weighted**2]))
    wider = _widened(boxes, _rim_widths(boxes), *smooth.shape[1:])
    pixels = _areas(boxes)
    inside = _box_sums(integral, boxes)
    outer = (_box_sums(integral, wider) - inside) / np.maximum(_areas(wider) - pixels, 1)
    inner = inside / np.maximum(pixels, 1)
    difference = ((inner[:3] - outer[:3]) ** 2).sum(axis=0)
    variance = (inner[3:] - inner[:3] ** 2).sum(axis=0)
    return np.asarray((difference < _GRADIENT**2) & (variance < _GRADIENT**2), np.bool_)


def _box_scores(boxes: Boxes, integral: Floats) -> NDArray[np.float64]:
    """Return the score of each box; 0 where it is too small or too large."""
    height, width = integral.shape[1] - 1, integral.shape[2] - 1
    sides = boxes[:, 2:] - boxes[:, :2]
    pixels = sides.prod(axis=1)
    rims = _rim_widths(boxes)
    inside = _box_sums(integral, boxes)
    outside = _box_sums(integral, _widened(boxes, rims, height, width)) - inside
    rim_pixels = outside.sum(axis=0)
    inner, outer = inside / pixels, outside / np.maximum(rim_pixels, 1)
    contrast = 1 - np.minimum(inner, outer).sum(axis=0)
    uniformity = 0.4 + (outer**2).sum(axis=0)
    visible_rim = np.minimum(rim_pixels / (2 * rims * (sides.sum(axis=1) + 2 * rims)), 1)
    share = pixels / (height * width)
    scores = contrast**2 * visible_rim * uniformity**0.7 * np.sqrt(share)
    valid = (share >= _MIN_BOX) & (share <= _MAX_BOX) & (sides.min(axis=1) >= 4)
    return np.where(valid, scores, 0).astype(np.float64)


def _non_overlapping(boxes: Boxes, scores: NDArray[np.float64], limit: int) -> list[int]:
    """Return the positions of the best boxes after non-maximum suppression, best first."""
    chosen: list[int] = []
    left = scores.copy()
    pixels = _areas(boxes)
    least = _MIN_RELATIVE_SCORE * float(left.max(initial=0))
    while len(chosen) < limit and len(left):
        best = int(left.argmax())
        if left[best] <= 0 or left[best] < least:
            break
        chosen.append(best)
        common = np.minimum(boxes[:, 2:], boxes[best, 2:]) - np.maximum(boxes[:, :2], boxes[best, :2])
        shared = np.maximum(common, 0).prod(axis=1)
        left[shared > _MAX_OVERLAP * np.minimum(pixels, pixels[best])] = 0
    return chosen


def _region(box: list[int], height: int, width: int) -> Region:
    """Return a box with a small margin as a region of the photo."""
    left, top, right, bottom = box
    across, down = _MARGIN * (right - left) + 0.5, _MARGIN * (bottom - top) + 0.5
    return Region(
        max(left - across, 0) / width,
        max(top - down, 0) / height,
        min(right + across, width) / width,
        min(bottom + down, height) / height,
    )
