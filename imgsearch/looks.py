"""What a photo looks like, apart from what it shows: its colours, its outline, its pattern, and a hash of the whole.

It owns the descriptor (three blocks whose dot products are similarities from 0 to 1), the estimate of which pixels
belong to the thing, and how a descriptor moves candidates up or down. It is arithmetic on pixels: it knows no
encoder, no catalog and no files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from imgsearch.errors import QueryError
from imgsearch.records import Emphasis, Region

__all__ = [
    "COLOR",
    "LOOK_DIM",
    "PATTERN",
    "SHAPE",
    "Look",
    "color_look",
    "describe",
    "dominant_colors",
    "emphasised",
    "foreground_boxes",
    "same_color",
]

Floats = NDArray[np.float32]

SIDE_PX = 96
"""Photos are looked at with their longer side this long."""

# The shades of the colour block, in OKLab: greys, and rings of hues at the chroma and the lightness of each.
_GREYS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
_RINGS = (
    (0.045, 6, (0.35, 0.6, 0.85)),
    (0.12, 9, (0.4, 0.65)),
)  # (chroma, hues, lightnesses)
_SHADES = len(_GREYS) + sum(hues * len(levels) for _, hues, levels in _RINGS)
_LIGHTNESS_FACTOR = (
    0.3  # light and shade change lightness far more than they change what one calls the colour
)
_SOFTNESS = 0.025  # width of a shade's reach, in units of OKLab
_POWER = 0.7  # of a shade's share: with less, minor shades say more
_GREY_WEIGHT, _CHROMA_WEIGHT = 0.02, 0.3  # of a pixel: shade and gloss are grey whatever the thing's colour
_LEVELS = 32  # steps of a channel in the table from sRGB to shades

_ROWS, _COLUMNS = 6, 6  # of the outline; columns are folded, so that a mirrored photo is the same
_DIRECTIONS = 3
_OUTLINE = _ROWS * _COLUMNS // 2 + (_ROWS // 2) * ((_COLUMNS // 2 + 1) // 2) * _DIRECTIONS
_SCALES = 3  # of the pattern, each half as fine as the one before
_TEXTURE = _SCALES * (_DIRECTIONS + 1) + 1
_PLAIN = 0.03  # of a surface without a pattern: what noise and shading come to

COLOR = slice(0, _SHADES)
SHAPE = slice(COLOR.stop, COLOR.stop + _OUTLINE)
PATTERN = slice(SHAPE.stop, SHAPE.stop + _TEXTURE)
LOOK_DIM = PATTERN.stop

_GAINS = (2.0, 3.0, 6.0)
"""What a slider at its end adds for a similarity of 1, in standard deviations of the candidates' scores."""
_SHARPNESS = (1, 4, 8)
"""The power that a block's similarity is raised to: outlines and patterns of all things are much alike."""
_SAME_COLOR = 0.7
"""Two photos whose colour blocks are at least so similar count as of the same colour."""

_PHASH_SIDE = 32
_FEW_PIXELS = 64
_BORDER = 0.04  # of the longer side: what lies so near to the edge is taken for background
_CENTER_WIDTH = 0.3  # standard deviation of the weight around the middle, in sides
_LEAST, _MOST = 0.02, 0.85  # shares of the photo that a thing can fill; else the middle is looked at


@dataclass(frozen=True, slots=True)
class Look:
    """How a photo looks: `vector` (LOOK_DIM,) float32 in the blocks COLOR, SHAPE and PATTERN, and its 64-bit `phash`.

    Each block has non-negative parts and length 1, so that the dot product of two is a similarity from 0 to 1. Photos
    whose hashes differ in few bits are nearly the same picture.
    """

    vector: Floats
    phash: int


def describe(image: Image.Image) -> Look:
    """Return how an upright RGB photo looks; any size, mirrored or not nearly the same outline."""
    reduced = _reduced(image)
    small = np.asarray(reduced, np.uint8)
    lab = _oklab_table()[_cells(small)]
    weights = _thing(lab)
    vector = np.empty(LOOK_DIM, np.float32)
    vector[COLOR] = _color_block(small, lab, weights)
    vector[SHAPE] = _shape_block(lab, weights)
    vector[PATTERN] = _pattern_block(lab, weights)
    return Look(vector, _perceptual_hash(reduced))


