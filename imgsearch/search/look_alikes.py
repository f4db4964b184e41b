"""Which candidates are look-alikes of the query: those that `sort` orders, and that `min_confidence` keeps.

Similarity ranks every item of a catalog, so "cheapest first" over all of them would begin with unrelated ones. With
`min_confidence`, look-alikes are the hits whose score reaches that level of the catalog
(`imgsearch.search.ranking.confidence`). Without, they are those whose score is nearer to the best ones than to the
catalog's typical score: at least typical + `SHARE` x (mean of the five best - typical), where the typical score is
the mean over a sample of the catalog. At least `MIN_LOOK_ALIKES` hits count, at most `MAX_LOOK_ALIKES`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.key_arrays import Keys
from imgsearch.search.candidates import CandidateFinder
from imgsearch.search.query_encoder import Target
from imgsearch.search.ranking.confidence import BEST_SCORES

Scores = NDArray[np.float32]

SHARE = 0.6
MIN_LOOK_ALIKES = 5
MAX_LOOK_ALIKES = 8192
SAMPLE = 1024
TOLERANCE = 1e-6


def relative_cut(finder: CandidateFinder, target: Target, best: Scores) -> float:
    """Return the score from which on candidates are look-alikes; `best` are the highest scores, best first."""
    if not len(best):
        return math.inf
    typical = typical_score(finder, target)
    high = float(best[:BEST_SCORES].mean())
    cut = typical + SHARE * max(high - typical, 0.0)
    return min(cut, float(best[: min(MIN_LOOK_ALIKES, len(best))][-1]))


def typical_score(finder: CandidateFinder, target: Target) -> float:
    """Return the mean score over a sample of the catalog; 0 for a target of colours only."""
    keys = _sample(finder.catalog.keys())
    return float(finder.scores(target, keys).mean()) if len(keys) else 0.0


def count_above(scores: Scores, cut: float) -> int:
    """Return how many of the scores reach the cut."""
    return int((scores >= cut - TOLERANCE).sum())


def _sample(keys: Keys) -> Keys:
    return keys[:: max(1, len(keys) // SAMPLE)]
