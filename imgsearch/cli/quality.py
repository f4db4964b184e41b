"""`imgsearch evaluate`, `robustness`, `reports` and `export-judgments`: measure the search."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, many, one_line, say

if TYPE_CHECKING:
    from imgsearch.improve.quality.comparison import Comparison
    from imgsearch.improve.quality.evaluation import EvaluationReport
    from imgsearch.improve.quality.measures import MeasureResult
    from imgsearch.improve.quality.reports import Run
    from imgsearch.improve.quality.robustness import RobustnessReport
    from imgsearch.search.engine import SearchEngine
    from imgsearch.store.catalog import CatalogStore
    from imgsearch.store.thumbnails import ThumbnailCache

HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a standalone web page.")
]
CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write the measures of every query.")
]
QrelsOption = Annotated[
    Path, typer.Option(metavar="FILE.trec", help="Judgments: query_id 0 item_id relevance.")
]
MeasuresOption = Annotated[
    str,
    typer.Option(
        metavar="NAMES", help="nDCG, P, R, AP, RR, Success, Rprec, Bpref; with cut-offs, as in P@5."
    ),
]
TopicsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Queries: query_id, kind (item, text, query) and query, separated by tabs. By default FILE.topics.tsv "
        "beside the qrels, else the query ids are item ids.",
    ),
]
CompleteOption = Annotated[
    bool,
    typer.Option(
        "--complete", help="The qrels list every relevant item: all others count as judged, not relevant."
    ),
]
SystemOption = Annotated[
    str, typer.Option(metavar="NAME", help="The system to test; see `imgsearch system list`.")
]
SaveOption = Annotated[bool, typer.Option("--save", help="Save the result in the catalog.")]
THUMBNAIL_PX = 96

reports = terminal.command_group(
    "reports", "Evaluations saved with `evaluate --save` or on the Quality page."
)

app = typer.Typer()
app.add_typer(reports)


@app.command()
def evaluate(
    qrels: QrelsOption,
    measures: MeasuresOption = "nDCG@10 P@10 R@10 AP",
    topics: TopicsOption = None,
    complete: CompleteOption = False,
    system: SystemOption = "live",
    compare: Annotated[
        str | None, typer.Option(metavar="SYSTEM", help="Another system to compare it with, query by query.")
    ] = None,
    save: SaveOption = False,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="The name of the saved report; implies --save.")
    ] = "",
    html: HtmlOption = None,
    csv: CsvOption = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the search against relevance judgments, with 95% intervals.

    Example: `imgsearch evaluate --qrels judged.trec --measures 'nDCG@10 R@50'`
    """
    from imgsearch.improve.quality.measures import parse_measures
    from imgsearch.improve.quality.reports import Reports

    parse_measures(measures)
    save = save or bool(name)
    names = [system, *([compare] if compare else [])]
    with terminal.open_engine(catalog) as engine:
        found = _measure(engine, names, qrels, topics, measures, complete=complete, name=name)
        if save:
            stored = Reports(engine.catalog.database)
            with engine.catalog.database.transaction():
                for each in found:
                    stored.save(*each)
        measured, other = found[0], found[1] if len(found) > 1 else None
        _write_files(engine.catalog, engine.thumbnails, measured, other, html, csv)
    run, report = measured
    compared = _compared(measured, other)
    if as_json:
        document = report.as_dict()
        if save:
            document["run_id"] = run.run_id
        if other is not None:
            document["comparison"] = _comparison_document(other[0].system, run.system, compared)
        terminal.print_json(document)
    else:
        _print_measures(report.measures)
        if other is not None:
            _print_comparison(compared, other[0].system, run.system)
        if save:
            say(f"Saved as report {run.run_id}.")
    for warning in report.warnings:
        say(f"Warning: {warning}")


