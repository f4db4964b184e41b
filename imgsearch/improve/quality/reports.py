"""Stored reports: every evaluation and robustness check, append-only, to be read again and compared over time."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from imgsearch.core.errors import EvaluationError
from imgsearch.improve.judging.qrels import Qrels
from imgsearch.improve.judging.topics import Topic
from imgsearch.improve.quality.evaluation import EvaluationReport, RatedHit, measures_as_dict
from imgsearch.improve.quality.measures import MeasureResult
from imgsearch.improve.quality.robustness import RobustnessReport
from imgsearch.store.database import Database, insert_frame, utc_now

MAX_NAME = 120
MIN_ID_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Run:
    """One stored evaluation, in the order of its columns in `evaluation_runs`.

    `judgments` describes the judgments; runs with the same `judgments_digest` were measured on exactly the same
    judgments and queries, so they can be compared. `happened_at` is in UTC.
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
        """The run's name, else its system."""
        return self.name or self.system

    def as_dict(self) -> dict[str, Any]:
        """Return the run as the JSON of `imgsearch reports list --json`."""
        plain = ("run_id", "name", "system", "judgments", "judgments_digest", "encoder", "items")
        return {name: getattr(self, name) for name in plain} | {
            "happened_at": f"{self.happened_at.isoformat(timespec='seconds')}Z",
            "seconds": round(self.seconds, 3),
            "warnings": list(self.warnings),
            "measures": measures_as_dict(self.measures),
        }


@dataclass(frozen=True, slots=True)
class StoredRobustness:
    """One stored robustness check; `happened_at` is in UTC."""

    happened_at: datetime
    system: str
    report: RobustnessReport


class Reports:
    """The reports of one catalog; safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        """Store reports in an open catalog's database."""
        self._database = database

    def save(self, run: Run, report: EvaluationReport) -> None:
        """Store a report under its run, all of it or nothing."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO evaluation_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(run.run_id, run.happened_at, run.name, run.system, run.judgments, run.judgments_digest),
                    *(run.encoder, run.items, report.unknown_items, run.seconds, json.dumps(run.warnings)),
                ],
            )
            for table, rows in _rows_by_table(run.run_id, report).items():
                if rows:
                    frame = pd.DataFrame(rows)
                    if table == "evaluation_hits":
                        frame[4] = frame[4].astype("Int32")
                    insert_frame(cursor, table, frame)

    def all(self, *, digest: str | None = None) -> list[Run]:
        """Return every run, the newest first; with `digest`, only those measured on these judgments."""
        rows = self._rows(
            "SELECT run_id, happened_at, name, system, judgments, judgments_digest, encoder, items, seconds, "
            "warnings, (SELECT list(struct_pack(measure, mean, low, high, queries) ORDER BY position) "
            "FROM evaluation_measures WHERE run_id = runs.run_id) "
            f"FROM evaluation_runs AS runs {'WHERE judgments_digest = ?' if digest else ''} "
            "ORDER BY happened_at DESC, runs.rowid DESC",
            [digest] if digest else [],
        )
        return [
            Run(
                *[*row[:9], tuple(json.loads(row[9])), tuple(MeasureResult(**each) for each in row[10] or ())]
            )
            for row in rows
        ]

    def get(self, run_id: str) -> Run:
        """Return the run of an id or of its first four or more characters.

        Raises `EvaluationError` if there is none, or more than one.
        """
        found = [run for run in self.all() if run.run_id.startswith(run_id)]
        if len(run_id) < MIN_ID_PREFIX or not found:
            raise EvaluationError(
                f"There is no stored report {run_id[:40]!r}; `imgsearch reports list` shows all reports."
            )
        if len(found) > 1:
            raise EvaluationError(f"{len(found)} stored reports begin with {run_id!r}; give more of the id.")
        return found[0]

    def report(self, run: Run) -> EvaluationReport:
        """Return a run's whole report."""
        ((unknown_items,),) = self._rows(
            "SELECT unknown_items FROM evaluation_runs WHERE run_id = ?", [run.run_id]
        ) or [(0,)]
        rows = self._rows(
            "SELECT query_id, kind, query, skipped FROM evaluation_queries WHERE run_id = ? ORDER BY position",
            [run.run_id],
        )
        query_ids = [row[0] for row in rows]
        per_query: dict[str, dict[str, float]] = {row[0]: {} for row in rows if not row[3]}
        for query, measure, value in self._rows(
            "SELECT query, measure, value FROM evaluation_values WHERE run_id = ? ORDER BY query, measure",
            [run.run_id],
        ):
            per_query[query_ids[query]][run.measures[measure].measure] = value
        hits: dict[str, list[RatedHit]] = {query_id: [] for query_id in per_query}
        for query, *hit in self._rows(
            "SELECT query, item_id, rank, relevance FROM evaluation_hits WHERE run_id = ? ORDER BY query, rank",
            [run.run_id],
        ):
            hits[query_ids[query]].append(RatedHit(*hit))
        return EvaluationReport(
            measures=run.measures,
            per_query=per_query,
            skipped={row[0]: row[3] for row in rows if row[3]},
            unknown_items=int(unknown_items),
            warnings=run.warnings,
            encoder=run.encoder,
            items=run.items,
            seconds=run.seconds,
            topics={row[0]: Topic(*row[:3]) for row in rows if row[1]},
            hits={query_id: tuple(found) for query_id, found in hits.items()},
        )

    def save_robustness(self, report: RobustnessReport, *, system: str) -> StoredRobustness:
        """Store a robustness check."""
        stored = StoredRobustness(utc_now(), system, report)
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO robustness_runs VALUES (?, ?, ?, ?, ?)",
                [
                    _new_id(),
                    stored.happened_at,
                    system,
                    report.encoder,
                    json.dumps(report.model_dump(mode="json")),
                ],
            )
        return stored

    def latest_robustness(self) -> StoredRobustness | None:
        """Return the last robustness check, or None before the first."""
        rows = self._rows(
            "SELECT happened_at, system, report FROM robustness_runs ORDER BY happened_at DESC, rowid DESC LIMIT 1"
        )
        for happened_at, system, report in rows:
            return StoredRobustness(happened_at, system, RobustnessReport.model_validate_json(report))
        return None

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._database.cursor().execute(sql, values).fetchall()


