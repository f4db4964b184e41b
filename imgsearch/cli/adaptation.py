"""`imgsearch adapt` and `imgsearch heads`: train on feedback, publish what was trained."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, many, one_line, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from imgsearch.improve.adaptation.adapting import AdaptationReport
    from imgsearch.improve.adaptation.head_jobs import HeadJobs
    from imgsearch.index.heads import Head
    from imgsearch.search.engine import SearchEngine

heads = terminal.command_group("heads", "Heads trained on feedback: list, publish and roll back.")

app = typer.Typer()
app.add_typer(heads)


@app.command()
def adapt(
    catalog: CatalogOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train and report only; save and publish nothing.")
    ] = False,
    no_publish: Annotated[
        bool, typer.Option("--no-publish", help="Save a head that wins, but do not publish it.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split of queries and of training.")] = 0,
    eta: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=3.0,
            help="Exponent of the position bias, 1 / rank^eta. By default estimated from clicks.",
        ),
    ] = None,
    product_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The column whose equal values mark photos of one product."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a head on clicks and judgments, and publish it if it wins on held-out queries.

    No photo is decoded, and the embeddings do not change: `imgsearch heads rollback` undoes it.

    Example: `imgsearch adapt --dry-run`
    """
    with terminal.open_engine(catalog) as engine, terminal.open_feedback(engine.catalog) as feedback:
        from imgsearch.improve.adaptation import adapting

        with terminal.progress("Training") as show:
            report = adapting.adapt(
                engine.catalog,
                feedback,
                engine.searcher.embedding,
                engine.encoder.get,
                seed=seed,
                eta=eta,
                product_column=product_column,
                keep=not dry_run,
                progress=show,
            )
        published = bool(report.head) and not no_publish
        if published:
            with terminal.progress(f"Publishing {report.head}") as show:
                terminal.heads_of(engine, feedback).publish(report.head, progress=show)
    terminal.output(
        as_json, {**report.as_dict(), "published": published}, lambda: _print_report(report, published)
    )


@heads.command("list")
def list_heads(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List the saved heads, and which is published.

    Example: `imgsearch heads list`
    """
    from imgsearch.index.heads import head_changes, live_head_id
    from imgsearch.index.heads import list_heads as saved_heads

    with terminal.open_catalog(catalog) as opened:
        live = live_head_id(opened)
        found = saved_heads(opened)
        changes = head_changes(opened)
    document = {
        "live": live or None,
        "heads": [
            {
                "id": head.id,
                "live": head.id == live,
                "created_at": head.created_at,
                "rank": head.rank,
                "report": dict(head.report),
            }
            for head in found
        ],
        "history": [
            {"happened_at": f"{one.happened_at.isoformat()}Z", "action": one.action, "head": one.head}
            for one in changes
        ],
    }
    terminal.output(as_json, document, lambda: _print_heads(found, live))


def _print_heads(found: Sequence[Head], live: str) -> None:
    if not found:
        say("There is no head yet; run `imgsearch adapt`.")
        return
    rows = []
    for head in found:
        published, measured = "yes" if head.id == live else "", head.report
        change = f"{measured['low']:+.4f} to {measured['high']:+.4f}"
        before, after = f"{measured['before']:.4f}", f"{measured['after']:.4f}"
        rows.append((head.id, published, head.created_at, before, after, change))
    terminal.print_rows(("head", "published", "trained at", "nDCG@10 before", "after", "change (99%)"), rows)


@heads.command("publish")
def publish(
    head: Annotated[str, typer.Argument(metavar="HEAD", help="Such as head-0001; see `heads list`.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a saved head; its vectors and index are computed first, without decoding photos.

    Example: `imgsearch heads publish head-0001`
    """
    what = f"Publishing {one_line(head)}"
    with _opened_heads(catalog) as (engine, jobs), terminal.progress(what) as show:
        jobs.publish(head, progress=show)
        index = engine.index
    _print_live(head, index.generation, as_json=as_json)


@heads.command("rollback")
def rollback(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Publish again what was active before the published head.

    Example: `imgsearch heads rollback`
    """
    with _opened_heads(catalog) as (engine, jobs):
        jobs.roll_back()
        index = engine.index
    _print_live(index.space.head.id if index.space.head else "", index.generation, as_json=as_json)


@contextlib.contextmanager
def _opened_heads(catalog: Path | None) -> Iterator[tuple[SearchEngine, HeadJobs]]:
    with terminal.open_engine(catalog) as engine, terminal.open_feedback(engine.catalog) as feedback:
        yield engine, terminal.heads_of(engine, feedback)


def _print_live(head: str, generation: int, *, as_json: bool) -> None:
    text = f"{head or 'The model without a head'} is published, as generation {generation} of the index."
    terminal.output(as_json, {"live": head or None, "generation": generation}, lambda: print(text))


def _print_report(report: AdaptationReport, published: bool) -> None:
    used = sum(report.queries.values())
    print(
        f"Feedback: {many(report.clicks, 'click')} on {many(report.impressions, 'impression')} and "
        f"{many(report.judgments, 'judgment')}; {many(used, 'query', 'queries')} to train on "
        f"({', '.join(f'{count:,} {part}' for part, count in report.queries.items())})."
    )
    for why, count in report.skipped.items():
        print(f"Left out: {many(count, 'query', 'queries')} {why}.")
    print(f"The position bias is 1 / rank^{report.eta:.2f} ({report.eta_source}).")
    for note in report.notes:
        print(note)
    if report.rank:
        print(f"nDCG@10 on held-out queries: {report.before:.4f} before, {report.after:.4f} after.")
    for guard in report.guards:
        state = "holds" if guard.holds else "is lost"
        print(f"Guard: {guard.name} {guard.before:.1%} before, {guard.after:.1%} after: {state}.")
    print(report.reason)
    if published:
        print(f"{report.head} is published; `imgsearch heads rollback` undoes it.")
    elif report.head:
        print(f"{report.head} is saved; `imgsearch heads publish {report.head}` publishes it.")
