"""One page of a result: candidates re-ranked by titles, looks, boosts and rules, collapsed, sorted or diversified.

Every step keeps the order of equal candidates. With a cursor, the items of earlier pages are out of scope already.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.cursors import Cursor, group_mark
from imgsearch.core.key_arrays import Keys, is_in
from imgsearch.core.query import Query
from imgsearch.index.exact_search import best_first
from imgsearch.search.candidates import EXTRA_CANDIDATES, CandidateFinder, Scope, Scores
from imgsearch.search.look_alikes import MAX_LOOK_ALIKES, MIN_LOOK_ALIKES, count_above, relative_cut
from imgsearch.search.query_encoder import Target
from imgsearch.search.ranking.column_order import ColumnBoosts, group_texts, sorted_places
from imgsearch.search.ranking.confidence import BEST_SCORES
from imgsearch.search.ranking.duplicates import Groups
from imgsearch.search.ranking.reranking import DIVERSITY_CANDIDATES, by_value, diversify
from imgsearch.search.ranking.rules import ActiveRules
from imgsearch.search.words.name_match import EXACT
from imgsearch.store.look_table import LookTable
from imgsearch.store.metadata_table import MetadataTable
from imgsearch.vision.looks import same_color

RERANK_CANDIDATES = 1024
"""How many candidates at least are re-ranked by titles, looks or columns: the same ones for every page."""
MAX_COLLAPSED = 24
"""How many collapsed items a hit names."""
MAX_NAMED = 1024
"""How many items that a text names are ranked: the same ones for every page."""
GROWTH = 8
"""By how much the number of candidates grows while they do not fill the page."""

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Page:
    """The keys and scores of a page of hits, and for each hit the keys that are collapsed into it, if any are.

    `nearest` holds the scores of the nearest candidates, before re-ranking and collapsing. `total` is how many hits
    this page and the later ones have where only look-alikes are hits, `cut` the score from which on they are, and
    `spread` the standard deviation of the candidates' scores.
    """

    keys: Keys
    scores: Scores
    also: tuple[Keys, ...]
    nearest: Scores
    total: int | None = None
    cut: float = math.nan
    spread: float = math.nan


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Candidates in the order of the page; `complete` says that they are all look-alikes of the scope."""

    keys: Keys
    scores: Scores
    complete: bool
    cut: float = math.nan
    spread: float = math.nan


