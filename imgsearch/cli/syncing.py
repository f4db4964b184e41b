"""`imgsearch sync`: keep the catalog in step with a feed or a folder."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from imgsearch.cli import terminal
from imgsearch.cli.session import run_anywhere
from imgsearch.cli.terminal import CatalogOption, JsonOption, many, one_line, say
from imgsearch.core.errors import SourceError

if TYPE_CHECKING:
    from imgsearch.app.imports import ImportJobs
    from imgsearch.ingest.import_spec import ImportSpec
    from imgsearch.ingest.run import Progress

MAX_WAIT_S = 24 * 3600.0
SETTLE_MS = 1000
"""A folder is read once nothing in it has changed for so long."""
MAX_SETTLE_MS = 10_000
PAUSE_MS = 1000
INTERRUPTED = 130
_TIME = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

app = typer.Typer()


SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A feed (URL or file), an archive or a folder of photos.")
]
EveryOption = Annotated[
    str, typer.Option(metavar="TIME", help="Read it again after this time: 90s, 15m, 6h or 1d.")
]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Read a folder or file again as soon as it has changed.")
]
OnceOption = Annotated[bool, typer.Option("--once", help="Read it once. The default.")]
GoneOption = Annotated[
    Literal["hide", "remove", "keep"],
    typer.Option(
        help="What becomes of items that it no longer lists: hidden from visitors until they are listed again, "
        "removed, or kept."
    ),
]
MaxRemovedOption = Annotated[
    str,
    typer.Option(
        metavar="SHARE",
        help="Hide or remove at most this share (`60%`) or number of its items in one round; where more have "
        "vanished, none. By default $IMGSEARCH_MAX_REMOVED, else 20%.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Hide or remove any number of vanished items.")]
NameOption = Annotated[
    str, typer.Option("--source", metavar="NAME", help="The source's name; by default its address.")
]
PrivateHostsOption = Annotated[
    bool, typer.Option("--private-hosts", help="Allow URLs that point into the local network.")
]


@app.command()
def sync(
    source: SourceArgument,
    every: EveryOption = "",
    watch: WatchOption = False,
    once: OnceOption = False,
    gone: GoneOption = "hide",
    max_removed: MaxRemovedOption = "",
    yes: YesOption = False,
    name: NameOption = "",
    private_hosts: PrivateHostsOption = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import what has changed in a feed or folder, and hide or remove what has vanished from it.

    A feed that its server says is unchanged (`ETag`, `Last-Modified`) is not read. --every and --watch repeat until
    Ctrl-C. A round that fails is reported, and the pause before the next one grows. The command also works while a
    server has the catalog open, and a server can start between two rounds.

    Example: `imgsearch sync https://shop.example/feed.xml --every 15m --gone hide`
    """
    if once and (every or watch):
        raise typer.BadParameter("give --once, or --every and --watch")
    interval_s = _seconds(every) if every else None
    if watch and "://" in source:
        raise typer.BadParameter("a URL cannot be watched; give --every", param_hint="--watch")
    settings = terminal.load_settings(catalog=catalog)
    if every or watch:
        terminal.refuse_in_server("sync --every")
        options = _round_options(gone, max_removed, name, catalog, yes, private_hosts, as_json)
        _repeat([source, *options], interval_s, _watcher(source, settings.catalog) if watch else None)
    terminal.leave_to_server(settings.catalog)
    from imgsearch.ingest.import_spec import ImportSpec
    from imgsearch.store.originals import is_url

    spec = ImportSpec(
        url=source if is_url(source) else "",
        path="" if is_url(source) else _absolute(terminal.place(source)),
        source=name,
        gone=gone,
        max_removed=max_removed,
        accept_removal=yes,
        private_hosts=private_hosts,
    )
    opened = terminal.open_engine(None, settings=settings, create=True)
    with opened as engine, terminal.open_imports(engine) as imports:
        done = _sync(imports, spec)
    terminal.output(as_json, done or {"status": "unchanged"}, lambda: _print_round(source, done))
    if done is not None and done["reason"]:
        terminal.exit_with(done["reason"], 1)


