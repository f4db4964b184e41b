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
from imgsearch.core.records import Confidence, Hit, Item, SearchResult
from imgsearch.search.words import filter_suggestions, word_help

__all__ = [
    "CollectionDocument",
    "CollectionList",
    "CollectionSummary",
    "Error",
    "ErrorBody",
    "Failed",
    "FeedbackRecorded",
    "HealthDocument",
    "HitDocument",
    "ItemDocument",
    "MapPhoto",
    "MapPhotos",
    "QueryDocument",
    "Regions",
    "ReplicaBatchTaken",
    "SearchResultDocument",
    "TermDocument",
    "WordHelpDocument",
    "item_document",
    "plain",
    "query_document",
    "result_document",
    "words_document",
]

_CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)

_Count = Annotated[int, Field(ge=0)]
Metadata = TypeAliasType("Metadata", dict[str, str | float | bool | None])


@with_config(_CONFIG)
class TermDocument(TypedDict):
    """One part of a query."""

    kind: Literal["text", "item", "image", "upload", "color"]
    """What the value is."""
    value: str
    """The words, the item's id, the id of a sent picture, or #rrggbb."""
    weight: float
    """Negative means: less like this."""
    region: NotRequired[Annotated[list[float], Field(min_length=4, max_length=4)]]
    """Left, top, right, bottom of the part that counts; absent for the whole photo."""


@with_config(_CONFIG)
class EmphasisValues(TypedDict):
    """How much more colour, shape and pattern count than in the embedding, 0 to 1 each."""

    color: float
    """Of the colours."""
    shape: float
    """Of the outline."""
    pattern: float
    """Of the pattern."""


@with_config(_CONFIG)
class QueryDocument(TypedDict):
    """A query as it was understood."""

    terms: list[TermDocument]
    """What was searched for."""
    n: Annotated[int, Field(ge=1)]
    """How many hits were requested."""
    offset: _Count
    """How many of the best hits were skipped."""
    filters: list[str]
    """The conditions that every hit meets."""
    emphasis: EmphasisValues
    """How much more color, shape and pattern count than in the embedding."""
    same_color: bool
    """Whether only items of the requested colours are hits."""
    duplicates: core.Duplicates
    """Whether near-duplicates and photos of one product are collapsed into the best hit or all shown."""
    diversity: float
    """How much variety counts, 0 to 1."""
    spelling: core.Spelling
    """`keep`: the text is meant as it is written; no correction is offered."""


@with_config(_CONFIG)
class _Photo(TypedDict):
    # Subclasses inherit descriptions that are part of the type, but not those that stand below a field.
    item_id: Annotated[str, Field(description="The item.")]
    title: Annotated[str, Field(description="Words to show: the title or name column, else the file's name.")]
    image: Annotated[str, Field(description="Path of a large WebP of the photo.")]
    thumbnail: Annotated[str, Field(description="Path of a small WebP of the photo.")]
    metadata: Annotated[
        Metadata, Field(description="The item's row: one field for each column that has a value.")
    ]


@with_config(_CONFIG)
class HitDocument(_Photo):
    """One search result."""

    rank: Annotated[int, Field(ge=1)]
    """1 is the best."""
    score: float
    """Cosine similarity: higher is more alike; compare within one answer only."""
    also: list[str]
    """Ids of the items that are collapsed into this one, best first."""


@with_config(_CONFIG)
class ItemDocument(_Photo):
    """A photo of the catalog with its row."""

    width_px: Annotated[_Count, Field(description="The original's width; 0 where unknown.")]
    height_px: Annotated[_Count, Field(description="The original's height; 0 where unknown.")]


@with_config(_CONFIG)
class MapPhoto(ItemDocument):
    """An item at a key of the map."""

    key: _Count
    """The photo's key on the map."""


@with_config(_CONFIG)
class SuggestionDocument(TypedDict):
    """Filters that words of the text may mean."""

    filters: list[str]
    """The conditions, on one column."""
    words: str
    """The words of the text that say so."""
    text: str
    """The text to search for with these filters; empty where nothing is left."""


@with_config(_CONFIG)
class SpellingDocument(TypedDict):
    """How a misspelt text was probably meant."""

    text: str
    """The text with unknown words corrected."""
    certain: bool
    """Whether no word of the text that was sent is known: the app then searches for this one at once."""


@with_config(_CONFIG)
class WordHelpDocument(TypedDict):
    """What the words of a query suggest."""

    suggestions: Annotated[
        list[SuggestionDocument],
        Field(description="Filters that the words of the text may mean. None is applied: offer them."),
    ]
    spelling: Annotated[
        SpellingDocument | None,
        Field(
            description="How a misspelt text was probably meant. The hits are those of the text as it was sent."
        ),
    ]


