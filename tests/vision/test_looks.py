"""Looks: colours, outlines, patterns, hashes, and re-ranking by the sliders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from photos import COLOURS, SHAPES, draw_photo
from PIL import Image, ImageDraw, ImageOps

from imgsearch.core.errors import QueryError
from imgsearch.core.query import Emphasis
from imgsearch.vision.looks import (
    COLOR,
    LOOK_DIM,
    PATTERN,
    SHAPE,
    color_look,
    describe,
    emphasised_scores,
    same_color,
)

BLOCKS = (COLOR, SHAPE, PATTERN)


def hexadecimal(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in color)


def patterned(pattern: str, light: tuple[int, int, int], dark: tuple[int, int, int]) -> Image.Image:
    """Return a square object on white, 200 px wide, plain, striped, checked or dotted."""
    image = Image.new("RGB", (280, 280), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 40, 240, 240), fill=light)
    for step in range(40, 240, 40):
        if pattern in ("stripes", "checks"):
            draw.rectangle((step, 40, step + 20, 240), fill=dark)
        for other in range(40, 240, 40):
            if pattern == "checks":
                draw.rectangle((40, other, 240, other + 19), fill=dark)
            if pattern == "dots":
                draw.ellipse((step + 8, other + 8, step + 28, other + 28), fill=dark)
    return image


@pytest.fixture(scope="module")
def looks() -> dict[tuple[str, str, int], np.ndarray]:
    """Return the descriptors of two photos of every shape in every colour."""
    cases = itertools.product(SHAPES, COLOURS, (0, 1))
    return {case: describe(draw_photo(*case)).vector for case in cases}


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 400), (400, 1), (3, 2), (96, 96), (97, 41), (640, 480)], ids=str
)
@pytest.mark.parametrize("ground", ["white", "black", "#3060a0"])
def test_any_picture_has_a_look_whose_blocks_have_length_one(size: tuple[int, int], ground: str) -> None:
    look = describe(Image.new("RGB", size, ground))
    assert look.vector.shape == (LOOK_DIM,)
    assert look.vector.dtype == np.float32
    assert np.all(look.vector >= 0)
    for block in BLOCKS:
        assert np.linalg.norm(look.vector[block]) == pytest.approx(1, abs=1e-5)
    assert 0 <= look.phash < 2**64


def test_the_blocks_fill_the_descriptor() -> None:
    assert (COLOR.start, COLOR.stop, SHAPE.stop, PATTERN.stop) == (0, SHAPE.start, PATTERN.start, LOOK_DIM)


def test_noise_has_a_look_too() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 3)).astype(np.uint8)
    assert np.isfinite(describe(Image.fromarray(pixels)).vector).all()


def test_objects_of_one_colour_are_nearest_by_colour_in_any_shape(
    looks: dict[tuple[str, str, int], np.ndarray],
) -> None:
    names, rows = list(looks), np.array(list(looks.values()))
    likeness = rows[:, COLOR] @ rows[:, COLOR].T
    np.fill_diagonal(likeness, -1)
    nearest = np.argsort(-likeness, axis=1)[:, :5]
    right = [
        names[other][1] == name[1] for name, others in zip(names, nearest, strict=True) for other in others
    ]
    assert np.mean(right) > 0.9


def test_objects_of_one_shape_are_nearest_by_shape_in_any_colour(
    looks: dict[tuple[str, str, int], np.ndarray],
) -> None:
    names, rows = list(looks), np.array(list(looks.values()))
    likeness = rows[:, SHAPE] @ rows[:, SHAPE].T
    np.fill_diagonal(likeness, -1)
    nearest = np.argsort(-likeness, axis=1)[:, :5]
    right = [
        names[other][0] == name[0] for name, others in zip(names, nearest, strict=True) for other in others
    ]
    assert np.mean(right) > 0.9


def test_a_mirrored_photo_looks_the_same(looks: dict[tuple[str, str, int], np.ndarray]) -> None:
    mirrored = describe(ImageOps.mirror(draw_photo("mug", "red", 0))).vector
    for block in BLOCKS:
        assert mirrored[block] @ looks["mug", "red", 0][block] > 0.98


def test_a_pattern_is_recognised_in_other_colours() -> None:
    red_and_blue = ((230, 200, 200), (180, 30, 40)), ((200, 210, 235), (30, 50, 170))
    rows = {
        (pattern, number): describe(patterned(pattern, *colors)).vector[PATTERN]
        for pattern in ("plain", "stripes", "checks", "dots")
        for number, colors in enumerate(red_and_blue)
    }
    for (pattern, number), row in rows.items():
        others = {name: row @ other for name, other in rows.items() if name != (pattern, number)}
        assert max(others, key=lambda name: others[name]) == (pattern, 1 - number)


@pytest.mark.parametrize("ground", ["#ffffff", "#9ab8d8", "#c0d8c0"])
@pytest.mark.parametrize("colour", [name for name in COLOURS if name != "black"])
def test_a_picked_colour_finds_objects_of_that_colour(colour: str, ground: str) -> None:
    rows = {}
    for name, fill in COLOURS.items():
        image = Image.new("RGB", (120, 120), ground)
        ImageDraw.Draw(image).ellipse((25, 25, 95, 95), fill=fill)
        rows[name] = describe(image).vector[COLOR]
    block = color_look(hexadecimal(COLOURS[colour]))
    assert max(rows, key=lambda name: rows[name] @ block) == colour
    assert rows[colour] @ block > 0.7


def test_similarity_decreases_smoothly_with_colour_distance() -> None:
    red = color_look("#c81e28")
    likeness = [float(red @ color_look(f"#c8{green:02x}28")) for green in range(0x1E, 0xA0, 8)]
    assert all(after <= before + 0.02 for before, after in itertools.pairwise(likeness))
    assert likeness[1] > 0.9
    assert likeness[-1] < 0.3


@pytest.mark.parametrize("text", ["", "red", "#12345", "#1234567", "c81e28", "#gggggg", "#c81e28\n"])
def test_an_invalid_colour_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(QueryError, match="#rrggbb"):
        color_look(text)


def test_a_pattern_counts_and_parts_of_a_thing_do_not() -> None:
    plain, two_parts = Image.new("RGB", (280, 280), "white"), Image.new("RGB", (280, 280), "white")
    for image in (plain, two_parts):
        ImageDraw.Draw(image).rectangle((40, 40, 240, 240), fill=(200, 210, 235))
    ImageDraw.Draw(two_parts).rectangle((40, 40, 140, 240), fill=(30, 50, 170))
    striped = plain.copy()
    for left in range(40, 240, 16):
        ImageDraw.Draw(striped).rectangle((left, 40, left + 7, 240), fill=(30, 50, 170))
    rows = [describe(image).vector[PATTERN] for image in (plain, two_parts, striped)]
    assert rows[0] @ rows[1] > 0.8
    assert rows[0] @ rows[2] < 0.3


# --- emphasis ---------------------------------------------------------------------------------------------------


@pytest.fixture
def candidates(looks: dict[tuple[str, str, int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and descriptors of candidates, best first."""
    rows = np.array(list(looks.values()))
    scores = np.sort(np.random.default_rng(1).uniform(0.2, 0.9, len(rows)))[::-1]
    return scores.astype(np.float32), rows


