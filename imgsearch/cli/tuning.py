"""`imgsearch tune`: choose the index engine and its search effort by measuring on the catalog's vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, say

if TYPE_CHECKING:
    from imgsearch.index.live_index import IndexHeader
    from imgsearch.index.tuning import Tuning

__all__ = ["app"]

app = typer.Typer()


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
    from imgsearch.index.tuning import tune as run
    from imgsearch.search.engine import open_index

    settings = terminal.load_settings(catalog=catalog)
    with terminal.open_catalog(settings.catalog) as opened:
        if opened.index_address:
            raise ConfigError(
                f"The index of this catalog is at {opened.index_address}, which chooses its own engine; "
                "use `--index local` for a local index, which can be tuned."
            )
        index = open_index(opened, settings)
        with terminal.progress("Measuring") as show:
            tuning = run(index, recall=recall, sample=sample, progress=show)
        header = index.header
    if not tuning.chosen.reached:
        say(f"No engine reached {recall}; the closest one was built.")
    if as_json:
        found = {"generation": header.generation, "ann_recall@10": header.ann_recall_at_10} if header else {}
        terminal.print_json({**tuning.as_dict(), **found})
    else:
        _print(tuning, header)


def _print(tuning: Tuning, header: IndexHeader | None) -> None:
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
