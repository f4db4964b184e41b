"""Simulated people for the Sample Store: what they like, which hits they click, how they judge.

It owns a taste (graded relevance from the products' metadata), visitors who click by a position-bias model, and
labelers who judge with errors; all are seeded. It writes feedback only through a `FeedbackLog` that it is handed,
and knows neither encoders nor indexes.

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
"""Relevance 1 as a grade of qrels; what agrees in nothing has grade 0."""
GOOD_FROM = 0.6


class HasMetadata(Protocol):
    """An `Item` or a `Hit`."""

    @property
    def item_id(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Taste:
    """What counts as alike: a weight for each metadata column, such as {"type": 1, "colour": 2}."""

    weights: Mapping[str, float]

    def relevance(self, query: HasMetadata, item: HasMetadata) -> float:
        """Return from 0 to 1 the share of the weight in whose columns the item agrees with the query item."""
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
    """People who look at hits from the top and click what they like; the same seed gives the same clicks.

    `eta` says how fast attention falls with the rank (0: all is looked at), `noise` from 0 to 0.5 how often they
    click against their taste; 0.5 is clicking at random.
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
        """Return the probability of a click at each place, from relevances in the order shown."""
        ranks = np.arange(first_rank, first_rank + len(relevances))
        return (self.noise + (1.0 - 2.0 * self.noise) * relevances) / ranks**self.eta

    def draw(self, relevances: NDArray[np.float64], *, first_rank: int = 1) -> NDArray[np.bool_]:
        """Return whether each place is clicked in one visit, from relevances in the order shown."""
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
        """Search for what looks like `query_item`, note what was shown and clicked, and return the result."""
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
    """One person who judges pairs: good from a relevance of `GOOD_FROM` on, wrong with probability `error`."""

    taste: Taste
    name: str
    seed: int = 0
    error: float = 0.05
    cant_tell: float = 0.02
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def verdict(self, query: HasMetadata, item: HasMetadata) -> Verdict:
        """Return what this labeler says of one item for one query item."""
        if self._rng.random() < self.cant_tell:
            return "cant_tell"
        good = self.taste.relevance(query, item) >= GOOD_FROM
        return "good" if good != (self._rng.random() < self.error) else "bad"

    def judge(self, feedback: FeedbackLog, query_item: HasMetadata, items: Sequence[HasMetadata]) -> None:
        """Judge each item for a query item, as rows of the feedback."""
        key = query_key(Query.of(item=query_item.item_id))
        for item in items:
            verdict = self.verdict(query_item, item)
            feedback.record_judgment(Judgment(key, item.item_id, verdict, self.name))
