"""The frozen records that carry data between the modules: items, hits, results, feedback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal

from imgsearch.core.column_names import title_columns
from imgsearch.core.column_values import ColumnKind
from imgsearch.core.cursors import Cursor
from imgsearch.core.query import Query

Verdict = Literal["good", "bad", "cant_tell"]
Confidence = Literal["strong", "fair", "weak"]

_BEGINNING = Cursor.start(0)


def display_title(item_id: str, metadata: Mapping[str, Any], title_column: str = "") -> str:
    """Return the words to show for an item, from the first title column that is not empty, else from its file name.

    The columns are in the order of `imgsearch.core.column_names.title_columns`; `title_column` is the stated one.
    """
    for column in _title_columns(tuple(metadata), title_column):
        value = metadata.get(column)
        if isinstance(value, str) and value.strip():
            return value.strip()
    stem = PurePosixPath(item_id).stem
    return stem.replace("_", " ").replace("-", " ").strip() or item_id


@lru_cache(maxsize=4096)
def _title_columns(names: tuple[str, ...], stated: str) -> tuple[str, ...]:
    return tuple(title_columns(names, stated))


@dataclass(frozen=True, slots=True)
class Item:
    """One product photo with its row.

    `key` is the uint64 of the photo's present content in the index and the embeddings: a changed photo gets a new
    key, and a key is never reused. `location` is the original's path or URL, or `zip:ARCHIVE!/MEMBER` (also `tar:`)
    for a photo inside an archive. `revision` is the number of the item's latest change, 0 before the first that was
    counted. `metadata` has values as JSON holds them: numbers, texts, booleans, lists of texts; dates and times are
    ISO 8601 texts. `title_column` is the column that a schema file states as the title, if any.
    """

    item_id: str
    key: int
    location: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    width_px: int = 0
    height_px: int = 0
    revision: int = 0
    updated_at: datetime | None = None
    title_column: str = ""

    @property
    def title(self) -> str:
        """The words to show for this item."""
        return display_title(self.item_id, self.metadata, self.title_column)


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result: `rank` counts from 1, `score` is the cosine similarity (higher is better).

    Hits are not in the order of their scores where an emphasis, diversity, a rule or titles
    (`imgsearch.search.words.titles`) count too. `also` has the ids of the items that are collapsed into this one,
    best first.
    """

    item_id: str
    rank: int
    score: float
    key: int
    image: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    group: str | None = None
    others: int = 0
    boosts: Mapping[str, float] = field(default_factory=dict)
    title_column: str = ""

    @property
    def title(self) -> str:
        """The words to show for this hit."""
        return display_title(self.item_id, self.metadata, self.title_column)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of one query, best first.

    `search_id` identifies this search in the feedback; `timing_ms` has one entry for each stage, and `total`.
    `matching` is the number of items that pass the filters, hits or not. `notes` are remarks on the hits, and
    `confidence` says how good the best of them are for this catalog; None where that is not known. `total` is how
    many hits all pages have where the query leaves some out (`sort`, `min_confidence`), else None. `cursor` leads to
    the next page; "" where this is the last one. `position` is where this page begins.
    """

    query: Query
    hits: tuple[Hit, ...]
    encoder: str
    generation: int
    matching: int
    timing_ms: Mapping[str, float]
    search_id: str
    notes: tuple[str, ...] = ()
    confidence: Confidence | None = None
    total: int | None = None
    facets: tuple[Facet, ...] = ()
    cursor: str = ""
    position: Cursor = _BEGINNING

    def shown_metadata(self, hit: Hit) -> Mapping[str, Any]:
        """Return the metadata of a hit that the query's `fields` name: all where it names none."""
        fields = self.query.fields
        if fields is None:
            return hit.metadata
        wanted = {name.casefold() for name in fields}
        return {name: value for name, value in hit.metadata.items() if name.casefold() in wanted}


@dataclass(frozen=True, slots=True)
class Exposure:
    """A visitor's search that was answered within an experiment.

    `arm` is the system that answered it ("" where the hits of two are mixed); if it `failed`, the live system
    answered. `first_rank` is above 1 for further hits of a search. `total_ms` is the service's time, that of a failed
    system included.
    """

    search_id: str
    experiment: str
    arm: str
    visitor: str
    query_key: str
    first_rank: int
    hits: int
    total_ms: float
    failed: bool


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a metadata column and how many items have it."""

    value: Any
    count: int


@dataclass(frozen=True, slots=True)
class Facet:
    """A metadata column as a filter offers it.

    `kind` is `choice` (few distinct values: `values`, most frequent first), `range` (numbers and prices: `low`,
    `high`), `period` (dates and times: `first`, `last` in ISO 8601, "" where there are none) or `text` (too many
    values to list: search inside them with `contains`). `holds` is the kind of the column; `currency` is that of all
    its prices, "" where they have none or several. Values of lists are counted each by itself.
    """

    column: str
    kind: Literal["choice", "range", "period", "text"]
    values: tuple[FacetValue, ...] = ()
    low: float | None = None
    high: float | None = None
    holds: ColumnKind = "text"
    currency: str = ""
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One photo that could not be indexed: its path, and the reason in one sentence."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many files and folders of the sources were left out for one reason, and a few examples of them."""

    reason: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexingReport:
    """What one indexing run did.

    `vanished` items are in the catalog but no longer in their source; with pruning they are among `removed`.
    `seconds` has one entry for each stage, and `total`; `notes` are sentences on what a person should check.
    `not_removed` says in a sentence why a run with pruning removed nothing: too large a share has vanished. `moved`
    has (the old id, the new id) of the items whose photos were found under another id; nothing of them was encoded.
    `left_out` is what the sources hold but the run did not look at.
    """

    added: int
    changed: int
    unchanged: int
    removed: int
    vanished: int
    failed: tuple[Failure, ...]
    seconds: Mapping[str, float]
    encoder: str
    notes: tuple[str, ...] = ()
    not_removed: str = ""
    moved: tuple[tuple[str, str], ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def problem(self) -> str:
        """Why the run did not do what it was for, in a sentence: exit code 1 of a command; else ""."""
        if self.not_removed:
            return self.not_removed
        if self.failed and not (self.added or self.changed or self.unchanged or self.moved):
            first = self.failed[0]
            return f"None of {len(self.failed):,} photos could be indexed; the first, {first.path}: {first.reason}"
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON of `imgsearch index --json`."""
        seconds = {stage: round(value, 3) for stage, value in self.seconds.items()}
        failed = [asdict(failure) for failure in self.failed]
        moved = [{"from": old, "to": new} for old, new in self.moved]
        left_out = [{**asdict(one), "examples": list(one.examples)} for one in self.left_out]
        lists = {"failed": failed, "notes": list(self.notes), "moved": moved, "left_out": left_out}
        return {**asdict(self), **lists, "seconds": seconds}


@dataclass(frozen=True, slots=True)
class Judgment:
    """One labeler's or shopper's verdict on one item for one query."""

    query_key: str
    item_id: str
    verdict: Verdict
    labeler: str
    search_id: str | None = None
