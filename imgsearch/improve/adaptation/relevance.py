"""Relevances of shown and judged items, from clicks and judgments.

Clicks follow the position-based model: P(click) = P(examined at this rank) * relevance, P(examined) = 1 / rank^eta.
The estimate is clicks / expected examinations (inverse propensity: Joachims, Swaminathan and Schnabel, WSDM 2017;
self-normalised as in Zhang and Jones, WWW 2007), shrunk towards the mean where there were few examinations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.store.catalog import CatalogStore

Column = NDArray[np.float64]

DEFAULT_ETA = 1.0
MAX_ETA = 3.0
MAX_STANDARD_ERROR = 0.15
"""An `eta` from items seen at several ranks is used up to this standard error."""
MIN_CLICKS = 50
VOTE_WEIGHT = 5.0
"""A good or bad judgment counts like this many fully examined impressions."""
PRIOR_WEIGHT = 2.0

_CLICKS = """
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
    SELECT query_key, item_id, rank, count(*) AS shown, count_if(clicked) AS clicks, count_if(against) AS against
    FROM opinions GROUP BY query_key, item_id, rank ORDER BY query_key, item_id, rank
"""


@dataclass(frozen=True, slots=True)
class Attention:
    """The exponent, and a phrase that says how it was estimated."""

    eta: float
    source: str


@dataclass(frozen=True, eq=False)
class RelevanceTable:
    """`frame` has query_key, item_id, relevance (0 to 1) and weight (in examined impressions)."""

    frame: pd.DataFrame
    attention: Attention
    impressions: int
    clicks: int
    judgments: int


def relevance_table(
    catalog: CatalogStore, judgments: pd.DataFrame, *, eta: float | None = None
) -> RelevanceTable:
    """Return the relevance of every query and item that was shown or judged.

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
    mean_click = clicked / exposure if exposure > 0 else 0.0
    mean_vote = float(table["good"].sum()) / max(float(table["votes"].sum()), 1.0)
    # A click rate and a share of good votes have different scales: each shrinks towards its own mean.
    by_clicks = exposure > 0 and clicked > 0
    prior = np.where(table["votes"] > 0, mean_vote, mean_click) if by_clicks else mean_vote
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
    """Return query_key, item_id, rank, and how many visitors saw, clicked, and rejected (`against`) the item there.

    A visitor counts once for a query and item, however often they saw or clicked it. Ordered by the first three.
    """
    return catalog.database.cursor().execute(_CLICKS).df()


def estimate_attention(clicks: pd.DataFrame) -> Attention:
    """Return the exponent that the rows of `read_clicks` support.

    Pairs seen at several ranks give the best estimate, because their relevance cancels out ("intervention
    harvesting": Agarwal et al., "Estimating Position Bias without Intrusive Interventions", WSDM 2019). Otherwise it
    is the default, or less if the clicks fall less: too large a correction would overrate the lower ranks.
    """
    at_ranks = clicks.groupby(["query_key", "item_id"], sort=False)["rank"].transform("nunique")
    several = clicks[at_ranks > 1]
    pair = np.asarray(several.groupby(["query_key", "item_id"], sort=False).ngroup(), np.int64)
    eta, error = fit_eta(*_columns(several), pair)
    if error <= MAX_STANDARD_ERROR:
        return Attention(eta, f"from {len(np.unique(pair)):,} results that were seen at several ranks")
    if clicks["clicks"].sum() < MIN_CLICKS:
        return Attention(DEFAULT_ETA, "the default, because there are few clicks")
    slope, _ = fit_eta(*_columns(clicks), np.zeros(len(clicks), np.int64))
    if slope < DEFAULT_ETA:
        return Attention(slope, "no more than clicks fall with the rank")
    return Attention(DEFAULT_ETA, "the default; no results were seen at several ranks")


def fit_eta(ranks: Column, shown: Column, clicks: Column, groups: NDArray[np.int64]) -> tuple[float, float]:
    """Return the most likely eta and its standard error, from rows of (rank, times shown, clicks, group).

    Given a group's clicks, they fall on its rows in proportion to shown / rank^eta: a multinomial likelihood without
    the group's relevance, concave in one parameter, maximised by Newton's method. The error is infinite where the
    rows have no information.
    """
    if len(ranks) == 0:
        return DEFAULT_ETA, math.inf
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
            return DEFAULT_ETA, math.inf
        step = (float(total @ mean) - float(clicks @ logs)) / information
        eta = float(np.clip(eta + np.clip(step, -0.5, 0.5), 0.0, MAX_ETA))
        if abs(step) < 1e-6:
            break
    return eta, 1.0 / math.sqrt(information)


def _columns(frame: pd.DataFrame) -> tuple[Column, Column, Column]:
    rank, shown, clicks = (frame[name].to_numpy(np.float64) for name in ("rank", "shown", "clicks"))
    return rank, shown, clicks
