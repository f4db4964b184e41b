"""The `imgsearch` command: its groups of commands, and exit codes.

0 is done, 1 a failure (one line on stderr), 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from imgsearch.cli import (
    adaptation,
    backup,
    catalog,
    collections,
    experiments,
    indexing,
    judging,
    merchandising,
    monitoring,
    quality,
    search,
    serve,
    sources,
    syncing,
)
from imgsearch.cli.session import client_path, session, set_program
from imgsearch.cli.terminal import CatalogServed, open_here, print_error
from imgsearch.core.errors import ImgSearchError
from imgsearch.core.version import __version__

app = typer.Typer(
    name="imgsearch",
    help="Visual product search: index photos, find similar ones, serve the web app and the HTTP API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for commands in (
    indexing,
    syncing,
    search,
    catalog,
    backup,
    serve,
    judging,
    collections,
    experiments,
    quality,
    monitoring,
    adaptation,
    merchandising,
    sources,
):
    app.add_typer(commands.app)


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        sys.exit(run_anywhere(sys.argv[1:]))
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe. Python would fail again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def run(arguments: Sequence[str]) -> int:
    """Run a command in this thread and return its exit code; raises `CatalogServed` where a server must run it."""
    try:
        typer.main.get_command(app).main(args=list(arguments), prog_name=_program_name())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except ImgSearchError as error:
        print_error(str(error))
        return 1
    except KeyboardInterrupt:
        print_error("Stopped.")
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print_error(f"The disk is full{where}; free some space and try again.")
        return 1
    except RuntimeError as error:
        if "interrupted" in str(error).lower():  # DuckDB's error for Ctrl-C during a query
            print_error("Stopped.")
            return 130
        raise
    return 0


def run_anywhere(arguments: Sequence[str]) -> int:
    """Run a command in the server that has the catalog open, else here; return its exit code."""
    try:
        return run(arguments)
    except CatalogServed as served:
        return _run_in_server(served, arguments)


def _program_name() -> str | None:
    return "imgsearch" if session() is not None else None


def _run_in_server(served: CatalogServed, arguments: Sequence[str]) -> int:
    """Run the command in the server; in this process where the server has ended without removing its traces."""
    from imgsearch.cli.remote import CannotRun, NoServer, run_in_server

    try:
        return run_in_server(served, arguments)
    except NoServer:
        open_here(served.catalog)
        return run(arguments)
    except CannotRun as error:
        print_error(str(error))
        return 1
    except KeyboardInterrupt:
        print_error("Stopped.")
        return 130


def _with_clients_paths(commands: typer.Typer) -> None:
    """Let every command of a group take relative paths of its client's working folder, where a server runs it."""
    for command in commands.registered_commands:
        if command.callback is not None:
            command.callback = _with_paths(command.callback)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _with_clients_paths(group.typer_instance)


def _with_paths(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def call(**values: Any) -> Any:
        return command(**{name: _as_client_means(value) for name, value in values.items()})

    return call


def _as_client_means(value: Any) -> Any:
    if isinstance(value, Path):
        return client_path(value)
    return [_as_client_means(each) for each in value] if isinstance(value, list) else value


def _print_version(requested: bool) -> None:
    if requested:
        print(f"imgsearch {__version__}")
        raise typer.Exit


_with_clients_paths(app)
set_program(run, run_anywhere)


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None: ...