@dataclass(frozen=True, eq=False)
class PageFinder:
    """Finds the pages of one query.

    `groups` are what results are collapsed by (None: they are not). `least` is the score that `min_confidence` stands
    for, None where none is requested or known. `cursor` is that of the page before.
    """

    finder: CandidateFinder
    looks: LookTable
    query: Query
    target: Target
    rules: ActiveRules
    groups: Groups | None
    boosts: ColumnBoosts
    least: float | None = None
    cursor: Cursor | None = field(default=None)

    def page(self, scope: Scope) -> Page:
        """Return the hits from `query.offset` on."""
        query, target, end = self.query, self.target, self.query.offset + self.query.n
        pinned = self._pinned(scope)
        if not self._reranked and not len(pinned) and not self._collapsed and not self._limited:
            keys, scores = self.finder.nearest(target, max(end, BEST_SCORES), scope)
            return Page(keys[query.offset : end], scores[query.offset : end], (), scores[:BEST_SCORES])
        size = self._first_size(end)
        total = len(self.finder.index) if scope.allowed is None else len(scope.allowed)
        while True:
            keys, scores = self.finder.nearest(target, size, scope)
            found, nearest = len(keys), scores
            if found == size:
                keys, scores = self._with_title_matches(keys, scores, scope)
            ranked = self._ranked(keys, scores, pinned, nearest)
            page = self._cut(ranked)
            full = len(page.keys) >= query.n
            if self._limited:
                full = ranked.complete or size >= MAX_LOOK_ALIKES
            if full or size > total or found < size:
                return replace(page, nearest=nearest[:BEST_SCORES])
            size *= GROWTH

    def _pinned(self, scope: Scope) -> Keys:
        """Return the keys that come first: those of which the text is a code, then those that rules pin.

        A sorted result has none: its order is that of its columns.
        """
        if self.query.sort:
            return np.zeros(0, np.uint64)
        pinned = self.rules.pinned(self.query)
        if self.target.names is not None:
            exact = self.target.names.exact()
            pinned = np.concatenate([exact, pinned[~is_in(exact, pinned)]])
        return scope.keep(pinned)

    @cached_property
    def _boosted(self) -> bool:
        return bool(self.rules.boosts(self.query))

    @property
    def _reranked(self) -> bool:
        """Whether the order is not that of the scores."""
        target = self.target
        by_content = target.titles is not None or target.look is not None or target.names is not None
        return by_content or self.query.diversity > 0 or self._boosted or bool(self.query.boosts)

    @property
    def _collapsed(self) -> bool:
        return bool(self.groups) or bool(self.query.group_by)

    @property
    def _limited(self) -> bool:
        """Whether only look-alikes are hits."""
        return bool(self.query.sort) or self.least is not None

    def _first_size(self, end: int) -> int:
        """Return how many candidates to begin with; a power of two, so that pages have the same candidates."""
        query = self.query
        by_content = self.target.look is not None or self.target.titles is not None
        if by_content or query.boosts or self._limited:
            return max(RERANK_CANDIDATES, 1 << (2 * end).bit_length())
        if query.diversity > 0 or self._boosted:
            return max(2 * DIVERSITY_CANDIDATES, 1 << (2 * end).bit_length())
        return 1 << (2 * end + EXTRA_CANDIDATES).bit_length()

    def _with_title_matches(self, keys: Keys, scores: Scores, scope: Scope) -> tuple[Keys, Scores]:
        """Return the candidates and as many items whose titles are nearest to the text, by their photos' scores.

        Also the items that the text names, up to `MAX_NAMED`.
        """
        titles, names = self.target.titles, self.target.names
        if titles is None and names is None:
            return keys, scores
        found = [] if titles is None else [titles.best(len(keys))]
        found += [] if names is None else [names.best(MAX_NAMED)]
        more = scope.keep(np.setdiff1d(np.concatenate(found), keys))
        more = more[is_in(self.finder.catalog.keys(), more)]  # titles may be those of a moment ago
        keys = np.concatenate([keys, more])
        scores = np.concatenate([scores, self.finder.scores(self.target, more)])
        order = best_first(scores, keys)
        return keys[order], scores[order]

    def _ranked(self, keys: Keys, scores: Scores, pinned: Keys, nearest: Scores) -> _Ranked:
        """Return the candidates in the order of the page: pinned ones first, then by titles, look and boosts."""
        keys, scores, values = self._valued(keys, scores)
        spread = self._spread(scores)
        if len(keys) and self._boosted:
            values = values + self.rules.boost(keys, self.query) * np.float32(spread)
        order, cut, complete = by_value(values), math.nan, False
        if self._limited:
            cut = self._score_cut(nearest)
            count = count_above(scores, cut)
            order, complete = self._by_name(order, keys), count < len(keys)
            order = order[: self._count(count, keys)]
        if self.query.boosts and len(order):
            # They change the order of the look-alikes, not which candidates are look-alikes.
            moved = sum(self.boosts.parts(self.query.boosts, keys[order], self._version).values())
            order = order[by_value(values[order] + np.asarray(moved, np.float32) * np.float32(spread))]
        order = self._by_name(order, keys)
        if len(pinned):
            order = order[~np.isin(keys[order], pinned)]
        pinned_scores = self.finder.scores(self.target, pinned)
        ranked_keys = np.concatenate([pinned, keys[order]])
        return _Ranked(
            ranked_keys, np.concatenate([pinned_scores, scores[order]]), complete, cut=cut, spread=spread
        )

    def _by_name(self, order: Places, keys: Keys) -> Places:
        """Return places in order with those of the items that the text names first."""
        if self.target.names is None:
            return order
        return order[np.argsort(-self.target.names.of(keys[order]), kind="stable")]

    def _count(self, look_alikes: int, keys: Keys) -> int:
        """Return how many of the ranked candidates are hits where only look-alikes are.

        Where a text names enough items, or is a code, these; else they count as look-alikes.
        """
        if self.target.names is None:
            return look_alikes
        lifts = self.target.names.of(keys)
        named, exact = int((lifts > 0).sum()), int((lifts == EXACT).sum())
        if exact:
            return exact
        return named if named >= MIN_LOOK_ALIKES else max(look_alikes, named)

    def _valued(self, keys: Keys, scores: Scores) -> tuple[Keys, Scores, Scores]:
        """Return the candidates, their scores, and what they are ranked by: scores, titles and look."""
        target, values = self.target, scores
        if target.titles is not None:
            values = target.titles.values(keys, scores)
        if target.look is not None:
            rows = self.looks.rows(keys)
            if self.query.same_color and target.look.has_color:
                same = same_color(rows, target.look.look)
                keys, scores, values, rows = keys[same], scores[same], values[same], rows[same]
            values = target.look.values(values, rows) if target.vector is not None else scores
        return keys, scores, values

    def _spread(self, scores: Scores) -> float:
        """Return the standard deviation of the first page's candidates' scores."""
        if self.cursor is not None and not math.isnan(self.cursor.spread):
            return self.cursor.spread
        return float(scores.std()) if len(scores) else 0.0

    def _score_cut(self, nearest: Scores) -> float:
        """Return the score from which on candidates are look-alikes, as it was for the first page."""
        if self.cursor is not None and not math.isnan(self.cursor.cut):
            return self.cursor.cut
        return relative_cut(self.finder, self.target, nearest) if self.least is None else self.least

    def _cut(self, ranked: _Ranked) -> Page:
        """Return the page of ranked keys: collapsed, sorted or diversified, from the offset on."""
        query, end = self.query, self.query.offset + self.query.n
        keys, scores = ranked.keys, ranked.scores
        places = collapsed_into = np.arange(len(keys))
        if self.groups is not None:
            places, collapsed_into = self.groups.collapse(keys)
        if query.group_by:
            places, collapsed_into = self._grouped(keys, places, collapsed_into)
        if query.sort:
            places = places[sorted_places(self._metadata, keys[places], query.sort)]
        elif query.diversity > 0 and len(places):
            pool = places[: max(DIVERSITY_CANDIDATES, end)]
            by_rank = np.linspace(1, 0, len(pool), dtype=np.float32)
            places = pool[
                diversify(self.finder.index.space.vectors(keys[pool]), by_rank, query.diversity, end)
            ]
        total = len(places) if self._limited else None
        places = places[query.offset : end]
        also = tuple(
            keys[(collapsed_into == place) & (np.arange(len(keys)) != place)][:MAX_COLLAPSED]
            for place in places
        )
        return Page(
            keys[places], scores[places], also, scores[:0], total=total, cut=ranked.cut, spread=ranked.spread
        )

    def _grouped(self, keys: Keys, places: Places, collapsed_into: Places) -> tuple[Places, Places]:
        """Return (the place of the best of each group, for each key the place it is collapsed into).

        Groups that earlier pages showed have no place.
        """
        texts = group_texts(self._metadata, self.query.group_by, keys)
        codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        labels = np.array(
            [codes[text] if text is not None else len(codes) + n for n, text in enumerate(texts)], np.int64
        )
        _, first, inverse = np.unique(labels[places], return_index=True, return_inverse=True)
        best = np.arange(len(keys))
        best[places] = places[first[inverse]]
        kept = np.sort(first)
        if self.cursor is not None:
            shown = {text for text in codes if text is not None and self.cursor.showed(group_mark(text))}
            kept = kept[[texts[place] not in shown for place in places[kept].tolist()]]
        return places[kept], best[collapsed_into]

    @property
    def _metadata(self) -> MetadataTable:
        return self.finder.catalog.metadata

    @property
    def _version(self) -> int:
        return self.finder.catalog.version
