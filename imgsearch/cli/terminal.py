"""What the commands share: options, progress, tables, JSON, opening a catalog.

Data goes to stdout, everything else to stderr. Heavy modules are imported inside functions, so that `--help` is fast.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from imgsearch.core.config import Settings
    from imgsearch.search.engine import SearchEngine
    from imgsearch.store.catalog import CatalogStore

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


def load_settings(**given: Any) -> Settings:
    """Return `Settings.load(**given)`."""
    from imgsearch.core.config import Settings

    return Settings.load(**given)


def open_engine(folder: Path | None, *, index: str | None = None, confidence: bool = False) -> SearchEngine:
    """Open a catalog with all that searches it; encoders are loaded when the first query needs them."""
    from imgsearch.search.engine import SearchEngine

    settings = load_settings(catalog=folder, index=index)
    return SearchEngine(settings, confidence=confidence, progress=say)


def open_catalog(folder: Path | None) -> CatalogStore:
    """Open a catalog for a command that needs no index: the one in `folder`, else that of the settings."""
    from imgsearch.store.catalog import CatalogStore

    return CatalogStore.open(load_settings(catalog=folder).catalog)


def exit_with(message: str, code: int) -> NoReturn:
    """Print an error in one line on stderr and end the program."""
    print(f"imgsearch: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yield a function of (done, total) that shows progress on stderr: a bar on a terminal, else a line every 5 s."""
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
    console = Console(width=None if sys.stdout.isatty() else 500)
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
