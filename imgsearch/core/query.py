"""A search request: its terms, filters and options, and every limit on them.

The classes validate whatever they are made of, also in `dataclasses.replace`: an instance is always a valid one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.text import check_text
from imgsearch.core.validation import sentence

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "contains"]
Duplicates = Literal["collapse", "show"]
Spelling = Literal["correct", "keep"]
TermKind = Literal["text", "item", "image", "upload", "color"]
MinConfidence = Literal["weak", "fair", "strong"]

MAX_TERMS = 32
MAX_FILTERS = 32
MAX_TEXT_CHARS = 2000
MAX_ID_CHARS = 4096
MAX_QUERY_CHARS = 64_000
"""Of all terms and filters together: feedback stores a query with each of its hits."""
MAX_ADDRESS_CHARS = 12 * MAX_QUERY_CHARS + 10_000
"""Of a query as URL parameters: a character takes up to 12 there, and the names take some."""
MAX_FILTER_CHARS = 4000
MAX_FILTER_VALUES = 1000
MAX_WEIGHT = 100.0
MIN_REGION = 0.01
"""The least width and height of a region, as a fraction of the photo."""
MAX_RANK = 1_000_000_000
MAX_COLUMN_CHARS = 400
MAX_SORTS = 8
MAX_BOOSTS = 8
MAX_BOOST = 3.0
MAX_NAMED_COLUMNS = 300
"""Of `fields` and of `facets`."""
MAX_CURSOR_CHARS = 12_000
ALL_COLUMNS = "*"

_CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_NEEDS_QUOTES = re.compile(r'^\s|\s$|^$|[="<>!~|\\]|\sin(?:\s|$)', re.I)
_DAY = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?"
RANGE = re.compile(rf"(?:-?\d+(?:\.\d+)?\.\.-?\d+(?:\.\d+)?|(?P<date>{_DAY}\.\.{_DAY}))$")
"""A filter's value that is a range: two numbers, or two dates with or without times."""
_TEXT_FIELD = Field(max_length=MAX_FILTER_CHARS)

Fraction = Annotated[float, Field(ge=0, le=1)]
ColumnName = Annotated[str, Field(min_length=1, max_length=MAX_COLUMN_CHARS)]
_Value = Annotated[str, _TEXT_FIELD] | bool | int | float


