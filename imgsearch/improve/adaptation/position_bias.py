"""How fast visitors' attention falls with the rank: the exponent eta of P(examined) = 1 / rank^eta."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Attention", "estimate_attention", "fit_eta"]

Column = NDArray[np.float64]

DEFAULT_ETA = 1.0
MAX_ETA = 3.0
MAX_STANDARD_ERROR = 0.15
"""An `eta` from items seen at several ranks is used up to this standard error."""
MIN_CLICKS = 50


@dataclass(frozen=True, slots=True)
class Attention:
    """The exponent, and a phrase that says how it was estimated."""

    eta: float
    source: str


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
