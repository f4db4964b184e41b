"""The Python library: `from imgsearch import Catalog` indexes, searches and measures; results show in notebooks.

with Catalog.open("shop") as catalog:
    catalog.search(text="red mug", filters="price<20")                  # thumbnails, in a notebook
    catalog.search(image="x.jpg", text={"wood": 0.5, "metal": -0.5}).to_pandas()
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader
from numpy.typing import NDArray

from imgsearch.core.config import Settings
from imgsearch.core.errors import ImgSearchError, QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import Boost, Duplicates, Emphasis, Filter, MinConfidence, Query, Term
from imgsearch.core.query_address import parse_sort
from imgsearch.core.records import Hit, IndexingReport, Item, SearchResult
from imgsearch.improve.judging.qrels import read_qrels, topics_from_qrels
from imgsearch.improve.judging.topics import default_topics_path, read_topics
from imgsearch.improve.quality.evaluation import EvaluationReport, evaluate
from imgsearch.improve.quality.measures import DEFAULT_MEASURES
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.pruning import PruneLimit
from imgsearch.search.engine import SearchEngine
from imgsearch.vision.images import ImageLimits, decode_image, nearest_thumbnail_size

MAX_SHOWN_PHOTOS = 48
"""The most thumbnails of one result in a notebook: the notebook file contains them all."""
THUMBNAIL_PX = 128
ENCODE_BATCH = 32

Values = Any
"""One value, a list, or a mapping of values to weights (pairs of value and weight for values that cannot be keys)."""

_templates = Environment(loader=PackageLoader("imgsearch"), autoescape=True)


class Results(Sequence[Hit]):
    """The hits of a search, best first: a sequence that shows its photos in a notebook.

    `result` is the `SearchResult` with its notes and timings.
    """

    def __init__(self, result: SearchResult, catalog: Catalog) -> None:
        """Use `Catalog.search`."""
        self.result = result
        self._catalog = catalog

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Results: ...
    def __getitem__(self, place: int | slice) -> Hit | Results:
        """Return the hit at a place counted from 0, or the results of a slice (their ranks stay)."""
        if isinstance(place, slice):
            return Results(replace(self.result, hits=self.result.hits[place]), self._catalog)
        return self.result.hits[place]

    def __len__(self) -> int:
        return len(self.result.hits)

    def __repr__(self) -> str:
        """Return one line a hit, the first ten."""
        lines = [
            f"{hit.rank:>4}  {hit.score:.3f}  {hit.item_id}  {hit.title}" for hit in self.result.hits[:10]
        ]
        if len(self) > len(lines):
            lines.append(f"      and {len(self) - len(lines):,} more")
        return "\n".join([f"{len(self):,} of {self.result.matching:,} items", *lines])

    def to_pandas(self) -> pd.DataFrame:
        """Return a table of the hits, best first: rank, item_id, title, score, then the metadata columns.

        A metadata column of one of those names is left out.
        """
        own = ["rank", "item_id", "title", "score"]
        fields = self.result.query.fields
        names = [
            name
            for name in self._catalog.store.metadata.columns
            if name not in own and (fields is None or name in fields)
        ]
        rows = [
            [hit.rank, hit.item_id, hit.title, hit.score, *(hit.metadata.get(name) for name in names)]
            for hit in self.result.hits
        ]
        return pd.DataFrame(rows, columns=[*own, *names])

    def _repr_html_(self) -> str:
        """Return the photos as a grid, each with its rank, title and score."""
        shown = self.result.hits[:MAX_SHOWN_PHOTOS]
        left = len(self) - len(shown)
        notes = [*self.result.notes, *([f"{left:,} more are not shown here."] if left else [])]
        hits = [(hit, self._catalog.picture(hit.item_id)) for hit in shown]
        return _templates.get_template("results.html").render(hits=hits, notes=notes)


class Catalog:
    """One catalog, opened to index, search and measure it from Python; a context manager.

    One process can open a catalog at a time: close it before a server or another notebook opens it. `store` is the
    catalog's storage, `engine` everything that searches it.
    """

    def __init__(self, engine: SearchEngine) -> None:
        """Use `Catalog.open`."""
        self.engine = engine
        self.store = engine.catalog
        self._limits = ImageLimits(max_pixels=engine.settings.max_pixels)

    @classmethod
    def open(cls, folder: Path | str | None = None, *, create: bool = False) -> Catalog:
        """Open the catalog in `folder` (by default $IMGSEARCH_CATALOG); `create` makes a catalog that does not exist.

        Raises `CatalogNotFound`, `CatalogLocked` (with the process that has it open), `CatalogCorrupt`.
        """
        return cls(SearchEngine(Settings.load(catalog=folder), create=create))

    def close(self) -> None:
        """Close the catalog; closing twice is fine."""
        self.engine.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.store)

    def __iter__(self) -> Iterator[Item]:
        """Yield every item, in the order of indexing."""
        return self.store.iter_items()

    def __getitem__(self, item_id: str) -> Item:
        """Return an item by its id; raises `UnknownItem`."""
        return self.store.get(item_id)

    def __repr__(self) -> str:
        """Return the catalog in a line."""
        return f"<Catalog {self.store.folder}: {len(self):,} items, {self.store.encoder_spec or 'no encoder yet'}>"

    # --- indexing ---------------------------------------------------------------------------------------------

    def index(
        self,
        *sources: Path | str,
        metadata: Path | str | None = None,
        encoder: str | None = None,
        prune: bool = False,
        max_removed: str | None = None,
        source: str = "",
    ) -> IndexingReport:
        """Bring photos into the catalog from folders, archives or manifests; unchanged photos are skipped.

        `metadata` is a file of more columns, `encoder` the spec for a new catalog (by default that of the settings).
        `prune` removes items whose photos have vanished, at most `max_removed` of a source (`60%` or a number; by
        default that of the settings): where more have vanished, none is removed, and the report says so. `source`
        names the sources: a run compares with the items of that name, wherever their files are today.
        Raises `SourceError` for an unreadable source and `EncoderMismatch` for an encoder that is not the catalog's;
        unreadable photos are in the report.
        """
        engine, settings = self.engine, self.engine.settings
        spec, reason = engine.encoder.choose(encoder, settings.encoder)
        model = engine.encoder.loaded
        if model is None or model.spec != spec:
            model = engine.encoder.load(spec, reason)
        report = index_sources(
            self.store,
            engine.index,
            model,
            [str(source) for source in sources],
            options=IndexingOptions(
                metadata=Path(metadata) if metadata else None,
                source=source,
                prune=prune,
                prune_limit=PruneLimit.chosen(max_removed, settings.max_removed),
                threads=settings.threads,
                workers=settings.worker_processes,
                limits=self._limits,
            ),
            originals=engine.originals,
            thumbnails=engine.thumbnails,
        )
        engine.reopen_index()
        return report

    # --- searching --------------------------------------------------------------------------------------------

    def search(
        self,
        *,
        text: Values = None,
        image: Values = None,
        item: Values = None,
        color: Values = None,
        n: int = 10,
        filters: str | Filter | Sequence[str | Filter] = (),
        emphasis: Emphasis | Mapping[str, float] | None = None,
        same_color: bool = False,
        duplicates: Duplicates = "show",
        diversity: float = 0.0,
        sort: str | Sequence[str] = (),
        min_confidence: MinConfidence = "weak",
        group_by: str = "",
        boost: Mapping[str, float] | None = None,
        in_stock: bool = False,
        facets: str | Sequence[str] = (),
        fields: str | Sequence[str] | None = None,
        cursor: str = "",
    ) -> Results:
        """Return the n items that are most similar to a text, a picture, an item, a colour, or a mix of them.

        Each of the four takes one value, a list of them, or a mapping of values to weights; a negative weight means
        "less like this". Pictures are paths, bytes or PIL images (weighted ones as pairs of image and weight), items
        are ids, colours `#rrggbb`. Filters have the grammar of the command line: `"price<20"`, `["color=red"]`.
        `sort` names columns (`"-price"`: descending), `boost` maps columns to amounts. The other options are those of
        `imgsearch.core.query.Query`. Raises what `Searcher.search` raises.
        """
        terms = [Term("text", str(words), weight) for words, weight in _weighted(text)]
        terms += [Term("image", _picture(each), weight) for each, weight in _weighted(image)]
        terms += [Term("item", str(item_id), weight) for item_id, weight in _weighted(item)]
        terms += [Term("color", str(each), weight) for each, weight in _weighted(color)]
        looks = emphasis if isinstance(emphasis, Emphasis) else Emphasis(**(emphasis or {}))
        query = Query(
            tuple(terms),
            n=n,
            filters=_filters(filters),
            emphasis=looks,
            same_color=same_color,
            duplicates=duplicates,
            diversity=diversity,
            sort=tuple(map(parse_sort, _names(sort))),
            min_confidence=min_confidence,
            group_by=group_by,
            boosts=tuple(Boost(column, float(amount)) for column, amount in (boost or {}).items()),
            in_stock=in_stock,
            facets=_names(facets),
            fields=None if fields is None else _names(fields),
            cursor=cursor,
        )
        return Results(self.engine.searcher.search(query), self)

    def embed(
        self, *, images: Values = None, texts: str | Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Return the embeddings of pictures or of texts, (n, dim) float32 unit rows, in the order given.

        They are in the space of `vectors`: the dot product is the cosine. Raises `QueryError` if both or neither are
        given, `ImageError`, and what loading the encoder raises.
        """
        if (images is None) == (texts is None):
            raise QueryError("Give either images or texts to embed.")
        encoder = self.engine.encoder.get()
        if texts is not None:
            words = [texts] if isinstance(texts, str) else list(texts)
            rows = encoder.encode_texts(words) if words else np.zeros((0, encoder.dim), np.float32)
            return np.asarray(rows, np.float32)
        pictures = [_picture(each) for each in _listed(images)]
        parts = [
            encoder.encode_images(
                [
                    decode_image(data, target_px=encoder.input_px, limits=self._limits)
                    for data in pictures[start : start + ENCODE_BATCH]
                ]
            )
            for start in range(0, len(pictures), ENCODE_BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, encoder.dim), np.float32)

    # --- tables -----------------------------------------------------------------------------------------------

    def metadata(self) -> pd.DataFrame:
        """Return the metadata of all items, indexed by `item_id`, in the order of indexing."""
        items = list(self)
        columns = list(self.store.metadata.columns)
        rows = [[item.metadata.get(column) for column in columns] for item in items]
        index = pd.Index([item.item_id for item in items], name="item_id")
        return pd.DataFrame(rows, columns=columns, index=index)

    def vectors(self) -> NDArray[np.float32]:
        """Return the stored embeddings, (len, dim) float32 unit rows, in the order of `metadata`."""
        return self.store.vectors(self.store.keys())

    # --- measuring --------------------------------------------------------------------------------------------

    def evaluate(
        self, qrels: Path | str, topics: Path | str | None = None, measures: str = DEFAULT_MEASURES
    ) -> EvaluationReport:
        """Return the measures of searching on judgments (a TREC file), as `imgsearch evaluate` does.

        `topics` is the file of queries, by default the one beside the qrels; without it the query ids are item ids.
        Raises `EvaluationError`.
        """
        judged = read_qrels(Path(qrels))
        path = Path(topics) if topics else default_topics_path(Path(qrels))
        asked = read_topics(path) if topics or path.is_file() else topics_from_qrels(judged, self.store)
        return evaluate(self.engine.searcher.search, self.store, judged, asked, measures)

    def picture(self, item_id: str, size_px: int = THUMBNAIL_PX) -> str:
        """Return an item's photo as a small WebP data URI, or "" where it no longer exists."""
        try:
            data = self.engine.thumbnails.get(self.store.get(item_id), nearest_thumbnail_size(size_px)).data
        except ImgSearchError:
            return ""
        return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _weighted(given: Values) -> list[tuple[Any, float]]:
    """Return values with their weights, 1 where none is given."""
    if isinstance(given, Mapping):
        return [(value, float(weight)) for value, weight in given.items()]
    return [
        (each[0], float(each[1])) if isinstance(each, tuple) and len(each) == 2 else (each, 1.0)
        for each in _listed(given)
    ]


def _listed(given: Values) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) and not _is_pair(given) else [given]


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], int | float)


def _picture(given: Any) -> bytes:
    """Return the bytes of a picture given as a path, bytes or a PIL image."""
    if isinstance(given, bytes):
        return given
    if isinstance(given, str | Path):
        try:
            return Path(given).expanduser().read_bytes()
        except OSError as error:
            raise QueryError(f"The picture {given} cannot be read: {error.strerror}.") from None
    if hasattr(given, "save"):
        buffer = io.BytesIO()
        given.save(buffer, "PNG")
        return buffer.getvalue()
    raise QueryError(f"A picture is a path, bytes or a PIL image, not {type(given).__name__}.")


def _filters(given: str | Filter | Sequence[str | Filter]) -> tuple[Filter, ...]:
    listed = [given] if isinstance(given, str | Filter) else given
    return tuple(
        each for one in listed for each in ([one] if isinstance(one, Filter) else parse_filters([one]))
    )