def _sync(imports: ImportJobs, spec: ImportSpec) -> dict[str, Any] | None:
    with terminal.stop_between_batches() as check, terminal.progress("Importing") as show:

        def after_each_batch(now: Progress) -> None:
            show(now.done, now.total)
            check()

        return imports.sync(spec, "the command line", after_each_batch)


def _print_round(source: str, done: dict[str, Any] | None) -> None:
    now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"  # local time, for people
    if done is None:
        print(f"{now} {one_line(source)}: unchanged.")
        return
    report = done["report"]
    counts = [f"{report[what]:,} {what}" for what in ("added", "changed", "unchanged", "removed", "failed")]
    print(f"{now} {one_line(source)}: {', '.join(counts)}.")
    for note in report["notes"]:
        say(f"Note: {note}")
    if report["failed"]:
        say(f"Import {done['id']} keeps the list of the {many(report['failed'], 'failure')}.")


# --- rounds -----------------------------------------------------------------------------------------------------


def _repeat(arguments: Sequence[str], every_s: float | None, changes: Iterator[bool] | None) -> NoReturn:
    """Run rounds until Ctrl-C: after each interval, and as soon as a watched place has changed."""
    failed = 0
    while True:
        code = run_anywhere(["sync", "--once", *arguments])
        sys.stdout.flush()  # a pipe keeps what was printed otherwise
        if code == INTERRUPTED or terminal.interrupted.is_set():
            terminal.exit_with("Stopped.", INTERRUPTED)
        failed = failed + 1 if code else 0
        wait_s = _wait_s(every_s, failed)
        if failed and wait_s is not None:
            at = datetime.now() + timedelta(seconds=wait_s)  # local time, for people
            say(f"The next try is at {at:%H:%M:%S}.")
        if changes is None:
            time.sleep(wait_s or 0.0)
            continue
        until = math.inf if wait_s is None else time.monotonic() + wait_s
        while not next(changes) and time.monotonic() < until:
            pass


def _wait_s(every_s: float | None, failed: int) -> float | None:
    """Return how long to wait for the next round: twice as long after each further failure, at most a day."""
    if not failed:
        return every_s
    return float(min((every_s or 10.0) * 2 ** min(failed - 1, 16), max(MAX_WAIT_S, every_s or 0.0)))


def _watcher(source: str, catalog: Path) -> Iterator[bool]:
    """Return `_changes` of a place, which misses no change from now on."""
    watched = Path(source).expanduser().absolute()
    if not watched.exists():
        raise SourceError(f"There is no folder or file {watched}.")
    changes = _changes(watched, catalog)
    next(changes)
    return changes


def _changes(watched: Path, catalog: Path) -> Iterator[bool]:
    """Yield whether the place has changed and then rested: at once False, then about every second.

    No change is missed between two values. The catalog may be in the watched folder: its own files do not count.
    """
    import watchfiles

    catalog = catalog.absolute()

    def counts(change: watchfiles.Change, path: str) -> bool:
        found = Path(path)
        return (found == watched or watched in found.parents) and catalog not in (found, *found.parents)

    while True:
        # A file is often replaced by another one, so its folder is watched.
        folder = watched if watched.is_dir() else watched.parent
        if not folder.is_dir():
            time.sleep(PAUSE_MS / 1000)
            yield False
            continue
        found = watchfiles.watch(
            folder,
            watch_filter=counts,
            debounce=MAX_SETTLE_MS,
            step=SETTLE_MS,
            rust_timeout=PAUSE_MS,
            yield_on_timeout=True,
        )
        for changes in found:
            yield bool(changes)
            if not folder.is_dir():
                break


def _round_options(
    gone: str,
    max_removed: str,
    name: str,
    catalog: Path | None,
    yes: bool,
    private_hosts: bool,
    as_json: bool,
) -> list[str]:
    given = {"--gone": gone, "--max-removed": max_removed, "--source": name, "--catalog": str(catalog or "")}
    flags = {"--yes": yes, "--private-hosts": private_hosts, "--json": as_json}
    options = [f"{option}={value}" for option, value in given.items() if value]
    return [*options, *(option for option, value in flags.items() if value)]


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise typer.BadParameter(
            f"{text!r} is not a time; write a number and s, m, h or d, such as 15m", param_hint="--every"
        )
    return int(found[1]) * _UNITS[found[2]]


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).expanduser().absolute())