def _measure(
    engine: SearchEngine,
    names: Sequence[str],
    qrels: Path,
    topics: Path | None,
    measures: str,
    *,
    complete: bool,
    name: str,
) -> list[tuple[Run, EvaluationReport]]:
    """Return the report of each distinct system of `names`, in their order."""
    from imgsearch.improve.judging.qrels import read_qrels, topics_from_qrels
    from imgsearch.improve.judging.topics import default_topics_path, read_topics
    from imgsearch.improve.quality.evaluation import evaluate as run_evaluation
    from imgsearch.improve.quality.reports import judgments_digest, run_of

    judged, path = read_qrels(qrels), topics or default_topics_path(qrels)
    systems = [engine.systems.get(each).name for each in dict.fromkeys(names)]
    has_topics = topics is not None or path.is_file()
    queries = read_topics(path) if has_topics else topics_from_qrels(judged, engine.catalog)
    digest = judgments_digest(judged, queries)
    found = []
    for each in systems:
        search = partial(engine.systems.search, system=each)
        with terminal.progress(f"Searching with {each}" if len(names) > 1 else "Searching") as show:
            report = run_evaluation(
                search, engine.catalog, judged, queries, measures, complete=complete, progress=show
            )
        found.append((run_of(report, name=name, system=each, judgments=qrels.name, digest=digest), report))
    return found


def _compared(
    measured: tuple[Run, EvaluationReport], other: tuple[Run, EvaluationReport] | None
) -> tuple[Comparison, ...]:
    """Return how the measured system differs from the other one."""
    from imgsearch.improve.quality.comparison import compare

    return compare(other[1].per_query, measured[1].per_query) if other else ()


def _comparison_document(first: str, second: str, compared: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "measures": {each.measure: each.as_dict() for each in compared},
    }


def _write_files(
    catalog: CatalogStore,
    thumbnails: ThumbnailCache,
    measured: tuple[Run, EvaluationReport],
    other: tuple[Run, EvaluationReport] | None,
    html: Path | None,
    csv: Path | None,
) -> None:
    from imgsearch.improve.judging.topics import write_text
    from imgsearch.improve.quality.rendering import report_csv, standalone_html

    if csv is not None:
        write_text(csv, report_csv(*measured, other[1] if other else None), errors="replace")
    if html is not None:
        beside = (*other, _compared(measured, other)) if other else None
        page = standalone_html(
            *measured, catalog, lambda item: thumbnails.get(item, THUMBNAIL_PX).data, other=beside
        )
        write_text(html, page, errors="replace")


def _print_measures(measures: Sequence[MeasureResult]) -> None:
    rows = [
        (each.measure, f"{each.mean:.4f}", f"{each.low:.4f} to {each.high:.4f}", each.queries)
        for each in measures
    ]
    _print_table(("measure", "mean", "95% interval", "queries"), rows)


def _print_table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    terminal.print_rows(titles, rows, right=titles[1:])


def _print_comparison(compared: Sequence[Comparison], first: str, second: str) -> None:
    rows = [
        (
            each.measure,
            f"{each.first:.4f}",
            f"{each.second:.4f}",
            f"{each.difference:+.4f}",
            f"{each.low:+.4f} to {each.high:+.4f}",
            f"{each.p_value:.4f}",
            *(each.wins, each.ties, each.losses),
        )
        for each in compared
    ]
    print()
    titles = ("measure", first, second, "difference", "95% interval", "p", "better", "equal", "worse")
    _print_table(titles, rows)
    print(f"\n{compared[0].sentence(first, second)}")


