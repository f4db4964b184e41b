"""A table that describes photos: finding the row of each, by id, path or name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from imgsearch.core.errors import SourceError
from imgsearch.ingest.feeds.image_cells import pictures_of
from imgsearch.ingest.feeds.layout import FeedLayout, read_layout, shown_columns
from imgsearch.ingest.feeds.local_photos import folded, split_ending
from imgsearch.ingest.feeds.options import FeedOptions
from imgsearch.ingest.feeds.products import product_ids
from imgsearch.ingest.feeds.typed_columns import merged, rows_metadata
from imgsearch.ingest.photo_names import IMAGE_SUFFIXES
from imgsearch.ingest.tables import Table, read_table
from imgsearch.store.originals import is_url

SAMPLE_PHOTOS = 50_000
"""The column that names most of the first photos, up to this number, is chosen."""

_NUMBER_AT_END = re.compile(r"[ _.-]+\(?[0-9]{1,3}\)?\Z")


class MetadataFile:
    """A metadata file by item: rows are found by id, or by path, file name or file name without its ending.

    Of several columns that may name photos, the one that names the most of those given to `fit` counts.
    """

    def __init__(self, path: Path, *, options: FeedOptions | None = None) -> None:
        """Read the file; raises `SourceError` when no column names items."""
        options = options or FeedOptions()
        table = read_table(
            path, encoding=options.encoding, separator=options.separator, limits=options.limits
        )
        layout = read_layout(table, options, options.stated(), needs_images=False)
        self.failures = table.failures
        self.imported = layout.imported
        self._path = path
        self._used: set[int] = set()
        self._ambiguous: Counter[str] = Counter()
        self._keys = _keys_of(table, layout)
        if not self._keys:
            raise SourceError(
                f"{path} has no column id or image that says which photo a row belongs to; it has: "
                f"{shown_columns(table)}."
            )
        self._chosen = self._keys[0]
        self._fitted = False
        self._rows = _rows_of(table, layout)

    def __len__(self) -> int:
        return self._chosen.filled

    @property
    def unused(self) -> int:
        """How many rows `row` has not returned yet."""
        return self._chosen.filled - len(self._used)

    @property
    def needs_fit(self) -> bool:
        """Whether several columns may name the photos."""
        return len(self._keys) > 1

    def fit(self, item_ids: Iterable[str]) -> None:
        """Choose the column that names most of these photos; ties: the most exactly, then the id.

        A column of ids of which every one is that of a photo is chosen in any case: by file name alone, its rows
        would also be those of photos of the same name in other folders.
        """
        ids = list(item_ids)
        self._fitted = True
        if self._keys[0].are_all_in(set(ids)):
            self._chosen = self._keys[0]
            return
        scores = []
        for key in self._keys:
            found = [key.find(item_id) for item_id in ids]
            exact = sum(bool(rows) and rank == 0 for rows, rank in found)
            scores.append((sum(len(rows) == 1 for rows, _ in found), exact))
        self._chosen = self._keys[max(range(len(scores)), key=lambda position: (scores[position], -position))]

    def row(self, item_id: str) -> Mapping[str, Any]:
        """Return the item's row, or an empty one; also where several rows may be meant."""
        rows, _ = self._chosen.find(item_id)
        if not rows and not self._fitted:
            rows = next((found for key in self._keys[1:] if (found := key.find(item_id)[0])), rows)
        if len(rows) > 1:
            self._ambiguous[item_id] += 1
            return {}
        if not rows:
            return {}
        self._used.add(rows[0])
        others = {
            key.column: text
            for key in self._keys
            if key.column != self._chosen.column and (text := key.texts[rows[0]]) is not None
        }
        return {**others, **self._rows[rows[0]]}

    def notes(self) -> Iterator[str]:
        """Yield sentences on how rows were matched with photos, and which were not."""
        if self.failures:
            first = self.failures[0]
            yield f"{len(self.failures):,} rows of {self._path} cannot be read; the first: {first.reason}"
        if self.needs_fit and len(self._used):
            yield (
                f"{len(self._used):,} of {len(self):,} rows of {self._path} match a photo, by the column "
                f"{self._chosen.column}."
            )
        if self.unused:
            yield f"{self.unused} of {len(self)} rows of {self._path} match no photo here."
        if self._ambiguous:
            first_id = next(iter(self._ambiguous))
            yield (
                f"{len(self._ambiguous):,} photos are named by several rows of {self._path}, such as {first_id}; "
                "they get no metadata. Give their paths in the table."
            )


