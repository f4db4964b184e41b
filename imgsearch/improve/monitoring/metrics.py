"""Counters and histograms of this process in the Prometheus text format.

It owns the format and the arithmetic, safe from any thread; it does not know what is being counted. Numbers start
at zero when the process starts, as Prometheus expects.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["CONTENT_TYPE", "LATENCY_BUCKETS_S", "Counter", "Histogram", "gauge", "total"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

LATENCY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number that only grows, one for each set of label values."""

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self.description = description
        self._values: dict[_Labels, float] = {}
        self._lock = threading.Lock()

    def add(self, amount: float = 1.0, /, **labels: str) -> None:
        """Add `amount` to the number of these labels."""
        key = _key(labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def lines(self) -> list[str]:
        """Return the metric in the text format, labels in order."""
        with self._lock:
            values = sorted(self._values.items())
        return [
            *_head(self.name, self.description, "counter"),
            *(f"{self.name}{_braces(labels)} {_number(value)}" for labels, value in values),
        ]


class Histogram:
    """How often a duration fell below each of `buckets` (seconds), one row of buckets for each set of labels."""

    def __init__(self, name: str, description: str, buckets: Iterable[float] = LATENCY_BUCKETS_S) -> None:
        self.name = name
        self.description = description
        self.buckets = tuple(sorted(buckets))
        self._counts: dict[_Labels, list[int]] = {}
        self._sums: dict[_Labels, float] = {}
        self._lock = threading.Lock()

    def observe(self, seconds: float, /, **labels: str) -> None:
        """Count one duration."""
        key = _key(labels)
        with self._lock:
            counts = self._counts.setdefault(key, [0] * (len(self.buckets) + 1))
            place = next((i for i, bound in enumerate(self.buckets) if seconds <= bound), len(self.buckets))
            counts[place] += 1
            self._sums[key] = self._sums.get(key, 0.0) + seconds

    def lines(self) -> list[str]:
        """Return the metric in the text format; bucket counts are cumulative, as the format wants."""
        with self._lock:
            rows = [(key, list(counts), self._sums[key]) for key, counts in sorted(self._counts.items())]
        lines = _head(self.name, self.description, "histogram")
        for labels, counts, total in rows:
            below = 0
            for bound, count in zip((*map(_number, self.buckets), "+Inf"), counts, strict=True):
                below += count
                lines.append(f"{self.name}_bucket{_braces((*labels, ('le', bound)))} {below}")
            lines.append(f"{self.name}_sum{_braces(labels)} {_number(total)}")
            lines.append(f"{self.name}_count{_braces(labels)} {below}")
        return lines


def gauge(name: str, description: str, value: float, labels: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of a number as it is now."""
    return [*_head(name, description, "gauge"), f"{name}{_braces(_key(labels or {}))} {_number(value)}"]


def total(name: str, description: str, value: float) -> list[str]:
    """Return the lines of a number that only grows, counted elsewhere."""
    return [*_head(name, description, "counter"), f"{name} {_number(value)}"]


def _key(labels: Mapping[str, str]) -> _Labels:
    return tuple(sorted(labels.items()))


def _head(name: str, description: str, kind: str) -> list[str]:
    return [f"# HELP {name} {description}", f"# TYPE {name} {kind}"]


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(value, 9))