def color_look(color: str) -> Floats:
    """Return the colour block of a thing that is all of one colour, (COLOR,) float32; `color` is "#rrggbb".

    A lit thing has shades lighter and darker than its colour, and so has this. Raises `QueryError` for another text.
    """
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise QueryError(f"{color[:20]!r} is no colour; write it as #rrggbb, for example #c81e28.")
    lab = _oklab(np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)]]))
    steps = np.linspace(-0.16, 0.08, 7)
    shaded = np.repeat(lab, len(steps), axis=0)
    shaded[:, 0] = np.clip(shaded[:, 0] + steps, 0, 1)
    return _block_of_shares(_shades_of(shaded).mean(axis=0))


def dominant_colors(block: Floats, most: int = 3) -> list[tuple[str, float]]:
    """Return up to `most` colours of a colour block as ("#rrggbb", share), the largest share first."""
    shares = block.astype(np.float64) ** (1 / _POWER)
    shares /= max(float(shares.sum()), 1e-9)
    rgb = _palette_rgb()
    order = np.argsort(-shares, kind="stable")[:most]
    return [("#" + "".join(f"{part:02x}" for part in rgb[shade]), float(shares[shade])) for shade in order]


def emphasised(scores: Floats, rows: Floats, look: Floats, emphasis: Emphasis) -> Floats:
    """Return the scores by which candidates are ranked anew, (n,) float32; higher is better.

    `scores` (n,) are the candidates' cosines, `rows` (n, LOOK_DIM) their looks (zeros where unknown) and `look` the
    query's. Each block's similarity is added, times its slider and the standard deviation of the scores: two
    candidates' order changes in one direction only as a slider moves, and with all at 0 the scores stay as they are.
    """
    result = scores.astype(np.float32, copy=True)
    spread = np.float32(scores.std()) if len(scores) else np.float32(0)
    for strength, gain, power, block in zip(
        emphasis, _GAINS, _SHARPNESS, (COLOR, SHAPE, PATTERN), strict=True
    ):
        if strength:
            result += np.float32(strength * gain) * spread * (rows[:, block] @ look[block]) ** power
    return result


def same_color(rows: Floats, look: Floats) -> NDArray[np.bool_]:
    """Return which of the (n, LOOK_DIM) rows have the colours of `look`, (n,); unknown looks (zeros) have not."""
    mask: NDArray[np.bool_] = rows[:, COLOR] @ look[COLOR] >= _SAME_COLOR
    return mask


def foreground_boxes(image: Image.Image, most: int = 5) -> list[Region]:
    """Return where the photo's things lie, the largest and most central first; empty where none stands out."""
    lab = _oklab_table()[_cells(np.asarray(_reduced(image), np.uint8))]
    far = _distance_from_background(lab)
    mask = ndimage.binary_opening(far > _threshold(far), iterations=1)
    mask = ndimage.binary_closing(np.pad(mask, 3), iterations=3)[3:-3, 3:-3]
    labels, _ = ndimage.label(mask)
    height, width = mask.shape
    found = []
    for number, (down, across) in enumerate(ndimage.find_objects(labels), start=1):
        here = labels[down, across] == number
        if not _LEAST / 2 <= here.sum() / mask.size <= _MOST:
            continue
        weight = float((_middle(height, width)[down, across] * here).sum())
        margin = 2
        box = Region(
            max(across.start - margin, 0) / width,
            max(down.start - margin, 0) / height,
            min(across.stop + margin, width) / width,
            min(down.stop + margin, height) / height,
        )
        found.append((weight, box))
    found.sort(key=lambda entry: -entry[0])
    return [box for _, box in found[:most]]


# --- pixels ---------------------------------------------------------------------------------------------------------


def _reduced(image: Image.Image) -> Image.Image:
    """Return the photo with its longer side of SIDE_PX, the other one of 16 at least."""
    scale = SIDE_PX / max(image.size)
    size = max(16, round(image.width * scale)), max(16, round(image.height * scale))
    return image.resize(size, Image.Resampling.BOX)