class _Key:
    """A column whose cells name photos."""

    def __init__(
        self, column: str, texts: Sequence[str | None], names: Sequence[Sequence[str]], *, paths: bool
    ) -> None:
        self.column = column
        self.texts = texts
        self._paths = paths
        self._exact: dict[str, list[int]] = {}
        self._by_name: dict[str, list[int]] = {}
        self._by_stem: dict[str, list[int]] = {}
        self._names = names
        for row, cells in enumerate(names):
            for cell in cells:
                self._exact.setdefault(cell, []).append(row)
        self.filled = len({cell for cells in names for cell in cells}) if not paths else sum(map(bool, names))
        self._loose = False

    def are_all_in(self, item_ids: set[str]) -> bool:
        """Return whether the column has ids, all of them among these."""
        return not self._paths and item_ids.issuperset(self._exact)

    def find(self, item_id: str) -> tuple[list[int], int]:
        """Return (the rows that may be meant, how far from exact that is); the last of rows with the same cell."""
        path = PurePosixPath(item_id)
        for rank, name in enumerate((item_id, item_id.removesuffix(path.suffix), path.name, path.stem)):
            if name in self._exact:
                return self._exact[name][-1:], rank
        self._prepare()
        parts = [folded(part) for part in item_id.split("/") if part]
        if not parts:
            return [], 9
        stem = folded(path.stem)
        for rank, found in enumerate((self._by_name.get(parts[-1]), self._by_stem.get(stem)), start=4):
            if found:
                return self._nearest(found, parts), rank
        if not self._paths:
            product = (
                item_id.rpartition("/")[0] if parts[-1].isdecimal() else _NUMBER_AT_END.sub("", path.stem)
            )
            rows = self._exact.get(product) or self._by_name.get(folded(product)) or []
            return rows[-1:], 6
        return [], 9

    def _prepare(self) -> None:
        if self._loose:
            return
        self._loose = True
        for row, cells in enumerate(self._names):
            for cell in cells:
                name = folded(_file_name(cell) if self._paths else cell)
                stem, suffix = split_ending(name)
                self._by_name.setdefault(name, []).append(row)
                self._by_stem.setdefault(stem if suffix in IMAGE_SUFFIXES else name, []).append(row)

    def _nearest(self, rows: list[int], parts: Sequence[str]) -> list[int]:
        """Return those of the rows whose paths share the most last folders with the photo's."""
        rows = list(dict.fromkeys(rows))
        if len(rows) < 2 or not self._paths:
            return rows[-1:]
        ends = [max(_common_folders(cell, parts) for cell in self._names[row]) for row in rows]
        return [row for row, end in zip(rows, ends, strict=True) if end == max(ends)]


def _keys_of(table: Table, layout: FeedLayout) -> list[_Key]:
    """Return the columns that may name photos, ids first."""
    keys = []
    for column in layout.products:
        texts = column.texts()
        names = [[text.strip()] if text and text.strip() else [] for text in texts]
        keys.append(_Key(column.name, texts, names, paths=False))
    images = [*layout.images, *layout.further] if layout.format.is_shop else layout.images
    for column in images[:1]:
        cells = [each.values() for each in images]
        named = [
            [_plain_path(name) for cell in row for name in pictures_of(cell)]
            for row in zip(*cells, strict=True)
        ]
        keys.append(_Key(column.name, column.texts(), named, paths=True))
    return [key for key in keys if key.filled]


def _rows_of(table: Table, layout: FeedLayout) -> list[dict[str, Any]]:
    rows = rows_metadata(layout.metadata, 0, len(table))
    if not layout.format.is_shop:
        return rows
    ids = product_ids(table, layout)
    products: dict[str, list[dict[str, Any]]] = {}
    for product, row in zip(ids, rows, strict=True):
        products.setdefault(product, []).append(row)
    common = {product: merged(of_product) for product, of_product in products.items() if product}
    return [common.get(product, row) for product, row in zip(ids, rows, strict=True)]


def _plain_path(text: str) -> str:
    """Return the path of a cell: without ./ in front, with forward slashes, of a URL its path."""
    if is_url(text):
        try:
            return unquote(urlsplit(text).path)
        except ValueError:
            return text
    return text.removeprefix("./")


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _common_folders(cell: str, parts: Sequence[str]) -> int:
    others = [folded(part) for part in cell.replace("\\", "/").split("/") if part not in ("", ".")]
    count = 0
    while count < min(len(parts), len(others)) - 1 and others[-2 - count] == parts[-2 - count]:
        count += 1
    return count
