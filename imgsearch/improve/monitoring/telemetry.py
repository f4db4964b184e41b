"""What this process counts of its own work: searches, their stages, what failed, what is under way.

It owns the counters behind `/metrics`, and the table `telemetry`, in which the same counts survive a restart: one row
for each minute, series, label and bucket, written in the background. A killed process loses at most the counts of the
last `FLUSH_EVERY_S` seconds. It counts only: no query, no visitor and no picture is in it, so it may be kept when
the events themselves are deleted. What the counts mean is told by `imgsearch.improve.monitoring.overview`.

Durations are kept as a sketch: bucket i counts those in (g^(i-1), g^i] milliseconds with g = (1 + a) / (1 - a): any
quantile can be told within the relative error a, and sketches of several minutes add up (DDSketch: Masson, Rim and
Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", PVLDB 12(12), 2019).
"""

from __future__ import annotations

import atexit
import math
import threading
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import pandas as pd

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.improve.monitoring.metrics import Counter, Histogram, gauge
from imgsearch.store.database import Database, insert_frame

__all__ = ["RELATIVE_ERROR", "Telemetry", "bucket_of_ms", "ms_of_bucket", "quantile_ms"]

RELATIVE_ERROR = 0.02
FLUSH_EVERY_S = 20.0
SHORTEST_MS = 0.01
"""Shorter durations count as this long: nobody waits for them."""

_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


def bucket_of_ms(milliseconds: float) -> int:
    """Return the bucket of a duration."""
    return math.ceil(math.log(max(milliseconds, SHORTEST_MS), _GROWTH))


def ms_of_bucket(bucket: int) -> float:
    """Return the duration in milliseconds that is within `RELATIVE_ERROR` of all that the bucket holds."""
    return float(2 * _GROWTH**bucket / (_GROWTH + 1))


def quantile_ms(buckets: Mapping[int, int], q: float) -> float | None:
    """Return the q-quantile of a sketch {bucket: count} in milliseconds; None for an empty one."""
    total = sum(buckets.values())
    if total == 0:
        return None
    below = 0
    for bucket in sorted(buckets):
        below += buckets[bucket]
        if below > q * (total - 1):
            break
    return ms_of_bucket(bucket)


class Telemetry:
    """Counts what one service does; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        """Start the background writer over an open database."""
        self._database = database
        self._searches = Counter(
            "imgsearch_searches_total", "Searches answered, by the kinds of their terms."
        )
        self._latency = Histogram("imgsearch_search_seconds", "Time of a search, by stage.")
        self._empty = Counter("imgsearch_empty_searches_total", "Searches answered that found nothing.")
        self._failed = Counter("imgsearch_search_failures_total", "Searches that failed, by error code.")
        self.arm_failures = Counter(
            "imgsearch_experiment_failures_total",
            "Searches that an experiment's arm could not answer, so that the live system did.",
        )
        self._pending: Tally[tuple[datetime, str, str, int]] = Tally()
        self._under_way: Tally[str] = Tally()
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._writer = BackgroundThread("telemetry", self.flush, every_s=FLUSH_EVERY_S)
        self._writer.start(after_s=FLUSH_EVERY_S)
        atexit.register(self.close)

    @contextmanager
    def searching(self, query: Query) -> Iterator[None]:
        """Count the search that the block makes as under way, and as failed by the code of what it raises."""
        kinds = ["all", "encoding"] if any(term.kind != "item" for term in query.terms) else ["all"]
        with self._lock:
            self._under_way.update(kinds)
        try:
            yield
        except Exception as error:
            code = error.code if isinstance(error, ImgSearchError) else "internal_error"
            self._failed.add(code=code)
            self._count({("failure", code, 0): 1})
            raise
        finally:
            with self._lock:
                self._under_way.subtract(kinds)

    def observe(self, result: SearchResult) -> None:
        """Count one answered search."""
        self._searches.add(kind="+".join(sorted({term.kind for term in result.query.terms})))
        for stage, milliseconds in result.timing_ms.items():
            self._latency.observe(milliseconds / 1000, stage=stage)
        if not result.hits and result.query.offset == 0:
            self._empty.add()
        self._count(Tally(("stage", stage, bucket_of_ms(ms)) for stage, ms in result.timing_ms.items()))

    def under_way(self) -> tuple[int, int]:
        """Return how many searches are under way, and how many of these have words or pictures to encode."""
        with self._lock:
            return self._under_way["all"], self._under_way["encoding"]

    def lines(self) -> list[str]:
        """Return the metrics in the Prometheus text format."""
        searching, encoding = self.under_way()
        return [
            *self._searches.lines(),
            *self._latency.lines(),
            *self._empty.lines(),
            *self._failed.lines(),
            *self.arm_failures.lines(),
            *gauge("imgsearch_searches_in_progress", "Searches under way now.", searching),
            *gauge(
                "imgsearch_encode_queue", "Searches under way with words or pictures to encode.", encoding
            ),
        ]

    def flush(self) -> None:
        """Write the counts that are not in the database yet."""
        with self._flushing:
            with self._lock:
                pending, self._pending = self._pending, Tally()
            if not pending:
                return
            try:
                rows = [(*key, amount) for key, amount in sorted(pending.items())]
                frame = pd.DataFrame(rows, columns=["minute", "series", "label", "bucket", "amount"])
                with self._database.transaction() as cursor:
                    insert_frame(cursor, "telemetry", frame)
            except BaseException:
                with self._lock:
                    self._pending.update(pending)
                raise

    def close(self) -> None:
        """Write the last counts and stop; closing twice is fine. A process that ends without closing does it then."""
        if self._writer.stopping:
            return
        atexit.unregister(self.close)
        self._writer.stop()
        self.flush()

    def _count(self, amounts: Mapping[tuple[str, str, int], int]) -> None:
        minute = datetime.now(UTC).replace(tzinfo=None, second=0, microsecond=0)
        with self._lock:
            for key, amount in amounts.items():
                self._pending[(minute, *key)] += amount
