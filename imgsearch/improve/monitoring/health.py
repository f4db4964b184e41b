"""The state of a running service at one moment, also as metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from imgsearch.store.feedback import FeedbackState

__all__ = ["Health"]


@dataclass(frozen=True, slots=True)
class Health(Collector):
    """The state of a running service; `erasing` means that deleted rows leave the file when it stops."""

    items: int
    generation: int
    built_at: str | None
    encoder_status: Literal["loading", "ready", "failed"]
    encoder_reason: str
    searches_under_way: int
    encode_queue: int
    feedback: FeedbackState
    uploads: int
    keep_days: int
    erasing: bool

    @property
    def index_age_s(self) -> float | None:
        """Seconds since the active index was built."""
        if self.built_at is None:
            return None
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(self.built_at)).total_seconds())

    def collect(self) -> Iterator[Metric]:
        """Yield the state as Prometheus metrics."""
        yield GaugeMetricFamily("imgsearch_items", "Items in the catalog.", self.items)
        yield GaugeMetricFamily("imgsearch_index_generation", "Generation of the index.", self.generation)
        if (age_s := self.index_age_s) is not None:
            yield GaugeMetricFamily("imgsearch_index_age_seconds", "Age of the index.", age_s)
        ready, failed = self.encoder_status == "ready", self.encoder_status == "failed"
        yield GaugeMetricFamily(
            "imgsearch_encoder_ready", "1 when texts and pictures can be searched.", ready
        )
        yield GaugeMetricFamily("imgsearch_encoder_failed", "1 when the encoder failed to load.", failed)
        yield GaugeMetricFamily("imgsearch_uploads", "Stored pictures of visitors.", self.uploads)
        queued, written, lost = self.feedback.queued, self.feedback.written, self.feedback.lost
        yield GaugeMetricFamily("imgsearch_feedback_queued_rows", "Feedback rows not yet written.", queued)
        yield CounterMetricFamily("imgsearch_feedback_written_rows_total", "Feedback rows written.", written)
        yield CounterMetricFamily("imgsearch_feedback_lost_rows_total", "Feedback rows dropped.", lost)
