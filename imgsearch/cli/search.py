"""`imgsearch search` and `compare`: find similar items, by one system or by two side by side."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, IndexOption, JsonOption, one_line, say
from imgsearch.core.errors import ImageError, QueryError

if TYPE_CHECKING:
    from imgsearch.core.query import Query
    from imgsearch.core.records import SearchResult
    from imgsearch.search.side_by_side import SideBySide

TextOption = Annotated[list[str] | None, typer.Option("--text", metavar="T", help="Words; repeatable.")]
ItemOption = Annotated[
    list[str] | None, typer.Option("--item", metavar="ID", help="An item of the catalog; repeatable.")
]
ImageOption = Annotated[
    list[Path] | None, typer.Option("--image", metavar="FILE", help="A picture; repeatable.")
]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="CONDITION",
        help="'category=shoes', 'price<50', 'price=10..50', 'colour in red|blue', 'title~oak'; repeatable.",
    ),
]
SortOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="Sort the look-alikes: `--sort price`, `--sort=-price` (descending); repeatable.",
    ),
]
LevelOption = Annotated[
    str, typer.Option("--min-confidence", metavar="LEVEL", help="`fair` or `strong`: leave out lower hits.")
]
GroupOption = Annotated[
    str,
    typer.Option("--group-by", metavar="COLUMN", help="One hit for each value of a column, the best one."),
]
BoostOption = Annotated[
    list[str] | None,
    typer.Option("--boost", metavar="COLUMN:AMOUNT", help="Rank by a numeric column too; repeatable."),
]
StockOption = Annotated[bool, typer.Option("--in-stock", help="Only items that are in stock.")]
FacetsOption = Annotated[
    str, typer.Option("--facets", metavar="COLUMNS", help="Columns to count (`*`: all); shown with --json.")
]
FieldsOption = Annotated[
    str | None,
    typer.Option("--fields", metavar="COLUMNS", help="The metadata columns that --json shows; empty: none."),
]
CursorOption = Annotated[
    str, typer.Option("--cursor", metavar="CURSOR", help="The cursor of the page before, from --json.")
]
SIDE_HELP = (
    "`live`, a saved system's name, `head:base` or `head:head-0001`; its own settings after commas: "
    "`live,shape:0.5,diversity:0.4,duplicates:collapse,same:color`."
)

app = typer.Typer()


@app.command()
def search(
    text: TextOption = None,
    image: ImageOption = None,
    item: ItemOption = None,
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many hits.")] = 10,
    filters: FilterOption = None,
    sort: SortOption = None,
    min_confidence: LevelOption = "",
    group_by: GroupOption = "",
    boost: BoostOption = None,
    in_stock: StockOption = False,
    facets: FacetsOption = "",
    fields: FieldsOption = None,
    cursor: CursorOption = "",
    catalog: CatalogOption = None,
    index_at: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the items that look most similar to texts, pictures, items, or a mix of them.

    Example: `imgsearch search --text 'red mug' --filter 'price<20' -n 5`
    """
    if not (text or image or item):
        raise typer.BadParameter("give at least one of --text, --image and --item")
    from imgsearch.core.query_address import shop_options

    given = {
        "sort": sort,
        "min_confidence": [min_confidence] if min_confidence else None,
        "group_by": [group_by] if group_by else None,
        "boost": boost,
        "in_stock": ["true"] if in_stock else None,
        "facets": [facets] if facets else None,
        "fields": None if fields is None else [fields],
        "cursor": [cursor] if cursor else None,
    }
    query = _query(text, image, item, n, filters, shop_options(given))
    with terminal.open_engine(catalog, index=index_at, confidence=True) as engine:
        result = engine.searcher.search(query)
        suggestions, correction = engine.words.suggestions(query), engine.words.correction(query)
    if as_json:
        from imgsearch.app.api.responses import result_document, words_document

        words = words_document(suggestions, correction)
        terminal.print_json(result_document(result, words, image=lambda hit: hit.image))
    else:
        if correction is not None:
            say(f"Did you mean {correction.text!r}?")
        _print_hits(result)


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
    from imgsearch.search.side_by_side import parse_side, search_both

    sides = parse_side(left), parse_side(right)
    query = _query(text, None, item, n, filters)
    with terminal.open_engine(catalog) as engine:
        found = search_both(engine.systems, query, *sides)
    terminal.output(as_json, found.as_dict(), lambda: _print_sides(found))


def _query(
    text: list[str] | None,
    image: list[Path] | None,
    item: list[str] | None,
    n: int,
    filters: list[str] | None,
    options: Mapping[str, Any] | None = None,
) -> Query:
    from imgsearch.core.filter_grammar import parse_filters
    from imgsearch.core.query import Query, Term

    terms = [Term("text", words) for words in text or ()]
    terms += [Term("image", _read_picture(path)) for path in image or ()]
    terms += [Term("item", item_id) for item_id in item or ()]
    return Query(tuple(terms), n=n, filters=parse_filters(filters or ()), **(options or {}))


def _read_picture(path: Path) -> bytes:
    """Return a picture's bytes; refuses a file that is not a picture before a model is loaded."""
    from imgsearch.vision.images import decode_image

    try:
        data = path.read_bytes()
        decode_image(data)
    except OSError as error:
        raise QueryError(f"The picture {path} cannot be read: {error.strerror}.") from None
    except ImageError as error:
        raise QueryError(f"{path}: {error}") from None
    return data


def _print_hits(result: SearchResult) -> None:
    from imgsearch.search.ranking.confidence import WEAK_SENTENCE

    for note in result.notes:
        say(note)
    if result.confidence == "weak" and not result.notes:
        say(WEAK_SENTENCE)
    if not result.hits:
        say("No item passes the filters." if result.query.filters else "The catalog holds no other item.")
        return
    rows = [(hit.rank, f"{hit.score:.3f}", hit.item_id, hit.title) for hit in result.hits]
    terminal.print_rows(("rank", "score", "id", "title"), rows, right=("score",))


def _print_sides(found: SideBySide) -> None:
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
