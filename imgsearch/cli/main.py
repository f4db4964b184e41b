"""The `imgsearch` command: its groups of commands, and exit codes.

0 is done, 1 a failure (one line on stderr), 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

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
)
from imgsearch.cli.terminal import exit_with
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
):
    app.add_typer(commands.app)


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        app()
    except ImgSearchError as error:
        exit_with(str(error), 1)
    except KeyboardInterrupt:
        exit_with("Stopped.", 130)
    except RuntimeError as error:
        if "interrupted" in str(error).lower():  # DuckDB's error for Ctrl-C during a query
            exit_with("Stopped.", 130)
        raise
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe. Python would fail again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"imgsearch {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None: ...
