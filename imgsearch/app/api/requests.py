"""What requests of the HTTP API may hold: parameters, form fields and JSON bodies."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from imgsearch.app.api.routing import ClosedParams
from imgsearch.core.errors import QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import (
    MAX_ADDRESS_CHARS,
    MAX_CURSOR_CHARS,
    MAX_FILTER_CHARS,
    MAX_ID_CHARS,
    MAX_RANK,
    MAX_TEXT_CHARS,
    MAX_WEIGHT,
    Duplicates,
    Emphasis,
    Fraction,
    MinConfidence,
    Query,
    Region,
    Spelling,
    Term,
    TermKind,
)
from imgsearch.core.query_address import LESS_WEIGHT, MORE_WEIGHT, SHOP_OPTIONS, shop_options
from imgsearch.core.records import Verdict
from imgsearch.store.feedback import MAX_TEXT

MAX_NAME_CHARS = 200
MAX_CLICK_RANK = 1_000_000

FILTER_HELP = (
    "A condition on a metadata column; all must hold. `category=shoes`, `category!=shoes`, `price<50`, "
    "`price=10..50`, `colour in red|blue`, `title~oak` (contains)."
)
PART_HELP = (
    "Any term with a weight of its own, as `weight:kind:value` (kinds text, item, upload, color), such as "
    "`-0.5:text:stripes`; a part of a photo as `1:item@left,top,right,bottom:ID`, edges as fractions of it."
)
EMPHASIS_HELP = "What counts more than in the embedding, 0 to 1 each: `color:0.5,shape:0.2,pattern:1`."
DUPLICATES_HELP = (
    "`collapse` near-duplicates and photos of one product into the best hit (`also`), or `show` them all."
)
SPELLING_HELP = "`keep`: the text is meant as it is written; no correction is offered."
DIVERSITY_HELP = "From 0 (the nearest) to 1: how much variety counts."
VISITOR_HELP = "Your own name for the visitor, kept with the feedback."
N_HELP = "How many hits; 10 if not given."
WEIGHT_HELP = "Not 0; negative means: less like this."
SORT_HELP = (
    "Columns to sort the look-alikes by: `price`, `-price` (descending), `brand,-price`; likeness is the tie-break, "
    "missing values are last. Only look-alikes are hits then: those from `min_confidence` on, by default those whose "
    "score is nearer to the best ones than to the catalog's typical score; `total` says how many."
)
MIN_CONFIDENCE_HELP = (
    "Leave out hits whose score is below this level of the catalog: `fair` or `strong`; `weak` leaves out none. A "
    "mix of terms, a colour or a part of a photo has no level: a note says so."
)
GROUP_HELP = (
    "A column: one hit for each of its values, the best one, with `group` and the number of `others`; no page "
    "repeats a group. Items without a value are hits of their own."
)
BOOST_HELP = (
    "Rank by columns of numbers or dates too: `popularity:0.2`, `popularity:0.5,price:-0.3`, amounts from -3 to 3. "
    "A hit moves by amount x (2 x percentile - 1) standard deviations of the scores, where the percentile is its "
    "value's in the catalog; a missing value counts as the median. Each hit says by how much in `boosts`."
)
IN_STOCK_HELP = (
    "`true`: only items that are in stock by the availability column (`availability`, `in_stock`, `stock`, "
    "`quantity`, ..., or the setting IMGSEARCH_AVAILABILITY_COLUMN)."
)
FACETS_HELP = (
    "Columns to count: `brand,color`, or `*` for all. All items that pass the filters count, alike or not; a "
    "column's own filter does not count against it."
)
FIELDS_HELP = "The metadata columns that hits show: `price,brand`; empty: none. All where it is absent."
CURSOR_HELP = (
    "The `cursor` of the page before: the next page repeats no hit and leaves none out, also while items change. "
    "Items that are added or move forward meanwhile are on the next page."
)
OFFSET_HELP = "How many of the best hits to skip; ranks continue from there."


def _repeated(description: str) -> Any:
    return Field([], description=f"{description} May be repeated.")


def _optional(description: str) -> Any:
    return Field(None, description=description)


def _form(type: str = "string", **schema: object) -> WithJsonSchema:
    """Return the described form of a text that `imgsearch.core.query_address` reads."""
    return WithJsonSchema({"type": type, **schema})


_SHARE = r"(0(\.[0-9]{1,6})?|1)"
_REGION = f"{_SHARE},{_SHARE},{_SHARE},{_SHARE}"
_EMPHASIS = f"(color|shape|pattern):{_SHARE}"
_PART = rf"^-?[0-9]{{1,3}}(\.[0-9]{{1,6}})?:(text|item|upload|color)(@{_REGION})?:.+$"

_Columns = Annotated[str, _form(maxLength=MAX_CURSOR_CHARS)]
_Id = Annotated[str, _form(maxLength=MAX_ID_CHARS)]
_Rank = Annotated[str, _form("integer", minimum=0, maximum=MAX_RANK)]
_Visitor = Annotated[str, Field(max_length=MAX_NAME_CHARS)]
_FilterText = Annotated[str, Field(max_length=MAX_FILTER_CHARS)]
_Weight = Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT)]
_Name = Annotated[str, Field(max_length=MAX_TEXT)]
_ItemId = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]


class PageParams(ClosedParams):
    """Parameters of a page of hits."""

    n: Annotated[str, _form("integer", minimum=1, maximum=MAX_RANK)] = Field("10", description=N_HELP)
    offset: _Rank = Field("0", description=OFFSET_HELP)
    filter: list[Annotated[str, _form(maxLength=MAX_FILTER_CHARS)]] = _repeated(FILTER_HELP)
    sort: list[_Columns] = _repeated(SORT_HELP)
    min_confidence: Annotated[str, _form(enum=["weak", "fair", "strong"])] = Field(
        "weak", description=MIN_CONFIDENCE_HELP
    )
    group_by: Annotated[str, _form()] = Field("", description=GROUP_HELP)
    boost: list[_Columns] = _repeated(BOOST_HELP)
    in_stock: Annotated[str, _form(enum=["true", "false"])] = Field("false", description=IN_STOCK_HELP)
    facets: list[_Columns] = _repeated(FACETS_HELP)
    fields: list[_Columns] | None = _optional(f"{FIELDS_HELP} May be repeated.")
    cursor: Annotated[str, _form(maxLength=MAX_CURSOR_CHARS)] = Field("", description=CURSOR_HELP)
    visitor: _Visitor = Field("", description=VISITOR_HELP)


class SearchParams(PageParams):
    """Parameters of a search: the grammar of the address bar."""

    text: list[Annotated[str, _form(maxLength=MAX_TEXT_CHARS)]] = _repeated("Words to search for.")
    item: list[_Id] = _repeated("The id of an item to find similar items for.")
    more: list[_Id] = _repeated(f"The id of an item to lean towards (weight {MORE_WEIGHT}).")
    less: list[_Id] = _repeated(f"The id of an item to lean away from (weight {LESS_WEIGHT}).")
    upload: list[Annotated[str, _form(pattern="^[0-9a-f]{32}$")]] = _repeated(
        "The id of a picture sent before (`query.terms` of that answer has it)."
    )
    color: list[Annotated[str, _form(pattern="^#?[0-9a-fA-F]{6}$")]] = _repeated(
        "A colour as six hexadecimal digits, such as cc2233."
    )
    part: list[Annotated[str, _form(pattern=_PART)]] = _repeated(PART_HELP)
    emphasis: Annotated[str, _form(pattern=f"^{_EMPHASIS}(,{_EMPHASIS})*$")] = Field(
        "", description=EMPHASIS_HELP
    )
    same: Annotated[str, _form(enum=["color"])] = Field(
        "", description="`color`: only items of the requested colours."
    )
    duplicates: Annotated[str, _form(enum=["collapse", "show"])] = Field("show", description=DUPLICATES_HELP)
    diversity: Annotated[str, _form("number", minimum=0, maximum=1)] = Field("0", description=DIVERSITY_HELP)
    spelling: Annotated[str, _form(enum=["correct", "keep"])] = Field("correct", description=SPELLING_HELP)


class SearchForm(SearchParams):
    """A search as a multipart form: the parameters of GET search, and a picture."""

    image: Annotated[bytes | None, _form(format="binary")] = _optional("The picture, as a file.")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class WeightedText(_Body):
    """Words or a colour with a weight."""

    value: str = Field(description="The words, or the colour.", max_length=MAX_TEXT_CHARS)
    weight: _Weight | None = _optional(WEIGHT_HELP)


class Weighted(_Body):
    """A photo with a weight."""

    value: str = Field(description="The id of the item or the picture.", max_length=MAX_ID_CHARS)
    weight: _Weight | None = _optional(WEIGHT_HELP)
    region: Annotated[list[Fraction], Field(min_length=4, max_length=4)] | None = _optional(
        "Left, top, right, bottom of the part that counts, as fractions of the photo."
    )


_Words = Annotated[str, Field(max_length=MAX_TEXT_CHARS)] | WeightedText
_ColorEntry = Annotated[str, Field(pattern="^#?[0-9a-fA-F]{6}$")] | WeightedText
_ItemEntry = Annotated[str, Field(max_length=MAX_ID_CHARS)] | Weighted
_UploadEntry = Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | Weighted
_ColumnText = Annotated[str, Field(max_length=MAX_CURSOR_CHARS)]
_ColumnList = _ColumnText | list[_ColumnText]
_Entry = str | WeightedText | Weighted


class SearchBody(_Body):
    """A search as JSON; a field that is null counts as absent."""

    text: _Words | list[_Words] | None = _optional("Words.")
    items: _ItemEntry | list[_ItemEntry] | None = _optional("Item ids.")
    more: _ItemEntry | list[_ItemEntry] | None = _optional(
        f"Item ids; the weight is {MORE_WEIGHT} where none is given."
    )
    less: _ItemEntry | list[_ItemEntry] | None = _optional(
        f"Item ids; the weight is {LESS_WEIGHT} where none is given."
    )
    uploads: _UploadEntry | list[_UploadEntry] | None = _optional("Ids of pictures sent before.")
    colors: _ColorEntry | list[_ColorEntry] | None = _optional("Colours as #rrggbb.")
    emphasis: dict[Literal["color", "shape", "pattern"], Fraction] | None = _optional(
        "How much more color, shape and pattern count than in the embedding: 0 to 1 each."
    )
    same_color: bool | None = _optional("Only items of the requested colours.")
    duplicates: Duplicates | None = _optional(DUPLICATES_HELP)
    diversity: Fraction | None = _optional(DIVERSITY_HELP)
    spelling: Spelling | None = _optional(SPELLING_HELP)
    image: str | None = _optional("A picture in base64, or as a data URL.")
    n: Annotated[int, Field(ge=1, le=MAX_RANK)] | None = _optional(N_HELP)
    offset: Annotated[int, Field(ge=0, le=MAX_RANK)] | None = _optional(OFFSET_HELP)
    filter: _FilterText | list[_FilterText] | None = _optional(FILTER_HELP)
    sort: _ColumnList | None = _optional(SORT_HELP)
    min_confidence: MinConfidence | None = _optional(MIN_CONFIDENCE_HELP)
    group_by: str | None = _optional(GROUP_HELP)
    boost: _ColumnList | None = _optional(BOOST_HELP)
    in_stock: bool | None = _optional(IN_STOCK_HELP)
    facets: _ColumnList | None = _optional(FACETS_HELP)
    fields: _ColumnList | None = _optional(FIELDS_HELP)
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_CHARS)] | None = _optional(CURSOR_HELP)
    visitor: _Visitor | None = _optional(VISITOR_HELP)

    def query(self, default_n: int) -> Query:
        """Return the query, without the picture; raises `QueryError`."""
        terms = [
            *(term for term in _terms(self.text, "text", 1.0) if str(term.value).strip()),
            *_terms(self.items, "item", 1.0),
            *_terms(self.more, "item", MORE_WEIGHT),
            *_terms(self.less, "item", LESS_WEIGHT),
            *_terms(self.uploads, "upload", 1.0),
            *_terms(self.colors, "color", 1.0),
        ]
        names = ("n", "offset", "same_color", "duplicates", "diversity", "spelling")
        options = {name: value for name in names if (value := getattr(self, name)) is not None}
        texts = {name: _texts(getattr(self, name)) for name in SHOP_OPTIONS}
        return Query(
            tuple(terms),
            filters=parse_filters(_listed(self.filter)),
            emphasis=Emphasis(**(self.emphasis or {})),
            **{"n": default_n, **options, **shop_options(texts)},
        )

    def picture(self) -> bytes | None:
        """Return the picture; raises `QueryError` where it is no base64."""
        return None if self.image is None else decoded_picture(self.image, "image")


def decoded_picture(text: str, name: str) -> bytes:
    """Return the picture that the field `name` holds in base64; raises `QueryError`."""
    # A data URL, as browsers make them, is fine too.
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise QueryError(f"{name} is not valid base64.") from None


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [] if given is None else [given]


def _texts(given: str | bool | list[str] | None) -> list[str] | None:
    """Return an option as texts in the grammar of the address; an empty list, as `fields` may be, as "" alone."""
    if given is None:
        return None
    if isinstance(given, bool):
        return ["true" if given else "false"]
    return _listed(given) or [""]


def _terms(given: _Entry | list[Any] | None, kind: TermKind, usual: float) -> Iterator[Term]:
    entries: list[_Entry] = _listed(given)
    for entry in entries:
        value = entry if isinstance(entry, str) else entry.value
        weight = None if isinstance(entry, str) else entry.weight
        edges = entry.region if isinstance(entry, Weighted) else None
        yield Term(
            kind,
            f"#{value.removeprefix('#').lower()}" if kind == "color" else value,
            usual if weight is None else weight,
            None if edges is None else Region(*edges),
        )


class ClickDocument(_Body):
    """A visitor's click on a hit."""

    kind: Literal["click"] = Field(description="What this is.")
    search_id: _Name = Field("", description="The search whose hit was clicked; empty where there was none.")
    item_id: _ItemId = Field(description="The item that was clicked.")
    rank: Annotated[int, Field(ge=0, le=MAX_CLICK_RANK)] = Field(
        0, description="Its rank in that search; 0 where there was none."
    )
    action: _Name = Field(
        "open", description="What the visitor did: `open` if not given, `similar`, `more`, `less`, `buy`, ..."
    )
    visitor: _Name = Field("", description="Your own name for the visitor.")


class JudgmentDocument(_Body):
    """A verdict on a hit."""

    kind: Literal["judgment"] = Field(description="What this is.")
    query: Annotated[str, Field(max_length=MAX_ADDRESS_CHARS)] = Field(
        description="The query that was judged, in the grammar of GET search: `text=red+mug`, `item=1.jpg`."
    )
    item_id: _ItemId = Field(description="The item that was judged.")
    verdict: Verdict = Field(description="Whether the item is a good answer to the query.")
    labeler: _Name = Field(description="Who judged.", min_length=1)
    search_id: _Name = Field("", description="The search in which it was judged, if any.")


Feedback = TypeAliasType("Feedback", Annotated[ClickDocument | JudgmentDocument, Field(discriminator="kind")])


class ReplicaBatch(BaseModel):
    """What `imgsearch serve --replica-of` sends."""

    batch: str = Field(description="A random name of the batch.")
    rows: list[list[Any]] = Field(description="Each a table's name and the values of its columns.")