def test_without_emphasis_the_scores_stay_as_they_are(candidates: tuple[np.ndarray, np.ndarray]) -> None:
    scores, rows = candidates
    assert np.array_equal(emphasised_scores(scores, rows, rows[5], Emphasis()), scores)


@pytest.mark.parametrize("slider", [0, 1, 2])
def test_the_order_of_two_candidates_changes_at_most_once_as_a_slider_moves(
    candidates: tuple[np.ndarray, np.ndarray], slider: int
) -> None:
    scores, rows = candidates
    steps = []
    for strength in np.linspace(0, 1, 9):
        emphasis = Emphasis(*(strength if place == slider else 0 for place in range(3)))
        moved = emphasised_scores(scores, rows, rows[5], emphasis)
        steps.append(moved[:, None] > moved[None])
    changes = np.abs(np.diff(np.array(steps).astype(int), axis=0)).sum(axis=0)
    assert changes.max() <= 1
    assert changes.any()


def test_candidates_without_a_look_gain_nothing(candidates: tuple[np.ndarray, np.ndarray]) -> None:
    scores, rows = candidates
    rows = rows.copy()
    rows[3] = 0
    moved = emphasised_scores(scores, rows, rows[5], Emphasis(1, 1, 1))
    assert moved[3] == scores[3]
    assert not same_color(rows, rows[5])[3]


def test_no_candidates_are_no_error() -> None:
    none = np.zeros((0, LOOK_DIM), np.float32)
    look = describe(draw_photo("mug", "red")).vector
    assert emphasised_scores(np.zeros(0, np.float32), none, look, Emphasis(color=1)).shape == (0,)
    assert same_color(none, look).shape == (0,)


def test_the_same_colour_is_distinguished_from_others(looks: dict[tuple[str, str, int], np.ndarray]) -> None:
    names, rows = list(looks), np.array(list(looks.values()))
    mask = same_color(rows, looks["chair", "red", 0])
    kept = [name[1] for name, inside in zip(names, mask, strict=True) if inside]
    assert kept.count("red") >= 6
    assert kept.count("red") / len(kept) > 0.9


# --- the hash ---------------------------------------------------------------------------------------------------


def differing_bits(first: int, second: int) -> int:
    return (first ^ second).bit_count()


def test_near_duplicates_differ_in_few_bits_and_other_photos_in_many() -> None:
    photo = draw_photo("lamp", "green", 0)
    own = describe(photo).phash
    for changed in (
        photo.resize((180, 180)),
        photo.point(lambda level: min(255, level + 12)),
        photo.quantize(64),
    ):
        assert differing_bits(own, describe(changed.convert("RGB")).phash) <= 8
    others = [describe(draw_photo(shape, "green")).phash for shape in SHAPES if shape != "lamp"]
    assert min(differing_bits(own, other) for other in others) > 12