def _cells(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return for each pixel its cell in the tables by colour."""
    steps = (pixels >> 3).astype(np.intp)
    cells: NDArray[np.intp] = (steps[..., 0] * _LEVELS + steps[..., 1]) * _LEVELS + steps[..., 2]
    return cells


def _oklab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """Return the OKLab of (n, 3) sRGB values of 0 to 255 (B. Ottosson, "A perceptual color space", 2020)."""
    value = rgb / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = linear @ _TO_CONES.T
    return np.asarray(np.cbrt(cones) @ _TO_LAB.T)


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _cell_colors() -> NDArray[np.float64]:
    """Return the sRGB in the middle of each cell of the tables by colour, (cells, 3)."""
    axis = np.arange(_LEVELS) * 8.0 + 3.5
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


@lru_cache(maxsize=1)
def _oklab_table() -> Floats:
    return _oklab(_cell_colors()).astype(np.float32)


@lru_cache(maxsize=16)
def _middle(height: int, width: int) -> Floats:
    """Return a weight that falls off around the middle, (height, width) float32, 1 at most."""
    down = (np.arange(height) + 0.5) / height - 0.5
    across = (np.arange(width) + 0.5) / width - 0.5
    square = down[:, None] ** 2 + across[None, :] ** 2
    return np.exp(-square / (2 * _CENTER_WIDTH**2)).astype(np.float32)


# --- the thing and its background -----------------------------------------------------------------------------------


def _distance_from_background(lab: Floats) -> Floats:
    """Return how far each pixel's colour is from what the photo's border shows, (height, width) float32.

    Each of the four strips along the edges is described by its mean colour along the strip; a pixel is compared with
    what lies straight left, right, above and below of it at the edges, and with the corners: a wall, a floor and a
    gradient of light are then near, whatever their number. A thing that is cut off by one edge still differs from
    the others', so of the distances the second smallest counts.
    """
    height, width = lab.shape[:2]
    depth = max(2, round(max(height, width) * _BORDER))
    across = (np.arange(width, dtype=np.float32) + 0.5) / width
    squares = np.zeros((5, height, width), np.float32)
    for channel, factor in enumerate((_LIGHTNESS_FACTOR, 1.0, 1.0)):
        plane = np.ascontiguousarray(lab[..., channel]) * np.float32(factor)
        smooth = ndimage.uniform_filter(plane, 3, mode="nearest")
        left, right, above, below = (
            ndimage.uniform_filter1d(strip, 9, mode="nearest")
            for strip in (
                plane[:, :depth].mean(axis=1),
                plane[:, -depth:].mean(axis=1),
                plane[:depth].mean(axis=0),
                plane[-depth:].mean(axis=0),
            )
        )
        between = np.outer(left, 1 - across) + np.outer(right, across)
        edges = (left[:, None], right[:, None], above[None], below[None], between)
        for square, edge in zip(squares, edges, strict=True):
            difference = smooth - edge
            square += difference * difference
    first, second = np.minimum(squares[0], squares[1]), np.maximum(squares[0], squares[1])
    for square in squares[2:]:
        second = np.minimum(second, np.maximum(first, square))
        first = np.minimum(first, square)
    return np.asarray(np.sqrt(second), np.float32)


def _threshold(far: Floats) -> float:
    """Return the distance that parts thing from background: Otsu's (IEEE Trans. SMC 9, 1979), never within noise."""
    counts, edges = np.histogram(far, bins=64)
    centers = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centers)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    best = int(np.argmax(np.nan_to_num(between[:-1])))
    # The farther class is often only the most striking part of the thing.
    return max(float(edges[best + 1]) * 0.7, 0.02)


def _thing(lab: Floats) -> Floats:
    """Return how much each pixel belongs to the thing, (height, width) float32 from 0 to 1, never all 0."""
    far = _distance_from_background(lab)
    mask = _without_holes(_dilated(_eroded(far > _threshold(far))))
    height, width = mask.shape
    middle = _middle(height, width)
    if not _LEAST <= mask.mean() <= _MOST:
        return middle
    return np.asarray(mask * (0.3 + 0.7 * middle), np.float32)


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels whose four neighbours are in the mask too; beyond the photo's edge all are."""
    result = mask.copy()
    result[1:] &= mask[:-1]
    result[:-1] &= mask[1:]
    result[:, 1:] &= mask[:, :-1]
    result[:, :-1] &= mask[:, 1:]
    return result


