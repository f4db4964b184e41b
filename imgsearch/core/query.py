"""A search request: its terms, filters and options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["Duplicates", "Emphasis", "Filter", "Operator", "Query", "Region", "Spelling", "Term"]

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "contains"]
Duplicates = Literal["collapse", "show"]
Spelling = Literal["correct", "keep"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a metadata column; a query's filters must all hold.

    `value` is a str, float or bool for the comparisons, a tuple of them for `in`, and a str for `contains`
    (case-insensitive). A missing (null) value matches nothing, not even `!=`.
    """

    column: str
    operator: Operator
    value: Any

    def __str__(self) -> str:
        """Return the filter in the grammar that `imgsearch.core.filter_grammar.parse_filter` reads."""
        from imgsearch.core.filter_grammar import format_filter

        return format_filter(self)


class Region(NamedTuple):
    """A part of a photo: its edges as fractions of the upright photo's width and height, 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a query: words, a photo or a colour; a negative weight means "less like this".

    `value` is the text, the item id, the colour as `#rrggbb`, or (kind `image`) the encoded picture's bytes; `kind`
    `upload` holds the id of a picture that the service keeps. With a `region`, that part of the photo counts alone.
    """

    kind: Literal["text", "item", "image", "upload", "color"]
    value: str | bytes
    weight: float = 1.0
    region: Region | None = None


class Emphasis(NamedTuple):
    """How much more a look-alike's colour, shape and pattern count than in the embedding: 0 (no more) to 1 each."""

    color: float = 0.0
    shape: float = 0.0
    pattern: float = 0.0


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: any mix of terms, how many hits (`n`), from which rank on (`offset`), and filters.

    `emphasis` ranks the nearest items anew by how they look, and `same_color` leaves out those of other colours.
    `duplicates` says whether near-duplicates and further photos of one product are collapsed into the best of them.
    `diversity` from 0 to 1 trades nearness for variety. `spelling` says whether words that nobody knows may be
    corrected by who asks (`imgsearch.search.words.spelling`); a search itself takes them as they are.
    """

    terms: tuple[Term, ...]
    n: int = 10
    filters: tuple[Filter, ...] = ()
    offset: int = 0
    emphasis: Emphasis = field(default_factory=Emphasis)
    same_color: bool = False
    duplicates: Duplicates = "show"
    diversity: float = 0.0
    spelling: Spelling = "correct"

    @staticmethod
    def of(
        *,
        text: str | None = None,
        item: str | None = None,
        image: bytes | None = None,
        n: int = 10,
        filters: tuple[Filter, ...] = (),
    ) -> Query:
        """Return the query made of the given parts, each of weight 1."""
        terms: list[Term] = []
        if text is not None:
            terms.append(Term("text", text))
        if item is not None:
            terms.append(Term("item", item))
        if image is not None:
            terms.append(Term("image", image))
        return Query(tuple(terms), n=n, filters=filters)
