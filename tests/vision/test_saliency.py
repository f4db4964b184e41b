"""Boxes around the objects of a photo, and the object's pixel weights."""

from __future__ import annotations

import numpy as np
import pytest
from photos import SHAPES, draw_photo
from PIL import Image, ImageDraw

from imgsearch.core.query import Region
from imgsearch.vision.oklab import blurred, color_cells, lab_planes
from imgsearch.vision.saliency import foreground_weights, suggested_regions


def ground(kind: str) -> Image.Image:
    if kind != "gradient":
        return Image.new("RGB", (300, 300), kind)
    levels = np.linspace(170, 250, 300).astype(np.uint8)
    return Image.fromarray(np.repeat(np.tile(levels[:, None], (1, 300))[..., None], 3, axis=2))


def overlap(first: Region, second: tuple[float, float, float, float]) -> float:
    """Return the intersection over union of two boxes."""
    other = Region(*second)
    wide = min(first.right, other.right) - max(first.left, other.left)
    high = min(first.bottom, other.bottom) - max(first.top, other.top)
    whole = sum((box.right - box.left) * (box.bottom - box.top) for box in (first, other))
    return max(wide, 0) * max(high, 0) / (whole - max(wide, 0) * max(high, 0))


@pytest.mark.parametrize("kind", ["white", "#204060", "gradient"])
def test_every_object_of_a_photo_has_a_box_most_salient_first(kind: str) -> None:
    image = ground(kind)
    draw = ImageDraw.Draw(image)
    draw.rectangle((150, 90, 270, 230), fill=(200, 30, 40))
    draw.ellipse((30, 120, 100, 190), fill=(240, 200, 40))
    first, second = suggested_regions(image)
    assert overlap(first, (0.5, 0.3, 0.9, 0.767)) > 0.75
    assert overlap(second, (0.1, 0.4, 0.333, 0.633)) > 0.65


def test_the_number_of_boxes_is_limited_and_overlap_is_small() -> None:
    image = ground("white")
    draw = ImageDraw.Draw(image)
    for number in range(9):
        left, top = 15 + number % 3 * 95, 15 + number // 3 * 95
        draw.rectangle((left, top, left + 60, top + 60), fill=(200, 20 * number, 255 - 25 * number))
    boxes = suggested_regions(image, limit=9)
    assert len(boxes) == 9
    assert max(overlap(a, b) for place, a in enumerate(boxes) for b in boxes[:place]) < 0.1
    assert suggested_regions(image, limit=3) == boxes[:3]


def test_boxes_lie_inside_the_photo() -> None:
    for shape in SHAPES:
        for box in suggested_regions(draw_photo(shape, "blue")):
            assert 0 <= box.left < box.right <= 1
            assert 0 <= box.top < box.bottom <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3, 2), (97, 41), (640, 480)], ids=str)
def test_an_empty_photo_of_any_size_has_no_boxes(size: tuple[int, int]) -> None:
    assert suggested_regions(Image.new("RGB", size, "white")) == []


def test_noise_is_no_error() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 3)).astype(np.uint8)
    assert len(suggested_regions(Image.fromarray(pixels))) <= 5


def test_object_pixels_have_weight_and_background_pixels_do_not() -> None:
    image = ground("#c0d8c0")
    ImageDraw.Draw(image).ellipse((100, 100, 200, 200), fill=(200, 30, 40))
    lab = lab_planes(color_cells(np.asarray(image.resize((80, 80)), np.uint8)))
    weights = foreground_weights(lab, blurred(lab))
    assert weights[40, 40] > 0.9
    assert not weights[:20].any()
    assert not weights[:, 62:].any()
