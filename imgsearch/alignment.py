"""Whether two small pictures are one photo: laid over each other as well as they can be, then compared.

It owns the alignment (shift and stretch) and the measure of what differs afterwards, on (64, 64, 3) arrays. It knows
neither files nor catalogs nor embeddings: which pairs are worth comparing is for others to say.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["SIDE_PX", "Likeness", "compare_pictures"]

Picture = NDArray[np.float32]

SIDE_PX = 64
"""Pictures are compared as squares of this many pixels: small enough to forgive compression, not a changed detail."""
MARGIN_PX = 9
"""What lies nearer to an edge is left out: a border, or what a crop took away."""
BLOCK_PX = 4
STEPS = 12
STARTS = (1.0, 0.9, 1.1)
"""The stretches that the alignment is tried from: as it is, the other one cropped, the other one bordered."""
MOST_STRETCH = 1.25
MOST_GAIN = 1.6
"""How much brighter one photo may be than the other."""
DAMPING = 1e-3
CENTRED = np.arange(MARGIN_PX, SIDE_PX - MARGIN_PX, dtype=np.float64) - (SIDE_PX - 1) / 2
"""The rows (and columns) of the inner part, counted from the middle."""


class Likeness(NamedTuple):
    """How alike two pictures are when they lie over each other.

    `residual` is how far apart they are where they differ most: the mean distance, 0 to 1, of the third-worst block
    of 4 x 4 pixels, in its worst colour channel. `stretch` is how much larger the second one shows things.
    """

    residual: float
    stretch: float


def compare_pictures(first: Picture, second: Picture, *, enough: float = 0.0) -> Likeness:
    """Return the likeness of two (64, 64, 3) float32 pictures with values from 0 to 1.

    The second is moved and stretched (each axis by itself) until it fits, by Gauss-Newton steps on the squared
    difference: Lucas & Kanade, "An Iterative Image Registration Technique" (IJCAI 1981), in the inverse form of Baker
    & Matthews, "Lucas-Kanade 20 Years On" (IJCV 2004). A change of brightness is taken out. A start that gives a
    residual of at most `enough` ends the search.
    """
    best = Likeness(1.0, 1.0)
    first, second = _smooth(first), _smooth(second)
    template, grey = _Template(first.mean(axis=2)), second.mean(axis=2)
    inner = first[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    for start in STARTS:
        warp = template.align(grey, start)
        if warp is None:
            continue
        down, right = _places(warp)
        laid_over = np.stack([down @ second[:, :, channel] @ right.T for channel in range(3)], axis=-1)
        residual = _residual(inner, laid_over)
        if residual < best.residual:
            best = Likeness(residual, float(2.0 / (warp[0] + warp[2])))
        if best.residual <= enough:
            break
    return best


class _Template:
    """The inner part of a grey picture, with what aligning others to it needs."""

    def __init__(self, grey: Picture) -> None:
        inside = slice(MARGIN_PX, -MARGIN_PX)
        down, right = (np.gradient(grey, axis=axis)[inside, inside] for axis in (0, 1))
        self._inner = grey[inside, inside]
        ones = np.ones_like(self._inner)
        # With the brightness as two more unknowns, so that a brighter copy is not pushed aside.
        unknowns = [down * CENTRED[:, None], down, right * CENTRED[None, :], right, self._inner, ones]
        self._design = np.stack(unknowns, axis=-1).reshape(-1, 6)
        normal = self._design.T @ self._design
        self._inverse = np.linalg.inv(normal + DAMPING * np.diag(normal.diagonal() + 1e-6))

    def align(self, grey: Picture, start: float) -> NDArray[np.float64] | None:
        """Return (stretch, shift) down and right under which the picture fits best, or None where it does not."""
        warp = np.array([start, 0.0, start, 0.0])
        for _ in range(STEPS):
            down, right = _places(warp)
            step = self._inverse @ (self._design.T @ (down @ grey @ right.T - self._inner).reshape(-1))
            # Inverse composition: the template was moved by the step, so the picture moves by its inverse.
            stretch = np.clip(1.0 + step[[0, 2]], 0.5, 2.0)
            warp[[1, 3]] -= warp[[0, 2]] * step[[1, 3]] / stretch
            warp[[0, 2]] /= stretch
            too_far = np.abs(np.log(warp[[0, 2]])) > np.log(MOST_STRETCH)
            if too_far.any() or (np.abs(warp[[1, 3]]) > MARGIN_PX).any():
                return None
            if np.abs(step[:4] * [SIDE_PX / 2, 1, SIDE_PX / 2, 1]).max() < 0.02:
                break
        return warp


def _smooth(picture: Picture) -> Picture:
    return np.asarray(ndimage.gaussian_filter(picture, (1.2, 1.2, 0)), np.float32)


def _places(warp: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the matrices that take a picture's rows and columns at the stretched and shifted places."""
    middle = (SIDE_PX - 1) / 2
    return _between(middle + warp[0] * CENTRED + warp[1]), _between(middle + warp[2] * CENTRED + warp[3])


def _between(places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the matrix that interpolates the rows of a picture at those places; beyond its edges, the edge's."""
    places = np.clip(places, 0, SIDE_PX - 1)
    low = np.minimum(places.astype(np.int64), SIDE_PX - 2)
    matrix = np.zeros((len(places), SIDE_PX), np.float32)
    row = np.arange(len(places))
    matrix[row, low] = 1.0 - (places - low)
    matrix[row, low + 1] = places - low
    return matrix


def _residual(first: NDArray[Any], second: NDArray[Any]) -> float:
    return min(_one_way(first, second), _one_way(second, first))


def _one_way(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return how far the second is from the first made brighter or darker, in the third-worst block."""
    open_ = ((first > 0.02) & (first < 0.98) & (second > 0.02) & (second < 0.98)).all(axis=2)
    x, y = first[open_].reshape(-1), second[open_].reshape(-1)
    gain, offset = 1.0, 0.0
    if len(x) > 200 and x.std() > 1e-3:
        gain = float(np.clip(np.cov(x, y)[0, 1] / x.var(ddof=1), 1 / MOST_GAIN, MOST_GAIN))
        offset = float(y.mean() - gain * x.mean())
    difference = np.abs(np.clip(gain * first + offset, 0.0, 1.0) - second)
    side = difference.shape[0] // BLOCK_PX * BLOCK_PX
    blocks = difference[:side, :side].reshape(side // BLOCK_PX, BLOCK_PX, side // BLOCK_PX, BLOCK_PX, 3)
    worst = np.sort(blocks.mean(axis=(1, 3)).max(axis=2).reshape(-1))
    return float(worst[-3])
