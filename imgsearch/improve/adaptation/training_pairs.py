"""From feedback rows to what can be learned: how relevant each shown or judged item was to each query.

It owns the reading of clicks (freed of the bias towards the top of a page) and of judgments, and how both become one
relevance from 0 to 1. It draws no conclusions: what is learned from it, and whether that is any good, is
`imgsearch.improve.adaptation.adapting`'s.

Clicks are read by the position-based model: P(click) = P(examined at this rank) * relevance, with P(examined) =
1 / rank ** eta, so that a click counts by the inverse of the attention that its place gets (inverse propensity:
Joachims, Swaminathan and Schnabel, "Unbiased Learning-to-Rank with Biased Feedback", WSDM 2017). The estimate is
that paper's in its self-normalised form, clicks / attention, which is the "clicks over expected clicks" of Zhang and
Jones, "Comparing Click Logs and Editorial Labels for Training Query Rewriting" (WWW 2007), drawn towards the mean
where there was little attention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.store.catalog import CatalogStore

__all__ = ["Attention", "RelevanceTable", "estimate_attention", "fit_eta", "read_clicks", "relevance_table"]

Column = NDArray[np.float64]

USUAL_ETA = 1.0
MAX_ETA = 3.0
PRECISE_ENOUGH = 0.15
"""The largest standard error of an `eta` that is taken from items seen at several ranks."""
VOTE_WEIGHT = 5.0
"""A good or bad judgment counts like a fully examined impression shown so often."""
PRIOR_WEIGHT = 2.0
FEWEST_CLICKS = 50


@dataclass(frozen=True, slots=True)
class Attention:
    """How fast visitors' attention falls with the rank, and how that is known, in a sentence."""

    eta: float
    source: str


@dataclass(frozen=True, eq=False)
class RelevanceTable:
    """`frame` has query_key, item_id, relevance (0 to 1) and weight (how much is known, in examined impressions).

    The counts say what it was made of.
    """

    frame: pd.DataFrame
    attention: Attention
    impressions: int
    clicks: int
    judgments: int


def relevance_table(
    catalog: CatalogStore, judgments: pd.DataFrame, *, eta: float | None = None
) -> RelevanceTable:
    """Return the relevance of every pair that was shown or judged.

    `judgments` are the latest ones (`FeedbackLog.latest_judgments`). `eta` is estimated where it is None.
    """
    clicks = read_clicks(catalog)
    attention = Attention(eta, "as given") if eta is not None else estimate_attention(clicks)
    seen = clicks.assign(exposure=clicks["shown"] / clicks["rank"].astype(float) ** attention.eta)
    pairs = ["query_key", "item_id"]
    table = seen.groupby(pairs, sort=False)[["exposure", "clicks", "against"]].sum()
    votes = judgments[judgments["verdict"].isin(["good", "bad"])]
    good = votes["verdict"].eq("good").groupby([votes[name] for name in pairs]).agg(["sum", "count"])
    table = table.join(good.rename(columns={"sum": "good", "count": "votes"}), how="outer").fillna(0.0)
    exposure, clicked = float(table["exposure"].sum()), float(table["clicks"].sum())
    usual_click = clicked / exposure if exposure > 0 else 0.0
    usual_vote = float(table["good"].sum()) / max(float(table["votes"].sum()), 1.0)
    # A click rate and a share of good votes are not of one scale: each is drawn to its own mean.
    by_clicks = exposure > 0 and clicked > 0
    prior = np.where(table["votes"] > 0, usual_vote, usual_click) if by_clicks else usual_vote
    against = table["against"] + table["votes"]
    weight = table["exposure"] * float(by_clicks) + VOTE_WEIGHT * against
    gained = table["clicks"] + VOTE_WEIGHT * table["good"] + PRIOR_WEIGHT * prior
    relevance = (gained / (weight + PRIOR_WEIGHT)).clip(0.0, 1.0)
    frame = pd.DataFrame({"relevance": relevance, "weight": weight}).reset_index()
    return RelevanceTable(
        frame=frame[frame["weight"] > 0].sort_values(pairs, ignore_index=True),
        attention=attention,
        impressions=int(clicks["shown"].sum()),
        clicks=int(clicks["clicks"].sum()),
        judgments=len(votes),
    )


