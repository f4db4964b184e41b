"""Simulated visitors and labelers for the Sample Store: preferences, clicks and judgments. All are seeded.

A taste is graded relevance from the products' metadata. Visitors click by a position-bias model; labelers judge with
errors. Feedback is written through a `FeedbackLog`.

The click model is the position-based one of Chuklin, Markov and de Rijke, "Click Models for Web Search" (2015),
section 3.3, with examination falling as 1 / rank ** eta, as in Joachims, Swaminathan and Schnabel, "Unbiased
Learning-to-Rank with Biased Feedback" (WSDM 2017), section 5.1:

    P(examined) = 1 / rank ** eta          P(click | examined) = noise + (1 - 2 * noise) * relevance
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Query
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment, SearchResult, Verdict
from imgsearch.store.feedback import FeedbackLog

LEVELS = 4
"""The qrels grade of relevance 1; grade 0 means no agreement."""
GOOD_FROM = 0.6


class HasMetadata(Protocol):
    """An `Item` or a `Hit`."""

    @property
    def item_id(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Taste:
    """A relevance definition: a weight for each metadata column, such as {"type": 1, "colour": 2}."""

    weights: Mapping[str, float]

    def relevance(self, query: HasMetadata, item: HasMetadata) -> float:
        """Return the weight share, 0 to 1, of the columns in which the item agrees with the query item."""
        agreeing = sum(
            weight
            for column, weight in self.weights.items()
            if query.metadata.get(column) is not None
            and query.metadata.get(column) == item.metadata.get(column)
        )
        return agreeing / sum(self.weights.values())

    def relevances(self, query: HasMetadata, items: Sequence[HasMetadata]) -> NDArray[np.float64]:
        """Return the relevance of each item, in their order."""
        return np.array([self.relevance(query, item) for item in items], np.float64)

    def qrels(
        self, queries: Sequence[HasMetadata], items: Sequence[HasMetadata]
    ) -> dict[str, dict[str, int]]:
        """Return {query id: {item id: grade from 0 to `LEVELS`}} over all items but the query itself."""
        return {
            query.item_id: {
                item.item_id: round(LEVELS * self.relevance(query, item))
                for item in items
                if item.item_id != query.item_id
            }
            for query in queries
        }


@dataclass
class Visitors:
    """Visitors who scan hits from the top and click relevant ones; deterministic per seed.

    `eta` is the decay of examination with rank (0: every rank is examined); `noise`, from 0 to 0.5, is the
    probability of a click against their taste; 0.5 is random clicking.
    """

    taste: Taste
    seed: int = 0
    eta: float = 1.0
    noise: float = 0.05
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def click_probabilities(
        self, relevances: NDArray[np.float64], *, first_rank: int = 1
    ) -> NDArray[np.float64]:
        """Return the click probability at each position, from relevances in the order shown."""
        ranks = np.arange(first_rank, first_rank + len(relevances))
        return (self.noise + (1.0 - 2.0 * self.noise) * relevances) / ranks**self.eta

    def draw(self, relevances: NDArray[np.float64], *, first_rank: int = 1) -> NDArray[np.bool_]:
        """Return the clicked positions of one visit as a mask, from relevances in the order shown."""
        return self._rng.random(len(relevances)) < self.click_probabilities(relevances, first_rank=first_rank)

    def clicks(self, query: HasMetadata, shown: Sequence[HasMetadata]) -> list[int]:
        """Return the ranks (from 1, ascending) clicked in one visit of the hits shown for a query item."""
        return [int(place) + 1 for place in np.flatnonzero(self.draw(self.taste.relevances(query, shown)))]

    def visit(
        self,
        feedback: FeedbackLog,
        search: Callable[[Query], SearchResult],
        query_item: HasMetadata,
        *,
        visitor: str,
        n: int = 24,
        arm: str = "",
    ) -> SearchResult:
        """Search by `query_item`, record impressions and clicks, and return the result."""
        result = search(Query.of(item=query_item.item_id, n=n))
        feedback.record_impressions(result, query_key(result.query), visitor=visitor, arm=arm)
        for rank in self.clicks(query_item, result.hits):
            feedback.record_click(
                search_id=result.search_id,
                item_id=result.hits[rank - 1].item_id,
                rank=rank,
                visitor=visitor,
            )
        return result


@dataclass
class Labeler:
    """A labeler: judges "good" from relevance `GOOD_FROM`, with error probability `error`."""

    taste: Taste
    name: str
    seed: int = 0
    error: float = 0.05
    cant_tell: float = 0.02
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def verdict(self, query: HasMetadata, item: HasMetadata) -> Verdict:
        """Return this labeler's verdict on one item for one query item."""
        if self._rng.random() < self.cant_tell:
            return "cant_tell"
        good = self.taste.relevance(query, item) >= GOOD_FROM
        return "good" if good != (self._rng.random() < self.error) else "bad"

    def judge(self, feedback: FeedbackLog, query_item: HasMetadata, items: Sequence[HasMetadata]) -> None:
        """Record a judgment of each item for a query item."""
        key = query_key(Query.of(item=query_item.item_id))
        for item in items:
            verdict = self.verdict(query_item, item)
            feedback.record_judgment(Judgment(key, item.item_id, verdict, self.name))