def run_of(report: EvaluationReport, *, name: str = "", system: str, judgments: str, digest: str) -> Run:
    """Return a report as a run of this moment, with a new id.

    `judgments` describes what it was measured on, and `digest` is their `judgments_digest`.
    """
    return Run(
        run_id=_new_id(),
        happened_at=utc_now(),
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
    """Raise `EvaluationError` if two runs were measured on different judgments."""
    if first.judgments_digest != second.judgments_digest:
        raise EvaluationError(
            f"The two reports were measured on different judgments ({first.judgments!r} and {second.judgments!r}, or "
            "these have changed since); measure both systems again on the same."
        )


def judgments_digest(qrels: Qrels, topics: Sequence[Topic]) -> str:
    """Return 16 hex characters that identify judgments and their queries, in any order."""
    asked = {topic.query_id: [topic.kind, topic.query] for topic in topics if topic.query_id in qrels}
    text = json.dumps([qrels, asked], sort_keys=True, default=dict)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _rows_by_table(run_id: str, report: EvaluationReport) -> Mapping[str, list[tuple[object, ...]]]:
    query_ids = [*report.per_query, *(query for query in report.skipped if query not in report.per_query)]
    positions = {query_id: position for position, query_id in enumerate(query_ids)}
    topics = {query_id: report.topics.get(query_id) or Topic(query_id, "", "") for query_id in query_ids}  # type: ignore[arg-type]
    measures = [result.measure for result in report.measures]
    return {
        "evaluation_measures": [
            (run_id, position, result.measure, result.mean, result.low, result.high, result.queries)
            for position, result in enumerate(report.measures)
        ],
        "evaluation_queries": [
            (run_id, position, query_id, topic.kind, topic.query, report.skipped.get(query_id, ""))
            for position, (query_id, topic) in enumerate(topics.items())
        ],
        "evaluation_values": [
            (run_id, positions[query_id], measures.index(name), value)
            for query_id, values in report.per_query.items()
            for name, value in values.items()
        ],
        "evaluation_hits": [
            (run_id, positions[query_id], hit.rank, hit.item_id, hit.relevance)
            for query_id, hits in report.hits.items()
            for hit in hits
        ],
    }


def _new_id() -> str:
    return uuid.uuid4().hex[:12]
