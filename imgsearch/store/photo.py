"""The record of a photo on its way into the catalog, and of what the catalog knows of it afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Photo"]


@dataclass(frozen=True, slots=True)
class Photo:
    """A row of the table `items` with its metadata; a source fills the first fields, reading the photo the others.

    `size_bytes` and `modified_ns` change when the file does (0: unknown). `digest` is that of the bytes, `row_digest`
    that of the metadata; "" means unknown. `key` is None before the photo is stored.
    """

    item_id: str
    source: str
    location: str
    size_bytes: int = 0
    modified_ns: int = 0
    digest: str = ""
    row_digest: str = ""
    width_px: int = 0
    height_px: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    key: int | None = None
