"""The `Searcher`: a `Query` becomes a `SearchResult`.

Order of hits: cosine similarity of the stored vectors of the index's space (rounded to six decimals), highest first;
ties by the order in which the photos were indexed. For words, the order by titles is fused with it where titles are
used (`imgsearch.search.words.titles`); scores stay the photos'.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.query import Query
from imgsearch.core.records import Confidence, Hit, Item, SearchResult
from imgsearch.encoders.base import Encoder
from imgsearch.index.live_index import LiveIndex
from imgsearch.search.candidates import CandidateFinder, Scope, VisibleKeys
from imgsearch.search.page import Page, PageFinder
from imgsearch.search.query_encoder import Pictures, QueryEncoder
from imgsearch.search.ranking.confidence import Kind, Levels
from imgsearch.search.ranking.duplicates import Duplicates
from imgsearch.search.ranking.rules import Rules
from imgsearch.search.words.titles import Titles
from imgsearch.store.catalog import CatalogStore

Vector = NDArray[np.float32]
FindLevels = Callable[[LiveIndex, Kind], Levels | None]

STAGES = ("encode", "filter", "search")
MAX_ATTEMPTS = 3
"""How often a page is found again because items on it were removed meanwhile."""


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
    ) -> None:
        """Search `catalog` through `index`.

        `encoder` is called for texts, pictures and regions only. `rules` and `duplicates` are the catalog's, by
        default made here; `titles` are used where they are given. `levels` returns what scores are compared with, to
        say how good a result is. `queries` and `visible` share the caches of another searcher of the catalog.
        `expansion` is how many candidates the index compares, by default as many as it was tuned to.
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

    def search(self, query: Query) -> SearchResult:
        """Return the `query.n` items that look most alike, from rank `query.offset` + 1 on.

        Returns fewer only where fewer items pass the filters. Items named in the query are left out of the hits.
        Raises `QueryError` for a query without terms, `UnknownItem`, `FilterError`, `ImageError` for a picture
        that cannot be read, and what the encoder raises.
        """
        times = [time.perf_counter()]
        target = self._queries.target(query, self.space)
        times.append(time.perf_counter())
        rules = self.rules.active()
        scope = self._visible.scope(query.filters, rules).excluding(target.named)
        times.append(time.perf_counter())
        groups = self.duplicates.groups() if query.duplicates == "collapse" else None
        pages = PageFinder(self._finder, self.catalog.looks, query, target, rules, groups)
        page, items = self._page_of_existing(pages, scope)
        times.append(time.perf_counter())
        hits, unknown = _hits(page, items, query.offset), self._queries.unknown_texts(query)
        matching = max(self._finder.count(scope), len(hits))
        stages = {name: end - start for name, start, end in zip(STAGES, times[:-1], times[1:], strict=True)}
        stages["total"] = time.perf_counter() - times[0]
        return SearchResult(
            query=query,
            hits=hits,
            encoder=self.space.id,
            generation=self.index.generation,
            matching=matching,
            timing_ms={name: round(seconds * 1000, 3) for name, seconds in stages.items()},
            search_id=uuid.uuid4().hex,
            notes=tuple(map(_unknown_note, unknown)),
            confidence=self._confidence(query, page.nearest, understood=not unknown),
        )

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

    def _confidence(self, query: Query, nearest: Vector, *, understood: bool) -> Confidence | None:
        """Return how good the first page of a query for one photo or one text is; None for any other.

        What scores a mix, a part of a photo or a colour should reach is not known.
        """
        if self._levels is None or query.offset or len(query.terms) != 1:
            return None
        term = query.terms[0]
        if term.kind == "color" or term.weight < 0 or term.region is not None:
            return None
        if not understood:
            return "weak"
        text = str(term.value) if term.kind == "text" else ""
        levels = self._levels(self.index, "words" if text else "photo")
        return levels.confidence(nearest, text) if levels else None


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
        )
        for rank, (item, score, others) in enumerate(existing, start=offset + 1)
    )
