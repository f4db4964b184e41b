"""Reports as HTML, from the templates beside this file, and as CSV: pieces for the Quality page, and whole files."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader

from imgsearch.core.csv_cells import escape_formula
from imgsearch.core.errors import EvaluationError, ImageError, SourceError
from imgsearch.core.records import Item
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.improve.quality.comparison import MIN_P, Comparison
from imgsearch.improve.quality.evaluation import EvaluationReport, RatedHit
from imgsearch.improve.quality.measures import MeasureResult
from imgsearch.improve.quality.reports import Run
from imgsearch.improve.quality.robustness import SELF_FIRST, RobustnessReport
from imgsearch.store.catalog import CatalogStore

SHOWN_ROWS = 50
"""How many queries a standalone page shows: it contains their pictures."""


@dataclass(frozen=True, slots=True)
class ItemDisplay:
    """How items are shown: their `title`, and the `source` of a small picture ("" if there is none).

    `link` returns the address that searches a topic's query, or "".
    """

    title: Callable[[str], str]
    source: Callable[[str], str]
    link: Callable[[Topic], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One query of a report: its measures and first hits, and the `other` system's hits if two are compared.

    `delta` is this report's first measure minus the other's.
    """

    topic: Topic
    values: Mapping[str, float]
    hits: tuple[RatedHit, ...]
    other: tuple[RatedHit, ...] | None = None
    delta: float | None = None


def rows_of(
    report: EvaluationReport, measure: str, *, other: EvaluationReport | None = None, order: str = "worst"
) -> list[Row]:
    """Return the report's queries as rows.

    `order` is `worst` or `best` by the measure, or `lost` or `gained` by the change from `other`; ties by query id.
    """
    rows = []
    for query_id, values in report.per_query.items():
        before = other.per_query.get(query_id) if other else None
        rows.append(
            Row(
                report.topics.get(query_id, Topic(query_id, "query", query_id)),
                values,
                report.hits.get(query_id, ()),
                other.hits.get(query_id, ()) if other and before else None,
                values[measure] - before[measure] if before and measure in before else None,
            )
        )
    sign = -1 if order in ("best", "gained") else 1
    by_change = order in ("lost", "gained")

    def sort_key(row: Row) -> tuple[float, str]:
        value = (row.delta or 0.0) if by_change else row.values[measure]
        return sign * value, row.topic.query_id

    return sorted(rows, key=sort_key)


def report_css() -> str:
    """Return the style sheet of the pieces; it takes colours from the page that contains them."""
    return (resources.files(__package__) / "templates" / "report.css").read_text(encoding="utf-8")


def measures_html(measures: Sequence[MeasureResult]) -> str:
    """Return a card for each mean, with its interval and number of queries."""
    return _piece("measures", measures)


def warnings_html(warnings: Sequence[str]) -> str:
    """Return the warnings; "" if there are none."""
    return _piece("warnings", warnings)


def legend_html(*, compared: bool = False) -> str:
    """Return what the marks on the hits mean."""
    return _piece("legend", compared)


def rows_html(
    rows: Sequence[Row], measure: str, pictures: ItemDisplay, *, names: tuple[str, str] | None = None
) -> str:
    """Return queries with their first hits; `names` are this system's and the other's if two are compared."""
    return _piece("rows", rows, measure, pictures, names)


def comparison_html(comparisons: Sequence[Comparison], first: str, second: str) -> str:
    """Return a table of two systems: means, difference with interval, p-value, wins and losses."""
    return _piece("comparison", comparisons, first, second)


def robustness_html(report: RobustnessReport) -> str:
    """Return a table with a bar for each change."""
    return _piece("robustness", report.scores, {SELF_FIRST: "Every photo finds itself first"})


def report_page(
    run: Run,
    report: EvaluationReport,
    pictures: ItemDisplay,
    *,
    other: tuple[Run, EvaluationReport, Sequence[Comparison]] | None = None,
) -> str:
    """Return a report as one standalone HTML page: no script, nothing loaded from elsewhere.

    It shows the 50 worst queries, or with an `other` run (and its comparisons, `other` first) the 50 that lost most.
    """
    measure = run.measures[0].measure
    before, earlier, comparisons = other or (None, None, ())
    rows = rows_of(report, measure, other=earlier, order="lost" if earlier else "worst")
    return _TEMPLATES.get_template("page.html").render(
        title=f"{run.title}: {run.judgments}",
        run=run,
        before=before,
        comparisons=comparisons,
        rows=rows[:SHOWN_ROWS],
        measure=measure,
        pictures=pictures,
        skipped=report.skipped,
        shown_skipped=list(report.skipped.items())[:SHOWN_ROWS],
    )


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
    pictures = ItemDisplay(
        title=lambda item_id: items[item_id].title if item_id in items else item_id,
        source=lambda item_id: sources.get(item_id, ""),
        link=lambda topic: "",
    )
    return report_page(run, report, pictures, other=other)


def _piece(name: str, *arguments: Any) -> str:
    return str(getattr(_TEMPLATES.get_template("pieces.html").module, name)(*arguments))


def _data_urls(items: Iterable[Item], thumbnail: Callable[[Item], bytes]) -> dict[str, str]:
    urls = {}
    for item in items:
        try:
            data = thumbnail(item)
        except (ImageError, SourceError):
            continue
        urls[item.item_id] = f"data:image/webp;base64,{base64.b64encode(data).decode('ascii')}"
    return urls


def _describe(topic: Topic, pictures: ItemDisplay) -> tuple[str, str]:
    """Return a query in words, and the item to show for it or ""."""
    try:
        query = topic_query(topic)
    except EvaluationError:
        return topic.query, ""
    words, shown = [], ""
    for term in query.terms:
        value = str(term.value)
        if term.kind == "item":
            shown = shown or (value if term.weight > 0 else "")
            words.append(("not like " if term.weight < 0 else "") + pictures.title(value))
        else:
            words.append(f"“{value}”" if term.kind == "text" else "an uploaded photo")
    words += [str(condition) for condition in query.filters]
    return " + ".join(words), shown


def _direction(delta: float) -> str:
    return "q-up" if delta > 1e-9 else "q-down" if delta < -1e-9 else "q-same"


def _p_value(value: float) -> str:
    return f"≤ {MIN_P}" if value <= MIN_P else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


_TEMPLATES = Environment(
    loader=PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_TEMPLATES.filters |= {
    "describe": _describe,
    "direction": _direction,
    "p_value": _p_value,
    "percent": lambda share, digits=0: f"{share:.{digits}%}",
    "queries": lambda count: f"{count:,} {'query' if count == 1 else 'queries'}",
    "thousands": "{:,}".format,
}
