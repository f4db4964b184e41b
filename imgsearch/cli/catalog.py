"""`imgsearch remove`, `info`, `verify` and `tune`: the items, figures, health and index of a catalog."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.indexing import print_failures
from imgsearch.cli.session import session
from imgsearch.cli.terminal import CatalogOption, JsonOption, many, one_line, say

if TYPE_CHECKING:
    from imgsearch.core.config import Settings
    from imgsearch.index.info import CatalogInfo
    from imgsearch.index.live_index import IndexHeader
    from imgsearch.index.tuning import Tuning
    from imgsearch.ingest.verification import Verification
    from imgsearch.store.catalog import CatalogStore

app = typer.Typer()


@app.command()
def remove(
    item_ids: Annotated[list[str], typer.Argument(metavar="ITEM_ID...", help="The ids of the items.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove items from the catalog; their photos stay where they are, and later runs of `index` leave them out.

    An unknown id is an error, and nothing is removed then. `imgsearch restore-items` brings items back.

    Example: `imgsearch remove shoes/1.jpg shoes/2.jpg`
    """
    with terminal.open_index(catalog) as (opened, index):
        for item_id in item_ids:
            opened.get(item_id)
        keys = opened.remove(item_ids, actor="imgsearch remove")
        index.remove(keys)
        index.save()
    terminal.output(as_json, {"removed": len(keys)}, lambda: print(f"Removed {many(len(keys), 'item')}."))


@app.command()
def info(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show the catalog in figures: items, encoder, columns, sources, index, size.

    Example: `imgsearch info --catalog shop/`
    """
    from imgsearch.app.api.responses import plain

    with terminal.open_index(catalog) as (opened, index):
        from imgsearch.index.info import catalog_info

        found = catalog_info(opened, index)
    terminal.output(as_json, plain(found), lambda: _print_info(found))


def _print_info(found: CatalogInfo) -> None:
    columns = ", ".join(f"{name} ({kind})" for name, kind in found.columns.items())
    sources = [f"{one_line(source)} ({many(count, 'item')})" for source, count in found.sources.items()]
    reason = f" ({found.encoder_reason})" if found.encoder_reason else ""
    rows = [
        ("Catalog", found.folder),
        ("Items", f"{found.items:,}"),
        ("Encoder", f"{found.encoder_id or 'none yet'}{reason}"),
        ("Columns", columns or "none"),
        ("Sources", f"\n{' ' * 12}".join(sources) or "none"),
        ("Index", f"generation {found.generation}, built {found.built_at or 'never'}"),
        ("Size", f"{found.bytes_on_disk / 1024**2:,.1f} MiB"),
        ("Last added", found.last_added_at or "never"),
    ]
    for name, value in rows:
        print(f"{name:12}{value}")


@app.command()
def verify(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Repair what is damaged; lost embeddings are computed again from the photos."
        ),
    ] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check by checksums that items, embeddings and index agree; exit 1 if they do not.

    Example: `imgsearch verify --repair`
    """
    settings = terminal.load_settings(catalog=catalog)
    with terminal.open_catalog(settings.catalog) as opened:
        found = _repair(opened, settings) if repair else _verify(opened)
    terminal.output(as_json, found.as_dict(), lambda: _print_verification(found))
    if found.unfinished:
        from imgsearch.ingest.verification import RUN_AGAIN

        terminal.exit_with(f"The catalog {settings.catalog} is not finished. {RUN_AGAIN}", 1)
    if not found.clean:
        advice = "not all of it could be repaired" if repair else "repair it with imgsearch verify --repair"
        problems = many(len(found.problems), "problem")
        terminal.exit_with(f"The catalog {settings.catalog} is damaged ({problems}); {advice}.", 1)


def _repair(opened: CatalogStore, settings: Settings) -> Verification:
    from imgsearch.encoders import load_encoder
    from imgsearch.ingest.verification import repair_catalog

    terminal.refuse_in_server("verify --repair")
    load = partial(load_encoder, opened.encoder_spec, progress=say, device=settings.device or None)
    return repair_catalog(opened, load, threads=settings.worker_threads)


def _verify(opened: CatalogStore) -> Verification:
    from imgsearch.ingest.verification import verify_catalog

    entered = session()
    return verify_catalog(opened, entered.service.engine.index if entered else None)


def _print_verification(found: Verification) -> None:
    for sentence in found.repaired:
        print(f"Repaired: {sentence}")
    for problem in found.problems:
        print(f"Problem: {problem}")
    if found.failed:
        print("Lost:")
        print_failures(found.failed)
    if found.clean:
        print(f"The catalog is sound: {many(found.items, 'item')}.")


@app.command()
def tune(
    recall: Annotated[
        float,
        typer.Option(min=0.5, max=0.9999, metavar="SHARE", help="The ann_recall@10 that must be reached."),
    ] = 0.99,
    sample: Annotated[
        int,
        typer.Option(min=1000, metavar="N", help="The largest number of items in a trial."),
    ] = 50_000,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure index engines on this catalog's vectors and build the best one.

    That is the fastest engine that reaches the recall, or a smaller one that is nearly as fast.

    Example: `imgsearch tune --recall 0.99`
    """
    from imgsearch.core.errors import ConfigError

    with terminal.open_index(catalog) as (opened, index):
        from imgsearch.index.tuning import tune as run

        if opened.index_address:
            raise ConfigError(
                f"The index of this catalog is at {opened.index_address}, which chooses its own engine; "
                "use `--index local` for a local index, which can be tuned."
            )
        with terminal.progress("Measuring") as show:
            tuning = run(index, recall=recall, sample=sample, progress=show)
        header = index.header
    if not tuning.chosen.reached:
        say(f"No engine reached {recall}; the closest one was built.")
    found = {"generation": header.generation, "ann_recall@10": header.ann_recall_at_10} if header else {}
    terminal.output(as_json, tuning.as_dict() | found, lambda: _print_tuning(tuning, header))


def _print_tuning(tuning: Tuning, header: IndexHeader | None) -> None:
    rows = [
        (
            trial.name,
            f"{trial.ann_recall_at_10:.4f}",
            trial.effort,
            f"{trial.milliseconds:.3f}",
            f"{trial.index_bytes / tuning.items:.0f}",
            f"{trial.build_s:.1f}",
            "chosen" if trial is tuning.chosen else "" if trial.reached else f"below {tuning.recall}",
        )
        for trial in tuning.trials
    ]
    titles = ("engine", "ann_recall@10", "effort", "ms", "bytes an item", "build s", "")
    terminal.print_rows(titles, rows, right=titles[1:6])
    if header:
        print(
            f"\nGeneration {header.generation} holds {header.items:,} items; its ann_recall@10 is "
            f"{header.ann_recall_at_10}."
        )
