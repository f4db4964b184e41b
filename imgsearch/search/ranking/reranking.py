"""Re-ranking: the order of the nearest items where more than nearness is asked for.

It owns what a look adds to nearness, the order by values, and variety. It knows rows of numbers: no catalog, no
index, no encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Emphasis
from imgsearch.search.ranking.diversity import mmr_order
from imgsearch.vision.looks import COLOR, LOOK_DIM, PATTERN, SHAPE, color_look, emphasised_scores

__all__ = ["DIVERSE_AMONG", "Wanted", "by_value", "diverse", "wanted_look"]

Floats = NDArray[np.float32]
Keys = NDArray[np.uint64]
Places = NDArray[np.int64]

DIVERSE_AMONG = 256
"""Among so many of the best ones variety is sought; the rest keeps its order."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """How hits shall look: a look (LOOK_DIM,), zeros in blocks that nothing is known of, and how much each counts.

    `avoided` are colour blocks to lean away from, each with a strength from 0 to 1.
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


def wanted_look(
    colors: Sequence[tuple[str, float]], photos: Floats, weights: Sequence[float], emphasis: Emphasis
) -> Wanted:
    """Return how hits shall look: like the photos, and of the colours where any are named.

    `colors` are ("#rrggbb", weight) pairs, `photos` (m, LOOK_DIM) looks with a weight each. Negative photos say
    nothing of how hits shall look; a negative colour is one to avoid.
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
    return Wanted(look, emphasis, avoided)


def by_value(values: Floats) -> Places:
    """Return the places of the values, the highest first; ties (to six decimals) keep their order."""
    return np.argsort(-np.round(values.astype(np.float64), 6), kind="stable")


def diverse(vectors: Floats, values: Floats, diversity: float, most: int) -> Places:
    """Return the places of (n, dim) unit rows, ranked by falling values, anew: the first `most` with variety."""
    among = min(len(values), max(DIVERSE_AMONG, most))
    # Nearness and likeness must be of one scale, whatever the encoder: both go by the spread among the candidates.
    head = values[:among]
    low, high = float(head.min()), float(head.max())
    scaled = (head - low) / max(high - low, 1e-6)
    chosen = np.array(mmr_order(vectors[:among], scaled.astype(np.float32), diversity, most), np.int64)
    rest = np.ones(len(values), bool)
    rest[chosen] = False
    return np.concatenate([chosen, np.flatnonzero(rest)])
