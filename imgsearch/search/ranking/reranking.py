"""Re-ranking of candidates: by look (colour, shape, pattern), and for diversity by maximal marginal relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Emphasis
from imgsearch.vision.looks import COLOR, LOOK_DIM, PATTERN, SHAPE, color_look, emphasised_scores

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

DIVERSITY_CANDIDATES = 256
"""Only this many of the best candidates, or those of the page where it is larger, are re-ranked for diversity."""


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


def diversify(vectors: Floats, values: Floats, diversity: float, n: int) -> Places:
    """Return all places of ranked candidates, the first n of them in the order of MMR.

    `vectors` are the (m, dim) unit rows of the candidates, `values` (m,) what they are ranked by, highest first.
    """
    pool = values[: max(DIVERSITY_CANDIDATES, n)]
    # MMR weighs values against cosines: from 0 to 1, values count alike whatever the spread of an encoder's cosines.
    low, high = float(pool.min()), float(pool.max())
    scaled = ((pool - low) / max(high - low, 1e-6)).astype(np.float32)
    chosen = np.array(mmr_order(vectors[: len(pool)], scaled, diversity, n), np.int64)
    rest = np.ones(len(values), bool)
    rest[chosen] = False
    return np.concatenate([chosen, np.flatnonzero(rest)])


def mmr_order(vectors: Floats, scores: Floats, diversity: float, n: int | None = None) -> list[int]:
    """Return the first n rows (all by default) by maximal marginal relevance, best first.

    The next row is always that with the highest (1 - diversity) * score - diversity * (its greatest cosine to one
    chosen before); ties go to the earlier row. The first is the best by score. `vectors` are (m, dim) float32 unit
    rows; with diversity 0 and falling scores the order stays. After Carbonell & Goldstein, "The Use of MMR,
    Diversity-Based Reranking for Reordering Documents and Producing Summaries" (SIGIR 1998), with
    lambda = 1 - diversity.
    """
    count = len(scores) if n is None else min(n, len(scores))
    if count == 0:
        return []
    gain = (1.0 - diversity) * scores.astype(np.float64)
    nearest = np.full(len(scores), -np.inf)
    left = np.ones(len(scores), bool)
    order = [int(np.argmax(scores))]
    while True:
        left[order[-1]] = False
        if len(order) == count:
            return order
        nearest = np.maximum(nearest, vectors @ vectors[order[-1]])
        value = np.where(left, np.round(gain - diversity * nearest, 6), -np.inf)
        order.append(int(np.argmax(value)))
