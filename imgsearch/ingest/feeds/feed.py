"""A feed as a source of photos: its rows become products, their cells photos and metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urljoin

from imgsearch.core.records import Failure
from imgsearch.core.table_columns import TableColumns
from imgsearch.ingest.feeds.image_cells import first_pictures, pictures_of
from imgsearch.ingest.feeds.layout import FeedLayout
from imgsearch.ingest.feeds.local_photos import AS_GIVEN, FoundFile, PhotoFinder
from imgsearch.ingest.feeds.photo_numbers import kept_numbers, with_kept_numbers
from imgsearch.ingest.feeds.preview import FeedPreview, preview_columns, sample_row
from imgsearch.ingest.feeds.products import by_product, product_ids, runs
from imgsearch.ingest.feeds.typed_columns import merged, rows_metadata
from imgsearch.ingest.tables import Table
from imgsearch.ingest.tables.names import plain_name
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import is_url, path_location, printable_name

SLICE_ROWS = 4096
SAMPLE_ROWS = 5
SHOWN_FAILURES = 20


class _Row(NamedTuple):
    """A row of the table: its number, its photos, its metadata.

    The first `mains` photos have a `position` among the product's, the further ones of the row come last.
    """

    number: int
    images: list[str]
    mains: int
    position: float
    metadata: dict[str, Any]


class Feed:
    """A table of products and photos; a source that `imgsearch index` reads like a folder."""

    def __init__(
        self, name: str, table: Table, layout: FeedLayout, finder: PhotoFinder | None, *, url: str = ""
    ) -> None:
        """Arrange the rows by product; `finder` finds files, else relative paths are below `url`."""
        self.name = name
        # The products of rows that cannot be read must not count as vanished.
        self.complete = table.complete and not table.failures
        self._layout = layout
        self._finder = finder
        self._url = url
        self._row_ids = product_ids(table, layout)
        order, self._repeated = by_product(self._row_ids)
        self._order = order
        self._table = table if order is None else table.take(order)
        self._ids = self._row_ids if order is None else [self._row_ids[row] for row in order]
        self._columns = {column.name: column for column in self._table.columns}
        self._metadata = [each.taken(order) for each in layout.metadata]
        self._prepared = False
        self._readings: Counter[str] = Counter()
        self._kept: dict[str, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def layout(self) -> FeedLayout:
        """What the columns mean."""
        return self._layout

    def count(self) -> int | None:
        """Return the approximate number of photos: one for each row, where a product has further ones more."""
        return len(self._table) + len(self._table.failures)

    @property
    def ids(self) -> Sequence[str]:
        """The id of the first photo of every row, in their order in the file; "" for a row that names none."""
        found = [""] * len(self._table)
        for start, _, rows in self._products():
            for number, row, image in _numbered(rows):
                position = start + row
                original = position if self._order is None else int(self._order[position])
                found[original] = found[original] or self._item_id(self._ids[start], image, number)
        return found

    def keep_ids(self, locations: Mapping[str, str]) -> None:
        """Give photos of products the ids that they have in a catalog, by item id, also where their order changed."""
        self._kept = kept_numbers(locations)

    def photos(self) -> Iterator[Photo | Failure]:
        """Yield the photos product by product, in the order of their first rows; then the rows that failed."""
        self._readings.clear()
        self._prepare()
        if self._repeated or self._layout.format.is_shop or self._kept:
            for start, _, rows in self._products():
                yield from self._photos_of(self._ids[start], rows)
        else:
            yield from self._photos_of_rows()
        yield from self._table.failures

    def _photos_of_rows(self) -> Iterator[Photo | Failure]:
        """Yield the photos of a table in which each row is a product of its own; mostly it has one photo."""
        for start in range(0, len(self._table), SLICE_ROWS):
            stop = min(start + SLICE_ROWS, len(self._table))
            for product, row in zip(self._ids[start:stop], self._rows(start, stop), strict=True):
                if len(row.images) == 1:
                    image = row.images[0]
                    yield self._photo(self._item_id(product, image, 1), image, row.metadata)
                else:
                    yield from self._photos_of(product, [row])

    def preview(self, *, shown: int = SAMPLE_ROWS) -> FeedPreview:
        """Return what was understood, and what an import would find; fetches no URL and changes nothing."""
        self._prepare()
        self._readings.clear()
        failures: list[Failure] = []
        photos = products = without = failed = 0
        samples: list[dict[str, Any]] = []
        for start, _, rows in self._products():
            products += 1
            named = any(row.images for row in rows)
            without += 0 if named else len(rows)
            for entry in self._photos_of(self._ids[start], rows):
                if isinstance(entry, Failure):
                    failed += 1
                    failures += [entry] if len(failures) < SHOWN_FAILURES else []
                else:
                    photos += 1
                    samples += [sample_row(entry)] if len(samples) < shown else []
        failures += self._table.failures[: max(0, SHOWN_FAILURES - len(failures))]
        return FeedPreview(
            name=self.name,
            format=self._layout.format.name,
            label=self._layout.format.label,
            file_format=self._table.format,
            encoding=self._table.encoding,
            separator=self._table.separator,
            columns=preview_columns(self._table, self._layout),
            rows=len(self._table) + len(self._table.failures),
            products=products,
            photos=photos,
            rows_without_photo=without,
            failed=failed + len(self._table.failures),
            failures=tuple(failures),
            readings=dict(self._readings),
            samples=tuple(samples),
            notes=tuple(self.notes()),
        )

    def notes(self) -> Iterator[str]:
        """Yield sentences on what was read: the file, values that do not fit, and paths that are not as given."""
        yield from (*self._table.notes, *self._layout.notes)
        columns = {each.name: each.recognised for each in self._metadata}
        yield from TableColumns(columns).notes()
        found = self._readings
        if found and found.keys() != {AS_GIVEN}:
            counts = ", ".join(f"{count:,} {reading}" for reading, count in found.most_common())
            yield f"The photos of {self.name} were found so: {counts}."

    # --- rows ------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        if self._prepared or self._finder is None:
            return
        self._prepared = True
        images = [
            cell
            for cell in self._layout.images[0].values()
            if isinstance(cell, str) and not is_url(cell) and cell.strip()
        ]
        self._finder.prepare(images)

    def _products(self) -> Iterator[tuple[int, int, list[_Row]]]:
        """Yield (first row, last row + 1, rows) of each product."""
        bounds = runs(self._ids) if self._repeated else ((row, row + 1) for row in range(len(self._ids)))
        rows: list[_Row] = []
        loaded = 0
        for start, stop in bounds:
            while loaded < stop:
                rows += self._rows(loaded, min(loaded + SLICE_ROWS, len(self._table)))
                loaded = min(loaded + SLICE_ROWS, len(self._table))
            offset = loaded - len(rows)
            yield start, stop, rows[start - offset : stop - offset]
            if stop - offset >= SLICE_ROWS:
                rows = rows[stop - offset :]

    def _rows(self, start: int, stop: int) -> list[_Row]:
        layout = self._layout
        main = [self._columns[column.name].values(start, stop) for column in layout.images]
        further = [self._columns[column.name].values(start, stop) for column in layout.further]
        images = [first_pictures(cells) for cells in zip(*main, strict=True)]
        mains = list(map(len, images))
        for column in further:
            for found, cell in zip(images, column, strict=True):
                found += pictures_of(cell)
        numbers = range(start, stop)
        metadata = rows_metadata(self._metadata, start, stop)
        return list(map(_Row, numbers, images, mains, self._positions(start, stop), metadata))

    def _positions(self, start: int, stop: int) -> list[float]:
        column = self._layout.position
        if column is None:
            return [0.0] * (stop - start)
        found = []
        for text in self._columns[column.name].texts(start, stop):
            try:
                found.append(float(text) if text else float("inf"))
            except ValueError:
                found.append(float("inf"))
        return found

    # --- photos ----------------------------------------------------------------------------------------------------

    def _photos_of(self, product: str, rows: list[_Row]) -> Iterator[Photo | Failure]:
        """Yield the photos of a product; a failure for each that is not there, and for a product without any."""
        shop = self._layout.format.is_shop
        if not product and all(not row.images and not row.metadata for row in rows):
            return  # spreadsheets leave empty rows behind
        if shop and not product:
            for place in (self._table.place(row.number) for row in rows):
                yield Failure(place, f"{place.capitalize()} names no product.")
            return
        numbered = _numbered(rows)
        if not numbered:
            yield Failure(
                product or self._table.place(rows[0].number),
                "The product names no photo." if shop else "The manifest's row names no image.",
            )
            return
        common = merged(row.metadata for row in rows) if len(rows) > 1 else rows[0].metadata
        if shop and len(rows) > 1:
            common = _with_all_skus(common, rows)
        entries = []
        for number, index, image in numbered:
            metadata = self._of_photo(common, rows[index].metadata) if len(rows) > 1 else common
            if product and (shop or len(numbered) > 1):
                metadata = {"product": product, "photo": number, **metadata}
            entries.append(self._photo(self._item_id(product, image, number), image, metadata))
        kept = self._kept.get(product)
        yield from entries if kept is None else with_kept_numbers(product, entries, kept)

    def _of_photo(self, common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata of one of several photos: in a shop's format only some columns are of the photo."""
        if not self._layout.format.is_shop:
            return {**common, **own}
        by_photo = self._layout.format.by_photo
        kept = {name: value for name, value in common.items() if plain_name(name) not in by_photo}
        return kept | {name: own[name] for name in own if plain_name(name) in by_photo}

    def _item_id(self, product: str, image: str, number: int) -> str:
        if not product:
            return printable_name(image.removeprefix("./"))
        return product if number == 1 else f"{product}/{number}"

    def _photo(self, item_id: str, image: str, metadata: dict[str, Any]) -> Photo | Failure:
        if image.startswith("//"):
            image = f"https:{image}"
        if self._finder is None and not is_url(image := _joined_url(self._url, image)):
            return Failure(item_id, "A feed at a URL can only name photos at URLs that begin with http.")
        if is_url(image) or self._finder is None:
            return Photo(item_id, self.name, image, metadata=metadata)
        found = self._finder.find(image)
        if not isinstance(found, FoundFile):
            return Failure(item_id, found)
        self._readings[found.reading] += 1
        return Photo(
            item_id,
            self.name,
            path_location(found.path),
            found.size_bytes,
            found.modified_ns,
            metadata=metadata,
        )


