"""`imgsearch compare`: the results of one query by two systems or settings."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.search import FilterOption, ItemOption, TextOption
from imgsearch.cli.terminal import CatalogOption, JsonOption, one_line, say

if TYPE_CHECKING:
    from imgsearch.search.side_by_side import SideBySide

__all__ = ["app"]

SIDE_HELP = (
    "`live`, a saved system's name, `head:base` or `head:head-0001`; its own settings after commas: "
    "`live,shape:0.5,diversity:0.4,duplicates:collapse,same:color`."
)

app = typer.Typer()


@app.command()
def compare(
    text: TextOption = None,
    item: ItemOption = None,
    left: Annotated[str, typer.Option(metavar="SIDE", help=SIDE_HELP)] = "live",
    right: Annotated[
        str, typer.Option(metavar="SIDE", help="The other side, in the same format.")
    ] = "head:base",
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many hits of each side.")] = 10,
    filters: FilterOption = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one query by two systems or settings side by side, and measure how far the results agree.

    Example: `imgsearch compare --text 'red mug' --right live,diversity:0.4 -n 10`
    """
    if not (text or item):
        raise typer.BadParameter("give at least one of --text and --item")
    from imgsearch.core.filter_grammar import parse_filters
    from imgsearch.core.query import Query, Term
    from imgsearch.search.side_by_side import parse_side, search_both

    sides = parse_side(left), parse_side(right)
    terms = [Term("text", words) for words in text or ()] + [Term("item", item_id) for item_id in item or ()]
    query = Query(tuple(terms), n=n, filters=parse_filters(filters or ()))
    with terminal.open_engine(catalog) as engine:
        found = search_both(engine.systems, query, *sides)
    terminal.output(as_json, found.as_dict(), lambda: _print(found))


def _print(found: SideBySide) -> None:
    for note in dict.fromkeys((*found.left.result.notes, *found.right.result.notes)):
        say(note)
    left = ["-" if mark.other is None else str(mark.other) for mark in found.marks("left")]
    right = ["-" if mark.other is None else str(mark.other) for mark in found.marks("right")]
    ranks = range(1, found.depth + 1)
    columns = ranks, found.left.item_ids, left, found.right.item_ids, right
    titles = (
        "rank",
        one_line(str(found.left.side)),
        "right rank",
        one_line(str(found.right.side)),
        "left rank",
    )
    rows = list(zip_longest(*columns, fillvalue=""))
    terminal.print_rows(titles, rows, right=("right rank", "left rank"))
    print(f"\n{found.sentence()}")
    print(
        f"overlap@{found.depth} {found.overlap:.2f}, rank-biased overlap {found.rbo:.2f}, "
        f"median {found.left.median_ms:.1f} and {found.right.median_ms:.1f} ms"
    )
