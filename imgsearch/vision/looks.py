"""What a photo looks like, apart from what it shows: its colours, its outline, its pattern, and a hash of the whole.

It owns the descriptor (three blocks whose dot products are similarities from 0 to 1) and how a descriptor moves
candidates up or down. It is arithmetic on pixels: it knows no encoder, no catalog and no files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from imgsearch.core.errors import QueryError
from imgsearch.core.query import Emphasis
from imgsearch.vision.oklab import cell_colors, cells_of, oklab, planes_of, smoothed
from imgsearch.vision.saliency import LIGHTNESS_FACTOR, eroded, foreground_weights, reduced

__all__ = [
    "COLOR",
    "LOOK_DIM",
    "LOOK_VERSION",
    "PATTERN",
    "SHAPE",
    "Look",
    "color_look",
    "describe",
    "dominant_colors",
    "emphasised_scores",
    "same_color",
]

Floats = NDArray[np.float32]

LOOK_VERSION = 2
"""Changes with the numbers that `describe` gives: looks of another version are not compared but made again."""

SIDE_PX = 80
"""Photos are looked at with their longer side this long."""

# The shades of the colour block, in OKLab: greys, and rings of hues at the chroma and the lightness of each.
_GREYS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
_RINGS = (
    (0.045, 6, (0.35, 0.6, 0.85)),
    (0.12, 9, (0.4, 0.65)),
)  # (chroma, hues, lightnesses)
_SHADES = len(_GREYS) + sum(hues * len(levels) for _, hues, levels in _RINGS)
_SOFTNESS = 0.025  # width of a shade's reach, in units of OKLab
_POWER = 0.7  # of a shade's share: with less, minor shades say more
_GREY_WEIGHT, _CHROMA_WEIGHT = 0.02, 0.3  # of a pixel: shade and gloss are grey whatever the thing's colour

_ROWS, _COLUMNS = 6, 6  # of the outline; columns are folded, so that a mirrored photo is the same
_DIRECTIONS = 3
_OUTLINE = _ROWS * _COLUMNS // 2 + (_ROWS // 2) * ((_COLUMNS // 2 + 1) // 2) * _DIRECTIONS
_WINDOW, _STRIDE = 20, 10  # of the places that are searched for a pattern, in pixels
_PLACES = 9  # of a photo at most, those that lie most inside the thing
_LEAST_WAVES = 2.5  # of a pattern in a window: slower changes are shading and parts
_PLAIN = 0.03  # of a surface without a pattern: what noise and shading come to, in lightness
_CHROMA_GAIN = 1.5  # of differences in hue beside those in lightness, for a pattern
_ASLANT = 0.85  # cosine below which a second wave runs another way than the first
_REGULAR = (0.65, 0.22)  # what the first and the second wave of a strong pattern come to
_STEPS = 5
_TEXTURE = _STEPS * _STEPS

COLOR = slice(0, _SHADES)
SHAPE = slice(COLOR.stop, COLOR.stop + _OUTLINE)
PATTERN = slice(SHAPE.stop, SHAPE.stop + _TEXTURE)
LOOK_DIM = PATTERN.stop

_GAINS = (2.0, 3.0, 6.0)
"""What a slider at its end adds for a similarity of 1, in standard deviations of the candidates' scores."""
_SHARPNESS = (1, 4, 4)
"""The power that a block's similarity is raised to: outlines and patterns of all things are much alike."""
_SAME_COLOR = 0.7
"""Two photos whose colour blocks are at least so similar count as of the same colour."""

_GAINS_OF_PLANES = np.array([1, _CHROMA_GAIN, _CHROMA_GAIN], np.float32)[:, None, None, None]
_PHASH_SIDE = 32
_FEW_PIXELS = 64


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
    small = reduced(image, SIDE_PX)
    cells = cells_of(np.asarray(small, np.uint8))
    lab = planes_of(cells)
    smooth = smoothed(lab)
    weights = foreground_weights(lab, smooth)
    vector = np.empty(LOOK_DIM, np.float32)
    vector[COLOR] = _color_block(cells, weights)
    vector[SHAPE] = _shape_block(smooth[0], weights)
    vector[PATTERN] = _pattern_block(lab, weights)
    return Look(vector, _perceptual_hash(small))