@with_config(_CONFIG)
class SearchResultDocument(WordHelpDocument):
    """The answer to a search."""

    search_id: str
    """Identifies this search; send it with feedback."""
    query: QueryDocument
    """The query as it was understood."""
    encoder: str
    """The model that compared the photos."""
    generation: _Count
    """The generation of the index that answered."""
    matching: _Count
    """How many items pass the filters."""
    hits: list[HitDocument]
    """Best first."""
    confidence: Confidence | None
    """How good the hits are for this catalog; null for a mix, a further page, or while not known."""
    notes: list[str]
    """Remarks on the hits, such as that a word is not known; usually empty."""
    timing_ms: dict[str, float]
    """Milliseconds by stage, and `total`."""


@with_config(_CONFIG)
class _CollectionHead(TypedDict):
    id: Annotated[str, Field(description="Identifies the collection; anyone who has it may read it.")]
    name: Annotated[str, Field(description="The name that the visitor gave it.")]
    created: Annotated[str, Field(description="When it was made, UTC.")]
    changed: Annotated[str, Field(description="When it last changed, UTC.")]


@with_config(_CONFIG)
class CollectionSummary(_CollectionHead):
    """A collection without its items."""

    item_count: _Count
    """How many items are saved in it."""
    query_count: _Count
    """How many searches are saved in it."""


@with_config(_CONFIG)
class CollectionList(TypedDict):
    """The collections of a visitor."""

    collections: list[CollectionSummary]
    """The visitor's, the latest changed first."""


@with_config(_CONFIG)
class CollectionDocument(_CollectionHead):
    """A collection with its items."""

    items: list[ItemDocument]
    """In the order in which they were saved."""
    queries: list[str]
    """The searches saved in it, in the grammar of GET search."""
    gone: list[str]
    """Ids of the saved items that have left the catalog."""


@with_config(_CONFIG)
class SuggestedRegion(TypedDict):
    """A box around a thing in a photo, its edges as fractions of the photo."""

    left: core.Fraction
    """The left edge."""
    top: core.Fraction
    """The top edge."""
    right: core.Fraction
    """The right edge."""
    bottom: core.Fraction
    """The bottom edge."""
    part: str
    """The parameter `part` of a search by it."""


@with_config(_CONFIG)
class Regions(TypedDict):
    """The boxes of a photo."""

    regions: list[SuggestedRegion]
    """The clearest first."""


@with_config(_CONFIG)
class MapPhotos(TypedDict):
    """The items at keys of the map."""

    photos: list[MapPhoto]
    """Those that exist, in the requested order."""


@with_config(_CONFIG)
class FeedbackRecorded(TypedDict):
    """What was written."""

    recorded: Literal["click", "judgment"]
    """What was written."""


@with_config(_CONFIG)
class ReplicaBatchTaken(TypedDict):
    """The answer to a batch of a replica."""

    taken: _Count
    """How many rows were written."""


@with_config(_CONFIG)
class EncoderHealth(TypedDict):
    """The state of the model."""

    status: Literal["loading", "ready", "failed"]
    """The model's state."""
    spec: str
    """The model's name."""
    reason: str
    """Why it failed, else empty."""


@with_config(_CONFIG)
class HealthDocument(TypedDict):
    """What the service can answer."""

    status: Literal["ready", "loading", "degraded"]
    """What is possible."""
    version: str
    """The program's version."""
    items: _Count
    """Items in the catalog."""
    generation: _Count
    """The index generation in use."""
    encoder: EncoderHealth
    """The model that understands texts and pictures."""


@with_config(_CONFIG)
class ErrorBody(TypedDict):
    """A failure."""

    code: str
    """Stable; made for programs."""
    message: str
    """One sentence for people."""


@with_config(_CONFIG)
class Error(TypedDict):
    """The answer to a request that failed."""

    error: ErrorBody
    """What went wrong."""


@with_config(_CONFIG)
class Failed(TypedDict):
    """The health of a service that cannot answer."""

    status: Literal["failed"]
    """No search is possible."""
    version: str
    """The program's version."""
    error: ErrorBody
    """Why."""


def query_document(query: core.Query) -> QueryDocument:
    """Return the query as it was understood; a term of raw bytes is shown by its length."""
    return {
        "terms": [_term_document(term) for term in query.terms],
        "n": query.n,
        "offset": query.offset,
        "filters": [str(filter) for filter in query.filters],
        "emphasis": {
            "color": query.emphasis.color,
            "shape": query.emphasis.shape,
            "pattern": query.emphasis.pattern,
        },
        "same_color": query.same_color,
        "duplicates": query.duplicates,
        "diversity": query.diversity,
        "spelling": query.spelling,
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
        "hits": [_hit_document(hit, image, thumbnail) for hit in result.hits],
        "confidence": result.confidence,
        "notes": list(result.notes),
        "timing_ms": {stage: round(value, 3) for stage, value in result.timing_ms.items()},
        **words,
    }


def _hit_document(
    hit: Hit, image: Callable[[Hit], str], thumbnail: Callable[[Hit], str] | None
) -> HitDocument:
    document = {
        "item_id": hit.item_id,
        "rank": hit.rank,
        "score": round(hit.score, 6),
        "title": hit.title,
        "image": image(hit),
        "metadata": plain(hit.metadata),
        "also": list(hit.also),
    }
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
