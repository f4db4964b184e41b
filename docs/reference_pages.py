"""Write the reference pages (command line, settings, HTTP API) from the code that they describe."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from imgsearch.app.api.routes import create_api
from imgsearch.cli.main import app
from imgsearch.core.config import Settings


def write(folder: Path) -> None:
    """Write `cli.md`, `settings.md` and `http.md` into the folder."""
    folder.mkdir(exist_ok=True)
    for name, text in (("cli", cli_page()), ("settings", settings_page()), ("http", http_page())):
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; `|` in cells is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def one_line(text: str | None) -> str:
    """Return a text without line breaks, safe inside a Markdown table; code between backticks stays as it is."""
    parts = " ".join((text or "").split()).split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


# --- the command line -------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name, in alphabetical order."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        if not hasattr(command, "commands"):
            yield " ".join(path), command
            return
        for name, child in sorted(command.commands.items()):
            yield from walk(child, (*path, name))

    return walk(typer.main.get_command(app), ())


def parameters(command: Any) -> Iterator[tuple[str, str, str]]:
    """Yield (name, default, description) of every argument and option of a command."""
    for each in command.params:
        name = (
            ", ".join(each.opts) if each.param_type_name == "option" else (each.metavar or each.name.upper())
        )
        if each.param_type_name == "option" and not each.is_flag and each.metavar:
            name += f" {each.metavar}"
        default = "" if each.default in (None, False, ()) or callable(each.default) else str(each.default)
        yield name, "required" if each.required else default, one_line(each.help)


def cli_page() -> str:
    """Return the page of all commands."""
    parts = [
        "# Command line\n\nData goes to stdout, progress to stderr. Exit codes: 0 success, 1 an error with one "
        "sentence on stderr, 2 wrong usage. `--json` prints one JSON document.\n"
    ]
    for name, command in commands():
        rows = [
            [f"`{option}`", f"`{default}`" if default else "", text]
            for option, default, text in parameters(command)
        ]
        parts.append(f"## {name}\n\n{inspect.cleandoc(command.help or '')}\n")
        parts.append(table(["option", "default", ""], rows))
    return "\n".join(parts)


# --- settings ---------------------------------------------------------------------------------------------------


def settings() -> Iterator[tuple[str, str, str]]:
    """Yield (variable, default, description) of every setting."""
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        if name == "catalog":
            shown = "a folder of this user's"
        yield f"IMGSEARCH_{name.upper()}", shown, one_line(field.description)


def settings_page() -> str:
    """Return the page of all settings."""
    rows = [[f"`{name}`", f"`{default}`" if default else "", text] for name, default, text in settings()]
    rows += [
        ["`IMGSEARCH_INDEX_TOKEN`", "", "Secret: `user:password` or the token of a Milvus server."],
        ["`IMGSEARCH_REPLICA_TOKEN`", "", "Secret: what a writer and its replicas share."],
        ["`IMGSEARCH_WRITE_TOKEN`", "", "Secret: with it programs may change the catalog over HTTP."],
    ]
    return (
        "# Settings\n\nEvery setting is an environment variable. Command-line options win over the variable, the "
        "variable wins over the default. An invalid value stops the program with one sentence that names the "
        f"variable.\n\n{table(['variable', 'default', ''], rows)}"
    )


# --- HTTP -------------------------------------------------------------------------------------------------------


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of a service with the default settings."""

    def no_service() -> Any:
        raise AssertionError("the document needs no service")

    return create_api(no_service, Settings(catalog=Path("catalog"))).openapi()


def routes() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (method, path, operation) of every route of the published document."""
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation


def http_page() -> str:
    """Return the page of all routes; the running app shows the same with all fields at `/api/docs`."""
    parts = [
        "# HTTP API\n\nThe running app describes every field at `/api/docs`; `/api/openapi.json` is the same "
        "document for programs. [Search from a website](../search-from-a-website.md) is the tour.\n"
    ]
    for method, path, operation in routes():
        parts.append(
            f"## {method} {path}\n\n{operation.get('description') or operation.get('summary', '')}\n"
        )
        rows = []
        for each in operation.get("parameters", []):
            if "$ref" in each:
                each = document()["components"]["parameters"][each["$ref"].rpartition("/")[2]]
            rows.append([f"`{each['name']}`", each["in"], one_line(each.get("description"))])
        if rows:
            parts.append(table(["parameter", "in", ""], rows))
        answers = [
            [status, one_line(answer.get("description"))] for status, answer in operation["responses"].items()
        ]
        parts.append(table(["status", ""], answers))
    return "\n".join(parts)