def _dilated(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels that are in the mask or beside one that is."""
    return ~_eroded(~mask)


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask with what it encloses."""
    outside, count = ndimage.label(~mask)
    at_edge = np.zeros(count + 1, np.bool_)
    for edge in (outside[0], outside[-1], outside[:, 0], outside[:, -1]):
        at_edge[edge] = True
    at_edge[0] = False
    return np.asarray(~at_edge[outside], np.bool_)


# --- the blocks -----------------------------------------------------------------------------------------------------


def _root(shares: NDArray[Any]) -> Floats:
    """Return the square roots of shares, of length 1: their dot product is the Bhattacharyya coefficient.

    A. Bhattacharyya, "On a measure of divergence between two statistical populations", 1943.
    """
    roots = np.sqrt(np.maximum(shares, 0)).astype(np.float32)
    length = float(np.linalg.norm(roots))
    if length < 1e-6:
        return np.full(len(roots), 1 / np.sqrt(len(roots)), np.float32)
    return np.asarray(roots / length, np.float32)


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.float64]:
    """Return the shades of the colour block in OKLab, (shades, 3)."""
    shades = [(level, 0.0, 0.0) for level in _GREYS]
    for chroma, hues, levels in _RINGS:
        for level in levels:
            for angle in np.arange(hues) * 2 * np.pi / hues:
                shades.append((level, chroma * np.cos(angle), chroma * np.sin(angle)))
    return np.array(shades)


@lru_cache(maxsize=1)
def _palette_rgb() -> NDArray[np.int64]:
    """Return for each shade of the palette the sRGB cell that is nearest to it."""
    colors = _cell_colors()
    nearest = np.linalg.norm(_oklab(colors)[:, None] - _palette()[None], axis=2).argmin(axis=0)
    return np.asarray(np.rint(colors[nearest]), np.int64)


