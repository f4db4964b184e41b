"""Counts and latencies of this process's searches: in memory for `/metrics`, and by the minute in table `telemetry`.

A background thread writes the rows; a killed process loses at most the last `FLUSH_EVERY_S` seconds. No query,
visitor or picture is stored, so the counts may stay when the events are deleted. Durations are a DDSketch (Masson,
Rim and Lee, PVLDB 12(12), 2019): bucket i counts those in (g^(i-1), g^i] milliseconds with g = (1 + a) / (1 - a).
"""

from __future__ import annotations

import atexit
import math
import re
import threading
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import pandas as pd
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.query import Query
from imgsearch.core.records import SearchResult
from imgsearch.store.database import Database, insert_frame

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
LATENCY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FLUSH_EVERY_S = 20.0
RELATIVE_ERROR = 0.02
SHORTEST_MS = 0.01
"""Shorter durations count as this long."""
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_WHOLE_BUCKET = re.compile(rb'([{,]le="\d+)\.0"')

# It would add a series for each counter that no scraper of this program reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Telemetry:
    """Counts the searches of one service; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        """Start the background writer over an open database."""
        self._database = database
        self.registry = registry = CollectorRegistry()
        name, text = "imgsearch_searches_total", "Searches answered, by the kinds of their terms."
        self._searches = Counter(name, text, ["kind"], registry=registry)
        name, text = "imgsearch_search_seconds", "Time of a search, by stage."
        self._latency = Histogram(name, text, ["stage"], buckets=LATENCY_BUCKETS_S, registry=registry)
        self._empty = Counter("imgsearch_empty_searches_total", "Searches without a hit.", registry=registry)
        name, text = "imgsearch_search_failures_total", "Searches that failed, by error code."
        self._failed = Counter(name, text, ["code"], registry=registry)
        name, text = "imgsearch_experiment_failures_total", "Searches that failed in an experiment's arm."
        self._arm_failures = Counter(name, text, ["experiment"], registry=registry)
        running = Gauge("imgsearch_searches_in_progress", "Searches that run now.", registry=registry)
        running.set_function(lambda: self.under_way()[0])
        encoding = Gauge(
            "imgsearch_encode_queue", "Running searches with words or pictures.", registry=registry
        )
        encoding.set_function(lambda: self.under_way()[1])
        self._pending: Tally[tuple[datetime, str, str, int]] = Tally()
        self._under_way: Tally[str] = Tally()
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._writer = BackgroundThread("telemetry", self.flush, every_s=FLUSH_EVERY_S)
        self._writer.start(after_s=FLUSH_EVERY_S)
        atexit.register(self.close)

    @contextmanager
    def searching(self, query: Query) -> Iterator[None]:
        """Count the search in the block while it runs, and its error code if it raises."""
        kinds = ["all", "encoding"] if any(term.needs_encoder for term in query.terms) else ["all"]
        with self._lock:
            self._under_way.update(kinds)
        try:
            yield
        except Exception as error:
            code = error.code if isinstance(error, ImgSearchError) else "internal_error"
            self._failed.labels(code).inc()
            self._count({("failure", code, 0): 1})
            raise
        finally:
            with self._lock:
                self._under_way.subtract(kinds)

    def observe(self, result: SearchResult) -> None:
        """Count an answered search."""
        self._searches.labels("+".join(sorted({term.kind for term in result.query.terms}))).inc()
        for stage, milliseconds in result.timing_ms.items():
            self._latency.labels(stage).observe(milliseconds / 1000)
        if not result.hits and result.query.offset == 0:
            self._empty.inc()
        self._count(Tally(("stage", stage, bucket_of_ms(ms)) for stage, ms in result.timing_ms.items()))

    def count_arm_failure(self, experiment: str) -> None:
        """Count a search that an experiment's arm failed to answer."""
        self._arm_failures.labels(experiment).inc()

    def under_way(self) -> tuple[int, int]:
        """Return how many searches run now, and how many of these have words or pictures to encode."""
        with self._lock:
            return self._under_way["all"], self._under_way["encoding"]

    def flush(self) -> None:
        """Write the pending counts to the database."""
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
        """Write the last counts and stop; closing twice is fine. Also called when the process exits."""
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


def render(*collectors: Collector) -> bytes:
    """Return the metrics of registries and other collectors, in that order, as one document."""
    text = b"".join(generate_latest(collector) for collector in collectors)
    # The labels of whole buckets stay "1" and "5", as alerts and dashboards name them.
    return _WHOLE_BUCKET.sub(rb'\1"', text)


def bucket_of_ms(milliseconds: float) -> int:
    """Return the bucket of a duration."""
    return math.ceil(math.log(max(milliseconds, SHORTEST_MS), _GROWTH))


def ms_of_bucket(bucket: int) -> float:
    """Return the duration in milliseconds that is within `RELATIVE_ERROR` of every duration in the bucket."""
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
