"""The `Explorer`: maps of a catalog by PCA at once and by UMAP after a background job, with clusters and outliers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import JobRunner, Progress
from imgsearch.core.errors import ExploreError, ImgSearchError, QueryError
from imgsearch.core.key_arrays import Keys, positions_in
from imgsearch.core.records import Item
from imgsearch.encoders.base import Encoder
from imgsearch.explore.cluster_words import cluster_words, shared_values
from imgsearch.explore.layout_process import (
    MAX_POINTS,
    NO_MEMORY_FOR_UMAP,
    LayoutProcess,
    MapSize,
    map_size,
    memory_budget,
    sample_note,
)
from imgsearch.explore.map_document import (
    NO_VALUE,
    Colors,
    choice_legend,
    column_colors,
    encode_map,
    number_colors,
)
from imgsearch.explore.map_store import Layout, MapStore
from imgsearch.explore.vectors import Rows, medoids, principal_axes, project
from imgsearch.explore.worker import has_umap
from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore

Projection = Literal["pca", "umap"]

LAYOUT_AXES = 50
AXES_SAMPLE = 20_000
MAX_WORDS = 5


@dataclass(frozen=True, slots=True)
class MapState:
    """The state of the layout: `made_at` is "" before the first one, `new` and `gone` count photos since.

    With `other_space` it is of another model or head. `umap` means that the layout has UMAP, `can_umap` that UMAP is
    installed.
    """

    made_at: str
    generation: int
    new: int
    gone: int
    other_space: bool
    umap: bool
    can_umap: bool
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there are clusters of the active space."""
        return bool(self.made_at) and not self.other_space


@dataclass(frozen=True, slots=True)
class ClusterCard:
    """A cluster: its number in the legend, its number of photos, its medoid, and the words that fit it."""

    number: int
    size: int
    medoid: Item
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """A short name for people."""
        return " · ".join(self.words[:2]) or self.medoid.title


