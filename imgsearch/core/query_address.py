"""The URLs of this application: a query as address-bar parameters and back, and where pictures are served.

text=red+mug     item=shoes/1.jpg     upload=<32 hex>     n=24     filter=price<50   (each may repeat)
color=cc2233     a colour
more=ID          an item with weight +0.6 ("more like this")
less=ID          an item with weight -0.4 ("less like this")
part=WEIGHT:KIND:VALUE   any term, where it has another weight: part=-0.5:text:stripes
part=WEIGHT:KIND@LEFT,TOP,RIGHT,BOTTOM:VALUE   a part of a photo, edges as fractions: part=1:item@0,0.5,1,1:a.jpg
emphasis=color:0.5,shape:0.2,pattern:1   same=color   duplicates=collapse   diversity=0.3
spelling=keep    the text is meant as it is written
sort=-price,title   min_confidence=fair   group_by=product   boost=popularity:0.2   in_stock=true
facets=brand,color (or *)   fields=price,brand (or nothing: none)   cursor=...
Columns are separated by commas; a name with a comma is in quotes: sort="size, EU".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode

from imgsearch.core.base_path import served_path
from imgsearch.core.errors import QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import (
    MAX_CURSOR_CHARS,
    MAX_RANK,
    Boost,
    Duplicates,
    Emphasis,
    Query,
    Region,
    Sort,
    Term,
    TermKind,
)
from imgsearch.core.records import Hit, Item

MORE_WEIGHT = 0.6
LESS_WEIGHT = -0.4
PRESENTATION = (
    "n", "duplicates", "diversity", "spelling", "sort", "min_confidence", "group_by", "boost", "facets", "fields",
    "cursor",
)  # fmt: skip
"""Parameters that say how hits are presented, not what is searched for."""

# Segments that browsers, proxies or Streamlit's path check would resolve or refuse: "", "." and "..".
_NOT_IN_A_PATH = re.compile(r"(^|[/\\])\.{0,2}([/\\]|$)|\x00")
_NAMES = (
    "text", "item", "upload", "color", "more", "less", "part", "filter",
    "emphasis", "same", "duplicates", "diversity", "spelling", "in_stock", "sort", "min_confidence", "group_by",
    "boost", "facets", "fields", "cursor", "n",
)  # fmt: skip
_PART = re.compile(r"([^:]*):(text|item|upload|color)(?:@([^:]*))?:(.*)", re.DOTALL)


def item_url(item_id: str) -> str:
    """Return the path of an item in the HTTP API, with the id as a parameter where no path can carry it."""
    if _NOT_IN_A_PATH.search(item_id) or item_id.endswith(("/similar", "/history")):
        return served_path(f"/api/v1/items?id={quote(item_id, safe='')}")
    return served_path(f"/api/v1/items/{quote(item_id, safe='/')}")


def thumbnail_url(photo: Item | Hit, size_px: int = 384) -> str:
    """Return the path of a photo's thumbnail; it changes when the photo's content does, so it may be cached."""
    rest = f"size={size_px}&v={photo.key}"
    if _NOT_IN_A_PATH.search(photo.item_id):
        return served_path(f"/thumbnails?id={quote(photo.item_id, safe='')}&{rest}")
    return served_path(f"/thumbnails/{quote(photo.item_id, safe='/')}?{rest}")


def upload_url(upload_id: str, size_px: int = 384) -> str:
    """Return the path of an uploaded picture's thumbnail."""
    return served_path(f"/uploads/{quote(upload_id, safe='')}?size={size_px}")


def regions_url(term: Term) -> str:
    """Return the path of the boxes around the things in the photo of an item or an upload."""
    return served_path(f"/api/v1/regions?{urlencode({str(term.kind): str(term.value)})}")


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
        params.setdefault("filter", []).append(str(filter))
    if any(query.emphasis):
        parts = zip(Emphasis.NAMES, query.emphasis, strict=True)
        params["emphasis"] = [",".join(f"{name}:{_number(value)}" for name, value in parts if value)]
    if query.same_color:
        params["same"] = ["color"]
    if query.duplicates != default_duplicates:
        params["duplicates"] = [query.duplicates]
    if query.diversity:
        params["diversity"] = [_number(query.diversity)]
    if query.spelling != "correct":
        params["spelling"] = [query.spelling]
    params.update(_shop_params(query))
    if query.n != default_n:
        params["n"] = [str(query.n)]
    # In the order in which they are read, so that one query has one address however it was put together.
    return {name: params[name] for name in _NAMES if name in params}


