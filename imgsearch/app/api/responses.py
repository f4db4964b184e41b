"""The JSON documents of the HTTP API and of the CLI's `--json`: their fields, and how records become them.

They are typed dictionaries: the OpenAPI document is generated from them, and an answer costs no validation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypeAliasType, TypedDict

from imgsearch.core import query as core
from imgsearch.core.column_values import ColumnKind
from imgsearch.core.records import Confidence, Facet, Hit, Item, SearchResult
from imgsearch.ingest.item_changes import etag_of
from imgsearch.search.words import filter_suggestions, word_help

_CLOSED = with_config(ConfigDict(extra="forbid"))

_Count = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(ge=1)]
_Edges = Annotated[list[float], Field(min_length=4, max_length=4)]
_Scalar = str | float | bool | None
Metadata = TypeAliasType("Metadata", dict[str, _Scalar | list[_Scalar]])


def described(description: str) -> Any:
    """Return the description of a field."""
    return Field(description=description)


@_CLOSED
class TermDocument(TypedDict):
    """One part of a query."""

    kind: Annotated[Literal["text", "item", "image", "upload", "color"], described("What the value is.")]
    value: Annotated[str, described("The words, the item's id, the id of a sent picture, or #rrggbb.")]
    weight: Annotated[float, described("Negative means: less like this.")]
    region: NotRequired[
        Annotated[
            _Edges, described("Left, top, right, bottom of the part that counts; absent for the whole photo.")
        ]
    ]


@_CLOSED
class EmphasisValues(TypedDict):
    """How much more colour, shape and pattern count than in the embedding, 0 to 1 each."""

    color: Annotated[float, described("Of the colours.")]
    shape: Annotated[float, described("Of the outline.")]
    pattern: Annotated[float, described("Of the pattern.")]


@_CLOSED
class QueryDocument(TypedDict):
    """A query as it was understood."""

    terms: Annotated[list[TermDocument], described("What was searched for.")]
    n: Annotated[_Positive, described("How many hits were requested.")]
    offset: Annotated[_Count, described("How many of the best hits were skipped.")]
    filters: Annotated[list[str], described("The conditions that every hit meets.")]
    emphasis: Annotated[
        EmphasisValues, described("How much more color, shape and pattern count than in the embedding.")
    ]
    same_color: Annotated[bool, described("Whether only items of the requested colours are hits.")]
    duplicates: Annotated[
        core.Duplicates,
        described(
            "Whether near-duplicates and photos of one product are collapsed into the best hit or all shown."
        ),
    ]
    diversity: Annotated[float, described("How much variety counts, 0 to 1.")]
    spelling: Annotated[
        core.Spelling, described("`keep`: the text is meant as it is written; no correction is offered.")
    ]
    sort: NotRequired[Annotated[list[str], described("The columns that look-alikes are sorted by.")]]
    min_confidence: NotRequired[Annotated[core.MinConfidence, described("The level that hits reach.")]]
    group_by: NotRequired[Annotated[str, described("The column of whose values each has one hit.")]]
    boost: NotRequired[Annotated[list[str], described("The columns that hits are ranked by too.")]]
    in_stock: NotRequired[Annotated[bool, described("Whether only items in stock are hits.")]]
    facets: NotRequired[Annotated[list[str], described("The columns that are counted.")]]
    fields: NotRequired[Annotated[list[str], described("The metadata columns that hits show.")]]


@_CLOSED
class _Photo(TypedDict):
    item_id: Annotated[str, described("The item.")]
    title: Annotated[str, described("Words to show: the title or name column, else the file's name.")]
    image: Annotated[str, described("Path of a large WebP of the photo.")]
    thumbnail: Annotated[str, described("Path of a small WebP of the photo.")]
    metadata: Annotated[Metadata, described("The item's row: one field for each column that has a value.")]


@_CLOSED
class HitDocument(_Photo):
    """One search result."""

    rank: Annotated[_Positive, described("1 is the best.")]
    score: Annotated[
        float, described("Cosine similarity: higher is more alike; compare within one answer only.")
    ]
    also: Annotated[list[str], described("Ids of the items that are collapsed into this one, best first.")]
    group: NotRequired[
        Annotated[str | None, described("With `group_by`: the hit's value; null where it has none.")]
    ]
    others: NotRequired[
        Annotated[_Count, described("With `group_by`: how many more items of the group pass the filters.")]
    ]
    boosts: NotRequired[
        Annotated[
            dict[str, float],
            described("With `boost`: by how much each column moved the hit, as a part of a score."),
        ]
    ]


@_CLOSED
class ItemDocument(_Photo):
    """A photo of the catalog with its row."""

    width_px: Annotated[_Count, described("The original's width; 0 where unknown.")]
    height_px: Annotated[_Count, described("The original's height; 0 where unknown.")]
    revision: Annotated[_Count, described("The number of the item's latest change.")]
    etag: Annotated[str, described("The item's `ETag`, for `If-Match`.")]
    updated_at: Annotated[str | None, described("When the item was last changed, UTC; null where unknown.")]


@_CLOSED
class MapPhoto(ItemDocument):
    """An item at a key of the map."""

    key: Annotated[_Count, described("The photo's key on the map.")]


@_CLOSED
class SuggestionDocument(TypedDict):
    """Filters that words of the text may mean."""

    filters: Annotated[list[str], described("The conditions, on one column.")]
    words: Annotated[str, described("The words of the text that say so.")]
    text: Annotated[str, described("The text to search for with these filters; empty where nothing is left.")]


@_CLOSED
class SpellingDocument(TypedDict):
    """How a misspelt text was probably meant."""

    text: Annotated[str, described("The text with unknown words corrected.")]
    certain: Annotated[
        bool,
        described(
            "Whether no word of the text that was sent is known: the app then searches for this one at once."
        ),
    ]


@_CLOSED
class WordHelpDocument(TypedDict):
    """What the words of a query suggest."""

    suggestions: Annotated[
        list[SuggestionDocument],
        described("Filters that the words of the text may mean. None is applied: offer them."),
    ]
    spelling: Annotated[
        SpellingDocument | None,
        described("How a misspelt text was probably meant. The hits are those of the text as it was sent."),
    ]


@_CLOSED
class FacetValueDocument(TypedDict):
    """A value of a column."""

    value: Annotated[Any, described("The value.")]
    count: Annotated[_Count, described("How many items have it.")]


@_CLOSED
class FacetDocument(TypedDict):
    """A column as a filter offers it."""

    column: Annotated[str, described("The column.")]
    kind: Annotated[
        Literal["choice", "range", "period", "text"],
        described(
            "`choice`: few values; `range`: numbers; `period`: dates; `text`: too many values to list."
        ),
    ]
    values: Annotated[list[FacetValueDocument], described("Of a choice: the most frequent first.")]
    low: Annotated[Any, described("Of a range: the least value; null where there is none.")]
    high: Annotated[Any, described("Of a range: the greatest value.")]
    holds: Annotated[
        ColumnKind, described("The kind of the column; values of lists are counted by themselves.")
    ]
    currency: Annotated[
        str, described("Of prices: the currency of all of them; empty where there are several.")
    ]
    first: Annotated[str, described("Of a period: the first date or time, in ISO 8601; else empty.")]
    last: Annotated[str, described("Of a period: the last date or time.")]


@_CLOSED
class SearchResultDocument(WordHelpDocument):
    """The answer to a search."""

    search_id: Annotated[str, described("Identifies this search; send it with feedback.")]
    query: Annotated[QueryDocument, described("The query as it was understood.")]
    encoder: Annotated[str, described("The model that compared the photos.")]
    generation: Annotated[_Count, described("The generation of the index that answered.")]
    matching: Annotated[_Count, described("How many items pass the filters.")]
    hits: Annotated[list[HitDocument], described("Best first.")]
    confidence: Annotated[
        Confidence | None,
        described(
            "How good the hits are for this catalog; null for a mix, a further page, or while not known."
        ),
    ]
    notes: Annotated[
        list[str], described("Remarks on the hits, such as that a word is not known; usually empty.")
    ]
    total: Annotated[
        int | None,
        described(
            "How many hits all pages have where `sort` or `min_confidence` leaves some out, else null."
        ),
    ]
    facets: Annotated[list[FacetDocument], described("The requested columns, counted under the filters.")]
    cursor: Annotated[
        str, described("Send it as `cursor` for the next page; empty where there is none, and with `offset`.")
    ]
    timing_ms: Annotated[dict[str, float], described("Milliseconds by stage, and `total`.")]


@_CLOSED
class _CollectionHead(TypedDict):
    id: Annotated[str, described("Identifies the collection; anyone who has it may read it.")]
    name: Annotated[str, described("The name that the visitor gave it.")]
    created: Annotated[str, described("When it was made, UTC.")]
    changed: Annotated[str, described("When it last changed, UTC.")]


@_CLOSED
class CollectionSummary(_CollectionHead):
    """A collection without its items."""

    item_count: Annotated[_Count, described("How many items are saved in it.")]
    query_count: Annotated[_Count, described("How many searches are saved in it.")]


@_CLOSED
class CollectionList(TypedDict):
    """The collections of a visitor."""

    collections: Annotated[list[CollectionSummary], described("The visitor's, the latest changed first.")]


@_CLOSED
class CollectionDocument(_CollectionHead):
    """A collection with its items."""

    items: Annotated[list[ItemDocument], described("In the order in which they were saved.")]
    queries: Annotated[list[str], described("The searches saved in it, in the grammar of GET search.")]
    gone: Annotated[list[str], described("Ids of the saved items that have left the catalog.")]


@_CLOSED
class SuggestedRegion(TypedDict):
    """A box around a thing in a photo, its edges as fractions of the photo."""

    left: Annotated[core.Fraction, described("The left edge.")]
    top: Annotated[core.Fraction, described("The top edge.")]
    right: Annotated[core.Fraction, described("The right edge.")]
    bottom: Annotated[core.Fraction, described("The bottom edge.")]
    part: Annotated[str, described("The parameter `part` of a search by it.")]


@_CLOSED
class Regions(TypedDict):
    """The boxes of a photo."""

    regions: Annotated[list[SuggestedRegion], described("The clearest first.")]


@_CLOSED
class MapPhotos(TypedDict):
    """The items at keys of the map."""

    photos: Annotated[list[MapPhoto], described("Those that exist, in the requested order.")]


@_CLOSED
class FeedbackRecorded(TypedDict):
    """What was written."""

    recorded: Annotated[Literal["click", "judgment"], described("What was written.")]


@_CLOSED
class ReplicaBatchTaken(TypedDict):
    """The answer to a batch of a replica."""

    taken: Annotated[_Count, described("How many rows were written.")]


@_CLOSED
class EncoderHealth(TypedDict):
    """The state of the model."""

    status: Annotated[Literal["loading", "ready", "failed"], described("The model's state.")]
    spec: Annotated[str, described("The model's name.")]
    reason: Annotated[str, described("Why it failed, else empty.")]


@_CLOSED
class HealthDocument(TypedDict):
    """What the service can answer."""

    status: Annotated[Literal["ready", "loading", "degraded"], described("What is possible.")]
    version: Annotated[str, described("The program's version.")]
    items: Annotated[_Count, described("Items in the catalog.")]
    generation: Annotated[_Count, described("The index generation in use.")]
    encoder: Annotated[EncoderHealth, described("The model that understands texts and pictures.")]


@_CLOSED
class ErrorBody(TypedDict):
    """A failure."""

    code: Annotated[str, described("Stable; made for programs.")]
    message: Annotated[str, described("One sentence for people.")]


@_CLOSED
class Error(TypedDict):
    """The answer to a request that failed."""

    error: Annotated[ErrorBody, described("What went wrong.")]


@_CLOSED
class Failed(TypedDict):
    """The health of a service that cannot answer."""

    status: Annotated[Literal["failed"], described("No search is possible.")]
    version: Annotated[str, described("The program's version.")]
    error: Annotated[ErrorBody, described("Why.")]


def query_document(query: core.Query) -> QueryDocument:
    """Return the query as it was understood; a term of raw bytes is shown by its length."""
    document: QueryDocument = {
        "terms": [_term_document(term) for term in query.terms],
        "n": query.n,
        "offset": query.offset,
        "filters": [str(filter) for filter in query.filters],
        "emphasis": cast(EmphasisValues, dataclasses.asdict(query.emphasis)),
        "same_color": query.same_color,
        "duplicates": query.duplicates,
        "diversity": query.diversity,
        "spelling": query.spelling,
    }
    lists = {"sort": query.sort, "boost": query.boosts, "facets": query.facets, "fields": query.fields or ()}
    shop: dict[str, Any] = {name: [str(each) for each in values] for name, values in lists.items() if values}
    shop |= {} if query.fields is None else {"fields": list(query.fields)}
    shop |= {"min_confidence": query.min_confidence} if query.min_confidence != "weak" else {}
    shop |= {"group_by": query.group_by} if query.group_by else {}
    shop |= {"in_stock": True} if query.in_stock else {}
    return cast(QueryDocument, {**document, **shop})


def facet_document(facet: Facet) -> FacetDocument:
    """Return a column with its values or its range."""
    return {
        "column": facet.column,
        "kind": facet.kind,
        "values": [{"value": plain(each.value), "count": each.count} for each in facet.values],
        "low": plain(facet.low),
        "high": plain(facet.high),
        "holds": facet.holds,
        "currency": facet.currency,
        "first": facet.first,
        "last": facet.last,
    }


def _term_document(term: core.Term) -> TermDocument:
    value = term.value if isinstance(term.value, str) else f"{len(term.value)} bytes"
    document: TermDocument = {"kind": term.kind, "value": value, "weight": term.weight}
    if term.region is not None:
        document["region"] = list(term.region)
    return document


def words_document(
    suggestions: Sequence[filter_suggestions.Suggestion], correction: word_help.Correction | None
) -> WordHelpDocument:
    """Return what a query's words suggest, and how they were probably meant."""
    return {
        "suggestions": [
            {"filters": [str(each) for each in found.filters], "words": found.words, "text": found.text}
            for found in suggestions
        ],
        "spelling": (
            {"text": correction.text, "certain": correction.automatic} if correction is not None else None
        ),
    }


