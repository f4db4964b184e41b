"""Cursors of a search: a page's end as a text, which leads to the next page.

A cursor holds which hits were shown, not a place in a list: items that are added, changed or removed between two
pages move all places. The next page is the best of what was not shown, so no hit is repeated and none is left out.
An item that is added or moves forward meanwhile is on the next page. The text is validated, not secret: it holds
nothing but what its reader was shown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from imgsearch.core.errors import QueryError
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import MAX_CURSOR_CHARS, Query, Term

MAX_SHOWN = 1000
"""How many hits the pages that cursors lead through have in all: about 5 bytes of the cursor each."""
_VERSION = 1
_DIGEST_BYTES = 8
_MARK_BYTES = 4
"""Of an item's id, or of a group's value: two are equal by chance once in 4 billion pairs."""
_CHECK_BYTES = 4
_HEAD = struct.Struct("<B8sBQddH")
_NOT_A_CURSOR = (
    "This cursor is not one of this search; send the one of the page before, or none for the first page."
)


@dataclass(frozen=True, slots=True, eq=False)
class Cursor:
    """What earlier pages of a query showed: ascending `keys`, and the marks of their items or, by groups, groups.

    `newest` is the highest key at the first page: an item of a higher key may be one that was shown, with a new
    photo. `cut` and `spread` are the first page's (`imgsearch.search.page`); NaN where it had none.
    """

    keys: Keys
    marks: frozenset[bytes]
    newest: int
    cut: float = math.nan
    spread: float = math.nan
    shown: int = 0

    @staticmethod
    def start(newest: int) -> Cursor:
        """Return the cursor before the first page."""
        return Cursor(np.zeros(0, np.uint64), frozenset(), newest)

    @staticmethod
    def of(query: Query) -> Cursor | None:
        """Return the query's cursor, None where it has none; raises `QueryError` for one of another query."""
        return _decoded(query) if query.cursor else None

    def after(self, keys: Iterable[int], marks: Iterable[str]) -> Cursor:
        """Return the cursor after a page with these keys and the ids of its items (or the values of its groups)."""
        more = np.fromiter(keys, np.uint64)
        return replace(
            self,
            keys=np.union1d(self.keys, more),
            marks=self.marks | {mark_of(text) for text in marks},
            shown=self.shown + len(more),
        )

    def showed(self, text: str) -> bool:
        """Return whether an item of this id, or a group of this value, was shown."""
        return mark_of(text) in self.marks

    def text(self, query: Query) -> str:
        """Return the cursor as a text for the query; "" where it has shown as many hits as a cursor can lead to."""
        if self.shown >= MAX_SHOWN:
            return ""
        head = _HEAD.pack(
            _VERSION, digest_of(query), bool(query.group_by), self.newest, self.cut, self.spread, self.shown
        )
        deltas = np.diff(self.keys, prepend=np.uint64(0)).tolist()
        body = head + struct.pack("<H", len(deltas)) + b"".join(map(_varint, deltas))
        body += b"".join(sorted(self.marks))
        return base64.urlsafe_b64encode(body + _check(body)).decode().rstrip("=")


def group_mark(value: str) -> str:
    """Return the text by which a cursor knows a group."""
    return f"group {value}"


def mark_of(text: str) -> bytes:
    """Return a few bytes that tell this text from others."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_MARK_BYTES).digest()


def digest_of(query: Query) -> bytes:
    """Return what identifies the hits and the order of a query, on whatever page and however they are shown."""
    terms = tuple(
        Term("text", hashlib.sha256(term.value).hexdigest(), term.weight, None)
        if isinstance(term.value, bytes)
        else term
        for term in query.terms
    )
    same = replace(query, terms=terms, n=1, offset=0, cursor="", fields=None, facets=(), spelling="correct")
    return hashlib.blake2b(repr(same).encode(), digest_size=_DIGEST_BYTES).digest()


def _decoded(query: Query) -> Cursor:
    try:
        data = base64.b64decode(query.cursor + "=" * (-len(query.cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise QueryError(_NOT_A_CURSOR) from None
    body, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if len(query.cursor) > MAX_CURSOR_CHARS or len(body) < _HEAD.size + 2 or check != _check(body):
        raise QueryError(_NOT_A_CURSOR)
    version, digest, by_group, newest, cut, spread, shown = _HEAD.unpack_from(body)
    if version != _VERSION or by_group != bool(query.group_by) or shown > MAX_SHOWN:
        raise QueryError(_NOT_A_CURSOR)
    if digest != digest_of(query):
        raise QueryError(
            "This cursor is of another search; begin again without it where the search has changed."
        )
    (count,) = struct.unpack_from("<H", body, _HEAD.size)
    keys, place = _keys(body, _HEAD.size + 2, count)
    rest = body[place:]
    if len(rest) % _MARK_BYTES or count > MAX_SHOWN or len(rest) > _MARK_BYTES * MAX_SHOWN:
        raise QueryError(_NOT_A_CURSOR)
    marks = frozenset(rest[start : start + _MARK_BYTES] for start in range(0, len(rest), _MARK_BYTES))
    return Cursor(keys, marks, newest, cut, spread, shown)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(0x80 | number & 0x7F)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _keys(body: bytes, place: int, count: int) -> tuple[Keys, int]:
    """Return the keys whose differences are written from a place on, and the place behind them."""
    keys, key = [], 0
    for _ in range(count):
        number = shift = 0
        while True:
            if place >= len(body) or shift > 63:
                raise QueryError(_NOT_A_CURSOR)
            byte = body[place]
            place += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        key += number
        if key >= 1 << 64:
            raise QueryError(_NOT_A_CURSOR)
        keys.append(key)
    return np.array(keys, np.uint64), place


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, person=b"imgsearchcursor").digest()
