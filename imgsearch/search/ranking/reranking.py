"""Re-ranking by look: the order of candidates where colour, shape or pattern count beside the embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Emphasis
from imgsearch.vision.looks import COLOR, LOOK_DIM, PATTERN, SHAPE, color_look, emphasised_scores

__all__ = ["LookTarget", "by_value", "look_target"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LookTarget:
    """The look that hits should have: (LOOK_DIM,), zeros in unknown blocks, and how much each block counts.

    `avoided` are colour blocks that hits should not have, each with a strength from 0 to 1.
    """

    look: Floats
    emphasis: Emphasis
    avoided: tuple[tuple[Floats, float], ...] = ()

    @property
    def has_color(self) -> bool:
        """Whether a colour is known that hits can be compared with."""
        return bool(self.look[COLOR].any())

    def values(self, scores: Floats, rows: Floats) -> Floats:
        """Return what to rank candidates by, (n,), from their cosines (n,) and looks (n, LOOK_DIM)."""
        values = emphasised_scores(scores, rows, self.look, self.emphasis)
        for block, strength in self.avoided:
            look = np.zeros(LOOK_DIM, np.float32)
            look[COLOR] = block
            values -= emphasised_scores(scores, rows, look, Emphasis(color=strength)) - scores
        return values


def look_target(
    colors: Sequence[tuple[str, float]], photos: Floats, weights: Sequence[float], emphasis: Emphasis
) -> LookTarget:
    """Return the look that hits should have: that of the photos, and of the colours where any are named.

    `colors` are ("#rrggbb", weight) pairs, a negative one is avoided. `photos` are (m, LOOK_DIM) looks with a weight
    each; photos of negative weight are ignored.
    """
    look = np.zeros(LOOK_DIM, np.float32)
    for row, weight in zip(photos, weights, strict=True):
        look += max(weight, 0.0) * row
    liked = [(color_look(color), weight) for color, weight in colors if weight > 0]
    if liked:
        look[COLOR] = np.sum([weight * block for block, weight in liked], axis=0)
        strongest = max(weight for _, weight in liked)
        emphasis = replace(emphasis, color=max(emphasis.color, min(1.0, strongest)))
    for block in (COLOR, SHAPE, PATTERN):
        look[block] /= max(float(np.linalg.norm(look[block])), 1e-9)
    avoided = tuple((color_look(color), min(1.0, -weight)) for color, weight in colors if weight < 0)
    return LookTarget(look, emphasis, avoided)


def by_value(values: Floats) -> NDArray[np.int64]:
    """Return the places of the values, the highest first; ties (to six decimals) keep their order."""
    return np.argsort(-np.round(values.astype(np.float64), 6), kind="stable")