def _shop_params(query: Query) -> dict[str, list[str]]:
    """Return the parameters of a shop's options that the query uses."""
    lists: dict[str, Sequence[object]] = {"sort": query.sort, "boost": query.boosts, "facets": query.facets}
    params = {name: [_joined(values)] for name, values in lists.items() if values}
    if query.fields is not None:
        params["fields"] = [_joined(query.fields)]
    if query.min_confidence != "weak":
        params["min_confidence"] = [query.min_confidence]
    if query.group_by:
        params["group_by"] = [query.group_by]
    if query.in_stock:
        params["in_stock"] = ["true"]
    if query.cursor:
        params["cursor"] = [query.cursor]
    return params


def _joined(names: Sequence[object]) -> str:
    """Return names separated by commas, those with a comma, a quote or outer spaces in quotes."""
    texts = [str(name) for name in names]
    return ",".join(
        '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]|^\s|\s$', text) else text
        for text in texts
    )


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
    """Return the name by which feedback knows a query: what is searched for, not how the hits are presented.

    It is the query as address-bar parameters without those of the `PRESENTATION`; pictures given as bytes appear as
    "(image)".
    """
    terms = tuple(
        Term("text", "(image)", term.weight) if term.kind == "image" else term for term in query.terms
    )
    params = query_to_params(query if terms == query.terms else replace(query, terms=terms))
    for presentation in PRESENTATION:
        params.pop(presentation, None)
    return urlencode(params, doseq=True)


def rename_items_in(query_key: str, names: Mapping[str, str]) -> str:
    """Return the key of the same query after items have got new ids, by their old ones; it may be any text."""
    pairs = parse_qsl(query_key, keep_blank_values=True, max_num_fields=None)
    renamed = [(name, _renamed_value(name, value, names)) for name, value in pairs]
    return query_key if renamed == pairs else urlencode(renamed)


def _renamed_value(name: str, value: str, names: Mapping[str, str]) -> str:
    if name in ("item", "more", "less"):
        return names.get(value, value)
    if name == "part" and (found := _PART.fullmatch(value)) and found[2] == "item":
        return value[: found.start(4)] + names.get(found[4], found[4])
    return value


def query_from_params(
    params: Mapping[str, Sequence[str]],
    *,
    default_n: int = 10,
    max_n: int = MAX_RANK,
    default_duplicates: Duplicates = "show",
) -> Query:
    """Return the query that the parameters say; unknown names are ignored, and of a repeated option the last counts.

    Raises `QueryError` for a value that is not understood or above a limit, and `FilterError` for such a filter. A
    query without terms is allowed: the caller decides.
    """
    terms: list[Term] = []
    terms += [Term("text", text) for text in _values(params, "text") if text.strip()]
    terms += [Term("item", item_id) for item_id in _values(params, "item")]
    terms += [Term("upload", upload_id) for upload_id in _values(params, "upload")]
    terms += [Term("color", _color(color)) for color in _values(params, "color")]
    terms += [Term("item", item_id, MORE_WEIGHT) for item_id in _values(params, "more")]
    terms += [Term("item", item_id, LESS_WEIGHT) for item_id in _values(params, "less")]
    terms += [_part(part) for part in _values(params, "part")]
    options: dict[str, Any] = {"n": default_n, "duplicates": default_duplicates}
    for name, parse in _OPTIONS.items():
        for text in _values(params, name):
            options["same_color" if name == "same" else name] = parse(name, text)
    options |= shop_options({name: _values(params, name) for name in SHOP_OPTIONS})
    return Query(tuple(terms), filters=parse_filters(_values(params, "filter")), **options).within(max_n)


def _part(text: str) -> Term:
    """Return the term that a `part` says."""
    found = _PART.fullmatch(text)
    if found is None or not found[4].strip():
        raise QueryError(f"part is {text[:40]!r}, but must be weight:kind:value, such as 0.5:text:red mug.")
    weight, kind, edges, value = found.groups()
    if kind == "color":
        value = _color(value)
    region = None if edges is None else parse_region(edges)
    return Term(cast(TermKind, kind), value, parse_weight(weight), region)


