"""A photo's look: descriptors of its colours, its outline and its pattern, and a perceptual hash.

Dot products of two descriptors' blocks are similarities from 0 to 1; `emphasised_scores` re-ranks candidates by them.
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
from imgsearch.vision.oklab import Floats, blurred, cell_colors, color_cells, lab_planes, oklab
from imgsearch.vision.saliency import LIGHTNESS_WEIGHT, downscaled, eroded, foreground_weights

LOOK_VERSION = 2
"""Raise it when `describe` returns other numbers: looks of another version are computed again, not compared."""

SIDE_PX = 80  # the longer side of the photo that is described

# The colour block: a share for each shade of a palette in OKLab.
_GREYS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
_HUE_RINGS = ((0.045, 6, (0.35, 0.6, 0.85)), (0.12, 9, (0.4, 0.65)))  # (chroma, hues, lightnesses)
_SHADES = len(_GREYS) + sum(hues * len(levels) for _, hues, levels in _HUE_RINGS)
_SHADE_SIGMA = 0.025  # of the soft assignment to shades, in units of OKLab
_SHARE_POWER = 0.7  # a smaller one gives minor shades more weight
_GREY_WEIGHT, _CHROMA_WEIGHT = (
    0.02,
    0.3,
)  # of a pixel: shadows and highlights are grey on things of any colour
_MIN_INNER_PIXELS = 64

# The shape block: how the foreground fills a grid of cells, and edge directions in a grid half as fine.
_ROWS, _COLUMNS = 6, 6  # columns are folded, so that a mirrored photo has the same block
_DIRECTIONS = 3
_OUTLINE = _ROWS * _COLUMNS // 2 + (_ROWS // 2) * ((_COLUMNS // 2 + 1) // 2) * _DIRECTIONS

# The pattern block: the strongest two periodic components of square windows.
_WINDOW_PX, _STRIDE_PX = 20, 10
_MAX_WINDOWS = 9
_MIN_CYCLES = 2.5  # of a wave in a window: slower changes are shading and parts of the thing
_PLAIN_CONTRAST = 0.03  # of a surface without a pattern, from noise and shading, in lightness
_CHROMA_GAIN = 1.5  # the weight of the chroma planes, relative to lightness
_MAX_COSINE = 0.85  # between the directions of the first and the second wave
_STRONG_PATTERN = (0.65, 0.22)  # the energy shares of the first and the second wave of a strong pattern
_STEPS = 5

COLOR = slice(0, _SHADES)
SHAPE = slice(COLOR.stop, COLOR.stop + _OUTLINE)
PATTERN = slice(SHAPE.stop, SHAPE.stop + _STEPS * _STEPS)
LOOK_DIM = PATTERN.stop

_EMPHASIS_GAINS = (2.0, 3.0, 6.0)
"""What a slider at its end adds for a similarity of 1, in standard deviations of the candidates' scores."""
_EMPHASIS_POWERS = (1, 4, 4)
"""The power of a block's similarity: outlines and patterns of different things are rather similar already."""
_SAME_COLOR = 0.7  # the colour similarity from which two photos count as of the same colour

_PLANE_GAINS = np.array([1, _CHROMA_GAIN, _CHROMA_GAIN], np.float32)[:, None, None, None]
_PHASH_SIDE = 32


@dataclass(frozen=True, slots=True)
class Look:
    """A photo's descriptor `vector`, (LOOK_DIM,) float32, with blocks COLOR, SHAPE and PATTERN; and its `phash`.

    Each block is non-negative with length 1. The 64-bit hashes of near-duplicates differ in few bits.
    """

    vector: Floats
    phash: int


def describe(image: Image.Image) -> Look:
    """Return the look of an upright RGB photo of any size."""
    small = downscaled(image, SIDE_PX)
    cells = color_cells(np.asarray(small, np.uint8))
    lab = lab_planes(cells)
    smooth = blurred(lab)
    weights = foreground_weights(lab, smooth)
    vector = np.empty(LOOK_DIM, np.float32)
    vector[COLOR] = _color_block(cells, weights)
    vector[SHAPE] = _shape_block(smooth[0], weights)
    vector[PATTERN] = _pattern_block(lab, weights)
    return Look(vector, _perceptual_hash(small))


