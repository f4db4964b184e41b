"""`imgsearch collection`: the collections of all visitors, for the operator of the catalog."""

from __future__ import annotations

from typing import Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, many

VISITOR = "cli"
"""The author of collections made here: visitors can open them by their link, but not change them."""

app = terminal.command_group("collection", "Collections: sets of items and searches that visitors saved.")


@app.command("list")
def list_collections(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List all collections, the most recently changed first.

    Example: `imgsearch collection list`
    """
    from imgsearch.store.collections import Collections

    with terminal.open_catalog(catalog) as opened:
        found = Collections(opened).all()
    terminal.output_rows(
        as_json,
        [each.as_dict() for each in found],
        ("collection", "items", "searches", "changed (UTC)", "name"),
        [
            (each.id, len(each.items), len(each.queries), f"{each.changed:%Y-%m-%d %H:%M}", each.name)
            for each in found
        ],
        empty="There is no collection yet; make one with `imgsearch collection create`.",
    )


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
    from imgsearch.store.collections import Collections

    with terminal.open_catalog(catalog) as opened:
        made = Collections(opened).create(name, VISITOR, item_ids)
    terminal.output(as_json, made.as_dict(), lambda: print(f"{made.id}: {many(len(made.items), 'item')}."))


@app.command()
def export(
    collection: Annotated[str, typer.Argument(metavar="ID", help="The collection's id, as `list` shows it.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a collection as CSV with the metadata of its items, or as JSON.

    Example: `imgsearch collection export 0c5b5d0a9f4e4f0e8d4c1f2a3b4c5d6e > spring.csv`
    """
    from imgsearch.store.collections import Collections, collection_csv

    with terminal.open_catalog(catalog) as opened:
        found = Collections(opened).get(collection)
        if as_json:
            terminal.print_json(found.as_dict())
        else:
            table = collection_csv(found, opened.get_many(found.items), list(opened.metadata.columns))
            print(table.encode("utf-8", "replace").decode(), end="")