def parse_weight(text: str) -> float:
    """Return the number that says a term's weight; `Term` knows its limits. Raises `QueryError`."""
    return _number_of("A weight", text)


def parse_region(text: str) -> Region:
    """Return the region that "left,top,right,bottom" says, in fractions of the photo; raises `QueryError`."""
    edges = [_number_of("An edge of a region", edge) for edge in text.split(",")]
    if len(edges) != 4:
        raise QueryError(
            f"A region is {text[:40]!r}, but must be left,top,right,bottom as fractions of the photo."
        )
    return Region(*edges)


def _emphasis(_name: str, text: str) -> Emphasis:
    values = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        if name not in Emphasis.NAMES:
            raise QueryError(f"emphasis names {name[:20]!r}, but can only name color, shape and pattern.")
        values[name] = _number_of(f"The emphasis of {name}", value)
    return Emphasis(**values)


def _same(name: str, text: str) -> bool:
    if text != "color":
        raise QueryError(f"{name} is {text[:20]!r}, but can only be color.")
    return True


def _color(text: str) -> str:
    return f"#{text.removeprefix('#').lower()}"


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QueryError(f"{name} is {text[:20]!r}, but must be a whole number.")
    return int(text)


def _number_of(name: str, text: str) -> float:
    try:
        return float(text if len(text) <= 24 and text.isascii() else "none")
    except ValueError:
        raise QueryError(f"{name} is {text[:20]!r}, but must be a number.") from None


def _same_text(_name: str, text: str) -> str:
    return text


_OPTIONS: dict[str, Callable[[str, str], Any]] = {
    "n": _whole_number,
    "offset": _whole_number,
    "emphasis": _emphasis,
    "same": _same,
    "duplicates": _same_text,
    "diversity": _number_of,
    "spelling": _same_text,
}


SHOP_OPTIONS = (
    "sort", "min_confidence", "group_by", "boost", "in_stock", "facets", "fields", "cursor",
)  # fmt: skip


def shop_options(given: Mapping[str, Sequence[str] | None]) -> dict[str, Any]:
    """Return the fields of a `Query` that a shop's options say, each given as texts; absent ones are left out.

    Raises `QueryError` for a text that is not understood.
    """
    options: dict[str, Any] = {}
    for name, texts in given.items():
        if not texts:
            continue
        if name == "sort":
            options["sort"] = tuple(map(parse_sort, columns_of(name, texts)))
        elif name == "boost":
            options["boosts"] = tuple(map(_boost, columns_of(name, texts)))
        elif name in ("facets", "fields"):
            options[name] = columns_of(name, texts)
        elif name == "in_stock":
            options[name] = _flag(name, texts[-1])
        else:
            options[name] = texts[-1]
    return options


def columns_of(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return the entries of comma-separated texts, each once, in order; raises `QueryError` for a lone quote."""
    found: list[str] = []
    for text in texts:
        if len(text) > MAX_CURSOR_CHARS:
            raise QueryError(
                f"{name} has {len(text):,} characters, but at most {MAX_CURSOR_CHARS:,} are read."
            )
        try:
            rows = list(csv.reader([text], skipinitialspace=True, strict=True))
        except csv.Error:
            raise QueryError(
                f"{name} is {text[:40]!r}, but must be columns separated by commas, such as price,brand."
            ) from None
        found += [entry.strip() for row in rows for entry in row if entry.strip()]
    return tuple(dict.fromkeys(found))


def parse_sort(text: str) -> Sort:
    """Return what `price`, or `-price` for a descending order, says; raises `QueryError`."""
    return Sort(text.removeprefix("-"), text.startswith("-"))


def _boost(text: str) -> Boost:
    column, colon, amount = text.rpartition(":")
    if not colon or not column:
        raise QueryError(f"boost is {text[:40]!r}, but must be column:amount, such as popularity:0.2.")
    return Boost(column, _number_of("The amount of a boost", amount))


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise QueryError(f"{name} is {text[:20]!r}, but must be true or false.")
    return text == "true"


def _values(params: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    value = params.get(name, ())
    return [value] if isinstance(value, str) else value