def color_look(color: str) -> Floats:
    """Return the (COLOR,) float32 colour block of a thing in the colour "#rrggbb", with lighter and darker shades.

    Raises `QueryError` for any other text.
    """
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise QueryError(f"{color[:20]!r} is no colour; write it as #rrggbb, for example #c81e28.")
    lab = oklab(np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)]]))
    steps = np.linspace(-0.16, 0.08, 7)
    shaded = np.repeat(lab, len(steps), axis=0)
    shaded[:, 0] = np.clip(shaded[:, 0] + steps, 0, 1)
    return _block_of_shares(_shade_shares(shaded).mean(axis=0))


def emphasised_scores(scores: Floats, rows: Floats, look: Floats, emphasis: Emphasis) -> Floats:
    """Return the scores to re-rank candidates by, (n,) float32; higher is better.

    `scores` (n,) are the candidates' cosines, `rows` (n, LOOK_DIM) their looks (zeros where unknown), `look` is the
    query's. Each block's similarity is added, times its slider and the standard deviation of the scores. So the order
    of two candidates changes at most once as a slider moves, and with all sliders at 0 the scores are unchanged.
    """
    result = scores.astype(np.float32, copy=True)
    spread = np.float32(scores.std()) if len(scores) else np.float32(0)
    blocks = (COLOR, SHAPE, PATTERN)
    for strength, gain, power, block in zip(emphasis, _EMPHASIS_GAINS, _EMPHASIS_POWERS, blocks, strict=True):
        if strength:
            result += np.float32(strength * gain) * spread * (rows[:, block] @ look[block]) ** power
    return result


def same_color(rows: Floats, look: Floats) -> NDArray[np.bool_]:
    """Return which of the (n, LOOK_DIM) rows have the colours of `look`; unknown looks (zeros) have not."""
    return np.asarray(rows[:, COLOR] @ look[COLOR] >= _SAME_COLOR)


# --- colour ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.float64]:
    """Return the shades of the colour block in OKLab, (shades, 3)."""
    shades = [(level, 0.0, 0.0) for level in _GREYS]
    for chroma, hues, levels in _HUE_RINGS:
        for level in levels:
            for angle in np.arange(hues) * 2 * np.pi / hues:
                shades.append((level, chroma * np.cos(angle), chroma * np.sin(angle)))
    return np.array(shades)


