"""Reports as HTML: pieces that the Quality page draws, and one standalone page to send to somebody.

It owns their markup and words; every text that comes from people is escaped here. Where pictures come from is handed
in: addresses for the app's page, the pictures themselves for a standalone one. It reads no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from imgsearch.core.errors import EvaluationError
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.improve.quality.comparison import Comparison
from imgsearch.improve.quality.evaluation import EvaluationReport, MeasureResult, RatedHit
from imgsearch.improve.quality.reports import Run
from imgsearch.improve.quality.robustness import SELF_FIRST, RobustnessReport

__all__ = [
    "Pictures",
    "Row",
    "comparison_html",
    "legend_html",
    "measures_html",
    "notes_html",
    "report_css",
    "report_page",
    "robustness_html",
    "rows_html",
    "rows_of",
]

SHOWN_ROWS = 50
"""How many queries a standalone page shows, the worst ones: it carries their pictures with it."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """How items are shown: their `title`, the `source` of a small picture ("" where there is none).

    `link` gives the address that asks a query again, or "" where there is none.
    """

    title: Callable[[str], str]
    source: Callable[[str], str]
    link: Callable[[Topic], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One query of a report: its measures and first hits; `other` and `delta` are of the system it is compared to.

    `delta` is by how much this report's first measure is above (positive) the other's.
    """

    topic: Topic
    values: Mapping[str, float]
    hits: tuple[RatedHit, ...]
    other: tuple[RatedHit, ...] | None = None
    delta: float | None = None


def report_css() -> str:
    """Return the style sheet of the pieces; it takes colours from the page that it is in."""
    return (resources.files("imgsearch") / "data" / "report.css").read_text(encoding="utf-8")


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

    def place(row: Row) -> tuple[float, str]:
        value = (row.delta or 0.0) if by_change else row.values[measure]
        return sign * value, row.topic.query_id

    return sorted(rows, key=place)


# --- pieces -----------------------------------------------------------------------------------------------------


def measures_html(measures: Sequence[MeasureResult]) -> str:
    """Return the means with their intervals and numbers of queries, a card each."""
    cards = "".join(
        f'<li class="q-card"><span class="q-name">{escape(result.measure)}</span>'
        f'<strong class="q-mean">{result.mean:.3f}</strong>{_range(result.low, result.mean, result.high)}'
        f'<span class="q-note">{result.low:.3f} to {result.high:.3f} · {_queries(result.queries)}</span></li>'
        for result in measures
    )
    return f'<ul class="q-cards">{cards}</ul>'


def notes_html(warnings: Sequence[str]) -> str:
    """Return the warnings, plainly; nothing where there are none."""
    return "".join(f'<p class="q-warning" role="note">{escape(warning)}</p>' for warning in warnings)


def legend_html(*, compared: bool = False) -> str:
    """Return what the marks on the hits mean."""
    marks = [("good", "✓", "relevant"), ("bad", "✕", "not relevant"), ("open", "?", "not judged")]
    parts = "".join(
        f'<span class="q-key"><span class="q-mark q-{kind}">{mark}</span>{words}</span>'
        for kind, mark, words in marks
    )
    if compared:
        parts += '<span class="q-key"><span class="q-swatch"></span>only in this list</span>'
    return f'<p class="q-legend">{parts}</p>'


def rows_html(
    rows: Sequence[Row], measure: str, pictures: Pictures, *, names: tuple[str, str] | None = None
) -> str:
    """Return queries with their first hits; `names` are this system's and the other's where two are compared."""
    return f'<ol class="q-rows">{"".join(_row(row, measure, pictures, names) for row in rows)}</ol>'


