"""Records as JSON documents: the shapes that the HTTP API and the CLI's `--json` share.

It owns their field names and makes every value fit for JSON (no NaN, no dates, nothing but plain types); where
pictures are served is handed in by the caller.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from imgsearch.core.query import Query
from imgsearch.core.records import Hit, Item, SearchResult
from imgsearch.search.words.filter_suggestions import Suggestion
from imgsearch.search.words.spelling import Correction

__all__ = ["item_document", "plain", "query_document", "result_document", "words_document"]


def query_document(query: Query) -> dict[str, Any]:
    """Return the query as it was understood; a term of raw bytes is shown by its length."""
    return {
        "terms": [
            {
                "kind": term.kind,
                "value": term.value if isinstance(term.value, str) else f"{len(term.value)} bytes",
                "weight": term.weight,
                **({} if term.region is None else {"region": list(term.region)}),
            }
            for term in query.terms
        ],
        "n": query.n,
        "offset": query.offset,
        "filters": [str(filter) for filter in query.filters],
        "emphasis": dataclasses.asdict(query.emphasis),
        "same_color": query.same_color,
        "duplicates": query.duplicates,
        "diversity": query.diversity,
        "spelling": query.spelling,
    }


def words_document(suggestions: Sequence[Suggestion], correction: Correction | None) -> dict[str, Any]:
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


def result_document(result: SearchResult, image: Callable[[Hit], str]) -> dict[str, Any]:
    """Return a search result; `image` says where a hit's photo is found (a path, a URL)."""
    return {
        "search_id": result.search_id,
        "query": query_document(result.query),
        "encoder": result.encoder,
        "generation": result.generation,
        "matching": result.matching,
        "hits": [
            {
                "item_id": hit.item_id,
                "rank": hit.rank,
                "score": round(hit.score, 6),
                "title": hit.title,
                "image": image(hit),
                "metadata": plain(hit.metadata),
                "also": list(hit.also),
            }
            for hit in result.hits
        ],
        "confidence": result.confidence,
        "notes": list(result.notes),
        "timing_ms": {stage: round(value, 3) for stage, value in result.timing_ms.items()},
    }


def item_document(item: Item, image: str) -> dict[str, Any]:
    """Return an item with its row."""
    return {
        "item_id": item.item_id,
        "title": item.title,
        "image": image,
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
