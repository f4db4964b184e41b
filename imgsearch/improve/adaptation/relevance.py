"""Relevances of shown and judged items, from clicks and judgments.

Clicks follow the position-based model: P(click) = P(examined at this rank) * relevance, P(examined) = 1 / rank^eta.
The estimate is clicks / expected examinations (inverse propensity: Joachims, Swaminathan and Schnabel, "Unbiased
Learning-to-Rank with Biased Feedback", WSDM 2017; self-normalised as in Zhang and Jones, WWW 2007), shrunk towards
the mean where there were few examinations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from imgsearch.improve.adaptation.position_bias import Attention, estimate_attention
from imgsearch.store.catalog import CatalogStore

__all__ = ["RelevanceTable", "read_clicks", "relevance_table"]

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
