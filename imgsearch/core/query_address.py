"""The URLs of this application: a query to address-bar parameters and back, and where pictures are served.

It owns one grammar, shared by the address bar, `GET /api/v1/search` and shared links; it knows no web framework.

    text=red+mug     item=shoes/1.jpg     upload=<32 hex>     n=24     filter=price<50   (each may repeat)
    color=cc2233     a colour
    more=ID          an item with weight +0.6 ("more like this")
    less=ID          an item with weight -0.4 ("less like this")
    part=WEIGHT:KIND:VALUE   any term, where it has another weight: part=-0.5:text:stripes
    part=WEIGHT:KIND@LEFT,TOP,RIGHT,BOTTOM:VALUE   a part of a photo, edges as fractions: part=1:item@0,0.5,1,1:a.jpg
    emphasis=color:0.5,shape:0.2,pattern:1   same=color   duplicates=collapse   diversity=0.3
    spelling=keep    the text is meant as it is written
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from imgsearch.core.errors import QueryError
from imgsearch.core.filter_grammar import format_filter, parse_filters
from imgsearch.core.query import Duplicates, Emphasis, Query, Region, Spelling, Term
from imgsearch.core.records import Hit, Item

__all__ = [
    "LESS_WEIGHT",
    "MORE_WEIGHT",
    "parse_region",
    "parse_weight",
    "part_of",
    "query_from_params",
    "query_key",
    "query_string",
    "query_to_params",
    "regions_url",
    "thumbnail_url",
    "upload_url",
]

MORE_WEIGHT = 0.6
LESS_WEIGHT = -0.4

# Segments that browsers, proxies or Streamlit's path check would resolve or refuse: "", "." and "..".
_NOT_IN_A_PATH = re.compile(r"(^|[/\\])\.{0,2}([/\\]|$)|\x00")
_NAMES = (
    "text", "item", "upload", "color", "more", "less", "part", "filter",
    "emphasis", "same", "duplicates", "diversity", "spelling", "n",
)  # fmt: skip
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_COLOR = re.compile(r"#?([0-9a-fA-F]{6})")
_PART = re.compile(r"([^:]*):(text|item|upload|color)(?:@([^:]*))?:(.*)", re.DOTALL)
MAX_WEIGHT = 100.0
SMALLEST_REGION = 0.01
"""The least width and height of a region, as a fraction of the photo."""


def thumbnail_url(photo: Item | Hit, size_px: int = 384) -> str:
    """Return the path of a photo's thumbnail; it changes when the photo's content does, so it may be cached."""
    rest = f"size={size_px}&v={photo.key}"
    if _NOT_IN_A_PATH.search(photo.item_id):
        return f"/thumbnails?id={quote(photo.item_id, safe='')}&{rest}"
    return f"/thumbnails/{quote(photo.item_id, safe='/')}?{rest}"


def upload_url(upload_id: str, size_px: int = 384) -> str:
    """Return the path of an uploaded picture's thumbnail."""
    return f"/uploads/{quote(upload_id, safe='')}?size={size_px}"


def regions_url(term: Term) -> str:
    """Return the path of the boxes around the things in the photo of an item or an upload."""
    return f"/api/v1/regions?{urlencode({str(term.kind): str(term.value)})}"


def query_to_params(
    query: Query, *, default_n: int = 0, default_duplicates: Duplicates = "show"
) -> dict[str, list[str]]:
    """Return the parameters that say `query`; what is as the defaults are is left out.

    Weights are kept to three decimals, regions to four. A term of kind `image` (raw bytes) has no address and raises
    `QueryError`: keep it as an upload first.
    """
    params: dict[str, list[str]] = {}
    for term in query.terms:
        if term.kind == "image" or isinstance(term.value, bytes):
            raise QueryError("A picture given as bytes has no address; upload it first and use its id.")
        name, value = _short_form(term, term.value)
        params.setdefault(name, []).append(value)
    for filter in query.filters:
        params.setdefault("filter", []).append(format_filter(filter))
    if any(query.emphasis):
        parts = zip(Emphasis._fields, query.emphasis, strict=True)
        params["emphasis"] = [",".join(f"{name}:{_number(value)}" for name, value in parts if value)]
    if query.same_color:
        params["same"] = ["color"]
    if query.duplicates != default_duplicates:
        params["duplicates"] = [query.duplicates]
    if query.diversity:
        params["diversity"] = [_number(query.diversity)]
    if query.spelling != "correct":
        params["spelling"] = [query.spelling]
    if query.n != default_n:
        params["n"] = [str(query.n)]
    # In the order in which they are read, so that one query has one address however it was put together.
    return {name: params[name] for name in _NAMES if name in params}


