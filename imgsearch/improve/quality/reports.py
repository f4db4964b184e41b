"""Stored reports: every evaluation that was kept, to be looked at again and compared over time.

It owns the tables `evaluation_*` and `robustness_runs`, append-only; it measures nothing, and draws nothing
(`imgsearch.improve.quality.report_files` writes a report as HTML or CSV).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from imgsearch.core.errors import EvaluationError
from imgsearch.improve.judging.qrels import Qrels
from imgsearch.improve.judging.topics import Topic
from imgsearch.improve.quality.evaluation import EvaluationReport, MeasureResult, RatedHit
from imgsearch.improve.quality.robustness import RobustnessReport
from imgsearch.store.database import Database, insert_frame

__all__ = ["Reports", "Run", "StoredRobustness", "check_comparable", "judgments_digest", "run_of"]

MAX_NAME = 120
SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation that was kept.

    `judgments` says in words which judgments it was measured on; runs of one `judgments_digest` were measured on
    the very same judgments and queries, so they can be compared. `happened_at` is in UTC.
    """

    run_id: str
    happened_at: datetime
    name: str
    system: str
    judgments: str
    judgments_digest: str
    encoder: str
    items: int
    seconds: float
    warnings: tuple[str, ...]
    measures: tuple[MeasureResult, ...]

    @property
    def title(self) -> str:
        """The words to show for this run: its name, else its system."""
        return self.name or self.system

    def as_dict(self) -> dict[str, Any]:
        """Return the run as the JSON of `imgsearch reports list --json`."""
        return {
            "run_id": self.run_id,
            "happened_at": f"{self.happened_at.isoformat(timespec='seconds')}Z",
            "name": self.name,
            "system": self.system,
            "judgments": self.judgments,
            "judgments_digest": self.judgments_digest,
            "encoder": self.encoder,
            "items": self.items,
            "seconds": round(self.seconds, 3),
            "warnings": list(self.warnings),
            "measures": {
                result.measure: {
                    "mean": result.mean,
                    "low": result.low,
                    "high": result.high,
                    "queries": result.queries,
                }
                for result in self.measures
            },
        }


@dataclass(frozen=True, slots=True)
class StoredRobustness:
    """One robustness check that was kept; `happened_at` is in UTC."""

    happened_at: datetime
    system: str
    report: RobustnessReport


class Reports:
    """The reports of one catalog; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        """Keep reports in an open catalog's database."""
        self._database = database

    def save(self, run: Run, report: EvaluationReport) -> None:
        """Keep a report for ever under its run, all of it or nothing."""
        frames = _frames(run.run_id, report)
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO evaluation_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    run.run_id,
                    run.happened_at,
                    run.name,
                    run.system,
                    run.judgments,
                    run.judgments_digest,
                    run.encoder,
                    run.items,
                    report.unknown_items,
                    run.seconds,
                    json.dumps(run.warnings),
                ],
            )
            for table, frame in frames.items():
                if len(frame):
                    insert_frame(cursor, table, frame)

    def all(self, *, digest: str | None = None) -> list[Run]:
        """Return every run, the newest first; with `digest`, only those measured on these judgments."""
        where, values = ("WHERE judgments_digest = ?", [digest]) if digest else ("", [])
        cursor = self._database.cursor()
        rows = cursor.execute(
            "SELECT run_id, happened_at, name, system, judgments, judgments_digest, encoder, items, seconds, "
            f"warnings FROM evaluation_runs {where} ORDER BY happened_at DESC, rowid DESC",
            values,
        ).fetchall()
        measures: dict[str, list[MeasureResult]] = {row[0]: [] for row in rows}
        for run_id, *measure in cursor.execute(
            "SELECT run_id, measure, mean, low, high, queries FROM evaluation_measures ORDER BY run_id, position"
        ).fetchall():
            if run_id in measures:
                measures[run_id].append(MeasureResult(*measure))
        return [
            Run(
                *[*row[:9], tuple(json.loads(row[9])), tuple(measures[row[0]])]
            )  # in the order of the columns
            for row in rows
        ]

    def get(self, run_id: str) -> Run:
        """Return the run of an id or of its first four or more characters.

        Raises `EvaluationError` where there is none, or more than one.
        """
        found = [run for run in self.all() if run.run_id.startswith(run_id)]
        if len(run_id) < SHORTEST_ID or not found:
            raise EvaluationError(
                f"There is no stored report {run_id[:40]!r}; `imgsearch reports list` shows those that there are."
            )
        if len(found) > 1:
            raise EvaluationError(f"{len(found)} stored reports begin with {run_id!r}; write more of the id.")
        return found[0]

    def report(self, run: Run) -> EvaluationReport:
        """Return a run's whole report, as it was when it was kept."""
        cursor = self._database.cursor()
        unknown = cursor.execute(
            "SELECT unknown_items FROM evaluation_runs WHERE run_id = ?", [run.run_id]
        ).fetchone()
        rows = cursor.execute(
            "SELECT position, query_id, kind, query, skipped FROM evaluation_queries WHERE run_id = ? "
            "ORDER BY position",
            [run.run_id],
        ).fetchall()
        names = {position: result.measure for position, result in enumerate(run.measures)}
        query_ids = {position: query_id for position, query_id, *_ in rows}
        per_query: dict[str, dict[str, float]] = {row[1]: {} for row in rows if not row[4]}
        for query, measure, value in cursor.execute(
            "SELECT query, measure, value FROM evaluation_values WHERE run_id = ? ORDER BY query, measure",
            [run.run_id],
        ).fetchall():
            per_query[query_ids[query]][names[measure]] = value
        hits: dict[str, list[RatedHit]] = {query_id: [] for query_id in per_query}
        for query, rank, item_id, relevance in cursor.execute(
            "SELECT query, rank, item_id, relevance FROM evaluation_hits WHERE run_id = ? ORDER BY query, rank",
            [run.run_id],
        ).fetchall():
            hits[query_ids[query]].append(RatedHit(item_id, rank, relevance))
        return EvaluationReport(
            measures=run.measures,
            per_query=per_query,
            skipped={row[1]: row[4] for row in rows if row[4]},
            unknown_items=int(unknown[0]) if unknown else 0,
            warnings=run.warnings,
            encoder=run.encoder,
            items=run.items,
            seconds=run.seconds,
            topics={row[1]: Topic(row[1], row[2], row[3]) for row in rows if row[2]},
            hits={query_id: tuple(found) for query_id, found in hits.items()},
        )

    # --- robustness -------------------------------------------------------------------------------------------

    def save_robustness(self, report: RobustnessReport, *, system: str) -> StoredRobustness:
        """Keep a robustness check for ever."""
        stored = StoredRobustness(datetime.now(UTC).replace(tzinfo=None), system, report)
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO robustness_runs VALUES (?, ?, ?, ?, ?)",
                [
                    uuid.uuid4().hex[:12],
                    stored.happened_at,
                    system,
                    report.encoder,
                    json.dumps(report.as_dict()),
                ],
            )
        return stored

    def latest_robustness(self) -> StoredRobustness | None:
        """Return the last robustness check, or None before the first."""
        row = (
            self._database.cursor()
            .execute(
                "SELECT happened_at, system, report FROM robustness_runs "
                "ORDER BY happened_at DESC, rowid DESC LIMIT 1"
            )
            .fetchone()
        )
        return (
            StoredRobustness(row[0], row[1], RobustnessReport.from_dict(json.loads(row[2]))) if row else None
        )