def _shade_shares(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the soft assignment of (n, 3) OKLab colours to shades, (n, shades), rows sum to 1."""
    scale = np.array([LIGHTNESS_WEIGHT, 1.0, 1.0])
    squares = (((lab[:, None] - _palette()[None]) * scale) ** 2).sum(axis=2)
    near = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (2 * _SHADE_SIGMA**2))
    return np.asarray(near / near.sum(axis=1, keepdims=True))


@lru_cache(maxsize=1)
def _shade_table() -> Floats:
    """Return the weighted shades of each colour cell, (cells, shades)."""
    lab = oklab(cell_colors())
    weights = _GREY_WEIGHT + _CHROMA_WEIGHT * np.hypot(lab[:, 1], lab[:, 2])
    return (_shade_shares(lab) * weights[:, None]).astype(np.float32)


def _color_block(cells: NDArray[np.intp], weights: Floats) -> Floats:
    """Return the shades of the foreground, without its rim (a mixture with the background) where enough is left."""
    inside = weights * eroded(weights > 0)
    if np.count_nonzero(inside) < _MIN_INNER_PIXELS:
        inside = weights
    step = 2 if inside[::2, ::2].any() else 1  # every second pixel is enough
    counts = inside[::step, ::step].ravel()
    used = np.flatnonzero(counts)
    return _block_of_shares(counts[used] @ _shade_table()[cells[::step, ::step].ravel()[used]])


def _block_of_shares(shares: NDArray[Any]) -> Floats:
    """Return the unit-length colour block of shades' shares.

    With a power of 1/2 the dot product would be the Bhattacharyya coefficient; a higher one favours the main colour.
    """
    block = np.maximum(shares, 0) ** _SHARE_POWER
    return np.asarray(block / np.linalg.norm(block), np.float32)


# --- shape ----------------------------------------------------------------------------------------------------------


def _shape_block(light: Floats, weights: Floats) -> Floats:
    """Return the outline in the foreground's own square: the fill of 6 x 6 cells, edge directions in 3 x 3."""
    height, width = weights.shape
    total = float(weights.sum())
    rows, columns = np.arange(height), np.arange(width)
    down, across = weights.sum(axis=1) / total, weights.sum(axis=0) / total
    center = float(down @ rows), float(across @ columns)
    spread = np.sqrt(down @ (rows - center[0]) ** 2), np.sqrt(across @ (columns - center[1]) ** 2)
    half_side = 2.2 * max(float(spread[0]), float(spread[1]), 3)
    # The position of each row and column in the square, from 0 to 1.
    y = (rows - center[0]) / (2 * half_side) + 0.5
    x = (columns - center[1]) / (2 * half_side) + 0.5
    inside = (weights > 0).astype(np.float32)
    fill = _soft_cells(y, _ROWS).T @ inside @ _soft_cells(x, _COLUMNS)
    fill = fill + fill[:, ::-1]
    coarse_rows, coarse_columns = _soft_cells(y, _ROWS // 2), _soft_cells(x, _COLUMNS // 2)
    edges = coarse_rows.T @ (_edge_directions(light) * inside) @ coarse_columns
    edges = (edges + edges[..., ::-1])[..., : (_COLUMNS // 2 + 1) // 2]
    outline = fill[:, : _COLUMNS // 2].ravel()
    return np.concatenate([_unit_root(outline), _unit_root(edges.ravel())]) * np.float32(np.sqrt(0.5))


def _soft_cells(positions: NDArray[Any], cells: int) -> Floats:
    """Return how much each position of 0 to 1 belongs to each cell along an axis, (n, cells) float32."""
    distance = np.abs(positions[:, None] * cells - (np.arange(cells) + 0.5)[None])
    return np.asarray(np.maximum(1 - distance, 0), np.float32)


def _edge_directions(light: Floats) -> Floats:
    """Return the strengths of horizontal, vertical and diagonal gradients, (3, height, width); mirrored the same."""
    result = np.zeros((3, *light.shape), np.float32)
    across, down, diagonal = result
    np.abs(light[:, 2:] - light[:, :-2], out=across[:, 1:-1])
    np.abs(light[2:] - light[:-2], out=down[1:-1])
    np.minimum(across, down, out=diagonal)
    across -= diagonal
    down -= diagonal
    return result


def _unit_root(shares: NDArray[Any]) -> Floats:
    """Return the square roots of shares with length 1: their dot product is the Bhattacharyya coefficient.

    A. Bhattacharyya, "On a measure of divergence between two statistical populations", 1943.
    """
    roots = np.sqrt(np.maximum(shares, 0)).astype(np.float32)
    length = float(np.linalg.norm(roots))
    if length < 1e-6:
        return np.full(len(roots), 1 / np.sqrt(len(roots)), np.float32)
    return np.asarray(roots / length, np.float32)


# --- pattern --------------------------------------------------------------------------------------------------------


def _pattern_block(lab: Floats, weights: Floats) -> Floats:
    """Return how periodic the surface is along its main direction and along a second one, as a soft histogram.

    A repeating pattern is a peak in the spectrum of a window (F. Liu and R. Picard, "Periodicity, directionality, and
    randomness", IEEE Trans. PAMI 18(7), 1996). Stripes have one peak; checks and dots have a second one in another
    direction. The largest shares of energy in the peaks of any window count.
    """
    planes, cover = _tapered_windows(lab, weights)
    side = cover.shape[-1]
    waves = _waves(side)
    coefficients = scipy.fft.rfft2(planes)
    spectrum = (coefficients.real**2 + coefficients.imag**2).sum(axis=0)
    energy = spectrum.sum(axis=(1, 2)) + 1e-6
    spectrum *= waves.counted
    spectrum = spectrum + np.roll(spectrum, 1, 1) + np.roll(spectrum, -1, 1)
    peaks = spectrum.copy()
    peaks[..., 1:] += spectrum[..., :-1]
    peaks[..., :-1] += spectrum[..., 1:]
    flat = peaks.reshape(len(peaks), -1)
    highest = flat.argmax(axis=1)
    first = np.take_along_axis(flat, highest[:, None], 1)[:, 0]
    directions = waves.directions.reshape(2, -1)
    cosines = np.abs(np.einsum("dn,dhw->nhw", directions[:, highest], waves.directions))
    second = np.where(cosines < _MAX_COSINE, peaks, 0).max(axis=(1, 2))
    contrast = np.sqrt(energy / (cover**2).sum(axis=(1, 2)).clip(1e-6)) / side
    shares = np.stack([first, second]) / energy * (contrast / (contrast + _PLAIN_CONTRAST))
    strongest = shares.max(axis=1) / _STRONG_PATTERN * (_STEPS - 1)
    cells = np.exp(-((np.minimum(strongest, _STEPS - 1)[:, None] - np.arange(_STEPS)) ** 2) / 2)
    block = np.outer(cells[0], cells[1]).ravel()
    return np.asarray(block / np.linalg.norm(block), np.float32)


def _tapered_windows(lab: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the windows with the most foreground, (3, n, side, side), less their means; and their tapers."""
    side = min(_WINDOW_PX, *weights.shape)
    inside = eroded(weights > 0).astype(np.float32)
    covers = sliding_window_view(inside, (side, side))[::_STRIDE_PX, ::_STRIDE_PX].reshape(-1, side, side)
    share = covers.mean(axis=(1, 2))
    order = np.argsort(-share, kind="stable")[:_MAX_WINDOWS]
    largest = float(share[order[0]])
    order = order[share[order] > max(0.5, 0.7 * largest)] if largest > 0.5 else order[:1]
    cover = covers[order] * _waves(side).taper
    windows = sliding_window_view(lab, (side, side), axis=(1, 2))[:, ::_STRIDE_PX, ::_STRIDE_PX]
    planes = windows.reshape(3, -1, side, side)[:, order] * _PLANE_GAINS
    means = np.einsum("cnhw,nhw->cn", planes, cover) / (cover.sum(axis=(1, 2)) + 1e-6)
    return (planes - means[..., None, None]) * cover, cover


@dataclass(frozen=True, eq=False)
class _Waves:
    """Of square windows: the taper, which coefficients count, and the direction of each, (2, side, side / 2 + 1)."""

    taper: Floats
    counted: NDArray[np.bool_]
    directions: Floats


@lru_cache(maxsize=_WINDOW_PX)
def _waves(side: int) -> _Waves:
    """Return the constants of windows of a side; of each pair of opposite waves one counts."""
    rise = np.hanning(side + 2)[1:-1]
    down, across = np.meshgrid(np.fft.fftfreq(side) * side, np.arange(side // 2 + 1), indexing="ij")
    cycles = np.hypot(down, across)
    counted = (cycles >= _MIN_CYCLES) & (cycles <= side / 2 - 1) & ~((across == 0) & (down < 0))
    directions = np.stack([down, across]) / np.maximum(cycles, 1e-6)
    return _Waves(np.outer(rise, rise).astype(np.float32), counted, directions.astype(np.float32))


def _perceptual_hash(image: Image.Image) -> int:
    """Return the 64-bit DCT hash: the signs of 8 x 8 low frequencies of the 32 x 32 grey image, about their median.

    C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1; without the
    constant term, which is only the brightness.
    """
    grey = image.convert("L").resize((_PHASH_SIDE, _PHASH_SIDE), Image.Resampling.BOX)
    frequencies = scipy.fft.dctn(np.asarray(grey, np.float32), norm="ortho")[1:9, 1:9].ravel()
    bits = np.packbits(frequencies > np.median(frequencies))
    return int.from_bytes(bits.tobytes(), "big")
