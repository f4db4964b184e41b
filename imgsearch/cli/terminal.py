"""What the commands share: options, progress, tables, JSON, opening a catalog.

Data goes to stdout, everything else to stderr. Heavy modules are imported inside functions, so that `--help` is fast.
A catalog is opened only by the functions here. Where a server has it open, they raise `CatalogServed`, and `main`
runs the command in the server, where they return what the server has open, and do not close it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from imgsearch.cli.session import in_clients_folder, session
from imgsearch.store.holder import Holder

if TYPE_CHECKING:
    from imgsearch.app.imports import ImportJobs
    from imgsearch.core.config import Settings
    from imgsearch.improve.adaptation.head_jobs import HeadJobs
    from imgsearch.improve.experiments.experiments import Experiments
    from imgsearch.improve.judging.judging import Judging
    from imgsearch.index.live_index import LiveIndex
    from imgsearch.search.engine import SearchEngine
    from imgsearch.search.ranking.rules import Rules
    from imgsearch.store.catalog import CatalogStore
    from imgsearch.store.feedback import FeedbackLog
    from imgsearch.store.uploads import UploadStore

PLAIN_PROGRESS_EVERY_S = 5.0

CatalogOption = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        metavar="DIR",
        help="The catalog's folder; by default $IMGSEARCH_CATALOG, else one in the user's data folder.",
    ),
]
IndexOption = Annotated[
    str | None,
    typer.Option(
        "--index",
        metavar="WHERE",
        help="Where the index is stored: `milvus://host:19530`, or `local` for the catalog's folder; a catalog "
        "remembers it.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def command_group(name: str, summary: str) -> typer.Typer:
    """Return an empty group of commands, `imgsearch NAME ...`."""
    return typer.Typer(
        name=name, help=summary, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown"
    )


class CatalogServed(Exception):
    """A server has the catalog open: the command is to run there."""

    def __init__(self, holder: Holder, catalog: Path) -> None:
        super().__init__(f"The catalog {catalog} is served by {holder}.")
        self.holder = holder
        self.catalog = catalog


interrupted = threading.Event()
"""Set once Ctrl-C was pressed while a command stops between two steps, whether it still does or has just ended."""
_unreachable: set[Path] = set()
"""Catalogs whose server does not answer: they are opened here, if their lock is free."""


def open_here(folder: Path) -> None:
    """Open this catalog in this process from now on, whatever its `writer.json` says."""
    _unreachable.add(folder)


def load_settings(**given: Any) -> Settings:
    """Return `Settings.load(**given)`; in a server its own settings, for its catalog, with the other given ones."""
    from imgsearch.core.config import Settings

    entered = session()
    if entered is None:
        return Settings.load(**given)
    settings = entered.service.settings
    changed = {name: value for name, value in given.items() if value is not None and name != "catalog"}
    if changed.pop("index", None) not in (None, entered.service.catalog.index_address or "local"):
        from imgsearch.core.errors import ConfigError

        raise ConfigError("The index of a catalog that is served cannot be moved; stop the server first.")
    return settings.model_copy(update=changed)


def open_engine(
    folder: Path | None,
    *,
    index: str | None = None,
    confidence: bool = False,
    settings: Settings | None = None,
    create: bool = False,
) -> contextlib.AbstractContextManager[SearchEngine]:
    """Open a catalog with all that searches it; encoders are loaded when the first query needs them.

    `settings` replaces those of the other arguments; with `create`, a catalog is made where there is none.
    """
    settings = settings or load_settings(catalog=folder, index=index)
    if (entered := session()) is not None:
        return contextlib.nullcontext(entered.service.engine)
    leave_to_server(settings.catalog)
    from imgsearch.search.engine import SearchEngine

    return SearchEngine(settings, confidence=confidence, create=create, progress=say)


def open_catalog(folder: Path | None) -> contextlib.AbstractContextManager[CatalogStore]:
    """Open a catalog for a command that needs no index: the one in `folder`, else that of the settings."""
    if (entered := session()) is not None:
        return contextlib.nullcontext(entered.service.catalog)
    settings = load_settings(catalog=folder)
    leave_to_server(settings.catalog)
    from imgsearch.store.catalog import CatalogStore

    return CatalogStore.open(settings.catalog)


def open_index(
    folder: Path | None,
) -> contextlib.AbstractContextManager[tuple[CatalogStore, LiveIndex]]:
    """Open a catalog and its index for a command that neither encodes nor searches."""
    if (entered := session()) is not None:
        engine = entered.service.engine
        return contextlib.nullcontext((engine.catalog, engine.index))
    settings = load_settings(catalog=folder)
    leave_to_server(settings.catalog)
    from imgsearch.search.engine import open_catalog_index

    return open_catalog_index(settings)


@contextlib.contextmanager
def open_feedback(catalog: CatalogStore) -> Iterator[FeedbackLog]:
    """Open the feedback of an open catalog, with all rows written."""
    if (entered := session()) is not None:
        entered.service.feedback.flush()
        yield entered.service.feedback
        return
    from imgsearch.store.feedback import FeedbackLog

    with contextlib.closing(FeedbackLog(catalog.database)) as feedback:
        yield feedback


@contextlib.contextmanager
def open_judging(catalog: CatalogStore) -> Iterator[Judging]:
    """Open the judging sets of an open catalog."""
    from imgsearch.improve.judging.judging import Judging

    if (entered := session()) is not None:
        yield entered.service.judging
        return
    with open_feedback(catalog) as feedback:
        yield Judging(catalog, feedback)


def rules_of(catalog: CatalogStore) -> Rules:
    """Return the rules of an open catalog."""
    from imgsearch.search.ranking.rules import Rules

    entered = session()
    return Rules(catalog) if entered is None else entered.service.rules


def experiments_of(engine: SearchEngine) -> Experiments:
    """Return the experiments of an open engine."""
    from imgsearch.improve.experiments.experiments import Experiments

    entered = session()
    if entered is not None:
        return entered.service.experiments
    return Experiments(engine.catalog.database, engine.systems)


def heads_of(engine: SearchEngine, feedback: FeedbackLog) -> HeadJobs:
    """Return what trains and publishes the heads of an open engine."""
    from imgsearch.improve.adaptation.head_jobs import HeadJobs

    entered = session()
    return HeadJobs(engine, feedback) if entered is None else entered.service.heads


def uploads_of(catalog: CatalogStore, settings: Settings) -> UploadStore:
    """Return the uploaded pictures of an open catalog."""
    from imgsearch.store.uploads import UploadStore
    from imgsearch.vision.images import ImageLimits

    if (entered := session()) is not None:
        return entered.service.engine.uploads
    folder = catalog.folder / "uploads"
    return UploadStore(folder, max_bytes=settings.upload_cache_bytes, limits=ImageLimits())


@contextlib.contextmanager
def open_imports(engine: SearchEngine) -> Iterator[ImportJobs]:
    """Open the imports of an open engine."""
    if (entered := session()) is not None:
        yield entered.service.imports
        return
    from imgsearch.app.imports import ImportJobs
    from imgsearch.ingest.item_editor import ItemEditor

    editor = ItemEditor(engine.catalog, engine.indexes, engine.encoder.get, engine.originals)
    with contextlib.closing(editor):
        jobs = ImportJobs(engine, editor, threads=engine.settings.threads)
        jobs.open()
        yield jobs


def leave_to_server(folder: Path) -> None:
    """Raise `CatalogServed` where a server of this machine has the catalog open."""
    from imgsearch.core.errors import CatalogLocked

    folder = folder.expanduser().absolute()
    if session() is not None or folder in _unreachable:
        return
    try:
        holder = Holder.read(folder)
    except PermissionError:
        raise CatalogLocked(
            f"The catalog {folder} is open in a process of another user, who alone can use it from here."
        ) from None
    if holder is not None and holder.serves_here:
        raise CatalogServed(holder, folder)


def refuse_in_server(command: str) -> None:
    """Raise `ConfigError` in a command that runs in a server, for one that needs a process of its own."""
    if session() is not None:
        from imgsearch.core.errors import ConfigError

        raise ConfigError(f"`imgsearch {command}` needs the catalog to itself; stop the server first.")


def place(text: str) -> str:
    """Return a path or URL of the command line, a relative path as the client means it."""
    return text if "://" in text else in_clients_folder(text)


def exit_with(message: str, code: int) -> NoReturn:
    """Print an error in one line on stderr and end the program."""
    print_error(message)
    sys.exit(code)


def print_error(message: str) -> None:
    """Print an error in one line on stderr."""
    print(f"imgsearch: {' '.join(message.split())}", file=sys.stderr)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function of (done, total) that shows progress on stderr: a bar on a terminal, else a line every 5 s."""
    if (entered := session()) is not None:
        with entered.progress(what) as shown:
            yield shown
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    started = time.monotonic()

    def rate(done: int) -> str:
        return f"{done / max(time.monotonic() - started, 1e-3):,.1f}/s"

    if console.is_terminal:
        what_column, rate_column = TextColumn("{task.description}"), TextColumn("{task.fields[rate]}")
        columns = what_column, BarColumn(), MofNCompleteColumn(), rate_column, TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=None, rate="")
            yield lambda done, total: bar.update(task, completed=done, total=total, rate=rate(done))
        return
    said_at = started

    def show(done: int, total: int | None) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= PLAIN_PROGRESS_EVERY_S:
            said_at = time.monotonic()
            of_all = f" of {total:,}" if total else ""
            left = f", {(said_at - started) / done * (total - done):,.0f} s left" if total and done else ""
            say(f"{what}: {done:,}{of_all}, {rate(done)}{left}")

    yield show


