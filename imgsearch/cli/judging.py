"""`imgsearch judge-set`: make, list, follow, import and export judging sets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, many, one_line, say

if TYPE_CHECKING:
    from imgsearch.improve.judging.judging import Judging
    from imgsearch.improve.judging.records import JudgingSet
    from imgsearch.improve.judging.topics import Topic
    from imgsearch.store.catalog import CatalogStore

app = terminal.command_group(
    "judge-set", "Judging sets: the queries and candidates that labelers judge on the Judge page."
)

QueriesOption = Annotated[
    Path | None,
    typer.Option(
        "--list", metavar="FILE", help="Queries: one a line, an item's id, words, or text=red+mug&less=1.jpg."
    ),
]
TopicsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Queries: query_id, kind and query, separated by tabs.")
]
SystemsOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A system whose hits are pooled; repeatable. By default `live`."),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The judging set's name.")]


@contextlib.contextmanager
def _opened(folder: Path | None) -> Iterator[Judging]:
    with terminal.open_catalog(folder) as catalog, terminal.open_judging(catalog) as judging:
        yield judging


def _read_queries(catalog: CatalogStore, source: str, value: Any, *, seed: int) -> tuple[str, list[Topic]]:
    """Return (a description of the source, its queries)."""
    from imgsearch.improve.judging import query_sets
    from imgsearch.improve.judging.topics import read_text, read_topics

    match source:
        case "random":
            return "random photos", query_sets.random_items(catalog, value, seed=seed)
        case "most_searched":
            return "most searched", query_sets.most_searched(catalog, value)
        case "most_clicked":
            return "most clicked", query_sets.most_clicked(catalog, value)
        case "list":
            return f"the list {value.name}", query_sets.parse_list(catalog, read_text(value))
        case _:
            return f"the topics {value.name}", read_topics(value)


@app.command()
def create(
    name: NameArgument,
    random: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Queries: N items drawn at random.")
    ] = None,
    most_searched: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Queries: the N that visitors searched most.")
    ] = None,
    most_clicked: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Queries: the N whose hits were clicked most.")
    ] = None,
    queries: QueriesOption = None,
    topics: TopicsOption = None,
    system: SystemsOption = None,
    depth: Annotated[int, typer.Option(min=1, help="How many hits of every system are judged.")] = 10,
    raters: Annotated[int, typer.Option(min=1, help="How many labelers judge each pair.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of every random draw and order.")] = 0,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a judging set: search the queries with every system, pool and shuffle the hits.

    Example: `imgsearch judge-set create chairs --random 50 --depth 10 --raters 2`
    """
    sources = {
        "random": random,
        "most_searched": most_searched,
        "most_clicked": most_clicked,
        "list": queries,
        "topics": topics,
    }
    given = [(source, value) for source, value in sources.items() if value is not None]
    if len(given) != 1:
        raise typer.BadParameter(
            "give exactly one of --random, --most-searched, --most-clicked, --list and --topics"
        )
    with terminal.open_engine(catalog) as engine, terminal.open_judging(engine.catalog) as judging:
        from imgsearch.improve.judging.pools import make_pool
        from imgsearch.search.systems import LIVE

        chosen = list(dict.fromkeys(system or [LIVE]))
        source, asked = _read_queries(engine.catalog, *given[0], seed=seed)
        search = engine.systems.search
        with terminal.progress("Searching") as show:
            pool = make_pool(asked, search, systems=chosen, depth=depth, seed=seed, progress=show)
        made = judging.create(
            name, pool, source=source, systems=chosen, depth=depth, raters=raters, seed=seed
        )
    for query_id, reason in pool.skipped.items():
        say(f"Skipped: {one_line(query_id)}: {one_line(reason)}")
    terminal.output(as_json, _document(made) | {"skipped": pool.skipped}, lambda: _print_made(made))


