"""Reports as files: CSV for a spreadsheet, and a standalone HTML page with its pictures."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from imgsearch.core.csv_cells import escape_formula
from imgsearch.core.errors import EvaluationError, ImageError, SourceError
from imgsearch.core.records import Item
from imgsearch.improve.quality.comparison import Comparison
from imgsearch.improve.quality.evaluation import EvaluationReport
from imgsearch.improve.quality.report_html import SHOWN_ROWS, Pictures, report_page, rows_of
from imgsearch.improve.quality.reports import Run
from imgsearch.store.catalog import CatalogStore

__all__ = ["report_csv", "standalone_html", "write_file"]


def report_csv(run: Run, report: EvaluationReport, other: EvaluationReport | None = None) -> str:
    """Return a report as CSV: one row for each query, and below them the queries that were left out.

    Columns: query_id, kind, query, every measure, with `other` also each of its measures as `other MEASURE`, and
    left_out (the reason). Text that a spreadsheet would read as a formula begins with an apostrophe.
    """
    measures = [result.measure for result in run.measures]
    theirs = [name for name in measures if other and all(name in row for row in other.per_query.values())]
    rows = []
    for query_id in [*report.per_query, *report.skipped]:
        topic = report.topics.get(query_id)
        their_values = other.per_query.get(query_id, {}) if other else {}
        rows.append(
            {
                "query_id": escape_formula(query_id),
                "kind": topic.kind if topic else "",
                "query": escape_formula(topic.query) if topic else "",
                **report.per_query.get(query_id, {}),
                **{f"other {name}": value for name, value in their_values.items()},
                "left_out": escape_formula(report.skipped.get(query_id, "")),
            }
        )
    columns = ["query_id", "kind", "query", *measures, *(f"other {name}" for name in theirs), "left_out"]
    return pd.DataFrame(rows, columns=columns).to_csv(index=False, lineterminator="\n")


def standalone_html(
    run: Run,
    report: EvaluationReport,
    catalog: CatalogStore,
    thumbnail: Callable[[Item], bytes],
    *,
    other: tuple[Run, EvaluationReport, Sequence[Comparison]] | None = None,
) -> str:
    """Return a report as an HTML page that contains its pictures; see `report_page`.

    `thumbnail` returns an item's small WebP; photos that cannot be read are left grey.
    """
    measure = run.measures[0].measure
    rows = rows_of(report, measure, other=other[1] if other else None, order="lost" if other else "worst")
    item_ids: dict[str, None] = {}
    for row in rows[:SHOWN_ROWS]:
        item_ids |= dict.fromkeys(hit.item_id for hit in (*row.hits, *(row.other or ())))
        if row.topic.kind == "item":
            item_ids[row.topic.query] = None
    items = {item.item_id: item for item in catalog.get_many(list(item_ids))}
    sources = _data_urls(items.values(), thumbnail)
    pictures = Pictures(
        title=lambda item_id: items[item_id].title if item_id in items else item_id,
        source=lambda item_id: sources.get(item_id, ""),
        link=lambda topic: "",
    )
    return report_page(run, report, pictures, other=other)


def write_file(path: Path, text: str) -> None:
    """Write a text; raises `EvaluationError` if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}.") from error


def _data_urls(items: Iterable[Item], thumbnail: Callable[[Item], bytes]) -> dict[str, str]:
    urls = {}
    for item in items:
        try:
            data = thumbnail(item)
        except (ImageError, SourceError):
            continue
        urls[item.item_id] = f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"
    return urls
