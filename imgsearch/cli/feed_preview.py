"""`imgsearch index SOURCE --dry-run`: what would be imported, and how tables are understood."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import many, one_line, print_rows

if TYPE_CHECKING:
    from imgsearch.ingest.dry_run import DryRun
    from imgsearch.ingest.feeds import FeedOptions, FeedPreview

MAX_VALUE_CHARS = 40

DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what was understood of the sources and what would be imported; nothing is changed.",
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="The format of tables: `shopify`, `woocommerce`, `google`, `magento` or `manifest`; by default their "
        "columns tell.",
    ),
]
IdColumnOption = Annotated[
    str, typer.Option("--id-column", metavar="NAME", help="The column of a table that has its items' ids.")
]
ImageColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--image-column", metavar="NAME", help="A column of a table that has photos; may be repeated."
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema", metavar="FILE", help="A .toml or .json file that states the kinds of a table's columns."
    ),
]
EncodingOption = Annotated[
    str,
    typer.Option(
        "--encoding", metavar="NAME", help="The encoding of text tables, such as `cp1252`, if not seen."
    ),
]


def feed_options(
    name: str,
    id_column: str,
    image_columns: Sequence[str] | None,
    schema: Path | None,
    encoding: str,
    private_hosts: bool,
) -> FeedOptions:
    """Return the options of tables; raises `BadParameter` for an unknown format or encoding."""
    import codecs

    from imgsearch.ingest.feeds import FORMATS, FeedOptions

    if name and name not in FORMATS:
        raise typer.BadParameter(f"--format {name}: there are {', '.join(FORMATS)}")
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise typer.BadParameter(f"--encoding {encoding}: no encoding has that name") from None
    return FeedOptions(
        name, id_column, tuple(image_columns or ()), schema, encoding, private_hosts=private_hosts
    )


def print_dry_run(
    sources: Sequence[str],
    metadata: Path | None,
    root: Path | None,
    feed: FeedOptions,
    exclude: Sequence[str] | None,
    include_all: bool,
    *,
    as_json: bool,
) -> None:
    """Print what an import of the sources would find."""
    from imgsearch.ingest.dry_run import dry_run
    from imgsearch.ingest.exclusions import ExclusionRules

    rules = ExclusionRules(tuple(exclude or ()), include_all)
    found = dry_run(sources, metadata, root=root, feed=feed, rules=rules)
    terminal.output(as_json, found.as_dict(), lambda: _print(found))


def _print(found: DryRun) -> None:
    for position, source in enumerate(found.sources):
        if position:
            print()
        if source.preview is not None:
            _print_preview(source.preview)
        else:
            print(f"{source.name}: {many(source.photos, 'photo')}")
        _print_failures(source.failures, source.failed)
    if found.metadata is not None:
        print(
            f"\n{one_line(found.metadata.path)}: {found.metadata.matched:,} of {found.photos:,} photos have a row."
        )
    for note in found.notes:
        print(f"\nNote: {note}")
    print("\nNothing was changed.")


def _print_preview(preview: FeedPreview) -> None:
    details = [
        preview.file_format,
        preview.encoding,
        f"separator {preview.separator!r}" if preview.separator else "",
    ]
    print(f"{preview.name}: {preview.label} ({', '.join(filter(None, details))})")
    counts = [
        many(preview.rows, "row"),
        many(preview.products, "product"),
        many(preview.photos, "photo"),
        f"{many(preview.rows_without_photo, 'row')} without a photo",
        f"{preview.failed:,} failed",
    ]
    print(f"{', '.join(counts)}\n")
    rows: list[Sequence[Any]] = []
    for column in preview.columns:
        kind = f"{column.kind}, {column.currency}" if column.currency else column.kind
        misfits = f"{column.exceptions:,} of {column.values:,}" if column.exceptions else ""
        rows.append((one_line(column.name), kind, one_line(column.mapped_to or "(not used)"), misfits))
    print_rows(("Column", "Kind", "Becomes", "Left out"), rows)
    if preview.samples:
        print("\nThe first items:")
    for sample in preview.samples:
        print(f"  {one_line(sample['id'])}  {one_line(sample['image'])}")
        values = "; ".join(f"{name}: {_short(value)}" for name, value in sample["metadata"].items())
        print(f"    {values}")


def _short(value: Any) -> str:
    from imgsearch.core.column_values import plain_text

    text = one_line(plain_text(value))
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 1]}…"


def _print_failures(failures: Sequence[Any], count: int) -> None:
    if count:
        print(f"\nFailed ({count:,}):")
    for failure in failures:
        print(f"  {one_line(failure.path)}: {failure.reason}")
    if count > len(failures):
        print(f"  and {count - len(failures):,} more")