@dataclass(frozen=True, slots=True, config=_CONFIG)
class _Checked:
    """Raises one sentence instead of pydantic's list of errors."""

    error: ClassVar[type[QueryError]] = QueryError

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(given)
        except ValidationError as error:
            names = [field.name for field in fields(cls)]
            raise cls.error(sentence(error.errors(), fields=names)) from None


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Filter(_Checked):
    """One condition on a metadata column; a query's filters must all hold.

    `value` is a str, float or bool for the comparisons, a tuple of them for `in`, and a str for `contains`
    (case-insensitive). A missing (null) value matches nothing, not even `!=`.
    """

    error: ClassVar[type[QueryError]] = FilterError

    column: Annotated[str, _TEXT_FIELD]
    operator: Operator
    value: _Value | Annotated[tuple[_Value, ...], Field(max_length=MAX_FILTER_VALUES)]

    def __post_init__(self) -> None:
        if isinstance(self.value, tuple) != (self.operator == "in"):
            raise FilterError(f"The filter on {self.column[:40]!r} needs several values for 'in', else one.")
        length = len(str(self))
        if length > MAX_FILTER_CHARS:
            raise FilterError(
                f"The filter on {self.column[:40]!r} has {length:,} characters; shorten it to at most "
                f"{MAX_FILTER_CHARS:,}."
            )

    @property
    def values(self) -> tuple[_Value, ...]:
        """The values of `in`, or the one value of any other operator."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def __str__(self) -> str:
        """Return the filter in the grammar that `imgsearch.core.filter_grammar.parse_filter` reads."""
        column = _quoted(self.column)
        values = "|".join(_quoted(plain_value(value)) for value in self.values)
        signs = {"in": " in ", "contains": "~"}
        return f"{column}{signs.get(self.operator, self.operator)}{values}"


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Region(_Checked):
    """A part of a photo: its edges as fractions of the upright photo's width and height, 0 to 1."""

    left: Fraction
    top: Fraction
    right: Fraction
    bottom: Fraction

    def __post_init__(self) -> None:
        if self.right - self.left < MIN_REGION or self.bottom - self.top < MIN_REGION:
            raise QueryError(
                f"A region is {self.left:g},{self.top:g},{self.right:g},{self.bottom:g} (left, top, right, bottom), "
                f"but must be at least {MIN_REGION:g} of the photo wide and high."
            )

    def __iter__(self) -> Iterator[float]:
        """Yield the edges: left, top, right, bottom."""
        return iter((self.left, self.top, self.right, self.bottom))


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Term(_Checked):
    """One part of a query: words, a photo or a colour; a negative weight means "less like this".

    `value` is the text, the item id, the colour as `#rrggbb`, or (kind `image`) the encoded picture's bytes; `kind`
    `upload` holds the id of a picture that the service keeps. With a `region`, only that part of the photo counts.
    """

    kind: TermKind
    value: str | bytes
    weight: Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT)] = 1.0
    region: Region | None = None

    @property
    def needs_encoder(self) -> bool:
        """Whether a search for this term encodes words or pixels: not for stored items and colours."""
        return self.kind in ("text", "image", "upload") or self.region is not None

    def __post_init__(self) -> None:
        if self.weight == 0:
            raise QueryError("A weight in the query is 0; leave that term out instead.")
        if self.region is not None and self.kind not in ("item", "upload", "image"):
            raise QueryError(f"A term of kind {self.kind} has no region; only photos have.")
        if self.kind == "image":
            if not isinstance(self.value, bytes):
                raise QueryError("A term of kind image must hold the bytes of a picture.")
            return
        text = check_text(
            self.value, f"The {self.kind}", max_chars=MAX_TEXT_CHARS if self.kind == "text" else MAX_ID_CHARS
        )
        if self.kind == "color" and not _COLOR.fullmatch(text):
            raise QueryError(
                f"The colour is {text[:20]!r}, but must be six hexadecimal digits, such as cc2233."
            )
        if self.kind == "upload" and not _UPLOAD_ID.fullmatch(text):
            raise QueryError(
                f"The upload id {text[:40]!r} is not one of this service: it has 32 hexadecimal digits."
            )


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Emphasis(_Checked):
    """How much more colour, shape and pattern count than in the embedding: 0 (no more) to 1 each."""

    NAMES: ClassVar[tuple[str, ...]] = ("color", "shape", "pattern")

    color: Fraction = 0.0
    shape: Fraction = 0.0
    pattern: Fraction = 0.0

    def __iter__(self) -> Iterator[float]:
        """Yield the three values, in the order of `NAMES`."""
        return iter((self.color, self.shape, self.pattern))