def read_clicks(catalog: CatalogStore) -> pd.DataFrame:
    """Return how often each pair was shown and clicked at each rank: the columns of the query below, ordered.

    A visitor counts once for a pair, however often it was shown to or clicked by that visitor: nobody's opinion
    outweighs the others'. `against` counts those who asked for less like it.
    """
    return (
        catalog.database.cursor()
        .execute(
            """
            WITH acts AS (
                SELECT search_id, item_id, bool_or(action <> 'less') AS clicked, bool_or(action = 'less') AS against
                FROM clicks GROUP BY ALL
            ), opinions AS (
                SELECT query_key, item_id, CASE WHEN visitor = '' THEN search_id ELSE visitor END AS person,
                    arg_min(rank, (NOT coalesce(clicked, false), rank)) AS rank,
                    bool_or(coalesce(clicked, false)) AS clicked, bool_or(coalesce(against, false)) AS against
                FROM impressions LEFT JOIN acts USING (search_id, item_id)
                WHERE rank > 0 GROUP BY ALL
            )
            SELECT query_key, item_id, rank, count(*) AS shown, count_if(clicked) AS clicks,
                count_if(against) AS against
            FROM opinions GROUP BY query_key, item_id, rank ORDER BY query_key, item_id, rank
            """
        )
        .df()
    )


def estimate_attention(clicks: pd.DataFrame) -> Attention:
    """Return how fast attention falls, as far as the clicks say.

    Best from pairs that were seen at several ranks, whose relevance cancels out ("intervention harvesting": Agarwal
    et al., "Estimating Position Bias without Intrusive Interventions", WSDM 2019). Without enough of them the usual
    fall is taken, but never a steeper one than the clicks themselves show: correcting for more attention than was
    lost would make the lower places look better than they are.
    """
    at_ranks = clicks.groupby(["query_key", "item_id"], sort=False)["rank"].transform("nunique")
    moved = clicks[at_ranks > 1]
    pair = np.asarray(moved.groupby(["query_key", "item_id"], sort=False).ngroup(), np.int64)
    eta, error = fit_eta(*_counts(moved), pair)
    if error <= PRECISE_ENOUGH:
        return Attention(eta, f"from {len(np.unique(pair)):,} results that were seen at several ranks")
    if clicks["clicks"].sum() < FEWEST_CLICKS:
        return Attention(USUAL_ETA, "the usual fall, for want of clicks")
    slope, _ = fit_eta(*_counts(clicks), np.zeros(len(clicks), np.int64))
    if slope < USUAL_ETA:
        return Attention(slope, "no more than clicks fall with the rank")
    return Attention(USUAL_ETA, "the usual fall; no results were seen at several ranks")


def fit_eta(ranks: Column, shown: Column, clicks: Column, groups: NDArray[np.int64]) -> tuple[float, float]:
    """Return the most likely eta and its standard error, from rows of (rank, times shown, clicks, group).

    Given how many clicks a group got, they fall on its rows in proportion to shown / rank ** eta: a multinomial
    likelihood in which the group's relevance no longer stands. One parameter, concave: Newton's method. The error is
    infinite where the rows say nothing.
    """
    if len(ranks) == 0:
        return USUAL_ETA, math.inf
    logs = np.log(ranks)
    total = np.bincount(groups, clicks)
    eta, information = 0.5, 0.0
    for _ in range(50):
        weights = shown * np.exp(-eta * logs)
        norm = np.maximum(np.bincount(groups, weights), 1e-300)
        mean = np.bincount(groups, weights * logs) / norm
        variance = np.bincount(groups, weights * logs**2) / norm - mean**2
        information = float(total @ variance)
        if information < 1e-9:
            return USUAL_ETA, math.inf
        step = (float(total @ mean) - float(clicks @ logs)) / information
        eta = float(np.clip(eta + np.clip(step, -0.5, 0.5), 0.0, MAX_ETA))
        if abs(step) < 1e-6:
            break
    return eta, 1.0 / math.sqrt(information)


def _counts(frame: pd.DataFrame) -> tuple[Column, Column, Column]:
    rank, shown, clicks = (frame[name].to_numpy(np.float64) for name in ("rank", "shown", "clicks"))
    return rank, shown, clicks
