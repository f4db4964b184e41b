"""`imgsearch sources` and `restore-items`: where the items come from, and those that were removed."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.session import session
from imgsearch.cli.terminal import CatalogOption, JsonOption, many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgsearch.index.live_index import LiveIndex
    from imgsearch.ingest.item_changes import ChangeOutcome, ItemChange
    from imgsearch.store.catalog import CatalogStore

_AGE = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

app = typer.Typer()
sources = terminal.command_group("sources", "The sources of the catalog: folders, archives, tables.")
app.add_typer(sources)


@sources.command("list")
def list_sources(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List the sources: name, items, last run and places.

    Example: `imgsearch sources list`
    """
    with terminal.open_catalog(catalog) as opened:
        from imgsearch.store.source_table import SourceTable

        found = SourceTable(opened).all()
    rows = [
        (
            one.name,
            one.items,
            one.last_run_at.isoformat(" ", "minutes") if one.last_run_at else "",
            "" if one.listed is None else f"{one.listed:,}",
            "" if one.failed is None else f"{one.failed:,}",
            ", ".join(place for place in one.places if place != one.name),
        )
        for one in found
    ]
    titles = ("source", "items", "last run (UTC)", "listed", "failed", "places")
    document = [one.as_dict() for one in found]
    right = ("listed", "failed")
    terminal.output_rows(as_json, document, titles, rows, empty="There is no source yet.", right=right)


@sources.command()
def rename(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name, or the place of a source without one.")
    ],
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Another name, such as shop.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a source a name: its next run may be at another place, with `imgsearch index --source NEW_NAME`.

    Example: `imgsearch sources rename /exports/monday.csv shop`
    """
    with terminal.open_catalog(catalog) as opened:
        from imgsearch.store.source_table import SourceTable

        items = SourceTable(opened).rename(name, new_name)
    text = f"The source {new_name} has {many(items, 'item')}."
    terminal.output(as_json, {"source": new_name, "items": items}, lambda: print(text))


@sources.command()
def forget(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name, or the place of a source without one.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Remove its items.")] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a source with all its items; `imgsearch restore-items --last-run` brings them back.

    Example: `imgsearch sources forget shop --yes`
    """
    with terminal.open_index(catalog) as (opened, index):
        from imgsearch.core.errors import SourceError
        from imgsearch.store.removals import FORGOTTEN
        from imgsearch.store.source_table import SourceTable

        table = SourceTable(opened)
        found = table.get(name)
        if found.items and not yes:
            raise SourceError(f"{name} has {many(found.items, 'item')}; pass --yes to remove them.")
        keys = opened.remove(sorted(opened.ids_of_source(name)), actor=FORGOTTEN)
        index.remove(keys)
        index.save()
        table.forget_runs(name)
    text = f"The source {name} is forgotten; {many(len(keys), 'item')} removed."
    terminal.output(as_json, {"source": name, "removed": len(keys)}, lambda: print(text))


@app.command("restore-items")
def restore_items(
    item_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM_ID]...", help="The ids of removed items.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="All that were removed within this time, such as 1h or 2d.")
    ] = "",
    last_run: Annotated[
        bool,
        typer.Option("--last-run", help="All that the last run with --prune (or `sources forget`) removed."),
    ] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring removed items back, with their metadata and embeddings; nothing is encoded.

    It works until `imgsearch compact` frees the disk space of removed photos.

    Example: `imgsearch restore-items --last-run`
    """
    if sum((bool(item_ids), bool(since), last_run)) != 1:
        raise typer.BadParameter("give the ids of items, or --since AGE, or --last-run")
    age = _AGE.fullmatch(since.strip()) if since else None
    if since and age is None:
        raise typer.BadParameter(
            f"{since[:40]!r} is not an age; write a number and m, h, d or w, such as 2h", param_hint="--since"
        )
    with terminal.open_index(catalog) as (opened, index):
        from imgsearch.ingest.item_changes import ItemChange
        from imgsearch.store.database import utc_now
        from imgsearch.store.removals import Removals

        removals = Removals(opened.database)
        if age is not None:
            removed = removals.since(utc_now() - int(age[1]) * _UNITS[age[2]])
        else:
            removed = removals.of_last_run() if last_run else []
        ids = item_ids or [removal.item_id for removal in removed]
        outcomes = _apply(opened, index, [ItemChange("restore", item_id) for item_id in ids])
    _report(outcomes, as_json)


def _apply(catalog: CatalogStore, index: LiveIndex, changes: Sequence[ItemChange]) -> list[ChangeOutcome]:
    from imgsearch.core.errors import EncoderUnavailable
    from imgsearch.encoders import Encoder
    from imgsearch.ingest.item_editor import ItemEditor
    from imgsearch.store.originals import Originals

    if entered := session():
        return entered.service.items.apply(changes, actor="imgsearch restore-items")

    def no_encoder() -> Encoder:
        raise EncoderUnavailable("Restoring encodes nothing.")

    originals = Originals(catalog_folder=catalog.folder)
    editor = ItemEditor(catalog, lambda: [index], no_encoder, originals)
    try:
        outcomes = editor.apply(changes, actor="imgsearch restore-items")
        index.save()
        return outcomes
    finally:
        editor.close()
        originals.close()


def _report(outcomes: Sequence[ChangeOutcome], as_json: bool) -> None:
    restored = [one.item_id for one in outcomes if one.status == "restored"]
    failed = [one for one in outcomes if one.status == "failed"]
    document = {
        "restored": restored,
        "failed": [{"item_id": one.item_id, "reason": one.message} for one in failed],
    }

    def show() -> None:
        print(f"Restored {many(len(restored), 'item')}.")
        for one in failed[:20]:
            print(f"  {terminal.one_line(one.item_id)}: {one.message}")

    terminal.output(as_json, document, show)
    if failed and not restored:
        terminal.exit_with(failed[0].message, 1)
