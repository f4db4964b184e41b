"""Whether two small pictures are one photo: laid over each other as well as they can be, then compared.

It owns the alignment (shift, stretch and a slight turn), the change of brightness between the two, and the measure
of what differs afterwards, on (64, 64, 3) arrays. It knows neither files nor catalogs nor embeddings: which pairs
are worth comparing is for others to say.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["NO_MATCH", "SIDE_PX", "PictureMatch", "compare_pictures"]

Floats = NDArray[np.float32]

SIDE_PX = 64
"""Pictures are compared as squares of this many pixels: small enough to forgive compression, not a changed detail."""
MARGIN_PX = 9
"""What lies nearer to an edge is left out: a border, or what a crop took away."""
BLOCK_PX = 4
SMOOTH_PX = 1.2
ROUNDS, STEPS = 3, 6
"""Of finding the brightness anew, and within each of moving the one over the other."""
STILL_PX = 0.05
"""A step that moves no pixel by more ends the search."""
MOST_STRETCH = 1.25
MOST_TURN = 0.1
MOST_GAIN = 1.7
"""How much brighter one photo may be than the other."""
DARK, BRIGHT = 0.03, 0.93
"""Between these a pixel shows the gain; beyond, some of what it stands for may be cut off at black or white."""
HALF = 0.6
SURE, HOPELESS = 0.01, 0.12
"""Between these residuals, another brightness may make one photo of two pictures."""
FADING = 0.1
"""Where a brighter copy comes so near to white, what was there before can no longer be compared."""
LEAST_FADED, LEAST_SEEN = 0.02, 0.05
"""So much of the picture must have gone white for that to count, and so much must be left to compare."""
DAMPING = 1e-3

# The first, rough look at 16 x 16 greys: as they are, and with either one shown larger (cropped, the other bordered).
ROUGH_SIDE, ROUGH_MARGIN = 16, 2
ROUGH_STRETCH = 1.1
LEAST_ROUGH = 0.85
"""Pairs whose rough pictures correlate less at every stretch are not laid over each other: they are two photos."""
FLAT = 1e-2

_INSIDE = slice(MARGIN_PX, SIDE_PX - MARGIN_PX)
_INNER_PX = SIDE_PX - 2 * MARGIN_PX
_MIDDLE = (SIDE_PX - 1) / 2
_DOWN, _RIGHT = (
    place.ravel() - _MIDDLE
    for place in np.mgrid[MARGIN_PX : SIDE_PX - MARGIN_PX, MARGIN_PX : SIDE_PX - MARGIN_PX].astype(np.float32)
)
_NO_WARP = np.array([1.0, 0, 0, 0, 1.0, 0])
_LEVERS = np.array([SIDE_PX / 2, SIDE_PX / 2, 1, SIDE_PX / 2, SIDE_PX / 2, 1])
"""How many pixels one unit of each part of a warp moves a pixel, at most."""


class PictureMatch(NamedTuple):
    """How alike two pictures are when they lie over each other.

    `residual` is the difference where they differ most: the mean distance, 0 to 1, of the third-worst block of 4 x 4
    pixels, in its worst colour channel. `overexposure` is the gain (0.2: a fifth) by which one is brighter where it
    is clipped at white, which raises the residual between copies of one photo; 0 for most pairs.
    """

    residual: float
    overexposure: float


NO_MATCH = PictureMatch(1.0, 0.0)


def compare_pictures(first: Floats, second: Floats) -> PictureMatch:
    """Return the likeness of two (64, 64, 3) float32 pictures with values from 0 to 1; their order does not matter.

    A rough look tells most pairs apart, and says whether one shows things larger. That one is then moved, stretched
    and turned until it fits, by Gauss-Newton steps on the squared difference: Lucas & Kanade, "An Iterative Image
    Registration Technique" (IJCAI 1981), in the inverse form of Baker & Matthews, "Lucas-Kanade 20 Years On" (IJCV
    2004). Between the rounds, the darker one is brightened as the pixels that lie over each other say.
    """
    start = _rough_stretch(first, second)
    if start is None:
        return NO_MATCH
    if start < 1:
        # The one with finer detail is moved: the interpolation makes it as smooth as the other.
        first, second, start = second, first, 1 / start
    pair = _Pair(first, second)
    warp, light = start * _NO_WARP, (1.0, 0.0)
    for _ in range(ROUNDS):
        found = pair.align(warp, light)
        if found is None:
            return NO_MATCH
        before, warp, light = light, found, pair.light(found)
        if abs(light[0] - before[0]) < 0.01 and abs(light[1] - before[1]) < 0.005:
            break
    likeness = pair.likeness(warp, light)
    if SURE < likeness.residual < HOPELESS:
        # Around thin dark things, all but a few pixels are mixed with a background that is cut off at white.
        light = pair.gain_alone(warp)
        found = pair.align(warp, light) if light[0] > 1.03 else None
        likeness = likeness if found is None else min(likeness, pair.likeness(found, light))
    return likeness


class _Pair:
    """Two pictures, the second of which is moved over the first, and the one with less white and black brightened."""

    def __init__(self, first: Floats, second: Floats) -> None:
        self._first, self._second = first, second
        self._first_is_lit = _cut_off(first) <= _cut_off(second)
        self._smooth_first = _smooth(first)[_INSIDE, _INSIDE].reshape(-1, 3)
        self._smooth_second = _smooth(second)

    def align(self, warp: NDArray[np.float64], light: tuple[float, float]) -> NDArray[np.float64] | None:
        """Return the warp under which the pictures fit best, from a warp that nearly does, or None for none."""
        first, second = (_smooth(one.mean(axis=2)) for one in self._lit(light))
        inner = first[_INSIDE, _INSIDE].ravel()
        down, right = (np.gradient(first, axis=axis)[_INSIDE, _INSIDE].ravel() for axis in (0, 1))
        # With the brightness as two more unknowns, so that a brighter copy is not pushed aside.
        columns = [down * _DOWN, down * _RIGHT, down, right * _DOWN, right * _RIGHT, right, inner]
        design = np.stack([*columns, np.ones_like(inner)], axis=1)
        normal = (design.T @ design).astype(np.float64)
        solve = np.linalg.inv(normal + DAMPING * np.diag(normal.diagonal() + 1e-3)) @ design.T
        for _ in range(STEPS):
            step = (solve @ (_sampled(second, warp) - inner))[:6]
            # Inverse composition: the template was moved by the step, so the picture moves by its inverse.
            moved = _square(warp) @ np.linalg.inv(_square(step + _NO_WARP))
            warp = moved[:2].ravel()
            if not _is_slight(warp):
                return None
            if np.abs(step * _LEVERS).max() < STILL_PX:
                break
        return warp

    def light(self, warp: NDArray[np.float64]) -> tuple[float, float]:
        """Return the gain and offset that make the pixels of the one that is lit those that lie over them."""
        first, second = self._smooth_first, _sampled(self._smooth_second, warp)
        return _fitted_light(first, second) if self._first_is_lit else _fitted_light(second, first)

    def gain_alone(self, warp: NDArray[np.float64]) -> tuple[float, float]:
        """Return the gain that the darkest pixels show alone, without an offset; 1 where there are too few."""
        first, second = self._smooth_first, _sampled(self._smooth_second, warp)
        dark, light = (first, second) if self._first_is_lit else (second, first)
        told = (dark > 2 * DARK) & (light < HALF)
        if int(told.sum()) < 60:
            return 1.0, 0.0
        return float(np.clip(np.median(light[told] / dark[told]), 1 / MOST_GAIN, MOST_GAIN)), 0.0

    def likeness(self, warp: NDArray[np.float64], light: tuple[float, float]) -> PictureMatch:
        """Return how far apart the pictures are under that warp and light."""
        first, second = self._lit(light)
        inner, laid_over = _smooth(first)[_INSIDE, _INSIDE].reshape(-1, 3), _sampled(_smooth(second), warp)
        difference = np.abs(inner - laid_over)
        lit = self._smooth_first if self._first_is_lit else _sampled(self._smooth_second, warp)
        # Not cut off: what was there before it went white.
        lit = lit * np.float32(light[0]) + np.float32(light[1])
        if float((lit > 1.02).any(axis=1).mean()) < LEAST_FADED:
            return PictureMatch(_third_worst(difference), 0.0)
        seen = np.clip(np.minimum(1 - lit, lit) / FADING, 0, 1).min(axis=1, keepdims=True)
        if float((seen > 0.5).mean()) < LEAST_SEEN:
            return NO_MATCH
        return PictureMatch(_third_worst(difference * seen), max(0.0, light[0] - 1.0))

    def _lit(self, light: tuple[float, float]) -> tuple[Floats, Floats]:
        """Return both pictures, one of them brightened: before it is smoothed, as white cuts off single pixels."""
        gain, offset = light
        if light == (1.0, 0.0):
            return self._first, self._second
        lit = self._first if self._first_is_lit else self._second
        lit = np.clip(lit * np.float32(gain) + np.float32(offset), 0, 1)
        return (lit, self._second) if self._first_is_lit else (self._first, lit)


def _rough_stretch(first: Floats, second: Floats) -> float | None:
    """Return how much larger the second shows things, roughly; None where the two cannot be one photo."""
    one, other = _rough(first), _rough(second)
    best, found = LEAST_ROUGH, None
    # Of the one that shows things larger, more is looked at.
    for stretch, still, moved in (
        (1.0, one, other),
        (ROUGH_STRETCH, one, other),
        (1 / ROUGH_STRETCH, other, one),
    ):
        places = _AS_IT_IS if stretch == 1.0 else _LARGER
        still, moved = (
            plane - plane.mean() for plane in (_AS_IT_IS @ still @ _AS_IT_IS.T, places @ moved @ places.T)
        )
        lengths = float(np.linalg.norm(still)), float(np.linalg.norm(moved))
        if max(lengths) < FLAT:
            return 1.0
        likeness = float((still * moved).sum()) / (lengths[0] * lengths[1] + 1e-9)
        if likeness > best:
            # A stretch must fit clearly better than none.
            best, found = likeness + 0.005, stretch
    return found


def _rough(picture: Floats) -> Floats:
    cell = SIDE_PX // ROUGH_SIDE
    cells = picture.reshape(ROUGH_SIDE, cell, ROUGH_SIDE, cell * 3).mean(axis=(1, 3))
    return np.asarray(cells, np.float32)


def _rough_places(stretch: float) -> Floats:
    """Return the matrix that takes the rows of a rough picture where a copy shown larger has them."""
    middle = (ROUGH_SIDE - 1) / 2
    rows = np.arange(ROUGH_MARGIN, ROUGH_SIDE - ROUGH_MARGIN)
    places = np.clip(middle + stretch * (rows - middle), 0, ROUGH_SIDE - 1)
    return np.asarray(np.maximum(1 - np.abs(places[:, None] - np.arange(ROUGH_SIDE)), 0), np.float32)


_AS_IT_IS, _LARGER = _rough_places(1.0), _rough_places(ROUGH_STRETCH)


def _smooth(picture: Floats) -> Floats:
    sigmas = (SMOOTH_PX, SMOOTH_PX, 0)[: picture.ndim]
    return np.asarray(scipy.ndimage.gaussian_filter(picture, sigmas, truncate=3.0), np.float32)


def _cut_off(picture: Floats) -> float:
    """Return the share of the picture that is white or black in some channel."""
    return float(((picture < 0.02) | (picture > 0.98)).mean())


def _square(warp: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([warp.reshape(2, 3), [0.0, 0.0, 1.0]])


def _is_slight(warp: NDArray[np.float64]) -> bool:
    """Say whether a warp is one that a copy may have: a little larger or smaller, turned, moved."""
    stretches, turns, moves = np.abs(warp[[0, 4]]), np.abs(warp[[1, 3]]), np.abs(warp[[2, 5]])
    fits = np.abs(np.log(np.maximum(stretches, 1e-3))).max() < np.log(MOST_STRETCH)
    return bool(fits and turns.max() < MOST_TURN and moves.max() < MARGIN_PX)


def _sampled(picture: Floats, warp: NDArray[np.float64]) -> Floats:
    """Return the inner part of a picture under a warp: (n,) of a grey one, (n, 3) of one in colour; bilinear."""
    down, right = (
        np.clip(_MIDDLE + part[0] * _DOWN + part[1] * _RIGHT + part[2], 0, SIDE_PX - 1.001)
        for part in warp.reshape(2, 3).astype(np.float32)
    )
    row, column = down.astype(np.intp), right.astype(np.intp)
    below, beside = down - row, right - column
    if picture.ndim == 3:
        below, beside = below[:, None], beside[:, None]
    pixels = picture.reshape(SIDE_PX * SIDE_PX, *picture.shape[2:])
    place = row * SIDE_PX + column
    upper, lower = pixels[place], pixels[place + SIDE_PX]
    upper = upper + (pixels[place + 1] - upper) * beside
    lower = lower + (pixels[place + SIDE_PX + 1] - lower) * beside
    return np.asarray(upper + (lower - upper) * below, np.float32)


def _fitted_light(dark: Floats, light: Floats) -> tuple[float, float]:
    """Return the gain and offset that take the pixels `dark` to those of `light`, (n, 3) each.

    The darker pixels give the first line, as only bright ones are cut off at white; then all that the line keeps
    below white and that lie near it.
    """
    x, y = dark.ravel(), light.ravel()
    told = (x > DARK) & (x < 1 - DARK) & (y > DARK) & (y < BRIGHT)
    x, y = x[told], y[told]
    if len(x) < 150:
        return 1.0, 0.0
    darker = x <= x.mean()
    line = _line(x[darker], y[darker]) or _line(x, y)
    for _ in range(2):
        if line is None:
            return 1.0, 0.0
        expected = line[0] * x + line[1]
        off = np.abs(y - expected)
        near = (expected > DARK) & (expected < BRIGHT) & (off < max(0.03, 1.6 * float(off.mean())))
        line = _line(x[near], y[near]) or line
    return line or (1.0, 0.0)


def _line(x: Floats, y: Floats) -> tuple[float, float] | None:
    """Return the gain and offset of the line through points by least squares; None for too few or too alike."""
    if len(x) < 100:
        return None
    middle, height = float(x.mean()), float(y.mean())
    away = x - middle
    spread = float(away @ away) / len(x)
    if spread < 1e-4:
        return None
    gain = float(np.clip(float(away @ y) / len(x) / spread, 1 / MOST_GAIN, MOST_GAIN))
    return gain, height - gain * middle


def _third_worst(difference: NDArray[Any]) -> float:
    """Return the mean difference of the third-worst block of pixels, in its worst channel."""
    count = _INNER_PX // BLOCK_PX
    inner = difference.reshape(_INNER_PX, _INNER_PX, 3)[: count * BLOCK_PX, : count * BLOCK_PX]
    blocks = inner.reshape(count, BLOCK_PX, count, BLOCK_PX, 3).mean(axis=(1, 3)).max(axis=2)
    return float(np.partition(blocks.ravel(), -3)[-3])