def run_of(report: EvaluationReport, *, name: str = "", system: str, judgments: str, digest: str) -> Run:
    """Return a report as a run of this moment, with an id of its own.

    `judgments` says in words what it was measured on, and `digest` is their `judgments_digest`.
    """
    return Run(
        run_id=uuid.uuid4().hex[:12],
        happened_at=datetime.now(UTC).replace(tzinfo=None),
        name=" ".join(name.split())[:MAX_NAME],
        system=system,
        judgments=judgments[:MAX_NAME],
        judgments_digest=digest,
        encoder=report.encoder,
        items=report.items,
        seconds=report.seconds,
        warnings=report.warnings,
        measures=report.measures,
    )


def check_comparable(first: Run, second: Run) -> None:
    """Raise `EvaluationError` where two runs were measured on different judgments."""
    if first.judgments_digest != second.judgments_digest:
        raise EvaluationError(
            f"The two reports were measured on different judgments ({first.judgments!r} and {second.judgments!r}, or "
            "these have changed since); measure both systems again on the same."
        )


def judgments_digest(qrels: Qrels, topics: Sequence[Topic]) -> str:
    """Return the name of judgments and their queries, 16 hex characters: the same ones have the same name.

    The order in which they come makes no difference.
    """
    asked = {topic.query_id: [topic.kind, topic.query] for topic in topics if topic.query_id in qrels}
    text = json.dumps([qrels, asked], sort_keys=True, default=dict)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _frames(run_id: str, report: EvaluationReport) -> Mapping[str, pd.DataFrame]:
    """Return the report as rows of its tables."""
    query_ids = [*report.per_query, *(query for query in report.skipped if query not in report.per_query)]
    place = {query_id: position for position, query_id in enumerate(query_ids)}
    topics = [report.topics.get(query_id) for query_id in query_ids]
    measures = [result.measure for result in report.measures]
    rows: dict[str, list[tuple[object, ...]]] = {
        "evaluation_measures": [
            (run_id, position, result.measure, result.mean, result.low, result.high, result.queries)
            for position, result in enumerate(report.measures)
        ],
        "evaluation_queries": [
            (
                run_id,
                position,
                query_id,
                topic.kind if topic else "",
                topic.query if topic else "",
                report.skipped.get(query_id, ""),
            )
            for position, (query_id, topic) in enumerate(zip(query_ids, topics, strict=True))
        ],
        "evaluation_values": [
            (run_id, place[query_id], measures.index(name), value)
            for query_id, values in report.per_query.items()
            for name, value in values.items()
        ],
        "evaluation_hits": [
            (run_id, place[query_id], hit.rank, hit.item_id, hit.relevance)
            for query_id, hits in report.hits.items()
            for hit in hits
        ],
    }
    frames = {table: pd.DataFrame(found) for table, found in rows.items()}
    if len(frames["evaluation_hits"]):
        frames["evaluation_hits"][4] = frames["evaluation_hits"][4].astype("Int32")
    return frames