def _joined_url(feed: str, image: str) -> str:
    """Return the URL of a photo that a feed names; "" where it is none, such as a file of this machine."""
    try:
        url = image if is_url(image) else urljoin(feed, image)
    except ValueError:
        return ""
    return url if is_url(url) else ""


def _numbered(rows: Sequence[_Row]) -> list[tuple[int, int, str]]:
    """Return (number from 1, position of its row, photo) of each photo of a product, each once, in their order."""
    if len(rows) == 1 and len(rows[0].images) == 1:
        return [(1, 0, rows[0].images[0])]
    first: dict[str, tuple[float, int]] = {}
    for index, row in enumerate(rows):
        for place, image in enumerate(row.images):
            # Without positions all are 0, and the order is that of the table.
            position = row.position if place < row.mains or not row.position else float("inf")
            if image not in first or position < first[image][0]:
                first[image] = (position, index)
    ordered = sorted(first, key=lambda image: first[image][0])
    return [(number, first[image][1], image) for number, image in enumerate(ordered, start=1)]


def _with_all_skus(common: dict[str, Any], rows: Sequence[_Row]) -> dict[str, Any]:
    """Return a product's metadata with the SKUs of its variants in `skus`, where it has several."""
    skus = list(dict.fromkeys(row.metadata["sku"] for row in rows if "sku" in row.metadata))
    return {**common, "skus": ", ".join(map(str, skus))} if len(skus) > 1 and "skus" not in common else common
