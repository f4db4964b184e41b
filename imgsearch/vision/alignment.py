"""Whether two small images are the same photo: one is aligned with the other and the remaining difference measured.

Images are (64, 64, 3) float32. The alignment covers scale, shift, a slight rotation and shear, and brightness.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Warp = NDArray[np.float64]
"""(6,): the first two rows of an affine transformation of (down, right, 1), about the middle of the image."""
Light = tuple[float, float]
"""Gain and offset of the brightness."""

SIDE_PX = 64  # small enough to hide compression artefacts, large enough to show a changed detail
MARGIN_PX = 9  # pixels nearer to an edge are not compared: borders, or parts that a crop has removed
BLOCK_PX = 4
SIGMA_PX = 1.2
LIGHT_ROUNDS, WARP_STEPS = 3, 6
"""Rounds of fitting the brightness, and Gauss-Newton steps of the warp in each."""
MIN_STEP_PX = 0.05  # A step that moves no pixel by more ends the iteration
MAX_SCALE = 1.25
MAX_SHEAR = 0.1
MAX_GAIN = 1.7
DARK, BRIGHT = 0.03, 0.93
"""The gain is fitted to pixels between these; others may be clipped at black or white."""
MAX_MIDTONE = 0.6
SAME_RESIDUAL, OTHER_RESIDUAL = 0.01, 0.12
"""Between these residuals, another estimate of the brightness is tried."""
FADE_WIDTH = 0.1
"""The distance from white or black over which an overexposed copy loses detail that cannot be compared."""
MIN_CLIPPED_SHARE, MIN_COMPARABLE_SHARE = 0.02, 0.05
"""Of the image: from the first on, a copy counts as overexposed; with less than the second, nothing is comparable."""
DAMPING = 1e-3

# Preselection by the correlation of 16 x 16 greys: unscaled, and with either image scaled up.
COARSE_SIDE, COARSE_MARGIN = 16, 2
COARSE_SCALE = 1.1
MIN_CORRELATION = 0.85
MIN_CONTRAST = 1e-2

_INSIDE = slice(MARGIN_PX, SIDE_PX - MARGIN_PX)
_INNER_PX = SIDE_PX - 2 * MARGIN_PX
_MIDDLE = (SIDE_PX - 1) / 2
_DOWN, _RIGHT = (
    place.ravel() - _MIDDLE
    for place in np.mgrid[MARGIN_PX : SIDE_PX - MARGIN_PX, MARGIN_PX : SIDE_PX - MARGIN_PX].astype(np.float32)
)
_IDENTITY = np.array([1.0, 0, 0, 0, 1.0, 0])
_PX_PER_UNIT = np.array([SIDE_PX / 2, SIDE_PX / 2, 1, SIDE_PX / 2, SIDE_PX / 2, 1])
"""The largest shift of a pixel, in pixels, for one unit of each part of a warp."""


class PictureMatch(NamedTuple):
    """How much two aligned images differ.

    `residual` is the mean difference, 0 to 1, of the third-worst block of 4 x 4 pixels in its worst colour channel.
    `overexposure` is the gain (0.2: a fifth) of the brighter one where it is clipped at white, which raises the
    residual between copies of one photo; 0 for most pairs.
    """

    residual: float
    overexposure: float


NO_MATCH = PictureMatch(1.0, 0.0)


def compare_pictures(first: Floats, second: Floats) -> PictureMatch:
    """Compare two (64, 64, 3) float32 images with values from 0 to 1; their order does not matter.

    A coarse correlation rules out most pairs and estimates the scale. Then one image is warped onto the other by
    Gauss-Newton steps on the squared difference: Lucas & Kanade, "An Iterative Image Registration Technique" (IJCAI
    1981), in the inverse compositional form of Baker & Matthews, "Lucas-Kanade 20 Years On" (IJCV 2004). Between the
    rounds, a gain and an offset of the brightness are fitted.
    """
    scale = _coarse_scale(first, second)
    if scale is None:
        return NO_MATCH
    if scale < 1:
        # The image with finer detail is warped: interpolation blurs it like the other one.
        first, second, scale = second, first, 1 / scale
    pair = _Pair(first, second)
    warp, light = scale * _IDENTITY, (1.0, 0.0)
    for _ in range(LIGHT_ROUNDS):
        aligned = pair.align(warp, light)
        if aligned is None:
            return NO_MATCH
        before, warp, light = light, aligned, pair.light(aligned)
        if abs(light[0] - before[0]) < 0.01 and abs(light[1] - before[1]) < 0.005:
            break
    match = pair.match(warp, light)
    if SAME_RESIDUAL < match.residual < OTHER_RESIDUAL:
        # Where dark details are thin, most pixels are mixed with a background that is clipped at white.
        light = pair.gain_of_dark_pixels(warp)
        aligned = pair.align(warp, light) if light[0] > 1.03 else None
        match = match if aligned is None else min(match, pair.match(aligned, light))
    return match


class _Pair:
    """Two images: the second one is warped, and the one with fewer clipped pixels is brightened."""

    def __init__(self, first: Floats, second: Floats) -> None:
        self._first, self._second = first, second
        self._first_is_lit = _clipped_share(first) <= _clipped_share(second)
        self._smooth_first = _smooth(first)[_INSIDE, _INSIDE].reshape(-1, 3)
        self._smooth_second = _smooth(second)

    def align(self, warp: Warp, light: Light) -> Warp | None:
        """Return the warp with the least squared difference, or None where it becomes too large."""
        first, second = (_smooth(one.mean(axis=2)) for one in self._lit(light))
        inner = first[_INSIDE, _INSIDE].ravel()
        down, right = (np.gradient(first, axis=axis)[_INSIDE, _INSIDE].ravel() for axis in (0, 1))
        # Gain and offset are two more unknowns, so that a difference in brightness does not shift the warp.
        columns = [down * _DOWN, down * _RIGHT, down, right * _DOWN, right * _RIGHT, right, inner]
        design = np.stack([*columns, np.ones_like(inner)], axis=1)
        normal = (design.T @ design).astype(np.float64)
        solve = np.linalg.inv(normal + DAMPING * np.diag(normal.diagonal() + 1e-3)) @ design.T
        for _ in range(WARP_STEPS):
            step = (solve @ (_sampled(second, warp) - inner))[:6]
            # Inverse composition: the step warps the first image, so its inverse warps the second one.
            composed = _matrix(warp) @ np.linalg.inv(_matrix(step + _IDENTITY))
            warp = composed[:2].ravel()
            if not _is_slight(warp):
                return None
            if np.abs(step * _PX_PER_UNIT).max() < MIN_STEP_PX:
                break
        return warp

    def light(self, warp: Warp) -> Light:
        """Return the gain and offset that fit the brightened image to the other one."""
        return _fitted_light(*self._lit_and_other(warp))

    def gain_of_dark_pixels(self, warp: Warp) -> Light:
        """Return the median gain of the darkest pixels, without an offset; 1 where there are too few."""
        lit, other = self._lit_and_other(warp)
        usable = (lit > 2 * DARK) & (other < MAX_MIDTONE)
        if int(usable.sum()) < 60:
            return 1.0, 0.0
        return float(np.clip(np.median(other[usable] / lit[usable]), 1 / MAX_GAIN, MAX_GAIN)), 0.0

    def match(self, warp: Warp, light: Light) -> PictureMatch:
        """Return how much the images differ under that warp and brightness."""
        first, second = self._lit(light)
        inner, warped = _smooth(first)[_INSIDE, _INSIDE].reshape(-1, 3), _sampled(_smooth(second), warp)
        difference = np.abs(inner - warped)
        lit = self._smooth_first if self._first_is_lit else _sampled(self._smooth_second, warp)
        # Without clipping, values beyond 1 are those that the other image has lost.
        lit = lit * np.float32(light[0]) + np.float32(light[1])
        if float((lit > 1.02).any(axis=1).mean()) < MIN_CLIPPED_SHARE:
            return PictureMatch(_third_worst(difference), 0.0)
        weight = np.clip(np.minimum(1 - lit, lit) / FADE_WIDTH, 0, 1).min(axis=1, keepdims=True)
        if float((weight > 0.5).mean()) < MIN_COMPARABLE_SHARE:
            return NO_MATCH
        return PictureMatch(_third_worst(difference * weight), max(0.0, light[0] - 1.0))

    def _lit_and_other(self, warp: Warp) -> tuple[Floats, Floats]:
        """Return the aligned pixels of the image that is brightened, and of the other one."""
        first, second = self._smooth_first, _sampled(self._smooth_second, warp)
        return (first, second) if self._first_is_lit else (second, first)

    def _lit(self, light: Light) -> tuple[Floats, Floats]:
        """Return both images, one of them brightened; before smoothing, because white clips single pixels."""
        gain, offset = light
        if light == (1.0, 0.0):
            return self._first, self._second
        lit = self._first if self._first_is_lit else self._second
        lit = np.clip(lit * np.float32(gain) + np.float32(offset), 0, 1)
        return (lit, self._second) if self._first_is_lit else (self._first, lit)


def _coarse_scale(first: Floats, second: Floats) -> float | None:
    """Return roughly how much larger the second image shows things; None where the two cannot be one photo."""
    one, other = _coarse(first), _coarse(second)
    best, scale = MIN_CORRELATION, None
    for tried, fixed, scaled in (
        (1.0, one, other),
        (COARSE_SCALE, one, other),
        (1 / COARSE_SCALE, other, one),
    ):
        sampling = _UNSCALED if tried == 1.0 else _SCALED_UP
        fixed, scaled = (
            plane - plane.mean()
            for plane in (_UNSCALED @ fixed @ _UNSCALED.T, sampling @ scaled @ sampling.T)
        )
        lengths = float(np.linalg.norm(fixed)), float(np.linalg.norm(scaled))
        if max(lengths) < MIN_CONTRAST:
            return 1.0
        correlation = float((fixed * scaled).sum()) / (lengths[0] * lengths[1] + 1e-9)
        if correlation > best:
            # A scale must fit clearly better than none.
            best, scale = correlation + 0.005, tried
    return scale


def _coarse(picture: Floats) -> Floats:
    cell = SIDE_PX // COARSE_SIDE
    cells = picture.reshape(COARSE_SIDE, cell, COARSE_SIDE, cell * 3).mean(axis=(1, 3))
    return np.asarray(cells, np.float32)


def _coarse_sampling(scale: float) -> Floats:
    """Return the matrix of linear interpolation that samples the inner rows of a coarse image that is scaled up."""
    middle = (COARSE_SIDE - 1) / 2
    rows = np.arange(COARSE_MARGIN, COARSE_SIDE - COARSE_MARGIN)
    places = np.clip(middle + scale * (rows - middle), 0, COARSE_SIDE - 1)
    return np.asarray(np.maximum(1 - np.abs(places[:, None] - np.arange(COARSE_SIDE)), 0), np.float32)


_UNSCALED, _SCALED_UP = _coarse_sampling(1.0), _coarse_sampling(COARSE_SCALE)


def _smooth(picture: Floats) -> Floats:
    sigmas = (SIGMA_PX, SIGMA_PX, 0)[: picture.ndim]
    return np.asarray(scipy.ndimage.gaussian_filter(picture, sigmas, truncate=3.0), np.float32)


def _clipped_share(picture: Floats) -> float:
    """Return the share of values at white or black."""
    return float(((picture < 0.02) | (picture > 0.98)).mean())


def _matrix(warp: Warp) -> NDArray[np.float64]:
    return np.vstack([warp.reshape(2, 3), [0.0, 0.0, 1.0]])


def _is_slight(warp: Warp) -> bool:
    """Return whether a copy of a photo may have this warp: a little scaled, rotated or sheared, and shifted."""
    scales, shears, shifts = np.abs(warp[[0, 4]]), np.abs(warp[[1, 3]]), np.abs(warp[[2, 5]])
    fits = np.abs(np.log(np.maximum(scales, 1e-3))).max() < np.log(MAX_SCALE)
    return bool(fits and shears.max() < MAX_SHEAR and shifts.max() < MARGIN_PX)


def _sampled(picture: Floats, warp: Warp) -> Floats:
    """Return the inner part of an image under a warp, bilinear: (n,) of a grey one, (n, 3) of one in colour."""
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


def _fitted_light(dark: Floats, light: Floats) -> Light:
    """Return the gain and offset that map the pixels `dark` to those of `light`, (n, 3) each.

    The first line is fitted to the darker pixels, which are not clipped at white; then twice to all pixels near it.
    """
    x, y = dark.ravel(), light.ravel()
    usable = (x > DARK) & (x < 1 - DARK) & (y > DARK) & (y < BRIGHT)
    x, y = x[usable], y[usable]
    if len(x) < 150:
        return 1.0, 0.0
    darker = x <= x.mean()
    line = _line(x[darker], y[darker]) or _line(x, y)
    for _ in range(2):
        if line is None:
            return 1.0, 0.0
        expected = line[0] * x + line[1]
        error = np.abs(y - expected)
        near = (expected > DARK) & (expected < BRIGHT) & (error < max(0.03, 1.6 * float(error.mean())))
        line = _line(x[near], y[near]) or line
    return line or (1.0, 0.0)


def _line(x: Floats, y: Floats) -> Light | None:
    """Return the gain and offset of the least-squares line; None for too few points or too little spread."""
    if len(x) < 100:
        return None
    mean_x, mean_y = float(x.mean()), float(y.mean())
    centred = x - mean_x
    variance = float(centred @ centred) / len(x)
    if variance < 1e-4:
        return None
    gain = float(np.clip(float(centred @ y) / len(x) / variance, 1 / MAX_GAIN, MAX_GAIN))
    return gain, mean_y - gain * mean_x


def _third_worst(difference: NDArray[Any]) -> float:
    """Return the mean difference of the third-worst block of pixels, in its worst channel."""
    count = _INNER_PX // BLOCK_PX
    inner = difference.reshape(_INNER_PX, _INNER_PX, 3)[: count * BLOCK_PX, : count * BLOCK_PX]
    blocks = inner.reshape(count, BLOCK_PX, count, BLOCK_PX, 3).mean(axis=(1, 3)).max(axis=2)
    return float(np.partition(blocks.ravel(), -3)[-3])
