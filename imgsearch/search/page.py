"""One page of a result: candidates re-ranked by titles, looks and rules, collapsed, diversified and cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from imgsearch.core.key_arrays import Keys, is_in
from imgsearch.core.query import Query
from imgsearch.index.exact_search import best_first
from imgsearch.search.candidates import EXTRA_CANDIDATES, CandidateFinder, Scope, Scores
from imgsearch.search.query_encoder import Target
from imgsearch.search.ranking.confidence import BEST_SCORES
from imgsearch.search.ranking.duplicates import Groups
from imgsearch.search.ranking.reranking import DIVERSITY_CANDIDATES, by_value, diversify
from imgsearch.search.ranking.rules import ActiveRules
from imgsearch.store.look_table import LookTable
from imgsearch.vision.looks import same_color

RERANK_CANDIDATES = 1024
"""How many candidates at least are re-ranked by titles or looks: the same ones for every page."""
MAX_COLLAPSED = 24
"""How many collapsed items a hit names."""
GROWTH = 8
"""By how much the number of candidates grows while they do not fill the page."""


@dataclass(frozen=True, eq=False)
class Page:
    """The keys and scores of a page of hits, and for each hit the keys that are collapsed into it, if any are.

    `nearest` holds the scores of the nearest candidates, before re-ranking and collapsing.
    """

    keys: Keys
    scores: Scores
    also: tuple[Keys, ...]
    nearest: Scores


@dataclass(frozen=True, eq=False)
class PageFinder:
    """Finds the pages of one query; `groups` are what results are collapsed by (None: they are not)."""

    finder: CandidateFinder
    looks: LookTable
    query: Query
    target: Target
    rules: ActiveRules
    groups: Groups | None

    def page(self, scope: Scope) -> Page:
        """Return the hits from `query.offset` on."""
        query, target, end = self.query, self.target, self.query.offset + self.query.n
        pinned = scope.keep(self.rules.pinned(query))
        if not self._reranked and not len(pinned) and not self.groups:
            keys, scores = self.finder.nearest(target, max(end, BEST_SCORES), scope)
            return Page(keys[query.offset : end], scores[query.offset : end], (), scores[:BEST_SCORES])
        size = self._first_size(end)
        total = len(self.finder.index) if scope.allowed is None else len(scope.allowed)
        while True:
            keys, scores = self.finder.nearest(target, size, scope)
            found = len(keys)
            if found == size:
                keys, scores = self._with_title_matches(keys, scores, scope)
            page = self._cut(*self._ranked(keys, scores, pinned))
            if len(page.keys) >= query.n or size > total or found < size:
                return replace(page, nearest=scores[:BEST_SCORES])
            size *= GROWTH

    @cached_property
    def _boosted(self) -> bool:
        return bool(self.rules.boosts(self.query))

    @property
    def _reranked(self) -> bool:
        """Whether the order is not that of the scores."""
        by_content = self.target.titles is not None or self.target.look is not None
        return by_content or self.query.diversity > 0 or self._boosted

    def _first_size(self, end: int) -> int:
        """Return how many candidates to begin with; a power of two, so that pages have the same candidates."""
        if not self._reranked:
            return 1 << (2 * end + EXTRA_CANDIDATES).bit_length()
        by_content = self.target.look is not None or self.target.titles is not None
        least = RERANK_CANDIDATES if by_content else 2 * DIVERSITY_CANDIDATES
        return max(least, 1 << (2 * end).bit_length())

    def _with_title_matches(self, keys: Keys, scores: Scores, scope: Scope) -> tuple[Keys, Scores]:
        """Return the candidates and as many items whose titles are nearest to the text, by their photos' scores."""
        if self.target.titles is None:
            return keys, scores
        more = scope.keep(np.setdiff1d(self.target.titles.best(len(keys)), keys))
        more = more[is_in(self.finder.catalog.keys(), more)]  # titles may be those of a moment ago
        keys = np.concatenate([keys, more])
        scores = np.concatenate([scores, self.finder.scores(self.target, more)])
        order = best_first(scores, keys)
        return keys[order], scores[order]

    def _ranked(self, keys: Keys, scores: Scores, pinned: Keys) -> tuple[Keys, Scores]:
        """Return the candidates in the order of the page: pinned ones first, then by titles, look and boosts."""
        target, values = self.target, scores
        if target.titles is not None:
            values = target.titles.values(keys, scores)
        if target.look is not None:
            rows = self.looks.rows(keys)
            if self.query.same_color and target.look.has_color:
                same = same_color(rows, target.look.look)
                keys, scores, values, rows = keys[same], scores[same], values[same], rows[same]
            values = target.look.values(values, rows) if target.vector is not None else scores
        if len(keys) and self._boosted:
            values = values + self.rules.boost(keys, self.query) * np.float32(scores.std())
        order = by_value(values)
        if len(pinned):
            order = order[~np.isin(keys[order], pinned)]
        pinned_scores = self.finder.scores(target, pinned)
        return np.concatenate([pinned, keys[order]]), np.concatenate([pinned_scores, scores[order]])

    def _cut(self, keys: Keys, scores: Scores) -> Page:
        """Return the page of ranked keys: collapsed, diversified, from the offset on."""
        query, end = self.query, self.query.offset + self.query.n
        places = collapsed_into = np.arange(len(keys))
        if self.groups is not None:
            places, collapsed_into = self.groups.collapse(keys)
        if query.diversity > 0 and len(places):
            pool = places[: max(DIVERSITY_CANDIDATES, end)]
            by_rank = np.linspace(1, 0, len(pool), dtype=np.float32)
            places = pool[
                diversify(self.finder.index.space.vectors(keys[pool]), by_rank, query.diversity, end)
            ]
        places = places[query.offset : end]
        also = tuple(
            keys[(collapsed_into == place) & (np.arange(len(keys)) != place)][:MAX_COLLAPSED]
            for place in places
        )
        return Page(keys[places], scores[places], also, scores[:0])