def color_look(color: str) -> Floats:
    """Return the colour block of a thing that is all of one colour, (COLOR,) float32; `color` is "#rrggbb".

    A lit thing has shades lighter and darker than its colour, and so has this. Raises `QueryError` for another text.
    """
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise QueryError(f"{color[:20]!r} is no colour; write it as #rrggbb, for example #c81e28.")
    lab = oklab(np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)]]))
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


def emphasised_scores(scores: Floats, rows: Floats, look: Floats, emphasis: Emphasis) -> Floats:
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
    colors = cell_colors()
    nearest = np.linalg.norm(oklab(colors)[:, None] - _palette()[None], axis=2).argmin(axis=0)
    return np.asarray(np.rint(colors[nearest]), np.int64)


def _shades_of(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each shade in (n, 3) OKLab colours, rows sum to 1: neighbouring shades overlap."""
    scale = np.array([LIGHTNESS_FACTOR, 1.0, 1.0])
    squares = (((lab[:, None] - _palette()[None]) * scale) ** 2).sum(axis=2)
    near = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (2 * _SOFTNESS**2))
    return np.asarray(near / near.sum(axis=1, keepdims=True))


@lru_cache(maxsize=1)
def _shade_table() -> Floats:
    """Return the shades of each cell of the tables by colour, (cells, shades), by how much its pixels count."""
    lab = oklab(cell_colors())
    counts = _GREY_WEIGHT + _CHROMA_WEIGHT * np.hypot(lab[:, 1], lab[:, 2])
    return (_shades_of(lab) * counts[:, None]).astype(np.float32)


def _color_block(cells: NDArray[np.intp], weights: Floats) -> Floats:
    """Return the shades inside the thing; its rim, mixed with the background, only where there is no inside."""
    inside = weights * eroded(weights > 0)
    if np.count_nonzero(inside) < _FEW_PIXELS:
        inside = weights
    step = 2 if inside[::2, ::2].any() else 1  # every second pixel says enough
    counts = inside[::step, ::step].ravel()
    used = np.flatnonzero(counts)
    return _block_of_shares(counts[used] @ _shade_table()[cells[::step, ::step].ravel()[used]])


def _block_of_shares(shares: NDArray[Any]) -> Floats:
    """Return the colour block of the shares of shades: a power of them, of length 1.

    With a power of 1/2 the dot product is the Bhattacharyya coefficient; a higher one lets the main colour lead.
    """
    block = np.maximum(shares, 0) ** _POWER
    return np.asarray(block / np.linalg.norm(block), np.float32)


def _shape_block(light: Floats, weights: Floats) -> Floats:
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
    fine_rows, fine_columns = _softcells_of(at_row, _ROWS), _softcells_of(at_column, _COLUMNS)
    inside = (weights > 0).astype(np.float32)
    filled = fine_rows.T @ inside @ fine_columns
    filled = filled + filled[:, ::-1]
    coarse_rows, coarse_columns = _softcells_of(at_row, _ROWS // 2), _softcells_of(at_column, _COLUMNS // 2)
    cells = coarse_rows.T @ (_directions(light) * inside) @ coarse_columns
    edges = (cells + cells[..., ::-1])[..., : (_COLUMNS // 2 + 1) // 2]
    outline, inner = filled[:, : _COLUMNS // 2].ravel(), edges.ravel()
    return np.concatenate([_root(outline), _root(inner)]) * np.float32(np.sqrt(0.5))


def _softcells_of(places: NDArray[Any], cells: int) -> Floats:
    """Return how much each place of 0 to 1 belongs to each of the cells along it, (n, cells) float32."""
    distance = np.abs(places[:, None] * cells - (np.arange(cells) + 0.5)[None])
    return np.asarray(np.maximum(1 - distance, 0), np.float32)


def _directions(light: Floats) -> Floats:
    """Return the strengths of gradients that run across, down and aslant, (3, height, width), mirrored or not."""
    result = np.zeros((3, *light.shape), np.float32)
    across, down, aslant = result
    np.abs(light[:, 2:] - light[:, :-2], out=across[:, 1:-1])
    np.abs(light[2:] - light[:-2], out=down[1:-1])
    np.minimum(across, down, out=aslant)
    across -= aslant
    down -= aslant
    return result


def _pattern_block(lab: Floats, weights: Floats) -> Floats:
    """Return the thing's pattern: how regular its surface is along one direction, and along a second one.

    A pattern repeats itself, parts of a thing do not: in the spectrum of a window it is a peak (F. Liu and R. Picard,
    "Periodicity, directionality, and randomness", IEEE Trans. PAMI 18(7), 1996). Stripes have one, checks and dots
    a second one that runs another way. The windows most inside the thing are looked at, the strongest peaks count,
    and the two shares of a window's energy are spread over a grid of soft cells: near ones have a large product.
    """
    side = min(_WINDOW, *weights.shape)
    waves = _waves(side)
    inside = eroded(weights > 0).astype(np.float32)
    covers = sliding_window_view(inside, (side, side))[::_STRIDE, ::_STRIDE].reshape(-1, side, side)
    share = covers.mean(axis=(1, 2))
    order = np.argsort(-share, kind="stable")[:_PLACES]
    order = (
        order[share[order] > max(0.5, 0.7 * float(share[order[0]]))] if share[order[0]] > 0.5 else order[:1]
    )
    cover = covers[order] * waves.taper
    windows = sliding_window_view(lab, (side, side), axis=(1, 2))[:, ::_STRIDE, ::_STRIDE]
    planes = windows.reshape(3, -1, side, side)[:, order] * _GAINS_OF_PLANES
    means = np.einsum("cnhw,nhw->cn", planes, cover) / (cover.sum(axis=(1, 2)) + 1e-6)
    planes = (planes - means[..., None, None]) * cover
    waves_found = scipy.fft.rfft2(planes)
    spectrum = (waves_found.real**2 + waves_found.imag**2).sum(axis=0)
    energy = spectrum.sum(axis=(1, 2)) + 1e-6
    spectrum *= waves.counted
    spectrum = spectrum + np.roll(spectrum, 1, 1) + np.roll(spectrum, -1, 1)
    peaks = spectrum.copy()
    peaks[..., 1:] += spectrum[..., :-1]
    peaks[..., :-1] += spectrum[..., 1:]
    found = peaks.reshape(len(peaks), -1).argmax(axis=1)
    first = np.take_along_axis(peaks.reshape(len(peaks), -1), found[:, None], 1)[:, 0]
    ways = waves.ways.reshape(2, -1)
    cosines = np.abs(np.einsum("dn,dhw->nhw", ways[:, found], waves.ways))
    second = np.where(cosines < _ASLANT, peaks, 0).max(axis=(1, 2))
    contrast = np.sqrt(energy / (cover**2).sum(axis=(1, 2)).clip(1e-6)) / side
    shares = np.stack([first, second]) / energy * (contrast / (contrast + _PLAIN))
    strongest = shares.max(axis=1) / _REGULAR * (_STEPS - 1)
    cells = np.exp(-((np.minimum(strongest, _STEPS - 1)[:, None] - np.arange(_STEPS)) ** 2) / 2)
    block = np.outer(cells[0], cells[1]).ravel()
    return np.asarray(block / np.linalg.norm(block), np.float32)


@dataclass(frozen=True, eq=False)
class _Waves:
    """Of square windows: the taper, which waves of a spectrum count, and the direction of each (2, side, ...)."""

    taper: Floats
    counted: NDArray[np.bool_]
    ways: Floats


@lru_cache(maxsize=_WINDOW)
def _waves(side: int) -> _Waves:
    """Return what windows of a side have in common; of each pair of opposite waves one counts."""
    rise = np.hanning(side + 2)[1:-1]
    down, across = np.meshgrid(np.fft.fftfreq(side) * side, np.arange(side // 2 + 1), indexing="ij")
    length = np.hypot(down, across)
    counted = (length >= _LEAST_WAVES) & (length <= side / 2 - 1) & ~((across == 0) & (down < 0))
    ways = np.stack([down, across]) / np.maximum(length, 1e-6)
    return _Waves(np.outer(rise, rise).astype(np.float32), counted, ways.astype(np.float32))


def _perceptual_hash(image: Image.Image) -> int:
    """Return the 64-bit DCT hash of a picture: near-duplicates differ in few bits.

    The signs of the lowest 8 x 8 frequencies of the 32 x 32 grey picture against their median (C. Zauner,
    "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1). The constant term says
    nothing but brightness, so the frequencies 1 to 8 each way are taken, as Zauner does.
    """
    grey = image.convert("L").resize((_PHASH_SIDE, _PHASH_SIDE), Image.Resampling.BOX)
    waves = scipy.fft.dctn(np.asarray(grey, np.float32), norm="ortho")[1:9, 1:9].ravel()
    bits = np.packbits(waves > np.median(waves))
    return int.from_bytes(bits.tobytes(), "big")