@app.command("list")
def list_sets(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List the judging sets with their progress.

    Example: `imgsearch judge-set list`
    """
    with _opened(catalog) as judging:
        found = [(each, judging.progress(each)) for each in judging.all()]
    terminal.output_rows(
        as_json,
        [_document(each) | {"progress": asdict(progress)} for each, progress in found],
        ("name", "queries", "pairs", "raters", "judged", "wanted"),
        [
            (each.name, each.queries, each.pairs, each.raters, progress.judged, progress.wanted)
            for each, progress in found
        ],
        empty="There is no judging set yet; make one with `imgsearch judge-set create`.",
    )


@app.command("progress")
def show_progress(name: NameArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show the progress of a judging set, and of each labeler.

    Example: `imgsearch judge-set progress chairs`
    """
    with _opened(catalog) as judging:
        found = judging.progress(judging.get(name))
    if as_json:
        terminal.print_json(asdict(found))
        return
    print(
        f"{found.judged:,} of {many(found.wanted, 'judgment')}; {found.pairs_done:,} of {many(found.pairs, 'pair')} "
        f"done, {found.divided:,} with raters who differ."
    )
    if found.gone:
        print(f"{many(found.gone, 'pair')} left out: their photos are no longer in the catalog.")
    if found.labelers:
        rows = [
            (each.labeler, each.judged, f"{each.per_hour:,.0f}" if each.per_hour else "")
            for each in found.labelers
        ]
        terminal.print_rows(("labeler", "judged", "an hour"), rows)


@app.command()
def agreement(name: NameArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show how much the labelers of a set agree, and the pairs on which they differ.

    Cohen's kappa for two labelers, Krippendorff's alpha for any number; "can't tell" counts as no answer.

    Example: `imgsearch judge-set agreement chairs --json`
    """
    with _opened(catalog) as judging:
        judging_set = judging.get(name)
        found, differ = judging.agreement(judging_set), judging.disagreements(judging_set)
    pairs = [(each.query_key, each.item_id, dict(each.verdicts), each.referee) for each in differ]
    if as_json:
        names = ("query", "item_id", "verdicts", "referee")
        disagreements = [dict(zip(names, pair, strict=True)) for pair in pairs]
        terminal.print_json(found.as_dict() | {"disagreements": disagreements})
        return
    if not found.units:
        print("No pair has been judged good or bad by two labelers yet.")
        return
    print(f"{many(found.units, 'pair')} judged by several of {many(len(found.raters), 'labeler')}.")
    figures = {"same verdict": found.share, "Cohen's kappa": found.kappa, "Krippendorff's alpha": found.alpha}
    values = [(what, f"{value:.3f}") for what, value in figures.items() if value is not None]
    terminal.print_rows(("measure", "value"), values)
    if differ:
        print(f"\n{many(len(differ), 'pair')} on which they differ:")
        rows = [
            (query, item, ", ".join(f"{labeler}: {one}" for labeler, one in verdicts.items()), referee or "")
            for query, item, verdicts, referee in pairs
        ]
        terminal.print_rows(("query", "item", "verdicts", "referee"), rows)


@app.command("import")
def import_file(
    name: NameArgument,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="TREC qrels, or (.csv) the columns query, item_id, verdict and labeler."
        ),
    ],
    topics: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The topics of the qrels; by default those beside them, else the query ids.",
        ),
    ] = None,
    labeler: Annotated[
        str, typer.Option(metavar="NAME", help="The labeler, where the file names none.")
    ] = "imported",
    raters: Annotated[
        int, typer.Option(min=0, help="How many labelers judge each pair; at least as many as the file has.")
    ] = 0,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a judging set of judgments from a file; all of them or nothing.

    Example: `imgsearch judge-set import 'spring 2025' judged.csv`
    """
    with terminal.open_catalog(catalog) as opened, terminal.open_judging(opened) as judging:
        from imgsearch.improve.judging.verdict_files import read_verdicts

        verdicts = read_verdicts(file, opened, labeler=labeler, topics=topics)
        made = judging.import_set(name, verdicts, source=f"imported from {file.name}", raters=raters)
    terminal.output(as_json, _document(made) | {"judgments": len(verdicts)}, lambda: _print_made(made))


@app.command()
def export(
    name: NameArgument,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="FILE.csv gets every verdict; any other name gets TREC qrels."),
    ],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a set's judgments: CSV with every verdict, or TREC qrels with their topics beside them.

    In qrels, relevance is 1 where more labelers said good than bad, else 0; a referee's verdict replaces the others,
    and "can't tell" is skipped.

    Example: `imgsearch judge-set export chairs chairs.trec`
    """
    from imgsearch.improve.judging.qrels import export_judgments
    from imgsearch.improve.judging.verdict_files import write_verdicts_csv

    with _opened(catalog) as judging:
        judging_set = judging.get(name)
        verdicts, votes = judging.verdicts(judging_set), judging.votes(judging_set)
    if file.suffix.lower() == ".csv":
        write_verdicts_csv(verdicts, file)
        document: dict[str, Any] = {"csv": str(file), "judgments": len(verdicts)}
    else:
        document = asdict(export_judgments(votes, file))
    terminal.output(
        as_json, document, lambda: print(f"Wrote {many(document['judgments'], 'judgment')} to {file}.")
    )


def _document(judging_set: JudgingSet) -> dict[str, Any]:
    document = asdict(judging_set) | {"created_at": judging_set.created_at.isoformat(timespec="seconds")}
    del document["set_id"]
    return document


def _print_made(judging_set: JudgingSet) -> None:
    print(
        f"Made {one_line(judging_set.name)}: {many(judging_set.queries, 'query', 'queries')}, "
        f"{many(judging_set.pairs, 'pair')}, {many(judging_set.raters, 'rater')} each."
    )