@reports.command("list")
def list_reports(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List the saved reports, the newest first.

    Example: `imgsearch reports list`
    """
    from imgsearch.improve.quality.reports import Reports

    with terminal.open_catalog(catalog) as opened:
        runs = Reports(opened.database).all()
    rows = []
    for run in runs:
        first, when = run.measures[0], f"{run.happened_at:%Y-%m-%d %H:%M}"
        made_by = (run.run_id, when, run.name, run.system, run.judgments)
        rows.append((*made_by, first.queries, first.measure, f"{first.mean:.4f}"))
    document = {"reports": [run.as_dict() for run in runs]}
    titles = ("id", "when (UTC)", "name", "system", "judgments", "queries", "measure", "mean")
    empty = "No report is saved yet; save one with `imgsearch evaluate --save`."
    terminal.output_rows(as_json, document, titles, rows, empty=empty, right=titles[1:])


@reports.command("show")
def show_report(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="The report's id, or its first four characters or more.")
    ],
    compare: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Another report on the same judgments to compare it with."),
    ] = None,
    html: HtmlOption = None,
    csv: CsvOption = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a saved report, compare it with another one, or write it to a file.

    Example: `imgsearch reports show 3f2a --html report.html`
    """
    from imgsearch.improve.quality.reports import Reports, check_comparable
    from imgsearch.store.originals import Originals
    from imgsearch.store.thumbnails import ThumbnailCache

    settings = terminal.load_settings(catalog=catalog)
    with (
        terminal.open_catalog(settings.catalog) as opened,
        closing(Originals(catalog_folder=opened.folder)) as originals,
    ):
        folder, max_bytes = opened.folder / "thumbnails", settings.thumbnail_cache_bytes
        thumbnails = ThumbnailCache(folder, originals, max_bytes=max_bytes)
        stored = Reports(opened.database)
        run = stored.get(run_id)
        measured = run, stored.report(run)
        other = None
        if compare is not None:
            before = stored.get(compare)
            check_comparable(before, run)
            other = before, stored.report(before)
        _write_files(opened, thumbnails, measured, other, html, csv)
    compared = _compared(measured, other)
    if as_json:
        document = run.as_dict() | {"report": measured[1].as_dict()}
        if other is not None:
            document["comparison"] = _comparison_document(other[0].run_id, run.run_id, compared)
        terminal.print_json(document)
        return
    facts = [run.title, run.system, run.judgments, f"{run.happened_at:%Y-%m-%d %H:%M} UTC", run.encoder]
    print(f"{one_line(' · '.join(dict.fromkeys(facts)))}\n")
    _print_measures(run.measures)
    if other is not None:
        _print_comparison(compared, other[0].title, run.title)
    for warning in run.warnings:
        say(f"Warning: {warning}")


@app.command()
def robustness(
    n: Annotated[int, typer.Option("-n", "--n", min=1, max=10_000, help="How many photos to draw.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the random draw of photos.")] = 0,
    system: SystemOption = "live",
    save: SaveOption = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that photos find themselves and keep their neighbours after mirroring, cropping and rotation.

    It needs no judgments.

    Example: `imgsearch robustness --n 100`
    """
    from imgsearch.improve.quality.reports import Reports
    from imgsearch.improve.quality.robustness import check_robustness

    with terminal.open_engine(catalog) as engine:
        engine.systems.get(system)
        originals, search = engine.originals, partial(engine.systems.search, system=system)
        with terminal.progress("Checking") as show:
            report = check_robustness(
                search,
                engine.catalog,
                lambda item: originals.read(item.location),
                n=n,
                seed=seed,
                progress=show,
            )
        if save:
            Reports(engine.catalog.database).save_robustness(report, system=system)
    terminal.output(as_json, report.model_dump(mode="json"), lambda: _print_robustness(report))
    for warning in report.warnings:
        say(f"Warning: {warning}")


def _print_robustness(report: RobustnessReport) -> None:
    rows = [
        (each.change, f"{each.mean:.1%}", f"{each.low:.1%} to {each.high:.1%}", each.photos)
        for each in report.scores
    ]
    _print_table(("change", "kept", "95% interval", "photos"), rows)
    print(
        f"\nRobustness: {report.score:.1%} of the {report.neighbours} nearest photos stay, over all changes."
    )


@app.command("export-judgments")
def export_judgments(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.trec", help="The qrels to write; its topics go beside it.")
    ],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the judgments made in the app as TREC qrels, with their queries as FILE.topics.tsv.

    Relevance is 1 where more labelers said good than bad, else 0; "can't tell" is skipped.

    Example: `imgsearch export-judgments judged.trec`
    """
    with terminal.open_catalog(catalog) as opened, terminal.open_feedback(opened) as feedback:
        from imgsearch.improve.judging import qrels

        report = qrels.export_judgments(feedback.latest_judgments(), file)
    if as_json:
        terminal.print_json(asdict(report))
    else:
        left_out = f", {many(report.skipped, 'vote')} of can't tell skipped" if report.skipped else ""
        print(
            f"Wrote {many(report.judgments, 'judgment')} of {many(report.queries, 'query', 'queries')} to "
            f"{report.qrels} and {report.topics}{left_out}."
        )