class Explorer:
    """The maps of one open catalog; safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        index: Callable[[], LiveIndex],
        encoder: Callable[[], Encoder],
        *,
        hidden: Callable[[], Keys] | None = None,
        memory_bytes: int = 0,
    ) -> None:
        """Use the active index, the encoder (for words; it may raise), and the keys of hidden photos.

        `memory_bytes` limits the memory of a map; 0 stands for half of what is available.
        """
        self.jobs = JobRunner()
        self._catalog = catalog
        self._index = index
        self._encoder = encoder
        self._hidden = hidden or (lambda: np.zeros(0, np.uint64))
        self._memory_bytes = memory_bytes
        self._store = MapStore(catalog.folder / "explore")
        self._computing_pca = threading.Lock()
        self._pca: tuple[tuple[str, int], Keys, Rows] | None = None

    def layout(self) -> Layout | None:
        """Return the last layout, or None."""
        return self._store.layout()

    def state(self) -> MapState:
        """Return the state of the layout against the catalog now."""
        layout = self.layout()
        if layout is None:
            return MapState("", 0, 0, 0, False, False, has_umap())
        keys = self._catalog.keys()
        sampled = len(layout.keys) >= MAX_POINTS
        return MapState(
            made_at=layout.made_at,
            generation=layout.generation,
            new=0 if sampled else len(np.setdiff1d(keys, layout.keys, assume_unique=True)),
            gone=len(np.setdiff1d(layout.keys, keys, assume_unique=True)),
            other_space=layout.space != self._index().space.id,
            umap=layout.has_umap,
            can_umap=has_umap(),
            notes=layout.notes,
        )

    def start(self, *, seed: int = 0) -> None:
        """Start to lay out the map in the background; raises `JobRunning` while it runs."""
        self.jobs.start("Laying out the map", lambda progress: self.lay_out(seed=seed, progress=progress))

    def lay_out(self, *, seed: int = 0, progress: Progress | None = None) -> str:
        """Lay out the map, save it, and return its time stamp; takes seconds to minutes.

        Raises `ExploreError` where the worker process fails; the previous layout stays then.
        """
        progress = progress or (lambda done, total: None)
        progress(0, 100)
        size = map_size(len(self._catalog), memory_budget(self._memory_bytes), can_umap=has_umap())
        index = self._index()
        self._principal_positions()  # pages show these in the meantime
        keys = _sampled(self._catalog.keys(), size.points, seed)
        axes = principal_axes(index.space.vectors(_sampled(keys, AXES_SAMPLE, seed)), LAYOUT_AXES)
        rows = project(keys, index.space.vectors, axes)
        with LayoutProcess.over(self._store.folder / "work", rows, seed=seed, progress=progress) as process:
            clustering, outlier_scores = process.clusters()
            layout = Layout(
                keys=keys,
                umap_2d=np.zeros((0, 2), np.float32),
                umap_3d=np.zeros((0, 3), np.float32),
                labels=clustering.labels,
                outlier_scores=outlier_scores,
                medoids=keys[medoids(rows, clustering)],
                words=self._words(keys, clustering.labels),
                space=index.space.id,
                generation=index.generation,
                made_at=datetime.now(UTC).isoformat(timespec="seconds"),
                notes=size.notes,
            )
            if size.fit:
                if not self.state().usable:  # show the clusters before UMAP has finished
                    self._store.write_layout(layout)
                layout = _with_umap(layout, process.umap(size.fit), size)
        progress(100, 100)  # the last chance to stop
        self._store.write_layout(layout)
        return layout.made_at

    def _words(self, keys: Keys, labels: NDArray[np.int32]) -> tuple[tuple[str, ...], ...]:
        """Return the words of each cluster: values that its photos share, then words by the encoder if it loads."""
        shared = shared_values(self._catalog, keys, labels)
        try:
            fitting = cluster_words(self._catalog, self._encoder(), keys, labels)
        except ImgSearchError:
            fitting = tuple(() for _ in shared)
        return tuple(
            tuple({word.casefold(): word for word in (*values, *words)}.values())[:MAX_WORDS]
            for values, words in zip(shared, fitting, strict=True)
        )

    def clusters(self) -> list[ClusterCard]:
        """Return the clusters of the active space, largest first, without removed and hidden photos."""
        layout = self._active_layout()
        if layout is None:
            return []
        visible = self._visible(layout.keys)
        sizes = np.bincount(layout.labels[visible], minlength=len(layout.medoids))
        medoid_items = {item.key: item for item in self._catalog.by_keys(layout.medoids)}
        cards = []
        for number in np.flatnonzero(sizes).tolist():
            members = layout.keys[visible & (layout.labels == number)]
            key = int(layout.medoids[number])
            medoid = medoid_items.get(key) if key in members else None
            shown = [medoid] if medoid is not None else self._catalog.by_keys(members[:1])
            cards += [ClusterCard(number, int(sizes[number]), item, layout.words[number]) for item in shown]
        return cards

    def members(self, cluster: int) -> Keys:
        """Return the keys of a cluster's photos, those with the nearest neighbours first; none if unknown."""
        layout = self.layout()
        if layout is None:
            return np.zeros(0, np.uint64)
        found = np.flatnonzero(self._visible(layout.keys) & (layout.labels == cluster))
        return layout.keys[found[np.argsort(layout.outlier_scores[found], kind="stable")]]

    def outliers(self, n: int) -> list[Item]:
        """Return the n photos that are farthest from their nearest ones, farthest first."""
        layout = self._active_layout()
        if layout is None:
            return []
        visible = np.flatnonzero(self._visible(layout.keys))
        order = visible[np.argsort(-layout.outlier_scores[visible], kind="stable")]
        return self._catalog.by_keys(layout.keys[order[:n]])

    def photos(self, keys: Sequence[int]) -> list[Item]:
        """Return the items of the keys in that order, without removed and hidden ones."""
        valid = np.array([key for key in keys if 0 <= key < 2**63], np.uint64)
        return self._catalog.by_keys(valid[self._visible(valid)])

    def document(self, projection: Projection, dimensions: Literal[2, 3], by: str = "") -> tuple[bytes, str]:
        """Return a map in the format of `imgsearch.explore.map_document`, and its entity tag.

        `by` is "" (one colour), `cluster`, `outlier`, or `column:NAME`. Raises `ExploreError` for a layout or
        clusters that do not exist yet, `QueryError` for another `by` and `FilterError` for an unknown column.
        """
        keys, positions = self._positions(projection, dimensions)
        visible = self._visible(keys)
        keys, positions = keys[visible], positions[visible]
        body = encode_map(keys, positions, *self._colors(keys, by), projection)
        return body, f'"{hashlib.sha256(body).hexdigest()[:24]}"'

    def _positions(self, projection: Projection, dimensions: int) -> tuple[Keys, Rows]:
        if projection == "pca":
            keys, positions = self._principal_positions()
            return keys, positions[:, :dimensions]
        layout = self._active_layout()
        if layout is None or not layout.has_umap:
            raise ExploreError("There is no UMAP layout yet; lay the map out on the Explore page.")
        return layout.keys, layout.umap_2d if dimensions == 2 else layout.umap_3d

    def _principal_positions(self) -> tuple[Keys, Rows]:
        """Return keys and (n, 3) positions along the principal axes of the active space and catalog version."""
        version, space = self._catalog.version, self._index().space
        with self._computing_pca:
            if self._pca is None or self._pca[0] != (space.id, version):
                keys = _sampled(self._catalog.keys(), MAX_POINTS, 0)
                positions = self._store.read_pca(space.id, keys)
                if positions is None:
                    found = project(
                        keys, space.vectors, principal_axes(space.vectors(_sampled(keys, AXES_SAMPLE, 0)), 3)
                    )
                    positions = np.zeros((len(keys), 3), np.float32)
                    positions[:, : found.shape[1]] = found
                    self._store.write_pca(space.id, keys, positions)
                self._pca = ((space.id, version), keys, positions)
            return self._pca[1:]

    def _colors(self, keys: Keys, by: str) -> Colors:
        if not by:
            return np.zeros(len(keys), np.uint16), {"kind": "none", "by": ""}
        if by in ("cluster", "outlier"):
            return self._layout_colors(keys, by)
        if not by.startswith("column:"):
            raise QueryError(
                f"The map cannot be coloured by {by[:40]!r}; use cluster, outlier or column:NAME."
            )
        return column_colors(self._catalog.metadata, by, keys)

    def _layout_colors(self, keys: Keys, by: str) -> Colors:
        layout = self._active_layout()
        if layout is None or len(layout.keys) == 0:
            raise ExploreError("There are no groups yet; lay the map out on the Explore page.")
        places, known = positions_in(layout.keys, keys)
        if by == "outlier":
            return number_colors(np.where(known, layout.outlier_scores[places], np.nan), by)
        codes = np.where(known, layout.labels[places], NO_VALUE).astype(np.uint16)
        counts = np.bincount(codes[known], minlength=len(layout.medoids)).tolist()
        names = {card.number: card.name for card in self.clusters()}
        values = [{"label": names.get(number, ""), "count": count} for number, count in enumerate(counts)]
        return codes, choice_legend(by, values, codes)

    def _active_layout(self) -> Layout | None:
        layout = self.layout()
        return layout if layout is not None and layout.space == self._index().space.id else None

    def _visible(self, keys: Keys) -> NDArray[np.bool_]:
        """Return which keys are of photos that are neither removed nor hidden."""
        live = np.isin(keys, self._catalog.keys())
        hidden = self._hidden()
        return live & ~np.isin(keys, hidden) if len(hidden) else live


def _with_umap(layout: Layout, umap: tuple[int, Rows, Rows] | None, size: MapSize) -> Layout:
    if umap is None:
        return replace(layout, notes=(*layout.notes, NO_MEMORY_FOR_UMAP))
    fit, umap_2d, umap_3d = umap
    note = sample_note(size.points, fit, memory_short=True) if fit < size.fit else ()
    return replace(layout, umap_2d=umap_2d, umap_3d=umap_3d, notes=(*layout.notes, *note))


def _sampled(keys: Keys, n: int, seed: int) -> Keys:
    """Return at most n of the keys, drawn at random, ascending."""
    if len(keys) <= n:
        return keys
    return np.asarray(keys[np.sort(np.random.default_rng(seed).permutation(len(keys))[:n])], np.uint64)
