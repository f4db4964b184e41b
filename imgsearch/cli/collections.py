"""The `imgsearch collection` commands: the sets that visitors saved, for whoever runs the service.

It owns their words on the terminal. Who has the folder may see every collection, whoever made it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli.terminal import (
    CatalogOption,
    JsonOption,
    load_settings,
    many,
    new_table,
    one_line,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from imgsearch.store.catalog import CatalogStore
    from imgsearch.store.collections import Collections

__all__ = ["app"]

VISITOR = "cli"
"""Who makes collections here: visitors of the pages may look at them by their link, and not change them."""

app = typer.Typer(
    name="collection",
    help="Collections: sets of items and searches that visitors saved.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


@contextlib.contextmanager
def _opened(folder: Path | None) -> Iterator[tuple[CatalogStore, Collections]]:
    from imgsearch.store.catalog import CatalogStore
    from imgsearch.store.collections import Collections

    with CatalogStore.open(load_settings(catalog=folder).catalog) as catalog:
        yield catalog, Collections(catalog)


@app.command("list")
def list_collections(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List everybody's collections, the latest changed first.

    Example: `imgsearch collection list`
    """
    from rich.text import Text

    with _opened(catalog) as (_, collections):
        found = collections.all()
    if as_json:
        print_json([each.as_dict() for each in found])
        return
    if not found:
        say("There is no collection yet; make one with `imgsearch collection create`.")
        return
    table = new_table()
    for title in ("collection", "items", "searches", "changed (UTC)", "name"):
        table.add_column(title, overflow="fold")
    for each in found:
        counts = (f"{len(each.items):,}", f"{len(each.queries):,}")
        table.add_row(each.id, *counts, f"{each.changed:%Y-%m-%d %H:%M}", Text(one_line(each.name)))
    print_table(table)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    item_ids: Annotated[list[str], typer.Argument(metavar="ITEM_ID...", help="The ids of the items.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a collection of items; its page is `/collections?set=ID`.

    Example: `imgsearch collection create 'Spring window' mug-001-1.jpg vase-002-1.jpg`
    """
    with _opened(catalog) as (_, collections):
        made = collections.create(name, VISITOR, item_ids)
    if as_json:
        print_json(made.as_dict())
    else:
        print(f"{made.id}: {many(len(made.items), 'item')}.")


@app.command()
def export(
    collection: Annotated[str, typer.Argument(metavar="ID", help="The collection's id, as `list` shows it.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a collection as CSV with the metadata of its items, or as JSON.

    Example: `imgsearch collection export 0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e > spring.csv`
    """
    from imgsearch.store.collections import collection_csv

    with _opened(catalog) as (opened, collections):
        found = collections.get(collection)
        if as_json:
            print_json(found.as_dict())
        else:
            table = collection_csv(found, opened.get_many(found.items), list(opened.metadata.columns))
            print(table.encode("utf-8", "replace").decode(), end="")
