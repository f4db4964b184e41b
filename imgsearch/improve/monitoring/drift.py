"""Drift: whether first hits are as near to the catalog (cosine) as in the first week of the same encoder.

Each kind of query is compared on its own. The measure is the population stability index over tenths of the first
week (Siddiqi, "Credit Risk Scorecards", 2006; by custom stable below 0.1, drifted above 0.25). Without drift,
PSI / (1/n + 1/m) follows a chi-squared distribution with one degree of freedom fewer than bins (Yurdakul and Naranjo,
Journal of Risk Model Validation 14(4), 2020), so an index that chance exceeds is no drift.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from imgsearch.store.database import Database, utc_now

MIN_QUERIES = 100
"""With fewer queries of a kind in either week no drift is reported."""
STABLE_BELOW = 0.1
DRIFTED_ABOVE = 0.25
SIGNIFICANCE = 0.01
BINS_TO_1 = 200
"""Scores are counted in steps of 1 / this."""
SCORE_SERIES = "first_score"
"""The series of `telemetry` that keeps these counts when impressions are deleted; its label: kind, space, encoder."""
KIND_OF_QUERY = """
    CASE WHEN regexp_matches(query_key, '(^|&)filter=') THEN 'filtered'
         WHEN contains(query_key, '&') THEN 'mixed'
         WHEN starts_with(query_key, 'text=') THEN 'words'
         WHEN starts_with(query_key, 'upload=') THEN 'photo'
         WHEN starts_with(query_key, 'item=') THEN 'item'
         ELSE 'mixed' END
"""
"""SQL for the kind of a query by its `query_key`; pure kinds have one term and no filter."""
_MAIN_ENCODER = """
    SELECT encoder FROM impressions WHERE rank = 1 AND happened_at >= $now - INTERVAL 7 DAY AND happened_at < $now
    GROUP BY encoder ORDER BY count(*) DESC, encoder LIMIT 1
"""
_SCORES = f"""
    WITH scores AS (
        SELECT happened_at, {KIND_OF_QUERY} AS kind, CAST(floor(score * {BINS_TO_1}) AS INTEGER) AS bin, 1 AS amount
        FROM impressions WHERE rank = 1 AND encoder = $encoder AND happened_at < $now
        UNION ALL
        SELECT minute, split_part(label, ' ', 1), bucket, amount FROM telemetry
        WHERE series = '{SCORE_SERIES}' AND minute < $now AND substr(label, strpos(label, ' ') + 1) = $encoder
    ),
    span AS (SELECT min(happened_at) AS began FROM scores)
    SELECT kind, bin, coalesce(sum(amount) FILTER (happened_at < began + INTERVAL 7 DAY), 0),
           coalesce(sum(amount) FILTER (
               happened_at >= greatest($now - INTERVAL 7 DAY, began + INTERVAL 7 DAY)
           ), 0)
    FROM scores, span WHERE kind IN ('words', 'photo', 'item') GROUP BY kind, bin ORDER BY kind, bin
"""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Drift:
    """One kind of query, last week against the first week of the encoder.

    `state` is `waiting` until both weeks have enough queries. `spread_then` and `spread_now` are histograms (shares)
    of each week's queries over equal steps from `low` to `high` (cosine), for drawing.
    """

    kind: str
    state: Literal["waiting", "stable", "moved", "drifted"]
    queries_then: int
    queries_now: int
    mean_then: float | None = None
    mean_now: float | None = None
    index: float | None = None
    chance_index: float | None = None
    low: float = 0.0
    high: float = 1.0
    spread_then: tuple[float, ...] = ()
    spread_now: tuple[float, ...] = ()


def read_drifts(database: Database, *, now: datetime | None = None) -> tuple[Drift, ...]:
    """Return the drift of each kind of query (words, photo, item), most frequent first; empty before any search.

    Only scores of one encoder compare: of the one that answered most searches of the last week.
    """
    now = now or utc_now()
    cursor = database.cursor()
    main_encoder = cursor.execute(_MAIN_ENCODER, {"now": now}).fetchone()
    if main_encoder is None:
        return ()
    histograms: dict[str, Counts] = defaultdict(lambda: np.zeros((2, 2 * BINS_TO_1 + 1), np.int64))
    for kind, bin, then, recent in cursor.execute(
        _SCORES, {"encoder": main_encoder[0], "now": now}
    ).fetchall():
        histograms[kind][:, np.clip(bin + BINS_TO_1, 0, 2 * BINS_TO_1)] += (int(then), int(recent))
    found = [_drift(kind, then, recent) for kind, (then, recent) in histograms.items()]
    return tuple(sorted(found, key=lambda drift: (-drift.queries_now - drift.queries_then, drift.kind)))


def population_stability(then: Counts, now: Counts, *, bins: int = 10) -> tuple[float, float]:
    """Return the index of two histograms over the same fine bins, and what chance alone exceeds once in a hundred.

    The fine bins are joined to at most `bins` that hold equal shares of `then`. Empty ones count as half a query.
    Both histograms must hold at least one query.
    """
    cumulated = np.cumsum(then) / then.sum()
    edges = np.unique(np.searchsorted(cumulated, np.arange(1, bins) / bins - 1e-12) + 1)
    if len(edges) < min(2, bins - 1):  # nearly all in one bin: a fall below it must show too
        edges = np.unique(np.append(edges, np.flatnonzero(then)[0]))
    edges = edges[(edges > 0) & (edges < len(then))]
    p = np.maximum(np.add.reduceat(then, np.concatenate(([0], edges))), 0.5)
    q = np.maximum(np.add.reduceat(now, np.concatenate(([0], edges))), 0.5)
    p, q = p / p.sum(), q / q.sum()
    index = float(np.sum((q - p) * np.log(q / p)))
    quantile = scipy.special.chdtri(max(len(p) - 1, 1), SIGNIFICANCE)
    return index, float(quantile * (1 / then.sum() + 1 / now.sum()))


def _drift(kind: str, then: Counts, now: Counts) -> Drift:
    n, m = int(then.sum()), int(now.sum())
    if min(n, m) < MIN_QUERIES:
        return Drift(kind, "waiting", n, m)
    index, by_chance = population_stability(then, now)
    state: Literal["stable", "moved", "drifted"] = "stable"
    if index > max(by_chance, STABLE_BELOW):
        state = "drifted" if index > DRIFTED_ABOVE else "moved"
    centres = (np.arange(len(then)) - BINS_TO_1 + 0.5) / BINS_TO_1
    means = float(then @ centres / n), float(now @ centres / m)
    low, high, share_then, share_now = _histograms(then, now)
    return Drift(kind, state, n, m, *means, index, by_chance, low, high, share_then, share_now)


def _histograms(
    then: Counts, now: Counts, steps: int = 24
) -> tuple[float, float, tuple[float, ...], tuple[float, ...]]:
    """Return the range of both weeks' scores, and each week's shares in at most `steps` equal parts of it."""
    used = np.flatnonzero(then + now)
    span = int(used[-1] - used[0] + 1)
    width = -(-span // steps)
    steps = -(-span // width)
    first = int(used[0])
    shares = []
    for counts in (then, now):
        padded = np.concatenate([counts, np.zeros(width * steps, np.int64)])
        parts = padded[first : first + width * steps].reshape(steps, width).sum(axis=1)
        shares.append(tuple((parts / counts.sum()).round(5).tolist()))
    low = (first - BINS_TO_1) / BINS_TO_1
    return low, low + width * steps / BINS_TO_1, shares[0], shares[1]