def comparison_html(comparisons: Sequence[Comparison], first: str, second: str) -> str:
    """Return two systems side by side: means, difference with interval, p-value, wins and losses."""
    head = "".join(
        f'<th scope="col">{escape(title)}</th>'
        for title in ("Measure", first, second, "Difference (95%)", "p", "Better · equal · worse")
    )
    body = "".join(
        f'<tr><th scope="row">{escape(each.measure)}</th><td>{each.first:.3f}</td><td>{each.second:.3f}</td>'
        f'<td class="q-delta {_direction(each)}">{each.difference:+.3f} '
        f'<span class="q-note">{each.low:+.3f} to {each.high:+.3f}</span></td>'
        f"<td>{_p(each.p_value)}</td><td>{_wins(each)}</td></tr>"
        for each in comparisons
    )
    table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="q-scroll"><table class="q-table">{table}</table></div>'


def robustness_html(report: RobustnessReport) -> str:
    """Return a robustness check: a bar for each change."""
    rows = "".join(
        f'<tr><th scope="row">{escape(_change(score.change))}</th>'
        f'<td class="q-bar-cell">{_range(score.low, score.mean, score.high)}</td>'
        f'<td>{score.mean:.0%} <span class="q-note">{score.low:.0%} to {score.high:.0%}</span></td></tr>'
        for score in report.scores
    )
    return f'<div class="q-scroll"><table class="q-table q-bars"><tbody>{rows}</tbody></table></div>'