_NO_EMPHASIS = Emphasis()


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Sort(_Checked):
    """A column to sort hits by; items without a value come last in both directions."""

    column: ColumnName
    descending: bool = False

    def __str__(self) -> str:
        """Return `price`, or `-price` where the order is descending."""
        return f"-{self.column}" if self.descending else self.column


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Boost(_Checked):
    """How far a column of numbers moves a hit: `amount` from -3 to 3, in standard deviations of the scores.

    The highest value of the catalog moves by the whole amount, the lowest as far the other way, the median and a
    missing value not at all (`imgsearch.search.ranking.column_boosts`).
    """

    column: ColumnName
    amount: Annotated[float, Field(ge=-MAX_BOOST, le=MAX_BOOST)]

    def __post_init__(self) -> None:
        if self.amount == 0:
            raise QueryError(f"The boost by {self.column[:40]!r} is 0; leave it out instead.")

    def __str__(self) -> str:
        """Return `popularity:0.2`."""
        return f"{self.column}:{self.amount:g}"


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Query(_Checked):
    """A search request: any mix of terms, how many hits (`n`), from which rank on (`offset`), and filters.

    `emphasis` re-ranks the nearest items by their look, and `same_color` leaves out those of other colours.
    `duplicates` says whether near-duplicates and further photos of one product are collapsed into the best of them.
    `diversity` from 0 to 1 trades nearness for variety. `spelling` says whether the caller may correct unknown words
    (`imgsearch.search.words.word_help`); a search itself takes them as they are.

    `sort` orders the look-alikes by columns, with their likeness as the tie-break, and `min_confidence` leaves out
    hits below that level (`imgsearch.search.look_alikes`). `group_by` shows the best hit of each value of a column.
    `boosts` rank by numeric columns too, and `in_stock` leaves out what the availability column says is sold out.
    `facets` names the columns to count (`*`: all), `fields` those to show of a hit (None: all). `cursor` is that of
    the page before; it replaces the offset.
    """

    terms: Annotated[tuple[Term, ...], Field(strict=False, max_length=MAX_TERMS)]
    n: Annotated[int, Field(ge=1, le=MAX_RANK)] = 10
    filters: Annotated[tuple[Filter, ...], Field(strict=False, max_length=MAX_FILTERS)] = ()
    offset: Annotated[int, Field(ge=0, le=MAX_RANK)] = 0
    emphasis: Emphasis = _NO_EMPHASIS
    same_color: bool = False
    duplicates: Duplicates = "show"
    diversity: Fraction = 0.0
    spelling: Spelling = "correct"
    sort: Annotated[tuple[Sort, ...], Field(strict=False, max_length=MAX_SORTS)] = ()
    min_confidence: MinConfidence = "weak"
    group_by: Annotated[str, Field(max_length=MAX_COLUMN_CHARS)] = ""
    boosts: Annotated[tuple[Boost, ...], Field(strict=False, max_length=MAX_BOOSTS)] = ()
    in_stock: bool = False
    facets: Annotated[tuple[ColumnName, ...], Field(strict=False, max_length=MAX_NAMED_COLUMNS)] = ()
    fields: Annotated[tuple[ColumnName, ...], Field(strict=False, max_length=MAX_NAMED_COLUMNS)] | None = None
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_CHARS)] = ""

    def __post_init__(self) -> None:
        if self.cursor and self.offset:
            raise QueryError("A cursor already says where the page begins; leave the offset out.")
        length = sum(len(term.value) for term in self.terms if term.kind != "image")
        length += sum(len(str(each)) for each in self.filters)
        if length > MAX_QUERY_CHARS:
            raise QueryError(
                f"The query has {length:,} characters in all; leave out some terms or filters so that it has at most "
                f"{MAX_QUERY_CHARS:,}."
            )

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
        given: dict[TermKind, str | bytes | None] = {"text": text, "item": item, "image": image}
        terms = tuple(Term(kind, value) for kind, value in given.items() if value is not None)
        return Query(terms, n=n, filters=filters)

    def within(self, max_results: int) -> Query:
        """Return the query itself; raises `QueryError` where `n` or `offset` is above `max_results`."""
        for name, least, value in (("n", 1, self.n), ("offset", 0, self.offset)):
            if value > max_results:
                raise QueryError(
                    f"{name} is {value}, but must be a whole number from {least} to {max_results}."
                )
        return self


def plain_value(value: str | bool | int | float) -> str:
    """Return a filter's value as a person writes it: 50, not 50.0; true, not True."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _quoted(text: str) -> str:
    """Return the text in quotes where the filter grammar would read it as something else."""
    if not _NEEDS_QUOTES.search(text) and not RANGE.match(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
