"""Labelers' verdicts as files: TREC qrels with their topics, and CSV with one row for each verdict.

query,item_id,labeler,verdict,role,judged_at,seconds     query: as URL parameters, or an item's id;
                                                         verdict: good, bad or cant_tell
"""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from imgsearch.core.errors import EvaluationError, JudgingError
from imgsearch.core.query_address import query_key
from imgsearch.core.records import Judgment, Verdict
from imgsearch.improve.judging.qrels import export_judgments, known_qrels, parse_qrels, topics_from_qrels
from imgsearch.improve.judging.records import clean_name
from imgsearch.improve.judging.topics import (
    Topic,
    default_topics_path,
    read_text,
    read_topics,
    topic_query,
    write_text,
)
from imgsearch.store.catalog import CatalogStore

if TYPE_CHECKING:
    import pandas as pd

CSV_COLUMNS = ("query", "item_id", "labeler", "verdict", "role", "judged_at", "seconds")
_REQUIRED = ("query", "item_id", "verdict")


def read_verdicts(
    path: Path, catalog: CatalogStore, *, labeler: str, topics: Path | None = None
) -> list[Judgment]:
    """Return the verdicts of a file: CSV if its name ends in .csv, else TREC qrels with their topics.

    The topics of qrels are those of `topics`, else the file beside the qrels, else what the query ids say. `labeler`
    is who judged if the file does not say. Raises `EvaluationError` or `JudgingError` naming the line at fault.
    """
    text = read_text(path)
    if path.suffix.lower() == ".csv":
        return verdicts_from_csv(text, str(path), catalog, labeler=labeler)
    beside = default_topics_path(path)
    given = read_topics(topics or beside) if topics is not None or beside.is_file() else None
    return verdicts_from_qrels(text, str(path), catalog, labeler=labeler, topics=given)


def verdicts_from_qrels(
    text: str, name: str, catalog: CatalogStore, *, labeler: str, topics: list[Topic] | None = None
) -> list[Judgment]:
    """Return the judgments in the text of a qrels file as one labeler's verdicts: above 0 is good, else bad.

    Raises `EvaluationError` for a malformed line or a query without a topic.
    """
    labeler = clean_name(labeler, "The labeler's name")
    qrels, _ = known_qrels(parse_qrels(text, name), catalog)
    by_id = {
        each.query_id: each for each in (topics_from_qrels(qrels, catalog) if topics is None else topics)
    }
    missing = [query_id for query_id in qrels if query_id not in by_id]
    if missing:
        raise EvaluationError(
            f"{name} judges the query {missing[0][:80]!r}, which is not among the topics; add it to them."
        )
    keys = {query_id: query_key(topic_query(by_id[query_id])) for query_id in qrels}
    return [
        Judgment(keys[query_id], item_id, "good" if level > 0 else "bad", labeler)
        for query_id, levels in qrels.items()
        for item_id, level in levels.items()
    ]


def verdicts_from_csv(text: str, name: str, catalog: CatalogStore, *, labeler: str) -> list[Judgment]:
    """Return the verdicts in the text of a CSV file with the columns query, item_id, verdict and perhaps labeler.

    Rows of referees are left out: only the raters' verdicts are imported. Raises `EvaluationError` for a missing
    column, a malformed line or a query that cannot be parsed.
    """
    fallback = clean_name(labeler, "The labeler's name")
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = [column for column in _REQUIRED if column not in (rows.fieldnames or ())]
    if missing:
        raise EvaluationError(
            f"{name} has no column {missing[0]!r}; a CSV of judgments has {', '.join(CSV_COLUMNS[:4])}."
        )
    keys: dict[str, str] = {}
    found = []
    try:
        for row in rows:
            if row.get("role") == "referee":
                continue
            query, item_id, verdict = (row[column] or "" for column in _REQUIRED)
            if verdict not in get_args(Verdict):
                raise EvaluationError(
                    f"The verdict is {verdict[:40]!r}; use one of {', '.join(get_args(Verdict))}."
                )
            if query not in keys:
                keys[query] = _key_of(query, catalog)
            judge = clean_name(row.get("labeler") or fallback, "The labeler's name")
            found.append(Judgment(keys[query], item_id, cast(Verdict, verdict), judge))
    except (EvaluationError, JudgingError) as error:
        raise EvaluationError(f"Line {rows.line_num} of {name}: {error}") from None
    except csv.Error as error:
        raise EvaluationError(f"Line {rows.line_num} of {name} is not CSV: {error}.") from None
    if not found:
        raise EvaluationError(f"The file {name} has no judgments.")
    return found


def _key_of(query: str, catalog: CatalogStore) -> str:
    try:
        (topic,) = topics_from_qrels({query: {}}, catalog)
    except EvaluationError:
        raise EvaluationError(
            f"The query {query[:80]!r} is no item of the catalog; write words as text=red+mug."
        ) from None
    return query_key(topic_query(topic))


def verdicts_csv(verdicts: pd.DataFrame) -> str:
    """Return verdicts (the columns of `Judging.verdicts`) as CSV with the columns query to seconds."""
    frame = verdicts.rename(columns={"query_key": "query"}).assign(
        judged_at=[moment.isoformat(timespec="seconds") for moment in verdicts["happened_at"]],
        seconds=(verdicts["took_ms"] / 1000).round(1),
    )
    return frame.to_csv(columns=list(CSV_COLUMNS), index=False, lineterminator="\n")


def write_verdicts_csv(verdicts: pd.DataFrame, path: Path) -> None:
    """Write verdicts as CSV. Raises `EvaluationError` if there are none or the file cannot be written."""
    if verdicts.empty:
        raise EvaluationError("There are no judgments in this set to export yet.")
    write_text(path, verdicts_csv(verdicts))


def qrels_zip(votes: pd.DataFrame, stem: str) -> bytes:
    """Return votes (the columns of `Judging.votes`) as a zip of `stem`.trec and its topics.

    Raises `EvaluationError` if no verdict is good or bad.
    """
    buffer = io.BytesIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        export_judgments(votes, Path(folder) / f"{stem}.trec")
        for file in sorted(Path(folder).iterdir()):
            archive.write(file, file.name)
    return buffer.getvalue()