@contextlib.contextmanager
def stop_between_batches() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt once Ctrl-C was pressed; a second Ctrl-C stops at once.

    Between batches the catalog is consistent. During one, DuckDB and usearch notice the signal themselves and fail
    with errors of their own.
    """
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        interrupted.set()
        say("Stopping after this batch ...")

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if (entered := session()) is not None:
        yield entered.check
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def say(message: str) -> None:
    """Print a message on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    # Escaped where a terminal or a pipe of another encoding could not take it.
    unicode_ok = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(document, ensure_ascii=not unicode_ok, indent=2, allow_nan=False)
    print(text.encode("utf-8", "replace").decode() if unicode_ok else text)


def output(as_json: bool, document: Any, print_text: Callable[[], object]) -> None:
    """Print a result on stdout: `document` with --json, else by `print_text`."""
    if as_json:
        print_json(document)
    else:
        print_text()


def print_rows(
    titles: Sequence[str], rows: Sequence[Sequence[object]], *, right: Collection[str] = ()
) -> None:
    """Print rows as a table; columns of integers, and those in `right`, are right-justified.

    The table is wide unless stdout is a terminal, so that data is not cut.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, title in enumerate(titles):
        number = title in right or any(isinstance(row[place], int) for row in rows)
        table.add_column(title, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else one_line(str(cell))) for cell in row))
    entered = session()
    width = entered.run.call.columns if entered else None
    console = Console(width=width if sys.stdout.isatty() else 500)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def output_rows(
    as_json: bool,
    document: Any,
    titles: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    empty: str = "",
    right: Collection[str] = (),
) -> None:
    """Print `document` with --json, else the rows as a table; without rows, the sentence `empty` on stderr."""
    if as_json:
        print_json(document)
    elif empty and not rows:
        say(empty)
    else:
        print_rows(titles, rows, right=right)


def one_line(text: str) -> str:
    """Return a text with its newlines and other control characters escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def many(count: int, one: str, more: str = "") -> str:
    """Return a count with its noun: `many(2, "query", "queries")`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"
