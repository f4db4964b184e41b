"""Queries as links of the Search page, and the searches that a visitor came through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlencode

from imgsearch.core.query import Query
from imgsearch.core.query_address import query_from_params, query_to_params

PAGE_SIZE = 24
"""Hits at first and with each "Show more": full rows in two, three, four and six columns."""
START = Query((), n=PAGE_SIZE, duplicates="collapse")
"""The query of the first screen, a sample of the catalog; its options are the page's defaults."""
TRAIL_LENGTH = 12
PAST_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One earlier search: its link and a short name."""

    to: str
    label: str


@dataclass(frozen=True, slots=True)
class LinkedQuery:
    """A query with the link that reopens its first page of hits, made once in a run."""

    query: Query
    link: str

    @staticmethod
    def of(query: Query) -> LinkedQuery:
        """Return the query with its link."""
        return LinkedQuery(query, link_of(query))

    @property
    def full_link(self) -> str:
        """The link that also names how many hits are shown."""
        n = "" if self.query.n == PAGE_SIZE else f"n={self.query.n}"
        return "&".join(filter(None, (self.link, n)))


def to_query(params: Mapping[str, Sequence[str]], *, max_n: int = 500) -> Query:
    """Return the query of the address bar; raises `QueryError` or `FilterError`."""
    # The page shows a result from its first hit on: a cursor, as of the API, means nothing here.
    own = {name: values for name, values in params.items() if name != "cursor"}
    return query_from_params(own, default_n=PAGE_SIZE, max_n=max_n, default_duplicates=START.duplicates)


def to_params(query: Query) -> dict[str, list[str]]:
    """Return the address bar's parameters for a query."""
    return query_to_params(query, default_n=PAGE_SIZE, default_duplicates=START.duplicates)


def link_of(query: Query) -> str:
    """Return the query string that reopens the query with its first page of hits."""
    return urlencode(to_params(replace(query, n=PAGE_SIZE)), doseq=True)


def read_link(link: str, *, max_n: int = 500) -> Query:
    """Return the query of a link; raises `QueryError` or `FilterError`."""
    return to_query(parse_qs(link), max_n=max_n)


def extend_trail(trail: Sequence[Step], step: Step) -> tuple[Step, ...]:
    """Return the trail up to a search; an earlier search that is opened again ends the trail there."""
    for place, earlier in enumerate(trail):
        if earlier.to == step.to:
            return (*trail[:place], step)
    return (*trail, step)[-TRAIL_LENGTH:]


def extend_past(past: Sequence[str], to: str) -> tuple[str, ...]:
    """Return the links shown one after the other, the present one last; drawing it again adds nothing."""
    return tuple(past) if past and past[-1] == to else (*past, to)[-PAST_LENGTH:]
