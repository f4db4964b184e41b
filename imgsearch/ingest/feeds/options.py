"""What a user may say about a feed; everything else is recognised."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from imgsearch.core.column_schema import ColumnSchema, read_schema
from imgsearch.ingest.tables import TableLimits


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How to read a feed.

    `format` is a name of `imgsearch.ingest.feeds.formats.FORMATS`; with `id_column` and `image_columns` the columns
    of ids and photos are these. `schema` is a file that states the kinds of columns. `encoding` and `separator` are
    of delimited text. Photos may be in the table's folder, in `root` and in `folders`. With `private_hosts`, a feed's
    own URL may point into the local network. Empty values are recognised.
    """

    format: str = ""
    id_column: str = ""
    image_columns: tuple[str, ...] = ()
    schema: Path | None = None
    encoding: str = ""
    separator: str = ""
    root: Path | None = None
    folders: tuple[Path, ...] = ()
    private_hosts: bool = False
    limits: TableLimits = field(default_factory=TableLimits)

    def stated(self) -> ColumnSchema:
        """Return what the schema file states; raises `SourceError`."""
        return read_schema(self.schema) if self.schema else ColumnSchema()
