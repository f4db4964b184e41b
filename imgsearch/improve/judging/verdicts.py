"""What a table of verdicts says: ratings, disagreements, the verdicts that decide, and a labeler's pace.

Tables have the columns query_key, item_id, labeler, verdict and role, as `JudgingStore.verdicts` returns them.
"""

from __future__ import annotations

from typing import cast

import pandas as pd

from imgsearch.core.records import Verdict
from imgsearch.improve.judging.agreement import disagreements
from imgsearch.improve.judging.records import Disagreement

__all__ = ["deciding_verdicts", "find_disagreements", "pairs_per_hour", "ratings_of"]

Pair = tuple[str, str]
MIN_PACED = 3


def ratings_of(verdicts: pd.DataFrame, *, with_cant_tell: bool = False) -> dict[Pair, dict[str, Verdict]]:
    """Return the raters' verdicts by (query_key, item_id) and labeler."""
    ratings: dict[Pair, dict[str, Verdict]] = {}
    for row in verdicts.itertuples(index=False):
        if row.role == "rater" and (with_cant_tell or row.verdict != "cant_tell"):
            pair = (str(row.query_key), str(row.item_id))
            ratings.setdefault(pair, {})[str(row.labeler)] = cast(Verdict, row.verdict)
    return ratings


def find_disagreements(verdicts: pd.DataFrame) -> list[Disagreement]:
    """Return the pairs that raters judge both good and bad, the most evenly divided first."""
    with_cant_tell = ratings_of(verdicts, with_cant_tell=True)
    referees = verdicts.loc[verdicts["role"] == "referee"]
    decided = dict(
        zip(zip(referees["query_key"], referees["item_id"], strict=True), referees["verdict"], strict=True)
    )
    return [
        Disagreement(*pair, with_cant_tell[pair], cast("Verdict | None", decided.get(pair)))
        for pair in disagreements(ratings_of(verdicts))
    ]


def deciding_verdicts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return query_key, item_id, labeler and verdict of each pair: the referee's alone where there is one."""
    pair = ["query_key", "item_id"]
    refereed = verdicts.loc[verdicts["role"] == "referee", pair].drop_duplicates()
    joined = verdicts.merge(refereed, how="left", indicator="refereed", on=pair)
    kept = (joined["refereed"] == "left_only") | (joined["role"] == "referee")
    return joined.loc[kept, [*pair, "labeler", "verdict"]].reset_index(drop=True)


def pairs_per_hour(count: int, mean_ms: float | None) -> float | None:
    """Return the pace of `count` verdicts; None for fewer than three."""
    return round(3_600_000 / mean_ms, 1) if mean_ms and count >= MIN_PACED else None
