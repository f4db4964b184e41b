"""The URLs of this application: a query to address-bar parameters and back, and where pictures are served.

It owns one grammar, shared by the address bar, `GET /api/v1/search` and shared links; it knows no web framework.

    text=red+mug     item=shoes/1.jpg     upload=<32 hex>     n=24     filter=price<50   (each may repeat)
    more=ID          an item with weight +0.6 ("more like this")
    less=ID          an item with weight -0.4 ("less like this")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from imgsearch.errors import QueryError
from imgsearch.filters import format_filter, parse_filters
from imgsearch.records import Hit, Item, Query, Term

__all__ = [
    "LESS_WEIGHT",
    "MORE_WEIGHT",
    "query_from_params",
    "query_key",
    "query_string",
    "query_to_params",
    "thumbnail_url",
    "upload_url",
]

MORE_WEIGHT = 0.6
LESS_WEIGHT = -0.4

# Segments that browsers, proxies or Streamlit's path check would resolve or refuse: "", "." and "..".
_NOT_IN_A_PATH = re.compile(r"(^|[/\\])\.{0,2}([/\\]|$)|\x00")
_NAMES = ("text", "item", "upload", "more", "less", "filter", "n")
_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


def thumbnail_url(photo: Item | Hit, size_px: int = 384) -> str:
    """Return the path of a photo's thumbnail; it changes when the photo's content does, so it may be cached."""
    rest = f"size={size_px}&v={photo.key}"
    if _NOT_IN_A_PATH.search(photo.item_id):
        return f"/thumbnails?id={quote(photo.item_id, safe='')}&{rest}"
    return f"/thumbnails/{quote(photo.item_id, safe='/')}?{rest}"


def upload_url(upload_id: str, size_px: int = 384) -> str:
    """Return the path of an uploaded picture's thumbnail."""
    return f"/uploads/{quote(upload_id, safe='')}?size={size_px}"


def query_to_params(query: Query, *, default_n: int = 0) -> dict[str, list[str]]:
    """Return the parameters that say `query`; an `n` of `default_n` is left out.

    Weights are kept as their sign: +1 terms by their kind, other positive items as `more`, negative as `less`.
    A term of kind `image` (raw bytes) has no address and raises `QueryError`: keep it as an upload first.
    """
    params: dict[str, list[str]] = {}
    for term in query.terms:
        if term.kind == "image" or isinstance(term.value, bytes):
            raise QueryError("A picture given as bytes has no address; upload it first and use its id.")
        name: str = term.kind
        if term.kind == "item" and term.weight != 1.0:
            name = "more" if term.weight > 0 else "less"
        params.setdefault(name, []).append(term.value)
    for filter in query.filters:
        params.setdefault("filter", []).append(format_filter(filter))
    if query.n != default_n:
        params["n"] = [str(query.n)]
    # In the order in which they are read, so that one query has one address however it was put together.
    return {name: params[name] for name in _NAMES if name in params}


def query_string(query: Query, *, default_n: int = 0) -> str:
    """Return `query_to_params` as the part of a URL behind the question mark."""
    return urlencode(query_to_params(query, default_n=default_n), doseq=True)


def query_key(query: Query) -> str:
    """Return the name by which feedback knows a query: the same terms and filters give the same name.

    It is the query as address-bar parameters without the number of hits; pictures given as bytes go by "image".
    """
    terms = tuple(
        replace(term, kind="text", value="(image)") if isinstance(term.value, bytes) else term
        for term in query.terms
    )
    return query_string(replace(query, terms=terms, n=0), default_n=0)


def query_from_params(params: Mapping[str, Sequence[str]], *, default_n: int = 10, max_n: int = 500) -> Query:
    """Return the query that the parameters say; unknown names are ignored.

    Raises `QueryError` for an `n` that is no number from 1 to `max_n` or a malformed upload id, and
    `FilterError` for a filter that is not understood. No terms at all is allowed: the caller decides.
    """
    terms: list[Term] = []
    terms += [Term("text", text) for text in _values(params, "text") if text.strip()]
    terms += [Term("item", item_id) for item_id in _values(params, "item")]
    for upload_id in _values(params, "upload"):
        if not _UPLOAD_ID.fullmatch(upload_id):
            raise QueryError(f"The upload id {upload_id[:40]!r} is not one that this service gave out.")
        terms.append(Term("upload", upload_id))
    terms += [Term("item", item_id, MORE_WEIGHT) for item_id in _values(params, "more")]
    terms += [Term("item", item_id, LESS_WEIGHT) for item_id in _values(params, "less")]
    n = default_n
    for text in _values(params, "n"):
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= max_n:
            raise QueryError(f"n is {text[:20]!r}, but must be a whole number from 1 to {max_n}.")
        n = int(text)
    return Query(tuple(terms), n=n, filters=parse_filters(list(_values(params, "filter"))))


def _values(params: Mapping[str, Sequence[str]], name: str) -> Iterable[str]:
    value = params.get(name, ())
    return [value] if isinstance(value, str) else value