def report_page(
    run: Run,
    report: EvaluationReport,
    pictures: Pictures,
    *,
    other: tuple[Run, EvaluationReport, Sequence[Comparison]] | None = None,
) -> str:
    """Return a report as one standalone HTML page: no script, nothing loaded from elsewhere.

    It shows the 50 worst queries; compared to an `other` run (with its comparisons, `other` first), the 50 that
    changed for the worse most.
    """
    measure = run.measures[0].measure
    rows = rows_of(report, measure, other=other[1] if other else None, order="lost" if other else "worst")
    title = f"{run.title}: {run.judgments}"
    facts = [
        f"Measured {run.happened_at:%Y-%m-%d %H:%M} UTC",
        f"system {run.system}",
        f"encoder {run.encoder}",
        f"{run.items:,} items",
    ]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="q-note">{escape(" · ".join(facts))}</p>',
        measures_html(run.measures),
        notes_html(run.warnings),
    ]
    names = None
    if other is not None:
        before, _, comparisons = other
        names = (run.title, before.title)
        parts.append(f"<h2>Compared with {escape(before.title)}</h2>")
        parts.append(f"<p>{escape(comparisons[0].sentence(before.title, run.title))}</p>")
        parts.append(comparison_html(comparisons, before.title, run.title))
    shown = rows[:SHOWN_ROWS]
    what = "that lost most" if other else "with the lowest"
    parts.append(f"<h2>The {_queries(len(shown))} {what} {escape(measure)}</h2>")
    parts.append(legend_html(compared=other is not None) + rows_html(shown, measure, pictures, names=names))
    if report.skipped:
        left_out = "".join(
            f"<li><code>{escape(query_id)}</code> {escape(reason)}</li>"
            for query_id, reason in list(report.skipped.items())[:SHOWN_ROWS]
        )
        parts.append(f"<h2>Left out: {_queries(len(report.skipped))}</h2><ul>{left_out}</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_PAGE_POLICY}">'
        f"<title>{escape(title)}</title><style>{_PAGE_CSS}{report_css()}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


# --- inside -----------------------------------------------------------------------------------------------------

_PAGE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_PAGE_CSS = """
:root { color-scheme: light dark; }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; letter-spacing: -0.02em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
"""


def _row(row: Row, measure: str, pictures: Pictures, names: tuple[str, str] | None) -> str:
    words, shown_item = _describe(row.topic, pictures)
    link = pictures.link(row.topic)
    picture = (
        _picture(shown_item, pictures) if shown_item else '<span class="q-words" aria-hidden="true">Aa</span>'
    )
    label = f'<a href="{escape(link)}" target="_self">{escape(words)}</a>' if link else escape(words)
    others = " · ".join(
        f"{escape(name)} {value:.2f}" for name, value in row.values.items() if name != measure
    )
    change = ""
    if row.delta is not None:
        kind = "up" if row.delta > 1e-9 else "down" if row.delta < -1e-9 else "same"
        change = f'<span class="q-change q-{kind}">{row.delta:+.3f}</span>'
    lists = [("", row.hits, row.other)]
    if row.other is not None and names is not None:
        lists = [(names[0], row.hits, row.other), (names[1], row.other, row.hits)]
    strips = "".join(_strip(name, hits, against, pictures) for name, hits, against in lists)
    return (
        f'<li class="q-row"><div class="q-query">{picture}<div class="q-about"><span class="q-label">{label}</span>'
        f'<span class="q-value"><strong>{row.values[measure]:.3f}</strong>{change}</span>'
        f'<span class="q-note">{others}</span></div></div><div class="q-strips">{strips}</div></li>'
    )


def _strip(
    name: str, hits: Sequence[RatedHit], against: Sequence[RatedHit] | None, pictures: Pictures
) -> str:
    there = {hit.item_id for hit in against} if against is not None else None
    tiles = "".join(
        f'<li class="q-hit{" q-only" if there is not None and hit.item_id not in there else ""}">'
        f"{_picture(hit.item_id, pictures)}{_mark(hit.relevance)}</li>"
        for hit in hits
    )
    label = f'<span class="q-note q-system">{escape(name)}</span>' if name else ""
    return f'{label}<ol class="q-hits">{tiles or "<li class=q-note>nothing was found</li>"}</ol>'


def _picture(item_id: str, pictures: Pictures) -> str:
    title, source = escape(pictures.title(item_id), quote=True), pictures.source(item_id)
    if not source:
        return f'<span class="q-photo q-gone" title="{title}"></span>'
    return f'<img class="q-photo" src="{escape(source, quote=True)}" alt="{title}" title="{title}" loading="lazy">'


def _mark(relevance: int | None) -> str:
    if relevance is None:
        return '<span class="q-mark q-open" title="not judged">?</span>'
    if relevance <= 0:
        return '<span class="q-mark q-bad" title="not relevant">✕</span>'
    sign = "✓" if relevance == 1 else str(relevance)
    return f'<span class="q-mark q-good" title="relevant, grade {relevance}">{sign}</span>'


def _describe(topic: Topic, pictures: Pictures) -> tuple[str, str]:
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
    words += [str(filter) for filter in query.filters]
    return " + ".join(words), shown


def _range(low: float, mean: float, high: float) -> str:
    """Return a track from 0 to 1 with the interval as a band and the mean as a line."""
    left, right = max(0.0, low), min(1.0, high)
    return (
        f'<span class="q-track" aria-hidden="true"><span class="q-band" style="left:{left:.2%};'
        f'width:{max(0.0, right - left):.2%}"></span><span class="q-dot" style="left:{min(1.0, max(0.0, mean)):.2%}">'
        "</span></span>"
    )


def _wins(each: Comparison) -> str:
    """Return wins, ties and losses in figures and as a bar."""
    parts = ((each.wins, "up"), (each.ties, "same"), (each.losses, "down"))
    bar = "".join(
        f'<span class="q-{kind}" style="flex-grow:{count}"></span>' for count, kind in parts if count
    )
    return (
        f'{each.wins:,} · {each.ties:,} · {each.losses:,}<span class="q-wins" aria-hidden="true">{bar}</span>'
    )


def _direction(each: Comparison) -> str:
    if not each.significant:
        return "q-same"
    return "q-up" if each.difference > 0 else "q-down"


def _p(value: float) -> str:
    return "≤ 0.0001" if value <= 0.0001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _change(change: str) -> str:
    return "Every photo finds itself first" if change == SELF_FIRST else change[:1].upper() + change[1:]


def _queries(count: int) -> str:
    return f"{count:,} {'query' if count == 1 else 'queries'}"
