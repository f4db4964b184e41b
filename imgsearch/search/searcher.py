"""The `Searcher`: a `Query` becomes a `SearchResult`.

Order of hits: cosine similarity of the stored vectors of the index's space (rounded to six decimals), highest first;
ties by the order in which the photos were indexed. For words, the order by titles is fused with it where titles are
used (`imgsearch.search.words.titles`); scores stay the photos'.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.cursors import Cursor, group_mark
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Filter, Query
from imgsearch.core.records import Confidence, Hit, Item, SearchResult
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.search.answer_columns import answer_facets, check_columns
from imgsearch.search.availability import stock_filter
from imgsearch.search.candidates import CandidateFinder, Scope, VisibleKeys
from imgsearch.search.page import Page, PageFinder
from imgsearch.search.query_encoder import Pictures, QueryEncoder, Target
from imgsearch.search.ranking.column_order import ColumnBoosts, group_texts
from imgsearch.search.ranking.confidence import Kind, Levels
from imgsearch.search.ranking.duplicates import Duplicates
from imgsearch.search.ranking.rules import ActiveRules, Rules
from imgsearch.search.words.name_match import BEGINNING, NameMatch
from imgsearch.search.words.titles import Titles
from imgsearch.store.catalog import CatalogStore

Vector = NDArray[np.float32]
FindLevels = Callable[[LiveIndex, Kind], Levels | None]

STAGES = ("encode", "filter", "search")
MAX_ATTEMPTS = 3
"""How often a page is found again because items on it were removed meanwhile."""
MAX_NEW_KEYS = 2000
"""Up to this many items added since the first page are checked: one whose former photo was shown is left out."""


class Searcher:
    """Answers queries over one index of a catalog; safe to use from any thread, also while items change."""

    def __init__(
        self,
        catalog: CatalogStore,
        index: LiveIndex,
        encoder: Callable[[], Encoder],
        *,
        rules: Rules | None = None,
        duplicates: Duplicates | None = None,
        titles: Titles | None = None,
        pictures: Pictures | None = None,
        levels: FindLevels | None = None,
        queries: QueryEncoder | None = None,
        visible: VisibleKeys | None = None,
        expansion: int | None = None,
        availability: str = "",
    ) -> None:
        """Search `catalog` through `index`.

        `encoder` is called for texts, pictures and regions only. `rules` and `duplicates` are the catalog's, by
        default made here; `titles` are used where they are given. `levels` returns what scores are compared with, to
        say how good a result is. `queries` and `visible` share the caches of another searcher of the catalog.
        `expansion` is how many candidates the index compares, by default as many as it was tuned to. `availability`
        names the column that says what is in stock; by default it is recognised.
        """
        self.catalog = catalog
        self.index = index
        self.space = index.space
        self.rules = rules or Rules(catalog)
        self.duplicates = duplicates or Duplicates(catalog)
        self.titles = titles or Titles(catalog, None)
        self._levels = levels
        self._queries = queries or QueryEncoder(catalog, encoder, self.titles, pictures or Pictures())
        self._visible = visible or VisibleKeys(catalog)
        self._finder = CandidateFinder(catalog, index, self._visible, expansion)
        self._availability = availability
        self._boosts = ColumnBoosts(catalog.metadata)

    def search(self, query: Query, *, cursor: Cursor | None = None) -> SearchResult:
        """Return the `query.n` items that look most alike, from rank `query.offset` + 1 on.

        With a cursor (by default the query's own), from the page before on. Returns fewer only where fewer items pass
        the filters, or are look-alikes where only these are hits. Items named in the query are left out of the hits.
        Raises `QueryError` for a query without terms, `UnknownItem`, `FilterError`, `ImageError` for a picture
        that cannot be read, and what the encoder raises.
        """
        times = [time.perf_counter()]
        cursor = cursor or Cursor.of(query)
        check_columns(self.catalog.metadata, query)
        newest = int(max(self.catalog.keys()[-1:], default=0))
        target = self._queries.target(query, self.space)
        times.append(time.perf_counter())
        rules = self.rules.active()
        filters = self.filters_of(query)
        scope = self._visible.scope(filters, rules).excluding(target.named)
        matching = self._finder.count(scope)
        facets = answer_facets(self.catalog.metadata, query, filters, rules.hidden)
        if cursor is not None:
            scope = scope.excluding(self._shown(cursor, query))
        times.append(time.perf_counter())
        unknown = [] if target.names is not None else self._queries.unknown_texts(query)
        pages, notes = self._pages(query, target, rules, cursor)
        page, items = self._page_of_existing(pages, scope)
        times.append(time.perf_counter())
        before = cursor.shown if cursor else query.offset
        hits = self._with_columns(_hits(page, items, before), query, page, filters, scope.excluded)
        stages = {name: end - start for name, start, end in zip(STAGES, times[:-1], times[1:], strict=True)}
        stages["total"] = time.perf_counter() - times[0]
        position = cursor or Cursor.start(newest)
        position = replace(position, cut=page.cut, spread=page.spread)
        return SearchResult(
            query=query,
            hits=hits,
            encoder=self.space.id,
            generation=self.index.generation,
            matching=max(matching, len(hits)),
            timing_ms={name: round(seconds * 1000, 3) for name, seconds in stages.items()},
            search_id=uuid.uuid4().hex,
            notes=(*map(_unknown_note, unknown), *notes),
            confidence=self._confidence(query, page.nearest, before, target.names, understood=not unknown),
            total=None if page.total is None else page.total + (cursor.shown if cursor else 0),
            facets=facets,
            cursor=next_cursor(position, query, hits),
            position=position,
        )

    def filters_of(self, query: Query) -> tuple[Filter, ...]:
        """Return the conditions that hits must meet: the filters, and being in stock where that is requested."""
        if not query.in_stock:
            return query.filters
        return (*query.filters, stock_filter(self.catalog.metadata, self._availability))

    def _pages(
        self, query: Query, target: Target, rules: ActiveRules, cursor: Cursor | None
    ) -> tuple[PageFinder, list[str]]:
        """Return what finds the pages of a query, and notes on options that could not be applied."""
        groups = self.duplicates.groups() if query.duplicates == "collapse" else None
        least, notes = None, []
        if query.min_confidence != "weak":
            levels = self._levels_for(query)
            if levels is None:
                notes = ["min_confidence was not applied: the scores of this query cannot be judged (yet)."]
            else:
                least = levels.strong if query.min_confidence == "strong" else levels.weak
        pages = PageFinder(
            self._finder, self.catalog.looks, query, target, rules, groups, self._boosts, least, cursor
        )
        return pages, notes

    def _shown(self, cursor: Cursor, query: Query) -> Keys:
        """Return the keys of the items that earlier pages showed, also of those that have a new photo since.

        Also those of the near-duplicates that were collapsed into them.
        """
        keys = self.catalog.keys()
        new = keys[np.searchsorted(keys, np.uint64(cursor.newest), side="right") :][:MAX_NEW_KEYS]
        items = self.catalog.by_keys(new)
        again = [item.key for item in items if cursor.showed(item.item_id)]
        shown = np.union1d(cursor.keys, np.array(again, np.uint64))
        return self.duplicates.groups().with_members(shown) if query.duplicates == "collapse" else shown

    def _with_columns(
        self, hits: tuple[Hit, ...], query: Query, page: Page, filters: tuple[Filter, ...], without: Keys
    ) -> tuple[Hit, ...]:
        """Return the hits with their groups and boosts, where the query has any."""
        metadata, keys = self.catalog.metadata, np.array([hit.key for hit in hits], np.uint64)
        if query.boosts and len(hits):
            parts = self._boosts.parts(query.boosts, keys, self.catalog.version)
            hits = tuple(
                replace(hit, boosts={name: float(moved[n] * page.spread) for name, moved in parts.items()})
                for n, hit in enumerate(hits)
            )
        if query.group_by and len(hits):
            texts = group_texts(metadata, query.group_by, keys)
            counts = metadata.counts(
                query.group_by, [text for text in texts if text is not None], filters, without=without
            )
            hits = tuple(
                replace(hit, group=text, others=max(counts.get(text or "", 1) - 1, 0))
                for hit, text in zip(hits, texts, strict=True)
            )
        return hits

    def variant(
        self, *, index: LiveIndex | None = None, expansion: int | None = None, calibrated: bool = True
    ) -> Searcher:
        """Return a searcher of the same catalog, with the same caches, over another index or with another effort.

        Without `calibrated`, its results do not say how good they are: that takes a calibration of its space.
        """
        return Searcher(
            self.catalog,
            index or self.index,
            self._queries.encoder,
            rules=self.rules,
            duplicates=self.duplicates,
            titles=self.titles,
            levels=self._levels if calibrated else None,
            queries=self._queries,
            visible=self._visible,
            expansion=expansion,
            availability=self._availability,
        )

    def for_catalog(
        self, catalog: CatalogStore, index: LiveIndex, encoder: Callable[[], Encoder], titles: Titles
    ) -> Searcher:
        """Return a searcher of another catalog that reads pictures as this one does."""
        return Searcher(catalog, index, encoder, titles=titles, pictures=self._queries.pictures)

    def encoder(self) -> Encoder:
        """Return the encoder, loading it where it is not loaded yet; raises what loading raises."""
        return self._queries.encoder()

    def embedding(self, query: Query) -> Vector:
        """Return the query as one (dim,) float32 unit vector, to which no learned head is applied yet."""
        return self._queries.embedding(query)

    def _page_of_existing(self, pages: PageFinder, scope: Scope) -> tuple[Page, dict[int, Item]]:
        """Return the page and the items on it.

        The index may still propose an item by a key that was removed this moment: the page is then found again
        without it, so that another hit takes its place.
        """
        for _ in range(MAX_ATTEMPTS):
            page = pages.page(scope)
            keys = np.concatenate([page.keys, *page.also])
            items = {item.key: item for item in self.catalog.by_keys(keys)}
            gone = [key for key in keys.tolist() if key not in items]
            if not gone:
                break
            scope = scope.excluding(np.array(gone, np.uint64))
        return page, items

    def _confidence(
        self, query: Query, nearest: Vector, before: int, names: NameMatch | None, *, understood: bool
    ) -> Confidence | None:
        """Return how good the first page of a query for one photo or one text is; None for any other.

        What scores a mix, a part of a photo or a colour should reach is not known.
        """
        if before or not self._is_judged(query):
            return None
        if not understood:
            return "weak"
        levels = self._levels_for(query)
        term = query.terms[0]
        if names is not None and names.top >= BEGINNING:
            return "strong"
        if names is not None and levels is not None:
            found = levels.confidence(nearest, str(term.value))
            return "fair" if found == "weak" else found
        return levels.confidence(nearest, str(term.value) if term.kind == "text" else "") if levels else None

    def _levels_for(self, query: Query) -> Levels | None:
        """Return what the scores of a query are compared with; None where that is not known."""
        if self._levels is None or not self._is_judged(query):
            return None
        return self._levels(self.index, "words" if query.terms[0].kind == "text" else "photo")

    def _is_judged(self, query: Query) -> bool:
        term = query.terms[0]
        plain = term.kind != "color" and term.weight > 0 and term.region is None
        return self._levels is not None and len(query.terms) == 1 and plain


def next_cursor(before: Cursor, query: Query, hits: Sequence[Hit]) -> str:
    """Return the cursor to the page after these hits; "" where there is none, and for pages by offset."""
    if len(hits) < query.n or query.offset:
        return ""
    marks = [hit.item_id if hit.group is None else group_mark(hit.group) for hit in hits]
    return before.after((hit.key for hit in hits), marks).text(query)


def _unknown_note(text: str) -> str:
    return (
        f"The words \u201c{text[:60]}\u201d are not known, so these photos are a guess; try others, or a photo. "
        "(Other languages: docs/how-search-works/words.md.)"
    )


def _hits(page: Page, items: Mapping[int, Item], offset: int) -> tuple[Hit, ...]:
    also = page.also or (page.keys[:0],) * len(page.keys)
    rows = zip(page.keys.tolist(), page.scores.tolist(), also, strict=True)
    existing = [(items[key], score, others) for key, score, others in rows if key in items]
    return tuple(
        Hit(
            item_id=item.item_id,
            rank=rank,
            score=score,
            key=item.key,
            image=item.location,
            metadata=item.metadata,
            also=tuple(items[key].item_id for key in others.tolist() if key in items),
            title_column=item.title_column,
        )
        for rank, (item, score, others) in enumerate(existing, start=offset + 1)
    )