def _short_form(term: Term, value: str) -> tuple[str, str]:
    """Return the parameter of a term: the short one where there is one for its weight."""
    plain = value.removeprefix("#") if term.kind == "color" else value
    if term.region is None:
        if term.weight == 1.0:
            return term.kind, plain
        if term.kind == "item" and term.weight in (MORE_WEIGHT, LESS_WEIGHT):
            return "more" if term.weight > 0 else "less", plain
    region = "" if term.region is None else "@" + ",".join(_number(edge, 4) for edge in term.region)
    return "part", f"{_number(term.weight)}:{term.kind}{region}:{plain}"


def part_of(term: Term, region: Region) -> str:
    """Return the value of the parameter `part` that searches by a region of a term's photo."""
    return _short_form(replace(term, region=region), str(term.value))[1]


def _number(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".") or "0"


def query_string(query: Query, *, default_n: int = 0, default_duplicates: Duplicates = "show") -> str:
    """Return `query_to_params` as the part of a URL behind the question mark."""
    params = query_to_params(query, default_n=default_n, default_duplicates=default_duplicates)
    return urlencode(params, doseq=True)


def query_key(query: Query) -> str:
    """Return the name by which feedback knows a query: what is looked for, not how the hits are presented.

    It is the query as address-bar parameters without the number of hits, duplicates, diversity and spelling; pictures
    given as bytes go by "image".
    """
    terms = tuple(
        replace(term, kind="text", value="(image)") if isinstance(term.value, bytes) else term
        for term in query.terms
    )
    looked_for = replace(query, terms=terms, n=0, duplicates="show", diversity=0.0, spelling="correct")
    return query_string(looked_for, default_n=0)


def query_from_params(
    params: Mapping[str, Sequence[str]],
    *,
    default_n: int = 10,
    max_n: int = 500,
    default_duplicates: Duplicates = "show",
) -> Query:
    """Return the query that the parameters say; unknown names are ignored.

    Raises `QueryError` for an `n` that is no number from 1 to `max_n`, a malformed upload id, colour, part or
    emphasis, and `FilterError` for a filter that is not understood. No terms at all is allowed: the caller decides.
    """
    terms: list[Term] = []
    terms += [Term("text", text) for text in _values(params, "text") if text.strip()]
    terms += [Term("item", item_id) for item_id in _values(params, "item")]
    terms += [Term("upload", _upload_id(upload_id)) for upload_id in _values(params, "upload")]
    terms += [Term("color", _color(color)) for color in _values(params, "color")]
    terms += [Term("item", item_id, MORE_WEIGHT) for item_id in _values(params, "more")]
    terms += [Term("item", item_id, LESS_WEIGHT) for item_id in _values(params, "less")]
    terms += [_part(part) for part in _values(params, "part")]
    n = default_n
    for text in _values(params, "n"):
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= max_n:
            raise QueryError(f"n is {text[:20]!r}, but must be a whole number from 1 to {max_n}.")
        n = int(text)
    emphasis, same_color, diversity = Emphasis(), False, 0.0
    duplicates = default_duplicates
    for text in _values(params, "emphasis"):
        emphasis = _emphasis(text)
    for text in _values(params, "same"):
        if text != "color":
            raise QueryError(f"same is {text[:20]!r}, but can only be color.")
        same_color = True
    for text in _values(params, "duplicates"):
        if text not in ("collapse", "show"):
            raise QueryError(f"duplicates is {text[:20]!r}, but must be collapse or show.")
        duplicates = "collapse" if text == "collapse" else "show"
    for text in _values(params, "diversity"):
        diversity = _fraction("diversity", text)
    spelling: Spelling = "correct"
    for text in _values(params, "spelling"):
        if text not in ("correct", "keep"):
            raise QueryError(f"spelling is {text[:20]!r}, but must be correct or keep.")
        spelling = "keep" if text == "keep" else "correct"
    return Query(
        tuple(terms),
        n=n,
        filters=parse_filters(list(_values(params, "filter"))),
        emphasis=emphasis,
        same_color=same_color,
        duplicates=duplicates,
        diversity=diversity,
        spelling=spelling,
    )