def result_document(
    result: SearchResult,
    words: WordHelpDocument,
    image: Callable[[Hit], str],
    thumbnail: Callable[[Hit], str] | None = None,
) -> SearchResultDocument:
    """Return a search result; `image` and `thumbnail` return where a hit's photo is found (a path, a URL).

    Without `thumbnail`, as on the command line, hits have no such field.
    """
    return {
        "search_id": result.search_id,
        "query": query_document(result.query),
        "encoder": result.encoder,
        "generation": result.generation,
        "matching": result.matching,
        "hits": [_hit_document(result, hit, image, thumbnail) for hit in result.hits],
        "confidence": result.confidence,
        "notes": list(result.notes),
        "total": result.total,
        "facets": [facet_document(facet) for facet in result.facets],
        "cursor": result.cursor,
        "timing_ms": {stage: round(value, 3) for stage, value in result.timing_ms.items()},
        **words,
    }


def _hit_document(
    result: SearchResult, hit: Hit, image: Callable[[Hit], str], thumbnail: Callable[[Hit], str] | None
) -> HitDocument:
    document = {
        "item_id": hit.item_id,
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "title": hit.title,
        "image": image(hit),
        "metadata": plain(result.shown_metadata(hit)),
        "also": list(hit.also),
    }
    if result.query.group_by:
        document |= {"group": hit.group, "others": hit.others}
    if result.query.boosts:
        document["boosts"] = {name: round(moved, 6) for name, moved in hit.boosts.items()}
    if thumbnail is not None:
        document["thumbnail"] = thumbnail(hit)
    return cast(HitDocument, document)


def item_document(item: Item, image: str, thumbnail: str) -> ItemDocument:
    """Return an item with its row."""
    return {
        "item_id": item.item_id,
        "title": item.title,
        "image": image,
        "thumbnail": thumbnail,
        "width_px": item.width_px,
        "height_px": item.height_px,
        "revision": item.revision,
        "etag": f'"{etag_of(item.revision)}"',
        "updated_at": None if item.updated_at is None else item.updated_at.isoformat(timespec="milliseconds"),
        "metadata": plain(item.metadata),
    }


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: NaN and infinities become null, dates ISO text, numpy scalars plain."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "item") and not isinstance(value, Path):
        return plain(value.item())
    return str(value)
