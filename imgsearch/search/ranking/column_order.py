"""Columns of the metadata as what hits are sorted, grouped and boosted by."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from datetime import time as time_of_day
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from imgsearch.core.errors import FilterError, QueryError
from imgsearch.core.key_arrays import Keys, positions_in
from imgsearch.core.query import Boost, Sort
from imgsearch.store.metadata_table import MetadataTable

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

RANKED_KINDS = ("number", "price", "date", "datetime")
CACHED_COLUMNS = 8
MAX_REFRESH_SHARE = 0.02
"""The distribution of a column that changes all the time is read again for at most this share of the time."""


def column_name(metadata: MetadataTable, name: str, option: str) -> str:
    """Return the column that an option of a query names; raises `QueryError` where there is none."""
    try:
        position, _ = metadata.find_column(name)
    except FilterError:
        known = ", ".join(metadata.columns) or "none"
        raise QueryError(
            f"{option} names {name[:100]!r}, which is not a column; this catalog has: {known[:2000]}."
        ) from None
    return list(metadata.columns)[position]


def column_values(metadata: MetadataTable, name: str, keys: Keys) -> list[Any]:
    """Return the value of each key in a column, in the order of the keys; None where it has none."""
    if not len(keys):
        return []
    found, values, _ = metadata.column(name, keys)
    if not len(found):
        return [None] * len(keys)
    places, there = positions_in(found, keys)
    return [
        None if not known or _is_missing(value := values[place]) else value
        for place, known in zip(places.tolist(), there.tolist(), strict=True)
    ]


def sorted_places(metadata: MetadataTable, keys: Keys, sort: Sequence[Sort]) -> Codes:
    """Return the places of ranked keys in the order of the columns; ties keep their order, missing values are last.

    Texts are compared in small letters, numbers, prices and dates by value, lists by their first entries.
    """
    by_column = []
    for each in sort:
        values = column_values(metadata, column_name(metadata, each.column, "sort"), keys)
        codes = _ranks(values)
        by_column.append(
            np.where(codes < 0, len(keys) + 1, (len(keys) - codes) if each.descending else codes)
        )
    return np.lexsort((np.arange(len(keys)), *reversed(by_column)))


def group_texts(metadata: MetadataTable, name: str, keys: Keys) -> list[str | None]:
    """Return what identifies the group of each key: its value in a column as a text; None where it has none."""
    values = column_values(metadata, column_name(metadata, name, "group_by"), keys)
    texts = [str(value).lower() if isinstance(value, bool | np.bool_) else str(value) for value in values]
    return [None if value is None or not text else text for value, text in zip(values, texts, strict=True)]


def _ranks(values: Sequence[Any]) -> Codes:
    """Return the rank of each value among the distinct ones, from 0; -1 for a missing one."""
    comparable = [None if value is None else _comparable(value) for value in values]
    order = sorted({value for value in comparable if value is not None})
    ranks = {value: rank for rank, value in enumerate(order)}
    return np.array([-1 if value is None else ranks[value] for value in comparable], np.int64)


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip().casefold(), value
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(str(each).casefold() for each in value)
    if isinstance(value, date | datetime | time_of_day | np.datetime64):
        return value
    return float(value)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and np.isnan(value))


@dataclass(frozen=True, slots=True, eq=False)
class _Distribution:
    """The sorted values of a column at one version of the catalog, and when and how fast they were read."""

    values: Floats
    version: int
    read_at: float
    took_s: float


@dataclass(eq=False)
class ColumnBoosts:
    """How far columns of numbers move hits, in standard deviations of the scores; safe to use from any thread.

    A value counts by its percentile among all values of the catalog, so that neither its unit nor a few extreme
    values matter: amount x (2 x percentile - 1), where the percentile is the share of smaller values and half that
    of equal ones. A missing value counts as the median: 0.
    """

    metadata: MetadataTable
    _known: LRUCache[str, _Distribution] = field(default_factory=lambda: LRUCache(CACHED_COLUMNS))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def parts(self, boosts: Sequence[Boost], keys: Keys, version: int) -> dict[str, Floats]:
        """Return for each column how far it moves each key, (n,); `version` is the catalog's.

        Raises `QueryError` for an unknown column, and for one that has no numbers or dates.
        """
        found: dict[str, Floats] = {}
        for boost in boosts:
            name = column_name(self.metadata, boost.column, "boost")
            kind = self.metadata.columns[name]
            if kind not in RANKED_KINDS:
                raise QueryError(
                    f"boost names the column {name[:100]!r}, which holds {kind} values; it needs numbers, prices or "
                    "dates."
                )
            values = _numbers(column_values(self.metadata, name, keys))
            moved = boost.amount * (2 * self._percentiles(name, values, version) - 1)
            found[name] = found.get(name, 0.0) + np.where(np.isnan(values), 0.0, moved)
        return found

    def _percentiles(self, name: str, values: Floats, version: int) -> Floats:
        known = self._distribution(name, version).values
        if not len(known):
            return np.full(len(values), 0.5)
        below, to = np.searchsorted(known, values), np.searchsorted(known, values, side="right")
        return np.asarray((below + to) / (2 * len(known)), np.float64)

    def _distribution(self, name: str, version: int) -> _Distribution:
        now = time.monotonic()
        with self._lock:
            known = self._known.get(name)
        if known is not None:
            rest_s = known.took_s / MAX_REFRESH_SHARE
            if known.version == version or now - known.read_at < rest_s:
                return known
        _, values, _ = self.metadata.column(name)
        numbers = _numbers(values)
        numbers = np.sort(numbers[~np.isnan(numbers)])
        known = _Distribution(numbers, version, time.monotonic(), time.monotonic() - now)
        with self._lock:
            self._known[name] = known
        return known


def _numbers(values: Sequence[Any] | NDArray[Any]) -> Floats:
    """Return values as numbers, dates as seconds; NaN for missing ones."""
    array = np.asarray(values)
    if array.dtype.kind in "fiu":
        return array.astype(np.float64)
    return np.array([_number(value) for value in values], np.float64)


def _number(value: Any) -> float:
    if _is_missing(value):
        return np.nan
    if isinstance(value, str):  # of a column of dates
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=value.tzinfo)).total_seconds()
    if isinstance(value, date):
        return value.toordinal() * 86_400.0
    if isinstance(value, np.datetime64):
        return float(value.astype("datetime64[us]").astype(np.int64)) / 1e6
    return float(value)
