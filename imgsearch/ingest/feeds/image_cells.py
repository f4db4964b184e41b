"""The columns and cells that name photos."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from imgsearch.ingest.photo_names import IMAGE_SUFFIXES
from imgsearch.ingest.tables import Table, TableColumn
from imgsearch.ingest.tables.names import plain_name
from imgsearch.store.originals import is_url

STRONG_NAMES = (
    "image", "image_path", "image_url", "image_link", "image_src", "image_file", "image_filename", "image_file_name",
    "image_name", "main_image", "primary_image", "base_image", "featured_image", "img", "img_url", "img_src",
    "photo", "photo_url", "photo_path", "picture", "picture_url", "picture_path", "images", "image_urls",
    "image_links", "images_src", "images_url", "photos", "pictures",
)  # fmt: skip
"""Names of columns of photos, the preferred one first."""
WEAK_NAMES = ("path", "file", "filename", "file_name", "file_path", "url", "link", "src", "href")
"""Names that may be of photos or of pages: what the cells look like decides."""
FURTHER_NAMES = (
    "additional_image", "additional_images", "additional_image_link", "additional_image_links",
    "additional_image_url", "additional_image_urls", "more_images", "other_images",
)  # fmt: skip
SAMPLE_CELLS = 500
MIN_SHARE = 0.5
"""The share of a column's cells that look like pictures from which on it is taken for one of photos."""

# Without repetitions, which would backtrack over long runs of spaces.
_ANY_SEPARATOR = re.compile(r"[\n|;,\s]")
_SEPARATORS = (re.compile(r"[\n|;]"), re.compile(r"[,\s](?=https?://)", re.I), re.compile(","))


def looks_like_picture(text: str) -> bool:
    """Return whether a path or URL ends like a picture's."""
    text = text.strip()
    if is_url(text) or text.startswith("//"):
        try:
            text = urlsplit(text).path
        except ValueError:
            return False
    return PurePosixPath(text[-200:]).suffix.lower() in IMAGE_SUFFIXES


def image_columns(table: Table) -> tuple[list[TableColumn], list[TableColumn]]:
    """Return (columns of which the first filled cell is a row's photo, columns of its further photos).

    Names of photos count before names that may be of pages, and these only where their cells look like pictures or
    where there is nothing else. Without such a name, the columns whose cells look like pictures.
    """
    usable = [column for column in table.columns if not column.holds_vectors]
    named = {plain_name(column.heading): column for column in reversed(usable)}
    further = [
        column
        for column in usable
        if plain_name(column.heading) in FURTHER_NAMES or _is_repeated(column, table)
    ]
    strong = [named[name] for name in STRONG_NAMES if name in named]
    filled = [column for column in strong if column.filled()]
    if filled:
        return filled, further
    weak = [named[name] for name in WEAK_NAMES if name in named]
    alike = [column for column in weak if _share_of_pictures(column) >= MIN_SHARE]
    if alike:
        return alike[:1], further
    others = [column for column in usable if column not in strong and column not in weak]
    others = [column for column in others if (column.is_text or column.is_list)]
    alike = [column for column in others if _share_of_pictures(column) >= MIN_SHARE and column not in further]
    if alike:
        return alike[:1], further
    return (strong or weak)[:1], further


def _is_repeated(column: TableColumn, table: Table) -> bool:
    """Return whether a column repeats the heading of an earlier one that names photos."""
    if plain_name(column.heading) not in STRONG_NAMES:
        return False
    same = [each for each in table.columns if plain_name(each.heading) == plain_name(column.heading)]
    return column is not same[0] and column.name != column.heading


def _share_of_pictures(column: TableColumn) -> float:
    cells = [cell for cell in column.values(0, SAMPLE_CELLS * 4) if cell][:SAMPLE_CELLS]
    texts = [cell[0] if isinstance(cell, list) else cell for cell in cells]
    pictures = [isinstance(text, str) and any(map(looks_like_picture, split_images(text))) for text in texts]
    return sum(pictures) / len(pictures) if pictures else 0.0


def split_images(cell: str) -> list[str]:
    """Return the paths or URLs in a cell; more than one only if each looks like a picture or is a URL."""
    text = cell.strip()
    if text.startswith("[") and (listed := _json_list(text)):
        return listed
    if len(text) < 9 or not _ANY_SEPARATOR.search(text):
        return [text] if text else []
    for separator in _SEPARATORS:
        parts = [stripped for part in separator.split(text) if (stripped := part.strip(" \t\r\n,"))]
        urls = sum(map(is_url, parts))
        if len(parts) > 1 and (urls == len(parts) or (not urls and all(map(looks_like_picture, parts)))):
            return [each for part in parts for each in split_images(part)]
    return [text]


def _json_list(text: str) -> list[str]:
    """Return the texts of a JSON list; empty where the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    texts = found if isinstance(found, list) else []
    return [each.strip() for each in texts if isinstance(each, str) and each.strip()]


def first_pictures(cells: Iterable[str | Sequence[str] | None]) -> list[str]:
    """Return the photos of the first cell that names any."""
    for cell in cells:
        if cell is not None and (found := pictures_of(cell)):
            return found
    return []


def pictures_of(cell: str | Sequence[str] | None) -> list[str]:
    """Return the photos that a cell names: texts of one, of several, or a list."""
    if cell is None:
        return []
    if isinstance(cell, str):
        return split_images(cell)
    return [part for text in cell if isinstance(text, str) for part in split_images(text)]
