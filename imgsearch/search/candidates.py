"""Candidates: which items a query may show, and the nearest of them by exact score.

The index proposes candidates by approximate search; their scores are always computed from the stored vectors. Where
few items pass the filters, all of them are compared instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache, cached
from numpy.typing import NDArray

from imgsearch.core.errors import QueryError
from imgsearch.core.key_arrays import Keys, is_in, without
from imgsearch.core.query import Filter
from imgsearch.index.exact_search import exact_candidates, ranked
from imgsearch.index.live_index import LiveIndex
from imgsearch.search.query_encoder import Target
from imgsearch.search.ranking.rules import ActiveRules
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.looks import COLOR

Scores = NDArray[np.float32]

MAX_EXACT_ITEMS = 20_000
"""A filter that at most this many items pass is answered by exact search among them."""
EXACT_SEARCH_COST_RATIO = 32
"""What one candidate of the index costs in exact comparisons: 5 microseconds against 0.15."""
MIN_CANDIDATES = 256
MIN_FILTERED_CANDIDATES, FILTERED_CANDIDATES_PER_HIT = 2048, 8
"""How many candidates an index compares that searches within a filter: the larger of the two, per search."""
EXTRA_CANDIDATES = 16
"""Requested beyond the hits: approximate search finds the last places best when it searches past them."""
MAX_EXCLUDED_KEYS = 1000
"""Up to this many hidden items are left out of the candidates; more are handled like a filter."""


@dataclass(frozen=True, eq=False)
class Scope:
    """The items that a search may show: the ascending `allowed` keys (None: all) without the `excluded` ones.

    `filters` are those that led to `allowed`, for an index that applies filters itself.
    """

    filters: tuple[Filter, ...]
    allowed: Keys | None
    excluded: Keys

    def excluding(self, keys: Keys) -> Scope:
        """Return the scope without these keys too."""
        return replace(self, excluded=np.union1d(self.excluded, keys))

    def keep(self, keys: Keys) -> Keys:
        """Return those of a few keys that are in the scope, in their order."""
        if self.allowed is not None:
            keys = keys[is_in(self.allowed, keys)]
        return keys[~is_in(self.excluded, keys)]


class VisibleKeys:
    """The keys that pass filters and that no rule hides; thread-safe.

    The same filters return the same array until an item begins or ends to pass them, or the rules change.
    """

    def __init__(self, catalog: CatalogStore) -> None:
        self._catalog = catalog
        # The first of two threads wins: an index knows its selection of keys by the array.
        self._keep = cached(LRUCache(24), key=lambda name, _: name, lock=threading.Lock())(_call)

    def passing(self, filters: tuple[Filter, ...]) -> Keys:
        """Return the keys that pass the filters, ascending."""
        return self._catalog.filtered.passing(filters)

    def scope(self, filters: tuple[Filter, ...], rules: ActiveRules) -> Scope:
        """Return what a search with these filters may show."""
        hidden = rules.hidden
        if not filters and len(hidden) <= MAX_EXCLUDED_KEYS:
            return Scope(filters, None, hidden)
        if not len(hidden):
            return Scope(filters, self.passing(filters), hidden)
        name = (self._catalog.version, filters, rules.stamp)
        return Scope(filters, self._keep(name, lambda: without(self.passing(filters), hidden)), hidden[:0])


def _call(_name: Hashable, make: Callable[[], Keys]) -> Keys:
    return make()


@dataclass(frozen=True, slots=True, eq=False)
class CandidateFinder:
    """Finds the nearest items in one index; safe to use from any thread."""

    catalog: CatalogStore
    index: LiveIndex
    visible: VisibleKeys
    expansion: int | None
    """How many candidates the index compares; None: as many as it was tuned to."""

    def count(self, scope: Scope) -> int:
        """Return how many items are in a scope."""
        if scope.allowed is None:
            return len(self.index) - len(scope.excluded)
        return len(scope.allowed) - int(is_in(scope.allowed, scope.excluded).sum())

    def scores(self, target: Target, keys: Keys) -> Scores:
        """Return the cosine of each key with the target, (n,); zeros for a target of colours only."""
        if target.vector is None:
            return np.zeros(len(keys), np.float32)
        return np.asarray(self.index.space.vectors(keys) @ target.vector, np.float32)

    def nearest(self, target: Target, n: int, scope: Scope) -> tuple[Keys, Scores]:
        """Return up to n keys of the scope and their scores, best first, ties (to six decimals) by key.

        Scores are cosines, or similarities of colour where the target is only that. Raises `QueryError` while no
        photo in the scope has its colours yet.
        """
        if target.vector is None:
            return self._nearest_by_color(target, n, scope)
        if scope.allowed is None:
            return self._nearest_of_all(target.vector, n, scope.excluded, cross_modal=target.cross_modal)
        if len(scope.allowed) <= max(MAX_EXACT_ITEMS, n):
            return self._exact(target.vector, without(scope.allowed, scope.excluded), n)
        return self._nearest_filtered(target.vector, n, scope, scope.allowed)

    def _nearest_by_color(self, target: Target, n: int, scope: Scope) -> tuple[Keys, Scores]:
        assert target.look is not None
        keys = without(self.visible.passing(()) if scope.allowed is None else scope.allowed, scope.excluded)
        if len(keys) and not self.catalog.looks.has(keys).any():
            raise QueryError("The colours of these photos are still being read; try again in a minute.")
        return self.catalog.looks.nearest_by_color(target.look.look[COLOR], keys, n)

    def _nearest_of_all(
        self, vector: Scores, n: int, excluded: Keys, *, cross_modal: bool
    ) -> tuple[Keys, Scores]:
        # Rounded up to a power of two: the pages of one query have the same candidates, so that they neither overlap
        # nor leave gaps.
        least = self.expansion or max(MIN_CANDIDATES, self.index.candidates_for(n, cross_modal=cross_modal))
        k = max(least, 1 << (n + len(excluded) + EXTRA_CANDIDATES).bit_length())
        if k < len(self.index) // 4:
            keys, _ = self.index.search(vector, k, expansion=self.expansion)
            keys = np.setdiff1d(keys, excluded)
            if len(keys) >= n:
                return self._exact(vector, keys, n)
        return self._exact(vector, without(self.visible.passing(()), excluded), n)

    def _nearest_filtered(self, vector: Scores, n: int, scope: Scope, allowed: Keys) -> tuple[Keys, Scores]:
        excluded = scope.excluded
        expansion = self.expansion or max(
            MIN_FILTERED_CANDIDATES, 1 << (FILTERED_CANDIDATES_PER_HIT * n - 1).bit_length()
        )
        found = self.index.search_subset(
            vector, n + len(excluded) + EXTRA_CANDIDATES, allowed, expansion=expansion
        )
        if found is not None:
            keys = np.setdiff1d(found[0], excluded)
            return self._exact(vector, keys if len(keys) >= n else without(allowed, excluded), n)
        # Search without the filter for enough candidates that n of them should pass it, while that is cheaper than
        # comparing all items that pass.
        share = 1.0 if self.index.applies_filters else len(allowed) / len(self.index)
        k = max(self.expansion or MIN_CANDIDATES, 1 << int(n / share * 1.3).bit_length())
        while k * EXACT_SEARCH_COST_RATIO < len(allowed):
            keys, _ = self.index.search(vector, k, expansion=self.expansion, filters=scope.filters)
            keys = scope.keep(np.sort(keys))
            if len(keys) >= n + EXTRA_CANDIDATES // 2:
                return self._exact(vector, keys, n)
            k *= 4
        return self._exact(vector, without(allowed, excluded), n)

    def _exact(self, vector: Scores, keys: Keys, n: int) -> tuple[Keys, Scores]:
        """Return the best n of the keys by exact score, ties by key."""
        if len(keys) == 0:
            return keys, np.zeros(0, np.float32)
        best = exact_candidates(keys, self.index.space.stored_vectors, vector, n)
        return ranked(best, self.index.space.vectors(best), vector, n)
