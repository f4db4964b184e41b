"""Queries and pairs as a labeler sees them, and the default guideline.

Labelers must not know which system found an item, nor its rank or score.
"""

from __future__ import annotations

from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Term
from imgsearch.core.query_address import thumbnail_url, upload_url
from imgsearch.improve.judging.calls import JudgingPair, JudgingQuery, QueryPart
from imgsearch.improve.judging.topics import topic_of, topic_query
from imgsearch.store.catalog import CatalogStore

__all__ = ["DEFAULT_GUIDELINE", "present_pair", "present_query"]

DEFAULT_GUIDELINE = (
    "Good: a person who searches for this would be glad to see it.\n"
    "Bad: it does not match the search.\n"
    "Can't tell: the photo does not show enough to decide.\n"
    "Judge what you see, not the brand or the price."
)
PHOTO_PX = 768
UPLOAD_PX = 384


def present_pair(catalog: CatalogStore, pair_id: int, query_key: str, item_id: str) -> JudgingPair:
    """Return a pair with its item's title and photo."""
    title, image = _title_and_photo(catalog, item_id)
    return JudgingPair(pair=pair_id, query=query_key, title=title, image=image)


def present_query(catalog: CatalogStore, query_key: str) -> JudgingQuery:
    """Return a query with the photos of its terms; one that cannot be parsed is shown as text."""
    try:
        query = topic_query(topic_of(query_key))
    except ImgSearchError:
        return JudgingQuery(parts=(QueryPart(kind="text", label=query_key),))
    return JudgingQuery(
        parts=tuple(_present_term(catalog, term) for term in query.terms),
        filters=tuple(str(condition) for condition in query.filters),
    )


def _present_term(catalog: CatalogStore, term: Term) -> QueryPart:
    label, image = str(term.value), ""
    if term.kind == "upload":
        label, image = "An uploaded photo", upload_url(label, UPLOAD_PX)
    elif term.kind == "item":
        label, image = _title_and_photo(catalog, label)
    return QueryPart(kind=term.kind, label=label, image=image, weight=term.weight)


def _title_and_photo(catalog: CatalogStore, item_id: str) -> tuple[str, str]:
    items = catalog.get_many([item_id])
    return (items[0].title, thumbnail_url(items[0], PHOTO_PX)) if items else (item_id, "")