def _shades_of(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each shade in (n, 3) OKLab colours, rows sum to 1: neighbouring shades overlap."""
    scale = np.array([_LIGHTNESS_FACTOR, 1.0, 1.0])
    squares = (((lab[:, None] - _palette()[None]) * scale) ** 2).sum(axis=2)
    near = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (2 * _SOFTNESS**2))
    return np.asarray(near / near.sum(axis=1, keepdims=True))


@lru_cache(maxsize=1)
def _shade_table() -> Floats:
    return _shades_of(_oklab(_cell_colors())).astype(np.float32)


def _color_block(pixels: NDArray[np.uint8], lab: Floats, weights: Floats) -> Floats:
    """Return the shades inside the thing; its rim, mixed with the background, only where there is no inside."""
    inside = weights * _eroded(weights > 0)
    if np.count_nonzero(inside) < _FEW_PIXELS:
        inside = weights
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    counts = np.bincount(
        _cells(pixels)[::2, ::2].ravel(),
        (inside * (_GREY_WEIGHT + _CHROMA_WEIGHT * chroma))[::2, ::2].ravel(),
    )
    used = np.flatnonzero(counts)
    return _block_of_shares(counts[used] @ _shade_table()[used])


def _block_of_shares(shares: NDArray[Any]) -> Floats:
    """Return the colour block of the shares of shades: a power of them, of length 1.

    With a power of 1/2 the dot product is the Bhattacharyya coefficient; a higher one lets the main colour lead.
    """
    block = np.maximum(shares, 0) ** _POWER
    return np.asarray(block / np.linalg.norm(block), np.float32)


def _shape_block(lab: Floats, weights: Floats) -> Floats:
    """Return the thing's outline in its own square: how it fills 6 x 6 cells, and edges by direction in 3 x 3."""
    height, width = weights.shape
    total = float(weights.sum())
    rows, columns = np.arange(height), np.arange(width)
    down, across = weights.sum(axis=1) / total, weights.sum(axis=0) / total
    center = float(down @ rows), float(across @ columns)
    reach = 2.2 * max(
        float(np.sqrt(down @ (rows - center[0]) ** 2)), float(np.sqrt(across @ (columns - center[1]) ** 2)), 3
    )
    # Where in the thing's square each row and column lies, from 0 to 1.
    at_row = (rows - center[0]) / (2 * reach) + 0.5
    at_column = (columns - center[1]) / (2 * reach) + 0.5
    fine_rows, fine_columns = _soft_cells(at_row, _ROWS), _soft_cells(at_column, _COLUMNS)
    inside = (weights > 0).astype(np.float32)
    filled = fine_rows.T @ inside @ fine_columns
    filled = filled + filled[:, ::-1]
    light = ndimage.gaussian_filter(lab[..., 0], 1.0)
    dy, dx = np.gradient(light)
    coarse_rows, coarse_columns = _soft_cells(at_row, _ROWS // 2), _soft_cells(at_column, _COLUMNS // 2)
    edges = []
    for part in _directions(dx, dy):
        cells = coarse_rows.T @ (part * inside) @ coarse_columns
        edges.append((cells + cells[:, ::-1])[:, : (_COLUMNS // 2 + 1) // 2])
    outline, inner = filled[:, : _COLUMNS // 2].ravel(), np.concatenate([part.ravel() for part in edges])
    return np.concatenate([_root(outline), _root(inner)]) * np.float32(np.sqrt(0.5))


def _soft_cells(places: NDArray[Any], cells: int) -> Floats:
    """Return how much each place of 0 to 1 belongs to each of the cells along it, (n, cells) float32."""
    distance = np.abs(places[:, None] * cells - (np.arange(cells) + 0.5)[None])
    return np.asarray(np.maximum(1 - distance, 0), np.float32)


def _directions(dx: Floats, dy: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the strengths of gradients that run across, down and aslant; mirrored they stay what they are."""
    across, down = np.abs(dx), np.abs(dy)
    aslant = np.minimum(across, down)
    return across - aslant, down - aslant, aslant


def _pattern_block(lab: Floats, weights: Floats) -> Floats:
    """Return the thing's pattern: how strongly its lightness changes inside, by scale and direction.

    The rest of the block is what a plain surface has alone. Stripes are strong in one direction; where two directions
    are strong at one place (checks, dots), the smaller eigenvalue of the structure tensor says so (J. Bigun and
    G. Granlund, "Optimal orientation detection of linear symmetry", 1987).
    """
    inside = weights > 0
    eroded = _eroded(_eroded(inside))
    if eroded.sum() < _FEW_PIXELS:
        eroded = inside
    light = np.where(inside, lab[..., 0], lab[..., 0][inside].mean()).astype(np.float32)
    weight = eroded.astype(np.float32)
    energies = [_PLAIN]
    for _ in range(_SCALES):
        dy, dx = np.gradient(light - ndimage.gaussian_filter(light, 1.0, truncate=3.0))
        total = weight.sum() + np.float32(1e-6)
        energies += [float((part * weight).sum() / total) for part in _directions(dx, dy)]
        xx, yy, xy = (ndimage.uniform_filter(part, 7) for part in (dx * dx, dy * dy, dx * dy))
        smaller = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
        energies.append(float((np.sqrt(np.maximum(smaller, 0)) * weight).sum() / total))
        light, weight = _halved(light), _halved(weight)
    return _root(np.array(energies))


def _halved(plane: Floats) -> Floats:
    """Return the means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    even = plane[:height, :width]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) * np.float32(0.25)


def _perceptual_hash(image: Image.Image) -> int:
    """Return the 64-bit DCT hash of a picture: near-duplicates differ in few bits.

    The signs of the lowest 8 x 8 frequencies of the 32 x 32 grey picture against their median (C. Zauner,
    "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1). The constant term says
    nothing but brightness, so the frequencies 1 to 8 each way are taken, as Zauner does.
    """
    grey = image.convert("L").resize((_PHASH_SIDE, _PHASH_SIDE), Image.Resampling.BOX)
    waves = fft.dctn(np.asarray(grey, np.float32), norm="ortho")[1:9, 1:9].ravel()
    bits = np.packbits(waves > np.median(waves))
    return int.from_bytes(bits.tobytes(), "big")
