"""`imgsearch backup`, `restore` and `compact`: snapshots of a catalog, and its disk space."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, many

if TYPE_CHECKING:
    from imgsearch.ingest.compaction import Compaction
    from imgsearch.store.backup import Snapshot

BackupArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the backup.")]

app = typer.Typer()


@app.command()
def backup(
    folder: BackupArgument,
    keep: Annotated[
        int, typer.Option(min=0, metavar="N", help="Delete older snapshots until N are left; 0 keeps all.")
    ] = 0,
    list_only: Annotated[bool, typer.Option("--list", help="Only list the snapshots.")] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a snapshot of the catalog to a backup, also while a server uses the catalog.

    A further snapshot only stores what has changed. The index is not part of it: it is built again on restoring.

    Example: `imgsearch backup /mnt/backup/shop --keep 14`
    """
    from imgsearch.store.backup import BackupFolder

    if list_only:
        opened = BackupFolder(folder)
        _print_snapshots([opened.snapshot(name) for name in opened.names()], as_json)
        return
    with terminal.open_catalog(catalog) as store, terminal.progress("Copying MiB") as show:
        snapshot = BackupFolder(folder, create=True).back_up(
            store, keep=keep, progress=lambda done, total: show(done >> 20, total >> 20)
        )
    terminal.output(
        as_json,
        snapshot.as_dict(),
        lambda: print(
            f"Snapshot {snapshot.name}: {many(snapshot.items, 'item')}, {_mib(snapshot.size_bytes)}, of which "
            f"{_mib(snapshot.added_bytes)} are new."
        ),
    )


@app.command()
def restore(
    folder: BackupArgument,
    catalog: CatalogOption = None,
    snapshot: Annotated[str, typer.Option(metavar="NAME", help="The snapshot; by default the newest.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Restore a snapshot of a backup into a new folder, check it, and build its index.

    Example: `imgsearch restore /mnt/backup/shop --catalog shop-restored`
    """
    from imgsearch.ingest.verification import verify_catalog
    from imgsearch.search.engine import open_catalog_index
    from imgsearch.store.backup import BackupFolder

    settings = terminal.load_settings(catalog=catalog)
    opened = BackupFolder(folder)
    found = opened.snapshot(snapshot)
    with terminal.progress("Restoring MiB") as show:
        opened.restore(
            found, Path(settings.catalog), progress=lambda done, total: show(done >> 20, total >> 20)
        )
    with open_catalog_index(settings) as (store, index):
        index.save()
        problems = verify_catalog(store).problems
    document = {"snapshot": found.name, "catalog": str(settings.catalog), "items": found.items}
    terminal.output(
        as_json,
        document | {"problems": list(problems)},
        lambda: print(f"Restored {many(found.items, 'item')} of {found.name} to {settings.catalog}."),
    )
    if problems:
        terminal.exit_with(f"The restored catalog has {many(len(problems), 'problem')}: {problems[0]}", 1)


@app.command()
def compact(
    keep_removed: Annotated[
        int,
        typer.Option(
            min=0, metavar="DAYS", help="Removed and replaced photos of the last DAYS days stay restorable."
        ),
    ] = 30,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Free the disk space of removed and replaced photos, also while a server uses the catalog.

    Photos that were removed or replaced longer ago can no longer be restored.

    Example: `imgsearch compact --keep-removed 7`
    """
    from imgsearch.ingest.compaction import compact as run

    with terminal.open_engine(catalog) as engine, terminal.progress("Moving photos") as show:
        found = run(
            engine.catalog,
            engine.index,
            engine.thumbnails,
            keep_removed=timedelta(days=keep_removed),
            progress=show,
        )
    terminal.output(as_json, found.as_dict(), lambda: _print_compaction(found))


def _print_compaction(found: Compaction) -> None:
    freed = max(found.bytes_before - found.bytes_after, 0)
    print(
        f"Freed {_mib(freed)} of {_mib(found.bytes_before)}: {many(found.moved, 'photo')} moved, "
        f"{many(found.originals_deleted, 'unused original')} deleted, "
        f"{many(found.forgotten, 'removed photo')} can no longer be restored."
    )
    if not found.released:
        terminal.say(
            "This file system cannot free space inside a file; move the catalog by backup and restore."
        )


def _print_snapshots(snapshots: list[Snapshot], as_json: bool) -> None:
    rows = [
        (found.name, found.created_at, found.items, _mib(found.size_bytes), _mib(found.added_bytes))
        for found in snapshots
    ]
    titles = ("snapshot", "created (UTC)", "items", "size", "new")
    document = [found.as_dict() for found in snapshots]
    terminal.output_rows(as_json, document, titles, rows, empty="There is no snapshot.", right=titles[3:])


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:,.1f} MiB"
