"""What operators see and do while a service runs: health, usage, drift, and requests to delete a visitor's data."""

from __future__ import annotations

from imgsearch.improve.monitoring.drift import Drift, read_drifts
from imgsearch.improve.monitoring.health import Health
from imgsearch.improve.monitoring.overview import Overview, Period
from imgsearch.improve.monitoring.overview_queries import read_overview
from imgsearch.improve.monitoring.telemetry import Telemetry
from imgsearch.improve.monitoring.visitor_data import ForgottenVisitor, forget_visitor, rows_of_visitor
from imgsearch.search.engine import SearchEngine
from imgsearch.store.feedback import FeedbackLog

__all__ = ["Monitor"]


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
