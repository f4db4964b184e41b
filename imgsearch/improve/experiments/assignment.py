"""Which arm answers a visitor, and how the hits of two arms are interleaved."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace

from imgsearch.core.records import Hit, SearchResult
from imgsearch.improve.experiments.records import Experiment


def arm_of(experiment: Experiment, visitor: str) -> str | None:
    """Return the system that answers a visitor, always the same one; None outside the arms' shares.

    A hash of both names is read as a number from 0 to 1, so that experiments assign independently of each other.
    """
    position = _digest(experiment.name, visitor) / 2**64
    for arm in experiment.arms:
        position -= arm.share
        if position < 0:
            return arm.system
    # Shares that sum to 1 except for rounding include every visitor.
    return experiment.arms[-1].system if sum(arm.share for arm in experiment.arms) > 1 - 1e-9 else None


def interleaving_rng(experiment: Experiment, visitor: str, query_key: str) -> random.Random:
    """Return the random numbers of a visitor's query: the same ones each time, so that a list keeps its order."""
    return random.Random(_digest(experiment.name, visitor, query_key))


def interleave(first: SearchResult, second: SearchResult, rng: random.Random) -> tuple[list[Hit], list[int]]:
    """Return the hits of two results as one ranking from 1, and for each hit the arm (0 or 1) that is credited."""
    second_hits = second.hits if first.encoder == second.encoder else _rescaled(second, first)
    by_id = [{hit.item_id: hit for hit in hits} for hits in (first.hits, second_hits)]
    drafted = team_draft(list(by_id[0]), list(by_id[1]), len(by_id[0].keys() | by_id[1].keys()), rng)
    hits = [replace(by_id[team][item_id], rank=rank) for rank, (item_id, team) in enumerate(drafted, start=1)]
    return hits, [team for _, team in drafted]


def team_draft(
    first: Sequence[str], second: Sequence[str], n: int, rng: random.Random
) -> list[tuple[str, int]]:
    """Return up to n (id, team) of two rankings without duplicates; team 0 picks from `first`, 1 from `second`.

    The team with fewer picks takes its best id that is not taken, a random one if both have equally many. Radlinski,
    Kurup & Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?" (CIKM 2008), algorithm 2.
    """
    remaining = (list(reversed(first)), list(reversed(second)))
    picks = [0, 0]
    taken: set[str] = set()
    drafted: list[tuple[str, int]] = []
    while len(drafted) < n:
        for ids in remaining:
            while ids and ids[-1] in taken:
                ids.pop()
        if remaining[0] and remaining[1]:
            team = rng.getrandbits(1) if picks[0] == picks[1] else int(picks[0] > picks[1])
        elif remaining[0] or remaining[1]:
            team = 0 if remaining[0] else 1
        else:
            break
        item_id = remaining[team].pop()
        taken.add(item_id)
        picks[team] += 1
        drafted.append((item_id, team))
    return drafted


def _rescaled(result: SearchResult, like: SearchResult) -> tuple[Hit, ...]:
    """Return hits whose best score is the other result's best: cosines of two encoders have no common scale.

    Otherwise the page would show the hits of one arm as worse matches, and visitors click what looks better.
    """
    best = max((hit.score for hit in result.hits), default=0.0)
    target = max((hit.score for hit in like.hits), default=0.0)
    if best <= 0 or target <= 0:
        return result.hits
    return tuple(replace(hit, score=hit.score * target / best) for hit in result.hits)


def _digest(*parts: str) -> int:
    """Return a uniformly distributed number below 2**64."""
    text = "\0".join(parts).encode("utf-8", errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
