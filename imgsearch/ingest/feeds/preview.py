"""What was understood of a feed, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imgsearch.core.column_values import json_value
from imgsearch.core.records import Failure
from imgsearch.ingest.feeds.layout import FeedLayout
from imgsearch.ingest.tables import Table
from imgsearch.store.item_table import Photo


@dataclass(frozen=True, slots=True)
class PreviewColumn:
    """A column of the table: its kind, how many values do not fit it (with reasons and examples), what it became."""

    name: str
    kind: str
    mapped_to: str
    values: int = 0
    exceptions: int = 0
    currency: str = ""
    reasons: Mapping[str, int] | None = None
    examples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedPreview:
    """A feed as it was understood.

    `format` is the shop's format and `label` its name for people, `file_format` that of the file. `photos` counts
    those that can be imported as far as is known without fetching URLs, `failed` the rows and photos that cannot.
    `readings` says how the cells of files were read and how many files each reading found.
    """

    name: str
    format: str
    label: str
    file_format: str
    encoding: str
    separator: str
    columns: tuple[PreviewColumn, ...]
    rows: int
    products: int
    photos: int
    rows_without_photo: int
    failed: int
    failures: tuple[Failure, ...]
    readings: Mapping[str, int]
    samples: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the preview as JSON."""
        return {
            **asdict(self),
            "columns": [
                {**asdict(column), "reasons": dict(column.reasons or {}), "examples": list(column.examples)}
                | {"notes": list(column.notes)}
                for column in self.columns
            ],
            "failures": [asdict(failure) for failure in self.failures],
            "readings": dict(self.readings),
            "samples": [dict(sample) for sample in self.samples],
            "notes": list(self.notes),
        }


def preview_columns(table: Table, layout: FeedLayout) -> tuple[PreviewColumn, ...]:
    """Return the table's columns in their order."""
    recognised = {each.column.name: each.recognised for each in layout.metadata}
    columns = []
    for column in table.columns:
        mapped = layout.mapped_to.get(column.name, "")
        found = recognised.get(column.name)
        if found is None:
            kind = "vectors" if column.holds_vectors else "list" if column.is_list else "text"
            columns.append(PreviewColumn(column.name, kind, mapped))
            continue
        columns.append(
            PreviewColumn(
                column.name,
                found.kind,
                mapped,
                found.values,
                found.exceptions,
                found.currency,
                found.reasons,
                found.examples,
                found.notes,
            )
        )
    return tuple(columns)


def sample_row(photo: Photo) -> dict[str, Any]:
    """Return a photo as JSON."""
    metadata = {name: json_value(value) for name, value in photo.metadata.items()}
    return {"id": photo.item_id, "image": photo.location, "metadata": metadata}