def _part(text: str) -> Term:
    """Return the term that a `part` says."""
    found = _PART.fullmatch(text)
    if found is None or not found[4].strip():
        raise QueryError(f"part is {text[:40]!r}, but must be weight:kind:value, such as 0.5:text:red mug.")
    weight = parse_weight(found[1])
    kind, value = found[2], found[4]
    region = None
    if found[3] is not None:
        if kind not in ("item", "upload"):
            raise QueryError(f"A part of kind {kind} has no region; only photos have.")
        region = parse_region(found[3])
    match kind:
        case "upload":
            return Term("upload", _upload_id(value), weight, region)
        case "color":
            return Term("color", _color(value), weight)
        case "text":
            return Term("text", value, weight)
    return Term("item", value, weight, region)


def parse_weight(text: str) -> float:
    """Return a term's weight; raises `QueryError` unless it is a number from -100 to 100 other than 0."""
    weight = _float("A weight", text)
    if not 0 < abs(weight) <= MAX_WEIGHT:
        raise QueryError(f"A weight is {text[:20]!r}, but must lie between -100 and 100 and not be 0.")
    return weight


def parse_region(text: str) -> Region:
    """Return the region that "left,top,right,bottom" says, in fractions of the photo; raises `QueryError`."""
    edges = [_float("An edge of a region", edge) for edge in text.split(",")]
    if len(edges) == 4:
        left, top, right, bottom = edges
        inside = all(0 <= edge <= 1 for edge in edges)
        if inside and right - left >= SMALLEST_REGION and bottom - top >= SMALLEST_REGION:
            return Region(left, top, right, bottom)
    raise QueryError(
        f"A region is {text[:40]!r}, but must be left,top,right,bottom as fractions of the photo from 0 to 1."
    )


def _emphasis(text: str) -> Emphasis:
    values = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        if name not in Emphasis._fields:
            raise QueryError(f"emphasis names {name[:20]!r}, but can only name color, shape and pattern.")
        values[name] = _fraction(f"The emphasis of {name}", value)
    return Emphasis(**values)


def _upload_id(text: str) -> str:
    if not _UPLOAD_ID.fullmatch(text):
        raise QueryError(f"The upload id {text[:40]!r} is not one that this service gave out.")
    return text


def _color(text: str) -> str:
    found = _COLOR.fullmatch(text)
    if found is None:
        raise QueryError(f"The colour is {text[:20]!r}, but must be six hexadecimal digits, such as cc2233.")
    return f"#{found[1].lower()}"


def _fraction(name: str, text: str) -> float:
    value = _float(name, text)
    if not 0 <= value <= 1:
        raise QueryError(f"{name} is {text[:20]!r}, but must lie between 0 and 1.")
    return value


def _float(name: str, text: str) -> float:
    try:
        value = float(text) if len(text) <= 24 and text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise QueryError(f"{name} is {text[:20]!r}, but must be a number.")
    return value


def _values(params: Mapping[str, Sequence[str]], name: str) -> Iterable[str]:
    value = params.get(name, ())
    return [value] if isinstance(value, str) else value
