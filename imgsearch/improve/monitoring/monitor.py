"""What operators see and do while a service runs: health, usage, drift, and requests to delete a visitor's data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from imgsearch.improve.monitoring.drift import Drift, read_drifts
from imgsearch.improve.monitoring.overview import Overview, Period, read_overview
from imgsearch.improve.monitoring.retention import ForgottenVisitor, forget_visitor, rows_of_visitor
from imgsearch.improve.monitoring.telemetry import Telemetry
from imgsearch.search.engine import SearchEngine
from imgsearch.store.feedback import FeedbackLog, FeedbackState

QUEUE_WARNING_ROWS = 20_000
SLOW_MS = 1000.0
MAX_SHARE = 0.05
"""A larger share of refused or empty searches is reported."""
REFUSALS = frozenset({"bad_query", "bad_filter", "unknown_item", "bad_image", "image_too_large"})
"""Error codes of searches that were rightly refused."""
QUERY_WORDS = {"words": "Words", "photo": "Visitors' photos", "item": "The photos that visitors click"}


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


class Monitor:
    """Reports on one running engine; every answer includes the events that are still queued."""

    def __init__(self, engine: SearchEngine, feedback: FeedbackLog, telemetry: Telemetry) -> None:
        self._engine = engine
        self._database = engine.catalog.database
        self._feedback = feedback
        self._telemetry = telemetry

    def health(self) -> Health:
        """Return the state of the process and its catalog; fast enough for a probe every few seconds."""
        engine = self._engine
        header, encoder = engine.index.header, engine.encoder.state
        searching, encoding = self._telemetry.under_way()
        return Health(
            items=len(engine.catalog),
            generation=engine.index.generation,
            built_at=header.built_at if header else None,
            encoder_status=encoder.status,
            encoder_reason=encoder.reason,
            searches_under_way=searching,
            encode_queue=encoding,
            feedback=self._feedback.state(),
            uploads=engine.uploads.count(),
            keep_days=engine.settings.keep_events_days,
            erasing=self._database.erasing,
        )

    def overview(self, period: Period) -> Overview:
        """Return the usage in a period, up to this moment."""
        self._feedback.flush()
        self._telemetry.flush()
        return read_overview(self._database, period)

    def drifts(self) -> tuple[Drift, ...]:
        """Return whether visitors' queries are still as close to the catalog as at first."""
        return read_drifts(self._database)

    def rows_of_visitor(self, visitor: str) -> dict[str, int]:
        """Return the number of a visitor's rows by table; raises `FeedbackError`."""
        self._feedback.flush()
        return rows_of_visitor(self._database, visitor)

    def forget_visitor(self, visitor: str) -> ForgottenVisitor:
        """Delete all rows of a visitor and the pictures that only they sent; raises `FeedbackError`."""
        self._feedback.flush()
        forgotten = forget_visitor(self._database, visitor)
        for upload_id in forgotten.uploads:
            self._engine.uploads.remove(upload_id)
        return forgotten


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the state of the service."""

    level: Literal["good", "note", "bad"]
    text: str


def findings(overview: Overview, health: Health, drifts: Sequence[Drift] = ()) -> tuple[Finding, ...]:
    """Return every problem, the most urgent first, or one good finding where there is none."""
    bad, notes = [], []
    if health.encoder_status == "failed":
        bad.append(f"Words and photos cannot be searched: {health.encoder_reason}")
    elif health.encoder_status == "loading":
        notes.append("The model is still loading; items can be searched already.")
    if health.feedback.lost:
        bad.append(f"{health.feedback.lost:,} feedback rows are lost: the database could not be written.")
    elif health.feedback.queued > QUEUE_WARNING_ROWS:
        bad.append(f"{health.feedback.queued:,} feedback rows wait: the database does not accept them.")
    broken = sum(amount for code, amount in overview.failures.items() if code not in REFUSALS)
    if broken:
        bad.append(f"{broken:,} searches failed on the server; its log contains the errors.")
    refused = overview.failed - broken
    if refused > MAX_SHARE * (overview.searches + overview.failed):
        searches = "search was" if refused == 1 else "searches were"
        notes.append(f"{refused:,} {searches} refused as invalid; the reasons are listed below.")
    total = next((stage for stage in overview.stages if stage.stage == "total"), None)
    if total and total.p95_ms > SLOW_MS:
        notes.append(f"5% of the searches take longer than {total.p95_ms / 1000:.1f} s.")
    if overview.empty > MAX_SHARE * overview.searches:
        notes.append(f"{overview.empty:,} of {overview.searches:,} searches found nothing.")
    for drift in drifts:
        if drift.state == "drifted" and drift.mean_now is not None and drift.mean_then is not None:
            where = "further from" if drift.mean_now < drift.mean_then else "nearer to"
            notes.append(
                f"{QUERY_WORDS[drift.kind]} are {where} the catalog than in its first week "
                f"(mean cosine {drift.mean_now:.2f}, was {drift.mean_then:.2f})."
            )
    if not bad and not notes:
        return (Finding("good", f"All is well: {health.items:,} photos can be searched."),)
    return (*(Finding("bad", text) for text in bad), *(Finding("note", text) for text in notes))
